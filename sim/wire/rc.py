"""The release candidate's dialect of Beckn v2: ``message.order``, prefixed keys, a snake_case context.

Our own closed types of it, read and written only where somebody else speaks it; ``dialects`` converts from and to the canonical
dialect.  The bags (``…Attributes``) are those of ``sim.wire.bags``: JSON-LD describes itself and passes as it is.  Ids need not
be UUIDs here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from sim.wire.bags import (
    Beneficiary,
    CommitmentBag,
    ContractBag,
    EnergyCustomer,
    EnergySettlement,
    GeoJSONGeometry,
    LdTimePeriod,
    Location,
    Money,
    OfferBag,
    PaymentMethod,
    PaymentSettlement,
    PaymentStatus,
    PerformanceBag,
    PriceBody,
    ProviderBag,
    ResourceBag,
    UnitQuantity,
)
from sim.wire.bags.people import SupportChannel
from sim.wire.basics import (
    Breach,
    Count,
    Email,
    Identifier,
    LdContext,
    NonNegative,
    Region,
    Text,
    Timestamp,
    Ttl,
    Uri,
    Wire,
)
from sim.wire.check import decoder_of, envelope, faults_of, refusal, schema_of
from sim.wire.codes import Code, Refusal
from sim.wire.core import Filters, MediaSearch
from sim.wire.explain import Complaint

OrderStatus = Literal[
    "CREATED", "PENDING", "CONFIRMED", "INPROGRESS", "PARTIALLYFULFILLED", "COMPLETED", "CANCELLED", "REJECTED", "FAILED",
    "RETURNED", "REFUNDED", "ONHOLD",
]  # fmt: skip
FulfillmentMode = Literal["DELIVERY", "PICKUP", "RESERVATION", "DIGITAL"]
Subject = Literal["ORDER", "FULFILLMENT", "ITEM", "PROVIDER", "AGENT", "OTHER"]


class Context(Wire, frozen=True, kw_only=True):
    """Who says what to whom, when, and for how long it holds."""

    version: Literal["2.0.0"]
    action: Identifier
    bap_id: Identifier
    bap_uri: Uri
    bpp_id: Identifier
    bpp_uri: Uri
    transaction_id: Identifier
    message_id: Identifier
    timestamp: Timestamp
    ttl: Ttl
    domain: Identifier | UnsetType = UNSET
    location: Region | UnsetType = UNSET
    network_id: tuple[Identifier, ...] | UnsetType = UNSET
    schema_context: tuple[Uri, ...] | UnsetType = UNSET
    key: Identifier | UnsetType = UNSET


class OpenContext(Context, frozen=True, kw_only=True):
    """The context of an action that may be addressed to nobody in particular."""

    bpp_id: Identifier | UnsetType = UNSET  # type: ignore[assignment]
    bpp_uri: Uri | UnsetType = UNSET  # type: ignore[assignment]


class Core(Wire, frozen=True, kw_only=True):
    """Base of the core objects that name their JSON-LD context."""

    ld: LdContext = field(name="@context")


class Descriptor(Wire, frozen=True, kw_only=True):
    """Human-readable text."""

    kind: Literal["beckn:Descriptor"] = field(name="@type")
    name: Text | UnsetType = field(name="schema:name", default=UNSET)
    shortDesc: Text | UnsetType = field(name="beckn:shortDesc", default=UNSET)
    longDesc: Text | UnsetType = field(name="beckn:longDesc", default=UNSET)
    image: tuple[Uri, ...] | UnsetType = field(name="schema:image", default=UNSET)


class Category(Wire, frozen=True, kw_only=True):
    """What kind of thing an item is."""

    kind: Literal["schema:CategoryCode"] = field(name="@type")
    codeValue: Identifier = field(name="schema:codeValue")
    name: Text | UnsetType = field(name="schema:name", default=UNSET)
    description: Text | UnsetType = field(name="schema:description", default=UNSET)


class Rating(Wire, frozen=True, kw_only=True):
    """What others thought of it: mean of 0 to 5, and how many."""

    kind: Literal["beckn:Rating"] = field(name="@type")
    ratingValue: Annotated[float, Meta(ge=0, le=5)] | UnsetType = field(name="beckn:ratingValue", default=UNSET)
    ratingCount: Count | UnsetType = field(name="beckn:ratingCount", default=UNSET)


class Price(PriceBody, frozen=True, kw_only=True):
    """A price with its parts."""

    kind: Literal["schema:PriceSpecification"] | UnsetType = field(name="@type", default=UNSET)


class Provider(Wire, frozen=True, kw_only=True):
    """Who provides an item."""

    id: Identifier = field(name="beckn:id")
    descriptor: Descriptor = field(name="beckn:descriptor")
    validity: LdTimePeriod | UnsetType = field(name="beckn:validity", default=UNSET)
    locations: tuple[Location, ...] | UnsetType = field(name="beckn:locations", default=UNSET)
    rateable: bool | UnsetType = field(name="beckn:rateable", default=UNSET)
    rating: Rating | UnsetType = field(name="beckn:rating", default=UNSET)
    providerAttributes: ProviderBag | UnsetType = field(name="beckn:providerAttributes", default=UNSET)


class Item(Core, frozen=True, kw_only=True):
    """Something that is listed."""

    kind: Literal["beckn:Item"] = field(name="@type")
    id: Identifier = field(name="beckn:id")
    descriptor: Descriptor = field(name="beckn:descriptor")
    provider: Provider = field(name="beckn:provider")
    itemAttributes: ResourceBag = field(name="beckn:itemAttributes")
    category: Category | UnsetType = field(name="beckn:category", default=UNSET)
    availableAt: tuple[Location, ...] | UnsetType = field(name="beckn:availableAt", default=UNSET)
    availabilityWindow: tuple[LdTimePeriod, ...] | UnsetType = field(name="beckn:availabilityWindow", default=UNSET)
    rateable: bool | UnsetType = field(name="beckn:rateable", default=UNSET)
    rating: Rating | UnsetType = field(name="beckn:rating", default=UNSET)
    isActive: bool | UnsetType = field(name="beckn:isActive", default=UNSET)
    networkId: tuple[Identifier, ...] | UnsetType = field(name="beckn:networkId", default=UNSET)


class Offer(Core, frozen=True, kw_only=True):
    """An offer on items; provider and items by their ids."""

    kind: Literal["beckn:Offer"] = field(name="@type")
    id: Identifier = field(name="beckn:id")
    descriptor: Descriptor = field(name="beckn:descriptor")
    provider: Identifier = field(name="beckn:provider")
    items: Annotated[tuple[Identifier, ...], Meta(min_length=1)] = field(name="beckn:items")
    addOns: tuple[Identifier, ...] | UnsetType = field(name="beckn:addOns", default=UNSET)
    addOnItems: tuple[Identifier, ...] | UnsetType = field(name="beckn:addOnItems", default=UNSET)
    isActive: bool | UnsetType = field(name="beckn:isActive", default=UNSET)
    validity: LdTimePeriod | UnsetType = field(name="beckn:validity", default=UNSET)
    price: Price | UnsetType = field(name="beckn:price", default=UNSET)
    eligibleRegion: tuple[Location, ...] | UnsetType = field(name="beckn:eligibleRegion", default=UNSET)
    acceptedPaymentMethod: tuple[PaymentMethod, ...] | UnsetType = field(
        name="beckn:acceptedPaymentMethod", default=UNSET
    )
    offerAttributes: OfferBag | UnsetType = field(name="beckn:offerAttributes", default=UNSET)


class Catalog(Core, frozen=True, kw_only=True):
    """A provider's items and offers."""

    kind: Literal["beckn:Catalog"] = field(name="@type")
    id: Identifier = field(name="beckn:id")
    descriptor: Descriptor = field(name="beckn:descriptor")
    bppId: Identifier = field(name="beckn:bppId")
    bppUri: Uri = field(name="beckn:bppUri")
    items: tuple[Item, ...] = field(name="beckn:items")
    providerId: Identifier | UnsetType = field(name="beckn:providerId", default=UNSET)
    validity: LdTimePeriod | UnsetType = field(name="beckn:validity", default=UNSET)
    isActive: bool | UnsetType = field(name="beckn:isActive", default=UNSET)
    offers: tuple[Offer, ...] | UnsetType = field(name="beckn:offers", default=UNSET)


