"""Conditions of policies: comparisons of facts with values or other facts, joined by all and any.

Three answers are possible: true, false, and undefined where a fact is missing.  An undefined part matters only where it
could decide: ``any`` with one true member is true whatever the others are (Kleene's logic).

Whoever writes "at most 10 kW" names 10 kW as permitted.  ``witnesses`` collects what a condition names, so that it can
be asked of another condition whether it forbids it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal, TypeAlias

from sim.contracts.policies.facts import Fact, Measure
from sim.errors import ContractError

MAX_WITNESSES = 2000

Edge: TypeAlias = tuple[Fact, int]
"""A value with a side: (10, 0) is 10, (10, -1) lies just below it and (10, 1) just above."""
Case: TypeAlias = Mapping[str, Edge]


class Operator(StrEnum):
    """How a field is compared with a value."""

    EQUALS = "equals"
    NOT_EQUALS = "notEquals"
    LESS_THAN = "lessThan"
    LESS_THAN_OR_EQUAL = "lessThanOrEqual"
    GREATER_THAN = "greaterThan"
    GREATER_THAN_OR_EQUAL = "greaterThanOrEqual"
    IN = "in"
    NOT_IN = "notIn"


LISTS = (Operator.IN, Operator.NOT_IN)
"""Operators that take a list of values."""
EQUALITIES = (Operator.EQUALS, Operator.NOT_EQUALS, *LISTS)
"""Operators that fit words and truths too."""
INCLUSIVE = (Operator.EQUALS, Operator.LESS_THAN_OR_EQUAL, Operator.GREATER_THAN_OR_EQUAL)
"""Operators that permit the very value they name."""

_OPPOSITE = {
    Operator.EQUALS: Operator.NOT_EQUALS,
    Operator.LESS_THAN: Operator.GREATER_THAN_OR_EQUAL,
    Operator.LESS_THAN_OR_EQUAL: Operator.GREATER_THAN,
    Operator.IN: Operator.NOT_IN,
}
_OPPOSITE |= {after: before for before, after in _OPPOSITE.items()}
_SIDES = {
    Operator.EQUALS: 0,
    Operator.IN: 0,
    Operator.LESS_THAN_OR_EQUAL: 0,
    Operator.GREATER_THAN_OR_EQUAL: 0,
    Operator.LESS_THAN: -1,
    Operator.GREATER_THAN: 1,
}
_WORDS = {
    Operator.EQUALS: "",
    Operator.NOT_EQUALS: "anything but ",
    Operator.LESS_THAN: "less than ",
    Operator.LESS_THAN_OR_EQUAL: "at most ",
    Operator.GREATER_THAN: "more than ",
    Operator.GREATER_THAN_OR_EQUAL: "at least ",
    Operator.IN: "one of ",
    Operator.NOT_IN: "none of ",
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One field against values, or against another field of the same measure where there are none."""

    field: str
    operator: Operator
    measure: Measure
    values: tuple[Fact, ...] = ()
    other: str = ""

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields it reads."""
        return (self.field, self.other) if self.other else (self.field,)

    @property
    def expected(self) -> str:
        """What it asks for, in words."""
        values = [self.measure.text(value) for value in self.values]
        return _WORDS[self.operator] + (", ".join(values) or self.other)

    def verdict(self, case: Case) -> bool | None:
        """Whether it holds; None where a fact is missing."""
        edge = case.get(self.field)
        against: tuple[Edge | None, ...] = tuple((value, 0) for value in self.values) or (case.get(self.other),)
        if edge is None or None in against:
            return None
        return _holds(self.operator, edge, [known for known in against if known is not None])

    def named(self) -> tuple[Edge, ...]:
        """The values that it names as permitted, nothing where it only forbids."""
        side = _SIDES.get(self.operator)
        return () if side is None else tuple((value, side) for value in self.values)

    def otherwise(self) -> Case:
        """The one case in which it fails, where there is only one."""
        if self.operator is Operator.NOT_EQUALS and self.values:
            return {self.field: (self.values[0], 0)}
        if self.operator is Operator.EQUALS and self.values and isinstance(self.values[0], bool):
            return {self.field: (not self.values[0], 0)}
        return {}


@dataclass(frozen=True, slots=True)
class Group:
    """All of its members, or any of them.  All of none is true, any of none is false."""

    needs: Literal["all", "any"]
    members: tuple[Condition, ...]

    def verdict(self, case: Case) -> bool | None:
        """Whether it holds; None where that hangs on a missing fact."""
        decisive = self.needs == "any"
        answers = [member.verdict(case) for member in self.members]
        if decisive in answers:
            return decisive
        return None if None in answers else not decisive


Condition: TypeAlias = Comparison | Group


def comparisons(condition: Condition) -> Iterator[Comparison]:
    """Every comparison in a condition, in order."""
    if isinstance(condition, Comparison):
        yield condition
    else:
        for member in condition.members:
            yield from comparisons(member)


def negated(condition: Condition) -> Condition:
    """The condition that holds where this one does not."""
    if isinstance(condition, Comparison):
        return replace(condition, operator=_OPPOSITE[condition.operator])
    members = tuple(negated(member) for member in condition.members)
    return Group("any" if condition.needs == "all" else "all", members)


def case_of(condition: Condition, facts: Mapping[str, object]) -> Case:
    """The facts that a condition reads, as far as they are of the measures of their fields."""
    wanted = {name: c.measure for c in comparisons(condition) for name in c.fields}
    return {name: (facts[name], 0) for name, measure in wanted.items() if measure.fits(facts.get(name))}  # type: ignore[misc]


def unmet(condition: Condition, case: Case) -> Iterator[Comparison]:
    """The comparisons because of which a condition does not hold."""
    if condition.verdict(case) is True:
        return
    if isinstance(condition, Comparison):
        yield condition
    else:
        for member in condition.members:
            yield from unmet(member, case)


def witnesses(condition: Condition, given: Case) -> tuple[Case, ...]:
    """Cases that a condition names as permitted, one for each combination of values; ``given`` holds in all of them.

    A member of ``any`` is named in the case in which the others fail, where that is one case: "not a prosumer, or at
    most 10 kW" names 10 kW of a prosumer.  Raises ``ContractError`` where they are more than ``MAX_WITNESSES``.
    """
    named = [{**given, **case} for case in _named(condition)] or [dict(given)] * bool(given)
    return tuple(case for case in named if condition.verdict(case) is not False)


def _named(condition: Condition) -> list[Case]:
    if isinstance(condition, Comparison):
        return [{condition.field: edge} for edge in condition.named()]
    parts = [_named(member) for member in condition.members]
    if condition.needs == "any":
        return [{**_elsewhere(condition, k), **case} for k, part in enumerate(parts) for case in part]
    found: list[Case] = [{}]
    for part in filter(None, parts):
        found = [merged for case in found for more in part for merged in _merged(case, more)]
        if len(found) > MAX_WITNESSES:
            raise ContractError(
                "conditions", f"name more than {MAX_WITNESSES} combinations of values; split the policy"
            )
    return [case for case in found if case]


def _elsewhere(group: Group, own: int) -> Case:
    """The case in which all members but one's own fail."""
    others = [member for k, member in enumerate(group.members) if k != own]
    return {name: edge for m in others if isinstance(m, Comparison) for name, edge in m.otherwise().items()}


def _merged(one: Case, other: Case) -> Iterable[Case]:
    """Both together; where they name one field differently (at least 2, at most 10), each in turn."""
    merged = {**one, **other}
    return (merged,) if all(merged[name] == edge for name, edge in one.items()) else (merged, {**other, **one})


def _holds(operator: Operator, edge: Edge, against: list[Edge]) -> bool:
    match operator:
        case Operator.EQUALS | Operator.IN:
            return edge in against
        case Operator.NOT_EQUALS | Operator.NOT_IN:
            return edge not in against
        case Operator.LESS_THAN:
            return edge < against[0]
        case Operator.LESS_THAN_OR_EQUAL:
            return edge <= against[0]
        case Operator.GREATER_THAN:
            return edge > against[0]
    return edge >= against[0]
