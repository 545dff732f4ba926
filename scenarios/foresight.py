"""What a scenario would cost if everything were known beforehand, and a plan that knows it.

The truth is taken from the twins before they have lived: the sun that will shine, the cars that will come.  It is shown to
nobody but the oracle; bidders learn what they know by message.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.resource import Resource
from agents.twins.battery import BatteryTwin
from agents.twins.ev import EVTwin, Session
from agents.twins.load import LoadTwin
from agents.twins.solar import SolarTwin
from scenarios import money
from scenarios.names import MARKET, RETAILER, ROOT
from scenarios.populations import BatterySpec, EVSpec, PopulationSpec, SolarSpec
from scenarios.spec import Scenario
from sim.clock import Calendar
from sim.curves import Floats
from sim.errors import ScenarioError
from sim.market.horizon import LOST, Flow, Horizon, Store
from sim.market.problem import Limit
from sim.tariff import prices_by_minute

BOUGHT, SOLD, SUN = "bought", "sold", "sun"
"""Accounts beside those of stores: of the retailer, and what roofs lose by running."""


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
    Raises ``ScenarioError`` for a kind of device whose truth nobody has written down.
    """
    buy, sell = retail_prices(scenario, calendar)
    worth = float(buy.min())
    flows, stores = list(_retailer(buy, sell, calendar)), list[Store]()
    for resource in resources:
        if resource.device is None:
            continue
        lost = scenario.market.price_cap
        host = resource.place.host
        trader = "" if host == MARKET else host
        truth = Truth(resource.era, resource.device.node, trader, calendar, lost, worth, lead_s)
        tell = TRUTHS.get(type(resource.device.twin))
        if tell is None:
            what = f"the oracle knows nothing of a {type(resource.device.twin).__name__}"
            raise ScenarioError(resource.era, what)
        for one in tell(resource.device.twin, populations[resource.era], truth):
            (flows if isinstance(one, Flow) else stores).append(one)  # type: ignore[arg-type]
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


def _load(twin: LoadTwin, _: PopulationSpec, truth: Truth) -> Iterator[Flow]:
    demand = np.array([min(twin.demand_kw(k), -twin.min_kw) for k in range(truth.calendar.count)])
    yield Flow(
        truth.era, truth.node, -demand, truth.series(0.0), truth.series(truth.lost_per_kwh), LOST, -demand, truth.trader
    )


def _solar(twin: SolarTwin, spec: SolarSpec, truth: Truth) -> Iterator[Flow]:
    sun = np.array([twin.sun_kw(k) for k in range(truth.calendar.count)])
    yield Flow(
        truth.era, truth.node, truth.series(0.0), sun, truth.series(spec.reserve_per_kwh), SUN, 0.0, truth.trader
    )


def _battery(twin: BatteryTwin, spec: BatterySpec, truth: Truth) -> Iterator[Store]:
    yield Store(
        truth.era,
        truth.node,
        charge_kw=truth.series(-twin.min_kw),
        discharge_kw=truth.series(twin.max_kw),
        low_kwh=truth.series(0.0),
        high_kwh=truth.series(twin.capacity_kwh),
        wanted_kwh=truth.series(-math.inf),
        drain_kwh=truth.series(0.0),
        level_kwh=twin.soc * twin.capacity_kwh,
        charge_efficiency=twin.charge_efficiency,
        discharge_efficiency=twin.discharge_efficiency,
        wear_per_kwh=spec.wear_per_kwh,
        worth_per_kwh=truth.worth_per_kwh,
        trader=truth.trader,
    )


def _ev(twin: EVTwin, _: EVSpec, truth: Truth) -> Iterator[Store]:
    for session in twin.sessions:
        present = _presence(session, truth)
        if not present.any():
            continue
        leaves = session.departure_s <= truth.calendar.duration_s
        wanted = np.full(truth.calendar.count, -math.inf)
        if leaves:
            wanted[int(np.flatnonzero(present)[-1])] = session.need_kwh
        yield Store(
            truth.era,
            truth.node,
            charge_kw=present * -twin.min_kw,
            discharge_kw=truth.series(0.0),
            low_kwh=truth.series(0.0),
            high_kwh=truth.series(session.need_kwh),
            wanted_kwh=wanted,
            drain_kwh=truth.series(0.0),
            charge_efficiency=twin.charge_efficiency,
            lost_per_kwh=truth.lost_per_kwh,
            worth_per_kwh=0.0 if leaves else truth.worth_per_kwh,
            trader=truth.trader,
        )


def _presence(session: Session, truth: Truth) -> Floats:
    """By interval, the share of it that a car is there and has been able to trade for."""
    calendar = truth.calendar
    start = np.arange(calendar.count) * float(calendar.interval_s)
    came = start if truth.lead_s else np.maximum(start, session.arrival_s)
    stays = np.minimum(start + calendar.interval_s, session.departure_s) - came
    known = start - truth.lead_s >= session.arrival_s if truth.lead_s else np.ones(len(start), dtype=bool)
    return np.where(known, np.maximum(stays, 0.0), 0.0) / calendar.interval_s


TRUTHS: Mapping[type, Callable[[Any, Any, Truth], Iterator[Flow | Store]]] = {
    LoadTwin: _load,
    SolarTwin: _solar,
    BatteryTwin: _battery,
    EVTwin: _ev,
}
"""What will be, by kind of twin."""
