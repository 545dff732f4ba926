"""What was said on the wire how often, and what of it was refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from results.plots import style
from results.run import Run

_ACK = {"color": style.BLUE, "marker": "o", "linestyle": "", "markersize": 6.5}
_NACK = {"color": style.VERMILLION, "marker": "X", "linestyle": "", "markersize": 7.5}

_ACK_PT, _NACK_PT = 44.0, 98.0
"""Right ends of the columns of numbers, in points from the panel."""


@dataclass(slots=True)
class Count:
    """Messages of one action: taken (ACK), and refused (NACK) by error code."""

    ack: int = 0
    refused: dict[str, int] = field(default_factory=dict)

    @property
    def nack(self) -> int:
        """All that were refused."""
        return sum(self.refused.values())


def shows(run: Run) -> bool:
    """Whether there was any message."""
    return len(run.messages) > 0


def draw(run: Run, interval: int | None = None) -> Figure:
    """A row per action: a dot at the number of messages that were taken, a cross at that of those refused; log scale.

    interval: count what was received while it lasted.
    """
    counts = counted(run, interval)
    figure, (ax,) = style.canvas(1, 2.0 + 0.27 * max(3, len(counts)))
    style.headline(figure, _claim(counts), run, style.period(run, interval))
    if counts:
        _draw_counts(ax, counts)
    else:
        style.note(ax, "no message was sent")
    return figure


def counted(run: Run, interval: int | None = None) -> Mapping[str, Count]:
    """Messages of the journal by action, in order of their first; of the whole run, or of those received in one interval."""
    messages = run.messages if interval is None else run.messages[run.messages["interval"] == interval]
    counts: dict[str, Count] = {}
    for action, taken, code in zip(messages["action"], messages["ack"], messages["error"], strict=True):
        count = counts.setdefault(action, Count())
        if taken:
            count.ack += 1
        else:
            count.refused[code] = count.refused.get(code, 0) + 1
    return counts


def _claim(counts: Mapping[str, Count]) -> str:
    if not counts:
        return "No messages"
    refused = sum(count.nack for count in counts.values())
    total = refused + sum(count.ack for count in counts.values())
    most = max(counts, key=lambda action: counts[action].ack + counts[action].nack)
    verdict = f"{refused:,} refused" if refused else "none refused"
    return f"{total:,} messages of {len(counts)} actions, {verdict}; most are {most}"


def _draw_counts(ax: Axes, counts: Mapping[str, Count]) -> None:
    rows = list(counts)[::-1]
    for y, action in enumerate(rows):
        count = counts[action]
        points = [(number, look) for number, look in ((count.ack, _ACK), (count.nack, _NACK)) if number]
        ax.plot([0.5, max(number for number, _ in points)], [y, y], color=style.FAINT, linewidth=0.9, zorder=1)
        for number, look in points:
            ax.plot(number, y, markeredgecolor="white", zorder=3, **look)  # type: ignore[arg-type]
        for right_pt, number in ((_ACK_PT, count.ack), (_NACK_PT, count.nack)):
            _beside(ax, y, f"{number:,}" if number else "–", right_pt)
        _beside(ax, y, _codes(count), _NACK_PT + 8, align="left", color=style.MUTED)
    for right_pt, words in ((_ACK_PT, "ACK ●"), (_NACK_PT, "NACK ✕")):
        _beside(ax, len(rows) - 0.2, words, right_pt, color=style.MUTED)
    most = max(max(count.ack, count.nack) for count in counts.values())
    ax.set_xscale("log")
    ax.set_xlim(0.7, 1.6 * most)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.grid(axis="y", visible=False)
    ax.set_yticks(range(len(rows)), [style.short(action, 30) for action in rows])
    ax.set_ylim(-0.7, len(rows) - 0.3)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("messages, count (each step ten times as many)")


def _beside(ax: Axes, y: float, words: str, x_pt: float, align: str = "right", color: str = style.INK) -> None:
    """Words in a column to the right of the panel, points from its edge."""
    ax.annotate(
        words, (1.0, y), (x_pt, 0), ax.get_yaxis_transform(), "offset points", ha=align, va="center", fontsize=8.5,
        color=color, annotation_clip=False,
    )  # fmt: skip


def _codes(count: Count) -> str:
    """The most frequent reasons of refusals."""
    ranked = sorted(count.refused, key=lambda code: (-count.refused[code], code))
    more = f" + {len(ranked) - 1}" if len(ranked) > 1 else ""
    return f"{style.short(ranked[0], 26)}{more}" if ranked else ""
