"""Kirchhoff's laws over a run: sound runs pass, balanced or not, and no stored number can change unseen."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from small_run import BASE_KVA, SITES, Draft, Edit

from results.kirchhoff import Circuit, kirchhoff
from results.run import Run
from scenarios.reader import read
from scenarios.runner import execute

Edited = Callable[[Edit], Run]
LIBRARY = Path(__file__).parents[2] / "scenarios" / "use_cases"
TURN = cmath.exp(2j * math.pi / 3)


def findings_of(run: Run) -> list[str]:
    return [str(finding) for finding in kirchhoff(run).findings]


def changed(table: str, column: str, row: int, by: float) -> Edit:
    """One number of one table, moved."""

    def edit(draft: Draft) -> None:
        draft.tables[table][column][row] += by

    return edit


def row_of(draft: Draft, table: str, **wanted: object) -> int:
    columns = draft.tables[table]
    rows = zip(*(columns[name] for name in wanted), strict=True)
    return next(k for k, values in enumerate(rows) if values == tuple(wanted.values()))


# --- sound runs -------------------------------------------------------------------------------------------------------


def in_three_phases(draft: Draft) -> None:
    """The same day in a feeder of three phases that are loaded alike; zero and negative sequence have their own impedance."""
    voltages, elements = draft.tables["voltages"], draft.tables["elements"]
    before = list(zip(*voltages.values(), strict=True))
    for column in voltages.values():
        column.clear()
    for interval, bus, _, v_pu, v_degree in before:
        for phase, degrees in (("A", 0.0), ("B", -120.0), ("C", 120.0)):
            draft.row("voltages", interval, bus, phase, v_pu, v_degree + degrees)
    rows = list(zip(*elements.values(), strict=True))
    for row in rows:
        for sequence in (0, 2):
            values = dict(zip(elements, row, strict=True)) | {"sequence": sequence}
            for name in values:
                values[name] = 0.3 * values[name] if name.startswith("y_") and sequence == 0 else values[name]
            draft.row("elements", *values.values())
    elements["base_kva"][:] = [BASE_KVA / 3] * len(elements["base_kva"])


def test_a_sound_run_leaves_nothing_unexplained(day: Run) -> None:
    audit = kirchhoff(day)
    assert audit.findings == ()
    assert audit.checked.endswith("unexplained at one; 16 flows through limits follow from the voltages")


def test_a_feeder_of_three_phases_that_are_loaded_alike_is_sound_too(edited: Edited) -> None:
    assert findings_of(edited(in_three_phases)) == []


def test_whoever_stands_on_one_phase_does_not_stand_on_all(edited: Edited) -> None:
    def move(draft: Draft) -> None:
        in_three_phases(draft)
        draft.tables["participants"]["phase"][row_of(draft, "participants", era="house-1")] = "B"

    findings = findings_of(edited(move))
    assert len(findings) == 8
    assert all("at bus-house-1" in finding for finding in findings)


def test_buses_that_a_switch_joins_are_one_node(edited: Edited) -> None:
    def join(draft: Draft) -> None:
        """Another bus on the node of house-1; half of its power is delivered there."""
        draft.row("buses", 0, "annex", 2, 0.4, False, "tx-1", None, None)
        voltages = draft.tables["voltages"]
        for row in [k for k, bus in enumerate(voltages["bus"]) if bus == "bus-house-1"]:
            rest = [voltages[name][row] for name in ("phase", "v_pu", "v_degree")]
            draft.row("voltages", voltages["interval"][row], "annex", *rest)
        draft.row("participants", "annex-1", "household", "site-annex", "annex", "", "tx-1", "")
        setpoints = draft.tables["setpoints"]
        for row in [k for k, era in enumerate(setpoints["era"]) if era == "house-1"]:
            for name in ("delivered_kw", "q_kvar"):
                setpoints[name][row] /= 2
            copied = {name: column[row] for name, column in setpoints.items()} | {"era": "annex-1"}
            draft.row("setpoints", *copied.values())

    assert findings_of(edited(join)) == []


def test_a_node_inside_an_element_has_the_voltage_that_currents_leave_it(edited: Edited) -> None:
    def split(draft: Draft) -> None:
        """The first cable in two halves, with a node between them that is no bus."""
        elements = draft.tables["elements"]
        row = row_of(draft, "elements", name="line-house-1")
        for name in elements:
            if name.startswith("y_"):
                elements[name][row] *= 2
        half = {name: column[row] for name, column in elements.items()} | {"start": "", "start_number": 9}
        elements["end"][row], elements["end_number"][row] = "", 9
        draft.row("elements", *half.values())

    assert findings_of(edited(split)) == []


def with_a_ward(draft: Draft) -> None:
    """1 kW and 0.2 kvar of what house-1 takes are the network's own: lost to the feeder, whoever is metered."""
    ends = ("bus-house-1", "", 2, -1)
    draft.row("elements", 0, "ward", "ward 2", *ends, 1, *[0.0] * 8, 1.0, 0.2, math.inf, BASE_KVA)
    setpoints = draft.tables["setpoints"]
    for row in [k for k, era in enumerate(setpoints["era"]) if era == "house-1"]:
        setpoints["delivered_kw"][row] += 1.0
        setpoints["q_kvar"][row] += 0.2
    draft.tables["intervals"]["losses_kw"] = [kw + 1.0 for kw in draft.tables["intervals"]["losses_kw"]]


