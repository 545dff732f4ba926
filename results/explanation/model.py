"""How amounts came about, as data: cycles of contracts, accounts that add them up, and the postings that follow.

An account is one term of one contract between two parties.  Every cycle adds an entry to it, and a posting is the rounded sum
of all entries so far less what was posted before: it follows from its account and its number, and nothing else has to be kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from results.bills import Carrier
from results.run import Record
from sim.contracts.contract import Contract, Term
from sim.ledger import EXACT, Posting, minor_unit, rounded, total_of


@dataclass(frozen=True, slots=True)
class Source:
    """Where an input comes from: in words, and the message that carried it where one did."""

    what: str
    carrier: Carrier | None = None


@dataclass(frozen=True, slots=True)
class Cycle:
    """One interval that a contract was computed for.

    values: signals by name.  sources: of each of them.  carriers: further messages about it, by what they carried.
    event: the signed event that says so, if there is one.  proven: whether its hash of the signals is that of these values.
    """

    interval: int
    values: Mapping[str, Decimal]
    sources: Mapping[str, Source]
    carriers: Mapping[str, Carrier] = field(default_factory=dict)
    event: Record | None = None
    proven: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """What a cycle adds to an account: its number among those of the contract, and the exact amount, + from payer to payee.

    back: the amount of an earlier computation is taken back, because the interval was computed anew.
    """

    cycle: int
    exact: Decimal
    back: bool = False


@dataclass(frozen=True, slots=True)
class Posted:
    """A posting of an account: its number in the run's table, how many entries there were, and the cycle it came with."""

    number: int
    entries: int
    cycle: int


@dataclass(frozen=True, slots=True)
class Account:
    """One term between two parties.  payer, payee: as the term names them.

    postings: in their order.
    """

    term: Term
    payer: str
    payee: str
    entries: tuple[Entry, ...]
    postings: tuple[Posted, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """A contract, and what is known of how its amounts came about.

    terms: the message that told its terms; None for one that nobody has to apply for.  accounts: None where its amounts cannot
    be computed again from what the journal tells; ``why`` then says so, and ``events`` are what there is.
    events: of the contract, in their order.  postings: their numbers in the run's table.
    """

    contract: Contract
    terms: Carrier | None
    cycles: tuple[Cycle, ...]
    accounts: tuple[Account, ...] | None
    events: tuple[Record, ...]
    postings: tuple[int, ...]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Amount:
    """How one posting came about.

    entries: those since the posting before.  cycle: the one it was posted with.  total: of all entries so far, exactly.
    rounded: the same in minor units.  before: what had been posted.
    """

    number: int
    posting: Posting
    told: Told
    account: Account
    entries: tuple[Entry, ...]
    cycle: Cycle
    total: Decimal
    rounded: Decimal
    before: Decimal

    @property
    def due(self) -> Decimal:
        """What is posted, + from the payer of the term to its payee."""
        return EXACT.subtract(self.rounded, self.before)


def amount_of(told: Told, account: Account, number: int, posting: Posting) -> Amount:
    """How the posting of this number came about, which is one of the account's."""
    ends = [0, *(posted.entries for posted in account.postings)]
    place = next(k for k, posted in enumerate(account.postings) if posted.number == number)
    first, end = ends[place : place + 2]
    exact = [entry.exact for entry in account.entries[:end]]
    total, unit = total_of(exact), minor_unit(posting.currency)
    return Amount(
        number,
        posting,
        told,
        account,
        account.entries[first:end],
        told.cycles[account.postings[place].cycle],
        total,
        rounded(total, unit),
        rounded(total_of(exact[:first]), unit),
    )
