"""What the pictures of a comparison have in common: how a metric is named on an axis, seeds as dots, intervals as bars."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator, SymmetricalLogLocator

from results import text
from results.comparison import Comparison, Measure, Row, table
from results.comparison.statistics import USUAL_SEEDS
from results.comparison.text import on_seeds
from results.plots import style
from sim.curves import Floats

NAME = 24
"""Characters of a variant's name in a picture."""
SQUEEZED = 20
"""How many times the middle one's size the largest may be before an axis is logarithmic."""
BARS_PT = 1.6
"""Width of an interval's bar."""


def rows_of(comparison: Comparison) -> dict[tuple[str, str], Row]:
    """All statistics by variant and metric."""
    return {(row.variant, row.metric): row for row in table(comparison)}


def headline(figure: Figure, claim: str, comparison: Comparison, remark: str = "") -> None:
    """What the picture shows, as a sentence, over what was compared."""
    count = len(comparison.seeds)
    parts = [remark, comparison.study, on_seeds(comparison)]
    if comparison.failures:
        parts.append(f"{len(comparison.failures)} runs failed")
    if comparison.unpaired:
        parts.append(f"NOT paired: {len(comparison.unpaired)} of {len(comparison.variants)} variants")
    if count < USUAL_SEEDS:
        parts.append(f"{USUAL_SEEDS} seeds or more are usual")
    style.title(figure, claim, " · ".join(part for part in parts if part))


def label(comparison: Comparison, variant: str) -> str:
    """A variant's name, with how many of its runs there are where some are missing."""
    done, count = comparison.done(variant), len(comparison.seeds)
    return named(variant) if done == count else f"{named(variant)}\n{done} of {count} runs"


def named(variant: str) -> str:
    """A variant's name on at most two lines, broken behind one of its commas where it has any."""
    if len(variant) <= NAME:
        return variant
    lines = textwrap.wrap(variant.replace(",", ", ").replace(",  ", ", "), NAME, break_on_hyphens=False)
    return "\n".join(lines) if len(lines) <= 2 else f"{lines[0]}\n{text.short(' '.join(lines[1:]), NAME)}"


def unit(measure: Measure) -> str:
    """A metric's unit, as it stands beside an axis."""
    return "share" if measure.unit == "1" else measure.unit


def axis(measure: Measure) -> str:
    """A metric with its unit."""
    return ", ".join(part for part in (measure.name, unit(measure)) if part)


def name_upwards(ax: Axes, measure: Measure, scale: str) -> None:
    """A metric beside the axis upwards, with its unit, which way is better and what is to be said of the scale."""
    arrow = {"less": "↓ better", "more": "↑ better"}.get(measure.better, "")
    below = ", ".join(part for part in (unit(measure), arrow, scale) if part)
    ax.set_ylabel("\n".join(part for part in (wrapped(measure.name, 18), below) if part), fontsize=8.5)


def wrapped(sentence: str, width: int) -> str:
    """A sentence on as many lines as it needs; names with underscores may break behind one."""
    broken = textwrap.wrap(sentence.replace("_", "_\x1f "), width, break_on_hyphens=False, break_long_words=False)
    return "\n".join(broken).replace("_\x1f ", "_").replace("_\x1f", "_")


def name_ticks(ax: Axes, places: Sequence[float], names: Sequence[str]) -> None:
    """Names under an axis, slanted where they are too many or too long to stand beside each other."""
    lines = [line for name in names for line in name.split("\n")]
    slanted = len(names) > 6 or max(map(len, lines)) * len(names) > 90
    ax.set_xticks(
        places,
        list(names),
        rotation=35 if slanted else 0,
        ha="right" if slanted else "center",
        rotation_mode="anchor" if slanted else "default",
    )


def few(names: Sequence[str], most: int, what: str) -> tuple[Sequence[str], str]:
    """As many names as a picture has room for, and what is to be said of the others."""
    rest = len(names) - most
    return names[:most], f"{rest} more {what} not shown" if rest > 0 else ""


def jitter(count: int, width: float) -> Floats:
    """Offsets that keep dots of one place apart, the same for a seed in every variant; no randomness is needed."""
    golden = (5**0.5 - 1) / 2
    offsets: Floats = (np.arange(count, dtype=np.float64) * golden % 1 - 0.5) * width
    return offsets


def scaled(ax: Axes, which: Literal["x", "y"], values: Sequence[float]) -> str:
    """Ticks that leave room for each other, and a logarithmic axis where one variant would squeeze the others to nothing.

    values: of the variants.  Gives what is to be said at the axis.
    """
    one = ax.xaxis if which == "x" else ax.yaxis
    sizes = np.sort(np.abs([value for value in values if np.isfinite(value) and value]))
    if len(sizes) < 3 or sizes[-1] < SQUEEZED * sizes[(len(sizes) - 1) // 2]:
        one.set_major_locator(MaxNLocator(nbins=4 if which == "x" else 6, steps=[1, 2, 2.5, 5, 10]))
        return ""
    linear = 10.0 ** np.floor(np.log10(sizes[(len(sizes) - 1) // 2]))
    (ax.set_xscale if which == "x" else ax.set_yscale)("symlog", linthresh=linear)
    one.set_major_locator(SymmetricalLogLocator(base=10, linthresh=linear))
    one.set_minor_locator(NullLocator())
    one.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
    return f"log beyond {linear:g}"
