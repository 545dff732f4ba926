"""From a journal to steps, some of them, their shape, and the shape as a diagram and as text."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.run import Run
from results.sequence import (
    Arrow,
    Loop,
    Outline,
    Step,
    as_text,
    brief,
    mermaid,
    outline,
    repeated,
    second_of,
    select,
    steps,
    value_at,
)
from results.sequence.fields import ACTION_FIELDS, BAG_FIELDS
from results.sequence.labels import fields, loop_title, span, title
from results.sequence.mermaid import escaped
from sim.errors import RunError
from sim.wire.bags import BAGS
from sim.wire.examples import EXAMPLES, example_bytes
from sim.wire.messages import ACTIONS


def step(
    second: int,
    sender: str,
    receiver: str,
    action: str = "status",
    *,
    value: float = 1.0,
    depth: int = 0,
    transaction: str = "t",
    lineage: tuple[str, str] | None = None,
    code: str = "",
) -> Step:
    """A message with one number in it."""
    return Step(
        seq=second,
        second=second,
        sender=sender,
        receiver=receiver,
        action=action,
        transaction=transaction,
        message=f"m{second}",
        lineage=lineage,
        depth=depth,
        refused=bool(code),
        error={"errorCode": code} if code else None,
        context={},
        content={"contract": {"commitments": [{"offer": {"id": "o"}, "resources": [{"quantity": {"value": value}}]}]}},
    )


def told(items: Sequence[Arrow | Loop]) -> list[Any]:
    """An outline as nested lists: ``a>b status``, ``[3, ...]`` for a loop."""
    return [
        [item.times, *told(item.body)]
        if isinstance(item, Loop)
        else f"{item.sender}>{item.receiver} {item.step.action}"
        for item in items
    ]


def all_steps(items: Sequence[Arrow | Loop]) -> list[Step]:
    return [one for item in items for one in (all_steps(item.body) if isinstance(item, Loop) else item.steps)]


def test_every_message_of_a_run_is_a_step_with_its_sender_and_receiver(day: Run) -> None:
    found = list(steps(day))
    records = list(day.message_records())
    assert len(found) == len(records) > 100
    for one, record in zip(found, records, strict=True):
        context = record["body"]["context"]
        caller, answerer = context["bapId"], context["bppId"]
        assert {one.sender, one.receiver} == {caller, answerer}
        assert one.sender == (answerer if one.callback else caller)
        assert (one.seq, one.second, one.action) == (record["seq"], record["t"], record["action"])


def begun_with(folder: Path, *records: dict[str, Any]) -> list[Step]:
    """The first steps of a run whose journal begins with these records."""
    journal = folder / "journal.jsonl"
    lines = "".join(f"{json.dumps(record)}\n" for record in records)
    journal.write_text(lines + journal.read_text())
    return list(steps(Run(folder)))[: len(records)]


def test_a_leg_is_one_deeper_than_what_it_descends_from_and_so_is_its_answer(day: Run, folder: Path) -> None:
    template = next(day.message_records())
    found = begun_with(
        folder,
        said(template, "init", "first"),
        said(template, "init", "leg", lineage="first"),
        said(template, "confirm", "deeper", lineage="leg"),
        said(template, "on_confirm", "deeper"),
        said(template, "on_init", "leg", lineage="first"),
        said(template, "on_init", "first"),
    )
    assert [one.depth for one in found] == [0, 1, 2, 2, 1, 0]


def test_a_message_that_is_no_json_is_a_step_all_the_same(folder: Path) -> None:
    broken = {"kind": "message", "seq": 0, "t": 0, "action": "init", "ack": "NACK", "encoding": "base64"}
    body = base64.b64encode(b"{not json").decode()
    (first,) = begun_with(folder, broken | {"error": {"errorCode": "SCH_MALFORMED"}, "body": body})
    assert (first.sender, first.receiver, first.code, first.refused) == ("?", "?", "SCH_MALFORMED", True)


def said(template: dict[str, Any], action: str, thread: str, lineage: str | None = None) -> dict[str, Any]:
    """A record like another one, with its own thread and lineage."""
    record: dict[str, Any] = json.loads(json.dumps(template)) | {"action": action}
    context = record["body"]["context"]
    context |= {"action": action, "transactionId": thread, "messageId": thread}
    if lineage:
        context["lineage"] = {"transactionId": lineage, "messageId": lineage}
    return record


TALK = (
    step(1, "a", "b", "init", transaction="t1"),
    step(2, "b", "c", "init", transaction="t2", lineage=("t1", "m1"), depth=1),
    step(3, "c", "d", "init", transaction="t3", lineage=("t2", "m2"), depth=2),
    step(4, "a", "c", "discover", transaction="x4"),
)


def test_a_transaction_comes_with_all_that_descends_from_it() -> None:
    assert [one.second for one in select("run", TALK, transaction="t1")] == [1, 2, 3]
    assert [one.second for one in select("run", TALK, transaction="t2")] == [2, 3]
    assert [one.second for one in select("run", TALK, transaction="x")] == [4]


def test_several_participants_are_those_of_any_and_a_span_leaves_out_its_end() -> None:
    assert [one.second for one in select("run", TALK, participants=["a"])] == [1, 4]
    assert [one.second for one in select("run", TALK, participants=["a", "d"])] == [1, 3, 4]
    assert [one.second for one in select("run", TALK, from_s=2, to_s=4)] == [2, 3]


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        ({"transaction": "t9"}, "t9: no such transaction, the nearest is t"),
        ({"transaction": "t"}, "t: 3 transactions begin like this: t1, t2 ..."),
        ({"participants": ["caar"]}, "no message is from or to it; known: a, b, c, d"),
    ],
)
def test_what_the_run_has_not_is_refused_in_one_line(asked: dict[str, Any], what: str) -> None:
    with pytest.raises(RunError, match=re.escape(what)) as caught:
        select("run", TALK, **asked)
    assert "\n" not in str(caught.value)


def test_a_time_is_of_the_first_day_or_has_a_date(day: Run) -> None:
    start = day.calendar.start
    noon = second_of(day.calendar, "12:00", "--from")
    assert day.calendar.local(noon).strftime("%H:%M") == "12:00"
    assert second_of(day.calendar, f"{start.date()}T12:00", "--from") == noon
    with pytest.raises(RunError, match="--to: noon is no time"):
        second_of(day.calendar, "noon", "--to")


def test_fields_of_bags_are_fields_that_these_bags_have() -> None:
    known = {bag.__name__: bag for bag in BAGS}
    for name, paths in BAG_FIELDS.items():
        for path in paths:
            assert path.split(".")[0] in {field.encode_name for field in msgspec.structs.fields(known[name])}, (
                name,
                path,
            )


def test_fields_of_actions_are_fields_of_their_bodies() -> None:
    for action, paths in ACTION_FIELDS.items():
        for path in paths:
            assert _reaches(ACTIONS[action], path.split(".")), (action, path)


def _reaches(kind: Any, path: list[str]) -> bool:
    """Whether a path leads somewhere in a type."""
    if not path:
        return True
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = get_type_hints(kind, include_extras=False)
        names = {field.encode_name: hints[field.name] for field in msgspec.structs.fields(kind)}
        return path[0] in names and _reaches(names[path[0]], path[1:])
    parts = [part for part in get_args(kind) if part is not Ellipsis]
    inside = path[1:] if path[0] == "*" or path[0].isdigit() else path
    return any(_reaches(part, inside if _is_many(kind) else path) for part in parts)


def _is_many(kind: Any) -> bool:
    return getattr(kind, "__origin__", None) in (tuple, dict, list)


@pytest.mark.parametrize("action", list(EXAMPLES))
def test_the_brief_of_a_real_message_says_what_stands_there(action: str) -> None:
    for message in EXAMPLES[action]:
        content = json.loads(example_bytes(message))["message"]
        for path, value in brief(action, content).items():
            assert value_at(content, path) == value
            assert not isinstance(value, dict | list)


def test_nothing_stands_at_a_path_that_leads_nowhere() -> None:
    for path in ("a.c", "a.b.9", "a.b.x", "a.b.0.d"):
        with pytest.raises(KeyError):
            value_at({"a": {"b": [1]}}, path)


def test_rounds_of_the_same_shape_become_a_loop_and_what_differs_stays_out() -> None:
    rounds = [
        (step(900 * k + 60, "a", "m", "confirm", value=k), step(900 * k + 61, "m", "a", "on_confirm", value=-k))
        for k in range(5)
    ]
    flat = [step(1, "a", "m", "init"), *(one for pair in rounds for one in pair), step(9000, "m", "a", "on_update")]
    drawn = outline(flat)
    assert told(drawn.items) == ["a>m init", [5, "a>m confirm", "m>a on_confirm"], "m>a on_update"]
    loop = drawn.items[1]
    assert isinstance(loop, Loop)
    assert loop.every_s == 900
    assert isinstance(loop.body[0], Arrow)
    assert loop.body[0].starts == (60, 960, 1860, 2760, 3660)
    assert fields(loop.body[0]) == ("o", "quantity 0 … 4")


def test_loops_hold_loops() -> None:
    flat = []
    for day_ in range(3):
        flat.append(step(10000 * day_, "a", "m", "init"))
        flat += [step(10000 * day_ + 60 * k, "m", "a", "on_status") for k in range(1, 5)]
    assert told(outline(flat).items) == [[3, "a>m init", [4, "m>a on_status"]]]


def test_what_keeps_time_is_drawn_apart_where_that_makes_it_much_shorter() -> None:
    beat = [step(300 * k, "meter", name, "on_status", value=k) for k in range(12) for name in ("a", "b")]
    others = [step(450 + 900 * k, "a", "b", action) for k, action in enumerate(("select", "init", "confirm", "update"))]
    drawn = outline(sorted([*beat, *others], key=lambda one: one.second))
    assert told(drawn.items) == [
        [12, "meter>a on_status", "meter>b on_status"],
        *("a>b select", "a>b init", "a>b confirm", "a>b update"),
    ]
    loop = drawn.items[0]
    assert isinstance(loop, Loop)
    assert (loop.beside, loop.every_s) == (True, 300)
    assert loop_title(loop) == "all the while, 12 times, every 5 min"


def test_who_has_nothing_to_say_in_one_interval_is_no_other_sort_for_that() -> None:
    cars = [f"car-{k}" for k in range(4)]
    flat = [step(60 * k, car, "m", "confirm") for k in range(4) for car in cars if (k, car) != (2, "car-1")]
    (loop,) = outline(flat, dict.fromkeys(cars, "ev")).items
    assert isinstance(loop, Loop)
    assert isinstance(loop.body[0], Arrow)
    assert loop.body[0].peers == (4, 4, 3, 4)
    assert title(loop.body[0]) == "confirm ×3…4"


def test_a_refusal_is_another_shape() -> None:
    flat = [step(60 * k, "a", "m", code="BIZ_X" if k == 3 else "") for k in range(8)]
    assert told(outline(flat).items) == [[3, "a>m status"], "a>m status", [4, "a>m status"]]


def test_peers_of_a_kind_share_a_lifeline_and_an_arrow() -> None:
    cars = [f"car-{k}" for k in range(1, 5)]
    flat = [
        *(step(1, car, "m", "init", value=k) for k, car in enumerate(cars)),
        *(step(2, "m", car, "on_status") for car in cars),
    ]
    drawn = outline(flat, dict.fromkeys(cars, "ev"))
    line = "car-1…4 (4)"
    assert drawn.lifelines == {line: tuple(cars), "m": ("m",)}
    assert told(drawn.items) == [f"{line}>m init", f"m>{line} on_status"]
    assert isinstance(drawn.items[0], Arrow)
    assert drawn.items[0].peers == (4,)
    assert fields(drawn.items[0]) == ("o", "quantity 0 … 3")


def test_who_does_something_else_has_a_lifeline_of_his_own_and_so_has_who_was_asked_for() -> None:
    cars = [f"car-{k}" for k in range(1, 7)]
    flat = [*(step(1, car, "m") for car in cars), step(2, "car-6", "m", "rate")]
    kinds = dict.fromkeys(cars, "ev")
    assert list(outline(flat, kinds).lifelines) == ["car-1…5 (5)", "m", "car-6"]
    assert list(outline(flat, kinds, apart=["car-1"]).lifelines) == ["car-1", "m", "car-2…5 (4)", "car-6"]
    assert list(outline(flat, kinds, whole=True).lifelines) == ["car-1", "m", *cars[1:]]


def test_one_kind_under_two_names_is_two_lifelines() -> None:
    names = [f"{stem}-{k}" for stem in ("roof", "farm") for k in range(1, 4)]
    drawn = outline([step(1, name, "m") for name in names], dict.fromkeys(names, "solar"))
    assert list(drawn.lifelines) == ["roof-1…3 (3)", "m", "farm-1…3 (3)"]


def test_where_it_is_crowded_two_share_a_lifeline_under_any_names() -> None:
    leaves = {"roof-1": "north", "mill": "north", "barn": "south", "shed": "south"}
    actions = ("select", "init", "confirm", "update", "status", "track", "cancel", "rate", "support")
    flat = []
    for second, action in enumerate(actions * 8):
        flat += [step(100 * second + second**2 % 7, leaf, level, action) for leaf, level in leaves.items()]
        flat += [step(100 * second + 10, level, "m", action) for level in ("north", "south")]
    kinds = dict.fromkeys(leaves, "solar") | dict.fromkeys(("north", "south"), "aggregator")
    assert list(outline(flat[:54], kinds).lifelines) == ["roof-1", "north", "mill", "barn", "south", "shed", "m"]
    crowded = [one for turn in range(9) for one in flat[turn * 48 : turn * 48 + 40 - turn]]
    drawn = outline(crowded, kinds)
    assert list(drawn.lifelines.values()) == [("roof-1", "mill", "barn", "shed"), ("north", "south"), ("m",)]


def test_two_of_a_kind_and_those_who_speak_with_one_another_stay_apart() -> None:
    two = [step(1, car, "m") for car in ("car-1", "car-2")]
    assert list(outline(two, {"car-1": "ev", "car-2": "ev"}).lifelines) == ["car-1", "m", "car-2"]
    ring = [step(1, a, b) for a, b in (("x", "y"), ("y", "z"), ("z", "x"))]
    assert list(outline(ring, dict.fromkeys("xyz", "ev")).lifelines) == ["x", "y", "z"]


names = st.sampled_from(["a", "b", "c", "d"])
talks = st.lists(
    st.tuples(names, names, st.sampled_from(["init", "on_init", "status"]), st.integers(0, 2), st.integers(0, 60)),
    max_size=40,
).map(
    lambda called: tuple(
        step(60 * place + second, a, b, action, depth=depth)
        for place, (a, b, action, depth, second) in enumerate(called, start=1)
    )
)


@given(talks)
def test_folding_loses_no_message_and_invents_none(talk: tuple[Step, ...]) -> None:
    drawn = outline(talk, dict.fromkeys("abcd", "ev"))
    assert sorted(one.seq for one in all_steps(drawn.items)) == sorted(one.seq for one in talk)
    assert told(outline(talk, whole=True).items) == [f"{one.sender}>{one.receiver} {one.action}" for one in talk]


@given(st.lists(st.integers(0, 2), max_size=40))
def test_the_repetition_that_is_found_is_one_and_none_saves_more(marks: list[int]) -> None:
    best = 0
    for period in range(1, len(marks) // 2 + 1):
        for start in range(len(marks)):
            times = 1
            while marks[start : start + period] == marks[start + times * period : start + (times + 1) * period] != []:
                times += 1
                if len(marks[start + times * period :]) < period:
                    break
            if len(marks) - start >= period:
                best = max(best, (times - 1) * period)
    found = repeated(marks)
    if found is None:
        assert best < 2
    else:
        start, period, times = found
        turns = [marks[start + k * period : start + (k + 1) * period] for k in range(times)]
        assert turns == [turns[0]] * times
        assert (times - 1) * period == best


def run_of(day: Run, talk: Sequence[Step], **options: Any) -> str:
    return mermaid(day, outline(talk, **options))


def test_a_diagram_nests_legs_tells_pauses_and_crosses_refusals(day: Run) -> None:
    talk = [
        step(0, "a", "b", "init", value=2.5),
        step(1, "b", "c", "init", depth=1),
        step(2, "c", "b", "on_init", depth=1),
        step(3, "b", "a", "on_init"),
        dataclasses.replace(step(3600, "a", "b", "cancel", code="PRC_LATE"), context={"try": True}),
    ]
    at = [f"{day.calendar.local(second):%H:%M:%S}" for second in (0, 3600)]
    assert run_of(day, talk) == (
        "sequenceDiagram\n"
        "    participant p1 as a\n"
        "    participant p2 as b\n"
        "    participant p3 as c\n"
        f"    Note over p1,p3: {at[0]}\n"
        "    p1->>p2: init<br/>o · quantity 2.5\n"
        "    rect rgba(120, 144, 180, 0.13)\n"
        "        p2->>p3: init<br/>o · quantity 1\n"
        "        p3-->>p2: on_init\n"
        "    end\n"
        "    p2-->>p1: on_init\n"
        f"    Note over p1,p3: {at[1]}\n"
        "    p1-xp2: cancel (try) PRC_LATE\n"
    )


@given(talks)
def test_every_block_of_a_diagram_is_closed(day: Run, talk: tuple[Step, ...]) -> None:
    level = 0
    for line in run_of(day, talk, kinds=dict.fromkeys("abcd", "ev")).splitlines():
        word = line.split()[0]
        level += (word in ("rect", "loop")) - (word == "end")
        assert level >= 0
    assert level == 0


@given(st.text(max_size=30))
def test_no_sign_of_mermaid_comes_through(text: str) -> None:
    safe = escaped(text)
    assert not re.search(r"[;<>&%$`{}\"\\]|\n", re.sub(r"#\d+;", "", safe))
    assert not re.match(r":?(no)?wrap:", safe, re.IGNORECASE)
    back = re.sub(r"#(\d+);", lambda found: chr(int(found[1])), safe)
    assert back == re.sub(r"\s+", " ", text)


@given(talks)
def test_text_keeps_to_a_hundred_columns(day: Run, talk: tuple[Step, ...]) -> None:
    renamed = [dataclasses.replace(one, sender=one.sender * 40, receiver=one.receiver * 40) for one in talk]
    text = as_text(day, outline(renamed))
    assert all(len(line) <= 100 for line in text.splitlines())


def test_a_day_of_a_market_is_read_on_one_screen_and_unfolded_in_full(day: Run) -> None:
    cars = [f"car-{k:02}" for k in range(1, 21)]
    talk = []
    for interval in range(96):
        at = 900 * interval
        talk += [step(at, car, "m", "confirm", value=interval) for car in cars]
        talk += [step(at + 60, "m", "m", "aggregate"), step(at + 61, "m", "m", "on_aggregate")]
        talk += [step(at + 62, "m", car, "on_confirm") for car in cars]
    folded = as_text(day, outline(talk, dict.fromkeys(cars, "ev"))).splitlines()
    assert folded[0].strip() == "96 times, every 15 min:"
    assert len(folded) == 5
    assert len(as_text(day, outline(talk, whole=True)).splitlines()) == len(talk) == 96 * 42


def test_nothing_said_is_nothing_drawn(day: Run) -> None:
    nothing = outline(())
    assert nothing == Outline({}, ())
    assert as_text(day, nothing) == ""
    assert mermaid(day, nothing) == "sequenceDiagram\n"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (45, "45 s"), (900, "15 min"), (5400, "1 h 30 min"), (3661, "1 h 1 min 1 s")]
)
def test_a_span_reads_like_one(seconds: int, text: str) -> None:
    assert span(seconds) == text
