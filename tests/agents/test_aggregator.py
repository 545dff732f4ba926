"""Sharing an award out again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.aggregator import share_out, towards_zero, whole_watts
from agents.award import Award
from sim.curves import OfferCurve, aggregate
from sim.market.problem import Offer
from tests.strategies import curves as any_curve

BOOKS = st.lists(any_curve(), min_size=1, max_size=5)


def offer(era: str, *points: tuple[float, float], baseline_kw: float | None = None) -> Offer:
    return Offer(era, "tx", OfferCurve.of(points, who=era), baseline_kw)


CARS = [offer(f"ev-{k}", (0.2, -10.0), (0.2, 0.0), baseline_kw=-10.0) for k in range(2)]
ROOF = offer("pv", (0.0, 0.0), (0.0, 6.0), baseline_kw=6.0)


def test_a_plateau_is_shared_pro_rata_and_reported_as_an_offset() -> None:
    shares = share_out(CARS, Award(-8.0, 0.2))
    assert [share.cleared_kw for share in shares.values()] == pytest.approx([-4.0, -4.0])
    assert [share.offset_kw for share in shares.values()] == pytest.approx([6.0, 6.0])


@given(st.floats(0, 1), st.lists(st.floats(0.1, 20), min_size=1, max_size=8))
def test_members_awards_sum_to_the_award_on_any_plateau(where: float, ratings: list[float]) -> None:
    offers = [offer(f"ev-{k}", (0.2, -rating), (0.2, 0.0)) for k, rating in enumerate(ratings)]
    total = aggregate([o.curve for o in offers])
    wanted = total.low(0.2) * where
    shares = share_out(offers, Award(wanted, 0.2))
    assert sum(share.cleared_kw for share in shares.values()) == pytest.approx(wanted, abs=1e-3)


@given(BOOKS, st.floats(0, 1), st.floats(-0.5, 1.0))
def test_whatever_the_curves_the_awards_sum_to_the_award_to_a_watt_and_everybody_is_on_its_own(
    curves: list[OfferCurve], where: float, price: float
) -> None:
    offers = [Offer(f"x-{k}", "tx", curve) for k, curve in enumerate(curves)]
    low, high = aggregate(curves).span(price)
    wanted = low + where * (high - low)
    shares = share_out(offers, Award(wanted, price))
    assert abs(sum(share.cleared_kw for share in shares.values()) - wanted) <= 1e-3
    for one in offers:
        least, most = one.curve.span(price)
        assert least - 1e-3 <= shares[one.era].cleared_kw <= most + 1e-3
        assert shares[one.era].curtailed_kw == 0


@given(st.lists(st.tuples(st.floats(-9, 0), st.floats(0, 9), st.floats(0, 1)), min_size=1, max_size=9))
def test_who_is_indifferent_gets_whole_watts_and_all_together_miss_none(
    parts: list[tuple[float, float, float]],
) -> None:
    spans = [(low, high) for low, high, _ in parts]
    powers = [min(max(low + where * (high - low), low), high) for low, high, where in parts]
    watts = whole_watts(powers, spans)
    assert abs(sum(watts) - sum(powers)) <= 0.5e-3 + 1e-9
    for p, q, (low, high) in zip(powers, watts, spans, strict=True):
        assert abs(p - q) < 1e-3 + 1e-12
        assert p == q if p in (low, high) else q * 1000 == pytest.approx(round(q * 1000), abs=1e-6)


@given(BOOKS, st.floats(-1, 1), st.floats(0, 1))
def test_an_award_that_does_not_follow_from_its_price_is_shared_out_all_the_same(parts, price, where) -> None:
    """An auction pays a mean of prices, an oracle does what it knows: the sum is the award, wherever curves can reach it."""
    offers = [Offer(f"der-{k}", "tx", curve) for k, curve in enumerate(parts)]
    least, most = sum(c.min_kw for c in parts), sum(c.max_kw for c in parts)
    wanted = least + where * (most - least)
    shares = share_out(offers, Award(wanted, price))
    assert sum(share.cleared_kw for share in shares.values()) == pytest.approx(wanted, abs=1e-3)
    for part, share in zip(parts, shares.values(), strict=True):
        assert part.min_kw - 1e-3 <= share.cleared_kw <= part.max_kw + 1e-3


def test_watts_left_over_go_to_the_largest_remainders() -> None:
    assert whole_watts([-1.0004, -1.0002, -1.0004], [(-2.0, 0.0)] * 3) == [-1.0, -1.0, -1.001]
    assert whole_watts([0.0004], [(0.0, 1.0)]) == [0.0]
    assert whole_watts([], []) == []


def test_without_a_price_everybody_stays_at_its_baseline() -> None:
    shares = share_out([*CARS, ROOF], Award(-14.0, None))
    assert [share.cleared_kw for share in shares.values()] == [-10.0, -10.0, 6.0]


def test_without_a_price_a_cut_falls_on_the_side_that_is_too_large() -> None:
    shares = share_out([*CARS, ROOF], Award(-4.0, None))
    assert [share.cleared_kw for share in shares.values()] == pytest.approx([-5.0, -5.0, 6.0])


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=6), st.floats(0, 1))
def test_giving_way_never_changes_a_sign_and_reaches_what_is_reachable(powers: list[float], where: float) -> None:
    lowest, highest = sum(min(p, 0) for p in powers), sum(max(p, 0) for p in powers)
    wanted = lowest + where * (highest - lowest)
    given_kw = towards_zero(powers, wanted)
    assert sum(given_kw) == pytest.approx(wanted, abs=1e-6)
    assert all(q * p >= 0 and abs(q) <= abs(p) for p, q in zip(powers, given_kw, strict=True))
