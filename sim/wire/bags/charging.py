"""Charging: stations, offers, sessions.  Fields and codes as published by the Digital Energy Grid, version 1."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from sim.wire.bags.places import Location
from sim.wire.bags.tariff import PriceBody, TaxedPrice
from sim.wire.basics import Bag, Email, Identifier, JsonObject, NonNegative, Text, Timestamp, TimeWindow, Uri, Wire

ConnectorType = Literal["CCS2", "Type2", "CHAdeMO", "GB_T"]
PowerKW = Annotated[float, Meta(ge=1, le=500)]


class ChargingStation(Wire, frozen=True, kw_only=True):
    """Where a charge point stands."""

    id: Identifier | UnsetType = UNSET
    serviceLocation: Location | UnsetType = UNSET


class ChargingService(Bag, frozen=True, kw_only=True):
    """A connector at a charge point; power in kW."""

    connectorType: ConnectorType
    maxPowerKW: PowerKW
    evseId: Identifier | UnsetType = UNSET
    minPowerKW: Annotated[float, Meta(ge=0, le=500)] | UnsetType = UNSET
    reservationSupported: bool | UnsetType = UNSET
    chargingStation: ChargingStation | UnsetType = UNSET
    amenityFeature: tuple[Literal["RESTAURANT", "RESTROOM", "WI-FI", "PARKING"], ...] | UnsetType = UNSET
    roamingNetwork: Identifier | UnsetType = UNSET
    parkingType: Literal["OnStreet", "OffStreet", "Basement", "Mall", "FuelStation", "Office", "Hotel"] | UnsetType = (
        UNSET
    )
    powerType: Literal["AC_SINGLE_PHASE", "AC_3_PHASE", "DC"] | UnsetType = UNSET
    connectorFormat: Literal["SOCKET", "CABLE"] | UnsetType = UNSET
    chargingSpeed: Literal["SLOW", "NORMAL", "FAST", "ULTRAFAST"] | UnsetType = UNSET
    vehicleType: Literal["2-WHEELER", "3-WHEELER", "4-WHEELER"] | UnsetType = UNSET
    accepts: tuple[Identifier, ...] | UnsetType = UNSET


class ChargingOffer(Bag, frozen=True, kw_only=True):
    """How charging is priced, and what staying on costs when it is done."""

    tariffModel: Literal["PER_KWH", "PER_MINUTE", "SUBSCRIPTION", "TIME_OF_DAY"] | UnsetType = UNSET
    idleFeePolicy: PriceBody | UnsetType = UNSET


class ChargingPointOperator(Bag, frozen=True, kw_only=True):
    """Who operates charge points."""

    operatorName: Text | UnsetType = UNSET
    operatorCode: Identifier | UnsetType = UNSET
    identifier: Identifier | UnsetType = UNSET
    sameAs: Uri | UnsetType = UNSET
    supportEmail: Email | UnsetType = UNSET
    supportPhone: Identifier | UnsetType = UNSET
    gstNumber: Identifier | UnsetType = UNSET
    cin: Identifier | UnsetType = UNSET
    msme: Identifier | UnsetType = UNSET
    operatorContact: JsonObject | UnsetType = UNSET


class BuyerFinderFee(Wire, frozen=True, kw_only=True):
    """What whoever found the buyer gets: percent of the price, or an amount."""

    feeType: Literal["PERCENTAGE", "AMOUNT"]
    feeValue: NonNegative


class TelemetryMetric(Wire, frozen=True, kw_only=True):
    """One measured quantity."""

    name: Literal[
        "ENERGY", "POWER", "CURRENT", "VOLTAGE", "STATE_OF_CHARGE", "FLOW_RATE", "FREQUENCY", "POWER_QUALITY"
    ]  # fmt: skip
    value: float
    unitCode: Identifier


class Telemetry(Wire, frozen=True, kw_only=True):
    """What was measured at one moment."""

    eventTime: Timestamp
    metrics: tuple[TelemetryMetric, ...]


class ChargingPreferences(Wire, frozen=True, kw_only=True):
    """When a driver would like to charge."""

    startTime: Timestamp | UnsetType = UNSET
    endTime: Timestamp | UnsetType = UNSET


class ChargingSession(Bag, frozen=True, kw_only=True):
    """One session at a connector: how it stands, what was metered, what it costs."""

    sessionStatus: Literal["PENDING", "ACTIVE", "STOP", "COMPLETED", "INTERRUPTED"] | UnsetType = UNSET
    connectorStatus: Literal["AVAILABLE", "PREPARING", "UNAVAILABLE"] | UnsetType = UNSET
    buyerFinderFee: BuyerFinderFee | UnsetType = UNSET
    connectorType: ConnectorType | UnsetType = UNSET
    maxPowerKW: Annotated[float, Meta(ge=1)] | UnsetType = UNSET
    meteredEnergyKWh: NonNegative | UnsetType = UNSET
    meteredDurationMinutes: NonNegative | UnsetType = UNSET
    chargingTelemetry: tuple[Telemetry, ...] | UnsetType = UNSET
    totalCost: TaxedPrice | UnsetType = UNSET
    lastUpdated: Timestamp | UnsetType = UNSET
    reservationId: Identifier | UnsetType = UNSET
    gracePeriodMinutes: NonNegative | UnsetType = UNSET
    vehicleMake: Text | UnsetType = UNSET
    vehicleModel: Text | UnsetType = UNSET
    preferences: ChargingPreferences | UnsetType = UNSET
    timeWindow: TimeWindow | UnsetType = UNSET
