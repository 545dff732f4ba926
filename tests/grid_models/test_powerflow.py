import dataclasses
import warnings

import numpy as np
import pandapower as pp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid_models import feeders, powerflow
from grid_models.circuit import Circuit
from grid_models.powerflow import PandapowerFeeder
from sim.errors import FeederError
from sim.feeder import Feeder, Flow
from sim.rng import stream
from sim.tolerances import BALANCE_KW, LOADING

TOO_MUCH_KW = 1e6
"""More than any low-voltage feeder can carry."""


def as_bytes(flow: Flow) -> bytes:
    return b"".join(np.asarray(getattr(flow, f.name)).tobytes() for f in dataclasses.fields(flow) if f.name != "note")


def random_state(feeder: PandapowerFeeder, *name: str) -> tuple[np.ndarray, np.ndarray]:
    draw = stream(1, *name)
    p_kw, q_kvar = np.zeros(len(feeder.buses)), np.zeros(len(feeder.buses))
    rows = [feeder.buses.index(bus) for bus in feeder.site_buses]
    np.add.at(p_kw, rows, draw.uniform(-6, 4, len(rows)))
    np.add.at(q_kvar, rows, draw.uniform(-1, 0.5, len(rows)))
    return p_kw, q_kvar


def test_a_pandapower_feeder_is_a_feeder(street):
    feeder: Feeder = street
    assert feeder.name == "simbench-semiurb4"


# --- what a flow says --------------------------------------------------------------------------------------------


def test_every_feeder_solves_idle_and_lightly_loaded_and_its_energy_balances(every_feeder):
    idle = np.zeros(len(every_feeder.buses))
    light = idle.copy()
    np.add.at(light, [every_feeder.buses.index(bus) for bus in every_feeder.site_buses], -0.5)
    assert len(every_feeder.site_buses) >= 2
    for p_kw in (idle, light):
        flow = every_feeder.solve(p_kw, 0.2 * p_kw)
        assert flow.converged, flow.note
        assert abs(flow.slack_kw + p_kw.sum() - flow.losses_kw) <= BALANCE_KW
        assert abs(flow.residual_kw) <= BALANCE_KW
        assert flow.v_pu.shape == idle.shape
        assert 0.9 < np.nanmin(flow.v_pu) <= np.nanmax(flow.v_pu) < 1.1
        assert flow.branch_loading.max(initial=0.0) < 0.5


def test_withdrawal_flows_downstream_and_lowers_voltage(net, at):
    feeder = PandapowerFeeder("radial", net)
    idle, flow = feeder.solve(*at(feeder)), feeder.solve(*at(feeder, b3=-50.0))
    assert flow.branch_lv_kw[0] == pytest.approx(50 + feeder.net.res_line.pl_mw.sum() * 1e3)
    assert flow.slack_kw == flow.branch_hv_kw[0] > flow.branch_lv_kw[0]
    assert flow.v_pu[3] < flow.v_pu[2] < flow.v_pu[1] < idle.v_pu[1]


def test_injection_flows_upstream_and_raises_voltage(net, at):
    feeder = PandapowerFeeder("radial", net)
    idle, flow = feeder.solve(*at(feeder)), feeder.solve(*at(feeder, b3=50.0))
    assert flow.branch_lv_kw[0] < flow.branch_hv_kw[0] == flow.slack_kw < 0
    assert flow.branch_lv_kw[0] == pytest.approx(-50 + feeder.net.res_line.pl_mw.sum() * 1e3)
    assert flow.v_pu[3] > flow.v_pu[2] > flow.v_pu[1] > idle.v_pu[1]
    assert flow.losses_kw > 0


def test_reactive_withdrawal_loads_the_transformer_and_lowers_voltage(net):
    feeder = PandapowerFeeder("radial", net)
    nothing, reactive = np.zeros(4), np.array([0.0, 0.0, 0.0, -40.0])
    flow = feeder.solve(nothing, reactive)
    assert flow.branch_loading[0] == pytest.approx(40 / 250, abs=0.02)
    assert flow.v_pu[3] < feeder.solve(nothing, nothing).v_pu[3]


