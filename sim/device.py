"""The seam between deciding and physics: a set-point goes in, delivered power and energy come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sim.clock import Interval
from sim.feeder import Flow


class Twin(Protocol):
    """Device physics, no messages.  Power + into the grid, in kW, averaged over the interval."""

    min_kw: float
    """Rating: least power, negative for a device that can withdraw."""
    max_kw: float
    """Rating: greatest power."""

    def advance(self, setpoint_kw: float, interval: Interval) -> float:
        """Live through one interval under a set-point; the power that physics allowed."""

    def interrupt(self, interval: Interval) -> float:
        """Live through one interval without supply; the power that it would have had to have, whatever was commanded."""

    def reactive_kvar(self, v_pu: float) -> float:
        """Reactive power of the interval just lived through, + into the grid, at this voltage."""

    @property
    def soc(self) -> float:
        """State of charge 0..1 at the end of the last interval; NaN where there is none."""

    @property
    def available_kw(self) -> float:
        """The most that could have been injected in the last interval; NaN where that means nothing."""


@dataclass(slots=True)
class Device:
    """One device at one bus: its owner commands it, the world advances it.

    phase: A, B or C in a feeder of three phases; empty for all of them equally.  setpoint_kw holds until the next command.
    energy_wh is its meter's register, signed like power; a reading is the difference of two registers, each rounded to a
    whole Wh, so that nothing is lost between readings.  delivered_kw, q_kvar: of the last interval, + into the grid;
    unserved_kw: what it would have had to have, had its bus been supplied.
    """

    era: str
    bus: str
    node: str
    twin: Twin
    phase: str = ""
    setpoint_kw: float = 0.0
    delivered_kw: float = 0.0
    q_kvar: float = 0.0
    unserved_kw: float = 0.0
    supplied: bool = True
    reading_wh: int = 0
    _register_wh: float = field(default=0.0, repr=False)

    def command(self, p_kw: float) -> None:
        """Set the power asked for from now on."""
        self.setpoint_kw = p_kw

    def advance(self, interval: Interval, *, supplied: bool = True) -> float:
        """Let the twin live through an interval, at a bus with or without supply, and read the meter.  Returns delivered kW."""
        self.supplied = supplied
        self.delivered_kw = self.unserved_kw = self.q_kvar = 0.0
        if supplied:
            self.delivered_kw = self.twin.advance(self.setpoint_kw, interval)
        else:
            self.unserved_kw = self.twin.interrupt(interval)
        before = round(self._register_wh)
        self._register_wh += self.delivered_kw * interval.hours * 1000
        self.reading_wh = round(self._register_wh) - before
        return self.delivered_kw


@dataclass(slots=True)
class Meters:
    """All meters of the feeder after one interval.  The world writes them, the meter operator reads them.

    valid is false where the wires had no solution: nothing may be settled on such an interval.  energy_wh: by participant,
    + injected; kvar likewise.  cut_off: participants whose bus had no supply; what was agreed with them could not happen.
    node_kwh: through each transformer's low-voltage side, + downstream.  supply_kwh: from the upstream grid.
    """

    energy_wh: Mapping[str, int] = field(default_factory=dict)
    kvar: Mapping[str, float] = field(default_factory=dict)
    cut_off: frozenset[str] = frozenset()
    node_kwh: Mapping[str, float] = field(default_factory=dict)
    supply_kwh: float = 0.0
    valid: bool = False

    def read(self, devices: Sequence[Device], flow: Flow, branch_names: tuple[str, ...], hours: float) -> None:
        """Take the readings of the interval that has just ended."""
        self.valid = flow.converged
        self.energy_wh = {device.era: device.reading_wh for device in devices}
        self.kvar = {device.era: device.q_kvar for device in devices}
        self.cut_off = frozenset(device.era for device in devices if not device.supplied)
        self.supply_kwh = flow.slack_kw * hours
        self.node_kwh = {name: float(flow.branch_lv_kw[k]) * hours for k, name in enumerate(branch_names)}
