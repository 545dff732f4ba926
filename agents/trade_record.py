"""What a platform knows of a trade that is recorded in a ledger, and how it says so to the other platform and to the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from msgspec import UNSET
from msgspec.structs import replace

from sim.participant import Participant, Reaction
from sim.wire.bags import (
    ENERGY,
    AllocatedReading,
    EnergyContract,
    EnergyCustomer,
    EnergyOrderItem,
    EnergyTradeDelivery,
    EnergyTradeOrderInterUtility,
    TimeWindow,
)
from sim.wire.codes import Code, Refusal
from sim.wire.core import Contract, Descriptor, Performance
from sim.wire.core import Participant as WireParticipant
from sim.wire.messages import Message
from sim.wire.need import ATTRIBUTES, bag, needed
from sim.wire.trade_ledger import LedgerPut, LedgerReceipt, TradeDetail

Side = Literal["BUYER", "SELLER"]
PARTICIPANT = "/message/contract/participants/0/participantAttributes"
ITEM = "/message/contract/commitments/0/commitmentAttributes"


@dataclass(frozen=True, slots=True)
class Customer:
    """Whoever trades, by its meter, and the utility that reads it."""

    meter: str
    utility: str

    def on_wire(self) -> EnergyCustomer:
        """As messages name it."""
        return EnergyCustomer(ENERGY, meterId=self.meter, utilityCustomerId=self.meter, utilityId=self.utility)

    @classmethod
    def of(cls, body: EnergyCustomer, where: str) -> Customer:
        """Raises ``Refusal`` for one that does not say which utility's it is."""
        return cls(str(body.meterId), str(needed(body.utilityId, f"{where}/utilityId")))


@dataclass(slots=True)
class TradeRecord:
    """A trade as it stands in the ledger, for the platform that put it.

    item: its key there, with the transaction.  traded_at: when it was agreed (RFC 3339); window: of delivery.  told: what each
    utility says that it settles [kWh]; readings: what they allocated.
    """

    item: str
    buyer: Customer
    seller: Customer
    window: TimeWindow
    traded_at: str = ""
    told: dict[str, Decimal] = field(default_factory=dict)
    readings: tuple[AllocatedReading, ...] = ()

    @property
    def utilities(self) -> tuple[str, ...]:
        """Those that settle it."""
        return tuple(dict.fromkeys((self.seller.utility, self.buyer.utility)))

    @property
    def settled_kwh(self) -> Decimal | None:
        """What it settles, once all its utilities have said the same."""
        said = {self.told.get(utility) for utility in self.utilities}
        return said.pop() if len(said) == 1 else None


# between platforms


def buyer_in(contract: Contract) -> Customer:
    """The customer in whose name a platform buys.  Raises ``Refusal`` where it does not say."""
    participants = needed(contract.participants, "/message/contract/participants")
    body = bag(participants[0].participantAttributes, EnergyCustomer, PARTICIPANT)
    return Customer.of(body, PARTICIPANT)


def with_buyer(contract: Contract, buyer: Customer) -> Contract:
    """A contract that says in whose name it is asked for."""
    party = WireParticipant(id=buyer.meter, descriptor=Descriptor(code="BUYER"), participantAttributes=buyer.on_wire())
    return replace(contract, participants=(party,))


def with_both(contract: Contract, record: TradeRecord) -> Contract:
    """A contract that says whose meters are traded between, and since when."""
    status = EnergyTradeDelivery(ENERGY, deliveryStatus="PENDING", lastUpdated=record.traded_at or UNSET)
    line = EnergyOrderItem(ENERGY, providerAttributes=record.seller.on_wire(), fulfillmentAttributes=status)
    commitments = (replace(contract.commitments[0], commitmentAttributes=line), *contract.commitments[1:])
    return with_buyer(replace(contract, commitments=commitments), record.buyer)


def as_order(contract: Contract, record: TradeRecord, platforms: tuple[str, str]) -> Contract:
    """A contract as the order between two platforms, of buyer and seller, and between two utilities."""
    order = EnergyTradeOrderInterUtility(
        ENERGY,
        bap_id=platforms[0],
        bpp_id=platforms[1],
        total_quantity=contract.commitments[0].resources[0].quantity.value,
        utilityIdBuyer=record.buyer.utility,
        utilityIdSeller=record.seller.utility,
    )
    return replace(with_both(contract, record), contractAttributes=order)


def seller_in(contract: Contract) -> tuple[Customer, str]:
    """Who sells, and when the trade was agreed; empty as long as it is not.  Raises ``Refusal`` where it is not said."""
    line = bag(contract.commitments[0].commitmentAttributes, EnergyOrderItem, ITEM)
    status = line.fulfillmentAttributes
    at = "" if status is UNSET or status.lastUpdated is UNSET else status.lastUpdated
    return Customer.of(line.providerAttributes, f"{ITEM}/providerAttributes"), at


# to the ledger


