"""PowerMatcher: bids are demand by price on a grid of prices, and the lowest price is taken at which nobody is short.

Everybody then does what its bid says at that price.  What is left over because prices come in steps, or because demand
is a step itself, somebody has to take: the slack, if the market has one, otherwise nobody does.
"""

from __future__ import annotations

import math

import numpy as np

from sim.curves import PRICE_DECIMALS, SAME_KW, Floats
from sim.errors import MarketError
from sim.market.policies.none import balanced
from sim.market.policy import Policy
from sim.market.problem import Clearing, Problem, record

STEPS = 101
"""Prices of the grid."""


def clear(
    problem: Problem, *, steps: int = STEPS, lowest: float | None = None, highest: float | None = None
) -> Clearing:
    """The lowest price of the grid at which net demand is not above zero; the highest if there is none.

    Where net demand is zero at all of them, the one nearest to zero, the upper of two.
    steps: number of prices >= 2.  lowest, highest: the ends of the grid; if not given the price floor and cap, or where
    there are none, the lowest and highest price that anybody names.
    """
    grid = _grid(problem, steps, lowest, highest)
    power = np.array([_power(problem, price) for price in grid.tolist()])
    chosen = _chosen(grid, -power.sum(axis=1))
    setpoint, price = balanced(problem, np.where(problem.is_slack, 0.0, power[chosen])), float(grid[chosen])
    nodes = len(problem.tree.names)
    return record(
        problem,
        "powermatcher",
        setpoint,
        node_price=[price] * nodes,
        participant_price=[price] * len(problem.offers),
        accounts={},
    )


def _chosen(grid: Floats, demand_kw: Floats) -> int:
    if (np.abs(demand_kw) <= SAME_KW).all():
        return min(range(len(grid)), key=lambda step: (abs(float(grid[step])), -float(grid[step])))
    return int(np.argmax(demand_kw <= SAME_KW)) if (demand_kw <= SAME_KW).any() else len(grid) - 1


def _power(problem: Problem, price: float) -> Floats:
    """What everybody does at a price: on a step, all that it takes and all that it gives there."""
    low, high = problem.stack.span(price)
    power: Floats = np.minimum(low, 0.0) + np.maximum(high, 0.0)
    return power


def _grid(problem: Problem, steps: int, lowest: float | None, highest: float | None) -> Floats:
    named = problem.stack.prices.tolist()
    floor, cap = (p if math.isfinite(p) else None for p in (problem.price_floor, problem.price_cap))
    low = next(p for p in (lowest, floor, min(named, default=0.0)) if p is not None)
    high = next(p for p in (highest, cap, max(named, default=0.0)) if p is not None)
    if steps < 2 or not low <= high:
        raise MarketError("powermatcher", f"a grid of {steps} prices from {low:g} to {high:g} has no two prices")
    grid: Floats = np.linspace(low, high, steps, dtype=float).round(PRICE_DECIMALS)
    return grid


POLICY = Policy(
    "powermatcher",
    clear,
    frozenset({"balance", "adders", "money", "solvent", "nonprofit"}),
    "PAY_AS_CLEAR",
    "lowest price of a grid at which nobody is short",
    heeds_limits=False,
    source="PowerMatcher 2, bids as demand on a price grid; what does not balance is the slack's",
)
