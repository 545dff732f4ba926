"""Somebody whose offer curve is given: what it would do at each price is not asked why."""

from __future__ import annotations

from typing import ClassVar, Literal

from agents.resource import Resource, Seat
from sim.clock import Interval
from sim.curves import OfferCurve
from sim.market.problem import Offer

ResourceType = Literal["LOAD", "SOLAR", "BATTERY", "EV"]


class Stated(Resource):
    """Offers one curve for every interval that begins within its hours, as it was given, and does what was cleared.

    Charges are not added: whoever states a curve states what he means.  min_run_kw: what it cannot run below, ≥ 0, unless it
    rests.  minutes: local minutes of the day, from one to before another, past midnight where the first is not below the
    second.  Outside of them it offers nothing and rests.
    """

    kind = "stated"

    def __init__(self, seat: Seat, *, curve: OfferCurve, min_run_kw: float, minutes: tuple[int, int]) -> None:
        super().__init__(seat)
        self._curve = curve
        self._min_run_kw = min_run_kw
        self._minutes = minutes

    def offer(self, interval: Interval, now_s: int) -> Offer | None:
        """The curve, or nothing outside its hours."""
        del now_s
        minute, (start, end) = self.calendar.minute_of_day(interval.start_s), self._minutes
        within = start <= minute < end if start < end else not end <= minute < start
        return Offer(self.era, self.place.node, self._curve, min_run_kw=self._min_run_kw) if within else None


class StatedLoad(Stated):
    """A consumer by its curve."""

    resource_type: ClassVar[Literal["LOAD"]] = "LOAD"


class StatedSolar(Stated):
    """A plant by its curve."""

    resource_type: ClassVar[Literal["SOLAR"]] = "SOLAR"


class StatedBattery(Stated):
    """A battery by its curve."""

    resource_type: ClassVar[Literal["BATTERY"]] = "BATTERY"


class StatedEV(Stated):
    """A car by its curve."""

    resource_type: ClassVar[Literal["EV"]] = "EV"


STATED: dict[ResourceType, type[Stated]] = {
    "LOAD": StatedLoad,
    "SOLAR": StatedSolar,
    "BATTERY": StatedBattery,
    "EV": StatedEV,
}
"""By what each says that it operates."""
