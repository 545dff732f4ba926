"""Curtailment only: as without coordination, then cut until every limit is kept.  No price is asked for."""

from __future__ import annotations

import numpy as np

from sim.curves import Floats
from sim.market.policies.none import at_retail, balanced, baselines
from sim.market.policy import Policy
from sim.market.problem import Clearing, Direction, Problem
from sim.tolerances import POWER_KW

PASSES = 100
"""How often limits are gone through: cutting for one may break another, by less every time."""


def clear(problem: Problem) -> Clearing:
    """The baselines, cut until every limit is kept (``kept``), with the slack taking what is left."""
    setpoint, held = kept(problem, baselines(problem))
    return at_retail(problem, "curtail-only", balanced(problem, setpoint), held)


def kept(problem: Problem, setpoint_kw: Floats) -> tuple[Floats, list[Direction | None]]:
    """Set-points cut from the deepest node up and then by the linear limits, and which limit each node was cut for.

    What can be controlled and adds to an excess is cut pro rata: from the set-point to the power of its curve nearest to
    zero.  Only if that is not enough, the rest is cut pro rata to zero as well.  What only more power would mend (a linear
    limit below zero) stays broken.
    """
    held: list[Direction | None] = [None] * len(problem.tree.names)
    for _ in range(PASSES):
        before = setpoint_kw
        setpoint_kw = _by_linear_limits(problem, _by_tree(problem, setpoint_kw, held))
        if np.array_equal(setpoint_kw, before):
            break
    return setpoint_kw, held


def _by_tree(problem: Problem, setpoint_kw: Floats, held: list[Direction | None]) -> Floats:
    tree = problem.tree
    for node in range(len(held) - 1, 0, -1):
        lower, upper = float(tree.lower_kw[node]), float(tree.upper_kw[node])
        power = float(tree.power_kw(setpoint_kw)[node])
        if not lower - POWER_KW <= power <= upper + POWER_KW:
            held[node] = "FORWARD" if power < lower else "REVERSE"
            weight = np.where(tree.below(node), -1.0 if power < lower else 1.0, 0.0)
            setpoint_kw = _cut(problem, setpoint_kw, weight, abs(min(max(power, lower), upper) - power))
    return setpoint_kw


def _by_linear_limits(problem: Problem, setpoint_kw: Floats) -> Floats:
    for limit, weight in zip(problem.linear, problem.weights, strict=True):
        excess = float(weight @ setpoint_kw) - limit.most
        if excess > limit.tolerance:
            setpoint_kw = _cut(problem, setpoint_kw, weight, excess)
    return setpoint_kw


def _cut(problem: Problem, setpoint_kw: Floats, weight: Floats, excess: float) -> Floats:
    """Moves those that add to a weighted sum towards zero, until it has fallen by ``excess``."""
    nearest = np.clip(0.0, problem.stack.min_kw, problem.stack.max_kw)
    way = -np.sign(weight)
    for end in (nearest, np.zeros(len(setpoint_kw))):
        room = np.minimum(np.maximum((end - setpoint_kw) * way, 0.0), np.abs(setpoint_kw))
        effect = float((room * np.abs(weight)).sum())
        taken = min(excess, effect)
        if taken:
            setpoint_kw = setpoint_kw + room * (taken / effect) * way
            excess -= taken
    return setpoint_kw


POLICY = Policy(
    "curtail-only",
    clear,
    frozenset({"balance", "limits", "linear", "money"}),
    "RETAIL",
    "baselines, cut pro rata where a limit is exceeded",
)
