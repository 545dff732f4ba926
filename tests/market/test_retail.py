"""Auctions beside a retailer: its tariff is everybody's outside option, and what finds no partner trades at it."""

from __future__ import annotations

import inspect
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.curves import OfferCurve
from sim.market.economics import broken, shortfall
from sim.market.policies import POLICIES
from sim.market.problem import MARGIN, Deal, Offer, Problem, slack_prices
from sim.market.retail import within_tariff
from tests.market.books import demand, fixed, retailer, supply
from tests.strategies import curves, problems

AUCTIONS = ("continuous", "huang", "mcafee", "muda", "pairwise-k", "pay-as-bid", "posted-price")
OF_OTHERS = ("gsy-pay-as-bid", "gsy-pay-as-clear", "lemlab-uniform", "pymarket-random-pairs", "volume-max")
BESIDE = (*AUCTIONS, *OF_OTHERS)

VILLAGE = Problem(
    (
        retailer(0.08, 0.30),
        fixed("house", -4),
        demand("ev", 0.20, 3),
        supply("pv", 0.01, 5),
        supply("engine", 0.40, 9),
    ),
    slack="retailer",
)


@pytest.mark.parametrize("name", BESIDE)
def test_a_house_is_served_whatever_the_auction_does(name):
    clearing = POLICIES[name].clear(VILLAGE)
    assert clearing.setpoint_kw["house"] == pytest.approx(-4)
    assert clearing.curtailed_kw == {}
    assert 0.08 <= clearing.participant_price["house"] <= 0.30


@pytest.mark.parametrize("name", BESIDE)
def test_who_asks_more_than_the_retailer_sells_nothing(name):
    assert POLICIES[name].clear(VILLAGE).setpoint_kw["engine"] == 0


def test_trade_reduction_gives_up_a_trade_and_the_retailer_serves_both():
    """The house would pay 0.30 and the roof takes 0.08: the last pair does not trade, each goes to the retailer."""
    problem = Problem((retailer(0.08, 0.30), fixed("house", -4), supply("pv", 0.01, 4)), slack="retailer")
    clearing = POLICIES["huang"].clear(problem)
    assert clearing.setpoint_kw == {"retailer": 0, "house": -4, "pv": 4}
    assert clearing.participant_price == {"retailer": None, "house": 0.30, "pv": 0.08}
    assert clearing.accounts == {MARGIN: pytest.approx(4 * (0.30 - 0.08))}
    assert broken(problem, clearing, {"money", "rational", "solvent", "nonprofit"}) == ()


def test_pairs_split_the_wedge_that_they_save():
    problem = Problem((retailer(0.08, 0.30), fixed("house", -4), supply("pv", 0.01, 6)), slack="retailer")
    clearing = POLICIES["pairwise-k"].clear(problem)
    assert clearing.deals == (
        Deal("pv", "house", 4, pytest.approx(0.19), pytest.approx(0.19)),
        Deal("pv", "retailer", 2, 0.08, 0.08),
    )
    assert clearing.participant_price["pv"] == pytest.approx((4 * 0.19 + 2 * 0.08) / 6)
    assert clearing.setpoint_kw["retailer"] == -2


@pytest.mark.parametrize("name", BESIDE)
@settings(max_examples=60, deadline=None)
@given(problem=problems(slack=st.just(True)))
def test_nobody_trades_at_a_price_worse_than_the_tariff(name, problem):
    asks, pays = slack_prices(problem)
    clearing = POLICIES[name].clear(problem)
    for offer in problem.offers:
        price, p_kw = clearing.participant_price[offer.era], clearing.setpoint_kw[offer.era]
        if price is not None and abs(p_kw) > 1e-3 and name != "muda" and offer.era != problem.slack:
            assert (price <= asks + 1e-6) if p_kw < 0 else (price >= pays - 1e-6)


@settings(max_examples=100, deadline=None)
@given(problem=problems(slack=st.just(True)))
def test_what_is_bid_is_efficient_beside_a_retailer_too(problem):
    free = Problem(problem.offers, tuple(type(n)(n.node, n.parent) for n in problem.limits), slack=problem.slack)
    assert shortfall(free, POLICIES["pay-as-bid"].clear(free)) == pytest.approx(0, abs=1e-5)


