"""Feeders of three phases: pandapower's own three-phase power flow, the balanced feeder, and what is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pandapower as pp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid_models import feeders
from grid_models.powerflow import PandapowerFeeder, quietly
from grid_models.unbalanced import UnbalancedFeeder, customer_phases
from sim.errors import FeederError
from sim.feeder import Feeder, Floats, Flow
from sim.rng import stream
from sim.tolerances import BALANCE_KW

POWERS = [f"{part}_{phase}_{unit}" for part, unit in (("p", "mw"), ("q", "mvar")) for phase in "abc"]


def with_zero_sequence(net: Any, group: str = "Dyn") -> Any:
    """The data that three-phase power flow wants, none of them what would be assumed."""
    net.trafo["vector_group"] = group
    for column, value in (
        *(
            ("vk0_percent", 5.0),
            ("vkr0_percent", 1.2),
            ("mag0_percent", 90.0),
            ("mag0_rx", 0.2),
            ("si0_hv_partial", 0.7),
        ),
        ("xn_ohm", 0.0),
    ):
        net.trafo[column] = value
    for column, of, factor in (("r0", "r", 3.3), ("x0", "x", 2.9)):
        net.line[f"{column}_ohm_per_km"] = net.line[f"{of}_ohm_per_km"] * factor
    net.line["c0_nf_per_km"] = 200.0
    for column, value in (("s_sc_max_mva", 150.0), ("rx_max", 0.2), ("x0x_max", 1.0), ("r0x0_max", 0.2)):
        net.ext_grid[column] = value
    return net


@pytest.fixture(scope="module")
def european() -> UnbalancedFeeder:
    return UnbalancedFeeder("european", feeders.read("ieee-european-lv").net)


def loads_of(net: Any, feeder: Feeder) -> tuple[Floats, Floats]:
    """What the asymmetric loads of a network inject."""
    power = np.zeros((2, len(feeder.buses), 3))
    names = dict(zip(net.bus.index, feeder.buses, strict=True))
    for _, load in net.asymmetric_load.iterrows():
        row = feeder.buses.index(names[load.bus])
        power[:, row] -= load[POWERS].to_numpy(dtype=float).reshape(2, 3) * 1e3
    return power[0], power[1]


def randomly(feeder: Feeder, *name: str) -> tuple[Floats, Floats]:
    draw, rows = stream(1, *name), [feeder.buses.index(bus) for bus in feeder.site_buses or feeder.buses[1:]]
    p_kw = np.zeros((len(feeder.buses), 3))
    np.add.at(p_kw, rows, draw.uniform(-4, 2, (len(rows), 3)))
    return p_kw, 0.3 * p_kw


def assert_same(flow: Flow, net: Any) -> None:
    """That a flow is what pandapower left in its tables."""
    assert flow.converged, flow.note
    bus, trafo = net.res_bus_3ph, net.res_trafo_3ph
    for k, phase in enumerate("abc"):
        assert np.abs(flow.v_pu[:, k] - bus[f"vm_{phase}_pu"]).max() <= 1e-6
        apart = flow.v_degree[:, k] - bus[f"va_{phase}_degree"]
        assert np.abs((apart + 180) % 360 - 180).max() <= 1e-4
    total = {
        end: trafo[[f"p_{phase}_{end}_mw" for phase in "abc"]].sum(axis=1).to_numpy() * 1e3 for end in ("hv", "lv")
    }
    assert np.abs(flow.branch_hv_kw - total["hv"]).max() <= 1e-3
    assert np.abs(flow.branch_lv_kw + total["lv"]).max() <= 1e-3
    slack = net.res_ext_grid_3ph[[f"p_{phase}_mw" for phase in "abc"]].to_numpy().sum() * 1e3
    assert abs(flow.slack_kw - slack) <= 1e-3
    assert np.abs(flow.branch_loading * 100 - trafo.loading_percent).max() <= 1e-3
    assert np.abs(flow.line_loading * 100 - net.res_line_3ph.loading_percent).max() <= 1e-3


# --- against pandapower ------------------------------------------------------------------------------------------


def run(net: Any) -> Any:
    """A network solved by pandapower alone, whose three-phase power flow stops at a share of ``sn_mva``."""
    net.sn_mva = 0.01
    assert quietly(net, pp.runpp_3ph, numba=False)
    return net


def by_pandapower(net: Any, feeder: Feeder, p_kw: Floats, q_kvar: Floats) -> Any:
    """The same for injections."""
    for bus, p, q in zip(net.bus.index, p_kw, q_kvar, strict=True):
        values = dict(zip(POWERS, -np.concatenate([p, q]) / 1e3, strict=True))
        if any(values.values()):
            pp.create_asymmetric_load(net, bus, **values)
    return run(net)


def test_the_loads_of_the_european_network_make_the_state_that_pandapower_finds(european):
    net = feeders.read("ieee-european-lv").net
    p_kw, q_kvar = loads_of(net, european)
    run(net)
    flow = european.solve(p_kw, q_kvar)
    assert_same(flow, net)
    assert abs(flow.residual_kw) <= BALANCE_KW
    assert np.ptp(flow.v_pu, axis=1).max() > 0.04
    assert not european.notes


@pytest.mark.parametrize("group", ["Dyn", "YNyn"])
def test_other_networks_have_the_state_that_pandapower_finds(net, group):
    plain = copy.deepcopy(with_zero_sequence(net, group))
    feeder = UnbalancedFeeder("radial", net)
    assert feeder.notes == ()
    for number in range(3):
        p_kw, q_kvar = randomly(feeder, "radial", str(number))
        flow = feeder.solve(5 * p_kw, 5 * q_kvar)
        assert_same(flow, by_pandapower(copy.deepcopy(plain), feeder, 5 * p_kw, 5 * q_kvar))


def test_a_street_with_zero_sequence_data_has_the_state_that_pandapower_finds():
    network = feeders.read("simbench-semiurb4")
    plain = copy.deepcopy(with_zero_sequence(network.net))
    feeder = UnbalancedFeeder(network.name, network.net)
    for table in ("load", "sgen"):
        plain[table] = plain[table].iloc[:0]
    p_kw, q_kvar = randomly(feeder, "street")
    assert_same(feeder.solve(p_kw, q_kvar), by_pandapower(plain, feeder, p_kw, q_kvar))
    assert feeder.reference(p_kw, q_kvar) <= 1e-7


@pytest.mark.parametrize("name", ["cigre-lv", "kerber-dorfnetz", "synthetic-lv-rural-2"])
def test_a_network_that_says_nothing_about_its_zero_sequence_says_what_is_assumed(name):
    feeder = UnbalancedFeeder(name, feeders.read(name).net)
    assert any("line.r0_ohm_per_km is not given" in note and "4 × r_ohm_per_km" in note for note in feeder.notes)
    assert feeder.reference(*randomly(feeder, name)) <= 1e-7
    assert feeder.retries == 0


def test_the_network_keeps_the_tables_of_the_state_solved_last(european):
    p_kw, q_kvar = randomly(european, "tables")
    flow = european.solve(p_kw, q_kvar)
    assert european.net.res_bus_3ph.vm_b_pu.to_numpy() == pytest.approx(flow.v_pu[:, 1], abs=1e-7)


# --- against the balanced feeder ---------------------------------------------------------------------------------


def test_equal_phases_are_the_balanced_feeder(european):
    balanced = feeders.load("ieee-european-lv")
    p_kw, q_kvar = randomly(european, "equal")
    p_kw, q_kvar = (np.repeat(part.mean(axis=1)[:, None], 3, axis=1) for part in (p_kw, q_kvar))
    three, one = european.solve(p_kw, q_kvar), balanced.solve(p_kw.sum(axis=1), q_kvar.sum(axis=1))
    assert np.abs(three.v_pu - one.v_pu[:, None]).max() <= 1e-10
    assert np.abs(three.v_degree[:, 0] - one.v_degree).max() <= 1e-8
    for part in ("slack_kw", "losses_kw", "branch_hv_kw", "branch_lv_kw", "branch_lv_kvar", "branch_loading"):
        assert getattr(three, part) == pytest.approx(getattr(one, part), abs=1e-6)
    assert three.line_loading == pytest.approx(one.line_loading, abs=1e-9)
    ours, theirs = (
        feeder.sensitivities(flow, feeder.buses[-2:]) for feeder, flow in ((european, three), (balanced, one))
    )
    assert ours.v_pu_per_kw == pytest.approx(theirs.v_pu_per_kw, abs=1e-12)
    assert ours.losses_per_kvar == pytest.approx(theirs.losses_per_kvar, abs=1e-10)
    assert european.two_port("Trafo").kva(-50, 10) == pytest.approx(balanced.two_port("Trafo").kva(-50, 10), rel=1e-9)
    assert european.impedance_ohm() == pytest.approx(balanced.impedance_ohm(), rel=1e-9)


# --- what a state says -------------------------------------------------------------------------------------------


def test_a_load_on_one_phase_lowers_it_and_lifts_another(net):
    feeder = UnbalancedFeeder("radial", with_zero_sequence(net))
    p_kw = np.zeros((4, 3))
    idle = feeder.solve(p_kw, p_kw)
    p_kw[3, 0] = -15.0
    flow = feeder.solve(p_kw, np.zeros((4, 3)))
    change = flow.v_pu[3] - idle.v_pu[3]
    assert change[0] < -0.01
    assert change.max() > 0.001
    assert flow.branch_lv_kw[0] == pytest.approx(15, abs=1)
    assert flow.line_loading[1] == pytest.approx(15 / (0.4 / np.sqrt(3)) / 1e3 / net.line.max_i_ka[1], rel=0.1)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(st.floats(-2, 2), min_size=165, max_size=165), st.floats(-0.4, 0.4))
def test_no_watt_is_lost_whatever_the_phases_do(european, site_kw, tan_phi):
    p_kw = np.zeros((len(european.buses), 3))
    np.add.at(p_kw, [european.buses.index(bus) for bus in european.site_buses], np.reshape(site_kw, (55, 3)))
    flow = european.solve(p_kw, tan_phi * p_kw)
    assert flow.converged, flow.note
    assert abs(flow.slack_kw + p_kw.sum() - flow.losses_kw) <= BALANCE_KW
    assert flow.losses_kw >= -BALANCE_KW


def test_many_states_are_each_as_if_alone(european):
    states = [randomly(european, "many", str(number)) for number in range(5)]
    together = european.solve_many(*(np.stack(part) for part in zip(*states, strict=True)))
    for state, flow in zip(states, together, strict=True):
        assert european.solve(*state).v_pu.tobytes() == flow.v_pu.tobytes()


@pytest.mark.parametrize("bus", ["34", "500", "906"])
def test_sensitivities_are_what_a_little_more_power_in_equal_thirds_does(european, bus):
    p_kw, q_kvar = randomly(european, "sensitive")
    flow, row, watched = european.solve(p_kw, q_kvar), european.buses.index(bus), european.buses.index("900")
    found = european.sensitivities(flow, ["900"])
    worst = int(np.abs(flow.v_pu[watched] - 1).argmax())
    step = np.zeros_like(p_kw)
    step[row] = 0.05 / 3
    for more, per, lost in (
        ((step, 0), found.v_pu_per_kw, found.losses_per_kw),
        ((0, step), found.v_pu_per_kvar, found.losses_per_kvar),
    ):
        up, down = (european.solve(p_kw + s * more[0], q_kvar + s * more[1]) for s in (1, -1))
        assert per[0, row] == pytest.approx((up.v_pu[watched, worst] - down.v_pu[watched, worst]) / 0.1, abs=1e-8)
        assert lost[row] == pytest.approx((up.losses_kw - down.losses_kw) / 0.1, abs=1e-5)


@pytest.mark.parametrize("phase", ["A", "B", "C"])
def test_sensitivities_by_phase_are_what_power_on_one_phase_does(european, phase):
    p_kw, q_kvar = randomly(european, "sensitive")
    flow, row, watched = european.solve(p_kw, q_kvar), european.buses.index("500"), european.buses.index("900")
    found = european.sensitivities_by_phase(flow, [("900", "A"), ("900", "B")])
    step = np.zeros_like(p_kw)
    at = row, "ABC".index(phase)
    step[at] = 0.05
    up, down = european.solve(p_kw + step, q_kvar), european.solve(p_kw - step, q_kvar)
    for k in (0, 1):
        assert found.v_pu_per_kw[k][at] == pytest.approx((up.v_pu - down.v_pu)[watched, k] / 0.1, abs=1e-8)
    assert found.losses_per_kw[at] == pytest.approx((up.losses_kw - down.losses_kw) / 0.1, abs=1e-5)
    thirds = european.sensitivities(flow, ["900"])
    assert found.losses_per_kvar.mean(axis=1) == pytest.approx(thirds.losses_per_kvar, abs=1e-12)


@pytest.mark.slow
def test_a_state_beyond_what_a_phase_can_carry_is_not_settled(net):
    feeder = UnbalancedFeeder("radial", with_zero_sequence(net))
    p_kw = np.zeros((4, 3))
    p_kw[3, 1] = -1e4
    flow = feeder.solve(p_kw, p_kw)
    assert not flow.converged
    assert "no power flow solution" in flow.note
    assert np.isnan(flow.v_pu).all()
    assert flow.v_pu.shape == (4, 3)
    assert feeder.solve(0 * p_kw, 0 * p_kw).converged


def test_newton_is_asked_where_the_fixed_point_gives_up(net, monkeypatch):
    feeder = UnbalancedFeeder("radial", with_zero_sequence(net))
    p_kw, q_kvar = randomly(feeder, "retry")
    expected = feeder.solve(p_kw, q_kvar)
    monkeypatch.setattr("grid_models.circuit.ITERATIONS", 1)
    flow = feeder.solve(p_kw, q_kvar)
    assert flow.converged, flow.note
    assert feeder.retries == 1
    assert flow.v_pu == pytest.approx(expected.v_pu, abs=1e-7)


def test_an_island_is_dark_in_all_phases(net):
    with_zero_sequence(net).line.loc[1, "in_service"] = False
    feeder = UnbalancedFeeder("radial", net)
    flow = feeder.solve(np.full((4, 3), -1.0), np.zeros((4, 3)))
    assert flow.converged, flow.note
    assert flow.unsupplied == ("b3",)
    assert np.isnan(flow.v_pu[3]).all()
    assert not flow.p_kw[3].any()


# --- what cannot be done -----------------------------------------------------------------------------------------


def test_unbalance_where_no_star_point_is_earthed_has_no_state(net):
    for line in ("l12", "l23"):
        net.line.loc[net.line.name == line, "c_nf_per_km"] = 0.0
    with_zero_sequence(net, "Dd").line["c0_nf_per_km"] = 0.0
    feeder = UnbalancedFeeder("unearthed", net)
    equal, one = np.full((4, 3), -5.0), np.zeros((4, 3))
    one[3, 0] = -5.0
    assert feeder.solve(equal, 0 * equal).converged
    assert "loaded differently where no transformer's star point is earthed: b3" in feeder.solve(one, 0 * one).note


def test_everything_that_three_phase_power_flow_cannot_do_is_said_at_once(net):
    with_zero_sequence(net, "YNd5")
    pp.create_xward(net, 2, 0, 0, 0, 0, 1.0, 1.0, 1.0)
    pp.create_ward(net, 2, 0.001, 0, 0, 0)
    pp.create_impedance(net, 2, 3, 0.01, 0.01, 1.0)
    with pytest.raises(FeederError) as raised:
        UnbalancedFeeder("many", net)
    assert [fault.where for fault in raised.value.faults] == [
        "net.trafo.vector_group",
        "net.xward",
        "net.ward",
        "net.impedance",
    ]
    assert "tx (YNd5)" in str(raised.value)


def test_a_clock_number_is_no_other_vector_group(net):
    feeder = UnbalancedFeeder("clock", with_zero_sequence(net, "Dyn5"))
    assert feeder.solve(np.full((4, 3), -1.0), np.zeros((4, 3))).converged


# --- where customers stand ---------------------------------------------------------------------------------------


def test_a_bus_has_the_phase_of_its_customers_where_they_agree(net):
    place: Callable[..., Any] = lambda bus, **power: pp.create_asymmetric_load(net, bus, **power)  # noqa: E731
    place(1, p_b_mw=0.001)
    place(1, q_b_mvar=0.001)
    place(2, p_a_mw=0.001)
    place(2, p_c_mw=0.001)
    pp.create_load(net, 3, 0.001)
    assert customer_phases(net) == {1: "B"}
    assert UnbalancedFeeder("sites", net).phase_at("b1") == "B"
    balanced = PandapowerFeeder("sites", feeders.read("ieee-european-lv").net)
    assert balanced.phase_at("34") == ""


def test_the_european_network_has_its_customers_on_one_phase_each(european):
    phases = [european.phase_at(bus) for bus in european.site_buses]
    assert {phase: phases.count(phase) for phase in "ABC"} == {"A": 21, "B": 19, "C": 15}
