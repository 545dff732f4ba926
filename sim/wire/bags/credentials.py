"""Verifiable credentials (W3C), and enrolment in programmes as published by the Digital Energy Grid, version 0.2."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType, field

from sim.wire.basics import Bag, Breach, Email, Identifier, JsonObject, NonNegative, Text, Timestamp, Uri, Wire


class CredentialStatus(Wire, frozen=True, kw_only=True):
    """Where to ask whether a credential has been revoked."""

    id: Uri
    type: Identifier
    statusPurpose: Identifier | UnsetType = UNSET
    statusListIndex: Identifier | UnsetType = UNSET
    statusListCredential: Uri | UnsetType = UNSET


class CredentialProof(Wire, frozen=True, kw_only=True):
    """A signature over a credential."""

    type: Identifier
    proofValue: Identifier
    verificationMethod: Identifier
    proofPurpose: Identifier | UnsetType = UNSET
    cryptosuite: Identifier | UnsetType = UNSET
    created: Timestamp | UnsetType = UNSET
    challenge: Identifier | UnsetType = UNSET
    domain: Identifier | UnsetType = UNSET


class VerifiableCredential(Wire, frozen=True, kw_only=True):
    """A credential of the W3C data model; what its subject claims is checked by who relies on it."""

    ld: Annotated[tuple[Uri, ...], Meta(min_length=1)] = field(name="@context")
    type: Annotated[tuple[Identifier, ...], Meta(min_length=1)]
    issuer: Identifier | JsonObject
    credentialSubject: JsonObject
    id: Uri | UnsetType = UNSET
    issuanceDate: Timestamp | UnsetType = UNSET
    expirationDate: Timestamp | UnsetType = UNSET
    validFrom: Timestamp | UnsetType = UNSET
    validUntil: Timestamp | UnsetType = UNSET
    name: Text | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    credentialSchema: JsonObject | UnsetType = UNSET
    credentialStatus: CredentialStatus | UnsetType = UNSET
    proof: CredentialProof | UnsetType = UNSET

    def __post_init__(self) -> None:
        if "VerifiableCredential" not in self.type:
            raise Breach("VerifiableCredential among the types", f"{', '.join(self.type)}")
        if self.issuanceDate is UNSET and self.validFrom is UNSET:
            raise Breach("issuanceDate or validFrom")


class EnergyCredentials(Bag, frozen=True, kw_only=True):
    """Credentials shown, credentials asked for, and what became of them."""

    presented: tuple[VerifiableCredential, ...] | UnsetType = UNSET
    required: tuple[Identifier, ...] | UnsetType = UNSET
    verificationStatus: Literal["PENDING", "VERIFIED", "FAILED"] | UnsetType = UNSET
    credentialQuery: JsonObject | UnsetType = UNSET


class EnrollmentCredential(Wire, frozen=True, kw_only=True):
    """A credential by reference or as an opaque token, as enrolment carries it."""

    credentialId: Identifier | UnsetType = UNSET
    type: (
        Literal[
            "MeterOwnershipCredential",
            "ProgramEligibilityCredential",
            "DERCertificationCredential",
            "ProgramEnrollmentCredential",
        ]
        | UnsetType
    ) = UNSET
    format: Literal["VC-JWT", "VC-JSON-LD"] | UnsetType = UNSET
    credentialData: Annotated[str, Meta(max_length=100_000)] | UnsetType = UNSET
    credentialUrl: Uri | UnsetType = UNSET
    verificationUrl: Uri | UnsetType = UNSET
    issuedAt: Timestamp | UnsetType = UNSET
    expiresAt: Timestamp | UnsetType | None = UNSET
    derId: Identifier | UnsetType = UNSET


class VerifiedCredential(Wire, frozen=True, kw_only=True):
    """What became of one credential."""

    credentialId: Identifier
    status: Literal["VERIFIED", "FAILED"]
    verifiedAt: Timestamp | UnsetType = UNSET


class CredentialVerification(Wire, frozen=True, kw_only=True):
    """What became of all of them."""

    status: Literal["VERIFIED", "FAILED", "PARTIAL"]
    verifiedCredentials: tuple[VerifiedCredential, ...] | UnsetType = UNSET


class ConflictingEnrollment(Wire, frozen=True, kw_only=True):
    """An enrolment that stands against this one."""

    enrollmentId: Identifier
    programId: Identifier | UnsetType = UNSET
    conflictReason: Text | UnsetType = UNSET
    conflictType: (
        Literal["METER_ALREADY_ENROLLED", "DER_ALREADY_ENROLLED", "PROGRAM_CONFLICT", "DATE_OVERLAP"] | UnsetType
    ) = UNSET


class ConflictCheck(Wire, frozen=True, kw_only=True):
    """Whether anything stands against an enrolment."""

    hasConflict: bool
    conflictingEnrollments: tuple[ConflictingEnrollment, ...] | UnsetType = UNSET
    checkedAt: Timestamp | UnsetType = UNSET
    message: Text | UnsetType = UNSET


class UserAuth(Wire, frozen=True, kw_only=True):
    """How a customer proves who they are, or the answer to it: by one-time password, or by OAuth 2 and OpenID Connect."""

    authMethod: Literal["OTP", "OAUTH2", "OIDC"]
    mobile: Identifier | UnsetType = UNSET
    otp: Identifier | UnsetType = UNSET
    nguid: Identifier | UnsetType = UNSET
    utilityCustomerId: Identifier | UnsetType = UNSET
    utilityId: Identifier | UnsetType = UNSET
    userType: Identifier | UnsetType = UNSET
    accessToken: Text | UnsetType = UNSET
    idToken: Text | UnsetType = UNSET
    refreshToken: Text | UnsetType = UNSET
    verified: bool | UnsetType = UNSET
    verifiedAt: Timestamp | UnsetType = UNSET
    subject: Identifier | UnsetType = UNSET
    issuer: Uri | UnsetType = UNSET
    scope: Text | UnsetType = UNSET
    expiresAt: Timestamp | UnsetType = UNSET
    message: Text | UnsetType = UNSET

    def __post_init__(self) -> None:
        token = self.accessToken is not UNSET or self.idToken is not UNSET or self.refreshToken is not UNSET
        if self.authMethod == "OTP" and token:
            raise Breach("no tokens with a one-time password")
        if self.authMethod != "OTP" and (self.mobile is not UNSET or self.otp is not UNSET):
            raise Breach(f"no one-time password with {self.authMethod}")


class MeterEnrollment(Wire, frozen=True, kw_only=True):
    """A meter to be enrolled; sanctionedLoad in kW."""

    meterId: Identifier
    meterNumber: Identifier | UnsetType = UNSET
    utilityId: Identifier | UnsetType = UNSET
    connectionType: Literal["residential", "commercial", "industrial", "agricultural"] | UnsetType = UNSET
    sanctionedLoad: NonNegative | UnsetType = UNSET


class RevokedListEntry(Wire, frozen=True, kw_only=True):
    """Where a revocation can be looked up."""

    statusListUrl: Uri | UnsetType = UNSET
    statusListIndex: Identifier | UnsetType = UNSET
    revoked: bool | UnsetType = UNSET
    consentCredentialId: Uri | UnsetType = UNSET


class ConsentRevocation(Wire, frozen=True, kw_only=True):
    """A consent that is taken back."""

    consentCredentialId: Uri | UnsetType = UNSET
    consentType: Literal["DATA_COLLECTION", "DER_CONTROL", "CROSS_UTILITY_SHARING"] | UnsetType = UNSET
    reason: Text | UnsetType = UNSET
    revokedAt: Timestamp | UnsetType = UNSET
    effectiveDate: Timestamp | UnsetType = UNSET
    status: Literal["REVOKED", "PENDING"] | UnsetType = UNSET
    statusListUrl: Uri | UnsetType = UNSET
    statusListIndex: Identifier | UnsetType = UNSET
    message: Text | UnsetType = UNSET


class Unenrollment(Wire, frozen=True, kw_only=True):
    """An enrolment that ends."""

    enrollmentId: Identifier | UnsetType = UNSET
    reason: Text | UnsetType = UNSET
    effectiveDate: Timestamp | UnsetType = UNSET
    revokeAllConsents: bool | UnsetType = UNSET
    status: Literal["CANCELLED", "PENDING"] | UnsetType = UNSET
    cancelledAt: Timestamp | UnsetType = UNSET
    enrollmentCredentialStatus: RevokedListEntry | UnsetType = UNSET
    consentsRevoked: tuple[RevokedListEntry, ...] | UnsetType = UNSET
    message: Text | UnsetType = UNSET


class Requirement(Wire, frozen=True, kw_only=True):
    """A credential or consent that a programme asks for."""

    type: Identifier
    description: Text | UnsetType = UNSET
    required: bool | UnsetType = UNSET
    status: Identifier | UnsetType = UNSET


class CustomerContact(Wire, frozen=True, kw_only=True):
    """Whom to reach."""

    name: Text | UnsetType = UNSET
    email: Email | UnsetType = UNSET


class TradingDetails(Wire, frozen=True, kw_only=True):
    """A meter's standing in peer-to-peer trade; the published spelling, numbers as text."""

    meternumber: Identifier
    usertype: Identifier | UnsetType = UNSET
    sdload: Identifier | UnsetType = UNSET
    cuflimit: Identifier | UnsetType = UNSET
    isp2pactive: bool | UnsetType = UNSET
    iscaactive: bool | UnsetType = UNSET


