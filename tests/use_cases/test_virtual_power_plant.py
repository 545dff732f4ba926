"""A power plant of roofs and cars in neighbourhoods, cities and a region: it does what a flat market does, level by level.

The curves are those of the Digital Energy Grid's examples: of two roofs for each car they meet at 0.083333, where a roof gives 5 kW
and a car takes 10 kW.
"""

from __future__ import annotations

import json
from collections import defaultdict
from decimal import Decimal

import pandas as pd
import pytest
from pytest import approx

from results.run import Run
from results.verify import render, verify
from sim.curves import OfferCurve
from sim.market.problem import Offer, Problem
from tests.use_cases.market_cases import Cases, Live, balance, balances, cases, price, said, unread

LEVELS = {"north": "west", "south": "west", "mill": "east", "quay": "east", "west": "market", "east": "market"}
POPULATIONS = {"north-roof": 3, "south-roof": 2, "mill-roof": 2, "quay-roof": 1, "south-car": 1, "quay-car": 3}
FLAT = ("aggregators=[]", *(f"populations.{name}.host=null" for name in POPULATIONS))
DEEPER = json.dumps(
    [{"name": name, "host": "region" if host == "market" else host} for name, host in LEVELS.items()]
    + [{"name": "region"}]
)
NARROW = "feeder.limits.transformers.t-north={export_kw: 8, margin: 0}"
RIGID = (NARROW, "populations.north-roof.points=[[0, 5]]")
LATE_AT = "since: 2016-05-17T11:10, until: 2016-05-17T11:15"
LATE = 1
"""The interval whose awards are held up."""
PENALTY, FEE, CITY_FEE, MARKET_FEE = 0.03, 0.002, 0.001, 0.0005
HOURS = 0.25


def late(level: str, by_s: int = 400) -> str:
    return f"wire.delays=[{{from: {level}, action: on_confirm, by_s: {by_s}, {LATE_AT}}}]"


@pytest.fixture(scope="module")
def run_plant(tmp_path_factory: pytest.TempPathFactory) -> Cases:
    return cases("virtual-power-plant", tmp_path_factory)


def awards(run: Run) -> pd.DataFrame:
    """Set-points by interval and participant; NaN where there was no award to an aggregator."""
    return run.setpoints.pivot(index="interval", columns="era", values="setpoint_kw")


def local_prices(run: Run) -> pd.DataFrame:
    return run.setpoints.pivot(index="interval", columns="era", values="price_per_kwh")


def leaves(run: Run) -> list[str]:
    return list(run.participants[run.participants.bus != ""].era)


def welfare(run: Run) -> list[float]:
    """What all set-points are worth, by the curves that the resources and the retailer sent, whoever shared them out."""
    curves: dict[tuple[str, str], OfferCurve] = {}
    for body in said(run, "confirm"):
        attributes = body["message"]["contract"]["contractAttributes"]
        for role in attributes.get("roles", []):
            points = [(p["price"], p["powerKW"]) for p in role["roleInputs"]["offerCurve"]["curve"]]
            curves[attributes["timeWindow"]["start"], role["filledBy"]] = OfferCurve.of(points)
    eras = [*leaves(run), "retailer"]
    found = []
    for index, kw in awards(run).iterrows():
        start = run.calendar.timestamp(int(str(index)) * run.calendar.interval_s)
        offered = [era for era in eras if (start, era) in curves]
        problem = Problem(tuple(Offer(era, "grid", curves[start, era]) for era in offered), price_floor=-1, price_cap=5)
        found.append(problem.welfare(kw[offered].to_numpy(dtype=float)))
    return found


def hosts(run: Run) -> dict[str, str]:
    """Whom everybody trades with, as the table of participants has it."""
    traders = run.participants[run.participants.kind.isin(["stated", "aggregator"])]
    return {row.era: row.host or "market" for row in traders.itertuples()}


# --- what it does ---------------------------------------------------------------------------------------------------


def test_sun_and_cars_meet_where_the_published_curves_do_and_the_rest_is_exported(run_plant: Cases) -> None:
    """20 roofs and 10 cars clear at 0.083333 and 100 kW; 8 and 4 at the same price and 40 kW."""
    run = run_plant()
    assert price(run)[:2] == approx([1 / 12] * 2)
    assert price(run)[2:] == approx([0.08] * 2)
    kw = awards(run)
    noon, after = kw.loc[0, leaves(run)], kw.loc[2, leaves(run)]
    assert noon[noon > 0].tolist() == approx([5.0] * 8)
    assert noon[noon < 0].tolist() == approx([-10.0] * 4)
    assert noon[noon > 0].sum() == approx(40)
    assert after.sum() == approx(8 * 5 - 11)
    assert kw.loc[2, "retailer"] == approx(-29)


