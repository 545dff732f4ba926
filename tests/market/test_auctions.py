"""The auctions of the literature: their published cases, what they promise, and where one of them is another."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sim.curves import OfferCurve
from sim.errors import MarketError
from sim.market.economics import broken, shortfall
from sim.market.misreport import gain_per_h
from sim.market.orders import whole_curves
from sim.market.policies import POLICIES, continuous, locational, mcafee, muda, pay_as_bid, vcg
from sim.market.policy import PROMISES
from sim.market.problem import MARGIN, Clearing, Limit, LinearLimit, Offer, Problem
from sim.rng import stream
from tests.market.books import demand, fixed, retailer, street, supply
from tests.strategies import curves, problems, step_curves

AUCTIONS = ("continuous", "huang", "mcafee", "muda", "pairwise-k", "pay-as-bid", "posted-price", "vcg")
ONE_NODE = st.just((Limit("root"),))
thorough = settings(max_examples=100, deadline=None)
quick = settings(max_examples=40, deadline=None)

STORED = json.loads((Path(__file__).parent.parent / "golden" / "auctions.json").read_text(encoding="utf-8"))
TOLERANCE = STORED["tolerance"]


def book(buys, sells, **settings_):
    """b0, b1, ... and s0, s1, ..., each with one order (price, kW)."""
    bids = [demand(f"b{n}", price, kw) for n, (price, kw) in enumerate(buys)]
    asks = [supply(f"s{n}", price, kw) for n, (price, kw) in enumerate(sells)]
    return Problem((*bids, *asks), **settings_)


def near(value):
    return pytest.approx(value, abs=TOLERANCE)


# --- published cases --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in STORED["cases"]])
def test_an_auction_clears_a_book_as_is_known(case):
    problem = book(case["buys"], case["sells"], k=case.get("k", 0.5))
    policy = POLICIES[case["policy"]]
    clear = partial(muda.clear, seed=case["seed"]) if "seed" in case else policy.clear
    clearing = clear(problem)
    assert broken(problem, clearing, policy.promises) == ()
    if "kw" in case:
        assert {era: abs(kw) for era, kw in clearing.setpoint_kw.items() if kw} == near(case["kw"])
    for era, price in case.get("price", {}).items():
        assert clearing.participant_price[era] == near(price)
    if "deals" in case:
        assert [(deal.seller, deal.buyer) for deal in clearing.deals] == [(s, b) for s, b, *_ in case["deals"]]
        told = [(deal.kw, deal.paid_per_kwh, deal.received_per_kwh) for deal in clearing.deals]
        assert np.array(told) == near(np.array([(kw, price, price) for *_, kw, price in case["deals"]]))
    assert clearing.accounts == near(case.get("accounts", clearing.accounts))
    assert clearing.welfare == near(case.get("welfare", clearing.welfare))


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in STORED["at_a_price"]])
def test_at_a_given_price_the_longer_side_pays_for_whom_it_keeps_out(case):
    offered = [_stairs(**sides) for sides in case["curves"].values()]
    trade = muda.traded_at(offered, case["price"])
    assert dict(zip(case["curves"], trade.power_kw.tolist(), strict=True)) == near(case["kw"])
    assert dict(zip(case["curves"], trade.fee_per_h.tolist(), strict=True)) == near(case["fee"])


def _stairs(buys=(), sells=()):
    steps, kw = [], -sum(kw for _, kw in buys)
    for price, size in sorted([*buys, *sells]):
        steps += [(price, kw), (price, kw + size)]
        kw += size
    return OfferCurve.of(steps)


# --- what holds for every auction -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", AUCTIONS)
@thorough
@given(problem=problems())
def test_nobody_would_rather_not_have_traded(name, problem):
    """What no price moves is worth the price cap, and costs the floor."""
    problem = replace(problem, price_floor=-1.0, price_cap=2.0)
    clearing = POLICIES[name].clear(problem)
    for offer in problem.offers:
        assert gain_per_h(problem, clearing, offer) >= -1e-6 * (1 + abs(clearing.setpoint_kw[offer.era]))


@pytest.mark.parametrize("name", AUCTIONS)
@quick
@given(problem=problems())
def test_who_deals_has_the_power_and_the_money_of_the_deals(name, problem):
    clearing = POLICIES[name].clear(replace(problem, price_floor=-1.0, price_cap=2.0))
    if not clearing.deals:
        return
    assert all(deal.seller != deal.buyer and deal.kw > 0 for deal in clearing.deals)
    for era, p_kw in clearing.setpoint_kw.items():
        dealt = list(_dealt(clearing, era))
        assert era == problem.slack or len({kw > 0 for kw, _ in dealt}) <= 1
        assert sum(kw for kw, _ in dealt) == pytest.approx(p_kw, abs=1e-6)
        margin = clearing.accounts.get(MARGIN, 0.0) if era == problem.slack else 0.0
        assert sum(kw * price for kw, price in dealt) == pytest.approx(
            p_kw * (clearing.participant_price[era] or 0.0) + margin, abs=1e-4
        )


def _dealt(clearing: Clearing, era: str | None):
    """(kW, what it brings per kWh) of all deals of one participant."""
    for deal in clearing.deals:
        if deal.seller == era:
            yield deal.kw, deal.received_per_kwh
        if deal.buyer == era:
            yield -deal.kw, deal.paid_per_kwh


@pytest.mark.parametrize("name", AUCTIONS)
def test_an_auction_refuses_what_has_no_price_to_bid_and_names_who(name):
    with pytest.raises(MarketError) as refusal:
        POLICIES[name].clear(Problem((fixed("house", -2), fixed("wind", 3), demand("ev", 0.3, 5))))
    assert [(fault.where, fault.what) for fault in refusal.value.faults] == [
        ("offers/0/curve", "house takes 2 kW at any price"),
        ("offers/1/curve", "wind gives 3 kW at any price"),
    ]


@pytest.mark.parametrize("name", AUCTIONS)
@pytest.mark.parametrize("offers", [(), (demand("ev", 0.1, 5),), (demand("ev", 0.1, 5), supply("pv", 0.2, 5))])
def test_where_nobody_can_trade_nothing_happens(name, offers):
    clearing = POLICIES[name].clear(Problem(offers))
    assert not any(clearing.setpoint_kw.values())
    assert not any(price is not None for price in clearing.participant_price.values())
    assert (clearing.accounts, clearing.deals) == ({}, ())


RIGID = Offer("shop", "grid", OfferCurve.of([(0.3, -10), (0.3, -5)]))
UNPROMISED = {
    "two of unlike sizes": book([(0.9, 4), (0.3, 4)], [(0.1, 2), (0.2, 4)]),
    "a shop that must take some": Problem(
        (RIGID, supply("pv", 0.1, 5), supply("chp", 0.2, 5), demand("ev", 0.25, 4)), price_floor=-1, price_cap=2
    ),
    "too little for a house": Problem((fixed("house", -5), supply("pv", 0.1, 3)), price_floor=-1, price_cap=2),
    "two of each": book([(10, 1), (8, 1)], [(2, 1), (6, 1)]),
    "four of each": book([(10, 1), (9, 1), (8, 1), (4, 1)], [(1, 1), (3, 1), (5, 1), (6, 1)]),
    "one margin short": book([(10, 1), (9, 1), (8, 1), (2, 1)], [(1, 1), (3, 1), (7, 1), (8, 1)]),
    "a narrow street": street(
        supply("wind", 0.01, 40),
        *(demand(f"ev-{n}", 0.3 + n / 100, 25, "tx-1") for n in range(4)),
        retailer(0.05, 0.2),
        import_kw=10,
    ),
    "houses and the last who would pay": Problem(
        (fixed("h1", -5), fixed("h2", -5), demand("ev", 0.3, 4), supply("pv", 0.1, 6), supply("chp", 0.2, 8)),
        price_floor=-1,
        price_cap=2,
    ),
    "a house that comes late": Problem(
        (supply("pv", 0.1, 3), demand("ev", 0.3, 3), fixed("house", -5)), price_floor=-1, price_cap=2
    ),
    "a late comer": book([(5, 2), (10, 2)], [(2, 2)]),
    "slopes": Problem(
        (Offer("ev", "grid", OfferCurve.of([(0, -8), (1, 0)])), Offer("pv", "grid", OfferCurve.of([(0, 0), (1, 5)])))
    ),
    "a known adder": Problem(
        (
            replace(demand("b0", 10, 1), adder_per_kwh=0.5),
            *(demand(f"b{n}", price, 1) for n, price in enumerate((9, 8, 4), start=1)),
            *(supply(f"s{n}", price, 1) for n, price in enumerate((1, 3, 5, 6))),
        )
    ),
}
"""Markets in which something goes wrong that one auction or another does not promise."""


@pytest.mark.parametrize("name", AUCTIONS)
def test_an_auction_promises_all_that_it_keeps_and_no_more(name):
    """Whatever it does not promise, one of these markets breaks."""
    found = set()
    for problem in UNPROMISED.values():
        for seed in range(64 if name == "muda" else 1):
            clearing = muda.clear(problem, seed=seed) if name == "muda" else POLICIES[name].clear(problem)
            found |= {violation.condition for violation in broken(problem, clearing, PROMISES)}
            found |= {"efficient"} if _short(name, problem, clearing) > 1e-6 else set()
    assert POLICIES[name].promises == set(PROMISES) - found


def _short(name: str, problem: Problem, clearing: Clearing) -> float:
    if not POLICIES[name].heeds_limits:
        problem = locational.without_limits(problem, np.zeros(len(problem.offers)))
    return shortfall(problem, clearing)


# --- pay as bid -------------------------------------------------------------------------------------------------------


@thorough
@given(problems(slack=st.just(False)))
def test_pay_as_bid_trades_as_pay_as_clear_and_leaves_everybody_with_what_he_offered(problem):
    problem = replace(problem, price_floor=-1.0, price_cap=2.0)
    clearing = pay_as_bid.clear(problem)
    assert clearing.setpoint_kw == pytest.approx(POLICIES["pay-as-clear"].clear(problem).setpoint_kw, abs=1e-6)
    for offer in problem.offers:
        assert gain_per_h(problem, clearing, offer) == pytest.approx(0, abs=1e-5)


# --- pairs, trade reduction -------------------------------------------------------------------------------------------


@quick
@given(problems(offered=step_curves(), limits=ONE_NODE))
def test_pairs_of_orders_are_worth_what_the_best_price_is(problem):
    """Where nothing slopes, the best bid with the best ask is the optimum."""
    problem = replace(problem, price_floor=-1.0, price_cap=2.0)
    clearing = POLICIES["pairwise-k"].clear(problem)
    assert shortfall(problem, clearing) == pytest.approx(0, abs=1e-6)


@quick
@given(problems(limits=ONE_NODE, slack=st.just(False)))
def test_finer_orders_come_closer_to_the_optimum(problem):
    problem = replace(problem, price_floor=-1.0, price_cap=2.0)
    coarse, fine = (shortfall(problem, POLICIES["pairwise-k"].clear(problem, pieces=n)) for n in (1, 256))
    assert -1e-6 <= fine <= coarse / 16 + 1e-2


PRICES = st.integers(0, 12).map(float)
UNITS = st.lists(PRICES, min_size=1, max_size=7)


@thorough
@given(UNITS, UNITS)
@example([10, 9, 8, 2], [1, 3, 7, 8])
def test_mcafee_loses_one_trade_of_k_at_most_and_huang_always_one(bids, asks):
    """On equal units: k efficient trades, of which the least valuable is given up, or none."""
    problem = book([(price, 1) for price in bids], [(price, 1) for price in asks])
    best = POLICIES["pay-as-clear"].clear(problem)
    k = sum(b >= s for b, s in zip(sorted(bids, reverse=True), sorted(asks), strict=False))
    ours, reduced = mcafee.clear(problem), POLICIES["huang"].clear(problem)
    assert reduced.quantity_kw == max(k - 1, 0)
    assert ours.setpoint_kw == reduced.setpoint_kw or (ours.quantity_kw == k and not ours.accounts)
    assert ours.welfare >= (1 - 1 / k) * best.welfare - 1e-9 if k else ours.quantity_kw == 0


@thorough
@given(st.lists(st.tuples(PRICES, st.integers(1, 40)), min_size=1, max_size=6), UNITS)
def test_the_longer_side_is_cut_by_the_same_amount_or_to_nothing(sizes, bids):
    problem = book([(20.0 + price, 1) for price in bids], [(price, tenths / 10) for price, tenths in sizes])
    clearing = POLICIES["huang"].clear(problem)
    for side in "bs":
        served = {offer.era: clearing.setpoint_kw[offer.era] for offer in problem.offers if offer.era[0] == side}
        size = {offer.era: max(-offer.curve.min_kw, offer.curve.max_kw) for offer in problem.offers}
        cuts = {round(size[era] - abs(kw), 6) for era, kw in served.items() if kw}
        assert len(cuts) <= 1


# --- MUDA -------------------------------------------------------------------------------------------------------------


def test_a_coin_is_a_participants_own():
    """Who joins changes nobody else's half; an interval, and a seed, draws anew."""
    problem = book([(10, 1), (9, 1), (8, 1)], [(1, 1), (2, 1), (3, 1)])
    joined = replace(problem, offers=(demand("new", 0.5, 1), *problem.offers))
    assert {**muda.clear(joined).setpoint_kw} == {"new": 0.0, **muda.clear(problem).setpoint_kw}
    draws = [replace(problem, interval=interval) for interval in range(20)]
    assert len({tuple(muda.clear(one).setpoint_kw.values()) for one in draws}) > 1
    assert len({tuple(muda.clear(problem, seed=seed).setpoint_kw.values()) for seed in range(20)}) > 1
    assert muda.clear(problem, seed=3) == muda.clear(problem, seed=3)


