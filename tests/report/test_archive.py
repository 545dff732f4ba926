"""What is packed for a page comes back to the letter, in Python as in the browser."""

from __future__ import annotations

import base64
import itertools
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from results.report import archive
from results.report.archive import Packed, of_run, pack
from results.run import Run
from scenarios.reader import read
from scenarios.runner import execute

SCENARIOS = Path(__file__).parents[2] / "scenarios"
ASSET = Path(archive.__file__).parent / "assets" / "archive.js"
IDENTIFIERS = st.uuids().map(str)
DIGESTS = st.binary(min_size=64, max_size=64).map(lambda raw: "BLAKE-512=" + base64.b64encode(raw).decode())
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["", "ACK", "__proto__", "toString", "BLAKE-512=", "\u2028", "a/b"]),
    IDENTIFIERS,
    DIGESTS,
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from("abcd") | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=20,
)
MESSAGES = st.lists(VALUES, max_size=12)
ODD = [
    b'{"a": 1}',
    b'{"a":1,"a":2}',
    b'"\\u00e9"',
    b"1.00",
    b"1e5",
    b'{"a":12345678901234567890123}',
    b'"\\ud800"',
    b"-0",
]


def unpacked(packed: Packed) -> list[str]:
    """The messages of a packed archive, read as its description says and in no other way."""
    nodes = packed["nodes"]
    identifiers = base64.b64decode(packed["identifiers"])
    counted = itertools.count()
    leaves = [_leaves(node.get("leaves"), identifiers, counted) for node in nodes]
    parts = [{name: _integers(node.get(name)) for name in ("code", "lists", "lengths")} for node in nodes]
    known: list[str] = []

    def value(number: int) -> str:
        code = next(parts[number]["code"])
        if code == 0:
            return next(leaves[number])
        if code == 1:
            reference = next(parts[number]["lists"])
            if reference:
                return known[reference - 1]
            inside = [value(nodes[number]["items"]) for _ in range(next(parts[number]["lengths"]))]
            known.append(f"[{','.join(inside)}]")
            return known[-1]
        pairs = nodes[number]["shapes"][code - 2]
        return "{" + ",".join(f"{_quoted(key)}:{value(below)}" for key, below in pairs) + "}"

    return [value(0) for _ in range(packed["count"])]


def _integers(packed: Any) -> Iterator[int]:
    if packed is None or isinstance(packed, int):
        return itertools.repeat(packed)
    return iter(packed) if isinstance(packed, list) else itertools.accumulate(packed["d"])


def _leaves(packed: Packed | None, identifiers: bytes, counted: Iterator[int]) -> Iterator[str]:
    if packed is None:
        return iter(())
    if "int" in packed:
        return map(str, _integers(packed["int"]))
    if "uuid" in packed:
        return _uuids(packed["uuid"], identifiers, counted)
    if "bytes" in packed:
        raw, size = base64.b64decode(packed["bytes"]), packed["size"]
        cut = (raw[k : k + size] for k in range(0, len(raw), size))
        return (_quoted(packed["prefix"] + base64.b64encode(part).decode()) for part in cut)
    kind = "text" if "text" in packed else "json"
    words = packed["of"] if "of" in packed else packed[kind]
    texts = (words[k] for k in _integers(packed["at"])) if "of" in packed else iter(words)
    return (_quoted(text) for text in texts) if kind == "text" else texts


def _uuids(packed: list[int], identifiers: bytes, counted: Iterator[int]) -> Iterator[str]:
    def one(code: int) -> str:
        number = next(counted) if code == 0 else code - 1
        raw = identifiers[16 * number : 16 * number + 16].hex()
        return _quoted("-".join((raw[:8], raw[8:12], raw[12:16], raw[16:20], raw[20:])))

    return iter([one(code) for code in packed])


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


@given(MESSAGES)
@example([{"a": 1}, {"a": 1.0}, {"a": True}, {"a": "1"}, {"a": None}, {"a": -0.0}, {"a": 0}])
@example([[[1], [1], [[1]]], [[1]], {"a": [[]], "b": [[], []]}])
@example([{"a": "x", "b": [{"a": 1}]}, {"b": [], "a": {"b": 1}}, 7])
@settings(max_examples=150)
def test_any_messages_come_back_to_the_letter(messages: list[Any]) -> None:
    lines = [msgspec.json.encode(message) for message in messages]
    assert unpacked(_travelled(pack(lines))) == [line.decode() for line in lines]


def test_what_json_can_write_in_several_ways_comes_back_as_it_was_written() -> None:
    lines = [*ODD, b'{"a":1}', *ODD]
    assert unpacked(_travelled(pack(lines))) == [line.decode() for line in lines]


