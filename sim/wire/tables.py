"""Which place of the release candidate's dialect (left) is which place of the canonical one (right).

Every table is read both ways.  What only one side knows is no slot here and becomes a note; what a side cannot do without is
derived, or stands in under the name ``unspecified`` and goes again on the way back.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final, get_args

from sim.wire.mapping import (
    ABSENT,
    Each,
    Node,
    Pair,
    Record,
    Same,
    Slot,
    Way,
    Words,
    left_is,
    record,
    right_is,
)
from sim.wire.messages import ALIASES
from sim.wire.rc import FulfillmentMode, Subject

UNSPECIFIED: Final = "unspecified"
"""Name of an offer, a resource or a unit that the canonical dialect asks for and the other does not name."""
CORE_CONTEXT: Final = (
    "https://raw.githubusercontent.com/beckn/protocol-specifications-new/refs/heads/main/schema/core/v2/context.jsonld"
)
"""JSON-LD context of the core objects where a message does not say."""

_NAMESPACE = bytes.fromhex("3756e15432115e07a4642166cafd260a")
_UUID = re.compile("[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_OFFSET_TIME = re.compile(r"\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
_IS_CORE = re.compile(r"https://\S+/schema/core/v\d+/context\.jsonld")

PATHS = Same(remark="carried as it is: its JSONPath still names the keys of the other dialect")


def name_uuid(name: str) -> str:
    """The UUID of a name that is none: version 5 (RFC 9562, 5.5) in this project's namespace, so the same one everywhere."""
    # SHA-1 is what the version prescribes; nothing is signed with it.
    octets = bytearray(hashlib.sha1(_NAMESPACE + name.encode(), usedforsecurity=False).digest()[:16])
    octets[6] = octets[6] & 0x0F | 0x50
    octets[8] = octets[8] & 0x3F | 0x80
    text = octets.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def is_uuid(value: Any) -> bool:
    """Whether an id can stay as it is."""
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


# --- JSON-LD ---------------------------------------------------------------------------------------------------------------


def is_core_context(value: Any) -> bool:
    """Whether this is the address of a JSON-LD context of core objects."""
    return isinstance(value, str) and _IS_CORE.fullmatch(value) is not None


def core_context(node: Node) -> str:
    """The JSON-LD context of the core objects in this message."""
    return str(node.trip.facts.get("core", CORE_CONTEXT))


def _context_there(node: Node) -> Any:
    core = node.trip.facts.setdefault("core", node.value)
    if node.take() != core:
        node.note(f"changed: comes back as {core}, which the message's first core object names")
    return ABSENT


def _context_back(node: Node) -> Any:
    node.trip.facts["core in use"] = True
    return core_context(node)


_CORE = Slot("@context", "", Pair(_context_there, _context_back))


def _bag(kind: str, *slots: Slot, needed: bool = True) -> Pair:
    """A core object that is a bag on the right.  needed: it stands there even if nothing is in it."""
    inward, outward = record(*slots), record(*slots).flipped()

    def there(node: Node) -> Any:
        content = inward.carry(node)
        return {"@context": core_context(node), "@type": kind, **content} if content or needed else ABSENT

    def back(node: Node) -> Any:
        return outward.carry(node) if _open_bag(node, kind) else ABSENT

    return Pair(there, back)


def _open_bag(node: Node, kind: str) -> bool:
    """Whether it is a bag of this kind; then what says so counts as read."""
    if node.look("@type") != kind:
        return False
    node.trip.take((*node.path, "@type"))
    context = node.at("@context")
    if context is not None and context.take() != core_context(node):
        context.note(f"changed: its JSON-LD context becomes {core_context(node)}")
    return True


# --- people, places, times, prices -----------------------------------------------------------------------------------------

DESCRIPTOR = record(
    left_is("@type", "beckn:Descriptor"),
    Slot("schema:name", "name"),
    Slot("beckn:shortDesc", "shortDesc"),
    Slot("beckn:longDesc", "longDesc"),
    Slot("schema:image", "mediaFile", Each(record(Slot("", "uri")))),
)


def _no_descriptor(_: Node) -> Any:
    return {"@type": "beckn:Descriptor"}


_DESCRIBED = Slot("beckn:descriptor", "descriptor", DESCRIPTOR, left_needs=_no_descriptor)

