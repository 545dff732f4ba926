"""The end of an account: a host states what a contract came to, its parties sign or dispute, and at a deadline it is settled.

What was posted interval by interval stands in the common ledger already.  The statement sums it up, and its settlement run
(``sim.contracts.cycles``) posts to a book of the host's own, which in the end has to say the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from msgspec import UNSET

from agents.chronicle import Chronicle
from sim.contracts.contract import Contract
from sim.contracts.cycles import Cycles, Rules
from sim.contracts.fingerprints import snapshot_of
from sim.contracts.settlement_moves import (
    Account,
    Compute,
    Cycle,
    Dispute,
    Finalise,
    Move,
    Owed,
    Sign,
    State,
    Statement,
)
from sim.contracts.settlement_runs import SettlementRun
from sim.errors import ContractError
from sim.ledger import EXACT, Ledger, Posting
from sim.trust.signatory import Signatory
from sim.wire.bags import EnergySettlement
from sim.wire.codes import Code, Refusal

CLOSING = "closing"
"""The cycle of a whole account."""
RUN = 0
"""The only run of that cycle: it closes it."""
Totals = dict[Account, Decimal]
"""Signed amounts by term and two parties in order of their names; + is owed by the first."""
Row = tuple[str, str, str, Decimal]
"""Term, payer, payee, amount."""
BAG = "/message/contract/settlements/0/settlementAttributes"


@dataclass(frozen=True, slots=True)
class Practice:
    """How a host closes its accounts.

    rules: window, arbitrator, and what a missing signature means.  signatory: its own hand.  second: the simulated one it is.
    """

    rules: Rules
    signatory: Signatory
    second: Callable[[], int]


class Closing:
    """The closing cycle of one contract.

    posted: everything posted under it, in whichever intervals.  snapshots: of what that was computed from, by interval.
    Raises ``ContractError`` for amounts that the contract cannot owe.
    """

    def __init__(
        self,
        contract: Contract,
        posted: Sequence[Posting],
        snapshots: Sequence[str],
        *,
        window: Cycle,
        practice: Practice,
        chronicle: Chronicle,
    ) -> None:
        self.contract = contract
        self._owed = owed(posted)
        self._practice = practice
        self._chronicle = chronicle
        self._book = Ledger()
        hand = practice.signatory

        # Who answers is asked twice: by us, to say what is wrong with a signature, and by the cycle's own rules.
        holds = self._holds = functools.lru_cache(maxsize=1)(hand.verify)
        self._cycles = Cycles(
            contract, practice.rules, self._book, lambda era, digest, signature, _: holds(era, digest, signature)
        )
        self._cycles.open(window)
        now, statement = practice.second(), Statement(self._owed, snapshot_of(snapshots))
        acts = self._cycles.do(Compute(CLOSING, RUN, hand.era, now, statement, closes=True))
        chronicle.acted(contract, acts, missing=str(practice.rules.missing))
        self.signature = hand.sign(self.run.digest)
        """The host's own, over what it states."""
        if hand.era in self._cycles.parties:
            self._make(Sign(CLOSING, RUN, hand.era, now, self.signature))

    @property
    def run(self) -> SettlementRun:
        """The run as it stands."""
        return self._cycles.runs(CLOSING)[-1]

    @property
    def state(self) -> State:
        """Where the cycle stands now."""
        return self._cycles.state(CLOSING, self._practice.second())

    def answered(self, era: str, told: EnergySettlement) -> None:
        """A party has signed the statement, or disputes it.

        Raises ``Refusal`` for an answer to another statement, for one that is neither or both, for a signature that is not the
        party's, and for what the state of the cycle does not allow.
        """
        if told.statementDigest != self.run.digest:
            what = f"expected {self.run.digest} as it was stated, got {told.statementDigest or 'none'}"
            raise Refusal(Code.PRC_CONFLICT, f"{BAG}/statementDigest", what)
        if (told.signature is UNSET) == (told.disputeReason is UNSET):
            raise Refusal(Code.SCH_REQUIRED_FIELD_MISSING, BAG, "expected either signature or disputeReason")
        now = self._practice.second()
        if isinstance(told.signature, str):
            if not self._holds(era, self.run.digest, told.signature):
                what = f"expected the signature of {era} over {self.run.digest}, got another"
                raise Refusal(Code.AUT_SIGNATURE_INVALID, f"{BAG}/signature", what)
            self._make(Sign(CLOSING, RUN, era, now, told.signature))
        elif isinstance(told.disputeReason, str):
            self._make(Dispute(CLOSING, RUN, era, now, told.disputeReason))

    def settle(self) -> bool:
        """Turn what was stated into money owed, if nothing speaks against it now; whether it did.

        Raises ``ContractError``, which would be a fault of ours, where the book then differs from what had been posted.
        """
        if self.state is not State.READY:
            return False
        self._cycles.do(Finalise(CLOSING, RUN, self._practice.signatory.era, self._practice.second()))
        if set(owed(self._book)) != {entry for entry in self._owed if entry.amount}:
            raise ContractError(self.contract.id, "the closing statement and the postings of the intervals differ")
        return True

    def told(self) -> dict[str, object]:
        """What the end of this cycle has to say: what was settled, who signed it, and who is taken to agree."""
        signed = tuple(era for era, _ in self.run.signatures)
        return {"run": RUN, "digest": self.run.digest, "signed": signed, "deemed": self.run.unsigned}

    def _make(self, move: Move) -> None:
        before = self.run
        try:
            acts = self._cycles.do(move)
        except ContractError as error:
            raise Refusal(Code.PRC_INVALID_TRANSITION, BAG, str(error)) from error
        if self.run is before:
            raise Refusal(Code.PRC_CONFLICT, BAG, f"{move.actor} has said so already")
        self._chronicle.acted(self.contract, acts)


def owed(postings: Iterable[Posting]) -> tuple[Owed, ...]:
    """What postings come to: one amount for each term and pair of parties, + where the first by name pays."""
    totals: Totals = {}
    add(totals, ((p.term, p.payer, p.payee, p.amount) for p in postings))
    return tuple(Owed(*account, amount) for account, amount in totals.items())


def add(totals: Totals, rows: Iterable[Row]) -> None:
    """Add what was owed to what it comes to."""
    for term, payer, payee, owing in rows:
        forward = payer <= payee
        account = (term, payer, payee) if forward else (term, payee, payer)
        amount = owing if forward else owing.copy_negate()
        before = totals.get(account)
        totals[account] = amount if before is None else EXACT.add(before, amount)
