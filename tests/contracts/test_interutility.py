"""Trades between customers of two utilities: who settles when, and that nobody gains or loses money on the way."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.contracts.agreement import Basis
from sim.contracts.allocation import WH, Sharing, Trade, settled
from sim.contracts.contract import Contract, Role, Settlement, Template, settle
from sim.contracts.interutility import (
    HOUR_S,
    Relief,
    Round,
    Schedule,
    Stage,
    locked_kwh,
    relieve,
    side_contract,
    trade_contract,
)
from sim.contracts.trade_rows import CANCELLED, CURTAILED
from sim.errors import ContractError
from sim.ledger import Ledger, balances
from tests.contracts.agreements import balances as settled_balances
from tests.contracts.agreements import contract as document

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "interutility.json").read_text(encoding="utf-8"))
END_S = 11 * HOUR_S
MIN_OF_TWO, CONTRACTED = Basis.MIN_OF_TWO, Basis.CONTRACTED


def cases(kind: str) -> Any:
    return pytest.mark.parametrize("case", GOLDEN[kind], ids=[case["id"] for case in GOLDEN[kind]])


def trades_of(case: Any) -> tuple[Trade, ...]:
    return tuple(Trade(f"t{k}", sells, buys, Decimal(kwh)) for k, (sells, buys, kwh) in enumerate(case["trades"]))


def metered_of(case: Any) -> dict[str, Decimal]:
    return {meter: Decimal(kwh) for meter, kwh in case["metered"].items()}


def done(trades: tuple[Trade, ...], produced: dict[str, Decimal], consumed: dict[str, Decimal], **more: Any) -> Round:
    """A round whose every stage comes on the second."""
    opened = Round(trades, END_S, **more)
    read = opened.produced(produced, END_S + 2 * HOUR_S).consumed(consumed, END_S + 4 * HOUR_S)
    return read.settle(END_S + 6 * HOUR_S)


# --- money ---------------------------------------------------------------------------------------------------------------


def between_two(case: Any) -> tuple[Round, dict[str, Contract]]:
    """The one trade of a case, settled, and the three contracts about it."""
    kwh = {name: Decimal(case[name]) for name in ("contracted", "produced", "consumed", "price")}
    trade = Trade("trade", "seller", "buyer", kwh["contracted"])
    found = done((trade,), {"seller": kwh["produced"]}, {"buyer": kwh["consumed"]}, basis=Basis(case["basis"]))
    contracts = {"trade": filled(trade_contract(), case, BUYER="buyer", SELLER="seller", pricePerKWh=case["price"])}
    for side in ("seller", "buyer"):
        buys, sells = case[f"{side}_utility"]
        rates = {"importPricePerKWh": buys, "exportPricePerKWh": sells, "wheelingPerKWh": "0"}
        roles = {Role.PROSUMER.value: side, Role.GRID_OPERATOR.value: f"{side}-utility"}
        contracts[side] = filled(side_contract(), case, **roles, **rates)
    return found, contracts


def filled(template: Template, case: Any, **values: str) -> Contract:
    roles: dict[str, str] = {role: values[role] for role in template.roles}
    inputs = {name: Decimal(values[name]) for name in template.inputs}
    return template.instantiate(template.id, case["currency"], roles, inputs)


def signals(found: Round) -> dict[str, dict[str, Decimal]]:
    (trade,) = found.trade_signals()
    return {"trade": trade, **found.side_signals()}


@cases("money")
def test_a_trade_and_its_two_side_contracts_give_the_published_money(case: Any) -> None:
    found, contracts = between_two(case)
    assert found.settled_kwh == (Decimal(case["traded"]),)
    ledger = Ledger()
    for name, contract in contracts.items():
        ledger.post(settle(Settlement(), contract, 0, signals(found)[name]))
    money = {era: amount for (era, _), amount in balances(ledger).items()}
    assert {era: str(money.get(era, Decimal("0.00"))) for era in case["balances"]} == case["balances"]
    assert sum(money.values()) == 0


@cases("money")
def test_the_same_terms_written_as_json_settle_alike(case: Any) -> None:
    found, contracts = between_two(case)
    together: dict[str, Decimal] = dict.fromkeys(case["balances"], Decimal(0))
    for name, contract in contracts.items():
        flows = [
            {"from": term.payer, "to": term.payee, "name": term.name, "formula": term.formula.text}
            for term in contract.terms
        ]
        written = document(flows, parties=contract.roles, currency=case["currency"], inputParameters=contract.inputs)
        for era, amount in settled_balances(written, {"round": signals(found)[name]}).items():
            together[era] += Decimal(amount)
    assert together == {era: Decimal(amount) for era, amount in case["balances"].items()}


def test_wheeling_is_paid_to_each_utility_for_what_was_traded() -> None:
    roles: dict[str, str] = {Role.PROSUMER: "c", Role.GRID_OPERATOR: "u"}
    rates = {"importPricePerKWh": "0.3", "exportPricePerKWh": "0.1", "wheelingPerKWh": "0.02"}
    contract = side_contract().instantiate("s", "EUR", roles, {name: Decimal(rate) for name, rate in rates.items()})
    for sign in (1, -1):
        values = {"energyKWh": Decimal(sign * 10), "tradedKWh": Decimal(sign * 10)}
        (posting,) = settle(Settlement(), contract, 0, values)
        assert (posting.term, posting.payer, posting.payee) == ("wheeling", "c", "u")
        assert posting.amount == Decimal("0.20")


# --- allocation ----------------------------------------------------------------------------------------------------------


@cases("allocation")
def test_the_rules_settle_what_the_published_example_says(case: Any) -> None:
    trades, metered = trades_of(case), metered_of(case)
    for rule, total in case["total"].items():
        given_kwh = settled(trades, metered, Sharing(rule))
        assert sum(given_kwh) == Decimal(total), rule
        assert done(trades, metered, metered, rule=Sharing(rule)).settled_kwh == given_kwh
    for rule, parts in case.get("settled", {}).items():
        assert settled(trades, metered, Sharing(rule)) == tuple(map(Decimal, parts))


ENERGY = st.one_of(st.integers(0, 20).map(Decimal), st.integers(0, 20_000).map(lambda wh: wh * WH))
METERS = {side: st.sampled_from([f"{side}{k}" for k in range(3)]) for side in "SB"}
TRADES = st.lists(st.tuples(METERS["S"], METERS["B"], ENERGY), max_size=6).map(
    lambda rows: tuple(Trade(f"t{k}", *row) for k, row in enumerate(rows))
)
READ = st.fixed_dictionaries({f"{side}{k}": ENERGY for side in "SB" for k in range(3)})
RULES = st.sampled_from(Sharing)


def of_meter(found: Round, meter: str) -> Decimal:
    pairs = zip(found.trades, found.settled_kwh, strict=True)
    return sum((e for trade, e in pairs if meter in (trade.seller_meter, trade.buyer_meter)), Decimal(0))


@given(TRADES, READ, RULES, st.booleans())
def test_no_meter_settles_more_than_it_read_and_no_trade_more_than_was_agreed(
    trades: tuple[Trade, ...], metered: dict[str, Decimal], rule: Sharing, sequential: bool
) -> None:
    found = done(trades, metered, metered, rule=rule, sequential=sequential)
    assert all(of_meter(found, meter) <= read for meter, read in metered.items())
    assert all(0 <= e <= trade.energy_kwh for trade, e in zip(trades, found.settled_kwh, strict=True))


@given(TRADES, READ)
def test_the_programme_settles_no_less_than_any_rule_and_one_after_the_other_no_less_than_each_by_itself(
    trades: tuple[Trade, ...], metered: dict[str, Decimal]
) -> None:
    most = sum(done(trades, metered, metered, rule=Sharing.MOST).settled_kwh)
    for rule in (Sharing.PRO_RATA, Sharing.FIFO):
        apart = sum(done(trades, metered, metered, rule=rule).settled_kwh)
        after = sum(done(trades, metered, metered, rule=rule, sequential=True).settled_kwh)
        assert apart <= after <= most


def best_by_enumeration(trades: tuple[Trade, ...], metered: dict[str, Decimal]) -> int:
    """The greatest sum in whole kWh, by trying every share of every trade."""
    if not trades:
        return 0
    trade, *rest = trades
    most = min(int(trade.energy_kwh), int(metered[trade.seller_meter]), int(metered[trade.buyer_meter]))
    found = []
    for kwh in range(most + 1):
        left = dict(metered)
        left[trade.seller_meter] -= kwh
        left[trade.buyer_meter] -= kwh
        found.append(kwh + best_by_enumeration(tuple(rest), left))
    return max(found)


SMALL = st.integers(0, 3).map(Decimal)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(METERS["S"], METERS["B"], SMALL), max_size=4).map(
        lambda rows: tuple(Trade(f"t{k}", *row) for k, row in enumerate(rows))
    ),
    st.fixed_dictionaries({f"{side}{k}": SMALL for side in "SB" for k in range(3)}),
)
def test_the_programme_finds_what_trying_everything_finds(
    trades: tuple[Trade, ...], metered: dict[str, Decimal]
) -> None:
    assert sum(settled(trades, metered, Sharing.MOST)) == best_by_enumeration(trades, metered)


def test_where_several_shares_are_best_the_earlier_trade_is_served() -> None:
    trades = (Trade("t0", "S0", "B0", Decimal(5)), Trade("t1", "S0", "B1", Decimal(5)))
    metered = dict.fromkeys(("S0", "B0", "B1"), Decimal(5))
    assert settled(trades, metered, Sharing.MOST) == (5, 0)
    assert settled(trades[::-1], metered, Sharing.MOST) == (5, 0)


def test_what_the_programme_cannot_share_is_refused() -> None:
    trade = (Trade("t0", "S0", "B0", Decimal("0.0005")),)
    with pytest.raises(ContractError, match="energy is shared in whole Wh"):
        settled(trade, {"S0": Decimal(1), "B0": Decimal(1)}, Sharing.MOST)
    with pytest.raises(ContractError, match="B0: was not read"):
        settled(trade, {"S0": Decimal(1)}, Sharing.MOST)
    assert settled((), {}, Sharing.MOST) == ()


# --- net zero ------------------------------------------------------------------------------------------------------------

RATES = st.integers(-20, 40).map(lambda tenths: Decimal(tenths) / 10)


@given(TRADES, READ, RULES, st.sampled_from([MIN_OF_TWO, CONTRACTED]), RATES, RATES, RATES)
def test_customers_and_utilities_sum_to_zero_whatever_was_metered(
    trades: tuple[Trade, ...],
    metered: dict[str, Decimal],
    rule: Sharing,
    basis: Basis,
    price: Decimal,
    buys: Decimal,
    sells: Decimal,
) -> None:
    produced = {meter: kwh for meter, kwh in metered.items() if meter.startswith("S")}
    consumed = {meter: kwh for meter, kwh in metered.items() if meter.startswith("B")}
    found = done(trades, produced, consumed, rule=rule, basis=basis)
    ledger = Ledger()
    for trade, values in zip(trades, found.trade_signals(), strict=True):
        roles: dict[str, str] = {Role.BUYER: trade.buyer_meter, Role.SELLER: trade.seller_meter}
        contract = trade_contract().instantiate(trade.id, "EUR", roles, {"pricePerKWh": price})
        ledger.post(settle(Settlement(), contract, 0, values))
    inputs = {"importPricePerKWh": buys, "exportPricePerKWh": sells, "wheelingPerKWh": Decimal("0.01")}
    for meter, values in found.side_signals().items():
        roles = {Role.PROSUMER: meter, Role.GRID_OPERATOR: {"S": "north", "B": "south"}[meter[0]]}
        ledger.post(settle(Settlement(), side_contract().instantiate(meter, "EUR", roles, inputs), 0, values))
    assert sum(balances(ledger).values()) == 0
    sides = found.side_signals()
    assert sum(values["tradedKWh"] for values in sides.values()) == 0  # what one sold, another bought
    if basis is MIN_OF_TWO:
        assert all(abs(values["tradedKWh"]) <= abs(values["energyKWh"]) for values in sides.values())


def test_a_meter_that_sells_and_buys_is_billed_once_net() -> None:
    trades = (Trade("t0", "home", "B0", Decimal(4)), Trade("t1", "S0", "home", Decimal(3)))
    produced, consumed = {"home": Decimal(5), "S0": Decimal(3)}, {"home": Decimal(2), "B0": Decimal(4)}
    found = done(trades, produced, consumed)
    assert found.settled_kwh == (4, 2)
    assert found.side_signals()["home"] == {"energyKWh": 3, "tradedKWh": 2}


# --- the round -----------------------------------------------------------------------------------------------------------

ONE = (Trade("t0", "S0", "B0", Decimal(10)),)
SOLD, BOUGHT = {"S0": Decimal(8)}, {"B0": Decimal(9)}


def test_a_round_goes_through_its_stages_in_their_time() -> None:
    start = Round(ONE, END_S)
    produced = start.produced(SOLD, END_S + 2 * HOUR_S)
    consumed = produced.consumed(BOUGHT, END_S + 4 * HOUR_S)
    paid = consumed.settle(END_S + 6 * HOUR_S)
    billed = paid.bill(END_S + 8 * HOUR_S)
    assert [r.stage for r in (start, produced, consumed, paid, billed)] == list(Stage)
    assert (produced.sold_kwh, produced.bought_kwh) == ((8,), ())
    assert (consumed.sold_kwh, consumed.bought_kwh, consumed.settled_kwh) == ((8,), (9,), ())
    assert paid.settled_kwh == billed.settled_kwh == (8,)
    assert start == Round(ONE, END_S)


@pytest.mark.parametrize(
    ("step", "at_h", "said"),
    [
        (lambda r, at: r.produced(SOLD, at), 2, "PRODUCED at 46799 s is 1 s before its time"),
        (lambda r, at: r.produced(SOLD, at + 1).consumed(BOUGHT, at), 4, "CONSUMED at 53999 s is 1 s"),
        (lambda r, at: r.consumed(BOUGHT, at + 1), 4, "cannot be CONSUMED; the next is PRODUCED"),
        (lambda r, at: r.settle(at + 1), 6, "cannot be SETTLED; the next is PRODUCED"),
        (lambda r, at: r.bill(at + 1), 8, "cannot be BILLED; the next is PRODUCED"),
        (lambda r, at: r.produced(SOLD, at + 1).produced(SOLD, at + 1), 2, "cannot be PRODUCED; the next is CONSUMED"),
        (lambda r, at: r.produced({}, at + 1), 2, "S0: was not read"),
        (lambda r, at: r.trade_signals(), 2, "nothing to pay before it is SETTLED"),
        (lambda r, at: r.side_signals(), 2, "nothing to pay before it is SETTLED"),
    ],
)
def test_no_stage_comes_before_its_time_out_of_order_or_on_nothing(step: Any, at_h: int, said: str) -> None:
    with pytest.raises(ContractError, match=said):
        step(Round(ONE, END_S), END_S + at_h * HOUR_S - 1)


def test_a_round_that_is_billed_is_over() -> None:
    billed = done(ONE, SOLD, BOUGHT).bill(END_S + 8 * HOUR_S)
    with pytest.raises(ContractError, match="it is over"):
        billed.bill(END_S + 9 * HOUR_S)


def test_the_best_total_waits_for_the_buyers_meters() -> None:
    produced = Round(ONE, END_S, rule=Sharing.MOST).produced(SOLD, END_S + 2 * HOUR_S)
    assert produced.sold_kwh == ()
    assert produced.consumed(BOUGHT, END_S + 4 * HOUR_S).sold_kwh == (8,)


def test_a_schedule_whose_stages_overtake_each_other_is_refused() -> None:
    with pytest.raises(ContractError, match="each stage comes after the one before it"):
        Schedule(produced_s=5 * HOUR_S)


def test_two_meters_are_not_settled_on_one_of_them() -> None:
    with pytest.raises(ContractError, match="DELIVERED: two meters are settled MIN_OF_TWO or CONTRACTED"):
        Round(ONE, END_S, basis=Basis.DELIVERED)


# --- outages -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("relief", "more", "left", "status", "restored"),
    [
        (Relief.CANCEL, {}, None, "CANCELLED_OUTAGE", "10"),
        (Relief.CURTAIL, {"left_kwh": Decimal(4)}, "4", "CURTAILED_OUTAGE", "6"),
        (Relief.CURTAIL, {"left_kwh": Decimal(4), "cause": "POL_VIOLATION"}, "4", "CURTAILED_POL_VIOLATION", "6"),
        (Relief.RESCHEDULE, {"new_id": "t9"}, None, "CANCELLED_OUTAGE", "10"),
    ],
)
def test_a_utility_relieves_its_wires_and_its_limits_are_restored(
    relief: Relief, more: Any, left: str | None, status: str, restored: str
) -> None:
    found = relieve(ONE[0], relief, **more)
    assert (None if found.trade is None else str(found.trade.energy_kwh)) == left
    assert (found.status, found.restored_kwh) == (status, Decimal(restored))
    assert found.status in (*CANCELLED, *CURTAILED)
    after = () if found.trade is None else (found.trade,)
    assert locked_kwh(ONE, "S0") - locked_kwh(after, "S0") == found.restored_kwh
    moved = "t9" if relief is Relief.RESCHEDULE else None
    assert (None if found.moved is None else found.moved.id) == moved


@pytest.mark.parametrize(
    ("relief", "more", "said"),
    [
        (Relief.CURTAIL, {}, "something has to be left"),
        (Relief.CURTAIL, {"left_kwh": Decimal(0)}, "something has to be left"),
        (Relief.CURTAIL, {"left_kwh": Decimal(10)}, "something has to be left"),
        (Relief.RESCHEDULE, {}, "needs an id of its own"),
        (Relief.RESCHEDULE, {"new_id": "t0"}, "needs an id of its own"),
        (Relief.CANCEL, {"cause": "OUTAG"}, "did you mean OUTAGE"),
    ],
)
def test_a_relief_that_is_none_is_refused(relief: Relief, more: Any, said: str) -> None:
    with pytest.raises(ContractError, match=said):
        relieve(ONE[0], relief, **more)


def test_a_curtailed_trade_settles_what_was_left_of_it() -> None:
    curtailed = relieve(ONE[0], Relief.CURTAIL, left_kwh=Decimal(4)).trade
    assert curtailed is not None
    for basis in (MIN_OF_TWO, CONTRACTED):
        assert done((curtailed,), SOLD, BOUGHT, basis=basis).settled_kwh == (4,)
