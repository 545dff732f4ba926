"""A store of energy with losses both ways."""

from __future__ import annotations

import math

from agents.twins.inverter import Inverter, volt_var_kvar
from sim.clock import Interval
from sim.errors import TwinError


class BatteryTwin:
    """A battery behind a bidirectional inverter.

    capacity_kwh: usable energy.  charge_kw, discharge_kw: ratings at the grid side, ≥ 0.  Efficiencies 0..1 hold between
    grid and store, one each way.  inverter: what it does about reactive power, default nothing.  Raises ``TwinError`` for a
    battery that cannot exist.
    """

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
        inverter: Inverter | None = None,
    ) -> None:
        if capacity_kwh <= 0 or not 0 <= soc <= 1:
            raise TwinError("battery", f"capacity {capacity_kwh} kWh at soc {soc}: expected > 0 kWh and 0..1")
        self.capacity_kwh = capacity_kwh
        self.min_kw = -charge_kw
        self.max_kw = discharge_kw
        self.charge_efficiency = charge_efficiency
        self.discharge_efficiency = discharge_efficiency
        self.soc = soc
        self._inverter = inverter
        self._delivered_kw = 0.0

    def range_kw(self, soc: float, hours: float) -> tuple[float, float]:
        """Least and greatest power that can be kept up for this many hours from a state of charge on."""
        room_kwh = (1 - soc) * self.capacity_kwh / self.charge_efficiency
        stock_kwh = soc * self.capacity_kwh * self.discharge_efficiency
        return max(self.min_kw, -room_kwh / hours), min(self.max_kw, stock_kwh / hours)

    def after(self, setpoint_kw: float, hours: float) -> tuple[float, float]:
        """What a set-point would bring about: the power that physics allows, and the state of charge it leads to."""
        low, high = self.range_kw(self.soc, hours)
        p_kw = min(max(setpoint_kw, low), high)
        stored_kw = -p_kw * self.charge_efficiency if p_kw < 0 else -p_kw / self.discharge_efficiency
        return p_kw, min(max(self.soc + stored_kw * hours / self.capacity_kwh, 0.0), 1.0)

    def interrupt(self, interval: Interval) -> float:
        """Without supply nothing flows, and nothing had to."""
        self.advance(0.0, interval)
        return 0.0

    def reactive_kvar(self, v_pu: float) -> float:
        """What its inverter gives beside the active power of the last interval, charging or discharging."""
        return 0.0 if self._inverter is None else volt_var_kvar(v_pu, self._delivered_kw, self._inverter)

    def advance(self, setpoint_kw: float, interval: Interval) -> float:
        """Charge or discharge as asked, within rating and what the store holds."""
        self._delivered_kw, self.soc = self.after(setpoint_kw, interval.hours)
        return self._delivered_kw
