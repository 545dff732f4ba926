"""Medium and low voltage in one market: limits within limits, both ways."""

from __future__ import annotations

import resource
import sys
import time
from decimal import Decimal
from pathlib import Path

import pandapower as pp
import pytest
from pytest import approx

from results.run import Run
from results.verify import verify
from scenarios.reader import read
from scenarios.runner import execute
from sim.ledger import balances
from tests.conftest import ROOT
from tests.grid_models.test_feeders import town as large_town

TOWN = ROOT / "scenarios" / "town.yaml"
VILLAGE = ROOT / "scenarios" / "village.yaml"
STREETS = {"market-street", "mill-lane", "hill-road", "lake-side", "new-street"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(execute(read(TOWN), tmp_path_factory.mktemp("town") / "run"))


def test_every_street_hangs_below_the_cable(run: Run) -> None:
    assert set(run.table("nodes").node) == STREETS | {"cable"}
    assert set(run.participants.query("kind == 'household'").node) == STREETS


def test_every_outcome_is_certified_and_every_interval_has_a_power_flow(run: Run) -> None:
    intervals = run.table("intervals")
    assert len(intervals) == 48
    assert intervals.certified.all()
    assert (intervals.status == "OK").all()
    assert not intervals.fallback.any()
    assert intervals.residual_kw.abs().max() <= 1e-3


def test_a_street_and_the_cable_above_it_bind_in_both_directions_and_sometimes_together(run: Run) -> None:
    held = run.table("nodes").query("binding != ''")
    assert {(row.node, row.binding) for row in held.itertuples()} == {
        ("new-street", "FORWARD"), ("new-street", "REVERSE"), ("cable", "FORWARD"), ("cable", "REVERSE"),
    }  # fmt: skip
    together = held.groupby("interval").node.nunique()
    assert (together == 2).sum() >= 2


def test_adders_add_up_along_the_way_and_only_where_a_limit_binds(run: Run) -> None:
    prices = run.table("prices").set_index(["interval", "node"])
    price, adder = prices.price_per_kwh.unstack(), prices.adder_per_kwh.unstack()
    binding = run.table("nodes").set_index(["interval", "node"]).binding.unstack()
    for street in STREETS:
        assert price[street].to_numpy() == approx((price["grid"] + adder["cable"] + adder[street]).to_numpy(), abs=1e-9)
    for node in STREETS | {"cable"}:
        assert (adder[node][binding[node] == "FORWARD"] >= 0).all()
        assert (adder[node][binding[node] == "REVERSE"] <= 0).all()
        assert (adder[node][binding[node] == ""].abs() < 1e-9).all()
    nested = (adder["cable"] > 1e-4) & (adder["new-street"] > 1e-4)
    assert nested.sum() >= 2


def test_the_wires_keep_every_limit_and_every_voltage(run: Run) -> None:
    nodes = run.table("nodes")
    assert (nodes.wire_lv_kw <= nodes.rated_import_kw).all()
    assert (-nodes.wire_lv_kw <= nodes.rated_export_kw).all()
    assert run.table("voltages").v_pu.between(0.9, 1.1).all()


def test_without_coordination_the_cable_or_the_street_carries_more_than_it_may(tmp_path: Path) -> None:
    evening = ("start=2016-05-17T21:30:00", "duration_h=2", "market.policy=pay-as-clear")
    nodes = Run(execute(read(TOWN, evening), tmp_path / "run")).table("nodes")
    assert (nodes.wire_lv_kw > nodes.rated_import_kw).any()


def test_rent_is_adder_times_flow_over_all_nodes_and_money_sums_to_zero(run: Run) -> None:
    flows = run.table("nodes").merge(run.table("prices"), on=["interval", "node"])
    rent = (flows.adder_per_kwh * flows.market_flow_kw).sum() * 0.25
    posted = sum((p.amount for p in run.ledger if p.term == "congestion rent"), Decimal(0))
    assert float(posted) == approx(rent, abs=0.005)
    assert sum(balances(run.ledger).values()) == 0


def test_an_audit_finds_nothing(run: Run) -> None:
    assert verify(run).findings == 0


def test_when_the_cable_fails_the_streets_behind_it_are_dark(tmp_path: Path) -> None:
    outage = (
        "start=2016-05-17T12:00:00", "duration_h=1",
        "grid_events=[{at: 2016-05-17T12:15:00, line: mv4, state: out}, {at: 2016-05-17T12:45:00, line: mv4, state: in}]",
    )  # fmt: skip
    run = Run(execute(read(TOWN, outage), tmp_path / "run"))
    delivered = run.table("setpoints").merge(run.participants[["era", "node", "kind"]], on="era")
    houses = delivered[delivered.kind == "household"].groupby(["interval", "node"]).delivered_kw.sum().unstack()
    dark = houses == 0
    assert dark["lake-side"].tolist() == dark["new-street"].tolist() == [False, True, True, False]
    assert not dark[["market-street", "mill-lane", "hill-road"]].any().any()
    assert verify(run).findings == 0


@pytest.mark.slow
def test_an_hour_of_two_hundred_participants_on_five_thousand_buses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """110 kV ─ main ─ ten cables of nine substations, a village below every one; seconds and memory are reported."""
    path = tmp_path / "large.json"
    net = large_town(cables=10, substations=9)
    net.trafo["name"] = [name.replace(" ", "-") for name in net.trafo.name]
    pp.to_json(net, str(path))
    overrides = (
        f"feeder.name={path}", "feeder.described=null", "start=2016-05-17T12:00:00", "duration_h=1",
        "populations.house.count=150", "populations.pv.count=40", "populations.battery.count=20",
    )  # fmt: skip
    started = time.perf_counter()
    run = Run(execute(read(VILLAGE, overrides), tmp_path / "run"))
    seconds = time.perf_counter() - started
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size = f"{len(run.table('buses').bus.unique()):,} buses, {len(run.participants)} participants, 4 intervals"
    with capsys.disabled():
        sys.stdout.write(f"\n{size}: {seconds:.1f} s, at most {megabytes:.0f} MB; {run.manifest['durations']}\n")
    assert run.table("intervals").certified.all()
    assert (run.table("intervals").status == "OK").all()
    assert run.table("intervals").residual_kw.abs().max() <= 1e-3
    assert len(run.participants) >= 200
    assert verify(run).findings == 0
