"""The language of tables: places, ways, what is left unread."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.wire.mapping import (
    ABSENT,
    Each,
    Note,
    Pair,
    Record,
    Same,
    Slot,
    Way,
    Words,
    convert,
    left_is,
    record,
    right_is,
)


def carried(way: Way, document: Any) -> tuple[Any, list[Note]]:
    result, trip = convert(way, document, "the right")
    return result, trip.notes


PARTIES = record(
    Slot("seller", "parties/role.code=SELLER/id"),
    Slot("buyer/id", "parties/role.code=BUYER/id"),
    Slot("lines", "lines", Each(record(Slot("", "name")))),
    Slot("state", "status/code", Words({"open": "OPEN", "shut": "SHUT"})),
    left_is("kind", "order"),
    right_is("status/label", "made"),
)
ORDER = {"kind": "order", "seller": "roof", "buyer": {"id": "anna"}, "lines": ["a", "b"], "state": "open"}
CONTRACT = {
    "parties": [{"role": {"code": "SELLER"}, "id": "roof"}, {"role": {"code": "BUYER"}, "id": "anna"}],
    "lines": [{"name": "a"}, {"name": "b"}],
    "status": {"code": "OPEN", "label": "made"},
}


def test_one_table_reads_both_ways() -> None:
    assert carried(PARTIES, ORDER) == (CONTRACT, [])
    assert carried(PARTIES.flipped(), CONTRACT) == (ORDER, [])
    assert PARTIES.flipped().flipped() == PARTIES


@pytest.mark.parametrize(
    ("extra", "pointer", "value"),
    [
        ({"more": {"a": 1}}, "/more", '{"a": 1}'),
        ({"a/b~c": None}, "/a~1b~0c", "null"),
        ({"buyer": {"id": "anna", "age": 7}}, "/buyer/age", "7"),
        ({"state": "ajar"}, "/state", '"ajar"'),
        ({"lines": "none"}, "/lines", '"none"'),
        ({"kind": "offer"}, "/kind", '"offer"'),
        ({"more": {}}, "/more", "{}"),
    ],
)
def test_what_no_slot_takes_is_noted_at_its_outermost_place(extra: Any, pointer: str, value: str) -> None:
    _, notes = carried(PARTIES, ORDER | extra)
    assert notes == [Note(pointer, f"not mapped: the right has no place for {value}")]


def test_the_second_of_a_role_and_the_rest_of_the_first_are_noted() -> None:
    parties = [*CONTRACT["parties"], {"role": {"code": "SELLER"}, "id": "other"}]  # type: ignore[misc]
    parties[0] = parties[0] | {"phone": 1}
    _, notes = carried(PARTIES.flipped(), CONTRACT | {"parties": parties})
    assert [note.pointer for note in notes] == ["/parties/0/phone", "/parties/2"]


def test_what_one_side_needs_is_added_and_said() -> None:
    way = record(Slot("a", "b", right_needs=lambda node: node.look("c", 3)), Slot("c", "c"))
    assert carried(way, {"c": 5}) == ({"b": 5, "c": 5}, [Note("/a", "added: b has to be there, and became 5")])
    assert carried(way.flipped(), {}) == ({}, [])


def test_words_that_fall_together_are_noted() -> None:
    way = record(Slot("a", "b", Words({"x": "X"}, {"y": "X"})))
    assert carried(way, {"a": "y"}) == ({"b": "X"}, [Note("/a", "changed: y became X")])
    assert carried(way.flipped(), {"b": "X"}) == ({"a": "x"}, [])


def test_an_object_that_does_not_fit_stays_where_it_is() -> None:
    way = record(Slot("a", "b", Record((Slot("x", "y"),), left_fits=lambda value: "x" in value)))
    assert carried(way, {"a": {"z": 1}}) == ({}, [Note("/a", 'not mapped: the right has no place for {"z": 1}')])


def test_an_element_that_is_not_carried_leaves_a_note_and_no_gap() -> None:
    assert carried(Each(Same(lambda value: value > 1)), [1, 2, 3]) == (
        [2, 3],
        [Note("/0", "not mapped: the right has no place for 1")],
    )


def test_a_place_has_two_spellings_and_is_written_in_the_first() -> None:
    way = record(Slot("beckn:id|id", "name"))
    assert carried(way, {"id": 1}) == carried(way, {"beckn:id": 1}) == ({"name": 1}, [])
    assert carried(way.flipped(), {"name": 1})[0] == {"beckn:id": 1}


def test_a_pair_of_functions_may_say_nothing() -> None:
    way = record(Slot("a", "b", Pair(lambda _: ABSENT, lambda node: node.take())))
    assert carried(way, {"a": None})[0] == {}
    assert carried(way.flipped(), {"b": None}) == ({"a": None}, [])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcdxy01"), inner, max_size=4),
    max_leaves=12,
)
TABLE = record(
    Slot("a", "x"),
    Slot("b/c", "y/0/z"),
    Slot("d", "y/0/w", Each(record(Slot("x", "q"), Slot("", "p/k.l=M", Pair(lambda _: ABSENT, lambda _: ABSENT))))),
)


@given(VALUES)
def test_every_leaf_is_carried_or_below_a_note(document: Any) -> None:
    result, notes = carried(TABLE, {"root": document} if not isinstance(document, dict) else document)
    words = [note.what for note in notes]
    assert isinstance(result, dict)
    back, _ = carried(TABLE.flipped(), result)
    for pointer, leaf in leaves(document if isinstance(document, dict) else {"root": document}):
        covered = any(pointer == note.pointer or pointer.startswith(f"{note.pointer}/") for note in notes)
        assert covered or leaf in [value for _, value in leaves(back)], words


def leaves(value: Any, pointer: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in leaves(inner, f"{pointer}/{key}")]
    if isinstance(value, list):
        return [leaf for index, inner in enumerate(value) for leaf in leaves(inner, f"{pointer}/{index}")]
    return [(pointer, value)]
