"""From a scenario to a world: who stands where, who knows whom, under which contracts."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np

from agents.accounts import Accounts
from agents.aggregator import Aggregator, Balance
from agents.announcement import Announcement
from agents.catalogue import Catalogue
from agents.charge_point_operator import ChargePointOperator
from agents.closing import Practice
from agents.forecaster import ERROR_MODELS, Accuracy, Forecaster, Habits
from agents.inspection import Inspector, Point
from agents.market import Market
from agents.member import OpenRole
from agents.membership import Gate, Membership
from agents.meter import MeterOperator
from agents.outlook import News, Topic
from agents.resource import Place, Resource, Seat
from agents.retailer import Retailer
from agents.rounds import Clear, Rules, Stage, clear_and_certify
from agents.transformer import Transformer
from agents.utility import Connection, Utility
from grid_models.powerflow import PandapowerFeeder
from scenarios import catalog, foresight, money
from scenarios.deal_devices import Placed
from scenarios.dealing import parties_of
from scenarios.feeder import allowed_loading, limits_kw, load
from scenarios.foundation import Foundation, calendar_of, lay
from scenarios.kinds import KINDS, Ground, Spot, phase_of
from scenarios.levels import Levels, common_node
from scenarios.names import CATALOGUE, FORECASTER, MARKET, METERING, RETAILER, ROOT, UTILITY
from scenarios.offsets import offset_command
from scenarios.placement import Settler, parents_of, settle_in
from scenarios.populations import PopulationSpec
from scenarios.registry import check_registry
from scenarios.regulation import obligations_of, policing_of
from scenarios.spec import AscentSpec, ForecastsSpec, Scenario, UtilisationSpec
from scenarios.timing import Stopwatch
from scenarios.weather import Truth, Weather, weather_of
from sim.contracts.contract import settle
from sim.contracts.cycles import Rules as ClosingRules
from sim.contracts.settlement_moves import Missing
from sim.device import Device
from sim.errors import ScenarioError
from sim.feeder import Branch
from sim.market import adders
from sim.market.policy import Policy
from sim.market.problem import Limit
from sim.participant import Ids, Participant
from sim.tariff import prices_by_minute
from sim.trust.signatory import Signatory
from sim.world import World

FORECAST_AHEAD_S = 45
"""A forecast is published this much before those commit who want to use it."""
SETUP_S = 600


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
    """A world ready to run, and the parts of it that a record of the run is made from.

    market: None where there is none.  devices: of those who deal with each other one to one.
    """

    scenario: Scenario
    world: World
    feeder: PandapowerFeeder
    market: Market | None
    resources: tuple[Resource, ...]
    limits: tuple[NodeLimits, ...]
    populations: Mapping[str, PopulationSpec]
    sites: Mapping[str, str]
    stopwatch: Stopwatch
    devices: tuple[Placed, ...] = ()


def build(scenario: Scenario, sink: BinaryIO, stopwatch: Stopwatch) -> Built:
    """Build the world of a scenario; its journal goes to ``sink``.

    Raises ``ScenarioError`` with every problem that only shows when the parts meet: buses, names, hosts, tariffs, policies.
    """
    if not scenario.has_market:
        return _deals_alone(scenario, sink, stopwatch)
    with stopwatch.part("feeder"):
        feeder = load(scenario.feeder, scenario.name)
        weather = weather_of(scenario, calendar_of(scenario))
    settlers = settle_in(scenario, feeder, weather.load_kw.shape[1])
    lead_s = scenario.market.confirm_s + Levels(scenario.aggregators).longest_s + SETUP_S
    return _Builder(lay(scenario, feeder, sink, stopwatch, lead_s), weather, settlers).build()


def _deals_alone(scenario: Scenario, sink: BinaryIO, stopwatch: Stopwatch) -> Built:
    """A world in which everybody deals one to one: a catalogue, a meter operator, and the parties of the scenario."""
    with stopwatch.part("feeder"):
        feeder = load(scenario.feeder, scenario.name)
    if faults := tuple(catalog.plot_faults(scenario.outputs.plots)):
        raise ScenarioError(scenario.name, faults)
    foundation = lay(scenario, feeder, sink, stopwatch, SETUP_S)
    world = foundation.world
    parties = parties_of(foundation)
    world.devices = [one.device for one in parties.devices]
    foundation.add(Catalogue(world, CATALOGUE, foundation.ids(CATALOGUE), foundation.calendar), 0)
    metering = MeterOperator(
        world,
        METERING,
        foundation.ids(METERING),
        meters=world.meters,
        read_by=parties.read_by,
        calendar=foundation.calendar,
    )
    foundation.add(metering, 0)
    for participant, after_s in parties.arrivals:
        foundation.add(participant, after_s)
    return Built(scenario, world, feeder, None, (), node_limits_of(foundation), {}, {}, stopwatch, parties.devices)


def node_limits_of(foundation: Foundation) -> tuple[NodeLimits, ...]:
    """What every branch of the feeder may carry."""
    wanted, feeder = foundation.scenario.feeder.limits, foundation.feeder
    found = []
    for branch in feeder.branches:
        import_kw, export_kw = limits_kw(feeder, wanted, branch)
        kept = 1 - wanted.limits_of(branch.name).margin
        found.append(NodeLimits(branch, import_kw, export_kw, import_kw * kept, export_kw * kept))
    return tuple(found)


def tree_of(limits: Sequence[NodeLimits]) -> tuple[Limit, ...]:
    """The tree of limits as the market gets it."""
    return (
        Limit(ROOT),
        *(Limit(one.branch.name, one.branch.parent or ROOT, one.import_kw, one.export_kw) for one in limits),
    )


class _Builder:
    """Builds one world; lives as long as the building."""

    def __init__(
        self,
        foundation: Foundation,
        weather: Weather,
        settlers: list[Settler],
    ) -> None:
        scenario = self._scenario = foundation.scenario
        self._feeder = foundation.feeder
        self._weather = weather
        self._settlers = settlers
        self._populations = {settler.era: settler.population for settler in settlers}
        self._stopwatch = foundation.stopwatch
        self._policy = catalog.policy(scenario.market.policy)
        self._fallback = catalog.policy(scenario.market.fallback)
        self._tariffs = (money.tariff_of(scenario, "IMPORT"), money.tariff_of(scenario, "EXPORT"))
        self._foundation = foundation
        self._world, self._calendar, self._solve = foundation.world, foundation.calendar, foundation.solve
        self._policing = policing_of(scenario, self._calendar)
        self._retail = self._policy.pricing == "RETAIL"
        self._levels = Levels(scenario.aggregators)
        settlement = scenario.settlement
        # Who witnesses the contract log is a party to none of the contracts.
        self._closing_rules = ClosingRules(settlement.challenge_s, METERING, Missing(settlement.missing_signature))

    def build(self) -> Built:
        """Everybody in the order in which they wake: the grid and the catalogue first, the sites last."""
        world = self._world
        resources = [self._resource(settler) for settler in self._settlers]
        parties = parties_of(self._foundation)
        world.devices = [r.device for r in resources if r.device is not None]
        world.devices += [one.device for one in parties.devices]
        check_registry(self._scenario, (resource.place.meter for resource in resources))
        connections = self._connections(resources)
        node_limits = node_limits_of(self._foundation)
        self._add(Catalogue(world, CATALOGUE, self._ids(CATALOGUE), self._calendar), 0)
        for limit in node_limits:
            self._add(self._transformer(limit), 0)
        market = self._market(self._informed(resources, node_limits))
        aggregators = [self._aggregator(spec.name, connections[spec.name]) for spec in self._scenario.aggregators]
        self._add(self._utility(connections, self._inspector(resources)), 0)
        self._add(market, 0)
        self._add(self._metering(resources, parties.read_by), 0)
        retailer = self._retailer(connections[RETAILER].import_cap_kw)
        self._add(retailer, 10)
        for aggregator in aggregators:
            self._add(aggregator, 20)
        topics = tuple(dict.fromkeys(topic for resource in resources for topic in resource.outlook.topics))
        if self._scenario.forecasts is not None and topics:
            followers = {
                topic: [resource.era for resource in resources if topic in resource.outlook.topics]
                for topic in topics
                if topic.variable in self._scenario.forecasts.pushed
            }
            self._add(self._forecaster(self._scenario.forecasts, topics, followers, market), 30)
        for resource in resources:
            self._add(resource, self._joining_s(self._populations[resource.era]))
        for participant, after_s in parties.arrivals:
            self._add(participant, after_s)
        return Built(
            scenario=self._scenario,
            world=world,
            feeder=self._feeder,
            market=market,
            resources=(*resources, *aggregators, retailer),
            limits=node_limits,
            populations=self._populations,
            sites={settler.era: settler.site.era for settler in self._settlers},
            stopwatch=self._stopwatch,
            devices=parties.devices,
        )

    def _add(self, participant: Participant, after_s: int) -> None:
        self._foundation.add(participant, after_s)

    def _joining_s(self, population: PopulationSpec) -> int:
        """Seconds from the beginning of the set-up at which a member of a population comes to the market."""
        if population.joins is None:
            return 60
        return self._foundation.lead_s + round((population.joins - self._scenario.start).total_seconds())

    def _ids(self, era: str) -> Ids:
        return self._foundation.ids(era)

    def _signatory(self, era: str) -> Signatory:
        return self._foundation.signatory(era)

    def _place(self, era: str, host: str, node: str) -> Place:
        return Place(host=host, catalogue=CATALOGUE, meter=era, node=node, currency=self._scenario.currency)

    def _resource(self, settler: Settler) -> Resource:
        node = self._feeder.node_of(settler.site.bus)
        place = self._place(settler.era, settler.population.host or MARKET, node)
        bus, seed = settler.site.bus, self._scenario.seed
        phase = phase_of(settler.population, settler.era, self._feeder.phases, self._feeder.phase_at(bus), seed)
        spot = Spot(settler.era, settler.number, settler.column, bus, place, phase)
        spec = self._scenario.forecasts
        variables, news = ((), News()) if spec is None else (spec.variables, _news(spec))
        ground = Ground(
            self._world, self._calendar, self._weather, self._scenario.seed, self._world.key_of, variables, news
        )
        return KINDS[settler.population.kind].build(settler.population, spot, ground)

    def _connections(self, resources: list[Resource]) -> dict[str, Connection]:
        own = {s.era: Connection(s.population.connection_kw, s.population.connection_kw) for s in self._settlers}
        together = {
            spec.name: sum(own[r.era].import_cap_kw for r in resources if spec.name in self._levels.path(r.place.host))
            for spec in self._scenario.aggregators
        }
        everything = sum(connection.import_cap_kw for connection in own.values())
        return own | {name: Connection(kw, kw) for name, kw in (*together.items(), (RETAILER, everything))}

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
            announcement=self._announcement(limit),
            offset=offset_command(self._scenario, limit.branch.name, self._calendar),
        )

    def _announcement(self, limit: NodeLimits) -> Announcement | None:
        """The adder of a node, by the rule that the scenario gives to all of them."""
        import_kw, export_kw = np.array([limit.import_kw]), np.array([limit.export_kw])
        match self._scenario.market.adders:
            case UtilisationSpec() as rule:
                step = adders.utilisation(
                    import_kw,
                    export_kw,
                    rule.per_percent,
                    rule.damping,
                    signed=rule.signed,
                    threshold=rule.threshold_percent,
                )
                return Announcement(step, late=rule.late)
            case AscentSpec() as rule:
                both = np.concatenate((import_kw, export_kw))
                return Announcement(adders.ascent(both, rule.rate), (1.0, -1.0), rule.late)
            case _:
                return None

    def _informed(self, resources: list[Resource], limits: Sequence[NodeLimits]) -> Policy:
        """The policy of this run; one that foresees is told what its twins will live through."""
        policy = self._policy
        if policy.foreseeing is None:
            return policy
        horizon = foresight.horizon_of(
            self._scenario,
            self._calendar,
            resources,
            self._populations,
            tree_of(limits),
            lead_s=self._scenario.market.confirm_s + self._levels.longest_s,
        )
        return replace(policy, clear=policy.foreseeing(horizon))

    def _market(self, policy: Policy) -> Market:
        spec = self._scenario.market
        rules = Rules(
            policy=policy,
            fallback=self._fallback,
            k=spec.k,
            price_floor=spec.price_floor,
            price_cap=spec.price_cap,
            firm_share=spec.firm_share,
            confirm_s=spec.confirm_s,
            gate_s=spec.gate_s,
            rounds_max=spec.rounds_max,
            sharing=spec.sharing,
            seed=self._scenario.seed,
        )
        clear: Clear = self._stopwatch.wrap("clearing", clear_and_certify)
        return Market(
            self._world,
            MARKET,
            self._ids(MARKET),
            rules=rules,
            membership=self._membership(
                money.market_roles(self._scenario, retail=self._retail), spec.confirm_s, spec.gate_s
            ),
            accounts=self._accounts,
            utility=UTILITY,
            catalogue=CATALOGUE,
            supplier=RETAILER,
            root_node=ROOT,
            calendar=self._calendar,
            currency=self._scenario.currency,
            rent=money.rent_contract(self._scenario),
            uplift=functools.partial(money.uplift_contract, self._scenario),
            ledger=self._world.ledger,
            log=self._world.log,
            clear=clear,
            obligations=obligations_of(self._scenario, self._policing),
        )

    def _membership(
        self, open_roles: list[OpenRole], confirm_s: int, gate_s: int
    ) -> Callable[[Participant], Membership]:
        return functools.partial(
            Membership,
            open_roles=open_roles,
            gate=Gate(
                confirm_s,
                gate_s,
                self._policy.pricing,
                self._scenario.market.price_floor,
                self._scenario.market.price_cap,
            ),
            utility=UTILITY,
            calendar=self._calendar,
            currency=self._scenario.currency,
            log=self._world.log,
            policing=self._policing,
        )

    def _accounts(self, owner: Participant) -> Accounts:
        return Accounts(
            owner,
            calendar=self._calendar,
            currency=self._scenario.currency,
            ledger=self._world.ledger,
            log=self._world.log,
            practice=Practice(self._closing_rules, self._signatory(owner.era), lambda: self._world.second),
            settle=self._stopwatch.wrap("settlement", settle),
        )

    def _aggregator(self, name: str, connection: Connection) -> Aggregator:
        spec = next(s for s in self._scenario.aggregators if s.name == name)
        hosts_aggregators = bool(self._levels.members(name))
        roles = money.aggregator_roles(
            self._scenario, name, spec.fee_per_kwh, retail=self._retail, hosts_aggregators=hosts_aggregators
        )
        confirm_s = self._scenario.market.confirm_s + self._levels.ahead_s(name)
        own = [s for s in self._settlers if name in self._levels.path(s.population.host or MARKET)]
        node = common_node([self._feeder.node_of(s.site.bus) for s in own], parents_of(self._feeder))
        place = self._place(name, self._levels.host(name), node)
        kind: Callable[..., Aggregator] = Aggregator
        if spec.kind == "charge_point_operator":
            kind = functools.partial(
                ChargePointOperator,
                margin_per_kwh=spec.margin_per_kwh,
                site_limit_kw=spec.site_limit_kw or math.inf,
                connectors_kw=spec.connectors,
            )
        return kind(
            Seat(self._world, name, self._ids(name), place, self._calendar, signatory=self._signatory(name)),
            membership=self._membership(roles, confirm_s, confirm_s - spec.ahead_s + spec.ahead_s // 2),
            accounts=self._accounts,
            utility=UTILITY,
            root_node=ROOT,
            balance=None if self._retail else self._balance(name),
            capacity_kw=(-connection.import_cap_kw, connection.export_cap_kw),
        )

    def _balance(self, name: str) -> Balance:
        return Balance(money.balance_contract(self._scenario, name), self._world.ledger, self._world.log)

    def _inspector(self, resources: list[Resource]) -> Inspector | None:
        """The grid operator's eye on the wires; None where the market does not ask."""
        spec = self._scenario.market
        if not spec.rounds_max:
            return None
        limits = self._scenario.feeder.limits
        return Inspector(
            self._feeder,
            points=points_of(resources, self._levels),
            allowed={branch.name: allowed_loading(limits, branch) for branch in self._feeder.branches},
            band_pu=(limits.v_min_pu + limits.v_margin_pu, limits.v_max_pu - limits.v_margin_pu),
            kvar=lambda: self._world.wires.q_kvar,
            losses=spec.losses == "marginal",
            solve=self._solve,
        )

    def _forecaster(
        self, spec: ForecastsSpec, topics: tuple[Topic, ...], pushed: Mapping[Topic, Sequence[str]], market: Market
    ) -> Forecaster:
        """The weather service: the only one who is told what will happen."""
        truth = Truth(self._scenario, self._calendar, spec.horizon_h * 3600)

        def published(index: int) -> Mapping[str, float | None]:
            done = market.rounds.get(index)
            if done is None or done.stage is not Stage.PUBLISHED or done.clearing is None:
                return {}
            return done.clearing.price_per_kwh

        return Forecaster(
            self._world,
            FORECASTER,
            self._ids(FORECASTER),
            seed=self._scenario.seed,
            catalogue=CATALOGUE,
            calendar=self._calendar,
            currency=self._scenario.currency,
            topics=topics,
            series={topic: truth.series(topic) for topic in topics if topic.variable != "PRICE"},
            tariff=prices_by_minute(self._tariffs[0]),
            published=published,
            habits=Habits(
                ERROR_MODELS[spec.model],
                Accuracy(spec.sd, spec.correlation, spec.bias),
                refresh_s=spec.refresh_h * 3600,
                horizon_s=spec.horizon_h * 3600,
                ahead_s=self._scenario.market.confirm_s + self._levels.longest_s + FORECAST_AHEAD_S,
                valid_s=None if spec.valid_h is None else round(spec.valid_h * 3600),
            ),
            pushed=pushed,
        )

    def _utility(self, connections: Mapping[str, Connection], inspector: Inspector | None) -> Utility:
        return Utility(
            self._world,
            UTILITY,
            self._ids(UTILITY),
            connections=connections,
            wheeling_per_kwh=self._scenario.tariffs.wheeling_per_kwh,
            calendar=self._calendar,
            supplier_meter=RETAILER,
            losses=money.losses_contract(self._scenario, retail=self._retail),
            ledger=self._world.ledger,
            log=self._world.log,
            tariffs=self._tariffs,
            inspector=inspector,
        )

    def _metering(self, resources: list[Resource], read_by: Mapping[str, Sequence[str]]) -> MeterOperator:
        hosts: dict[str, list[str]] = {MARKET: []}
        for resource in resources:
            hosts.setdefault(resource.place.host, []).append(resource.place.meter)
        for spec in self._scenario.aggregators:
            hosts.setdefault(spec.name, [])
            hosts.setdefault(self._levels.host(spec.name), []).append(spec.name)
        return MeterOperator(
            self._world,
            METERING,
            self._ids(METERING),
            meters=self._world.meters,
            hosts=hosts,
            market=MARKET,
            utility=UTILITY,
            read_by=read_by,
            calendar=self._calendar,
        )

    def _retailer(self, capacity_kw: float) -> Retailer:
        place = self._place(RETAILER, MARKET, ROOT)
        return Retailer(
            Seat(
                self._world, RETAILER, self._ids(RETAILER), place, self._calendar, signatory=self._signatory(RETAILER)
            ),
            own_tariffs=self._tariffs,
            capacity_kw=capacity_kw,
        )


def _news(spec: ForecastsSpec) -> News:
    """How a scenario's forecasts reach those who follow them."""
    return News(spec.by == "SUBSCRIPTION", spec.pushed, (FORECASTER,) if spec.pushed else ())


def points_of(resources: Sequence[Resource], levels: Levels) -> dict[str, tuple[Point, ...]]:
    """Where the power of each participant of the market enters the grid: a host's at its members', by what these can do."""
    points: dict[str, tuple[Point, ...]] = {}
    hosted: dict[str, list[Device]] = {}
    for resource in resources:
        if resource.device is not None:
            points[resource.era] = (Point(resource.device.bus, 1.0, resource.device.phase),)
            hosted.setdefault(levels.trader(resource.place.host), []).append(resource.device)
    for host, devices in hosted.items():
        if host != MARKET:
            sizes = [max(-device.twin.min_kw, device.twin.max_kw) for device in devices]
            points[host] = tuple(
                Point(device.bus, size / sum(sizes), device.phase) for device, size in zip(devices, sizes, strict=True)
            )
    return points
