"""A car, roofs, a battery and households clear a price for each half hour: the sequence, the charging, and the money."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from pytest import approx

from results.metrics import METRICS
from results.run import Run
from results.verify import verify
from sim.wire.codec import decode
from sim.wire.codes import Refusal
from tests.use_cases.market_cases import Cases, Live, actions, balance, balances, cases, cleared, price, said

PEOPLE = ("car-01", "pv-01", "battery-01", "house-01")


@pytest.fixture(scope="module")
def run_morning(tmp_path_factory: pytest.TempPathFactory) -> Cases:
    return cases("smart-charging", tmp_path_factory)


def moments(run: Run, action: str, sender: str, recipient: str) -> list[int]:
    """The simulated seconds at which messages of one kind arrived."""
    found = []
    for record in run.message_records(action):
        context = record["body"]["context"]
        ends = (
            (context["bppId"], context["bapId"]) if action.startswith("on_") else (context["bapId"], context["bppId"])
        )
        if ends == (sender, recipient):
            found.append(record["t"])
    return found


# --- the sequence ---------------------------------------------------------------------------------------------------


def test_no_price_is_asked_for_or_told_before_the_gate(run_morning: Cases) -> None:
    """Nobody selects; the offer names the model, the gate and an open role, and no price."""
    run = run_morning()
    assert actions(run).isdisjoint({"select", "on_select"})
    for era in PEOPLE:
        (offered,) = said(run, "on_discover", "market", era)
        (offer,) = [
            o["offerAttributes"]
            for o in offered["message"]["catalogs"][0]["offers"]
            if o["offerAttributes"]["openRole"] == "PROSUMER"
        ]
        assert (offer["pricingModel"], offer["gateBefore"]) == ("PAY_AS_CLEAR", "PT120S")
        assert "price" not in offer
        assert "offerCurve" not in json.dumps(said(run, "discover", era))


def test_the_market_has_every_meter_approved_by_its_utility_in_the_lineage_of_the_application(
    run_morning: Cases,
) -> None:
    run = run_morning()
    for era in PEOPLE:
        (applied,) = said(run, "init", era, "market")
        (forwarded,) = [
            body
            for body in said(run, "init", "market", "utility")
            if body["message"]["contract"]["commitments"][0]["resources"][0]["id"] == era
        ]
        asked = applied["context"]
        lineage = json.dumps(forwarded["context"])
        assert asked["messageId"] in lineage
        assert asked["transactionId"] in lineage
        assert forwarded["context"]["transactionId"] != asked["transactionId"]
        (terms,) = said(run, "on_init", "market", era)
        inputs = terms["message"]["contract"]["contractAttributes"]["inputParameters"]
        assert (inputs["approvedMaxImportKW"], inputs["wheelingPerKWh"], inputs["feePerKWh"]) == (43.6, 0.02, 0.005)


def test_curves_then_gate_then_clearing_then_lock_then_word_to_everybody(run_morning: Cases) -> None:
    run = run_morning()
    gates = [k * 1800 - 120 for k in range(4)]
    (curves,) = {tuple(moments(run, "confirm", era, "market")) for era in ("pv-01", "house-01")}
    locks = moments(run, "confirm", "market", "utility")
    locked = moments(run, "on_confirm", "utility", "market")
    told = moments(run, "on_confirm", "market", "car-01")
    aggregated = moments(run, "on_aggregate", "market", "market")
    for k, gate in enumerate(gates):
        assert curves[k] < gate < aggregated[k] < locks[k] < locked[k] < told[k] < gate + 120


def test_every_kilowatt_hour_is_locked_as_it_was_cleared(run_morning: Cases) -> None:
    run = run_morning()
    for index, body in enumerate(said(run, "confirm", "market", "utility")):
        locks = {
            c["resources"][0]["id"]: c["resources"][0]["quantity"]["value"]
            for c in body["message"]["contract"]["commitments"]
        }
        assert sum(locks.values()) == approx(0, abs=1e-6)
        assert locks == approx({era: cleared(run, era)[index] / 2 for era in locks}, abs=1e-6)


def test_every_outcome_carries_its_certificate(run_morning: Cases) -> None:
    for body in said(run_morning(), "on_aggregate"):
        result = body["message"]["aggregationResult"]
        assert result["certificate"] == {"certified": True, "violations": []}


def test_a_committed_curve_is_not_changed_any_more() -> None:
    live = Live("smart-charging")
    live.until(-200)
    (sent,) = [m["body"] for m in live.messages("confirm") if m["body"]["context"]["bapId"] == "pv-01"]
    (role,) = sent["message"]["contract"]["contractAttributes"]["roles"]
    before = live.market.membership.books[0].offers["pv-01"]
    role["roleInputs"]["offerCurve"]["curve"] = [{"price": 0.2, "powerKW": 0.0}]
    sent["context"]["messageId"] = sent["context"]["transactionId"]
    message = decode("confirm", json.dumps(sent).encode(), seconds=live.built.world.calendar.seconds)
    with pytest.raises(Refusal) as refused:
        list(live.market.handle(message))
    assert refused.value.code == "PRC_CONFLICT"
    assert live.market.membership.books[0].offers["pv-01"] is before


# --- charging -------------------------------------------------------------------------------------------------------


def test_the_price_falls_as_the_sun_comes_and_the_car_has_what_it_wants_when_it_leaves(run_morning: Cases) -> None:
    run = run_morning()
    assert price(run) == approx([0.40, 0.30, 0.2526, 0.08], abs=1e-4)
    (stay,) = run.sessions.to_dict("records")
    assert stay["need_kwh"] == approx(14.4)
    assert stay["served_kwh"] == approx(14.4)
    charged = -run.setpoints[run.setpoints.era == "car-01"].delivered_kw.sum() / 2
    assert charged == approx(14.4 / 0.9)


def test_the_battery_sells_where_it_is_dear_and_buys_where_it_is_cheap(run_morning: Cases) -> None:
    first, *_, last = cleared(run_morning(), "battery-01")
    assert (first, last) == (5, -5)


def test_charging_by_curve_is_cheaper_than_plugging_in(run_morning: Cases) -> None:
    smart, naive = run_morning(), run_morning("populations.car.optimiser=rule")
    assert sum(cleared(naive, "car-01")) == approx(sum(cleared(smart, "car-01")))
    assert balance(smart, "car-01") > balance(naive, "car-01") + Decimal("0.50")


# --- money ----------------------------------------------------------------------------------------------------------


def test_the_car_pays_energy_wheeling_and_fee_of_what_it_drew(run_morning: Cases) -> None:
    run = run_morning()
    kwh = [-kw / 2 for kw in cleared(run, "car-01")]
    energy = sum(Decimal(str(p)) * Decimal(str(e)) for p, e in zip(price(run), kwh, strict=True))
    assert balance(run, "car-01", "energy") == approx(-energy, abs=Decimal("0.005"))
    assert balance(run, "car-01", "wheeling") == Decimal("-0.32")
    assert balance(run, "car-01", "fee") == Decimal("-0.08")
    assert balance(run, "car-01", "deviation") == 0


def test_money_is_even_and_the_market_keeps_its_fee(run_morning: Cases) -> None:
    run = run_morning()
    assert sum(balances(run).values()) == 0
    assert abs(balance(run, "market") - balance(run, "market", "fee")) <= Decimal("0.02")
    assert balance(run, "market", "fee") > 0


def test_roofs_that_gave_less_or_more_than_they_sold_settle_it_with_the_grid_operator(run_morning: Cases) -> None:
    run = run_morning()
    rows = run.setpoints[run.setpoints.era == "pv-01"]
    more_kwh = [(d - c) / 2 for d, c in zip(rows.delivered_kw, rows.setpoint_kw, strict=True)]
    owed = sum(
        kwh * (0.08 - 0.03) if kwh > 0 else kwh * (tariff + 0.03)
        for kwh, tariff in zip(more_kwh, (0.4, 0.4, 0.3, 0.3), strict=True)
    )
    assert float(balance(run, "pv-01", "deviation")) == approx(owed, abs=0.01)


# --- what goes wrong ------------------------------------------------------------------------------------------------


def test_readings_of_the_last_dear_half_hour_that_come_in_the_cheap_hour_are_settled_at_the_dear_tariff(
    run_morning: Cases,
) -> None:
    punctual = run_morning()
    run = run_morning(
        "wire.delays=[{from: metering, action: on_status, by_s: 2000, since: '2016-05-17T09:59:00', until: '2016-05-17T10:01:00'}]"
    )
    assert list(run.intervals.import_price) == list(punctual.intervals.import_price) == [0.4, 0.4, 0.3, 0.3]
    assert {era: approx(owed, abs=Decimal("0.01")) for era, owed in balances(punctual).items()} == balances(run)
    assert verify(run).findings == 0


def test_a_car_that_wants_more_than_it_can_charge_does_its_best_and_is_reported_short(run_morning: Cases) -> None:
    """45 kWh in two hours at 11 kW: it asks for all it can at any price, and lacks 45 − 19.8 kWh."""
    run = run_morning("populations.car.distance_km=250")
    assert cleared(run, "car-01") == approx([-11] * 4)
    curves = [
        body["message"]["contract"]["contractAttributes"]["roles"][0]["roleInputs"]["offerCurve"]["curve"]
        for body in said(run, "confirm", "car-01", "market")
    ]
    assert all(curve[-1]["powerKW"] == -11 or curve[-1]["price"] >= 4 for curve in curves)
    assert METRICS["ev_unserved_kwh"].measure(run) == approx(45 - 19.8)
    assert METRICS["ev_missed_deadlines"].measure(run) == 1
    assert verify(run).findings == 0


def test_a_driver_who_leaves_early_is_charged_for_what_was_charged_and_deviates_by_the_rest(run_morning: Cases) -> None:
    run = run_morning("populations.car.departure_sd_h=1")
    (stay,) = run.sessions.to_dict("records")
    assert stay["departure_s"] < 7200
    assert stay["served_kwh"] < 14.4
    metered = -run.setpoints[run.setpoints.era == "car-01"].energy_wh.sum() / 1000
    assert metered == approx(stay["served_kwh"] / 0.9, abs=0.002)
    assert balance(run, "car-01", "wheeling") == approx(Decimal(-metered * 0.02), abs=Decimal("0.006"))
    assert sum(balances(run).values()) == 0
    assert verify(run).findings == 0
