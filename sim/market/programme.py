"""Curves cleared within any linear limits, by linear programmes (HiGHS, dual simplex).

A vertical step of a curve is a block of a linear programme as it stands.  A sloped part is not: it is cut into blocks, coarsely
at first, and then ever more finely around the price that the last programme found, until every power is on its curve at
its price.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sim.curves import CurveStack, Flags, Floats, Ints, OfferCurve
from sim.errors import MarketError

PROGRAMMES = 40
"""Linear programmes after which a market that has not settled is given up; seven are usual, one where nothing slopes."""

_COARSE = 16
"""Blocks of each sloped part in the first programme."""

_BLOCKS = 20_000
"""Blocks that all windows together are cut into, 16 to 256 for each curve: the more, the fewer programmes."""

_OPTIONS = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


@dataclass(frozen=True, slots=True, eq=False)
class System:
    """Rows of ``matrix @ powers <= most``, one column per curve; ``exact`` rows are equations.  All powers sum to zero."""

    matrix: Floats
    most: Floats
    exact: Flags

    def scaled(self) -> tuple[System, Floats]:
        """The rows that hold anything back, each with a largest coefficient of 1, and by how much each was divided."""
        scale = np.abs(self.matrix).max(axis=1, initial=0.0)
        scale = np.where(scale > 0, scale, 1.0)
        return System(self.matrix / scale[:, None], self.most / scale, self.exact), scale


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """powers: by curve.  price: the price that each curve answers to.  row_price: by row, >= 0 unless the row is exact."""

    powers: Floats
    price: Floats
    row_price: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Blocks:
    """Powers of curves in small pieces: whose, from which price on, how much."""

    owner: Ints
    price: Floats
    kw: Floats


def solve(curves: Sequence[OfferCurve], system: System, tolerance: float) -> Solution | None:
    """The powers on their curves that are worth most within the system, and their prices; None if no powers fit it.

    tolerance: how far from its curve a power may be, as a difference of price.
    Where several sets of powers or prices are optimal, it is one at a vertex of the optimal set, and the same for the same
    curves in the same order.  Raises ``MarketError`` where the prices do not settle.
    """
    system, scale = system.scaled()
    stack = CurveStack(curves)
    blocks, window = _coarse(curves)
    price: Floats | None = None
    for _ in range(PROGRAMMES):
        solution = _programme(stack.min_kw, blocks, system, scale)
        if solution is None or _on_curves(stack, solution, tolerance):
            return solution
        moved = float(np.abs(solution.price - price).max()) if price is not None else 0.0
        price = solution.price
        count = min(max(_BLOCKS // len(curves), 16), 256)
        # A price is known to about one block; four of them make the next window, unless it left the last one.
        window = 2 * moved if moved > window else max(8 * window / count, tolerance)
        blocks = _fine(curves, price, window, count)
    raise MarketError("market", f"prices within the linear limits did not settle in {PROGRAMMES} programmes")


def excess(curves: Sequence[OfferCurve], system: System) -> Floats:
    """By row, how far powers within the curves' ranges must exceed it at least, all rows together; in each row's unit."""
    system, scale = system.scaled()
    count, rows = len(curves), len(system.most)
    stack = CurveStack(curves)
    elastic = System(
        np.concatenate((system.matrix, -np.eye(rows)), axis=1), system.most - system.matrix @ stack.min_kw, system.exact
    )
    cost = np.concatenate((np.zeros(count), np.ones(rows)))
    width = np.concatenate((stack.max_kw - stack.min_kw, np.full(rows, np.inf)))
    balance = np.concatenate((np.ones(count), np.zeros(rows)))
    found = _solved(cost, width, elastic, balance, -float(stack.min_kw.sum()))
    beyond: Floats = np.zeros(rows) if found is None else found[0][count:] * scale
    return beyond


def _coarse(curves: Sequence[OfferCurve]) -> tuple[_Blocks, float]:
    """The first blocks, and the widest of them in price."""
    grids = [
        np.concatenate([np.linspace(a, b, _COARSE + 1)[1:-1] for a, b in _slopes(curve)] or [np.zeros(0)])
        for curve in curves
    ]
    widest = max((b - a for curve in curves for a, b in _slopes(curve)), default=0.0)
    return _cut(curves, grids), widest / _COARSE


def _slopes(curve: OfferCurve) -> Iterator[tuple[float, float]]:
    """The prices between which a curve slopes."""
    corners = zip(curve.prices.tolist(), curve.powers.tolist(), strict=True)
    return ((p0, p1) for (p0, q0), (p1, q1) in pairwise(corners) if p1 > p0 and q1 > q0)


def _fine(curves: Sequence[OfferCurve], price: Floats, window: float, count: int) -> _Blocks:
    """Blocks that are small within a window on either side of each curve's price, and elsewhere as large as can be."""
    offsets = np.linspace(-window, window, count)
    return _cut(curves, [p + offsets for p in price.tolist()])


