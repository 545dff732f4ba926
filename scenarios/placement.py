"""Who stands where: from populations to participants at sites, with every contradiction named."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from grid_models.powerflow import PandapowerFeeder
from scenarios import catalog, levels
from scenarios.money import DIRECTIONS, tariff_of
from scenarios.names import MARKET, RESERVED, ROOT
from scenarios.populations import PopulationSpec
from scenarios.spec import Scenario, SiteSpec
from sim.errors import Fault, ScenarioError, nearest
from sim.rng import stream
from sim.tariff import prices_by_minute


@dataclass(frozen=True, slots=True)
class Settler:
    """One participant of a population, before it is built."""

    era: str
    population: PopulationSpec
    number: int
    site: SiteSpec
    column: int


def settle_in(scenario: Scenario, feeder: PandapowerFeeder, columns: int) -> list[Settler]:
    """Every participant of every population, in the scenario's order.

    columns: number of load profiles, which sites without one of their own share.  Raises ``ScenarioError`` with everything that
    contradicts itself: names, buses, sites, hosts, policies, tariffs.
    """
    sites = scenario.sites or tuple(
        SiteSpec(era=f"site-{number:02d}", bus=bus) for number, bus in enumerate(feeder.site_buses, 1)
    )
    faults = [*_site_faults(scenario, feeder), *_reference_faults(scenario, feeder), *_joining_faults(scenario)]
    if not sites:
        raise ScenarioError(
            scenario.name, (*faults, Fault("sites", f"{feeder.name} has no customers to stand for", "name the sites"))
        )
    known = {site.era for site in sites}
    settlers: list[Settler] = []
    for number, population in enumerate(scenario.populations):
        unknown = [era for era in population.sites or () if era not in known]
        faults += [Fault(f"populations[{number}].sites", f"no site {era}", nearest(era, known)) for era in unknown]
        if not unknown:
            settlers += _members(scenario, population, sites, columns)
    counts = Counter([*RESERVED, *(b.name for b in feeder.branches), *(a.name for a in scenario.aggregators)])
    counts.update(settler.era for settler in settlers)
    faults += [Fault("populations", f"{n} participants are called {era}") for era, n in counts.items() if n > 1]
    hosts = {settler.population.host for settler in settlers} | {a.host for a in scenario.aggregators}
    faults += [
        Fault("aggregators", f"{a.name} hosts nobody", "take it out, or --set aggregators=[]")
        for a in scenario.aggregators
        if a.name not in hosts
    ]
    faults += _level_faults(scenario, feeder, settlers)
    faults += [
        Fault(f"wire.delays[{number}].from", f"nobody is called {delay.sender}", nearest(delay.sender, list(counts)))
        for number, delay in enumerate(scenario.wire.delays)
        if delay.sender not in counts
    ]
    if not settlers and not faults:
        faults.append(Fault("populations", "nobody takes part: every population is empty"))
    if faults:
        raise ScenarioError(scenario.name, tuple(faults))
    return settlers


def _level_faults(scenario: Scenario, feeder: PandapowerFeeder, settlers: list[Settler]) -> Iterator[Fault]:
    """What is wrong with the tree of hosts: circles, gates, and grid nodes that two of them would have to keep."""
    wrong = tuple(levels.host_faults(scenario))
    yield from wrong
    if not scenario.aggregators or wrong:
        return
    yield from levels.timing_faults(scenario)
    places = {
        settler.era: (settler.population.host or MARKET, feeder.node_of(settler.site.bus))
        for settler in settlers
        if settler.site.bus in feeder.buses
    }
    yield from levels.node_faults(scenario, places, parents_of(feeder))


def parents_of(feeder: PandapowerFeeder) -> dict[str, str]:
    """The grid node above each."""
    return {branch.name: branch.parent or ROOT for branch in feeder.branches}


def _members(
    scenario: Scenario, population: PopulationSpec, sites: tuple[SiteSpec, ...], columns: int
) -> Iterator[Settler]:
    """Where the members of a population stand: one at each site, or sites drawn by the population's name."""
    name = population.name or population.kind
    chosen = [k for k, site in enumerate(sites) if population.sites is None or site.era in population.sites]
    count = len(chosen) if population.count is None else population.count
    if population.count is not None:
        chosen = stream(scenario.seed, name, "sites").permutation(chosen).tolist()
    width = max(2, len(str(count)))
    for number in range(count):
        index = chosen[number % len(chosen)]
        yield Settler(f"{name}-{number + 1:0{width}d}", population, number, sites[index], index % columns)


def _site_faults(scenario: Scenario, feeder: PandapowerFeeder) -> Iterator[Fault]:
    sites = scenario.sites or ()
    for era, count in Counter(site.era for site in sites).items():
        if count > 1:
            yield Fault("sites", f"{count} sites have the ERA {era}", "an energy resource address names one site")
    for number, site in enumerate(sites):
        if site.bus not in feeder.buses:
            yield Fault(f"sites[{number}].bus", f"{feeder.name} has no bus {site.bus}", nearest(site.bus, feeder.buses))


def _joining_faults(scenario: Scenario) -> Iterator[Fault]:
    for number, population in enumerate(scenario.populations):
        if population.joins is not None and population.joins < scenario.start:
            what = f"{population.joins} is before the run begins, at {scenario.start}"
            yield Fault(f"populations[{number}].joins", what, "leave it out for who is there from the beginning")


def _offset_faults(scenario: Scenario, feeder: PandapowerFeeder) -> Iterator[Fault]:
    names = [branch.name for branch in feeder.branches]
    for number, offset in enumerate(scenario.market.offsets):
        if offset.node not in names:
            what = f"{feeder.name} has no transformer or limited line {offset.node}"
            yield Fault(f"market.offsets[{number}].node", what, nearest(offset.node, names))


def _reference_faults(scenario: Scenario, feeder: PandapowerFeeder) -> Iterator[Fault]:
    names = [aggregator.name for aggregator in scenario.aggregators]
    for number, population in enumerate(scenario.populations):
        if population.host is not None and population.host not in names:
            yield Fault(
                f"populations[{number}].host", f"no aggregator {population.host}", nearest(population.host, names)
            )
    for key in ("policy", "fallback"):
        try:
            catalog.policy(getattr(scenario.market, key))
        except ScenarioError as error:
            yield Fault(f"market.{key}", error.faults[0].what, error.faults[0].remedy)
    yield from _offset_faults(scenario, feeder)
    yield from catalog.plot_faults(scenario.outputs.plots)
    yield from _tariff_faults(scenario)


def _tariff_faults(scenario: Scenario) -> Iterator[Fault]:
    by_minute: dict[str, tuple[float, ...]] = {}
    for direction in DIRECTIONS:
        tariff = tariff_of(scenario, direction)
        try:
            prices = by_minute[direction] = prices_by_minute(tariff)
            floor, cap = scenario.market.price_floor, scenario.market.price_cap
            if not floor <= min(prices) <= max(prices) <= cap:
                what = f"prices {min(prices)}..{max(prices)} leave the market's bounds {floor}..{cap}"
                yield Fault(f"tariffs.{direction.lower()}", what, "change market.price_floor or market.price_cap")
        except ValueError as error:
            yield Fault(f"tariffs.{direction.lower()}", str(error))
    if len(by_minute) == len(DIRECTIONS) and any(map(operator.lt, *by_minute.values())):
        yield Fault(
            "tariffs",
            "the import price is below the export price at some time of day",
            "a retailer that pays more than it asks has no curve",
        )
