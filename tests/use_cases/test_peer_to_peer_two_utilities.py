"""Peer to peer across two utilities: what the run settles and bills, by which rule, and what becomes of it when things go wrong.

The published example settles 8 of 10 kWh and 70 of 100; its deviations and shares were recomputed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agents.trade_record import LedgerClerk
from results.run import Run
from results.verify import render, verify
from scenarios.reader import read
from scenarios.runner import execute
from sim.clock import Interval, local_start
from sim.contracts.agreement import Basis
from sim.contracts.allocation import Sharing, Trade
from sim.contracts.contract import Status
from sim.contracts.interutility import HOUR_S, Round
from sim.errors import ScenarioError
from sim.ledger import balances as positions
from sim.ledger import net_by_currency
from sim.wire.bags import ENERGY, EnergyTradeDelivery, MeterReading
from sim.wire.messages import Message
from sim.wire.trade_ledger import LedgerPut
from tests.use_cases.market_cases import USE_CASES, Cases, Live, balance, balances, cases, said

NAME = "peer-to-peer-two-utilities"
FIRST, SECOND, CROSSED = 11, 12, 13
"""Hours at which the windows end; the run begins at 8."""
BILLED_AFTER_H, SETTLED_AFTER_H = 8, 6


@pytest.fixture(scope="module")
def trades(tmp_path_factory: pytest.TempPathFactory) -> Cases:
    return cases(NAME, tmp_path_factory)


def of_window(run: Run, end_h: int) -> dict[str, Decimal]:
    """What one window brought everybody, wheeling apart: its trades at their hour, and the bills at theirs."""
    found: dict[str, Decimal] = {}
    for term, after_h in (("energy", SETTLED_AFTER_H), ("deviation", BILLED_AFTER_H)):
        rows = run.postings[(run.postings.term == term) & (run.postings.interval == end_h + after_h - 9)]
        for row in rows.itertuples():
            found[row.payer] = found.get(row.payer, Decimal(0)) - Decimal(row.amount)
            found[row.payee] = found.get(row.payee, Decimal(0)) + Decimal(row.amount)
    return found


def delivered(run: Run, utility: str) -> list[float]:
    """What a utility told the sellers' platform of each trade, in order."""
    told = [
        body["message"]["contract"]["performance"][0]["performanceAttributes"]
        for body in said(run, "on_status", utility, "seller-app")
    ]
    return [one["deliveredQuantity"] for one in told if "deliveredQuantity" in one]


def relief(utility: str, meter: str, **say: Any) -> str:
    entry = {"at": "10:15", "do": "relieve", "item": meter, "say": say}
    return f"distributors.{utility}.diary={yaml.safe_dump([entry], default_flow_style=True, width=1000).strip()}"


# --- numbers --------------------------------------------------------------------------------------------------------


def test_of_ten_kwh_eight_came_and_the_other_seven_that_were_drawn_are_the_utility_s(trades: Cases) -> None:
    """10 kWh at 6, consumed 15, produced 8: 8 x 6 = 48 to the seller, 7 x 10 = 70 to the buyer's utility (published)."""
    assert of_window(trades(), FIRST) == {"h1": -118, "r1": 48, "south": 70}


def test_of_a_hundred_kwh_seventy_came_and_cost_the_buyer_520(trades: Cases) -> None:
    """100 kWh at 6, consumed 80, produced 70: 420 + 10 x 10 (published)."""
    assert of_window(trades(), SECOND) == {"h1": -520, "r1": 420, "south": 100}


CONTRACTED = (
    "ledgers.trades.basis=CONTRACTED",
    *(f"distributors.{utility}.settles.{rate}" for utility in ("north", "south") for rate in ("import_price=8",)),
)


def test_settled_as_contracted_the_deviations_are_the_utilities(trades: Cases) -> None:
    """100 kWh at 6, 80 and 70, at 4 and 8: buyer 520, seller 360, its utility 240, the other one -80 (published)."""
    assert of_window(trades(*CONTRACTED), SECOND) == {"h1": -520, "r1": 360, "north": 240, "south": -80}