class LedgerClerk:
    """Puts one platform's side of every trade into a ledger.

    A component of the platform, not an agent.  receipts: of every row, by its item; refused: what the ledger would not take.
    """

    def __init__(self, owner: Participant, ledger: str, side: Side) -> None:
        self._owner = owner
        self._ledger = ledger
        self._side = side
        self._asked: dict[str, str] = {}
        self.receipts: dict[str, LedgerReceipt] = {}
        self.refused: list[str] = []

    @property
    def reactions(self) -> Mapping[str, Reaction]:
        """What the owner serves for it."""
        return {"ledger/on_put": self.on_receipt}

    def put(self, record: TradeRecord, transaction_id: str, platforms: tuple[str, str], kwh: float) -> Message:
        """Tell the ledger of a trade; the same one again changes nothing.  platforms: of buyer and seller."""
        body = LedgerPut(
            role=self._side,
            transactionId=transaction_id,
            orderItemId=record.item,
            platformIdBuyer=platforms[0],
            platformIdSeller=platforms[1],
            discomIdBuyer=record.buyer.utility,
            discomIdSeller=record.seller.utility,
            buyerId=record.buyer.meter,
            sellerId=record.seller.meter,
            tradeTime=record.traded_at,
            deliveryStartTime=record.window.start,
            deliveryEndTime=record.window.end,
            tradeDetails=(TradeDetail(tradeQty=kwh, tradeType="ENERGY", tradeUnit="KWH"),),
            clientReference=f"{record.item}/{self._side}",
        )
        asked = self._owner.request("ledger/put", self._ledger, body, transaction_id)
        self._asked[asked.message_id] = record.item
        return asked

    def on_receipt(self, message: Message) -> tuple[()]:
        """The ledger has taken it."""
        item = self._asked.pop(message.message_id, None)
        if item is None:
            raise Refusal(Code.PRC_INVALID_TRANSITION, "/context/messageId", "answers nothing that was put")
        assert isinstance(message.content, LedgerReceipt)
        self.receipts[item] = message.content
        return ()

    def refusal_of(self, message: Message) -> str | None:
        """The item of a put that this refuses; None where it is about something else."""
        item = self._asked.pop(message.message_id, None)
        if item is not None:
            self.refused.append(item)
        return item


# from the utilities


def record_about(message: Message, records: Iterable[TradeRecord | None]) -> TradeRecord | None:
    """The trade that a utility speaks of; None where a message is about something else.

    Raises ``Refusal`` for somebody who is no utility of it.
    """
    about = message.contract.commitments[0].resources[0].id
    for record in records:
        if record is not None and record.item == about:
            if message.sender not in record.utilities:
                what = f"{message.sender} is no utility of {about}"
                raise Refusal(Code.AUT_NOT_AUTHORIZED, "/context/bppId", what)
            return record
    return None


def told_in(message: Message) -> EnergyTradeDelivery:
    """What a utility says of a trade.  Raises ``Refusal`` where it says nothing."""
    performance = needed(message.contract.performance, "/message/contract/performance")[0]
    where = "/message/contract/performance/0/performanceAttributes"
    return bag(performance.performanceAttributes, EnergyTradeDelivery, where)


def state(record: TradeRecord, utility: str, body: EnergyTradeDelivery) -> None:
    """Take in what a utility says that a trade settles.  Raises ``Refusal`` where it has said something else before."""
    where = "/message/contract/performance/0/performanceAttributes/deliveredQuantity"
    energy_kwh = Decimal(repr(needed(body.deliveredQuantity, where)))
    if record.told.get(utility, energy_kwh) != energy_kwh:
        what = f"{utility} has said {record.told[utility]} kWh of {record.item}, and now {energy_kwh}"
        raise Refusal(Code.PRC_CONFLICT, where, what)
    record.told[utility] = energy_kwh
    record.readings = body.meterReadings or ()


def moved_to(contract: Contract) -> tuple[str, TimeWindow] | None:
    """Under which item and in which window a trade is to be put anew; None where it is not moved."""
    attributes = contract.contractAttributes
    if not isinstance(attributes, EnergyContract) or attributes.reservationId is UNSET:
        return None
    return attributes.reservationId, needed(attributes.timeWindow, f"{ATTRIBUTES}/timeWindow")


def as_moved(contract: Contract, record: TradeRecord) -> Contract:
    """A contract that says under which item and in which window its trade is put anew."""
    attributes = bag(contract.contractAttributes, EnergyContract, ATTRIBUTES)
    moved = replace(attributes, timeWindow=record.window, reservationId=record.item)
    return replace(contract, contractAttributes=moved)


def delivery_of(contract_id: str, record: TradeRecord) -> Performance:
    """How a trade was delivered, as its two utilities allocated it."""
    settled_kwh = record.settled_kwh
    status: Literal["FAILED", "COMPLETED"] = "FAILED" if settled_kwh is None else "COMPLETED"
    body = EnergyTradeDelivery(
        ENERGY,
        deliveryStatus=status,
        deliveredQuantity=float(settled_kwh or 0),
        meterReadings=record.readings or UNSET,
    )
    return Performance(id=f"{contract_id}/trade", status=Descriptor(code=status), performanceAttributes=body)
