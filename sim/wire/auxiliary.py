"""Bodies of ``aggregate`` and ``on_aggregate``: auxiliary actions, beside the core specification and never changing it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from sim.wire.bags import GridConstraints, OfferCurve
from sim.wire.basics import Identifier, NonNegative, Text, TimeWindow, Wire


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

    adderPerKWh: what its price lies above its node's, known before the clearing (marginal losses).  minRunKW: what it cannot
    run below, unless it rests.
    """

    era: Identifier
    gridNode: Identifier
    offerCurve: OfferCurve
    baselineKW: float | UnsetType = UNSET
    adderPerKWh: float | UnsetType = UNSET
    minRunKW: NonNegative | UnsetType = UNSET


class AggregateNode(Wire, frozen=True, kw_only=True):
    """A grid node of one clearing, with its limits.

    distance: electrical distance to its parent; 1 where it is not given.  adderPerKWh: what the node has announced that its
    price lies above its parent's, signed; for policies that broadcast prices.
    """

    era: Identifier
    gridConstraints: GridConstraints
    gridNode: Identifier | UnsetType = UNSET
    distance: NonNegative | UnsetType = UNSET
    adderPerKWh: float | UnsetType = UNSET


class AggregationRequest(Wire, frozen=True, kw_only=True):
    """One market problem.

    k: where in a range of equilibrium prices the price lies.  priceFloor, priceCap: bounds of prices per kWh.  slack: ERA of
    the supplier that takes what the others leave.  sharing: who gets what where the price leaves a choice, PRO_RATA where it is
    not given.  seed: of the order that a LOTTERY draws.
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
    sharing: Literal["PRO_RATA", "EQUAL_SHARE", "TIME_PRIORITY", "LOTTERY"] | UnsetType = UNSET
    seed: Annotated[int, Meta(ge=0)] | UnsetType = UNSET


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
    """One condition that a clearing breaks.  amount: by how much; absent where no number would be enough."""

    condition: Identifier
    who: Text
    what: Text
    amount: float | UnsetType = UNSET


class CertificateBody(Wire, frozen=True, kw_only=True):
    """Whether a clearing satisfies every condition of the optimum, and if not, which it breaks."""

    certified: bool
    violations: tuple[ViolationBody, ...]


class DealBody(Wire, frozen=True, kw_only=True):
    """Power that one participant sells to another, and what each side pays or gets for a kWh of it."""

    seller: Identifier
    buyer: Identifier
    powerKW: NonNegative
    paidPerKWh: float
    receivedPerKWh: float


class AccountBody(Wire, frozen=True, kw_only=True):
    """What is left an hour with somebody who is no participant: a rent, a fee; negative where he pays in."""

    name: Text
    amountPerH: float


class UpliftBody(Wire, frozen=True, kw_only=True):
    """What a participant loses an hour by its set-point, against the best its curve has at its price."""

    era: Identifier
    amountPerH: NonNegative


class Equilibrium(Wire, frozen=True, kw_only=True):
    """What is known of the clearing of the grid nodes that share one price, beyond the price.

    clearingType: absent where the set-points follow from no price.  priceLow, priceHigh: all prices that would do; an end that
    is absent is open.  quantityLowKW, quantityHighKW: least and most that could be traded at the price.  marginalSide: who is
    served in part at the price, with marginalKW of what it would trade at just this price, and theta the same as a share.
    unservedKW: withdrawals that would pay the price cap and were cut.  spilledKW: injections cut at the price floor.
    indicativePrice: the middle between best bid and best ask, where nothing is traded.
    """

    gridNodes: tuple[Identifier, ...]
    quantityLowKW: float
    quantityHighKW: float
    clearingType: (
        Literal["NULL", "EXACT", "MARGINAL_BUYER", "MARGINAL_SELLER", "MARGINAL_PRICE", "FAILURE"] | UnsetType
    ) = UNSET
    priceLow: float | UnsetType = UNSET
    priceHigh: float | UnsetType = UNSET
    marginalSide: Literal["BUYER", "SELLER", "BOTH"] | UnsetType = UNSET
    marginalKW: NonNegative | UnsetType = UNSET
    theta: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
    unservedKW: NonNegative | UnsetType = UNSET
    spilledKW: NonNegative | UnsetType = UNSET
    indicativePrice: float | UnsetType = UNSET


class AggregationResult(Wire, frozen=True, kw_only=True):
    """The outcome of one market problem; ``clearingPrice`` is the root's and absent where nothing fixes it.

    deals: who trades with whom, where the policy knows that.  accounts: who else is left with what.  upliftPerH: who is off its
    own curve at its price.  equilibria: by price zone, from the root down.  integralityGapPerH: what it costs that some cannot
    run below a minimum.  A clearing within a simulation leaves all of these out.
    """

    clearingQuantityKW: float
    setpoints: tuple[Setpoint, ...]
    gridNodes: tuple[NodeResult, ...]
    welfare: float
    certificate: CertificateBody
    policy: Identifier
    clearingPrice: float | UnsetType = UNSET
    notes: tuple[Text, ...] | UnsetType = UNSET
    linearLimits: tuple[LinearLimitResult, ...] | UnsetType = UNSET
    deals: tuple[DealBody, ...] | UnsetType = UNSET
    accounts: tuple[AccountBody, ...] | UnsetType = UNSET
    upliftPerH: tuple[UpliftBody, ...] | UnsetType = UNSET
    equilibria: tuple[Equilibrium, ...] | UnsetType = UNSET
    integralityGapPerH: float | UnsetType = UNSET


class AggregateContent(Wire, frozen=True, kw_only=True):
    """Body of ``aggregate``."""

    aggregationRequest: AggregationRequest


class AggregatedContent(Wire, frozen=True, kw_only=True):
    """Body of ``on_aggregate``."""

    aggregationResult: AggregationResult
