"""A car at home charges when its tariff is lowest, and pays for every quarter of an hour what that quarter costs."""

from __future__ import annotations

from decimal import Decimal

import pytest
from pytest import approx

from results.run import Run
from results.summary import render, summarise
from tests.use_cases.deal_cases import heard, net_zero, of_contract, paid, refused, signals
from tests.use_cases.library import Library
from tests.use_cases.market_cases import balance

NAME = "home-charging"
AT_ONCE = "seekers.car.device.plan=at_once"
IN_THE_END = "providers.utility-retail.items.night.billing=POST_FULFILLMENT"
NEED_KWH, AT_THE_GRID_KWH = 36.0, 40.0  # the charger's efficiency is 0.9


@pytest.fixture(scope="module")
def run(library: Library) -> Run:
    return library.run_of(NAME)


def drawn(run: Run) -> dict[int, float]:
    """kWh of the car by interval."""
    rows = run.setpoints[run.setpoints.era == "car"]
    hours = run.calendar.interval_s / 3600
    return {int(row.interval): -row.delivered_kw * hours for row in rows.itertuples() if row.delivered_kw}


def tariff(run: Run, interval: int) -> float:
    """The tariff of the scenario, by hand."""
    minute = run.calendar.minute_of_day(interval * run.calendar.interval_s)
    if minute >= 23 * 60 or minute < 6 * 60:
        return 0.10
    return 0.20 if 17 * 60 <= minute < 21 * 60 else 0.15


def served(run: Run) -> float:
    (kwh,) = run.sessions.served_kwh
    return float(kwh)


def test_the_car_is_full_when_it_leaves_and_has_drawn_in_the_cheapest_hours_alone(run: Run) -> None:
    assert served(run) == approx(NEED_KWH)
    assert sum(drawn(run).values()) == approx(AT_THE_GRID_KWH)
    assert {tariff(run, interval) for interval in drawn(run)} == {0.10}


def test_the_bill_is_the_tariff_of_every_quarter_and_value_added_tax_goes_to_the_government(run: Run) -> None:
    """40 kWh at 0.10 are 4.00, and 19 % of it 0.76."""
    assert paid(run, "energy") == Decimal("4.00")
    assert balance(run, "treasury", "tax") == Decimal("0.76")
    assert balance(run, "car") == Decimal("-4.76")
    assert net_zero(run)
    for contract in of_contract(heard(run, "car", "on_update")):
        told = signals(contract)
        if told.get("consumedKWh"):
            start = contract["contractAttributes"]["timeWindow"]["start"]
            assert told["pricePerKWh"] == tariff(run, run.calendar.index_at(run.calendar.seconds(start)))


@pytest.mark.parametrize("plan", [[], [AT_ONCE]], ids=["cheapest", "at once"])
def test_incremental_cycles_come_to_the_same_cent_as_one_bill_at_the_end(library: Library, plan: list[str]) -> None:
    each, once = library.run_of(NAME, *plan), library.run_of(NAME, IN_THE_END, *plan)
    assert len(each.postings) > len(once.postings) == 2
    for term in ("energy", "tax"):
        assert paid(each, term) == paid(once, term)


def test_a_plan_costs_no_more_than_charging_at_once_and_both_are_done_in_time(library: Library, run: Run) -> None:
    at_once = library.run_of(NAME, AT_ONCE)
    assert served(at_once) == approx(NEED_KWH)
    assert min(drawn(at_once)) < min(drawn(run))
    assert balance(at_once, "car") < balance(run, "car") < 0


def test_the_transformer_has_seen_the_plan(library: Library, run: Run) -> None:
    """Its peak is the charger's 7.4 kW either way; at midnight only the plan draws it."""
    midnight = (7 * 3600) // run.calendar.interval_s
    flows = {}
    for name, one in (("plan", run), ("at once", library.run_of(NAME, AT_ONCE))):
        rows = one.nodes[one.nodes.node == "trafo"].sort_values("interval").wire_lv_kw
        flows[name] = float(rows.iloc[midnight])
        assert max(rows) == approx(7.4, abs=0.1)
    assert flows["plan"] == approx(7.4, abs=0.1)
    assert flows["at once"] == approx(0, abs=0.1)


