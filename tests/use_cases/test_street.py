"""A street trades for a day, and the wires agree."""

from __future__ import annotations

import io
import shutil
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pytest import approx

from results.bills import case_of
from results.run import Run
from results.verify import verify
from scenarios.build import build
from scenarios.reader import read
from scenarios.runner import execute
from scenarios.timing import Stopwatch
from sim.contracts.settle import settle
from sim.errors import MarketError
from sim.ledger import balances
from sim.market.problem import Clearing, Problem
from tests.conftest import STREET, TWO_HOURS

Street = Callable[..., Run]
POLICIES = ("none", "curtail-only", "pay-as-clear", "locational")


def overloads(run: Run) -> tuple[int, int]:
    """Intervals in which the wires carried more than the rated limit: (import, export)."""
    nodes = run.table("nodes")
    return (
        int((nodes.wire_lv_kw > nodes.rated_import_kw).sum()),
        int((-nodes.wire_lv_kw > nodes.rated_export_kw).sum()),
    )


@pytest.mark.parametrize("each", [2, pytest.param(1000, marks=pytest.mark.slow)], ids=["two of each kind", "all"])
def test_a_third_party_computes_a_member_s_bill_from_contract_and_signals_alone(run_street: Street, each: int) -> None:
    run = run_street(*TWO_HOURS)
    members = run.participants.query("kind in ['household', 'solar', 'battery', 'ev', 'aggregator', 'retailer']")
    for era in members.groupby("kind").head(each)["era"]:
        contract, signals = case_of(run, era)
        report: Any = settle(contract, signals, era)
        posted = balances(posting for posting in run.ledger if posting.contract == contract["contractId"])
        assert {e: a for e, a in report["balances"].items() if a} == {e: a for (e, _), a in posted.items() if a}
        assert report["netZeroVerified"]


def test_without_coordination_the_street_overloads_its_transformer_both_ways(run_street: Street) -> None:
    evening, noon = overloads(run_street("market.policy=none"))
    assert evening > 0
    assert noon > 0


def test_one_price_for_all_moves_the_overload_to_the_cheap_hours(run_street: Street) -> None:
    run = run_street("market.policy=pay-as-clear")
    assert overloads(run)[0] > 0
    assert run.table("prices").adder_per_kwh.abs().max() == 0


def test_local_prices_keep_the_wires_within_their_limits_and_part_where_a_limit_binds(run_street: Street) -> None:
    run = run_street()
    assert overloads(run) == (0, 0)
    nodes = run.table("nodes")
    adders = run.table("prices").query("node != 'grid'").set_index("interval").adder_per_kwh
    binding = nodes.set_index("interval").binding
    assert set(binding) == {"", "FORWARD", "REVERSE"}
    assert (adders[binding == "FORWARD"] >= 0).all()
    assert (adders[binding == "REVERSE"] <= 0).all()
    assert (adders[binding == ""].abs() < 1e-9).all()
    assert adders.max() > 0.01
    assert adders.min() < -0.01


@pytest.mark.parametrize("policy", POLICIES)
def test_every_car_leaves_with_what_it_needed(policy: str, run_street: Street) -> None:
    sessions = run_street(f"market.policy={policy}").table("sessions")
    assert len(sessions) == 42
    assert sessions.finished.all()
    assert sessions.unserved_kwh.sum() == approx(0, abs=1e-6)


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_leaves_a_run_that_passes_its_audit(policy: str, run_street: Street) -> None:
    report = verify(run_street(f"market.policy={policy}"))
    assert report.findings == 0


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_sees_the_same_cars_and_the_same_sun(policy: str, run_street: Street) -> None:
    run, reference = run_street(f"market.policy={policy}"), run_street()
    columns = ["era", "arrival_s", "departure_s", "need_kwh"]
    assert run.table("sessions")[columns].equals(reference.table("sessions")[columns])
    sun, reference_sun = (
        r.table("setpoints").dropna(subset="available_kw").available_kw.sum() for r in (run, reference)
    )
    assert sun == approx(reference_sun)


