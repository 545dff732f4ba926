"""Two outcomes of a market before the grid operator: one that the wires would not carry, and one that they would.

Four roofs at the end of a line send 24 kW; its last bus would stand at 1.1043 per unit.  What each kW there raises it by is
known, and so is what the transformer takes for losses; with 4.5 kW less both are within bounds.
"""

from __future__ import annotations

from typing import Final

from sim.wire.assessment import (
    AssessContent,
    AssessedContent,
    AssessedNode,
    Assessment,
    AssessmentRequest,
    LossFactor,
    PlannedPower,
)
from sim.wire.auxiliary import LimitWeight, LinearLimitBody
from sim.wire.examples.frame import Talk, reply, window

NOON: Final = window("12:00", "12:15")
ASKING: Final = Talk("wires: assessment", "market", "utility")
ROOFS: Final = ("solar-1", "solar-2", "solar-3", "solar-4")
RISE_PU_PER_KW: Final = (0.0004, 0.0006, 0.0008, 0.001)
"""What a kW more at each roof raises the last bus by."""


def plan(p_kw: tuple[float, ...]) -> AssessContent:
    """The roofs at these powers, the supplier taking the rest."""
    powers = (*zip(ROOFS, p_kw, strict=True), ("retailer", -sum(p_kw)))
    setpoints = tuple(PlannedPower(era=era, setpointKW=kw) for era, kw in powers)
    return AssessContent(assessmentRequest=AssessmentRequest(timeWindow=NOON, setpoints=setpoints))


def transformer(flow_kw: float, loading: float, excess_kw: float = 0.0) -> AssessedNode:
    """The transformer, exporting."""
    return AssessedNode(era="tx-1", flowKW=flow_kw, loading=loading, excessForwardKW=0.0, excessReverseKW=excess_kw)


TOO_HIGH: Final = AssessedContent(
    assessment=Assessment(
        solved=True,
        gridNodes=(transformer(-23.2, 0.93, 0.7),),
        lossesKW=0.8,
        linearLimits=(
            LinearLimitBody(
                id="voltage end-of-line high",
                maximum=0.0125,  # what the roofs may add up to, 1.1000 - (1.1043 - 0.0168)
                weights=tuple(
                    LimitWeight(era=era, weight=rise) for era, rise in zip(ROOFS, RISE_PU_PER_KW, strict=True)
                ),
            ),
        ),
        lossFactors=tuple(
            LossFactor(era=era, factor=factor) for era, factor in zip(ROOFS, (0.03, 0.04, 0.05, 0.06), strict=True)
        ),
    )
)
WITHIN: Final = AssessedContent(assessment=Assessment(solved=True, gridNodes=(transformer(-18.9, 0.76),), lossesKW=0.6))

first = ASKING.ask("11:57:05", "assess", plan((6.0, 6.0, 6.0, 6.0)))
second = ASKING.ask("11:57:09", "assess", plan((6.0, 6.0, 6.0, 1.5)))

MESSAGES = (first, reply(first, TOO_HIGH), second, reply(second, WITHIN))
