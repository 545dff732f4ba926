"""The best that could have been done, knowing everything beforehand: one linear programme over all intervals.

What policies decide interval by interval, with forecasts, this decides at once, with the truth: who charges, discharges, is
curtailed or stays unserved, within the same limits of the same tree.  Its cost is a bound that no policy can beat which
keeps these limits and serves the same needs; its duals are the locational prices that would have brought it about.

Wires are without losses here, and a store may charge and discharge at once where prices below zero would pay for that:
both can only lower the cost, so that it stays a bound.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from sim.curves import Floats, Ints
from sim.errors import Fault, MarketError
from sim.market.problem import Limit, Problem, Tree
from sim.tolerances import POWER_KW

# Rows by interval: a quantity in interval t has the column of its first interval plus t.


@dataclass(frozen=True, slots=True, eq=False)
class Store:
    """Energy that can be moved in time: a battery, a stay of a car, a building's warmth, a task.

    era: of whose power it is; trader: who trades for it, if not itself; node: of the tree.
    By interval, shape [T]: charge_kw, discharge_kw the most it may do at the grid (0 while a car is away); low_kwh, high_kwh
    where its level has to be at the end; drain_kwh what is taken out of it otherwise (driving, warmth; negative for what
    comes in).
    wanted_kwh: level that is missed at ``lost_per_kwh`` wherever it is not reached; -inf where nothing is wanted.
    charge_efficiency: one for all, or by interval.  retention: share of the level that an interval leaves.
    wear_per_kwh: for what is discharged, at the grid.
    worth_per_kwh: what is stored at the very end is worth.
    """

    era: str
    node: str
    charge_kw: Floats
    discharge_kw: Floats
    low_kwh: Floats
    high_kwh: Floats
    wanted_kwh: Floats
    drain_kwh: Floats
    level_kwh: float = 0.0
    charge_efficiency: Floats | float = 1.0
    discharge_efficiency: float = 1.0
    retention: float = 1.0
    wear_per_kwh: float = 0.0
    lost_per_kwh: float = 0.0
    worth_per_kwh: float = 0.0
    trader: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """Power between ``least_kw`` and ``most_kw`` in each interval, shape [T], + = injection, at a price.

    cost_per_kwh, shape [T]: of a kWh more than ``usual_kw``.  A roof is 0..sun at no cost; a load that can be left unserved
    is -demand..0, usually -demand, at what a kWh unserved loses; the grid above is an import and an export at the tariff.
    account: under which the cost is told.  era, trader: as of a store.
    """

    era: str
    node: str
    least_kw: Floats
    most_kw: Floats
    cost_per_kwh: Floats
    account: str = "energy"
    usual_kw: Floats | float = 0.0
    trader: str = ""


WEAR, LOST, STORED = "wear", "lost", "stored"
"""Accounts of stores: what discharging wears off, what is missed, and, negative, what is stored in the end."""


@dataclass(frozen=True, slots=True, eq=False)
class Horizon:
    """Everything there is to know.  hours: of an interval; count of them; limits: the tree, in force in all of them.

    peak_per_kw: charged once for the greatest import of ``peak_node``, if there is one.
    Raises ``MarketError`` with every fault.
    """

    hours: float
    count: int
    flows: tuple[Flow, ...]
    stores: tuple[Store, ...] = ()
    limits: tuple[Limit, ...] = (Limit("grid"),)
    peak_node: str | None = None
    peak_per_kw: float = 0.0

    def __post_init__(self) -> None:
        nodes = {limit.node for limit in self.limits}
        everything: list[tuple[str, int, Flow | Store]] = [
            *(("flows", index, flow) for index, flow in enumerate(self.flows)),
            *(("stores", index, store) for index, store in enumerate(self.stores)),
        ]
        faults = [
            Fault(f"{what}/{index}", f"{one.era}: {fault}")
            for what, index, one in everything
            for fault in _faults(one, self.count, nodes)
        ]
        if self.peak_node is not None and self.peak_node not in nodes:
            faults.append(Fault("peak_node", f"unknown node {self.peak_node}"))
        if faults:
            raise MarketError("horizon", tuple(faults))

    @property
    def tree(self) -> Tree:
        """The tree of limits, parents first."""
        return Problem((), self.limits).tree


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The optimum.  costs: by account, of everything, less what is stored in the end [currency]; setpoint_kw by era,
    price_per_kwh and flow_kw (+ = import) by node, each of shape [T].  flows_kw, levels_kwh, missed_kwh: by flow and store,
    in the order given.  unserved_kwh: of stores and of flows under ``LOST``.
    """

    costs: Mapping[str, float]
    setpoint_kw: Mapping[str, Floats]
    price_per_kwh: Mapping[str, Floats]
    flow_kw: Mapping[str, Floats]
    flows_kw: tuple[Floats, ...]
    levels_kwh: tuple[Floats, ...]
    missed_kwh: tuple[Floats, ...]
    unserved_kwh: float

    @property
    def cost(self) -> float:
        """All in all."""
        return sum(self.costs.values())


