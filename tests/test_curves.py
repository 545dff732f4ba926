"""Offer curves and their five operations: what each of them promises, and the worked examples of the design."""

from __future__ import annotations

import math
import pickle
import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import sim.curves
from sim.curves import (
    CurveStack,
    OfferCurve,
    Plateau,
    aggregate,
    clear,
    clip,
    disaggregate,
    price_between,
    shift,
)
from sim.errors import CurveError
from sim.rng import stream
from tests.strategies import COARSE_POWERS, FINE_PRICES, LIMITS_KW, POWERS, PRICES, curves, points

SOLAR = [(0.05, 0), (0.06, 2), (0.07, 5)]
EV = [(0.08, -11), (0.10, -5), (0.12, 0)]

books = st.lists(curves(), min_size=1, max_size=6)
many = settings(max_examples=200, deadline=None)


def approx(value: float) -> object:
    return pytest.approx(value, rel=1e-9, abs=1e-9)


# --- a curve ----------------------------------------------------------------------------------------------------------


def test_a_curve_is_linear_between_its_points_and_level_beyond_them():
    ev = OfferCurve.of(EV)
    assert [ev.low(p) for p in (0.0, 0.08, 0.09, 0.10, 0.11, 0.12, 1.0)] == approx([-11, -11, -8, -5, -2.5, 0, 0])
    assert (ev.min_kw, ev.max_kw) == (-11, 0)


@pytest.mark.parametrize("power", [0.1, 0.3, 0.7, 1.1, 2.3, 3.3])
def test_between_two_points_of_one_power_it_is_that_power_to_the_last_bit(power):
    level = OfferCurve.of([(0, 0), (0, power), (1, power), (1, 9)])
    assert {level.low(percent / 100) for percent in range(1, 100)} == {power}


def test_a_step_has_a_power_below_and_above_its_price():
    plug = OfferCurve.of([(0.12, -7), (0.12, 0)])
    assert (plug.low(0.12), plug.high(0.12)) == (-7, 0)
    assert (plug.low(0.11), plug.high(0.11)) == (-7, -7)
    assert (plug.low(0.13), plug.high(0.13)) == (0, 0)


def test_step_takes_a_withdrawal_up_to_its_price_and_an_injection_from_its_price_on():
    ev, solar = OfferCurve.of(EV, step=True), OfferCurve.of(SOLAR, step=True)
    assert ev.points() == ((0.08, -11), (0.08, -5), (0.10, -5), (0.10, 0))
    assert solar.points() == ((0.06, 0), (0.06, 2), (0.07, 2), (0.07, 5))


def test_step_of_a_battery_rests_between_its_prices():
    battery = OfferCurve.of([(0.05, -11), (0.10, 5)], step=True)
    assert battery.points() == ((0.05, -11), (0.05, 0), (0.10, 0), (0.10, 5))


@given(points(prices=st.integers(-5, 5).map(float)), st.data())
def test_step_is_the_power_closest_to_zero_between_two_points(drawn, data):
    curve = OfferCurve.of(drawn, step=True)
    gaps = [(a, b) for a, b in pairwise(drawn) if a[0] < b[0]]
    assume(gaps)
    (p0, q0), (p1, q1) = data.draw(st.sampled_from(gaps))
    price = p0 + (p1 - p0) * data.draw(st.sampled_from([0.25, 0.5, 0.75]))
    nearest = sorted((q0, 0.0, q1))[1]
    assert curve.low(price) == curve.high(price) == nearest


def test_a_falling_curve_is_refused_and_the_two_points_are_named():
    with pytest.raises(CurveError) as refusal:
        OfferCurve.of([(0.05, 0), (0.06, 5), (0.08, 10), (0.10, -5), (0.12, -11)], who="battery-1")
    assert refusal.value.source == "battery-1"
    assert [fault.where for fault in refusal.value.faults] == ["curve/3", "curve/4"]
    assert "falls from 10 kW at 0.08 to -5 kW at 0.1" in refusal.value.faults[0].what


def test_the_corrected_battery_curve_is_accepted():
    battery = OfferCurve.of([(0.05, -11), (0.06, -5), (0.08, 0), (0.10, 5), (0.12, 10)])
    assert battery.low(0.08) == 0


