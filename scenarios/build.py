"""From a scenario to a world: who stands where, who knows whom, under which contracts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import BinaryIO

import numpy as np

from agents.aggregator import Aggregator
from agents.catalogue import Catalogue
from agents.market import Clear, Market, Rules, clear_and_certify
from agents.membership import Membership, OpenRole
from agents.meter import MeterOperator
from agents.resource import Place, Resource
from agents.retailer import Retailer
from agents.transformer import Transformer
from agents.utility import Connection, Utility
from grid_models import feeders, limits
from grid_models.powerflow import PandapowerFeeder
from scenarios import catalog
from scenarios.kinds import KINDS, Ground, Seat, Weather
from scenarios.spec import PopulationSpec, Scenario, SiteSpec, TariffElementSpec
from scenarios.timing import Stopwatch
from sim.clock import Calendar, local_start
from sim.contracts import templates
from sim.contracts.contract import Role, Template, settle
from sim.errors import Fault, FeederError, ScenarioError, nearest
from sim.feeder import Branch
from sim.journal import Journal
from sim.participant import Ids, Participant
from sim.rng import identifier, stream
from sim.tariff import prices_by_minute
from sim.wire.bags import ENERGY, PriceComponent, Tariff, TariffElement, TariffRestrictions
from sim.world import World

MARKET, UTILITY, RETAILER, CATALOGUE, METERING, TREASURY = (
    "market", "utility", "retailer", "catalogue", "metering", "treasury"
)  # fmt: skip
ROOT = "grid"
"""The market's node above every transformer."""
RESERVED = (MARKET, UTILITY, RETAILER, CATALOGUE, METERING, TREASURY, ROOT)
AGGREGATOR_AHEAD_S = 60
"""An aggregator's members commit this much before the aggregator does."""
SETUP_S = 600


@dataclass(frozen=True, slots=True)
class Settler:
    """One participant of a population, before it is built."""

    era: str
    population: PopulationSpec
    number: int
    site: SiteSpec
    column: int


@dataclass(frozen=True, slots=True)
class NodeLimits:
    """A transformer's limits in kW at its low-voltage side, ≥ 0: at its rating, and as the market gets them."""

    branch: Branch
    rated_import_kw: float
    rated_export_kw: float
    import_kw: float
    export_kw: float


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """A world ready to run, and the parts of it that a record of the run is made from."""

    scenario: Scenario
    world: World
    market: Market
    resources: tuple[Resource, ...]
    limits: tuple[NodeLimits, ...]
    sites: Mapping[str, str]
    stopwatch: Stopwatch


def build(scenario: Scenario, sink: BinaryIO, stopwatch: Stopwatch) -> Built:
    """Build the world of a scenario; its journal goes to ``sink``.

    Raises ``ScenarioError`` with every problem that only shows when the parts meet: buses, names, hosts, tariffs, policies.
    """
    with stopwatch.part("feeder"):
        feeder = feeders.load(scenario.feeder.name, transformer_type=scenario.feeder.transformer_type)
        weather = _weather(scenario)
    settlers = _settle(scenario, feeder, weather)
    return _Builder(scenario, feeder, weather, settlers, sink, stopwatch).build()


