"""Linear limits and known adders: what is refused, what clears, and what a certificate finds."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st

from sim.curves import OfferCurve
from sim.errors import MarketError, MessageError
from sim.market import programme
from sim.market.certificate import certify
from sim.market.offered import by_offer
from sim.market.policies import POLICIES, curtail_only, locational, pay_as_clear
from sim.market.problem import Clearing, Limit, LinearLimit, Problem, slack_prices
from sim.market.wire_form import clear_message, read_problem
from tests.market.books import GRID, demand, fixed, retailer, supply
from tests.market.test_problem import faults
from tests.strategies import curves, problems, step_curves

many = settings(max_examples=80, deadline=None)
some = settings(max_examples=40, deadline=None)

CAPPED = {"price_floor": -1.0, "price_cap": 2.0}


# --- problems ---------------------------------------------------------------------------------------------------------


def test_every_fault_of_a_linear_limit_is_told_at_once():
    linear = (
        LinearLimit("v", {"ev": 1.0, "evv": 1.0, "retailer": 0.5}, math.nan),
        LinearLimit("v", {"ev": math.inf}, 3),
        LinearLimit("w", {}, -math.inf),
    )
    offers = (retailer(0.1, 0.2), demand("ev", 0.3, 5), replace(demand("hp", 0.3, 5), adder_per_kwh=math.nan))
    assert faults(*offers, slack="retailer", linear=linear, price_cap=5) == {
        "price_floor": "is missing",
        "offers/2/adder_per_kwh": "hp: nan is not a price",
        "linear/0/most": "v: nan is not a limit",
        "linear/0/weight/evv": "v: evv has not offered",
        "linear/0/weight/retailer": "v: retailer is the slack, which only follows",
        "linear/1": "limit v was given before",
        "linear/1/weight/ev": "v: inf is not a weight",
        "linear/2/most": "w: -inf is not a limit",
    }


def test_the_slack_has_no_adder():
    slack = replace(retailer(0.1, 0.2), adder_per_kwh=0.01)
    assert set(faults(slack, slack="retailer")) == {"offers/0/adder_per_kwh"}


# --- whatever the market ----------------------------------------------------------------------------------------------


@st.composite
def limited(
    draw: st.DrawFn, offered: st.SearchStrategy[OfferCurve] | None = None, adders: bool = True, least: int = -2
):
    """Market problems with known adders and linear limits, some of which nothing can keep unless ``least`` is 0."""
    problem = draw(problems(offered or curves(), slack=st.booleans() if least < 0 else st.just(True)))
    known = st.sampled_from([0.0, 0.0, 0.1, -0.05, 0.013] if adders else [0.0])
    offers = tuple(o if o.era == problem.slack else replace(o, adder_per_kwh=draw(known)) for o in problem.offers)
    eras = [offer.era for offer in offers if offer.era != problem.slack]
    linear = []
    for number in range(draw(st.integers(1, 3))):
        unit = draw(st.sampled_from([1.0, 1e-4]))
        weight = {era: unit * draw(st.sampled_from([0.0, 1.0, -1.0, 0.5, 0.3, 2.0])) for era in eras}
        most = unit * draw(st.one_of(st.integers(least, 6).map(float), st.floats(max(least, -1), 6)))
        linear.append(LinearLimit(f"v-{number}", weight, most))
    return replace(problem, offers=offers, linear=tuple(linear), **CAPPED)


def cleared(problem: Problem) -> Clearing:
    """Its clearing, of a problem whose limits can be kept."""
    try:
        return locational.clear(problem)
    except MarketError as refusal:
        if any(not fault.where.startswith("linear/") for fault in refusal.faults):
            raise
        reject()


@many
@given(limited())
def test_every_clearing_within_linear_limits_is_certified(problem):
    assert certify(problem, cleared(problem)).violations == ()


@pytest.mark.slow
@settings(max_examples=5_000, deadline=None)
@given(limited())
def test_every_clearing_within_linear_limits_is_certified_at_length(problem):
    assert certify(problem, cleared(problem)).violations == ()


@many
@given(limited())
def test_prices_and_limits_are_worth_what_the_market_gains(problem):
    """Strong duality: what all gain at their prices, and the limits at theirs, is the whole welfare."""
    clearing = cleared(problem)
    assume(all(price is not None for price in clearing.price_per_kwh.values()))
    assert dual_value(problem, clearing) == pytest.approx(valued(problem, clearing), rel=1e-6, abs=1e-6)


@some
@given(limited(), st.randoms(use_true_random=False))
def test_the_order_of_offers_changes_nothing_within_linear_limits(problem, random_order):
    shuffled = replace(problem, offers=tuple(random_order.sample(problem.offers, len(problem.offers))))
    before, after = cleared(problem), cleared(shuffled)
    assert after.welfare == pytest.approx(before.welfare, abs=1e-6)
    assert dict(after.linear_price) == pytest.approx(dict(before.linear_price), rel=1e-6, abs=1e-6)
    assert {era: after.setpoint_kw[era] for era in before.setpoint_kw} == pytest.approx(
        dict(before.setpoint_kw), rel=1e-6, abs=1e-5
    )


@some
@given(limited(), st.floats(0, 5), st.data())
def test_a_wider_linear_limit_never_costs_welfare(problem, more, data):
    index = data.draw(st.integers(0, len(problem.linear) - 1))
    linear = list(problem.linear)
    linear[index] = replace(linear[index], most=linear[index].most + more * linear[index].scale)
    before, after = cleared(problem), cleared(replace(problem, linear=tuple(linear)))
    assert valued(problem, after) >= valued(problem, before) - 1e-6


@some
@given(limited())
def test_a_limit_that_could_be_a_transformer_s_is_one(problem):
    """The export limit of a node, given as a sum of set-points instead."""
    assume(len(problem.limits) > 1)
    node = problem.limits[-1]
    index = problem.tree.names.index(node.node)
    inside = dict(zip([o.era for o in problem.offers], problem.tree.below(index).astype(float).tolist(), strict=True))
    inside.pop(problem.slack or "", None)
    limits = (*problem.limits[:-1], replace(node, export_limit_kw=math.inf))
    as_tree = replace(problem, linear=())
    as_sum = replace(problem, limits=limits, linear=(LinearLimit("sum", inside, node.export_limit_kw),))
    assert valued(problem, locational.clear(as_sum)) == pytest.approx(
        valued(problem, locational.clear(as_tree)), abs=1e-6
    )


def valued(problem: Problem, clearing: Clearing) -> float:
    """Welfare, with known adders as value."""
    added = sum(offer.adder_per_kwh * clearing.setpoint_kw[offer.era] for offer in problem.offers)
    return clearing.welfare + added


def dual_value(problem: Problem, clearing: Clearing) -> float:
    """What everybody gains at its price if it may choose, and what all limits are worth at theirs."""
    own = np.array([clearing.participant_price[offer.era] for offer in problem.offers], dtype=float)
    best = problem.stack.low(own)
    best = np.where(own >= problem.price_cap, np.maximum(best, 0.0), best)
    best = np.where(own <= problem.price_floor, np.minimum(best, 0.0), best)
    gained = problem.welfare(best) + float(own @ best)
    rent = 0.0
    for limit in problem.limits:
        adder = clearing.adder_per_kwh[limit.node]
        rent += adder * limit.import_limit_kw if adder > 0 else -adder * limit.export_limit_kw if adder < 0 else 0.0
    return gained + rent + sum(clearing.linear_price[limit.name] * limit.most for limit in problem.linear)


# --- the programme as a second opinion on trees -----------------------------------------------------------------------


def by_programme(problem: Problem) -> programme.Solution:
    """The same market, every offer by itself, as a linear programme."""
    offered = by_offer(problem)
    rows = problem.rows
    found = programme.solve(offered, programme.System(rows.matrix, rows.most, np.zeros(len(rows.most), bool)), 1e-9)
    assert found is not None
    return found


@many
@given(problems(st.one_of(curves(), step_curves())))
def test_the_tree_s_optimum_is_what_linear_programmes_find(problem):
    problem = replace(problem, **CAPPED)
    clearing, found = locational.clear(problem), by_programme(problem)
    assert clearing.welfare == pytest.approx(problem.welfare(found.powers), rel=1e-6, abs=1e-6)
    assume(all(price is not None for price in clearing.price_per_kwh.values()))
    assert dual_value(problem, clearing) == pytest.approx(clearing.welfare, rel=1e-6, abs=1e-6)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(problems())
def test_where_a_price_is_unique_it_is_that_of_the_programme(problem):
    problem = replace(problem, **CAPPED)
    low, high = (locational.clear(replace(problem, k=k)) for k in (0.0, 1.0))
    assume(None not in low.price_per_kwh.values())
    assume(dict(low.price_per_kwh) == pytest.approx(dict(high.price_per_kwh), abs=1e-12))
    assume(dual_is_unique(problem, low))
    prices = dict(zip([offer.era for offer in problem.offers], by_programme(problem).price.tolist(), strict=True))
    assert dict(low.participant_price) == pytest.approx(prices, abs=1e-7)


def dual_is_unique(problem: Problem, clearing: Clearing) -> bool:
    """Every limit is clearly worth something or clearly not reached, and at every zone somebody's price is pinned."""
    own = np.array(list(clearing.participant_price.values()), dtype=float)
    setpoint = np.array(list(clearing.setpoint_kw.values()), dtype=float)
    inside = (setpoint > problem.stack.min_kw + 1e-3) & (setpoint < problem.stack.max_kw - 1e-3)
    steep = problem.stack.high(own + 1e-6) - problem.stack.low(own - 1e-6) > 0
    pinned = {offer.node for offer, ok in zip(problem.offers, inside & steep, strict=True) if ok}
    for limit in problem.limits:
        flow = clearing.flow_kw[limit.node]
        reached = flow > limit.import_limit_kw - 1e-3 or -flow > limit.export_limit_kw - 1e-3
        if limit.parent is not None and reached and abs(clearing.adder_per_kwh[limit.node]) < 1e-6:
            return False
    return pinned == {offer.node for offer in problem.offers}


