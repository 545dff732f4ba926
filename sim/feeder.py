"""What the kernel asks of a feeder.  The only implementation that knows a power-flow engine lives in ``grid_models``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Branch:
    """A transformer, or a line that a scenario limits, as the market sees it: a node of the tree of limits.

    name: unique in the feeder.  parent: the branch above it, or None below the external grid.  rated_kva: what it may
    carry, derated, parallel units together.
    """

    name: str
    parent: str | None
    rated_kva: float
    kind: Literal["transformer", "line"] = "transformer"


@dataclass(frozen=True, slots=True)
class Flow:
    """One solved state of the wires.  Powers in kW and kvar; flow through a branch is + downstream (import).

    p_kw and q_kvar (what was served, + into the grid), v_pu and v_degree follow ``Feeder.buses``, in a feeder of three
    phases with a second axis for these; the branch arrays follow ``Feeder.branches`` (``hv`` is the upper end, ``lv`` the
    lower), line_loading follows ``Feeder.lines``.  Loadings are shares of the rating (1.0 = rated).
    edition: number of the circuit that this is a state of: switches and taps make another.
    unsupplied: buses that have no connection to the external grid; nothing is served there and their voltage is NaN.
    Where ``converged`` is false every array is NaN and ``note`` says why: such a state must never be settled on.
    """

    converged: bool
    p_kw: Floats
    q_kvar: Floats
    v_pu: Floats
    v_degree: Floats
    branch_hv_kw: Floats
    branch_lv_kw: Floats
    branch_lv_kvar: Floats
    branch_loading: Floats
    line_loading: Floats
    slack_kw: float
    losses_kw: float
    residual_kw: float
    edition: int = 0
    unsupplied: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class GridChange:
    """Something that happens to the grid: a switch opens, a transformer or a line is lost or comes back, a tap moves.

    kind: ``switch`` or ``tap``, ``line``, ``transformer``.  state: closed or open for a switch, in or out of service for a
    line or transformer; position: of a tap.
    """

    kind: Literal["switch", "line", "transformer", "tap"]
    name: str
    state: Literal["open", "closed", "in", "out"] | None = None
    position: int | None = None

    @property
    def text(self) -> str:
        """``transformer T1 out``."""
        return f"{self.kind} {self.name} {self.position if self.state is None else self.state}"


@dataclass(frozen=True, slots=True)
class Sensitivities:
    """How a solved state answers to a little more injection at each bus (columns, in the order of ``Feeder.buses``).

    v_pu_per_kw, v_pu_per_kvar: of the voltage magnitude at each watched bus (rows).  losses_per_kw, losses_per_kvar: of
    everything the grid itself takes; −0.05 means that another kW injected there saves 50 W.  0 at buses without supply.
    """

    v_pu_per_kw: Floats
    v_pu_per_kvar: Floats
    losses_per_kw: Floats
    losses_per_kvar: Floats


class Feeder(Protocol):
    """A feeder that can be solved for bus injections."""

    name: str
    buses: tuple[str, ...]
    """Names of all buses; injections and voltages are in this order."""
    lines: tuple[str, ...]
    site_buses: tuple[str, ...]
    """Names of the buses at which the network has customers, in the network's order; may repeat."""
    phases: tuple[str, ...]
    """``("",)``, or the names of the three phases, which are then the second axis of injections and voltages."""

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The tree of limits.  Raises ``FeederError`` where the network is none."""

    @property
    def unsupplied(self) -> tuple[str, ...]:
        """Buses that have no connection to the external grid as switches now stand."""

    def apply(self, change: GridChange) -> None:
        """Change the grid from now on.  Raises ``FeederError`` for something that it does not have."""

    def node_of(self, bus: str) -> str:
        """Name of the branch of the tree that feeds this bus.  Raises ``FeederError`` for an unknown bus."""

    def solve(self, p_kw: Floats, q_kvar: Floats) -> Flow:
        """Power flow for injections (+ into the grid) per bus.  Never raises for a grid without a solution."""

    def sensitivities_by_phase(self, flow: Flow, watched: Sequence[tuple[str, str]]) -> Sensitivities:
        """Exact derivatives of a solved state by the injection at each bus and phase, voltages for those watched only.

        watched: bus and phase, the latter empty in a balanced feeder.  The last axes have the shape of the injections.
        Raises ``FeederError`` where there are none.
        """
