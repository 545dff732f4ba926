"""Comparisons made by hand: variants, seeds and values, without any run."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from results.comparison import Comparison, Failure, Measure, Variant
from results.observation import PARTIES, Observation

COST = Measure("regret", "EUR", "less", "cost above that of the best plan")
SAVING = Measure("bill_saving", "EUR", "more", "what is paid less")
OVERLOAD = Measure("overload_import_kvah", "kVAh", "less", "energy above the limit")
PRICE = Measure("mean_price_per_kwh", "EUR/kWh", "", "mean price")
MEASURES = (COST, SAVING, OVERLOAD, PRICE)

NOBODY = pd.DataFrame(
    {field.name: pd.Series(dtype="object" if field.type == "string" else "float64") for field in PARTIES}
)


def seen(variant: str, seed: int, truth: str = "", currency: str = "EUR", **values: float) -> Observation:
    """One run; its day is its seed's."""
    return Observation(variant, seed, currency, values, truth or f"day {seed}", NOBODY)


def compared(
    values: Mapping[str, Sequence[float | None]],
    baseline: str | None = None,
    measure: Measure = COST,
    truths: Mapping[str, str] | None = None,
) -> Comparison:
    """One metric of some variants by seed, from 1; None is a run that failed."""
    first = baseline or next(iter(values))
    cells = [(name, seed, value) for name, row in values.items() for seed, value in enumerate(row, start=1)]
    return Comparison(
        study="by-hand",
        variants=tuple(Variant(name, {"market.policy": name}, first) for name in values),
        seeds=tuple(range(1, 1 + len(values[first]))),
        measures=(measure,),
        observations=tuple(
            seen(name, seed, f"{(truths or {}).get(name, 'day')} {seed}", **{measure.name: value})
            for name, seed, value in cells
            if value is not None
        ),
        failures=tuple(Failure(name, seed, "the power flow diverged") for name, seed, value in cells if value is None),
    )


def drawn_from(
    names: Sequence[str],
    seeds: int,
    failing: Mapping[str, Sequence[int]] | None = None,
    empty: Sequence[tuple[str, str]] = (),
    extreme: str = "",
) -> Comparison:
    """Many variants on many seeds with plausible numbers.

    failing: seeds by variant on which it failed; empty: variants and metrics without a value; extreme: one that is
    overloaded a hundred times as much as all others.
    """
    failing = failing or {}
    observations, failures = [], []
    days = np.random.default_rng(7).normal(size=(seeds, len(MEASURES)))
    for (place, name), seed in itertools.product(enumerate(names), range(1, seeds + 1)):
        if seed in failing.get(name, ()):
            failures.append(Failure(name, seed, "the power flow diverged"))
            continue
        noise = np.random.default_rng([place, seed]).normal(size=len(MEASURES)) / 3
        sizes = np.array([4.0, 5.0, 0.6, 0.2]) + np.array([1.2, 1.5, 0.3, 0.01]) * (
            days[seed - 1] + noise + 0.2 * place
        )
        values = dict(zip((measure.name for measure in MEASURES), map(float, sizes), strict=True))
        if name == extreme:
            values[OVERLOAD.name] = 60.0 + float(noise[2])
        values |= {metric: math.nan for variant, metric in empty if variant == name}
        observations.append(seen(name, seed, **values))
    variants = tuple(Variant(name, {"market.policy": name}, names[0]) for name in names)
    return Comparison("street", variants, tuple(range(1, seeds + 1)), MEASURES, tuple(observations), tuple(failures))


def grid(axes: Mapping[str, Sequence[str]], policies: Sequence[str] = (), seeds: int = 4) -> Comparison:
    """Every policy at every point of a grid; each point has days of its own."""
    observations, variants = [], []
    for place, point in enumerate(itertools.product(*axes.values())):
        at = dict(zip(axes, point, strict=True))
        where = ", ".join(f"{path.rpartition('.')[2]}={value}" for path, value in at.items())
        for number, policy in enumerate(policies or [""]):
            name = ", ".join(part for part in (policy, where) if part)
            first = ", ".join(part for part in (policies[0], where) if part) if policies else ""
            baseline = first or (variants[0].name if variants else name)
            variants.append(Variant(name, {"market.policy": policy, **at} if policy else at, baseline))
            for seed in range(1, seeds + 1):
                noise = float(np.random.default_rng([place, number, seed]).normal()) / 5
                values = {COST.name: 1 + place + number + noise, OVERLOAD.name: place * (number + 0.5) + noise}
                observations.append(seen(name, seed, f"{where} {seed}", **values))
    return Comparison("evening", tuple(variants), tuple(range(1, seeds + 1)), (COST, OVERLOAD), tuple(observations))
