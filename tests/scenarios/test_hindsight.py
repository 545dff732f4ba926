"""What bidders know: nothing of what has not happened yet, whatever they are and however they decide."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import scenarios.build
from scenarios.reader import read
from scenarios.runner import execute
from scenarios.spec import Scenario
from scenarios.weather import Weather, weather_of
from sim.clock import Calendar
from sim.journal import MESSAGE_LINE

STREET = Path("scenarios/flexible-street.yaml")
CHANGES_AT = 6
"""Number of the interval from which on the world goes another way."""

OVERRIDES = (
    "duration_h=3",
    "start=2016-12-06T08:00:00",
    "populations.house.count=6",
    "populations.pv.count=6",
    "populations.building.count=4",
    "populations.pv.bid_quantile=0.2",
    "populations.car.optimiser=mpc",
    "populations.car.discharge_kw=11",
    "populations.car.departure_sd_h=1",
    "forecasts=null",
)


def another_way(scenario: Scenario, calendar: Calendar) -> Weather:
    """The same weather and demand up to a time; then three times the load, another sun and a cold spell."""
    found = weather_of(scenario, calendar)
    load_kw, load_kvar, pv_pu, outdoor_c = (
        rows.copy() for rows in (found.load_kw, found.load_kvar, found.pv_pu, found.outdoor_c)
    )
    row = CHANGES_AT + 1
    load_kw[row:] *= 3
    load_kvar[row:] *= 3
    pv_pu[row:] = 0.7 - pv_pu[row:] / 2
    outdoor_c[row:] -= 15
    return replace(found, load_kw=load_kw, load_kvar=load_kvar, pv_pu=pv_pu, outdoor_c=outdoor_c)


def told(folder: Path, *, before_s: int) -> list[bytes]:
    """Every message of a run up to a second, byte for byte."""
    lines = (folder / "journal.jsonl").read_bytes().splitlines()
    return [line for line in lines if line.startswith(MESSAGE_LINE) and json.loads(line)["t"] < before_s]


@pytest.mark.parametrize("decides", ["rule", "threshold", "mpc"])
def test_what_will_be_otherwise_changes_no_message_before_it_happens(
    decides: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = "mpc" if decides == "mpc" else "rule"
    chosen = (f"populations.battery.optimiser={decides}", f"populations.building.method={method}")
    scenario = read(STREET, (*OVERRIDES, *chosen))
    execute(scenario, tmp_path / "one")
    monkeypatch.setattr(scenarios.build, "weather_of", another_way)
    execute(scenario, tmp_path / "other")
    at_s = CHANGES_AT * scenario.interval_min * 60
    before, otherwise = (told(tmp_path / name, before_s=at_s) for name in ("one", "other"))
    assert len(before) > 1000
    assert before == otherwise
    later = [told(tmp_path / name, before_s=at_s + 1800) for name in ("one", "other")]
    assert later[0] != later[1], "it does change what comes after"