def test_every_fault_of_a_curve_is_told_at_once():
    with pytest.raises(CurveError) as refusal:
        OfferCurve.of([(0.2, 1), (0.1, 2), (math.nan, 3), (0.3, math.inf), (0.4, 5), (0.5, 4)])
    assert [fault.where for fault in refusal.value.faults] == ["curve/2", "curve/3", "curve/1", "curve/4", "curve/5"]


@pytest.mark.parametrize("bad", [[], [(math.inf, 1)], [(0, math.nan)], [(0, 2e9)]])
def test_a_curve_needs_points_that_are_finite(bad):
    with pytest.raises(CurveError):
        OfferCurve.of(bad)


def test_a_curve_cannot_be_changed():
    curve = OfferCurve.of(SOLAR)
    with pytest.raises(ValueError, match="read-only"):
        curve.powers[0] = 1.0


@given(curves())
def test_points_give_the_curve_back(curve):
    again = OfferCurve.of(curve.points())
    assert again == curve
    assert hash(again) == hash(curve)
    for price in [*curve.prices.tolist(), -9.0, 0.123, 9.0]:
        assert again.low(price) == approx(curve.low(price))
        assert again.high(price) == approx(curve.high(price))
    assert len(again.points()) <= len(curve.prices)


def test_points_are_as_few_as_can_be():
    curve = OfferCurve.of([(0, 1), (1, 1), (2, 2), (3, 3), (3, 3), (3, 4), (3, 5), (4, 5), (5, 5)])
    assert curve.points() == ((1, 1), (3, 3), (3, 5))
    assert OfferCurve.of([(0, 4), (2, 4), (3, 4)]).points() == ((0, 4),)


@given(curves())
def test_curves_survive_pickling(curve):
    assert pickle.loads(pickle.dumps(curve)) == curve


# --- aggregate --------------------------------------------------------------------------------------------------------


@many
@given(books, st.lists(PRICES, min_size=1, max_size=5))
def test_a_sum_is_the_sum_of_its_parts_at_every_price(book, prices):
    total = aggregate(book)
    for price in prices + [p for curve in book for p in curve.prices.tolist()]:
        assert total.low(price) == approx(math.fsum(curve.low(price) for curve in book))
        assert total.high(price) == approx(math.fsum(curve.high(price) for curve in book))


@given(books)
def test_a_sum_rises_like_every_curve(book):
    total = aggregate(book)
    assert (np.diff(total.prices) >= 0).all()
    assert (np.diff(total.powers) >= 0).all()


@given(books, st.randoms(use_true_random=False))
def test_a_sum_does_not_depend_on_the_order_of_its_parts(book, random_order):
    shuffled = random_order.sample(book, len(book))
    total, again = aggregate(book), aggregate(shuffled)
    assert total.prices.tolist() == again.prices.tolist()
    assert total.powers.tolist() == approx(again.powers.tolist())


@given(books, books)
def test_a_sum_of_sums_is_the_sum_of_all(some, others):
    nested, flat = aggregate([aggregate(some), aggregate(others)]), aggregate([*some, *others])
    for price in flat.prices.tolist():
        assert nested.low(price) == approx(flat.low(price))
        assert nested.high(price) == approx(flat.high(price))


def test_the_sum_of_nothing_is_nothing():
    assert aggregate([]) == OfferCurve.of([(0, 0)])


def test_a_level_stretch_stays_level_to_the_last_bit():
    """0.1 + 0.2 - 0.3 is not zero in binary; a level that is almost zero must still be recognised as one price range."""
    total = aggregate(
        [OfferCurve.of([(1, 0), (1, 0.1)]), OfferCurve.of([(1, 0.0), (1, 0.2)]), OfferCurve.of([(3, -0.3)])]
    )
    assert (clear(total).price_lo, clear(total).price_hi) == (1, math.inf)


def test_slopes_of_a_billion_leave_no_trace_once_they_are_passed():
    steep = [OfferCurve.of([(0.3, -1e4), (0.3 + 1e-11 * n, 1e4)]) for n in range(1, 40)]
    gentle = OfferCurve.of([(0.2, -1.0), (0.7, 1.0)])
    total = aggregate([*steep, gentle])
    assert total.high(0.6) - 39e4 == approx(gentle.high(0.6))


