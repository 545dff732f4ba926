"""How a metric spreads over the seeds under each variant, with lines that join equal seeds and the worst ones named."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from results.comparison import Comparison, Measure, Row, headline
from results.plots import style
from results.plots.comparison import marks
from sim.curves import Floats

PANELS = 3
VARIANTS = 16
JOINED = 40
"""Seeds beyond which lines would only be a grey area."""


def draw(comparison: Comparison, metrics: Sequence[str] = ()) -> Figure:
    """A panel for each of at most three metrics: seeds as dots, quartiles as a box, the worst seed by its number.

    metrics: which, else the first headline metrics.  Parallel lines say that variants differ alike on all seeds, crossing ones
    that it depends on the day.
    """
    measures = headline(comparison, metrics)[:PANELS]
    names, more = marks.few([variant.name for variant in comparison.variants], VARIANTS, "variants")
    rows = marks.rows_of(comparison)
    figure, panels = style.canvas(max(1, len(measures)), 1.6 + 2.1 * max(1, len(measures)))
    marks.headline(figure, _claim(rows, names, measures), comparison, _remark(comparison, more))
    if not measures:
        style.note(panels[0], "no metric differs between the runs")
        return figure
    for ax, measure in zip(panels, measures, strict=True):
        _draw_panel(ax, comparison, rows, names, measure)
    marks.name_ticks(panels[-1], range(len(names)), [marks.label(comparison, name) for name in names])
    return figure


def _draw_panel(
    ax: Axes, comparison: Comparison, rows: Mapping[tuple[str, str], Row], names: Sequence[str], measure: Measure
) -> None:
    ax.grid(axis="x", visible=False)
    ax.set_xlim(-0.6, len(names) - 0.4)
    values = np.array([comparison.values(name, measure.name) for name in names])
    offsets = marks.jitter(len(comparison.seeds), 0.36)
    if len(names) > 1 and len(comparison.seeds) <= JOINED:
        places = np.arange(len(names))[:, None] + offsets
        ax.plot(places, values, color=style.FAINT, linewidth=0.5, alpha=0.7, zorder=1)
    for place, name in enumerate(names):
        _draw_variant(ax, place, values[place], offsets, rows[name, measure.name])
    scale = marks.scaled(ax, "y", [rows[name, measure.name].mean for name in names])
    marks.name_upwards(ax, measure, scale)
    # Bars are wont to stand on the axis, which would cut what lies at their foot.
    ax.use_sticky_edges = False
    ax.margins(y=0.14)


def _draw_variant(ax: Axes, place: int, values: Floats, offsets: Floats, row: Row) -> None:
    has = np.isfinite(values)
    if not has.any():
        ax.text(
            place, 0.5, "no value", transform=ax.get_xaxis_transform(), fontsize=7.5, color=style.MUTED, ha="center"
        )
        return
    ax.plot(place + offsets[has], values[has], ".", markersize=3.2, color=style.BLUE, zorder=3)
    if has.sum() > 3:
        low, middle, high = np.quantile(values[has], (0.25, 0.5, 0.75))
        ax.bar(place, high - low, 0.62, low, facecolor="none", edgecolor=style.MUTED, linewidth=0.9, zorder=2)
        ax.plot([place - 0.31, place + 0.31], [middle, middle], color=style.INK, linewidth=1.6, zorder=4)
    if row.worst_seed is not None and has.sum() > 1:
        seed = int(np.flatnonzero(has & (values == row.worst))[0])
        at = (place + offsets[seed], row.worst)
        ax.plot(*at, "o", markersize=5, color=style.VERMILLION, markerfacecolor="none", zorder=5)
        below = row.worst < row.median
        ax.annotate(
            str(row.worst_seed),
            at,
            xytext=(0, -5 if below else 5),
            textcoords="offset points",
            ha="center",
            va="top" if below else "bottom",
            fontsize=7.5,
            color=style.VERMILLION,
            zorder=6,
        )


def _claim(rows: Mapping[tuple[str, str], Row], names: Sequence[str], measures: Sequence[Measure]) -> str:
    """On how many variants the first metric's worst seed is the same one."""
    if not measures:
        return "No metric differs between the runs"
    measure = measures[0]
    worst = [seed for name in names if (seed := rows[name, measure.name].worst_seed) is not None]
    if not any(math.isfinite(rows[name, measure.name].deviation) for name in names):
        return f"{measure.name} on one seed: nothing is said about others"
    if not worst:
        return f"{measure.name} is the same on all seeds"
    most = max(dict.fromkeys(worst), key=worst.count)
    kind = "worst" if measure.sign else "farthest from the mean"
    return f"Seed {most} is {kind} in {measure.name} for {worst.count(most)} of {len(worst)} variants"


def _remark(comparison: Comparison, more: str) -> str:
    lines = " · lines: equal seeds" if len(comparison.seeds) <= JOINED and len(comparison.variants) > 1 else ""
    return f"dots: seeds{lines} · box: quartiles and median · ring: worst seed" + (f" · {more}" if more else "")
