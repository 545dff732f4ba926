import json
from pathlib import Path

import numpy as np
import pandapower as pp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid_models import feeders
from grid_models.limits import limits_kw
from grid_models.powerflow import PandapowerFeeder
from sim.errors import FeederError

GOLDEN = json.loads((Path(__file__).parent / "golden" / "transformer_limits.json").read_text())


def alone(v_pu=1.0, sn_mva=1.0, bus_kv=(11.0, 0.4), **changed):
    """grid ─ high ─ tx ─ low, with the golden transformer or a changed one"""
    net = pp.create_empty_network(sn_mva=sn_mva)
    high, low = (pp.create_bus(net, kv, name=name) for kv, name in zip(bus_kv, ("high", "low"), strict=True))
    pp.create_ext_grid(net, high, vm_pu=v_pu)
    values = {**GOLDEN["transformer"], **changed}
    pp.create_transformer_from_parameters(net, high, low, name="tx", **values)
    return PandapowerFeeder("alone", net)


def flow_out(feeder, p_kw, q_kvar=0.0):
    """The flow with this much taken out at the low-voltage terminals."""
    return feeder.solve(np.array([0.0, -p_kw]), np.array([0.0, -q_kvar]))


TAP = {"tap_side": "hv", "tap_neutral": 0, "tap_min": -4, "tap_max": 4, "tap_step_percent": 2.5}
TRANSFORMERS = {
    "golden": {},
    "10 kV bus": {"bus_kv": (10.5, 0.42)},
    "high voltage": {"v_pu": 1.06},
    "low voltage": {"v_pu": 0.93},
    "other base": {"sn_mva": 100.0},
    "tap up": {**TAP, "tap_pos": 2, "tap_changer_type": "Ratio"},
    "tap down": {**TAP, "tap_pos": -3, "tap_changer_type": "Ratio"},
    "low-voltage tap": {**TAP, "tap_side": "lv", "tap_pos": 2, "tap_changer_type": "Ratio"},
    "parallel": {"parallel": 2},
    "derated": {"df": 0.8},
    "phase shift": {"shift_degree": 150.0},
    "soft": {"vk_percent": 12.0, "vkr_percent": 3.0},
    "much iron": {"i0_percent": 5.0, "pfe_kw": 2.0},
}


@pytest.fixture(scope="module")
def golden():
    return alone()


def test_100_kw_at_the_low_voltage_side_overload_a_transformer_of_100_kva(golden):
    expected, tolerance = GOLDEN["import_100_kw"], GOLDEN["tolerance"]
    flow = flow_out(golden, 100.0)
    assert flow.branch_hv_kw[0] == pytest.approx(expected["hv_kw"], abs=tolerance["kw"])
    assert flow.branch_lv_kw[0] == pytest.approx(expected["lv_kw"], abs=tolerance["kw"])
    assert flow.losses_kw == pytest.approx(expected["losses_kw"], abs=tolerance["kw"])
    assert flow.branch_loading[0] == pytest.approx(expected["loading"], abs=tolerance["loading"])
    assert flow.v_pu[1] == pytest.approx(expected["v_lv_pu"], abs=tolerance["v_pu"])


def test_the_import_limit_of_a_transformer_of_100_kva_is_below_its_rating(golden):
    import_kw, export_kw = limits_kw(golden, "tx", 100.0)
    assert import_kw == pytest.approx(GOLDEN["import_limit_at_rating_kw"], abs=GOLDEN["tolerance"]["kw"])
    assert export_kw > 100 > import_kw


@pytest.mark.parametrize("cos_phi", [1.0, 0.95])
@pytest.mark.parametrize("changed", TRANSFORMERS.values(), ids=TRANSFORMERS)
def test_at_its_limits_the_power_flow_finds_a_transformer_exactly_loaded(changed, cos_phi):
    feeder = alone(**changed)
    rated_kva = feeder.branches[0].rated_kva
    tan_phi = np.tan(np.arccos(cos_phi))
    for share in (0.6, 1.0, 1.3):
        for sign, limit_kw in zip((1, -1), limits_kw(feeder, "tx", share * rated_kva, cos_phi), strict=True):
            flow = flow_out(feeder, sign * limit_kw, limit_kw * tan_phi)
            assert flow.branch_loading[0] == pytest.approx(share, abs=1e-7)


