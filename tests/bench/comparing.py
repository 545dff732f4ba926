"""Many runs, by the engines: ``python -m tests.bench.comparing``, about a quarter of an hour where nothing else is done;
``--short`` for runs of four hours only, three minutes.

What is said of processors is processor time, this process and its workers together.  How much faster two workers are than one
only the wall clock tells: it means something on a machine that does nothing else, which the load told first should say.
Ratios are medians of pairs that were measured one after the other.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from results.metrics import METRICS
from scenarios.engine import Engine
from scenarios.engine.cluster import ClusterEngine
from scenarios.engine.local import LocalEngine, processors
from scenarios.engine.work import perform
from scenarios.reader import read
from scenarios.runner import execute
from scenarios.study import Task

STREET = Path(__file__).parents[2] / "scenarios" / "street.yaml"
HAMLET = Path(__file__).parents[1] / "scenarios" / "hamlet.yaml"
POLICIES = ("none", "locational")
PAIRS = 3
SHORT = ((4, 3),)
LONG = ((4, 3), (24, 4))
"""Hours that are run, and on how many seeds."""


def tasks(hours: int, seeds: int, path: Path = STREET) -> tuple[Task, ...]:
    """Two policies on these seeds, with every metric."""
    return tuple(
        Task(
            policy,
            seed,
            read(path, [f"duration_h={hours}", f"seed={seed}", f"market.policy={policy}"]),
            tuple(METRICS),
        )
        for seed in range(1, seeds + 1)
        for policy in POLICIES
    )


@dataclass(frozen=True)
class Taken:
    """What a number of runs took.  steady_s: wall seconds a run, from when every worker has done one."""

    wall_s: float
    cpu_s: float
    steady_s: float


def cpu_s() -> float:
    """Processor seconds of this process and of those it has waited for."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def timed(runs: Iterator[object], workers: int) -> Taken:
    """Have runs done."""
    wall, cpu = time.perf_counter(), cpu_s()
    ends = [time.perf_counter() for _ in runs]
    steady_s = (ends[-1] - ends[workers - 1]) / max(1, len(ends) - workers)
    return Taken(time.perf_counter() - wall, cpu_s() - cpu, steady_s)


def bare(given: Sequence[Task]) -> Iterator[object]:
    """The runs and nothing else, one after the other, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        for task in given:
            yield execute(task.scenario, Path(folder) / "run")


def measured(given: Sequence[Task]) -> Iterator[object]:
    """The runs with what is kept of them, in this process."""
    for task in given:
        yield perform(task)


def by(engine: Engine, given: Sequence[Task]) -> Iterator[object]:
    """The runs by an engine; none may fail."""
    for outcome in engine.run(given):
        assert not outcome.error, outcome.error
        yield outcome


def paired(one: Callable[[], Taken], other: Callable[[], Taken]) -> list[tuple[Taken, Taken]]:
    """Both, one after the other, several times."""
    return [(one(), other()) for _ in range(PAIRS)]


def ratio(pairs: Sequence[tuple[Taken, Taken]], of: Callable[[Taken], float]) -> float:
    """Median of the first over the second."""
    return statistics.median(of(first) / of(second) for first, second in pairs)


def overhead(hours: int, seeds: int) -> Iterator[tuple[str, str]]:
    """What one worker costs beyond the runs themselves."""
    given = tasks(hours, seeds)
    list(measured(given[:1]))  # everything is loaded
    count = len(given)
    kept = paired(lambda: timed(measured(given), 1), lambda: timed(bare(given), 1))
    local = paired(lambda: timed(by(LocalEngine(1), given), 1), lambda: timed(bare(given), 1))
    workers = [worker for worker, _ in local]
    each_s = statistics.median(taken.cpu_s for _, taken in local) / count
    (hamlet,) = tasks(1, 1, HAMLET)[:1]
    starts = paired(lambda: timed(by(LocalEngine(1), [hamlet]), 1), lambda: timed(bare([hamlet]), 1))
    start_s = statistics.median(worker.cpu_s - here.cpu_s for worker, here in starts)
    yield f"{hours} h: a bare run, processor", f"{each_s:.2f} s"
    yield f"{hours} h: measured and compared with the best, processor", f"{ratio(kept, lambda t: t.cpu_s) - 1:+.1%}"
    yield (
        f"{hours} h: one local worker, {count} runs, processor",
        f"{ratio(local, lambda t: t.cpu_s - start_s * (t in workers)) - 1:+.1%}, and {start_s:.1f} s once to begin",
    )
    yield f"{hours} h: one local worker, each further run, wall", f"{ratio(local, lambda t: t.steady_s) - 1:+.1%}"


def speedup(hours: int, seeds: int) -> Iterator[tuple[str, str]]:
    """How much faster two workers are than one."""
    given = tasks(hours, seeds)
    engines: dict[str, Callable[[int], Engine]] = {"local": LocalEngine, "dask": lambda n: ClusterEngine(workers=n)}
    for name, engine in engines.items():
        pairs = paired(
            lambda e=engine: timed(by(e(1), given), 1),  # type: ignore[misc]
            lambda e=engine: timed(by(e(2), given), 2),  # type: ignore[misc]
        )
        whole, steady = ratio(pairs, lambda t: t.wall_s), ratio(pairs, lambda t: t.steady_s)
        more = 1 / ratio(pairs, lambda t: t.cpu_s) - 1
        yield (
            f"{hours} h: two {name} workers over one, {len(given)} runs, wall",
            f"{whole:.2f}, {steady:.2f} once begun; {more:+.0%} processor time",
        )


def resident_mb(task: Task, runs: int) -> float:
    """Memory that this process holds after some more runs."""
    for _ in range(runs):
        perform(task)
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def memory(hours: int) -> Iterator[tuple[str, str]]:
    """Memory of a worker after few runs and after many."""
    (task, *_) = tasks(hours, 1)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        few = pool.submit(resident_mb, task, 5).result()
        many = pool.submit(resident_mb, task, 20).result()
    yield f"{hours} h: memory of a worker after 5 runs, and after 25", f"{few:.0f} MB, {many:.0f} MB"


def lines(short: bool = False) -> Iterator[tuple[str, str]]:
    """What is measured, and what came out."""
    yield "processors, load of the last minute", f"{processors()}, {os.getloadavg()[0]:.1f}"
    for hours, seeds in SHORT if short else LONG:
        yield from overhead(hours, seeds)
        yield from speedup(hours, seeds)
        yield from memory(hours)
    yield "load of the last minute, at the end", f"{os.getloadavg()[0]:.1f}"


def main(short: bool = False) -> None:
    """Print them."""
    for what, value in lines(short):
        print(f"{what:62} {value}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main("--short" in sys.argv[1:])
