"""Verifiable credentials of the energy sector: issued and checked as plain JSON objects.

Data model: W3C Verifiable Credentials 1.1; the dates of 2.0 (``validFrom``, ``validUntil``) are read too.  Proof: W3C Data
Integrity, cryptosuite eddsa-jcs-2022 (Ed25519 over SHA-256 of RFC 8785 bytes).
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

import msgspec
import rfc8785
from msgspec import field
from nacl.exceptions import CryptoError
from nacl.signing import SigningKey, VerifyKey

from sim.errors import TrustError
from sim.trust import base58
from sim.trust.claims import KINDS, Claims
from sim.trust.client import DirectoryClient
from sim.trust.registries import Text
from sim.trust.stamps import rfc3339, unix_s
from sim.wire.codes import Code, Refusal

CONTEXTS: Final = ("https://www.w3.org/2018/credentials/v1", "https://w3id.org/security/data-integrity/v2")
"""JSON-LD contexts of what is issued here."""
STATUS_TYPE: Final = "dediregistry"
"""The kind of status that is looked up in a directory."""

_DAY_S = 24 * 3600
_METHOD = re.compile(r"did:web:(?P<subscriber>[^#/?]+)#(?P<key_id>[^#/?]+)")


class _Issuer(msgspec.Struct, frozen=True):
    id: Text
    name: Text
    licenseNumber: Text


class _Envelope(msgspec.Struct, frozen=True):
    """What every credential must have beside its claims."""

    context: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = field(name="@context")
    id: Text
    type: Annotated[tuple[str, ...], msgspec.Meta(min_length=2)]
    issuer: _Issuer
    credentialSubject: dict[str, Any]


class _Proof(msgspec.Struct, frozen=True):
    type: Literal["DataIntegrityProof"]
    cryptosuite: Literal["eddsa-jcs-2022"]
    verificationMethod: Text
    proofPurpose: Literal["assertionMethod"]
    proofValue: str


class Check(StrEnum):
    """What is checked: form, proof, revocation, holder, time."""

    SCHEMA = "SCHEMA"
    SIGNATURE = "SIGNATURE"
    STATUS = "STATUS"
    BINDING = "BINDING"
    EXPIRY = "EXPIRY"


@dataclass(frozen=True, slots=True)
class Finding:
    """A check that a credential does not pass.

    where: JSON pointer into the credential.  undecided: the check could not be made because the directory could not be asked;
    who may fail open passes over it, everybody else treats it as failed.
    """

    check: Check
    where: str
    what: str
    undecided: bool = False

    def __str__(self) -> str:
        return f"{self.check} at {self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who issues: DID, name, licence; the verification method (``did:web:utility#key-1``) and its raw Ed25519 seed."""

    id: str
    name: str
    licence: str
    method: str
    seed: bytes = dataclasses.field(repr=False)


KeyOf = Callable[[str], bytes]
"""The raw Ed25519 public key of a verification method.  Raises ``Refusal`` where there is none to trust."""


def issue(
    claims: Claims,
    issuer: Issuer,
    *,
    credential_id: str,
    holder: str,
    issued_s: int,
    expires_s: int | None = None,
    status_url: str | None = None,
) -> dict[str, Any]:
    """A signed credential in which ``issuer`` says ``claims`` of ``holder``.

    credential_id: a URI; the name under which the network's revocation list would have it.  issued_s, expires_s: unix
    seconds, half open.  status_url: where a directory would tell that it is revoked.  Raises ``TrustError`` for claims that
    are not of their type.
    """
    dates = {"issuanceDate": rfc3339(issued_s)} | (
        {"expirationDate": rfc3339(expires_s)} if expires_s is not None else {}
    )
    status = {} if status_url is None else {"credentialStatus": {"id": status_url, "type": STATUS_TYPE}}
    document = {
        "@context": list(CONTEXTS),
        "id": credential_id,
        "type": ["VerifiableCredential", f"{type(claims).__name__}Credential"],
        "issuer": {"id": issuer.id, "name": issuer.name, "licenseNumber": issuer.licence},
        **dates,
        "credentialSubject": {"id": holder, **msgspec.to_builtins(claims)},
        **status,
    }
    faults = _schema_faults(document)
    if faults:
        raise TrustError(credential_id, "; ".join(map(str, faults)))
    try:
        return sign(document, issuer, issued_s)
    except (rfc8785.CanonicalizationError, UnicodeError) as error:
        raise TrustError(credential_id, f"cannot be written as RFC 8785 JSON: {error}") from error


