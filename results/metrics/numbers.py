"""Sums, shares and extremes that say NaN where there is nothing."""

from __future__ import annotations

from typing import Any

import pandas as pd

from sim import tolerances


def share(part: float, whole: float) -> float:
    """Part of a whole; NaN where there is no whole."""
    return part / whole if whole else float("nan")


def largest(values: pd.Series[Any]) -> float:
    """The greatest value; NaN where there is none."""
    return float(values.max()) if values.notna().any() else float("nan")


def total(values: pd.Series[Any]) -> float:
    """The sum of all values that are known; NaN where none is."""
    return float(values.sum(min_count=1))


def beyond(values: pd.Series[float], limit: pd.Series[float] | float) -> pd.Series[float]:
    """What is above a limit; 0 up to the limit, and above it by no more than ``tolerances.LOADING`` of it."""
    return (values - limit).where(values > limit * (1 + tolerances.LOADING), 0.0)
