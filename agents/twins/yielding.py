"""A load that follows a course of its own, and draws less where it is told to."""

from __future__ import annotations

from collections.abc import Sequence

from agents.twins.course import CourseTwin
from sim.clock import Interval


class YieldingTwin(CourseTwin):
    """A load with a course that gives way.

    kw: by interval of the run, + into the grid.  least_kw: what it draws at least whatever it is told, unless its course
    draws less anyway [kW ≥ 0].  Its set-point is no power but an offset: how much less it is to draw than it would [kW ≥ 0].
    What was given up is not made up for later.
    """

    def __init__(self, kw: Sequence[float], least_kw: float = 0.0) -> None:
        super().__init__(kw)
        self._least_kw = least_kw

    def advance(self, setpoint_kw: float, interval: Interval) -> float:
        """The power of the interval: its course, less what it was told to give up."""
        wanted_kw = super().advance(0.0, interval)
        return max(wanted_kw, min(wanted_kw + max(setpoint_kw, 0.0), -self._least_kw))