_LOCATION = record(
    left_is("@type", "beckn:Location"),
    Slot("geo", "geo"),
    Slot("address", "address", Same(lambda value: isinstance(value, dict))),
)
_PROVIDER = record(
    Slot("beckn:id", "id"),
    _DESCRIBED,
    Slot("beckn:locations", "availableAt", Each(_LOCATION)),
    Slot("beckn:providerAttributes", "providerAttributes"),
)
_PROVIDER_BACK = _PROVIDER.flipped()

_BUYER = record(
    _CORE,
    left_is("@type", "beckn:Buyer"),
    Slot("beckn:id", "id", left_needs=lambda node: _context_of(node, "bapId")),
    Slot("beckn:displayName", "descriptor/name"),
    Slot(
        "",
        "participantAttributes",
        _bag(
            "Buyer",
            Slot("beckn:role", "role"),
            Slot("beckn:telephone", "telephone"),
            Slot("beckn:email", "email"),
            Slot("beckn:taxID", "taxID"),
            Slot("beckn:buyerAttributes", "buyerAttributes"),
            needed=False,
        ),
    ),
)


def _has_offset(value: Any) -> bool:
    return isinstance(value, str) and _OFFSET_TIME.fullmatch(value) is not None


def _is_period(value: Any) -> bool:
    """Whether a period of the left says enough for the right, where times of day have an offset."""
    times = (value.get("schema:startTime"), value.get("schema:endTime"))
    return "schema:startDate" in value or "schema:endDate" in value or all(map(_has_offset, times))


_PERIOD = Record(
    (
        left_is("@type", "beckn:TimePeriod"),
        Slot("schema:startDate", "startDate"),
        Slot("schema:endDate", "endDate"),
        Slot("schema:startTime", "startTime", Same(_has_offset)),
        Slot("schema:endTime", "endTime", Same(_has_offset)),
    ),
    left_fits=_is_period,
)


def price_there(node: Node) -> Any:
    """A price as a bag."""
    body = dict(node.take())
    typed, prefixed = body.pop("@type", None) is not None, any(key.startswith("schema:") for key in body)
    if typed != prefixed:
        node.note(f"changed: comes back {'with' if prefixed else 'without'} it", "@type")
    return {"@context": core_context(node), "@type": "PriceSpecification", **body}


def _price_back(node: Node) -> Any:
    if not _open_bag(node, "PriceSpecification"):
        return ABSENT
    inside = {child.path[-1]: child for child in node.children()}
    body = {key: child.take() for key, child in inside.items() if key not in ("@context", "@type", "native")}
    # Who writes the older prefixed spelling types its prices, who writes the newer does not.
    typed = any(str(key).startswith("schema:") for key in body)
    return {"@type": "schema:PriceSpecification", **body} if typed else body


CONSIDERATION = record(
    Slot("", "considerationAttributes", Pair(price_there, _price_back)),
    right_is("status/code", "QUOTED"),
)

_QUANTITY = Record(
    (
        Slot("unitQuantity", "value"),
        Slot("unitCode", "unitCode", Same(lambda value: value in ("KWH", "KW"))),
        Slot("unitText", "unitText"),
    ),
    left_fits=lambda value: "unitQuantity" in value,
)
_QUANTITY_BACK = _QUANTITY.flipped()

# --- catalogues ------------------------------------------------------------------------------------------------------------


def _above(node: Node, key: str) -> Node | None:
    """What the nearest object around ``node`` that has ``key`` holds there."""
    around, found = node.trip.root, None
    for step in node.path:
        around = Node(around.value[step], (*around.path, step), node.trip)
        found = around.at(key) or found
    return found


def _context_of(node: Node, key: str) -> Any:
    return node.trip.root.look(f"context/{key}", UNSPECIFIED)


def _role(node: Node, role: str) -> Any:
    parties = node.trip.root.look("message/contract/participants", [])
    ids = (party.get("id") for party in parties if party.get("descriptor", {}).get("code") == role)
    return next(filter(None, ids), None)


def _seller(node: Node) -> Any:
    return _role(node, "SELLER") or _context_of(node, "bppId")


def _provider_id(node: Node) -> Any:
    provider = _above(node, "provider")
    return _seller(node) if provider is None else provider.value["id"]


