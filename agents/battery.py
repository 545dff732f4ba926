"""A home battery that buys below and sells above what its stored energy is worth."""

from __future__ import annotations

from typing import ClassVar, Literal

from agents.resource import Resource, Seat
from agents.twins.battery import BatteryTwin
from sim.clock import Interval
from sim.curves import OfferCurve
from sim.market.problem import Offer


def threshold_curve(
    *, low_kw: float, high_kw: float, charge_below_per_kwh: float, discharge_above_per_kwh: float, who: str
) -> OfferCurve:
    """Charge at ``low_kw`` ≤ 0 up to one price, discharge at ``high_kw`` ≥ 0 from another on, rest between them."""
    points = [
        (charge_below_per_kwh, low_kw),
        (charge_below_per_kwh, 0.0),
        (discharge_above_per_kwh, 0.0),
        (discharge_above_per_kwh, high_kw),
    ]
    return OfferCurve.of(points, who=who)


class Battery(Resource):
    """A battery with two thresholds around a water value.

    The water value W is what one more stored kWh is worth: between the highest tariff price of the day (empty: it saves an
    import at the peak) and the lowest (full: it can always be had again), linear in the state of charge.  It charges below
    ``η_c W`` and discharges above ``W / η_d + wear``, all charges included; the gap between pays for losses, wear, wheeling,
    fee and tax (Bellman condition of a store with a linear value function).
    """

    kind = "battery"
    resource_type: ClassVar[Literal["BATTERY"]] = "BATTERY"

    def __init__(self, seat: Seat, *, wear_per_kwh: float) -> None:
        super().__init__(seat)
        self._wear_per_kwh = wear_per_kwh
        self._worth_full_per_kwh = self._worth_empty_per_kwh = 0.0

    def on_tariffs(self) -> None:
        """Take the range of the water value from the tariffs."""
        self._worth_full_per_kwh = min(map(min, self.tariffs.values()))
        self._worth_empty_per_kwh = max(map(max, self.tariffs.values()))

    def offer(self, interval: Interval, now_s: int) -> Offer:
        """Charge, rest or discharge by price; nobody's wish without a price, so the baseline is to rest."""
        del now_s
        assert self.device is not None
        twin = self.device.twin
        assert isinstance(twin, BatteryTwin)
        # The interval now running still goes on as commanded: what counts is the charge it will leave.
        _, soc = twin.after(self.device.setpoint_kw, interval.hours)
        low_kw, high_kw = twin.range_kw(soc, interval.hours)
        worth = self.water_value_per_kwh(soc)
        curve = threshold_curve(
            low_kw=low_kw,
            high_kw=high_kw,
            charge_below_per_kwh=self.charges.price_when_drawing(worth * twin.charge_efficiency),
            discharge_above_per_kwh=self.charges.price_when_giving(
                worth / twin.discharge_efficiency + self._wear_per_kwh
            ),
            who=self.era,
        )
        return Offer(self.era, self.place.node, curve, 0.0)

    def water_value_per_kwh(self, soc: float) -> float:
        """Worth of one more stored kWh at this state of charge; 0 while no tariff is known."""
        return self._worth_empty_per_kwh + (self._worth_full_per_kwh - self._worth_empty_per_kwh) * soc
