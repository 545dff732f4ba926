"""Discovery: which resources and offers of a set of catalogues an intent selects.

The parts of an intent are joined by *and*:

``textSearch``
    the id of a catalogue, or the ``@type`` of a bag that it has; whole catalogues.
``filters``
    JSONPath (RFC 9535, ``paths`` says how it is kept safe), asked of each catalogue for itself, so that the order of catalogues
    is nobody's business.  The root ``$`` is the array of the catalogue's **items**.  An item is a resource as it was published,
    in the names of LTS, and with it ``offers`` (those on it, in order), ``provider`` (its own, else the catalogue's) and
    ``catalog`` (the catalogue's ``id``, ``descriptor``, ``bppId``, ``bppUri`` and ``validity``).  Offers on no resource of the
    catalogue are an item of their own, which has no ``id``.  An expression selects the items that its nodes lie in; a node
    inside ``offers[n]`` selects that offer alone, so that ``$[*].offers[?@.isActive]`` finds offers and what they are on.
``spatial``
    every constraint must hold.  ``targets`` are JSONPaths whose root is one item (``$['availableAt'][*]['geo']``); what they
    lead to that is no good GeoJSON geometry is left aside, and an item that nothing is left of is nowhere: it satisfies no
    constraint, whatever the quantifier.

What is inactive, expired, or open to others only (``availableTo``) is never found, nor is a resource all of whose offers are
so.  The answer has the resources that match, the offers on them, and their catalogues, in the order in which they came.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from sim.wire.codes import Code, Refusal
from sim.wire.core import Audience, Catalog, Offer, Provider, Resource, SearchIntent, TimePeriod
from sim.wire.messages import Message
from sim.wire.search.paths import Budget, Path, compile_path
from sim.wire.search.periods import ended
from sim.wire.search.places import Spatial, spatial_of

T = TypeVar("T")
INTENT = "/message/intent"


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, as far as that decides what may be shown: an ERA, the networks it speaks in, the roles it is known to have."""

    era: str
    networks: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()

    @classmethod
    def of(cls, message: Message, roles: Iterable[str] = ()) -> Asker:
        """The sender of a message, in the network whose domain the message names."""
        return cls(message.sender, frozenset({message.domain} - {None}), frozenset(roles))  # type: ignore[arg-type]

    def among(self, audience: Iterable[Audience] | UnsetType) -> bool:
        """Whether it belongs to an audience; to none means to everybody."""
        named = tuple(audience or ())
        mine = {"PARTICIPANT": {self.era}, "NETWORK": self.networks, "ROLE": self.roles}
        return not named or any(one.id in mine[one.type] for one in named)


def found(catalogs: Iterable[Catalog], intent: SearchIntent, asker: Asker, at: datetime) -> tuple[Catalog, ...]:
    """What an intent selects of these catalogues, for somebody, at a moment (aware).

    Raises ``Refusal`` for an intent that asks nothing, for one that cannot be read (SCH_INVALID_FORMAT, saying where), and for
    what is not searched by here (SCH_TYPE_NOT_SUPPORTED).
    """
    query = query_of(intent)
    shown = (opened for catalog in catalogs if (opened := visible(current(catalog, at), asker)) is not None)
    return tuple(answer for catalog in shown if (answer := query.apply(catalog)) is not None)


@dataclass(frozen=True, slots=True)
class Query:
    """An intent that has been read: its three parts, all of which must hold."""

    text: str | UnsetType
    path: Path | None
    spatial: tuple[Spatial, ...]

    def apply(self, catalog: Catalog) -> Catalog | None:
        """What this selects of one catalogue; None for nothing."""
        if self.text is not UNSET and self.text != catalog.id and self.text not in bag_types(catalog):
            return None
        if self.path is None and not self.spatial:
            return catalog
        items = items_of(catalog)
        documents, budget = [item.document for item in items], Budget.of(len(items))
        chosen = dict.fromkeys(range(len(items))) if self.path is None else self.path.chosen(documents, budget)
        resources: set[int | None] = set()
        offers: set[int] = set()
        for number, some in chosen.items():
            item = items[number]
            if all(constraint.holds(item.document, budget) for constraint in self.spatial):
                resources.add(item.resource)
                offers.update(item.offers if some is None else (item.offers[place] for place in some))
        return _reduced(catalog, resources, offers) if resources else None


