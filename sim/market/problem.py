"""A market problem and its clearing: what goes into a policy and what comes out, whatever the policy.

The grid is a tree of nodes; each node but the root hangs below a parent through a transformer with a limit in each
direction.  Offers sit at nodes.  Power is + = injection; the flow of a node is + = import from its parent.  What a tree
cannot say (a voltage, a line of a mesh) is a linear limit beside it: a weighted sum of set-points that may not be more.

A participant's own price is its node's, plus its known adder, less price × weight of every linear limit.

A clearing always exists, because as a last resort every withdrawal may drop to zero at the price cap and every injection
at the price floor.  Without a cap or floor the last resort has no price.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias, get_args

import numpy as np

from sim.curves import CurveStack, Flags, Floats, Ints, OfferCurve, clear
from sim.errors import Fault, MarketError, nearest
from sim.rng import stream
from sim.tolerances import POWER_KW, PRICE_PER_KWH

Direction: TypeAlias = Literal["FORWARD", "REVERSE"]
"""In which direction a limit holds the flow: FORWARD is import from the parent, REVERSE is export to it."""

Sharing: TypeAlias = Literal["PRO_RATA", "EQUAL_SHARE", "TIME_PRIORITY", "LOTTERY"]
"""How those share whom a price leaves a choice: pro rata to what each could take · the same kW until it has all it could
take · in the order of the offers · in an order that is drawn."""

DEFAULT_NODE = "grid"


@dataclass(frozen=True, slots=True)
class Offer:
    """What one participant (era) would do at each price, and at which node of the grid.

    baseline_kw: what it would do if nobody coordinated; if not given, the most it could: a load takes all it can, a
    generator gives all it can, and what could do both rests.
    adder_per_kwh: what its own price lies above its node's, known before the market clears (losses that it saves).
    min_run_kw: what it cannot run below, >= 0, unless it rests: a car charges with 6 A at least.  Between them its curve
    is what would be best if it could.
    """

    era: str
    node: str
    curve: OfferCurve
    baseline_kw: float | None = None
    adder_per_kwh: float = 0.0
    min_run_kw: float = 0.0

    @property
    def uncoordinated_kw(self) -> float:
        """The baseline, given or not."""
        if self.baseline_kw is not None:
            return self.baseline_kw
        if self.curve.max_kw <= 0:
            return self.curve.min_kw
        return self.curve.max_kw if self.curve.min_kw >= 0 else 0.0


@dataclass(frozen=True, slots=True)
class Limit:
    """A node of the tree, and how much may flow through the transformer above it: import >= 0, export >= 0 [kW].

    Nothing lies above the root (parent None), so that its limits hold nothing back.
    distance: electrical distance to the parent >= 0, in whatever unit a fee is stated per (1 counts transformers).
    adder_per_kwh: what the node has announced that its price lies above its parent's [currency/kWh], signed; only policies
    that broadcast prices look at it, the others find their own.
    """

    node: str
    parent: str | None = None
    import_limit_kw: float = math.inf
    export_limit_kw: float = math.inf
    distance: float = 1.0
    adder_per_kwh: float = 0.0


@dataclass(frozen=True, slots=True)
class LinearLimit:
    """``Σ weight · set-point <= most``: a voltage (pu per kW), or a line of a mesh (its share of each injection).

    weight: by era, 0 for whom it does not name.  most: in the unit of weight × kW.
    """

    name: str
    weight: Mapping[str, float]
    most: float

    @property
    def tolerance(self) -> float:
        """How far its sum may be off, in its own unit: what ``POWER_KW`` of the heaviest set-point makes."""
        return POWER_KW * self.scale

    @property
    def scale(self) -> float:
        """The largest weight without its sign; 1 if there is none."""
        return max((abs(weight) for weight in self.weight.values()), default=0.0) or 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """All limits as rows of ``matrix @ set-points <= most``: import of every node, then export, then the linear limits.

    The root's rows are there and hold nothing back (``most`` is infinite).
    """

    matrix: Floats
    most: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """The nodes in an order in which parents come before their children, so that node 0 is the root.

    parent, children: by node.  lower_kw, upper_kw: the range of the sum of set-points at and below each node, that is
    -import limit and +export limit; infinite at the root.  offer_node: node of each offer.
    """

    names: tuple[str, ...]
    parent: tuple[int, ...]
    children: tuple[tuple[int, ...], ...]
    lower_kw: Floats
    upper_kw: Floats
    offer_node: Ints

    def power_kw(self, setpoint_kw: Floats) -> Floats:
        """The sum of set-points at and below each node; the flow through the transformer above it is minus that."""
        total = np.bincount(self.offer_node, setpoint_kw, minlength=len(self.names)).tolist()
        for node in range(len(total) - 1, 0, -1):
            total[self.parent[node]] += total[node]
        return np.array(total, dtype=float)

    def below(self, node: int) -> Flags:
        """For each offer, whether it sits at or below this node."""
        inside = [index == node for index in range(len(self.names))]
        for index in range(node + 1, len(inside)):
            inside[index] = inside[self.parent[index]]
        return np.array(inside)[self.offer_node]


@dataclass(frozen=True)
class Problem:
    """Offers on a tree of limits: everything a clearing policy may look at.

    limits: the nodes; without any there is one, named by the offers.  k: where in a range of prices that all clear the
    price is chosen, 0 lowest to 1 highest.  price_floor, price_cap: last-resort prices.  slack: era of the supplier that
    takes what the others leave, at the root.  linear: limits beside the tree; they need a price floor and a price cap,
    for what has to be cut to keep them would have no price.  interval: its number in a run; None for a market by itself.
    sharing: who gets what where the price leaves a choice.  seed: of the order that a lottery draws.
    Raises ``MarketError`` with every fault; its place is ``offers/3``, ``limits/2`` or ``linear/1/weight/ev-7``.
    """

    offers: tuple[Offer, ...]
    limits: tuple[Limit, ...] = ()
    k: float = 0.5
    price_floor: float = -math.inf
    price_cap: float = math.inf
    slack: str | None = None
    linear: tuple[LinearLimit, ...] = ()
    interval: int | None = None
    sharing: Sharing = "PRO_RATA"
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.limits:
            object.__setattr__(self, "limits", (Limit(self.offers[0].node if self.offers else DEFAULT_NODE),))
        faults = (*_price_faults(self), *_limit_faults(self.limits), *_offer_faults(self), *_linear_faults(self))
        if faults:
            raise MarketError("market", faults)

    @cached_property
    def tree(self) -> Tree:
        """The nodes, parents first, otherwise in the order given."""
        order = _parents_first(self.limits)
        place = {limit.node: index for index, limit in enumerate(order)}
        parent = tuple(-1 if limit.parent is None else place[limit.parent] for limit in order)
        return Tree(
            tuple(place),
            parent,
            tuple(tuple(c for c, above in enumerate(parent) if above == node) for node in range(len(order))),
            np.array([-math.inf, *(-limit.import_limit_kw for limit in order[1:])]),
            np.array([math.inf, *(limit.export_limit_kw for limit in order[1:])]),
            np.array([place[offer.node] for offer in self.offers], dtype=np.intp),
        )

    @cached_property
    def stack(self) -> CurveStack:
        """The curves of all offers, to be asked together."""
        return CurveStack([offer.curve for offer in self.offers])

    @cached_property
    def is_slack(self) -> Flags:
        """For each offer, whether it is the slack's."""
        return np.array([offer.era == self.slack for offer in self.offers], dtype=bool)

    @cached_property
    def adder_per_kwh(self) -> Floats:
        """For each offer, its known adder."""
        return np.array([offer.adder_per_kwh for offer in self.offers], dtype=float)

    @cached_property
    def rank(self) -> Floats:
        """For each offer, how many are served before it where they share in turn.

        Of a lottery everybody draws alone, so that one more participant changes nobody's place against another.
        """
        if self.sharing != "LOTTERY":
            return np.arange(float(len(self.offers)))
        drawn = [(float(stream(self.seed, "lottery", offer.era).uniform()), offer.era) for offer in self.offers]
        rank = np.empty(len(drawn))
        rank[sorted(range(len(drawn)), key=drawn.__getitem__)] = np.arange(float(len(drawn)))
        return rank

    @cached_property
    def weights(self) -> Floats:
        """For each linear limit and each offer, its weight."""
        rows = [[limit.weight.get(offer.era, 0.0) for offer in self.offers] for limit in self.linear]
        return np.array(rows, dtype=float).reshape(len(self.linear), len(self.offers))

    @cached_property
    def rows(self) -> Rows:
        """All limits, of the tree and beside it, as one system of inequalities."""
        tree = self.tree
        inside = np.array([tree.below(node) for node in range(len(tree.names))], dtype=float)
        most = [limit.most for limit in self.linear]
        return Rows(
            np.concatenate((-inside, inside, self.weights)), np.concatenate((-tree.lower_kw, tree.upper_kw, most))
        )

    def in_order(self, by_era: Mapping[str, float | None]) -> Floats:
        """Values of all eras in the order of the offers; NaN where there is none."""
        values = (by_era[offer.era] for offer in self.offers)
        return np.array([math.nan if value is None else value for value in values], dtype=float)

    def exceeded(self, setpoint_kw: Floats) -> bool:
        """Whether these set-points exceed any linear limit."""
        values = (self.weights @ setpoint_kw).tolist()
        return any(value > limit.most + limit.tolerance for limit, value in zip(self.linear, values, strict=True))

    def curtailed_kw(self, setpoint_kw: Floats) -> Floats:
        """By how much each set-point lies beyond the range of its curve; + = less is withdrawn than it ever offered."""
        curtailed: Floats = setpoint_kw - np.clip(setpoint_kw, self.stack.min_kw, self.stack.max_kw)
        return curtailed

    def welfare(self, setpoint_kw: Floats) -> float:
        """Value of all withdrawals minus cost of all injections [currency/h]; see ``CurveStack.welfare``.

        What was cut beyond a curve's own range is valued at the price cap or floor; it has no value where there is none.
        """
        outside = self.curtailed_kw(setpoint_kw)
        last_resort = np.where(outside > 0, self.price_cap, self.price_floor)
        cut = np.where(np.isfinite(last_resort) & (outside != 0), last_resort, 0.0) * outside
        return float(self.stack.welfare(setpoint_kw).sum() - cut.sum())