def _travelled(packed: Packed) -> Packed:
    read: Packed = json.loads(msgspec.json.encode(packed))
    return read


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(execute(read(SCENARIOS / "use_cases" / "forecasts.yaml"), tmp_path_factory.mktemp("archive") / "run"))


def test_a_run_s_messages_come_back_to_the_letter(small: Run) -> None:
    lines = [line.rstrip(b"\n") for line in small.journal_lines() if json.loads(line)["kind"] == "message"]
    carried = of_run(small)
    assert (carried.count, carried.left) == (len(lines), 0)
    packed = json.loads(zlib.decompress(carried.deflated))
    assert unpacked(packed) == [line.decode() for line in lines]
    assert len(carried.deflated) < sum(map(len, lines)) / 12


def test_a_page_carries_the_first_messages_as_far_as_they_fit(small: Run) -> None:
    whole = of_run(small)
    part = of_run(small, most_bytes=len(whole.deflated) // 3)
    assert 0 < part.count < whole.count
    assert part.count + part.left == whole.count
    assert len(part.deflated) <= len(whole.deflated) // 3
    assert len(part.deflated) > len(whole.deflated) // 5
    few = of_run(small, most_messages=5)
    assert (few.count, few.left) == (5, whole.count - 5)
    first = unpacked(json.loads(zlib.decompress(whole.deflated)))[:5]
    assert unpacked(json.loads(zlib.decompress(few.deflated))) == first


@pytest.mark.slow
def test_the_page_s_script_reads_the_street_s_messages_to_the_letter(browser, tmp_path: Path) -> None:
    run = Run(execute(read(SCENARIOS / "street.yaml"), tmp_path / "run"))
    lines = [line.decode() for line in archive.message_lines(run)]
    carried = of_run(run)
    assert (carried.count, carried.left) == (len(lines), 0)
    sample = [*range(0, len(lines), 997), len(lines) - 1]
    page = browser.new_page()
    page.evaluate("() => { globalThis.degsim = {}; }")
    page.add_script_tag(content=ASSET.read_text(encoding="utf-8"))
    texts = page.evaluate(
        "([text, sample]) => { const archive = degsim.unpacked(JSON.parse(text)); return sample.map((i) => archive.text(i)); }",
        [zlib.decompress(carried.deflated).decode(), sample],
    )
    page.close()
    assert texts == [lines[i] for i in sample]


def _in_browser(browser, lines: list[bytes]) -> list[list[str]]:
    """What the page's script makes of packed lines: in their order, and once more from the last to the first."""
    page = browser.new_page()
    try:
        page.evaluate("() => { globalThis.degsim = {}; }")
        page.add_script_tag(content=ASSET.read_text(encoding="utf-8"))
        return page.evaluate(
            """(text) => {
              const archive = degsim.unpacked(JSON.parse(text));
              const order = Array.from({length: archive.count}, (_, i) => i);
              const there = order.map((i) => archive.text(i));
              const back = order.reverse().map((i) => archive.text(i)).reverse();
              return [there, back];
            }""",
            msgspec.json.encode(pack(lines)).decode(),
        )
    finally:
        page.close()


def test_the_page_s_script_reads_a_run_s_messages_to_the_letter_in_any_order(browser, small: Run) -> None:
    lines = list(archive.message_lines(small))
    there, back = _in_browser(browser, lines)
    assert there == [line.decode() for line in lines]
    assert back == there


def test_the_page_s_script_reads_what_is_odd_to_the_letter(browser) -> None:
    odd = [{"a": 1}, {"a": 1.0}, {"a": -0.0}, {"a": 1e21}, {"a": 1e-7}, {"a": 2**60}, {"a": "\u2028\x1f\x7f</script>"}]
    odd += [{"__proto__": [1, [2, [2]], [1, [2, [2]]]]}, [], [[]], {}, None, "x", {"a": {"a": [{}]}}]
    lines = [*map(msgspec.json.encode, odd), *ODD] * 40
    there, back = _in_browser(browser, lines)
    assert there == [line.decode() for line in lines]
    assert back == there


@given(st.lists(st.lists(VALUES, max_size=6), min_size=25, max_size=25))
@settings(max_examples=4, deadline=None)
def _any(browser, batches: list[list[Any]]) -> None:
    lines = [msgspec.json.encode(message) for batch in batches for message in batch]
    there, _ = _in_browser(browser, lines)
    assert there == [line.decode() for line in lines]


def test_the_page_s_script_reads_any_messages_to_the_letter(browser) -> None:
    _any(browser)
