"""What contradicts itself among those who deal one to one, before anything is built: names, and whom they name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from scenarios.names import EVERYWHERE, RESERVED
from scenarios.spec import Scenario
from sim.errors import Fault, nearest

ABOUT_ITEMS = ("interrupt", "resume", "withdraw", "publish")
"""What a provider's diary does with items."""


def deal_faults(scenario: Scenario) -> Iterator[Fault]:
    """Every fault, by its place in the YAML."""
    yield from _names_used_twice(scenario)
    yield from _contracts_used_twice(scenario)
    yield from _unknown_approvers(scenario)
    yield from _unknown_in_diaries(scenario)


def _named(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Everybody and every device that has a name, and where."""
    for kind in ("aggregators", "providers", "seekers", "distributors", "ledgers"):
        for k, one in enumerate(getattr(scenario, kind)):
            yield f"{kind}[{k}].name", one.name
    for k, provider in enumerate(scenario.providers):
        for n, item in enumerate(provider.items):
            if item.device is not None:
                yield f"providers[{k}].items[{n}].name", item.name


def _names_used_twice(scenario: Scenario) -> Iterator[Fault]:
    seen = Counter(RESERVED if scenario.has_market else EVERYWHERE)
    for where, name in _named(scenario):
        seen[name] += 1
        if seen[name] > 1:
            yield Fault(where, f"{seen[name]} participants or meters are called {name}", "give each a name of its own")


def _contracts_used_twice(scenario: Scenario) -> Iterator[Fault]:
    seen: Counter[str] = Counter()
    for k, contract in enumerate(scenario.contracts):
        seen[contract.name] += 1
        if seen[contract.name] > 1:
            yield Fault(f"contracts[{k}].name", f"{seen[contract.name]} contracts are called {contract.name}")


def _unknown_approvers(scenario: Scenario) -> Iterator[Fault]:
    approvers = [one.name for one in scenario.distributors]
    for k, provider in enumerate(scenario.providers):
        for n, item in enumerate(provider.items):
            if item.approved_by is not None and item.approved_by not in approvers:
                where = f"providers[{k}].items[{n}].approved_by"
                yield Fault(where, f"no distributor {item.approved_by}", nearest(item.approved_by, approvers))


def _unknown_in_diaries(scenario: Scenario) -> Iterator[Fault]:
    for k, provider in enumerate(scenario.providers):
        items = [item.name for item in provider.items]
        for n, entry in enumerate(provider.diary):
            if entry.do in ABOUT_ITEMS and entry.item is not None and entry.item not in items:
                where = f"providers[{k}].diary[{n}].item"
                yield Fault(where, f"no item {entry.item}", nearest(entry.item, items))
