"""Every message of a run in so few bytes that a page can carry all of them, and give back each to the letter.

Messages are much alike.  A message is walked from its outside in, and what is met is noted by the place where it stands: which
keys an object has, which list stands there, which text or number.  What stands at one place is a column, and a column is
nearly the same thing again and again, and compression does the rest.

A packed archive is JSON, which a page carries deflated::

    {"count": messages, "nodes": [node, ...], "identifiers": base64}

    node    a place; the first is that of whole messages
      code    integers: what was met there each time: 0 a text, number or constant; 1 a list; 2 + k an object of shape k
      shapes  of objects: lists of [key, number of the node below], in the order of the keys
      items   number of the node of a list's elements
      lists   integers: 0 for a list that is written out here, of so many elements as ``lengths`` says next; it then has the
              next number of all lists, from 0, those within it having theirs before; 1 + n for list n again
      leaves  a column of what else was met

    column    of one kind
      json    texts of JSON
      text    strings
      int     integers, none beyond what a double holds
      uuid    a list of integers: 0 for the next of ``identifiers`` (16 bytes each), 1 + n for the n-th of them again;
              counted through all columns in the order of their nodes
      bytes   base64 of ``size`` bytes for each value, which is written as base64 after ``prefix``
      ``of`` beside ``at``: a value is the one of ``of`` with this number

    integers  a number, where all are the same; a list; or {"d": list} of differences to the integer before, the first to 0

Numbers are kept as they are written (``1.0`` is not ``1``), keys in their order.
"""

from __future__ import annotations

import base64
import itertools
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from results.run import Run
from sim.journal import MESSAGE_LINE

MOST_MESSAGES = 60_000
"""Messages that a page looks at, at most."""
MOST_BYTES = 2_200_000
"""Compressed bytes of messages that a page carries, at most; base64 makes a third more of them."""

ROOM = 0.97
"""What is tried of the messages that should just fit, where not all do: later ones may be longer."""

SAFE = 2**53
"""Integers from here on are not exact as doubles."""
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PREFIX = re.compile(r"(?:[A-Za-z0-9-]{1,15}[=:])?")
_encode = msgspec.json.Encoder().encode

Packed = dict[str, Any]


class _Verbatim(str):
    """A line that would not come back to the letter from what it says: spaces, repeated keys, other escapes."""

    __slots__ = ()


@dataclass(slots=True)
class _Node:
    """What was met at one place, in the order in which it was."""

    number: int
    code: list[int] = field(default_factory=list)
    shapes: dict[tuple[str, ...], tuple[int, tuple[_Node, ...]]] = field(default_factory=dict)
    items: _Node | None = None
    lists: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    leaves: list[Any] = field(default_factory=list)


class Archive:
    """Takes messages one after the other, and gives them packed."""

    def __init__(self) -> None:
        self._nodes: list[_Node] = []
        self._root = self._node()
        self._known: dict[bytes, int] = {}
        self._count = 0

    def add(self, line: bytes) -> None:
        """Take the bytes of one message: a JSON text in UTF-8, without a line feed at its end."""
        self._count += 1
        self._walk(_read(line), self._root)

    def packed(self) -> Packed:
        """What was taken, as it is described above."""
        identifiers = _Identifiers()
        nodes = [_packed(node, identifiers) for node in self._nodes]
        return {"count": self._count, "nodes": nodes, "identifiers": _base64(bytes(identifiers.fresh))}

    def _node(self) -> _Node:
        node = _Node(len(self._nodes))
        self._nodes.append(node)
        return node

    def _walk(self, value: Any, node: _Node) -> None:
        if type(value) is dict:
            keys = tuple(value)
            shape = node.shapes.get(keys)
            if shape is None:
                # Objects that share a key at one place share what stands below it.
                known = dict(pair for kept, (_, below) in node.shapes.items() for pair in zip(kept, below, strict=True))
                shape = len(node.shapes), tuple(known.get(key) or self._node() for key in keys)
                node.shapes[keys] = shape
            node.code.append(2 + shape[0])
            for one, below in zip(value.values(), shape[1], strict=True):
                self._walk(one, below)
        elif type(value) is list:
            node.code.append(1)
            self._list(value, node)
        else:
            node.code.append(0)
            node.leaves.append(value)

    def _list(self, value: list[Any], node: _Node) -> None:
        key = _encode(value)
        number = self._known.get(key)
        if number is not None:
            node.lists.append(1 + number)
            return
        node.lists.append(0)
        node.lengths.append(len(value))
        if node.items is None:
            node.items = self._node()
        for one in value:
            self._walk(one, node.items)
        self._known.setdefault(key, len(self._known))


