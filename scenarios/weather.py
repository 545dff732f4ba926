"""What the world does to devices: demand and sun, at the scenario's interval."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from grid_models import feeders
from scenarios.spec import Scenario
from sim.errors import Fault, FeederError, ScenarioError
from sim.feeder import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Weather:
    """Profiles by interval, shape [1 + count, columns]; row 0 precedes the run.  Loads ≥ 0; pv_pu is a share of the rating."""

    load_kw: Floats
    load_kvar: Floats
    pv_pu: Floats


def weather_of(scenario: Scenario) -> Weather:
    """The profiles of a scenario; where the data begin with the run, its first interval stands for the one before.

    Raises ``FeederError`` for a time without data, ``ScenarioError`` for an interval that the profiles' step does not fit.
    """
    data = feeders.profiles(scenario.feeder.profiles)
    interval_s, step_s = scenario.interval_min * 60, feeders.STEP_S
    if interval_s % step_s and step_s % interval_s:
        what = f"profiles come every {step_s // 60} minutes; give a divisor or a multiple of that"
        raise ScenarioError(scenario.name, (Fault("interval_min", what),))
    steps = -(-scenario.duration_h * 3600 // step_s)
    before = max(interval_s // step_s, 1)
    try:
        window = data.window(scenario.start - timedelta(seconds=before * step_s), before + steps)
        pad = 0
    except FeederError:
        window, pad = data.window(scenario.start, steps), before
    columns = (window.load_kw, window.load_kvar, window.pv_pu)
    return Weather(*(_at_interval(values, pad, interval_s, step_s) for values in columns))


def _at_interval(values: Floats, pad: int, interval_s: int, step_s: int) -> Floats:
    padded = np.concatenate([values[:pad], values])
    if interval_s < step_s:
        repeats = step_s // interval_s
        return np.repeat(padded, repeats, axis=0)[repeats - 1 :]
    means: Floats = padded.reshape(-1, interval_s // step_s, padded.shape[1]).mean(axis=1)
    return means
