"""What whoever waits is told: a bar on a terminal, a line now and then in a log, or nothing.

A terminal shows two lines, drawn over what they said before::

    street ━━━━━━━━━━━━━━━━━━━━━━━━━━╸━━━━━━━━━━━━━━━━━━━━━━━━━━ 54%, 0:04 to go
    Tue 17 May 13:00, 0.0800 EUR/kWh, loading 87%, 11,273 times real time

A log has the same words as a line, one in ``LOGGED_S`` seconds and one at the end.  rich draws, and is imported only for a
terminal that can show it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from scenarios.engine import Outcome
from scenarios.foundation import calendar_of
from scenarios.spec import Scenario
from scenarios.timing import clock_s

if TYPE_CHECKING:
    from rich.console import RenderableType

    from scenarios.recorder import Moment

LOGGED_S = 30.0
"""A log has a line in so many seconds."""

DRAWN_S = 0.1
"""A terminal is drawn no more often than this; what comes between is shown with the next, and costs nothing."""

BAR_LEAST = 6
"""Fewest characters of a bar; a terminal without room for them has the words alone."""


class _Display(Protocol):
    """Something that states can be shown on."""

    every_s: float

    def show(self, name: str, share: float, words: str, details: str) -> None:
        """Say how far it is.  share: of what there is to do, 0..1.  details: of the last thing done; may be empty."""

    def tell(self, line: str) -> None:
        """Say something that stays."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class _Silence:
    """Nobody listens."""

    every_s = float("inf")

    def show(self, name: str, share: float, words: str, details: str) -> None:
        pass

    def tell(self, line: str) -> None:
        pass

    def close(self) -> None:
        pass


class _Log:
    """A file or a pipe: whole lines, and no control codes."""

    every_s = LOGGED_S

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def show(self, name: str, share: float, words: str, details: str) -> None:
        self.tell(", ".join(part for part in (f"{name} {words}", details) if part))

    def tell(self, line: str) -> None:
        self._file.write(f"{line}\n")
        self._file.flush()  # for whoever follows the log

    def close(self) -> None:
        pass


class _Terminal:
    """A terminal that can move its cursor."""

    every_s = DRAWN_S

    def __init__(self, file: TextIO) -> None:
        from rich.console import Console  # noqa: PLC0415
        from rich.live import Live  # noqa: PLC0415

        self._file = file
        # The data's own stream is never touched.  No thread draws: engines fork.
        self._console = Console(file=file, force_terminal=True, force_jupyter=False, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, redirect_stdout=False)
        self._live.start()

    def show(self, name: str, share: float, words: str, details: str) -> None:
        # rich would measure whichever of the standard streams is a terminal first; a window may change under way.
        columns, rows = os.get_terminal_size(self._file.fileno())
        self._console.size = self._console.size if 0 in (columns, rows) else (columns, rows)
        self._live.update(self._drawn(name, share, words, details), refresh=True)

    def _drawn(self, name: str, share: float, words: str, details: str) -> RenderableType:
        from rich.console import Group  # noqa: PLC0415
        from rich.progress_bar import ProgressBar  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        room = self._console.width - len(name) - len(words) - 2
        below = [Text(details, style="dim")] if details else []
        if room < BAR_LEAST:
            return Group(Text(f"{name} {words}"), *below)
        line = Table.grid(padding=(0, 1, 0, 0))
        line.add_row(Text(name), ProgressBar(total=1, completed=share, width=room), Text(words))
        return Group(line, *below)

    def tell(self, line: str) -> None:
        self._console.print(line, markup=False, emoji=False, soft_wrap=True)

    def close(self) -> None:
        self._live.stop()


def _display(quiet: bool) -> _Display:
    file = sys.stderr
    if quiet or file is None:
        return _Silence()
    if file.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown"):
        return _Terminal(file)
    return _Log(file)


