"""A trade ledger between two utilities, from the trade in it to the money: two platforms, two utilities, one bus.

Only what lies between them is the matter here; how a deal comes about is another.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import mesa
import pytest
import simpy

from agents.ledger_desk import LedgerDesk, SettledTrade, Statement
from agents.trade_ledger import TradeLedger
from sim.bus import Bus
from sim.clock import Calendar, local_start
from sim.contracts.allocation import Sharing
from sim.contracts.contract import Role, Settlement, settle
from sim.contracts.dunning import Debt, Ladder, Payment, may_trade
from sim.contracts.interutility import HOUR_S, Relief, side_contract, trade_contract
from sim.contracts.trade_rows import faults_of
from sim.errors import ContractError
from sim.journal import Journal
from sim.ledger import Ledger, balances
from sim.participant import Ids, Participant
from sim.wire.messages import NACK, Alarm, Event, Message
from sim.wire.trade_ledger import LedgerPut, LedgerRow, TradeDetail

DAY = Calendar(local_start(datetime(2026, 1, 15), "UTC"), 3600, 24)
START_S, END_S = 11 * HOUR_S, 12 * HOUR_S
RATES = {"importPricePerKWh": Decimal(10), "exportPricePerKWh": Decimal(4), "wheelingPerKWh": Decimal("0.5")}
PRICE = Decimal(6)

Meters = Mapping[str, tuple[float, float] | None]
"""What each customer produced and consumed [kWh]."""


def trade(item: str, seller: str, buyer: str, kwh: float, traded: str = "10:00:00") -> LedgerPut:
    return LedgerPut(
        role="SELLER",
        transactionId=f"tx-{item}",
        orderItemId=item,
        platformIdBuyer="buyer-app",
        platformIdSeller="seller-app",
        discomIdBuyer="south",
        discomIdSeller="north",
        buyerId=buyer,
        sellerId=seller,
        tradeTime=f"2026-01-15T{traded}Z",
        deliveryStartTime=DAY.timestamp(START_S),
        deliveryEndTime=DAY.timestamp(END_S),
        tradeDetails=(TradeDetail(tradeQty=kwh, tradeType="ENERGY", tradeUnit="KWH"),),
    )


class Platform(Participant):
    """Puts its side of every trade at ten."""

    kind = "platform"

    def __init__(self, role: str, puts: Iterable[LedgerPut]) -> None:
        era = f"{role.lower()}-app"
        super().__init__(mesa.Model(rng=1), era, Ids(1, era))
        self.puts = [LedgerPut(**{f: getattr(p, f) for f in p.__struct_fields__} | {"role": role}) for p in puts]
        self.refused: list[str] = []
        self.reactions |= {"put": self.on_put, "ledger/on_put": lambda _: ()}

    def on_start(self, _: Alarm) -> Iterable[Event]:
        return (Alarm(10 * HOUR_S, "put"),)

    def on_put(self, _: Alarm) -> Iterable[Event]:
        return tuple(self.request("ledger/put", "ledger", put, self.ids.fresh()) for put in self.puts)

    def on_nack(self, message: Message) -> Iterable[Event]:
        self.refused.append(message.content.error.errorCode)  # type: ignore[union-attr]
        return ()


class Company(Participant):
    """A utility with a desk: bills its customers for what the desk states, and relieves its wires where it is told to."""

    kind = "company"

    def __init__(self, era: str, meters: Meters, money: Ledger, **more: Any) -> None:
        super().__init__(mesa.Model(rng=1), era, Ids(1, era))
        self.meters = meters
        self.money = money
        self.statements: list[Statement] = []
        self.desk = LedgerDesk(self, DAY, "ledger", metered=self.metered, settled=self.bill, **more)
        self.reactions |= dict(self.desk.reactions)

    def on_start(self, _: Alarm) -> Iterable[Event]:
        return self.desk.alarms()

    def metered(self, customer: str, start_s: int, end_s: int) -> tuple[Decimal, Decimal] | None:
        assert (start_s, end_s) == (START_S, END_S)
        said = self.meters[customer]
        return None if said is None else (Decimal(repr(said[0])), Decimal(repr(said[1])))

    def bill(self, statement: Statement) -> Iterable[Event]:
        self.statements.append(statement)
        for customer, signals in statement.signals.items():
            roles: dict[str, str] = {Role.PROSUMER: customer, Role.GRID_OPERATOR: self.era}
            contract = side_contract().instantiate(f"side/{customer}", "INR", roles, RATES)
            self.money.post(settle(Settlement(), contract, 11, signals))
        return ()


class Town:
    """Everybody on one bus, for a day."""

    def __init__(self, trades: Iterable[LedgerPut], meters: Meters, *, ledger: Any = None, **desk: Any) -> None:
        self.clock = simpy.Environment()
        self.sink = io.BytesIO()
        self.journal = Journal(self.sink)
        self.bus = Bus(self.clock, DAY, self.journal)
        self.money = Ledger()
        trades = tuple(trades)
        members = {"platforms": ("seller-app", "buyer-app"), "utilities": ("north", "south"), **(ledger or {})}
        self.ledger = TradeLedger(mesa.Model(rng=1), "ledger", Ids(1, "ledger"), calendar=DAY, **members)
        self.platforms = (Platform("SELLER", trades), Platform("BUYER", trades))
        self.north, self.south = (Company(era, meters, self.money, **desk) for era in ("north", "south"))
        for agent in (self.ledger, *self.platforms, self.north, self.south):
            self.bus.join(agent.era, agent.handle)
            self.bus.post(agent.era, agent.on_start(Alarm(0, "start")))

    def run(self, until_h: float = 24) -> Town:
        self.clock.run(until=int(until_h * HOUR_S))
        return self

    @property
    def rows(self) -> dict[str, LedgerRow]:
        return {row.orderItemId: row for row in self.ledger.rows}

    def said(self) -> list[tuple[str, str, str]]:
        """Hour, sender's action and verdict of every request that wrote something or tried to."""
        self.journal.commit(0)
        records = [json.loads(line) for line in self.sink.getvalue().splitlines()]
        found = []
        for record in records:
            if record["kind"] == "message" and record["action"] in ("ledger/put", "ledger/record"):
                context = record["body"]["context"]
                found.append((f"{record['t'] / HOUR_S:.0f}", f"{context['bapId']} {record['action']}", record["ack"]))
        return found


