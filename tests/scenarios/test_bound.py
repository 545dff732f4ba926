"""How far from the best: the bound of a scenario, and what runs of it cost by the same rules."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.twins.battery import BatteryTwin
from agents.twins.load import LoadTwin
from agents.twins.thermal import ThermalTwin
from results.run import Run
from scenarios import explained
from scenarios.bound import (
    BEST,
    as_json,
    bounds,
    cost_of,
    hindsight,
    hindsight_key,
    horizon_for,
    needs,
    render,
    values_of,
    wanted_value,
)
from scenarios.build import build, tree_of
from scenarios.cli import main
from scenarios.foresight import GIVEN_UP, TRUTHS, horizon_of
from scenarios.kinds import KINDS
from scenarios.reader import read
from scenarios.runner import execute
from scenarios.timing import Stopwatch
from sim.errors import MarketError, ScenarioError
from sim.market.horizon import LOST, Flow, Horizon, Store, plan
from tests.conftest import ROOT, STREET

SIX_HOURS = ("duration_h=6", "start=2016-05-17T19:00:00")
"""The evening: cars arrive, the sun goes, the transformer is short."""


@pytest.fixture(scope="module")
def horizon():
    return horizon_for(read(STREET, SIX_HOURS))


@pytest.fixture(scope="module")
def best(horizon):
    return plan(horizon)


def test_the_horizon_holds_everybody_who_has_a_device_and_the_retailer(horizon, run_street):
    run: Run = run_street(*SIX_HOURS)
    stays = {era for era, kind in run.kinds.items() if kind == "ev"}
    acting = {one.era for one in (*horizon.flows, *horizon.stores)}
    assert acting - {"retailer"} == {era for era in run.setpoints["era"] if era not in ("aggregator", "retailer")} - (
        stays - acting
    )


def test_what_the_plan_foresees_of_loads_is_what_they_really_draw(horizon, run_street):
    drawn = run_street(*SIX_HOURS).setpoints.query("era == 'house-01'").sort_values("interval")["delivered_kw"]
    (flow,) = [one for one in horizon.flows if one.era == "house-01"]
    assert flow.least_kw.tolist() == pytest.approx(drawn.tolist())


def test_the_best_keeps_every_limit_and_leaves_nobody_unserved(horizon, best):
    for limit in horizon.limits[1:]:
        flow = best.flow_kw[limit.node]
        assert flow.max() <= limit.import_limit_kw + 1e-6
        assert -flow.min() <= limit.export_limit_kw + 1e-6
    assert best.unserved_kwh == pytest.approx(0, abs=1e-6)
    assert sum(best.setpoint_kw.values()) == pytest.approx(np.zeros(horizon.count), abs=1e-6)


@pytest.mark.parametrize("policy", ["none", "curtail-only", "locational", "oracle"])
def test_no_run_that_keeps_the_limits_costs_less_than_the_best(horizon, best, run_street, policy):
    cost = cost_of(run_street(f"market.policy={policy}", *SIX_HOURS), horizon)
    assert cost.policy == policy
    assert cost.total >= best.cost - 1e-6
    assert cost.unserved_kwh == pytest.approx(0, abs=1e-3)


def test_knowing_everything_costs_less_than_plugging_in(horizon, run_street):
    totals = {p: cost_of(run_street(f"market.policy={p}", *SIX_HOURS), horizon).total for p in ("oracle", "none")}
    assert totals["oracle"] < totals["none"]


def test_a_run_is_explained_with_the_energy_its_meters_saw(horizon, run_street):
    """What is bought less what is sold is what came through the slack, at the tariff of its interval."""
    run = run_street(*SIX_HOURS)
    cost = cost_of(run, horizon)
    slack, prices = run.intervals["slack_kw"], run.intervals
    bought = float((slack.clip(lower=0) * prices["import_price"]).sum()) * run.hours
    sold = float((slack.clip(upper=0) * prices["export_price"]).sum()) * run.hours
    assert cost.accounts["bought"] == pytest.approx(bought, rel=1e-6)
    assert cost.accounts["sold"] == pytest.approx(sold, abs=1e-6)


def test_the_oracle_is_a_policy_of_a_run_whose_books_balance(run_street):
    run = run_street("market.policy=oracle", *SIX_HOURS)
    assert set(run.intervals["policy"]) == {"oracle"}
    assert not run.intervals["fallback"].any()
    assert run.nodes["wire_lv_kw"].max() <= run.nodes["rated_import_kw"].max()


def test_the_bound_command_tells_a_scenario_and_runs_of_it(run_street, capsys):
    run = run_street(*SIX_HOURS)
    assert main(["bound", str(STREET), *(part for o in SIX_HOURS for part in ("--set", o))]) == 0
    assert main(["bound", str(run.path)]) == 0
    alone, compared = capsys.readouterr().out.split("street, seed 1: ")[1:]
    assert alone.splitlines()[2].split()[-1] == compared.splitlines()[2].split()[-1]
    assert "above the best" in compared
    assert "%" in compared.splitlines()[3]


def test_the_bound_in_json_sums_up(run_street):
    (told,) = json.loads(as_json(bounds([run_street(*SIX_HOURS).path])))
    for cost in (told["best"], told["run"]):
        assert sum(cost["accounts"].values()) == pytest.approx(cost["total"])
    assert told["regret"] == pytest.approx(told["run"]["total"] - told["best"]["total"])
    assert told["best"]["policy"] == BEST


def test_runs_of_one_truth_share_one_best(run_street):
    runs = [run_street(f"market.policy={p}", *SIX_HOURS).path for p in ("none", "locational")]
    assert render(bounds(runs)).count("best: everything known") == 1


def test_what_is_neither_a_scenario_nor_a_run_is_said(tmp_path: Path, capsys):
    assert main(["bound", str(tmp_path / "nothing.yaml")]) == 2
    assert "there is no such file" in capsys.readouterr().err
    assert main(["bound", str(tmp_path)]) == 2
    assert capsys.readouterr().err


# --- every kind of participant ----------------------------------------------------------------------------------------

FLEXIBLE = STREET.with_name("flexible-street.yaml")
THREE_HOURS = ("duration_h=3",)


def test_the_oracle_knows_the_truth_of_every_kind():
    assert set(TRUTHS) == {kind.spec for kind in KINDS.values()}


@pytest.fixture(scope="module")
def flexible():
    scenario = read(FLEXIBLE, ("populations.car.discharge_kw=7", "populations.car.wear_per_kwh=0.02", "duration_h=12"))
    built = build(scenario, io.BytesIO(), Stopwatch())
    built.world.close()
    calendar, limits = built.world.calendar, tree_of(built.limits)
    return built, horizon_of(scenario, calendar, built.resources, built.populations, limits)


def test_twins_that_do_what_was_planned_live_through_what_was_planned(flexible):
    """A building ends every interval as warm as the plan says, a battery as full, a car as charged."""
    built, horizon = flexible
    found = plan(horizon)
    twins = {r.era: r.device.twin for r in built.resources if r.device is not None}
    for interval in map(built.world.calendar.interval, range(horizon.count)):
        lived = {
            era: twin.advance(float(found.setpoint_kw[era][interval.index]), interval) for era, twin in twins.items()
        }
        for era, p_kw in lived.items():
            if not isinstance(twins[era], LoadTwin):
                assert p_kw == pytest.approx(found.setpoint_kw[era][interval.index], abs=1e-5), era
        for store, levels in zip(horizon.stores, found.levels_kwh, strict=True):
            twin = twins[store.era]
            if isinstance(twin, ThermalTwin):
                warmth = twin.building.sign * twin.building.capacity_kwh_per_k * twin.indoor_c
                assert warmth == pytest.approx(levels[interval.index], abs=1e-5)
            if isinstance(twin, BatteryTwin):
                assert twin.soc * twin.capacity_kwh == pytest.approx(levels[interval.index], abs=1e-5)
    assert sum(isinstance(twin, ThermalTwin) for twin in twins.values()) > 0


def test_a_run_with_every_kind_costs_no_less_than_the_best(tmp_path):
    run = Run(execute(read(FLEXIBLE, THREE_HOURS), tmp_path / "run"))
    (found,) = bounds([run.path])
    assert found.run is not None
    assert found.regret >= -1e-6


# --- what is hard to explain ------------------------------------------------------------------------------------------

HAMLET = ROOT / "tests" / "scenarios" / "hamlet.yaml"


@pytest.mark.parametrize("policy", ["locational", "curtail-only"])
def test_a_task_that_was_cut_and_ran_on_after_its_time_has_missed_it(tmp_path, policy):
    dishes = "{name: dishes, energy_kwh: 1.1, power_kw: 1.8, earliest_h: 11, deadline_h: 12}"
    few = ("populations.pv.count=0", "populations.battery.count=0", "feeder.limits={import_share: 0.01}")
    scenario = read(HAMLET, (f"market.policy={policy}", "duration_h=4", f"populations.house.tasks=[{dishes}]", *few))
    run, ahead = Run(execute(scenario, tmp_path / "run")), hindsight(scenario)
    found = cost_of(run, ahead.horizon)
    drawn_kwh = -run.setpoints.query("era.str.startswith('house')")["delivered_kw"].sum() * run.hours
    asked_kwh = ahead.wanted_value / scenario.market.price_cap
    assert asked_kwh - drawn_kwh < found.unserved_kwh < asked_kwh  # what came too late was drawn, and helped nobody
    assert found.accounts[LOST] == pytest.approx(scenario.market.price_cap * found.unserved_kwh)
    assert found.total > ahead.best.total


def test_a_run_without_a_power_flow_has_no_cost_and_says_so(tmp_path):
    crowd = ("populations.house.scale=100", "populations.house.connection_kw=900", "market.policy=none")
    run = Run(execute(read(HAMLET, crowd), tmp_path / "run"))
    with pytest.raises(ScenarioError, match="no power flow in 4 of 4 intervals"):
        bounds([run.path])


# --- what comparisons want to know ------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["none", "curtail-only", "locational"])
def test_what_follows_from_powers_alone_costs_what_the_programme_says(horizon, run_street, policy, monkeypatch):
    run = run_street(f"market.policy={policy}", *SIX_HOURS)
    direct = cost_of(run, horizon)
    monkeypatch.setattr(explained, "apart", lambda free, done: (explained.Told({}, 0.0), free, done))
    solved = cost_of(run, horizon)
    assert dict(direct.accounts) == pytest.approx(dict(solved.accounts), abs=1e-3)  # pinned to a milliwatt, 123 times
    assert direct.unserved_kwh == pytest.approx(solved.unserved_kwh, abs=1e-3)


shares = st.floats(0.0, 1.0)


@given(
    powers=st.lists(st.floats(-5.0, 5.0), min_size=1, max_size=6),
    efficiencies=st.tuples(st.floats(0.5, 1.0), st.floats(0.5, 1.0), st.floats(0.9, 1.0)),
    worths=st.tuples(shares, shares, st.floats(0.0, 3.0)),
    wanted=st.floats(0.0, 20.0),
)
def test_a_store_whose_power_is_known_is_told_as_the_programme_tells_it(powers, efficiencies, worths, wanted):
    p_kw = np.array(powers)
    many = np.ones(len(p_kw))
    store = Store(
        "one", "grid", 5 * many, 5 * many, -40 * many, 60 * many, wanted * many, 0.1 * many, 10.0, *efficiencies, *worths[:1],
        lost_per_kwh=worths[2], worth_per_kwh=worths[1],
    )  # fmt: skip
    free = Flow("other", "grid", -100 * many, 100 * many, 0 * many)
    horizon = Horizon(0.25, len(p_kw), (free,), (store,))
    told, rest, unexplained = explained.apart(horizon, {"one": p_kw})
    assert (rest.stores, unexplained) == ((), {})
    solved = plan(horizon, {"one": p_kw})
    assert sum(told.costs.values()) == pytest.approx(solved.cost, abs=1e-3)
    assert told.unserved_kwh == pytest.approx(solved.unserved_kwh, abs=1e-3)


def test_what_does_not_fit_its_bounds_is_left_to_the_programme(horizon):
    (house,) = [flow for flow in horizon.flows if flow.era == "house-01"]
    too_much = house.least_kw - 1.0
    told, rest, unexplained = explained.apart(horizon, {"house-01": too_much})
    assert (dict(told.costs), list(unexplained)) == ({}, ["house-01"])
    assert house in rest.flows
    with pytest.raises(MarketError, match="no plan keeps"):
        plan(rest, unexplained)


def test_serving_nobody_costs_what_all_that_was_wanted_is_worth():
    nothing, much = np.zeros(4), np.full(4, math.inf)
    house = Flow("house", "grid", np.full(4, -2.0), nothing, np.full(4, 3.0), LOST, np.full(4, -2.0))
    works = Flow("works", "grid", np.full(4, -1.0), nothing, np.full(4, 0.5), GIVEN_UP, np.full(4, -1.0))
    wanted = np.array([-math.inf, -math.inf, 7.0, -math.inf])
    car = Store("car", "grid", np.full(4, 9.0), nothing, nothing, np.full(4, 7.0), wanted, nothing, lost_per_kwh=3.0)
    cellar = Store(
        "cellar", "grid", nothing, nothing, -much, np.full(4, 50.0), np.full(4, 20.0), nothing, 20.0, lost_per_kwh=1.0
    )
    horizon = Horizon(0.5, 4, (house, works), (car, cellar))
    worth = wanted_value(horizon)
    assert worth == pytest.approx(2 * 2 * 3.0 + 1 * 2 * 0.5 + 7 * 3.0)
    assert plan(horizon, {era: nothing for era in ("house", "works", "car", "cellar")}).cost == pytest.approx(worth)


def test_the_values_of_a_run_hold_its_cost_the_best_and_what_was_wanted(run_street):
    scenario = read(STREET, SIX_HOURS)
    ahead = hindsight(scenario)
    run = run_street("market.policy=none", *SIX_HOURS)
    values = values_of(run, ahead)
    assert values["cost"] == cost_of(run, ahead.horizon).total
    assert values["best_cost"] == ahead.best.total < values["cost"]
    # Of the cars none leaves within these hours, so that what they get is worth what is stored.
    drawn_kwh = -run.setpoints.query("era.str.startswith('house')")["delivered_kw"].sum() * run.hours
    assert values["wanted_value"] == pytest.approx(scenario.market.price_cap * drawn_kwh)


def test_runs_of_one_seed_are_one_in_hindsight_whatever_their_policy():
    key = hindsight_key(read(STREET, SIX_HOURS))
    assert hindsight_key(read(STREET, ("market.policy=none", *SIX_HOURS))) == key
    assert hindsight_key(read(STREET, ("seed=2", *SIX_HOURS))) != key
    assert hindsight_key(read(STREET, ("market.price_cap=4", *SIX_HOURS))) != key


PUMPS = "populations.battery={kind: heat_pump, name: hp, count: 1, resistance_k_per_kw: 6, capacity_kwh_per_k: 8, power_kw: 3}"
DISHES = "populations.house.tasks=[{name: dishes, energy_kwh: 1.1, power_kw: 1.8, earliest_h: 11, deadline_h: 12}]"


def asked(*overrides):
    return needs(horizon_for(read(HAMLET, overrides)))


@pytest.mark.parametrize(
    "other",
    [("populations.house.scale=2",), ("populations.house.count=3",), (DISHES,), (PUMPS,), ("seed=2", DISHES)],
    ids=["louder", "fewer", "tasks", "pumps", "another seed"],
)
def test_what_is_asked_for_tells_loads_tasks_and_buildings(other):
    assert asked(*other) != asked()


def test_what_is_asked_for_by_buildings_follows_the_weather():
    mild, cold = (asked(PUMPS, f"temperature={{mean_c: {mean}}}") for mean in (10, -5))
    assert mild != cold


@pytest.mark.parametrize(
    "other",
    [
        "market.policy=none",
        "market.price_cap=4",
        "populations.battery.capacity_kwh=20",
        "feeder.limits={import_share: 0.1}",
    ],
)
def test_what_is_asked_for_does_not_tell_who_serves_it(other):
    assert asked(other) == asked()
