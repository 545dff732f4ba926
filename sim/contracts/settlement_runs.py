"""What a settlement run is, and what becomes of it: frozen values, and the functions that make one of another.

``sim.contracts.cycles`` owns the runs of a contract and says which move is allowed; what an allowed move does stands here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from sim.canonical import canonical, hashed
from sim.contracts.contract import Contract
from sim.contracts.settlement_moves import (
    Accept,
    Annul,
    Compute,
    Dispute,
    Finalise,
    Missing,
    Move,
    Reject,
    Sign,
    State,
    Statement,
    Uphold,
    parties_of,
)
from sim.ledger import EXACT, Posting, minor_unit

Datum = str | int | tuple["Datum", ...]
"""What an act may tell: text, whole numbers, and rows of them.  Money is text with all digits of its minor unit."""

_AT_DEADLINE = {Missing.HOLD: State.HELD, Missing.DEEMED_ACCEPT: State.READY, Missing.ESCALATE: State.ESCALATED}


class Kind(StrEnum):
    """Events of a contract that settlement gives rise to."""

    SETTLEMENT_COMPUTED = "SETTLEMENT_COMPUTED"
    SETTLEMENT_SIGNED = "SETTLEMENT_SIGNED"
    CHALLENGED = "CHALLENGED"
    CHALLENGE_RESOLVED = "CHALLENGE_RESOLVED"
    ROLLED_BACK = "ROLLED_BACK"
    SETTLED = "SETTLED"


@dataclass(frozen=True, slots=True)
class Act:
    """What an accepted move means, ready to be written into the contract's history.

    facts: names and values; every act names its cycle, its run and the digest of the run.
    """

    kind: Kind
    at_s: int
    actor: str
    facts: tuple[tuple[str, Datum], ...]

    @property
    def data(self) -> dict[str, Datum]:
        """The facts by name, in a dict of the reader's own."""
        return dict(self.facts)


@dataclass(frozen=True, slots=True)
class SettlementRun:
    """One computation of a cycle, as of the last move made with it.

    postings: what changes against the last FINAL run before it.  digest: what is signed.  until_s: the deadline, the
    first second at which the window is over.  unsigned: parties whose signature is missing.  disputes: how many there
    were.  state: COMPUTED, DISPUTED, VOID or FINAL; what time makes of it is told by ``state_at``.
    """

    cycle: str
    number: int
    closes: bool
    statement: Statement
    postings: tuple[Posting, ...]
    digest: str
    until_s: int
    unsigned: tuple[str, ...]
    signatures: tuple[tuple[str, str], ...] = ()
    disputes: int = 0
    state: State = State.COMPUTED

    @property
    def name(self) -> str:
        """``final`` for the run that closes its cycle, ``initial`` for number 0, otherwise R1, R2, ..."""
        if self.closes:
            return "final"
        return f"R{self.number}" if self.number else "initial"

    @property
    def is_open(self) -> bool:
        """Whether its postings are pending."""
        return self.state in (State.COMPUTED, State.DISPUTED)

    def state_at(self, at_s: int, missing: Missing) -> State:
        """Where the run stands at a second, if nothing is done with it until then."""
        if self.state is State.FINAL and self.closes:
            return State.CLOSED
        if self.state is not State.COMPUTED:
            return self.state
        if at_s < self.until_s:
            return State.COMPUTED if self.unsigned else State.CHALLENGE
        return _AT_DEADLINE[missing] if self.unsigned else State.READY


class Step(NamedTuple):
    """A run after a move, and the acts that the move means."""

    run: SettlementRun
    acts: tuple[Act, ...]


def deltas(contract: Contract, interval: int, owed: Statement, final: Statement | None) -> tuple[Posting, ...]:
    """What is to be posted so that what was FINAL becomes what is owed, in order of accounts; nothing for no change."""
    new, old = owed.accounts(), final.accounts() if final else {}
    unit, zero = minor_unit(contract.currency), Decimal(0)
    postings = []
    for account in sorted({**new, **old}):
        term, payer, payee = account
        amount = EXACT.quantize(EXACT.subtract(new.get(account, zero), old.get(account, zero)), unit)
        if amount < 0:
            payer, payee, amount = payee, payer, amount.copy_negate()
        if amount:
            postings.append(Posting(interval, contract.id, term, payer, payee, amount, contract.currency))
    return tuple(postings)


