"""Locational prices of meshed grids, by lines as linear limits: published results, shares computed from reactances."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from sim.market.certificate import certify
from sim.market.policies import locational
from sim.market.problem import Clearing, LinearLimit, Problem
from tests.market.books import fixed, supply

STORED = json.loads((Path(__file__).parent.parent / "golden" / "meshes.json").read_text(encoding="utf-8"))


def shares(case: dict) -> np.ndarray:
    """What an injection at each bus (columns), withdrawn at the first one, makes flow through each line (rows)."""
    buses, lines = len(case["loads_kw"]), case["lines"]
    ends = np.zeros((len(lines), buses))
    for row, line in enumerate(lines):
        ends[row, line["from"] - 1], ends[row, line["to"] - 1] = 1.0, -1.0
    susceptance = np.diag([1 / line["reactance"] for line in lines])
    angles = np.zeros((buses, buses))
    angles[1:, 1:] = np.linalg.inv((ends.T @ susceptance @ ends)[1:, 1:])
    return susceptance @ ends @ angles


def problem_of(case: dict) -> Problem:
    buses = {f"load-{n}": n for n in range(1, len(case["loads_kw"]) + 1)}
    offers = [fixed(f"load-{n}", -kw) for n, kw in enumerate(case["loads_kw"], start=1)]
    for generator in case["generators"]:
        offers.append(supply(generator["era"], generator["price"], generator["kw"]))
        buses[generator["era"]] = generator["bus"]
    linear = []
    for line, share in zip(case["lines"], shares(case), strict=True):
        weight = {era: float(share[bus - 1]) for era, bus in buses.items()}
        back = {era: -value for era, value in weight.items()}
        most = line.get("limit_kw", math.inf)
        there, here = line["from"], line["to"]
        linear += [LinearLimit(f"{there}-{here}", weight, most), LinearLimit(f"{here}-{there}", back, most)]
    return Problem(tuple(offers), price_floor=-1000, price_cap=1000, linear=tuple(linear))


def local_prices(case: dict, clearing: Clearing) -> list[float]:
    prices = [clearing.participant_price[f"load-{n}"] for n in range(1, len(case["loads_kw"]) + 1)]
    return [price for price in prices if price is not None]


CASES = [pytest.param(case, case.get("tolerance", STORED["tolerance"]), id=case["id"]) for case in STORED["cases"]]


@pytest.mark.parametrize(("case", "tolerance"), CASES)
def test_a_meshed_grid_clears_as_was_published(case, tolerance):
    problem, expected = problem_of(case), case["expected"]
    clearing = locational.clear(problem)
    assert certify(problem, clearing).violations == ()
    prices = local_prices(case, clearing)
    for price, (low, high) in zip(prices, expected.get("price_interval", []), strict=False):
        assert low - tolerance <= price <= high + tolerance
    assert prices == pytest.approx(expected.get("price", prices), abs=tolerance)
    powers = [clearing.setpoint_kw[generator["era"]] for generator in case["generators"]]
    assert powers == pytest.approx(expected.get("dispatch_kw", powers), abs=tolerance)
    for bus, kw in enumerate(expected.get("supply_kw", []), start=1):
        at_bus = [p for p, g in zip(powers, case["generators"], strict=True) if g["bus"] == bus]
        assert sum(at_bus) == pytest.approx(kw, abs=tolerance)
    flows = [clearing.linear_value[f"{line['from']}-{line['to']}"] for line in case["lines"]]
    assert [abs(flow) for flow in flows] == pytest.approx(
        expected.get("flows_kw", [abs(f) for f in flows]), abs=tolerance
    )
    for name in expected.get("binding", []):
        assert clearing.linear_price[name] > 0
    cost = sum(power * g["price"] for power, g in zip(powers, case["generators"], strict=True))
    assert cost == pytest.approx(expected.get("cost", cost), abs=tolerance)


@pytest.mark.parametrize(("case", "tolerance"), CASES)
def test_what_loads_pay_beyond_what_generators_get_is_what_the_lines_are_worth(case, tolerance):
    problem = problem_of(case)
    clearing = locational.clear(problem)
    surplus = -sum(price * clearing.setpoint_kw[era] for era, price in clearing.participant_price.items())
    rent = sum(
        price * limit.most for limit, price in zip(problem.linear, clearing.linear_price.values(), strict=True) if price
    )
    assert surplus == pytest.approx(rent, rel=1e-9)
    assert surplus == pytest.approx(case["expected"].get("surplus", surplus), abs=tolerance)
