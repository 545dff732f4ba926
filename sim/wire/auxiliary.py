"""Bodies of ``aggregate`` and ``on_aggregate``: auxiliary actions, beside the core specification and never changing it."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from sim.wire.bags import GridConstraints, OfferCurve
from sim.wire.basics import Identifier, Text, TimeWindow, Wire


class LimitWeight(Wire, frozen=True, kw_only=True):
    """What each kW of one participant counts in a linear limit."""

    era: Identifier
    weight: float


class LinearLimitBody(Wire, frozen=True, kw_only=True):
    """A limit on a weighted sum of set-points: a voltage by its sensitivities, a line of a mesh by its shares."""

    id: Text
    maximum: float
    weights: tuple[LimitWeight, ...]


class LinearLimitResult(Wire, frozen=True, kw_only=True):
    """The left side of a linear limit, and its price ≥ 0 per kWh and unit of weight; binding where it holds somebody back."""

    id: Text
    price: float
    value: float
    binding: bool


class AggregateParticipant(Wire, frozen=True, kw_only=True):
    """A participant of one clearing, with its curve.

    adderPerKWh: what its price lies above its node's, known before the clearing (marginal losses).
    """

    era: Identifier
    gridNode: Identifier
    offerCurve: OfferCurve
    baselineKW: float | UnsetType = UNSET
    adderPerKWh: float | UnsetType = UNSET


class AggregateNode(Wire, frozen=True, kw_only=True):
    """A grid node of one clearing, with its limits."""

    era: Identifier
    gridConstraints: GridConstraints
    gridNode: Identifier | UnsetType = UNSET


class AggregationRequest(Wire, frozen=True, kw_only=True):
    """One market problem.

    k: where in a range of equilibrium prices the price lies.  priceFloor, priceCap: bounds of prices per kWh.  slack: ERA of
    the supplier that takes what the others leave.
    """

    aggregationType: Literal["MARKET_CLEARING", "CAPACITY_AGGREGATION"]
    timeWindow: TimeWindow
    participants: tuple[AggregateParticipant, ...]
    gridNodes: tuple[AggregateNode, ...]
    k: float | UnsetType = UNSET
    priceFloor: float | UnsetType = UNSET
    priceCap: float | UnsetType = UNSET
    slack: Identifier | UnsetType = UNSET
    linearLimits: tuple[LinearLimitBody, ...] | UnsetType = UNSET


class Setpoint(Wire, frozen=True, kw_only=True):
    """The cleared power of one participant at its price (null where there is none).

    offsetKW: commanded where the price could not choose the quantity.  curtailedKW: commanded outside the curve.
    """

    era: Identifier
    setpointKW: float
    price: float | None
    offsetKW: float | UnsetType = UNSET
    curtailedKW: float | UnsetType = UNSET


class NodeResult(Wire, frozen=True, kw_only=True):
    """Price (null where nothing fixes it), adder over the parent's, flow (+ import) and binding limit of one grid node."""

    era: Identifier
    locationalPrice: float | None
    locationalPriceAdder: float
    flowKW: float
    binding: Literal["FORWARD", "REVERSE"] | None


class ViolationBody(Wire, frozen=True, kw_only=True):
    """One condition that a clearing breaks."""

    condition: Identifier
    who: Text
    what: Text
    amount: float


class CertificateBody(Wire, frozen=True, kw_only=True):
    """Whether a clearing satisfies every condition of the optimum, and if not, which it breaks."""

    certified: bool
    violations: tuple[ViolationBody, ...]


class AggregationResult(Wire, frozen=True, kw_only=True):
    """The outcome of one market problem; ``clearingPrice`` is the root's and absent where nothing fixes it."""

    clearingQuantityKW: float
    setpoints: tuple[Setpoint, ...]
    gridNodes: tuple[NodeResult, ...]
    welfare: float
    certificate: CertificateBody
    policy: Identifier
    clearingPrice: float | UnsetType = UNSET
    notes: tuple[Text, ...] | UnsetType = UNSET
    linearLimits: tuple[LinearLimitResult, ...] | UnsetType = UNSET


class AggregateContent(Wire, frozen=True, kw_only=True):
    """Body of ``aggregate``."""

    aggregationRequest: AggregationRequest


class AggregatedContent(Wire, frozen=True, kw_only=True):
    """Body of ``on_aggregate``."""

    aggregationResult: AggregationResult
