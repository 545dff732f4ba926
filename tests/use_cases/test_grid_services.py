"""What a grid node does to the market below it: an adder that follows its load, a limit, and a command on a plateau."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pytest import approx

from results.run import Run
from results.verify import verify
from scenarios.reader import read
from sim.errors import ScenarioError
from tests.use_cases.market_cases import USE_CASES, Cases, Live, balance, balances, cases, cleared, price, said

CLOSING = "market.adders={rule: utilisation, threshold_percent: 75, per_percent: 0.0085}"


@pytest.fixture(scope="module")
def run_adder(tmp_path_factory: pytest.TempPathFactory) -> Cases:
    return cases("grid-services", tmp_path_factory)


@pytest.fixture(scope="module")
def run_noon(tmp_path_factory: pytest.TempPathFactory) -> Cases:
    return cases("grid-services-reverse-flow", tmp_path_factory)


@pytest.fixture(scope="module")
def run_plateau(tmp_path_factory: pytest.TempPathFactory) -> Cases:
    return cases("grid-services-plateau", tmp_path_factory)


def carried_kw(run: Run, node: str = "trafo") -> list[float]:
    """What the wires carried into a node's low-voltage side, by interval."""
    return list(run.nodes[run.nodes.node == node].sort_values("interval").wire_lv_kw)


def adders(run: Run, node: str = "trafo") -> list[float]:
    return list(run.prices[run.prices.node == node].sort_values("interval").adder_per_kwh)


def published(run: Run, node: str = "trafo") -> list[dict[str, Any]]:
    """What a node has said of itself, in order."""
    return [
        body["message"]["catalogs"][0]["resources"][0]["resourceAttributes"]
        for body in said(run, "catalog/publish", node)
    ]


# --- an adder that follows the load ---------------------------------------------------------------------------------


def test_at_85_percent_a_kilowatt_hour_costs_0_085_more_and_at_75_percent_0_075(run_adder: Cases) -> None:
    """170 of 200 kW and 150 of 200 kW.  A reading comes after the gate of the interval that follows it."""
    run = run_adder()
    assert carried_kw(run) == approx([170, 170, 150, 130, 130, 130, 130, 130])
    assert adders(run) == approx([0, 0, 0.085, 0.085, 0.075, 0.065, 0.065, 0.065])
    assert price(run, "trafo")[2] == approx(0.10 + 0.085)
    assert price(run) == approx([0.10] * 8)


def test_whoever_gives_below_the_node_is_paid_the_adder_too(run_adder: Cases) -> None:
    run = run_adder()
    own = run.setpoints[run.setpoints.era == "generator-01"].sort_values("interval")
    assert list(own.price_per_kwh) == approx(price(run, "trafo"))
    earned = sum(Decimal(str(p)) * 10 / 4 for p in price(run, "trafo"))
    assert balance(run, "generator-01", "energy") == approx(earned, abs=Decimal("0.005"))


def test_what_the_adder_brings_belongs_to_the_grid_operator(run_adder: Cases) -> None:
    """Σ adder · flow · Δt, and nothing stays with the market, which takes no fee here."""
    run = run_adder()
    brought = sum(adder * kw / 4 for adder, kw in zip(adders(run), carried_kw(run), strict=True))
    assert balance(run, "utility", "congestion rent") == approx(Decimal(brought), abs=Decimal("0.005"))
    assert abs(balance(run, "market")) <= Decimal("0.01")
    assert sum(balances(run).values()) == 0


def test_without_an_adder_nobody_leaves(run_adder: Cases) -> None:
    run = run_adder("market.adders=null")
    assert carried_kw(run) == approx([170] * 3 + [150] * 5)
    assert adders(run) == approx([0] * 8)
    assert all("locationalPriceAdder" not in node for node in published(run))


