"""A device that does what it is told, within a range."""

from __future__ import annotations

import math

from sim.clock import Interval
from sim.errors import TwinError


class StatedTwin:
    """Follows its set-point from ``min_kw`` to ``max_kw`` without delay, loss or memory; 0 is always possible.

    Raises ``TwinError`` for a range that is none.
    """

    soc = math.nan
    available_kw = math.nan

    def __init__(self, min_kw: float, max_kw: float) -> None:
        if not -math.inf < min_kw <= max_kw < math.inf:
            raise TwinError("stated", f"from {min_kw} kW to {max_kw} kW")
        self.min_kw = min(min_kw, 0.0)
        self.max_kw = max(max_kw, 0.0)

    def interrupt(self, interval: Interval) -> float:
        """Without supply nothing flows, and nothing had to."""
        del interval
        return 0.0

    def reactive_kvar(self, v_pu: float) -> float:
        """None: it keeps to active power."""
        del v_pu
        return 0.0

    def advance(self, setpoint_kw: float, interval: Interval) -> float:
        """The set-point, as far as the range goes."""
        del interval
        return min(max(setpoint_kw, self.min_kw), self.max_kw)
