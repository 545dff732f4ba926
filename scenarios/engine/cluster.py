"""Runs on a Dask cluster, on other machines or started here.  The only door to Dask.

Every worker process has one run at a time, and the next one when that has come back: what waits is a list here and not a load
there, so that a worker that dies loses one run, and a worker that comes later is given some.
"""

from __future__ import annotations

import asyncio
import logging
import platform
import re
import tempfile
import warnings
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from scenarios.engine import ATTEMPTS, Outcome
from scenarios.engine.local import asked_for, for_children
from scenarios.engine.roster import Roster
from scenarios.engine.work import Reply, attempt
from scenarios.runner import MATTERS
from scenarios.study import DEGSIM, Task, code_of, in_use, program, source_of
from sim.errors import EngineError, Fault

ANSWER_S = 5
"""A scheduler, and the first of its workers, has this long to answer [s]."""
PATIENCE_S = 60
"""For so long a cluster may be without any worker before the rest of the runs is given up [s]."""


PACKAGES = (*(package for package in MATTERS if package != "degsim"), "distributed")
"""Packages of which workers need the same versions; of degsim itself they need the same code."""


class ClusterEngine:
    """Runs tasks on Dask workers.

    address: of a scheduler, such as ``tcp://10.0.0.5:8786``; None for workers that are started here and end with the runs.
    workers: how many are started, default one for each processor that this process may use.  keep: folder in which the run
    folders stay; where the workers are other machines, one that all of them see.
    A run whose worker dies is tried once more; at a scheduler of others as often as that allows.
    Raises ``EngineError`` for an address that is none and where Dask is not installed.
    """

    def __init__(self, address: str | None = None, workers: int | None = None, keep: Path | None = None) -> None:
        if address is not None and not re.fullmatch(r"(tcp|tls)://(\[[0-9a-fA-F:.]+\]|[\w.-]+):\d{1,5}", address):
            raise EngineError(address, (Fault(address, "is no address of a scheduler", "expected tcp://HOST:PORT"),))
        self._workers = asked_for(workers)
        _distributed()
        self._address = address
        self._keep = None if keep is None else keep.resolve()

    def run(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """See ``Engine``."""
        if not tasks:
            return
        with _quiet(), ExitStack() as stack:
            code = code_of(tasks)
            if self._address is None:
                client = stack.enter_context(_started(min(self._workers, len(tasks))))
            else:
                client = stack.enter_context(_connected(self._address))
                _compare(client, self._address, tuple(name for name in code if name != DEGSIM))
            try:
                yield from _completed(_Crew(client, self._keep, code), Roster(tasks))
            except (OSError, TimeoutError, CancelledError) as error:
                fault = Fault(self._address or "dask", "the scheduler was lost", "what has been done is done")
                raise EngineError(fault.where, (fault,)) from error


def _distributed() -> Any:
    try:
        import distributed  # noqa: PLC0415  heavy, and an extra
    except ImportError as error:
        raise EngineError("dask", (Fault("dask", f"is not installed: {error}", "install degsim[dask]"),)) from error
    return distributed


# --- having a cluster -------------------------------------------------------------------------------------------------


@contextmanager
def _quiet() -> Iterator[None]:
    """Dask tells of every worker that it loses; so do we, in the outcome."""
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "distributed"]
    before = {logger: logger.level for logger in map(logging.getLogger, names)}
    for logger in before:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in before.items():
            logger.setLevel(level)


@contextmanager
def _started(workers: int) -> Iterator[Any]:
    distributed = _distributed()
    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="degsim-", ignore_cleanup_errors=True))
        with for_children(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cluster = distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                worker_dashboard_address=None,
                silence_logs=logging.CRITICAL + 1,
                memory_limit=0,
                local_directory=scratch,
                scheduler_kwargs={"allowed_failures": 0},  # we count ourselves
            )
            stack.callback(cluster.close)
            client = stack.enter_context(distributed.Client(cluster, set_as_default=False))
        yield client


async def _asked(address: str) -> None:
    """Who listens at an address: a client would wait for ever for an answer of somebody that is no scheduler."""
    distributed = _distributed()
    security = distributed.Security().get_connection_args("client")
    async with distributed.core.rpc(address, timeout=ANSWER_S, connection_args=security) as scheduler:
        await asyncio.wait_for(scheduler.identity(), ANSWER_S)


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    distributed = _distributed()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with ThreadPoolExecutor(1) as aside:  # where no loop of a notebook runs
                aside.submit(asyncio.run, _asked(address)).result()
            client = distributed.Client(address, timeout=ANSWER_S, set_as_default=False)
    except Exception as error:  # whoever else listens there may answer anything
        fault = Fault(address, f"no Dask scheduler answers there within {ANSWER_S} s", "start one: dask scheduler")
        raise EngineError(address, (fault,)) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=ANSWER_S)
        except TimeoutError as error:
            fault = Fault(address, "the scheduler has no workers", f"start some: dask worker {address} --nthreads 1")
            raise EngineError(address, (fault,)) from error
        yield client


