"""A difference in words and numbers, and as JSON."""

from __future__ import annotations

import itertools
import json
import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from results.difference.documents import ABSENT, Field, is_number
from results.difference.model import Differences, Entry, First, Number, Total
from results.difference.totals import PARTIES
from results.text import short

WIDTH = 110
"""Columns of the text."""
SHOWN = 8
"""Fields of a message, and parties, that are told before the rest is counted."""
NAMES = 10
"""Participants that are named before the rest is counted."""
_DIGITS = 6
_WHOLE = 1e12
"""Whole numbers up to here are counts, and written in full."""
_NOTHING = "–"
_SAME = {
    True: "no difference: the journals are the same, byte for byte",
    False: "no difference beyond the tolerance",
}

Line = tuple[str, str, str, str]
"""What, the first run's, the second's, the difference."""


def render(found: Differences) -> str:
    """The difference as text of 110 columns, without a newline at the end."""
    lines = [*_sides(found)]
    lines += [line for note in found.notes for line in textwrap.wrap(f"note: {note}", WIDTH, subsequent_indent="  ")]
    if found.alike:
        is_same = found.one.head != "" and found.one.head == found.two.head
        lines += ["", _SAME[is_same]]
    lines += _block("scenario", [_line(field) for field in found.asked])
    lines += _block("made with", [_line(field) for field in found.made])
    lines += _participants(found)
    for first in found.firsts:
        lines += _first(first)
    for group, totals in itertools.groupby(found.totals, key=lambda total: total.group):
        rows = [_total(total) for total in totals]
        lines += _block(group, *(_cut(rows) if group == PARTIES else (rows, "")))
    return "\n".join(lines)


def _sides(found: Differences) -> Iterator[str]:
    for number, one in ((1, found.one), (2, found.two)):
        policy = f"policy {one.policy}" if one.policy else "no market"
        ended = "" if one.complete else ", never finished"
        yield short(f"{number}  {one.name}: {policy}, seed {one.seed}{ended}  ({one.path})", WIDTH)
        yield f"   {one.intervals} intervals of {one.interval_min:g} min from {one.start}, paid in {one.currency}"


def _participants(found: Differences) -> list[str]:
    lines: list[str] = []
    for number, names in ((1, found.only_one), (2, found.only_two)):
        if names:
            rest = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
            told = f"only in {number}: {', '.join(names[:NAMES])}{rest}"
            lines += textwrap.wrap(told, WIDTH, initial_indent="  ", subsequent_indent="    ")
    return ["", "participants", *lines] if lines else []


def _first(first: First) -> list[str]:
    count = f" ({first.apart:,} of {first.of:,} differ)" if first.apart is not None and first.of is not None else ""
    lines = ["", f"first {first.kind} that differs{count}"]
    same = first.one is not None and first.two is not None and _who(first.one) == _who(first.two) and bool(first.fields)
    if same and first.one is not None:
        lines.append(short(f"  {_who(first.one)}", WIDTH))
    else:
        for number, entry in ((1, first.one), (2, first.two)):
            told = "nothing" if entry is None else f"{_who(entry)}{': ' if entry.what else ''}{entry.what}"
            lines.append(short(f"  {number}  {told}", WIDTH))
    rows, rest = _cut([_line(field) for field in first.fields])
    return lines + _rows(rows, indent=4) + ([f"    {rest}"] if rest else [])


def _who(entry: Entry) -> str:
    place = "" if entry.interval is None else f", interval {entry.interval}"
    number = "" if entry.seq is None else f" (message {entry.seq})"
    return f"{entry.at}{place}, {entry.who}{number}"


def _cut(rows: Sequence[Line]) -> tuple[Sequence[Line], str]:
    return (rows, "") if len(rows) <= SHOWN + 1 else (rows[:SHOWN], f"and {len(rows) - SHOWN} more")


