"""Clearings whose answer is known: order books, markets on a grid, and published results that must be refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from sim.curves import OfferCurve, aggregate, clear
from sim.market.certificate import certify
from sim.market.policies import POLICIES
from sim.market.problem import Clearing, Limit, LinearLimit, Offer, Problem
from tests.market.books import demand, supply

GOLDEN = Path(__file__).parent.parent / "golden"


def _cases(name: str):
    stored = json.loads((GOLDEN / name).read_text(encoding="utf-8"))
    return [pytest.param(case, stored["tolerance"], id=case["id"]) for case in stored["cases"]]


# --- order books at one node ------------------------------------------------------------------------------------------


def _book(case: dict, k: float = 0.5) -> Problem:
    buys = [demand(f"buy-{n}", price, kw) for n, (price, kw) in enumerate(case["buys"])]
    sells = [supply(f"sell-{n}", price, kw) for n, (price, kw) in enumerate(case["sells"])]
    return Problem((*buys, *sells), k=k)


@pytest.mark.parametrize(("case", "tolerance"), _cases("books.json"))
def test_an_order_book_clears_to_its_price_interval_volume_and_welfare(case, tolerance):
    problem = _book(case)
    crossing = clear(aggregate([offer.curve for offer in problem.offers]))
    assert [crossing.price_lo, crossing.price_hi] == pytest.approx(case["price_interval"], abs=tolerance)
    clearing = POLICIES["locational"].clear(problem)
    assert certify(problem, clearing).violations == ()
    assert clearing.quantity_kw == pytest.approx(case["volume_kw"], abs=tolerance)
    if "welfare" in case:
        assert clearing.welfare == pytest.approx(case["welfare"], abs=tolerance)


@pytest.mark.parametrize(("case", "tolerance"), [c for c in _cases("books.json") if "price_at_k" in c.values[0]])
def test_k_chooses_within_the_price_interval(case, tolerance):
    for k, price in case["price_at_k"]:
        clearing = POLICIES["pay-as-clear"].clear(_book(case, k))
        assert clearing.price_per_kwh["grid"] == pytest.approx(price, abs=tolerance)


@pytest.mark.parametrize(("case", "tolerance"), [c for c in _cases("books.json") if "no_equilibrium" in c.values[0]])
def test_prices_that_do_not_clear_the_book_are_not_certified(case, tolerance):
    problem = _book(case)
    clearing = POLICIES["locational"].clear(problem)
    for price in case["no_equilibrium"]:
        prices = dict.fromkeys(clearing.participant_price, price)
        claimed = replace(clearing, price_per_kwh={"grid": price}, participant_price=prices)
        assert "curves" in {found.condition for found in certify(problem, claimed).violations}
        assert min(abs(price - end) for end in case["price_interval"]) > tolerance


# --- markets on a grid ------------------------------------------------------------------------------------------------


def _problem(case: dict) -> Problem:
    offers = tuple(
        Offer(o["era"], o["node"], OfferCurve.of(o["points"], step=o.get("step", False))) for o in case["offers"]
    )
    limits = tuple(
        Limit(n["node"], n.get("parent"), n.get("import_kw", math.inf), n.get("export_kw", math.inf))
        for n in case.get("limits", [])
    )
    floor, cap = case.get("price_floor", -math.inf), case.get("price_cap", math.inf)
    linear = tuple(LinearLimit(**one) for one in case.get("linear", []))
    return Problem(offers, limits, 0.5, floor, cap, case.get("slack"), linear)


def _rent(clearing: Clearing) -> float:
    return sum(adder * clearing.flow_kw[node] for node, adder in clearing.adder_per_kwh.items())


@pytest.mark.parametrize(("case", "tolerance"), _cases("clearings.json"))
def test_a_market_clears_as_is_known(case, tolerance):
    problem, expected = _problem(case), case["expected"]
    policy = POLICIES[case.get("policy", "locational")]
    clearing = policy.clear(problem)
    broken = {found.condition for found in certify(problem, clearing).violations}
    assert not broken & policy.promises

    def near(value):
        return pytest.approx(value, abs=tolerance)

    answers = {
        "price": clearing.price_per_kwh,
        "adder": clearing.adder_per_kwh,
        "setpoint_kw": clearing.setpoint_kw,
        "flow_kw": clearing.flow_kw,
        "participant_price": clearing.participant_price,
        "linear_price": clearing.linear_price,
        "linear_value": clearing.linear_value,
    }
    for name, answer in answers.items():
        for key, value in expected.get(name, {}).items():
            assert answer[key] == (value if value is None else near(value)), (name, key)
    for name in ("offset_kw", "curtailed_kw"):
        if name in expected:
            assert getattr(clearing, name) == near(expected[name])
    for key, value in expected.get("binding", {}).items():
        assert clearing.binding[key] == value
    assert clearing.quantity_kw == near(expected.get("quantity_kw", clearing.quantity_kw))
    assert clearing.welfare == near(expected.get("welfare", clearing.welfare))
    assert _rent(clearing) == near(expected.get("rent", _rent(clearing)))


@pytest.mark.parametrize(
    ("case", "tolerance"), [c for c in _cases("clearings.json") if "price_interval" in c.values[0]["expected"]]
)
def test_all_prices_that_clear_are_known(case, tolerance):
    crossing = clear(aggregate([offer.curve for offer in _problem(case).offers]))
    assert [crossing.price_lo, crossing.price_hi] == pytest.approx(case["expected"]["price_interval"], abs=tolerance)


# --- published, and wrong ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("case", "tolerance"), _cases("published_clearings.json"))
def test_a_published_clearing_that_does_not_clear_is_refused(case, tolerance):
    problem = _problem(case)
    prices = {offer.era: case["price"] for offer in problem.offers}
    clearing = POLICIES["pay-as-clear"].clear(problem)
    claimed = replace(
        clearing, price_per_kwh={"grid": case["price"]}, participant_price=prices, setpoint_kw=case["setpoint_kw"]
    )
    certificate = certify(problem, claimed)
    assert not certificate.certified
    assert set(case["breaks"]) == {found.condition for found in certificate.violations}
    assert all(found.amount > tolerance for found in certificate.violations)