def test_what_was_awarded_is_what_flowed_through_every_transformer_and_cable(run_plant: Cases) -> None:
    """Losses apart: a transformer of this size takes 0.6 kW of iron, a cable next to nothing."""
    run = run_plant()
    resources = run.setpoints.dropna(subset="delivered_kw")
    assert resources.delivered_kw.tolist() == approx(resources.setpoint_kw.tolist())
    gap_kw = (run.nodes.wire_lv_kw - run.nodes.market_flow_kw).abs().groupby(run.nodes.node).max()
    assert gap_kw[gap_kw.index.str.startswith("t-")].max() < 0.01
    assert gap_kw[gap_kw.index.str.startswith("cable-")].max() < 2


def test_one_curve_crosses_each_border_and_each_gate_closes_before_the_one_above(run_plant: Cases) -> None:
    run = run_plant()
    above = hosts(run)
    sent: dict[str, set[int]] = defaultdict(set)
    for record in run.message_records("confirm"):
        contract = record["body"]["message"]["contract"]
        if "roles" in contract["contractAttributes"]:
            context = record["body"]["context"]
            assert context["bppId"] == above.get(context["bapId"], "market")
            start_s = run.calendar.seconds(contract["contractAttributes"]["timeWindow"]["start"])
            sent[context["bapId"]].add(start_s - record["t"] + 1)
    due_s = {era: times for era, times in sent.items() if era != "retailer"}
    assert all(len(times) == 1 for times in due_s.values())
    by_level = [
        {next(iter(due_s[era])) for era in group} for group in (["west", "east"], ["north", "quay"], leaves(run))
    ]
    assert by_level == [{300}, {360}, {420}]


@pytest.mark.parametrize("changed", [(), (NARROW,), RIGID], ids=["no limit binds", "one binds", "what no price moves"])
def test_the_members_of_every_level_sum_to_its_own_award(run_plant: Cases, changed: tuple[str, ...]) -> None:
    run = run_plant(*changed)
    kw = awards(run)
    below: dict[str, list[str]] = defaultdict(list)
    for era, host in hosts(run).items():
        below[host].append(era)
    assert len(below) == 7
    for level, members in below.items():
        own = -kw["retailer"] if level == "market" else kw[level]
        assert kw[members].sum(axis=1).to_numpy() == approx(own.to_numpy(), abs=1e-3)


# --- the same as without levels -------------------------------------------------------------------------------------


@pytest.mark.parametrize("aggregators", [(), (f"aggregators={DEEPER}",)], ids=["two levels", "three levels"])
@pytest.mark.parametrize("changed", [(), (NARROW,), RIGID], ids=["no limit binds", "one binds", "what no price moves"])
def test_levels_do_what_a_flat_market_does(
    run_plant: Cases, aggregators: tuple[str, ...], changed: tuple[str, ...]
) -> None:
    flat, nested = run_plant(*FLAT, *changed), run_plant(*aggregators, *changed)
    eras = [*leaves(flat), "retailer"]
    assert awards(nested)[eras].to_numpy() == approx(awards(flat)[eras].to_numpy(), abs=2e-3)
    assert welfare(nested) == approx(welfare(flat), rel=1e-5)
    # A region that needs nothing from outside leaves the retailer without a price; for everybody else there is the same one.
    prices = [local_prices(run)[leaves(flat)].to_numpy() for run in (nested, flat)]
    assert prices[0] == approx(prices[1], abs=1e-9, nan_ok=True)
    for run in (flat, nested):
        report = verify(run)
        assert report.findings == 0, render(report)


def test_cities_that_need_nothing_of_each_other_have_the_price_of_the_flat_market_all_the_same(
    run_plant: Cases,
) -> None:
    """Two roofs for each car in either city: nobody trades in the region, and its market names no price."""
    balanced = ("populations.south-car.count=2", "populations.south-roof.count=1", "populations.quay-car.count=2")
    balanced += ("populations.mill-roof.count=3",)
    nested, flat = run_plant(*balanced), run_plant(*FLAT, *balanced)
    eras = leaves(flat)
    assert pd.Series(price(nested)[:2]).isna().all()
    assert local_prices(nested)[eras].to_numpy() == approx(local_prices(flat)[eras].to_numpy(), nan_ok=True)
    assert awards(nested)[eras].to_numpy() == approx(awards(flat)[eras].to_numpy(), abs=2e-3)
    assert balance(nested, "mill-roof-01", "energy") == balance(flat, "mill-roof-01", "energy") > 0


# --- a limit below a level ------------------------------------------------------------------------------------------