@some
@given(problems())
def test_adders_add_up_along_a_path_and_are_worth_what_the_market_is_left_with(problem):
    clearing = locational.clear(problem)
    assume(None not in clearing.price_per_kwh.values())
    parent = {limit.node: limit.parent for limit in problem.limits}
    root = next(name for name, above in parent.items() if above is None)
    for name, price in clearing.price_per_kwh.items():
        path, node = 0.0, name
        while node is not None:
            path, node = path + clearing.adder_per_kwh[node], parent[node]
        assert price == pytest.approx((clearing.price_per_kwh[root] or 0.0) + path, abs=1e-9)
    rent = sum(adder * clearing.flow_kw[node] for node, adder in clearing.adder_per_kwh.items())
    left = -sum((clearing.participant_price[era] or 0.0) * kw for era, kw in clearing.setpoint_kw.items())
    assert left == pytest.approx(rent, rel=1e-9, abs=1e-6)


# --- by drawing -------------------------------------------------------------------------------------------------------


def row_of_roofs(most: float = 0.011) -> Problem:
    """retailer buys at 0.08 ── near roof (0.001 pu/kW) ── far roof (0.002 pu/kW), both 5 kW at 0.05"""
    offers = (retailer(0.08, 0.30), supply("near", 0.05, 5), supply("far", 0.05, 5))
    voltage = LinearLimit("v", {"near": 0.001, "far": 0.002}, most)
    return Problem(offers, slack="retailer", linear=(voltage,), **CAPPED)