def test_power_at_the_external_grid_bus_passes_no_transformer(net, at):
    feeder = PandapowerFeeder("radial", net)
    idle, flow = feeder.solve(*at(feeder)), feeder.solve(*at(feeder, b0=-30.0))
    assert flow.branch_hv_kw == pytest.approx(idle.branch_hv_kw)
    assert flow.slack_kw == pytest.approx(idle.slack_kw + 30)


def test_loading_is_a_share_of_the_rating_and_may_exceed_one(net, at):
    feeder = PandapowerFeeder("radial", net)
    flow = feeder.solve(*at(feeder, b1=-300.0))
    assert flow.branch_loading[0] > 1.2 + LOADING
    assert flow.line_loading == pytest.approx([0, 0], abs=1e-3)


def test_what_shunts_and_wards_take_counts_as_loss(net, at):
    pp.create_shunt(net, 2, q_mvar=0.0, p_mw=0.002)
    pp.create_ward(net, 3, ps_mw=0.001, qs_mvar=0.0, pz_mw=0.001, qz_mvar=0.0)
    pp.create_xward(net, 2, 0.001, 0, 0, 0, 1.0, 1.0, 1.0)
    feeder = PandapowerFeeder("radial", net)
    flow = feeder.solve(*at(feeder, b3=-10.0))
    assert flow.converged, flow.note
    assert flow.losses_kw > 5


def test_the_network_holds_the_results_of_the_last_solved_state(street):
    p_kw, q_kvar = random_state(street, "results")
    flow = street.solve(p_kw, q_kvar)
    assert street.net.converged
    assert street.net.res_bus.vm_pu.to_numpy() == pytest.approx(flow.v_pu, abs=1e-9)
    assert street.net.res_sgen.p_mw.to_numpy() * 1e3 == pytest.approx(p_kw, abs=1e-12)
    street.solve(np.zeros_like(p_kw), np.zeros_like(p_kw))
    assert street.net.res_bus.vm_pu.to_numpy() != pytest.approx(flow.v_pu, abs=1e-6)


def test_a_flow_keeps_its_numbers_when_the_next_state_is_solved_or_the_input_changes(street):
    p_kw, q_kvar = random_state(street, "kept")
    flow = street.solve(p_kw, q_kvar)
    before = as_bytes(flow)
    p_kw[:] = 0
    street.solve(p_kw, q_kvar)
    assert as_bytes(flow) == before


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.floats(-8, 8), min_size=41, max_size=41), st.floats(-0.4, 0.4))
def test_no_watt_is_lost_whatever_the_sites_do(street, site_kw, tan_phi):
    p_kw = np.zeros(len(street.buses))
    np.add.at(p_kw, [street.buses.index(bus) for bus in street.site_buses], site_kw)
    flow = street.solve(p_kw, tan_phi * p_kw)
    assert flow.converged, flow.note
    assert abs(flow.slack_kw + p_kw.sum() - flow.losses_kw) <= BALANCE_KW
    assert flow.losses_kw > 0
    assert flow.branch_hv_kw.sum() == pytest.approx(flow.slack_kw, abs=BALANCE_KW)


# --- the same injections, the same bytes -------------------------------------------------------------------------


def test_a_result_does_not_depend_on_what_was_solved_before(street):
    states = [random_state(street, "history", str(number)) for number in range(6)]
    first = [as_bytes(street.solve(*state)) for state in states]
    order = stream(1, "order").permutation(6)
    assert [as_bytes(street.solve(*states[i])) for i in order] == [first[i] for i in order]


def test_a_result_does_not_depend_on_a_failure_before(street):
    state = random_state(street, "failure")
    before = as_bytes(street.solve(*state))
    for power in (np.nan, TOO_MUCH_KW, -TOO_MUCH_KW):
        assert not street.solve(np.full(len(street.buses), power), state[1]).converged
        assert as_bytes(street.solve(*state)) == before


def test_two_feeders_of_one_name_agree_to_the_byte(street):
    state = random_state(street, "twins")
    assert as_bytes(feeders.load(street.name).solve(*state)) == as_bytes(street.solve(*state))


# --- work --------------------------------------------------------------------------------------------------------


@pytest.fixture
def runs(monkeypatch):
    """Counts the power flows that pandapower is asked for."""
    counted = []
    original = pp.runpp
    monkeypatch.setattr(powerflow.pp, "runpp", lambda *args, **kwargs: (counted.append(1), original(*args, **kwargs)))
    return counted


