"""The rows of a trade ledger: what may be written into one, and a history from which every digest can be had again.

A row is a fold over its entries: each writes some fields over those before.  The digest of a row is taken over its canonical
form, and each entry is hashed with the hash of the one before it, so that none can be changed, dropped or exchanged unseen.
Nothing is ever removed; a status only moves on::

    PENDING ──► CONFIRMED ──► CURTAILED_… ──► COMPLETED
       └────────────┴──────────────┴────► CANCELLED_…

Each utility has a status and metrics of its own side.  Both are PENDING until both platforms have put the same trade.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec
from msgspec import UNSET

from sim.canonical import canonical, hashed
from sim.wire.codes import Code, Refusal
from sim.wire.need import needed
from sim.wire.trade_ledger import LedgerPut, LedgerRecord, LedgerRow, TradeStatus, ValidationMetric

GENESIS = "sha256:" + "0" * 64
"""What the first entry of a row names as the one before it."""

IDS = ("platformIdBuyer", "platformIdSeller", "discomIdBuyer", "discomIdSeller", "buyerId", "sellerId")
"""Who trades, through which platforms, at which utilities."""
TIMES = ("tradeTime", "deliveryStartTime", "deliveryEndTime")
TERMS = (*IDS, *TIMES, "tradeDetails")
"""What both platforms have to say alike; nothing of it is ever written over."""

CANCELLED: tuple[TradeStatus, ...] = ("CANCELLED_OUTAGE", "CANCELLED_POL_VIOLATION")
CURTAILED: tuple[TradeStatus, ...] = ("CURTAILED_OUTAGE", "CURTAILED_POL_VIOLATION")
TURNS: Mapping[TradeStatus, tuple[TradeStatus, ...]] = {
    "PENDING": ("CONFIRMED", *CANCELLED),
    "CONFIRMED": (*CURTAILED, *CANCELLED, "COMPLETED"),
    "CURTAILED_OUTAGE": (*CANCELLED, "COMPLETED"),
    "CURTAILED_POL_VIOLATION": (*CANCELLED, "COMPLETED"),
    "CANCELLED_OUTAGE": (),
    "CANCELLED_POL_VIOLATION": (),
    "COMPLETED": (),
}
"""Which statuses may follow one; a status without any is final."""
DELIVERING: tuple[TradeStatus, ...] = ("CONFIRMED", *CURTAILED, "COMPLETED")
"""Statuses of a trade of which something was, or is to be, delivered."""


@dataclass(frozen=True, slots=True)
class Side:
    """The fields that one side's utility writes.  other: the status field of the other side."""

    utility: str
    status: str
    metrics: str
    other: str


_BUYER = Side("discomIdBuyer", "statusBuyerDiscom", "buyerFulfillmentValidationMetrics", "statusSellerDiscom")
_SELLER = Side("discomIdSeller", "statusSellerDiscom", "sellerFulfillmentValidationMetrics", "statusBuyerDiscom")
SIDES: Mapping[str, Side] = {"BUYER_DISCOM": _BUYER, "SELLER_DISCOM": _SELLER}
"""Which fields are a utility's, by the role in which it speaks."""
PLATFORM: Mapping[str, str] = {"BUYER": "platformIdBuyer", "SELLER": "platformIdSeller"}
"""The field that names the platform of a role; utilities have none, for they never put."""

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes, and when (RFC 3339)."""

    era: str
    at: str


class Entry(msgspec.Struct, frozen=True, rename="camel"):
    """One write.

    written: the fields it set, numbers as text.  row_digest: of the row after it.  hash: of the canonical form of all the rest.
    """

    seq: int
    at: str
    actor: str
    role: str
    action: Literal["put", "record"]
    written: dict[str, Any]
    note: str
    row_digest: str
    prev_hash: str
    hash: str = ""

    def due_hash(self) -> str:
        """The hash that follows from all the rest."""
        facts = msgspec.to_builtins(self)
        facts.pop("hash")
        return hashed(canonical(facts))


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it stands: what it holds, which platforms' roles have put it, and how it came about."""

    record: LedgerRow
    put_by: tuple[str, ...]
    entries: tuple[Entry, ...]

    @property
    def digest(self) -> str:
        """The digest of the row as it stands."""
        return self.entries[-1].row_digest


# writing


