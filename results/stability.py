"""Whether a flow settles, and how: pure functions of what crossed a transformer, interval by interval.

A price that follows the flow which it has caused can swing for ever.  Where the flow is measured at once a swing has a period
of two intervals; one interval late, of four (a price in proportion to the flow) or six (one that adds up); in general its half
is no shorter than how late the loop is.  What is looked for is therefore a flow that, some intervals later, is as far on the
other side of its mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from results.run import Run
from sim.curves import Floats
from sim.tolerances import BALANCE_KW

ALARM = -0.8
"""A correlation below it is a swing."""

HALF_PERIODS = range(1, 8)
"""Half periods that are looked for, in intervals; slower than that is the day's own course."""

LEAST = 9
"""More than eight intervals, each of which is compared with the one half a period before."""

STILL = 0.01
"""What a flow may move by and still stand, as a share of its limit; of its own largest where it has none."""


@dataclass(frozen=True, slots=True)
class Swing:
    """A swing of a flow: the first interval after which it is known, the last one, and half its period by then."""

    first: int
    last: int
    half_period: int


@dataclass(frozen=True, slots=True)
class Stability:
    """How one flow went.

    last: number of its last interval, which alarms are counted in; those without a power flow are none.  low_kw, high_kw: the
    range that it keeps to in the end.  settled_kw: where it stands in the end; None where it does not.  cycle: after how many
    intervals everything comes again; 1 for a standstill, None where nothing does.  peak_use: largest share of the limit of its
    direction; infinite where none is allowed, NaN where nothing limits it.  over_h: hours beyond a limit.  alarms: in their
    order.
    """

    node: str
    last: int
    low_kw: float
    high_kw: float
    settled_kw: float | None
    cycle: int | None
    peak_use: float
    over_h: float
    alarms: tuple[Swing, ...]

    @property
    def oscillates(self) -> bool:
        """Whether it swings in the end: it repeats itself without standing still, or there still is alarm.

        A short pulse in every period repeats itself, but is not as far on the other side of its mean half a period later:
        then there is no alarm.
        """
        return (self.cycle or 1) > 1 or (bool(self.alarms) and self.alarms[-1].last == self.last)


def of_run(run: Run, node: str = "") -> Stability | None:
    """The flow of a node, by default of that which used most of its limit; None where nothing was measured.

    Intervals without a power flow are left out.
    """
    node = node or most_used(run)
    rows = run.nodes[(run.nodes["node"] == node) & run.nodes["wire_lv_kw"].notna()]
    if rows.empty:
        return None
    flow, use = rows["wire_lv_kw"].to_numpy(), used(rows)
    still = tolerance_kw(rows)
    period = cycle(flow, still)
    tail = flow[-max(LEAST, 2 * (period or len(flow) // 4)) :]
    return Stability(
        node,
        len(flow) - 1,
        float(tail.min()),
        float(tail.max()),
        float(tail.mean()) if period == 1 else None,
        period,
        float(np.nanmax(use)) if not np.isnan(use).all() else math.nan,
        float(np.count_nonzero(use > 1 + STILL)) * run.hours,
        alarms(flow, still),
    )


def alarm_min(run: Run) -> float:
    """Minutes for which flows of transformers and limited lines were in alarm, added up."""
    judged = (of_run(run, str(node)) for node in run.nodes["node"].unique())
    known = sum(alarm.last + 1 - alarm.first for found in judged if found for alarm in found.alarms)
    return known * run.hours * 60


def most_used(run: Run) -> str:
    """The node whose flow used the largest share of a limit of its own, or else was largest; empty where there is none."""
    rows = run.nodes.assign(use=used(run.nodes)).fillna({"use": 0.0})
    if rows.empty:
        return ""
    most = rows.groupby("node", sort=False)[["use", "loading"]].max().fillna(0.0)
    return str(most.sort_values(["use", "loading"], ascending=False, kind="stable").index[0])


def used(rows: pd.DataFrame) -> Floats:
    """By row of ``nodes``, the flow as a share of the limit of its direction; NaN where nothing limits it.

    What a power flow may leave unexplained is no flow: it would be infinitely much of a limit of nothing.
    """
    flow = rows["wire_lv_kw"].to_numpy(dtype=float)
    limit = np.where(flow >= 0, rows["rated_import_kw"], rows["rated_export_kw"])
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(np.abs(flow) <= BALANCE_KW, 0.0, np.abs(flow) / limit)
    known: Floats = np.where(np.isfinite(limit) & np.isfinite(flow), share, np.nan)
    return known


def tolerance_kw(rows: pd.DataFrame) -> float:
    """What the flow of a node may move by and still stand, from its rows of ``nodes``."""
    limits = rows[["rated_import_kw", "rated_export_kw"]].to_numpy(dtype=float)
    finite = limits[np.isfinite(limits) & (limits > 0)]
    return STILL * float(finite.max() if finite.size else np.nanmax(np.abs(rows["wire_lv_kw"]), initial=0.0))


def autocorrelation(values: Floats, lag: int) -> Floats:
    """How much the values are like those ``lag`` later, -1..1: their covariance over the larger of the two variances.

    It is Pearson's where both vary alike, and less where a swing dies down or grows: by the factor by which it does so.  NaN
    where nothing varies.  Along the last axis.
    """
    before, after = values[..., :-lag], values[..., lag:]
    before, after = before - before.mean(axis=-1, keepdims=True), after - after.mean(axis=-1, keepdims=True)
    larger = np.maximum((before**2).sum(axis=-1), (after**2).sum(axis=-1))
    like: Floats = np.divide((before * after).sum(axis=-1), larger, out=np.full_like(larger, np.nan), where=larger > 0)
    return like


def alarms(flow: Floats, still: float, half_periods: Sequence[int] = HALF_PERIODS) -> tuple[Swing, ...]:
    """Where a flow swings, from the first interval at which that is known: more than eight intervals are then the mirror of
    those half a period before, and it has lasted for two periods.

    half_periods: (1,) for the alarm of a loop that is measured at once, in which lag 1 tells all.  Noise is taken for a swing
    now and then: white noise in one interval of 500, so that a day of 96 raises alarm in one case of nine.
    """
    # Three halves of a period are as good a mirror as one: to the rounding, the shorter.
    likeness = np.stack([np.round(_likeness(flow, half, still), 2) for half in half_periods])
    shortest = likeness.argmin(axis=0)
    found: list[Swing] = []
    for last in np.flatnonzero(likeness.min(axis=0) < ALARM).tolist():
        first = found.pop().first if found and found[-1].last == last - 1 else last
        found.append(Swing(first, last, half_periods[shortest[last]]))
    return tuple(found)


def _likeness(flow: Floats, half_period: int, still: float) -> Floats:
    """By interval, the autocorrelation of the last ones, as many as a swing has to last; 0 for too few, or a standstill."""
    length = max(LEAST + half_period, 4 * half_period + 1)
    known = np.zeros(len(flow))
    if len(flow) >= length:
        windows = sliding_window_view(flow, length)
        moves = np.ptp(windows, axis=-1) > still
        known[length - 1 :][moves] = autocorrelation(windows[moves], half_period)
    return known


def cycle(flow: Floats, still: float) -> int | None:
    """The fewest intervals after which the flow repeats itself in the end, for three times and for more than eight intervals.

    1 for a standstill; None where there is none among the periods that are looked for.
    """
    for period in range(1, 2 * max(HALF_PERIODS) + 1):
        length = max(3 * period, LEAST)
        tail = flow[-length:]
        if len(tail) == length and np.abs(tail[period:] - tail[:-period]).max() <= still:
            return period
    return None