@dataclass(frozen=True, slots=True)
class Deal:
    """Power that one participant sells to another, >= 0, and what each side pays or gets for a kWh of it.

    Where the two prices differ, somebody between them keeps the difference (a grid fee, a spread).
    """

    seller: str
    buyer: str
    kw: float
    paid_per_kwh: float
    received_per_kwh: float


@dataclass(frozen=True, slots=True)
class Clearing:
    """The outcome of one market: set-points, prices and flows.  Powers in kW, prices in currency per kWh.

    price_per_kwh: by node; None where no price is determined.  adder_per_kwh: price of the node minus that of its parent,
    so that adders add up along a path; 0 where either has no price.  setpoint_kw, participant_price: by era.
    offset_kw: set-point minus power just below the price, of those whom the price leaves a choice.
    curtailed_kw: set-point minus the nearest power of its own curve; + = a withdrawal was cut.
    flow_kw: by node, + = import from its parent.  binding: by node, which limit held somebody back.
    quantity_kw: traded, half the sum of all set-points without their signs.  welfare: currency per hour.
    linear_price: by linear limit, what one unit more of it would be worth [currency/h], >= 0.  linear_value: by linear
    limit, its weighted sum of the set-points.
    deals: who trades with whom, where the policy knows that.  accounts: by name, what is left with somebody who is no
    participant [currency/h], negative where he pays in: a rent, a fee, a subsidy; with what the participants receive at
    their prices it sums to zero.
    """

    policy: str
    price_per_kwh: Mapping[str, float | None]
    adder_per_kwh: Mapping[str, float]
    setpoint_kw: Mapping[str, float]
    participant_price: Mapping[str, float | None]
    offset_kw: Mapping[str, float]
    curtailed_kw: Mapping[str, float]
    flow_kw: Mapping[str, float]
    binding: Mapping[str, Direction | None]
    quantity_kw: float
    welfare: float
    notes: tuple[str, ...] = ()
    linear_price: Mapping[str, float] = field(default_factory=dict)
    linear_value: Mapping[str, float] = field(default_factory=dict)
    deals: tuple[Deal, ...] = ()
    accounts: Mapping[str, float] = field(default_factory=dict)


