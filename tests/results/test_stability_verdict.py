"""Whether a flow settles or swings: standstill, cycles and alarm of flows that are known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_run import without_power_flow, write_run

from results.metrics.grid import over_kw
from results.run import Run
from results.stability import LEAST, Swing, alarm_min, alarms, autocorrelation, cycle, most_used, of_run, used

swing = st.integers(1, 7)


def wave(half: int, count: int, ratio: float = 1.0, size: float = 100.0) -> np.ndarray:
    """A square wave that changes sides every ``half`` intervals, by ``ratio`` smaller each time."""
    side = np.arange(count) // half
    return 100 + size * ratio**side * (-1.0) ** side


@given(swing, st.floats(2, 1e4), st.floats(-1e4, 1e4))
def test_a_swing_is_the_mirror_of_itself_half_a_period_later(half, size, offset):
    values = wave(half, 4 * half + 1, size=size) + offset
    assert autocorrelation(wave(half, 4 * half, size=size) + offset, half) == pytest.approx(-1, abs=0.35)
    assert autocorrelation(np.sin(np.pi * np.arange(4 * half) / half + 0.5) * size + offset, half) == pytest.approx(-1)
    assert -1 - 1e-9 <= autocorrelation(values, half) <= 1 + 1e-9


def test_one_that_dies_down_is_less_like_its_mirror_by_as_much_as_it_does():
    t = np.arange(60)
    fading = 0.9**t * np.cos(np.pi * t / 3)
    assert autocorrelation(fading, 3) == pytest.approx(-(0.9**3), abs=0.01)
    assert autocorrelation(fading[::-1], 3) == pytest.approx(-(0.9**3), abs=0.01)
    assert math.isnan(autocorrelation(np.full(20, 7.0), 3))


@given(swing)
def test_a_swing_is_told_once_nine_intervals_mirror_those_before_and_it_has_lasted_for_two_periods(half):
    found = alarms(100 + 50 * np.sin(np.pi * np.arange(80) / half + 0.5), still=1.0)
    assert found[0].first <= found[-1].first <= max(LEAST + half, 4 * half + 1) - 1
    assert (found[-1].last, found[-1].half_period) == (79, half)


def test_by_lag_one_a_swing_from_interval_to_interval_alone_is_found():
    assert alarms(wave(1, 12), 1.0, (1,)) == (Swing(9, 11, 1),)
    assert alarms(wave(2, 40), 1.0, (1,)) == ()
    assert alarms(wave(2, 40), 1.0)[0].half_period == 2


def test_what_stands_still_rises_or_happens_once_raises_no_alarm():
    once = np.zeros(60)
    once[20:28] = 700
    for flow in (np.full(60, 5.0), np.linspace(0, 100, 60), once, np.sin(np.arange(96) * np.pi / 48) * 100):
        assert alarms(flow, 1.0) == ()


def test_on_one_day_of_nine_noise_is_taken_for_a_swing_and_not_for_long():
    """No more often than by lag 1 alone over nine intervals, as it was published."""
    days = [alarms(np.random.default_rng(seed).normal(size=96), 0.01) for seed in range(1000)]
    assert sum(map(bool, days)) / len(days) == pytest.approx(1 / 9, abs=0.02)
    known = sum(alarm.last + 1 - alarm.first for day in days for alarm in day)
    assert known / 96_000 == pytest.approx(0.002, abs=0.0005)
    walks = [alarms(np.random.default_rng(seed).normal(size=96).cumsum(), 0.01) for seed in range(300)]
    assert sum(map(bool, walks)) / len(walks) < 0.06


@given(st.lists(st.sampled_from([0.0, 40.0, 100.0, 300.0]), max_size=60), st.integers(0, 60))
def test_what_comes_later_does_not_change_when_an_alarm_was_raised(flow, until):
    whole, part = alarms(np.array(flow), 1.0), alarms(np.array(flow[:until]), 1.0)
    assert [alarm.first for alarm in part] == [alarm.first for alarm in whole if alarm.first < until]


def test_where_a_flow_is_not_known_there_is_no_alarm_until_it_is_known_again():
    flow = wave(1, 40)
    flow[20] = math.nan
    assert alarms(flow, 1.0) == (Swing(9, 19, 1), Swing(30, 39, 1))
    assert alarms(np.array([]), 1.0) == ()


@given(st.floats(0.1, 0.99), swing, st.floats(0, 6))
def test_a_swing_that_dies_down_by_more_than_a_fifth_in_half_a_period_raises_none(ratio, half, phase):
    t = np.arange(60) / half
    fading = 1000 * ratio**t * np.sin(np.pi * t + phase)
    found = alarms(fading, 1e-9, (half,))
    if ratio < 0.75:
        assert not found
    if ratio > 0.86 and half > 1:
        assert found


def test_a_swing_smaller_than_what_counts_as_still_is_none():
    assert alarms(wave(1, 30, size=0.4), 1.0) == ()
    assert cycle(wave(1, 30, size=0.4), 1.0) == 1


@given(swing)
def test_a_cycle_has_its_period_and_a_standstill_the_period_one(half):
    assert cycle(wave(half, 60), 1.0) == 2 * half
    assert cycle(np.full(60, 3.0), 1.0) == 1


def test_a_short_pulse_in_every_period_is_a_cycle_without_alarm():
    pulses = np.tile([70.0, 70.0, 0.0, 0.0, 0.0], 10)
    assert cycle(pulses, 0.4) == 5
    assert alarms(pulses, 0.4) == ()


def test_what_is_too_short_to_tell_or_never_comes_again_is_no_cycle():
    assert cycle(wave(1, LEAST - 1), 1.0) is None
    assert cycle(np.arange(60.0) ** 2, 1.0) is None
    assert alarms(wave(1, LEAST - 1), 1.0) == ()


# --- of a run ---------------------------------------------------------------------------------------------------------


def test_the_node_is_the_one_that_used_most_of_its_limit(tmp_path):
    run = Run(write_run(tmp_path / "run"))
    found = of_run(run)
    assert found is not None
    use = run.nodes.assign(
        use=run.nodes.wire_lv_kw.abs()
        / run.nodes.rated_import_kw.where(run.nodes.wire_lv_kw >= 0, run.nodes.rated_export_kw)
    )
    assert found.node == most_used(run) == use.loc[use.use.idxmax()].node
    assert found.peak_use == pytest.approx(use.use.max())
    assert found.over_h == run.hours * ((use.node == found.node) & (use.use > 1.01)).sum()
    assert (found.low_kw, found.high_kw) == (
        pytest.approx(run.nodes[run.nodes.node == found.node].wire_lv_kw.min()),
        pytest.approx(run.nodes[run.nodes.node == found.node].wire_lv_kw.max()),
    )
    assert not found.oscillates
    assert alarm_min(run) == 0


def test_behind_a_limit_of_nothing_a_flow_counts_only_where_there_is_one():
    rows = pd.DataFrame(
        {"wire_lv_kw": [1e-9, 0.0, -1e-12, 5.0, math.nan], "rated_import_kw": 0.0, "rated_export_kw": 0.0}
    )
    assert used(rows)[:4].tolist() == [0, 0, 0, math.inf]
    assert math.isnan(used(rows)[4])
    assert over_kw(rows, "import").tolist()[:4] == [0, 0, 0, 5]


def test_intervals_without_a_power_flow_are_left_out(tmp_path):
    def dark(draft):
        without_power_flow(0)(draft)
        without_power_flow(6)(draft)

    found = of_run(Run(write_run(tmp_path / "run", dark)))
    assert found is not None
    assert found.last == 5
    assert found.cycle is None


def test_a_run_without_a_transformer_has_no_verdict(tmp_path):
    def without_nodes(draft):
        for column in draft.tables["nodes"].values():
            column.clear()

    run = Run(write_run(tmp_path / "run", without_nodes))
    assert most_used(run) == ""
    assert of_run(run) is None