class Buyer(Core, frozen=True, kw_only=True):
    """Who buys."""

    kind: Literal["beckn:Buyer"] = field(name="@type")
    id: Identifier = field(name="beckn:id")
    role: Literal["BUYER", "SELLER", "INTERMEDIARY", "PAYER", "PAYEE", "FULFILLER"] | UnsetType = field(
        name="beckn:role", default=UNSET
    )
    displayName: Text | UnsetType = field(name="beckn:displayName", default=UNSET)
    telephone: Identifier | UnsetType = field(name="beckn:telephone", default=UNSET)
    email: Email | UnsetType = field(name="beckn:email", default=UNSET)
    taxID: Identifier | UnsetType = field(name="beckn:taxID", default=UNSET)
    buyerAttributes: EnergyCustomer | UnsetType = field(name="beckn:buyerAttributes", default=UNSET)


class EntryPoint(Wire, frozen=True, kw_only=True):
    """Where something can be reached."""

    kind: Literal["schema:EntryPoint"] | UnsetType = field(name="@type", default=UNSET)
    url: Uri


class TrackAction(Wire, frozen=True, kw_only=True):
    """Where a fulfilment can be followed."""

    kind: Literal["beckn:TrackAction"] | UnsetType = field(name="@type", default=UNSET)
    target: EntryPoint | UnsetType = UNSET
    deliveryMethod: FulfillmentMode | UnsetType = UNSET
    reservationId: Identifier | UnsetType = UNSET


