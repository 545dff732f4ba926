"""The objects of Beckn v2.0.0 (LTS): catalogues, contracts, and what hangs on them.

Shapes follow the LTS specification; where it leaves an object open, the fields it does not know are named in the docstring.
Energy objects stand only in the ``*Attributes`` bags.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from sim.wire.bags import (
    Address,
    CommitmentBag,
    ConsiderationBag,
    ContractBag,
    GeoJSONGeometry,
    LdTimePeriod,
    Location,
    OfferBag,
    ParticipantBag,
    PaymentMethod,
    PerformanceBag,
    ProviderBag,
    ResourceBag,
    SettlementBag,
    SupportBag,
    TrackingBag,
)
from sim.wire.basics import Breach, Count, Identifier, NonNegative, OffsetTime, Text, Timestamp, Uri, Uuid, Wire

CoreState = Literal["DRAFT", "ACTIVE", "CANCELLED", "COMPLETE"]


class Document(Wire, frozen=True, kw_only=True):
    """A document by its address."""

    label: Text
    mimeType: Identifier
    url: Uri
    standard: Text | UnsetType = UNSET


class MediaFile(Wire, frozen=True, kw_only=True):
    """A picture or film by its address."""

    label: Text | UnsetType = UNSET
    mimeType: Identifier | UnsetType = UNSET
    uri: Uri | UnsetType = UNSET


class Descriptor(Wire, frozen=True, kw_only=True):
    """Human-readable text, or a code."""

    code: Identifier | UnsetType = UNSET
    name: Text | UnsetType = UNSET
    shortDesc: Text | UnsetType = UNSET
    longDesc: Text | UnsetType = UNSET
    thumbnailImage: Uri | UnsetType = UNSET
    docs: tuple[Document, ...] | UnsetType = UNSET
    mediaFile: tuple[MediaFile, ...] | UnsetType = UNSET


class TimePeriod(Wire, frozen=True, kw_only=True):
    """A period of days, or of times of day with offset."""

    startDate: Timestamp | UnsetType = UNSET
    endDate: Timestamp | UnsetType = UNSET
    startTime: OffsetTime | UnsetType = UNSET
    endTime: OffsetTime | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.startDate is UNSET and self.endDate is UNSET and UNSET in (self.startTime, self.endTime):
            raise Breach("startDate, endDate, or both startTime and endTime")


class Place(Wire, frozen=True, kw_only=True):
    """A place on the map, and its address."""

    geo: GeoJSONGeometry
    address: Address | UnsetType = UNSET


class Provider(Wire, frozen=True, kw_only=True):
    """Who stands behind a catalogue or an offer."""

    id: Identifier
    descriptor: Descriptor
    availableAt: tuple[Place, ...] | UnsetType = UNSET
    providerAttributes: ProviderBag | UnsetType = UNSET


class Consideration(Wire, frozen=True, kw_only=True):
    """What is promised in return."""

    id: Identifier
    status: Descriptor
    considerationAttributes: ConsiderationBag | UnsetType = UNSET


class Quantity(Wire, frozen=True, kw_only=True):
    """An amount, in energy (KWH) or power (KW) signed like power; ``unitText`` where a seller writes the unit out."""

    value: float
    unitCode: Literal["KWH", "KW"] | UnsetType = UNSET
    unitText: Text | UnsetType = UNSET


class Category(Wire, frozen=True, kw_only=True):
    """What kind of thing a resource is."""

    codeValue: Identifier
    name: Text | UnsetType = UNSET
    description: Text | UnsetType = UNSET


class RatingSummary(Wire, frozen=True, kw_only=True):
    """What others thought of it: mean of 0 to 5, and how many."""

    ratingValue: Annotated[float, Meta(ge=0, le=5)] | UnsetType = UNSET
    ratingCount: Count | UnsetType = UNSET


class Resource(Wire, frozen=True, kw_only=True):
    """A resource in a catalogue or in a commitment.

    The specification leaves it open; ``quantity`` says how much is committed, and the others how it is listed.
    """

    id: Identifier
    descriptor: Descriptor | UnsetType = UNSET
    quantity: Quantity | UnsetType = UNSET
    resourceAttributes: ResourceBag | UnsetType = UNSET
    provider: Provider | UnsetType = UNSET
    category: Category | UnsetType = UNSET
    availableAt: tuple[Location, ...] | UnsetType = UNSET
    availabilityWindow: tuple[LdTimePeriod, ...] | UnsetType = UNSET
    networkIds: tuple[Identifier, ...] | UnsetType = UNSET
    isActive: bool | UnsetType = UNSET
    rateable: bool | UnsetType = UNSET
    rating: RatingSummary | UnsetType = UNSET


class Audience(Wire, frozen=True, kw_only=True):
    """To whom an offer is open."""

    type: Literal["NETWORK", "PARTICIPANT", "ROLE"]
    id: Identifier


class Offer(Wire, frozen=True, kw_only=True):
    """An offer on resources.  The specification leaves it open; ``acceptedPaymentMethods`` and ``isActive`` are additions."""

    id: Identifier
    resourceIds: tuple[Identifier, ...] | UnsetType = UNSET
    descriptor: Descriptor | UnsetType = UNSET
    provider: Provider | UnsetType = UNSET
    addOns: tuple[Resource, ...] | UnsetType = UNSET
    considerations: tuple[Consideration, ...] | UnsetType = UNSET
    validity: TimePeriod | UnsetType = UNSET
    availableTo: tuple[Audience, ...] | UnsetType = UNSET
    acceptedPaymentMethods: tuple[PaymentMethod, ...] | UnsetType = UNSET
    isActive: bool | UnsetType = UNSET
    offerAttributes: OfferBag | UnsetType = UNSET


class CommitmentCode(Wire, frozen=True, kw_only=True):
    """State of a commitment, as a descriptor."""

    code: Literal["DRAFT", "ACTIVE", "CLOSED"] | UnsetType = UNSET
    name: Text | UnsetType = UNSET


class CommitmentStatus(Wire, frozen=True, kw_only=True):
    """State of a commitment."""

    descriptor: CommitmentCode | UnsetType = UNSET


class CommittedResource(Resource, frozen=True, kw_only=True):
    """A resource, and how much of it is committed."""

    quantity: Quantity


class CommittedOffer(Offer, frozen=True, kw_only=True):
    """The offer under which it is committed, and the resources that it is on."""

    resourceIds: tuple[Identifier, ...]


class Commitment(Wire, frozen=True, kw_only=True):
    """What is committed: resources under an offer."""

    status: CommitmentStatus
    resources: Annotated[tuple[CommittedResource, ...], Meta(min_length=1)]
    offer: CommittedOffer
    id: Identifier | UnsetType = UNSET
    commitmentAttributes: CommitmentBag | UnsetType = UNSET


class ContractStatus(Wire, frozen=True, kw_only=True):
    """The core specification's own state of a contract; ``name`` says it more finely."""

    code: CoreState
    name: Text | UnsetType = UNSET
    shortDesc: Text | UnsetType = UNSET


