"""Energy resources, and the grid nodes above them."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType, field

from sim.wire.basics import (
    Bag,
    Breach,
    Identifier,
    Moment,
    NonNegative,
    Text,
    Timestamp,
    TimeWindow,
    Uri,
    Wire,
)

ResourceType = Literal["LOAD", "SOLAR", "BATTERY", "EV", "PORTFOLIO", "GRID_SUPPLY"]
SourceType = Literal["SOLAR", "BATTERY", "GRID", "HYBRID", "RENEWABLE"]
DeliveryMode = Literal["EV_CHARGING", "BATTERY_SWAP", "V2G", "GRID_INJECTION"]


class LdTimePeriod(Wire, frozen=True, kw_only=True):
    """A window of time as the published bags write it: date-times, or times of day."""

    kind: Literal["beckn:TimePeriod", "TimePeriod"] = field(name="@type")
    startDate: Timestamp | UnsetType = field(name="schema:startDate", default=UNSET)
    endDate: Timestamp | UnsetType = field(name="schema:endDate", default=UNSET)
    startTime: Moment | UnsetType = field(name="schema:startTime", default=UNSET)
    endTime: Moment | UnsetType = field(name="schema:endTime", default=UNSET)

    def __post_init__(self) -> None:
        if self.startDate is UNSET and self.endDate is UNSET and UNSET in (self.startTime, self.endTime):
            raise Breach("schema:startDate, schema:endDate, or both schema:startTime and schema:endTime")


class SourceVerification(Wire, frozen=True, kw_only=True):
    """Who has certified a source, and when."""

    verified: bool | UnsetType = UNSET
    verificationDate: Timestamp | UnsetType = UNSET
    certificates: tuple[Uri, ...] | UnsetType = UNSET


class EnergyResource(Bag, frozen=True, kw_only=True):
    """What a participant operates, at which meter, below which grid node; or what a seller has to sell.

    accepts: profiles of native messages that the device understands.  availableQuantity: kWh.
    """

    meterId: Identifier | UnsetType = UNSET
    resourceType: ResourceType | UnsetType = UNSET
    gridNode: Identifier | UnsetType = UNSET
    accepts: tuple[Identifier, ...] | UnsetType = UNSET
    sourceType: SourceType | UnsetType = UNSET
    deliveryMode: DeliveryMode | UnsetType = UNSET
    certificationStatus: Text | UnsetType = UNSET
    availableQuantity: NonNegative | UnsetType = UNSET
    productionWindow: tuple[LdTimePeriod, ...] | UnsetType = UNSET
    sourceVerification: SourceVerification | UnsetType = UNSET
    productionAsynchronous: bool | UnsetType = UNSET


class GridConstraints(Wire, frozen=True, kw_only=True):
    """Limits of a grid node in kW at its low-voltage side, and its load; load may exceed capacity."""

    maxForwardFlowKW: NonNegative | UnsetType = UNSET
    maxReverseFlowKW: NonNegative | UnsetType = UNSET
    currentLoadKW: float | UnsetType = UNSET
    capacityKW: NonNegative | UnsetType = UNSET


class LocationalPriceAdder(Wire, frozen=True, kw_only=True):
    """What energy costs more (+) or less (−) below a node than above it, per kWh.

    currentPrice: the adder itself, signed: reverse flow makes it negative.  It may be stated by a rule: priceAdderPerPercent
    for every percent that currentLoadPercent lies above thresholdPercent, times congestionMultiplier.  Load above 100 % is
    overload, not an error.  basePrice is for information.
    """

    currentPrice: float
    basePrice: float | UnsetType = UNSET
    currentLoadPercent: NonNegative | UnsetType = UNSET
    priceAdderPerPercent: NonNegative | UnsetType = UNSET
    thresholdPercent: NonNegative | UnsetType = UNSET
    congestionMultiplier: NonNegative | UnsetType = UNSET


class OffsetCommand(Wire, frozen=True, kw_only=True):
    """Power in kW to move below a node or of a participant, + towards injection; its presence enables it.

    timeWindow: when it is in force, default always.  Who is indifferent at the price is moved at no cost; who is not is
    compensated.
    """

    offsetKW: float
    timeWindow: TimeWindow | UnsetType = UNSET


class GridNode(Bag, frozen=True, kw_only=True):
    """A transformer as an energy resource that publishes its limits; ``gridNode`` is its parent, absent at the root."""

    nodeId: Identifier
    nodeType: Literal["TRANSFORMER", "SUBSTATION", "DISTRIBUTION_NODE", "TRANSMISSION_NODE"]
    gridConstraints: GridConstraints
    gridNode: Identifier | UnsetType = UNSET
    locationalPriceAdder: LocationalPriceAdder | UnsetType = UNSET
    offsetCommand: OffsetCommand | UnsetType = UNSET
