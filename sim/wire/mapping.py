"""A small language of tables that say how one JSON form becomes another, and back.

A record is a tuple of slots, each a place on the left, a place on the right, and the way between them; ``flipped`` reads the
table from right to left.  Whatever a table does not take is found when it is done, so nothing is lost without a word.

Places are paths of keys and indices, ``a/0/b``; a step ``x.y=W`` is the element of a list whose ``x.y`` is ``W`` (made where it
is missing), ``a|b`` the first of two spellings, and the empty path the object itself.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from sim.wire.explain import pointer_of, short

ABSENT: Final = object()
"""What a way returns that has nothing to write."""

_SHOWN: Final = 80
"""Characters of a value that a note quotes."""

Steps = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """What did not come across as it was.  pointer: RFC 6901, into the document that was converted."""

    pointer: str
    what: str

    def __str__(self) -> str:
        return f"{self.pointer}: {self.what}"


@dataclass(slots=True)
class Trip:
    """One conversion: what it reads, what it has taken so far, and what there is to say about it.

    facts: what one part of a message has to know of another.
    """

    document: Any
    notes: list[Note] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    _taken: set[Steps] = field(default_factory=set)
    _entered: set[Steps] = field(default_factory=set)

    @property
    def root(self) -> Node:
        """The whole document."""
        return Node(self.document, (), self)

    def take(self, path: Steps) -> None:
        """Count everything at and below ``path`` as read."""
        self._taken.add(path)
        self.enter(path)

    def enter(self, path: Steps) -> None:
        """Count the object at ``path`` as known, though not what is in it."""
        self._entered.update(path[:length] for length in range(len(path) + 1))

    def unread(self) -> Iterator[Node]:
        """What nothing has taken: the outermost places of it."""
        return self._unread(self.root)

    def _unread(self, node: Node) -> Iterator[Node]:
        if node.path in self._taken:
            return
        if node.path not in self._entered:
            yield node
            return
        for child in node.children():
            yield from self._unread(child)
        if not isinstance(node.value, dict | list):
            yield node


@dataclass(frozen=True, slots=True)
class Node:
    """A place in the document that is read."""

    value: Any
    path: Steps
    trip: Trip

    def children(self) -> Iterator[Node]:
        """What is in it."""
        inside: Iterable[tuple[str | int, Any]] = ()
        if isinstance(self.value, dict):
            inside = self.value.items()
        elif isinstance(self.value, list):
            inside = enumerate(self.value)
        return (Node(value, (*self.path, step), self.trip) for step, value in inside)

    def at(self, path: str) -> Node | None:
        """What stands at ``path`` below; None where nothing does."""
        node: Node | None = self
        for step in _steps(path):
            node = node and node._step(step)
        return node

    def look(self, path: str, default: Any = None) -> Any:
        """The value at ``path`` below, without taking it."""
        node = self.at(path)
        return default if node is None else node.value

    def _step(self, step: str) -> Node | None:
        if "=" in step:
            return self._choose(*step.split("=", 1))
        for spelling in step.split("|"):
            key: str | int = int(spelling) if spelling.isdigit() else spelling
            if isinstance(self.value, list) and isinstance(key, int) and key < len(self.value):
                return Node(self.value[key], (*self.path, key), self.trip)
            if isinstance(self.value, dict) and key in self.value:
                return Node(self.value[str(key)], (*self.path, key), self.trip)
        return None

    def _choose(self, where: str, word: str) -> Node | None:
        for child in self.children():
            mark = child.at(where.replace(".", "/"))
            if isinstance(self.value, list) and mark is not None and mark.value == word:
                mark.take()
                return child
        return None

    def take(self) -> Any:
        """The value, all of it counted as read."""
        self.trip.take(self.path)
        return self.value

    def note(self, what: str, below: str = "") -> None:
        """Say something about this place, or one below that need not exist."""
        plain = itertools.takewhile(lambda step: "=" not in step, _steps(below))
        self.trip.notes.append(Note(pointer_of((*self.path, *(step.split("|")[0] for step in plain))), what))


def _steps(path: str) -> list[str]:
    return path.split("/") if path else []


class Way(Protocol):
    """How what stands at a place becomes what stands at the other."""

    def carry(self, node: Node) -> Any:
        """The value for the other side, or ``ABSENT``; takes from ``node`` what it used."""

    def flipped(self) -> Way:
        """The way back."""


@dataclass(frozen=True, slots=True)
class Same:
    """As it is; where ``fits`` says so, else not at all."""

    fits: Callable[[Any], bool] | None = None
    remark: str = ""

    def carry(self, node: Node) -> Any:
        """See ``Way``."""
        if self.fits is not None and not self.fits(node.value):
            return ABSENT
        if self.remark:
            node.note(self.remark)
        return node.take()

    def flipped(self) -> Same:
        """See ``Way``."""
        return self


SAME: Final = Same()


@dataclass(frozen=True, slots=True)
class Words:
    """One word for another.  merged: words of the left that come back as another one."""

    table: Mapping[str, str]
    merged: Mapping[str, str] = field(default_factory=dict)

    def carry(self, node: Node) -> Any:
        """See ``Way``."""
        if not isinstance(node.value, str):
            return ABSENT
        if node.value in self.merged:
            node.note(f"changed: {node.value} became {self.merged[node.value]}")
            return self.merged[node.take()]
        return self.table[node.take()] if node.value in self.table else ABSENT

    def flipped(self) -> Words:
        """See ``Way``."""
        return Words({right: left for left, right in self.table.items()})


@dataclass(frozen=True, slots=True)
class Pair:
    """Two functions, for what no table says."""

    there: Callable[[Node], Any]
    back: Callable[[Node], Any]

    def carry(self, node: Node) -> Any:
        """See ``Way``."""
        return self.there(node)

    def flipped(self) -> Pair:
        """See ``Way``."""
        return Pair(self.back, self.there)


@dataclass(frozen=True, slots=True)
class Each:
    """The same way for every element of a list."""

    way: Way

    def carry(self, node: Node) -> Any:
        """See ``Way``."""
        if not isinstance(node.value, list):
            return ABSENT
        node.trip.enter(node.path)
        carried = [self.way.carry(child) for child in node.children()]
        return [value for value in carried if value is not ABSENT]

    def flipped(self) -> Each:
        """See ``Way``."""
        return Each(self.way.flipped())


@dataclass(frozen=True, slots=True)
class Slot:
    """A place on the left and one on the right.

    left_needs, right_needs: what to write on that side where the other has nothing, or ``ABSENT``; it is called with the
    object that is read.
    """

    left: str
    right: str
    way: Way = SAME
    left_needs: Callable[[Node], Any] | None = None
    right_needs: Callable[[Node], Any] | None = None

    def carry(self, node: Node, result: dict[str, Any]) -> Any:
        """Write what the left holds into ``result``; the new result, which is no object where the right is the empty path."""
        source = node.at(self.left)
        value = ABSENT if source is None else self.way.carry(source)
        if value is ABSENT and self.right_needs is not None:
            value = self.right_needs(node)
            if value is not ABSENT:
                node.note(f"added: {self.right} has to be there, and became {short(value, _SHOWN)}", self.left)
        return result if value is ABSENT else _put(result, _steps(self.right), value)

    def flipped(self) -> Slot:
        """The slot read from the right."""
        return Slot(self.right, self.left, self.way.flipped(), self.right_needs, self.left_needs)


@dataclass(frozen=True, slots=True)
class Mark:
    """A constant of one side, which the other side does without."""

    left: str
    right: str
    value: Any

    def carry(self, node: Node, result: dict[str, Any]) -> Any:
        """Take the constant from the left, or write it on the right."""
        if self.right:
            return _put(result, _steps(self.right), self.value)
        source = node.at(self.left)
        if source is None:
            node.note(f"changed: comes back as {self.value!r}", self.left)
        elif source.value == self.value:
            source.take()
        return result

    def flipped(self) -> Mark:
        """The mark seen from the other side."""
        return Mark(self.right, self.left, self.value)


def left_is(path: str, value: Any) -> Mark:
    """The left has this constant."""
    return Mark(path, "", value)


def right_is(path: str, value: Any) -> Mark:
    """The right has this constant."""
    return Mark("", path, value)


@dataclass(frozen=True, slots=True)
class Record:
    """An object, slot by slot.  fits: for which objects of the left, and of the right, that makes sense."""

    slots: tuple[Slot | Mark, ...]
    left_fits: Callable[[Any], bool] | None = None
    right_fits: Callable[[Any], bool] | None = None

    def carry(self, node: Node) -> Any:
        """See ``Way``."""
        if self.left_fits is not None and not self.left_fits(node.value):
            return ABSENT
        node.trip.enter(node.path)
        result: Any = {}
        for slot in self.slots:
            result = slot.carry(node, result)
        return result

    def flipped(self) -> Record:
        """See ``Way``."""
        return Record(tuple(slot.flipped() for slot in self.slots), self.right_fits, self.left_fits)


def record(*slots: Slot | Mark) -> Record:
    """An object, slot by slot."""
    return Record(slots)


def _put(result: Any, steps: list[str], value: Any) -> Any:
    """``result`` with ``value`` at the place; objects that meet are joined, and ``result`` is changed."""
    if not steps:
        return _join(result, value)
    step, rest = steps[0].split("|")[0], steps[1:]
    if "=" in step:
        return _put_chosen(result or [], step, rest, value)
    if step.isdigit():
        elements: list[Any] = result or []
        if int(step) == len(elements):
            elements.append({})
        elements[int(step)] = _put(elements[int(step)], rest, value)
        return elements
    result[step] = _put(result.get(step, {}), rest, value)
    return result


def _put_chosen(elements: list[Any], step: str, rest: list[str], value: Any) -> list[Any]:
    where, word = step.split("=", 1)
    place = where.split(".")
    for index, element in enumerate(elements):
        if _value(element, place) == word:
            elements[index] = _put(element, rest, value)
            return elements
    elements.append(_put(_put({}, place, word), rest, value))
    return elements


def _value(element: Any, place: list[str]) -> Any:
    for key in place:
        element = element.get(key) if isinstance(element, dict) else None
    return element


def _join(result: Any, value: Any) -> Any:
    if not (isinstance(result, dict) and isinstance(value, dict)):
        return value
    for key, inner in value.items():
        result[key] = _join(result.get(key), inner)
    return result


def convert(way: Way, document: Any, target: str, prepare: Callable[[Trip], None] | None = None) -> tuple[Any, Trip]:
    """What ``way`` makes of a document, and the trip with a note for everything that did not come across.

    target: name of the other form, for the notes.  The document stays as it is.
    """
    trip = Trip(copy.deepcopy(document))
    if prepare is not None:
        prepare(trip)
    result = way.carry(trip.root)
    for node in trip.unread():
        node.note(f"not mapped: {target} has no place for {short(node.value, _SHOWN)}")
    return result, trip
