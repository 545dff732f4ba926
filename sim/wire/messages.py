"""Messages: the strict context, the table of actions and their bodies, and a message as a participant sees it."""

from __future__ import annotations

import functools
import re
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from sim.wire.assessment import AssessContent, AssessedContent
from sim.wire.auxiliary import AggregateContent, AggregatedContent
from sim.wire.basics import Breach, Digest512, Identifier, Region, Sha256, Text, Timestamp, Ttl, Uri, Uuid, Wire
from sim.wire.core import (
    Catalog,
    CatalogFilters,
    Contract,
    ErrorBody,
    KnownContract,
    Pagination,
    PublishResult,
    RatingInput,
    SearchIntent,
    Subscription,
    SubscriptionRequest,
    Support,
    Tracking,
)
from sim.wire.trade_ledger import LedgerGet, LedgerPut, LedgerReceipt, LedgerRecord, LedgerRows


class Lineage(Wire, frozen=True, kw_only=True):
    """The message that a cascaded leg descends from."""

    transactionId: Uuid
    messageId: Uuid


class RequestDigest(Wire, frozen=True, kw_only=True):
    """The body that a callback answers, by its digest."""

    digest: Digest512


class Context(Wire, frozen=True, kw_only=True):
    """Who says what to whom, when, and for how long it holds.

    The caller is the BAP and the answerer the BPP, whatever their roles in the contract.  ``lineage`` and ``try`` (ask for the
    consequences without them coming about) stand in the specification's text only; its schema leaves the context open.
    """

    version: Literal["2.0.0"]
    action: Identifier
    bapId: Identifier
    bapUri: Uri
    bppId: Identifier
    bppUri: Uri
    transactionId: Uuid
    messageId: Uuid
    timestamp: Timestamp
    ttl: Ttl
    lineage: Lineage | UnsetType = UNSET
    requestDigest: RequestDigest | UnsetType = UNSET
    domain: Identifier | UnsetType = UNSET
    location: Region | UnsetType = UNSET
    networkId: Identifier | UnsetType = UNSET
    schemaContext: tuple[Uri, ...] | UnsetType = UNSET
    key: Identifier | UnsetType = UNSET
    tried: bool | UnsetType = field(name="try", default=UNSET)


class OpenContext(Context, frozen=True, kw_only=True):
    """The context of an action that may be addressed to nobody in particular."""

    bppId: Identifier | UnsetType = UNSET  # type: ignore[assignment]
    bppUri: Uri | UnsetType = UNSET  # type: ignore[assignment]


class PublishContent(Wire, frozen=True, kw_only=True):
    """Body of ``catalog/publish``."""

    catalogs: Annotated[tuple[Catalog, ...], Meta(min_length=1)]


class PublishedContent(Wire, frozen=True, kw_only=True):
    """Body of ``catalog/on_publish``."""

    results: tuple[PublishResult, ...]


class SubscribeContent(Wire, frozen=True, kw_only=True):
    """Body of ``catalog/subscription``."""

    subscription: SubscriptionRequest


class SubscribedContent(Wire, frozen=True, kw_only=True):
    """Body of ``catalog/on_subscription``."""

    subscriptions: tuple[Subscription, ...]


class PullContent(Wire, frozen=True, kw_only=True):
    """Body of ``catalog/pull``: the latest of every catalogue (FULL), or every version of a span of time (INCREMENTAL)."""

    mode: Literal["FULL", "INCREMENTAL"]
    filters: CatalogFilters | UnsetType = UNSET
    catalogIds: tuple[Identifier, ...] | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    fromDate: Timestamp | UnsetType = UNSET
    toDate: Timestamp | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.mode == "INCREMENTAL" and UNSET in (self.fromDate, self.toDate):
            raise Breach("fromDate and toDate of an INCREMENTAL pull")


