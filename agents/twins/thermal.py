"""A building whose temperature an electric heat pump or air conditioner moves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from sim.clock import Interval
from sim.errors import TwinError
from sim.feeder import Floats

Mode = Literal["heat", "cool"]

LEAST_HOURS = 0.1
"""A building whose temperature follows the weather faster than within this time constant R C is a mistake: an hour would leave
``exp(-10)`` of what is stored."""


@dataclass(frozen=True, slots=True)
class Building:
    """One room of one resistance and one capacity (1R1C), and the machine that heats or cools it.

    resistance: K per kW of heat.  capacity: kWh of heat per K.  power_kw: electric rating of the machine.  cop: heat moved per
    electric energy at an outdoor temperature of ``COP_AT_C``; cop_per_k: by how much it changes with each kelvin more outside.
    """

    mode: Mode
    resistance_k_per_kw: float
    capacity_kwh_per_k: float
    power_kw: float
    cop: float
    cop_per_k: float = 0.0

    def __post_init__(self) -> None:
        values = (self.resistance_k_per_kw, self.capacity_kwh_per_k, self.power_kw, self.cop)
        if not all(value > 0 for value in values):
            raise TwinError("building", f"resistance, capacity, power and COP {values}: all must be above 0")
        if self.resistance_k_per_kw * self.capacity_kwh_per_k < LEAST_HOURS:
            hours = self.resistance_k_per_kw * self.capacity_kwh_per_k
            raise TwinError(
                "building", f"resistance times capacity is {hours:g} h, below {LEAST_HOURS:g} h: it stores nothing"
            )

    @property
    def sign(self) -> int:
        """Which way the machine moves the temperature."""
        return 1 if self.mode == "heat" else -1

    def retention(self, hours: float) -> float:
        """Share of a difference to outside that is left after so many hours, ``a = exp(-t / RC)``."""
        return math.exp(-hours / (self.resistance_k_per_kw * self.capacity_kwh_per_k))

    def cop_at(self, outdoor_c: float) -> float:
        """Heat moved per electric energy at this outdoor temperature, at least 1."""
        return max(self.cop + self.cop_per_k * (outdoor_c - COP_AT_C[self.mode]), 1.0)

    def kelvin_per_kw(self, outdoor_c: float, hours: float) -> float:
        """How far 1 kW of electric power moves the temperature within so many hours, whichever way."""
        return (1 - self.retention(hours)) * self.resistance_k_per_kw * self.cop_at(outdoor_c)

    def after(self, indoor_c: float, outdoor_c: float, power_kw: float, hours: float) -> float:
        """Temperature after so many hours: ``T' = aT + (1-a)(T_out ± R·COP·P)``, exact where power and T_out are constant."""
        kept = self.retention(hours)
        moved = self.sign * self.kelvin_per_kw(outdoor_c, hours) * power_kw
        return kept * indoor_c + (1 - kept) * outdoor_c + moved


COP_AT_C = {"heat": 7.0, "cool": 35.0}
"""Outdoor temperature at which a COP is stated (EN 14511: A7/W35 for heating, A35 for cooling)."""


class ThermalTwin:
    """A building in its weather.

    outdoor_c: temperature outside by interval, shape [1 + count]; element 0 belongs to the interval before the run.
    low_c, high_c: a thermostat stops heating at high_c and cooling at low_c, whatever is commanded; it never starts by itself.
    discomfort_kh: kelvin-hours so far at which an interval ended outside of them.
    """

    max_kw = 0.0
    available_kw = math.nan

    def __init__(self, building: Building, outdoor_c: Floats, *, indoor_c: float, low_c: float, high_c: float) -> None:
        if not low_c < high_c:
            raise TwinError("building", f"comfort from {low_c} °C to {high_c} °C")
        self.building = building
        self.min_kw = -building.power_kw
        self.indoor_c = indoor_c
        self.low_c = low_c
        self.high_c = high_c
        self.discomfort_kh = 0.0
        self._outdoor_c = outdoor_c.tolist()

    @property
    def soc(self) -> float:
        """Heat (or cold) that is stored, as a share of what the band between low_c and high_c holds, 0..1."""
        share = (self.indoor_c - self.low_c) / (self.high_c - self.low_c)
        return min(max(share if self.building.mode == "heat" else 1 - share, 0.0), 1.0)

    def outdoor_c(self, index: int) -> float:
        """Temperature outside in interval ``index``, counted from −1."""
        return float(self._outdoor_c[index + 1])

    def most_kw(self, indoor_c: float, outdoor_c: float, hours: float) -> float:
        """Electric power ≥ 0 that the rating and the thermostat allow from a temperature on."""
        building = self.building
        rest = building.after(indoor_c, outdoor_c, 0.0, hours)
        room = self.high_c - rest if building.mode == "heat" else rest - self.low_c
        return min(building.power_kw, max(room, 0.0) / building.kelvin_per_kw(outdoor_c, hours))

    def after(self, setpoint_kw: float, interval: Interval) -> tuple[float, float]:
        """What a set-point would bring about in an interval: electric power ≥ 0, and the temperature that it leads to."""
        outdoor = self.outdoor_c(interval.index)
        power = min(max(-setpoint_kw, 0.0), self.most_kw(self.indoor_c, outdoor, interval.hours))
        return power, self.building.after(self.indoor_c, outdoor, power, interval.hours)

    def interrupt(self, interval: Interval) -> float:
        """Without supply nothing flows, and nothing had to: the building drifts."""
        self.advance(0.0, interval)
        return 0.0

    def reactive_kvar(self, v_pu: float) -> float:
        """None: its converter keeps to active power."""
        del v_pu
        return 0.0

    def advance(self, setpoint_kw: float, interval: Interval) -> float:
        """Run as asked, as far as rating and thermostat allow."""
        power, self.indoor_c = self.after(setpoint_kw, interval)
        outside = max(self.low_c - self.indoor_c, self.indoor_c - self.high_c, 0.0)
        self.discomfort_kh += outside * interval.hours
        return -power
