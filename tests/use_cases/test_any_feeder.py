"""Markets on feeders of others: by name, whatever their transformers are called and however many there are."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from results.run import Run
from results.verify import render, verify
from scenarios.reader import read
from scenarios.runner import execute

HOUR = {
    "name": "anywhere",
    "start": "2016-05-17T11:00:00",
    "time_zone": "Europe/Berlin",
    "interval_min": 15,
    "duration_h": 1,
    "populations": [
        {"kind": "household", "name": "house", "count": 12},
        {"kind": "solar", "name": "pv", "count": 12, "peak_kw": 8},
    ],
    "tariffs": {"currency": "EUR", "import": [{"price": 0.32}], "export": [{"price": 0.08}]},
    "market": {"price_floor": -0.5, "price_cap": 3.0},
}


def run_on(folder: Path, **feeder: object) -> Run:
    path = folder / "anywhere.yaml"
    path.write_text(yaml.safe_dump(HOUR | {"feeder": feeder}), encoding="utf-8")
    return Run(execute(read(path), folder / "run"))


@pytest.mark.parametrize(
    ("feeder", "nodes"),
    [
        ({"name": "cigre-lv"}, ["Trafo R0-R1", "Trafo I0-I1", "Trafo C0-C1"]),
        ({"name": "kerber-dorfnetz"}, ["trafo 1"]),
        ({"name": "mv-oberrhein"}, ["HV/MV Transformer 0", "HV/MV Transformer 1"]),
        ({"name": "case33bw", "limits": {"lines": [{"line": "line 0", "max_i_ka": 0.4}]}}, ["line 0"]),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)
def test_a_market_trades_on_a_feeder_by_name(feeder: dict[str, object], nodes: list[str], tmp_path: Path) -> None:
    run = run_on(tmp_path, **feeder)
    assert set(nodes) <= set(run.nodes["node"])
    assert (run.intervals["status"] == "OK").all()
    assert run.intervals["certified"].all()
    assert (run.intervals["quantity_kw"] > 1).all()
    assert all(count["nack"] == 0 for count in run.manifest["messages"].values())
    report = verify(run)
    assert report.findings == 0, render(report)
