"""Sharing metered energy among the trades that were made on it, so that no kWh is sold twice.

Each meter is shared out by itself, by the rule that was declared; what a trade settles is the lesser of what its two
meters give it. What meters have beyond that is imbalance, and other contracts' to pay for.
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
    """FIFO: the first trade gets all it asked for, then the next.  PRO_RATA: in proportion to what each trade asked for."""

    FIFO = "FIFO"
    PRO_RATA = "PRO_RATA"


@dataclass(frozen=True, slots=True)
class Trade:
    """Energy promised from one meter to another [kWh, ≥ 0], in order of agreement."""

    id: str
    seller_meter: str
    buyer_meter: str
    energy_kwh: Decimal


def share(metered_kwh: Decimal, asked_kwh: Sequence[Decimal], rule: Sharing) -> tuple[Decimal, ...]:
    """What each trade gets of one meter: never more than it asked for, together never more than was metered.

    Pro rata in whole Wh, by largest remainder.  Raises ``ContractError`` for negative energy and for parts of a Wh.
    """
    wrong = [e for e in (metered_kwh, *asked_kwh) if e < 0 or EXACT.remainder(e, WH)]
    if wrong:
        raise ContractError(
            "energy", f"{', '.join(map(str, wrong))}: energy is shared in whole Wh, and is never negative"
        )
    return _SHARE[rule](metered_kwh, asked_kwh)


def settled(trades: Sequence[Trade], metered_kwh: Mapping[str, Decimal], rule: Sharing) -> tuple[Decimal, ...]:
    """Energy that each trade settles [kWh], in order.

    metered_kwh: what each meter delivered or took, by its id.  Raises ``ContractError`` for a meter nobody read.
    """
    meters = [*(trade.seller_meter for trade in trades), *(trade.buyer_meter for trade in trades)]
    unread = [Fault(m, "was not read", nearest(m, metered_kwh)) for m in dict.fromkeys(meters) if m not in metered_kwh]
    if unread:
        raise ContractError("allocation", tuple(unread))
    sold = _by_meter([(trade.seller_meter, trade.energy_kwh) for trade in trades], metered_kwh, rule)
    bought = _by_meter([(trade.buyer_meter, trade.energy_kwh) for trade in trades], metered_kwh, rule)
    return tuple(map(min, sold, bought))


def _by_meter(asked: Sequence[tuple[str, Decimal]], metered: Mapping[str, Decimal], rule: Sharing) -> list[Decimal]:
    given = [Decimal(0)] * len(asked)
    for meter in dict.fromkeys(meter for meter, _ in asked):
        positions = [k for k, (other, _) in enumerate(asked) if other == meter]
        for k, part in zip(positions, share(metered[meter], [asked[k][1] for k in positions], rule), strict=True):
            given[k] = part
    return given


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
}
