"""Conditions in the document of a policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from sim.contracts.policies.conditions import (
    EQUALITIES,
    LISTS,
    Case,
    Comparison,
    Condition,
    Group,
    Operator,
    comparisons,
    witnesses,
)
from sim.contracts.policies.facts import Fact, Measure, Quantity
from sim.contracts.policies.values import Document, Path, Said, Values
from sim.errors import ContractError, nearest

DEEPEST = 8
MAX_COMPARISONS = 64

_KEYS = ("field", "operator", "value", "valueFrom")


@dataclass(slots=True)
class ConditionReader:
    """Reads the conditions of one policy.  parameters: what ``valueFrom`` may name beside fields."""

    values: Values
    parameters: Mapping[str, Quantity]

    def conditions(self, stated: object, sets: Case, path: Path) -> Condition | None:
        """All of it; None, with faults, where something is wrong.  sets: what the parameters set for sure."""
        before = len(self.values.faults)
        found = self.condition(stated, path, 1)
        if found is None or len(self.values.faults) > before:
            return None
        count = sum(1 for _ in comparisons(found))
        if count > MAX_COMPARISONS:
            self.values.fault(path, f"at most {MAX_COMPARISONS} comparisons", count, "split the policy")
            return None
        try:
            witnesses(found, sets)
        except ContractError as error:
            self.values.fault(path, "conditions that can be held against others", Said(error.faults[0].what))
            return None
        return found

    def condition(self, stated: object, path: Path, depth: int) -> Condition | None:
        """One comparison, or a group of conditions."""
        keys = {*stated} if isinstance(stated, Mapping) else set()
        if depth > DEEPEST:
            self.values.fault(path, f"at most {DEEPEST} levels of conditions", Said("more"))
        elif isinstance(stated, Mapping) and len(keys) == 1 and keys <= {"all", "any"}:
            (needs,) = keys
            return self.group(cast(Literal["all", "any"], needs), stated[needs], (*path, needs), depth)
        elif isinstance(stated, Mapping) and "field" in keys:
            return self.comparison(stated, path)
        else:
            self.values.fault(path, "all, any, or a comparison of a field", stated)
        return None

    def group(self, needs: Literal["all", "any"], stated: object, path: Path, depth: int) -> Group | None:
        """All or any of a list of conditions."""
        if not isinstance(stated, list | tuple):
            self.values.fault(path, "a list of conditions", stated)
            return None
        members = [self.condition(member, (*path, number), depth + 1) for number, member in enumerate(stated)]
        return Group(needs, tuple(member for member in members if member is not None))

    def comparison(self, stated: Document, path: Path) -> Comparison | None:
        """A field, an operator, and a value or where it comes from."""
        self.values.check_keys(stated, _KEYS, path)
        operator = self.values.word(stated, "operator", Operator, None, path)
        name, fields = stated["field"], self.values.vocabulary.fields
        measure = self.values.vocabulary.of_field(name) if isinstance(name, str) else None
        if measure is None:
            self.values.fault((*path, "field"), "a declared field", name, nearest(str(name), fields))
        if ("value" in stated) == ("valueFrom" in stated):
            got = "both" if "value" in stated else "neither"
            self.values.fault(path, "either value or valueFrom", Said(got))
            return None
        if operator is None or measure is None:
            return None
        if measure.unit is None and operator not in EQUALITIES:
            self.values.fault((*path, "operator"), f"one of {', '.join(EQUALITIES)} for {measure.name}", operator)
            return None
        if "valueFrom" in stated:
            return self._with_source(name, operator, measure, stated["valueFrom"], (*path, "valueFrom"))
        values = self._listed(name, operator, measure, stated["value"], (*path, "value"))
        return None if values is None else Comparison(name, operator, measure, values)

    def _with_source(
        self, name: str, operator: Operator, measure: Measure, source: object, path: Path
    ) -> Comparison | None:
        """A comparison with a parameter, else with another field."""
        source_name = source.removeprefix("parameters.") if isinstance(source, str) else ""
        parameter, other = self.parameters.get(source_name), self.values.vocabulary.of_field(source_name)
        found = parameter.measure if parameter else other
        if found is None:
            known = (*self.parameters, *self.values.vocabulary.fields)
            self.values.fault(path, "a parameter or a field", source, nearest(source_name, known))
        elif operator in LISTS:
            self.values.fault(path, f"a list as value of {operator}", source)
        elif not found.same(measure):
            self.values.misfit(name, measure, found, f"{found.name} of {source_name}", path)
        elif parameter is not None:
            return Comparison(name, operator, measure, (parameter.value,))
        else:
            return Comparison(name, operator, measure, other=source_name)
        return None

    def _listed(
        self, name: str, operator: Operator, measure: Measure, stated: object, path: Path
    ) -> tuple[Fact, ...] | None:
        if operator not in LISTS:
            value = self._value(name, measure, stated, path)
            return None if value is None else (value,)
        if not isinstance(stated, list | tuple) or not stated:
            self.values.fault(path, f"a list of values for {operator}", stated)
            return None
        found = [self._value(name, measure, element, (*path, number)) for number, element in enumerate(stated)]
        return None if None in found else tuple(value for value in found if value is not None)

    def _value(self, name: str, measure: Measure, stated: object, path: Path) -> Fact | None:
        found = self.values.quantity(stated, measure, path)
        return None if found is None else self.values.expect_measure(name, measure, found, stated, path)
