"""Cars on one phase of a street whose houses have one phase each: what a balanced calculation does not see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from results.run import Run
from results.verify import verify
from scenarios.reader import read
from scenarios.runner import execute
from sim.tolerances import BALANCE_KW, REFERENCE_PU

SCENARIO = Path(__file__).parents[2] / "scenarios" / "evs-on-one-phase.yaml"
AFTERNOON = ("market.policy=none", "duration_h=6")

Evs = Callable[..., Run]


@pytest.fixture(scope="module")
def run_evs(tmp_path_factory: pytest.TempPathFactory) -> Evs:
    """Runs the afternoon without a market, with overrides, each set of them once."""
    known: dict[tuple[str, ...], Run] = {}

    def run(*overrides: str) -> Run:
        if overrides not in known:
            folder = tmp_path_factory.mktemp("evs") / "run"
            known[overrides] = Run(execute(read(SCENARIO, (*AFTERNOON, *overrides)), folder))
        return known[overrides]

    return run


def car_kw(run: Run) -> pd.Series:
    """What all cars draw in each interval."""
    cars = run.setpoints[run.setpoints.era.str.startswith("ev")]
    drawn: pd.Series = -cars.groupby("interval").delivered_kw.sum()
    return drawn


def test_houses_have_the_phase_of_the_network_s_own_customer_and_cars_the_one_they_are_given(run_evs: Evs) -> None:
    phases = run_evs().participants.groupby(["kind", "phase"]).size()
    assert phases["household"].to_dict() == {"A": 21, "B": 19, "C": 15}
    assert phases["ev"].to_dict() == {"A": 30}
    assert phases["solar"].sum() == 15


def test_the_phase_that_the_cars_charge_on_sags_below_the_others(run_evs: Evs) -> None:
    run = run_evs()
    lowest = run.voltages.pivot_table(index="interval", columns="phase", values="v_pu", aggfunc="min")
    busy = lowest[car_kw(run) > 35]
    assert len(busy) > 3
    assert (busy.A < busy.B).all()
    assert (busy.A < busy.C - 0.04).all()


def test_a_balanced_calculation_of_the_same_powers_underestimates_drop_rise_and_losses(run_evs: Evs) -> None:
    three, one = run_evs(), run_evs("feeder.phases=1")
    assert car_kw(three).tolist() == car_kw(one).tolist()
    assert three.voltages.v_pu.min() < one.voltages.v_pu.min() - 0.05
    assert three.voltages.v_pu.max() > one.voltages.v_pu.max() + 0.01
    assert three.intervals.losses_kw.sum() > 1.5 * one.intervals.losses_kw.sum()


def test_the_same_cars_spread_over_the_phases_cost_less_voltage(run_evs: Evs) -> None:
    spread = run_evs("populations.2.phase=null", "populations.2.phases=1")
    cars = spread.participants.query("kind == 'ev'").phase
    assert set(cars) == {"A", "B", "C"}
    assert spread.voltages.v_pu.min() > run_evs().voltages.v_pu.min() + 0.005


@pytest.mark.parametrize("overrides", [(), ("feeder.phases=1",)])
def test_no_watt_is_lost_and_pandapower_agrees(run_evs: Evs, overrides: tuple[str, ...]) -> None:
    run = run_evs(*overrides)
    intervals = run.intervals.set_index("interval")
    delivered = run.setpoints.groupby("interval").delivered_kw.sum()
    gap = intervals.slack_kw + delivered - intervals.losses_kw
    assert gap.abs().max() <= BALANCE_KW
    assert intervals.reference_gap_pu.notna().any()
    assert intervals.reference_gap_pu.max() <= REFERENCE_PU


def test_roofs_take_reactive_power_where_their_own_phase_is_high(run_evs: Evs) -> None:
    run = run_evs()
    roofs = run.setpoints.merge(run.participants[["era", "kind", "bus", "phase"]], on="era").query("kind == 'solar'")
    roofs = roofs.merge(run.voltages, on=["interval", "bus", "phase"])
    high, middle = roofs[(roofs.v_pu > 1.021) & (roofs.delivered_kw > 0.5)], roofs[roofs.v_pu.between(0.981, 1.019)]
    assert len(high) > 50
    assert (high.q_kvar < 0).all()
    assert (high.q_kvar >= -0.44 * 1.1 * 4).all()
    assert (middle.q_kvar == 0).all()


def test_a_third_party_finds_nothing_wrong_with_the_run(run_evs: Evs) -> None:
    assert verify(run_evs()).findings == 0
