"""A tariff told to all, and cuts one by one."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.curves import SAME_KW, OfferCurve
from sim.errors import MarketError
from sim.market.economics import broken
from sim.market.policies import POLICIES, curtail_only, none, time_of_use
from sim.market.problem import MARGIN, Limit, LinearLimit, Offer, Problem, slack_prices
from tests.market.books import GRID, demand, fixed, retailer, street, supply
from tests.strategies import problems

GOLDEN = Path(__file__).parent.parent / "golden"
LIFO = json.loads((GOLDEN / "communities.json").read_text(encoding="utf-8"))["lifo"]
HERDING = {
    case["id"]: case
    for case in json.loads((GOLDEN / "adders.json").read_text(encoding="utf-8"))["cases"]
    if case["step"] == "herding"
}

# --- a tariff for all -------------------------------------------------------------------------------------------------


def test_everybody_answers_the_price_of_its_own_direction():
    battery = Offer("battery", "grid", OfferCurve.of([(0.04, -5), (0.1, 0), (0.3, 5)]))
    offers = (demand("keen", 0.25, 7), demand("idle", 0.15, 7), supply("pv", 0.01, 4), supply("dear", 0.1, 9), battery)
    clearing = time_of_use.clear(Problem((retailer(0.05, 0.20), *offers), slack="retailer"))
    assert clearing.setpoint_kw == {"retailer": 3, "keen": -7, "idle": 0, "pv": 4, "dear": 0, "battery": 0}
    assert clearing.participant_price == {
        "retailer": 0.20, "keen": 0.20, "idle": None, "pv": 0.05, "dear": None, "battery": None,
    }  # fmt: skip
    assert clearing.accounts == {MARGIN: pytest.approx(4 * 0.15)}


def test_who_does_not_care_trades_and_who_could_do_both_rests():
    both = Offer("both", "grid", OfferCurve.of([(0.2, -5), (0.2, 5)]))
    offers = (demand("ev", 0.2, 7), supply("pv", 0.2, 4), both)
    clearing = time_of_use.clear(Problem((retailer(0.2, 0.2), *offers), slack="retailer"))
    assert clearing.setpoint_kw == {"retailer": 3, "ev": -7, "pv": 4, "both": 0}


def test_a_tariff_nobody_named_is_missed():
    with pytest.raises(MarketError, match="slack: is missing"):
        time_of_use.clear(Problem((demand("ev", 0.3, 5),)))


def test_the_cheapest_hours_draw_everybody_at_once():
    case = HERDING["herding-tou-rebound"]
    expected, loads = case["expected"], []
    for price in case["prices"]:
        grid_co = Offer("grid-co", "grid", OfferCurve.of([(price, -1e4), (price, 1e4)]))
        # What the two cheapest hours can hold, a car does not want at the next price.
        cars = (demand(f"ev-{n}", 0.11, case["ev_kw"], "tx-1") for n in range(case["evs"]))
        problem = Problem((grid_co, *cars), (GRID, Limit("tx-1", "grid", case["trafo_kw"])), slack="grid-co")
        loads.append(time_of_use.clear(problem).flow_kw["tx-1"])
    assert loads == expected["load_kw"]
    assert max(loads) == expected["peak_kw"] > case["trafo_kw"] > expected["optimal_peak_kw"]
    assert 60 * sum(load > case["trafo_kw"] for load in loads) == expected["overload_minutes"]
    assert sum(p * load for p, load in zip(case["prices"], loads, strict=True)) == pytest.approx(expected["cost"])


def gain(problem: Problem, index: int, kw: float) -> float:
    """What an offer's set-point is worth to it at the tariff."""
    buying, selling = slack_prices(problem)
    at = np.zeros(len(problem.offers))
    at[index] = kw
    return (buying if kw < 0 else selling) * kw + float(problem.stack.welfare(at)[index])


@settings(max_examples=100, deadline=None)
@given(problems(slack=st.just(True)), st.floats(0, 1), st.integers(0, 7))
def test_nothing_else_that_a_curve_allows_is_worth_more_at_a_tariff(problem, share, number):
    if len(problem.offers) > 1:
        index = number % (len(problem.offers) - 1)
        offer, answer = problem.offers[index], time_of_use.answers(problem)[index]
        other = (1 - share) * offer.curve.min_kw + share * offer.curve.max_kw
        assert gain(problem, index, answer) >= gain(problem, index, other) - 1e-7


# --- one by one -------------------------------------------------------------------------------------------------------


def plugs(count: int, kw: float, limit_kw: float) -> Problem:
    return street(retailer(0.05, 0.1), *(demand(f"ev-{n}", 0.3, kw, "tx-1") for n in range(count)), import_kw=limit_kw)


def test_the_last_one_is_disconnected_first():
    clearing = curtail_only.clear_one_by_one(plugs(LIFO["evs"], LIFO["ev_kw"], LIFO["limit_kw"]))
    charging = [era for era, kw in clearing.setpoint_kw.items() if kw < 0]
    assert charging == [f"ev-{n}" for n in range(LIFO["running"])]
    assert clearing.flow_kw["tx-1"] == LIFO["flow_kw"]
    assert clearing.binding["tx-1"] == "FORWARD"
    first = curtail_only.clear_one_by_one(plugs(LIFO["evs"], LIFO["ev_kw"], LIFO["limit_kw"]), order="fifo")
    assert [era for era, kw in first.setpoint_kw.items() if kw < 0] == [f"ev-{n}" for n in range(5, 10)]


