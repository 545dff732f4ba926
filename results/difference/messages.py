"""The first message that is not the same in both journals, which are read side by side and never held whole."""

from __future__ import annotations

import base64
import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from results.difference.documents import Field, Reading, fields
from results.difference.model import Entry, First
from results.difference.pair import Pair
from results.run import JOURNAL, Record, Run
from results.sequence import brief
from sim.errors import Fault, RunError
from sim.journal import MESSAGE_LINE
from sim.wire.messages import is_callback

_WRITTEN_LAST = (b'{"kind":"run"', b'{"kind":"commit"')
"""Records that say again what was asked, or that something before them differs."""
_SHOWN_OF_RECORD = ("t", "action", "ack", "error", "note", "body")
"""What is compared of a message's record; its number counts messages, and its signature is of the body."""

_decode = msgspec.json.Decoder(Record).decode


@dataclass(frozen=True, slots=True)
class _Said:
    """A message as its journal has it.  line: its bytes; number: of the line."""

    run: Run
    line: bytes
    number: int

    def record(self) -> Record:
        """Raises ``RunError`` for a line that is no record of a message."""
        try:
            record = _decode(self.line)
            if record.get("encoding") == "base64":
                record["body"] = _read(base64.b64decode(record["body"]))
            return record
        except (ValueError, TypeError) as error:
            where = f"{JOURNAL}:{self.number}"
            raise RunError(str(self.run.path), (Fault(where, f"is not a record: {error}"),)) from error


def _read(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return raw.decode(errors="replace")


def first_message(pair: Pair) -> First | None:
    """The first message between participants of both runs that is not the same; None where there is none.

    Raises ``RunError`` for a journal that is missing or damaged.
    """
    reading = pair.reading()
    sides = ((pair.one, pair.only[0]), (pair.two, pair.only[1]))
    both = itertools.zip_longest(*(_said(run, frozenset(left_out), pair.until_s) for run, left_out in sides))
    for ours, theirs in both:
        if ours is not None and theirs is not None and ours.line == theirs.line:
            reading.names.learn(ours.line)
            continue
        if ours is not None and theirs is not None and reading.names.same_lines(ours.line, theirs.line):
            continue
        found = _apart(pair, reading, ours, theirs)
        if found is not None:
            return found
    return None


def _said(run: Run, left_out: frozenset[str], until_s: float) -> Iterator[_Said]:
    """The messages of a run before a second, but for those from or to whom is left out."""
    for number, line in enumerate(run.journal_lines(), start=1):
        if not line.startswith(MESSAGE_LINE):
            continue
        said = _Said(run, line, number)
        if until_s < math.inf and int(said.record()["t"]) >= until_s:
            continue
        if not left_out or not left_out & {*_parties(said.record())}:
            yield said


def _context(record: Record) -> Record:
    body = record["body"]
    context = body.get("context") if isinstance(body, dict) else None
    return context if isinstance(context, dict) else {}


def _parties(record: Record) -> tuple[str, str]:
    """Sender and receiver."""
    context = _context(record)
    caller, answerer = str(context.get("bapId", "?")), str(context.get("bppId", "?"))
    return (answerer, caller) if is_callback(str(record["action"])) else (caller, answerer)


def _apart(pair: Pair, reading: Reading, ours: _Said | None, theirs: _Said | None) -> First | None:
    one, two = (None if said is None else said.record() for said in (ours, theirs))
    found: tuple[Field, ...] = ()
    if one is not None and two is not None:
        found = tuple(fields(_shown(one), _shown(two), reading))
        if not found:
            return None
        if _title(one) != _title(two):
            found = ()  # another message, which differs in everything
    entries = [None if r is None else _entry(run, r) for run, r in ((pair.one, one), (pair.two, two))]
    return First("message", entries[0], entries[1], found)


def _shown(record: Record) -> Record:
    return {name: record[name] for name in _SHOWN_OF_RECORD if name in record}


def _title(record: Record) -> tuple[str, str, str]:
    return (*_parties(record), str(record["action"]))


def _entry(run: Run, record: Record) -> Entry:
    sender, receiver, action = _title(record)
    body = record["body"]
    content = body.get("message") if isinstance(body, dict) else None
    told = brief(action, content) if isinstance(content, dict) else {}
    refused = "" if record["ack"] == "ACK" else "refused; "
    said = ", ".join(f"{path.rsplit('.', 1)[-1]} {value}" for path, value in told.items())
    at = run.calendar.timestamp(int(record["t"]))
    return Entry(at, f"{sender} → {receiver} {action}", what=refused + said, seq=int(record["seq"]))


def first_record(pair: Pair) -> First | None:
    """The first line of the journals that is not the same byte for byte, where nothing else tells them apart."""
    lines = (run.journal_lines() for run in (pair.one, pair.two))
    for number, (ours, theirs) in enumerate(itertools.zip_longest(*lines), start=1):
        if ours == theirs or (ours or theirs or b"").startswith(_WRITTEN_LAST):
            continue
        if ours is None or theirs is None:
            return None
        one, two = (_Said(run, line, number).record() for run, line in ((pair.one, ours), (pair.two, theirs)))
        entries = [Entry(f"line {number}", str(record.get("kind", "?"))) for record in (one, two)]
        return First("record", entries[0], entries[1], tuple(_exact(one, two, "")))
    return None


def _exact(one: Any, two: Any, where: str) -> Iterator[Field]:
    if isinstance(one, dict) and isinstance(two, dict) and one.keys() == two.keys():
        for name in one:
            yield from _exact(one[name], two[name], f"{where}/{name}")
    elif one != two:
        yield Field(where, one, two)
