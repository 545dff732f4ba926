"""What is owed: a stream of postings, and reports that are folds over it.

Money is a ``Decimal`` in whole minor units of its currency.  A posting has a payer, a payee and a positive amount, so a
ledger sums to zero per currency whatever is posted; a report counts + as received and − as paid.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import (
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    FloatOperation,
    Inexact,
    InvalidOperation,
    Overflow,
)
from fractions import Fraction
from typing import TypeVar

from sim.errors import ContractError, Fault, nearest

MAX_DIGITS = 28
"""Amounts stay below 1e28 of any currency."""

EXACT = Context(
    prec=150, Emin=-200, Emax=200, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow, FloatOperation]
)
"""Sums of money: wide enough for any number of amounts below 1e28, and an error where it would have to round."""

_ROUNDING = Context(prec=EXACT.prec, Emin=EXACT.Emin, Emax=EXACT.Emax)

# ISO 4217:2015, list one, column "minor unit": digits after the point.
_MINOR_DIGITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW "
    "CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS "
    "INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN "
    "NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC "
    "SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_DIGITS = {code: digits for digits, codes in _MINOR_DIGITS.items() for code in codes.split()}
_WITHOUT_MINOR_UNIT = ["XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XDR", "XPD", "XPT", "XSU", "XTS", "XUA", "XXX"]
_CURRENCY = re.compile(r"[A-Z]{3}")
_Key = TypeVar("_Key")


def total_of(amounts: Iterable[Decimal], start: Decimal = Decimal(0)) -> Decimal:
    """The exact sum, with at least the digits of ``start``."""
    return functools.reduce(EXACT.add, amounts, start)


def rounded(amount: Decimal, unit: Decimal) -> Decimal:
    """The nearest whole number of units; of two equally near the even one."""
    return amount.quantize(unit, ROUND_HALF_EVEN, _ROUNDING)


def is_currency(code: str) -> bool:
    """Whether ISO 4217 counts a code in minor units."""
    return code in _DIGITS


@functools.cache
def minor_unit(currency: str) -> Decimal:
    """The smallest amount of a currency: 0.01 for INR, 1 for JPY, 0.001 for KWD.

    Raises ``ContractError`` for what is not three capital letters, for a code that ISO 4217 lacks, and for one without a minor
    unit, such as gold.
    """
    if not _CURRENCY.fullmatch(currency):
        raise ContractError("currency", f"{currency!r} is not a currency code of three capital letters, such as INR")
    if currency in _WITHOUT_MINOR_UNIT:
        raise ContractError(
            "currency", f"{currency} has no minor unit, so nothing can be rounded to it; name a currency in use"
        )
    if currency not in _DIGITS:
        raise ContractError("currency", f"{currency} is no currency of ISO 4217; {nearest(currency, _DIGITS)}")
    return Decimal(1).scaleb(-_DIGITS[currency])


@dataclass(frozen=True, slots=True)
class Posting:
    """One amount that ``payer`` owes ``payee``.

    interval: the market interval it was computed in.  contract, term: why it is owed.  payer, payee: ERAs.
    amount: > 0, in whole minor units of ``currency``.
    """

    interval: int
    contract: str
    term: str
    payer: str
    payee: str
    amount: Decimal
    currency: str


class Ledger:
    """Postings in the order in which they were made.  Nothing is ever changed or removed: a correction is a posting."""

    def __init__(self) -> None:
        self._postings: list[Posting] = []

    def __iter__(self) -> Iterator[Posting]:
        return iter(self._postings)

    def __len__(self) -> int:
        return len(self._postings)

    def since(self, count: int) -> tuple[Posting, ...]:
        """All postings but the first ``count``."""
        return tuple(self._postings[count:])

    def post(self, postings: Iterable[Posting]) -> None:
        """Append all of them, or none: raises ``ContractError`` with every fault of every posting."""
        batch = tuple(postings)
        faults = [fault for posting in batch for fault in posting_faults(posting)]
        if faults:
            raise ContractError("ledger", tuple(faults))
        self._postings.extend(batch)


Balances = dict[tuple[str, str], Decimal]
"""Signed money by (ERA, currency): + is received."""


def balances(postings: Iterable[Posting]) -> Balances:
    """What every party has received less what it has paid."""
    totals: Balances = {}
    for posting in postings:
        _add(totals, (posting.payer, posting.currency), posting.amount.copy_negate())
        _add(totals, (posting.payee, posting.currency), posting.amount)
    return totals


def by_term(postings: Iterable[Posting]) -> dict[tuple[str, str, str], Decimal]:
    """Balances taken apart: signed money by (ERA, term, currency), + is received."""
    totals: dict[tuple[str, str, str], Decimal] = {}
    for posting in postings:
        _add(totals, (posting.payer, posting.term, posting.currency), posting.amount.copy_negate())
        _add(totals, (posting.payee, posting.term, posting.currency), posting.amount)
    return totals


def net_by_currency(positions: Mapping[tuple[str, str], Decimal]) -> dict[str, Decimal]:
    """Sum over all parties of each currency, for balances by (ERA, currency); zero where no money was made or lost."""
    totals: dict[str, Decimal] = {}
    for (_, currency), amount in positions.items():
        _add(totals, currency, amount)
    return totals


def posting_faults(posting: Posting) -> tuple[Fault, ...]:
    """What is wrong with a posting: its currency, its amount or its parties; empty where all is well."""
    try:
        unit = minor_unit(posting.currency)
    except ContractError as error:
        return tuple(Fault(_place(posting), fault.what) for fault in error.faults)
    amount = posting.amount
    # Nearly every amount already carries exactly the digits of its currency, and this is asked for every posting.
    if isinstance(amount, Decimal) and amount.same_quantum(unit) and amount > 0 and posting.payer != posting.payee:
        return ()
    return tuple(Fault(_place(posting), what) for what in _wrongs(posting, unit))


def money_faults(postings: Iterable[Posting], stated: Mapping[tuple[str, str], Decimal]) -> tuple[Fault, ...]:
    """An audit: are these postings sound, and do the stated balances follow from them and sum to zero?

    stated: balances by (ERA, currency) as somebody else reports them; parties with zero may be left out.
    """
    recorded = tuple(postings)
    found = [fault for posting in recorded for fault in posting_faults(posting)]
    if found:
        return tuple(found)
    due = balances(recorded)
    for key in dict.fromkeys((*due, *stated)):
        is_due, is_stated = due.get(key, Decimal(0)), stated.get(key, Decimal(0))
        if is_due != is_stated:
            found.append(Fault(" ".join(key), f"the balance is stated as {is_stated}; the postings sum to {is_due}"))
    net = net_by_currency(stated)
    found.extend(
        Fault(c, f"the balances of all parties sum to {total}, not to zero") for c, total in net.items() if total
    )
    return tuple(found)


def largest_remainder(total: Decimal, weights: Sequence[Decimal], unit: Decimal) -> tuple[Decimal, ...]:
    """Split a total in proportion to weights, so that the parts are whole units and sum to it exactly.

    Every part is less than one unit from its exact share.  Units left over go to the largest remainders, and of equal
    remainders to the first; a negative total is split by its magnitude.  Raises ``ContractError`` for a total that is
    not in whole units and for weights that are negative or all zero.
    Source: Hamilton's method of apportionment; Balinski and Young, "Fair Representation", 1982.
    """
    units = Fraction(total) / Fraction(unit)
    weighed = [Fraction(weight) for weight in weights]
    if units.denominator != 1:
        raise ContractError("split", f"{total} is not in whole units of {unit}")
    if min(weighed, default=Fraction(-1)) < 0 or not sum(weighed):
        raise ContractError("split", f"weights {[str(w) for w in weights]} must not be negative, nor all zero")
    shares = [weight * abs(units) / sum(weighed) for weight in weighed]
    parts = [int(share) for share in shares]
    by_remainder = sorted(range(len(parts)), key=lambda i: parts[i] - shares[i])
    for i in by_remainder[: int(abs(units)) - sum(parts)]:
        parts[i] += 1
    sign = -1 if units < 0 else 1
    return tuple(EXACT.multiply(unit, sign * part) for part in parts)


def _add(totals: dict[_Key, Decimal], key: _Key, amount: Decimal) -> None:
    before = totals.get(key)
    totals[key] = amount if before is None else EXACT.add(before, amount)


def _place(posting: Posting) -> str:
    return f"{posting.contract}/{posting.term}/{posting.interval}"


def _wrongs(posting: Posting, unit: Decimal) -> Iterator[str]:
    amount = posting.amount
    if not isinstance(amount, Decimal) or not amount.is_finite() or amount.adjusted() >= MAX_DIGITS:
        yield f"the amount {amount!r} is not a Decimal below 1e{MAX_DIGITS}"
    else:
        if amount <= 0:
            yield f"the amount {amount} is not positive; a flow the other way has payer and payee exchanged"
        if EXACT.remainder(amount, unit):
            yield f"the amount {amount} is not in whole minor units of {posting.currency} ({unit})"
    if posting.payer == posting.payee:
        yield f"{posting.payer} cannot owe itself"
