"""The compiled circuit against power flows that know nothing of it: pandapower's, and sweeps over the tables."""

import copy
import dataclasses
import functools
import warnings

import numpy as np
import pandapower as pp
import pytest

from grid_models import feeders
from grid_models.network import unique_names
from sim.errors import FeederError
from sim.feeder import Flow
from sim.rng import stream
from sim.tolerances import BALANCE_KW
from tests.physics.networks import customers, names_of, swept

FAST = (
    "case33bw",
    "cigre-lv",
    "cigre-mv",
    "cigre-mv-der",
    "dickert-long",
    "example-multivoltage",
    "example-simple",
    "ieee-european-lv",
    "kerber-dorfnetz",
    "kerber-landnetz-freileitung-1",
    "kerber-vorstadtnetz-1",
    "mv-oberrhein",
    "mv-oberrhein-substations",
    "panda-four-loads",
    "simbench-semiurb4",
    "simple-mv-open-ring",
    "synthetic-lv-village-1",
)
NETWORKS = [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in feeders.names()]
CIRCUITS = [p for p in NETWORKS if p.values[0] != "example-multivoltage"]
"""Without the one that pandapower solves."""

NEWTON_MVA = 1e-10
"""A hundredth of what ours has to reach."""

PU, DEGREE, LOADING, KW = 1e-8, np.degrees(1e-8), 1e-6, 1e-3


@functools.cache
def feeder_of(name):
    """Shared: no result depends on what was solved before."""
    return feeders.load(name)


@functools.cache
def own_kw(name):
    """What the network's customers draw, kW and kvar by bus, in the order of the feeder's buses."""
    own = customers(feeders.read(name).net)
    return np.array([own[bus] for bus in feeder_of(name).buses])


def states(name, count):
    """Injections [states, buses]: each customer between one and a half times its load and as much the other way."""
    feeder, own = feeder_of(name), own_kw(name)
    draw = stream(1, "states", name)
    share = draw.uniform(-1, 1.5, (2, count, len(feeder.buses)))
    p_kw, q_kvar = share[0] * own[:, 0], share[1] * own[:, 1]
    # At buses where no customer draws reactive power there is some too, and some at buses without a customer.
    return p_kw + draw.uniform(-1, 1, p_kw.shape), q_kvar + draw.uniform(-0.5, 0.5, q_kvar.shape)


def same(flow: Flow, other: Flow) -> bool:
    """To the byte."""
    pairs = ((getattr(flow, f.name), getattr(other, f.name)) for f in dataclasses.fields(Flow))
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)


