"""Admission to an item: credentials are verified, conflicts found, consents taken, and all of it taken back again.

A component of a provider, not an agent.  An enrolment travels as performance of the deal's contract, beside its terms, so that
any item may ask for one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from agents.admission import Admission
from agents.deal import Deal
from agents.office import Office
from sim.canonical import canonical
from sim.clock import Calendar
from sim.trust.claims import UtilityProgramEnrollment
from sim.trust.credentials import Issuer
from sim.trust.registries import Enrolment
from sim.wire.bags import (
    ENERGY,
    ConflictCheck,
    ConsentRevocation,
    CredentialVerification,
    EnergyEnrollment,
    EnrollmentCredential,
    Unenrollment,
    VerifiedCredential,
)
from sim.wire.bags.credentials import ConflictingEnrollment, Requirement, RevokedListEntry
from sim.wire.codes import Code, Refusal
from sim.wire.core import Contract, Descriptor, ErrorBody, Performance
from sim.wire.messages import Message
from sim.wire.need import bag, needed

PERFORMANCE = "/message/contract/performance"
SHOWN = f"{PERFORMANCE}/0/performanceAttributes"


@dataclass(slots=True)
class Enrolled:
    """The enrolment of one deal.  shown: its credentials.  consents: those that stand.  said: what was last told of it."""

    meter: str
    enrolment_id: str
    credential_id: str
    shown: tuple[Mapping[str, Any], ...]
    consents: list[str] = field(default_factory=list)
    active: bool = False
    said: EnergyEnrollment | None = None


class Admissions:
    """The admissions of one provider.  issuer: it, as the issuer of credentials of enrolment."""

    def __init__(self, office: Office, issuer: Issuer, calendar: Calendar) -> None:
        self._office = office
        self._issuer = issuer
        self._calendar = calendar
        self._enrolled: dict[str, Enrolled] = {}

    def applied(self, deal: Deal, message: Message) -> tuple[EnergyEnrollment, ErrorBody | None]:
        """What becomes of an application: the enrolment as it is to be told, and why it is refused where it is.

        Raises ``Refusal`` where none is shown, and where the registry cannot be asked: nobody is admitted unseen.
        """
        admission = _admission(deal)
        shown = shown_in(message)
        meter = meter_in(message)
        now_s = message.sent_s
        checked = list(self._checked(shown, admission, meter, message.sender, now_s))
        standing = self._office.enrolled(meter, now_s)
        faults = [(f"{name}: {what}", number) for name, number, what in checked if what]
        told = self._told(deal, admission, shown, checked, standing, now_s)
        if faults:
            what = "; ".join(text for text, _ in faults)
            path = f"{SHOWN}/credentials" + (f"/{faults[0][1]}" if faults[0][1] >= 0 else "")
            return told, _error(Code.SEC_CREDENTIAL_VERIFICATION_FAILED, what, path)
        if standing is not None:
            what = f"{meter} is enrolled in {standing.programId} already, as {standing.enrollmentId}"
            return told, _error(Code.BIZ_ENROLLMENT_CONFLICT, what, f"{SHOWN}/meters/0")
        enrolment_id = f"{admission.programme}/{meter}/{deal.contract.id[:8]}"
        credential_id = f"https://{self._issuer.name}.degsim.example/credentials/{enrolment_id}"
        self._enrolled[deal.contract.id] = Enrolled(
            meter, enrolment_id, credential_id, tuple(map(_document, shown.credentials or ())), said=told
        )
        return told, None

    def _checked(
        self, shown: EnergyEnrollment, admission: Admission, meter: str, holder: str, now_s: int
    ) -> Iterator[tuple[str, int, str]]:
        """Every credential that is shown or missing: its name, its number (-1 for none), and what is wrong with it."""
        types = []
        for number, one in enumerate(shown.credentials or ()):
            credential = _document(one)
            types.append(str(one.type))
            faults = [str(finding) for finding in self._office.findings(credential, holder, now_s)]
            faults += _meter_faults(credential, meter)
            yield str(one.credentialId), number, "; ".join(faults)
        for wanted in admission.credentials:
            if wanted not in types:
                yield wanted, -1, "is not shown"

    def _told(
        self,
        deal: Deal,
        admission: Admission,
        shown: EnergyEnrollment,
        checked: list[tuple[str, int, str]],
        standing: Enrolment | None,
        now_s: int,
    ) -> EnergyEnrollment:
        now, failed = self._calendar.timestamp(now_s), any(what for _, _, what in checked)
        conflicts = () if standing is None else (
            ConflictingEnrollment(
                enrollmentId=standing.enrollmentId,
                programId=standing.programId,
                conflictType="METER_ALREADY_ENROLLED",
            ),
        )  # fmt: skip
        return EnergyEnrollment(
            ENERGY,
            programId=admission.programme,
            meters=shown.meters,
            credentialVerification=CredentialVerification(
                status="FAILED" if failed else "VERIFIED",
                verifiedCredentials=tuple(
                    VerifiedCredential(credentialId=name, status="FAILED" if what else "VERIFIED", verifiedAt=now)
                    for name, _, what in checked
                )
                or UNSET,
            ),
            conflictCheck=ConflictCheck(
                hasConflict=standing is not None, conflictingEnrollments=conflicts or UNSET, checkedAt=now
            ),
            requiredConsents=tuple(Requirement(type=name, required=True) for name in admission.consents) or UNSET,
            status="PENDING" if not failed and standing is None else UNSET,
        )

    def consented(self, deal: Deal, message: Message) -> None:
        """Take the consents with which an admission is confirmed; enter the meter, and certify the enrolment.

        Raises ``Refusal``: POL_DENIED where one is missing, BIZ_ENROLLMENT_CONFLICT where somebody else was faster.
        """
        admission, enrolled = _admission(deal), self._enrolled[deal.contract.id]
        given = [str(c.get("type")) for c in shown_in(message).consents or () if c.get("granted") is True]
        missing = [name for name in admission.consents if name not in given]
        if missing:
            raise Refusal(Code.POL_DENIED, f"{SHOWN}/consents", f"expected consent to {', '.join(missing)}")
        now_s = message.sent_s
        if self._office.enrolled(enrolled.meter, now_s) is not None:
            what = f"{enrolled.meter} has been enrolled meanwhile"
            raise Refusal(Code.BIZ_ENROLLMENT_CONFLICT, f"{SHOWN}/meters/0", what)
        record = Enrolment(
            meterId=enrolled.meter,
            programId=admission.programme,
            enrollmentId=enrolled.enrolment_id,
            era=message.sender,
        )
        self._office.enrol(record, now_s)
        enrolled.consents, enrolled.active = given, True
        enrolled.said = EnergyEnrollment(
            ENERGY,
            enrollmentId=enrolled.enrolment_id,
            programId=admission.programme,
            status="ACTIVE",
            enrolledAt=self._calendar.timestamp(now_s),
            credential=self._credential(enrolled, admission, message.sender, now_s),
        )

    def _credential(self, enrolled: Enrolled, admission: Admission, holder: str, now_s: int) -> EnrollmentCredential:
        now = self._calendar.timestamp(now_s)
        claims = UtilityProgramEnrollment(
            consumerNumber=enrolled.meter,
            programName=admission.programme,
            programCode=admission.programme,
            enrollmentDate=now[:10],
        )
        document = self._office.certify(claims, self._issuer, enrolled.credential_id, holder, now_s)
        return EnrollmentCredential(
            credentialId=enrolled.credential_id,
            type="ProgramEnrollmentCredential",
            format="VC-JSON-LD",
            credentialData=canonical(document).decode(),
            issuedAt=now,
        )

    def changed(self, deal: Deal, message: Message) -> bool:
        """Take back a consent; or say that the deal is to end, and the enrolment with it.

        Raises ``Refusal`` for a consent that does not stand, and for an enrolment that has ended.
        """
        enrolled, told = self._enrolled[deal.contract.id], shown_in(message)
        now_s = message.sent_s
        if not enrolled.active:
            what = f"{enrolled.enrolment_id} has ended"
            raise Refusal(Code.PRC_INVALID_TRANSITION, "/message/contract/status", what)
        if needed(told.updateType, f"{SHOWN}/updateType") == "CONSENT_REVOCATION":
            self._take_back(enrolled, needed(told.consentRevocation, f"{SHOWN}/consentRevocation"), now_s)
            return False
        return True

    def left(self, deal: Deal, now_s: int) -> None:
        """A deal is over, and with it the enrolment, if there was one: its meter is free, and its credential revoked."""
        enrolled = self._enrolled.get(deal.contract.id)
        if enrolled is None or not enrolled.active:
            return
        self._office.strike(enrolled.meter, now_s)
        self._office.revoke(enrolled.credential_id, "unenrolled", now_s)
        enrolled.active = False
        enrolled.said = EnergyEnrollment(
            ENERGY,
            updateType="UNENROLLMENT",
            enrollmentId=enrolled.enrolment_id,
            status="CANCELLED",
            unenrollment=Unenrollment(
                enrollmentId=enrolled.enrolment_id,
                status="CANCELLED",
                cancelledAt=self._calendar.timestamp(now_s),
                enrollmentCredentialStatus=RevokedListEntry(
                    statusListUrl=f"https://registry.degsim.example/{enrolled.enrolment_id}", revoked=True
                ),
            ),
        )

    def _take_back(self, enrolled: Enrolled, asked: ConsentRevocation, now_s: int) -> None:
        consent = str(needed(asked.consentType, f"{SHOWN}/consentRevocation/consentType"))
        if consent not in enrolled.consents:
            what = f"no consent to {consent} stands"
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, f"{SHOWN}/consentRevocation/consentType", what)
        enrolled.consents.remove(consent)
        enrolled.said = EnergyEnrollment(
            ENERGY,
            updateType="CONSENT_REVOCATION",
            enrollmentId=enrolled.enrolment_id,
            status="ACTIVE",
            consentRevocation=ConsentRevocation(
                consentType=asked.consentType, status="REVOKED", revokedAt=self._calendar.timestamp(now_s)
            ),
        )

    def may_be_called(self, deal: Deal, at_s: int) -> bool:
        """Whether all that its item asks for still stands: consents, and credentials, which are checked anew.

        Of an item that asks for nothing, always; while the registry cannot be asked, not.
        """
        admission, enrolled = deal.item.admission, self._enrolled.get(deal.contract.id)
        if admission is None:
            return True
        if enrolled is None or not enrolled.active or not set(admission.consents) <= set(enrolled.consents):
            return False
        return not any(self._office.findings(one, deal.taker, at_s) for one in enrolled.shown)

    def beside(self, deal: Deal, contract: Contract) -> Contract:
        """A contract with what was last told of the enrolment beside it, if there is any."""
        enrolled = self._enrolled.get(deal.contract.id)
        return contract if enrolled is None or enrolled.said is None else with_enrolment(contract, enrolled.said)


def with_enrolment(contract: Contract, enrolment: EnergyEnrollment) -> Contract:
    """A contract with an enrolment beside it."""
    performance = Performance(id="enrolment", performanceAttributes=enrolment)
    if enrolment.status is not UNSET:
        performance = Performance(
            id="enrolment", status=Descriptor(code=enrolment.status), performanceAttributes=enrolment
        )
    return msgspec.structs.replace(contract, performance=(performance,))


def shown_in(message: Message) -> EnergyEnrollment:
    """The enrolment that a message shows.  Raises ``Refusal`` where there is none."""
    performance = needed(message.contract.performance, PERFORMANCE)
    return bag(performance[0].performanceAttributes, EnergyEnrollment, SHOWN)


def meter_in(message: Message) -> str:
    """The meter that a message asks to be enrolled.  Raises ``Refusal`` where there is none."""
    return needed(shown_in(message).meters, f"{SHOWN}/meters")[0].meterId


def shows(contract: Contract) -> bool:
    """Whether a contract has an enrolment beside it."""
    performance = contract.performance
    return not isinstance(performance, UnsetType) and isinstance(performance[0].performanceAttributes, EnergyEnrollment)


def _admission(deal: Deal) -> Admission:
    assert deal.item.admission is not None
    return deal.item.admission


def _document(shown: EnrollmentCredential) -> Mapping[str, Any]:
    """A credential as a JSON object; of what is none, an empty one, which passes no check."""
    try:
        document = msgspec.json.decode(shown.credentialData or "")
    except (msgspec.DecodeError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _meter_faults(credential: Mapping[str, Any], meter: str) -> list[str]:
    """A credential that names a meter has to name the one that is to be enrolled."""
    subject = credential.get("credentialSubject")
    named = subject.get("meterId") if isinstance(subject, Mapping) else None
    return (
        [] if named in (None, meter) else [f"BINDING at /credentialSubject/meterId: speaks of {named!r}, not {meter!r}"]
    )


def _error(code: Code, what: str, path: str) -> ErrorBody:
    return ErrorBody(errorCode=code, errorMessage=what, path=path)
