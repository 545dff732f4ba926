"""What somebody shows who applies for an item that asks for an admission, and how they leave it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sim.canonical import canonical
from sim.wire.bags import (
    ENERGY,
    ConsentRevocation,
    EnergyEnrollment,
    EnrollmentCredential,
    MeterEnrollment,
    Unenrollment,
    UserAuth,
)
from sim.wire.core import Performance

CredentialType = Literal["MeterOwnershipCredential", "ProgramEligibilityCredential", "DERCertificationCredential"]
Consent = Literal["DATA_COLLECTION", "DER_CONTROL", "CROSS_UTILITY_SHARING"]


@dataclass(frozen=True, slots=True)
class Application:
    """What is shown for a meter.  credentials: documents by type.  consents: those that will be given."""

    era: str
    meter: str
    credentials: tuple[tuple[CredentialType, Mapping[str, Any]], ...]
    consents: tuple[Consent, ...] = ()

    def application(self) -> tuple[Performance, ...]:
        """As it stands beside the contract of an ``init``."""
        bag = EnergyEnrollment(
            ENERGY,
            userAuth=UserAuth(authMethod="OIDC", subject=self.era),
            meters=(MeterEnrollment(meterId=self.meter),),
            credentials=tuple(
                EnrollmentCredential(
                    credentialId=document["id"],
                    type=kind,
                    format="VC-JSON-LD",
                    credentialData=canonical(document).decode(),
                )
                for kind, document in self.credentials
            ),
        )
        return (Performance(id="enrolment", performanceAttributes=bag),)

    def agreement(self) -> tuple[Performance, ...]:
        """As it stands beside the contract of a ``confirm``."""
        consents = tuple({"type": consent, "granted": True} for consent in self.consents)
        return (Performance(id="enrolment", performanceAttributes=EnergyEnrollment(ENERGY, consents=consents)),)


def taking_back(consent: Consent, reason: str) -> tuple[Performance, ...]:
    """As it stands beside the contract of an ``update`` that takes a consent back."""
    bag = EnergyEnrollment(
        ENERGY,
        updateType="CONSENT_REVOCATION",
        consentRevocation=ConsentRevocation(consentType=consent, reason=reason),
    )
    return (Performance(id="enrolment", performanceAttributes=bag),)


def leaving(reason: str) -> tuple[Performance, ...]:
    """As it stands beside the contract of an ``update`` that ends an enrolment."""
    bag = EnergyEnrollment(
        ENERGY, updateType="UNENROLLMENT", unenrollment=Unenrollment(reason=reason, revokeAllConsents=True)
    )
    return (Performance(id="enrolment", performanceAttributes=bag),)
