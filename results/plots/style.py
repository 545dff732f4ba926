"""How every picture looks: colours, line styles, axes, and labels beside the thing they name.

Colours are those of Okabe and Ito ("Color Universal Design", 2008), which stay apart for every common kind of colour
vision; each comes with its own line style or hatch, so that a print in grey says the same.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import blended_transform_factory
from numpy.typing import NDArray

from results import text
from results.run import Run
from sim.clock import Calendar

INK, MUTED, FAINT = "#222222", "#666666", "#bbbbbb"
BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY = "#CC79A7", "#56B4E9"

Dashes = str | tuple[int, tuple[float, ...]]
DASHED, DOTTED = (0, (4.0, 2.0)), (0, (1.5, 1.5))


@dataclass(frozen=True, slots=True)
class Look:
    """A colour with the line style and the hatch that tell it apart without the colour."""

    color: str
    dashes: Dashes
    hatch: str


LOOKS = (
    Look(BLUE, "-", ""),
    Look(VERMILLION, (0, (5, 1.5)), "//"),
    Look(GREEN, (0, (1.2, 1.2)), ".."),
    Look(ORANGE, (0, (6, 1.5, 1.2, 1.5)), "\\\\"),
    Look(PURPLE, (0, (3, 1, 1, 1, 1, 1)), "xx"),
    Look(SKY, (0, (8, 2)), "--"),
)
"""One look per series, in the order of use; a picture never shows more series than looks."""

_SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "hatch.linewidth": 0.6,
    "hatch.color": "white",
    # A name with two dollar signs is a name, not a formula.
    "text.parse_math": False,
    "svg.hashsalt": "degsim",
    "figure.dpi": 150,
    "savefig.dpi": 150,
}

_GAP_PT = 10.5
"""Least distance of two labels at an axis' end, in points."""

_SMALL_LINE = 120
"""Characters in the line under a title."""

_JOINT = "\xa0·\xa0"
"""Between parts that stay on one line."""

_TICK_STEPS_MIN = (5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440)
_TICKS = 9


@contextmanager
def applied() -> Iterator[None]:
    """Draw and save with these settings, whatever the user's own ``matplotlibrc`` says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


def canvas(
    rows: int = 1, height: float = 4.4, ratios: Sequence[float] | None = None, shared: bool = True
) -> tuple[Figure, list[Axes]]:
    """A figure of stacked panels, which share their x axis unless told otherwise; height in inches."""
    figure = Figure(figsize=(9.0, height), layout="constrained")
    panels = figure.subplots(rows, 1, sharex=shared, squeeze=False, height_ratios=ratios)
    return figure, list(panels[:, 0])


def headline(figure: Figure, claim: str, run: Run, remark: str = "") -> None:
    """What the picture shows, as a sentence, over which run it shows; the panels keep clear of it."""
    title(figure, claim, shown_of(run.manifest, remark))


def shown_of(manifest: Mapping[str, Any], remark: str = "") -> str:
    """Which run a picture shows and how much of it, in the parts of a line; a remark stands before its name."""
    policy = f"policy {manifest['policy']}" if manifest["policy"] else ""
    whole = _JOINT.join(part for part in (str(manifest["name"]), policy, f"seed {manifest['seed']}") if part)
    part_of = "" if manifest["complete"] else f"unfinished: {manifest['count']} of {manifest['planned']} intervals"
    return " · ".join(part for part in (part_of, remark, whole) if part)


def title(figure: Figure, claim: str, below: str) -> None:
    """A sentence over the panels, with smaller lines under it; the panels keep clear of both."""
    lines, small = textwrap.wrap(claim, 90), _parts_in_lines(below)
    height_in = figure.get_figheight()
    down_in = 0.12 + 0.2 * len(lines)
    figure.text(0.012, 1 - 0.1 / height_in, "\n".join(lines), fontsize=11.5, fontweight="bold", va="top")
    figure.text(0.012, 1 - down_in / height_in, "\n".join(small), fontsize=8.5, color=MUTED, va="top")
    figure.set_layout_engine("constrained", rect=(0, 0, 1, 1 - (down_in + 0.04 + 0.16 * len(small)) / height_in))


def keep_apart(figure: Figure, pad_in: float) -> None:
    """Room to the left and right of each panel, in inches; the title must be there."""
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(w_pad=pad_in)


def _parts_in_lines(below: str) -> list[str]:
    """The parts of a line, broken between them where they need more than one; a part alone is cut in its middle."""
    lines: list[str] = []
    for part in (text.short(part, _SMALL_LINE) for part in below.split(" · ")):
        if lines and len(lines[-1]) + len(part) + 3 <= _SMALL_LINE:
            lines[-1] += f" · {part}"
        else:
            lines.append(part)
    return [line.replace(_JOINT, " · ") for line in lines]


def edges_s(run: Run) -> NDArray[np.float64]:
    """Starts of all intervals and the end of the last, in simulated seconds."""
    return np.arange(run.calendar.count + 1, dtype=np.float64) * run.calendar.interval_s


def time_axis(ax: Axes, calendar: Calendar) -> None:
    """Simulated seconds as local HH:MM, with the date under the first tick and under every midnight."""
    seconds = _ticks_s(calendar)
    ax.set_xlim(0, calendar.duration_s)
    ax.set_xticks(seconds, [_tick_text(calendar, second, second == seconds[0]) for second in seconds])
    zone = str(calendar.start.tzinfo)
    ax.set_xlabel(f"local time ({zone})")


def _ticks_s(calendar: Calendar) -> list[int]:
    minutes = {second: calendar.minute_of_day(second) for second in range(0, calendar.duration_s + 1, 300)}
    for step in _TICK_STEPS_MIN:
        ticks = [second for second, minute in minutes.items() if minute % step == 0]
        if len(ticks) <= _TICKS:
            break
    return ticks[:: -(-len(ticks) // _TICKS)] or [0]


def _tick_text(calendar: Calendar, second: int, is_first: bool) -> str:
    moment = calendar.local(second)
    is_midnight = moment.hour == moment.minute == 0
    return f"{moment:%H:%M}" + (f"\n{moment:%a} {moment.day} {moment:%b}" if is_first or is_midnight else "")


def spans(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Half-open index ranges over which the mask holds."""
    turns = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return [(int(first), int(last)) for first, last in zip(turns[::2], turns[1::2], strict=True)]


