"""The locational policy: the optimum on any tree, whatever stands on it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from sim.curves import OfferCurve, shift
from sim.market.certificate import certify
from sim.market.policies import locational, pay_as_clear
from sim.market.problem import Clearing, Limit, Offer, Problem
from tests.market.books import GRID, demand, fixed, retailer, street, supply
from tests.strategies import COARSE_CURVES, HAIRLINE_PRICES, curves, points, problems, step_curves, trees

many = settings(max_examples=100, deadline=None)
some = settings(max_examples=60, deadline=None)


# --- whatever the market ----------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(problems())
def test_every_clearing_is_certified(problem):
    assert certify(problem, locational.clear(problem)).violations == ()


@some
@given(problems(curves(points(HAIRLINE_PRICES))))
def test_prices_a_hair_apart_are_certified_too(problem):
    assert certify(problem, locational.clear(problem)).violations == ()


RARE = {
    "an offset": lambda _, c: c.offset_kw,
    "no trade": lambda p, c: len(p.offers) > 2 and not c.quantity_kw,
    "an export limit that binds at a negative price": lambda _, c: any(
        held == "REVERSE" and (c.price_per_kwh[node] or 0) < 0 for node, held in c.binding.items()
    ),
    "two limits that bind on one path": lambda p, c: any(
        c.adder_per_kwh[n.node] and n.parent and c.adder_per_kwh[n.parent] for n in p.limits
    ),
    "both directions at once": lambda _, c: {"FORWARD", "REVERSE"} <= set(c.binding.values()),
    "a limit that binds within a tie": lambda _, c: any(
        held and not c.adder_per_kwh[node] and c.price_per_kwh[node] is not None for node, held in c.binding.items()
    ),
    "a load cut at the cap": lambda p, c: p.price_cap in c.price_per_kwh.values() and c.curtailed_kw,
    "a load cut without a price": lambda p, c: (
        any(kw > 0 for kw in c.curtailed_kw.values()) and p.price_cap == math.inf
    ),
    "an injection cut": lambda _, c: any(kw < 0 for kw in c.curtailed_kw.values()),
}


def test_the_rare_cases_are_among_those_that_are_drawn():
    seen = Counter()

    @settings(max_examples=1500, phases=[Phase.generate], deadline=None)
    @given(problems())
    def drawn(problem):
        clearing = locational.clear(problem)
        seen.update(name for name, is_rare in RARE.items() if is_rare(problem, clearing))

    drawn()
    assert set(seen) == set(RARE), seen


@many
@given(problems(offered=step_curves()))
def test_welfare_is_what_a_linear_program_finds(problem):
    problem = replace(problem, price_floor=-1.0, price_cap=2.0)
    expected = _greatest_welfare(problem)
    assert locational.clear(problem).welfare == pytest.approx(expected, rel=1e-7, abs=1e-7)


def _greatest_welfare(problem: Problem) -> float:
    """An independent optimum: every step of every curve is a block of a linear program (HiGHS)."""
    blocks = [block for index, offer in enumerate(problem.offers) for block in _blocks(problem, index, offer)]
    least = [min(offer.curve.min_kw, 0.0) for offer in problem.offers]
    nodes = [_below(problem, limit.node) for limit in problem.limits]
    inside = np.array([[node[index] for index, _, _ in blocks] for node in nodes], dtype=float).reshape(len(nodes), -1)
    at_least = np.array([sum(power for power, in_it in zip(least, node, strict=True) if in_it) for node in nodes])
    held = [index for index, limit in enumerate(problem.limits) if limit.parent is not None]
    bounds = [(0.0, kw) for _, _, kw in blocks]
    upper = [problem.limits[i].export_limit_kw - at_least[i] for i in held]
    upper += [problem.limits[i].import_limit_kw + at_least[i] for i in held]
    finite = [i for i, value in enumerate(upper) if math.isfinite(value)]
    matrix = np.concatenate((inside[held], -inside[held]))
    if not blocks:
        return 0.0
    solved = linprog(
        [price for _, price, _ in blocks],
        A_ub=matrix[finite] if finite else None,
        b_ub=[upper[i] for i in finite] if finite else None,
        A_eq=inside[:1],
        b_eq=-at_least[:1],
        bounds=bounds,
    )
    assert solved.success, solved.message
    return -solved.fun - _cost_of_resting(problem)


def _blocks(problem: Problem, index: int, offer: Offer) -> list[tuple[int, float, float]]:
    """(offer, price, kW) of each step upwards, the last resort included: from all withdrawn to all injected."""
    prices, powers = offer.curve.prices.tolist(), offer.curve.powers.tolist()
    steps = [(index, prices[i], powers[i] - powers[i - 1]) for i in range(1, len(prices))]
    last_resort = [(index, problem.price_floor, max(offer.curve.min_kw, 0.0))]
    last_resort += [(index, problem.price_cap, -min(offer.curve.max_kw, 0.0))]
    return [block for block in steps + last_resort if block[2] > 0]


def _cost_of_resting(problem: Problem) -> float:
    """What the blocks cost up to the power nearest to zero, from where welfare is counted.

    Resting below zero leaves out steps; resting above it has used the floor's last resort.
    """
    total = 0.0
    for index, offer in enumerate(problem.offers):
        near = min(max(0.0, offer.curve.min_kw), offer.curve.max_kw)
        room = near - min(offer.curve.min_kw, 0.0)
        for _, price, kw in sorted(_blocks(problem, index, offer), key=lambda block: block[1]):
            used = min(kw, room)
            total, room = total + price * used, room - used
    return -total


def _below(problem: Problem, top: str) -> list[bool]:
    parent = {limit.node: limit.parent for limit in problem.limits}

    def inside(node: str | None) -> bool:
        return node is not None and (node == top or inside(parent[node]))

    return [inside(offer.node) for offer in problem.offers]


@many
@given(problems())
def test_without_a_binding_limit_it_is_pay_as_clear(problem):
    clearing = locational.clear(problem)
    assume(not any(clearing.binding.values()))
    uniform = pay_as_clear.clear(problem)
    assert dict(clearing.price_per_kwh) == pytest.approx(dict(uniform.price_per_kwh), abs=1e-12)
    assert _powers(clearing) == pytest.approx(_powers(uniform), abs=1e-7)


@some
@given(problems(), st.data())
def test_a_wider_limit_never_costs_welfare(problem, data):
    assume(len(problem.limits) > 1)
    widened = data.draw(st.integers(1, len(problem.limits) - 1))
    more = data.draw(st.floats(0, 10))
    limits = list(problem.limits)
    old = limits[widened]
    limits[widened] = Limit(old.node, old.parent, old.import_limit_kw + more, old.export_limit_kw + more)
    before, after = locational.clear(problem), locational.clear(replace(problem, limits=tuple(limits)))
    assume(math.isfinite(problem.price_cap) or not (before.curtailed_kw or after.curtailed_kw))
    assume(math.isfinite(problem.price_floor) or not (before.curtailed_kw or after.curtailed_kw))
    assert after.welfare >= before.welfare - 1e-7


@some
@given(problems(), st.randoms(use_true_random=False))
def test_the_order_of_offers_changes_nothing(problem, random_order):
    shuffled = tuple(random_order.sample(problem.offers, len(problem.offers)))
    before, after = locational.clear(problem), locational.clear(replace(problem, offers=shuffled))
    assert {node: after.price_per_kwh[node] for node in before.price_per_kwh} == pytest.approx(
        before.price_per_kwh, abs=1e-9
    )
    assert {era: after.setpoint_kw[era] for era in before.setpoint_kw} == pytest.approx(
        dict(before.setpoint_kw), abs=1e-7
    )


@some
@given(problems(), st.randoms(use_true_random=False))
def test_the_order_of_nodes_changes_nothing(problem, random_order):
    shuffled = tuple(random_order.sample(problem.limits, len(problem.limits)))
    before, after = locational.clear(problem), locational.clear(replace(problem, limits=shuffled))
    assert {era: after.setpoint_kw[era] for era in before.setpoint_kw} == pytest.approx(
        dict(before.setpoint_kw), abs=1e-7
    )


@some
@given(problems(COARSE_CURVES, trees(st.integers(0, 8).map(float))), st.sampled_from([0.5, 2.0, 1024.0]))
def test_a_market_of_twice_the_size_has_the_same_prices(problem, factor):
    offers = tuple(replace(offer, curve=_scaled(offer.curve, factor)) for offer in problem.offers)
    limits = tuple(
        Limit(limit.node, limit.parent, limit.import_limit_kw * factor, limit.export_limit_kw * factor)
        for limit in problem.limits
    )
    before, after = locational.clear(problem), locational.clear(replace(problem, offers=offers, limits=limits))
    assert dict(after.price_per_kwh) == pytest.approx(dict(before.price_per_kwh), abs=1e-9)
    assert _powers(after) == pytest.approx([power * factor for power in _powers(before)], abs=1e-6)


@many
@given(problems(COARSE_CURVES, trees(st.integers(0, 8).map(float))), st.sampled_from([10.0, -7.0]))
def test_a_market_with_dearer_money_only_has_dearer_prices(problem, by):
    offers = tuple(replace(offer, curve=shift(offer.curve, by)) for offer in problem.offers)
    dearer = replace(problem, offers=offers, price_floor=problem.price_floor + by, price_cap=problem.price_cap + by)
    before, after = locational.clear(problem), locational.clear(dearer)
    expected = {node: None if price is None else price + by for node, price in before.price_per_kwh.items()}
    assert dict(after.price_per_kwh) == pytest.approx(expected, abs=1e-9)
    assert _powers(after) == pytest.approx(_powers(before), abs=1e-6)
    assert certify(dearer, after).certified


def _scaled(curve: OfferCurve, factor: float) -> OfferCurve:
    return OfferCurve(curve.prices, curve.powers * factor)


@some
@given(problems(), curves(), st.data())
def test_an_offer_that_is_not_matched_changes_nothing(problem, curve, data):
    """A bid below every price at which it could trade, or an ask above, is as good as absent."""
    clearing = locational.clear(problem)
    limit = data.draw(st.sampled_from(problem.limits))
    price = clearing.price_per_kwh[limit.node]
    assume(price is not None and -0.99 < price < 1.99)
    idle = data.draw(
        st.sampled_from([demand("late", price - 0.01, 5, limit.node), supply("late", price + 0.01, 5, limit.node)])
    )
    after = locational.clear(replace(problem, offers=(*problem.offers, idle), k=problem.k))
    assert after.welfare == pytest.approx(clearing.welfare, abs=1e-7)
    assert {**after.setpoint_kw} == pytest.approx({**clearing.setpoint_kw, "late": 0.0}, abs=1e-6)


# --- by drawing -------------------------------------------------------------------------------------------------------


def test_reverse_flow_limit_pulls_the_local_price_below_the_grid_price():
    """solar 80 kW ──tx-1 (30 kW out)──► grid buys at 0.05"""
    clearing = locational.clear(street(retailer(0.05, 0.30), supply("solar", 0.01, 80, "tx-1"), export_kw=30))
    assert clearing.price_per_kwh == {"grid": 0.05, "tx-1": 0.01}
    assert clearing.adder_per_kwh == {"grid": 0.0, "tx-1": pytest.approx(-0.04)}
    assert clearing.flow_kw == {"grid": 0.0, "tx-1": -30}
    assert clearing.binding == {"grid": None, "tx-1": "REVERSE"}


def test_import_limit_lifts_the_local_price_to_what_the_marginal_load_pays():
    """grid sells at 0.10 ──tx-1 (10 kW in)──► EVs that pay 0.30 and 0.20"""
    clearing = locational.clear(
        street(retailer(0.05, 0.10), demand("rich", 0.30, 7, "tx-1"), demand("poor", 0.20, 7, "tx-1"), import_kw=10)
    )
    assert clearing.price_per_kwh == {"grid": 0.10, "tx-1": 0.20}
    assert clearing.setpoint_kw == {"retailer": 10, "rich": -7, "poor": -3}
    assert clearing.offset_kw == {"poor": 4}


def test_a_limit_that_nobody_wants_to_pass_costs_nothing():
    """Exactly 10 kW through 10 kW: the limit is reached, and yet one kW more of it would be worth nothing."""
    clearing = locational.clear(street(retailer(0.05, 0.10), demand("ev", 0.30, 10, "tx-1"), import_kw=10))
    assert clearing.price_per_kwh == {"grid": 0.10, "tx-1": 0.10}
    assert clearing.binding["tx-1"] is None


def test_a_local_price_that_is_not_unique_is_chosen_by_k():
    """10 kW in for loads of exactly 10 kW at 0.30, and more at 0.20: any local price between clears."""
    offers = (retailer(0.05, 0.10), demand("rich", 0.30, 10, "tx-1"), demand("poor", 0.20, 5, "tx-1"))
    prices = [locational.clear(street(*offers, import_kw=10, k=k)).price_per_kwh["tx-1"] for k in (0.0, 0.5, 1.0)]
    assert prices == pytest.approx([0.20, 0.25, 0.30])


def test_behind_a_closed_border_a_market_of_its_own_clears():
    """tx-1 lets nothing through: solar serves the load behind it at a price between theirs, and the grid has none."""
    island = (supply("solar", 0.20, 5, "tx-1"), demand("load", 0.40, 5, "tx-1"))
    clearing = locational.clear(street(retailer(0.05, 0.10), *island, import_kw=0, export_kw=0))
    assert clearing.setpoint_kw == {"retailer": 0, "solar": 5, "load": -5}
    assert clearing.price_per_kwh == {"grid": None, "tx-1": pytest.approx(0.30)}


def test_a_price_is_not_invented_where_nothing_is_traded():
    clearing = locational.clear(Problem((demand("bid", 54, 5), supply("ask", 70, 5))))
    assert clearing.quantity_kw == 0
    assert clearing.price_per_kwh == {"grid": None}
    assert clearing.participant_price == {"bid": None, "ask": None}


@pytest.mark.parametrize(
    "bounds", [{}, {"price_cap": 3.0}, {"price_floor": 0.0}, {"price_cap": 3.0, "price_floor": 0.0}]
)
def test_a_price_is_not_invented_where_nobody_names_one(bounds):
    """Wind that cannot stop for a load that cannot wait: any price will do, and the cap is not one that they named."""
    problem = Problem((fixed("house", -5), fixed("wind", 5)), **bounds)
    clearing = locational.clear(problem)
    assert clearing.price_per_kwh == {"grid": None}
    assert (clearing.quantity_kw, clearing.curtailed_kw) == (5, {})
    assert certify(problem, clearing).certified


def test_a_load_without_a_price_is_served_as_far_as_it_goes():
    """No cap is set, so what is missing has no price; what there is, is still given out."""
    problem = Problem((fixed("house", -50), fixed("school", -30), supply("solar", 0.1, 20)))
    clearing = locational.clear(problem)
    assert clearing.setpoint_kw == pytest.approx({"house": -12.5, "school": -7.5, "solar": 20})
    assert clearing.curtailed_kw == pytest.approx({"house": 37.5, "school": 22.5})
    assert clearing.price_per_kwh == {"grid": None}
    assert clearing.offset_kw == {}
    assert clearing.welfare == pytest.approx(-2)
    assert clearing.notes == ("60 kW of withdrawals that offered no price were cut",)
    assert certify(problem, clearing).certified


def test_scarcity_is_priced_at_the_cap_and_surplus_at_the_floor():
    short = locational.clear(Problem((fixed("house", -5),), price_cap=3.0))
    long = locational.clear(Problem((fixed("wind", 5),), price_floor=-0.5))
    assert (short.price_per_kwh, short.curtailed_kw, short.welfare) == ({"grid": 3.0}, {"house": 5}, -15)
    assert (long.price_per_kwh, long.curtailed_kw, long.welfare) == ({"grid": -0.5}, {"wind": -5}, -2.5)


def test_must_run_injection_behind_a_closed_border_is_worth_the_floor():
    problem = street(fixed("wind", 2, "tx-1"), import_kw=0, export_kw=0, price_floor=1998.5)
    clearing = locational.clear(problem)
    assert clearing.price_per_kwh == {"grid": None, "tx-1": 1998.5}
    assert clearing.curtailed_kw == {"wind": -2}
    assert certify(problem, clearing).certified


def test_must_run_injection_above_a_limit_is_cut_to_it():
    clearing = locational.clear(street(retailer(0.05, 0.1), fixed("chp", 26, "tx-1"), export_kw=25))
    assert clearing.setpoint_kw["chp"] == 25
    assert clearing.curtailed_kw == {"chp": -1}
    assert (clearing.price_per_kwh["tx-1"], clearing.binding["tx-1"]) == (None, "REVERSE")


def test_prices_above_the_grid_stay_known_where_a_branch_has_none():
    limits = (GRID, Limit("tx-1", "grid", 10, 10), Limit("tx-2", "grid", 10, 10))
    offers = (retailer(0.05, 0.1), fixed("farm", -20, "tx-1"), demand("ev", 0.3, 5, "tx-2"))
    problem = Problem(offers, limits)
    clearing = locational.clear(problem)
    assert clearing.price_per_kwh == {"grid": 0.1, "tx-1": None, "tx-2": 0.1}
    assert certify(problem, clearing).certified


def test_a_tie_is_shared_across_the_tree_as_if_there_were_none():
    """30 kW for three EVs at one price, two of them behind one transformer: 10 kW each."""
    limits = (GRID, Limit("tx-1", "grid"), Limit("tx-2", "grid"))
    offers = (fixed("wind", 30), *(demand(f"ev-{n}", 0.2, 20, f"tx-{1 + n // 2}") for n in range(3)))
    assert _powers(locational.clear(Problem(offers, limits))) == pytest.approx([30, -10, -10, -10])


def test_a_tie_inside_a_limit_is_shared_within_it():
    """As above, but only 8 kW reach the first two: they share these, and the third takes what is left."""
    limits = (GRID, Limit("tx-1", "grid", 8), Limit("tx-2", "grid"))
    offers = (fixed("wind", 27), *(demand(f"ev-{n}", 0.2, 20, f"tx-{1 + n // 2}") for n in range(3)))
    problem = Problem(offers, limits)
    clearing = locational.clear(problem)
    assert _powers(clearing) == pytest.approx([27, -4, -4, -19])
    assert clearing.adder_per_kwh == {"grid": 0, "tx-1": 0, "tx-2": 0}
    assert clearing.binding == {"grid": None, "tx-1": "FORWARD", "tx-2": None}
    assert certify(problem, clearing).certified


def test_the_slack_is_the_last_to_trade_in_a_tie():
    """Solar asks what the retailer asks: the neighbour buys the neighbour's."""
    problem = Problem((retailer(0.05, 0.2), supply("solar", 0.2, 5), demand("ev", 0.4, 7)), slack="retailer")
    assert locational.clear(problem).setpoint_kw == {"retailer": 2, "solar": 5, "ev": -7}


