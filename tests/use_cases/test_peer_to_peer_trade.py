"""A neighbour's roof sells at a price of its own; the utility that carries it approves, locks, curtails, and settles deviations."""

from __future__ import annotations

from decimal import Decimal

import pytest
from pytest import approx

from results.run import Run
from tests.use_cases.deal_cases import (
    failures,
    heard,
    net_zero,
    of_contract,
    paid,
    parts,
    price,
    refused,
    session,
    signals,
)
from tests.use_cases.library import Library, Told
from tests.use_cases.market_cases import balance

NAME = "peer-to-peer"
CURTAIL = "distributors.utility.diary=[{at: '12:00', do: curtail, item: home, say: {kwh: %s, reason: CONGESTION}}]"
BUY = "{at: '%s', search: {type: EnergyResource}, kwh: %s, from: '11:00', to: '13:00', meter: home, diary: %s}"


def buying(*errands: tuple[str, float, str]) -> str:
    """Errands of the home: when, how many kWh, and what it does afterwards."""
    return f"seekers.home.errands=[{', '.join(BUY % errand for errand in errands)}]"


PLENTY = "providers.solar-home.items.roof.quantity_kwh=200"


@pytest.fixture(scope="module")
def run(library: Library) -> Run:
    return library.run_of(NAME)


def locks(run: Run) -> list[tuple[float, float]]:
    """What the utility has said is traded at both meters, buyer's and seller's, with every lock."""
    found = []
    for contract in of_contract(heard(run, "solar-home", "on_confirm", "utility")):
        (grid,) = (r for r in contract["contractAttributes"]["roles"] if r["role"] == "GRID_OPERATOR")
        told = grid["roleInputs"]
        found.append((told["currentBuyerTradesTotal"], told["currentSellerTradesTotal"]))
    return found


def delivered(run: Run, era: str, start: int, end: int) -> list[float]:
    rows = run.setpoints[(run.setpoints.era == era) & run.setpoints.interval.between(start, end - 1)]
    return list(rows.sort_values("interval").delivered_kw)


# as agreed


def test_ten_kwh_cost_one_and_a_half_and_a_quarter_to_carry(run: Run) -> None:
    """10 kWh · 0.15 = 1.50, 10 · 0.025 = 0.25: 1.75, as the story of peer-to-peer trading has it."""
    (quoted,) = of_contract(heard(run, "home", "on_select"))
    assert parts(quoted) == {"energy": 1.50, "wheeling": 0.25}
    assert price(quoted) == 1.75
    balances = {era: balance(run, era) for era in ("home", "solar-home", "utility")}
    assert balances == {"home": Decimal("-1.75"), "solar-home": Decimal("1.50"), "utility": Decimal("0.25")}
    assert net_zero(run)


def test_the_utility_approves_what_both_meters_have_left_and_locks_it(run: Run) -> None:
    """Caps of 50 and 100 kWh with 5 and 20 traded leave min(45, 80); then 15 and 30 are."""
    (terms,) = of_contract(heard(run, "home", "on_init"))
    assert terms["contractAttributes"]["inputParameters"]["approvedMaxTradeKWh"] == 45
    assert locks(run) == [(15.0, 30.0)]


def test_the_buyer_hears_of_every_quarter_and_in_the_end_that_it_is_complete(run: Run) -> None:
    contracts = list(of_contract(heard(run, "home", "on_update", "solar-home")))
    assert len(contracts) == 8
    assert [session(c)["deliveryStatus"] for c in contracts] == ["IN_PROGRESS"] * 7 + ["COMPLETED"]
    assert contracts[-1]["contractAttributes"]["status"] == "COMPLETED"
    assert price(contracts[-1]) == 1.75
    forwarded = [session(c)["deliveryStatus"] for c in of_contract(heard(run, "solar-home", "on_update", "utility"))]
    assert forwarded.count("COMPLETED") == 2  # of the trade, and of the side contract


def test_the_lane_is_fed_by_the_roof_and_the_transformer_sees_the_difference(run: Run) -> None:
    assert delivered(run, "roof", 4, 12) == approx([6.0] * 8)
    assert delivered(run, "home", 4, 12) == approx([-5.5] * 8)
    rows = run.nodes[(run.nodes.node == "trafo") & run.nodes.interval.between(4, 11)]
    assert list(rows.wire_lv_kw) == approx([-0.5] * 8, abs=0.15)


