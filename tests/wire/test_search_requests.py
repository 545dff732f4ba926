"""A SERVICE_REQUEST, compiled into what strict LTS can carry, finds what would serve it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from sim.wire.bags import (
    ENERGY,
    CurvePoint,
    EnergyIntent,
    EnergyOffer,
    EnergyResource,
    EnergyTradeOffer,
    LdTimePeriod,
    Location,
    OfferCurve,
    OfferCurveData,
    Position,
    PriceBody,
    PriceComponent,
    PriceSpecification,
    Route,
    ServicePreferences,
    ServiceRequestData,
    Tariff,
    TariffElement,
    UnitQuantity,
)
from sim.wire.bags.trade import TimeOfDayRate, TimeRange
from sim.wire.codec import decode, encode, faults
from sim.wire.codes import Refusal
from sim.wire.core import Consideration, Descriptor, Offer, Resource
from sim.wire.messages import DiscoverContent, Message
from sim.wire.search.service_request import compiled
from tests.wire.test_search import ALL, PLACES, catalog, charger, point, resources, search

HERE = Position(lat=12.9756, lon=77.6068, radiusMeters=3_000)
NOON, TWO = "2026-11-20T12:00:00+05:30", "2026-11-20T14:00:00+05:30"


def request(kwh: float = 10, deadline: str = TWO, created: str = NOON, **more: Any) -> EnergyIntent:
    wish = ServiceRequestData(requiredKWh=kwh, deadline=deadline, **more)
    return EnergyIntent(
        ENERGY,
        intentId="i",
        participantEra="ev",
        intentType="SERVICE_REQUEST",
        createdAt=created or UNSET,
        serviceRequestData=wish,
    )


def at_most(price: float) -> ServicePreferences:
    return ServicePreferences(maxPricePerKWh=price)


def waypoint(name: str) -> Position:
    lon, lat = PLACES[name]
    return Position(lat=lat, lon=lon)


def test_a_route_becomes_a_line_and_a_place_a_point() -> None:
    way = Route(waypoints=(waypoint("majestic"), waypoint("indiranagar")), radiusMeters=700)
    assert resources(compiled(request(route=way))) == ["majestic", "mg-road", "indiranagar"]
    assert resources(compiled(request(location=HERE))) == ["mg-road"]
    assert resources(compiled(request(route=way, location=HERE))) == ["mg-road"]
    assert resources(compiled(request())) == ["majestic", "mg-road", "koramangala", "indiranagar", "whitefield"]


def test_the_place_of_a_resource_may_stand_in_its_own_field() -> None:
    roof = Resource(id="roof", availableAt=(Location(geo=point("mg-road")),), resourceAttributes=EnergyResource(ENERGY))
    assert resources(compiled(request(location=HERE)), (catalog("x", roof),)) == ["roof"]


def test_power_must_do_for_the_energy_by_the_deadline() -> None:
    assert resources(compiled(request(100))) == ["mg-road", "koramangala", "indiranagar", "whitefield"]
    assert resources(compiled(request(100.1))) == ["mg-road", "koramangala", "whitefield"]
    assert resources(compiled(request(1000))) == []


def seller(kwh: float | None = None, source: Any = UNSET, **more: Any) -> Resource:
    bag = EnergyResource(ENERGY, availableQuantity=UNSET if kwh is None else kwh, sourceType=source)
    return Resource(id="seller", resourceAttributes=bag, **more)


@pytest.mark.parametrize(
    ("resource", "found"),
    [
        (seller(10), True),
        (seller(9.9), False),
        (seller(), True),
        (seller(source="SOLAR"), True),
        (seller(source="RENEWABLE"), True),
        (seller(source="GRID"), False),
    ],
)
def test_what_is_stated_must_do_and_what_is_not_stated_excludes_nobody(resource: Resource, found: bool) -> None:
    intent = compiled(request(preferences=ServicePreferences(preferredSource="RENEWABLE")))
    assert bool(resources(intent, (catalog("x", resource),))) is found


@pytest.mark.parametrize(
    ("opens", "closes", "found"),
    [
        ("2026-11-20T13:00:00+05:30", "2026-11-20T18:00:00+05:30", True),
        ("2026-11-20T14:00:00+05:30", "2026-11-20T18:00:00+05:30", False),
        ("2026-11-20T08:29:00Z", "2026-11-20T18:00:00Z", True),
        ("11:00:00+05:30", "12:00:01+05:30", True),
        ("14:00:00+05:30", "12:00:00+05:30", False),
    ],
)
def test_who_is_not_there_before_the_deadline_is_not_found(opens: str, closes: str, found: bool) -> None:
    window = LdTimePeriod(kind="TimePeriod", startTime=opens, endTime=closes)
    shelf = catalog("x", seller(20, availabilityWindow=(window,)))
    assert bool(resources(compiled(request()), (shelf,))) is found


def told(price: float, unit: str = "KWH", count: float | None = 1) -> dict[str, Any]:
    quantity = UnitQuantity(unitCode=unit, unitQuantity=UNSET if count is None else count)
    body = PriceSpecification(ENERGY, currency="INR", value=price, applicableQuantity=quantity)
    return {"considerations": (Consideration(id="price", status=Descriptor(), considerationAttributes=body),)}


def bag(**more: Any) -> dict[str, Any]:
    return {"offerAttributes": EnergyTradeOffer(ENERGY, pricingModel="PER_KWH", **more)}


def rate(price: float) -> TimeOfDayRate:
    return TimeOfDayRate(timeRange=TimeRange(start="00:00:00", end="12:00:00"), rate=price, currency="INR")


def tariff(*prices: float, kind: Any = "ENERGY") -> dict[str, Any]:
    elements = tuple(TariffElement(priceComponents=(PriceComponent(type=kind, price=p),)) for p in prices)
    return {"offerAttributes": Tariff(ENERGY, currency="INR", direction="IMPORT", elements=elements)}


def fixed(price: float) -> dict[str, Any]:
    body = EnergyOffer(
        ENERGY, templateId="t", openRole="BUYER", pricingModel="FIXED", currency="INR", pricePerKWh=price
    )
    return {"offerAttributes": body}


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        (told(18), True),
        (told(18.01), False),
        (told(18.01, count=None), False),
        (told(99, count=10), True),
        (told(99, "MIN"), True),
        (bag(), True),
        (bag(price=PriceBody(currency="INR", value=18)), True),
        (bag(price=PriceBody(currency="INR", value=19)), False),
        (bag(price=PriceBody(schemaPrice=19)), False),
        (bag(timeOfDayRates=(rate(20), rate(16))), True),
        (bag(timeOfDayRates=(rate(20), rate(19))), False),
        (tariff(20, 12), True),
        (tariff(20, 19), False),
        (tariff(40, kind="TIME"), True),
        (fixed(17), True),
        (fixed(19), False),
    ],
)
def test_an_offer_may_cost_no_more_than_is_wished(stated: dict[str, Any], found: bool) -> None:
    shelf = catalog("x", charger("mg-road"), Offer(id="o", resourceIds=("mg-road",), **stated))
    assert bool(search(compiled(request(preferences=at_most(18))), (shelf,))) is found


def test_only_the_offers_that_are_cheap_enough_come_with_what_they_are_on() -> None:
    found = search(compiled(request(preferences=at_most(15))))
    assert found == {"centre": (["mg-road"], ["night"])}


@given(st.floats(0, 40), st.floats(0, 40))
def test_a_higher_ceiling_finds_no_less(one: float, other: float) -> None:
    less, more = (set(resources(compiled(request(preferences=at_most(p))))) for p in sorted((one, other)))
    assert less <= more


@given(
    st.floats(0, 1e6, allow_subnormal=False),
    st.floats(0, 1e6, allow_subnormal=False),
    st.sampled_from(["SOLAR", "BATTERY", "GRID", "HYBRID", "RENEWABLE"]),
)
def test_whatever_is_wished_travels_in_a_valid_discover(kwh: float, price: float, source: Any) -> None:
    wishes = ServicePreferences(maxPricePerKWh=price, preferredSource=source)
    intent = compiled(request(kwh, location=HERE, preferences=wishes))
    ids = ("752c9cce-0559-8d41-81b8-f45f5683fbc0",) * 2
    raw = encode(Message("discover", "ev", "catalogue", *ids, DiscoverContent(intent=intent)), NOON)
    assert faults("discover", raw) == ()
    content = decode("discover", raw).content
    assert isinstance(content, DiscoverContent)
    assert resources(content.intent) == resources(intent)


def test_an_intent_without_its_time_is_asked_at_the_time_of_the_message() -> None:
    assert compiled(request(created=""), asked_at=NOON) == compiled(request())
    assert resources(compiled(request(created=""), NOON), ALL) == resources(compiled(request()), ALL)


CURVE = EnergyIntent(
    ENERGY,
    intentId="i",
    participantEra="ev",
    intentType="OFFER_CURVE",
    offerCurveData=OfferCurveData(
        curve=OfferCurve(
            currency="INR", minExport=-5, maxExport=0, curve=(CurvePoint(price=1, powerKW=-5), CurvePoint(price=2, powerKW=0))
        )
    ),
)  # fmt: skip


@pytest.mark.parametrize(
    ("intent", "code", "pointer"),
    [
        (CURVE, "SCH_TYPE_NOT_SUPPORTED", "/intentType"),
        (request(deadline=NOON), "SCH_SCHEMA_VALIDATION_FAILED", "/serviceRequestData/deadline"),
        (request(created=""), "SCH_REQUIRED_FIELD_MISSING", "/createdAt"),
        (
            request(location=Position(lat=1, lon=1)),
            "SCH_REQUIRED_FIELD_MISSING",
            "/serviceRequestData/location/radiusMeters",
        ),
    ],
)
def test_what_cannot_be_compiled_is_refused_at_its_place(intent: EnergyIntent, code: str, pointer: str) -> None:
    with pytest.raises(Refusal) as refused:
        compiled(intent)
    assert (refused.value.code, refused.value.where) == (code, pointer)
