"""The rules of other projects give what these projects give; and the oracle says which of that is wrong."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.catalog import policy
from sim.curves import OfferCurve
from sim.errors import MarketError
from sim.market.laboratory import judge
from sim.market.orders import Book, Order, book_of
from sim.market.policies import POLICIES
from sim.market.policies.peers import PEERS, gsy_pay_as_bid, powermatcher
from sim.market.policies.peers.sweep import ROUND_TRIPS, served, sweep
from sim.market.problem import Limit, Offer, Problem, receipts_per_h
from tests.market.books import demand, fixed, retailer, supply
from tests.strategies import problems, step_curves

GOLDEN = Path(__file__).parent.parent / "golden"
STORED = json.loads((GOLDEN / "peers.json").read_text(encoding="utf-8"))
BOOKS = {case["id"]: case for case in json.loads((GOLDEN / "books.json").read_text(encoding="utf-8"))["cases"]}

thorough = settings(max_examples=60, deadline=None)


def book(case: dict) -> Problem:
    orders = BOOKS[case["book"]] if "book" in case else case
    buys = [demand(f"buy-{n}", price, kw) for n, (price, kw) in enumerate(orders.get("buys", []))]
    sells = [supply(f"sell-{n}", price, kw) for n, (price, kw) in enumerate(orders.get("sells", []))]
    net = (
        [Offer("net", "grid", OfferCurve.of([(p, -kw) for p, kw in case["net_demand_kw"]]))]
        if "net_demand_kw" in case
        else []
    )
    return Problem((*buys, *sells, *net), price_cap=case.get("price_cap", math.inf))


def cases(*needs: str):
    wanted = (case for case in STORED["cases"] if all(need in case for need in needs))
    return pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in wanted])


def near(value):
    return pytest.approx(value, abs=STORED["tolerance"])


# --- as published -----------------------------------------------------------------------------------------------------


@cases("policy")
def test_a_rule_gives_what_its_project_gives(case):
    clearing = policy(case["policy"]).clear(book(case))
    answers = {
        "price": clearing.price_per_kwh["grid"],
        "volume_kw": sum(max(p_kw, 0) for p_kw in clearing.setpoint_kw.values()),
        "welfare": clearing.welfare,
        "accounts": clearing.accounts,
    }
    for name, answer in answers.items():
        if name in case:
            assert answer == near(case[name]), name
    for era, kw in case.get("fills", {}).items():
        assert abs(clearing.setpoint_kw[era]) == near(kw), era
    for era, price in case.get("fill_price", {}).items():
        assert clearing.participant_price[era] == near(price), era
    if "kind" in case:
        assert clearing.notes[0] == case["kind"]
    if "sell_price" in case:
        sold = [clearing.participant_price[era] for era, p_kw in clearing.setpoint_kw.items() if p_kw > 0]
        assert sold == near([case["sell_price"]] * len(sold))


@cases("efficient")
def test_the_oracle_says_which_published_results_are_an_efficient_equilibrium(case):
    verdict = judge(book(case), policy(case["policy"]))
    assert verdict.failed == ""
    assert verdict.price_in_equilibrium == case.get("equilibrium")
    assert (verdict.share is None or verdict.share == pytest.approx(1, abs=1e-9)) == case["efficient"]
    assert not verdict.at_fault


@cases("wrong")
def test_what_is_wrong_by_economics_is_found(case):
    verdict = judge(book(case), policy(case["policy"]))
    found = {
        "volume": not verdict.volume_efficient,
        "welfare": verdict.share is not None and verdict.share < 1 - 1e-9,
        "price": verdict.price_in_equilibrium is False,
        "money": bool(verdict.breaks("money")),
        "nothing traded": any("no intersection" in note for note in verdict.notes),
    }
    assert any(found.values()), case["wrong"]
    assert sum(verdict.unserved_kw.values()) == near(case.get("unserved_kw", sum(verdict.unserved_kw.values())))
    assert verdict.missing == near(case.get("missing", 0.0))


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in STORED["agents"]])
def test_gsy_matches_nobody_with_himself_and_of_equals_who_came_last_first(case):
    orders = {
        side: [Order(agent, side, price, kw, place) for place, (price, kw, agent) in enumerate(case[name])]
        for side, name in (("BUY", "buys"), ("SELL", "sells"))
    }
    sorted_book = Book(
        tuple(sorted(orders["BUY"], key=lambda o: -o.price)), tuple(sorted(orders["SELL"], key=lambda o: o.price))
    )
    found = list(gsy_pay_as_bid.matches(sorted_book))
    trades = [[one.buy.arrival, one.sell.arrival, one.kw, one.buy.price] for one in found]
    assert trades == [near(trade) for trade in case["trades"]]
    welfare = sum(one.kw * (one.buy.price - one.sell.price) for one in found)
    assert welfare == near(case["welfare"])
    assert welfare <= case["best"] + 1e-9


# --- each rule by itself ----------------------------------------------------------------------------------------------


def test_every_rule_says_where_it_comes_from_and_looks_at_no_limit():
    assert set(PEERS) <= set(POLICIES)
    assert all(one.source and one.summary and not one.heeds_limits for one in PEERS.values())


def test_the_three_marks_of_a_sweep():
    """5@10 and 5@8 meet 3@2 and 4@5: 7 kW, 3 of the second buy are left, and an order of each side came to nothing."""
    problem = Problem(
        (
            demand("b1", 10, 5),
            demand("b2", 8, 5),
            demand("b3", 4, 5),
            supply("s1", 2, 3),
            supply("s2", 5, 4),
            supply("s3", 9, 6),
        )
    )
    orders = book_of(problem)
    met = sweep(orders.buys, orders.sells)
    assert [(one.buy.era, one.sell.era, one.kw) for one in met.matches] == [
        ("b1", "s1", 3),
        ("b1", "s2", 2),
        ("b2", "s2", 2),
    ]
    assert (met.kw, met.buy_left_kw, met.sell_left_kw) == (7, 3, 0)
    assert (met.next_buy.era, met.next_sell.era) == ("b3", "s3")


def test_rounding_of_a_sum_opens_no_order():
    """0.1 + 0.2 kW is 0.3 kW: the dear seller is not asked for the last 5e-17."""
    problem = Problem(
        (demand("b", 1.0, 0.1 + 0.2), supply("s1", 0.1, 0.1), supply("s2", 0.2, 0.2), supply("s3", 0.9, 1.0))
    )
    assert PEERS["assume-pay-as-clear"].clear(problem).price_per_kwh["grid"] == 0.2


def test_who_is_first_at_a_price_that_is_not_served_in_full():
    orders = [Order("a", "BUY", 3.0, 4.0, 0), Order("b", "BUY", 3.0, 4.0, 1), Order("c", "BUY", 2.0, 1.0, 2)]
    assert [(order.era, kw) for order, kw in served(orders, 6.0)] == [("a", 4.0), ("b", 2.0)]
    assert [(order.era, kw) for order, kw in served(orders, 6.0, share_ties=True)] == [("a", 3.0), ("b", 3.0)]


def test_gridlabd_shares_among_equals_and_the_others_serve_who_came_first():
    problem = Problem((demand("b1", 40, 4), demand("b2", 40, 4), supply("s", 30, 6)))
    assert PEERS["gridlabd"].clear(problem).setpoint_kw == {"b1": -3, "b2": -3, "s": 6}
    assert PEERS["assume-pay-as-clear"].clear(problem).setpoint_kw == {"b1": -4, "b2": -2, "s": 6}


def test_gridlabd_prices_what_names_no_price_by_those_who_wait():
    """A load at the cap meets a roof at the floor: the price is between the next two, beyond the only one, or zero."""

    def price(*waiting: Offer) -> float | None:
        offers = (fixed("house", -5), fixed("roof", 5), *waiting)
        return PEERS["gridlabd"].clear(Problem(offers, price_floor=-1, price_cap=1)).price_per_kwh["grid"]

    assert price() == 0
    assert price(demand("ev", 0.2, 1)) == near(0.2001)
    assert price(supply("fuel-cell", 0.4, 1)) == near(0.3999)
    assert price(demand("ev", 0.2, 1), supply("fuel-cell", 0.4, 1)) == near(0.3)


def test_gridlabd_prices_a_load_at_any_price_by_its_seller_and_a_roof_by_its_buyer():
    waiting = (demand("ev", 0.2, 1), supply("fuel-cell", 0.4, 1))

    def price(*offers: Offer) -> float | None:
        return PEERS["gridlabd"].clear(Problem((*offers, *waiting), price_floor=-1, price_cap=1)).price_per_kwh["grid"]

    assert price(fixed("house", -5), supply("chp", 0.3, 5)) == near(0.3)
    assert price(fixed("house", -5), supply("chp", 0.1, 5)) == near(0.2001)
    assert price(demand("pump", 0.3, 5), fixed("roof", 5)) == near(0.3)
    assert price(demand("pump", 0.5, 5), fixed("roof", 5)) == near(0.3999)


def test_assume_pay_as_bid_pays_each_seller_his_price_and_names_nobody_who_keeps_the_rest():
    """b takes 3@2 and 2@5: he pays 5 for all 5 kW, the sellers get 2 and 5, and 9 is gone."""
    problem = Problem((demand("b", 10, 5), supply("s1", 2, 3), supply("s2", 5, 4)))
    clearing = PEERS["assume-pay-as-bid"].clear(problem)
    assert clearing.participant_price == {"b": 5, "s1": 2, "s2": 5}
    assert (receipts_per_h(clearing), clearing.accounts) == (-9, {})
    assert [(deal.seller, deal.kw, deal.paid_per_kwh, deal.received_per_kwh) for deal in clearing.deals] == [
        ("s1", 3, 5, 2),
        ("s2", 2, 5, 5),
    ]


def test_a_fee_that_somebody_would_be_paid_is_refused():
    with pytest.raises(MarketError, match="not a fee"):
        policy("simply-pay-as-clear:fee=-0.1").clear(Problem((demand("b", 1, 1),)))


@pytest.mark.parametrize("name", ["pymarket-stepwise:k=1.5", "pymarket-random-pairs:p_coef=-1", "powermatcher:steps=1"])
def test_an_option_out_of_its_range_is_refused(name):
    with pytest.raises(MarketError):
        policy(name).clear(Problem((demand("b", 1, 1), supply("s", 0.5, 1))))


def test_powermatcher_on_a_step_takes_and_gives_all_and_leaves_the_rest_to_the_slack():
    problem = Problem((retailer(0.05, 0.3), demand("ev", 0.2, 7), supply("pv", 0.1, 5)), slack="retailer")
    clearing = powermatcher.clear(problem, lowest=0.0, highest=0.4, steps=5)
    assert clearing.price_per_kwh["grid"] == 0.3  # at 0.2 the car wants 2 kW that nobody gives below the tariff
    assert clearing.setpoint_kw == {"retailer": -5, "ev": 0, "pv": 5}


def test_the_draw_of_random_pairs_is_of_its_seed():
    problem = Problem((*(demand(f"b{n}", n, 1) for n in range(1, 9)), *(supply(f"s{n}", n, 1) for n in range(1, 9))))
    drawn = [policy(f"pymarket-random-pairs:seed={seed}").clear(problem).setpoint_kw for seed in (1, 1, 2, 3, 4)]
    assert drawn[0] == drawn[1]
    assert any(other != drawn[0] for other in drawn[2:])


def test_who_buys_as_much_as_he_sells_has_no_price_but_what_he_earns_is_told():
    """The battery buys 5 at its 0.2 and sells 5 at the car's 0.9: it has no net power to be paid for."""
    battery = Offer("battery", "grid", OfferCurve.of([(0.2, -5), (0.2, 0), (0.5, 0), (0.5, 5)]))
    problem = Problem((battery, demand("car", 0.9, 5), supply("pv", 0.1, 5), supply("chp", 0.95, 5)))
    bids = gsy_pay_as_bid.matches(book_of(problem))
    assert [(one.buy.era, one.sell.era) for one in bids] == [("car", "battery"), ("battery", "pv")]
    clearing = PEERS["gsy-pay-as-bid"].clear(problem)
    assert clearing.setpoint_kw["battery"] == 0
    assert clearing.participant_price["battery"] is None
    assert clearing.accounts == {ROUND_TRIPS: near(3.5)}


@thorough
@given(problems(offered=step_curves(), slack=st.just(False)))
def test_nothing_trades_more_than_volume_max_and_gsy_trades_as_much(problem):
    if any(offer.curve.min_kw < 0 < offer.curve.max_kw for offer in problem.offers):
        return  # gsy lets nobody trade with himself

    def volume(name: str) -> float:
        return sum(one.kw for one in PEERS[name].clear(problem).deals)

    try:
        most = volume("volume-max")
    except MarketError:
        return
    assert volume("gsy-pay-as-bid") == pytest.approx(most, abs=1e-6)
    assert all(volume(name) <= most + 1e-6 for name in ("gridlabd", "gsy-pay-as-clear", "pymarket-random-pairs"))


@thorough
@given(problems(offered=step_curves(), limits=st.just((Limit("root"),)), slack=st.just(False)))
def test_on_steps_gridlabd_is_efficient_where_there_is_no_limit(problem):
    verdict = judge(replace(problem, price_floor=-1.0, price_cap=2.0), PEERS["gridlabd"])
    assert verdict.failed == ""
    assert verdict.share is None or verdict.share == pytest.approx(1, abs=1e-6)
    assert verdict.volume_efficient
