"""Adders by trial: known traces, where they settle, and what the policies made of them promise."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.curves import OfferCurve
from sim.errors import MarketError
from sim.market import adders
from sim.market.certificate import certify
from sim.market.policies import POLICIES, iterated, locational
from sim.market.problem import Limit, LinearLimit, Offer, Problem
from tests.market.books import GRID, demand, retailer, street, supply

STORED = json.loads((Path(__file__).parent.parent / "golden" / "adders.json").read_text(encoding="utf-8"))
NEAR = STORED["tolerance"]


def cases(step: str):
    return [pytest.param(case, id=case["id"]) for case in STORED["cases"] if case["step"] == step]


def market(case: dict) -> Problem:
    """grid-co sells at the base price ──tx-1── a demand that falls with its price"""
    offers = (
        Offer("grid-co", "grid", OfferCurve.of([(case["base_price"], 0), (case["base_price"], 1e4)])),
        Offer("homes", "tx-1", OfferCurve.of(case["demand"])),
    )
    limits = (GRID, Limit("tx-1", "grid", case["limit_kw"], case["limit_kw"]))
    return Problem(offers, limits, slack="grid-co")


# --- ascent -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", cases("ascent"))
def test_an_ascent_goes_as_is_known(case):
    ascent = iterated.Ascent(market(case), case["rate"])
    trace = ascent.run(len(case["trace"]), to_the_end=True)
    imports = list(ascent.limited).index(1)
    told = [[round_.adder[imports], round_.measured[imports]] for round_ in trace.rounds]
    assert told == [pytest.approx(expected, abs=NEAR) for expected in case["trace"]]
    clearing = iterated.adder_ascent(market(case), case["rate"])
    if case["converges"]:
        assert clearing.notes[0].startswith("converged: yes")
        assert clearing.price_per_kwh["tx-1"] == pytest.approx(case["price"], rel=0.01)
    else:
        assert clearing.notes == (f"converged: no, cycle of {case['cycle']}",)
    assert clearing.flow_kw["tx-1"] <= case["limit_kw"] * (1 + iterated.WITHIN)


def test_the_rate_that_is_not_given_takes_one_step_where_one_curve_slopes():
    (case,) = [c.values[0] for c in cases("ascent") if c.id == "adder-ascent-deadbeat"]
    clearing = iterated.adder_ascent(market(case))
    assert clearing.notes == ("converged: yes, in 3 rounds",)
    assert clearing.price_per_kwh == {"grid": 5, "tx-1": pytest.approx(10)}


@st.composite
def sloped(draw: st.DrawFn):
    """A retailer at 0.5, and loads that slope down to 1.0 behind nested limits."""
    tree = [Limit("mv", "grid", draw(st.floats(2, 20))), Limit("lv", "mv", draw(st.floats(2, 20)))]
    loads = [
        Offer(f"load-{n}", draw(st.sampled_from(["mv", "lv"])), OfferCurve.of([(0, -draw(st.floats(1, 20))), (1, 0)]))
        for n in range(draw(st.integers(1, 4)))
    ]
    return Problem((retailer(0.0, 0.5), *loads), (GRID, *tree), slack="retailer")


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(sloped())
def test_where_curves_slope_an_ascent_finds_the_optimum(problem):
    optimum = locational.clear(problem)
    trace = iterated.Ascent(problem).run(500, to_the_end=True)
    last = iterated.Ascent(problem).answers.outcome(trace.rounds[-1].adder)
    assert problem.welfare(last.setpoint_kw) == pytest.approx(optimum.welfare, abs=1e-4)
    assert all((round_.adder >= 0).all() for round_ in trace.rounds)


@settings(max_examples=30, deadline=None)
@given(sloped(), st.randoms(use_true_random=False))
def test_the_order_of_offers_changes_nothing_in_an_ascent(problem, random_order):
    shuffled = tuple(random_order.sample(problem.offers, len(problem.offers)))
    one, other = (iterated.adder_ascent(p) for p in (problem, Problem(shuffled, problem.limits, slack="retailer")))
    assert {era: other.setpoint_kw[era] for era in one.setpoint_kw} == pytest.approx(dict(one.setpoint_kw), abs=1e-7)


def test_where_all_want_the_same_an_ascent_circles_and_what_is_too_much_is_cut_pro_rata():
    """Ten plugs of 7 kW behind 40 kW: all or none at any price, so 4 kW each by cutting."""
    plugs = (demand(f"ev-{n}", 0.12, 7, "tx-1") for n in range(10))
    problem = street(retailer(0.0, 0.08), *plugs, import_kw=40)
    clearing = iterated.adder_ascent(problem)
    assert clearing.notes[0].startswith("converged: no, cycle of")
    assert clearing.setpoint_kw == {"retailer": pytest.approx(40)} | {f"ev-{n}": pytest.approx(-4) for n in range(10)}
    broken = {found.condition for found in certify(problem, clearing).violations}
    assert not broken & POLICIES["adder-ascent"].promises


def test_an_ascent_prices_a_linear_limit_too():
    pv = Offer("pv", "grid", OfferCurve.of([(0, 0), (1, 20)]))
    limit = LinearLimit("v", {"pv": 0.001}, 0.01)
    problem = Problem((retailer(0.8, 0.9), pv), slack="retailer", linear=(limit,), price_floor=-1, price_cap=2)
    clearing = iterated.adder_ascent(problem)
    assert clearing.notes[0].startswith("converged: yes")
    assert clearing.linear_price["v"] == pytest.approx(locational.clear(problem).linear_price["v"], rel=0.01)
    assert clearing.linear_value["v"] <= limit.most + limit.tolerance


# --- late measurements ------------------------------------------------------------------------------------------------


def swing(gain: float, delay: int) -> float:
    """The largest distance from where it belongs, in the last tenth of 3,000 rounds."""
    trace = adders.iterate(
        lambda adder: 200 - 10 * (5 + adder),
        adders.ascent(np.array([100.0]), gain / 10),
        np.array([4.9]),
        3000,
        delay=delay,
        to_the_end=True,
    )
    return max(abs(float(round_.measured[0]) - 100) for round_ in trace.rounds[-300:])


@pytest.mark.parametrize("case", cases("delay"))
def test_late_measurements_allow_only_small_steps(case):
    assert [adders.stable_gain(d) for d in case["delays"]] == pytest.approx(case["largest_gain"], abs=NEAR)
    for delay, gain in zip(case["delays"], case["largest_gain"], strict=True):
        assert swing(0.9 * gain, delay) < 1e-6
        assert swing(1.1 * gain, delay) > 10


def test_with_a_delay_a_round_that_looks_the_same_is_not_a_cycle_yet():
    measured = itertools.chain([1.0, 1.0, 0.0], itertools.repeat(5.0))
    trace = adders.iterate(lambda _: np.array([next(measured)]), lambda adder, _: adder, np.zeros(1), 10, delay=2)
    assert (len(trace.rounds), trace.cycle, trace.settled) == (7, 1, False)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.floats(1, 20), min_size=1, max_size=4), st.floats(0.2, 0.8), st.integers(0, 3))
def test_a_step_a_tenth_below_the_threshold_settles_and_one_a_tenth_above_does_not(loads, share, delay):
    """The threshold is that of how steeply all answer together, and of how late it is measured."""
    limit_kw = share * sum(loads) / 2  # at the retailer's price of 0.5 half of all is drawn
    offers = (Offer(f"load-{n}", "tx-1", OfferCurve.of([(0, -kw), (1, 0)])) for n, kw in enumerate(loads))
    problem = Problem((retailer(0.0, 0.5, 1e4), *offers), (GRID, Limit("tx-1", "grid", limit_kw)), slack="retailer")
    threshold = adders.stable_gain(delay) / sum(loads)

    def overload(rate: float) -> float:
        trace = iterated.Ascent(problem, rate, delay=delay).run(400, to_the_end=True)
        return max(abs(float(round_.measured[0]) - limit_kw) for round_ in trace.rounds[-40:]) / sum(loads)

    assert overload(0.9 * threshold) < 1e-3
    assert overload(1.1 * threshold) > 1e-2


def test_late_measurements_make_the_rates_that_are_not_given_smaller():
    (case,) = [c.values[0] for c in cases("ascent") if c.id == "adder-ascent-deadbeat"]
    now, late = (iterated.Ascent(market(case), delay=delay).rates for delay in (0, 2))
    assert late == pytest.approx(now * adders.stable_gain(2) / 2)
    clearing = iterated.adder_ascent(market(case), rounds=60, delay=2)
    assert clearing.notes[0].startswith("converged: yes")
    assert clearing.price_per_kwh["tx-1"] == pytest.approx(10, rel=0.01)
    # The step that arrives at once where flows are known swings for ever where they are two rounds old.
    assert iterated.adder_ascent(market(case), 0.1, delay=2, rounds=200).notes[0].startswith("converged: no")


# --- how steps are sized ----------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(sloped(), st.sampled_from(iterated.RULES))
def test_every_rule_keeps_the_limits_and_prices_only_what_is_scarce(problem, rule):
    clearing = iterated.adder_ascent(problem, step=rule)
    broken = {found.condition for found in certify(problem, clearing).violations}
    assert not broken & POLICIES["adder-ascent"].promises
    assert all(adder >= 0 for adder in clearing.adder_per_kwh.values())


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(sloped())
def test_one_rate_for_all_that_is_small_enough_finds_the_optimum(problem):
    ascent = iterated.Ascent(problem, rule="constant")
    assert len(set(np.round(ascent.rates, 12))) == 1
    last = ascent.answers.outcome(ascent.run(1000, to_the_end=True).rounds[-1].adder)
    assert problem.welfare(last.setpoint_kw) == pytest.approx(locational.clear(problem).welfare, abs=1e-3)


def test_where_all_want_the_same_smaller_and_smaller_steps_use_the_limit_on_the_mean():
    """Ten plugs of 7 kW behind 40 kW draw 70 or nothing in every round; on the mean of all rounds they draw 40."""
    plugs = [demand(f"ev-{n}", 0.12, 7, "tx-1") for n in range(10)]
    problem = street(retailer(0.0, 0.08), *plugs, import_kw=40)
    ascent = iterated.Ascent(problem, rule="diminishing")
    trace = ascent.run(400, to_the_end=True)
    imports = list(ascent.limited).index(1)
    assert {round(float(round_.measured[imports]), 6) for round_ in trace.rounds} <= {0, 70}
    assert trace.cycle is None
    assert trace.rounds[-1].adder[imports] == pytest.approx(0.04, abs=0.001)
    clearing = iterated.adder_ascent(problem, step="diminishing", rounds=400)
    assert clearing.flow_kw["tx-1"] == pytest.approx(40, rel=0.05)
    assert len({round(clearing.setpoint_kw[plug.era], 6) for plug in plugs}) == 1


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"step": "constnat"}, "step: 'constnat' is not a rule"),
        ({"rate": 0.0}, "rate: 0 is not above zero"),
        ({"delay": -1}, "delay: -1 is not"),
        ({"rounds": 0}, "rounds: 0 is none"),
    ],
)
def test_options_that_are_none_are_refused(options, what):
    with pytest.raises(MarketError, match=what):
        iterated.adder_ascent(street(retailer(0.0, 0.08)), **options)


# --- the naive adder --------------------------------------------------------------------------------------------------


def prices_and_flows(naive: iterated.Utilisation, passes: int, base: float) -> list[list[float]]:
    return [[base + float(r.adder[1]), float(r.measured[1])] for r in naive.run(passes).rounds]


@pytest.mark.parametrize("case", cases("utilisation"))
def test_the_price_of_loading_goes_as_is_known(case):
    problem, base = market(case), case["base_price"]
    for key, damping in (("trace", 1.0), ("damped_half_trace", 0.5)):
        if key in case:
            naive = iterated.Utilisation(problem, case["per_percent"], damping)
            told = prices_and_flows(naive, len(case[key]) - 1, base)
            assert [price for price, _ in told] == pytest.approx([price for price, _ in case[key]], abs=NEAR)
            # Flows are stored to four decimals.
            assert [flow for _, flow in told] == pytest.approx([flow for _, flow in case[key]], abs=5e-5)


@pytest.mark.parametrize("case", cases("utilisation"))
def test_the_price_of_loading_settles_beside_the_optimum(case):
    problem = market(case)
    clearing = iterated.utilisation(problem, case["per_percent"], damping=0.5, passes=60)
    price, flow = case["fixed_point"]
    assert clearing.price_per_kwh["tx-1"] == pytest.approx(price, abs=NEAR)
    assert clearing.flow_kw["tx-1"] == pytest.approx(flow, abs=NEAR)
    optimum = locational.clear(problem)
    assert optimum.price_per_kwh["tx-1"] == pytest.approx(case["optimal_price"], abs=NEAR)
    if "deadweight_loss" in case:
        assert optimum.welfare - clearing.welfare == pytest.approx(case["deadweight_loss"], abs=NEAR)


@pytest.mark.parametrize("case", cases("arithmetic"))
def test_three_quarters_of_a_limit_cost_three_quarters(case):
    limit = np.array([100.0])
    adder = adders.utilisation(limit, limit, case["per_percent"])(np.zeros(1), np.array([case["loading_percent"]]))
    assert adder == pytest.approx(case["adder"], abs=NEAR)
    assert case["base_price"] + adder == pytest.approx(case["price"], abs=NEAR)
    assert case["clearing_price"] + adder == pytest.approx(case["local_price"], abs=NEAR)


def test_an_export_is_paid_less_only_if_the_sign_counts():
    problem = street(retailer(0.05, 0.30), supply("solar", 0.01, 80, "tx-1"), export_kw=100)
    assert iterated.utilisation(problem).adder_per_kwh["tx-1"] == pytest.approx(0.08)
    assert iterated.utilisation(problem, 0.0001, signed=True).adder_per_kwh["tx-1"] == pytest.approx(-0.008)


def test_a_limit_of_zero_is_used_to_the_full_and_an_infinite_one_not_at_all():
    step = adders.utilisation(np.array([0.0, 0.0, math.inf]), np.zeros(3), 0.001)
    assert step(np.zeros(3), np.array([5.0, 0.0, 5.0])).tolist() == [0.1, 0, 0]


def test_the_price_of_loading_is_told_even_where_it_keeps_everybody_from_trading():
    problem = street(retailer(0.05, 0.10), demand("ev", 0.15, 10, "tx-1"), import_kw=10)
    clearing = iterated.utilisation(problem, passes=1)
    assert clearing.quantity_kw == 0
    assert clearing.adder_per_kwh["tx-1"] == pytest.approx(0.1)
    broken = {found.condition for found in certify(problem, clearing).violations}
    assert not broken & POLICIES["utilisation"].promises


# --- herding ----------------------------------------------------------------------------------------------------------


def hours(case: dict, worth: float, evs: int, kw: float, policy: str):
    """Every hour of a night by itself: cars that pay up to ``worth``, behind one transformer."""
    for price in case["prices"]:
        grid_co = Offer("grid-co", "grid", OfferCurve.of([(price, -1e4), (price, 1e4)]))
        cars = (demand(f"ev-{n}", worth, kw, "tx-1") for n in range(evs))
        limits = (GRID, Limit("tx-1", "grid", case["trafo_kw"]))
        yield POLICIES[policy].clear(Problem((grid_co, *cars), limits, slack="grid-co"))


def test_one_price_for_all_sends_all_to_the_cheapest_hours():
    (case,) = [c.values[0] for c in cases("herding") if c.id == "herding-tou-rebound"]
    expected = case["expected"]
    # What two cheapest hours can hold, a car does not want at the next price.
    loads = [c.flow_kw["tx-1"] for c in hours(case, 0.11, case["evs"], case["ev_kw"], "pay-as-clear")]
    assert loads == expected["load_kw"]
    assert max(loads) == expected["peak_kw"] == expected["uncoordinated_spread_peak_kw"]
    assert 60 * sum(load > case["trafo_kw"] for load in loads) == expected["overload_minutes"]
    need_kwh = case["evs"] * case["need_kwh"]
    assert sum(p * load for p, load in zip(case["prices"], loads, strict=True)) == pytest.approx(expected["cost"])
    assert sum(loads) == need_kwh
    assert need_kwh / case["window_h"] == expected["optimal_peak_kw"]


def test_prices_of_the_limit_make_every_hour_alike():
    both = {c.id: c.values[0] for c in cases("herding")}
    case, tou = both["herding-dlmp-coordinated"], both["herding-tou-rebound"]
    expected, worth = case["expected"], tou["expected"]["coordinated_energy_dual"]
    cleared = list(hours(case, worth, 100, 7, "locational"))
    assert [c.adder_per_kwh["tx-1"] for c in cleared] == pytest.approx(expected["adders"], abs=NEAR)
    assert [c.price_per_kwh["tx-1"] for c in cleared] == pytest.approx(expected["local_price"], abs=NEAR)
    rent = sum(c.adder_per_kwh["tx-1"] * c.flow_kw["tx-1"] for c in cleared)
    assert rent == pytest.approx(expected["congestion_rent"], abs=NEAR)
    # In the hours at 0.15 the cars are indifferent: what is still missing is theirs to place, at that price.
    bound = [(p, c.flow_kw["tx-1"]) for p, c in zip(case["prices"], cleared, strict=True) if p < worth]
    missing_kwh = case["energy_kwh"] - sum(kw for _, kw in bound)
    assert sum(p * kw for p, kw in bound) + missing_kwh * worth == pytest.approx(expected["cost"])
    assert expected["cost"] == tou["expected"]["coordinated_cost_with_300kW"]