class PulledContent(Wire, frozen=True, kw_only=True):
    """Body of ``on_catalog_pull``: the catalogues, or where they can be fetched."""

    catalogs: tuple[Catalog, ...] | UnsetType = UNSET
    objectUrl: Uri | UnsetType = UNSET
    sha256: Sha256 | UnsetType = UNSET

    def __post_init__(self) -> None:
        if (self.catalogs is UNSET) == (self.objectUrl is UNSET) or (self.objectUrl is UNSET) != (self.sha256 is UNSET):
            raise Breach("either catalogs, or objectUrl with sha256")


class MasterSearchContent(Wire, frozen=True, kw_only=True):
    """Body of ``catalog/master_search``."""

    filters: CatalogFilters | UnsetType = UNSET
    pagination: Pagination | UnsetType = UNSET


class DiscoverContent(Wire, frozen=True, kw_only=True):
    """Body of ``discover``."""

    intent: SearchIntent


class CatalogsContent(Wire, frozen=True, kw_only=True):
    """Body of ``on_discover`` and ``on_catalog_master_search``."""

    catalogs: tuple[Catalog, ...]


class ContractContent(Wire, frozen=True, kw_only=True):
    """Body of every action on a contract."""

    contract: Contract


class KnownContractContent(Wire, frozen=True, kw_only=True):
    """Body of ``status`` and ``cancel``."""

    contract: KnownContract


class TrackContent(Wire, frozen=True, kw_only=True):
    """Body of ``track`` and ``on_track``; the request already says where it will listen."""

    tracking: Tracking


class RateContent(Wire, frozen=True, kw_only=True):
    """Body of ``rate``."""

    ratingInputs: tuple[RatingInput, ...]


class RatedContent(Wire, frozen=True, kw_only=True):
    """Body of ``on_rate``."""

    ratings: tuple[RatingInput, ...]


class SupportContent(Wire, frozen=True, kw_only=True):
    """Body of ``support`` and ``on_support``."""

    support: Support


class Ack(Wire, frozen=True, kw_only=True, omit_defaults=True):
    """The synchronous answer to any message: received and accepted for processing, or refused and why.

    signature: the recipient's, over the other fields and the request, where the network signs.
    """

    status: Literal["ACK", "NACK"]
    signature: Text | UnsetType = UNSET
    error: ErrorBody | UnsetType = UNSET


class NackContent(Wire, frozen=True, kw_only=True):
    """The synchronous refusal of a message."""

    status: Literal["NACK"]
    error: ErrorBody


Content = (
    PublishContent
    | PublishedContent
    | SubscribeContent
    | SubscribedContent
    | PullContent
    | PulledContent
    | MasterSearchContent
    | DiscoverContent
    | CatalogsContent
    | ContractContent
    | KnownContractContent
    | TrackContent
    | RateContent
    | RatedContent
    | SupportContent
    | AggregateContent
    | AggregatedContent
    | AssessContent
    | AssessedContent
    | LedgerPut
    | LedgerGet
    | LedgerRecord
    | LedgerReceipt
    | LedgerRows
    | NackContent
)

CORE_ACTIONS: dict[str, type[Wire]] = {
    "discover": DiscoverContent,
    "on_discover": CatalogsContent,
    "select": ContractContent,
    "on_select": ContractContent,
    "init": ContractContent,
    "on_init": ContractContent,
    "confirm": ContractContent,
    "on_confirm": ContractContent,
    "status": KnownContractContent,
    "on_status": ContractContent,
    "track": TrackContent,
    "on_track": TrackContent,
    "update": ContractContent,
    "on_update": ContractContent,
    "cancel": KnownContractContent,
    "on_cancel": ContractContent,
    "rate": RateContent,
    "on_rate": RatedContent,
    "support": SupportContent,
    "on_support": SupportContent,
    "catalog/publish": PublishContent,
    "catalog/on_publish": PublishedContent,
    "catalog/subscription": SubscribeContent,
    "catalog/on_subscription": SubscribedContent,
    "catalog/pull": PullContent,
    "on_catalog_pull": PulledContent,
    "catalog/master_search": MasterSearchContent,
    "on_catalog_master_search": CatalogsContent,
}
"""The actions of Beckn v2.0.0 (LTS) and the body that each carries."""

