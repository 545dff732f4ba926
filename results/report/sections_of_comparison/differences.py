"""By how much each variant differs from a baseline that the reader chooses."""

from __future__ import annotations

from typing import Any

from results.comparison import Measure, Row
from results.comparison.text import precision
from results.report.sections_of_comparison.means import places
from results.report.sections_of_comparison.subject import Baseline, Subject, known


def data(subject: Subject) -> dict[str, Any] | None:
    """For every baseline ``rows[metric][variant]`` as ``_row`` says, and ``digits[metric]`` to write them with.

    Each is what ``degsim compare --baseline`` would say, with its own correction for the number of differences.
    """
    if len(subject.comparison.variants) < 2 or not subject.comparison.observations:
        return None
    return {"headline": places(subject), "baselines": [_baseline(subject, one) for one in subject.baselines]}


def _baseline(subject: Subject, one: Baseline) -> dict[str, Any]:
    return {
        "name": one.name,
        "tests": sum(known(row.difference.p) is not None for row in one.rows.values()),
        "digits": [precision([row.difference for row in _of(subject, one, m)]) for m in subject.measures],
        "rows": [[_row(subject, row) for row in _of(subject, one, measure)] for measure in subject.measures],
    }


def _of(subject: Subject, one: Baseline, measure: Measure) -> list[Row]:
    return [one.rows[variant.name, measure.name] for variant in subject.comparison.variants]


def _row(subject: Subject, row: Row) -> list[Any]:
    """Place of the baseline, whether paired, pairs, dropped; mean, low, high, p, p after Holm, share of seeds that are better;
    0 not told from 0, 1 for one difference at a time, 2 among all of them.
    """
    found = row.difference
    names = [variant.name for variant in subject.comparison.variants]
    numbers = (found.mean, found.low, found.high, found.p, found.p_holm, found.better)
    return [
        names.index(found.against),
        found.paired,
        found.pairs,
        found.dropped,
        *map(known, numbers),
        int(found.apart) + int(found.surely),
    ]