class Fulfillment(Core, frozen=True, kw_only=True):
    """How an order is being carried out."""

    kind: Literal["beckn:Fulfillment"] = field(name="@type")
    mode: FulfillmentMode = field(name="beckn:mode")
    id: Identifier | UnsetType = field(name="beckn:id", default=UNSET)
    fulfillmentStatus: Identifier | UnsetType = field(name="beckn:fulfillmentStatus", default=UNSET)
    trackingAction: TrackAction | UnsetType = UNSET
    deliveryAttributes: PerformanceBag | UnsetType = field(name="beckn:deliveryAttributes", default=UNSET)


class Payment(Core, frozen=True, kw_only=True):
    """How an order is being paid."""

    kind: Literal["beckn:Payment"] = field(name="@type")
    paymentStatus: PaymentStatus = field(name="beckn:paymentStatus")
    id: Identifier | UnsetType = field(name="beckn:id", default=UNSET)
    amount: Money | UnsetType = field(name="beckn:amount", default=UNSET)
    paymentURL: Uri | UnsetType = field(name="beckn:paymentURL", default=UNSET)
    txnRef: Identifier | UnsetType = field(name="beckn:txnRef", default=UNSET)
    paidAt: Timestamp | UnsetType | None = field(name="beckn:paidAt", default=UNSET)
    acceptedPaymentMethod: tuple[PaymentMethod, ...] | UnsetType = field(
        name="beckn:acceptedPaymentMethod", default=UNSET
    )
    beneficiary: Beneficiary | UnsetType = field(name="beckn:beneficiary", default=UNSET)
    paymentAttributes: PaymentSettlement | EnergySettlement | UnsetType = field(
        name="beckn:paymentAttributes", default=UNSET
    )


class OrderItem(Wire, frozen=True, kw_only=True):
    """One line of an order."""

    orderedItem: Identifier = field(name="beckn:orderedItem")
    lineId: Identifier | UnsetType = field(name="beckn:lineId", default=UNSET)
    acceptedOffer: Offer | UnsetType = field(name="beckn:acceptedOffer", default=UNSET)
    quantity: UnitQuantity | UnsetType = field(name="beckn:quantity", default=UNSET)
    price: Price | UnsetType = field(name="beckn:price", default=UNSET)
    orderItemAttributes: CommitmentBag | UnsetType = field(name="beckn:orderItemAttributes", default=UNSET)