def test_the_small_example_as_contracted(trades: Cases) -> None:
    """10 kWh at 6, 8 and 7, at 4 and 8: 52, 36, 24 and 8 (published)."""
    less = ("seekers.h1.device.power=[{kw: -8}]", "seekers.r1.device.power=[{kw: 7}]")
    assert of_window(trades(*CONTRACTED, *less), FIRST) == {"h1": -52, "r1": 36, "north": 24, "south": -8}


@pytest.mark.parametrize(
    ("overrides", "shares"),
    [
        ((), [7.5, 7.5, 7.5]),
        (("ledgers.trades.rule=FIFO",), [10, 5, 5]),
        (("ledgers.trades.sequential=true",), [6.429, 8.571, 7.5]),
    ],
    ids=["pro rata", "first come", "one after the other"],
)
def test_trades_on_shared_meters_settle_what_the_rule_says(
    trades: Cases, overrides: tuple[str, ...], shares: list[float]
) -> None:
    """Roofs of 15 and 10, homes of 15 and 10, three trades of 10: 22.5 pro rata, 20 first come (published)."""
    run = trades(*overrides)
    assert delivered(run, "north") == delivered(run, "south") == [8, 70, *shares]
    energy = [Decimal(str(share)) * 6 for share in shares]
    rows = run.postings[(run.postings.term == "energy") & (run.postings.interval == CROSSED + SETTLED_AFTER_H - 9)]
    assert [Decimal(amount) for amount in rows.amount] == [amount.quantize(Decimal("0.01")) for amount in energy]


def test_with_the_meters_of_both_utilities_25_of_the_30_kwh_could_have_been_settled(trades: Cases) -> None:
    """What the rows and the meters of the run come to where somebody sees all of them (published)."""
    run = trades()
    puts = [body["message"] for body in said(run, "ledger/put", "seller-app")][2:]
    agreed = tuple(
        Trade(put["orderItemId"], put["sellerId"], put["buyerId"], Decimal(str(put["tradeDetails"][0]["tradeQty"])))
        for put in puts
    )
    window = run.setpoints[run.setpoints.interval == CROSSED - 9]
    kw = {row.era: Decimal(str(row.delivered_kw)) for row in window.itertuples()}
    most = Round(agreed, 0, rule=Sharing.MOST, basis=Basis.MIN_OF_TWO)
    most = most.produced({era: power for era, power in kw.items() if power > 0}, 2 * HOUR_S)
    most = most.consumed({era: -power for era, power in kw.items() if power < 0}, 4 * HOUR_S).settle(6 * HOUR_S)
    assert sum(most.settled_kwh) == 25


def test_both_utilities_are_paid_for_carrying_what_was_traded(trades: Cases) -> None:
    """100.5 kWh at 0.5 on either side."""
    run = trades()
    assert [balance(run, utility, "wheeling") for utility in ("north", "south")] == [Decimal("50.25")] * 2


@settings(max_examples=6)
@given(powers=st.lists(st.integers(0, 40), min_size=4, max_size=4), rule=st.sampled_from(["PRO_RATA", "FIFO"]))
def test_whatever_meters_say_no_kwh_is_settled_twice_and_money_sums_to_zero(powers: list[int], rule: str) -> None:
    r1, r2, h1, h2 = powers
    meters = {"r1": r1, "r2": r2, "h1": -h1, "h2": -h2}
    live = Live(
        NAME, f"ledgers.trades.rule={rule}", *(f"seekers.{m}.device.power=[{{kw: {kw}}}]" for m, kw in meters.items())
    )
    live.to_the_end()
    deals = live.agent("seller-app").deals.values()
    for window in {deal.start_s for deal in deals}:
        for meter, kw in meters.items():
            there = [
                d.record
                for d in deals
                if d.start_s == window and meter in (d.record.seller.meter, d.record.buyer.meter)
            ]
            assert sum(record.settled_kwh for record in there) <= abs(kw)
    assert set(net_by_currency(positions(live.built.world.ledger)).values()) <= {0}


