"""Heads of a log, and somebody who watches that it only grows.

A chain of hashes shows what was changed, and not that its end was cut off or that all of it was written anew by its keeper.
A head says how long the log is and what stands in it; a witness that signs one only where it continues the last one it signed,
and keeps what it signed, shows that too.
Source: RFC 6962, "Certificate Transparency", section 3.5 (signed tree heads).
"""

from __future__ import annotations

import msgspec

from sim.canonical import canonical, hashed
from sim.errors import TrustError
from sim.trust.attest import attest, is_attested
from sim.trust.merkle import EMPTY, Proof, is_consistent
from sim.trust.signature import Key

KEEPER, WITNESS = "LOG_KEEPER", "LOG_WITNESS"
"""The roles in which a head is signed."""


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The state of a log when an interval was closed.  root: of the tree over its entries, hexadecimal."""

    interval: int
    root: str
    size: int

    @property
    def digest(self) -> str:
        """The hash that keeper and witness sign."""
        return hashed(canonical({"interval": self.interval, "root": self.root, "size": self.size}))


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who signed a head, and the signature (``sim.trust.attest``)."""

    era: str
    signature: str


class Seal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A head, signed by who keeps the log and by the witness."""

    head: Head
    keeper: Signature
    witness: Signature


class Witness:
    """Signs heads of one log, each only if the last one it signed is a beginning of it."""

    def __init__(self, key: Key, keeper: Key) -> None:
        self._key = key
        self._keeper = keeper
        self._seals: list[Seal] = []

    @property
    def key(self) -> Key:
        """The key it signs with."""
        return self._key

    @property
    def testimony(self) -> bytes:
        """What it keeps for itself, a line of JSON each: the two keys that it knows, then every seal, as a journal has them."""
        return self.testimony_since(0)

    def testimony_since(self, count: int) -> bytes:
        """The part of its testimony that came with its seals from this number on, counted from 0."""
        known = [{"kind": "signer", **introduction(key)} for key in (self._keeper, self._key)] if count == 0 else []
        return _encode_lines([*known, *({"kind": "seal", "seal": seal} for seal in self._seals[count:])])

    @property
    def seen(self) -> int:
        """Length of the log when it last signed: what a proof of consistency has to begin with."""
        return self._seals[-1].head.size if self._seals else 0

    @property
    def seals(self) -> tuple[Seal, ...]:
        """All that it signed, in order."""
        return tuple(self._seals)

    def cosign(self, head: Head, signature: str, proof: Proof) -> Seal:
        """The head with both signatures.

        Raises ``TrustError``, and signs nothing, where the keeper did not sign the head, where it is not of a later interval,
        and where the proof does not show that the log seen last is its beginning.
        """
        last = self._seals[-1].head if self._seals else Head(-1, EMPTY.hex(), 0)
        if not is_attested(signature, self._keeper.public, self._keeper.subscriber, KEEPER, head.digest):
            raise TrustError(
                self._key.subscriber, f"{self._keeper.subscriber} did not sign the head of {head.size} events"
            )
        if head.interval <= last.interval:
            what = f"a head of interval {head.interval} cannot follow the one of interval {last.interval}"
            raise TrustError(self._key.subscriber, what)
        roots = bytes.fromhex(last.root), bytes.fromhex(head.root)
        if not is_consistent(last.size, roots[0], head.size, roots[1], proof):
            what = f"a log of {head.size} events does not continue the {last.size} that were witnessed"
            raise TrustError(self._key.subscriber, what)
        seal = Seal(
            head,
            Signature(self._keeper.subscriber, signature),
            Signature(self._key.subscriber, attest(self._key, WITNESS, head.digest)),
        )
        self._seals.append(seal)
        return seal


def introduction(key: Key) -> dict[str, str]:
    """How a key is told to those who have to check what it signs."""
    return {"era": key.subscriber, "keyId": key.key_id, "publicKey": key.public_text}


_encode_lines = msgspec.json.Encoder(order="deterministic").encode_lines
