"""How an amount came about: contract and term, formula and inputs, where each came from, rounding, and who said so.

``explanation`` answers for a posting or a party as plain data, ``as_text`` writes that for people; ``contracts`` is what both
and the page of a run are made of.
"""

from __future__ import annotations

from collections.abc import Mapping

from results.explanation.choice import chosen, is_party
from results.explanation.facts import posting_facts, unexplained_facts
from results.explanation.model import Account, Amount, Cycle, Entry, Posted, Source, Told, amount_of
from results.explanation.party import party_facts
from results.explanation.replay import contracts
from results.explanation.text import party_text, posting_text
from results.run import Record, Run

__all__ = [
    "Account",
    "Amount",
    "Cycle",
    "Entry",
    "Posted",
    "Source",
    "Told",
    "amount_of",
    "as_text",
    "contracts",
    "explained",
    "explanation",
]


def explanation(run: Run, what: str) -> Record:
    """What a posting or a party comes from, as JSON can say it.

    what: address of a party, number of a posting (its row in the table ``postings``, from 0), or CONTRACT/TERM/INTERVAL.
    Gives ``postings``, a list of one or more, or ``party``.  Raises ``RunError`` for what is none of them, with what there is.
    """
    if is_party(run, what):
        return party_facts(run, contracts(run), what)
    numbers = chosen(run, what)
    told = contracts(run)
    return {"postings": [explained(run, told, number) for number in numbers]}


def explained(run: Run, told: Mapping[str, Told], number: int) -> Record:
    """How the posting of this number came about, as ``explanation`` gives it.  told: of ``contracts``."""
    posting = run.ledger[number]
    of = told[posting.contract]
    for account in of.accounts or ():
        if any(posted.number == number for posted in account.postings):
            return posting_facts(run, amount_of(of, account, number, posting))
    return unexplained_facts(run, of, number)


def as_text(facts: Record, everything: bool = False) -> str:
    """What ``explanation`` gave, for people.  everything: also what would be folded or counted."""
    if "party" in facts:
        return party_text(facts, everything)
    return "\n\n".join(posting_text(one, everything) for one in facts["postings"])
