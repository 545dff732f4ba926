"""Offsets that a scenario has grid nodes command."""

from __future__ import annotations

from datetime import timedelta

from msgspec import UNSET, UnsetType

from scenarios.spec import Scenario
from sim.clock import Calendar
from sim.wire.bags import OffsetCommand, TimeWindow


def offset_command(scenario: Scenario, node: str, calendar: Calendar) -> OffsetCommand | UnsetType:
    """What a node commands during the run, if anything."""
    for spec in scenario.market.offsets:
        if spec.node == node:
            begins_s = 0 if spec.start is None else round((spec.start - scenario.start) / timedelta(seconds=1))
            ends_s = (
                calendar.duration_s if spec.end is None else round((spec.end - scenario.start) / timedelta(seconds=1))
            )
            window = TimeWindow(start=calendar.timestamp(begins_s), end=calendar.timestamp(ends_s))
            return OffsetCommand(offsetKW=spec.kw, timeWindow=window)
    return UNSET
