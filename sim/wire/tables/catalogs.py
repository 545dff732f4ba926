"""Items and offers (left), resources and offers (right), and the catalogues that list them."""

from __future__ import annotations

from typing import Any

from sim.wire.mapping import ABSENT, Each, Node, Pair, Same, Slot, left_is, record
from sim.wire.tables.parts import (
    CONSIDERATION,
    CORE_SLOT,
    DESCRIBED,
    PERIOD,
    PROVIDER,
    context_of,
    no_descriptor,
    seller,
)


def _above(node: Node, key: str) -> Node | None:
    """What the nearest object around ``node`` that has ``key`` holds there."""
    around, found = node.trip.root, None
    for step in node.path:
        around = Node(around.value[step], (*around.path, step), node.trip)
        found = around.at(key) or found
    return found


_PROVIDER_BACK = PROVIDER.flipped()


def _provider_id(node: Node) -> Any:
    provider = _above(node, "provider")
    return seller(node) if provider is None else provider.value["id"]


def _provider_of_catalog(node: Node) -> Any:
    provider = _above(node, "provider")
    if provider is None:
        return {"beckn:id": seller(node), "beckn:descriptor": no_descriptor(node)}
    if str(provider.path) not in node.trip.facts:
        node.trip.facts[str(provider.path)] = "said"
        provider.note("changed: every item that names none says it instead")
    return _PROVIDER_BACK.carry(provider)


def _resource_ids(node: Node) -> Any:
    resources = _above(node, "resources")
    return [] if resources is None else [resource["id"] for resource in resources.value]


def _named_there(node: Node) -> Any:
    return {"id": node.take(), "descriptor": {}}


def _named_back(node: Node) -> Any:
    node.trip.enter(node.path)
    if node.look("descriptor") == {}:
        node.trip.take((*node.path, "descriptor"))
    identity = node.at("id")
    return ABSENT if identity is None else identity.take()


OFFER = record(
    CORE_SLOT,
    left_is("@type", "beckn:Offer"),
    Slot("beckn:id", "id"),
    DESCRIBED,
    Slot("beckn:provider", "provider", Pair(_named_there, _named_back), left_needs=_provider_id),
    Slot("beckn:items", "resourceIds", Same(bool), left_needs=_resource_ids),
    Slot("beckn:addOnItems", "addOns", Each(record(Slot("", "id")))),
    Slot("beckn:isActive", "isActive"),
    Slot("beckn:validity", "validity", PERIOD),
    Slot("beckn:price", "considerations/id=price", CONSIDERATION),
    Slot("beckn:acceptedPaymentMethod", "acceptedPaymentMethods"),
    Slot("beckn:offerAttributes", "offerAttributes"),
)

ITEM = record(
    CORE_SLOT,
    left_is("@type", "beckn:Item"),
    Slot("beckn:id", "id"),
    DESCRIBED,
    Slot("beckn:provider", "provider", PROVIDER, left_needs=_provider_of_catalog),
    Slot("beckn:itemAttributes", "resourceAttributes"),
    Slot(
        "beckn:category",
        "category",
        record(
            left_is("@type", "schema:CategoryCode"),
            Slot("schema:codeValue", "codeValue"),
            Slot("schema:name", "name"),
            Slot("schema:description", "description"),
        ),
    ),
    Slot("beckn:availableAt", "availableAt"),
    Slot("beckn:availabilityWindow", "availabilityWindow"),
    Slot("beckn:networkId", "networkIds"),
    Slot("beckn:rateable", "rateable"),
    Slot(
        "beckn:rating",
        "rating",
        record(
            left_is("@type", "beckn:Rating"),
            Slot("beckn:ratingValue", "ratingValue"),
            Slot("beckn:ratingCount", "ratingCount"),
        ),
    ),
    Slot("beckn:isActive", "isActive"),
)


def _publisher_there(node: Node) -> Any:
    """A catalogue without a provider of its own is its publisher's."""
    provider = node.at("beckn:providerId")
    if provider is not None:
        return {"provider": {"id": provider.take(), "descriptor": {}}}
    return {"provider": {"id": node.look("beckn:bppId"), "descriptor": {"code": "BPP"}}}


def _publisher_back(node: Node) -> Any:
    stand_in = {"id": node.look("bppId"), "descriptor": {"code": "BPP"}}
    if node.look("provider") == stand_in:
        node.trip.take((*node.path, "provider"))
        return ABSENT
    provider = node.at("provider")
    return ABSENT if provider is None else {"beckn:providerId": _named_back(provider)}


CATALOG = record(
    CORE_SLOT,
    left_is("@type", "beckn:Catalog"),
    Slot("beckn:id", "id"),
    DESCRIBED,
    Slot("beckn:bppId", "bppId", left_needs=lambda node: context_of(node, "bppId")),
    Slot("beckn:bppUri", "bppUri", left_needs=lambda node: context_of(node, "bppUri")),
    Slot("", "", Pair(_publisher_there, _publisher_back)),
    Slot("beckn:validity", "validity", PERIOD),
    Slot("beckn:isActive", "isActive"),
    Slot("beckn:items", "resources", Each(ITEM), left_needs=lambda _: []),
    Slot("beckn:offers", "offers", Each(OFFER)),
)
