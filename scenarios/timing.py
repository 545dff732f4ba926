"""Where a run's seconds go.  The only place that reads the machine's clock; nothing simulated depends on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Stopwatch:
    """Seconds by part.  Parts do not overlap: time inside a nested part counts for the inner one only."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._stack: list[tuple[str, float]] = []

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what happens inside for this part."""
        self._switch(name)
        try:
            yield
        finally:
            self._back()

    def wrap(self, name: str, function: Callable[P, R]) -> Callable[P, R]:
        """The same function, counted for this part."""

        def timed(*args: P.args, **kwargs: P.kwargs) -> R:
            self._switch(name)
            try:
                return function(*args, **kwargs)
            finally:
                self._back()

        return timed

    def _switch(self, name: str) -> None:
        now = time.perf_counter()
        if self._stack:
            self._book(*self._stack[-1], now)
        self._stack.append((name, now))

    def _back(self) -> None:
        now = time.perf_counter()
        self._book(*self._stack.pop(), now)
        if self._stack:
            self._stack[-1] = (self._stack[-1][0], now)

    def _book(self, name: str, since: float, now: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + now - since


def clock_s() -> float:
    """Seconds since some moment, for telling whoever waits how long things take."""
    return time.perf_counter()