ClearingPolicy: TypeAlias = Callable[[Problem], Clearing]


def slack_prices(problem: Problem) -> tuple[float, float] | None:
    """The tariff in the slack's curve: (lowest price at which it injects, highest at which it withdraws).

    Infinite where it never does; None without a slack.
    """
    for offer in problem.offers:
        if offer.era == problem.slack:
            resting = clear(offer.curve)
            return resting.price_hi, resting.price_lo
    return None


def record(
    problem: Problem,
    policy: str,
    setpoint_kw: Floats,
    *,
    participant_price: Sequence[float | None],
    node_price: Sequence[float | None] | None = None,
    held: Sequence[Direction | None] | None = None,
    offset_kw: Floats | None = None,
    notes: tuple[str, ...] = (),
    linear_price: Floats | None = None,
    deals: tuple[Deal, ...] = (),
    accounts: Mapping[str, float] | None = None,
) -> Clearing:
    """The clearing with these set-points and prices, in the order of the problem's offers and of its tree's nodes.

    node_price, held: by default no node has a price of its own, and no limit held anybody back.
    accounts: who is left with what; if not given, what prices that part along the grid leave to it (``grid_accounts``).
    """
    tree, eras = problem.tree, [offer.era for offer in problem.offers]
    curtailed = problem.curtailed_kw(setpoint_kw)
    flow = 0.0 - tree.power_kw(setpoint_kw)
    nothing: list[None] = [None] * len(tree.names)
    node_price = nothing if node_price is None else node_price
    adders = list(_adders(tree, node_price))
    limit_price = np.zeros(len(problem.linear)) if linear_price is None else linear_price
    if accounts is None:
        accounts = grid_accounts(problem, setpoint_kw, np.array(adders), participant_price, limit_price)
    return Clearing(
        policy=policy,
        price_per_kwh=dict(zip(tree.names, map(_unsigned, node_price), strict=True)),
        adder_per_kwh=dict(zip(tree.names, adders, strict=True)),
        setpoint_kw=dict(zip(eras, (setpoint_kw + 0.0).tolist(), strict=True)),
        participant_price=dict(zip(eras, map(_unsigned, participant_price), strict=True)),
        offset_kw={} if offset_kw is None else _non_zero(eras, offset_kw),
        curtailed_kw=_non_zero(eras, curtailed),
        flow_kw=dict(zip(tree.names, flow.tolist(), strict=True)),
        binding=dict(zip(tree.names, nothing if held is None else held, strict=True)),
        quantity_kw=float(np.abs(setpoint_kw).sum() / 2),
        welfare=problem.welfare(setpoint_kw),
        notes=(*notes, *_curtailment_notes(curtailed), *_root_notes(problem)),
        linear_price=by_linear_limit(problem, limit_price),
        linear_value=by_linear_limit(problem, problem.weights @ setpoint_kw),
        deals=deals,
        accounts=accounts,
    )


