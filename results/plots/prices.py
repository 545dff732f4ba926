"""What a kWh was worth where, and when the places parted."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from results import metrics
from results.plots import style
from results.plots.style import Label
from results.run import Run
from results.text import duration
from sim import tolerances

Floats = NDArray[np.float64]

BANDS = 2
"""Nodes for which the band of their participants' prices is drawn; the others are counted."""

_LOOKS = (*style.LOOKS[1:], style.LOOKS[0])
"""Of nodes: the one that parts most never looks like the root in grey, whose line is solid."""


@dataclass(frozen=True, slots=True)
class _Day:
    """Prices and adders by interval and node.

    apart: nodes that have an adder at some time, the largest first.  alike: nodes that never have one.
    own: what participants' prices lie above their node's, lowest and highest by interval, for each node below which they
    do; the widest first.
    """

    run: Run
    edges: Floats
    prices: pd.DataFrame
    adders: pd.DataFrame
    apart: tuple[str, ...]
    alike: tuple[str, ...]
    own: Mapping[str, pd.DataFrame]

    @property
    def crowd(self) -> tuple[str, ...]:
        """Nodes with adders too small for a line of their own."""
        return self.apart[len(style.LOOKS) :]

    @property
    def is_priced(self) -> bool:
        """Whether there is a price anywhere."""
        return bool(self.prices.notna().any(axis=None))

    @property
    def parted(self) -> NDArray[np.bool_]:
        """Whether prices differ, of nodes or of participants, by interval."""
        return metrics.parted(self.run)["any"].reindex(range(self.run.calendar.count), fill_value=False).to_numpy()


def shows(run: Run) -> bool:
    """Whether there is a price anywhere, or a retailer's."""
    return bool(run.prices["price_per_kwh"].notna().any() or run.intervals["import_price"].notna().any())


def draw(run: Run, interval: int | None = None) -> Figure:
    """Prices by node over the run between the retailer's two prices; below, each node's adder.

    Where participants' own prices differ from their node's, a band spans them.

    interval: one to mark with a dotted line.
    """
    day = _day(run)
    figure, panels = style.canvas(2, 5.6, (2, 1)) if day.apart else style.canvas(1, 4.2)
    _draw_prices(panels[0], day)
    for ax in panels[1:]:
        _draw_adders(ax, day)
    for ax in panels:
        style.mark_interval(ax, run, interval)
    style.headline(figure, _claim(day), run)
    style.time_axis(panels[-1], run.calendar)
    return figure


def _day(run: Run) -> _Day:
    every = range(run.calendar.count)
    prices = run.prices.pivot(index="interval", columns="node", values="price_per_kwh").reindex(every)
    adders = run.prices.pivot(index="interval", columns="node", values="adder_per_kwh").reindex(every)
    size = adders.abs().max().fillna(0.0)
    below = [str(node) for node in dict.fromkeys(run.prices["node"]) if node != run.root]
    apart = [node for node in below if size[node] > tolerances.PRICE_PER_KWH]
    alike = [node for node in below if node not in apart]
    ranked = sorted(apart, key=lambda node: -size[node])
    return _Day(run, style.edges_s(run), prices, adders, tuple(ranked), tuple(alike), _own(run))


def _own(run: Run) -> Mapping[str, pd.DataFrame]:
    ends = metrics.own_adders(run).groupby(["node", "interval"])["own_per_kwh"].agg(["min", "max"])
    found = {str(node): rows.droplevel("node") for node, rows in ends.groupby(level="node")}
    size = {node: float(np.abs(rows.to_numpy(dtype=float)).max()) for node, rows in found.items()}
    ranked = sorted(found, key=lambda node: -size[node])
    return {
        node: found[node].reindex(range(run.calendar.count)) for node in ranked if size[node] > tolerances.PRICE_PER_KWH
    }


def _claim(day: _Day) -> str:
    run, currency = day.run, day.run.manifest["currency"]
    if not day.is_priced:
        return f"No prices: {_used(run)} sets none"
    if day.apart or day.own:
        return f"Prices part for {duration(day.parted.sum() * run.hours)}; {_widest(day)} {currency}/kWh"
    low, high = np.nanmin(day.prices.to_numpy()), np.nanmax(day.prices.to_numpy())
    where = "One price everywhere," if day.alike else f"{style.short(run.root)} is the only node: its price runs"
    return f"{where} from {style.plain(low, 3)} to {style.plain(high, 3)} {currency}/kWh"


def _used(run: Run) -> str:
    """Whose clearings were used: the policy's, and those of its stand-in where it was stopped."""
    own = str(run.manifest["policy"])
    used = run.intervals["policy"] if run.intervals["fallback"].any() else [own]
    return f"policy {' and '.join(name for name in dict.fromkeys(used) if name)}"


