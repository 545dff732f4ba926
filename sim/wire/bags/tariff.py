"""Tariffs in the shape of OCPI, and prices in the shape of schema.org."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType, field

from sim.wire.basics import (
    Bag,
    Breach,
    Currency,
    Identifier,
    MinuteOfDay,
    Money,
    NonNegative,
    Share,
    Text,
    Timestamp,
    Uri,
    Wire,
)

Weekday = Literal["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"]


class TariffRestrictions(Wire, frozen=True, kw_only=True):
    """When a tariff element holds: local time of day, half open, wrapping past midnight; days; energy of the session so far."""

    startTime: MinuteOfDay | UnsetType = UNSET
    endTime: MinuteOfDay | UnsetType = UNSET
    dayOfWeek: tuple[Weekday, ...] | UnsetType = UNSET
    minKWh: NonNegative | UnsetType = UNSET
    maxKWh: NonNegative | UnsetType = UNSET
    reservation: Literal["RESERVATION", "RESERVATION_EXPIRES"] | UnsetType = UNSET


class PriceComponent(Wire, frozen=True, kw_only=True):
    """One price of a tariff element, excluding tax: per kWh for ENERGY, per hour for TIME and PARKING_TIME, once for FLAT.

    vat: percent.  stepSize: what is billed at least, in Wh for ENERGY and seconds for times.
    """

    type: Literal["ENERGY", "TIME", "FLAT", "PARKING_TIME"]
    price: float
    vat: NonNegative | UnsetType = UNSET
    stepSize: Annotated[int, Meta(ge=1)] | UnsetType = UNSET


class TariffElement(Wire, frozen=True, kw_only=True):
    """Prices that hold where the restrictions do; the first element that fits counts."""

    priceComponents: Annotated[tuple[PriceComponent, ...], Meta(min_length=1)]
    restrictions: TariffRestrictions | UnsetType = UNSET


class TaxedPrice(Wire, frozen=True, kw_only=True):
    """An amount without and with tax."""

    exclVat: float | UnsetType = UNSET
    inclVat: float | UnsetType = UNSET


class EnergySource(Wire, frozen=True, kw_only=True):
    """Share of one source in what a tariff delivers."""

    source: Identifier
    share: Share


class Tariff(Bag, frozen=True, kw_only=True):
    """What a supplier asks for a kWh drawn (IMPORT) or pays for one delivered (EXPORT)."""

    currency: Currency
    direction: Literal["IMPORT", "EXPORT"]
    elements: Annotated[tuple[TariffElement, ...], Meta(min_length=1)]
    minPrice: TaxedPrice | UnsetType = UNSET
    maxPrice: TaxedPrice | UnsetType = UNSET
    energyMix: tuple[EnergySource, ...] | UnsetType = UNSET


class UnitQuantity(Wire, frozen=True, kw_only=True):
    """A quantity as the published messages write it."""

    unitText: Text | UnsetType = UNSET
    unitCode: Identifier | UnsetType = UNSET
    unitQuantity: float | UnsetType = UNSET
    minQuantity: float | UnsetType = UNSET
    maxQuantity: float | UnsetType = UNSET


class PricePart(Wire, frozen=True, kw_only=True):
    """One part of a price; the parts add up to the whole."""

    type: Literal["UNIT", "TAX", "DELIVERY", "DISCOUNT", "FEE", "SURCHARGE"]
    value: float
    currency: Currency | UnsetType = UNSET
    description: Text | UnsetType = UNSET


class PriceBody(Wire, frozen=True, kw_only=True):
    """A price with its parts: ``value`` for ``applicableQuantity``, or the total of an order.

    ``schema:price`` and its fellows are the same in the older spelling.
    """

    currency: Currency | UnsetType = UNSET
    value: float | UnsetType = UNSET
    unitText: Text | UnsetType = UNSET
    applicableQuantity: UnitQuantity | UnsetType = UNSET
    components: tuple[PricePart, ...] | UnsetType = UNSET
    schemaPrice: float | UnsetType = field(name="schema:price", default=UNSET)
    schemaPriceCurrency: Currency | UnsetType = field(name="schema:priceCurrency", default=UNSET)
    schemaUnitText: Text | UnsetType = field(name="schema:unitText", default=UNSET)

    def __post_init__(self) -> None:
        check_parts(self)


class PriceSpecification(Bag, frozen=True, kw_only=True):
    """The same as a bag of its own: what is promised in return (``consideration``)."""

    currency: Currency | UnsetType = UNSET
    value: float | UnsetType = UNSET
    unitText: Text | UnsetType = UNSET
    applicableQuantity: UnitQuantity | UnsetType = UNSET
    components: tuple[PricePart, ...] | UnsetType = UNSET
    schemaPrice: float | UnsetType = field(name="schema:price", default=UNSET)
    schemaPriceCurrency: Currency | UnsetType = field(name="schema:priceCurrency", default=UNSET)
    schemaUnitText: Text | UnsetType = field(name="schema:unitText", default=UNSET)

    def __post_init__(self) -> None:
        check_parts(self)


HALF_A_CENT = 0.005
"""Parts may miss their total by half a minor unit each."""


def check_parts(price: PriceBody | PriceSpecification) -> None:
    """Raises ``Breach`` where parts do not add up to the value, or are in another currency."""
    if price.components is UNSET or not price.components:
        return
    currencies = {price.currency, *(part.currency for part in price.components)} - {UNSET}
    if len(currencies) > 1:
        raise Breach("one currency", f"{', '.join(sorted(map(str, currencies)))}")
    total = sum(part.value for part in price.components)
    if price.value is not UNSET and abs(total - price.value) > HALF_A_CENT * len(price.components):
        raise Breach(f"components that add up to the value {price.value:g}", f"{total:g}")


class Payment(Bag, frozen=True, kw_only=True):
    """How an amount is paid, and how far that is."""

    paymentStatus: PaymentStatus
    amount: Money | UnsetType = UNSET
    paymentURL: Uri | UnsetType = UNSET
    txnRef: Identifier | UnsetType = UNSET
    paidAt: Timestamp | UnsetType | None = UNSET
    acceptedPaymentMethod: tuple[PaymentMethod, ...] | UnsetType = UNSET
    beneficiary: Beneficiary | UnsetType = UNSET
    paymentAttributes: PaymentSettlement | UnsetType = UNSET


PaymentStatus = Literal[
    "INITIATED", "PENDING", "AUTHORIZED", "CAPTURED", "COMPLETED", "FAILED", "CANCELLED", "REFUNDED",
    "PARTIALLY_REFUNDED", "CHARGEBACK", "DISPUTED", "EXPIRED", "REVERSED", "VOIDED", "SETTLED", "ON_HOLD", "ADJUSTED",
]  # fmt: skip
Beneficiary = Literal["BPP", "BAP", "BUYER"]
PaymentMethod = Literal["UPI", "CREDIT_CARD", "DEBIT_CARD", "WALLET", "BANK_TRANSFER", "CASH", "APPLE_PAY"]


class SettlementAccount(Wire, frozen=True, kw_only=True):
    """Where a beneficiary is paid."""

    beneficiaryId: Identifier | UnsetType = UNSET
    accountHolderName: Text | UnsetType = UNSET
    accountNumber: Identifier | UnsetType = UNSET
    ifscCode: Identifier | UnsetType = UNSET
    bankName: Text | UnsetType = UNSET
    vpa: Identifier | UnsetType = UNSET
    paymentURL: Uri | UnsetType = UNSET


class PaymentSettlement(Bag, frozen=True, kw_only=True):
    """The accounts that a payment is settled over."""

    settlementAccounts: tuple[SettlementAccount, ...] | UnsetType = UNSET
