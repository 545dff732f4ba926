"""JSONPaths of others: what RFC 9535 says, what stands beside it, and that none of them does harm."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sim.wire.codes import Refusal
from sim.wire.search.paths import Budget, compile_path
from sim.wire.search.patterns import PatternError, matches
from sim.wire.search.periods import moment, overlaps, time_of_day

ITEMS: list[dict[str, Any]] = [
    {"id": "a", "n": 1, "offers": [{"id": "x", "price": 3}, {"id": "y", "price": 5}]},
    {"id": "b", "n": 2.5, "made": "2026-01-01T12:00:00+05:30", "offers": []},
    {"id": "c", "n": None, "tags": ["quick", "red"], "offers": [{"id": "z", "price": 4}]},
]


def chosen(expression: str) -> dict[str, tuple[int, ...] | None]:
    found = compile_path(expression, "/here").chosen(ITEMS, Budget.of(3))
    return {ITEMS[number]["id"]: some for number, some in found.items()}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("$[?@.n > 1]", {"b": None}),
        ("$[?@.n == 1.0]", {"a": None}),
        ("$[?@.n]", {"a": None, "b": None, "c": None}),
        ("$[?@.tags[?@ == 'red']]", {"c": None}),
        ("$[?length(@.offers) == 2]", {"a": None}),
        ("$[?count(@..price) >= 1]", {"a": None, "c": None}),
        ("$[-1:]", {"c": None}),
        ("$[*].offers[?@.price > 3]", {"a": (1,), "c": (0,)}),
        ("$[*].offers[*].id", {"a": (0, 1), "c": (0,)}),
        ("$[*].offers", {"a": None, "b": None, "c": None}),
        ("$[?match(@.id, '[ab]')]", {"a": None, "b": None}),
        ("$[?@.made == '2026-01-01T06:30:00Z']", {"b": None}),
        ("$[?@.made < '2026-01-01T07:00:00Z']", {"b": None}),
        ("$[?@.made < '2026-01-01']", {}),
    ],
)
def test_an_expression_chooses_items_or_offers_of_them(
    expression: str, expected: dict[str, tuple[int, ...] | None]
) -> None:
    assert chosen(expression) == expected


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("", "at its end"),
        ("n", "character 1"),
        ("$[?@.n ==]", "character 10"),
        ("$[?@.n == 1", "character|end"),
        ("$[?@.n =~ /a/]", "character 8"),
        ("$[?@.n in [1]]", "character 8"),
        ("$[?nothing(@.n)]", "character 4"),
        ("$[?typeof(@.n) == 'number']", "character 4"),
        ("$[?match(@.id, '(')]", "character 4"),
        ("$[?match(@.id, 'a(?=b)')]", "character 4"),
        ("$[?overlaps(@.w[*], 'noon', 'night')]", "character 4"),
        ("$[?@.n == 1e999]", "cannot be read"),
        ("$ | $", "character 3"),
        ("$" + "[?@" * 33 + "]" * 33, "nested at most 32"),
        ("$[?" + "!" * 3990 + "@.n]", "recursion"),
    ],
)
def test_a_bad_expression_is_refused_and_told_where(expression: str, said: str) -> None:
    with pytest.raises(Refusal, match=said) as refused:
        compile_path(expression, "/here")
    assert (refused.value.code, refused.value.where) == ("SCH_INVALID_FORMAT", "/here")


PIECES = st.sampled_from(
    ["$", "@", ".", "..", "[", "]", "?", "*", "(", ")", "!", "&&", "||", "==", "<", "n", "id", "offers", "'a'", '"', "1", "-0",
     "1e9", ":", ",", "match(", "length(", "overlaps(", "count(", "null", " ", "\\", "\n", "é", "#", "~", "^", "_", "/a/"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=40))
@example("$[:1.5]")
@example("$[?@.n == 1e999]")
def test_whatever_is_written_is_answered_or_refused(expression: str) -> None:
    with contextlib.suppress(Refusal):
        assert set(chosen(expression)) <= {"a", "b", "c"}


def test_work_that_piles_up_is_broken_off() -> None:
    path = compile_path("$[?$..[?$..[?$..[?$..*]]]]", "/here")
    wide = [{"id": str(n), "numbers": list(range(20)), "offers": []} for n in range(50)]
    with pytest.raises(Refusal, match="more than 10,000 nodes, and 500 for each item"):
        path.chosen(wide, Budget.of(len(wide)))


def test_a_search_is_charged_for_every_node_it_visits_whatever_it_finds() -> None:
    left = []
    for expression in ("$[?@.n > 1]", "$[?@.n > 100]"):
        budget = Budget(1_000)
        compile_path(expression, "").chosen(ITEMS, budget)
        left.append(budget.left)
    assert left == [993, 993]


# regular expressions


@pytest.mark.parametrize(
    ("text", "pattern", "whole", "part"),
    [
        ("abc", "a.c", True, True),
        ("a\nc", "a.c", False, False),
        ("xabcx", "abc", False, True),
        ("a^c$", "a^c$", True, True),
        ("abc", "^abc$", False, False),
        ("Größe", r"\p{Lu}\p{Ll}+", True, True),
        ("Größe", r"[^\p{Lu}]+", False, True),
        ("a.b", r"a\.b", True, True),
        ("aab", "(a|b){3}", True, True),
        ("\n", r"\n", True, True),
        ("-", "[-a]", True, True),
        ("x", "", False, True),
    ],
)
def test_a_regular_expression_means_what_rfc_9485_says(text: str, pattern: str, whole: bool, part: bool) -> None:
    assert (matches(text, pattern, whole=True), matches(text, pattern, whole=False)) == (whole, part)


@pytest.mark.parametrize(
    "pattern", ["(", "a)", "[", "a**", r"\d", r"\b", "(?i)a", r"(a)\1", r"\p{Greek}", "a{2000}", "*"]
)
def test_what_is_no_i_regexp_is_not_matched(pattern: str) -> None:
    with pytest.raises(PatternError):
        matches("a", pattern, whole=True)


def test_a_pattern_that_would_take_others_for_ever_is_answered() -> None:
    assert not matches("a" * 50_000, "(a*)*b", whole=True)


def test_a_bad_pattern_in_the_catalogue_itself_matches_nothing() -> None:
    path = compile_path("$[?match('a', @.pattern)]", "")
    items = [{"pattern": "("}, {"pattern": "a"}, {"pattern": 1}]
    assert path.chosen(items, Budget.of(3)) == {1: None}


# windows of time


@pytest.mark.parametrize(
    ("window", "start", "end", "expected"),
    [
        ({"startDate": "2026-01-01T00:00:00Z", "endDate": "2026-01-02T00:00:00Z"}, "2026-01-01T23:00:00Z", "2026-01-05T00:00:00Z", True),
        ({"startDate": "2026-01-01T00:00:00Z", "endDate": "2026-01-02T00:00:00Z"}, "2026-01-02T00:00:00Z", "2026-01-05T00:00:00Z", False),
        ({"startDate": "2026-01-03T00:00:00Z"}, "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z", False),
        ({"endDate": "2026-01-03T00:00:00Z"}, "2026-01-02T00:00:00Z", "2026-01-09T00:00:00Z", True),
        ({"schema:startTime": "2026-01-01T00:00:00Z", "schema:endTime": "2026-01-02T00:00:00Z"}, "2026-01-01T05:29:00+05:30", "2026-01-01T05:30:00+05:30", False),
        ({"startTime": "08:00:00", "endTime": "10:00:00"}, "2026-01-01T09:00:00+05:30", "2026-01-01T09:30:00+05:30", True),
        ({"startTime": "08:00:00", "endTime": "10:00:00"}, "2026-01-01T10:00:00+05:30", "2026-01-02T08:00:00+05:30", False),
        ({"startTime": "08:00:00Z", "endTime": "10:00:00Z"}, "2026-01-01T13:00:00+05:30", "2026-01-01T13:31:00+05:30", True),
        ({"startTime": "22:00:00Z", "endTime": "06:00:00Z"}, "2026-01-01T05:00:00Z", "2026-01-01T05:30:00Z", True),
        ({"startTime": "22:00:00Z", "endTime": "06:00:00Z"}, "2026-01-01T06:00:00Z", "2026-01-01T22:00:00Z", False),
        ({"startTime": "08:00:00Z", "endTime": "08:01:00Z"}, "2026-01-01T09:00:00Z", "2026-01-02T09:00:00Z", True),
        ({"startTime": "08:00:00Z", "endTime": "10:00:00Z", "endDate": "2026-01-01T07:00:00Z"}, "2026-01-01T06:00:00Z", "2026-01-01T12:00:00Z", False),
        ({"startTime": "23:00:00-11:00", "endTime": "23:30:00-11:00"}, "2026-01-02T10:10:00Z", "2026-01-02T10:20:00Z", True),
        ({}, "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", True),
        ({}, "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", False),
        ({"startTime": "soon", "endDate": 4}, "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", True),
    ],
)  # fmt: skip
def test_windows_overlap_where_they_have_a_moment_in_common(
    window: dict[str, Any], start: str, end: str, expected: bool
) -> None:
    first, last = moment(start), moment(end)
    assert first is not None
    assert last is not None
    assert overlaps(window, first, last) is expected


@pytest.mark.parametrize("text", [None, 3, "noon", "2026-01-01", "2026-01-01T12:00:00", "2026-13-01T12:00:00Z", "T"])
def test_what_names_no_moment_is_none(text: object) -> None:
    assert moment(text) is None
    assert time_of_day(text, None) is None