def test_a_target_that_cannot_be_met_is_reported_and_the_best_is_done(library: Library) -> None:
    """The charger is set at 18:15, for the car came at 18:10: 3 h 45 min · 7.4 kW · 0.9 = 25.0 kWh of the 36 that are needed."""
    run = library.run_of(NAME, "seekers.car.device.leaves='22:00'", "seekers.car.errands.0.to='22:00'")
    best_kwh = 3.75 * 7.4 * 0.9
    assert served(run) == approx(best_kwh)
    (missing,) = run.sessions.unserved_kwh
    assert missing == approx(NEED_KWH - best_kwh)
    assert "unserved 11.0 kWh in 1" in render(summarise(run))


def test_a_car_that_leaves_early_pays_for_what_it_has_got(library: Library) -> None:
    """From 18:15 to 20:10 at 7.4 kW, all of it before 21:00 at 0.20."""
    run = library.run_of(NAME, AT_ONCE, "seekers.car.device.leaves='20:10'")
    assert served(run) == approx(115 / 60 * 7.4 * 0.9)
    assert paid(run, "energy") == approx(Decimal("2.84"))


def test_what_is_drawn_before_the_window_is_not_of_this_contract(library: Library) -> None:
    """The car charges from 18:15, the contract begins at 19:00: three quarters of an hour are somebody else's."""
    run = library.run_of(NAME, AT_ONCE, "seekers.car.errands.0.from='19:00'")
    before_kwh, dear_kwh, middle_kwh = 7.4 * 45 / 60, 2 * 7.4, 2 * 7.4
    cheap_kwh = AT_THE_GRID_KWH - before_kwh - dear_kwh - middle_kwh
    expected = 0.20 * dear_kwh + 0.15 * middle_kwh + 0.10 * cheap_kwh
    assert paid(run, "energy") == approx(Decimal(f"{expected:.2f}"), abs=Decimal("0.01"))


def test_a_reading_that_is_late_is_waited_for_and_changes_no_bill(library: Library, run: Run) -> None:
    delay = "wire.delays=[{from: metering, by_s: 1500, since: '2016-05-17T23:44:00', until: '2016-05-17T23:46:00'}]"
    assert balance(library.run_of(NAME, delay), "car") == balance(run, "car")


def test_readings_that_never_come_are_billed_as_agreed_flagged_and_never_as_nothing(library: Library) -> None:
    """40 kWh from 18:15 to 07:00, as much in every minute: 165 min at 0.20, 120 + 60 at 0.15, 420 at 0.10."""
    run = library.run_of(NAME, "wire.delays=[{from: metering, by_s: 90000}]")
    final = list(of_contract(heard(run, "car", "on_update")))[-1]
    assert signals(final)["estimated"] == 51
    spread = 40 / 765 * (165 * 0.20 + 180 * 0.15 + 420 * 0.10)
    assert paid(run, "energy") == approx(Decimal(f"{spread:.2f}"), abs=Decimal("0.01"))
    readings = final["performance"][0]["performanceAttributes"]["meterReadings"]
    assert readings[0]["quality"] == "ESTIMATED"


def test_readings_that_come_after_an_estimate_put_it_right(library: Library, run: Run) -> None:
    delay = "wire.delays=[{from: metering, by_s: 9000, since: '2016-05-17T23:40:00', until: '2016-05-18T00:50:00'}]"
    late = library.run_of(NAME, delay)
    cycles = [signals(c) for c in of_contract(heard(late, "car", "on_update"))]
    assert any("estimated" in told for told in cycles)
    assert "estimated" not in cycles[-1]
    assert balance(late, "car") == balance(run, "car")


def test_energy_that_no_meter_is_named_for_is_refused(library: Library) -> None:
    run = library.run_of(NAME, "seekers.car.errands.0.meter=null")
    assert refused(run) == [("car", "utility-retail", "init", "SCH_REQUIRED_FIELD_MISSING")]


def test_a_meter_that_nobody_knows_is_refused_before_anything_is_agreed(library: Library) -> None:
    run = library.run_of(NAME, "seekers.car.errands.0.meter=cellar")
    assert refused(run) == [("car", "utility-retail", "init", "NET_ENTITY_NOT_FOUND")]
    assert len(run.postings) == 0


def test_the_summary_of_a_run_without_a_market_speaks_of_none(run: Run) -> None:
    told = render(summarise(run))
    assert "home-charging: no market, seed 1" in told
    assert "44 postings sum to 0.00 EUR" in told
    assert "1 sessions, 1 finished · served 36.0 of 36.0 kWh" in told
    for word in ("prices", "congestion rent", "clearing"):
        assert word not in told