def _provider_of_catalog(node: Node) -> Any:
    provider = _above(node, "provider")
    if provider is None:
        return {"beckn:id": _seller(node), "beckn:descriptor": _no_descriptor(node)}
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
    _CORE,
    left_is("@type", "beckn:Offer"),
    Slot("beckn:id", "id"),
    _DESCRIBED,
    Slot("beckn:provider", "provider", Pair(_named_there, _named_back), left_needs=_provider_id),
    Slot("beckn:items", "resourceIds", left_needs=_resource_ids),
    Slot("beckn:addOnItems", "addOns", Each(record(Slot("", "id")))),
    Slot("beckn:isActive", "isActive"),
    Slot("beckn:validity", "validity", _PERIOD),
    Slot("beckn:price", "considerations/id=price", CONSIDERATION),
    Slot("beckn:acceptedPaymentMethod", "acceptedPaymentMethods"),
    Slot("beckn:offerAttributes", "offerAttributes"),
)
_OFFER_BACK = OFFER.flipped()

ITEM = record(
    _CORE,
    left_is("@type", "beckn:Item"),
    Slot("beckn:id", "id"),
    _DESCRIBED,
    Slot("beckn:provider", "provider", _PROVIDER, left_needs=_provider_of_catalog),
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
    _CORE,
    left_is("@type", "beckn:Catalog"),
    Slot("beckn:id", "id"),
    _DESCRIBED,
    Slot("beckn:bppId", "bppId", left_needs=lambda node: _context_of(node, "bppId")),
    Slot("beckn:bppUri", "bppUri", left_needs=lambda node: _context_of(node, "bppUri")),
    Slot("", "", Pair(_publisher_there, _publisher_back)),
    Slot("beckn:validity", "validity", _PERIOD),
    Slot("beckn:isActive", "isActive"),
    Slot("beckn:items", "resources", Each(ITEM), left_needs=lambda _: []),
    Slot("beckn:offers", "offers", Each(OFFER)),
)

# --- orders ----------------------------------------------------------------------------------------------------------------

_CORE_STATE = {
    "CREATED": "DRAFT", "PENDING": "DRAFT",
    "CONFIRMED": "ACTIVE", "INPROGRESS": "ACTIVE", "PARTIALLYFULFILLED": "ACTIVE", "ONHOLD": "ACTIVE",
    "COMPLETED": "COMPLETE", "RETURNED": "COMPLETE", "REFUNDED": "COMPLETE",
    "CANCELLED": "CANCELLED", "REJECTED": "CANCELLED", "FAILED": "CANCELLED",
}  # fmt: skip
"""State of a contract by that of an order; the first of each is what a contract without a finer word becomes."""
_ORDER_STATE = {core: order for order, core in reversed(_CORE_STATE.items())}
_COMMITMENT_STATE = {"DRAFT": "DRAFT", "ACTIVE": "ACTIVE", "COMPLETE": "CLOSED", "CANCELLED": "CLOSED"}
_SETTLED = {
    "INITIATED": "DRAFT", "PENDING": "DRAFT",
    "AUTHORIZED": "COMMITTED", "CAPTURED": "COMMITTED", "ON_HOLD": "COMMITTED", "DISPUTED": "COMMITTED",
    "COMPLETED": "COMPLETE", "SETTLED": "COMPLETE", "ADJUSTED": "COMPLETE", "REFUNDED": "COMPLETE",
    "PARTIALLY_REFUNDED": "COMPLETE", "CHARGEBACK": "COMPLETE", "REVERSED": "COMPLETE",
    "FAILED": "DRAFT", "CANCELLED": "DRAFT", "EXPIRED": "DRAFT", "VOIDED": "DRAFT",
}  # fmt: skip
"""State of a settlement by that of a payment: nothing promised, promised, or money has moved."""
_PAYMENT_STATE = {settled: payment for payment, settled in reversed(_SETTLED.items())}


def state_of(order_status: str) -> str | None:
    """The state of a contract whose order says this; None for a word that is no order status."""
    return _CORE_STATE.get(order_status)


def settled(payment_status: str) -> str:
    """The state of a settlement whose payment says this."""
    return _SETTLED[payment_status]


def identity_there(node: Node) -> Any:
    """An order's id as a contract's: kept if it is a UUID, else one made from it, with the original beside."""
    original = node.take()
    if is_uuid(original):
        return {"id": original}
    node.note(f"changed: {original!r} is no UUID, became {name_uuid(original)}; descriptor.code keeps it")
    return {"id": name_uuid(original), "descriptor": {"code": original}}


