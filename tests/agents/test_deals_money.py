"""What deals come to: quotes and their parts, cycles and one bill, estimates and what puts them right."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from agents.curtailment import curtail
from agents.deal import SIGNALS, Deal, amount_for, quote, signals_of, taken_back, used
from agents.deal_forms import price_of
from agents.settling import ESTIMATE_AFTER_S, LAST_S, SETTLE_AFTER_S, Settling
from sim.contracts.contract import Role, Status
from sim.wire.bags import ENERGY, EnergyTradeDelivery
from sim.wire.codes import Refusal
from tests.agents.deals import AGREED, DAY, HOUR_S, PROVIDER, TAKER, Books, deal, item, messages, reading

READINGS = st.lists(st.integers(0, 20_000).map(lambda wh: wh / 1000), min_size=8, max_size=8)
PRICES = st.lists(st.integers(-50, 100).map(lambda cents: cents / 100), min_size=1440, max_size=1440)


def settled(of: Deal, readings: list[float], late: dict[int, int] | None = None) -> Books:
    """The books when every reading has come, some of them so many intervals late."""
    books = Books([of])
    settling = Settling(DAY, books.till)
    of.over_s = of.end_s
    arrivals = sorted((index + (late or {}).get(index, 0), index) for index in range(len(readings)))
    for now in range(DAY.count):
        for at, index in arrivals:
            if at == now:
                settling.read(reading(index, readings[index]))
        list(settling.due([of], DAY.interval(now).end_s + SETTLE_AFTER_S))
    list(settling.due([of], DAY.duration_s + LAST_S))
    return books


def step(cents: int) -> tuple[float, ...]:
    """A price until one in the morning, and another one after."""
    return (cents / 100,) * 60 + (0.13,) * 1380


@given(READINGS, st.integers(-50, 100))
def test_billing_every_interval_and_once_at_the_end_come_to_the_same_money(readings: list[float], cents: int) -> None:
    each = settled(deal(item(prices=step(cents))), readings)
    once = settled(deal(item(prices=step(cents), billing="POST_FULFILLMENT")), readings)
    assert each.balances().get(TAKER, 0) == once.balances().get(TAKER, 0)
    assert sum(each.balances().values()) == 0


@given(READINGS, st.dictionaries(st.integers(0, 7), st.integers(0, 20)))
def test_readings_may_come_when_they_like_and_the_money_is_the_same(
    readings: list[float], late: dict[int, int]
) -> None:
    on_time, later = settled(deal(), readings), settled(deal(), readings, late)
    assert later.balances() == on_time.balances()


@given(READINGS, st.sets(st.integers(0, 7), min_size=1))
def test_what_is_never_read_is_paid_as_agreed(readings: list[float], missing: set[int]) -> None:
    silent = settled(deal(), readings, dict.fromkeys(missing, 1000))
    counted = [1.0 if index in missing else kwh for index, kwh in enumerate(readings)]
    assert silent.balances() == settled(deal(), counted).balances()


def test_an_interval_waits_for_its_reading_and_those_after_it_wait_with_it() -> None:
    of = deal(end_s=4 * HOUR_S)
    books = Books([of])
    settling = Settling(DAY, books.till)
    for index in (0, 2, 3):
        settling.read(reading(index, 1.0))
    assert len(list(settling.due([of], 4 * 900 + SETTLE_AFTER_S))) == 1
    settling.read(reading(1, 1.0))
    assert len(list(settling.due([of], 4 * 900 + SETTLE_AFTER_S))) == 3
    assert of.settled == {0, 1, 2, 3}


def test_after_an_hour_an_estimate_is_made_flagged_and_put_right() -> None:
    of = deal(end_s=8 * HOUR_S, kwh=32.0)
    books = Books([of])
    settling = Settling(DAY, books.till)
    assert list(settling.due([of], 900 + SETTLE_AFTER_S)) == []
    ((_, told),) = settling.due([of], 900 + ESTIMATE_AFTER_S)
    attributes = told.contract.contractAttributes
    assert [s.value for s in attributes.inputSignals if s.signalId == "estimated"] == [1.0]  # type: ignore[union-attr]
    assert books.balances()[TAKER] == Decimal("-0.24")  # 1 kWh · 0.20 · 1.19
    settling.read(reading(0, 3.0))
    (again,) = (message for _, message in settling.due([of], 900 + ESTIMATE_AFTER_S))
    assert books.balances()[TAKER] == Decimal("-0.71")
    assert not books.till.estimates(of)
    assert again.action == "on_update"


def test_a_reading_that_is_no_actual_one_is_none() -> None:
    books = Books()
    settling = Settling(DAY, books.till)
    settling.read(reading(0, 0.0, quality="MISSING"))
    assert settling.reading("meter", 0) is None
    settling.read(reading(0, 2.0))
    assert settling.reading("meter", 0) == -2


@given(st.floats(0, 100), st.integers(0, 95), st.integers(1, 95))
def test_what_is_agreed_for_all_intervals_is_what_is_agreed(kwh: float, start: int, length: int) -> None:
    start_s = start * 900 + 300
    end_s = min(start_s + length * 700, DAY.duration_s)
    of = deal(kwh=kwh, start_s=start_s, end_s=end_s)
    total = sum((of.agreed_kwh(interval) for interval in DAY.intervals()), Decimal(0))
    assert float(total) == approx(kwh, abs=1e-3)
    assert sum(of.share(interval) * 900 for interval in DAY.intervals()) == approx(end_s - start_s)


@given(st.floats(0.1, 100), st.integers(1, 100))
def test_the_parts_of_a_quote_sum_to_it(kwh: float, cents: int) -> None:
    of = deal(item(prices=step(cents)), kwh=kwh)
    postings = quote(of, DAY)
    told = price_of(of, postings, "EUR", "QUOTED")
    if told:
        body = told[0].considerationAttributes
        assert body.value == approx(sum(part.value for part in body.components))  # type: ignore[union-attr]
        assert body.value == approx(-float(amount_for(TAKER, postings)))  # type: ignore[union-attr]


@given(READINGS, st.floats(0, 8), st.integers(0, 7))
def test_what_is_curtailed_is_not_paid(readings: list[float], kwh: float, at: int) -> None:
    of = deal(item(AGREED), kwh=8.0)
    left = 8.0 - at
    told = EnergyTradeDelivery(ENERGY, curtailedQuantity=min(kwh, left))
    curtail(of, told, at * 900, DAY)
    books = settled(of, readings)
    assert float(-books.balances().get(TAKER, Decimal(0))) == approx((8.0 - min(kwh, left)) * 0.2, abs=0.005)
    assert sum(of.curtailed_kwh.values()) == approx(min(kwh, left))
    assert all(index >= at for index in of.curtailed_kwh)


@pytest.mark.parametrize("kwh", [9.0, 5.0], ids=["more than all", "more than is left"])
def test_no_more_can_be_curtailed_than_is_left(kwh: float) -> None:
    of = deal(item(AGREED), kwh=8.0)
    with pytest.raises(Refusal):
        curtail(of, EnergyTradeDelivery(ENERGY, curtailedQuantity=kwh), HOUR_S, DAY)
    assert of.curtailed_kwh == {}


def test_a_contract_is_told_what_its_formulas_name_and_nothing_else() -> None:
    of = deal()
    assert used(of.contract) == {"consumedKWh", "pricePerKWh"}
    told = signals_of(of, DAY, DAY.interval(0), Decimal(1), Decimal(2))
    assert told == {"consumedKWh": Decimal(1), "pricePerKWh": Decimal("0.2")}
    assert set(told) <= set(SIGNALS)


@given(st.integers(0, 10_000), st.booleans())
def test_a_deal_that_is_taken_back_costs_its_fee_at_most(cents: int, late: bool) -> None:
    fee = (("fee", Role.BUYER, Role.SELLER, "cancelled * late * quotedAmount * 0.1"),)
    of = deal(item(fee), quoted=Decimal(cents) / 100)
    cost = -amount_for(TAKER, taken_back(of, DAY, late=late))
    assert float(cost) == approx(cents / 1000 if late else 0, abs=0.0051)


@given(READINGS)
def test_the_last_bill_states_what_was_paid_in_all(readings: list[float]) -> None:
    of = deal()
    books = Books([of])
    settling = Settling(DAY, books.till)
    of.over_s = of.end_s
    for index, kwh in enumerate(readings):
        settling.read(reading(index, kwh))
    told = [message for _, message in settling.due([of], of.end_s + SETTLE_AFTER_S)]
    assert of.status is Status.COMPLETED
    final = told[-1].contract.consideration
    if final:
        assert final[0].considerationAttributes.value == approx(-float(books.till.balance(of, TAKER)))  # type: ignore[union-attr]
    assert books.till.balance(of, PROVIDER) >= 0
    assert messages(told) == told
