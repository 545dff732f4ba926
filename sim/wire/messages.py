"""Beckn v2.0.0 (LTS) messages: the strict context, the bodies, and the table of actions.

Shapes follow the LTS specification; energy objects stand only in the ``*Attributes`` bags.  ``aggregate`` and
``on_aggregate`` are auxiliary actions that the core specification does not know.
"""

from __future__ import annotations

import functools
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from sim.wire.bags import (
    CurveBody,
    Duration,
    EnergyContract,
    EnergyDelivery,
    EnergyOffer,
    EnergyResource,
    EnergySettlement,
    GridConstraints,
    GridNode,
    Identifier,
    Tariff,
    Timestamp,
    TimeWindow,
    Wire,
)

CoreState = Literal["DRAFT", "ACTIVE", "CANCELLED", "COMPLETE"]
Uuid = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]


class Lineage(Wire, frozen=True, kw_only=True):
    """The message that a cascaded leg descends from."""

    transactionId: Uuid
    messageId: Uuid


class Context(Wire, frozen=True, kw_only=True):
    """Who says what to whom, when, and for how long it holds.

    The caller is the BAP and the answerer the BPP, whatever their roles in the contract.
    """

    version: Literal["2.0.0"]
    action: str
    bapId: Identifier
    bapUri: str
    bppId: Identifier
    bppUri: str
    transactionId: Uuid
    messageId: Uuid
    timestamp: Timestamp
    ttl: Duration
    lineage: Lineage | UnsetType = UNSET


class Descriptor(Wire, frozen=True, kw_only=True):
    """Human-readable text, or a code."""

    code: str | UnsetType = UNSET
    name: str | UnsetType = UNSET


class Quantity(Wire, frozen=True, kw_only=True):
    """An amount of energy (KWH) or power (KW), signed like power."""

    value: float
    unitCode: Literal["KWH", "KW"]


class Resource(Wire, frozen=True, kw_only=True):
    """A resource in a catalogue or in a commitment."""

    id: Identifier
    descriptor: Descriptor | UnsetType = UNSET
    quantity: Quantity | UnsetType = UNSET
    resourceAttributes: EnergyResource | GridNode | UnsetType = UNSET


class Offer(Wire, frozen=True, kw_only=True):
    """An offer on resources."""

    id: Identifier
    resourceIds: tuple[Identifier, ...]
    descriptor: Descriptor | UnsetType = UNSET
    offerAttributes: EnergyOffer | Tariff | UnsetType = UNSET


class CommitmentStatus(Wire, frozen=True, kw_only=True):
    """State of a commitment."""

    descriptor: Descriptor


class Commitment(Wire, frozen=True, kw_only=True):
    """What is committed: resources under an offer."""

    status: CommitmentStatus
    resources: Annotated[tuple[Resource, ...], msgspec.Meta(min_length=1)]
    offer: Offer


class ContractStatus(Wire, frozen=True, kw_only=True):
    """The core specification's own state of a contract."""

    code: CoreState


class Performance(Wire, frozen=True, kw_only=True):
    """How a contract is being carried out: here, meter readings."""

    id: Identifier
    status: Descriptor
    performanceAttributes: EnergyDelivery


class Settlement(Wire, frozen=True, kw_only=True):
    """How a contract is being paid."""

    id: Identifier
    status: Literal["DRAFT", "COMMITTED", "COMPLETE"]
    settlementAttributes: EnergySettlement


class Contract(Wire, frozen=True, kw_only=True):
    """The transaction object of LTS; ``commitments`` is required in every message that carries one."""

    id: Uuid
    status: ContractStatus
    commitments: Annotated[tuple[Commitment, ...], msgspec.Meta(min_length=1)]
    performance: Annotated[tuple[Performance, ...], msgspec.Meta(min_length=1)] | UnsetType = UNSET
    settlements: tuple[Settlement, ...] | UnsetType = UNSET
    contractAttributes: EnergyContract | UnsetType = UNSET


class Provider(Wire, frozen=True, kw_only=True):
    """Who stands behind a catalogue."""

    id: Identifier
    descriptor: Descriptor


