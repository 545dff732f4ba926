"""A load that draws less than its baseline where power is dear: demand response, in absolute powers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import ClassVar, Literal

from agents.award import Award
from agents.baseline import Day, Method, baseline_kw
from agents.resource import Resource, Seat
from agents.twins.load import LoadTwin
from sim.clock import DAY_S, Interval
from sim.curves import OfferCurve, Point
from sim.forms import readings_in, undelivered_in
from sim.market.problem import Offer
from sim.tolerances import POWER_KW
from sim.wire.messages import Alarm, Event, Message


def reduction_points(from_kw: float, steps: Iterable[Point], *, linear: bool = False) -> list[Point]:
    """The curve of a load that draws ``from_kw`` ≥ 0 unless power is dear: (price, kW, + = injection) points.

    steps: (price per kWh from which on, share of it that is given up in all), both ascending.  linear: whether the share
    grows in a straight line from each of them to the next, in the place of a step at each.
    """
    if linear:
        return [(price, -from_kw * (1 - share)) for price, share in steps]
    points = [(0.0, -from_kw)]
    for price, share in steps:
        points += [(price, points[-1][1]), (price, -from_kw * (1 - share))]
    return points[1:] if len(points) > 1 else points


class FlexibleLoad(Resource):
    """A load that states its baseline with every curve, and how much of it it gives up from which price on.

    steps: (what the energy given up is worth per kWh, all charges included; share of the baseline given up in all).
    linear: whether that share grows evenly from each to the next; the market's price cap should then lie above them all.
    The baseline is that of ``agents.baseline`` over its own meter's readings: of earlier days without a reduction at these
    times, adjusted by the ``window`` intervals that had been read when the curve was made.  Until there is such a day it
    expects the forecast, or what it draws now.
    """

    kind = "flexible_load"
    resource_type: ClassVar[Literal["LOAD"]] = "LOAD"
    safe_kw: ClassVar[float] = -math.inf

    def __init__(
        self,
        seat: Seat,
        *,
        steps: Sequence[Point],
        method: Method,
        window: int = 4,
        forecast_scale: float = 1.0,
        linear: bool = False,
    ) -> None:
        super().__init__(seat)
        self._steps = tuple(steps)
        self._linear = linear
        self._method = method
        self._window = window
        self._forecast_scale = forecast_scale
        self._slots = DAY_S // self.calendar.interval_s
        self._metered_kw: dict[int, float] = {}
        self._events: set[int] = set()

    def offer(self, interval: Interval, now_s: int) -> Offer:
        """The baseline up to the first price, less from each price on."""
        expected_kw = self.baseline_kw(interval.index, now_s)
        steps = [(self.charges.price_when_drawing(worth), share) for worth, share in self._steps]
        curve = OfferCurve.of(reduction_points(expected_kw, steps, linear=self._linear), who=self.era)
        return Offer(self.era, self.place.node, curve, -expected_kw)

    def baseline_kw(self, index: int, now_s: int) -> float:
        """What it would draw in interval ``index`` if nobody asked for less [kW ≥ 0], as known at ``now_s``."""
        assert self.device is not None
        twin = self.device.twin
        assert isinstance(twin, LoadTwin)
        read = self.calendar.index_at(now_s)  # the interval now running has not been read
        before = range(max(read - self._window, 0), read)
        days = [day for back in range(self._method.y, 0, -1) if (day := self._day(index, before, back)) is not None]
        if days:
            known = [self._metered_kw.get(k) for k in before]
            seen = [kw for kw in known if kw is not None]
            complete = len(seen) == len(known) and self._events.isdisjoint(before)
            return min(baseline_kw(days, seen if complete else (), self._method)[0], -twin.min_kw)
        forecast = self.outlook.value("LOAD", index, now_s)
        if forecast is None:
            return min(twin.demand_kw(read), -twin.min_kw)
        return min(max(forecast, 0.0) * self._forecast_scale, -twin.min_kw)

    def _day(self, index: int, before: Iterable[int], back: int) -> Day | None:
        """What was read so many days earlier at these times; None where a reduction was asked for, or nothing was read."""
        shift = back * self._slots
        times = [index - shift, *(k - shift for k in before)]
        if any(k in self._events or k not in self._metered_kw for k in times):
            return None
        event, *earlier = (self._metered_kw[k] for k in times)
        return Day(tuple(earlier), (event,))

    def on_status(self, message: Message) -> Iterable[Event]:
        """Keep the readings of our own meter, but those without supply: baselines are made from them."""
        index, readings = readings_in(message, self.calendar)
        reading = None if readings is None else readings.get(self.place.meter)
        if reading is not None and self.place.meter not in undelivered_in(message):
            self._metered_kw[index] = (
                (reading.consumedEnergy - reading.producedEnergy) * 3600 / self.calendar.interval_s
            )
        return ()

    def on_dispatch(self, alarm: Alarm) -> Iterable[Event]:
        """Remember where less than the baseline was asked for: such an interval says nothing about later ones."""
        offer, award = self._committed.get(alarm.index), self.awarded.get(alarm.index)
        if offer is not None and award is not None and _is_reduced(offer, award):
            self._events.add(alarm.index)
        return super().on_dispatch(alarm)

    def setpoint_kw(self, offer: Offer, award: Award) -> float:
        """A load limiter acts where less than the baseline was asked for; else it draws what it needs."""
        return award.cleared_kw if _is_reduced(offer, award) else -math.inf


def _is_reduced(offer: Offer, award: Award) -> bool:
    return award.cleared_kw > offer.curve.min_kw + POWER_KW
