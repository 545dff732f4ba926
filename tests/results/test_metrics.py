"""The metrics of a run: each against its definition, known numbers and what must hold whatever the run."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_run import Draft, Edit, without_a_market, without_power_flow, without_prices

from results.metrics import METRICS, gini, jain, measure, parties, summarise, truth
from results.metrics.grid import limit_shares
from results.metrics.market import volatility
from results.metrics.numbers import beyond
from results.observation import PARTIES
from results.run import Run
from sim.market.policies import POLICIES
from sim.market.problem import Problem, receipts_per_h
from sim.tolerances import VOLTAGE_PU
from tests.conftest import TWO_HOURS
from tests.market.books import demand, supply

Edited = Callable[[Edit], Run]

STORED: dict[str, Any] = json.loads((Path(__file__).parents[1] / "golden" / "metrics.json").read_text(encoding="utf-8"))
TOLERANCE = STORED["tolerance"]


def near(value: float | None) -> Any:
    return pytest.approx(math.nan if value is None else value, abs=TOLERANCE, nan_ok=True)


# --- known numbers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", STORED["evenness"], ids=lambda case: f"{case['id']} {case.get('part', '')}".strip())
def test_evenness_is_as_known(case: dict[str, Any]) -> None:
    assert jain(case["values"]) == near(case["jain"])
    assert gini(case["values"]) == near(case["gini"])


def test_an_overload_is_as_known() -> None:
    """metric-overload-minutes: 100 of 100 kVA is none."""
    case = STORED["overload"]
    over = beyond(pd.Series(case["s_kva"], dtype=float), case["limit_kva"])
    assert (over > 0).sum() * case["interval_min"] == case["minutes"]
    assert over.sum() * case["interval_min"] / 60 == near(case["kvah"])


@pytest.mark.parametrize(("book", "policy", "left"), STORED["budget"]["operator"])
def test_what_an_auction_leaves_its_operator_is_as_known(book: str, policy: str, left: float) -> None:
    """metric-budget-balance: orders of 1 kW, through the policies that runs use."""
    orders = STORED["budget"]["books"][book]
    bids = [demand(f"b{n}", price, 1) for n, price in enumerate(orders["buys"])]
    asks = [supply(f"s{n}", price, 1) for n, price in enumerate(orders["sells"])]
    assert -receipts_per_h(POLICIES[policy].clear(Problem((*bids, *asks)))) == near(left)


# --- evenness, whatever the values ------------------------------------------------------------------------------------

amounts = st.lists(st.floats(0, 1e6).map(lambda x: round(x, 3)), min_size=1, max_size=30).filter(any)
numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


@given(amounts, st.floats(1e-6, 1e6))
def test_jain_lies_between_one_nth_and_one_and_knows_no_unit(values: list[float], factor: float) -> None:
    found = jain(values)
    assert 1 / len(values) - 1e-12 <= found <= 1 + 1e-12
    assert jain([factor * value for value in values]) == pytest.approx(found)


@given(st.integers(1, 30), st.integers(0, 30))
def test_jain_is_the_share_of_those_who_share_alike(some: int, others: int) -> None:
    assert jain([7.0] * some + [0.0] * others) == pytest.approx(some / (some + others))


@given(amounts)
def test_gini_is_half_the_mean_absolute_difference_over_the_mean(values: list[float]) -> None:
    x = np.array(values)
    pairs = np.abs(x[:, None] - x[None, :]).mean()
    found = gini(values)
    assert found == pytest.approx(pairs / (2 * x.mean()), abs=1e-9)
    assert -1e-12 <= found <= 1 - 1 / len(values) + 1e-12


@given(numbers)
def test_evenness_is_a_number_or_undefined_for_any_numbers(values: list[float]) -> None:
    assert math.isnan(jain(values)) or -1e-12 <= jain(values) <= 1 + 1e-12
    assert math.isnan(gini(values)) == (min(values) < 0 or not any(values))


def test_of_nobody_nothing_can_be_said() -> None:
    assert math.isnan(jain([]))
    assert math.isnan(gini([]))


def test_huge_and_tiny_values_are_as_even_as_others() -> None:
    assert jain([1e300, 1e300]) == jain([1e-300, 1e-300]) == 1
    assert gini([1e300, 0]) == gini([1e-300, 0]) == 0.5


# --- prices -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30), st.floats(-5, 5))
def test_volatility_does_not_see_the_level(prices: list[float], level: float) -> None:
    deviation, step = volatility(pd.Series(prices))
    assert deviation == pytest.approx(np.std(prices), abs=1e-9)
    moved = volatility(pd.Series(prices) + level)
    assert moved == pytest.approx((deviation, step), abs=1e-9, nan_ok=True)
    assert volatility(pd.Series([prices[0]] * 5)) == (0.0, 0.0)


def test_a_step_counts_between_neighbours_that_both_have_a_price() -> None:
    assert volatility(pd.Series([0.1, 0.3, math.nan, 0.9, 0.8]))[1] == pytest.approx((0.2 + 0.1) / 2)
    assert math.isnan(volatility(pd.Series([0.1]))[1])


def test_the_price_of_an_interval_is_what_those_pay_who_withdraw(edited: Edited) -> None:
    def only(draft: Draft) -> None:
        """3 kW at 0.30, 1 kW at 0.10 and a sale at 0.02; then a sale alone, at 0.04."""
        rows = [
            (0, "house-1", -3.0, 0.30),
            (0, "house-2", -1.0, 0.10),
            (0, "solar-1", 9.0, 0.02),
            (1, "solar-1", 9.0, 0.04),
        ]
        columns = draft.tables["setpoints"]
        for column in columns.values():
            del column[len(rows) :]
        for name, values in zip(
            ("interval", "era", "setpoint_kw", "price_per_kwh"), zip(*rows, strict=True), strict=True
        ):
            columns[name][:] = list(values)

    found = measure(edited(only), ("mean_price_per_kwh", "price_std_per_kwh", "price_step_per_kwh"))
    assert found["mean_price_per_kwh"] == pytest.approx(0.25)
    assert found["price_std_per_kwh"] == pytest.approx(np.std([0.25, 0.04]))
    assert found["price_step_per_kwh"] == pytest.approx(0.21)


# --- wires ------------------------------------------------------------------------------------------------------------

LIMITS = {
    "import_share": 0.5,
    "export_share": 0.4,
    "derating": 0.8,
    "transformers": {"tx-2": {"import_share": 0.9, "export_share": None}},
    "lines": [{"line": "line-house-1", "name": "end", "derating": 1.0}],
}


def flows(*rows: tuple[int, str, float, float, float], limits: dict[str, Any] | None = None) -> Edit:
    """No flow at all but these: interval, node, kW, kvar, loading."""

    def edit(draft: Draft) -> None:
        nodes = draft.tables["nodes"]
        for column in ("wire_lv_kw", "wire_lv_kvar", "loading"):
            nodes[column] = [0.0] * len(nodes["node"])
        places = {key: place for place, key in enumerate(zip(nodes["interval"], nodes["node"], strict=True))}
        for interval, node, kw, kvar, loading in rows:
            at = places[interval, node]
            nodes["wire_lv_kw"][at], nodes["wire_lv_kvar"][at], nodes["loading"][at] = kw, kvar, loading
        if limits is not None:
            draft.manifest["scenario"] = {"name": "two-streets", "feeder": {"limits": limits}}

    return edit


def test_a_limit_is_the_scenarios_share_of_the_nameplate_where_it_says_one(edited: Edited) -> None:
    run = edited(flows(limits=LIMITS))
    assert limit_shares(run, "tx-1") == pytest.approx((0.4, 0.32))
    assert limit_shares(run, "tx-2") == pytest.approx((0.72, 0.32))
    assert limit_shares(run, "end") == pytest.approx((0.5, 0.4))


def test_without_limits_the_nameplate_is_the_limit(day: Run) -> None:
    assert limit_shares(day, "tx-1") == (1.0, 1.0)


def test_overload_is_of_apparent_power_beyond_the_limit_of_its_direction(edited: Edited) -> None:
    run = edited(
        flows(
            (0, "tx-1", 3.0, 4.0, 0.5),  # import of 5 kVA at 50 %, of which 40 % are allowed
            (1, "tx-1", -3.0, 4.0, 0.5),  # export of 5 kVA, of which 32 % are allowed
            (2, "tx-1", 4.0, 0.0, 0.4),  # just what is allowed
            (1, "tx-2", -8.0, 0.0, 0.64),
            (3, "tx-2", 8.0, 0.0, 0.64),
            limits=LIMITS,
        )
    )
    found = measure(run, METRICS)
    assert (found["overload_import_min"], found["overload_export_min"]) == (180.0, 360.0)
    assert found["overload_import_kvah"] == pytest.approx(3 * 5 * (1 - 0.4 / 0.5))
    assert found["overload_export_kvah"] == pytest.approx(3 * (5 * (1 - 0.32 / 0.5) + 8 * (1 - 0.32 / 0.64)))
    assert found["limit_use_max"] == pytest.approx(2.0)
    assert found["loading_max"] == 0.64
    assert found["above_rating_min"] == 0.0


def test_minutes_above_the_rating_count_transformers_and_lines(edited: Edited) -> None:
    def edit(draft: Draft) -> None:
        flows((0, "tx-1", 9.0, 0.0, 1.2))(draft)
        lines = draft.tables["lines"]
        lines["loading"] = [0.5] * len(lines["line"])
        lines["loading"][0], lines["loading"][1] = 1.0, 1.01

    assert measure(edited(edit), ("above_rating_min",)) == {"above_rating_min": 2 * 180.0}


def test_peaks_ramp_and_load_factor_are_of_the_flows_on_the_wires(edited: Edited) -> None:
    found = measure(
        edited(flows((2, "tx-1", 6.0, 0, 0.1), (3, "tx-1", -9.0, 0, 0.1), (3, "tx-2", 8.0, 0, 0.1))), METRICS
    )
    assert (found["peak_import_kw"], found["peak_export_kw"], found["ramp_kw"]) == (8.0, 9.0, 15.0)
    assert found["load_factor"] == pytest.approx((6 + 9) / 8 / 9)


def test_the_metrics_of_wires_agree_with_the_summary(day: Run) -> None:
    found, told = measure(day, METRICS), summarise(day)
    assert found["peak_import_kw"] == max(item.peak_import_kw for item in told.transformers)
    assert found["physics_gap_kw"] == max(item.market_gap_kw for item in told.transformers)
    assert found["reverse_limit_share"] == 1 / 8
    assert found["voltage_lowest_pu"] == told.voltages.lowest.v_pu
    assert (found["losses_kwh"], found["autarky"]) == (told.energy.losses_kwh, told.energy.autarky)


@pytest.mark.parametrize("limit", [0.9, 1.1])
def test_a_voltage_is_outside_its_band_beyond_what_a_market_holds_its_limits_to(edited: Edited, limit: float) -> None:
    def at(v_pu: float) -> Edit:
        def edit(draft: Draft) -> None:
            voltages = draft.tables["voltages"]
            voltages["v_pu"][:] = [1.0] * len(voltages["v_pu"])
            voltages["v_pu"][3] = v_pu

        return edit

    outwards = math.copysign(VOLTAGE_PU, limit - 1)
    name = "voltage_outside_bus_min"
    assert measure(edited(at(limit + outwards / 2)), (name,))[name] == 0
    outside = edited(at(limit + 2 * outwards))
    assert measure(outside, (name,))[name] == outside.hours * 60


def test_unbalance_is_zero_where_phases_are_alike_and_known_where_one_sags(edited: Edited) -> None:
    def phases(*v_pu: float) -> Edit:
        def edit(draft: Draft) -> None:
            for column in draft.tables["voltages"].values():
                column.clear()
            for phase, v, degree in zip("ABC", v_pu, (-30.0, -150.0, 90.0), strict=True):
                draft.row("voltages", 0, "bus-house-1", phase, v, degree)

        return edit

    assert measure(edited(phases(1.0, 1.0, 1.0)), ("voltage_unbalance_max",)) == near_all(voltage_unbalance_max=0.0)
    sagging = measure(edited(phases(0.97, 1.0, 1.0)), ("voltage_unbalance_max",))
    assert sagging == near_all(voltage_unbalance_max=0.03 / 2.97)


def near_all(**values: float) -> Any:
    return pytest.approx(values, abs=1e-12)


# --- money ------------------------------------------------------------------------------------------------------------


def test_devices_behind_one_meter_are_one_consumer(edited: Edited) -> None:
    def edit(draft: Draft) -> None:
        people = draft.tables["participants"]
        people["site"] = [{"site-ev-1": "site-house-1"}.get(site, site) for site in people["site"]]

    run = edited(edit)
    net = parties(run).set_index("party")["net"]
    paid = {era: sum(p.amount for p in run.ledger if p.payer == era) for era in ("house-1", "ev-1")}
    got = {era: sum(p.amount for p in run.ledger if p.payee == era) for era in ("house-1", "ev-1")}
    assert net["site-house-1"] == pytest.approx(float(sum(got.values()) - sum(paid.values())))
    sites = net[[name for name in net.index if name.startswith("site-")]]
    assert measure(run, ("cost_per_consumer",))["cost_per_consumer"] == pytest.approx(-sites.mean())


def test_what_the_operator_keeps_beyond_its_fees_is_nothing_but_rounding(day: Run) -> None:
    found = measure(day, ("operator_net", "operator_surplus", "ledger_gap"))
    fees = sum(float(p.amount) for p in day.ledger if p.term == "fee")
    assert found["operator_net"] == pytest.approx(fees)
    assert found == {"operator_net": found["operator_net"], "operator_surplus": 0.0, "ledger_gap": 0.0}


def test_money_in_another_currency_is_not_added(edited: Edited) -> None:
    def pay(draft: Draft) -> None:
        draft.row("postings", 7, "loan", "interest", "house-1", "market", Decimal("900.00"), "USD")

    names = ("operator_net", "cost_per_consumer", "ledger_gap")
    plain = edited(lambda draft: None)
    before = measure(plain, names)
    assert measure(edited(pay), names) == before


def test_the_spread_of_pay_as_bid_goes_to_the_grid_operator_as_rent_does(run_street: Callable[..., Run]) -> None:
    clear, bid = (
        measure(run_street(f"market.policy={policy}", *TWO_HOURS), ("congestion_rent", "operator_surplus"))
        for policy in ("pay-as-clear", "pay-as-bid")
    )
    assert clear["congestion_rent"] == 0.0
    assert bid["congestion_rent"] > 1.0
    assert max(abs(clear["operator_surplus"]), abs(bid["operator_surplus"])) < 0.1  # cents of single amounts


# --- parties and truth ------------------------------------------------------------------------------------------------


def test_parties_are_connection_points_and_whoever_else_has_an_account(day: Run) -> None:
    rows = parties(day)
    assert list(rows.columns) == PARTIES.names
    assert rows["party"].is_unique
    assert set(rows["kind"]) == {"site", "market", "retailer", "utility", "government"}
    assert rows["net"].sum() == pytest.approx(0.0, abs=1e-9)
    missed = rows.set_index("party")["unserved_kwh"]
    assert missed["site-ev-2"] == pytest.approx(day.sessions.set_index("era")["unserved_kwh"]["ev-2"])
    assert missed.sum() == pytest.approx(day.sessions["unserved_kwh"].sum())


def test_what_cars_lack_is_worth_the_price_cap(edited: Edited) -> None:
    def cap(draft: Draft) -> None:
        draft.manifest["scenario"] = {"name": "two-streets", "market": {"price_cap": 3.0}}

    rows = parties(edited(cap))
    assert rows["lacked"].tolist() == (3.0 * rows["unserved_kwh"]).tolist()
    assert rows["lacked"].sum() > 0


def test_policies_share_a_truth_and_seeds_do_not(run_street: Callable[..., Run]) -> None:
    none, locational, other = (
        truth(run_street(*overrides, *TWO_HOURS))
        for overrides in (("market.policy=none",), ("market.policy=locational",), ("seed=2", "market.policy=none"))
    )
    assert none == locational != other


@pytest.mark.parametrize(
    ("table", "column"), [("sessions", "need_kwh"), ("sessions", "arrival_s"), ("setpoints", "available_kw")]
)
def test_truth_tells_arrivals_needs_and_sun(day: Run, edited: Edited, table: str, column: str) -> None:
    def change(draft: Draft) -> None:
        rows = draft.tables[table]
        place = rows["era"].index("solar-1") if table == "setpoints" else 0
        rows[column][place] += 1

    assert truth(edited(change)) != truth(day)


def test_truth_does_not_tell_what_was_done(day: Run, edited: Edited) -> None:
    def change(draft: Draft) -> None:
        draft.tables["sessions"]["served_kwh"][0] -= 1
        draft.tables["setpoints"]["delivered_kw"][0] -= 1
        draft.tables["intervals"]["slack_kw"][0] -= 1

    assert truth(edited(change)) == truth(day)


# --- all of them ------------------------------------------------------------------------------------------------------


def without_any_power_flow(draft: Draft) -> None:
    for interval in range(8):
        without_power_flow(interval)(draft)


FROM_WIRES = {name for name in METRICS if METRICS[name].measure.__module__.endswith(("grid", "voltage"))} | {
    "imported_kwh",
    "exported_kwh",
    "losses_kwh",
}
PRICES = {"mean_price_per_kwh", "price_std_per_kwh", "price_step_per_kwh"}
CARS = {"ev_unserved_kwh", "ev_missed_deadlines"}


def undefined(run: Run) -> set[str]:
    return {name for name, value in measure(run, METRICS).items() if math.isnan(value)}


def test_every_metric_of_a_whole_run_is_a_number_but_for_three_phases(day: Run) -> None:
    assert undefined(day) == {"voltage_unbalance_max"}


def test_what_needs_wires_is_undefined_without_any_power_flow(edited: Edited) -> None:
    found = undefined(edited(without_any_power_flow))
    assert found == FROM_WIRES - {"reverse_limit_share"}


def test_without_a_market_prices_cars_and_transformers_are_undefined(edited: Edited) -> None:
    found = undefined(edited(without_a_market))
    nodes = {name for name in FROM_WIRES if METRICS[name].measure.__module__.endswith("grid")}
    assert CARS | (nodes - {"above_rating_min"}) <= found
    assert found <= CARS | nodes | PRICES | {"voltage_unbalance_max"}


def test_prices_are_undefined_where_nobody_has_one(edited: Edited) -> None:
    def nobody(draft: Draft) -> None:
        without_prices(draft)
        rows = draft.tables["setpoints"]
        rows["price_per_kwh"] = [None] * len(rows["era"])

    assert undefined(edited(nobody)) >= PRICES


def test_names_are_those_of_the_table_and_end_in_their_unit() -> None:
    suffixes = {"kW": "_kw", "kWh": "_kwh", "kVAh": "_kvah", "min": "_min", "s": "_s", "currency/kWh": "_per_kwh"}
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.summary
        assert name.endswith(suffixes.get(metric.unit, ""))
        assert metric.better in ("less", "more", "")


def test_only_the_seconds_of_a_run_are_not_repeatable() -> None:
    assert [name for name, metric in METRICS.items() if not metric.repeatable] == ["run_s"]


def test_bytes_of_messages_are_those_of_their_bodies(day: Run) -> None:
    lines = [line for line in day.journal_lines() if b'"kind":"message"' in line]
    found = measure(day, ("messages", "message_bytes"))
    bodies = [line[line.index(b'"body":') + len(b'"body":') : -2] for line in lines]
    assert all(json.loads(body) for body in bodies)
    assert found == {"messages": len(lines), "message_bytes": sum(map(len, bodies))}
