"""Offer curves on the wire."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from sim.wire.basics import Breach, Currency, Wire

MAX_CURVE_POINTS = 4096
"""Bound of a curve on the wire: room for a portfolio's sum, none for a flood."""
INVALID = "POL_CURVE_INVALID"


class CurvePoint(Wire, frozen=True, kw_only=True):
    """Power (+ injection, − withdrawal, kW) at a price (currency/kWh)."""

    price: float
    powerKW: float


class OfferCurve(Wire, frozen=True, kw_only=True):
    """An offer curve as it stands on the wire; ``sim.curves`` gives it its meaning.

    minExport, maxExport: least and greatest power in kW (a negative minExport is the largest withdrawal).  Prices ascend, and
    power never falls as the price rises.
    """

    currency: Currency
    minExport: float
    maxExport: float
    curve: Annotated[tuple[CurvePoint, ...], Meta(min_length=1, max_length=MAX_CURVE_POINTS)]
    interpolation: Literal["LINEAR", "STEP"] | UnsetType = UNSET

    def __post_init__(self) -> None:
        before_price, before_kw = self.curve[0].price, self.minExport
        for point in self.curve:
            if point.price < before_price or point.powerKW < before_kw or point.powerKW > self.maxExport:
                raise self._breach()
            before_price, before_kw = point.price, point.powerKW

    def _breach(self) -> Breach:
        for number, (one, two) in enumerate(pairwise(self.curve), 1):
            if two.price < one.price:
                return _breach(number, "ascending prices", f"{one.price:g} and then {two.price:g}", INVALID)
            if two.powerKW < one.powerKW:
                got = f"{one.powerKW:g} kW at {one.price:g} and then {two.powerKW:g} kW at {two.price:g}"
                return _breach(number, "a power that never falls as the price rises", got, "POL_CURVE_NOT_MONOTONE")
        bounds = f"a power within minExport {self.minExport:g} and maxExport {self.maxExport:g} kW"
        number = next(n for n, p in enumerate(self.curve) if not self.minExport <= p.powerKW <= self.maxExport)
        return _breach(number, bounds, f"{self.curve[number].powerKW:g} kW", INVALID)


def _breach(number: int, expected: str, got: str, code: str) -> Breach:
    return Breach(expected, got, f"curve/{number}", code)
