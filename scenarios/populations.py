"""What populations may stand in a scenario file: one kind of participant each, with units, bounds and defaults."""

from __future__ import annotations

import math
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from agents.optimisers import Optimise
from agents.twins.inverter import CURVES, Curve, curve_fault
from agents.twins.thermal import LEAST_HOURS
from scenarios.fields import Finite, Model, Name, NonNegative, Positive, Share, TimeOfDay, unless
from scenarios.optimisation import optimiser
from sim.curves import OfferCurve
from sim.errors import CurveError

LEAST_KEPT = 1e-3
"""A truncated distribution that keeps less than this share of its draws is a mistake, and slow."""


class Normal(Model):
    """Normal distribution, drawn again until a draw lies within ``low`` and ``high``."""

    distribution: Literal["normal"]
    mean: Finite
    sd: NonNegative
    low: Finite
    high: Finite

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low {self.low} must be below high {self.high}")
        if self.kept() < LEAST_KEPT:
            raise ValueError(f"of mean {self.mean} and sd {self.sd}, hardly a draw lies within {self.low}..{self.high}")
        return self

    def kept(self) -> float:
        """Share of draws that lie within the bounds."""
        if self.sd == 0:
            return float(self.low <= self.mean <= self.high)
        low, high = ((bound - self.mean) / (self.sd * math.sqrt(2)) for bound in (self.low, self.high))
        return (math.erf(high) - math.erf(low)) / 2


class Lognormal(Model):
    """``scale`` times a lognormal draw with these parameters of its logarithm, at most ``high``."""

    distribution: Literal["lognormal"]
    mean_log: Finite
    sd_log: NonNegative
    scale: Positive = 1.0
    high: Positive


class Uniform(Model):
    """Uniform distribution over ``low`` to ``high``."""

    distribution: Literal["uniform"]
    low: Finite
    high: Finite

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low {self.low} must be below high {self.high}")
        return self


def _positive(value: Normal | Lognormal | Uniform) -> Normal | Lognormal | Uniform:
    if not isinstance(value, Lognormal) and value.low <= 0:
        raise ValueError(f"low {value.low} must be above 0")
    return value


def _most(value: float | Normal | Lognormal | Uniform) -> float:
    return value if isinstance(value, float | int) else value.high


def _hours(value: Normal | Uniform) -> Normal | Uniform:
    if value.low < 0 or value.high > 24:
        raise ValueError(f"{value.low}..{value.high} are not hours of a day, 0..24")
    return value


PositiveDraw = Annotated[
    Annotated[Normal | Lognormal | Uniform, Field(discriminator="distribution")], AfterValidator(_positive)
]
HourOfDay = Annotated[Annotated[Normal | Uniform, Field(discriminator="distribution")], AfterValidator(_hours)]


Hour = Annotated[float, Field(ge=0, le=24)]


class PopulationSpec(Model):
    """What every population has: how many, what they are called, where they stand, through whom they trade.

    count: default one at every site.  sites: names of the sites to choose from, default all; the choice depends on the seed
    and the population's name alone.  host: an aggregator's name, default the market itself.  connection_kw: what each meter's
    connection carries in either direction (63 A at three phases and 400 V: 43.6 kW).  phases: 3 connects to all phases
    equally, 1 to one of them: to ``phase``, else to that of the network's own customer at the site, else to one drawn by
    seed and name; a phase says that it is one.  Where the feeder has ``phases: 1`` neither changes anything.  joins: local time
    at which they come to the market, default before it opens; nobody settles with them what they did before.
    """

    kind: str
    name: Name | None = None
    count: Annotated[int, Field(ge=0)] | None = None
    sites: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    host: Name | None = None
    connection_kw: Positive = 43.6
    phases: Literal[1, 3] | None = None
    phase: Literal["A", "B", "C"] | None = None
    joins: datetime | None = unless(None)

    @model_validator(mode="after")
    def _one_phase(self) -> Self:
        if self.phase is not None and self.phases == 3:
            raise ValueError(f"phase {self.phase}: what is connected to three phases has none of its own")
        if self.joins is not None and self.joins.tzinfo is not None:
            raise ValueError("joins: give local time without an offset; time_zone says the rest")
        return self

    @property
    def is_single_phase(self) -> bool:
        """Whether each member is connected to one phase."""
        return self.phases == 1 or self.phase is not None


