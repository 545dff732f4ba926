"""Runs of the library and their pages, for the tests of messages and money."""

from __future__ import annotations

from pathlib import Path

from results import report
from results.run import Run
from scenarios.reader import read
from scenarios.runner import execute

LIBRARY = Path(__file__).parents[2] / "scenarios" / "use_cases"


def made(folder: Path, name: str) -> tuple[Run, Path]:
    """A run of the library's scenario of this name, and its page."""
    run = Run(execute(read(LIBRARY / f"{name}.yaml"), folder / name))
    return run, report.write(run)
