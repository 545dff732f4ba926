"""The frequency wanders as its model says, the same for everybody, and is taken away by what is stated."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from sim.clock import Interval
from sim.frequency import Excursion, Frequency, wandering


def course(seed: int = 1, **how: Any) -> Frequency:
    shape = {"nominal_hz": 50.0, "sd_hz": 0.02, "relaxation_s": 300.0, "step_s": 1, "duration_s": 3600} | how
    return wandering(seed, **shape)


def test_in_the_long_run_it_has_its_standard_deviation_and_forgets_at_its_pace() -> None:
    """An Ornstein-Uhlenbeck process: normal about nominal, and what lies τ apart correlates by 1/e."""
    away = course(duration_s=2_000_000, step_s=10).hz - 50.0
    assert float(away.std()) == approx(0.02, rel=0.03)
    assert float(away.mean()) == approx(0.0, abs=0.001)
    assert float((away[:-30] * away[30:]).mean() / away.var()) == approx(np.exp(-1), abs=0.03)


@given(st.integers(0, 2**32), st.integers(60, 600))
def test_it_depends_on_the_seed_alone_and_a_longer_run_begins_like_a_shorter(seed: int, duration_s: int) -> None:
    short = course(seed, duration_s=duration_s)
    assert np.array_equal(short.hz, course(seed, duration_s=duration_s + 60).hz[:duration_s])
    assert not np.array_equal(short.hz, course(seed + 1, duration_s=duration_s).hz)


def test_an_excursion_falls_and_returns_in_straight_lines_on_top_of_the_wandering() -> None:
    quiet, lost = course(), course(excursions=(Excursion(100, 0.25, 10, 50),))
    away = lost.hz - quiet.hz
    assert away[[100, 105, 110, 135, 160, 3599]] == approx([0, -0.125, -0.25, -0.125, 0, 0])
    assert not away[:100].any()
    assert float(course(sd_hz=0.0, excursions=(Excursion(0, -0.1, 1, 1),)).hz.max()) == approx(50.1)


def test_an_interval_has_the_values_of_its_steps_and_nobody_can_change_them() -> None:
    frequency = course(step_s=10)
    assert list(frequency.during(Interval(2, 120, 180))) == list(frequency.hz[12:18])
    assert not frequency.hz.flags.writeable
