"""Switches, lines and transformers that fail in mid-run: who is in the dark, who pays, and what is refused beforehand."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pandapower as pp
import pytest
from pytest import approx

from results.run import Run
from results.verify import render, verify
from scenarios.build import build
from scenarios.cli import main
from scenarios.reader import read
from scenarios.runner import execute
from scenarios.timing import Stopwatch
from sim.errors import ScenarioError
from sim.ledger import balances
from tests.conftest import ROOT, STREET, TWO_HOURS

VILLAGE = ROOT / "scenarios" / "village.yaml"
OUT, BACK = "2016-05-17T11:30:00", "2016-05-17T12:15:00"
DARK = (2, 3, 4)
"""Intervals without supply."""
FEW = ("populations.ev.count=0", "populations.fleet.count=0", "aggregators=[]", "populations.fleet=null")

Street = Callable[..., Run]


def events(*entries: str) -> str:
    return f"grid_events=[{', '.join(f'{{{entry}}}' for entry in entries)}]"


TRANSFORMER = events(f"at: {OUT}, transformer: trafo-1, state: out", f"at: {BACK}, transformer: trafo-1, state: in")
LINE = events(f"at: {OUT}, line: LV4.101 Line 8, state: out", f"at: {BACK}, line: LV4.101 Line 8, state: in")


def unserved(run: Run) -> dict[int, set[str]]:
    """Who had no supply, by interval, as the journal has it."""
    return {r["interval"]: set(r["eras"]) for r in run.journal() if r["kind"] == "unserved"}


def members(run: Run) -> set[str]:
    return set(run.participants.query("kind in ['household', 'solar', 'battery', 'ev']").era)


# --- in the dark ----------------------------------------------------------------------------------------------------


def test_without_its_transformer_a_street_is_dark_until_it_is_back(run_street: Street) -> None:
    run = run_street(*TWO_HOURS, TRANSFORMER)
    assert unserved(run) == dict.fromkeys(DARK, members(run))
    intervals = run.table("intervals")
    assert (intervals.status == "OK").all()
    assert intervals.certified.all()
    slack_kw = intervals.set_index("interval").slack_kw
    assert slack_kw.loc[[*DARK]].tolist() == [0.0] * 3
    voltages = run.table("voltages").query("bus != 'MV1.101 Bus 4'")
    dark = voltages[voltages.interval.isin(DARK)]
    assert dark.v_pu.notna().sum() <= 3  # of the external grid's own bus


def test_a_line_out_leaves_those_behind_it_dark_and_nobody_else(run_street: Street) -> None:
    run = run_street(*TWO_HOURS, LINE)
    dark = unserved(run)
    assert set(dark) == set(DARK)
    assert 0 < len(dark[2]) < len(members(run)) / 2
    delivered = run.table("setpoints").query("interval in @DARK and era in @dark[2]")
    assert (delivered.delivered_kw == 0).all()
    lit = run.table("setpoints").query("interval in @DARK and era not in @dark[2] and era.str.startswith('house')")
    assert (lit.delivered_kw < 0).all()


@pytest.mark.parametrize("event", [TRANSFORMER, LINE], ids=["transformer", "line"])
def test_unserved_energy_is_what_the_dark_sites_would_have_used(event: str, run_street: Street) -> None:
    """Households that nothing moves use with supply what they would have used without."""
    run, undisturbed = run_street(*TWO_HOURS, event), run_street(*TWO_HOURS)
    usual = undisturbed.table("setpoints").set_index(["interval", "era"]).delivered_kw
    reported = run.table("intervals").set_index("interval").unserved_kwh
    for index in DARK:
        households = [era for era in unserved(run)[index] if era.startswith("house")]
        demand = -sum(usual[index, era] for era in households) * 0.25
        assert reported[index] == approx(demand, abs=1e-9)
        assert demand > 0
    assert (reported.drop([*DARK]) == 0).all()


@pytest.mark.parametrize("event", [TRANSFORMER, LINE], ids=["transformer", "line"])
def test_in_the_dark_nobody_is_billed_and_everybody_else_is(event: str, run_street: Street) -> None:
    run = run_street(*TWO_HOURS, event)
    dark = unserved(run)
    billed: dict[int, set[str]] = {}
    for posting in run.ledger:
        billed.setdefault(posting.interval, set()).update({posting.payer, posting.payee})
    for index in DARK:
        assert not billed.get(index, set()) & dark[index]
    used = run.table("setpoints").query("interval in @DARK and energy_wh < -100")
    for index, rows in used.groupby("interval"):
        assert set(rows.era) <= billed[int(index)]  # type: ignore[call-overload]


@pytest.mark.parametrize("event", [TRANSFORMER, LINE], ids=["transformer", "line"])
def test_money_sums_to_zero_and_an_audit_finds_nothing(event: str, run_street: Street) -> None:
    run = run_street(*TWO_HOURS, event)
    assert sum(balances(run.ledger).values()) == 0
    assert verify(run).findings == 0


def test_the_market_learns_of_the_dark_at_the_next_gate_and_of_the_light_too(run_street: Street) -> None:
    """The gate closes two minutes before delivery: what happens after it is not in the outcome."""
    run = run_street(*TWO_HOURS, LINE)
    rows = run.table("setpoints")
    agreed = rows[rows.era.isin(unserved(run)[2])].groupby("interval").setpoint_kw.apply(lambda kw: kw.abs().sum())
    assert (agreed[[0, 1, 2, 6, 7]] > 0).all()
    assert (agreed[[3, 4, 5]] == 0).all()


def test_a_run_with_outages_is_the_same_to_the_byte_when_run_again(run_street: Street, tmp_path: Path) -> None:
    run = run_street(*TWO_HOURS, LINE)
    again = Run(execute(read(STREET, (*TWO_HOURS, LINE)), tmp_path / "again"))
    assert again.manifest["journalHead"] == run.manifest["journalHead"]
    assert again.manifest["tables"] == run.manifest["tables"]


# --- refused before the run -----------------------------------------------------------------------------------------


def refused(*overrides: str, scenario: Path = STREET) -> list[str]:
    with pytest.raises(ScenarioError) as error:
        build(read(scenario, overrides), io.BytesIO(), Stopwatch())
    return [str(fault) for fault in error.value.faults]


def test_events_outside_the_run_are_refused_all_at_once() -> None:
    lines = refused(
        *TWO_HOURS,
        events("at: 2016-05-17T10:59:59, line: LV4.101 Line 8, state: out", "at: 2016-05-17T13:00:00, line: LV4.101 Line 8, state: in"),
    )  # fmt: skip
    assert [line.split(":")[0] for line in lines] == ["grid_events[0].at", "grid_events[1].at"]
    assert "is not within the run, 2016-05-17 11:00:00 to 2016-05-17 13:00:00" in lines[0]


@pytest.mark.parametrize(
    ("event", "nearest"),
    [
        ("line: LV4.101 Lin 8, state: out", "LV4.101 Line 8"),
        ("transformer: trafo-2, state: out", "trafo-1"),
        ("tap: trafo1, position: 1", "trafo-1"),
    ],
)
def test_a_name_that_the_grid_does_not_know_is_refused_with_the_nearest(event: str, nearest: str) -> None:
    (line,) = refused(*TWO_HOURS, events(f"at: {OUT}, {event}"))
    assert line.startswith("grid_events[0]: ")
    assert nearest in line


def test_a_tap_beyond_its_range_is_refused() -> None:
    (line,) = refused(*TWO_HOURS, events(f"at: {OUT}, tap: trafo-1, position: 99"))
    assert "position 99 is not within" in line


# --- ties -----------------------------------------------------------------------------------------------------------


def ring(path: Path, *, transformers: int) -> tuple[str, ...]:
    """grid ─ tx ─ a1 ─ a2 ─ a3 ╱ b3 ─ b2 ─ b1 ─ tx (or a transformer of its own), its tie open: as a scenario's overrides"""
    net = pp.create_empty_network()
    pp.create_ext_grid(net, pp.create_bus(net, 20.0, name="grid"))
    starts = []
    for number in range(transformers):
        starts.append(pp.create_bus(net, 0.4, name=f"busbar{number + 1}"))
        pp.create_transformer(net, 0, starts[-1], "0.25 MVA 20/0.4 kV", name=f"tx{number + 1}")
    ends = []
    for start, letter in zip((starts[0], starts[-1]), "ab", strict=True):
        before = start
        for number in (1, 2, 3):
            bus = pp.create_bus(net, 0.4, name=f"{letter}{number}")
            pp.create_line(net, before, bus, 0.1, "NAYY 4x150 SE", name=f"{letter}{number}")
            pp.create_load(net, bus, 0.001)
            before = bus
        ends.append(before)
    tie = pp.create_line(net, *ends, 0.1, "NAYY 4x150 SE", name="tie")
    pp.create_switch(net, ends[0], tie, et="l", closed=False, name="tie-switch")
    pp.to_json(net, str(path / "ring.json"))
    return (
        f"feeder.name={path / 'ring.json'}", "feeder.described=null", "populations.battery.count=1",
        "populations.pv.count=2", "start=2016-05-17T11:00:00", "duration_h=2",
    )  # fmt: skip


