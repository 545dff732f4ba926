"""A battery held ready answers by its droop or its set-point, within its ramp and what it holds, and says how it did."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from agents.twins.battery import BatteryTwin
from agents.twins.reserve import Answer, Droop, ReserveTwin, Setpoints, droop_share
from sim.clock import Interval
from sim.errors import TwinError
from sim.frequency import Frequency

MINUTE = Interval(0, 0, 60)
HERTZ = st.floats(49.0, 51.0)


def at(hz: float, count: int = 60) -> Frequency:
    return Frequency(50.0, 1, np.full(count, hz))


def battery(soc: float = 0.5) -> BatteryTwin:
    return BatteryTwin(
        capacity_kwh=100, charge_kw=100, discharge_kw=100, charge_efficiency=0.9, discharge_efficiency=0.8, soc=soc
    )


def reserve(hz: float = 49.9, soc: float = 0.5, held_kw: float = 80.0, **how: Any) -> ReserveTwin:
    twin = ReserveTwin(battery(soc), Droop(at(hz), 0.004, 0.01), **how)
    twin.book(held_kw, 0, 60)
    return twin


def answer(twin: ReserveTwin, kw: float = 80.0) -> Answer:
    found = twin.answer(kw, 0, 60)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("hz", "share"), [(50.0, 0.0), (49.9, 0.45), (50.1, -0.45), (49.79, 1.0), (49.5, 1.0), (50.4, -1.0)]
)
def test_droop_is_proportional_beyond_the_dead_band_and_full_at_200_mhz_from_its_edge(hz: float, share: float) -> None:
    """(50 - 49.9 - 0.01) / (0.004 · 50) = 0.45."""
    assert droop_share(np.array([hz]), 50.0, 0.004, 0.01) == approx([share])


@given(HERTZ, st.floats(0.001, 0.1), st.floats(0, 0.1))
def test_droop_works_against_the_deviation_and_not_at_all_within_the_dead_band(
    hz: float, droop: float, band_hz: float
) -> None:
    share = float(droop_share(np.array([hz]), 50.0, droop, band_hz)[0])
    assert -1 <= share <= 1
    assert share * (hz - 50.0) <= 0
    assert (share == 0) == (abs(hz - 50.0) <= band_hz)
    if abs(share) < 1:
        assert -share * droop * 50.0 == approx(hz - 50.0 - math.copysign(min(band_hz, abs(hz - 50.0)), hz - 50.0))


def test_a_reserve_gives_the_droop_of_the_capacity_that_is_booked() -> None:
    twin = reserve(49.9)
    assert twin.advance(0.0, MINUTE) == approx(0.45 * 80)
    found = answer(twin)
    assert (found.availability, found.error_kw) == (1.0, approx(0.0))
    assert found.activated_kwh == approx(0.45 * 80 / 60)
    assert (found.mean, found.least, found.most) == approx((49.9,) * 3)


@given(HERTZ, st.floats(0, 1), st.sampled_from(["both", "raise", "lower"]))
def test_what_leaves_the_store_is_what_is_given_and_its_losses(hz: float, soc: float, direction: Any) -> None:
    twin = reserve(hz, soc, direction=direction)
    kw = twin.advance(0.0, MINUTE)
    stored_kwh = (twin.soc - soc) * 100
    assert stored_kwh == approx(-kw / 60 * (0.9 if kw < 0 else 1 / 0.8), abs=1e-9)
    assert 0 <= twin.soc <= 1
    assert kw >= 0 or direction != "raise"
    assert kw <= 0 or direction != "lower"


def test_an_empty_battery_is_not_available_and_what_it_does_not_give_is_its_error() -> None:
    twin = reserve(49.7, soc=0.0)
    assert twin.advance(0.0, MINUTE) == 0
    found = answer(twin)
    assert (found.availability, found.error_kw, found.activated_kwh) == (0.0, 80.0, 0.0)


def test_a_battery_that_runs_empty_within_an_interval_gives_exactly_what_it_held() -> None:
    """0.5 kWh stored are 0.4 kWh at the grid: 18 s at 80 kW."""
    twin = reserve(49.7, soc=0.005)
    assert twin.advance(0.0, MINUTE) / 60 == approx(0.4)
    assert answer(twin).error_kw == approx(80 * 42 / 60)


def test_capacity_is_there_while_it_could_be_kept_up_for_as_long_as_is_asked() -> None:
    """80 kW for 15 min are 25 kWh stored; a battery that gives 80 kW from 26 kWh on has less after 36 s."""
    twin = reserve(49.7, soc=0.26)
    twin.advance(0.0, MINUTE)
    assert answer(twin).availability == approx(37 / 60)
    short = reserve(49.7, soc=0.26, sustain_s=60)
    short.advance(0.0, MINUTE)
    assert answer(short).availability == 1


def test_only_the_way_that_may_be_asked_for_has_to_be_there() -> None:
    full = {way: reserve(50.0, soc=1.0, direction=way) for way in ("both", "raise", "lower")}
    for twin in full.values():
        twin.advance(0.0, MINUTE)
    assert {way: answer(twin).availability for way, twin in full.items()} == {"both": 0, "raise": 1, "lower": 0}


def test_several_who_have_booked_are_answered_in_proportion_and_nobody_else() -> None:
    twin = reserve(49.9, held_kw=60.0)
    twin.book(20.0, 30, 60)
    twin.advance(0.0, MINUTE)
    first, second = twin.answer(60.0, 0, 60), twin.answer(20.0, 30, 60)
    assert first is not None
    assert second is not None
    assert first.activated_kwh == approx(0.45 * 60 / 60)
    assert second.activated_kwh == approx(0.45 * 20 / 120)
    assert twin.answer(10.0, 60, 120) is None


def test_nobody_is_answered_before_anything_was_lived_through() -> None:
    assert reserve().answer(80.0, 0, 60) is None


def test_without_supply_nothing_is_there() -> None:
    twin = reserve(49.9)
    assert twin.interrupt(MINUTE) == 0
    found = answer(twin)
    assert (found.availability, found.error_kw, found.activated_kwh) == (0.0, approx(36.0), 0.0)
    assert twin.soc == 0.5


def test_set_points_are_followed_within_the_ramp_and_the_distance_is_the_error() -> None:
    """At 2 kW/s 40 kW take 20 s; on the way the error is 38, 36, … 0 kW, on average of the minute 380/60."""
    control = Setpoints()
    twin = ReserveTwin(battery(), control, ramp_kw_per_s=2.0)
    twin.book(80.0, 0, 60)
    control.send(40.0, 0)
    assert twin.advance(0.0, MINUTE) == approx((sum(range(2, 41, 2)) + 40 * 40) / 60)
    assert answer(twin).error_kw == approx(380 / 60)


def test_a_set_point_holds_until_the_next_and_only_for_what_is_held() -> None:
    control = Setpoints()
    twin = ReserveTwin(battery(), control)
    twin.book(30.0, 0, 45)
    control.send(-20.0, 15)
    control.send(50.0, 30)
    assert twin.advance(0.0, MINUTE) == approx((-20 * 15 + 30 * 15) / 60)
    assert list(control.heard(MINUTE)[[0, 14, 15, 29, 30, 59]]) == [0, 0, -20, -20, 50, 50]


def test_it_answers_on_top_of_where_it_rests() -> None:
    twin = reserve(49.9, held_kw=40.0)
    assert twin.advance(-30.0, MINUTE) == approx(-30 + 0.45 * 40)
    assert answer(twin, 40.0).error_kw == approx(0.0)


@pytest.mark.parametrize("wrong", [{"ramp_kw_per_s": 0.0}, {"sustain_s": 0.0}])
def test_a_reserve_that_cannot_exist_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(TwinError, match="expected both above 0"):
        reserve(**wrong)
