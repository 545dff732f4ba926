"""Whether a flow and the price that follows it settle: both over time, and each flow over the one before."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from results import stability
from results.plots import style
from results.plots.style import Label
from results.run import Run
from results.stability import LEAST, STILL, Stability
from results.text import duration

_SIDES = (("import", 1), ("export", -1))


def shows(run: Run) -> bool:
    """Whether a flow at a transformer was measured."""
    return stability.of_run(run) is not None


def draw(run: Run, interval: int | None = None) -> Figure:
    """The node that used most of its limit: its flow over its limits, its adder, and the flow over the one before.

    interval: one to mark with a dotted line and a ring.
    """
    found = stability.of_run(run)
    if found is None:
        figure, panels = style.canvas(1, 4.3)
        style.note(panels[0], "this run has measured no flow at a transformer")
        style.headline(figure, "No flow to judge", run)
        return figure
    figure = Figure(figsize=(9.0, 4.8), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(2.1, 1.0), height_ratios=(1.35, 1.0))
    above, below = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0])
    style.headline(figure, _claim(run, found), run, _remark(run, found))
    _draw_flow(above, run, found)
    _draw_adder(below, run, found.node)
    _draw_phase(figure.add_subplot(grid[:, 1]), run, found, interval)
    above.tick_params(labelbottom=False)
    for ax in (above, below):
        style.mark_interval(ax, run, interval)
    return figure


def _claim(run: Run, found: Stability) -> str:
    name = style.short(found.node)
    if found.settled_kw is not None:
        verdict = f"{name} settles at {_kw(found.settled_kw)}{_of_limit(run, found)}"
    elif found.oscillates:
        every = f" every {found.cycle} intervals" if found.cycle else ""
        verdict = f"{name} swings between {_kw(found.low_kw)} and {_kw(found.high_kw)}{every}"
    elif found.last + 1 < LEAST:
        return f"{name} is between {_kw(found.low_kw)} and {_kw(found.high_kw)}; too few intervals to tell more"
    else:
        verdict = f"{name} neither settles nor repeats itself: {_kw(found.low_kw)} to {_kw(found.high_kw)} in the end"
    return f"{verdict}; {_alarm(run, found)}"


def _alarm(run: Run, found: Stability) -> str:
    if not found.alarms:
        return "no alarm"
    first, last = found.alarms[0].first, found.alarms[-1].last
    since = _time(run, _known(run, found.node, first))
    until = "" if last == found.last else f" to {_time(run, _known(run, found.node, last + 1))}"
    again = f", {len(found.alarms)} times" if len(found.alarms) > 1 else ""
    return f"alarm from {since}{until}{again}"


def _known(run: Run, node: str, measured: int) -> int:
    """The interval before which this flow, one of those that were measured, has been read."""
    return int(np.flatnonzero(_rows(run, node)["wire_lv_kw"].notna())[measured]) + 1


def _time(run: Run, interval: int) -> str:
    day = "%a " if run.calendar.count * run.calendar.interval_s > 24 * 3600 else ""
    return f"{run.calendar.local(interval * run.calendar.interval_s):{day}%H:%M}"


def _of_limit(run: Run, found: Stability) -> str:
    assert found.settled_kw is not None
    side = "import" if found.settled_kw >= 0 else "export"
    limit = float(_rows(run, found.node)[f"rated_{side}_kw"].dropna().iloc[-1])
    if not 0 < limit < math.inf:
        return ""
    share = abs(found.settled_kw) / limit
    beyond = max(1.0, share) + STILL < found.peak_use < math.inf
    after = f", after a peak of {style.percent(found.peak_use)}" if beyond else ""
    return f", {style.percent(share)} of its limit{after}"


def _remark(run: Run, found: Stability) -> str:
    others = run.nodes["node"].nunique() - 1
    peak = f"peak {style.percent(found.peak_use)} of the limit" if math.isfinite(found.peak_use) else ""
    over = f"beyond it for {duration(found.over_h)}" if found.over_h else ""
    more = f"most used of {others + 1} nodes" if others else ""
    return " · ".join(part for part in (peak, over, more) if part)


def _kw(value: float) -> str:
    return f"{style.plain(value)} kW" if abs(value) >= 0.05 else "0 kW"


def _rows(run: Run, node: str) -> pd.DataFrame:
    rows = run.nodes[run.nodes["node"] == node]
    return rows.set_index("interval").reindex(range(run.calendar.count))


def _draw_flow(ax: Axes, run: Run, found: Stability) -> None:
    rows, edges = _rows(run, found.node), style.edges_s(run)
    flow = rows["wire_lv_kw"]
    alarmed = np.zeros(run.calendar.count, dtype=bool)
    for alarm in found.alarms:
        until = run.calendar.count if alarm.last == found.last else _known(run, found.node, alarm.last + 1)
        alarmed[_known(run, found.node, alarm.first) : until] = True
    style.shade(ax, alarmed, edges, "alarm", color="#fbe6da")
    ax.axhline(0, color=style.INK, linewidth=0.8)
    ax.stairs(flow, edges, baseline=0, fill=True, color="#cfe3f0", linewidth=0)
    ax.stairs(flow, edges, baseline=None, color=style.BLUE, linewidth=1.7, zorder=3)
    labels = [Label(_last(flow), "flow", style.BLUE)]
    reach = float(np.nanmax(np.abs(flow.to_numpy()), initial=1.0))
    for side, sign in _SIDES:
        limit = rows[f"rated_{side}_kw"]
        if limit.min() <= 1.2 * reach and (sign * flow > 0).any():
            ax.stairs(sign * limit, edges, baseline=None, color=style.VERMILLION, linewidth=1.4, linestyle=style.DASHED)
            labels.append(Label(sign * _last(limit), "limit", style.VERMILLION, style.DASHED))
    shown = np.concatenate([flow.dropna(), [label.y for label in labels if math.isfinite(label.y)], [0.0]])
    low, high = float(shown.min()), float(shown.max())
    room = max(high - low, 1e-6)
    ax.set_ylim(low - 0.06 * room, high + 0.2 * room)
    ax.set_ylabel("flow, kW:\nimport +, export −")
    style.time_axis(ax, run.calendar)
    ax.set_xlabel("")
    style.end_labels(ax, labels)


def _draw_adder(ax: Axes, run: Run, node: str) -> None:
    rows = run.prices[run.prices["node"] == node].set_index("interval").reindex(range(run.calendar.count))
    ax.axhline(0, color=style.INK, linewidth=0.8)
    ax.stairs(rows["adder_per_kwh"], style.edges_s(run), baseline=None, color=style.GREEN, linewidth=1.7)
    if rows["adder_per_kwh"].isna().all():
        ax.text(0.5, 0.6, "no adders in this run", transform=ax.transAxes, ha="center", color=style.MUTED)
    ax.set_ylabel(f"adder,\n{run.manifest['currency']}/kWh")
    ax.margins(y=0.15)
    style.time_axis(ax, run.calendar)


def _draw_phase(ax: Axes, run: Run, found: Stability, interval: int | None) -> None:
    """Where the flow goes from where it was: a point where it settles, a ring where it swings."""
    flow = _rows(run, found.node)["wire_lv_kw"].to_numpy()
    before, after = flow[:-1], flow[1:]
    known = np.isfinite(before) & np.isfinite(after)
    ends = [min(float(np.nanmin(flow)), 0.0), max(float(np.nanmax(flow)), 0.0)]
    pad = 0.06 * max(ends[1] - ends[0], 1.0)
    span = (ends[0] - pad, ends[1] + pad)
    ax.plot(span, span, color=style.FAINT, linewidth=0.9)
    ax.plot(before[known], after[known], color=style.BLUE, linewidth=0.8, alpha=0.5)
    ax.plot(before[known], after[known], "o", color=style.BLUE, markersize=3.2, alpha=0.6)
    if known.any():
        ax.plot(before[known][-1:], after[known][-1:], "s", color=style.VERMILLION, markersize=6, zorder=4)
    if interval is not None and interval + 1 < len(flow) and known[interval]:
        ax.plot(before[interval], after[interval], "o", markersize=9, markerfacecolor="none", color=style.INK)
    ax.set(xlim=span, ylim=span, box_aspect=1)
    ax.set_xlabel("flow, kW (square: the last)")
    ax.set_ylabel("flow of the next interval, kW")


def _last(values: pd.Series[float]) -> float:
    known = values.dropna()
    return float(known.iloc[-1]) if len(known) else float("nan")