def shade(
    ax: Axes, mask: NDArray[np.bool_], edges: NDArray[np.float64], label: str = "", color: str = "#f1f1ef"
) -> None:
    """A band over the intervals for which the mask holds; the widest one carries the label, inside at the top."""
    bands = [(edges[first], edges[last]) for first, last in spans(mask)]
    for left, right in bands:
        ax.axvspan(left, right, color=color, linewidth=0, zorder=0)
    if bands and label:
        left, right = max(bands, key=lambda band: band[1] - band[0])
        at = blended_transform_factory(ax.transData, ax.transAxes)
        ax.text((left + right) / 2, 0.985, label, transform=at, ha="center", va="top", fontsize=8, color=MUTED)


@dataclass(frozen=True, slots=True)
class Label:
    """A name at the right end of a line: its height in data units, its text, and the line's colour and style."""

    y: float
    text: str
    color: str = INK
    dashes: Dashes = "-"


def end_labels(ax: Axes, labels: Sequence[Label]) -> None:
    """Name lines at the axis' right end, each beside a sample of its style, moved apart where they would overlap.

    The y limits must be final.
    """
    ordered = sorted((label for label in labels if np.isfinite(label.y)), key=lambda label: label.y)
    low, high = ax.get_ylim()
    wanted = np.clip([(label.y - low) / (high - low) for label in ordered], 0, 1)
    height_pt = ax.get_window_extent().height * 72 / ax.figure.dpi
    for label, y, at in zip(ordered, wanted, spread(wanted, _GAP_PT / height_pt), strict=True):
        outside: dict[str, Any] = {"color": label.color, "transform": ax.transAxes, "clip_on": False}
        ax.plot([1.003, 1.012], [y, at], linewidth=0.7, **outside)
        ax.plot([1.014, 1.048], [at, at], linewidth=1.6, linestyle=label.dashes, **outside)
        ax.text(1.054, at, label.text, color=label.color, fontsize=8.5, va="center", transform=ax.transAxes)


def spread(wanted: NDArray[np.float64], gap: float) -> NDArray[np.float64]:
    """Ascending positions at least ``gap`` apart, as near to the wanted ones as can be (least squares).

    Source: the pool-adjacent-violators algorithm; Barlow et al., "Statistical Inference under Order Restrictions", 1972.
    """
    offsets = gap * np.arange(len(wanted))
    pools: list[tuple[float, int]] = []
    for value in wanted - offsets:
        mean, size = float(value), 1
        while pools and pools[-1][0] > mean:
            before, count = pools.pop()
            mean, size = (before * count + mean * size) / (count + size), count + size
        pools.append((mean, size))
    means = np.array([mean for mean, size in pools for _ in range(size)])
    return np.asarray(means + offsets, dtype=np.float64)


def short(name: str, width: int = 22) -> str:
    """A name that fits beside a line."""
    return text.short(name, width)


def signed(value: float, digits: int = 3) -> str:
    """A number with its sign, and a real minus."""
    return f"{value:+.{digits}f}".replace("-", "−")


def plain(value: float, digits: int = 1) -> str:
    """A number with a real minus and no sign where it is positive."""
    return f"{value:,.{digits}f}".replace("-", "−")


def percent(share: float) -> str:
    """A share of one as a percentage with one decimal."""
    return f"{100 * share:.1f} %"


def period(run: Run, interval: int | None) -> str:
    """From when to when an interval lasted; empty for the whole run."""
    if interval is None:
        return ""
    window = run.calendar.interval(interval)
    return f"{run.calendar.local(window.start_s):%H:%M} to {run.calendar.local(window.end_s):%H:%M}"


def note(ax: Axes, sentence: str) -> None:
    """A sentence in the place of a panel that has nothing to show."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, sentence, transform=ax.transAxes, ha="center", va="center", color=MUTED, fontsize=10)


def mark_interval(ax: Axes, run: Run, interval: int | None) -> None:
    """A dotted line where the interval that was asked for starts."""
    if interval is not None:
        ax.axvline(run.calendar.interval(interval).start_s, color=INK, linewidth=0.9, linestyle=":")