def _identity_back(node: Node) -> Any:
    identity, original = node.at("id"), node.at("descriptor/code")
    if identity is None:
        return ABSENT
    if original is not None and name_uuid(original.value) == identity.value:
        identity.take()
        return {"beckn:id": original.take()}
    return {"beckn:id": identity.take()}


_IDENTITY = (
    Slot("beckn:id", "", Pair(identity_there, lambda _: ABSENT)),
    Slot("", "", Pair(lambda _: ABSENT, _identity_back)),
)


def _state_there(node: Node) -> Any:
    core = _CORE_STATE[node.take()]
    node.trip.facts["commitment"] = _COMMITMENT_STATE[core]
    return {"code": core, "name": node.value}


def _state_back(node: Node) -> Any:
    node.trip.enter(node.path)
    code, name = node.at("code"), node.at("name")
    if code is None:
        return ABSENT
    node.trip.facts["commitment"] = _COMMITMENT_STATE[code.take()]
    if name is not None and _CORE_STATE.get(name.value) == code.value:
        return name.take()
    return _ORDER_STATE[code.value]


def _line_state_there(node: Node) -> Any:
    code = node.trip.facts.get("commitment")
    return {"status": {"descriptor": {"code": code}} if code else {}}


def _line_state_back(node: Node) -> Any:
    """It follows from the contract's; what does not follow stays unread."""
    status = node.at("status")
    if status is not None:
        node.trip.enter(status.path)
        code = status.at("descriptor/code")
        if code is not None and code.value == node.trip.facts.get("commitment", "DRAFT"):
            code.take()
    return ABSENT


def _offer_there(node: Node) -> Any:
    offer = node.at("beckn:acceptedOffer")
    if offer is not None:
        return {"offer": OFFER.carry(offer)}
    return {"offer": {"id": UNSPECIFIED, "resourceIds": [node.look("beckn:orderedItem")]}}


def _offer_back(node: Node) -> Any:
    offer = node.at("offer")
    if offer is None or offer.look("id") != UNSPECIFIED:
        return ABSENT if offer is None else {"beckn:acceptedOffer": _OFFER_BACK.carry(offer)}
    for key in ("id", "resourceIds"):
        node.trip.take((*offer.path, key))
    return ABSENT


def _quantity_there(node: Node) -> Any:
    quantity = node.at("beckn:quantity")
    carried = ABSENT if quantity is None else _QUANTITY.carry(quantity)
    # The canonical dialect asks how much: one, of whatever it is counted in.
    return {"value": 1.0, "unitText": UNSPECIFIED} if carried is ABSENT else carried


def _quantity_back(node: Node) -> Any:
    if node.look("unitText") == UNSPECIFIED:
        node.take()
        return ABSENT
    return {"beckn:quantity": _QUANTITY_BACK.carry(node)}


_LINE = record(
    Slot("beckn:lineId", "id"),
    Slot("beckn:orderedItem", "resources/0/id"),
    Slot("", "resources/0/quantity", Pair(_quantity_there, _quantity_back)),
    Slot("", "", Pair(_offer_there, _offer_back)),
    Slot("beckn:price", "offer/considerations/id=line", CONSIDERATION),
    Slot("beckn:orderItemAttributes", "commitmentAttributes"),
    Slot("", "", Pair(_line_state_there, _line_state_back)),
)


def _mode(_: Node) -> Any:
    return "DELIVERY"


_MODES = Words({mode: mode for mode in get_args(FulfillmentMode)})
_FULFILLMENT = record(
    _CORE,
    left_is("@type", "beckn:Fulfillment"),
    Slot("beckn:id", "id"),
    Slot("beckn:fulfillmentStatus", "status/code"),
    Slot("beckn:mode", "status/name", _MODES, left_needs=_mode),
    Slot("beckn:deliveryAttributes", "performanceAttributes"),
    Slot(
        "trackingAction",
        "status/docs/0",
        record(
            left_is("@type", "beckn:TrackAction"),
            left_is("target/@type", "schema:EntryPoint"),
            Slot("target/url", "url"),
            right_is("label", "tracking"),
            right_is("mimeType", "text/html"),
        ),
    ),
)

