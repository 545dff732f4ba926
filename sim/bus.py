"""The in-process network: who told whom, on the simulated clock.

A message leaves as bytes, arrives a latency later, is read and checked at the receiver's door, and is answered ACK or NACK
at once; a callback is a message of its own.  Events at one second happen in the order in which they were sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import simpy

from sim.clock import Calendar
from sim.journal import Journal
from sim.wire.codec import decode, encode
from sim.wire.codes import Code, Refusal
from sim.wire.core import ErrorBody
from sim.wire.messages import NACK, Alarm, Event, Message, NackContent

Handler = Callable[[Event], Iterable[Event]]


class Bus:
    """Carries messages and alarms between the mailboxes that have joined.

    latency_s: simulated seconds from sending to delivery.  ``counts`` holds delivered messages by (action, "ACK"/"NACK").
    """

    def __init__(self, clock: simpy.Environment, calendar: Calendar, journal: Journal, latency_s: int = 1) -> None:
        self._clock = clock
        self._calendar = calendar
        self._journal = journal
        self._latency_s = latency_s
        self._mailboxes: dict[str, Handler] = {}
        self.counts: Counter[tuple[str, str]] = Counter()

    def join(self, name: str, handler: Handler) -> None:
        """Give a name a mailbox.  Raises ``ValueError`` for a name that has one already."""
        if name in self._mailboxes:
            raise ValueError(f"{name} has a mailbox already")
        self._mailboxes[name] = handler

    def post(self, owner: str, events: Iterable[Event]) -> None:
        """Send what ``owner`` wants sent: messages to others, alarms to itself."""
        now = int(self._clock.now)
        for event in events:
            if isinstance(event, Alarm):
                self.at(event.at_s, self._ring, (owner, event))
            else:
                raw = encode(event, self._calendar.timestamp(now))
                self.at(now + self._latency_s, self._arrive, (event, raw, now))

    def at(self, seconds: int, call: Callable[[Any], None], value: Any = None) -> None:
        """Make a call at a simulated second; calls for one second happen in the order of asking.

        call: gets a simpy event whose ``value`` is the given one.  Raises ``ValueError`` for a second that has passed.
        """
        self._clock.timeout(seconds - int(self._clock.now), value).callbacks.append(call)

    def _ring(self, due: Any) -> None:
        self._hand(*due.value)

    def _arrive(self, due: Any) -> None:
        self._deliver(*due.value)

    def _deliver(self, sent: Message, raw: bytes, sent_s: int) -> None:
        now = int(self._clock.now)
        try:
            message = decode(sent.action, raw, sent_s)
            if now > sent_s + message.ttl_s:
                raise Refusal(Code.NET_TIMEOUT, "/context/ttl", f"{now - sent_s} s old, valid for {message.ttl_s} s")
            if message.recipient not in self._mailboxes:
                raise Refusal(Code.NET_ENTITY_NOT_FOUND, "/context", f"nobody here is called {message.recipient}")
            answers = list(self._mailboxes[message.recipient](message))
        except Refusal as refusal:
            self._refuse(sent, raw, refusal)
            return
        self.counts[sent.action, "ACK"] += 1
        self._journal.message(now, raw)
        self.post(message.recipient, answers)

    def _refuse(self, sent: Message, raw: bytes, refusal: Refusal) -> None:
        error = {"errorCode": str(refusal.code), "errorMessage": refusal.what, "path": refusal.where}
        self.counts[sent.action, "NACK"] += 1
        self._journal.message(int(self._clock.now), raw, error)
        if sent.sender not in self._mailboxes:
            return
        nack = Message(
            action=NACK,
            sender=sent.recipient,
            recipient=sent.sender,
            transaction_id=sent.transaction_id,
            message_id=sent.message_id,
            content=NackContent(
                status="NACK", error=ErrorBody(errorCode=refusal.code, errorMessage=refusal.what, path=refusal.where)
            ),
        )
        self._hand(sent.sender, nack)

    def _hand(self, owner: str, event: Event) -> None:
        self.post(owner, self._mailboxes[owner](event))
