"""Does a clearing keep what a market promises?  Asked of its numbers alone, whatever computed them.

| condition | holds when                                                                                            |
|-----------|-------------------------------------------------------------------------------------------------------|
| range     | every set-point is within its curve's range, outside only towards zero at the price cap or floor; and   |
|           | nobody runs below its minimum                                                                         |
| curves    | every set-point is on its curve at its price; where there is no price, one exists that would do        |
| balance   | set-points at and below every node sum to minus its flow, and all of them to zero                      |
| limits    | every flow is within its limits, and every weighted sum within its linear limit                        |
| adders    | prices along the tree differ by the adders; an adder is positive only where the import limit is reached, |
|           | negative only where the export limit is                                                                |
| linear    | a linear limit has a price >= 0, positive only where the limit is reached; and everybody's price is     |
|           | its node's, plus its known adder, less price × weight of every linear limit                            |

Together they are sufficient for the greatest welfare within the limits, where known adders count as value (Σ adder ·
set-point).  The problem is convex, and these are its optimality conditions: each set-point is the best there is at its
price (range, curves); prices are one level, plus the known adder, plus a multiplier for every limit (adders, linear); a
multiplier has the sign that makes passing its limit dear, and is zero unless the limit is reached; and the set-points are
feasible (balance, limits).  So no solver has to be believed.

Offers that rest or run at a minimum are no convex problem: they are taken as the clearing has decided them (``gaps.decided``),
and whether other decisions were worth more is not certified.  One that runs below its minimum breaks its range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from sim.curves import Flags, Floats, clear
from sim.market import gaps
from sim.market.problem import Clearing, Problem
from sim.tolerances import POWER_KW, PRICE_PER_KWH


@dataclass(frozen=True, slots=True)
class Violation:
    """One condition broken.  who: era, node or linear limit.  amount: by how much, in kW, currency per kWh, or the
    limit's unit."""

    condition: str
    who: str
    what: str
    amount: float


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was found wrong; certified if that is nothing."""

    violations: tuple[Violation, ...]

    @property
    def certified(self) -> bool:
        """Whether every condition holds."""
        return not self.violations


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    """A clearing laid out along its problem's offers and nodes.  A missing price, or set-point, is NaN.

    problem: as it was decided.  own_adder: by offer, what its price should lie above its node's.  minimum_kw: by offer, what
    it cannot run below.
    """

    problem: Problem
    clearing: Clearing
    setpoint_kw: Floats
    price: Floats
    node_price: Floats
    flow_kw: Floats
    linear_price: Floats
    own_adder: Floats
    minimum_kw: Floats

    @classmethod
    def of(cls, problem: Problem, clearing: Clearing) -> _Case:
        minimum = np.array([offer.min_run_kw for offer in problem.offers], dtype=float)
        if minimum.any() and all(offer.era in clearing.setpoint_kw for offer in problem.offers):
            problem = gaps.decided(problem, clearing)
        eras = [offer.era for offer in problem.offers]
        setpoint = _numbers(clearing.setpoint_kw.get(era) for era in eras)
        prices = _numbers(clearing.linear_price.get(limit.name) for limit in problem.linear)
        return cls(
            problem,
            clearing,
            setpoint,
            _numbers(clearing.participant_price.get(era) for era in eras),
            _numbers(clearing.price_per_kwh.get(node) for node in problem.tree.names),
            -problem.tree.power_kw(setpoint),
            prices,
            problem.adder_per_kwh - np.nan_to_num(prices) @ problem.weights,
            minimum,
        )

    def era(self, index: int) -> str:
        return self.problem.offers[index].era


def certify(problem: Problem, clearing: Clearing) -> Certificate:
    """All violations of all conditions, condition by condition, in the order of the offers and nodes."""
    case = _Case.of(problem, clearing)
    found = ((name, violation) for name, check in CONDITIONS.items() for violation in check(case))
    return Certificate(tuple(Violation(name, who, what, amount) for name, (who, what, amount) in found))


_Finding = tuple[str, str, float]


def _range(case: _Case) -> Iterator[_Finding]:
    """A set-point may leave its curve's range only as the last resort: towards zero, at the cap or floor."""
    least, most = case.problem.stack.min_kw, case.problem.stack.max_kw
    at_cap, at_floor = _at_last_resort(case)
    least = np.where(at_floor, np.minimum(least, 0.0), least)
    most = np.where(at_cap, np.maximum(most, 0.0), most)
    yield from _outside(case, least, most, "its range")
    amount = np.abs(case.setpoint_kw)
    for index in np.flatnonzero((amount > POWER_KW) & (amount < case.minimum_kw - POWER_KW)).tolist():
        minimum, kw = float(case.minimum_kw[index]), float(amount[index])
        yield case.era(index), f"runs with {kw:g} kW, and cannot below {minimum:g} kW", minimum - kw
    for index in np.flatnonzero(np.isnan(case.setpoint_kw)).tolist():
        yield case.era(index), "has no set-point", math.nan


