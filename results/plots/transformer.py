"""What crossed the transformers, against what they may carry, in both directions."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from results.metrics import over_kw
from results.plots import style
from results.plots.style import Label
from results.run import Run
from results.text import duration
from sim import tolerances

PANELS = 3
"""Transformers that get a panel; the others are counted."""

_SIDES = (("import", 1), ("export", -1))


def draw(run: Run, interval: int | None = None) -> Figure:
    """Flow of the most loaded transformers: on the wires, and as the market planned it; import above 0, export below.

    interval: one to mark with a dotted line.
    """
    nodes = _most_loaded(run)
    figure, panels = style.canvas(max(1, len(nodes)), 2.3 + 2.0 * max(1, len(nodes)))
    for ax, node in zip(panels, nodes, strict=False):
        _draw_node(ax, run, node)
        style.mark_interval(ax, run, interval)
    if nodes:
        style.time_axis(panels[-1], run.calendar)
    else:
        style.note(panels[0], "this run watches no transformer")
    style.headline(figure, _claim(run, nodes), run, _remark(run, nodes))
    return figure


def _most_loaded(run: Run) -> list[str]:
    loading = run.nodes.groupby("node", sort=False)["loading"].max().fillna(0.0)
    return [str(node) for node in loading.sort_values(ascending=False, kind="stable").index[:PANELS]]


def _rows(run: Run, node: str) -> pd.DataFrame:
    rows = run.nodes[run.nodes["node"] == node]
    return rows.set_index("interval").reindex(range(run.calendar.count))


def _claim(run: Run, nodes: list[str]) -> str:
    if not nodes:
        return "No transformer"
    rows, name = _rows(run, nodes[0]), style.short(nodes[0])
    if rows["wire_lv_kw"].isna().all():
        return f"{name}: no interval with a power flow"
    over_h = sum((over_kw(rows, side) > 0).sum() for side, _ in _SIDES) * run.hours
    uses = {side: (sign * rows["wire_lv_kw"] / rows[f"rated_{side}_kw"]).max() for side, sign in _SIDES}
    side = max(uses, key=lambda side: uses[side])
    verdict = f"exceeds its limits for {duration(over_h)}" if over_h else "stays within its limits"
    if uses[side] <= 0:
        return f"{name} has no limits: peak loading {style.percent(rows['loading'].max())}"
    if math.isinf(uses[side]):
        return f"{name} {verdict}: no {side} is allowed"
    return f"{name} {verdict}: peak at {style.percent(uses[side])} of the {side} limit"


def _remark(run: Run, nodes: list[str]) -> str:
    others = run.nodes["node"].nunique() - len(nodes)
    shaded = any((over_kw(_rows(run, node), side) > 0).any() for node in nodes for side, _ in _SIDES)
    unsolved = int((run.intervals["status"] != "OK").sum())
    remarks = {
        "shaded: beyond the limit": shaded,
        f"{others} more transformers with less load": others,
        f"{unsolved} intervals without a power flow": unsolved,
    }
    return " · ".join(remark for remark, applies in remarks.items() if applies)


def _draw_node(ax: Axes, run: Run, node: str) -> None:
    rows, edges = _rows(run, node), style.edges_s(run)
    wire = rows["wire_lv_kw"].to_numpy()
    over = (over_kw(rows, "import") > 0) | (over_kw(rows, "export") > 0)
    style.shade(ax, over.to_numpy(), edges, color="#fbe6da")
    ax.axhline(0, color=style.INK, linewidth=0.8)
    ax.stairs(wire, edges, baseline=0, fill=True, color="#cfe3f0", linewidth=0)
    ax.stairs(wire, edges, baseline=None, color=style.BLUE, linewidth=1.7, zorder=3)
    ax.stairs(
        rows["market_flow_kw"],
        edges,
        baseline=None,
        color=style.INK,
        linewidth=1.0,
        linestyle=style.DOTTED,
        zorder=4,
    )
    labels = [label for side, sign in _SIDES for label in _draw_limits(ax, rows, edges, side, sign)]
    _set_range(ax, rows, [label.y for label in labels])
    labels += [
        Label(_last(rows["wire_lv_kw"]), "on the wires", style.BLUE),
        Label(_last(rows["market_flow_kw"]), "as cleared", dashes=style.DOTTED),
    ]
    ax.set_ylabel("flow, kW:\nimport +, export −")
    _note_peak(ax, run, node, rows)
    style.end_labels(ax, labels)


def _draw_limits(ax: Axes, rows: pd.DataFrame, edges: NDArray[np.float64], side: str, sign: int) -> list[Label]:
    """The limit and what the market used of it, where the picture's scale has room for them."""
    reach = np.nanmax(np.abs(rows[["wire_lv_kw", "market_flow_kw"]].to_numpy()), initial=1.0)
    rated, used = rows[f"rated_{side}_kw"], rows[f"{side}_limit_kw"]
    labels = []
    if rated.min() <= 4 * reach:
        ax.stairs(sign * rated, edges, baseline=None, color=style.VERMILLION, linewidth=1.4)
        labels.append(Label(sign * _last(rated), f"limit {style.plain(_last(rated))} kW", style.VERMILLION))
        _shade_overload(ax, rows, edges, side, sign)
    if used.min() <= 4 * reach and (used - rated).abs().max() > tolerances.LOADING * rated.min():
        ax.stairs(
            sign * used.where(np.isfinite(used)),
            edges,
            baseline=None,
            color=style.VERMILLION,
            linewidth=1.0,
            linestyle=style.DASHED,
        )
        labels.append(
            Label(sign * _last(used), f"market's limit {style.plain(_last(used))} kW", style.VERMILLION, style.DASHED)
        )
    return labels


def _shade_overload(ax: Axes, rows: pd.DataFrame, edges: NDArray[np.float64], side: str, sign: int) -> None:
    rated = rows[f"rated_{side}_kw"]
    over = over_kw(rows, side)
    top = (sign * (rated + over)).where(over > 0)
    ax.stairs(
        top,
        edges,
        baseline=sign * rated.to_numpy(),
        fill=True,
        facecolor=style.VERMILLION,
        hatch="////",
        linewidth=0,
        zorder=2,
    )


def _set_range(ax: Axes, rows: pd.DataFrame, limits: list[float]) -> None:
    shown = np.concatenate([rows["wire_lv_kw"], rows["market_flow_kw"], limits, [0.0]])
    low, high = np.nanmin(shown[np.isfinite(shown)]), np.nanmax(shown[np.isfinite(shown)])
    room = max(high - low, 1.0)
    ax.set_ylim(low - 0.08 * room, high + 0.16 * room)


def _note_peak(ax: Axes, run: Run, node: str, rows: pd.DataFrame) -> None:
    text = style.short(node)
    if rows["loading"].notna().any():
        at = int(rows["loading"].idxmax())
        way = "import" if rows["wire_lv_kw"][at] >= 0 else "export"
        moment = run.calendar.local(run.calendar.interval(at).start_s)
        text += f": peak loading {style.percent(rows['loading'][at])} at {moment:%H:%M}, {way}"
    ax.text(0.008, 0.965, text, transform=ax.transAxes, va="top", fontsize=8.5, color=style.INK)


def _last(values: pd.Series[float]) -> float:
    known = values.dropna()
    return float(known.iloc[-1]) if len(known) else float("nan")
