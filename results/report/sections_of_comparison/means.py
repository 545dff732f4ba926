"""The table of variants by metrics."""

from __future__ import annotations

from typing import Any

from results.comparison import headline
from results.report.sections_of_comparison.subject import Subject


def data(subject: Subject) -> dict[str, Any] | None:
    """The metrics that are shown first, by their place among all; the numbers are the overview's."""
    if not subject.comparison.observations:
        return None
    return {"headline": places(subject)}


def places(subject: Subject) -> list[int]:
    """Places of the headline metrics."""
    first = {measure.name for measure in headline(subject.comparison)}
    return [place for place, measure in enumerate(subject.measures) if measure.name in first]
