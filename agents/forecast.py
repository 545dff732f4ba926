"""What somebody expects of a quantity in the intervals to come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import add, gt

QUANTILES = (0.1, 0.5, 0.9)
"""Shares of outcomes that lie below ``p10``, ``p50`` and ``p90``."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Expected values of a variable at a place, one an interval from ``first`` on.

    variable: what is forecast, such as PRICE.  issued_s: simulated second at which it was made.  first: number of the
    first interval.  values: the expected ones, in the variable's unit.  p10, p50, p90: values that so large a share of
    outcomes lies below, or None where no spread is known.  Raises ``ValueError`` where these differ in length from
    ``values``, or fall from one to the next.
    """

    variable: str
    place: str
    issued_s: int
    first: int
    values: tuple[float, ...]
    p10: tuple[float, ...] | None = None
    p50: tuple[float, ...] | None = None
    p90: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        known = [row for row in (self.p10, self.p50, self.p90) if row is not None]
        if any(len(row) != len(self.values) for row in known):
            raise ValueError(f"{len(self.values)} values, but quantiles of {[len(row) for row in known]}")
        for lower, higher in pairwise(known):
            if any(map(gt, lower, higher)):
                slot = list(map(gt, lower, higher)).index(True)
                raise ValueError(
                    f"interval {self.first + slot}: quantiles fall from {lower[slot]:g} to {higher[slot]:g}"
                )

    @property
    def end(self) -> int:
        """Number of the first interval that nothing is said about."""
        return self.first + len(self.values)

    def value(self, index: int) -> float | None:
        """Expected value in interval ``index``; None outside the horizon."""
        return self.values[index - self.first] if self.first <= index < self.end else None

    def quantile(self, index: int, share: float) -> float | None:
        """Value that this share of outcomes, 0..1, lies below in interval ``index``; None outside the horizon.

        Linear between the quantiles known, the outermost of them beyond; without any, the expected value.
        """
        if not self.first <= index < self.end:
            return None
        slot = index - self.first
        rows = zip(QUANTILES, (self.p10, self.p50, self.p90), strict=True)
        known = [(at, row[slot]) for at, row in rows if row is not None]
        if not known:
            return self.values[slot]
        below = [point for point in known if point[0] <= share]
        above = [point for point in known if point[0] > share]
        if not below or not above:
            return (below or above)[-1 if below else 0][1]
        (a, low), (b, high) = below[-1], above[0]
        return low + (high - low) * (share - a) / (b - a)

    def row(self, share: float) -> tuple[float, ...]:
        """The quantile of every interval (see ``quantile``)."""
        if share in QUANTILES:
            known = (self.p10, self.p50, self.p90)[QUANTILES.index(share)]
            if known is not None:
                return known
        return tuple(self.quantile(index, share) or 0.0 for index in range(self.first, self.end))

    def over(self, own: Forecast) -> Forecast:
        """This forecast where it says something, and ``own``, which has no quantiles, for its other intervals."""
        start, end = max(self.first, own.first), min(self.end, own.end)
        if start >= end:
            return own

        def merged(row: tuple[float, ...] | None) -> tuple[float, ...] | None:
            if row is None:
                return None
            said = row[start - self.first : end - self.first]
            return own.values[: start - own.first] + said + own.values[end - own.first :]

        rows = map(merged, (self.p10, self.p50, self.p90))
        return Forecast(self.variable, self.place, self.issued_s, own.first, merged(self.values) or (), *rows)

    def raised(self, by: Sequence[float]) -> Forecast:
        """The forecast with so much added to every value and quantile, one amount an interval."""

        def added(row: tuple[float, ...] | None) -> tuple[float, ...] | None:
            return None if row is None else tuple(map(add, row, by))

        values = tuple(map(add, self.values, by))
        rows = map(added, (self.p10, self.p50, self.p90))
        return Forecast(self.variable, self.place, self.issued_s, self.first, values, *rows)