@pytest.mark.parametrize("policy", POLICIES)
def test_money_sums_to_zero_and_the_market_keeps_only_its_fee(policy: str, run_street: Street) -> None:
    run = run_street(f"market.policy={policy}")
    postings = run.ledger
    balance = balances(postings)
    assert sum(balance.values()) == 0
    fees = sum((p.amount for p in postings if p.term == "fee" and p.payee == "market"), Decimal(0))
    accounts = {(p.contract, p.term) for p in postings if "market" in (p.payer, p.payee)}
    assert abs(balance.get(("market", "EUR"), Decimal(0)) - fees) <= Decimal("0.005") * len(accounts)


@pytest.mark.parametrize("policy", POLICIES)
def test_the_power_flow_balances_to_a_watt_in_every_interval(policy: str, run_street: Street) -> None:
    intervals = run_street(f"market.policy={policy}").table("intervals")
    assert (intervals.status == "OK").all()
    assert intervals.residual_kw.abs().max() <= 1e-3


def test_every_locational_clearing_is_certified(run_street: Street) -> None:
    intervals = run_street().table("intervals")
    assert intervals.certified.all()
    assert not intervals.fallback.any()


def test_a_day_exchanges_exactly_these_messages(run_street: Street) -> None:
    run = run_street(*TWO_HOURS)
    counts = run.manifest["messages"]
    assert all(count["nack"] == 0 for count in counts.values())
    members = 41 + 30 + 36 + 10 + 6
    assert counts["init"]["ack"] == 2 * (members + 2)  # each member and both hosts' own, each approved by the utility
    assert counts["on_init"]["ack"] == counts["init"]["ack"]
    assert counts["aggregate"]["ack"] == counts["assess"]["ack"] == run.intervals["rounds"].sum() >= 8
    assert counts["confirm"]["ack"] == counts["on_confirm"]["ack"]
    assert counts["on_status"]["ack"] == 8 * (members + 2 + 1 + 1)  # owners, two hosts, one transformer, the utility


def test_the_sequence_of_one_battery_s_first_interval_is_the_market_s(run_street: Street) -> None:
    run = run_street(*TWO_HOURS)
    seen = Counter[str]()
    sequence = []
    for record in run.journal():
        if record["kind"] != "message":
            continue
        context = record["body"]["context"]
        parties = {context["bapId"], context["bppId"]}
        lineage = "lineage" in context and context["bppId"] == "utility" and "contract" in record["body"]["message"]
        if "battery-01" in parties or (lineage and _about(record["body"]) == "battery-01"):
            back = context["action"].startswith("on_")
            ends = (context["bppId"], context["bapId"]) if back else (context["bapId"], context["bppId"])
            seen[context["action"]] += 1
            sequence.append(f"{ends[0]} -> {ends[1]} {context['action']}")
    assert sequence[:14] == [
        "battery-01 -> catalogue discover",
        "battery-01 -> market discover",
        "catalogue -> battery-01 on_discover",
        "market -> battery-01 on_discover",
        "battery-01 -> market init",
        "market -> utility init",
        "utility -> market on_init",
        "market -> battery-01 on_init",
        "battery-01 -> market confirm",
        "market -> battery-01 on_confirm",
        "battery-01 -> market confirm",
        "market -> battery-01 on_confirm",
        "metering -> battery-01 on_status",
        "market -> battery-01 on_update",
    ]
    assert seen["confirm"] == seen["on_confirm"] == 8
    assert seen["on_status"] == 8


def _about(body: dict[str, dict[str, dict[str, list[dict[str, list[dict[str, str]]]]]]]) -> str:
    return body["message"]["contract"]["commitments"][0]["resources"][0]["id"]


def test_a_run_is_the_same_to_the_byte_when_run_again(run_street: Street, tmp_path: Path) -> None:
    run = run_street(*TWO_HOURS)
    again = Run(execute(read(STREET, TWO_HOURS), tmp_path / "again"))
    assert again.manifest["journalHead"] == run.manifest["journalHead"]
    assert again.manifest["tables"] == run.manifest["tables"]
    other = Run(execute(read(STREET, [*TWO_HOURS, "seed=2"]), tmp_path / "other"))
    assert other.manifest["journalHead"] != run.manifest["journalHead"]


def test_limits_that_the_inelastic_load_alone_exceeds_curtail_it_and_say_so(tmp_path: Path) -> None:
    run = Run(
        execute(read(STREET, [*TWO_HOURS, "feeder.limits.import_share=0.05", "populations.pv.count=0"]), tmp_path / "r")
    )
    setpoints = run.table("setpoints")
    assert (setpoints.curtailed_kw > 0).any()
    prices = run.table("prices").query("node != 'grid'")
    assert prices.price_per_kwh.max() == approx(3.0)  # the price cap
    assert overloads(run)[0] == 0
    assert verify(run).findings == 0


