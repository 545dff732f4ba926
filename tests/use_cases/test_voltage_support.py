"""Volt-var inverters at the end of a line: the band is kept by reactive power alone, and left without it."""

from __future__ import annotations

import pytest
from pytest import approx

from agents.twins.inverter import CURVES, OVERSIZE, Inverter, volt_var_kvar
from results.metrics import METRICS
from results.run import Run
from tests.use_cases.market_cases import Cases, balance, balances, cases

NO_SUPPORT = "populations.pv.volt_var=none"


@pytest.fixture(scope="module")
def run_line(tmp_path_factory: pytest.TempPathFactory) -> Cases:
    return cases("voltage-support", tmp_path_factory)


def at_the_end(run: Run) -> list[float]:
    return list(run.voltages[run.voltages.bus == "line3"].sort_values("interval").v_pu)


def metric(run: Run, name: str) -> float:
    return METRICS[name].measure(run)


def injected_kwh(run: Run) -> float:
    return float(run.setpoints[run.setpoints.era.str.startswith("pv")].delivered_kw.sum() / 4)


def test_with_support_every_bus_stays_within_the_band_and_without_it_does_not(run_line: Cases) -> None:
    """The band of this line is 1.055 per unit at most."""
    assert max(at_the_end(run_line())) < 1.055
    assert metric(run_line(), "voltage_outside_bus_min") == 0
    assert min(at_the_end(run_line(NO_SUPPORT))) > 1.055
    assert metric(run_line(NO_SUPPORT), "voltage_outside_bus_min") == 60


def test_the_quality_of_the_voltage_is_a_number_of_the_run(run_line: Cases) -> None:
    """Mean of |V − 1| over buses and intervals."""
    with_support, without = (metric(run_line(*over), "voltage_deviation_pu") for over in ((), (NO_SUPPORT,)))
    rows = run_line().voltages
    assert with_support == approx(sum(abs(v - 1) for v in rows.v_pu) / len(rows))
    assert with_support < without - 0.005


def test_support_costs_no_sun_and_some_losses(run_line: Cases) -> None:
    assert injected_kwh(run_line()) == approx(injected_kwh(run_line(NO_SUPPORT)))
    assert metric(run_line(), "losses_kwh") > metric(run_line(NO_SUPPORT), "losses_kwh")


def test_every_inverter_is_on_its_characteristic_at_its_own_voltage(run_line: Cases) -> None:
    """VDE-AR-N 4105: reactive power out of the grid above 1.03 per unit; here beside active power, within the rating."""
    run = run_line()
    voltages = dict(enumerate(at_the_end(run)))
    rows = run.setpoints[run.setpoints.era.str.startswith("pv")]
    inverter = Inverter(OVERSIZE * 40, CURVES["vde-ar-n-4105"])
    for row in rows.itertuples():
        assert row.q_kvar < -5
        assert row.q_kvar == approx(volt_var_kvar(voltages[row.interval], row.delivered_kw, inverter), abs=0.05)


def test_without_support_a_market_that_heeds_voltages_sells_less_sun(run_line: Cases) -> None:
    run = run_line(NO_SUPPORT, "market.policy=locational")
    assert max(at_the_end(run)) < 1.0555
    assert injected_kwh(run) < 0.9 * injected_kwh(run_line())
    assert list(run.intervals.rounds) == [2] * 4


def test_the_plants_are_paid_for_what_they_sell_and_the_books_are_even(run_line: Cases) -> None:
    run = run_line()
    assert sum(balances(run).values()) == 0
    assert float(balance(run, "pv-01") + balance(run, "pv-02")) == approx(0.08 * injected_kwh(run), abs=0.3)
