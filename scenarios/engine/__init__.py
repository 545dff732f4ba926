"""Who does many runs: the processes of this machine (``local``) or the workers of a cluster (``cluster``).

The engines are those of others, Python's own process pool and Dask; here is what is asked of them, and of a single run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from results.observation import Observation
from scenarios.study import Task

ATTEMPTS = 2
"""How often a run is tried whose worker dies: a machine may be lost once without the run being to blame."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one task.

    observation: of its run; None where that failed, and ``error`` says in one line why.  attempts: how many workers had it.
    seconds: how long the worker took that ended it, by the wall clock; 0 where that worker died.
    """

    task: Task
    observation: Observation | None
    error: str = ""
    attempts: int = 1
    seconds: float = 0.0


class Engine(Protocol):
    """Does runs."""

    def run(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Every task's outcome once, in the order in which they are completed.

        A run that fails is an outcome with an error.  Nothing is started before the first outcome is asked for; no process
        is left behind once the iterator is exhausted, closed or interrupted.  Raises ``DegsimError`` for an engine that
        cannot be had.
        """