# --- clip and shift ---------------------------------------------------------------------------------------------------


@many
@given(curves(), LIMITS_KW, LIMITS_KW, st.lists(PRICES, max_size=4))
def test_a_clipped_curve_is_the_curve_kept_within_its_limits(curve, import_limit, export_limit, prices):
    clipped = clip(curve, import_limit, export_limit)
    assert -import_limit <= clipped.min_kw <= clipped.max_kw <= export_limit
    for price in prices + curve.prices.tolist() + clipped.prices.tolist():
        # at a kink the price is rounded, and a slope times that rounding is power
        slack = 1e-9 + 1e-14 * _steepest(curve)
        assert abs(clipped.low(price) - min(max(curve.low(price), -import_limit), export_limit)) <= slack
        assert abs(clipped.high(price) - min(max(curve.high(price), -import_limit), export_limit)) <= slack


def _steepest(curve: OfferCurve) -> float:
    width, rise = np.diff(curve.prices), np.diff(curve.powers)
    return float(np.max(rise[width > 0] / width[width > 0], initial=0.0))


def test_clipping_inserts_the_kinks():
    assert clip(OfferCurve.of([(0, -10), (1, 10)]), 4, 6).points() == ((0.3, -4), (0.8, 6))


def test_a_curve_that_wants_more_than_the_limit_at_any_price_gets_the_limit():
    assert clip(OfferCurve.of([(0.1, -20), (0.2, -12)]), 10, 10) == OfferCurve.of([(0, -10)])
    assert clip(OfferCurve.of([(0.1, 12), (0.2, 20)]), 10, 10) == OfferCurve.of([(0, 10)])


def test_limits_that_leave_nothing_are_refused():
    with pytest.raises(CurveError, match="no power is above 5 kW and below 3 kW"):
        clip(OfferCurve.of(SOLAR), -5, 3)


@given(curves(), FINE_PRICES, PRICES)
def test_shift_moves_what_was_offered_at_a_price_to_the_price_plus_the_fee(curve, by, price):
    assume(all(abs(price - p) > 1e-9 for p in curve.prices.tolist()))
    moved = shift(curve, by)
    slack = 1e-9 + 1e-11 * _steepest(curve)
    assert abs(moved.low(price + by) - curve.low(price)) <= slack
    assert (moved.min_kw, moved.max_kw) == (curve.min_kw, curve.max_kw)


def test_prices_that_differ_only_by_rounding_tie():
    """0.1 + 0.2 is not 0.3 in binary, yet whoever asks it shares with whoever asks 0.3."""
    asks = [shift(OfferCurve.of([(0.1, 0), (0.1, 6)]), 0.2), OfferCurve.of([(0.3, 0), (0.3, 6)])]
    assert disaggregate(asks, 6.0, 0.3).tolist() == [3, 3]


# --- clear ------------------------------------------------------------------------------------------------------------


@many
@given(books, COARSE_POWERS, st.floats(0, 1))
def test_the_price_range_is_where_the_target_lies_between_below_and_above(book, target, k):
    curve = aggregate(book)
    crossing = clear(curve, target, k)
    if not crossing.reachable:
        assert not curve.min_kw - 1e-9 <= target <= curve.max_kw + 1e-9
        assert crossing.price is None
        return
    for price in (crossing.price_lo, crossing.price_hi, crossing.price):
        if price is not None and math.isfinite(price):
            low, high = curve.span(price)
            assert low - 1e-8 <= target <= high + 1e-8
    for price in curve.prices.tolist():
        if curve.low(price) <= target <= curve.high(price):
            assert crossing.price_lo <= price <= crossing.price_hi


@given(FINE_PRICES, FINE_PRICES)
def test_the_ends_of_a_price_range_are_chosen_to_the_last_bit(lo, hi):
    """A price that misses the cap by a digit would not be the cap, and nobody would be cut at it."""
    assert (price_between(lo, hi, 0.0), price_between(lo, hi, 1.0)) == (lo, hi)


def test_a_price_that_is_not_unique_is_chosen_by_k():
    gap = aggregate([OfferCurve.of([(2, 0), (2, 5)]), OfferCurve.of([(8, -5), (8, 0)])])
    assert [clear(gap, 0.0, k).price for k in (0.0, 0.25, 0.5, 1.0)] == [2, 3.5, 5, 8]
    assert clear(gap).price == 5


