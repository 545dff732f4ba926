"""From the voltages of a circuit to what a feeder says: flows, loadings, losses, and whether they add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from grid_models.circuit import Complexes, Floats, Ints, times
from grid_models.compiled import Compiled, polar
from grid_models.limit_tree import Placed
from sim.feeder import Flow
from sim.tolerances import BALANCE_KW


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """How states of one circuit are read.

    placed: branches of the tree, in the order of the flows' arrays.  lines: number of lines; one out of service has a
    loading of 0.  edition, unsupplied: as in ``Flow``.
    """

    compiled: Compiled
    placed: Sequence[Placed]
    lines: int
    edition: int
    unsupplied: tuple[str, ...]

    def flows(
        self, p_kw: Floats, q_kvar: Floats, v: Complexes, slack_kw: Floats, notes: Sequence[str]
    ) -> tuple[Flow, ...]:
        """The states, one by one.

        p_kw, q_kvar: what was served, with a first axis for the states.  v: [phases, nodes, states].  slack_kw: what the
        external grids gave.  notes: why there is no solution, empty where there is one.
        """
        circuit, kva = self.compiled.circuit, self.compiled.circuit.base_kva
        ends = circuit.ends
        at_start, at_end = circuit.end_currents(v)
        into_start, into_end = times(v[:, ends.start], at_start.conj()), times(v[:, ends.end], at_end.conj())
        loading = np.maximum(np.abs(at_start) * ends.rating_s[:, None], np.abs(at_end) * ends.rating_e[:, None])
        loading = loading.max(axis=0)
        losses_kw = self._lost(into_start, into_end, v) * kva
        residual_kw = slack_kw + p_kw.reshape(len(p_kw), -1).sum(axis=1) - losses_kw
        upper, lower = self._through(into_start, into_end)
        v_pu, v_degree = self._voltages(v)
        rows = [placed.row for placed in self.placed]
        found = []
        for k, note in enumerate(notes):
            doubt = note or _doubt(float(residual_kw[k]), v_pu[k][self.compiled.supplied])
            if doubt:
                found.append(self._failed(p_kw[k].shape, doubt))
                continue
            found.append(
                Flow(
                    converged=True,
                    p_kw=p_kw[k],
                    q_kvar=q_kvar[k],
                    v_pu=v_pu[k],
                    v_degree=v_degree[k],
                    branch_hv_kw=upper[:, k].real * kva,
                    branch_lv_kw=lower[:, k].real * kva,
                    branch_lv_kvar=lower[:, k].imag * kva,
                    branch_loading=loading[rows, k],
                    line_loading=loading[self._lines_at, k],
                    slack_kw=float(slack_kw[k]),
                    losses_kw=float(losses_kw[k]),
                    residual_kw=float(residual_kw[k]),
                    edition=self.edition,
                    unsupplied=self.unsupplied,
                )
            )
        return tuple(found)

    def _lost(self, into_start: Complexes, into_end: Complexes, v: Complexes) -> Floats:
        """What branches, shunts and the network's own wards take, per unit by state.

        Added up state by state, so that a sum does not depend on how many states are read together.
        """
        own = -self.compiled.own.real[None, :, None]
        parts = (into_start.real, into_end.real, self.compiled.circuit.shunt_power(v).real, own)
        lost: Floats = sum(np.array(part.T, order="C").reshape(part.shape[2], -1).sum(axis=1) for part in parts)
        return lost

    def _through(self, into_start: Complexes, into_end: Complexes) -> tuple[Complexes, Complexes]:
        """Power through each branch of the tree at its upper and its lower end, + downstream, [branches, states]."""
        rows = [placed.row for placed in self.placed]
        starts_above = np.array([placed.starts_above for placed in self.placed], dtype=bool)[:, None]
        first, second = into_start[:, rows].sum(axis=0), into_end[:, rows].sum(axis=0)
        return np.where(starts_above, first, second), -np.where(starts_above, second, first)

    def _voltages(self, v: Complexes) -> tuple[Floats, Floats]:
        """Magnitude and angle in the shape of the injections, after an axis for the states; NaN without supply."""
        v_pu, v_degree = polar(np.moveaxis(v, -1, 0)[:, :, self.compiled.node])
        dark = ~self.compiled.supplied
        v_pu[:, :, dark] = v_degree[:, :, dark] = np.nan
        if len(v) == 1:
            return v_pu[:, 0], v_degree[:, 0]
        return np.ascontiguousarray(v_pu.transpose(0, 2, 1)), np.ascontiguousarray(v_degree.transpose(0, 2, 1))

    @property
    def _lines_at(self) -> Ints:
        rows = self.compiled.rows.get("line", slice(0, 0))
        at: Ints = np.arange(rows.start, rows.stop)
        return at

    def _failed(self, shape: tuple[int, ...], note: str) -> Flow:
        def nan(*axes: int) -> Floats:
            return np.full(axes, np.nan)

        branches = len(self.placed)
        return Flow(
            converged=False,
            p_kw=nan(*shape),
            q_kvar=nan(*shape),
            v_pu=nan(*shape),
            v_degree=nan(*shape),
            branch_hv_kw=nan(branches),
            branch_lv_kw=nan(branches),
            branch_lv_kvar=nan(branches),
            branch_loading=nan(branches),
            line_loading=nan(self.lines),
            slack_kw=np.nan,
            losses_kw=np.nan,
            residual_kw=np.nan,
            edition=self.edition,
            unsupplied=self.unsupplied,
            note=note,
        )


def _doubt(residual_kw: float, v_pu: Floats) -> str:
    """Why a state that solved must not be settled on, or an empty text."""
    if not np.isfinite(v_pu).all():
        return "a voltage is not finite"
    if not abs(residual_kw) <= BALANCE_KW:
        return f"{residual_kw:.6f} kW are not accounted for"
    return ""
