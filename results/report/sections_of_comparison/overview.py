"""What was compared, as sentences and as the model that all other sections draw from."""

from __future__ import annotations

import json
from typing import Any

from results.comparison import Measure, Row, render
from results.comparison.text import decimals, describe
from results.report.sections_of_comparison.subject import Subject, known


def data(subject: Subject) -> dict[str, Any]:
    """The comparison by places: variants, seeds and metrics are numbered, and tables of numbers are lists of lists.

    ``values[metric][variant][seed]``, null where the run has none or failed; ``rows[metric][variant]`` as ``_row`` says.
    """
    comparison = subject.comparison
    names = [variant.name for variant in comparison.variants]
    return {
        "study": comparison.study,
        "sentences": describe(comparison),
        "text": render(comparison),
        "left": _left_out(subject),
        "currency": comparison.currency,
        "seeds": comparison.seeds,
        "axes": comparison.axes,
        "variants": [
            {
                "name": variant.name,
                "axes": dict(variant.axes),
                "baseline": names.index(variant.baseline),
                "reference": variant.reference,
                "done": comparison.done(variant.name),
                "unpaired": comparison.unpaired.get(variant.name, ()),
            }
            for variant in comparison.variants
        ],
        "metrics": [_metric(subject, measure) for measure in subject.measures],
        "values": [
            [[known(float(value)) for value in comparison.values(name, measure.name)] for name in names]
            for measure in subject.measures[: subject.drawn]
        ],
        "rows": [[_row(subject.rows[name, measure.name]) for name in names] for measure in subject.measures],
        "versions": dict(subject.said.get("versions", {})),
        "lock": str(subject.said.get("lockSha256", "")),
        "scenario": json.dumps(subject.scenario, indent=2, ensure_ascii=False) if subject.scenario else None,
        "file": subject.title,
    }


def _metric(subject: Subject, measure: Measure) -> dict[str, Any]:
    """digits: decimals of values, as the text of the comparison has them; differ: whether not all runs have the same."""
    names = [variant.name for variant in subject.comparison.variants]
    return {
        "name": measure.name,
        "unit": "" if measure.unit == "1" else measure.unit,
        "better": measure.better,
        "sign": measure.sign,
        "summary": measure.summary,
        "source": measure.source,
        "digits": decimals(subject.rows[name, measure.name].mean for name in names),
        "differ": len(subject.comparison.distinct(measure.name)) > 1,
    }


def _row(row: Row) -> list[Any]:
    numbers = (row.mean, row.half, row.deviation, row.median, row.worst)
    return [row.seeds, row.failed, *map(known, numbers), row.worst_seed]


def _left_out(subject: Subject) -> list[str]:
    """What the page has no room for, each in a sentence; nothing where it has all."""
    found = []
    if len(subject.measures) < len(subject.ordered):
        found.append(f"{len(subject.measures)} of {len(subject.ordered)} metrics are on this page; table.csv has all")
    if subject.drawn < len(subject.measures):
        found.append(f"single runs are shown for {subject.drawn} metrics; runs.csv has all")
    if len(subject.baselines) == 1 and len(subject.comparison.variants) > 2:
        found.append("other baselines than the study's are left out for want of room")
    return found
