"""From exact amounts to money: lines in whole minor units, and the postings by which they change.

Every line is rounded once, half to even.  A total that is split among parties goes by largest remainder; a tax is
reckoned from the rounded lines that it names, each component by itself, as an invoice does; signed flows pay each other
out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sim.contracts.agreement import OTHERS, Tax
from sim.contracts.binding import Bound, BoundFlow
from sim.contracts.computation import Amounts
from sim.contracts.formula import CONTEXT
from sim.errors import ContractError, Fault
from sim.ledger import EXACT, Posting, largest_remainder, minor_unit, rounded, total_of


@dataclass(frozen=True, slots=True)
class Line:
    """What one flow comes to between two parties.

    position: of its flow.  amount: in whole minor units, + from payer to payee, − the other way.  exact: before
    rounding; None where the line is a part of something rounded.
    """

    position: int
    term: str
    payer: str
    payee: str
    amount: Decimal
    exact: Decimal | None


def lines(bound: Bound, amounts: Amounts) -> tuple[Line, ...]:
    """All lines of a contract, in order of its flows; none between two roles of one party.

    Raises ``ContractError`` where signed flows do not sum to zero, or the contract's own total is another one.
    """
    unit = minor_unit(bound.currency)
    found: list[Line] = []
    for position, flow in enumerate(bound.flows):
        if flow.flow.tax is None and flow.flow.payer != OTHERS:
            found += _plain(bound, amounts, position, unit)
    found += _paid_out(bound, amounts, unit)
    for position, flow in enumerate(bound.flows):
        if flow.flow.tax is not None:
            found += _tax(flow, position, flow.flow.tax, found, unit)
    _check_total(bound, amounts)
    return tuple(sorted((line for line in found if line.payer != line.payee), key=lambda line: line.position))


def postings(
    bound: Bound, now: Iterable[Line], before: Mapping[tuple[str, str, str], Decimal], interval: int = 0
) -> tuple[Posting, ...]:
    """What has come to be owed since ``before``, by (term, payer, payee) of lines; nothing where nothing changed."""
    totals = totals_of(now)
    found = []
    for key in dict.fromkeys((*totals, *before)):
        term, payer, payee = key
        due = EXACT.subtract(totals.get(key, Decimal(0)), before.get(key, Decimal(0)))
        if due < 0:
            payer, payee, due = payee, payer, due.copy_negate()
        if due:
            amount = rounded(due, minor_unit(bound.currency))
            found.append(Posting(interval, bound.agreement.id, term, payer, payee, amount, bound.currency))
    return tuple(found)


def totals_of(lines_: Iterable[Line]) -> dict[tuple[str, str, str], Decimal]:
    """Signed amounts by (term, payer, payee)."""
    totals: dict[tuple[str, str, str], Decimal] = {}
    for line in lines_:
        key = (line.term, line.payer, line.payee)
        totals[key] = EXACT.add(totals.get(key, Decimal(0)), line.amount)
    return totals


def _plain(bound: Bound, amounts: Amounts, position: int, unit: Decimal) -> Iterator[Line]:
    flow, exact = bound.flows[position], amounts.exact[position]
    assert flow.payer is not None
    assert flow.payee is not None
    assert exact is not None
    if flow.share is None:
        yield Line(position, flow.flow.name, flow.payer.era, flow.payee.era, rounded(exact, unit), exact)
        return
    group = [k for k, other in enumerate(bound.flows) if other.flow is flow.flow]
    if len(group) == 1:
        yield Line(position, flow.flow.name, flow.payer.era, flow.payee.era, rounded(exact, unit), exact)
        return
    total = rounded(amounts.exact[group[0]] or Decimal(0), unit)
    weights = [amounts.shares[k] or Decimal(0) for k in group]
    try:
        part = largest_remainder(total, weights, unit)[group.index(position)]
    except ContractError as error:
        where = f"{flow.flow.where}/share"
        raise ContractError(where, tuple(Fault(where, fault.what) for fault in error.faults)) from error
    yield Line(position, flow.flow.name, flow.payer.era, flow.payee.era, part, None)


def _paid_out(bound: Bound, amounts: Amounts, unit: Decimal) -> Iterator[Line]:
    """Signed flows: who has to pay pays those who receive, in order, until all is paid."""
    signed = [
        (k, f, amounts.exact[k]) for k, f in enumerate(bound.flows) if f.flow.payer == OTHERS and f.flow.tax is None
    ]
    exact = [(k, f, a) for k, f, a in signed if a is not None]
    total = total_of(amount for _, _, amount in exact)
    if abs(total) >= unit / 1000:
        listed = ", ".join(f"{f.flow.name} {amount:f}" for _, f, amount in exact)
        what = f"the signed flows sum to {total:f}, not to zero: {listed}"
        raise ContractError("/revenueFlows", f"{what}; let somebody pay what the others receive")
    receiving = [(k, f, rounded(amount, unit)) for k, f, amount in exact if amount > 0]
    paying = [(k, f, amount.copy_negate()) for k, f, amount in exact if amount < 0]
    shares = largest_remainder(total_of(a for _, _, a in receiving), [a for _, _, a in paying], unit) if paying else ()
    left = list(shares)
    for position, flow, owed in receiving:
        due = owed
        for k, (_, payer, _) in enumerate(paying):
            part = min(due, left[k])
            left[k], due = EXACT.subtract(left[k], part), EXACT.subtract(due, part)
            if part:
                assert payer.payee is not None
                assert flow.payee is not None
                yield Line(position, flow.flow.name, payer.payee.era, flow.payee.era, part, None)


def _tax(flow: BoundFlow, position: int, tax: Tax, found: Sequence[Line], unit: Decimal) -> Iterator[Line]:
    assert flow.payer is not None
    assert flow.payee is not None
    own = flow.payer.era if flow.payer.seat != flow.payer.role else ""
    base = total_of(
        line.amount for line in found if line.term in tax.base and (not own or own in (line.payer, line.payee))
    )
    for name, rate in tax.components or (("", tax.rate),):
        exact = CONTEXT.multiply(base, rate)
        if tax.inclusive:
            exact = CONTEXT.divide(exact, CONTEXT.add(Decimal(1), tax.rate))
        term = f"{flow.flow.name}/{name}" if name else flow.flow.name
        yield Line(position, term, flow.payer.era, flow.payee.era, rounded(exact, unit), exact)


def _check_total(bound: Bound, amounts: Amounts) -> None:
    """A contract that states its total as well as its flows has to mean the same by both."""
    if amounts.total is None or any(amount is None for amount in amounts.exact):
        return
    groups: set[str] = set()
    positive = Decimal(0)
    for flow, amount in zip(bound.flows, amounts.exact, strict=True):
        split = flow.share is not None
        if amount is None or (flow.flow.payer == OTHERS and amount < 0) or (split and flow.flow.name in groups):
            continue
        groups.add(flow.flow.name)
        positive = EXACT.add(positive, amount)
    if abs(positive - amounts.total) >= minor_unit(bound.currency) / 1000:
        what = f"the rules sum to {positive:f}, and the expression gives {amounts.total:f}"
        raise ContractError("/billingLogic/formula/expression", f"{what}; money would be made or lost")
