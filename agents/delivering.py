"""How a provider delivers what was agreed: windows and sessions, what is asked for meanwhile, readings, and the bill.

A component, not an agent: its owner hands it messages and sends what it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from agents import reserves, sessions
from agents.admissions import shows
from agents.convening import Convening
from agents.curtailment import curtail, curtailed_on_wire
from agents.deal import Deal
from agents.deal_forms import on_wire, session_of, with_tariff
from agents.dealings import Dealings
from agents.diary import Entry
from agents.recording import Recording
from agents.settling import LAST_S, SETTLE_AFTER_S
from sim.clock import Interval
from sim.contracts.contract import Status
from sim.participant import Reaction
from sim.wire.bags import ChargingSession, EnergyTradeDelivery
from sim.wire.codes import Code, Refusal
from sim.wire.core import Contract, Descriptor, Performance, Tracking
from sim.wire.messages import SETUP_TTL_S, Alarm, ContractContent, Event, Message, TrackContent, uri
from sim.wire.need import bag, needed


class Delivering:
    """Everything between the confirmation of a deal and its last bill."""

    def __init__(self, dealings: Dealings, convening: Convening, recording: Recording) -> None:
        self._dealings = dealings
        self._owner = dealings.owner
        self._calendar = dealings.calendar
        self._convening = convening
        self._recording = recording
        self._settled_s = -1
        self._handed: dict[str, tuple[Deal, int]] = {}
        """What was handed over and may still be refused, by message: the deal, and the interval that it counts for."""
        self._stopping: dict[str, Message] = {}

    @property
    def reactions(self) -> Mapping[str, Reaction]:
        """What the owner reacts to by this."""
        return {
            "begin": self.on_begin,
            "overdue": self.on_overdue,
            "update": self.on_update,
            "status": self.on_status_asked,
            "track": self.on_track,
            "on_status": self.on_readings,
            "on_update": self.on_news,
            "settle": self.on_settle,
            "close": self.on_settle,
        }

    def alarms(self) -> Iterable[Alarm]:
        """When intervals are settled."""
        for interval in self._calendar.intervals():
            yield Alarm(interval.end_s + SETTLE_AFTER_S, "settle", interval.index)
        yield Alarm(self._calendar.duration_s + LAST_S, "close", self._calendar.count - 1)

    # beginning

    def bound(self, request: Message, deal: Deal, now_s: int) -> Iterable[Event]:
        """A deal holds: its taker is answered, and delivery is prepared."""
        dealings = self._dealings
        if deal.record is not None:
            yield from self._recording.recorded(request, deal, deal.record)
        else:
            contract = dealings.stands(deal, now_s) if deal.reduction is None else dealings.calling.agreed(deal)
            yield self._answer(request, dealings.beside(deal, with_tariff(deal, contract)))
        yield from self._convening.serving(request, deal, now_s)
        if deal.item.press is not None:
            yield self._hand_over(deal, dealings.tell("on_status", deal, self._issued(deal, 0)), now_s)
        if deal.item.delivery == "session":
            yield Alarm(max(deal.start_s, now_s) + deal.item.grace_s, "overdue", dealings.number(deal))
        elif deal.start_s > now_s + SETUP_TTL_S:
            yield Alarm(deal.start_s, "begin", dealings.number(deal))
        else:  # what we answer may be on its way for so long that its beginning has passed
            _begin(deal, max(deal.start_s, now_s + 1))

    def on_begin(self, alarm: Alarm) -> Iterable[Event]:
        """The window of a deal has come: it is delivered by itself until its end."""
        deal = self._dealings.by_number(alarm.index)
        if deal.start_s <= alarm.at_s:  # else it was moved meanwhile
            _begin(deal, alarm.at_s)
        return ()

    def on_overdue(self, alarm: Alarm) -> Iterable[Event]:
        """Nobody has come to a session in time: the deal is off, at the taker's cost."""
        deal = self._dealings.by_number(alarm.index)
        if deal.is_open and deal.began_s is None and deal.over_s is None:
            follows = tuple(self._dealings.off(deal, alarm.at_s, "cancelled", late=True))
            yield self._dealings.tell("on_status", deal, self._dealings.stands(deal, alarm.at_s))
            yield from follows

    # meanwhile

    def on_update(self, message: Message) -> Iterable[Event]:
        """The taker starts or stops its session, asks for what is held ready, opts out, or changes what it has consented to."""
        dealings = self._dealings
        deal = dealings.asked(message, Status.ACTIVE)
        if deal.item.admission is not None and shows(message.contract):
            if dealings.admission.changed(deal, message):
                dealings.end(deal, message.sent_s, "ended")
            return (self._answer(message, dealings.beside(deal, dealings.stands(deal, message.sent_s))),)
        if deal.item.call is not None:
            dealings.calling.opt_out(deal, message)
        elif deal.item.reserve is not None:
            reserves.ask(deal, message)
        elif self._switched_by(deal, message) == "STOP":
            # Off at once; the answer comes with the bill, when the meter has been read.
            dealings.end(deal, message.sent_s, "ended")
            self._stopping[deal.contract.id] = message
            return ()
        return (self._answer(message, dealings.stands(deal, message.sent_s)),)

    def _switched_by(self, deal: Deal, message: Message) -> str:
        """Start or stop a session as its taker says.  Raises ``Refusal`` for what its state does not allow."""
        performance = needed(message.contract.performance, "/message/contract/performance")[0]
        told = bag(performance.performanceAttributes, ChargingSession, sessions.SESSION)
        wanted = needed(told.sessionStatus, f"{sessions.SESSION}/sessionStatus")
        if wanted == "ACTIVE" and deal.session == "PENDING" and deal.over_s is None:
            sessions.start(deal, told, message.contract.commitments[0].commitmentAttributes, message.sent_s)
        elif wanted == "STOP" and sessions.is_running(deal):
            sessions.stop(deal, message.sent_s)
        else:
            what = f"a session that is {deal.session} cannot become {wanted}"
            raise Refusal(Code.PRC_INVALID_TRANSITION, f"{sessions.SESSION}/sessionStatus", what)
        return wanted

    def interrupt(self, now_s: int, entry: Entry) -> Iterable[Event]:
        """Hold the running sessions of an item."""
        return self._switched(sessions.interrupt, now_s, entry)

    def resume(self, now_s: int, entry: Entry) -> Iterable[Event]:
        """Let them go on."""
        return self._switched(sessions.resume, now_s, entry)

    def _switched(self, switch: Callable[[Deal, int], None], now_s: int, entry: Entry) -> Iterable[Event]:
        for deal in self._dealings.deals.values():
            if sessions.is_running(deal) and entry.about in ("", deal.item.name):
                switch(deal, now_s)
                yield self._dealings.tell("on_status", deal, self._dealings.stands(deal, now_s))

    def on_status_asked(self, message: Message) -> Iterable[Event]:
        """How a deal stands; of what is sold by the call, another one."""
        deal = self._dealings.asked(message)
        if deal.item.press is not None and deal.is_open and deal.over_s is None:
            issued = self._issued(deal, sum(deal.calls.values()))
            return (self._hand_over(deal, self._answer(message, issued), message.sent_s),)
        return (self._answer(message, self._dealings.stands(deal, message.sent_s)),)

    def on_track(self, message: Message) -> Iterable[Event]:
        """Where and how a session goes on."""
        assert isinstance(message.content, TrackContent)
        contract = needed(message.content.tracking.contract, "/message/tracking/contract")
        deal = self._dealings.of(message, contract.id, "/message/tracking/contract")
        sessions.measure(deal, message.sent_s)
        tracking = Tracking(
            status="ACTIVE" if deal.session in sessions.RUNNING else "INACTIVE",
            url=f"{uri(self._owner.era)}/track/{deal.contract.id}",
            trackingAttributes=session_of(deal, self._calendar, message.sent_s),
        )
        return (self._owner.answer(message, TrackContent(tracking=tracking)),)

    # what is sold by the call

    def _issued(self, deal: Deal, number: int) -> Contract:
        assert deal.item.press is not None
        performance = Performance(
            id=f"{deal.contract.id}/{number}",
            status=Descriptor(code="COMPLETED"),
            performanceAttributes=deal.item.press.issued(),
        )
        return on_wire(deal, window=self._dealings.window(deal), performance=(performance,))

    def _hand_over(self, deal: Deal, message: Message, now_s: int) -> Message:
        """Count a call that is answered by this message; whoever refuses it, refuses to pay for it."""
        index = max(self._calendar.index_at(now_s), 0)
        deal.calls[index] = deal.calls.get(index, 0) + 1
        self._handed[message.message_id] = deal, index
        return message

    def refused(self, nack: Message) -> Iterable[Event] | None:
        """What was handed over and is refused is not counted; None for a refusal of anything else."""
        if nack.message_id not in self._handed:
            return None
        deal, index = self._handed.pop(nack.message_id)
        deal.calls[index] -= 1
        return ()

    # settling

    def on_readings(self, message: Message) -> Iterable[Event]:
        """Readings of an interval, of our own meters or as an approver passes them on; late ones put estimates right."""
        heard = self._recording.heard(message)
        if heard is not None:
            return heard
        self._dealings.settling.read(message)
        return self._settled(max(message.sent_s, self._settled_s))

    def on_news(self, message: Message) -> Iterable[Event]:
        """An approver has curtailed a deal, or passes readings on; what it settles with us is its own affair."""
        if message.contract.settlements:
            return ()
        heard = self._recording.heard(message)
        if heard is not None:
            return heard
        told = needed(message.contract.performance, "/message/contract/performance")[0].performanceAttributes
        if not isinstance(told, EnergyTradeDelivery):
            return self.on_readings(message)
        deal = self._dealings.deals.get(str(message.contract.id))
        if deal is None or deal.item.approver != message.sender or not deal.is_open:
            what = f"{self._owner.era} has no deal {message.contract.id} that {message.sender} may curtail"
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, "/message/contract/id", what)
        curtail(deal, told, message.sent_s, self._calendar)
        contract = curtailed_on_wire(deal, told, self._calendar, self._dealings.currency)
        return (self._dealings.tell("on_update", deal, contract),)

    def on_settle(self, alarm: Alarm) -> Iterable[Event]:
        """An interval is over: settle what can be settled."""
        interval = self._calendar.interval(alarm.index)
        for deal in self._dealings.deals.values():
            if not deal.is_open or deal.first > interval.index:
                continue
            if _is_past(deal, interval):
                self._dealings.end(deal, deal.end_s, "ended")
            reserves.measure(deal, interval)
        sessions.count(self._dealings.deals.values(), interval)
        self._settled_s = alarm.at_s
        return self._settled(alarm.at_s)

    def _settled(self, now_s: int) -> Iterable[Event]:
        dealings = self._dealings
        for deal, message in dealings.settling.due(dealings.deals.values(), now_s):
            yield self._or_answer(deal, message, now_s)
            if deal.reduction is not None and not deal.is_open:
                yield dealings.tell("on_status", deal, dealings.calling.report(deal))

    def _or_answer(self, deal: Deal, message: Message, now_s: int) -> Message:
        """What the taker waits for since it stopped is answered by the bill, if it comes in time; the rest is told unasked."""
        asked = self._stopping.pop(deal.contract.id, None) if not deal.is_open else None
        if asked is None or now_s >= asked.sent_s + asked.ttl_s:
            return message
        return self._owner.answer(asked, message.content)

    def _answer(self, message: Message, contract: Contract) -> Message:
        return self._owner.answer(message, ContractContent(contract=contract))


def _begin(deal: Deal, at_s: int) -> None:
    deal.began_s = at_s
    if deal.over_s is None:
        reserves.begin(deal, at_s)


def _is_past(deal: Deal, interval: Interval) -> bool:
    is_window = deal.item.delivery == "window" and deal.over_s is None
    return is_window and deal.end_s <= interval.end_s and deal.is_delivered
