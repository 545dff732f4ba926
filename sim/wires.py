"""What devices do to the wires in one interval, and what the wires do to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from sim.clock import Interval
from sim.device import Device
from sim.feeder import Feeder, Floats, Flow

AGREED_KVAR: Final = 1e-4
"""An inverter that follows its voltage is where it should be: 0.1 var."""

EXCHANGES: Final = 40
"""Power flows that voltages and reactive powers get to agree in; 3 to 8 are usual."""

LEAST_STEP: Final = 1 / 64
"""Share of what is asked for that an exchange moves at least."""

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
        flow = self._agreed(p_kw, connected)
        if flow.converged:
            self.q_kvar = flow.q_kvar
        return flow

    def _agreed(self, p_kw: Floats, devices: Sequence[Device]) -> Flow:
        """The power flow at which every device gives the reactive power that its voltage asks for.

        A kvar calls forth some of its opposite, more of it on a weak grid, so that whole steps may swing for ever: each step is
        as long as the last one turned out to need (the secant; of Barzilai and Borwein where devices are many).
        Where they still disagree at the end the flow says so in its note: such inverters would hunt on real wires too.
        """
        flow = self._flow(p_kw, devices)
        step, before = 1.0, None
        for _ in range(EXCHANGES):
            gap = self._gap(flow, devices) if flow.converged else np.zeros(0)
            if np.abs(gap).max(initial=0.0) <= AGREED_KVAR:
                return flow
            if before is not None and (turned := before - gap).any():
                step = min(max(step * float(before @ turned) / float(turned @ turned), LEAST_STEP), 1.0)
            before = gap
            for device, move in zip(devices, (step * gap).tolist(), strict=True):
                device.q_kvar += move
            flow = self._flow(p_kw, devices)
        left = np.abs(self._gap(flow, devices)).max() if flow.converged else 0.0
        if left > AGREED_KVAR:
            return replace(flow, note=f"inverters are up to {left:.4f} kvar off their curves")
        return flow

    def _gap(self, flow: Flow, devices: Sequence[Device]) -> Floats:
        """What each device's voltage asks for beyond what it gives."""
        wanted = (device.twin.reactive_kvar(self._voltage(flow, device)) - device.q_kvar for device in devices)
        return np.fromiter(wanted, dtype=float, count=len(devices))

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