class Catalog(Wire, frozen=True, kw_only=True):
    """A provider's resources and offers."""

    id: Identifier
    descriptor: Descriptor
    provider: Provider
    bppId: Identifier
    bppUri: str
    resources: tuple[Resource, ...] | UnsetType = UNSET
    offers: tuple[Offer, ...] | UnsetType = UNSET


class PublishResult(Wire, frozen=True, kw_only=True):
    """What became of one published catalogue."""

    catalogId: Identifier
    status: Literal["ACCEPTED", "REJECTED", "PARTIAL"]


class SearchIntent(Wire, frozen=True, kw_only=True):
    """What a discoverer looks for: the ``@type`` of a bag, as text."""

    textSearch: str


class AggregateParticipant(Wire, frozen=True, kw_only=True):
    """A participant of one clearing, with its curve."""

    era: Identifier
    gridNode: Identifier
    offerCurve: CurveBody
    baselineKW: float | UnsetType = UNSET


class AggregateNode(Wire, frozen=True, kw_only=True):
    """A grid node of one clearing, with its limits."""

    era: Identifier
    gridConstraints: GridConstraints
    gridNode: Identifier | UnsetType = UNSET


class AggregationRequest(Wire, frozen=True, kw_only=True):
    """One market problem.

    k: where in a range of equilibrium prices the price lies.  priceFloor, priceCap: bounds of prices per kWh.  slack: ERA of
    the supplier that takes what the others leave.
    """

    aggregationType: Literal["MARKET_CLEARING", "CAPACITY_AGGREGATION"]
    timeWindow: TimeWindow
    participants: tuple[AggregateParticipant, ...]
    gridNodes: tuple[AggregateNode, ...]
    k: float | UnsetType = UNSET
    priceFloor: float | UnsetType = UNSET
    priceCap: float | UnsetType = UNSET
    slack: Identifier | UnsetType = UNSET


class Setpoint(Wire, frozen=True, kw_only=True):
    """The cleared power of one participant at its price (null where there is none).

    offsetKW: commanded where the price could not choose the quantity.  curtailedKW: commanded outside the curve.
    """

    era: Identifier
    setpointKW: float
    price: float | None
    offsetKW: float | UnsetType = UNSET
    curtailedKW: float | UnsetType = UNSET


class NodeResult(Wire, frozen=True, kw_only=True):
    """Price (null where nothing fixes it), adder over the parent's, flow (+ import) and binding limit of one grid node."""

    era: Identifier
    locationalPrice: float | None
    locationalPriceAdder: float
    flowKW: float
    binding: Literal["FORWARD", "REVERSE"] | None


class ViolationBody(Wire, frozen=True, kw_only=True):
    """One condition that a clearing breaks."""

    condition: str
    who: str
    what: str
    amount: float


class CertificateBody(Wire, frozen=True, kw_only=True):
    """Whether a clearing satisfies every condition of the optimum, and if not, which it breaks."""

    certified: bool
    violations: tuple[ViolationBody, ...]


class AggregationResult(Wire, frozen=True, kw_only=True):
    """The outcome of one market problem; ``clearingPrice`` is the root's and absent where nothing fixes it."""

    clearingQuantityKW: float
    setpoints: tuple[Setpoint, ...]
    gridNodes: tuple[NodeResult, ...]
    welfare: float
    certificate: CertificateBody
    policy: Identifier
    clearingPrice: float | UnsetType = UNSET
    notes: tuple[str, ...] | UnsetType = UNSET


class PublishContent(Wire, frozen=True, kw_only=True):
    """Body of ``catalog/publish``."""

    catalogs: Annotated[tuple[Catalog, ...], msgspec.Meta(min_length=1)]


class PublishedContent(Wire, frozen=True, kw_only=True):
    """Body of ``catalog/on_publish``."""

    results: tuple[PublishResult, ...]


class DiscoverContent(Wire, frozen=True, kw_only=True):
    """Body of ``discover``."""

    intent: SearchIntent


