"""Who does not pay is warned, fined and suspended, on days of its own, and may come back."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.contracts.dunning import Debt, Ladder, Payment, Step, may_trade, standing
from sim.errors import ContractError
from sim.ledger import Posting
from tests.contracts.agreements import amounts
from tests.contracts.agreements import contract as document

DUE = date(2026, 2, 27)
DEBT = Debt("bill-7", "buyer", "south", Decimal("520.00"), "INR", DUE, 3)
LADDER = Ladder()


def day(number: int) -> date:
    return DUE + timedelta(days=number)


def paid(*payments: tuple[str, int]) -> list[Payment]:
    return [Payment(Decimal(amount), day(number)) for amount, number in payments]


@pytest.mark.parametrize(
    ("number", "step", "owed"),
    [
        (-30, "DUE", "520.00"),
        (0, "DUE", "520.00"),
        (1, "WARNED", "520.00"),
        (7, "WARNED", "520.00"),
        (8, "FINED", "546.00"),
        (14, "FINED", "546.00"),
        (15, "SUSPENDED", "546.00"),
        (400, "SUSPENDED", "546.00"),
    ],
)
def test_each_step_comes_on_its_day(number: int, step: str, owed: str) -> None:
    found = standing(LADDER, DEBT, [], day(number))
    assert (found.step, str(found.owed)) == (step, owed)
    assert found.may_trade == (step != "SUSPENDED")


def test_a_fine_is_a_posting_of_a_share_of_what_is_overdue() -> None:
    found = standing(LADDER, DEBT, paid(("120", 5)), day(8))
    assert found.fine == (
        Posting(3, "bill-7/late", "fine for late payment", "buyer", "south", Decimal("20.00"), "INR"),
    )
    assert standing(Ladder(fine_fixed=Decimal(10)), DEBT, [], day(8)).fine[0].amount == Decimal("36.00")
    assert standing(Ladder(fine_share=Decimal(0)), DEBT, [], day(8)).fine == ()


def test_the_fine_written_as_json_is_the_same() -> None:
    written = document(
        [("BUYER", "SELLER", "overdue * fineShare + fineFixed")],
        parties={"BUYER": "buyer", "SELLER": "south"},
        inputParameters={"fineShare": 0.05, "fineFixed": 0},
    )
    assert amounts(written, {"debt": {"overdue": Decimal(520)}}) == {"flow-1": "26.00"}


@pytest.mark.parametrize(
    ("payments", "number", "step", "cleared"),
    [
        ([("520", -3)], 40, "CLEARED", -3),
        ([("520", 1)], 40, "CLEARED", 1),
        ([("520", 7)], 40, "CLEARED", 7),
        ([("520", 8)], 40, "CLEARED", 8),
        ([("520", 9)], 40, "SUSPENDED", None),
        ([("520", 9), ("26", 12)], 40, "CLEARED", 12),
        ([("546", 30)], 29, "SUSPENDED", None),
        ([("546", 30)], 30, "CLEARED", 30),
        ([("500", 2), ("20", 3)], 40, "CLEARED", 3),
    ],
)
def test_who_has_paid_all_fine_included_is_cleared_and_may_trade_again(
    payments: list[tuple[str, int]], number: int, step: str, cleared: int | None
) -> None:
    found = standing(LADDER, DEBT, paid(*payments), day(number))
    assert found.step == step
    assert (found.history[-1] == (Step.CLEARED, day(cleared))) if cleared is not None else found.owed > 0
    assert found.may_trade == (step != "SUSPENDED")


def test_one_suspension_is_enough_and_only_the_debtor_s() -> None:
    debts = [(DEBT, []), (Debt("bill-8", "seller", "north", Decimal(1), "INR", DUE), paid(("1", 0)))]
    assert may_trade(LADDER, debts, "buyer", day(14))
    assert not may_trade(LADDER, debts, "buyer", day(15))
    assert may_trade(LADDER, debts, "seller", day(15))
    assert may_trade(LADDER, debts, "south", day(15))


PAYMENTS = st.lists(st.tuples(st.integers(1, 600).map(str), st.integers(-5, 30)), max_size=4)
LADDERS = st.lists(st.integers(1, 20), min_size=3, max_size=3).map(sorted).map(lambda days: Ladder(*days))


@given(LADDERS, PAYMENTS, st.integers(-10, 40), st.integers(0, 20))
def test_what_has_happened_by_a_day_is_not_changed_by_later_ones(
    ladder: Ladder, payments: list[tuple[str, int]], number: int, later: int
) -> None:
    before = standing(ladder, DEBT, paid(*payments), day(number))
    after = standing(ladder, DEBT, paid(*payments), day(number + later))
    assert after.history[: len(before.history)] == before.history
    assert after.fine[: len(before.fine)] == before.fine
    only_then = [(amount, on) for amount, on in payments if on <= number]
    assert standing(ladder, DEBT, paid(*only_then), day(number)) == before


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"warned_days": 0}, "each step comes after the due date"),
        ({"fined_days": 20}, "each step comes after the due date"),
        ({"fine_share": Decimal("-0.1")}, "a fine is never negative"),
        ({"fine_fixed": Decimal(-1)}, "a fine is never negative"),
    ],
)
def test_a_ladder_that_is_none_is_refused(wrong: Any, said: str) -> None:
    with pytest.raises(ContractError, match=said):
        Ladder(**wrong)


def test_debts_and_payments_are_positive() -> None:
    with pytest.raises(ContractError, match="bill-7: -1: debts and payments are positive"):
        standing(LADDER, DEBT, paid(("-1", 0)), DUE)
