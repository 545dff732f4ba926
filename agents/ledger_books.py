"""A utility's books of trades that a ledger holds: meters, statements to platforms, and bills for what was not traded.

A component of a utility, not an agent.  Its desk (``agents.ledger_desk``) deals with the ledger; here stands what the utility
does with what comes of it.  Every customer has one side contract with its utility, opened when the world wakes; it is billed at
the hour of BILLED for every window in which the customer traded.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from msgspec import UNSET

from agents.chronicle import Chronicle
from agents.deal import amount_for
from agents.deal_forms import INTERVAL, commitment_of
from agents.diary import Entry
from agents.ledger_desk import LedgerDesk, Statement
from sim.clock import Calendar
from sim.contracts.contract import Contract, Role, Settlement, settle
from sim.contracts.interutility import Relief, Schedule, Stage, side_contract
from sim.contracts.trade_rows import CANCELLED, SIDES
from sim.errors import ContractError
from sim.events import EventLog
from sim.forms import flows_body, window_of
from sim.ledger import Ledger, Posting
from sim.participant import Participant, Reaction
from sim.wire.bags import (
    ENERGY,
    AllocatedReading,
    ContractRole,
    EnergyContract,
    EnergySettlement,
    EnergyTradeDelivery,
    InputParameters,
    InputSignal,
    LdTimePeriod,
    MeterReading,
    SettlementLine,
    SignalSource,
    TimeWindow,
)
from sim.wire.bags import Role as WireRole
from sim.wire.core import Contract as WireContract
from sim.wire.core import ContractStatus, Descriptor, Performance
from sim.wire.core import Settlement as WireSettlement
from sim.wire.messages import Alarm, ContractContent, Event, Message
from sim.wire.trade_ledger import LedgerGet, LedgerRecord, LedgerRow, LedgerRows, UtilityRole

BILLED, SIGN = "ledger billed", "ledger sign"
MOVED = "trade-in-another-window"
REFUSED = "CANCELLED_POL_VIOLATION"
ZERO = Decimal(0)

Elsewhere = Callable[[str, int, int], Decimal]
"""What of a meter between two seconds is traded outside the ledger [kWh, + sold, − bought]."""


Admits = Callable[[str, str, float], bool]
"""Whether a trade, by its item in the ledger, of a meter may be of so many kWh; they are locked then."""
Then = Callable[[UtilityRole, Sequence[LedgerRow]], Iterable[Event]]
Released = Callable[[str, Decimal], None]
"""Told what of a trade, by its item in the ledger, is not delivered any more [kWh]."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How a utility settles.  ledger: where.  rates: inputs of ``side_contract``.  signs: it confirms every trade beforehand.

    desk: what its ``LedgerDesk`` is given besides.
    """

    ledger: str
    rates: Mapping[str, Decimal]
    signs: bool
    desk: Mapping[str, Any]


class LedgerBooks:
    """The books of one utility.

    customers: by their meters.  elsewhere: energy that is not there for trades of the ledger.  admits: asked for every trade
    that is to be signed.
    """

    def __init__(
        self,
        owner: Participant,
        rules: Rules,
        *,
        customers: Sequence[str],
        elsewhere: Elsewhere,
        admits: Admits,
        calendar: Calendar,
        currency: str,
        money: Ledger,
        log: EventLog,
    ) -> None:
        self._owner = owner
        self._rules = rules
        self._customers = tuple(customers)
        self._elsewhere = elsewhere
        self._admits = admits
        self._calendar = calendar
        self._currency = currency
        self._money = money
        self._schedule: Schedule = rules.desk.get("schedule") or Schedule()
        self._chronicle = Chronicle(log, owner.era)
        self._settlement = Settlement()
        self._sides: dict[str, tuple[Contract, str]] = {}
        self._readings: dict[str, dict[int, tuple[Decimal, Decimal]]] = {}
        self._asked: dict[str, Callable[[Sequence[LedgerRow]], Iterable[Event]]] = {}
        self._heard_s = 0
        """A second that has not passed yet when the ledger's last answer is read."""
        self.statements: list[Statement] = []
        self.desk = LedgerDesk(
            owner, calendar, rules.ledger, metered=self.metered, settled=self.on_statement, **rules.desk
        )

    @property
    def reactions(self) -> Mapping[str, Reaction]:
        """What the owner serves for it."""
        return {**self.desk.reactions, "ledger/on_get": self.on_rows, BILLED: self.on_billed, SIGN: self.on_sign}

    def begin(self, at_s: int) -> Iterator[Event]:
        """Open the side contracts, and think of every hour."""
        for customer in self._customers:
            yield self._opened(customer)
        yield from self.desk.alarms()
        if self._rules.signs:
            yield Alarm(max(at_s, 0) + 1, SIGN, 0)

    # meters

    def read(self, readings: Mapping[str, MeterReading], index: int) -> None:
        """Take in the readings of an interval; what was not measured is not known."""
        for meter, reading in readings.items():
            if reading.quality == "ACTUAL":
                energy_kwh = Decimal(repr(reading.producedEnergy)), Decimal(repr(reading.consumedEnergy))
                self._readings.setdefault(meter, {})[index] = energy_kwh

    def metered(self, customer: str, start_s: int, end_s: int) -> tuple[Decimal, Decimal] | None:
        """What a meter produced and consumed between two seconds, less what is traded elsewhere [kWh]; None where unread."""
        read = self._readings.get(customer, {})
        indices = range(self._calendar.index_at(start_s), self._calendar.index_at(end_s - 1) + 1)
        if any(index not in read for index in indices):
            return None
        produced, consumed = (sum((read[index][k] for index in indices), ZERO) for k in (0, 1))
        elsewhere = self._elsewhere(customer, start_s, end_s)
        return max(produced - max(elsewhere, ZERO), ZERO), max(consumed + min(elsewhere, ZERO), ZERO)

    # the ledger

    def _ask(self, then: Then, now_s: int) -> Iterator[Event]:
        """Ask for the rows of our customers that are still to be delivered, those that they sold and those that they bought."""
        for role, side in SIDES.items():
            about: dict[str, Any] = {side.utility: self._owner.era}
            asked = LedgerGet(
                deliveryEndFrom=self._calendar.timestamp(now_s + 1), sort="tradeTime", sortOrder="asc", **about
            )
            message = self._owner.request("ledger/get", self._rules.ledger, asked, self._owner.ids.fresh())
            self._asked[message.message_id] = functools.partial(then, cast(UtilityRole, role))
            yield message

    def on_rows(self, message: Message) -> Iterable[Event]:
        """Rows that we, or our desk, asked for."""
        self._heard_s = message.sent_s + message.ttl_s
        then = self._asked.pop(message.message_id, None)
        if then is None:
            return self.desk.on_rows(message)
        assert isinstance(message.content, LedgerRows)
        return then(message.content.records)

    def on_sign(self, alarm: Alarm) -> Iterable[Event]:
        """An interval has begun: confirm what both platforms have put meanwhile."""
        if alarm.index + 1 < self._calendar.count:
            yield Alarm(self._calendar.interval(alarm.index + 1).start_s + 1, SIGN, alarm.index + 1)
        yield from self._ask(self._sign, alarm.at_s)

    def _sign(self, role: UtilityRole, rows: Sequence[LedgerRow]) -> Iterator[Event]:
        """Confirm what our customer may trade, and say no to the rest."""
        status = SIDES[role].status
        for row in rows:
            if getattr(row, status) != "PENDING":
                continue
            verdict = "CONFIRMED" if self._admits(_origin(row), _customer(row, role), _traded_kwh(row)) else REFUSED
            said = LedgerRecord(role=role, recordId=row.recordId, **{status: verdict})  # type: ignore[arg-type]
            yield self._owner.request("ledger/record", self._rules.ledger, said, self._owner.ids.fresh())
            if verdict == REFUSED:
                body = EnergyTradeDelivery(ENERGY, deliveryStatus="FAILED", curtailmentReason="OTHER")
                yield self._to_platform("on_update", row, body)

    # outages

    def relieve(self, now_s: int, entry: Entry, released: Released) -> Iterator[Event]:
        """Take the trades of a customer that are not over off the wires.

        The entry says ``how`` (CANCEL, CURTAIL, RESCHEDULE), curtailed to how many ``kwh``, rescheduled to how many ``minutes``
        later.  released: told of what is not delivered any more.
        """
        relief = Relief(str(entry.say.get("how", "CANCEL")))
        left_kwh = Decimal(repr(entry.say["kwh"])) if relief is Relief.CURTAIL else None
        later_s = round(entry.say["minutes"] * 60) if relief is Relief.RESCHEDULE else 0

        def relieved(role: UtilityRole, rows: Sequence[LedgerRow]) -> Iterator[Event]:
            for row in rows:
                is_open = getattr(row, SIDES[role].status) not in (*CANCELLED, "COMPLETED")
                if is_open and entry.about in ("", _customer(row, role)):
                    yield from self._relieved(row, role, relief, left_kwh, later_s, released)

        return self._ask(relieved, now_s)

    def _relieved(
        self,
        row: LedgerRow,
        role: UtilityRole,
        relief: Relief,
        left_kwh: Decimal | None,
        later_s: int,
        released: Released,
    ) -> Iterator[Event]:
        new_id = f"{row.orderItemId}/{later_s // 60}" if later_s else ""
        try:
            told, found = self.desk.relieve(row, role, relief, left_kwh=left_kwh, new_id=new_id)
        except ContractError:
            return  # it is less than what would be left
        if not later_s:
            released(_origin(row), found.restored_kwh)
        yield told
        body = EnergyTradeDelivery(
            ENERGY,
            deliveryStatus="FAILED" if found.trade is None else "IN_PROGRESS",
            curtailedQuantity=float(found.restored_kwh),
            curtailmentReason="GRID_OUTAGE",
        )
        moved = self._moved(row, later_s, new_id) if later_s else UNSET
        yield self._to_platform("on_update", row, body, moved)

    def _moved(self, row: LedgerRow, later_s: int, new_id: str) -> EnergyContract:
        """Under which item and in which window the platforms are to put a trade anew."""
        start_s, end_s = (self._calendar.seconds(str(at)) for at in (row.deliveryStartTime, row.deliveryEndTime))
        window = TimeWindow(
            start=self._calendar.timestamp(start_s + later_s), end=self._calendar.timestamp(end_s + later_s)
        )
        return EnergyContract(ENERGY, templateId=MOVED, status="ACTIVE", timeWindow=window, reservationId=new_id)

    def _to_platform(self, action: str, row: LedgerRow, body: EnergyTradeDelivery, attributes: Any = UNSET) -> Message:
        """Tell the seller's platform of a trade; it tells the buyer's."""
        performance = Performance(
            id=f"{row.orderItemId}/{self._owner.era}",
            status=Descriptor(code=str(body.deliveryStatus)),
            performanceAttributes=body,
        )
        contract = WireContract(
            commitments=(commitment_of(row.orderItemId, row.recordId, _traded_kwh(row)),),
            performance=(performance,),
            contractAttributes=attributes,
        )
        ids = (row.transactionId, self._owner.ids.fresh())
        return Message(action, self._owner.era, row.platformIdSeller, *ids, ContractContent(contract=contract))

    # settling

    def on_statement(self, statement: Statement) -> Iterator[Event]:
        """A window is settled: tell the platforms what each trade was given; bill the rest at its hour."""
        self.statements.append(statement)
        due_s = max(self._schedule.due_s(Stage.BILLED, statement.end_s), self._heard_s)
        if due_s <= self._calendar.duration_s:
            yield Alarm(due_s, BILLED, len(self.statements) - 1)
        window = LdTimePeriod(
            kind="TimePeriod",
            startDate=self._calendar.timestamp(statement.start_s),
            endDate=self._calendar.timestamp(statement.end_s),
        )
        for trade in statement.trades:
            body = EnergyTradeDelivery(
                ENERGY,
                deliveryStatus="COMPLETED",
                deliveredQuantity=float(trade.energy_kwh),
                meterReadings=tuple(
                    AllocatedReading(
                        allocatedEnergy=_metric_kwh(trade.row, side.metrics), unit="kWh", timeWindow=window
                    )
                    for side in SIDES.values()
                ),
            )
            yield self._to_platform("on_status", trade.row, body)

    def on_billed(self, alarm: Alarm) -> Iterator[Event]:
        """Bill every customer for what its meter said beyond its trades, at our rates."""
        statement = self.statements[alarm.index]
        index = self._calendar.index_at(alarm.at_s - 1)
        for customer, signals in statement.signals.items():
            contract, _ = self._sides[customer]
            postings = settle(self._settlement, contract, index, signals)
            self._money.post(postings)
            self._chronicle.computed(contract, index, signals, postings)
            yield self._bill(contract, customer, index, signals, postings, statement)

    # side contracts

    def _opened(self, customer: str) -> Message:
        """Tell a customer the terms on which it is billed."""
        ids = self._owner.ids
        roles: dict[str, str] = {Role.PROSUMER: customer, Role.GRID_OPERATOR: self._owner.era}
        contract = side_contract().instantiate(ids.fresh(), self._currency, roles, self._rules.rates)
        self._sides[customer] = contract, ids.fresh()
        self._chronicle.in_force(contract)
        attributes = EnergyContract(
            ENERGY,
            templateId=contract.template_id,
            status="ACTIVE",
            roles=tuple(
                ContractRole(role=cast(WireRole, str(role)), filled=True, filledBy=era)
                for role, era in contract.roles.items()
            ),
            inputParameters=InputParameters(constants={name: float(value) for name, value in contract.inputs.items()}),
            inputSignals=(
                InputSignal(signalId=INTERVAL, signalType="STATE", source=SignalSource(era=self._owner.era)),
            ),
            revenueFlows=flows_body(contract),
        )
        return self._to_customer("on_init", customer, contract, attributes)

    def _to_customer(
        self, action: str, customer: str, contract: Contract, attributes: EnergyContract, **more: Any
    ) -> Message:
        body = WireContract(
            id=contract.id,
            status=ContractStatus(code="ACTIVE"),
            commitments=(commitment_of(customer, contract.template_id, 0.0),),
            contractAttributes=attributes,
            **more,
        )
        ids = (self._sides[customer][1], self._owner.ids.fresh())
        return Message(action, self._owner.era, customer, *ids, ContractContent(contract=body))

    def _bill(
        self,
        contract: Contract,
        customer: str,
        index: int,
        signals: Mapping[str, Decimal],
        postings: tuple[Posting, ...],
        statement: Statement,
    ) -> Message:
        attributes = EnergyContract(
            ENERGY,
            templateId=contract.template_id,
            status="ACTIVE",
            timeWindow=window_of(self._calendar, index),
            inputSignals=tuple(
                InputSignal(signalId=name, signalType="STATE", value=float(value)) for name, value in signals.items()
            ),
        )
        settled = EnergySettlement(
            ENERGY,
            cycleId=f"{index}",
            currency=self._currency,
            amount=float(amount_for(customer, postings)),
            breakdown=tuple(
                SettlementLine(term=p.term, amount=float(p.amount), payer=p.payer, payee=p.payee) for p in postings
            ),
            timeWindow=TimeWindow(
                start=self._calendar.timestamp(statement.start_s), end=self._calendar.timestamp(statement.end_s)
            ),
        )
        settlement = WireSettlement(id=f"{contract.id}/{index}", status="COMPLETE", settlementAttributes=settled)
        return self._to_customer("on_update", customer, contract, attributes, settlements=(settlement,))


def _customer(row: LedgerRow, role: UtilityRole) -> str:
    return row.sellerId if role == "SELLER_DISCOM" else row.buyerId


def _origin(row: LedgerRow) -> str:
    """The item under which a trade was put first: where it was moved, it bears that and how many minutes it was moved by."""
    return row.orderItemId.partition("/")[0]


def _traded_kwh(row: LedgerRow) -> float:
    return sum(detail.tradeQty for detail in row.tradeDetails or ())


def _metric_kwh(row: LedgerRow, metrics: str) -> float:
    return float(sum((Decimal(repr(m.validationMetricValue)) for m in getattr(row, metrics) or ()), ZERO))
