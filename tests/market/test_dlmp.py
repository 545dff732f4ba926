"""Locational prices as duals: known cases, and the same market cleared by curves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from sim.curves import OfferCurve
from sim.errors import MarketError
from sim.market.certificate import certify
from sim.market.economics import broken
from sim.market.policies import dlmp, locational
from sim.market.problem import Limit, LinearLimit, Offer, Problem
from tests.market.books import GRID, demand, fixed, retailer, street, supply
from tests.market.test_clearing_goldens import _problem as market_of
from tests.market.test_linear import limited, valued
from tests.market.test_meshes import local_prices
from tests.market.test_meshes import problem_of as mesh_of
from tests.strategies import problems, step_curves

GOLDEN = Path(__file__).parent.parent / "golden"
DEGENERATE = "dual_degenerate: "


def cases(name: str):
    stored = json.loads((GOLDEN / name).read_text(encoding="utf-8"))
    return [pytest.param(case, case.get("tolerance", stored["tolerance"]), id=case["id"]) for case in stored["cases"]]


GRIDS = [c for c in cases("clearings.json") if c.values[0].get("policy", "locational") == "locational"]


@pytest.mark.parametrize(("case", "tolerance"), GRIDS)
def test_a_market_on_a_grid_clears_as_is_known(case, tolerance):
    problem, expected = market_of(case), case["expected"]
    clearing = dlmp.clear(problem)
    assert broken(problem, clearing, dlmp.POLICY.promises) == ()
    answers = {"price": clearing.price_per_kwh, "adder": clearing.adder_per_kwh, "flow_kw": clearing.flow_kw}
    for name, answer in answers.items():
        for key, value in expected.get(name, {}).items():
            assert value is None or answer[key] == pytest.approx(value, abs=tolerance), (name, key)
    if "welfare" in expected:
        assert clearing.welfare == pytest.approx(expected["welfare"], abs=tolerance)
    if "rent" in expected:
        assert clearing.accounts.get("congestion rent", 0.0) == pytest.approx(expected["rent"], abs=tolerance)


@pytest.mark.parametrize(("case", "tolerance"), cases("meshes.json"))
def test_a_meshed_grid_clears_as_was_published(case, tolerance):
    problem, expected = mesh_of(case), case["expected"]
    clearing = dlmp.clear(problem)
    assert broken(problem, clearing, dlmp.POLICY.promises) == ()
    prices = local_prices(case, clearing)
    for price, (low, high) in zip(prices, expected.get("price_interval", []), strict=False):
        assert low - tolerance <= price <= high + tolerance
    assert prices == pytest.approx(expected.get("price", prices), abs=tolerance)
    powers = [clearing.setpoint_kw[generator["era"]] for generator in case["generators"]]
    assert powers == pytest.approx(expected.get("dispatch_kw", powers), abs=tolerance)
    cost = sum(power * g["price"] for power, g in zip(powers, case["generators"], strict=True))
    assert cost == pytest.approx(expected.get("cost", cost), abs=tolerance)


# --- against the market of curves -------------------------------------------------------------------------------------


def unique(clearing) -> bool:
    return not any(note.startswith(DEGENERATE) for note in clearing.notes)


@settings(max_examples=60, deadline=None)
@given(problems())
def test_curves_and_programmes_agree_on_welfare(problem):
    clearing = dlmp.clear(problem)
    assert broken(problem, clearing, dlmp.POLICY.promises) == ()
    assert clearing.welfare == pytest.approx(locational.clear(problem).welfare, abs=1e-5)


@settings(max_examples=60, deadline=None)
@given(problems(step_curves()))
def test_curves_and_programmes_agree_on_prices_that_are_unique(problem):
    by_dual, by_curve = dlmp.clear(problem), locational.clear(problem)
    if unique(by_dual):
        told = {node: price for node, price in by_curve.price_per_kwh.items() if price is not None}
        assert {node: by_dual.price_per_kwh[node] for node in told} == pytest.approx(told, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(limited())
def test_curves_and_programmes_agree_beside_the_tree(problem):
    try:
        clearing = dlmp.clear(problem)
    except MarketError:
        with pytest.raises(MarketError, match="cannot be kept"):
            locational.clear(problem)
        return
    assert certify(problem, clearing).violations == ()
    assert valued(problem, clearing) == pytest.approx(valued(problem, locational.clear(problem)), abs=1e-5)


# --- prices that are not unique ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "price"), [(0.0, 0.1), (0.5, 0.2), (1.0, 0.3)])
def test_k_chooses_where_the_dual_is_not_unique(k, price):
    problem = Problem((demand("ev", 0.3, 5), supply("pv", 0.1, 5)), k=k)
    clearing = dlmp.clear(problem)
    assert clearing.price_per_kwh == {"grid": pytest.approx(price)}
    assert clearing.notes == ("dual_degenerate: prices at 1 of 1 nodes are not unique",)


def test_a_node_that_only_one_side_prices_stays_with_its_neighbour():
    """lv needs 5 kW and gets 5 kW: its price is anything from that of the grid up, and the grid's is the retailer's."""
    problem = street(retailer(0.05, 0.20), fixed("house", -5, "tx-1"), import_kw=5)
    clearing = dlmp.clear(problem)
    assert clearing.price_per_kwh == {"grid": pytest.approx(0.2), "tx-1": pytest.approx(0.2)}
    assert certify(problem, clearing).certified


def test_a_price_that_nobody_named_is_none():
    clearing = dlmp.clear(Problem((fixed("house", -5), fixed("chp", 5))))
    assert clearing.price_per_kwh == {"grid": None}
    assert clearing.setpoint_kw == {"house": -5, "chp": 5}


def test_what_cannot_be_served_is_cut_without_a_price_where_there_is_no_cap():
    problem = street(retailer(0.05, 0.20), fixed("house", -30, "tx-1"), import_kw=20)
    clearing = dlmp.clear(problem)
    assert clearing.setpoint_kw == pytest.approx({"retailer": 20, "house": -20})
    assert clearing.price_per_kwh == {"grid": pytest.approx(0.2), "tx-1": None}
    assert dlmp.clear(replace(problem, price_cap=9.0)).price_per_kwh["tx-1"] == pytest.approx(9)


def test_equals_at_one_place_share_alike():
    plugs = (demand(f"ev-{n}", 0.3, 7, "tx-1") for n in range(10))
    clearing = dlmp.clear(street(retailer(0.05, 0.1), *plugs, import_kw=40))
    assert clearing.setpoint_kw == pytest.approx({"retailer": 40} | {f"ev-{n}": -4 for n in range(10)})
    assert clearing.binding == {"grid": None, "tx-1": "FORWARD"}
    turn = replace(street(retailer(0.05, 0.1), *(demand(f"ev-{n}", 0.3, 7, "tx-1") for n in range(3)), import_kw=10))
    served = dlmp.clear(replace(turn, sharing="TIME_PRIORITY")).setpoint_kw
    assert served == pytest.approx({"retailer": 10, "ev-0": -7, "ev-1": -3, "ev-2": 0})


def test_a_limit_that_nothing_can_keep_is_named():
    impossible = LinearLimit("v", {"pv": 1.0}, -3)
    problem = Problem((supply("pv", 0.1, 5), demand("ev", 0.3, 5)), linear=(impossible,), price_floor=-1, price_cap=2)
    with pytest.raises(MarketError, match="v cannot be kept: it is exceeded by 3 at least"):
        dlmp.clear(problem)


def test_a_fleet_on_a_feeder_of_forty_nodes_clears():
    limits = (GRID, *(Limit(f"n{k}", f"n{k - 1}" if k % 4 else "grid", 30.0, 30.0) for k in range(40)))
    cars = [
        Offer(f"ev-{k}", f"n{k}", OfferCurve.of([(0.1 + 0.005 * k, -11.0), (0.2 + 0.005 * k, 0.0)])) for k in range(40)
    ]
    problem = Problem((retailer(0.05, 0.2), *cars), limits, slack="retailer")
    by_dual, by_curve = dlmp.clear(problem), locational.clear(problem)
    assert by_dual.welfare == pytest.approx(by_curve.welfare, abs=1e-6)
    assert np.allclose(list(by_dual.setpoint_kw.values()), list(by_curve.setpoint_kw.values()), atol=1e-5)
