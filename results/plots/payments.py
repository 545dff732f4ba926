"""From whom to whom money went: payers on the left, payees on the right, and a ribbon as wide as what passed between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from results.plots import owed, style
from results.plots.style import Look
from results.run import Run
from sim.ledger import total_of

KINDS = 8
"""Kinds on a side; the smallest ones beyond are put together."""

OTHERS = "other kinds"
REST_LOOK = Look("#aaaaaa", "-", "++")
_GAP = 0.035
"""Between the blocks of a side, as a share of the picture's height."""

_LEFT, _RIGHT, _WIDTH = 0.27, 0.73, 0.018
_LEAST = 0.028
"""Ribbons that are at least so high, as a share of the picture's height, carry their amount."""

_LINE = 0.05
"""Least distance between the names of two blocks, as a share of the picture's height."""


@dataclass(frozen=True, slots=True)
class Ribbon:
    """What one kind paid another; a kind may pay itself, where its parties pay each other."""

    payer: str
    payee: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class _Side:
    """The blocks of one side: by kind, where each begins from the top and its height, both as shares of the height."""

    top: Mapping[str, float]
    height: Mapping[str, float]


def shows(run: Run) -> bool:
    """Whether anybody owes anybody anything in the run's currency."""
    return bool(owed.postings(run))


def draw(run: Run, interval: int | None = None) -> Figure:
    """Payments between kinds of participants; nothing is set off, so that a kind may stand on both sides.

    interval: count the postings of this interval alone.
    """
    ribbons = paid(run, interval)
    figure, (ax,) = style.canvas(1, 5.4)
    remark = " · ".join(part for part in (style.period(run, interval), owed.remark(run, interval)) if part)
    style.headline(figure, _claim(run, ribbons), run, remark)
    if not ribbons:
        style.note(ax, "no postings")
        return figure
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.set_axis_off()
    left, right = (_side(_sums(ribbons, side)) for side in ("payer", "payee"))
    looks = _looks(list(left.top))
    _draw_ribbons(ax, ribbons, left, right, looks)
    currency = run.manifest["currency"]
    _draw_side(
        ax, left, _sums(ribbons, "payer"), _LEFT - _WIDTH, "right", {kind: looks[kind].color for kind in left.top}
    )
    _draw_side(ax, right, _sums(ribbons, "payee"), _RIGHT, "left", dict.fromkeys(right.top, style.MUTED))
    for x, words, side in ((_LEFT, "paid by", "right"), (_RIGHT, "received by", "left")):
        ax.text(x, 1.02, f"{words}, {currency}", ha=side, va="bottom", fontsize=8.5, color=style.MUTED)
    return figure


def paid(run: Run, interval: int | None = None) -> tuple[Ribbon, ...]:
    """What each kind paid each other in the run's currency, the largest first; exact sums of postings."""
    rows = owed.postings(run, interval)
    exact: dict[tuple[str, str], Decimal] = {}
    for row in rows:
        pair = run.kinds.get(row.payer, row.payer), run.kinds.get(row.payee, row.payee)
        exact[pair] = total_of([row.amount], exact.get(pair, Decimal(0)))
    names = [_few([(pair[side], amount) for pair, amount in exact.items()]) for side in (0, 1)]
    few: dict[tuple[str, str], Decimal] = {}
    for (payer, payee), amount in exact.items():
        key = names[0].get(payer, OTHERS), names[1].get(payee, OTHERS)
        few[key] = total_of([amount], few.get(key, Decimal(0)))
    ranked = sorted(few.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Ribbon(payer, payee, amount) for (payer, payee), amount in ranked if amount)


def _few(amounts: Sequence[tuple[str, Decimal]]) -> dict[str, str]:
    """The kinds of a side that keep their name."""
    sums: dict[str, Decimal] = {}
    for kind, amount in amounts:
        sums[kind] = total_of([amount], sums.get(kind, Decimal(0)))
    ranked = sorted(sums, key=lambda kind: (-sums[kind], kind))
    kept = ranked if len(ranked) <= KINDS else ranked[: KINDS - 1]
    return {kind: kind for kind in kept}


def _claim(run: Run, ribbons: Sequence[Ribbon]) -> str:
    if not ribbons:
        return "No money moved"
    total, currency = total_of(ribbon.amount for ribbon in ribbons), run.manifest["currency"]
    top = ribbons[0]
    pair = f"{style.short(top.payer)} to {style.short(top.payee)}"
    return f"{total:,.2f} {currency} change hands; most of it from {pair} ({top.amount:,.2f} {currency})"


