"""Curves read as an order book, and books matched."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.curves import CurveStack, OfferCurve
from sim.market.matching import continuously, margin, one_sided, pairs
from sim.market.orders import Book, Fill, Order, book_of, settled, whole_curves
from sim.market.problem import Offer, Problem
from tests.market.books import demand, fixed, supply
from tests.strategies import problems

quick = settings(max_examples=60, deadline=None)
PRICED = problems().map(lambda problem: replace(problem, price_floor=-1.0, price_cap=2.0))


def orders_of(curve: OfferCurve, pieces: int = 2, **settings_: float) -> list[tuple[str, float, float]]:
    book = book_of(Problem((Offer("a", "grid", curve),), **settings_), pieces)
    return [(order.side, round(order.price, 9), round(order.kw, 9)) for order in (*book.buys, *book.sells)]


# --- the book ---------------------------------------------------------------------------------------------------------


def test_a_step_is_an_order_as_it_stands():
    curve = OfferCurve.of([(0.1, -5), (0.1, -2), (0.2, -2), (0.2, 0), (0.4, 0), (0.4, 3)])
    assert orders_of(curve) == [("BUY", 0.2, 2), ("BUY", 0.1, 3), ("SELL", 0.4, 3)]


def test_a_slope_is_cut_into_pieces_at_the_price_in_their_middle():
    assert orders_of(OfferCurve.of([(0, 0), (1, 8)]), pieces=4) == [
        ("SELL", 0.125, 2),
        ("SELL", 0.375, 2),
        ("SELL", 0.625, 2),
        ("SELL", 0.875, 2),
    ]


def test_a_slope_through_zero_is_cut_there_so_that_no_piece_buys_above_what_it_is_worth():
    assert orders_of(OfferCurve.of([(0, -6), (0.8, 2)]), pieces=1) == [("BUY", 0.3, 6), ("SELL", 0.7, 2)]


def test_what_no_price_moves_bids_the_cap_or_asks_the_floor():
    rigid = OfferCurve.of([(0.3, -7), (0.3, -5)])
    assert orders_of(rigid, price_cap=2, price_floor=-1) == [("BUY", 2, 5), ("BUY", 0.3, 2)]
    assert orders_of(fixed("pv", 4).curve, price_cap=2, price_floor=-1) == [("SELL", -1, 4)]


def test_the_best_price_comes_first_and_then_who_came_first():
    problem = Problem((demand("a", 1, 1), demand("b", 2, 1), demand("c", 2, 1), supply("d", 3, 1), supply("e", 1, 1)))
    book = book_of(problem)
    assert [order.era for order in book.buys] == ["b", "c", "a"]
    assert [order.era for order in book.sells] == ["e", "d"]
    assert [order.arrival for order in book.buys] == [1, 2, 0]


@quick
@given(PRICED, st.integers(1, 8))
def test_the_orders_of_a_curve_are_all_of_it_and_worth_as_much(problem, pieces):
    """Filled in full, a participant's orders sum to the ends of its curve, and to what the whole curve is worth there."""
    book, whole = book_of(problem, pieces), whole_curves(problem)
    stack = CurveStack(whole)
    value, cost = stack.welfare(stack.min_kw), stack.welfare(stack.max_kw)
    for index, offer in enumerate(problem.offers):
        for orders, end_kw, worth in (
            (book.buys, -stack.min_kw[index], value[index]),
            (book.sells, stack.max_kw[index], -cost[index]),
        ):
            own = [order for order in orders if order.era == offer.era]
            assert sum(order.kw for order in own) == pytest.approx(end_kw, abs=1e-6)
            assert sum(order.kw * order.price for order in own) == pytest.approx(worth, rel=1e-9, abs=1e-6)


def test_fills_are_settled_at_their_mean_price():
    problem = Problem((demand("ev", 9, 4), supply("pv", 1, 1), supply("chp", 2, 3)))
    ((bid,), (pv, chp)) = book_of(problem).buys, book_of(problem).sells
    clearing = settled(problem, "hand", [Fill(bid, 1, 3), Fill(pv, 1, 3), Fill(bid, 3, 5), Fill(chp, 3, 5)])
    assert clearing.setpoint_kw == {"ev": -4, "pv": 1, "chp": 3}
    assert clearing.participant_price == {"ev": 4.5, "pv": 3, "chp": 5}
    assert clearing.price_per_kwh == {"grid": None}
    assert clearing.accounts == {}


