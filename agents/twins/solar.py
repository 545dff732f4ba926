"""A photovoltaic plant, curtailable or not."""

from __future__ import annotations

import math

from agents.twins.inverter import Inverter, volt_var_kvar
from sim.clock import Interval
from sim.feeder import Floats


class SolarTwin:
    """A plant whose inverter can be held below what the sun offers, if it is ``curtailable``.

    sun_kw: power available by interval, shape [1 + count]; element 0 belongs to the interval before the run.  inverter: what
    it does about reactive power, default nothing.  peak_kw: of the modules, which forecasts are a share of; default the rating.
    """

    min_kw = 0.0
    soc = math.nan

    def __init__(
        self,
        sun_kw: Floats,
        rated_kw: float,
        inverter: Inverter | None = None,
        *,
        peak_kw: float | None = None,
        curtailable: bool = True,
    ) -> None:
        self._sun_kw = sun_kw.tolist()
        self.max_kw = rated_kw
        self.peak_kw = rated_kw if peak_kw is None else peak_kw
        self.curtailable = curtailable
        self.available_kw = 0.0
        self._inverter = inverter
        self._delivered_kw = 0.0

    def sun_kw(self, index: int) -> float:
        """Available power in interval ``index``, counted from −1."""
        return float(self._sun_kw[index + 1])

    def interrupt(self, interval: Interval) -> float:
        """Without supply nothing flows, and nothing had to."""
        self.advance(0.0, interval)
        return 0.0

    def reactive_kvar(self, v_pu: float) -> float:
        """What its inverter gives beside the active power of the last interval."""
        return 0.0 if self._inverter is None else volt_var_kvar(v_pu, self._delivered_kw, self._inverter)

    def advance(self, setpoint_kw: float, interval: Interval) -> float:
        """Inject what the sun offers; a curtailable plant, not more than ``setpoint_kw``."""
        self.available_kw = self.sun_kw(interval.index)
        self._delivered_kw = min(self.available_kw, max(setpoint_kw, 0.0)) if self.curtailable else self.available_kw
        return self._delivered_kw
