"""Contracts: who plays which role, and the terms that say how money follows from signals.

A term names a payer and a payee, so whatever its formula yields, a contract sums to zero.  ``lines`` computes the exact
amounts of one interval; ``Settlement`` adds them up and turns them into postings of whole minor units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sim.contracts.formula import Formula, Values
from sim.contracts.units import CURRENCY, money, unit_of_name
from sim.errors import ContractError, Fault, nearest
from sim.ledger import EXACT, Posting, minor_unit, rounded


class Role(StrEnum):
    """What a party is in a contract."""

    BUYER = "BUYER"
    SELLER = "SELLER"
    PROSUMER = "PROSUMER"
    AGGREGATOR = "AGGREGATOR"
    MARKET_CLEARING_AGENT = "MARKET_CLEARING_AGENT"
    GRID_OPERATOR = "GRID_OPERATOR"
    GOVERNMENT = "GOVERNMENT"


@dataclass(frozen=True, slots=True)
class Term:
    """One reason to pay.  A positive amount flows from payer to payee, a negative one the other way.

    payer, payee: keys of ``Contract.roles``, that is a ``Role``, or an ERA where several parties share a role.
    """

    name: str
    payer: str
    payee: str
    formula: Formula


@dataclass(frozen=True, slots=True)
class Contract:
    """An agreement whose roles are filled and whose inputs are known.  ``Template.instantiate`` checks and builds one.

    roles: ERA by role.  inputs: the values agreed once, by the names that formulas use; signals arrive by interval.
    """

    id: str
    template_id: str
    currency: str
    roles: Mapping[str, str]
    terms: tuple[Term, ...]
    inputs: Mapping[str, Decimal]
    description: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    """A contract with open roles and open inputs.

    inputs: names to be agreed at confirmation.  signals: names supplied anew at every interval.  Raises
    ``ContractError`` with every fault: a term without parties, two terms of one name, a variable nobody supplies.
    """

    id: str
    roles: tuple[Role, ...]
    terms: tuple[Term, ...]
    inputs: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()
    description: str = ""

    def __post_init__(self) -> None:
        _refuse(self.id, _template_faults(self))

    def instantiate(
        self, contract_id: str, currency: str, roles: Mapping[str, str], inputs: Mapping[str, Decimal]
    ) -> Contract:
        """Fill the roles (role to ERA) and inputs (name to value).

        Raises ``ContractError`` with every fault: an open or unknown role, a missing, unknown or non-finite input, a
        code that is no currency.
        """
        _refuse(contract_id, _filling_faults(self, currency, roles, inputs))
        return Contract(contract_id, self.id, currency, dict(roles), self.terms, dict(inputs), self.description)


@dataclass(frozen=True, slots=True)
class Line:
    """What one term yields in one interval, before rounding.  payer, payee: ERAs; a negative ``exact`` flows back."""

    term: str
    payer: str
    payee: str
    exact: Decimal


def lines(contract: Contract, signals: Values) -> tuple[Line, ...]:
    """The exact amounts of one interval, in order of the terms.

    A term whose payer and payee are one party (a utility that is also the seller) yields no line.  Raises
    ``ContractError`` with the fault of every term that cannot be computed.
    """
    values = {**contract.inputs, **signals}
    try:
        return tuple(
            Line(term.name, payer, payee, term.formula.evaluate(values)) for term, payer, payee in _flows(contract)
        )
    except ContractError:
        pass
    raise ContractError(contract.id, tuple(_formula_faults(contract, values)))


class Settlement:
    """Running amounts of contracts, by contract, term, payer and payee.

    Each posting is the rounded sum of everything so far less what has been posted: it is in whole minor units, rounded
    once (half to even), never more than half a unit away from the exact sum, and small amounts neither vanish nor
    drift.  Sums telescope, so posting after every interval and posting once at the end give the same money.
    """

    def __init__(self) -> None:
        self._accounts: dict[str, dict[tuple[str, str, str], _Account]] = {}

    def accrue(self, contract: Contract, exact_lines: Iterable[Line]) -> None:
        """Add the lines of one interval."""
        accounts = self._accounts.setdefault(contract.id, {})
        for line in exact_lines:
            key = (line.term, line.payer, line.payee)
            account = accounts.get(key)
            if account is None:
                account = accounts[key] = _Account()
            account.exact = EXACT.add(account.exact, line.exact)

    def post(self, interval: int, contract: Contract) -> tuple[Posting, ...]:
        """Postings for everything accrued since the last call, in order of first accrual; none where nothing is due."""
        unit = minor_unit(contract.currency)
        postings = []
        for (term, payer, payee), account in self._accounts.get(contract.id, {}).items():
            amount = account.due(unit)
            if not amount:
                continue
            if amount.is_signed():
                payer, payee, amount = payee, payer, amount.copy_negate()  # noqa: PLW2901
            postings.append(Posting(interval, contract.id, term, payer, payee, amount, contract.currency))
        return tuple(postings)


def settle(settlement: Settlement, contract: Contract, interval: int, signals: Values) -> tuple[Posting, ...]:
    """Accrue one interval of a contract and post what is due.  Raises ``ContractError`` like ``lines``."""
    settlement.accrue(contract, lines(contract, signals))
    return settlement.post(interval, contract)


class _Account:
    """One running sum: + is what the payer of the term owes its payee."""

    __slots__ = ("exact", "posted")

    def __init__(self) -> None:
        self.exact = Decimal(0)
        self.posted = Decimal(0)

    def due(self, unit: Decimal) -> Decimal:
        owed = rounded(self.exact, unit)
        amount = EXACT.subtract(owed, self.posted)
        self.posted = owed
        return amount


class Status(StrEnum):
    """Where a contract is in its life; the last two are final."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    COMPLETED = "COMPLETED"
    TERMINATED = "TERMINATED"