def plan(horizon: Horizon, done_kw: Mapping[str, Floats] = MappingProxyType({})) -> Plan:
    """The plan of least cost.  Raises ``MarketError`` where nothing fits all limits and levels.

    done_kw: by era and interval, what it has really done, where that is known: the plan is then what explains it, and its
    cost what it has cost, by the same rules as the best (take the limits away, for what was done may have broken them).
    """
    programme = _Programme(horizon, done_kw)
    x, duals = programme.solved()
    everything: tuple[Flow | Store, ...] = (*horizon.flows, *horizon.stores)
    tree, powers = horizon.tree, programme.powers_kw(x)
    setpoint: dict[str, Floats] = {}
    by_node = np.zeros((len(tree.names), horizon.count))
    for one, p_kw in zip(everything, powers, strict=True):
        setpoint[one.era] = setpoint.get(one.era, np.zeros(horizon.count)) + p_kw
        by_node[tree.names.index(one.node)] += p_kw
    for node in range(len(tree.names) - 1, 0, -1):
        by_node[tree.parent[node]] += by_node[node]
    price = programme.prices(duals)
    return Plan(
        programme.costs(x),
        setpoint,
        {name: price[node] for node, name in enumerate(tree.names)},
        {name: 0.0 - by_node[node] for node, name in enumerate(tree.names)},
        tuple(powers[: len(horizon.flows)]),
        *programme.levels(x),
        programme.unserved_kwh(x),
    )


@dataclass(slots=True, eq=False)
class _Rows:
    """Rows of a sparse system as they are written down."""

    count: int = 0
    row: list[Ints] = field(default_factory=list)
    column: list[Ints] = field(default_factory=list)
    value: list[Floats] = field(default_factory=list)
    right: list[Floats] = field(default_factory=list)

    def begin(self, right: Floats) -> Ints:
        """New rows with these right sides; their numbers."""
        rows = np.arange(self.count, self.count + len(right))
        self.count += len(right)
        self.right.append(right)
        return rows

    def put(self, rows: Ints, columns: Ints, value: Floats | float) -> None:
        """One coefficient a row."""
        self.row.append(rows)
        self.column.append(columns)
        self.value.append(np.broadcast_to(np.asarray(value, dtype=float), rows.shape))

    def system(self, width: int) -> tuple[Any, Floats]:
        """The matrix, sparse, and its right sides."""
        from scipy.sparse import csr_array  # type: ignore[import-untyped]  # noqa: PLC0415  heavy

        if not self.count:
            return csr_array((0, width)), np.zeros(0)
        entries = (np.concatenate(self.value), (np.concatenate(self.row), np.concatenate(self.column)))
        return csr_array(entries, shape=(self.count, width)), np.concatenate(self.right)


