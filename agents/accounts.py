"""What a host owes its members and they owe it: from readings and awards to postings, and word of them.

A component, not an agent: its owner hands it readings and sends what it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Literal

from msgspec.structs import replace

from agents.award import Award
from agents.chronicle import Chronicle
from agents.closing import BAG, CLOSING, Closing, Practice
from agents.member import Member
from sim.clock import Calendar, Interval
from sim.contracts.contract import Contract, Settlement, Status, Turn, settle, transition
from sim.contracts.settlement_moves import Cycle
from sim.contracts.templates import party_signals
from sim.events import EventLog
from sim.forms import PERFORMANCE, readings_in, window_of
from sim.ledger import Ledger, Posting
from sim.participant import Participant
from sim.wire.bags import ENERGY, EnergySettlement, SettlementLine, TimeWindow
from sim.wire.codes import Code, Refusal
from sim.wire.core import Settlement as WireSettlement
from sim.wire.messages import Alarm, ContractContent, Event, Message
from sim.wire.need import bag

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

    def has(self, index: int) -> bool:
        """Whether an interval has been settled."""
        return index in self._settled

    def end(self) -> None:
        """The contracts have ended."""
        self._over = True


class Accounts:
    """The accounts of one host's members.  The running sums are this component's own; postings go to the common ledger.

    practice: how they are closed at the end.  settle: how an interval's signals become postings, exchangeable for timing.
    """

    def __init__(
        self,
        owner: Participant,
        *,
        calendar: Calendar,
        currency: str,
        ledger: Ledger,
        log: EventLog,
        practice: Practice,
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
        self._practice = practice
        self._snapshots: dict[str, list[str]] = {}
        self._closings: dict[str, tuple[Member, Closing]] = {}
        self._stated: set[str] = set()

    def is_settled(self, index: int) -> bool:
        """Whether an interval has been settled."""
        return self._due.has(index)

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
            if member.until is not None and interval.index >= member.until:
                continue
            energy_wh, award = readings.get(member.meter), awards.get(era)
            if award is None and not energy_wh:
                continue
            cleared_kw, price = (None, None) if award is None else (award.cleared_kw, award.price_per_kwh)
            signals = party_signals(energy_wh, cleared_kw, price, retail_prices, interval.hours)
            postings = self._settle(self._settlement, member.contract, interval.index, signals)
            self._ledger.post(postings)
            snapshot = self._chronicle.computed(member.contract, interval.index, signals, postings)
            self._snapshots.setdefault(member.contract.id, []).append(snapshot)
            if postings:
                yield self._word(member, interval, postings)

    def part(self, members: Mapping[str, Member], index: int) -> Iterable[Event]:
        """An interval has been lived through: state the accounts of those whose contracts covered nothing after it."""
        gone = {
            era: member
            for era, member in members.items()
            if member.until is not None and member.until <= index + 1 and era not in self._stated
        }
        return self._state(gone) if gone else ()

    def finish(self, members: Mapping[str, Member]) -> Iterable[Event]:
        """The last interval is settled: state every account, and wake the owner for ``deadline`` when the window is over.

        A contract under which nothing was ever settled ends at once.
        """
        self._due.end()
        return self._state({era: member for era, member in members.items() if era not in self._stated})

    def _state(self, members: Mapping[str, Member]) -> Iterable[Event]:
        self._stated |= members.keys()
        posted: dict[str, list[Posting]] = {}
        for posting in self._ledger:
            posted.setdefault(posting.contract, []).append(posting)
        for member in members.values():
            contract, snapshots = member.contract, self._snapshots.pop(member.contract.id, None)
            if snapshots is None:
                yield self._end(member)
                continue
            closing = Closing(
                contract,
                posted.get(contract.id, ()),
                snapshots,
                window=Cycle(CLOSING, 0, self._end_s(member), self._count(member) - 1),
                practice=self._practice,
                chronicle=self._chronicle,
            )
            self._closings[member.era] = member, closing
            statement = self._statement(member, closing, "COMMITTED")
            yield self._tell(member, ContractContent(contract=member.on_wire(settlements=(statement,))))
        yield Alarm(self._practice.second() + self._practice.rules.challenge_s, "deadline")

    def on_update(self, message: Message) -> Iterable[Event]:
        """A member's answer to its statement: its signature, or why it disputes it.

        Raises ``Refusal`` for an answer to nothing that was stated, and for one that cannot be taken (``Closing.answered``).
        """
        member, closing = self._closings.get(message.sender, (None, None))
        if member is None or closing is None or member.contract.id != message.contract.id:
            what = f"{self._owner.era} has stated no such account of {message.sender}"
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, "/message/contract/id", what)
        settlements = message.contract.settlements or ()
        if len(settlements) != 1:
            what = f"expected the statement that is answered, got {len(settlements)} settlements"
            raise Refusal(Code.SCH_SCHEMA_VALIDATION_FAILED, "/message/contract/settlements", what)
        closing.answered(member.era, bag(settlements[0].settlementAttributes, EnergySettlement, BAG))
        yield self._owner.answer(message, ContractContent(contract=member.on_wire()))
        yield from self._settled(member, closing)

    def on_deadline(self, _: Alarm) -> Iterable[Event]:
        """Nobody may object any more: end every contract whose account can be settled.  What is held or disputed stays."""
        for member, closing in self._closings.values():
            yield from self._settled(member, closing)

    def _settled(self, member: Member, closing: Closing) -> Iterable[Event]:
        if closing.settle():
            yield self._end(member, closing)

    def _end(self, member: Member, closing: Closing | None = None) -> Message:
        """Fulfilled where it was ever active, never cleared where not; or ended before, and now settled."""
        turn = member.turn
        if turn is None:
            turn = Turn.FULFIL if member.status is Status.ACTIVE else Turn.NOT_CLEARED
            member.status = transition(member.contract.id, member.status, turn)
        if closing is None:
            self._chronicle.ended(member.contract, turn)
            return self._tell(member, ContractContent(contract=member.on_wire()))
        self._chronicle.ended(member.contract, turn, closing.told())
        statement = self._statement(member, closing, "COMPLETE")
        return self._tell(member, ContractContent(contract=member.on_wire(settlements=(statement,))))

    def _count(self, member: Member) -> int:
        """How many intervals of the run a contract covers, from the first on."""
        return self._calendar.count if member.until is None else member.until

    def _end_s(self, member: Member) -> int:
        return self._count(member) * self._calendar.interval_s

    def _tell(self, member: Member, content: ContractContent) -> Message:
        ids = (member.transaction_id, self._owner.ids.fresh())
        return Message("on_update", self._owner.era, member.era, *ids, content)

    def _word(self, member: Member, interval: Interval, postings: tuple[Posting, ...]) -> Message:
        attributes = self._told(member, str(interval.index), postings, window_of(self._calendar, interval.index))
        cycle = f"{member.contract.id}/{interval.index}"
        settlement = WireSettlement(id=cycle, status="COMPLETE", settlementAttributes=attributes)
        return self._tell(member, ContractContent(contract=member.on_wire(settlements=(settlement,))))

    def _statement(self, member: Member, closing: Closing, status: Literal["COMMITTED", "COMPLETE"]) -> WireSettlement:
        run, calendar = closing.run, self._calendar
        window = TimeWindow(start=calendar.timestamp(0), end=calendar.timestamp(self._end_s(member)))
        attributes = replace(
            self._told(member, CLOSING, run.postings, window),
            snapshotDigest=run.statement.snapshot,
            statementDigest=run.digest,
            signature=closing.signature,
        )
        return WireSettlement(id=f"{member.contract.id}/{CLOSING}", status=status, settlementAttributes=attributes)

    def _told(self, member: Member, cycle: str, postings: tuple[Posting, ...], window: TimeWindow) -> EnergySettlement:
        received = sum((p.amount if p.payee == member.era else -p.amount for p in postings), Decimal(0))
        return EnergySettlement(
            ENERGY,
            cycleId=cycle,
            currency=self._currency,
            amount=float(received),
            breakdown=tuple(
                SettlementLine(term=p.term, amount=float(p.amount), payer=p.payer, payee=p.payee) for p in postings
            ),
            timeWindow=window,
        )
