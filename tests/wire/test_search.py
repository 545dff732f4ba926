"""Discovery: an intent finds what matches all of its parts, and nothing that is not to be shown."""

from __future__ import annotations

from datetime import datetime
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from sim.wire.bags import (
    ENERGY,
    ChargingService,
    ChargingStation,
    EnergyResource,
    EnergyTradeOffer,
    GeoJSONGeometry,
    LdTimePeriod,
    Location,
    PriceBody,
    Tariff,
    TariffElement,
)
from sim.wire.bags.tariff import PriceComponent
from sim.wire.codes import Refusal
from sim.wire.core import (
    Audience,
    Catalog,
    Descriptor,
    Filters,
    MediaSearch,
    Offer,
    Provider,
    Resource,
    SearchIntent,
    SpatialConstraint,
    TimePeriod,
)
from sim.wire.examples import EXAMPLES
from sim.wire.messages import CatalogsContent, DiscoverContent, Message, PublishContent
from sim.wire.search import Asker, found

AT = datetime.fromisoformat("2026-11-20T12:00:00+05:30")
SOMEBODY = Asker("driver-app")
PLACES = {
    "majestic": (77.5713, 12.9767),
    "mg-road": (77.6068, 12.9756),
    "indiranagar": (77.6387, 12.9784),
    "koramangala": (77.6245, 12.9352),
    "whitefield": (77.7500, 12.9698),
    "electronic-city": (77.6603, 12.8452),
    "airport": (77.7063, 13.1986),
}
"""Of Bengaluru: longitude and latitude."""
GEO = "$['resourceAttributes']['chargingStation']['serviceLocation']['geo']"


def point(name: str) -> GeoJSONGeometry:
    return GeoJSONGeometry(type="Point", coordinates=PLACES[name])


def charger(name: str, power_kw: float = 60, **more: Any) -> Resource:
    connector = more.pop("connector", "CCS2")
    station = ChargingStation(id=name, serviceLocation=Location(geo=point(name)))
    bag = ChargingService(
        ENERGY, connectorType=connector, maxPowerKW=power_kw, evseId=f"IN*{name}", chargingStation=station
    )
    return Resource(id=name, resourceAttributes=bag, **more)


def offer(name: str, *on: str, price: float = 18, **more: Any) -> Offer:
    bag = EnergyTradeOffer(
        ENERGY, pricingModel="PER_KWH", sourceMeterId=name, price=PriceBody(currency="INR", value=price)
    )
    return Offer(id=name, resourceIds=on or UNSET, offerAttributes=bag, **more)


def catalog(name: str, *parts: Resource | Offer, **more: Any) -> Catalog:
    return Catalog(
        id=name,
        descriptor=Descriptor(),
        provider=Provider(id=f"cpo-{name}", descriptor=Descriptor()),
        resources=tuple(part for part in parts if isinstance(part, Resource)),
        offers=tuple(part for part in parts if isinstance(part, Offer)),
        **more,
    )


CENTRE = catalog(
    "centre",
    charger("majestic", 30),
    charger("mg-road"),
    charger("koramangala", 120, connector="CHAdeMO"),
    offer("day", "majestic", "mg-road"),
    offer("night", "mg-road", price=12),
    offer("anywhere"),
)
EAST = catalog("east", charger("indiranagar", 50), charger("whitefield", 150), offer("all-east", price=20))
ALL = (CENTRE, EAST)


def where(expression: str) -> SearchIntent:
    return SearchIntent(filters=Filters(type="jsonpath", expression=expression))


def near(name: str, metres: float, **more: Any) -> SearchIntent:
    constraint = SpatialConstraint(op="S_DWITHIN", targets=GEO, geometry=point(name), distanceMeters=metres, **more)
    return SearchIntent(spatial=(constraint,))


def names(catalogs: tuple[Catalog, ...]) -> dict[str, tuple[list[str], list[str]]]:
    """Resources and offers by catalogue."""
    return {c.id: ([r.id for r in c.resources or ()], [o.id for o in c.offers or ()]) for c in catalogs}


def search(
    intent: SearchIntent, catalogs: tuple[Catalog, ...] = ALL, asker: Asker = SOMEBODY
) -> dict[str, tuple[list[str], list[str]]]:
    return names(found(catalogs, intent, asker, AT))


