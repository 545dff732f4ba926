"""A contract as it was agreed, whichever way it was written down: parties, quantities, flows.

Everything here is frozen.  ``sim.contracts.readings`` makes agreements from JSON and writes them,
``sim.contracts.binding`` finds out what every name in their formulas means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, TypeAlias

from sim.contracts.formula import Formula
from sim.contracts.units import Unit

if TYPE_CHECKING:
    from sim.contracts.script import Script

Key: TypeAlias = str | int
SOURCE_PREFIXES = ("inputSignals", "telemetry", "telemetrySources")
"""What the full name of a source's field may begin with."""
ABSENT = object()
"""Stands where a document has nothing."""


class Basis(StrEnum):
    """Which energy a contract pays: what was agreed, what was delivered, or the lesser of the two."""

    CONTRACTED = "CONTRACTED"
    DELIVERED = "DELIVERED"
    MIN_OF_TWO = "MIN_OF_TWO"


@dataclass(frozen=True, slots=True)
class Party:
    """One filled role.  seat: how the contract addresses it, the role itself unless several parties share it.

    inputs: as the document has them.  where: JSON pointer.
    """

    role: str
    era: str
    seat: str
    inputs: Mapping[str, object]
    where: str


@dataclass(frozen=True, slots=True)
class OpenRole:
    """A role that nobody fills yet, and the inputs that whoever takes it has to bring."""

    role: str
    expected: tuple[str, ...]
    where: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where signals come from.

    kind: its signalType or sourceType.  fields: what it tells, with its unit where that was said; empty where it was
    left open. refresh_s: how often there is news; None where that was not said.  fallback: values that stand in where
    nothing comes. estimate: whether a gap may be filled with the last known interval until the reading comes.  bound:
    whether it says whose meter or device it is.
    """

    id: str
    kind: str
    fields: Mapping[str, Unit | None]
    where: str
    refresh_s: int | None = None
    fallback: Mapping[str, Decimal] = field(default_factory=dict)
    estimate: bool = False
    bound: bool = False
    meter: str = ""


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that was agreed."""

    value: object


@dataclass(frozen=True, slots=True)
class Field:
    """A value that a source tells.  keys: the way to it; None where the document does not say, and there is only one."""

    source: str
    keys: tuple[Key, ...] | None


@dataclass(frozen=True, slots=True)
class Derived:
    """A value computed from others."""

    formula: Formula


@dataclass(frozen=True, slots=True)
class StateValue:
    """An accumulated state as it was before a cycle, or as it is with the cycle counted in."""

    state: str
    when: Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class Output:
    """A value that the contract's script computes."""

    name: str


Origin: TypeAlias = Constant | Field | Derived | StateValue | Output


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value that formulas may read.  spellings: all names it goes by, the fullest first.  unit: None where unknown."""

    where: str
    spellings: tuple[str, ...]
    origin: Origin
    unit: Unit | None = None

    @property
    def name(self) -> str:
        """The spelling that means nothing else."""
        return self.spellings[0]


@dataclass(frozen=True, slots=True)
class State:
    """Something that accumulates over cycles: a sum or the highest value so far of a number computed by interval.

    initial: its value before the first cycle.
    """

    id: str
    kind: Literal["SUM", "MAXIMUM"]
    formula: Formula
    initial: Decimal
    where: str
    unit: Unit | None = None


@dataclass(frozen=True, slots=True)
class Tax:
    """A share of other flows.

    base: their names; of rounded amounts, as on an invoice.  inclusive: whether it is already within them.  components:
    names and rates of its parts, each rounded by itself; their rates sum to ``rate``.
    """

    rate: Decimal
    base: tuple[str, ...]
    inclusive: bool
    components: tuple[tuple[str, Decimal], ...]


OTHERS = "*"
"""Stands for the other side of a signed flow: whoever pays or receives in the other signed flows."""


@dataclass(frozen=True, slots=True)
class Flow:
    """One reason to pay.

    payer, payee: seats, or roles that several parties share, or ``OTHERS``.  formula: None for a tax.  share: where the
    payer or the payee is a role of several parties, the weight by which a total is split among them; without it the
    formula holds for each of them by itself.
    """

    name: str
    payer: str
    payee: str
    formula: Formula | None
    description: str
    where: str
    tax: Tax | None = None
    share: Formula | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """One contract, with open roles a template.

    form: how it was written down.  currency_at: where the currency is stated first.  parameters: values agreed for the contract
    as a whole, as the document has them.  quantities: what the document names besides inputs and fields of sources.
    total: what all flows together have to come to.  stated: amounts that the document gives itself, as (pointer, ERA, amount).
    """

    id: str
    form: str
    template_id: str
    status: str
    currency: str
    currency_at: str
    parties: tuple[Party, ...]
    open_roles: tuple[OpenRole, ...]
    parameters: Mapping[str, object]
    sources: tuple[Source, ...]
    quantities: tuple[Quantity, ...]
    states: tuple[State, ...]
    flows: tuple[Flow, ...]
    total: Formula | None = None
    script: Script | None = None
    basis: Basis | None = None
    incremental: bool = False
    billing_s: int | None = None
    window: tuple[str, str] | None = None
    ricardian: Mapping[str, object] = field(default_factory=dict)
    stated: tuple[tuple[str, str, Decimal], ...] = ()

    def parties_of(self, name: str) -> tuple[Party, ...]:
        """Who is meant by a seat, a role or an ERA; several where they share a role."""
        name = "BUYER" if name == "CONSUMER" else name
        return tuple(party for party in self.parties if name in (party.seat, party.role)) or tuple(
            party for party in self.parties if party.era == name
        )