def test_constant_power_of_the_network_itself_enters_at_its_node_and_is_lost(edited: Edited) -> None:
    assert findings_of(edited(with_a_ward)) == []


def test_constant_power_of_the_network_is_shared_by_its_phases(edited: Edited) -> None:
    def wards(draft: Draft) -> None:
        in_three_phases(draft)
        with_a_ward(draft)

    assert findings_of(edited(wards)) == []


@pytest.mark.parametrize(("column", "unit"), [("p_kw", "W"), ("q_kvar", "var")])
def test_constant_power_that_was_not_taken_is_found(edited: Edited, column: str, unit: str) -> None:
    def exaggerate(draft: Draft) -> None:
        with_a_ward(draft)
        draft.tables["elements"][column][-1] += 0.01

    findings = findings_of(edited(exaggerate))
    assert sum("at bus-house-1" in finding and f"10 {unit}" in finding for finding in findings) == 8


def test_a_ward_without_supply_takes_nothing(edited: Edited) -> None:
    def cut_off(draft: Draft) -> None:
        """It stands on an island, and in no interval is there a voltage."""
        draft.row("buses", 0, "island", 9, 0.4, False, "", None, None)
        for interval in range(8):
            draft.row("voltages", interval, "island", "", math.nan, math.nan)
        ends = ("island", "", 9, -1)
        draft.row("elements", 0, "ward", "ward 9", *ends, 1, *[0.0] * 8, 1.0, 0.2, math.inf, BASE_KVA)

    assert findings_of(edited(cut_off)) == []


def test_each_edition_has_its_own_circuit(edited: Edited) -> None:
    def switch(draft: Draft) -> None:
        """From noon on, the same feeder under another edition and with its nodes numbered backwards."""
        for table, numbers in (("buses", ("number",)), ("elements", ("start_number", "end_number"))):
            for row in list(zip(*draft.tables[table].values(), strict=True)):
                values = dict(zip(draft.tables[table], row, strict=True)) | {"edition": 1}
                turned = {name: 8 - values[name] if values[name] >= 0 else -1 for name in numbers}
                draft.row(table, *(values | turned).values())
        draft.tables["intervals"]["edition"][4:] = [1] * 4

    assert findings_of(edited(switch)) == []


# --- runs with something wrong ----------------------------------------------------------------------------------------


def test_a_watt_or_a_var_at_a_node_is_allowed_and_no_more(edited: Edited) -> None:
    def nearly(draft: Draft) -> None:
        for interval, column, by in (
            (1, "delivered_kw", 0.00099),
            (2, "delivered_kw", 0.00101),
            (3, "q_kvar", -0.00101),
        ):
            draft.tables["setpoints"][column][row_of(draft, "setpoints", interval=interval, era="house-2")] += by

    two, three = findings_of(edited(nearly))
    assert two.startswith("interval 2: at bus-house-2 1.01 W and ")
    assert three.startswith("interval 3: at bus-house-2 ")
    assert "-1.01 var enter that do not leave" in three


def test_many_small_leaks_add_up_to_one(edited: Edited) -> None:
    def leak(draft: Draft) -> None:
        setpoints = draft.tables["setpoints"]
        for row in [k for k, interval in enumerate(setpoints["interval"]) if interval == 7]:
            setpoints["delivered_kw"][row] += 0.0003 * (1 if row % 2 else -1)

    (finding,) = findings_of(edited(leak))
    assert finding == "interval 7: 1.5 W are unexplained at all nodes together, and at most 1 W is allowed"


