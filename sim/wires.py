"""What devices do to the wires in one interval, and what the wires do to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from sim.clock import Interval
from sim.device import Device
from sim.feeder import Feeder, Floats, Flow

AGREED_KVAR: Final = 1e-4
"""An inverter that follows its voltage is where it should be: 0.1 var."""

EXCHANGES: Final = 40
"""Power flows that voltages and reactive powers get to agree in; 3 to 8 are usual."""

Solve = Callable[[Floats, Floats], Flow]


class Wires:
    """A feeder and the devices at its buses.

    solve: the feeder's own, exchangeable for timing.
    """

    def __init__(self, feeder: Feeder, solve: Solve | None = None) -> None:
        self.feeder = feeder
        self._solve = solve or feeder.solve
        self._row = {name: k for k, name in enumerate(feeder.buses)}
        self._phases = len(feeder.phases)
        self.q_kvar = self._nothing()
        """Reactive injections of the last interval that had a solution, in the feeder's shape."""

    def live(self, devices: Sequence[Device], interval: Interval) -> Flow:
        """Let every device live through an interval and solve the power flow of what they did.

        A device at a bus without supply does nothing.  Reactive power and voltage depend on each other where inverters hold
        the voltage: power flows are repeated until they agree.
        """
        dark = set(self.feeder.unsupplied)
        p_kw = self._nothing()
        for device in devices:
            self._add(p_kw, device, device.advance(interval, supplied=device.bus not in dark))
        connected = [device for device in devices if device.supplied]
        for device in connected:
            device.q_kvar = device.twin.reactive_kvar(1.0)
        flow = self._flow(p_kw, connected)
        step, before = 1.0, np.inf
        for _ in range(EXCHANGES):
            if not flow.converged:
                break
            wanted = [device.twin.reactive_kvar(self._voltage(flow, device)) for device in connected]
            moves = [q_kvar - device.q_kvar for q_kvar, device in zip(wanted, connected, strict=True)]
            change = max(map(abs, moves), default=0.0)
            if change <= AGREED_KVAR:
                break
            step = step / 2 if change > before else step  # steep curves on a weak grid swing: take smaller steps
            before = change
            for device, move in zip(connected, moves, strict=True):
                device.q_kvar += step * move
            flow = self._flow(p_kw, connected)
        if flow.converged:
            self.q_kvar = flow.q_kvar
        return flow

    def _flow(self, p_kw: Floats, devices: Sequence[Device]) -> Flow:
        q_kvar = self._nothing()
        for device in devices:
            self._add(q_kvar, device, device.q_kvar)
        return self._solve(p_kw, q_kvar)

    def _nothing(self) -> Floats:
        return np.zeros((len(self._row), self._phases) if self._phases > 1 else len(self._row))

    def _add(self, sums: Floats, device: Device, value: float) -> None:
        row = self._row[device.bus]
        if self._phases == 1:
            sums[row] += value
        elif device.phase:
            sums[row, self.feeder.phases.index(device.phase)] += value
        else:
            sums[row] += value / self._phases

    def _voltage(self, flow: Flow, device: Device) -> float:
        at = flow.v_pu[self._row[device.bus]]
        if self._phases == 1:
            return float(at)
        return float(at[self.feeder.phases.index(device.phase)] if device.phase else at.mean())