def resources(intent: SearchIntent, catalogs: tuple[Catalog, ...] = ALL) -> list[str]:
    return [name for listed, _ in search(intent, catalogs).values() for name in listed]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (
            "$[?(@.resourceAttributes.connectorType == 'CCS2' && @.resourceAttributes.maxPowerKW >= 50)]",
            {"centre": (["mg-road"], ["day", "night", "anywhere"]), "east": (["indiranagar", "whitefield"], ["all-east"])},
        ),
        ("$[?@.resourceAttributes.evseId == 'IN*majestic']", {"centre": (["majestic"], ["day", "anywhere"])}),
        ("$[?@.provider.id == 'cpo-east']", {"east": (["indiranagar", "whitefield"], ["all-east"])}),
        ("$[?@.catalog.id == 'centre' && @.id == 'koramangala']", {"centre": (["koramangala"], ["anywhere"])}),
        ("$[?@.offers[?@.offerAttributes['beckn:price'].value <= 12]]", {"centre": (["mg-road"], ["day", "night", "anywhere"])}),
        ("$[*].offers[?@.offerAttributes['beckn:price'].value <= 12]", {"centre": (["mg-road"], ["night"])}),
        ("$..offerAttributes['beckn:price'][?@ == 20]", {"east": (["indiranagar", "whitefield"], ["all-east"])}),
        ("$[0]", {"centre": (["majestic"], ["day", "anywhere"]), "east": (["indiranagar"], ["all-east"])}),
        ("$", names(ALL)),
        ("$[*].resourceAttributes['@type']", names(ALL)),
        ("$[?@.resourceAttributes.roamingNetwork]", {}),
        ("$[?search(@.id, 'road$') || match(@.id, 'white.*')]", {"east": (["whitefield"], ["all-east"])}),
    ],
)  # fmt: skip
def test_a_filter_finds_resources_by_what_they_and_their_offers_say(
    expression: str, expected: dict[str, tuple[list[str], list[str]]]
) -> None:
    assert search(where(expression)) == expected


@pytest.mark.parametrize(
    ("metres", "expected"),
    [
        (3_000, ["mg-road"]),
        (3_460, ["mg-road"]),
        (3_480, ["mg-road", "indiranagar"]),
        (5_000, ["majestic", "mg-road", "koramangala", "indiranagar"]),
        (20_000, ["majestic", "mg-road", "koramangala", "indiranagar", "whitefield"]),
    ],
)
def test_chargers_within_so_many_metres_of_mg_road(metres: float, expected: list[str]) -> None:
    assert resources(near("mg-road", metres)) == expected


def test_chargers_along_the_way_from_majestic_by_indiranagar_to_whitefield() -> None:
    line = GeoJSONGeometry(
        type="LineString", coordinates=(PLACES["majestic"], PLACES["indiranagar"], PLACES["whitefield"])
    )
    on_the_way = SpatialConstraint(op="S_DWITHIN", targets=GEO, geometry=line, distanceMeters=500)
    assert resources(SearchIntent(spatial=(on_the_way,))) == ["majestic", "mg-road", "indiranagar", "whitefield"]


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        ("S_WITHIN", ["mg-road", "indiranagar"]),
        ("S_INTERSECTS", ["mg-road", "indiranagar"]),
        ("S_DISJOINT", ["majestic", "koramangala", "whitefield"]),
        ("S_CONTAINS", []),
        ("S_EQUALS", []),
        ("S_TOUCHES", []),
    ],
)
def test_chargers_in_a_part_of_the_city(op: Any, expected: list[str]) -> None:
    ring = ((77.60, 12.96), (77.65, 12.96), (77.65, 12.99), (77.60, 12.99), (77.60, 12.96))
    part = GeoJSONGeometry(type="Polygon", coordinates=(ring,))
    assert resources(SearchIntent(spatial=(SpatialConstraint(op=op, targets=GEO, geometry=part),))) == expected