@pytest.mark.parametrize(
    ("table", "column", "complaint"),
    [
        ("voltages", "v_pu", "enter that do not leave"),
        ("voltages", "v_degree", "enter that do not leave"),
        ("elements", "y_ss_re", "enter that do not leave"),
        ("elements", "y_ee_im", "enter that do not leave"),
        ("setpoints", "delivered_kw", "enter that do not leave"),
        ("setpoints", "q_kvar", "enter that do not leave"),
        ("intervals", "slack_kw", "slack_kw is "),
        ("intervals", "losses_kw", "losses_kw is "),
        ("nodes", "wire_lv_kw", "tx-1: wire_lv_kw is "),
        ("nodes", "wire_hv_kw", "tx-1: wire_hv_kw is "),
        ("nodes", "wire_lv_kvar", "tx-1: wire_lv_kvar is "),
    ],
)
def test_a_stored_number_that_is_off_by_little_is_found(
    edited: Edited, table: str, column: str, complaint: str
) -> None:
    findings = findings_of(edited(changed(table, column, 4, 0.0011)))
    assert findings
    assert complaint in findings[0]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=st.integers(0, 71), column=st.sampled_from(["v_pu", "v_degree"]), by=st.sampled_from([-2e-3, 1e-3, 5e-3]))
def test_no_voltage_can_change_unseen(day: Run, row: int, column: str, by: float) -> None:
    forged = Run(day.path)
    voltages = day.voltages.copy()
    voltages.loc[row, column] += by
    forged._frames["voltages"] = voltages
    assert findings_of(forged)


def test_joined_buses_with_two_voltages_are_found(edited: Edited) -> None:
    def join(draft: Draft) -> None:
        draft.row("buses", 0, "annex", 2, 0.4, False, "tx-1", None, None)
        for interval in range(8):
            v_pu = draft.tables["voltages"]["v_pu"][row_of(draft, "voltages", interval=interval, bus="bus-house-1")]
            degree = draft.tables["voltages"]["v_degree"][
                row_of(draft, "voltages", interval=interval, bus="bus-house-1")
            ]
            draft.row("voltages", interval, "annex", "", v_pu + (1e-6 if interval == 5 else 0.0), degree)

    findings = findings_of(edited(join))
    assert "interval 5: bus-house-1 has another voltage than a bus that a closed switch joins to it" in findings
    assert all(finding.startswith("interval 5") for finding in findings)


def test_power_without_supply_is_found_and_so_is_supply_through_thin_air(edited: Edited) -> None:
    def cut(draft: Draft) -> None:
        row = row_of(draft, "voltages", interval=6, bus="bus-house-1")
        draft.tables["voltages"]["v_pu"][row] = draft.tables["voltages"]["v_degree"][row] = math.nan

    findings = findings_of(edited(cut))
    assert len(findings) > 1
    assert findings[0].startswith("interval 6: at bus-tx-1 ")  # its cable would be a short circuit
    assert "; 1 more nodes" in findings[0]


def without_buses(draft: Draft) -> None:
    for column in draft.tables["buses"].values():
        column.clear()


def without_source(draft: Draft) -> None:
    draft.tables["buses"]["slack"] = [False] * 9


def without_a_voltage(draft: Draft) -> None:
    for column in draft.tables["voltages"].values():
        column.pop()


def with_a_voltage_twice(draft: Draft) -> None:
    for column in draft.tables["voltages"].values():
        column[3] = column[2]


def with_a_strange_bus(draft: Draft) -> None:
    draft.tables["voltages"]["bus"][0] = "nowhere"


def with_a_homeless_house(draft: Draft) -> None:
    draft.tables["participants"]["bus"][0] = "nowhere"


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (without_buses, "edition 0: has no buses, and 8 intervals"),
        (without_source, "edition 0: no external grid holds the voltage anywhere"),
        (without_a_voltage, "edition 0: has 71 voltages in 71 rows where its buses, phases and intervals make 72"),
        (with_a_voltage_twice, "edition 0: has 71 voltages in 72 rows where its buses, phases and intervals make 72"),
        (with_a_strange_bus, "edition 0: has voltages at nowhere, which is none of its buses"),
        (with_a_homeless_house, "edition 0: participants stand at nowhere, which is none of its buses"),
    ],
)
def test_a_circuit_that_is_not_wholly_described_cannot_be_vouched_for(
    edited: Edited, edit: Edit, complaint: str
) -> None:
    assert complaint in findings_of(edited(edit))