def sign(document: Mapping[str, Any], issuer: Issuer, created_s: int) -> dict[str, Any]:
    """A document with a proof added; one that it has already is replaced.

    Source: W3C, "Data Integrity EdDSA Cryptosuites v1.0", section 3.3 (eddsa-jcs-2022).
    """
    options = {
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-jcs-2022",
        "created": rfc3339(created_s),
        "verificationMethod": issuer.method,
        "proofPurpose": "assertionMethod",
    }
    if "@context" in document:
        options["@context"] = copy.deepcopy(document["@context"])
    signature = SigningKey(issuer.seed).sign(_hashes(document, options)).signature
    return {**document, "proof": {**options, "proofValue": "z" + base58.encode(signature)}}


def keys_in(directory: DirectoryClient, as_on: str | None = None) -> KeyOf:
    """Keys of issuers that are subscribers: ``did:web:{subscriber}#{key id}``, live now or at ``as_on``."""

    def key_of(method: str) -> bytes:
        found = _METHOD.fullmatch(method)
        if found is None:
            raise Refusal(Code.AUT_KEY_NOT_FOUND, method[:80], "expected did:web:{subscriber}#{key id}")
        return directory.signing_key(found["subscriber"], found["key_id"], as_on)

    return key_of


def check(
    credential: Mapping[str, Any],
    *,
    holder: str,
    at_s: int,
    key_of: KeyOf,
    is_revoked: Callable[[str], bool],
) -> tuple[Finding, ...]:
    """Every check that a credential does not pass; empty where it may be relied on.

    holder: who must be its subject.  at_s: unix second at which it must hold.  key_of: whose signatures are trusted.
    is_revoked: ``DirectoryClient.is_revoked``; it is asked for the credential's ``id``.  Never raises for what a credential
    holds.
    """
    return (
        *_schema_faults(credential),
        *_signature_faults(credential, key_of),
        *_status_faults(credential, is_revoked),
        *_binding_faults(credential, holder),
        *_expiry_faults(credential, at_s),
    )


def require(
    credential: Mapping[str, Any],
    pointer: str,
    *,
    holder: str,
    at_s: int,
    key_of: KeyOf,
    is_revoked: Callable[[str], bool],
) -> None:
    """Raise ``Refusal`` SEC_CREDENTIAL_VERIFICATION_FAILED at ``pointer`` of a message, naming all that fails.

    Fails closed: what could not be checked has failed.
    """
    findings = check(credential, holder=holder, at_s=at_s, key_of=key_of, is_revoked=is_revoked)
    if findings:
        raise Refusal(Code.SEC_CREDENTIAL_VERIFICATION_FAILED, pointer, "; ".join(map(str, findings)))


def _schema_faults(credential: Mapping[str, Any]) -> tuple[Finding, ...]:
    faults = [*_shape_faults(credential, _Envelope, "")]
    if "issuanceDate" not in credential and "validFrom" not in credential:
        faults.append(Finding(Check.SCHEMA, "/issuanceDate", "missing, and so is validFrom"))
    if not faults:
        faults += _claim_faults(credential)
    return tuple(faults)


def _claim_faults(credential: Mapping[str, Any]) -> Iterator[Finding]:
    kinds = [KINDS[name] for name in credential["type"] if name in KINDS]
    if "VerifiableCredential" not in credential["type"] or not kinds:
        yield Finding(Check.SCHEMA, "/type", f"expected VerifiableCredential and one of {', '.join(KINDS)}")
    for kind in kinds:
        yield from _shape_faults(credential["credentialSubject"], kind, "/credentialSubject")


def _shape_faults(value: Any, shape: type[msgspec.Struct], where: str) -> list[Finding]:
    """All that keeps a JSON value from being of a type: msgspec finds that something does, the schema says what."""
    try:
        msgspec.convert(value, shape)
    except (msgspec.ValidationError, RecursionError) as error:
        return _explained(value, shape, where) or [Finding(Check.SCHEMA, where or "/", str(error))]
    return []


def _explained(value: Any, shape: type[msgspec.Struct], where: str) -> list[Finding]:
    try:
        errors = list(_validator(shape).iter_errors(value))
    except (ValueError, RecursionError):  # not JSON at all
        return []
    return [
        Finding(Check.SCHEMA, where + "".join(f"/{step}" for step in e.instance_path) or "/", e.message) for e in errors
    ]


@functools.cache
def _validator(shape: type[msgspec.Struct]) -> Any:
    import jsonschema_rs  # noqa: PLC0415  only a faulty credential needs the explaining validator

    return jsonschema_rs.Draft202012Validator(msgspec.json.schema(shape))


def _signature_faults(credential: Mapping[str, Any], key_of: KeyOf) -> list[Finding]:
    proof = credential.get("proof")
    if proof is None:
        return [_unsigned("there is no proof")]
    try:
        form = msgspec.convert(proof, _Proof)
    except msgspec.ValidationError as error:
        return [_unsigned(f"not a proof by eddsa-jcs-2022: {error}")]
    if form.verificationMethod.partition("#")[0] != _issuer_id(credential):
        return [_unsigned(f"{form.verificationMethod!r} is no key of the issuer")]
    try:
        _verify(credential, proof, key_of(form.verificationMethod))
    except Refusal as refusal:
        undecided = refusal.code is Code.NET_DOWNSTREAM_UNAVAILABLE
        return [_unsigned(f"{refusal.code}: {refusal}", undecided)]
    except (CryptoError, rfc8785.CanonicalizationError, ValueError, RecursionError) as error:
        return [_unsigned(f"the signature does not fit: {error}")]
    return []


