"""What whoever waits is told: a bar on a terminal, lines in a log, nothing under ``--quiet``."""

from __future__ import annotations

import codecs
import fcntl
import io
import os
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO

import pytest

from scenarios import cli, progress
from scenarios.engine import Outcome
from scenarios.reader import read
from tests.conftest import STREET
from tests.scenarios.hamlets import HAMLET, task

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


class Watch:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def moment(second: int, price: float | None = 0.0812, loading: float | None = 0.874) -> Any:
    return SimpleNamespace(second=second, price_per_kwh=price, loading=loading)


@contextmanager
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    errors = io.StringIO()
    monkeypatch.setattr("sys.stderr", errors)
    yield errors


# --- a log -----------------------------------------------------------------------------------------------------------


def test_a_log_of_runs_names_those_that_failed_and_ends_with_a_count(monkeypatch: pytest.MonkeyPatch) -> None:
    with told(monkeypatch) as errors, progress.Runs("hamlet", 3, clock=Watch()) as watch:
        for error in ("", "it broke", ""):
            watch(Outcome(task(), None, error))
    assert errors.getvalue().splitlines() == [
        "locational, seed 1: it broke",
        "hamlet 100%, in 0:00, 3/3 runs, 1 failed",
    ]


def test_a_log_has_a_line_every_thirty_seconds_and_one_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Watch()
    with told(monkeypatch) as errors, progress.Progress(read(HAMLET), clock=clock) as watch:
        for second in range(1800, 9000, 1800):
            clock.now_s += 20
            watch(moment(second))
    assert errors.getvalue().splitlines() == [
        "hamlet 50%, 0:40 to go, Tue 17 May 12:00, 0.0812 EUR/kWh, loading 87%, 90 times real time",
        "hamlet 100%, in 1:20, Tue 17 May 13:00, 0.0812 EUR/kWh, loading 87%, 90 times real time",
    ]


def test_what_an_interval_does_not_have_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with told(monkeypatch) as errors, progress.Progress(read(HAMLET), clock=Watch()) as watch:
        watch(moment(1800, None, None))
    assert errors.getvalue() == "hamlet 25%, ? to go, Tue 17 May 11:30\n"


def test_a_run_that_breaks_says_how_far_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        with progress.Progress(read(HAMLET), clock=Watch()) as watch:
            watch(moment(1800))
            raise ValueError("it broke")

    with told(monkeypatch) as errors, pytest.raises(ValueError, match="broke"):
        broken()
    assert errors.getvalue().startswith("hamlet 25%, ")


def test_hours_are_told_as_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Watch()
    with told(monkeypatch) as errors, progress.Runs("hamlet", 3, clock=clock) as watch:
        clock.now_s = 3725
        watch(Outcome(task(), None, ""))
    assert errors.getvalue().splitlines()[0] == "hamlet 33%, 2:04:10 to go, 1/3 runs"


def test_whoever_is_quiet_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with told(monkeypatch) as errors, progress.Runs("hamlet", 1, quiet=True) as watch:
        watch(Outcome(task(), None, "it broke"))
    assert errors.getvalue() == ""


def test_a_closed_standard_error_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    with progress.Runs("hamlet", 1) as watch:
        watch(Outcome(task(), None, ""))


def test_a_reader_that_leaves_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stderr", Broken())
    done = 0
    with progress.Runs("hamlet", 3) as watch:
        for _ in range(3):
            watch(Outcome(task(), None, "it broke"))
            done += 1
    assert done == 3


# --- the command -----------------------------------------------------------------------------------------------------


def test_a_quiet_run_has_its_summary_and_no_talk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", str(HAMLET), "--out", str(tmp_path / "loud")]) == 0
    loud = capsys.readouterr()
    assert cli.main(["run", str(HAMLET), "--out", str(tmp_path / "still"), "--quiet"]) == 0
    still = capsys.readouterr()
    assert f"run folder: {tmp_path / 'loud'}" in loud.err
    assert still.err == ""
    assert without_time(still.out) == without_time(loud.out) != ""