class OrderExtras(Wire, frozen=True, kw_only=True):
    """What any order may say besides."""

    id: Identifier | UnsetType = field(name="beckn:id", default=UNSET)
    orderNumber: Identifier | UnsetType = field(name="beckn:orderNumber", default=UNSET)
    acceptedOffers: tuple[Offer, ...] | UnsetType = field(name="beckn:acceptedOffers", default=UNSET)
    orderValue: Price | UnsetType = field(name="beckn:orderValue", default=UNSET)
    invoice: Identifier | UnsetType = field(name="beckn:invoice", default=UNSET)
    payment: Payment | UnsetType = field(name="beckn:payment", default=UNSET)
    fulfillment: Fulfillment | UnsetType = field(name="beckn:fulfillment", default=UNSET)
    orderAttributes: ContractBag | UnsetType = field(name="beckn:orderAttributes", default=UNSET)


class Order(OrderExtras, frozen=True, kw_only=True):
    """The transaction object of this dialect: one seller, one buyer."""

    ld: LdContext = field(name="@context")
    kind: Literal["beckn:Order"] = field(name="@type")
    orderStatus: OrderStatus = field(name="beckn:orderStatus")
    seller: Identifier = field(name="beckn:seller")
    buyer: Buyer = field(name="beckn:buyer")
    orderItems: Annotated[tuple[OrderItem, ...], Meta(min_length=1)] = field(name="beckn:orderItems")


class KnownOrder(Order, frozen=True, kw_only=True):
    """An order that exists: its id is required."""

    id: Identifier = field(name="beckn:id")


class OrderReference(OrderExtras, frozen=True, kw_only=True):
    """An order that is asked about: whole, or by its id alone (and the lines that are meant, where it is cancelled)."""

    id: Identifier = field(name="beckn:id")
    ld: LdContext | UnsetType = field(name="@context", default=UNSET)
    kind: Literal["beckn:Order"] | UnsetType = field(name="@type", default=UNSET)
    orderStatus: OrderStatus | UnsetType = field(name="beckn:orderStatus", default=UNSET)
    seller: Identifier | UnsetType = field(name="beckn:seller", default=UNSET)
    buyer: Buyer | UnsetType = field(name="beckn:buyer", default=UNSET)
    orderItems: Annotated[tuple[OrderItem, ...], Meta(min_length=1)] | UnsetType = field(
        name="beckn:orderItems", default=UNSET
    )

    def __post_init__(self) -> None:
        given = {name for name in self.__struct_fields__ if getattr(self, name) is not UNSET}
        whole = {"ld", "kind", "orderStatus", "seller", "buyer", "orderItems"}
        if not (given <= {"id", "orderItems"} or whole <= given):
            missing = ", ".join(sorted(_wire_name(self, name) for name in whole - given))
            raise Breach("a whole order, or beckn:id alone (beckn:orderItems beside it)", f"one without {missing}")


def _wire_name(order: OrderReference, name: str) -> str:
    return dict(zip(order.__struct_fields__, order.__struct_encode_fields__, strict=True))[name]


class SpatialConstraint(Wire, frozen=True, kw_only=True):
    """A condition on where items are (OGC CQL2); distances in metres."""

    op: Literal[
        "s_within", "s_contains", "s_intersects", "s_disjoint", "s_overlaps", "s_crosses", "s_touches", "s_equals",
        "s_dwithin",
    ]  # fmt: skip
    targets: Text | tuple[Text, ...]
    geometry: GeoJSONGeometry | UnsetType = UNSET
    distanceMeters: NonNegative | UnsetType = UNSET
    quantifier: Literal["any", "all", "none"] | UnsetType = UNSET
    srid: Identifier | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.op == "s_dwithin" and self.distanceMeters is UNSET:
            raise Breach("distanceMeters of s_dwithin")


