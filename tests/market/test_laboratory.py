"""What the oracle says about any clearing, right, wrong or unreadable."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.catalog import policy
from scenarios.laboratory import BOOKS
from sim.curves import OfferCurve
from sim.errors import MarketError, ScenarioError
from sim.market.laboratory import judge, reference_of
from sim.market.policies import POLICIES, locational, pay_as_clear
from sim.market.policy import Policy
from sim.market.problem import Clearing, Limit, Offer, Problem
from sim.tolerances import PRICE_PER_KWH
from tests.market.books import GRID, demand, fixed, retailer, street, supply
from tests.scenarios.stored_books import problem_of
from tests.strategies import problems

thorough = settings(max_examples=60, deadline=None)

ROSETTA = {
    # by book: price (None: as each bids), volume, welfare, and whether every price is an equilibrium's
    "gridlabd": {"a": (8, 7, 40, True), "b": (5, 10, 49, True), "c": (6.5, 10, 49, True), "d": (20, 15, 325, True)},
    "pymarket-stepwise": {
        "a": (8, 7, 40, True),
        "b": (5, 10, 49, True),
        "c": (6.5, 10, 49, True),
        "d": (20, 15, 325, True),
    },
    "pay-as-clear": {"a": (8, 7, 40, True), "b": (5, 10, 49, True), "c": (6.5, 10, 49, True), "d": (20, 15, 325, True)},
    "lemlab-uniform": {"a": (6.5, 7, 40, False), "b": (6.5, 10, 49, False), "c": (6.5, 10, 49, True)},
    "assume-pay-as-clear": {"a": (5, 7, 40, False), "b": (5, 10, 49, True), "c": (5, 10, 49, True)},
    "simply-pay-as-clear": {"a": (5, 7, 40, False), "b": (5, 10, 49, True), "c": (5, 10, 49, True)},
    "gsy-pay-as-clear": {
        "a": (10, 5, 34, False),
        "b": (8, 10, 49, False),
        "c": (8, 10, 49, True),
        "d": (30, 10, 250, False),
    },
    "gsy-pay-as-bid": {"a": (None, 12, 27, False), "d": (None, 15, 325, False)},
}
"""The same books, different answers: what each tool gave when it was run on them."""


@pytest.mark.parametrize(("name", "book"), [(name, book) for name, row in ROSETTA.items() for book in row])
def test_the_rosetta_books_have_the_answers_that_each_tool_gave(name, book):
    price, volume, welfare, equilibrium = ROSETTA[name][book]
    verdict = judge(problem_of(f"rosetta-{book}"), POLICIES[name])
    assert (verdict.volume_kw, verdict.welfare) == (volume, welfare)
    assert verdict.price == ((price, price) if price else verdict.price)
    assert verdict.price_in_equilibrium == equilibrium


@pytest.mark.parametrize(("book", "price", "volume", "worth"), [
    ("a", (8, 8), (7, 7), 40), ("b", (5, 5), (10, 10), 49), ("c", (5, 8), (10, 10), 49), ("d", (20, 20), (15, 15), 325),
])  # fmt: skip
def test_the_reference_of_the_rosetta_books(book, price, volume, worth):
    known = reference_of(problem_of(f"rosetta-{book}"))
    assert (known.price["grid"], known.volume_kw, known.worth, known.worth_unlimited) == (price, volume, worth, worth)


@pytest.mark.parametrize("path", sorted(BOOKS.glob("*.json")), ids=lambda path: path.stem)
def test_no_policy_of_the_table_is_at_fault_on_any_book(path):
    problem = problem_of(path.stem)
    known = reference_of(problem)
    verdicts = [judge(problem, one, known) for one in POLICIES.values()]
    assert [verdict.policy for verdict in verdicts if verdict.at_fault] == []
    assert [verdict for verdict in verdicts if verdict.failed and not verdict.refused] == []


@thorough
@given(problems())
def test_the_optimum_is_found_to_be_one(problem):
    """Locational prices keep every condition, whatever the book: the oracle has nothing to say against them."""
    verdict = judge(problem, locational.POLICY)
    assert verdict.failed == ""
    assert verdict.broken_promises == ()
    assert verdict.share is None or verdict.share == pytest.approx(1, abs=1e-6)
    assert verdict.volume_efficient
    assert verdict.price_in_equilibrium is not False


@thorough
@given(problems(slack=st.just(True)))
def test_nothing_that_keeps_the_limits_is_worth_more_than_the_best(problem):
    known = reference_of(problem)
    for name in ("none", "curtail-only", "pay-as-clear", "adder-ascent", "gridlabd", "gsy-pay-as-bid"):
        verdict = judge(problem, POLICIES[name], known)
        if not verdict.failed and not verdict.breaks("limits", "range", "balance") and verdict.share is not None:
            assert verdict.share <= 1 + 1e-6


# --- what is seen in a clearing ---------------------------------------------------------------------------------------


def test_prices_that_part_at_a_limit_are_judged_where_they_hold():
    problem = street(retailer(0.05, 0.10), demand("ev", 0.30, 25, "tx-1"), import_kw=10)
    known = reference_of(problem)
    assert known.price == {"grid": (0.10, 0.10), "tx-1": (0.30, 0.30)}
    assert (known.worth, known.worth_unlimited, known.volume_kw) == (2.0, 5.0, (10, 10))
    free = judge(problem, pay_as_clear.POLICY, known)
    assert (free.share, free.price_in_equilibrium, free.volume_efficient) == (pytest.approx(2.5), False, False)
    assert [found.who for found in free.breaks("limits")] == ["tx-1"]
    assert not free.at_fault


def test_a_plateau_has_many_volumes_and_one_price():
    """Both ask and bid 0.2: any volume up to 5 kW is worth nothing."""
    known = reference_of(Problem((demand("b", 0.2, 5), supply("s", 0.2, 8))))
    assert (known.price["grid"], known.volume_kw, known.worth) == ((0.2, 0.2), (0, 5), 0)


def test_who_would_take_more_at_his_price_is_unserved_and_who_would_give_more_unsold():
    problem = Problem((demand("d", 3000, 700), supply("g1", 100, 300), supply("g2", 50, 200)))
    verdict = judge(problem, POLICIES["assume-pay-as-clear"])
    assert (verdict.unserved_kw, verdict.unsold_kw) == ({"d": 200}, {})
    high = judge(Problem((demand("b", 5, 2), supply("s", 1, 5))), POLICIES["gsy-pay-as-clear"])
    assert (high.unserved_kw, high.unsold_kw) == ({}, {"s": 3})


def test_a_load_that_is_cut_is_unserved_at_any_price():
    problem = Problem((fixed("house", -3), supply("s", 0.1, 2)), price_cap=1.0)
    assert judge(problem, locational.POLICY).unserved_kw == {"house": 1}


def test_who_is_worse_off_than_by_his_own_bid_is_named():
    problem = street(retailer(0.05, 0.20), demand("ev", 0.12, 7, "tx-1"))
    verdict = judge(problem, POLICIES["none"])
    assert verdict.worse_off == {"ev": pytest.approx(7 * 0.08)}


def test_money_that_nobody_accounts_for_is_missing():
    problem = Problem((demand("b", 10, 5), supply("s1", 2, 3), supply("s2", 5, 4)))
    verdict = judge(problem, POLICIES["assume-pay-as-bid"])
    assert (verdict.missing, verdict.accounts) == (9, {})
    assert verdict.breaks("money")
    assert judge(problem, POLICIES["pay-as-bid"]).missing == pytest.approx(0)


def test_a_clearing_is_judged_by_its_set_points_and_not_by_what_it_says_about_itself():
    def boastful(problem: Problem) -> Clearing:
        return replace(POLICIES["gsy-pay-as-clear"].clear(problem), welfare=1e6, quantity_kw=1e6)

    verdict = judge(problem_of("rosetta-a"), outside(boastful))
    assert (verdict.welfare, verdict.volume_kw, verdict.share) == (34, 5, 0.85)


def test_known_adders_are_worth_something():
    """Behind the line a kWh saves 0.05 of losses: the dearer roof there is the better one."""
    near = replace(supply("near", 0.12, 5), adder_per_kwh=0.05)
    problem = Problem((demand("b", 0.3, 5), supply("far", 0.10, 5), near))
    assert judge(problem, locational.POLICY).share == pytest.approx(1)
    assert judge(problem, POLICIES["gridlabd"]).share == pytest.approx(1.0 / 1.15)


# --- from outside -----------------------------------------------------------------------------------------------------


def outside(function, *promises: str) -> Policy:
    return Policy("outside", function, frozenset(promises), "PAY_AS_CLEAR", "")


def changed(**fields):
    def clear(problem: Problem) -> Clearing:
        clearing = pay_as_clear.clear(problem)
        return replace(clearing, **{name: change(getattr(clearing, name)) for name, change in fields.items()})

    return outside(clear)


def throws(problem: Problem) -> Clearing:
    raise ZeroDivisionError("division by zero")


def refuses(problem: Problem) -> Clearing:
    raise MarketError("market", "no")


def misled(problem: Problem) -> Clearing:
    raise ScenarioError("outside", "is misled")


SIMPLE = Problem((demand("ev", 0.3, 5), supply("pv", 0.1, 5)))


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (outside(throws), "failed with ZeroDivisionError: division by zero"),
        (outside(misled), "is misled"),
        (outside(lambda problem: None), "returned a NoneType, expected a Clearing"),
        (changed(setpoint_kw=lambda power: power | {"ev": math.nan}), "setpoint_kw of ev is nan"),
        (changed(setpoint_kw=lambda power: {"pv": 5.0}), "setpoint_kw has nothing for ev"),
        (changed(setpoint_kw=lambda power: [1, 2]), "setpoint_kw is a list"),
        (changed(participant_price=lambda price: price | {"pv": math.inf}), "participant_price of pv is inf"),
        (changed(price_per_kwh=lambda price: {"grid": "0.2"}), "price_per_kwh of grid is '0.2'"),
        (changed(accounts=lambda accounts: {"rent": None}), "accounts of rent is None"),
        (changed(flow_kw=lambda flow: None), "flow_kw is a NoneType"),
    ],
)
def test_what_a_policy_does_wrong_is_said_and_not_raised(broken, says):
    verdict = judge(SIMPLE, broken)
    assert says in verdict.failed
    assert not verdict.refused
    assert verdict.at_fault


def test_who_cannot_clear_a_market_is_not_at_fault():
    assert judge(SIMPLE, outside(refuses)).refused
    verdict = judge(Problem((fixed("house", -3),)), POLICIES["gridlabd"])
    assert verdict.failed == "house takes 3 kW at any price (give the market a price cap to bid)"
    assert not verdict.at_fault


def test_lost_power_and_a_broken_limit_are_named():
    lossy = judge(SIMPLE, changed(setpoint_kw=lambda power: power | {"pv": 4.0}))
    assert [found.what for found in lossy.breaks("balance") if found.who == "grid"][-1].startswith(
        "all set-points sum to -1"
    )
    problem = street(retailer(0.05, 0.1), demand("ev", 0.3, 25, "tx-1"), import_kw=10)
    over = judge(problem, outside(pay_as_clear.clear, "limits"))
    assert [found.condition for found in over.broken_promises] == ["limits"]
    assert over.at_fault


def test_without_a_slack_lost_power_breaks_no_promise_and_with_one_it_does():
    idle = outside(lambda problem: replace(POLICIES["none"].clear(problem)), "balance", "money", "curves")
    assert not judge(Problem((demand("ev", 0.3, 5),)), replace(idle, promises=frozenset({"balance"}))).at_fault
    lossy = changed(setpoint_kw=lambda power: power | {"pv": 4.0})
    problem = Problem((retailer(0.05, 0.4), *SIMPLE.offers), slack="retailer")
    assert judge(problem, replace(lossy, promises=frozenset({"balance"}))).at_fault


def test_a_promise_to_be_efficient_is_asked_of_the_optimum():
    wasteful = outside(POLICIES["gsy-pay-as-clear"].clear, "efficient")
    (found,) = judge(problem_of("rosetta-a"), wasteful).broken_promises
    assert (found.condition, found.amount) == ("efficient", 6)
    assert judge(problem_of("rosetta-b"), wasteful).broken_promises == ()


def test_a_market_of_nobody_has_a_verdict():
    verdict = judge(Problem(()), locational.POLICY)
    assert (verdict.volume_kw, verdict.share, verdict.price) == (0, None, None)


def test_the_price_of_a_zone_is_that_at_which_it_does_what_the_optimum_does():
    """The farm can send 12 of its 20 kW: what is left there sets its price, whatever the grid pays."""
    limits = (GRID, Limit("farm", "grid", 10, 12))
    roof = Offer("roof", "farm", OfferCurve.of([(0.0, 0), (0.1, 20)]))
    known = reference_of(Problem((retailer(0.2, 0.3), roof), limits, slack="retailer"))
    assert known.price["farm"] == pytest.approx((0.06, 0.06))
    assert known.price["grid"] == pytest.approx((0.2, 0.2))


def test_options_reach_the_policy_and_its_name():
    cheap, dear = (judge(problem_of("rosetta-c"), policy(f"pymarket-stepwise:k={k}")) for k in (1, 0))
    assert (cheap.price, dear.price) == ((5, 5), (8, 8))
    assert cheap.policy == "pymarket-stepwise:k=1"
    assert abs(cheap.missing) < PRICE_PER_KWH


def test_who_cannot_run_below_a_minimum_is_decided_before_anybody_is_judged():
    """The pump would get 1 of its 4 kW: it rests or runs, and no policy is blamed for what it could not do."""
    problem = Problem(
        (
            retailer(0.1, 0.3),
            replace(demand("car", 0.35, 5), min_run_kw=4.0),
            replace(demand("pump", 0.28, 5), min_run_kw=4.0),
            supply("pv", 0.2, 6),
        ),
        price_floor=-1,
        price_cap=2,
        slack="retailer",
    )
    known = reference_of(problem)
    for known_policy in POLICIES.values():
        verdict = judge(problem, known_policy, known)
        assert not verdict.at_fault, verdict
        assert verdict.failed or verdict.share <= 1 + 1e-9


def test_who_has_not_offered_has_no_set_point():
    def adds(problem: Problem) -> Clearing:
        clearing = POLICIES["pay-as-clear"].clear(problem)
        return replace(clearing, setpoint_kw={**clearing.setpoint_kw, "ghost": 5.0})

    assert judge(problem_of("rosetta-a"), outside(adds)).failed == "setpoint_kw has 'ghost', who has not offered"