class _Builder:
    """Builds one world; lives as long as the building."""

    def __init__(
        self,
        scenario: Scenario,
        feeder: PandapowerFeeder,
        weather: Weather,
        settlers: list[Settler],
        sink: BinaryIO,
        stopwatch: Stopwatch,
    ) -> None:
        self._scenario = scenario
        self._feeder = feeder
        self._weather = weather
        self._settlers = settlers
        self._stopwatch = stopwatch
        self._policy = catalog.policy(scenario.market.policy)
        self._fallback = catalog.policy(scenario.market.fallback)
        self._tariffs = (_tariff(scenario, "IMPORT"), _tariff(scenario, "EXPORT"))
        self._calendar = calendar_of(scenario)
        self._retail = self._policy.pricing == "RETAIL"
        self._lead_s = scenario.market.confirm_s + AGGREGATOR_AHEAD_S + SETUP_S
        journal = Journal(sink)
        self._world = World(
            seed=scenario.seed,
            calendar=self._calendar,
            feeder=feeder,
            journal=journal,
            lead_s=self._lead_s,
            latency_s=scenario.wire.latency_s,
            solve=stopwatch.wrap("power flow", feeder.solve),
            commit=stopwatch.wrap("journal", journal.commit),
        )
        self._world.journal.record(
            "run", scenario=scenario.name, policy=scenario.market.policy, seed=scenario.seed,
            start=self._calendar.timestamp(0), intervalS=self._calendar.interval_s, count=self._calendar.count,
        )  # fmt: skip

    def build(self) -> Built:
        """Everybody in the order in which they wake: the grid and the catalogue first, the sites last."""
        world = self._world
        resources = [self._resource(settler) for settler in self._settlers]
        world.devices = [r.device for r in resources if r.device is not None]
        connections = self._connections(resources)
        node_limits = tuple(self._node_limits(branch) for branch in self._feeder.branches)
        self._add(Catalogue(world, CATALOGUE, self._ids(CATALOGUE)), 0)
        for limit in node_limits:
            self._add(self._transformer(limit), 0)
        market = self._market()
        aggregators = [self._aggregator(spec.name, connections[spec.name]) for spec in self._scenario.aggregators]
        self._add(self._utility(connections), 0)
        self._add(market, 0)
        self._add(self._metering(resources), 0)
        retailer = self._retailer(connections[RETAILER].import_cap_kw)
        self._add(retailer, 10)
        for aggregator in aggregators:
            self._add(aggregator, 20)
        for resource in resources:
            self._add(resource, 60)
        return Built(
            scenario=self._scenario,
            world=world,
            market=market,
            resources=(*resources, *aggregators, retailer),
            limits=node_limits,
            sites={settler.era: settler.site.era for settler in self._settlers},
            stopwatch=self._stopwatch,
        )

    def _add(self, participant: Participant, after_s: int) -> None:
        self._world.add(participant, after_s - self._lead_s)

    def _ids(self, era: str) -> Ids:
        return Ids(self._scenario.seed, era)

    def _place(self, era: str, host: str, node: str) -> Place:
        return Place(host=host, catalogue=CATALOGUE, meter=era, node=node, currency=self._scenario.tariffs.currency)

    def _resource(self, settler: Settler) -> Resource:
        node = self._feeder.node_of(settler.site.bus)
        place = self._place(settler.era, settler.population.host or MARKET, node)
        seat = Seat(settler.era, settler.number, settler.column, settler.site.bus, place)
        ground = Ground(self._world, self._calendar, self._weather, self._scenario.seed)
        return KINDS[_kind(settler.population)].build(settler.population, seat, ground)

    def _connections(self, resources: list[Resource]) -> dict[str, Connection]:
        own = {s.era: Connection(s.population.connection_kw, s.population.connection_kw) for s in self._settlers}
        together = {
            spec.name: sum(own[r.era].import_cap_kw for r in resources if r.place.host == spec.name)
            for spec in self._scenario.aggregators
        }
        everything = sum(connection.import_cap_kw for connection in own.values())
        return own | {name: Connection(kw, kw) for name, kw in (*together.items(), (RETAILER, everything))}

    def _node_limits(self, branch: Branch) -> NodeLimits:
        wanted = self._scenario.feeder.limits
        import_kw, _ = limits.lv_limits_kw(
            self._feeder, branch.name, branch.rated_kva * wanted.import_share, wanted.power_factor
        )
        _, export_kw = limits.lv_limits_kw(
            self._feeder, branch.name, branch.rated_kva * wanted.export_share, wanted.power_factor
        )
        kept = 1 - wanted.margin
        return NodeLimits(branch, import_kw, export_kw, import_kw * kept, export_kw * kept)

    def _transformer(self, limit: NodeLimits) -> Transformer:
        return Transformer(
            self._world,
            limit.branch.name,
            self._ids(limit.branch.name),
            catalogue=CATALOGUE,
            calendar=self._calendar,
            parent=limit.branch.parent,
            rated_kva=limit.branch.rated_kva,
            import_limit_kw=limit.import_kw,
            export_limit_kw=limit.export_kw,
        )

    def _market(self) -> Market:
        spec = self._scenario.market
        rules = Rules(
            policy=self._policy,
            fallback=self._fallback,
            k=spec.k,
            price_floor=spec.price_floor,
            price_cap=spec.price_cap,
            firm_share=spec.firm_share,
            confirm_s=spec.confirm_s,
            gate_s=spec.gate_s,
        )
        rent = templates.congestion_rent().instantiate(
            identifier(self._scenario.seed, "rent"),
            self._scenario.tariffs.currency,
            {Role.MARKET_CLEARING_AGENT: MARKET, Role.GRID_OPERATOR: UTILITY},
            {},
        )
        clear: Clear = self._stopwatch.wrap("clearing", clear_and_certify)
        return Market(
            self._world,
            MARKET,
            self._ids(MARKET),
            rules=rules,
            membership=self._membership(self._market_roles(), spec.confirm_s, spec.gate_s),
            utility=UTILITY,
            catalogue=CATALOGUE,
            supplier=RETAILER,
            root_node=ROOT,
            calendar=self._calendar,
            currency=self._scenario.tariffs.currency,
            rent=rent,
            ledger=self._world.ledger,
            clear=clear,
        )

    def _membership(
        self, open_roles: list[OpenRole], confirm_s: int, gate_s: int
    ) -> Callable[[Participant], Membership]:
        timed = self._stopwatch.wrap("settlement", settle)

        def make(owner: Participant) -> Membership:
            return Membership(
                owner,
                open_roles=open_roles,
                utility=UTILITY,
                calendar=self._calendar,
                currency=self._scenario.tariffs.currency,
                pricing=self._policy.pricing,
                confirm_s=confirm_s,
                gate_s=gate_s,
                ledger=self._world.ledger,
                settle=timed,
            )

        return make

    def _market_roles(self) -> list[OpenRole]:
        market = Role.MARKET_CLEARING_AGENT
        fee = self._scenario.tariffs.fee_per_kwh
        if self._retail:
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
        return [self._open_role(MARKET, role, market, template, fee) for role, template in found]

    def _open_role(self, host: str, role: Role, host_role: Role, template: Template, fee: float) -> OpenRole:
        tariffs = self._scenario.tariffs
        values = {
            "wheeling_per_kwh": tariffs.wheeling_per_kwh,
            "fee_per_kwh": fee,
            "penalty_per_kwh": tariffs.penalty_per_kwh,
            "tax_rate": tariffs.tax_rate,
        }
        parties = {
            host_role: host,
            Role.GRID_OPERATOR: UTILITY,
            Role.GOVERNMENT: TREASURY,
            Role.SELLER: RETAILER,
        }
        return OpenRole(
            offer_id=f"{host}/{role.lower()}",
            role=role.value,
            template=template,
            parties={r: era for r, era in parties.items() if r in template.roles and r is not role},
            inputs={name: Decimal(repr(value)) for name, value in values.items() if name in template.inputs},
        )

    def _aggregator(self, name: str, connection: Connection) -> Aggregator:
        spec = next(s for s in self._scenario.aggregators if s.name == name)
        host = Role.AGGREGATOR
        template = templates.retail_prosumer(host) if self._retail else templates.cleared_prosumer(host)
        roles = [self._open_role(name, Role.PROSUMER, host, template, spec.fee_per_kwh)]
        due_s = self._scenario.market.confirm_s
        bus = next(s.site.bus for s in self._settlers if s.population.host == name)
        return Aggregator(
            self._world,
            name,
            self._ids(name),
            place=self._place(name, MARKET, self._feeder.node_of(bus)),
            calendar=self._calendar,
            membership=self._membership(roles, due_s + AGGREGATOR_AHEAD_S, due_s + AGGREGATOR_AHEAD_S // 2),
            utility=UTILITY,
            capacity_kw=(-connection.import_cap_kw, connection.export_cap_kw),
        )

    def _utility(self, connections: Mapping[str, Connection]) -> Utility:
        losses = templates.losses_and_imbalance("metered_kwh" if self._retail else "cleared_kwh").instantiate(
            identifier(self._scenario.seed, "losses"),
            self._scenario.tariffs.currency,
            {Role.GRID_OPERATOR: UTILITY, Role.SELLER: RETAILER},
            {},
        )
        return Utility(
            self._world,
            UTILITY,
            self._ids(UTILITY),
            connections=connections,
            wheeling_per_kwh=self._scenario.tariffs.wheeling_per_kwh,
            calendar=self._calendar,
            supplier_meter=RETAILER,
            losses=losses,
            ledger=self._world.ledger,
            tariffs=self._tariffs,
        )

    def _metering(self, resources: list[Resource]) -> MeterOperator:
        hosts: dict[str, list[str]] = {}
        for resource in resources:
            hosts.setdefault(resource.place.host, []).append(resource.place.meter)
        return MeterOperator(
            self._world,
            METERING,
            self._ids(METERING),
            meters=self._world.meters,
            hosts=hosts,
            utility=UTILITY,
            calendar=self._calendar,
        )

    def _retailer(self, capacity_kw: float) -> Retailer:
        return Retailer(
            self._world,
            RETAILER,
            self._ids(RETAILER),
            place=self._place(RETAILER, MARKET, ROOT),
            calendar=self._calendar,
            own_tariffs=self._tariffs,
            capacity_kw=capacity_kw,
        )


def calendar_of(scenario: Scenario) -> Calendar:
    """The scenario's intervals."""
    return Calendar(
        start=local_start(scenario.start, scenario.time_zone),
        interval_s=scenario.interval_min * 60,
        count=scenario.duration_h * 60 // scenario.interval_min,
    )


def _weather(scenario: Scenario) -> Weather:
    """Profiles at the scenario's interval, with one interval before the start (the first one twice where data begins)."""
    data = feeders.profiles(scenario.feeder.profiles)
    interval_s, step_s = scenario.interval_min * 60, feeders.STEP_S
    steps = -(-scenario.duration_h * 3600 // step_s)
    before = max(interval_s // step_s, 1)
    try:
        window = data.window(scenario.start - timedelta(seconds=before * step_s), before + steps)
        pad = 0
    except FeederError:
        window, pad = data.window(scenario.start, steps), before
    if interval_s % step_s and step_s % interval_s:
        what = f"profiles come every {step_s // 60} minutes; give a divisor or a multiple of that"
        raise ScenarioError(scenario.name, (Fault("interval_min", what),))

    def resampled(values: np.ndarray) -> np.ndarray:
        padded = np.concatenate([values[:pad], values])
        if interval_s >= step_s:
            return padded.reshape(-1, interval_s // step_s, padded.shape[1]).mean(axis=1)  # type: ignore[no-any-return]
        finer = np.repeat(padded, step_s // interval_s, axis=0)
        return finer[step_s // interval_s - 1 :]

    return Weather(resampled(window.load_kw), resampled(window.load_kvar), resampled(window.pv_pu))


def _settle(scenario: Scenario, feeder: PandapowerFeeder, weather: Weather) -> list[Settler]:
    sites = scenario.sites or tuple(
        SiteSpec(era=f"site-{number:02d}", bus=bus) for number, bus in enumerate(feeder.site_buses, 1)
    )
    faults = [*_site_faults(scenario, feeder), *_reference_faults(scenario)]
    settlers: list[Settler] = []
    columns = weather.load_kw.shape[1]
    for number, population in enumerate(scenario.populations):
        known = {site.era: index for index, site in enumerate(sites)}
        unknown = [era for era in population.sites or () if era not in known]
        faults += [Fault(f"populations[{number}].sites", f"no site {era}", nearest(era, known)) for era in unknown]
        if not unknown:
            settlers += _members(scenario, population, sites, columns)
    counts = Counter([*RESERVED, *(b.name for b in feeder.branches), *(a.name for a in scenario.aggregators)])
    counts.update(settler.era for settler in settlers)
    faults += [Fault("populations", f"{n} participants are called {era}") for era, n in counts.items() if n > 1]
    hosts = {settler.population.host for settler in settlers}
    faults += [Fault("aggregators", f"{a.name} hosts nobody") for a in scenario.aggregators if a.name not in hosts]
    if faults:
        raise ScenarioError(scenario.name, tuple(faults))
    return settlers


def _members(
    scenario: Scenario, population: PopulationSpec, sites: tuple[SiteSpec, ...], columns: int
) -> Iterator[Settler]:
    """Where the members of a population stand: one at each site, or sites drawn by the population's name."""
    name = population.name or _kind(population)
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


def _reference_faults(scenario: Scenario) -> Iterator[Fault]:
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
    for direction, key in (("IMPORT", "import"), ("EXPORT", "export")):
        tariff = _tariff(scenario, direction)
        try:
            prices_by_minute(tariff)
        except ValueError as error:
            yield Fault(f"tariffs.{key}", str(error))


def _tariff(scenario: Scenario, direction: str) -> Tariff:
    elements = scenario.tariffs.imports if direction == "IMPORT" else scenario.tariffs.exports
    return Tariff(
        ENERGY,
        currency=scenario.tariffs.currency,
        direction=direction,  # type: ignore[arg-type]
        elements=tuple(_element(element) for element in elements),
    )


def _element(element: TariffElementSpec) -> TariffElement:
    return TariffElement(
        priceComponents=(PriceComponent(type="ENERGY", price=element.price),),
        restrictions=TariffRestrictions(startTime=element.start, endTime=element.end),
    )


def _kind(population: PopulationSpec) -> str:
    return str(population.kind)  # type: ignore[attr-defined]
