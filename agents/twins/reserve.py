"""A battery that is held ready: it answers the frequency, or a set-point, with the capacity that somebody has booked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from agents.twins.battery import BatteryTwin
from sim.clock import Interval
from sim.errors import TwinError
from sim.frequency import Floats, Frequency

Follows = Literal["FREQUENCY", "AGC_SETPOINT"]
Direction = Literal["both", "raise", "lower"]

SPAN = {"both": (-1.0, 1.0), "raise": (0.0, 1.0), "lower": (-1.0, 0.0)}
"""Between which shares of its capacity a reserve may be asked for."""


def droop_share(hz: Floats, nominal_hz: float, droop: float, dead_band_hz: float) -> Floats:
    """The share of the capacity held that a frequency asks for, + into the grid, from -1 to 1.

    ``-(f - f0) / (droop f0)`` of what lies beyond the dead band, counted from its edge: the frequency droop of IEEE Std
    1547-2018, 6.5.2.7, which is the per-unit change of frequency that moves 1 per unit of power.  Full activation at 200 mHz,
    as Regulation (EU) 2017/1485, annex V, wants of continental Europe, is a droop of 0.004 at 50 Hz without a dead band.
    """
    away = hz - nominal_hz
    beyond = np.sign(away) * np.maximum(np.abs(away) - dead_band_hz, 0.0)
    return np.clip(-beyond / (droop * nominal_hz), -1.0, 1.0) + 0.0


class Control(Protocol):
    """What a reserve goes by."""

    @property
    def follows(self) -> Follows:
        """The type of signal."""

    @property
    def step_s(self) -> int:
        """Seconds for which a value holds."""

    def asked_kw(self, interval: Interval, held_kw: Floats) -> Floats:
        """What is asked for of the capacity held, by step of an interval, + into the grid."""

    def heard(self, interval: Interval) -> Floats:
        """What was listened to, by step of an interval: Hz, or kW."""


@dataclass(frozen=True, slots=True, eq=False)
class Droop:
    """Goes by the frequency, without being told by anybody.  droop, dead_band_hz: as ``droop_share`` takes them."""

    frequency: Frequency
    droop: float
    dead_band_hz: float
    follows: Follows = "FREQUENCY"

    @property
    def step_s(self) -> int:
        """Seconds for which a value holds."""
        return self.frequency.step_s

    def heard(self, interval: Interval) -> Floats:
        """The frequency in Hz."""
        return self.frequency.during(interval)

    def asked_kw(self, interval: Interval, held_kw: Floats) -> Floats:
        """By droop."""
        return held_kw * droop_share(self.heard(interval), self.frequency.nominal_hz, self.droop, self.dead_band_hz)


class Setpoints:
    """Goes by the set-points that it is sent, each of which holds until the next."""

    follows: Follows = "AGC_SETPOINT"
    step_s = 1

    def __init__(self) -> None:
        self._sent: list[tuple[int, float]] = [(0, 0.0)]

    def send(self, kw: float, at_s: int) -> None:
        """From this simulated second on, later than any before: kW, + into the grid."""
        self._sent.append((at_s, kw))

    def heard(self, interval: Interval) -> Floats:
        """The set-point in kW."""
        since_s, kw = zip(*self._sent, strict=True)
        seconds = np.arange(interval.start_s, interval.end_s, self.step_s)
        return np.array(kw)[np.searchsorted(since_s, seconds, side="right") - 1]

    def asked_kw(self, interval: Interval, held_kw: Floats) -> Floats:
        """The set-point, as far as it is within what is held."""
        return np.clip(self.heard(interval), -held_kw, held_kw)


@dataclass(frozen=True, slots=True)
class Answer:
    """How a reserve answered for one who has booked some of it, over the part of an interval in which it was held for them.

    availability: share of the time in which the capacity was there.  error_kw: mean of |asked - given|.  activated_kwh: given
    in answer, either way.  mean, least, most: of what was listened to, Hz or kW.  soc: at the end of the interval.
    """

    availability: float
    error_kw: float
    activated_kwh: float
    mean: float
    least: float
    most: float
    soc: float


@dataclass(frozen=True, slots=True, eq=False)
class _Lived:
    """An interval by step: what was held, asked and given in answer in kW, and whether the capacity was there."""

    interval: Interval
    held_kw: Floats
    asked_kw: Floats
    given_kw: Floats
    there: Floats


class ReserveTwin:
    """A battery whose capacity is booked, and that answers with as much of it as its control asks for.

    It rests at the set-point of its device, on top of which it answers.  Within an interval it goes from step to step of its
    control, exactly: power is constant for one, and ends at what is stored.  ramp_kw_per_s: by how much power may change;
    inf for as fast as can be.  sustain_s: the capacity is there while all of it could be given for so long from now on, in
    each direction in which it may be asked for (Regulation (EU) 2017/1485, article 156(9) to (11): 15 to 30 minutes, for what
    has limited energy).  Bookings and set-points of an interval are made before it ends.
    """

    available_kw = math.nan

    def __init__(
        self,
        battery: BatteryTwin,
        control: Control,
        *,
        direction: Direction = "both",
        ramp_kw_per_s: float = math.inf,
        sustain_s: float = 900.0,
    ) -> None:
        if not ramp_kw_per_s > 0 or not sustain_s > 0:
            raise TwinError("reserve", f"ramp {ramp_kw_per_s} kW/s, {sustain_s} s to sustain: expected both above 0")
        self.control = control
        self.min_kw, self.max_kw = battery.min_kw, battery.max_kw
        self._battery = battery
        self._span = SPAN[direction]
        self._ramp_kw_per_s = ramp_kw_per_s
        self._sustain_h = sustain_s / 3600
        self._booked: list[tuple[int, int, float]] = []
        self._power_kw = 0.0
        self._lived: _Lived | None = None

    @property
    def soc(self) -> float:
        """State of charge 0..1."""
        return self._battery.soc

    def book(self, kw: float, start_s: int, end_s: int) -> None:
        """Hold so much more ready from one simulated second to another."""
        self._booked.append((start_s, end_s, kw))

    def _held_kw(self, interval: Interval) -> Floats:
        seconds = np.arange(interval.start_s, interval.end_s, self.control.step_s)
        held = np.zeros(len(seconds))
        for start_s, end_s, kw in self._booked:
            held += kw * ((start_s <= seconds) & (seconds < end_s))
        return held

    def advance(self, setpoint_kw: float, interval: Interval) -> float:
        """Answer step by step, within ramp, rating and what is stored; the average of the interval."""
        held = self._held_kw(interval)
        asked = np.clip(self.control.asked_kw(interval, held), self._span[0] * held, self._span[1] * held)
        hours = self.control.step_s / 3600
        power, there = np.empty(len(held)), np.empty(len(held))
        for k, wanted_kw in enumerate((setpoint_kw + asked).tolist()):
            there[k] = self._is_there(setpoint_kw, float(held[k]))
            power[k] = self._step(wanted_kw, hours)
        self._lived = _Lived(interval, held, asked, power - setpoint_kw, there)
        return float(power.mean())

    def _step(self, wanted_kw: float, hours: float) -> float:
        reach_kw = self._ramp_kw_per_s * self.control.step_s
        wanted_kw = min(max(wanted_kw, self._power_kw - reach_kw), self._power_kw + reach_kw)
        self._power_kw, self._battery.soc = self._battery.after(wanted_kw, hours)
        return self._power_kw

    def _is_there(self, setpoint_kw: float, held_kw: float) -> bool:
        low_kw, high_kw = self._battery.range_kw(self._battery.soc, self._sustain_h)
        least, most = (setpoint_kw + share * held_kw for share in self._span)
        return low_kw <= least + _SLACK_KW and most <= high_kw + _SLACK_KW

    def interrupt(self, interval: Interval) -> float:
        """Without supply nothing is there and nothing is given, whatever was asked for; the battery keeps its charge."""
        held = self._held_kw(interval)
        asked = np.clip(self.control.asked_kw(interval, held), self._span[0] * held, self._span[1] * held)
        nothing = np.zeros(len(held))
        self._power_kw = 0.0
        self._lived = _Lived(interval, held, asked, nothing, nothing)
        return 0.0

    def reactive_kvar(self, v_pu: float) -> float:
        """None: it keeps to active power."""
        del v_pu
        return 0.0

    def answer(self, kw: float, start_s: int, end_s: int) -> Answer | None:
        """How it answered in the interval lived through last, for whoever has booked ``kw`` of it between two seconds.

        What several have booked answers each of them in proportion.  None where nothing was held for them in that interval.
        """
        lived = self._lived
        if lived is None:
            return None
        seconds = np.arange(lived.interval.start_s, lived.interval.end_s, self.control.step_s)
        theirs = (start_s <= seconds) & (seconds < end_s) & (lived.held_kw > 0)
        if not theirs.any():
            return None
        share = kw / lived.held_kw[theirs]
        asked, given = lived.asked_kw[theirs] * share, lived.given_kw[theirs] * share
        heard = self.control.heard(lived.interval)[theirs]
        return Answer(
            availability=float(lived.there[theirs].mean()),
            error_kw=float(np.abs(asked - given).mean()),
            activated_kwh=float(np.abs(given).sum()) * self.control.step_s / 3600,
            mean=float(heard.mean()),
            least=float(heard.min()),
            most=float(heard.max()),
            soc=self.soc,
        )


_SLACK_KW = 1e-9