def pack(lines: Iterable[bytes]) -> Packed:
    """All of these messages, packed."""
    archive = Archive()
    for line in lines:
        archive.add(line)
    return archive.packed()


@dataclass(frozen=True, slots=True)
class Carried:
    """Messages of a run for a page, from its first on.  deflated: packed, as zlib does it.  left: how many did not fit."""

    deflated: bytes
    count: int
    left: int


def of_run(run: Run, most_messages: int = MOST_MESSAGES, most_bytes: int = MOST_BYTES) -> Carried:
    """The messages of a run, as many of the first as fit a page."""
    count = sum(1 for _ in message_lines(run))
    kept = min(count, most_messages)
    deflated = _deflated(run, kept)
    while len(deflated) > most_bytes:
        kept = int(kept * most_bytes / len(deflated) * ROOM)
        deflated = _deflated(run, kept)
    return Carried(deflated, kept, count - kept)


def message_lines(run: Run) -> Iterator[bytes]:
    """The journal's records of kind ``message``, each as its bytes without the line feed."""
    for line in run.journal_lines():
        if line.startswith(MESSAGE_LINE):
            yield line.rstrip(b"\n")


def _deflated(run: Run, count: int) -> bytes:
    return zlib.compress(_encode(pack(itertools.islice(message_lines(run), count))), 9)


def _read(line: bytes) -> Any:
    try:
        value = msgspec.json.decode(line)
        same = _encode(value) == line
    except (ValueError, RecursionError):
        same = False
    return value if same else _Verbatim(line.decode("utf-8"))


# --- columns ----------------------------------------------------------------------------------------------------------


class _Identifiers:
    """Numbers of identifiers in the order in which they are first met."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self.fresh = bytearray()

    def number(self, text: str) -> int:
        """0 for one that is new, otherwise 1 + its number."""
        known = self._known.get(text)
        if known is not None:
            return 1 + known
        self._known[text] = len(self._known)
        self.fresh += bytes.fromhex(text.replace("-", ""))
        return 0


def _packed(node: _Node, identifiers: _Identifiers) -> Packed:
    shapes = [[[key, below.number] for key, below in zip(k, b, strict=True)] for k, (_, b) in node.shapes.items()]
    parts = {
        "code": integers(node.code),
        "shapes": shapes,
        "items": None if node.items is None else node.items.number,
        "lists": integers(node.lists),
        "lengths": integers(node.lengths),
        "leaves": _column(node.leaves, identifiers) if node.leaves else None,
    }
    return {name: part for name, part in parts.items() if part is not None and part != []}


def _column(values: Sequence[Any], identifiers: _Identifiers) -> Packed:
    if all(type(value) is int and -SAFE < value < SAFE for value in values):
        return {"int": integers(values)}
    if not all(type(value) is str for value in values):
        return _worded("json", [_json(value) for value in values])
    if all(_UUID.fullmatch(value) for value in values):
        return {"uuid": [identifiers.number(value) for value in values]}
    return _as_bytes(values) or _worded("text", values)


def _json(value: Any) -> str:
    return str(value) if isinstance(value, _Verbatim) else _encode(value).decode("utf-8")


def _worded(kind: str, values: Sequence[str]) -> Packed:
    """Texts; where they come again, by their numbers."""
    numbers: dict[str, int] = {}
    at = [numbers.setdefault(value, len(numbers)) for value in values]
    return (
        {kind: list(values)} if len(numbers) == len(values) > 1 else {"of": list(numbers), "at": integers(at), kind: 1}
    )


def _as_bytes(values: Sequence[str]) -> Packed | None:
    """Digests and signatures: base64 of one length, after one prefix.  None where it is anything else."""
    prefix = _PREFIX.match(values[0])
    start = prefix.group() if prefix else ""
    try:
        found = [base64.b64decode(value[len(start) :], validate=True) for value in values if value.startswith(start)]
    except ValueError:
        return None
    size = len(found[0]) if found else 0
    whole = len(found) == len(values) and size >= 32 and all(len(one) == size for one in found)
    if not whole or any(start + _base64(one) != value for one, value in zip(found, values, strict=True)):
        return None
    return {"bytes": _base64(b"".join(found)), "size": size, "prefix": start}


def integers(values: Sequence[int]) -> Any:
    """The shortest form of some integers, as it is described above; None for none."""
    if not values:
        return None
    if values.count(values[0]) == len(values):
        return values[0]
    plain = list(values)
    steps = [after - before for before, after in zip([0, *plain], plain, strict=False)]
    measure: Callable[[list[int]], int] = lambda some: len(zlib.compress(_encode(some), 1))  # noqa: E731
    return {"d": steps} if measure(steps) < measure(plain) else plain


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
