"""Curves cleared within any linear limits, by linear programmes (HiGHS, dual simplex).

A vertical step of a curve is a block of a linear programme as it stands.  A sloped part is not: it is cut into blocks, coarsely
at first, and then ever more finely around the price that the last programme found, until every power is on its curve at
its price.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sim.curves import CurveStack, Flags, Floats, Ints, OfferCurve, clear
from sim.errors import MarketError
from sim.tolerances import POWER_KW

PROGRAMMES = 40
"""Linear programmes after which a market that has not settled is given up; seven are usual, one where nothing slopes."""

_WIDTH = 2.0
"""Half a window, as a multiple of how far prices are off.  Where it was too small, the next programme shows it."""

_COARSE = 16
"""Pieces of the prices of each curve in the first programme."""

_BLOCKS = 5_000
"""Blocks that all windows together are cut into, 16 to 256 for each curve: the more, the fewer programmes."""

_SLIP_KW = POWER_KW / 10
"""Powers closer than this are one: what is smaller than the tolerance of the programme is not cut further."""

_SLIP_PRICE = 2e-10
"""Prices of programmes are known to this, which is twice their own tolerance."""

_UNDECIDED = 4
"""Status of a programme that the simplex gave up on; with presolve it may still come to an end."""

# Presolve gives other prices than those of the final basis where these are not unique, and not always good ones.
_OPTIONS = {"presolve": False, "primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


@dataclass(frozen=True, slots=True, eq=False)
class System:
    """Rows of ``matrix @ powers <= most``, one column per curve; ``exact`` rows are equations.

    total: of all powers; free, where it sums nothing (``balanced`` is False).
    """

    matrix: Floats
    most: Floats
    exact: Flags
    total: float = 0.0
    balanced: bool = True

    def scaled(self) -> tuple[System, Floats]:
        """The rows that hold anything back, each with a largest coefficient of 1, and by how much each was divided."""
        scale = np.abs(self.matrix).max(axis=1, initial=0.0)
        scale = np.where(scale > 0, scale, 1.0)
        return replace(self, matrix=self.matrix / scale[:, None], most=self.most / scale), scale


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
    least = np.array([curve.min_kw for curve in curves], dtype=float)
    count = min(max(_BLOCKS // max(len(curves), 1), 16), 256)
    cuts = [np.linspace(curve.prices[0], curve.prices[-1], _COARSE + 1) for curve in curves]
    before, jumps = np.inf, False
    for _ in range(PROGRAMMES):
        solution = _programme(least, _cut(curves, cuts), system, scale)
        if solution is None:
            return None
        off = _off_price(curves, solution)
        if off <= tolerance:
            return solution
        # Where several prices are optimal, a programme may jump between them: then all that was cut stays cut.
        jumps, before = jumps or off > before, off
        window = np.linspace(-_WIDTH * off, _WIDTH * off, count)
        fresh = [price + window for price in solution.price.tolist()]
        cuts = [np.concatenate(both) for both in zip(cuts, fresh, strict=True)] if jumps else fresh
    raise MarketError("market", f"prices within the linear limits did not settle in {PROGRAMMES} programmes")


@dataclass(frozen=True, slots=True, eq=False)
class Support:
    """The row prices that support given powers: ``low <= rows @ price <= high``, each price within its own bounds."""

    rows: Floats
    low: Floats
    high: Floats
    bounds: Floats

    @classmethod
    def of(
        cls, curves: Sequence[OfferCurve], system: System, powers: Floats, solution: Solution, bound: float
    ) -> Support:
        """Of the powers of a solution, or these but for their rounding; of a system without a total.

        An inequality has a price >= 0, and none unless it is reached.  The prices of the solution are among them.
        bound: where prices end that no curve holds.
        """
        at_powers = zip(curves, powers.tolist(), strict=True)
        held = [clear(curve, min(max(kw, curve.min_kw), curve.max_kw)) for curve, kw in at_powers]
        low = np.array([crossing.price_lo for crossing in held], dtype=float)
        high = np.array([crossing.price_hi for crossing in held], dtype=float)
        system, scale = system.scaled()
        reached = system.exact | (system.matrix @ powers >= system.most - POWER_KW)
        return cls(
            -(system.matrix * scale[:, None]).T,
            np.minimum(low, solution.price) - _SLIP_PRICE,
            np.maximum(high, solution.price) + _SLIP_PRICE,
            np.column_stack((np.where(system.exact, -bound, 0.0), np.where(reached, bound / scale, 0.0))),
        )

    def least(self, way: Floats, fixed: Floats | None = None) -> Floats | None:
        """Of these prices, those with the least sum, each counted ``way`` times; None if rounding leaves none.

        fixed: prices that are known already, NaN where they are not.
        """
        from scipy.optimize import linprog  # type: ignore[import-untyped]  # noqa: PLC0415  heavy: 0.3 s

        upper, lower = np.isfinite(self.high), np.isfinite(self.low)
        given = np.full(len(way), np.nan) if fixed is None else fixed
        found = linprog(
            way,
            A_ub=np.concatenate((self.rows[upper], -self.rows[lower])),
            b_ub=np.concatenate((self.high[upper], -self.low[lower])),
            bounds=np.where(np.isnan(given)[:, None], self.bounds, given[:, None]),
            method="highs-ds",
            options=_OPTIONS,
        )
        return np.asarray(found.x, dtype=float) if found.status == 0 else None


def excess(curves: Sequence[OfferCurve], system: System, soft: Flags) -> Floats:
    """By row, how far powers within the curves' ranges must exceed it at least, all rows together; in each row's unit.

    soft: rows that may be exceeded at all; the others are kept.
    """
    system, scale = system.scaled()
    count, rows = len(curves), len(system.most)
    stack = CurveStack(curves)
    elastic = System(
        np.concatenate((system.matrix, -np.eye(rows)), axis=1),
        system.most - system.matrix @ stack.min_kw,
        system.exact,
        _rest(system, stack.min_kw),
        system.balanced,
    )
    cost = np.concatenate((np.zeros(count), np.ones(rows)))
    width = np.concatenate((stack.max_kw - stack.min_kw, np.where(soft, np.inf, 0.0)))
    balance = np.concatenate((np.full(count, float(system.balanced)), np.zeros(rows)))
    found = _solved(cost, width, elastic, balance)
    beyond: Floats = np.zeros(rows) if found is None else found[0][count:] * scale
    return beyond


def _cut(curves: Sequence[OfferCurve], grids: Sequence[Floats]) -> _Blocks:
    """The curves' powers cut at these prices and at their own corners; each block at the middle of its prices."""
    owners, prices, widths = [np.zeros(0, np.intp)], [np.zeros(0)], [np.zeros(0)]
    for index, (curve, grid) in enumerate(zip(curves, grids, strict=True)):
        inside = np.sort(grid[(grid > curve.prices[0]) & (grid < curve.prices[-1])])
        at_powers = np.interp(inside, curve.prices, curve.powers)
        _, apart = np.unique(np.floor(at_powers / (_SLIP_KW / 10)), return_index=True)
        edges = np.sort(np.concatenate((curve.prices, inside[apart])), kind="stable")
        powers = np.sort(np.concatenate((curve.powers, at_powers[apart])), kind="stable")
        kw = np.diff(powers)
        used = kw > 0
        owners.append(np.full(int(used.sum()), index, np.intp))
        prices.append(((edges[1:] + edges[:-1]) / 2)[used])
        widths.append(kw[used])
    return _Blocks(np.concatenate(owners), np.concatenate(prices), np.concatenate(widths))


