"""The energy objects that travel in Beckn's ``*Attributes`` bags, one type a bag, and which bag may stand in which slot.

Attribute names are the wire's own, letter for letter, units included (``powerKW``, ``priceAdderPerPercent``).  Every bag is
closed: an unknown field is refused.  ``ld`` is the JSON-LD ``@context``; the class name is the ``@type``.
"""

from __future__ import annotations

from sim.wire.bags.charging import (
    BuyerFinderFee,
    ChargingOffer,
    ChargingPointOperator,
    ChargingPreferences,
    ChargingService,
    ChargingSession,
    ChargingStation,
    Telemetry,
    TelemetryMetric,
)
from sim.wire.bags.contracts import (
    AggregatorRole,
    ChargingBuyer,
    ChargingBuyerInputs,
    ChargingSeller,
    ChargingSellerInputs,
    ContractFlow,
    ContractRole,
    ContractState,
    EnergyContract,
    EnergyContractEVCharging,
    EnergyContractP2PTrade,
    EnergyIntent,
    EnergyObjectives,
    EnergyOffer,
    EnergySettlement,
    ExpectedInput,
    GovernmentRole,
    InputParameters,
    InputSignal,
    OfferCurveData,
    PricingModel,
    RevenueFlows,
    Role,
    RoleInputs,
    Route,
    ServicePreferences,
    ServiceRequestData,
    SettlementLine,
    SignalSource,
    TelemetrySource,
    TradeBuyer,
    TradeBuyerInputs,
    TradeGrid,
    TradeGridInputs,
    TradeMarket,
    TradeMarketInputs,
    TradeProsumer,
    TradeProsumerInputs,
    TradeSeller,
    TradeSellerInputs,
)
from sim.wire.bags.credentials import (
    ConflictCheck,
    ConsentRevocation,
    CredentialStatus,
    CredentialVerification,
    EnergyCredentials,
    EnergyEnrollment,
    EnrollmentCredential,
    MeterEnrollment,
    Unenrollment,
    UserAuth,
    VerifiableCredential,
    VerifiedCredential,
)
from sim.wire.bags.curves import CurvePoint, OfferCurve
from sim.wire.bags.grid import (
    EnergyResource,
    GridConstraints,
    GridNode,
    LdTimePeriod,
    LocationalPriceAdder,
    OffsetCommand,
    SourceVerification,
)
from sim.wire.bags.people import Buyer, SupportInfo
from sim.wire.bags.places import Address, GeoJSONGeometry, Location
from sim.wire.bags.tariff import (
    Beneficiary,
    Payment,
    PaymentMethod,
    PaymentSettlement,
    PaymentStatus,
    PriceBody,
    PriceComponent,
    PricePart,
    PriceSpecification,
    SettlementAccount,
    Tariff,
    TariffElement,
    TariffRestrictions,
    TaxedPrice,
    UnitQuantity,
)
from sim.wire.bags.trade import (
    AllocatedReading,
    EnergyCustomer,
    EnergyDelivery,
    EnergyForecast,
    EnergyOrderItem,
    EnergyTradeDelivery,
    EnergyTradeOffer,
    EnergyTradeOrder,
    EnergyTradeOrderInterUtility,
    ForecastValue,
    MeterReading,
    Quantiles,
)
from sim.wire.basics import ENERGY, Bag, Money, NativePayload, Position, TimeWindow, Wire

ResourceBag = EnergyResource | GridNode | ChargingService | EnergyForecast
OfferBag = EnergyOffer | Tariff | ChargingOffer | EnergyTradeOffer
ProviderBag = ChargingPointOperator | EnergyCredentials
ParticipantBag = Buyer | EnergyCustomer | EnergyCredentials
CommitmentBag = EnergyOrderItem | EnergyIntent | EnergyObjectives
ContractBag = (
    EnergyContract
    | EnergyContractEVCharging
    | EnergyContractP2PTrade
    | ChargingSession
    | EnergyEnrollment
    | EnergyTradeOrder
    | EnergyTradeOrderInterUtility
)
PerformanceBag = EnergyDelivery | EnergyTradeDelivery | ChargingSession | EnergyEnrollment | EnergyForecast
ConsiderationBag = PriceSpecification
SettlementBag = EnergySettlement | Payment
TrackingBag = ChargingSession | EnergyDelivery
SupportBag = SupportInfo

