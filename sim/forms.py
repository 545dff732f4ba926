"""Between the kernel's objects and their bodies on the wire."""

from __future__ import annotations

import functools
import math
from typing import cast

import msgspec
from msgspec import UNSET, UnsetType

from sim.clock import Calendar, Interval
from sim.contracts.contract import Contract
from sim.curves import OfferCurve
from sim.errors import CurveError, Fault
from sim.market.assessment import Assessment, NodeFinding
from sim.market.certificate import Certificate
from sim.market.problem import Clearing, LinearLimit, Problem
from sim.market.wire_form import result_of
from sim.wire.assessment import (
    AssessContent,
    AssessedContent,
    AssessedNode,
    AssessmentRequest,
    LossFactor,
    PlannedPower,
)
from sim.wire.assessment import Assessment as WireAssessment
from sim.wire.auxiliary import (
    AggregateNode,
    AggregateParticipant,
    AggregationRequest,
    AggregationResult,
    LimitWeight,
    LinearLimitBody,
)
from sim.wire.bags import (
    ContractFlow,
    CurvePoint,
    EnergyDelivery,
    GridConstraints,
    MeterReading,
    RevenueFlows,
    Role,
    TimeWindow,
)
from sim.wire.bags import OfferCurve as WireCurve
from sim.wire.codes import Code, Refusal
from sim.wire.messages import Message
from sim.wire.need import bag, needed

PERFORMANCE = "/message/contract/performance"


def curve_body(curve: OfferCurve, currency: str) -> WireCurve:
    """The wire body of a curve; vertical steps are two points at one price, so LINEAR says it all."""
    points = tuple(CurvePoint(price=price, powerKW=p_kw) for price, p_kw in curve.points())
    return WireCurve(currency=currency, minExport=curve.min_kw, maxExport=curve.max_kw, curve=points)


def curve_of(body: WireCurve, who: str) -> OfferCurve:
    """The curve that a body means.  Raises ``CurveError`` for one that falls, or leaves the bounds it names itself."""
    points = [(point.price, point.powerKW) for point in body.curve]
    for index, (_, p_kw) in enumerate(points):
        if not body.minExport <= p_kw <= body.maxExport:
            what = f"{p_kw:g} kW is outside its bounds {body.minExport:g}..{body.maxExport:g} kW"
            raise CurveError(who, (Fault(f"curve/{index}", what),))
    return OfferCurve.of(points, step=body.interpolation is not UNSET and body.interpolation == "STEP", who=who)


def flows_body(contract: Contract) -> RevenueFlows:
    """The wire body of who pays whom by which formula."""
    flows = tuple(
        ContractFlow(
            name=term.name,
            description=term.name,
            formula=term.formula.text,
            payer=cast(Role, str(term.payer)),
            payee=cast(Role, str(term.payee)),
        )
        for term in contract.terms
    )
    return RevenueFlows(flows=flows, netZero=True)


def window_of(calendar: Calendar, index: int) -> TimeWindow:
    """The time window of interval ``index``."""
    interval = calendar.interval(index)
    return _window(calendar.timestamp(interval.start_s), calendar.timestamp(interval.end_s))


@functools.lru_cache(maxsize=4096)
def _window(start: str, end: str) -> TimeWindow:
    return TimeWindow(start=start, end=end)


def interval_of(window: TimeWindow | UnsetType, calendar: Calendar, pointer: str) -> Interval:
    """The interval that a window on the wire means.  Raises ``Refusal`` for a window that is none of the calendar's."""
    start = needed(window, pointer).start
    interval = calendar.interval(calendar.index_at(calendar.seconds(start)))
    if not 0 <= interval.index < calendar.count or window != window_of(calendar, interval.index):
        what = f"expected an interval of {calendar.interval_s} s within the run, got {start} to {needed(window, pointer).end}"
        raise Refusal(Code.NET_ENTITY_NOT_FOUND, pointer, what)
    return interval


def delivery_of(message: Message, number: int) -> EnergyDelivery:
    """Reading ``number`` of an ``on_status``.  Raises ``Refusal`` where it is no meter's."""
    performance = needed(message.contract.performance, PERFORMANCE)
    pointer = f"{PERFORMANCE}/{number}/performanceAttributes"
    return bag(performance[number].performanceAttributes, EnergyDelivery, pointer)


def readings_in(message: Message, calendar: Calendar) -> tuple[int, dict[str, MeterReading] | None]:
    """Interval and readings by meter of an ``on_status``; None for the readings where any is not ACTUAL.

    Raises ``Refusal`` where the readings are of several intervals.
    """
    readings: dict[str, MeterReading] = {}
    window = delivery_of(message, 0).meterReadings[0].timeWindow
    for number in range(len(needed(message.contract.performance, PERFORMANCE))):
        delivery = delivery_of(message, number)
        readings[delivery.meterId] = reading = delivery.meterReadings[0]
        if reading.timeWindow != window:
            pointer = f"{PERFORMANCE}/{number}/performanceAttributes/meterReadings/0/timeWindow"
            raise Refusal(Code.SCH_SCHEMA_VALIDATION_FAILED, pointer, "expected readings of one interval")
    index = interval_of(window, calendar, f"{PERFORMANCE}/0/performanceAttributes/meterReadings/0/timeWindow").index
    valid = all(reading.quality == "ACTUAL" for reading in readings.values())
    return index, readings if valid else None


