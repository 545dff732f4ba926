"""The faults of the network that a scenario states, on the simulated clock."""

from __future__ import annotations

import math
from datetime import datetime

from scenarios.spec import Scenario
from sim.bus import Delay


def delays_of(scenario: Scenario) -> tuple[Delay, ...]:
    """What holds which messages up, in the scenario's order."""

    def second(at: datetime | None, without: float) -> float:
        return without if at is None else (at - scenario.start).total_seconds()

    return tuple(
        Delay(one.sender, one.by_s, one.action or "", second(one.since, -math.inf), second(one.until, math.inf))
        for one in scenario.wire.delays
    )
