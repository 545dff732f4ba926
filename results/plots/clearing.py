"""One clearing, at the transformer where it was decided: who would take how much at which price, and what held them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from results import metrics
from results.plots import style
from results.plots.style import Label, Look
from results.run import Run
from sim import tolerances
from sim.curves import OfferCurve, aggregate, clip, shift
from sim.market.problem import Limit, Problem
from sim.market.wire_form import read_problem

_PLATE = {"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}


@dataclass(frozen=True, slots=True)
class _Scene:
    """A node of one clearing.  Curves are in kW injected, as everywhere; the picture turns them into import.

    parts: the offers at the node, and what its children let through, by the node's price.  net: their sum.
    flow_kw: import from the parent.  upstream: price of the parent; None at the root.
    own: least and most that a participant's price at or below the node lies above its node's.
    bounds: limits beside the tree that bind, by what another unit would be worth.
    """

    run: Run
    interval: int
    node: str
    parent: str | None
    parts: tuple[OfferCurve, ...]
    net: OfferCurve
    import_limit_kw: float
    export_limit_kw: float
    flow_kw: float
    quantity_kw: float
    price: float | None
    upstream: float | None
    own: tuple[float, float]
    bounds: Mapping[str, float]

    @property
    def adder(self) -> float:
        """Price of the node less that of its parent; 0 where either is unknown."""
        return 0.0 if self.price is None or self.upstream is None else self.price - self.upstream

    @property
    def moment(self) -> str:
        """When the interval starts."""
        return f"{self.run.calendar.local(self.run.calendar.interval(self.interval).start_s):%a %H:%M}"


def draw(run: Run, interval: int | None = None) -> Figure:
    """The clearing of one interval at the node with the largest adder, or else nearest to its limit.

    Participants whose own price differs from their node's are drawn at the node's: their curves are moved by the difference.

    Below a transformer: import (x) by price (y), as wanted and within the limits.  With one node alone: supply and demand.
    interval: default the one with the largest adder, or else with the dearest bound, or else the largest quantity.
    """
    figure, (ax,) = style.canvas(1, 5.0)
    chosen = _decisive_interval(run) if interval is None else interval
    if chosen not in run.clearings:
        style.headline(figure, "No clearing", run)
        style.note(ax, "this run has no market in this interval" if run.clearings else "this run has no market")
        return figure
    scene = _scene(run, chosen)
    if scene.parent is None:
        _draw_cross(ax, scene)
    else:
        _draw_node(ax, scene)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, handlelength=3)
    style.headline(figure, f"{_claim(scene)}{_bounds_claim(scene)}", run, _remark(scene))
    return figure


def _decisive_interval(run: Run) -> int:
    prices, intervals = run.prices, run.intervals
    adders = prices["adder_per_kwh"].abs()
    if (adders > tolerances.PRICE_PER_KWH).any():
        return int(prices["interval"][adders.idxmax()])
    bounds = metrics.priced_bounds(run)
    if len(bounds):
        return int(bounds["interval"][bounds["price_per_unit"].idxmax()])
    if intervals["quantity_kw"].notna().any():
        return int(intervals["interval"][intervals["quantity_kw"].idxmax()])
    return 0


def _scene(run: Run, interval: int) -> _Scene:
    ask, answer = run.clearing_problem(interval)
    problem = read_problem(ask, f"aggregate of interval {interval}")
    result = answer["message"]["aggregationResult"]
    nodes = {node["era"]: node for node in result["gridNodes"]}
    limits = {limit.node: limit for limit in problem.limits}
    name = _decisive_node(problem, nodes)
    worth = {limit["id"]: float(limit["price"]) for limit in result.get("linearLimits", [])}
    own = _own_adders(problem, worth)
    limit, parts = limits[name], tuple(_parts(problem, name, own))
    below = [own[offer.era] for offer in problem.offers if name in _path(problem, offer.node)] or [0.0]
    return _Scene(
        run=run,
        interval=interval,
        node=name,
        parent=limit.parent,
        parts=parts,
        net=aggregate(parts),
        import_limit_kw=limit.import_limit_kw,
        export_limit_kw=limit.export_limit_kw,
        flow_kw=nodes[name]["flowKW"],
        quantity_kw=result["clearingQuantityKW"],
        price=nodes[name].get("locationalPrice"),
        upstream=None if limit.parent is None else nodes[limit.parent].get("locationalPrice"),
        own=(min(below), max(below)),
        bounds={bound: price for bound, price in worth.items() if price > tolerances.PRICE_PER_KWH},
    )


def _own_adders(problem: Problem, worth: Mapping[str, float]) -> Mapping[str, float]:
    """What each participant's price lies above its node's: its known adder, less price × weight of every bound."""
    return {
        offer.era: offer.adder_per_kwh
        - sum(worth.get(limit.name, 0.0) * limit.weight.get(offer.era, 0.0) for limit in problem.linear)
        for offer in problem.offers
    }


def _path(problem: Problem, node: str) -> list[str]:
    """A node and everything above it."""
    parent = {limit.node: limit.parent for limit in problem.limits}
    path = [node]
    while (above := parent.get(path[-1])) is not None:
        path.append(above)
    return path


def _decisive_node(problem: Problem, nodes: dict[str, Any]) -> str:
    """The node with the largest adder, then the one that uses most of its limit; the root only where it is alone."""

    def rank(limit: Limit) -> tuple[bool, float, float]:
        node = nodes[limit.node]
        room_kw = limit.import_limit_kw if node["flowKW"] >= 0 else limit.export_limit_kw
        return (
            limit.parent is not None,
            abs(node["locationalPriceAdder"]),
            abs(node["flowKW"]) / room_kw if room_kw else 1.0,
        )

    return max(problem.limits, key=rank).node


def _parts(problem: Problem, node: str, own: Mapping[str, float]) -> list[OfferCurve]:
    at_node = [shift(offer.curve, -own[offer.era]) for offer in problem.offers if offer.node == node]
    children = [limit for limit in problem.limits if limit.parent == node]
    return at_node + [
        clip(aggregate(_parts(problem, child.node, own)), child.import_limit_kw, child.export_limit_kw)
        for child in children
    ]


def _bounds_claim(scene: _Scene) -> str:
    """Which bounds beside the tree hold participants apart."""
    if not scene.bounds:
        return ""
    top = max(scene.bounds, key=lambda name: scene.bounds[name])
    others = f" and {len(scene.bounds) - 1} more" if len(scene.bounds) > 1 else ""
    return f"; {style.short(top)}{others} binds, and participants' prices differ by it"


def _remark(scene: _Scene) -> str:
    if scene.price is None or max(map(abs, scene.own)) <= tolerances.PRICE_PER_KWH:
        return scene.moment
    low, high = (style.signed(end + 0.0) for end in scene.own)
    return f"{scene.moment} · drawn at the node's price: participants' own differ by {low} to {high}"


def _claim(scene: _Scene) -> str:
    name, currency = style.short(scene.node), scene.run.manifest["currency"]
    way, limit_kw = ("import", scene.import_limit_kw) if scene.flow_kw >= 0 else ("export", scene.export_limit_kw)
    beyond_kw = abs(scene.flow_kw) - limit_kw
    if scene.parent is not None and beyond_kw > tolerances.POWER_KW:
        return f"{name}: cleared {style.plain(beyond_kw)} kW beyond the {way} limit"
    if scene.price is None:
        return f"{name}: {way} of {style.plain(abs(scene.flow_kw))} kW, and no price"
    price = f"{style.plain(scene.price, 3)} {currency}/kWh"
    if scene.parent is None:
        return f"{name} clears {style.plain(scene.quantity_kw)} kW at {price}"
    if abs(scene.adder) <= tolerances.PRICE_PER_KWH:
        free = "no limit holds anyone back" if not scene.bounds else "its own limits hold nobody back"
        return f"{name}: {free}, so the price is that of {style.short(scene.parent)}, {price}"
    gap = f"{style.plain(abs(scene.adder), 3)} {'above' if scene.adder > 0 else 'below'} {style.short(scene.parent)}"
    return f"{name}: the {way} limit puts the price {gap}, at {price}"


# --- below a transformer ----------------------------------------------------------------------------------------------


def _draw_node(ax: Axes, scene: _Scene) -> None:
    low, high = _price_range(scene)
    supply, demand = _sides(scene.parts)
    span_kw = _flow_range(scene, low, high)
    ax.set(xlim=span_kw, ylim=(low, high))
    if supply.max_kw > 0 and demand.min_kw < 0:
        _draw_curve(ax, demand, -1, "withdrawals alone", style.LOOKS[3], 1.5)
        _draw_curve(ax, supply, -1, "injections alone", style.LOOKS[2], 1.7)
    _draw_curve(ax, scene.net, -1, "what the node would import", style.LOOKS[0], 2.2)
    _draw_limits(ax, scene)
    _draw_plateau(ax, scene)
    _draw_cleared(ax, scene)
    ax.set_xlabel("import into the node, kW (below 0: export)")
    ax.set_ylabel(f"price, {scene.run.manifest['currency']}/kWh")
    style.end_labels(ax, _price_labels(ax, scene))


def _price_range(scene: _Scene) -> tuple[float, float]:
    """All prices that matter, and those corners of the curves that are not far from them."""
    row = scene.run.intervals[scene.run.intervals["interval"] == scene.interval]
    tariff = [float(price) for column in ("import_price", "export_price") for price in row[column].dropna()]
    known = [price for price in (scene.price, scene.upstream, *tariff) if price is not None]
    corners = np.concatenate([part.prices for part in scene.parts]) if scene.parts else np.zeros(0)
    low, high = min(known, default=0.0), max(known, default=0.0)
    reach = max(high - low, 0.05)
    near = corners[(corners >= low - reach) & (corners <= high + reach)]
    low, high = min([low, *near]), max([high, *near])
    return low - 0.15 * (high - low) - 0.01, high + 0.15 * (high - low) + 0.01


def _flow_range(scene: _Scene, low: float, high: float) -> tuple[float, float]:
    """Import between the price range's ends, together and by side, and limits that are not far beyond."""
    supply, demand = _sides(scene.parts)
    ends = [-curve.low(low) for curve in (scene.net, demand)] + [-curve.high(high) for curve in (scene.net, supply)]
    ends += [scene.flow_kw, 0.0]
    reach = max(ends) - min(ends) or 1.0
    bounds = (scene.import_limit_kw, -scene.export_limit_kw)
    ends += [bound for bound in bounds if min(ends) - reach <= bound <= max(ends) + reach]
    room = 0.09 * (max(ends) - min(ends))
    return min(ends) - room, max(ends) + room


