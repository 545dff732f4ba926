"""What a host puts on record about its contracts: who agreed on what, what each interval came to, how it ended.

A component, not an agent: its owner tells it what happens, and it writes in its owner's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from sim.contracts.contract import Contract, Turn
from sim.contracts.fingerprints import snapshot, terms_hash
from sim.contracts.settlement_runs import Act
from sim.events import Actor, EventLog, EventType
from sim.ledger import Posting

HOST = "HOST"
"""The role of a host that the contract itself gives none."""


class Chronicle:
    """Writes the events of one host's contracts into the common log."""

    def __init__(self, log: EventLog, era: str) -> None:
        self._log = log
        self._era = era

    def created(self, contract: Contract) -> None:
        """All roles are filled and all inputs given.  Raises ``ContractError`` for an id that is another contract's already."""
        facts = {
            "templateId": contract.template_id,
            "currency": contract.currency,
            "roles": [{"role": role, "filledBy": era} for role, era in contract.roles.items()],
            "inputs": [{"name": name, "value": str(value)} for name, value in contract.inputs.items()],
            "terms": terms_hash(contract.terms),
        }
        self._write(contract, EventType.CONTRACT_CREATED, facts)

    def confirmed(self, contract: Contract, **facts: str) -> None:
        """The contract holds.  facts: what it was confirmed with."""
        self._write(contract, EventType.CONFIRMED, facts)

    def activated(self, contract: Contract) -> None:
        """The contract had its first effect."""
        self._write(contract, EventType.ACTIVATED, {})

    def cancelled(self, contract: Contract, turn: Turn, reason: str) -> None:
        """The contract is over before its time; what was delivered until then is still to be settled."""
        self._write(contract, EventType.CANCELLED, {"turn": str(turn), "reason": reason})

    def in_force(self, contract: Contract) -> None:
        """A contract that nobody has to apply for holds from now on."""
        self.created(contract)
        self.confirmed(contract)
        self.activated(contract)

    def computed(
        self, contract: Contract, interval: int, signals: Mapping[str, Decimal], postings: Sequence[Posting]
    ) -> str:
        """An interval was settled: what was posted, and the hash of what it was computed from, which is returned."""
        digest = snapshot(signals)
        facts = {
            "cycle": str(interval),
            "snapshot": digest,
            "postings": [(p.term, p.payer, p.payee, str(p.amount), p.currency) for p in postings],
        }
        self._write(contract, EventType.SETTLEMENT_COMPUTED, facts)
        return digest

    def open_cycles(self, contract: Contract) -> tuple[str, ...]:
        """The cycles of a contract that were computed and not settled."""
        return self._log.open_cycles(contract.id)

    def settled(self, contract: Contract, interval: int) -> None:
        """One interval is settled, though its contract goes on: it can be computed anew by corrected readings."""
        self._write(contract, EventType.SETTLED, {"cycle": str(interval)})

    def acted(self, contract: Contract, acts: Iterable[Act], **facts: str) -> None:
        """What settlement gave rise to, each act in the name of its own actor.  facts: to be said besides."""
        for act in acts:
            self._write(contract, EventType(act.kind), {**act.data, **facts}, act.actor)

    def ended(self, contract: Contract, turn: Turn, facts: Mapping[str, object] | None = None) -> None:
        """The contract is over: what was computed is settled, and it is completed if it was fulfilled, else terminated.

        facts: how it was settled.
        """
        cycles = self._log.open_cycles(contract.id)
        if cycles:
            self._write(contract, EventType.SETTLED, {"cycles": len(cycles), **(facts or {})})
        if turn is Turn.FULFIL:
            self._write(contract, EventType.COMPLETED, {})
        else:
            self._write(contract, EventType.TERMINATED, {"reason": str(turn)})

    def _write(
        self, contract: Contract, event_type: EventType, facts: Mapping[str, object], actor: str | None = None
    ) -> None:
        who = actor or self._era
        role = next((role for role, era in contract.roles.items() if era == who), HOST)
        self._log.append(contract.id, event_type, Actor(who, role), facts)
