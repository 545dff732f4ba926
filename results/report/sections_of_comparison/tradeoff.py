"""Two metrics set against each other."""

from __future__ import annotations

from typing import Any

from results.comparison.opposed import opposed
from results.report.sections_of_comparison.subject import Subject


def data(subject: Subject) -> dict[str, Any] | None:
    """The two metrics that are shown first, by place; the numbers are the overview's."""
    places = {measure.name: place for place, measure in enumerate(subject.measures)}
    pair = [places[measure.name] for measure in opposed(subject.comparison) or () if measure.name in places]
    if len(pair) < 2 or len(subject.comparison.variants) < 2:
        return None
    return {"across": pair[0], "up": pair[1]}