def _sides(parts: Sequence[OfferCurve]) -> tuple[OfferCurve, OfferCurve]:
    """What injects and what withdraws, each summed by itself."""
    return aggregate([clip(part, 0.0, np.inf) for part in parts]), aggregate(
        [clip(part, np.inf, 0.0) for part in parts]
    )


def _draw_curve(ax: Axes, curve: OfferCurve, sign: int, name: str, look: Look, width: float) -> None:
    """Power times sign by price, drawn from the bottom of the panel to its top."""
    low, high = ax.get_ylim()
    inside = (curve.prices > low) & (curve.prices < high)
    price = [low, *curve.prices[inside], high]
    p_kw = sign * np.array([curve.high(low), *curve.powers[inside], curve.low(high)])
    ax.plot(p_kw, price, color=look.color, linestyle=look.dashes, linewidth=width, label=name)


def _draw_limits(ax: Axes, scene: _Scene) -> None:
    """The flows that the transformer does not carry, and where they begin."""
    left, right = ax.get_xlim()
    ax.axvline(0, color=style.MUTED, linewidth=0.8)
    for limit_kw, end, text in (
        (scene.import_limit_kw, right, "import limit"),
        (-scene.export_limit_kw, left, "export limit"),
    ):
        if not left < limit_kw < right:
            continue
        ax.axvspan(limit_kw, end, facecolor="#fbe6da", edgecolor="#f2c4ab", hatch="///", linewidth=0, zorder=0)
        ax.axvline(limit_kw, color=style.VERMILLION, linewidth=1.5)
        outward = 1 if end > limit_kw else -1
        ax.annotate(
            f"{text} {style.plain(abs(limit_kw))} kW", (limit_kw, 0.98), (4 * outward, 0),
            ("data", "axes fraction"), "offset points", color=style.VERMILLION, rotation=90, va="top",
            ha="left" if outward > 0 else "right", fontsize=8.5, bbox=_PLATE,
        )  # fmt: skip


