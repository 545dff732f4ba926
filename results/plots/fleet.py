"""How full the cars were, when they had to leave, and whether they had got by then what they had asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from results.metrics import MISSED_KWH
from results.metrics.vehicles import vehicles
from results.plots import style
from results.plots.style import Label
from results.run import Run

Floats = NDArray[np.float64]

SHADES = (((0.0, 1.0), "#dbe9f4", "emptiest to fullest"), ((0.25, 0.75), "#9cc3e0", "the middle half"))
"""Quantiles over the cars that are plugged in between which there is a shade, widest and lightest first."""


def shows(run: Run) -> bool:
    """Whether a car has come."""
    return len(run.sessions) > 0


def draw(run: Run, interval: int | None = None) -> Figure:
    """State of charge of the cars that are plugged in, with a mark at every departure; below, energy asked for and given.

    Energies add up over visits: asked for from the arrival on, due and given at the departure.
    interval: one to mark with a dotted line.
    """
    if not shows(run):
        figure, (ax,) = style.canvas(1, 4.2)
        style.headline(figure, "No electric vehicles", run)
        style.note(ax, "no car has come in this run")
        return figure
    figure, (above, below) = style.canvas(2, 6.2, (1.35, 1))
    style.headline(figure, _claim(run), run, _remark(run))
    _draw_fan(above, run)
    _draw_deadlines(above, run)
    _draw_energy(below, run)
    for ax in (above, below):
        style.mark_interval(ax, run, interval)
    return figure


def charge(run: Run) -> pd.DataFrame:
    """State of charge of every car (column) at the end of every interval (row); NaN while it is away."""
    cars = [era for era, kind in run.kinds.items() if kind == "ev" or era in set(run.sessions["era"])]
    rows = run.states[run.states["era"].isin(cars)]
    return rows.pivot(index="interval", columns="era", values="soc").reindex(range(run.calendar.count))


def asked_and_given(run: Run) -> tuple[pd.Series[float], pd.Series[float], pd.Series[float]]:
    """Energy of all visits so far, by simulated second [kWh]: asked for on arrival, due on departure, given by then.

    Visits that last beyond the run are asked for and never due.
    """
    rows = run.sessions
    done = rows[rows["finished"]]
    return (
        _sums(rows["arrival_s"].clip(lower=0), rows["need_kwh"]),
        _sums(done["departure_s"], done["need_kwh"]),
        _sums(done["departure_s"], done["served_kwh"]),
    )


def _sums(seconds: pd.Series[int], kwh: pd.Series[float]) -> pd.Series[float]:
    found: pd.Series[float] = kwh.groupby(seconds).sum().sort_index().cumsum()
    return found


def _claim(run: Run) -> str:
    found = vehicles(run)
    if not found.finished:
        return f"None of {found.sessions} visits ended within the run; {found.underway_kwh:,.1f} kWh charged so far"
    missing = f"{style.plain(found.unserved_kwh)} of {style.plain(found.need_kwh)} kWh"
    if found.missed:
        return f"{found.missed} of {found.finished} visits ended short of what was asked for: {missing} missing"
    who = (
        f"All {found.finished} visits that ended got what they"
        if found.finished > 1
        else "The one visit that ended got what it"
    )
    return f"{who} asked for: {style.plain(found.served_kwh)} kWh"


def _remark(run: Run) -> str:
    found = vehicles(run)
    later = found.sessions - found.finished
    cars = run.sessions["era"].nunique()
    plugged = int(charge(run).notna().sum(axis=1).max())
    remarks = {
        f"{cars} cars, at most {plugged} plugged in at once" if cars != 1 else "1 car": True,
        f"{later} visits last beyond the run": later,
    }
    return " · ".join(remark for remark, applies in remarks.items() if applies)


def _draw_fan(ax: Axes, run: Run) -> None:
    soc = 100 * charge(run)
    ax.set_ylabel("state of charge, %")
    style.time_axis(ax, run.calendar)
    ax.set_xlabel("")
    ax.set_ylim(-4, 112)
    ax.set_yticks(range(0, 101, 20))
    if soc.isna().all(axis=None):
        ax.text(0.5, 0.5, "no state of charge is known", transform=ax.transAxes, ha="center", color=style.MUTED)
        return
    ends_s = style.edges_s(run)[1:]
    over = soc.quantile([0.0, 0.25, 0.5, 0.75, 1.0], axis=1).T
    for (least, most), color, _ in SHADES:
        ax.fill_between(
            ends_s, over[least].to_numpy(), over[most].to_numpy(), color=color, linewidth=0, zorder=1 + least
        )
    ax.plot(ends_s, over[0.5], color=style.INK, linewidth=1.5, zorder=4)
    shades = [Patch(facecolor=color, label=words) for _, color, words in SHADES]
    ax.legend(handles=shades, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False, fontsize=8.5)
    last = over[0.5].dropna()
    style.end_labels(ax, [Label(float(last.iloc[-1]), "median", style.INK)])


def _draw_deadlines(ax: Axes, run: Run) -> None:
    """A stroke at each departure above the fan; a cross where the car left short."""
    done = run.sessions[run.sessions["finished"]]
    is_short = done["unserved_kwh"] > MISSED_KWH
    for rows, marker, color, size, words in (
        (done[~is_short], "|", style.GREEN, 60, "left with all"),
        (done[is_short], "x", style.VERMILLION, 34, "left short"),
    ):
        if len(rows):
            ax.scatter(
                rows["departure_s"], [106.0] * len(rows), s=size, marker=marker, c=color, linewidths=1.3, clip_on=False,
                zorder=6, label=f"{words} ({len(rows)})",
            )  # fmt: skip
    if len(done):
        shades = ax.get_legend()
        ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, frameon=False, fontsize=8.5)
        if shades is not None:
            ax.add_artist(shades)


def _draw_energy(ax: Axes, run: Run) -> None:
    asked, due, given = asked_and_given(run)
    end_s = run.calendar.duration_s
    curves: Sequence[tuple[pd.Series[float], str, str, style.Dashes, float]] = (
        (asked, "asked for", style.MUTED, style.DOTTED, 1.4),
        (due, "due", style.VERMILLION, style.DASHED, 1.6),
        (given, "given", style.BLUE, "-", 1.8),
    )
    labels = []
    for sums, words, color, dashes, width in curves:
        seconds, kwh = _steps(sums, end_s)
        ax.step(seconds, kwh, where="post", color=color, linestyle=dashes, linewidth=width)
        labels.append(Label(kwh[-1], f"{words} {style.plain(kwh[-1])} kWh", color, dashes))
    if len(due) and due.iloc[-1] - given.iloc[-1] > MISSED_KWH:
        (seconds, owed), (_, got) = _steps(due, end_s), _steps(given, end_s)
        ax.fill_between(
            seconds, owed, got, step="post", facecolor="#fbe6da", edgecolor=style.VERMILLION, hatch="////", linewidth=0
        )
    style.time_axis(ax, run.calendar)
    ax.set_ylabel("energy of all visits\nso far, kWh")
    ax.set_ylim(0, 1.08 * max([1.0, *(label.y for label in labels)]))
    style.end_labels(ax, labels)


def _steps(sums: pd.Series[float], end_s: int) -> tuple[list[float], list[float]]:
    """A step curve from nothing at the start to the end of the run."""
    known = sums[sums.index <= end_s]
    last = float(known.iloc[-1]) if len(known) else 0.0
    assert math.isfinite(last)
    return [0.0, *map(float, known.index), float(end_s)], [0.0, *map(float, known), last]
