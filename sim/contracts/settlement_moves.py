"""What may be done about settling a cycle: what is stated to be owed, the moves, and the states that allow them.

A cycle is settled by runs: an initial one, R1, R2, ... as better data arrive, and a final one that closes the cycle.
It stands where its latest run stands; OPEN and OVER are those of a cycle without one::

    OPEN ──window over──► OVER ──compute──► COMPUTED ◄──────────reject───────────┐
                                             │    └────────dispute────────► DISPUTED ──uphold──► VOID
                                        last signature                           ▲
                                             └─────────► CHALLENGE ──dispute─────┘
    at the deadline:
        CHALLENGE ─────────────────────────► READY ──finalise──► FINAL (CLOSED, where the run closes its cycle)
        COMPUTED ──DEEMED_ACCEPT───────────► READY
                 ──HOLD────► HELD ──last signature──► READY;  ──accept──► FINAL;  ──annul──► VOID
                 ──ESCALATE─► ESCALATED ──────────────────────  accept──► FINAL;  ──annul──► VOID

The window is half open: a dispute one second before the deadline counts, one at the deadline does not.  It is the time
to dispute and the time to sign: were it to begin with the last signature, a party that never signs could keep every
other from its challenge.  After VOID and FINAL comes a run of a higher number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sim.contracts.contract import Contract
from sim.errors import ContractError, Fault, nearest
from sim.ledger import Posting, posting_faults

_SNAPSHOT = re.compile(r"sha256:[0-9a-f]{64}")

Account = tuple[str, str, str]
"""A term and two parties in order of their names; + on it is what the first owes the second."""


class Missing(StrEnum):
    """What a missing signature means at the deadline.

    HOLD: the run waits for it, or for the arbitrator.  DEEMED_ACCEPT: who was silent agreed.  ESCALATE: the run is
    before the arbitrator, and nobody signs any more.
    """

    HOLD = "HOLD"
    DEEMED_ACCEPT = "DEEMED_ACCEPT"
    ESCALATE = "ESCALATE"


class State(StrEnum):
    """Where a cycle stands: see the drawing at the top of this module."""

    OPEN = "OPEN"
    OVER = "OVER"
    COMPUTED = "COMPUTED"
    CHALLENGE = "CHALLENGE"
    HELD = "HELD"
    ESCALATED = "ESCALATED"
    READY = "READY"
    DISPUTED = "DISPUTED"
    VOID = "VOID"
    FINAL = "FINAL"
    CLOSED = "CLOSED"


@dataclass(frozen=True, slots=True)
class Cycle:
    """A window of delivery that is settled together, half open: ``start_s <= t < end_s``, in simulated seconds.

    interval: the number that its postings carry.  Raises ``ContractError`` for a window without a second in it.
    """

    id: str
    start_s: int
    end_s: int
    interval: int

    def __post_init__(self) -> None:
        _whole(self.id, start_s=self.start_s, end_s=self.end_s, interval=self.interval)
        if self.end_s <= self.start_s:
            raise ContractError(self.id, f"the cycle ends at {self.end_s} s, not after its start at {self.start_s} s")


@dataclass(frozen=True, slots=True)
class Owed:
    """What one term of a contract comes to in a whole cycle: ``payer`` owes ``payee``, or the reverse if negative."""

    term: str
    payer: str
    payee: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Statement:
    """Everything that is owed for a cycle, not what has changed.

    snapshot: digest of the signals that it was computed from, ``sha256:`` and 64 hexadecimal digits.
    """

    owed: tuple[Owed, ...]
    snapshot: str

    def accounts(self) -> dict[Account, Decimal]:
        """Signed amounts by account, without zeros; one that is owed backwards is the same as its negative forwards."""
        signed = {}
        for entry in self.owed:
            account = _account(entry)
            amount = entry.amount if account[1] == entry.payer else entry.amount.copy_negate()
            if amount:
                signed[account] = amount
        return signed

    def faults(self, place: str, contract: Contract) -> Iterator[Fault]:
        """What keeps this from being a statement of a contract: its snapshot, its terms, its parties, its amounts."""
        if not _SNAPSHOT.fullmatch(self.snapshot):
            yield Fault(place, f"the snapshot {self.snapshot!r} is not sha256: and 64 hexadecimal digits")
        accounts = [_account(entry) for entry in self.owed]
        for index, entry in enumerate(self.owed):
            yield from _entry_faults(f"{place}/{entry.term}", contract, entry)
            if accounts[index] in accounts[:index]:
                yield Fault(f"{place}/{entry.term}", f"is stated twice between {entry.payer} and {entry.payee}")


@dataclass(frozen=True, slots=True)
class Move:
    """Something that somebody does to a run of a cycle at a simulated second.

    Raises ``ContractError`` for a run number or a second that is not a whole number, and for a number below zero.
    """

    cycle: str
    run: int
    actor: str
    at_s: int

    def __post_init__(self) -> None:
        _whole(f"{self.cycle}/run {self.run}", run=self.run, at_s=self.at_s)
        if self.run < 0:
            raise ContractError(f"{self.cycle}/run {self.run}", "runs are numbered from 0")


@dataclass(frozen=True, slots=True)
class Compute(Move):
    """Begin a run.  closes: whether it is the final one, after which the cycle takes no other."""

    statement: Statement
    closes: bool = False


@dataclass(frozen=True, slots=True)
class Sign(Move):
    """Agree to a run.  signature: over the text of its digest."""

    signature: str


@dataclass(frozen=True, slots=True)
class Dispute(Move):
    """Ask the arbitrator whether a run is right."""

    reason: str


@dataclass(frozen=True, slots=True)
class Uphold(Move):
    """The arbitrator finds that a run is wrong.  dispute: its number within the run, from 1."""

    dispute: int


@dataclass(frozen=True, slots=True)
class Reject(Move):
    """The arbitrator finds that a disputed run is right.  dispute: its number within the run, from 1."""

    dispute: int


@dataclass(frozen=True, slots=True)
class Accept(Move):
    """The arbitrator makes a run final although signatures are missing."""


@dataclass(frozen=True, slots=True)
class Annul(Move):
    """The arbitrator makes a run void because signatures are missing."""


@dataclass(frozen=True, slots=True)
class Finalise(Move):
    """Turn what a run holds pending into money owed."""


MOVES: dict[State, tuple[type[Move], ...]] = {
    State.OPEN: (),
    State.OVER: (Compute,),
    State.COMPUTED: (Sign, Dispute),
    State.CHALLENGE: (Dispute,),
    State.HELD: (Sign, Accept, Annul),
    State.ESCALATED: (Accept, Annul),
    State.READY: (Finalise,),
    State.DISPUTED: (Uphold, Reject),
    State.VOID: (Compute,),
    State.FINAL: (Compute,),
    State.CLOSED: (),
}
"""What may be done in each state; everything else is refused."""


def parties_of(contract: Contract) -> tuple[str, ...]:
    """The ERAs that fill the roles of a contract, each once."""
    return tuple(dict.fromkeys(contract.roles.values()))


def _whole(source: str, **numbers: object) -> None:
    faults = [
        Fault(source, f"{name} is {number!r}, not a whole number")
        for name, number in numbers.items()
        if type(number) is not int
    ]
    if faults:
        raise ContractError(source, tuple(faults))


def _account(entry: Owed) -> Account:
    first, second = sorted((entry.payer, entry.payee))
    return entry.term, first, second


def _entry_faults(where: str, contract: Contract, entry: Owed) -> Iterator[Fault]:
    terms, parties = [term.name for term in contract.terms], parties_of(contract)
    if entry.term not in terms:
        yield Fault(where, "is no term of this contract", nearest(entry.term, terms))
    for party in dict.fromkeys((entry.payer, entry.payee)):
        if party not in parties:
            yield Fault(where, f"{party} is no party of this contract", nearest(party, parties))
    amount = entry.amount
    if not isinstance(amount, Decimal):
        yield Fault(where, f"the amount {amount!r} is not a Decimal")
    elif not amount.is_zero():
        posting = Posting(0, "", entry.term, entry.payer, entry.payee, amount.copy_abs(), contract.currency)
        yield from (Fault(where, fault.what) for fault in posting_faults(posting))
