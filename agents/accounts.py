"""What a host owes its members and they owe it: from readings and awards to postings, and word of them.

A component, not an agent: its owner hands it readings and sends what it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from agents.award import Award
from agents.chronicle import Chronicle
from agents.member import Member
from sim.clock import Calendar, Interval
from sim.contracts.contract import Contract, Settlement, Status, Turn, settle, transition
from sim.contracts.templates import party_signals
from sim.events import EventLog
from sim.forms import PERFORMANCE, readings_in, window_of
from sim.ledger import Ledger, Posting
from sim.participant import Participant
from sim.wire.bags import ENERGY, EnergySettlement, SettlementLine
from sim.wire.codes import Code, Refusal
from sim.wire.core import Settlement as WireSettlement
from sim.wire.messages import ContractContent, Message

Settle = Callable[[Settlement, Contract, int, Mapping[str, Decimal]], tuple[Posting, ...]]


class Due:
    """Which intervals may still be settled: each of them once, and none after the contracts have ended."""

    def __init__(self) -> None:
        self._settled: set[int] = set()
        self._over = False

    def check(self, index: int) -> None:
        """Raises ``Refusal`` for an interval that is settled already, and once everything is over."""
        if self._over:
            raise Refusal(Code.PRC_INVALID_TRANSITION, PERFORMANCE, "nothing is settled after the contracts have ended")
        if index in self._settled:
            raise Refusal(Code.PRC_CONFLICT, PERFORMANCE, f"interval {index} is settled already")

    def settled(self, index: int) -> None:
        """An interval has been settled."""
        self._settled.add(index)

    def end(self) -> None:
        """The contracts have ended."""
        self._over = True


class Accounts:
    """The accounts of one host's members.  The running sums are this component's own; postings go to the common ledger.

    settle: how an interval's signals become postings, exchangeable for timing.
    """

    def __init__(
        self,
        owner: Participant,
        *,
        calendar: Calendar,
        currency: str,
        ledger: Ledger,
        log: EventLog,
        settle: Settle = settle,
    ) -> None:
        self._owner = owner
        self._chronicle = Chronicle(log, owner.era)
        self._calendar = calendar
        self._currency = currency
        self._ledger = ledger
        self._settle = settle
        self._settlement = Settlement()
        self._due = Due()

    def deliveries(self, message: Message) -> tuple[int, dict[str, int] | None]:
        """Interval and Wh (+ injected) by meter of an ``on_status``; None for the readings where any is not ACTUAL.

        Raises ``Refusal`` for an interval that is not due any more.
        """
        index, readings = readings_in(message, self._calendar)
        self._due.check(index)
        if readings is None:
            return index, None
        return index, {meter: round((r.producedEnergy - r.consumedEnergy) * 1000) for meter, r in readings.items()}

    def close(
        self,
        interval: Interval,
        members: Mapping[str, Member],
        readings: Mapping[str, int],
        awards: Mapping[str, Award],
        retail_prices: tuple[float, float],
    ) -> Iterable[Message]:
        """Settle one interval with every member that was awarded or metered something, and tell each of its postings.

        readings: Wh by meter, + injected; a member without a meter delivered what it was awarded.  retail_prices: import and
        export price per kWh.
        """
        self._due.settled(interval.index)
        for era, member in members.items():
            energy_wh, award = readings.get(member.meter), awards.get(era)
            if award is None and not energy_wh:
                continue
            cleared_kw, price = (None, None) if award is None else (award.cleared_kw, award.price_per_kwh)
            signals = party_signals(energy_wh, cleared_kw, price, retail_prices, interval.hours)
            postings = self._settle(self._settlement, member.contract, interval.index, signals)
            self._ledger.post(postings)
            self._chronicle.computed(member.contract, interval.index, signals, postings)
            if postings:
                yield self._word(member, interval, postings)

    def finish(self, members: Mapping[str, Member]) -> Iterable[Message]:
        """End every contract: fulfilled where it was ever active, never cleared where not; and tell each member."""
        self._due.end()
        for member in members.values():
            turn = Turn.FULFIL if member.status is Status.ACTIVE else Turn.NOT_CLEARED
            member.status = transition(member.contract.id, member.status, turn)
            self._chronicle.ended(member.contract, turn)
            yield self._tell(member, ContractContent(contract=member.on_wire()))

    def _tell(self, member: Member, content: ContractContent) -> Message:
        ids = (member.transaction_id, self._owner.ids.fresh())
        return Message("on_update", self._owner.era, member.era, *ids, content)

    def _word(self, member: Member, interval: Interval, postings: tuple[Posting, ...]) -> Message:
        received = sum((p.amount if p.payee == member.era else -p.amount for p in postings), Decimal(0))
        attributes = EnergySettlement(
            ENERGY,
            cycleId=str(interval.index),
            currency=self._currency,
            amount=float(received),
            breakdown=tuple(
                SettlementLine(term=p.term, amount=float(p.amount), payer=p.payer, payee=p.payee) for p in postings
            ),
            timeWindow=window_of(self._calendar, interval.index),
        )
        cycle = f"{member.contract.id}/{interval.index}"
        settlement = WireSettlement(id=cycle, status="COMPLETE", settlementAttributes=attributes)
        return self._tell(member, ContractContent(contract=member.on_wire(settlements=(settlement,))))
