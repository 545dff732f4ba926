"""The frequency of the grid, which every device that is connected to it sees alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.clock import Interval
from sim.rng import stream

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Excursion:
    """Something that takes the frequency away and lets it come back, on top of its wandering.

    depth_hz: how far at most, + below nominal (a plant is lost), - above it (a load is).  It goes there in a straight line
    within fall_s seconds and returns in another within recover_s.
    """

    start_s: int
    depth_hz: float
    fall_s: int
    recover_s: int

    def hz(self, seconds: Floats) -> Floats:
        """What it adds to the frequency at these simulated seconds."""
        bottom_s = self.start_s + self.fall_s
        corners_s = (self.start_s, bottom_s, bottom_s + self.recover_s)
        return np.interp(seconds, corners_s, (0.0, -self.depth_hz, 0.0))


@dataclass(frozen=True, slots=True, eq=False)
class Frequency:
    """A course of the frequency: one value in Hz for every step_s seconds, from simulated second 0 on, held within its step."""

    nominal_hz: float
    step_s: int
    hz: Floats

    def during(self, interval: Interval) -> Floats:
        """The values of the steps of an interval, which is a whole number of them."""
        return self.hz[interval.start_s // self.step_s : interval.end_s // self.step_s]


def wandering(
    seed: int,
    *,
    nominal_hz: float,
    sd_hz: float,
    relaxation_s: float,
    step_s: int,
    duration_s: int,
    excursions: Sequence[Excursion] = (),
) -> Frequency:
    """A frequency that is driven away from nominal by chance and pulled back by control, and excursions that are stated.

    The wandering is an Ornstein-Uhlenbeck process, which Schäfer, Beck, Aihara, Witthaut and Timme, Nature Energy 3 (2018),
    119-126, take for the frequency of a grid, stepped without an error of discretisation (Gillespie, Physical Review E 54,
    1996, 2084): ``x' = φ x + sd √(1 - φ²) n`` with ``φ = exp(-step / relaxation)`` and n standard normal.  sd_hz: its standard
    deviation in the long run, from which it starts.  Whatever else differs between two runs of one seed, it wanders alike.
    """
    count = -(-duration_s // step_s)
    draws = stream(seed, "frequency").standard_normal(count)
    kept = math.exp(-step_s / relaxation_s)
    own = math.sqrt(1 - kept * kept)
    away = np.empty(count)
    last = 0.0
    for k, draw in enumerate(draws.tolist()):
        last = draw if k == 0 else kept * last + own * draw
        away[k] = last
    seconds = np.arange(count, dtype=np.float64) * step_s
    hz = nominal_hz + sd_hz * away + sum((one.hz(seconds) for one in excursions), np.zeros(count))
    hz.flags.writeable = False
    return Frequency(nominal_hz, step_s, hz)