def reversal(postings: Sequence[Posting]) -> tuple[Posting, ...]:
    """The same amounts the other way."""
    return tuple(replace(posting, payer=posting.payee, payee=posting.payer) for posting in postings)


def settlement_digest(
    contract_id: str, cycle_id: str, number: int, closes: bool, postings: Sequence[Posting], snapshot: str
) -> str:
    """What the parties sign: the hash of a run's canonical bytes.

    ``closes`` is part of it, because agreeing to amounts is not agreeing that no correction will follow.  Raises
    ``ContractError`` for text and numbers that have no canonical bytes.
    """
    content = {
        "contract": contract_id,
        "cycle": cycle_id,
        "run": number,
        "closes": closes,
        "postings": [
            {"term": p.term, "from": p.payer, "to": p.payee, "amount": str(p.amount), "currency": p.currency}
            for p in postings
        ],
        "snapshot": snapshot,
    }
    return hashed(canonical(content, contract_id))


def computed(contract: Contract, move: Compute, postings: tuple[Posting, ...], until_s: int) -> Step:
    """A new run.  Raises ``ContractError`` like ``settlement_digest``."""
    snapshot = move.statement.snapshot
    digest = settlement_digest(contract.id, move.cycle, move.run, move.closes, postings, snapshot)
    run = SettlementRun(
        move.cycle, move.run, move.closes, move.statement, postings, digest, until_s, parties_of(contract)
    )
    facts: dict[str, Datum] = {"name": run.name, "until_s": until_s, "snapshot": snapshot, "postings": _rows(postings)}
    return Step(run, (_act(move, run, Kind.SETTLEMENT_COMPUTED, facts),))


def moved(run: SettlementRun, move: Move, until_s: int) -> Step:
    """A run after a move that its state allows.  until_s: the deadline of a window that begins with this move."""
    after = run
    told: list[tuple[Kind, dict[str, Datum]]] = []
    match move:
        case Sign(actor=signer, signature=signature):
            unsigned = tuple(party for party in run.unsigned if party != signer)
            after = replace(run, unsigned=unsigned, signatures=(*run.signatures, (signer, signature)))
            told.append((Kind.SETTLEMENT_SIGNED, {"signature": signature}))
        case Dispute(reason=reason):
            after = replace(run, state=State.DISPUTED, disputes=run.disputes + 1)
            told.append((Kind.CHALLENGED, {"dispute": after.disputes, "reason": reason}))
        case Reject(dispute=dispute):
            # Signatures stay: what they were given for has not changed.
            after = replace(run, state=State.COMPUTED, until_s=until_s)
            told.append((Kind.CHALLENGE_RESOLVED, {"ruling": "REJECTED", "dispute": dispute, "until_s": until_s}))
        case Uphold(dispute=dispute):
            after = replace(run, state=State.VOID)
            told.append((Kind.CHALLENGE_RESOLVED, {"ruling": "UPHELD", "dispute": dispute}))
        case Annul():
            after = replace(run, state=State.VOID)
            told.append((Kind.CHALLENGE_RESOLVED, {"ruling": "ANNULLED", "unsigned": run.unsigned}))
        case Accept():
            after = replace(run, state=State.FINAL)
            told.append((Kind.CHALLENGE_RESOLVED, {"ruling": "ACCEPTED", "unsigned": run.unsigned}))
        case Finalise():
            after = replace(run, state=State.FINAL)
    if after.state is State.VOID:
        told.append((Kind.ROLLED_BACK, {"postings": _rows(reversal(run.postings))}))
    if after.state is State.FINAL:
        told.append((Kind.SETTLED, {"unsigned": run.unsigned, "postings": _rows(run.postings)}))
    return Step(after, tuple(_act(move, run, kind, facts) for kind, facts in told))


def _act(move: Move, run: SettlementRun, kind: Kind, facts: Mapping[str, Datum]) -> Act:
    told = {"cycle": run.cycle, "run": run.number, "digest": run.digest, **facts}
    return Act(kind, move.at_s, move.actor, tuple(told.items()))


def _rows(postings: Sequence[Posting]) -> tuple[Datum, ...]:
    """Postings as an act tells them: term, payer, payee, amount, currency."""
    return tuple((p.term, p.payer, p.payee, str(p.amount), p.currency) for p in postings)
