"""Reading JSON whose shape is not yet known to be right, and collecting everything that is wrong with it."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import NoReturn

import msgspec

from sim.contracts.agreement import ABSENT
from sim.contracts.formula import MAX_DIGITS, Formula, compile_formula
from sim.errors import ContractError, Fault, nearest

_MAX_NESTING = 8
_MAX_DEPTH = 100
_MAX_EXPONENT = 400
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_HALF_CHARACTER = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)

Document = dict[str, object]
Leaf = tuple[tuple[str, ...], str, object]
"""The way to a value, its JSON pointer, and the value."""


def read_json(text: str, source: str) -> object:
    """Parse JSON without losing a digit: every number with a point becomes a ``Decimal``.

    Raises ``ContractError`` for text that is not JSON, for NaN and Infinity, for an object with one key twice, and for what
    nobody could write down again: halves of characters, exponents beyond 400, nesting beyond 100.
    """

    def refuse(what: str) -> NoReturn:
        raise ContractError(source, what)

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        unique = dict(pairs)
        if len(unique) < len(pairs):
            keys = [key for key, _ in pairs]
            refuse(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice in one object")
        return unique

    def number(digits: str) -> Decimal:
        value = Decimal(digits)
        if abs(value.adjusted()) > _MAX_EXPONENT:
            refuse(f"{digits[:20]} is out of range")
        return value

    if _depth(text) > _MAX_DEPTH:
        refuse(f"not JSON: nested deeper than {_MAX_DEPTH}")
    if _HALF_CHARACTER.search(text):
        refuse("not JSON: half of a character stands in it")
    try:
        return json.loads(
            text,
            parse_float=number,
            parse_constant=lambda name: refuse(f"{name} is not a number"),
            object_pairs_hook=once,
        )
    except (ValueError, InvalidOperation, RecursionError) as error:
        raise ContractError(source, f"not JSON: {error}") from error


def _depth(text: str) -> int:
    depth = deepest = 0
    for sign in re.findall(r"[\[\]{}]", _TEXT.sub("", text)):
        depth += 1 if sign in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def unix_s(text: str) -> int:
    """Unix second of an RFC 3339 date-time with its offset.  Raises ``ValueError`` for anything else."""
    stamp = datetime.datetime.fromisoformat(text)
    if stamp.tzinfo is None or not stamp.timestamp().is_integer():
        raise ValueError(text)
    return int(stamp.timestamp())


def rfc3339(at_s: int) -> str:
    """UTC text of a unix second, ``2026-05-17T09:00:00Z``; texts of one length ascend as their times do."""
    return datetime.datetime.fromtimestamp(at_s, datetime.UTC).isoformat().replace("+00:00", "Z")


def write_json(report: Mapping[str, object]) -> str:
    """A report as JSON text; amounts are numbers with all digits of their minor unit (60.40)."""
    text: bytes = msgspec.json.format(msgspec.json.Encoder(decimal_format="number").encode(report), indent=2)
    return text.decode() + "\n"


@dataclass(slots=True)
class Reader:
    """Collects what is wrong, and reads on."""

    found: list[Fault] = field(default_factory=list)
    _known: set[Fault] = field(default_factory=set)

    def add(self, where: str, what: str, remedy: str = "") -> None:
        """Note one fault; the place of the whole document is empty."""
        fault = Fault(where or "the whole contract", what, remedy)
        if fault not in self._known:
            self._known.add(fault)
            self.found.append(fault)

    def take(self, error: ContractError, where: str = "") -> None:
        """Note the faults of an error, at this place where they do not know one."""
        for fault in error.faults:
            self.add(where or fault.where, fault.what, fault.remedy)

    def take_inner(self, error: ContractError) -> None:
        """Note the faults of an error whose places are within something that has a place itself: its source."""
        for fault in error.faults:
            inside = "" if fault.where == error.source else f"{fault.where}: "
            self.add(error.source, f"{inside}{fault.what}", fault.remedy)

    def mapping(self, value: object, where: str) -> Document:
        """An object; empty where it is not one."""
        if isinstance(value, dict):
            return value
        self.add(where, f"expected an object, found {kind(value)}")
        return {}

    def array(self, value: object, where: str) -> list[object]:
        """An array; empty where it is not one."""
        if isinstance(value, list):
            return value
        self.add(where, f"expected an array, found {kind(value)}")
        return []

    def text(self, value: object, where: str) -> str:
        """A text; empty where it is not one, and an empty one is a fault."""
        if isinstance(value, str) and value:
            return value
        self.add(where, f"expected a text, found {kind(value)}")
        return ""

    def flag(self, value: object, where: str) -> bool:
        """True or false."""
        if not isinstance(value, bool):
            self.add(where, f"expected true or false, found {kind(value)}")
        return value is True

    def moment(self, value: object, where: str) -> int | None:
        """Unix second of an RFC 3339 date-time; None where it is not one."""
        text = self.text(value, where)
        try:
            return unix_s(text) if text else None
        except (ValueError, OverflowError, OSError):
            self.add(where, f"{text[:40]!r} is no whole second with an offset", "such as 2026-05-17T09:00:00Z")
            return None

    def number(self, value: object, where: str, name: str = "") -> Decimal:
        """A finite number of at most 28 digits; 0 where it is not one."""
        needs = f"{name} needs a number" if name else "expected a number"
        if isinstance(value, int) and not isinstance(value, bool):
            value = Decimal(value)
        if not isinstance(value, Decimal) or not value.is_finite():
            self.add(where, f"{needs}, found {kind(value)}")
        elif len(value.as_tuple().digits) > MAX_DIGITS or abs(value.adjusted()) > MAX_DIGITS:
            self.add(where, f"{needs} of at most {MAX_DIGITS} digits")
        else:
            return value
        return Decimal(0)

    def choice(self, value: object, known: tuple[str, ...], where: str) -> str:
        """One of some words; empty where it is not one."""
        word = self.text(value, where)
        if word and word not in known:
            self.add(where, f"{word} is none of {', '.join(known)}", nearest(word, known))
            return ""
        return word

    def formula(self, value: object, where: str) -> Formula | None:
        """A formula; None where it is not one."""
        text = self.text(value, where)
        try:
            return compile_formula(text, who=where) if text else None
        except ContractError as error:
            self.take(error)
            return None

    def objects(self, value: object, where: str) -> list[tuple[str, Document]]:
        """Pointers and objects of an array."""
        items = [(f"{where}/{i}", item) for i, item in enumerate(self.array(value, where))]
        read = [(place, item, self.mapping(item, place)) for place, item in items]
        return [(place, mapping) for place, item, mapping in read if isinstance(item, dict)]

    def keys(self, mapping: Mapping[str, object], known: tuple[str, ...], where: str) -> None:
        """Note every key that is not known."""
        for key in mapping:
            if key not in known:
                self.add(pointer(where, key), "unknown key", nearest(key, known))


def agreed_leaves(inputs: Mapping[str, object], where: str) -> Iterator[Leaf]:
    """Leaves of inputs, each of which stands plainly or as ``{type, required, description, value, unit}``."""
    plain: Document = {}
    for name, value in inputs.items():
        described = isinstance(value, dict) and any(key in value for key in ("value", "type", "required"))
        plain[name] = value.get("value", ABSENT) if isinstance(value, dict) and described else value
    return leaves(plain, where)


def leaves(mapping: Mapping[str, object], where: str, path: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """Everything in nested objects that is not an object itself."""
    for key, value in mapping.items():
        if isinstance(value, dict) and len(path) < _MAX_NESTING:
            yield from leaves(value, pointer(where, key), (*path, key))
        else:
            yield (*path, key), pointer(where, key), value


def is_number(value: object) -> bool:
    """Whether a JSON value is a number that keeps its digits; true and false are none."""
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def pointer(where: str, key: object) -> str:
    """The JSON pointer one step further."""
    return f"{where}/{str(key).replace('~', '~0').replace('/', '~1')}"


def kind(value: object) -> str:
    """What a JSON value is, for messages."""
    if value is ABSENT:
        return "nothing"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    if isinstance(value, float):
        return f"the binary float {value}; parse JSON with read_json"
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    return f"the number {value}"
