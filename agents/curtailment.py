"""What a grid operator takes off a deal: how it is spread, and what follows for the device and for the price."""

from __future__ import annotations

from msgspec import UNSET

from agents.deal import Deal, quote
from agents.deal_forms import on_wire, price_of
from agents.twins.course import CourseTwin
from sim.clock import Calendar
from sim.wire.bags import EnergyTradeDelivery
from sim.wire.codes import Code, Refusal
from sim.wire.core import Contract, Descriptor, Performance

CURTAILED_KWH = "/message/contract/performance/0/performanceAttributes/curtailedQuantity"


def curtail(deal: Deal, told: EnergyTradeDelivery, now_s: int, calendar: Calendar) -> None:
    """Take off a deal so much that it is ``curtailedQuantity`` in all, evenly over what is left of its window.

    A device of the provider's own gives so much less.  Raises ``Refusal`` for more than is left, and for what was more before.
    """
    total_kwh = told.curtailedQuantity or 0.0
    more_kwh = total_kwh - sum(deal.curtailed_kwh.values())
    start_s = max(now_s, deal.start_s)
    left_kwh = deal.kwh * max(deal.end_s - start_s, 0) / (deal.end_s - deal.start_s)
    if not -1e-6 <= more_kwh <= left_kwh + 1e-6:
        what = f"{total_kwh:g} kWh in all, where {more_kwh:g} kWh would be new and {left_kwh:g} kWh are left"
        raise Refusal(Code.SCH_SCHEMA_VALIDATION_FAILED, CURTAILED_KWH, what)
    if more_kwh <= 0:
        return
    for index in range(calendar.index_at(start_s), calendar.index_at(deal.end_s - 1) + 1):
        interval = calendar.interval(index)
        overlap_s = min(deal.end_s, interval.end_s) - max(start_s, interval.start_s)
        kwh = more_kwh * overlap_s / (deal.end_s - start_s)
        deal.curtailed_kwh[index] = deal.curtailed_kwh.get(index, 0.0) + kwh
        if deal.item.device is not None and isinstance(deal.item.device.twin, CourseTwin):
            deal.item.device.twin.curtail(index, kwh)


def curtailed_on_wire(deal: Deal, told: EnergyTradeDelivery, calendar: Calendar, currency: str) -> Contract:
    """What the taker is told of it: how much, why, and what the deal is expected to come to now."""
    performance = Performance(
        id=f"{deal.contract.id}/curtailment",
        status=Descriptor(code="PARTIALLYFULFILLED"),
        performanceAttributes=told,
    )
    consideration = price_of(deal, quote(deal, calendar), currency, "REVISED")
    return on_wire(deal, performance=(performance,), consideration=consideration or UNSET)