# beside the trade


def test_what_the_buyer_does_not_draw_is_credited_by_the_utility_and_the_trade_is_paid_all_the_same(
    library: Library,
) -> None:
    """4 of the 5 kW that were agreed, for two hours, at 3 a kWh: 6.00 beside the 1.75."""
    run = library.run_of(NAME, "seekers.home.device.power=[{kw: -4}]")
    assert paid(run, "credit") == 6
    assert balance(run, "home") == Decimal("4.25")
    assert balance(run, "solar-home") == Decimal("1.50")
    assert net_zero(run)


def test_what_the_seller_does_not_produce_it_pays_the_utility_for(library: Library) -> None:
    """4 of 5 kW for two hours at 10 a kWh: 20.00; the buyer neither pays nor is told."""
    run = library.run_of(NAME, "providers.solar-home.items.roof.device.power=[{kw: 4}]")
    assert paid(run, "penalty", "solar-home") == 20
    assert balance(run, "home") == Decimal("-1.75")
    assert net_zero(run)


def test_every_contract_comes_to_nothing_by_itself(library: Library) -> None:
    run = library.run_of(NAME, "seekers.home.device.power=[{kw: -4}]")
    assert set(Told.of(run).contracts.values()) == {"COMPLETED"}
    for _, rows in run.postings.groupby("contract"):
        assert set(rows.term) in ({"energy", "wheeling"}, {"credit"})


# curtailment


def test_what_is_curtailed_is_neither_delivered_nor_paid(library: Library) -> None:
    """A quarter of the trade from noon: 7.5 kWh · 0.175 = 1.31; the roof gives 2.5 kW less."""
    run = library.run_of(NAME, CURTAIL % 2.5)
    (told,) = (
        c for c in of_contract(heard(run, "home", "on_update", "solar-home")) if "curtailedQuantity" in session(c)
    )
    assert (session(told)["curtailedQuantity"], session(told)["curtailmentReason"]) == (2.5, "CONGESTION")
    assert told["performance"][0]["status"]["code"] == "PARTIALLYFULFILLED"
    assert price(told) == approx(1.31)
    assert delivered(run, "roof", 4, 12) == approx([6.0] * 4 + [3.5] * 4)
    assert balance(run, "home") == Decimal("-1.31")
    assert paid(run, "penalty") == paid(run, "credit") == 0
    final = list(of_contract(heard(run, "home", "on_update", "solar-home")))[-1]
    assert final["performance"][0]["status"]["code"] == "PARTIALLYFULFILLED"
    assert net_zero(run)


def test_a_trade_that_is_curtailed_altogether_costs_what_went_before(library: Library) -> None:
    run = library.run_of(NAME, CURTAIL % 5)
    assert balance(run, "home") == approx(Decimal("-0.88"), abs=Decimal("0.01"))  # 5 kWh · 0.175 = 0.875
    assert delivered(run, "roof", 8, 12) == approx([1.0] * 4)


def test_what_was_curtailed_can_be_traded_again(library: Library) -> None:
    """45 kWh fill the buyer's cap; when half of what is left of them is curtailed, others may have it."""
    run = library.run_of(
        NAME, PLENTY, CURTAIL % 10, buying(("10:30", 45, "[]"), ("11:30", 10, "[]"), ("12:10", 10, "[]"))
    )
    assert refused(run) == [("solar-home", "utility", "init", "BIZ_CAP_EXCEEDED")]
    assert locks(run) == [(50.0, 65.0), (50.0, 65.0)]


# two trades on one meter


def test_a_meter_cannot_trade_more_than_its_cap(library: Library) -> None:
    """Of 45 kWh that are left, 10 go; 36 are one too many, and change nothing."""
    run = library.run_of(NAME, PLENTY, buying(("10:30", 10, "[]"), ("10:40", 36, "[]")))
    assert refused(run) == [("solar-home", "utility", "init", "BIZ_CAP_EXCEEDED")]
    assert failures(run) == [("solar-home", "home", "on_init", "BIZ_CAP_EXCEEDED")]
    assert locks(run) == [(15.0, 30.0)]
    assert balance(run, "home") == Decimal("-1.75")


