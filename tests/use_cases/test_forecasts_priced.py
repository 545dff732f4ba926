"""Forecasts by the call: handed over and paid for, checked against what the catalogue has of them, refused when stale."""

from __future__ import annotations

import hashlib
import io
import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from pytest import approx

from agents.press import digest, received
from agents.seeker import Seeker
from results.run import Run
from scenarios.build import build
from scenarios.foundation import calendar_of
from scenarios.reader import read
from scenarios.timing import Stopwatch
from scenarios.weather import AIR, Truth, sky
from sim.errors import DegsimError
from sim.wire.bags import EnergyForecast, EnergyOffer
from sim.wire.codes import Code, Refusal
from tests.use_cases.market_cases import USE_CASES, Cases, Live, balance, balances, cases, said

NAME = "forecasts-priced"
PERFECT = (
    "providers.weather-service.items.sun.forecast.model=none",
    "providers.weather-service.items.air.forecast.model=none",
)


@pytest.fixture(scope="module")
def run_sales(tmp_path_factory: pytest.TempPathFactory) -> Cases:
    return cases(NAME, tmp_path_factory)


def handed(run: Run) -> list[dict[str, Any]]:
    """The forecasts that were handed over and taken, in order."""
    performances = [
        performance["performanceAttributes"]
        for record in run.message_records("on_status")
        if record["ack"] == "ACK"
        for performance in record["body"]["message"]["contract"].get("performance", ())
    ]
    return [bag for bag in performances if bag["@type"] == "EnergyForecast"]


def listed(run: Run) -> list[dict[str, Any]]:
    """What the catalogue was told of forecasts, in order."""
    return [
        resource["resourceAttributes"]
        for body in said(run, "catalog/publish")
        for catalog in body["message"]["catalogs"]
        for resource in catalog["resources"]
    ]


def test_the_catalogue_has_the_digest_of_what_is_handed_over_and_no_values(run_sales: Cases) -> None:
    run = run_sales()
    offered = {(bag["variable"], bag["issuedAt"]): bag for bag in listed(run)}
    assert all("values" not in bag for bag in offered.values())
    assert len(handed(run)) == 4
    for bag in handed(run):
        found = hashlib.sha256(json.dumps(bag["values"], separators=(",", ":")).encode()).hexdigest()
        assert found == bag["sha256"] == offered[bag["variable"], bag["issuedAt"]]["sha256"]


def test_every_call_costs_its_price_and_what_was_refused_nothing(run_sales: Cases) -> None:
    """Three of the sun at 0.50, one of the air at 0.20 and one that was stale; 19 % on it."""
    run = run_sales()
    assert [bag["variable"] for bag in handed(run)] == ["PV", "PV", "TEMPERATURE", "PV"]
    assert balance(run, "weather-service") == Decimal("1.70")
    assert float(balance(run, "treasury")) == approx(1.70 * 0.19, abs=0.01)
    assert sum(balances(run).values()) == 0


def test_a_stale_forecast_is_refused_and_what_the_buyer_has_stays_as_it_was() -> None:
    """The air of 05:50 holds for an hour; at 07:40 it is of no use, and at 09:20 there is a new one."""
    live = Live(NAME)
    live.until(2 * 3600)
    (refused,) = live.nacks("on_status")
    assert refused["error"]["errorCode"] == "NET_TIMEOUT"
    assert refused["error"]["path"] == "/message/contract/performance/0/performanceAttributes/issuedAt"
    barn: Seeker = live.agent("barn")
    assert barn.pursuits[0].forecast is not None
    assert barn.pursuits[1].forecast is None
    assert not [
        posting for posting in live.ledger("barn") if posting.term == "call" and posting.amount == Decimal("0.20")
    ]
    live.until(4 * 3600)
    assert barn.pursuits[1].forecast is not None
    assert barn.pursuits[1].forecast.issued_s == 3 * 3600


