"""One version of a policy, and what it decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sim.contracts.contract import Term
from sim.contracts.formula import Formula
from sim.contracts.policies.conditions import Case, Comparison, Condition, case_of, unmet
from sim.contracts.policies.facts import Facts, Quantity
from sim.errors import ContractError
from sim.wire.codes import Code

CREDENTIALS = "prosumer.credentials."
"""How the facts begin that say whether a credential stands."""


class Level(StrEnum):
    """Who made a policy, the highest first."""

    NATIONAL = "NATIONAL"
    STATE = "STATE"
    UTILITY = "UTILITY"
    PLATFORM = "PLATFORM"

    @property
    def rank(self) -> int:
        """0 for the highest."""
        return list(Level).index(self)


class PolicyType(StrEnum):
    """What a policy is for: to say what is owed, to let somebody do something, or to hold everybody to something."""

    FEE_CALCULATION = "fee-calculation"
    AUTHORIZATION = "authorization"
    COMPLIANCE = "compliance"


class Effect(StrEnum):
    """What follows where the conditions of a policy hold."""

    ALLOW = "allow"
    DENY = "deny"


class Hook(StrEnum):
    """When a policy is asked: what is shown, what is applied for, what is agreed, what is done under the contract."""

    DISCOVERY = "DISCOVERY"
    SELECTION = "SELECTION"
    FORMATION = "FORMATION"
    FULFILMENT = "FULFILMENT"


@dataclass(frozen=True, slots=True)
class Violation:
    """One reason to deny.  undefined: nobody forbids it, but what would permit it is not known."""

    policy_id: str
    version: str
    field: str
    expected: str
    got: str
    undefined: bool = False

    def __str__(self) -> str:
        policy = f"{self.policy_id} {self.version}".strip()
        return ": ".join(filter(None, (policy, f"{self.field} expected {self.expected}, got {self.got}".strip())))


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether something may be, and every reason why not."""

    violations: tuple[Violation, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether nothing stands against it."""
        return not self.violations

    @property
    def code(self) -> Code:
        """What a refusal for these reasons is called.  One credential that does not stand makes it a matter of credentials."""
        if any(v.field.startswith(CREDENTIALS) and not v.undefined for v in self.violations):
            return Code.SEC_CREDENTIAL_VERIFICATION_FAILED
        return Code.POL_UNDEFINED if all(v.undefined for v in self.violations) else Code.POL_DENIED

    def __str__(self) -> str:
        return "; ".join(map(str, self.violations)) or "permitted"


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of a policy.  ``sim.contracts.policies.reader`` makes it from a document.

    permits: what has to hold, whether it was written as what is allowed or as what is denied.  formula: what is owed,
    from the parameters and from facts.  sets: parameters that are named as fields are, which are thereby named as
    permitted. valid_from_s, valid_until_s: simulated seconds, half open; None is without end.  hash: of the document,
    ``sha256:`` and hexadecimal over its RFC 8785 bytes.
    """

    id: str
    version: str
    level: Level
    type: PolicyType
    effect: Effect
    hooks: frozenset[Hook]
    permits: Condition | None
    parameters: Mapping[str, Quantity]
    formula: Formula | None
    sets: Case
    valid_from_s: int | None
    valid_until_s: int | None
    hash: str
    description: str = ""

    def __str__(self) -> str:
        return f"{self.id} {self.version}"

    @property
    def inputs(self) -> Mapping[str, Decimal]:
        """The numbers among the parameters: inputs of a contract whose term has this formula."""
        return {name: p.value for name, p in self.parameters.items() if isinstance(p.value, Decimal)}

    @property
    def signals(self) -> tuple[str, ...]:
        """What the formula needs beyond the parameters: signals of a contract whose term has it."""
        return () if self.formula is None else tuple(n for n in self.formula.names if n not in self.parameters)

    def amount(self, facts: Facts) -> Decimal:
        """What is owed for these facts.  Raises ``ContractError`` without a formula, and as ``Formula.evaluate`` does."""
        if self.formula is None:
            raise ContractError(str(self), "has no formula to compute an amount by")
        given = {name: value for name, value in facts.items() if isinstance(value, Decimal)}
        return self.formula.evaluate({**given, **self.inputs})

    def term(self, payer: str, payee: str) -> Term:
        """What a contract owes by this policy; its inputs and signals are the contract's then.

        Raises ``ContractError`` without a formula.
        """
        if self.formula is None:
            raise ContractError(str(self), "has no formula that a term could have")
        return Term(self.id, payer, payee, self.formula)

    def covers(self, second: int) -> bool:
        """Whether a second lies in its validity."""
        return self.begun(second) and (self.valid_until_s is None or second < self.valid_until_s)

    def begun(self, second: int) -> bool:
        """Whether its validity has begun by a second."""
        return self.valid_from_s is None or self.valid_from_s <= second

    def authorizes(self, hook: Hook) -> bool:
        """Whether it is an authorization that something at this hook stands on."""
        return self.type is PolicyType.AUTHORIZATION and self.effect is Effect.ALLOW and hook in self.hooks

    def violations(self, facts: Facts) -> Iterator[Violation]:
        """Why it denies these facts; nothing where it does not."""
        if self.permits is None:
            return
        case = case_of(self.permits, facts)
        verdict = self.permits.verdict(case)
        if verdict is True:
            return
        reasons = [*unmet(self.permits, case)]
        for reason in reasons:
            got = _got(reason, facts, case)
            yield Violation(self.id, self.version, reason.field, reason.expected, got, verdict is None)
        if not reasons:
            yield Violation(self.id, self.version, "", "nothing", "something; it denies everything")


def _got(comparison: Comparison, facts: Mapping[str, object], case: Case) -> str:
    words = []
    for name in comparison.fields:
        own = "" if name == comparison.field else f"{name} "
        if name in case:
            words.append(own + comparison.measure.text(case[name][0]))
        elif name in facts:
            words.append(f"{own}{facts[name]!r}, which is no {comparison.measure.name}")
        else:
            words.append(f"{own}undefined")
    return ", ".join(words)