RENT, LOSSES = "congestion rent", "losses"
"""Accounts of the grid: what its limits bring, and what marginal losses bring."""

MARGIN = "retail margin"
"""Account of what the slack's tariff leaves it with between its two prices, on what it need not have carried."""

SPREAD = "spread"
"""Account of what buyers pay and sellers do not get."""

GRID_FEE = "grid fee"
"""Account of what trades pay to the grid."""


def grid_accounts(
    problem: Problem,
    setpoint_kw: Floats,
    adder_per_kwh: Floats,
    participant_price: Sequence[float | None],
    linear_price: Floats,
) -> dict[str, float]:
    """What locational prices leave to the grid [currency/h]; what is zero is left out.

    Rent is Σ adder · flow over the nodes and price · value over the linear limits; losses are what known adders bring.
    """
    priced = np.array([price is not None for price in participant_price], dtype=bool)
    rent = float(-adder_per_kwh @ problem.tree.power_kw(setpoint_kw) + linear_price @ (problem.weights @ setpoint_kw))
    losses = -float(problem.adder_per_kwh @ np.where(priced, setpoint_kw, 0.0))
    return {name: amount for name, amount in ((RENT, rent), (LOSSES, losses)) if amount}


def receipts_per_h(clearing: Clearing) -> float:
    """What all participants together get at their prices [currency/h]; less than nothing where they pay in."""
    return sum((clearing.participant_price[era] or 0.0) * p_kw for era, p_kw in clearing.setpoint_kw.items())


