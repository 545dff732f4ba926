"""A household: everyday demand that pays what it costs and cannot wait, and appliances that can."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import ClassVar, Literal, NamedTuple

from agents.award import Award
from agents.optimisers import charging_curve
from agents.resource import Resource, Seat
from agents.twins.load import LoadTwin
from agents.twins.task import HouseholdTwin, Task
from sim.clock import Interval
from sim.curves import NOTHING, OfferCurve, aggregate, disaggregate
from sim.market.problem import Offer
from sim.tolerances import POWER_KW
from sim.wire.messages import Alarm, Event


def starting_curve(
    energies_kwh: Sequence[float], prices: Sequence[float], starts: Sequence[int], hours: float, who: str
) -> OfferCurve:
    """The curve of a run that may start now or later, and then runs through.

    energies_kwh: what it takes in each slot from its start on.  prices: forecast per kWh by slot, the first that of now, which
    is asked for and not looked at.  starts: slots later than now at which it could start.  It starts now up to the price at
    which that costs as much as the cheapest later start::

        p* = (min_j Σ_k π_{j+k} e_k - Σ_{k≥1} π_k e_k) / e_0

    and at any price where no later start is left.
    """
    power_kw = energies_kwh[0] / hours
    if not starts:
        return OfferCurve.of([(0.0, -power_kw)], who=who)
    rest = sum(price * energy for price, energy in zip(prices[1:], energies_kwh[1:], strict=False))
    later = min(sum(prices[j + k] * energy for k, energy in enumerate(energies_kwh)) for j in starts)
    limit = (later - rest) / energies_kwh[0]
    return OfferCurve.of([(limit, -power_kw), (limit, 0.0)], who=who)


class Wish(NamedTuple):
    """What an appliance would do in an interval: by price, and if nobody coordinated [kW, + = injection]."""

    curve: OfferCurve
    uncoordinated_kw: float


class Household(Resource):
    """An inelastic load, and tasks that are done where they are cheapest.

    Without a forecast the everyday demand of the next interval is taken to be like the one now running.  forecast_scale: by
    which a forecast of demand is multiplied.  least_share: what cannot pause begins where so large a share of its power, 0..1,
    was awarded; where neighbours differ in it, as many begin as the award to all of them is worth.
    """

    kind = "household"
    resource_type: ClassVar[Literal["LOAD"]] = "LOAD"
    safe_kw: ClassVar[float] = -math.inf

    def __init__(self, seat: Seat, *, forecast_scale: float = 1.0, least_share: float = 0.5) -> None:
        super().__init__(seat)
        self._least_share = least_share
        self._forecast_scale = forecast_scale
        self._wishes: dict[int, list[Wish]] = {}

    def offer(self, interval: Interval, now_s: int) -> Offer:
        """Withdraw the forecast demand at any price, and run appliances by theirs."""
        assert self.device is not None
        twin = self.device.twin
        assert isinstance(twin, LoadTwin)
        everyday = OfferCurve.of([(0.0, -self._demand_kw(twin, interval, now_s))], who=self.era)
        if not isinstance(twin, HouseholdTwin):
            return Offer(self.era, self.place.node, everyday, everyday.min_kw)
        wishes = [Wish(everyday, everyday.min_kw), *self._task_wishes(twin, interval, now_s)]
        self._wishes[interval.index] = wishes
        curve = aggregate([wish.curve for wish in wishes])
        return Offer(self.era, self.place.node, curve, sum(wish.uncoordinated_kw for wish in wishes))

    def _demand_kw(self, twin: LoadTwin, interval: Interval, now_s: int) -> float:
        forecast = self.outlook.value("LOAD", interval.index, now_s)
        if forecast is None:
            return twin.demand_kw(self.calendar.index_at(now_s))
        return max(forecast, 0.0) * self._forecast_scale

    # appliances

    def _task_wishes(self, twin: HouseholdTwin, interval: Interval, now_s: int) -> list[Wish]:
        running = self.calendar.interval(self.calendar.index_at(now_s))
        wishes = []
        for number, task in enumerate(twin.tasks):
            # The interval now running still goes on as it is switched: what it will bring is no longer needed.
            underway = twin.kwh_underway(number, running) if running.index < interval.index else 0.0
            need_kwh = twin.missing_kwh(number) - underway
            begun = not task.interruptible and need_kwh < task.energy_kwh
            wishes.append(self._wish(task, need_kwh, interval, now_s, begun=begun))
        return wishes

    def _wish(self, task: Task, need_kwh: float, interval: Interval, now_s: int, *, begun: bool) -> Wish:
        power_kw = min(task.power_kw, need_kwh / interval.hours)
        if need_kwh <= 0:
            return Wish(NOTHING, 0.0)
        if begun:
            return Wish(OfferCurve.of([(0.0, -power_kw)], who=self.era), -power_kw)
        if interval.start_s < task.earliest_s:
            return Wish(NOTHING, 0.0)
        if task.interruptible:
            return self._pausing(task, need_kwh, interval, now_s)
        if interval.start_s + task.hours * 3600 > task.deadline_s:
            return Wish(NOTHING, 0.0)  # too late, and nobody wants it done afterwards
        slots = math.ceil(task.hours / interval.hours - 1e-9)
        energies = [
            min(task.power_kw * interval.hours, need_kwh - k * task.power_kw * interval.hours) for k in range(slots)
        ]
        last = math.floor((task.deadline_s - task.hours * 3600 - interval.start_s) / self.calendar.interval_s)
        prices = [self.price_ahead(interval.index + k, now_s) for k in range(last + slots)]
        curve = starting_curve(energies, prices, range(1, last + 1), interval.hours, self.era)
        return Wish(curve, -power_kw)

    def _pausing(self, task: Task, need_kwh: float, interval: Interval, now_s: int) -> Wish:
        """The bid of a car: as much now as the cheaper slots until the deadline leave over."""

        def room_kwh(index: int) -> float:
            slot = self.calendar.interval(index)
            return task.power_kw * max(min(slot.end_s, task.deadline_s) - slot.start_s, 0) / 3600

        indices = range(interval.index + 1, self.calendar.index_at(task.deadline_s - 1) + 1)
        later = [(self.price_ahead(index, now_s), room_kwh(index)) for index in indices]
        now_kwh = room_kwh(interval.index)
        curve = charging_curve(need_kwh=need_kwh, now_kwh=now_kwh, later=later, hours=interval.hours, who=self.era)
        return Wish(curve, -min(need_kwh, now_kwh) / interval.hours)

    def on_dispatch(self, alarm: Alarm) -> Iterable[Event]:
        """Switch the appliances as awarded; the everyday demand follows its own course."""
        wishes, award = self._wishes.pop(alarm.index, None), self.awarded.get(alarm.index)
        if wishes is not None and self.device is not None and isinstance(self.device.twin, HouseholdTwin):
            twin = self.device.twin
            twin.allot(switched(wishes, award, twin.tasks, self._least_share))
        return super().on_dispatch(alarm)

    def setpoint_kw(self, offer: Offer, award: Award) -> float:
        """A load limiter acts only when the market had to curtail; a wrong forecast does not switch the lights off."""
        del offer
        return award.cleared_kw if award.curtailed_kw else -math.inf


def switched(wishes: Sequence[Wish], award: Award | None, tasks: Sequence[Task], least_share: float) -> list[float]:
    """Power ≥ 0 of each appliance that an award comes to; the first wish is the everyday demand, the others are the tasks'.

    Without an award each does what its curve asks for nearest to zero; without a price what it would have done uncoordinated.
    What cannot pause is switched on as a whole where a share of at least ``least_share`` of it was awarded, and else not.
    """
    if award is None:
        powers = [wish.curve.max_kw for wish in wishes]
    elif award.price_per_kwh is None:
        powers = [wish.uncoordinated_kw for wish in wishes]
    else:
        curves = [wish.curve for wish in wishes]
        low, high = sum(curve.min_kw for curve in curves), sum(curve.max_kw for curve in curves)
        powers = disaggregate(curves, min(max(award.cleared_kw, low), high), award.price_per_kwh).tolist()
    return [
        -power if task.interruptible else _whole_or_none(-power, -wish.curve.min_kw, least_share)
        for power, wish, task in zip(powers[1:], wishes[1:], tasks, strict=True)
    ]


def _whole_or_none(awarded_kw: float, whole_kw: float, least_share: float) -> float:
    return whole_kw if awarded_kw > POWER_KW and awarded_kw >= least_share * whole_kw - POWER_KW else 0.0
