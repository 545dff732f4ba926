"""Ten thousand random markets against a linear programme written here, from the definitions alone.

Every market is an order book of steps on a tree up to four levels deep with limits in both directions; prices and powers are
coarse, so that they tie, and may be negative; some loads and plants name no price and are cut at the cap or floor.  The
programme knows nothing of curves or zones: each step is a block that may run, each node a sum that is bounded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import linprog

from sim.curves import OfferCurve
from sim.market.certificate import certify
from sim.market.equilibrium import zones
from sim.market.policies import locational, pay_as_clear
from sim.market.problem import Limit, Offer, Problem, Sharing
from sim.rng import stream

FEW, MANY = 300, 10_000
FLOOR, CAP = -3.0, 9.0
RULES: tuple[Sharing, ...] = ("PRO_RATA", "EQUAL_SHARE", "TIME_PRIORITY", "LOTTERY")


@dataclass(frozen=True, slots=True)
class Block:
    """A step of a curve: so many kW more from one offer, from a price on."""

    offer: int
    price: float
    kw: float


def market(number: int) -> Problem:
    """One random market; the same number is the same market."""
    draw = stream(1, "ten thousand", str(number))
    limits = tuple(_tree(draw, int(draw.integers(1, 8))))
    offers = tuple(_offer(draw, f"der-{n}", limits) for n in range(int(draw.integers(1, 10))))
    k, sharing = float(draw.choice([0.0, 0.5, 1.0])), RULES[int(draw.integers(4))]
    return Problem(offers, limits, k, FLOOR, CAP, sharing=sharing, seed=number)


def _tree(draw: np.random.Generator, count: int) -> Iterator[Limit]:
    yield Limit("root")
    depth = {"root": 0}
    for number in range(1, count):
        parent = str(draw.choice([name for name, level in depth.items() if level < 3]))
        depth[f"tx-{number}"] = depth[parent] + 1
        yield Limit(f"tx-{number}", parent, *(float(draw.choice([0, 1, 2, 4, 7, math.inf])) for _ in range(2)))


def _offer(draw: np.random.Generator, era: str, limits: tuple[Limit, ...]) -> Offer:
    count = int(draw.integers(1, 5))
    prices = np.sort(draw.integers(-2, 9, count)).astype(float)
    powers = np.sort(draw.integers(-6, 7, count + 1)).astype(float)
    if draw.random() < 0.2:
        powers = powers + 1.5  # a plant that cannot stop, now and then
    corners = [(price, power) for n, price in enumerate(prices) for power in (powers[n], powers[n + 1])]
    if draw.random() < 0.1:
        corners = [(0.0, float(powers[0]))]
    return Offer(era, limits[int(draw.integers(len(limits)))].node, OfferCurve.of(corners))


def blocks(problem: Problem) -> Iterator[Block]:
    """From all that may be withdrawn to all that may be injected, offer by offer, the last resort included."""
    for index, offer in enumerate(problem.offers):
        corners = offer.curve.points()
        if corners[0][1] > 0:
            yield Block(index, FLOOR, corners[0][1])
        for (_, below), (price, above) in pairwise(corners):
            if above > below:
                yield Block(index, price, above - below)
        if corners[-1][1] < 0:
            yield Block(index, CAP, -corners[-1][1])


def greatest_welfare(problem: Problem) -> float:
    """By a linear programme over the blocks."""
    steps = list(blocks(problem))
    least = [min(offer.curve.points()[0][1], 0.0) for offer in problem.offers]
    if not steps:
        return 0.0
    rows, most = [], []
    for limit in problem.limits[1:]:
        inside = [_hangs_below(problem, offer.node, limit.node) for offer in problem.offers]
        row = np.array([float(inside[step.offer]) for step in steps])
        drawn = sum(kw for kw, here in zip(least, inside, strict=True) if here)
        for sign, bound in ((1.0, limit.export_limit_kw), (-1.0, limit.import_limit_kw)):
            if math.isfinite(bound):
                rows.append(sign * row)
                most.append(bound - sign * drawn)
    found = linprog(
        [step.price for step in steps],
        A_ub=np.array(rows) if rows else None,
        b_ub=most if rows else None,
        A_eq=np.ones((1, len(steps))),
        b_eq=[-sum(least)],
        bounds=[(0.0, step.kw) for step in steps],
        method="highs",
    )
    assert found.status == 0, found.message
    return -float(found.fun) + sum(_worth_of_resting(problem, steps, least))


def _worth_of_resting(problem: Problem, steps: list[Block], least: list[float]) -> Iterator[float]:
    """What the blocks cost up to the power nearest to zero, from where welfare counts."""
    for index, offer in enumerate(problem.offers):
        corners = offer.curve.points()
        room = min(max(0.0, corners[0][1]), corners[-1][1]) - least[index]
        for step in steps:
            if step.offer == index:
                yield step.price * min(step.kw, room)
                room -= min(step.kw, room)


def _hangs_below(problem: Problem, node: str | None, top: str) -> bool:
    parent = {limit.node: limit.parent for limit in problem.limits}
    while node is not None and node != top:
        node = parent[node]
    return node == top


def violations(number: int) -> list[str]:
    """All that is wrong with the clearing of one market."""
    problem = market(number)
    clearing = locational.clear(problem)
    best = greatest_welfare(problem)
    wrong = [f"{number}: {found}" for found in certify(problem, clearing).violations]
    if not _same(clearing.welfare, best):
        wrong.append(f"{number}: welfare {clearing.welfare}, of {best}")
    wrong += [f"{number}: no equilibrium in {zone.nodes}" for zone in zones(problem, clearing) if zone.kind is None]
    uniform = pay_as_clear.clear(problem)
    if number % 10 == 0 and not _same(uniform.welfare, greatest_welfare(_without_limits(problem))):
        wrong.append(f"{number}: uniform welfare {uniform.welfare}")
    if uniform.welfare < clearing.welfare - 1e-6:
        wrong.append(f"{number}: limits have brought {clearing.welfare - uniform.welfare}")
    return wrong


def _same(welfare: float, best: float) -> bool:
    return abs(welfare - best) <= 1e-7 * (1 + abs(best))


def _without_limits(problem: Problem) -> Problem:
    return replace(problem, limits=tuple(Limit(limit.node, limit.parent) for limit in problem.limits))


def test_three_hundred_random_markets_clear_at_the_greatest_welfare():
    cleared, wrong = 0, []
    for number in range(FEW):
        wrong += violations(number)
        cleared += 1
    assert wrong == []
    assert cleared == 300


@pytest.mark.slow
def test_ten_thousand_random_markets_clear_at_the_greatest_welfare():
    cleared, wrong = 0, []
    for number in range(MANY):
        wrong += violations(number)
        cleared += 1
    assert wrong == []
    assert cleared == 10_000


def test_what_is_rare_is_among_them():
    """Counted once and for all: the markets are the same everywhere."""
    seen = dict.fromkeys(("binds", "nested", "both ways", "negative", "cap", "floor", "offset", "four levels"), 0)
    for number in range(FEW):
        problem = market(number)
        clearing = locational.clear(problem)
        parent = {limit.node: limit.parent for limit in problem.limits}
        prices = [price for price in clearing.price_per_kwh.values() if price is not None]
        held = [node for node, direction in clearing.binding.items() if direction]
        found = {
            "binds": bool(held),
            "nested": any(parent[node] in held for node in held),
            "both ways": {"FORWARD", "REVERSE"} <= set(clearing.binding.values()),
            "negative": any(FLOOR < price < 0 for price in prices),
            "cap": CAP in prices,
            "floor": FLOOR in prices,
            "offset": bool(clearing.offset_kw),
            "four levels": any(_level(parent, node) == 3 for node in parent),
        }
        for name, is_so in found.items():
            seen[name] += is_so
    assert all(count >= 10 for count in seen.values()), seen


def _level(parent: dict[str, str | None], node: str) -> int:
    above = parent[node]
    return 0 if above is None else 1 + _level(parent, above)
