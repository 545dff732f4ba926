"""A household's everyday load: it pays what it costs and cannot wait."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from agents.award import Award
from agents.resource import Resource
from agents.twins.load import LoadTwin
from sim.clock import Interval
from sim.curves import OfferCurve
from sim.market.problem import Offer


class Household(Resource):
    """An inelastic load that forecasts itself by persistence: the next interval is like the one now running."""

    kind = "household"
    resource_type: ClassVar[Literal["LOAD"]] = "LOAD"
    safe_kw: ClassVar[float] = -math.inf

    def offer(self, interval: Interval, now_s: int) -> Offer:
        """Withdraw the forecast demand at any price."""
        del interval
        assert self.device is not None
        twin = self.device.twin
        assert isinstance(twin, LoadTwin)
        forecast_kw = -twin.demand_kw(self.calendar.index_at(now_s))
        return Offer(self.era, self.place.node, OfferCurve.of([(0.0, forecast_kw)], who=self.era), forecast_kw)

    def setpoint_kw(self, offer: Offer, award: Award) -> float:
        """A load limiter acts only when the market had to curtail; a wrong forecast does not switch the lights off."""
        del offer
        return award.cleared_kw if award.curtailed_kw else -math.inf
