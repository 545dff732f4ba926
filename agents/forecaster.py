"""The forecaster: publishes what it expects of sun, temperature, demand and prices in the catalogue, with the error it has.

Like a weather service it is given the true series when it is made, and nobody else is: what leaves it is an expectation, that
an error model has made worse.  Prices it does not know any better than others: it expects the tariff, plus what local prices
lay above it at that time of day when the market last published some.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from agents.forecast import Forecast
from agents.outlook import Topic, Variable, forecast_body
from sim.clock import DAY_S, Calendar
from sim.participant import Ids, Participant, Registry
from sim.rng import stream
from sim.wire.core import Catalog, Descriptor, Provider, Resource
from sim.wire.messages import SETUP_TTL_S, Alarm, CatalogsContent, Event, Message, PublishContent, uri

Z90 = 1.2815515655446004
"""Quantile of the standard normal distribution that 90 % of outcomes lie below."""

SCALE_K = 10.0
"""What an error of 1 is in kelvin: a temperature has no zero to be a multiple of, so that its errors are added."""

UNITS: Mapping[Variable, str] = {"PV": "pu", "LOAD": "kW", "TEMPERATURE": "Cel", "PRICE": "{currency}/kWh"}
"""Unit of each variable.  PV is a share of installed power, so that roofs of every size can use it."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How good a forecaster is.

    sd: of the logarithm of forecast over truth, in the long run; of a temperature in ``SCALE_K``.  correlation: of the
    errors of two intervals that follow each other.  bias: share by which all is forecast too high; likewise.
    """

    sd: float = 0.1
    correlation: float = 0.9
    bias: float = 0.0


@dataclass(frozen=True, slots=True)
class View:
    """What there is to make one forecast from.

    past: what has been seen up to the issue, the latest last; coming: what is going to happen, from the next interval on;
    slots: intervals of a day.  additive: whether errors are added, and not multiplied.
    """

    past: Sequence[float]
    coming: Sequence[float]
    slots: int
    additive: bool


Rows: TypeAlias = tuple[tuple[float, ...], ...]
"""Expected values, and P10, P50 and P90 where they are known: one row, or four."""


@dataclass(frozen=True, slots=True)
class ErrorModel:
    """One way to be wrong."""

    name: str
    summary: str
    apply: Callable[[View, Accuracy, np.random.Generator], Rows]


def perfect(view: View, accuracy: Accuracy, rng: np.random.Generator) -> Rows:
    """What is going to happen."""
    del accuracy, rng
    return (tuple(view.coming),)


def persistence(view: View, accuracy: Accuracy, rng: np.random.Generator) -> Rows:
    """What the last day showed at the same time; what the last interval showed, where no day has been seen.

    Where nothing at all has been seen, because the data begin with the run, its first interval stands for the one before.
    """
    del accuracy, rng
    return (tuple(_seen(view, lead) for lead in range(len(view.coming))),)


def _seen(view: View, lead: int) -> float:
    back = view.slots - lead % view.slots
    if back <= len(view.past):
        return view.past[-back]
    return view.past[-1] if view.past else view.coming[0]


def noise(view: View, accuracy: Accuracy, rng: np.random.Generator) -> Rows:
    """The truth times a lognormal error that grows with the lead, and what lies within it.

    The logarithm of forecast over truth is an autoregressive process that starts at 0 when the forecast is made, so that its
    standard deviation h intervals ahead is ``σ_h = sd √(1 - ρ^{2h})``.  Given the forecast f, the truth lies below
    ``f exp(z_q σ_h)`` with probability q, whatever the truth is: the quantiles are exact.  Where errors are added, likewise
    without the logarithm.
    """
    own = accuracy.sd * math.sqrt(1 - accuracy.correlation**2)
    error, values, low, high = 0.0, [], [], []
    for lead, truth in enumerate(view.coming, 1):
        error = accuracy.correlation * error + own * float(rng.standard_normal())
        reach = Z90 * accuracy.sd * math.sqrt(1 - accuracy.correlation ** (2 * lead))
        value = _moved(truth, error, additive=view.additive)
        ends = sorted(_moved(value, by, additive=view.additive) for by in (-reach, reach))
        values.append(value)
        low.append(ends[0])
        high.append(ends[1])
    return tuple(values), tuple(low), tuple(values), tuple(high)


def _moved(value: float, error: float, *, additive: bool) -> float:
    return value + SCALE_K * error if additive else value * math.exp(error)


def biased(view: View, accuracy: Accuracy, rng: np.random.Generator) -> Rows:
    """The truth, too high (or too low) by the same share always."""
    del rng
    if view.additive:
        return (tuple(value + SCALE_K * accuracy.bias for value in view.coming),)
    return (tuple(value * (1 + accuracy.bias) for value in view.coming),)


ERROR_MODELS: Mapping[str, ErrorModel] = {
    model.name: model
    for model in (
        ErrorModel("none", "what is going to happen; of prices, which nobody knows, what is expected of them", perfect),
        ErrorModel("persistence", "what the last day showed at that time, or the last interval", persistence),
        ErrorModel("noise", "multiplicative AR(1) error that grows with the lead, with P10, P50 and P90", noise),
        ErrorModel("bias", "too high or too low by the same share always", biased),
    )
}
"""What ``degsim list forecasts`` lists."""


@dataclass(frozen=True, slots=True)
class Series:
    """What happens to a variable at a place, one value an interval from number ``first`` on."""

    first: int
    values: tuple[float, ...]

    def view(self, index: int, count: int, slots: int, *, additive: bool) -> View:
        """What a forecast that begins with interval ``index`` is made from."""
        at = max(index - self.first, 0)
        return View(self.values[:at], self.values[at : at + count], slots, additive)


@dataclass(frozen=True, slots=True)
class Habits:
    """How a forecaster works: its error model, how often it publishes and how far it looks ahead, in seconds.

    ahead_s: by how much a publication comes before the interval from which on it is meant to be used.  valid_s: for how long
    a forecast holds from its issue; None for as long as it takes until the next one comes.
    """

    model: ErrorModel
    accuracy: Accuracy
    refresh_s: int
    horizon_s: int
    ahead_s: int
    valid_s: int | None = None


def made(
    topic: Topic, series: Series, habits: Habits, calendar: Calendar, now_s: int, rng: np.random.Generator
) -> Forecast:
    """A forecast of what a series is going to be from the next interval on, with the error of these habits."""
    slots, first = DAY_S // calendar.interval_s, calendar.index_at(now_s) + 1
    count = habits.horizon_s // calendar.interval_s
    view = series.view(first, count, slots, additive=topic.variable == "TEMPERATURE")
    values, *spread = habits.model.apply(view, habits.accuracy, rng)
    return Forecast(topic.variable, topic.place, now_s, first, values, *spread)


class PriceMemory:
    """What local prices lay above the tariff when the market last published some, by node and time of day.

    tariff: import price per kWh by local minute of the day.
    """

    def __init__(self, calendar: Calendar, tariff: Sequence[float]) -> None:
        self._calendar = calendar
        self._tariff = tariff
        self._adder: dict[tuple[str, int], float] = {}

    def note(self, index: int, prices: Mapping[str, float | None]) -> None:
        """Prices per kWh by node that the market has published for an interval."""
        minute = self._minute(index)
        for node, price in prices.items():
            if price is not None:
                self._adder[node, minute] = price - self._tariff[minute]

    def expected(self, node: str, index: int) -> float:
        """Price per kWh expected at a node in an interval: the tariff, where the market has shown nothing at that time yet."""
        minute = self._minute(index)
        return self._tariff[minute] + self._adder.get((node, minute), 0.0)

    def _minute(self, index: int) -> int:
        return self._calendar.minute_of_day(index * self._calendar.interval_s)


class Forecaster(Participant):
    """Publishes a catalogue for every topic, again and again.

    series: what happens, by topic; a price has none.  published: prices by node that the market has published for an interval,
    empty before it has.  pushed: topics that are sent to their followers and not published.
    """

    kind = "forecaster"

    def __init__(
        self,
        registry: Registry,
        era: str,
        ids: Ids,
        *,
        seed: int,
        catalogue: str,
        calendar: Calendar,
        currency: str,
        topics: Iterable[Topic],
        series: Mapping[Topic, Series],
        tariff: Sequence[float],
        published: Callable[[int], Mapping[str, float | None]],
        habits: Habits,
        pushed: Mapping[Topic, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        super().__init__(registry, era, ids)
        self._seed = seed
        self._catalogue = catalogue
        self._calendar = calendar
        self._currency = currency
        self._topics = tuple(topics)
        self._series = series
        self._memory = PriceMemory(calendar, tariff)
        self._published = published
        self._habits = habits
        self._pushed = pushed
        self._transaction = ids.fresh()
        self.reactions |= {"refresh": self.on_refresh, "look": self.on_look, "catalog/on_publish": lambda _: ()}

    def on_start(self, alarm: Alarm) -> Iterable[Event]:
        """Publish at once, and look at every price from the first interval on."""
        yield from self._publish(alarm.at_s, 1)
        if any(topic.variable == "PRICE" for topic in self._topics):
            yield Alarm(0, "look", 0)

    def on_refresh(self, alarm: Alarm) -> Iterable[Event]:
        """Publish anew."""
        return self._publish(alarm.at_s, alarm.index + 1)

    def on_look(self, alarm: Alarm) -> Iterable[Event]:
        """An interval begins: everybody has been told its prices."""
        self._memory.note(alarm.index, self._published(alarm.index))
        if alarm.index + 1 < self._calendar.count:
            yield Alarm((alarm.index + 1) * self._calendar.interval_s, "look", alarm.index + 1)

    def _publish(self, now_s: int, number: int) -> Iterable[Event]:
        """One message with all topics, good until the publication of this number comes; the rest goes to its followers."""
        again_s = number * self._habits.refresh_s - self._habits.ahead_s
        forecasts = ((topic, self.forecast(topic, now_s)) for topic in self._topics)
        valid_s = self._habits.valid_s or again_s - now_s
        catalogs = {topic: self._catalog(made, topic, valid_s) for topic, made in forecasts if made.values}
        listed = tuple(catalog for topic, catalog in catalogs.items() if topic not in self._pushed)
        if listed:
            content = PublishContent(catalogs=listed)
            yield self.request("catalog/publish", self._catalogue, content, self._transaction, SETUP_TTL_S)
        yield from self._push(catalogs)
        if number * self._habits.refresh_s < self._calendar.duration_s:
            yield Alarm(again_s, "refresh", number)

    def _push(self, catalogs: Mapping[Topic, Catalog]) -> Iterable[Message]:
        """One message to each follower, outside the catalogue."""
        due: dict[str, list[Catalog]] = {}
        for topic, catalog in catalogs.items():
            for follower in self._pushed.get(topic, ()):
                due.setdefault(follower, []).append(catalog)
        for follower, wanted in due.items():
            yield self.request("on_discover", follower, CatalogsContent(catalogs=tuple(wanted)), self._transaction)

    def forecast(self, topic: Topic, now_s: int) -> Forecast:
        """What is expected on a topic at a second, from the next interval on."""
        rng = stream(self._seed, self.era, *topic, str(now_s))
        series = self._prices(topic, now_s) if topic.variable == "PRICE" else self._series[topic]
        return made(topic, series, self._habits, self._calendar, now_s, rng)

    def _prices(self, topic: Topic, now_s: int) -> Series:
        """What is expected of prices, a day back and as far ahead as is looked."""
        slots, first = DAY_S // self._calendar.interval_s, self._calendar.index_at(now_s) + 1
        count = self._habits.horizon_s // self._calendar.interval_s
        expected = (self._memory.expected(topic.place, first + lead) for lead in range(-slots, count))
        return Series(first - slots, tuple(expected))

    def _catalog(self, forecast: Forecast, topic: Topic, valid_s: int) -> Catalog:
        unit = UNITS[topic.variable].format(currency=self._currency)
        body = forecast_body(forecast, self._calendar, unit, valid_s)
        return Catalog(
            id=topic.catalog_id,
            descriptor=Descriptor(name="EnergyForecast"),
            provider=Provider(id=self.era, descriptor=Descriptor(name=self.era)),
            bppId=self.era,
            bppUri=uri(self.era),
            resources=(Resource(id=topic.catalog_id, resourceAttributes=body),),
        )
