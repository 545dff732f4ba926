"""Named streams of random numbers.

A stream depends on the seed and on its *name*, never on who drew before.  Adding an agent therefore changes no other
agent's draws, and two policies are compared on the same arrivals.
"""

from __future__ import annotations

import hashlib

import numpy as np


def _digest(seed: int, names: tuple[str, ...], size: int) -> bytes:
    text = "\x1f".join((str(seed), *names)).encode()
    return hashlib.blake2b(text, digest_size=size).digest()


def stream(seed: int, *names: str) -> np.random.Generator:
    """The generator of this name, e.g. ``stream(seed, "ev-07", "arrival")``; the same name starts the same sequence."""
    return np.random.Generator(np.random.PCG64(int.from_bytes(_digest(seed, names, 16))))


def secret(seed: int, *names: str) -> bytes:
    """32 bytes to make a key of; as secret as the seed."""
    return _digest(seed, ("secret", *names), 32)


def identifier(seed: int, *names: str) -> str:
    """A UUID (version 8, RFC 9562: vendor-specific content) that depends on the seed and the name alone."""
    raw = bytearray(_digest(seed, names, 16))
    raw[6] = (raw[6] & 0x0F) | 0x80
    raw[8] = (raw[8] & 0x3F) | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
