"""Progress bars: one that speaks simulated time, and one that counts runs; a log has lines in their place."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from tqdm import tqdm

from scenarios.engine import Outcome
from scenarios.foundation import calendar_of
from scenarios.recorder import Moment
from scenarios.spec import Scenario

LOGGED_S = 30
"""A log has a line in so many seconds, and not one for each state of a bar."""


class _Log:
    """Standard error that is no terminal: what would be drawn over the state before is a line, and none comes twice."""

    def __init__(self) -> None:
        self._last = ""

    def write(self, text: str) -> None:
        """A state of a bar, or what tqdm moves the cursor by."""
        line = text.strip()
        if line and line != self._last:
            sys.stderr.write(f"{line}\n")
            self._last = line

    def flush(self) -> None:
        """At once, for whoever follows the log."""
        sys.stderr.flush()


class _Bar:
    """A bar on standard error, closed by whoever opened it.  counted: how tqdm is to say what has been done."""

    def __init__(self, name: str, total: int, counted: str) -> None:
        drawn = (
            {"file": sys.stderr} if sys.stderr.isatty() else {"file": _Log(), "mininterval": LOGGED_S, "miniters": 1}
        )
        bar = " |{bar:24}|" if sys.stderr.isatty() else ""  # last, so that what is narrow cuts the bar and no number
        bar_format = f"{{desc}} {{percentage:3.0f}}% {counted}, {{remaining}} to go{bar}"
        self._bar = tqdm(total=total, desc=name, bar_format=bar_format, **drawn)

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
        super().__init__(scenario.name, self._calendar.count, "{n}/{total} intervals{postfix}")

    def __call__(self, moment: Moment) -> None:
        """An interval has ended."""
        self._bar.set_postfix_str(self._calendar.local(moment.second).strftime("%a %H:%M"), refresh=False)
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
