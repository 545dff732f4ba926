"""The trade ledger: a row for every trade between two utilities' customers, put by platforms and recorded by utilities."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from sim.clock import Calendar
from sim.contracts.trade_rows import PLATFORM, SIDES, Author, Entry, Row, joined, opened, recorded
from sim.participant import Ids, Participant, Registry
from sim.wire.codes import Code, Refusal
from sim.wire.messages import Event, Message
from sim.wire.trade_ledger import LedgerGet, LedgerPut, LedgerReceipt, LedgerRecord, LedgerRow, LedgerRows

PAGE = 50
"""Rows on a page, where nobody says how many."""

_EXACT = ("transactionId", "orderItemId", "recordId", "buyerId", "sellerId")
_FITTING = (*_EXACT, *PLATFORM.values(), *(side.utility for side in SIDES.values()))
_SPANS = {
    "creationTime": "creationTime",
    "tradeTime": "tradeTime",
    "deliveryStart": "deliveryStartTime",
    "deliveryEnd": "deliveryEndTime",
}
"""The field of a row that a span of time is about, by how its two ends begin."""

HIDDEN: Mapping[str, tuple[str, ...]] = {
    "platformIdBuyer": ("sellerFulfillmentValidationMetrics",),
    "platformIdSeller": ("buyerFulfillmentValidationMetrics",),
    "discomIdBuyer": (),
    "discomIdSeller": (),
}
"""What each party of a row is not shown: what the other platform's customer metered.  Utilities settle, so they see it all."""

Standing = Callable[[str, int], bool]
"""Whether somebody may trade at a simulated second."""


