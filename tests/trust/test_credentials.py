"""Who may rely on a credential, and what is wrong with one that nobody may rely on."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from sim.errors import TrustError
from sim.trust import base58
from sim.trust.claims import (
    KINDS,
    Address,
    Claims,
    ConsumptionProfile,
    DERCertification,
    GenerationProfile,
    GridInterconnectionApproval,
    MeterOwnership,
    StorageProfile,
    UtilityCustomer,
    UtilityProgramEnrollment,
)
from sim.trust.client import DirectoryClient, in_process
from sim.trust.credentials import Check, Finding, Issuer, check, issue, keys_in, require, sign
from sim.trust.directory import Directory
from sim.trust.registries import Subscriber, publish_key, revoke
from sim.trust.stamps import rfc3339, unix_s
from sim.wire.codes import Code, Refusal
from tests.external import FOLDER, needed

NOON = unix_s("2026-06-01T12:00:00Z")
YEAR_S = 365 * 24 * 3600
SEED = bytes(range(32))
PUBLIC = bytes(SigningKey(SEED).verify_key)
UTILITY = Issuer("did:web:utility.example", "Utility", "LIC/1", "did:web:utility.example#key-1", SEED)
OWNER = "did:example:owner"
ID = "urn:uuid:752c9cce-0559-8d41-81b8-f45f5683fbc0"

CLAIMS: list[Claims] = [
    UtilityCustomer(
        consumerNumber="1",
        fullName="A. Customer",
        installationAddress=Address(fullAddress="1 Street", postalCode="1", country="IN"),
        meterNumber="meter-1",
        serviceConnectionDate="2020-01-01",
    ),
    ConsumptionProfile(
        consumerNumber="1",
        fullName="A. Customer",
        premisesType="Residential",
        connectionType="Single-phase",
        sanctionedLoadKW=5.0,
        tariffCategoryCode="LT-2a",
    ),
    GenerationProfile(consumerNumber="1", generationType="Solar", capacityKW=3.0, commissioningDate="2025-01-10"),
    StorageProfile(consumerNumber="1", storageCapacityKWh=10.0, powerRatingKW=5.0, commissioningDate="2025-01-10"),
    UtilityProgramEnrollment(
        consumerNumber="1", programName="P2P", programCode="P2P-1", enrollmentDate="2026-01-01", validUntil="2026-12-31"
    ),
    MeterOwnership(meterId="meter-1", utilityId="utility.example", ownershipStatus="OWNER"),
    DERCertification(derId="pv-1", standard="IEEE 1547", capacityKW=3.0),
    GridInterconnectionApproval(meterId="meter-1", exportLimitKW=5.0),
]


def credential(claims: Claims = CLAIMS[2], **more: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "credential_id": ID,
        "holder": OWNER,
        "issued_s": NOON,
        "expires_s": NOON + YEAR_S,
    } | more
    return issue(claims, UTILITY, **settings)


def never(_: str) -> bool:
    return False


def findings(
    document: dict[str, Any],
    *,
    holder: str = OWNER,
    at_s: int = NOON,
    key: bytes = PUBLIC,
    is_revoked: Callable[[str], bool] = never,
) -> tuple[Finding, ...]:
    return check(document, holder=holder, at_s=at_s, key_of=lambda _: key, is_revoked=is_revoked)


def failed(document: dict[str, Any], **more: Any) -> list[tuple[str, str]]:
    return [(finding.check.value, finding.where) for finding in findings(document, **more)]


@pytest.mark.parametrize("claims", CLAIMS, ids=lambda claims: type(claims).__name__)
def test_a_credential_of_every_kind_passes_after_a_journey_as_json(claims: Claims) -> None:
    assert findings(json.loads(json.dumps(credential(claims)))) == ()
    assert f"{type(claims).__name__}Credential" in KINDS


def test_every_known_kind_is_tried() -> None:
    assert {type(claims) for claims in CLAIMS} == set(KINDS.values())


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["credentialSubject"].update(capacityKW=30),
        lambda c: c["credentialSubject"].update(note="more"),
        lambda c: c.update(expirationDate="2036-01-01T00:00:00Z"),
        lambda c: c["issuer"].update(name="Another"),
        lambda c: c["@context"].insert(0, "https://elsewhere.example"),
        lambda c: c["proof"].update(created="2026-05-31T12:00:00Z"),
        lambda c: c["proof"].update(nonce="1"),
        lambda c: c["proof"].update(proofValue="z" + base58.encode(bytes(64))),
        lambda c: c["proof"].update(proofValue="z0OIl"),
        lambda c: c["proof"].update(proofValue="z" + "2" * 5000),
        lambda c: c["proof"].update(proofValue=""),
        lambda c: c["proof"].update(proofValue=7),
        lambda c: c["proof"].update(proofPurpose="authentication"),
        lambda c: c["proof"].update(cryptosuite="eddsa-rdfc-2022"),
        lambda c: c["proof"].update(verificationMethod="did:web:thief.example#key-1"),
        lambda c: c.pop("proof"),
        lambda c: c.update(proof=[c["proof"]]),
        lambda c: c.update(proof=None),
    ],
)
def test_whatever_is_changed_after_signing_breaks_the_signature_and_only_that(change: Any) -> None:
    document = credential()
    change(document)
    assert failed(document) == [("SIGNATURE", "/proof")]


def test_a_signature_by_another_key_fails() -> None:
    assert failed(credential(), key=bytes(SigningKey(bytes(32)).verify_key)) == [("SIGNATURE", "/proof")]


def test_a_context_may_be_added_after_those_that_were_signed() -> None:
    document = credential()
    document["@context"].append("https://elsewhere.example")
    assert findings(document) == ()


@given(st.binary(max_size=64))
def test_base58_reads_back(raw: bytes) -> None:
    assert base58.decode(base58.encode(raw)) == raw


def test_base58_is_the_usual_one() -> None:
    """The examples of draft-msporny-base58-03."""
    assert base58.encode(b"Hello World!") == "2NEpo7TZRRrLZSi2U"
    assert base58.encode(bytes.fromhex("0000287fb4cd")) == "11233QC4"


def test_a_credential_holds_from_its_issuance_until_before_its_expiration() -> None:
    document = credential()
    assert failed(document, at_s=NOON - 1) == [("EXPIRY", "/issuanceDate"), ("EXPIRY", "/proof/created")]
    assert failed(document, at_s=NOON + YEAR_S - 1) == []
    assert failed(document, at_s=NOON + YEAR_S) == [("EXPIRY", "/expirationDate")]


def test_the_dates_of_the_newer_data_model_are_read_too() -> None:
    document = {name: value for name, value in credential().items() if not name.endswith("Date")}
    document = sign(document | {"validFrom": rfc3339(NOON), "validUntil": rfc3339(NOON + 10)}, UTILITY, NOON)
    assert failed(document) == []
    assert failed(document, at_s=NOON + 10) == [("EXPIRY", "/validUntil")]


def test_an_enrolment_lasts_until_the_end_of_its_last_day() -> None:
    document = credential(CLAIMS[4])
    assert failed(document, at_s=unix_s("2026-12-31T23:59:59Z")) == []
    assert failed(document, at_s=unix_s("2027-01-01T00:00:00Z")) == [("EXPIRY", "/credentialSubject/validUntil")]


@pytest.mark.parametrize("text", ["soon", "2026-06-01T12:00:00", "2026-02-30", 7, None])
def test_a_date_that_is_none_is_a_finding(text: Any) -> None:
    document = sign(credential() | {"expirationDate": text}, UTILITY, NOON)
    assert failed(document) == [("EXPIRY", "/expirationDate")]


def test_a_credential_that_somebody_else_shows_is_not_theirs() -> None:
    assert failed(credential(), holder="did:example:thief") == [("BINDING", "/credentialSubject/id")]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda c: c["credentialSubject"].update(capacityKW="3 kW"), ["/credentialSubject/capacityKW"]),
        (lambda c: c["credentialSubject"].update(capacityKW=True), ["/credentialSubject/capacityKW"]),
        (lambda c: c["credentialSubject"].update(capacityKW=0), ["/credentialSubject/capacityKW"]),
        (lambda c: c["credentialSubject"].update(generationType="Coal"), ["/credentialSubject/generationType"]),
        (lambda c: c["credentialSubject"].pop("consumerNumber"), ["/credentialSubject"]),
        (
            lambda c: c["credentialSubject"].update(capacityKW=-1, commissioningDate="June"),
            ["/credentialSubject/capacityKW", "/credentialSubject/commissioningDate"],
        ),
        (lambda c: c.update(type=["VerifiableCredential", "DriversLicence"]), ["/type"]),
        (lambda c: c.update(type=["GenerationProfileCredential", "x"]), ["/type"]),
        (lambda c: c.update(type="GenerationProfileCredential"), ["/type"]),
        (lambda c: c.pop("issuanceDate"), ["/issuanceDate"]),
        (lambda c: c.pop("@context"), ["/"]),
        (lambda c: c["issuer"].pop("licenseNumber"), ["/issuer"]),
    ],
)
def test_a_malformed_credential_says_where(change: Any, where: list[str]) -> None:
    document = credential()
    change(document)
    found = [finding.where for finding in findings(sign(document, UTILITY, NOON)) if finding.check is Check.SCHEMA]
    assert sorted(found) == where


def test_claims_that_are_not_of_their_type_are_not_issued() -> None:
    wrong: Any = "5 kW"
    with pytest.raises(TrustError, match="/credentialSubject/exportLimitKW"):
        credential(GridInterconnectionApproval(meterId="meter-1", exportLimitKW=wrong))
    with pytest.raises(TrustError, match="RFC 8785"):
        credential(GridInterconnectionApproval(meterId="\ud800", exportLimitKW=5.0))


class Network:
    """A directory with the utility's key, and a client of it at a time that tests set."""

    def __init__(self) -> None:
        self.directory, self.now_s, self.reachable = Directory(), NOON, True
        publish_key(self.directory, "key-1", self.utility(PUBLIC), NOON)
        get = in_process(self.directory, lambda: self.now_s)

        def reached(path: str, query: Any) -> tuple[int, bytes]:
            return get(path, query) if self.reachable else (503, b"")

        self.client = DirectoryClient(reached, "net")

    @staticmethod
    def utility(key: bytes) -> Subscriber:
        return Subscriber(
            subscriber_id="utility.example",
            url="https://utility.example",
            type="BPP",
            domain="deg:energy",
            countries=("IND",),
            signing_public_key=base64.b64encode(key).decode(),
        )

    def findings(self, document: dict[str, Any], as_on: str | None = None) -> tuple[Finding, ...]:
        keys = keys_in(self.client, as_on)
        return check(document, holder=OWNER, at_s=self.now_s, key_of=keys, is_revoked=self.client.is_revoked)