def settled(trades: Iterable[SettledTrade]) -> list[Decimal]:
    return [trade.energy_kwh for trade in trades]


HUNDRED = (trade("a", "roof", "house", 100),)
SHORT: Meters = {"roof": (70.0, 0.0), "house": (0.0, 80.0)}


def test_a_trade_goes_through_the_ledger_in_its_hours() -> None:
    """100 kWh are agreed, 70 produced and 80 consumed: 70 are settled, and the rest is the utility's."""
    town = Town(HUNDRED, SHORT).run()
    assert town.said() == [
        ("10", "seller-app ledger/put", "ACK"),
        ("10", "buyer-app ledger/put", "ACK"),
        ("14", "north ledger/record", "ACK"),
        ("16", "south ledger/record", "ACK"),
    ]
    row = town.rows["a"]
    assert (row.statusSellerDiscom, row.statusBuyerDiscom) == ("COMPLETED", "COMPLETED")
    (stated,), (also,) = town.north.statements, town.south.statements
    assert settled(stated.trades) == settled(also.trades) == [70]
    assert not town.north.desk.open_rows
    assert not town.south.desk.open_rows


def test_the_hundred_of_which_seventy_came_cost_the_buyer_520_and_wheeling_of_both() -> None:
    town = Town(HUNDRED, SHORT).run()
    (stated,) = town.north.statements
    roles: dict[str, str] = {Role.BUYER: "house", Role.SELLER: "roof"}
    contract = trade_contract().instantiate("trade", "INR", roles, {"pricePerKWh": PRICE})
    town.money.post(settle(Settlement(), contract, 11, {"tradedKWh": settled(stated.trades)[0]}))
    money = {era: str(amount) for (era, _), amount in balances(town.money).items()}
    assert money == {"roof": "385.00", "north": "35.00", "house": "-555.00", "south": "135.00"}
    assert sum(map(Decimal, money.values())) == 0


CROSSED = (
    trade("a", "S1", "B1", 10, "10:00:00"),
    trade("b", "S2", "B1", 10, "10:00:01"),
    trade("c", "S1", "B2", 10, "10:00:02"),
)
CROSSED_METERS: Meters = {"S1": (15.0, 0.0), "S2": (10.0, 0.0), "B1": (0.0, 15.0), "B2": (0.0, 10.0)}


@pytest.mark.parametrize(
    ("desk", "shares"),
    [
        ({}, ["7.5", "7.5", "7.5"]),
        ({"rule": Sharing.FIFO}, ["10", "5", "5"]),
        ({"sequential": True}, ["6.429", "8.571", "7.5"]),
    ],
)
def test_trades_on_shared_meters_settle_what_the_rule_says(desk: Any, shares: list[str]) -> None:
    town = Town(CROSSED, CROSSED_METERS, **desk).run()
    for company in (town.north, town.south):
        (stated,) = company.statements
        assert settled(stated.trades) == list(map(Decimal, shares))


def test_two_utilities_that_know_only_their_own_meters_cannot_share_for_the_most() -> None:
    with pytest.raises(ContractError, match="MOST needs the meters of both utilities"):
        Town(CROSSED, CROSSED_METERS, rule=Sharing.MOST)


