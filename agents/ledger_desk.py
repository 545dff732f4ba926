"""A utility's part in a trade ledger: it reads its customers' meters, allocates them to trades, records, and settles.

A component of a utility, not an agent.  All it knows of trades is in the rows that it gets: at its hour after delivery it asks
for those that its customers sold, later for those that they bought, and at last for both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Decimal

from msgspec import UNSET

from sim.clock import Calendar
from sim.contracts.agreement import Basis
from sim.contracts.allocation import WH, Sharing, Trade, share
from sim.contracts.interutility import Relief, Relieved, Schedule, Stage, relieve
from sim.contracts.trade_rows import CANCELLED, SIDES
from sim.errors import ContractError
from sim.ledger import EXACT, total_of
from sim.participant import Participant, Reaction
from sim.wire.messages import Alarm, Event, Message
from sim.wire.trade_ledger import LedgerGet, LedgerRecord, LedgerRow, LedgerRows, UtilityRole, ValidationMetric

LARGEST_PAGE = 500

Metered = Callable[[str, int, int], tuple[Decimal, Decimal] | None]
"""What a customer's meter produced and consumed between two seconds [kWh, ≥ 0]; None where it was not read."""


@dataclass(frozen=True, slots=True)
class SettledTrade:
    """A trade that both utilities have recorded, and the energy that it settles [kWh]."""

    row: LedgerRow
    energy_kwh: Decimal


@dataclass(frozen=True, slots=True)
class Statement:
    """What one delivery window came to for the customers of a utility.

    trades: in order of agreement.  signals: of each customer's ``side_contract``, by its id.
    """

    start_s: int
    end_s: int
    trades: tuple[SettledTrade, ...]
    signals: Mapping[str, Mapping[str, Decimal]]


Settled = Callable[[Statement], Iterable[Event]]
"""What the utility does with a statement: it bills its customers and tells its platforms."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What differs between selling and buying.  reading: its place in what a meter says; sign: + where it injects."""

    customer: str
    metric: str
    reading: int
    sign: int


_PARTS: Mapping[UtilityRole, _Part] = {
    "SELLER_DISCOM": _Part("sellerId", "ACTUAL_PUSHED", 0, 1),
    "BUYER_DISCOM": _Part("buyerId", "ACTUAL_PULLED", 1, -1),
}
_ASKED: Mapping[Stage, tuple[UtilityRole, ...]] = {
    Stage.PRODUCED: ("SELLER_DISCOM",),
    Stage.CONSUMED: ("BUYER_DISCOM",),
    Stage.SETTLED: ("SELLER_DISCOM", "BUYER_DISCOM"),
}
"""The sides whose rows each stage asks for."""


@dataclass(frozen=True, slots=True)
class _Question:
    """What was asked of the ledger.  rows: those of the pages so far."""

    stage: Stage
    index: int
    role: UtilityRole
    rows: tuple[LedgerRow, ...] = ()


