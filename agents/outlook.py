"""What a participant knows of the future: the forecasts that it asked the catalogue for, and holds as long as they are good.

A forecast travels as an ``EnergyForecast`` in a catalogue of its own, called after its topic, so that whoever looks for one
thing is not sent everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from msgspec import UNSET, UnsetType

from agents.forecast import Forecast
from sim.clock import Calendar
from sim.wire.bags import ENERGY, EnergyForecast, ForecastValue, Quantiles, TimeWindow
from sim.wire.codes import Code, Refusal
from sim.wire.core import Catalog
from sim.wire.messages import CatalogsContent, Message, seconds_of
from sim.wire.need import needed

VALUES = "/message/catalogs/resources/resourceAttributes/values"
ISSUED = "/message/catalogs/resources/resourceAttributes/issuedAt"

Variable: TypeAlias = Literal["PRICE", "LOAD", "PV", "TEMPERATURE"]


class Topic(NamedTuple):
    """What is forecast: a variable at a place (a node, a customer, a sky)."""

    variable: Variable
    place: str

    @property
    def catalog_id(self) -> str:
        """The name of the catalogue that its forecast stands in."""
        return f"forecast/{self.variable}/{self.place}"


@dataclass(frozen=True, slots=True)
class News:
    """How forecasts reach whoever follows them.

    subscribed: the catalogue tells of new ones unasked, and is asked but once for what was there before.  pushed: variables
    that ``sources`` send to their followers themselves, and that no catalogue has.  sources: whose forecasts are believed;
    where nobody is named, everybody's that the catalogue lists.
    """

    subscribed: bool = False
    pushed: tuple[Variable, ...] = ()
    sources: tuple[str, ...] = ()


def forecast_body(forecast: Forecast, calendar: Calendar, unit: str, valid_s: int) -> EnergyForecast:
    """A forecast as it travels, good for ``valid_s`` seconds from its issue."""
    return EnergyForecast(
        ENERGY,
        variable=forecast.variable,  # type: ignore[arg-type]  # a Forecast may be of anything
        unit=unit,
        resolution=f"PT{calendar.interval_s}S",
        horizon=f"PT{calendar.interval_s * len(forecast.values)}S",
        issuedAt=calendar.timestamp(forecast.issued_s),
        validFor=f"PT{valid_s}S",
        place=forecast.place,
        values=tuple(
            ForecastValue(timeWindow=_window(calendar, index), value=value, quantiles=_quantiles(forecast, index))
            for index, value in enumerate(forecast.values, forecast.first)
        ),
    )


def _quantiles(forecast: Forecast, index: int) -> Quantiles | UnsetType:
    low, middle, high = (
        UNSET if row is None else row[index - forecast.first] for row in (forecast.p10, forecast.p50, forecast.p90)
    )
    return UNSET if low is middle is high is UNSET else Quantiles(p10=low, p50=middle, p90=high)


def _window(calendar: Calendar, index: int) -> TimeWindow:
    interval = calendar.interval(index)
    return TimeWindow(start=calendar.timestamp(interval.start_s), end=calendar.timestamp(interval.end_s))


def forecast_of(body: EnergyForecast, calendar: Calendar) -> Forecast:
    """The forecast that a body means.

    Raises ``Refusal`` for one without values, or whose values are not one for each of the calendar's intervals in a row, and
    for quantiles that fall or that only some values have.
    """
    values = needed(body.values, VALUES)
    if not values:
        raise Refusal(Code.SCH_SCHEMA_VALIDATION_FAILED, VALUES, "expected a value for one interval at least, got none")
    first = calendar.index_at(calendar.seconds(values[0].timeWindow.start))
    for number, value in enumerate(values):
        if value.timeWindow != _window(calendar, first + number):
            what = f"expected intervals of {calendar.interval_s} s in a row, got {value.timeWindow.start}"
            raise Refusal(Code.SCH_SCHEMA_VALIDATION_FAILED, f"{VALUES}/{number}/timeWindow", what)
    spread = [value.quantiles or Quantiles() for value in values]
    try:
        return Forecast(
            variable=body.variable,
            place=body.place or "",
            issued_s=calendar.seconds(body.issuedAt),
            first=first,
            values=tuple(value.value for value in values),
            p10=_row([quantiles.p10 for quantiles in spread]),
            p50=_row([quantiles.p50 for quantiles in spread]),
            p90=_row([quantiles.p90 for quantiles in spread]),
        )
    except ValueError as error:
        raise Refusal(Code.SCH_SCHEMA_VALIDATION_FAILED, f"{VALUES}/quantiles", str(error)) from error


def _row(quantiles: Sequence[float | UnsetType]) -> tuple[float, ...] | None:
    known = tuple(value for value in quantiles if not isinstance(value, UnsetType))
    if known and len(known) < len(quantiles):
        raise ValueError(f"only {len(known)} of {len(quantiles)} values have a quantile that the others have")
    return known or None


class Held(NamedTuple):
    """A forecast, and the simulated second from which on it is stale."""

    forecast: Forecast
    until_s: int


class Outlook:
    """The forecasts that one participant follows.  topics: what it wants to know; nothing else is kept."""

    def __init__(self, topics: Iterable[Topic], calendar: Calendar, news: News | None = None) -> None:
        self.topics = tuple(topics)
        self.news = news or News()
        self._calendar = calendar
        self._held: dict[str, Held] = {}

    @property
    def subscribes(self) -> bool:
        """Whether there is anything to have the catalogue tell."""
        return self.news.subscribed and bool(self.listed)

    @property
    def listed(self) -> tuple[Topic, ...]:
        """The topics that the catalogue is asked about."""
        return tuple(topic for topic in self.topics if topic.variable not in self.news.pushed)

    def read(self, catalogs: Iterable[Catalog], now_s: int) -> dict[str, Held]:
        """The forecasts in these catalogues on a topic of ours, by variable, but stale ones and those of strangers.

        Raises ``Refusal`` for a broken one.
        """
        return {variable: held for variable, held in self._read(catalogs).items() if now_s < held.until_s}

    def told(self, message: Message) -> dict[str, Held]:
        """The forecasts on a topic of ours that were sent unasked, by variable.

        Raises ``Refusal`` for a stale one, and for one that is sent in another's name.
        """
        assert isinstance(message.content, CatalogsContent)
        found = self._read(message.content.catalogs)
        for variable, held in found.items():
            if held.until_s <= message.sent_s:
                until = self._calendar.timestamp(held.until_s)
                what = f"expected a forecast of {variable} that still holds, got one that held until {until}"
                raise Refusal(Code.NET_TIMEOUT, ISSUED, what)
        return found

    def pushed(self, message: Message) -> dict[str, Held]:
        """The forecasts that a source of ours has sent itself; whose it is, the signature of the message says.

        Raises ``Refusal`` for anything but forecasts of the sender's own, and as ``told`` does.
        """
        assert isinstance(message.content, CatalogsContent)
        for number, catalog in enumerate(message.content.catalogs):
            where = f"/message/catalogs/{number}"
            if message.sender not in self.news.sources or catalog.provider.id != message.sender:
                what = f"expected forecasts of {message.sender}'s own, got some of {catalog.provider.id}"
                raise Refusal(Code.AUT_UNAUTHORIZED_ACTION, f"{where}/provider/id", what)
            if catalog.offers:
                what = f"expected forecasts alone of {message.sender}, got offers"
                raise Refusal(Code.AUT_UNAUTHORIZED_ACTION, f"{where}/offers", what)
        return self.told(message)

    def _read(self, catalogs: Iterable[Catalog]) -> dict[str, Held]:
        found = {}
        for catalog in catalogs:
            if self.news.sources and catalog.provider.id not in self.news.sources:
                continue
            for resource in catalog.resources or ():
                body = resource.resourceAttributes
                if isinstance(body, EnergyForecast) and (body.variable, body.place) in self.topics:
                    until_s = self._calendar.seconds(body.issuedAt) + seconds_of(needed(body.validFor, VALUES))
                    found[str(body.variable)] = Held(forecast_of(body, self._calendar), until_s)
        return found

    def keep(self, found: Mapping[str, Held]) -> list[tuple[int, int]]:
        """Take what was read in the place of what was held, unless that was issued later.

        Returns the number of each topic to be asked about again, and the second at which it is stale.
        """
        for variable, new in found.items():
            held = self._held.get(variable)
            if held is None or held.forecast.issued_s <= new.forecast.issued_s:
                self._held[variable] = new
        if self.news.subscribed:
            return []
        return [(k, found[t.variable].until_s) for k, t in enumerate(self.listed) if t.variable in found]

    def forecast(self, variable: Variable, now_s: int) -> Forecast | None:
        """What is held about a variable at this second; None where nothing is, or what is held has become stale."""
        held = self._held.get(variable)
        return held.forecast if held is not None and now_s < held.until_s else None

    def value(self, variable: Variable, index: int, now_s: int) -> float | None:
        """Expected value in interval ``index``; None where nothing good is known: persistence is what is left then."""
        forecast = self.forecast(variable, now_s)
        return None if forecast is None else forecast.value(index)
