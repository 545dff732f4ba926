"""A seeker: looks for things, chooses, agrees on them step by step, and carries them out by its diary."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from agents.deal_forms import commitment_of
from agents.diary import DIARY, Entry, alarms
from agents.enrolling import leaving, taking_back
from agents.errands import Candidate, Errand, Pursuit, Vehicle, best_of, candidates_in, settled_in, total_of
from agents.forecast import Forecast
from agents.plan import Plan
from agents.press import received
from agents.respondent import Answer, Respondent
from agents.trade_record import LedgerClerk, TradeRecord, as_order, moved_to, seller_in, with_buyer
from sim.clock import Calendar
from sim.device import Device
from sim.participant import Ids, Participant, Registry
from sim.tariff import prices_by_minute
from sim.wire.bags import (
    ENERGY,
    ChargingSession,
    ContractRole,
    EnergyContract,
    EnergyForecast,
    EnergyObjectives,
    EnergyOffer,
    EnergyOrderItem,
    InputSignal,
    RoleInputs,
    Tariff,
    TimeWindow,
)
from sim.wire.codes import Code, Refusal
from sim.wire.core import (
    Contract,
    ContractStatus,
    KnownContract,
    Performance,
    RatingInput,
    RatingRange,
    RatingTarget,
    Support,
    Tracking,
)
from sim.wire.messages import (
    NACK,
    SETUP_TTL_S,
    Alarm,
    CatalogsContent,
    ContractContent,
    DiscoverContent,
    Event,
    KnownContractContent,
    Message,
    RateContent,
    SupportContent,
    TrackContent,
    uri,
)
from sim.wire.need import ATTRIBUTES, needed

ANSWER_TTL_S = 900
"""How long the answer to a stop may take: it comes with the bill, when the meter has been read."""


class Seeker(Participant):
    """Runs errands.  device: its own, commanded by ``plan`` once it knows what a kWh costs when.

    answers: how calls are answered by those with whom it has a deal, with the device.
    ledger: where deals for customers are recorded.  utility: whose customer it is itself, and by whom it may be billed.
    """

    kind = "seeker"

    def __init__(
        self,
        registry: Registry,
        era: str,
        ids: Ids,
        *,
        errands: Sequence[Errand],
        calendar: Calendar,
        device: Device | None = None,
        plan: Plan | None = None,
        answers: Sequence[Answer] = (),
        ledger: str = "",
        utility: str = "",
    ) -> None:
        super().__init__(registry, era, ids)
        self.device = device
        self._calendar = calendar
        self._plan = plan
        self.pursuits = [Pursuit(errand, ids.fresh()) for errand in errands]
        self._clerk = LedgerClerk(self, ledger, "BUYER")
        self._utility = utility
        self.billed: list[Contract] = []
        """What our utility has told us of its contract with us, in order."""
        self.refusals: list[Message] = []
        """What others have refused us, in order."""
        self.respondent = Respondent(self, calendar, device, answers, self._deals_with) if answers and device else None
        self.reactions |= {
            "go": self.on_go,
            "on_discover": self.on_discover,
            "decide": self.on_decide,
            "on_select": self.on_select,
            "on_init": self.on_init,
            "on_confirm": self.on_confirm,
            "on_status": self.on_news,
            "on_update": self.on_news,
            "on_cancel": self.on_news,
            "on_track": _noted,
            "on_rate": _noted,
            "on_support": _noted,
            "dispatch": self.on_dispatch,
            DIARY: self.on_diary,
            **self._clerk.reactions,
        }
        self._verbs: Mapping[str, Callable[[Pursuit, Entry, int], Message]] = {
            "start": self._start,
            "stop": self._stop,
            "status": self._ask_status,
            "track": self._track,
            "cancel": self._cancel,
            "rate": self._rate,
            "support": self._seek_support,
            "revoke_consent": self._revoke_consent,
            "unenrol": self._unenrol,
            "set": self._set,
        }

    def handle(self, event: Event) -> Iterable[Event]:
        """As every participant; but what is about a call is its respondent's."""
        if self.respondent is not None and not _is_nack(event) and self.respondent.concerns(event, self._is_ours):
            return self.respondent.react(event)
        return super().handle(event)

    def _is_ours(self, transaction_id: str) -> bool:
        return any(pursuit.transaction_id == transaction_id for pursuit in self.pursuits)

    def _deals_with(self, other: str) -> bool:
        return any(one.chosen is not None and one.chosen.provider == other for one in self.pursuits)

    def on_start(self, _: Alarm) -> Iterable[Event]:
        """Think of every errand, and of the device."""
        for number, pursuit in enumerate(self.pursuits):
            yield Alarm(pursuit.errand.at_s, "go", number)
        if self.device is not None and self._plan is not None:
            for interval in self._calendar.intervals():
                yield Alarm(interval.start_s, "dispatch", interval.index)

    # finding

    def on_go(self, alarm: Alarm) -> Iterable[Event]:
        """Ask what there is."""
        pursuit = self.pursuits[alarm.index]
        content = DiscoverContent(intent=pursuit.errand.intent)
        return (self.request("discover", pursuit.errand.ask, content, pursuit.transaction_id, SETUP_TTL_S),)

    def on_discover(self, message: Message) -> Iterable[Event]:
        """Choose among what was found; ask for quotes, or apply at once."""
        assert isinstance(message.content, CatalogsContent)
        pursuit = self._pursuit(message)
        found = candidates_in(message.content.catalogs)
        if pursuit.chosen is not None or not found:
            return
        errand = pursuit.errand
        if errand.wish is not None:
            for candidate in found:
                yield self._select(pursuit, candidate)
            yield Alarm(message.sent_s + SETUP_TTL_S, "decide", self.pursuits.index(pursuit))
            return
        chosen = best_of(found, errand)
        yield self._select(pursuit, chosen) if errand.quote else self._apply(pursuit, chosen)

    def _select(self, pursuit: Pursuit, candidate: Candidate) -> Message:
        content = ContractContent(contract=self._wanted(pursuit, candidate, UNSET))
        asked = self.request("select", candidate.provider, content, pursuit.transaction_id, SETUP_TTL_S)
        pursuit.asked[asked.message_id] = candidate
        return asked

    def on_select(self, message: Message) -> Iterable[Event]:
        """A quote: of the only one asked it is taken; of several the cheapest, when all have answered."""
        pursuit = self._pursuit(message)
        candidate = pursuit.asked.get(message.message_id)
        if candidate is None:
            raise Refusal(Code.PRC_INVALID_TRANSITION, "/context/messageId", "quotes nothing that was asked for")
        pursuit.quotes[message.message_id] = total_of(message.contract)
        return self._decided(pursuit) if len(pursuit.quotes) == len(pursuit.asked) else ()

    def on_decide(self, alarm: Alarm) -> Iterable[Event]:
        """Whoever has not answered by now is not waited for."""
        return self._decided(self.pursuits[alarm.index])

    def _decided(self, pursuit: Pursuit) -> Iterable[Event]:
        quotes = [(amount, key) for key, amount in pursuit.quotes.items() if amount is not None]
        if pursuit.chosen is not None or not quotes:
            return ()
        cheapest = min(amount for amount, _ in quotes)
        key = next(key for amount, key in quotes if amount == cheapest)
        return (self._apply(pursuit, pursuit.asked[key]),)

    def on_nack(self, message: Message) -> Iterable[Event]:
        """Somebody has refused us: a quote that does not come is none, and of others what they say is remembered."""
        self.refusals.append(message)
        item = self._clerk.refusal_of(message)
        if item is not None:
            return self._not_recorded(item)
        for pursuit in self.pursuits:
            if message.message_id in pursuit.asked:
                pursuit.quotes[message.message_id] = None
                return self._decided(pursuit) if len(pursuit.quotes) == len(pursuit.asked) else ()
        return super().on_nack(message)

    # agreeing

    def _apply(self, pursuit: Pursuit, candidate: Candidate) -> Message:
        pursuit.chosen, pursuit.contract_id = candidate, self.ids.fresh()
        contract = self._wanted(pursuit, candidate, pursuit.contract_id)
        if pursuit.errand.application is not None:
            contract = replace(contract, performance=pursuit.errand.application.application())
        content = ContractContent(contract=contract)
        if self._plan is not None and isinstance(candidate.offer.offerAttributes, Tariff):
            self._plan.learn(prices_by_minute(candidate.offer.offerAttributes))
        return self.request("init", candidate.provider, content, pursuit.transaction_id, SETUP_TTL_S)

    def _wanted(self, pursuit: Pursuit, candidate: Candidate, contract_id: str | UnsetType) -> Contract:
        """What is asked for; for a customer, in whose name."""
        contract, customer = self._asked_for(pursuit, candidate, contract_id), pursuit.errand.customer
        return contract if customer is None else with_buyer(contract, customer)

    def _asked_for(self, pursuit: Pursuit, candidate: Candidate, contract_id: str | UnsetType) -> Contract:
        errand, attributes = pursuit.errand, candidate.offer.offerAttributes
        role = attributes.openRole if isinstance(attributes, EnergyOffer) else errand.role
        wish = {} if errand.wish is None else {"commitmentAttributes": errand.wish}
        inputs = RoleInputs(targetMeterId=errand.meter) if errand.meter else UNSET
        return Contract(
            id=contract_id,
            status=ContractStatus(code="DRAFT"),
            commitments=(commitment_of(candidate.resource.id, candidate.offer.id, errand.kwh, errand.kw, **wish),),
            contractAttributes=EnergyContract(
                ENERGY,
                templateId=attributes.templateId if isinstance(attributes, EnergyOffer) else candidate.offer.id,
                status="PENDING",
                roles=(ContractRole(role=role, filled=True, filledBy=self._party(errand), roleInputs=inputs),),
                timeWindow=UNSET if errand.window is None else self._window(*errand.window),
            ),
        )

    def _party(self, errand: Errand) -> str:
        return self.era if errand.customer is None else errand.customer.meter

    def _window(self, start_s: int, end_s: int) -> TimeWindow:
        return TimeWindow(start=self._calendar.timestamp(start_s), end=self._calendar.timestamp(end_s))

    def on_init(self, message: Message) -> Iterable[Event]:
        """The terms: agree to them."""
        if self._is_utility(message):
            return self._told(message)
        pursuit = self._pursuit(message)
        if message.error is not None:
            pursuit.status = "TERMINATED"
            return ()
        pursuit.status = "PENDING"
        application = pursuit.errand.application
        contract: Contract = (
            self._known(pursuit) if application is None else self._known(pursuit, performance=application.agreement())
        )
        pursuit.record = self._record(pursuit, message.contract)
        if pursuit.record is not None:
            contract = as_order(contract, pursuit.record, self._platforms(pursuit))
        return (self._ask(pursuit, "confirm", ContractContent(contract=contract)),)

    def on_confirm(self, message: Message) -> Iterable[Event]:
        """It holds: from now on the diary counts."""
        pursuit = self._pursuit(message)
        self._note(pursuit, message.contract)
        number = self.pursuits.index(pursuit)
        offset = sum(len(earlier.errand.diary) for earlier in self.pursuits[:number])
        due = tuple(alarms(pursuit.errand.diary, message.sent_s, offset, message.sent_s + message.ttl_s))
        return (*self._recorded(pursuit, message.contract), *due)

    # deals in a ledger

    def _record(self, pursuit: Pursuit, terms: Contract) -> TradeRecord | None:
        """What is to be recorded of a deal for a customer; nothing where its provider records none."""
        customer, attributes = pursuit.errand.customer, terms.contractAttributes
        recorded = isinstance(terms.commitments[0].commitmentAttributes, EnergyOrderItem)
        if customer is None or not recorded or not isinstance(attributes, EnergyContract):
            return None
        seller, _ = seller_in(terms)
        window = needed(attributes.timeWindow, f"{ATTRIBUTES}/timeWindow")
        return TradeRecord(pursuit.contract_id, customer, seller, window)

    def _platforms(self, pursuit: Pursuit) -> tuple[str, str]:
        assert pursuit.chosen is not None
        return self.era, pursuit.chosen.provider

    def _recorded(self, pursuit: Pursuit, agreed: Contract) -> Iterable[Event]:
        """It holds from the moment that its provider says, which both platforms tell the ledger."""
        if pursuit.record is not None:
            pursuit.status = "ACTIVE"
            _, pursuit.record.traded_at = seller_in(agreed)
            yield self._put(pursuit, pursuit.record)

    def _put(self, pursuit: Pursuit, record: TradeRecord) -> Message:
        return self._clerk.put(record, pursuit.transaction_id, self._platforms(pursuit), pursuit.errand.kwh)

    def _not_recorded(self, item: str) -> Iterable[Event]:
        """What the ledger does not take is taken back."""
        for pursuit in self.pursuits:
            if pursuit.record is not None and pursuit.record.item == item and pursuit.status == "ACTIVE":
                yield self._ask(pursuit, "cancel", KnownContractContent(contract=self._known(pursuit)))

    # news

    def on_news(self, message: Message) -> Iterable[Event]:
        """How a deal of ours stands, asked for or not."""
        if self._is_utility(message):
            return self._told(message)
        pursuit, moved = self._pursuit(message), moved_to(message.contract)
        if pursuit.record is not None and moved is not None:
            pursuit.record.item, pursuit.record.window = moved
            return (self._put(pursuit, pursuit.record),)
        forecast = self._handed(pursuit, message)
        self._note(pursuit, message.contract)
        pursuit.forecast = forecast or pursuit.forecast
        return ()

    def _is_utility(self, message: Message) -> bool:
        """Whether this is about our contract with our own utility, and about no deal of ours."""
        ours = any(pursuit.transaction_id == message.transaction_id for pursuit in self.pursuits)
        return message.sender == self._utility and not ours

    def _told(self, message: Message) -> Iterable[Event]:
        self.billed.append(message.contract)
        return ()

    def _handed(self, pursuit: Pursuit, message: Message) -> Forecast | None:
        """The forecast that a message hands over, if it does.  Raises ``Refusal`` for one that is of no use."""
        listed = None if pursuit.chosen is None else pursuit.chosen.resource.resourceAttributes
        for number, performance in enumerate(message.contract.performance or ()):
            told, where = performance.performanceAttributes, f"/message/contract/performance/{number}"
            if isinstance(told, EnergyForecast):
                return received(told, listed, self._calendar, message.sent_s, f"{where}/performanceAttributes")
        return None

    def _note(self, pursuit: Pursuit, contract: Contract) -> None:
        if contract.id != pursuit.contract_id:  # of a side contract, which is settled like the deal itself
            pursuit.beside += settled_in(contract)
            return
        attributes = contract.contractAttributes
        if isinstance(attributes, EnergyContract):
            pursuit.status = attributes.status
        for performance in contract.performance or ():
            told = performance.performanceAttributes
            if isinstance(told, ChargingSession) and told.sessionStatus is not UNSET:
                pursuit.session = told.sessionStatus
        pursuit.balance += settled_in(contract)

    def _pursuit(self, message: Message) -> Pursuit:
        for pursuit in self.pursuits:
            if pursuit.transaction_id == message.transaction_id:
                return pursuit
        raise Refusal(Code.NET_ENTITY_NOT_FOUND, "/context/transactionId", f"{self.era} is after nothing of the kind")

    # carrying out

    def on_diary(self, alarm: Alarm) -> Iterable[Event]:
        """Do what is due."""
        number = alarm.index
        for pursuit in self.pursuits:
            if number < len(pursuit.errand.diary):
                entry = pursuit.errand.diary[number]
                return (self._verbs[entry.do](pursuit, entry, alarm.at_s),)
            number -= len(pursuit.errand.diary)
        return ()

    def _ask(self, pursuit: Pursuit, action: str, content: Any, ttl_s: int = SETUP_TTL_S) -> Message:
        assert pursuit.chosen is not None
        return self.request(action, pursuit.chosen.provider, content, pursuit.transaction_id, ttl_s)

    def _known(self, pursuit: Pursuit, **more: Any) -> KnownContract:
        assert pursuit.chosen is not None
        offer, item = pursuit.chosen.offer.id, pursuit.chosen.resource.id
        wish = more.pop("wish", None)
        extra = {} if wish is None else {"commitmentAttributes": wish}
        commitment = commitment_of(item, offer, pursuit.errand.kwh, pursuit.errand.kw, **extra)
        return KnownContract(id=pursuit.contract_id, commitments=(commitment,), **more)

    def _session(self, pursuit: Pursuit, **told: Any) -> tuple[Performance, ...]:
        bag = ChargingSession(ENERGY, **told)
        return (Performance(id=f"{pursuit.contract_id}/session", performanceAttributes=bag),)

    def _start(self, pursuit: Pursuit, entry: Entry, now_s: int) -> Message:
        del entry, now_s
        vehicle = pursuit.errand.vehicle or Vehicle(pursuit.errand.kwh, 0.0)
        performance = self._session(
            pursuit,
            sessionStatus="ACTIVE",
            maxPowerKW=vehicle.kw or UNSET,
            vehicleMake=vehicle.make or UNSET,
            vehicleModel=vehicle.model or UNSET,
        )
        wish = EnergyObjectives(ENERGY, targetChargeKWh=vehicle.need_kwh)
        contract = self._known(pursuit, wish=wish, performance=performance)
        return self._ask(pursuit, "update", ContractContent(contract=contract))

    def _stop(self, pursuit: Pursuit, entry: Entry, now_s: int) -> Message:
        del entry, now_s
        contract = self._known(pursuit, performance=self._session(pursuit, sessionStatus="STOP"))
        return self._ask(pursuit, "update", ContractContent(contract=contract), ANSWER_TTL_S)

    def _ask_status(self, pursuit: Pursuit, entry: Entry, now_s: int) -> Message:
        del entry, now_s
        return self._ask(pursuit, "status", KnownContractContent(contract=self._known(pursuit)))

    def _track(self, pursuit: Pursuit, entry: Entry, now_s: int) -> Message:
        del entry, now_s
        tracking = Tracking(status="ACTIVE", url=f"{uri(self.era)}/on_track", contract=self._known(pursuit))
        return self._ask(pursuit, "track", TrackContent(tracking=tracking))

    def _cancel(self, pursuit: Pursuit, entry: Entry, now_s: int) -> Message:
        del now_s
        asked = self._ask(pursuit, "cancel", KnownContractContent(contract=self._known(pursuit)))
        return replace(asked, tried=bool(entry.say.get("try", False)))

    def _rate(self, pursuit: Pursuit, entry: Entry, now_s: int) -> Message:
        del now_s
        rated = RatingRange(value=float(entry.say["value"]), best=5.0, worst=1.0)
        rating = RatingInput(target=RatingTarget(id=pursuit.contract_id), range=rated)
        return self._ask(pursuit, "rate", RateContent(ratingInputs=(rating,)))

    def _seek_support(self, pursuit: Pursuit, entry: Entry, now_s: int) -> Message:
        del entry, now_s
        return self._ask(pursuit, "support", SupportContent(support=Support(orderId=pursuit.contract_id)))

    def _set(self, pursuit: Pursuit, entry: Entry, now_s: int) -> Message:
        """Ask for so much of the capacity that is held ready, from now on."""
        assert pursuit.chosen is not None
        attributes = pursuit.chosen.offer.offerAttributes
        setpoint = InputSignal(
            signalId="agc_setpoint",
            signalType="AGC_SETPOINT",
            value=float(entry.say["kw"]),
            unit="KW",
            timestamp=self._calendar.timestamp(now_s),
        )
        told = EnergyContract(
            ENERGY,
            templateId=attributes.templateId if isinstance(attributes, EnergyOffer) else pursuit.chosen.offer.id,
            status="ACTIVE",
            inputSignals=(setpoint,),
        )
        contract = self._known(pursuit, contractAttributes=told)
        return self._ask(pursuit, "update", ContractContent(contract=contract))

    def _revoke_consent(self, pursuit: Pursuit, entry: Entry, now_s: int) -> Message:
        del now_s
        performance = taking_back(entry.say["consent"], str(entry.say.get("reason", "taken back")))
        return self._ask(pursuit, "update", ContractContent(contract=self._known(pursuit, performance=performance)))

    def _unenrol(self, pursuit: Pursuit, entry: Entry, now_s: int) -> Message:
        del now_s
        performance = leaving(str(entry.say.get("reason", "leaving")))
        return self._ask(pursuit, "update", ContractContent(contract=self._known(pursuit, performance=performance)))

    def on_dispatch(self, alarm: Alarm) -> Iterable[Event]:
        """Command the device as planned."""
        assert self.device is not None
        assert self._plan is not None
        self.device.command(self._plan.setpoint_kw(self._calendar.interval(alarm.index)))
        return ()


def _is_nack(event: Event) -> bool:
    return event.name == NACK


def _noted(_: Message) -> Iterable[Event]:
    """Taken note of; nothing follows."""
    return ()
