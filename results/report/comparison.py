"""A comparison of many runs as one page of HTML, in the shell of a run's page."""

from __future__ import annotations

from pathlib import Path

from results.comparison import MANIFEST
from results.comparison.folder import OBSERVATIONS
from results.comparison.text import on_seeds
from results.report.page import PAGE, Page, assemble, put_down
from results.report.sections_of_comparison import SECTIONS
from results.report.sections_of_comparison.subject import STUDY, Subject
from sim.errors import Fault, RunError


def is_comparison(folder: Path) -> bool:
    """Whether a folder is one of ``degsim compare`` or ``degsim sweep``, finished or not."""
    return any((folder / name).is_file() for name in (MANIFEST, STUDY))


def report(folder: Path) -> str:
    """The page of the comparison in a folder: the same comparison gives the same text.

    Raises ``RunError`` where it was never finished, a file is not the one that was written, or the library that draws the
    charts is not installed.
    """
    _require_end(folder)
    subject = Subject.open(folder)
    comparison = subject.comparison
    scenario = f"scenario {subject.scenario['name']} · " if "name" in subject.scenario else ""
    variants = f"{len(comparison.variants)} variant{'s' * (len(comparison.variants) != 1)}"
    return assemble(subject, SECTIONS, Page(comparison.study, f"{scenario}{variants} on {on_seeds(comparison)}"))


def _require_end(folder: Path) -> None:
    """A comparison that was stopped has no statistics: of its runs, some variants have had more days than others."""
    if (folder / MANIFEST).is_file() or not (folder / STUDY).is_file():
        return
    done = sum(1 for _ in (folder / OBSERVATIONS).glob("*.parquet"))
    what = f"this comparison was never finished; {done} runs are done"
    raise RunError(str(folder), (Fault(MANIFEST, what, "the command that began it goes on from there"),))


def write(folder: Path, path: Path | None = None) -> Path:
    """Make the page and put it down at once; default ``report.html`` in the comparison's folder.  Returns its path."""
    return put_down(report(folder), folder / PAGE if path is None else path)