def test_with_one_end_open_the_only_price_that_was_named_is_taken():
    must_serve = aggregate([OfferCurve.of([(0.05, 0), (0.05, 10)]), OfferCurve.of([(0, -10)])])
    crossing = clear(must_serve)
    assert (crossing.price_lo, crossing.price_hi, crossing.price) == (0.05, math.inf, 0.05)


def test_where_no_price_matters_none_is_invented():
    assert clear(aggregate([OfferCurve.of([(0, 5)]), OfferCurve.of([(0, -5)])])).price is None


def test_out_of_reach_tells_on_which_side():
    solar = OfferCurve.of(SOLAR)
    assert (clear(solar, 6.0).reachable, clear(solar, 6.0).price_lo) == (False, math.inf)
    assert (clear(solar, -1.0).reachable, clear(solar, -1.0).price_hi) == (False, -math.inf)


def test_the_founding_book_clears_at_a_twelfth():
    book = [OfferCurve.of(SOLAR), OfferCurve.of(SOLAR), OfferCurve.of(EV)]
    crossing = clear(aggregate(book))
    assert crossing.price == approx(1 / 12)
    assert disaggregate(book, 0.0, crossing.price).tolist() == approx([5, 5, -10])


# --- disaggregate -----------------------------------------------------------------------------------------------------


@many
@given(books, st.floats(0, 1), st.data())
def test_parts_sum_to_the_total_and_stay_on_their_curves(book, share, data):
    price = data.draw(st.sampled_from([p for curve in book for p in curve.prices.tolist()]))
    spans = [curve.span(price) for curve in book]
    low, high = math.fsum(s[0] for s in spans), math.fsum(s[1] for s in spans)
    target = low + share * (high - low)
    parts = disaggregate(book, target, price).tolist()
    assert math.fsum(parts) == pytest.approx(target, rel=1e-9, abs=1e-9)
    for part, (least, most) in zip(parts, spans, strict=True):
        assert least - 1e-9 <= part <= most + 1e-9


@given(books, st.floats(-1, 1), PRICES)
def test_parts_sum_to_any_total_that_the_parts_can_give(book, share, price):
    total = aggregate(book)
    target = share * (total.max_kw if share > 0 else -total.min_kw)
    assume(total.min_kw <= target <= total.max_kw)
    parts = disaggregate(book, target, price)
    assert math.fsum(parts) == approx(target)
    for part, curve in zip(parts.tolist(), book, strict=True):
        assert curve.min_kw - 1e-9 <= part <= curve.max_kw + 1e-9


@given(books, st.floats(0, 1), COARSE_POWERS, st.randoms(use_true_random=False))
def test_parts_do_not_depend_on_the_order_of_the_curves(book, share, price, random_order):
    low, high = (sum(side) for side in zip(*(curve.span(price) for curve in book), strict=True))
    target = low + share * (high - low)
    order = random_order.sample(range(len(book)), len(book))
    shuffled = disaggregate([book[i] for i in order], target, price)
    assert shuffled.tolist() == approx(disaggregate(book, target, price)[order].tolist())


def test_equals_share_equally():
    plugs = [OfferCurve.of([(0.12, -7), (0.12, 0)])] * 10
    assert disaggregate(plugs, -40.0, 0.12).tolist() == approx([-4.0] * 10)


def test_unequals_share_pro_rata_to_what_each_could_take():
    plugs = [OfferCurve.of([(0.12, -p), (0.12, 0)]) for p in (11, 7, 2)]
    assert disaggregate(plugs, -10.0, 0.12).tolist() == approx([-5.5, -3.5, -1.0])


def test_both_sides_flat_at_one_price_trade_all_they_can():
    buy, sell = OfferCurve.of([(5, -10), (5, 0)]), OfferCurve.of([(5, 0), (5, 6)])
    assert disaggregate([buy, sell], 0.0, 5.0).tolist() == approx([-6, 6])


def test_who_could_go_both_ways_takes_only_what_the_others_leave():
    """A battery that is indifferent is no reason for the load beside it to go without."""
    battery, load = OfferCurve.of([(5, -1000), (5, 1000)]), OfferCurve.of([(5, -50), (5, 0)])
    assert disaggregate([battery, load], 0.0, 5.0).tolist() == [50, -50]


