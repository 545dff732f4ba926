"""What every world stands on, whoever moves in: clock, bus, journal, wires, and keys where messages are signed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from grid_models.powerflow import PandapowerFeeder
from scenarios.delays import delays_of
from scenarios.feeder import load
from scenarios.grid_events import grid_changes
from scenarios.names import METERING, UTILITY
from scenarios.spec import Scenario
from scenarios.timing import Stopwatch
from scenarios.trust import Trust
from sim.clock import Calendar, local_start
from sim.errors import FeederError
from sim.journal import Journal
from sim.participant import Ids, Participant
from sim.trust.signatory import Signatory
from sim.wires import Solve
from sim.world import World


@dataclass(frozen=True, slots=True, eq=False)
class Foundation:
    """A world without inhabitants.  lead_s: before the first interval, for everybody to find each other.  solve: power flow."""

    scenario: Scenario
    feeder: PandapowerFeeder
    calendar: Calendar
    world: World
    lead_s: int
    stopwatch: Stopwatch
    solve: Solve
    trust: Trust | None

    def add(self, participant: Participant, after_s: int) -> None:
        """Let somebody move in who wakes so many seconds after the beginning."""
        self.world.add(participant, after_s - self.lead_s)
        if self.trust is not None:
            self.world.journal.record("key", **self.trust.enrol(participant.era))

    def ids(self, era: str) -> Ids:
        """Identifiers for one participant's messages."""
        return Ids(self.scenario.seed, era)

    def signatory(self, era: str) -> Signatory:
        """A participant's hand for settlements."""
        return Signatory(era, self.world.key_of)

    def node_at(self, bus: str) -> str:
        """The grid node above a bus; empty for a bus above all of them."""
        try:
            return self.feeder.node_of(bus)
        except FeederError:
            return ""


def lay(scenario: Scenario, feeder: PandapowerFeeder, sink: BinaryIO, stopwatch: Stopwatch, lead_s: int) -> Foundation:
    """The foundation of a scenario's world; its journal goes to ``sink`` and begins with the scenario."""
    calendar = calendar_of(scenario)
    trust = Trust(scenario.seed, calendar, -lead_s, stopwatch) if scenario.wire.sign else None
    journal = Journal(sink)
    solve = stopwatch.wrap("power flow", feeder.solve)
    world = World(
        seed=scenario.seed,
        calendar=calendar,
        feeder=feeder,
        journal=journal,
        lead_s=lead_s,
        challenge_s=scenario.settlement.challenge_s,
        latency_s=scenario.wire.latency_s,
        keeper=UTILITY,
        witness=METERING,
        seals=trust,
        rate_limit=scenario.wire.rate_limit,
        delays=delays_of(scenario),
        changes=grid_changes(scenario, calendar, lambda: load(scenario.feeder, scenario.name)),
        compare=stopwatch.wrap("reference", lambda flow: feeder.reference(flow.p_kw, flow.q_kvar)),
        reference_every=scenario.feeder.reference_every,
        solve=solve,
        commit=stopwatch.wrap("journal", journal.commit),
    )
    journal.record("run", scenario=scenario.model_dump(mode="json", by_alias=True))
    return Foundation(scenario, feeder, calendar, world, lead_s, stopwatch, solve, trust)


def calendar_of(scenario: Scenario) -> Calendar:
    """The scenario's intervals."""
    return Calendar(
        start=local_start(scenario.start, scenario.time_zone),
        interval_s=scenario.interval_min * 60,
        count=scenario.duration_h * 60 // scenario.interval_min,
    )
