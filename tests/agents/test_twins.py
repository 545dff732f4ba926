"""Device physics: what a device does with a set-point."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.twins.battery import BatteryTwin
from agents.twins.ev import EVTwin, Session
from agents.twins.inverter import CURVES, LEAST_SHARE, Curve, Inverter, volt_var_kvar
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
    assert (twin.advance(-math.inf, QUARTERS[0]), twin.reactive_kvar(1.0)) == (-4.0, -2.0)
    assert (twin.advance(-1.0, QUARTERS[1]), twin.reactive_kvar(0.9)) == (-1.0, -0.5)


@given(st.lists(st.floats(0, 5), min_size=20, max_size=20))
def test_readings_in_whole_watt_hours_lose_nothing_over_time(sun_kw: list[float]) -> None:
    device = Device("pv-1", "bus", "node", SolarTwin(np.array([0.0, *sun_kw]), rated_kw=5))
    device.command(math.inf)
    total_wh = 0
    for interval in QUARTERS[:20]:
        device.advance(interval)
        total_wh += device.reading_wh
    assert total_wh == pytest.approx(sum(sun_kw) * 250, abs=0.5 + 1e-6)


# --- reactive power of inverters ---------------------------------------------------------------------------------


@st.composite
def curves(draw: st.DrawFn) -> Curve:
    """Any Volt-var characteristic."""
    count = draw(st.integers(2, 6))
    volts = draw(st.lists(st.floats(0.8, 1.2), min_size=count, max_size=count, unique=True))
    shares = draw(st.lists(st.floats(-1, 1), min_size=count, max_size=count))
    return tuple(zip(sorted(volts), sorted(shares, reverse=True), strict=True))


volts = st.floats(0.5, 1.5)
any_curve = st.one_of(curves(), st.sampled_from([curve for curve in CURVES.values() if curve]))


@given(any_curve, volts, volts, st.floats(-12, 12), st.floats(0.1, 12))
def test_reactive_power_falls_with_the_voltage_or_stays(
    curve: Curve, one: float, other: float, p_kw: float, rated_kva: float
) -> None:
    inverter = Inverter(rated_kva, curve)
    low, high = sorted((one, other))
    assert volt_var_kvar(low, p_kw, inverter) >= volt_var_kvar(high, p_kw, inverter)


@given(any_curve, volts, st.floats(-1, 1), st.floats(0.1, 12))
def test_active_and_reactive_power_stay_within_the_apparent_power(
    curve: Curve, v_pu: float, share: float, rated_kva: float
) -> None:
    p_kw = share * rated_kva
    assert math.hypot(p_kw, volt_var_kvar(v_pu, p_kw, Inverter(rated_kva, curve))) <= rated_kva * (1 + 1e-12)


@given(st.sampled_from(["ieee-1547-b", "vde-ar-n-4105"]), st.floats(0.98, 1.02), st.floats(-10, 10))
def test_nothing_is_done_in_the_dead_band(name: str, v_pu: float, p_kw: float) -> None:
    assert volt_var_kvar(v_pu, p_kw, Inverter(11, CURVES[name])) == 0


@pytest.mark.parametrize(
    ("v_pu", "kvar"), [(0.80, 4.84), (0.92, 4.84), (0.95, 2.42), (1.0, 0), (1.05, -2.42), (1.08, -4.84), (1.2, -4.84)]
)
def test_category_b_gives_44_percent_of_the_rating_at_its_ends(v_pu: float, kvar: float) -> None:
    assert volt_var_kvar(v_pu, 8.0, Inverter(11, CURVES["ieee-1547-b"])) == pytest.approx(kvar)


def test_active_power_goes_first() -> None:
    full = Inverter(11, CURVES["ieee-1547-b"])
    assert volt_var_kvar(1.1, 10.5, full) == pytest.approx(-math.sqrt(11**2 - 10.5**2))
    assert volt_var_kvar(1.1, 12.0, full) == 0


@given(volts, st.floats(-10, 10), st.sampled_from([-1.0, -0.95, -0.9, 0.9, 0.95, 1.0]))
def test_a_constant_power_factor_is_kept_at_any_voltage(v_pu: float, p_kw: float, power_factor: float) -> None:
    inverter = Inverter(20, power_factor=power_factor)
    kvar = volt_var_kvar(v_pu, p_kw, inverter)
    if abs(p_kw) < LEAST_SHARE * 20:
        assert kvar == 0
    else:
        assert abs(p_kw) == pytest.approx(abs(power_factor) * math.hypot(p_kw, kvar))
        assert kvar * power_factor >= 0


def test_an_inverter_at_rest_gives_no_reactive_power() -> None:
    inverter = Inverter(10, CURVES["ieee-1547-b"])
    assert volt_var_kvar(0.9, 0.49, inverter) == 0
    assert volt_var_kvar(0.9, 0.5, inverter) == pytest.approx(4.4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"rated_kva": 0.0}, "rated 0.0 kVA"),
        ({"rated_kva": math.nan}, "rated nan kVA"),
        ({"rated_kva": 5.0, "power_factor": 0.0}, "power factor 0.0"),
        ({"rated_kva": 5.0, "power_factor": 1.1}, "power factor 1.1"),
        ({"rated_kva": 5.0, "power_factor": 0.9, "volt_var": CURVES["ieee-1547-b"]}, "either its voltage"),
        ({"rated_kva": 5.0, "volt_var": ((1.0, 0.0),)}, "one point"),
        ({"rated_kva": 5.0, "volt_var": ((1.0, 0.4), (1.0, 0.0))}, "voltages must rise"),
        ({"rated_kva": 5.0, "volt_var": ((0.9, 0.0), (1.0, 0.4))}, "must not rise"),
        ({"rated_kva": 5.0, "volt_var": ((0.9, 1.4), (1.0, 0.0))}, "1.4 of the rated"),
    ],
)
def test_an_inverter_that_cannot_exist_is_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(TwinError, match=re.escape(words)):
        Inverter(**arguments)


def test_twins_with_an_inverter_follow_what_they_delivered() -> None:
    inverter = Inverter(5.5, CURVES["ieee-1547-b"])
    roof = SolarTwin(np.array([0.0, 4.0, 4.0, 4.0]), 5.0, inverter)
    roof.advance(math.inf, QUARTERS[0])
    assert roof.reactive_kvar(1.08) == volt_var_kvar(1.08, 4.0, inverter) < 0
    roof.interrupt(QUARTERS[1])
    assert roof.reactive_kvar(1.08) == 0
    store = BatteryTwin(
        capacity_kwh=10,
        charge_kw=5,
        discharge_kw=4,
        charge_efficiency=1,
        discharge_efficiency=1,
        soc=0.5,
        inverter=inverter,
    )
    store.advance(-3.0, QUARTERS[0])
    assert store.reactive_kvar(0.9) == volt_var_kvar(0.9, -3.0, inverter) > 0


def test_twins_without_an_inverter_keep_to_active_power() -> None:
    for twin in (battery(), SolarTwin(np.array([1.0, 4.0]), 5.0), car(Session(0, 900, 1.0))):
        twin.advance(-1.0, QUARTERS[0])
        assert twin.reactive_kvar(1.1) == 0