BAGS: tuple[type[Bag], ...] = (
    *dict.fromkeys(
        bag
        for slot in (
            ResourceBag, OfferBag, ProviderBag, ParticipantBag, CommitmentBag, ContractBag, PerformanceBag, SettlementBag,
            TrackingBag,
        )
        for bag in slot.__args__
    ),
    PriceSpecification, SupportInfo, PaymentSettlement,
)  # fmt: skip
"""Every type of bag."""

__all__ = [
    "BAGS",
    "ENERGY",
    "Address",
    "AggregatorRole",
    "AllocatedReading",
    "Bag",
    "Beneficiary",
    "Buyer",
    "BuyerFinderFee",
    "ChargingBuyer",
    "ChargingBuyerInputs",
    "ChargingOffer",
    "ChargingPointOperator",
    "ChargingPreferences",
    "ChargingSeller",
    "ChargingSellerInputs",
    "ChargingService",
    "ChargingSession",
    "ChargingStation",
    "CommitmentBag",
    "ConflictCheck",
    "ConsentRevocation",
    "ConsiderationBag",
    "ContractBag",
    "ContractFlow",
    "ContractRole",
    "ContractState",
    "CredentialStatus",
    "CredentialVerification",
    "CurvePoint",
    "EnergyContract",
    "EnergyContractEVCharging",
    "EnergyContractP2PTrade",
    "EnergyCredentials",
    "EnergyCustomer",
    "EnergyDelivery",
    "EnergyEnrollment",
    "EnergyForecast",
    "EnergyIntent",
    "EnergyObjectives",
    "EnergyOffer",
    "EnergyOrderItem",
    "EnergyResource",
    "EnergySettlement",
    "EnergyTradeDelivery",
    "EnergyTradeOffer",
    "EnergyTradeOrder",
    "EnergyTradeOrderInterUtility",
    "EnrollmentCredential",
    "ExpectedInput",
    "ForecastValue",
    "GeoJSONGeometry",
    "GovernmentRole",
    "GridConstraints",
    "GridNode",
    "InputParameters",
    "InputSignal",
    "LdTimePeriod",
    "Location",
    "LocationalPriceAdder",
    "MeterEnrollment",
    "MeterReading",
    "Money",
    "NativePayload",
    "OfferBag",
    "OfferCurve",
    "OfferCurveData",
    "OffsetCommand",
    "ParticipantBag",
    "Payment",
    "PaymentMethod",
    "PaymentSettlement",
    "PaymentStatus",
    "PerformanceBag",
    "Position",
    "PriceBody",
    "PriceComponent",
    "PricePart",
    "PriceSpecification",
    "PricingModel",
    "ProviderBag",
    "Quantiles",
    "ResourceBag",
    "RevenueFlows",
    "Role",
    "RoleInputs",
    "Route",
    "ServicePreferences",
    "ServiceRequestData",
    "SettlementAccount",
    "SettlementBag",
    "SettlementLine",
    "SignalSource",
    "SourceVerification",
    "SupportBag",
    "SupportInfo",
    "Tariff",
    "TariffElement",
    "TariffRestrictions",
    "TaxedPrice",
    "Telemetry",
    "TelemetryMetric",
    "TelemetrySource",
    "TimeWindow",
    "TrackingBag",
    "TradeBuyer",
    "TradeBuyerInputs",
    "TradeGrid",
    "TradeGridInputs",
    "TradeMarket",
    "TradeMarketInputs",
    "TradeProsumer",
    "TradeProsumerInputs",
    "TradeSeller",
    "TradeSellerInputs",
    "Unenrollment",
    "UnitQuantity",
    "UserAuth",
    "VerifiableCredential",
    "VerifiedCredential",
    "Wire",
]
