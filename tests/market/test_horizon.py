"""The perfect-foresight optimum: known answers, and that nothing feasible costs less."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.errors import MarketError
from sim.market.horizon import Flow, Horizon, Store, plan
from sim.market.problem import Limit

GOLDEN = Path(__file__).parent.parent / "golden" / "horizons.json"


def series(value, count):
    return np.broadcast_to(np.asarray(value, dtype=float), (count,))


def flow(era, least, most, cost, count, node="grid"):
    return Flow(era, node, series(least, count), series(most, count), series(cost, count))


def store(era, count, *, node="grid", power=(1.0, 1.0), level=(0.0, 10.0), wanted=-math.inf, drain=0.0, **rest):
    return Store(
        era,
        node,
        series(power[0], count),
        series(power[1], count),
        series(level[0], count),
        series(level[1], count),
        series(wanted, count),
        series(drain, count),
        **rest,
    )


def tariff(count, buy, sell=None):
    """The grid above: gives at one price and, if it buys at all, takes at the other."""
    flows = [flow("retailer", 0, 1e4, buy, count)]
    return flows if sell is None else [*flows, flow("retailer", -1e4, 0, sell, count)]


def at_the_end(value, count):
    return np.array([-math.inf] * (count - 1) + [value])


def _horizon(case):
    count = case["count"]
    flows = [
        flow(f["era"], f["least_kw"], f["most_kw"], f["cost_per_kwh"], count, f.get("node", "grid"))
        for f in case["flows"]
    ]
    stores = []
    for given_ in case.get("stores", ()):
        rest = {k: v for k, v in given_.items() if k not in ("era", "node", "power", "level", "wanted_at_end")}
        wanted = at_the_end(given_["wanted_at_end"], count) if "wanted_at_end" in given_ else -math.inf
        stores.append(
            store(
                given_["era"],
                count,
                node=given_.get("node", "grid"),
                power=given_["power"],
                level=given_["level"],
                wanted=wanted,
                **rest,
            )
        )
    limits = tuple(
        Limit(n["node"], n.get("parent"), n.get("import_kw", math.inf), n.get("export_kw", math.inf))
        for n in case.get("limits", [{"node": "grid"}])
    )
    return Horizon(
        case.get("hours", 1.0), count, tuple(flows), tuple(stores), limits, case.get("peak_node"), case.get("peak", 0.0)
    )


CASES = json.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES["cases"]])
def test_a_horizon_is_planned_as_is_known(case):
    found, tolerance = plan(_horizon(case)), CASES["tolerance"]
    expected = case["expected"]
    assert found.cost == pytest.approx(expected["cost"], abs=tolerance)
    for name in ("setpoint_kw", "price_per_kwh", "flow_kw"):
        for key, values in expected.get(name, {}).items():
            assert getattr(found, name)[key].tolist() == pytest.approx(values, abs=tolerance), (name, key)
    for node, ranges in expected.get("price_range", {}).items():
        for price, (low, high) in zip(found.price_per_kwh[node], ranges, strict=True):
            assert low - tolerance <= price <= high + tolerance
    if "missed_kwh" in expected:
        assert sum(map(np.sum, found.missed_kwh)) == pytest.approx(expected["missed_kwh"], abs=tolerance)
    if "charged_kwh" in expected:
        powers = sum(found.setpoint_kw[s.era] for s in _horizon(case).stores)
        assert -powers.clip(None, 0).sum() == pytest.approx(expected["charged_kwh"], abs=tolerance)
        assert powers.clip(0).sum() == pytest.approx(expected["discharged_kwh"], abs=tolerance)


def _uncoordinated_cost(buy, need, power):
    """Charging from the start, at full power until the need is met."""
    cost = 0.0
    for price in buy:
        taken = min(need, power)
        cost, need = cost + taken * price, need - taken
    return cost


@settings(max_examples=60, deadline=None)
@given(
    buy=st.lists(st.integers(1, 9).map(float), min_size=4, max_size=8),
    need=st.integers(0, 12).map(float),
    power=st.integers(2, 6).map(float),
)
def test_nothing_that_could_be_done_without_coordination_costs_less(buy, need, power):
    count = len(buy)
    need = min(need, power * count)
    car = store("ev", count, power=(power, 0), level=(0.0, need), wanted=at_the_end(need, count), lost_per_kwh=100.0)
    found = plan(Horizon(1.0, count, tuple(tariff(count, buy)), (car,)))
    assert found.cost <= _uncoordinated_cost(buy, need, power) + 1e-9
    cheapest = sorted(buy)
    whole, rest = divmod(need, power)
    assert found.cost == pytest.approx(sum(cheapest[: int(whole)]) * power + rest * sum(cheapest[int(whole) :][:1]))


@settings(max_examples=40, deadline=None)
@given(
    sun=st.lists(st.integers(0, 9).map(float), min_size=3, max_size=6),
    limit=st.integers(0, 8).map(float),
    data=st.data(),
)
def test_prices_of_the_plan_would_have_brought_it_about(sun, limit, data):
    """At its node's price a roof gives all, nothing, or what leaves it indifferent; every flow is within its limits."""
    count = len(sun)
    load = data.draw(st.lists(st.integers(0, 9).map(float), min_size=count, max_size=count))
    tree = (Limit("grid"), Limit("tx", "grid", limit, limit))
    flows = (
        *tariff(count, 5.0, 3.0),
        flow("pv", 0, sun, 0.0, count, "tx"),
        flow("house", -np.array(load), 0, 100.0, count, "tx"),
        # A load that may be left unserved is worth what that loses: its cost is that of a kWh more.
    )
    found = plan(Horizon(1.0, count, flows, (), tree))
    assert (np.abs(found.flow_kw["tx"]) <= limit + 1e-7).all()
    assert np.allclose(found.flow_kw["grid"], 0.0, atol=1e-7)
    for price, power, most in zip(found.price_per_kwh["tx"], found.setpoint_kw["pv"], sun, strict=True):
        if price > 1e-7:
            assert power == pytest.approx(most)
        if price < -1e-7:
            assert power == pytest.approx(0)