def test_who_is_indifferent_in_both_directions_does_not_trade():
    battery = OfferCurve.of([(0.2, -5), (0.2, 5)])
    assert muda.traded_at([battery, supply("pv", 0.1, 3).curve], 0.2).power_kw.tolist() == [0, 0]


def test_in_a_large_market_little_is_lost_by_halving_it():
    draw = stream(1, "muda", "large")
    problem = book(draw.uniform(0, 1, (200, 2)).tolist(), draw.uniform(0, 1, (200, 2)).tolist())
    best = POLICIES["pay-as-clear"].clear(problem).welfare
    shares = [muda.clear(problem, seed=seed).welfare / best for seed in range(5)]
    assert min(shares) > 0.9


# --- Vickrey, Clarke, Groves ------------------------------------------------------------------------------------------


@quick
@given(problems())
def test_a_payment_is_what_the_others_lose(problem):
    """Against the definition: the greatest welfare without one, less what the others have with him."""
    problem = replace(problem, price_floor=-1.0, price_cap=2.0)
    clearing, whole = vcg.clear(problem), whole_curves(problem)
    everything = _optimum(problem, whole)
    for index, offer in enumerate(problem.offers):
        p_kw, price = clearing.setpoint_kw[offer.era], clearing.participant_price[offer.era]
        rest = replace(
            problem,
            offers=tuple(other for other in problem.offers if other.era != offer.era),
            slack=None if problem.slack == offer.era else problem.slack,
        )
        others = [curve for other, curve in enumerate(whole) if other != index]
        expected = everything - _optimum(rest, others)  # what he gains by taking part
        assert gain_per_h(problem, clearing, offer) == pytest.approx(expected, abs=1e-4)
        assert (price is None) == (abs(p_kw) <= 1e-9)


