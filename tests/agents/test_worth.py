"""The worth of stored energy: exact, whatever the prices, and never an order that a store cannot follow."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.worth import (
    Slot,
    Worth,
    best_move,
    blended,
    offer_points,
    schedule,
    unserved_kwh,
    worth_after,
    worths_after,
)
from sim.curves import OfferCurve, Point

MISSING = 4.0
"""What a missing kWh costs in these tests: more than any price.  The solver keeps its rows to 1e-7 kWh, at that cost."""

tenths = st.integers(0, 20).map(lambda n: n / 10)
market = st.one_of(st.integers(1, 8).map(lambda n: n / 20), st.floats(0.02, 0.5))
signed = st.one_of(st.integers(-8, 8).map(lambda n: n / 20), st.floats(-0.5, 0.5))
levels = st.floats(0, 8).map(lambda level: round(level, 3))
shares = st.sampled_from([1.0, 0.9, 0.75])


@st.composite
def slots(draw: st.DrawFn, most: int = 6, prices: st.SearchStrategy[float] = market):
    """A store's slots, with buy and sell prices: range, flow and losses differ from slot to slot."""
    drawn: list[tuple[Slot, Point]] = []
    for _ in range(draw(st.integers(1, most))):
        low = draw(tenths)
        slot = Slot(
            draw(tenths) * 2,
            draw(tenths) * 2,
            low,
            low + draw(tenths) * 4,
            MISSING,
            draw(shares),
            draw(shares),
            draw(st.sampled_from([0.0, 0.03])),
            draw(st.sampled_from([0.0, 0.0, 0.7, -0.7])),
            draw(st.sampled_from([1.0, 1.0, 0.9])),
        )
        buy = draw(prices)
        drawn.append((slot, (buy, buy - draw(st.sampled_from([0.0, 0.05])))))
    return drawn


ends = st.one_of(
    st.floats(-0.2, 0.6).map(lambda worth: Worth.flat(0.0, 20.0, worth)),
    st.tuples(tenths, tenths).map(lambda two: Worth.target(two[0] * 2, MISSING, 0.0, 20.0, two[1] / 10)),
    st.just(Worth((0.0, 0.5, 1.25, 3.0, 20.0), (0.6, 0.3, 0.3, -0.1))),
)


