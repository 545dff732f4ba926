"""Roofs that sell to a consumer through a market: the published curves, the clearing they have, and what goes wrong.

The curves are those of the Digital Energy Grid's examples; the clearings are recomputed, for the published ones do not balance
(tests/golden/published_clearings.json).
"""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pytest import approx

from agents.member import commitment, lock_content
from agents.rounds import Stage
from results.run import Run
from results.summary import render as summary_text
from results.summary import summarise
from results.verify import verify
from scenarios.bound import cost_of, horizon_for
from scenarios.reader import read
from sim.errors import ScenarioError
from sim.forms import window_of
from sim.market.certificate import certify
from sim.market.horizon import plan
from sim.market.policies import POLICIES
from sim.market.wire_form import read_problem
from sim.rng import identifier
from sim.wire.codec import decode
from sim.wire.codes import Refusal
from sim.wire.messages import Message
from tests.use_cases.market_cases import (
    USE_CASES,
    Cases,
    Live,
    actions,
    balance,
    balances,
    cases,
    cleared,
    price,
    said,
    unread,
)

GOLDEN = Path(__file__).parents[1] / "golden"
SOLAR, EV = [[0.05, 0], [0.06, 2], [0.07, 5]], [[0.08, -11], [0.1, -5], [0.12, 0]]
HOUR = ("interval_min=60",)


@pytest.fixture(scope="module")
def run_market(tmp_path_factory: pytest.TempPathFactory) -> Cases:
    return cases("peer-to-peer-market", tmp_path_factory)


def evs(count: int) -> tuple[str, ...]:
    """Cars by the published curve in the place of the consumer."""
    stated = (f"populations.consumer.points={json.dumps(EV)}", f"populations.consumer.count={count}")
    return (*stated, "populations.consumer.resource_type=EV")


# --- numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "price_per_kwh", "quantity_kw", "each_kw"),
    [
        ((), 0.06375, 31.25, 3.125),
        (("populations.roof.count=2",), 0.0682142857, 8.9285714286, 4.4642857143),
        (("populations.roof.count=2", *evs(1)), 0.0833333333, 10, 5),
        (("populations.roof.count=1", *evs(1)), 0.10, 5, 5),
        (("populations.roof.count=20", *evs(10)), 0.0833333333, 100, 5),
    ],
    ids=["10 roofs", "2 roofs", "2 roofs and a car", "1 roof and a car", "20 roofs and 10 cars"],
)
def test_the_published_curves_clear_where_they_meet(
    run_market: Cases, overrides: tuple[str, ...], price_per_kwh: float, quantity_kw: float, each_kw: float
) -> None:
    run = run_market(*overrides)
    assert price(run) == approx([price_per_kwh] * 4, abs=1e-9)
    assert list(run.intervals.quantity_kw) == approx([quantity_kw] * 4)
    assert cleared(run, "roof-01") == approx([each_kw] * 4)
    assert cleared(run, "retailer") == approx([0] * 4, abs=1e-9)


def test_a_step_in_the_place_of_lines_clears_in_the_middle_of_the_prices_that_would_do(run_market: Cases) -> None:
    """Supply at or above its price, demand at or below: 5 kW balance on (0.08, 0.10]."""
    steps = ("populations.consumer.interpolation=STEP", "populations.roof.interpolation=STEP")
    run = run_market("populations.roof.count=1", *evs(1), *steps)
    assert price(run) == approx([0.09] * 4)
    assert cleared(run, "roof-01") == approx([5] * 4)
    two = run_market("populations.roof.count=2", *evs(1), *steps)
    assert price(two) == approx([0.08] * 4)
    assert cleared(two, "consumer-01") == approx([-10] * 4)


