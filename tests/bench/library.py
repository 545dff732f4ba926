"""What each scenario of the library costs: ``python -m tests.bench.library``, a line each.

Seconds are of the processor, medians of three runs in this process after one that warms it up; start-up is what the command
line takes besides, once.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from results.run import Run
from scenarios.reader import read
from scenarios.runner import execute

FOLDER = Path(__file__).parents[2] / "scenarios" / "use_cases"
TIMES = 3
HEAD = f"{'scenario':<30}{'intervals':>10}{'messages':>10}{'seconds':>9}"


def seconds(path: Path, folder: Path) -> float:
    """Processor seconds of one run, the reading of its YAML included."""
    begun = time.process_time()
    execute(read(path), folder)
    return time.process_time() - begun


def main() -> None:
    """Run all, and print a line each."""
    sys.stdout.write(f"{HEAD}\n")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "run"
        for path in sorted(FOLDER.glob("*.yaml")):
            taken = [seconds(path, folder) for _ in range(TIMES + 1)][1:]
            manifest = Run(folder).manifest
            said = sum(sum(count.values()) for count in manifest["messages"].values())
            sys.stdout.write(f"{path.stem:<30}{manifest['count']:>10}{said:>10,}{statistics.median(taken):>9.2f}\n")


if __name__ == "__main__":
    main()
