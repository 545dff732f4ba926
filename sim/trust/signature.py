"""Beckn's HTTP signature: Ed25519 over times and the digest of the exact body bytes.

Source: Beckn v2.0.0 (LTS), ``Signature`` and ``CounterSignature``; the shape is that of draft-cavage-http-signatures-12.
What the documents call BLAKE-512 is BLAKE2b with a digest of 64 bytes.  The cryptography is libsodium's.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

import nacl.exceptions
import nacl.public
import nacl.signing

from sim.rng import secret
from sim.wire.codec import body_digest
from sim.wire.codes import Code, Refusal

SIGNED = "(created) (expires) digest"
COUNTERSIGNED = "(created) (expires) digest (request-digest) (message-id)"
AHEAD_S = 5
"""A signature may be made this much in the future, for clocks differ; it may not be a second too old."""
POINTER = "/headers/Authorization"
_HEADER = re.compile(
    r'Signature keyId="([^|"]+)\|([^|"]+)\|([^"]+)",algorithm="([^"]+)",created="(\d{1,12})",expires="(\d{1,12})",'
    r'headers="([^"]+)",signature="([A-Za-z0-9+/]+=*)"'
)


@dataclass(frozen=True, slots=True)
class Key:
    """A signing key and its sealing counterpart, and under which name others find their public halves."""

    subscriber: str
    key_id: str
    signing: nacl.signing.SigningKey
    sealing: nacl.public.PrivateKey

    @property
    def public(self) -> bytes:
        """The raw Ed25519 public key, 32 bytes."""
        return bytes(self.signing.verify_key)

    @property
    def public_sealing(self) -> bytes:
        """The raw X25519 public key, 32 bytes."""
        return bytes(self.sealing.public_key)


@dataclass(frozen=True, slots=True)
class Header:
    """A signature header, taken apart; times in unix seconds."""

    subscriber: str
    key_id: str
    created: int
    expires: int
    headers: str
    signature: bytes


def derive(seed: int, subscriber: str, generation: int = 1) -> Key:
    """The key of a subscriber in the run of this seed; every rotation is a generation, and has its own key id.

    For simulation only: whoever knows the seed knows every key.
    """
    signing = nacl.signing.SigningKey(secret(seed, subscriber, "signing", str(generation)))
    sealing = nacl.public.PrivateKey(secret(seed, subscriber, "sealing", str(generation)))
    return Key(subscriber, f"k{generation}", signing, sealing)


def sign(key: Key, digest: str, created: int, expires: int) -> str:
    """The ``Authorization`` header for a body with this digest."""
    return _header(key, _lines(created, expires, digest), created, expires, SIGNED)


def countersign(key: Key, ack: bytes, created: int, expires: int, request_digest: str, message_id: str) -> str:
    """The signature of an Ack: over its own body, and bound to the request it answers."""
    text = _bound(created, expires, body_digest(ack), request_digest, message_id)
    return _header(key, text, created, expires, COUNTERSIGNED)


def _header(key: Key, text: str, created: int, expires: int, headers: str) -> str:
    signature = base64.b64encode(key.signing.sign(text.encode()).signature).decode()
    return (
        f'Signature keyId="{key.subscriber}|{key.key_id}|ed25519",algorithm="ed25519",created="{created}",'
        f'expires="{expires}",headers="{headers}",signature="{signature}"'
    )


def _lines(created: int, expires: int, digest: str) -> str:
    return f"(created): {created}\n(expires): {expires}\ndigest: {digest}"


def _bound(created: int, expires: int, digest: str, request_digest: str, message_id: str) -> str:
    return f"{_lines(created, expires, digest)}\n(request-digest): {request_digest}\n(message-id): {message_id}"


def parse(text: str | None) -> Header:
    """The header taken apart.  Raises ``Refusal`` for none, for another shape, and for another algorithm than Ed25519."""
    if text is None:
        raise Refusal(Code.AUT_SIGNATURE_MISSING, POINTER, "expected a signature, got none")
    match = _HEADER.fullmatch(text)
    if match is None:
        raise Refusal(Code.AUT_SIGNATURE_INVALID, POINTER, 'expected Signature keyId="…",algorithm="ed25519",…')
    subscriber, key_id, kind, algorithm, created, expires, headers, signature = match.groups()
    if (kind, algorithm) != ("ed25519", "ed25519"):
        raise Refusal(Code.AUT_SIGNATURE_INVALID, POINTER, f"expected ed25519, got {kind} and {algorithm}")
    try:
        raw = base64.b64decode(signature, validate=True)
    except binascii.Error:
        raise Refusal(Code.AUT_SIGNATURE_INVALID, POINTER, "expected a signature in base64") from None
    return Header(subscriber, key_id, int(created), int(expires), headers, raw)


def check_times(header: Header, now: int) -> None:
    """Raises ``Refusal`` for a signature that was made too far in the future, or has expired."""
    if header.created > now + AHEAD_S:
        raise Refusal(Code.AUT_SIGNATURE_INVALID, POINTER, f"created {header.created - now} s in the future")
    if header.expires < now:
        raise Refusal(Code.AUT_SIGNATURE_INVALID, POINTER, f"expired {now - header.expires} s ago")


def verify(header: Header, digest: str, public_key: bytes) -> None:
    """Raises ``Refusal`` unless this key signed a body with this digest at the times that the header names."""
    if header.headers != SIGNED:
        raise Refusal(Code.AUT_SIGNATURE_INVALID, POINTER, f'expected headers="{SIGNED}", got "{header.headers}"')
    _verify(header, _lines(header.created, header.expires, digest), public_key)


def verify_countersignature(header: Header, ack: bytes, request_digest: str, message_id: str, key: bytes) -> None:
    """Raises ``Refusal`` unless this key acknowledged this very request."""
    if header.headers != COUNTERSIGNED:
        raise Refusal(Code.AUT_SIGNATURE_INVALID, POINTER, f'expected headers="{COUNTERSIGNED}"')
    _verify(header, _bound(header.created, header.expires, body_digest(ack), request_digest, message_id), key)


def _verify(header: Header, text: str, public_key: bytes) -> None:
    try:
        nacl.signing.VerifyKey(public_key).verify(text.encode(), header.signature)
    except (nacl.exceptions.BadSignatureError, nacl.exceptions.ValueError) as error:
        raise Refusal(
            Code.AUT_SIGNATURE_INVALID, POINTER, "the signature does not fit the body, the times and the key"
        ) from error
