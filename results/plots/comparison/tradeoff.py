"""What is gained in one metric and lost in another: each variant as a point between two axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from results.comparison import Comparison, Measure, Row
from results.comparison.opposed import opposed
from results.comparison.statistics import differences
from results.plots import style
from results.plots.comparison import marks
from results.text import distinct

NAMES = 24
"""Points that get a name, those that are beaten by no other first."""


@dataclass(frozen=True, slots=True)
class _Point:
    """A variant with its statistics in both metrics.  first: whether no other variant is better in both."""

    name: str
    across: Row
    up: Row
    first: bool


def draw(comparison: Comparison, metrics: Sequence[str] = ()) -> Figure:
    """A point for each variant, at its means and with their 95 % intervals; filled where no other one is better in both.

    metrics: of the axis across and of the one upwards.  Single seeds are dots; the front of the best is a line.
    """
    figure, (ax,) = style.canvas(1, 5.2)
    pair = opposed(comparison, metrics)
    if pair is None:
        marks.headline(figure, "No two metrics differ between the runs", comparison)
        style.note(ax, "nothing to set against each other")
        return figure
    points = _points(comparison, *pair)
    marks.headline(
        figure,
        _claim(points, pair),
        comparison,
        "means with 95 % intervals · filled: beaten by no other in both · dots: single seeds",
    )
    if not points:
        style.note(ax, "no variant has a value in both")
        return figure
    _draw_points(ax, comparison, points, pair)
    across, up = pair
    ax.set_xlabel(_label(across, marks.scaled(ax, "x", [point.across.mean for point in points])))
    ax.set_ylabel(_label(up, marks.scaled(ax, "y", [point.up.mean for point in points])))
    figure.draw_without_rendering()
    _draw_names(ax, points)
    return figure


def _label(measure: Measure, scale: str) -> str:
    better = f"{measure.better} is better" if measure.better else ""
    return ", ".join(part for part in (marks.axis(measure), better, scale) if part)


def _points(comparison: Comparison, across: Measure, up: Measure) -> list[_Point]:
    rows = marks.rows_of(comparison)
    both = [(v.name, rows[v.name, across.name], rows[v.name, up.name]) for v in comparison.variants]
    both = [(name, x, y) for name, x, y in both if math.isfinite(x.mean) and math.isfinite(y.mean)]
    places = [(across.sign * x.mean, up.sign * y.mean) for _, x, y in both]
    return [
        _Point(name, x, y, not any(_beats(other, place) for other in places))
        for (name, x, y), place in zip(both, places, strict=True)
    ]


def _beats(other: tuple[float, float], place: tuple[float, float]) -> bool:
    """Whether the other is at least as good in both and better in one, but for rounding; larger is better."""
    ahead = [differences(np.array([own]), np.array([base]))[0] for own, base in zip(other, place, strict=True)]
    return any(ahead) and min(ahead) >= 0


def _draw_points(ax: Axes, comparison: Comparison, points: Sequence[_Point], pair: tuple[Measure, Measure]) -> None:
    for point in points:
        color = style.BLUE if point.first else style.MUTED
        x, y = (comparison.values(point.name, measure.name) for measure in pair)
        ax.plot(x, y, ".", markersize=2.8, color=style.SKY if point.first else style.FAINT, zorder=2)
        halves = [half if math.isfinite(half) else 0.0 for half in (point.across.half, point.up.half)]
        center = (point.across.mean, point.up.mean)
        ax.errorbar(
            *center, xerr=halves[0], yerr=halves[1], fmt="none", ecolor=color, elinewidth=marks.BARS_PT, zorder=3
        )
        face = color if point.first else "white"
        ax.plot(*center, "o", markersize=6, color=color, markerfacecolor=face, zorder=4)
    front = sorted((point.across.mean, point.up.mean) for point in points if point.first)
    if len(front) > 1:
        # No mixture of variants was tried, so nothing is promised between the points: a step along what they reach.
        falls = front[0][1] > front[-1][1]
        goes_up = pair[1].sign > 0
        ax.step(
            *zip(*front, strict=True),
            where="pre" if falls == goes_up else "post",
            color=style.BLUE,
            linewidth=1.0,
            linestyle=style.DASHED,
            zorder=1,
        )


def _draw_names(ax: Axes, points: Sequence[_Point]) -> None:
    """Names at the right end, each with a thin line from its point; the limits must be final."""
    ax.set_xlim(ax.get_xlim())
    ax.set_ylim(ax.get_ylim())
    to_axes = ax.transData + ax.transAxes.inverted()
    named = sorted(points, key=lambda point: not point.first)[:NAMES]
    placed = [(tuple(to_axes.transform((point.across.mean, point.up.mean))), point) for point in named]
    placed.sort(key=lambda item: (item[0][1], -item[0][0]))
    height_pt = ax.get_window_extent().height * 72 / ax.figure.dpi
    gap = 11 / height_pt
    heights = style.spread(np.array([place[1] for place, _ in placed]), gap)
    over = max(0.0, heights[-1] - 1.0)
    heights = np.maximum(heights - over, np.arange(len(placed)) * gap)
    names = distinct([point.name for _, point in placed], 26, 44)
    for (place, point), height, name in zip(placed, heights, names, strict=True):
        color = style.BLUE if point.first else style.MUTED
        ax.plot(
            [place[0], 1.0, 1.02],
            [place[1], height, height],
            linewidth=0.5,
            color=style.FAINT,
            transform=ax.transAxes,
            clip_on=False,
            zorder=1,
        )
        ax.text(1.025, height, name, color=color, fontsize=8.5, va="center", transform=ax.transAxes)


def _claim(points: Sequence[_Point], pair: tuple[Measure, Measure]) -> str:
    first = [point for point in points if point.first]
    what = f"{pair[0].name} and {pair[1].name}"
    if not first:
        return f"No variant has both {what}"
    if len(first) == 1:
        return f"{style.short(first[0].name, 36)} is best in both {what}"
    return f"{len(first)} of {len(points)} variants are beaten by no other in both {what}"
