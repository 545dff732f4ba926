"""Energy contracts: open roles, constants, signals, terms, and how they are fulfilled and settled."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType, field

from sim.wire.bags.charging import BuyerFinderFee, ChargingPreferences, ConnectorType
from sim.wire.bags.credentials import EnergyCredentials
from sim.wire.bags.curves import OfferCurve
from sim.wire.bags.grid import OffsetCommand, SourceType
from sim.wire.bags.tariff import PriceBody, Tariff
from sim.wire.basics import (
    Bag,
    Breach,
    Currency,
    Duration,
    Identifier,
    NamedSha256,
    NonNegative,
    NonPositive,
    Period,
    Position,
    Text,
    Timestamp,
    TimeWindow,
    Uri,
    Wire,
)

Role = Literal["BUYER", "SELLER", "PROSUMER", "AGGREGATOR", "MARKET_CLEARING_AGENT", "GRID_OPERATOR", "GOVERNMENT"]
PricingModel = Literal["PAY_AS_CLEAR", "RETAIL", "FIXED", "PER_KWH", "TIME_OF_DAY"]
ContractState = Literal["PENDING", "ACTIVE", "COMPLETED", "TERMINATED"]


class ExpectedInput(Wire, frozen=True, kw_only=True):
    """What whoever takes an open role has to bring."""

    inputName: Identifier
    inputType: Identifier
    required: bool | UnsetType = UNSET
    description: Text | UnsetType = UNSET


class EnergyOffer(Bag, frozen=True, kw_only=True):
    """An open role in a contract template, and when its market takes curves.

    PAY_AS_CLEAR names no price: it is found when the gate has closed, between floor and cap.  The two ``…Before`` are counted
    back from the start of delivery.
    """

    templateId: Identifier
    openRole: Role
    pricingModel: PricingModel
    currency: Currency
    pricePerKWh: float | UnsetType = UNSET
    intervalDuration: Duration | UnsetType = UNSET
    confirmBefore: Duration | UnsetType = UNSET
    gateBefore: Duration | UnsetType = UNSET
    priceFloor: float | UnsetType = UNSET
    priceCap: float | UnsetType = UNSET
    expectedInputs: tuple[ExpectedInput, ...] | UnsetType = UNSET
    credentials: EnergyCredentials | UnsetType = UNSET
    contract: EnergyContract | UnsetType = UNSET

    def __post_init__(self) -> None:
        gates = (self.intervalDuration, self.confirmBefore, self.gateBefore, self.priceFloor, self.priceCap)
        if self.pricingModel in ("PAY_AS_CLEAR", "RETAIL") and UNSET in gates:
            raise Breach("intervalDuration, confirmBefore, gateBefore, priceFloor and priceCap of a market")
        if self.pricingModel == "PAY_AS_CLEAR" and self.pricePerKWh is not UNSET:
            raise Breach("no pricePerKWh before the gate of a PAY_AS_CLEAR market")


class RoleInputs(Wire, frozen=True, kw_only=True):
    """What the holder of a role brings into a contract.  minRunKW: what it cannot run below, unless it rests."""

    sourceMeterId: Identifier | UnsetType = UNSET
    targetMeterId: Identifier | UnsetType = UNSET
    offerCurve: OfferCurve | UnsetType = UNSET
    baselineKW: float | UnsetType = UNSET
    minRunKW: NonNegative | UnsetType = UNSET


class ContractRole(Wire, frozen=True, kw_only=True):
    """A role of a contract, and the energy resource address (ERA) that fills it."""

    role: Role
    filled: bool
    filledBy: Identifier | UnsetType = UNSET
    roleInputs: RoleInputs | UnsetType = UNSET
    expectedRoleInputs: tuple[ExpectedInput, ...] | UnsetType = UNSET


class InputParameters(Wire, frozen=True, kw_only=True):
    """Constants of a contract: caps in kW at the connection, charges per kWh, tax as a share of the energy price.

    constants: those of a contract whose formulas have names of their own for them.
    """

    approvedMaxImportKW: NonNegative | UnsetType = UNSET
    approvedMaxExportKW: NonNegative | UnsetType = UNSET
    approvedMaxTradeKWh: NonNegative | UnsetType = UNSET
    wheelingPerKWh: float | UnsetType = UNSET
    feePerKWh: float | UnsetType = UNSET
    penaltyPerKWh: float | UnsetType = UNSET
    taxRate: float | UnsetType = UNSET
    gracePeriodMinutes: NonNegative | UnsetType = UNSET
    pricingModel: PricingModel | UnsetType = UNSET
    constants: dict[str, float] | UnsetType = UNSET


class SignalSource(Wire, frozen=True, kw_only=True):
    """Where a signal comes from."""

    era: Identifier | UnsetType = UNSET
    meterId: Identifier | UnsetType = UNSET
    endpoint: Uri | UnsetType = UNSET


class InputSignal(Wire, frozen=True, kw_only=True):
    """A signal that a contract listens to, and its latest value.

    PRICE is the outcome of a gate for one participant: price where it stands (absent where nothing was traded or the policy
    has no price), cleared power, and what was commanded besides: offsetKW inside the plateau, curtailedKW outside the curve.
    firm: the cleared power is also the most that may be injected.
    """

    signalId: Identifier
    signalType: Literal["PRICE", "STATE", "COMMAND", "FREQUENCY", "AGC_SETPOINT"]
    clearedPowerKW: float | UnsetType = UNSET
    price: float | UnsetType = UNSET
    offsetKW: float | UnsetType = UNSET
    curtailedKW: float | UnsetType = UNSET
    firm: bool | UnsetType = UNSET
    gridNode: Identifier | UnsetType = UNSET
    source: SignalSource | UnsetType = UNSET
    refreshInterval: Period | UnsetType = UNSET
    value: float | str | UnsetType = UNSET
    unit: Identifier | UnsetType = UNSET
    timestamp: Timestamp | UnsetType = UNSET


class TelemetrySource(Wire, frozen=True, kw_only=True):
    """A meter or device whose readings a contract is settled on, and the fields that it reads."""

    sourceId: Identifier
    sourceType: Literal["METER_READING", "CHARGE_DATA_RECORD", "INVERTER_DATA", "BATTERY_STATE"]
    source: SignalSource | UnsetType = UNSET
    fields: tuple[Identifier, ...] | UnsetType = UNSET


class ContractFlow(Wire, frozen=True, kw_only=True):
    """One term: who pays whom by which formula."""

    name: Identifier
    description: Text
    formula: Text
    payer: Role = field(name="from")
    payee: Role = field(name="to")


class RevenueFlows(Wire, frozen=True, kw_only=True):
    """The terms of a contract; a term with payer and payee sums to zero by construction."""

    flows: tuple[ContractFlow, ...]
    netZero: bool


class Penalty(Wire, frozen=True, kw_only=True):
    """What missing a target costs, and whom."""

    formula: Text
    payer: Role = field(name="from")
    payee: Role = field(name="to")


class QualityMetric(Wire, frozen=True, kw_only=True):
    """A measure of how well a contract was fulfilled; value: what was measured, once it has been."""

    metricId: Identifier
    formula: Text
    unit: Identifier | UnsetType = UNSET
    value: float | UnsetType = UNSET
    target: float | UnsetType = UNSET
    penalty: Penalty | UnsetType = UNSET


class RicardianContract(Wire, frozen=True, kw_only=True):
    """The text that people sign, and the digests that tie it to what machines compute (``sha256:hex``)."""

    humanReadableTextHash: NamedSha256
    machineReadableHash: NamedSha256
    combinedHash: NamedSha256
    humanReadableText: Annotated[str, Meta(max_length=100_000)] | UnsetType = UNSET
    legalJurisdiction: Text | UnsetType = UNSET
    contractVersion: Identifier | UnsetType = UNSET


class Fulfilment(Bag, frozen=True, kw_only=True):
    """What every energy contract says besides who holds which role."""

    templateId: Identifier
    status: ContractState
    timeWindow: TimeWindow | UnsetType = UNSET
    inputParameters: InputParameters | UnsetType = UNSET
    inputSignals: Annotated[tuple[InputSignal, ...], Meta(min_length=1)] | UnsetType = UNSET
    telemetrySources: tuple[TelemetrySource, ...] | UnsetType = UNSET
    revenueFlows: RevenueFlows | UnsetType = UNSET
    qualityMetrics: tuple[QualityMetric, ...] | UnsetType = UNSET
    fulfillmentMode: Literal["POST_FULFILLMENT", "INCREMENTAL"] | UnsetType = UNSET
    billingInterval: Period | UnsetType = UNSET
    offsetCommand: OffsetCommand | UnsetType = UNSET
    credentials: EnergyCredentials | UnsetType = UNSET
    ricardianContract: RicardianContract | UnsetType = UNSET
    reservationId: Identifier | UnsetType = UNSET


class EnergyContract(Fulfilment, frozen=True, kw_only=True):
    """The energy side of a contract: roles, constants, signals and terms."""

    roles: Annotated[tuple[ContractRole, ...], Meta(min_length=1)] | UnsetType = UNSET


class RoleHolder(Wire, frozen=True, kw_only=True, tag_field="role"):
    """Base of the roles of a specialised contract, told apart by ``role``."""

    filled: bool
    filledBy: Identifier | UnsetType = UNSET
    expectedRoleInputs: tuple[ExpectedInput, ...] | UnsetType = UNSET


class ChargingSellerInputs(Wire, frozen=True, kw_only=True):
    """What a charge point operator states; prices per kWh, power in kW."""

    pricePerKWh: NonNegative
    currency: Currency
    connectorType: ConnectorType
    maxPowerKW: NonNegative
    minPowerKW: NonNegative
    location: Position
    buyerFinderFee: BuyerFinderFee | UnsetType = UNSET
    idleFeePolicy: PriceBody | UnsetType = UNSET
    discountPercentage: Annotated[float, Meta(ge=0, le=100)] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.minPowerKW > self.maxPowerKW:
            raise Breach(f"minPowerKW up to maxPowerKW {self.maxPowerKW:g}", f"{self.minPowerKW:g}")


class ChargingSeller(RoleHolder, frozen=True, kw_only=True, tag="SELLER"):
    """The charge point operator."""

    roleInputs: ChargingSellerInputs | UnsetType = UNSET


class ChargingBuyerInputs(Wire, frozen=True, kw_only=True):
    """What a driver states."""

    sessionPreferences: ChargingPreferences | UnsetType = UNSET
    vehicleMake: Text | UnsetType = UNSET
    vehicleModel: Text | UnsetType = UNSET


class ChargingBuyer(RoleHolder, frozen=True, kw_only=True, tag="BUYER"):
    """The driver."""

    roleInputs: ChargingBuyerInputs | UnsetType = UNSET


class GovernmentRole(RoleHolder, frozen=True, kw_only=True, tag="GOVERNMENT"):
    """Whoever gets the tax."""


class AggregatorRole(RoleHolder, frozen=True, kw_only=True, tag="AGGREGATOR"):
    """Whoever found the buyer, and gets a fee for it."""


class EnergyContractEVCharging(Fulfilment, frozen=True, kw_only=True):
    """A contract about one charging session."""

    roles: Annotated[tuple[ChargingSeller | ChargingBuyer | GovernmentRole | AggregatorRole, ...], Meta(min_length=2)]


class TradeSellerInputs(Wire, frozen=True, kw_only=True):
    """What sells at a price or under a tariff: exactly one of them."""

    sourceMeterId: Identifier
    sourceType: SourceType
    pricePerKWh: float | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    tariff: Tariff | UnsetType = UNSET

    def __post_init__(self) -> None:
        if (self.pricePerKWh is UNSET) == (self.tariff is UNSET):
            raise Breach("either pricePerKWh with currency, or a tariff")
        if (self.pricePerKWh is UNSET) != (self.currency is UNSET):
            raise Breach("pricePerKWh and currency together")


class TradeSeller(RoleHolder, frozen=True, kw_only=True, tag="SELLER"):
    """Who sells at a fixed price or under a tariff."""

    roleInputs: TradeSellerInputs | UnsetType = UNSET


class TradeBuyerInputs(Wire, frozen=True, kw_only=True):
    """What a buyer wants: kWh at its meter within a window."""

    targetMeterId: Identifier
    contractedQuantity: NonNegative
    tradeStartTime: Timestamp
    tradeEndTime: Timestamp


class TradeBuyer(RoleHolder, frozen=True, kw_only=True, tag="BUYER"):
    """Who buys at a fixed price or under a tariff."""

    roleInputs: TradeBuyerInputs | UnsetType = UNSET


class TradeProsumerInputs(Wire, frozen=True, kw_only=True):
    """What a prosumer brings to a market: a curve at its meter."""

    sourceMeterId: Identifier
    sourceType: SourceType | UnsetType = UNSET
    offerCurve: OfferCurve | UnsetType = UNSET


class TradeProsumer(RoleHolder, frozen=True, kw_only=True, tag="PROSUMER"):
    """Who buys or sells at the market's price."""

    roleInputs: TradeProsumerInputs | UnsetType = UNSET


