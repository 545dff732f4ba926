"""Why a message is refused: the code families of the Beckn adapters, of enrolment and of the trade ledger."""

from __future__ import annotations

from enum import StrEnum

from sim.errors import DegsimError, Fault


class Code(StrEnum):
    """Machine-readable reason of a refusal.

    AUT: who may say it; SCH: its form; NET: reach and time; PRC: order of things; POL, BIZ: rules; SEC: credentials.
    """

    AUT_SIGNATURE_MISSING = "AUT_SIGNATURE_MISSING"
    AUT_SIGNATURE_INVALID = "AUT_SIGNATURE_INVALID"
    AUT_SUBSCRIBER_NOT_FOUND = "AUT_SUBSCRIBER_NOT_FOUND"
    AUT_KEY_NOT_FOUND = "AUT_KEY_NOT_FOUND"
    AUT_KEY_EXPIRED_OR_REVOKED = "AUT_KEY_EXPIRED_OR_REVOKED"
    AUT_UNAUTHORIZED_ACTION = "AUT_UNAUTHORIZED_ACTION"
    AUT_NOT_AUTHORIZED = "AUT_NOT_AUTHORIZED"
    AUT_REPLAY_DETECTED = "AUT_REPLAY_DETECTED"
    AUT_RATE_LIMITED = "AUT_RATE_LIMITED"
    AUT_DOMAIN_NOT_ALLOWED = "AUT_DOMAIN_NOT_ALLOWED"
    SCH_INVALID_JSON = "SCH_INVALID_JSON"
    SCH_REQUIRED_FIELD_MISSING = "SCH_REQUIRED_FIELD_MISSING"
    SCH_INVALID_FORMAT = "SCH_INVALID_FORMAT"
    SCH_INVALID_ENUM = "SCH_INVALID_ENUM"
    SCH_FIELD_NOT_ALLOWED = "SCH_FIELD_NOT_ALLOWED"
    SCH_TYPE_NOT_SUPPORTED = "SCH_TYPE_NOT_SUPPORTED"
    SCH_SCHEMA_VALIDATION_FAILED = "SCH_SCHEMA_VALIDATION_FAILED"
    NET_TIMEOUT = "NET_TIMEOUT"
    NET_ENTITY_NOT_FOUND = "NET_ENTITY_NOT_FOUND"
    NET_DOWNSTREAM_UNAVAILABLE = "NET_DOWNSTREAM_UNAVAILABLE"
    NET_INTERNAL_ERROR = "NET_INTERNAL_ERROR"
    PRC_INVALID_TRANSITION = "PRC_INVALID_TRANSITION"
    PRC_CONFLICT = "PRC_CONFLICT"
    PRC_NOT_FOUND = "PRC_NOT_FOUND"
    POL_DENIED = "POL_DENIED"
    POL_UNDEFINED = "POL_UNDEFINED"
    POL_CURVE_INVALID = "POL_CURVE_INVALID"
    POL_CURVE_NOT_MONOTONE = "POL_CURVE_NOT_MONOTONE"
    BIZ_GATE_CLOSED = "BIZ_GATE_CLOSED"
    BIZ_CAP_EXCEEDED = "BIZ_CAP_EXCEEDED"
    BIZ_DEADLINE_PASSED = "BIZ_DEADLINE_PASSED"
    BIZ_ENROLLMENT_CONFLICT = "BIZ_ENROLLMENT_CONFLICT"
    SEC_CREDENTIAL_VERIFICATION_FAILED = "SEC_CREDENTIAL_VERIFICATION_FAILED"


class Refusal(DegsimError):
    """Raised by a participant's handler to answer NACK instead of ACK; nothing of the participant may have changed yet."""

    def __init__(self, code: Code, where: str, what: str) -> None:
        super().__init__(where, (Fault(where, what),))
        self.args = (code, where, what)
        self.code = code
        self.where = where
        self.what = what
