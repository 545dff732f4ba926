"""The ledger of a run as a Beancount file, so that a program which knows nothing of ours can check the money.

Every posting is a transaction of two legs, every party an account, and every account ends with assertions of its balance.
Beancount is not needed to write the file.  Format: https://beancount.github.io/docs/beancount_language_syntax.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal

from results.run import Run
from sim.errors import RunError
from sim.ledger import EXACT, Balances, Posting, balances, minor_unit, posting_faults

PARTIES = "Equity:Parties"
"""Parent of all accounts.  Equity, so that what is owed within the run has no sign that Beancount would expect of it."""

_ESCAPES = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_NOT_PLAIN = re.compile(r"[^a-z0-9-]")


def export(run: Run) -> str:
    """The postings of a run as the text of a Beancount file.  Raises ``RunError`` with every posting that is not sound."""
    calendar = run.calendar
    faults = tuple(fault for posting in run.ledger for fault in posting_faults(posting))
    if faults:
        raise RunError(str(run.path), faults)
    title = f"{run.manifest['name']}, {run.manifest['policy']}, seed {run.manifest['seed']}"
    return ledger_text(run.ledger, lambda index: calendar.local(calendar.interval(index).start_s).date(), title)


def ledger_text(postings: Sequence[Posting], date_of: Callable[[int], date], title: str) -> str:
    """Sound postings as the text of a Beancount file.

    date_of: the day of an interval, never before that of an earlier one.  A transaction tells contract, term and interval; an
    account the address of its party.  Balances are asserted without tolerance on the day after the last posting.
    """
    sums = balances(postings)
    currencies = sorted({currency for _, currency in sums})
    days = [date_of(posting.interval) for posting in postings]
    lines = [
        f"option {_quoted('title')} {_quoted(title)}",
        *(f"option {_quoted('operating_currency')} {_quoted(currency)}" for currency in currencies),
    ]
    if days:
        lines += ["", *(f"{min(days)} commodity {currency}" for currency in currencies)]
        lines += ["", *_accounts(sums, min(days))]
        for posting, day in zip(postings, days, strict=True):
            lines += ["", *_transaction(posting, day)]
        lines += ["", *_assertions(sums, max(days) + timedelta(days=1))]
    return "\n".join(lines) + "\n"


def account(era: str) -> str:
    """The account of a party: its address, capitalised, with ``U<hexadecimal code point>Z`` for what an account cannot hold.

    Two addresses never have one account: a small letter, a digit or a hyphen stands for itself, and capitals occur only at the
    beginning or in what was replaced.
    """
    plain = _NOT_PLAIN.sub(lambda found: _replaced(found[0]), era)
    if not plain or plain.startswith("-"):
        plain = _replaced(era[:1]) + plain[1:]
    return f"{PARTIES}:{plain[0].upper()}{plain[1:]}"


def _replaced(letter: str) -> str:
    return f"U{ord(letter):x}Z" if letter else "UZ"


def _accounts(sums: Balances, day: date) -> Iterator[str]:
    used: dict[str, list[str]] = {}
    for era, currency in sums:
        used.setdefault(era, []).append(currency)
    for era, currencies in used.items():
        yield f"{day} open {account(era)} {','.join(sorted(currencies))}"
        yield f"  era: {_quoted(era)}"


def _transaction(posting: Posting, day: date) -> Iterator[str]:
    amount = _written(posting.amount, posting.currency)
    yield f"{day} * {_quoted(posting.term)}"
    yield f"  contract: {_quoted(posting.contract)}"
    yield f"  term: {_quoted(posting.term)}"
    yield f"  interval: {posting.interval}"
    yield f"  {account(posting.payer)}  -{amount}"
    yield f"  {account(posting.payee)}  {amount}"


def _assertions(sums: Balances, day: date) -> Iterator[str]:
    for (era, currency), total in sums.items():
        number, unit = _written(total, currency).split()
        # Without "~ 0" Beancount would let a balance be wrong by one minor unit.
        yield f"{day} balance {account(era)}  {number} ~ 0 {unit}"


def _written(amount: Decimal, currency: str) -> str:
    return f"{EXACT.quantize(amount, minor_unit(currency)):f} {currency}"


def _quoted(text: str) -> str:
    """A string; halves of characters, which no file can hold, are spelled out."""
    whole = text.encode("utf-8", "backslashreplace").decode()
    return f'"{whole.translate(_ESCAPES)}"'
