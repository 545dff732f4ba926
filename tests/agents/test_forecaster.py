"""Forecasts: how they are wrong, how they travel, and what those do who have none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mesa
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from agents.forecast import Forecast
from agents.forecaster import ERROR_MODELS, Accuracy, Forecaster, Habits, Series, View
from agents.household import Household
from agents.outlook import Outlook, Topic, forecast_body, forecast_of
from agents.resource import Place, Seat
from agents.twins.load import LoadTwin
from scenarios.spec import TemperatureSpec
from scenarios.weather import temperature_c
from sim.clock import Calendar, local_start
from sim.device import Device
from sim.participant import Ids
from sim.rng import stream
from sim.wire.bags import EnergyForecast
from sim.wire.codes import Refusal
from sim.wire.core import Catalog, Descriptor, Provider, Resource
from sim.wire.messages import Alarm, CatalogsContent, DiscoverContent, Message, PublishContent
from tests.test_clock_and_rng import calendar

DAYS = Calendar(local_start(calendar().start.replace(tzinfo=None), "Europe/Berlin"), 900, 96)
LOAD, PRICE, AIR = Topic("LOAD", "customer-0"), Topic("PRICE", "tx"), Topic("TEMPERATURE", "outdoor")
TRUTH = tuple(1.0 + 0.01 * k for k in range(-96, 192))
"""Grows by 0.01 an interval; 1.0 in interval 0."""


def forecaster(
    model: str, topics: tuple[Topic, ...] = (LOAD,), accuracy: Accuracy | None = None, **other: Any
) -> Forecaster:
    habits = Habits(ERROR_MODELS[model], accuracy or Accuracy(), refresh_s=3600, horizon_s=6 * 3600, ahead_s=405)
    given: dict[str, Any] = {
        "seed": 1,
        "catalogue": "catalogue",
        "calendar": DAYS,
        "currency": "EUR",
        "topics": topics,
        "series": {topic: Series(-96, TRUTH) for topic in topics if topic.variable != "PRICE"},
        "tariff": [0.3] * 1440,
        "published": lambda _: {},
        "habits": habits,
    } | other
    return Forecaster(mesa.Model(rng=1), "forecaster", Ids(1, "forecaster"), **given)


# --- errors -----------------------------------------------------------------------------------------------------------


def test_a_perfect_forecast_is_the_truth_from_the_next_interval_on() -> None:
    made = forecaster("none").forecast(LOAD, 500)
    assert (made.first, len(made.values)) == (1, 24)
    assert made.values == TRUTH[97:121]
    assert made.p10 is None


def test_persistence_is_what_was_seen_a_day_before() -> None:
    assert forecaster("persistence").forecast(LOAD, 500).values == TRUTH[1:25]


def test_where_no_day_has_been_seen_persistence_is_what_was_seen_last() -> None:
    view = View(past=(3.0, 5.0), coming=(9.0,) * 4, slots=96, additive=False)
    assert ERROR_MODELS["persistence"].apply(view, Accuracy(), stream(1)) == ((5.0,) * 4,)


@pytest.mark.parametrize("coming", [(1.0, 2.0), (7.0, 100.0)])
def test_persistence_does_not_look_at_what_is_coming(coming: tuple[float, ...]) -> None:
    view = View((3.0, 5.0), coming, slots=2, additive=False)
    assert ERROR_MODELS["persistence"].apply(view, Accuracy(), stream(1)) == ((3.0, 5.0),)


def test_a_bias_is_a_share_and_for_a_temperature_tenths_of_ten_kelvin() -> None:
    accuracy = Accuracy(bias=0.1)
    assert forecaster("bias", accuracy=accuracy).forecast(LOAD, 500).values[0] == pytest.approx(1.01 * 1.1)
    warm = forecaster("bias", (AIR,), accuracy).forecast(AIR, 500)
    assert warm.values[0] == pytest.approx(1.01 + 1.0)


def noisy(additive: bool, accuracy: Accuracy, times: int = 2000) -> np.ndarray[Any, Any]:
    """[times, 4 rows, 8 leads] of forecasts of 2.0."""
    view = View((), (2.0,) * 8, slots=96, additive=additive)
    apply = ERROR_MODELS["noise"].apply
    return np.array([apply(view, accuracy, stream(1, str(number))) for number in range(times)])


@pytest.mark.parametrize("additive", [False, True])
def test_the_truth_lies_below_a_quantile_as_often_as_it_says(additive: bool) -> None:
    rows = noisy(additive, Accuracy(sd=0.2, correlation=0.8))
    for row, share in ((1, 0.1), (2, 0.5), (3, 0.9)):
        assert (rows[:, row] >= 2.0).mean(axis=0) == pytest.approx(share, abs=0.03)


def test_noise_grows_with_the_lead_to_its_long_run_size_and_its_quantiles_with_it() -> None:
    logs = np.log(noisy(False, Accuracy(sd=0.2, correlation=0.8))[:, 0] / 2.0)
    expected = 0.2 * np.sqrt(1 - 0.8 ** (2 * np.arange(1, 9)))
    assert logs.std(axis=0) == pytest.approx(expected, rel=0.06)
    assert np.corrcoef(logs[:, 6], logs[:, 7])[0, 1] == pytest.approx(0.8, abs=0.04)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12), st.floats(0, 1), st.floats(0, 0.99))
def test_the_quantiles_of_noise_never_fall_whatever_the_sign(
    coming: list[float], sd: float, correlation: float
) -> None:
    view = View((), coming, slots=96, additive=False)
    values, *spread = ERROR_MODELS["noise"].apply(view, Accuracy(sd, correlation), stream(1))
    Forecast("PRICE", "tx", 0, 0, values, *spread)


def test_a_forecast_depends_on_seed_topic_and_issue_alone() -> None:
    other = Topic("LOAD", "customer-1")
    alone, both = forecaster("noise"), forecaster("noise", (other, LOAD))
    assert alone.forecast(LOAD, 500) == both.forecast(LOAD, 500)
    assert both.forecast(other, 500).values != both.forecast(LOAD, 500).values
    assert alone.forecast(LOAD, 500).values[4:] != alone.forecast(LOAD, 500 + 3600).values[:-4]
    assert alone.forecast(LOAD, 500) != forecaster("noise", seed=2).forecast(LOAD, 500)


# --- prices -----------------------------------------------------------------------------------------------------------


def test_a_price_is_the_tariff_and_what_the_market_last_added_at_that_time_of_day() -> None:
    agent = forecaster("none", (PRICE,), published=lambda index: {"tx": 0.3 + 0.01 * index})
    assert agent.forecast(PRICE, -960).values == (0.3,) * 24
    for index in range(4):
        list(agent.handle(Alarm(index * 900, "look", index)))
    assert set(agent.forecast(PRICE, 3600).values) == {0.3}
    tomorrow = agent.forecast(PRICE, 95 * 900)
    assert tomorrow.first == 96
    assert tomorrow.values[:5] == pytest.approx((0.3, 0.31, 0.32, 0.33, 0.3))


def test_prices_are_looked_at_when_their_interval_begins_and_never_before() -> None:
    looked: list[int] = []

    def published(index: int) -> Mapping[str, float | None]:
        looked.append(index)
        return {"tx": None}

    agent = forecaster("noise", (PRICE,), published=published)
    pending = [event for event in agent.handle(Alarm(-960, "start")) if isinstance(event, Alarm)]
    while pending:
        alarm = min(pending, key=lambda alarm: alarm.at_s)
        pending.remove(alarm)
        before = len(looked)
        pending += [event for event in agent.handle(alarm) if isinstance(event, Alarm)]
        assert all(index * 900 <= alarm.at_s for index in looked[before:])
    assert looked == list(range(96))


# --- on the wire ------------------------------------------------------------------------------------------------------


numbers = st.floats(-100, 100, allow_nan=False)


@st.composite
def forecasts(draw: st.DrawFn) -> Forecast:
    spread = draw(st.lists(st.tuples(numbers, numbers, numbers).map(sorted), min_size=1, max_size=6))
    low, middle, high = (tuple(row) for row in zip(*spread, strict=True))
    known = draw(st.booleans())
    quantiles = (low, middle, high) if known else (None, None, None)
    return Forecast(
        "LOAD", "customer-0", draw(st.integers(-1000, 80_000)), draw(st.integers(-2, 90)), middle, *quantiles
    )


@given(forecasts())
def test_a_forecast_survives_the_wire(forecast: Forecast) -> None:
    body = forecast_body(forecast, DAYS, "kW", 3600)
    assert forecast_of(msgspec.json.decode(msgspec.json.encode(body), type=EnergyForecast), DAYS) == forecast


def body() -> EnergyForecast:
    return forecast_body(Forecast("LOAD", "customer-0", 0, 1, (1.0, 2.0), (0.5, 1.5), None, None), DAYS, "kW", 3600)


def test_a_forecast_that_cannot_be_read_is_refused_where_it_is_wrong() -> None:
    good = body()
    values = good.values or ()
    for broken in (
        msgspec.structs.replace(good, values=UNSET),
        msgspec.structs.replace(good, values=()),
        msgspec.structs.replace(good, values=values[::-1]),
        msgspec.structs.replace(good, values=(msgspec.structs.replace(values[0], quantiles=UNSET), values[1])),
    ):
        with pytest.raises(Refusal):
            forecast_of(broken, DAYS)


def answer(*bodies: EnergyForecast, at_s: int = 500) -> Message:
    catalogs = tuple(
        Catalog(
            id=f"forecast/{one.variable}/{one.place}",
            descriptor=Descriptor(name="EnergyForecast"),
            provider=Provider(id="forecaster", descriptor=Descriptor(name="forecaster")),
            resources=(Resource(id="r", resourceAttributes=one),),
        )
        for one in bodies
    )
    content = CatalogsContent(catalogs=catalogs)
    return Message("on_discover", "catalogue", "x", "t", "m", content, sent_s=at_s, request_digest="of the question")


def household(*topics: Topic) -> Household:
    twin = LoadTwin(np.full(20, 7.0), np.zeros(20), 30.0)
    place = Place(host="market", catalogue="catalogue", meter="x", node="tx", currency="EUR")
    return Household(
        Seat(mesa.Model(rng=1), "x", Ids(1, "x"), place, DAYS, Device("x", "bus", "tx", twin), topics=topics)
    )


def test_without_a_forecast_a_household_falls_back_on_persistence_and_with_one_it_follows_it() -> None:
    agent = household(LOAD)
    interval = DAYS.interval(1)
    assert agent.offer(interval, 500).uncoordinated_kw == -7.0
    list(agent.handle(answer(body())))
    assert agent.offer(interval, 500).uncoordinated_kw == -1.0
    assert agent.offer(interval, 3600).uncoordinated_kw == -7.0, "good for an hour only"
    assert agent.offer(DAYS.interval(3), 500).uncoordinated_kw == -7.0, "says nothing about interval 3"


def test_a_stale_forecast_is_not_taken_and_nobody_waits_for_the_end_of_it() -> None:
    agent = household(LOAD)
    assert list(agent.handle(answer(body(), at_s=3600))) == []
    assert agent.offer(DAYS.interval(1), 500).uncoordinated_kw == -7.0


def test_a_household_that_follows_nothing_holds_nothing() -> None:
    agent = household()
    list(agent.handle(answer(body())))
    assert agent.offer(DAYS.interval(1), 500).uncoordinated_kw == -7.0


def test_what_becomes_stale_is_asked_for_again_by_its_name() -> None:
    agent = household(PRICE, LOAD)
    (alarm,) = agent.handle(answer(body()))
    assert isinstance(alarm, Alarm)
    assert alarm.at_s > 3600
    (question,) = agent.handle(alarm)
    assert isinstance(question, Message)
    assert isinstance(question.content, DiscoverContent)
    assert question.content.intent.textSearch == LOAD.catalog_id
    asked = [m.content for m in agent.handle(Alarm(0, "start")) if isinstance(m, Message)]
    assert [c.intent.textSearch for c in asked if isinstance(c, DiscoverContent)][2:] == [
        PRICE.catalog_id,
        LOAD.catalog_id,
    ]


def test_a_forecaster_publishes_a_catalogue_for_each_topic_good_until_the_next() -> None:
    agent = forecaster("noise", (LOAD, PRICE))
    said = list(agent.handle(Alarm(-960, "start")))
    message = said[0]
    assert isinstance(message, Message)
    assert isinstance(message.content, PublishContent)
    assert [catalog.id for catalog in message.content.catalogs] == [LOAD.catalog_id, PRICE.catalog_id]
    follower = Outlook((LOAD, PRICE), DAYS)
    held = follower.read(message.content.catalogs, -960)
    refresh = next(event for event in said if isinstance(event, Alarm) and event.name == "refresh")
    assert {one.until_s for one in held.values()} == {refresh.at_s} == {3600 - 405}
    assert held["LOAD"].forecast == agent.forecast(LOAD, -960)
    units = [c.resources[0].resourceAttributes.unit for c in message.content.catalogs]  # type: ignore[index,union-attr]
    assert units == ["kW", "EUR/kWh"]


def test_a_broken_answer_changes_nothing() -> None:
    agent = household(LOAD)
    list(agent.handle(answer(body())))
    with pytest.raises(Refusal):
        list(agent.handle(answer(msgspec.structs.replace(body(), values=UNSET))))
    assert agent.offer(DAYS.interval(1), 500).uncoordinated_kw == -1.0


# --- temperature ------------------------------------------------------------------------------------------------------


def test_the_temperature_is_warmest_in_the_afternoon_and_does_not_depend_on_how_much_is_asked_for() -> None:
    spec = TemperatureSpec(mean_c=8, swing_c=4, warmest_h=15, sd_c=0)
    day = temperature_c(spec, DAYS, 1, 0, 96)
    hottest = DAYS.minute_of_day(int(day.argmax()) * 900) / 60
    assert (day.max(), day.min()) == pytest.approx((12, 4), abs=1e-3)
    assert hottest == pytest.approx(15, abs=0.26)
    spells = spec.model_copy(update={"sd_c": 2.0})
    longer = temperature_c(spells, DAYS, 1, -96, 192)
    assert longer[96:192] == pytest.approx(temperature_c(spells, DAYS, 1, 0, 96))
    assert not np.allclose(longer[96:192], day)


def test_error_models_have_names_and_summaries() -> None:
    assert list(ERROR_MODELS) == ["none", "persistence", "noise", "bias"]
    assert all(model.summary for model in ERROR_MODELS.values())
