"""One run from scenario to run folder.  Nothing is left behind unless all of it is there."""

from __future__ import annotations

import gc
import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from agents.aggregator import Aggregator
from agents.provider import Provider
from results.run import JOURNAL, MANIFEST, WITNESS, write
from scenarios.build import Built, build
from scenarios.recorder import Recorder
from scenarios.spec import Scenario
from scenarios.timing import Stopwatch
from sim.contracts.contract import Status
from sim.errors import ScenarioError

RUNS = Path("results/runs")
LOCK = Path(__file__).parents[1] / "requirements.lock"
MATTERS = ("degsim", "mesa", "msgspec", "numpy", "pandapower", "pandas", "pyarrow", "pydantic", "scipy", "simpy")
"""Packages whose versions can change a result."""


def default_folder(scenario: Scenario, overrides: Sequence[str] = ()) -> Path:
    """Where a run goes when nobody says: the same scenario, policy, seed and overrides always to the same place."""
    policy = scenario.market.policy.replace(":", "-") if scenario.has_market else "deals"
    others = sorted(o for o in overrides if o.partition("=")[0] not in ("market.policy", "seed"))
    mark = f"-{hashlib.sha256(chr(10).join(others).encode()).hexdigest()[:6]}" if others else ""
    return RUNS / f"{scenario.name}-{policy}-seed{scenario.seed}{mark}"


def execute(scenario: Scenario, folder: Path, progress: Callable[[int], None] = lambda _: None) -> Path:
    """Run a scenario into a folder, replacing an earlier run there.

    progress: called with the simulated second after every interval.  Raises ``DegsimError`` for a scenario that cannot run and
    for a folder that holds something else; then the folder is as it was.
    """
    folder = folder.resolve()
    if not is_free(folder, MANIFEST):
        raise ScenarioError(str(folder), "is neither empty nor a run; choose another --out")
    draft, former = (folder.with_name(f".{folder.name}.{what}") for what in ("partial", "former"))
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
    except OSError as error:
        raise ScenarioError(str(folder), f"cannot be written: {error.strerror}") from error
    try:
        with few_collections():
            _write(scenario, draft, progress)
        if folder.exists():
            folder.rename(former)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(former, ignore_errors=True)
    return folder


def is_free(folder: Path, mark: str) -> bool:
    """Whether a folder may be written to: there is none, it is empty, or the file ``mark`` says that it is one of its kind."""
    return not folder.exists() or (folder.is_dir() and (not any(folder.iterdir()) or (folder / mark).exists()))


def _write(scenario: Scenario, folder: Path, progress: Callable[[int], None]) -> None:
    stopwatch = Stopwatch()
    with (folder / JOURNAL).open("wb") as sink, stopwatch.part("set-up"):
        built = build(scenario, sink, stopwatch)
        try:
            recorder = Recorder(built)
            with stopwatch.part("agents and messages"):
                built.world.run(stopwatch.wrap("record", recorder.observe), progress)
            with stopwatch.part("record"):
                tables = recorder.tables()
        finally:
            built.world.close()
    (folder / WITNESS).write_bytes(built.world.witness.testimony)
    with stopwatch.part("tables"):
        write(folder, manifest(built, stopwatch.seconds), tables)


@contextmanager
def few_collections() -> Iterator[None]:
    """Collect garbage seldom: a world makes messages by the hundred thousand, none of them cyclic, and collecting at the
    default pace cost a third of the run (1,000 participants, a day).

    But a world itself is one large cycle.  So what has come since is looked through once in the end; left to itself, Python
    puts that off for longer the more there is, and 18 runs in one process kept 18 worlds.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.collect()
        gc.unfreeze()


def unsettled(built: Built) -> list[str]:
    """Contracts that have not ended, because what they came to is disputed, held, or before the arbitrator."""
    hosts = (built.market, *(resource for resource in built.resources if isinstance(resource, Aggregator)))
    members = [member for host in hosts if host is not None for member in host.membership.members.values()]
    providers = (agent for agent in built.world.agents if isinstance(agent, Provider))
    standing = [(member.contract, member.status) for member in members]
    standing += [(deal.contract, deal.status) for provider in providers for deal in provider.deals.values()]
    return [contract.id for contract, status in standing if status in (Status.PENDING, Status.ACTIVE)]


def manifest(built: Built, durations: Mapping[str, float]) -> dict[str, Any]:
    """Everything that is needed to understand the run, and to do it again."""
    scenario, world, market = built.scenario, built.world, built.market
    intervals = range(world.calendar.count)
    actions: dict[str, dict[str, int]] = {}
    for (action, verdict), count in sorted(world.bus.counts.items()):
        actions.setdefault(action, {"ack": 0, "nack": 0})[verdict.lower()] = count
    return {
        "degsim": version("degsim"),
        "name": scenario.name,
        "policy": scenario.market.policy if scenario.has_market else "",
        "seed": scenario.seed,
        "start": world.calendar.timestamp(0),
        "intervalS": world.calendar.interval_s,
        "count": world.calendar.count,
        "timeZone": scenario.time_zone,
        "currency": scenario.currency,
        "journalHead": world.journal.head,
        "journalBytes": world.journal.size,
        "contractLog": msgspec.to_builtins(world.witness.seals[-1].head),
        "heldIntervals": [] if market is None else [k for k in intervals if not market.accounts.is_settled(k)],
        "policyStopped": {} if market is None else {str(index): why for index, why in market.stopped.items()},
        "unsettledContracts": unsettled(built),
        "physics": {
            "powerFlows": built.feeder.solves,
            "newtonAttempts": built.feeder.retries,
            "notes": list(built.feeder.notes),
            "compared": len(world.references),
            "largestGapPU": max((gap for _, gap in world.references), default=None),
        },
        "messages": actions,
        "durations": {part: round(seconds, 3) for part, seconds in durations.items()},
        "scenario": scenario.model_dump(mode="json", by_alias=True),
        **provenance(),
    }


def provenance() -> dict[str, Any]:
    """What numbers can depend on beside the scenario, as it is here: the versions of everything that matters."""
    return {
        "versions": {package: version(package) for package in MATTERS},
        "lockSha256": hashlib.sha256(LOCK.read_bytes()).hexdigest() if LOCK.exists() else None,
    }
