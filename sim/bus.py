"""The in-process network: who told whom, on the simulated clock.

A message leaves as bytes, arrives a latency later, is read and checked at the receiver's door, and is acknowledged at once with
ACK or NACK; a callback is a message of its own.  Events at one second happen in the order in which they were sent.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import simpy
from msgspec.structs import replace

from sim.clock import Calendar
from sim.correlation import AHEAD_S, Correlation, Wait
from sim.journal import Journal
from sim.wire.codec import body_digest, decode, decode_strictly, encode, encode_ack
from sim.wire.codes import Code, Refusal
from sim.wire.core import ErrorBody
from sim.wire.messages import NACK, Ack, Alarm, Event, Message, NackContent

LONGEST_TTL_S = 7 * 24 * 3600
"""Messages are remembered for as long as the longest of them may hold; nobody may make that for ever."""

Handler = Callable[[Event], Iterable[Event]]
Reader = Callable[[str, bytes, str, Callable[[str], int]], Message]


@dataclass(frozen=True, slots=True)
class Delay:
    """A fault of the network: what ``sender`` says arrives ``by_s`` later than it would have.

    action: of these messages alone; empty for all of them.  since_s, until_s: of those alone that are sent from then on, and
    before then, in simulated seconds.
    """

    sender: str
    by_s: int
    action: str = ""
    since_s: float = -math.inf
    until_s: float = math.inf

    def meets(self, message: Message, now: int) -> bool:
        """Whether a message that is sent now is held up."""
        return (
            message.sender == self.sender and self.action in ("", message.action) and self.since_s <= now < self.until_s
        )


class Seals(Protocol):
    """How messages are signed, and signatures checked.  Times in simulated seconds."""

    def seal(self, message: Message, digest: str, now: int) -> str:
        """The signature header of a message whose body has this digest."""

    def check(self, message: Message, header: str | None, now: int) -> str:
        """Raises ``Refusal`` for a message that its sender did not sign; else what is to be noted, mostly nothing."""

    def acknowledge(self, message: Message, ack: bytes, now: int) -> str:
        """The recipient's signature of its Ack to a message."""