def _programme(least: Floats, blocks: _Blocks, system: System, scale: Floats) -> Solution | None:
    """One linear programme: which blocks run."""
    most = system.most - system.matrix @ least
    placed = System(system.matrix[:, blocks.owner], most, system.exact, _rest(system, least), system.balanced)
    found = _solved(blocks.price, blocks.kw, placed, np.full(len(blocks.kw), float(system.balanced)))
    if found is None:
        return None
    running, row_price, level = found
    powers = least + np.bincount(blocks.owner, running, minlength=len(least))
    return Solution(powers, level - row_price @ system.matrix, row_price / scale)


def _rest(system: System, least: Floats) -> float:
    """The total, once everybody has his least power."""
    return system.total - float(least.sum()) if system.balanced else 0.0


def _solved(cost: Floats, width: Floats, system: System, balance: Floats) -> tuple[Floats, Floats, float] | None:
    """Least cost of variables from 0 to their width whose ``balance`` is the total: (variables, price by row, level)."""
    from scipy.optimize import linprog  # noqa: PLC0415  heavy: 0.3 s

    if not len(cost):  # HiGHS wants a variable; this one may do nothing
        cost, width, balance = np.zeros(1), np.zeros(1), np.zeros(1)
        system = replace(system, matrix=np.zeros((len(system.most), 1)))
    limits = np.isfinite(system.most) & ~system.exact
    for options in (_OPTIONS, _OPTIONS | {"presolve": True}):
        found = linprog(
            cost,
            A_ub=system.matrix[limits],
            b_ub=system.most[limits],
            A_eq=np.vstack((balance, system.matrix[system.exact])),
            b_eq=np.concatenate(([system.total], system.most[system.exact])),
            bounds=np.column_stack((np.zeros(len(width)), width)),
            method="highs-ds",
            options=options,
        )
        if found.status != _UNDECIDED:
            break
    if found.status == 2:
        return None
    if found.status != 0:
        raise MarketError("market", f"the linear programme of its limits failed: {found.message}")
    row_price = np.zeros(len(system.most))
    row_price[limits] = np.maximum(-found.ineqlin.marginals, 0.0)
    row_price[system.exact] = -found.eqlin.marginals[1:]
    return np.asarray(found.x, dtype=float), row_price, float(found.eqlin.marginals[0])


def _off_price(curves: Sequence[OfferCurve], solution: Solution) -> float:
    """How far, at most, a price is from those at which its curve has the power found; half a block where it slopes."""
    off = [0.0]
    for curve, kw, price in zip(curves, solution.powers.tolist(), solution.price.tolist(), strict=True):
        power = min(max(kw, curve.min_kw), curve.max_kw)
        off.append(clear(curve, power - _SLIP_KW).price_lo - price)
        off.append(price - clear(curve, power + _SLIP_KW).price_hi)
    return max(off)
