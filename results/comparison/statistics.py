"""What the seeds say of each variant and metric: means, paired differences with their intervals, the worst seed.

Differences are a variant's own value less its baseline's on the same seed.  Where both saw the same arrivals, needs and
weather, the interval is Student's for the mean of the paired differences (Student, "The probable error of a mean",
Biometrika 6, 1908).  Where they did not, which a grid over the arrivals themselves brings about, it is Welch's for the
difference of two means ("The generalization of Student's problem", Biometrika 34, 1947).

Intervals hold for one difference at a time.  Who looks at many looks at ``p_holm``: the same test, corrected for all
differences of the comparison together by Holm's rule ("A simple sequentially rejective multiple test procedure",
Scandinavian Journal of Statistics 6, 1979), which assumes nothing about how metrics depend on each other.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from results.comparison.model import Comparison, Measure, Variant
from sim.curves import Floats

CONFIDENCE = 0.95
"""Of every interval."""

USUAL_SEEDS = 30
"""Seeds that a comparison usually has: from here on a mean's distribution is near enough to normal for most metrics."""

ROUNDING = 1e-9
"""Values nearer to each other than this share of them, or than this, differ by nothing but rounding."""

NAN = math.nan


@dataclass(frozen=True, slots=True)
class Difference:
    """A variant less its baseline.

    against: the baseline.  paired: whether all seeds that both have were the same days.  pairs: seeds that count, or for
    unpaired ones the runs of the variant; dropped: seeds that both have and one of which has no value.  low, high: the
    interval, NaN with fewer than two seeds.  p: of the test that the true difference is 0, NaN where all seeds say 0, for
    then nothing is tested; p_holm: corrected for all differences of the comparison.  better: share of the pairs in which the
    variant is strictly better, NaN where nothing says which way is better or nothing is paired.
    """

    against: str
    paired: bool
    pairs: int
    dropped: int
    mean: float = NAN
    low: float = NAN
    high: float = NAN
    p: float = NAN
    p_holm: float = NAN
    better: float = NAN

    @property
    def half(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2

    @property
    def same(self) -> bool:
        """Whether the difference is 0 on every seed."""
        return self.mean == self.low == self.high == 0

    @property
    def apart(self) -> bool:
        """Whether 0 lies outside the interval."""
        return self.low > 0 or self.high < 0

    @property
    def surely(self) -> bool:
        """Whether the difference is told from 0 even among all that were looked at."""
        return self.apart and self.p_holm < 1 - CONFIDENCE


@dataclass(frozen=True, slots=True)
class Row:
    """One metric of one variant over the seeds.

    seeds: those with a value.  failed: runs that failed, of any metric.  mean, half: with half the width of its interval.
    worst, worst_seed: in the direction that is not better; where there is none, farthest from the mean; no seed is
    the worst where all are alike.
    """

    variant: str
    metric: str
    seeds: int
    failed: int
    mean: float
    half: float
    deviation: float
    median: float
    worst_seed: int | None
    worst: float
    difference: Difference


def table(comparison: Comparison) -> tuple[Row, ...]:
    """All statistics: a row for every metric of every variant, also of one that failed on all seeds."""
    failed = {variant.name: 0 for variant in comparison.variants}
    for failure in comparison.failures:
        failed[failure.variant] += 1
    rows = [
        _row(comparison, variant, measure, failed[variant.name])
        for variant in comparison.variants
        for measure in comparison.measures
    ]
    corrected = holm([row.difference.p for row in rows])
    return tuple(
        dataclasses.replace(row, difference=dataclasses.replace(row.difference, p_holm=p))
        for row, p in zip(rows, corrected, strict=True)
    )


def _row(comparison: Comparison, variant: Variant, measure: Measure, failed: int) -> Row:
    values = comparison.values(variant.name, measure.name)
    has = np.isfinite(values)
    own = values[has]
    difference = _difference(comparison, variant, measure)
    if not len(own):
        return Row(variant.name, measure.name, 0, failed, NAN, NAN, NAN, NAN, None, NAN, difference)
    mean = float(own.mean())
    worse = -measure.sign * own if measure.sign else np.abs(own - mean)
    worst = int(np.argmax(worse))
    deviation = float(own.std(ddof=1)) if len(own) > 1 else NAN
    _, high, _ = _student(mean, deviation / math.sqrt(len(own)), len(own) - 1)
    is_alike = len(own) > 1 and float(np.ptp(own)) == 0
    seed = None if is_alike else int(np.array(comparison.seeds)[has][worst])
    median = float(np.median(own))
    return Row(
        variant.name,
        measure.name,
        len(own),
        failed,
        mean,
        high - mean,
        deviation,
        median,
        seed,
        float(own[worst]),
        difference,
    )


def _difference(comparison: Comparison, variant: Variant, measure: Measure) -> Difference:
    own = comparison.values(variant.name, measure.name)
    if variant.baseline == variant.name:
        pairs = int(np.isfinite(own).sum())
        zero = 0.0 if pairs else NAN
        return Difference(variant.name, True, pairs, 0, zero, zero, zero)
    base = comparison.values(variant.baseline, measure.name)
    both = [
        (variant.name, seed) in comparison.cells and (variant.baseline, seed) in comparison.cells
        for seed in comparison.seeds
    ]
    valued = np.isfinite(own) & np.isfinite(base)
    dropped = int((np.array(both) & ~valued).sum())
    if variant.name in comparison.unpaired:
        return _welch(variant.baseline, own[np.isfinite(own)], base[np.isfinite(base)], dropped)
    return _paired(variant.baseline, differences(own[valued], base[valued]), dropped, measure.sign)


def differences(own: Floats, base: Floats) -> Floats:
    """Own less base, element by element; what only rounding tells apart differs by 0."""
    found = own - base
    scale = np.maximum(1.0, np.maximum(np.abs(own), np.abs(base)))
    return np.where(np.abs(found) <= ROUNDING * scale, 0.0, found)


def _paired(against: str, found: Floats, dropped: int, sign: int) -> Difference:
    count = len(found)
    if not count:
        return Difference(against, True, 0, dropped)
    mean = float(found.mean())
    deviation = float(found.std(ddof=1)) if count > 1 else NAN
    if np.ptp(found) <= ROUNDING * max(1.0, abs(mean)):
        mean, deviation = float(found[0]), 0.0 if count > 1 else NAN
    low, high, p = _student(mean, deviation / math.sqrt(count), count - 1)
    better = float((sign * found > 0).mean()) if sign else NAN
    return Difference(against, True, count, dropped, mean, low, high, p, better=better)


def _welch(against: str, own: Floats, base: Floats, dropped: int) -> Difference:
    if not len(own) or not len(base):
        return Difference(against, False, 0, dropped)
    mean = float(differences(own.mean(keepdims=True), base.mean(keepdims=True))[0])
    if min(len(own), len(base)) < 2:
        return Difference(against, False, len(own), dropped, mean)
    variances = [float(values.var(ddof=1)) / len(values) for values in (own, base)]
    squares = [variance**2 / (len(values) - 1) for variance, values in zip(variances, (own, base), strict=True)]
    freedom = sum(variances) ** 2 / sum(squares) if sum(squares) > 0 else len(own) + len(base) - 2.0
    low, high, p = _student(mean, math.sqrt(sum(variances)), freedom)
    return Difference(against, False, len(own), dropped, mean, low, high, p)


def _student(mean: float, error: float, freedom: float) -> tuple[float, float, float]:
    """Interval of a mean with this standard error, and the p value of 0; NaN without a degree of freedom."""
    from scipy import special  # type: ignore[import-untyped]  # noqa: PLC0415  heavy

    if freedom < 1 or math.isnan(error):
        return NAN, NAN, NAN
    if error == 0:
        return mean, mean, 0.0 if mean else NAN
    half = float(special.stdtrit(freedom, (1 + CONFIDENCE) / 2)) * error
    return mean - half, mean + half, 2 * float(special.stdtr(freedom, -abs(mean) / error))


def holm(ps: Sequence[float]) -> list[float]:
    """Each p value corrected for all of them; NaN stays, and is not counted."""
    order = sorted((p, place) for place, p in enumerate(ps) if not math.isnan(p))
    found, highest = [NAN] * len(ps), 0.0
    for rank, (p, place) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p))
        found[place] = highest
    return found
