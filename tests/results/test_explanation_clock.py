"""What is explained of an interval in which the clocks are set."""

from __future__ import annotations

from pathlib import Path

from results.explanation import as_text, explanation
from results.run import Run
from scenarios.reader import read
from scenarios.runner import execute

HOME = Path(__file__).parents[2] / "scenarios" / "use_cases" / "home-charging.yaml"


def test_an_interval_that_seems_to_end_before_it_starts_says_why(tmp_path: Path) -> None:
    run = Run(execute(read(HOME, ["start=2016-10-29T17:00:00"]), tmp_path / "run"))
    headings = {posting.interval: as_text(explanation(run, str(n))) for n, posting in enumerate(run.ledger)}
    assert "Sun 30 Oct 02:45 to 02:00, with the clocks set back\n" in headings[39]
    assert not any("clocks" in text for interval, text in headings.items() if interval != 39)