@pytest.mark.parametrize("cos_phi", [1.0, 0.95])
@pytest.mark.parametrize("changed", TRANSFORMERS.values(), ids=TRANSFORMERS)
def test_a_limit_metered_above_is_the_same_state_seen_from_above(changed, cos_phi):
    feeder = alone(**changed)
    kva, tan_phi = feeder.branches[0].rated_kva, np.tan(np.arccos(cos_phi))
    below, above = (limits_kw(feeder, "tx", kva, cos_phi, side) for side in ("lv", "hv"))
    assert below == limits_kw(feeder, "tx", kva, cos_phi)
    for sign, lv_kw, hv_kw in zip((1, -1), below, above, strict=True):
        flow = flow_out(feeder, sign * lv_kw, lv_kw * tan_phi)
        assert flow.branch_hv_kw[0] == pytest.approx(sign * hv_kw, abs=1e-6)
    assert above[0] > below[0]
    assert above[1] < below[1]


def test_the_golden_transformer_takes_its_rating_from_above_where_98_141_kw_leave_below(golden):
    """At rated voltage and almost no reactive power, 100 kVA above are almost 100 kW."""
    (below_kw, _), (above_kw, _) = (limits_kw(golden, "tx", 100.0, 1.0, side) for side in ("lv", "hv"))
    assert below_kw == pytest.approx(GOLDEN["import_limit_at_rating_kw"], abs=GOLDEN["tolerance"]["kw"])
    assert 99.8 < above_kw < 100


def test_what_the_iron_uses_up_leaves_nothing_above_either(golden):
    assert limits_kw(golden, "tx", 0.1, side="hv") == (0.0, 0.0)


def test_without_a_rating_both_ways_end_where_the_voltage_has_no_solution(golden):
    import_kw, export_kw = limits_kw(golden, "tx", 1e300)
    assert 0 < import_kw < export_kw < 1e5
    assert golden.two_port("tx").kva(1.001 * import_kw, 0.0) == np.inf
    assert golden.two_port("tx").upper_kw(-1.001 * export_kw, 0.0) == np.inf


def cable(start, end, **changed):
    """grid ─ cable ─ far at 10 kV, drawn from ``start`` to ``end``"""
    net = pp.create_empty_network()
    buses = {name: pp.create_bus(net, 10.0, name=name) for name in ("grid", "far")}
    pp.create_ext_grid(net, buses["grid"], vm_pu=1.03)
    values = {"r_ohm_per_km": 0.32, "x_ohm_per_km": 0.12, "c_nf_per_km": 250.0, "max_i_ka": 0.06, **changed}
    pp.create_line_from_parameters(net, buses[start], buses[end], 4.0, name="feeder", **values)
    pp.create_load(net, buses["far"], 0.0)
    return PandapowerFeeder("cable", net, limited_lines={"feeder": "the cable"})


@pytest.mark.parametrize("ends", [("grid", "far"), ("far", "grid")])
@pytest.mark.parametrize("changed", [{}, {"parallel": 2}, {"df": 0.7}], ids=["one", "two", "derated"])
def test_a_limited_line_has_limits_at_both_ends_whichever_way_it_was_drawn(ends, changed):
    feeder = cable(*ends, **changed)
    (branch,) = feeder.branches
    rated_kva = np.sqrt(3) * 10 * 60 * changed.get("parallel", 1) * changed.get("df", 1)
    assert (branch.name, branch.kind) == ("the cable", "line")
    assert branch.rated_kva == pytest.approx(rated_kva)
    for cos_phi in (1.0, 0.95):
        tan_phi = np.tan(np.arccos(cos_phi))
        below, above = (limits_kw(feeder, "the cable", branch.rated_kva, cos_phi, side) for side in ("lv", "hv"))
        for sign, lv_kw, hv_kw in zip((1, -1), below, above, strict=True):
            flow = flow_out(feeder, sign * lv_kw, lv_kw * tan_phi)
            assert flow.branch_loading[0] == pytest.approx(1.0, abs=1e-7)
            assert flow.branch_lv_kw[0] == pytest.approx(sign * lv_kw, abs=1e-6)
            assert flow.branch_hv_kw[0] == pytest.approx(sign * hv_kw, abs=1e-6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.floats(-150, 150), st.floats(-60, 60))
