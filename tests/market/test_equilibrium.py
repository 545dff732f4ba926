"""What is known of a clearing beyond its point: golden books by id, price zones by drawing, properties of whatever is drawn."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.curves import OfferCurve
from sim.market.equilibrium import Zone, zones
from sim.market.policies import curtail_only, locational, none, pay_as_clear
from sim.market.problem import Limit, LinearLimit, Offer, Problem
from tests.market.books import GRID, demand, fixed, retailer, street, supply
from tests.strategies import problems

GOLDEN = Path(__file__).parent.parent / "golden"
STORED = json.loads((GOLDEN / "equilibria.json").read_text(encoding="utf-8"))
BOOKS = {case["id"]: case for case in json.loads((GOLDEN / "books.json").read_text(encoding="utf-8"))["cases"]}
CASES = [pytest.param(case, id=case["id"]) for case in STORED["cases"]]


def _problem(case: dict) -> Problem:
    book = BOOKS[case["book"]] if "book" in case else case
    buys = [demand(f"buy-{n}", price, kw) for n, (price, kw) in enumerate(book["buys"])]
    sells = [supply(f"sell-{n}", price, kw) for n, (price, kw) in enumerate(book["sells"])]
    rest = [fixed(f"fixed-{n}", kw) for n, kw in enumerate(case.get("fixed", ()))]
    floor, cap = case.get("price_floor", -math.inf), case.get("price_cap", math.inf)
    return Problem((*buys, *sells, *rest), price_floor=floor, price_cap=cap)


@pytest.mark.parametrize("case", CASES)
def test_a_book_has_the_type_prices_volumes_and_marginal_side_that_are_known(case):
    problem = _problem(case)

    def near(value):
        return pytest.approx(value, abs=STORED["tolerance"])

    (zone,) = zones(problem, locational.clear(problem))
    assert zone.kind == case.get("type", zone.kind)
    assert zone.marginal == case.get("marginal", zone.marginal)
    assert zone.theta == near(case.get("theta", zone.theta))
    assert zone.marginal_kw == near(case.get("marginal_kw", zone.marginal_kw))
    assert zone.unserved_kw == near(case.get("unserved_kw", 0.0))
    assert zone.spilled_kw == near(case.get("spilled_kw", 0.0))
    assert [zone.price_lo, zone.price_hi] == near(case.get("price_interval", [zone.price_lo, zone.price_hi]))
    assert [zone.quantity_lo, zone.quantity_hi] == near(case.get("quantity", [zone.quantity_lo, zone.quantity_hi]))
    if "indicative_price" in case:
        assert zone.indicative_price == near(case["indicative_price"])


@pytest.mark.parametrize("book", ["assume-pac-scarcity", "uni-scarcity-assume-trap", "uni-gld-unresponsive-failure"])
def test_scarcity_is_never_cleared_at_the_last_ask(book):
    """Whoever would pay more is still there at that price: it is the bid, or the cap, that clears."""
    case = BOOKS[book]
    highest = max(price for price, _ in case["buys"])
    for cap in (math.inf, highest):
        problem = _problem({"book": book, "price_cap": cap})
        for policy in (locational, pay_as_clear):
            clearing = policy.clear(problem)
            assert clearing.price_per_kwh["grid"] == highest > max(price for price, _ in case["sells"])
        (zone,) = zones(problem, clearing)
        assert zone.kind == ("FAILURE" if math.isfinite(cap) else "MARGINAL_BUYER")


def test_a_load_that_names_no_price_and_is_cut_is_a_failure_even_without_a_cap():
    problem = Problem((fixed("house", -50), supply("solar", 0.1, 20)))
    (zone,) = zones(problem, locational.clear(problem))
    assert (zone.kind, zone.unserved_kw, zone.spilled_kw) == ("FAILURE", 30, 0)


def test_slopes_that_cross_are_exact_and_nobody_is_marginal():
    pv, ev = (
        Offer("pv", "grid", OfferCurve.of([(0.05, 0), (0.25, 8)])),
        Offer("ev", "grid", OfferCurve.of([(0.1, -8), (0.3, 0)])),
    )
    (zone,) = zones(Problem((pv, ev)), locational.clear(Problem((pv, ev))))
    assert zone.price_lo == zone.price_hi == pytest.approx(0.175)
    assert (zone.kind, zone.marginal, zone.theta) == ("EXACT", None, None)
    assert zone.quantity_lo == pytest.approx(5)
    assert zone.quantity_hi == pytest.approx(5)


def one_by_node(problem: Problem, policy=locational) -> dict[str, Zone]:
    return {node: zone for zone in zones(problem, policy.clear(problem)) for node in zone.nodes}


def test_a_binding_limit_parts_two_zones_each_with_its_own_marginal_side():
    """grid sells at 0.10 ──tx-1 (10 kW in)── cars that pay 0.30 and 0.20"""
    problem = street(
        retailer(0.05, 0.10), demand("rich", 0.30, 7, "tx-1"), demand("poor", 0.20, 7, "tx-1"), import_kw=10
    )
    found = one_by_node(problem)
    assert (found["grid"].kind, found["grid"].price_lo, found["grid"].price_hi) == ("MARGINAL_SELLER", 0.10, 0.10)
    assert found["grid"].theta == pytest.approx(10 / 1000)
    local = found["tx-1"]
    assert (local.kind, local.price_lo, local.price_hi, local.marginal) == ("MARGINAL_BUYER", 0.20, 0.20, "BUYER")
    assert (local.theta, local.marginal_kw) == (pytest.approx(3 / 7), pytest.approx(3))
    assert (local.quantity_lo, local.quantity_hi) == (10, 10)


def test_a_local_price_may_be_anything_between_the_two_loads_around_it():
    offers = (retailer(0.05, 0.10), demand("rich", 0.30, 10, "tx-1"), demand("poor", 0.20, 5, "tx-1"))
    local = one_by_node(street(*offers, import_kw=10))["tx-1"]
    assert (local.kind, local.price_lo, local.price_hi) == ("MARGINAL_PRICE", 0.20, 0.30)


def test_a_price_below_an_import_limit_is_at_least_the_one_above_it():
    """Nobody on the street would pay less than 0.30 for more; but below 0.25 no limit would part it from the grid."""
    offers = (retailer(0.05, 0.25), demand("rich", 0.30, 10, "tx-1"), demand("poor", 0.20, 5, "tx-1"))
    local = one_by_node(street(*offers, import_kw=9))["tx-1"]
    assert (local.kind, local.price_lo) == ("MARGINAL_BUYER", 0.30)
    tight = one_by_node(street(*offers, import_kw=10, k=1.0))
    assert tight["tx-1"] is tight["grid"]  # reached, and it holds nobody back


def test_surplus_behind_an_export_limit_is_marginal_on_the_selling_side():
    local = one_by_node(street(retailer(0.05, 0.30), supply("solar", 0.01, 80, "tx-1"), export_kw=30))["tx-1"]
    assert (local.kind, local.marginal, local.theta) == ("MARGINAL_SELLER", "SELLER", pytest.approx(30 / 80))
    assert (local.price_lo, local.price_hi) == (0.01, 0.01)


def test_limits_within_a_zone_can_hold_back_both_sides():
    """Buyers and sellers at one price behind two transformers that let 1 kW through each: both are served in part."""
    limits = (GRID, Limit("a", "grid", 1.0, 1.0), Limit("b", "grid", 1.0, 1.0))
    problem = Problem((demand("ev", 5, 10, "a"), supply("pv", 5, 6, "b")), limits)
    (zone,) = zones(problem, locational.clear(problem))
    assert (zone.nodes, zone.marginal, zone.kind) == (("grid", "a", "b"), "BOTH", "MARGINAL_PRICE")
    assert zone.theta == pytest.approx(2 / 16)
    assert [zone.quantity_lo, zone.quantity_hi] == pytest.approx([0, 6])


def test_set_points_that_follow_from_no_price_have_no_equilibrium():
    problem = street(retailer(0.05, 0.20), demand("ev", 0.12, 7, "tx-1"), supply("pv", 0.01, 4, "tx-1"))
    for policy in (none, curtail_only):
        (zone,) = zones(problem, policy.clear(problem))
        assert (zone.kind, zone.price_lo, zone.marginal) == (None, None, None)


@settings(max_examples=200, deadline=None)
@given(problems())
def test_every_locational_price_lies_in_the_interval_of_its_zone(problem):
    clearing = locational.clear(problem)
    for zone in zones(problem, clearing):
        assert zone.kind is not None
        assert zone.price_lo <= zone.price_hi
        for node in zone.nodes:
            price = clearing.price_per_kwh[node]
            assert price is None or zone.price_lo - 1e-9 <= price <= zone.price_hi + 1e-9
        assert zone.quantity_lo <= zone.quantity_hi + 1e-6
        assert (zone.theta is None) == (zone.marginal is None)
        assert zone.theta is None or 0 < zone.theta < 1


@settings(max_examples=200, deadline=None)
@given(problems())
def test_every_price_of_the_interval_clears_the_market_again(problem):
    """With k at either end the price moves to that end of the interval, and nobody's power moves."""
    problem = replace(problem, limits=tuple(Limit(limit.node, limit.parent) for limit in problem.limits))
    clearing = locational.clear(replace(problem, k=0.5))
    (zone,) = zones(problem, clearing)
    if clearing.price_per_kwh["root"] is None or zone.kind != "MARGINAL_PRICE":
        return
    for k, end in ((0.0, zone.price_lo), (1.0, zone.price_hi)):
        if math.isfinite(zone.price_lo) and math.isfinite(zone.price_hi):
            moved = locational.clear(replace(problem, k=k))
            assert moved.price_per_kwh["root"] == pytest.approx(end, abs=1e-9)
            assert dict(moved.setpoint_kw) == pytest.approx(dict(clearing.setpoint_kw), abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(problems(), st.data())
def test_known_adders_and_linear_limits_part_nobody_from_its_zone(problem, data):
    """Whoever's own price lies off its node's is asked at its own: the node's price is still one that would do."""
    offers = tuple(
        offer
        if offer.era == problem.slack
        else replace(offer, adder_per_kwh=data.draw(st.sampled_from([0.0, 0.02, -0.1])))
        for offer in problem.offers
    )
    eras = [offer.era for offer in offers if offer.era != problem.slack]
    limit = LinearLimit("v", {era: data.draw(st.sampled_from([1.0, -1.0, 0.5])) for era in eras}, 2.0)
    problem = replace(problem, offers=offers, linear=(limit,), price_floor=-1.0, price_cap=2.0)
    clearing = locational.clear(problem)
    for zone in zones(problem, clearing):
        assert zone.kind is not None
        prices = [clearing.price_per_kwh[node] for node in zone.nodes]
        assert all(p is None or zone.price_lo - 1e-9 <= p <= zone.price_hi + 1e-9 for p in prices)