def test_a_node_tells_its_load_and_adder_after_every_reading_and_the_next_gate_hears_it(run_adder: Cases) -> None:
    run = run_adder()
    nodes = published(run)
    assert [n["gridConstraints"]["currentLoadKW"] for n in nodes] == approx([0, 170, 170, 150, *[130] * 5])
    told = [n["locationalPriceAdder"]["currentPrice"] for n in nodes]
    assert told == approx([0, 0.085, 0.085, 0.075, *[0.065] * 5])
    heard = [
        resource["resourceAttributes"]["locationalPriceAdder"]["currentPrice"]
        for body in said(run, "on_discover", "catalogue", "market")
        for catalog in body["message"]["catalogs"]
        for resource in catalog["resources"]
    ]
    assert heard == approx(adders(run))


def test_above_a_threshold_the_adder_ends_with_the_event_and_who_had_left_comes_back(run_adder: Cases) -> None:
    """0.0085 for each percent above 75: 0.085 at 85 %, nothing at 75 %."""
    run = run_adder(CLOSING)
    assert adders(run) == approx([0, 0, 0.085, 0.085, 0, 0, 0, 0])
    assert published(run)[3]["locationalPriceAdder"]["currentPrice"] == approx(0, abs=1e-12)
    assert cleared(run, "cold-store-01") == approx([-20, -20, 0, 0, -20, -20, -20, -20])
    assert carried_kw(run)[-1] == approx(150)


# --- a limit --------------------------------------------------------------------------------------------------------


def test_a_reverse_flow_limit_leaves_2_5_kw_of_each_roof_at_0_061667(run_noon: Cases) -> None:
    run = run_noon()
    assert price(run) == approx([0.08] * 4)
    assert price(run, "trafo") == approx([0.0616666667] * 4)
    assert adders(run) == approx([-0.0183333333] * 4)
    assert cleared(run, "roof-20") == approx([2.5] * 4)
    assert carried_kw(run) == approx([-50] * 4)
    assert set(run.nodes.binding) == {"REVERSE"}


def test_the_rent_of_a_reverse_flow_limit_is_positive_and_the_grid_operator_s(run_noon: Cases) -> None:
    """An adder below zero on a flow below zero: 0.018333 on 50 kWh."""
    run = run_noon()
    assert balance(run, "utility", "congestion rent") == approx(Decimal("0.9167"), abs=Decimal("0.005"))
    assert sum(balances(run).values()) == 0


def test_where_nothing_binds_there_is_no_adder(run_noon: Cases) -> None:
    run = run_noon("feeder.limits.export_kw=120")
    assert adders(run) == approx([0] * 4)
    assert carried_kw(run) == approx([-100] * 4)
    assert "congestion rent" not in set(run.postings.term)


def test_a_market_that_looks_at_no_limit_sends_back_twice_what_it_may(run_noon: Cases) -> None:
    run = run_noon("market.policy=pay-as-clear")
    assert carried_kw(run) == approx([-100] * 4)
    assert price(run, "trafo") == approx([0.08] * 4)


# --- a plateau, and a command ---------------------------------------------------------------------------------------


def test_a_command_moves_two_kilowatts_from_the_first_battery_to_the_second(run_plateau: Cases) -> None:
    run = run_plateau()
    assert cleared(run, "first-01") == approx([2, 2, 0, 0])
    assert cleared(run, "second-01") == approx([2, 2, 4, 4])
    assert cleared(run, "load-01") == approx([-4] * 4)
    assert price(run) == price(run, "left") == price(run, "right") == approx([0.10] * 4)
    assert carried_kw(run, "left") == approx([-2, -2, 0, 0], abs=1e-9)
    assert list(run.intervals.rounds) == [1, 1, 2, 2]


def test_the_command_is_published_echoed_and_never_cleared_by_name(run_plateau: Cases) -> None:
    run = run_plateau()
    (command,) = {str(node["offsetCommand"]) for node in published(run, "left")}
    assert "'offsetKW': -2" in command
    echoes = [
        body["message"]["contract"]["contractAttributes"].get("offsetCommand")
        for body in said(run, "on_confirm", "market", "first-01")
    ]
    assert echoes == [None, None, {"offsetKW": -2.0}, {"offsetKW": -2.0}]
    others = said(run, "on_confirm", "market", "second-01")
    assert all("offsetCommand" not in body["message"]["contract"]["contractAttributes"] for body in others)