_PAYMENT_BAG = _bag(
    "Payment",
    Slot("beckn:paymentStatus", "paymentStatus"),
    Slot("beckn:amount", "amount"),
    Slot("beckn:paymentURL", "paymentURL"),
    Slot("beckn:txnRef", "txnRef"),
    Slot("beckn:paidAt", "paidAt"),
    Slot("beckn:acceptedPaymentMethod", "acceptedPaymentMethod"),
    Slot("beckn:beneficiary", "beneficiary"),
    Slot("beckn:paymentAttributes", "paymentAttributes"),
)


def _settlement_there(node: Node) -> Any:
    """A payment, or a settlement cycle that travels in one."""
    state = _SETTLED[node.look("beckn:paymentStatus")]
    cycle = node.at("beckn:paymentAttributes")
    if cycle is None or cycle.look("@type") != "EnergySettlement":
        return {"status": state, "settlementAttributes": _PAYMENT_BAG.carry(node)}
    if node.look("beckn:paymentStatus") == _PAYMENT_STATE[state]:
        node.trip.take((*node.path, "beckn:paymentStatus"))
    return {"status": state, "settlementAttributes": cycle.take()}


def _settlement_back(node: Node) -> Any:
    bag, status = node.at("settlementAttributes"), node.at("status")
    carried: Any = ABSENT if bag is None else _PAYMENT_BAG.back(bag)
    if carried is ABSENT:
        state = "DRAFT" if status is None else status.take()
        cycle = {} if bag is None else {"beckn:paymentAttributes": bag.take()}
        return {"beckn:paymentStatus": _PAYMENT_STATE[state], **cycle}
    if status is not None and status.value == _SETTLED[carried["beckn:paymentStatus"]]:
        status.take()
    return carried


_PAYMENT = record(
    _CORE,
    left_is("@type", "beckn:Payment"),
    Slot("beckn:id", "id"),
    Slot("", "", Pair(_settlement_there, _settlement_back)),
)


def _caller(node: Node) -> Any:
    identity = _context_of(node, "bapId")
    return {"@context": _context_back(node), "@type": "beckn:Buyer", "beckn:id": identity}


_ORDER = record(
    _CORE,
    left_is("@type", "beckn:Order"),
    *_IDENTITY,
    Slot("beckn:orderStatus", "status", Pair(_state_there, _state_back), left_needs=lambda _: "CREATED"),
    Slot("beckn:orderNumber", "descriptor/name"),
    Slot("beckn:seller", "participants/descriptor.code=SELLER/id", left_needs=_seller),
    Slot("beckn:buyer", "participants/descriptor.code=BUYER", _BUYER, left_needs=_caller),
    Slot("beckn:orderItems", "commitments", Each(_LINE)),
    Slot("beckn:orderValue", "consideration/id=total", CONSIDERATION),
    Slot("beckn:payment", "settlements/0", _PAYMENT),
    Slot("beckn:fulfillment", "performance/0", _FULFILLMENT),
    Slot("beckn:orderAttributes", "contractAttributes"),
)
_ORDER_BACK = _ORDER.flipped()


def _stub() -> Any:
    """The commitment of a contract that is only named: the canonical dialect asks for one everywhere."""
    quantity = {"value": 1.0, "unitText": UNSPECIFIED}
    resource, offer = {"id": UNSPECIFIED, "quantity": quantity}, {"id": UNSPECIFIED, "resourceIds": [UNSPECIFIED]}
    return {"commitments": [{"status": {}, "resources": [resource], "offer": offer}]}


def _lines_or_stub(node: Node) -> Any:
    return ABSENT if node.at("beckn:orderItems") is not None else _stub()


def _no_stub(node: Node) -> Any:
    if node.look("commitments") == _stub()["commitments"]:
        node.trip.take((*node.path, "commitments"))
    return ABSENT


_NAMED = record(*_IDENTITY, Slot("", "", Pair(_lines_or_stub, _no_stub)))
_NAMED_BACK = _NAMED.flipped()
_LINES = Slot("beckn:orderItems", "commitments", Each(_LINE))


def _reference_there(node: Node) -> Any:
    if node.at("@type") is not None:
        return _ORDER.carry(node)
    return _LINES.carry(node, _NAMED.carry(node))


def _reference_back(node: Node) -> Any:
    """Only a contract that says how it stands, or whose it is, makes a whole order."""
    if node.at("status") is not None or node.at("participants") is not None:
        return _ORDER_BACK.carry(node)
    node.trip.facts["commitment"] = None
    named = _NAMED_BACK.carry(node)
    if node.trip.root.look("context/action") != "cancel" or node.look("commitments") == _stub()["commitments"]:
        return named
    return _LINES.flipped().carry(node, named)