class Participant(Wire, frozen=True, kw_only=True):
    """A party to a contract; the code of its descriptor is its role."""

    id: Identifier | UnsetType = UNSET
    descriptor: Descriptor | UnsetType = UNSET
    participantAttributes: ParticipantBag | UnsetType = UNSET


class Performance(Wire, frozen=True, kw_only=True):
    """How a contract is being carried out: readings, sessions, deliveries."""

    id: Identifier | UnsetType = UNSET
    status: Descriptor | UnsetType = UNSET
    commitmentIds: tuple[Identifier, ...] | UnsetType = UNSET
    performanceAttributes: PerformanceBag | UnsetType = UNSET


class Settlement(Wire, frozen=True, kw_only=True):
    """How a contract is being paid."""

    id: Identifier | UnsetType = UNSET
    considerationId: Identifier | UnsetType = UNSET
    status: Literal["DRAFT", "COMMITTED", "COMPLETE"] | UnsetType = UNSET
    settlementAttributes: SettlementBag | UnsetType = UNSET


class Contract(Wire, frozen=True, kw_only=True):
    """The transaction object of LTS; ``commitments`` is required in every message that carries one."""

    commitments: Annotated[tuple[Commitment, ...], Meta(min_length=1)]
    id: Uuid | UnsetType = UNSET
    status: ContractStatus | UnsetType = UNSET
    descriptor: Descriptor | UnsetType = UNSET
    consideration: tuple[Consideration, ...] | UnsetType = UNSET
    participants: tuple[Participant, ...] | UnsetType = UNSET
    performance: Annotated[tuple[Performance, ...], Meta(min_length=1)] | UnsetType = UNSET
    settlements: tuple[Settlement, ...] | UnsetType = UNSET
    contractAttributes: ContractBag | UnsetType = UNSET


class KnownContract(Contract, frozen=True, kw_only=True):
    """A contract that is asked about: its id is required."""

    id: Uuid


class MasterReference(Wire, frozen=True, kw_only=True):
    """A master resource that another extends."""

    masterResourceId: Identifier


