"""Curtailment only: as without coordination, then cut until every limit is kept.  No price is asked for."""

from __future__ import annotations

import numpy as np

from sim.curves import Flags, Floats
from sim.market.policies.none import balanced, baselines, retail_prices
from sim.market.problem import Clearing, Direction, Problem, record
from sim.tolerances import POWER_KW


def clear(problem: Problem) -> Clearing:
    """The baselines, cut from the deepest node up.

    At an overloaded node, what can be controlled in the direction of the overload is cut pro rata: from the set-point to
    the power of its curve nearest to zero.  Only if that is not enough, the rest is cut pro rata to zero as well.
    """
    tree, setpoint = problem.tree, baselines(problem)
    held: list[Direction | None] = [None] * len(tree.names)
    for node in range(len(held) - 1, 0, -1):
        lower, upper = float(tree.lower_kw[node]), float(tree.upper_kw[node])
        power = float(tree.power_kw(setpoint)[node])
        if not lower - POWER_KW <= power <= upper + POWER_KW:
            held[node] = "FORWARD" if power < lower else "REVERSE"
            setpoint = _cut(problem, setpoint, tree.below(node), min(max(power, lower), upper) - power)
    setpoint = balanced(problem, setpoint)
    return record(
        problem,
        "curtail-only",
        setpoint,
        node_price=[None] * len(held),
        participant_price=retail_prices(problem, setpoint),
        held=held,
    )


def _cut(problem: Problem, setpoint_kw: Floats, members: Flags, by_kw: float) -> Floats:
    """Moves members that add to an overload towards zero until their sum has moved ``by_kw``."""
    nearest = np.clip(0.0, problem.stack.min_kw, problem.stack.max_kw)
    for end in (nearest, np.zeros(len(setpoint_kw))):
        room = np.where(members, np.maximum((end - setpoint_kw) * np.sign(by_kw), 0.0), 0.0)
        room = np.minimum(room, np.abs(setpoint_kw))
        moved = min(abs(by_kw), float(room.sum()))
        if moved:
            setpoint_kw = setpoint_kw + room * (moved / room.sum() * np.sign(by_kw))
            by_kw -= moved * np.sign(by_kw)
    return setpoint_kw