def _cut(curves: Sequence[OfferCurve], grids: Sequence[Floats]) -> _Blocks:
    """The curves' powers cut at these prices and at their own corners; each block at the middle of its prices."""
    owners, prices, widths = [], [], []
    for index, (curve, grid) in enumerate(zip(curves, grids, strict=True)):
        at = grid[(grid > curve.prices[0]) & (grid < curve.prices[-1])]
        edges = np.sort(np.concatenate((curve.prices, at)), kind="stable")
        powers = np.sort(np.concatenate((curve.powers, np.interp(at, curve.prices, curve.powers))), kind="stable")
        kw = np.diff(powers)
        used = kw > 0
        owners.append(np.full(int(used.sum()), index, np.intp))
        prices.append(((edges[1:] + edges[:-1]) / 2)[used])
        widths.append(kw[used])
    return _Blocks(np.concatenate(owners), np.concatenate(prices), np.concatenate(widths))


def _programme(least: Floats, blocks: _Blocks, system: System, scale: Floats) -> Solution | None:
    """One linear programme: which blocks run."""
    most = system.most - system.matrix @ least
    placed = System(system.matrix[:, blocks.owner], most, system.exact)
    found = _solved(blocks.price, blocks.kw, placed, np.ones(len(blocks.kw)), -float(least.sum()))
    if found is None:
        return None
    running, row_price, level = found
    powers = least + np.bincount(blocks.owner, running, minlength=len(least))
    return Solution(powers, level - row_price @ system.matrix, row_price / scale)


def _solved(
    cost: Floats, width: Floats, system: System, balance: Floats, total: float
) -> tuple[Floats, Floats, float] | None:
    """Least cost of variables from 0 to their width whose ``balance`` is the total: (variables, price by row, level)."""
    from scipy.optimize import linprog  # type: ignore[import-untyped]  # noqa: PLC0415  heavy: 0.3 s

    limits = np.isfinite(system.most) & ~system.exact
    found = linprog(
        cost,
        A_ub=system.matrix[limits],
        b_ub=system.most[limits],
        A_eq=np.vstack((balance, system.matrix[system.exact])),
        b_eq=np.concatenate(([total], system.most[system.exact])),
        bounds=np.column_stack((np.zeros(len(width)), width)),
        method="highs-ds",
        options=_OPTIONS,
    )
    if found.status == 2:
        return None
    if found.status != 0:
        raise MarketError("market", f"the linear programme of its limits failed: {found.message}")
    row_price = np.zeros(len(system.most))
    row_price[limits] = np.maximum(-found.ineqlin.marginals, 0.0)
    row_price[system.exact] = -found.eqlin.marginals[1:]
    return np.asarray(found.x, dtype=float), row_price, float(found.eqlin.marginals[0])


def _on_curves(stack: CurveStack, solution: Solution, tolerance: float) -> bool:
    """Whether every power is on its curve at its price, but for the tolerance."""
    off = np.maximum(
        stack.low(solution.price - tolerance) - solution.powers,
        solution.powers - stack.high(solution.price + tolerance),
    )
    return bool((off <= 1e-9 * np.maximum(1.0, np.abs(solution.powers))).all())