def test_a_last_resort_trades_only_what_the_others_leave():
    low, high = np.array([0.0, 0.0]), np.array([1000.0, 5.0])
    first = Plateau.of(low, high, np.array([True, False]))
    assert first.split(np.zeros(2, np.intp), np.array([7.0])).tolist() == [2, 5]


def test_a_huge_range_costs_its_neighbour_no_digits():
    grid, load = OfferCurve.of([(0.3, 0), (0.3, 1e9)]), OfferCurve.of([(0.3, -0.123456789)])
    assert disaggregate([grid, load], 0.0, 0.3).sum() == pytest.approx(0.0, abs=1e-12)


def test_less_than_the_curves_offer_at_that_price_is_cut_pro_rata():
    solar = [OfferCurve.of([(0.05, 0), (0.05, p)]) for p in (6, 3)]
    assert disaggregate(solar, 3.0, 0.10).tolist() == approx([2, 1])


def test_more_than_the_parts_give_at_any_price_is_refused():
    with pytest.raises(CurveError, match=r"11 kW is outside \[0, 10\] kW"):
        disaggregate([OfferCurve.of(SOLAR), OfferCurve.of(SOLAR)], 11.0, 0.1)


# --- many curves at once ----------------------------------------------------------------------------------------------


@given(books, st.data())
def test_a_stack_answers_what_each_of_its_curves_answers(book, data):
    stack = CurveStack(book)
    prices = data.draw(
        st.lists(st.one_of(PRICES, st.just(math.inf), st.just(-math.inf)), min_size=len(book), max_size=len(book))
    )
    at = np.array(prices)
    assert stack.low(at).tolist() == [curve.low(p) for curve, p in zip(book, prices, strict=True)]
    assert stack.high(at).tolist() == [curve.high(p) for curve, p in zip(book, prices, strict=True)]
    assert stack.span(at)[0].tolist() == [curve.span(p)[0] for curve, p in zip(book, prices, strict=True)]
    assert stack.low(0.3).tolist() == [curve.low(0.3) for curve in book]


def test_a_stack_of_nothing_answers_nothing():
    stack = CurveStack([])
    assert stack.low(0.1).tolist() == stack.welfare(np.zeros(0)).tolist() == []


@many
@given(books, st.lists(st.floats(0, 1), min_size=6, max_size=6))
def test_welfare_is_the_area_under_the_inverse_curve(book, shares):
    stack = CurveStack(book)
    powers = [c.min_kw + s * (c.max_kw - c.min_kw) for c, s in zip(book, shares, strict=False)]
    expected = [_welfare(curve, power) for curve, power in zip(book, powers, strict=True)]
    assert stack.welfare(np.array(powers)).tolist() == approx(expected)


def _welfare(curve: OfferCurve, power: float) -> float:
    """Corner by corner, in plain arithmetic."""
    near = min(max(0.0, curve.min_kw), curve.max_kw)
    area = 0.0
    for (p0, q0), (p1, q1) in pairwise(zip(curve.prices.tolist(), curve.powers.tolist(), strict=True)):
        a, b = (min(max(end, q0), q1) for end in (min(near, power), max(near, power)))
        if b > a:
            pa, pb = (p0 + (p1 - p0) * (end - q0) / (q1 - q0) for end in (a, b))
            area += (b - a) * (pa + pb) / 2
    return area if power < near else -area


@given(curves(), POWERS)
def test_welfare_beyond_a_curve_is_that_of_its_end(curve, power):
    assume(not curve.min_kw <= power <= curve.max_kw)
    end = curve.min_kw if power < curve.min_kw else curve.max_kw
    stack = CurveStack([curve])
    assert stack.welfare(np.array([power])) == stack.welfare(np.array([end]))


def test_a_thousand_curves_add_up_exactly():
    draw = random.Random(7)
    book = []
    for _ in range(1000):
        prices = sorted(draw.uniform(0, 1) for _ in range(5))
        powers = sorted(draw.uniform(-10, 10) for _ in range(5))
        book.append(OfferCurve.of(list(zip(prices, powers, strict=True))))
    total = aggregate(book)
    assert len(total.prices) == 5000
    for price in (0.1, 0.37, 0.5, 0.93):
        assert total.low(price) == pytest.approx(math.fsum(curve.low(price) for curve in book), abs=1e-10)
    price = clear(total).price
    assert price is not None
    assert abs(disaggregate(book, 0.0, price).sum()) < 1e-10


