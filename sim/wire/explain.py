"""What is wrong with a body, all of it: pointer, what was expected, what was got, and the code of its kind.

Only refused bodies come here.  The fast check says that something is wrong; the JSON Schema that was generated from the same
types finds every fault.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from sim.errors import nearest
from sim.wire.basics import Breach
from sim.wire.codes import Code

JsonSchema = dict[str, Any]

_CODES = {
    "required": Code.SCH_REQUIRED_FIELD_MISSING,
    "additionalProperties": Code.SCH_FIELD_NOT_ALLOWED,
    "enum": Code.SCH_INVALID_ENUM,
    "const": Code.SCH_INVALID_ENUM,
    "type": Code.SCH_INVALID_FORMAT,
    "pattern": Code.SCH_INVALID_FORMAT,
    "format": Code.SCH_INVALID_FORMAT,
}
DEEPEST = 64
"""Levels that a message may have; the deepest of our own has some twenty."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} elements",
    "maxItems": "at most {} elements",
}


@dataclass(frozen=True, slots=True)
class Complaint:
    """One fault of a body.  pointer: RFC 6901."""

    code: Code
    pointer: str
    expected: str
    got: str

    @property
    def text(self) -> str:
        """Expected and got in one sentence; nothing is said to be got where ``expected`` says it all."""
        return f"expected {self.expected}" + (f", got {self.got}" if self.got else "")


def pointer_of(path: Iterable[str | int]) -> str:
    """The JSON pointer (RFC 6901) of a path of keys and indices; ``/`` stands for the whole document."""
    return "/" + "/".join(str(step).replace("~", "~0").replace("/", "~1") for step in path)


def parse(raw: bytes | str) -> tuple[Any, tuple[Complaint, ...]]:
    """The JSON value and its complaints: no JSON in UTF-8, numbers that are none, keys that come twice, too many levels.

    The value is None where there is none to speak of.
    """
    twice: list[str] = []

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            twice.extend(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        return result

    try:
        document = json.loads(raw if isinstance(raw, str) else raw.decode(), object_pairs_hook=members)
        found = [*_unspeakable(document, ())]
    except _TooDeep:
        return None, (Complaint(Code.SCH_INVALID_JSON, "/", f"at most {DEEPEST} levels", "more"),)
    except (ValueError, RecursionError) as broken:
        return None, (Complaint(Code.SCH_INVALID_JSON, "/", "JSON in UTF-8", str(broken)),)
    found += [Complaint(Code.SCH_INVALID_JSON, "/", "every key once", f"{key!r} twice") for key in twice]
    return document, tuple(found)


class _TooDeep(Exception):
    pass


def _unspeakable(value: Any, path: tuple[str | int, ...]) -> Iterator[Complaint]:
    """What Python's reader takes and JSON does not mean: infinite numbers, halves of characters."""
    if len(path) > DEEPEST:
        raise _TooDeep
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _unspeakable(key, path)
            yield from _unspeakable(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _unspeakable(inner, (*path, index))
    elif isinstance(value, float) and not math.isfinite(value):
        yield Complaint(Code.SCH_INVALID_JSON, pointer_of(path), "a finite number", str(value))
    elif isinstance(value, str) and _SURROGATE.search(value):
        yield Complaint(Code.SCH_INVALID_JSON, pointer_of(path), "whole characters", ascii(value))


def complaints(document: Any, schema: JsonSchema, validator: Any) -> tuple[Complaint, ...]:
    """Every fault that the schema finds in a document."""
    return tuple(complaint for error in validator.iter_errors(document) for complaint in _of(error, schema))


def _of(error: Any, schema: JsonSchema) -> Iterator[Complaint]:
    kind = error.kind.name
    if kind in ("anyOf", "oneOf"):
        yield from _of_union(error, schema)
        return
    where = pointer_of(error.instance_path)
    code = _CODES.get(kind, Code.SCH_SCHEMA_VALIDATION_FAILED)
    if kind == "additionalProperties":
        allowed = _at(schema, error.schema_path).get("properties", {})
        for name in error.kind.unexpected:
            yield Complaint(code, where, f"no field {name!r} ({nearest(name, allowed)})", short(error.instance[name]))
        return
    yield Complaint(code, where, _expected(error, schema), _got(error))


def _of_union(error: Any, schema: JsonSchema) -> Iterator[Complaint]:
    """The faults of the branch that was meant: by its discriminator, else the one that comes nearest."""
    branches = list(error.kind.context)
    discriminator = _at(schema, error.schema_path).get("discriminator")
    if discriminator and isinstance(error.instance, dict):
        key, tags = discriminator["propertyName"], list(discriminator["mapping"])
        tag = error.instance.get(key)
        if tag not in tags:
            where, got = pointer_of(error.instance_path), "none" if tag is None else short(tag)
            known = f"{key} {nearest(str(tag), tags)}" if tag is not None else f"{key}, one of {', '.join(tags)}"
            code = Code.SCH_REQUIRED_FIELD_MISSING if tag is None else Code.SCH_TYPE_NOT_SUPPORTED
            yield Complaint(code, where, known, got)
            return
        chosen = branches[tags.index(tag)]
    else:
        chosen = min(branches, key=lambda faults: (any(_is_wrong_type(f, error) for f in faults), len(faults)))
    for fault in chosen:
        yield from _of(fault, schema)


def _is_wrong_type(fault: Any, union: Any) -> bool:
    return fault.kind.name == "type" and list(fault.instance_path) == list(union.instance_path)


def _at(schema: JsonSchema, path: Iterable[str | int]) -> JsonSchema:
    node: Any = schema
    for step in list(path)[:-1]:
        node = node[step]
    return node if isinstance(node, dict) else {}


def _expected(error: Any, schema: JsonSchema) -> str:
    kind, rule = error.kind.name, error.kind.value
    if kind == "required":
        return f"a field {rule!r}"
    if kind == "type":
        return " or ".join(error.kind.types)
    if kind in ("enum", "const"):
        options = rule if isinstance(rule, list) else [rule]
        return ", ".join(map(str, options)) if len(options) == 1 else f"one of {', '.join(map(str, options))}"
    if kind in _BOUNDS:
        return _BOUNDS[kind].format(rule)
    node = _at(schema, error.schema_path)
    return str(node.get("description") or f"{kind} {rule}")


def _got(error: Any) -> str:
    if error.kind.name == "required":
        return "none"
    if error.kind.name in ("minLength", "maxLength", "minItems", "maxItems"):
        return f"{len(error.instance)}"
    return short(error.instance)


def short(value: Any, limit: int = 60) -> str:
    """A JSON value as text, cut where it is longer than `limit` characters."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= limit else f"{text[: limit - 3]}…"


def complaint_of(error: msgspec.MsgspecError) -> Complaint:
    """What msgspec alone knows: a rule between fields, with the path that it names."""
    text, _, path = str(error).partition(" - at `$")
    where = re.sub(r"\[(\d+)\]", r"/\1", path.rstrip("`")).replace(".", "/")
    where = re.sub(r"\[\.\.\.\]", "", where)
    cause = error.__cause__
    if isinstance(cause, Breach):
        inner = f"{where}/{cause.where}" if cause.where else where
        return Complaint(Code(cause.code), inner or "/", cause.expected, cause.got)
    return Complaint(Code.SCH_SCHEMA_VALIDATION_FAILED, where or "/", "what its type allows", text)
