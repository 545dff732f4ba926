"""Errands: what somebody is after, what was found, how it is chosen, and how far it is."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from msgspec import UNSET, UnsetType

from agents.diary import Entry
from agents.enrolling import Application
from agents.forecast import Forecast
from agents.trade_record import Customer, TradeRecord
from sim.tariff import prices_by_minute
from sim.wire.bags import EnergyIntent, EnergyOffer, GeoJSONGeometry, PriceSpecification, Role, Tariff
from sim.wire.core import Catalog, Consideration, Offer, Resource, SearchIntent


@dataclass(frozen=True, slots=True)
class Candidate:
    """One thing that was found: who offers it, the item, its offer, and what a kWh costs (0 where the offer does not say)."""

    provider: str
    resource: Resource
    offer: Offer
    price_per_kwh: float

    @property
    def template(self) -> str:
        """Under which contract template it is offered; the offer's own name where it does not say."""
        attributes = self.offer.offerAttributes
        return attributes.templateId if isinstance(attributes, EnergyOffer) else self.offer.id


@dataclass(frozen=True, slots=True)
class Vehicle:
    """The car that is brought: what it needs at the grid side, and with how much power it takes that."""

    need_kwh: float
    kw: float
    make: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class Errand:
    """Something to be had.

    at_s: when it is looked for.  ask: whom.  intent: what for.  choose: by the price of a kWh, by how near it is to
    ``place``, or the first found.  quote: whether a quote is asked for before it is applied for.  wish: a request for a
    service; whoever may serve it is asked for a quote, and the cheapest that can is taken.  kwh: how much; or kw: how much
    capacity is to be held ready.  window: of delivery, in simulated seconds.  role: that the seeker plays where the offer
    does not say.  application: what is shown and allowed where an admission is asked for.
    customer: for whom, where deals are recorded in a trade ledger.
    """

    at_s: int
    ask: str
    intent: SearchIntent
    choose: Literal["first", "cheapest", "nearest"]
    quote: bool
    kwh: float
    window: tuple[int, int] | None = None
    meter: str = ""
    place: tuple[float, float] | None = None
    wish: EnergyIntent | None = None
    vehicle: Vehicle | None = None
    diary: tuple[Entry, ...] = ()
    role: Role = "BUYER"
    application: Application | None = None
    customer: Customer | None = None
    kw: float = 0.0


@dataclass(slots=True)
class Pursuit:
    """How far an errand is, and what it and side contracts have brought (+ received).  Its seeker alone changes it.

    seeker: whose errand it is.  asked: who was asked for a quote, by message; quotes: what came of that, None for a refusal.
    """

    errand: Errand
    transaction_id: str
    seeker: str
    chosen: Candidate | None = None
    contract_id: str = ""
    quotes: dict[str, float | None] = field(default_factory=dict)
    asked: dict[str, Candidate] = field(default_factory=dict)
    record: TradeRecord | None = None
    status: str = ""
    session: str = ""
    balance: float = 0.0
    beside: float = 0.0
    forecast: Forecast | None = None

    @property
    def deal(self) -> Candidate:
        """What was chosen, of an errand for which something was."""
        assert self.chosen is not None
        return self.chosen


def candidates_in(catalogs: Iterable[Catalog]) -> list[Candidate]:
    """Every offer on every resource that was found, in the order in which they were."""
    return [
        Candidate(str(catalog.bppId or catalog.provider.id), resource, offer, _price(offer))
        for catalog in catalogs
        for resource in catalog.resources or ()
        for offer in catalog.offers or ()
        if resource.id in (offer.resourceIds or ())
    ]


def best_of(found: Sequence[Candidate], errand: Errand) -> Candidate:
    """The one of those found that an errand chooses; of equally good ones the first."""
    match errand.choose:
        case "cheapest":
            return min(found, key=lambda candidate: candidate.price_per_kwh)
        case "nearest":
            return min(found, key=functools.partial(_distance, errand.place))
        case _:
            return found[0]


def cheapest_of(pursuit: Pursuit) -> Candidate | None:
    """Whoever has quoted least, of equally cheap ones the first to do so; None where nobody has quoted."""
    quotes = {key: amount for key, amount in pursuit.quotes.items() if amount is not None}
    return pursuit.asked[min(quotes, key=quotes.__getitem__)] if quotes else None


def stated_in(considerations: tuple[Consideration, ...] | UnsetType) -> float | None:
    """The first amount that is stated among considerations: of a quote in all, of an offer per unit."""
    for consideration in considerations or ():
        body = consideration.considerationAttributes
        if isinstance(body, PriceSpecification) and body.value is not UNSET:
            return body.value
    return None


def _price(offer: Offer) -> float:
    """Per kWh as the offer says it, of a tariff the lowest."""
    attributes = offer.offerAttributes
    if isinstance(attributes, EnergyOffer) and attributes.pricePerKWh is not UNSET:
        return attributes.pricePerKWh
    if isinstance(attributes, Tariff):
        return min(prices_by_minute(attributes))
    return stated_in(offer.considerations) or 0.0


def _distance(place: tuple[float, float] | None, candidate: Candidate) -> float:
    """In square degrees, which is enough to say what is nearer; infinite where either does not say where it is."""
    for location in candidate.resource.availableAt or ():
        if place is not None and location.geo.type == "Point":
            return _square_degrees(place, location.geo)
    return float("inf")


def _square_degrees(place: tuple[float, float], geo: GeoJSONGeometry) -> float:
    longitude, latitude = (geo.coordinates or ())[:2]
    return float((longitude - place[0]) ** 2 + (latitude - place[1]) ** 2)
