"""Whom a lie pays, and whom it does not: a search over what each participant might have offered instead."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.curves import OfferCurve
from sim.market.misreport import best_misreport, gain_per_h, greatest_gain, power_lies, price_lies, thinned
from sim.market.policies import POLICIES
from sim.market.policy import Policy
from sim.market.problem import Offer, Problem
from tests.market import misreports
from tests.market.books import demand, fixed, retailer, street, supply

TRUTHFUL = [name for name, policy in POLICIES.items() if policy.truthful]
DOMAIN = {
    "unit demand": (misreports.UNIT_DEMAND, False),
    "single price": (misreports.SINGLE_PRICE, True),
    "always": (misreports.ANY_CURVES, True),
}
"""By promise: the markets it is for, and whether power can be lied about there."""

PRICE_TAKERS = "price takers"
"""A promise for markets in which nobody's offer moves the price: no search in a small one can show it."""

SAME_GAIN = 1e-5
"""Gains closer than this are one [currency/h]: what ten kW make of the distance at which lies are told."""

FOUR_OF_EACH = Problem(
    (
        *(demand(f"b{n}", price, 1) for n, price in enumerate((10, 9, 8, 4))),
        *(supply(f"s{n}", price, 1) for n, price in enumerate((1, 3, 5, 6))),
    )
)


def test_every_promise_of_truth_is_searched_but_for_price_takers():
    assert {POLICIES[name].truthful for name in TRUTHFUL} - DOMAIN.keys() == {PRICE_TAKERS}


@pytest.mark.parametrize("name", [name for name in TRUTHFUL if POLICIES[name].truthful in DOMAIN])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_no_lie_pays_whom_a_policy_promises_it(name, data):
    policy = POLICIES[name]
    markets, powers = DOMAIN[policy.truthful]
    problem = data.draw(markets)
    eras = [offer.era for offer in problem.offers if offer.era != problem.slack]  # a tariff is no secret to lie about
    if eras:
        found = best_misreport(policy, problem, data.draw(st.sampled_from(eras)), powers=powers, tries=60)
        assert found.gain_per_h <= SAME_GAIN


@settings(max_examples=25, deadline=None)
@given(misreports.ANY_GRID, st.data())
def test_no_lie_pays_on_a_grid_where_everybody_pays_what_the_others_lose(problem, data):
    if problem.offers:
        era = data.draw(st.sampled_from(problem.offers)).era
        assert best_misreport(POLICIES["vcg"], problem, era, tries=40).gain_per_h <= SAME_GAIN


@settings(max_examples=25, deadline=None)
@given(misreports.SINGLE_PRICE, st.data())
def test_where_sizes_are_known_no_price_pays_that_is_not_ones_own(problem, data):
    """Trade reduction: the price is somebody else's, whatever the sizes."""
    era = data.draw(st.sampled_from(problem.offers)).era
    assert best_misreport(POLICIES["huang"], problem, era, powers=False).gain_per_h <= SAME_GAIN


def test_who_is_rationed_gains_by_overstating_his_size():
    """2 kW for 2 x 2: each gets 1.  Who says 3, gets 1.5."""
    problem = Problem(
        (demand("b0", 9, 2), demand("b1", 8, 2), demand("b2", 6, 2), supply("s0", 1, 2), supply("s1", 3, 4))
    )
    huang = POLICIES["huang"]
    assert huang.clear(problem).setpoint_kw == {"b0": -1, "b1": -1, "b2": 0, "s0": 2, "s1": 0}
    found = best_misreport(huang, problem, "b0")
    assert found.gain_per_h > 1
    assert found.report.min_kw < -2


@settings(max_examples=25, deadline=None)
@given(misreports.SINGLE_PRICE)
def test_no_buyer_gains_by_a_lie_where_prices_are_posted(problem):
    buyer = next(offer.era for offer in problem.offers if offer.era.startswith("b"))
    assert best_misreport(POLICIES["posted-price"], problem, buyer).gain_per_h <= SAME_GAIN


# --- lies that are known to pay ---------------------------------------------------------------------------------------


def test_the_last_seller_gains_half_of_what_it_adds_to_its_ask():
    """kda-not-ic: all of 5..6 clear, and the middle is the price; who asks 5.9 instead of 5 makes it 5.95."""
    policy, truth = POLICIES["pay-as-clear"], FOUR_OF_EACH.offers[6]
    lied = replace(
        FOUR_OF_EACH,
        offers=tuple(supply("s2", 5.9, 1) if one.era == "s2" else one for one in FOUR_OF_EACH.offers),
    )
    honest, clearing = policy.clear(FOUR_OF_EACH), policy.clear(lied)
    assert (honest.participant_price["s2"], clearing.participant_price["s2"]) == pytest.approx((5.5, 5.95))
    gain = gain_per_h(lied, clearing, truth) - gain_per_h(FOUR_OF_EACH, honest, truth)
    assert gain == pytest.approx(0.45, abs=1e-6)
    found = best_misreport(policy, FOUR_OF_EACH, "s2")
    assert 0.45 < found.gain_per_h <= 0.5 + 1e-9


