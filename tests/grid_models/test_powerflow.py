import copy
import dataclasses
import warnings

import numpy as np
import pandapower as pp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid_models import feeders, powerflow
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
    assert len(every_feeder.branches) >= 1
    assert len(every_feeder.site_buses) >= 8
    for p_kw in (idle, light):
        flow = every_feeder.solve(p_kw, 0.2 * p_kw)
        assert flow.converged, flow.note
        assert abs(flow.slack_kw + p_kw.sum() - flow.losses_kw) <= BALANCE_KW
        assert abs(flow.residual_kw) <= BALANCE_KW
        assert flow.v_pu.shape == idle.shape
        assert 0.9 < flow.v_pu.min() <= flow.v_pu.max() < 1.1
        assert flow.branch_loading.max() < 0.2


@pytest.mark.parametrize("name", ["simbench-semiurb4", "cigre-lv", "kerber-dorfnetz"])
def test_a_flow_is_the_one_that_pandapower_finds_by_itself(name):
    feeder = feeders.load(name)
    plain = copy.deepcopy(feeder.net)
    for number in range(3):
        p_kw, q_kvar = random_state(feeder, name, str(number))
        plain.sgen["p_mw"], plain.sgen["q_mvar"] = p_kw / 1e3, q_kvar / 1e3
        pp.runpp(plain, tolerance_mva=1e-11, numba=False, lightsim2grid=False)
        flow = feeder.solve(p_kw, q_kvar)
        assert np.abs(flow.v_pu - plain.res_bus.vm_pu).max() <= 1e-10
        assert np.abs(flow.branch_hv_kw - plain.res_trafo.p_hv_mw * 1e3).max() <= 1e-6
        assert np.abs(flow.branch_loading * 100 - plain.res_trafo.loading_percent).max() <= 1e-6
        assert np.abs(flow.line_loading * 100 - plain.res_line.loading_percent).max() <= 1e-6


def test_withdrawal_flows_downstream_and_lowers_voltage(net, at):
    feeder = PandapowerFeeder("radial", net)
    idle, flow = feeder.solve(*at(feeder)), feeder.solve(*at(feeder, b3=-50.0))
    assert flow.branch_lv_kw[0] == pytest.approx(50 + net.res_line.pl_mw.sum() * 1e3)
    assert flow.slack_kw == flow.branch_hv_kw[0] > flow.branch_lv_kw[0]
    assert flow.v_pu[3] < flow.v_pu[2] < flow.v_pu[1] < idle.v_pu[1]


def test_injection_flows_upstream_and_raises_voltage(net, at):
    feeder = PandapowerFeeder("radial", net)
    idle, flow = feeder.solve(*at(feeder)), feeder.solve(*at(feeder, b3=50.0))
    assert flow.branch_lv_kw[0] < flow.branch_hv_kw[0] == flow.slack_kw < 0
    assert flow.branch_lv_kw[0] == pytest.approx(-50 + net.res_line.pl_mw.sum() * 1e3)
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
    assert street.net.res_bus.vm_pu.to_numpy() == pytest.approx(flow.v_pu, abs=0)
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


def test_one_state_is_one_power_flow(net, at, runs):
    feeder = PandapowerFeeder("radial", net)
    assert len(runs) == 1  # the idle grid
    for power in (-40.0, -20.0, 0.0, 20.0, 40.0):
        feeder.solve(*at(feeder, b3=power))
    assert len(runs) == 6
    assert (feeder.solves, feeder.retries) == (5, 0)


def test_a_state_without_solution_costs_one_try_and_two_retries(net, at, runs):
    feeder = PandapowerFeeder("radial", net)
    feeder.solve(*at(feeder, b3=-TOO_MUCH_KW))
    assert len(runs) == 1 + 3
    assert (feeder.solves, feeder.retries) == (1, 2)


def test_newton_has_nothing_left_to_do_at_ordinary_load(street):
    for number in range(3):
        street.solve(*random_state(street, "ordinary", str(number)))
        assert street.net._ppc["iterations"] == 0


def test_another_start_is_tried_before_a_state_is_given_up_and_leaves_no_trace(net, at, runs, monkeypatch):
    feeder = PandapowerFeeder("radial", net)
    expected = feeder.solve(*at(feeder, b3=-20.0))
    with monkeypatch.context() as bad_start:
        bad_start.setattr(feeder._start, "polar", lambda *_: np.full((4, 2), 1e-6))
        flow = feeder.solve(*at(feeder, b3=-20.0))
    assert flow.converged, flow.note
    assert feeder.retries == 1
    assert flow.v_pu == pytest.approx(expected.v_pu, abs=1e-7)
    runs.clear()
    assert as_bytes(feeder.solve(*at(feeder, b3=-20.0))) == as_bytes(expected)
    assert len(runs) == 2  # the structures of the idle grid are built anew


def test_a_start_that_knows_held_voltages_leaves_newton_little_to_do(net, at):
    pp.create_xward(net, 2, 0, 0, 0, 0, 0.1, 0.1, 1.0)
    feeder = PandapowerFeeder("radial", net)
    feeder.solve(*at(feeder, b3=-20.0))
    assert net._ppc["iterations"] <= 2


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
    assert net.res_bus.empty
    assert net.res_trafo.empty


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_injection_that_is_not_a_number_is_named(net, at, value):
    feeder = PandapowerFeeder("radial", net)
    p_kw, q_kvar = at(feeder, b2=value)
    assert_unsettled(feeder.solve(p_kw, q_kvar), "not finite", "b2")
    assert_unsettled(feeder.solve(q_kvar, p_kw), "not finite", "b2")


def test_an_island_is_not_called_converged_though_pandapower_does(net, at):
    net.line.loc[1, "in_service"] = False
    feeder = PandapowerFeeder("radial", net)
    assert net.converged
    assert_unsettled(feeder.solve(*at(feeder, b3=-5.0)), "not connected to the external grid: b3")
    with pytest.raises(FeederError, match="'b3' is not connected to the external grid"):
        feeder.node_of("b3")


def test_power_that_the_power_flow_did_not_take_is_noticed(net, at):
    feeder = PandapowerFeeder("radial", net)
    net.sgen.loc[2, "scaling"] = 0.5
    assert_unsettled(feeder.solve(*at(feeder, b2=-5.0, b3=-5.0)), "did not take the injection of b2")


def test_a_residual_above_one_watt_is_noticed(net, at, monkeypatch):
    feeder = PandapowerFeeder("radial", net)
    losses_kw = powerflow._losses_kw
    monkeypatch.setattr(powerflow, "_losses_kw", lambda net: losses_kw(net) + 0.9 * BALANCE_KW)
    assert feeder.solve(*at(feeder, b3=-5.0)).converged
    monkeypatch.setattr(powerflow, "_losses_kw", lambda net: losses_kw(net) + 1.1 * BALANCE_KW)
    assert_unsettled(feeder.solve(*at(feeder, b3=-5.0)), "-0.001100 kW are not accounted for")


def test_arrays_of_the_wrong_length_are_the_callers_mistake(net):
    feeder = PandapowerFeeder("radial", net)
    with pytest.raises(FeederError, match=r"each of 4 buses, got \(3,\) and \(4,\)"):
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
