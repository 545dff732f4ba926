"""An electric car that needs its energy by a deadline and takes it where it is cheapest."""

from __future__ import annotations

from itertools import groupby
from typing import ClassVar, Literal

from agents.resource import Resource, Seat
from agents.twins.ev import EVTwin
from sim.clock import Interval
from sim.curves import OfferCurve
from sim.feeder import Floats
from sim.market.problem import Offer


def charging_curve(
    *, need_kwh: float, now_kwh: float, later: list[tuple[float, float]], hours: float, who: str
) -> OfferCurve:
    """The curve of a car that minimises the cost of ``need_kwh`` (grid side) over this interval and later ones.

    now_kwh: most that this interval can take.  later: (forecast price, most that it can take) of each later interval.
    At price p the car leaves to later whatever fits into intervals forecast to be cheaper than p, and takes the rest now:
    ``P(p) = -clip(need - Σ_{π < p} capacity, 0, now) / hours``.  What fits nowhere later is taken at any price; a need
    that cannot be met at all is therefore bid whole, at any price.
    Source: parametric solution of the charging LP with one energy constraint (a fractional knapsack).
    """

    def p_kw(left_kwh: float) -> float:
        return -min(max(left_kwh, 0.0), now_kwh) / hours

    points = [(min((price for price, _ in later), default=0.0), p_kw(need_kwh))]
    left_kwh = need_kwh
    for price, slots in groupby(sorted(later), key=lambda slot: slot[0]):
        left_kwh -= sum(capacity for _, capacity in slots)
        if p_kw(left_kwh) > points[-1][1]:
            points += [(price, points[-1][1]), (price, p_kw(left_kwh))]
        if left_kwh <= 0:
            break
    return OfferCurve.of(points, who=who)


class EV(Resource):
    """A car that charges only (no V2G) and forecasts prices from its tariff and a belief of its own.

    belief_per_kwh: what this driver expects the local price to lie above the tariff, by interval, shape [count + one day].
    Drivers who all expect the same would all wait for the same quarter of an hour.
    """

    kind = "ev"
    resource_type: ClassVar[Literal["EV"]] = "EV"

    def __init__(self, seat: Seat, *, belief_per_kwh: Floats) -> None:
        super().__init__(seat)
        self._belief_per_kwh: list[float] = belief_per_kwh.tolist()
        self._forecasts: dict[int, float] = {}

    def offer(self, interval: Interval, now_s: int) -> Offer | None:
        """Charge by price while plugged in; stay out while away or when the need is met."""
        assert self.device is not None
        twin = self.device.twin
        assert isinstance(twin, EVTwin)
        number = twin.plugged(now_s)
        if number is None or twin.sessions[number].departure_s <= interval.start_s:
            return None
        # The interval now running still goes on as commanded: what it will bring is no longer needed.
        underway_kwh = max(-self.device.setpoint_kw, 0.0) * interval.hours
        need_kwh = twin.missing_kwh(number) / twin.charge_efficiency - underway_kwh
        if need_kwh <= 0:
            return None
        rating_kw, departure_s = -twin.min_kw, twin.sessions[number].departure_s
        now_kwh = rating_kw * (min(interval.end_s, departure_s) - interval.start_s) / 3600
        curve = charging_curve(
            need_kwh=need_kwh,
            now_kwh=now_kwh,
            later=self._later(interval, departure_s, rating_kw),
            hours=interval.hours,
            who=self.era,
        )
        return Offer(self.era, self.place.node, curve, -min(need_kwh, now_kwh) / interval.hours)

    def _later(self, interval: Interval, departure_s: int, rating_kw: float) -> list[tuple[float, float]]:
        length_s = self.calendar.interval_s
        last = self.calendar.index_at(departure_s - 1)
        slots = [
            (self.forecast_per_kwh(index), rating_kw * length_s / 3600) for index in range(interval.index + 1, last)
        ]
        if last > interval.index:
            slots.append((self.forecast_per_kwh(last), rating_kw * (departure_s - last * length_s) / 3600))
        return slots

    def forecast_per_kwh(self, index: int) -> float:
        """Local price that this driver expects in interval ``index``."""
        price = self._forecasts.get(index)
        if price is None:
            minute = self.calendar.minute_of_day(index * self.calendar.interval_s)
            tariff = self.tariffs["IMPORT"][minute] if "IMPORT" in self.tariffs else 0.0
            price = self._forecasts[index] = tariff + self._belief_per_kwh[index % len(self._belief_per_kwh)]
        return price