def runpp(feeder, p_kw, q_kvar):
    """pandapower's own solution of a state of the same network."""
    net = copy.deepcopy(feeder.net)
    net.sgen["p_mw"], net.sgen["q_mvar"] = p_kw / 1e3, q_kvar / 1e3
    options = {
        "init": "dc",
        "max_iteration": 40,
        "calculate_voltage_angles": True,
        "numba": False,
        "lightsim2grid": False,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pandapower about old networks of its own
        pp.runpp(net, tolerance_mva=NEWTON_MVA, **options)
    return net


def branches_of(feeder):
    try:
        return feeder.branches
    except FeederError:
        return ()


def angle_between(degrees, others):
    return np.abs((degrees - others + 180) % 360 - 180)


# --- pandapower ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_a_flow_is_what_pandapower_finds_by_itself(name):
    feeder = feeder_of(name)
    before = feeder.retries
    for p_kw, q_kvar in zip(*states(name, 3), strict=True):
        flow = feeder.solve(p_kw, q_kvar)
        assert flow.converged, flow.note
        assert abs(flow.residual_kw) <= BALANCE_KW
        net = runpp(feeder, p_kw, q_kvar)
        compare(feeder, flow, net)
        assert flow.slack_kw == pytest.approx(net.res_ext_grid.p_mw.sum() * 1e3, abs=KW)
        assert flow.losses_kw == pytest.approx(net.res_ext_grid.p_mw.sum() * 1e3 + flow.p_kw.sum(), abs=KW)
    assert feeder.retries == before or name == "example-multivoltage"


@pytest.mark.parametrize("name", ["cigre-lv", "ieee-european-lv", "mv-oberrhein-substations", "example-multivoltage"])
def test_the_tables_of_the_network_are_those_of_the_last_flow(name):
    feeder = feeder_of(name)
    p_kw, q_kvar = (part[0] for part in states(name, 1))
    flow = feeder.solve(p_kw, q_kvar)
    compare(feeder, flow, feeder.net, pu=1e-7)
    assert feeder.net.res_sgen.p_mw.to_numpy() * 1e3 == pytest.approx(p_kw, abs=1e-9)


def compare(feeder, flow, net, pu=PU):
    row = {bus: index for index, bus in names_of(net).items()}
    at = [row[bus] for bus in feeder.buses]
    supplied = ~np.isnan(flow.v_pu)
    assert tuple(np.array(feeder.buses)[~supplied]) == flow.unsupplied
    assert (np.isnan(net.res_bus.vm_pu[at].to_numpy()) == ~supplied).all()
    assert np.abs(flow.v_pu - net.res_bus.vm_pu[at])[supplied].max() <= pu
    assert angle_between(flow.v_degree, net.res_bus.va_degree[at])[supplied].max() <= DEGREE * pu / PU
    lines = dict(zip(unique_names(net.line, "line"), net.res_line.loading_percent / 100, strict=True))
    theirs = np.nan_to_num([lines[line] for line in feeder.lines])
    assert flow.line_loading == pytest.approx(theirs, abs=LOADING * pu / PU)
    compare_transformers(feeder, flow, net)


def compare_transformers(feeder, flow, net):
    two = dict(zip(unique_names(net.trafo, "transformer"), net.res_trafo.itertuples(), strict=True))
    three = dict(zip(unique_names(net.trafo3w, "transformer"), net.res_trafo3w.itertuples(), strict=True))
    compared = 0
    for k, branch in enumerate(branches_of(feeder)):
        if branch.name in two:
            found = two[branch.name]
            assert flow.branch_hv_kw[k] == pytest.approx(found.p_hv_mw * 1e3, abs=KW)
            assert flow.branch_lv_kw[k] == pytest.approx(-found.p_lv_mw * 1e3, abs=KW)
            assert flow.branch_lv_kvar[k] == pytest.approx(-found.q_lv_mvar * 1e3, abs=KW)
            assert flow.branch_loading[k] == pytest.approx(found.loading_percent / 100, abs=LOADING)
        else:
            transformer, _, side = branch.name.rpartition(" ")
            lower_mw = getattr(three[transformer], f"p_{side}_mw")
            assert flow.branch_lv_kw[k] == pytest.approx(-lower_mw * 1e3, abs=KW)
        compared += 1
    assert compared == len(branches_of(feeder))


def test_the_reference_of_a_feeder_is_that_comparison():
    feeder = feeder_of("cigre-lv")
    p_kw, q_kvar = (part[0] for part in states("cigre-lv", 1))
    assert feeder.reference(p_kw, q_kvar) <= 1e-7
    assert feeder.reference(p_kw - 1e6, q_kvar) is None


# --- sweeps --------------------------------------------------------------------------------------------------------


def radial(name):
    net = feeders.read(name).net
    return len(net.ext_grid) == 1 and not len(net.switch) and not len(net.trafo3w)


@pytest.mark.parametrize("name", [p for p in CIRCUITS if radial(p.values[0])])
def test_a_flow_is_what_a_sweep_over_the_tables_finds(name):
    feeder, net = feeder_of(name), feeders.read(name).net
    for share in (1.0, -0.5):
        power = share * own_kw(name)
        own = {bus: power[k] for k, bus in enumerate(feeder.buses)}
        v, slack_kw = swept(net, own)
        flow = feeder.solve(power[:, 0], power[:, 1])
        ours = flow.v_pu * np.exp(1j * np.radians(flow.v_degree))
        assert ours == pytest.approx(np.array([v[bus] for bus in feeder.buses]), rel=0, abs=1e-10)
        assert flow.slack_kw == pytest.approx(slack_kw, abs=1e-6)


# --- the same injections, the same bytes -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", CIRCUITS)
def test_many_states_at_once_are_the_same_as_one_by_one_in_any_order(name):
    feeder = feeder_of(name)
    p_kw, q_kvar = states(name, 12)
    together = feeder.solve_many(p_kw, q_kvar)
    order = stream(1, "order").permutation(12)
    for k in order:
        assert same(feeder.solve(p_kw[k], q_kvar[k]), together[k])
    again = feeder.solve_many(p_kw[order], q_kvar[order])
    assert all(same(flow, together[k]) for k, flow in zip(order, again, strict=True))


@pytest.mark.parametrize("name", ["panda-four-loads", "simbench-semiurb4", "kerber-vorstadtnetz-1"])
def test_the_size_of_a_batch_changes_nothing_across_the_sizes_solved_together(name):
    feeder = feeder_of(name)
    count = 1 + (1 << 14) // len(feeder.buses)
    p_kw, q_kvar = states(name, count)
    together = feeder.solve_many(p_kw, q_kvar)
    for size in (1, 2, 3, 17, count - 1):
        part = feeder.solve_many(p_kw[-size:], q_kvar[-size:])
        assert all(same(a, b) for a, b in zip(part, together[-size:], strict=True))


def test_a_state_does_not_depend_on_worse_ones_beside_it():
    """One that needs all iterations, one that has no solution, and one that is no number."""
    feeder = feeder_of("simbench-semiurb4")
    p_kw, q_kvar = (np.repeat(part, 4, axis=0) for part in states("simbench-semiurb4", 1))
    p_kw[1] *= 30
    p_kw[2] -= 1e6
    p_kw[3, 5] = np.nan
    flows = feeder.solve_many(p_kw, q_kvar)
    assert [flow.converged for flow in flows[2:]] == [False, False]
    assert same(flows[0], feeder.solve(p_kw[0], q_kvar[0]))
    assert same(flows[1], feeder.solve(p_kw[1], q_kvar[1]))


# --- as much as the wires carry --------------------------------------------------------------------------------------


def largest(is_solved, low=1.0, relative=1e-3):
    """Largest multiple that is solved, by doubling and bisection."""
    assert is_solved(low)
    high = 2 * low
    while is_solved(high):
        low, high = high, 2 * high
    while high / low - 1 > relative:
        middle = (low + high) / 2
        low, high = (middle, high) if is_solved(middle) else (low, middle)
    return low


def newton_solves(net, p_kw, q_kvar):
    """Whether Newton's method does, from any usual start."""
    net.sgen["p_mw"], net.sgen["q_mvar"] = p_kw / 1e3, q_kvar / 1e3
    for start in ("dc", "flat"):
        try:
            pp.runpp(net, init=start, max_iteration=40, tolerance_mva=1e-8, numba=False, lightsim2grid=False)
        except (pp.LoadflowNotConverged, ArithmeticError):
            continue
        return True
    return False


@pytest.mark.filterwarnings("ignore")  # what diverges divides by zero in pandapower
@pytest.mark.parametrize("name", ["cigre-lv", "kerber-dorfnetz", "mv-oberrhein"])
def test_the_fixed_point_reaches_as_far_as_newton_up_to_what_the_wires_carry(name):
    feeder, own = feeder_of(name), own_kw(name)
    net = copy.deepcopy(feeder.net)
    circuit = feeder._compiled.circuit
    scaled = [lambda share, k=k: share * own[:, k] for k in (0, 1)]
    by_newton = largest(lambda share: newton_solves(net, *(part(share) for part in scaled)))
    by_feeder = largest(lambda share: feeder.solve(*(part(share) for part in scaled)).converged)
    settles = largest(
        lambda share: circuit.solve(feeder._powers(*(part(share)[None] for part in scaled))).settled.all()
    )
    assert by_feeder == pytest.approx(by_newton, rel=1e-3)
    assert settles == pytest.approx(by_newton, rel=5e-3)
    assert not newton_solves(net, *(part(1.005 * by_feeder) for part in scaled))
    flow = feeder.solve(*(part(1.005 * by_newton) for part in scaled))
    assert not flow.converged
    assert "no power flow solution" in flow.note


@pytest.fixture(scope="module")
def edge():
    """A feeder, and injections so near to what its wires carry that only Newton's method finds the state."""
    feeder = feeders.load("kerber-landnetz-freileitung-1")
    own, circuit = own_kw(feeder.name), feeder._compiled.circuit
    low, high = 1.0, 1.0
    while feeder.solve(*(high * own).T).converged:
        low, high = high, 2 * high
    for _ in range(40):
        middle = (low + high) / 2
        p_kw, q_kvar = (middle * own).T
        if circuit.solve(feeder._powers(p_kw[None], q_kvar[None])).settled.all():
            low = middle
        elif feeder.solve(p_kw, q_kvar).converged:
            return feeder, p_kw, q_kvar
        else:
            high = middle
    raise AssertionError("the fixed point does all that Newton's method does")


def test_what_only_newton_solves_is_counted_and_in_the_tables(edge):
    feeder, p_kw, q_kvar = edge
    feeder.retries = 0
    flow = feeder.solve(p_kw, q_kvar)
    assert flow.converged
    assert abs(flow.residual_kw) <= BALANCE_KW
    assert feeder.retries > 0
    assert feeder.net.res_bus.vm_pu.to_numpy() == pytest.approx(flow.v_pu, abs=1e-9)


def test_what_only_newton_solves_has_derivatives_too(edge):
    feeder, p_kw, q_kvar = edge
    flow = feeder.solve(p_kw, q_kvar)
    lowest = int(np.argmin(flow.v_pu))
    answer = feeder.sensitivities(flow, [feeder.buses[lowest]])
    step = np.zeros(len(feeder.buses))
    step[lowest] = 1e-5 * np.abs(p_kw).max()
    more, less = feeder.solve(p_kw + step, q_kvar), feeder.solve(p_kw - step, q_kvar)
    slope = (more.v_pu[lowest] - less.v_pu[lowest]) / (2 * step[lowest])
    assert answer.v_pu_per_kw[0, lowest] == pytest.approx(slope, rel=1e-2)
