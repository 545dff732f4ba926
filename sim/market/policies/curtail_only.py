"""Curtailment only: as without coordination, then cut until every limit is kept.  No price is asked for.

Either all share a cut pro rata, or they are disconnected one after the other, whole, until the limit is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np

from sim.curves import Floats, Ints
from sim.errors import Fault, MarketError, nearest
from sim.market.policies.none import at_retail, balanced, baselines
from sim.market.policy import Policy
from sim.market.problem import Clearing, Direction, Problem
from sim.tolerances import POWER_KW

PASSES = 1000
"""How often limits are gone through: cutting for one may break another, by less every time."""

Cut: TypeAlias = Callable[[Problem, Floats, Floats, float], Floats]
"""Set-points that were cut until a weighted sum has fallen by an excess: (problem, set-points, weight, excess)."""


def clear(problem: Problem) -> Clearing:
    """The baselines, cut until every limit is kept (``kept``), with the slack taking what is left."""
    setpoint, held = kept(problem, baselines(problem))
    return at_retail(problem, "curtail-only", balanced(problem, setpoint), held)


def clear_one_by_one(problem: Problem, order: str = "lifo") -> Clearing:
    """The baselines, disconnected one by one until every limit is kept, with the slack taking what is left.

    order: ``lifo`` disconnects the last of the offers first, ``fifo`` the first; nobody comes back.
    Raises ``MarketError`` for any other.
    """
    if order not in ORDERS:
        raise MarketError("curtail-lifo", (Fault("order", f"{order!r} is not an order", nearest(order, ORDERS)),))
    # Each pass that changes anything takes somebody to one of his two ends.
    setpoint, held = kept(problem, baselines(problem), disconnect(order), passes=2 * len(problem.offers) + 1)
    return at_retail(problem, "curtail-lifo", balanced(problem, setpoint), held)


ORDERS = ("lifo", "fifo")


def pro_rata(problem: Problem, setpoint_kw: Floats, weight: Floats, excess: float) -> Floats:
    """All who add to the sum move by the same share of the way to their end, the controllable ones first."""
    for room in _rooms(problem, setpoint_kw, weight):
        effect = float((room * np.abs(weight)).sum())
        taken = min(excess, effect)
        if taken:
            setpoint_kw = setpoint_kw - room * (taken / effect) * np.sign(weight)
            excess -= taken
    return setpoint_kw


def disconnect(order: str) -> Cut:
    """One after the other goes to his end, whole, until the sum has fallen by the excess or by more."""

    def cut(problem: Problem, setpoint_kw: Floats, weight: Floats, excess: float) -> Floats:
        for room in _rooms(problem, setpoint_kw, weight):
            queue: Ints = np.flatnonzero(room * np.abs(weight) > 0)
            queue = queue[::-1] if order == "lifo" else queue
            before = np.concatenate(([0.0], np.cumsum((room * np.abs(weight))[queue])))
            # What is over by less than counts as over does not cost the next one his place.
            gone = queue[before[:-1] < excess - POWER_KW * np.abs(weight).max(initial=0.0)]
            setpoint_kw = setpoint_kw.copy()
            setpoint_kw[gone] -= (room * np.sign(weight))[gone]
            excess -= float(before[len(gone)])
        return setpoint_kw

    return cut


def kept(
    problem: Problem, setpoint_kw: Floats, cut: Cut = pro_rata, passes: int = PASSES
) -> tuple[Floats, list[Direction | None]]:
    """Set-points cut from the deepest node up and then by the linear limits, and which limit each node was cut for.

    What can be controlled and adds to an excess is cut: from the set-point to the power of its curve nearest to zero.  Only
    if that is not enough, the rest is cut to zero as well.  What only more power would mend (a linear limit below zero)
    stays broken.
    """
    held: list[Direction | None] = [None] * len(problem.tree.names)
    for _ in range(passes):
        before = setpoint_kw
        setpoint_kw = _by_linear_limits(problem, _by_tree(problem, setpoint_kw, held, cut), cut)
        if np.array_equal(setpoint_kw, before):
            break
    return setpoint_kw, held


def _by_tree(problem: Problem, setpoint_kw: Floats, held: list[Direction | None], cut: Cut) -> Floats:
    tree = problem.tree
    for node in range(len(held) - 1, 0, -1):
        lower, upper = float(tree.lower_kw[node]), float(tree.upper_kw[node])
        power = float(tree.power_kw(setpoint_kw)[node])
        if not lower - POWER_KW <= power <= upper + POWER_KW:
            held[node] = "FORWARD" if power < lower else "REVERSE"
            weight = np.where(tree.below(node), -1.0 if power < lower else 1.0, 0.0)
            setpoint_kw = cut(problem, setpoint_kw, weight, abs(min(max(power, lower), upper) - power))
    return setpoint_kw


def _by_linear_limits(problem: Problem, setpoint_kw: Floats, cut: Cut) -> Floats:
    for limit, weight in zip(problem.linear, problem.weights, strict=True):
        excess = float(weight @ setpoint_kw) - limit.most
        if excess > limit.tolerance:
            setpoint_kw = cut(problem, setpoint_kw, weight, excess)
    return setpoint_kw


def _rooms(problem: Problem, setpoint_kw: Floats, weight: Floats) -> Iterator[Floats]:
    """How far each that adds to a weighted sum may move towards zero: to the nearest power of its curve, then the rest.

    Nobody moves away from zero, back to a curve that one limit has cut it off from: two limits could go on like that for ever.
    """
    near = np.clip(0.0, problem.stack.min_kw, problem.stack.max_kw)
    adds = setpoint_kw * weight > 0
    amount = np.abs(setpoint_kw)
    controllable = np.where(adds, np.clip((setpoint_kw - near) * np.sign(setpoint_kw), 0.0, amount), 0.0)
    yield controllable
    yield np.where(adds, amount - controllable, 0.0)


POLICY = Policy(
    "curtail-only",
    clear,
    frozenset({"balance", "limits", "linear", "money"}),
    "RETAIL",
    "baselines, cut pro rata where a limit is exceeded",
)
ONE_BY_ONE = Policy(
    "curtail-lifo",
    clear_one_by_one,
    frozenset({"balance", "limits", "linear", "money"}),
    "RETAIL",
    "baselines, the last one disconnected first where a limit is exceeded",
)
