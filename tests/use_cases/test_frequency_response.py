"""Capacity held ready: what the frequency or a set-point asks for is given, and paid for as it was there and answered."""

from __future__ import annotations

import io
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
import pytest
from pytest import approx

from agents.twins.reserve import droop_share
from results.run import Run
from scenarios.build import build
from scenarios.reader import read
from scenarios.timing import Stopwatch
from sim.errors import ScenarioError
from sim.frequency import Excursion, Frequency, wandering
from tests.use_cases.market_cases import USE_CASES, Cases, Live, balance, balances, cases, said

EMPTY = "providers.reserves.items.primary-2.device.soc=0.0"
QUIET = ("frequency.sd_hz=0", "frequency.events=[]")


@pytest.fixture(scope="module")
def run_primary(tmp_path_factory: pytest.TempPathFactory) -> Cases:
    return cases("frequency-response", tmp_path_factory)


@pytest.fixture(scope="module")
def run_secondary(tmp_path_factory: pytest.TempPathFactory) -> Cases:
    return cases("frequency-response-setpoint", tmp_path_factory)


def told(run: Run, item: str) -> list[dict[str, Any]]:
    """What the contract about an item was told, by interval."""
    found = []
    for body in said(run, "on_update", recipient="grid-operator"):
        contract = body["message"]["contract"]
        signals = contract["contractAttributes"].get("inputSignals")
        if signals and contract["commitments"][0]["resources"][0]["id"] == item:
            found.append({signal["signalId"]: signal["value"] for signal in signals})
    return found


def delivered(run: Run, item: str) -> list[float]:
    return list(run.setpoints[run.setpoints.era == item].sort_values("interval").delivered_kw)


def frequency() -> Frequency:
    """What the scenario says of it, in numbers."""
    plant_lost = Excursion(20 * 60, 0.25, 10, 2400)
    return wandering(
        1, nominal_hz=50, sd_hz=0.02, relaxation_s=300, step_s=1, duration_s=3600, excursions=(plant_lost,)
    )


def test_each_battery_gives_its_droop_averaged_over_the_interval(run_primary: Cases) -> None:
    asked_kw = 150 * droop_share(frequency().hz, 50.0, 0.004, 0.01)
    asked_kw[: 10 * 60] = 0.0
    assert delivered(run_primary(), "primary-1") == approx(asked_kw.reshape(60, 60).mean(axis=1))
    assert max(delivered(run_primary(), "primary-1")) == 150


def test_the_contract_hears_the_frequency_that_everybody_sees(run_primary: Cases) -> None:
    minutes = frequency().hz.reshape(60, 60)[10:]
    for item in ("primary-1", "primary-2"):
        signals = told(run_primary(), item)
        assert [s["frequency"] for s in signals] == approx(list(minutes.mean(axis=1)), abs=1e-6)
        assert [s["frequency.least"] for s in signals] == approx(list(minutes.min(axis=1)), abs=1e-6)
        assert [s["frequency.most"] for s in signals] == approx(list(minutes.max(axis=1)), abs=1e-6)


def test_what_runs_empty_stops_to_be_there_before_it_stops_to_answer(run_primary: Cases) -> None:
    signals = told(run_primary(), "primary-2")
    there = [s["availability"] for s in signals]
    assert there == sorted(there, reverse=True)
    assert there[0] == 1
    assert there[-1] == 0
    gone, silent = there.index(0), next(k for k, s in enumerate(signals) if s["responseErrorKW"] > 0)
    assert gone + 10 < silent
    states = run_primary().states
    assert float(states[states.era == "primary-2"].soc.min()) == 0


def test_availability_is_paid_by_kilowatt_and_hour_and_an_error_beyond_the_tolerance_is_fined(
    run_primary: Cases,
) -> None:
    """0.02 a kW and h while there; 0.50 a kWh asked and not given, beyond 5 % of what is held; 0.10 a kWh activated."""
    run, signals = run_primary(), [s for item in ("primary-1", "primary-2") for s in told(run_primary(), item)]
    hours = 1 / 60
    availability = sum(s["heldKW"] * s["availability"] * hours * 0.02 for s in signals)
    fine = sum(max(s["responseErrorKW"] - 0.05 * s["heldKW"], 0) * hours * 0.5 for s in signals)
    earned = partial(balance, run, "reserves")
    assert float(earned("availability")) == approx(availability, abs=0.01)
    assert float(earned("penalty")) == approx(-fine, abs=0.01)
    assert float(earned("performance")) == approx(sum(s["activatedKWh"] for s in signals) * 0.1, abs=0.01)
    assert sum(balances(run).values()) == 0


def test_an_empty_battery_is_not_available_and_is_not_paid_for_it(run_primary: Cases) -> None:
    run = run_primary(EMPTY)
    assert {s["availability"] for s in told(run, "primary-2")} == {0}
    first = Decimal(150) * 50 / 60 * Decimal("0.02")
    assert balance(run, "reserves", "availability") == first
    assert balance(run, "reserves", "penalty") < balance(run_primary(), "reserves", "penalty")


def test_within_the_dead_band_nothing_moves_and_only_availability_is_paid(run_primary: Cases) -> None:
    run = run_primary(*QUIET)
    assert set(delivered(run, "primary-1")) == {0}
    assert set(run.postings.term) == {"availability"}
    assert balance(run, "reserves") == Decimal("4.17")
    within = run_primary("frequency.events=[]", "frequency.sd_hz=0.002")
    assert set(delivered(within, "primary-1")) == {0}