def by_linear_limit(problem: Problem, values: Floats) -> dict[str, float]:
    """Values in the order of the linear limits, by their names."""
    return {limit.name: value for limit, value in zip(problem.linear, (values + 0.0).tolist(), strict=True)}


def _adders(tree: Tree, price: Sequence[float | None]) -> Iterator[float]:
    for node, above in enumerate(tree.parent):
        local, upstream = price[node], price[above]
        yield 0.0 if node == 0 or local is None or upstream is None else local - upstream


def _unsigned(price: float | None) -> float | None:
    """A price, where zero has no sign."""
    return None if price is None else price + 0.0


def _non_zero(eras: Sequence[str], power_kw: Floats) -> dict[str, float]:
    return {eras[i]: float(power_kw[i]) for i in np.flatnonzero(np.abs(power_kw) > POWER_KW).tolist()}


def _curtailment_notes(curtailed_kw: Floats) -> Iterator[str]:
    for what, amount in (
        ("withdrawals", curtailed_kw.clip(0).sum()),
        ("injections", -curtailed_kw.clip(None, 0).sum()),
    ):
        if amount > POWER_KW:
            yield f"{amount:g} kW of {what} that offered no price were cut"


def _root_notes(problem: Problem) -> Iterator[str]:
    root = next(limit for limit in problem.limits if limit.parent is None)
    if math.isfinite(root.import_limit_kw) or math.isfinite(root.export_limit_kw):
        yield f"{root.node} is the root: nothing lies above it, so its limits hold nothing back"


def _price_faults(problem: Problem) -> Iterator[Fault]:
    if not 0 <= problem.k <= 1:
        yield Fault("k", f"{problem.k:g} is not within 0..1")
    if not problem.price_floor <= problem.price_cap:
        yield Fault("price_floor", f"{problem.price_floor:g} is above the price cap {problem.price_cap:g}")
    if problem.sharing not in get_args(Sharing):
        yield Fault("sharing", f"{problem.sharing} is not a rule", nearest(problem.sharing, get_args(Sharing)))
    for name in ("price_floor", "price_cap"):
        if problem.linear and math.isinf(getattr(problem, name)):
            yield Fault(name, "is missing", "what is cut to keep a linear limit is priced at the price floor and cap")


def _limit_faults(limits: Sequence[Limit]) -> Iterator[Fault]:
    known: set[str] = set()
    for index, limit in enumerate(limits):
        if limit.node in known:
            yield Fault(f"limits/{index}", f"node {limit.node} was given before")
        known.add(limit.node)
        for name in ("import_limit_kw", "export_limit_kw"):
            if not getattr(limit, name) >= 0:
                yield Fault(f"limits/{index}/{name}", f"{limit.node}: {getattr(limit, name):g} is not a limit >= 0")
        if not 0 <= limit.distance < math.inf:
            yield Fault(f"limits/{index}/distance", f"{limit.node}: {limit.distance:g} is not a distance >= 0")
        if not math.isfinite(limit.adder_per_kwh):
            yield Fault(f"limits/{index}/adder_per_kwh", f"{limit.node}: {limit.adder_per_kwh:g} is not a price")
    for index, limit in enumerate(limits):
        if limit.parent is not None and limit.parent not in known:
            yield Fault(
                f"limits/{index}/parent", f"{limit.node}: unknown node {limit.parent}", nearest(limit.parent, known)
            )
    yield from _shape_faults(limits, known)