class _Watch:
    """Counts what is done of ``total`` and says so on standard error, which may go away meanwhile."""

    warm_up = 0
    """So many are done before it is told how fast it goes: the first of a run waits for the world to be built."""

    def __init__(self, name: str, total: int, quiet: bool, clock: Callable[[], float]) -> None:
        self._name, self._total = name, total
        self._quiet, self._clock = quiet, clock
        self._display: _Display = _Silence()
        self._done = 0
        self._begun_s = self._warm_s = self._shown_s = 0.0

    def __enter__(self) -> Self:
        self._begun_s = self._warm_s = self._clock()
        with self._whoever_listens():
            self._display = _display(self._quiet)
            if isinstance(self._display, _Terminal):  # at once, that it be seen that something has begun
                self._show()
        self._shown_s = self._begun_s
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._whoever_listens():
            try:
                if error is None or self._done:  # whoever is refused wants to read why, and that alone
                    self._show()
            finally:
                self._display.close()

    def _step(self) -> None:
        self._done += 1
        if self._done == self.warm_up:
            self._warm_s = self._clock()
        # The last state is shown on leaving: until then something is still being written.
        if self._done < self._total and self._clock() - self._shown_s >= self._display.every_s:
            with self._whoever_listens():
                self._show()

    def _show(self) -> None:
        self._shown_s = self._clock()
        share = self._done / self._total
        self._display.show(self._name, share, f"{share:.0%}, {self._wait()}", ", ".join(self._details()))

    def _tell(self, line: str) -> None:
        with self._whoever_listens():
            self._display.tell(line)

    def _wait(self) -> str:
        if self._done == self._total:
            return f"in {_clock_face(self._shown_s - self._begun_s)}"
        pace = self._per_s()
        return f"{_clock_face((self._total - self._done) / pace) if pace else '?'} to go"

    def _per_s(self) -> float:
        """How many are done in a second; 0 while that is not known."""
        took_s, done = self._shown_s - self._warm_s, self._done - self.warm_up
        return done / took_s if done > 0 and took_s > 0 else 0.0

    def _details(self) -> Iterator[str]:
        """What else is known, most telling first."""
        raise NotImplementedError

    @contextmanager
    def _whoever_listens(self) -> Iterator[None]:
        """A terminal that was closed, or a reader that has left, ends what is told and not what is done."""
        try:
            yield
        except OSError:
            with suppress(OSError):
                self._display.close()
            self._display = _Silence()


class Progress(_Watch):
    """Counts the intervals of a run: where simulated time stands, how fast it goes, and what the last interval came to.

    quiet: whether to say nothing.  clock: seconds since whenever.
    """

    warm_up = 1

    def __init__(self, scenario: Scenario, quiet: bool = False, clock: Callable[[], float] = clock_s) -> None:
        self._calendar = calendar_of(scenario)
        self._currency = scenario.currency
        self._moment: Moment | None = None
        super().__init__(scenario.name, self._calendar.count, quiet, clock)

    def __call__(self, moment: Moment) -> None:
        """An interval has ended."""
        self._moment = moment
        self._step()

    def _details(self) -> Iterator[str]:
        moment = self._moment
        yield self._calendar.local(0 if moment is None else moment.second).strftime("%a %d %b %H:%M")
        if moment is not None and moment.price_per_kwh is not None:
            yield f"{moment.price_per_kwh:.4f} {self._currency}/kWh"
        if moment is not None and moment.loading is not None:
            yield f"loading {moment.loading:.0%}"
        if self._per_s():
            yield f"{self._per_s() * self._calendar.interval_s:,.0f} times real time"


class Runs(_Watch):
    """Counts the runs of a study, those that failed too, and names each of these as it comes.  Else as ``Progress``."""

    def __init__(self, name: str, total: int, quiet: bool = False, clock: Callable[[], float] = clock_s) -> None:
        self._failed = 0
        super().__init__(name, total, quiet, clock)

    def __call__(self, outcome: Outcome) -> None:
        """A run has ended."""
        error = outcome.error or (outcome.observation.stopped if outcome.observation else "")
        if error:
            self._failed += 1
            self._tell(f"{outcome.task.variant}, seed {outcome.task.seed}: {error}")
        self._step()

    def _details(self) -> Iterator[str]:
        yield f"{self._done}/{self._total} runs"
        if self._failed:
            yield f"{self._failed} failed"


def _clock_face(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