# --- the arithmetic of three phases -----------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.complex_numbers(max_magnitude=0.2), min_size=3, max_size=3),
    st.complex_numbers(min_magnitude=0.1, max_magnitude=2),
    st.complex_numbers(min_magnitude=0.1, max_magnitude=2),
)
def test_phase_powers_are_those_of_the_coupled_conductors(
    shift: list[complex], zero: complex, positive: complex
) -> None:
    """A line whose conductors see themselves by (z0 + 2 z1) / 3 and each other by (z0 - z1) / 3, solved by phase."""
    own, mutual = (zero + 2 * positive) / 3, (zero - positive) / 3
    coupled = np.full((3, 3), mutual) + np.diag([own - mutual] * 3)
    source = np.array([1, TURN**2, TURN])
    load = source + np.array(shift)
    i_abc = np.linalg.solve(coupled, load - source)
    expected = 50.0 * load * i_abc.conj()

    def matrix(z: complex) -> Any:
        return csr_array(np.array([[1 / z, -1 / z], [-1 / z, 1 / z]]))

    circuit = Circuit(
        buses=pd.Index(["source", "load"]),
        node_of=np.array([0, 1]),
        fed_by=np.array(["", ""], dtype=object),
        slack=np.array([True, False]),
        hidden=np.array([False, False]),
        admittances=(matrix(zero), matrix(positive), matrix(positive)),
        base_kva=50.0,
        ends=pd.DataFrame(),
        wards_kva=np.zeros(2, dtype=complex),
    )
    v_pu = np.stack([source, load], axis=1)[:, :, None]
    components = circuit.components(v_pu)
    power = circuit.injected_kva(v_pu, circuit.currents(components))
    assert power[:, 1, 0] == pytest.approx(expected, abs=1e-9)
    whole = (components * circuit.currents(components).conj()).sum() * circuit.whole_kva
    assert whole == pytest.approx(power.sum(), abs=1e-9)


def test_the_small_run_has_a_site_on_every_cable(day: Run) -> None:
    cables = day.elements[day.elements["kind"] == "line"]
    assert set(cables["end"]) == {f"bus-{era}" for era in SITES}


# --- the table of flows -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["grid-services-reverse-flow", "voltage-support"])
def test_what_enters_elements_at_both_ends_is_lost_and_limits_carry_what_nodes_say(tmp_path: Path, name: str) -> None:
    run = Run(execute(read(LIBRARY / f"{name}.yaml"), tmp_path / "run"))
    intervals, flows = run.intervals.set_index("interval"), run.flows
    lost_kw = (flows["p_start_kw"] + flows["p_end_kw"]).groupby(flows["interval"]).sum()
    assert np.allclose(lost_kw, intervals["losses_kw"], atol=1e-6)
    transformers = run.nodes.merge(flows, left_on=["interval", "node"], right_on=["interval", "name"])
    assert len(transformers) == len(run.nodes) > 0
    assert np.allclose(transformers["p_start_kw"], transformers["wire_hv_kw"], atol=1e-6)
    assert np.allclose(-transformers["p_end_kw"], transformers["wire_lv_kw"], atol=1e-6)
    assert np.allclose(-transformers["q_end_kvar"], transformers["wire_lv_kvar"], atol=1e-6)


def test_flows_of_three_phases_are_those_of_all_phases_together(tmp_path: Path) -> None:
    scenario = read(LIBRARY.parent / "evs-on-one-phase.yaml", ["duration_h=1"])
    run = Run(execute(scenario, tmp_path / "run"))
    flows = run.flows
    assert set(run.elements["sequence"]) == {0, 1, 2}
    assert not flows.duplicated(["interval", "kind", "name", "start", "end"]).any()
    lost_kw = (flows["p_start_kw"] + flows["p_end_kw"]).groupby(flows["interval"]).sum()
    assert np.allclose(lost_kw, run.intervals.set_index("interval")["losses_kw"], atol=1e-5)


def test_an_interval_without_a_solution_has_no_flows(edited: Callable[[Edit], Run]) -> None:
    def fail(draft: Draft) -> None:
        draft.tables["intervals"]["status"][3] = "PHYSICS_FAILED"

    assert sorted(set(edited(fail).flows["interval"])) == [0, 1, 2, 4, 5, 6, 7]