def test_more_roofs_than_the_consumer_s_connection_can_take_sell_up_to_its_cap(run_market: Cases) -> None:
    """50 kW would be wanted below 0.06, 45 are approved."""
    run = run_market("populations.roof.count=40")
    (approved,) = said(run, "on_init", "market", "consumer-01")
    assert approved["message"]["contract"]["contractAttributes"]["inputParameters"]["approvedMaxImportKW"] == 45
    assert cleared(run, "consumer-01") == approx([-45] * 4)
    problem = read_problem(said(run, "aggregate")[0], "aggregate")
    assert {offer.curve.min_kw for offer in problem.offers if offer.era == "consumer-01"} == {-45}


# --- the wire -------------------------------------------------------------------------------------------------------


def test_nobody_selects_and_no_price_is_told_before_the_curves_are_committed(run_market: Cases) -> None:
    run = run_market()
    assert "select" not in actions(run)
    offered = [
        offer["offerAttributes"]
        for body in said(run, "on_discover", "market")
        for catalog in body["message"]["catalogs"]
        for offer in catalog["offers"]
    ]
    assert {offer["pricingModel"] for offer in offered} == {"PAY_AS_CLEAR"}
    assert all("price" not in offer and "clearingPrice" not in offer for offer in offered)
    asked = said(run, "discover", "roof-01")
    assert asked
    assert all(set(body["message"]["intent"]) == {"textSearch"} for body in asked)  # no curve


def test_the_price_comes_with_the_confirmation_and_shows_nobody_another_s_curve(run_market: Cases) -> None:
    confirmed = said(run_market(), "on_confirm", "market", "roof-01")
    assert len(confirmed) == 4
    for body in confirmed:
        attributes = body["message"]["contract"]["contractAttributes"]
        (signal,) = attributes["inputSignals"]
        assert (signal["price"], signal["clearedPowerKW"]) == (approx(0.06375), approx(3.125))
        assert "offerCurve" not in json.dumps(body)
        assert "roof-02" not in json.dumps(body)


def test_every_contract_is_between_one_participant_and_the_market(run_market: Cases) -> None:
    run = run_market()
    ids = {era: _contract_of(run, era) for era in ("consumer-01", *(f"roof-{n:02d}" for n in range(1, 11)))}
    assert len(set(ids.values())) == 11


def _contract_of(run: Run, era: str) -> str:
    (body,) = said(run, "on_init", "market", era)
    found: str = body["message"]["contract"]["id"]
    return found


def test_meters_are_read_while_the_window_still_runs(run_market: Cases) -> None:
    readings = said(run_market(), "on_status", "metering", "roof-01")
    windows = [
        body["message"]["contract"]["performance"][0]["performanceAttributes"]["meterReadings"][0]["timeWindow"]["end"]
        for body in readings
    ]
    assert [end[11:16] for end in windows] == ["12:15", "12:30", "12:45", "13:00"]


# --- money ----------------------------------------------------------------------------------------------------------


def test_everybody_pays_and_earns_for_one_hour_of_it(run_market: Cases) -> None:
    """31.25 kWh at 0.06375 are 1.99, wheeling at 0.025 is 0.78, and the fee at 0.002 is 0.06 and 10 times 0.01."""
    run = run_market()
    assert balance(run, "consumer-01", "energy") == Decimal("-1.9900")
    assert balance(run, "consumer-01", "wheeling") == Decimal("-0.7800")
    assert balance(run, "consumer-01", "fee") == Decimal("-0.0600")
    assert {balance(run, f"roof-{n:02d}") for n in range(1, 11)} == {Decimal("0.1900")}
    assert sum(balances(run).values()) == 0
    assert balance(run, "utility", "wheeling") == Decimal("0.7800")


