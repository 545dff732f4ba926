"""A rooftop photovoltaic plant that sells down to its lowest price and can be curtailed."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from agents.award import Award
from agents.resource import Resource, Seat
from agents.twins.solar import SolarTwin
from sim.clock import Interval
from sim.curves import OfferCurve
from sim.market.problem import Offer
from sim.tolerances import POWER_KW


class Solar(Resource):
    """A curtailable plant; forecasts by persistence.

    reserve_per_kwh: price below which it stops; zero for a plant without subsidy, whose kWh costs nothing to make.
    """

    kind = "solar"
    resource_type: ClassVar[Literal["SOLAR"]] = "SOLAR"

    def __init__(self, seat: Seat, *, reserve_per_kwh: float) -> None:
        super().__init__(seat)
        self._reserve_per_kwh = reserve_per_kwh

    def offer(self, interval: Interval, now_s: int) -> Offer:
        """Nothing below the reserve price, all that the sun is forecast to offer above it."""
        del interval
        assert self.device is not None
        twin = self.device.twin
        assert isinstance(twin, SolarTwin)
        sun_kw = twin.sun_kw(self.calendar.index_at(now_s))
        price = self.charges.price_when_giving(self._reserve_per_kwh)
        points = [(price, 0.0), (price, sun_kw)] if sun_kw > 0 else [(price, 0.0)]
        return Offer(self.era, self.place.node, OfferCurve.of(points, who=self.era), sun_kw)

    def setpoint_kw(self, offer: Offer, award: Award) -> float:
        """Hold the inverter back where the market took less than was offered, or a limit is near.

        Else all sun is welcome, up to what was approved.
        """
        all_taken = award.cleared_kw >= offer.curve.max_kw - POWER_KW
        welcome_kw = math.inf if self.terms is None else self.terms.export_cap_kw
        return welcome_kw if all_taken and not award.firm else award.cleared_kw