def opened(put: LedgerPut, author: Author, new_id: Callable[[], str]) -> Row:
    """A new row, under an identifier that is asked for once nothing is wrong.

    Raises ``Refusal`` where a term is missing, and where the caller is not the platform that it claims to be.
    """
    _complete(put)
    _speaks_for_platform(put, put, author)
    start, end = (datetime.fromisoformat(str(getattr(put, name))) for name in TIMES[1:])
    if end <= start:
        what = f"expected a time after {put.deliveryStartTime}, got {put.deliveryEndTime}"
        raise Refusal(Code.SCH_SCHEMA_VALIDATION_FAILED, "/message/deliveryEndTime", what)
    record = LedgerRow(
        creationTime=author.at,
        recordId=new_id(),
        transactionId=put.transactionId,
        orderItemId=put.orderItemId,
        statusBuyerDiscom="PENDING",
        statusSellerDiscom="PENDING",
        **{name: getattr(put, name) for name in TERMS},
    )
    fields = tuple(name for name in LedgerRow.__struct_fields__ if getattr(record, name) is not UNSET)
    return _extended(Row(record, (), ()), record, fields, author, put.role, "put", (put.role,))


def joined(row: Row, put: LedgerPut, author: Author, *, blocking: bool = False) -> Row:
    """The row after a platform has put it too, or once more.

    When both have, the trade is CONFIRMED, unless a utility has cancelled it meanwhile; blocking: it stays PENDING until each
    utility confirms its side.  Raises ``Refusal`` for a platform of another trade, and ``PRC_CONFLICT`` for a term that differs
    from what stands there.
    """
    _speaks_for_platform(put, row.record, author)
    _same(row.record, put)
    if put.role in row.put_by:
        return row
    _complete(put)
    record = row.record
    fields = tuple(side.status for side in SIDES.values() if getattr(record, side.status) == "PENDING")
    if blocking or len(fields) < len(SIDES):
        fields = ()
    record = msgspec.structs.replace(record, **dict.fromkeys(fields, "CONFIRMED"))
    return _extended(row, record, fields, author, put.role, "put", (*row.put_by, put.role))


def recorded(row: Row, said: LedgerRecord, author: Author) -> Row:
    """The row after a utility has recorded what it measured, or where its side stands.

    Raises ``Refusal``: ``AUT_NOT_AUTHORIZED`` for anybody but the utility of that side and for the other side's fields,
    ``PRC_CONFLICT`` for another trade's recordId, ``PRC_INVALID_TRANSITION`` for what the status does not allow.
    """
    side, other = SIDES[said.role], next(s for role, s in SIDES.items() if role != said.role)
    if getattr(row.record, side.utility) != author.era:
        what = f"{author.era} is not the {said.role} of this trade"
        raise Refusal(Code.AUT_NOT_AUTHORIZED, "/message/role", what)
    for name in (other.status, other.metrics):
        if getattr(said, name) is not UNSET:
            raise Refusal(Code.AUT_NOT_AUTHORIZED, f"/message/{name}", f"{said.role} cannot write {name}")
    _same_ids(row.record, said)
    changes = {
        name: value
        for name in (side.status, side.metrics)
        if (value := getattr(said, name)) is not UNSET and value != getattr(row.record, name)
    }
    if changes:
        _may_turn(row, side, changes)
    elif said.note is UNSET:
        return row
    note = "" if said.note is UNSET else said.note
    record = msgspec.structs.replace(row.record, **changes)
    return _extended(row, record, tuple(changes), author, said.role, "record", row.put_by, note)


def _complete(put: LedgerPut) -> None:
    for name in TERMS:
        needed(getattr(put, name), f"/message/{name}")


def _speaks_for_platform(put: LedgerPut, named: LedgerPut | LedgerRow, author: Author) -> None:
    field = PLATFORM.get(put.role)
    if field is None:
        what = f"{put.role} cannot put: a utility records what it measured (ledger/record)"
        raise Refusal(Code.AUT_NOT_AUTHORIZED, "/message/role", what)
    if getattr(named, field) != author.era:
        what = f"{author.era} is not the platform of the {put.role} of this trade"
        raise Refusal(Code.AUT_NOT_AUTHORIZED, f"/message/{field}", what)


def _same(record: LedgerRow, put: LedgerPut) -> None:
    _same_ids(record, put)
    for name in TERMS:
        stands, given = getattr(record, name), getattr(put, name)
        alike = given is UNSET or given == stands or (name in TIMES and _moment(given) == _moment(stands))
        if not alike:
            what = f"expected {_shown(stands)}, as was agreed, got {_shown(given)}"
            raise Refusal(Code.PRC_CONFLICT, f"/message/{name}", what)


