"""Pay as clear: one price for all, as if the grid had no limits.  What the grid then would have to carry is reported."""

from __future__ import annotations

from dataclasses import replace

from sim.market.policies import locational
from sim.market.problem import Clearing, Limit, Problem


def clear(problem: Problem) -> Clearing:
    """The clearing that maximises welfare when no limit is looked at."""
    boundless = tuple(Limit(limit.node, limit.parent) for limit in problem.limits)
    return replace(locational.clear(replace(problem, limits=boundless)), policy="pay-as-clear")