class LedgerDesk:
    """The desk of one utility.

    owner: in whose name it speaks; it serves ``reactions`` and rings ``alarms`` from its start.  sequential: a bought trade is
    allocated no more than was sold of it.  patience: for how many intervals more a stage waits for a meter, or for the other
    utility; what is missing after that stays among ``open_rows``, for nothing is ever settled on nothing.  basis: MIN_OF_TWO
    settles the lesser of what both recorded, CONTRACTED what was agreed, or was left of it.  Raises ``ContractError`` for the
    rule MOST, which needs the meters of both, and for another basis.
    """

    def __init__(
        self,
        owner: Participant,
        calendar: Calendar,
        ledger: str,
        *,
        metered: Metered,
        settled: Settled,
        rule: Sharing = Sharing.PRO_RATA,
        basis: Basis = Basis.MIN_OF_TWO,
        sequential: bool = False,
        schedule: Schedule | None = None,
        patience: int = 3,
    ) -> None:
        if rule is Sharing.MOST:
            raise ContractError(owner.era, "MOST needs the meters of both utilities; choose PRO_RATA or FIFO")
        if basis not in (Basis.MIN_OF_TWO, Basis.CONTRACTED):
            raise ContractError(owner.era, f"{basis}: two meters are settled MIN_OF_TWO or CONTRACTED")
        self._basis = basis
        self._owner = owner
        self._calendar = calendar
        self._ledger = ledger
        self._metered = metered
        self._settled = settled
        self._rule = rule
        self._sequential = sequential
        self._schedule = schedule or Schedule()
        self._patience = patience
        self._questions: dict[str, _Question] = {}
        self._halves: dict[int, tuple[LedgerRow, ...]] = {}
        self._left_kwh: dict[str, Decimal] = {}
        self._stated: dict[tuple[int, int], frozenset[str]] = {}
        self.open_rows: dict[str, LedgerRow] = {}

    @property
    def reactions(self) -> Mapping[str, Reaction]:
        """What the owner serves for it."""
        rings: dict[str, Reaction] = {_bell(stage): self.on_ring for stage in _ASKED}
        return {**rings, "ledger/on_get": self.on_rows, "ledger/on_record": self.on_receipt}

    def alarms(self) -> Iterable[Event]:
        """The first hour of each stage; each calls for the next."""
        return tuple(self._alarm(stage, 0) for stage in _ASKED)

    def relieve(
        self,
        row: LedgerRow,
        role: UtilityRole,
        relief: Relief,
        *,
        left_kwh: Decimal | None = None,
        new_id: str = "",
        cause: str = "OUTAGE",
    ) -> tuple[Message, Relieved]:
        """What the ledger is to be told where the wires carry less of a trade, and what the utility's own limits get back.

        A trade that is rescheduled is cancelled here; its platforms put it anew.  Raises ``ContractError`` like
        ``sim.contracts.interutility.relieve``.
        """
        trade = Trade(row.orderItemId, row.sellerId, row.buyerId, _energy_kwh(row))
        found = relieve(trade, relief, left_kwh=left_kwh, new_id=new_id, cause=cause)
        if found.trade is not None:
            self._left_kwh[row.recordId] = found.trade.energy_kwh
        said = LedgerRecord(role=role, recordId=row.recordId, **{SIDES[role].status: found.status})  # type: ignore[arg-type]
        return self._owner.request("ledger/record", self._ledger, said, self._owner.ids.fresh()), found

    # asking

    def on_ring(self, alarm: Alarm) -> Iterable[Event]:
        """An hour has come: ask for the rows of an interval, and of those before it that may still lack something."""
        stage = next(stage for stage in _ASKED if _bell(stage) == alarm.name)
        if alarm.index + 1 < self._calendar.count:
            yield self._alarm(stage, alarm.index + 1)
        for role in _ASKED[stage]:
            yield self._ask(_Question(stage, alarm.index, role))

    def _alarm(self, stage: Stage, index: int) -> Alarm:
        return Alarm(self._schedule.due_s(stage, self._calendar.interval(index).end_s), _bell(stage), index)

    def _ask(self, question: _Question) -> Message:
        first = self._calendar.interval(max(question.index - self._patience, 0))
        last = self._calendar.interval(question.index)
        asked = LedgerGet(
            deliveryEndFrom=self._calendar.timestamp(first.start_s + 1),
            deliveryEndTo=self._calendar.timestamp(last.end_s),
            sort="tradeTime",
            sortOrder="asc",
            limit=LARGEST_PAGE,
            offset=len(question.rows),
            **{SIDES[question.role].utility: self._owner.era},
        )
        message = self._owner.request("ledger/get", self._ledger, asked, self._owner.ids.fresh())
        self._questions[message.message_id] = question
        return message

    def on_rows(self, message: Message) -> Iterable[Event]:
        """The rows of a question, a page at a time."""
        assert isinstance(message.content, LedgerRows)
        question = self._questions.pop(message.message_id)
        page = message.content.records
        question = replace(question, rows=(*question.rows, *page))
        if len(page) == LARGEST_PAGE:
            return (self._ask(question),)
        if question.stage is Stage.SETTLED:
            return self._half(question)
        return tuple(self._records(question))

    def on_receipt(self, _: Message) -> Iterable[Event]:
        """The ledger has taken a record."""
        return ()

    # recording

    def _records(self, question: _Question) -> Iterator[Message]:
        """What each trade gets of its customer's meter; a meter that was not read is asked for again an interval later."""
        part, side = _PARTS[question.role], SIDES[question.role]
        groups: dict[tuple[str, int, int], list[LedgerRow]] = {}
        for row in _alive(question.rows):
            groups.setdefault((getattr(row, part.customer), *self._window(row)), []).append(row)
        for group, rows in groups.items():
            reading = self._metered(*group)
            waiting = [row for row in rows if getattr(row, side.status) != "COMPLETED"]
            if reading is None or not waiting:
                continue
            taken = total_of(_metric_kwh(row, question.role) or Decimal(0) for row in rows if row not in waiting)
            left = max(EXACT.subtract(_whole(reading[part.reading]), taken), Decimal(0))
            given = share(left, [self._asked_kwh(row, question.role) for row in waiting], self._rule)
            for row, energy_kwh in zip(waiting, given, strict=True):
                yield self._record(row, question.role, energy_kwh)

    def _asked_kwh(self, row: LedgerRow, role: UtilityRole) -> Decimal:
        asked = min(_energy_kwh(row), self._left_kwh.get(row.recordId, _energy_kwh(row)))
        pushed = _metric_kwh(row, "SELLER_DISCOM")
        return min(asked, pushed) if self._sequential and role == "BUYER_DISCOM" and pushed is not None else asked

    def _record(self, row: LedgerRow, role: UtilityRole, energy_kwh: Decimal) -> Message:
        metric = ValidationMetric(
            validationMetricType=_PARTS[role].metric,  # type: ignore[arg-type]
            validationMetricValue=float(energy_kwh),
        )
        side = SIDES[role]
        said = LedgerRecord(
            role=role,
            transactionId=row.transactionId,
            orderItemId=row.orderItemId,
            clientReference=f"{row.recordId}/{_PARTS[role].metric}",
            **{side.metrics: (metric,), side.status: "COMPLETED"},  # type: ignore[arg-type]
        )
        return self._owner.request("ledger/record", self._ledger, said, self._owner.ids.fresh())

    # settling

    def _half(self, question: _Question) -> Iterable[Event]:
        """Rows sold and rows bought are settled together."""
        if question.index not in self._halves:
            self._halves[question.index] = question.rows
            return ()
        rows = {row.recordId: row for row in (*self._halves.pop(question.index), *question.rows)}
        windows: dict[tuple[int, int], list[LedgerRow]] = {}
        for row in _alive(sorted(rows.values(), key=lambda row: self._calendar.seconds(str(row.tradeTime)))):
            windows.setdefault(self._window(row), []).append(row)
        events: list[Event] = []
        for window, agreed in windows.items():
            if window not in self._stated:
                events += self._settle(window, agreed)
            late = [row for row in agreed if row.recordId not in self._stated.get(window, frozenset())]
            self.open_rows |= {row.recordId: row for row in late}
        return events

    def _settle(self, window: tuple[int, int], rows: Sequence[LedgerRow]) -> Iterable[Event]:
        settled = []
        for row in rows:
            pushed, pulled = (_metric_kwh(row, role) for role in _PARTS)
            if pushed is not None and pulled is not None:
                is_lesser = self._basis is Basis.MIN_OF_TWO
                settled.append(SettledTrade(row, min(pushed, pulled) if is_lesser else _energy_kwh(row)))
        signals = self._signals(window, settled)
        if len(settled) < len(rows) or signals is None:
            return ()
        self._stated[window] = frozenset(row.recordId for row in rows)
        for row in rows:
            self.open_rows.pop(row.recordId, None)
        return self._settled(Statement(*window, tuple(settled), signals))

    def _signals(self, window: tuple[int, int], trades: Sequence[SettledTrade]) -> dict[str, dict[str, Decimal]] | None:
        """What the side contracts of our customers are told; nothing as long as one of their meters was not read."""
        traded: dict[str, Decimal] = {}
        for trade in trades:
            for role, part in _PARTS.items():
                if getattr(trade.row, SIDES[role].utility) == self._owner.era:
                    customer = getattr(trade.row, part.customer)
                    before = traded.get(customer, Decimal(0))
                    traded[customer] = EXACT.add(before, part.sign * trade.energy_kwh)
        signals = {}
        for customer, traded_kwh in traded.items():
            reading = self._metered(customer, *window)
            if reading is None:
                return None
            produced, consumed = reading
            signals[customer] = {"energyKWh": EXACT.subtract(produced, consumed), "tradedKWh": traded_kwh}
        return signals

    def _window(self, row: LedgerRow) -> tuple[int, int]:
        return tuple(self._calendar.seconds(str(at)) for at in (row.deliveryStartTime, row.deliveryEndTime))  # type: ignore[return-value]


