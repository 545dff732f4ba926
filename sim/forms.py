"""Between the kernel's objects and their bodies on the wire."""

from __future__ import annotations

import functools
import math

import msgspec
from msgspec import UNSET, UnsetType

from sim.clock import Calendar
from sim.curves import OfferCurve
from sim.errors import CurveError, Fault
from sim.market.certificate import Certificate
from sim.market.problem import Clearing, Problem
from sim.market.wire_form import result_of
from sim.wire.bags import CurveBody, CurvePoint, GridConstraints, MeterReading, TimeWindow
from sim.wire.messages import (
    AggregateNode,
    AggregateParticipant,
    AggregationRequest,
    AggregationResult,
    Message,
)


def curve_body(curve: OfferCurve, currency: str) -> CurveBody:
    """The wire body of a curve; vertical steps are two points at one price, so LINEAR says it all."""
    points = tuple(CurvePoint(price=price, powerKW=p_kw) for price, p_kw in curve.points())
    return CurveBody(currency=currency, minExport=curve.min_kw, maxExport=curve.max_kw, curve=points)


def curve_of(body: CurveBody, who: str) -> OfferCurve:
    """The curve that a body means.  Raises ``CurveError`` for one that falls, or leaves the bounds it names itself."""
    points = [(point.price, point.powerKW) for point in body.curve]
    for index, (_, p_kw) in enumerate(points):
        if not body.minExport <= p_kw <= body.maxExport:
            what = f"{p_kw:g} kW is outside its bounds {body.minExport:g}..{body.maxExport:g} kW"
            raise CurveError(who, (Fault(f"curve/{index}", what),))
    return OfferCurve.of(points, step=body.interpolation is not UNSET and body.interpolation == "STEP", who=who)


def window_of(calendar: Calendar, index: int) -> TimeWindow:
    """The time window of interval ``index``."""
    interval = calendar.interval(index)
    return _window(calendar.timestamp(interval.start_s), calendar.timestamp(interval.end_s))


@functools.lru_cache(maxsize=4096)
def _window(start: str, end: str) -> TimeWindow:
    return TimeWindow(start=start, end=end)


def readings_in(message: Message, calendar: Calendar) -> tuple[int, dict[str, MeterReading] | None]:
    """Interval and readings by meter of an ``on_status``; None for the readings where any is not ACTUAL."""
    readings: dict[str, MeterReading] = {}
    index = 0
    for performance in message.contract.performance or ():
        delivery = performance.performanceAttributes
        readings[delivery.meterId] = reading = delivery.meterReadings[0]
        index = calendar.index_at(calendar.seconds(reading.timeWindow.start))
    valid = all(reading.quality == "ACTUAL" for reading in readings.values())
    return index, readings if valid else None


def aggregation_request(problem: Problem, window: TimeWindow, currency: str) -> AggregationRequest:
    """The wire body of a market problem."""
    participants = tuple(
        AggregateParticipant(
            era=offer.era,
            gridNode=offer.node,
            offerCurve=curve_body(offer.curve, currency),
            baselineKW=UNSET if offer.baseline_kw is None else offer.baseline_kw,
        )
        for offer in problem.offers
    )
    nodes = tuple(
        AggregateNode(
            era=limit.node,
            gridNode=UNSET if limit.parent is None else limit.parent,
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
    )


def aggregation_result(problem: Problem, clearing: Clearing, certificate: Certificate) -> AggregationResult:
    """The wire body of a clearing with its certificate; the same object that a market without a simulation answers with."""
    return msgspec.convert(result_of(problem, clearing, certificate), AggregationResult)


def given(value: float | None) -> float | UnsetType:
    """A value for an optional wire field: absent where there is none."""
    return UNSET if value is None else value


def finite(value: float) -> float | UnsetType:
    """A value for an optional wire field: absent where it is infinite, which JSON cannot say."""
    return value if math.isfinite(value) else UNSET
