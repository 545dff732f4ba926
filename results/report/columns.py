"""Tables as a page holds them: a row of numbers for each name, one number for each interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.run import Run

Rows = list[list[float]]

KW, PRICE, SHARE, VOLTAGE = 3, 5, 4, 4
"""Decimals that a page keeps of a power, a price, a share and a voltage: those that it shows, so that none is rounded twice."""

CELLS = 400_000
"""Numbers that a page keeps of one column of a table, at most."""


def rounded(values: NDArray[Any], digits: int) -> list[Any]:
    """Numbers with so many decimals; zero has no sign, and what is not known stays NaN."""
    found: list[Any] = (np.round(np.asarray(values, dtype=float), digits) + 0.0).tolist()
    return found


def column(values: pd.Series[Any], digits: int) -> list[float]:
    """One number for each row."""
    return rounded(values.to_numpy(dtype=float), digits)


def matrix(rows: pd.DataFrame, key: str, value: str, names: Sequence[str], count: int, digits: int) -> Rows:
    """A row of ``count`` numbers for each name, by interval; NaN where the table has no row."""
    table = rows.pivot(index=key, columns="interval", values=value).reindex(index=list(names), columns=range(count))
    return rounded(table.to_numpy(dtype=float), digits)


def by_interval(run: Run, name: str, digits: int) -> list[float]:
    """A column of ``intervals``, one number for each interval of the calendar."""
    values = run.intervals.set_index("interval")[name].reindex(range(run.calendar.count))
    return column(values, digits)


def chosen(weights: pd.Series[float], count: int) -> list[str]:
    """Names in their order: all of them, or as many of the heaviest as a page has room for over ``count`` intervals."""
    most = max(1, CELLS // max(1, count))
    heaviest = set(weights.fillna(0.0).sort_values(ascending=False, kind="stable").index[:most])
    return [str(name) for name in weights.index if name in heaviest]


def left_out(names: Sequence[str], of: int, what: str, table: str) -> str:
    """What to say where a page has no room for all; empty where it has."""
    if len(names) == of:
        return ""
    return f"the {len(names):,} of {of:,} {what} that weigh most; all are in tables/{table}.parquet"