def test_the_frequency_is_the_same_whatever_is_dealt(run_primary: Cases) -> None:
    other = run_primary(EMPTY, "seekers.grid-operator.errands.0.kw=40")
    heard = [[s["frequency"] for s in told(run, "primary-1")] for run in (run_primary(), other)]
    assert heard[0] == heard[1]
    assert max(delivered(other, "primary-1")) == 40


def test_the_terms_say_what_is_listened_to_and_how_an_answer_is_measured(
    run_primary: Cases, run_secondary: Cases
) -> None:
    """Metrics by the names of the published trade ledger."""
    for run, signal, error in (
        (run_primary(), "FREQUENCY", "FREQUENCY_RESPONSE_ERROR"),
        (run_secondary(), "AGC_SETPOINT", "SETPOINT_FOLLOWING_ERROR"),
    ):
        contract = said(run, "on_init")[0]["message"]["contract"]
        terms = contract["contractAttributes"]
        assert signal in [one["signalType"] for one in terms["inputSignals"]]
        assert [one["metricId"] for one in terms["qualityMetrics"]] == ["AVAILABILITY", error]
        assert contract["commitments"][0]["resources"][0]["quantity"]["unitCode"] == "KW"


def test_a_set_point_is_followed_as_fast_as_the_ramp_lets_it(run_secondary: Cases) -> None:
    """From 18:15:01 on up to 120 kW at 1 kW/s, from 18:22:01 down to -60 kW, back from 18:30:01 on."""
    course = np.zeros(3600)
    for second in range(1, 3600):
        asked = 120.0 * (second > 15 * 60) - 180.0 * (second > 22 * 60) + 60.0 * (second > 30 * 60)
        course[second] = course[second - 1] + np.clip(asked - course[second - 1], -1, 1)
    assert delivered(run_secondary(), "secondary") == approx(course.reshape(60, 60).mean(axis=1), abs=1.01)
    asked = [s["agc_setpoint.most"] for s in told(run_secondary(), "secondary")]
    assert sorted(set(asked)) == [-60, 0, 120]


def test_a_faster_ramp_follows_more_closely_and_pays_less(run_secondary: Cases) -> None:
    fast = run_secondary("providers.reserves.items.secondary.device.ramp_kw_per_s=100")
    errors = [sum(s["responseErrorKW"] for s in told(run, "secondary")) for run in (fast, run_secondary())]
    assert errors[0] < errors[1] / 10
    assert balance(fast, "reserves") > balance(run_secondary(), "reserves")
    assert balance(fast, "reserves", "availability") == balance(run_secondary(), "reserves", "availability")


def test_more_than_is_held_is_refused_and_nothing_moves_for_it() -> None:
    live = Live("frequency-response-setpoint")
    live.to_the_end()
    (refused,) = live.nacks("update")
    assert refused["error"]["errorCode"] == "BIZ_CAP_EXCEEDED"
    assert len(live.messages("update")) == 3


@pytest.mark.parametrize(
    ("name", "override", "code"),
    [
        ("frequency-response", "seekers.grid-operator.errands.0.kw=201", "BIZ_CAP_EXCEEDED"),
        (
            "frequency-response",
            "seekers.grid-operator.errands.0={at: '18:01', search: {type: EnergyResource}, kwh: 10}",
            "SCH_INVALID_FORMAT",
        ),
    ],
)
def test_capacity_that_is_not_there_cannot_be_booked(name: str, override: str, code: str) -> None:
    live = Live(name, override)
    live.to_the_end()
    refused = [record["error"]["errorCode"] for action in ("select", "init") for record in live.nacks(action)]
    assert refused == [code]


def test_set_points_before_the_window_or_of_what_follows_the_frequency_are_refused() -> None:
    early = "seekers.grid-operator.errands.0.diary.0.at='18:05'"
    live = Live("frequency-response-setpoint", early)
    live.to_the_end()
    assert [r["error"]["errorCode"] for r in live.nacks("update")] == ["PRC_INVALID_TRANSITION", "BIZ_CAP_EXCEEDED"]
    other = "seekers.grid-operator.errands.0.diary=[{at: '18:15', do: set, say: {kw: 10}}]"
    live = Live("frequency-response", other)
    live.to_the_end()
    assert [r["error"]["errorCode"] for r in live.nacks("update")] == ["SCH_TYPE_NOT_SUPPORTED"]


def test_two_book_the_same_battery_one_after_the_other_but_not_at_once() -> None:
    def refused(begins: str) -> list[str]:
        common = "search: {type: EnergyResource}, kw: 50"
        first = f"{{at: '18:01', {common}, from: '18:10', to: '18:40'}}"
        second = f"{{at: '18:02', {common}, from: '{begins}', to: '18:50'}}"
        live = Live("frequency-response-setpoint", f"seekers.grid-operator.errands=[{first}, {second}]")
        live.to_the_end()
        return [record["error"]["errorCode"] for record in live.nacks("init")]

    assert refused("18:40") == []
    assert refused("18:39") == ["BIZ_CAP_EXCEEDED"]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("frequency=null", "add frequency"),
        ("frequency.events.0.at='19:30'", "not within the run"),
        ("frequency.step_s=7", "do not divide a minute"),
        ("seekers.grid-operator.errands.0.kwh=10", "energy or capacity"),
        ("providers.reserves.items.primary-1.delivery=session", "capacity and forecasts are not plugged in"),
    ],
)
def test_what_contradicts_itself_is_said_before_anything_runs(override: str, words: str) -> None:
    with pytest.raises(ScenarioError, match=words):
        build(read(USE_CASES / "frequency-response.yaml", (override,)), io.BytesIO(), Stopwatch())
