"""One clearing, at the transformer where it was decided: who would take how much at which price, and what held them back."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from results.clearing_scene import Scene, decisive_interval, flow_range, outline, price_range, scene_of, sides
from results.plots import style
from results.plots.style import Label, Look
from results.run import Run
from sim import tolerances
from sim.curves import OfferCurve

_PLATE = {"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}


def shows(run: Run) -> bool:
    """Whether any interval was cleared."""
    return bool(run.clearings)


def draw(run: Run, interval: int | None = None) -> Figure:
    """The clearing of one interval at the node with the largest adder, or else nearest to its limit.

    Participants whose own price differs from their node's are drawn at the node's: their curves are moved by the difference.

    Below a transformer: import (x) by price (y), as wanted and within the limits.  With one node alone: supply and demand.
    interval: default the one with the largest adder, or else with the dearest bound, or else the largest quantity.
    """
    figure, (ax,) = style.canvas(1, 5.0)
    chosen = decisive_interval(run) if interval is None else interval
    if chosen not in run.clearings:
        style.headline(figure, "No clearing", run)
        style.note(ax, "this run has no market in this interval" if run.clearings else "this run has no market")
        return figure
    scene = scene_of(run, chosen)
    if scene.parent is None:
        _draw_cross(ax, scene)
    else:
        _draw_node(ax, scene)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, handlelength=3)
    style.headline(figure, f"{_claim(scene)}{_bounds_claim(scene)}", run, _remark(scene))
    return figure


def _bounds_claim(scene: Scene) -> str:
    """Which bounds beside the tree hold participants apart."""
    if not scene.bounds:
        return ""
    top = max(scene.bounds, key=lambda name: scene.bounds[name])
    others = f" and {len(scene.bounds) - 1} more" if len(scene.bounds) > 1 else ""
    return f"; {style.short(top)}{others} binds, and participants' prices differ by it"


def _remark(scene: Scene) -> str:
    if scene.price is None or max(map(abs, scene.own)) <= tolerances.PRICE_PER_KWH:
        return scene.moment
    low, high = (style.signed(end + 0.0) for end in scene.own)
    return f"{scene.moment} · drawn at the node's price: participants' own differ by {low} to {high}"


def _claim(scene: Scene) -> str:
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


def _draw_node(ax: Axes, scene: Scene) -> None:
    low, high = price_range(scene)
    supply, demand = sides(scene.parts)
    span_kw = flow_range(scene, low, high)
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
    style.end_labels(ax, _price_labels(scene))


def _draw_curve(ax: Axes, curve: OfferCurve, sign: int, name: str, look: Look, width: float) -> None:
    """Power times sign by price, drawn from the bottom of the panel to its top."""
    powers, prices = outline(curve, *ax.get_ylim())
    p_kw = sign * np.array(powers)
    ax.plot(p_kw, prices, color=look.color, linestyle=look.dashes, linewidth=width, label=name)


def _draw_limits(ax: Axes, scene: Scene) -> None:
    """The flows that the transformer does not carry, and where they begin."""
    left, right = ax.get_xlim()
    ax.axvline(0, color=style.MUTED, linewidth=0.8)
    # What was cleared is explained beside it; the limits are named at the other end of the panel.
    is_high = scene.price is not None and scene.price > sum(ax.get_ylim()) / 2
    y, end_of_text = (0.02, "bottom") if is_high else (0.98, "top")
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
            f"{text} {style.plain(abs(limit_kw))} kW", (limit_kw, y), (4 * outward, 0),
            ("data", "axes fraction"), "offset points", color=style.VERMILLION, rotation=90, va=end_of_text,
            ha="left" if outward > 0 else "right", fontsize=8.5, bbox=_PLATE,
        )  # fmt: skip


def _draw_plateau(ax: Axes, scene: Scene) -> None:
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


def _draw_cleared(ax: Axes, scene: Scene) -> None:
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


def _price_labels(scene: Scene) -> list[Label]:
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


def _draw_cross(ax: Axes, scene: Scene) -> None:
    supply, demand = sides(scene.parts)
    most_kw = min(max(2.2 * scene.quantity_kw, 1.0), max(supply.max_kw, -demand.min_kw, 1.0))
    ax.set(xlim=(0, 1.05 * most_kw), ylim=price_range(scene))
    _draw_curve(ax, demand, -1, "withdrawals", style.LOOKS[3], 2.0)
    _draw_curve(ax, supply, 1, "injections", style.LOOKS[2], 2.0)
    ax.set_xlabel("quantity, kW")
    ax.set_ylabel(f"price, {scene.run.manifest['currency']}/kWh")
    if scene.price is not None:
        ax.axhline(scene.price, color=style.MUTED, linewidth=0.9, linestyle=style.DOTTED)
        _draw_level(ax, supply, demand, scene.price)
        ax.plot(scene.quantity_kw, scene.price, "o", color=style.INK, markersize=8, markeredgecolor="white", zorder=6)
        style.end_labels(ax, [Label(scene.price, f"cleared {style.plain(scene.price, 3)}", style.MUTED, style.DOTTED)])


def _draw_level(ax: Axes, supply: OfferCurve, demand: OfferCurve, price: float) -> None:
    """The quantities that both sides would trade at the price alike, where there is more than one."""
    least = max(supply.low(price), -demand.high(price))
    most = min(supply.high(price), -demand.low(price), ax.get_xlim()[1])
    if most - least > tolerances.POWER_KW:
        ax.plot([least, most], [price] * 2, color=style.BLUE, alpha=0.25, linewidth=9, solid_capstyle="butt")
        ax.annotate(
            f"plateau: {style.plain(most - least)} kW indifferent", ((least + most) / 2, price), (0, 9),
            textcoords="offset points", ha="center", va="bottom", fontsize=8.5, color=style.BLUE, bbox=_PLATE,
        )  # fmt: skip
