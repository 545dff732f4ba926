"""Prices that are broadcast over real intervals: the published thresholds, on runs with messages, meters and a power flow."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable

import numpy as np
import pytest
from pytest import approx

from results.run import JOURNAL, Run
from results.stability import STILL, Stability, alarms, of_run
from results.verify import render, verify
from scenarios import catalog
from scenarios.reader import read
from scenarios.runner import execute
from sim.ledger import balances
from sim.market import adders
from sim.market.problem import Problem
from sim.market.wire_form import read_problem
from sim.tolerances import BALANCE_KW, REFERENCE_PU
from tests.bench.stability import line
from tests.conftest import ROOT

FOLDER = ROOT / "scenarios" / "stability"
SHIPPED = sorted(path.stem for path in FOLDER.glob("*.yaml"))
SWINGING = {"naive-oscillates", "ascent-oscillates", "ascent-stale", "plateau"}
GOLDEN = json.loads((ROOT / "tests" / "golden" / "stability.json").read_text(encoding="utf-8"))
CASES, NEAR = GOLDEN["cases"], GOLDEN["tolerance"]
SLOPE = 800.0
"""Of the demand in the scenarios with an ascent [kW per EUR/kWh]."""

ALONE = ("populations.load.count=1", "populations.load.power_kw=400", "populations.load.connection_kw=400")
"""The same demand from one load, where a run is long."""

Runs = Callable[..., Run]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Runs a scenario of the laboratory with overrides, each of them once."""
    known: dict[tuple[str, ...], Run] = {}

    def lived(name: str, *overrides: str) -> Run:
        if (name, *overrides) not in known:
            folder = tmp_path_factory.mktemp("stability") / "run"
            known[name, *overrides] = Run(execute(read(FOLDER / f"{name}.yaml", overrides), folder))
        return known[name, *overrides]

    return lived


def flow_kw(run: Run) -> np.ndarray:
    return run.nodes.wire_lv_kw.to_numpy()


def adder(run: Run) -> np.ndarray:
    return run.prices[run.prices.node == "tx"].adder_per_kwh.to_numpy()


def judged(run: Run) -> Stability:
    found = of_run(run)
    assert found is not None
    return found


# --- every scenario ---------------------------------------------------------------------------------------------------


def mostly_slow(*names: str) -> list[object]:
    """The scenarios, all but these marked as slow."""
    return [name if name in names else pytest.param(name, marks=pytest.mark.slow) for name in SHIPPED]


@pytest.mark.parametrize("name", mostly_slow("plateau"))
def test_an_auditor_finds_nothing_wrong_and_money_sums_to_zero(name: str, run: Runs) -> None:
    intervals = run(name).intervals
    assert (intervals["status"] == "OK").all()
    assert (intervals.residual_kw.abs() <= BALANCE_KW).all()
    assert (intervals.reference_gap_pu.dropna() <= REFERENCE_PU).all()
    report = verify(run(name))
    assert report.findings == 0, render(report)
    assert sum(balances(run(name).ledger).values()) == 0


@pytest.mark.parametrize("name", SHIPPED)
def test_the_meter_reads_what_all_together_draw(name: str, run: Runs) -> None:
    rows = run(name).setpoints
    drawn = (
        -rows[rows.era.isin(run(name).participants.query("node == 'tx'").era)].groupby("interval").delivered_kw.sum()
    )
    assert flow_kw(run(name)) == approx(drawn.to_numpy(), abs=1e-3)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_page_says_of_each_what_came_of_it(name: str, run: Runs) -> None:
    page = (ROOT / "docs" / "stability.md").read_text(encoding="utf-8")
    assert line(run(name)).rstrip() in page.splitlines()
    assert (ROOT / "docs" / "pictures" / f"stability-{name}.png").exists()
    assert f"pictures/stability-{name}.png" in page


def test_there_is_alarm_where_it_swings_and_nowhere_else(run: Runs) -> None:
    assert {name for name in SHIPPED if judged(run(name)).alarms} == SWINGING
    assert {name for name in SHIPPED if judged(run(name)).oscillates} == SWINGING


