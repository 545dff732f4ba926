"""What the world does to devices: demand, sun and outdoor temperature, at the scenario's interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from agents.forecaster import Series
from agents.outlook import Topic
from grid_models import feeders
from scenarios.spec import Scenario, TemperatureSpec
from sim.clock import DAY_S, Calendar
from sim.errors import Fault, FeederError, ScenarioError
from sim.feeder import Floats
from sim.rng import stream

OUTDOOR = "outdoor"
"""The place whose temperature is forecast: one air for all."""

MEMORY_H = 12.0
"""Hours after which a warm or cold spell is remembered to 1/e."""


@dataclass(frozen=True, slots=True, eq=False)
class Weather:
    """Profiles by interval, shape [1 + count, columns]; row 0 precedes the run.  Loads ≥ 0; pv_pu is a share of the rating.

    outdoor_c: temperature in °C, shape [1 + count].
    """

    load_kw: Floats
    load_kvar: Floats
    pv_pu: Floats
    outdoor_c: Floats


def weather_of(scenario: Scenario, calendar: Calendar) -> Weather:
    """The profiles of a scenario; where the data begin with the run, its first interval stands for the one before.

    Raises ``FeederError`` for a time without data, ``ScenarioError`` for an interval that the profiles' step does not fit.
    """
    data = feeders.profiles(scenario.feeder.profiles)
    interval_s, step_s = scenario.interval_min * 60, feeders.STEP_S
    if interval_s % step_s and step_s % interval_s:
        what = f"profiles come every {step_s // 60} minutes; give a divisor or a multiple of that"
        raise ScenarioError(scenario.name, (Fault("interval_min", what),))
    if scenario.start.minute * 60 % step_s or scenario.start.second or scenario.start.microsecond:
        what = f"{scenario.start:%H:%M:%S} lies between two steps of the profiles"
        raise ScenarioError(scenario.name, (Fault("start", what, f"begin at a multiple of {step_s // 60} minutes"),))
    steps = -(-scenario.duration_h * 3600 // step_s)
    before = max(interval_s // step_s, 1)
    try:
        window = data.window(scenario.start - timedelta(seconds=before * step_s), before + steps)
        pad = 0
    except FeederError:
        window, pad = data.window(scenario.start, steps), before
    columns = (window.load_kw, window.load_kvar, window.pv_pu)
    load_kw, load_kvar, pv_pu = (_at_interval(values, pad, interval_s, step_s) for values in columns)
    outdoor_c = temperature_c(scenario.temperature, calendar, scenario.seed, -1, calendar.count)
    return Weather(load_kw, load_kvar, pv_pu, outdoor_c)


def _at_interval(values: Floats, pad: int, interval_s: int, step_s: int) -> Floats:
    padded = np.concatenate([values[:pad], values])
    if interval_s < step_s:
        repeats = step_s // interval_s
        return np.repeat(padded, repeats, axis=0)[repeats - 1 :]
    means: Floats = padded.reshape(-1, interval_s // step_s, padded.shape[1]).mean(axis=1)
    return means


def temperature_c(spec: TemperatureSpec, calendar: Calendar, seed: int, first: int, end: int) -> Floats:
    """Outdoor temperature of intervals ``first`` ≥ -(one day) up to ``end``, in °C.  Synthetic: no data set is behind it.

    A cosine of the local time of day around the mean, and a spell of warm or cold that fades: an autoregressive process with
    standard deviation ``sd_c`` and a memory of ``MEMORY_H``, drawn from the seed from one day before the run on.
    """
    slots = DAY_S // calendar.interval_s
    kept = math.exp(-calendar.interval_s / 3600 / MEMORY_H)
    draws = stream(seed, "temperature").standard_normal(slots + end).tolist()
    spell, found = spec.sd_c * draws[0], []
    for index, draw in enumerate(draws, -slots):
        spell = kept * spell + spec.sd_c * math.sqrt(1 - kept**2) * draw
        if index >= first:
            hour = calendar.minute_of_day(index * calendar.interval_s) / 60
            found.append(spec.mean_c + spec.swing_c * math.cos(math.tau * (hour - spec.warmest_h) / 24) + spell)
    return np.array(found)


class Truth:
    """What happens from one day before a run until ``after_s`` seconds past it, for forecasters alone.

    Where the data begin or end earlier, so does the truth.
    """

    def __init__(self, scenario: Scenario, calendar: Calendar, after_s: int) -> None:
        data = feeders.profiles(scenario.feeder.profiles)
        interval_s, step_s = calendar.interval_s, feeders.STEP_S
        begins, ends = next(
            window for window in data.windows() if window[0] <= scenario.start.replace(tzinfo=None) < window[1]
        )
        before = min(DAY_S, int((scenario.start - begins).total_seconds()) // interval_s * interval_s)
        last = scenario.start + timedelta(seconds=calendar.duration_s + after_s)
        span_s = before + int((min(last, ends) - scenario.start).total_seconds())
        length_s = max(interval_s, step_s)
        steps = span_s // length_s * length_s // step_s
        window = data.window(scenario.start - timedelta(seconds=before), steps)
        self._first = -before // interval_s
        self._load_kw, self._pv_pu = (
            values.repeat(step_s // interval_s, axis=0)
            if interval_s < step_s
            else values.reshape(-1, interval_s // step_s, values.shape[1]).mean(axis=1)
            for values in (window.load_kw, window.pv_pu)
        )
        end = calendar.count + after_s // interval_s
        self._day = -(DAY_S // interval_s)
        self._outdoor_c = temperature_c(scenario.temperature, calendar, scenario.seed, self._day, end)

    def series(self, topic: Topic) -> Series:
        """What happens on a topic.  Raises ``KeyError`` for a price, which nobody knows before it is made."""
        if topic.variable == "TEMPERATURE":
            return Series(self._day, tuple(self._outdoor_c.tolist()))
        table = {"LOAD": self._load_kw, "PV": self._pv_pu}[topic.variable]
        return Series(self._first, tuple(table[:, column_of(topic)].tolist()))


def customer(column: int) -> Topic:
    """The everyday load in this column of the profiles."""
    return Topic("LOAD", f"customer-{column}")


def sky(column: int) -> Topic:
    """The sun under the sky in this column of the profiles."""
    return Topic("PV", f"sky-{column}")


def column_of(topic: Topic) -> int:
    """The column that a customer or a sky stands for."""
    return int(topic.place.rpartition("-")[2])


AIR = Topic("TEMPERATURE", OUTDOOR)
