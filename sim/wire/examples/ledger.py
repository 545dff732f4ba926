"""A trade between customers of two utilities, in the ledger that both share.

The roof of one sells 12.5 kWh to a house of the other.  Both platforms put the trade; the seller's utility records 11 kWh, the
buyer's looks it up and records 11.9; 11 kWh are settled.  Digests are those of the rows (``sim.contracts.trade_rows``).
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from sim.wire.examples.frame import Talk, clock, reply
from sim.wire.trade_ledger import (
    LedgerGet,
    LedgerPut,
    LedgerReceipt,
    LedgerRecord,
    LedgerRow,
    LedgerRows,
    TradeDetail,
    ValidationMetric,
)

SELLING: Final = Talk("ledger: seller", "solar-co-op", "ledger")
BUYING: Final = Talk("ledger: buyer", "buyer-app", "ledger")
NORTH: Final = Talk("ledger: seller's utility", "utility-north", "ledger")
SOUTH: Final = Talk("ledger: buyer's utility", "utility-south", "ledger")
RECORD: Final = "5e8c7f4a-1c0b-4f53-8a76-3d1f0c6b9e21"

PUT: Final = LedgerPut(
    role="SELLER",
    transactionId="9d3a6c1e-7b52-4c1f-9a8e-2f4b6d8c0a13",
    orderItemId="roof-9/1",
    platformIdBuyer="buyer-app",
    platformIdSeller="solar-co-op",
    discomIdBuyer="utility-south",
    discomIdSeller="utility-north",
    buyerId="CA-0000123",
    sellerId="DER-9981",
    tradeTime=clock("10:20:30"),
    deliveryStartTime=clock("11:00"),
    deliveryEndTime=clock("11:30"),
    tradeDetails=(TradeDetail(tradeQty=12.5, tradeType="ENERGY", tradeUnit="KWH"),),
    clientReference="seller-create-0001",
)
PUSHED: Final = LedgerRecord(
    role="SELLER_DISCOM",
    transactionId=PUT.transactionId,
    orderItemId=PUT.orderItemId,
    sellerFulfillmentValidationMetrics=(
        ValidationMetric(validationMetricType="ACTUAL_PUSHED", validationMetricValue=11),
    ),
    statusSellerDiscom="COMPLETED",
    clientReference="north-actuals-0007",
)
PULLED: Final = LedgerRecord(
    role="BUYER_DISCOM",
    recordId=RECORD,
    buyerFulfillmentValidationMetrics=(
        ValidationMetric(validationMetricType="ACTUAL_PULLED", validationMetricValue=11.9),
    ),
    statusBuyerDiscom="COMPLETED",
    note="Meter read at 15:00",
    clientReference="south-actuals-0003",
)
PENDING: Final = LedgerRow(
    creationTime=clock("10:20:31"),
    recordId=RECORD,
    transactionId=PUT.transactionId,
    orderItemId=PUT.orderItemId,
    platformIdBuyer="buyer-app",
    platformIdSeller="solar-co-op",
    discomIdBuyer="utility-south",
    discomIdSeller="utility-north",
    buyerId="CA-0000123",
    sellerId="DER-9981",
    tradeTime=PUT.tradeTime,
    deliveryStartTime=PUT.deliveryStartTime,
    deliveryEndTime=PUT.deliveryEndTime,
    tradeDetails=PUT.tradeDetails,
    statusBuyerDiscom="PENDING",
    statusSellerDiscom="PENDING",
)
CONFIRMED: Final = replace(PENDING, statusBuyerDiscom="CONFIRMED", statusSellerDiscom="CONFIRMED")
PRODUCED: Final = replace(
    CONFIRMED,
    statusSellerDiscom="COMPLETED",
    sellerFulfillmentValidationMetrics=PUSHED.sellerFulfillmentValidationMetrics,
)
COMPLETED: Final = replace(
    PRODUCED,
    statusBuyerDiscom="COMPLETED",
    buyerFulfillmentValidationMetrics=PULLED.buyerFulfillmentValidationMetrics,
)
STATES: Final = tuple(
    replace(row, rowDigest=f"sha256:{digest}")
    for row, digest in (
        (PENDING, "569cf36c2d3adb04645dcb2ceded5a0d41eef8b33e16390c6ee63f12dc1158e3"),
        (CONFIRMED, "43e415781ebbcdafd0341fedb356aafa06412e6bc4c282cd5f2ce56ad2de64c0"),
        (PRODUCED, "93ec8f632cafdd5102dd699e179d4efca6e7f0f195dcbf8e31eb1305a23caec8"),
        (COMPLETED, "5fef8c0a5e46005709909cd669b754a8630f6fbc3c1d66ac976cb6873716f282"),
    )
)
"""The row after each of the four writes."""


def receipt(row: LedgerRow) -> LedgerReceipt:
    """What whoever wrote a row into this state is answered."""
    return LedgerReceipt(
        success=True, recordId=row.recordId, creationTime=row.creationTime, rowDigest=str(row.rowDigest)
    )


sold = SELLING.ask("10:20:31", "ledger/put", PUT)
bought = BUYING.ask("10:20:35", "ledger/put", replace(PUT, role="BUYER", clientReference="buyer-create-0001"))
pushed = NORTH.ask("13:30:00", "ledger/record", PUSHED)
found = SOUTH.ask("15:29:00", "ledger/get", LedgerGet(transactionId=PUT.transactionId, orderItemId=PUT.orderItemId))
pulled = SOUTH.ask("15:30:00", "ledger/record", PULLED)

MESSAGES = (
    sold,
    reply(sold, receipt(STATES[0])),
    bought,
    reply(bought, receipt(STATES[1])),
    pushed,
    reply(pushed, receipt(STATES[2])),
    found,
    reply(found, LedgerRows(records=(STATES[2],), count=1)),
    pulled,
    reply(pulled, receipt(STATES[3])),
)