class ResourceDirective(Wire, frozen=True, kw_only=True):
    """Which resource extends which master."""

    resourceId: Identifier
    extends: MasterReference


class PublishDirectives(Wire, frozen=True, kw_only=True):
    """How a catalogue is to be taken in; deprecated by the specification."""

    catalogType: Literal["master", "regular"]
    updateMode: Literal["FULL", "MERGE"] | UnsetType = UNSET
    resourceDirectives: tuple[ResourceDirective, ...] | UnsetType = UNSET


class Catalog(Wire, frozen=True, kw_only=True):
    """A provider's resources and offers."""

    id: Identifier
    descriptor: Descriptor
    provider: Provider
    bppId: Identifier | UnsetType = UNSET
    bppUri: Uri | UnsetType = UNSET
    isActive: bool | UnsetType = UNSET
    validity: TimePeriod | UnsetType = UNSET
    publishDirectives: PublishDirectives | UnsetType = UNSET
    resources: tuple[Resource, ...] | UnsetType = UNSET
    offers: tuple[Offer, ...] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.resources is UNSET and self.offers is UNSET:
            raise Breach("resources or offers")


class Filters(Wire, frozen=True, kw_only=True):
    """A condition on resources, as JSONPath (RFC 9535)."""

    type: Literal["jsonpath"]
    expression: Annotated[str, Meta(min_length=1, max_length=4000)]


class SpatialConstraint(Wire, frozen=True, kw_only=True):
    """A condition on where resources are (OGC CQL2); distances in metres."""

    op: Literal[
        "S_WITHIN", "S_CONTAINS", "S_INTERSECTS", "S_DISJOINT", "S_OVERLAPS", "S_CROSSES", "S_TOUCHES", "S_EQUALS",
        "S_DWITHIN",
    ]  # fmt: skip
    targets: Text | tuple[Text, ...]
    geometry: GeoJSONGeometry | UnsetType = UNSET
    distanceMeters: NonNegative | UnsetType = UNSET
    quantifier: Literal["ANY", "ALL", "NONE"] | UnsetType = UNSET
    srid: Identifier | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.op == "S_DWITHIN" and self.distanceMeters is UNSET:
            raise Breach("distanceMeters of S_DWITHIN")


class MediaInput(Wire, frozen=True, kw_only=True):
    """A picture, sound or film to search by; times in milliseconds."""

    type: Literal["image", "audio", "video"]
    url: Uri
    id: Identifier | UnsetType = UNSET
    contentType: Identifier | UnsetType = UNSET
    textHint: Text | UnsetType = UNSET
    language: Identifier | UnsetType = UNSET
    startMs: Count | UnsetType = UNSET
    endMs: Count | UnsetType = UNSET


class MediaSearchOptions(Wire, frozen=True, kw_only=True):
    """What to look for in media."""

    goals: (
        tuple[
            Literal[
                "visual-similarity", "visual-object-detect", "text-from-image", "text-from-audio",
                "semantic-audio-match", "semantic-video-match",
            ],
            ...,
        ]
        | UnsetType
    ) = UNSET  # fmt: skip
    augment_text_search: bool | UnsetType = UNSET
    restrict_results_to_media_proximity: bool | UnsetType = UNSET


class MediaSearch(Wire, frozen=True, kw_only=True):
    """A search by media."""

    media: tuple[MediaInput, ...] | UnsetType = UNSET
    options: MediaSearchOptions | UnsetType = UNSET


class SearchIntent(Wire, frozen=True, kw_only=True):
    """What a discoverer looks for; among ourselves ``textSearch`` is the ``@type`` of a bag."""

    textSearch: Text | UnsetType = UNSET
    filters: Filters | UnsetType = UNSET
    spatial: tuple[SpatialConstraint, ...] | UnsetType = UNSET
    mediaSearch: MediaSearch | UnsetType = UNSET


class Tracking(Wire, frozen=True, kw_only=True):
    """Where a contract's fulfilment can be followed; ``expiresAt`` and ``method`` are additions to an open object."""

    status: Literal["ACTIVE", "INACTIVE"]
    url: Uri
    contract: KnownContract | UnsetType = UNSET
    method: Identifier | UnsetType = UNSET
    expiresAt: Timestamp | UnsetType = UNSET
    trackingAttributes: TrackingBag | UnsetType = UNSET


class RatingTarget(Wire, frozen=True, kw_only=True):
    """What is rated."""

    id: Identifier | UnsetType = UNSET
    descriptor: Descriptor | UnsetType = UNSET


