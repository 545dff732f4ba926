"""The first rows of tables that are not the same: prices, set-points, deliveries, flows, postings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.difference.documents import ABSENT, Field
from results.difference.model import Entry, First
from results.difference.pair import Pair
from results.run import Run
from results.tables import unit_of

_POSTING = ["interval", "term", "payer", "payee", "currency"]
"""What tells one posting of an interval from another; contracts go by identifiers that follow from seeds."""


@dataclass(frozen=True, slots=True)
class _Look:
    """kind: how its first difference is called.  table, key: rows, by interval and this column.  columns: what is compared."""

    kind: str
    table: str
    key: str
    columns: tuple[str, ...]


_LOOKS = (
    _Look("price", "prices", "node", ("price_per_kwh", "adder_per_kwh")),
    _Look("set-point", "setpoints", "era", ("setpoint_kw",)),
    _Look("delivery", "setpoints", "era", ("delivered_kw", "q_kvar", "energy_wh")),
    _Look("flow", "nodes", "node", ("wire_lv_kw", "wire_lv_kvar", "wire_hv_kw", "loading")),
)


def first_rows(pair: Pair) -> Iterator[First]:
    """The first price, set-point, delivery, flow and posting of the intervals that both have and that is not the same.

    What only one run has of participants and nodes is no difference here; a posting that only one has is.
    """
    for look in _LOOKS:
        found = _first_row(pair, look)
        if found is not None:
            yield found
    posting = _first_posting(pair)
    if posting is not None:
        yield posting


def _first_row(pair: Pair, look: _Look) -> First | None:
    keys = ["interval", look.key]
    ours, theirs = (frame[[*keys, *look.columns]] for frame in pair.common(look.table))
    # The first run's order of rows is kept, so that "first" is what its table has first.
    both = ours.merge(theirs, on=keys, how="inner", suffixes=("_1", "_2"), validate="one_to_one")
    apart = np.zeros(len(both), dtype=bool)
    for column in look.columns:
        apart |= ~_near(both[f"{column}_1"], both[f"{column}_2"], pair.tolerance)
    if not apart.any():
        return None
    place = int(np.argmax(apart))
    row = both.iloc[place]
    interval, who = int(row["interval"]), str(row[look.key])
    currency = str(pair.one.manifest["currency"])
    found = [
        Field(column, _plain(row[f"{column}_1"]), _plain(row[f"{column}_2"]), unit_of(look.table, column, currency))
        for column in look.columns
        if not _near(both[f"{column}_1"][[place]], both[f"{column}_2"][[place]], pair.tolerance)[0]
    ]
    one, two = (Entry(_start(run, interval), who, interval) for run in (pair.one, pair.two))
    return First(look.kind, one, two, tuple(found), int(apart.sum()), len(both))


def _near(ours: pd.Series[Any], theirs: pd.Series[Any], tolerance: float) -> NDArray[np.bool_]:
    one, two = (column.to_numpy(dtype=np.float64, na_value=np.nan) for column in (ours, theirs))
    near: NDArray[np.bool_] = (one == two) | (np.isnan(one) & np.isnan(two))
    return near | np.isclose(one, two, rtol=tolerance, atol=tolerance) if tolerance else near


def _plain(value: Any) -> Any:
    """A cell as Python has it; an empty one is absent."""
    if pd.isna(value):
        return ABSENT
    return value.item() if isinstance(value, np.generic) else value


def _start(run: Run, interval: int) -> str:
    return run.calendar.timestamp(interval * run.calendar.interval_s)


def _first_posting(pair: Pair) -> First | None:
    """Postings are matched by who pays whom for what, the first of an interval with the first."""
    ours, theirs = (_numbered(frame) for frame in pair.common("postings"))
    keys = [*_POSTING, "turn"]
    both = ours.merge(theirs, on=keys, how="outer", suffixes=("_1", "_2"), indicator=True)
    apart = both[(both["_merge"] != "both") | (both["amount_1"] != both["amount_2"])]
    if apart.empty:
        return None
    # An outer join sorts by its keys; what comes first is what stands first in either table.
    order = apart[["place_1", "place_2"]].min(axis=1)
    row = apart.assign(order=order).sort_values(["interval", "order"], kind="stable").iloc[0]
    one, two = _posting_entries(pair, row)
    return First("posting", one, two, _posting_fields(row), len(apart), len(both))


def _numbered(frame: pd.DataFrame) -> pd.DataFrame:
    turn = frame.groupby(_POSTING, sort=False).cumcount()
    return frame[[*_POSTING, "amount"]].assign(turn=turn, place=np.arange(len(frame)))


def _posting_entries(pair: Pair, row: pd.Series[Any]) -> tuple[Entry | None, Entry | None]:
    who = f"{row['payer']} pays {row['payee']} for {row['term']}"
    lacking = {"left_only": 2, "right_only": 1}.get(str(row["_merge"]))
    interval = int(row["interval"])
    one, two = (
        None if side == lacking else Entry(_start(run, interval), who, interval)
        for side, run in ((1, pair.one), (2, pair.two))
    )
    return one, two


def _posting_fields(row: pd.Series[Any]) -> tuple[Field, ...]:
    one, two = (ABSENT if pd.isna(row[f"amount_{side}"]) else row[f"amount_{side}"] for side in (1, 2))
    return (Field("amount", one, two, str(row["currency"])),)