class EnergyEnrollment(Bag, frozen=True, kw_only=True):
    """Joining a programme with meters and credentials, and leaving it again."""

    userAuth: UserAuth | UnsetType = UNSET
    meters: tuple[MeterEnrollment, ...] | UnsetType = UNSET
    ders: tuple[JsonObject, ...] | UnsetType = UNSET
    credentials: tuple[EnrollmentCredential, ...] | UnsetType = UNSET
    existingEnrollments: tuple[EnrollmentCredential, ...] | UnsetType = UNSET
    credentialVerification: CredentialVerification | UnsetType = UNSET
    conflictCheck: ConflictCheck | UnsetType = UNSET
    requiredCredentials: tuple[Requirement, ...] | UnsetType = UNSET
    requiredConsents: tuple[Requirement, ...] | UnsetType = UNSET
    customer: CustomerContact | UnsetType = UNSET
    meterOwnershipCredential: EnrollmentCredential | UnsetType = UNSET
    p2pdetails: TradingDetails | UnsetType = UNSET
    startDate: Timestamp | UnsetType = UNSET
    endDate: Timestamp | UnsetType = UNSET
    consents: tuple[JsonObject, ...] | UnsetType = UNSET
    updateType: Literal["CONSENT_REVOCATION", "UNENROLLMENT"] | UnsetType = UNSET
    consentRevocation: ConsentRevocation | UnsetType = UNSET
    unenrollment: Unenrollment | UnsetType = UNSET
    enrollmentId: Identifier | UnsetType = UNSET
    programId: Identifier | UnsetType = UNSET
    status: Literal["ACTIVE", "PENDING", "CANCELLED", "SUSPENDED"] | UnsetType = UNSET
    enrolledAt: Timestamp | UnsetType = UNSET
    credential: EnrollmentCredential | UnsetType = UNSET
    loggedAt: Timestamp | UnsetType = UNSET
    logReference: Identifier | UnsetType = UNSET
