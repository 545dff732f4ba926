"""From a population in the scenario to participants with devices: one function a kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.baseline import Method
from agents.battery import Battery
from agents.ev import EV
from agents.flexible_load import FlexibleLoad
from agents.heat_pump import HeatPump
from agents.household import Household
from agents.outlook import News, Topic, Variable
from agents.resource import Place, Resource, Seat
from agents.solar import Solar
from agents.stated import STATED
from agents.twins.battery import BatteryTwin
from agents.twins.ev import EVTwin, Session
from agents.twins.inverter import OVERSIZE, Inverter
from agents.twins.load import LoadTwin
from agents.twins.solar import SolarTwin
from agents.twins.stated import StatedTwin
from agents.twins.task import HouseholdTwin, Task
from agents.twins.thermal import Building, ThermalTwin
from scenarios.populations import (
    BatterySpec,
    EVSpec,
    FlexibleLoadSpec,
    HeatPumpSpec,
    HouseholdSpec,
    InverterPopulation,
    Lognormal,
    Normal,
    PopulationSpec,
    SolarSpec,
    StatedSpec,
    Uniform,
)
from scenarios.weather import AIR, Weather, customer, sky
from sim.clock import DAY_S, Calendar
from sim.device import Device, Twin
from sim.participant import Ids, Registry
from sim.rng import stream
from sim.trust.signatory import Signatory
from sim.trust.signature import Key


@dataclass(frozen=True, slots=True)
class Spot:
    """Where one participant of a population stands.

    number: of the participant in its population.  column: of the customer whose profile belongs to the site.  phase: that it
    is connected to, empty for all three.
    """

    era: str
    number: int
    column: int
    bus: str
    place: Place
    phase: str = ""


def phase_of(spec: PopulationSpec, era: str, feeder_phases: Sequence[str], site_phase: str, seed: int) -> str:
    """Phase that a member of a population is connected to; empty for all of them, and in a feeder that knows one.

    site_phase: that of the network's own customer at the site, or empty.
    """
    if len(feeder_phases) == 1 or not spec.is_single_phase:
        return ""
    drawn = feeder_phases[int(stream(seed, era, "phase").integers(len(feeder_phases)))]
    return spec.phase or site_phase or drawn


@dataclass(frozen=True, slots=True)
class Ground:
    """What all participants of a run share.

    key_of: the keys by address with which they sign settlements.  forecast: variables that somebody publishes forecasts of.
    news: how these forecasts reach whoever follows them.
    """

    registry: Registry
    calendar: Calendar
    weather: Weather
    seed: int
    key_of: Callable[[str], Key]
    forecast: tuple[Variable, ...] = ()
    news: News = News()  # noqa: RUF009  it is frozen

    def seat(self, spot: Spot, twin: Twin, *topics: Topic) -> Seat:
        """What the participant at this spot is given, with a device of this kind; topics that it could use forecasts of."""
        device = Device(spot.era, spot.bus, spot.place.node, twin, spot.phase)
        ids, signatory = Ids(self.seed, spot.era), Signatory(spot.era, self.key_of)
        followed = tuple(topic for topic in topics if topic.variable in self.forecast)
        return Seat(self.registry, spot.era, ids, spot.place, self.calendar, device, signatory, followed, self.news)


def draw(value: float | Normal | Lognormal | Uniform, rng: np.random.Generator) -> float:
    """A number, or a draw from a distribution of the scenario."""
    match value:
        case Normal():
            while True:
                x = float(rng.normal(value.mean, value.sd))
                if value.low <= x <= value.high:
                    return x
        case Lognormal():
            return min(value.scale * float(rng.lognormal(value.mean_log, value.sd_log)), value.high)
        case Uniform():
            return float(rng.uniform(value.low, value.high))
        case _:
            return float(value)


def household(spec: HouseholdSpec, spot: Spot, ground: Ground) -> Resource:
    """A household that follows its site's own profile."""
    weather, column = ground.weather, spot.column
    load = weather.load_kw[:, column] * spec.scale, weather.load_kvar[:, column] * spec.scale, spec.connection_kw
    twin = HouseholdTwin(*load, tasks(spec, spot.era, ground)) if spec.tasks else LoadTwin(*load)
    topics = [customer(column), *([Topic("PRICE", spot.place.node)] if spec.tasks else [])]
    least_share = float(stream(ground.seed, spot.era, "least share").uniform())
    return Household(ground.seat(spot, twin, *topics), forecast_scale=spec.scale, least_share=least_share)


