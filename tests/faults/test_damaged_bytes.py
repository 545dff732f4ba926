"""Bytes that were damaged on the way: always an answer, never a crash, and a journal that can be read."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.exchange import convert, validate
from sim.wire.examples import EXAMPLES, example_bytes
from tests.json_values import places, value_at
from tests.test_bus import Network

SENT = [(action, example_bytes(message)) for action, messages in EXAMPLES.items() for message in messages]
SPLINTERS = [
    b"\xff",
    b"\x00",
    b"\n",
    b"\r",
    b"\\ud800",
    b"NaN",
    b"1e999",
    b"[[[",
    b"}",
    b'"',
    b"\xed\xa0\x80",
    b"null",
    b"{}",
]
ODD = (
    None,
    True,
    0,
    -1,
    1e300,
    10**30,
    "",
    "\n\x1b[31m",
    [],
    {},
    [[]],
    {"a": {}},
    "CREATED",
    "2025-13-01T00:00:00Z",
    ["x"],
)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    """An action and the bytes of one of its messages, struck once to three times."""
    action, raw = draw(st.sampled_from(SENT))
    for _ in range(draw(st.integers(1, 3))):
        at, length = draw(st.integers(0, len(raw) - 1)), draw(st.integers(0, 12))
        raw = raw[:at] + draw(st.sampled_from(SPLINTERS) | st.binary(max_size=2)) + raw[at + length :]
    return draw(st.sampled_from([action, action, action, "barter", ""])), raw


@settings(max_examples=300)
@given(st.lists(damaged(), min_size=1, max_size=4), st.sampled_from([None, "", "\ud800", "Signature keyId"]))
def test_whatever_arrives_is_answered_and_journaled_a_line_each(
    messages: list[tuple[str, bytes]], header: str | None
) -> None:
    network = Network()
    for action, raw in messages:
        status, code = network.give(action, raw, header)
        assert (status == "NACK") == bool(code)
    network.journal.commit(0)
    lines = network.sink.getvalue().split(b"\n")[:-1]
    assert [msgspec.json.decode(line)["kind"] for line in lines] == ["message"] * len(messages) + ["commit"]


@settings(max_examples=300)
@given(st.data())
def test_whatever_stands_in_a_file_is_judged_and_what_is_converted_is_valid(data: st.DataObject) -> None:
    _, raw = data.draw(st.sampled_from(SENT))
    document = json.loads(raw)
    path = data.draw(st.sampled_from(list(places(document))))
    value_at(document, path[:-1])[path[-1]] = data.draw(st.sampled_from(ODD))
    said: list[str] = []
    text = json.dumps(document)
    validate(["file"], lambda _: text, said.append, said.append)
    for target in ("lts", "rc"):
        made = convert("file", target, lambda _: text, said.append)
        assert made is None or validate(["made"], lambda _, made=made: made, said.append, said.append) == (True, True)  # type: ignore[misc]
    assert all(line.isprintable() for line in said)
