"""Runs on the processors of this machine, by Python's own process pool.

Every worker is a pool of one process: a pool whose process dies is broken as a whole, and so loses one run.  One worker is a
process too, and not this one: a run that crashes or is killed for its memory takes nobody along, and one worker does exactly
what two do.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import connection, resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import Any

from scenarios.engine import ATTEMPTS, Outcome
from scenarios.engine.roster import Roster
from scenarios.engine.work import Reply, attempt
from scenarios.study import Task, code_of
from sim.errors import EngineError

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
"""What numerical libraries read when they are loaded: each worker has one processor."""


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def asked_for(workers: int | None) -> int:
    """How many workers are wanted, default one for each processor.  Raises ``EngineError`` below one."""
    if workers is not None and workers < 1:
        raise EngineError("workers", f"expected at least 1, got {workers}")
    return workers or processors()


class LocalEngine:
    """Runs tasks on this machine.

    workers: processes, default one for each processor that this process may use.  keep: folder in which the run folders stay.
    Raises ``EngineError`` for a number of workers below one.
    """

    def __init__(self, workers: int | None = None, keep: Path | None = None) -> None:
        self.workers = asked_for(workers)
        self._keep = keep

    def run(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """See ``Engine``."""
        roster, code = Roster(tasks), code_of(tasks)
        keep = None if self._keep is None else self._keep.resolve()
        crew: list[_Worker] = []
        with tempfile.TemporaryDirectory(prefix="degsim-", ignore_cleanup_errors=True) as scratch:
            try:
                for _ in range(min(self.workers, len(tasks))):
                    crew.append(_Worker(keep, Path(scratch), code))
                    _occupy(crew[-1], roster, crew)
                yield from _completed(crew, roster)
            finally:
                for worker in crew:
                    worker.end()


def _occupy(worker: _Worker, roster: Roster, crew: Sequence[_Worker]) -> None:
    if roster:
        busy = [one.job.task.seed for one in crew if one is not worker and one.job is not None]
        worker.begin(roster.take(worker.seed, busy))


def _completed(crew: Sequence[_Worker], roster: Roster) -> Iterator[Outcome]:
    """Outcomes as they come; whoever is done has its next task before anybody looks at the outcome."""
    while jobs := {worker.job.future: worker for worker in crew if worker.job is not None}:
        done, _ = wait(jobs, return_when=FIRST_COMPLETED)
        for future in [future for future in jobs if future in done]:
            worker = jobs[future]
            outcome = worker.result()
            if worker.job is None:
                _occupy(worker, roster, crew)
            if outcome is not None:
                yield outcome


@dataclass(frozen=True, slots=True)
class _Job:
    """A task that a worker is at, for the how-manieth time."""

    task: Task
    future: Future[Reply]
    attempts: int = 1


class _Worker:
    """One process, and the next one when it has died."""

    def __init__(self, keep: Path | None, scratch: Path, code: Mapping[str, str]) -> None:
        self._folders = (keep, scratch)
        self._code = code
        self._hired: tuple[ProcessPoolExecutor, _Context] | None = None
        self.job: _Job | None = None
        self.seed: int | None = None

    def begin(self, task: Task) -> None:
        """Do a task; whatever was done before is over."""
        self.seed = task.seed
        self.job = _Job(task, self._submit(task))

    def result(self) -> Outcome | None:
        """What the finished job came to; None where the worker died and the job has begun again."""
        job = self.job
        assert job is not None
        self.job = None
        try:
            return job.future.result().outcome(job.task, job.attempts)
        except BrokenProcessPool:
            died = self._dismiss()
            if job.attempts == ATTEMPTS:
                return Outcome(job.task, None, f"the worker died twice ({died})", job.attempts)
            self.job = replace(job, future=self._submit(job.task), attempts=job.attempts + 1)
            return None

    def end(self) -> None:
        """End the process at once, whatever it is doing."""
        if self._hired is not None:
            for process in self._hired[1].started:
                process.kill()
            self._dismiss()

    def _submit(self, task: Task) -> Future[Reply]:
        with for_children():
            if self._hired is not None:
                try:
                    return self._hired[0].submit(attempt, task, *self._folders, self._code)
                except BrokenProcessPool:  # it died with nothing to do
                    self._dismiss()
            context = _Context()
            self._hired = ProcessPoolExecutor(1, context, _settle_in, self._folders[1:]), context
            return self._hired[0].submit(attempt, task, *self._folders, self._code)

    def _dismiss(self) -> str:
        """Wait until the process is gone, and say how it went."""
        assert self._hired is not None
        pool, context = self._hired
        self._hired = None
        pool.shutdown(wait=True, cancel_futures=True)
        for process in context.started:
            process.join()
        return _told(context.started[-1].exitcode) if context.started else "it never began"


class _Context(SpawnContext):
    """Fresh interpreters, which are remembered: a pool tells neither how its process ended nor can it end one in mid-run.

    Forks of a server that has everything loaded begin sooner, but the server stays for as long as we do, and it is the one
    that hears how they ended.
    """

    def __init__(self) -> None:
        self.started: list[SpawnProcess] = []

    def Process(self, *arguments: Any, **named: Any) -> SpawnProcess:  # type: ignore[override]
        process = SpawnProcess(*arguments, **named)
        self.started.append(process)
        return process


@contextmanager
def for_children() -> Iterator[None]:
    """What processes take over from us when they are started: one thread each, and deaf to Ctrl-C, which is ours to hear."""
    resource_tracker.ensure_running()  # Python's own, which lets Ctrl-C through again when it is started
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _settle_in(scratch: Path) -> None:
    """In the worker: end when whoever started it is gone, however that came about, and clear up in its place."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        connection.wait([parent.sentinel])
        shutil.rmtree(scratch, ignore_errors=True)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _told(exitcode: int | None) -> str:
    if exitcode is None or exitcode >= 0:
        return f"exit status {exitcode}"
    name = signal.Signals(-exitcode).name if -exitcode in set(signal.Signals) else "unknown"
    hint = "; was there not enough memory?" if -exitcode == signal.SIGKILL else ""
    return f"exit by signal {-exitcode}, {name}{hint}"
