"""What the kernel asks of a feeder.  The only implementation that knows a power-flow engine lives in ``grid_models``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Branch:
    """A transformer as the market sees it: a node of the tree of limits.

    name: the transformer's name, unique in the feeder.  parent: the transformer above it, or None below the external grid.
    rated_kva: nameplate.
    """

    name: str
    parent: str | None
    rated_kva: float


@dataclass(frozen=True, slots=True)
class Flow:
    """One solved state of the wires.  Powers in kW; flow through a branch is + downstream (import).

    p_kw and v_pu follow ``Feeder.buses``; the branch arrays follow ``Feeder.branches``; line_loading follows
    ``Feeder.lines``.  Loadings are shares of the rating (1.0 = rated).  Where ``converged`` is false every array is NaN
    and ``note`` says why: such a state must never be settled on.
    """

    converged: bool
    p_kw: Floats
    v_pu: Floats
    branch_hv_kw: Floats
    branch_lv_kw: Floats
    branch_loading: Floats
    line_loading: Floats
    slack_kw: float
    losses_kw: float
    residual_kw: float
    note: str = ""


class Feeder(Protocol):
    """A feeder that can be solved for bus injections."""

    name: str
    buses: tuple[str, ...]
    """Names of all buses; injections and voltages are in this order."""
    branches: tuple[Branch, ...]
    lines: tuple[str, ...]
    site_buses: tuple[str, ...]
    """Names of the buses at which the network has customers, in the network's order; may repeat."""

    def node_of(self, bus: str) -> str:
        """Name of the transformer that feeds this bus.  Raises ``FeederError`` for an unknown bus."""

    def solve(self, p_kw: Floats, q_kvar: Floats) -> Flow:
        """Power flow for injections (+ into the grid) per bus.  Never raises for a grid without a solution."""