def _widest(day: _Day) -> str:
    """Where prices lie furthest from those above them, and how far: at a node, or of those below one."""
    spans = [(f"at {style.short(node)}", day.adders[node].min(), day.adders[node].max()) for node in day.apart[:1]]
    for node, ends in itertools.islice(day.own.items(), 1):
        spans.append((f"below {style.short(node)}", ends["min"].min(), ends["max"].max()))
    where, low, high = max(spans, key=lambda span: max(-span[1], span[2]))
    known = [bound for bound in (min(low, 0.0), max(high, 0.0)) if abs(bound) > tolerances.PRICE_PER_KWH]
    return f"{where} by {' to '.join(style.signed(bound, _digits(known)) for bound in known)}"


def _digits(values: Sequence[float]) -> int:
    """Three decimals, and more where they would show nothing of the smallest."""
    least = min(map(abs, values))
    return 3 if least >= 0.001 else 4 if least >= 0.0001 else 6


def _draw_prices(ax: Axes, day: _Day) -> None:
    style.shade(ax, day.parted, day.edges, "prices part")
    labels, names = [*_draw_tariff(ax, day), *_draw_bands(ax, day)], _draw_lines(ax, day, day.prices)
    # Many nodes are named once, beside their adders: most of the time their prices are one line.
    labels += names if len(names) <= 3 else []
    if day.is_priced:
        root = day.prices[day.run.root]
        # On top: below it, the lines of the other nodes show exactly where they part from it.
        ax.stairs(root, day.edges, baseline=None, color=style.INK, linewidth=1.6, zorder=4)
        labels.append(Label(_last(root), _names([style.short(day.run.root), *day.alike])))
    elif not labels:
        style.note(ax, "no prices, and no retailer")
    ax.set_ylabel(f"price, {day.run.manifest['currency']}/kWh")
    ax.use_sticky_edges = False
    ax.margins(y=0.1)
    style.end_labels(ax, labels)


def _names(nodes: list[str]) -> str:
    both = ", ".join(nodes)
    return both if len(nodes) == 1 or len(both) <= 22 else f"{style.short(nodes[0])} + {len(nodes) - 1} more"


def _draw_tariff(ax: Axes, day: _Day) -> list[Label]:
    labels = []
    for column, text in (("import_price", "retailer sells"), ("export_price", "retailer buys")):
        price = day.run.intervals[column]
        if price.notna().any():
            ax.stairs(price, day.edges, baseline=None, color=style.MUTED, linewidth=0.8, linestyle=style.DOTTED)
            labels.append(Label(_last(price), text, style.MUTED, style.DOTTED))
    return labels


def _draw_bands(ax: Axes, day: _Day) -> list[Label]:
    """From the lowest to the highest price of those below a node, for the nodes where they lie furthest apart."""
    labels = []
    # Lines take their looks from the other end of the list.
    for (node, ends), look in zip(day.own.items(), style.LOOKS[: -BANDS - 1 : -1], strict=False):
        low, high = (day.prices[node] + ends[end] for end in ("min", "max"))
        for first, last in style.spans(low.notna().to_numpy()):
            ax.stairs(
                high.to_numpy()[first:last], day.edges[first : last + 1], baseline=low.to_numpy()[first:last], fill=True,
                color=look.color, alpha=0.35, zorder=1,
            )  # fmt: skip
        labels.append(Label((_last(low) + _last(high)) / 2, f"below {style.short(node, 16)}", look.color))
    if len(day.own) > BANDS:
        labels.append(Label(_last(day.prices[day.run.root]), f"{len(day.own) - BANDS} more bands", style.MUTED))
    return labels


def _draw_adders(ax: Axes, day: _Day) -> None:
    style.shade(ax, day.parted, day.edges)
    ax.axhline(0, color=style.INK, linewidth=0.8)
    labels = _draw_lines(ax, day, day.adders)
    ax.set_ylabel(f"adder to the price\nabove, {day.run.manifest['currency']}/kWh")
    ax.margins(y=0.15)
    style.end_labels(ax, labels)


def _draw_lines(ax: Axes, day: _Day, values: pd.DataFrame) -> list[Label]:
    """One line per node; nodes beyond the number of looks stand behind in grey under one name."""
    for node in day.crowd:
        ax.stairs(values[node], day.edges, baseline=None, color=style.FAINT, linewidth=0.8)
    labels = []
    for node, look in zip(day.apart, _LOOKS, strict=False):
        ax.stairs(
            values[node], day.edges, baseline=None, color=look.color, linestyle=look.dashes, linewidth=1.9, zorder=3
        )
        labels.append(Label(_last(values[node]), style.short(node), look.color, look.dashes))
    if day.crowd:
        labels.append(Label(_last(values[day.crowd[0]]), f"{len(day.crowd)} more nodes", style.MUTED))
    return labels


def _last(values: pd.Series[float]) -> float:
    known = values.dropna()
    return float(known.iloc[-1]) if len(known) else float("nan")
