"""The energy objects that travel in Beckn's ``*Attributes`` bags.

Attribute names are the wire's own, letter for letter, units included (``powerKW``, ``priceAdderPerPercent``).  Every bag is
closed: an unknown field is refused.  ``ld`` is the JSON-LD ``@context``; the class name is the ``@type``.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType, field

ENERGY: Final = "https://schema.degsim.example/energy/v1/context.jsonld"
"""JSON-LD context of every energy bag."""

Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
Timestamp = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)$")]
Duration = Annotated[str, msgspec.Meta(pattern=r"^PT\d+S$")]
MAX_CURVE_POINTS = 4096
"""Bound of a curve on the wire: room for a portfolio's sum, none for a flood."""
Currency = Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
Role = Literal[
    "BUYER", "SELLER", "PROSUMER", "AGGREGATOR", "MARKET_CLEARING_AGENT", "GRID_OPERATOR", "GOVERNMENT"
]  # fmt: skip
PricingModel = Literal["PAY_AS_CLEAR", "RETAIL"]
ContractState = Literal["PENDING", "ACTIVE", "COMPLETED", "TERMINATED"]


class Wire(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of everything on the wire: frozen, and closed to unknown fields."""


class Bag(Wire, frozen=True, tag_field="@type"):
    """Base of an energy bag: carries its JSON-LD context and its type."""

    ld: Literal["https://schema.degsim.example/energy/v1/context.jsonld"] = field(name="@context")


class TimeWindow(Wire, frozen=True, kw_only=True):
    """Half-open window of time, RFC 3339."""

    start: Timestamp
    end: Timestamp


class CurvePoint(Wire, frozen=True, kw_only=True):
    """Power (+ injection, − withdrawal, kW) at a price (currency/kWh)."""

    price: float
    powerKW: float


class CurveBody(Wire, frozen=True, kw_only=True):
    """An offer curve as it stands on the wire; ``sim.curves`` gives it its meaning.

    minExport, maxExport: least and greatest power in kW (a negative minExport is the largest withdrawal).
    """

    currency: Currency
    minExport: float
    maxExport: float
    curve: Annotated[tuple[CurvePoint, ...], msgspec.Meta(min_length=1, max_length=MAX_CURVE_POINTS)]
    interpolation: Literal["LINEAR", "STEP"] | UnsetType = UNSET


class EnergyResource(Bag, frozen=True, kw_only=True):
    """What a participant operates, at which meter, below which grid node."""

    resourceType: Literal["LOAD", "SOLAR", "BATTERY", "EV", "PORTFOLIO", "GRID_SUPPLY"]
    meterId: Identifier
    gridNode: Identifier


class GridConstraints(Wire, frozen=True, kw_only=True):
    """Limits of a grid node in kW at its low-voltage side, and its load; load may exceed capacity."""

    maxForwardFlowKW: float | UnsetType = UNSET
    maxReverseFlowKW: float | UnsetType = UNSET
    currentLoadKW: float | UnsetType = UNSET
    capacityKW: float | UnsetType = UNSET


class GridNode(Bag, frozen=True, kw_only=True):
    """A transformer as an energy resource that publishes its limits; ``gridNode`` is its parent, absent at the root."""

    nodeId: Identifier
    nodeType: Literal["TRANSFORMER", "SUBSTATION", "DISTRIBUTION_NODE", "TRANSMISSION_NODE"]
    gridConstraints: GridConstraints
    gridNode: Identifier | UnsetType = UNSET


class TariffRestrictions(Wire, frozen=True, kw_only=True):
    """Local time of day, half open; ``24:00`` is the end of the day."""

    startTime: str
    endTime: str


class PriceComponent(Wire, frozen=True, kw_only=True):
    """One price of a tariff element, excluding tax: per kWh for ENERGY."""

    type: Literal["ENERGY"]
    price: float


class TariffElement(Wire, frozen=True, kw_only=True):
    """Prices that hold where the restrictions do; the first element that fits counts."""

    priceComponents: Annotated[tuple[PriceComponent, ...], msgspec.Meta(min_length=1)]
    restrictions: TariffRestrictions | UnsetType = UNSET


class Tariff(Bag, frozen=True, kw_only=True):
    """What a retailer asks for a kWh drawn (IMPORT) or pays for one delivered (EXPORT)."""

    currency: Currency
    direction: Literal["IMPORT", "EXPORT"]
    elements: Annotated[tuple[TariffElement, ...], msgspec.Meta(min_length=1)]


class EnergyOffer(Bag, frozen=True, kw_only=True):
    """An open role in a contract template, and when its market takes curves.

    There is no price: PAY_AS_CLEAR finds it when the gate has closed, between floor and cap.  The two ``…Before`` are counted
    back from the start of delivery.
    """

    templateId: Identifier
    openRole: Role
    pricingModel: PricingModel
    currency: Currency
    intervalDuration: Duration
    confirmBefore: Duration
    gateBefore: Duration
    priceFloor: float
    priceCap: float


class RoleInputs(Wire, frozen=True, kw_only=True):
    """What the holder of a role brings into a contract."""

    sourceMeterId: Identifier | UnsetType = UNSET
    offerCurve: CurveBody | UnsetType = UNSET
    baselineKW: float | UnsetType = UNSET


class ContractRole(Wire, frozen=True, kw_only=True):
    """A role of a contract, and the energy resource address (ERA) that fills it."""

    role: Role
    filled: bool
    filledBy: Identifier | UnsetType = UNSET
    roleInputs: RoleInputs | UnsetType = UNSET


class InputParameters(Wire, frozen=True, kw_only=True):
    """Constants of a contract: caps in kW at the connection, charges per kWh, tax as a share of the energy price."""

    approvedMaxImportKW: float | UnsetType = UNSET
    approvedMaxExportKW: float | UnsetType = UNSET
    wheelingPerKWh: float | UnsetType = UNSET
    feePerKWh: float | UnsetType = UNSET
    penaltyPerKWh: float | UnsetType = UNSET
    taxRate: float | UnsetType = UNSET


class PriceSignal(Wire, frozen=True, kw_only=True):
    """The outcome of a gate for one participant: price where it stands, cleared power, and what was commanded besides.

    price is absent where nothing was traded or the policy has no price.  offsetKW lies inside the participant's plateau,
    curtailedKW outside its curve.  firm: the cleared power is also the most that may be injected.
    """

    signalId: Literal["market-clearing-price"]
    signalType: Literal["PRICE"]
    clearedPowerKW: float
    price: float | UnsetType = UNSET
    offsetKW: float | UnsetType = UNSET
    curtailedKW: float | UnsetType = UNSET
    firm: bool | UnsetType = UNSET
    gridNode: Identifier | UnsetType = UNSET


class ContractFlow(Wire, frozen=True, kw_only=True):
    """One term: who pays whom by which formula."""

    name: Identifier
    description: str
    formula: str
    payer: Role = field(name="from")
    payee: Role = field(name="to")


class RevenueFlows(Wire, frozen=True, kw_only=True):
    """The terms of a contract; a term with payer and payee sums to zero by construction."""

    flows: tuple[ContractFlow, ...]
    netZero: bool


class EnergyContract(Bag, frozen=True, kw_only=True):
    """The energy side of a contract: roles, constants, signals and terms."""

    templateId: Identifier
    status: ContractState
    roles: Annotated[tuple[ContractRole, ...], msgspec.Meta(min_length=1)] | UnsetType = UNSET
    timeWindow: TimeWindow | UnsetType = UNSET
    inputParameters: InputParameters | UnsetType = UNSET
    inputSignals: Annotated[tuple[PriceSignal, ...], msgspec.Meta(min_length=1)] | UnsetType = UNSET
    revenueFlows: RevenueFlows | UnsetType = UNSET


class MeterReading(Wire, frozen=True, kw_only=True):
    """Energy over one interval: consumed and produced are never netted.  ESTIMATED must not be settled on as if ACTUAL."""

    timeWindow: TimeWindow
    consumedEnergy: float
    producedEnergy: float
    unit: Literal["kWh"]
    quality: Literal["ACTUAL", "ESTIMATED", "MISSING"]


class EnergyDelivery(Bag, frozen=True, kw_only=True):
    """What a meter says about a delivery."""

    deliveryStatus: Literal["PENDING", "IN_PROGRESS", "COMPLETED", "FAILED"]
    meterId: Identifier
    meterReadings: Annotated[tuple[MeterReading, ...], msgspec.Meta(min_length=1)]


class SettlementLine(Wire, frozen=True, kw_only=True):
    """One posting of a settlement cycle: amount ≥ 0 in whole minor units, from payer to payee."""

    term: Identifier
    amount: float
    payer: Identifier = field(name="from")
    payee: Identifier = field(name="to")


class EnergySettlement(Bag, frozen=True, kw_only=True):
    """A settlement cycle; ``amount`` is what the addressee receives (+) or pays (−)."""

    cycleId: Identifier
    currency: Currency
    amount: float
    breakdown: tuple[SettlementLine, ...]
    timeWindow: TimeWindow