class TradeMarketInputs(Wire, frozen=True, kw_only=True):
    """What a market takes per kWh; and once it has cleared, the price and each ERA's power in kW."""

    marketMakingFee: NonNegative
    clearingPrice: float | UnsetType = UNSET
    clearedPower: dict[str, float] | UnsetType = UNSET


class TradeMarket(RoleHolder, frozen=True, kw_only=True, tag="MARKET_CLEARING_AGENT"):
    """Who finds the price."""

    roleInputs: TradeMarketInputs | UnsetType = UNSET


class TradeGridInputs(Wire, frozen=True, kw_only=True):
    """What the grid takes per kWh, and how much (kWh) may be traded at either meter and already is."""

    wheelingCharges: NonNegative
    buyerTradeCap: NonNegative | UnsetType = UNSET
    sellerTradeCap: NonNegative | UnsetType = UNSET
    currentBuyerTradesTotal: NonNegative | UnsetType = UNSET
    currentSellerTradesTotal: NonNegative | UnsetType = UNSET


class TradeGrid(RoleHolder, frozen=True, kw_only=True, tag="GRID_OPERATOR"):
    """Who carries the energy."""

    roleInputs: TradeGridInputs | UnsetType = UNSET


class EnergyContractP2PTrade(Fulfilment, frozen=True, kw_only=True):
    """A trade between two meters: bilateral (SELLER, BUYER), or through a market (MARKET_CLEARING_AGENT, PROSUMER)."""

    roles: Annotated[
        tuple[TradeSeller | TradeBuyer | TradeProsumer | TradeMarket | TradeGrid | GovernmentRole, ...],
        Meta(min_length=2),
    ]

    def __post_init__(self) -> None:
        bilateral = any(isinstance(role, TradeSeller | TradeBuyer) for role in self.roles)
        market = any(isinstance(role, TradeProsumer | TradeMarket) for role in self.roles)
        if bilateral == market:
            raise Breach("either SELLER and BUYER, or MARKET_CLEARING_AGENT and PROSUMER")


