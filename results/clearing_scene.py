"""One clearing as it is drawn: who would take how much at which price at a node, and what held them back.

Curves are in kW injected, as everywhere; pictures turn them into import.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from results import metrics
from results.run import Run
from sim import tolerances
from sim.curves import OfferCurve, aggregate, clip, shift
from sim.market.problem import Limit, Problem
from sim.market.wire_form import read_problem


@dataclass(frozen=True, slots=True)
class Scene:
    """A node of one clearing.  Curves are in kW injected, as everywhere; the picture turns them into import.

    parts: the offers at the node, and what its children let through, by the node's price.  net: their sum.
    flow_kw: import from the parent.  upstream: price of the parent; None at the root.
    own: least and most that a participant's price at or below the node lies above its node's.
    bounds: limits beside the tree that bind, by what another unit would be worth.
    """

    run: Run
    interval: int
    node: str
    parent: str | None
    parts: tuple[OfferCurve, ...]
    net: OfferCurve
    import_limit_kw: float
    export_limit_kw: float
    flow_kw: float
    quantity_kw: float
    price: float | None
    upstream: float | None
    own: tuple[float, float]
    bounds: Mapping[str, float]

    @property
    def adder(self) -> float:
        """Price of the node less that of its parent; 0 where either is unknown."""
        return 0.0 if self.price is None or self.upstream is None else self.price - self.upstream

    @property
    def moment(self) -> str:
        """When the interval starts."""
        return f"{self.run.calendar.local(self.run.calendar.interval(self.interval).start_s):%a %H:%M}"


def decisive_interval(run: Run) -> int:
    """The interval with the largest adder, or else with the dearest bound, or else the largest quantity."""
    prices, intervals = run.prices, run.intervals
    adders = prices["adder_per_kwh"].abs()
    if (adders > tolerances.PRICE_PER_KWH).any():
        return int(prices["interval"][adders.idxmax()])
    bounds = metrics.priced_bounds(run)
    if len(bounds):
        return int(bounds["interval"][bounds["price_per_unit"].idxmax()])
    if intervals["quantity_kw"].notna().any():
        return int(intervals["interval"][intervals["quantity_kw"].idxmax()])
    return 0


def scene_of(run: Run, interval: int) -> Scene:
    """The clearing of an interval at its decisive node: the one with the largest adder, or else nearest to its limit.

    Raises ``RunError`` where the interval has no clearing.
    """
    market = _market(run, interval)
    return _scene(market, _decisive_node(market.problem, market.nodes))


def scenes_of(run: Run, interval: int) -> tuple[Scene, ...]:
    """The clearing of an interval at each of its nodes.  Raises ``RunError`` where the interval has no clearing."""
    market = _market(run, interval)
    return tuple(_scene(market, limit.node) for limit in market.problem.limits)


@dataclass(frozen=True, slots=True)
class _Market:
    """A clearing as it was asked for and answered.  worth: of each bound; own: adder of each participant to its node."""

    run: Run
    interval: int
    problem: Problem
    nodes: Mapping[str, Any]
    quantity_kw: float
    worth: Mapping[str, float]
    own: Mapping[str, float]


def _market(run: Run, interval: int) -> _Market:
    ask, answer = run.clearing_problem(interval)
    problem = read_problem(ask, f"aggregate of interval {interval}")
    result = answer["message"]["aggregationResult"]
    worth = {limit["id"]: float(limit["price"]) for limit in result.get("linearLimits", [])}
    nodes = {node["era"]: node for node in result["gridNodes"]}
    return _Market(run, interval, problem, nodes, result["clearingQuantityKW"], worth, _own_adders(problem, worth))


def _scene(market: _Market, name: str) -> Scene:
    problem, nodes = market.problem, market.nodes
    limit = next(limit for limit in problem.limits if limit.node == name)
    parts = tuple(_parts(problem, name, market.own))
    below = [market.own[offer.era] for offer in problem.offers if name in _path(problem, offer.node)] or [0.0]
    return Scene(
        run=market.run,
        interval=market.interval,
        node=name,
        parent=limit.parent,
        parts=parts,
        net=aggregate(parts),
        import_limit_kw=limit.import_limit_kw,
        export_limit_kw=limit.export_limit_kw,
        flow_kw=nodes[name]["flowKW"],
        quantity_kw=market.quantity_kw,
        price=nodes[name].get("locationalPrice"),
        upstream=None if limit.parent is None else nodes[limit.parent].get("locationalPrice"),
        own=(min(below), max(below)),
        bounds={bound: price for bound, price in market.worth.items() if price > tolerances.PRICE_PER_KWH},
    )


def _own_adders(problem: Problem, worth: Mapping[str, float]) -> Mapping[str, float]:
    """What each participant's price lies above its node's: its known adder, less price × weight of every bound."""
    return {
        offer.era: offer.adder_per_kwh
        - sum(worth.get(limit.name, 0.0) * limit.weight.get(offer.era, 0.0) for limit in problem.linear)
        for offer in problem.offers
    }


def _path(problem: Problem, node: str) -> list[str]:
    """A node and everything above it."""
    parent = {limit.node: limit.parent for limit in problem.limits}
    path = [node]
    while (above := parent.get(path[-1])) is not None:
        path.append(above)
    return path


def _decisive_node(problem: Problem, nodes: Mapping[str, Any]) -> str:
    """The node with the largest adder, then the one that uses most of its limit; the root only where it is alone."""

    def rank(limit: Limit) -> tuple[bool, float, float]:
        node = nodes[limit.node]
        room_kw = limit.import_limit_kw if node["flowKW"] >= 0 else limit.export_limit_kw
        return (
            limit.parent is not None,
            abs(node["locationalPriceAdder"]),
            abs(node["flowKW"]) / room_kw if room_kw else 1.0,
        )

    return max(problem.limits, key=rank).node


def _parts(problem: Problem, node: str, own: Mapping[str, float]) -> list[OfferCurve]:
    at_node = [shift(offer.curve, -own[offer.era]) for offer in problem.offers if offer.node == node]
    children = [limit for limit in problem.limits if limit.parent == node]
    return at_node + [
        clip(aggregate(_parts(problem, child.node, own)), child.import_limit_kw, child.export_limit_kw)
        for child in children
    ]


def price_range(scene: Scene) -> tuple[float, float]:
    """All prices that matter, and those corners of the curves that are not far from them."""
    row = scene.run.intervals[scene.run.intervals["interval"] == scene.interval]
    tariff = [float(price) for column in ("import_price", "export_price") for price in row[column].dropna()]
    known = [price for price in (scene.price, scene.upstream, *tariff) if price is not None]
    corners = np.concatenate([part.prices for part in scene.parts]) if scene.parts else np.zeros(0)
    low, high = min(known, default=0.0), max(known, default=0.0)
    reach = max(high - low, 0.05)
    near = corners[(corners >= low - reach) & (corners <= high + reach)]
    low, high = min([low, *near]), max([high, *near])
    return low - 0.15 * (high - low) - 0.01, high + 0.15 * (high - low) + 0.01


def flow_range(scene: Scene, low: float, high: float) -> tuple[float, float]:
    """Import between the price range's ends, together and by side, and limits that are not far beyond."""
    supply, demand = sides(scene.parts)
    ends = [-curve.low(low) for curve in (scene.net, demand)] + [-curve.high(high) for curve in (scene.net, supply)]
    ends += [scene.flow_kw, 0.0]
    reach = max(ends) - min(ends) or 1.0
    bounds = (scene.import_limit_kw, -scene.export_limit_kw)
    ends += [bound for bound in bounds if min(ends) - reach <= bound <= max(ends) + reach]
    room = 0.09 * (max(ends) - min(ends))
    return min(ends) - room, max(ends) + room


def sides(parts: Sequence[OfferCurve]) -> tuple[OfferCurve, OfferCurve]:
    """What injects and what withdraws, each summed by itself."""
    return aggregate([clip(part, 0.0, np.inf) for part in parts]), aggregate(
        [clip(part, np.inf, 0.0) for part in parts]
    )


def outline(curve: OfferCurve, low: float, high: float) -> tuple[list[float], list[float]]:
    """Powers [kW injected] and prices [currency/kWh] of a curve's corners, from one price to another."""
    inside = (curve.prices > low) & (curve.prices < high)
    return [curve.high(low), *curve.powers[inside].tolist(), curve.low(high)], [
        low,
        *curve.prices[inside].tolist(),
        high,
    ]
