"""Charging sessions: what cars asked for, got and missed."""

from __future__ import annotations

from dataclasses import dataclass

from results.once import once
from results.run import Run

MISSED_KWH = 0.01
"""A vehicle leaves short of energy only beyond this: a minute of charging at the lowest current."""


@dataclass(frozen=True, slots=True)
class Vehicles:
    """Charging sessions, and the energy that those whose departure lies in the run asked for, got and missed.

    underway_kwh: what those that leave later have got so far.
    """

    sessions: int
    finished: int
    need_kwh: float
    served_kwh: float
    unserved_kwh: float
    missed: int
    underway_kwh: float


@once
def vehicles(run: Run) -> Vehicles:
    """All of it."""
    sessions = run.sessions
    done = sessions[sessions["finished"]]
    return Vehicles(
        sessions=len(sessions),
        finished=len(done),
        need_kwh=done["need_kwh"].sum(),
        served_kwh=done["served_kwh"].sum(),
        unserved_kwh=done["unserved_kwh"].sum(),
        missed=int((done["unserved_kwh"] > MISSED_KWH).sum()),
        underway_kwh=sessions.loc[~sessions["finished"], "served_kwh"].sum(),
    )


def unserved_kwh(run: Run) -> float:
    """What cars were short of when they left; NaN where none did."""
    return float(vehicles(run).unserved_kwh) if vehicles(run).finished else float("nan")


def missed_deadlines(run: Run) -> float:
    """Cars that left short of more than ``MISSED_KWH``; NaN where none left."""
    return float(vehicles(run).missed) if vehicles(run).finished else float("nan")
