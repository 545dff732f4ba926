"""What a tariff says at a time of day."""

from __future__ import annotations

from msgspec import UNSET

from sim.wire.bags import Tariff, TariffElement


def _minutes(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def _holds(element: TariffElement, minute: int) -> bool:
    if element.restrictions is UNSET:
        return True
    start, end = _minutes(element.restrictions.startTime), _minutes(element.restrictions.endTime)
    return start <= minute < end if start < end else minute >= start or minute < end


def price_per_kwh(tariff: Tariff, minute_of_day: int) -> float:
    """Energy price at a local minute of the day: the first element that holds counts; windows may pass midnight.

    Raises ``ValueError`` where no element holds: a tariff with a hole has no price there, and zero is not a price.
    """
    for element in tariff.elements:
        if _holds(element, minute_of_day):
            return element.priceComponents[0].price
    raise ValueError(f"no element of the tariff covers {minute_of_day // 60:02d}:{minute_of_day % 60:02d}")