class SupportInfo(Core, frozen=True, kw_only=True):
    """Where help is to be had."""

    kind: Literal["beckn:SupportInfo"] = field(name="@type")
    name: Text | UnsetType = UNSET
    phone: Identifier | UnsetType = UNSET
    email: Email | UnsetType = UNSET
    url: Uri | UnsetType = UNSET
    hours: Text | UnsetType = UNSET
    channels: tuple[SupportChannel, ...] | UnsetType = UNSET


class TrackRequest(Wire, frozen=True, kw_only=True):
    """What is to be followed, and where the answer may be heard."""

    id: Identifier
    callbackUrl: Uri | UnsetType = UNSET
    mode_hint: Literal["link_only", "deep_link", "webhook", "ws_handle"] | UnsetType = UNSET


class Tracking(Core, frozen=True, kw_only=True):
    """A handle by which something is followed."""

    kind: Literal["beckn:Tracking"] = field(name="@type")
    tl_method: Literal["http/get", "http/post", "http/redirect", "ws/handle", "custom"]
    url: Uri
    trackingStatus: Literal["ACTIVE", "DISABLED", "COMPLETED"]
    expires_at: Timestamp | UnsetType = UNSET


class Feedback(Wire, frozen=True, kw_only=True):
    """What a rating says in words."""

    comments: Text | UnsetType = UNSET
    tags: tuple[Text, ...] | UnsetType = UNSET


class RatingInput(Core, frozen=True, kw_only=True):
    """A rating of something."""

    kind: Literal["beckn:RatingInput"] = field(name="@type")
    id: Identifier
    ratingValue: NonNegative
    bestRating: float | UnsetType = UNSET
    worstRating: float | UnsetType = UNSET
    category: Subject | UnsetType = UNSET
    feedback: Feedback | UnsetType = UNSET


class RatingAggregate(Wire, frozen=True, kw_only=True):
    """What the ratings so far come to."""

    count: Count | UnsetType = UNSET
    value: NonNegative | UnsetType = UNSET
    best: NonNegative | UnsetType = UNSET
    worst: NonNegative | UnsetType = UNSET


class Form(Core, frozen=True, kw_only=True):
    """A form to be filled in, or one that was."""

    kind: Literal["beckn:Form"] = field(name="@type")
    url: Uri | UnsetType = UNSET
    data: dict[str, str] | UnsetType = UNSET
    mime_type: Literal["text/html", "application/xml"] | UnsetType = UNSET
    submission_id: Identifier | UnsetType = UNSET


class ErrorBody(Wire, frozen=True, kw_only=True):
    """Why something was refused."""

    code: Identifier
    message: Text
    details: dict[str, Any] | UnsetType = UNSET


class Notice(Wire, frozen=True, kw_only=True):
    """Something that was noticed while a catalogue was taken in."""

    code: Identifier
    message: Text
    details: dict[str, Any] | UnsetType = UNSET


class ProcessingResult(Wire, frozen=True, kw_only=True):
    """What became of one published catalogue."""

    catalog_id: Identifier
    status: Literal["ACCEPTED", "REJECTED", "PARTIAL"]
    item_count: Count | UnsetType = UNSET
    warnings: tuple[Notice, ...] | UnsetType = UNSET
    error: ErrorBody | UnsetType = UNSET


class DiscoverContent(Wire, frozen=True, kw_only=True):
    """Body of ``discover``."""

    text_search: Text | UnsetType = UNSET
    filters: Filters | UnsetType = UNSET
    spatial: tuple[SpatialConstraint, ...] | UnsetType = UNSET
    media_search: MediaSearch | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.text_search is UNSET and self.filters is UNSET and self.spatial is UNSET:
            raise Breach("text_search, filters or spatial")


class CatalogsContent(Wire, frozen=True, kw_only=True):
    """Body of ``on_discover``."""

    catalogs: tuple[Catalog, ...]


