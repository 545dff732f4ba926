"""Two JSON documents, field by field, with the names that are only names set aside.

Identifiers and digests follow from seeds and from what they name: with another seed every one of them is another, and
nothing is meant by it.  So they are compared as bound variables are: the first time that one stands where the other run has
another, the two are taken for the same thing, and from then on each must stand for the other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ID_BYTES = re.compile(_ID.pattern.encode())
_DIGEST = re.compile(r"(?:BLAKE-512=|sha256:|ed25519:)\S+")
_NAME_BYTES = re.compile(_ID_BYTES.pattern + rb"|(?:BLAKE-512=|sha256:|ed25519:)[^\s\"]+")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*")
_KEYS = ("era", "name", "id", "signalId", "role", "meterId", "cycleId")
"""What may tell the items of a list apart, so that one more among them does not shift the others."""


class _Absent:
    def __repr__(self) -> str:
        return "–"


ABSENT: Final = _Absent()
"""Stands for the value of a field that a document has not."""


@dataclass(frozen=True, slots=True)
class Field:
    """A place with what two documents have there; ``ABSENT`` where one has nothing.  unit: of both; empty where nobody said."""

    where: str
    one: Any
    two: Any
    unit: str = ""


class Names:
    """Which identifier of the one stands for which of the other."""

    def __init__(self) -> None:
        self._to: dict[str, str] = {}
        self._from: dict[str, str] = {}

    def learn(self, line: bytes) -> None:
        """Both have this line: what it names has the same name in both."""
        for found in _ID_BYTES.findall(line):
            name = found.decode()
            self._to.setdefault(name, name)
            self._from.setdefault(name, name)

    def same_lines(self, one: bytes, two: bytes) -> bool:
        """Whether two lines differ by nothing but names that stand for each other; quicker than reading what they say."""
        if _NAME_BYTES.split(one) != _NAME_BYTES.split(two):
            return False
        pairs = zip(_NAME_BYTES.findall(one), _NAME_BYTES.findall(two), strict=True)
        return all([self._match(ours.decode(), theirs.decode()) for ours, theirs in pairs])

    def same(self, one: str, two: str) -> bool:
        """Whether two texts differ by nothing but names that stand for each other."""
        if _DIGEST.fullmatch(one) and _DIGEST.fullmatch(two):
            return self._match(one, two)
        ours, theirs = _ID.findall(one), _ID.findall(two)
        if not ours or not theirs:
            return one == two
        if _ID.split(one) != _ID.split(two):
            return False
        return all([self._match(a, b) for a, b in zip(ours, theirs, strict=True)])

    def _match(self, one: str, two: str) -> bool:
        if one in self._to or two in self._from:
            return self._to.get(one) == two
        self._to[one], self._from[two] = two, one
        return True


@dataclass(frozen=True, slots=True)
class Reading:
    """How two values are held against each other.

    names: what stands for what.  tolerance: relative, of numbers.  times: turns each run's timestamps into what is the same
    in both, such as seconds since its own start; None where they are compared as they stand.  echoes: words that the scenarios
    themselves say differently; that a message repeats them tells nothing more.
    """

    names: Names
    tolerance: float = 0.0
    times: tuple[Callable[[str], int], Callable[[str], int]] | None = None
    echoes: frozenset[tuple[str, str]] = frozenset()

    def same(self, one: Any, two: Any) -> bool:
        """Whether two plain values say the same."""
        if isinstance(one, str) and isinstance(two, str):
            return self._same_text(one, two)
        if is_number(one) and is_number(two):
            return near(one, two, self.tolerance)
        return type(one) is type(two) and bool(one == two)

    def _same_text(self, one: str, two: str) -> bool:
        if self.times is not None and _TIME.fullmatch(one) and _TIME.fullmatch(two):
            try:
                return self.times[0](one) == self.times[1](two)
            except ValueError:  # an empty hour, or a text without an offset: no time after all
                return one == two
        return self.names.same(one, two) or (one, two) in self.echoes


def echoes_of(asked: Sequence[Field]) -> frozenset[tuple[str, str]]:
    """The words that two scenarios say differently."""
    return frozenset(
        (field.one, field.two)
        for field in asked
        if isinstance(field.one, str) and isinstance(field.two, str) and field.where != "description"
    )


def since(start: datetime) -> Callable[[str], int]:
    """Reads timestamps as seconds since a start."""
    return lambda text: round((datetime.fromisoformat(text) - start).total_seconds())


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def near(one: float, two: float, tolerance: float) -> bool:
    """Whether numbers are equal, within a relative tolerance; what is no number equals what is no number."""
    if one == two or (math.isnan(one) and math.isnan(two)):
        return True
    return tolerance > 0 and math.isclose(one, two, rel_tol=tolerance, abs_tol=tolerance)


def fields(one: Any, two: Any, reading: Reading, where: str = "") -> Iterator[Field]:
    """What differs between two documents, by JSON pointer (RFC 6901), in the order of the first document.

    A pointer into a list counts as the first document does, or as the second where the item is only there.
    """
    if isinstance(one, dict) and isinstance(two, dict):
        for name in dict.fromkeys((*one, *two)):
            yield from fields(one.get(name, ABSENT), two.get(name, ABSENT), reading, f"{where}/{_token(name)}")
    elif isinstance(one, list) and isinstance(two, list):
        for place, (ours, theirs) in _aligned(one, two):
            yield from fields(ours, theirs, reading, f"{where}/{place}")
    elif not reading.same(one, two):
        yield Field(where, one, two)


def _token(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _aligned(one: Sequence[Any], two: Sequence[Any]) -> Iterator[tuple[int, tuple[Any, Any]]]:
    key = next((key for key in _KEYS if _tells_apart(key, one, two)), None)
    if key is None:
        for place in range(max(len(one), len(two))):
            yield place, (one[place] if place < len(one) else ABSENT, two[place] if place < len(two) else ABSENT)
        return
    theirs = {item[key]: item for item in two}
    for place, item in enumerate(one):
        yield place, (item, theirs.get(item[key], ABSENT))
    ours = {item[key] for item in one}
    for place, item in enumerate(two):
        if item[key] not in ours:
            yield place, (ABSENT, item)


def _tells_apart(key: str, one: Sequence[Any], two: Sequence[Any]) -> bool:
    """Whether every item has another value of this key, and the lists have some of them in common."""
    if not one or not two:
        return False
    known: list[set[str]] = []
    for items in (one, two):
        values = [item.get(key) for item in items if isinstance(item, dict)]
        texts = {value for value in values if isinstance(value, str)}
        if len(texts) < len(items):
            return False
        known.append(texts)
    return bool(known[0] & known[1])


def by_path(one: Any, two: Any, where: str = "") -> Iterator[Field]:
    """What differs between two resolved scenarios, by the paths of ``--set``: items of a list go by their names.

    A whole part that only one has is one field.
    """
    if isinstance(one, dict) and isinstance(two, dict):
        for name in dict.fromkeys((*one, *two)):
            path = f"{where}.{name}" if where else str(name)
            yield from by_path(one.get(name, ABSENT), two.get(name, ABSENT), path)
    elif _has_names(one) and _has_names(two):
        yield from by_path(_by_name(one), _by_name(two), where)
    elif isinstance(one, list) and isinstance(two, list) and _are_whole(one) and _are_whole(two):
        for place in range(max(len(one), len(two))):
            ours, theirs = (items[place] if place < len(items) else ABSENT for items in (one, two))
            yield from by_path(ours, theirs, f"{where}[{place}]")
    elif one != two or isinstance(one, bool) != isinstance(two, bool):
        yield Field(where, one, two)


def _has_names(items: Any) -> bool:
    return isinstance(items, list) and _tells_apart("name", items, items)


def _by_name(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {item["name"]: item for item in items}


def _are_whole(items: Sequence[Any]) -> bool:
    """Whether a list is of objects, which have parts of their own; one of plain values is a value itself."""
    return bool(items) and all(isinstance(item, dict) for item in items)