def test_where_a_transformer_binds_the_price_parts_by_its_adder_alone_and_the_grid_gets_the_rent(
    run_plant: Cases,
) -> None:
    run = run_plant(NARROW)
    prices, kw = local_prices(run), awards(run)
    # Three roofs share 8 kW: 2.667 kW each, on the way from 2 kW at 0.06 to 5 kW at 0.07.
    inside = 0.06 + (8 / 3 - 2) / 300
    # The others: 5 roofs at 5 kW each and these 8 kW meet 4 cars that take 11 kW at 0.08 and 5 kW at 0.10.
    outside = 0.08 + (11 - (5 * 5 + 8) / 4) / 300
    north = [f"north-roof-{number:02d}" for number in (1, 2, 3)]
    others = [era for era in leaves(run) if era not in north]
    assert kw.loc[0, "north"] == approx(8)
    assert prices.loc[0, north].tolist() == approx([inside] * 3)
    assert prices.loc[0, "north"] == approx(inside)
    assert prices.loc[0, others].tolist() == approx([outside] * len(others))
    rent = 8 * HOURS * (2 * (outside - inside) + 2 * (0.08 - inside))
    assert float(balance(run, "utility", "congestion rent")) == approx(rent, abs=0.01)
    assert float(balance(run, "west", "congestion rent")) == approx(-rent, abs=0.01)


def test_what_no_price_moves_is_cut_at_the_floor_as_a_flat_market_cuts_it(run_plant: Cases) -> None:
    run = run_plant(*RIGID)
    north = run.setpoints[run.setpoints.era.str.startswith("north-roof")]
    assert north.setpoint_kw.tolist() == approx([8 / 3] * len(north), abs=1e-3)
    assert north.curtailed_kw.tolist() == approx([8 / 3 - 5] * len(north), abs=1e-3)
    assert set(north.price_per_kwh) == {-1.0}


# --- money ----------------------------------------------------------------------------------------------------------


def test_every_level_passes_energy_on_and_keeps_the_difference_of_two_fees(run_plant: Cases) -> None:
    run = run_plant()
    kwh = awards(run).abs().sum() * HOURS
    members = defaultdict(float)
    for era, host in hosts(run).items():
        members[host] += kwh[era]
    for level, host in LEVELS.items():
        own_fee, upper_fee = (CITY_FEE, MARKET_FEE) if host == "market" else (FEE, CITY_FEE)
        assert float(balance(run, level, "energy")) == approx(0, abs=0.02)
        assert float(balance(run, level, "fee")) == approx(own_fee * members[level] - upper_fee * kwh[level], abs=0.03)


@pytest.mark.parametrize("changed", [(), (NARROW,), (late("west"),)], ids=["sound", "narrow", "late"])
def test_postings_sum_to_zero_at_every_level_and_altogether(run_plant: Cases, changed: tuple[str, ...]) -> None:
    """Of whatever is posted under the contracts of one level, somebody receives what another pays."""
    run = run_plant(*changed)
    level_of = {era: host for era, host in hosts(run).items()}
    by_level: dict[str, Decimal] = defaultdict(Decimal)
    for posting in run.ledger:
        parties = (posting.payer, posting.payee)
        level = next((level_of[era] for era in parties if level_of.get(era) in parties), "grid")
        received = {era: (era == posting.payee) - (era == posting.payer) for era in parties}
        by_level[level] += sum(posting.amount * sign for sign in received.values())
    assert set(by_level) == {"grid", "market", *LEVELS}
    assert not any(by_level.values())
    assert sum((balance(run, era) for era in {*run.postings.payer, *run.postings.payee}), Decimal(0)) == 0


# --- a level that is late -------------------------------------------------------------------------------------------


def below(run: Run, level: str) -> list[str]:
    """Resources that trade through a level; of the market all of them."""
    above = hosts(run)
    found = []
    for era in leaves(run):
        host = above[era]
        while host not in (level, "market"):
            host = above[host]
        found += [era] if host == level else []
    return found


@pytest.mark.parametrize("by_s", [400, 100_000], ids=["late", "never"])
@pytest.mark.parametrize("level", ["north", "west", "market"])
def test_below_a_level_that_answers_late_everybody_rests_and_the_others_go_on(
    run_plant: Cases, level: str, by_s: int
) -> None:
    sound, run = run_plant(), run_plant(late(level, by_s))
    hit = below(run, level)
    spared = [era for era in leaves(run) if era not in hit]
    kw, before = awards(run), awards(sound)
    delivered = run.setpoints.pivot(index="interval", columns="era", values="delivered_kw")
    assert len(hit) == {"north": 3, "west": 6, "market": 12}[level]
    assert (delivered.loc[LATE, hit] == 0).all()
    assert (kw.loc[LATE, spared] == before.loc[LATE, spared]).all()
    rest = [index for index in kw.index if index != LATE]
    assert (kw.loc[rest, leaves(run)] == before.loc[rest, leaves(run)]).all().all()
    report = verify(run)
    assert report.findings == 0, render(report)