class RatingRange(Wire, frozen=True, kw_only=True):
    """The rating itself, within its bounds; empty where a form is only asked for."""

    value: float | UnsetType = UNSET
    best: float | UnsetType = UNSET
    worst: float | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.value is UNSET:
            return
        worst = 0.0 if self.worst is UNSET else self.worst
        if self.value < worst or (self.best is not UNSET and self.value > self.best):
            raise Breach("a value within worst and best", f"{self.value:g}")


class FormSubmission(Wire, frozen=True, kw_only=True):
    """A form that was filled in."""

    data: dict[str, str]
    id: Uri | UnsetType = UNSET
    submissionId: Uuid | UnsetType = UNSET
    submittedAt: Timestamp | UnsetType = UNSET


class RatingInput(Wire, frozen=True, kw_only=True):
    """A rating of something."""

    target: RatingTarget
    range: RatingRange
    feedbackFormSubmission: FormSubmission | UnsetType = UNSET


class Support(Wire, frozen=True, kw_only=True):
    """A wish for help, or where it is to be had."""

    orderId: Identifier | UnsetType = UNSET
    descriptor: Descriptor | UnsetType = UNSET
    channels: Annotated[tuple[SupportBag, ...], Meta(min_length=1)] | UnsetType = UNSET


class ErrorBody(Wire, frozen=True, kw_only=True):
    """Why something was refused: a code, a sentence, and the JSON pointer of the culprit."""

    errorCode: Identifier
    errorMessage: Text
    path: Text | UnsetType = UNSET
    details: dict[str, Any] | UnsetType = UNSET


class RetryPolicy(Wire, frozen=True, kw_only=True):
    """How often and how patiently a delivery is tried again; seconds."""

    maxRetries: Count | UnsetType = UNSET
    initialDelaySeconds: Count | UnsetType = UNSET
    maxDelaySeconds: Count | UnsetType = UNSET
    backoffMultiplier: NonNegative | UnsetType = UNSET


class DeliveryPolicy(Wire, frozen=True, kw_only=True):
    """How what was subscribed to is delivered."""

    timeoutSeconds: Count | UnsetType = UNSET
    maxPayloadBytes: Count | UnsetType = UNSET
    retryPolicy: RetryPolicy | UnsetType = UNSET


class SubscriptionRequest(Wire, frozen=True, kw_only=True):
    """Which catalogues somebody wants to hear of."""

    networkIds: tuple[Identifier, ...]
    schemaTypes: tuple[Text, ...] | UnsetType = UNSET
    callbackUrl: Uri | UnsetType = UNSET
    deliveryPolicy: DeliveryPolicy | UnsetType = UNSET

    def __post_init__(self) -> None:
        if not self.networkIds and not self.schemaTypes:
            raise Breach("at least one of networkIds and schemaTypes not to be empty")


class Subscription(Wire, frozen=True, kw_only=True):
    """A subscription that exists."""

    id: Uuid
    status: Literal["ACTIVE", "INACTIVE", "DELETED"]
    networkIds: tuple[Identifier, ...] | UnsetType = UNSET
    schemaTypes: tuple[Text, ...] | UnsetType = UNSET
    callbackUrl: Uri | UnsetType = UNSET
    deliveryPolicy: DeliveryPolicy | UnsetType = UNSET
    createdAt: Timestamp | UnsetType = UNSET
    updatedAt: Timestamp | UnsetType = UNSET


class CatalogFilters(Wire, frozen=True, kw_only=True):
    """Which catalogues; empty lists mean all."""

    networkIds: tuple[Identifier, ...] | UnsetType = UNSET
    schemaTypes: tuple[Text, ...] | UnsetType = UNSET


class Pagination(Wire, frozen=True, kw_only=True):
    """A page of a long answer."""

    limit: Annotated[int, Meta(ge=1, le=100)] | UnsetType = UNSET
    offset: Count | UnsetType = UNSET
    count: Count | UnsetType = UNSET


class PublishStats(Wire, frozen=True, kw_only=True):
    """How much was taken in."""

    itemCount: Count | UnsetType = UNSET
    providerCount: Count | UnsetType = UNSET
    categoryCount: Count | UnsetType = UNSET


class PublishResult(Wire, frozen=True, kw_only=True):
    """What became of one published catalogue."""

    catalogId: Identifier
    status: Literal["ACCEPTED", "REJECTED", "PARTIAL"]
    errors: tuple[ErrorBody, ...] | UnsetType = UNSET
    stats: PublishStats | UnsetType = UNSET
