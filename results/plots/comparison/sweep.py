"""How metrics change along an axis of a grid: a line for each of the others' values, or a map where two axes have numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from results.comparison import POLICY, Comparison, Measure, Row, Variant, headline
from results.comparison.statistics import differences
from results.plots import style
from results.plots.comparison import marks
from results.plots.style import Label
from sim.curves import Floats

PANELS = 3
MAPS = 4
"""Maps beside each other, one for each of the values of the axes that are not its own."""
Rows = Mapping[tuple[str, str], Row]
Place = TypeVar("Place")


@dataclass(frozen=True, slots=True)
class _Axis:
    """A YAML path with its values: in ascending order where all are numbers, else as they came.

    places: where each value lies: the number itself, or its place in the row of categories.
    """

    path: str
    values: tuple[str, ...]
    places: Mapping[str, float]
    is_numeric: bool

    @property
    def name(self) -> str:
        """The end of the path that a person would say."""
        return ".".join(self.path.split(".")[-2:])


def draw(comparison: Comparison, metrics: Sequence[str] = ()) -> Figure:
    """Means with a band for the 95 % interval along the axis with the most numbers, or a map over two such axes.

    metrics: which; else the first headline metrics, of a map the first one.
    """
    axes = [_axis(comparison, path) for path in comparison.axes]
    numeric = [axis for axis in axes if axis.is_numeric]
    measures = headline(comparison, metrics)
    if not axes or not measures:
        figure, (ax,) = style.canvas()
        marks.headline(figure, "Nothing changes along an axis", comparison)
        style.note(ax, "one variant, or no metric that differs between the runs")
        return figure
    if len(numeric) > 1 and all(len(axis.values) > 2 for axis in numeric[:2]):
        return _draw_maps(comparison, numeric[:2], measures[0])
    along = max(numeric, key=lambda axis: len(axis.values)) if numeric else max(axes, key=_rank)
    return _draw_lines(comparison, along, measures[:PANELS])


def _rank(axis: _Axis) -> tuple[bool, int]:
    """Policies are lines, where anything else can be the axis."""
    return axis.path != POLICY, len(axis.values)


def _axis(comparison: Comparison, path: str) -> _Axis:
    values = tuple(dict.fromkeys(variant.axes[path] for variant in comparison.variants if path in variant.axes))
    numbers = [_number(value) for value in values]
    if all(math.isfinite(number) for number in numbers):
        ordered = sorted(zip(numbers, values, strict=True))
        return _Axis(path, tuple(value for _, value in ordered), {value: number for number, value in ordered}, True)
    return _Axis(path, values, {value: float(place) for place, value in enumerate(values)}, False)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _rest(variant: Variant, comparison: Comparison, without: Sequence[str]) -> str:
    """What tells a line, or a map, from the others."""
    parts = [(path, variant.axes[path]) for path in comparison.axes if path not in without and path in variant.axes]
    return ", ".join(value if path == POLICY else f"{path.split('.')[-1]} {value}" for path, value in parts)


# --- lines ------------------------------------------------------------------------------------------------------------


def _draw_lines(comparison: Comparison, along: _Axis, measures: Sequence[Measure]) -> Figure:
    rows = marks.rows_of(comparison)
    lines: dict[str, list[Variant]] = {}
    for variant in comparison.variants:
        if along.path in variant.axes:
            lines.setdefault(_rest(variant, comparison, [along.path]), []).append(variant)
    for found in lines.values():
        found.sort(key=lambda variant: along.places[variant.axes[along.path]])
    shown = dict(list(lines.items())[: len(style.LOOKS)])
    more = f"{len(lines) - len(shown)} more lines not shown" if len(shown) < len(lines) else ""
    figure, panels = style.canvas(len(measures), 1.5 + 2.2 * len(measures))
    remark = " · ".join(
        part for part in (f"means with {'bands' if along.is_numeric else 'bars'} of 95 %", more) if part
    )
    marks.headline(figure, _claim(rows, along, shown, measures[0]), comparison, remark)
    for ax, measure in zip(panels, measures, strict=True):
        _draw_panel(ax, rows, along, shown, measure)
    _ticks(panels[-1], along)
    panels[-1].set_xlabel(along.path)
    figure.draw_without_rendering()
    for ax, measure in zip(panels, measures, strict=True):
        ax.set_ylim(ax.get_ylim())
        style.end_labels(ax, _labels(ax, rows, shown, measure))
    return figure


def _draw_panel(ax: Axes, rows: Rows, along: _Axis, lines: Mapping[str, Sequence[Variant]], measure: Measure) -> None:
    for found, look in zip(lines.values(), style.LOOKS, strict=False):
        cells = [rows[variant.name, measure.name] for variant in found]
        places = np.array([along.places[variant.axes[along.path]] for variant in found])
        means = np.array([cell.mean for cell in cells])
        halves = np.nan_to_num(np.array([cell.half for cell in cells]))
        if not along.is_numeric:
            # Nothing lies between two categories: the thin line is only there to be followed.
            ax.plot(places, means, color=look.color, linestyle=look.dashes, linewidth=0.7, alpha=0.6, zorder=2)
            ax.errorbar(places, means, yerr=halves, fmt="o", markersize=4.5, color=look.color, zorder=3)
            continue
        ax.fill_between(places, means - halves, means + halves, color=look.color, alpha=0.15, linewidth=0, zorder=2)
        ax.plot(
            places, means, marker="o", markersize=3.5, color=look.color, linestyle=look.dashes, linewidth=1.5, zorder=3
        )
    scale = marks.scaled(ax, "y", [rows[v.name, measure.name].mean for found in lines.values() for v in found])
    marks.name_upwards(ax, measure, scale)
    ax.margins(y=0.1)


def _ticks(ax: Axes, along: _Axis) -> None:
    places = [along.places[value] for value in along.values]
    width = max(places) - min(places)
    near = min(np.diff(places), default=1.0) < 0.03 * width
    if not along.is_numeric or (len(places) <= 12 and not near):
        marks.name_ticks(ax, places, [marks.named(value) for value in along.values])
    pad = 0.04 * width or 0.5
    ax.set_xlim(min(places) - pad, max(places) + pad)


def _labels(ax: Axes, rows: Rows, lines: Mapping[str, Sequence[Variant]], measure: Measure) -> list[Label]:
    """Names at the lines' ends, at heights as if the axis were linear, which is what labels are placed on."""
    low, high = ax.get_ylim()
    to_axes = ax.transData + ax.transAxes.inverted()
    found = []
    for (name, variants), look in zip(lines.items(), style.LOOKS, strict=False):
        means = [mean for v in variants if math.isfinite(mean := rows[v.name, measure.name].mean)]
        if means and name:
            height = low + float(to_axes.transform((0, means[-1]))[1]) * (high - low)
            found.append(Label(height, style.short(name, 26), look.color, look.dashes))
    return found


