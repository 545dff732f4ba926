"""Forecasts that are sold: made anew every so often, listed by their digest, and handed to whoever pays for the call."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from agents.forecast import Forecast
from agents.forecaster import UNITS, Habits, Series, made
from agents.outlook import Topic, forecast_body, forecast_of
from sim.clock import Calendar
from sim.rng import stream
from sim.wire.bags import EnergyForecast, ForecastValue
from sim.wire.codes import Code, Refusal
from sim.wire.messages import seconds_of, uri
from sim.wire.need import needed


class Press:
    """Makes the forecasts of one topic for one provider.

    series: what happens.  Until ``issue`` is called there is nothing to list or to hand over.
    """

    def __init__(self, era: str, topic: Topic, series: Series, habits: Habits, seed: int, calendar: Calendar) -> None:
        self.refresh_s = habits.refresh_s
        self._era = era
        self._topic = topic
        self._series = series
        self._habits = habits
        self._seed = seed
        self._calendar = calendar
        self._issued: EnergyForecast | None = None

    def issue(self, now_s: int) -> None:
        """Make a forecast, which takes the place of the one before."""
        habits, rng = self._habits, stream(self._seed, self._era, *self._topic, str(now_s))
        forecast = made(self._topic, self._series, habits, self._calendar, now_s, rng)
        valid_s = habits.valid_s or habits.refresh_s
        body = forecast_body(forecast, self._calendar, UNITS[self._topic.variable], valid_s)
        address = f"{uri(self._era)}/{self._topic.catalog_id}/{now_s}"
        self._issued = replace(body, url=address, sha256=digest(needed(body.values, "values")))

    def issued(self) -> EnergyForecast:
        """The forecast made last, with its values."""
        assert self._issued is not None, "nothing has been issued yet"
        return self._issued

    def listed(self) -> EnergyForecast:
        """What everybody may know of it: all but the values, which its digest stands for."""
        return replace(self.issued(), values=UNSET)


def digest(values: Iterable[ForecastValue]) -> str:
    """SHA-256 of values as they travel: the JSON array of them."""
    return hashlib.sha256(msgspec.json.encode(tuple(values))).hexdigest()


def received(body: EnergyForecast, listed: object, calendar: Calendar, now_s: int, where: str) -> Forecast:
    """The forecast that was handed over.  listed: what the catalogue said of it when it was chosen.  where: a JSON pointer.

    Raises ``Refusal`` for one that does not hold any more, for one whose values are not those that its digest stands for, or
    not those that were listed, and for a broken one.
    """
    until_s = calendar.seconds(body.issuedAt) + seconds_of(needed(body.validFor, f"{where}/validFor"))
    if until_s <= now_s:
        what = f"expected a forecast that still holds, got one that held until {calendar.timestamp(until_s)}"
        raise Refusal(Code.NET_TIMEOUT, f"{where}/issuedAt", what)
    found = digest(needed(body.values, f"{where}/values"))
    promised = [body.sha256]
    if isinstance(listed, EnergyForecast) and listed.issuedAt == body.issuedAt:
        promised.append(listed.sha256)
    for sha256 in promised:
        if sha256 not in (UNSET, found):
            what = f"expected values with the digest {sha256}, got some with {found}"
            raise Refusal(Code.SCH_SCHEMA_VALIDATION_FAILED, f"{where}/values", what)
    return forecast_of(body, calendar)
