"""By how much each variant differs from its baseline, seed by seed and with the interval of the mean."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from results.comparison import Comparison, Measure, Row, headline
from results.comparison.statistics import differences
from results.plots import style
from results.plots.comparison import marks
from sim.curves import Floats

COLUMNS = 4
VARIANTS = 24
Rows = Mapping[tuple[str, str], Row]


def draw(comparison: Comparison, metrics: Sequence[str] = ()) -> Figure:
    """A panel for each metric: single seeds as dots, the mean with its 95 % interval, filled where 0 lies outside.

    metrics: which, else the headline metrics.
    """
    measures = headline(comparison, metrics)
    compared = [variant.name for variant in comparison.variants if variant.baseline != variant.name]
    names, more = marks.few(compared, VARIANTS, "variants")
    rows = marks.rows_of(comparison)
    labels = [marks.label(comparison, name) for name in names]
    figure, panels = _panels(len(measures), labels)
    marks.headline(figure, _claim(comparison, rows, compared, measures), comparison, _remark(comparison, more))
    if not measures or not names:
        style.note(panels[0], "nothing to compare: one variant, or no metric that differs")
        return figure
    for place, (ax, measure) in enumerate(zip(panels, measures, strict=True)):
        _draw_panel(ax, comparison, rows, names, measure)
        if place % COLUMNS:
            ax.tick_params(labelleft=False)
        else:
            ax.set_yticks(range(len(names)), labels)
    return figure


def _panels(count: int, labels: Sequence[str]) -> tuple[Figure, list[Axes]]:
    height = 0.36 if any("\n" in label for label in labels) else 0.27
    columns = min(COLUMNS, max(1, count))
    lines = max(1, math.ceil(count / columns))
    figure = Figure(figsize=(9.0, 0.9 + lines * (1.05 + height * max(3, len(labels)))), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
    for ax in grid[max(1, count) :]:
        ax.remove()
    return figure, list(grid[: max(1, count)])


def _draw_panel(ax: Axes, comparison: Comparison, rows: Rows, names: Sequence[str], measure: Measure) -> None:
    ax.axvline(0, color=style.INK, linewidth=0.9, zorder=1)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    ax.set_title(marks.wrapped(measure.name, 22), fontsize=9, loc="left")
    drawn = [0.0]
    for place, name in enumerate(names):
        seeds = _seeds(comparison, name, measure)
        if np.isfinite(seeds).sum() > 1:
            at = place + marks.jitter(len(seeds), 0.5)
            ax.plot(seeds, at, ".", markersize=2.6, color=style.FAINT, zorder=2)
        drawn += _draw_interval(ax, place, rows[name, measure.name], measure)
    if not any(drawn):
        ax.set_xlim(-1, 1)
    scale = marks.scaled(ax, "x", drawn[1:])
    parts = (marks.unit(measure), _direction(measure), scale)
    ax.set_xlabel(", ".join(part for part in parts if part), fontsize=8.5)
    ax.tick_params(axis="x", labelsize=8)


def _seeds(comparison: Comparison, name: str, measure: Measure) -> Floats:
    """Differences by seed, NaN where there is no pair; none where nothing is paired."""
    if name in comparison.unpaired:
        return np.array([])
    own = comparison.values(name, measure.name)
    base = comparison.values(comparison.variant(name).baseline, measure.name)
    return differences(own, base)


def _draw_interval(ax: Axes, place: int, row: Row, measure: Measure) -> list[float]:
    difference = row.difference
    if not math.isfinite(difference.mean):
        ax.text(
            0.03, place, "no value", transform=ax.get_yaxis_transform(), fontsize=7.5, color=style.MUTED, va="center"
        )
        return []
    color = _color(row, measure)
    if math.isfinite(difference.half):
        ax.plot([difference.low, difference.high], [place, place], color=color, linewidth=marks.BARS_PT, zorder=3)
    face = color if difference.apart else "white"
    ax.plot(difference.mean, place, "o", markersize=4.6, color=color, markerfacecolor=face, zorder=4)
    return [difference.mean]


def _color(row: Row, measure: Measure) -> str:
    if not row.difference.apart or not measure.sign:
        return style.MUTED if not row.difference.apart else style.INK
    return style.BLUE if measure.sign * row.difference.mean > 0 else style.VERMILLION


def _direction(measure: Measure) -> str:
    return {"less": "← better", "more": "better →"}.get(measure.better, "")


def _claim(comparison: Comparison, rows: Rows, names: Sequence[str], measures: Sequence[Measure]) -> str:
    """Who is told to be better than its baseline most often, and how often worse."""
    directed = [measure for measure in measures if measure.sign]
    scores = []
    for name in names:
        told = [m.sign * rows[name, m.name].difference.mean for m in directed if rows[name, m.name].difference.apart]
        scores.append((sum(value > 0 for value in told), sum(value < 0 for value in told)))
    if len(comparison.seeds) == 1:
        return f"One seed tells no variant from {_to(comparison)}"
    if not scores or not any(better for better, _ in scores):
        return f"No variant is told to be better than {_to(comparison)} in any metric"
    best = max(range(len(names)), key=lambda place: (scores[place][0] - scores[place][1], -place))
    if scores[best][0] == 0:
        best = max(range(len(names)), key=lambda place: (scores[place][0], -place))
    better, worse = scores[best]
    name, count = style.short(names[best], 36), len(directed)
    return f"{name} is better than {_to(comparison)} in {better} of {count} metrics, worse in {worse}"


def _to(comparison: Comparison) -> str:
    baselines = dict.fromkeys(variant.baseline for variant in comparison.variants)
    return style.short(next(iter(baselines)), 36) if len(baselines) == 1 else "its baseline"


def _remark(comparison: Comparison, more: str) -> str:
    told = f"difference to {_to(comparison)} with 95 % interval · filled: 0 lies outside it · dots: single seeds"
    return told + (f" · {more}" if more else "")