class TradeLedger(Participant):
    """Keeps the rows, in the order in which they were opened.

    platforms, utilities: who may put, and who may record.  may_trade: asked for the caller and for both customers of every put;
    somebody who is suspended puts nothing.  blocking: a trade that both platforms have put waits for both utilities to confirm.
    """

    kind = "trade_ledger"

    def __init__(
        self,
        registry: Registry,
        era: str,
        ids: Ids,
        *,
        calendar: Calendar,
        platforms: Collection[str],
        utilities: Collection[str],
        may_trade: Standing = lambda era, at_s: True,
        blocking: bool = False,
    ) -> None:
        super().__init__(registry, era, ids)
        self._calendar = calendar
        self._platforms = frozenset(platforms)
        self._utilities = frozenset(utilities)
        self._may_trade = may_trade
        self._blocking = blocking
        self._rows: dict[tuple[str, str], Row] = {}
        self._keys: dict[str, tuple[str, str]] = {}
        self._receipts: dict[tuple[str, str, tuple[str, str], str], tuple[object, LedgerReceipt]] = {}
        self.reactions |= {"ledger/put": self.on_put, "ledger/record": self.on_record, "ledger/get": self.on_get}

    @property
    def rows(self) -> tuple[LedgerRow, ...]:
        """Every row as it stands, with its digest."""
        return tuple(_digested(row) for row in self._rows.values())

    def history(self, transaction_id: str, order_item_id: str) -> tuple[Entry, ...]:
        """Every write of one row.  Raises ``KeyError`` for a row that is not there."""
        return self._rows[transaction_id, order_item_id].entries

    # writing

    def on_put(self, message: Message) -> Iterable[Event]:
        """Open a row, or agree to it; all of it, or nothing."""
        put = message.content
        assert isinstance(put, LedgerPut)
        self._only(
            message, self._platforms, "a platform puts trades; a utility records what it measured (ledger/record)"
        )
        key = (put.transactionId, put.orderItemId)
        known = self._known(message, key, put)
        if known is not None:
            return (self.answer(message, known),)
        row = self._rows.get(key)
        self._in_good_standing(message, put, row)
        author = Author(message.sender, self._calendar.timestamp(message.sent_s))
        if row is not None:
            return (self._kept(message, key, joined(row, put, author, blocking=self._blocking), put),)
        if put.recordId is not UNSET:
            raise Refusal(Code.PRC_NOT_FOUND, "/message/recordId", f"no row {put.recordId}; the ledger names new rows")
        for side in SIDES.values():
            self._is_utility(getattr(put, side.utility), side.utility)
        return (self._kept(message, key, opened(put, author, self.ids.fresh), put),)

    def on_record(self, message: Message) -> Iterable[Event]:
        """Take in what a utility measured, or where its side stands."""
        said = message.content
        assert isinstance(said, LedgerRecord)
        self._only(message, self._utilities, "a utility records; a platform puts trades (ledger/put)")
        key = self._key_of(said)
        known = self._known(message, key, said)
        if known is not None:
            return (self.answer(message, known),)
        author = Author(message.sender, self._calendar.timestamp(message.sent_s))
        return (self._kept(message, key, recorded(self._rows[key], said, author), said),)

    def _only(self, message: Message, allowed: Collection[str], what: str) -> None:
        if message.sender not in allowed:
            raise Refusal(Code.AUT_NOT_AUTHORIZED, "/context/bapId", f"{message.sender} may not: {what}")

    def _is_utility(self, era: object, field: str) -> None:
        if era is not UNSET and era not in self._utilities:
            what = f"{self.era} knows no utility {era!r}"
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, f"/message/{field}", what)

    def _in_good_standing(self, message: Message, put: LedgerPut, row: Row | None) -> None:
        named: LedgerPut | LedgerRow = put if row is None else row.record
        for where, era in (
            ("/context/bapId", message.sender),
            ("/message/buyerId", named.buyerId),
            ("/message/sellerId", named.sellerId),
        ):
            if isinstance(era, str) and not self._may_trade(era, message.sent_s):
                raise Refusal(Code.AUT_NOT_AUTHORIZED, where, f"{era} is suspended")

    def _key_of(self, said: LedgerRecord) -> tuple[str, str]:
        if isinstance(said.transactionId, str) and isinstance(said.orderItemId, str):
            key, what = (said.transactionId, said.orderItemId), f"{said.transactionId} and {said.orderItemId}"
            where = "/message/transactionId"
        else:
            key, what = self._keys.get(str(said.recordId), ("", "")), str(said.recordId)
            where = "/message/recordId"
        if key not in self._rows:
            raise Refusal(Code.PRC_NOT_FOUND, where, f"no row of {what}; a platform puts it first")
        return key

    # once and once only

    def _known(self, message: Message, key: tuple[str, str], said: LedgerPut | LedgerRecord) -> LedgerReceipt | None:
        """The receipt that this caller got for the same reference; another body under it is a conflict."""
        if said.clientReference is UNSET:
            return None
        earlier, receipt = self._receipts.get((message.sender, message.action, key, said.clientReference), (None, None))
        if receipt is not None and earlier != said:
            what = f"{said.clientReference} stands for another body of {message.sender}"
            raise Refusal(Code.PRC_CONFLICT, "/message/clientReference", what)
        return receipt

    def _kept(self, message: Message, key: tuple[str, str], row: Row, said: LedgerPut | LedgerRecord) -> Message:
        record = row.record
        receipt = LedgerReceipt(
            success=True, recordId=record.recordId, creationTime=record.creationTime, rowDigest=row.digest
        )
        answer = self.answer(message, receipt)
        self._rows[key] = row
        self._keys[record.recordId] = key
        if said.clientReference is not UNSET:
            self._receipts[message.sender, message.action, key, said.clientReference] = (said, receipt)
        return answer

    # reading

    def on_get(self, message: Message) -> Iterable[Event]:
        """The rows that fit, of those that the caller is a party of, without what it may not see."""
        asked = message.content
        assert isinstance(asked, LedgerGet)
        self._only(message, self._platforms | self._utilities, f"only platforms and utilities of {self.era} read it")
        fits = [r for r in self._visible(message.sender) if _fits(asked, r)]
        name = asked.sort or "creationTime"
        fits.sort(key=lambda r: datetime.fromisoformat(getattr(r, name)), reverse=asked.sortOrder != "asc")
        first = asked.offset or 0
        page = tuple(fits[first : first + (asked.limit or PAGE)])
        return (self.answer(message, LedgerRows(records=page, count=len(page))),)

    def _visible(self, reader: str) -> Iterator[LedgerRow]:
        for row in self.rows:
            hidden = [fields for party, fields in HIDDEN.items() if getattr(row, party) == reader]
            if hidden:
                unseen = set(hidden[0]).intersection(*hidden)  # who is two parties sees what either does
                yield replace(row, **dict.fromkeys(sorted(unseen), UNSET))


def _digested(row: Row) -> LedgerRow:
    return replace(row.record, rowDigest=row.digest)


def _fits(asked: LedgerGet, row: LedgerRow) -> bool:
    exact = all(getattr(asked, name) in (UNSET, getattr(row, name)) for name in _FITTING)
    return exact and all(_within(asked, prefix, getattr(row, name)) for prefix, name in _SPANS.items())


def _within(asked: LedgerGet, prefix: str, at: str) -> bool:
    first, last = (getattr(asked, prefix + end) for end in ("From", "To"))
    return _moment(first, at) <= _moment(at, at) <= _moment(last, at)


def _moment(text: Any, default: str) -> datetime:
    return datetime.fromisoformat(default if text is UNSET else text)
