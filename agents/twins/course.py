"""A device that follows a course of its own, whatever anybody would rather have."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sim.clock import Interval


class CourseTwin:
    """Power by interval, + into the grid, as it was laid down beforehand: a roof, a load, or both behind one meter.

    kw: by interval of the run.  limit_kw: what its operator lets it inject or draw at most while it curtails.
    """

    soc = math.nan

    def __init__(self, kw: Sequence[float]) -> None:
        self._kw = list(kw)
        self.min_kw = min(0.0, *self._kw)
        self.max_kw = max(0.0, *self._kw)
        self.limit_kw = math.inf
        self.available_kw = math.nan

    def advance(self, setpoint_kw: float, interval: Interval) -> float:
        """The power of the interval, within what is allowed now; a set-point means nothing to it."""
        del setpoint_kw
        wanted_kw = self._kw[interval.index]
        self.available_kw = max(wanted_kw, 0.0)
        return max(-self.limit_kw, min(wanted_kw, self.limit_kw))

    def interrupt(self, interval: Interval) -> float:
        """Without supply nothing flows; a demand is missed."""
        self.available_kw = 0.0
        return min(self._kw[interval.index], 0.0)

    def reactive_kvar(self, v_pu: float) -> float:
        """None: its power factor is one."""
        del v_pu
        return 0.0