def test_a_feeder_asks_pandapower_once_and_then_solves_by_itself(net, at, runs):
    feeder = PandapowerFeeder("radial", net)
    assert len(runs) == 1  # the idle grid
    for power in (-40.0, -20.0, 0.0, 20.0, 40.0):
        feeder.solve(*at(feeder, b3=power))
    feeder.solve_many(np.zeros((7, 4)), np.zeros((7, 4)))
    assert len(runs) == 1
    assert (feeder.solves, feeder.retries) == (12, 0)


def test_pandapower_s_tables_cost_a_power_flow_of_its_own_when_somebody_looks(net, at, runs):
    feeder = PandapowerFeeder("radial", net)
    flow = feeder.solve(*at(feeder, b3=-20.0))
    assert feeder.net.res_bus.vm_pu.to_numpy() == pytest.approx(flow.v_pu, abs=1e-8)
    assert len(runs) == 2


def test_a_state_without_solution_costs_three_attempts_of_newton(net, at, runs):
    feeder = PandapowerFeeder("radial", net)
    feeder.solve(*at(feeder, b3=-TOO_MUCH_KW))
    assert len(runs) == 1 + 3
    assert (feeder.solves, feeder.retries) == (1, 3)


def test_in_a_batch_newton_is_asked_for_nothing_but_what_did_not_settle(net, runs):
    feeder = PandapowerFeeder("radial", net)
    p_kw = np.zeros((5, 4))
    p_kw[2, 3] = -TOO_MUCH_KW
    flows = feeder.solve_many(p_kw, np.zeros_like(p_kw))
    assert [flow.converged for flow in flows] == [True, True, False, True, True]
    assert (len(runs), feeder.solves, feeder.retries) == (1 + 3, 5, 3)


def test_what_holds_a_voltage_is_left_to_pandapower_and_said(net, at, runs):
    pp.create_xward(net, 2, 0, 0, 0, 0, 0.1, 0.1, 1.0)
    feeder = PandapowerFeeder("radial", net)
    assert feeder.solve(*at(feeder, b3=-20.0)).converged
    assert (len(runs), feeder.retries) == (2, 1)
    assert "xward" in feeder.notes[0]
    with pytest.raises(FeederError, match="has no sensitivities: something beside"):
        feeder.sensitivities(feeder.solve(*at(feeder)), ["b3"])


# --- states that must not be settled on --------------------------------------------------------------------------


def assert_unsettled(flow: Flow, *words: str) -> None:
    assert not flow.converged
    assert all(word in flow.note for word in words), flow.note
    for array in (flow.p_kw, flow.v_pu, flow.branch_hv_kw, flow.branch_lv_kw, flow.branch_loading, flow.line_loading):
        assert np.isnan(array).all()
    assert np.isnan([flow.slack_kw, flow.losses_kw, flow.residual_kw]).all()


@pytest.mark.parametrize("p_kw", [-TOO_MUCH_KW, -1e12, 1e12, -1e300, 1e308])
def test_more_power_than_the_grid_carries_has_no_solution_and_leaves_no_results(net, at, p_kw):
    feeder = PandapowerFeeder("radial", net)
    assert_unsettled(feeder.solve(*at(feeder, b3=p_kw)), "no power flow solution")
    assert feeder.net.res_bus.empty
    assert feeder.net.res_trafo.empty


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_injection_that_is_not_a_number_is_named(net, at, value):
    feeder = PandapowerFeeder("radial", net)
    p_kw, q_kvar = at(feeder, b2=value)
    assert_unsettled(feeder.solve(p_kw, q_kvar), "not finite", "b2")
    assert_unsettled(feeder.solve(q_kvar, p_kw), "not finite", "b2")


