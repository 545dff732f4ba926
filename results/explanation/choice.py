"""Which postings somebody means: by number, by contract, term and interval, or by a party."""

from __future__ import annotations

import difflib

from results.run import Run
from sim.errors import Fault, RunError, nearest


def is_party(run: Run, what: str) -> bool:
    """Whether this is the address of somebody who took part, or of a party of a posting."""
    return what in run.kinds or any(what in (posting.payer, posting.payee) for posting in run.ledger)


def chosen(run: Run, what: str) -> tuple[int, ...]:
    """The numbers of the postings that ``12`` or ``CONTRACT/TERM/INTERVAL`` means; the beginning of a contract's id does.

    Raises ``RunError`` that says what there is where it means none.
    """
    if what.isdecimal():
        number = int(what)
        if number >= len(run.ledger):
            last = len(run.ledger) - 1
            raise _unknown(
                run, what, f"postings are numbered from 0 to {last}" if last >= 0 else "there are no postings"
            )
        return (number,)
    if what.count("/") < 2:
        near = nearest(what, run.kinds)
        raise _unknown(run, what, f"is no party, posting or CONTRACT/TERM/INTERVAL of this run; {near}")
    return _of_cycle(run, what)


def _of_cycle(run: Run, what: str) -> tuple[int, ...]:
    contract, rest = what.split("/", 1)
    term, interval = rest.rsplit("/", 1)
    ids = dict.fromkeys(posting.contract for posting in run.ledger)
    found = [contract] if contract in ids else [each for each in ids if contract and each.startswith(contract)]
    if len(found) != 1:
        near = f"{len(found)} contracts begin like this" if found else nearest(contract, ids)
        raise _unknown(run, what, f"no contract {contract} has postings; {near}" if not found else near)
    mine = [(number, posting) for number, posting in enumerate(run.ledger) if posting.contract == found[0]]
    terms = dict.fromkeys(posting.term for _, posting in mine)
    if term not in terms:
        raise _unknown(
            run, what, f"that contract has no postings of {term or 'a term without a name'}; {nearest(term, terms)}"
        )
    intervals = [str(posting.interval) for _, posting in mine if posting.term == term]
    if interval not in intervals:
        near = "".join(difflib.get_close_matches(interval, intervals, n=1, cutoff=0.0))
        raise _unknown(
            run, what, f"{term} has no posting in interval {interval}; there is one in {near or intervals[0]}"
        )
    return tuple(number for number, p in mine if p.term == term and str(p.interval) == interval)


def _unknown(run: Run, what: str, why: str) -> RunError:
    return RunError(str(run.path), (Fault(what, why),))