class _Programme:
    """The linear programme of a horizon; lives as long as it is solved.

    Columns: of each flow its power; of each store charge, discharge, level and what is missed; the peak.
    """

    def __init__(self, horizon: Horizon, done_kw: Mapping[str, Floats]) -> None:
        self._horizon = horizon
        self._tree = horizon.tree
        self._low: list[Floats] = []
        self._high: list[Floats] = []
        self._cost: list[Floats] = []
        self._exact, self._most = _Rows(), _Rows()
        self._flows = [self._columns(f.least_kw, f.most_kw, f.cost_per_kwh * horizon.hours) for f in horizon.flows]
        self._stores = [self._store(store) for store in horizon.stores]
        self._balance = self._exact.begin(np.zeros(horizon.count))
        for columns, _, sign in self._injections():
            self._exact.put(self._balance, columns, sign)
        self._forward, self._reverse = self._held()
        self._peak_column = self._peak()
        self._pinned(done_kw)

    def solved(self) -> tuple[Floats, tuple[Floats, Floats]]:
        """Columns and duals (of equations, of limits)."""
        from scipy.optimize import linprog  # type: ignore[import-untyped]  # noqa: PLC0415  heavy

        low, high, cost = map(np.concatenate, (self._low, self._high, self._cost))
        exact, right = self._exact.system(len(cost))
        limits, most = self._most.system(len(cost))
        found = linprog(
            cost,
            A_ub=limits,
            b_ub=most,
            A_eq=exact,
            b_eq=right,
            bounds=np.column_stack((low, high)),
            method="highs",
        )
        if found.status == 2:
            raise MarketError("horizon", "no plan keeps all limits and levels; let what may be missed have a price")
        if found.status != 0:
            raise MarketError("horizon", f"its linear programme failed: {found.message}")
        return np.asarray(found.x), (np.asarray(found.eqlin.marginals), np.asarray(found.ineqlin.marginals))

    def costs(self, x: Floats) -> dict[str, float]:
        """By account, what a solution costs."""
        costs: dict[str, float] = {}

        def add(account: str, amount: float) -> None:
            costs[account] = costs.get(account, 0.0) + amount

        for flow, columns in zip(self._horizon.flows, self._flows, strict=True):
            add(flow.account, float(flow.cost_per_kwh @ (x[columns] - flow.usual_kw)) * self._horizon.hours)
        for store, (_, discharge, level, missed) in zip(self._horizon.stores, self._stores, strict=True):
            add(WEAR, store.wear_per_kwh * float(x[discharge].sum()) * self._horizon.hours)
            add(LOST, store.lost_per_kwh * float(x[missed].sum()))
            add(STORED, -store.worth_per_kwh * float(x[level[-1]]))
        if self._peak_column is not None:
            add("peak", self._horizon.peak_per_kw * float(x[self._peak_column]))
        return costs

    def unserved_kwh(self, x: Floats) -> float:
        """What stores miss, and what flows lose."""
        lost = [
            float((x[columns] - flow.usual_kw).sum()) * self._horizon.hours
            for flow, columns in zip(self._horizon.flows, self._flows, strict=True)
            if flow.account == LOST
        ]
        return sum(lost) + sum(float(x[missed].sum()) for *_, missed in self._stores)

    def powers_kw(self, x: Floats) -> list[Floats]:
        """Injection of each flow, then of each store."""
        return [x[c] for c in self._flows] + [x[out] - x[into] for into, out, _, _ in self._stores]

    def levels(self, x: Floats) -> tuple[tuple[Floats, ...], tuple[Floats, ...]]:
        """Of each store its level at the end of each interval, and what it missed."""
        return tuple(x[level] for _, _, level, _ in self._stores), tuple(x[miss] for *_, miss in self._stores)

    def prices(self, duals: tuple[Floats, Floats]) -> Floats:
        """By node and interval, what a kWh more of load there would cost."""
        equations, limits = duals
        price = np.zeros((len(self._tree.names), self._horizon.count))
        price[0] = equations[self._balance]
        for node, parent in enumerate(self._tree.parent[1:], start=1):
            price[node] = price[parent]
            price[node] -= 0.0 if self._forward[node] is None else limits[self._forward[node]]
            price[node] += 0.0 if self._reverse[node] is None else limits[self._reverse[node]]
        return price / self._horizon.hours

    def _columns(self, low: Floats | float, high: Floats | float, cost: Floats | float) -> Ints:
        count = self._horizon.count
        first = count * len(self._low)
        for values, many in ((low, self._low), (high, self._high), (cost, self._cost)):
            many.append(np.broadcast_to(np.asarray(values, dtype=float), (count,)))
        return np.arange(first, first + count)

    def _store(self, store: Store) -> tuple[Ints, Ints, Ints, Ints]:
        hours, end = self._horizon.hours, np.zeros(self._horizon.count)
        end[-1] = store.worth_per_kwh
        charge = self._columns(0.0, store.charge_kw, 0.0)
        discharge = self._columns(0.0, store.discharge_kw, store.wear_per_kwh * hours)
        level = self._columns(store.low_kwh, store.high_kwh, -end)
        wanted = np.isfinite(store.wanted_kwh)
        missed = self._columns(0.0, np.where(wanted, np.inf, 0.0), np.where(wanted, store.lost_per_kwh, 0.0))
        before = np.zeros(self._horizon.count)
        before[0] = store.retention * store.level_kwh
        rows = self._exact.begin(before - store.drain_kwh)
        self._exact.put(rows, level, 1.0)
        self._exact.put(rows[1:], level[:-1], -store.retention)
        self._exact.put(rows, charge, -store.charge_efficiency * hours)
        self._exact.put(rows, discharge, hours / store.discharge_efficiency)
        rows = self._most.begin(-store.wanted_kwh[wanted])
        self._most.put(rows, level[wanted], -1.0)
        self._most.put(rows, missed[wanted], -1.0)
        return charge, discharge, level, missed

    def _injections(self) -> Iterable[tuple[Ints, Flow | Store, float]]:
        for flow, columns in zip(self._horizon.flows, self._flows, strict=True):
            yield columns, flow, 1.0
        for store, (charge, discharge, _, _) in zip(self._horizon.stores, self._stores, strict=True):
            yield charge, store, -1.0
            yield discharge, store, 1.0

    def _held(self) -> tuple[list[Ints | None], list[Ints | None]]:
        """By node, the rows of its import limit and of its export limit; None where nothing is held back."""
        tree, count = self._tree, self._horizon.count
        forward: list[Ints | None] = [None] * len(tree.names)
        reverse: list[Ints | None] = [None] * len(tree.names)
        above = [_path(tree, node) for node in range(len(tree.names))]
        place = {name: node for node, name in enumerate(tree.names)}
        for node in range(1, len(tree.names)):
            for rows, limit_kw, way in ((forward, -tree.lower_kw[node], -1.0), (reverse, tree.upper_kw[node], 1.0)):
                if math.isfinite(limit_kw):
                    rows[node] = self._most.begin(np.full(count, limit_kw))
                    self._sum_below(node, rows[node], way, above, place)
        return forward, reverse

    def _sum_below(
        self, node: int, rows: Ints | None, way: float, above: Sequence[frozenset[int]], place: Mapping[str, int]
    ) -> None:
        assert rows is not None
        for columns, one, sign in self._injections():
            if node in above[place[one.node]]:
                self._most.put(rows, columns, way * sign)

    def _peak(self) -> int | None:
        """One more column for the greatest import of a node, where that is charged."""
        if self._horizon.peak_node is None:
            return None
        cost = np.zeros(self._horizon.count)
        cost[0] = self._horizon.peak_per_kw
        peak = self._columns(0.0, np.inf, cost)
        node = self._tree.names.index(self._horizon.peak_node)
        rows = self._most.begin(np.zeros(self._horizon.count))
        self._most.put(rows, np.full(self._horizon.count, peak[0]), -1.0)
        above = [_path(self._tree, index) for index in range(len(self._tree.names))]
        self._sum_below(node, rows, -1.0, above, {name: index for index, name in enumerate(self._tree.names)})
        return int(peak[0])

    def _pinned(self, done_kw: Mapping[str, Floats]) -> None:
        """What was done, to within what rounding may have left of it."""
        for way in (1.0, -1.0):
            rows = {era: self._most.begin(way * power + POWER_KW) for era, power in done_kw.items()}
            for columns, one, sign in self._injections():
                if one.era in rows:
                    self._most.put(rows[one.era], columns, way * sign)


def _path(tree: Tree, node: int) -> frozenset[int]:
    """The node and all above it."""
    path = [node]
    while path[-1]:
        path.append(tree.parent[path[-1]])
    return frozenset(path)


def _faults(one: Flow | Store, count: int, nodes: set[str]) -> Iterable[str]:
    if one.node not in nodes:
        yield f"unknown node {one.node}"
    low, high = (one.least_kw, one.most_kw) if isinstance(one, Flow) else (one.low_kwh, one.high_kwh)
    series = (low, high, one.cost_per_kwh) if isinstance(one, Flow) else (low, high, one.charge_kw, one.discharge_kw)
    if any(len(values) != count for values in series):
        yield f"expected {count} intervals in everything"
    elif not (low <= high).all():
        yield f"the least is above the greatest in interval {int(np.flatnonzero(~(low <= high))[0])}"