def test_the_alarm_by_lag_one_alone_is_deaf_to_loops_that_are_late(run: Runs) -> None:
    """Half a period is one interval only where a flow is measured at once; here it is two, three, or five."""
    assert not any(alarms(flow_kw(run(name)), 1.0, (1,)) for name in SHIPPED)
    halves = {name: judged(run(name)).alarms[-1].half_period for name in sorted(SWINGING)}
    assert halves == {"naive-oscillates": 2, "ascent-oscillates": 3, "plateau": 3, "ascent-stale": 5}


@pytest.mark.parametrize("name", mostly_slow("ascent-stale"))
def test_the_same_again_is_the_same_to_the_byte(name: str, run: Runs, tmp_path) -> None:
    again = execute(read(FOLDER / f"{name}.yaml"), tmp_path / "again")
    assert (again / JOURNAL).read_bytes() == (run(name).path / JOURNAL).read_bytes()


# --- the loop ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("late", [0, 1, 2])
def test_an_adder_answers_to_the_flow_of_two_intervals_before_and_more_if_it_is_late(late: int, run: Runs) -> None:
    """The gate of an interval closes before the one that runs has been read."""
    lived = run("ascent-stale", *([f"market.adders.late={late}", "duration_h=5"] if late != 1 else []))
    flows, told = flow_kw(lived), adder(lived)
    assert not told[: 2 + late].any()
    for t in range(2 + late, len(told)):
        assert told[t] == approx(max(told[t - 1] + 0.001 * (flows[t - 2 - late] - 100), 0.0), abs=1e-6)


def test_what_adders_collect_goes_to_the_grid(run: Runs) -> None:
    lived = run("naive-overloaded")
    collected = 0.25 * adder(lived) @ flow_kw(lived)
    assert lived.intervals.rent.sum() == approx(collected, abs=1e-6)
    rent = [posting for posting in lived.ledger if posting.term == "congestion rent"]
    assert {posting.payee for posting in rent} == {"utility"}
    assert float(sum(posting.amount for posting in rent)) == approx(collected, abs=0.005 * len(rent))


def test_a_node_publishes_its_adder_only_where_it_has_a_rule(run: Runs) -> None:
    for name, expected in (("ascent-settles", {True}), ("herding", {False})):
        nodes = [
            "locationalPriceAdder" in resource["resourceAttributes"]
            for record in run(name).message_records("catalog/publish")
            for published in record["body"]["message"]["catalogs"]
            for resource in published.get("resources", ())
        ]
        assert nodes
        assert set(nodes) == expected


# --- a price in proportion to loading ---------------------------------------------------------------------------------


def test_without_damping_two_swings_take_turns(run: Runs) -> None:
    """Every flow of the trace for a loop without delay comes twice: odd and even intervals never hear of each other."""
    known = CASES["adder-naive-utilisation-overload"]["trace_kw"]
    lived = flow_kw(run("naive-overloaded", "market.adders.damping=1", "duration_h=5"))
    assert lived[: 2 * len(known)] == approx(np.repeat(known, 2), abs=1e-5)


def test_below_a_gain_of_one_it_settles_far_above_the_limit(run: Runs) -> None:
    known, found = CASES["adder-naive-utilisation-overload"], judged(run("naive-overloaded"))
    assert found.settled_kw == approx(known["flow_kw"], abs=1e-4)
    prices = run("naive-overloaded").prices
    assert prices[prices.node == "tx"].price_per_kwh.iloc[-1] == approx(known["fixed_point_price"], abs=NEAR)
    best = run("naive-overloaded", "market.policy=locational", "duration_h=3")
    assert judged(best).settled_kw == approx(known["dlmp_flow_kw"])
    assert adder(best) == approx(known["dlmp"] - 0.10)


def test_at_a_gain_of_one_it_swings_for_ever_and_half_damping_stops_it(run: Runs) -> None:
    known = CASES["adder-naive-utilisation-two-cycle"]
    swing = np.tile(np.repeat(known["trace_kw"], 2), 12)
    assert flow_kw(run("naive-oscillates")) == approx(swing, abs=1e-6)
    assert judged(run("naive-oscillates")).cycle == 4
    assert judged(run("naive-oscillates", "market.adders.damping=0.5")).settled_kw == approx(known["flow_kw"], abs=1e-4)