ORDER = record(Slot("order", "contract", _ORDER))
REFERENCE = record(Slot("order", "contract", Pair(_reference_there, _reference_back)))

# --- the other messages ----------------------------------------------------------------------------------------------------

CATALOGS = record(Slot("catalogs", "catalogs", Each(CATALOG)))

_OPERATORS = ("within", "contains", "intersects", "disjoint", "overlaps", "crosses", "touches", "equals", "dwithin")
_CONSTRAINT = record(
    Slot("op", "op", Words({f"s_{name}": f"S_{name.upper()}" for name in _OPERATORS})),
    Slot("targets", "targets", PATHS),
    Slot("geometry", "geometry"),
    Slot("distanceMeters", "distanceMeters"),
    Slot("quantifier", "quantifier", Words({word: word.upper() for word in ("any", "all", "none")})),
    Slot("srid", "srid"),
)
DISCOVER = record(
    Slot("text_search", "intent/textSearch"),
    Slot(
        "filters",
        "intent/filters",
        record(Slot("type", "type"), Slot("expression", "expression", PATHS)),
    ),
    Slot("spatial", "intent/spatial", Each(_CONSTRAINT)),
    Slot("media_search", "intent/mediaSearch"),
)

_SUPPORT_INFO = record(
    _CORE,
    left_is("@type", "beckn:SupportInfo"),
    Slot(
        "", "", _bag("SupportInfo", *(Slot(key, key) for key in ("name", "phone", "email", "url", "hours", "channels")))
    ),
)
_SUBJECTS = Words({subject: subject for subject in get_args(Subject)})
SUPPORT = record(
    Slot("refId", "support/orderId"),
    Slot("refType", "support/descriptor/code", _SUBJECTS),
    Slot("support", "support/channels/0", _SUPPORT_INFO),
)
SUPPORTED = record(Slot("support", "support/channels/0", _SUPPORT_INFO))


def _tracked_there(node: Node) -> Any:
    return identity_there(node) | _stub()


def _tracked_back(node: Node) -> Any:
    _no_stub(node)
    return _identity_back(node).get("beckn:id", ABSENT)


TRACK = record(
    Slot("tracking/id", "tracking/contract", Pair(_tracked_there, _tracked_back)),
    Slot("tracking/callbackUrl", "tracking/url", right_needs=lambda node: node.trip.root.look("context/bap_uri")),
    right_is("tracking/status", "ACTIVE"),
)
TRACKED = record(
    Slot(
        "tracking",
        "tracking",
        record(
            _CORE,
            left_is("@type", "beckn:Tracking"),
            Slot("tl_method", "method", left_needs=lambda _: "http/get"),
            Slot("url", "url"),
            Slot(
                "trackingStatus",
                "status",
                Words({"ACTIVE": "ACTIVE", "DISABLED": "INACTIVE"}, {"COMPLETED": "INACTIVE"}),
            ),
            Slot("expires_at", "expiresAt"),
        ),
    ),
)

_RATING = record(
    _CORE,
    left_is("@type", "beckn:RatingInput"),
    Slot("id", "target/id"),
    Slot("category", "target/descriptor/code", _SUBJECTS),
    Slot("ratingValue", "range/value"),
    Slot("bestRating", "range/best"),
    Slot("worstRating", "range/worst"),
    Slot("feedback/comments", "feedbackFormSubmission/data/comments"),
)
RATE = record(Slot("ratings", "ratingInputs", Each(_RATING)))


def _nothing_rated(_: Node) -> Any:
    return {"ratings": []}


def _ratings_known(node: Node) -> Any:
    node.trip.enter((*node.path, "ratings"))
    return ABSENT


def _target_known(node: Node) -> Any:
    for key in ("target", "range"):
        node.trip.enter((*node.path, key))
    return ABSENT


RATED = record(
    left_is("received", True),
    Slot("", "", Pair(_nothing_rated, _ratings_known)),
    Slot(
        "aggregate",
        "ratings/0",
        record(
            Slot("", "", Pair(lambda _: {"target": {}, "range": {}}, _target_known)),
            Slot("value", "range/value"),
            Slot("best", "range/best"),
            Slot("worst", "range/worst"),
        ),
    ),
)


