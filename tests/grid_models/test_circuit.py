import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from grid_models import circuit
from grid_models.circuit import BATCH_VALUES, Circuit, Ends, SequenceNetwork, times, to_phases, to_sequences
from sim.rng import stream

R = 0.05


def ladder(count, z=0.01 + 0.004j, earth=0.0):
    """A chain of equal impedances from a held node on, and the same admittance to earth at every node."""
    y = np.zeros((count, count), dtype=complex)
    for k in range(count - 1):
        y[k : k + 2, k : k + 2] += np.array([[1, -1], [-1, 1]]) / z
    return y + earth * np.eye(count)


def network(y, held=(0,), held_v=(1.0 + 0j,)):
    return SequenceNetwork(csr_array(y), np.array(held, dtype=np.intp), np.array(held_v, dtype=complex))


def circuit_of(*sequences, shunt=None):
    nothing = np.zeros((0, len(sequences)), dtype=complex)
    nodes, rating = np.zeros(0, dtype=np.intp), np.zeros(0)
    ends = Ends(nodes, nodes, nothing, nothing, nothing, nothing, rating, rating)
    earth = np.zeros((sequences[0].count, len(sequences)), dtype=complex) if shunt is None else shunt
    return Circuit(sequences, np.array([0]), ends, earth, 100.0)


def two_bus():
    return circuit_of(network(ladder(2, R + 0j)))


def powers(*values):
    """States of a network of one phase, by node."""
    return np.array(values, dtype=complex).T[None]


# --- sequence networks -------------------------------------------------------------------------------------------------


def test_the_idle_voltages_are_those_without_currents():
    net = network(ladder(5, earth=0.01j), held_v=(1.02 + 0.1j,))
    assert net.idle[0] == 1.02 + 0.1j
    assert np.abs((ladder(5, earth=0.01j) @ net.idle)[1:]).max() < 1e-13


def test_an_impedance_is_the_voltage_that_one_current_raises():
    net = network(ladder(6, earth=0.02))
    dense = np.linalg.inv(ladder(6, earth=0.02)[1:, 1:])
    assert net.impedance()[0] == 0
    assert net.impedance()[1:] == pytest.approx(np.diag(dense))


def test_impedances_of_many_nodes_come_in_batches(monkeypatch):
    whole = network(ladder(50, earth=0.01)).impedance()
    monkeypatch.setattr(circuit, "BATCH_VALUES", 150)
    assert network(ladder(50, earth=0.01)).impedance().tobytes() == whole.tobytes()


@given(st.integers(0, 1000))
def test_the_adjoint_of_a_rise_is_its_adjoint(number):
    draw = stream(number, "adjoint")
    y = ladder(8, earth=0.01j)
    y[3, 5] = 2.0 - 1.0j  # not symmetric, as behind a phase shifter
    net = network(y)
    current, gradient = (draw.normal(size=(8, 1)) + 1j * draw.normal(size=(8, 1)) for _ in range(2))
    current[0] = 0
    assert np.vdot(gradient, net.rise(current)) == pytest.approx(np.vdot(net.answer(gradient), current), rel=1e-10)
    assert net.answer(gradient)[0] == 0


def test_a_network_without_held_nodes_stands_on_its_own_earth():
    net = network(ladder(3, earth=0.1), (), ())
    assert not net.idle.any()
    assert net.rise(np.array([[1], [0], [0]], dtype=complex))[:, 0] == pytest.approx(
        np.linalg.inv(ladder(3, earth=0.1))[:, 0]
    )


def test_a_radial_network_fills_in_nothing():
    net = network(ladder(200, earth=0.01))
    assert net._factor.L.nnz + net._factor.U.nnz <= net.admittance.nnz + 200


# --- power flow --------------------------------------------------------------------------------------------------------


@given(st.floats(-20, 0.95))
def test_two_buses_solve_their_quadratic_equation(share):
    """share: of the most that the resistance can bring, 1/(4r)."""
    load = share / (4 * R)
    solution = two_bus().solve(powers([0, -load]))
    assert solution.settled.all()
    assert solution.v[0, 1, 0] == pytest.approx((1 + np.sqrt(1 - share)) / 2, abs=1e-11)


def test_without_powers_a_state_is_idle_and_settled():
    chain = circuit_of(network(ladder(4)))
    solution = chain.solve(np.zeros((1, 4, 3), dtype=complex))
    assert solution.settled.all()
    assert (solution.v == chain.idle[:, :, None]).all()


