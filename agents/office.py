"""What admissions ask a network's registry, and write into it: credentials, and which meter is enrolled where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sim.clock import Calendar
from sim.trust.claims import Claims
from sim.trust.client import DirectoryClient
from sim.trust.credentials import Finding, Issuer, check, issue, keys_in
from sim.trust.directory import Directory
from sim.trust.registries import Enrolment, publish, revoke
from sim.trust.stamps import rfc3339
from sim.wire.codes import Code, Refusal


class Office:
    """One directory, as of a simulated second.  client: how it is asked; directory: where it is written."""

    def __init__(self, directory: Directory, client: DirectoryClient, calendar: Calendar) -> None:
        self._directory = directory
        self._client = client
        self._calendar = calendar

    def findings(self, credential: Mapping[str, Any], holder: str, at_s: int) -> tuple[Finding, ...]:
        """Every check that a credential does not pass: its form, signature, status, holder and time."""
        as_on = self._as_on(at_s)
        return check(
            credential,
            holder=holder,
            at_s=self._calendar.unix(at_s),
            key_of=keys_in(self._client, as_on),
            is_revoked=lambda name: self._client.is_revoked(name, as_on),
        )

    def enrolled(self, meter: str, at_s: int) -> Enrolment | None:
        """Where a meter is enrolled.  Raises ``Refusal`` NET_DOWNSTREAM_UNAVAILABLE where nobody can be asked."""
        try:
            return self._client.enrolment(meter, self._as_on(at_s))
        except Refusal as refusal:
            if refusal.code is Code.NET_ENTITY_NOT_FOUND:
                return None
            raise

    def enrol(self, enrolment: Enrolment, at_s: int) -> None:
        """Write that a meter is enrolled."""
        publish(self._directory, self._client.network, enrolment.meterId, enrolment, self._calendar.unix(at_s))

    def strike(self, meter: str, at_s: int) -> None:
        """Write that a meter is enrolled no longer."""
        network, registry = self._client.network, Enrolment.registry
        self._directory.change_state(network, registry, meter, "revoked", self._calendar.unix(at_s))

    def certify(self, claims: Claims, issuer: Issuer, credential_id: str, holder: str, at_s: int) -> dict[str, Any]:
        """A credential, issued now."""
        return issue(claims, issuer, credential_id=credential_id, holder=holder, issued_s=self._calendar.unix(at_s))

    def revoke(self, credential_id: str, reason: str, at_s: int) -> None:
        """Write that a credential counts no longer."""
        revoke(self._directory, self._client.network, credential_id, reason, self._calendar.unix(at_s))

    def _as_on(self, at_s: int) -> str:
        return rfc3339(self._calendar.unix(at_s))