class VoltVarSpec(Model):
    """A characteristic of one's own: points of voltage per unit and share of the rated apparent power, + into the grid."""

    points: Annotated[tuple[tuple[Positive, Finite], ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _falls(self) -> Self:
        why = curve_fault(self.points)
        if why:
            raise ValueError(f"points: {why}")
        return self


VoltVar = Literal["none", "ieee-1547-b", "vde-ar-n-4105"]


class InverterPopulation(PopulationSpec):
    """What every population of inverters has for reactive power.

    volt_var: a characteristic by name or by its points, default none.  power_factor: constant cos φ instead, > 0 with
    reactive power into the grid, < 0 out of it.  rated_kva: apparent power that active power cannot exceed, default 1.1 times
    the largest.
    """

    volt_var: VoltVar | VoltVarSpec = "none"
    power_factor: Annotated[float, Field(ge=-1, le=1)] = 1.0
    rated_kva: Positive | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if self.power_factor == 0:
            raise ValueError("power_factor: 0 would be reactive power alone")
        if self.volt_var != "none" and self.power_factor != 1:
            raise ValueError("volt_var and power_factor: an inverter follows either its voltage or its active power")
        return self

    @property
    def volt_var_points(self) -> Curve:
        """The characteristic; empty for none."""
        return self.volt_var.points if isinstance(self.volt_var, VoltVarSpec) else CURVES[self.volt_var]


class TaskSpec(Model):
    """A job of an appliance that a household has every day, or on a share of its days.

    energy_kwh at power_kw, begun at earliest_h or later and done by deadline_h, local hours of the day; a deadline that comes
    before is one of the next day.  interruptible: whether it may pause; if not, it runs through once it has begun.
    """

    name: Name
    energy_kwh: Positive | PositiveDraw
    power_kw: Positive
    earliest_h: Hour | HourOfDay
    deadline_h: Hour | HourOfDay
    interruptible: bool = False
    share: Share = 1.0


class HouseholdSpec(PopulationSpec):
    """Households that follow the profiles of the feeder's own customers; scale multiplies them.  tasks: what can wait."""

    kind: Literal["household"]
    scale: NonNegative = 1.0
    tasks: tuple[TaskSpec, ...] = unless(())

    @model_validator(mode="after")
    def _tasks_differ(self) -> Self:
        names = [task.name for task in self.tasks]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"tasks: several are called {', '.join(repeated)}")
        return self


class SolarSpec(InverterPopulation):
    """Rooftop plants: peak_kw of DC-to-AC rating; reserve_per_kwh is the price below which they stop.

    subsidy_per_kwh: paid for each kWh from elsewhere, so that they sell down to so much less.  curtailable: whether they can be
    held back; if not, they sell at any price.  bid_quantile: of the sun expected that they bid for, 0.1 to seldom be short.
    """

    kind: Literal["solar"]
    peak_kw: Positive | PositiveDraw
    reserve_per_kwh: Finite = 0.0
    subsidy_per_kwh: NonNegative = unless(0.0)
    curtailable: bool = unless(True)
    bid_quantile: Share = unless(0.5)


class OptimiserSpec(Model):
    """How a store decides: a name from ``degsim list optimisers`` or ``module:function``, and options of its own."""

    name: str
    options: dict[str, Any] = {}  # noqa: RUF012  pydantic copies it

    @model_validator(mode="after")
    def _known(self) -> Self:
        optimiser(self.name, self.options)
        return self

    def made(self) -> Optimise:
        """The optimiser itself."""
        return optimiser(self.name, self.options)


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


Decides = Annotated[OptimiserSpec, BeforeValidator(_named, json_schema_input_type=str | OptimiserSpec)]
"""An optimiser, or its name alone."""


class BatterySpec(InverterPopulation):
    """Home batteries; efficiencies hold one way each, wear_per_kwh is added to what a discharged kWh must bring.

    optimiser: how they decide, default threshold.  horizon_h: how far ahead they look for it.
    """

    kind: Literal["battery"]
    capacity_kwh: Positive | PositiveDraw
    charge_kw: Positive
    discharge_kw: Positive
    charge_efficiency: Annotated[float, Field(gt=0, le=1)] = 0.95
    discharge_efficiency: Annotated[float, Field(gt=0, le=1)] = 0.95
    initial_soc: Share = 0.5
    wear_per_kwh: NonNegative = 0.0
    optimiser: Decides | None = unless(None)
    horizon_h: Annotated[float, Field(gt=0, le=168)] = unless(24.0)


class EVSpec(PopulationSpec):
    """Electric cars that come home, need what the day's driving took, and leave again.

    arrival_h, departure_h: local hours of the day, 0..24; a car that comes on one day leaves on the next.  distance_km: driven
    per day; consumption_kwh_per_km: taken from the battery.  belief_sd_per_kwh: spread of what drivers expect the local price
    to lie above the tariff.  min_charge_kw: what a charger cannot charge below (6 A at one phase: 1.4 kW).
    discharge_kw: what cars give back at most, down to reserve_soc, default nothing; wear_per_kwh is what each such kWh costs.
    departure_sd_h: how much before the planned departure they leave, as the standard deviation of the normal distribution whose
    earlier half it is; drivers know the spread and not the hour.  unserved_per_kwh: the most that they pay for a kWh that they
    would lack, all charges included, default what the price cap comes to.  optimiser: how they decide, default cheapest.
    """

    kind: Literal["ev"]
    capacity_kwh: Positive
    charge_kw: Positive
    charge_efficiency: Annotated[float, Field(gt=0, le=1)] = 0.9
    target_soc: Annotated[float, Field(gt=0, le=1)] = 1.0
    arrival_h: HourOfDay
    departure_h: HourOfDay
    distance_km: Positive | PositiveDraw
    consumption_kwh_per_km: Positive
    belief_sd_per_kwh: NonNegative = 0.0
    min_charge_kw: NonNegative = unless(0.0)
    discharge_kw: NonNegative = unless(0.0)
    discharge_efficiency: Annotated[float, Field(gt=0, le=1)] = unless(0.9)
    reserve_soc: Share = unless(0.2)
    wear_per_kwh: NonNegative = unless(0.0)
    departure_sd_h: Annotated[float, Field(ge=0, le=6)] = unless(0.0)
    unserved_per_kwh: Positive | None = unless(None)
    optimiser: Decides | None = unless(None)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.min_charge_kw > self.charge_kw:
            raise ValueError(f"min_charge_kw {self.min_charge_kw} must not be above charge_kw {self.charge_kw}")
        if self.discharge_kw > 0 and self.reserve_soc > self.target_soc:
            raise ValueError(f"reserve_soc {self.reserve_soc} must not be above target_soc {self.target_soc}")
        return self


class HeatPumpSpec(PopulationSpec):
    """Buildings that an electric heat pump heats, or an air conditioner cools.

    resistance_k_per_kw: between inside and outside; capacity_kwh_per_k: of heat; power_kw: electric; cop: at 7 °C outside for
    heating, at 35 °C for cooling, and cop_per_k more for each kelvin more outside.  Comfort is low_c..high_c; target_c, default
    its middle, is what a plain thermostat would hold and where a run begins.  method: mpc plans with the worth of heat over
    horizon_h, rule bids by a ramp.  terminal: heat left at the end of a plan is worth nothing (free), or has to bring it to
    target_c (hold).  discomfort_per_kwh: cost of a kWh of heat that the band lacks.
    """

    kind: Literal["heat_pump"]
    mode: Literal["heat", "cool"] = "heat"
    resistance_k_per_kw: Positive | PositiveDraw
    capacity_kwh_per_k: Positive | PositiveDraw
    power_kw: Positive
    cop: Positive = 3.5
    cop_per_k: Finite = 0.0
    low_c: Finite = 20.0
    high_c: Finite = 23.0
    target_c: Finite | None = None
    method: Literal["mpc", "rule"] = "mpc"
    terminal: Literal["free", "hold"] = "free"
    ramp: NonNegative = 2.0
    horizon_h: Annotated[int, Field(ge=1, le=72)] = 24
    discomfort_per_kwh: Positive = 10.0

    @model_validator(mode="after")
    def _comfortable(self) -> Self:
        if not self.low_c < self.high_c:
            raise ValueError(f"low_c {self.low_c} must be below high_c {self.high_c}")
        if not self.low_c <= self.comfortable_c <= self.high_c:
            raise ValueError(f"target_c {self.target_c} is not within {self.low_c}..{self.high_c}")
        slowest_h = math.prod(map(_most, (self.resistance_k_per_kw, self.capacity_kwh_per_k)))
        if slowest_h < LEAST_HOURS:
            what = (
                f"times capacity_kwh_per_k is {slowest_h:g} h, below {LEAST_HOURS:g} h: such a building stores nothing"
            )
            raise ValueError(f"resistance_k_per_kw {what}")
        return self

    @property
    def comfortable_c(self) -> float:
        """The target, given or not."""
        return (self.low_c + self.high_c) / 2 if self.target_c is None else self.target_c


class ReductionSpec(Model):
    """A share of the baseline that is given up in all, from the price on that the energy is worth, all charges included."""

    worth_per_kwh: Finite
    share: Share


class BaselineSpec(Model):
    """X of Y days, adjusted by the window_h before by at most the share cap of itself."""

    x: Annotated[int, Field(ge=1, le=30)] = 4
    y: Annotated[int, Field(ge=1, le=30)] = 5
    cap: Share = 0.2
    window_h: Annotated[float, Field(gt=0, le=12)] = 1.0

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.x > self.y:
            raise ValueError(f"x: {self.x} of {self.y} days")
        if self.x == 1 and self.cap:
            raise ValueError("cap: 0 where a single day counts; else raising the load before an event would pay")
        return self


class FlexibleLoadSpec(PopulationSpec):
    """Loads that follow the profiles of the feeder's customers, and draw less than their baseline where power is dear.

    scale: multiplies the profile.  power_kw: drawn all the time, in the place of a profile.  reductions: ascend in worth and
    share.  interpolation: whether they are steps, or the share grows in a straight line from each to the next (LINEAR).
    """

    kind: Literal["flexible_load"]
    scale: NonNegative = 1.0
    power_kw: Positive | None = unless(None)
    interpolation: Literal["STEP", "LINEAR"] = unless("STEP")
    reductions: Annotated[tuple[ReductionSpec, ...], Field(min_length=1)]
    baseline: BaselineSpec = BaselineSpec()

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        stated = [(step.worth_per_kwh, step.share) for step in self.reductions]
        if any(a[0] >= b[0] or a[1] >= b[1] for a, b in pairwise(stated)):
            raise ValueError("reductions: worth_per_kwh and share must ascend from step to step")
        return self


class StatedSpec(PopulationSpec):
    """Participants whose offer curve is given: [price per kWh, kW] points, + into the grid, that ascend in both.

    resource_type: what they say that they operate.  interpolation: between two points power follows a straight line, or
    (STEP) is whichever of its range is nearest to zero.  A single point is a power at any price.  min_run_kw: what they cannot
    run below, unless they rest.  from, to: local times of day within which intervals begin that they offer for.
    """

    kind: Literal["stated"]
    resource_type: Literal["LOAD", "SOLAR", "BATTERY", "EV"]
    points: Annotated[tuple[tuple[Finite, Finite], ...], Field(min_length=1)]
    interpolation: Literal["LINEAR", "STEP"] = "LINEAR"
    min_run_kw: NonNegative = 0.0
    start: TimeOfDay = Field("00:00", alias="from")
    end: TimeOfDay = Field("24:00", alias="to")

    @model_validator(mode="after")
    def _a_curve(self) -> Self:
        try:
            self.curve()
        except CurveError as error:
            raise ValueError("; ".join(f"points: {fault.what}" for fault in error.faults)) from None
        return self

    def curve(self) -> OfferCurve:
        """The curve that the points mean."""
        return OfferCurve.of(self.points, step=self.interpolation == "STEP", who=self.name or self.kind)

    @property
    def minutes(self) -> tuple[int, int]:
        """The times of day, in minutes."""
        start, end = (int(hours) * 60 + int(rest) for hours, rest in (t.split(":") for t in (self.start, self.end)))
        return start, end


Population = Annotated[
    HouseholdSpec | SolarSpec | BatterySpec | EVSpec | HeatPumpSpec | FlexibleLoadSpec | StatedSpec,
    Field(discriminator="kind"),
]