def test_two_roofs_and_a_car_pay_the_published_fee(run_market: Cases) -> None:
    """1 h, fee 0.01: the car −0.933333, the roofs +0.366667 each, the market +0.20; sums are kept and cents are posted."""
    free = ("tariffs.wheeling_per_kwh=0", "tariffs.fee_per_kwh=0.01")
    run = run_market("populations.roof.count=2", *evs(1), *HOUR, *free)
    assert balance(run, "consumer-01") == approx(Decimal("-0.933333"), abs=Decimal("0.01"))
    assert balance(run, "roof-01") == approx(Decimal("0.366667"), abs=Decimal("0.01"))
    assert balance(run, "market", "fee") == Decimal("0.20")
    assert abs(balance(run, "market", "energy")) <= Decimal("0.01")


def test_the_retailer_is_paid_for_what_the_wires_lose_and_for_nothing_else(run_market: Cases) -> None:
    run = run_market()
    lost_kwh = (run.intervals.losses_kw * 0.25).sum()
    assert balance(run, "retailer") == approx(Decimal(lost_kwh * 0.12), abs=Decimal("0.005"))


def test_the_transformer_carries_the_losses_of_the_lane_alone(run_market: Cases) -> None:
    run = run_market()
    assert (run.nodes.wire_lv_kw.abs() < 0.05).all()
    assert (run.nodes.binding == "").all()


# --- what was published ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("roofs", "case"), [(1, "seed-p2p-market-linear"), (10, "deg-p2p-10-prosumers")])
def test_the_published_clearing_of_this_market_is_refused_and_ours_is_certified(
    run_market: Cases, roofs: int, case: str
) -> None:
    """0.0625 and −50 against 5 kW: nobody is on his curve there, and with one roof 45 kW are missing."""
    stored = json.loads((GOLDEN / "published_clearings.json").read_text())["cases"]
    published = next(one for one in stored if one["id"] == case)
    run = run_market(f"populations.roof.count={roofs}", "populations.consumer.connection_kw=60")
    problem = read_problem(said(run, "aggregate")[0], "aggregate")
    clearing = POLICIES["pay-as-clear"].clear(problem)
    assert certify(problem, clearing).certified
    eras = [offer.era for offer in problem.offers if offer.era != "retailer"]
    stated = dict(zip(eras, published["setpoint_kw"].values(), strict=True))
    claimed = replace(
        clearing,
        price_per_kwh=dict.fromkeys(clearing.price_per_kwh, published["price"]),
        participant_price=dict.fromkeys(clearing.participant_price, published["price"]),
        setpoint_kw={**dict.fromkeys(clearing.setpoint_kw, 0.0), **stated},
    )
    certificate = certify(problem, claimed)
    assert not certificate.certified
    assert set(published["breaks"]) <= {found.condition for found in certificate.violations}


# --- failures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "overrides", [("populations.consumer.count=0",), ("populations.roof.count=0",), ("populations.roof.count=1",)]
)
def test_where_nothing_crosses_there_is_no_price_nothing_flows_and_nobody_pays(
    run_market: Cases, overrides: tuple[str, ...]
) -> None:
    """All sellers, all buyers, and a single participant."""
    lonely = ("populations.consumer.count=0",) if overrides[0].endswith("roof.count=1") else ()
    run = run_market(*overrides, *lonely)
    assert all(math.isnan(value) for value in price(run))
    assert list(run.intervals.quantity_kw) == [0] * 4
    assert (run.setpoints.delivered_kw.dropna() == 0).all()
    assert run.postings[run.postings.term != "losses and imbalance"].empty
    assert verify(run).findings == 0


def test_without_a_crossing_everybody_is_told_zero_and_no_price(run_market: Cases) -> None:
    for body in said(run_market("populations.consumer.count=0"), "on_confirm", "market", "roof-01"):
        (signal,) = body["message"]["contract"]["contractAttributes"]["inputSignals"]
        assert signal["clearedPowerKW"] == 0
        assert "price" not in signal


