"""Metrics along the axes of a grid."""

from __future__ import annotations

import math
from typing import Any

from results.comparison import POLICY, Comparison
from results.report.sections_of_comparison.means import places
from results.report.sections_of_comparison.subject import Subject


def data(subject: Subject) -> dict[str, Any] | None:
    """Every axis with its values in order, numbers by their size; None where nothing but the policy is varied."""
    comparison = subject.comparison
    if not comparison.observations or not any(path != POLICY for path in comparison.axes):
        return None
    return {"headline": places(subject), "axes": [_axis(comparison, path) for path in comparison.axes]}


def _axis(comparison: Comparison, path: str) -> dict[str, Any]:
    values = list(dict.fromkeys(variant.axes[path] for variant in comparison.variants if path in variant.axes))
    numbers = [_number(value) for value in values]
    is_numeric = all(map(math.isfinite, numbers))
    if is_numeric:
        values.sort(key=_number)
    return {"path": path, "values": values, "numeric": is_numeric, "policy": path == POLICY}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
