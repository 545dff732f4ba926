"""How a provider and a taker come to a deal: quoted, applied for, approved, confirmed, and taken back before it has begun.

A component, not an agent: its owner hands it messages and sends what it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from msgspec import UNSET
from msgspec.structs import replace

from agents import sessions
from agents.admissions import meter_in, with_enrolment
from agents.deal import ZERO, Deal, amount_for, quote, taken_back, used
from agents.deal_forms import (
    approved_in,
    on_wire,
    payment_of,
    price_of,
    returned,
    terms_on_wire,
    wheeling_contradicts,
)
from agents.dealings import Dealings
from agents.shelf import COMMITMENT, Shelf
from sim.contracts.contract import Status, Turn, transition
from sim.participant import Reaction
from sim.wire.bags import EnergyIntent, InputSignal
from sim.wire.codes import Code, Refusal
from sim.wire.core import ErrorBody
from sim.wire.messages import SETUP_TTL_S, Alarm, ContractContent, Event, Lineage, Message
from sim.wire.need import ATTRIBUTES, needed

TERMS_HOLD_S = 900
"""Seconds after which terms that nobody has confirmed are off."""
NOBODY = "00000000-0000-4000-8000-000000000000"
"""The id of a contract that is only quoted for."""


class Agreeing:
    """The way to a deal on an item of ``shelf``.

    meters: those that the provider can read.  bound: what follows when a deal holds: its answer, and its delivery.
    """

    def __init__(
        self,
        dealings: Dealings,
        shelf: Shelf,
        meters: Collection[str],
        bound: Callable[[Message, Deal, int], Iterable[Event]],
    ) -> None:
        self._dealings = dealings
        self._owner = dealings.owner
        self._shelf = shelf
        self._meters = meters
        self._bound_by = bound
        self._asked: dict[str, tuple[Message, Deal]] = {}
        """Deals that wait for an approver, by the message that asked it: what is answered when it has answered."""

    @property
    def reactions(self) -> Mapping[str, Reaction]:
        """What the owner reacts to by this."""
        return {
            "select": self.on_select,
            "init": self.on_init,
            "on_init": self.on_approval,
            "confirm": self.on_confirm,
            "on_confirm": self.on_lock,
            "cancel": self.on_cancel,
            "expire": lambda alarm: self._dealings.lapsed(alarm.index),
        }

    def on_select(self, message: Message) -> Iterable[Event]:
        """A quote: what it would cost, in parts, and how long it would take to be served."""
        deals, calendar = self._dealings.deals.values(), self._dealings.calendar
        deal = self._shelf.drawn_up(message, NOBODY, deals)
        self._dealings.calling.prepare(deal)
        wait_min = sessions.wait_s(deal.item, deals, message.sent_s) / 60
        self._check_wish(message, deal, wait_min)
        wait = InputSignal(signalId="wait", signalType="STATE", value=wait_min, unit="MIN")
        contract = on_wire(
            deal,
            window=self._dealings.window(deal),
            signals=(wait,) if deal.item.device is not None else UNSET,
            consideration=price_of(deal, quote(deal, calendar), self._dealings.currency, "QUOTED"),
        )
        return (self._owner.answer(message, ContractContent(contract=replace(contract, id=UNSET)), SETUP_TTL_S),)

    def _check_wish(self, message: Message, deal: Deal, wait_min: float) -> None:
        """A request for a service says what it must not cost, and how long it can wait."""
        wish = message.contract.commitments[0].commitmentAttributes
        if not isinstance(wish, EnergyIntent) or wish.serviceRequestData is UNSET:
            return
        data, where = wish.serviceRequestData, f"{COMMITMENT}/commitmentAttributes/serviceRequestData"
        ceiling = UNSET if data.preferences is UNSET else data.preferences.maxPricePerKWh
        price = float(deal.item.price(self._dealings.calendar, deal.start_s))
        if ceiling is not UNSET and price > ceiling:
            raise Refusal(Code.POL_DENIED, f"{where}/preferences/maxPricePerKWh", f"{price:g} a kWh, above {ceiling:g}")
        if data.maxWaitTimeMinutes is not UNSET and wait_min > data.maxWaitTimeMinutes:
            what = f"{wait_min:.0f} min to wait, more than {data.maxWaitTimeMinutes:g}"
            raise Refusal(Code.BIZ_CAP_EXCEEDED, f"{where}/maxWaitTimeMinutes", what)

    def on_init(self, message: Message) -> Iterable[Event]:
        """Draw up the contract; ask whoever has to approve it, in the taker's lineage."""
        dealings = self._dealings
        contract_id = needed(message.contract.id, "/message/contract/id")
        deal = self._shelf.drawn_up(message, contract_id, dealings.deals.values())
        if deal.item.admission is not None:
            deal.meter = meter_in(message)
        self._check_meter(deal)
        if contract_id in dealings.deals:
            raise Refusal(Code.PRC_CONFLICT, "/message/contract/id", "there is a deal of this id already")
        dealings.calling.prepare(deal)
        if deal.item.admission is not None:
            enrolment, error = dealings.admission.applied(deal, message)
            if error is not None:
                refused = with_enrolment(on_wire(deal), enrolment)
                return (self._owner.answer(message, ContractContent(contract=refused), SETUP_TTL_S, error),)
        deal.quoted = max(-amount_for(deal.customer, quote(deal, dealings.calendar)), ZERO)
        dealings.made(deal)
        expiry = Alarm(message.sent_s + TERMS_HOLD_S, "expire", dealings.number(deal))
        if deal.item.approver:
            return (expiry, self._ask_approver("init", message, deal))
        return (expiry, *self._agreed_terms(message, deal))

    def _check_meter(self, deal: Deal) -> None:
        """What a contract counts has to be metered where we can read it, or where an approver does."""
        if not deal.meter and not deal.item.meter and "consumedKWh" in used(deal.contract):
            what = f"{deal.item.name} is billed by a meter: expected targetMeterId in the inputs of a role, got none"
            raise Refusal(Code.SCH_REQUIRED_FIELD_MISSING, f"{ATTRIBUTES}/roles", what)
        if deal.meter and not deal.item.approver and deal.meter not in self._meters:
            what = f"{self._owner.era} cannot read a meter {deal.meter!r}"
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, f"{ATTRIBUTES}/roles", what)

    def _agreed_terms(self, message: Message, deal: Deal) -> Iterable[Event]:
        dealings = self._dealings
        price = price_of(deal, quote(deal, dealings.calendar), dealings.currency, "QUOTED")
        terms = dealings.beside(deal, terms_on_wire(deal, dealings.window(deal), price, self._owner.era))
        if deal.item.prepaid:
            terms = replace(terms, settlements=payment_of(deal.quoted, dealings.currency, "INITIATED"))
        yield self._owner.answer(message, ContractContent(contract=terms), SETUP_TTL_S)
        if deal.item.prepaid:
            paid = on_wire(deal, settlements=payment_of(deal.quoted, dealings.currency, "COMPLETED"))
            yield dealings.tell("on_status", deal, paid)

    # an approver

    def _ask_approver(self, action: str, message: Message, deal: Deal) -> Message:
        contract = terms_on_wire(deal, self._dealings.window(deal), (), self._owner.era)
        lineage = Lineage(transactionId=message.transaction_id, messageId=message.message_id)
        content = ContractContent(contract=contract)
        asked = self._owner.request(action, deal.item.approver, content, self._owner.ids.fresh(), SETUP_TTL_S, lineage)
        self._asked[asked.message_id] = message, deal
        return asked

    def on_approval(self, message: Message) -> Iterable[Event]:
        """The approver's answer: pass it on, or turn the taker down."""
        request, deal = self._answered(message)
        if message.error is not None:
            return self._turned_down(request, deal, message.error)
        contradiction = wheeling_contradicts(deal, message.contract)
        if contradiction:
            released = tuple(self._dealings.dropped(deal, Turn.REJECT))
            error = ErrorBody(errorCode=Code.PRC_CONFLICT, errorMessage=contradiction)
            return (self._owner.answer(request, ContractContent(contract=on_wire(deal)), SETUP_TTL_S, error), *released)
        deal.approved_kwh = approved_in(message.contract)
        return self._agreed_terms(request, deal)

    def _answered(self, message: Message) -> tuple[Message, Deal]:
        if message.message_id not in self._asked:
            raise Refusal(Code.PRC_INVALID_TRANSITION, "/context/messageId", "answers nothing that was asked for")
        return self._asked.pop(message.message_id)

    def _turned_down(self, request: Message, deal: Deal, error: ErrorBody) -> Iterable[Event]:
        deal.status = transition(deal.contract.id, deal.status, Turn.REJECT)
        self._dealings.till.chronicle.ended(deal.contract, Turn.REJECT)
        return (self._owner.answer(request, ContractContent(contract=on_wire(deal)), SETUP_TTL_S, error),)

    def refused(self, nack: Message) -> Iterable[Event] | None:
        """What follows where an approver has refused what it was asked: so do we; None for a refusal of anything else."""
        if nack.message_id not in self._asked:
            return None
        request, deal = self._asked.pop(nack.message_id)
        return self._turned_down(request, deal, nack.content.error)  # type: ignore[union-attr]

    def _is_before_approver(self, deal: Deal) -> bool:
        return any(asked is deal for _, asked in self._asked.values())

    # confirmed, or taken back

    def on_confirm(self, message: Message) -> Iterable[Event]:
        """The taker is bound; so are we, unless an approver has to lock it first."""
        dealings = self._dealings
        deal = dealings.asked(message)
        kwh = deal.kwh if deal.item.call is None else dealings.calling.check_answer(deal, message)
        deal = dealings.asked(message, Status.PENDING)
        if self._is_before_approver(deal):
            raise Refusal(Code.PRC_INVALID_TRANSITION, "/message/contract/status", f"{deal.item.approver} is asked")
        if deal.item.admission is not None:
            dealings.admission.consented(deal, message)
        deal.kwh = kwh
        dealings.till.chronicle.confirmed(deal.contract, quoted=str(deal.quoted))
        if deal.item.approver:
            return (self._ask_approver("confirm", message, deal),)
        return self._bound(message, deal, message.sent_s)

    def on_lock(self, message: Message) -> Iterable[Event]:
        """The approver has locked it."""
        request, deal = self._answered(message)
        return self._bound(request, deal, message.sent_s)

    def _bound(self, request: Message, deal: Deal, now_s: int) -> Iterable[Event]:
        deal.status = transition(deal.contract.id, deal.status, Turn.CONFIRM)
        deal.first = max(self._dealings.calendar.index_at(now_s), 0)
        self._dealings.till.chronicle.activated(deal.contract)
        return self._bound_by(request, deal, now_s)

    def on_cancel(self, message: Message) -> Iterable[Event]:
        """The taker takes it back: before it has begun, and once.  One that only tries is told what it would come to."""
        dealings = self._dealings
        deal = dealings.asked(message)
        self._check_cancel(deal)
        if deal.status is Status.PENDING:
            dropped = () if message.tried else tuple(dealings.dropped(deal, Turn.CANCEL))
            refund = returned(deal, deal.prepaid, dealings.currency) if deal.item.prepaid else UNSET
            return (self._owner.answer(message, ContractContent(contract=on_wire(deal, settlements=refund))), *dropped)
        late = deal.start_s - message.sent_s < deal.item.free_s
        bill = taken_back(deal, dealings.calendar, late=late)
        consideration = price_of(deal, bill, dealings.currency, "CANCELLATION")
        back = deal.prepaid + amount_for(deal.customer, bill)
        settlements = returned(deal, back, dealings.currency) if deal.item.prepaid else UNSET
        follows = () if message.tried else tuple(dealings.off(deal, message.sent_s, "cancelled", late=late))
        contract = on_wire(deal, consideration=consideration or UNSET, settlements=settlements)
        return (self._owner.answer(message, ContractContent(contract=dealings.beside(deal, contract))), *follows)

    def _check_cancel(self, deal: Deal) -> None:
        what = ""
        if self._is_before_approver(deal):
            what = f"{deal.item.approver} is asked"
        elif deal.status not in (Status.PENDING, Status.ACTIVE) or deal.over_s is not None:
            what = f"the deal is {deal.status}" + (", and cancelled already" if deal.ending == "cancelled" else "")
        elif deal.began_s is not None and deal.item.admission is None:
            what = "delivery has begun; stop it by an update"
        if what:
            raise Refusal(Code.PRC_INVALID_TRANSITION, "/message/contract/status", what)