def _claim(rows: Rows, along: _Axis, lines: Mapping[str, Sequence[Variant]], measure: Measure) -> str:
    """The line that changes most from one end to the other; of categories the best."""
    if not along.is_numeric:
        return _best_category(rows, along, lines, measure)
    ends = {}
    for name, variants in lines.items():
        known = [v for v in variants if math.isfinite(rows[v.name, measure.name].mean)]
        if len(known) > 1:
            ends[name] = (known[0], known[-1])
    if not ends:
        return f"{measure.name} has no two values along {along.path}"

    def means(name: str) -> tuple[float, float]:
        first, last = (rows[variant.name, measure.name].mean for variant in ends[name])
        return first, last

    most = max(ends, key=lambda name: abs(means(name)[1] - means(name)[0]))
    first, last = means(most)
    digits = 0 if max(abs(first), abs(last)) >= 100 else 2
    whose = f" under {style.short(most, 30)}" if most else ""
    values = [variant.axes[along.path] for variant in ends[most]]
    change = f"{style.plain(first, digits)} at {values[0]} to {style.plain(last, digits)} at {values[1]}"
    return f"{measure.name} goes from {change} of {along.name}{whose}"


def _best_category(rows: Rows, along: _Axis, lines: Mapping[str, Sequence[Variant]], measure: Measure) -> str:
    sign = measure.sign or 1
    found = [
        (sign * mean, name, variant.axes[along.path])
        for name, variants in lines.items()
        for variant in variants
        if math.isfinite(mean := rows[variant.name, measure.name].mean)
    ]
    if not found:
        return f"{measure.name} has no value along {along.path}"
    (value, name, where), others = _first_of(found)
    return _extreme(measure, where, name, sign * value) + others


