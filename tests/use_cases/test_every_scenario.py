"""Whatever ships in scenarios/ runs, balances to a watt in every interval, and passes its own audit."""

from __future__ import annotations

from pathlib import Path

import pytest

from results.run import Run
from results.verify import render, verify
from scenarios.reader import read
from scenarios.runner import execute
from sim.tolerances import BALANCE_KW, REFERENCE_PU
from tests.conftest import STREET

SHIPPED = sorted(STREET.parent.glob("*.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_scenario_is_sound_from_its_wires_to_its_money(path: Path, tmp_path: Path) -> None:
    run = Run(execute(read(path), tmp_path / "run"))
    assert (run.intervals["status"] == "OK").all()
    assert run.manifest["policyStopped"] == {}
    assert (run.intervals["residual_kw"].abs() <= BALANCE_KW).all()
    compared = run.intervals["reference_gap_pu"].dropna()
    assert len(compared) >= 1
    assert (compared <= REFERENCE_PU).all()
    report = verify(run)
    assert report.findings == 0, render(report)