def test_who_lifts_the_voltage_most_gives_way_and_gets_less():
    clearing = locational.clear(row_of_roofs())
    assert clearing.setpoint_kw == pytest.approx({"retailer": -8, "near": 5, "far": 3})
    assert clearing.linear_price == {"v": pytest.approx(15)}
    assert clearing.linear_value == {"v": pytest.approx(0.011)}
    assert clearing.participant_price == {"retailer": 0.08, "near": pytest.approx(0.065), "far": pytest.approx(0.05)}
    assert clearing.price_per_kwh == {"grid": 0.08}


def test_a_linear_limit_that_is_kept_anyway_costs_nothing_and_changes_nothing():
    problem = row_of_roofs(0.015)
    clearing = locational.clear(problem)
    without = locational.clear(replace(problem, linear=()))
    assert clearing.linear_price == {"v": 0}
    assert replace(clearing, linear_price={}, linear_value={}) == without


def test_a_known_adder_lifts_the_own_price_and_not_the_node_s():
    """What comes from the far end loses a tenth on its way; it is bought only where that pays."""
    far = replace(supply("far", 0.10, 5), adder_per_kwh=-0.02)
    near, house = supply("near", 0.11, 5), demand("house", 0.30, 7)
    clearing = locational.clear(Problem((far, near, house)))
    assert clearing.setpoint_kw == {"far": 2, "near": 5, "house": -7}
    assert clearing.price_per_kwh == {"grid": 0.12}
    assert clearing.participant_price == {"far": 0.10, "near": 0.12, "house": 0.12}