def _same_ids(record: LedgerRow, said: LedgerPut | LedgerRecord) -> None:
    for name in ("transactionId", "orderItemId", "recordId"):
        if getattr(said, name) not in (UNSET, getattr(record, name)):
            what = f"expected {getattr(record, name)}, got {getattr(said, name)}"
            raise Refusal(Code.PRC_CONFLICT, f"/message/{name}", what)


def _may_turn(row: Row, side: Side, changes: Fields) -> None:
    stands: TradeStatus = getattr(row.record, side.status)
    after: TradeStatus = changes.get(side.status, stands)
    if not TURNS[stands]:
        _impossible(side.status, f"{stands} is final")
    if after != stands and after not in TURNS[stands]:
        _impossible(side.status, f"a trade that is {stands} cannot become {after}; it can {', '.join(TURNS[stands])}")
    if after not in CANCELLED and len(row.put_by) < len(PLATFORM):
        _impossible(
            side.status, f"only the {row.put_by[0]}'s platform has put this trade; it can {', '.join(CANCELLED)}"
        )
    elsewhere = getattr(row.record, side.other)
    if side.status in changes and after not in CANCELLED and elsewhere in CANCELLED:
        _impossible(side.status, f"the other side is {elsewhere}; this one can {', '.join(CANCELLED)}")
    _may_measure(side, after, changes.get(side.metrics, ()))


def _may_measure(side: Side, status: TradeStatus, metrics: Sequence[ValidationMetric]) -> None:
    if metrics and status not in DELIVERING:
        _impossible(side.metrics, f"nothing is delivered of a trade that is {status}")
    kinds = [metric.validationMetricType for metric in metrics]
    for number, metric in enumerate(metrics):
        where = f"/message/{side.metrics}/{number}"
        if metric.validationMetricType in kinds[:number]:
            what = f"expected each metric once, got {metric.validationMetricType} again"
            raise Refusal(Code.SCH_SCHEMA_VALIDATION_FAILED, where, what)
        if metric.validationMetricType.startswith("ACTUAL_PU") and metric.validationMetricValue < 0:
            what = f"expected at least 0 kWh, got {metric.validationMetricValue}"
            raise Refusal(Code.SCH_SCHEMA_VALIDATION_FAILED, f"{where}/validationMetricValue", what)


def _impossible(field: str, what: str) -> None:
    raise Refusal(Code.PRC_INVALID_TRANSITION, f"/message/{field}", what)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


# digests


def row_digest(record: LedgerRow) -> str:
    """The digest of a row: SHA-256 over the canonical form of all its fields but the digest itself, numbers as text."""
    return hashed(canonical(_plain(record)))


def faults_of(entries: Sequence[Entry]) -> tuple[str, ...]:
    """What is wrong with a history: everything recomputed, from the first entry on; nothing where nobody has changed it."""
    return tuple(_faults(entries))


def _faults(entries: Sequence[Entry]) -> Iterator[str]:
    state: dict[str, Any] = {}
    before = GENESIS
    for number, entry in enumerate(entries):
        state |= entry.written
        if entry.seq != number:
            yield f"entry {number} is numbered {entry.seq}"
        if entry.prev_hash != before:
            yield f"entry {number} does not follow the one before it"
        if entry.row_digest != hashed(canonical(state)):
            yield f"the digest of entry {number} is not that of the row"
        if entry.hash != entry.due_hash():
            yield f"the hash of entry {number} is not its own"
        before = entry.hash


def _extended(
    row: Row,
    record: LedgerRow,
    fields: Sequence[str],
    author: Author,
    role: str,
    action: Literal["put", "record"],
    put_by: tuple[str, ...],
    note: str = "",
) -> Row:
    plain = _plain(record)
    entry = Entry(
        len(row.entries),
        author.at,
        author.era,
        role,
        action,
        {name: plain[name] for name in fields},
        note,
        hashed(canonical(plain)),
        row.entries[-1].hash if row.entries else GENESIS,
    )
    entry = msgspec.structs.replace(entry, hash=entry.due_hash())
    return Row(record, put_by, (*row.entries, entry))


def _plain(record: LedgerRow) -> dict[str, Any]:
    fields: dict[str, Any] = _texts(msgspec.to_builtins(record))
    fields.pop("rowDigest", None)
    return fields


def _texts(value: Any) -> Any:
    """Numbers as the text of their decimals: 12.50 and 12.5 are one number, and have one digest."""
    match value:
        case dict():
            return {key: _texts(item) for key, item in value.items()}
        case list() | tuple():
            return [_texts(item) for item in value]
        case float():
            return f"{Decimal(repr(value or 0.0)).normalize():f}"  # -0.0 is 0
        case _:
            return value
