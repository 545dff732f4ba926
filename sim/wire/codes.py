"""Why a message is refused: the code families of the Beckn adapters and of the trade ledger."""

from __future__ import annotations

from enum import StrEnum

from sim.errors import DegsimError, Fault


class Code(StrEnum):
    """Machine-readable reason of a refusal.  AUT: rights; SEC: credentials; SCH: form; NET: reach, time; PRC: order;
    POL, BIZ: rules.
    """

    AUT_SUBSCRIBER_NOT_FOUND = "AUT_SUBSCRIBER_NOT_FOUND"
    AUT_KEY_NOT_FOUND = "AUT_KEY_NOT_FOUND"
    AUT_KEY_EXPIRED_OR_REVOKED = "AUT_KEY_EXPIRED_OR_REVOKED"
    AUT_UNAUTHORIZED_ACTION = "AUT_UNAUTHORIZED_ACTION"
    SEC_CREDENTIAL_VERIFICATION_FAILED = "SEC_CREDENTIAL_VERIFICATION_FAILED"
    SCH_INVALID_JSON = "SCH_INVALID_JSON"
    SCH_SCHEMA_VALIDATION_FAILED = "SCH_SCHEMA_VALIDATION_FAILED"
    SCH_TYPE_NOT_SUPPORTED = "SCH_TYPE_NOT_SUPPORTED"
    NET_TIMEOUT = "NET_TIMEOUT"
    NET_ENTITY_NOT_FOUND = "NET_ENTITY_NOT_FOUND"
    NET_DOWNSTREAM_UNAVAILABLE = "NET_DOWNSTREAM_UNAVAILABLE"
    NET_INTERNAL_ERROR = "NET_INTERNAL_ERROR"
    PRC_INVALID_TRANSITION = "PRC_INVALID_TRANSITION"
    POL_CURVE_INVALID = "POL_CURVE_INVALID"
    BIZ_GATE_CLOSED = "BIZ_GATE_CLOSED"
    BIZ_CAP_EXCEEDED = "BIZ_CAP_EXCEEDED"


class Refusal(DegsimError):
    """Raised by a participant's handler to answer NACK instead of ACK; nothing of the participant may have changed yet."""

    def __init__(self, code: Code, where: str, what: str) -> None:
        super().__init__(where, (Fault(where, what),))
        self.args = (code, where, what)
        self.code = code
        self.where = where
        self.what = what