def test_a_meter_that_was_not_read_is_waited_for_and_nothing_is_settled_on_nothing() -> None:
    meters: dict[str, tuple[float, float] | None] = {**SHORT, "house": None}
    town = Town(HUNDRED, meters).run(18.5)
    assert town.north.statements == town.south.statements == []
    assert list(town.south.desk.open_rows) == [town.rows["a"].recordId]
    meters["house"] = (0.0, 80.0)
    town.run(20.5)
    (stated,) = town.south.statements
    assert settled(stated.trades) == [70]
    assert not town.south.desk.open_rows


def test_a_meter_that_comes_too_late_leaves_its_trades_open() -> None:
    meters: dict[str, tuple[float, float] | None] = {**SHORT, "house": None}
    town = Town(HUNDRED, meters, patience=0).run(18.5)
    meters["house"] = (0.0, 80.0)
    town.run()
    assert town.north.statements == town.south.statements == []
    assert list(town.north.desk.open_rows) == list(town.south.desk.open_rows) == [town.rows["a"].recordId]


def test_the_history_of_every_row_holds() -> None:
    town = Town(CROSSED, CROSSED_METERS).run()
    for row in town.ledger.rows:
        history = town.ledger.history(row.transactionId, row.orderItemId)
        assert faults_of(history) == ()
        assert (len(history), history[-1].row_digest) == (4, row.rowDigest)


def test_a_trade_of_which_the_platforms_say_different_things_is_not_settled() -> None:
    town = Town(HUNDRED, SHORT)
    town.platforms[1].puts = [
        LedgerPut(**{f: getattr(put, f) for f in put.__struct_fields__} | {"buyerId": "somebody"})
        for put in town.platforms[1].puts
    ]
    town.run()
    assert town.platforms[1].refused == ["PRC_CONFLICT"]
    assert town.rows["a"].statusSellerDiscom == "PENDING"
    assert town.north.statements == []


@pytest.mark.parametrize(
    ("relief", "left", "status", "energies"),
    [
        (Relief.CANCEL, None, "CANCELLED_OUTAGE", ["9"]),
        (Relief.RESCHEDULE, None, "CANCELLED_OUTAGE", ["9"]),
        (Relief.CURTAIL, Decimal(3), "COMPLETED", ["3", "9"]),
    ],
)
def test_an_outage_takes_a_trade_off_the_wires_and_leaves_its_meter_to_the_others(
    relief: Relief, left: Decimal | None, status: str, energies: list[str]
) -> None:
    """Two trades of 9 kWh on 12 kWh of sun: with the first relieved, the second gets all of its own."""
    meters: Meters = {"roof": (12.0, 0.0), "h1": (0.0, 9.0), "h2": (0.0, 9.0)}
    trades = (trade("a", "roof", "h1", 9, "10:00:00"), trade("b", "roof", "h2", 9, "10:00:01"))
    town = Town(trades, meters).run(11.5)
    row = town.rows["a"]
    told, relieved = town.north.desk.relieve(row, "SELLER_DISCOM", relief, left_kwh=left, new_id="a/later")
    town.bus.post("north", (told,))
    town.run(12)
    assert relieved.restored_kwh == 9 - (left or 0)
    during = "CURTAILED_OUTAGE" if relief is Relief.CURTAIL else "CANCELLED_OUTAGE"
    assert town.rows["a"].statusSellerDiscom == during
    town.run()
    assert town.rows["a"].statusSellerDiscom == status
    (stated,) = town.south.statements
    assert settled(stated.trades) == list(map(Decimal, energies))


def test_what_a_relief_cannot_leave_is_refused() -> None:
    town = Town(HUNDRED, SHORT).run(11)
    with pytest.raises(ContractError, match="curtailed from 100"):
        town.north.desk.relieve(town.rows["a"], "SELLER_DISCOM", Relief.CURTAIL, left_kwh=Decimal(100))


def test_who_has_not_paid_for_two_weeks_trades_no_more_until_it_has() -> None:
    today = date(2026, 1, 15)
    debt = Debt("bill", "house", "south", Decimal(520), "INR", today - timedelta(days=15))

    def standing(payments: list[Payment]) -> Any:
        return lambda era, at_s: may_trade(Ladder(), [(debt, payments)], era, DAY.local(at_s).date())

    town = Town(HUNDRED, SHORT, ledger={"may_trade": standing([])}).run()
    assert [platform.refused for platform in town.platforms] == [["AUT_NOT_AUTHORIZED"]] * 2
    assert town.rows == {}
    town = Town(HUNDRED, SHORT, ledger={"may_trade": standing([Payment(Decimal(546), today)])}).run()
    assert town.rows["a"].statusBuyerDiscom == "COMPLETED"


def test_a_nack_is_news_to_a_desk_and_no_more() -> None:
    town = Town(HUNDRED, SHORT)
    assert NACK in town.north.reactions
    town.run()
    told, _ = town.north.desk.relieve(town.rows["a"], "SELLER_DISCOM", Relief.CANCEL)
    town.bus.post("north", (told,))
    town.run(25)
    assert town.rows["a"].statusSellerDiscom == "COMPLETED"