@pytest.mark.parametrize("name", ["curtail-lifo", "curtail-only"])
def test_what_is_not_charged_in_time_depends_on_who_is_cut(name):
    """Cars that are full leave; whoever still needs something is cleared again."""
    missing, time_left, first_done = (
        dict.fromkeys(range(LIFO["evs"]), float(LIFO["need_kwh"])),
        float(LIFO["hours"]),
        None,
    )
    while time_left > 1e-9 and missing:
        clearing = POLICIES[name].clear(plugs(len(missing), LIFO["ev_kw"], LIFO["limit_kw"]))
        power = {car: -clearing.setpoint_kw[f"ev-{n}"] for n, car in enumerate(missing)}
        hours = min(time_left, *(missing[car] / kw for car, kw in power.items() if kw > 0))
        missing = {car: need - hours * power[car] for car, need in missing.items()}
        missing = {car: need for car, need in missing.items() if need > 1e-9}
        time_left -= hours
        first_done = first_done or hours
    assert sum(missing.values()) == pytest.approx(LIFO["unserved_kwh"][name])
    if name == "curtail-lifo":
        assert first_done == pytest.approx(LIFO["first_done_h"])


def test_what_cannot_be_controlled_is_disconnected_last():
    offers = (demand("ev", 0.3, 7, "tx-1"), fixed("house", -30, "tx-1"), fixed("shop", -15, "tx-1"))
    clearing = curtail_only.clear_one_by_one(street(retailer(0.05, 0.1), *offers, import_kw=32))
    assert clearing.setpoint_kw == {"retailer": 30, "ev": 0, "house": -30, "shop": 0}
    assert clearing.curtailed_kw == {"shop": 15}


def test_a_load_that_is_disconnected_may_cost_the_sun_its_place():
    """20 kW of sun feed a 30 kW load; without it they would all go up, where only 5 may."""
    offers = (supply("pv", 0.0, 20, "tx-1"), demand("kiln", 0.3, 30, "tx-1"))
    clearing = curtail_only.clear_one_by_one(street(retailer(0.05, 0.1), *offers, import_kw=5, export_kw=5))
    assert clearing.setpoint_kw == {"retailer": 0, "pv": 0, "kiln": 0}


def test_what_one_limit_has_cut_comes_not_back_for_another():
    """rigid load 1 kW at tx-1 (nothing in or out) ◄── rigid sun 1 kW below tx-2 (half of it out)"""
    limits = (GRID, Limit("tx-1", "grid", 0, 0), Limit("tx-2", "tx-1", math.inf, 0.5))
    offers = (retailer(0.05, 0.1), fixed("house", -1, "tx-1"), fixed("sun", 1, "tx-2"))
    clearing = curtail_only.clear(Problem(offers, limits, slack="retailer"))
    assert clearing.setpoint_kw == {"retailer": 0, "house": -0.5, "sun": 0.5}


def test_a_linear_limit_disconnects_whom_it_weighs():
    limit = LinearLimit("v", {"a": 0.001, "b": 0.001}, 0.012)
    offers = (supply("a", 0.0, 10), supply("b", 0.0, 10), supply("c", 0.0, 10))
    problem = Problem((retailer(0.05, 0.1), *offers), slack="retailer", linear=(limit,), price_floor=-1, price_cap=2)
    assert curtail_only.clear_one_by_one(problem).setpoint_kw == {"retailer": -20, "a": 10, "b": 0, "c": 10}


def test_an_order_that_does_not_exist_is_refused():
    with pytest.raises(MarketError, match="'lilo' is not an order"):
        curtail_only.clear_one_by_one(plugs(1, 7, 40), order="lilo")


@settings(max_examples=100, deadline=None)
@given(problems(slack=st.just(True)), st.sampled_from(curtail_only.ORDERS))
def test_one_by_one_everybody_is_at_his_baseline_or_disconnected(problem, order):
    clearing = curtail_only.clear_one_by_one(problem, order)
    assert broken(problem, clearing, POLICIES["curtail-lifo"].promises) == ()
    for offer in problem.offers:
        near = min(max(0.0, offer.curve.min_kw), offer.curve.max_kw)
        if offer.era != problem.slack:
            assert any(
                abs(clearing.setpoint_kw[offer.era] - kw) < SAME_KW for kw in (offer.uncoordinated_kw, near, 0.0)
            )


@settings(max_examples=50, deadline=None)
@given(problems(slack=st.just(True), limits=st.just((Limit("root"),))))
def test_without_a_limit_nobody_is_disconnected(problem):
    assert curtail_only.clear_one_by_one(problem).setpoint_kw == none.clear(problem).setpoint_kw
    assert math.isfinite(curtail_only.clear_one_by_one(problem).welfare)


def test_of_a_tariff_only_a_slack_can_lose_of_which_more_is_asked_than_it_offers():
    sloped = Offer("retailer", "grid", OfferCurve.of([(0.05, -9), (0.3, 10)]))
    problem = Problem((sloped, demand("ev", 0.4, 5)), price_floor=-1, price_cap=2, slack="retailer")
    clearing = POLICIES["time-of-use"].clear(problem)
    assert [found.who for found in broken(problem, clearing, {"rational"})] == ["retailer"]
    assert broken(problem, clearing, POLICIES["time-of-use"].promises) == ()
