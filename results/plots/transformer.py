"""What crossed the transformers, against what they may carry, in both directions."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from results.metrics import over_kw
from results.plots import style, uncoordinated
from results.plots.style import Label
from results.run import Run
from results.text import duration
from sim import tolerances

PANELS = 3
"""Transformers that get a panel; the others are counted."""

_SIDES = (("import", 1), ("export", -1))
_FLOWS = ["wire_lv_kw", "market_flow_kw"]

_PLATE = {"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}

ROOM = 1.7
"""What would have flowed before the market is in the picture up to so many times of the limit, or of what did flow."""


def shows(run: Run) -> bool:
    """Whether the run watches a transformer."""
    return len(run.nodes) > 0


def draw(run: Run, interval: int | None = None) -> Figure:
    """Flow of the most loaded transformers: before the market, as it cleared, and on the wires; import above 0, export below.

    Before the market is what would flow if everybody did what it named as its baseline (``uncoordinated.flows_kw``).

    interval: one to mark with a dotted line.
    """
    nodes = _most_loaded(run)
    figure, panels = style.canvas(max(1, len(nodes)), 2.3 + 2.0 * max(1, len(nodes)))
    tables = {node: _with_before(run, node) for node in nodes}
    for ax, (node, rows) in zip(panels, tables.items(), strict=False):
        _draw_node(ax, run, node, rows)
        style.mark_interval(ax, run, interval)
    if nodes:
        style.time_axis(panels[-1], run.calendar)
    else:
        style.note(panels[0], "this run watches no transformer")
    style.headline(figure, _claim(run, nodes), run, _remark(run, tables))
    return figure


def _most_loaded(run: Run) -> list[str]:
    loading = run.nodes.groupby("node", sort=False)["loading"].max().fillna(0.0)
    return [str(node) for node in loading.sort_values(ascending=False, kind="stable").index[:PANELS]]


def _rows(run: Run, node: str) -> pd.DataFrame:
    rows = run.nodes[run.nodes["node"] == node]
    return rows.set_index("interval").reindex(range(run.calendar.count))


def _with_before(run: Run, node: str) -> pd.DataFrame:
    """The rows of a node, with what would have flowed before the market; NaN where nobody named anything."""
    before = uncoordinated.flows_kw(run)
    return _rows(run, node).assign(before_kw=before.get(node, np.nan))


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


def _remark(run: Run, tables: Mapping[str, pd.DataFrame]) -> str:
    others = run.nodes["node"].nunique() - len(tables)
    shaded = any((over_kw(rows, side) > 0).any() for rows in tables.values() for side, _ in _SIDES)
    unsolved = int((run.intervals["status"] != "OK").sum())
    remarks = {
        "before the market: baselines, each interval for itself, so that who was kept waiting counts again": any(
            map(_changed, tables.values())
        ),
        "shaded: beyond the limit": shaded,
        f"{others} more transformers with less load": others,
        f"{unsolved} intervals without a power flow": unsolved,
    }
    return " · ".join(remark for remark, applies in remarks.items() if applies)


def _draw_node(ax: Axes, run: Run, node: str, rows: pd.DataFrame) -> None:
    edges = style.edges_s(run)
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
        *_draw_before(ax, rows, edges),
        Label(_last(rows["wire_lv_kw"]), "on the wires", style.BLUE),
        Label(_last(rows["market_flow_kw"]), "as cleared", dashes=style.DOTTED),
    ]
    ax.set_ylabel("flow, kW:\nimport +, export −")
    _note_peak(ax, run, node, rows)
    style.end_labels(ax, labels)


def _draw_before(ax: Axes, rows: pd.DataFrame, edges: NDArray[np.float64]) -> list[Label]:
    """What would have flowed before the market, unless that is what it cleared; how far it goes beyond the picture is said."""
    if not _changed(rows):
        return []
    ax.stairs(
        rows["before_kw"], edges, baseline=None, color=style.GREEN, linewidth=1.2, linestyle=style.DASHED, zorder=2
    )
    most = rows["before_kw"][rows["before_kw"].abs().idxmax()]
    beyond = f" (to {style.plain(most, 0)} kW)" if abs(most) > _reach(rows) else ""
    return [Label(_last(rows["before_kw"]), f"before the market{beyond}", style.GREEN, style.DASHED)]


def _reach(rows: pd.DataFrame) -> float:
    """How far from zero the picture reaches, but for limits [kW]."""
    before = float(np.nanmax(rows["before_kw"].abs().to_numpy(), initial=0.0))
    flows = float(np.nanmax(np.abs(rows[_FLOWS].to_numpy()), initial=1.0))
    limits = rows[["rated_import_kw", "rated_export_kw"]].to_numpy()
    known = limits[np.isfinite(limits)]
    room = ROOM * max(flows, float(known.max())) if known.size else math.inf
    return max(flows, min(before, room))


def _changed(rows: pd.DataFrame) -> bool:
    """Whether the market moved anything away from the baselines."""
    return bool(((rows["before_kw"] - rows["market_flow_kw"]).abs() > tolerances.POWER_KW).any())


def _draw_limits(ax: Axes, rows: pd.DataFrame, edges: NDArray[np.float64], side: str, sign: int) -> list[Label]:
    """The limit and what the market used of it, where the picture's scale has room for them."""
    reach = _reach(rows)
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
    before = rows["before_kw"].clip(-_reach(rows), _reach(rows))
    shown = np.concatenate([*(rows[column] for column in _FLOWS), before, limits, [0.0]])
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
    ax.text(0.008, 0.965, text, transform=ax.transAxes, va="top", fontsize=8.5, color=style.INK, bbox=_PLATE, zorder=6)


def _last(values: pd.Series[float]) -> float:
    known = values.dropna()
    return float(known.iloc[-1]) if len(known) else float("nan")
