"""Moments and windows of time as texts: whether a period has ended, and whether a window overlaps a span."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from msgspec import UnsetType

DAY = timedelta(days=1)
SOME_DAY = "2000-01-01"
BEGINNING, END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def moment(text: object) -> datetime | None:
    """The moment that an RFC 3339 date-time with offset names; None for anything else."""
    if not isinstance(text, str) or "T" not in text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if found.tzinfo is None else found


def time_of_day(text: object, zone: tzinfo | None) -> datetime | None:
    """The time of day that an RFC 3339 time names, on some day, in ``zone`` where it has no offset; None for anything else."""
    if not isinstance(text, str) or "T" in text:
        return None
    try:
        found = datetime.fromisoformat(f"{SOME_DAY}T{text}")
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=zone)


def ended(ends: Iterable[str | UnsetType], at: datetime) -> bool:
    """Whether one of these ends of a period lies at or before a moment; times of day come again and never end."""
    return any(end is not None and end <= at for end in map(moment, ends))


def overlaps(window: Mapping[str, Any], start: datetime, end: datetime) -> bool:
    """Whether a window and the half-open span from ``start`` to ``end`` have a moment in common.

    A window has dates (``startDate``, ``endDate``, or date-times in ``startTime``, ``endTime``), either of which may be
    missing, and times of day between which it is open on each of them; from 22:00 to 06:00 is a night.  ``schema:`` before the
    names is the published spelling.  A time of day without offset is in the zone of ``start``.
    """
    names = {key.removeprefix("schema:"): value for key, value in window.items()}
    first, last = (
        next(filter(None, (moment(names.get(f"{side}Date")), moment(names.get(f"{side}Time")))), None)
        for side in ("start", "end")
    )
    opens, closes = (time_of_day(names.get(f"{side}Time"), start.tzinfo) for side in ("start", "end"))
    since, until = max(start, first or BEGINNING), min(end, last or END)
    if since >= until:
        return False
    return opens is None or closes is None or _open_between(opens, closes, since, until)


def _open_between(opens: datetime, closes: datetime, since: datetime, until: datetime) -> bool:
    if until - since >= DAY:
        return True
    # A night that began the day before, by the window's own clock, may still last.
    day = since.astimezone(opens.tzinfo).date() - DAY
    return any(_day_overlaps(datetime.combine(day + n * DAY, opens.timetz()), closes, since, until) for n in range(4))


def _day_overlaps(begins: datetime, closes: datetime, since: datetime, until: datetime) -> bool:
    ends = datetime.combine(begins.date(), closes.timetz())
    if ends <= begins:
        ends += DAY
    return begins < until and since < ends
