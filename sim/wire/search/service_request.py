"""A wish for energy as an intent that strict LTS can carry: ``discover`` has no slot for an ``EnergyIntent``.

What somebody does not say of a resource or an offer excludes neither: a charge point that names no source may be solar, and one
without a window of availability is always there.  But a place that nobody knows is within no distance.

``maxWaitTimeMinutes`` has no counterpart: how long one would wait is the state of a station, not its listing.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from msgspec import UNSET, UnsetType

from sim.wire.bags import EnergyIntent, GeoJSONGeometry, Position
from sim.wire.bags.contracts import ServicePreferences, ServiceRequestData
from sim.wire.codes import Code, Refusal
from sim.wire.core import Filters, SearchIntent, SpatialConstraint
from sim.wire.need import needed
from sim.wire.search.periods import moment

DATA = "/serviceRequestData"
TARGETS = (
    "$['availableAt'][*]['geo']",
    "$['resourceAttributes']['chargingStation']['serviceLocation']['geo']",
)
"""Where the position of a resource stands."""

_PAID = "@.considerationAttributes"
PRICES = (
    ("", "@.offerAttributes.pricePerKWh", ""),
    ("", "@.offerAttributes['beckn:price'].value", ""),
    ("", "@.offerAttributes['beckn:price']['schema:price']", ""),
    ("@.offerAttributes.timeOfDayRates[?", "@.rate", "]"),
    ("@.offerAttributes.elements[*].priceComponents[?@.type == 'ENERGY' && ", "@.price", "]"),
    (
        f"@.considerations[?{_PAID}.applicableQuantity.unitCode == 'KWH' && "
        f"(!{_PAID}.applicableQuantity.unitQuantity || {_PAID}.applicableQuantity.unitQuantity == 1) && ",
        f"{_PAID}.value",
        "]",
    ),
)
"""Where an offer's prices per kWh stand: what leads there, the price itself, and what closes the expression."""


def compiled(intent: EnergyIntent, asked_at: str | UnsetType = UNSET) -> SearchIntent:
    """What to search for, for a SERVICE_REQUEST.

    ================  ================================================================================================
    in the request    in the intent
    ================  ================================================================================================
    route             S_DWITHIN of the line through the waypoints, radiusMeters
    location          S_DWITHIN of the point, its radiusMeters
    requiredKWh       ``availableQuantity`` no less; ``maxPowerKW`` enough to deliver it by the deadline
    deadline          an ``availabilityWindow`` that overlaps the time until then
    preferredSource   ``sourceType`` no other; RENEWABLE takes SOLAR too
    maxPricePerKWh    offers of which no price per kWh is known, or the lowest is no higher; with it resources without offers
                      are not found.  It is in the currency of the offer, for the request names none
    ================  ================================================================================================

    asked_at: RFC 3339, for an intent that does not say when it was created.  Raises ``Refusal`` with a pointer into the intent
    for another type of intent (SCH_TYPE_NOT_SUPPORTED: curves are not told to a catalogue), for a deadline that has passed, and
    for a location without radius.
    """
    if intent.intentType != "SERVICE_REQUEST" or intent.serviceRequestData is UNSET:
        what = f"expected SERVICE_REQUEST, got {intent.intentType}; a curve goes to a market, in init"
        raise Refusal(Code.SCH_TYPE_NOT_SUPPORTED, "/intentType", what)
    request = intent.serviceRequestData
    start = needed(intent.createdAt if intent.createdAt is not UNSET else asked_at, "/createdAt")
    wishes = request.preferences or ServicePreferences()
    conditions = (*_energy(request, start), *_source(wishes))
    offers = "" if wishes.maxPricePerKWh is UNSET else f".offers[?{_no_dearer(wishes.maxPricePerKWh)}]"
    expression = f"$[?{' && '.join(conditions)}]{offers}"
    return SearchIntent(
        filters=Filters(type="jsonpath", expression=expression), spatial=tuple(_nearby(request)) or UNSET
    )


def _energy(request: ServiceRequestData, start: str) -> Iterable[str]:
    asked, deadline = moment(start), moment(request.deadline)
    if asked is None or deadline is None or deadline <= asked:
        raise Refusal(
            Code.SCH_SCHEMA_VALIDATION_FAILED,
            f"{DATA}/deadline",
            f"expected a deadline after {start}, got {request.deadline}",
        )
    hours = (deadline - asked).total_seconds() / 3600
    yield f"(!@.availabilityWindow || overlaps(@.availabilityWindow[*], '{start}', '{request.deadline}'))"
    yield _unless_less("availableQuantity", request.requiredKWh)
    yield _unless_less("maxPowerKW", request.requiredKWh / hours)


def _unless_less(name: str, least: float) -> str:
    field = f"@.resourceAttributes.{name}"
    return f"(!{field} || {field} >= {_number(least)})"


def _source(wishes: ServicePreferences) -> Iterable[str]:
    if wishes.preferredSource is not UNSET:
        field = "@.resourceAttributes.sourceType"
        fitting = (wishes.preferredSource, *(("SOLAR",) if wishes.preferredSource == "RENEWABLE" else ()))
        yield f"(!{field} || {' || '.join(f'{field} == {source!r}' for source in fitting)})"


def _no_dearer(most: float) -> str:
    """Of an offer: that it states no price per kWh, or one that is no higher."""
    known = " || ".join(f"{lead}{price}{close}" for lead, price, close in PRICES)
    fitting = " || ".join(f"{lead}{price} <= {_number(most)}{close}" for lead, price, close in PRICES)
    return f"!({known}) || {fitting}"


def _nearby(request: ServiceRequestData) -> Iterable[SpatialConstraint]:
    if request.route is not UNSET:
        line = GeoJSONGeometry(type="LineString", coordinates=tuple(map(_lon_lat, request.route.waypoints)))
        yield _within(request.route.radiusMeters, line)
    if request.location is not UNSET:
        radius_m = needed(request.location.radiusMeters, f"{DATA}/location/radiusMeters")
        yield _within(radius_m, GeoJSONGeometry(type="Point", coordinates=_lon_lat(request.location)))


def _within(radius_m: float, geometry: GeoJSONGeometry) -> SpatialConstraint:
    return SpatialConstraint(
        op="S_DWITHIN", targets=TARGETS, geometry=geometry, distanceMeters=radius_m, quantifier="ANY"
    )


def _lon_lat(position: Position) -> tuple[float, float]:
    return (position.lon, position.lat)


def _number(value: float) -> str:
    """A number without an exponent, which some readers of JSONPath stumble over."""
    return format(Decimal(repr(value)), "f")
