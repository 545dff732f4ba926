"""Pay as clear: one price for all, as if the grid had no limits.  What the grid then would have to carry is reported."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sim.market.policies import locational
from sim.market.policy import Policy
from sim.market.problem import Clearing, Problem, by_linear_limit


def clear(problem: Problem) -> Clearing:
    """The clearing that maximises welfare when no limit is looked at, nor anybody's known adder.

    Where the problem knows adders, the price is told even if nothing is traded at it: they would hide whose offer was met.
    """
    free = locational.without_limits(problem, np.zeros(len(problem.offers)))
    outcome = locational.on_tree(free)
    if problem.adder_per_kwh.any():
        outcome = replace(outcome, node_price=outcome.named)
    clearing = locational.recorded(free, "pay-as-clear", outcome)
    values = problem.weights @ outcome.setpoint_kw
    return replace(
        clearing,
        linear_price=by_linear_limit(problem, np.zeros(len(values))),
        linear_value=by_linear_limit(problem, values),
        accounts={},
    )


POLICY = Policy(
    "pay-as-clear",
    clear,
    frozenset({"balance", "curves", "range", "adders", "rational", "money", "solvent", "nonprofit", "efficient"}),
    "PAY_AS_CLEAR",
    "one price for all; limits are not looked at",
    heeds_limits=False,
    source="k-double auction: Chatterjee and Samuelson, Operations Research 31(5), 1983",
)