def test_a_tie_that_closes_a_loop_is_refused_before_the_run(tmp_path: Path) -> None:
    (line,) = refused(
        *ring(tmp_path, transformers=2), events(f"at: {OUT}, switch: tie-switch, state: closed"), scenario=VILLAGE
    )
    assert line.startswith("grid_events[0]: switch tie-switch closed: ")
    assert "limits and prices know one way to every bus" in line


def test_a_tie_that_would_feed_buses_through_another_transformer_is_refused_before_the_run(tmp_path: Path) -> None:
    rescue = events(f"at: {OUT}, line: a2, state: out", f"at: {OUT}, switch: tie-switch, state: closed")
    (line,) = refused(*ring(tmp_path, transformers=2), rescue, scenario=VILLAGE)
    assert line.startswith("grid_events[1]: switch tie-switch closed: would feed")


def test_a_tie_below_the_same_transformer_brings_the_light_back(tmp_path: Path) -> None:
    rescue = events(
        f"at: {OUT}, line: a2, state: out", "at: 2016-05-17T12:00:00, switch: tie-switch, state: closed",
        "at: 2016-05-17T12:30:00, switch: tie-switch, state: open", "at: 2016-05-17T12:30:00, line: a2, state: in",
    )  # fmt: skip
    run = Run(execute(read(VILLAGE, (*ring(tmp_path, transformers=1), rescue)), tmp_path / "run"))
    assert {index: len(eras) >= 2 for index, eras in unserved(run).items()} == {2: True, 3: True}
    assert (run.table("intervals").status == "OK").all()
    v_pu = run.table("voltages").query("bus == 'a3'").v_pu
    assert v_pu.notna().tolist() == [True, True, False, False, True, True, True, True]
    assert run.table("voltages").query("bus == 'b1'").v_pu.notna().all()
    assert verify(run).findings == 0