def test_all_parts_of_an_intent_must_hold() -> None:
    strong = where("$[?@.resourceAttributes.maxPowerKW >= 60]")
    east = SearchIntent(textSearch="east")
    close = near("mg-road", 5_000)
    both = replace(strong, spatial=close.spatial)
    assert resources(strong) == ["mg-road", "koramangala", "whitefield"]
    assert resources(both) == ["mg-road", "koramangala"]
    assert resources(replace(both, textSearch="ChargingService")) == ["mg-road", "koramangala"]
    assert resources(replace(both, textSearch="east")) == []
    assert resources(east) == ["indiranagar", "whitefield"]
    not_near = SpatialConstraint(
        op="S_DWITHIN", targets=GEO, geometry=point("koramangala"), distanceMeters=100, quantifier="NONE"
    )
    assert resources(SearchIntent(spatial=(*close.spatial, not_near))) == ["majestic", "mg-road", "indiranagar"]  # type: ignore[misc]


@given(
    st.sampled_from(sorted(PLACES)),
    st.lists(st.floats(0, 60_000), min_size=2, max_size=2).map(sorted),
)
def test_farther_finds_no_less(name: str, metres: list[float]) -> None:
    less, more = (resources(near(name, limit)) for limit in metres)
    assert set(less) <= set(more)


@pytest.mark.parametrize("expression", ["$[?@.resourceAttributes.maxPowerKW > 40]", "$[1]", "$[?count($[*]) > 2]", "$"])
def test_the_order_of_catalogues_changes_nothing_but_the_order_of_the_answer(expression: str) -> None:
    three = (*ALL, catalog("south", charger("electronic-city", 22)))
    answers = [search(where(expression), order) for order in permutations(three)]
    assert all(answer == answers[0] for answer in answers)


def test_a_text_finds_whole_catalogues_untouched() -> None:
    (centre,) = found(ALL, SearchIntent(textSearch="centre"), SOMEBODY, AT)
    assert centre is CENTRE
    assert found(ALL, SearchIntent(textSearch="EnergyTradeOffer"), SOMEBODY, AT) == ALL
    assert found(ALL, SearchIntent(textSearch="GridNode"), SOMEBODY, AT) == ()


def test_offers_on_no_resource_are_found_by_what_they_say() -> None:
    component = PriceComponent(type="ENERGY", price=0.2)
    tariff = Tariff(ENERGY, currency="EUR", direction="IMPORT", elements=(TariffElement(priceComponents=(component,)),))
    prices = replace(catalog("prices", Offer(id="t", offerAttributes=tariff)), resources=UNSET)
    query = where("$[*].offers[?@.offerAttributes.direction == 'IMPORT']")
    assert found((prices, *ALL), query, SOMEBODY, AT) == (prices,)
    assert found((prices,), near("mg-road", 1e6), SOMEBODY, AT) == ()


# what is not shown


@pytest.mark.parametrize(
    "gone",
    [
        catalog("x", charger("airport"), isActive=False),
        catalog("x", charger("airport"), validity=TimePeriod(endDate="2026-11-20T06:30:00Z")),
        catalog("x", charger("airport", isActive=False)),
        catalog("x", charger("airport", isActive=False), offer("o", "airport")),
        catalog("x", charger("airport"), offer("o", "airport", isActive=False)),
        catalog("x", charger("airport"), offer("o", validity=TimePeriod(endDate="2026-11-20T12:00:00+05:30"))),
        catalog("x", charger("airport"), offer("o", availableTo=(Audience(type="PARTICIPANT", id="another"),))),
    ],
)
@pytest.mark.parametrize("intent", [SearchIntent(textSearch="x"), where("$"), near("airport", 1)])
def test_what_is_inactive_or_expired_or_only_for_others_is_never_shown(gone: Catalog, intent: SearchIntent) -> None:
    assert search(intent, (gone,)) == {}


def test_a_resource_stays_as_long_as_one_offer_on_it_does() -> None:
    over = offer("over", "airport", validity=TimePeriod(endDate="2026-11-20T06:29:59Z"))
    window = LdTimePeriod(kind="beckn:TimePeriod", endDate="2026-11-19T00:00:00Z")
    bag = EnergyTradeOffer(ENERGY, pricingModel="PER_KWH", sourceMeterId="m", validityWindow=window)
    last_day = Offer(id="last-day", resourceIds=("airport",), offerAttributes=bag)
    still = offer("still", "airport", validity=TimePeriod(endDate="2026-11-20T06:30:01Z"))
    daily = offer("daily", "airport", validity=TimePeriod(startTime="06:00:00Z", endTime="06:10:00Z"))
    shelf = catalog("x", charger("airport"), over, last_day, still, daily)
    assert search(SearchIntent(textSearch="x"), (shelf,)) == {"x": (["airport"], ["still", "daily"])}


