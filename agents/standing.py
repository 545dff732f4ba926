"""What a network's registry says of a meter's connection to the grid: whether its approval stands, and what it allows.

A component, not an agent: policies ask it for facts when a host asks them.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from sim.clock import Calendar
from sim.contracts.policies import Fact
from sim.contracts.policies.policy import CREDENTIALS
from sim.trust.client import DirectoryClient
from sim.trust.registries import Interconnection
from sim.trust.stamps import rfc3339
from sim.wire.codes import Code, Refusal

APPROVED = f"{CREDENTIALS}interconnectionApproval.valid"
CONNECTION = "prosumer.gridConnection."
"""How the facts begin that say what a connection may do."""
REGISTERED = (CREDENTIALS, CONNECTION)
"""How the facts begin that only a registry knows."""


def revocation_id(meter: str) -> str:
    """The name under which the network's revocation list has the approval of a meter."""
    return f"{Interconnection.registry}:{meter}"


class Standing:
    """Asks a directory about meters, as of a simulated second."""

    def __init__(self, client: DirectoryClient, calendar: Calendar) -> None:
        self._client = client
        self._calendar = calendar

    def facts(self, meter: str, era: str, at_s: int) -> Mapping[str, Fact]:
        """What is known of a meter that somebody says is theirs; of one without an approval in force, only that it has none.

        An approval that is revoked, has expired or is another's is none.  Raises ``Refusal``: NET_DOWNSTREAM_UNAVAILABLE where
        the directory cannot be asked, NET_INTERNAL_ERROR where its answer cannot be used.
        """
        as_on = rfc3339(self._calendar.unix(at_s))
        try:
            approval = self._client.interconnection(meter, as_on)
        except Refusal as refusal:
            if refusal.code is Code.NET_ENTITY_NOT_FOUND:
                return {APPROVED: False}
            raise
        if approval.era != era or self._client.is_revoked(revocation_id(meter), as_on):
            return {APPROVED: False}
        return {
            APPROVED: True,
            f"{CONNECTION}exportLimitKW": Decimal(repr(float(approval.exportLimitKW))),
            f"{CONNECTION}netMeteringEnabled": approval.netMetering,
        }
