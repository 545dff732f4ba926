"""Two documents differ in what they say, never in names that only stand for things."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.difference.documents import ABSENT, Field, Names, Reading, by_path, fields, near, since

IDS = st.integers(0, 5).map(lambda number: str(uuid.UUID(int=number + 1)))
"""Few, so that they come again."""
OTHER = {str(uuid.UUID(int=n + 1)): str(uuid.UUID(int=(n * 7 + 3) % 6 + 100)) for n in range(6)}
"""Another name for each of them."""

LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.floats(allow_nan=False), st.text(max_size=4), IDS)
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


def reading(**given: Any) -> Reading:
    return Reading(Names(), **given)


def apart(one: Any, two: Any, **given: Any) -> list[tuple[str, Any, Any]]:
    return [(field.where, field.one, field.two) for field in fields(one, two, reading(**given))]


def renamed(document: Any) -> Any:
    if isinstance(document, dict):
        return {name: renamed(value) for name, value in document.items()}
    if isinstance(document, list):
        return [renamed(value) for value in document]
    return OTHER.get(document, document) if isinstance(document, str) else document


@given(DOCUMENTS)
def test_a_document_does_not_differ_from_itself(document: Any) -> None:
    assert apart(document, document) == []


@given(DOCUMENTS)
def test_other_identifiers_for_the_same_things_are_no_difference(document: Any) -> None:
    assert apart(document, renamed(document)) == []


@given(DOCUMENTS, DOCUMENTS)
def test_what_differs_in_one_direction_differs_in_the_other(one: Any, two: Any) -> None:
    there, back = list(fields(one, two, reading())), list(fields(two, one, reading()))
    assert {(repr(f.one), repr(f.two)) for f in there} == {(repr(f.two), repr(f.one)) for f in back}


def test_an_identifier_that_stands_for_two_things_is_a_difference() -> None:
    a, b, c = (str(uuid.UUID(int=n)) for n in (1, 2, 3))
    assert apart([a, a], [b, b]) == []
    assert apart([a, a], [b, c]) == [("/1", a, c)]
    assert apart([a, b], [c, c]) == [("/1", b, c)]


def test_an_identifier_within_a_name_is_told_from_the_rest_of_it() -> None:
    a, b = (str(uuid.UUID(int=n)) for n in (1, 2))
    assert apart(f"{a}/closing", f"{b}/closing") == []
    assert apart(f"{a}/closing", f"{b}/0") == [("", f"{a}/closing", f"{b}/0")]


def test_what_both_have_said_by_the_same_name_keeps_it() -> None:
    a, b = (str(uuid.UUID(int=n)) for n in (1, 2))
    names = Names()
    names.learn(f'{{"id":"{a}"}}\n'.encode())
    assert names.same(a, a)
    assert not names.same(a, b)


@given(IDS, IDS, IDS, IDS)
def test_lines_are_the_same_exactly_where_what_they_say_is(a: str, b: str, c: str, d: str) -> None:
    ours, theirs = f'{{"id":"{a}","of":"{b}/0","kw":1}}', f'{{"id":"{c}","of":"{d}/0","kw":1}}'
    by_line = Names().same_lines(ours.encode(), theirs.encode())
    assert by_line == (apart(json.loads(ours), json.loads(theirs)) == [])
    assert not Names().same_lines(ours.encode(), theirs.replace('"kw":1', '"kw":2').encode())


def test_digests_follow_from_what_they_are_of() -> None:
    assert apart({"digest": "BLAKE-512=aa+/9=="}, {"digest": "BLAKE-512=bb=="}) == []
    assert apart("sha256:00", "ed25519 is a curve") == [("", "sha256:00", "ed25519 is a curve")]


def test_one_more_item_does_not_shift_the_others() -> None:
    one = [{"era": "a", "kw": 1}, {"era": "b", "kw": 2}]
    two = [{"era": "new", "kw": 9}, *one[:1], {"era": "b", "kw": 3}]
    assert apart(one, two) == [("/1/kw", 2, 3), ("/0", ABSENT, two[0])]


def test_pointers_are_those_of_rfc_6901() -> None:
    assert apart({"a/b": {"~": [1, 2]}}, {"a/b": {"~": [1, 3]}}) == [("/a~1b/~0/1", 2, 3)]


@pytest.mark.parametrize(("one", "two"), [(True, 1), (0, False), ("1", 1), (None, 0), ([], {})])
def test_values_of_other_types_are_other_values(one: Any, two: Any) -> None:
    assert apart(one, two) == [("", one, two)]


def test_numbers_are_the_same_within_the_tolerance_alone() -> None:
    assert near(1.0, 1.0 + 1e-9, 1e-6)
    assert not near(1.0, 1.0 + 1e-9, 0)
    assert not near(1.0, 1.1, 1e-6)
    assert near(float("nan"), float("nan"), 0)
    assert apart({"kw": 1.0}, {"kw": 1.0 + 1e-9}, tolerance=1e-6) == []


def test_times_count_from_each_start_where_starts_differ() -> None:
    starts = datetime(2016, 5, 17, 9, tzinfo=UTC), datetime(2016, 5, 18, 10, tzinfo=UTC)
    times = since(starts[0]), since(starts[1])
    later = [(start + timedelta(minutes=5)).isoformat() for start in starts]
    assert apart(later[0], later[1], times=times) == []
    assert apart(later[0], starts[1].isoformat(), times=times) == [("", later[0], starts[1].isoformat())]
    assert apart("2016-99-99T00:00:00Z", "2016-88-88T00:00:00Z", times=times) != []


def test_a_word_that_the_scenarios_say_differently_is_no_news() -> None:
    echoes = frozenset({("locational", "vcg")})
    assert apart({"policy": "locational"}, {"policy": "vcg"}, echoes=echoes) == []
    assert apart({"policy": "vcg"}, {"policy": "locational"}, echoes=echoes) != []


def test_scenarios_differ_by_the_paths_that_set_takes() -> None:
    one = {
        "populations": [{"name": "ev", "count": 3}, {"name": "pv"}],
        "tariffs": {"import": [{"price": 0.3}]},
        "seed": 1,
    }
    two = {
        "populations": [{"name": "pv"}, {"name": "ev", "count": 4}],
        "tariffs": {"import": [{"price": 0.4}]},
        "seed": 1,
    }
    assert list(by_path(one, two)) == [
        Field("populations.ev.count", 3, 4),
        Field("tariffs.import[0].price", 0.3, 0.4),
    ]
    assert list(by_path({"market": None}, {"market": {"policy": "vcg"}})) == [Field("market", None, {"policy": "vcg"})]
    assert list(by_path({}, {"seed": 2})) == [Field("seed", ABSENT, 2)]
    assert list(by_path({"on": True}, {"on": 1})) == [Field("on", True, 1)]
