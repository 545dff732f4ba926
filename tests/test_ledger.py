"""The ledger: what it refuses, and the reports that are folds over it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import ContractError, Fault
from sim.ledger import (
    Ledger,
    Posting,
    balances,
    by_term,
    largest_remainder,
    minor_unit,
    money_faults,
    net_by_currency,
    posting_faults,
)

ENERGY = Posting(3, "p2p-1", "energy", "ev-1", "solar-1", Decimal("60.00"), "INR")
WHEELING = Posting(3, "p2p-1", "wheeling", "ev-1", "utility-1", Decimal("20.00"), "INR")
REFUND = Posting(4, "p2p-1", "energy", "solar-1", "ev-1", Decimal("3.60"), "INR")
ABROAD = Posting(4, "p2p-2", "energy", "ev-1", "solar-1", Decimal(7), "JPY")
ALL = (ENERGY, WHEELING, REFUND, ABROAD)


def test_postings_are_kept_in_order():
    ledger = Ledger()
    ledger.post([ENERGY, WHEELING])
    ledger.post([REFUND])
    assert list(ledger) == [ENERGY, WHEELING, REFUND]
    assert len(ledger) == 3
    assert ledger.since(0) == (ENERGY, WHEELING, REFUND)
    assert ledger.since(2) == (REFUND,)
    assert ledger.since(3) == ()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (
            {"amount": Decimal("0.00")},
            "the amount 0.00 is not positive; a flow the other way has payer and payee exchanged",
        ),
        (
            {"amount": Decimal("-1.00")},
            "the amount -1.00 is not positive; a flow the other way has payer and payee exchanged",
        ),
        ({"amount": Decimal("0.005")}, "the amount 0.005 is not in whole minor units of INR (0.01)"),
        ({"amount": Decimal("NaN")}, "the amount Decimal('NaN') is not a Decimal below 1e28"),
        ({"amount": Decimal("1e28")}, "the amount Decimal('1E+28') is not a Decimal below 1e28"),
        ({"amount": Decimal("1e999")}, "the amount Decimal('1E+999') is not a Decimal below 1e28"),
        ({"amount": 1.5}, "the amount 1.5 is not a Decimal below 1e28"),
        ({"payee": "ev-1"}, "ev-1 cannot owe itself"),
        ({"currency": "rupees"}, "'rupees' is not a currency code of three capital letters, such as INR"),
    ],
)
def test_a_posting_that_is_no_money_is_refused(change, what):
    posting = replace(ENERGY, **change)
    assert posting_faults(posting) == (Fault("p2p-1/energy/3", what),)
    with pytest.raises(ContractError) as refusal:
        Ledger().post([posting])
    assert str(refusal.value) == f"ledger: p2p-1/energy/3: {what}"


def test_one_bad_posting_keeps_the_whole_batch_out_and_all_faults_are_told():
    ledger = Ledger()
    with pytest.raises(ContractError) as refusal:
        ledger.post(
            [ENERGY, replace(WHEELING, amount=Decimal(-1)), replace(REFUND, amount=Decimal("0.001"), payee="solar-1")]
        )
    assert len(ledger) == 0
    assert [fault.where for fault in refusal.value.faults] == [
        "p2p-1/wheeling/3",
        "p2p-1/energy/4",
        "p2p-1/energy/4",
    ]


@pytest.mark.parametrize("amount", ["5", "5.5", "5.50", "1e2", "9e27"])
def test_whole_minor_units_may_be_written_with_fewer_digits(amount):
    assert posting_faults(replace(ENERGY, amount=Decimal(amount))) == ()


def test_balances_count_what_is_received_less_what_is_paid():
    assert balances(ALL) == {
        ("ev-1", "INR"): Decimal("-76.40"),
        ("solar-1", "INR"): Decimal("56.40"),
        ("utility-1", "INR"): Decimal("20.00"),
        ("ev-1", "JPY"): Decimal(-7),
        ("solar-1", "JPY"): Decimal(7),
    }


def test_balances_can_be_taken_apart_by_term():
    assert by_term(ALL) == {
        ("ev-1", "energy", "INR"): Decimal("-56.40"),
        ("solar-1", "energy", "INR"): Decimal("56.40"),
        ("ev-1", "wheeling", "INR"): Decimal("-20.00"),
        ("utility-1", "wheeling", "INR"): Decimal("20.00"),
        ("ev-1", "energy", "JPY"): Decimal(-7),
        ("solar-1", "energy", "JPY"): Decimal(7),
    }


def test_each_currency_sums_to_zero_on_its_own():
    assert net_by_currency(balances(ALL)) == {"INR": 0, "JPY": 0}
    assert net_by_currency({("a", "INR"): Decimal(5), ("b", "JPY"): Decimal(-5)}) == {"INR": 5, "JPY": -5}


def test_an_audit_finds_nothing_in_sound_books():
    assert money_faults(ALL, balances(ALL)) == ()
    assert money_faults((), {("bystander", "INR"): Decimal(0)}) == ()


def test_an_audit_tells_a_stated_balance_that_does_not_follow_and_money_that_appeared():
    stated = {**balances(ALL), ("solar-1", "INR"): Decimal("56.41")}
    assert [str(fault) for fault in money_faults(ALL, stated)] == [
        "solar-1 INR: the balance is stated as 56.41; the postings sum to 56.40",
        "INR: the balances of all parties sum to 0.01, not to zero",
    ]


def test_an_audit_takes_a_party_that_is_not_stated_for_one_with_nothing():
    stated = {key: amount for key, amount in balances(ALL).items() if key != ("solar-1", "JPY")}
    assert [str(fault) for fault in money_faults(ALL, stated)] == [
        "solar-1 JPY: the balance is stated as 0; the postings sum to 7",
        "JPY: the balances of all parties sum to -7, not to zero",
    ]


def test_an_audit_stops_at_postings_that_cannot_be_summed():
    (fault,) = money_faults([replace(ENERGY, amount=Decimal("NaN"))], {})
    assert fault.where == "p2p-1/energy/3"


ERAS = st.sampled_from(["ev-1", "solar-1", "utility-1", "state"])
POSTINGS = st.builds(
    Posting,
    interval=st.integers(0, 95),
    contract=st.just("c"),
    term=st.sampled_from(["energy", "tax"]),
    payer=ERAS,
    payee=ERAS,
    amount=st.decimals(min_value="0.01", max_value=10**9, places=2),
    currency=st.sampled_from(["INR", "USD"]),
).filter(lambda posting: posting.payer != posting.payee)


@given(st.lists(POSTINGS, max_size=20), st.randoms())
def test_any_ledger_sums_to_zero_in_any_order(postings, chance):
    held = balances(postings)
    assert not any(net_by_currency(held).values())
    assert money_faults(postings, held) == ()
    assert balances(chance.sample(postings, len(postings))) == held
    parts = by_term(postings)
    for era, currency in held:
        assert held[era, currency] == sum(a for (e, _, c), a in parts.items() if (e, c) == (era, currency))


@pytest.mark.parametrize(
    ("currency", "unit"),
    [
        ("INR", "0.01"),
        ("USD", "0.01"),
        ("JPY", "1"),
        ("KRW", "1"),
        ("KWD", "0.001"),
        ("BHD", "0.001"),
        ("CLF", "0.0001"),
    ],
)
def test_the_minor_unit_is_that_of_the_currency(currency, unit):
    assert minor_unit(currency) == Decimal(unit)
    assert minor_unit(currency).same_quantum(Decimal(unit))


@pytest.mark.parametrize("code", ["", "IN", "inr", "INRX", "₹", "IN1", "INR\n"])
def test_what_is_not_three_capital_letters_is_no_currency(code):
    with pytest.raises(ContractError):
        minor_unit(code)


def split(total: str, weights: list[str], unit: str = "0.01") -> list[str]:
    return [str(part) for part in largest_remainder(Decimal(total), [Decimal(w) for w in weights], Decimal(unit))]


def test_a_total_is_split_without_losing_a_unit():
    assert split("100.00", ["1", "1", "1"]) == ["33.34", "33.33", "33.33"]
    assert split("-100.00", ["1", "1", "1"]) == ["-33.34", "-33.33", "-33.33"]
    assert split("0.02", ["1", "1", "1"]) == ["0.01", "0.01", "0.00"]
    assert split("1.00", ["0.5", "0.3", "0.2"]) == ["0.50", "0.30", "0.20"]
    assert split("10.00", ["0", "1", "2"]) == ["0.00", "3.33", "6.67"]
    assert split("7", ["3", "3", "1"], "1") == ["3", "3", "1"]
    assert split("0.00", ["1", "1"]) == ["0.00", "0.00"]


@pytest.mark.parametrize(
    ("total", "weights", "what"),
    [
        ("1.005", ["1"], "1.005 is not in whole units of 0.01"),
        ("1.00", [], "weights [] must not be negative, nor all zero"),
        ("1.00", ["0", "0.0"], "weights ['0', '0.0'] must not be negative, nor all zero"),
        ("1.00", ["2", "-1"], "weights ['2', '-1'] must not be negative, nor all zero"),
        ("1.00", ["2", "-0.5"], "weights ['2', '-0.5'] must not be negative, nor all zero"),
    ],
)
def test_what_cannot_be_split_is_refused(total, weights, what):
    with pytest.raises(ContractError) as refusal:
        split(total, weights)
    assert str(refusal.value) == f"split: {what}"


WEIGHTS = st.lists(st.decimals(0, 1000, places=3), min_size=1, max_size=9).filter(any)


@given(st.integers(-(10**9), 10**9), WEIGHTS, st.sampled_from(["0.01", "1", "0.001"]))
def test_parts_sum_to_the_total_and_each_is_less_than_a_unit_from_its_share(units, weights, unit):
    total = units * Decimal(unit)
    parts = largest_remainder(total, weights, Decimal(unit))
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        share = Fraction(total) * Fraction(weight) / sum(map(Fraction, weights))
        assert abs(Fraction(part) - share) < Fraction(unit)
        assert part.same_quantum(Decimal(unit))
    for earlier, later in zip(range(len(parts)), range(1, len(parts)), strict=False):
        if weights[earlier] == weights[later]:
            assert abs(parts[earlier]) >= abs(parts[later])
