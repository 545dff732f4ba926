"""Measure and print: ``python -m tests.bench`` or ``make bench``.  Takes about seven minutes; writes nothing.

Times are processor seconds of this process unless said otherwise, medians where repeated.  Compare them as ratios: the machine
may be busy.
"""

from __future__ import annotations

import logging
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

from results.run import Run
from scenarios.reader import read
from scenarios.runner import execute, few_collections
from sim.curves import OfferCurve
from sim.market.certificate import certify
from sim.market.policies import POLICIES
from sim.market.problem import Limit, Offer, Problem
from sim.rng import stream
from tests.bench import bidding, comparing, exchange, physics, settlement
from tests.bench import clearing as curves

ROOT = Path(__file__).parents[2]
POLICIES_TIMED = {
    "none": 15, "pay-as-clear": 15, "locational": 15, "mcafee": 3, "muda": 3, "continuous": 3, "vcg": 1, "dlmp": 1,
}  # fmt: skip
"""Those that are timed, and how often: rules of one kind take alike."""


def processor_s(call: Callable[[], object], repeats: int = 1) -> float:
    """Median processor seconds of a call."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)


def show(what: str, value: str) -> None:
    print(f"{what:58} {value}", flush=True)  # noqa: T201


def startup() -> None:
    def wall_s(*arguments: str) -> float:
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            seconds.append(time.perf_counter() - start)
        return statistics.median(seconds)

    bare, ours = wall_s("-c", "pass"), wall_s("-m", "scenarios.cli", "--help")
    show("degsim --help, wall", f"{ours:.2f} s (python -c pass: {bare:.2f} s)")


def day(path: Path, what: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        seconds = processor_s(lambda: execute(read(path), Path(folder) / "run"))
        run = Run(Path(folder) / "run")
        count = sum(v["ack"] + v["nack"] for v in run.manifest["messages"].values())
        size = run.manifest["journalBytes"]
        parts = run.manifest["durations"]
        show(
            what,
            f"{seconds:.1f} s, {count:,} messages, {1e6 * seconds / count:.0f} µs a message, journal {size / 1e6:.0f} MB",
        )
        total = sum(parts.values())
        show("", ", ".join(f"{part} {100 * s / total:.0f} %" for part, s in sorted(parts.items(), key=lambda i: -i[1])))


def clearing() -> None:
    rng = stream(1, "bench")
    limits = (Limit("grid"), *(Limit(f"tx-{k}", "grid", 60.0, 30.0) for k in range(20)))
    offers = [
        Offer(
            f"p-{k}",
            f"tx-{k % 20}",
            OfferCurve.of(zip(np.sort(rng.uniform(0, 0.5, 5)), np.sort(rng.uniform(-5, 5, 5)), strict=True)),
        )
        for k in range(1000)
    ]
    market = OfferCurve.of([(0.08, -1e4), (0.08, 0.0), (0.32, 0.0), (0.32, 1e4)])
    problem_of = lambda: Problem((*offers, Offer("retailer", "grid", market)), limits, 0.5, -1.0, 2.0, "retailer")  # noqa: E731
    for name, repeats in POLICIES_TIMED.items():
        policy = POLICIES[name]
        seconds = processor_s(lambda policy=policy: policy.clear(problem_of()), repeats)  # type: ignore[misc]
        show(f"clear 1,000 offers below 20 transformers, {name}", f"{1e3 * seconds:.1f} ms")
    problem = problem_of()
    outcome = POLICIES["locational"].clear(problem)
    show("certify the same", f"{1e3 * processor_s(lambda: certify(problem, outcome), 15):.1f} ms")


def power_flow() -> None:
    logging.getLogger("pandapower").setLevel(logging.ERROR)  # it warns of a missing numba each time
    for what, value in physics.lines():
        show(what, value)


def wire() -> None:
    """Gives ratios of runs that follow each other, so that a busy machine slows both."""
    count = 5000
    for what, call in exchange.parts().items():
        seconds = processor_s(lambda call=call: exchange.repeat(call, count), 5)  # type: ignore[misc]
        show(f"one confirm, {what}", f"{1e6 * seconds / count:.1f} µs")
    with few_collections():  # as a run has it
        exchange.exchanges(count)
        pairs = [(exchange.exchanges(count), exchange.exchanges(count, exchange.signing())) for _ in range(5)]
    plain, signed = (statistics.median(column) / (2 * count) for column in zip(*pairs, strict=True))
    show("a message through the bus, journal on", f"{1e6 * plain:.1f} µs, {1 / plain:,.0f} a second")
    show("the same, signed and verified", f"{1e6 * signed:.1f} µs, {signed / plain:.1f} times as long")


def settling() -> None:
    """A hundred thousand intervals of five terms, from readings to a report."""
    count = 100_000
    told = settlement.signals(count)
    seconds = processor_s(lambda: settlement.settled(told), 3)
    per_term = 1e6 * seconds / (5 * count)
    show(f"settle {count:,} intervals of five terms", f"{seconds:.1f} s, {per_term:.1f} µs an interval and term")


def signed_street() -> None:
    """The street day with and without signatures, three times in turn."""

    def run_s(sign: str) -> float:
        with tempfile.TemporaryDirectory() as folder:
            scenario = read(ROOT / "scenarios" / "street.yaml", (f"wire.sign={sign}",))
            return processor_s(lambda: execute(scenario, Path(folder) / "run"))

    pairs = [(run_s("false"), run_s("true")) for _ in range(3)]
    plain, signed = (statistics.median(column) for column in zip(*pairs, strict=True))
    show(
        "street, a day, every message signed", f"{signed:.1f} s, {signed / plain:.2f} times the unsigned {plain:.1f} s"
    )


def main() -> None:
    """Everything, in order of length."""
    show("python", f"{platform.python_version()} on {platform.machine()}")
    show("", ", ".join(f"{p} {version(p)}" for p in ("numpy", "pandapower", "mesa", "simpy", "msgspec")))
    startup()
    clearing()
    curves.main()
    bidding.main()
    power_flow()
    wire()
    settling()
    signed_street()
    day(ROOT / "scenarios" / "street.yaml", "street, a day")
    day(Path(__file__).parent / "thousand.yaml", "1,000 participants, a day")
    comparing.main(short=True)
    show("peak memory", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