class Bus:
    """Carries messages and alarms between the mailboxes that have joined.

    latency_s: simulated seconds from sending to delivery.  delays: what holds some messages up; several on one add up.
    Whoever then misses the Ack to a callback within its ttl is told so, as it would be of a request.  seals: signs every
    message that is sent and checks every one that arrives; None for a network that trusts.  rate_limit: messages that one
    sender may have delivered within one second.
    ``counts`` holds delivered messages by (action, "ACK"/"NACK").
    """

    def __init__(
        self,
        clock: simpy.Environment,
        calendar: Calendar,
        journal: Journal,
        latency_s: int = 1,
        *,
        seals: Seals | None = None,
        rate_limit: int | None = None,
        delays: Sequence[Delay] = (),
    ) -> None:
        self._clock = clock
        self._calendar = calendar
        self._journal = journal
        self._latency_s = latency_s
        self._seals = seals
        self._rate_limit = rate_limit
        self._delays = tuple(delays)
        self._rates: Counter[str] = Counter()
        self._rated_s = 0
        self._mailboxes: dict[str, Handler] = {}
        self._correlation = Correlation()
        self._expiring: dict[int, list[Wait]] = {}
        self.counts: Counter[tuple[str, str]] = Counter()

    def join(self, name: str, handler: Handler) -> None:
        """Give a name a mailbox.  Raises ``ValueError`` for a name that has one already."""
        if name in self._mailboxes:
            raise ValueError(f"{name} has a mailbox already")
        self._mailboxes[name] = handler

    def post(self, owner: str, events: Iterable[Event]) -> None:
        """Send what ``owner`` wants sent: messages to others, alarms to itself."""
        for event in events:
            if isinstance(event, Alarm):
                self.at(event.at_s, self._ring, (owner, event))
            else:
                self._send(owner, event)

    def _send(self, owner: str, message: Message) -> None:
        now = int(self._clock.now)
        raw = encode(message, self._calendar.timestamp(now))
        digest = body_digest(raw)
        header = None if self._seals is None else self._seals.seal(message, digest, now)
        waits = self._correlation.sent(message, digest, now)
        if waits:
            self._expect((message.sender, message.message_id), now + message.ttl_s)
        due_s = now + self._latency_s + sum(delay.by_s for delay in self._delays if delay.meets(message, now))
        missed = not waits and due_s > now + message.ttl_s
        if missed:
            self.at(now + message.ttl_s + 1, self._give_up, (owner, message))
        self.at(due_s, self._arrive, (owner, message, raw, digest, header, waits, missed))

    def at(self, seconds: int, call: Callable[[Any], None], value: Any = None) -> None:
        """Make a call at a simulated second; calls for one second happen in the order of asking.

        call: gets a simpy event whose ``value`` is the given one.  Raises ``ValueError`` for a second that has passed.
        """
        self._clock.timeout(seconds - int(self._clock.now), value).callbacks.append(call)

    def _ring(self, due: Any) -> None:
        self._hand(*due.value)

    def _hand(self, owner: str, event: Event) -> None:
        self.post(owner, self._mailboxes[owner](event))

    # arriving

    def _arrive(self, due: Any) -> None:
        owner, sent, raw, digest, header, waits, missed = due.value
        _, error = self._deliver(sent.action, raw, digest, header, decode)
        if error is None or owner not in self._mailboxes:
            return
        timed_out = missed or (waits and self._correlation.closed((sent.sender, sent.message_id)) is None)
        if not timed_out:  # or its sender has been told already
            self._hand(owner, _nack(sent, error))

    def transmit(self, action: str, raw: bytes, header: str | None = None) -> Ack:
        """Deliver bytes from outside at once, as they are, to the endpoint of an action.

        What comes from outside is held to the whole schema.  The Ack is signed by the recipient where the network signs.
        """
        digest = body_digest(raw)
        message, error = self._deliver(action, raw, digest, header, decode_strictly)
        ack = Ack(status="ACK") if error is None else Ack(status="NACK", error=error)
        if self._seals is None or message is None or message.recipient not in self._mailboxes:
            return ack
        return replace(ack, signature=self._seals.acknowledge(message, encode_ack(ack), int(self._clock.now)))

    def _deliver(
        self, action: str, raw: bytes, digest: str, header: str | None, read: Reader
    ) -> tuple[Message | None, ErrorBody | None]:
        """The message, if it could be read, and why it was refused, if it was."""
        now = int(self._clock.now)
        message, error, note = None, None, ""
        answers: Iterable[Event] = ()
        try:
            message = read(action, raw, digest, self._calendar.seconds)
            note = self._check(message, header, now)
            if self._correlation.is_known(message):
                note = "duplicate"
            else:
                self._correlation.admit(message, now)
                answers = list(self._mailboxes[message.recipient](message))
                self._correlation.accepted(message, now)
        except Refusal as refusal:
            error = ErrorBody(errorCode=refusal.code, errorMessage=_whole(refusal.what), path=_whole(refusal.where))
        self.counts[action, "ACK" if error is None else "NACK"] += 1
        self._journal.message(now, action, raw, error, header, note)
        if message is not None:
            self.post(message.recipient, answers)
        return message, error

    def _check(self, message: Message, header: str | None, now: int) -> str:
        """What is to be noted of a message that may come in.  Raises ``Refusal``.

        Cheap checks come before costly ones; but nobody can use up what another may send, so that is counted last.
        """
        if message.ttl_s > LONGEST_TTL_S:
            what = f"expected at most {LONGEST_TTL_S} s, got {message.ttl_s}"
            raise Refusal(Code.SCH_SCHEMA_VALIDATION_FAILED, "/context/ttl", what)
        if now > message.sent_s + message.ttl_s:
            what = f"expected a message of the last {message.ttl_s} s, got one {now - message.sent_s} s old"
            raise Refusal(Code.NET_TIMEOUT, "/context/ttl", what)
        if message.sent_s > now + AHEAD_S:
            what = f"expected a time that has come, got one {message.sent_s - now} s ahead"
            raise Refusal(Code.NET_TIMEOUT, "/context/timestamp", what)
        if message.recipient not in self._mailboxes:
            what = f"expected somebody on this network, got {message.recipient!r}"
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, "/context", what)
        note = "" if self._seals is None else self._seals.check(message, header, now)
        if self._rate_limit is not None:
            self._count(message.sender, self._rate_limit, now)
        return note

    def _count(self, sender: str, limit: int, now: int) -> None:
        if now != self._rated_s:
            self._rates.clear()
            self._rated_s = now
        self._rates[sender] += 1
        if self._rates[sender] > limit:
            what = f"expected at most {limit} messages of {sender} in one second, got more"
            raise Refusal(Code.AUT_RATE_LIMITED, "/context", what)

    # waiting in vain

    def _give_up(self, due: Any) -> None:
        """Nobody has acknowledged what is held up: it is too late now, and its sender must know."""
        owner, sent = due.value
        self._in_vain(owner, sent, f"expected an Ack of {sent.recipient} within {sent.ttl_s} s, got none")

    def _expect(self, wait: Wait, until_s: int) -> None:
        waiting = self._expiring.get(until_s + 1)
        if waiting is None:
            waiting = self._expiring[until_s + 1] = []
            self.at(until_s + 1, self._expire, until_s + 1)
        waiting.append(wait)

    def _expire(self, due: Any) -> None:
        for wait in self._expiring.pop(due.value):
            pending = self._correlation.expired(wait, due.value)
            if pending is not None:
                asked = pending.message
                what = f"expected an answer of {asked.recipient} within {asked.ttl_s} s, got none"
                self._in_vain(asked.sender, asked, what)

    def _in_vain(self, owner: str, sent: Message, what: str) -> None:
        now = int(self._clock.now)
        self._journal.record("timeout", t=now, action=sent.action, messageId=sent.message_id, by=sent.sender)
        error = ErrorBody(errorCode=Code.NET_TIMEOUT, errorMessage=what, path="/context/ttl")
        self._hand(owner, _nack(sent, error))


def _whole(text: str) -> str:
    """Text that can be written: halves of characters that a message brought are spelled out."""
    return text.encode("utf-8", "backslashreplace").decode()


def _nack(sent: Message, error: ErrorBody) -> Message:
    """A refusal as its sender hears of it; ``name`` is NACK."""
    return Message(
        action=NACK,
        sender=sent.recipient,
        recipient=sent.sender,
        transaction_id=sent.transaction_id,
        message_id=sent.message_id,
        content=NackContent(status="NACK", error=error),
    )
