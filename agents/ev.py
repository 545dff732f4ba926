"""An electric car that needs its energy by a deadline and takes it where it is cheapest, or gives some back meanwhile."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import ClassVar, Literal

from agents.award import Award
from agents.optimisers import Bid, Cheapest, Optimise, StoreProblem
from agents.resource import Seat
from agents.store import Store
from agents.twins.ev import EVTwin
from agents.worth import Slot
from sim.clock import Interval
from sim.feeder import Floats
from sim.market.problem import Offer
from sim.tolerances import POWER_KW

_NEVER = 1e-9
"""Chances smaller than this are none."""


class EV(Store):
    """A car that forecasts prices from its tariff, or from what is published, and a belief of its own.

    belief_per_kwh: what this driver expects the local price to lie above the tariff, by interval, shape [count + one day].
    Drivers who all expect the same would all wait for the same quarter of an hour.  departure_sd_s: by how much the driver may
    leave before the time that was planned, as the standard deviation of the normal distribution whose earlier half it is.
    wear_per_kwh: cost of each kWh given back, at the grid.
    """

    kind = "ev"
    resource_type: ClassVar[Literal["EV"]] = "EV"

    def __init__(
        self,
        seat: Seat,
        *,
        belief_per_kwh: Floats,
        optimise: Optimise | None = None,
        departure_sd_s: float = 0.0,
        wear_per_kwh: float = 0.0,
        unserved_per_kwh: float | None = None,
    ) -> None:
        super().__init__(seat, optimise=optimise or Cheapest(), unserved_per_kwh=unserved_per_kwh)
        self._belief_per_kwh: list[float] = belief_per_kwh.tolist()
        self._departure_sd_s = departure_sd_s
        self._wear_per_kwh = wear_per_kwh

    @property
    def _twin(self) -> EVTwin:
        assert self.device is not None
        assert isinstance(self.device.twin, EVTwin)
        return self.device.twin

    def problem(self, interval: Interval, now_s: int) -> StoreProblem | None:
        """Its need until it leaves; None while away, or when the need is met and there is nothing to give back."""
        twin = self._twin
        number = twin.plugged(now_s)
        if number is None or twin.sessions[number].deadline_s <= interval.start_s:
            return None
        need_kwh = twin.missing_kwh(number) / twin.charge_efficiency - self._underway_kwh(number, interval.hours)
        if need_kwh <= 0 and twin.max_kw == 0:
            return None
        need_kwh = max(need_kwh, 0.0)
        level_kwh = twin.target_kwh - need_kwh * twin.charge_efficiency
        slots = self._slots(interval, twin.sessions[number].deadline_s, level_kwh)
        spare_kwh = max(level_kwh - twin.reserve_kwh, 0.0) * twin.discharge_efficiency
        return StoreProblem(
            who=self.era,
            hours=interval.hours,
            level_kwh=level_kwh,
            full_kwh=twin.target_kwh,
            slots=slots,
            prices=self.expected_prices(interval.index, len(slots), now_s),
            charges=self.charges,
            least_kw=0.0 - min(need_kwh, slots[0].charge_kwh) / interval.hours,
            most_kw=min(spare_kwh, slots[0].discharge_kwh) / interval.hours,
            need_kwh=need_kwh,
            target_kwh=twin.target_kwh,
            leaving=self._leaving(interval, len(slots), twin.sessions[number].deadline_s),
        )

    def _underway_kwh(self, number: int, hours: float) -> float:
        """What the interval now running will bring, as it goes on as commanded, and is no longer needed; at the grid."""
        assert self.device is not None
        setpoint_kw, twin = self.device.setpoint_kw, self._twin
        if setpoint_kw <= 0:
            return -setpoint_kw * hours
        given_kwh = min(setpoint_kw * hours / twin.discharge_efficiency, twin.spare_kwh(number))
        return -given_kwh / twin.charge_efficiency

    def _slots(self, interval: Interval, deadline_s: int, level_kwh: float) -> tuple[Slot, ...]:
        """What each interval can do; the last one, only until the deadline."""
        length_s, last = self.calendar.interval_s, self.calendar.index_at(deadline_s - 1)
        count = last - interval.index + 1
        whole = self._slot(length_s, level_kwh)
        return (*[whole] * (count - 1), self._slot(deadline_s - last * length_s, level_kwh))

    def _slot(self, seconds: int, level_kwh: float) -> Slot:
        twin = self._twin
        return Slot(
            charge_kwh=-twin.min_kw * seconds / 3600,
            discharge_kwh=twin.max_kw * seconds / 3600,
            low_kwh=min(twin.reserve_kwh, level_kwh),  # a reserve holds giving back, and asks for no charging
            high_kwh=twin.target_kwh,
            missing_per_kwh=self.missing_per_kwh(twin.charge_efficiency),
            charge_efficiency=twin.charge_efficiency,
            discharge_efficiency=twin.discharge_efficiency,
            wear_per_kwh=self._wear_per_kwh,
        )

    def _leaving(self, interval: Interval, count: int, deadline_s: int) -> tuple[float, ...]:
        """Chance of each interval that the driver leaves in it, if not before: the hazard of half a normal distribution."""
        if self._departure_sd_s == 0:
            return ()
        spread_s = self._departure_sd_s * math.sqrt(2)
        length_s = self.calendar.interval_s
        gone = [math.erfc((deadline_s - interval.start_s - k * length_s) / spread_s) for k in range(count)]
        chances = [(after - before) / (1 - before) for before, after in pairwise(gone)]
        return (*(chance if chance > _NEVER else 0.0 for chance in chances), 0.0)

    def margin_per_kwh(self, index: int) -> float:
        """The driver's belief."""
        return self._belief_per_kwh[index % len(self._belief_per_kwh)]

    def offer_of(self, problem: StoreProblem, bid: Bid) -> Offer:
        """The offer: without a price it would charge at once; where charging has a least power, the market is told.

        What is left may be less than that power brings in an interval: it is then drawn in a part of it.
        """
        least_kw = min(self._twin.min_charge_kw, max(-bid.curve.min_kw, 0.0))
        return Offer(self.era, self.place.node, bid.curve, problem.least_kw, min_run_kw=least_kw)

    def setpoint_kw(self, offer: Offer, award: Award) -> float:
        """As awarded; below the charger's least power, that power for what is left of the need, or nothing."""
        least_kw = self._twin.min_charge_kw
        if not -least_kw < award.cleared_kw < 0:
            return award.cleared_kw
        return -least_kw if award.cleared_kw <= offer.curve.min_kw + POWER_KW else 0.0
