"""Which message answers which, and which has been seen before.  No clock inside: every question names the second.

A request waits for its callback until its ttl is over.  A message that was accepted and comes again is accepted again, without
a second effect; another body under its message id is a replay.  What was refused had no effect, and is judged anew.  What is
older than the longest ttl is forgotten, for by then it would be refused as late.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sim.wire.codes import Code, Refusal
from sim.wire.messages import ANSWERS, UNSOLICITED, Message, is_callback

MESSAGE_ID = "/context/messageId"
AHEAD_S = 5
"""A message may be dated this much in the future, for clocks differ; it counts that much longer."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A request that waits for its callback until ``expires_s``; digest: of its bytes."""

    message: Message
    digest: str
    expires_s: int


Wait = tuple[str, str]
"""Who waits, and under which message id."""


class Correlation:
    """The memory of one network: open requests by requester and message id; what was accepted by sender, action and id.

    Both go by who says it: nobody can end another's wait, or use up an id that another will use.
    """

    def __init__(self) -> None:
        self._pending: dict[Wait, Pending] = {}
        self._young: dict[tuple[str, str, str], str] = {}
        self._old: dict[tuple[str, str, str], str] = {}
        self._longest_ttl_s = 0
        self._turn_s = -math.inf

    def sent(self, message: Message, digest: str, now: int) -> bool:
        """Take note of a request.  Whether its sender now waits: nobody does for the answer to an answer, or twice for one."""
        wait = (message.sender, message.message_id)
        if message.action not in ANSWERS or wait in self._pending:
            return False
        self._pending[wait] = Pending(message, digest, now + message.ttl_s)
        return True

    def is_known(self, message: Message) -> bool:
        """Whether this very message was accepted before.  Raises ``Refusal`` where its message id carried another body."""
        key = (message.sender, message.action, message.message_id)
        digest = self._young.get(key) or self._old.get(key)
        if digest is not None and digest != message.digest:
            raise Refusal(
                Code.AUT_REPLAY_DETECTED,
                MESSAGE_ID,
                "expected the body that this message id has carried already, got another",
            )
        return digest is not None

    def admit(self, message: Message, now: int) -> None:
        """Raises ``Refusal`` for a callback that nobody waits for, unless the protocol lets it come unasked."""
        if not is_callback(message.action):
            return
        pending = self._pending.get((message.recipient, message.message_id))
        if pending is None:
            self._admit_unasked(message)
        elif (ANSWERS[pending.message.action], pending.message.recipient) != (message.action, message.sender):
            asked = f"{ANSWERS[pending.message.action]} from {pending.message.recipient}"
            what = f"expected {asked}, got {message.action} from {message.sender}"
            raise Refusal(Code.PRC_INVALID_TRANSITION, MESSAGE_ID, what)
        elif pending.message.transaction_id != message.transaction_id:
            what = f"expected {pending.message.transaction_id} as in the request, got {message.transaction_id}"
            raise Refusal(Code.PRC_CONFLICT, "/context/transactionId", what)
        elif now > pending.expires_s:
            raise Refusal(
                Code.NET_TIMEOUT,
                "/context/ttl",
                f"expected an answer by the end of the ttl, got one {now - pending.expires_s} s later",
            )
        elif message.request_digest is None:
            raise Refusal(Code.SCH_REQUIRED_FIELD_MISSING, "/context", "expected a field 'requestDigest', got none")
        elif message.request_digest != pending.digest:
            where = "/context/requestDigest/digest"
            raise Refusal(Code.PRC_CONFLICT, where, "expected the digest of the request that was sent, got another")

    def _admit_unasked(self, message: Message) -> None:
        if message.action not in UNSOLICITED:
            raise Refusal(
                Code.PRC_INVALID_TRANSITION,
                MESSAGE_ID,
                f"expected the id of a request that waits for this {message.action}, got none's",
            )
        if message.request_digest is not None:
            raise Refusal(
                Code.PRC_INVALID_TRANSITION, MESSAGE_ID, "expected no requestDigest of what comes unasked, got one"
            )

    def accepted(self, message: Message, now: int) -> None:
        """Remember a message that was accepted; the request that it answers waits no longer."""
        self._longest_ttl_s = max(self._longest_ttl_s, message.ttl_s)
        if now >= self._turn_s:
            self._old, self._young = self._young, {}
            self._turn_s = now + self._longest_ttl_s + AHEAD_S + 1
        self._young[message.sender, message.action, message.message_id] = message.digest
        if is_callback(message.action):
            self._pending.pop((message.recipient, message.message_id), None)

    def closed(self, wait: Wait) -> Pending | None:
        """The request that still waits, if it does; it waits no longer."""
        return self._pending.pop(wait, None)

    def expired(self, wait: Wait, now: int) -> Pending | None:
        """The same for one whose time is over; one that was sent again has more time."""
        pending = self._pending.get(wait)
        return self.closed(wait) if pending is not None and now > pending.expires_s else None
