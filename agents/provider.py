"""A provider: publishes items, quotes, agrees on terms, delivers, and settles; whatever the item is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from decimal import Decimal

from msgspec import UNSET
from msgspec.structs import replace

from agents import reserves, sessions
from agents.admissions import Admissions, meter_in, shows, with_enrolment
from agents.calling import Calling
from agents.curtailment import curtail, curtailed_on_wire
from agents.deal import ZERO, Deal, Ending, Item, amount_for, quote, taken_back, used
from agents.deal_forms import (
    approved_in,
    commitment_of,
    on_wire,
    payment_of,
    price_of,
    session_of,
    terms_on_wire,
    with_tariff,
)
from agents.diary import DIARY, Entry, alarms
from agents.press import Press
from agents.settling import LAST_S, SETTLE_AFTER_S, Settling
from agents.shelf import COMMITMENT, Shelf
from agents.till import Till
from agents.trade_record import LedgerClerk, TradeRecord, as_moved, as_order, moved_to, record_about, state, told_in
from sim.clock import Calendar, Interval
from sim.contracts.contract import Status, Turn, transition
from sim.participant import Ids, Participant, Registry
from sim.wire.bags import (
    ChargingSession,
    EnergyIntent,
    EnergyTradeDelivery,
    InputSignal,
    SupportInfo,
    TimeWindow,
)
from sim.wire.codes import Code, Refusal
from sim.wire.core import (
    Contract,
    Descriptor,
    ErrorBody,
    KnownContract,
    Performance,
    Support,
    Tracking,
)
from sim.wire.core import Provider as WireProvider
from sim.wire.messages import (
    SETUP_TTL_S,
    Alarm,
    CatalogsContent,
    ContractContent,
    DiscoverContent,
    Event,
    KnownContractContent,
    Lineage,
    Message,
    PublishContent,
    RateContent,
    RatedContent,
    SupportContent,
    TrackContent,
    uri,
)
from sim.wire.need import ATTRIBUTES, bag, needed
from sim.wire.search import Asker, found

TERMS_HOLD_S = 900
"""Seconds after which terms that nobody has confirmed are off."""
NOBODY = "00000000-0000-4000-8000-000000000000"
"""The id of a contract that is only quoted for."""


class Provider(Participant):
    """Offers items to whoever takes them.

    listed: what the catalogue says of it.  meters: those that it can read.  support: where help is to be had.  diary: what it
    does unasked: ``interrupt`` and ``resume`` a session, ``withdraw`` from a deal, ``publish`` its items anew, ``extend`` an
    event.  admissions: of items that ask for one.  ledger: where deals on items of its customers are recorded.
    """

    kind = "provider"

    def __init__(
        self,
        registry: Registry,
        era: str,
        ids: Ids,
        *,
        items: Sequence[Item],
        listed: WireProvider,
        catalogue: str,
        calendar: Calendar,
        currency: str,
        till: Callable[[Participant], Till],
        meters: Collection[str] = (),
        support: SupportInfo | None = None,
        diary: tuple[Entry, ...] = (),
        admissions: Admissions | None = None,
        ledger: str = "",
    ) -> None:
        super().__init__(registry, era, ids)
        self.deals: dict[str, Deal] = {}
        self._shelf = Shelf(era, items, listed, calendar, currency)
        self._catalogue = catalogue
        self._calendar = calendar
        self._currency = currency
        self._till = till(self)
        self._meters = meters
        self._support = support
        self._diary = diary
        self._admissions = admissions
        self._calling = Calling(era, items, ids, calendar, currency, self._consumed_kwh, self._may_be_called)
        self._settling = Settling(calendar, self._till, self._calling.measure)
        self._settled_s = -1
        self._clerk = LedgerClerk(self, ledger, "SELLER")
        self._asked: dict[str, tuple[Message, Deal]] = {}
        """Deals that wait for an approver, by the message that asked it: what is answered when it has answered."""
        self._handed: dict[str, tuple[Deal, int]] = {}
        """What was handed over and may still be refused, by message: the deal, and the interval that it counts for."""
        self._stopping: dict[str, Message] = {}
        self.ratings: list[float] = []
        self.reactions |= {
            "discover": self.on_discover,
            "select": self.on_select,
            "init": self.on_init,
            "on_init": self.on_approval,
            "confirm": self.on_confirm,
            "on_confirm": self.on_lock,
            "status": self.on_status_asked,
            "track": self.on_track,
            "update": self.on_update,
            "cancel": self.on_cancel,
            "rate": self.on_rate,
            "support": self.on_support,
            "on_status": self.on_readings,
            "on_update": self.on_news,
            "on_cancel": lambda _: (),
            "catalog/on_publish": lambda _: (),
            "settle": self.on_settle,
            "close": self.on_settle,
            "expire": self.on_expiry,
            "issue": self.on_issue,
            "begin": self.on_begin,
            "overdue": self.on_overdue,
            "call": self.on_call,
            "deadline": self.on_deadline,
            DIARY: self.on_diary,
            **self._clerk.reactions,
        }
        self._verbs: dict[str, Callable[[int, Entry], Iterable[Event]]] = {
            "interrupt": self._interrupt,
            "resume": self._resume,
            "withdraw": self._withdraw,
            "publish": self._publish_again,
            "extend": self._extend,
        }

    def handle(self, event: Event) -> Iterable[Event]:
        """As every participant; but a ``cancel`` can be tried: its consequences are told, and nothing changes."""
        if isinstance(event, Message) and event.tried and event.action == "cancel":
            return self.on_cancel(event)
        return super().handle(event)

    # what is on offer

    def on_start(self, alarm: Alarm) -> Iterable[Event]:
        """Publish, and think of everything that is to be done by the clock."""
        for number, item in enumerate(self._shelf.items.values()):
            if item.press is not None:
                item.press.issue(alarm.at_s)
                yield from self._next_issue(0, number)
        yield self._publication()
        yield from alarms(self._diary, alarm.at_s)
        yield from (Alarm(at_s, "call", number) for number, (at_s, _) in enumerate(self._calling.times()))
        for interval in self._calendar.intervals():
            yield Alarm(interval.end_s + SETTLE_AFTER_S, "settle", interval.index)
        yield Alarm(self._calendar.duration_s + LAST_S, "close", self._calendar.count - 1)

    def _publication(self) -> Message:
        content = PublishContent(catalogs=(self._shelf.catalog(self.deals.values()),))
        return self.request("catalog/publish", self._catalogue, content, self.ids.fresh(), SETUP_TTL_S)

    def on_issue(self, alarm: Alarm) -> Iterable[Event]:
        """Make what is sold by the call anew, and publish that there is something new."""
        self._press(alarm.index).issue(alarm.at_s)
        yield from self._next_issue(alarm.at_s, alarm.index)
        yield self._publication()

    def _press(self, number: int) -> Press:
        press = list(self._shelf.items.values())[number].press
        assert press is not None
        return press

    def _next_issue(self, since_s: int, number: int) -> Iterable[Alarm]:
        next_s = since_s + self._press(number).refresh_s
        return (Alarm(next_s, "issue", number),) if next_s < self._calendar.duration_s else ()

    def on_discover(self, message: Message) -> Iterable[Event]:
        """What somebody who asks here finds of what is on offer."""
        assert isinstance(message.content, DiscoverContent)
        at = self._calendar.local(message.sent_s)
        catalogs = found((self._shelf.catalog(self.deals.values()),), message.content.intent, Asker.of(message), at)
        return (self.answer(message, CatalogsContent(catalogs=catalogs)),)

    # agreeing

    def on_select(self, message: Message) -> Iterable[Event]:
        """A quote: what it would cost, in parts, and how long it would take to be served."""
        deal = self._shelf.drawn_up(message, NOBODY, self.deals.values())
        self._calling.prepare(deal)
        wait_min = sessions.wait_s(deal.item, self.deals.values(), message.sent_s) / 60
        self._check_wish(message, deal, wait_min)
        quoted = quote(deal, self._calendar)
        wait = InputSignal(signalId="wait", signalType="STATE", value=wait_min, unit="MIN")
        contract = on_wire(
            deal,
            window=self._window(deal),
            signals=(wait,) if deal.item.device is not None else UNSET,
            consideration=price_of(deal, quoted, self._currency, "QUOTED"),
        )
        return (self.answer(message, ContractContent(contract=replace(contract, id=UNSET)), SETUP_TTL_S),)

    def _check_wish(self, message: Message, deal: Deal, wait_min: float) -> None:
        """A request for a service says what it must not cost, and how long it can wait."""
        wish = message.contract.commitments[0].commitmentAttributes
        if not isinstance(wish, EnergyIntent) or wish.serviceRequestData is UNSET:
            return
        data, where = wish.serviceRequestData, f"{COMMITMENT}/commitmentAttributes/serviceRequestData"
        ceiling = UNSET if data.preferences is UNSET else data.preferences.maxPricePerKWh
        price = float(deal.item.price(self._calendar, deal.start_s))
        if ceiling is not UNSET and price > ceiling:
            raise Refusal(Code.POL_DENIED, f"{where}/preferences/maxPricePerKWh", f"{price:g} a kWh, above {ceiling:g}")
        if data.maxWaitTimeMinutes is not UNSET and wait_min > data.maxWaitTimeMinutes:
            what = f"{wait_min:.0f} min to wait, more than {data.maxWaitTimeMinutes:g}"
            raise Refusal(Code.BIZ_CAP_EXCEEDED, f"{where}/maxWaitTimeMinutes", what)

    def _window(self, deal: Deal) -> TimeWindow:
        return TimeWindow(start=self._calendar.timestamp(deal.start_s), end=self._calendar.timestamp(deal.end_s))

    def on_init(self, message: Message) -> Iterable[Event]:
        """Draw up the contract; ask whoever has to approve it, in the taker's lineage."""
        deal = self._shelf.drawn_up(message, needed(message.contract.id, "/message/contract/id"), self.deals.values())
        if deal.item.admission is not None:
            deal.meter = meter_in(message)
        self._check_meter(deal)
        if deal.contract.id in self.deals:
            raise Refusal(Code.PRC_CONFLICT, "/message/contract/id", "there is a deal of this id already")
        self._calling.prepare(deal)
        if deal.item.admission is not None:
            enrolment, error = self._admission.applied(deal, message)
            if error is not None:
                refused = with_enrolment(on_wire(deal), enrolment)
                return (self.answer(message, ContractContent(contract=refused), SETUP_TTL_S, error),)
        deal.quoted = max(-amount_for(deal.customer, quote(deal, self._calendar)), ZERO)
        self._till.chronicle.created(deal.contract)
        self.deals[deal.contract.id] = deal
        expiry = Alarm(message.sent_s + TERMS_HOLD_S, "expire", self._number(deal))
        if deal.item.approver:
            return (expiry, self._ask_approver("init", message, deal))
        return (expiry, *self._agreed_terms(message, deal))

    def _check_meter(self, deal: Deal) -> None:
        """What a contract counts has to be metered where we can read it, or where an approver does."""
        if not deal.meter and not deal.item.meter and "consumedKWh" in used(deal.contract):
            what = f"{deal.item.name} is billed by a meter: expected targetMeterId in the inputs of a role, got none"
            raise Refusal(Code.SCH_REQUIRED_FIELD_MISSING, f"{ATTRIBUTES}/roles", what)
        if deal.meter and not deal.item.approver and deal.meter not in self._meters:
            what = f"{self.era} cannot read a meter {deal.meter!r}"
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, f"{ATTRIBUTES}/roles", what)

    def _ask_approver(self, action: str, message: Message, deal: Deal) -> Message:
        contract = terms_on_wire(deal, self._window(deal), (), self.era)
        lineage = Lineage(transactionId=message.transaction_id, messageId=message.message_id)
        content = ContractContent(contract=contract)
        asked = self.request(action, deal.item.approver, content, self.ids.fresh(), SETUP_TTL_S, lineage)
        self._asked[asked.message_id] = message, deal
        return asked

    def _agreed_terms(self, message: Message, deal: Deal, error: ErrorBody | None = None) -> Iterable[Event]:
        price = price_of(deal, quote(deal, self._calendar), self._currency, "QUOTED")
        contract = self._beside(deal, terms_on_wire(deal, self._window(deal), price, self.era))
        yield self.answer(message, ContractContent(contract=contract), SETUP_TTL_S, error)
        if deal.item.prepaid and error is None:
            paid = on_wire(deal, settlements=payment_of(deal.quoted, self._currency, "COMPLETED"))
            yield self._tell("on_status", deal, paid)

    def on_approval(self, message: Message) -> Iterable[Event]:
        """The approver's answer: pass it on, or turn the taker down."""
        request, deal = self._answered(message)
        if message.error is not None:
            return self._turned_down(request, deal, message.error)
        deal.approved_kwh = approved_in(message.contract)
        return self._agreed_terms(request, deal)

    def _answered(self, message: Message) -> tuple[Message, Deal]:
        if message.message_id not in self._asked:
            raise Refusal(Code.PRC_INVALID_TRANSITION, "/context/messageId", "answers nothing that was asked for")
        return self._asked.pop(message.message_id)

    def _turned_down(self, request: Message, deal: Deal, error: ErrorBody) -> Iterable[Event]:
        deal.status = transition(deal.contract.id, deal.status, Turn.REJECT)
        self._till.chronicle.ended(deal.contract, Turn.REJECT)
        return (self.answer(request, ContractContent(contract=on_wire(deal)), SETUP_TTL_S, error),)

    def on_nack(self, message: Message) -> Iterable[Event]:
        """An approver has refused: so do we.  What the ledger does not take is not delivered.

        What was handed over and is refused is not counted.
        """
        if message.message_id in self._handed:
            deal, index = self._handed.pop(message.message_id)
            deal.calls[index] -= 1
            return ()
        item = self._clerk.refusal_of(message)
        if item is not None:
            return self._not_recorded(item, message)
        if message.message_id not in self._asked:
            return super().on_nack(message)
        content = message.content
        request, deal = self._asked.pop(message.message_id)
        return self._turned_down(request, deal, content.error)  # type: ignore[union-attr]

    def on_expiry(self, alarm: Alarm) -> Iterable[Event]:
        """Terms that were not confirmed in time bind nobody."""
        deal = self._by_number(alarm.index)
        return self._dropped(deal, Turn.EXPIRE) if deal.status is Status.PENDING else ()

    def _dropped(self, deal: Deal, turn: Turn) -> Iterable[Event]:
        """A deal that was never confirmed is off; an approver may think of others."""
        deal.status = transition(deal.contract.id, deal.status, turn)
        self._till.chronicle.ended(deal.contract, turn)
        return self._released(deal)

    def _released(self, deal: Deal) -> Iterable[Event]:
        """Whatever an approver has approved or locked for a deal is free again."""
        if not deal.item.approver:
            return ()
        commitment = commitment_of(deal.item.name, deal.item.offer.id, deal.kwh)
        content = KnownContractContent(contract=KnownContract(id=deal.contract.id, commitments=(commitment,)))
        return (self.request("cancel", deal.item.approver, content, self.ids.fresh(), SETUP_TTL_S),)

    def _is_before_approver(self, deal: Deal) -> bool:
        return any(asked is deal for _, asked in self._asked.values())

    def on_confirm(self, message: Message) -> Iterable[Event]:
        """The taker is bound; so are we, unless an approver has to lock it first."""
        deal = self._deal(message)
        kwh = deal.kwh if deal.item.call is None else self._calling.check_answer(deal, message)
        deal = self._deal(message, Status.PENDING)
        if self._is_before_approver(deal):
            raise Refusal(Code.PRC_INVALID_TRANSITION, "/message/contract/status", f"{deal.item.approver} is asked")
        if deal.item.admission is not None:
            self._admission.consented(deal, message)
        deal.kwh = kwh
        self._till.chronicle.confirmed(deal.contract, quoted=str(deal.quoted))
        if deal.item.approver:
            return (self._ask_approver("confirm", message, deal),)
        return self._bound(message, deal, message.sent_s)

    def on_lock(self, message: Message) -> Iterable[Event]:
        """The approver has locked it."""
        request, deal = self._answered(message)
        return self._bound(request, deal, message.sent_s)

    def _bound(self, request: Message, deal: Deal, now_s: int) -> Iterable[Event]:
        deal.status = transition(deal.contract.id, deal.status, Turn.CONFIRM)
        deal.first = max(self._calendar.index_at(now_s), 0)
        self._till.chronicle.activated(deal.contract)
        if deal.record is not None:
            yield from self._recorded(request, deal, deal.record)
        else:
            contract = self._as_it_stands(deal, now_s) if deal.reduction is None else self._calling.agreed(deal)
            yield self.answer(request, ContractContent(contract=self._beside(deal, with_tariff(deal, contract))))
        if (delivered_by := self._calling.delivering(deal.item)) is not None:
            yield from self._call(delivered_by, now_s, deal)
        if deal.item.press is not None:
            yield self._hand_over(deal, self._tell("on_status", deal, self._called(deal, 0)), now_s)
        if deal.item.delivery == "session":
            yield Alarm(max(deal.start_s, now_s) + deal.item.grace_s, "overdue", self._number(deal))
        elif deal.start_s > now_s + SETUP_TTL_S:
            yield Alarm(deal.start_s, "begin", self._number(deal))
        else:  # what we answer may be on its way for so long that its beginning has passed
            self._begin(deal, max(deal.start_s, now_s + 1))

    # admission, and calls

    @property
    def _admission(self) -> Admissions:
        assert self._admissions is not None, "an item asks for an admission, and nobody was given to see to it"
        return self._admissions

    def _beside(self, deal: Deal, contract: Contract) -> Contract:
        return contract if self._admissions is None else self._admissions.beside(deal, contract)

    def _may_be_called(self, deal: Deal, at_s: int) -> bool:
        return self._admissions is None or self._admissions.may_be_called(deal, at_s)

    def on_call(self, alarm: Alarm) -> Iterable[Event]:
        """The time of an event has come: call everybody who may be."""
        return self._call(self._calling.times()[alarm.index][1], alarm.at_s)

    def _call(self, name: str, now_s: int, served: Deal | None = None) -> Iterable[Event]:
        for deal in self._calling.drawn_up(name, tuple(self.deals.values()), now_s, served):
            assert deal.reduction is not None
            self._till.chronicle.created(deal.contract)
            self.deals[deal.contract.id] = deal
            yield self._tell("on_init", deal, self._calling.invitation(deal))
            yield Alarm(deal.reduction.answer_by_s + 1, "deadline", self._number(deal))

    def on_deadline(self, alarm: Alarm) -> Iterable[Event]:
        """Whoever has not answered a call by now is not in it."""
        deal = self._by_number(alarm.index)
        return self._dropped(deal, Turn.EXPIRE) if deal.status is Status.PENDING else ()

    def _extend(self, now_s: int, entry: Entry) -> Iterable[Event]:
        by_s = round(float(entry.say["by_min"]) * 60)
        for deal in self._calling.extend(entry.about, tuple(self.deals.values()), by_s, now_s):
            yield self._tell("on_update", deal, self._calling.agreed(deal))

    def _enrolment_changed(self, message: Message, deal: Deal) -> Iterable[Event]:
        if self._admission.changed(deal, message):
            self._end(deal, message.sent_s, "ended")
        contract = self._beside(deal, self._as_it_stands(deal, message.sent_s))
        return (self.answer(message, ContractContent(contract=contract)),)

    # deals in a ledger

    def _recorded(self, request: Message, deal: Deal, record: TradeRecord) -> Iterable[Event]:
        """It holds from the moment of its confirmation, which both platforms tell the ledger."""
        record.traded_at = self._calendar.timestamp(request.sent_s)
        platforms = (deal.taker, self.era)
        yield self.answer(request, ContractContent(contract=as_order(on_wire(deal), record, platforms)))
        yield self._clerk.put(record, deal.transaction_id, platforms, deal.kwh)

    def _not_recorded(self, item: str, refusal: Message) -> Iterable[Event]:
        for deal in self.deals.values():
            if deal.record is not None and deal.record.item == item and deal.over_s is None:
                why = refusal.content.error.errorMessage  # type: ignore[union-attr]
                yield from self._withdrawn(deal, refusal.sent_s, why)

    def _heard(self, record: TradeRecord, message: Message) -> Iterable[Event]:
        """What a utility says of a trade: what it settles, or that its wires do not carry it as agreed."""
        deal = next(deal for deal in self.deals.values() if deal.record is record)
        said, moved = told_in(message), moved_to(message.contract)
        if said.deliveryStatus == "COMPLETED":
            state(record, message.sender, said)
            return
        if not deal.is_open or deal.over_s is not None:
            raise Refusal(Code.PRC_INVALID_TRANSITION, "/message/contract", f"the deal is {deal.status}, and over")
        if moved is None and said.deliveryStatus == "FAILED":
            yield from self._withdrawn(deal, message.sent_s, str(said.curtailmentReason))
            return
        told = replace(on_wire(deal), performance=message.contract.performance)
        if moved is not None:
            record.item, record.window = moved
            deal.start_s, deal.end_s = (self._calendar.seconds(at) for at in (record.window.start, record.window.end))
            deal.began_s = None
            told = as_moved(told, record)
            yield self._clerk.put(record, deal.transaction_id, (deal.taker, self.era), deal.kwh)
            yield Alarm(deal.start_s, "begin", self._number(deal))
        yield self._tell("on_update", deal, told)

    def _withdrawn(self, deal: Deal, now_s: int, why: str) -> Iterable[Event]:
        follows = tuple(self._off(deal, now_s, "withdrawn"))
        refund = payment_of(deal.quoted, self._currency, "REFUNDED") if deal.item.prepaid else UNSET
        contract = replace(on_wire(deal, settlements=refund), descriptor=Descriptor(shortDesc=why))
        yield self._tell("on_cancel", deal, contract)
        yield from follows

    def _deal(self, message: Message, status: Status | None = None) -> Deal:
        """The deal that a message of its taker is about.  Raises ``Refusal`` where it is none of theirs, or not so far."""
        deal = self._deal_of(message, str(message.contract.id), "/message/contract")
        if status not in (None, deal.status):
            what = f"the deal is {deal.status}, and would have to be {status}"
            raise Refusal(Code.PRC_INVALID_TRANSITION, "/message/contract/status", what)
        return deal

    def _deal_of(self, message: Message, contract_id: str, where: str) -> Deal:
        deal = self.deals.get(contract_id)
        if deal is None or deal.taker != message.sender:
            what = f"{self.era} has no deal {contract_id} with {message.sender}"
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, f"{where}/id", what)
        return deal

    def _number(self, deal: Deal) -> int:
        return list(self.deals).index(deal.contract.id)

    def _by_number(self, number: int) -> Deal:
        return list(self.deals.values())[number]

    # delivering

    def _hand_over(self, deal: Deal, message: Message, now_s: int) -> Message:
        """Count a call that is answered by this message; whoever refuses it, refuses to pay for it."""
        index = max(self._calendar.index_at(now_s), 0)
        deal.calls[index] = deal.calls.get(index, 0) + 1
        self._handed[message.message_id] = deal, index
        return message

    def _called(self, deal: Deal, number: int) -> Contract:
        assert deal.item.press is not None
        performance = Performance(
            id=f"{deal.contract.id}/{number}",
            status=Descriptor(code="COMPLETED"),
            performanceAttributes=deal.item.press.issued(),
        )
        return on_wire(deal, window=self._window(deal), performance=(performance,))

    def on_begin(self, alarm: Alarm) -> Iterable[Event]:
        """The window of a deal has come: it is delivered by itself until its end."""
        deal = self._by_number(alarm.index)
        if deal.start_s <= alarm.at_s:  # else it was moved meanwhile
            self._begin(deal, alarm.at_s)
        return ()

    def _begin(self, deal: Deal, at_s: int) -> None:
        deal.began_s = at_s
        if deal.over_s is None:
            reserves.begin(deal, at_s)

    def on_overdue(self, alarm: Alarm) -> Iterable[Event]:
        """Nobody has come to a session in time: the deal is off, at the taker's cost."""
        deal = self._by_number(alarm.index)
        if deal.is_open and deal.began_s is None and deal.over_s is None:
            follows = tuple(self._off(deal, alarm.at_s, "cancelled", late=True))
            yield self._tell("on_status", deal, self._as_it_stands(deal, alarm.at_s))
            yield from follows

    def on_update(self, message: Message) -> Iterable[Event]:
        """The taker starts or stops its session, or says how much of what is held ready it asks for."""
        deal = self._deal(message, Status.ACTIVE)
        if deal.item.admission is not None and shows(message.contract):
            return self._enrolment_changed(message, deal)
        if deal.item.call is not None:
            self._calling.opt_out(deal, message)
            return (self.answer(message, ContractContent(contract=self._as_it_stands(deal, message.sent_s))),)
        if deal.item.reserve is not None:
            reserves.ask(deal, message)
            return (self.answer(message, ContractContent(contract=self._as_it_stands(deal, message.sent_s))),)
        performance = needed(message.contract.performance, "/message/contract/performance")[0]
        where = "/message/contract/performance/0/performanceAttributes"
        told = bag(performance.performanceAttributes, ChargingSession, where)
        wanted = needed(told.sessionStatus, f"{where}/sessionStatus")
        if wanted == "ACTIVE" and deal.session == "PENDING" and deal.over_s is None:
            return self._started(message, deal, told)
        if wanted == "STOP" and deal.session in ("ACTIVE", "INTERRUPTED") and deal.over_s is None:
            return self._stopped(message, deal)
        what = f"a session that is {deal.session} cannot become {wanted}"
        raise Refusal(Code.PRC_INVALID_TRANSITION, f"{where}/sessionStatus", what)

    def _started(self, message: Message, deal: Deal, told: ChargingSession) -> Iterable[Event]:
        sessions.start(deal, told, message.contract.commitments[0].commitmentAttributes, message.sent_s)
        return (self.answer(message, ContractContent(contract=self._as_it_stands(deal, message.sent_s))),)

    def _stopped(self, message: Message, deal: Deal) -> Iterable[Event]:
        """Off at once; the answer comes with the bill, when the meter has been read."""
        sessions.stop(deal, message.sent_s)
        self._end(deal, message.sent_s, "ended")
        self._stopping[deal.contract.id] = message
        return ()

    def _as_it_stands(self, deal: Deal, now_s: int) -> Contract:
        if deal.item.delivery != "session":
            return on_wire(deal, window=self._window(deal))
        if deal.session in ("ACTIVE", "INTERRUPTED"):
            sessions.measure(deal, now_s)
        performance = Performance(
            id=f"{deal.contract.id}/session",
            status=Descriptor(code=deal.session),
            performanceAttributes=session_of(deal, self._calendar, now_s),
        )
        return on_wire(deal, window=self._window(deal), performance=(performance,))

    def on_status_asked(self, message: Message) -> Iterable[Event]:
        """How a deal stands; of what is sold by the call, another one."""
        deal = self._deal(message)
        if deal.item.press is not None and deal.is_open and deal.over_s is None:
            called = self._called(deal, sum(deal.calls.values()))
            return (self._hand_over(deal, self.answer(message, ContractContent(contract=called)), message.sent_s),)
        return (self.answer(message, ContractContent(contract=self._as_it_stands(deal, message.sent_s))),)

    def on_track(self, message: Message) -> Iterable[Event]:
        """Where and how a session goes on."""
        assert isinstance(message.content, TrackContent)
        contract = needed(message.content.tracking.contract, "/message/tracking/contract")
        deal = self._deal_of(message, contract.id, "/message/tracking/contract")
        sessions.measure(deal, message.sent_s)
        tracking = Tracking(
            status="ACTIVE" if deal.session in ("ACTIVE", "INTERRUPTED") else "INACTIVE",
            url=f"{uri(self.era)}/track/{deal.contract.id}",
            trackingAttributes=session_of(deal, self._calendar, message.sent_s),
        )
        return (self.answer(message, TrackContent(tracking=tracking)),)

    # settling

    def on_readings(self, message: Message) -> Iterable[Event]:
        """Readings of an interval, of our own meters or as an approver passes them on; late ones put estimates right."""
        record = record_about(message, (deal.record for deal in self.deals.values()))
        if record is not None:
            return self._heard(record, message)
        self._settling.read(message)
        return self._settled(max(message.sent_s, self._settled_s))

    def on_news(self, message: Message) -> Iterable[Event]:
        """An approver has curtailed a deal, or passes readings on; what it settles with us is its own affair."""
        if message.contract.settlements:
            return ()
        record = record_about(message, (deal.record for deal in self.deals.values()))
        if record is not None:
            return self._heard(record, message)
        told = needed(message.contract.performance, "/message/contract/performance")[0].performanceAttributes
        if not isinstance(told, EnergyTradeDelivery):
            return self.on_readings(message)
        deal = self.deals.get(str(message.contract.id))
        if deal is None or deal.item.approver != message.sender or not deal.is_open:
            what = f"{self.era} has no deal {message.contract.id} that {message.sender} may curtail"
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, "/message/contract/id", what)
        curtail(deal, told, message.sent_s, self._calendar)
        return (self._tell("on_update", deal, curtailed_on_wire(deal, told, self._calendar, self._currency)),)

    def on_settle(self, alarm: Alarm) -> Iterable[Event]:
        """An interval is over: settle what can be settled."""
        interval = self._calendar.interval(alarm.index)
        for deal in self.deals.values():
            if not deal.is_open or deal.first > interval.index:
                continue
            if self._is_past(deal, interval):
                self._end(deal, deal.end_s, "ended")
            reserves.measure(deal, interval)
        sessions.count(self.deals.values(), interval)
        self._settled_s = alarm.at_s
        return self._settled(alarm.at_s)

    def _settled(self, now_s: int) -> Iterable[Event]:
        for deal, message in self._settling.due(self.deals.values(), now_s):
            yield self._or_answer(deal, message, now_s)
            if deal.reduction is not None and not deal.is_open:
                yield self._tell("on_status", deal, self._calling.report(deal))

    def _consumed_kwh(self, meter: str, index: int) -> Decimal | None:
        """What a meter has drawn in an interval; None where its reading has not come."""
        energy_kwh = self._settling.reading(meter, index)
        return None if energy_kwh is None else max(-energy_kwh, ZERO)

    def _or_answer(self, deal: Deal, message: Message, now_s: int) -> Message:
        """What the taker waits for since it stopped is answered by the bill, if it comes in time; the rest is told unasked."""
        asked = self._stopping.pop(deal.contract.id, None) if not deal.is_open else None
        if asked is None or now_s >= asked.sent_s + asked.ttl_s:
            return message
        return self.answer(asked, message.content)

    def _is_past(self, deal: Deal, interval: Interval) -> bool:
        is_window = deal.item.delivery == "window" and deal.over_s is None
        return is_window and deal.end_s <= interval.end_s and deal.is_delivered

    def _end(self, deal: Deal, at_s: int, how: Ending, *, late: bool = False) -> None:
        deal.over_s, deal.ending, deal.late = at_s, how, late
        if self._admissions is not None:
            self._admissions.left(deal, at_s)

    def _tell(self, action: str, deal: Deal, contract: Contract) -> Message:
        ids = (deal.transaction_id, self.ids.fresh())
        return Message(action, self.era, deal.taker, *ids, ContractContent(contract=contract))

    # taking back

    def on_cancel(self, message: Message) -> Iterable[Event]:
        """The taker takes it back: before it has begun, and once."""
        deal = self._deal(message)
        self._check_cancel(deal)
        if deal.status is Status.PENDING:
            dropped = () if message.tried else tuple(self._dropped(deal, Turn.CANCEL))
            return (self.answer(message, ContractContent(contract=on_wire(deal))), *dropped)
        late = deal.start_s - message.sent_s < deal.item.free_s
        bill = taken_back(deal, self._calendar, late=late)
        consideration = price_of(deal, bill, self._currency, "CANCELLATION")
        refund = deal.prepaid + amount_for(deal.customer, bill)
        settlements = payment_of(refund, self._currency, "REFUNDED") if deal.item.prepaid else UNSET
        follows = () if message.tried else tuple(self._off(deal, message.sent_s, "cancelled", late=late))
        contract = on_wire(deal, consideration=consideration or UNSET, settlements=settlements)
        return (self.answer(message, ContractContent(contract=self._beside(deal, contract))), *follows)

    def _off(self, deal: Deal, at_s: int, how: Ending, *, late: bool = False) -> Iterable[Event]:
        """A deal of which nothing was delivered is over at once: what is due is settled, and what was locked is free."""
        self._end(deal, at_s, how, late=late)
        yield from self._settling.off(deal)
        yield from self._released(deal)

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

    def _interrupt(self, now_s: int, entry: Entry) -> Iterable[Event]:
        return self._switched(sessions.interrupt, now_s, entry)

    def _resume(self, now_s: int, entry: Entry) -> Iterable[Event]:
        return self._switched(sessions.resume, now_s, entry)

    def _switched(self, switch: Callable[[Deal, int], None], now_s: int, entry: Entry) -> Iterable[Event]:
        for deal in self.deals.values():
            if sessions.is_running(deal) and entry.about in ("", deal.item.name):
                switch(deal, now_s)
                yield self._tell("on_status", deal, self._as_it_stands(deal, now_s))

    def _withdraw(self, now_s: int, entry: Entry) -> Iterable[Event]:
        """Take back every deal of an item that has not begun, and tell why."""
        for deal in self.deals.values():
            if deal.is_open and deal.over_s is None and deal.began_s is None and entry.about in ("", deal.item.name):
                yield from self._withdrawn(deal, now_s, str(entry.say.get("reason", "")))

    def _publish_again(self, now_s: int, entry: Entry) -> Iterable[Event]:
        del now_s
        if entry.about:
            self._shelf.put(entry.about, active=bool(entry.say.get("active", True)))
        return (self._publication(),)

    def on_diary(self, alarm: Alarm) -> Iterable[Event]:
        """Do what is due."""
        entry = self._diary[alarm.index]
        return self._verbs[entry.do](alarm.at_s, entry)

    # afterwards

    def on_rate(self, message: Message) -> Iterable[Event]:
        """Take a rating, and thank for it."""
        assert isinstance(message.content, RateContent)
        ratings = message.content.ratingInputs
        self.ratings += [float(rating.range.value) for rating in ratings if rating.range.value is not UNSET]
        return (self.answer(message, RatedContent(ratings=ratings)),)

    def on_support(self, message: Message) -> Iterable[Event]:
        """Say where help is to be had.  Raises ``Refusal`` where there is none."""
        assert isinstance(message.content, SupportContent)
        if self._support is None:
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, "/message/support", f"{self.era} has no support")
        support = Support(orderId=message.content.support.orderId, channels=(self._support,))
        return (self.answer(message, SupportContent(support=support)),)