def _curves(case: _Case) -> Iterator[_Finding]:
    """Whoever has a price is on its curve there; the others could all be, at prices the limits allow."""
    price = np.where(np.isnan(case.price), 0.0, case.price)
    least = case.problem.stack.low(price - PRICE_PER_KWH)
    most = case.problem.stack.high(price + PRICE_PER_KWH)
    at_cap, at_floor = _at_last_resort(case)
    least = np.where(at_floor, np.minimum(least, 0.0), least)
    most = np.where(at_cap, np.maximum(most, 0.0), most)
    # Beyond the cap or floor, where known adders lead, the last resort is worth taking in full.
    most = np.where(case.price < case.problem.price_floor - PRICE_PER_KWH, np.minimum(most, 0.0), most)
    least = np.where(case.price > case.problem.price_cap + PRICE_PER_KWH, np.maximum(least, 0.0), least)
    priced = ~np.isnan(case.price)
    yield from _outside(
        case, np.where(priced, least, -np.inf), np.where(priced, most, np.inf), "its curve at its price"
    )
    yield from _unsupported(case)


def _balance(case: _Case) -> Iterator[_Finding]:
    """What flows into a node is what is withdrawn at and below it; nothing flows into the root."""
    for node, flow in zip(case.problem.tree.names, case.flow_kw.tolist(), strict=True):
        claimed = case.clearing.flow_kw.get(node, math.nan)
        if not abs(claimed - flow) <= POWER_KW:
            yield node, f"flow is given as {claimed:g} kW, but {flow:g} kW are withdrawn", abs(claimed - flow)
    if not abs(case.flow_kw[0]) <= POWER_KW:
        what = f"all set-points sum to {-case.flow_kw[0]:g} kW, and not to zero"
        yield case.problem.tree.names[0], what, float(abs(case.flow_kw[0]))


def _limits(case: _Case) -> Iterator[_Finding]:
    tree = case.problem.tree
    for node, flow in enumerate(case.flow_kw.tolist()):
        import_limit, export_limit = 0.0 - float(tree.lower_kw[node]), float(tree.upper_kw[node])
        if flow > import_limit + POWER_KW:
            yield tree.names[node], f"imports {flow:g} kW of {import_limit:g} kW", flow - import_limit
        if -flow > export_limit + POWER_KW:
            yield tree.names[node], f"exports {-flow:g} kW of {export_limit:g} kW", -flow - export_limit
    for limit, value in zip(case.problem.linear, _linear_values(case), strict=True):
        if value > limit.most + limit.tolerance:
            yield limit.name, f"is {value:g}, and at most {limit.most:g} is allowed", value - limit.most


def _adders(case: _Case) -> Iterator[_Finding]:
    tree = case.problem.tree
    for node, name in enumerate(tree.names):
        adder = case.clearing.adder_per_kwh.get(name, math.nan)
        step = 0.0 if node == 0 else float(case.node_price[node] - case.node_price[tree.parent[node]])
        expected = 0.0 if math.isnan(step) else step
        if not abs(adder - expected) <= PRICE_PER_KWH:
            yield name, f"adder is given as {adder:g}, but prices differ by {expected:g}", abs(adder - expected)
        may_rise, may_fall = _may_part(case, node)
        if expected > PRICE_PER_KWH and not may_rise:
            yield name, f"adder {expected:g}, but the import limit is not reached", expected
        if expected < -PRICE_PER_KWH and not may_fall:
            yield name, f"adder {expected:g}, but the export limit is not reached", -expected


