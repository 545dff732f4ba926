"""What a provider's deals come to: signals of every interval, postings, and word of them to the taker.

A component, not an agent: its owner says what happened, and sends what it returns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Literal

from msgspec import UNSET, UnsetType

from agents.chronicle import Chronicle
from agents.deal import ZERO, Deal, amount_for, signals_of
from agents.deal_forms import on_wire, price_of, returned, session_of
from agents.reserve_forms import heard, state_of
from agents.trade_record import delivery_of
from sim.clock import Calendar, Interval
from sim.contracts.contract import Line, Settlement, Turn, lines, transition
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
Quality = Literal["ACTUAL", "ESTIMATED", "MISSING"]
Energy = tuple[Decimal, Decimal]
"""What the taker's meter has drawn and the provider's has injected, kWh ≥ 0."""
PRICES = ("pricePerKWh", "pricePerCall")
ESTIMATED = "estimated"
"""The signal that says how many intervals of a deal are settled by an estimate, where this one is, or the bill has some."""
QUIET = frozenset({"pricePerKWh", "pricePerCall", "quotedAmount", "prepaidAmount", "level"})
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
        self._estimates: dict[str, dict[int, Mapping[str, Decimal]]] = {}
        """Signals of intervals that nobody has read, by contract."""

    def cycle(
        self, deal: Deal, interval: Interval, energy_kwh: Energy, quality: Quality = "ACTUAL"
    ) -> Iterable[Message]:
        """Settle one interval of a deal and tell the taker, unless nothing happened in it; end the deal with its last.

        A deal that is billed when it is over accrues all the same, so that both ways of billing come to the same money; what
        is due when it is confirmed, it pays then.  quality: ESTIMATED where nobody has read what its contract counts by.
        """
        signals = signals_of(deal, self._calendar, interval, *energy_kwh)
        over = deal.is_over(interval)
        deal.settled.add(interval.index)
        if quality == "ESTIMATED":
            self._estimates.setdefault(deal.contract.id, {})[interval.index] = signals
        if not over and not any(value for name, value in signals.items() if name not in QUIET):
            return ()
        if over and deal.session == "STOP":
            deal.session = "COMPLETED"
        self._settlement.accrue(deal.contract, lines(deal.contract, signals))
        due = over or interval.index == deal.first or deal.item.billing == "INCREMENTAL"
        postings = self._post(deal, interval, signals, due=due)
        if over:
            turn = TURNS[deal.ending]
            deal.status = transition(deal.contract.id, deal.status, turn)
            self.chronicle.ended(deal.contract, turn)
        return (self._word(deal, interval, signals, postings, energy_kwh, settled=due, quality=quality),)

    def estimates(self, deal: Deal) -> tuple[int, ...]:
        """The intervals of a deal that were settled by an estimate, and are to be put right."""
        return tuple(self._estimates.get(deal.contract.id, ()))

    def put_right(self, deal: Deal, interval: Interval, energy_kwh: Energy) -> Iterable[Message]:
        """The reading of an interval that was estimated has come: settle what it makes different, and tell the taker."""
        before = self._estimates[deal.contract.id].pop(interval.index)
        told = dict(zip(("consumedKWh", "producedKWh"), energy_kwh, strict=True))
        signals = {name: told.get(name, value) for name, value in before.items()}
        if signals == before:
            return ()
        self._settlement.accrue(deal.contract, lines(deal.contract, signals))
        self._settlement.accrue(deal.contract, map(_taken_back, lines(deal.contract, before)))
        due = deal.item.billing == "INCREMENTAL"
        if interval.index in map(int, self.chronicle.open_cycles(deal.contract)):
            self.chronicle.settled(deal.contract, interval.index)
        postings = self._post(deal, interval, signals, due=due)
        return (self._word(deal, interval, signals, postings, energy_kwh, settled=due, quality="ACTUAL"),)

    def _post(
        self, deal: Deal, interval: Interval, signals: Mapping[str, Decimal], *, due: bool
    ) -> tuple[Posting, ...]:
        postings = self._settlement.post(interval.index, deal.contract) if due else ()
        self._ledger.post(postings)
        self._posted.setdefault(deal.contract.id, []).extend(postings)
        self.chronicle.computed(deal.contract, interval.index, signals, postings)
        return postings

    def balance(self, deal: Deal, era: str) -> Decimal:
        """What a deal has brought a party so far, + received."""
        return amount_for(era, self._posted.get(deal.contract.id, ()))

    def _word(
        self,
        deal: Deal,
        interval: Interval,
        signals: Mapping[str, Decimal],
        postings: tuple[Posting, ...],
        energy_kwh: Energy,
        *,
        settled: bool,
        quality: Quality,
    ) -> Message:
        window = window_of(self._calendar, interval.index)
        told = tuple(
            InputSignal(signalId=name, signalType="PRICE" if name in PRICES else "STATE", value=float(value))
            for name, value in signals.items()
        )
        estimates = len(self.estimates(deal))
        if quality == "ESTIMATED" or (estimates and not deal.is_open):
            told += (InputSignal(signalId=ESTIMATED, signalType="STATE", value=float(estimates)),)
        contract = on_wire(
            deal,
            window=window,
            signals=(*told, *heard(deal, self._calendar, interval)) or UNSET,
            performance=tuple(self._performance(deal, interval, energy_kwh, quality)) or UNSET,
            settlements=tuple(self._settlements(deal, interval, postings, window)) if settled else UNSET,
            consideration=UNSET if deal.is_open else price_of(deal, self._bill(deal), self._currency, "FINAL") or UNSET,
        )
        action = "on_update" if settled else "on_status"
        ids = (deal.transaction_id, self._owner.ids.fresh())
        return Message(action, self._owner.era, deal.taker, *ids, ContractContent(contract=contract))

    def _performance(
        self, deal: Deal, interval: Interval, energy_kwh: Energy, quality: Quality
    ) -> Iterator[Performance]:
        """The session, or what was delivered: what either meter says, where they are two."""
        if deal.item.delivery == "session":
            yield Performance(
                id=f"{deal.contract.id}/session",
                status=Descriptor(code=deal.session),
                performanceAttributes=session_of(deal, self._calendar, interval.end_s),
            )
            return
        if deal.record is not None:
            yield delivery_of(deal.contract.id, deal.record)
            return
        taker, own = deal.meter or deal.item.meter, deal.item.meter or deal.meter
        if not taker:  # it is about no energy
            return
        consumed, produced = map(float, energy_kwh)
        metered = {taker: (consumed, produced)} if taker == own else {taker: (consumed, 0.0), own: (0.0, produced)}
        status: Literal["COMPLETED", "IN_PROGRESS"] = "IN_PROGRESS" if deal.is_open else "COMPLETED"
        for meter, (drawn, injected) in metered.items():
            reading = MeterReading(
                timeWindow=window_of(self._calendar, interval.index),
                consumedEnergy=drawn,
                producedEnergy=injected,
                unit="kWh",
                quality=quality,
            )
            yield Performance(
                id=f"{deal.contract.id}/{interval.index}" + (f"/{meter}" if taker != own else ""),
                status=Descriptor(code="PARTIALLYFULFILLED" if deal.curtailed_kwh and not deal.is_open else status),
                performanceAttributes=EnergyDelivery(
                    ENERGY,
                    deliveryStatus=status,
                    meterId=meter,
                    meterReadings=(reading,),
                    telemetry=state_of(deal, self._calendar, interval),
                ),
            )

    def _bill(self, deal: Deal) -> Iterator[Posting]:
        """What a deal has come to, term by term; what went to and fro is no part of it."""
        owed: dict[tuple[str, str, str], Decimal] = {}
        for p in self._posted.get(deal.contract.id, ()):
            there, back = (p.term, p.payer, p.payee), (p.term, p.payee, p.payer)
            if back in owed:
                owed[back] -= p.amount
            else:
                owed[there] = owed.get(there, ZERO) + p.amount
        for (term, payer, payee), amount in owed.items():
            if amount < 0:
                yield Posting(deal.first, deal.contract.id, term, payee, payer, -amount, self._currency)
            elif amount:
                yield Posting(deal.first, deal.contract.id, term, payer, payee, amount, self._currency)

    def _settlements(
        self, deal: Deal, interval: Interval, postings: tuple[Posting, ...], window: TimeWindow | UnsetType
    ) -> Iterator[WireSettlement]:
        """What an interval came to; in the end also what comes back of a payment, or is still to be paid."""
        yield self._settled(deal, interval, postings, window)
        if not deal.is_open and deal.prepaid:
            yield from returned(deal, deal.prepaid + self.balance(deal, deal.customer), self._currency)

    def _settled(
        self, deal: Deal, interval: Interval, postings: tuple[Posting, ...], window: TimeWindow | UnsetType
    ) -> WireSettlement:
        assert window is not UNSET
        attributes = EnergySettlement(
            ENERGY,
            cycleId=str(interval.index),
            currency=self._currency,
            amount=float(amount_for(deal.customer, postings)),
            breakdown=tuple(
                SettlementLine(term=p.term, amount=float(p.amount), payer=p.payer, payee=p.payee) for p in postings
            ),
            timeWindow=window,
        )
        return WireSettlement(
            id=f"{deal.contract.id}/{interval.index}", status="COMPLETE", settlementAttributes=attributes
        )


def _taken_back(line: Line) -> Line:
    return replace(line, exact=-line.exact)
