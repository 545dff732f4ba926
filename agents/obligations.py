"""What policies make somebody owe for a whole run: a renewable purchase obligation, for one.

A component, not an agent: a host hands it readings, and has it settle at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from agents.chronicle import Chronicle
from agents.member import Member
from sim.contracts.contract import Contract, Settlement, Turn, settle
from sim.contracts.formula import CONTEXT
from sim.ledger import Ledger

CONSUMED, RENEWABLE = "consumedKWh", "renewableKWh"
COUNTED = (CONSUMED, RENEWABLE)
"""What is counted of members' meters over a run, and so the facts that such a policy may ask about."""
RENEWABLES = frozenset({"SOLAR"})
"""Resources whose injection counts as renewable.  A store only gives back what it was given."""


@dataclass(frozen=True, slots=True)
class Obligation:
    """A contract of one term that a policy's formula makes, and the version of the policy: name, version and hash."""

    contract: Contract
    policy: str


class Obligations:
    """Counts what members consume and what of it is renewable, and settles what is owed for that, once, at the end."""

    def __init__(self, owed: Sequence[Obligation], ledger: Ledger, chronicle: Chronicle) -> None:
        self._owed = tuple(owed)
        self._ledger = ledger
        self._chronicle = chronicle
        self._counted_wh = dict.fromkeys(COUNTED, 0)

    def begin(self) -> None:
        """What is owed is so from now on, by the versions that are in force now."""
        for obligation in self._owed:
            self._chronicle.created(obligation.contract)
            self._chronicle.confirmed(obligation.contract, policies=obligation.policy)
            self._chronicle.activated(obligation.contract)

    def count(self, members: Mapping[str, Member], readings: Mapping[str, int]) -> None:
        """Readings of one interval: Wh by meter, + injected."""
        for member in members.values():
            energy_wh = readings.get(member.meter, 0)
            self._counted_wh[CONSUMED] += max(-energy_wh, 0)
            if member.resource_type in RENEWABLES:
                self._counted_wh[RENEWABLE] += max(energy_wh, 0)

    def finish(self, index: int) -> None:
        """The run is over with this interval: what all of it comes to."""
        counted = {name: CONTEXT.divide(Decimal(wh), Decimal(1000)) for name, wh in self._counted_wh.items()}
        for obligation in self._owed:
            contract = obligation.contract
            postings = settle(Settlement(), contract, index, counted)
            self._ledger.post(postings)
            self._chronicle.computed(contract, index, counted, postings)
            self._chronicle.ended(contract, Turn.FULFIL)
