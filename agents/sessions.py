"""Sessions at connectors: plugging in, switching on and off, measuring, and how long the next one has to wait."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from agents.deal import Deal, Item
from agents.twins.connector import ConnectorTwin
from sim.clock import Interval
from sim.contracts.contract import Status
from sim.wire.bags import ChargingSession, CommitmentBag, EnergyObjectives
from sim.wire.codes import Code, Refusal

SESSION = "/message/contract/performance/0/performanceAttributes"
LEAST_KWH = 1e-9
RUNNING = ("ACTIVE", "INTERRUPTED")


def connector(item: Item) -> ConnectorTwin:
    """The connector of an item.  Raises ``Refusal`` for one that has none."""
    if item.device is None or not isinstance(item.device.twin, ConnectorTwin):
        raise Refusal(Code.SCH_TYPE_NOT_SUPPORTED, "/message/contract", f"{item.name} has no connector")
    return item.device.twin


def is_running(deal: Deal) -> bool:
    """Whether a deal's session has begun and not been stopped."""
    return deal.is_open and deal.over_s is None and deal.session in RUNNING


def measure(deal: Deal, now_s: int) -> None:
    """Take down what the connector of a running session has given so far."""
    twin = connector(deal.item)
    deal.taken_kwh, deal.power_kw, deal.full_s = twin.taken_kwh(now_s), twin.kw, twin.full_s


def count(deals: Iterable[Deal], interval: Interval) -> None:
    """Note what each session has taken in an interval, and which share that is of all that its connector gave."""
    given: dict[str, list[tuple[Deal, float]]] = {}
    for deal in deals:
        if deal.item.delivery != "session" or deal.began_s is None:
            continue
        if is_running(deal):
            measure(deal, interval.end_s)
        kwh = deal.taken_kwh - sum(deal.counted_kwh.values())
        if kwh > LEAST_KWH:
            deal.counted_kwh[interval.index] = kwh
            given.setdefault(deal.item.name, []).append((deal, kwh))
    for sessions in given.values():
        total = sum(Decimal(repr(kwh)) for _, kwh in sessions)
        for deal, kwh in sessions:
            deal.metered_share[interval.index] = Decimal(repr(kwh)) / total


def start(deal: Deal, told: ChargingSession, wish: CommitmentBag | object, now_s: int) -> None:
    """The car is plugged in and charges.

    told: with how much power it takes, and wish: how much it needs; what was agreed where they do not say.  Raises ``Refusal``
    for a connector that is taken.
    """
    twin = connector(deal.item)
    if twin.plugged:
        raise Refusal(Code.BIZ_CAP_EXCEEDED, "/message/contract", f"{deal.item.name} is taken")
    needed_kwh = wish.targetChargeKWh if isinstance(wish, EnergyObjectives) else 0.0
    twin.plug(needed_kwh or deal.kwh, told.maxPowerKW or -twin.min_kw)
    twin.switch_on(now_s)
    deal.began_s, deal.session = now_s, "ACTIVE"


def stop(deal: Deal, now_s: int) -> None:
    """The car is unplugged; the bill follows when the meter has been read."""
    measure(deal, now_s)
    connector(deal.item).unplug(now_s)
    deal.session, deal.power_kw = "STOP", 0.0


def interrupt(deal: Deal, now_s: int) -> None:
    """Nothing flows for a while."""
    connector(deal.item).switch_off(now_s)
    deal.session = "INTERRUPTED"


def resume(deal: Deal, now_s: int) -> None:
    """It flows again."""
    connector(deal.item).switch_on(now_s)
    deal.session = "ACTIVE"


def wait_s(item: Item, deals: Iterable[Deal], now_s: int) -> float:
    """How long until an item's connector is free, by what those before were agreed to take and when they begin [s]."""
    if item.device is None or not isinstance(item.device.twin, ConnectorTwin):
        return 0.0
    kw = -item.device.twin.min_kw
    before = (deal for deal in deals if deal.item is item and deal.status is Status.ACTIVE and deal.over_s is None)
    return sum(
        max(deal.kwh - deal.taken_kwh, 0.0) / kw * 3600 + (max(deal.start_s - now_s, 0) if deal.began_s is None else 0)
        for deal in before
    )
