"""Devices of those who deal one to one: connectors, courses, and a car that plans."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st
from pytest import approx

from agents.diary import Entry, alarms
from agents.plan import Plan, When
from agents.twins.connector import ConnectorTwin
from agents.twins.course import CourseTwin
from agents.twins.ev import EVTwin, Session
from sim.clock import Interval
from tests.agents.deals import DAY

SWITCHES = st.lists(st.integers(0, 7199), min_size=1, max_size=12, unique=True).map(sorted)
INTERVALS = [Interval(k, k * 900, (k + 1) * 900) for k in range(8)]


@given(SWITCHES, st.floats(1, 60), st.floats(0.5, 80), st.floats(1, 60))
def test_energy_is_power_over_the_time_it_flows_whenever_that_is(
    switches: Sequence[int], kw: float, need_kwh: float, rating_kw: float
) -> None:
    """Switched on and off at any second, the intervals' energies are the integral; and no more than the car needs."""
    twin = ConnectorTwin(rating_kw)
    times = iter(enumerate(switches))
    upcoming = next(times, None)
    total_kwh = 0.0
    for interval in INTERVALS:
        while upcoming is not None and upcoming[1] < interval.end_s:
            number, at_s = upcoming
            if number == 0:
                twin.plug(need_kwh, kw)
            (twin.switch_off if number % 2 else twin.switch_on)(at_s)
            upcoming = next(times, None)
        total_kwh -= twin.advance(0.0, interval) * interval.hours
    on_s = sum(b - a for k, (a, b) in enumerate(pairwise([*switches, 7200])) if k % 2 == 0)
    assert total_kwh == approx(min(min(kw, rating_kw) * on_s / 3600, need_kwh), abs=1e-6)
    assert twin.taken_kwh(7200) == approx(total_kwh)


@given(st.floats(1, 60), st.floats(0.5, 10))
def test_a_car_is_full_at_the_second_at_which_it_has_what_it_needs(kw: float, need_kwh: float) -> None:
    twin = ConnectorTwin(60)
    twin.plug(need_kwh, kw)
    twin.switch_on(100)
    assume(need_kwh / kw < 1.9)
    twin.taken_kwh(7200)
    assert twin.full_s == 100 + math.ceil(need_kwh / kw * 3600)
    assert twin.kw == 0


def test_nothing_flows_into_a_connector_without_a_car_or_supply() -> None:
    twin = ConnectorTwin(60)
    twin.switch_on(0)
    assert twin.advance(0.0, INTERVALS[0]) == 0
    twin.plug(10, 60)
    twin.switch_on(900)
    assert twin.interrupt(INTERVALS[1]) == approx(-40.0)  # 10 kWh is all that it wanted
    assert twin.taken_kwh(1800) == 0
    assert twin.advance(0.0, INTERVALS[2]) == approx(-40.0)


@given(st.lists(st.floats(-10, 10), min_size=8, max_size=8), st.integers(0, 7), st.floats(0, 5))
def test_what_is_curtailed_is_not_injected_and_what_is_drawn_nobody_takes_away(
    course: list[float], index: int, kwh: float
) -> None:
    twin = CourseTwin(course)
    twin.curtail(index, kwh)
    given_kw = [twin.advance(0.0, interval) for interval in INTERVALS]
    for k, kw in enumerate(course):
        less = min(kwh * 4, max(kw, 0)) if k == index else 0
        assert given_kw[k] == approx(kw - less)


def charged(prices: Sequence[float], need_kwh: float, comes_s: int, leaves_s: int, when: When) -> tuple[float, float]:
    """What a car costs that charges by a plan, and what it gets."""
    twin = EVTwin(
        capacity_kwh=100,
        charge_kw=7.4,
        charge_efficiency=0.9,
        target_soc=1.0,
        sessions=(Session(comes_s, leaves_s, need_kwh),),
    )
    plan = Plan(twin, DAY, when)
    plan.learn(tuple(prices))
    cost = 0.0
    for interval in DAY.intervals():
        kwh = -twin.advance(plan.setpoint_kw(interval), interval) * interval.hours
        cost += kwh * prices[DAY.minute_of_day(interval.start_s)]
    return cost, twin.served_kwh(0)


HOURLY = st.lists(st.integers(1, 50), min_size=24, max_size=24).map(
    lambda p: [cents / 100 for cents in p for _ in range(60)]
)


@given(HOURLY, st.floats(1, 60), st.integers(0, 60), st.integers(8, 30))
def test_a_plan_serves_as_much_as_charging_at_once_and_costs_no_more(
    prices: list[float], need_kwh: float, comes: int, stays: int
) -> None:
    comes_s, leaves_s = comes * 900, (comes + stays) * 900
    at_once, cheapest = (charged(prices, need_kwh, comes_s, leaves_s, when) for when in ("at_once", "cheapest"))
    assert cheapest[1] == approx(at_once[1]) == approx(min(need_kwh, stays * 0.25 * 7.4 * 0.9))
    assert cheapest[0] <= at_once[0] + 1e-9


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 30))
def test_an_entry_of_a_diary_rings_when_it_is_due_and_never_in_the_past(at_s: int, now_s: int, ttl_s: int) -> None:
    rung = list(alarms((Entry("x", at_s=at_s), Entry("y", after_s=10, every_s=60, times=3)), now_s, 5, now_s + ttl_s))
    assert all(alarm.at_s >= now_s + ttl_s for alarm in rung)
    assert [a.at_s for a in rung if a.index == 6] == [max(now_s + 10 + 60 * k, now_s + ttl_s) for k in range(3)]
    assert [a.index for a in rung].count(5) == (1 if at_s >= now_s else 0)
