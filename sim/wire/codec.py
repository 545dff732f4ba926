"""Between a ``Message`` and the bytes on the wire.  Every reading is a validation.

The types of ``messages`` and ``bags`` are the single source: msgspec compiles them into the fast check that every message
passes, and into the JSON Schemas that explain a refusal with every fault's JSON pointer.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import msgspec

from sim.wire.bags import Wire
from sim.wire.codes import Code, Refusal
from sim.wire.messages import ACTIONS, Context, Message, context_of, is_callback

_encoder = msgspec.json.Encoder()


def _envelope(action: str, content: type[Wire]) -> type[msgspec.Struct]:
    name = "".join(part.capitalize() for part in action.replace("/", "_").split("_")) + "Message"
    return msgspec.defstruct(
        name, [("context", Context), ("message", content)], frozen=True, forbid_unknown_fields=True, kw_only=True
    )


_ENVELOPES = {action: _envelope(action, content) for action, content in ACTIONS.items()}
_DECODERS = {action: msgspec.json.Decoder(envelope) for action, envelope in _ENVELOPES.items()}


def schema(action: str) -> dict[str, Any]:
    """The closed JSON Schema (2020-12) of one action's whole message.  Raises ``KeyError`` for an unknown action."""
    return msgspec.json.schema(_ENVELOPES[action])


@functools.cache
def _validator(action: str) -> Any:
    import jsonschema_rs  # noqa: PLC0415  only a refused message needs the explaining validator

    return jsonschema_rs.Draft202012Validator(schema(action))


def encode(message: Message, timestamp: str) -> bytes:
    """The bytes of a message sent at ``timestamp``; equal messages give equal bytes."""
    return _encoder.encode({"context": context_of(message, timestamp), "message": message.content})


def decode(action: str, raw: bytes, sent_s: int = 0) -> Message:
    """The message that these bytes carry to the endpoint of ``action``.

    Raises ``Refusal`` (SCH_…) naming every fault by JSON pointer.
    """
    try:
        envelope: Any = _DECODERS[action].decode(raw)
    except KeyError:
        raise Refusal(Code.SCH_TYPE_NOT_SUPPORTED, "/context/action", f"no such action: {action}") from None
    except msgspec.MsgspecError as error:
        raise _explain(action, raw, error) from error
    context: Context = envelope.context
    if context.action != action:
        what = f"{context.action!r} was sent to the endpoint of {action!r}"
        raise Refusal(Code.SCH_SCHEMA_VALIDATION_FAILED, "/context/action", what)
    sender, recipient = context.bapId, context.bppId
    if is_callback(action):
        sender, recipient = recipient, sender
    return Message(
        action=action,
        sender=sender,
        recipient=recipient,
        transaction_id=context.transactionId,
        message_id=context.messageId,
        content=envelope.message,
        ttl_s=int(context.ttl[2:-1]),
        lineage=None if context.lineage is msgspec.UNSET else context.lineage,
        sent_s=sent_s,
    )


def _explain(action: str, raw: bytes, error: msgspec.MsgspecError) -> Refusal:
    try:
        document = json.loads(raw)
    except ValueError as broken:
        return Refusal(Code.SCH_INVALID_JSON, "/", str(broken))
    faults = [("/" + "/".join(map(str, e.instance_path)), e.message) for e in _validator(action).iter_errors(document)]
    if not faults:
        return Refusal(Code.SCH_SCHEMA_VALIDATION_FAILED, "/", str(error))
    where, what = faults[0]
    rest = "".join(f"; {pointer}: {text}" for pointer, text in faults[1:])
    return Refusal(Code.SCH_SCHEMA_VALIDATION_FAILED, where, what + rest)
