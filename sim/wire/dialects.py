"""The dialects of Beckn v2 that are in circulation: which one a message is in, and what it says in another.

Only the canonical dialect is spoken in the simulation; the others are read and written at the door.  Whatever a conversion
changes or loses is in its notes, by JSON pointer.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sim.errors import MessageError, nearest
from sim.wire import codec, older, rc
from sim.wire.codes import Code
from sim.wire.explain import Complaint
from sim.wire.mapping import Note, Trip, Way, convert
from sim.wire.messages import ACTIONS, ALIASES
from sim.wire.tables import BODIES, plain_action, whole
from sim.wire.tables.parts import CORE_CONTEXT, is_core_context

__all__ = ["Conversion", "Dialect", "Note", "action_of", "faults", "recognise", "to_lts", "to_rc"]


class Dialect(StrEnum):
    """A dialect, by the name under which people know it.

    LTS: v2.0.0, ``message.contract``, camelCase; the canonical one.  RC: the release candidate, ``message.order`` with prefixed
    keys.  P2P_V1: orders in the shape of version 1 inside a v2 envelope, of the first peer-to-peer trades.
    """

    LTS = "LTS"
    RC = "RC"
    P2P_V1 = "older peer-to-peer"


@dataclass(frozen=True, slots=True)
class Conversion:
    """A message in another dialect, and what did not come across as it was; pointers into the message it was made from."""

    document: Any
    notes: tuple[Note, ...]


_CAMEL = frozenset({"bapId", "bapUri", "bppId", "bppUri", "transactionId", "messageId"})
_SNAKE = frozenset({"bap_id", "bap_uri", "bpp_id", "bpp_uri", "transaction_id", "message_id"})
_LTS_BODIES = frozenset({"contract", "intent"})
_RC_BODIES = frozenset({"order", "refId", "feedbackForm"})


def recognise(document: Any) -> Dialect:
    """The dialect of a message, valid or not: by the spelling of its context, else by its body.

    Raises ``MessageError`` saying what was looked for.
    """
    context, message = _object(document, "context"), _object(document, "message")
    camel, snake = bool(_CAMEL & context.keys()), bool(_SNAKE & context.keys())
    if camel == snake:
        camel, snake = bool(_LTS_BODIES & message.keys()), bool(_RC_BODIES & message.keys())
    if camel == snake:
        raise MessageError(
            "/context",
            "no dialect of Beckn v2: looked for bapId, transactionId, messageId or message.contract (LTS), and for bap_id, "
            "transaction_id, message_id or message.order (RC, older peer-to-peer)",
        )
    if camel:
        return Dialect.LTS
    return Dialect.P2P_V1 if older.is_older(_object(message, "order")) else Dialect.RC


def _object(value: Any, key: str) -> dict[str, Any]:
    inner = value.get(key) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else {}


def action_of(document: Any) -> str:
    """The action that a message says it is; empty where it does not say."""
    action = _object(document, "context").get("action")
    return action if isinstance(action, str) else ""


def faults(document: Any, raw: bytes | str | None = None) -> tuple[Complaint, ...]:
    """Everything that is wrong with a message in its own dialect; empty for a good one.

    raw: the text it was read from, in which keys that come twice can still be seen.  Raises ``MessageError`` as ``recognise``.
    """
    find, known = {
        Dialect.LTS: (codec.faults, ACTIONS),
        Dialect.RC: (rc.faults, rc.ACTIONS),
        Dialect.P2P_V1: (older.faults, older.ACTIONS),
    }[recognise(document)]
    action = action_of(document)
    action = ALIASES.get(action, action) if action not in known else action
    if action not in known:
        what = nearest(action, known)
        return (Complaint(Code.SCH_TYPE_NOT_SUPPORTED, "/context/action", f"an action ({what})", json.dumps(action)),)
    return find(action, json.dumps(document) if raw is None else raw)


def to_lts(document: Any) -> Conversion:
    """The message in the canonical dialect.

    Raises ``MessageError`` for one that is not valid in its own dialect.
    """
    dialect = _checked(document)
    if dialect is Dialect.LTS:
        return Conversion(document, ())
    way = whole(action_of(document)) if dialect is Dialect.RC else older.WHOLE
    return _convert(way, document, Dialect.LTS)


def to_rc(document: Any) -> Conversion:
    """The message in the release candidate's dialect; it may lack what that one requires and ``faults`` then finds.

    Raises ``MessageError`` for one that is not valid in its own dialect, and by name for an action that the other lacks.
    """
    dialect = _checked(document)
    if dialect is Dialect.RC:
        return Conversion(document, ())
    if dialect is Dialect.P2P_V1:
        raise MessageError("/message/order", f"{dialect} goes to LTS only; what it becomes there can go on to RC")
    return _convert(_way_to_rc(document), document, Dialect.RC, _find_core_context)


def _checked(document: Any) -> Dialect:
    dialect = recognise(document)
    found = faults(document)
    if found:
        rest = "".join(f"; {complaint.pointer}: {complaint.text}" for complaint in found[1:])
        raise MessageError(found[0].pointer, f"no valid {dialect} message: {found[0].text}{rest}")
    return dialect


def _way_to_rc(document: Any) -> Way:
    action = plain_action(action_of(document))
    if action not in BODIES:
        raise MessageError("/context/action", f"RC has no counterpart of {action}")
    return whole(action).flipped()


def _find_core_context(trip: Trip) -> None:
    """The address that the core objects will name has to be known before the first of them is written."""
    schemas = trip.root.look("context/schemaContext", [])
    trip.facts["core"] = schemas[0] if schemas and is_core_context(schemas[0]) else CORE_CONTEXT


def _convert(way: Way, document: Any, target: Dialect, prepare: Callable[[Trip], None] | None = None) -> Conversion:
    result, trip = convert(way, document, target, prepare)
    ordered = {key: result[key] for key in ("context", "message", "error") if key in result}
    return Conversion(ordered, tuple(trip.notes))