class SettlementLine(Wire, frozen=True, kw_only=True):
    """One posting of a settlement cycle: amount ≥ 0 in whole minor units, from payer to payee."""

    term: Identifier
    amount: NonNegative
    payer: Identifier = field(name="from")
    payee: Identifier = field(name="to")


class EnergySettlement(Bag, frozen=True, kw_only=True):
    """A settlement cycle; ``amount`` is what the addressee receives (+) or pays (−).

    A cycle that is to be signed says the digest of what it was computed from and the digest that stands for all of it, and is
    answered with the addressee's signature over the latter, or with the reason why it is disputed.
    """

    cycleId: Identifier
    currency: Currency
    amount: float
    breakdown: tuple[SettlementLine, ...]
    timeWindow: TimeWindow
    snapshotDigest: NamedSha256 | UnsetType = UNSET
    statementDigest: NamedSha256 | UnsetType = UNSET
    signature: Text | UnsetType = UNSET
    disputeReason: Text | UnsetType = UNSET


class OfferCurveData(Wire, frozen=True, kw_only=True):
    """The curve of an OFFER_CURVE intent, and what the device can do besides."""

    curve: OfferCurve
    rampRateKWPerMin: NonNegative | UnsetType = UNSET
    minRunKW: NonNegative | UnsetType = UNSET
    reference: Literal["ABSOLUTE", "BASELINE"] | UnsetType = UNSET


