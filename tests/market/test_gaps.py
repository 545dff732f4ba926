"""Offers that rest or run at a minimum: nobody is left between, and what that costs is told."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.rounds import clear_and_certify
from sim.curves import OfferCurve
from sim.market import gaps
from sim.market.certificate import certify
from sim.market.economics import broken, uplift_per_h
from sim.market.policies import POLICIES, locational, none, pay_as_clear
from sim.market.problem import Clearing, Offer, Problem
from tests.market.books import demand, fixed, retailer, street, supply
from tests.strategies import PRICES, curves, problems

SIX_AMPERES_KW = 4.2


def car(era: str, price: float, kw: float = 11.0, least_kw: float = SIX_AMPERES_KW, node: str = "tx-1") -> Offer:
    return replace(demand(era, price, kw, node), min_run_kw=least_kw)


def running(problem: Problem, clearing: Clearing) -> dict[str, float]:
    assert not gaps.in_gap(problem, clearing).any()
    return {offer.era: -clearing.setpoint_kw[offer.era] for offer in problem.offers if offer.min_run_kw}


def test_without_a_gap_nothing_is_cleared_twice():
    seen = []
    problem = street(retailer(0.05, 0.1), demand("ev", 0.3, 7, "tx-1"), import_kw=3)
    done = gaps.clear(problem, lambda one: seen.append(one) or locational.clear(one))
    assert seen == [problem]
    assert (done.gap_per_h, done.clearing) == (0.0, locational.clear(problem))


def test_of_ten_cars_behind_forty_kilowatts_nine_charge():
    """Pro rata they would have 4 kW each, and cannot: nine have 4.44, and the tenth waits."""
    problem = street(retailer(0.05, 0.1), *(car(f"ev-{n}", 0.3) for n in range(10)), import_kw=40)
    done = gaps.clear(problem, locational.clear)
    powers = running(problem, done.clearing)
    assert sorted(powers.values()) == pytest.approx([0] + [40 / 9] * 9)
    assert powers["ev-9"] == 0
    assert done.gap_per_h == pytest.approx(0)
    assert certify(problem, done.clearing).certified
    assert "9 run at their minimum or more, 1 rest" in done.clearing.notes[-1]


def test_a_car_alone_that_cannot_have_its_minimum_waits():
    problem = street(retailer(0.05, 0.1), car("ev", 0.3), import_kw=3)
    done = gaps.clear(problem, locational.clear)
    assert running(problem, done.clearing) == {"ev": 0}
    assert done.gap_per_h == pytest.approx(3 * 0.2)
    assert done.clearing.welfare == pytest.approx(0)


def test_a_car_runs_at_its_minimum_where_that_is_worth_more_and_the_limit_is_kept():
    """3 kW are left beside a load that would pay less than the car: that load makes room for its minimum."""
    offers = (retailer(0.05, 0.1), fixed("house", -5, "tx-1"), car("ev", 0.2, 3.5, 3.2), demand("pump", 0.3, 2, "tx-1"))
    problem = street(*offers, import_kw=10, price_cap=2.0)
    done = gaps.clear(problem, locational.clear)
    assert done.clearing.setpoint_kw["ev"] == pytest.approx(-3.2)
    assert done.clearing.setpoint_kw["pump"] == pytest.approx(-1.8)
    assert done.clearing.flow_kw["tx-1"] == pytest.approx(10)
    assert certify(problem, done.clearing).certified
    assert done.gap_per_h == pytest.approx(0.2 * (0.3 - 0.2))


def test_a_generator_has_a_minimum_as_well():
    """A motor of 5..10 kW for a load of 3: it stands still, and the grid serves the load."""
    motor = replace(supply("chp", 0.08, 10, "tx-1"), min_run_kw=5.0)
    problem = street(retailer(0.01, 0.3), motor, fixed("house", -3, "tx-1"), export_kw=0)
    done = gaps.clear(problem, locational.clear)
    assert done.clearing.setpoint_kw["chp"] == 0
    free = replace(problem, limits=tuple(replace(limit, export_limit_kw=100.0) for limit in problem.limits))
    sold = gaps.clear(free, locational.clear)
    assert sold.clearing.setpoint_kw["chp"] == pytest.approx(5)
    assert sold.gap_per_h == pytest.approx(2 * (0.08 - 0.01))


def test_who_rests_off_its_curve_is_told_what_it_loses():
    """At 0.25 the car would take 2 kW that are worth up to 0.30 to it: half of 2 kW times 0.05 is lost."""
    curve = OfferCurve.of([(0.1, -8), (0.3, 0)])
    problem = Problem(
        (supply("pv", 0.25, 20), demand("pump", 0.5, 1), Offer("ev", "grid", curve, min_run_kw=4.0)), price_cap=1.0
    )
    clearing = gaps.clear(problem, locational.clear).clearing
    assert (clearing.setpoint_kw["ev"], clearing.participant_price["ev"]) == (0, 0.25)
    assert uplift_per_h(problem, clearing).tolist() == pytest.approx([0, 0, 0.05])


@settings(max_examples=150, deadline=None)
@given(curves(), PRICES, st.floats(0, 1))
def test_uplift_is_the_area_between_the_curve_and_the_price(curve, price, share):
    """A thousand thin slices of |price of the power - price|, from the curve at the price to the set-point."""
    setpoint = curve.min_kw + share * (curve.max_kw - curve.min_kw)
    problem = Problem((Offer("x", "grid", curve),))
    claimed = Clearing("x", {}, {}, {"x": setpoint}, {"x": price}, {}, {}, {}, {}, 0.0, 0.0)
    best = min(max(setpoint, curve.low(price - 1e-9)), curve.high(price + 1e-9))
    edges = np.linspace(min(best, setpoint), max(best, setpoint), 1001)
    middles, width = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
    slices = np.abs(np.interp(middles, curve.powers, curve.prices) - price) * width
    assert uplift_per_h(problem, claimed)[0] == pytest.approx(slices.sum(), abs=2 * width + 1e-9, rel=1e-6)


def test_within_a_plateau_nobody_loses_and_beyond_it_the_price_decides():
    plug = demand("ev", 0.3, 7)
    problem = Problem((plug, fixed("house", -2)), price_floor=-1.0, price_cap=2.0)
    powers, prices = {"ev": -3.0, "house": -0.5}, {"ev": 0.3, "house": 0.5}
    claimed = Clearing("x", {}, {}, powers, prices, {}, {}, {}, {}, 0.0, 0.0)
    assert uplift_per_h(problem, claimed).tolist() == pytest.approx([0, 1.5 * (2.0 - 0.5)])
    dearer = replace(claimed, participant_price={"ev": 0.2, "house": None})
    assert uplift_per_h(problem, dearer).tolist() == pytest.approx([4 * 0.1, float("nan")], nan_ok=True)


def test_a_clearing_that_leaves_somebody_between_is_not_certified():
    problem = street(retailer(0.05, 0.1), car("ev", 0.3), import_kw=3)
    (found,) = certify(problem, locational.clear(problem)).violations
    assert (found.condition, found.who) == ("range", "ev")
    assert found.what == "runs with 3 kW, and cannot below 4.2 kW"
    assert found.amount == pytest.approx(1.2)


def test_a_market_round_decides_who_runs_and_certifies_that():
    problem = street(retailer(0.05, 0.1), *(car(f"ev-{n}", 0.3) for n in range(10)), import_kw=40)
    clearing, certificate = clear_and_certify(problem, POLICIES["locational"])
    assert certificate.certified
    assert sum(kw > 0 for kw in running(problem, clearing).values()) == 9


@st.composite
def with_minimums(draw: st.DrawFn):
    problem = draw(problems())
    minimums = [draw(st.sampled_from([0.0, 1.0, 2.5, 4.0])) for _ in problem.offers]
    offers = tuple(
        offer if offer.era == problem.slack else replace(offer, min_run_kw=least)
        for offer, least in zip(problem.offers, minimums, strict=True)
    )
    return replace(problem, offers=offers, price_floor=-1.0, price_cap=2.0)


@settings(max_examples=150, deadline=None)
@given(with_minimums())
def test_nobody_is_left_between_and_the_limits_are_kept(problem):
    done = gaps.clear(problem, locational.clear)
    assert not gaps.in_gap(problem, done.clearing).any()
    assert done.gap_per_h >= -1e-6
    found = certify(problem, done.clearing).violations
    able = {offer.era for offer in problem.offers if offer.curve.min_kw <= 0 <= offer.curve.max_kw}
    assert all(one.who not in able for one in found if one.condition in ("range", "curves")), found
    assert not [one for one in found if one.condition in ("balance", "limits")]


@settings(max_examples=60, deadline=None)
@given(with_minimums(), st.sampled_from([pay_as_clear.clear, none.clear]))
def test_any_policy_can_be_held_to_minimums(problem, policy):
    assert not gaps.in_gap(problem, gaps.clear(problem, policy).clearing).any()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(2, 6), st.integers(1, 4), st.integers(2, 6)), min_size=1, max_size=5),
    st.integers(1, 14),
)
def test_the_rule_comes_near_the_best_of_all_decisions(cars, import_kw):
    """Every subset of cars tried: the rule loses no more than the dearest car's minimum would be worth."""
    offers = tuple(
        car(f"ev-{n}", price / 10, float(kw + least), float(least)) for n, (price, least, kw) in enumerate(cars)
    )
    problem = street(retailer(0.05, 0.1), *offers, import_kw=float(import_kw), price_cap=2.0)
    best = 0.0
    for chosen in product((False, True), repeat=len(offers)):
        bound = tuple(
            replace(
                o,
                curve=OfferCurve.of(
                    [(0, o.curve.min_kw), (o.curve.prices[0], o.curve.min_kw), (o.curve.prices[0], -o.min_run_kw)]
                )
                if runs
                else OfferCurve.of([(0, 0)]),
                min_run_kw=0.0,
            )
            for o, runs in zip(offers, chosen, strict=True)
        )
        if sum(o.min_run_kw for o, runs in zip(offers, chosen, strict=True) if runs) <= import_kw:
            cleared = locational.clear(replace(problem, offers=(problem.offers[0], *bound)))
            powers = {**cleared.setpoint_kw}
            best = max(best, sum((o.curve.prices[0] - 0.1) * -powers[o.era] for o in offers))
    done = gaps.clear(problem, locational.clear)
    assert done.clearing.welfare <= best + 1e-6
    assert done.clearing.welfare >= best - max((o.curve.prices[0] - 0.1) * o.min_run_kw for o in offers) - 1e-6


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(10, 60), min_size=1, max_size=6),
    st.integers(0, 30),
    st.integers(1, 12),
    st.integers(2, 40),
    st.sampled_from(["locational", "pay-as-clear", "bilateral-fee"]),
)
def test_a_promise_to_let_nobody_lose_leaves_out_who_was_put_at_its_minimum(worth, ask, pv_kw, import_kw, name):
    offers = (*(car(f"ev-{n}", price / 100) for n, price in enumerate(worth)), supply("pv", ask / 100, pv_kw, "tx-1"))
    problem = street(retailer(0.08, 0.3), *offers, import_kw=import_kw, price_floor=-1, price_cap=2)
    clearing = gaps.clear(problem, POLICIES[name].clear).clearing
    assert broken(problem, clearing, POLICIES[name].promises & {"rational", "money", "balance"}) == ()
