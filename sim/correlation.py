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

    @property
    def action(self) -> str:
        """What was asked."""
        return self.message.action

    @property
    def sender(self) -> str:
        """Who asked."""
        return self.message.sender

    @property
    def recipient(self) -> str:
        """Who was asked."""
        return self.message.recipient


class Correlation:
    """The memory of one network: open requests by message id, and digests of what was accepted by message id and action."""

    def __init__(self) -> None:
        self._pending: dict[str, Pending] = {}
        self._young: dict[tuple[str, str], str] = {}
        self._old: dict[tuple[str, str], str] = {}
        self._longest_ttl_s = 0
        self._turn_s = -math.inf

    def sent(self, message: Message, digest: str, now: int) -> bool:
        """Take note of a request.  Whether its sender now waits: nobody does for the answer to an answer, or twice for one."""
        if message.action not in ANSWERS or message.message_id in self._pending:
            return False
        self._pending[message.message_id] = Pending(message, digest, now + message.ttl_s)
        return True

    def is_known(self, message: Message) -> bool:
        """Whether this very message was accepted before.  Raises ``Refusal`` where its message id carried another body."""
        key = (message.message_id, message.action)
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
        pending = self._pending.get(message.message_id)
        if pending is None:
            self._admit_unasked(message)
        elif (ANSWERS[pending.action], pending.recipient, pending.sender) != (
            message.action,
            message.sender,
            message.recipient,
        ):
            asked = f"{ANSWERS[pending.action]} from {pending.recipient} to {pending.sender}"
            what = f"expected {asked}, got {message.action} from {message.sender} to {message.recipient}"
            raise Refusal(Code.PRC_INVALID_TRANSITION, MESSAGE_ID, what)
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
        self._young[message.message_id, message.action] = message.digest
        if is_callback(message.action):
            self._pending.pop(message.message_id, None)

    def closed(self, message_id: str) -> Pending | None:
        """The request that still waits under this message id, if one does; it waits no longer."""
        return self._pending.pop(message_id, None)
