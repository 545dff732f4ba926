"""A distribution utility: approves trades between meters, locks their energy, reads them, and curtails what it must."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

from msgspec import UNSET, UnsetType

from agents.diary import DIARY, Entry, alarms
from sim.clock import Calendar
from sim.forms import readings_in, window_of
from sim.participant import Ids, Participant, Registry
from sim.wire.bags import (
    ENERGY,
    EnergyContract,
    EnergyContractP2PTrade,
    EnergyDelivery,
    EnergyTradeDelivery,
    MeterReading,
    RoleInputs,
    TimeWindow,
    TradeBuyer,
    TradeBuyerInputs,
    TradeGrid,
    TradeGridInputs,
)
from sim.wire.codes import Code, Refusal
from sim.wire.core import Commitment, Contract, ContractStatus, Descriptor, Performance
from sim.wire.messages import Alarm, ContractContent, Event, Message
from sim.wire.need import ATTRIBUTES, bag, needed

Reason = Literal["GRID_OUTAGE", "EMERGENCY", "CONGESTION", "MAINTENANCE", "OTHER"]


@dataclass(slots=True)
class TradedMeter:
    """A meter and its trades of a run, in kWh: how much may be traded at it, and how much is."""

    cap_kwh: float
    traded_kwh: float = 0.0

    @property
    def left_kwh(self) -> float:
        """What may still be traded."""
        return max(self.cap_kwh - self.traded_kwh, 0.0)


@dataclass(slots=True)
class Trade:
    """A trade that was asked for.  source, target: meters of seller and buyer.  locked: whether it was confirmed."""

    asked: Message
    source: str
    target: str
    kwh: float
    start_s: int
    end_s: int
    commitment: Commitment
    locked: bool = False
    curtailed_kwh: float = 0.0
    told: set[int] = field(default_factory=set)


class Distributor(Participant):
    """Approves as much of a trade as both of its meters may still trade, and locks it when it is confirmed.

    Whoever arranged the trade is told of every interval what both meters say.  diary: ``curtail`` takes kWh off a trade, or all
    of it; whoever arranged it hears of it at once.
    """

    kind = "distributor"

    def __init__(
        self,
        registry: Registry,
        era: str,
        ids: Ids,
        *,
        meters: Mapping[str, TradedMeter],
        wheeling_per_kwh: float,
        calendar: Calendar,
        diary: tuple[Entry, ...] = (),
    ) -> None:
        super().__init__(registry, era, ids)
        self.meters = dict(meters)
        self.trades: dict[str, Trade] = {}
        self._wheeling_per_kwh = wheeling_per_kwh
        self._calendar = calendar
        self._diary = diary
        self._verbs: Mapping[str, Callable[[int, Entry], Iterable[Event]]] = {"curtail": self._curtail}
        self.reactions |= {
            "init": self.on_init,
            "confirm": self.on_confirm,
            "cancel": self.on_cancel,
            "on_status": self.on_status,
            DIARY: self.on_diary,
        }

    def on_start(self, alarm: Alarm) -> Iterable[Event]:
        """Think of what is to be done by the clock."""
        return alarms(self._diary, alarm.at_s)

    def on_init(self, message: Message) -> Iterable[Event]:
        """Say what may be traded between two meters, and what it costs to carry it.

        Raises ``Refusal`` for a meter that is not ours, and for more than either may still trade.
        """
        trade = self._trade(message)
        self._check(trade)
        self.trades[str(message.contract.id)] = trade
        return (self.answer(message, ContractContent(contract=self._answer(trade, message, "PENDING"))),)

    def on_confirm(self, message: Message) -> Iterable[Event]:
        """Lock a trade: neither meter can trade these kWh again.  Raises ``Refusal`` where others were faster."""
        trade = self.trades.get(str(message.contract.id))
        if trade is None or trade.asked.sender != message.sender:
            what = f"{self.era} has approved no trade {message.contract.id} of {message.sender}"
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, "/message/contract/id", what)
        if trade.locked:
            raise Refusal(Code.PRC_CONFLICT, "/message/contract/id", "the trade is locked already")
        self._check(trade)
        trade.locked = True
        for meter in (trade.source, trade.target):
            self.meters[meter].traded_kwh += trade.kwh
        return (self.answer(message, ContractContent(contract=self._answer(trade, message, "ACTIVE"))),)

    def on_cancel(self, message: Message) -> Iterable[Event]:
        """A trade is off: what was locked for it can be traded again."""
        trade = self.trades.pop(str(message.contract.id), None)
        if trade is None:
            what = f"{self.era} has no trade {message.contract.id}"
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, "/message/contract/id", what)
        self._release(trade, trade.kwh)
        return (self.answer(message, ContractContent(contract=self._answer(trade, message, "TERMINATED"))),)

    def _release(self, trade: Trade, kwh: float) -> None:
        if trade.locked:
            for meter in (trade.source, trade.target):
                self.meters[meter].traded_kwh -= kwh

    def _trade(self, message: Message) -> Trade:
        attributes = bag(message.contract.contractAttributes, EnergyContract, ATTRIBUTES)
        window = needed(attributes.timeWindow, f"{ATTRIBUTES}/timeWindow")
        found: dict[str, str] = {}
        for role in attributes.roles or ():
            if isinstance(role.roleInputs, RoleInputs):
                found |= {"source": str(role.roleInputs.sourceMeterId)} if role.roleInputs.sourceMeterId else {}
                found |= {"target": str(role.roleInputs.targetMeterId)} if role.roleInputs.targetMeterId else {}
        for end in ("source", "target"):
            if end not in found:
                what = f"expected {end}MeterId in the inputs of a role, got none"
                raise Refusal(Code.SCH_REQUIRED_FIELD_MISSING, f"{ATTRIBUTES}/roles", what)
            if found[end] not in self.meters:
                what = f"{self.era} has no meter {found[end]!r}"
                raise Refusal(Code.NET_ENTITY_NOT_FOUND, f"{ATTRIBUTES}/roles", what)
        commitment = message.contract.commitments[0]
        start_s, end_s = self._calendar.seconds(window.start), self._calendar.seconds(window.end)
        kwh = commitment.resources[0].quantity.value
        return Trade(message, found["source"], found["target"], kwh, start_s, end_s, commitment)

    def _most_kwh(self, trade: Trade) -> float:
        return min(self.meters[trade.source].left_kwh, self.meters[trade.target].left_kwh)

    def _check(self, trade: Trade) -> None:
        most_kwh = self._most_kwh(trade)
        if trade.kwh > most_kwh + 1e-9:
            what = f"{trade.kwh:g} kWh between {trade.source} and {trade.target}, and {most_kwh:g} kWh may be traded"
            raise Refusal(Code.BIZ_CAP_EXCEEDED, "/message/contract/commitments/0/resources/0/quantity", what)

    def _answer(self, trade: Trade, message: Message, status: str) -> Contract:
        source, target = self.meters[trade.source], self.meters[trade.target]
        window = TimeWindow(start=self._calendar.timestamp(trade.start_s), end=self._calendar.timestamp(trade.end_s))
        attributes = EnergyContractP2PTrade(
            ENERGY,
            templateId="trade-lock",
            status=status,  # type: ignore[arg-type]
            timeWindow=window,
            roles=(
                TradeBuyer(
                    filled=True,
                    filledBy=trade.target,
                    roleInputs=TradeBuyerInputs(
                        targetMeterId=trade.target,
                        contractedQuantity=trade.kwh,
                        tradeStartTime=window.start,
                        tradeEndTime=window.end,
                    ),
                ),
                TradeGrid(
                    filled=True,
                    filledBy=self.era,
                    roleInputs=TradeGridInputs(
                        wheelingCharges=self._wheeling_per_kwh,
                        buyerTradeCap=target.cap_kwh,
                        sellerTradeCap=source.cap_kwh,
                        currentBuyerTradesTotal=target.traded_kwh,
                        currentSellerTradesTotal=source.traded_kwh,
                    ),
                ),
            ),
        )
        core = {"PENDING": "DRAFT", "ACTIVE": "ACTIVE", "TERMINATED": "CANCELLED"}[status]
        return Contract(
            id=message.contract.id,
            status=ContractStatus(code=core),  # type: ignore[arg-type]
            commitments=(trade.commitment,),
            contractAttributes=attributes,
        )

    # delivery

    def on_status(self, message: Message) -> Iterable[Event]:
        """Readings of our meters: tell whoever arranged a trade between two of them what both say, while it lasts."""
        index, readings = readings_in(message, self._calendar)
        interval = self._calendar.interval(index)
        for trade in self.trades.values():
            if (
                readings is None
                or not trade.locked
                or interval.end_s <= trade.start_s
                or interval.start_s >= trade.end_s
            ):
                continue
            trade.told.add(index)
            performance = tuple(
                self._delivery(trade, meter, readings[meter], index) for meter in (trade.source, trade.target)
            )
            yield self._tell(trade, performance)

    def _delivery(self, trade: Trade, meter: str, reading: MeterReading, index: int) -> Performance:
        body = EnergyDelivery(
            ENERGY,
            deliveryStatus="IN_PROGRESS",
            meterId=meter,
            meterReadings=(
                MeterReading(
                    timeWindow=window_of(self._calendar, index),
                    consumedEnergy=reading.consumedEnergy,
                    producedEnergy=reading.producedEnergy,
                    unit="kWh",
                    quality=reading.quality,
                ),
            ),
        )
        return Performance(
            id=f"{trade.asked.contract.id}/{meter}/{index}",
            status=Descriptor(code="IN_PROGRESS"),
            performanceAttributes=body,
        )

    def _tell(
        self, trade: Trade, performance: tuple[Performance, ...], descriptor: Descriptor | UnsetType = UNSET
    ) -> Message:
        contract = Contract(
            id=trade.asked.contract.id,
            status=ContractStatus(code="ACTIVE"),
            descriptor=descriptor,
            commitments=(trade.commitment,),
            performance=performance,
        )
        ids = (trade.asked.transaction_id, self.ids.fresh())
        return Message("on_update", self.era, trade.asked.sender, *ids, ContractContent(contract=contract))

    # curtailment

    def on_diary(self, alarm: Alarm) -> Iterable[Event]:
        """Do what is due."""
        entry = self._diary[alarm.index]
        return self._verbs[entry.do](alarm.at_s, entry)

    def _curtail(self, now_s: int, entry: Entry) -> Iterable[Event]:
        """Take energy off every trade of a meter that is not over, up to so many kWh each; what is free again is released."""
        reason = cast(Reason, str(entry.say.get("reason", "OTHER")))
        for trade in self.trades.values():
            if not trade.locked or trade.end_s <= now_s or entry.about not in ("", trade.source, trade.target):
                continue
            share = min(trade.end_s - now_s, trade.end_s - trade.start_s) / (trade.end_s - trade.start_s)
            most_kwh = trade.kwh * share - trade.curtailed_kwh
            curtailed_kwh = min(float(entry.say.get("kwh", most_kwh)), most_kwh)
            trade.curtailed_kwh += curtailed_kwh
            self._release(trade, curtailed_kwh)
            body = EnergyTradeDelivery(
                ENERGY,
                deliveryStatus="IN_PROGRESS",
                curtailedQuantity=trade.curtailed_kwh,
                curtailmentReason=reason,
                lastUpdated=self._calendar.timestamp(now_s),
            )
            performance = Performance(
                id=f"{trade.asked.contract.id}/curtailment",
                status=Descriptor(code="CURTAILED"),
                performanceAttributes=body,
            )
            yield self._tell(trade, (performance,))
