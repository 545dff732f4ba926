"""Local times of a scenario, as seconds of its run."""

from __future__ import annotations

from datetime import datetime, timedelta

from scenarios.parties import Moment
from sim.clock import DAY_S, Calendar


def minute_of(text: str) -> int:
    """Minute of the day of a local time such as ``14:30``; of ``24:00`` the one after the last."""
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def second_of(moment: Moment, calendar: Calendar) -> int:
    """Simulated second of a local time: the first that is not before the start, or the one of a date."""
    start = calendar.local(0)
    if isinstance(moment, datetime):
        return round((moment.replace(tzinfo=start.tzinfo) - start).total_seconds())
    then = start.replace(hour=0, minute=0, second=0) + timedelta(minutes=minute_of(moment))
    seconds = round((then - start).total_seconds())
    return seconds if seconds >= 0 else seconds + DAY_S


def until(start_s: int, end_s: int) -> int:
    """The end of a span that begins at a local time and ends at the next of another: a day later, where that comes before."""
    return end_s if end_s > start_s else end_s + DAY_S
