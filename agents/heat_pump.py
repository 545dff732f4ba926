"""A heat pump or air conditioner that heats or cools ahead while power is cheap, as far as comfort allows."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import ClassVar, Literal

from agents.resource import Resource, Seat
from agents.twins.thermal import Building, ThermalTwin
from agents.worth import Slot, Worth, offer_points, worths_after
from sim.clock import Interval
from sim.curves import OfferCurve
from sim.market.problem import Offer

Method = Literal["mpc", "rule"]
Terminal = Literal["free", "hold"]


def thermal_slot(
    building: Building, low_c: float, high_c: float, outdoor_c: float, hours: float, missing: float
) -> Slot:
    """A building as a leaking store of heat, or of cold, over one slot.

    Its level is ``C (T - T_low)`` where it is heated and ``C (T_high - T)`` where it is cooled, 0 at the worse end of the band;
    what the weather takes is its inflow, and ``(1 - a) R C COP / Δt`` of each kWh drawn arrives.  missing: cost of a kWh of
    heat that lies outside the band.
    """
    kept, capacity = building.retention(hours), building.capacity_kwh_per_k
    outside_k = outdoor_c - low_c if building.mode == "heat" else high_c - outdoor_c
    return Slot(
        charge_kwh=building.power_kw * hours,
        discharge_kwh=0.0,
        low_kwh=0.0,
        high_kwh=capacity * (high_c - low_c),
        missing_per_kwh=missing,
        charge_efficiency=capacity * building.kelvin_per_kw(outdoor_c, hours) / hours,
        inflow_kwh=(1 - kept) * capacity * outside_k,
        retention=kept,
    )


def level_kwh(building: Building, low_c: float, high_c: float, indoor_c: float) -> float:
    """What the building holds at a temperature, as ``thermal_slot`` counts it."""
    return building.capacity_kwh_per_k * (indoor_c - low_c if building.mode == "heat" else high_c - indoor_c)


def ramp_price(
    prices: Sequence[float], indoor_c: float, *, base_c: float, low_c: float, high_c: float, ramp: float, mode: str
) -> float:
    """The price up to which a thermostat with a ramp runs, at least 0.

    ``p = mean(π) + (T - T_base) · ramp · σ(π) / T_range`` where it cools, and minus it where it heats; T_range reaches from
    T_base to the end of the band on T's side.
    Source: the hvac agent of PNNL's Transactive Energy Simulation Platform, after Fuller, Schneider and Chassin, "Analysis of
    residential demand response and double-auction markets", IEEE PES General Meeting, 2011.
    """
    warmer = indoor_c - base_c
    reach = max(high_c - base_c if warmer > 0 else base_c - low_c, 1e-6)
    wish = warmer / reach if mode == "cool" else -warmer / reach
    return max(statistics.fmean(prices) + wish * ramp * statistics.pstdev(prices), 0.0)


class HeatPump(Resource):
    """A building with a comfort band, in which temperature is a leaking store.

    method ``mpc``: draws up to what the heat is worth at the temperature that it leads to, exact for the forecast of prices and
    weather over ``horizon_s``.  Terminal condition ``free``: heat that is left at the end of the horizon is worth nothing, so
    that a plan ends at the worse end of the band; ``hold``: what is missing to ``target_c`` at the end costs as much as what is
    missing to the band.  The plan is made anew for every interval.  method ``rule``: ``ramp_price``, and at any price what the
    band needs.  discomfort_per_kwh: cost of a kWh of heat outside the band.  Without a forecast it expects the temperature
    outside to stay as it is, and the tariff.
    """

    kind = "heat_pump"
    resource_type: ClassVar[Literal["LOAD"]] = "LOAD"
    safe_kw: ClassVar[float] = -math.inf

    def __init__(
        self,
        seat: Seat,
        *,
        target_c: float,
        discomfort_per_kwh: float,
        method: Method = "mpc",
        terminal: Terminal = "free",
        ramp: float = 2.0,
        horizon_s: int = 24 * 3600,
    ) -> None:
        super().__init__(seat)
        self._target_c = target_c
        self._discomfort_per_kwh = discomfort_per_kwh
        self._method = method
        self._terminal = terminal
        self._ramp = ramp
        self._horizon = max(horizon_s // self.calendar.interval_s, 1)

    def offer(self, interval: Interval, now_s: int) -> Offer:
        """Draw by price what comfort leaves open, and at any price what it does not."""
        assert self.device is not None
        twin = self.device.twin
        assert isinstance(twin, ThermalTwin)
        indoor_c = self._indoor_c(twin, interval, now_s)
        outdoor = [self._outdoor_c(twin, interval.index + k, now_s) for k in range(self._horizon)]
        prices = [self.price_ahead(interval.index + k, now_s) for k in range(self._horizon)]
        decide = self._planned if self._method == "mpc" else self._ramped
        curve = OfferCurve.of(decide(twin, indoor_c, outdoor, prices, interval.hours), who=self.era)
        held_kw = self._held_kw(twin, indoor_c, outdoor[0], interval.hours)
        return Offer(self.era, self.place.node, curve, min(max(-held_kw, curve.min_kw), curve.max_kw))

    def _indoor_c(self, twin: ThermalTwin, interval: Interval, now_s: int) -> float:
        """Temperature when the interval begins; the one now running still goes on as commanded."""
        assert self.device is not None
        running = self.calendar.index_at(now_s)
        if not 0 <= running < interval.index:
            return twin.indoor_c
        return twin.after(self.device.setpoint_kw, self.calendar.interval(running))[1]

    def _outdoor_c(self, twin: ThermalTwin, index: int, now_s: int) -> float:
        forecast = self.outlook.value("TEMPERATURE", index, now_s)
        return twin.outdoor_c(max(self.calendar.index_at(now_s), -1)) if forecast is None else forecast

    def _held_kw(self, twin: ThermalTwin, indoor_c: float, outdoor_c: float, hours: float) -> float:
        """What a plain thermostat would draw, that holds the target."""
        building = twin.building
        short_k = (self._target_c - building.after(indoor_c, outdoor_c, 0.0, hours)) * building.sign
        needed_kw = max(short_k, 0.0) / building.kelvin_per_kw(outdoor_c, hours)
        return min(needed_kw, twin.most_kw(indoor_c, outdoor_c, hours))

    def _planned(
        self, twin: ThermalTwin, indoor_c: float, outdoor: Sequence[float], prices: Sequence[float], hours: float
    ) -> list[tuple[float, float]]:
        building, low_c, high_c = twin.building, twin.low_c, twin.high_c
        missing = self._discomfort_per_kwh
        slots = [thermal_slot(building, low_c, high_c, c, hours, missing) for c in outdoor]
        full = slots[0].high_kwh
        wanted = 0.0 if self._terminal == "free" else level_kwh(building, low_c, high_c, self._target_c)
        end = Worth.target(wanted, missing, 0.0, full, 0.0)
        bought = [(self.charges.cost_when_drawing(price), 0.0) for price in prices]
        after = worths_after(end, slots, bought)[0]
        level = level_kwh(building, low_c, high_c, indoor_c)
        return offer_points(level, slots[0], after, hours, self.charges.price_when_drawing)

    def _ramped(
        self, twin: ThermalTwin, indoor_c: float, outdoor: Sequence[float], prices: Sequence[float], hours: float
    ) -> list[tuple[float, float]]:
        building, most_kw = twin.building, twin.most_kw(indoor_c, outdoor[0], hours)
        rest_c = building.after(indoor_c, outdoor[0], 0.0, hours)
        short_k = twin.low_c - rest_c if building.mode == "heat" else rest_c - twin.high_c
        must_kw = min(max(short_k, 0.0) / building.kelvin_per_kw(outdoor[0], hours), most_kw)
        price = ramp_price(
            prices,
            indoor_c,
            base_c=self._target_c,
            low_c=twin.low_c,
            high_c=twin.high_c,
            ramp=self._ramp,
            mode=building.mode,
        )
        return [(price, -most_kw), (price, -must_kw)]
