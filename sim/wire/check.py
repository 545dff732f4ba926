"""A whole message against the type of its envelope: the fast check, its JSON Schema, and every fault of a refused one."""

from __future__ import annotations

import functools
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from sim.wire.basics import Wire
from sim.wire.codes import Refusal
from sim.wire.explain import Complaint, complaint_of, complaints, parse

Envelope = type[msgspec.Struct]
NAMED = 20
"""Faults that a refusal spells out; who wants them all validates the file."""


def envelope(action: str, context: type[msgspec.Struct], content: type[Wire], error: type[Wire] | None) -> Envelope:
    """The type of a whole message; ``error`` where it may report a failure."""
    name = "".join(part.capitalize() for part in action.replace("/", "_").split("_")) + "Message"
    fields: list[Any] = [("context", context), ("message", content)]
    if error is not None:
        fields.append(("error", error | UnsetType, UNSET))
    return msgspec.defstruct(name, fields, frozen=True, forbid_unknown_fields=True, kw_only=True)


@functools.cache
def decoder_of(kind: Envelope) -> msgspec.json.Decoder[Any]:
    """The compiled check of one type of envelope."""
    return msgspec.json.Decoder(kind)


@functools.cache
def schema_of(kind: Envelope) -> dict[str, Any]:
    """The closed JSON Schema (2020-12) of one type of envelope."""
    return msgspec.json.schema(kind)


@functools.cache
def _validator_of(kind: Envelope) -> Any:
    import jsonschema_rs  # noqa: PLC0415  only a refused message needs the explaining validator

    return jsonschema_rs.Draft202012Validator(schema_of(kind))


def faults_of(kind: Envelope, raw: bytes | str) -> tuple[Complaint, ...]:
    """Everything that is wrong with a body; empty for a good one."""
    document, found = parse(raw)
    found = found or complaints(document, schema_of(kind), _validator_of(kind))
    if found:
        return found
    try:
        decoder_of(kind).decode(raw)
    except msgspec.MsgspecError as error:
        return (complaint_of(error),)
    return ()


def refusal(found: tuple[Complaint, ...]) -> Refusal:
    """One refusal for all faults: code and pointer of the first, and in its text the others, up to ``NAMED``."""
    first, *others = found
    rest = "".join(f"; {other.pointer}: {other.text}" for other in others[: NAMED - 1])
    more = f"; and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return Refusal(first.code, first.pointer, first.text + rest + more)
