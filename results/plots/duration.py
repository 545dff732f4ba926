"""For how many hours transformers and lines carried how much, in either direction."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from results import layout
from results.grid_picture import picture_of
from results.plots import style
from results.plots.style import Label, Look
from results.run import Run
from results.text import duration
from sim import tolerances

Floats = NDArray[np.float64]

EACH = 3
"""Transformers, and lines, that get a curve; the others are counted."""


SAME = 0.002
"""Curves lie on one line where they are nowhere further apart, as a share of the rating."""


@dataclass(frozen=True, slots=True)
class _Curve:
    """Loading of one transformer or line by interval, as a share of its rating: + is downstream (import).

    limits: what the market allowed at least, as a share of the rating and at unity power factor, by direction; infinite
    where nothing.
    """

    name: str
    kind: str
    loading: pd.Series[float]
    limits: tuple[float, float]
    look: Look

    @property
    def falling(self) -> Floats:
        """The known loadings, largest first."""
        rising: Floats = np.sort(self.loading.dropna().to_numpy(dtype=np.float64))
        return rising[::-1]


def shows(run: Run) -> bool:
    """Whether a power flow went through a transformer or a line."""
    return bool(_curves(run))


def draw(run: Run, interval: int | None = None) -> Figure:
    """Loadings in falling order over the hours for which they were reached, against the rating and the market's limit.

    interval: one to mark with a dot on every curve.
    """
    figure, (ax,) = style.canvas(1, 4.8)
    curves = _curves(run)
    style.headline(figure, _claim(run, curves), run, _remark(run, curves))
    if not curves:
        style.note(ax, "no interval with a power flow through a transformer or a line")
        return figure
    ax.axhline(0, color=style.INK, linewidth=0.8)
    for curve in curves:
        _draw_curve(ax, run, curve, interval)
    labels = list(_curve_labels(curves))
    labels += _draw_limits(ax, curves)
    ax.set_xlim(0, run.hours * max(len(curve.falling) for curve in curves))
    ax.set_xlabel("hours in which the loading was at least as high")
    ax.set_ylabel("loading, % of the rating:\nimport +, export −")
    ax.margins(y=0.08)
    style.end_labels(ax, labels)
    return figure


def _curves(run: Run) -> list[_Curve]:
    nodes = run.nodes.groupby("node", sort=False)["loading"].max().dropna()
    watched = [str(name) for name in nodes.sort_values(ascending=False, kind="stable").index[:EACH]]
    lines = run.lines[~run.lines["line"].isin(run.nodes["node"])].groupby("line", sort=False)["loading"].max()
    busy = lines[lines > 0].sort_values(ascending=False, kind="stable")
    names = [str(name) for name in busy.index[:EACH]]
    signs = _downstream(run, names)
    found = [_node_curve(run, name, look) for name, look in zip(watched, style.LOOKS, strict=False)]
    for name, look in zip(names, style.LOOKS[len(watched) :], strict=False):
        rows = run.lines[run.lines["line"] == name].set_index("interval")
        found.append(_Curve(name, "line", rows["loading"] * signs[name], (math.inf, math.inf), look))
    return found


def _node_curve(run: Run, name: str, look: Look) -> _Curve:
    rows = run.nodes[run.nodes["node"] == name].set_index("interval")
    signed = rows["loading"] * np.where(rows["wire_lv_kw"] < 0, -1.0, 1.0)
    ratings = run.elements["rated_kva"][run.elements["name"] == name]
    rated_kva = float(ratings.min()) if len(ratings) else math.inf
    limits_kw = [float(rows[f"{side}_limit_kw"].min()) for side in ("import", "export")]
    import_share, export_share = (kw / rated_kva if math.isfinite(rated_kva) else math.inf for kw in limits_kw)
    return _Curve(name, "transformer", signed, (import_share, export_share), look)


def _downstream(run: Run, names: list[str]) -> pd.DataFrame:
    """+1 where power went away from the external grid through a line, and −1 where it came back, by interval."""
    lines = run.flows[(run.flows["kind"] == "line") & run.flows["name"].isin(names)]
    by_name = lines.pivot_table(index="interval", columns="name", values="p_start_kw", aggfunc="sum", observed=True)
    flows_kw = by_name.reindex(index=run.intervals["interval"], columns=pd.Index(names))
    signs = pd.DataFrame(np.where(flows_kw < 0, -1.0, 1.0), index=flows_kw.index, columns=flows_kw.columns)
    for edition, intervals in run.intervals.groupby("edition"):
        rows = intervals["interval"]
        for name in _turned(run, int(str(edition))) & set(names):
            signs.loc[rows, name] = -signs.loc[rows, name]
    return signs


def _turned(run: Run, edition: int) -> set[str]:
    """Lines whose end is nearer to the external grid than their start."""
    picture = picture_of(run, edition)
    buses = run.buses[run.buses["edition"] == edition]
    roots = [str(bus) for bus in buses["bus"][buses["slack"]]]
    depth = layout.depths(layout.parents(list(picture.buses), [edge[2:] for edge in picture.edges], roots))
    return {name for kind, name, start, end in picture.edges if kind == "line" and depth[start] > depth[end]}


def _claim(run: Run, curves: list[_Curve]) -> str:
    if not curves:
        return "No loading"
    curve = max(curves, key=lambda curve: curve.loading.abs().max())
    over_h = float((curve.loading.abs() > 1 + tolerances.LOADING).sum()) * run.hours
    half = style.percent(float(curve.loading.abs().median()))
    beyond = f"is beyond its rating for {duration(over_h)}" if over_h else "stays within its rating"
    return f"{style.short(curve.name)} {beyond}, and half of the time at most at {half} of it"


def _remark(run: Run, curves: list[_Curve]) -> str:
    shown = {curve.name for curve in curves}
    watched, lines = set(run.nodes["node"]), set(run.lines["line"]) - set(run.nodes["node"])
    remarks = {
        f"{len(watched - shown)} more transformers": watched - shown,
        f"{len(lines - shown)} more lines": lines - shown,
    }
    return " · ".join(remark for remark, applies in remarks.items() if applies)


def _draw_curve(ax: Axes, run: Run, curve: _Curve, interval: int | None) -> None:
    falling = curve.falling
    look, width = curve.look, 2.0 if curve.kind == "transformer" else 1.3
    edges = np.arange(len(falling) + 1) * run.hours
    ax.stairs(100 * falling, edges, baseline=None, color=look.color, linestyle=look.dashes, linewidth=width, zorder=3)
    if interval is not None and not math.isnan(curve.loading.get(interval, math.nan)):
        value = float(curve.loading[interval])
        place = (float((falling > value).sum()) + 0.5) * run.hours
        ax.plot(place, 100 * value, marker="o", markersize=6, color=look.color, markeredgecolor=style.INK, zorder=5)


def _draw_limits(ax: Axes, curves: list[_Curve]) -> list[Label]:
    """The rating, and what the market allowed the most loaded transformer, where the scale has room for them."""
    reach = {sign: max(float((sign * c.loading).max()) for c in curves) for sign in (1, -1)}
    labels = []
    for sign, side in ((1, "import"), (-1, "export")):
        if 4 * reach[sign] >= 1:
            ax.axhline(100 * sign, color=style.INK, linewidth=1.3)
            labels.append(Label(100 * sign, "rating"))
        limit = curves[0].limits[0 if sign > 0 else 1]
        if limit <= 4 * reach[sign]:
            ax.axhline(100 * sign * limit, color=style.INK, linewidth=1.0, linestyle=style.DASHED)
            text = (
                f"market's {side} limit" if len(curves) == 1 else f"{side} limit of {style.short(curves[0].name, 10)}"
            )
            labels.append(Label(100 * sign * limit, text, dashes=style.DASHED))
    return labels


def _curve_labels(curves: list[_Curve]) -> Iterator[Label]:
    """A name at the end of each curve; those that lie on one line stand under the first of them, with an equals sign."""
    groups: list[list[_Curve]] = []
    for curve in curves:
        same = next((group for group in groups if _is_same(group[0], curve)), None)
        if same is None:
            groups.append([curve])
        else:
            same.append(curve)
    for first, *others in groups:
        end = 100 * first.falling[-1]
        # Of labels at one height, the first stands lowest.
        for curve in reversed(others):
            yield Label(end, f"= {style.short(curve.name)}", curve.look.color, curve.look.dashes)
        yield Label(end, style.short(first.name), first.look.color, first.look.dashes)


def _is_same(one: _Curve, other: _Curve) -> bool:
    """Whether nobody could tell the two curves apart."""
    return len(one.falling) == len(other.falling) and bool(np.abs(one.falling - other.falling).max() <= SAME)