def test_one_that_holds_for_longer_is_taken_and_paid(run_sales: Cases) -> None:
    run = run_sales("providers.weather-service.items.air.forecast.valid_h=3")
    assert len(handed(run)) == 5
    assert balance(run, "weather-service") == Decimal("1.90")


def test_a_perfect_forecast_is_what_happens() -> None:
    live = Live(NAME, *PERFECT)
    live.until(5 * 3600)
    scenario = live.built.scenario
    barn: Seeker = live.agent("barn")
    for pursuit, topic in zip(barn.pursuits, (sky(0), AIR), strict=True):
        forecast = pursuit.forecast
        assert forecast is not None
        truth = Truth(scenario, calendar_of(scenario), 12 * 3600).series(topic)
        start = forecast.first - truth.first
        assert forecast.values == truth.values[start : start + len(forecast.values)]


def test_a_quote_and_the_offer_say_what_a_call_costs(run_sales: Cases) -> None:
    run = run_sales()
    (quoted,) = said(run, "on_select")
    assert quoted["message"]["contract"]["consideration"][0]["considerationAttributes"]["value"] == approx(
        0.6, abs=0.01
    )
    offers = said(run, "catalog/publish")[0]["message"]["catalogs"][0]["offers"]
    assert [offer["considerations"][0]["id"] for offer in offers] == ["per-call", "per-call"]
    assert [offer["offerAttributes"]["pricingModel"] for offer in offers] == ["FIXED", "FIXED"]


def forecast() -> tuple[EnergyForecast, Any]:
    """One as it was handed over, and the calendar that it is of."""
    live = Live(NAME)
    live.until(1200)
    (body,) = [
        record["body"]["message"]["contract"]["performance"][0]["performanceAttributes"]
        for record in live.messages("on_status")
        if "performance" in record["body"]["message"]["contract"]
        and record["body"]["context"]["bppId"] == "weather-service"
    ]
    return msgspec.convert(body, EnergyForecast), live.built.world.calendar


def test_values_that_are_not_those_of_the_digest_or_of_the_catalogue_are_refused() -> None:
    body, calendar = forecast()
    first, *rest = body.values or ()
    other = (replace(first, value=first.value + 1, quantiles=msgspec.UNSET), *rest)
    where = "/here"
    with pytest.raises(Refusal) as changed:
        received(replace(body, values=other), None, calendar, 1200, where)
    assert (changed.value.code, changed.value.where) == (Code.SCH_SCHEMA_VALIDATION_FAILED, "/here/values")
    own = replace(body, values=other, sha256=digest(other))
    with pytest.raises(Refusal, match="expected values with the digest"):
        received(own, body, calendar, 1200, where)
    later = replace(own, issuedAt=calendar.timestamp(0))
    with pytest.raises(
        Refusal, match="quantile"
    ):  # another one than was listed: its digest is right, its quantiles are not
        received(later, body, calendar, 1200, where)
    assert received(body, body, calendar, 1200, where).value(1) == (body.values or ())[1].value


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("providers.weather-service.items.sun.forecast.column=999", "the profiles have no column 999"),
        ("providers.weather-service.items.sun.forecast.model=oracle", "no error model oracle"),
        ("providers.weather-service.items.sun.forecast=null", "give either lists or a forecast"),
        ("start=1999-01-01T00:00:00", "1999"),
    ],
)
def test_what_cannot_be_forecast_is_said_before_anything_runs(override: str, words: str) -> None:
    with pytest.raises(DegsimError, match=words):
        build(read(USE_CASES / f"{NAME}.yaml", (override,)), io.BytesIO(), Stopwatch())


def test_an_offer_of_a_call_has_no_price_per_kwh(run_sales: Cases) -> None:
    offer = said(run_sales(), "catalog/publish")[0]["message"]["catalogs"][0]["offers"][0]["offerAttributes"]
    assert msgspec.convert(offer, EnergyOffer).pricePerKWh is msgspec.UNSET