def identity(outside: Sequence[str]) -> Mapping[str, str]:
    """What numbers can depend on, in the process where it is asked.  outside: as in ``Task.outside``."""
    facts = {DEGSIM: program(), "Python": platform.python_version()}
    facts |= {package: version(package) for package in PACKAGES}
    for name in outside:
        try:
            facts[name] = in_use(name)
        except (ImportError, OSError) as error:
            facts[name] = f"cannot be {'imported' if ':' in name else 'read'}: {error}"
    return facts


def _compare(client: Any, address: str, outside: Sequence[str]) -> None:
    """Raises ``EngineError`` where a worker would compute something else than this process."""
    ours = {**identity(()), **{name: source_of(name) for name in outside}}
    faults: list[Fault] = []
    for worker, theirs in client.run(identity, outside, on_error="return").items():
        if isinstance(theirs, Exception):
            faults.append(Fault(worker, f"cannot run degsim: {theirs}", "install the same degsim[dask] there"))
            continue
        for name, mine in ours.items():
            if theirs.get(name) != mine:
                faults.append(Fault(worker, *_difference(name, mine, str(theirs.get(name)))))
    if faults:
        raise EngineError(address, tuple(faults))


def _difference(name: str, mine: str, theirs: str) -> tuple[str, str]:
    if theirs.startswith("cannot"):
        return f"{name} {theirs}", "start the worker in a folder that has it, or install it there"
    if name in ("Python", *PACKAGES):
        return f"{name} is {theirs} there and {mine} here", "install from the same requirements.lock"
    return f"the code of {name} is not the same there", "bring it there as it is here, and start the worker again"


# --- doing runs -------------------------------------------------------------------------------------------------------


def attempt_there(task: Task, keep: Path | None, code: Mapping[str, str]) -> tuple[str, Reply]:
    """In a worker: its address, and what the task came to.  Folders are made where Dask clears up after a lost worker."""
    worker = _distributed().get_worker()
    return worker.address, attempt(task, keep, Path(worker.local_directory), code)


@dataclass(frozen=True, slots=True)
class _Job:
    task: Task
    attempts: int


class _Crew:
    """The workers of a cluster, and what they are at."""

    def __init__(self, client: Any, keep: Path | None, code: Mapping[str, str]) -> None:
        self._client = client
        self._given = (keep, code)
        self._jobs: dict[Any, _Job] = {}
        self._again: deque[_Job] = deque()
        self._free: dict[str, int] = {}
        """Workers that have become free, with the seed that they were at."""

    def busy(self) -> bool:
        """Whether anything is under way or has to be tried again."""
        return bool(self._jobs or self._again)

    def occupy(self, roster: Roster) -> int:
        """Give every worker one task; how many workers there are."""
        workers = len(self._client.nthreads())
        while len(self._jobs) < workers and (self._again or roster):
            if self._again:
                self._begin(self._again.popleft())
                continue
            address, seed = self._free.popitem() if self._free else (None, None)
            self._begin(_Job(roster.take(seed, [job.task.seed for job in self._jobs.values()]), 1), address)
        self._free.clear()
        return workers

    def _begin(self, job: _Job, address: str | None = None) -> None:
        there = {} if address is None else {"workers": [address], "allow_other_workers": True}
        self._jobs[self._client.submit(attempt_there, job.task, *self._given, pure=False, **there)] = job

    def outcomes(self) -> list[Outcome]:
        """What has been completed since; waits for it, but a second at most."""
        try:
            if not self._jobs:
                self._client.wait_for_workers(1, timeout=1)
                return []
            with self._client.as_current():
                done = _distributed().wait(list(self._jobs), timeout=1, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            return []
        ended = [future for future in self._jobs if future in done]
        found = (self._outcome(future, self._jobs.pop(future)) for future in ended)
        return [outcome for outcome in found if outcome is not None]

    def _outcome(self, future: Any, job: _Job) -> Outcome | None:
        distributed = _distributed()
        try:
            address: str
            reply: Reply
            address, reply = future.result()
        except distributed.scheduler.KilledWorker as killed:
            attempts = job.attempts + killed.allowed_failures
            if attempts < ATTEMPTS:
                self._again.append(_Job(job.task, attempts + 1))
                return None
            times = "twice" if attempts == 2 else f"{attempts} times"
            return Outcome(job.task, None, f"the worker died {times}, last {killed.last_worker.address}", attempts)
        self._free[address] = job.task.seed
        return reply.outcome(job.task, job.attempts)


def _completed(crew: _Crew, roster: Roster) -> Iterator[Outcome]:
    alone_s = 0
    while roster or crew.busy():
        workers = crew.occupy(roster)
        outcomes = crew.outcomes()
        yield from outcomes
        alone_s = 0 if workers or outcomes else alone_s + 1
        if alone_s >= PATIENCE_S:
            raise EngineError("dask", f"there has been no worker for {PATIENCE_S} s")