def _bell(stage: Stage) -> str:
    return f"ledger {stage.lower()}"


def _alive(rows: Iterable[LedgerRow]) -> Iterator[LedgerRow]:
    """Rows of energy that both platforms have put and no utility has cancelled."""
    for row in rows:
        statuses = (row.statusBuyerDiscom, row.statusSellerDiscom)
        if "PENDING" not in statuses and not {*CANCELLED} & {*statuses} and _energy_kwh(row):
            yield row


def _energy_kwh(row: LedgerRow) -> Decimal:
    """The energy that was traded, in whole Wh."""
    details = () if row.tradeDetails is UNSET else row.tradeDetails
    energies = (d.tradeQty for d in details if d.tradeType == "ENERGY" and d.tradeUnit == "KWH")
    return total_of(_whole(Decimal(repr(energy))) for energy in energies)


def _metric_kwh(row: LedgerRow, role: UtilityRole) -> Decimal | None:
    """What a side's utility has recorded of a trade; None where it has not."""
    metrics = getattr(row, SIDES[role].metrics) or ()
    found = [m.validationMetricValue for m in metrics if m.validationMetricType == _PARTS[role].metric]
    return _whole(Decimal(repr(found[0]))) if found else None


def _whole(energy_kwh: Decimal) -> Decimal:
    return energy_kwh.quantize(WH, ROUND_FLOOR)
