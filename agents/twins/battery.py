"""A store of energy with losses both ways."""

from __future__ import annotations

import math

from sim.clock import Interval
from sim.errors import TwinError


class BatteryTwin:
    """A battery behind a bidirectional inverter.

    capacity_kwh: usable energy.  charge_kw, discharge_kw: ratings at the grid side, ≥ 0.  Efficiencies 0..1 hold between
    grid and store, one each way.  Raises ``TwinError`` for a battery that cannot exist.
    """

    q_kvar = 0.0
    available_kw = math.nan

    def __init__(
        self,
        *,
        capacity_kwh: float,
        charge_kw: float,
        discharge_kw: float,
        charge_efficiency: float,
        discharge_efficiency: float,
        soc: float,
    ) -> None:
        if capacity_kwh <= 0 or not 0 <= soc <= 1:
            raise TwinError("battery", f"capacity {capacity_kwh} kWh at soc {soc}: expected > 0 kWh and 0..1")
        self.capacity_kwh = capacity_kwh
        self.min_kw = -charge_kw
        self.max_kw = discharge_kw
        self.charge_efficiency = charge_efficiency
        self.discharge_efficiency = discharge_efficiency
        self.soc = soc

    def range_kw(self, hours: float) -> tuple[float, float]:
        """Least and greatest power that the store can keep up for this many hours."""
        room_kwh = (1 - self.soc) * self.capacity_kwh / self.charge_efficiency
        stock_kwh = self.soc * self.capacity_kwh * self.discharge_efficiency
        return max(self.min_kw, -room_kwh / hours), min(self.max_kw, stock_kwh / hours)

    def advance(self, setpoint_kw: float, interval: Interval) -> float:
        """Charge or discharge as asked, within rating and what the store holds."""
        low, high = self.range_kw(interval.hours)
        p_kw = min(max(setpoint_kw, low), high)
        stored_kw = -p_kw * self.charge_efficiency if p_kw < 0 else -p_kw / self.discharge_efficiency
        self.soc = min(max(self.soc + stored_kw * interval.hours / self.capacity_kwh, 0.0), 1.0)
        return p_kw
