"""A network as a linear circuit with injections of constant power: its power flow, and the derivatives of it.

Injected currents ``i`` raise the voltages of the idle network, ``v = idle + Z i``, and a power ``s`` injects
``i = conj(s / v)``.  Repeating the two from the idle voltages on is the fixed-point (Z-bus, implicit Gauss) method: a
factorised admittance matrix and a few substitutions, for one state or many at once.  It converges where the network can
carry the power with some reserve; what it does not settle is for Newton's method, which lives with pandapower.

Arrays are [phases, nodes, states].  A balanced network has one phase and the positive sequence alone; an unbalanced one
has three phases, and a sequence network each for zero, positive and negative sequence (Fortescue 1918).  Currents and
powers count + into the network; everything is per unit of ``base_kva`` and the nodes' nominal voltages, phase to earth.

Sources: the method, Sun, Abe, "Comparison of Gauss-type and Newton-type methods", and its conditions, Bazrafshan and
Gatsis, "Convergence of the Z-Bus Method for Three-Phase Distribution Load-Flow with ZIP Loads", IEEE Trans. Power Systems
33(1), 2018; the adjoint, Cao, Li, Petzold, Serban, SIAM J. Sci. Comput. 24(3), 2003.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import diags_array  # type: ignore[import-untyped]
from scipy.sparse.linalg import splu  # type: ignore[import-untyped]

Complexes = NDArray[np.complex128]
Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Flags = NDArray[np.bool_]

ITERATIONS: Final = 200
"""An ordinary state takes 6 to 10, one that takes half a percent less than the network can carry almost all of them."""

ADJOINT_ITERATIONS: Final = 2000
"""The adjoint converges as the state does, and has to also where only Newton's method found that."""

SETTLED_PU: Final = 1e-12
"""Change of any voltage in the last step: a hundredth of what the tolerated power mismatch moves it."""

FACTORING: Final = {
    "permc_spec": "MMD_AT_PLUS_A",
    "diag_pivot_thresh": 1e-3,
    "relax": 1,
    "options": {"SymmetricMode": True},
}
"""An admittance matrix is symmetric in structure: ordered as such, a radial network fills in nothing, and substitutions take
half the time of SuperLU's general setting."""

BATCH_VALUES: Final = 1 << 14
"""Voltages solved for together: 256 kB, for what does not fit the processor's cache takes two to four times as long."""


