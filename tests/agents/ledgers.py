"""A trade ledger to try things on: two platforms, two utilities, one trade between their customers."""

from __future__ import annotations

import itertools
from datetime import datetime
from typing import Any

import mesa
from msgspec.structs import replace

from agents.trade_ledger import TradeLedger
from sim.clock import Calendar, local_start
from sim.participant import Ids
from sim.rng import identifier
from sim.wire.messages import Content, Message
from sim.wire.trade_ledger import (
    LedgerGet,
    LedgerPut,
    LedgerReceipt,
    LedgerRecord,
    LedgerRow,
    LedgerRows,
    TradeDetail,
    TradeStatus,
    ValidationMetric,
)

DAY = Calendar(local_start(datetime(2026, 1, 15), "UTC"), 1800, 48)
KEY = ("tx-123", "item-1")
SELLER_APP, BUYER_APP, NORTH, SOUTH = "seller-app", "buyer-app", "north", "south"
"""Platforms and utilities: the seller's, the buyer's."""

PUT = LedgerPut(
    role="SELLER",
    transactionId=KEY[0],
    orderItemId=KEY[1],
    platformIdBuyer=BUYER_APP,
    platformIdSeller=SELLER_APP,
    discomIdBuyer=SOUTH,
    discomIdSeller=NORTH,
    buyerId="CA-0000123",
    sellerId="DER-9981",
    tradeTime="2026-01-15T10:20:30Z",
    deliveryStartTime="2026-01-15T11:00:00Z",
    deliveryEndTime="2026-01-15T11:30:00Z",
    tradeDetails=(TradeDetail(tradeQty=12.5, tradeType="ENERGY", tradeUnit="KWH"),),
)
ACTIONS = {LedgerPut: "ledger/put", LedgerRecord: "ledger/record", LedgerGet: "ledger/get"}


def put(role: str = "SELLER", **changes: Any) -> LedgerPut:
    """The trade, as the platform of a role puts it."""
    return replace(PUT, role=role, **changes)


def record(side: str, status: TradeStatus | None = None, kwh: float | None = None, **more: Any) -> LedgerRecord:
    """What the utility of the BUYER or the SELLER records."""
    fields: dict[str, Any] = {"transactionId": KEY[0], "orderItemId": KEY[1]}
    if status is not None:
        fields[f"status{side.title()}Discom"] = status
    if kwh is not None:
        kind = {"BUYER": "ACTUAL_PULLED", "SELLER": "ACTUAL_PUSHED"}[side]
        metric = ValidationMetric(validationMetricType=kind, validationMetricValue=kwh)  # type: ignore[arg-type]
        fields[f"{side.lower()}FulfillmentValidationMetrics"] = (metric,)
    return LedgerRecord(role=f"{side}_DISCOM", **(fields | more))  # type: ignore[arg-type]


class Desk:
    """A ledger, and whoever speaks to it, a second after each other."""

    def __init__(self, **more: Any) -> None:
        members: dict[str, Any] = {"platforms": (BUYER_APP, SELLER_APP), "utilities": (NORTH, SOUTH)}
        self.ledger = TradeLedger(mesa.Model(rng=1), "ledger", Ids(1, "ledger"), calendar=DAY, **(members | more))
        self.second = itertools.count(37_231)

    def message(self, sender: str, content: Content) -> Message:
        """A message to the ledger."""
        at_s = next(self.second)
        action = ACTIONS[type(content)]  # type: ignore[index]
        ids = identifier(1, "t"), identifier(1, sender, str(at_s))
        return Message(action, sender, "ledger", *ids, content, sent_s=at_s)

    def ask(self, sender: str, content: Content) -> Any:
        """What the ledger answers.  Raises ``Refusal``."""
        (answer,) = self.ledger.handle(self.message(sender, content))
        assert isinstance(answer, Message)
        assert answer.recipient == sender
        return answer.content

    def agreed(self) -> LedgerReceipt:
        """Both platforms put the trade; the second receipt."""
        self.ask(SELLER_APP, put("SELLER"))
        receipt = self.ask(BUYER_APP, put("BUYER"))
        assert isinstance(receipt, LedgerReceipt)
        return receipt

    def get(self, reader: str, **filters: Any) -> tuple[LedgerRow, ...]:
        """The rows that a reader is shown."""
        rows = self.ask(reader, LedgerGet(**filters))
        assert isinstance(rows, LedgerRows)
        assert rows.count == len(rows.records)
        return rows.records

    @property
    def row(self) -> LedgerRow:
        """The only row."""
        (row,) = self.ledger.rows
        return row
