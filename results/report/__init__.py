"""A finished run as one page of HTML: everything in one file, which opens by double click and asks no network for anything.

A section is a module under ``results.report.sections``, its scripts and styles under ``assets``, and a line in its table;
what scripts may count on is said at the top of ``assets/degsim.js``.
"""

from __future__ import annotations

from pathlib import Path

from results.report.page import PAGE, Content, Page, Section, assemble, put_down
from results.report.sections import SECTIONS, moment
from results.run import Run

__all__ = ["PAGE", "SECTIONS", "Content", "Page", "Section", "assemble", "report", "write"]


def report(run: Run) -> str:
    """The page of a run: the same run gives the same text.

    Raises ``RunError`` where the library that draws the charts is not installed, or the run cannot be read.
    """
    manifest = run.manifest
    market = f"policy {manifest['policy']}" if manifest["policy"] else "no market"
    subtitle = f"{market} · seed {manifest['seed']} · {_when(run)}"
    moments = [run.calendar.local(run.calendar.interval(i).start_s).isoformat() for i in range(run.calendar.count)]
    return assemble(run, SECTIONS, Page(str(manifest["name"]), subtitle, tuple(moments), moment.telling_interval(run)))


def _when(run: Run) -> str:
    calendar = run.calendar
    intervals = f"{calendar.count:,} interval{'s' * (calendar.count != 1)}"
    start = calendar.local(0)
    minutes = f"{calendar.interval_s / 60:g} min"
    return f"{intervals} of {minutes} from {start:%a} {start.day} {start:%b %Y %H:%M} {run.manifest['timeZone']}"


def write(run: Run, path: Path | None = None) -> Path:
    """Make the page and put it down at once, never half; default ``report.html`` in the run's folder.  Returns its path."""
    return put_down(report(run), run.path / PAGE if path is None else path)
