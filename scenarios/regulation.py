"""The policies of a scenario: from its YAML to the book that its hosts ask."""

from __future__ import annotations

from agents.policing import Policing
from scenarios.spec import Scenario
from sim.clock import Calendar
from sim.contracts.policies import PolicyBook, Vocabulary, read_policies
from sim.errors import ContractError, Fault, ScenarioError


def policing_of(scenario: Scenario, calendar: Calendar) -> Policing:
    """The policies of a scenario.  Raises ``ScenarioError`` with the YAML path of every fault."""
    currency = scenario.currency
    try:
        book = PolicyBook(read_policies(scenario.policies, Vocabulary(currency), calendar))
    except ContractError as error:
        faults = tuple(Fault(_yaml_path(fault.where), fault.what, fault.remedy) for fault in error.faults)
        raise ScenarioError(scenario.name, faults) from error
    return Policing(book, calendar, currency)


def _yaml_path(where: str) -> str:
    if not where.startswith("/"):
        return f"policies: {where}"
    steps = [f"[{step}]" if step.isdigit() else f".{step}" for step in where.split("/")[1:]]
    return "policies" + "".join(steps)
