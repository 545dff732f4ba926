"""Power flow: ``python -m tests.bench.physics``.  Ratios within one run, of turns that alternate; medians.

pandapower is measured as ``runpp(net)`` does it by default, which uses numba where that is installed.
"""

from __future__ import annotations

import logging
import statistics
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from sim.rng import stream

FEEDERS = {"simbench-semiurb4": 960, "cigre-lv": 960, "ieee-european-lv": 96, "lv-schutterwald": 24}
"""Feeders, with how many states are solved at once."""

ROUNDS = 7


def cpu_s(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def alternating(calls: dict[str, tuple[Callable[[], object], int]]) -> dict[str, float]:
    """Median processor seconds of one unit of each call, taken in turns; with each how many units it does."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(ROUNDS + 1):
        for name, (call, units) in calls.items():
            taken = cpu_s(call) / units
            if turn:  # the first warms up
                seconds[name].append(taken)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def states(feeder: Any, count: int) -> tuple[Any, Any]:
    """Injections [states, buses] where the network has customers."""
    draw = stream(1, "bench", feeder.name)
    p_kw, q_kvar = np.zeros((count, len(feeder.buses))), np.zeros((count, len(feeder.buses)))
    for bus in feeder.site_buses:
        row = feeder.buses.index(bus)
        p_kw[:, row] += draw.uniform(-3, 2, count)
        q_kvar[:, row] += draw.uniform(-0.5, 0.3, count)
    return p_kw, q_kvar


def figures(name: str, count: int) -> dict[str, float]:
    """Processor seconds: a state by pandapower, alone, in a batch; sensitivities; compiling."""
    import pandapower as pp

    from grid_models import feeders

    feeder = feeders.load(name)
    p_kw, q_kvar = states(feeder, count)
    flow = feeder.solve(p_kw[0], q_kvar[0])
    watched = [next(bus for bus in reversed(feeder.buses) if bus not in flow.unsupplied)]
    net = feeder.net
    networks = [feeders.read(name) for _ in range(ROUNDS + 1)]

    def plain() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pp.runpp(net)

    return alternating(
        {
            "runpp": (lambda: [plain() for _ in range(3)], 3),
            "single": (lambda: [feeder.solve(p_kw[0], q_kvar[0]) for _ in range(10)], 10),
            "batch": (lambda: feeder.solve_many(p_kw, q_kvar), count),
            "sensitivities": (lambda: [feeder.sensitivities(flow, watched) for _ in range(10)], 10),
            "compile": (lambda: feeders.feeder_of(networks.pop()), 1),
        }
    )


def lines() -> list[tuple[str, str]]:
    """What was measured, and the figures, to show."""
    from grid_models import feeders

    found = []
    for name, count in FEEDERS.items():
        feeder = feeders.load(name)
        s = figures(name, count)
        what = f"{name}, {len(feeder.buses)} buses"
        found += [
            (
                f"{what}: runpp · alone · in a batch of {count}",
                f"{1e3 * s['runpp']:.1f} ms · {1e6 * s['single']:.0f} µs · {1e6 * s['batch']:.1f} µs"
                f" ({s['runpp'] / s['single']:.0f} and {s['runpp'] / s['batch']:.0f} times faster)",
            ),
            (
                f"{what}: slopes of losses and one voltage, all buses",
                f"{1e6 * s['sensitivities']:.0f} µs, {s['sensitivities'] / s['single']:.1f} power flows",
            ),
            (f"{what}: checked and compiled", f"{1e3 * s['compile']:.0f} ms"),
        ]
    return found


def main() -> None:
    logging.getLogger("pandapower").setLevel(logging.ERROR)  # it warns of a missing numba each time
    numba = "with" if find_spec("numba") else "without"
    print(f"runpp {numba} numba")  # noqa: T201
    for what, value in lines():
        print(f"{what:72} {value}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