def test_a_step_that_is_almost_vertical_does_not_turn_a_digit_of_price_into_kilowatts():
    steep = Offer("steep", "grid", OfferCurve.of([(0.3, -1e6), (0.3 + 2e-12, 1e6)]))
    problem = Problem((steep, Offer("gentle", "grid", OfferCurve.of([(0.1, -3.0), (0.7, 4.0)]))))
    clearing = locational.clear(problem)
    assert sum(clearing.setpoint_kw.values()) == pytest.approx(0, abs=1e-9)
    assert certify(problem, clearing).certified


def test_a_deep_and_bushy_tree_of_thousands_clears():
    limits = [GRID] + [Limit(f"mv-{m}", "grid", 60, 90) for m in range(4)]
    limits += [Limit(f"lv-{n}", f"mv-{n % 4}", 15, 20) for n in range(20)]
    draw = np.random.default_rng(3)
    offers = [retailer(0.05, 0.30, 1e5)]
    for n in range(1000):
        prices, powers = np.sort(draw.uniform(0, 0.4, 5)), np.sort(draw.uniform(-9, 5, 5))
        curve = OfferCurve.of(list(zip(prices.tolist(), powers.tolist(), strict=True)), step=bool(n % 2))
        offers.append(Offer(f"der-{n}", f"lv-{n % 20}", curve))
    problem = Problem(tuple(offers), tuple(limits), slack="retailer")
    clearing = locational.clear(problem)
    assert certify(problem, clearing).certified
    assert {"FORWARD", "REVERSE"} <= set(clearing.binding.values())


def test_an_empty_market_clears():
    clearing = locational.clear(Problem(()))
    assert (clearing.quantity_kw, clearing.welfare, clearing.price_per_kwh) == (0, 0, {"grid": None})


def _powers(clearing: Clearing) -> list[float]:
    return list(clearing.setpoint_kw.values())


@pytest.mark.slow
@settings(max_examples=20_000, deadline=None)
@given(problems())
def test_every_clearing_is_certified_at_length(problem):
    assert certify(problem, locational.clear(problem)).violations == ()