def without_time(summary: str) -> str:
    return summary.partition("\ntime")[0]


def test_a_quiet_comparison_has_its_table_and_no_talk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["compare", str(HAMLET), "--policy", "locational", "--seeds", "1", "--workers", "1", "--out", str(tmp_path)]
    assert cli.main([*call, "--quiet"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "locational" in shown.out


def test_what_cannot_be_run_is_said_also_to_whoever_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "nowhere.yaml", "--quiet"]) == 2
    assert "nowhere.yaml" in capsys.readouterr().err


# --- a terminal ------------------------------------------------------------------------------------------------------


class Terminal:
    """A terminal of so many columns, and all that is written to it."""

    def __init__(self, columns: int = 80) -> None:
        self._master, self._slave = os.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.drawn = ""

    def file(self, encoding: str) -> TextIO:
        """The side that is written to."""
        return open(self._slave, "w", encoding=encoding, errors="backslashreplace", closefd=False)

    def child(self, *command: str) -> subprocess.Popen[str]:
        """Start Python with this terminal for its standard error."""
        known = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
        given = {**known, "TERM": "xterm-256color", "PYTHONPATH": str(STREET.parents[1])}
        child = subprocess.Popen(
            [sys.executable, *command],
            stdout=subprocess.PIPE,
            stderr=self._slave,
            env=given,
            text=True,
            start_new_session=True,
        )
        self.let_go()
        return child

    def let_go(self) -> None:
        """Close the side that is written to, so that reading ends when whoever else has it is done."""
        os.close(self._slave)

    def read_until(self, found: Callable[[str], bool] = lambda _: False) -> None:
        """Read what is written until something is, or until nobody can write any more."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        while not found(self.drawn):
            try:
                chunk = os.read(self._master, 65536)
            except OSError:  # EIO: nobody has the other side any more
                return
            self.drawn += decoder.decode(chunk)

    def hang_up(self) -> None:
        """Close the side that is read."""
        os.close(self._master)


@pytest.fixture
def draw(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Watches a hamlet of four intervals on a terminal, and gives what was drawn."""
    monkeypatch.setattr(progress._Terminal, "every_s", 0.0)
    for name in ("NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def drawn(columns: int = 80, encoding: str = "utf-8", **environment: str) -> str:
        for name, value in {"TERM": "xterm-256color", **environment}.items():
            monkeypatch.setenv(name, value)
        terminal, clock = Terminal(columns), Watch()
        reader = threading.Thread(target=terminal.read_until)
        reader.start()
        with terminal.file(encoding) as file:
            monkeypatch.setattr("sys.stderr", file)
            with progress.Progress(read(HAMLET), clock=clock) as watch:
                for second in range(1800, 9000, 1800):
                    clock.now_s += 20
                    watch(moment(second))
                    sys.stdout.write(f"data {second}\n")
        terminal.let_go()
        reader.join()
        terminal.hang_up()
        return terminal.drawn

    return drawn


def states(drawn: str) -> list[str]:
    """Every state that was drawn over the one before, without colours."""
    return [CONTROL.sub("", state).replace("\r", "") for state in re.split(r"\r\x1b\[2K(?:\x1b\[1A\x1b\[2K)*", drawn)]


def test_a_terminal_shows_time_price_loading_and_what_is_left(
    draw: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = states(draw())
    assert capsys.readouterr().out.split() == ["data", "1800", "data", "3600", "data", "5400", "data", "7200"]
    half = next(state for state in drawn if " 50%, " in state)
    assert re.search(r"hamlet ━+[╸╺ ]?━+ 50%, 0:40 to go\n", half)
    assert "\nTue 17 May 12:00, 0.0812 EUR/kWh, loading 87%, 90 times real time" in half
    assert "━ 100%, in 1:20\n" in drawn[-1]


def test_the_cursor_is_hidden_while_it_draws_and_comes_back(draw: Callable[..., str]) -> None:
    drawn = draw()
    assert drawn.count(HIDE) == drawn.count(SHOW) == 1
    assert drawn.index(HIDE) < drawn.index("hamlet") < drawn.rindex(SHOW)
    assert drawn.endswith(SHOW)


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_no_line_is_longer_than_the_terminal(draw: Callable[..., str], columns: int) -> None:
    drawn = draw(columns)
    lines = [line for state in states(drawn) for line in state.splitlines()]
    assert max(map(len, lines)) <= columns
    text = re.sub(r"\s+", " ", "\n".join(lines))
    for said in ("hamlet", "Tue 17 May 12:00,", "0.0812 EUR/kWh", "loading 87%", "50%, ", "to go"):
        assert said in text


def test_without_colours_there_are_none_and_the_bar_still_grows(draw: Callable[..., str]) -> None:
    drawn = draw(NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9][0-9;]*m", drawn)
    bars = [state.count("━") for state in states(drawn)]
    assert sorted(set(bars)) == bars[:1] + sorted(set(bars[1:]))
    assert len(set(bars)) == 5


def test_a_dumb_terminal_has_plain_lines(draw: Callable[..., str]) -> None:
    drawn = draw(TERM="dumb")
    assert "\x1b" not in drawn
    assert drawn.splitlines()[-1].startswith("hamlet 100%, in 1:20, ")


def test_an_encoding_without_lines_has_dashes(draw: Callable[..., str]) -> None:
    drawn = draw(encoding="ascii")
    assert "━" not in drawn
    assert re.search(r"hamlet -+", CONTROL.sub("", drawn))


def test_ctrl_c_gives_the_cursor_back(tmp_path: Path) -> None:
    terminal = Terminal()
    child = terminal.child("-m", "scenarios.cli", "run", str(STREET), "--out", str(tmp_path / "run"))
    terminal.read_until(lambda drawn: "EUR/kWh" in drawn)
    child.send_signal(signal.SIGINT)
    terminal.read_until()
    terminal.hang_up()
    assert child.communicate(timeout=60)[0] == ""
    assert child.returncode == 130
    drawn, _, after = terminal.drawn.rpartition(SHOW)
    assert "EUR/kWh" in drawn
    assert after.startswith("degsim: interrupted after ")
    assert not (tmp_path / "run").exists()


HEEDLESS = """
import signal, sys
signal.signal(signal.SIGHUP, signal.SIG_IGN)
from scenarios import cli
cli.main(sys.argv[1:])
"""


def test_a_terminal_that_goes_away_under_nohup_stops_nothing(tmp_path: Path) -> None:
    terminal = Terminal()
    child = terminal.child("-c", HEEDLESS, "run", str(HAMLET), "--out", str(tmp_path / "run"))
    terminal.read_until(lambda drawn: "hamlet" in drawn)
    terminal.hang_up()
    assert "hamlet: policy locational" in child.communicate(timeout=60)[0]
    assert (tmp_path / "run" / "run.json").is_file()


def test_a_bar_that_nobody_could_see_grow_is_not_drawn_again() -> None:
    clock = Watch()
    shown = []

    class Seen:
        every_s = progress.DRAWN_S

        def show(self, name: str, share: float, words: str, details: str) -> None:
            shown.append(share)

        def close(self) -> None:
            pass

    with progress.Runs("hamlet", 100, quiet=True, clock=clock) as watch:
        watch._display = Seen()  # type: ignore[assignment]
        for _ in range(100):
            clock.now_s += 0.03125
            watch(Outcome(task(), None, ""))
    assert shown == [*(k / 100 for k in range(4, 97, 4)), 1.0]


def test_rich_is_imported_for_a_terminal_alone() -> None:
    asked = "import sys, scenarios.progress, scenarios.comparing; print('rich' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=True, cwd=STREET.parents[1]
    )
    assert found.stdout == "False\n"