def _rest_of_details(node: Node) -> Any:
    node.trip.enter(node.path)
    rest = {child.path[-1]: child.take() for child in node.children() if child.path[-1] != "path"}
    return rest if rest or not node.value else ABSENT


ERROR = record(
    Slot("code", "errorCode"),
    Slot("message", "errorMessage"),
    Slot("details", "details", Pair(_rest_of_details, lambda node: node.take())),
    Slot("details/path", "path", Same(lambda value: isinstance(value, str), PATHS.remark)),
)

PUBLISHED = record(
    Slot(
        "results",
        "results",
        Each(
            record(
                Slot("catalog_id", "catalogId"),
                Slot("status", "status"),
                Slot("item_count", "stats/itemCount"),
                Slot("error", "errors/0", ERROR),
            )
        ),
    )
)

# --- whole messages --------------------------------------------------------------------------------------------------------


def _uuid_there(node: Node) -> Any:
    name = node.take()
    if is_uuid(name):
        return name
    node.note(f"changed: {name!r} is no UUID, became {name_uuid(name)}")
    return name_uuid(name)


_ID = Pair(_uuid_there, lambda node: node.take())


def _network_there(node: Node) -> Any:
    node.trip.enter(node.path)
    first = node.at("0")
    return ABSENT if first is None else first.take()


def _schemas_there(node: Node) -> Any:
    """The core objects' own context goes first, if there are any."""
    own, core = node.at("schema_context"), node.trip.facts.get("core")
    rest = [] if own is None else own.take()
    return {"schemaContext": [core, *rest]} if core else ABSENT if own is None else {"schemaContext": rest}


def _schemas_back(node: Node) -> Any:
    own = node.at("schemaContext")
    rest = [] if own is None else own.take()
    if node.trip.facts.get("core in use"):
        if rest and rest[0] == core_context(node):
            rest = rest[1:]
        else:
            node.note(f"added: the core objects name {core_context(node)}", "schemaContext")
    return {"schema_context": rest} if rest else ABSENT


RENAMED = {
    "rating": "rate",
    "on_rating": "on_rate",
    "catalog_publish": "catalog/publish",
    "on_catalog_publish": "catalog/on_publish",
}
"""Actions that are called otherwise; the others have one name."""
_PLAIN = {canonical: action for action, canonical in RENAMED.items()}


def plain_action(action: str) -> str:
    """Name of a canonical action in the other dialect."""
    return _PLAIN.get(ALIASES.get(action, action), action)


CONTEXT = record(
    Slot("version", "version"),
    Slot(
        "action",
        "action",
        Pair(lambda node: RENAMED.get(node.take(), node.value), lambda node: plain_action(node.take())),
    ),
    Slot("bap_id", "bapId"),
    Slot("bap_uri", "bapUri"),
    Slot("bpp_id", "bppId"),
    Slot("bpp_uri", "bppUri"),
    Slot("transaction_id", "transactionId", _ID),
    Slot("message_id", "messageId", _ID),
    Slot("timestamp", "timestamp"),
    Slot("ttl", "ttl"),
    Slot("domain", "domain"),
    Slot("location", "location"),
    Slot("network_id", "networkId", Pair(_network_there, lambda node: [node.take()])),
    Slot("key", "key"),
    Slot("", "", Pair(_schemas_there, _schemas_back)),
)

BODIES: dict[str, Way] = {
    "discover": DISCOVER,
    "on_discover": CATALOGS,
    **dict.fromkeys(("select", "init", "confirm", "update"), ORDER),
    **dict.fromkeys(("on_select", "on_init", "on_confirm", "on_status", "on_update", "on_cancel"), ORDER),
    "status": REFERENCE,
    "cancel": REFERENCE,
    "track": TRACK,
    "on_track": TRACKED,
    "rating": RATE,
    "on_rating": RATED,
    "support": SUPPORT,
    "on_support": SUPPORTED,
    "catalog_publish": CATALOGS,
    "on_catalog_publish": PUBLISHED,
}
"""How the body of each action goes over, by its name on the left."""


def whole(action: str) -> Record:
    """How a whole message of an action goes over.  Raises ``KeyError`` for an action that only one side knows."""
    # The context goes last: it says what the core objects of the body were found to name.
    return record(
        Slot("message", "message", BODIES[action]), Slot("error", "error", ERROR), Slot("context", "context", CONTEXT)
    )
