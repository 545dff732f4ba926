"""Which task is handed out next."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from scenarios.study import Task


class Roster:
    """Tasks that wait, by seed: what a worker has computed for one run of a seed serves it for the next one."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._waiting: dict[int, deque[Task]] = {}
        for task in tasks:
            self._waiting.setdefault(task.seed, deque()).append(task)

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def take(self, last: int | None = None, busy: Iterable[int] = ()) -> Task:
        """The next task for a worker whose last one was of seed ``last`` while others are at the seeds ``busy``.

        Of its own seed if there is one, else of the first seed that nobody is at, else of that which has most left.
        Raises ``IndexError`` where nothing waits.
        """
        if not self._waiting:
            raise IndexError("nothing waits")
        taken = set(busy)
        free = (seed for seed in self._waiting if seed not in taken)
        seed = last if last in self._waiting else next(free, None)
        if seed is None:
            seed = max(self._waiting, key=lambda one: len(self._waiting[one]))
        task = self._waiting[seed].popleft()
        if not self._waiting[seed]:
            del self._waiting[seed]
        return task
