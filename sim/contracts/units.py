"""Units of what formulas compute with, so that kW times a price per kWh is refused before anybody is billed for it.

A unit is a product of powers of base units with a factor: kW is kWh/h, Wh is 0.001 kWh, INR/kWh is INR · kWh⁻¹.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal

from sim.errors import ContractError, nearest
from sim.ledger import is_currency

_ARITHMETIC = Context(prec=28)
CURRENCY = "CURRENCY"
"""Stands for the contract's own currency, whatever that is."""


@dataclass(frozen=True, slots=True)
class Unit:
    """powers: exponents of base units, ascending by name, none of them zero.  factor: how many such products it is."""

    powers: tuple[tuple[str, int], ...] = ()
    factor: Decimal = Decimal(1)

    def __mul__(self, other: Unit) -> Unit:
        return _combined(self, other, 1)

    def __truediv__(self, other: Unit) -> Unit:
        return _combined(self, other, -1)

    def __str__(self) -> str:
        above = [_power(name, n) for name, n in self.powers if n > 0]
        below = [_power(name, -n) for name, n in self.powers if n < 0]
        plain = "·".join(above) or "1"
        if below:
            plain += "/" + (below[0] if len(below) == 1 else f"({'·'.join(below)})")
        for known, unit in (("kW", KW), ("1/kW", ONE / KW)):
            if self.powers == unit.powers:
                plain = known
        return plain if self.factor == 1 else f"{self.factor.normalize():f} {plain}"

    @property
    def currencies(self) -> Mapping[str, int]:
        """Exponents of the currencies in it."""
        return {name: n for name, n in self.powers if name not in _BASES}

    def in_currency(self, code: str) -> Unit:
        """The same with the contract's own currency named."""
        return Unit(tuple(sorted((code if name == CURRENCY else name, n) for name, n in self.powers)), self.factor)

    def like(self, other: Unit) -> bool:
        """The same but for the factor."""
        return self.powers == other.powers


def _power(name: str, exponent: int) -> str:
    return name if exponent == 1 else f"{name}^{exponent}"


def _combined(left: Unit, right: Unit, sign: int) -> Unit:
    exponents = dict(left.powers)
    for name, n in right.powers:
        exponents[name] = exponents.get(name, 0) + sign * n
    powers = tuple(sorted((name, n) for name, n in exponents.items() if n))
    combine = _ARITHMETIC.multiply if sign > 0 else _ARITHMETIC.divide
    return Unit(powers, combine(left.factor, right.factor))


def _base(name: str, factor: str = "1") -> Unit:
    return Unit(((name, 1),), Decimal(factor))


_BASES = ("kWh", "h", "kVA", "kvarh", "V", "A", "Hz", "km")

ONE = Unit()
KWH, HOUR = _base("kWh"), _base("h")
KW = KWH / HOUR

_MINUTE, _SECOND = ONE / Unit(factor=Decimal(60)), ONE / Unit(factor=Decimal(3600))

_UNITS: Mapping[str, Unit] = {
    "1": ONE,
    "ONE": ONE,
    "SHARE": ONE,
    "RATIO": ONE,
    "COUNT": ONE,
    "NUMBER": ONE,
    "%": Unit(factor=Decimal("0.01")),
    "PERCENT": Unit(factor=Decimal("0.01")),
    "WH": _base("kWh", "0.001"),
    "KWH": KWH,
    "MWH": _base("kWh", "1000"),
    "W": _base("kWh", "0.001") / HOUR,
    "KW": KW,
    "MW": _base("kWh", "1000") / HOUR,
    "S": HOUR * _SECOND,
    "SECOND": HOUR * _SECOND,
    "MIN": HOUR * _MINUTE,
    "MINUTE": HOUR * _MINUTE,
    "H": HOUR,
    "HOUR": HOUR,
    "D": HOUR * Unit(factor=Decimal(24)),
    "DAY": HOUR * Unit(factor=Decimal(24)),
    "KVA": _base("kVA"),
    "KVARH": _base("kvarh"),
    "V": _base("V"),
    "A": _base("A"),
    "HZ": _base("Hz"),
    "KM": _base("km"),
}
_CODE = re.compile(r"[A-Z]{3}")

# Names that carry their unit.  Ends are tried in order, so that a price per kWh is not taken for energy.
_ENDINGS = (
    (re.compile(r"(PerMWh|_per_mwh)$"), f"{CURRENCY}/MWh"),
    (re.compile(r"(PerWh|_per_wh)$"), f"{CURRENCY}/Wh"),
    (re.compile(r"(PerMW|_per_mw)$"), f"{CURRENCY}/MW"),
    (re.compile(r"(PerKWh|_per_kwh)$"), f"{CURRENCY}/kWh"),
    (re.compile(r"(PerKW|_per_kw)$"), f"{CURRENCY}/kW"),
    (re.compile(r"(PerMinute|_per_min)$"), f"{CURRENCY}/min"),
    (re.compile(r"(PerHour|_per_h)$"), f"{CURRENCY}/h"),
    (re.compile(r"([a-z]MWh|_mwh|^MWh)$"), "MWh"),
    (re.compile(r"([a-jl-z]Wh|_wh|^Wh)$"), "Wh"),
    (re.compile(r"([a-z]KWh|[a-z]kWh|_kwh|^kWh|^KWh|^energyFlow)$"), "kWh"),
    (re.compile(r"([a-z]MW|_mw|^MW)$"), "MW"),
    (re.compile(r"([a-z]KW|[a-z]kW|_kw|^kW|^KW)$"), "kW"),
    (re.compile(r"([a-z]Minutes|_min|^minutes)$"), "min"),
    (re.compile(r"([a-z]Hours|_h|^hours)$"), "h"),
    (re.compile(r"(^clearingPrice|^locationalPrice)$"), f"{CURRENCY}/kWh"),
)


def money(currency: str) -> Unit:
    """One whole unit of a currency."""
    return _base(currency)


@functools.lru_cache(maxsize=4096)
def parse_unit(text: str, currency: str = CURRENCY) -> Unit:
    """A unit as contracts write it: ``KWH``, ``kW``, ``INR/kWh``, ``CURRENCY_PER_KWH``, ``min``, ``%``.

    currency: of the contract, which ``CURRENCY`` stands for.  Raises ``ContractError`` for a word that is no unit.
    """
    numerator, *denominators = re.split(r"/|_PER_|_per_| per ", text.strip())
    unit = _word(numerator, currency)
    for denominator in denominators:
        unit = unit / _word(denominator, currency)
    return unit


def _word(text: str, currency: str) -> Unit:
    word = text.strip().strip("()").upper()
    known = _UNITS.get(word) or _UNITS.get(word.removesuffix("S"))
    if known is not None:
        return known
    if word == CURRENCY:
        return money(currency)
    if _CODE.fullmatch(word) and is_currency(word):
        return money(word)
    raise ContractError("unit", f"{text!r} is no unit; {nearest(word, (*_UNITS, CURRENCY))}")


def unit_of_name(name: str, currency: str = CURRENCY) -> Unit | None:
    """The unit that a name says itself (``energyKWh``, ``price_per_kwh``, ``clearingPrice``); None where it does not."""
    for ending, unit in _ENDINGS:
        if ending.search(name):
            return parse_unit(unit, currency)
    return None