def test_the_terminal_equations_are_the_power_flows(golden, p_kw, q_kvar):
    flow = flow_out(golden, p_kw, q_kvar)
    assert golden.two_port("tx").kva(p_kw, q_kvar) / 100 == pytest.approx(flow.branch_loading[0], abs=1e-8)


def test_the_street_s_transformer_reaches_its_rating_at_its_limits(street):
    """Its 20 kV side is held at 1.025, so both limits lie above the nameplate's 400 kVA."""
    (branch,) = street.branches
    limits = limits_kw(street, branch.name, branch.rated_kva)
    low = street.buses.index(street.net.bus.name.at[street.net.trafo.lv_bus[0]])
    for sign, limit_kw in zip((-1, 1), limits, strict=True):
        p_kw = np.zeros(len(street.buses))
        p_kw[low] = sign * limit_kw
        flow = street.solve(p_kw, np.zeros(len(street.buses)))
        # the idle cables' charging power flows through the transformer too, and is not in the limit
        assert flow.branch_loading[0] == pytest.approx(1.0, abs=1e-5)
    assert 400 < limits[0] < limits[1]


def test_each_of_several_transformers_has_its_own_limits():
    feeder = feeders.load("cigre-lv")
    for number, branch in enumerate(feeder.branches):
        import_kw, _ = limits_kw(feeder, branch.name, branch.rated_kva)
        p_kw = np.zeros(len(feeder.buses))
        p_kw[feeder.buses.index(feeder.edges()[len(feeder.lines) + number].end)] = -import_kw
        loading = feeder.solve(p_kw, np.zeros_like(p_kw)).branch_loading
        assert loading[number] == pytest.approx(1.0, abs=1e-3)
        assert loading.argmax() == number


def test_a_limit_grows_with_the_load_allowed(golden):
    limits = [limits_kw(golden, "tx", kva) for kva in (10.0, 50.0, 100.0, 200.0, 400.0)]
    assert sorted(limits) == limits
    assert len(set(limits)) == 5


def test_import_ends_where_the_voltage_collapses(golden):
    far, further = (limits_kw(golden, "tx", kva)[0] for kva in (1e5, 1e6))
    assert far == further
    assert flow_out(golden, 0.999 * far).converged
    assert not flow_out(golden, 1.001 * far).converged


@pytest.mark.parametrize("kva", [0.0, 0.1])
def test_what_the_iron_uses_up_leaves_nothing(golden, kva):
    assert limits_kw(golden, "tx", kva) == (0.0, 0.0)


@pytest.mark.parametrize("kva", [-1.0, np.nan, np.inf])
def test_a_limit_that_is_no_power_is_refused(golden, kva):
    with pytest.raises(FeederError, match="kVA is not a number from 0 upwards"):
        limits_kw(golden, "tx", kva)


@pytest.mark.parametrize("cos_phi", [0.0, -0.9, 1.1, np.nan])
def test_an_impossible_power_factor_is_refused(golden, cos_phi):
    with pytest.raises(FeederError, match="power factor"):
        limits_kw(golden, "tx", 100.0, cos_phi)


def test_an_unknown_transformer_is_refused():
    with pytest.raises(FeederError, match="did you mean Trafo R0-R1"):
        limits_kw(feeders.load("cigre-lv"), "Trafo R0-R2", 100.0)
