"""What a contract about capacity held ready says beside any other: what it listens to, and how well it was answered."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import UNSET, UnsetType

from agents.deal import Deal
from agents.twins.reserve import Follows
from sim.clock import Calendar, Interval
from sim.wire.bags import InputSignal, Telemetry, TelemetryMetric
from sim.wire.bags.contracts import QualityMetric

UNIT: Mapping[Follows, str] = {"FREQUENCY": "HZ", "AGC_SETPOINT": "KW"}
ERROR_OF: Mapping[Follows, str] = {
    "FREQUENCY": "FREQUENCY_RESPONSE_ERROR",
    "AGC_SETPOINT": "SETPOINT_FOLLOWING_ERROR",
}
"""What the published trade ledger calls the error of whoever follows one or the other."""


def listened_to(deal: Deal) -> tuple[InputSignal, ...]:
    """The signal that a reserve goes by, for the terms of its contract; empty for whatever is no reserve."""
    reserve = deal.item.reserve
    if reserve is None:
        return ()
    control = reserve.control
    period = f"PT{control.step_s}S"
    return (
        InputSignal(
            signalId=control.follows.lower(),
            signalType=control.follows,
            unit=UNIT[control.follows],
            refreshInterval=period,
        ),
    )


def metrics_of(deal: Deal) -> tuple[QualityMetric, ...] | UnsetType:
    """How well a reserve is there and answers, by the names of the published trade ledger."""
    reserve = deal.item.reserve
    if reserve is None:
        return UNSET
    return (
        QualityMetric(metricId="AVAILABILITY", formula="availability", target=1.0),
        QualityMetric(metricId=ERROR_OF[reserve.control.follows], formula="responseErrorKW", unit="KW", target=0.0),
    )


def heard(deal: Deal, calendar: Calendar, interval: Interval) -> tuple[InputSignal, ...]:
    """What was listened to in an interval: its mean and its extremes; empty where nothing was held."""
    answer, reserve = deal.answers.get(interval.index), deal.item.reserve
    if answer is None or reserve is None:
        return ()
    follows = reserve.control.follows
    told = {"": answer.mean, ".least": answer.least, ".most": answer.most}
    return tuple(
        InputSignal(
            signalId=f"{follows.lower()}{part}",
            signalType=follows,
            value=round(value, 6),
            unit=UNIT[follows],
            timestamp=calendar.timestamp(interval.end_s),
        )
        for part, value in told.items()
    )


def state_of(deal: Deal, calendar: Calendar, interval: Interval) -> tuple[Telemetry, ...] | UnsetType:
    """The state of charge of what is held ready at the end of an interval, in percent."""
    answer = deal.answers.get(interval.index)
    if answer is None:
        return UNSET
    metric = TelemetryMetric(name="STATE_OF_CHARGE", value=round(100 * answer.soc, 6), unitCode="P1")
    return (Telemetry(eventTime=calendar.timestamp(interval.end_s), metrics=(metric,)),)
