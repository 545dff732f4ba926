"""The deals of one provider, and what all that is done with them shares: looking them up, ending them, telling of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from msgspec import UNSET
from msgspec.structs import replace

from agents import sessions
from agents.admissions import Admissions
from agents.calling import Calling
from agents.deal import ZERO, Deal, Ending, Item
from agents.deal_forms import commitment_of, on_wire, returned, session_of
from agents.settling import Settling
from agents.till import Till
from sim.clock import Calendar
from sim.contracts.contract import Status, Turn, transition
from sim.participant import Participant
from sim.wire.bags import TimeWindow
from sim.wire.codes import Code, Refusal
from sim.wire.core import Contract, Descriptor, KnownContract, Performance
from sim.wire.messages import SETUP_TTL_S, ContractContent, Event, KnownContractContent, Lineage, Message


class Dealings:
    """The deals of ``owner``, in the order in which they were made.  admissions: of items that ask for one."""

    def __init__(
        self,
        owner: Participant,
        items: Sequence[Item],
        calendar: Calendar,
        currency: str,
        till: Till,
        admissions: Admissions | None,
    ) -> None:
        self.deals: dict[str, Deal] = {}
        self.owner = owner
        self.calendar = calendar
        self.currency = currency
        self.till = till
        self.calling = Calling(owner.era, items, owner.ids, calendar, currency, self._consumed_kwh, self._may_be_called)
        self.settling = Settling(calendar, till, self.calling.measure)
        self._admissions = admissions

    # which

    def made(self, deal: Deal) -> None:
        """There is a new deal, which nobody has agreed to yet."""
        self.till.chronicle.created(deal.contract)
        self.deals[deal.contract.id] = deal

    def asked(self, message: Message, status: Status | None = None) -> Deal:
        """The deal that a message of its taker is about.  Raises ``Refusal`` where it is none of theirs, or not so far."""
        deal = self.of(message, str(message.contract.id), "/message/contract")
        if status not in (None, deal.status):
            what = f"the deal is {deal.status}, and would have to be {status}"
            raise Refusal(Code.PRC_INVALID_TRANSITION, "/message/contract/status", what)
        return deal

    def of(self, message: Message, contract_id: str, where: str) -> Deal:
        """The deal of this id with the sender of a message.  Raises ``Refusal`` below ``where`` where there is none."""
        deal = self.deals.get(contract_id)
        if deal is None or deal.taker != message.sender:
            what = f"{self.owner.era} has no deal {contract_id} with {message.sender}"
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, f"{where}/id", what)
        return deal

    def number(self, deal: Deal) -> int:
        """By which an alarm remembers a deal."""
        return list(self.deals).index(deal.contract.id)

    def by_number(self, number: int) -> Deal:
        """The deal that an alarm is about."""
        return list(self.deals.values())[number]

    # how they end

    @property
    def admission(self) -> Admissions:
        """Who sees to admissions."""
        assert self._admissions is not None, "an item asks for an admission, and nobody was given to see to it"
        return self._admissions

    def end(self, deal: Deal, at_s: int, how: Ending, *, late: bool = False) -> None:
        """Delivery is over; its last interval is still to be settled."""
        deal.over_s, deal.ending, deal.late = at_s, how, late
        if self._admissions is not None:
            self._admissions.left(deal, at_s)

    def off(self, deal: Deal, at_s: int, how: Ending, *, late: bool = False) -> Iterable[Event]:
        """A deal of which nothing was delivered is over at once: what is due is settled, and what was locked is free."""
        self.end(deal, at_s, how, late=late)
        yield from self.settling.off(deal)
        yield from self._released(deal)

    def dropped(self, deal: Deal, turn: Turn) -> Iterable[Event]:
        """A deal that was never confirmed is off; an approver may think of others."""
        deal.status = transition(deal.contract.id, deal.status, turn)
        self.till.chronicle.ended(deal.contract, turn)
        return self._released(deal)

    def lapsed(self, number: int) -> Iterable[Event]:
        """The time to agree is up; who has not confirmed by now is not bound, and gets back what was taken beforehand."""
        deal = self.by_number(number)
        if deal.status is not Status.PENDING:
            return
        yield from self.dropped(deal, Turn.EXPIRE)
        if deal.item.prepaid:
            refund = returned(deal, deal.prepaid, self.currency)
            yield self.tell("on_cancel", deal, on_wire(deal, settlements=refund))

    def withdrawn(self, deal: Deal, now_s: int, why: str) -> Iterable[Event]:
        """We take a deal back: its taker is told why, and gets back what it has paid."""
        follows = tuple(self.off(deal, now_s, "withdrawn"))
        refund = returned(deal, deal.prepaid, self.currency) if deal.item.prepaid else UNSET
        contract = replace(on_wire(deal, settlements=refund), descriptor=Descriptor(shortDesc=why))
        yield self.tell("on_cancel", deal, contract)
        yield from follows

    def _released(self, deal: Deal) -> Iterable[Event]:
        """Whatever an approver has approved or locked for a deal is free again."""
        if not deal.item.approver:
            return ()
        commitment = commitment_of(deal.item.name, deal.item.offer.id, deal.kwh)
        content = KnownContractContent(contract=KnownContract(id=deal.contract.id, commitments=(commitment,)))
        return (self.owner.request("cancel", deal.item.approver, content, self.owner.ids.fresh(), SETUP_TTL_S),)

    # what is told

    def tell(self, action: str, deal: Deal, contract: Contract, lineage: Lineage | None = None) -> Message:
        """News of a deal for its taker, unasked; lineage: of what somebody else has asked for, and it follows from."""
        ids = (deal.transaction_id, self.owner.ids.fresh())
        return Message(action, self.owner.era, deal.taker, *ids, ContractContent(contract=contract), lineage=lineage)

    def window(self, deal: Deal) -> TimeWindow:
        """The window of a deal as it stands on the wire."""
        return TimeWindow(start=self.calendar.timestamp(deal.start_s), end=self.calendar.timestamp(deal.end_s))

    def stands(self, deal: Deal, now_s: int) -> Contract:
        """How a deal stands; of a session, what its connector has counted."""
        if deal.item.delivery != "session":
            return on_wire(deal, window=self.window(deal))
        if deal.session in sessions.RUNNING:
            sessions.measure(deal, now_s)
        performance = Performance(
            id=f"{deal.contract.id}/session",
            status=Descriptor(code=deal.session),
            performanceAttributes=session_of(deal, self.calendar, now_s),
        )
        return on_wire(deal, window=self.window(deal), performance=(performance,))

    def beside(self, deal: Deal, contract: Contract) -> Contract:
        """A contract with how its taker was admitted, where the item asks for that."""
        return contract if self._admissions is None else self._admissions.beside(deal, contract)

    # what calls are measured by

    def _may_be_called(self, deal: Deal, at_s: int) -> bool:
        return self._admissions is None or self._admissions.may_be_called(deal, at_s)

    def _consumed_kwh(self, meter: str, index: int) -> Decimal | None:
        """What a meter has drawn in an interval; None where its reading has not come."""
        energy_kwh = self.settling.reading(meter, index)
        return None if energy_kwh is None else max(-energy_kwh, ZERO)