@pytest.mark.parametrize(
    ("override", "what"),
    [
        ("populations.roof.points=[[0.05,0],[0.06,-5]]", "falls from 0 kW at 0.05 to -5 kW at 0.06"),
        ("populations.roof.points=[[0.08,10],[0.06,5]]", "price 0.06 comes after price 0.08"),
        ("populations.roof.points=[]", "expected 1 or more"),
    ],
)
def test_a_curve_that_is_none_is_told_with_its_place(run_market: Cases, override: str, what: str) -> None:
    with pytest.raises(ScenarioError) as refused:
        run_market(override)
    (fault,) = refused.value.faults
    assert fault.where.startswith("populations[1]")
    assert what in str(fault)


CURVE = "/message/contract/contractAttributes/roles/0/roleInputs/offerCurve"


@pytest.mark.parametrize(
    ("change", "code", "where"),
    [
        ({"currency": "INR"}, "POL_CURVE_INVALID", "/currency"),
        ({"curve": [{"price": 0.3, "powerKW": 0}, {"price": 0.2, "powerKW": 5}]}, "POL_CURVE_INVALID", "/curve/1"),
        ({"curve": [{"price": 0.2, "powerKW": 5}, {"price": 0.3, "powerKW": 0}]}, "POL_CURVE_NOT_MONOTONE", "/curve/1"),
        ({"curve": [{"price": 0.2, "powerKW": "five"}]}, "SCH_INVALID_FORMAT", "/curve/0/powerKW"),
        ({"curve": []}, "SCH_SCHEMA_VALIDATION_FAILED", "/curve"),
    ],
)
def test_a_curve_that_the_market_cannot_read_is_refused_with_its_place_and_the_round_goes_on(
    change: dict[str, Any], code: str, where: str
) -> None:
    live = Live("peer-to-peer-market")
    live.until(-200)
    book = live.market.membership.books[0]
    (sent,) = [m["body"] for m in live.messages("confirm") if m["body"]["context"]["bapId"] == "roof-01"]
    (role,) = sent["message"]["contract"]["contractAttributes"]["roles"]
    role["roleInputs"]["offerCurve"] |= change
    del book.offers["roof-01"], book.messages["roof-01"]
    with pytest.raises(Refusal) as refused:
        live.market.handle(decode("confirm", json.dumps(sent).encode(), seconds=live.built.world.calendar.seconds))
    assert (refused.value.code, refused.value.where) == (code, CURVE + where)
    live.to_the_end()
    assert live.market.rounds[3].stage is Stage.PUBLISHED


def test_hours_are_kept_past_midnight(run_market: Cases) -> None:
    """From 12:30 one day to 12:15 the next: not for the second quarter."""
    run = run_market("populations.roof.from='12:30'", "populations.roof.to='12:15'")
    rows = run.setpoints[run.setpoints.era == "roof-01"]
    assert list(rows.delivered_kw) == approx([3.125, 0, 3.125, 3.125])


# --- in hindsight ---------------------------------------------------------------------------------------------------


def test_the_market_costs_no_more_than_the_best_plan_but_for_what_the_wires_lose(run_market: Cases) -> None:
    """The best plan knows the curves too; what it does not know is that lines lose energy."""
    run = run_market()
    horizon = horizon_for(read(USE_CASES / "peer-to-peer-market.yaml"))
    lost = float((run.intervals.losses_kw * 0.25).sum()) * 0.12
    assert cost_of(run, horizon).total == approx(sum(plan(horizon).costs.values()) + lost, abs=1e-3)


def test_an_oracle_does_what_the_curves_say(run_market: Cases) -> None:
    assert list(run_market("market.policy=oracle").intervals.quantity_kw) == approx([31.25] * 4)


# --- failures on the wire -------------------------------------------------------------------------------------------

NINE = 0.0641558442  # 5000 (0.07 − p) = 9 (2 + 300 (p − 0.06))