def test_an_unknown_switch_is_refused_with_the_nearest(tmp_path: Path) -> None:
    (line,) = refused(
        *ring(tmp_path, transformers=1), events(f"at: {OUT}, switch: tieswitch, state: closed"), scenario=VILLAGE
    )
    assert "tie-switch" in line


# --- no solution ----------------------------------------------------------------------------------------------------


def twin_lines(path: Path) -> tuple[str, ...]:
    """grid ─ tx 250 kVA ─ busbar ═ (a stout cable, and a thin one beside it) ═ end, where everybody stands"""
    net = pp.create_empty_network()
    pp.create_ext_grid(net, pp.create_bus(net, 20.0, name="grid"))
    busbar, end = (pp.create_bus(net, 0.4, name=name) for name in ("busbar", "end"))
    pp.create_transformer(net, 0, busbar, "0.25 MVA 20/0.4 kV", name="tx")
    pp.create_line(net, busbar, end, 0.05, "NAYY 4x150 SE", name="stout", parallel=2)
    pp.create_line(net, busbar, end, 1.2, "NAYY 4x50 SE", name="thin")
    for _ in range(6):
        pp.create_load(net, end, 0.001)
    pp.to_json(net, str(path / "twin.json"))
    return (
        f"feeder.name={path / 'twin.json'}", "feeder.described=null", "populations.battery.count=0",
        "populations.pv.count=0", "start=2016-05-17T11:00:00", "duration_h=2", "populations.house.scale=30",
        "populations.house.connection_kw=500", "market.policy=none",
    )  # fmt: skip


def test_a_line_without_which_the_rest_has_no_solution_fails_its_intervals_and_no_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rescue = events(f"at: {OUT}, line: stout, state: out", f"at: {BACK}, line: stout, state: in")
    overrides = (*twin_lines(tmp_path), rescue)
    sets = [part for override in overrides for part in ("--set", override)]
    assert main(["run", str(VILLAGE), *sets, "--out", str(tmp_path / "run")]) == 0
    run = Run(tmp_path / "run")
    status = run.table("intervals").set_index("interval").status
    assert status[status == "PHYSICS_FAILED"].index.tolist() == list(DARK)
    assert run.manifest["heldIntervals"] == list(DARK)
    assert not {posting.interval for posting in run.ledger} & set(DARK)
    flows = [record for record in run.journal() if record["kind"] == "flow"]
    assert ["more than the grid can carry" in flow["note"] for flow in flows] == [k in DARK for k in range(8)]
    assert all(flows[k]["slackKW"] is None for k in DARK)
    screen = capsys.readouterr()
    assert "intervals without a power flow: 3" in screen.out
    assert "iwamoto" not in screen.out + screen.err  # the solver keeps its monologue to itself
    limit_kw = run.table("nodes").set_index("interval").import_limit_kw
    assert limit_kw[4] < limit_kw[0]  # nothing but what is known to have been safe


def test_a_host_whose_members_are_all_in_the_dark_is_not_settled_either(run_street: Street) -> None:
    """Cheap hours: the fleet of the aggregator charges when the transformer is lost."""
    lost = events("at: 2016-05-17T22:30:00, transformer: trafo-1, state: out")
    run = run_street("start=2016-05-17T22:00:00", "duration_h=1", "market.policy=pay-as-clear", lost)
    awarded = run.setpoints.set_index(["interval", "era"]).setpoint_kw
    assert awarded[2, "aggregator"] < -1  # cleared before anybody knew
    assert awarded[3, "aggregator"] == 0
    settled = run.postings[(run.postings.payer == "aggregator") | (run.postings.payee == "aggregator")]
    assert set(settled.interval) == {0, 1}
    report = verify(run)
    assert report.findings == 0, render(report)
