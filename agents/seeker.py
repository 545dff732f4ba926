"""A seeker: looks for things, chooses, agrees on them step by step, and carries them out by its diary.

What it finds and chooses is in ``errands``, what it asks for and is told in ``errand_forms``, what it says about a running deal
in ``errand_diary``, and what it has recorded in a trade ledger in ``errand_ledger``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import UNSET
from msgspec.structs import replace

from agents.diary import DIARY, alarms
from agents.errand_diary import VERBS
from agents.errand_forms import forecast_in, known, note, wanted
from agents.errand_ledger import ErrandLedger
from agents.errands import Candidate, Errand, Pursuit, best_of, candidates_in, cheapest_of, stated_in
from agents.plan import Plan
from agents.respondent import Answer, Respondent
from sim.clock import Calendar
from sim.device import Device
from sim.participant import Ids, Participant, Registry
from sim.tariff import prices_by_minute
from sim.wire.bags import Tariff
from sim.wire.codes import Code, Refusal
from sim.wire.core import Contract
from sim.wire.messages import (
    NACK,
    SETUP_TTL_S,
    Alarm,
    CatalogsContent,
    Content,
    ContractContent,
    DiscoverContent,
    Event,
    Message,
)


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
        self.pursuits = [Pursuit(errand, ids.fresh(), era) for errand in errands]
        self._ledger = ErrandLedger(self, ledger, self.pursuits)
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
            **self._ledger.reactions,
        }

    def handle(self, event: Event) -> Iterable[Event]:
        """As every participant; but what is about a call is its respondent's."""
        if self.respondent is not None and event.name != NACK and self.respondent.concerns(event, self._is_ours):
            return self.respondent.react(event)
        return super().handle(event)

    def _is_ours(self, transaction_id: str) -> bool:
        return any(pursuit.transaction_id == transaction_id for pursuit in self.pursuits)

    def _deals_with(self, other: str) -> bool:
        return any(one.chosen is not None and one.chosen.provider == other for one in self.pursuits)

    def _pursuit(self, message: Message) -> Pursuit:
        for pursuit in self.pursuits:
            if pursuit.transaction_id == message.transaction_id:
                return pursuit
        raise Refusal(Code.NET_ENTITY_NOT_FOUND, "/context/transactionId", f"{self.era} is after nothing of the kind")

    def on_start(self, _: Alarm) -> Iterable[Event]:
        """Think of every errand, and of the device."""
        for number, pursuit in enumerate(self.pursuits):
            yield Alarm(pursuit.errand.at_s, "go", number)
        if self.device is not None and self._plan is not None:
            for interval in self._calendar.intervals():
                yield Alarm(interval.start_s, "dispatch", interval.index)

    # finding and choosing

    def on_go(self, alarm: Alarm) -> Iterable[Event]:
        """Ask what there is."""
        pursuit = self.pursuits[alarm.index]
        content = DiscoverContent(intent=pursuit.errand.intent)
        return (self._ask(pursuit, "discover", pursuit.errand.ask, content),)

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
        content = ContractContent(contract=wanted(pursuit, candidate, UNSET, self._calendar))
        asked = self._ask(pursuit, "select", candidate.provider, content)
        pursuit.asked[asked.message_id] = candidate
        return asked

    def on_select(self, message: Message) -> Iterable[Event]:
        """A quote: of the only one asked it is taken; of several the cheapest, when all have answered."""
        pursuit = self._pursuit(message)
        if message.message_id not in pursuit.asked:
            raise Refusal(Code.PRC_INVALID_TRANSITION, "/context/messageId", "quotes nothing that was asked for")
        return self._quoted(pursuit, message.message_id, stated_in(message.contract.consideration))

    def _quoted(self, pursuit: Pursuit, message_id: str, amount: float | None) -> Iterable[Event]:
        pursuit.quotes[message_id] = amount
        return self._decided(pursuit) if len(pursuit.quotes) == len(pursuit.asked) else ()

    def on_decide(self, alarm: Alarm) -> Iterable[Event]:
        """Whoever has not answered by now is not waited for."""
        return self._decided(self.pursuits[alarm.index])

    def _decided(self, pursuit: Pursuit) -> Iterable[Event]:
        chosen = cheapest_of(pursuit)
        return () if pursuit.chosen is not None or chosen is None else (self._apply(pursuit, chosen),)

    def on_nack(self, message: Message) -> Iterable[Event]:
        """Somebody has refused us: a quote that does not come is none, and of others what they say is remembered."""
        self.refusals.append(message)
        follows = self._ledger.refused(message)
        if follows is not None:
            return follows
        for pursuit in self.pursuits:
            if message.message_id in pursuit.asked:
                return self._quoted(pursuit, message.message_id, None)
        return super().on_nack(message)

    # agreeing

    def _apply(self, pursuit: Pursuit, candidate: Candidate) -> Message:
        pursuit.chosen, pursuit.contract_id = candidate, self.ids.fresh()
        contract = wanted(pursuit, candidate, pursuit.contract_id, self._calendar)
        if pursuit.errand.application is not None:
            contract = replace(contract, performance=pursuit.errand.application.application())
        if self._plan is not None and isinstance(candidate.offer.offerAttributes, Tariff):
            self._plan.learn(prices_by_minute(candidate.offer.offerAttributes))
        return self._ask(pursuit, "init", candidate.provider, ContractContent(contract=contract))

    def on_init(self, message: Message) -> Iterable[Event]:
        """The terms: agree to them, and to the payment that they begin."""
        if self._is_utility(message):
            return self._told(message)
        pursuit = self._pursuit(message)
        if message.error is not None:
            pursuit.status = "TERMINATED"
            return ()
        pursuit.status = "PENDING"
        application = pursuit.errand.application
        consents = UNSET if application is None else application.agreement()
        contract: Contract = known(pursuit, settlements=message.contract.settlements, performance=consents)
        contract = self._ledger.ordered(pursuit, message.contract, contract)
        return (self._ask(pursuit, "confirm", pursuit.deal.provider, ContractContent(contract=contract)),)

    def on_confirm(self, message: Message) -> Iterable[Event]:
        """It holds: from now on the diary counts."""
        pursuit = self._pursuit(message)
        note(pursuit, message.contract)
        number = self.pursuits.index(pursuit)
        offset = sum(len(earlier.errand.diary) for earlier in self.pursuits[:number])
        due = tuple(alarms(pursuit.errand.diary, message.sent_s, offset, message.sent_s + message.ttl_s))
        return (*self._ledger.agreed(pursuit, message.contract), *due)

    # carrying out

    def on_diary(self, alarm: Alarm) -> Iterable[Event]:
        """Do what is due."""
        number = alarm.index
        for pursuit in self.pursuits:
            if number < len(pursuit.errand.diary):
                entry = pursuit.errand.diary[number]
                verb = VERBS[entry.do]
                content = verb.content(pursuit, entry, self._calendar.timestamp(alarm.at_s))
                asked = self._ask(pursuit, verb.action, pursuit.deal.provider, content, verb.ttl_s)
                return (replace(asked, tried=verb.tries(entry)),)
            number -= len(pursuit.errand.diary)
        return ()

    def _ask(self, pursuit: Pursuit, action: str, other: str, content: Content, ttl_s: int = SETUP_TTL_S) -> Message:
        return self.request(action, other, content, pursuit.transaction_id, ttl_s)

    def on_dispatch(self, alarm: Alarm) -> Iterable[Event]:
        """Command the device as planned."""
        assert self.device is not None
        assert self._plan is not None
        self.device.command(self._plan.setpoint_kw(self._calendar.interval(alarm.index)))
        return ()

    # news

    def on_news(self, message: Message) -> Iterable[Event]:
        """How a deal of ours stands, asked for or not."""
        if self._is_utility(message):
            return self._told(message)
        pursuit = self._pursuit(message)
        moved = self._ledger.moved(pursuit, message.contract)
        if moved is not None:
            return (moved,)
        forecast = forecast_in(pursuit, message, self._calendar)
        note(pursuit, message.contract)
        pursuit.forecast = forecast or pursuit.forecast
        return ()

    def _is_utility(self, message: Message) -> bool:
        """Whether this is about our contract with our own utility, and about no deal of ours."""
        return message.sender == self._utility and not self._is_ours(message.transaction_id)

    def _told(self, message: Message) -> Iterable[Event]:
        self.billed.append(message.contract)
        return ()


def _noted(_: Message) -> Iterable[Event]:
    """Taken note of; nothing follows."""
    return ()
