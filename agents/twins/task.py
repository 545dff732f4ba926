"""Appliances that have a job to do by a deadline, beside the demand that nobody schedules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agents.twins.load import LoadTwin
from sim.clock import Interval
from sim.feeder import Floats

_DONE_KWH = 1e-9


@dataclass(frozen=True, slots=True)
class Task:
    """One job of one appliance: ``energy_kwh`` at ``power_kw``, begun at ``earliest_s`` or later, done by ``deadline_s``.

    interruptible: whether it may pause; if not, it runs through once it has begun.
    """

    energy_kwh: float
    power_kw: float
    earliest_s: int
    deadline_s: int
    interruptible: bool = False

    @property
    def hours(self) -> float:
        """How long it takes without a pause."""
        return self.energy_kwh / self.power_kw


class HouseholdTwin(LoadTwin):
    """Everyday demand and appliances behind one connection.

    Appliances are switched for the coming interval (``allot``); one that may not pause and has begun goes on by itself.  What
    has not begun when its deadline comes is not done any more.  A load limiter cuts appliances first.
    """

    def __init__(self, demand_kw: Floats, demand_kvar: Floats, rating_kw: float, tasks: Sequence[Task]) -> None:
        super().__init__(demand_kw, demand_kvar, rating_kw)
        self.tasks = tuple(tasks)
        self._served_kwh = [0.0] * len(self.tasks)
        self._allotted_kw = [0.0] * len(self.tasks)

    def missing_kwh(self, number: int) -> float:
        """Energy that task ``number`` still needs."""
        missing = self.tasks[number].energy_kwh - self._served_kwh[number]
        return missing if missing > _DONE_KWH else 0.0

    def runs_through(self, number: int) -> bool:
        """Whether task ``number`` has begun, is not done and may not pause."""
        begun = 0 < self.missing_kwh(number) < self.tasks[number].energy_kwh
        return begun and not self.tasks[number].interruptible

    def allot(self, powers_kw: Sequence[float]) -> None:
        """Switch each appliance for the coming interval: average power ≥ 0, by task."""
        self._allotted_kw = list(powers_kw)

    def kwh_underway(self, number: int, interval: Interval) -> float:
        """Energy that task ``number`` will take in an interval as it is switched now."""
        task = self.tasks[number]
        on = self.runs_through(number) or (task.earliest_s < interval.end_s and interval.start_s < task.deadline_s)
        power_kw = task.power_kw if self.runs_through(number) else min(self._allotted_kw[number], task.power_kw)
        return min(power_kw * interval.hours, self.missing_kwh(number)) if on else 0.0

    def _underway(self, interval: Interval) -> Iterator[float]:
        return (self.kwh_underway(number, interval) for number in range(len(self.tasks)))

    def interrupt(self, interval: Interval) -> float:
        """Without supply nothing flows; the demand and the appliances that would have run."""
        wanted = sum(self._underway(interval)) / interval.hours
        self._allotted_kw = [0.0] * len(self.tasks)
        return max(super().interrupt(interval) - wanted, self.min_kw)

    def advance(self, setpoint_kw: float, interval: Interval) -> float:
        """Withdraw the demand, then what the appliances need, as far as connection and load limiter let them."""
        everyday_kw = super().advance(setpoint_kw, interval)
        room_kwh = max(everyday_kw - max(setpoint_kw, self.min_kw), 0.0) * interval.hours
        taken_kwh = 0.0
        for number, wanted in enumerate(self._underway(interval)):
            served = min(wanted, room_kwh - taken_kwh)
            self._served_kwh[number] += served
            taken_kwh += served
        self._allotted_kw = [0.0] * len(self.tasks)
        return everyday_kw - taken_kwh / interval.hours
