"""What whoever waits is told: a bar on a terminal, lines in a log."""

from __future__ import annotations

import io

import pytest

from scenarios import progress
from scenarios.engine import Outcome
from scenarios.reader import read
from tests.scenarios.hamlets import HAMLET, task


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(errors: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("sys.stderr", errors)
    with progress.Runs("hamlet", 3) as watch:
        for error in ("", "it broke", ""):
            watch(Outcome(task(), None, error))
    return errors.getvalue()


def test_a_log_has_lines_and_no_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = told(io.StringIO(), monkeypatch).splitlines()
    assert lines == [
        "hamlet   0% 0/3 runs, ? to go",
        "locational, seed 1: it broke",
        "hamlet 100% 3/3 runs, 1 failed, 00:00 to go",
    ]


def test_a_terminal_has_a_bar_that_is_drawn_over(monkeypatch: pytest.MonkeyPatch) -> None:
    text = told(Terminal(), monkeypatch)
    assert "\r" in text
    assert "3/3 runs, 1 failed, 00:00 to go |" in text
    assert "\rlocational, seed 1: it broke\n" in text


def test_the_log_of_a_run_says_when_it_began_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = io.StringIO()
    monkeypatch.setattr("sys.stderr", errors)
    with progress.Progress(read(HAMLET)) as watch:
        for second in range(1800, 9000, 1800):
            watch(second)
    assert errors.getvalue().splitlines() == [
        "hamlet   0% 0/4 intervals, ? to go",
        "hamlet 100% 4/4 intervals, Tue 13:00, 00:00 to go",
    ]
