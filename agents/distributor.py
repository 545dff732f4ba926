"""A distribution utility: approves trades between meters, locks their energy, reads them, and curtails what it must.

What a meter says beyond or short of what was traded on it is no matter of the trade, but of a side contract between whoever
has the meter and the utility.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import ClassVar, Literal, cast

from msgspec import UNSET, UnsetType

from agents.curtailment import curtail
from agents.deal import Deal, Item
from agents.diary import DIARY, Entry, alarms
from agents.ledger_books import LedgerBooks
from agents.settling import LAST_S, SETTLE_AFTER_S, Settling
from agents.till import Till
from sim.clock import Calendar, Interval
from sim.contracts.contract import Status, Turn, transition
from sim.forms import readings_in
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

DeliveryStatus = Literal["IN_PROGRESS", "COMPLETED"]
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
    """A trade that was asked for.

    source, target: meters of seller and buyer.  parties: who plays which role.  locked: whether it was confirmed.  beside: the
    side contracts of its parties.
    """

    asked: Message
    source: str
    target: str
    kwh: float
    start_s: int
    end_s: int
    commitment: Commitment
    parties: Mapping[str, str]
    locked: bool = False
    curtailed_kwh: float = 0.0
    beside: tuple[Deal, ...] = ()

    def transaction_id(self, role: str) -> str:
        """The transaction in which a party knows the trade: whoever arranged it by ours, the other by the one before."""
        lineage = self.asked.lineage
        arranged = lineage is None or self.parties[role] == self.asked.sender
        return self.asked.transaction_id if arranged or lineage is None else lineage.transactionId

    def lasts(self, interval: Interval) -> bool:
        """Whether some of an interval is in its window."""
        return interval.end_s > self.start_s and interval.start_s < self.end_s


class Distributor(Participant):
    """Approves as much of a trade as both of its meters may still trade, and locks it when it is confirmed.

    Whoever arranged the trade is told of every interval what both meters say.  diary: ``curtail`` takes kWh off a trade, or all
    of it; whoever arranged it hears of it at once.  deviation: by role, what it offers a party of every trade as a side
    contract, settled interval by interval by its own ``till``.  books: of trades with customers of other utilities, which a
    ledger holds; of such a trade only our own meter is approved and locked, and ``relieve`` takes it off the wires.
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
        currency: str,
        till: Callable[[Participant], Till],
        deviation: Mapping[str, Item] | None = None,
        diary: tuple[Entry, ...] = (),
        books: Callable[[Distributor], LedgerBooks] | None = None,
    ) -> None:
        super().__init__(registry, era, ids)
        self.meters = dict(meters)
        self.trades: dict[str, Trade] = {}
        self._signed: dict[str, list[str]] = {}
        """Meters of ours whose trades we were not asked for before, by their items in a ledger."""
        self._wheeling_per_kwh = wheeling_per_kwh
        self._calendar = calendar
        self._currency = currency
        self._till = till(self)
        self._settling = Settling(calendar, self._till)
        self._deviation = deviation or {}
        self._diary = diary
        self.reactions |= {
            "init": self.on_init,
            "confirm": self.on_confirm,
            "cancel": self.on_cancel,
            "on_status": self.on_status,
            "settle": self.on_settle,
            DIARY: self.on_diary,
        }
        self.books = None if books is None else books(self)
        """Of trades with customers of other utilities, where there are any."""
        if self.books is not None:
            self.reactions |= self.books.reactions

    def on_start(self, alarm: Alarm) -> Iterable[Event]:
        """Think of what is to be done by the clock."""
        yield from alarms(self._diary, alarm.at_s)
        if self._deviation:
            for interval in self._calendar.intervals():
                yield Alarm(interval.end_s + SETTLE_AFTER_S, "settle", interval.index)
            yield Alarm(self._calendar.duration_s + LAST_S, "settle", self._calendar.count - 1)
        if self.books is not None:
            yield from self.books.begin(alarm.at_s)

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
        for meter in self._own(trade):
            meter.traded_kwh += trade.kwh
        if len(self._own(trade)) > 1:
            trade.beside = tuple(self._beside(trade, message.sent_s))
        return (self.answer(message, ContractContent(contract=self._answer(trade, message, "ACTIVE"))),)

    def on_cancel(self, message: Message) -> Iterable[Event]:
        """A trade is off: what was locked for it can be traded again."""
        trade = self.trades.get(str(message.contract.id))
        if trade is None or trade.asked.sender != message.sender:
            what = f"{self.era} has no trade {message.contract.id} of {message.sender}"
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, "/message/contract/id", what)
        del self.trades[str(message.contract.id)]
        self._release(trade, trade.kwh - trade.curtailed_kwh)
        for deal in trade.beside:
            deal.status = transition(deal.contract.id, deal.status, Turn.CANCEL)
            self._till.chronicle.ended(deal.contract, Turn.CANCEL)
        return (self.answer(message, ContractContent(contract=self._answer(trade, message, "TERMINATED"))),)

    def _release(self, trade: Trade, kwh: float) -> None:
        if trade.locked:
            for meter in self._own(trade):
                meter.traded_kwh -= kwh

    def _own(self, trade: Trade) -> list[TradedMeter]:
        """Those meters of a trade that are ours: both, or of a trade with another utility's customer one."""
        return [self.meters[meter] for meter in (trade.source, trade.target) if meter in self.meters]

    def _trade(self, message: Message) -> Trade:
        attributes = bag(message.contract.contractAttributes, EnergyContract, ATTRIBUTES)
        window = needed(attributes.timeWindow, f"{ATTRIBUTES}/timeWindow")
        found: dict[str, str] = {}
        parties: dict[str, str] = {role.role: str(role.filledBy) for role in attributes.roles or () if role.filledBy}
        for role in attributes.roles or ():
            if isinstance(role.roleInputs, RoleInputs):
                found |= {"source": str(role.roleInputs.sourceMeterId)} if role.roleInputs.sourceMeterId else {}
                found |= {"target": str(role.roleInputs.targetMeterId)} if role.roleInputs.targetMeterId else {}
        for end in ("source", "target"):
            if end not in found:
                what = f"expected {end}MeterId in the inputs of a role, got none"
                raise Refusal(Code.SCH_REQUIRED_FIELD_MISSING, f"{ATTRIBUTES}/roles", what)
        strange = [meter for meter in found.values() if meter not in self.meters]
        if strange and (self.books is None or len(strange) == len(found)):
            what = f"{self.era} has no meter {strange[0]!r}"
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, f"{ATTRIBUTES}/roles", what)
        commitment = message.contract.commitments[0]
        start_s, end_s = self._calendar.seconds(window.start), self._calendar.seconds(window.end)
        kwh = commitment.resources[0].quantity.value
        return Trade(message, found["source"], found["target"], kwh, start_s, end_s, commitment, parties)

    def _most_kwh(self, trade: Trade) -> float:
        return min(meter.left_kwh for meter in self._own(trade))

    def _check(self, trade: Trade) -> None:
        most_kwh = self._most_kwh(trade)
        if trade.kwh > most_kwh + 1e-9:
            what = f"{trade.kwh:g} kWh between {trade.source} and {trade.target}, and {most_kwh:g} kWh may be traded"
            raise Refusal(Code.BIZ_CAP_EXCEEDED, "/message/contract/commitments/0/resources/0/quantity", what)

    def _answer(self, trade: Trade, message: Message, status: str) -> Contract:
        source, target = self.meters.get(trade.source), self.meters.get(trade.target)
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
                        buyerTradeCap=UNSET if target is None else target.cap_kwh,
                        sellerTradeCap=UNSET if source is None else source.cap_kwh,
                        currentBuyerTradesTotal=UNSET if target is None else target.traded_kwh,
                        currentSellerTradesTotal=UNSET if source is None else source.traded_kwh,
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

    # beside the trade

    def _beside(self, trade: Trade, now_s: int) -> Iterator[Deal]:
        """The side contracts of a trade, in force from now on: each is a deal of its own, of which nothing was agreed."""
        for role, item in self._deviation.items():
            if role not in trade.parties:
                continue
            contract = item.contract(self.ids.fresh(), self._currency, trade.parties[role])
            deal = Deal(
                replace(item, meter=trade.source if role == "SELLER" else ""),
                trade.parties[role],
                contract,
                trade.transaction_id(role),
                trade.kwh,
                trade.start_s,
                trade.end_s,
                trade.source if role == "SELLER" else trade.target,
                status=Status.ACTIVE,
                first=self._calendar.index_at(max(now_s, trade.start_s, 0)),
            )
            self._till.chronicle.in_force(contract)
            yield deal

    def on_settle(self, alarm: Alarm) -> Iterable[Event]:
        """An interval is over: settle what beside the trades was delivered or drawn."""
        end_s = self._calendar.interval(alarm.index).end_s
        deals = [deal for trade in self.trades.values() for deal in trade.beside]
        for deal in deals:
            if deal.over_s is None and deal.end_s <= end_s:
                deal.over_s = deal.end_s
        for _, message in self._settling.due(deals, alarm.at_s):
            yield message

    # delivery

    def on_status(self, message: Message) -> Iterable[Event]:
        """Readings of our meters: tell whoever arranged a trade between two of them what both say, while it lasts."""
        index, readings = readings_in(message, self._calendar)
        if self.books is not None:
            self.books.read(readings or {}, index)
        self._settling.read(message)
        interval = self._calendar.interval(index)
        for trade in self.trades.values():
            if readings is None or not trade.locked or not self._is_told(trade, interval):
                continue
            status: DeliveryStatus = "COMPLETED" if trade.end_s <= interval.end_s else "IN_PROGRESS"
            performance = tuple(
                self._delivery(trade, meter, readings[meter], status) for meter in (trade.source, trade.target)
            )
            yield self._tell(trade, performance)

    def _is_told(self, trade: Trade, interval: Interval) -> bool:
        """Of a trade with another utility's customer the ledger says what both meters did."""
        return trade.lasts(interval) and len(self._own(trade)) == 2

    def _delivery(self, trade: Trade, meter: str, reading: MeterReading, status: DeliveryStatus) -> Performance:
        body = EnergyDelivery(ENERGY, deliveryStatus=status, meterId=meter, meterReadings=(reading,))
        index = self._calendar.index_at(self._calendar.seconds(reading.timeWindow.start))
        return Performance(
            id=f"{trade.asked.contract.id}/{meter}/{index}",
            status=Descriptor(code=status),
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

    # trades of a ledger

    def traded_here(self, meter: str, start_s: int, end_s: int) -> Decimal:
        """What of a meter between two seconds is locked for trades among our own customers [kWh, + sold, − bought]."""
        total = Decimal(0)
        for trade in self.trades.values():
            if (
                trade.locked
                and {trade.source, trade.target} <= set(self.meters)
                and meter in (trade.source, trade.target)
            ):
                overlap_s = max(min(end_s, trade.end_s) - max(start_s, trade.start_s), 0)
                share_kwh = (trade.kwh - trade.curtailed_kwh) * overlap_s / (trade.end_s - trade.start_s)
                total += Decimal(f"{share_kwh:.6f}") * (1 if meter == trade.source else -1)
        return total

    def _relieve(self, now_s: int, entry: Entry) -> Iterable[Event]:
        """Take trades of the ledger off the wires."""
        if self.books is None:
            return ()
        return self.books.relieve(now_s, entry, self._released)

    def admits(self, item: str, meter: str, kwh: float) -> bool:
        """Whether a meter may trade so much more under an item of a ledger; locked then, unless it was asked for before."""
        signed = self._signed.setdefault(item, [])
        if item in self.trades or meter in signed:
            return True
        if meter not in self.meters or kwh > self.meters[meter].left_kwh + 1e-9:
            return False
        signed.append(meter)
        self.meters[meter].traded_kwh += kwh
        return True

    def _released(self, item: str, kwh: Decimal) -> None:
        """What is not carried may be traded again."""
        trade = self.trades.get(item)
        if trade is not None:
            trade.curtailed_kwh += float(kwh)
            self._release(trade, float(kwh))
        else:
            for meter in self._signed.get(item, ()):
                self.meters[meter].traded_kwh -= float(kwh)

    # curtailment

    def on_diary(self, alarm: Alarm) -> Iterable[Event]:
        """Do what is due."""
        entry = self._diary[alarm.index]
        return self.VERBS[entry.do](self, alarm.at_s, entry)

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
            for deal in trade.beside:
                curtail(deal, EnergyTradeDelivery(ENERGY, curtailedQuantity=trade.curtailed_kwh), now_s, self._calendar)
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

    VERBS: ClassVar[Mapping[str, Callable[[Distributor, int, Entry], Iterable[Event]]]] = {
        "curtail": _curtail,
        "relieve": _relieve,
    }
    """What its diary can have it do, by name."""
