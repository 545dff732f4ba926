"""Curves up through grid nodes and awards down again: as good as a market that sees all of them."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agents.aggregator import share_out
from agents.award import Award
from agents.subtree import at_place, pass_on
from sim.curves import OfferCurve, aggregate, clear
from sim.market.policies import POLICIES
from sim.market.problem import Limit, Offer, Problem
from tests.strategies import curves, problems, trees

BOUNDS = (-1.0, 2.0)
PRICES = st.floats(-0.5, 1.0).map(lambda price: round(price, 3))


def nodes(tree: tuple[Limit, ...]) -> dict[str, Limit]:
    return {limit.node: limit for limit in tree if limit.parent is not None}


@given(problems(slack=st.just(False)))
def test_nodes_between_are_kept_and_nothing_better_could_have_been_done(problem: Problem) -> None:
    """The same welfare as the locational market has of the same offers, every limit kept, and every price its member's own."""
    problem = Problem(problem.offers, problem.limits, 0.5, *BOUNDS)
    limits, flat = nodes(problem.limits), POLICIES["locational"].clear(problem)
    total = aggregate([offer.curve for offer in at_place(problem.offers, "root", limits)] or [OfferCurve.of([(0, 0)])])
    crossing = clear(total)
    assume(crossing.price is not None and problem.offers)
    assert crossing.price is not None
    passed = pass_on(problem.offers, "root", limits, Award(0.0, crossing.price), share_out, BOUNDS)
    kw = problem.in_order({era: award.cleared_kw for era, award in passed.awards.items()})
    power_kw = problem.tree.power_kw(kw)
    assert (power_kw <= problem.tree.upper_kw + 0.01).all()
    assert (power_kw >= problem.tree.lower_kw - 0.01).all()
    assert power_kw[0] == pytest.approx(0, abs=0.01)
    assert problem.welfare(kw) == pytest.approx(flat.welfare, abs=0.05 + 1e-4 * abs(flat.welfare))
    paid = sum(award.cleared_kw * (award.price_per_kwh or 0.0) for award in passed.awards.values())
    assert sum(passed.rent_per_h.values()) == pytest.approx(-paid, abs=0.05)


@given(st.lists(st.tuples(st.integers(0, 6), curves()), min_size=1, max_size=8), trees(st.just(1e6)), PRICES)
def test_nodes_that_carry_everything_change_nothing(
    drawn: list[tuple[int, OfferCurve]], tree: tuple[Limit, ...], price: float
) -> None:
    names = [limit.node for limit in tree]
    offers = [Offer(f"x-{k}", names[at % len(names)], curve) for k, (at, curve) in enumerate(drawn)]
    total = aggregate([offer.curve for offer in offers])
    award = Award(total.low(price), price)
    passed = pass_on(offers, "root", nodes(tree), award, share_out, BOUNDS)
    flat = share_out(offers, award)
    assert {era: one.price_per_kwh for era, one in passed.awards.items()} == dict.fromkeys(flat, price)
    assert {era: one.cleared_kw for era, one in passed.awards.items()} == pytest.approx(
        {era: one.cleared_kw for era, one in flat.items()}, abs=2e-3
    )
    assert not any(passed.rent_per_h.values())


@given(st.lists(st.lists(st.lists(curves(), min_size=1, max_size=3), min_size=1, max_size=3), min_size=1, max_size=3), PRICES, st.floats(0, 1))  # fmt: skip
def test_levels_of_sums_share_out_what_one_sum_does(
    cities: list[list[list[OfferCurve]]], price: float, where: float
) -> None:
    """Three levels and none: everybody on its own curve, members sum to their level, and the same value in all."""
    every = [curve for city in cities for street in city for curve in street]
    low, high = aggregate(every).span(price)
    award = Award(low + where * (high - low), price)
    shared: dict[str, Award] = {}
    sums = [[aggregate(street) for street in city] for city in cities]
    upper = share_out([Offer(f"{c}", "tx", aggregate(city)) for c, city in enumerate(sums)], award)
    for c, city in enumerate(cities):
        middle = share_out([Offer(f"{c}/{s}", "tx", total) for s, total in enumerate(sums[c])], upper[f"{c}"])
        assert sum(one.cleared_kw for one in middle.values()) == pytest.approx(upper[f"{c}"].cleared_kw, abs=1e-3)
        for s, street in enumerate(city):
            name = f"{c}/{s}"
            lower = share_out([Offer(f"{name}/{k}", "tx", curve) for k, curve in enumerate(street)], middle[name])
            assert sum(one.cleared_kw for one in lower.values()) == pytest.approx(middle[name].cleared_kw, abs=1e-3)
            shared |= lower
    assert sum(one.cleared_kw for one in shared.values()) == pytest.approx(award.cleared_kw, abs=0.02)
    for curve, one in zip(every, shared.values(), strict=True):
        assert curve.low(price) - 1e-3 <= one.cleared_kw <= curve.high(price) + 1e-3
        assert one.price_per_kwh == price


def test_a_node_that_binds_moves_the_price_inside_until_no_more_is_wanted() -> None:
    roofs = [Offer(f"roof-{k}", "tx", OfferCurve.of([(0.05, 0), (0.06, 2), (0.07, 5)])) for k in range(20)]
    limits = {"tx": Limit("tx", "grid", 100.0, 50.0)}
    assert at_place(roofs, "grid", limits)[0].curve.max_kw == 50
    passed = pass_on(roofs, "grid", limits, Award(50.0, 0.08), share_out, BOUNDS)
    assert {round(award.cleared_kw, 3) for award in passed.awards.values()} == {2.5}
    assert {round(award.price_per_kwh or 0, 6) for award in passed.awards.values()} == {0.061667}
    assert sum(passed.rent_per_h.values()) == pytest.approx(50 * (0.08 - 0.0616667), rel=1e-5)


def test_a_node_that_does_not_bind_has_no_price_of_its_own_even_where_the_award_does_not_follow_from_the_price() -> (
    None
):
    roofs = [Offer(f"roof-{k}", "tx", OfferCurve.of([(0.05, 0), (0.06, 2), (0.07, 5)])) for k in range(2)]
    passed = pass_on(roofs, "grid", {"tx": Limit("tx", "grid", 100.0, 50.0)}, Award(8.0, 0.08), share_out, BOUNDS)
    assert [award.cleared_kw for award in passed.awards.values()] == pytest.approx([4, 4])
    assert {award.price_per_kwh for award in passed.awards.values()} == {0.08}
    assert not any(passed.rent_per_h.values())


def test_without_a_price_everybody_gives_way_node_by_node() -> None:
    cars = [Offer(f"car-{k}", "tx", OfferCurve.of([(0.2, -10), (0.2, 0)]), baseline_kw=-10.0) for k in range(2)]
    limits = {"tx": Limit("tx", "grid", 8.0, 8.0)}
    assert at_place(cars, "grid", limits)[0].baseline_kw == -8
    passed = pass_on(cars, "grid", limits, Award(-8.0, None), share_out, BOUNDS)
    assert [award.cleared_kw for award in passed.awards.values()] == pytest.approx([-4, -4])
    assert not any(passed.rent_per_h.values())
