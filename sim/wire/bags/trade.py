"""Trade between meters and its delivery.  Fields and codes as published by the Digital Energy Grid, version 0.2."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType, field

from sim.wire.bags.charging import Telemetry
from sim.wire.bags.grid import DeliveryMode, LdTimePeriod
from sim.wire.bags.tariff import PriceBody, UnitQuantity
from sim.wire.basics import (
    Bag,
    Breach,
    Currency,
    Duration,
    Identifier,
    LocalTime,
    NonNegative,
    Sha256,
    Text,
    Timestamp,
    TimeWindow,
    Uri,
    Wire,
)


class EnergyCustomer(Bag, frozen=True, kw_only=True):
    """A customer of a utility by meter; sanctionedLoad in kW."""

    meterId: Identifier
    sanctionedLoad: NonNegative | UnsetType = UNSET
    utilityCustomerId: Identifier | UnsetType = UNSET
    utilityId: Identifier | UnsetType = UNSET


class WheelingCharges(Wire, frozen=True, kw_only=True):
    """What the grid takes."""

    amount: NonNegative
    currency: Currency | UnsetType = UNSET
    description: Text | UnsetType = UNSET


class TimeRange(Wire, frozen=True, kw_only=True):
    """Local times of day."""

    start: LocalTime
    end: LocalTime


class TimeOfDayRate(Wire, frozen=True, kw_only=True):
    """A price per kWh between two times of day."""

    timeRange: TimeRange
    rate: NonNegative
    currency: Currency | UnsetType = UNSET


class EnergyTradeOffer(Bag, frozen=True, kw_only=True):
    """Energy for sale: price, kWh, windows of delivery and of validity."""

    pricingModel: Literal["PER_KWH", "TIME_OF_DAY", "SUBSCRIPTION", "FIXED"]
    settlementType: Literal["REAL_TIME", "HOURLY", "DAILY", "WEEKLY", "MONTHLY"] | UnsetType = UNSET
    sourceMeterId: Identifier | UnsetType = UNSET
    wheelingCharges: WheelingCharges | UnsetType = UNSET
    minimumQuantity: NonNegative | UnsetType = UNSET
    maximumQuantity: NonNegative | UnsetType = UNSET
    validityWindow: LdTimePeriod | UnsetType = UNSET
    timeOfDayRates: tuple[TimeOfDayRate, ...] | UnsetType = UNSET
    price: PriceBody | UnsetType = field(name="beckn:price", default=UNSET)
    maxQuantity: UnitQuantity | UnsetType = field(name="beckn:maxQuantity", default=UNSET)
    timeWindow: LdTimePeriod | UnsetType = field(name="beckn:timeWindow", default=UNSET)


class EnergyTradeOrder(Bag, frozen=True, kw_only=True):
    """Which two platforms trade, and how many kWh in all."""

    bap_id: Identifier
    bpp_id: Identifier
    total_quantity: NonNegative | UnsetType = UNSET


class EnergyTradeOrderInterUtility(EnergyTradeOrder, frozen=True, kw_only=True):
    """The same across two distribution companies."""

    utilityIdBuyer: Identifier
    utilityIdSeller: Identifier


class AllocatedReading(Wire, frozen=True, kw_only=True):
    """Energy of one interval at a meter, and how much of it a trade was given."""

    allocatedEnergy: NonNegative
    unit: Literal["kWh", "MWh", "Wh"]
    timeWindow: LdTimePeriod = field(name="beckn:timeWindow")
    consumedEnergy: NonNegative | UnsetType = UNSET
    producedEnergy: NonNegative | UnsetType = UNSET


class EnergyTradeDelivery(Bag, frozen=True, kw_only=True):
    """How a trade is being delivered; quantities in kWh."""

    deliveryStatus: Literal["PENDING", "IN_PROGRESS", "COMPLETED", "FAILED"] | UnsetType = UNSET
    deliveryMode: DeliveryMode | UnsetType = UNSET
    deliveredQuantity: NonNegative | UnsetType = UNSET
    meterReadings: tuple[AllocatedReading, ...] | UnsetType = UNSET
    curtailedQuantity: NonNegative | UnsetType = UNSET
    curtailmentReason: Literal["GRID_OUTAGE", "EMERGENCY", "CONGESTION", "MAINTENANCE", "OTHER"] | UnsetType = UNSET
    lastUpdated: Timestamp | UnsetType = UNSET


class EnergyOrderItem(Bag, frozen=True, kw_only=True):
    """One line of a trade: who delivers it, and how far that is."""

    providerAttributes: EnergyCustomer
    fulfillmentAttributes: EnergyTradeDelivery | UnsetType = UNSET


class MeterReading(Wire, frozen=True, kw_only=True):
    """Energy over one interval: consumed and produced are never netted.  ESTIMATED must not be settled on as if ACTUAL."""

    timeWindow: TimeWindow
    consumedEnergy: NonNegative
    producedEnergy: NonNegative
    unit: Literal["kWh"]
    quality: Literal["ACTUAL", "ESTIMATED", "MISSING"]
    allocatedEnergy: NonNegative | UnsetType = UNSET


class EnergyDelivery(Bag, frozen=True, kw_only=True):
    """What a meter says about a delivery."""

    deliveryStatus: Literal["PENDING", "IN_PROGRESS", "COMPLETED", "FAILED"]
    meterId: Identifier
    meterReadings: Annotated[tuple[MeterReading, ...], Meta(min_length=1)]
    telemetry: tuple[Telemetry, ...] | UnsetType = UNSET
    settlementCycleId: Identifier | UnsetType = UNSET
    deviationPenalty: NonNegative | UnsetType = UNSET


class Quantiles(Wire, frozen=True, kw_only=True):
    """A forecast's spread: value by probability."""

    p10: float | UnsetType = UNSET
    p50: float | UnsetType = UNSET
    p90: float | UnsetType = UNSET


class ForecastValue(Wire, frozen=True, kw_only=True):
    """What is expected for one interval."""

    timeWindow: TimeWindow
    value: float
    quantiles: Quantiles | UnsetType = UNSET


class EnergyForecast(Bag, frozen=True, kw_only=True):
    """A forecast as something to offer: of what, in which unit, how fine, how far, made when, good for how long.

    Values stand inside, or behind ``url`` with the SHA-256 of what is found there.
    """

    variable: Literal["PRICE", "LOAD", "PV", "TEMPERATURE", "CARBON"]
    unit: Identifier
    resolution: Duration
    horizon: Duration
    issuedAt: Timestamp
    validFor: Duration | UnsetType = UNSET
    place: Identifier | UnsetType = UNSET
    values: tuple[ForecastValue, ...] | UnsetType = UNSET
    url: Uri | UnsetType = UNSET
    sha256: Sha256 | UnsetType = UNSET

    def __post_init__(self) -> None:
        if (self.url is UNSET) != (self.sha256 is UNSET):
            raise Breach("url and sha256 together")
