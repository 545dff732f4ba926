"""Between a ``Message`` and the bytes on the wire.  Every reading is a validation.

The types of ``messages``, ``core`` and ``bags`` are the single source: msgspec compiles them into the fast check that every
message passes, and into the JSON Schemas that explain a refusal with every fault's JSON pointer.
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Callable
from typing import Any, Literal

import msgspec
from msgspec import UNSET

from sim.wire.check import decoder_of, envelope, faults_of, refusal, schema_of
from sim.wire.codes import Code, Refusal
from sim.wire.core import ErrorBody
from sim.wire.explain import Complaint
from sim.wire.messages import (
    ACTIONS,
    ALIASES,
    OPEN_ACTIONS,
    Ack,
    Context,
    Message,
    OpenContext,
    context_of,
    is_callback,
    seconds_of,
)

_encoder = msgspec.json.Encoder()


def _unknown(_: str) -> int:
    return 0


def _context(action: str) -> type[msgspec.Struct]:
    """The context of a message to the endpoint of this action: it says so itself, in one of the spellings allowed."""
    spellings = (action, *(alias for alias, plain in ALIASES.items() if plain == action))
    base = OpenContext if action in OPEN_ACTIONS else Context
    return msgspec.defstruct(
        f"{base.__name__}Of{action.title().replace('/', '').replace('_', '')}",
        [("action", Literal[spellings])],
        bases=(base,),
        frozen=True,
        forbid_unknown_fields=True,
        kw_only=True,
    )


ENVELOPES = {
    action: envelope(
        action,
        _context(action),
        content,
        ErrorBody if is_callback(action) else None,
    )
    for action, content in ACTIONS.items()
}
"""The type of a whole message, by action."""
_DECODERS = {action: decoder_of(kind) for action, kind in ENVELOPES.items()}


def schema(action: str) -> dict[str, Any]:
    """The closed JSON Schema (2020-12) of one action's whole message.  Raises ``KeyError`` for an unknown action."""
    return schema_of(ENVELOPES[action])


def body_digest(raw: bytes) -> str:
    """The digest of a body as the wire writes it: ``BLAKE-512=`` and the BLAKE2b-512 in base64."""
    return f"BLAKE-512={binascii.b2a_base64(hashlib.blake2b(raw, digest_size=64).digest(), newline=False).decode()}"


def encode(message: Message, timestamp: str) -> bytes:
    """The bytes of a message sent at ``timestamp``; equal messages give equal bytes."""
    whole: dict[str, Any] = {"context": context_of(message, timestamp), "message": message.content}
    if message.error is not None:
        whole["error"] = message.error
    return _encoder.encode(whole)


def encode_ack(ack: Ack) -> bytes:
    """The bytes of an Ack that its signature covers: all of it but the signature."""
    return _encoder.encode(msgspec.structs.replace(ack, signature=UNSET))


def decode(action: str, raw: bytes, digest: str = "", seconds: Callable[[str], int] = _unknown) -> Message:
    """The message that these bytes carry to the endpoint of ``action``.

    digest: of the bytes, for whoever answers them.  seconds: turns the timestamp into a simulated second.  Raises ``Refusal``
    (SCH_…, POL_CURVE_…) naming every fault by JSON pointer.
    """
    try:
        whole: Any = _DECODERS[action].decode(raw)
    except KeyError:
        raise Refusal(Code.SCH_TYPE_NOT_SUPPORTED, "/context/action", f"no such action: {action}") from None
    except (msgspec.MsgspecError, RecursionError) as error:
        raise refusal(faults(action, raw)) from error
    context: Context = whole.context
    callback = is_callback(action)
    sender, recipient = context.bapId, context.bppId or ""
    if callback:
        sender, recipient = recipient, sender
    return Message(
        action=action,
        sender=sender,
        recipient=recipient,
        transaction_id=context.transactionId,
        message_id=context.messageId,
        content=whole.message,
        ttl_s=seconds_of(context.ttl),
        lineage=context.lineage or None,
        sent_s=seconds(context.timestamp),
        error=(whole.error or None) if callback else None,
        domain=context.domain or None,
        tried=bool(context.tried),
        digest=digest,
        request_digest=None if context.requestDigest is UNSET else context.requestDigest.digest,
    )


def decode_strictly(action: str, raw: bytes, digest: str, seconds: Callable[[str], int]) -> Message:
    """The same for bytes that others wrote: held to the whole schema.

    The fast check lets a bag without ``@type`` pass where a single type may stand; our own encoder always writes it.
    """
    found = faults(action, raw) if action in ENVELOPES else ()
    if found:
        raise refusal(found)
    return decode(action, raw, digest, seconds)


def faults(action: str, raw: bytes | str) -> tuple[Complaint, ...]:
    """Everything that is wrong with a body sent to the endpoint of ``action``; empty for a good one.

    Raises ``KeyError`` for an unknown action.
    """
    return faults_of(ENVELOPES[action], raw)
