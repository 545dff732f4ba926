"""Beckn's HTTP signature: Ed25519 over times and the digest of the exact body bytes.

Source: Beckn v2.0.0 (LTS), ``Signature`` and ``CounterSignature``; the shape is that of draft-cavage-http-signatures-12.
What the documents call BLAKE-512 is BLAKE2b with a digest of 64 bytes.  The cryptography is libsodium's.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field

import nacl.exceptions
from nacl.bindings import (
    crypto_scalarmult_base,
    crypto_sign,
    crypto_sign_BYTES,
    crypto_sign_open,
    crypto_sign_seed_keypair,
)

from sim.rng import secret
from sim.wire.codec import body_digest
from sim.wire.codes import Code, Refusal

SIGNED = "(created) (expires) digest"
COUNTERSIGNED = "(created) (expires) digest (request-digest) (message-id)"
AHEAD_S = 5
"""A signature may be made this much in the future, for clocks differ; it may not be a second too old."""
POINTER = "/headers/Authorization"
_FRAME = ["Signature keyId=", ",algorithm=", ",created=", ",expires=", ",headers=", ",signature=", ""]
"""What stands between the quoted values of a header, exactly."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key pair for signing (Ed25519), the public half of one for sealing (X25519), and the name under which others find them.

    public, sealing: 32 bytes, raw.  secret: libsodium's 64 bytes, seed and public half.
    """

    subscriber: str
    key_id: str
    public: bytes
    secret: bytes = field(repr=False)
    sealing: bytes

    @property
    def public_text(self) -> str:
        """The Ed25519 public key in base64."""
        return base64.b64encode(self.public).decode()

    @property
    def sealing_text(self) -> str:
        """The X25519 public key in base64."""
        return base64.b64encode(self.sealing).decode()


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
    return key_of(
        subscriber,
        f"k{generation}",
        secret(seed, subscriber, "signing", str(generation)),
        secret(seed, subscriber, "sealing", str(generation)),
    )


def key_of(subscriber: str, key_id: str, signing: bytes, sealing: bytes) -> Key:
    """The key pairs of two seeds of 32 bytes."""
    public, private = crypto_sign_seed_keypair(signing)
    return Key(subscriber, key_id, public, private, crypto_scalarmult_base(sealing))


def sign(key: Key, digest: str, created: int, expires: int) -> str:
    """The ``Authorization`` header for a body with this digest."""
    return _header(key, _lines(created, expires, digest), created, expires, SIGNED)


def countersign(key: Key, ack: bytes, created: int, expires: int, request_digest: str, message_id: str) -> str:
    """The signature of an Ack: over its own body, and bound to the request it answers."""
    text = _bound(created, expires, body_digest(ack), request_digest, message_id)
    return _header(key, text, created, expires, COUNTERSIGNED)


def _header(key: Key, text: str, created: int, expires: int, headers: str) -> str:
    signed = crypto_sign(text.encode(), key.secret)
    signature = binascii.b2a_base64(signed[:crypto_sign_BYTES], newline=False).decode()
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
    parts = text.split('"')
    if parts[::2] != _FRAME:
        raise Refusal(
            Code.AUT_SIGNATURE_INVALID, POINTER, 'expected Signature keyId="…",algorithm="ed25519",created="…",…'
        )
    key, algorithm, created, expires, headers, signature = parts[1::2]
    subscriber, key_id, kind = _key_id(key)
    if (kind, algorithm) != ("ed25519", "ed25519"):
        raise Refusal(Code.AUT_SIGNATURE_INVALID, POINTER, f"expected ed25519, got {kind} and {algorithm}")
    return Header(subscriber, key_id, _unix_s(created), _unix_s(expires), headers, _raw(signature))


def _key_id(text: str) -> list[str]:
    parts = text.split("|")
    if len(parts) != 3 or not all(parts):
        raise Refusal(Code.AUT_SIGNATURE_INVALID, POINTER, 'expected keyId="subscriber|key id|ed25519"')
    return parts


def _unix_s(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise Refusal(Code.AUT_SIGNATURE_INVALID, POINTER, f"expected unix seconds, got {text[:20]!r}")
    return int(text)


def _raw(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise Refusal(Code.AUT_SIGNATURE_INVALID, POINTER, "expected a signature in base64") from None


def check_times(header: Header, now: int) -> None:
    """Raises ``Refusal`` for a signature that was made too far in the future, or has expired."""
    if header.created > now + AHEAD_S:
        raise Refusal(
            Code.AUT_SIGNATURE_INVALID,
            POINTER,
            f"expected a signature of now, got one created {header.created - now} s in the future",
        )
    if header.expires < now:
        raise Refusal(
            Code.AUT_SIGNATURE_INVALID,
            POINTER,
            f"expected a signature that holds, got one that expired {now - header.expires} s ago",
        )


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
        crypto_sign_open(header.signature + text.encode(), public_key)
    except nacl.exceptions.CryptoError as error:
        raise Refusal(
            Code.AUT_SIGNATURE_INVALID, POINTER, "expected a signature of this body, at these times, by this key"
        ) from error