def test_moving_who_does_not_care_is_settled_at_nothing(run_plateau: Cases) -> None:
    """The uplift is |offset| · Δt · (price − own marginal cost), and on a plateau the two are equal."""
    run = run_plateau()
    assert "uplift" not in set(run.postings.term)
    told = [record["event"] for record in run.journal() if record["kind"] == "event"]
    (contract,) = {e["contractId"] for e in told if e["data"].get("templateId") == "offset-uplift"}
    computed = [e for e in told if e["contractId"] == contract and e["eventType"] == "SETTLEMENT_COMPUTED"]
    assert [e["data"]["postings"] for e in computed] == [[], []]
    assert balance(run, "first-01") == Decimal("0.10")
    assert balance(run, "second-01") == Decimal("0.30")


def test_moving_who_does_care_is_paid_by_the_grid_operator(run_plateau: Cases) -> None:
    """The first would sell 2.5 kW at 0.10; held back to 0.5 kW its own marginal cost is 0.06: 2 kW · 0.5 h · 0.04."""
    run = run_plateau("populations.first.points=[[0.05,0],[0.15,5]]")
    assert cleared(run, "first-01") == approx([2.5, 2.5, 0.5, 0.5])
    assert cleared(run, "second-01") == approx([1.5, 1.5, 3.5, 3.5])
    assert balance(run, "first-01", "uplift") == Decimal("0.04")
    assert balance(run, "utility", "uplift") == Decimal("-0.04")
    assert sum(balances(run).values()) == 0
    report = verify(run)
    assert report.findings == 0


def test_a_command_that_makes_somebody_run_is_paid_for_too(run_plateau: Cases) -> None:
    """3 kW more of a first battery that asks 0.13 from 0 kW on, at a price of 0.10: 3 kW · 0.5 h · 0.03."""
    run = run_plateau("populations.first.points=[[0.13,0],[0.13,5]]", "market.offsets.0.kw=3")
    assert cleared(run, "first-01") == approx([0, 0, 3, 3])
    assert balance(run, "first-01", "uplift") == approx(Decimal("0.045"), abs=Decimal("0.005"))


def test_a_command_beyond_what_can_be_moved_moves_what_can(run_plateau: Cases) -> None:
    run = run_plateau("market.offsets.0.kw=-50")
    assert cleared(run, "first-01") == approx([2, 2, -5, -5])
    assert cleared(run, "second-01") == approx([2, 2, 5, 5])
    assert cleared(run, "retailer") == approx([0, 0, 4, 4])


def test_a_command_to_a_node_that_is_not_there_is_told_before_the_run() -> None:
    with pytest.raises(ScenarioError, match="no transformer or limited line lift") as refused:
        Live("grid-services-plateau", "market.offsets.0.node=lift")
    assert "did you mean left" in str(refused.value)


def test_two_commands_to_one_node_are_refused() -> None:
    twice = "market.offsets=[{node: left, kw: 1}, {node: left, kw: 2}]"
    with pytest.raises(ScenarioError, match="several of left"):
        read(USE_CASES / "grid-services-plateau.yaml", [twice])


def test_a_command_to_a_market_without_members_moves_nobody(run_plateau: Cases) -> None:
    """The utility's approvals come too late: nobody is admitted, and there is nothing to move."""
    run = run_plateau("wire.delays=[{from: utility, by_s: 70}]")
    assert run.clearings
    assert set(run.postings.term) == {"losses and imbalance"}
    assert verify(run).findings == 0


def test_without_a_retailer_what_nobody_can_balance_is_told_in_its_certificate(run_adder: Cases) -> None:
    """170 kW of fixed loads and a generator of 10 kW: the stand-in cannot balance, and does not say that it does."""
    run = run_adder("wire.delays=[{from: retailer, by_s: 400}]")
    assert not run.intervals.certified.any()
    violations = run.clearing_problem(0)[1]["message"]["aggregationResult"]["certificate"]["violations"]
    assert "balance" in {violation["condition"] for violation in violations}
    assert verify(run).findings == 0