def test_a_power_at_the_slack_moves_nothing():
    assert (two_bus().solve(powers([5 + 1j, 0])).v == 1).all()


def test_what_the_wires_cannot_bring_does_not_settle_and_disturbs_nobody():
    ordinary, too_much = [0, -1.0], [0, -1.01 / (4 * R)]
    alone = two_bus().solve(powers(ordinary))
    absurd = [[0, 1e300], [0, -1e308j]]
    beside = two_bus().solve(powers(too_much, ordinary, *absurd))
    assert beside.settled.tolist() == [False, True, False, False]
    assert beside.v[:, :, 1].tobytes() == alone.v[:, :, 0].tobytes()


def test_a_state_ends_where_it_settles_however_long_others_take():
    states = powers(*[[0, -share / (4 * R)] for share in (0.01, 0.3, 0.9, 0.99)])
    together = two_bus().solve(states)
    for k in range(4):
        assert two_bus().solve(states[:, :, k : k + 1]).v.tobytes() == together.v[:, :, k].tobytes()


def test_more_states_than_are_solved_together_are_the_same_states():
    chain = circuit_of(network(ladder(1000, 1e-5 + 1e-5j)))
    per_batch = BATCH_VALUES // 1000
    draw = stream(1, "batches")
    states = draw.uniform(-0.1, 0.1, (1, 1000, 2 * per_batch + 3)) + 0j
    together = chain.solve(states)
    assert together.settled.all()
    assert together.v.shape == states.shape
    for k in (0, per_batch - 1, per_batch, 2 * per_batch + 2):
        assert chain.solve(states[:, :, k : k + 1]).v.tobytes() == together.v[:, :, k : k + 1].tobytes()


# --- derivatives -------------------------------------------------------------------------------------------------------


@given(st.floats(-4, 0.9))
def test_the_slope_of_two_buses_is_that_of_the_quadratic_equation(share):
    load, root = share / (4 * R), np.sqrt(1 - share)
    state = powers([0, -load])
    v = two_bus().solve(state).v[:, :, 0]
    by_p, by_q = two_bus().gradient(v, state[:, :, 0], [np.array([[0, 1 + 0j]])])
    assert by_p[0, 0, 1] == pytest.approx(R / root, rel=1e-8)
    assert by_q[0, 0, 1] == pytest.approx(0, abs=1e-12)
    assert by_p[0, 0, 0] == 0


def test_at_the_very_edge_a_slope_has_no_bound_and_is_no_number():
    state, v = powers([0, -1 / (4 * R)])[:, :, 0], np.array([[1, 0.5 + 0j]])
    by_p, _ = two_bus().gradient(v, state, [np.array([[0, 1 + 0j]])])
    assert np.isnan(by_p).all()


# --- phases ------------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-10, 10), min_size=6, max_size=6))
def test_sequences_and_phases_are_each_other_s_reverse(parts):
    values = (np.array(parts[:3]) + 1j * np.array(parts[3:])).reshape(3, 1, 1)
    assert to_phases(to_sequences(values)) == pytest.approx(values, abs=1e-13)


def test_a_symmetric_system_is_positive_sequence_alone():
    turn = np.exp(-2j * np.pi / 3)
    sequences = to_sequences(np.array([1, turn, turn**2]).reshape(3, 1, 1)).ravel()
    assert sequences == pytest.approx([0, 1, 0], abs=1e-15)


def test_one_phase_of_three_alike_is_the_balanced_circuit():
    sequence = ladder(4)
    three = circuit_of(network(sequence + np.eye(4), (), ()), network(sequence), network(sequence + np.eye(4), (), ()))
    one = circuit_of(network(sequence))
    power = np.array([0, -1, -2 + 1j, 3])
    v = three.solve(np.repeat(power[None, :, None], 3, axis=0)).v
    assert v[0] == pytest.approx(one.solve(power[None, :, None]).v[0], abs=1e-11)
    assert np.abs(v[1]) == pytest.approx(np.abs(v[0]), abs=1e-11)


# --- rounding ----------------------------------------------------------------------------------------------------------


def test_a_product_is_the_same_wherever_it_stands():
    draw = stream(1, "products")
    a, b = (draw.normal(size=40_000) + 1j * draw.normal(size=40_000) for _ in range(2))
    whole = times(a, b.conj())
    assert whole == pytest.approx(a * b.conj())
    for part in (slice(0, 1), slice(3, 5), slice(10_001, 30_000, 7), slice(-3, None)):
        assert times(a[part], b[part].conj()).tobytes() == whole[part].tobytes()
