"""The policies of a scenario: from its YAML to the book that its hosts ask."""

from __future__ import annotations

from collections.abc import Iterator

from agents.obligations import COUNTED, Obligation
from agents.policing import Policing
from scenarios.names import RETAILER, TREASURY, UTILITY
from scenarios.registry import standing_of
from scenarios.spec import ObligationSpec, Scenario
from sim.clock import Calendar
from sim.contracts.contract import Role, Template
from sim.contracts.policies import Policy, PolicyBook, Vocabulary, read_policies
from sim.errors import ContractError, Fault, ScenarioError, nearest
from sim.rng import identifier

PARTIES = {Role.SELLER: RETAILER, Role.GRID_OPERATOR: UTILITY, Role.GOVERNMENT: TREASURY}
"""Who can owe something to whom at the end of a run."""


def policing_of(scenario: Scenario, calendar: Calendar) -> Policing:
    """The policies of a scenario.  Raises ``ScenarioError`` with the YAML path of every fault."""
    currency = scenario.currency
    try:
        book = PolicyBook(read_policies(scenario.policies, Vocabulary(currency), calendar))
    except ContractError as error:
        faults = tuple(Fault(_yaml_path(fault.where), fault.what, fault.remedy) for fault in error.faults)
        raise ScenarioError(scenario.name, faults) from error
    return Policing(book, calendar, currency, standing_of(scenario, calendar))


def obligations_of(scenario: Scenario, policing: Policing) -> tuple[Obligation, ...]:
    """What policies make somebody owe at the end, by the versions in force when the run begins.

    Raises ``ScenarioError`` for an obligation without such a policy, and for one about what nobody counts.
    """
    faults = [fault for number, stated in enumerate(scenario.obligations) for fault in _wrong(number, stated, policing)]
    if faults:
        raise ScenarioError(scenario.name, tuple(faults))
    return tuple(_obligation(scenario, stated, policing.owing(0)[stated.policy]) for stated in scenario.obligations)


def _wrong(number: int, stated: ObligationSpec, policing: Policing) -> Iterator[Fault]:
    where, known = f"obligations[{number}].policy", policing.owing(0)
    if stated.policy not in known:
        what = f"no policy {stated.policy} with a formula is in force when the run begins"
        yield Fault(where, what, nearest(stated.policy, known))
        return
    strange = [name for name in known[stated.policy].signals if name not in COUNTED]
    if strange:
        yield Fault(where, f"asks for {', '.join(strange)}; counted are {' and '.join(COUNTED)}")


def _obligation(scenario: Scenario, stated: ObligationSpec, policy: Policy) -> Obligation:
    payer, payee = Role(stated.payer), Role(stated.payee)
    template = Template(
        id=f"obligation-{policy.id}",
        roles=(payer, payee),
        terms=(policy.term(payer, payee),),
        inputs=tuple(policy.inputs),
        signals=COUNTED,
        description=policy.description or f"What {policy} makes due.",
    )
    roles: dict[str, str] = {payer: PARTIES[payer], payee: PARTIES[payee]}
    contract_id = identifier(scenario.seed, "obligation", policy.id)
    contract = template.instantiate(contract_id, scenario.tariffs.currency, roles, policy.inputs)
    return Obligation(contract, f"{policy.id}@{policy.version}={policy.hash}")


def _yaml_path(where: str) -> str:
    if not where.startswith("/"):
        return f"policies: {where}"
    steps = [f"[{step}]" if step.isdigit() else f".{step}" for step in where.split("/")[1:]]
    return "policies" + "".join(steps)