def _optimum(problem: Problem, whole: list[OfferCurve]) -> float:
    """The greatest welfare, counted from nothing at all."""
    offers = tuple(replace(offer, curve=curve) for offer, curve in zip(problem.offers, whole, strict=True))
    return locational.clear(replace(problem, offers=offers)).welfare if offers else 0.0


def test_behind_a_full_transformer_somebody_else_is_who_loses():
    """10 kW fit; the two cars want 8 each.  What one takes, the other misses: it pays its neighbour's price for 6 kW,
    and the supplier's for the 2 that the neighbour would have left."""
    cars = (demand("a", 0.9, 8, "tx-1"), demand("b", 0.5, 8, "tx-1"))
    clearing = vcg.clear(street(retailer(0.05, 0.2), *cars, import_kw=10))
    assert clearing.setpoint_kw == near({"retailer": 10, "a": -8, "b": -2})
    assert clearing.participant_price["a"] == near((6 * 0.5 + 2 * 0.2) / 8)
    assert clearing.participant_price["b"] == near(0.2)
    assert clearing.binding["tx-1"] == "FORWARD"


def test_a_linear_limit_is_as_good_as_a_transformer():
    """The same limit, said as a weighted sum: the same payments."""
    cars = (demand("a", 0.9, 8, "tx-1"), demand("b", 0.5, 8, "tx-1"))
    on_tree = street(retailer(0.05, 0.2), *cars, import_kw=10, price_floor=-1.0, price_cap=2.0)
    row = LinearLimit("cable", {"a": -1.0, "b": -1.0}, 10.0)
    beside = replace(on_tree, limits=tuple(Limit(one.node, one.parent) for one in on_tree.limits), linear=(row,))
    assert vcg.clear(beside).participant_price == near(vcg.clear(on_tree).participant_price)
    assert vcg.clear(beside).accounts == near(vcg.clear(on_tree).accounts)


