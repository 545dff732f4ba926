"""From a store's problem to its curve: what one bid costs, and a population's.  ``python -m tests.bench.bidding``."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

from agents.forecast import Forecast
from agents.optimisers import OPTIMISERS, Optimise, StoreProblem, charging_curve
from agents.resource import Charges
from agents.worth import Slot
from sim.rng import stream

SLOTS = 96
"""A day of quarters of an hour."""
POPULATION = 1000


def car(number: int, prices: Forecast) -> StoreProblem:
    """A car that needs up to 40 kWh within 8 to 16 hours, at 11 kW, and may give back."""
    rng = stream(1, "bench", str(number))
    need_kwh, count = float(rng.uniform(2, 40)), int(rng.integers(32, 64))
    slot = Slot(2.75, 2.75, min(12.0, 60 - 0.9 * need_kwh), 60.0, 3.5, 0.9, 0.9, 0.05)
    level_kwh = 60 - 0.9 * need_kwh
    ahead = Forecast(
        "PRICE", "", 0, 0, *(row[:count] for row in (prices.values, prices.p10, prices.p50, prices.p90) if row)
    )
    return StoreProblem(
        f"ev-{number}", 0.25, level_kwh, 60.0, (slot,) * count, ahead, Charges(), -11.0, 11.0, need_kwh, 60.0
    )


def battery(number: int, prices: Forecast) -> StoreProblem:
    """A battery of 10 kWh and 5 kW, at some state of charge, that looks a day ahead."""
    level_kwh = float(stream(1, "bench", "battery", str(number)).uniform(0, 10))
    slot = Slot(1.25, 1.25, 0.0, 10.0, 3.5, 0.95, 0.95, 0.02)
    need_kwh = (10 - level_kwh) / 0.95
    return StoreProblem(
        f"battery-{number}", 0.25, level_kwh, 10.0, (slot,) * SLOTS, prices, Charges(), -5.0, 5.0, need_kwh
    )


def day() -> Forecast:
    """A day of prices that are all different, with quantiles: the most steps that a worth can have."""
    values = stream(1, "bench", "prices").uniform(0.05, 0.4, SLOTS)
    rows = (tuple((values * factor).tolist()) for factor in (1.0, 0.8, 1.0, 1.25))
    return Forecast("PRICE", "", 0, 0, *rows)


def median_us(calls: Iterator[Callable[[], object]]) -> float:
    """Median processor time of calls, in microseconds."""
    seconds = []
    for call in calls:
        start = time.process_time_ns()
        call()
        seconds.append(time.process_time_ns() - start)
    return statistics.median(seconds) / 1e3


def repeated(optimise: Optimise, problem: StoreProblem, times: int = 200) -> float:
    """Median microseconds of one problem."""
    return median_us((lambda: optimise(problem)) for _ in range(times))


def lines() -> Iterator[tuple[str, str]]:
    """What is measured, and what came out."""
    prices = day()
    later = [(price, 2.75) for price in prices.values[1:48]]
    closed = median_us(
        (lambda: charging_curve(need_kwh=20.0, now_kwh=2.75, later=later, hours=0.25, who="ev")) for _ in range(500)
    )
    yield "a car's curve in closed form, 48 intervals", f"{closed:.0f} µs"
    for name, optimiser in OPTIMISERS.items():
        optimise = optimiser.make()
        yield f"a battery's bid, {name}, {SLOTS} intervals", f"{repeated(optimise, battery(0, prices)):.0f} µs"
    cars = [car(number, prices) for number in range(POPULATION)]
    batteries = [battery(number, prices) for number in range(POPULATION)]
    for name, optimiser in OPTIMISERS.items():
        optimise = optimiser.make()
        for what, problems in (("cars", cars), ("batteries", batteries)):
            each_us = median_us((lambda p=problem, o=optimise: o(p)) for problem in problems)  # type: ignore[misc]
            yield f"{POPULATION:,} {what} that differ, {name}, each", f"{each_us:.0f} µs"


def main() -> None:
    """Print them."""
    for what, value in lines():
        print(f"{what:58} {value}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