def _linear(case: _Case) -> Iterator[_Finding]:
    values, prices = _linear_values(case), case.linear_price.tolist()
    for limit, value, price in zip(case.problem.linear, values, prices, strict=True):
        claimed = case.clearing.linear_value.get(limit.name, math.nan)
        if not abs(claimed - value) <= limit.tolerance:
            yield limit.name, f"is given as {claimed:g}, but the set-points make {value:g}", abs(claimed - value)
        if not price >= 0:
            yield limit.name, f"has the price {price:g}, which is not one >= 0", abs(price)
        if price * limit.scale > PRICE_PER_KWH and value < limit.most - limit.tolerance:
            yield limit.name, f"has the price {price:g}, but the limit is not reached", price
    expected = case.node_price[case.problem.tree.offer_node] + case.own_adder
    known = ~np.isnan(case.price) & ~np.isnan(expected)
    off = np.where(known, np.abs(case.price - expected), 0.0)
    for index in np.flatnonzero(~(off <= PRICE_PER_KWH)).tolist():
        what = f"price is {case.price[index]:g}, but its node, adder and limits make {expected[index]:g}"
        yield case.era(index), what, float(off[index])


def _linear_values(case: _Case) -> list[float]:
    values: list[float] = (case.problem.weights @ case.setpoint_kw).tolist()
    return values


def _unsupported(case: _Case) -> Iterator[_Finding]:
    """Nodes without a price: is there any set of prices that puts everybody there on its curve?

    Each node has a range of prices that would do, for a participant's price is its node's plus what is known.  From the
    leaves up, a parent's range is cut to what its child's allows: a child's price is above its parent's only at the
    import limit, below it only at the export limit.
    """
    tree, unpriced = case.problem.tree, np.isnan(case.node_price)
    lowest = np.where(unpriced, -np.inf, case.node_price).tolist()
    highest = np.where(unpriced, np.inf, case.node_price).tolist()
    for index in np.flatnonzero(np.isnan(case.price) & ~np.isnan(case.setpoint_kw)).tolist():
        lo, hi = (own - float(case.own_adder[index]) for own in _supporting_prices(case, index))
        node = int(tree.offer_node[index])
        lowest[node], highest[node] = max(lowest[node], lo), min(highest[node], hi)
    for node in range(len(tree.names) - 1, -1, -1):
        parent = tree.parent[node]
        gap = lowest[node] - highest[node]
        if gap > PRICE_PER_KWH:
            yield tree.names[node], "no price puts its set-points on their curves", gap
        elif node and (unpriced[node] or unpriced[parent]):
            may_rise, may_fall = _may_part(case, node)
            lowest[parent] = lowest[parent] if may_rise else max(lowest[parent], lowest[node])
            highest[parent] = highest[parent] if may_fall else min(highest[parent], highest[node])


def _supporting_prices(case: _Case, index: int) -> tuple[float, float]:
    """All prices at which this offer's set-point is on its curve, last resort included."""
    curve, setpoint = case.problem.offers[index].curve, float(case.setpoint_kw[index])
    lo = clear(curve, setpoint - POWER_KW).price_lo
    hi = clear(curve, setpoint + POWER_KW).price_hi
    return min(lo, case.problem.price_cap), max(hi, case.problem.price_floor)


def _may_part(case: _Case, node: int) -> tuple[bool, bool]:
    """Whether this node's price may be (above, below) its parent's: only where that limit is reached."""
    flow, tree = case.flow_kw[node], case.problem.tree
    return bool(flow >= -tree.lower_kw[node] - POWER_KW), bool(-flow >= tree.upper_kw[node] - POWER_KW)


def _at_last_resort(case: _Case) -> tuple[Flags, Flags]:
    """For each offer, whether its price is (the cap, the floor); no price may be an infinite one."""
    cap, floor, unpriced = case.problem.price_cap, case.problem.price_floor, np.isnan(case.price)
    at_cap = (case.price >= cap - PRICE_PER_KWH) | (unpriced & math.isinf(cap))
    at_floor = (case.price <= floor + PRICE_PER_KWH) | (unpriced & math.isinf(floor))
    return at_cap, at_floor


def _outside(case: _Case, least: Floats, most: Floats, what: str) -> Iterator[_Finding]:
    beyond = np.maximum(least - case.setpoint_kw, case.setpoint_kw - most)
    for index in np.flatnonzero(beyond > POWER_KW).tolist():
        span = f"{least[index]:g} kW" if least[index] == most[index] else f"{least[index]:g}..{most[index]:g} kW"
        yield case.era(index), f"{case.setpoint_kw[index]:g} kW is off {what}: {span}", float(beyond[index])


def _numbers(values: Iterator[float | None]) -> Floats:
    return np.array([math.nan if value is None else value for value in values], dtype=float)


CONDITIONS: Mapping[str, Callable[[_Case], Iterator[_Finding]]] = MappingProxyType(
    {"range": _range, "curves": _curves, "balance": _balance, "limits": _limits, "adders": _adders, "linear": _linear}
)
"""The conditions by name, in the order in which they are checked."""