@quick
@given(
    problems(offered=curves(), slack=st.just(True)),
    st.lists(st.sampled_from([0.0, 0.05, -0.1]), min_size=8, max_size=8),
)
def test_known_adders_are_paid_beside_what_the_others_gain(problem, adders):
    """On the tree as one by one: both ways to the same payment agree."""
    offers = tuple(
        offer if offer.era == problem.slack else replace(offer, adder_per_kwh=adder)
        for offer, adder in zip(problem.offers, [*adders, 0.0], strict=False)
    )
    problem = replace(problem, offers=offers, price_floor=-1.0, price_cap=2.0)
    never = LinearLimit("never", {}, math.inf)
    ours, beside = vcg.clear(problem), vcg.clear(replace(problem, linear=(never,)))
    for era, p_kw in ours.setpoint_kw.items():
        mine, other = (c.participant_price[era] or 0.0 for c in (ours, beside))
        assert mine * p_kw == pytest.approx(other * beside.setpoint_kw[era], abs=1e-4)


# --- as orders arrive -------------------------------------------------------------------------------------------------


def test_price_comes_before_time_and_time_before_the_rest():
    problem = Problem((supply("s0", 3, 1), supply("s1", 2, 1), supply("s2", 2, 1), demand("b", 5, 1.5)))
    deals = continuous.clear(problem).deals
    assert [(deal.seller, deal.kw, deal.paid_per_kwh) for deal in deals] == [("s1", 1, 2), ("s2", 0.5, 2)]