def _block(title: str, rows: Sequence[Line], rest: str = "") -> list[str]:
    return ["", title, *_rows(rows, 2), *([f"  {rest}"] if rest else [])] if rows else []


def _rows(rows: Sequence[Line], indent: int) -> list[str]:
    room = (WIDTH - indent - 6) // 4
    label = min(max((len(row[0]) for row in rows), default=0), 2 * room)
    widths = [min(max(len(row[at]) for row in rows), room) for at in (1, 2, 3)] if rows else []
    return [
        (" " * indent + "  ".join([f"{short(row[0], label):{label}}", *_cells(row[1:], widths)])).rstrip()
        for row in rows
    ]


def _cells(texts: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    for text, width in zip(texts, widths, strict=True):
        yield f"{short(text, width):>{width}}"


def _line(field: Field) -> Line:
    what = f"{field.where} [{field.unit}]" if field.unit and field.unit != "1" else field.where
    apart = ""
    if _is_amount(field.one) and _is_amount(field.two):
        apart = _signed(field.two - field.one)
    return what, _told(field.one, field.two), _told(field.two, field.one), apart


def _total(total: Total) -> Line:
    what = f"{total.name} [{total.unit}]" if total.unit and total.unit != "1" else total.name
    apart = _NOTHING if total.difference is None else _signed(total.difference)
    return what, _told(total.one, total.two), _told(total.two, total.one), apart


def _is_amount(value: Any) -> bool:
    return is_number(value) or isinstance(value, Decimal)


def _told(value: Any, other: Any) -> str:
    """A value with six digits, or with all of them where six would make it the same as the other."""
    if value is None and not isinstance(other, str | bool) and other is not None and _is_amount(other):
        return _NOTHING
    if value is ABSENT:
        return _NOTHING
    if _is_amount(value):
        text = _number(value)
        return repr(value) if _is_amount(other) and value != other and text == _number(other) else text
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False, default=str)


def _number(value: Number) -> str:
    if isinstance(value, Decimal):
        return f"{value:,f}"
    is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE)
    return f"{value:,.0f}" if is_whole else f"{value:,.{_DIGITS}g}"


def _signed(value: Number) -> str:
    return f"{value:+,f}" if isinstance(value, Decimal) else f"{value:+,.{_DIGITS}g}"


# --- as JSON ----------------------------------------------------------------------------------------------------------


def as_json(found: Differences) -> str:
    """The difference as one JSON object: money as text, what a run has not as null or left out of a field."""
    said = {
        "alike": found.alike,
        "one": asdict(found.one),
        "two": asdict(found.two),
        "notes": found.notes,
        "scenario": [_field(field) for field in found.asked],
        "madeWith": [_field(field) for field in found.made],
        "onlyInOne": found.only_one,
        "onlyInTwo": found.only_two,
        "firsts": [_first_said(first) for first in found.firsts],
        "totals": [_total_said(total) for total in found.totals],
    }
    return json.dumps(said, indent=2, ensure_ascii=False, default=str, allow_nan=False)


def _field(field: Field) -> dict[str, Any]:
    sides = {name: value for name, value in (("one", field.one), ("two", field.two)) if value is not ABSENT}
    return {"where": field.where, **sides, **({"unit": field.unit} if field.unit else {})}


def _first_said(first: First) -> dict[str, Any]:
    sides = {side: None if entry is None else asdict(entry) for side, entry in (("one", first.one), ("two", first.two))}
    counts = {} if first.apart is None else {"apart": first.apart, "of": first.of}
    return {"kind": first.kind, **sides, "fields": [_field(field) for field in first.fields], **counts}


def _finite(value: Number) -> Number:
    """A ratio to nothing is infinite, which JSON cannot say."""
    return value if value is None or math.isfinite(value) else None


def _total_said(total: Total) -> dict[str, Any]:
    return {
        "group": total.group,
        "name": total.name,
        "unit": total.unit,
        "one": _finite(total.one),
        "two": _finite(total.two),
        "difference": _finite(total.difference),
    }
