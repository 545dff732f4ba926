"""A participant: one mailbox, one method."""

from __future__ import annotations

import itertools
import logging
import weakref
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TypeAlias

import mesa

from sim.rng import identifier
from sim.wire.codes import Code, Refusal
from sim.wire.core import ErrorBody
from sim.wire.messages import ANSWERS, NACK, Alarm, Content, Event, Lineage, Message

log = logging.getLogger(__name__)

Reaction = Callable[[Any], Iterable[Event]]


Registry: TypeAlias = mesa.Model
"""Mesa's list of agents, for constructors to name; nothing but the registry is used of it."""


class Ids:
    """Identifiers for one participant's messages: they depend on the seed, its name and how many it made."""

    def __init__(self, seed: int, owner: str) -> None:
        self._seed = seed
        self._owner = owner
        self._made = 0

    def fresh(self) -> str:
        """The next identifier."""
        self._made += 1
        return identifier(self._seed, self._owner, str(self._made))


class _Counts(weakref.WeakKeyDictionary[Registry, "itertools.count[int]"]):
    """Mesa's numbers of agents, by model.  Its own table would keep every model for ever."""

    def __getitem__(self, registry: Registry) -> itertools.count[int]:
        return self.setdefault(registry, itertools.count(1))


class Participant(mesa.Agent):
    """Someone who decides.  Sees the event, its own fields, and what its constructor was given; nothing else.

    ``registry`` is the Mesa model that keeps the list of agents; no participant looks into it.  Subclasses fill
    ``reactions``: name of an action or alarm -> what to do, which returns messages and alarms to send.
    """

    kind: ClassVar[str]
    _ids = _Counts()

    def __init__(self, registry: Registry, era: str, ids: Ids) -> None:
        super().__init__(registry)
        self.era = era
        self.ids = ids
        self.reactions: dict[str, Reaction] = {"start": self.on_start, NACK: self.on_nack}

    def handle(self, event: Event) -> Iterable[Event]:
        """React to one message or alarm.  Raises ``Refusal`` to answer NACK; then nothing of the participant has changed.

        Nobody here can say yet what would happen without doing it, so a message that only asks (``context.try``) is refused.
        """
        if isinstance(event, Message) and event.tried:
            raise Refusal(
                Code.SCH_FIELD_NOT_ALLOWED, "/context/try", f"expected no field 'try': {self.era} cannot only try"
            )
        reaction = self.reactions.get(event.name)
        if reaction is None:
            raise Refusal(Code.SCH_TYPE_NOT_SUPPORTED, "/context/action", f"{self.era} does not serve {event.name}")
        return reaction(event)

    def on_start(self, _: Alarm) -> Iterable[Event]:
        """The world has woken us.  The default waits for messages."""
        return ()

    def on_nack(self, message: Message) -> Iterable[Event]:
        """A message of ours was refused.  The default drops it: the journal has the reason."""
        log.debug("%s was refused by %s: %s", self.era, message.sender, message.content)
        return ()

    def request(
        self,
        action: str,
        recipient: str,
        content: Content,
        transaction_id: str,
        ttl_s: int = 30,
        lineage: Lineage | None = None,
    ) -> Message:
        """A new message of ours, with a fresh message id."""
        return Message(action, self.era, recipient, transaction_id, self.ids.fresh(), content, ttl_s, lineage)

    def answer(self, request: Message, content: Content, ttl_s: int = 30, error: ErrorBody | None = None) -> Message:
        """The callback to a request: same transaction, same message id, bound to the bytes that were sent."""
        return Message(
            action=ANSWERS[request.action],
            sender=self.era,
            recipient=request.sender,
            transaction_id=request.transaction_id,
            message_id=request.message_id,
            content=content,
            ttl_s=ttl_s,
            lineage=request.lineage,
            error=error,
            request_digest=request.digest,
        )