def undelivered_in(message: Message) -> frozenset[str]:
    """Meters of an ``on_status`` whose bus had no supply: what was agreed with them could not happen."""
    count = len(needed(message.contract.performance, PERFORMANCE))
    deliveries = (delivery_of(message, number) for number in range(count))
    return frozenset(
        d.meterId for d in deliveries if d.deliveryStatus == "FAILED" and d.meterReadings[0].quality == "ACTUAL"
    )


def aggregation_request(problem: Problem, window: TimeWindow, currency: str) -> AggregationRequest:
    """The wire body of a market problem."""
    participants = tuple(
        AggregateParticipant(
            era=offer.era,
            gridNode=offer.node,
            offerCurve=curve_body(offer.curve, currency),
            baselineKW=UNSET if offer.baseline_kw is None else offer.baseline_kw,
            adderPerKWh=offer.adder_per_kwh or UNSET,
            minRunKW=offer.min_run_kw or UNSET,
        )
        for offer in problem.offers
    )
    nodes = tuple(
        AggregateNode(
            era=limit.node,
            gridNode=UNSET if limit.parent is None else limit.parent,
            distance=UNSET if limit.distance == 1 else limit.distance,
            adderPerKWh=limit.adder_per_kwh or UNSET,
            gridConstraints=GridConstraints(
                maxForwardFlowKW=finite(limit.import_limit_kw), maxReverseFlowKW=finite(limit.export_limit_kw)
            ),
        )
        for limit in problem.limits
    )
    return AggregationRequest(
        aggregationType="MARKET_CLEARING",
        timeWindow=window,
        participants=participants,
        gridNodes=nodes,
        k=problem.k,
        priceFloor=finite(problem.price_floor),
        priceCap=finite(problem.price_cap),
        slack=UNSET if problem.slack is None else problem.slack,
        linearLimits=tuple(map(linear_limit_body, problem.linear)) or UNSET,
        sharing=UNSET if problem.sharing == "PRO_RATA" else problem.sharing,
        seed=problem.seed or UNSET,
    )


def linear_limit_body(limit: LinearLimit) -> LinearLimitBody:
    """A linear limit as it travels."""
    weights = tuple(LimitWeight(era=era, weight=weight) for era, weight in limit.weight.items())
    return LinearLimitBody(id=limit.name, maximum=limit.most, weights=weights)


def aggregation_result(problem: Problem, clearing: Clearing, certificate: Certificate) -> AggregationResult:
    """The wire body of a clearing with its certificate; the same object that a market without a simulation answers with."""
    return msgspec.convert(result_of(problem, clearing, certificate), AggregationResult)


def assessment_request(result: AggregationResult, window: TimeWindow) -> AssessContent:
    """The question whether the wires would carry an outcome."""
    planned = tuple(PlannedPower(era=s.era, setpointKW=s.setpointKW) for s in result.setpoints)
    return AssessContent(assessmentRequest=AssessmentRequest(timeWindow=window, setpoints=planned))


def assessment_body(assessment: Assessment) -> AssessedContent:
    """What the wires say, as it travels."""
    factors = (assessment.loss_factor or {}).items()
    return AssessedContent(
        assessment=WireAssessment(
            solved=assessment.solved,
            gridNodes=tuple(
                AssessedNode(
                    era=found.node,
                    flowKW=found.flow_kw,
                    loading=found.loading,
                    excessForwardKW=found.excess_forward_kw,
                    excessReverseKW=found.excess_reverse_kw,
                )
                for found in assessment.nodes
            ),
            lossesKW=finite(assessment.losses_kw),
            linearLimits=tuple(map(linear_limit_body, assessment.voltages)) or UNSET,
            lossFactors=tuple(LossFactor(era=era, factor=factor) for era, factor in factors) or UNSET,
            unserved=assessment.unserved or UNSET,
            note=assessment.note or UNSET,
        )
    )


def assessment_of(body: WireAssessment) -> Assessment:
    """What travelled, as the market reads it."""
    return Assessment(
        solved=body.solved,
        nodes=tuple(
            NodeFinding(n.era, n.flowKW, n.loading, n.excessForwardKW, n.excessReverseKW) for n in body.gridNodes
        ),
        voltages=tuple(
            LinearLimit(limit.id, {w.era: w.weight for w in limit.weights}, limit.maximum)
            for limit in body.linearLimits or ()
        ),
        loss_factor={f.era: f.factor for f in body.lossFactors} if body.lossFactors else None,
        unserved=body.unserved or (),
        losses_kw=body.lossesKW if isinstance(body.lossesKW, float) else math.nan,
        note=body.note or "",
    )


def given(value: float | None) -> float | UnsetType:
    """A value for an optional wire field: absent where there is none."""
    return UNSET if value is None else value


def finite(value: float) -> float | UnsetType:
    """A value for an optional wire field: absent where it is infinite, which JSON cannot say."""
    return value if math.isfinite(value) else UNSET
