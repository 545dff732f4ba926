"""The table of policies, and those that do without a market."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.curves import OfferCurve
from sim.errors import MarketError
from sim.market.certificate import certify
from sim.market.economics import broken
from sim.market.policies import POLICIES, curtail_only, none, pay_as_clear
from sim.market.policy import PROMISES, Policy
from sim.market.problem import Clearing, Limit, Offer, Problem, slack_prices
from tests.market.books import GRID, demand, fixed, retailer, street, supply
from tests.strategies import problems

thorough = settings(max_examples=60, deadline=None)


def cleared(policy: Policy, problem: Problem) -> Clearing | None:
    """The clearing; None where the policy refuses the problem, because what no price moves has nothing to bid, or because
    there is no tariff, or one of both signs."""
    ends, tariff = (problem.price_floor, problem.price_cap), slack_prices(problem)
    rigid = {offer.era for offer in problem.offers if offer.curve.min_kw > 0 or offer.curve.max_kw < 0}
    try:
        return policy.clear(problem)
    except MarketError as refusal:
        if {fault.what.split()[0] for fault in refusal.faults} <= rigid and not all(map(math.isfinite, ends)):
            return None
        if all(fault.where == "slack" for fault in refusal.faults) and (tariff is None or tariff[0] * tariff[1] < 0):
            return None
        raise


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_signs_what_it_clears_and_says_what_it_does(name):
    policy = POLICIES[name]
    problem = street(retailer(0.05, 0.2), demand("ev", 0.3, 5), supply("pv", 0.1, 5))
    assert policy.clear(problem).policy == policy.name == name
    assert policy.summary


@pytest.mark.parametrize("name", POLICIES)
@settings(max_examples=30, deadline=None)
@given(problem=problems(slack=st.just(True)))
def test_every_policy_keeps_its_promises(name, problem):
    keeps_its_promises(POLICIES[name], problem)


@pytest.mark.slow
@pytest.mark.parametrize("name", POLICIES)
@settings(max_examples=1000, deadline=None)
@given(problem=problems(slack=st.just(True)))
def test_every_policy_keeps_its_promises_at_length(name, problem):
    keeps_its_promises(POLICIES[name], problem)


def keeps_its_promises(policy: Policy, problem: Problem) -> None:
    """Whatever it promises, as far as it clears the problem."""
    assert policy.promises <= set(PROMISES)
    clearing = cleared(policy, problem)
    assert clearing is None or broken(problem, clearing, policy.promises) == ()


@pytest.mark.parametrize("name", POLICIES)
@settings(max_examples=8, deadline=None)
@given(problem=problems())
def test_every_policy_answers_for_every_offer_and_node(name, problem):
    clearing = cleared(POLICIES[name], problem)
    if clearing is None:
        return
    eras, nodes = {offer.era for offer in problem.offers}, {limit.node for limit in problem.limits}
    assert set(clearing.setpoint_kw) == set(clearing.participant_price) == eras
    assert set(clearing.price_per_kwh) == set(clearing.adder_per_kwh) == nodes
    assert set(clearing.flow_kw) == set(clearing.binding) == nodes


@thorough
@given(problems(slack=st.just(True)))
def test_no_policy_gains_more_than_pay_as_clear_and_none_within_the_limits_more_than_locational(problem):
    """Limits cost welfare, and curtailing costs more than pricing them."""
    compared = ("none", "curtail-only", "pay-as-clear", "locational")
    gains = {name: POLICIES[name].clear(problem) for name in compared}
    if any(clearing.curtailed_kw for clearing in gains.values()) or not certify(problem, gains["none"]).certified:
        return
    assert gains["pay-as-clear"].welfare >= gains["locational"].welfare - 1e-6
    assert gains["locational"].welfare >= gains["curtail-only"].welfare - 1e-6


def test_pay_as_clear_has_one_price_and_tells_what_the_grid_would_carry():
    problem = street(retailer(0.05, 0.10), demand("ev", 0.30, 25, "tx-1"), import_kw=10)
    clearing = pay_as_clear.clear(problem)
    assert clearing.price_per_kwh == {"grid": 0.10, "tx-1": 0.10}
    assert clearing.flow_kw == {"grid": 0, "tx-1": 25}
    assert clearing.binding == {"grid": None, "tx-1": None}
    (violation,) = certify(problem, clearing).violations
    assert (violation.condition, violation.who, violation.amount) == ("limits", "tx-1", 15)


# --- none -------------------------------------------------------------------------------------------------------------


def test_without_coordination_everybody_does_what_it_would_do_anyway():
    """A load takes all it can, solar gives all it can, a battery rests, and the retailer takes the rest."""
    battery = Offer("battery", "grid", OfferCurve.of([(0.1, -5), (0.3, 5)]))
    problem = Problem(
        (retailer(0.05, 0.20), fixed("house", -2), demand("ev", 0.12, 7), supply("pv", 0.01, 4), battery),
        slack="retailer",
    )
    clearing = none.clear(problem)
    assert clearing.setpoint_kw == {"retailer": 5, "house": -2, "ev": -7, "pv": 4, "battery": 0}


def test_a_given_baseline_counts_instead():
    ev = Offer("ev", "grid", OfferCurve.of([(0.12, -7), (0.12, 0)]), baseline_kw=-3.5)
    assert none.clear(Problem((retailer(0.05, 0.2), ev), slack="retailer")).setpoint_kw == {"retailer": 3.5, "ev": -3.5}


def test_who_withdraws_pays_the_tariff_and_who_injects_gets_the_other():
    problem = Problem(
        (retailer(0.05, 0.20), fixed("house", -2), supply("pv", 0.01, 4), fixed("off", 0)), slack="retailer"
    )
    clearing = none.clear(problem)
    assert slack_prices(problem) == (0.20, 0.05)
    assert clearing.participant_price == {"retailer": 0.05, "house": 0.20, "pv": 0.05, "off": None}
    assert clearing.price_per_kwh == {"grid": None}


def test_a_supplier_that_never_buys_pays_nothing():
    problem = Problem((supply("grid-co", 0.2, 100), supply("pv", 0.01, 4), fixed("house", -5)), slack="grid-co")
    assert none.clear(problem).participant_price == {"grid-co": 0.2, "pv": None, "house": 0.2}


def test_without_a_slack_nothing_balances_and_nothing_is_priced():
    problem = Problem((fixed("house", -2), supply("pv", 0.01, 4)))
    clearing = none.clear(problem)
    assert slack_prices(problem) is None
    assert clearing.participant_price == {"house": None, "pv": None}
    assert [found.condition for found in certify(problem, clearing).violations] == ["balance"]


# --- curtail_only -----------------------------------------------------------------------------------------------------


def test_an_overload_is_cut_pro_rata():
    """Ten plugs of 7 kW behind 40 kW: 4 kW each."""
    plugs = (demand(f"ev-{n}", 0.3, 7, "tx-1") for n in range(10))
    clearing = curtail_only.clear(street(retailer(0.05, 0.1), *plugs, import_kw=40))
    assert clearing.setpoint_kw == {"retailer": 40} | {f"ev-{n}": pytest.approx(-4) for n in range(10)}
    assert clearing.curtailed_kw == {}
    assert clearing.binding == {"grid": None, "tx-1": "FORWARD"}


def test_what_cannot_be_controlled_is_cut_last():
    problem = street(retailer(0.05, 0.1), fixed("house", -30, "tx-1"), demand("ev", 0.3, 7, "tx-1"), import_kw=20)
    clearing = curtail_only.clear(problem)
    assert clearing.setpoint_kw == {"retailer": 20, "house": -20, "ev": 0}
    assert clearing.curtailed_kw == {"house": 10}


def test_surplus_is_cut_and_loads_are_left_alone():
    offers = (supply("pv-1", 0.0, 30, "tx-1"), supply("pv-2", 0.0, 20, "tx-1"), fixed("house", -5, "tx-1"))
    clearing = curtail_only.clear(street(retailer(0.05, 0.1), *offers, export_kw=20))
    assert clearing.setpoint_kw == {"retailer": -20, "pv-1": 15, "pv-2": 10, "house": -5}
    assert clearing.binding["tx-1"] == "REVERSE"


def test_the_deepest_limit_is_kept_first():
    """mv 12 kW ── lv-1 6 kW: two EVs of 7; lv-2: one of 7.  lv-1 is cut to 6, then all three by what mv lacks."""
    limits = (GRID, Limit("mv", "grid", 12), Limit("lv-1", "mv", 6), Limit("lv-2", "mv", 50))
    evs = [demand("a", 0.3, 7, "lv-1"), demand("b", 0.3, 7, "lv-1"), demand("c", 0.3, 7, "lv-2")]
    clearing = curtail_only.clear(Problem((retailer(0.05, 0.1), *evs), limits, slack="retailer"))
    assert clearing.flow_kw == pytest.approx({"grid": 0, "mv": 12, "lv-1": 6 * 12 / 13, "lv-2": 7 * 12 / 13})
    assert clearing.binding == {"grid": None, "mv": "FORWARD", "lv-1": "FORWARD", "lv-2": None}
