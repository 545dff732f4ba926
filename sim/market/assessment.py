"""What the wires say to an outcome of the market before anybody is told of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from sim.market.problem import LinearLimit


@dataclass(frozen=True, slots=True)
class NodeFinding:
    """Flow through a node of the tree (+ downstream, at its lower end), its loading, and what is above its limits [kW ≥ 0]."""

    node: str
    flow_kw: float
    loading: float
    excess_forward_kw: float = 0.0
    excess_reverse_kw: float = 0.0


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the power flow says to an outcome.

    solved: whether there is a solution at all; without one, ``note`` says why and nothing else is known.
    voltages: limits on set-points that would bring the worst buses back, linear about this outcome.
    loss_factor: by era, what another kW injected there adds to the losses [kW/kW].  unserved: whom no supply reaches.
    """

    solved: bool
    nodes: tuple[NodeFinding, ...] = ()
    voltages: tuple[LinearLimit, ...] = ()
    loss_factor: Mapping[str, float] | None = None
    unserved: tuple[str, ...] = ()
    losses_kw: float = math.nan
    note: str = ""