# --- matching ---------------------------------------------------------------------------------------------------------


def orders(side, *prices_and_kw):
    return tuple(Order(f"{side}-{n}", side, price, kw, n) for n, (price, kw) in enumerate(prices_and_kw))


def test_the_margin_is_the_last_pair_that_pays():
    book = Book(orders("BUY", (5, 2), (3, 2), (1, 2)), orders("SELL", (0, 1), (2, 2), (3, 4)))
    assert list(pairs(book)) == [(0, 0, 1), (0, 1, 1), (1, 1, 1), (1, 2, 1)]
    last = margin(book)
    assert (last.kw, last.buy, last.sell) == (4, 1, 2)
    assert margin(Book(book.buys, ())) is None
    assert margin(Book(orders("BUY", (1, 2)), orders("SELL", (2, 2)))) is None


def test_what_rounding_leaves_of_an_order_is_no_margin():
    """0.1 + 0.2 kW for 0.3 kW: the second ask has no part in it, though floats leave 3e-17 kW of the second bid."""
    last = margin(Book(orders("BUY", (5, 0.1), (5, 0.2)), orders("SELL", (1, 0.3), (4, 1))))
    assert (last.kw, last.buy, last.sell) == (pytest.approx(0.3), 1, 0)


def test_of_two_orders_at_one_price_the_useful_one_is_kept():
    """A battery that would buy and sell at 5: where it sells to a dearer bid it is a seller; else a buyer."""
    battery = Offer("battery", "grid", OfferCurve.of([(5, -5), (5, 5)]))
    selling = one_sided(book_of(Problem((battery, demand("ev", 8, 5), supply("pv", 2, 1)))))
    assert [order.era for order in selling.buys] == ["ev"]
    assert [order.era for order in selling.sells] == ["pv", "battery"]
    buying = one_sided(book_of(Problem((battery, supply("pv", 2, 1)))))
    assert [order.era for order in buying.buys] == ["battery"]
    assert [order.era for order in buying.sells] == ["pv"]


@quick
@given(PRICED)
def test_nobody_is_on_both_sides_of_the_pairs_of_a_one_sided_book(problem):
    book = one_sided(book_of(problem))
    met = list(pairs(book))
    buyers, sellers = ({side[index].era for index in places} for side, places in _places(book, met))
    assert not buyers & sellers
    gains = (kw * (book.buys[buy].price - book.sells[sell].price) for buy, sell, kw in met)
    before = book_of(problem)
    all_gains = (kw * (before.buys[buy].price - before.sells[sell].price) for buy, sell, kw in pairs(before))
    assert sum(gains) == pytest.approx(sum(all_gains), rel=1e-9, abs=1e-6)


def _places(book, met):
    return (book.buys, [buy for buy, _, _ in met]), (book.sells, [sell for _, sell, _ in met])


def test_an_order_that_waited_sets_the_price_and_is_filled_in_parts():
    (bid,), asks = orders("BUY", (5, 3)), orders("SELL", (1, 1), (4, 1), (5, 9), (6, 1))
    met = [(match.sell.era, match.kw, match.price) for match in continuously((bid, *asks))]
    assert met == [("SELL-0", 1, 5), ("SELL-1", 1, 5), ("SELL-2", 1, 5)]
    met = [(match.sell.era, match.kw, match.price) for match in continuously((*asks, bid))]
    assert met == [("SELL-0", 1, 1), ("SELL-1", 1, 4), ("SELL-2", 1, 5)]


@quick
@given(PRICED)
def test_nothing_is_left_in_the_book_that_could_still_trade(problem):
    """Whatever order they come in: of those who are not bound to the other side, no bid left is above another's ask."""
    book = book_of(problem)
    matches = list(continuously(sorted((*book.buys, *book.sells), key=lambda order: order.arrival)))
    taken: dict[int, float] = {}
    side = {}
    for match in matches:
        for order in (match.buy, match.sell):
            taken[id(order)] = taken.get(id(order), 0.0) + match.kw
            assert side.setdefault(order.era, order.side) == order.side
    free = [
        o
        for o in (*book.buys, *book.sells)
        if side.get(o.era, o.side) == o.side and o.kw - taken.get(id(o), 0.0) > 1e-6
    ]
    bids, asks = ([o for o in free if o.side == one] for one in ("BUY", "SELL"))
    assert not any(bid.price > ask.price and bid.era != ask.era for bid in bids for ask in asks)
