"""Power that a grid operator commands to be moved: who is moved, by how much, and what it is worth."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pytest import approx

from agents.offsets import Order, offset_of, ordered
from sim.clock import Calendar, local_start
from sim.curves import OfferCurve
from sim.market.certificate import certify
from sim.market.policies import POLICIES
from sim.market.problem import Limit, Offer, Problem
from sim.tolerances import POWER_KW
from sim.wire.bags import ENERGY, GridConstraints, GridNode, OffsetCommand, TimeWindow
from tests.market.books import fixed, retailer
from tests.strategies import curves

NODES = (Limit("grid"), Limit("left", "grid"), Limit("right", "grid"))
QUARTERS = Calendar(local_start(datetime(2016, 5, 17, 11), "Europe/Berlin"), 900, 8)


def indifferent(era: str, node: str, kw: float = 5.0, price: float = 0.1) -> Offer:
    return Offer(era, node, OfferCurve.of([(price, -kw), (price, kw)]))


def market(*offers: Offer) -> Problem:
    return Problem((*offers, retailer(0.05, 0.3)), NODES, price_floor=-1, price_cap=5, slack="retailer")


TWO = market(indifferent("first", "left"), indifferent("second", "right"), fixed("load", -4, "grid"))


def moved(problem: Problem, **offset_kw: float) -> tuple[Problem, dict[str, float]]:
    clearing = POLICIES["locational"].clear(problem)
    again, orders = ordered(problem, clearing, offset_kw)
    return again, {era: order.offset_kw for era, order in orders.items()}


def test_two_and_two_become_none_and_four() -> None:
    again, by = moved(TWO, left=-2)
    assert by == {"first": approx(-2)}
    setpoint = POLICIES["locational"].clear(again).setpoint_kw
    assert setpoint == approx({"first": 0, "second": 4, "load": -4, "retailer": 0}, abs=1e-9)


def test_the_indifferent_are_moved_before_those_whom_it_would_cost_something() -> None:
    cheap = Offer("roof", "left", OfferCurve.of([(0.0, 0.0), (0.0, 3.0)]))
    problem = market(*TWO.offers[:-1], cheap)
    _, by = moved(problem, left=-2)
    assert set(by) == {"first"}
    _, by = moved(problem, left=-8)
    assert by["roof"] < 0
    assert sum(by.values()) == approx(-8)


def test_the_inelastic_the_retailer_and_who_runs_at_a_minimum_are_never_moved() -> None:
    minimum = replace(indifferent("car", "left"), min_run_kw=2.0)
    again, by = moved(market(fixed("house", -3, "left"), minimum, fixed("load", -4, "grid")), left=2)
    assert by == {}
    assert again.offers[0].curve.min_kw == -3


@given(
    st.lists(st.tuples(curves(), st.sampled_from(["left", "right"])), min_size=1, max_size=5),
    st.floats(-50, 50),
    st.floats(-50, 50),
)
def test_whatever_is_commanded_nobody_leaves_its_curve_and_no_more_is_moved_than_was_asked(
    given_curves: list[tuple[OfferCurve, str]], left_kw: float, right_kw: float
) -> None:
    offers = tuple(Offer(f"p{k}", node, curve) for k, (curve, node) in enumerate(given_curves))
    problem = Problem(offers, NODES)
    clearing = POLICIES["locational"].clear(problem)
    again, orders = ordered(problem, clearing, {"left": left_kw, "right": right_kw})
    tolerance = POWER_KW * (1 + max(abs(kw) for kw in (*clearing.setpoint_kw.values(), 1.0)))
    for offer, told in zip(problem.offers, again.offers, strict=True):
        order = orders.get(offer.era)
        if order is None:
            assert told == offer
            continue
        assert told.curve.min_kw == told.curve.max_kw
        assert offer.curve.min_kw - tolerance <= told.curve.min_kw <= offer.curve.max_kw + tolerance
    for node, wanted_kw in (("left", left_kw), ("right", right_kw)):
        by = [order.offset_kw for offer in offers if offer.node == node and (order := orders.get(offer.era))]
        assert all(kw * wanted_kw > 0 for kw in by)
        assert abs(sum(by)) <= abs(wanted_kw) + tolerance


@given(kw=st.floats(-9, 9), first_kw=st.floats(1, 9), second_kw=st.floats(1, 9), load_kw=st.floats(-9, 9))
def test_moving_the_indifferent_changes_neither_price_nor_sum_nor_welfare(
    kw: float, first_kw: float, second_kw: float, load_kw: float
) -> None:
    problem = market(
        indifferent("first", "left", first_kw),
        indifferent("second", "right", second_kw),
        fixed("load", load_kw, "grid"),
    )
    before = POLICIES["locational"].clear(problem)
    assume(before.price_per_kwh["grid"] is not None)
    room = min(abs(kw), second_kw - abs(before.setpoint_kw["second"]), first_kw - abs(before.setpoint_kw["first"]))
    again, orders = ordered(problem, before, {"left": math.copysign(max(room, 0.0) * 0.99, kw)})
    after = POLICIES["locational"].clear(again)
    assert certify(again, after).violations == ()
    for era, order in orders.items():
        price = after.participant_price[era]
        assert order.uplift_per_kwh(after.setpoint_kw[era], price) == approx(0, abs=1e-9)
    if orders:
        assert after.price_per_kwh["grid"] == approx(before.price_per_kwh["grid"])
        assert problem.welfare(problem.in_order(after.setpoint_kw)) == approx(before.welfare)


SLOPE = OfferCurve.of([(0.05, 0), (0.15, 5)])


@pytest.mark.parametrize(
    ("offset_kw", "p_kw", "price", "uplift"),
    [
        (-2, 0.5, 0.1, 0.04),
        (2, 4.5, 0.1, 0.04),
        (-2, 4.5, 0.1, 0),
        (2, 0.5, 0.1, 0),
        (-2, 0.5, None, 0),
        (-9, 9, 0.1, 0),
    ],
)
def test_an_uplift_is_what_the_price_would_have_brought_beyond_the_own_marginal_cost_and_never_a_charge(
    offset_kw: float, p_kw: float, price: float | None, uplift: float
) -> None:
    assert Order(offset_kw, SLOPE).uplift_per_kwh(p_kw, price) == approx(uplift)


def node(**command: object) -> GridNode:
    offset = {"offsetCommand": OffsetCommand(**command)} if command else {}  # type: ignore[arg-type]
    return GridNode(ENERGY, nodeId="left", nodeType="TRANSFORMER", gridConstraints=GridConstraints(), **offset)


def test_a_command_holds_within_its_window_and_always_without_one() -> None:
    window = TimeWindow(start=QUARTERS.timestamp(900), end=QUARTERS.timestamp(2700))
    by_interval = [offset_of(node(offsetKW=-2.0, timeWindow=window), QUARTERS.interval(k), QUARTERS) for k in range(4)]
    assert by_interval == [0, -2, -2, 0]
    assert offset_of(node(offsetKW=-2.0), QUARTERS.interval(7), QUARTERS) == -2
    assert offset_of(node(), QUARTERS.interval(0), QUARTERS) == 0
