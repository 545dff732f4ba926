"""What it takes to look at a run: ``python -m tests.bench.looking RUN…``; without arguments, at a street's day that it makes.

Processor seconds, medians of three: opening, every table, every picture, the page.  Nothing is left in a run that is named.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from results import report
from results.plots import fitting, save
from results.run import Run
from results.tables import TABLES
from scenarios.reader import read
from scenarios.runner import execute

STREET = Path(__file__).parents[2] / "scenarios" / "street.yaml"
REPEATS = 3


def processor_s(call: Callable[[], object]) -> float:
    """Median processor seconds of a call."""
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        call()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)


def lines(folder: Path, scratch: Path) -> list[tuple[str, str]]:
    """What was measured, and the figures."""
    run = Run(folder)
    pictures = fitting(run)

    def draw() -> None:
        for name in pictures:
            save(Run(folder), name, scratch)

    opening = processor_s(lambda: Run(folder).intervals)
    tables = processor_s(lambda: [Run(folder).table(name) for name in TABLES])
    page = processor_s(lambda: report.write(Run(folder), scratch / "report.html"))
    size = (scratch / "report.html").stat().st_size / 1e6
    return [
        (f"{run.manifest['name']}: open, and the table of intervals", f"{1e3 * opening:.0f} ms"),
        (f"all {len(TABLES)} tables, {len(run.messages):,} messages", f"{1e3 * tables:.0f} ms"),
        (f"{len(pictures)} pictures as PNG", f"{processor_s(draw):.1f} s"),
        ("the page with its audit", f"{page:.1f} s, {size:.1f} MB"),
    ]


def main(folders: list[Path]) -> None:
    """Print the lines of each run."""
    with tempfile.TemporaryDirectory() as scratch:
        if not folders:
            folders = [execute(read(STREET), Path(scratch) / "street")]
        for folder in folders:
            for what, figure in lines(folder, Path(scratch)):
                sys.stdout.write(f"{what:58} {figure}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