AUXILIARY_ACTIONS: dict[str, type[Wire]] = {
    "aggregate": AggregateContent,
    "on_aggregate": AggregatedContent,
    "assess": AssessContent,
    "on_assess": AssessedContent,
    "ledger/put": LedgerPut,
    "ledger/on_put": LedgerReceipt,
    "ledger/get": LedgerGet,
    "ledger/on_get": LedgerRows,
    "ledger/record": LedgerRecord,
    "ledger/on_record": LedgerReceipt,
}
"""What the core specification does not know; an auxiliary action never redefines one of the core."""

ACTIONS = CORE_ACTIONS | AUXILIARY_ACTIONS
"""Which body each action carries; others are refused by name."""

ALIASES = {
    "catalog_publish": "catalog/publish",
    "on_catalog_publish": "catalog/on_publish",
}
"""Second spellings that the core specification allows; read, never written."""

OPEN_ACTIONS = frozenset({"discover", "catalog/subscription", "catalog/pull", "catalog/master_search"})
"""Actions that need not say whom they are for."""

_IRREGULAR = {"catalog/pull": "on_catalog_pull", "catalog/master_search": "on_catalog_master_search"}

UNSOLICITED = frozenset({"on_status", "on_update", "on_cancel", "on_init", "on_catalog_pull", "on_discover"})
"""Callbacks that the protocol lets somebody send unasked, with a message id of their own: news of a contract, the call of an
event (``on_init``), and what was subscribed to."""

SETUP_TTL_S = 60
"""For how long a message of joining (discover, init, publish) holds, in seconds; there is no gate to hurry it."""
NACK = "nack"
"""Name under which a refusal reaches the sender; not an action of the wire."""


def callback_of(action: str) -> str:
    """The action that answers this one: ``confirm`` → ``on_confirm``, ``catalog/publish`` → ``catalog/on_publish``."""
    if action in _IRREGULAR:
        return _IRREGULAR[action]
    head, _, tail = action.rpartition("/")
    return f"{head}/on_{tail}" if head else f"on_{tail}"


ANSWERS = {action: callback_of(action) for action in ACTIONS if callback_of(action) in ACTIONS}
"""Callback by request."""
_CALLBACKS = frozenset(ANSWERS.values())


def is_callback(action: str) -> bool:
    """Whether an action answers another (``on_…``), so that its sender is the BPP."""
    return action in _CALLBACKS


class Message(msgspec.Struct, frozen=True):
    """One message as a participant sees it.

    sent_s: simulated second of sending.  ttl_s: for how long it may be acted on.  error: on a callback that reports a failure
    of what was asked.  domain: of the network that it belongs to, where it says so.  tried: asks what would happen, and
    changes nothing (``context.try``).  digest: of the bytes that carried it, stamped by the bus; its answer names it as
    ``request_digest``.
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
    error: ErrorBody | None = None
    domain: str | None = None
    tried: bool = False
    digest: str = ""
    request_digest: str | None = None

    @property
    def name(self) -> str:
        """What a participant's table of handlers is looked up by."""
        return self.action

    @property
    def contract(self) -> Contract:
        """The contract inside.  Raises ``TypeError`` for an action that carries none: a bug of the caller."""
        if not isinstance(self.content, ContractContent | KnownContractContent):
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
    """The endpoint under which a subscriber would be reached on a network; what no host name may have becomes a hyphen."""
    return f"https://{re.sub(r'[^A-Za-z0-9._-]', '-', subscriber)}.degsim.example/beckn"


@functools.lru_cache(maxsize=1024)
def seconds_of(ttl: str) -> int:
    """Seconds of a duration such as PT30S or PT1H5M."""
    hours, minutes, seconds = re.fullmatch(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?", ttl).groups("0")  # type: ignore[union-attr]
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds)


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
        domain=UNSET if message.domain is None else message.domain,
        tried=message.tried or UNSET,
        requestDigest=UNSET if message.request_digest is None else RequestDigest(digest=message.request_digest),
    )
