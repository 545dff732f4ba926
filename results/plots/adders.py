"""What standing behind a limit cost: adders over the use of the limit, and prices of the limits beside the tree."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from results import metrics
from results.plots import style
from results.run import Run
from results.text import duration
from sim import tolerances

_KINDS = (
    ("FORWARD", "import limit binds", "^", style.VERMILLION, 34),
    ("REVERSE", "export limit binds", "v", style.BLUE, 34),
    ("", "no limit binds", "o", style.MUTED, 14),
)
"""Value of ``binding``, words, marker, colour, area."""


def shows(run: Run) -> bool:
    """Whether any node has an adder and a limit, or anything beside the tree bounds the market."""
    return not _dots(run).empty or len(run.bounds) > 0


def draw(run: Run, interval: int | None = None) -> Figure:
    """A dot per interval and node: its adder over the share of the limit that was used, import right and export left.

    Below, where limits stand beside the tree (voltages): what another unit of each was worth over the run.
    interval: one whose dots get a ring, and below a dotted line.
    """
    bounds = run.bounds
    heights = (2, 1) if len(bounds) else None
    figure, panels = style.canvas(2 if len(bounds) else 1, 6.2 if len(bounds) else 4.8, heights, shared=False)
    dots = _dots(run)
    style.headline(figure, _claim(run, dots), run, _remark(run, dots))
    if dots.empty:
        style.note(panels[0], "no node had both a price and a limit")
    else:
        _draw_dots(panels[0], run, dots, interval)
    for ax in panels[1:]:
        _draw_bounds(ax, run, bounds)
        style.mark_interval(ax, run, interval)
    return figure


def _dots(run: Run) -> pd.DataFrame:
    """Adder, use of the limit (signed share; at the limit ±1) and binding limit, by interval and limited node."""
    rows = run.nodes.merge(run.prices, on=["interval", "node"])
    limit_kw = np.where(rows["market_flow_kw"] >= 0, rows["import_limit_kw"], rows["export_limit_kw"])
    with np.errstate(divide="ignore", invalid="ignore"):
        use: pd.Series[float] = rows["market_flow_kw"] / limit_kw
    dots = rows.assign(use=use.where(np.isfinite(limit_kw)))
    known = dots["price_per_kwh"].notna() & np.isfinite(dots["use"])
    return dots.loc[known, ["interval", "node", "use", "adder_per_kwh", "binding"]]


def _claim(run: Run, dots: pd.DataFrame) -> str:
    bounds = _bounds_claim(run)
    if dots.empty:
        return f"No adders at nodes; {bounds}" if bounds else "No adders"
    size = dots["adder_per_kwh"].abs()
    priced = dots[size > tolerances.PRICE_PER_KWH]
    if priced.empty:
        return f"No node has an adder, but {bounds}" if bounds else "No limit was worth anything: every adder is zero"
    idle = int((priced["binding"] == "").sum())
    where = "only where a limit binds" if not idle else f"also where no limit binds ({idle} of {len(priced)})"
    top = dots.loc[size.idxmax()]
    worth = f"{style.signed(float(top['adder_per_kwh']))} {run.manifest['currency']}/kWh"
    claim = f"Adders stand {where}; the largest is {worth}, at {style.short(str(top['node']))}"
    return f"{claim}; {bounds}" if bounds else claim


def _bounds_claim(run: Run) -> str:
    """For how long bounds beside the tree were worth something, and which the most; empty where none was."""
    worth = metrics.priced_bounds(run)
    if worth.empty:
        return ""
    top = worth.loc[worth["price_per_unit"].idxmax()]
    price = f"{style.plain(float(top['price_per_unit']))} {run.manifest['currency']}/h per unit"
    hours = duration(worth["interval"].nunique() * run.hours)
    return f"bounds bind for {hours}: {style.short(str(top['bound']))} is worth up to {price}"


def _remark(run: Run, dots: pd.DataFrame) -> str:
    missing = len(run.nodes) - len(dots)
    return f"{missing} intervals and nodes without a price or a limit" if missing and len(dots) else ""


def _draw_dots(ax: Axes, run: Run, dots: pd.DataFrame, interval: int | None) -> None:
    ax.axhline(0, color=style.INK, linewidth=0.8)
    for side in (-1, 1):
        ax.axvline(100 * side, color=style.VERMILLION, linewidth=1.2, linestyle=style.DASHED)
    for binding, words, marker, color, area in reversed(_KINDS):
        rows = dots[dots["binding"] == binding]
        label = f"{words} ({len(rows):,})"
        ax.scatter(
            100 * rows["use"], rows["adder_per_kwh"], s=area, marker=marker, c=color, alpha=0.75, linewidths=0,
            label=label, zorder=3 + (binding != ""),
        )  # fmt: skip
    chosen = dots[dots["interval"] == interval]
    ax.scatter(
        100 * chosen["use"],
        chosen["adder_per_kwh"],
        s=90,
        marker="o",
        facecolors="none",
        edgecolors=style.INK,
        zorder=6,
    )
    low, high = min(-105.0, 105 * dots["use"].min()), max(105.0, 105 * dots["use"].max())
    ax.set_xlim(low, high)
    ax.margins(y=0.12)
    ax.set_xlabel("cleared flow, % of the market's limit: import +, export −")
    ax.set_ylabel(f"adder to the price above,\n{run.manifest['currency']}/kWh")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, fontsize=8.5)


def _draw_bounds(ax: Axes, run: Run, bounds: pd.DataFrame) -> None:
    """Prices over time, of the bounds that were worth most."""
    prices = bounds.pivot(index="interval", columns="bound", values="price_per_unit")
    prices = prices.reindex(range(run.calendar.count))
    most = prices.max().sort_values(ascending=False, kind="stable")
    worth = [str(name) for name in most.index if most[name] > tolerances.PRICE_PER_KWH]
    for name, look in zip(worth, style.LOOKS, strict=False):
        steps = ax.stairs(prices[name].fillna(0.0), style.edges_s(run), baseline=None, label=style.short(name))
        steps.set(color=look.color, linestyle=look.dashes, linewidth=1.6)
    if not worth:
        style.note(ax, f"none of the {bounds['bound'].nunique()} bounds beside the tree was worth anything")
        return
    style.time_axis(ax, run.calendar)
    ax.set_ylabel(f"price of a bound,\n{run.manifest['currency']}/h per unit")
    ax.margins(y=0.15)
    others = len(worth) - len(style.LOOKS)
    ax.legend(
        loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8.5, handlelength=3,
        title=f"{others} more not shown" if others > 0 else None, title_fontsize=8.5,
    )  # fmt: skip
