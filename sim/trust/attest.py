"""Signatures of what is no message: who says so, as what, of which hash."""

from __future__ import annotations

import binascii

import msgspec
import nacl.exceptions
from nacl.bindings import crypto_sign, crypto_sign_BYTES, crypto_sign_open, crypto_sign_PUBLICKEYBYTES

from sim.trust.signature import Key

PREFIX = "ed25519:"

_encode = msgspec.json.Encoder().encode


def attest(key: Key, role: str, digest: str) -> str:
    """``ed25519:`` and the signature in base64 with which the owner of a key, in a role, says so of a hash."""
    return _text(crypto_sign(_statement(digest, role, key.subscriber), key.secret)[:crypto_sign_BYTES])


def is_attested(signature: str, public: bytes, era: str, role: str, digest: str) -> bool:
    """Whether a signature is that of ``era`` in ``role`` under a hash, made with this Ed25519 key (32 bytes)."""
    if len(public) != crypto_sign_PUBLICKEYBYTES:
        return False
    try:
        raw = binascii.a2b_base64(signature.removeprefix(PREFIX))
        crypto_sign_open(raw + _statement(digest, role, era), public)
    except (ValueError, nacl.exceptions.CryptoError):
        return False
    # The last letter of base64 has bits to spare, and one signature is to have one text.
    return len(raw) == crypto_sign_BYTES and _text(raw) == signature


def _text(signature: bytes) -> str:
    return PREFIX + binascii.b2a_base64(signature, newline=False).decode()


def _statement(digest: str, role: str, era: str) -> bytes:
    """A list and no joined text: no role may run over into an address."""
    return _encode((digest, role, era))