def _sums(ribbons: Sequence[Ribbon], side: str) -> dict[str, Decimal]:
    """What each kind of a side paid or received, the largest first."""
    sums: dict[str, Decimal] = {}
    for ribbon in ribbons:
        kind = str(getattr(ribbon, side))
        sums[kind] = total_of([ribbon.amount], sums.get(kind, Decimal(0)))
    return dict(sorted(sums.items(), key=lambda item: (item[0] == OTHERS, -item[1], item[0])))


def _side(sums: Mapping[str, Decimal]) -> _Side:
    room = 1 - _GAP * (KINDS - 1)
    total = float(total_of(sums.values()))
    heights = {kind: room * float(amount) / total for kind, amount in sums.items()}
    spare = 1 - room - _GAP * (len(heights) - 1)
    top, y = {}, 1.0 - spare / 2
    for kind, height in heights.items():
        top[kind] = y
        y -= height + _GAP
    return _Side(top, heights)


def _looks(kinds: Sequence[str]) -> dict[str, Look]:
    named = dict(zip((kind for kind in kinds if kind != OTHERS), style.LOOKS, strict=False))
    return {kind: named.get(kind, REST_LOOK) for kind in kinds}


def _draw_ribbons(ax: Axes, ribbons: Sequence[Ribbon], left: _Side, right: _Side, looks: Mapping[str, Look]) -> None:
    """Ribbons leave and arrive in the order of the other side, so that they cross as little as can be."""
    order = {kind: number for number, kind in enumerate([*left.top])}
    arrival = {kind: number for number, kind in enumerate([*right.top])}
    total = float(total_of(ribbon.amount for ribbon in ribbons))
    room = 1 - _GAP * (KINDS - 1)
    begin, end = dict(left.top), dict(right.top)
    ends: dict[Ribbon, float] = {}
    for ribbon in sorted(ribbons, key=lambda ribbon: (arrival[ribbon.payee], order[ribbon.payer])):
        ends[ribbon] = end[ribbon.payee]
        end[ribbon.payee] -= room * float(ribbon.amount) / total
    for ribbon in sorted(ribbons, key=lambda ribbon: (order[ribbon.payer], arrival[ribbon.payee])):
        height, look = room * float(ribbon.amount) / total, looks[ribbon.payer]
        ax.add_patch(
            PathPatch(
                _band(begin[ribbon.payer], ends[ribbon], height), facecolor=look.color, hatch=look.hatch, alpha=0.55,
                edgecolor="white", linewidth=0.5, zorder=2, gid=f"{ribbon.payer} to {ribbon.payee}",
            )
        )  # fmt: skip
        if height >= _LEAST:
            ax.text(
                _LEFT + 0.012, begin[ribbon.payer] - height / 2, f"{ribbon.amount:,.2f}", va="center", fontsize=8,
                zorder=4, bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.75},
            )  # fmt: skip
        begin[ribbon.payer] -= height


def _band(y0: float, y1: float, height: float) -> Path:
    """Between two heights on the two sides, of one width all the way."""
    bend = (_LEFT + _RIGHT) / 2
    upper = [(_LEFT, y0), (bend, y0), (bend, y1), (_RIGHT, y1)]
    lower = [(_RIGHT, y1 - height), (bend, y1 - height), (bend, y0 - height), (_LEFT, y0 - height)]
    codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
    return Path([*upper, *lower, upper[0]], codes)


def _draw_side(
    ax: Axes, side: _Side, sums: Mapping[str, Decimal], x: float, align: str, colors: Mapping[str, str]
) -> None:
    """Blocks with their names and sums, moved apart where they would overlap."""
    middles = {kind: side.top[kind] - side.height[kind] / 2 for kind in side.top}
    rising = sorted(middles, key=lambda kind: middles[kind])
    placed = style.spread(np.array([middles[kind] for kind in rising]), _LINE)
    outward = -1 if align == "right" else 1
    edge = x if outward < 0 else x + _WIDTH
    for kind, y in zip(rising, placed, strict=True):
        ax.add_patch(
            Rectangle((x, side.top[kind] - side.height[kind]), _WIDTH, side.height[kind], color=colors[kind], zorder=3)
        )
        ax.plot([edge, edge + 0.012 * outward], [middles[kind], y], color=style.MUTED, linewidth=0.7)
        words = f"{style.short(kind)}  {sums[kind]:,.2f}"
        ax.text(edge + 0.016 * outward, y, words, ha=align, va="center", fontsize=9, clip_on=False)
