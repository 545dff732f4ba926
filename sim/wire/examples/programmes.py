"""A household enrols its meter and battery in a programme, leaves it again, and is paid for an event.

The event: a baseline of 400 kW, 288 kW metered over three hours: 112 kW less, 336 kWh at 5.00, 1680.00.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from sim.wire.bags import (
    ENERGY,
    ConflictCheck,
    ConsentRevocation,
    ContractFlow,
    ContractRole,
    CredentialVerification,
    EnergyContract,
    EnergyDelivery,
    EnergyEnrollment,
    EnergySettlement,
    EnrollmentCredential,
    InputSignal,
    MeterEnrollment,
    MeterReading,
    RevenueFlows,
    RoleInputs,
    SettlementLine,
    TelemetrySource,
    Unenrollment,
    UserAuth,
    VerifiedCredential,
)
from sim.wire.bags.contracts import QualityMetric
from sim.wire.bags.credentials import (
    ConflictingEnrollment,
    CustomerContact,
    Requirement,
    RevokedListEntry,
    TradingDetails,
)
from sim.wire.core import Descriptor, ErrorBody, Participant, Performance, Settlement
from sim.wire.examples.frame import Talk, about, asked, become, clock, commitment, draft, reply, window

OFFER: Final = "utility/flex-2026"
TALK: Final = Talk("enrolment", "home-12", "utility")
AGAIN: Final = Talk("enrolment: twice", "home-12", "utility")
LEAVING: Final = Talk("enrolment: leaving", "home-12", "utility")
EVENT: Final = Talk("enrolment: event", "factory-3", "utility")

CUSTOMER = UserAuth(authMethod="OIDC", idToken="eyJhbGciOiJFZERTQSJ9.e30.c2ln", issuer="https://id.degsim.example")
METER = MeterEnrollment(meterId="meter-1207", utilityId="utility", connectionType="residential", sanctionedLoad=12)
OWNERSHIP = EnrollmentCredential(
    credentialId="vc-owner-1207",
    type="MeterOwnershipCredential",
    format="VC-JWT",
    credentialData="eyJhbGciOiJFZERTQSJ9.e30.c2ln",
    verificationUrl="https://utility.degsim.example/verify",
)
DEVICE = EnrollmentCredential(
    credentialId="vc-battery-12", type="DERCertificationCredential", format="VC-JSON-LD", derId="battery-12",
    credentialUrl="https://certifier.degsim.example/vc/battery-12",
)  # fmt: skip
APPLICATION = EnergyEnrollment(
    ENERGY, userAuth=CUSTOMER, meters=(METER,), credentials=(OWNERSHIP, DEVICE), programId="flex-2026"
)
ADMITTED = EnergyEnrollment(
    ENERGY,
    credentialVerification=CredentialVerification(
        status="VERIFIED",
        verifiedCredentials=(
            VerifiedCredential(credentialId="vc-owner-1207", status="VERIFIED", verifiedAt=clock("10:00:02")),
            VerifiedCredential(credentialId="vc-battery-12", status="VERIFIED", verifiedAt=clock("10:00:02")),
        ),
    ),
    conflictCheck=ConflictCheck(hasConflict=False, checkedAt=clock("10:00:02")),
    requiredConsents=(
        Requirement(type="DER_CONTROL", required=True),
        Requirement(type="DATA_COLLECTION", required=True),
    ),
    programId="flex-2026",
    status="PENDING",
)
CONFLICT = EnergyEnrollment(
    ENERGY,
    conflictCheck=ConflictCheck(
        hasConflict=True,
        conflictingEnrollments=(
            ConflictingEnrollment(enrollmentId="enr-77", programId="flex-2026", conflictType="METER_ALREADY_ENROLLED"),
        ),
    ),
)
CONSENTING = EnergyEnrollment(
    ENERGY,
    programId="flex-2026",
    startDate=clock("00:00", "2026-12-01"),
    endDate=clock("00:00", "2027-12-01"),
    consents=({"type": "DER_CONTROL", "granted": True}, {"type": "DATA_COLLECTION", "granted": True}),
)
ENROLLED = EnergyEnrollment(
    ENERGY,
    enrollmentId="enr-78",
    programId="flex-2026",
    status="ACTIVE",
    customer=CustomerContact(name="Household 12", email="home-12@mail.example"),
    p2pdetails=TradingDetails(meternumber="meter-1207", usertype="prosumer", sdload="12", isp2pactive=True),
    enrolledAt=clock("10:05:02"),
    credential=EnrollmentCredential(
        credentialId="vc-enrolment-78",
        type="ProgramEnrollmentCredential",
        format="VC-JWT",
        credentialData="eyJhbGciOiJFZERTQSJ9.e30.c2ln",
        issuedAt=clock("10:05:02"),
    ),
)
REVOKING = EnergyEnrollment(
    ENERGY,
    enrollmentId="enr-78",
    updateType="CONSENT_REVOCATION",
    consentRevocation=ConsentRevocation(consentType="DER_CONTROL", reason="the battery moves house"),
)
REVOKED = EnergyEnrollment(
    ENERGY,
    enrollmentId="enr-78",
    updateType="CONSENT_REVOCATION",
    consentRevocation=ConsentRevocation(
        consentType="DER_CONTROL",
        status="REVOKED",
        revokedAt=clock("16:00:02"),
        statusListUrl="https://utility.degsim.example/status/1",
        statusListIndex="2107",
    ),
)
LEFT = EnergyEnrollment(
    ENERGY,
    enrollmentId="enr-78",
    updateType="UNENROLLMENT",
    status="CANCELLED",
    unenrollment=Unenrollment(
        enrollmentId="enr-78",
        status="CANCELLED",
        cancelledAt=clock("16:10:02"),
        enrollmentCredentialStatus=RevokedListEntry(
            statusListUrl="https://utility.degsim.example/status/1", revoked=True
        ),
    ),
)
TAKES_PART = EnergyContract(
    ENERGY,
    templateId="demand-flexibility",
    status="PENDING",
    roles=(
        ContractRole(role="GRID_OPERATOR", filled=True, filledBy="utility"),
        ContractRole(role="PROSUMER", filled=True, filledBy="factory-3", roleInputs=RoleInputs(baselineKW=-400)),
    ),
    timeWindow=window("14:00", "17:00"),
    inputSignals=(
        InputSignal(signalId="event-9", signalType="COMMAND", value=-280.0, unit="KW", timestamp=clock("09:00")),
    ),
    telemetrySources=(TelemetrySource(sourceId="meter", sourceType="METER_READING", fields=("consumedKWh",)),),
    revenueFlows=RevenueFlows(
        flows=(
            ContractFlow(
                name="incentive",
                description="5.00 a kWh below the baseline",
                formula="(1200 - meter.consumedKWh) * 5",
                payer="GRID_OPERATOR",
                payee="PROSUMER",
            ),
        ),
        netZero=True,
    ),
)
REDUCED = EnergyDelivery(
    ENERGY,
    deliveryStatus="COMPLETED",
    meterId="meter-3",
    meterReadings=tuple(
        MeterReading(
            timeWindow=window(f"{hour}:00", f"{hour + 1}:00"), consumedEnergy=288, producedEnergy=0, unit="kWh",
            quality="ACTUAL",
        )
        for hour in (14, 15, 16)
    ),
    settlementCycleId="event-9",
)  # fmt: skip
INCENTIVE = EnergySettlement(
    ENERGY,
    cycleId="event-9",
    currency="INR",
    amount=1680.0,
    timeWindow=window("14:00", "17:00"),
    breakdown=(SettlementLine(term="incentive", amount=1680.0, payer="utility", payee="factory-3"),),
)


MEASURED = replace(
    TAKES_PART,
    qualityMetrics=(
        QualityMetric(metricId="reduction", formula="(baselineKWh - consumedKWh) / hours", unit="KW", value=112.0),
        QualityMetric(metricId="performance", formula="reducedKWh / contractedKWh", unit="PERCENT", value=93.333333),
    ),
)


def performed(bag: EnergyEnrollment | EnergyDelivery) -> tuple[Performance, ...]:
    """How the programme is being carried out."""
    return (Performance(id="performance-1", status=Descriptor(code="COMPLETED"), performanceAttributes=bag),)


APPLIED = draft(TALK, commitment("battery-12", OFFER, 5, "KW"), contractAttributes=APPLICATION)
TWICE = draft(AGAIN, commitment("battery-12", OFFER, 5, "KW"), contractAttributes=APPLICATION)
MEMBER = draft(LEAVING, commitment("battery-12", OFFER, 5, "KW"), contractAttributes=ENROLLED)
CALLED = draft(
    EVENT,
    commitment("factory-3", "utility/event-9", 120, "KW"),
    participants=(Participant(id="factory-3", descriptor=Descriptor(code="PROSUMER")),),
    contractAttributes=TAKES_PART,
)

init = TALK.ask("10:00:00", "init", about(APPLIED))
confirm = TALK.ask("10:05:00", "confirm", about(become(APPLIED, "DRAFT", contractAttributes=CONSENTING)))
again = AGAIN.ask("10:10:00", "init", about(TWICE))
revoke = LEAVING.ask("16:00:00", "update", about(become(MEMBER, "ACTIVE", contractAttributes=REVOKING)))
leaving = EnergyEnrollment(
    ENERGY, updateType="UNENROLLMENT", unenrollment=Unenrollment(enrollmentId="enr-78", revokeAllConsents=True)
)
leave = LEAVING.ask("16:10:00", "cancel", asked(LEAVING, MEMBER, contractAttributes=leaving))
call = EVENT.tell("09:00:00", "on_init", about(CALLED))
commit = EVENT.ask("11:00:00", "confirm", about(CALLED))

MESSAGES = (
    # A household applies with its meter and its credentials …
    init,
    # … all of them hold, two consents are still to be given.
    reply(init, about(become(APPLIED, "DRAFT", contractAttributes=ADMITTED))),
    confirm,
    reply(confirm, about(become(APPLIED, "ACTIVE", contractAttributes=ENROLLED))),
    # It cannot enrol the same meter twice.
    again,
    reply(
        again,
        about(become(TWICE, "DRAFT", contractAttributes=CONFLICT)),
        error=ErrorBody(
            errorCode="BIZ_ENROLLMENT_CONFLICT",
            errorMessage="meter-1207 is enrolled already, as enr-77",
            path="/message/contract/contractAttributes/meters/0",
        ),
    ),
    # It takes a consent back, and leaves.
    revoke,
    reply(
        revoke,
        about(become(MEMBER, "ACTIVE", contractAttributes=ENROLLED, performance=performed(REVOKED))),
    ),
    leave,
    reply(leave, about(become(MEMBER, "CANCELLED", contractAttributes=LEFT))),
    # An event calls a factory, which commits; three hours later the meter speaks, and it is paid.
    call,
    commit,
    reply(commit, about(become(CALLED, "ACTIVE"))),
    EVENT.tell(
        "17:05:00",
        "on_status",
        about(
            become(
                CALLED,
                "ACTIVE",
                contractAttributes=MEASURED,
                performance=performed(REDUCED),
                settlements=(Settlement(id="event-9", status="COMPLETE", settlementAttributes=INCENTIVE),),
            )
        ),
    ),
)
