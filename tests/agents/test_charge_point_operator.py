"""A charge point operator: margins, connectors, and a site that must not draw too much."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import mesa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agents.award import Award
from agents.charge_point_operator import ChargePointOperator, with_margin
from agents.resource import Place, Seat
from sim.curves import OfferCurve, aggregate
from sim.market.problem import Offer
from sim.participant import Ids
from tests.strategies import COARSE_CURVES, curves
from tests.test_clock_and_rng import calendar

PLACE = Place(host="market", catalogue="catalogue", meter="x", node="tx", currency="EUR")
MARGIN = 0.05
prices = st.integers(-5, 12).map(lambda tenths: tenths / 10)
margins = st.sampled_from([0.0, 0.05, 0.1, 0.25])


class Nobody:
    """Stands for what an operator is made with and these tests do not use."""

    on_discover = on_init = on_confirm = on_update = on_deadline = None


def operator(
    margin: float = MARGIN, limit_kw: float = math.inf, connectors: tuple[float, ...] = ()
) -> ChargePointOperator:
    nobody: Any = lambda _: Nobody()  # noqa: E731
    return ChargePointOperator(
        Seat(mesa.Model(rng=1), "site", Ids(1, "site"), PLACE, calendar()),
        membership=nobody,
        accounts=nobody,
        utility="utility",
        capacity_kw=(-100.0, 100.0),
        margin_per_kwh=margin,
        site_limit_kw=limit_kw,
        connectors_kw=connectors,
    )


def car(number: int, price: float = 0.3, kw: float = 11.0) -> Offer:
    return Offer(f"car-{number}", "tx", OfferCurve.of([(price, -kw), (price, 0.0)]), -kw)


def urgent(number: int, kw: float = 11.0) -> Offer:
    return Offer(f"car-{number}", "tx", OfferCurve.of([(0.0, -kw)]), -kw)


def test_a_car_that_pays_30_at_its_charge_point_is_worth_25_upstream() -> None:
    curve = operator().upstream([car(1)]).curve
    assert (curve.low(0.25 - 1e-9), curve.high(0.25 + 1e-9)) == (-11.0, 0.0)


def test_what_a_car_gives_costs_more_upstream_and_between_the_two_it_rests() -> None:
    both = OfferCurve.of([(0.2, -5.0), (0.2, 5.0)])
    curve = with_margin(both, MARGIN)
    assert curve.points() == ((0.15, -5.0), (0.15, 0.0), (0.25, 0.0), (0.25, 5.0))


@given(COARSE_CURVES, margins, prices)
def test_a_margin_keeps_every_power_and_moves_its_price(curve: OfferCurve, margin: float, tenth: float) -> None:
    moved, price = with_margin(curve, margin), tenth + 0.025  # between corners
    assert (moved.min_kw, moved.max_kw) == (curve.min_kw, curve.max_kw)
    assert min(moved.low(price), 0.0) == pytest.approx(min(curve.low(price + margin), 0.0), abs=1e-9)
    assert max(moved.high(price), 0.0) == pytest.approx(max(curve.high(price - margin), 0.0), abs=1e-9)


@given(
    st.lists(curves(), min_size=1, max_size=5), margins, st.sampled_from([1.0, 5.0, math.inf]), prices, st.floats(0, 1)
)
def test_the_margin_is_recovered_the_site_is_kept_and_the_cars_sum_to_the_award(
    offered: list[OfferCurve], margin: float, limit_kw: float, price: float, where: float
) -> None:
    agent = operator(margin, limit_kw)
    parts = [Offer(f"car-{k}", "tx", curve) for k, curve in enumerate(offered)]
    upstream = agent.upstream(parts)
    low, high = upstream.curve.span(price)
    assert -limit_kw <= low <= high + 1e-9 <= limit_kw + 1e-9
    cleared = low + where * (high - low)
    shares = agent.shares(parts, Award(cleared, price))
    assert sum(share.cleared_kw for share in shares.values()) == pytest.approx(cleared, abs=1e-3)
    received = sum(-share.cleared_kw * (share.price_per_kwh or 0.0) for share in shares.values())
    traded = sum(abs(share.cleared_kw) for share in shares.values())
    assert received >= -cleared * price + margin * traded - 1e-3 * (1 + abs(price)) * len(parts)


@given(st.lists(curves(), min_size=1, max_size=5), margins, prices, st.floats(0, 1))
def test_without_a_limit_every_car_is_on_its_own_curve_at_the_price_it_pays(
    offered: list[OfferCurve], margin: float, price: float, where: float
) -> None:
    agent = operator(margin)
    parts = [Offer(f"car-{k}", "tx", curve) for k, curve in enumerate(offered)]
    low, high = agent.upstream(parts).curve.span(price)
    shares = agent.shares(parts, Award(low + where * (high - low), price))
    for part in parts:
        share = shares[part.era]
        assert share.price_per_kwh is not None
        least, most = part.curve.span(share.price_per_kwh)
        slack = 1e-3 if abs(share.cleared_kw) > 1e-6 else math.inf  # at rest either price may be shown
        assert least - slack <= share.cleared_kw <= most + slack


def test_where_the_site_is_full_the_price_at_the_charge_point_rises_until_it_fits() -> None:
    agent = operator(limit_kw=11.0)
    parts = [car(1, 0.3), car(2, 0.4)]
    assert agent.upstream(parts).curve.min_kw == -11.0
    shares = agent.shares(parts, Award(-11.0, 0.1))
    assert [share.cleared_kw for share in shares.values()] == [0.0, -11.0]
    assert shares["car-2"].price_per_kwh == pytest.approx(0.3)
    assert all(share.curtailed_kw == 0 for share in shares.values())


def test_what_has_to_be_charged_at_any_price_is_cut_pro_rata_at_a_full_site() -> None:
    agent = operator(limit_kw=11.0)
    parts = [urgent(1), urgent(2), car(3)]
    shares = agent.shares(parts, Award(-11.0, 0.1))
    assert [share.cleared_kw for share in shares.values()] == pytest.approx([-5.5, -5.5, 0.0])
    assert [share.curtailed_kw for share in shares.values()] == pytest.approx([5.5, 5.5, 0.0])


def test_cars_keep_their_connector_and_those_beyond_wait_until_one_is_free() -> None:
    agent = operator(connectors=(11.0, 3.7))
    seated = agent.seated((car(1), car(2), car(3)))
    assert [part.curve.min_kw for part in seated] == [-11.0, -3.7, 0.0]
    assert [part.uncoordinated_kw for part in seated] == [-11.0, -3.7, 0.0]
    later = agent.seated((car(3), car(2)))
    assert [part.curve.min_kw for part in later] == [-11.0, -3.7]
    assert [part.curve.min_kw for part in agent.seated((car(1), car(2), car(3)))] == [0.0, -3.7, -11.0]


def test_a_car_is_given_no_connector_that_cannot_carry_its_least_power() -> None:
    agent = operator(connectors=(3.7, 11.0))
    slow, choosy, late = car(1), replace(car(2), min_run_kw=4.1), replace(car(3), min_run_kw=4.1)
    assert [part.curve.min_kw for part in agent.seated((choosy, late, slow))] == [-11.0, 0.0, -3.7]


@given(st.lists(st.floats(1, 22), min_size=1, max_size=4), st.integers(1, 6))
def test_no_connector_carries_more_than_it_may(ratings: list[float], cars: int) -> None:
    seated = operator(connectors=tuple(ratings)).seated(tuple(car(k, kw=22.0) for k in range(cars)))
    assert -aggregate([part.curve for part in seated]).min_kw <= sum(ratings) + 1e-9
    assert sum(part.curve.min_kw < 0 for part in seated) == min(cars, len(ratings))


@given(st.lists(curves(), min_size=1, max_size=4), st.floats(-20, 20))
def test_without_a_price_each_car_does_what_it_would_have_done(offered: list[OfferCurve], total: float) -> None:
    parts = [Offer(f"car-{k}", "tx", curve) for k, curve in enumerate(offered)]
    assume(parts)
    shares = operator().shares(parts, Award(total, None))
    assert all(share.price_per_kwh is None for share in shares.values())


def test_the_site_limit_is_what_it_asks_the_utility_for() -> None:
    assert operator(limit_kw=30.0).capability().points() == ((0.0, -30.0), (0.0, 30.0))