def test_a_credential_is_good_until_its_network_revokes_it() -> None:
    network = Network()
    document = credential(status_url=f"https://directory.example/dedi/lookup/net/revoke/{ID}")
    revoke(network.directory, "net", ID, "sold", NOON + 60)
    assert network.findings(document) == ()
    network.now_s = NOON + 60
    assert [str(finding) for finding in network.findings(document)] == [f"STATUS at /id: {ID} is revoked"]


def test_a_rotated_issuer_key_is_asked_for_as_of_the_signing() -> None:
    network = Network()
    publish_key(network.directory, "key-1", network.utility(bytes(SigningKey(bytes(32)).verify_key)), NOON + 60)
    network.now_s = NOON + 60
    assert [finding.check for finding in network.findings(credential())] == [Check.SIGNATURE]
    assert network.findings(credential(), rfc3339(NOON)) == ()


def test_what_a_silent_directory_leaves_undecided_is_marked_so() -> None:
    network = Network()
    network.reachable = False
    found = network.findings(credential())
    assert [(finding.check, finding.undecided) for finding in found] == [(Check.SIGNATURE, True), (Check.STATUS, True)]


def test_an_issuer_that_no_directory_knows_is_not_trusted_and_that_is_decided() -> None:
    network = Network()
    stranger = Issuer("did:web:s.example", "S", "1", "did:web:s.example#key-1", SEED)
    (found,) = network.findings(issue(CLAIMS[2], stranger, credential_id=ID, holder=OWNER, issued_s=NOON))
    assert (found.check, found.undecided) == (Check.SIGNATURE, False)
    assert "AUT_SUBSCRIBER_NOT_FOUND" in found.what


