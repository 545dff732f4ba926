"""Whether a contract may become active: roles filled, inputs given, signals bound, credentials valid."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sim.contracts.agreement import ABSENT, Agreement
from sim.contracts.document import agreed_leaves
from sim.errors import Fault

Check = Callable[[str], str]
"""What is wrong with a party's credentials, by its ERA; empty where they are valid."""


def readiness(agreement: Agreement, credentials: Check = lambda era: "") -> tuple[Fault, ...]:
    """What a contract still lacks; empty where it is ready.

    credentials: asked once for every party.
    """
    return tuple(_lacks(agreement, credentials))


def is_template(agreement: Agreement) -> bool:
    """Whether somebody may still take a role: a template is offered, an instance is agreed."""
    return bool(agreement.open_roles)


def _lacks(agreement: Agreement, credentials: Check) -> Iterator[Fault]:
    for role in agreement.open_roles:
        yield Fault(role.where, f"nobody fills the role {role.role}", "give it a filledBy")
    for path, where, value in agreed_leaves(agreement.parameters, "/inputParameters"):
        if value is None or value is ABSENT:
            yield Fault(where, f"{'.'.join(path)} has no value")
    for party in agreement.parties:
        for path, where, value in agreed_leaves(party.inputs, f"{party.where}/roleInputs"):
            if value is None or value is ABSENT:
                yield Fault(where, f"{party.era} has not stated {'.'.join(path)}")
        wrong = credentials(party.era)
        if wrong:
            yield Fault(party.where, f"the credentials of {party.era} are not valid: {wrong}")
    for source in agreement.sources:
        if not source.bound:
            what = f"{source.id} is not bound to anybody's meter, device or endpoint"
            yield Fault(source.where, what, "give it a source {era, meterId} or an endpoint")
