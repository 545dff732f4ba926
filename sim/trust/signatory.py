"""Who signs settlements: one party, with its own key, as itself."""

from __future__ import annotations

from collections.abc import Callable

from sim.trust.attest import attest, is_attested
from sim.trust.signature import Key

PARTY = "PARTY"
"""The role in which a settlement is signed: as a party, whichever roles of the contract it fills."""


class Signatory:
    """The hand of one party: it signs in its own name, and knows everybody's signature.

    key_of: the key of a party by its address.
    """

    def __init__(self, era: str, key_of: Callable[[str], Key]) -> None:
        self.era = era
        self._key_of = key_of

    def sign(self, digest: str) -> str:
        """The signature of this party over the text of a digest."""
        return attest(self._key_of(self.era), PARTY, digest)

    def verify(self, era: str, digest: str, signature: str) -> bool:
        """Whether a signature is the one of ``era`` over the text of a digest."""
        return is_attested(signature, self._key_of(era).public, era, PARTY, digest)
