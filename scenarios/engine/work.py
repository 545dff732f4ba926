"""One task from start to observation, in whatever process does it.

What goes there and back is small: a task, and an observation as bytes.
"""

from __future__ import annotations

import functools
import gc
import hashlib
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

from results.metrics import header, measure, parties, truth
from results.observation import Observation
from results.run import Run
from results.text import short
from scenarios import catalog
from scenarios.bound import Hindsight, hindsight, hindsight_key, horizon_for, needs, values_of
from scenarios.engine import Outcome
from scenarios.runner import execute, few_collections
from scenarios.spec import Scenario
from scenarios.study import Task, check_code
from scenarios.timing import Stopwatch
from sim.errors import DegsimError


@dataclass(frozen=True, slots=True)
class Reply:
    """What a worker sends back.

    data: the observation, empty where the run failed.  error: why it failed.  seconds: by the worker's wall clock.
    """

    data: bytes
    error: str
    seconds: float

    def outcome(self, task: Task, attempts: int) -> Outcome:
        """What the task came to, this being the answer to its last attempt."""
        found = Observation.from_bytes(self.data, f"{task.variant}, seed {task.seed}") if self.data else None
        return Outcome(task, found, self.error, attempts, self.seconds)


_ONE_AT_A_TIME = threading.Lock()
"""Runs share their process's garbage collector, and a worker of a cluster may have several threads."""


def attempt(task: Task, keep: Path | None, scratch: Path | None, code: Mapping[str, str] | None = None) -> Reply:
    """``perform``, with whatever it raises told in a line; what a policy prints goes where talk goes.

    code: as of ``code_of``, where whoever began the runs is another process; one that has loaded other code does nothing.
    """
    stopwatch = Stopwatch()
    data, error = b"", ""
    with _ONE_AT_A_TIME, stopwatch.part("task"), redirect_stdout(sys.stderr):
        try:
            if code is not None:
                check_code(task, code)
            data = perform(task, keep, scratch)
        except DegsimError as failure:
            error = _line(str(failure))
        except BaseException as failure:
            # A policy may call sys.exit; the other runs go on, and Ctrl-C is not heard here.
            error = _line(f"{type(failure).__name__}: {failure}")
        if error:
            gc.collect()  # the failure held the world in which it happened
    return Reply(data, error, stopwatch.seconds["task"])


def _line(text: str) -> str:
    """A text as one line that no terminal takes for a command."""
    plain = " ".join(text.split())
    return short("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in plain), LONGEST)


LONGEST = 1_000
"""Characters of an error that are kept."""


def perform(task: Task, keep: Path | None = None, scratch: Path | None = None) -> bytes:
    """Run a task and measure it: an ``Observation`` as bytes.

    keep: the run's folder stays below it, under ``folder_name``; None where it is removed.  scratch: where it is made
    meanwhile, default the system's folder for what is temporary.
    Raises ``DegsimError`` for a scenario that cannot run, and whatever comes out of a policy or a metric.
    """
    with _folder(task, keep, scratch) as folder:
        execute(task.scenario, folder)
        with few_collections():
            return observe(task, Run(folder)).to_bytes()


def folder_name(task: Task) -> str:
    """The name of a task's run folder, different for different variants and seeds."""
    plain = re.sub(r"[^\w.=,-]+", "-", task.variant, flags=re.ASCII).strip("-.")[:60]
    mark = "" if plain == task.variant else f"-{hashlib.sha256(task.variant.encode()).hexdigest()[:6]}"
    return f"{plain}{mark}-seed{task.seed}"


@contextmanager
def _folder(task: Task, keep: Path | None, scratch: Path | None) -> Iterator[Path]:
    if keep is not None:
        yield keep / folder_name(task)
        return
    folder = Path(tempfile.mkdtemp(prefix="degsim-", dir=scratch))
    try:
        yield folder / "run"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def observe(task: Task, run: Run) -> Observation:
    """What is kept of a finished run.  A scenario without a best plan has none, and a note says why."""
    values = measure(run, map(catalog.metric, task.metrics))
    notes: tuple[str, ...] = ()
    try:
        values |= values_of(run, _best(task.scenario))
    except DegsimError as error:
        why = str(error).removeprefix(f"{run.path}: ")  # of a folder that nobody will find any more
        notes = (f"not compared with the best plan: {why}",)
    return Observation(
        variant=task.variant,
        seed=task.seed,
        currency=task.scenario.currency,
        values=values,
        truth=_truth(run, task.scenario),
        stopped=_stopped(run),
        parties=parties(run),
        notes=notes,
    )


def _truth(run: Run, scenario: Scenario) -> str:
    """Digest of what no policy can influence: what the run's tables tell of it, and what is asked for, of which they have
    only what was served.  Where there is no market nothing else is asked for than the scenario says.
    """
    if not scenario.has_market:
        return hashlib.sha256(truth(run).encode()).hexdigest()[:32]
    try:
        horizon = _best(scenario).horizon
    except DegsimError:  # no plan keeps all limits; what is asked for is known all the same
        horizon = horizon_for(scenario)
    return hashlib.sha256(f"{truth(run)} {needs(horizon)}".encode()).hexdigest()[:32]


def _stopped(run: Run) -> str:
    head = header(run)
    return (
        _line(f"policy stopped in {head.stops} of {head.intervals} intervals, first {head.stopped}")
        if head.stops
        else ""
    )


def _best(scenario: Scenario) -> Hindsight:
    """The hindsight of a scenario, computed once for all policies that are tried on it."""
    return _known(_Asked(hindsight_key(scenario), scenario))


@dataclass(frozen=True, slots=True)
class _Asked:
    """A scenario, the same as every other one of its key."""

    key: str
    scenario: Scenario = field(compare=False)


@functools.lru_cache(maxsize=4)  # runs of one seed come one after another, and those of a few grid points by turns
def _known(asked: _Asked) -> Hindsight:
    return hindsight(asked.scenario)
