"""Progress bars: one that speaks simulated time, and one that counts runs."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from tqdm import tqdm

from scenarios.build import calendar_of
from scenarios.engine import Outcome
from scenarios.spec import Scenario


class _Bar:
    """A bar on standard error, closed by whoever opened it.  counted: how tqdm is to say what has been done."""

    def __init__(self, name: str, total: int, counted: str) -> None:
        bar_format = f"{{desc}} {{percentage:3.0f}}% |{{bar:24}}| {counted}, {{remaining}} to go"
        self._bar = tqdm(total=total, desc=name, file=sys.stderr, bar_format=bar_format)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()


class Progress(_Bar):
    """Counts intervals on standard error, with the simulated local time and the time still to wait."""

    def __init__(self, scenario: Scenario) -> None:
        self._calendar = calendar_of(scenario)
        super().__init__(scenario.name, self._calendar.count, "{postfix} {n}/{total} intervals")

    def __call__(self, seconds: int) -> None:
        """An interval has ended at this simulated second."""
        self._bar.set_postfix_str(self._calendar.local(seconds).strftime("%a %H:%M"), refresh=False)
        self._bar.update()


class Runs(_Bar):
    """Counts runs on standard error, those that failed too, and names each of these as it comes."""

    def __init__(self, name: str, total: int) -> None:
        self._failed = 0
        super().__init__(name, total, "{n}/{total} runs{postfix}")

    def __call__(self, outcome: Outcome) -> None:
        """A run has ended."""
        error = outcome.error or (outcome.observation.stopped if outcome.observation else "")
        if error:
            self._failed += 1
            self._bar.set_postfix_str(f"{self._failed} failed", refresh=False)
            self._bar.write(f"{outcome.task.variant}, seed {outcome.task.seed}: {error}", file=sys.stderr)
        self._bar.update()
