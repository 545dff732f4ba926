"""What a provider's deals come to: signals of every interval, postings, and word of them to the taker.

A component, not an agent: its owner says what happened, and sends what it returns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Literal

from msgspec import UNSET, UnsetType

from agents.chronicle import Chronicle
from agents.deal import Deal, amount_for, signals_of
from agents.deal_forms import on_wire, session_of
from agents.reserve_forms import heard, state_of
from sim.clock import Calendar, Interval
from sim.contracts.contract import Settlement, Turn, lines, transition
from sim.events import EventLog
from sim.forms import window_of
from sim.ledger import Ledger, Posting
from sim.participant import Participant
from sim.wire.bags import (
    ENERGY,
    EnergyDelivery,
    EnergySettlement,
    InputSignal,
    MeterReading,
    SettlementLine,
    TimeWindow,
)
from sim.wire.core import Descriptor, Performance
from sim.wire.core import Settlement as WireSettlement
from sim.wire.messages import ContractContent, Message

TURNS = {"ended": Turn.FULFIL, "cancelled": Turn.CANCEL, "withdrawn": Turn.DEFAULT}
"""What becomes of an active deal, by how it ended."""
QUIET = frozenset({"pricePerKWh", "quotedAmount", "prepaidAmount", "level"})
"""Signals that are there in every interval; one in which nothing else is has nothing to tell."""


class Till:
    """The accounts of one provider's deals.  Postings go to the common ledger, rounded once a term."""

    def __init__(self, owner: Participant, calendar: Calendar, currency: str, ledger: Ledger, log: EventLog) -> None:
        self._owner = owner
        self._calendar = calendar
        self._currency = currency
        self._ledger = ledger
        self.chronicle = Chronicle(log, owner.era)
        self._settlement = Settlement()
        self._posted: dict[str, list[Posting]] = {}

    def cycle(self, deal: Deal, interval: Interval, consumed_kwh: Decimal, produced_kwh: Decimal) -> Iterable[Message]:
        """Settle one interval of a deal and tell the taker, unless nothing happened in it; end the deal with its last.

        A deal that is billed when it is over accrues all the same, so that both ways of billing come to the same money; what
        is due when it is confirmed, it pays then.
        """
        signals = signals_of(deal, self._calendar, interval, consumed_kwh, produced_kwh)
        over = deal.over_s is not None and deal.over_s <= interval.end_s
        deal.settled.add(interval.index)
        if not over and not any(value for name, value in signals.items() if name not in QUIET):
            return ()
        self._settlement.accrue(deal.contract, lines(deal.contract, signals))
        due = over or interval.index == deal.first or deal.item.billing == "INCREMENTAL"
        postings = self._settlement.post(interval.index, deal.contract) if due else ()
        self._ledger.post(postings)
        self._posted.setdefault(deal.contract.id, []).extend(postings)
        self.chronicle.computed(deal.contract, interval.index, signals, postings)
        if over:
            turn = TURNS[deal.ending]
            deal.status = transition(deal.contract.id, deal.status, turn)
            self.chronicle.ended(deal.contract, turn)
        return (self._word(deal, interval, signals, postings, (consumed_kwh, produced_kwh), settled=due),)

    def balance(self, deal: Deal, era: str) -> Decimal:
        """What a deal has brought a party so far, + received."""
        return amount_for(era, self._posted.get(deal.contract.id, ()))

    def _word(
        self,
        deal: Deal,
        interval: Interval,
        signals: Mapping[str, Decimal],
        postings: tuple[Posting, ...],
        energy_kwh: tuple[Decimal, Decimal],
        *,
        settled: bool,
    ) -> Message:
        window = window_of(self._calendar, interval.index)
        told = tuple(
            InputSignal(signalId=name, signalType="PRICE" if name == "pricePerKWh" else "STATE", value=float(value))
            for name, value in signals.items()
        )
        contract = on_wire(
            deal,
            window=window,
            signals=(*told, *heard(deal, self._calendar, interval)) or UNSET,
            performance=(self._performance(deal, interval, energy_kwh),),
            settlements=(self._settled(deal, interval, postings, window),) if settled else UNSET,
        )
        action = "on_update" if settled else "on_status"
        ids = (deal.transaction_id, self._owner.ids.fresh())
        return Message(action, self._owner.era, deal.taker, *ids, ContractContent(contract=contract))

    def _performance(self, deal: Deal, interval: Interval, energy_kwh: tuple[Decimal, Decimal]) -> Performance:
        if deal.item.delivery == "session":
            return Performance(
                id=f"{deal.contract.id}/session",
                status=Descriptor(code=deal.session),
                performanceAttributes=session_of(deal, self._calendar, interval.end_s),
            )
        consumed, produced = map(float, energy_kwh)
        reading = MeterReading(
            timeWindow=window_of(self._calendar, interval.index),
            consumedEnergy=consumed,
            producedEnergy=produced,
            unit="kWh",
            quality="ACTUAL",
        )
        status: Literal["COMPLETED", "IN_PROGRESS"] = "IN_PROGRESS" if deal.is_open else "COMPLETED"
        return Performance(
            id=f"{deal.contract.id}/{interval.index}",
            status=Descriptor(code=status),
            performanceAttributes=EnergyDelivery(
                ENERGY,
                deliveryStatus=status,
                meterId=deal.meter or deal.item.meter,
                meterReadings=(reading,),
                telemetry=state_of(deal.answer, self._calendar, interval),
            ),
        )

    def _settled(
        self, deal: Deal, interval: Interval, postings: tuple[Posting, ...], window: TimeWindow | UnsetType
    ) -> WireSettlement:
        assert window is not UNSET
        attributes = EnergySettlement(
            ENERGY,
            cycleId=str(interval.index),
            currency=self._currency,
            amount=float(amount_for(deal.taker, postings)),
            breakdown=tuple(
                SettlementLine(term=p.term, amount=float(p.amount), payer=p.payer, payee=p.payee) for p in postings
            ),
            timeWindow=window,
        )
        return WireSettlement(
            id=f"{deal.contract.id}/{interval.index}", status="COMPLETE", settlementAttributes=attributes
        )
