"""Device physics: what a device does with a set-point."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.twins.battery import BatteryTwin
from agents.twins.ev import EVTwin, Session
from agents.twins.load import LoadTwin
from agents.twins.solar import SolarTwin
from sim.clock import Interval
from sim.device import Device
from sim.errors import TwinError

QUARTERS = [Interval(i, i * 900, (i + 1) * 900) for i in range(96)]
powers = st.floats(-20, 20)


def battery(soc: float = 0.5) -> BatteryTwin:
    return BatteryTwin(
        capacity_kwh=10, charge_kw=5, discharge_kw=4, charge_efficiency=0.9, discharge_efficiency=0.8, soc=soc
    )


def car(*sessions: Session) -> EVTwin:
    return EVTwin(capacity_kwh=60, charge_kw=11, charge_efficiency=0.9, target_soc=1.0, sessions=sessions)


@given(st.lists(powers, min_size=1, max_size=30), st.floats(0, 1))
def test_a_battery_creates_no_energy_and_stays_within_its_store(setpoints: list[float], soc: float) -> None:
    twin = battery(soc)
    stored_kwh = soc * 10
    for interval, asked_kw in zip(QUARTERS, setpoints, strict=False):
        p_kw = twin.advance(asked_kw, interval)
        assert -5 <= p_kw <= 4
        assert abs(p_kw) <= abs(asked_kw)
        stored_kwh -= (p_kw * 0.9 if p_kw < 0 else p_kw / 0.8) * 0.25
        assert 0 <= twin.soc <= 1
        assert twin.soc * 10 == pytest.approx(stored_kwh, abs=1e-9)


def test_a_battery_gives_only_what_it_holds_and_takes_only_what_fits() -> None:
    assert battery(0.0).advance(4.0, QUARTERS[0]) == 0.0
    assert battery(0.05).advance(4.0, QUARTERS[0]) == pytest.approx(0.5 * 0.8 / 0.25)
    assert battery(1.0).advance(-5.0, QUARTERS[0]) == 0.0


def test_a_battery_that_cannot_exist_is_refused() -> None:
    with pytest.raises(TwinError, match=r"soc 1\.5"):
        battery(1.5)


@given(st.lists(powers, min_size=96, max_size=96), st.integers(0, 40_000), st.integers(900, 40_000), st.floats(0, 60))
def test_a_car_charges_only_while_plugged_in_and_never_more_than_it_needs(
    setpoints: list[float], arrival_s: int, stay_s: int, need_kwh: float
) -> None:
    session = Session(arrival_s, arrival_s + stay_s, need_kwh)
    twin = car(session)
    drawn_kwh = 0.0
    for interval, asked_kw in zip(QUARTERS, setpoints, strict=True):
        p_kw = twin.advance(asked_kw, interval)
        overlap_s = min(interval.end_s, session.departure_s) - max(interval.start_s, arrival_s)
        assert -11 * max(overlap_s, 0) / 900 - 1e-9 <= p_kw <= 0
        assert p_kw >= min(asked_kw, 0.0) - 1e-9
        drawn_kwh -= p_kw * 0.25
    assert twin.served_kwh(0) == pytest.approx(drawn_kwh * 0.9, abs=1e-9)
    assert twin.served_kwh(0) <= need_kwh + 1e-9
    assert twin.missing_kwh(0) == pytest.approx(need_kwh - twin.served_kwh(0), abs=1e-8)


def test_a_car_that_is_away_has_no_state_of_charge() -> None:
    twin = car(Session(1800, 3600, 10.0))
    socs = [twin.advance(-11.0, interval) and twin.soc for interval in QUARTERS[:1]]
    assert socs == [0.0] or math.isnan(twin.soc)
    assert math.isnan(twin.soc)
    twin.advance(-11.0, QUARTERS[1])
    twin.advance(-11.0, QUARTERS[2])
    assert twin.soc == pytest.approx(1 - (10 - 2.75 * 0.9) / 60)


def test_sessions_that_overlap_or_need_more_than_the_battery_holds_are_refused() -> None:
    with pytest.raises(TwinError, match="before it left"):
        car(Session(0, 3600, 1.0), Session(1800, 7200, 1.0))
    with pytest.raises(TwinError, match=r"needs 61"):
        car(Session(0, 3600, 61.0))


def test_a_plant_gives_what_the_sun_offers_up_to_its_cap() -> None:
    twin = SolarTwin(np.array([1.0, 4.0, 4.0]), rated_kw=5)
    assert twin.advance(math.inf, QUARTERS[0]) == 4.0
    assert twin.advance(2.5, QUARTERS[1]) == 2.5
    assert twin.available_kw == 4.0


def test_a_load_is_limited_only_when_told_and_takes_its_reactive_power_along() -> None:
    twin = LoadTwin(np.array([0.0, 4.0, 4.0]), np.array([0.0, 2.0, 2.0]), rating_kw=30)
    assert (twin.advance(-math.inf, QUARTERS[0]), twin.q_kvar) == (-4.0, -2.0)
    assert (twin.advance(-1.0, QUARTERS[1]), twin.q_kvar) == (-1.0, -0.5)


@given(st.lists(st.floats(0, 5), min_size=20, max_size=20))
def test_readings_in_whole_watt_hours_lose_nothing_over_time(sun_kw: list[float]) -> None:
    device = Device("pv-1", "bus", "node", SolarTwin(np.array([0.0, *sun_kw]), rated_kw=5))
    device.command(math.inf)
    total_wh = 0
    for interval in QUARTERS[:20]:
        device.advance(interval)
        total_wh += device.reading_wh
    assert total_wh == pytest.approx(sum(sun_kw) * 250, abs=0.5 + 1e-6)