def test_a_grid_without_a_solution_is_marked_held_and_survived(tmp_path: Path) -> None:
    wild = [*TWO_HOURS, "market.policy=none", "populations.house.scale=80", "populations.house.connection_kw=5000"]
    run = Run(execute(read(STREET, wild), tmp_path / "r"))
    intervals = run.table("intervals")
    failed = intervals[intervals.status == "PHYSICS_FAILED"].interval.tolist()
    assert failed
    assert run.manifest["heldIntervals"] == failed
    assert not set(run.table("postings").interval) & set(failed)
    report = verify(run)
    assert report.findings >= len(failed)
    limits = run.table("nodes").set_index("interval").import_limit_kw
    assert limits.iloc[-1] < limits.iloc[0]


def test_the_surplus_of_local_prices_is_the_congestion_rent(run_street: Street) -> None:
    """Σ adder · flow over the nodes, independently of what was paid."""
    run = run_street()
    flows = run.table("nodes").merge(run.table("prices"), on=["interval", "node"])
    by_interval = (flows.adder_per_kwh * flows.market_flow_kw).groupby(flows.interval).sum() * 0.25
    rent = run.table("intervals").set_index("interval").rent
    assert rent.to_numpy() == approx(by_interval.to_numpy(), abs=1e-6)
    posted = sum((p.amount for p in run.ledger if p.term == "congestion rent"), Decimal(0))
    assert float(posted) == approx(rent.sum(), abs=0.005)


def bill(run: Run, era: str, fee_per_kwh: float) -> float:
    """What ``era`` paid (+), from tables alone: readings, awards and prices against the scenario's rates."""
    rows = run.table("setpoints").query("era == @era").merge(run.table("intervals"), on="interval")
    tariffs = run.manifest["scenario"]["tariffs"]
    energy, cleared = rows.energy_wh / 1000, rows.setpoint_kw * 0.25
    price = rows.price_per_kwh.fillna(0.0)
    missed = energy - cleared
    deviation = missed.clip(lower=0) * (rows.export_price - tariffs["penalty_per_kwh"]) + missed.clip(upper=0) * (
        rows.import_price + tariffs["penalty_per_kwh"]
    )
    tax = tariffs["tax_rate"] * (-cleared).clip(lower=0) * price.clip(lower=0)
    wheeling = tariffs["wheeling_per_kwh"] * (-energy).clip(lower=0)
    return float((-cleared * price - deviation + wheeling + fee_per_kwh * cleared.abs() + tax).sum())


@pytest.mark.parametrize(
    ("era", "fee_per_kwh"), [("house-07", 0.002), ("pv-03", 0.002), ("battery-02", 0.002), ("fleet-01", 0.005)]
)
def test_a_bill_can_be_computed_again_from_the_tables(era: str, fee_per_kwh: float, run_street: Street) -> None:
    run = run_street()
    paid = -float(balances(run.ledger)[era, "EUR"])
    assert paid == approx(bill(run, era, fee_per_kwh), abs=0.005 * 5)


def test_every_participant_was_told_what_it_owes() -> None:
    built = build(read(STREET, TWO_HOURS), io.BytesIO(), Stopwatch())
    built.world.run(lambda _, __: None)
    owed: dict[str, Decimal] = {}
    for posting in built.world.ledger:
        if posting.term not in (
            "congestion rent",
            "losses and imbalance",
        ):  # contracts of hosts and utility, not of members
            owed[posting.payer] = owed.get(posting.payer, Decimal(0)) - posting.amount
            owed[posting.payee] = owed.get(posting.payee, Decimal(0)) + posting.amount
    told = {resource.era: resource.balance for resource in built.resources if resource.kind != "aggregator"}
    assert told == approx({era: float(owed.get(era, 0)) for era in told}, abs=1e-9)
    built.world.close()


def test_every_contract_ends_fulfilled_or_never_cleared(run_street: Street) -> None:
    last: dict[str, str] = {}
    for record in run_street(*TWO_HOURS).message_records("on_update"):
        contract = record["body"]["message"]["contract"]
        last[contract["id"]] = contract["contractAttributes"]["status"]
    assert len(last) == 41 + 30 + 36 + 10 + 6 + 2
    assert set(last.values()) == {"COMPLETED", "TERMINATED"}


