"""Sharing metered energy among the trades that were made on it, so that no kWh is sold twice.

By two of the rules each meter is shared out by itself, so that whoever reads it needs to know nothing else; what a trade
settles is the lesser of what its two meters give it.  The third knows all meters and settles as much as can be settled.  What
meters have beyond that is imbalance, and other contracts' to pay for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sim.errors import ContractError, Fault, nearest
from sim.ledger import EXACT, largest_remainder, total_of

WH = Decimal("0.001")
"""The smallest energy that is shared out [kWh]."""


class Sharing(StrEnum):
    """FIFO: the first trade gets all it asked for, then the next.  PRO_RATA: in proportion to what each trade asked for.

    MOST: the greatest sum over all trades; where several shares have it, one that favours earlier trades.
    """

    FIFO = "FIFO"
    PRO_RATA = "PRO_RATA"
    MOST = "MOST"


@dataclass(frozen=True, slots=True)
class Trade:
    """Energy promised from one meter to another [kWh, ≥ 0], in order of agreement."""

    id: str
    seller_meter: str
    buyer_meter: str
    energy_kwh: Decimal


def share(metered_kwh: Decimal, asked_kwh: Sequence[Decimal], rule: Sharing) -> tuple[Decimal, ...]:
    """What each trade gets of one meter: never more than it asked for, together never more than was metered.

    Pro rata in whole Wh, by largest remainder; MOST is FIFO where there is one meter alone.  Raises ``ContractError`` for
    negative energy and for parts of a Wh.
    """
    _checked((metered_kwh, *asked_kwh))
    return _SHARE[rule](metered_kwh, asked_kwh)


def settled(trades: Sequence[Trade], metered_kwh: Mapping[str, Decimal], rule: Sharing) -> tuple[Decimal, ...]:
    """Energy that each trade settles [kWh], in order.

    metered_kwh: what each meter delivered or took, by its id.  Raises ``ContractError`` for a meter nobody read, and like
    ``share``.
    """
    if rule is Sharing.MOST:
        return _most(trades, metered_kwh)
    _all_read([*(trade.seller_meter for trade in trades), *(trade.buyer_meter for trade in trades)], metered_kwh)
    return tuple(map(min, sold(trades, metered_kwh, rule), bought(trades, metered_kwh, rule)))


def sold(trades: Sequence[Trade], produced_kwh: Mapping[str, Decimal], rule: Sharing) -> tuple[Decimal, ...]:
    """What each trade gets of its seller's meter [kWh], in order; nothing of the buyers' meters is asked for."""
    return _by_meter([(trade.seller_meter, trade.energy_kwh) for trade in trades], produced_kwh, rule)


def bought(trades: Sequence[Trade], consumed_kwh: Mapping[str, Decimal], rule: Sharing) -> tuple[Decimal, ...]:
    """What each trade gets of its buyer's meter [kWh], in order; nothing of the sellers' meters is asked for."""
    return _by_meter([(trade.buyer_meter, trade.energy_kwh) for trade in trades], consumed_kwh, rule)


def _most(trades: Sequence[Trade], metered: Mapping[str, Decimal]) -> tuple[Decimal, ...]:
    """The linear programme max Σ x, 0 ≤ x ≤ asked, Σ x ≤ metered at every meter; in Wh, so that its corners are whole numbers.

    A trade stands in the row of one seller's and of one buyer's meter, so the matrix is that of a bipartite graph, which is
    totally unimodular (Hoffman and Kruskal 1956); bounding the sum as well makes it a flow of given value, and leaves it so.
    """
    sides = [[trade.seller_meter for trade in trades], [trade.buyer_meter for trade in trades]]
    _all_read([*sides[0], *sides[1]], metered)
    _checked([*metered.values(), *(trade.energy_kwh for trade in trades)])
    if not trades:
        return ()
    rows = [(meter, [name == meter for name in names]) for names in sides for meter in dict.fromkeys(names)]
    system = _System(
        matrix=[[float(stands) for stands in row] for _, row in rows],
        most=[int(metered[meter] / WH) for meter, _ in rows],
        widest=[int(trade.energy_kwh / WH) for trade in trades],
    )
    total = sum(system.corner([-1.0] * len(trades)))
    return tuple(WH * x for x in system.corner([k / len(trades) - 1.0 for k in range(len(trades))], total))


@dataclass(frozen=True, slots=True)
class _System:
    """Rows of 0 and 1, what each may come to at most, and how wide each variable is; all whole numbers."""

    matrix: Sequence[Sequence[float]]
    most: Sequence[int]
    widest: Sequence[int]

    def corner(self, cost: Sequence[float], total: int | None = None) -> list[int]:
        """A corner of least cost, of those with this sum where one is given.  Raises ``ContractError`` for one between Wh."""
        from scipy.optimize import linprog  # type: ignore[import-untyped]  # noqa: PLC0415  heavy: 0.3 s

        found = linprog(
            cost,
            A_ub=self.matrix,
            b_ub=self.most,
            A_eq=None if total is None else [[1.0] * len(cost)],
            b_eq=None if total is None else [total],
            bounds=[(0, width) for width in self.widest],
            method="highs-ds",
        )
        point = [round(x) for x in found.x] if found.status == 0 else []
        kept = point and all(
            sum(x for x, stands in zip(point, row, strict=True) if stands) <= most
            for row, most in zip(self.matrix, self.most, strict=True)
        )
        if not kept or total not in (None, sum(point)):
            raise ContractError("allocation", f"the linear programme of {len(cost)} trades failed: {found.message}")
        return point


def _all_read(meters: Sequence[str], metered: Mapping[str, Decimal]) -> None:
    unread = [Fault(m, "was not read", nearest(m, metered)) for m in dict.fromkeys(meters) if m not in metered]
    if unread:
        raise ContractError("allocation", tuple(unread))


def _by_meter(
    asked: Sequence[tuple[str, Decimal]], metered: Mapping[str, Decimal], rule: Sharing
) -> tuple[Decimal, ...]:
    _all_read([meter for meter, _ in asked], metered)
    given = [Decimal(0)] * len(asked)
    for meter in dict.fromkeys(meter for meter, _ in asked):
        positions = [k for k, (other, _) in enumerate(asked) if other == meter]
        for k, part in zip(positions, share(metered[meter], [asked[k][1] for k in positions], rule), strict=True):
            given[k] = part
    return tuple(given)


def _checked(energies_kwh: Sequence[Decimal]) -> None:
    wrong = [e for e in energies_kwh if e < 0 or EXACT.remainder(e, WH)]
    if wrong:
        raise ContractError(
            "energy", f"{', '.join(map(str, wrong))}: energy is shared in whole Wh, and is never negative"
        )


def _first_come(metered: Decimal, asked: Sequence[Decimal]) -> tuple[Decimal, ...]:
    parts, left = [], metered
    for wanted in asked:
        parts.append(min(wanted, left))
        left = EXACT.subtract(left, parts[-1])
    return tuple(parts)


def _in_proportion(metered: Decimal, asked: Sequence[Decimal]) -> tuple[Decimal, ...]:
    together = total_of(asked)
    return tuple(asked) if together <= metered else largest_remainder(metered, asked, WH)


_SHARE: Mapping[Sharing, Callable[[Decimal, Sequence[Decimal]], tuple[Decimal, ...]]] = {
    Sharing.FIFO: _first_come,
    Sharing.PRO_RATA: _in_proportion,
    Sharing.MOST: _first_come,
}