def tasks(spec: HouseholdSpec, era: str, ground: Ground) -> tuple[Task, ...]:
    """What its appliances have to do during the run, in whole minutes; each has the time at least that it takes."""
    found: list[Task] = []
    midnight_s, days = _days(ground.calendar)
    for wanted in spec.tasks:
        rng = stream(ground.seed, era, "task", wanted.name)
        for day in days:
            energy_kwh = draw(wanted.energy_kwh, rng)
            earliest_h, deadline_h = draw(wanted.earliest_h, rng), draw(wanted.deadline_h, rng)
            if rng.uniform() >= wanted.share:
                continue
            if deadline_h <= earliest_h:
                deadline_h += 24
            earliest_s = midnight_s + day * DAY_S + _seconds(earliest_h)
            takes_s = math.ceil(energy_kwh / wanted.power_kw * 3600) + ground.calendar.interval_s
            deadline_s = max(midnight_s + day * DAY_S + _seconds(deadline_h), earliest_s + takes_s)
            if earliest_s >= 0 and deadline_s <= ground.calendar.duration_s:
                found.append(Task(energy_kwh, wanted.power_kw, earliest_s, deadline_s, wanted.interruptible))
    return tuple(found)


def _days(calendar: Calendar) -> tuple[int, range]:
    """The second of the run's first local midnight, and the days to look at, the one before among them."""
    start = calendar.local(0)
    midnight_s = -(start.hour * 3600 + start.minute * 60 + start.second)
    return midnight_s, range(-1, math.ceil(calendar.duration_s / DAY_S) + 1)


def solar(spec: SolarSpec, spot: Spot, ground: Ground) -> Resource:
    """A plant under one of the data set's skies."""
    peak_kw = draw(spec.peak_kw, stream(ground.seed, spot.era, "peak"))
    column = int(stream(ground.seed, spot.era, "sky").integers(ground.weather.pv_pu.shape[1]))
    inverter = inverter_of(spec, peak_kw)
    sun_kw = ground.weather.pv_pu[:, column] * peak_kw
    twin = SolarTwin(
        np.minimum(sun_kw, inverter.rated_kva),
        min(peak_kw, inverter.rated_kva),
        inverter,
        peak_kw=peak_kw,
        curtailable=spec.curtailable,
    )
    reserve_per_kwh = spec.reserve_per_kwh - spec.subsidy_per_kwh
    return Solar(ground.seat(spot, twin, sky(column)), reserve_per_kwh=reserve_per_kwh, quantile=spec.bid_quantile)


def inverter_of(spec: InverterPopulation, peak_kw: float) -> Inverter:
    """The inverter of a device whose active power goes up to ``peak_kw``."""
    return Inverter(spec.rated_kva or OVERSIZE * peak_kw, spec.volt_var_points, spec.power_factor)


def battery(spec: BatterySpec, spot: Spot, ground: Ground) -> Resource:
    """A home battery."""
    inverter = inverter_of(spec, max(spec.charge_kw, spec.discharge_kw))
    twin = BatteryTwin(
        capacity_kwh=draw(spec.capacity_kwh, stream(ground.seed, spot.era, "capacity")),
        charge_kw=min(spec.charge_kw, inverter.rated_kva),
        discharge_kw=min(spec.discharge_kw, inverter.rated_kva),
        charge_efficiency=spec.charge_efficiency,
        discharge_efficiency=spec.discharge_efficiency,
        soc=spec.initial_soc,
        inverter=inverter,
    )
    return Battery(
        ground.seat(spot, twin, Topic("PRICE", spot.place.node)),
        wear_per_kwh=spec.wear_per_kwh,
        optimise=None if spec.optimiser is None else spec.optimiser.made(),
        horizon_h=spec.horizon_h,
    )


def ev(spec: EVSpec, spot: Spot, ground: Ground) -> Resource:
    """A car with its stays at home during the run."""
    twin = EVTwin(
        capacity_kwh=spec.capacity_kwh,
        charge_kw=spec.charge_kw,
        charge_efficiency=spec.charge_efficiency,
        target_soc=spec.target_soc,
        sessions=sessions(spec, spot.era, ground),
        discharge_kw=spec.discharge_kw,
        discharge_efficiency=spec.discharge_efficiency,
        reserve_soc=spec.reserve_soc,
        min_charge_kw=spec.min_charge_kw,
    )
    calendar = ground.calendar
    slots = calendar.count + DAY_S // calendar.interval_s
    belief = stream(ground.seed, spot.era, "belief").normal(0.0, spec.belief_sd_per_kwh, slots)
    return EV(
        ground.seat(spot, twin, Topic("PRICE", spot.place.node)),
        belief_per_kwh=belief,
        optimise=None if spec.optimiser is None else spec.optimiser.made(),
        departure_sd_s=spec.departure_sd_h * 3600,
        wear_per_kwh=spec.wear_per_kwh,
        unserved_per_kwh=spec.unserved_per_kwh,
    )


