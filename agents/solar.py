"""A rooftop photovoltaic plant that sells down to its lowest price, or whatever the price."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import ClassVar, Literal

from agents.award import Award
from agents.resource import Resource, Seat
from agents.twins.solar import SolarTwin
from sim.clock import Interval
from sim.curves import OfferCurve
from sim.market.problem import Offer
from sim.tolerances import POWER_KW

EXPECTED = 0.5
"""Quantile of a bidder that wants to be short as often as long."""


class Solar(Resource):
    """A plant that bids what it expects the sun to give: as forecast, else by persistence.

    reserve_per_kwh: price below which it stops: what a kWh costs to make, less what it is subsidised with.  quantile: of the
    sun expected that it bids; below 0.5 it is seldom short of what it sold.  Persistence has the spread of the changes
    from one interval to the next that the plant has seen in the last day.  One that cannot be curtailed
    (``SolarTwin.curtailable``) sells at any price.
    """

    kind = "solar"
    resource_type: ClassVar[Literal["SOLAR"]] = "SOLAR"

    def __init__(self, seat: Seat, *, reserve_per_kwh: float, quantile: float = EXPECTED) -> None:
        super().__init__(seat)
        self._reserve_per_kwh = reserve_per_kwh
        self._quantile = quantile

    @property
    def _twin(self) -> SolarTwin:
        assert self.device is not None
        assert isinstance(self.device.twin, SolarTwin)
        return self.device.twin

    def offer(self, interval: Interval, now_s: int) -> Offer:
        """Nothing below the reserve price, all that the sun is expected to offer above it."""
        sun_kw = self.expected_kw(interval.index, now_s)
        price = self.charges.price_when_giving(self._reserve_per_kwh)
        if not self._twin.curtailable:
            points = [(0.0, sun_kw)]
        else:
            points = [(price, 0.0), (price, sun_kw)] if sun_kw > 0 else [(price, 0.0)]
        return Offer(self.era, self.place.node, OfferCurve.of(points, who=self.era), sun_kw)

    def expected_kw(self, index: int, now_s: int) -> float:
        """Sun that it bids for in interval ``index``, as seen from ``now_s``."""
        forecast = self.outlook.forecast("PV", now_s)
        share = None if forecast is None else forecast.quantile(index, self._quantile)
        if share is not None:
            return min(max(share * self._twin.peak_kw, 0.0), self._twin.max_kw)
        now = self.calendar.index_at(now_s)
        sun_kw = self._twin.sun_kw(now)
        if self._quantile == EXPECTED:
            return sun_kw
        return min(max(sun_kw + self._usual_change_kw(now), 0.0), self._twin.max_kw)

    def _usual_change_kw(self, now: int) -> float:
        """The bidder's quantile of how the sun has changed from one interval to the next."""
        first = max(now - round(24 / self.calendar.interval(0).hours), 0)
        seen = [self._twin.sun_kw(index) for index in range(first - 1, now + 1)]
        changes = sorted(after - before for before, after in pairwise(seen))
        if not changes:
            return 0.0
        place = self._quantile * (len(changes) - 1)
        low = math.floor(place)
        high = min(low + 1, len(changes) - 1)
        return changes[low] + (changes[high] - changes[low]) * (place - low)

    def setpoint_kw(self, offer: Offer, award: Award) -> float:
        """Hold the inverter back where the market took less than was offered, or a limit is near.

        Else all sun is welcome, up to what was approved.
        """
        all_taken = award.cleared_kw >= offer.curve.max_kw - POWER_KW
        welcome_kw = math.inf if self.terms is None else self.terms.export_cap_kw
        return welcome_kw if all_taken and not award.firm else award.cleared_kw
