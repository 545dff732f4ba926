"""What the stability laboratory comes to: ``python -m tests.bench.stability``, a line for each scenario.

With a folder for an argument (``docs/pictures``) the picture of each goes there too.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from results.plots import stability as plot
from results.plots import style
from results.run import Run
from results.stability import of_run
from results.text import duration
from scenarios.reader import read
from scenarios.runner import execute

FOLDER = Path(__file__).parents[2] / "scenarios" / "stability"
HEAD = f"{'scenario':<19}{'in the end':<31}{'again after':<14}{'peak of limit':<15}{'beyond it':<12}alarm"


def line(run: Run) -> str:
    """How the flow of a run went, in one line."""
    found = of_run(run)
    assert found is not None
    ends = f"between {found.low_kw:.1f} and {found.high_kw:.1f} kW"
    stands = ends if found.settled_kw is None else f"settles at {found.settled_kw:.1f} kW"
    again = f"{found.cycle} intervals" if found.cycle and found.cycle > 1 else "-"
    alarm = "-"
    if found.alarms:
        at = run.calendar.local((found.alarms[0].first + 1) * run.calendar.interval_s)
        alarm = f"from {at:%H:%M}, half a period {found.alarms[-1].half_period}"
    beyond = duration(found.over_h) if found.over_h else "-"
    name = run.manifest["name"]
    return f"{name:<19}{stands:<31}{again:<14}{found.peak_use:<15.1%}{beyond:<12}{alarm}"


def main(pictures: Path | None) -> None:
    """Run all, print a line each, and draw."""
    sys.stdout.write(f"{HEAD}\n")
    for path in sorted(FOLDER.glob("*.yaml")):
        with tempfile.TemporaryDirectory() as folder:
            run = Run(execute(read(path), Path(folder) / "run"))
            sys.stdout.write(f"{line(run)}\n")
            if pictures is not None:
                with style.applied():
                    target = pictures / f"stability-{path.stem}.png"
                    plot.draw(run).savefig(target, dpi=80, metadata={"Software": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
