"""Whether the wires would carry what a market has cleared, asked before anybody is told.

A component of the grid operator, not an agent: it is given set-points, solves the power flow of them, and says which limits
they break, by how much, and what each participant's power does to the voltages that are out of bounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sim.errors import FeederError
from sim.feeder import Feeder, Floats, Flow, Sensitivities
from sim.market.assessment import Assessment, NodeFinding
from sim.market.problem import LinearLimit
from sim.tolerances import LOADING, POWER_KW, VOLTAGE_PU

CANDIDATES: Final = 16
"""Buses out of bounds, the worst first, whose sensitivities are looked at."""

VOLTAGES: Final = 6
"""Voltage limits that one assessment passes on; the next round sees what these have left."""

ALIKE: Final = 0.995
"""Two buses whose sensitivities point so nearly the same way (cosine) are relieved together."""

LEAST_WEIGHT: Final = 1e-6
"""Participants with less than this share of a limit's largest weight are left out of it."""


@dataclass(frozen=True, slots=True)
class Point:
    """Where a share of a participant's power enters the grid.  phase: A, B or C; empty for all there are."""

    bus: str
    share: float = 1.0
    phase: str = ""


class Inspector:
    """Assesses outcomes on a feeder.

    points: where each participant's power enters the grid; nothing for one that stands above it.  allowed: loading up to
    which each node may be planned, (import, export), 1.0 = rated.  band_pu: lowest and highest voltage.
    kvar: reactive injections to expect, in the feeder's shape.  losses: whether loss factors are wanted.
    """

    def __init__(
        self,
        feeder: Feeder,
        *,
        points: Mapping[str, Sequence[Point]],
        allowed: Mapping[str, tuple[float, float]],
        band_pu: tuple[float, float],
        kvar: Callable[[], Floats],
        losses: bool,
        solve: Callable[[Floats, Floats], Flow],
    ) -> None:
        self._feeder = feeder
        self._points = points
        self._allowed = allowed
        self._band_pu = band_pu
        self._kvar = kvar
        self._losses = losses
        self._solve = solve
        self._row = {bus: k for k, bus in enumerate(feeder.buses)}

    def assess(self, setpoint_kw: Mapping[str, float]) -> Assessment:
        """Solve the power flow of these set-points, and compare it with the limits."""
        dark = set(self._feeder.unsupplied)
        unserved = tuple(
            era
            for era, p_kw in setpoint_kw.items()
            if abs(p_kw) > POWER_KW and self._buses_of(era) and self._buses_of(era) <= dark
        )
        flow = self._solve(self._injections(setpoint_kw), self._kvar())
        if not flow.converged:
            return Assessment(solved=False, unserved=unserved, note=flow.note)
        watched = self._out_of_bounds(flow)
        answer, note = None, ""
        if watched or self._losses:
            answer, note = self._sensitivities(flow, [(bus, phase) for bus, phase, _ in watched])
        return Assessment(
            solved=True,
            nodes=tuple(self._nodes(flow)),
            voltages=() if answer is None else self._voltage_limits(flow, watched, answer, setpoint_kw),
            loss_factor=self._by_era(answer.losses_per_kw, setpoint_kw) if answer and self._losses else None,
            unserved=unserved,
            losses_kw=flow.losses_kw,
            note=note,
        )

    def _sensitivities(self, flow: Flow, watched: Sequence[tuple[str, str]]) -> tuple[Sensitivities | None, str]:
        """Derivatives of the state; or none, and why."""
        try:
            answer = self._feeder.sensitivities_by_phase(flow, watched)
        except FeederError as error:
            return None, f"voltages and losses have no price: {error}"
        if not (np.isfinite(answer.v_pu_per_kw).all() and np.isfinite(answer.losses_per_kw).all()):
            return None, "voltages and losses have no price: the state is at the edge of what the grid can carry"
        return answer, ""

    def _injections(self, setpoint_kw: Mapping[str, float]) -> Floats:
        phases = self._feeder.phases
        p_kw = np.zeros((len(self._row), len(phases)))
        for era, power_kw in setpoint_kw.items():
            for point in self._points.get(era, ()):
                part_kw = power_kw * point.share
                if point.phase:
                    p_kw[self._row[point.bus], phases.index(point.phase)] += part_kw
                else:
                    p_kw[self._row[point.bus]] += part_kw / len(phases)
        return p_kw if len(phases) > 1 else p_kw[:, 0]

    def _nodes(self, flow: Flow) -> Sequence[NodeFinding]:
        found = []
        for k, branch in enumerate(self._feeder.branches):
            p_kw, q_kvar, loading = (
                float(part[k]) for part in (flow.branch_lv_kw, flow.branch_lv_kvar, flow.branch_loading)
            )
            forward, reverse = self._allowed[branch.name]
            over = excess_kw(p_kw, q_kvar, loading, forward if p_kw >= 0 else reverse)
            over = over if over > LOADING * branch.rated_kva else 0.0
            found.append(NodeFinding(branch.name, p_kw, loading, *((over, 0.0) if p_kw >= 0 else (0.0, over))))
        return found

    def _out_of_bounds(self, flow: Flow) -> list[tuple[str, str, float]]:
        """Bus and phase beyond the band, the worst first, with the limit that each breaks."""
        phases, (low, high) = self._feeder.phases, self._band_pu
        v_pu = flow.v_pu.reshape(-1)
        beyond = np.nan_to_num(np.maximum(v_pu - high, low - v_pu), nan=-1.0)
        order = np.argsort(-beyond, kind="stable")[:CANDIDATES]
        return [
            (self._feeder.buses[k // len(phases)], phases[k % len(phases)], high if v_pu[k] > high else low)
            for k in order.tolist()
            if beyond[k] > VOLTAGE_PU
        ]

    def _voltage_limits(
        self,
        flow: Flow,
        watched: Sequence[tuple[str, str, float]],
        answer: Sensitivities,
        setpoint_kw: Mapping[str, float],
    ) -> tuple[LinearLimit, ...]:
        """``v + Σ dv/dp · (p - p_now) <= high``, and the like for low: of buses that no worse one speaks for."""
        chosen: list[LinearLimit] = []
        directions: list[Floats] = []
        phases = self._feeder.phases
        for (bus, phase, limit_pu), slope in zip(watched, answer.v_pu_per_kw, strict=True):
            sign = 1.0 if limit_pu == self._band_pu[1] else -1.0
            direction = sign * slope.ravel() / (np.linalg.norm(slope) or 1.0)
            if len(chosen) == VOLTAGES or any(float(direction @ other) > ALIKE for other in directions):
                continue
            v_pu = float(flow.v_pu.reshape(-1, len(phases))[self._row[bus], phases.index(phase)])
            weight = {era: sign * value for era, value in self._by_era(slope, setpoint_kw).items()}
            heaviest = max(map(abs, weight.values()), default=0.0)
            if not heaviest:  # held by the external grid: nobody's power moves it
                continue
            weight = {era: value for era, value in weight.items() if abs(value) > LEAST_WEIGHT * heaviest}
            directions.append(direction)
            room_pu = sign * (limit_pu - v_pu) - VOLTAGE_PU
            now_pu = sum(value * setpoint_kw.get(era, 0.0) for era, value in weight.items())
            name = " ".join(filter(None, ("voltage", bus, phase, "high" if sign > 0 else "low")))
            chosen.append(LinearLimit(name, weight, room_pu + now_pu))
        return tuple(chosen)

    def _buses_of(self, era: str) -> set[str]:
        return {point.bus for point in self._points.get(era, ())}

    def _by_era(self, per_bus: Floats, eras: Iterable[str]) -> dict[str, float]:
        """What another kW of each does, of these alone: members of a host are in the host's own share."""
        by_phase = per_bus.reshape(len(self._row), -1)

        def at(point: Point) -> float:
            felt = by_phase[self._row[point.bus]]
            return float(felt[self._feeder.phases.index(point.phase)] if point.phase else felt.mean())

        return {era: sum(point.share * at(point) for point in self._points[era]) for era in eras if era in self._points}


def excess_kw(p_kw: float, q_kvar: float, loading: float, allowed: float) -> float:
    """By how much an active flow is too large for a branch that is loaded beyond what is allowed, ≥ 0.

    Loading goes with the current, and so with the apparent power at this voltage, in the phase that has most of it: the
    active part is to shrink until ``hypot(p, q)`` has shrunk by ``allowed / loading``, the reactive part staying as it is.
    """
    if loading <= allowed * (1 + LOADING):
        return 0.0
    room = (math.hypot(p_kw, q_kvar) * allowed / loading) ** 2 - q_kvar**2
    return abs(p_kw) - math.sqrt(max(room, 0.0))