def test_k_chooses_the_price_that_the_price_of_a_linear_limit_leaves_open():
    """a and b stand still between 0.2 and 0.3 for any price of the limit; c pins that one down, by itself."""
    offers = (supply("a", 0.2, 5), demand("b", 0.3, 5), supply("c", 0.05, 5), demand("d", 0.15, 3))
    island = (GRID, Limit("tx-1", "grid", 0, 0))
    offers = (*offers[:2], *(replace(offer, node="tx-1") for offer in offers[2:]))
    problem = Problem(offers, island, linear=(LinearLimit("v", {"c": 1.0}, 2.0),), **CAPPED)
    prices = [locational.clear(replace(problem, k=k)).price_per_kwh for k in (0.0, 0.5, 1.0)]
    assert [price["grid"] for price in prices] == pytest.approx([0.2, 0.25, 0.3])
    assert [price["tx-1"] for price in prices] == pytest.approx([0.15, 0.15, 0.15])


def test_of_several_prices_of_a_linear_limit_one_that_would_do_is_told():
    """a may give 1 kW, which is just what b leaves of c: anything between 0.05 and 0.30 clears."""
    offers = (supply("a", 0.05, 5), supply("b", 0.05, 5), demand("c", 0.30, 6))
    problem = Problem(offers, linear=(LinearLimit("v", {"a": 1.0}, 1.0),), **CAPPED)
    clearing = locational.clear(problem)
    assert certify(problem, clearing).certified
    price = clearing.price_per_kwh["grid"]
    assert price is not None
    assert 0.05 <= price <= 0.30
    assert clearing.linear_price["v"] <= price - 0.05 + 1e-9


def test_equals_share_alike_within_a_linear_limit():
    """Four roofs alike, two at each of two places, and room for 12 kW of 20 kW in all and 4 kW at the first place."""
    roofs = [supply(f"roof-{n}", 0.05, 5) for n in range(4)]
    total = LinearLimit("all", {roof.era: 1.0 for roof in roofs}, 12.0)
    first = LinearLimit("first", {"roof-0": 1.0, "roof-1": 1.0}, 4.0)
    offers = (retailer(0.05, 0.30), *roofs)
    problem = Problem(offers, slack="retailer", linear=(total, first), **CAPPED)
    clearing = locational.clear(problem)
    assert clearing.setpoint_kw == pytest.approx(
        {"retailer": -12, "roof-0": 2, "roof-1": 2, "roof-2": 4, "roof-3": 4}, abs=1e-5
    )


def test_what_cannot_stop_is_cut_at_the_floor_for_a_linear_limit():
    problem = Problem(
        (retailer(0.05, 0.3), fixed("wind", 5)),
        slack="retailer",
        linear=(LinearLimit("v", {"wind": 1.0}, 3.0),),
        **CAPPED,
    )
    clearing = locational.clear(problem)
    assert clearing.curtailed_kw == {"wind": pytest.approx(-2)}
    assert clearing.participant_price["wind"] == pytest.approx(-1)
    assert clearing.linear_price["v"] == pytest.approx(1.05)


def test_a_limit_that_nothing_can_keep_is_named_with_by_how_much():
    lift = LinearLimit("lift", {"pv": -0.001}, -0.006)
    kept = LinearLimit("kept", {"pv": 1.0}, 9.0)
    problem = Problem((retailer(0.05, 0.3), supply("pv", 0.1, 5)), slack="retailer", linear=(kept, lift), **CAPPED)
    with pytest.raises(MarketError) as refusal:
        locational.clear(problem)
    (fault,) = refusal.value.faults
    assert (fault.where, fault.what) == ("linear/1/most", "lift cannot be kept: it is exceeded by 0.001 at least")


def test_a_market_of_nobody_cannot_keep_what_is_below_zero():
    with pytest.raises(MarketError, match="exceeded by 1 at least"):
        locational.clear(Problem((), linear=(LinearLimit("v", {}, -1.0),), **CAPPED))