def test_it_taxes_hours_in_which_nothing_is_scarce(run: Runs) -> None:
    known = CASES["adder-naive-uncongested-tax"]
    one = ("populations.load.count=1", "populations.load.connection_kw=60")
    small = (*one, "populations.load.power_kw=60", "populations.load.reductions.1.worth_per_kwh=0.6", "duration_h=6")
    assert judged(run("naive-overloaded", *small)).settled_kw == approx(known["flow_kw"], abs=1e-5)
    free = run("naive-overloaded", *small, "market.policy=locational")
    assert judged(free).settled_kw == approx(known["dlmp_flow_kw"], abs=1e-5)
    assert not adder(free).any()


@pytest.mark.parametrize(("damping", "largest"), [(1.0, 1.0), pytest.param(0.5, 2.0, marks=pytest.mark.slow)])
def test_a_tenth_below_the_largest_gain_it_settles_and_a_tenth_above_it_does_not(
    damping: float, largest: float, run: Runs
) -> None:
    """With readings one interval old z² - (1 - θ) z + θ g = 0: stable for g < 1 / θ."""
    for share, settles in ((0.9, True), (1.1, False)):
        per_percent = share * largest / SLOPE
        rule = (f"market.adders.damping={damping}", f"market.adders.per_percent={per_percent}")
        found = judged(run("naive-overloaded", *rule, *ALONE, f"duration_h={36 if settles else 12}"))
        assert (found.settled_kw is not None) is settles
        assert found.oscillates is not settles


# --- a price that adds up ---------------------------------------------------------------------------------------------


def order_book(run: Run) -> Problem:
    """The market of the first interval, as it was asked to clear."""
    return read_problem(run.clearing_problem(0)[0], "first interval")


def test_the_thresholds_are_those_that_were_published() -> None:
    known = CASES["adder-delay-stability-thresholds"]
    assert [adders.stable_gain(d) for d in known["delays"]] == approx(known["largest_gain"], abs=NEAR)


@pytest.mark.parametrize("delay", [0, 1, 2])
def test_within_a_gate_a_tenth_below_the_threshold_converges_and_a_tenth_above_circles(delay: int, run: Runs) -> None:
    problem = order_book(run("ascent-settles"))
    for share, verdict in ((0.9, "converged: yes"), (1.1, "converged: no")):
        rate = share * CASES["adder-delay-stability-thresholds"]["largest_gain"][delay] / SLOPE
        clearing = catalog.policy(f"adder-ascent:rate={rate},rounds=600,delay={delay}").clear(problem)
        assert clearing.notes[0].startswith(verdict)


