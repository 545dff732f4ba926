"""The feeder as a map: which lines and transformers were loaded how much, and which voltage was where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox, offset_copy
from numpy.typing import NDArray

from results.grid_picture import GridPicture, picture_of
from results.metrics import EN_50160_PU, band_pu
from results.plots import style
from results.run import Run

Floats = NDArray[np.float64]
Place = tuple[float, float]

HEIGHT_IN = 5.4
NAMED = 12
"""Transformers that are named; of more, the most loaded ones."""
LEAST_SPAN_PU = 0.02
"""The voltage scale reaches at least this far to both sides of 1."""
VOLTAGES = LinearSegmentedColormap.from_list(
    "voltages", [style.BLUE, "#9ecae8", "#f4f4f4", "#f5b48a", style.VERMILLION]
)
LOADINGS = LinearSegmentedColormap.from_list("loadings", ["#d0d0d0", "#111111"]).with_extremes(over=style.PURPLE)


@dataclass(frozen=True, slots=True)
class _State:
    """What flowed in one interval, by name; an empty mapping where nothing is known.

    v_pu: of each bus, the phase that is farthest from 1; NaN without supply.  band_pu: what the scenario allows.
    """

    v_pu: Mapping[str, float]
    lines: Mapping[str, float]
    transformers: Mapping[str, float]
    band_pu: tuple[float, float] = EN_50160_PU

    def is_outside(self, v_pu: float) -> bool:
        """Whether this voltage is beyond the band; one that is not known is not."""
        return v_pu < self.band_pu[0] or v_pu > self.band_pu[1]

    @property
    def peak(self) -> tuple[str, float]:
        """The most loaded line or transformer; an empty name where there is none."""
        known = {name: load for name, load in (*self.transformers.items(), *self.lines.items()) if not np.isnan(load)}
        return max(known.items(), key=lambda item: item[1], default=("", float("nan")))


_NOTHING = _State({}, {}, {})


def shows(run: Run) -> bool:
    """Whether the run has a feeder."""
    return len(run.buses) > 0


def draw(run: Run, interval: int | None = None) -> Figure:
    """The map in one interval; default the one in which a loading is nearest to its rating, or a voltage to its band."""
    figure, (ax,) = style.canvas(1, HEIGHT_IN)
    chosen = _hardest_interval(run) if interval is None else interval
    edition = int(run.intervals["edition"].iloc[chosen]) if len(run.intervals) else 0
    picture = picture_of(run, edition)
    if not picture.buses:
        style.headline(figure, "No feeder", run)
        style.note(ax, "this run has no buses")
        return figure
    state = _state(run, chosen)
    if len(state.v_pu):
        _colour_bars(figure, ax, state)
    moment = f"{run.calendar.local(run.calendar.interval(chosen).start_s):%a %H:%M}"
    style.headline(figure, _claim(state), run, f"{moment} · {_key(picture, state)}")
    _draw(figure, ax, picture, state)
    return figure


def draw_feeder(picture: GridPicture) -> Figure:
    """The map alone, before anything flows."""
    figure, (ax,) = style.canvas(1, HEIGHT_IN)
    kinds = [kind for kind, *_ in picture.edges]
    counts = {"buses": len(picture.buses), "lines": kinds.count("line"), "transformers": kinds.count("transformer")}
    below = " · ".join(f"{count:,} {what}" for what, count in counts.items())
    remark = "open ones are not drawn"
    style.title(figure, picture.name, f"{below} ({remark}) · {len(picture.sites):,} customers at the filled buses")
    _draw(figure, ax, picture, _NOTHING)
    return figure


def _state(run: Run, interval: int) -> _State:
    voltages, lines, nodes = (table[table["interval"] == interval] for table in (run.voltages, run.lines, run.nodes))
    if voltages["v_pu"].isna().all():
        return _NOTHING
    farthest = voltages.assign(off=(voltages["v_pu"] - 1).abs().fillna(np.inf)).sort_values("off", kind="stable")
    v_pu = farthest.drop_duplicates("bus", keep="last").set_index("bus")["v_pu"]
    return _State(
        {str(bus): float(v) for bus, v in v_pu.items()},
        dict(zip(lines["line"], lines["loading"], strict=True)),
        dict(zip(nodes["node"], nodes["loading"], strict=True)),
        band_pu(run),
    )


def _hardest_interval(run: Run) -> int:
    """Loading counts as a share of the rating, a voltage as a share of the way from 1 to the end of its band."""
    low, high = band_pu(run)
    off = run.voltages["v_pu"] - 1
    parts = [
        run.lines.groupby("interval")["loading"].max(),
        run.nodes.groupby("interval")["loading"].max(),
        (off / (high - 1)).where(off > 0, off / (low - 1)).groupby(run.voltages["interval"]).max(),
    ]
    stress = pd.concat(parts, axis=1).max(axis=1).dropna()
    return int(stress.idxmax()) if len(stress) else 0


def _claim(state: _State) -> str:
    known = {bus: v for bus, v in state.v_pu.items() if not np.isnan(v)}
    if not known:
        return "No power flow in this interval"
    worst = max(known, key=lambda bus: abs(known[bus] - 1))
    name, loading = state.peak
    most = f"{style.short(name)} carries {style.percent(loading)} of its rating; " if name else ""
    return f"{most}worst voltage {known[worst]:.3f} pu at {style.short(worst)}"


def _key(picture: GridPicture, state: _State) -> str:
    dark = sum(np.isnan(v) for v in state.v_pu.values())
    outside = sum(state.is_outside(v) for v in state.v_pu.values())
    remarks = {
        "with a rim: participants": bool(picture.sites),
        f"crossed: {outside} {_buses(outside)} outside the band": outside,
        f"hollow: {dark} {_buses(dark)} without supply": dark,
    }
    return " · ".join(remark for remark, applies in remarks.items() if applies)


def _buses(count: int) -> str:
    return "bus" if count == 1 else "buses"


def _draw(figure: Figure, ax: Axes, picture: GridPicture, state: _State) -> None:
    ax.set_axis_off()
    ax.margins(0.06)
    _draw_lines(ax, picture, state)
    _draw_buses(ax, picture, state)
    transformers = [(name, _middle(picture, *ends)) for kind, name, *ends in picture.edges if kind == "transformer"]
    size = 7.5 if len(transformers) <= 2 * NAMED else 4.0
    for _, place in transformers:
        _draw_symbol(ax, place, size)
    _name(figure, ax, transformers, state)


def _middle(picture: GridPicture, start: str, end: str) -> Place:
    (x0, y0), (x1, y1) = picture.buses[start], picture.buses[end]
    return (x0 + x1) / 2, (y0 + y1) / 2


def _draw_lines(ax: Axes, picture: GridPicture, state: _State) -> None:
    """Colour and width by loading; connections without a rating thin and grey."""
    segments, loadings, dark = [], [], []
    for kind, name, start, end in picture.edges:
        if start in picture.buses and end in picture.buses:
            segments.append((picture.buses[start], picture.buses[end]))
            loads = state.lines if kind == "line" else state.transformers
            loadings.append(np.nan_to_num(loads.get(name, 0.0), posinf=0.0))
            dark.append(any(np.isnan(state.v_pu.get(bus, 1.0)) for bus in (start, end)))
    values: Floats = np.array(loadings, dtype=float)
    thin, thick = (1.0, 3.2) if len(segments) < 300 else (0.5, 2.4)
    colors = LOADINGS(values) if state.v_pu else np.tile(to_rgba(style.MUTED), (len(values), 1))
    widths = thin + (thick - thin) * np.clip(values, 0, 1.2)
    off = np.array(dark, dtype=bool)
    for some, dashes in ((~off, "-"), (off, ":")):
        # Whatever has no supply carries nothing, and is drawn like its buses.
        color = to_rgba(style.FAINT) if dashes == ":" else colors[some]
        rows = [segment for segment, is_one in zip(segments, some, strict=True) if is_one]
        ax.add_collection(LineCollection(rows, colors=color, linewidths=widths[some], linestyles=dashes, zorder=2))


def _draw_buses(ax: Axes, picture: GridPicture, state: _State) -> None:
    sites = set(picture.sites)
    size = float(np.clip(3000 / max(1, len(picture.buses)), 3.0, 34.0))
    span = _span(state)
    for is_site in (False, True):
        names = [bus for bus in picture.buses if (bus in sites) == is_site]
        if not names:
            continue
        places = np.array([picture.buses[bus] for bus in names])
        v_pu: Floats = np.array([state.v_pu.get(bus, np.nan) for bus in names], dtype=float)
        colors = VOLTAGES(Normalize(1 - span, 1 + span)(v_pu))
        colors[np.isnan(v_pu)] = (1, 1, 1, 1)
        if not state.v_pu and is_site:
            colors[:] = (0, 0.447, 0.698, 1)
        rims = np.where(
            np.isnan(v_pu), style.FAINT if state.v_pu else style.MUTED, style.INK if is_site else style.MUTED
        )
        width = min(0.9 if is_site else 0.35, size / 25 if is_site else size / 60)
        area = size if is_site else 0.6 * size
        ax.scatter(
            places[:, 0], places[:, 1], s=area, c=colors, edgecolors=rims.tolist(), linewidths=width, zorder=3 + is_site
        )
        outside = np.array([state.is_outside(v) for v in v_pu.tolist()], dtype=bool)
        ax.scatter(places[outside, 0], places[outside, 1], s=area, c=style.INK, marker="x", linewidths=0.9, zorder=5)


def _span(state: _State) -> float:
    off = np.abs(np.array([v for v in state.v_pu.values() if not np.isnan(v)], dtype=float) - 1)
    return float(max(LEAST_SPAN_PU, np.ceil(100 * off.max(initial=0.0)) / 100))


def _draw_symbol(ax: Axes, place: Place, size: float) -> None:
    """Two rings, one beside the other."""
    for shift in (-0.32 * size, 0.32 * size):
        at = offset_copy(ax.transData, fig=ax.get_figure(root=True), y=shift, units="points")
        look: dict[str, Any] = {"marker": "o", "markersize": size, "markeredgecolor": style.INK, "transform": at}
        ax.plot(*place, markerfacecolor="white", markeredgewidth=0.16 * size, zorder=6 + (shift > 0), **look)
        ax.plot(*place, markerfacecolor="none", markeredgewidth=0.16 * size, zorder=8, **look)


def _name(figure: Figure, ax: Axes, transformers: Sequence[tuple[str, Place]], state: _State) -> None:
    """Names and loadings beside the most loaded transformers, as far as they find room."""
    loads = {name: state.transformers.get(name, float("nan")) for name, _ in transformers}
    if len(transformers) > NAMED and not state.transformers:
        return
    ranked = sorted(transformers, key=lambda item: -np.nan_to_num(loads[item[0]], nan=-1.0))
    figure.draw_without_rendering()
    taken: list[Bbox] = []
    for name, place in ranked[:NAMED]:
        text = style.short(name, 18) + ("" if np.isnan(loads[name]) else f" {style.percent(loads[name])}")
        color = style.PURPLE if loads[name] > 1 else style.INK
        label = ax.annotate(
            text, place, (8, 11), textcoords="offset points", va="center", fontsize=8.5, color=color, zorder=9,
            bbox={"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
        )  # fmt: skip
        label.set_in_layout(False)
        _keep_or_drop(ax, label, taken)


def _keep_or_drop(ax: Axes, label: Text, taken: list[Bbox]) -> None:
    box = label.get_window_extent()
    if box.x1 > ax.get_window_extent().x1:
        label.set_horizontalalignment("right")
        label.set_position((-8, 11))
        box = label.get_window_extent()
    if any(box.overlaps(other) for other in taken):
        label.remove()
    else:
        taken.append(box.padded(2))


def _colour_bars(figure: Figure, ax: Axes, state: _State) -> None:
    span = _span(state)
    low, high = state.band_pu
    bars: Iterable[tuple[Colormap, Normalize, str, str]] = (
        (VOLTAGES, Normalize(1 - span, 1 + span), f"voltage, pu (band: {low:g} to {high:g})", "neither"),
        (LOADINGS, Normalize(0, 100), "loading of lines, % of the rating", "max"),
    )
    for colours, norm, label, extend in bars:
        bar = figure.colorbar(
            ScalarMappable(norm, colours), ax=ax, label=label, extend=extend, fraction=0.028, pad=0.012, aspect=32
        )
        bar.outline.set_visible(False)
        if extend == "neither":
            for edge in (edge for edge in (low, high) if abs(edge - 1) <= span):
                bar.ax.axhline(edge, color=style.INK, linewidth=1.4)