def test_pay_as_clear_tells_what_linear_limits_would_have_to_bear_and_knows_no_adders():
    problem = row_of_roofs()
    far = replace(problem.offers[2], adder_per_kwh=-0.02)
    clearing = pay_as_clear.clear(replace(problem, offers=(*problem.offers[:2], far)))
    assert set(clearing.participant_price.values()) == {0.08}
    assert clearing.linear_value == {"v": pytest.approx(0.015)}
    found = certify(problem, clearing).violations
    assert [(f.condition, f.who) for f in found] == [("limits", "v")]
    assert found[0].amount == pytest.approx(0.004)


def test_curtailment_keeps_linear_limits_pro_rata():
    clearing = curtail_only.clear(row_of_roofs())
    scale = 0.011 / 0.015
    assert clearing.setpoint_kw == pytest.approx({"retailer": -10 * scale, "near": 5 * scale, "far": 5 * scale})


def test_what_was_cut_for_one_limit_is_cut_for_the_next_until_all_are_kept():
    """a has sun for its load; cutting its sun for the limit above it would overload it in the other direction."""
    limits = (GRID, Limit("mv", "grid", math.inf, 50), Limit("a", "mv", 10, math.inf), Limit("b", "mv"))
    offers = (
        retailer(0.05, 0.3),
        supply("sun-a", 0, 50, "a"),
        demand("load-a", 0.4, 60, "a"),
        supply("sun-b", 0, 100, "b"),
    )
    problem = Problem(offers, limits, slack="retailer")
    found = certify(problem, curtail_only.clear(problem)).violations
    assert not [violation for violation in found if violation.condition in ("limits", "balance")]


@pytest.mark.parametrize("name", POLICIES)
@settings(max_examples=12, deadline=None)
@given(problem=limited(least=0))
def test_every_policy_keeps_its_promises_beside_linear_limits(name, problem):
    keeps_its_promises(name, problem)


@pytest.mark.slow
@pytest.mark.parametrize("name", POLICIES)
@settings(max_examples=300, deadline=None)
@given(problem=limited(least=0))
def test_every_policy_keeps_its_promises_beside_linear_limits_at_length(name, problem):
    keeps_its_promises(name, problem)


def keeps_its_promises(name: str, problem: Problem) -> None:
    """Of those that doing nothing would keep."""
    if name == "supply-demand-ratio":
        assume(math.prod(slack_prices(problem) or ()) >= 0)
    if name == "pay-as-clear":
        problem = replace(problem, offers=tuple(replace(o, adder_per_kwh=0.0) for o in problem.offers))
    found = certify(problem, POLICIES[name].clear(problem)).violations
    assert not [violation for violation in found if violation.condition in POLICIES[name].promises]


# --- the certificate --------------------------------------------------------------------------------------------------

SPOILED: dict[str, tuple[Callable[[Clearing], Clearing], set[tuple[str, str]]]] = {
    "a limit that is not kept": (
        lambda c: replace(
            c, setpoint_kw={"retailer": -9.0, "near": 5.0, "far": 4.0}, linear_value={"v": 0.013}, flow_kw={"grid": 0.0}
        ),
        {("limits", "v")},
    ),
    "a price without need": (
        lambda c: replace(
            c, setpoint_kw={"retailer": -7.0, "near": 5.0, "far": 2.0}, linear_value={"v": 0.009}, flow_kw={"grid": 0.0}
        ),
        {("linear", "v")},
    ),
    "a value that is not the sum": (lambda c: replace(c, linear_value={"v": 0.01}), {("linear", "v")}),
    "a value that is missing": (lambda c: replace(c, linear_value={}), {("linear", "v")}),
    "a negative price": (
        lambda c: replace(
            c, linear_price={"v": -15.0}, participant_price={"retailer": 0.08, "near": 0.095, "far": 0.11}
        ),
        {("linear", "v"), ("curves", "far")},
    ),
    "a price that is missing": (lambda c: replace(c, linear_price={}), {("linear", x) for x in ("v", "near", "far")}),
    "a participant at its node's price": (
        lambda c: replace(c, participant_price={**c.participant_price, "near": 0.08}),
        {("linear", "near")},
    ),
    "a price that nothing explains": (
        lambda c: replace(c, participant_price=dict.fromkeys(c.participant_price), price_per_kwh={"grid": None}),
        set(),
    ),
}


@pytest.mark.parametrize("spoiled", SPOILED)
def test_a_spoiled_clearing_is_found(spoiled):
    problem = row_of_roofs()
    spoil, expected = SPOILED[spoiled]
    found = {(f.condition, f.who) for f in certify(problem, spoil(locational.clear(problem))).violations}
    assert found == expected


