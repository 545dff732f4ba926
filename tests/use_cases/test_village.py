"""A village on long lines: the voltage binds at noon, and prices part bus by bus to hold it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from pytest import approx

from results.run import Run
from results.verify import verify
from scenarios.reader import read
from scenarios.runner import execute
from sim.ledger import balances
from tests.conftest import ROOT

VILLAGE = ROOT / "scenarios" / "village.yaml"
V_MAX_PU = 1.1
MARGIN_PU = 0.005
SEEDS = (1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow))
NOON = ("start=2016-05-17T11:00:00", "duration_h=3")

Village = Callable[..., Run]


@pytest.fixture(scope="module")
def run_village(tmp_path_factory: pytest.TempPathFactory) -> Village:
    """Runs the village with overrides, each set of them once."""
    known: dict[tuple[str, ...], Run] = {}

    def run(*overrides: str) -> Run:
        if overrides not in known:
            known[overrides] = Run(execute(read(VILLAGE, overrides), tmp_path_factory.mktemp("village") / "run"))
        return known[overrides]

    return run


def seeded(seed: int) -> tuple[str, ...]:
    return () if seed == 1 else (f"seed={seed}",)


def test_no_interval_needs_another_policy_for_what_losses_come_to(run_village: Village) -> None:
    """Marginal losses are linearised round an outcome; what they bring may fall a little short in another one."""
    run = run_village()
    assert run.manifest["policyStopped"] == {}
    assert run.intervals["loss_surplus"].min() < 0


def priced_bounds(run: Run) -> pd.DataFrame:
    """Voltages that held somebody back."""
    return run.table("bounds").query("price_per_unit > 1e-6")


def outside(run: Run) -> tuple[int, float]:
    """Bus-minutes beyond the band of EN 50160, and the highest voltage."""
    v_pu = run.table("voltages").v_pu
    return int(((v_pu > V_MAX_PU) | (v_pu < 0.9)).sum()) * 15, float(v_pu.max())


# --- the wires ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_local_prices_hold_every_voltage_and_bind_for_hours_around_noon(seed: int, run_village: Village) -> None:
    run = run_village(*seeded(seed))
    intervals = run.table("intervals")
    assert intervals.certified.all()
    assert (intervals.status == "OK").all()
    assert not intervals.fallback.any()
    assert outside(run)[0] == 0
    assert len(priced_bounds(run).interval.unique()) >= 4
    assert {name.split()[0] for name in run.table("bounds").bound} == {"voltage"}


@pytest.mark.parametrize(
    ("seed", "bus_minutes", "highest_pu"),
    [
        (1, 555, 1.112),
        pytest.param(2, 990, 1.120, marks=pytest.mark.slow),
        pytest.param(3, 210, 1.105, marks=pytest.mark.slow),
    ],
)
def test_one_price_for_all_lets_the_voltage_out_of_bounds(
    seed: int, bus_minutes: int, highest_pu: float, run_village: Village
) -> None:
    run = run_village(*seeded(seed), "market.policy=pay-as-clear")
    minutes, pu = outside(run)
    assert minutes == approx(bus_minutes, rel=0.1)
    assert pu == approx(highest_pu, abs=1e-3)
    assert run.table("bounds").empty
    assert (run.table("intervals")["rounds"] == 1).all()


def test_where_a_voltage_binds_the_wires_end_at_it_within_what_nobody_had_forecast(run_village: Village) -> None:
    """The margin of 0.005 pu is for roofs and households that do not do what they offered."""
    run = run_village()
    highest = run.table("voltages").groupby("interval").v_pu.max()
    binding = highest[highest.index.isin(priced_bounds(run).interval)]
    assert (binding > V_MAX_PU - 2 * MARGIN_PU).all()
    assert (binding < V_MAX_PU).all()


@pytest.mark.parametrize("policy", ["curtail-only", "adder-ascent"])
def test_every_policy_that_heeds_what_the_wires_say_holds_the_voltage_at_its_own_cost(
    policy: str, run_village: Village
) -> None:
    run, best = run_village(*NOON, f"market.policy={policy}"), run_village(*NOON)
    assert outside(run)[0] == outside(best)[0] == 0
    assert run.table("intervals").welfare.sum() <= best.table("intervals").welfare.sum()


def test_members_of_a_host_are_held_back_through_it(run_village: Village) -> None:
    pool = ("populations.battery.host=pool", "aggregators=[{name: pool, fee_per_kwh: 0.005}]")
    run = run_village(*NOON, *pool)
    assert run.table("intervals").certified.all()
    assert outside(run)[0] == 0
    assert not priced_bounds(run).empty
    assert verify(run).findings == 0


# --- prices ---------------------------------------------------------------------------------------------------------


def outcomes(run: Run) -> list[tuple[Any, Any]]:
    """The last problem and outcome of every interval, from the journal alone."""
    last: dict[str, tuple[Any, Any]] = {}
    for request, answer in run.aggregates():
        problem = request["message"]["aggregationRequest"]
        last[problem["timeWindow"]["start"]] = problem, answer["message"]["aggregationResult"]
    return list(last.values())


@pytest.mark.parametrize("seed", SEEDS)
def test_a_price_is_its_node_s_with_losses_less_what_every_voltage_is_worth_there(
    seed: int, run_village: Village
) -> None:
    held_back = 0
    for problem, result in outcomes(run_village(*seeded(seed))):
        node_price = {node["era"]: node["locationalPrice"] for node in result["gridNodes"]}
        worth = {bound["id"]: bound["price"] for bound in result.get("linearLimits", ())}
        weights = {
            limit["id"]: {w["era"]: w["weight"] for w in limit["weights"]} for limit in problem.get("linearLimits", ())
        }
        told = {setpoint["era"]: setpoint["price"] for setpoint in result["setpoints"]}
        for offer in problem["participants"]:
            era = offer["era"]
            expected = node_price[offer["gridNode"]] + offer.get("adderPerKWh", 0.0)
            expected -= sum(mu * weights[name].get(era, 0.0) for name, mu in worth.items())
            assert told[era] == approx(expected, abs=1e-9)
        held_back += any(mu > 1e-6 for mu in worth.values())
    assert held_back >= 4


@pytest.mark.parametrize("seed", SEEDS)
def test_the_farther_down_the_line_the_lower_the_price_while_the_voltage_binds(seed: int, run_village: Village) -> None:
    run = run_village(*seeded(seed))
    binding = priced_bounds(run).query("bound == 'voltage north12 high' and price_per_unit > 10").interval
    rows = run.table("setpoints").merge(run.participants[["era", "bus"]], on="era")
    by_bus = rows[rows.interval.isin(binding)].groupby(["interval", "bus"]).price_per_kwh.mean().unstack()
    north = by_bus[[f"north{k}" for k in range(1, 13)]].dropna(axis=1)
    assert (north.diff(axis=1).iloc[:, 1:] < 0).all().all()
    assert (north.iloc[:, 0] - north.iloc[:, -1] > 0.05).all()
    assert ((by_bus["south1"] - by_bus["south8"]).abs() < 0.01).all()  # the other line only pays its losses


def test_where_nothing_binds_prices_differ_by_losses_alone(run_village: Village) -> None:
    run = run_village()
    quiet = run.table("setpoints")[lambda rows: ~rows.interval.isin(run.table("bounds").interval)]
    spread = quiet.groupby("interval").price_per_kwh.agg(lambda prices: prices.max() - prices.min())
    price = run.table("prices").query("node == 'grid'").set_index("interval").price_per_kwh
    assert spread.max() > 0
    assert (spread <= 0.15 * price[spread.index]).all()


# --- money ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_money_sums_to_zero_and_an_audit_finds_nothing(seed: int, run_village: Village) -> None:
    run = run_village(*seeded(seed))
    assert sum(balances(run.ledger).values()) == 0
    assert verify(run).findings == 0


def posted(run: Run, term: str) -> float:
    """What the grid operator has received from the market, net."""
    signs = {("market", "utility"): 1, ("utility", "market"): -1}
    return float(sum((signs[p.payer, p.payee] * p.amount for p in run.ledger if p.term == term), Decimal(0)))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_loss_surplus_is_what_known_adders_brought_and_the_rent_what_voltages_did(
    seed: int, run_village: Village
) -> None:
    run = run_village(*seeded(seed))
    losses = rent = 0.0
    for problem, result in outcomes(run):
        power = {setpoint["era"]: setpoint["setpointKW"] for setpoint in result["setpoints"]}
        losses -= 0.25 * sum(o.get("adderPerKWh", 0.0) * power[o["era"]] for o in problem["participants"])
        rent += 0.25 * sum(bound["price"] * bound["value"] for bound in result.get("linearLimits", ()))
    assert posted(run, "loss surplus") == approx(losses, abs=0.01)
    assert posted(run, "congestion rent") == approx(rent, abs=0.01)
    assert run.table("intervals").rent.sum() == approx(rent, abs=1e-3)
    assert run.table("intervals").loss_surplus.sum() == approx(losses, abs=1e-3)


def test_marginal_losses_bring_about_twice_what_the_losses_cost(run_village: Village) -> None:
    """Copper losses go with the square of the flow; iron losses of 0.8 kW go with nothing."""
    run = run_village()
    lost: dict[str, float] = {}
    for record in run.message_records("on_assess"):
        context = record["body"]["context"]
        lost[context["messageId"]] = record["body"]["message"]["assessment"]["lossesKW"]
    asked = {
        r["body"]["context"]["messageId"]: r["body"]["message"]["assessmentRequest"]
        for r in run.message_records("assess")
    }
    last = {request["timeWindow"]["start"]: lost[number] for number, request in asked.items()}
    twice = brought = 0.0
    for problem, result in outcomes(run):
        price = next(node["locationalPrice"] for node in result["gridNodes"] if node["era"] == "grid")
        power = {setpoint["era"]: setpoint["setpointKW"] for setpoint in result["setpoints"]}
        brought -= sum(o.get("adderPerKWh", 0.0) * power[o["era"]] for o in problem["participants"])
        twice += 2 * price * (last[problem["timeWindow"]["start"]] - 0.8)
    assert brought == approx(twice, rel=0.1)
