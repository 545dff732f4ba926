"""The certificate: a good clearing passes, and each way of spoiling it is found and named."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from sim.market.certificate import CONDITIONS, certify
from sim.market.policies import POLICIES, locational
from sim.market.problem import Clearing, Limit, Problem
from tests.market.books import GRID, demand, fixed, retailer, street, supply


@pytest.fixture
def problem() -> Problem:
    """grid sells at 0.10, buys at 0.05 ──tx-1 (10 kW in, 8 out)── house 2 kW, EVs paying 0.30 and 0.20"""
    evs = (demand("rich", 0.30, 7, "tx-1"), demand("poor", 0.20, 7, "tx-1"))
    return street(retailer(0.05, 0.10), fixed("house", -2, "tx-1"), *evs, import_kw=10, export_kw=8)


@pytest.fixture
def clearing(problem) -> Clearing:
    return locational.clear(problem)


def broken(problem: Problem, clearing: Clearing) -> list[tuple[str, str]]:
    return [(found.condition, found.who) for found in certify(problem, clearing).violations]


def with_power(clearing: Clearing, **kw: float) -> Clearing:
    return replace(clearing, setpoint_kw={**clearing.setpoint_kw, **kw})


def with_local_price(clearing: Clearing, price: float, adder: float) -> Clearing:
    paid = {era: p if era == "retailer" else price for era, p in clearing.participant_price.items()}
    return replace(
        clearing,
        price_per_kwh={**clearing.price_per_kwh, "tx-1": price},
        adder_per_kwh={**clearing.adder_per_kwh, "tx-1": adder},
        participant_price=paid,
    )


def test_the_optimum_is_certified(problem, clearing):
    certificate = certify(problem, clearing)
    assert certificate.certified
    assert certificate.violations == ()


def test_the_conditions_are_the_six_that_suffice():
    assert list(CONDITIONS) == ["range", "curves", "balance", "limits", "adders", "linear"]
    assert set(CONDITIONS) <= {promise for policy in POLICIES.values() for promise in policy.promises}


def test_a_set_point_beyond_its_curve_is_out_of_range(problem, clearing):
    more = with_power(clearing, house=-3.0, poor=0.0)
    assert ("range", "house") in broken(problem, more)


def test_a_set_point_off_its_curve_at_its_price_is_found(problem, clearing):
    """One EV runs less than it would and the other, which pays less, more: all else still adds up."""
    swapped = with_power(clearing, rich=-6.0, poor=-2.0)
    assert broken(problem, swapped) == [("curves", "rich")]


def test_the_amount_says_by_how_much(problem, clearing):
    (violation,) = certify(problem, with_power(clearing, rich=-6.0, poor=-2.0)).violations
    assert violation.amount == pytest.approx(1.0)
    assert violation.what == "-6 kW is off its curve at its price: -7 kW"


def test_power_from_nowhere_breaks_the_balance(problem, clearing):
    violations = certify(problem, with_power(clearing, retailer=11.0)).violations
    balance = next(found for found in violations if found.condition == "balance" and "sum" in found.what)
    assert (balance.who, balance.what) == ("grid", "all set-points sum to 1 kW, and not to zero")
    assert balance.amount == pytest.approx(1)


def test_a_flow_that_is_not_what_is_withdrawn_breaks_the_balance(problem, clearing):
    wrong = replace(clearing, flow_kw={**clearing.flow_kw, "tx-1": 9.0})
    (violation,) = certify(problem, wrong).violations
    assert (violation.condition, violation.who, violation.amount) == ("balance", "tx-1", pytest.approx(1))
    assert violation.what == "flow is given as 9 kW, but 10 kW are withdrawn"


def test_a_flow_through_a_limit_is_found(problem, clearing):
    more = with_power(clearing, retailer=11.0, poor=-2.0)
    more = replace(more, flow_kw={"grid": 0.0, "tx-1": 11.0})
    assert broken(problem, more) == [("limits", "tx-1")]


def test_a_flow_back_through_a_limit_is_found():
    problem = street(retailer(0.05, 0.10), supply("solar", 0.01, 20, "tx-1"), export_kw=8)
    unlimited = POLICIES["pay-as-clear"].clear(problem)
    assert broken(problem, unlimited) == [("limits", "tx-1")]
    assert certify(problem, unlimited).violations[0].amount == pytest.approx(12)


def test_an_adder_without_a_limit_that_binds_is_found():
    """There is room for 100 kW; the local price is still lifted, to where the EV still charges."""
    problem = street(retailer(0.05, 0.10), demand("ev", 0.30, 7, "tx-1"))
    lifted = with_local_price(locational.clear(problem), 0.20, 0.10)
    assert broken(problem, lifted) == [("adders", "tx-1")]


def test_an_adder_of_the_wrong_sign_is_found():
    """tx-1 is full of import, and the price behind it is lower than before it."""
    problem = street(retailer(0.05, 0.10), demand("ev", 0.30, 7, "tx-1"), import_kw=7)
    lowered = with_local_price(locational.clear(problem), 0.02, -0.08)
    assert broken(problem, lowered) == [("adders", "tx-1")]


def test_an_adder_that_is_not_the_difference_of_prices_is_found(problem, clearing):
    wrong = replace(clearing, adder_per_kwh={**clearing.adder_per_kwh, "tx-1": 0.3})
    assert broken(problem, wrong) == [("adders", "tx-1")]
    assert certify(problem, wrong).violations[0].amount == pytest.approx(0.2)


def test_a_missing_set_point_is_found(problem, clearing):
    missing = replace(clearing, setpoint_kw={era: kw for era, kw in clearing.setpoint_kw.items() if era != "poor"})
    assert ("range", "poor") in broken(problem, missing)


def test_a_trade_that_was_left_out_is_found_even_without_a_price():
    """Nothing is traded and no price is named, although the bid is above the ask."""
    problem = Problem((demand("bid", 0.30, 5), supply("ask", 0.10, 5)))
    idle = replace(
        locational.clear(problem),
        setpoint_kw={"bid": 0.0, "ask": 0.0},
        price_per_kwh={"grid": None},
        participant_price={"bid": None, "ask": None},
    )
    assert broken(problem, idle) == [("curves", "grid")]


def test_a_trade_that_was_left_out_across_a_free_border_is_found():
    problem = street(demand("bid", 0.30, 5, "tx-1"), supply("ask", 0.10, 5))
    idle = replace(
        locational.clear(problem),
        setpoint_kw={"bid": 0.0, "ask": 0.0},
        flow_kw={"grid": 0.0, "tx-1": 0.0},
        price_per_kwh={"grid": None, "tx-1": None},
        participant_price={"bid": None, "ask": None},
    )
    assert broken(problem, idle) == [("curves", "grid")]
    closed = replace(problem, limits=(GRID, Limit("tx-1", "grid", 0.0, 0.0)))
    assert certify(closed, idle).certified


def test_cutting_who_named_a_price_is_not_a_last_resort():
    """5 kW of load go without although solar for them is there: there is no price at which both would do that."""
    problem = Problem((fixed("house", -10), supply("solar", 0.10, 10)))
    short = replace(
        locational.clear(problem),
        setpoint_kw={"house": -5.0, "solar": 5.0},
        price_per_kwh={"grid": None},
        participant_price={"house": None, "solar": None},
    )
    assert ("curves", "grid") in broken(problem, short)


def test_cutting_at_a_price_below_the_cap_is_out_of_range():
    problem = Problem((fixed("house", -10), supply("solar", 0.10, 10)), price_cap=3.0)
    short = replace(locational.clear(problem), setpoint_kw={"house": -5.0, "solar": 5.0})
    assert {("range", "house"), ("curves", "solar")} <= set(broken(problem, short))


def test_a_price_that_is_not_a_number_certifies_nothing(problem, clearing):
    paid = {**clearing.participant_price, "rich": math.inf}
    assert ("curves", "rich") in broken(problem, replace(clearing, participant_price=paid))


def test_without_coordination_nothing_is_certified_that_is_not_the_optimum(problem):
    found = {condition for condition, _ in broken(problem, POLICIES["none"].clear(problem))}
    assert found == {"limits"}
    found = {condition for condition, _ in broken(problem, POLICIES["curtail-only"].clear(problem))}
    assert found == {"curves"}