def test_without_prices_a_linear_limit_still_has_to_explain_the_set_points():
    """With the limit's price there is a level at which all are on their curves; without it there is none."""
    problem = row_of_roofs()
    bare = replace(
        locational.clear(problem),
        participant_price=dict.fromkeys(["retailer", "near", "far"]),
        price_per_kwh={"grid": None},
    )
    assert certify(problem, bare).certified
    found = certify(problem, replace(bare, linear_price={"v": 0.0})).violations
    assert [(f.condition, f.who) for f in found] == [("curves", "grid")]


# --- the wire ---------------------------------------------------------------------------------------------------------

STEP = [{"price": 0.05, "powerKW": 0}, {"price": 0.05, "powerKW": 5}]
BUYER = [{"price": 0.08, "powerKW": -100}, {"price": 0.08, "powerKW": 0}]
VOLTAGE = {"id": "v", "maximum": 0.011, "weights": [{"era": "near", "weight": 0.001}, {"era": "far", "weight": 0.002}]}


def request(*linear, **more):
    participants = [
        {"era": "buyer", "offerCurve": BUYER},
        {"era": "near", "offerCurve": STEP},
        {"era": "far", "offerCurve": STEP},
    ]
    return {"participants": participants, "linearLimits": list(linear), "priceFloor": -1, "priceCap": 2, **more}


def test_linear_limits_are_read_and_answered():
    data = request(VOLTAGE)
    data["participants"][2]["adderPerKWh"] = -0.002
    problem = read_problem(data, "book.json")
    assert problem.linear == (LinearLimit("v", {"near": 0.001, "far": 0.002}, 0.011),)
    assert problem.offers[2].adder_per_kwh == -0.002
    answer = json.loads(json.dumps(clear_message(data, POLICIES["locational"], "book.json")))["aggregationResult"]
    (limit,) = answer["linearLimits"]
    assert limit == {"id": "v", "price": pytest.approx(14), "value": pytest.approx(0.011), "binding": True}
    assert answer["certificate"] == {"certified": True, "violations": []}


def test_a_market_without_linear_limits_says_nothing_of_them():
    plain = {key: value for key, value in request().items() if key != "linearLimits"}
    answers = [
        clear_message(data, POLICIES["locational"], "b") for data in (plain, request(), {**plain, "linearLimits": None})
    ]
    assert answers[0] == answers[1] == answers[2]
    assert "linearLimits" not in answers[0]["aggregationResult"]


def test_a_limit_that_nothing_can_keep_is_told_at_its_place_in_the_message():
    lift = {"id": "lift", "maximum": -0.006, "weights": [{"era": "near", "weight": -0.001}]}
    data = {"message": {"aggregationRequest": request(VOLTAGE, lift)}}
    with pytest.raises(MessageError) as refusal:
        clear_message(data, POLICIES["locational"], "book.json")
    (fault,) = refusal.value.faults
    assert fault.where == "/message/aggregationRequest/linearLimits/1/maximum"
    assert fault.what == "lift cannot be kept: it is exceeded by 0.001 at least"


def test_every_fault_of_linear_limits_has_its_pointer():
    data = request(
        {
            "id": "v",
            "maximum": 1,
            "weights": [{"era": "near", "weight": "1"}, {"era": "near", "weight": 1}, {"weight": 1}],
        },
        {"id": "w", "weights": [{"era": "who", "weight": 1, "unit": "pu"}]},
        {"id": "v", "maximum": 1, "weights": [{"era": "far", "weight": 1}, {"era": "buyer", "weight": 1}]},
        {"maximum": 1, "weights": {}},
        7,
        slack="buyer",
        priceCap=None,
    )
    data["participants"][0]["adderPerKWh"] = 0.1
    with pytest.raises(MessageError) as refusal:
        read_problem(data, "book.json")
    assert sorted(fault.where for fault in refusal.value.faults) == [
        "/linearLimits/0/weights/0/weight",
        "/linearLimits/0/weights/1/era",
        "/linearLimits/0/weights/2",
        "/linearLimits/1",
        "/linearLimits/1/weights/0",
        "/linearLimits/1/weights/0/unit",
        "/linearLimits/2/id",
        "/linearLimits/2/weights/1",
        "/linearLimits/3",
        "/linearLimits/3/weights",
        "/linearLimits/4",
        "/participants/0/adderPerKWh",
        "/priceCap",
    ]