def test_an_aggregator_of_everybody_still_trades_and_settles_with_the_market(tmp_path: Path) -> None:
    hosted = [f"populations.{name}.host=aggregator" for name in ("house", "pv", "ev", "battery")]
    run = Run(execute(read(STREET, [*TWO_HOURS, *hosted]), tmp_path / "r"))
    energy = [p for p in run.ledger if p.term == "energy" and "market" in (p.payer, p.payee)]
    assert {*(p.payer for p in energy), *(p.payee for p in energy)} == {"market", "aggregator", "retailer"}
    assert verify(run).findings == 0


def failing(problem: Problem) -> Clearing:
    """A policy that never finds a solution."""
    raise MarketError("failing", f"{len(problem.offers)} offers are too many")


def test_when_the_fallback_serves_the_market_still_keeps_only_its_fee(tmp_path: Path) -> None:
    run = Run(execute(read(STREET, [*TWO_HOURS, f"market.policy={__name__}:failing"]), tmp_path / "r"))
    intervals = run.table("intervals")
    assert intervals.fallback.all()
    assert set(intervals.policy) == {"curtail-only"}
    assert verify(run).findings == 0
    balance = balances(run.ledger)
    fees = sum((p.amount for p in run.ledger if p.term == "fee" and p.payee == "market"), Decimal(0))
    assert abs(balance["market", "EUR"] - fees) < Decimal("0.7")


def test_a_manifest_that_tells_of_another_scenario_is_found(run_street: Street, tmp_path: Path) -> None:
    shutil.copytree(run_street(*TWO_HOURS).path, tmp_path / "r")
    manifest = tmp_path / "r" / "run.json"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace('"seed": 1,', '"seed": 7,', 1), encoding="utf-8")
    report = verify(Run(tmp_path / "r"))
    assert report.findings == 1


@pytest.mark.parametrize(
    ("told", "instead"),
    [(b'"wheelingPerKWh":0.02', b'"wheelingPerKWh":0.03'), (b"* feePerKWh", b"* taxRate")],
    ids=["another charge", "another formula"],
)
def test_bills_that_do_not_follow_from_what_members_were_told_are_found(
    told: bytes, instead: bytes, run_street: Street, tmp_path: Path
) -> None:
    shutil.copytree(run_street(*TWO_HOURS).path, tmp_path / "r")
    journal = tmp_path / "r" / "journal.jsonl"
    content = journal.read_bytes()
    assert told in content
    journal.write_bytes(content.replace(told, instead))
    findings = verify(Run(tmp_path / "r")).audits["bills"].findings
    assert findings
    assert "not posted" in str(findings[-1])


def test_all_postings_but_losses_and_rent_are_computed_again(run_street: Street) -> None:
    run = run_street(*TWO_HOURS)
    others = sum(p.term not in ("losses and imbalance", "congestion rent") for p in run.ledger)
    checked = verify(run).audits["bills"].checked
    assert checked.startswith(f"{others:,} of {len(run.ledger):,} postings")


def test_every_leg_that_a_host_cascades_to_the_utility_names_the_message_it_descends_from(
    run_street: Callable[..., Run],
) -> None:
    """car ──init──► aggregator ──init──► utility; market ──aggregate──► itself ──assess──► utility ──► market ──confirm──► utility"""
    run = run_street("duration_h=1", "start=2016-05-17T19:00:00")
    seen: dict[str, str] = {}
    legs: Counter[tuple[str, str, str]] = Counter()
    for record in run.message_records():
        context = record["body"]["context"]
        asks = not context["action"].rpartition("/")[2].startswith("on_")
        if asks and context["bppId"] == "utility":
            legs[context["bapId"], context["action"], seen[context["lineage"]["messageId"]]] += 1
        else:
            assert not asks or "lineage" not in context
        seen[context["messageId"]] = context["action"]
    assert legs.keys() == {
        ("market", "init", "init"),
        ("market", "assess", "on_aggregate"),
        ("market", "confirm", "on_assess"),
        ("aggregator", "init", "init"),
        ("aggregator", "confirm", "on_confirm"),
    }