def query_of(intent: SearchIntent) -> Query:
    """An intent, read.  Raises ``Refusal`` as ``found`` does."""
    if intent.mediaSearch is not UNSET:
        what = "expected no mediaSearch: pictures, sounds and films are not looked at here; ask by filters or spatial"
        raise Refusal(Code.SCH_TYPE_NOT_SUPPORTED, f"{INTENT}/mediaSearch", what)
    if intent.textSearch is UNSET and intent.filters is UNSET and not intent.spatial:
        what = "expected textSearch, filters or spatial, got none of them"
        raise Refusal(Code.SCH_REQUIRED_FIELD_MISSING, f"{INTENT}/textSearch", what)
    path = None
    if intent.filters is not UNSET:
        path = compile_path(intent.filters.expression, f"{INTENT}/filters/expression")
    spatial = tuple(
        spatial_of(constraint, f"{INTENT}/spatial/{number}") for number, constraint in enumerate(intent.spatial or ())
    )
    return Query(intent.textSearch, path, spatial)


def bag_types(catalog: Catalog) -> frozenset[str]:
    """The ``@type`` of every energy bag in a catalogue."""
    bags = [r.resourceAttributes for r in catalog.resources or ()] + [o.offerAttributes for o in catalog.offers or ()]
    return frozenset(type(bag).__name__ for bag in bags)


# what may be shown


def current(catalog: Catalog, at: datetime) -> Catalog | None:
    """A catalogue without what is inactive or whose validity has ended; None where that is all of it."""
    if catalog.isActive is False or _ended(catalog.validity, at):
        return None
    resources = [resource.isActive is not False for resource in catalog.resources or ()]
    offers = [offer.isActive is not False and not _expired(offer, at) for offer in catalog.offers or ()]
    return _without(catalog, resources, offers)


def visible(catalog: Catalog | None, asker: Asker) -> Catalog | None:
    """A catalogue without the offers that are open to others only; None where that is all of it."""
    if catalog is None:
        return None
    everything = [True] * len(catalog.resources or ())
    return _without(catalog, everything, [asker.among(offer.availableTo) for offer in catalog.offers or ()])


def _expired(offer: Offer, at: datetime) -> bool:
    window = getattr(offer.offerAttributes, "validityWindow", UNSET)
    return _ended(offer.validity, at) or (window is not UNSET and ended((window.endDate, window.endTime), at))


def _ended(period: TimePeriod | UnsetType, at: datetime) -> bool:
    return period is not UNSET and ended((period.endDate,), at)


def _without(catalog: Catalog, resources: list[bool], offers: list[bool]) -> Catalog | None:
    """The resources and offers that are kept, without resources that have lost every offer, and offers on nothing any more."""
    if all(resources) and all(offers):
        return catalog
    on = [_on(catalog, number) for number in range(len(resources))]
    left = {
        number
        for number, kept in enumerate(resources)
        if kept and (not on[number] or any(offers[n] for n in on[number]))
    }
    somewhere = {number for numbers in on for number in numbers}
    held = {number for place in left for number in on[place]}
    open_to = {number for number, kept in enumerate(offers) if kept and (number in held or number not in somewhere)}
    return _reduced(catalog, left, open_to) if left or open_to else None


def _on(catalog: Catalog, number: int) -> tuple[int, ...]:
    """Places of the offers on the resource of this place: those that name it, and those that name no resource at all."""
    resource = (catalog.resources or ())[number]
    return tuple(
        place
        for place, offer in enumerate(catalog.offers or ())
        if not offer.resourceIds or resource.id in offer.resourceIds
    )


def _reduced(catalog: Catalog, resources: Iterable[int | None], offers: Iterable[int]) -> Catalog:
    return replace(catalog, resources=_at(catalog.resources, set(resources)), offers=_at(catalog.offers, set(offers)))


def _at(values: tuple[T, ...] | UnsetType, places: set[Any]) -> tuple[T, ...] | UnsetType:
    return UNSET if values is UNSET else tuple(value for place, value in enumerate(values) if place in places)


# what is asked


@dataclass(frozen=True, slots=True)
class Item:
    """What an expression is asked of: the place of a resource in its catalogue (None for none), and of the offers on it."""

    resource: int | None
    offers: tuple[int, ...]
    document: dict[str, Any]


def items_of(catalog: Catalog) -> tuple[Item, ...]:
    """The items of a catalogue: its resources in order, then the offers on none of them."""
    resources, offers = catalog.resources or (), catalog.offers or ()
    on = [_on(catalog, number) for number in range(len(resources))]
    somewhere = {place for places in on for place in places}
    loose = tuple(place for place in range(len(offers)) if place not in somewhere)
    frame = _json(replace(catalog, resources=UNSET, offers=()))
    provider = frame.pop("provider")
    del frame["offers"]
    written = [_json(offer) for offer in offers]

    def item(number: int | None, places: tuple[int, ...], own: dict[str, Any]) -> Item:
        beside = {"offers": [written[place] for place in places], "catalog": frame}
        return Item(number, places, {"provider": provider} | own | beside)

    listed = [item(number, on[number], _json(resource)) for number, resource in enumerate(resources)]
    return (*listed, item(None, loose, {})) if loose else tuple(listed)


def _json(value: Catalog | Resource | Offer | Provider) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(value))
    return document
