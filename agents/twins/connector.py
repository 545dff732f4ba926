"""A connector of a charge point: it feeds whatever car is plugged in, from the second it is switched on."""

from __future__ import annotations

import math

from sim.clock import Interval

_FULL_KWH = 1e-9


class ConnectorTwin:
    """A connector that feeds one car at a time, with as much as both can carry.

    kw: rating ≥ 0 at the grid side.  Its operator plugs in, switches on and off, and unplugs at simulated seconds in rising
    order; energy is exact within an interval, so that a session may begin and end at any second.
    """

    max_kw = 0.0
    soc = math.nan
    available_kw = math.nan

    def __init__(self, kw: float) -> None:
        self.min_kw = -kw
        self.full_s: int | None = None
        """Second at which the car that is plugged in had all it needed; None before."""
        self._kw = 0.0
        self._need_kwh = 0.0
        self._since_s: int | None = None
        self._taken_kwh = 0.0
        self._interval_kwh = 0.0
        self._plugged = False

    @property
    def plugged(self) -> bool:
        """Whether a car is plugged in."""
        return self._plugged

    @property
    def kw(self) -> float:
        """What flows into the car now, ≥ 0."""
        return 0.0 if self._since_s is None else self._kw

    def plug(self, need_kwh: float, kw: float) -> None:
        """A car comes that needs so much at the grid side and takes up to ``kw``."""
        self._plugged, self._need_kwh, self._kw = True, need_kwh, min(kw, -self.min_kw)
        self._taken_kwh, self.full_s, self._since_s = 0.0, None, None

    def switch_on(self, at_s: int) -> None:
        """Energy flows from now on, if a car is plugged in that still needs some."""
        if self._plugged and self.full_s is None:
            self._since_s = at_s

    def switch_off(self, at_s: int) -> None:
        """Energy stops flowing."""
        self._flow_to(at_s)
        self._since_s = None

    def unplug(self, at_s: int) -> None:
        """The car leaves."""
        self.switch_off(at_s)
        self._plugged = False

    def taken_kwh(self, at_s: int) -> float:
        """What the car has taken since it was plugged in, at the grid side."""
        self._flow_to(at_s)
        return self._taken_kwh

    def _flow_to(self, at_s: int) -> None:
        if self._since_s is None or at_s <= self._since_s:
            return
        missing_kwh = self._need_kwh - self._taken_kwh
        flow_kwh = min(self._kw * (at_s - self._since_s) / 3600, missing_kwh)
        self._taken_kwh += flow_kwh
        self._interval_kwh += flow_kwh
        if missing_kwh - flow_kwh <= _FULL_KWH:
            self.full_s = self._since_s + math.ceil(missing_kwh / self._kw * 3600)
            self._since_s = None
        else:
            self._since_s = at_s

    def advance(self, setpoint_kw: float, interval: Interval) -> float:
        """What flowed in the interval, as its average; the set-point of a device means nothing to a switch."""
        del setpoint_kw
        self._flow_to(interval.end_s)
        flowed_kwh, self._interval_kwh = self._interval_kwh, 0.0
        return 0.0 - flowed_kwh / interval.hours  # not -0.0 where nothing flowed

    def interrupt(self, interval: Interval) -> float:
        """Without supply nothing flows; the car goes on needing it, and what it would have drawn is returned."""
        wanted_kw = self.advance(0.0, interval)
        self._taken_kwh += wanted_kw * interval.hours
        if self.full_s is not None and wanted_kw:
            self.full_s, self._since_s = None, interval.end_s
        return wanted_kw

    def reactive_kvar(self, v_pu: float) -> float:
        """None: the charger keeps to active power."""
        del v_pu
        return 0.0
