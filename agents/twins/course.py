"""A device that follows a course of its own, whatever anybody would rather have."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sim.clock import Interval


class CourseTwin:
    """Power by interval, + into the grid, as it was laid down beforehand: a roof, a load, or both behind one meter.

    kw: by interval of the run.
    """

    soc = math.nan

    def __init__(self, kw: Sequence[float]) -> None:
        self._kw = list(kw)
        self.min_kw = min(0.0, *self._kw)
        self.max_kw = max(0.0, *self._kw)
        self.available_kw = math.nan
        self._curtailed_kwh: dict[int, float] = {}

    def curtail(self, index: int, kwh: float) -> None:
        """Inject so much less in an interval; what it draws, nobody takes away."""
        self._curtailed_kwh[index] = self._curtailed_kwh.get(index, 0.0) + kwh

    def advance(self, setpoint_kw: float, interval: Interval) -> float:
        """The power of the interval, less what is curtailed of it; a set-point means nothing to it."""
        del setpoint_kw
        wanted_kw = self._kw[interval.index]
        self.available_kw = max(wanted_kw, 0.0)
        curtailed_kw = self._curtailed_kwh.get(interval.index, 0.0) / interval.hours
        return wanted_kw - min(curtailed_kw, self.available_kw)

    def interrupt(self, interval: Interval) -> float:
        """Without supply nothing flows; a demand is missed."""
        self.available_kw = 0.0
        return min(self._kw[interval.index], 0.0)

    def reactive_kvar(self, v_pu: float) -> float:
        """None: its power factor is one."""
        del v_pu
        return 0.0