@settings(max_examples=200, deadline=None)
@given(curve=curves(), ends=st.tuples(st.integers(-3, 4), st.integers(0, 5)))
def test_between_two_tariffs_a_curve_is_itself_and_nobody_offers_what_no_one_takes(curve: OfferCurve, ends):
    pays, asks = ends[0] / 10, (ends[0] + ends[1]) / 10
    cut = within_tariff(curve, asks, pays)
    assert cut.low(pays - 0.01) <= 0 <= cut.high(asks + 0.01)
    assert (cut.prices[1:] >= cut.prices[:-1]).all()
    assert (cut.powers[1:] >= cut.powers[:-1]).all()
    if asks > pays:
        middle = (asks + pays) / 2
        assert (cut.low(middle), cut.high(middle)) == pytest.approx((curve.low(middle), curve.high(middle)))
    else:
        assert cut.min_kw == cut.max_kw == 0


def test_without_a_tariff_a_curve_is_left_as_it_is():
    curve = OfferCurve.of([(0.1, -3), (0.4, 2)])
    assert within_tariff(curve, math.inf, -math.inf) == curve


@pytest.mark.parametrize("name", ["muda", "huang", "continuous"])
def test_options_of_an_auction_are_those_of_its_own(name):
    assert [*inspect.signature(POLICIES[name].clear).parameters][1:] in (["seed"], ["pieces"])


def market_with(slack: OfferCurve) -> Problem:
    offers = (
        Offer("retailer", "grid", slack),
        demand("ev", 0.25, 8),
        supply("pv", 0.15, 2),
        fixed("house", -3),
    )
    return Problem(offers, price_floor=-1, price_cap=2, slack="retailer")


@pytest.mark.parametrize("name", BESIDE)
@pytest.mark.parametrize(
    "points",
    [
        [(0.05, -9), (0.3, 10)],  # a slope
        [(0.05, -9), (0.05, -3), (0.1, -3), (0.1, 0), (0.2, 0), (0.2, 3), (0.3, 3), (0.3, 10)],  # steps
        [(0.1, -1), (0.1, 0), (0.3, 0), (0.3, 1)],  # a tariff for next to nothing
        [(0, 5)],  # gives whatever the price
    ],
)
def test_a_slack_that_cannot_serve_all_at_two_prices_is_one_bidder_among_others(name, points):
    problem = market_with(OfferCurve.of(points))
    clearing = POLICIES[name].clear(problem)
    assert broken(problem, clearing, POLICIES[name].promises) == ()
    retailer = problem.offers[0].curve
    assert min(retailer.min_kw, 0) <= clearing.setpoint_kw["retailer"] <= retailer.max_kw


@pytest.mark.parametrize("name", ["continuous", "pairwise-k", "posted-price"])
def test_a_retailer_that_only_gives_has_no_margin(name):
    """What it is paid at one price is its own, to the last digit."""
    demands = tuple(demand(f"ev-{n}", 0.41, 0.1 * n + 0.01) for n in range(1, 9))
    problem = Problem((retailer(0.08, 0.3), *demands), slack="retailer")
    assert POLICIES[name].clear(problem).accounts == {}


@pytest.mark.parametrize("name", OF_OTHERS)
def test_whoever_makes_the_price_by_its_bid_bids_no_more_than_the_tariff(name):
    """A house that takes 4 kW at any price pays the retailer's price at most, not the price cap."""
    problem = replace(VILLAGE, price_floor=-1, price_cap=3)
    clearing = POLICIES[name].clear(problem)
    assert clearing.participant_price["house"] <= 0.30 + 1e-9


@pytest.mark.parametrize("name", ["mcafee", "lemlab-uniform", "gsy-pay-as-clear"])
@settings(max_examples=60, deadline=None)
@given(problem=problems(slack=st.just(True)))
def test_a_node_has_a_price_where_everybody_trades_at_it(name, problem):
    clearing = POLICIES[name].clear(problem)
    for offer in problem.offers:
        price, told = clearing.participant_price[offer.era], clearing.price_per_kwh[offer.node]
        assert None in (price, told) or offer.era == problem.slack or price == pytest.approx(told, abs=1e-6)
