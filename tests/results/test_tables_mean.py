"""That columns hold what their descriptions say, computed here from other columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from results.run import Run
from results.tables import TABLES
from scenarios.reader import read
from scenarios.runner import execute

ROOT = Path(__file__).parents[2]


def described(table: str, column: str) -> str:
    return str(TABLES[table].field(column).metadata[b"description"].decode())


def test_a_loading_is_a_current_and_no_apparent_power(tmp_path: Path) -> None:
    run = Run(execute(read(ROOT / "tests" / "scenarios" / "hamlet.yaml"), tmp_path / "run"))
    trafo = run.elements.set_index("name").loc["trafo"]
    rows = run.nodes[run.nodes["node"] == "trafo"].set_index("interval")
    v_pu = run.voltages[run.voltages["bus"] == trafo["end"]].set_index("interval")["v_pu"]
    apparent = np.hypot(rows["wire_lv_kw"], rows["wire_lv_kvar"]) / trafo["rated_kva"]
    current = apparent / v_pu
    # What idles in the core flows at the upper end alone.
    assert (rows["loading"] >= current - 1e-9).all()
    busiest = apparent.idxmax()
    assert rows["loading"][busiest] == pytest.approx(current[busiest], rel=1e-9)
    assert rows["loading"][busiest] < 0.99 * apparent[busiest]
    assert described("nodes", "loading").startswith("current")


def test_what_a_car_was_served_is_in_its_battery_and_the_meter_counts_more(tmp_path: Path) -> None:
    run = Run(execute(read(ROOT / "scenarios" / "use_cases" / "home-charging.yaml"), tmp_path / "run"))
    car = run.sessions.iloc[0]
    metered_kwh = -run.setpoints.loc[run.setpoints["era"] == car["era"], "energy_wh"].sum() / 1000
    assert (car["need_kwh"], car["served_kwh"], metered_kwh) == pytest.approx((36.0, 36.0, 36.0 / 0.9))
    assert "in the battery" in described("sessions", "served_kwh")


def test_without_prices_there_is_no_adder_either(tmp_path: Path) -> None:
    hamlet = ROOT / "tests" / "scenarios" / "hamlet.yaml"
    run = Run(execute(read(hamlet, ["market.policy=none"]), tmp_path / "run"))
    assert run.prices["price_per_kwh"].isna().all()
    assert (run.prices["adder_per_kwh"] == 0).all()
    assert described("prices", "adder_per_kwh").endswith("0 without prices")
