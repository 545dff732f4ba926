"""Which two metrics a trade-off sets against each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from results.comparison.model import Comparison, Measure

ACROSS = ("regret", "welfare", "cost_per_consumer")
OVERLOAD = ("overload_import_kvah", "overload_export_kvah")
UP = ("voltage_outside_bus_min", "ev_unserved_kwh")
"""What is set against each other, unless others are asked for: the first of ``ACROSS`` that differs between runs, and the
larger overload or else the first of ``UP``."""


def opposed(comparison: Comparison, metrics: Sequence[str] = ()) -> tuple[Measure, Measure] | None:
    """The two metrics that a trade-off shows; None where no two differ between runs.  metrics: those that were asked for."""
    if len(metrics) > 1:
        return comparison.measure(metrics[0]), comparison.measure(metrics[1])
    known = {measure.name: measure for measure in comparison.measures}
    differing = {
        name: measure for name, measure in known.items() if measure.sign and len(comparison.distinct(name)) > 1
    }
    across = [comparison.measure(name) for name in metrics] + [differing[name] for name in ACROSS if name in differing]
    overload = [differing[name] for name in OVERLOAD if name in differing]
    up = sorted(overload, key=lambda measure: -_total(comparison, measure))
    others = [differing[name] for name in (*UP, *differing) if name in differing]
    first = (across + others)[:1]
    second = [measure for measure in up + others if measure not in first][:1]
    return (first[0], second[0]) if first and second else None


def _total(comparison: Comparison, measure: Measure) -> float:
    return sum(float(np.nansum(comparison.values(variant.name, measure.name))) for variant in comparison.variants)
