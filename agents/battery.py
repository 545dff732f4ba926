"""A home battery that buys below what stored energy is worth and sells above."""

from __future__ import annotations

from typing import ClassVar, Literal

from agents.optimisers import Optimise, StoreProblem, Threshold
from agents.resource import Seat
from agents.store import Store
from agents.twins.battery import BatteryTwin
from agents.worth import Slot
from sim.clock import Interval


class Battery(Store):
    """A battery around a water value: what one more stored kWh is worth.

    It charges below ``η_c W`` and discharges above ``W / η_d + wear``, all charges included; the gap between pays for losses,
    wear, wheeling, fee and tax (Bellman condition of a store).  How W is found is the optimiser's.  horizon_h: how far ahead.
    """

    kind = "battery"
    resource_type: ClassVar[Literal["BATTERY"]] = "BATTERY"

    def __init__(
        self, seat: Seat, *, wear_per_kwh: float, optimise: Optimise | None = None, horizon_h: float = 24.0
    ) -> None:
        super().__init__(seat, optimise=optimise or Threshold())
        self._wear_per_kwh = wear_per_kwh
        self._horizon_h = horizon_h
        self._tariff_range = (0.0, 0.0)

    def on_tariffs(self) -> None:
        """Take the range of prices from the tariffs."""
        super().on_tariffs()
        self._tariff_range = (min(map(min, self.tariffs.values())), max(map(max, self.tariffs.values())))

    def problem(self, interval: Interval, now_s: int) -> StoreProblem:
        """Charge, rest or discharge, for as far as it looks ahead."""
        assert self.device is not None
        twin = self.device.twin
        assert isinstance(twin, BatteryTwin)
        # The interval now running still goes on as commanded: what counts is the charge it will leave.
        _, soc = twin.after(self.device.setpoint_kw, interval.hours)
        low_kw, high_kw = twin.range_kw(soc, interval.hours)
        slot = Slot(
            charge_kwh=-twin.min_kw * interval.hours,
            discharge_kwh=twin.max_kw * interval.hours,
            low_kwh=0.0,
            high_kwh=twin.capacity_kwh,
            missing_per_kwh=self.missing_per_kwh(twin.charge_efficiency),
            charge_efficiency=twin.charge_efficiency,
            discharge_efficiency=twin.discharge_efficiency,
            wear_per_kwh=self._wear_per_kwh,
        )
        count = max(round(self._horizon_h / interval.hours), 1)
        return StoreProblem(
            who=self.era,
            hours=interval.hours,
            level_kwh=soc * twin.capacity_kwh,
            full_kwh=twin.capacity_kwh,
            slots=(slot,) * count,
            prices=self.expected_prices(interval.index, count, now_s),
            charges=self.charges,
            least_kw=low_kw,
            most_kw=high_kw,
            need_kwh=(1 - soc) * twin.capacity_kwh / twin.charge_efficiency,
            tariff_range=self._tariff_range,
        )
