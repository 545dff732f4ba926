"""Admissions: what is shown is checked, what is asked is allowed, and both can be taken back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import pytest
from msgspec import UNSET
from msgspec.structs import replace

from agents.admission import Admission
from agents.admissions import Admissions, shows
from agents.deal import Deal
from agents.deal_forms import commitment_of
from agents.enrolling import Application, leaving, taking_back
from scenarios.enrolments import Enrolments
from scenarios.parties import CredentialSpec
from scenarios.reader import read
from sim.wire.bags import EnergyEnrollment
from sim.wire.codes import Refusal
from sim.wire.core import Contract, ErrorBody, Performance
from sim.wire.messages import ContractContent, Message
from tests.agents.programmes import CALENDAR, item, template
from tests.use_cases.market_cases import USE_CASES

OWNERSHIP = CredentialSpec(type="MeterOwnershipCredential", issuer="utility")
TERMS = Admission("flex", ("MeterOwnershipCredential",), ("DER_CONTROL",))
NOON_S = 12 * 3600


class Door:
    """A utility's admissions, and whoever wants to come in."""

    def __init__(self) -> None:
        self.registry = Enrolments(read(USE_CASES / "demand-response.yaml"), CALENDAR)
        self.admissions = Admissions(self.registry.office, self.registry.issuer("utility"), CALENDAR)
        self._item = item("membership", 0.0, template("membership", bonus="confirmed * pricePerKWh * contractedKWh"),
                          admission=TERMS)  # fmt: skip
        self._deals = 0

    def deal(self, era: str) -> Deal:
        """A deal that is being drawn up."""
        self._deals += 1
        contract = self._item.contract(f"0000000{self._deals}-0000-4000-8000-000000000000", "INR", era)
        return Deal(self._item, era, contract, contract.id, 0.0, 0, CALENDAR.duration_s)

    def application(self, era: str = "factory", *shown: CredentialSpec) -> Application:
        """What somebody would show for a meter of their own name."""
        documents = tuple((one.type, self.registry.credential(one, era, era)) for one in shown or (OWNERSHIP,))
        return Application(era, era, documents, ("DER_CONTROL",))

    def says(self, deal: Deal, performance: Any, at_s: int = NOON_S) -> Message:
        """A message with something beside its contract."""
        contract = Contract(id=deal.contract.id, commitments=(_commitment(),), performance=performance)
        ids = (deal.contract.id, deal.contract.id)
        return Message("init", deal.taker, "utility", *ids, ContractContent(contract=contract), sent_s=at_s)

    def applied(self, deal: Deal, application: Application) -> tuple[EnergyEnrollment, ErrorBody | None]:
        """What becomes of an application."""
        return self.admissions.applied(deal, self.says(deal, application.application()))

    def enrolled(self, era: str = "factory") -> Deal:
        """Somebody who is in."""
        deal, application = self.deal(era), self.application(era)
        assert self.applied(deal, application)[1] is None
        self.admissions.consented(deal, self.says(deal, application.agreement()))
        return deal

    def leaves(self, deal: Deal, at_s: int = NOON_S + 60) -> bool:
        """Somebody leaves; whether their deal is over then."""
        over = self.admissions.changed(deal, self.says(deal, leaving("moves"), at_s))
        self.admissions.left(deal, at_s)
        return over


def _commitment() -> Any:
    return commitment_of("membership", "utility/membership", 0.0)


def told(door: Door, deal: Deal) -> EnergyEnrollment:
    contract = door.admissions.beside(deal, Contract(id=deal.contract.id, commitments=(_commitment(),)))
    assert shows(contract)
    bag = (contract.performance or ())[0].performanceAttributes
    assert isinstance(bag, EnergyEnrollment)
    return bag


def test_a_credential_that_passes_every_check_is_verified() -> None:
    door = Door()
    enrolment, error = door.applied(door.deal("factory"), door.application())
    assert error is None
    assert enrolment.credentialVerification.status == "VERIFIED"  # type: ignore[union-attr]
    assert enrolment.status == "PENDING"


@pytest.mark.parametrize(
    ("changes", "check_failed"),
    [
        ({"revoked": datetime(2016, 5, 11, 11)}, "STATUS"),
        ({"until": datetime(2016, 5, 11, 11)}, "EXPIRY"),
        ({"holder": "somebody-else"}, "BINDING"),
        ({"claims": {"meterId": "another"}}, "BINDING"),
    ],
)
def test_a_credential_that_fails_a_check_is_named_with_it(changes: dict[str, Any], check_failed: str) -> None:
    door = Door()
    spec = OWNERSHIP.model_copy(update=changes)
    enrolment, error = door.applied(door.deal("factory"), door.application("factory", spec))
    assert error is not None
    assert error.errorCode == "SEC_CREDENTIAL_VERIFICATION_FAILED"
    assert check_failed in error.errorMessage
    assert error.path == "/message/contract/performance/0/performanceAttributes/credentials/0"
    assert enrolment.credentialVerification.status == "FAILED"  # type: ignore[union-attr]
    assert enrolment.status is UNSET


def test_a_credential_that_was_tampered_with_is_not_believed() -> None:
    door = Door()
    ((kind, document),) = door.application().credentials
    subject = {**document["credentialSubject"], "ownershipStatus": "TENANT"}
    forged = Application("factory", "factory", ((kind, {**document, "credentialSubject": subject}),))
    _, error = door.applied(door.deal("factory"), forged)
    assert error is not None
    assert "SIGNATURE" in error.errorMessage