def test_who_has_bought_withdraws_what_he_asked():
    """The battery bids 0.2 and asks 0.2: once it has bought, its ask is gone, and nobody trades with himself."""
    battery = Offer("battery", "grid", OfferCurve.of([(0.2, -5), (0.2, 5)]))
    alone = continuous.clear(Problem((battery,)))
    assert alone.setpoint_kw == {"battery": 0}
    clearing = continuous.clear(Problem((battery, supply("pv", 0.1, 3), demand("ev", 0.5, 3))))
    assert clearing.setpoint_kw == {"battery": -3, "pv": 3, "ev": 0}


def test_traders_without_intelligence_come_close_to_the_optimum():
    """Zero-intelligence traders who only never trade at a loss (Gode and Sunder, Journal of Political Economy 101(1),
    1993): the auction, not they, finds more than nine tenths of the gains."""
    shares = [_zero_intelligence(seed) for seed in range(30)]
    assert np.mean(shares) >= 0.9
    assert min(shares) > 0.6


def _zero_intelligence(seed: int, traders: int = 12, rounds: int = 60) -> float:
    """Part of all gains that is realised: in each round those who are left shout once, in an order that is drawn."""
    draw = stream(seed, "zero intelligence")
    value = {f"b{n}": float(draw.uniform(0, 1)) for n in range(traders)}
    cost = {f"s{n}": float(draw.uniform(0, 1)) for n in range(traders)}
    best = book([(price, 1) for price in value.values()], [(price, 1) for price in cost.values()])
    gained, left = 0.0, [*value, *cost]
    for _ in range(rounds):
        shouts = [
            demand(era, float(draw.uniform(0, value[era])), 1)
            if era in value
            else supply(era, float(draw.uniform(cost[era], 1)), 1)
            for era in draw.permutation(left).tolist()
        ]
        traded = {era for era, kw in continuous.clear(Problem(tuple(shouts))).setpoint_kw.items() if kw}
        gained += sum(value.get(era, 0.0) - cost.get(era, 0.0) for era in traded)
        left = [era for era in left if era not in traded]
    return gained / POLICIES["pay-as-clear"].clear(best).welfare
