"""The terms of a call: whom an event is offered to, when, for which hours, and against which baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agents.baseline import Method

Level = Literal["ADVISORY", "MANDATORY", "EMERGENCY"]


@dataclass(frozen=True, slots=True)
class Call:
    """How an item is offered: not in a catalogue, but by a call to those who hold a deal of another item.

    holders_of: that item.  at_s: simulated second of the call; None where ``serves`` names an item whose deals are delivered
    by it: the call then goes out when such a deal is agreed, for its window and its energy.  answer_s: how long an answer may
    take.  start_s, end_s: of the event.  kw: asked of everybody; None for a share of what is served, by baseline.
    method, before_s: of the baseline, and how long before the call the meter is compared with earlier days.
    """

    holders_of: str
    answer_s: int
    method: Method
    level: Level = "ADVISORY"
    at_s: int | None = None
    serves: str = ""
    start_s: int = 0
    end_s: int = 0
    kw: float | None = None
    before_s: int = 0
