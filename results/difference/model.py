"""The parts of a difference between two runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from results.difference.documents import Field

Number = float | Decimal | None
"""What a total comes to; None where a run has no such thing."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two runs.

    path: of its folder.  intervals: whole ones that it has; interval_min: their length.  start: local, with its offset.
    complete: whether it ended; what a run that was stopped has is compared as far as it goes.  head: SHA-256 of its journal,
    empty where the run never ended.
    """

    path: str
    name: str
    policy: str
    seed: int
    intervals: int
    interval_min: float
    start: str
    currency: str
    complete: bool
    head: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What one of the runs has at the place where they part.

    at: local time.  interval: its number, None for a message.  who: whom it is about.  what: a few words more; empty where
    the fields say it all.  seq: number of the message in its journal.
    """

    at: str
    who: str
    interval: int | None = None
    what: str = ""
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class First:
    """The first thing of a kind that is not the same in both runs.

    kind: ``message``, ``price``, ``set-point``, ``delivery``, ``flow``, ``posting`` or ``record``.  one, two: None where
    that run has none.  fields: what differs in it.  apart: how many differ of those that both have; None where nobody counted.
    """

    kind: str
    one: Entry | None
    two: Entry | None
    fields: tuple[Field, ...] = ()
    apart: int | None = None
    of: int | None = None


@dataclass(frozen=True, slots=True)
class Total:
    """One sum or metric that moved.  unit: of both; None for a value that a run does not have."""

    group: str
    name: str
    unit: str
    one: Number
    two: Number
    comparable: bool = True

    @property
    def difference(self) -> Number:
        """The second less the first; None where one of them has none, or they are of different units."""
        if not self.comparable or self.one is None or self.two is None:
            return None
        if isinstance(self.one, Decimal) and isinstance(self.two, Decimal):
            return self.two - self.one
        found = float(self.two) - float(self.one)
        return None if math.isnan(found) else found


@dataclass(frozen=True, slots=True)
class Differences:
    """What sets two runs apart, in the order in which one follows from another.

    asked: keys of the resolved scenario.  made: what the runs were made with, which changes nothing by itself.  only_one,
    only_two: participants that the other run has not.  notes: why something could not be set side by side.
    """

    one: Side
    two: Side
    asked: tuple[Field, ...]
    made: tuple[Field, ...]
    only_one: tuple[str, ...] = ()
    only_two: tuple[str, ...] = ()
    firsts: tuple[First, ...] = ()
    totals: tuple[Total, ...] = ()
    notes: tuple[str, ...] = ()
    cut: bool = False

    @property
    def alike(self) -> bool:
        """Whether both runs were asked the same and the same happened in both, as far as ``tolerance`` lets it be told."""
        parts: tuple[Any, ...] = (self.asked, self.only_one, self.only_two, self.firsts, self.totals)
        return not any(parts) and not self.cut