class PublishContent(Wire, frozen=True, kw_only=True):
    """Body of ``catalog_publish``."""

    catalogs: Annotated[tuple[Catalog, ...], Meta(min_length=1)]


class PublishedContent(Wire, frozen=True, kw_only=True):
    """Body of ``on_catalog_publish``."""

    results: tuple[ProcessingResult, ...]


class OrderContent(Wire, frozen=True, kw_only=True):
    """Body of an action on an order."""

    order: Order


class KnownOrderContent(Wire, frozen=True, kw_only=True):
    """Body of an action on an order that exists."""

    order: KnownOrder


class ReferenceContent(Wire, frozen=True, kw_only=True):
    """Body of ``status`` and ``cancel``."""

    order: OrderReference


class TrackContent(Wire, frozen=True, kw_only=True):
    """Body of ``track``."""

    tracking: TrackRequest


class TrackedContent(Wire, frozen=True, kw_only=True):
    """Body of ``on_track``."""

    tracking: Tracking


class RateContent(Wire, frozen=True, kw_only=True):
    """Body of ``rating``."""

    ratings: tuple[RatingInput, ...]


class RatedContent(Wire, frozen=True, kw_only=True):
    """Body of ``on_rating``."""

    received: bool | UnsetType = UNSET
    aggregate: RatingAggregate | UnsetType = UNSET
    feedbackForm: Form | UnsetType = UNSET


class SupportContent(Wire, frozen=True, kw_only=True):
    """Body of ``support``."""

    refId: Identifier
    refType: Subject
    support: SupportInfo | UnsetType = UNSET


class SupportedContent(Wire, frozen=True, kw_only=True):
    """Body of ``on_support``."""

    support: SupportInfo


ACTIONS: dict[str, type[Wire]] = {
    "discover": DiscoverContent,
    "on_discover": CatalogsContent,
    "select": OrderContent,
    "on_select": OrderContent,
    "init": OrderContent,
    "on_init": OrderContent,
    "confirm": OrderContent,
    "on_confirm": KnownOrderContent,
    "status": ReferenceContent,
    "on_status": KnownOrderContent,
    "track": TrackContent,
    "on_track": TrackedContent,
    "update": KnownOrderContent,
    "on_update": KnownOrderContent,
    "cancel": ReferenceContent,
    "on_cancel": KnownOrderContent,
    "rating": RateContent,
    "on_rating": RatedContent,
    "support": SupportContent,
    "on_support": SupportedContent,
    "catalog_publish": PublishContent,
    "on_catalog_publish": PublishedContent,
}
"""The actions of the release candidate and the body that each carries."""

ENVELOPES = {
    action: envelope(
        action,
        OpenContext if action == "discover" else Context,
        content,
        ErrorBody if action.startswith("on_") else None,
    )
    for action, content in ACTIONS.items()
}
"""The type of a whole message, by action."""


def schema(action: str) -> dict[str, Any]:
    """The closed JSON Schema (2020-12) of one action's whole message.  Raises ``KeyError`` for an unknown action."""
    return schema_of(ENVELOPES[action])


def faults(action: str, raw: bytes | str) -> tuple[Complaint, ...]:
    """Everything that is wrong with a message of this action; empty for a good one.  Raises ``KeyError`` as ``schema``."""
    return faults_of(ENVELOPES[action], raw)


def decode(action: str, raw: bytes | str) -> Any:
    """The typed envelope (``context``, ``message``, perhaps ``error``) that these bytes carry.

    Raises ``Refusal`` (SCH_…) naming every fault by JSON pointer.
    """
    if action not in ENVELOPES:
        raise Refusal(Code.SCH_TYPE_NOT_SUPPORTED, "/context/action", f"no such action: {action}")
    # The schema goes first, always: the fast check alone lets a bag without @type pass where only one type may stand.
    if found := faults(action, raw):
        raise refusal(found)
    return decoder_of(ENVELOPES[action]).decode(raw)


def encode(whole: msgspec.Struct) -> bytes:
    """The bytes of a typed envelope; equal envelopes give equal bytes."""
    return msgspec.json.encode(whole)