def test_a_status_of_another_kind_is_not_taken_for_good() -> None:
    document = credential() | {"credentialStatus": {"id": "https://list.example#7", "type": "StatusList2021Entry"}}
    assert failed(sign(document, UTILITY, NOON)) == [("STATUS", "/credentialStatus")]


def test_what_is_required_and_fails_is_refused_with_every_reason() -> None:
    require(credential(), "/message/x", holder=OWNER, at_s=NOON, key_of=lambda _: PUBLIC, is_revoked=never)
    with pytest.raises(Refusal) as caught:
        require(
            credential(),
            "/message/x",
            holder="another",
            at_s=NOON + YEAR_S,
            key_of=lambda _: PUBLIC,
            is_revoked=lambda _: True,
        )
    assert (caught.value.code, caught.value.where) == (Code.SEC_CREDENTIAL_VERIFICATION_FAILED, "/message/x")
    assert [part.split(" ")[0] for part in caught.value.what.split("; ")] == ["STATUS", "BINDING", "EXPIRY"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
    max_leaves=6,
)


@given(
    st.sampled_from(
        ["@context", "id", "type", "issuer", "issuanceDate", "credentialSubject", "credentialStatus", "proof", "more"]
    ),
    JSON,
)
def test_no_credential_makes_the_check_raise(member: str, value: Any) -> None:
    assert isinstance(findings(credential() | {member: value}), tuple)
    assert isinstance(findings({member: value}), tuple)


def test_a_nesting_without_end_is_a_finding() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert ("SIGNATURE", "/proof") in failed(credential() | {"more": deep})


EXAMPLES = sorted((FOLDER / "deg" / "credentials" / "examples").glob("*json"))


@needed
def test_the_published_examples_have_the_known_form_but_no_proof() -> None:
    assert len(EXAMPLES) == 5
    for path in EXAMPLES:
        document = json.loads(path.read_text(encoding="utf-8"))
        found = findings(document, holder=document["credentialSubject"]["id"], at_s=unix_s("2025-02-01T00:00:00Z"))
        assert [(finding.check, finding.what) for finding in found] == [(Check.SIGNATURE, "there is no proof")], path


@needed
@pytest.mark.parametrize("claims", CLAIMS[:5], ids=lambda claims: type(claims).__name__)
def test_what_is_issued_is_as_the_published_schemas_have_it(claims: Claims) -> None:
    import jsonschema_rs

    document = credential(claims)
    schemas = [json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("deg/credentials/*/schema.json")]
    named = [s for s in schemas if s["properties"]["type"]["contains"]["const"] == document["type"][1]]
    assert len(named) == 1
    jsonschema_rs.Draft202012Validator(named[0], validate_formats=True).validate(document)
