"""The JSON-LD context says of every field of every bag what it means, wherever the bag stands."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from sim.wire import jsonld
from sim.wire.bags import BAGS, Bag
from sim.wire.basics import Wire
from sim.wire.examples import EXAMPLES, example_bytes
from sim.wire.jsonld import NAMESPACE, PREFIXES, energy_context, hints, types
from sim.wire.messages import Message

CONTEXT = energy_context()["@context"]
ALL = [pytest.param(m, id=f"{action}-{n}") for action, messages in EXAMPLES.items() for n, m in enumerate(messages, 1)]
Terms = Mapping[str, Any]


def all_terms(terms: Terms) -> Iterator[tuple[str, Any]]:
    for name, term in terms.items():
        yield name, term
        if isinstance(term, dict):
            yield from all_terms(term.get("@context", {}))


def iri(compact: str) -> str:
    prefix, _, rest = compact.partition(":")
    return PREFIXES[prefix] + rest


def bags(value: Any) -> Iterator[dict[str, Any]]:
    """Outermost energy bags of a document."""
    if isinstance(value, dict):
        if "@context" in value:
            yield value
        else:
            for inner in value.values():
                yield from bags(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from bags(inner)


def expand(node: dict[str, Any], terms: Terms) -> dict[str, Any]:
    """JSON-LD expansion of one object, as far as our context makes use of it.  ``KeyError`` for what has no term.

    A context that hangs on a type holds for that object and not for those below; one that hangs on a field holds below too.
    """
    kind = node.get("@type")
    here = terms
    if kind is not None and ":" not in kind:
        here = {**CONTEXT, **CONTEXT[kind].get("@context", {})}
        terms = CONTEXT
    result: dict[str, Any] = {}
    for name, value in node.items():
        if not name.startswith("@"):
            term = here[name]
            result[iri(term["@id"])] = expanded(value, term, {**terms, **term.get("@context", {})})
    return result


def expanded(value: Any, term: dict[str, Any], terms: Terms) -> Any:
    coerced = term.get("@type")
    if coerced == "@json":
        return {"@value": value, "@type": "@json"}
    assert isinstance(value, list) == ("@container" in term), term
    if isinstance(value, list):
        return [expanded(inner, {k: v for k, v in term.items() if k != "@container"}, terms) for inner in value]
    if isinstance(value, dict):
        assert coerced is None, term
        return expand(value, terms)
    kinds = {"xsd:double": (int, float), "xsd:integer": int, "xsd:boolean": bool, "xsd:dateTime": str, "@id": str}
    if value is not None and coerced is not None:
        assert isinstance(value, kinds[coerced]), term
        assert isinstance(value, bool) == (coerced == "xsd:boolean"), term
    return value


def leaves(value: Any) -> int:
    if isinstance(value, dict) and value.get("@type") != "@json":
        return sum(leaves(inner) for inner in value.values())
    return sum(leaves(inner) for inner in value) if isinstance(value, list) else 1


def test_every_type_and_every_field_has_a_term_and_nothing_has_one_by_default() -> None:
    names = {name for name, _ in all_terms(CONTEXT)}
    assert {kind.__name__ for kind in types()} <= names
    assert {name for kind in types() for name in hints(kind)} <= names
    assert set(BAGS) <= set(types())
    assert "@vocab" not in names
    assert CONTEXT["@version"] == 1.1


def test_every_field_of_a_bag_means_something_at_its_top() -> None:
    for bag in BAGS:
        here = {**CONTEXT, **CONTEXT[bag.__name__].get("@context", {})}
        assert set(hints(bag)) <= set(here), bag


def test_a_name_has_one_iri_wherever_it_is_defined() -> None:
    ids: dict[str, set[str]] = {}
    for name, term in all_terms(CONTEXT):
        if isinstance(term, dict):
            ids.setdefault(name, set()).add(term["@id"])
    assert all(len(found) == 1 for found in ids.values())
    assert len({frozenset(found) for found in ids.values()}) == len(ids)
    assert iri(CONTEXT["powerKW"]["@id"]) == f"{NAMESPACE}powerKW"


def test_no_type_is_named_like_a_field() -> None:
    assert not {kind.__name__ for kind in types()} & {name for kind in types() for name in hints(kind)}


@pytest.mark.parametrize(
    ("name", "term"),
    [
        ("payload", {"@id": "energy:payload", "@type": "@json"}),
        ("coordinates", {"@id": "energy:coordinates", "@type": "@json"}),
        ("powerKW", {"@id": "energy:powerKW", "@type": "xsd:double"}),
        ("stepSize", {"@id": "energy:stepSize", "@type": "xsd:integer"}),
        ("filled", {"@id": "energy:filled", "@type": "xsd:boolean"}),
        ("createdAt", {"@id": "energy:createdAt", "@type": "xsd:dateTime"}),
        ("schema:startDate", {"@id": "schema:startDate", "@type": "xsd:dateTime"}),
        ("schema:startTime", {"@id": "schema:startTime"}),
        ("accepts", {"@id": "energy:accepts", "@container": "@set"}),
    ],
)
def test_a_field_is_typed_as_it_is_written(name: str, term: dict[str, Any]) -> None:
    assert CONTEXT[name] == term


def test_points_of_a_curve_keep_their_order_where_a_curve_is_an_array() -> None:
    assert CONTEXT["offerCurve"]["@context"]["curve"] == {"@id": "energy:curve", "@container": "@list"}
    data = CONTEXT["offerCurveData"]["@context"]["curve"]
    assert "@container" not in data
    assert data["@context"]["curve"]["@container"] == "@list"


def test_a_name_that_is_written_in_two_ways_is_scoped_to_where_it_stands() -> None:
    """A number in a forecast, a number or a text in a signal."""
    assert "value" not in CONTEXT
    assert CONTEXT["values"]["@context"]["value"] == {"@id": "energy:value", "@type": "xsd:double"}
    assert CONTEXT["inputSignals"]["@context"]["value"] == {"@id": "energy:value"}


@pytest.mark.parametrize("message", ALL)
def test_every_bag_of_every_example_expands_and_loses_nothing(message: Message) -> None:
    for bag in bags(json.loads(example_bytes(message))):
        result = expand(bag, CONTEXT)
        assert len(result) == len([name for name in bag if not name.startswith("@")])
        assert leaves(result) > 0 or len(bag) == 2


def test_bags_within_bags_are_found_by_their_type() -> None:
    nested = [kind for kind in types() if issubclass(kind, Bag)]
    assert set(nested) == set(BAGS)


def test_objects_without_a_type_that_write_a_field_differently_cannot_stand_in_one_place() -> None:
    class Number(Wire, frozen=True, kw_only=True):
        reading: float

    class Word(Wire, frozen=True, kw_only=True):
        reading: str

    with pytest.raises(ValueError, match="reading is written differently in Number, Word"):
        jsonld._define((Number, Word), "reading", frozenset({"reading"}))
