"""The JSON-LD 1.1 context of the energy bags, generated from their types.

Every type and every field has an IRI of its own, and nothing has one by default: there is no ``@vocab``.  A field that is
written alike in every type stands once at the top.  One that is not (``value`` is a number here and a text there) stands in
the contexts of the types that have it: scoped to the type of a bag, and to the field that holds an object without ``@type``.
"""

from __future__ import annotations

import functools
import typing
from collections import defaultdict
from collections.abc import Mapping
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Final

import msgspec
from msgspec import UnsetType

from sim.wire.bags import BAGS
from sim.wire.basics import Bag, Timestamp, Uri, Wire

NAMESPACE: Final = "https://schema.degsim.example/energy/v1#"
_CORE: Final = "https://raw.githubusercontent.com/beckn/protocol-specifications-new/refs/heads/main/schema/core/v2"
PREFIXES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "energy": NAMESPACE,
        "beckn": f"{_CORE}/vocab.jsonld#",
        "schema": "https://schema.org/",
        "xsd": "http://www.w3.org/2001/XMLSchema#",
    }
)
"""Prefixes of the context; ``beckn:price`` and ``schema:startTime`` are published fields, and mean here what they do there."""

Term = dict[str, Any]
Kinds = tuple[type[Wire], ...]

_COERCED: Mapping[Any, str] = MappingProxyType(
    {Timestamp: "xsd:dateTime", Uri: "@id", float: "xsd:double", int: "xsd:integer", bool: "xsd:boolean"}
)
_FREE = (Any, msgspec.Raw)
_ORDERED = frozenset({"curve", "elements", "waypoints", "bbox"})
"""Arrays whose order says something: the others are sets."""
_ALIASES: Mapping[str, str] = MappingProxyType({"TimePeriod": "beckn:TimePeriod"})
"""Types that are written without their prefix too."""


def energy_context() -> dict[str, Any]:
    """The context document of every energy bag, to stand at ``basics.ENERGY``.

    Raises ``ValueError`` where types that may stand in one place without ``@type`` write a field differently.
    """
    local = _ambiguous()
    shared = {name: _define((kind,), name, local) for kind in types() for name in hints(kind) if name not in local}
    kinds = {kind.__name__: _class(kind, local) for kind in types()}
    return {"@context": {"@version": 1.1, **PREFIXES, **_ALIASES, **kinds, **dict(sorted(shared.items()))}}


@functools.cache
def types() -> tuple[type[Wire], ...]:
    """Every type that can occur in a bag, bags first, each once."""
    found: dict[type[Wire], None] = dict.fromkeys(BAGS)
    waiting: list[type[Wire]] = list(BAGS)
    while waiting:
        new = [kind for hint in hints(waiting.pop(0)).values() for kind in _objects(hint) if kind not in found]
        found |= dict.fromkeys(new)
        waiting += new
    return tuple(found)


@functools.cache
def hints(kind: type[Wire]) -> Mapping[str, Any]:
    """The types of a type's fields, by their name on the wire; JSON-LD's own keywords are left out."""
    resolved = typing.get_type_hints(kind, include_extras=True)
    named = {field.encode_name: resolved[field.name] for field in msgspec.structs.fields(kind)}
    if kind.__struct_config__.tag_field:
        named[kind.__struct_config__.tag_field] = str
    return {name: hint for name, hint in named.items() if not name.startswith("@")}


def _ambiguous() -> frozenset[str]:
    """Names of fields that one definition cannot serve: written differently, or holding objects of different types."""
    spellings: dict[str, list[tuple[Term, Kinds]]] = defaultdict(list)
    for kind in types():
        for name, hint in hints(kind).items():
            spelling = (_plain(name, hint), _untagged(hint))
            if spelling not in spellings[name]:
                spellings[name].append(spelling)
    return frozenset(name for name, found in spellings.items() if len(found) > 1)


def _class(kind: type[Wire], local: frozenset[str]) -> Term:
    scope = _scope((kind,), local) if issubclass(kind, Bag) else {}
    return {"@id": f"energy:{kind.__name__}"} | ({"@context": scope} if scope else {})


def _scope(kinds: Kinds, local: frozenset[str]) -> dict[str, Term]:
    """Definitions that hold in objects of these types alone."""
    names = sorted({name for kind in kinds for name in hints(kind)} & local)
    return {name: _define(kinds, name, local) for name in names}


def _define(kinds: Kinds, name: str, local: frozenset[str]) -> Term:
    """The definition of a field in objects that may be of several types."""
    given = [hints(kind)[name] for kind in kinds if name in hints(kind)]
    term, *others = [_plain(name, hint) for hint in given]
    if any(other != term for other in others):
        raise ValueError(f"{name} is written differently in {', '.join(kind.__name__ for kind in kinds)}")
    held = tuple(dict.fromkeys(kind for hint in given for kind in _untagged(hint)))
    # What an object passes on to objects of its own type holds there already, and would never end.
    scope = {} if held == kinds else _scope(held, local)
    return term | ({"@context": scope} if scope else {})


def _plain(name: str, hint: Any) -> Term:
    """How the value of a field is written, without the contexts of objects inside."""
    term: Term = {"@id": name if ":" in name else f"energy:{name}"}
    members = _members(hint)
    arrays = [member for member in members if typing.get_origin(member) is tuple]
    if arrays:
        members = [inner for array in arrays for inner in _members(typing.get_args(array)[0])]
    if any(member in _FREE or typing.get_origin(member) is dict for member in members):
        return term | {"@type": "@json"}
    coerced = {_COERCED.get(member) for member in members}
    if len(coerced) == 1 and None not in coerced:
        term["@type"] = coerced.pop()
    if arrays:
        term["@container"] = "@list" if name in _ORDERED else "@set"
    return term


def _members(hint: Any) -> list[Any]:
    """What a value may be, absence apart; of an annotation only what has a type in XML Schema is kept."""
    if typing.get_origin(hint) in (typing.Union, UnionType):
        return [member for part in typing.get_args(hint) for member in _members(part)]
    if typing.get_origin(hint) is typing.Annotated and hint not in _COERCED:
        return _members(typing.get_args(hint)[0])
    return [] if hint in (UnsetType, NoneType) else [hint]


def _objects(hint: Any) -> tuple[type[Wire], ...]:
    """The types of objects that stand somewhere in a value, in order."""
    if isinstance(hint, type) and issubclass(hint, Wire):
        return (hint,)
    return tuple(dict.fromkeys(kind for part in typing.get_args(hint) for kind in _objects(part)))


def _untagged(hint: Any) -> Kinds:
    """The types of objects in a value that do not say by ``@type`` what they are."""
    return tuple(kind for kind in _objects(hint) if not issubclass(kind, Bag))