def programme(level_kwh: float, end: Worth, planned: list[tuple[Slot, Point]], *, whole: bool = False) -> float:
    """Least cost of a store's plan by an independent solver, what is missing included, less the value at the end.

    Variables of each slot: drawn, given, missing, too much, and the level; then how much of each step of the end is reached.
    A slot's two signs share its time; ``whole``: they exclude each other.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    count, widths = len(planned), [b - a for a, b in pairwise(end.edges_kwh)]
    size = 6 * count + len(widths) + 2
    cost, lower, upper = np.zeros(size), np.zeros(size), np.full(size, np.inf)
    rows: list[np.ndarray] = []
    least: list[float] = []
    most: list[float] = []

    def row(entries: dict[int, float], low: float, high: float) -> None:
        rows.append(np.array([entries.get(i, 0.0) for i in range(size)]))
        least.append(low)
        most.append(high)

    for t, (slot, (buy, sell)) in enumerate(planned):
        drawn, given, lack, excess, level, sign = range(6 * t, 6 * t + 6)
        cost[[drawn, given, lack, excess]] = buy, slot.wear_per_kwh - sell, MISSING, MISSING
        upper[[drawn, given, sign]] = slot.charge_kwh, slot.discharge_kwh, 1.0
        lower[level], upper[level] = slot.low_kwh, slot.high_kwh
        before = {6 * t - 2: -slot.retention} if t else {}
        flow = slot.inflow_kwh + (0.0 if t else slot.retention * level_kwh)
        losses = {drawn: -slot.charge_efficiency, given: 1 / slot.discharge_efficiency, lack: -1.0, excess: 1.0}
        row({level: 1.0, **before, **losses}, flow, flow)
        row({drawn: 1.0, sign: -slot.charge_kwh}, -np.inf, 0.0)
        row({given: 1.0, sign: slot.discharge_kwh}, -np.inf, slot.discharge_kwh)
    # the value of the level at the end: its steps are filled from the lowest one, the outermost go on for ever
    first = 6 * count
    cost[first : size - 2] = [-worth for worth in end.worth_per_kwh]
    upper[first : size - 2] = widths
    cost[size - 2 :] = end.worth_per_kwh[0], -end.worth_per_kwh[-1]
    fill = dict.fromkeys(range(first, size - 2), 1.0)
    row({**fill, size - 2: -1.0, size - 1: 1.0, 6 * count - 2: -1.0}, -end.edges_kwh[0], -end.edges_kwh[0])
    integral = np.zeros(size)
    integral[5 : 6 * count : 6] = whole
    found = milp(
        cost,
        constraints=LinearConstraint(np.array(rows), least, most),
        bounds=Bounds(lower, upper),
        integrality=integral,
    )
    assert found.success, found.message
    return float(found.fun)


def total(level_kwh: float, end: Worth, planned: list[tuple[Slot, Point]]) -> float:
    """Cost of our own plan, counted as ``programme`` counts."""
    plan = schedule(level_kwh, end, [s for s, _ in planned], [p for _, p in planned])
    return plan.cost + MISSING * sum(map(abs, plan.missing_kwh)) - end.gain(end.edges_kwh[0], plan.level_kwh[-1])


@given(slots(), ends, levels)
@settings(max_examples=80)
def test_the_plan_costs_what_an_independent_solver_finds(
    planned: list[tuple[Slot, Point]], end: Worth, level_kwh: float
) -> None:
    assert total(level_kwh, end, planned) == pytest.approx(programme(level_kwh, end, planned), abs=2e-6)


IDLE = Slot(0.0, 0.0, -20.0, 40.0, MISSING)
"""A slot in which nothing happens: the worth at its end is that of beginning the next one at any level."""


def worth_before(end: Worth, planned: list[tuple[Slot, Point]]) -> Worth:
    """The worth at the beginning of a plan."""
    return worth_after(end, [IDLE, *(slot for slot, _ in planned)], [(0.0, 0.0), *(price for _, price in planned)])


@given(slots(), ends, levels, levels)
@settings(max_examples=80)
def test_the_worth_is_the_slope_of_the_solver_s_cost(
    planned: list[tuple[Slot, Point]], end: Worth, a: float, b: float
) -> None:
    saved = programme(a, end, planned) - programme(b, end, planned)
    assert worth_before(end, planned).gain(a, b) == pytest.approx(saved, abs=2e-6)


@given(slots(most=5, prices=signed), ends, levels, levels)
@settings(max_examples=80)
def test_at_negative_prices_the_worth_is_exact_for_a_store_that_may_switch_within_a_slot_and_the_plan_never_does_both(
    planned: list[tuple[Slot, Point]], end: Worth, level_kwh: float, other: float
) -> None:
    bound, honest = programme(level_kwh, end, planned), programme(level_kwh, end, planned, whole=True)
    ours = total(level_kwh, end, planned)
    assert bound - 2e-6 <= honest <= ours + 2e-6
    saved = bound - programme(other, end, planned)
    assert worth_before(end, planned).gain(level_kwh, other) == pytest.approx(saved, abs=2e-6)
    if len(planned) == 1:
        assert ours == pytest.approx(honest, abs=2e-6)


@given(slots(), ends, levels, st.lists(st.floats(0.001, 0.7), min_size=1, max_size=6))
@settings(max_examples=60)
def test_the_curve_answers_every_price_as_the_solver_does(
    planned: list[tuple[Slot, Point]], end: Worth, level_kwh: float, asked: list[float]
) -> None:
    (now, _), later = planned[0], planned[1:]
    after = worths_after(end, [s for s, _ in planned], [p for _, p in planned])[0]
    curve = OfferCurve.of(offer_points(level_kwh, now, after, hours=0.5))
    for price in asked:
        best = programme(level_kwh, end, [(now, (price, price)), *later])
        for power in (curve.low(price - 1e-9), curve.high(price + 1e-9)):
            assert cost_of(power * 0.5, price, level_kwh, end, planned) == pytest.approx(best, abs=1e-6)


def cost_of(given_kwh: float, price: float, level_kwh: float, end: Worth, planned: list[tuple[Slot, Point]]) -> float:
    """Cost where the first slot is told what to do and the solver has the rest."""
    now = planned[0][0]
    drawn, given = max(-given_kwh, 0.0), max(given_kwh, 0.0)
    forced = Slot(
        0.0,
        0.0,
        now.low_kwh,
        now.high_kwh,
        MISSING,
        inflow_kwh=now.inflow_kwh + drawn * now.charge_efficiency - given / now.discharge_efficiency,
        retention=now.retention,
    )
    own = price * drawn - (price - now.wear_per_kwh) * given
    return own + programme(level_kwh, end, [(forced, (0.0, 0.0)), *planned[1:]])


@given(slots(prices=signed), ends, st.floats(-1, 12))
def test_a_curve_rises_and_whatever_it_is_told_the_store_can_do(
    planned: list[tuple[Slot, Point]], end: Worth, level_kwh: float
) -> None:
    now = planned[0][0]
    after = worths_after(end, [s for s, _ in planned], [p for _, p in planned])[0]
    curve = OfferCurve.of(offer_points(level_kwh, now, after, hours=0.25))
    assert -now.charge_kwh - 1e-9 <= curve.min_kw * 0.25 <= 1e-9
    assert -1e-9 <= curve.max_kw * 0.25 <= now.discharge_kwh + 1e-9
    rest = now.retention * level_kwh + now.inflow_kwh
    fullest = rest - curve.min_kw * 0.25 * now.charge_efficiency
    emptiest = rest - curve.max_kw * 0.25 / now.discharge_efficiency
    assert fullest <= max(now.high_kwh, rest) + 1e-9
    assert emptiest >= min(now.low_kwh, rest) - 1e-9


@given(slots(prices=signed), ends, st.sampled_from([(), (0.0, 0.3, 0.0, 1.0, 0.2, 0.1)]))
def test_worths_fall(planned: list[tuple[Slot, Point]], end: Worth, leaving: tuple[float, ...]) -> None:
    chances = leaving[: len(planned)]
    for worth in worths_after(end, [s for s, _ in planned], [p for _, p in planned], chances):
        assert all(a >= b for a, b in pairwise(worth.worth_per_kwh))
        assert all(a <= b for a, b in pairwise(worth.edges_kwh))
        assert all(abs(w) <= MISSING for w in worth.worth_per_kwh)
        assert len(worth.edges_kwh) == len(worth.worth_per_kwh) + 1


STORE = Slot(1.0, 1.0, 0.0, 10.0, MISSING)


def test_a_slot_adds_two_steps_and_equal_prices_share_one() -> None:
    """Ninety-six slots of three prices, without losses: never more than three worths and that of the end."""
    prices = [((0.1, 0.2, 0.3)[t % 3],) * 2 for t in range(96)]
    assert len(worth_after(Worth.flat(0, 10, 0.15), [STORE] * 96, prices).worth_per_kwh) <= 4
    wide = replace(STORE, low_kwh=-1.0, high_kwh=11.0)
    one = worth_after(Worth.flat(0, 10, 0.15), [wide, STORE], [(0.0, 0.0), (0.3, 0.05)])
    assert one == Worth((-1.0, 0.0, 10.0, 11.0), (0.3, 0.15, 0.05))


def test_a_store_that_will_surely_leave_is_worth_what_it_holds_then() -> None:
    end = Worth.target(4.0, MISSING, 0.0, 10.0, 0.0)
    prices = [(0.1, 0.1)] * 3
    surely = worths_after(end, [STORE] * 3, prices, (1.0, 0.0, 0.0))[0]
    assert [surely.at(level) for level in (0.0, 3.9, 4.1)] == [MISSING, MISSING, 0.0]
    never = worths_after(end, [STORE] * 3, prices)[0]
    assert [never.at(level) for level in (1.0, 3.9, 4.1)] == [MISSING, 0.1, 0.1]


def test_the_chance_of_leaving_early_is_worth_its_share_of_what_would_be_missing() -> None:
    """One kWh short, 0.1 later; gone before that with probability 0.2: 0.8 * 0.1 + 0.2 * 4."""
    end = Worth.target(4.0, MISSING, 0.0, 10.0, 0.0)
    worth = worths_after(end, [STORE] * 2, [(0.1, 0.1)] * 2, (0.2, 0.0))[0]
    assert worth.at(3.5) == pytest.approx(0.8 * 0.1 + 0.2 * MISSING)


@given(st.lists(st.tuples(ends, st.floats(0.1, 1)), min_size=1, max_size=4), st.floats(-1, 21))
def test_a_blend_is_the_mean_at_every_level(parts: list[tuple[Worth, float]], level: float) -> None:
    weights = [weight / sum(w for _, w in parts) for _, weight in parts]
    worths = [worth for worth, _ in parts]
    expected = sum(worth.at(level) * weight for worth, weight in zip(worths, weights, strict=True))
    assert blended(worths, weights).at(level) == pytest.approx(expected)


def test_burning_energy_at_a_negative_price_is_not_a_plan() -> None:
    """A lossy store is paid 0.5 for each kWh: full, it can only rest; doing both at once would earn on its losses."""
    slot = Slot(5.0, 5.0, 0.0, 10.0, MISSING, 0.9, 0.9)
    end = Worth.flat(0.0, 10.0, 0.0)
    assert schedule(10.0, end, [slot], [(-0.5, -0.5)]).grid_kwh == (0.0,)
    assert best_move(8.0, slot, end, -0.5, -0.5) == 2.0
    two = schedule(10.0, end, [slot, slot], [(-0.01, -0.01), (-0.5, -0.5)])
    assert two.grid_kwh == pytest.approx((4.05, -5.0)), "making room for what will be paid for better is one"


def test_where_both_signs_would_pay_the_curve_steps_over_the_powers_between() -> None:
    """Worth -0.4 a kWh: at -0.4 giving costs 0.4 and saves 0.5, drawing brings 0.4 and costs 0.32."""
    slot = Slot(1.0, 1.0, 0.0, 10.0, MISSING, 0.8, 0.8)
    points = offer_points(5.0, slot, Worth.flat(0.0, 10.0, -0.4), 1.0)
    assert [power for _, power in points] == pytest.approx([-1.0, 0.0, 0.0, 1.0])
    (price,) = {price for price, _ in points}
    assert price == pytest.approx((-0.32 - 0.5) / 2)


def test_what_cannot_be_reached_is_a_number() -> None:
    """20 kWh in two hours at 7.4 kW: 5.2 are out of reach, and full power is bid up to what a missing kWh costs."""
    hours = [Slot(7.4, 0.0, 0.0, 20.0, MISSING), Slot(7.4, 0.0, 20.0, 20.0, MISSING)]
    assert unserved_kwh(0.0, hours) == pytest.approx(5.2)
    assert unserved_kwh(5.3, hours) == 0.0
    after = worths_after(Worth.flat(0.0, 20.0, 0.0), hours, [(0.1, 0.1)] * 2)[0]
    assert offer_points(0.0, hours[0], after, 1.0) == [(MISSING, -7.4), (MISSING, 0.0)]
    assert sum(schedule(0.0, Worth.flat(0.0, 20.0, 0.0), hours, [(0.1, 0.1)] * 2).missing_kwh) == pytest.approx(5.2)


@given(slots(), levels)
def test_what_is_out_of_reach_is_missing_in_every_plan(planned: list[tuple[Slot, Point]], level_kwh: float) -> None:
    """Charging only and at once misses least; a plan that thinks a missing kWh dearer than any price misses no more."""
    stretch = [slot for slot, _ in planned]
    plan = schedule(level_kwh, Worth.flat(0.0, 20.0, 0.0), stretch, [p for _, p in planned])
    short = sum(max(kwh, 0.0) for kwh in plan.missing_kwh)
    spilt = sum(max(-kwh, 0.0) for kwh in plan.missing_kwh)
    if not spilt:
        assert short >= unserved_kwh(level_kwh, stretch) - 1e-9


def values(worth: Worth, **expected: Any) -> None:
    assert {name: getattr(worth, name) for name in expected} == expected


def test_targets_outside_the_range_are_flat() -> None:
    values(Worth.target(0.0, MISSING, 0.0, 5.0, 0.1), worth_per_kwh=(0.1,))
    values(Worth.target(9.0, MISSING, 0.0, 5.0, 0.1), worth_per_kwh=(MISSING,))
    values(Worth.target(2.0, MISSING, 0.0, 5.0, 0.1), edges_kwh=(0.0, 2.0, 5.0))