# --- very many curves -------------------------------------------------------------------------------------------------


def a_stack(count: int, shape: str) -> CurveStack:
    """Curves of five corners laid end to end, of one of the shapes that the crossing is hard to guess for."""
    draw = stream(7, "stack", shape)
    prices, powers = np.sort(draw.uniform(0, 0.5, (count, 5)), axis=1), np.sort(draw.uniform(-5, 5, (count, 5)), axis=1)
    if shape == "alternating":
        powers += np.where(np.arange(count) % 2, 6.0, -6.0)[:, None]
    elif shape == "sorted":
        powers = powers[np.argsort(powers[:, 0])]
    elif shape == "ties":
        prices, powers = np.round(prices, 2), np.round(powers)
    elif shape == "one price":
        prices = np.full_like(prices, 0.3)
    elif shape == "a giant":
        powers[count // 2] *= 1e6
    elif shape == "a gap":
        prices = np.where(powers[:, 2:3] < 0, 0.4 + prices / 10, prices / 10 - 0.1)
        powers = np.where(powers[:, 2:3] < 0, np.minimum(powers, 0), np.maximum(powers, 0))
    return CurveStack.of_arrays(prices.round(12).ravel(), powers.ravel(), np.arange(0, 5 * count, 5))


SHAPES = ("even", "alternating", "sorted", "ties", "one price", "a giant", "a gap")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9, 1.0, 1.1])
def test_the_crossing_of_very_many_is_that_of_their_sum(shape, share):
    stack = a_stack(4000, shape)
    total = stack.total()
    target = total.min_kw + share * (total.max_kw - total.min_kw)
    expected, found = clear(total, target), stack.crossing(target)
    assert found.reachable == expected.reachable
    for end in ("price_lo", "price_hi", "price"):
        assert getattr(found, end) == (None if getattr(expected, end) is None else approx(getattr(expected, end)))


@pytest.mark.parametrize("shape", SHAPES)
def test_very_many_share_a_balance_as_their_sum_says(shape):
    stack = a_stack(4000, shape)
    price = stack.crossing().price
    assert price is not None
    parts = disaggregate(stack, 0.0, price)
    assert abs(parts.sum()) < 1e-6
    low, high = stack.span(price)
    assert ((parts >= low - 1e-9) & (parts <= high + 1e-9)).all()


def test_most_of_very_many_curves_are_added_up_as_one_line(monkeypatch):
    """Exact counts in the place of a stopwatch: of 500,000 corners not a tenth is ever put in order."""
    ordered = []
    original = sim.curves._sum
    monkeypatch.setattr(sim.curves, "_sum", lambda *laid: ordered.append(len(laid[0])) or original(*laid))
    a_stack(100_000, "even").crossing()
    assert sum(ordered) < 50_000


def test_laid_end_to_end_or_one_by_one_a_stack_is_the_same():
    book = [OfferCurve.of(SOLAR), OfferCurve.of(EV)]
    laid = CurveStack.of_arrays(
        np.array([0.05, 0.06, 0.07, 0.08, 0.10, 0.12]), np.array([0.0, 2, 5, -11, -5, 0]), np.array([0, 3])
    )
    assert laid.total() == aggregate(book)
    assert laid.low(0.06).tolist() == CurveStack(book).low(0.06).tolist() == [2, -11]


@given(books, books, st.data())
def test_stacks_and_curves_add_up_alike(some, others, data):
    assert aggregate([CurveStack(some), *others]) == aggregate([*some, *others])
    assert aggregate([CurveStack([]), CurveStack(some)]) == aggregate(some)
    group = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(some), max_size=len(some))), dtype=np.intp)
    for number, part in enumerate(CurveStack(some).parted(group, 4)):
        here = [curve for curve, its in zip(some, group.tolist(), strict=True) if its == number]
        assert part.total() == aggregate(here)
        assert part.high(0.3).tolist() == [curve.high(0.3) for curve in here]