def test_nothing_is_served_on_an_island_and_its_buses_are_listed(net, at):
    net.line.loc[1, "in_service"] = False
    feeder = PandapowerFeeder("radial", net)
    flow, without = feeder.solve(*at(feeder, b2=-5.0, b3=-5.0)), feeder.solve(*at(feeder, b2=-5.0))
    assert flow.converged
    assert flow.unsupplied == ("b3",)
    assert flow.p_kw.tolist() == [0, 0, -5, 0]
    assert np.isnan([flow.v_pu[3], flow.v_degree[3]]).all()
    assert as_bytes(flow) == as_bytes(without)
    assert abs(flow.slack_kw - 5 - flow.losses_kw) <= BALANCE_KW
    with pytest.raises(FeederError, match="'b3' is not connected to the external grid"):
        feeder.node_of("b3")
    with pytest.raises(FeederError, match="has no bus 'b3' with supply"):
        feeder.sensitivities(flow, ["b3"])


def test_an_island_is_still_asked_for_numbers(net, at):
    net.line.loc[1, "in_service"] = False
    feeder = PandapowerFeeder("radial", net)
    assert_unsettled(feeder.solve(*at(feeder, b3=np.nan)), "not finite", "b3")


def test_a_residual_above_one_watt_is_noticed(net, at, monkeypatch):
    feeder = PandapowerFeeder("radial", net)
    for share, is_trusted in ((0.9, True), (1.1, False)):
        taken = np.zeros((1, feeder._compiled.circuit.nodes, 1)) + share * BALANCE_KW / feeder.base_kva / 4
        monkeypatch.setattr(Circuit, "shunt_power", lambda self, v, taken=taken: taken + 0j)
        flow = feeder.solve(*at(feeder, b3=-5.0))
        assert flow.converged == is_trusted
    assert_unsettled(flow, "-0.001100 kW are not accounted for")


def test_arrays_of_the_wrong_length_are_the_callers_mistake(net):
    feeder = PandapowerFeeder("radial", net)
    with pytest.raises(FeederError, match=r"each of \(4,\) buses, got \(3,\) and \(4,\)"):
        feeder.solve(np.zeros(3), np.zeros(4))


def test_nothing_is_warned_about_while_a_power_flow_diverges(net, at):
    feeder = PandapowerFeeder("radial", net)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        feeder.solve(*at(feeder, b3=-TOO_MUCH_KW))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["simbench-semiurb4", "cigre-lv", "ieee-european-lv"])
def test_absurd_injections_never_raise_and_never_leave_a_trace(name):
    feeder = feeders.load(name)
    nothing = np.zeros(len(feeder.buses))
    before = as_bytes(feeder.solve(nothing - 0.1, nothing))
    for power in (1e300, -1e300, 1e20, -1e20, 1e9, -1e9, 1e6, -1e6, 1e4, -1e4, np.inf, np.nan):
        for where in (slice(None), [5]):
            p_kw = nothing.copy()
            p_kw[where] = power
            feeder.solve(p_kw, nothing)
            feeder.solve(p_kw, p_kw)
        assert as_bytes(feeder.solve(nothing - 0.1, nothing)) == before


# --- how a state answers to a little more ------------------------------------------------------------------------------

STEP_KW = 0.02


def watched_of(feeder, flow, count=3):
    supplied = [bus for bus in feeder.buses if bus not in flow.unsupplied]
    return [supplied[k] for k in np.linspace(0, len(supplied) - 1, count).astype(int)]


def slopes(feeder, p_kw, q_kvar, bus, step_kw=STEP_KW):
    """Central differences by active and by reactive power at a bus: of all voltages, and of the losses."""
    step = np.zeros(len(feeder.buses))
    step[bus] = step_kw
    ends = [
        feeder.solve_many(np.stack([p_kw + a, p_kw - a]), np.stack([q_kvar + b, q_kvar - b]))
        for a, b in ((step, 0 * step), (0 * step, step))
    ]
    return [((m.v_pu - n.v_pu) / (2 * step_kw), (m.losses_kw - n.losses_kw) / (2 * step_kw)) for m, n in ends]