def test_a_curve_that_comes_after_the_gate_is_refused_and_the_others_trade_without_it(run_market: Cases) -> None:
    late = "wire.delays=[{from: roof-01, action: confirm, by_s: 240}]"
    run = run_market(late)
    refused = [r["error"]["errorCode"] for r in run.message_records("confirm") if r["ack"] != "ACK"]
    assert refused == ["BIZ_GATE_CLOSED"] * 4
    assert price(run) == approx([NINE] * 4)
    own = run.setpoints[run.setpoints.era == "roof-01"]
    assert (own.delivered_kw == 0).all()
    assert balance(run, "roof-01") == 0
    assert verify(run).findings == 0


def locked_elsewhere(live: Live, *eras: str) -> None:
    """Another host locks energy of these meters for the first interval, just before its gate."""

    def lock(_: Any) -> None:
        window = window_of(live.built.world.calendar, 0)
        for era in eras:
            content = lock_content(identifier(1, "lock", era), (commitment(era, "lock", 0.1),), window)
            ids = identifier(1, "t", era), identifier(1, "m", era)
            list(live.agent("utility").handle(Message("confirm", "elsewhere", "utility", *ids, content)))

    live.built.world.bus.at(-130, lock)


def test_a_meter_whose_energy_is_sold_elsewhere_is_dropped_and_the_others_clear_once_more() -> None:
    live = Live("peer-to-peer-market")
    locked_elsewhere(live, "roof-01")
    live.until(0)
    done = live.market.rounds[0]
    assert (done.stage, done.dropped, done.number) == (Stage.PUBLISHED, "roof-01", 2)
    assert done.clearing is not None
    assert done.clearing.price_per_kwh["grid"] == approx(NINE)
    assert done.clearing.setpoint_kw["roof-01"] == 0
    assert 0 not in live.agent("roof-01").awarded
    assert live.agent("roof-02").awarded[0].cleared_kw == approx(-done.clearing.setpoint_kw["consumer-01"] / 9)
    (refused,) = live.nacks("confirm")
    assert refused["error"]["errorCode"] == "BIZ_CAP_EXCEEDED"
    told = live.said("on_confirm", "roof-01")
    assert [body["error"]["errorCode"] for body in told] == ["BIZ_CAP_EXCEEDED"]


def test_who_was_dropped_is_back_at_the_next_gate_and_has_paid_nothing() -> None:
    live = Live("peer-to-peer-market")
    locked_elsewhere(live, "roof-01")
    live.to_the_end()
    assert sorted(live.agent("roof-01").awarded) == [1, 2, 3]
    earned = {e: sum(p.amount for p in live.ledger(e) if p.payee == e) for e in ("roof-01", "roof-02")}
    assert earned["roof-01"] < earned["roof-02"]
    assert live.market.held == []


def test_a_second_meter_that_cannot_be_locked_fails_the_round_and_nobody_is_awarded() -> None:
    live = Live("peer-to-peer-market")
    locked_elsewhere(live, "roof-01", "roof-02")
    live.to_the_end()
    assert len(live.nacks("confirm")) == 2
    assert all(0 not in live.agent(era).awarded for era in ("consumer-01", "roof-01", "roof-03"))
    assert {p.interval for p in live.ledger("consumer-01")} == {1, 2, 3}


def test_one_meter_is_enrolled_with_one_host_alone() -> None:
    live = Live("peer-to-peer-market")
    live.until(-300)
    (applied,) = [m for m in live.messages("init") if m["body"]["context"]["bapId"] == "roof-01"]
    message = decode("init", json.dumps(applied["body"]).encode())
    other = Message("init", "elsewhere", "utility", message.transaction_id, message.message_id, message.content)
    with pytest.raises(Refusal) as refused:
        list(live.agent("utility").handle(other))
    assert refused.value.code == "BIZ_ENROLLMENT_CONFLICT"


def test_two_locks_on_one_meter_never_add_up_to_more_than_its_connection() -> None:
    live = Live("peer-to-peer-market")
    live.to_the_end()
    utility = live.agent("utility")
    window = window_of(live.built.world.calendar, 3)
    content = lock_content(identifier(1, "x"), (commitment("roof-03", "lock", 60.0),), window)
    with pytest.raises(Refusal) as refused:
        list(
            utility.handle(Message("confirm", "elsewhere", "utility", identifier(1, "t"), identifier(1, "m"), content))
        )
    assert refused.value.code == "BIZ_CAP_EXCEEDED"


