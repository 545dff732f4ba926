"""Locational prices: the optimum on the tree of limits, by the five operations alone.

Up the tree, each node offers its parent the sum of what lies at and below it, clipped to its limits.  At the root the sum
clears.  Down the tree, each node keeps its parent's price, unless more would then flow than its limit lets through: its
price is then where its own sum equals the limit.  The difference is the locational adder: >= 0 where import is held
back, <= 0 where export is.

Where a price leaves somebody a choice, no price can choose the quantity.  Nodes with one price are a zone, and a zone is
disaggregated as a whole, so that shares do not depend on how the tree is drawn.  Where these shares would overload a
limit inside a zone, the same market is held a second time, for places in a queue in the place of prices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sim import curves
from sim.curves import SAME_KW, Crossing, Flags, Floats, Ints, OfferCurve, Plateau
from sim.market.problem import Clearing, Direction, Problem, Tree, record
from sim.tolerances import POWER_KW, PRICE_PER_KWH


def clear(problem: Problem) -> Clearing:
    """The clearing that maximises welfare within all limits, with a price at every node."""
    tree = problem.tree
    market = _hold(tree, _offered(problem), _Bounds(tree.lower_kw, tree.upper_kw), _price_rule(problem))
    low, high = problem.stack.span(market.price[tree.offer_node])
    setpoint, held = _share(tree, _plateau(problem, low, high, market.price[tree.offer_node]), market)
    price = _published(tree, market, setpoint, problem.curtailed_kw(setpoint))
    paid = [price[node] for node in tree.offer_node.tolist()]
    left_a_choice = (high - low > POWER_KW) & ~problem.is_slack & np.array([p is not None for p in paid], dtype=bool)
    return record(
        problem,
        "locational",
        setpoint,
        node_price=price,
        participant_price=paid,
        held=held,
        offset_kw=np.where(left_a_choice, np.clip(setpoint, low, high) - low, 0.0),
    )


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Least and most power of the sum at and below each node."""

    lower_kw: Floats
    upper_kw: Floats


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A price out of those that clear.  named: whether anybody's curve named it; +-inf is the last resort without one."""

    price: float
    named: bool


_Rule = Callable[[Crossing], _Chosen]


@dataclass(frozen=True, slots=True)
class _Held:
    """A market held on the tree: by node, the price, whether anybody named it, and which limit parts it from its parent's.

    zone: by node, the highest node that it shares its price with.
    """

    price: Floats
    named: Flags
    held: tuple[Direction | None, ...]
    zone: Ints


def _hold(tree: Tree, offered: Sequence[Sequence[OfferCurve]], bounds: _Bounds, rule: _Rule) -> _Held:
    """Prices at which the sum at and below every node stays within its bounds, and that at the root is zero."""
    lower, upper = bounds.lower_kw.tolist(), bounds.upper_kw.tolist()
    total: list[OfferCurve] = [curves.aggregate([])] * len(offered)
    for node in reversed(range(len(offered))):
        below = [curves.clip(total[child], -lower[child], upper[child]) for child in tree.children[node]]
        total[node] = curves.aggregate([*offered[node], *below])
    chosen, zone = [rule(curves.clear(total[0]))], [0]
    held: list[Direction | None] = [None]
    for node, parent in enumerate(tree.parent[1:], start=1):
        local, direction = _local(total[node], chosen[parent], lower[node], upper[node], rule)
        chosen.append(local)
        held.append(direction)
        zone.append(node if direction else zone[parent])
    price, named = np.array([one.price for one in chosen]), np.array([one.named for one in chosen])
    return _Held(price, named, tuple(held), np.array(zone, dtype=np.intp))


def _local(
    total: OfferCurve, above: _Chosen, lower_kw: float, upper_kw: float, rule: _Rule
) -> tuple[_Chosen, Direction | None]:
    """The price of a node below a price, and the limit that parts the two.

    At an infinite price the last resort is taken, and that never asks for more flow.
    """
    least, most = total.span(above.price)
    if most < lower_kw - SAME_KW and above.price < math.inf:
        local = rule(curves.clear(total, lower_kw))
        return _Chosen(max(above.price, local.price), local.named), "FORWARD"
    if least > upper_kw + SAME_KW and above.price > -math.inf:
        local = rule(curves.clear(total, upper_kw))
        return _Chosen(min(above.price, local.price), local.named), "REVERSE"
    return above, None


def _price_rule(problem: Problem) -> _Rule:
    """Between the lowest and the highest price that anybody, or the price floor and cap, has named."""

    def rule(crossing: Crossing) -> _Chosen:
        lo, hi = max(crossing.price_lo, problem.price_floor), min(crossing.price_hi, problem.price_cap)
        if lo < hi and (lo, hi) == (problem.price_floor, problem.price_cap):
            return _Chosen(_somewhere(lo, hi), named=False)
        price = curves.price_between(lo, hi, problem.k)
        return _Chosen(lo, named=False) if price is None else _Chosen(price, named=True)

    return rule


