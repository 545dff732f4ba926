"""Contract templates of deals: from their terms in the scenario to what an item is offered under."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from decimal import Decimal

from agents.deal import SIGNALS
from scenarios.faults import Faults
from scenarios.parties import ContractSpec
from scenarios.spec import Scenario
from sim.contracts.contract import Role, Template, Term
from sim.contracts.formula import compile_formula
from sim.errors import Fault, nearest

Offered = tuple[Template, Mapping[str, Decimal]]
"""A template, and its constants."""


class DealContracts:
    """The templates of one scenario; what is wrong with them is added to ``faults``."""

    def __init__(self, scenario: Scenario, faults: Faults) -> None:
        self._faults = faults
        self._known = {
            spec.name: (spec, tuple(self._terms(spec, f"contracts[{number}]")))
            for number, spec in enumerate(scenario.contracts)
        }

    def _terms(self, spec: ContractSpec, where: str) -> Iterator[Term]:
        for k, term in enumerate(spec.terms):
            make = functools.partial(compile_formula, term.formula, who=term.name)
            formula = self._faults.tried(f"{where}.terms[{k}].formula", make)
            if formula is not None:
                yield Term(term.name, Role(term.payer), Role(term.payee), formula)

    def offered(self, contract: str, inputs: Mapping[str, float], where: str) -> Offered | None:
        """A template with these constants, over its own; None, and a fault, for one that nobody can compute."""
        if contract not in self._known:
            known = nearest(contract, self._known)
            self._faults.append(Fault(f"{where}.contract", f"no contract {contract}", known))
            return None
        spec, terms = self._known[contract]
        values = {**spec.inputs, **inputs}
        named = tuple(dict.fromkeys(name for term in terms for name in term.formula.names))
        for name in inputs:
            if name not in named:
                what = f"{name} is no input of {spec.name}"
                self._faults.append(Fault(f"{where}.inputs", what, nearest(name, spec.inputs)))
        unknown = [name for name in named if name not in values and name not in SIGNALS]
        for name in unknown:
            known = nearest(name, [*values, *SIGNALS])
            self._faults.append(Fault(f"{where}.contract", f"{name} is neither an input nor a signal", known))
        if unknown:
            return None
        constants = {name: Decimal(repr(value)) for name, value in values.items() if name in named}
        roles = tuple(Role(role) for role in dict.fromkeys(role for term in terms for role in (term.payer, term.payee)))
        signals = tuple(name for name in named if name not in constants)
        make = functools.partial(Template, spec.name, roles, terms, tuple(constants), signals, spec.description)
        template = self._faults.tried(f"{where}.contract", make)
        return None if template is None else (template, constants)
