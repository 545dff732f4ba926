"""What is known of a clearing beyond its point: by price zone, all prices and volumes that would do, and who is marginal.

A zone is a part of the tree whose nodes share one price.  What flows across its borders is taken as it is, and so are the
prices beyond them.

| type            | means (the names are GridLAB-D's)                                                               |
|-----------------|-------------------------------------------------------------------------------------------------|
| NULL            | nothing is traded                                                                               |
| FAILURE         | at the price cap somebody who would pay it is not served, or at the floor not taken from; or    |
|                 | somebody was cut and there is no cap or floor to say at which price                             |
| MARGINAL_PRICE  | a whole range of prices would do: everybody is served in full up to it                          |
| MARGINAL_BUYER  | one price would do, and buyers are served in part at it                                         |
| MARGINAL_SELLER | one price would do, and sellers are served in part at it                                        |
| EXACT           | one price would do, and everybody is served in full: two steps meet, or two slopes              |

Source of the names: GridLAB-D, market module, auction object.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from sim.curves import CurveStack, Flags, Floats, Ints, OfferCurve, aggregate, clear, price_between
from sim.market.offered import as_seen, by_group, with_last_resort
from sim.market.problem import Clearing, Problem
from sim.tolerances import POWER_KW, PRICE_PER_KWH

Side: TypeAlias = Literal["BUYER", "SELLER", "BOTH"]
ClearingType: TypeAlias = Literal["NULL", "EXACT", "MARGINAL_BUYER", "MARGINAL_SELLER", "MARGINAL_PRICE", "FAILURE"]


@dataclass(frozen=True, slots=True)
class Zone:
    """A part of the tree that shares one price, and what is known of its equilibrium.

    price_lo, price_hi: all prices of the node that would do [currency/kWh], either of which may be infinite: both are
    where somebody is cut and there is no cap or floor; both are None where the set-points follow from no price at
    all. quantity_lo, quantity_hi: least and greatest power that could be traded at the price with nobody changing
    sides [kW]. marginal: the side that is served in part at the price, BOTH where limits within the zone hold back
    both. marginal_kw: what that side is served of what it would trade at just this price. theta: the same as a share,
    0 to 1; None without a marginal side. kind: None where the set-points follow from no price. unserved_kw:
    withdrawals that would pay the cap and were cut. spilled_kw: injections that would pay to get rid of their power
    at the floor, and were cut.
    """

    nodes: tuple[str, ...]
    price_lo: float | None
    price_hi: float | None
    quantity_lo: float
    quantity_hi: float
    marginal: Side | None
    marginal_kw: float
    theta: float | None
    kind: ClearingType | None
    unserved_kw: float
    spilled_kw: float

    @property
    def indicative_price(self) -> float | None:
        """The middle of the best bid and the best ask, where nothing was traded and there are both."""
        if self.kind != "NULL" or self.price_lo is None or self.price_hi is None:
            return None
        ends = self.price_lo, self.price_hi
        return sum(ends) / 2 if all(map(math.isfinite, ends)) else None


def zones(problem: Problem, clearing: Clearing) -> tuple[Zone, ...]:
    """The price zones of a clearing, from the root down; the first one has the root."""
    return tuple(_zone(case) for case in _cases(problem, clearing))


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    """One zone laid out along its offers, as its nodes see them.

    stack: their curves at the node's price.  total: the sum of these, the last resort included.  setpoint_kw: of each.
    adder: what its own price lies above the node's.  price: the zone's, NaN where there is none.  lowest, highest: what the
    prices around the zone and the bounds of prices leave open.  slip: how well prices are known, beside their rounding.
    """

    problem: Problem
    nodes: tuple[str, ...]
    stack: CurveStack
    total: OfferCurve
    setpoint_kw: Floats
    adder: Floats
    price: float
    lowest: float
    highest: float
    slip: float

    def range_at(self, price: float) -> tuple[Floats, Floats]:
        """What each may do at a price, the last resort included: least and most."""
        slip, stack = self.slip, self.stack
        low, high = (stack.low(price - slip), stack.high(price + slip)) if slip else stack.span(price)
        return with_last_resort(self.problem, price + self.adder, low, high)

    def at_cap(self, price: float) -> Flags:
        """For each, whether its own price is the cap then."""
        return price + self.adder >= self.problem.price_cap - PRICE_PER_KWH

    def at_floor(self, price: float) -> Flags:
        """For each, whether its own price is the floor then."""
        return price + self.adder <= self.problem.price_floor + PRICE_PER_KWH


@dataclass(frozen=True, slots=True)
class _Choice:
    """What one side would trade at just the price: at least, at most, and what it does; sums of kW, >= 0."""

    least: float
    most: float
    actual: float

    @property
    def served(self) -> float:
        """What it is served of its choice."""
        return max(self.actual - self.least, 0.0)

    @property
    def free(self) -> float:
        """How much it has a choice of."""
        return self.most - self.least

    @property
    def partial(self) -> bool:
        """Whether it is served in part."""
        return self.served > POWER_KW and self.most - self.actual > POWER_KW


def _zone(case: _Case) -> Zone:
    target = float(case.setpoint_kw.sum())
    crossing = clear(case.total, target)
    lo, hi = max(crossing.price_lo, case.lowest), min(crossing.price_hi, case.highest)
    price = (
        case.price if not math.isnan(case.price) else lo if lo == hi else price_between(lo, hi, case.problem.k) or 0.0
    )
    low, high = case.range_at(price)
    supported = lo - PRICE_PER_KWH <= price <= hi + PRICE_PER_KWH and _within(case.setpoint_kw, low, high)
    unserved, spilled = _cut(case, price)
    buyers, sellers = _sides(low, high, case.setpoint_kw)
    marginal, theta, marginal_kw = _marginal(buyers, sellers) if lo >= hi - PRICE_PER_KWH else (None, None, 0.0)
    traded = max(buyers.actual, sellers.actual)
    return Zone(
        case.nodes,
        lo if supported else None,
        max(lo, hi) if supported else None,
        *_volumes(buyers, sellers, target),
        marginal=marginal if supported else None,
        marginal_kw=marginal_kw if supported else 0.0,
        theta=theta if supported else None,
        kind=_kind(traded, unserved + spilled, lo, hi, marginal) if supported else None,
        unserved_kw=unserved,
        spilled_kw=spilled,
    )


def _kind(traded: float, cut: float, lo: float, hi: float, marginal: Side | None) -> ClearingType:
    if traded <= POWER_KW:
        return "NULL"
    if cut > POWER_KW:
        return "FAILURE"
    if marginal == "BUYER":
        return "MARGINAL_BUYER"
    if marginal == "SELLER":
        return "MARGINAL_SELLER"
    return "EXACT" if marginal is None and hi - lo <= PRICE_PER_KWH else "MARGINAL_PRICE"


def _marginal(buyers: _Choice, sellers: _Choice) -> tuple[Side | None, float | None, float]:
    """The side that is served in part, the share it is served of its choice at the price, and how much that is."""
    partial = [side for side in (buyers, sellers) if side.partial]
    if not partial:
        return None, None, 0.0
    served, free = sum(side.served for side in partial), sum(side.free for side in partial)
    name: Side = "BOTH" if len(partial) == 2 else "BUYER" if buyers.partial else "SELLER"
    return name, served / free, served


def _sides(low: Floats, high: Floats, setpoint: Floats) -> tuple[_Choice, _Choice]:
    """Withdrawals and injections; who could do both counts on the side it is on, and on none where it rests."""
    both = (low < 0) & (high > 0)
    idle = both & (np.abs(setpoint) <= POWER_KW)
    sides = []
    for ends in ((-high, -low, -setpoint), (low, high, setpoint)):
        away = idle | (both & (ends[2] < 0))
        sides.append(_Choice(*(float(np.where(away, 0.0, np.maximum(kw, 0.0)).sum()) for kw in ends)))
    return sides[0], sides[1]


def _volumes(buyers: _Choice, sellers: _Choice, target: float) -> tuple[float, float]:
    """Least and greatest power traded: what is sold less what is bought stays what flows out."""
    least = max(sellers.least, buyers.least + target)
    most = min(sellers.most, buyers.most + target)
    coming_in = max(-target, 0.0)
    return max(least + coming_in, 0.0), max(most + coming_in, 0.0)


def _cut(case: _Case, price: float) -> tuple[float, float]:
    """Withdrawals cut at the cap and injections cut at the floor [kW]; without a cap or floor, those cut at no price."""
    stack = case.stack
    wanted = np.minimum(stack.low(price - PRICE_PER_KWH), 0.0)
    offered = np.maximum(stack.high(price + PRICE_PER_KWH), 0.0)
    short = np.maximum(np.minimum(case.setpoint_kw, 0.0) - wanted, 0.0)
    over = np.maximum(offered - np.maximum(case.setpoint_kw, 0.0), 0.0)
    at_cap = case.at_cap(price) | (case.setpoint_kw > stack.max_kw + POWER_KW)
    at_floor = case.at_floor(price) | (case.setpoint_kw < stack.min_kw - POWER_KW)
    return _told(np.where(at_cap, short, 0.0)), _told(np.where(at_floor, over, 0.0))


def _told(cut_kw: Floats) -> float:
    total = float(cut_kw.sum())
    return total if total > POWER_KW else 0.0


def _within(setpoint: Floats, low: Floats, high: Floats) -> bool:
    return bool(((setpoint >= low - POWER_KW) & (setpoint <= high + POWER_KW)).all())


def _cases(problem: Problem, clearing: Clearing) -> Iterator[_Case]:
    tree = problem.tree
    price = _numbers(clearing.price_per_kwh[name] for name in tree.names)
    setpoint = problem.in_order(clearing.setpoint_kw)
    adder = _own_adders(problem, clearing, price)
    zone = _zone_of(problem, clearing, price)
    group = zone[tree.offer_node]
    alone = as_seen(problem, adder).parted(group, len(zone))
    supply = by_group(problem, adder, group, len(zone))
    for top in sorted(set(zone.tolist())):
        inside = group == top
        lowest, highest = _around(problem, price, zone, top)
        yield _Case(
            problem,
            tuple(name for name, its in zip(tree.names, zone.tolist(), strict=True) if its == top),
            alone[top],
            aggregate(supply[top]),
            setpoint[inside],
            adder[inside],
            float(price[top]),
            lowest,
            highest,
            PRICE_PER_KWH / 2 if problem.linear else 0.0,  # programmes find prices to their tolerance
        )


def _zone_of(problem: Problem, clearing: Clearing, price: Floats) -> Ints:
    """By node, the highest node that shares its price; without a price, that no limit parts from it."""
    zone = np.zeros(len(price), np.intp)
    names = problem.tree.names
    for node, parent in enumerate(problem.tree.parent):
        here, above = price[node], price[parent]
        if math.isnan(here) and math.isnan(above):
            parted = clearing.binding[names[node]] is not None
        else:
            parted = not abs(here - above) <= PRICE_PER_KWH
        zone[node] = node if node == 0 or parted else zone[parent]
    return zone


def _around(problem: Problem, price: Floats, zone: Ints, top: int) -> tuple[float, float]:
    """What the bounds of prices and the zones around leave open: dearer below an import limit, cheaper below an export one."""
    lowest, highest = _bounds(problem)
    for node, parent in enumerate(problem.tree.parent):
        here, above = float(price[node]), float(price[parent])
        if node == 0 or zone[node] == zone[parent] or math.isnan(here) or math.isnan(above):
            continue
        if zone[node] == top:
            lowest, highest = (max(lowest, above), highest) if here > above else (lowest, min(highest, above))
        elif zone[parent] == top:
            lowest, highest = (lowest, min(highest, here)) if here > above else (max(lowest, here), highest)
    return lowest, highest


def _bounds(problem: Problem) -> tuple[float, float]:
    """The price floor and cap; nothing where adders lead a node's price beyond them."""
    if problem.adder_per_kwh.any() or problem.linear:
        return -math.inf, math.inf
    return problem.price_floor, problem.price_cap


def _own_adders(problem: Problem, clearing: Clearing, price: Floats) -> Floats:
    """By offer, what its price lies above its node's: as it was cleared, else as is known before."""
    paid = problem.in_order(clearing.participant_price)
    known = problem.adder_per_kwh - _linear_prices(problem, clearing) @ problem.weights
    cleared = np.round(paid - price[problem.tree.offer_node], 12)
    adder: Floats = np.where(np.isnan(cleared), known, cleared)
    return adder


def _linear_prices(problem: Problem, clearing: Clearing) -> Floats:
    return np.array([clearing.linear_price.get(limit.name, 0.0) for limit in problem.linear], dtype=float)


def _numbers(values: Iterable[float | None]) -> Floats:
    return np.array([math.nan if value is None else value for value in values], dtype=float)