def test_a_leaking_store_has_to_be_filled_late():
    """Half of the warmth is lost every hour: with one price for all hours nothing is stored early."""
    wanted = np.array([-math.inf, -math.inf, 4.0])
    tank = store("tank", 3, power=(10, 0), wanted=wanted, retention=0.5, lost_per_kwh=100.0)
    found = plan(Horizon(1.0, 3, tuple(tariff(3, 1.0)), (tank,)))
    assert found.setpoint_kw["tank"].tolist() == pytest.approx([0, 0, -4])


def test_what_comes_in_from_elsewhere_need_not_be_bought():
    found = plan(
        Horizon(
            1.0,
            2,
            tuple(tariff(2, 1.0)),
            (store("s", 2, power=(9, 0), wanted=at_the_end(5, 2), drain=[-2, 1], lost_per_kwh=9),),
        )
    )
    assert found.cost == pytest.approx(4)
    assert found.levels_kwh[0].tolist()[-1] == pytest.approx(5)


def test_all_faults_of_a_horizon_are_named_at_once():
    bad = (
        Flow("a", "nowhere", np.zeros(2), np.ones(2), np.ones(2)),
        Flow("b", "grid", np.ones(2), np.zeros(2), np.ones(2)),
    )
    with pytest.raises(MarketError) as caught:
        Horizon(1.0, 2, (*bad, Flow("c", "grid", np.zeros(3), np.ones(2), np.ones(2))), peak_node="mars")
    assert [fault.where for fault in caught.value.faults] == ["flows/0", "flows/1", "flows/2", "peak_node"]


def test_what_nothing_keeps_is_said():
    car = store("ev", 2, power=(1, 0), level=(0.0, 9.0))
    hard = Store(
        car.era,
        car.node,
        car.charge_kw,
        car.discharge_kw,
        np.array([0.0, 9.0]),
        car.high_kwh,
        car.wanted_kwh,
        car.drain_kwh,
    )
    with pytest.raises(MarketError, match="no plan keeps all limits"):
        plan(Horizon(1.0, 2, tuple(tariff(2, 1.0)), (hard,)))
