"""When to charge a car that has time: at once, or when a kWh is cheapest."""

from __future__ import annotations

from typing import Literal

from agents.twins.ev import EVTwin
from sim.clock import Calendar, Interval

When = Literal["at_once", "cheapest"]


class Plan:
    """Set-points for a car at its own charger.  What it does not know yet, it takes for equally dear at any time."""

    def __init__(self, twin: EVTwin, calendar: Calendar, when: When) -> None:
        self._twin = twin
        self._calendar = calendar
        self._when = when
        self._prices: tuple[float, ...] = (0.0,) * 1440

    def learn(self, prices: tuple[float, ...]) -> None:
        """What a kWh costs at each local minute of the day, [1440]."""
        self._prices = prices

    def setpoint_kw(self, interval: Interval) -> float:
        """Power for an interval, ≤ 0: as much as is still missing, in the cheapest intervals before the car leaves.

        Of equally cheap intervals the earlier ones are taken.
        """
        number = self._twin.plugged(interval.start_s)
        if number is None:
            return 0.0
        missing_kwh = self._twin.missing_kwh(number) / self._twin.charge_efficiency
        if self._when == "at_once":
            return max(self._twin.min_kw, -missing_kwh / interval.hours)
        deadline_s = self._twin.sessions[number].deadline_s
        ahead = [interval, *self._until(interval, deadline_s)]
        for candidate in sorted(ahead, key=lambda one: (self._price(one), one.index)):
            hours = (min(candidate.end_s, deadline_s) - candidate.start_s) / 3600
            taken_kwh = min(-self._twin.min_kw * hours, missing_kwh)
            if candidate.index == interval.index:
                return -taken_kwh / interval.hours
            missing_kwh -= taken_kwh
        return 0.0

    def _until(self, interval: Interval, deadline_s: int) -> list[Interval]:
        last = self._calendar.index_at(deadline_s - 1)
        return [self._calendar.interval(index) for index in range(interval.index + 1, last + 1)]

    def _price(self, interval: Interval) -> float:
        return self._prices[self._calendar.minute_of_day(interval.start_s)]
