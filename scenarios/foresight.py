"""What a scenario would cost if everything were known beforehand, and a plan that knows it.

The truth is taken from the twins before they have lived: the sun that will shine, the cars that will come.  It is shown to
nobody but the oracle; bidders learn what they know by message.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from agents.resource import Resource
from agents.twins.battery import BatteryTwin
from agents.twins.ev import EVTwin
from agents.twins.load import LoadTwin
from agents.twins.solar import SolarTwin
from agents.twins.stated import StatedTwin
from agents.twins.task import HouseholdTwin, Task
from agents.twins.thermal import ThermalTwin
from scenarios import money
from scenarios.levels import Levels
from scenarios.names import MARKET, RETAILER, ROOT
from scenarios.populations import (
    BatterySpec,
    EVSpec,
    FlexibleLoadSpec,
    HeatPumpSpec,
    HouseholdSpec,
    PopulationSpec,
    SolarSpec,
    StatedSpec,
)
from scenarios.spec import Scenario
from sim.clock import Calendar
from sim.curves import Floats, Point
from sim.market.horizon import LOST, Flow, Horizon, Store
from sim.market.problem import Limit
from sim.tariff import prices_by_minute

BOUGHT, SOLD, SUN, GIVEN_UP = "bought", "sold", "sun", "given up"
"""Accounts beside those of stores: of the retailer, what roofs lose by running, and what loads agreed to do without."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What a twin's truth is told in.

    lost_per_kwh: what a kWh is worth to whoever lacks it (the
    price cap); worth_per_kwh: what is stored in the end is worth.  lead_s: seconds before delivery by which somebody has to
    be there to trade; 0 for who knows everything beforehand.
    """

    era: str
    node: str
    trader: str
    calendar: Calendar
    lost_per_kwh: float
    worth_per_kwh: float
    lead_s: int = 0

    def series(self, value: float | Floats) -> Floats:
        """A value for every interval."""
        return np.broadcast_to(np.asarray(value, dtype=float), (self.calendar.count,))


def horizon_of(
    scenario: Scenario,
    calendar: Calendar,
    resources: Sequence[Resource],
    populations: Mapping[str, PopulationSpec],
    limits: tuple[Limit, ...],
    *,
    lead_s: int = 0,
) -> Horizon:
    """Everything that will be, of a world that has not lived yet.

    limits: of the tree as the market gets them.  Who lacks a kWh loses the price cap.  What batteries and cars hold at the
    end is worth the lowest import price: neither emptying a store at the end nor filling it from the grid is a gain.
    """
    buy, sell = retail_prices(scenario, calendar)
    worth = float(buy.min())
    flows, stores = list(_retailer(buy, sell, calendar)), list[Store]()
    levels = Levels(scenario.aggregators)
    for resource in resources:
        if resource.device is None:
            continue
        lost = scenario.market.price_cap
        host = levels.trader(resource.place.host)
        trader = "" if host == MARKET else host
        truth = Truth(resource.era, resource.device.node, trader, calendar, lost, worth, lead_s)
        spec = populations[resource.era]
        for one in TRUTHS[type(spec)](resource.device.twin, spec, truth):
            if isinstance(one, Flow):
                flows.append(one)
            else:
                stores.append(one)
    return Horizon(calendar.interval_s / 3600, calendar.count, tuple(flows), tuple(stores), limits)


def retail_prices(scenario: Scenario, calendar: Calendar) -> tuple[Floats, Floats]:
    """(import, export) price of the retailer by interval."""
    minutes = [calendar.minute_of_day(index * calendar.interval_s) for index in range(calendar.count)]
    by_minute = (prices_by_minute(money.tariff_of(scenario, direction)) for direction in money.DIRECTIONS)
    buy, sell = (np.array([prices[minute] for minute in minutes], dtype=float) for prices in by_minute)
    return buy, sell


def _retailer(buy: Floats, sell: Floats, calendar: Calendar) -> Iterator[Flow]:
    nothing, everything = np.zeros(calendar.count), np.full(calendar.count, math.inf)
    yield Flow(RETAILER, ROOT, nothing, everything, buy, BOUGHT)
    yield Flow(RETAILER, ROOT, -everything, nothing, sell, SOLD)


def _household(twin: LoadTwin, _: HouseholdSpec, truth: Truth) -> Iterator[Flow | Store]:
    demand = _demand(twin, truth)
    yield Flow(
        truth.era, truth.node, -demand, truth.series(0.0), truth.series(truth.lost_per_kwh), LOST, -demand, truth.trader
    )
    if isinstance(twin, HouseholdTwin):
        for task in twin.tasks:
            yield from _task(task, truth)


def _demand(twin: LoadTwin, truth: Truth) -> Floats:
    return np.array([min(twin.demand_kw(k), -twin.min_kw) for k in range(truth.calendar.count)])


def _task(task: Task, truth: Truth) -> Iterator[Store]:
    """A task as energy to be had in time; that some may not pause is left out, and they may end late as those do."""
    until_s = task.deadline_s + math.ceil(task.hours * 3600)
    present = _presence(task.earliest_s, until_s, truth)
    if present.any():
        yield replace(
            _store(truth),
            charge_kw=present * task.power_kw,
            high_kwh=truth.series(task.energy_kwh),
            wanted_kwh=_wanted(task.energy_kwh, present, until_s, truth),
            worth_per_kwh=_worth_left(until_s, truth),
        )


def _flexible_load(twin: LoadTwin, spec: FlexibleLoadSpec, truth: Truth) -> Iterator[Flow]:
    """What is given up first is worth least; what no step gives up is unserved."""
    demand, before = _demand(twin, truth), 0.0
    steps = [(worth, share, GIVEN_UP) for worth, share in _given_up(spec)]
    for worth, share, account in (*steps, (truth.lost_per_kwh, 1.0, LOST)):
        part, before = demand * (share - before), share
        yield Flow(truth.era, truth.node, -part, truth.series(0.0), truth.series(worth), account, -part, truth.trader)


SLICES = 32
"""Steps in the place of a straight line between two reductions."""


def _given_up(spec: FlexibleLoadSpec) -> Iterator[tuple[float, float]]:
    """(worth per kWh, share given up in all) of each step; a straight line counts as steps at their own middles."""
    stated = [(step.worth_per_kwh, step.share) for step in spec.reductions]
    if spec.interpolation == "STEP":
        yield from stated
        return
    yield stated[0]
    for (low, before), (high, after) in pairwise(stated):
        for number in range(SLICES):
            yield (
                low + (high - low) * (number + 0.5) / SLICES,
                before + (after - before) * (number + 1) / SLICES,
            )


def _stated(_: StatedTwin, spec: StatedSpec, truth: Truth) -> Iterator[Flow]:
    """What the curve would give up, or run for, from which price on; what it runs at any price it has to."""
    present, nothing, curve = _hours(spec.minutes, truth.calendar), truth.series(0.0), spec.curve()
    must, last = present * max(curve.min_kw, 0.0), present * min(curve.max_kw, 0.0)
    if must.any():
        yield Flow(truth.era, truth.node, must, must, nothing, SUN, 0.0, truth.trader)
    if last.any():
        lost = truth.series(truth.lost_per_kwh)
        yield Flow(truth.era, truth.node, last, nothing, lost, LOST, last, truth.trader)
    for price, before, after in _slices(curve.points()):
        drawn, given = present * (min(after, 0.0) - min(before, 0.0)), present * (max(after, 0.0) - max(before, 0.0))
        worth = truth.series(price)
        if drawn.any():
            yield Flow(truth.era, truth.node, -drawn, nothing, worth, GIVEN_UP, -drawn, truth.trader)
        if given.any():
            yield Flow(truth.era, truth.node, nothing, given, worth, SUN, 0.0, truth.trader)


def _slices(points: Sequence[Point]) -> Iterator[tuple[float, float, float]]:
    """A curve as steps: price, and power before and after it; a straight line is as many as ``SLICES``."""
    for (low, before), (high, after) in pairwise(points):
        count = 1 if low == high else SLICES
        for number in range(count):
            part = (after - before) / count
            yield low + (high - low) * (number + 0.5) / count, before + part * number, before + part * (number + 1)


def _hours(minutes: tuple[int, int], calendar: Calendar) -> Floats:
    """By interval, 1 where it begins within these minutes of the day, and else 0."""
    start, end = minutes
    begins = np.array([calendar.minute_of_day(k * calendar.interval_s) for k in range(calendar.count)])
    within = (begins >= start) & (begins < end) if start < end else (begins >= start) | (begins < end)
    return within.astype(float)


def _solar(twin: SolarTwin, spec: SolarSpec, truth: Truth) -> Iterator[Flow]:
    """A subsidy moves money and makes nothing cheaper."""
    sun = np.array([twin.sun_kw(k) for k in range(truth.calendar.count)])
    least = truth.series(0.0) if twin.curtailable else sun
    cost = truth.series(spec.reserve_per_kwh)
    yield Flow(truth.era, truth.node, least, sun, cost, SUN, 0.0, truth.trader)


def _battery(twin: BatteryTwin, spec: BatterySpec, truth: Truth) -> Iterator[Store]:
    yield replace(
        _store(truth),
        charge_kw=truth.series(-twin.min_kw),
        discharge_kw=truth.series(twin.max_kw),
        high_kwh=truth.series(twin.capacity_kwh),
        level_kwh=twin.soc * twin.capacity_kwh,
        charge_efficiency=twin.charge_efficiency,
        discharge_efficiency=twin.discharge_efficiency,
        wear_per_kwh=spec.wear_per_kwh,
        worth_per_kwh=truth.worth_per_kwh,
    )


def _ev(twin: EVTwin, spec: EVSpec, truth: Truth) -> Iterator[Store]:
    """Each stay is a store of what it has put into the battery; that chargers have a least power is left out."""
    for session in twin.sessions:
        present = _presence(session.arrival_s, session.departure_s, truth)
        if not present.any():
            continue
        spare_kwh = max(twin.target_kwh - session.need_kwh - twin.reserve_kwh, 0.0) if twin.max_kw else 0.0
        yield replace(
            _store(truth),
            charge_kw=present * -twin.min_kw,
            discharge_kw=present * twin.max_kw,
            low_kwh=truth.series(-spare_kwh),
            high_kwh=truth.series(session.need_kwh),
            wanted_kwh=_wanted(session.need_kwh, present, session.departure_s, truth),
            charge_efficiency=twin.charge_efficiency,
            discharge_efficiency=twin.discharge_efficiency,
            wear_per_kwh=spec.wear_per_kwh,
            worth_per_kwh=_worth_left(session.departure_s, truth),
        )


def _heat_pump(twin: ThermalTwin, spec: HeatPumpSpec, truth: Truth) -> Iterator[Store]:
    """A building as a store of heat above (cold below) 0 °C that leaks towards outside, comfort being what is wanted of it.

    It is never warmer (colder) than the thermostat lets it become, unless the weather makes it so.
    """
    building, hours = twin.building, truth.calendar.interval_s / 3600
    kept, heat = building.retention(hours), building.sign * building.capacity_kwh_per_k
    outdoor = np.array([twin.outdoor_c(k) for k in range(truth.calendar.count)])
    drift = np.array(list(accumulate(outdoor, lambda t, out: kept * t + (1 - kept) * out, initial=twin.indoor_c))[1:])
    comfort, thermostat = (twin.low_c, twin.high_c) if building.mode == "heat" else (twin.high_c, twin.low_c)
    yield replace(
        _store(truth),
        charge_kw=truth.series(building.power_kw),
        low_kwh=truth.series(-math.inf),
        high_kwh=heat * np.where(heat * drift > heat * thermostat, drift, thermostat),
        wanted_kwh=truth.series(heat * comfort),
        drain_kwh=-heat * (1 - kept) * outdoor,
        level_kwh=heat * twin.indoor_c,
        charge_efficiency=np.array([building.kelvin_per_kw(out, hours) for out in outdoor]) * abs(heat) / hours,
        retention=kept,
        lost_per_kwh=spec.discomfort_per_kwh,
    )


def _store(truth: Truth) -> Store:
    """A store of nothing, to be filled in."""
    nothing = truth.series(0.0)
    return Store(
        truth.era,
        truth.node,
        charge_kw=nothing,
        discharge_kw=nothing,
        low_kwh=nothing,
        high_kwh=nothing,
        wanted_kwh=truth.series(-math.inf),
        drain_kwh=nothing,
        lost_per_kwh=truth.lost_per_kwh,
        trader=truth.trader,
    )


def _presence(from_s: int, until_s: int, truth: Truth) -> Floats:
    """By interval, the share of it that something is there and has been able to trade for."""
    calendar = truth.calendar
    start = np.arange(calendar.count) * float(calendar.interval_s)
    here = np.minimum(start + calendar.interval_s, until_s) - np.maximum(start, from_s)
    in_time = start - truth.lead_s >= from_s if truth.lead_s else True
    return np.where(in_time, np.maximum(here, 0.0), 0.0) / calendar.interval_s


def _wanted(energy_kwh: float, present: Floats, until_s: int, truth: Truth) -> Floats:
    """The level that is wanted when it ends; nothing where that is after all that is planned."""
    wanted = np.full(truth.calendar.count, -math.inf)
    if until_s <= truth.calendar.duration_s:
        wanted[int(np.flatnonzero(present)[-1])] = energy_kwh
    return wanted


def _worth_left(until_s: int, truth: Truth) -> float:
    """What is stored in the end is worth something only where it is still needed."""
    return 0.0 if until_s <= truth.calendar.duration_s else truth.worth_per_kwh


TRUTHS: Mapping[type[PopulationSpec], Callable[[Any, Any, Truth], Iterator[Flow | Store]]] = {
    HouseholdSpec: _household,
    FlexibleLoadSpec: _flexible_load,
    SolarSpec: _solar,
    BatterySpec: _battery,
    EVSpec: _ev,
    HeatPumpSpec: _heat_pump,
    StatedSpec: _stated,
}
"""What will be, by kind of population."""