def _place_rule(crossing: Crossing) -> _Chosen:
    lo, hi = crossing.price_lo, crossing.price_hi
    return _Chosen(_somewhere(lo, hi) if lo < hi else lo, named=True)


def _somewhere(lo: float, hi: float) -> float:
    """Any price that is inside a range, ends excluded."""
    if math.isfinite(lo) and math.isfinite(hi):
        return (lo + hi) / 2
    return lo + 1 if math.isfinite(lo) else hi - 1 if math.isfinite(hi) else 0.0


def _offered(problem: Problem) -> list[list[OfferCurve]]:
    """By node: the curves of its offers, and its last resort at the price cap and floor."""
    tree, stack = problem.tree, problem.stack
    by_node: list[list[OfferCurve]] = [[] for _ in tree.names]
    for node, offer in zip(tree.offer_node.tolist(), problem.offers, strict=True):
        by_node[node].append(offer.curve)
    withdrawal = np.bincount(tree.offer_node, -stack.max_kw.clip(None, 0), minlength=len(by_node)).tolist()
    injection = np.bincount(tree.offer_node, stack.min_kw.clip(0, None), minlength=len(by_node)).tolist()
    for node, (cut_up, cut_down) in enumerate(zip(withdrawal, injection, strict=True)):
        if cut_up and math.isfinite(problem.price_cap):
            by_node[node].append(_step(problem.price_cap, 0.0, cut_up))
        if cut_down and math.isfinite(problem.price_floor):
            by_node[node].append(_step(problem.price_floor, -cut_down, 0.0))
    return by_node


def _step(price: float, below_kw: float, above_kw: float) -> OfferCurve:
    return OfferCurve(np.array([price, price]), np.array([below_kw, above_kw]))


def _plateau(problem: Problem, low: Floats, high: Floats, price: Floats) -> Plateau:
    """What each offer may do at its price: what its curve leaves open, and the last resort at the floor and cap."""
    low = np.where(price <= problem.price_floor + PRICE_PER_KWH, np.minimum(low, 0.0), low)
    high = np.where(price >= problem.price_cap - PRICE_PER_KWH, np.maximum(high, 0.0), high)
    return Plateau.of(low, high, problem.is_slack)


def _share(tree: Tree, plateau: Plateau, market: _Held) -> tuple[Floats, tuple[Direction | None, ...]]:
    """Set-points, and the limits that hold somebody back: those of prices, and those of shares inside a zone."""
    bounds = _fixed(tree, market)
    setpoint = plateau.split(market.zone[tree.offer_node], _zone_targets(tree, market, bounds))
    power = tree.power_kw(setpoint)
    if ((power >= bounds.lower_kw - SAME_KW) & (power <= bounds.upper_kw + SAME_KW)).all():
        return setpoint, market.held
    queues = [[curve] for curve in plateau.as_curves(tree.offer_node, len(tree.names))]
    places = _hold(tree, queues, bounds, _place_rule)
    held = tuple(by_price or by_share for by_price, by_share in zip(market.held, places.held, strict=True))
    return plateau.at(places.price[tree.offer_node]), held


def _fixed(tree: Tree, market: _Held) -> _Bounds:
    """The bounds, where a limit that parts two prices is an equation: it is used to the full."""
    forward = np.array([direction == "FORWARD" for direction in market.held])
    reverse = np.array([direction == "REVERSE" for direction in market.held])
    return _Bounds(np.where(reverse, tree.upper_kw, tree.lower_kw), np.where(forward, tree.lower_kw, tree.upper_kw))


def _zone_targets(tree: Tree, market: _Held, bounds: _Bounds) -> Floats:
    """What the offers of each zone sum to: what leaves it upwards, less what comes in from zones below it."""
    target = np.zeros(len(tree.names))
    for node, parent in enumerate(tree.parent):
        if market.held[node]:
            target[node] += bounds.lower_kw[node]
            target[market.zone[parent]] -= bounds.lower_kw[node]
    return target


def _published(tree: Tree, market: _Held, setpoint: Floats, curtailed: Floats) -> list[float | None]:
    """Prices of the nodes; none where nobody named one, or where nothing is traded or cut."""
    count, zone = len(tree.names), market.zone
    moved = np.bincount(zone[tree.offer_node], np.abs(setpoint) + np.abs(curtailed), minlength=count)
    flow = np.abs(tree.power_kw(setpoint))
    for node, parent in enumerate(tree.parent):
        if market.held[node]:
            moved[[node, zone[parent]]] += flow[node]
    known = market.named & (moved[zone] > POWER_KW)
    return [price if ok else None for price, ok in zip(market.price.tolist(), known.tolist(), strict=True)]
