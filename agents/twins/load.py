"""Demand that nobody schedules."""

from __future__ import annotations

import math

from sim.clock import Interval
from sim.feeder import Floats


class LoadTwin:
    """An inelastic load that follows a profile.

    demand_kw, demand_kvar: consumption ≥ 0 by interval, shape [1 + count]; element 0 belongs to the interval before the
    run, so that there is something to forecast the first interval from.  rating_kw: what the connection carries.
    """

    max_kw = 0.0
    soc = math.nan
    available_kw = math.nan

    def __init__(self, demand_kw: Floats, demand_kvar: Floats, rating_kw: float) -> None:
        self._demand_kw = demand_kw.tolist()
        self._demand_kvar = demand_kvar.tolist()
        self.min_kw = -rating_kw
        self.q_kvar = 0.0

    def demand_kw(self, index: int) -> float:
        """Consumption in interval ``index``, counted from −1."""
        return float(self._demand_kw[index + 1])

    def interrupt(self, interval: Interval) -> float:
        """Without supply nothing flows; the demand that would have."""
        self.q_kvar = 0.0
        return -min(self.demand_kw(interval.index), -self.min_kw)

    def reactive_kvar(self, v_pu: float) -> float:
        """What the profile draws with what was served, at any voltage."""
        del v_pu
        return self.q_kvar

    def advance(self, setpoint_kw: float, interval: Interval) -> float:
        """Withdraw the demand, as far as the connection and a load limiter at ``setpoint_kw`` (≤ 0) let it through."""
        demand = self.demand_kw(interval.index)
        served = min(demand, -setpoint_kw, -self.min_kw)
        share = served / demand if demand else 0.0
        self.q_kvar = -float(self._demand_kvar[interval.index + 1]) * share
        return -served
