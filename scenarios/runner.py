"""One run from scenario to run folder.  What is left behind is a run, whole or up to an interval."""

from __future__ import annotations

import errno
import fcntl
import gc
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from agents.aggregator import Aggregator
from agents.provider import Provider
from results.run import JOURNAL, MANIFEST, Run
from results.writing import Draft
from scenarios.build import Built, build
from scenarios.recorder import Moment, Recorder
from scenarios.spec import Scenario
from scenarios.timing import Stopwatch
from sim.clock import Interval
from sim.contracts.contract import Status
from sim.errors import Fault, RunError, ScenarioError
from sim.feeder import Flow

Progress = Callable[[Moment], None]

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a system says when there is no room for more."""

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


def execute(scenario: Scenario, folder: Path, progress: Progress = lambda _: None) -> Path:
    """Run a scenario into a folder, replacing an earlier run there.

    Until it is done the run lies beside, under ``partial_of(folder)``.  There it stays where it is interrupted, and opens up
    to its last whole interval; an earlier run stays where it was.

    progress: told how things stand after every interval.  Raises ``DegsimError`` for a scenario that cannot run and for a
    folder that holds something else; then nothing is left behind.
    """
    folder = folder.resolve()
    if not is_free(folder, MANIFEST):
        raise ScenarioError(str(folder), "is neither empty nor a run; choose another --out")
    draft, former = partial_of(folder), folder.with_name(f".{folder.name}.former")
    _clear_away(draft)
    _keep_one(folder, former)
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
    except KeyboardInterrupt:
        if not (draft / MANIFEST).exists():
            shutil.rmtree(draft, ignore_errors=True)
        raise
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        if error.errno in FULL:  # told without a name
            raise ScenarioError(str(folder), f"cannot be written: {os.strerror(error.errno)}") from error
        raise
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    finally:
        _keep_one(folder, former)
    return folder


def _clear_away(draft: Path) -> None:
    """Remove what an earlier run left that was stopped, unless it is something else or still being written."""
    if not is_free(draft, JOURNAL):
        raise ScenarioError(str(draft), "is in the way, and no run that was stopped; choose another --out")
    if draft.exists():
        with alone(draft):
            shutil.rmtree(draft, ignore_errors=True)


def _keep_one(folder: Path, former: Path) -> None:
    """Of a run and the earlier one that was put aside for it, keep the one that is there; who put it aside may have died."""
    if former.exists() and not folder.exists():
        former.rename(folder)
    shutil.rmtree(former, ignore_errors=True)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Nobody else writes to this folder meanwhile, where the file system has locks.  Raises ``RunError``."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fault = Fault(str(folder), "another degsim is writing to it", "wait for it, or choose another --out")
            raise RunError(str(folder), (fault,)) from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(handle)


def left_behind(folder: Path) -> str:
    """What there is of a run of this folder that was interrupted, in words."""
    partial = partial_of(folder)
    if not (partial / MANIFEST).exists():
        return "before its first interval was whole; nothing was written"
    run = Run(partial)
    end = run.calendar.local(run.calendar.duration_s)
    whole = f"{run.calendar.count} of {run.planned} intervals are whole"
    return f"after {end:%a %H:%M}: {whole}, and {partial} opens up to there, as every run does"


def partial_of(folder: Path) -> Path:
    """Where a run of this folder is while it is not finished."""
    return folder.with_name(f"{folder.name}.partial")


def is_free(folder: Path, mark: str) -> bool:
    """Whether a folder may be written to: there is none, it is empty, or the file ``mark`` says that it is one of its kind."""
    return not folder.exists() or (folder.is_dir() and (not any(folder.iterdir()) or (folder / mark).exists()))


def _write(scenario: Scenario, folder: Path, progress: Progress) -> None:
    stopwatch = Stopwatch()
    with alone(folder), Draft(folder) as draft, stopwatch.part("set-up"):
        built = build(scenario, draft.journal, stopwatch)
        try:
            recorder, known = Recorder(built), described(built)
            observe = stopwatch.wrap("record", recorder.observe)

            def told(interval: Interval, flow: Flow) -> None:
                moment = observe(interval, flow)
                with stopwatch.part("tables"):
                    standing = {"sessions": recorder.sessions(interval.end_s)}
                    so_far = {**known, **experienced(built, interval.index + 1, stopwatch.seconds)}
                    testimony = built.world.witness.testimony_since(interval.index)
                    draft.add(so_far, recorder.take(), standing, testimony)
                progress(moment)

            with stopwatch.part("agents and messages"):
                built.world.run(told)
        finally:
            built.world.close()
        with stopwatch.part("tables"):
            done = experienced(built, built.world.calendar.count, stopwatch.seconds)
            draft.finish({**known, **done, "unsettledContracts": unsettled(built)})


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


def described(built: Built) -> dict[str, Any]:
    """What is known of a run before it begins, and all that is needed to do it again."""
    scenario, calendar = built.scenario, built.world.calendar
    return {
        "degsim": version("degsim"),
        "name": scenario.name,
        "policy": scenario.market.policy if scenario.has_market else "",
        "seed": scenario.seed,
        "start": calendar.timestamp(0),
        "intervalS": calendar.interval_s,
        "count": calendar.count,
        "timeZone": scenario.time_zone,
        "currency": scenario.currency,
        "scenario": scenario.model_dump(mode="json", by_alias=True),
        **provenance(),
    }


def experienced(built: Built, whole: int, durations: Mapping[str, float]) -> dict[str, Any]:
    """What has become of a run so far.  whole: intervals that are settled, sealed and written."""
    world, market = built.world, built.market
    actions: dict[str, dict[str, int]] = {}
    for (action, verdict), count in sorted(world.bus.counts.items()):
        actions.setdefault(action, {"ack": 0, "nack": 0})[verdict.lower()] = count
    return {
        "whole": whole,
        "journalHead": world.journal.head,
        "journalBytes": world.journal.size,
        "contractLog": msgspec.to_builtins(world.witness.seals[-1].head),
        "heldIntervals": [] if market is None else [k for k in range(whole) if not market.accounts.is_settled(k)],
        "policyStopped": {} if market is None else {str(index): why for index, why in market.stopped.items()},
        "physics": {
            "powerFlows": built.feeder.solves,
            "newtonAttempts": built.feeder.retries,
            "notes": list(built.feeder.notes),
            "compared": len(world.references),
            "largestGapPU": max((gap for _, gap in world.references), default=None),
        },
        "messages": actions,
        "durations": {part: round(seconds, 3) for part, seconds in durations.items()},
    }


def provenance() -> dict[str, Any]:
    """What numbers can depend on beside the scenario, as it is here: the versions of everything that matters."""
    return {
        "versions": {package: version(package) for package in MATTERS},
        "lockSha256": hashlib.sha256(LOCK.read_bytes()).hexdigest() if LOCK.exists() else None,
    }
