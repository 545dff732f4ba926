"""What policies may ask about: fields, each declared with what it is measured in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import TypeAlias

from sim.contracts.units import CURRENCY, Unit, parse_unit, unit_of_name

Fact: TypeAlias = Decimal | str | bool
Facts: TypeAlias = Mapping[str, Fact]
"""Values by the names of their fields; numbers are finite decimals in the units of their fields."""

TEXT, BOOL, SHARE = "text", "bool", "share"

_BY_MEASURE = {
    TEXT: """role era gridNode meterId resourceType registration offerId currency country region action""",
    BOOL: """prosumer.gridConnection.netMeteringEnabled prosumer.credentials.interconnectionApproval.valid""",
    "kW": """exportKW importKW approvedMaxExportKW approvedMaxImportKW prosumer.gridConnection.exportLimitKW""",
    "kWh": """exportQuantity importQuantity consumedKWh renewableKWh""",
    SHARE: """exportShare importShare""",
    f"{CURRENCY}/kWh": """lowestPricePerKWh highestPricePerKWh feePerKWh""",
    f"{CURRENCY}/min": """feePerMinute""",
    "min": """minuteOfDay idleMinutes""",
    "h": """leadTimeHours""",
}
FIELDS: Mapping[str, str] = MappingProxyType(
    {name: unit for unit, names in _BY_MEASURE.items() for name in names.split()}
)
"""The fields that are declared everywhere, with their measures.

Who and where: role in the contract, era, gridNode, meterId, resourceType (``SOLAR``), registration (``NONE``,
``APPLICANT``, ``APPROVED``, ``MEMBER``), offerId, currency, country (ISO 3166-1), region; action: what is done under a
contract (``confirm`` an order, ``cancel``).  How much: the most that is
injected (export) and withdrawn (import), as power, as energy of the interval (quantity) and as a share of what is
approved.  Prices: the lowest and highest that a curve names.  When: minuteOfDay since local midnight; leadTimeHours
from now to delivery.
"""


@dataclass(frozen=True, slots=True)
class Measure:
    """What a field is measured in.  name: ``kW``, ``INR/kWh``, ``text``, ``bool``.  unit: None for words and truths."""

    name: str
    unit: Unit | None = None

    def fits(self, value: object) -> bool:
        """Whether a value is one of this measure: a finite decimal, a text, or a truth."""
        if self.unit is not None:
            return isinstance(value, Decimal) and value.is_finite()
        return isinstance(value, bool if self.name == BOOL else str)

    def same(self, other: Measure) -> bool:
        """Whether values of both can be compared."""
        return self.unit == other.unit and (self.unit is not None or self.name == other.name)

    def text(self, value: Fact) -> str:
        """A value with its unit."""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, Decimal):
            number = f"{value.normalize():f}"
            return number if self.name == SHARE else f"{number} {self.name}"
        return value


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number, word or truth, and what it is measured in."""

    value: Fact
    measure: Measure


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The fields of one network, with its currency.  fields: ``text``, ``bool``, or a unit (``CURRENCY`` is the network's)."""

    currency: str
    fields: Mapping[str, str] = field(default_factory=lambda: FIELDS)

    def of_field(self, name: str) -> Measure | None:
        """What a field is measured in; None for one that is not declared."""
        unit = self.fields.get(name)
        return None if unit is None else self.measure(unit)

    def measure(self, text: str) -> Measure:
        """The measure that a text names.  Raises ``ContractError`` for a word that is no unit."""
        if text in (TEXT, BOOL):
            return Measure(text)
        return self.called(parse_unit(text, self.currency), text.replace(CURRENCY, self.currency))

    def of_name(self, name: str) -> Measure | None:
        """What the name of a parameter says itself: ``gracePeriodMinutes``, ``renewablePercentage``, ``penaltyPerUnit``."""
        if name.endswith(("Percentage", "Percent")):
            return self.measure("%")
        if name.endswith("PerUnit"):  # a unit of electricity is a kWh
            return self.measure(f"{CURRENCY}/kWh")
        unit = unit_of_name(name, self.currency)
        return None if unit is None else self.called(unit)

    def called(self, unit: Unit, otherwise: str = "") -> Measure:
        """A unit by the name that declared fields have for it, else by another."""
        for text in dict.fromkeys(self.fields.values()):
            if text not in (TEXT, BOOL) and parse_unit(text, self.currency) == unit:
                return Measure(text.replace(CURRENCY, self.currency), unit)
        return Measure(otherwise or str(unit), unit)

    def alike(self, measure: Measure) -> Iterator[str]:
        """The declared fields of a measure."""
        return (name for name, text in self.fields.items() if self.measure(text).same(measure))
