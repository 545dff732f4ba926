"""How long a market takes to clear: ``python -m tests.bench.clearing``, about a minute; writes nothing.

Processor seconds, medians of one run, and ratios of neighbours in it.  The curves come laid end to end, as arrays; a market of
objects is timed beside them.  Sorting is what any merit order needs: ``sort`` puts the prices of all corners in order, ``argsort``
tells that order, stable keeps equal prices as they came.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sim.curves import CurveStack, Floats, Ints, OfferCurve, clear, disaggregate
from sim.market.policies import locational, pay_as_clear
from sim.market.problem import Limit, Offer, Problem
from sim.rng import stream

CORNERS = 5
SIZES = (1_000, 10_000, 100_000, 1_000_000)


def processor_s(call: Callable[[], object], repeats: int) -> float:
    """Median processor seconds of a call, after one that does not count."""
    call()
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)


def laid(count: int) -> tuple[Floats, Floats, Ints]:
    """Curves of five corners end to end: prices from 0 to 0.5, powers from -5 to 5."""
    draw = stream(1, "bench", "curves")
    prices = np.sort(draw.uniform(0, 0.5, (count, CORNERS)), axis=1).round(12)
    powers = np.sort(draw.uniform(-5, 5, (count, CORNERS)), axis=1)
    return prices.ravel(), powers.ravel(), np.arange(0, CORNERS * count, CORNERS)


def uniform(prices: Floats, powers: Floats, starts: Ints) -> Floats:
    """One price for all, and everybody's set-point at it."""
    stack = CurveStack.of_arrays(prices, powers, starts)
    price = stack.crossing().price
    assert price is not None
    return disaggregate(stack, 0.0, price)


def show(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def sizes() -> None:
    """Uniform clearing against sorting the corners."""
    names = ("price and set-points", "the price alone", "by adding all up", "sort", "argsort", "stable argsort")
    for count in SIZES:
        arrays = laid(count)
        prices, repeats = arrays[0], 15 if count <= 10_000 else 5 if count <= 100_000 else 3
        ms = [
            1e3 * processor_s(call, repeats)
            for call in (
                lambda: uniform(*arrays),  # noqa: B023  called here and now
                lambda: CurveStack.of_arrays(*arrays).crossing(),  # noqa: B023
                lambda: clear(CurveStack.of_arrays(*arrays).total()),  # noqa: B023
                lambda: np.sort(prices),  # noqa: B023
                lambda: np.argsort(prices),  # noqa: B023
                lambda: np.argsort(prices, kind="stable"),  # noqa: B023
            )
        ]
        show(f"{count:,} curves: " + ", ".join(f"{name} {value:.2f} ms" for name, value in zip(names, ms, strict=True)))
        show(
            "    of " + ", ".join(f"{name} {ms[0] / value:.2f}" for name, value in zip(names[3:], ms[3:], strict=True))
        )


def street(count: int = 100_000) -> Problem:
    """Curves under 200 transformers: 20 below the grid, 9 below each of those; every third of the lower ones is too small."""
    prices, powers, _ = (array.reshape(-1, CORNERS) if n < 2 else array for n, array in enumerate(laid(count)))
    upper = tuple(Limit(f"mv-{n}", "grid", 1e4, 1e4) for n in range(20))
    lower = tuple(
        Limit(f"lv-{n}", f"mv-{n % 20}", *((1e3, 1e3) if n % 3 == 0 else (60.0, 30.0) if n % 3 == 1 else (60.0, 1e3)))
        for n in range(180)
    )
    offers = tuple(Offer(f"der-{n}", f"lv-{n % 180}", OfferCurve(prices[n], powers[n])) for n in range(count))
    return Problem(offers, (Limit("grid"), *upper, *lower))


def tree() -> None:
    """Locational against uniform clearing of one market of objects, and of arrays."""
    problem, arrays = street(), laid(100_000)
    free = locational.without_limits(problem, problem.adder_per_kwh)
    held = sum(direction is not None for direction in locational.clear(problem).binding.values())
    locational.on_tree(free)  # so that both know their curves laid end to end
    gc.freeze()  # the offers are not what is timed
    ms = [
        1e3 * processor_s(call, 5)
        for call in (
            lambda: pay_as_clear.clear(replace(problem)),
            lambda: locational.clear(replace(problem)),
            lambda: locational.on_tree(free),
            lambda: locational.on_tree(problem),
            lambda: uniform(*arrays),
        )
    ]
    show(f"100,000 offers under 200 transformers on two levels, {held} of which bind")
    show(
        f"    from offers to named set-points: uniform {ms[0]:.0f} ms, locational {ms[1]:.0f} ms, {ms[1] / ms[0]:.2f} of it"
    )
    show(f"    arrays on the tree: without limits {ms[2]:.0f} ms, with them {ms[3]:.0f} ms, {ms[3] / ms[2]:.2f} of it")
    show(f"    arrays without a tree: {ms[4]:.0f} ms, with it {ms[3] / ms[4]:.1f} of it")


def main() -> None:
    """Uniform clearing by size, then a tree."""
    sizes()
    tree()


if __name__ == "__main__":
    main()