def _first_of(found: Sequence[tuple[float, str, Place]]) -> tuple[tuple[float, str, Place], str]:
    """The first of those with the greatest value, and what is to be said of the others that have it but for rounding."""
    values = np.array([value for value, *_ in found])
    alike = np.flatnonzero(differences(values, np.full(len(values), values.max())) == 0)
    count = len(alike) - 1
    return found[alike[0]], f", as at {count} other{'s' * (count > 1)}" if count else ""


def _extreme(measure: Measure, where: str, name: str, value: float) -> str:
    under = f" under {style.short(name, 30)}" if name else ""
    told = f"{style.plain(value, 2)} {marks.unit(measure)}".rstrip()
    return f"{measure.name} is {_EXTREME[measure.sign]} at {where}{under}: {told}"


_EXTREME = {-1: "lowest, and best,", 1: "highest, and best,", 0: "highest"}


# --- maps -------------------------------------------------------------------------------------------------------------


def _draw_maps(comparison: Comparison, pair: Sequence[_Axis], measure: Measure) -> Figure:
    across, up = pair
    rows = marks.rows_of(comparison)
    maps: dict[str, Floats] = {}
    for variant in comparison.variants:
        if across.path in variant.axes and up.path in variant.axes:
            name = _rest(variant, comparison, [across.path, up.path])
            values = maps.setdefault(name, np.full((len(up.values), len(across.values)), np.nan))
            place = (up.values.index(variant.axes[up.path]), across.values.index(variant.axes[across.path]))
            values[place] = rows[variant.name, measure.name].mean
    shown = dict(list(maps.items())[:MAPS])
    columns = min(2, len(shown))
    lines = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(9.0, 1.3 + lines * (3.0 if columns > 1 else 4.0)), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for ax in panels[len(shown) :]:
        ax.remove()
    more = f"{len(maps) - len(shown)} more maps not shown" if len(shown) < len(maps) else ""
    marks.headline(figure, _best_of(shown, across, up, measure), comparison, more or "means over the seeds")
    finite = np.concatenate([values[np.isfinite(values)] for values in shown.values()])
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    for ax, (name, values) in zip(panels, shown.items(), strict=False):
        image = _draw_map(ax, values, across, up, (low, high), measure)
        ax.set_title(style.short(name, 44), fontsize=9, loc="left")
    bar = figure.colorbar(image, ax=list(panels[: len(shown)]), shrink=0.9)
    arrow = {"less": "less is better", "more": "more is better"}.get(measure.better, "")
    bar.set_label(", ".join(part for part in (marks.axis(measure), arrow) if part))
    return figure


def _draw_map(
    ax: Axes, values: Floats, across: _Axis, up: _Axis, scale: tuple[float, float], measure: Measure
) -> AxesImage:
    """A cell per point with its mean in it; the better, the lighter, so that print in grey says the same."""
    colors = "cividis" if measure.sign > 0 else "cividis_r"
    image = ax.imshow(values, origin="lower", aspect="auto", cmap=colors, vmin=scale[0], vmax=scale[1])
    ax.grid(visible=False)
    for axis, ticks, labels, name in (
        (ax.xaxis, range(len(across.values)), across.values, across.path),
        (ax.yaxis, range(len(up.values)), up.values, up.path),
    ):
        axis.set_ticks(list(ticks), [style.short(label, 10) for label in labels])
        axis.set_label_text(name)
    if values.size <= 80:
        digits = 0 if np.nanmax(np.abs([*scale])) >= 100 else 2 if np.nanmax(np.abs([*scale])) < 10 else 1
        for (row, column), value in np.ndenumerate(values):
            told = style.plain(float(value), digits) if np.isfinite(value) else "–"
            share = (value - scale[0]) / (scale[1] - scale[0]) if scale[1] > scale[0] and np.isfinite(value) else 0.5
            light = share if measure.sign > 0 else 1 - share
            color = style.INK if light > 0.5 or not np.isfinite(value) else "white"
            ax.text(column, row, told, ha="center", va="center", fontsize=7.5, color=color)
    return image


def _best_of(maps: Mapping[str, Floats], across: _Axis, up: _Axis, measure: Measure) -> str:
    sign = measure.sign or 1
    points = [
        (sign * float(values[place]), name, place)
        for name, values in maps.items()
        for place in np.ndindex(values.shape)
        if np.isfinite(values[place])
    ]
    if not points:
        return f"{measure.name} has no value on the grid"
    (value, name, (row, column)), others = _first_of(points)
    where = f"{across.name} {across.values[column]} and {up.name} {up.values[row]}"
    return _extreme(measure, where, name, sign * value) + others
