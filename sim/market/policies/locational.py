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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sim import curves
from sim.curves import SAME_KW, Crossing, CurveStack, Flags, Floats, Ints, OfferCurve, Plateau
from sim.errors import Fault, MarketError
from sim.market import offered, programme
from sim.market.policy import Policy
from sim.market.problem import Clearing, Direction, Limit, Problem, Tree, record
from sim.tolerances import POWER_KW, PRICE_PER_KWH


def clear(problem: Problem) -> Clearing:
    """The clearing that maximises welfare, with known adders counted as value, within all limits; a price at every node.

    A linear limit that the optimum on the tree keeps anyway costs nothing.  Otherwise linear programmes find the price of
    each (one at a vertex of all that would do, the same for every order of the offers); it is from then on a known adder,
    and everything else is as on the tree, ``k`` included.
    Raises ``MarketError`` that names the linear limits which nothing could keep.
    """
    return recorded(problem, "locational", optimum(problem))


def optimum(problem: Problem) -> Outcome:
    """What ``clear`` records.  Raises ``MarketError`` that names the linear limits which nothing could keep."""
    outcome = on_tree(problem)
    return _within_linear_limits(problem) if problem.exceeded(outcome.setpoint_kw) else outcome


def recorded(problem: Problem, policy: str, outcome: Outcome, notes: tuple[str, ...] = ()) -> Clearing:
    """An outcome as the clearing of a policy."""
    node_price = outcome.node_price
    at_node = [node_price[node] for node in problem.tree.offer_node.tolist()]
    own = [p if p is None else _added(p, adder) for p, adder in zip(at_node, outcome.adder.tolist(), strict=True)]
    low, high = outcome.low_kw, outcome.high_kw
    left_a_choice = (high - low > POWER_KW) & ~problem.is_slack & np.array([p is not None for p in own], dtype=bool)
    return record(
        problem,
        policy,
        outcome.setpoint_kw,
        node_price=node_price,
        participant_price=own,
        held=outcome.held,
        offset_kw=np.where(left_a_choice, np.clip(outcome.setpoint_kw, low, high) - low, 0.0),
        linear_price=outcome.linear_price,
        notes=notes,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """A market cleared.  adder: by offer, what its price lies above its node's.  low_kw, high_kw: what its curve leaves
    open at its price, the last resort aside.  named: by node, the price, whether or not there is anything to trade at it;
    None where nobody named one."""

    setpoint_kw: Floats
    held: tuple[Direction | None, ...]
    node_price: list[float | None]
    named: list[float | None]
    adder: Floats
    low_kw: Floats
    high_kw: Floats
    linear_price: Floats


def without_limits(problem: Problem, adder: Floats) -> Problem:
    """The same market where nothing limits a flow and everybody has another known adder (0 for the slack)."""
    offers = problem.offers
    if not np.array_equal(adder, problem.adder_per_kwh):
        offers = tuple(replace(offer, adder_per_kwh=own) for offer, own in zip(offers, adder.tolist(), strict=True))
    return replace(
        problem,
        offers=offers,
        limits=tuple(Limit(limit.node, limit.parent) for limit in problem.limits),
        linear=(),
    )


def on_tree(problem: Problem) -> Outcome:
    """The optimum within the limits of the tree; linear limits are not looked at."""
    tree, adder = problem.tree, problem.adder_per_kwh
    market = _hold(tree, _by_node(problem, adder), _Bounds(tree.lower_kw, tree.upper_kw), _price_rule(problem, adder))
    price = market.price[tree.offer_node]
    # Curves are asked as they were added up: moved to the price of the node.
    low, high = offered.as_seen(problem, adder).span(price)
    setpoint, held = _share(tree, offered.plateau(problem, price + adder, low, high), market)
    return _outcome(problem, market, setpoint, held, adder, low, high)


def _within_linear_limits(problem: Problem) -> Outcome:
    """The optimum within all limits: the linear ones are priced by programmes, and shares kept within them by another."""
    tree, places = problem.tree, _Places.of(problem)
    optimum = places.optimum(problem)
    linear_price = _linear_price(problem, optimum)
    adder = problem.adder_per_kwh - linear_price @ problem.weights
    market = _hold(tree, _by_node(problem, adder), _Bounds(tree.lower_kw, tree.upper_kw), _price_rule(problem, adder))
    plateau, low, high = offered.choices(problem, market.price[tree.offer_node] + adder)
    powers, place_price = places.share(problem.rows.most, plateau, optimum.powers, _parting(market, linear_price))
    binding = _directions(place_price, len(market.held))
    held = tuple(by_price or by_share for by_price, by_share in zip(market.held, binding, strict=True))
    setpoint = plateau.split(places.place, np.round(powers, _POWER_DECIMALS))
    return _outcome(problem, market, setpoint, held, adder, low, high, linear_price)


def _linear_price(problem: Problem, optimum: programme.Solution) -> Floats:
    """What one unit more of each linear limit is worth."""
    scale = np.array([limit.scale for limit in problem.linear])
    heaviest = np.round(optimum.row_price[-len(scale) :] * scale, curves.PRICE_DECIMALS)
    price: Floats = np.where(heaviest > PRICE_PER_KWH, heaviest / scale, 0.0)
    return price


def _parting(market: _Held, linear_price: Floats) -> Flags:
    """Of all limits (``Problem.rows``), those that have a price."""
    by_way = [[held == way for held in market.held] for way in ("FORWARD", "REVERSE")]
    return np.concatenate((*by_way, linear_price > 0)).astype(bool)


def _outcome(
    problem: Problem,
    market: _Held,
    setpoint: Floats,
    held: tuple[Direction | None, ...],
    adder: Floats,
    low: Floats,
    high: Floats,
    linear_price: Floats | None = None,
) -> Outcome:
    named = [price if ok else None for price, ok in zip(market.price.tolist(), market.named.tolist(), strict=True)]
    known = _published(problem.tree, market, setpoint, problem.curtailed_kw(setpoint))
    price = [p if ok else None for p, ok in zip(named, known.tolist(), strict=True)]
    prices = np.zeros(len(problem.linear)) if linear_price is None else linear_price
    return Outcome(setpoint, held, price, named, adder, low, high, prices)


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Places of the grid (``offered.places``).  The offers of one are one.

    place: of each offer.  matrix: all limits (``Problem.rows``), one column per place.
    """

    place: Ints
    count: int
    matrix: Floats

    @classmethod
    def of(cls, problem: Problem) -> _Places:
        """The places of a problem."""
        place, first = offered.places(problem)
        return cls(place, len(first), problem.rows.matrix[:, first])

    def optimum(self, problem: Problem) -> programme.Solution:
        """Powers of the places, and prices of the limits."""
        adder = problem.adder_per_kwh
        supply = [curves.aggregate(here) for here in offered.by_group(problem, adder, self.place, self.count)]
        most = problem.rows.most
        system = programme.System(self.matrix, most, np.zeros(len(most), dtype=bool))
        solution = programme.solve(supply, system, PRICE_PER_KWH / 10)
        if solution is None:
            is_linear = np.arange(len(most)) >= len(most) - len(problem.linear)
            raise unmet(problem, programme.excess(supply, system, is_linear)[is_linear])
        return solution

    def share(self, most: Floats, plateau: Plateau, optimum_kw: Floats, parting: Flags) -> tuple[Floats, Floats]:
        """Powers of the places where prices leave a choice, and by limit what it costs in places of the queue.

        The market is held again, for places in a queue (``Plateau.as_curves``).  Who has no choice to speak of does what
        it does in the optimum that was found, which is why there always is an answer.
        """
        queues = plateau.as_curves(self.place, self.count)
        free = np.array([queue.max_kw - queue.min_kw > POWER_KW for queue in queues], dtype=bool)
        if not free.any():
            return optimum_kw, np.zeros(len(most))
        values = self.matrix @ optimum_kw
        rest = self.matrix[:, ~free] @ optimum_kw[~free]
        system = programme.System(
            self.matrix[:, free],
            np.where(parting, values, np.maximum(values, most)) - rest,
            parting,
            float(optimum_kw[free].sum()),
        )
        chosen = [
            _reaching(queue, kw) for queue, kw, ok in zip(queues, optimum_kw.tolist(), free.tolist(), strict=True) if ok
        ]
        solution = programme.solve(chosen, system, _SAME_SHARE)
        if solution is None:
            raise MarketError("market", "no set-points on the curves keep the linear limits at the prices found")
        powers = optimum_kw.copy()
        powers[free] = solution.powers
        return powers, solution.row_price


def _reaching(queue: OfferCurve, power_kw: float) -> OfferCurve:
    """A queue that reaches a power which rounding has put just beyond its end."""
    powers = queue.powers.copy()
    powers[0], powers[-1] = min(queue.min_kw, power_kw), max(queue.max_kw, power_kw)
    return OfferCurve(queue.prices, powers)


def unmet(problem: Problem, beyond: Floats) -> MarketError:
    """That nothing keeps the linear limits, by how much each is exceeded at least; the tree's, doing nothing keeps."""
    faults = tuple(
        Fault(f"linear/{index}/most", f"{limit.name} cannot be kept: it is exceeded by {by:g} at least")
        for index, (limit, by) in enumerate(zip(problem.linear, beyond.tolist(), strict=True))
        if by > limit.tolerance / 1000
    )
    return MarketError("market", faults or "the linear limits cannot be kept together")


_POWER_DECIMALS = 10
"""Of the powers [kW] that a programme finds; below, there is only its rounding."""

_SAME_SHARE = 1e-7
"""Shares that are equal differ by less than this part of what can be shared."""


def _directions(row_price: Floats, nodes: int) -> Iterator[Direction | None]:
    """By node, which of its limits has a price."""
    for forward, reverse in zip(row_price[:nodes].tolist(), row_price[nodes : 2 * nodes].tolist(), strict=True):
        yield "FORWARD" if forward > _SAME_SHARE else "REVERSE" if reverse > _SAME_SHARE else None


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


def _hold(tree: Tree, supply: Sequence[Sequence[OfferCurve | CurveStack]], bounds: _Bounds, rule: _Rule) -> _Held:
    """Prices at which the sum at and below every node stays within its bounds, and that at the root is zero."""
    lower, upper = bounds.lower_kw.tolist(), bounds.upper_kw.tolist()
    total: list[OfferCurve] = [curves.aggregate([])] * len(supply)
    below: list[OfferCurve] = []
    for node in reversed(range(len(supply))):
        below = [curves.clip(total[child], -lower[child], upper[child]) for child in tree.children[node]]
        if node:
            total[node] = curves.aggregate([*supply[node], *below])
    chosen, zone = [rule(CurveStack([*supply[0], *below]).crossing())], [0]
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


def _price_rule(problem: Problem, adder: Floats) -> _Rule:
    """Between the lowest and the highest price that anybody, or the price floor and cap, has named.

    The last resort is at the price floor and cap of the participant; its node is an adder below.
    """
    floor, cap = problem.price_floor, problem.price_cap
    offsets = {0.0, *adder.tolist()}
    floors, caps = ({offered.at_node(end, offset) for offset in offsets} for end in (floor, cap))

    def rule(crossing: Crossing) -> _Chosen:
        lo = max(crossing.price_lo, min(floor, crossing.price_hi))
        hi = min(crossing.price_hi, max(cap, crossing.price_lo))
        if lo < hi and lo in floors and hi in caps:
            return _Chosen(curves.price_inside(lo, hi), named=False)
        price = curves.price_between(lo, hi, problem.k)
        return _Chosen(lo, named=False) if price is None else _Chosen(price, named=True)

    return rule


def _place_rule(crossing: Crossing) -> _Chosen:
    lo, hi = crossing.price_lo, crossing.price_hi
    return _Chosen(curves.price_inside(lo, hi) if lo < hi else lo, named=True)


def _by_node(problem: Problem, adder: Floats) -> list[list[OfferCurve | CurveStack]]:
    return offered.by_group(problem, adder, problem.tree.offer_node, len(problem.tree.names))


def _added(price: float, adder: float) -> float:
    """The price of somebody with this adder, where the node's is this."""
    return round(price + adder, curves.PRICE_DECIMALS) if adder else price


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


def _published(tree: Tree, market: _Held, setpoint: Floats, curtailed: Floats) -> Flags:
    """The nodes with a price: nobody may have named one, and where nothing is traded or cut there is none."""
    count, zone = len(tree.names), market.zone
    moved = np.bincount(zone[tree.offer_node], np.abs(setpoint) + np.abs(curtailed), minlength=count)
    flow = np.abs(tree.power_kw(setpoint))
    for node, parent in enumerate(tree.parent):
        if market.held[node]:
            moved[[node, zone[parent]]] += flow[node]
    known: Flags = market.named & (moved[zone] > POWER_KW)
    return known


POLICY = Policy(
    "locational",
    clear,
    frozenset(
        {"balance", "curves", "range", "adders", "limits", "linear", "rational", "money", "solvent", "efficient"}
    ),
    "PAY_AS_CLEAR",
    "a price at every node; the optimum within all limits",
    source="Schweppe, Caramanis, Tabors and Bohn, Spot Pricing of Electricity, 1988, on a tree",
)
