"""Voltages of all buses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from results.metrics.numbers import largest
from results.once import once
from results.run import Run
from sim.tolerances import VOLTAGE_PU

EN_50160_PU = (0.9, 1.1)
"""Voltages a customer must accept in 95 % of the 10-minute means of a week; the band where a scenario names none."""


@dataclass(frozen=True, slots=True)
class Extreme:
    """A voltage that no other goes beyond, with its bus and local time; NaN and empty where there is none."""

    v_pu: float
    bus: str
    moment: str


@dataclass(frozen=True, slots=True)
class Voltages:
    """Extremes over all buses, phases and intervals, and the minutes each bus spent outside the band, added up."""

    band_pu: tuple[float, float]
    lowest: Extreme
    highest: Extreme
    outside_bus_min: float


@once
def voltages(run: Run) -> Voltages:
    """All of it."""
    known = run.voltages[run.voltages["v_pu"].notna()]
    return Voltages(
        band_pu=band_pu(run),
        lowest=_extreme(run, known, int(known["v_pu"].argmin()) if len(known) else None),
        highest=_extreme(run, known, int(known["v_pu"].argmax()) if len(known) else None),
        outside_bus_min=_outside_bus_min(run),
    )


def band_pu(run: Run) -> tuple[float, float]:
    """Lowest and highest voltage that the run's scenario allows its buses [per unit]."""
    limits = run.manifest["scenario"].get("feeder", {}).get("limits", {})
    return limits.get("v_min_pu", EN_50160_PU[0]), limits.get("v_max_pu", EN_50160_PU[1])


def outside_bus_min(run: Run) -> float:
    """Minutes that buses spent outside the band, added up; NaN where no voltage is known."""
    return voltages(run).outside_bus_min if voltages(run).lowest.bus else float("nan")


def lowest_pu(run: Run) -> float:
    """Lowest voltage of any bus and phase."""
    return voltages(run).lowest.v_pu


def highest_pu(run: Run) -> float:
    """Highest voltage of any bus and phase."""
    return voltages(run).highest.v_pu


def deviation_pu(run: Run) -> float:
    """Mean of |V − 1| over buses, phases and intervals; NaN where no voltage is known."""
    return float((run.voltages["v_pu"] - 1).abs().mean())


def unbalance_max(run: Run) -> float:
    """Largest ratio of negative to positive sequence voltage at any bus; NaN for a feeder of one phase.

    Source: IEC 61000-4-30, voltage unbalance u2.
    """
    rows = run.voltages
    a, b, c = (rows[rows["phase"] == phase] for phase in "ABC")
    if not len(a) == len(b) == len(c) > 0:
        return float("nan")
    phasors = [one["v_pu"].to_numpy() * np.exp(1j * np.radians(one["v_degree"].to_numpy())) for one in (a, b, c)]
    turn = np.exp(2j * np.pi / 3)
    positive = np.abs(phasors[0] + turn * phasors[1] + turn**2 * phasors[2])
    negative = np.abs(phasors[0] + turn**2 * phasors[1] + turn * phasors[2])
    return largest(pd.Series(negative / positive))


def _outside_bus_min(run: Run) -> float:
    """A bus is outside once, however many of its phases are, and only beyond what a market holds its limits to."""
    rows, (low, high) = run.voltages, band_pu(run)
    is_outside = (rows["v_pu"] < low - VOLTAGE_PU) | (rows["v_pu"] > high + VOLTAGE_PU)
    outside = rows[is_outside].drop_duplicates(["interval", "bus"])
    return len(outside) * run.hours * 60


def _extreme(run: Run, rows: pd.DataFrame, place: int | None) -> Extreme:
    if place is None:
        return Extreme(float("nan"), "", "")
    row = rows.iloc[place]
    start_s = run.calendar.interval(int(row["interval"])).start_s
    return Extreme(float(row["v_pu"]), str(row["bus"]), f"{run.calendar.local(start_s):%a %H:%M}")