class CatalogsContent(Wire, frozen=True, kw_only=True):
    """Body of ``on_discover``."""

    catalogs: tuple[Catalog, ...]


class ContractContent(Wire, frozen=True, kw_only=True):
    """Body of every action on a contract."""

    contract: Contract


class AggregateContent(Wire, frozen=True, kw_only=True):
    """Body of ``aggregate``."""

    aggregationRequest: AggregationRequest


class AggregatedContent(Wire, frozen=True, kw_only=True):
    """Body of ``on_aggregate``."""

    aggregationResult: AggregationResult


class ErrorBody(Wire, frozen=True, kw_only=True):
    """Why a message was refused: a code, a sentence, and the JSON pointer of the culprit."""

    errorCode: str
    errorMessage: str
    path: str | UnsetType = UNSET


class NackContent(Wire, frozen=True, kw_only=True):
    """The synchronous refusal of a message."""

    status: Literal["NACK"]
    error: ErrorBody


Content = (
    PublishContent
    | PublishedContent
    | DiscoverContent
    | CatalogsContent
    | ContractContent
    | AggregateContent
    | AggregatedContent
    | NackContent
)

ACTIONS: dict[str, type[Wire]] = {
    "catalog/publish": PublishContent,
    "catalog/on_publish": PublishedContent,
    "discover": DiscoverContent,
    "on_discover": CatalogsContent,
    "init": ContractContent,
    "on_init": ContractContent,
    "confirm": ContractContent,
    "on_confirm": ContractContent,
    "on_status": ContractContent,
    "on_update": ContractContent,
    "aggregate": AggregateContent,
    "on_aggregate": AggregatedContent,
}
"""Which body each action carries.  Every action is spoken by somebody; others are refused by name."""

SETUP_TTL_S = 60
"""For how long a message of joining (discover, init, publish) holds, in seconds; there is no gate to hurry it."""
NACK = "nack"
"""Name under which a refusal reaches the sender; not an action of the wire."""


_CALLBACKS = frozenset(action for action in ACTIONS if action.rsplit("/", maxsplit=1)[-1].startswith("on_"))


def is_callback(action: str) -> bool:
    """Whether an action answers another (``on_…``), so that its sender is the BPP."""
    return action in _CALLBACKS


class Message(msgspec.Struct, frozen=True):
    """One message as a participant sees it.

    sent_s: simulated second of sending, stamped by the bus.  ttl_s: for how long it may be acted on.
    """

    action: str
    sender: str
    recipient: str
    transaction_id: str
    message_id: str
    content: Content
    ttl_s: int = 30
    lineage: Lineage | None = None
    sent_s: int = 0

    @property
    def name(self) -> str:
        """What a participant's table of handlers is looked up by."""
        return self.action

    @property
    def contract(self) -> Contract:
        """The contract inside.  Raises ``TypeError`` for an action that carries none: a bug of the caller."""
        if not isinstance(self.content, ContractContent):
            raise TypeError(f"{self.action} carries no contract")
        return self.content.contract


class Alarm(msgspec.Struct, frozen=True):
    """A participant's note to itself: wake me at ``at_s`` for ``name``, about interval ``index``."""

    at_s: int
    name: str
    index: int = -1


Event = Message | Alarm


@functools.lru_cache(maxsize=4096)
def uri(subscriber: str) -> str:
    """The endpoint under which a subscriber would be reached on a network."""
    return f"https://{subscriber}.degsim.example/beckn"


def context_of(message: Message, timestamp: str) -> Context:
    """The wire context of a message sent at ``timestamp``."""
    bap, bpp = message.sender, message.recipient
    if is_callback(message.action):
        bap, bpp = bpp, bap
    return Context(
        version="2.0.0",
        action=message.action,
        bapId=bap,
        bapUri=uri(bap),
        bppId=bpp,
        bppUri=uri(bpp),
        transactionId=message.transaction_id,
        messageId=message.message_id,
        timestamp=timestamp,
        ttl=f"PT{message.ttl_s}S",
        lineage=UNSET if message.lineage is None else message.lineage,
    )
