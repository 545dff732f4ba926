"""Who may be admitted: the registry that providers ask, and the credentials that seekers show."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from agents.office import Office
from scenarios.parties import CredentialSpec
from scenarios.registry import NETWORK, answering, directory_of
from scenarios.spec import RegistrySpec, Scenario
from sim.clock import DAY_S, Calendar
from sim.trust.claims import KINDS
from sim.trust.client import DirectoryClient
from sim.trust.credentials import Issuer, issue
from sim.trust.registries import publish_key, revoke
from sim.trust.seals import subscriber_of
from sim.trust.signature import derive

SEED_BYTES = 32
"""Of libsodium's secret key, the part that is the seed."""


class Enrolments:
    """The registry of one scenario.  Whoever issues anything is registered with its key when it is first named."""

    def __init__(self, scenario: Scenario, calendar: Calendar) -> None:
        spec = scenario.registry or RegistrySpec()
        self._seed = scenario.seed
        self._calendar = calendar
        self._since = calendar.unix(-DAY_S)
        self._directory = directory_of(spec, calendar)
        self._issuers: dict[str, Issuer] = {}
        client = DirectoryClient(answering(self._directory, spec, calendar), NETWORK)
        self.office = Office(self._directory, client, calendar)

    def issuer(self, name: str) -> Issuer:
        """Somebody who issues credentials; licensed as whoever they are."""
        known = self._issuers.get(name)
        if known is None:
            key = derive(self._seed, name)
            subscriber = subscriber_of(name, key.public_text, key.sealing_text)
            publish_key(self._directory, key.key_id, subscriber, self._since)
            did = f"did:web:{name}"
            known = Issuer(did, name, name, f"{did}#{key.key_id}", key.secret[:SEED_BYTES])
            self._issuers[name] = known
        return known

    def credential(self, spec: CredentialSpec, era: str, meter: str) -> dict[str, Any]:
        """A credential that ``era`` shows for a meter, issued a day before the run begins.

        Raises ``msgspec.ValidationError`` or ``TrustError`` for claims that are not of their type.
        """
        claims = msgspec.convert({**_usual_claims(spec, meter), **spec.claims}, KINDS[spec.type])
        name = f"https://{spec.issuer}.degsim.example/credentials/{spec.type}/{spec.holder or era}"
        if spec.revoked is not None:
            revoke(self._directory, NETWORK, name, "revoked", self._unix(spec.revoked))
        return issue(
            claims,
            self.issuer(spec.issuer),
            credential_id=name,
            holder=spec.holder or era,
            issued_s=self._since,
            expires_s=None if spec.until is None else self._unix(spec.until),
        )

    def _unix(self, moment: datetime) -> int:
        return int(moment.replace(tzinfo=self._calendar.start.tzinfo).timestamp())


def _usual_claims(spec: CredentialSpec, meter: str) -> Mapping[str, Any]:
    """What a credential of a type says where nothing else is stated."""
    if spec.type == "MeterOwnershipCredential":
        return {"meterId": meter, "utilityId": spec.issuer, "ownershipStatus": "OWNER"}
    return {"meterId": meter}