class Route(Wire, frozen=True, kw_only=True):
    """A way, and how far from it a service may lie."""

    waypoints: Annotated[tuple[Position, ...], Meta(min_length=2)]
    radiusMeters: NonNegative


class ServicePreferences(Wire, frozen=True, kw_only=True):
    """What somebody who asks for a service would rather have."""

    maxPricePerKWh: NonNegative | UnsetType = UNSET
    preferredSource: SourceType | UnsetType = UNSET


class ServiceRequestData(Wire, frozen=True, kw_only=True):
    """A wish for energy along a way or around a place, before a deadline."""

    requiredKWh: NonNegative
    deadline: Timestamp
    maxWaitTimeMinutes: NonNegative | UnsetType = UNSET
    route: Route | UnsetType = UNSET
    location: Position | UnsetType = UNSET
    preferences: ServicePreferences | UnsetType = UNSET


class EnergyIntent(Bag, frozen=True, kw_only=True):
    """What somebody would do, as a policy: a curve, a request for a service, or a tariff."""

    intentId: Identifier
    participantEra: Identifier
    intentType: Literal["OFFER_CURVE", "SERVICE_REQUEST", "TARIFF"]
    createdAt: Timestamp | UnsetType = UNSET
    offerCurveData: OfferCurveData | UnsetType = UNSET
    serviceRequestData: ServiceRequestData | UnsetType = UNSET
    tariffData: Tariff | UnsetType = UNSET

    def __post_init__(self) -> None:
        data = {
            "OFFER_CURVE": self.offerCurveData,
            "SERVICE_REQUEST": self.serviceRequestData,
            "TARIFF": self.tariffData,
        }
        given = [kind for kind, value in data.items() if value is not UNSET]
        if given != [self.intentType]:
            raise Breach(f"the data of {self.intentType} alone", f"{', '.join(given) or 'none'}")


class EnergyObjectives(Bag, frozen=True, kw_only=True):
    """What somebody values; an optimiser of their own derives the curve.  Energy in kWh, power in kW, prices per kWh.

    targetReductionKW ≤ 0, counted like any injection.
    """

    targetChargeKWh: NonNegative | UnsetType = UNSET
    targetGenerationKWh: NonNegative | UnsetType = UNSET
    targetReductionKW: NonPositive | UnsetType = UNSET
    deadline: Timestamp | UnsetType = UNSET
    maxPricePerKWh: NonNegative | UnsetType = UNSET
    minPricePerKWh: NonNegative | UnsetType = UNSET
    preferredSource: SourceType | UnsetType = UNSET
    location: Position | UnsetType = UNSET
    timeWindow: TimeWindow | UnsetType = UNSET