class Turn(StrEnum):
    """What may happen to a contract.

    CONFIRM: confirmed with every role filled and every input known.  FULFIL: delivered, and all cycles settled.
    CANCEL: by either side.  REJECT, EXPIRE, NOT_CLEARED: never came about.  REVOKE: a credential was revoked.  DEFAULT:
    a party failed.
    """

    CONFIRM = "CONFIRM"
    FULFIL = "FULFIL"
    CANCEL = "CANCEL"
    REJECT = "REJECT"
    EXPIRE = "EXPIRE"
    NOT_CLEARED = "NOT_CLEARED"
    REVOKE = "REVOKE"
    DEFAULT = "DEFAULT"


_TRANSITIONS: dict[tuple[Status, Turn], Status] = {
    (Status.PENDING, Turn.CONFIRM): Status.ACTIVE,
    (Status.PENDING, Turn.CANCEL): Status.TERMINATED,
    (Status.PENDING, Turn.REJECT): Status.TERMINATED,
    (Status.PENDING, Turn.EXPIRE): Status.TERMINATED,
    (Status.PENDING, Turn.NOT_CLEARED): Status.TERMINATED,
    (Status.ACTIVE, Turn.FULFIL): Status.COMPLETED,
    (Status.ACTIVE, Turn.CANCEL): Status.TERMINATED,
    (Status.ACTIVE, Turn.REVOKE): Status.TERMINATED,
    (Status.ACTIVE, Turn.DEFAULT): Status.TERMINATED,
}


def transition(contract_id: str, status: Status, turn: Turn) -> Status:
    """The status after a turn.  Raises ``ContractError`` for a turn that this status does not allow."""
    after = _TRANSITIONS.get((status, turn))
    if after is None:
        allowed = [t for s, t in _TRANSITIONS if s is status]
        possible = f"it can {', '.join(allowed)}" if allowed else f"{status} is final"
        raise ContractError(contract_id, f"a contract that is {status} cannot {turn}; {possible}")
    return after


def _flows(contract: Contract) -> Iterator[tuple[Term, str, str]]:
    for term in contract.terms:
        payer, payee = contract.roles[term.payer], contract.roles[term.payee]
        if payer != payee:
            yield term, payer, payee


def _formula_faults(contract: Contract, values: Values) -> Iterator[Fault]:
    for term, _, _ in _flows(contract):
        try:
            term.formula.evaluate(values)
        except ContractError as error:
            yield from error.faults


def _refuse(source: str, faults: Iterable[Fault]) -> None:
    found = tuple(faults)
    if found:
        raise ContractError(source, found)


def _template_faults(template: Template) -> Iterator[Fault]:
    known = (*template.inputs, *template.signals)
    for name in sorted({*template.inputs} & {*template.signals}):
        yield Fault(name, "is both an input and a signal")
    for index, term in enumerate(template.terms):
        if term.name in [earlier.name for earlier in template.terms[:index]]:
            yield Fault(term.name, "is the name of two terms")
        if term.payer == term.payee:
            yield Fault(term.name, f"{term.payer} cannot pay itself")
        for role in (term.payer, term.payee):
            if role not in template.roles:
                yield Fault(term.name, f"{role} is not a role of this contract", nearest(role, template.roles))
        for name in term.formula.names:
            if name not in known:
                yield Fault(term.name, f"{name} is neither an input nor a signal", nearest(name, known))
        yield from _unit_faults(term)


def _unit_faults(term: Term) -> Iterator[Fault]:
    """Quantities have the unit that their name says; together they have to be money."""
    units = {name: unit for name in term.formula.names if (unit := unit_of_name(name)) is not None}
    try:
        term.formula.check_units(units, money(CURRENCY))
    except ContractError as error:
        yield from error.faults


def _filling_faults(
    template: Template, currency: str, roles: Mapping[str, str], inputs: Mapping[str, Decimal]
) -> Iterator[Fault]:
    try:
        minor_unit(currency)
    except ContractError as error:
        yield from error.faults
    yield from _name_faults("role", template.roles, roles, bool, "is not filled")
    yield from _name_faults("input", template.inputs, inputs, _is_number, "is not a finite Decimal")


def _is_number(value: object) -> bool:
    return isinstance(value, Decimal) and value.is_finite()


def _name_faults(
    kind: str, wanted: Iterable[str], given: Mapping[str, object], usable: Callable[[object], bool], complaint: str
) -> Iterator[Fault]:
    for name in wanted:
        if name not in given:
            yield Fault(name, f"the {kind} is missing")
        elif not usable(given[name]):
            yield Fault(name, f"the {kind} {complaint}: {given[name]!r}")
    for name in given:
        if name not in wanted:
            yield Fault(name, f"is no {kind} of this contract", nearest(name, wanted))