def sessions(spec: EVSpec, era: str, ground: Ground) -> tuple[Session, ...]:
    """Stays that overlap the run, one a night, in whole minutes; a car is gone at the latest when it comes back again."""
    calendar, rng = ground.calendar, stream(ground.seed, era, "sessions")
    midnight_s, days = _days(calendar)
    most_kwh = spec.target_soc * spec.capacity_kwh
    stays: list[Session] = []
    for day in days:
        arrival_s = midnight_s + day * DAY_S + _seconds(draw(spec.arrival_h, rng))
        departure_s = midnight_s + (day + 1) * DAY_S + _seconds(draw(spec.departure_h, rng))
        need_kwh = min(draw(spec.distance_km, rng) * spec.consumption_kwh_per_km, most_kwh)
        if stays and arrival_s < stays[-1].departure_s:
            stays[-1] = Session(stays[-1].arrival_s, arrival_s, stays[-1].need_kwh)
        stays.append(Session(arrival_s, departure_s, need_kwh))
    if spec.departure_sd_h:
        rng = stream(ground.seed, era, "early departures")
        stays = [_hurried(stay, abs(float(rng.normal(0.0, spec.departure_sd_h)))) for stay in stays]
    return tuple(stay for stay in stays if stay.departure_s > 0 and stay.arrival_s < calendar.duration_s)


def _hurried(stay: Session, early_h: float) -> Session:
    """A stay that ends before it was planned to, but not before it has begun."""
    departure_s = max(stay.departure_s - _seconds(early_h), stay.arrival_s + 60)
    return Session(stay.arrival_s, departure_s, stay.need_kwh, planned_s=stay.departure_s)


def _seconds(hours: float) -> int:
    return round(hours * 60) * 60


def heat_pump(spec: HeatPumpSpec, spot: Spot, ground: Ground) -> Resource:
    """A building in the weather of all."""
    building = Building(
        spec.mode,
        draw(spec.resistance_k_per_kw, stream(ground.seed, spot.era, "resistance")),
        draw(spec.capacity_kwh_per_k, stream(ground.seed, spot.era, "capacity")),
        spec.power_kw,
        spec.cop,
        spec.cop_per_k,
    )
    comfort = spec.comfortable_c, spec.low_c, spec.high_c
    twin = ThermalTwin(building, ground.weather.outdoor_c, indoor_c=comfort[0], low_c=comfort[1], high_c=comfort[2])
    return HeatPump(
        ground.seat(spot, twin, AIR, Topic("PRICE", spot.place.node)),
        target_c=spec.comfortable_c,
        discomfort_per_kwh=spec.discomfort_per_kwh,
        method=spec.method,
        terminal=spec.terminal,
        ramp=spec.ramp,
        horizon_s=spec.horizon_h * 3600,
    )


def flexible_load(spec: FlexibleLoadSpec, spot: Spot, ground: Ground) -> Resource:
    """A load that follows its site's own profile, or is always the same, up to a price."""
    weather, column = ground.weather, spot.column
    topics = [customer(column)]
    load_kw, load_kvar = (part[:, column] * spec.scale for part in (weather.load_kw, weather.load_kvar))
    if spec.power_kw is not None:
        load_kw, load_kvar, topics = np.full(len(load_kw), spec.power_kw), np.zeros(len(load_kvar)), []
    twin = LoadTwin(load_kw, load_kvar, spec.connection_kw)
    return FlexibleLoad(
        ground.seat(spot, twin, *topics),
        steps=[(step.worth_per_kwh, step.share) for step in spec.reductions],
        linear=spec.interpolation == "LINEAR",
        method=Method(spec.baseline.x, spec.baseline.y, spec.baseline.cap),
        window=max(round(spec.baseline.window_h * 3600 / ground.calendar.interval_s), 1),
        forecast_scale=spec.scale,
    )


def stated(spec: StatedSpec, spot: Spot, ground: Ground) -> Resource:
    """A participant by its curve, whose device follows within the curve's range."""
    curve = spec.curve()
    seat = ground.seat(spot, StatedTwin(curve.min_kw, curve.max_kw))
    return STATED[spec.resource_type](seat, curve=curve, min_run_kw=spec.min_run_kw, minutes=spec.minutes)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of participant that a population can have."""

    name: str
    spec: type[PopulationSpec]
    build: Callable[[Any, Spot, Ground], Resource]
    summary: str


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("household", HouseholdSpec, household, "measured profile that cannot wait, and tasks that can"),
        Kind("solar", SolarSpec, solar, "rooftop photovoltaic plant, curtailable or not"),
        Kind("battery", BatterySpec, battery, "home battery that trades around a water value"),
        Kind("heat_pump", HeatPumpSpec, heat_pump, "building that stores heat or cold within a comfort band"),
        Kind("flexible_load", FlexibleLoadSpec, flexible_load, "measured profile that gives way where power is dear"),
        Kind("ev", EVSpec, ev, "electric car with a deadline, that may give back"),
        Kind("stated", StatedSpec, stated, "any device by its offer curve, as given"),
    )
}