def _draw_plateau(ax: Axes, scene: _Scene) -> None:
    if scene.price is None:
        return
    least, most = -scene.net.high(scene.price), -scene.net.low(scene.price)
    if most - least <= tolerances.POWER_KW:
        return
    ax.plot([least, most], [scene.price] * 2, color=style.BLUE, alpha=0.25, linewidth=9, solid_capstyle="butt")
    # Without an adder, what was cleared is said above the point.
    away = -1 if scene.upstream is not None and scene.adder <= tolerances.PRICE_PER_KWH else 1
    ax.annotate(
        f"plateau: {style.plain(most - least)} kW indifferent", ((least + most) / 2, scene.price), (0, 9 * away),
        textcoords="offset points", ha="center", va="bottom" if away > 0 else "top", fontsize=8.5, color=style.BLUE,
        bbox=_PLATE,
    )  # fmt: skip


def _draw_cleared(ax: Axes, scene: _Scene) -> None:
    """The cleared point, and how far its price is from the one above."""
    if scene.upstream is not None:
        ax.axhline(scene.upstream, color=style.INK, linewidth=1.0, linestyle=style.DASHED)
    if scene.price is None:
        ax.axvline(scene.flow_kw, color=style.INK, linewidth=1.2, linestyle=style.DOTTED)
        _say(ax, "cleared", (scene.flow_kw, sum(ax.get_ylim()) / 2), scene.flow_kw > 0)
        return
    ax.plot(scene.flow_kw, scene.price, "o", color=style.INK, markersize=8, markeredgecolor="white", zorder=6)
    if abs(scene.adder) <= tolerances.PRICE_PER_KWH:
        at = (scene.flow_kw, scene.price + 0.045 * float(np.ptp(ax.get_ylim())))
        _say(ax, f"cleared: {style.plain(scene.flow_kw)} kW", at, scene.flow_kw > 0)
        return
    upstream = scene.price - scene.adder
    arrow = {"arrowstyle": "-|>", "color": style.INK, "linewidth": 1.3, "shrinkA": 0, "shrinkB": 5}
    ax.axhline(scene.price, color=style.MUTED, linewidth=0.9, linestyle=style.DOTTED)
    ax.annotate("", (scene.flow_kw, scene.price), (scene.flow_kw, upstream), arrowprops=arrow, zorder=5)
    _say(ax, f"adder {style.signed(scene.adder)}", (scene.flow_kw, scene.price - scene.adder / 2), scene.flow_kw > 0)