@pytest.mark.parametrize("text", ["", "{", "[]", "1"])
def test_what_is_no_json_object_is_no_credential(text: str) -> None:
    door = Door()
    deal, (performance,) = door.deal("factory"), door.application().application()
    bag = performance.performanceAttributes
    assert isinstance(bag, EnergyEnrollment)
    (shown,) = bag.credentials or ()
    damaged = Performance(performanceAttributes=replace(bag, credentials=(replace(shown, credentialData=text),)))
    _, error = door.admissions.applied(deal, door.says(deal, (damaged,)))
    assert error is not None
    assert error.errorCode == "SEC_CREDENTIAL_VERIFICATION_FAILED"


def test_nobody_comes_in_without_an_application_or_a_meter() -> None:
    door = Door()
    deal = door.deal("factory")
    for performance, code in (
        (UNSET, "SCH_REQUIRED_FIELD_MISSING"),
        (leaving("no meter"), "SCH_REQUIRED_FIELD_MISSING"),
    ):
        with pytest.raises(Refusal) as refusal:
            door.admissions.applied(deal, door.says(deal, performance))
        assert refusal.value.code == code


def test_a_meter_is_enrolled_once_and_again_when_it_has_left() -> None:
    door = Door()
    first = door.enrolled()
    _, error = door.applied(door.deal("factory"), door.application())
    assert error is not None
    assert error.errorCode == "BIZ_ENROLLMENT_CONFLICT"
    assert door.leaves(first)
    again = door.deal("factory")
    _, error = door.admissions.applied(again, door.says(again, door.application().application(), NOON_S + 120))
    assert error is None


def test_of_two_who_apply_for_one_meter_the_first_to_confirm_has_it() -> None:
    door = Door()
    deals = [door.deal("factory") for _ in range(2)]
    for deal in deals:
        assert door.applied(deal, door.application())[1] is None
    agreement = door.application().agreement()
    door.admissions.consented(deals[0], door.says(deals[0], agreement))
    with pytest.raises(Refusal) as refusal:
        door.admissions.consented(deals[1], door.says(deals[1], agreement))
    assert refusal.value.code == "BIZ_ENROLLMENT_CONFLICT"
    assert [door.admissions.may_be_called(deal, NOON_S) for deal in deals] == [True, False]


def test_who_does_not_consent_is_not_enrolled() -> None:
    door = Door()
    deal = door.deal("factory")
    door.applied(deal, door.application())
    silent = Application("factory", "factory", (), ())
    with pytest.raises(Refusal) as refusal:
        door.admissions.consented(deal, door.says(deal, silent.agreement()))
    assert refusal.value.code == "POL_DENIED"
    assert door.registry.office.enrolled("factory", NOON_S) is None


def test_an_enrolment_is_a_credential_that_can_be_checked_until_it_ends() -> None:
    door = Door()
    deal = door.enrolled()
    document = msgspec.json.decode(str(told(door, deal).credential.credentialData))  # type: ignore[union-attr]
    office = door.registry.office
    assert office.findings(document, "factory", NOON_S) == ()
    door.leaves(deal)
    assert [str(one.check) for one in office.findings(document, "factory", NOON_S + 60)] == ["STATUS"]
    assert told(door, deal).status == "CANCELLED"


def test_a_consent_can_be_taken_back_once() -> None:
    door = Door()
    deal = door.enrolled()
    assert door.admissions.may_be_called(deal, NOON_S)
    taken = door.says(deal, taking_back("DER_CONTROL", "the door was open"))
    assert not door.admissions.changed(deal, taken)
    assert not door.admissions.may_be_called(deal, NOON_S)
    with pytest.raises(Refusal) as refusal:
        door.admissions.changed(deal, taken)
    assert refusal.value.code == "NET_ENTITY_NOT_FOUND"


@pytest.mark.parametrize("change", ["revoked", "until"])
def test_a_credential_that_holds_no_longer_keeps_its_holder_from_being_called(change: str) -> None:
    """wire.md, section 8, row 11."""
    door = Door()
    deal = door.deal("factory")
    spec = OWNERSHIP.model_copy(update={change: datetime(2016, 5, 11, 13)})
    application = door.application("factory", spec)
    assert door.applied(deal, application)[1] is None
    door.admissions.consented(deal, door.says(deal, application.agreement()))
    assert door.admissions.may_be_called(deal, NOON_S + 3599)
    assert not door.admissions.may_be_called(deal, NOON_S + 3600)


def test_who_has_left_cannot_leave_again() -> None:
    door = Door()
    deal = door.enrolled()
    door.leaves(deal)
    with pytest.raises(Refusal) as refusal:
        door.admissions.changed(deal, door.says(deal, leaving("moves")))
    assert refusal.value.code == "PRC_INVALID_TRANSITION"


def test_an_item_that_asks_for_nothing_lets_everybody_be_called() -> None:
    door = Door()
    plain = item("plain", 0.0, template("plain", bonus="confirmed * pricePerKWh * contractedKWh"))
    deal = Deal(plain, "factory", plain.contract(door.deal("factory").contract.id, "INR", "factory"), "t", 0.0, 0, 1)
    assert door.admissions.may_be_called(deal, NOON_S)