# --- meters that are late -------------------------------------------------------------------------------------------


LATE = "wire.delays=[{from: metering, action: on_status, by_s: 2000, until: '2016-05-17T12:%s:00'}]"


def test_readings_that_come_too_late_are_sent_again_and_change_nobody_s_money(run_market: Cases) -> None:
    """Its sender hears in time that the message is too late; the repetition is believed, and settled in the next quarter."""
    run, punctual = run_market(LATE % 16), run_market()
    assert balances(run) == balances(punctual)
    assert run.manifest["heldIntervals"] == []
    told = {(r["interval"], p.get("interval")) for r in run.journal() if r["kind"] == "postings" for p in r["postings"]}
    assert told == {(1, 0), (1, None), (2, None), (3, None)}
    assert verify(run).findings == 0


def test_an_interval_whose_readings_never_come_is_told_and_nobody_pays_for_it(run_market: Cases) -> None:
    """As long as the wire holds everything up, nothing that is said again helps."""
    run = run_market(LATE % 50)
    assert run.manifest["heldIntervals"] == [0, 1, 2]
    assert sorted(set(run.postings.interval)) == [3]
    assert verify(run).findings == 0


def test_a_market_that_never_hears_from_its_meters_holds_every_interval(run_market: Cases) -> None:
    run = run_market("wire.delays=[{from: metering, action: on_status, by_s: 2000}]")
    assert run.manifest["heldIntervals"] == [0, 1, 2, 3]
    assert "money EUR  4 intervals are billed to nobody: no valid readings came in time" in summary_text(summarise(run))
    assert run.postings.empty
    assert verify(run).findings == 0


def test_a_late_interval_that_is_posted_under_another_one_is_found(run_market: Cases, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run_market(LATE % 16).path, folder)
    journal = folder / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"interval":0,"term":"energy"', b'"interval":2,"term":"energy"'))
    findings = {name for name, audit in verify(Run(folder)).audits.items() if audit.findings}
    assert findings == {"journal", "money", "events"}


def test_an_interval_without_readings_waits_and_is_settled_in_full_when_they_come() -> None:
    live, punctual = Live("peer-to-peer-market"), Live("peer-to-peer-market")
    unread(live, 1, 600)
    held: list[list[int]] = []
    live.built.world.run(lambda interval, _: held.append(list(live.market.held)))
    punctual.to_the_end()
    assert held == [[], [1], [], []]
    owed = [
        {(p.interval, p.payer, p.payee, p.term): p.amount for p in one.ledger() if p.interval == 1}
        for one in (live, punctual)
    ]
    assert owed[0] == owed[1] != {}
    assert live.agent("roof-01").balance == approx(punctual.agent("roof-01").balance)


def test_readings_that_come_after_the_contracts_have_ended_are_refused() -> None:
    live = Live("peer-to-peer-market")
    unread(live, 1, 2200)
    live.to_the_end()
    assert live.market.held == [1]
    assert {r["error"]["errorCode"] for r in live.nacks("on_status")} == {"PRC_INVALID_TRANSITION"}
    assert 1 not in {p.interval for p in live.ledger("consumer-01")}


def test_a_market_keeps_what_half_a_cent_of_every_roof_rounds_to(run_market: Cases) -> None:
    """A tenth of a kilowatt each: no roof ever earns a cent, and the consumer's five stay where the curves met."""
    run = run_market("populations.consumer.points=[[-1,-50],[0.07,0]]")
    assert balance(run, "market", "energy") == Decimal("0.05")
    assert "energy" not in set(run.postings[run.postings.payee.str.startswith("roof")].term)
    assert verify(run).findings == 0
