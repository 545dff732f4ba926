"""Baselines: what they are, and that nobody gains by drawing more before an event."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agents.baseline import Day, Method, baseline_kw, reduction_payment
from sim.errors import ScenarioError

HOURS = 0.25
powers = st.integers(0, 40).map(lambda quarters: quarters / 4) | st.floats(0, 10)
PLAIN = Method(x=2, y=3, cap=0.0)


def rows(count: int) -> st.SearchStrategy[tuple[float, ...]]:
    return st.lists(powers, min_size=count, max_size=count).map(tuple)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Day], tuple[float, ...], Method]:
    """Earlier days, the hours before an event, and a method."""
    event, before = draw(st.integers(1, 4)), draw(st.integers(0, 5))
    days = draw(st.lists(st.builds(Day, rows(before), rows(event)), min_size=1, max_size=6))
    y = draw(st.integers(1, 5))
    x = draw(st.integers(1, y))
    cap = draw(st.sampled_from([0.0, 0.2, 1.0])) if x > 1 else 0.0
    return days, draw(rows(before)), Method(x, y, cap)


@st.composite
def raised(draw: st.DrawFn, row: tuple[float, ...]) -> tuple[tuple[float, ...], float]:
    """The same load with something on top, and how much that is in all."""
    more = draw(rows(len(row)))
    on = draw(st.sampled_from([0.0, 0.01, 1.0]))
    return tuple(a + on * b for a, b in zip(row, more, strict=True)), on * sum(more)


def test_the_x_days_with_most_energy_count() -> None:
    days = [Day((), (1.0, 1.0)), Day((), (4.0, 2.0)), Day((), (2.0, 4.0))]
    assert baseline_kw(days, (), PLAIN) == (3.0, 3.0)


def test_only_the_last_y_days_are_looked_at() -> None:
    days = [Day((), (100.0,)), Day((), (1.0,)), Day((), (2.0,)), Day((), (3.0,))]
    assert baseline_kw(days, (), PLAIN) == (2.5,)


def test_a_day_that_began_higher_than_usual_lifts_the_baseline_up_to_its_cap() -> None:
    days = [Day((2.0, 2.0), (4.0,)), Day((2.0, 2.0), (6.0,))]
    method = Method(x=2, y=2, cap=0.2)
    assert baseline_kw(days, (2.0, 2.0), method) == (5.0,)
    assert baseline_kw(days, (2.5, 2.5), method) == pytest.approx((5.5,))
    assert baseline_kw(days, (9.0, 9.0), method) == pytest.approx((6.0,))
    assert baseline_kw(days, (0.0, 0.0), method) == pytest.approx((4.0,))


def test_a_single_day_is_not_adjusted_and_none_is_no_baseline() -> None:
    assert baseline_kw([Day((1.0,), (4.0,))], (9.0,), Method(x=4, y=5, cap=0.2)) == (4.0,)
    with pytest.raises(ValueError, match="one earlier day"):
        baseline_kw([], (), PLAIN)


def test_a_method_that_could_be_gamed_cannot_be_registered() -> None:
    for x, y, cap in ((0, 1, 0.0), (3, 2, 0.0), (1, 5, 0.2), (2, 5, 1.1), (2, 5, -0.1)):
        with pytest.raises(ScenarioError):
            Method(x, y, cap)
    assert Method(4, 5, 0.2).leverage == 1.0
    assert Method(4, 5, 0.0).leverage == 0.25


@given(histories())
def test_a_baseline_is_never_negative_and_within_its_cap_of_the_plain_one(
    history: tuple[list[Day], tuple[float, ...], Method],
) -> None:
    days, before, method = history
    adjusted, plain = baseline_kw(days, before, method), baseline_kw(days, (), method)
    for a, b in zip(adjusted, plain, strict=True):
        assert a >= 0
        assert b * (1 - method.cap) - 1e-9 <= a <= b * (1 + method.cap) + 1e-9


@given(histories(), st.data())
def test_raising_load_before_an_event_never_pays(
    history: tuple[list[Day], tuple[float, ...], Method], data: st.DataObject
) -> None:
    """On any earlier day, before or in the hours of the event, and today: what is gained is at most what it costs."""
    days, before, method = history
    price, metered = data.draw(st.floats(0.05, 1.0)), data.draw(rows(len(days[0].event_kw)))
    raised_before, raised_kw = data.draw(raised(before))
    others = []
    for day in days:
        before_kw, a = data.draw(raised(day.before_kw))
        event_kw, b = data.draw(raised(day.event_kw))
        others.append(replace(day, before_kw=before_kw, event_kw=event_kw))
        raised_kw += a + b
    honest = reduction_payment(baseline_kw(days, before, method), metered, price, HOURS)
    gamed = reduction_payment(baseline_kw(others, raised_before, method), metered, price, HOURS)
    cost = price * raised_kw * HOURS
    assert gamed - honest <= cost + 1e-9


@given(histories(), st.data())
def test_a_kwh_raised_today_lifts_the_baseline_by_its_leverage_at_most(
    history: tuple[list[Day], tuple[float, ...], Method], data: st.DataObject
) -> None:
    days, before, method = history
    raised_before, raised_kw = data.draw(raised(before))
    assume(raised_kw > 0)
    gain = sum(baseline_kw(days, raised_before, method)) - sum(baseline_kw(days, before, method))
    assert -1e-9 <= gain <= method.leverage * raised_kw + 1e-9


@given(histories(), st.data())
def test_nothing_of_the_event_itself_is_seen(
    history: tuple[list[Day], tuple[float, ...], Method], data: st.DataObject
) -> None:
    """The payment falls by exactly what is drawn more during the event, until there is none."""
    days, before, method = history
    baseline = baseline_kw(days, before, method)
    metered = data.draw(rows(len(baseline)))
    paid = reduction_payment(baseline, metered, 0.3, HOURS)
    assert paid == pytest.approx(max(0.3 * (sum(baseline) - sum(metered)) * HOURS, 0.0))