def _unsigned(what: str, undecided: bool = False) -> Finding:
    return Finding(Check.SIGNATURE, "/proof", what, undecided)


def _issuer_id(credential: Mapping[str, Any]) -> Any:
    issuer = credential.get("issuer")
    return issuer.get("id") if isinstance(issuer, Mapping) else issuer


def _verify(credential: Mapping[str, Any], proof: Mapping[str, Any], key: bytes) -> None:
    """Raises ``BadSignatureError`` or ``ValueError`` unless ``key`` signed the credential with the proof's options."""
    options = {name: value for name, value in proof.items() if name != "proofValue"}
    document = dict(credential)
    if "@context" in options:
        document["@context"] = _common_context(document.get("@context"), options["@context"])
    if not proof["proofValue"].startswith("z"):
        raise ValueError("proofValue is not multibase base58-btc (z…)")
    VerifyKey(key).verify(_hashes(document, options), base58.decode(proof["proofValue"][1:]))


def _common_context(whole: Any, signed: Any) -> Any:
    """What was signed as context.  Others may have been added after it, none before it or within it."""
    extended = isinstance(whole, list) and isinstance(signed, list) and whole[: len(signed)] == signed
    if whole != signed and not extended:
        raise ValueError("the document's @context does not begin with the proof's")
    return signed


def _hashes(document: Mapping[str, Any], options: Mapping[str, Any]) -> bytes:
    unsecured = {name: value for name, value in document.items() if name != "proof"}
    return b"".join(hashlib.sha256(rfc8785.dumps(part)).digest() for part in (dict(options), unsecured))


def _status_faults(credential: Mapping[str, Any], is_revoked: Callable[[str], bool]) -> list[Finding]:
    """A credential without ``credentialStatus`` is looked up too: its network may have revoked it all the same."""
    status, name = credential.get("credentialStatus"), credential.get("id")
    if status is not None and (not isinstance(status, Mapping) or status.get("type") != STATUS_TYPE):
        return [
            Finding(Check.STATUS, "/credentialStatus", f"expected the type {STATUS_TYPE!r}: nothing else is looked up")
        ]
    if not isinstance(name, str) or not name:
        return [Finding(Check.STATUS, "/id", "missing: there is nothing to look up")]
    try:
        revoked = is_revoked(name)
    except Refusal as refusal:
        undecided = refusal.code is Code.NET_DOWNSTREAM_UNAVAILABLE
        return [Finding(Check.STATUS, "/id", f"{refusal.code}: {refusal}", undecided)]
    return [Finding(Check.STATUS, "/id", f"{name} is revoked")] if revoked else []


def _binding_faults(credential: Mapping[str, Any], holder: str) -> list[Finding]:
    subject = credential.get("credentialSubject")
    found = subject.get("id") if isinstance(subject, Mapping) else None
    if found == holder:
        return []
    return [Finding(Check.BINDING, "/credentialSubject/id", f"speaks of {found!r}, shown by {holder!r}")]


def _expiry_faults(credential: Mapping[str, Any], at_s: int) -> Iterator[Finding]:
    """Times of the credential, of its claims and of its proof: from the first until before the last."""
    for where in ("", "/credentialSubject", "/proof"):
        part = credential.get(where[1:]) if where else credential
        if not isinstance(part, Mapping):
            continue
        for name in ("issuanceDate", "validFrom", "created"):
            if name in part:
                yield from _time_faults(f"{where}/{name}", part[name], lambda start_s, _: at_s >= start_s, "not before")
        for name in ("expirationDate", "validUntil", "expires"):
            if name in part:
                yield from _time_faults(f"{where}/{name}", part[name], lambda _, end_s: at_s < end_s, "held until")


def _time_faults(where: str, text: Any, holds: Callable[[int, int], bool], what: str) -> Iterator[Finding]:
    try:
        span = _span(text)
    except (ValueError, TypeError) as error:
        yield Finding(Check.EXPIRY, where, str(error))
        return
    if not holds(*span):
        yield Finding(Check.EXPIRY, where, f"{what} {text}")


def _span(text: str) -> tuple[int, int]:
    """First unix second of a date-time or date, and the first that it no longer covers.  A bare date is that day in UTC."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        start_s = unix_s(f"{text}T00:00:00Z")
        return start_s, start_s + _DAY_S
    return unix_s(text), unix_s(text)