def _say(ax: Axes, text: str, at: tuple[float, float], is_right: bool) -> None:
    """A bold remark beside a point, towards the middle of the picture."""
    ax.annotate(
        text, at, (-8 if is_right else 8, 0), textcoords="offset points", ha="right" if is_right else "left", va="center",
        fontweight="bold", bbox=_PLATE, zorder=7,
    )  # fmt: skip


def _price_labels(ax: Axes, scene: _Scene) -> list[Label]:
    labels = []
    if scene.upstream is not None and scene.parent is not None:
        labels.append(
            Label(scene.upstream, f"{style.short(scene.parent)}: {style.plain(scene.upstream, 3)}", dashes=style.DASHED)
        )
    if scene.price is not None and abs(scene.adder) > tolerances.PRICE_PER_KWH:
        labels.append(
            Label(scene.price, f"{style.short(scene.node)}: {style.plain(scene.price, 3)}", style.MUTED, style.DOTTED)
        )
    return labels


# --- a market of one node ---------------------------------------------------------------------------------------------


def _draw_cross(ax: Axes, scene: _Scene) -> None:
    supply, demand = _sides(scene.parts)
    most_kw = min(max(2.2 * scene.quantity_kw, 1.0), max(supply.max_kw, -demand.min_kw, 1.0))
    ax.set(xlim=(0, 1.05 * most_kw), ylim=_price_range(scene))
    _draw_curve(ax, demand, -1, "withdrawals", style.LOOKS[3], 2.0)
    _draw_curve(ax, supply, 1, "injections", style.LOOKS[2], 2.0)
    ax.set_xlabel("quantity, kW")
    ax.set_ylabel(f"price, {scene.run.manifest['currency']}/kWh")
    if scene.price is not None:
        ax.axhline(scene.price, color=style.MUTED, linewidth=0.9, linestyle=style.DOTTED)
        ax.plot(scene.quantity_kw, scene.price, "o", color=style.INK, markersize=8, markeredgecolor="white", zorder=6)
        style.end_labels(ax, [Label(scene.price, f"cleared {style.plain(scene.price, 3)}", style.MUTED, style.DOTTED)])
