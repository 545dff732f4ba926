"""Metrics of a run against another and against the best: welfare, regret, who gains and who loses."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.metrics import RELATIVE, parties
from results.observation import PARTIES, Observation
from results.run import Run

STORED: dict[str, Any] = json.loads((Path(__file__).parents[1] / "golden" / "metrics.json").read_text(encoding="utf-8"))


def observed(
    net: dict[str, float] | None = None,
    lacked: dict[str, float] | None = None,
    currency: str = "EUR",
    **values: float,
) -> Observation:
    """A run in which sites end with these amounts; the retailer has the rest."""
    net, lacked = net or {}, lacked or {}
    rows = [(site, "site", amount, lacked.get(site, 0.0) / 3, lacked.get(site, 0.0)) for site, amount in net.items()]
    rows.append(("retailer", "retailer", -sum(net.values()), 0.0, 0.0))
    return Observation("any", 1, currency, values, "same", pd.DataFrame(rows, columns=PARTIES.names))


def of(own: Observation, base: Observation | None = None) -> dict[str, float]:
    return {name: metric.measure(own, own if base is None else base) for name, metric in RELATIVE.items()}


# --- against the best -------------------------------------------------------------------------------------------------


def test_efficiency_is_as_known_in_both_forms() -> None:
    """metric-efficiency-ratio: welfare 15 of 16, and a cost of 715 where 710 would do."""
    case = STORED["efficiency"]
    (own, best), (cost, best_cost) = case["welfare"], case["cost"]
    found = of(observed(wanted_value=best + 1.0, cost=best + 1.0 - own, best_cost=1.0))
    assert found["welfare_share"] == pytest.approx(case["welfare_share"], abs=STORED["tolerance"])
    found = of(observed(wanted_value=5000.0, cost=cost, best_cost=best_cost))
    assert found["relative_regret"] == pytest.approx(case["relative_regret"], abs=STORED["tolerance"])
    assert found["regret"] == cost - best_cost


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"wanted_value": 10.0, "cost": 12.0, "best_cost": 10.0}, "welfare_share"),
        ({"wanted_value": 10.0, "cost": 1.0, "best_cost": 0.0}, "relative_regret"),
        ({"wanted_value": 10.0, "cost": 1.0, "best_cost": -2.0}, "relative_regret"),
        ({"wanted_value": 10.0, "cost": 1.0, "best_cost": 0.995}, "captured_share"),
    ],
)
def test_a_share_of_what_is_not_there_is_undefined(values: dict[str, float], name: str) -> None:
    found = of(observed(**values))
    assert math.isnan(found[name])
    assert math.isfinite(found["regret"])


def test_a_run_captures_a_share_of_what_the_best_would_have_saved() -> None:
    base = observed(cost=100.0, best_cost=80.0, wanted_value=500.0)
    shares = {
        cost: of(observed(cost=cost, best_cost=80.0, wanted_value=500.0), base) for cost in (100, 85, 80, 78, 110)
    }
    assert {cost: found["captured_share"] for cost, found in shares.items()} == pytest.approx(
        {100: 0.0, 85: 0.75, 80: 1.0, 78: 1.1, 110: -0.5}
    )


def test_without_a_bound_only_money_is_told() -> None:
    found = of(observed({"a": 1.0}))
    bound = {"welfare", "welfare_share", "regret", "relative_regret", "captured_share"}
    assert {name for name, value in found.items() if math.isnan(value)} == bound | {"saving_jain", "saving_gini"}


# --- who gains --------------------------------------------------------------------------------------------------------

BASE = {"a": -10.0, "b": -20.0, "c": 5.0, "d": -1.0}


def test_savings_are_told_by_connection_point() -> None:
    found = of(observed({"d": -1.0, "c": 6.0, "b": -16.0, "a": -9.0}), observed(BASE))
    assert found["bill_saving"] == pytest.approx(6 / 4)
    assert (found["saving_min"], found["saving_max"], found["worse_off_share"]) == (0.0, 4.0, 0.0)
    assert found["saving_jain"] == pytest.approx(36 / (4 * 18))
    assert found["saving_gini"] == pytest.approx((1 + 1 + 4 + 3 + 3 + 0) / (4 * 6))  # six pairs over n² times the mean


def test_whoever_loses_counts_as_one_who_saves_nothing_and_leaves_gini_undefined() -> None:
    found = of(observed({"a": -12.0, "b": -18.0, "c": 7.0, "d": -1.0}), observed(BASE))
    assert found["saving_jain"] == pytest.approx(2 / 4)
    assert math.isnan(found["saving_gini"])
    assert (found["saving_min"], found["worse_off_share"]) == (-2.0, 1 / 4)


def test_a_lower_bill_with_an_empty_car_is_no_gain() -> None:
    found = of(observed({**BASE, "a": -4.0}, {"a": 9.0}), observed(BASE, {"b": 1.0}))
    assert found["bill_saving"] == pytest.approx(6 / 4)
    assert (found["saving_min"], found["saving_max"], found["worse_off_share"]) == (-3.0, 1.0, 1 / 4)


@pytest.mark.parametrize(
    ("currency", "loss", "share"), [("EUR", 0.01, 0.0), ("EUR", 0.02, 0.25), ("JPY", 1.0, 0.0), ("JPY", 2.0, 0.25)]
)
def test_one_minor_unit_is_no_loss(currency: str, loss: float, share: float) -> None:
    base = observed({name: 0.3 * amount for name, amount in BASE.items()}, currency=currency)
    own = {name: 0.3 * amount - (loss if name == "a" else 0.0) for name, amount in BASE.items()}
    assert of(observed(own, currency=currency), base)["worse_off_share"] == share


def test_against_itself_nobody_gains_or_loses() -> None:
    found = of(observed(BASE))
    assert (found["bill_saving"], found["saving_min"], found["saving_max"], found["worse_off_share"]) == (0, 0, 0, 0)
    assert math.isnan(found["saving_jain"])


def test_runs_with_other_connection_points_are_not_compared() -> None:
    found = of(observed(BASE), observed({"a": 1.0}))
    names = ("bill_saving", "saving_min", "saving_max", "saving_jain", "saving_gini", "worse_off_share")
    assert all(math.isnan(found[name]) for name in names)


money = st.integers(-10_000, 10_000).map(lambda cents: cents / 100)


@given(st.lists(st.tuples(money, money), min_size=1, max_size=20), money)
def test_a_gift_to_all_moves_every_saving_alike(rows: list[tuple[float, float]], gift: float) -> None:
    base = observed({f"s{n}": before for n, (before, _) in enumerate(rows)})
    own, given_ = (observed({f"s{n}": after + more for n, (_, after) in enumerate(rows)}) for more in (0.0, gift))
    before, after = of(own, base), of(given_, base)
    for name in ("bill_saving", "saving_min", "saving_max"):
        assert after[name] - before[name] == pytest.approx(gift, abs=1e-9)
    assert before["saving_min"] <= before["bill_saving"] + 1e-9 <= before["saving_max"] + 2e-9
    assert 0 <= before["worse_off_share"] <= 1


def test_parties_of_a_run_travel_with_its_observation(day: Run) -> None:
    one = Observation("locational", 7, "EUR", {"cost": 1.0}, "t", parties(day))
    found = Observation.from_bytes(one.to_bytes(), "bytes")
    assert found.parties.equals(one.parties)
    assert of(found)["worse_off_share"] == 0.0