class SequenceNetwork:
    """One sequence of a network: voltages at its nodes from the currents injected there.

    admittance: [nodes, nodes], per unit.  held: nodes whose voltage is given, ``held_v``; none where the source is an
    impedance of the matrix itself.
    """

    def __init__(self, admittance: Any, held: Ints, held_v: Complexes) -> None:
        self.admittance = admittance.tocsr()
        self.count: int = self.admittance.shape[0]
        self._held = held
        is_free = np.ones(self.count)
        is_free[held] = 0.0
        # A held node's equation is "its voltage is given", so that currents go in and voltages come out without sorting.
        pinned = diags_array(is_free) @ self.admittance + diags_array(1.0 - is_free)
        self._factor = splu(pinned.tocsc(), **FACTORING)
        given = np.zeros(self.count, dtype=complex)
        given[held] = held_v
        self.idle: Complexes = self._factor.solve(given)

    def rise(self, current: Complexes) -> Complexes:
        """By how much currents [nodes, states] raise the voltages above the idle ones; give none at held nodes."""
        raised: Complexes = self._factor.solve(current)
        return raised

    def answer(self, gradient: Complexes) -> Complexes:
        """The adjoint of ``rise``: Z^H g, zero at held nodes."""
        out: Complexes = self._factor.solve(gradient, trans="H")
        out[self._held] = 0.0
        return out

    def impedance(self) -> Complexes:
        """Thevenin impedance of each node, the diagonal of Z, per unit; zero at held nodes."""
        found = np.zeros(self.count, dtype=complex)
        batch = max(1, BATCH_VALUES // self.count)
        for start in range(0, self.count, batch):
            nodes = np.arange(start, min(start + batch, self.count))
            unit = np.zeros((self.count, len(nodes)), dtype=complex)
            unit[nodes, nodes - start] = 1.0
            found[nodes] = self._factor.solve(unit)[nodes, nodes - start]
        found[self._held] = 0.0
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Ends:
    """Two-port elements between nodes: ``i_s = y_ss v_s + y_se v_e`` and ``i_e = y_es v_s + y_ee v_e``, into the element.

    start, end: nodes.  The admittances are [elements, sequences].  rating_s, rating_e: loading (1.0 = rated) that a
    current of 1 per unit means at either end; 0 where there is no rating.
    """

    start: Ints
    end: Ints
    y_ss: Complexes
    y_se: Complexes
    y_es: Complexes
    y_ee: Complexes
    rating_s: Floats
    rating_e: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """States of a circuit; a state that did not settle holds whatever it ended at.  Shapes [phases, nodes, states]."""

    v: Complexes
    power: Complexes
    settled: Flags


@dataclass(frozen=True, eq=False)
class Circuit:
    """A compiled network.

    sequences: one network for a balanced circuit, or those of zero, positive and negative sequence.  slack: nodes of the
    external grids.  ends: every element that carries current.  shunt: admittance to earth of each node, [nodes, sequences].
    base_kva: power of 1 per unit per phase.  idle: voltages without any injection, [phases, nodes].
    """

    sequences: tuple[SequenceNetwork, ...]
    slack: Ints
    ends: Ends
    shunt: Complexes
    base_kva: float
    idle: Complexes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "idle", to_phases(np.stack([net.idle for net in self.sequences])))

    @property
    def phases(self) -> int:
        """1 or 3."""
        return len(self.sequences)

    @property
    def nodes(self) -> int:
        """Electrical nodes: buses that closed switches join count once."""
        return self.sequences[0].count

    def solve(self, power: Complexes) -> Solution:
        """States for injected powers.  Each is found from the idle voltages, so that no state depends on another."""
        size = max(1, BATCH_VALUES // self.nodes)
        batches = [self._solve(power[:, :, at : at + size]) for at in range(0, power.shape[2], size)]
        if len(batches) == 1:
            return batches[0]
        v, settled = (np.concatenate([getattr(b, part) for b in batches], axis=-1) for part in ("v", "settled"))
        return Solution(v, power, settled)

    def _solve(self, power: Complexes) -> Solution:
        is_loaded: Flags = np.any(power != 0, axis=(0, 2))
        is_loaded[self.slack] = False
        loaded = np.flatnonzero(is_loaded)
        wanted = power[:, loaded].conj()
        idle = self.idle[:, loaded, None]
        current, rise = np.zeros(power.shape, dtype=complex), np.zeros(power.shape, dtype=complex)
        v = np.broadcast_to(idle, wanted.shape)
        settled = np.full(power.shape[2], len(loaded) == 0)
        going = np.flatnonzero(~settled)
        with np.errstate(all="ignore"):  # what diverges overflows, and is then reported as not settled
            for _ in range(ITERATIONS):
                if not len(going):
                    break
                current[:, loaded] = wanted / v.conj()
                raised = self._rise(current)
                before, v = v, idle + raised[:, loaded]
                change = _largest(v - before)
                settled[going] = change <= SETTLED_PU
                # A state ends where it settles: another step with the others would move its last digits.
                goes_on = np.isfinite(change) & ~settled[going]
                if not goes_on.all():
                    rise[:, :, going[~goes_on]] = raised[:, :, ~goes_on]
                    going = going[goes_on]
                    current, wanted, v = current[:, :, goes_on], wanted[:, :, goes_on], v[:, :, goes_on]
        return Solution(self.idle[:, :, None] + rise, power, settled)

    def _rise(self, current: Complexes) -> Complexes:
        return to_phases(self._by_sequence(SequenceNetwork.rise, current))

    def _by_sequence(self, step: Callable[[SequenceNetwork, Complexes], Complexes], values: Complexes) -> Complexes:
        parts = [step(net, part) for net, part in zip(self.sequences, to_sequences(values), strict=True)]
        return parts[0][None] if len(parts) == 1 else np.stack(parts)

    def current(self, v: Complexes) -> Complexes:
        """Currents that the voltages drive into the network at each node."""
        return to_phases(self._by_sequence(lambda net, part: net.admittance @ part, v))

    def end_currents(self, v: Complexes) -> tuple[Complexes, Complexes]:
        """Currents into every element at its start and at its end, [phases, elements, states]."""
        per_sequence = to_sequences(v)
        at_s, at_e = per_sequence[:, self.ends.start], per_sequence[:, self.ends.end]
        y = {name: getattr(self.ends, name).T[:, :, None] for name in ("y_ss", "y_se", "y_es", "y_ee")}
        return (
            to_phases(times(y["y_ss"], at_s) + times(y["y_se"], at_e)),
            to_phases(times(y["y_es"], at_s) + times(y["y_ee"], at_e)),
        )

    def shunt_power(self, v: Complexes) -> Complexes:
        """Power that the shunts take at every node, [phases, nodes, states]."""
        return times(v, to_phases(times(self.shunt.T[:, :, None], to_sequences(v))).conj())

    def gradient(self, v: Complexes, power: Complexes, outputs: Sequence[Complexes]) -> tuple[Floats, Floats]:
        """Derivatives of real functions of the voltages by active and by reactive power at every node and phase.

        v, power: one solved state, [phases, nodes].  outputs: for each function its gradient ``g``, [phases, nodes], such
        that it changes by Re(sum(conj(g) dv)).  Returns two arrays [functions, phases, nodes] per unit of power; NaN where they
        have no bound, at the very edge of what the network can carry.

        At a solution ``Y v = conj(s / v)``, hence ``Y dv + d conj(dv) = conj(ds / v)`` with ``d = conj(s) / conj(v)^2``.
        The adjoint ``m`` solves ``Y^H m + d conj(m) = g`` by the same substitutions as the power flow, for all functions at
        once, and the function changes by Re(sum(conj(m) conj(ds / v))).
        """
        g = np.stack(outputs, axis=-1)
        d = (power.conj() / v.conj() ** 2)[:, :, None]
        m = np.zeros(g.shape, dtype=complex)
        for _ in range(ADJOINT_ITERATIONS):
            # With phases = T sequences the network is T Z T^-1, and its adjoint T^-H Z^H T^H: T^H is 3 T^-1.
            before, m = m, to_phases(self._by_sequence(SequenceNetwork.answer, g - d * m.conj()))
            if np.abs(m - before).max() <= SETTLED_PU * max(1.0, float(np.abs(m).max())):
                break
        else:
            m[:] = np.nan
        by_power = np.moveaxis(m.conj() / v.conj()[:, :, None], -1, 0)
        return by_power.real, by_power.imag


def times(a: Complexes, b: Complexes) -> Complexes:
    """Product, every part rounded by itself.

    numpy's own fuses multiplication and addition or not, and in either order, as the number of values suits the processor.
    """
    out: Complexes = np.empty(np.broadcast_shapes(a.shape, b.shape), dtype=complex)
    out.real = a.real * b.real - a.imag * b.imag
    out.imag = a.real * b.imag + a.imag * b.real
    return out


def _largest(values: Complexes) -> Floats:
    """Largest real or imaginary part by state: as good as magnitudes to see a standstill, and ten times cheaper."""
    largest: Floats = np.maximum(np.abs(values.real), np.abs(values.imag)).max(axis=(0, 1))
    return largest


_TURN: Final = np.exp(2j * np.pi / 3)
TO_PHASES: Final[Complexes] = np.array([[1, 1, 1], [1, _TURN**2, _TURN], [1, _TURN, _TURN**2]])
"""Fortescue's matrix: phases A, B, C from zero, positive and negative sequence."""
TO_SEQUENCES: Final[Complexes] = TO_PHASES.conj() / 3


def to_phases(per_sequence: Complexes) -> Complexes:
    """By phase what is given by sequence, along the first axis; a balanced circuit's one sequence is its one phase."""
    return _turned(TO_PHASES, per_sequence)


def to_sequences(per_phase: Complexes) -> Complexes:
    """By sequence what is given by phase."""
    return _turned(TO_SEQUENCES, per_phase)


def _turned(matrix: Complexes, values: Complexes) -> Complexes:
    if len(values) == 1:
        return values
    turned: Complexes = np.tensordot(matrix, values, axes=1)
    return turned
