"""From items and searches in the scenario to their bodies on the wire."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from scenarios.money import tariff_of_steps
from scenarios.parties import HoursSpec, ItemSpec, PriceStep, SearchSpec
from sim.wire.bags import (
    ENERGY,
    EnergyCredentials,
    EnergyOffer,
    GeoJSONGeometry,
    LdTimePeriod,
    Location,
    OfferBag,
    PriceSpecification,
    ResourceBag,
    Tariff,
    UnitQuantity,
)
from sim.wire.core import Consideration, Descriptor, Filters, Offer, Resource, SearchIntent, SpatialConstraint


def resource_of(spec: ItemSpec) -> Resource:
    """What an item is listed as.  Raises ``msgspec.ValidationError`` for a bag that is none."""
    bag: Any = UNSET if spec.forecast else msgspec.convert({"@context": ENERGY, **(spec.lists or {})}, ResourceBag)
    place = GeoJSONGeometry(type="Point", coordinates=spec.at) if spec.at is not None else None
    return Resource(
        id=spec.name,
        descriptor=Descriptor(name=spec.name),
        resourceAttributes=bag,
        availableAt=UNSET if place is None else (Location(geo=place),),
        availabilityWindow=UNSET if spec.open is None else (_hours(spec.open),),
        networkIds=spec.networks or UNSET,
    )


def _hours(spec: HoursSpec) -> LdTimePeriod:
    end = "00:00" if spec.end == "24:00" else spec.end
    return LdTimePeriod(kind="TimePeriod", startTime=f"{spec.start}:00", endTime=f"{end}:00")


def tariff_on(spec: ItemSpec, currency: str) -> Tariff:
    """What a kWh of an item costs by local time of day; of one with a price, always that."""
    return tariff_of_steps(currency, "IMPORT", spec.tariff or (PriceStep.model_validate({"price": spec.price or 0.0}),))


def offer_of(provider: str, spec: ItemSpec, currency: str, tariff: Tariff) -> Offer:
    """What an item is offered under: its own bag, its tariff, or its price."""
    attributes: Any
    if spec.offers is not None:
        attributes = msgspec.convert({"@context": ENERGY, **spec.offers}, OfferBag)
    elif spec.tariff:
        attributes = tariff
    else:
        attributes = EnergyOffer(
            ENERGY,
            templateId=spec.contract,
            openRole=spec.open_role,
            pricingModel="FIXED" if spec.forecast else "PER_KWH",
            currency=currency,
            pricePerKWh=UNSET if spec.forecast else spec.price or 0.0,
            credentials=UNSET
            if spec.admission is None
            else EnergyCredentials(ENERGY, required=spec.admission.credentials or UNSET),
        )
    price = None
    if spec.price is not None:
        per_kwh = UnitQuantity(unitCode="KWH", unitQuantity=1)
        price = PriceSpecification(ENERGY, currency=currency, value=spec.price, applicableQuantity=per_kwh)
    return Offer(
        id=f"{provider}/{spec.name}",
        resourceIds=(spec.name,),
        considerations=UNSET
        if price is None
        else (
            Consideration(
                id="per-call" if spec.forecast else "per-kwh",
                status=Descriptor(code="OFFERED"),
                considerationAttributes=price,
            ),
        ),
        offerAttributes=attributes,
    )


def intent_of(search: SearchSpec) -> SearchIntent:
    """What is looked for, as it is asked of a catalogue."""
    geometry = None
    if search.near is not None:
        geometry = GeoJSONGeometry(type="Point", coordinates=search.near)
    elif search.along:
        geometry = GeoJSONGeometry(type="LineString", coordinates=search.along)
    spatial = None
    if geometry is not None:
        spatial = SpatialConstraint(
            op="S_DWITHIN",
            targets="$['availableAt'][*]['geo']",
            geometry=geometry,
            distanceMeters=search.within_m or 0.0,
        )
    return SearchIntent(
        textSearch=UNSET if search.type is None else search.type,
        filters=UNSET if search.filter is None else Filters(type="jsonpath", expression=search.filter),
        spatial=UNSET if spatial is None else (spatial,),
    )
