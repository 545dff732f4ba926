"""Diaries of those who deal one to one: what they do, when, and whether they can."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from agents.diary import Entry
from scenarios.faults import Faults
from scenarios.moments import second_of
from scenarios.parties import DiarySpec
from sim.clock import Calendar
from sim.errors import Fault, nearest


def diary_of(
    entries: Sequence[DiarySpec], where: str, verbs: Collection[str], calendar: Calendar, faults: Faults
) -> tuple[Entry, ...]:
    """A diary of somebody who can do ``verbs``; what they cannot is added to the faults."""
    made = []
    for k, entry in enumerate(entries):
        if entry.do not in verbs:
            faults.append(Fault(f"{where}[{k}].do", f"cannot {entry.do}", nearest(entry.do, verbs)))
        made.append(
            Entry(
                do=entry.do,
                at_s=None if entry.at is None else second_of(entry.at, calendar),
                after_s=round((entry.after_min or 0) * 60),
                every_s=round((entry.every_min or 0) * 60),
                times=entry.times,
                about=entry.item or "",
                say=entry.say,
            )
        )
    return tuple(made)
