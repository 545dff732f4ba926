r"""Policies as they are written down, in JSON or YAML::

    {"policyId": "export-cap", "version": "2", "level": "UTILITY", "policyType": "authorization", "effect": "allow",
     "hooks": ["FORMATION", "FULFILMENT"], "validFrom": "2025-06-01T00:00:00+02:00",
     "parameters": {"most": {"value": 5, "unit": "kW"}},
     "conditions": {"any": [{"field": "role", "operator": "notEquals", "value": "PROSUMER"},
                            {"field": "exportKW", "operator": "lessThanOrEqual", "valueFrom": "most"}]}}

``valueFrom`` is a parameter or another field.  A plain number is in the unit of its field, or in the one that the name
of its parameter says (``gracePeriodMinutes``), else it is a pure number.  Missing are taken: version 1, level PLATFORM,
the hook FORMATION for an authorization and FULFILMENT for the others, effect ``allow``, validity without end.  A policy
that states the parameters of an idle fee or of a renewable obligation needs no ``formula``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import rfc8785

from sim.clock import Calendar
from sim.contracts.formula import Formula, compile_formula
from sim.contracts.policies.condition_reader import ConditionReader
from sim.contracts.policies.conditions import Case, Condition, negated
from sim.contracts.policies.facts import Measure, Quantity, Vocabulary
from sim.contracts.policies.policy import Effect, Hook, Level, Policy, PolicyType
from sim.contracts.policies.values import Document, Path, Said, Values, as_json, word_in
from sim.contracts.units import money
from sim.errors import ContractError, nearest

_ENUMS = {"level": Level, "policyType": PolicyType, "effect": Effect}
_KEYS = (
    "policyId", "version", "description", "parameters", "conditions", "formula", "hooks", "validFrom", "validUntil",
    *_ENUMS,
)  # fmt: skip
_FORMULAS = {
    ("gracePeriodMinutes", "feePerMinute"): "max(idleMinutes - gracePeriodMinutes, 0) * feePerMinute",
    ("renewablePercentage", "penaltyPerUnit"): (
        "max(renewablePercentage * consumedKWh - renewableKWh, 0) * penaltyPerUnit"
    ),
}
"""What published policies mean that state these parameters and no formula."""


def read_policy(
    document: object, vocabulary: Vocabulary, calendar: Calendar | None = None, source: str = "policy"
) -> Policy:
    """One policy, as ``read_policies`` reads many."""
    reading = _Reading(Values(vocabulary), calendar)
    policy = reading.policy(document, ())
    if policy is None:
        raise ContractError(source, tuple(reading.values.faults))
    return policy


def read_policies(
    documents: Iterable[object], vocabulary: Vocabulary, calendar: Calendar | None = None, source: str = "policies"
) -> tuple[Policy, ...]:
    """Policies from parsed JSON or YAML.

    calendar: turns date-times into simulated seconds; those without an offset are in its time zone.  Raises
    ``ContractError`` with every fault and its JSON pointer: unknown keys and words, undeclared fields, measures that do
    not fit each other.
    """
    reading = _Reading(Values(vocabulary), calendar)
    policies = [reading.policy(document, (number,)) for number, document in enumerate(documents)]
    if reading.values.faults:
        raise ContractError(source, tuple(reading.values.faults))
    return tuple(policy for policy in policies if policy is not None)


def schema() -> dict[str, Any]:
    """The JSON Schema of a policy, as far as it can be said without knowing fields and units."""
    properties: dict[str, Any] = {key: {} for key in _KEYS}
    properties |= {key: {"enum": [str(word) for word in words]} for key, words in _ENUMS.items()}
    properties["hooks"] = {"type": "array", "items": {"enum": [str(hook) for hook in Hook]}, "minItems": 1}
    properties["parameters"] = properties["conditions"] = {"type": "object"}
    properties["policyId"] = properties["formula"] = properties["description"] = {"type": "string"}
    return {
        "title": "Policy",
        "type": "object",
        "properties": properties,
        "required": ["policyId", "policyType"],
        "additionalProperties": False,
    }


@dataclass(slots=True)
class _Reading:
    values: Values
    calendar: Calendar | None

    def policy(self, document: object, path: Path) -> Policy | None:
        """None, with faults, where something is wrong."""
        before = len(self.values.faults)
        if not isinstance(document, Mapping):
            self.values.fault(path, "a policy", document)
            return None
        self.values.check_keys(document, _KEYS, path)
        parameters = self.parameters(document.get("parameters", {}), (*path, "parameters"))
        sets = self.sets(parameters)
        effect = self.values.word(document, "effect", Effect, Effect.ALLOW, path)
        type_ = self.values.word(document, "policyType", PolicyType, None, path)
        level = self.values.word(document, "level", Level, _stated_level(parameters), path)
        permits = self.permits(document, parameters, sets, effect, path)
        formula = self.formula(document, parameters, path)
        self.check_purpose(document, type_, formula, path)
        begins_s, ends_s = self.validity(document, path)
        policy_id, version = self.identity(document, path)
        hooks, digest = self.hooks(document, type_, path), self.digest(document, path)
        if len(self.values.faults) > before or None in (effect, type_, level):
            return None
        assert effect
        assert type_
        assert level
        return Policy(
            policy_id, version, level, type_, effect, hooks, permits, parameters, formula, sets, begins_s, ends_s, digest,
            str(document.get("description", "")),
        )  # fmt: skip

    def identity(self, document: Document, path: Path) -> tuple[str, str]:
        """Name and version."""
        policy_id, version = document.get("policyId"), document.get("version", 1)
        if not isinstance(policy_id, str) or not policy_id.strip():
            where, got = ((*path, "policyId"), policy_id) if "policyId" in document else (path, Said("none"))
            self.values.fault(where, "policyId, a text", got)
        if isinstance(version, bool) or not isinstance(version, str | int | float | Decimal) or not str(version):
            self.values.fault((*path, "version"), "a text or a number", version)
        return str(policy_id), str(version)

    def hooks(self, document: Document, type_: PolicyType | None, path: Path) -> frozenset[Hook]:
        """When it is asked."""
        if "hooks" not in document:
            return frozenset({Hook.FORMATION if type_ is PolicyType.AUTHORIZATION else Hook.FULFILMENT})
        stated, where = document["hooks"], (*path, "hooks")
        if not isinstance(stated, list | tuple) or not stated:
            self.values.fault(where, f"a list of {', '.join(Hook)}", stated)
            return frozenset()
        found = [self.values.one_of(hook, Hook, (*where, number)) for number, hook in enumerate(stated)]
        return frozenset(hook for hook in found if hook is not None)

    def check_purpose(self, document: Document, type_: PolicyType | None, formula: Formula | None, path: Path) -> None:
        """What a policy of a type cannot do without."""
        if type_ is PolicyType.FEE_CALCULATION and formula is None and "formula" not in document:
            known = " or ".join(" and ".join(names) for names in _FORMULAS)
            self.values.fault(path, "a formula for the fee", Said("none"), f"or the parameters {known}")
        for key in ("conditions", "effect"):
            if type_ is PolicyType.AUTHORIZATION and key not in document:
                self.values.fault(path, f"{key} of an authorization", Said("none"))
        if type_ is PolicyType.COMPLIANCE and formula is None and not {"conditions", "formula"} & document.keys():
            self.values.fault(path, "conditions or a formula to comply with", Said("none"))

    # validity

    def validity(self, document: Document, path: Path) -> tuple[int | None, int | None]:
        """First second at which it holds, and first at which it no longer does."""
        begins_s, ends_s = (self.moment(document.get(key), (*path, key)) for key in ("validFrom", "validUntil"))
        if begins_s is not None and ends_s is not None and ends_s <= begins_s:
            self.values.fault((*path, "validUntil"), "a moment after validFrom", document["validUntil"])
        return begins_s, ends_s

    def moment(self, value: object, path: Path) -> int | None:
        """A simulated second, from a number of seconds or a date-time."""
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        try:
            moment = datetime.fromisoformat(value if isinstance(value, str) else _iso(value))
        except ValueError:
            self.values.fault(path, "an RFC 3339 date-time, or simulated seconds", value)
            return None
        if self.calendar is None:
            self.values.fault(path, "simulated seconds", value, "a date-time needs a calendar")
            return None
        local = moment if moment.tzinfo else moment.replace(tzinfo=self.calendar.start.tzinfo)
        return self.calendar.seconds(local.isoformat())

    # parameters, conditions, formula

    def parameters(self, stated: object, path: Path) -> dict[str, Quantity]:
        """Parameters by name."""
        if not isinstance(stated, Mapping):
            self.values.fault(path, "parameters by name", stated)
            return {}
        found = {str(name): self.parameter(str(name), value, (*path, str(name))) for name, value in stated.items()}
        return {name: parameter for name, parameter in found.items() if parameter is not None}

    def parameter(self, name: str, stated: object, path: Path) -> Quantity | None:
        """A parameter; one that is named as a field is, is measured as the field is."""
        declared = self.values.vocabulary.of_field(name)
        usual = self.values.vocabulary.of_name(name) or self.values.vocabulary.measure("1")
        if declared is not None and declared.unit is not None:
            usual = declared
        found = self.values.quantity(stated, usual, path)
        if found is not None and declared is not None:
            self.values.expect_measure(f"the field {name}", declared, found, stated, path)
        return found

    def sets(self, parameters: Mapping[str, Quantity]) -> Case:
        """What parameters say about fields of their names."""
        fields = self.values.vocabulary.fields
        return {name: (parameter.value, 0) for name, parameter in parameters.items() if name in fields}

    def permits(
        self, document: Document, parameters: Mapping[str, Quantity], sets: Case, effect: Effect | None, path: Path
    ) -> Condition | None:
        """What has to hold, whether it was written as allowed or as denied."""
        if "conditions" not in document:
            return None
        reader = ConditionReader(self.values, parameters)
        found = reader.conditions(document["conditions"], sets, (*path, "conditions"))
        return negated(found) if found is not None and effect is Effect.DENY else found

    def formula(self, document: Document, parameters: Mapping[str, Quantity], path: Path) -> Formula | None:
        """What is owed, in the currency."""
        published = next((text for names, text in _FORMULAS.items() if {*names} <= {*parameters}), None)
        text, where = document.get("formula", published), (*path, "formula")
        if text is None:
            return None
        if not isinstance(text, str):
            self.values.fault(where, "a formula, a text", text)
            return None
        currency = self.values.vocabulary.currency
        try:
            formula = compile_formula(text, who="formula")
            units = {name: measure.unit for name in formula.names if (measure := self._measure(name, parameters))}
            self._check_names(formula, units, parameters, where)
            formula.check_units({name: unit for name, unit in units.items() if unit}, money(currency))
        except ContractError as error:
            self.values.fault(where, f"an amount in {currency}", Said(error.faults[0].what))
            return None
        return formula

    def _check_names(
        self, formula: Formula, units: Mapping[str, object], parameters: Mapping[str, Quantity], path: Path
    ) -> None:
        for name in formula.names:
            if units.get(name) is None:
                known = (*parameters, *self.values.vocabulary.fields)
                remedy = "it is no number" if name in units else nearest(name, known)
                self.values.fault(path, "numbers of parameters and fields", Said(name), remedy)

    def _measure(self, name: str, parameters: Mapping[str, Quantity]) -> Measure | None:
        return parameters[name].measure if name in parameters else self.values.vocabulary.of_field(name)

    def digest(self, document: Document, path: Path) -> str:
        """``sha256:`` of the document as it stands."""
        try:
            return "sha256:" + hashlib.sha256(rfc8785.dumps(as_json(document))).hexdigest()
        except (rfc8785.CanonicalizationError, ValueError, RecursionError) as error:
            self.values.fault(path, "what JSON can say", Said(str(error)[:80]))
            return ""


def _stated_level(parameters: Mapping[str, Quantity]) -> Level:
    """Published obligations say their level among the parameters."""
    stated = parameters.get("enforcementLevel")
    return (word_in(Level, stated.value) if stated else None) or Level.PLATFORM


def _iso(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise ValueError(value)
