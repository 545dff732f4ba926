"""Tariffs by time of day."""

from __future__ import annotations

import pytest

from sim.tariff import prices_by_minute
from sim.wire.bags import ENERGY, PriceComponent, Tariff, TariffElement, TariffRestrictions


def tariff(*elements: tuple[str, str, float]) -> Tariff:
    return Tariff(
        ENERGY,
        currency="EUR",
        direction="IMPORT",
        elements=tuple(
            TariffElement(
                priceComponents=(PriceComponent(type="ENERGY", price=price),),
                restrictions=TariffRestrictions(startTime=start, endTime=end),
            )
            for start, end, price in elements
        ),
    )


def test_the_first_element_that_holds_counts() -> None:
    prices = prices_by_minute(tariff(("06:00", "22:00", 0.3), ("00:00", "24:00", 0.2)))
    assert (prices[0], prices[359], prices[360], prices[1319], prices[1320]) == (0.2, 0.2, 0.3, 0.3, 0.2)


def test_a_window_may_pass_midnight() -> None:
    prices = prices_by_minute(tariff(("22:00", "06:00", 0.2), ("06:00", "22:00", 0.3)))
    assert (prices[1320], prices[1439], prices[0], prices[359], prices[360]) == (0.2, 0.2, 0.2, 0.2, 0.3)


def test_a_hole_in_a_tariff_is_named_and_never_free() -> None:
    with pytest.raises(ValueError, match="covers 22:00"):
        prices_by_minute(tariff(("00:00", "22:00", 0.3), ("23:00", "24:00", 0.3)))
