"""Sharing an award out again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.aggregator import share_out, towards_zero
from agents.award import Award
from sim.curves import OfferCurve, aggregate
from sim.market.problem import Offer


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
    assert sum(share.cleared_kw for share in shares.values()) == pytest.approx(wanted, abs=1e-6)


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
