"""What a provider has on offer, and what is left of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from msgspec import UNSET, UnsetType, to_builtins
from msgspec.structs import replace

from agents import reserves
from agents.deal import Deal, Item
from agents.trade_record import TradeRecord, buyer_in
from sim.clock import Calendar
from sim.contracts.contract import Status
from sim.errors import ContractError
from sim.wire.bags import EnergyContract, EnergyResource, RoleInputs, TimeWindow
from sim.wire.codes import Code, Refusal
from sim.wire.core import Catalog, Descriptor, Provider, Resource
from sim.wire.messages import Message, uri
from sim.wire.need import ATTRIBUTES, bag
from sim.wire.search.periods import overlaps

COMMITMENT = "/message/contract/commitments/0"
_LEAST_KWH = 1e-9
A_SECOND = timedelta(seconds=1)


class Shelf:
    """The items of one provider.  listed: what the catalogue says of it."""

    def __init__(self, era: str, items: Sequence[Item], listed: Provider, calendar: Calendar, currency: str) -> None:
        self.items = {item.name: item for item in items}
        self._era = era
        self._listed = listed
        self._calendar = calendar
        self._currency = currency
        self._active = {item.name: item.call is None for item in items}

    def put(self, item: str, *, active: bool) -> None:
        """Offer an item from now on, or no longer."""
        self._active[item] = active

    def catalog(self, deals: Iterable[Deal] = ()) -> Catalog:
        """What is on offer now, and how much of it is left beside these deals."""
        active = [item for name, item in self.items.items() if self._active[name]]
        return Catalog(
            id=f"{self._era}/items",
            descriptor=Descriptor(name=f"Items of {self._era}"),
            provider=self._listed,
            bppId=self._era,
            bppUri=uri(self._era),
            isActive=UNSET if active else False,
            resources=tuple(self._resource(item, deals) for item in self.items.values() if item.call is None),
            offers=tuple(item.offer for item in active),
        )

    def _resource(self, item: Item, deals: Iterable[Deal]) -> Resource:
        listed, left_kwh = item.listed, _left_kwh(item, deals)
        if item.press is not None:
            listed = replace(listed, resourceAttributes=item.press.listed())
        attributes = listed.resourceAttributes
        if (
            left_kwh is not None
            and isinstance(attributes, EnergyResource)
            and attributes.availableQuantity is not UNSET
        ):
            listed = replace(listed, resourceAttributes=replace(attributes, availableQuantity=left_kwh))
        return listed if self._active[item.name] else replace(listed, isActive=False)

    def drawn_up(self, message: Message, contract_id: str, deals: Iterable[Deal]) -> Deal:
        """The deal that a message asks for, not yet made; deals: those that there are.

        Raises ``Refusal`` for an item that is not on offer, for more than is left of it, and for a window that has passed.
        """
        commitment = message.contract.commitments[0]
        item = self.items.get(commitment.resources[0].id)
        if item is None or commitment.offer.id != item.offer.id or not self._active[item.name]:
            what = f"{self._era} offers no {commitment.resources[0].id!r} under {commitment.offer.id!r}"
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, f"{COMMITMENT}/resources/0/id", what)
        attributes = bag(message.contract.contractAttributes, EnergyContract, ATTRIBUTES)
        start_s, end_s = self._window(attributes.timeWindow, message.sent_s)
        quantity = commitment.resources[0].quantity
        kwh, kw = (0.0, quantity.value) if quantity.unitCode == "KW" else (quantity.value, 0.0)
        if item.reserve is not None:
            kwh, kw = 0.0, reserves.capacity(item, quantity, (start_s, end_s), deals)
        _check_quantity(kwh, item, deals)
        try:
            taker = message.sender if item.seller is None else buyer_in(message.contract).meter
            contract = item.contract(contract_id, self._currency, taker)
        except ContractError as error:
            raise Refusal(Code.SCH_SCHEMA_VALIDATION_FAILED, ATTRIBUTES, str(error)) from error
        meter = _meter_in(attributes)
        _check_open(item, self._calendar.local(start_s))
        deal = Deal(item, message.sender, contract, message.transaction_id, kwh, start_s, end_s, meter, kw)
        if item.seller is not None:
            window = TimeWindow(start=self._calendar.timestamp(start_s), end=self._calendar.timestamp(end_s))
            deal.record = TradeRecord(contract_id, buyer_in(message.contract), item.seller, window)
        return deal

    def _window(self, window: TimeWindow | UnsetType, now_s: int) -> tuple[int, int]:
        if window is UNSET:
            return max(now_s, 0), self._calendar.duration_s
        start_s, end_s = self._calendar.seconds(window.start), self._calendar.seconds(window.end)
        if not now_s < end_s <= self._calendar.duration_s or start_s >= end_s:
            what = f"expected a window to come, within the run, got {window.start} to {window.end}"
            raise Refusal(Code.SCH_INVALID_FORMAT, f"{ATTRIBUTES}/timeWindow", what)
        return max(start_s, now_s, 0), end_s


def _check_open(item: Item, begins: datetime) -> None:
    windows = item.listed.availabilityWindow or ()
    if windows and not any(overlaps(to_builtins(window), begins, begins + A_SECOND) for window in windows):
        raise Refusal(Code.POL_DENIED, f"{ATTRIBUTES}/timeWindow/start", f"{item.name} is closed at {begins:%H:%M}")


def _check_quantity(kwh: float, item: Item, deals: Iterable[Deal]) -> None:
    where = f"{COMMITMENT}/resources/0/quantity"
    if kwh < 0:
        raise Refusal(Code.SCH_SCHEMA_VALIDATION_FAILED, where, f"expected at least 0 kWh, got {kwh:g}")
    left_kwh = _left_kwh(item, deals)
    if left_kwh is not None and kwh > left_kwh + _LEAST_KWH:
        raise Refusal(Code.BIZ_CAP_EXCEEDED, where, f"{kwh:g} kWh are asked for, {left_kwh:g} kWh are left")


def _left_kwh(item: Item, deals: Iterable[Deal]) -> float | None:
    """What is still to be had of an item; None where there is no end of it."""
    if item.quantity_kwh is None:
        return None
    standing = (Status.PENDING, Status.ACTIVE, Status.COMPLETED)
    return item.quantity_kwh - sum(deal.kwh for deal in deals if deal.item is item and deal.status in standing)


def _meter_in(attributes: EnergyContract) -> str:
    """The meter that whoever asks names for delivery; empty for none."""
    for role in attributes.roles or ():
        if isinstance(role.roleInputs, RoleInputs) and role.roleInputs.targetMeterId is not UNSET:
            return str(role.roleInputs.targetMeterId)
    return ""