def test_of_two_that_are_approved_at_once_the_second_lock_is_refused(library: Library) -> None:
    """30 and 30 kWh each fit into 45 when they are asked for in the same second; together they do not."""
    run = library.run_of(NAME, PLENTY, buying(("10:30", 30, "[]"), ("10:30", 30, "[]")))
    assert refused(run) == [("solar-home", "utility", "confirm", "BIZ_CAP_EXCEEDED")]
    assert locks(run) == [(35.0, 50.0)]
    assert sorted(Told.of(run).contracts.values()) == ["COMPLETED", "COMPLETED", "COMPLETED", "TERMINATED"]
    assert (paid(run, "energy"), paid(run, "wheeling")) == (Decimal("4.50"), Decimal("0.75"))


def test_a_cancelled_trade_frees_its_lock_and_its_side_contracts(library: Library) -> None:
    run = library.run_of(NAME, PLENTY, buying(("10:30", 45, "[{at: '10:40', do: cancel}]"), ("10:45", 45, "[]")))
    assert refused(run) == []
    assert locks(run) == [(50.0, 65.0), (50.0, 65.0)]
    assert [
        c["contractAttributes"]["status"] for c in of_contract(heard(run, "solar-home", "on_cancel", "utility"))
    ] == ["TERMINATED"]
    assert sorted(Told.of(run).contracts.values()) == ["COMPLETED"] * 3 + ["TERMINATED"] * 3


def test_a_roof_does_not_sell_more_than_it_has(library: Library) -> None:
    run = library.run_of(NAME, buying(("10:30", 15, "[]"), ("10:40", 6, "[]")))
    assert refused(run) == [("home", "solar-home", "init", "BIZ_CAP_EXCEEDED")]


def test_cancelling_twice_and_when_delivery_has_begun_is_refused_and_changes_nothing(
    library: Library, run: Run
) -> None:
    diary = "[{at: '11:10', do: cancel}, {at: '11:11', do: cancel}]"
    late = library.run_of(NAME, f"seekers.home.errands.0.diary={diary}")
    assert refused(late) == [("home", "solar-home", "cancel", "PRC_INVALID_TRANSITION")] * 2
    assert Told.of(late).balances == Told.of(run).balances


def test_terms_that_carry_a_trade_at_another_price_than_the_utility_are_no_deal(library: Library) -> None:
    """The contract says 0.025 a kWh, the utility 0.05: nobody is billed a price that was not agreed."""
    run = library.run_of(NAME, "distributors.utility.wheeling_per_kwh=0.05")
    assert failures(run) == [("solar-home", "home", "on_init", "PRC_CONFLICT")]
    assert [
        c["contractAttributes"]["status"] for c in of_contract(heard(run, "solar-home", "on_cancel", "utility"))
    ] == ["TERMINATED"]
    assert len(run.postings) == 0


def test_a_meter_that_the_utility_does_not_have_cannot_trade(library: Library) -> None:
    run = library.run_of(NAME, "seekers.home.errands.0.meter=cellar")
    assert refused(run) == [("solar-home", "utility", "init", "NET_ENTITY_NOT_FOUND")]
    assert failures(run) == [("solar-home", "home", "on_init", "NET_ENTITY_NOT_FOUND")]
    assert len(run.postings) == 0


# meters that say nothing


def test_the_trade_needs_no_meter_and_deviations_wait_for_theirs(library: Library) -> None:
    """4 kW are drawn; the readings of half an hour come late, and are credited like those that were in time."""
    late = "wire.delays=[{from: metering, by_s: 600, since: '2016-05-17T11:28:00', until: '2016-05-17T11:31:00'}]"
    run = library.run_of(NAME, "seekers.home.device.power=[{kw: -4}]", late)
    assert paid(run, "credit") == 6
    assert balance(run, "home") == Decimal("4.25")


def test_a_reading_that_is_not_there_is_said_to_be_missing(library: Library) -> None:
    run = library.run_of(NAME, "wire.delays=[{from: metering, by_s: 90000}]")
    told = [
        session(c)["meterReadings"][0]["quality"] for c in of_contract(heard(run, "home", "on_update", "solar-home"))
    ]
    assert told == ["MISSING"] * 8
    assert balance(run, "home") == Decimal("-1.75")
    beside = list(of_contract(heard(run, "home", "on_update", "utility")))
    assert [signals(c).get("estimated") for c in beside][-1] == 8
