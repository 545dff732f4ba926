"""Two runs beside each other, and how far they can be set side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from results.difference.documents import Names, Reading, since
from results.run import Run


@dataclass(frozen=True)
class Pair:
    """one, two: the runs.  tolerance: relative, of numbers.  echoes: as in ``documents.Reading``."""

    one: Run
    two: Run
    tolerance: float = 0.0
    echoes: frozenset[tuple[str, str]] = frozenset()

    @cached_property
    def counts(self) -> tuple[int, int]:
        """Whole intervals that each has."""
        return len(self.one.intervals), len(self.two.intervals)

    @cached_property
    def has_intervals_in_common(self) -> bool:
        """Whether the intervals of both are equally long, so that powers and energies of them mean the same."""
        return bool(self.one.hours == self.two.hours and min(self.counts))

    @cached_property
    def starts_together(self) -> bool:
        """Whether both start at the same instant."""
        return self.one.calendar.start == self.two.calendar.start

    @cached_property
    def only(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Participants that the other run has not."""
        ours, theirs = self.one.kinds, self.two.kinds
        return tuple(era for era in ours if era not in theirs), tuple(era for era in theirs if era not in ours)

    @cached_property
    def same_currency(self) -> bool:
        """Whether money of both can be set off."""
        return bool(self.one.manifest["currency"] == self.two.manifest["currency"])

    @cached_property
    def until_s(self) -> float:
        """Simulated second up to which both say what they would if they ended together; infinite where they do.

        In its last interval a run has no next one to prepare, so that what is said in it is that of no longer run.
        """
        ours, theirs = (
            count * run.calendar.interval_s for count, run in zip(self.counts, (self.one, self.two), strict=True)
        )
        if ours == theirs:
            return math.inf
        return min(ours, theirs) - (self.one if ours < theirs else self.two).calendar.interval_s

    def reading(self) -> Reading:
        """How what the runs say is compared: where they start apart, times count from each run's own start."""
        times = None
        if not self.starts_together:
            times = since(self.one.calendar.start), since(self.two.calendar.start)
        return Reading(Names(), self.tolerance, times, self.echoes)

    def common(self, table: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """A table of both, with those rows whose interval both have."""
        shared = min(self.counts)
        ours, theirs = (run.table(table) for run in (self.one, self.two))
        return ours[ours["interval"] < shared], theirs[theirs["interval"] < shared]