@pytest.mark.parametrize("delay", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_over_intervals_a_tenth_below_the_threshold_settles_and_a_tenth_above_swings(delay: int, run: Runs) -> None:
    for share, settles in ((0.9, True), (1.1, False)):
        rate = share * CASES["adder-delay-stability-thresholds"]["largest_gain"][delay] / SLOPE
        rule = (f"market.adders.rate={rate}", f"market.adders.late={delay - 1}")
        found = judged(run("ascent-settles", *rule, *ALONE, f"duration_h={(36 if settles else 12) * delay}"))
        assert (found.settled_kw is not None) is settles
        assert found.oscillates is not settles
        if settles:
            assert found.settled_kw == approx(100, rel=STILL)
        else:
            assert found.high_kw - found.low_kw > 100


def test_at_the_limit_it_settles_where_locational_prices_are_at_once(run: Runs) -> None:
    assert judged(run("ascent-settles")).settled_kw == approx(100, abs=1e-3)
    assert adder(run("ascent-settles"))[-1] == approx(
        CASES["adder-naive-utilisation-overload"]["dlmp"] - 0.10, abs=1e-5
    )


def test_a_step_that_settles_on_fresh_readings_swings_on_stale_ones(run: Runs) -> None:
    assert judged(run("ascent-stale")).oscillates
    fresh = judged(run("ascent-stale", "market.adders.late=0", *ALONE, "duration_h=18"))
    assert fresh.settled_kw == approx(100, rel=STILL)


def test_a_swing_at_the_threshold_has_a_period_of_six_where_readings_are_an_interval_old(run: Runs) -> None:
    assert judged(run("ascent-oscillates")).cycle == 6


# --- who is indifferent -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.0001, 0.001, pytest.param(0.003, marks=pytest.mark.slow)])
def test_on_a_plateau_no_step_is_small_enough(rate: float, run: Runs) -> None:
    known = CASES["plateau-offset-10ev-trafo"]
    lived = run("plateau", *([f"market.adders.rate={rate}"] if rate != 0.001 else []))
    assert set(flow_kw(lived).round(6)) == {known["below_kw"], known["above_kw"]}
    assert judged(lived).settled_kw is None


def test_quantities_settle_a_plateau_at_once(run: Runs) -> None:
    known, lived = CASES["plateau-offset-10ev-trafo"], run("plateau", "market.policy=locational", "duration_h=3")
    loads = lived.setpoints[lived.setpoints.era.str.startswith("load")]
    assert loads.setpoint_kw.to_numpy() == approx(known["setpoint_kw"], abs=NEAR)
    assert loads.offset_kw.to_numpy() == approx(known["offset_kw"], abs=NEAR)
    assert loads.delivered_kw.to_numpy() == approx(known["setpoint_kw"], abs=NEAR)
    assert flow_kw(lived) == approx(known["flow_kw"], abs=1e-4)
    assert adder(lived) == approx(known["adder"], abs=NEAR)
    assert lived.intervals.rent.to_numpy() == approx(known["rent_per_h"] / 4, abs=NEAR)


# --- the herd ---------------------------------------------------------------------------------------------------------


def paid_for_energy(run: Run) -> float:
    """What the retailer earns with what the cars charge."""
    return float(sum(p.amount for p in run.ledger if p.payee == "retailer" and p.payer == "market"))


def test_one_tariff_for_all_draws_all_into_its_two_cheapest_hours(run: Runs) -> None:
    known, lived = CASES["herding-tou-rebound"], run("herding")
    assert flow_kw(lived) == approx(np.repeat(known["hourly_kw"], 4), abs=1e-3)
    assert judged(lived).over_h * 60 == known["overload_min"]
    assert judged(lived).peak_use == approx(700 / 300)
    assert paid_for_energy(lived) == approx(known["cost"])
    assert lived.sessions.unserved_kwh.max() == approx(0, abs=1e-9)


@pytest.mark.slow
def test_cleared_curves_keep_the_limit_at_the_least_cost_though_nobody_foresees_the_price(run: Runs) -> None:
    """The energy is bought as cheaply as can be; the prices are lower than those that would make every hour alike.

    A car that expects the tariff does not know that the next hours are dear too, and bids no more for this one.
    """
    known, lived = CASES["herding-dlmp-coordinated"], run("herding", "market.policy=locational")
    assert flow_kw(lived).max() == approx(known["limit_kw"], abs=1e-3)
    assert lived.sessions.unserved_kwh.max() == approx(0, abs=1e-6)
    assert paid_for_energy(lived) == approx(known["cost"], abs=0.05)
    assert lived.intervals.rent.sum() == approx(16.5, abs=0.01)
    assert lived.intervals.rent.sum() < known["rent"]
    prices = lived.prices[lived.prices.node == "tx"].price_per_kwh.to_numpy()
    assert [price for price, _ in itertools.groupby(prices[~np.isnan(prices)].round(6))] == [0.12, 0.15]


@pytest.mark.slow
def test_an_adder_that_is_broadcast_moves_the_herd_and_does_not_part_it(run: Runs) -> None:
    """Half an hour each, in four parts."""
    lived = run("herding", "market.adders={rule: ascent, rate: 0.0001}")
    parts = [(kw, len(list(same))) for kw, same in itertools.groupby(flow_kw(lived).round(3))]
    assert [length for kw, length in parts if kw] == [2, 2, 2, 2]
    assert {kw for kw, _ in parts} == {0, 700}
    assert judged(lived).over_h == judged(run("herding")).over_h
