"""What offers come to where a market sees them: at the price of their node, with their last resort.

As a last resort every withdrawal may drop to zero at the price cap, and every injection at the price floor.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from sim.curves import PRICE_DECIMALS, CurveStack, Floats, Ints, OfferCurve, Plateau, aggregate, shift
from sim.market.problem import Problem
from sim.tolerances import PRICE_PER_KWH

_SAME_PRICE = PRICE_PER_KWH / 2
"""A price that a programme found is known to this; what a curve does within it, it may do at that price."""


# --- as curves --------------------------------------------------------------------------------------------------------


def whole_curve(curve: OfferCurve, price_floor: float, price_cap: float) -> OfferCurve:
    """A curve with its last resort, as far as there is a price cap and floor; zero is then in its range."""
    parts = [curve]
    if curve.max_kw < 0 and math.isfinite(price_cap):
        parts.append(_step(price_cap, 0.0, -curve.max_kw))
    if curve.min_kw > 0 and math.isfinite(price_floor):
        parts.append(_step(price_floor, -curve.min_kw, 0.0))
    return aggregate(parts)


def by_offer(problem: Problem) -> list[OfferCurve]:
    """By offer: its curve at the price of its node, with its last resort."""
    alone = np.arange(len(problem.offers))
    return [aggregate(one) for one in by_group(problem, problem.adder_per_kwh, alone, len(alone))]


def by_group(problem: Problem, adder: Floats, group: Ints, count: int) -> list[list[OfferCurve | CurveStack]]:
    """By group, numbered from 0 to ``count``: the curves of its offers at the price of their node, and their last resort.

    adder: by offer, what its own price lies above its node's.
    """
    stack = as_seen(problem, adder)
    grouped: list[list[OfferCurve | CurveStack]] = [[part] for part in stack.parted(group, count)]
    for end, most, kw in (
        (problem.price_cap, 1.0, -np.minimum(stack.max_kw, 0.0)),
        (problem.price_floor, -1.0, np.maximum(stack.min_kw, 0.0)),
    ):
        if math.isfinite(end):
            for place, offset, total in _alike(group, adder, kw):
                step = (0.0, total) if most > 0 else (-total, 0.0)
                grouped[place].append(_step(at_node(end, offset), *step))
    return grouped


def as_seen(problem: Problem, adder: Floats) -> CurveStack:
    """The curves of all offers as their nodes see them: a price at the node is that plus the adder to them."""
    if not adder.any():
        return problem.stack
    pairs = zip(problem.offers, adder.tolist(), strict=True)
    return CurveStack([shift(offer.curve, -by) if by else offer.curve for offer, by in pairs])


def at_node(price: float, adder: float) -> float:
    """What the node's price is where somebody with this adder has this price, as ``curves.shift`` keeps it."""
    return round(price - adder, PRICE_DECIMALS) + 0.0 if adder else price


def _alike(group: Ints, adder: Floats, kw: Floats) -> Iterator[tuple[int, float, float]]:
    """(group, adder, sum of their kW) of those that share both and have any, in the order of the first of each."""
    some = np.flatnonzero(kw)
    keys = np.column_stack((group[some], adder[some]))
    found, first, which = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    total = np.bincount(which.reshape(-1), kw[some], minlength=len(found))
    for index in np.argsort(first).tolist():
        yield int(found[index, 0]), float(found[index, 1]), float(total[index])


def _step(price: float, below_kw: float, above_kw: float) -> OfferCurve:
    return OfferCurve(np.array([price, price]), np.array([below_kw, above_kw]))


# --- at a price -------------------------------------------------------------------------------------------------------


def with_last_resort(problem: Problem, price: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """The least and the most that each may do at its own price, where its curve alone leaves (low, high) open.

    Adders bring prices beyond the cap and the floor, where the last resort is no choice any more.
    """
    floor, cap = problem.price_floor, problem.price_cap
    least = np.where(price <= floor + PRICE_PER_KWH, np.minimum(low, 0.0), low)
    most = np.where(price >= cap - PRICE_PER_KWH, np.maximum(high, 0.0), high)
    most = np.where(price < floor - PRICE_PER_KWH, np.minimum(most, 0.0), most)
    least = np.where(price > cap + PRICE_PER_KWH, np.maximum(least, 0.0), least)
    return least, most


def plateau(problem: Problem, price: Floats, low: Floats, high: Floats) -> Plateau:
    """What each may do at its own price, last resort included, to be shared by the rule of the problem.

    low, high: what its curve alone leaves open.
    """
    found = Plateau.of(*with_last_resort(problem, price, low, high), problem.is_slack)
    if problem.sharing == "PRO_RATA" or not found.free:
        return found
    return found.shared_equally() if problem.sharing == "EQUAL_SHARE" else found.shared_in_turn(problem.rank)


def choices(problem: Problem, price: Floats) -> tuple[Plateau, Floats, Floats]:
    """The plateau at own prices that a programme found; and what each curve alone leaves open there, (least, most)."""
    low, high = problem.stack.low(price - _SAME_PRICE), problem.stack.high(price + _SAME_PRICE)
    return plateau(problem, price, low, high), low, high


def places(problem: Problem) -> tuple[Ints, Ints]:
    """The place of each offer, and the first offer of each place: one node and one set of weights is one place.

    Every limit treats the offers of a place alike.  Places come in an order that does not depend on that of the offers.
    """
    keys = np.column_stack((problem.tree.offer_node, problem.weights.T))
    _, first, place = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return place.reshape(-1).astype(np.intp), first.astype(np.intp)
