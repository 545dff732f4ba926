"""Answering calls: who holds a deal may be called to draw less, commits to some of it, gives way, and may opt out again.

A component of a seeker, not an agent: its owner hands it what concerns it, and sends what it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from agents.deal_forms import commitment_of
from sim.clock import Calendar
from sim.device import Device
from sim.participant import Participant
from sim.wire.bags import ENERGY, EnergyContract, InputSignal
from sim.wire.codes import Code, Refusal
from sim.wire.core import KnownContract
from sim.wire.messages import SETUP_TTL_S, Alarm, ContractContent, Event, KnownContractContent, Message
from sim.wire.need import ATTRIBUTES, energy_contract, needed

ANSWER, GIVE, RELEASE, LEAVE = "answer call", "give way", "release", "opt out"


@dataclass(frozen=True, slots=True)
class Answer:
    """How calls are answered, for the first rule that fits.

    levels: of calls that it is for; empty for any.  after_s: how long the answer takes.  kw: how much is committed, None for
    what is asked; 0 declines.  opts_out_s: how long after the beginning the load takes itself out of the event; None for
    never.
    """

    after_s: int = 0
    levels: tuple[str, ...] = ()
    kw: float | None = None
    opts_out_s: int | None = None


@dataclass(slots=True)
class Called:
    """One event.  Its respondent alone changes it.  asked_kw, kw: asked for, committed to [kW ≥ 0].  bound: while it holds."""

    by: str
    transaction_id: str
    contract_id: str
    item: str
    offer: str
    template: str
    answer: Answer
    asked_kw: float
    start_s: int
    end_s: int
    kw: float = 0.0
    bound: bool = False

    @property
    def kwh(self) -> float:
        """What is committed to in all."""
        return self.kw * (self.end_s - self.start_s) / 3600


class Respondent:
    """Answers the calls of those with whom its owner has a deal, and commands the device while it is bound.

    answers: rules, the first that fits counts; to a call that none fits nothing is said.  is_known: whether there is a deal
    with somebody.
    """

    def __init__(
        self,
        owner: Participant,
        calendar: Calendar,
        device: Device,
        answers: Sequence[Answer],
        is_known: Callable[[str], bool],
    ) -> None:
        self._owner = owner
        self._calendar = calendar
        self._device = device
        self._answers = tuple(answers)
        self._is_known = is_known
        self.calls: list[Called] = []
        self._reactions: dict[str, Callable[[Message, Called], Iterable[Event]]] = {
            "on_confirm": self._bound,
            "on_update": self._changed,
        }
        self._alarms: dict[str, Callable[[Called, int], Iterable[Event]]] = {
            ANSWER: self._answered,
            GIVE: self._commanded,
            RELEASE: self._released,
            LEAVE: self._left,
        }

    def concerns(self, event: Event, is_ours: Callable[[str], bool]) -> bool:
        """Whether an event is about a call; is_ours: whether a transaction is one that the owner has begun itself."""
        if isinstance(event, Alarm):
            return event.name in self._alarms
        return self._of(event) is not None or (event.action == "on_init" and not is_ours(event.transaction_id))

    def react(self, event: Event) -> Iterable[Event]:
        """As ``Participant.handle``.  A refusal of what was said here is not for this component to remember."""
        if isinstance(event, Alarm):
            return self._alarms[event.name](self.calls[event.index], event.at_s)
        called = self._of(event)
        if called is None:
            return self._invited(event)
        reaction = self._reactions.get(event.action)
        return () if reaction is None else reaction(event, called)

    def _of(self, message: Message) -> Called | None:
        mine = (one for one in self.calls if one.transaction_id == message.transaction_id)
        return next((one for one in mine if one.by == message.sender), None)

    def _invited(self, message: Message) -> Iterable[Event]:
        """A call: think about it, if one of the rules fits.  Raises ``Refusal`` for one of strangers."""
        if not self._is_known(message.sender):
            what = f"{self._owner.era} has no deal with {message.sender}"
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, "/message/contract", what)
        attributes = energy_contract(message)
        told = {signal.signalId: signal.value for signal in attributes.inputSignals or ()}
        window = needed(attributes.timeWindow, f"{ATTRIBUTES}/timeWindow")
        level = str(told.get("level", ""))
        answer = next((one for one in self._answers if level in (one.levels or (level,))), None)
        if answer is None:
            return ()
        commitment = message.contract.commitments[0]
        called = Called(
            by=message.sender,
            transaction_id=message.transaction_id,
            contract_id=str(message.contract.id),
            item=commitment.resources[0].id,
            offer=commitment.offer.id,
            template=attributes.templateId,
            answer=answer,
            asked_kw=float(told.get("request", 0.0) or 0.0),
            start_s=self._calendar.seconds(window.start),
            end_s=self._calendar.seconds(window.end),
        )
        self.calls.append(called)
        return (Alarm(message.sent_s + answer.after_s, ANSWER, len(self.calls) - 1),)

    def _answered(self, called: Called, now_s: int) -> Iterable[Event]:
        del now_s
        called.kw = called.asked_kw if called.answer.kw is None else called.answer.kw
        if called.kw:
            return (self._say("confirm", called, ContractContent(contract=self._known(called))),)
        return (self._say("cancel", called, KnownContractContent(contract=self._known(called))),)

    def _bound(self, message: Message, called: Called) -> Iterator[Event]:
        called.bound = True
        number = self.calls.index(called)
        yield Alarm(max(called.start_s, message.sent_s), GIVE, number)
        yield Alarm(called.end_s, RELEASE, number)
        if called.answer.opts_out_s is not None:
            yield Alarm(called.start_s + called.answer.opts_out_s, LEAVE, number)

    def _changed(self, message: Message, called: Called) -> Iterable[Event]:
        """News of the whole event, and not of one interval: if it is longer, we are in for longer."""
        window, contract = energy_contract(message).timeWindow, message.contract
        is_cycle = bool(contract.performance) or bool(contract.settlements)
        if is_cycle or not called.bound or not window:
            return ()
        called.end_s = self._calendar.seconds(window.end)
        return (Alarm(called.end_s, RELEASE, self.calls.index(called)),)

    def _commanded(self, called: Called, now_s: int) -> Iterable[Event]:
        """Give way by what all events that run now ask for together."""
        del called
        running = (one.kw for one in self.calls if one.bound and one.start_s <= now_s < one.end_s)
        self._device.command(sum(running))
        return ()

    def _released(self, called: Called, now_s: int) -> Iterable[Event]:
        if now_s >= called.end_s:
            called.bound = False
        return self._commanded(called, now_s)

    def _left(self, called: Called, now_s: int) -> Iterable[Event]:
        """Take the load out of the event, at once."""
        if not called.bound:
            return ()
        called.bound = False
        self._commanded(called, now_s)
        signal = InputSignal(
            signalId="optOut", signalType="COMMAND", value=0.0, unit="KW", timestamp=self._calendar.timestamp(now_s)
        )
        attributes = EnergyContract(ENERGY, templateId=called.template, status="ACTIVE", inputSignals=(signal,))
        contract = self._known(called, attributes)
        return (self._say("update", called, ContractContent(contract=contract)),)

    def _known(self, called: Called, attributes: EnergyContract | None = None) -> KnownContract:
        commitment = commitment_of(called.item, called.offer, called.kwh)
        if attributes is None:
            return KnownContract(id=called.contract_id, commitments=(commitment,))
        return KnownContract(id=called.contract_id, commitments=(commitment,), contractAttributes=attributes)

    def _say(self, action: str, called: Called, content: ContractContent | KnownContractContent) -> Message:
        return self._owner.request(action, called.by, content, called.transaction_id, SETUP_TTL_S)
