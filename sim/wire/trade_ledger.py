"""Bodies of ``ledger/put``, ``ledger/get`` and ``ledger/record``: a row that two platforms and two utilities share of a trade.

The published ledger answers POST requests at these three paths at once.  Here each is an auxiliary action, and what the
published answer holds comes with its callback: ``ledger/on_put`` and ``ledger/on_record`` carry the receipt of a write,
``ledger/on_get`` the rows.  A body is the published one, field by field; the envelope around it is that of every message.
What is refused is answered NACK, with the code that the published ledger names; its status would be 400 for SCH, 403 for
``AUT_NOT_AUTHORIZED``, 404 for ``PRC_NOT_FOUND`` and 409 for the other PRC codes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from sim.wire.basics import Breach, Count, Identifier, Text, Timestamp, Wire

TradeType = Literal["ENERGY", "RAISE_CAPACITY", "LOWER_CAPACITY", "PFR", "SFR", "TC", "BDR"]
TradeStatus = Literal[
    "PENDING",
    "CONFIRMED",
    "CANCELLED_OUTAGE",
    "CANCELLED_POL_VIOLATION",
    "CURTAILED_OUTAGE",
    "CURTAILED_POL_VIOLATION",
    "COMPLETED",
]
MetricType = Literal[
    "ACTUAL_PUSHED",
    "ACTUAL_PULLED",
    "SETPOINT_FOLLOWING_ERROR",
    "ACTUAL_RAISE_CAPACITY",
    "ACTUAL_LOWER_CAPACITY",
    "FREQUENCY_RESPONSE_ERROR",
    "ACTUAL_DEMAND_REDUCTION",
    "AVAILABILITY",
]
UtilityRole = Literal["BUYER_DISCOM", "SELLER_DISCOM"]


class TradeDetail(Wire, frozen=True, kw_only=True):
    """How much of what was traded."""

    tradeQty: float
    tradeType: TradeType
    tradeUnit: Literal["KWH", "KW"]


class ValidationMetric(Wire, frozen=True, kw_only=True):
    """What a utility measured of a trade: ACTUAL_PUSHED at the seller's meter, ACTUAL_PULLED at the buyer's, …"""

    validationMetricType: MetricType
    validationMetricValue: float


class LedgerPut(Wire, frozen=True, kw_only=True):
    """Body of ``ledger/put``: what a platform writes of a trade; transactionId and orderItemId are its key.

    clientReference: the same one again asks for the same receipt, and changes nothing.
    """

    role: Literal["BUYER", "SELLER", "BUYER_DISCOM", "SELLER_DISCOM"]
    transactionId: Identifier
    orderItemId: Identifier
    recordId: Identifier | UnsetType = UNSET
    platformIdBuyer: Identifier | UnsetType = UNSET
    platformIdSeller: Identifier | UnsetType = UNSET
    discomIdBuyer: Identifier | UnsetType = UNSET
    discomIdSeller: Identifier | UnsetType = UNSET
    buyerId: Identifier | UnsetType = UNSET
    sellerId: Identifier | UnsetType = UNSET
    tradeTime: Timestamp | UnsetType = UNSET
    deliveryStartTime: Timestamp | UnsetType = UNSET
    deliveryEndTime: Timestamp | UnsetType = UNSET
    tradeDetails: tuple[TradeDetail, ...] | UnsetType = UNSET
    clientReference: Identifier | UnsetType = UNSET


class LedgerRecord(Wire, frozen=True, kw_only=True):
    """Body of ``ledger/record``: what a utility says of its side of a trade, found by its key or by its recordId."""

    role: UtilityRole
    transactionId: Identifier | UnsetType = UNSET
    orderItemId: Identifier | UnsetType = UNSET
    recordId: Identifier | UnsetType = UNSET
    buyerFulfillmentValidationMetrics: tuple[ValidationMetric, ...] | UnsetType = UNSET
    sellerFulfillmentValidationMetrics: tuple[ValidationMetric, ...] | UnsetType = UNSET
    statusBuyerDiscom: TradeStatus | UnsetType = UNSET
    statusSellerDiscom: TradeStatus | UnsetType = UNSET
    note: Text | UnsetType = UNSET
    clientReference: Identifier | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.recordId is UNSET and UNSET in (self.transactionId, self.orderItemId):
            raise Breach("transactionId and orderItemId, or recordId", code="SCH_REQUIRED_FIELD_MISSING")


class LedgerReceipt(Wire, frozen=True, kw_only=True):
    """Body of ``ledger/on_put`` and ``ledger/on_record``.  rowDigest: of the row as it stands after the write."""

    success: bool
    recordId: Identifier
    creationTime: Timestamp
    rowDigest: Identifier
    message: Text | UnsetType = UNSET


class LedgerGet(Wire, frozen=True, kw_only=True):
    """Body of ``ledger/get``: every field given has to fit; spans of time include both ends.

    Without ``limit`` 50 rows come, without ``sort`` by ``creationTime``, without ``sortOrder`` the latest first.
    """

    transactionId: Identifier | UnsetType = UNSET
    orderItemId: Identifier | UnsetType = UNSET
    recordId: Identifier | UnsetType = UNSET
    buyerId: Identifier | UnsetType = UNSET
    sellerId: Identifier | UnsetType = UNSET
    discomIdBuyer: Identifier | UnsetType = UNSET
    discomIdSeller: Identifier | UnsetType = UNSET
    platformIdBuyer: Identifier | UnsetType = UNSET
    platformIdSeller: Identifier | UnsetType = UNSET
    creationTimeFrom: Timestamp | UnsetType = UNSET
    creationTimeTo: Timestamp | UnsetType = UNSET
    tradeTimeFrom: Timestamp | UnsetType = UNSET
    tradeTimeTo: Timestamp | UnsetType = UNSET
    deliveryStartFrom: Timestamp | UnsetType = UNSET
    deliveryStartTo: Timestamp | UnsetType = UNSET
    deliveryEndFrom: Timestamp | UnsetType = UNSET
    deliveryEndTo: Timestamp | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=500)] | UnsetType = UNSET
    offset: Count | UnsetType = UNSET
    sort: Literal["creationTime", "tradeTime", "deliveryStartTime", "deliveryEndTime"] | UnsetType = UNSET
    sortOrder: Literal["asc", "desc"] | UnsetType = UNSET


class LedgerRow(Wire, frozen=True, kw_only=True):
    """A trade as the ledger holds it; what a reader may not see is left out.

    Each utility has a status and metrics of its own side.  rowDigest: over all the rest, whoever reads it.
    """

    creationTime: Timestamp
    recordId: Identifier
    transactionId: Identifier
    orderItemId: Identifier
    platformIdBuyer: Identifier
    platformIdSeller: Identifier
    discomIdBuyer: Identifier
    discomIdSeller: Identifier
    buyerId: Identifier
    sellerId: Identifier
    tradeTime: Timestamp | UnsetType = UNSET
    deliveryStartTime: Timestamp | UnsetType = UNSET
    deliveryEndTime: Timestamp | UnsetType = UNSET
    tradeDetails: tuple[TradeDetail, ...] | UnsetType = UNSET
    buyerFulfillmentValidationMetrics: tuple[ValidationMetric, ...] | UnsetType = UNSET
    sellerFulfillmentValidationMetrics: tuple[ValidationMetric, ...] | UnsetType = UNSET
    statusBuyerDiscom: TradeStatus | UnsetType = UNSET
    statusSellerDiscom: TradeStatus | UnsetType = UNSET
    rowDigest: Identifier | UnsetType = UNSET


class LedgerRows(Wire, frozen=True, kw_only=True):
    """Body of ``ledger/on_get``: one page of rows, and how many are on it."""

    records: tuple[LedgerRow, ...]
    count: Count
