"""Heat pumps: a building as a leaking store, pre-cooling, and curves that keep to comfort."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import mesa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.heat_pump import HeatPump, level_kwh, ramp_price, thermal_slot
from agents.resource import Place, Seat
from agents.twins.thermal import COP_AT_C, Building, ThermalTwin
from agents.worth import Worth, schedule
from sim.clock import Calendar, local_start
from sim.device import Device
from sim.errors import TwinError
from sim.participant import Ids
from tests.test_clock_and_rng import calendar

STORED = json.loads((Path(__file__).parent.parent / "golden" / "buildings.json").read_text(encoding="utf-8"))
DAYS = Calendar(local_start(calendar().start.replace(tzinfo=None), "Europe/Berlin"), 900, 96)
PLACE = Place(host="market", catalogue="catalogue", meter="x", node="tx", currency="EUR")
HOUSE = Building("heat", 6.0, 8.0, 3.0, 3.5)
FLAT = Building("cool", 4.0, 5.0, 2.5, 3.0)
NOON = DAYS.interval(8)

indoor = st.floats(17, 29)
outdoor = st.floats(-15, 40)
methods = st.sampled_from(["mpc", "rule"])


@pytest.mark.parametrize("case", STORED["cases"], ids=lambda case: case["id"])
def test_pre_cooling_is_worth_what_the_linear_programme_says(case: dict[str, Any]) -> None:
    building = Building(
        case["mode"], case["resistance_k_per_kw"], case["capacity_kwh_per_k"], case["power_kw"], case["cop"]
    )
    low_c, high_c, hours = case["low_c"], case["high_c"], case["hours"]
    slots = [thermal_slot(building, low_c, high_c, case["outdoor_c"], hours, 100.0)] * len(case["prices"])
    level = level_kwh(building, low_c, high_c, case["indoor_c"])
    plan = schedule(level, Worth.flat(0.0, slots[0].high_kwh, 0.0), slots, [(price, 0.0) for price in case["prices"]])
    assert plan.cost == pytest.approx(case["cost_free"], abs=STORED["tolerance"])
    assert plan.missing_kwh == (0.0,) * len(slots)
    indoor_c = case["indoor_c"]
    for grid_kwh in plan.grid_kwh:
        indoor_c = building.after(indoor_c, case["outdoor_c"], -grid_kwh / hours, hours)
        assert low_c - 1e-9 <= indoor_c <= high_c + 1e-9
    assert indoor_c == pytest.approx(case["end_c"])
    held_kw = (case["outdoor_c"] - case["indoor_c"]) / (building.resistance_k_per_kw * building.cop)
    assert sum(case["prices"]) * held_kw * hours == pytest.approx(case["cost_held"], abs=STORED["tolerance"])


# --- the building -----------------------------------------------------------------------------------------------------


@given(indoor, outdoor, st.floats(0, 3), st.sampled_from([HOUSE, FLAT]))
def test_two_half_hours_are_an_hour(indoor_c: float, outdoor_c: float, power_kw: float, building: Building) -> None:
    half = building.after(indoor_c, outdoor_c, power_kw, 0.5)
    whole = building.after(indoor_c, outdoor_c, power_kw, 1.0)
    assert building.after(half, outdoor_c, power_kw, 0.5) == pytest.approx(whole)


@given(indoor, outdoor, st.floats(0, 3), st.sampled_from([HOUSE, FLAT]))
def test_the_store_of_heat_and_the_building_are_one(
    indoor_c: float, outdoor_c: float, power_kw: float, building: Building
) -> None:
    slot = thermal_slot(building, 20.0, 24.0, outdoor_c, 0.25, 9.0)
    level = level_kwh(building, 20.0, 24.0, indoor_c)
    after = slot.retention * level + slot.inflow_kwh + power_kw * 0.25 * slot.charge_efficiency
    indoor_after = building.after(indoor_c, outdoor_c, power_kw, 0.25)
    assert level_kwh(building, 20.0, 24.0, indoor_after) == pytest.approx(after, abs=1e-9)


def test_a_building_left_alone_drifts_to_the_temperature_outside() -> None:
    assert HOUSE.after(20.0, 0.0, 0.0, 48.0) == pytest.approx(20 * math.exp(-1))
    assert HOUSE.after(20.0, 0.0, 0.0, 1e6) == pytest.approx(0.0)


def test_a_cop_follows_the_weather_and_never_falls_below_1() -> None:
    building = Building("heat", 6.0, 8.0, 3.0, 3.5, 0.1)
    assert building.cop_at(COP_AT_C["heat"]) == 3.5
    assert building.cop_at(-3.0) == pytest.approx(2.5)
    assert building.cop_at(-60.0) == 1.0


def twin(building: Building = HOUSE, indoor_c: float = 21.0, outdoor_c: float = 2.0) -> ThermalTwin:
    return ThermalTwin(building, np.full(97, outdoor_c), indoor_c=indoor_c, low_c=20.0, high_c=23.0)


@given(indoor, outdoor, st.floats(-5, 1), st.sampled_from([HOUSE, FLAT]))
def test_a_thermostat_never_lets_it_go_beyond_the_far_end_of_the_band(
    indoor_c: float, outdoor_c: float, setpoint_kw: float, building: Building
) -> None:
    house = twin(building, indoor_c, outdoor_c)
    rest = building.after(indoor_c, outdoor_c, 0.0, 0.25)
    p_kw = house.advance(setpoint_kw, NOON)
    assert house.min_kw <= p_kw <= 0.0
    if building.mode == "heat":
        assert house.indoor_c <= max(23.0, rest) + 1e-9
    else:
        assert house.indoor_c >= min(20.0, rest) - 1e-9
    assert 0 <= house.soc <= 1


def test_discomfort_is_counted_in_kelvin_hours() -> None:
    house = twin(indoor_c=18.0, outdoor_c=18.0)
    house.advance(0.0, NOON)
    house.interrupt(NOON)
    assert house.discomfort_kh == pytest.approx(2 * 2.0 * 0.25)


def test_a_building_that_cannot_be_is_refused() -> None:
    with pytest.raises(TwinError):
        Building("heat", 0.0, 8.0, 3.0, 3.5)
    with pytest.raises(TwinError, match="it stores nothing"):
        Building("heat", 0.01, 0.001, 3.0, 3.5)
    with pytest.raises(TwinError):
        ThermalTwin(HOUSE, np.zeros(2), indoor_c=20.0, low_c=23.0, high_c=20.0)


# --- the bid ----------------------------------------------------------------------------------------------------------


def pump(house: ThermalTwin, **other: Any) -> HeatPump:
    seat = Seat(mesa.Model(rng=1), "x", Ids(1, "x"), PLACE, DAYS, Device("x", "bus", "tx", house))
    agent = HeatPump(seat, **({"target_c": 21.5, "discomfort_per_kwh": 10.0} | other))
    agent.tariffs = {"IMPORT": (0.2,) * 720 + (0.4,) * 720, "EXPORT": (0.08,) * 1440}
    return agent


@given(indoor, outdoor, st.sampled_from([HOUSE, FLAT]), methods, st.sampled_from(["free", "hold"]))
def test_a_curve_rises_and_asks_for_nothing_that_rating_and_thermostat_do_not_allow(
    indoor_c: float, outdoor_c: float, building: Building, method: str, terminal: str
) -> None:
    house = twin(building, indoor_c, outdoor_c)
    offer = pump(house, method=method, terminal=terminal, horizon_s=6 * 3600).offer(NOON, 8 * 900 - 300)
    powers = [power for _, power in offer.curve.points()]
    assert all(a <= b for a, b in itertools.pairwise(powers))
    _, start_c = house.after(0.0, DAYS.interval(7))
    assert -house.most_kw(start_c, outdoor_c, 0.25) - 1e-6 <= offer.curve.min_kw
    assert offer.curve.max_kw <= 0.0
    assert offer.curve.min_kw - 1e-9 <= offer.uncoordinated_kw <= offer.curve.max_kw + 1e-9


@given(indoor, indoor, st.floats(0, 1))
def test_the_colder_a_house_the_more_it_draws_at_any_price(a: float, b: float, price: float) -> None:
    colder, warmer = sorted((a, b))
    curves = [pump(twin(indoor_c=c)).offer(NOON, 8 * 900 - 300).curve for c in (colder, warmer)]
    assert curves[0].low(price) <= curves[1].low(price) + 1e-6


def test_what_comfort_needs_is_drawn_at_any_price() -> None:
    for method in ("mpc", "rule"):
        curve = pump(twin(indoor_c=19.5), method=method).offer(NOON, 8 * 900 - 300).curve
        assert curve.high(5.0) < 0, method


def test_before_a_dear_noon_it_heats_ahead_and_after_it_does_not() -> None:
    """Local time is 00:00 at the beginning of the tariff's cheap half; the calendar's interval 8 is two hours in."""
    house = twin(indoor_c=21.0)
    agent = pump(house)
    minute = DAYS.minute_of_day(NOON.start_s)
    agent.tariffs = {"IMPORT": tuple(0.2 if k < minute + 60 else 0.4 for k in range(1440))}
    ahead = agent.offer(NOON, 8 * 900 - 300).curve
    agent.tariffs = {"IMPORT": (0.2,) * 1440}
    level = agent.offer(NOON, 8 * 900 - 300).curve
    assert ahead.low(0.21) < level.low(0.21) == 0.0


def test_a_plan_with_a_free_end_draws_no_more_than_one_that_has_to_hold_its_target() -> None:
    free, hold = (
        pump(twin(), terminal=end, horizon_s=900).offer(NOON, 8 * 900 - 300).curve for end in ("free", "hold")
    )
    assert all(hold.low(price) <= free.low(price) for price in np.linspace(0, 1, 50))
    assert hold.low(0.5) < free.low(0.5) == 0.0


def test_a_ramp_bids_the_mean_at_its_base_and_more_the_farther_it_is_from_it() -> None:
    prices = [0.2, 0.4]
    band = {"base_c": 21.5, "low_c": 20.0, "high_c": 23.0, "ramp": 2.0}
    assert ramp_price(prices, 21.5, mode="heat", **band) == pytest.approx(0.3)  # type: ignore[arg-type]
    assert ramp_price(prices, 20.0, mode="heat", **band) == pytest.approx(0.3 + 2 * 0.1)  # type: ignore[arg-type]
    assert ramp_price(prices, 20.0, mode="cool", **band) == pytest.approx(0.1)  # type: ignore[arg-type]
    assert ramp_price(prices, 29.0, mode="heat", **band) == 0.0  # type: ignore[arg-type]


def test_without_a_forecast_the_weather_is_taken_to_stay_as_it_is() -> None:
    outside = np.full(97, 2.0)
    outside[12:] = -15.0
    house = ThermalTwin(HOUSE, outside, indoor_c=21.0, low_c=20.0, high_c=23.0)
    assert pump(house).offer(NOON, 8 * 900 - 300) == pump(twin()).offer(NOON, 8 * 900 - 300)