VARIANTS: Mapping[str, tuple[str, ...]] = {
    "as it is": (),
    "first come": ("ledgers.trades.rule=FIFO",),
    "contracted": CONTRACTED,
    "blocking": ("ledgers.trades.blocking=true",),
    "cancelled": (relief("north", "r1", how="CANCEL"),),
    "curtailed": (relief("south", "h2", how="CURTAIL", kwh=3),),
    "moved": (relief("north", "r2", how="RESCHEDULE", minutes=60),),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_sound_and_every_contract_of_it_sums_to_zero(trades: Cases, variant: str) -> None:
    run = trades(*VARIANTS[variant])
    report = verify(run)
    assert report.findings == 0, render(report)
    assert sum(balances(run).values()) == 0
    by_contract: dict[str, list[Any]] = {}
    for posting in run.ledger:
        by_contract.setdefault(posting.contract, []).append(posting)
    assert all(set(net_by_currency(positions(postings)).values()) == {0} for postings in by_contract.values())


# --- the wire -------------------------------------------------------------------------------------------------------


def test_both_platforms_tell_the_ledger_the_same(trades: Cases) -> None:
    puts = [[body["message"] for body in said(trades(), "ledger/put", f"{app}-app")] for app in ("seller", "buyer")]
    own = ("role", "clientReference")
    told = [[{k: v for k, v in put.items() if k not in own} for put in side] for side in puts]
    assert told[0] == told[1]
    assert len(told[0]) == 5
    assert {put["role"] for put in puts[0]} == {"SELLER"}


def test_the_order_names_both_platforms_and_both_utilities_and_whose_meters_they_are(trades: Cases) -> None:
    for action in ("confirm", "on_confirm"):
        body = next(
            body["message"]["contract"]
            for body in said(trades(), action)
            if {body["context"]["bapId"], body["context"]["bppId"]} == {"buyer-app", "seller-app"}
        )
        order = body["contractAttributes"]
        assert order["@type"] == "EnergyTradeOrderInterUtility"
        named = ("bap_id", "bpp_id", "utilityIdBuyer", "utilityIdSeller", "total_quantity")
        assert [order[name] for name in named] == ["buyer-app", "seller-app", "south", "north", 10]
        buyer = body["participants"][0]["participantAttributes"]
        seller = body["commitments"][0]["commitmentAttributes"]["providerAttributes"]
        assert [(one["meterId"], one["utilityId"]) for one in (buyer, seller)] == [("h1", "south"), ("r1", "north")]


def test_every_hour_after_delivery_has_its_messages(trades: Cases) -> None:
    """T + 2 h, T + 4 h, T + 6 h and T + 8 h of the first window, which ends at eleven."""
    run = trades()

    def hours(action: str, sender: str, recipient: str | None = None) -> list[int]:
        bodies = said(run, action, sender, recipient)
        return [datetime.fromisoformat(body["context"]["timestamp"]).hour for body in bodies]

    assert hours("ledger/record", "north") == [13, 14, 15, 15, 15]
    assert hours("ledger/record", "south") == [15, 16, 17, 17, 17]
    assert (
        hours("on_status", "north", "seller-app") == hours("on_status", "south", "seller-app") == [17, 18, 19, 19, 19]
    )
    assert hours("on_update", "seller-app", "buyer-app") == [17, 18, 19, 19, 19]
    assert hours("on_update", "south", "h1") == [19, 20, 21]


def test_what_is_published_later_says_how_much_is_left_and_what_is_no_longer_on_offer(trades: Cases) -> None:
    shelves = [
        {r["id"]: r for r in body["message"]["catalogs"][0]["resources"]}
        for body in said(trades(), "catalog/publish", "seller-app")
    ]
    left = [shelf["roof-1"]["resourceAttributes"]["availableQuantity"] for shelf in shelves]
    assert left == [150, 20, 20]
    assert [shelf["roof-2"].get("isActive") for shelf in shelves] == [None, None, False]


def test_where_the_ledger_blocks_both_utilities_sign_every_trade_before_it_is_delivered(trades: Cases) -> None:
    run = trades("ledgers.trades.blocking=true")
    for utility, status in (("north", "statusSellerDiscom"), ("south", "statusBuyerDiscom")):
        told = [body["message"].get(status) for body in said(run, "ledger/record", utility)]
        assert told == ["CONFIRMED"] * 5 + ["COMPLETED"] * 5
    assert balances(run) == balances(trades())


def test_a_utility_signs_no_more_than_its_customer_may_buy() -> None:
    """Of the 130 kWh that a home asks for 121 may be traded at it: the last ten are off, and never delivered."""
    live = Live(NAME, "ledgers.trades.blocking=true", "distributors.south.meters.h1.cap_kwh=121")
    live.to_the_end()
    assert statuses(live) == [DONE, DONE, DONE, ("CONFIRMED", "CANCELLED_POL_VIOLATION"), DONE]
    assert [deal.status for deal in live.agent("seller-app").deals.values()].count(Status.TERMINATED) == 1
    assert live.agent("south").meters["h1"].traded_kwh == 120
    assert live.agent("north").meters["r2"].traded_kwh == 0


# --- what goes wrong ------------------------------------------------------------------------------------------------


def statuses(live: Live) -> list[tuple[str, str]]:
    """Where every row of the ledger stands: seller's utility, buyer's."""
    return [(row.statusSellerDiscom, row.statusBuyerDiscom) for row in live.agent("trades").rows]


DONE = ("COMPLETED", "COMPLETED")


def test_a_roof_that_an_outage_cuts_off_gives_its_trades_and_its_limit_back() -> None:
    live = Live(NAME, relief("north", "r1", how="CANCEL"))
    live.to_the_end()
    off = ("CANCELLED_OUTAGE", "CONFIRMED")
    assert statuses(live) == [off, off, off, DONE, off]
    assert live.agent("north").meters["r1"].traded_kwh == 0
    deals = list(live.agent("seller-app").deals.values())
    assert [deal.status for deal in deals] == [Status.TERMINATED] * 3 + [Status.COMPLETED, Status.TERMINATED]
    assert {p.payee for p in live.built.world.ledger if p.term == "energy"} == {"r2"}
    assert len([m for m in live.messages("on_cancel") if m["body"]["context"]["bapId"] == "buyer-app"]) == 4


def test_a_trade_that_an_outage_curtails_settles_no_more_than_was_left_of_it() -> None:
    """3 of 10 kWh are left; what that leaves of the roof only its own utility could give to another trade."""
    live = Live(NAME, relief("south", "h2", how="CURTAIL", kwh=3))
    live.to_the_end()
    assert statuses(live) == [DONE] * 5
    assert [float(deal.record.settled_kwh) for deal in live.agent("seller-app").deals.values()] == [8, 70, 7.5, 7.5, 3]
    told = [body["message"]["contract"]["performance"][0] for body in live.said("on_update", "buyer-app")]
    assert [one["performanceAttributes"].get("curtailedQuantity") for one in told] == [7, None, None, None, None, None]


def test_a_trade_that_is_moved_is_cancelled_here_and_put_anew_there() -> None:
    """The second roof gives 10 kWh an hour later as well, and the first home draws them."""
    powers = ("seekers.r2.device.power=[{from: '12:00', to: '14:00', kw: 10}]",)
    home = "seekers.h1.device.power=[{from: '11:00', to: '12:00', kw: -80}, {from: '10:00', to: '14:00', kw: -15}]"
    live = Live(NAME, relief("north", "r2", how="RESCHEDULE", minutes=60), *powers, home, "duration_h=15")
    live.to_the_end()
    assert statuses(live) == [DONE, DONE, DONE, ("CANCELLED_OUTAGE", "CONFIRMED"), DONE, DONE]
    old, new = live.agent("trades").rows[3], live.agent("trades").rows[5]
    assert new.orderItemId == f"{old.orderItemId}/60"
    assert new.tradeTime == old.tradeTime
    start, end = (datetime.fromisoformat(at) for at in (new.deliveryStartTime, new.deliveryEndTime))
    assert (start.hour, end.hour) == (13, 14)
    assert [float(deal.record.settled_kwh) for deal in live.agent("seller-app").deals.values()] == [8, 70, 7.5, 10, 7.5]


def test_a_utility_that_never_records_leaves_trades_open_and_nobody_pays_for_nothing() -> None:
    live = Live(NAME)
    live.agent("south").reactions["ledger consumed"] = lambda _: ()
    live.to_the_end()
    assert not list(live.built.world.ledger)
    assert {deal.status for deal in live.agent("seller-app").deals.values()} == {Status.ACTIVE}
    assert statuses(live) == [("COMPLETED", "CONFIRMED")] * 5
    assert len(live.agent("north").books.desk.open_rows) == 5


def test_a_home_that_was_not_read_is_waited_for_and_then_everything_of_its_window_is_settled() -> None:
    """The reading of noon comes at seven in the evening, two hours after it was first asked for."""
    live = Live(NAME)
    books = live.agent("south").books
    read, hidden = books.read, {}

    def half(readings: Mapping[str, MeterReading], index: int) -> None:
        if index == CROSSED - 9:
            hidden["h2"] = readings["h2"]
        read({meter: one for meter, one in readings.items() if one not in hidden.values()}, index)

    books.read = half
    live.built.world.run(lambda interval, _: read(hidden, CROSSED - 9) if interval.index == 10 else None)
    hours = [body["context"]["timestamp"][11:13] for body in live.said("on_update", "buyer-app")]
    assert hours == ["17", "18", "21", "21", "21"]
    deals = live.agent("seller-app").deals.values()
    assert [float(deal.record.settled_kwh) for deal in deals] == [8, 70, 7.5, 7.5, 7.5]


def test_a_platform_that_tells_the_ledger_something_else_has_no_trade(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger refuses it, the platform takes the deal back, and the utility has its limit again."""
    put = LedgerClerk.put

    def more(clerk: LedgerClerk, *args: Any) -> Message:
        *same, kwh = args
        return put(clerk, *same, kwh + 1 if clerk._side == "BUYER" else kwh)

    monkeypatch.setattr(LedgerClerk, "put", more)
    live = Live(NAME)
    live.to_the_end()
    assert [m["error"]["errorCode"] for m in live.nacks("ledger/put")] == ["PRC_CONFLICT"] * 5
    assert {deal.status for deal in live.agent("seller-app").deals.values()} == {Status.TERMINATED}
    assert statuses(live) == [("PENDING", "PENDING")] * 5
    assert not list(live.built.world.ledger)
    assert live.agent("north").meters["r1"].traded_kwh == 0


def test_a_utility_cannot_put_and_a_stranger_cannot_say_what_a_trade_settles() -> None:
    live = Live(NAME)
    utility, post = live.agent("south"), live.built.world.bus.post

    def meddle(interval: Interval, _: object) -> None:
        if interval.index == 0:
            row = live.agent("trades").rows[0]
            put = LedgerPut(role="SELLER", transactionId=row.transactionId, orderItemId="x")
            post("south", (utility.request("ledger/put", "trades", put, utility.ids.fresh()),))
            settled = EnergyTradeDelivery(ENERGY, deliveryStatus="COMPLETED", deliveredQuantity=10)
            post("r1", (replace(utility.books._to_platform("on_status", row, settled), sender="r1"),))

    live.built.world.run(meddle)
    assert [m["error"]["errorCode"] for m in live.nacks("ledger/put")] == ["AUT_NOT_AUTHORIZED"]
    assert [m["error"]["errorCode"] for m in live.nacks("on_status")] == ["AUT_NOT_AUTHORIZED"]
    first = next(iter(live.agent("seller-app").deals.values()))
    assert first.record.told == {"north": 8, "south": 8}


@pytest.mark.parametrize(("days", "paid", "trades_"), [(14, 0, 2), (15, 0, 0), (15, 545, 0), (15, 546, 2)], ids=str)
def test_who_has_not_paid_for_two_weeks_is_traded_for_no_more(days: int, paid: int, trades_: int) -> None:
    """A fine of 5 % comes on the eighth day: 520 and 26.  What the ledger does not take is off before it is delivered."""
    start = local_start(datetime(2016, 5, 17), "Asia/Kolkata").date()
    debt = {"debtor": "h1", "creditor": "south", "amount": 520, "due": start - timedelta(days=days)}
    if paid:
        debt["payments"] = [{"amount": paid, "on": start}]
    live = Live(NAME, f"ledgers.trades.debts={yaml.safe_dump([debt], default_flow_style=True, width=1000).strip()}")
    live.to_the_end()
    refused = {m["error"]["errorCode"] for m in live.nacks("ledger/put")}
    assert refused == (set() if trades_ else {"AUT_NOT_AUTHORIZED"})
    deals = [deal for deal in live.agent("seller-app").deals.values() if deal.meter == "h1"]
    assert {deal.status for deal in deals} == {Status.COMPLETED if trades_ else Status.TERMINATED}
    assert {row.buyerId for row in live.agent("trades").rows} == ({"h1", "h2"} if trades_ else {"h2"})


# --- one meter, two markets -------------------------------------------------------------------------------------------


def two_markets(folder: Path, kwh: float) -> Path:
    """The first roof sells to the second one's house as well, at noon, under a contract of their own utility."""
    stated = yaml.safe_load((USE_CASES / f"{NAME}.yaml").read_text())
    energy = {"name": "energy", "from": "BUYER", "to": "SELLER", "formula": "contractedKWh * pricePerKWh"}
    stated["contracts"].append({"name": "next-door", "terms": [energy]})
    lists = {"@type": "EnergyResource", "meterId": "next-door"}
    item = {"name": "next-door", "lists": lists, "price": 5, "contract": "next-door", "meter": "r1"}
    stated["providers"].append({"name": "neighbour", "items": [{**item, "approved_by": "north"}]})
    search = {"filter": "$[?@.resourceAttributes.meterId == 'next-door']"}
    errand = {"at": "08:20", "search": search, "kwh": kwh, "from": "12:00", "to": "13:00", "meter": "r2"}
    stated["seekers"].append({"name": "next", "errands": [errand]})
    path = folder / "two-markets.yaml"
    path.write_text(yaml.safe_dump(stated))
    return path


def test_energy_that_is_sold_next_door_is_not_there_for_the_trades_of_the_ledger(tmp_path: Path) -> None:
    """Of 15 kWh 5 go next door: 10 are left for the two trades in the ledger."""
    run = Run(execute(read(two_markets(tmp_path, 5), ()), tmp_path / "run"))
    assert delivered(run, "north") == [8, 70, 5, 7.5, 5]
    assert balance(run, "neighbour") == 25
    report = verify(run)
    assert report.findings == 0, render(report)


def test_what_was_locked_next_door_cannot_be_promised_to_another_utility_s_customer(tmp_path: Path) -> None:
    """Of 150 kWh that may be traded at the roof 30 are: 110 more are approved, and the next 10; the last 10 are not."""
    run = Run(execute(read(two_markets(tmp_path, 30), ()), tmp_path / "run"))
    refused = [r["error"]["errorCode"] for r in run.message_records() if r["action"] == "init" and r["ack"] == "NACK"]
    assert refused == ["BIZ_CAP_EXCEEDED"]
    assert len(said(run, "ledger/put", "seller-app")) == 4


# --- scenarios that cannot be ----------------------------------------------------------------------------------------


def test_a_scenario_whose_ledger_cannot_work_says_everything_at_once() -> None:
    wrong = (
        "ledgers.trades.after_h=[2, 1, 6, 8]",
        "ledgers.trades.ladder.fined_days=20",
        "providers.seller-app.records_in=trade",
        "distributors.south.settles.ledger=trade",
        "providers.seller-app.items.roof-2.meter=r9",
        "seekers.buyer-app.errands.0.meter=h9",
    )
    with pytest.raises(ScenarioError) as error:
        Live(NAME, *wrong)
    places = [fault.where for fault in error.value.faults]
    for place in (
        "ledgers[0].after_h",
        "ledgers[0].ladder",
        "providers[0].records_in",
        "distributors[1].settles.ledger",
        "providers[0].items[1].meter",
        "seekers[0].errands[0].meter",
    ):
        assert place in places