@pytest.mark.parametrize(
    ("name", "gain"),
    [("pay-as-clear", 0.5), ("pay-as-bid", 5.0), ("pairwise-k", 1.5), ("continuous", 5.0), ("posted-price", 5.0)],
)
def test_where_no_truth_is_promised_a_lie_is_found_that_pays(name, gain):
    found = greatest_gain(POLICIES[name], FOUR_OF_EACH)
    assert POLICIES[name].truthful is None
    assert found.gain_per_h == pytest.approx(gain, abs=1e-5)


@pytest.mark.parametrize("name", ["mcafee", "huang", "muda", "vcg"])
def test_where_truth_is_promised_none_is_found_in_the_same_book(name):
    found = greatest_gain(POLICIES[name], FOUR_OF_EACH, powers=False)
    assert found.gain_per_h <= SAME_GAIN


def test_the_search_finds_who_withholds():
    """One seller of four: with 10 kW the price is 0.2; with 7.5 the dearer buyer's bid sets it."""
    problem = Problem((supply("wind", 0.1, 10), demand("a", 0.9, 6), demand("b", 0.2, 6)))
    found = best_misreport(POLICIES["pay-as-clear"], problem, "wind")
    assert found.gain_per_h > 6 * 0.9 - 6 * 0.1 - (10 * 0.2 - 10 * 0.1) - 2.6


# --- the search itself ------------------------------------------------------------------------------------------------


def test_a_lie_moves_one_price_and_pushes_what_it_passes():
    curve = OfferCurve.of([(1, -4), (1, -2), (3, -2), (3, 0), (5, 0), (5, 2)])
    one_moved, all_moved = list(price_lies(curve, [4]))[2:4]
    assert one_moved == OfferCurve.of([(1, -4), (1, -2), (4, -2), (4, 0), (5, 0), (5, 2)])
    assert all_moved == OfferCurve.of([(2, -4), (2, -2), (4, -2), (4, 0), (6, 0), (6, 2)])
    pushed = next(price_lies(curve, [4]))
    assert pushed == OfferCurve.of([(4, -4), (4, 0), (5, 0), (5, 2)])
    assert list(price_lies(demand("ev", 3, 2).curve, [4])) == [demand("ev", 4, 2).curve]


def test_a_lie_scales_or_holds_back_power_and_never_what_cannot_be_held_back():
    assert OfferCurve.of([(0.3, -4), (0.3, 0)]) in list(power_lies(OfferCurve.of([(0.3, -2), (0.3, 0)])))
    both = OfferCurve.of([(0.1, -4), (0.1, 0), (0.2, 0), (0.2, 4)])
    assert OfferCurve.of([(0.1, -2), (0.1, 0), (0.2, 0), (0.2, 2)]) in list(power_lies(both))
    rigid = Offer("house", "grid", OfferCurve.of([(0.3, -4), (0.3, -2)])).curve
    assert all(lie.max_kw <= 0 for lie in power_lies(rigid))


def test_what_is_tried_is_thinned_evenly_and_keeps_both_ends():
    reports = [fixed("x", kw).curve for kw in range(11)]
    assert [report.min_kw for report in thinned(reports, 3)] == [0, 5, 10]
    assert thinned(reports, 11) == reports


def test_a_set_point_out_of_reach_is_no_gain_and_rigid_power_is_worth_the_cap():
    house = fixed("house", -2)
    problem = Problem((house, supply("pv", 0.1, 5)), price_floor=-1, price_cap=2)
    clearing = POLICIES["pay-as-bid"].clear(problem)
    assert gain_per_h(problem, clearing, house) == pytest.approx(0)
    assert gain_per_h(problem, POLICIES["pay-as-clear"].clear(problem), house) == pytest.approx(2 * (2 - 0.1))
    assert gain_per_h(problem, clearing, fixed("house", -1)) == -float("inf")


def test_lies_keep_to_the_price_floor_and_cap_and_a_refused_one_gains_nothing():
    asked = []

    def clear(problem):
        asked.extend(price for offer in problem.offers for price in offer.curve.prices.tolist())
        return POLICIES["pay-as-clear"].clear(problem)

    policy = Policy("watched", clear, frozenset(), "PAY_AS_CLEAR", "keeps what it was asked")
    problem = street(retailer(0.05, 0.2), demand("ev", 0.3, 5), price_floor=-0.5, price_cap=0.6)
    found = best_misreport(policy, problem, "ev")
    assert (min(asked), max(asked)) == (-0.5, 0.6)
    assert found.gain_per_h <= SAME_GAIN
    assert found.tried > 10


def test_nobody_to_ask_is_no_gain():
    assert greatest_gain(POLICIES["vcg"], Problem(())) is None
