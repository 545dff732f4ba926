"""Any table of a run over local time: a line for each place or participant, and a band where these are many."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from results.plots import style
from results.plots.style import LOOKS, Label
from results.tables import TABLES, unit_of
from sim.clock import Calendar
from sim.errors import RunError

COUNTED = ""
"""Stands for a column where rows are counted."""

QUANTILES = (0.0, 0.1, 0.5, 0.9, 1.0)
"""Of many series: the outer band, the inner band, and the line between."""


@dataclass(frozen=True, slots=True)
class Sight:
    """How a table is looked at.

    panels: the columns of each panel, from above; several share a unit.  by: columns that tell series of one column apart.
    many: what there is one series for each of.  summed: whether rows of an interval add up, of one series and of several.
    """

    panels: tuple[tuple[str, ...], ...]
    by: tuple[str, ...] = ()
    many: str = ""
    summed: bool = False


SIGHTS: Mapping[str, Sight] = MappingProxyType(
    {
        "intervals": Sight((("slack_kw", "losses_kw"), ("import_price", "export_price"))),
        "prices": Sight((("price_per_kwh",), ("adder_per_kwh",)), ("node",), "nodes"),
        "nodes": Sight((("wire_lv_kw",), ("loading",)), ("node",), "nodes"),
        "setpoints": Sight((("delivered_kw",), ("setpoint_kw",)), ("era",), "participants"),
        "states": Sight((("soc",),), ("era",), "devices"),
        "voltages": Sight((("v_pu",),), ("bus", "phase"), "places"),
        "lines": Sight((("loading",),), ("line",), "lines"),
        "flows": Sight((("p_start_kw",), ("q_start_kvar",)), ("name", "start"), "elements"),
        "bounds": Sight((("value",), ("price_per_unit",)), ("bound",), "bounds"),
        "postings": Sight((("amount",),), ("term",), "terms", summed=True),
        "messages": Sight(((COUNTED,),), ("action",), "actions", summed=True),
    }
)
"""Tables that have a course over time, and what of them is shown."""


def draw(frame: pd.DataFrame, name: str, manifest: Mapping[str, Any], calendar: Calendar) -> Figure:
    """The table of this name over the run's local time, with the units of its schema.

    Raises ``RunError`` for a table that has no course over time.
    """
    if name not in SIGHTS:
        raise RunError(name, "has no course over time; say what to draw, as in plot(x=..., y=...)")
    sight = SIGHTS[name]
    every = range(calendar.count)
    inside = frame[frame["interval"].isin(every)]
    shown = [(columns, _few(_series(inside, sight, columns, every), sight)) for columns in sight.panels]
    shown = [(columns, lines) for columns, lines in shown if lines.notna().any(axis=None)] or shown[:1]
    figure, panels = style.canvas(len(shown), 1.4 + 2.6 * len(shown))
    for ax, (columns, lines) in zip(panels, shown, strict=True):
        _panel(ax, lines, calendar, sight.many)
        ax.set_ylabel(_label(name, columns, str(manifest["currency"])), fontsize=8.5)
    claim = str(TABLES[name].metadata[b"description"].decode()).partition(";")[0].rstrip(".")
    outside = len(frame) - len(inside)
    remark = f"{outside:,} rows before or after the run are not shown" if outside else ""
    style.title(figure, claim, style.shown_of(manifest, remark))
    style.time_axis(panels[-1], calendar)
    return figure


def _series(frame: pd.DataFrame, sight: Sight, columns: tuple[str, ...], every: range) -> pd.DataFrame:
    """What is drawn in a panel: a column for each series, a row for each interval."""
    if not sight.by:
        return frame.set_index("interval")[list(columns)].astype(float).reindex(every)
    series = frame[sight.by[0]]
    for key in sight.by[1:]:
        series = (series + " " + frame[key]).str.strip()
    values = pd.Series(1.0, frame.index) if columns == (COUNTED,) else frame[columns[0]].astype(float)
    long = pd.DataFrame({"interval": frame["interval"], "series": series, "value": values})
    wide = long.pivot_table(
        index="interval", columns="series", values="value", aggfunc="sum" if sight.summed else "first", sort=False
    )
    return wide.reindex(every, fill_value=0.0 if sight.summed else np.nan).fillna(0.0 if sight.summed else np.nan)


def _few(lines: pd.DataFrame, sight: Sight) -> pd.DataFrame:
    """Series that add up: the largest ones, and all others as one."""
    if not sight.summed or lines.shape[1] <= len(LOOKS):
        return lines
    ranked = lines.sum().sort_values(ascending=False, kind="stable").index
    large, small = ranked[: len(LOOKS) - 1], ranked[len(LOOKS) - 1 :]
    return lines[large].assign(**{f"{len(small)} other {sight.many}": lines[small].sum(axis=1)})


def _panel(ax: Axes, lines: pd.DataFrame, calendar: Calendar, many: str) -> None:
    if not lines.notna().any(axis=None):
        style.note(ax, "nothing to show")
        return
    edges = np.arange(calendar.count + 1, dtype=np.float64) * calendar.interval_s
    if lines.shape[1] > len(LOOKS):
        _band(ax, lines, edges, many)
    else:
        _lines(ax, lines, edges)


def _lines(ax: Axes, lines: pd.DataFrame, edges: NDArray[np.float64]) -> None:
    for look, name in zip(LOOKS, lines.columns, strict=False):
        ax.stairs(lines[name], edges, baseline=None, color=look.color, linestyle=look.dashes, linewidth=1.4)
    ax.margins(y=0.08)
    ax.set_ylim(ax.get_ylim())
    if lines.shape[1] > 1:
        ends = [lines[name].dropna() for name in lines.columns]
        labels = [
            Label(float(end.iloc[-1]), style.short(str(name)), look.color, look.dashes)
            for look, name, end in zip(LOOKS, lines.columns, ends, strict=False)
            if len(end)
        ]
        style.end_labels(ax, labels)


def _band(ax: Axes, lines: pd.DataFrame, edges: NDArray[np.float64], many: str) -> None:
    lowest, low, middle, high, highest = (lines.quantile(share, axis=1).to_numpy() for share in QUANTILES)
    color, count = LOOKS[0].color, lines.shape[1]
    ax.stairs(highest, edges, baseline=lowest, fill=True, color=color, alpha=0.15, label=f"all {count} {many}")
    ax.stairs(high, edges, baseline=low, fill=True, color=color, alpha=0.35, label="the middle 80 %")
    ax.stairs(middle, edges, baseline=None, color=color, linewidth=1.6, label="median")
    ax.margins(y=0.08)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize=8.5, borderaxespad=0)


def _label(name: str, columns: tuple[str, ...], currency: str) -> str:
    if columns == (COUNTED,):
        return "rows per interval [1]"
    unit = unit_of(name, columns[0], currency)
    what = (
        TABLES[name].field(columns[0]).metadata[b"description"].decode().partition(";")[0] if len(columns) == 1 else ""
    )
    return textwrap.fill(f"{what} [{'per unit' if unit == '1' else unit}]".strip(), 34)