@pytest.mark.parametrize(
    ("audience", "asker", "seen"),
    [
        (("PARTICIPANT", "driver-app"), SOMEBODY, True),
        (("PARTICIPANT", "driver-app"), Asker("other"), False),
        (("NETWORK", "deg/ev"), Asker("other", networks=frozenset({"deg/ev"})), True),
        (("NETWORK", "deg/ev"), SOMEBODY, False),
        (("ROLE", "FLEET"), Asker("other", roles=frozenset({"FLEET"})), True),
        (("ROLE", "driver-app"), SOMEBODY, False),
    ],
)
def test_an_offer_is_shown_to_those_it_is_open_to(audience: tuple[Any, str], asker: Asker, seen: bool) -> None:
    kind, one = audience
    reserved = offer("reserved", "airport", availableTo=(Audience(type=kind, id=one),))
    shelf = catalog("x", charger("airport"), reserved, offer("open", "airport"))
    expected = ["reserved", "open"] if seen else ["open"]
    assert search(where("$"), (shelf,), asker) == {"x": (["airport"], expected)}


def test_a_resource_is_found_in_its_networks() -> None:
    shelf = catalog("x", charger("airport", networkIds=("deg/ev", "deg/all")), charger("mg-road"))
    assert resources(where("$[?@.networkIds[?@ == 'deg/ev']]"), (shelf,)) == ["airport"]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2026-11-20T12:00:00+05:30", "2026-11-20T13:00:00+05:30", ["day"]),
        ("2026-11-20T23:00:00+05:30", "2026-11-20T23:30:00+05:30", ["night"]),
        ("2026-11-20T16:00:00Z", "2026-11-20T17:00:00Z", ["day", "night"]),
    ],
)
def test_a_resource_that_is_not_available_then_is_not_found(start: str, end: str, expected: list[str]) -> None:
    def open_from(name: str, first: str, last: str) -> Resource:
        window = LdTimePeriod(kind="TimePeriod", startTime=first, endTime=last)
        return Resource(id=name, availabilityWindow=(window,), resourceAttributes=EnergyResource(ENERGY))

    shelf = catalog("x", open_from("day", "06:00:00+05:30", "22:00:00+05:30"), open_from("night", "22:00:00+05:30", "06:00:00+05:30"))  # fmt: skip
    assert resources(where(f"$[?overlaps(@.availabilityWindow[*], '{start}', '{end}')]"), (shelf,)) == expected


@pytest.mark.parametrize(
    ("intent", "code", "pointer"),
    [
        (SearchIntent(), "SCH_REQUIRED_FIELD_MISSING", "/message/intent/textSearch"),
        (SearchIntent(mediaSearch=MediaSearch()), "SCH_TYPE_NOT_SUPPORTED", "/message/intent/mediaSearch"),
        (where("$[?@.x =="), "SCH_INVALID_FORMAT", "/message/intent/filters/expression"),
        (
            SearchIntent(spatial=(SpatialConstraint(op="S_WITHIN", targets="geo", geometry=point("airport")),)),
            "SCH_INVALID_FORMAT",
            "/message/intent/spatial/0/targets",
        ),
    ],
)
def test_what_cannot_be_searched_for_is_refused_at_its_place(intent: SearchIntent, code: str, pointer: str) -> None:
    with pytest.raises(Refusal) as refused:
        found((), intent, SOMEBODY, AT)
    assert (refused.value.code, refused.value.where) == (code, pointer)


def test_the_examples_of_searches_find_what_their_answers_show() -> None:
    listed = [
        c for m in EXAMPLES["catalog/publish"] for c in m.content.catalogs if isinstance(m.content, PublishContent)
    ]  # type: ignore[union-attr]
    answers: dict[str, Message] = {m.message_id: m for m in EXAMPLES["on_discover"]}
    asked = 0
    for question in EXAMPLES["discover"]:
        assert isinstance(question.content, DiscoverContent)
        intent, answer = question.content.intent, answers[question.message_id].content
        assert isinstance(answer, CatalogsContent)
        if intent.filters is not UNSET:
            asked += 1
            catalogs = {c.id: c for c in (*listed, *answer.catalogs)}
            assert found(tuple(catalogs.values()), intent, Asker.of(question), AT) == answer.catalogs
    assert asked == 3