@pytest.mark.parametrize("by_s", [400, 100_000], ids=["late", "never"])
def test_the_level_that_was_late_buys_back_what_it_had_sold_and_those_below_owe_nothing(
    run_plant: Cases, by_s: int
) -> None:
    sound, run = run_plant(), run_plant(late("west", by_s))
    sold_kwh = awards(run).loc[LATE, "west"] * HOURS
    assert sold_kwh == approx(3.75)
    deviations = run.postings[run.postings.term == "deviation"]
    assert [(row.payer, row.payee, row.interval) for row in deviations.itertuples()] == [("west", "utility", LATE)]
    assert float(deviations.amount.sum()) == approx(sold_kwh * (0.30 + PENALTY), abs=0.005)  # 1.2375
    for era in ["north", "south", *below(run, "west")]:
        inside = run.postings[
            (run.postings.interval == LATE) & (run.postings.payer.eq(era) | run.postings.payee.eq(era))
        ]
        assert inside.empty
    assert balance(run, "quay-car-01") == balance(sound, "quay-car-01")


def test_an_award_that_comes_too_late_is_refused_and_its_sender_told_when_the_time_for_it_is_over(
    run_plant: Cases,
) -> None:
    run = run_plant(late("west"))
    refused = [record for record in run.message_records("on_confirm") if record["ack"] == "NACK"]
    assert [record["body"]["context"]["bapId"] for record in refused] == ["north", "south"]
    assert {record["error"]["errorCode"] for record in refused} == {"NET_TIMEOUT"}
    missed = [record for record in run.journal() if record["kind"] == "timeout"]
    assert [record["by"] for record in missed if record["action"] == "on_confirm"] == ["west", "west"]
    waited = [record["by"] for record in missed if record["action"] == "confirm"]
    assert sorted(waited) == sorted(["north", "south", *below(run, "west")])


def test_an_award_that_is_late_by_less_than_there_is_time_changes_nothing(run_plant: Cases) -> None:
    sound, run = run_plant(), run_plant(late("west", 30))
    assert awards(run).equals(awards(sound))
    assert list(run.ledger) == list(sound.ledger)


def test_levels_settle_what_was_read_late_as_they_settle_what_was_read_in_time(run_plant: Cases) -> None:
    sound = run_plant()
    run = run_plant("wire.delays=[{from: metering, action: on_status, by_s: 2000, until: '2016-05-17T11:16:00'}]")
    assert balances(run) == balances(sound)
    assert verify(run).findings == 0


def test_readings_that_are_missing_at_first_are_settled_at_every_level_when_they_come() -> None:
    live, punctual = Live("virtual-power-plant"), Live("virtual-power-plant")
    unread(live, 1, 600)
    live.to_the_end()
    punctual.to_the_end()
    owed, due = [
        {(p.payer, p.payee, p.term, p.amount) for p in one.ledger() if p.interval == 1} for one in (live, punctual)
    ]
    assert owed == due != set()


def test_where_no_lock_comes_in_time_nothing_is_told_and_everybody_rests(run_plant: Cases) -> None:
    run = run_plant("wire.delays=[{from: utility, action: on_confirm, by_s: 100}]")
    assert set(run.intervals.policy) == {""}
    assert not said(run, "on_confirm", "market")
    assert run.prices.price_per_kwh.isna().all()
    assert verify(run).findings == 0


def test_a_level_that_never_hears_of_a_tariff_settles_with_nobody(run_plant: Cases) -> None:
    """What it says comes too late, and so does every answer to it."""
    run = run_plant("wire.delays=[{from: north, by_s: 100}]")
    hit = below(run, "north")
    assert awards(run)[hit].fillna(0).eq(0).all().all()
    assert not set(run.postings.payer) & {"north", *hit}
    assert verify(run).findings == 0


@pytest.mark.parametrize("level", ["market", "west", "north"])
def test_a_level_none_of_whose_awards_is_ever_heard_ends_its_contracts_all_the_same(
    run_plant: Cases, level: str
) -> None:
    run = run_plant(f"wire.delays=[{{from: {level}, action: on_confirm, by_s: 300}}]")
    hit = below(run, level)
    assert run.setpoints[run.setpoints.era.isin(hit)].delivered_kw.eq(0).all()
    assert run.manifest["unsettledContracts"] == []
    assert verify(run).findings == 0
