"""Capacity held ready: what a contract listens to, a set-point, and how an interval was answered."""

from __future__ import annotations

from typing import Final

from sim.wire.bags import (
    ENERGY,
    ContractFlow,
    ContractRole,
    EnergyContract,
    EnergyDelivery,
    EnergySettlement,
    InputParameters,
    InputSignal,
    MeterReading,
    RevenueFlows,
    RoleInputs,
    SettlementLine,
    Telemetry,
    TelemetryMetric,
)
from sim.wire.bags.contracts import QualityMetric
from sim.wire.core import Descriptor, Performance, Settlement
from sim.wire.examples.frame import Talk, about, become, clock, commitment, draft, price, reply, window
from sim.wire.messages import Message

TALK: Final = Talk("reserves: set-point", "grid-operator", "reserves")
HELD_KW, ASKED_KW, GIVEN_KW = 180.0, 120.0, 90.0
PER_KW_H, PER_KWH = 0.015, 0.12
"""EUR for a kW that is there for an hour, and for a kWh given in answer."""
HOUR = 3600.0
MINUTE = 60 / HOUR

WISH = draft(
    TALK,
    commitment("secondary", "reserves/secondary", HELD_KW, "KW"),
    contractAttributes=EnergyContract(
        ENERGY,
        templateId="secondary-reserve",
        status="PENDING",
        roles=(ContractRole(role="GRID_OPERATOR", filled=True, filledBy="grid-operator"),),
        timeWindow=window("18:00", "19:00"),
    ),
)
TERMS = become(
    WISH,
    "DRAFT",
    consideration=(price("EUR", HELD_KW * PER_KW_H, ("UNIT", HELD_KW * PER_KW_H, "availability")),),
    contractAttributes=EnergyContract(
        ENERGY,
        templateId="secondary-reserve",
        status="PENDING",
        timeWindow=window("18:00", "19:00"),
        roles=(
            ContractRole(role="GRID_OPERATOR", filled=True, filledBy="grid-operator"),
            ContractRole(
                role="SELLER", filled=True, filledBy="reserves", roleInputs=RoleInputs(sourceMeterId="secondary")
            ),
        ),
        inputParameters=InputParameters(constants={"activationPerKWh": PER_KWH}),
        inputSignals=(
            InputSignal(signalId="agc_setpoint", signalType="AGC_SETPOINT", unit="KW", refreshInterval="PT1S"),
        ),
        qualityMetrics=(
            QualityMetric(metricId="AVAILABILITY", formula="availability", target=1.0),
            QualityMetric(metricId="SETPOINT_FOLLOWING_ERROR", formula="responseErrorKW", unit="KW", target=0.0),
        ),
        revenueFlows=RevenueFlows(
            flows=(
                ContractFlow(
                    name="availability",
                    description="capacity while it is there",
                    formula="heldKW * availability * deliveredMinutes / 60 * pricePerKWh",
                    payer="GRID_OPERATOR",
                    payee="SELLER",
                ),
                ContractFlow(
                    name="performance",
                    description="energy given in answer",
                    formula="activatedKWh * activationPerKWh",
                    payer="GRID_OPERATOR",
                    payee="SELLER",
                ),
            ),
            netZero=True,
        ),
        fulfillmentMode="INCREMENTAL",
    ),
)
SETPOINT = become(
    WISH,
    "ACTIVE",
    contractAttributes=EnergyContract(
        ENERGY,
        templateId="secondary-reserve",
        status="ACTIVE",
        inputSignals=(
            InputSignal(
                signalId="agc_setpoint",
                signalType="AGC_SETPOINT",
                value=ASKED_KW,
                unit="KW",
                timestamp=clock("18:15"),
            ),
        ),
    ),
)
AVAILABILITY, ACTIVATION = round(HELD_KW * MINUTE * PER_KW_H, 2), round(GIVEN_KW * MINUTE * PER_KWH, 2)
ANSWERED = become(
    WISH,
    "ACTIVE",
    contractAttributes=EnergyContract(
        ENERGY,
        templateId="secondary-reserve",
        status="ACTIVE",
        timeWindow=window("18:15", "18:16"),
        inputSignals=(
            InputSignal(signalId="heldKW", signalType="STATE", value=HELD_KW),
            InputSignal(signalId="availability", signalType="STATE", value=1.0),
            InputSignal(signalId="responseErrorKW", signalType="STATE", value=ASKED_KW - GIVEN_KW),
            InputSignal(signalId="activatedKWh", signalType="STATE", value=GIVEN_KW * MINUTE),
            InputSignal(signalId="frequency", signalType="FREQUENCY", value=49.985, unit="HZ"),
            InputSignal(signalId="agc_setpoint", signalType="AGC_SETPOINT", value=ASKED_KW, unit="KW"),
        ),
    ),
    performance=(
        Performance(
            id="secondary/15",
            status=Descriptor(code="IN_PROGRESS"),
            performanceAttributes=EnergyDelivery(
                ENERGY,
                deliveryStatus="IN_PROGRESS",
                meterId="secondary",
                meterReadings=(
                    MeterReading(
                        timeWindow=window("18:15", "18:16"),
                        consumedEnergy=0.0,
                        producedEnergy=GIVEN_KW * MINUTE,
                        unit="kWh",
                        quality="ACTUAL",
                    ),
                ),
                telemetry=(
                    Telemetry(
                        eventTime=clock("18:16"),
                        metrics=(TelemetryMetric(name="STATE_OF_CHARGE", value=49.6, unitCode="P1"),),
                    ),
                ),
            ),
        ),
    ),
    settlements=(
        Settlement(
            id="secondary/15",
            status="COMPLETE",
            settlementAttributes=EnergySettlement(
                ENERGY,
                cycleId="15",
                currency="EUR",
                amount=-round(AVAILABILITY + ACTIVATION, 2),
                breakdown=(
                    SettlementLine(term="availability", amount=AVAILABILITY, payer="grid-operator", payee="reserves"),
                    SettlementLine(term="performance", amount=ACTIVATION, payer="grid-operator", payee="reserves"),
                ),
                timeWindow=window("18:15", "18:16"),
            ),
        ),
    ),
)

init = TALK.ask("17:50:00", "init", about(WISH))
update = TALK.ask("18:15:00", "update", about(SETPOINT))

MESSAGES: tuple[Message, ...] = (
    init,
    reply(init, about(TERMS)),
    # So much from now on; and how the first minute of it was answered and paid.
    update,
    reply(update, about(become(WISH, "ACTIVE", contractAttributes=SETPOINT.contractAttributes))),
    TALK.tell("18:16:05", "on_update", about(ANSWERED)),
)
