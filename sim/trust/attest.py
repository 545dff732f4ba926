"""Signatures of what is no message: who says so, as what, of which hash."""

from __future__ import annotations

import binascii

import msgspec
import nacl.exceptions
from nacl.bindings import crypto_sign, crypto_sign_BYTES, crypto_sign_open

from sim.trust.signature import Key

PREFIX = "ed25519:"

_encode = msgspec.json.Encoder().encode


def attest(key: Key, role: str, digest: str) -> str:
    """``ed25519:`` and the signature in base64 with which the owner of a key, in a role, says so of a hash."""
    signed = crypto_sign(_statement(digest, role, key.subscriber), key.secret)
    return PREFIX + binascii.b2a_base64(signed[:crypto_sign_BYTES], newline=False).decode()


def is_attested(signature: str, public: bytes, era: str, role: str, digest: str) -> bool:
    """Whether a signature is that of ``era`` in ``role`` under a hash, made with this Ed25519 key (32 bytes)."""
    if not signature.startswith(PREFIX):
        return False
    try:
        raw = binascii.a2b_base64(signature[len(PREFIX) :], strict_mode=True)
        crypto_sign_open(raw + _statement(digest, role, era), public)
    except (ValueError, nacl.exceptions.CryptoError):
        return False
    return len(raw) == crypto_sign_BYTES


def _statement(digest: str, role: str, era: str) -> bytes:
    """A list and no joined text: no role may run over into an address."""
    return _encode((digest, role, era))
