"""Voltages of all buses over time, against the band that the scenario allows."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from results.metrics import Voltages
from results.metrics.voltage import voltages
from results.plots import style
from results.plots.style import Label
from results.run import Run
from results.text import duration
from sim.tolerances import VOLTAGE_PU

SHADES = (((0.0, 1.0), "#dbe9f4", "lowest to highest"), ((0.1, 0.9), "#9cc3e0", "the middle 80 %"))
"""Quantiles over buses and phases between which there is a shade, widest and lightest first."""

REACH = 6.0
"""An end of the band is drawn where it is at most so many times further from 1 than the farthest voltage."""


def shows(run: Run) -> bool:
    """Whether the voltage of any bus is known."""
    return bool(run.voltages["v_pu"].notna().any())


def draw(run: Run, interval: int | None = None) -> Figure:
    """Quantiles over all buses and phases, the median, and the two buses that went lowest and highest by name.

    interval: one to mark with a dotted line.
    """
    figure, (ax,) = style.canvas(1, 4.6)
    if not shows(run):
        style.headline(figure, "No voltages", run)
        style.note(ax, "this run knows the voltage of no bus")
        return figure
    found, over = voltages(run), spread(run)
    style.headline(figure, _claim(run, found, over), run, _remark(run, found))
    style.shade(ax, _is_outside(run, over), style.edges_s(run), "outside the band", color="#fbe6da")
    _draw_spread(ax, run, over)
    labels = [*_draw_extremes(ax, run, found), *_draw_band(ax, run, found)]
    labels.append(Label(_last(over[0.5]), "median", style.INK))
    style.time_axis(ax, run.calendar)
    style.mark_interval(ax, run, interval)
    ax.set_ylabel("voltage, pu of the nominal")
    ax.use_sticky_edges = False
    ax.margins(y=0.06)
    style.end_labels(ax, labels)
    return figure


def spread(run: Run) -> pd.DataFrame:
    """Voltage per unit by interval, at quantiles over the buses and phases that have supply; NaN where nothing is known."""
    shares = sorted({0.5, *(share for ends, _, _ in SHADES for share in ends)})
    found = run.voltages.groupby("interval")["v_pu"].quantile(np.array(shares)).unstack()
    return found.reindex(range(run.calendar.count))


def _is_outside(run: Run, over: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    low, high = voltages(run).band_pu
    return ((over[0.0] < low - VOLTAGE_PU) | (over[1.0] > high + VOLTAGE_PU)).to_numpy()


def _claim(run: Run, found: Voltages, over: pd.DataFrame) -> str:
    low, high = found.band_pu
    outside = int(_is_outside(run, over).sum())
    verdict = f"are for {duration(outside * run.hours)} outside" if outside else "stay within"
    ends = [f"{end.v_pu:.3f} ({style.short(end.bus)})" for end in (found.lowest, found.highest)]
    return f"Voltages {verdict} {low:g} to {high:g} pu: {' to '.join(ends)}"


def _remark(run: Run, found: Voltages) -> str:
    rows = run.voltages
    dark = int(rows["v_pu"].isna().groupby(rows["interval"]).any().sum())
    remarks = {
        f"{rows['bus'].nunique()} buses": True,
        f"lowest {found.lowest.moment}, highest {found.highest.moment}": True,
        f"buses without supply in {dark} intervals": dark,
        "ends of the band beyond the picture are not drawn": len(_drawn_ends(found)) < len(found.band_pu),
    }
    return " · ".join(remark for remark, applies in remarks.items() if applies)


def _drawn_ends(found: Voltages) -> list[float]:
    off = max(abs(found.lowest.v_pu - 1), abs(found.highest.v_pu - 1), VOLTAGE_PU)
    return [end for end in found.band_pu if abs(end - 1) <= REACH * off]


def _draw_spread(ax: Axes, run: Run, over: pd.DataFrame) -> None:
    edges = style.edges_s(run)
    for number, ((least, most), color, _) in enumerate(SHADES):
        for first, last in style.spans(over[0.5].notna().to_numpy()):
            ax.stairs(
                over[most].to_numpy()[first:last], edges[first : last + 1], baseline=over[least].to_numpy()[first:last],
                fill=True, color=color, linewidth=0, zorder=1 + 0.1 * number,
            )  # fmt: skip
    ax.stairs(over[0.5], edges, baseline=None, color=style.INK, linewidth=1.4, zorder=4)
    shades = [Patch(facecolor=color, label=words) for _, color, words in SHADES]
    ax.legend(handles=shades, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False, fontsize=8.5)


def _draw_extremes(ax: Axes, run: Run, found: Voltages) -> list[Label]:
    """The bus that went highest, by its highest phase, and the one that went lowest, by its lowest."""
    labels = []
    for look, end, way in ((style.LOOKS[1], found.highest, "max"), (style.LOOKS[2], found.lowest, "min")):
        rows = run.voltages[run.voltages["bus"] == end.bus]
        line = rows.groupby("interval")["v_pu"].agg(way).reindex(range(run.calendar.count))
        ax.stairs(
            line, style.edges_s(run), baseline=None, color=look.color, linestyle=look.dashes, linewidth=1.3, zorder=3
        )
        at = int(line.idxmax() if way == "max" else line.idxmin())
        middle_s = run.calendar.interval(at).start_s + run.calendar.interval_s / 2
        ax.plot(middle_s, line[at], marker="^" if way == "max" else "v", color=look.color, markersize=6, zorder=5)
        labels.append(Label(_last(line), style.short(end.bus), look.color, look.dashes))
    return labels


def _draw_band(ax: Axes, run: Run, found: Voltages) -> list[Label]:
    """The ends of the band, and where the market held its voltages a margin away from them."""
    margin = run.manifest["scenario"].get("feeder", {}).get("limits", {}).get("v_margin_pu", 0.0)
    labels = []
    for end in _drawn_ends(found):
        ax.axhline(end, color=style.VERMILLION, linewidth=1.4)
        labels.append(Label(end, f"limit {end:g}", style.VERMILLION))
        if margin:
            inner = end + (margin if end < 1 else -margin)
            ax.axhline(inner, color=style.VERMILLION, linewidth=1.0, linestyle=style.DASHED)
            labels.append(Label(inner, f"market's limit {inner:g}", style.VERMILLION, style.DASHED))
    return labels


def _last(values: pd.Series[float]) -> float:
    known = values.dropna()
    return float(known.iloc[-1]) if len(known) else float("nan")
