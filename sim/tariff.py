"""What a tariff says at a time of day."""

from __future__ import annotations

from msgspec import UNSET

from sim.wire.bags import Tariff, TariffElement

MINUTES = 24 * 60


def prices_by_minute(tariff: Tariff) -> tuple[float, ...]:
    """Energy price per kWh at every local minute of the day, [1440].

    The first element that holds counts; windows may pass midnight.  Raises ``ValueError`` where no element holds (a tariff
    with a hole has no price there, and zero is not a price), and for what depends on more than the time of day.
    """
    prices: list[float | None] = [None] * MINUTES
    for element in reversed(tariff.elements):
        for minute in _minutes_of(element):
            prices[minute] = _energy_price(element)
    found = tuple(price for price in prices if price is not None)
    if len(found) < MINUTES:
        hole = prices.index(None)
        raise ValueError(f"no element of the tariff covers {hole // 60:02d}:{hole % 60:02d}")
    return found


def _energy_price(element: TariffElement) -> float:
    kinds = [component.type for component in element.priceComponents]
    if kinds != ["ENERGY"]:
        raise ValueError(f"an element prices {', '.join(kinds)}; only ENERGY is a price per kWh")
    return element.priceComponents[0].price


def _minutes_of(element: TariffElement) -> range | list[int]:
    restrictions = element.restrictions
    if restrictions is UNSET:
        return range(MINUTES)
    others = (restrictions.dayOfWeek, restrictions.minKWh, restrictions.maxKWh, restrictions.reservation)
    if any(other is not UNSET for other in others):
        raise ValueError("an element holds on some days, amounts or reservations only; a price by minute cannot say so")
    start = 0 if restrictions.startTime is UNSET else _minutes(restrictions.startTime)
    end = MINUTES if restrictions.endTime is UNSET else _minutes(restrictions.endTime)
    return range(start, end) if start < end else [*range(start, MINUTES), *range(end)]


def _minutes(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)