@pytest.mark.parametrize(
    "name", ["simbench-semiurb4", "cigre-lv", "mv-oberrhein", "ieee-european-lv", "kerber-landnetz-kabel-1", "case33bw"]
)
def test_sensitivities_are_the_slopes_between_neighbouring_states(name):
    feeder = feeders.load(name)
    p_kw, q_kvar = random_state(feeder, "slopes", name)
    flow = feeder.solve(p_kw, q_kvar)
    watched = watched_of(feeder, flow)
    rows = [feeder.buses.index(bus) for bus in watched]
    step_kw = 100 * STEP_KW if name.startswith("mv") else STEP_KW  # of losses that are known to a millionth of a watt
    answer = feeder.sensitivities(flow, watched)
    for bus in stream(1, "columns", name).choice(len(feeder.buses), 8, replace=False).tolist():
        (v_by_p, lost_by_p), (v_by_q, lost_by_q) = slopes(feeder, p_kw, q_kvar, bus, step_kw)
        assert answer.v_pu_per_kw[:, bus] == pytest.approx(v_by_p[rows], rel=1e-5, abs=1e-11)
        assert answer.v_pu_per_kvar[:, bus] == pytest.approx(v_by_q[rows], rel=1e-5, abs=1e-11)
        assert answer.losses_per_kw[bus] == pytest.approx(lost_by_p, rel=1e-4, abs=2e-7)
        assert answer.losses_per_kvar[bus] == pytest.approx(lost_by_q, rel=1e-4, abs=2e-7)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.floats(-60, 60), min_size=6, max_size=6))
def test_sensitivities_are_slopes_whatever_is_connected(powers):
    net = pp.create_empty_network()
    for number in range(4):
        pp.create_bus(net, 0.4 if number else 10.0, name=f"b{number}")
    pp.create_ext_grid(net, 0, vm_pu=1.01)
    pp.create_transformer(net, 0, 1, "0.25 MVA 10/0.4 kV")
    for start, end in ((1, 2), (2, 3)):
        pp.create_line(net, start, end, 0.1, "NAYY 4x150 SE")
    feeder = PandapowerFeeder("radial", net)
    p_kw, q_kvar = np.array([0.0, *powers[:3]]), np.array([0.0, *powers[3:]])
    flow = feeder.solve(p_kw, q_kvar)
    answer = feeder.sensitivities(flow, feeder.buses)
    for bus in range(4):
        (v_by_p, lost_by_p), (v_by_q, lost_by_q) = slopes(feeder, p_kw, q_kvar, bus)
        assert answer.v_pu_per_kw[:, bus] == pytest.approx(v_by_p, abs=1e-9)
        assert answer.v_pu_per_kvar[:, bus] == pytest.approx(v_by_q, abs=1e-9)
        assert [answer.losses_per_kw[bus], answer.losses_per_kvar[bus]] == pytest.approx(
            [lost_by_p, lost_by_q], abs=1e-6
        )


def test_power_at_the_external_grid_changes_nothing_below(street):
    flow = street.solve(*random_state(street, "slack"))
    answer = street.sensitivities(flow, street.site_buses[:2])
    slack = [k for k, node in enumerate(street.node_numbers) if node in street.slack_nodes]
    assert len(slack) == 1
    for part in (answer.losses_per_kw, answer.losses_per_kvar, answer.v_pu_per_kw[0], answer.v_pu_per_kvar[1]):
        assert part[slack] == pytest.approx(0, abs=1e-12)
        assert np.abs(part).max() > 1e-7


def test_where_there_is_no_supply_nothing_depends_on_power(net, at):
    net.line.loc[1, "in_service"] = False
    feeder = PandapowerFeeder("radial", net)
    answer = feeder.sensitivities(feeder.solve(*at(feeder, b2=-40.0)), ["b2"])
    for part in (answer.v_pu_per_kw, answer.v_pu_per_kvar, answer.losses_per_kw, answer.losses_per_kvar):
        assert not part[..., 3].any()
    assert answer.losses_per_kw[2] < -0.01


def test_losses_alone_can_be_asked_for_and_a_state_without_solution_has_no_slopes(net, at):
    feeder = PandapowerFeeder("radial", net)
    answer = feeder.sensitivities(feeder.solve(*at(feeder, b3=-40.0)), [])
    assert answer.v_pu_per_kw.shape == (0, 4)
    assert answer.losses_per_kw[3] < answer.losses_per_kw[2] < answer.losses_per_kw[1] < 0
    with pytest.raises(FeederError, match="no power flow solution"):
        feeder.sensitivities(feeder.solve(*at(feeder, b3=-TOO_MUCH_KW)), [])
    with pytest.raises(FeederError, match="has no bus 'b9'"):
        feeder.sensitivities(feeder.solve(*at(feeder)), ["b9"])
