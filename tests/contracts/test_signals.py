"""Signals: versions, qualities, gaps.  What is missing waits, is replaced or is guessed, and never counts as zero."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.agreements import amounts, balances, contract, faults, settled

METER = [{"sourceId": "m", "sourceType": "METER_READING", "refreshInterval": "PT15M"}]
PRICE = [{"signalId": "p", "signalType": "PRICE", "refreshInterval": "PT15M"}]


def energy(**more):
    return contract([("BUYER", "SELLER", "energyKWh * 6")], telemetrySources=METER, **more)


def at(minute, **fields):
    return {"start": f"2026-01-01T10:{minute:02}:00Z", **fields}


def test_a_flow_of_readings_by_interval_is_summed_over_them():
    readings = [at(0, energyKWh=1), at(15, energyKWh=2.5), at(30, energyKWh=0.25)]
    assert amounts(energy(), {"m": readings}) == {"flow-1": "22.50"}
    assert amounts(energy(), {"m": {"readings": readings}}) == {"flow-1": "22.50"}
    snapshot = settled(energy(), {"m": readings})["revenueFlows"][0]["signalSnapshot"]
    assert snapshot["energyKWh"] == {
        "intervals": 3,
        "sum": Decimal("3.75"),
        "lowest": Decimal("0.25"),
        "highest": Decimal("2.5"),
    }


def test_sources_are_aligned_by_start_whatever_their_order():
    document = contract([("BUYER", "SELLER", "energyKWh * price")], telemetrySources=METER, inputSignals=PRICE)
    meter = [at(0, energyKWh=1), at(15, energyKWh=2)]
    prices = [at(15, price=10), at(0, price=1)]
    assert amounts(document, {"m": meter, "p": prices}) == {"flow-1": "21.00"}


def test_a_source_that_tells_once_holds_for_all_intervals():
    document = contract([("BUYER", "SELLER", "energyKWh * price")], telemetrySources=METER, inputSignals=PRICE)
    assert amounts(document, {"m": [at(0, energyKWh=1), at(15, energyKWh=2)], "p": {"price": 5}}) == {"flow-1": "15.00"}


def test_a_number_that_is_the_same_all_the_time_is_owed_once():
    document = contract(
        [("BUYER", "SELLER", "2.50"), ("BUYER", "SELLER", "energyKWh")], telemetrySources=[{"sourceId": "m"}]
    )
    document["revenueFlows"]["flows"][1]["formula"] = "energyKWh * 1"
    assert amounts(document, {"m": [at(0, energyKWh=1), at(15, energyKWh=2)]}) == {"flow-1": "2.50", "flow-2": "3.00"}


def test_what_differs_by_interval_may_not_stand_beside_a_sum():
    document = contract([("BUYER", "SELLER", "sum(energyKWh) * price")], telemetrySources=METER, inputSignals=PRICE)
    found = faults(document, {"m": [at(0, energyKWh=1), at(15, energyKWh=2)], "p": [at(0, price=1), at(15, price=2)]})
    assert "differs by interval and stands outside sum(…) in sum(energyKWh) * price" in found[0]


def test_the_highest_version_of_an_interval_counts_and_is_named():
    told = [at(0, energyKWh=1), at(0, energyKWh=3, version=3), at(0, energyKWh=2, version=2)]
    report = settled(energy(), {"m": told})
    assert str(report["totalAmount"]) == "18.00"
    assert report["evidence"]["readings"] == [{"source": "m", "reference": "/m/1@3", "quality": "ACTUAL"}]


def test_two_readings_of_one_version_are_refused():
    assert faults(energy(), {"m": [at(0, energyKWh=1), at(0, energyKWh=2)]}) == [
        "signals:/m/1: version 1 of 2026-01-01T10:00:00Z is also signals:/m/0 (number the correction)"
    ]


@pytest.mark.parametrize(
    "gap",
    [
        pytest.param([at(0, energyKWh=1), at(15, quality="MISSING")], id="said to be missing"),
        pytest.param([at(0, energyKWh=1)], id="not sent"),
    ],
)
def test_a_missing_reading_makes_the_settlement_wait(gap):
    document = energy(inputSignals=PRICE)
    found = faults(document, {"m": gap, "p": [at(0, price=1), at(15, price=1)]})
    assert len(found) == 1
    assert "m has no reading of 2026-01-01T10:15:00Z; the settlement waits for it, and nothing is posted" in found[0]
    assert "give m a fallback or onMissing: ESTIMATE in the contract" in found[0]


def test_a_window_shows_that_the_last_readings_are_missing():
    document = energy(timeWindow={"start": "2026-01-01T10:00:00Z", "end": "2026-01-01T11:00:00Z"})
    found = faults(document, {"m": [at(0, energyKWh=1), at(15, energyKWh=1), at(30, energyKWh=1)]})
    assert ["2026-01-01T10:45:00Z" in fault for fault in found] == [True]
    assert (
        "is no interval of the contract's window"
        in faults(document, {"m": [{"start": "2026-01-01T12:00:00Z", "energyKWh": 1}]})[0]
    )


def test_a_fallback_that_the_contract_declares_stands_in_and_is_flagged():
    document = contract(
        [("BUYER", "SELLER", "energyKWh * price")],
        telemetrySources=METER,
        inputSignals=[{**PRICE[0], "fallback": {"price": 7}}],
    )
    report = settled(document, {"m": {"energyKWh": 2}})
    assert str(report["totalAmount"]) == "14.00"
    assert [r["quality"] for r in report["evidence"]["readings"]] == ["ACTUAL", "SUBSTITUTE"] or [
        r["quality"] for r in report["evidence"]["readings"]
    ] == ["SUBSTITUTE", "ACTUAL"]
    assert report["notes"][0].startswith("provisional: SUBSTITUTE")
    late = settled(document, {"m": [at(0, energyKWh=2), at(15, energyKWh=1)], "p": [at(0, price=1)]})
    assert str(late["totalAmount"]) == "9.00"


def test_an_estimate_is_flagged_and_trued_up_when_the_reading_comes():
    document = energy()
    document["telemetrySources"] = [{**METER[0], "onMissing": "ESTIMATE"}]
    first = settled(document, {"m": [at(0, energyKWh=2), at(15, quality="MISSING")]})
    assert str(first["totalAmount"]) == "24.00"
    assert first["notes"] == ["provisional: ESTIMATED /m/1@1; a later version will be trued up"]
    told = [at(0, energyKWh=2), at(15, quality="MISSING"), at(15, energyKWh=0.5, version=2)]
    second = settled(document, {"m": told}, first)
    assert [(p["from"], p["to"], str(p["amount"])) for p in second["postings"]] == [("solar-1", "ev-1", "9.00")]
    assert second["notes"] == []
    assert settled(document, {"m": told}, second)["postings"] == []


@pytest.mark.parametrize(
    ("signals", "what"),
    [
        ({"m": [at(0, energyKWh=1), {"energyKWh": 1}]}, "some readings state their start and others do not"),
        ({"m": [{"start": "10:00", "energyKWh": 1}]}, "'10:00' is no whole second with an offset"),
        ({"m": [{"start": "2026-01-01T10:00:00", "energyKWh": 1}]}, "is no whole second with an offset"),
        ({"m": [at(0, energyKWh=1, quality="GOOD")]}, "GOOD is none of ACTUAL, ESTIMATED, SUBSTITUTE, MISSING"),
        ({"m": [at(0, energyKWh=1, version="2")]}, "expected a whole number, found the text '2'"),
        ({"m": [at(0)]}, "energyKWh is not a quantity of this contract or its signals"),
        ({"m": [at(0, energyKWh=1), at(15, power=1)]}, "energyKWh is not there"),
        ({"m": ["1"]}, "expected an object, found the text '1'"),
    ],
)
def test_readings_that_cannot_be_used_are_refused(signals, what):
    assert any(what in fault for fault in faults(energy(), signals))


KWH = st.lists(st.decimals(0, 99, places=3), min_size=1, max_size=12)
TIERED = contract(
    [
        ("BUYER", "SELLER", "tier(used.after, 5, 40, 7, 90, 9) - tier(used.before, 5, 40, 7, 90, 9)"),
        ("BUYER", "GRID_OPERATOR", "(peak.after - peak.before) * 3"),
    ],
    states=[
        {"stateId": "used", "kind": "SUM", "formula": "e", "initial": 10.5},
        {"stateId": "peak", "kind": "MAXIMUM", "formula": "e"},
    ],
)


@given(KWH, st.randoms())
def test_a_tiered_total_does_not_depend_on_the_order_of_intervals(readings, chance):
    shuffled = chance.sample(readings, len(readings))
    first, second = (balances(TIERED, {"m": [{"e": e} for e in row]}) for row in (readings, shuffled))
    assert first == second


@given(
    KWH, st.integers(1, 5), st.sampled_from(["e * 0.0333", "sum(e) / 7", "min(20, sum(e)) * 3", "abs(e - 5) * 0.01"])
)
def test_settling_by_cycles_and_settling_once_give_the_same_money(readings, size, formula):
    told = {"m": [{"e": e} for e in readings]}
    flows = [("BUYER", "SELLER", formula), ("BUYER", "GRID_OPERATOR", "(peak.after - peak.before) * 0.7")]
    states = [{"stateId": "peak", "kind": "MAXIMUM", "formula": "e"}]
    sources = [{"sourceId": "m", "refreshInterval": "PT15M"}]
    document = contract(flows, states=states, telemetrySources=sources, billingInterval=f"PT{15 * size}M")
    once, stepwise = (
        settled({**document, "fulfillmentMode": mode}, told) for mode in ("POST_FULFILLMENT", "INCREMENTAL")
    )
    assert once["balances"] == stepwise["balances"]
    total = dict.fromkeys(once["balances"], Decimal(0))
    for cycle in stepwise.get("settlementCycles", [{"postings": once["postings"]}]):
        for posting in cycle["postings"]:
            total[posting["from"]] -= posting["amount"]
            total[posting["to"]] += posting["amount"]
    assert total == once["balances"]
    assert len(stepwise.get("settlementCycles", [1])) == -(-len(readings) // size) or len(readings) == 1