def _shape_faults(limits: Sequence[Limit], known: set[str]) -> Iterator[Fault]:
    """A tree has one root, and nothing lies above itself."""
    roots = [limit.node for limit in limits if limit.parent is None]
    if len(roots) != 1:
        yield Fault("limits", f"{len(roots)} nodes have no parent ({', '.join(roots)}): there must be one root")
    hung = {limit.node for limit in _parents_first(limits)}
    for index, limit in enumerate(limits):
        if limit.node not in hung and limit.parent in known:
            yield Fault(
                f"limits/{index}/parent", f"{limit.node} does not hang below the root, but below itself or a lost node"
            )


def _offer_faults(problem: Problem) -> Iterator[Fault]:
    nodes, seen = {limit.node for limit in problem.limits}, set[str]()
    for index, offer in enumerate(problem.offers):
        if offer.era in seen:
            yield Fault(f"offers/{index}", f"{offer.era} has offered before; one offer for each era")
        seen.add(offer.era)
        if offer.node not in nodes:
            yield Fault(f"offers/{index}/node", f"{offer.era}: unknown node {offer.node}", nearest(offer.node, nodes))
        if names_price_outside(offer.curve, problem.price_floor, problem.price_cap):
            what = f"{offer.era} names prices outside {problem.price_floor:g}..{problem.price_cap:g}"
            yield Fault(f"offers/{index}/curve", what, "keep to the price floor and cap")
        if offer.baseline_kw is not None and not math.isfinite(offer.baseline_kw):
            yield Fault(f"offers/{index}/baseline_kw", f"{offer.era}: {offer.baseline_kw} is not a power")
        if not math.isfinite(offer.adder_per_kwh):
            yield Fault(f"offers/{index}/adder_per_kwh", f"{offer.era}: {offer.adder_per_kwh} is not a price")
        if not 0 <= offer.min_run_kw < math.inf:
            yield Fault(f"offers/{index}/min_run_kw", f"{offer.era}: {offer.min_run_kw} is not a power >= 0")
    yield from _slack_faults(problem, seen)


def names_price_outside(curve: OfferCurve, floor: float, cap: float) -> bool:
    """Whether a curve names a price that cannot come about; one that never changes names none."""
    lowest, highest = curve.prices[0] + PRICE_PER_KWH, curve.prices[-1] - PRICE_PER_KWH
    return bool(curve.min_kw < curve.max_kw and (lowest < floor or highest > cap))


def _slack_faults(problem: Problem, eras: set[str]) -> Iterator[Fault]:
    if problem.slack is None:
        return
    if problem.slack not in eras:
        yield Fault("slack", f"{problem.slack} has not offered", nearest(problem.slack, eras))
    roots = {limit.node for limit in problem.limits if limit.parent is None}
    for index, offer in enumerate(problem.offers):
        if offer.era == problem.slack and offer.node not in roots:
            yield Fault("slack", f"{offer.era} is at {offer.node}: the supplier of the rest belongs at the root")
        if offer.era == problem.slack and offer.adder_per_kwh:
            yield Fault(f"offers/{index}/adder_per_kwh", f"{offer.era} is the slack: its price is the root's")


def _linear_faults(problem: Problem) -> Iterator[Fault]:
    eras, seen = {offer.era for offer in problem.offers}, set[str]()
    for index, limit in enumerate(problem.linear):
        where = f"linear/{index}"
        if limit.name in seen:
            yield Fault(where, f"limit {limit.name} was given before")
        seen.add(limit.name)
        if not limit.most > -math.inf:
            yield Fault(f"{where}/most", f"{limit.name}: {limit.most:g} is not a limit")
        for era, weight in limit.weight.items():
            if era not in eras:
                yield Fault(f"{where}/weight/{era}", f"{limit.name}: {era} has not offered", nearest(era, eras))
            elif era == problem.slack:
                yield Fault(f"{where}/weight/{era}", f"{limit.name}: {era} is the slack, which only follows")
            if not math.isfinite(weight):
                yield Fault(f"{where}/weight/{era}", f"{limit.name}: {weight:g} is not a weight")


def _parents_first(limits: Sequence[Limit]) -> list[Limit]:
    """Those that hang below a root, level by level."""
    order = [limit for limit in limits if limit.parent is None]
    below: dict[str | None, list[Limit]] = {}
    for limit in limits:
        below.setdefault(limit.parent, []).append(limit)
    for limit in order:
        order.extend(below.pop(limit.node, ()))
    return order
