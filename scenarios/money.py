"""Tariffs and contracts of a scenario: which roles are open, under which template, at which prices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Literal

from agents.member import OpenRole
from scenarios.names import MARKET, RETAILER, TREASURY, UTILITY
from scenarios.parties import PriceStep
from scenarios.spec import Scenario, TariffElementSpec
from sim.contracts import templates
from sim.contracts.contract import Contract, Role, Template
from sim.rng import identifier
from sim.wire.bags import ENERGY, PriceComponent, Tariff, TariffElement, TariffRestrictions

Direction = Literal["IMPORT", "EXPORT"]
DIRECTIONS: tuple[Direction, ...] = ("IMPORT", "EXPORT")


def tariff_of(scenario: Scenario, direction: Direction) -> Tariff:
    """What the retailer asks (IMPORT) or pays (EXPORT)."""
    steps = scenario.tariffs.imports if direction == "IMPORT" else scenario.tariffs.exports
    return tariff_of_steps(scenario.currency, direction, steps)


def tariff_of_steps(currency: str, direction: Direction, steps: Iterable[TariffElementSpec | PriceStep]) -> Tariff:
    """Prices by local time of day."""
    elements = tuple(
        TariffElement(
            priceComponents=(PriceComponent(type="ENERGY", price=step.price),),
            restrictions=TariffRestrictions(startTime=step.start, endTime=step.end),
        )
        for step in steps
    )
    return Tariff(ENERGY, currency=currency, direction=direction, elements=elements)


def market_roles(scenario: Scenario, *, retail: bool) -> list[OpenRole]:
    """What the market offers to sites, aggregators and the retailer; ``retail`` where the policy finds no price."""
    market, fee = Role.MARKET_CLEARING_AGENT, scenario.tariffs.fee_per_kwh
    if retail:
        found = (
            (Role.PROSUMER, templates.retail_prosumer(market)),
            (Role.AGGREGATOR, templates.retail_party(Role.AGGREGATOR)),
            (Role.SELLER, templates.retail_party(Role.SELLER)),
        )
    else:
        found = (
            (Role.PROSUMER, templates.cleared_prosumer(market)),
            (Role.AGGREGATOR, templates.cleared_party(Role.AGGREGATOR, fee=True)),
            (Role.SELLER, templates.cleared_party(Role.SELLER, fee=False)),
        )
    return [_open_role(scenario, MARKET, market, role, template, fee) for role, template in found]


def aggregator_roles(
    scenario: Scenario, name: str, fee_per_kwh: float, *, retail: bool, hosts_aggregators: bool
) -> list[OpenRole]:
    """What an aggregator offers to sites, and to other aggregators, whose market it is."""
    host, market, party = Role.AGGREGATOR, Role.MARKET_CLEARING_AGENT, Role.AGGREGATOR
    template = templates.retail_prosumer(host) if retail else templates.cleared_prosumer(host)
    roles = [_open_role(scenario, name, host, Role.PROSUMER, template, fee_per_kwh)]
    if hosts_aggregators:
        portfolio = templates.retail_party(party) if retail else templates.cleared_party(party, fee=True)
        roles.append(_open_role(scenario, name, market, party, portfolio, fee_per_kwh))
    return roles


def balance_contract(scenario: Scenario, name: str) -> Contract:
    """What an aggregator settles with the grid operator for what lies below it."""
    roles: Mapping[str, str] = {Role.AGGREGATOR: name, Role.GRID_OPERATOR: UTILITY}
    penalty = {"penaltyPerKWh": Decimal(repr(scenario.tariffs.penalty_per_kwh))}
    return _instance(scenario, f"balance of {name}", templates.portfolio_balance(), roles, penalty)


def _open_role(
    scenario: Scenario, host: str, host_role: Role, role: Role, template: Template, fee_per_kwh: float
) -> OpenRole:
    tariffs = scenario.tariffs
    values = {
        "wheelingPerKWh": tariffs.wheeling_per_kwh,
        "feePerKWh": fee_per_kwh,
        "penaltyPerKWh": tariffs.penalty_per_kwh,
        "taxRate": tariffs.tax_rate,
    }
    parties = {
        Role.GRID_OPERATOR: UTILITY,
        Role.GOVERNMENT: TREASURY,
        Role.SELLER: RETAILER,
        host_role: host,
    }
    return OpenRole(
        offer_id=f"{host}/{role.lower()}",
        role=role.value,
        template=template,
        parties={r: era for r, era in parties.items() if r in template.roles and r is not role},
        inputs={name: Decimal(repr(value)) for name, value in values.items() if name in template.inputs},
    )


def rent_contract(scenario: Scenario) -> Contract:
    """What the market is left with where prices part goes to the grid operator."""
    roles: Mapping[str, str] = {Role.MARKET_CLEARING_AGENT: MARKET, Role.GRID_OPERATOR: UTILITY}
    return _instance(scenario, "rent", templates.congestion_rent(), roles)


def uplift_contract(scenario: Scenario, era: str) -> Contract:
    """What the grid operator owes somebody for what it commands."""
    roles: Mapping[str, str] = {Role.GRID_OPERATOR: UTILITY, Role.PROSUMER: era}
    return _instance(scenario, f"uplift of {era}", templates.offset_uplift(), roles)


def losses_contract(scenario: Scenario, *, retail: bool) -> Contract:
    """The grid operator buys what flowed in and nobody has paid the retailer for."""
    roles: Mapping[str, str] = {Role.GRID_OPERATOR: UTILITY, Role.SELLER: RETAILER}
    template = templates.losses_and_imbalance("meteredKWh" if retail else "clearedKWh")
    return _instance(scenario, "losses", template, roles)


def _instance(
    scenario: Scenario,
    name: str,
    template: Template,
    roles: Mapping[str, str],
    inputs: Mapping[str, Decimal] = MappingProxyType({}),
) -> Contract:
    return template.instantiate(identifier(scenario.seed, name), scenario.currency, roles, inputs)
