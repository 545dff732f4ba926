"""Templates, lines of one interval, and the running amounts that become postings."""

from __future__ import annotations

import random
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.contracts.contract import (
    Contract,
    Line,
    Role,
    Settlement,
    Status,
    Template,
    Term,
    Turn,
    lines,
    settle,
    transition,
)
from sim.contracts.formula import compile_formula
from sim.errors import ContractError
from sim.ledger import Ledger, Posting, balances, minor_unit, net_by_currency


def term(name: str, payer: str, payee: str, formula: str) -> Term:
    return Term(name, payer, payee, compile_formula(formula, who=name))


P2P = Template(
    id="p2p",
    roles=(Role.BUYER, Role.SELLER, Role.GRID_OPERATOR),
    terms=(
        term("energy", "BUYER", "SELLER", "energy_kwh * price_per_kwh"),
        term("wheeling", "BUYER", "GRID_OPERATOR", "energy_kwh * wheeling_per_kwh"),
    ),
    inputs=("price_per_kwh", "wheeling_per_kwh"),
    signals=("energy_kwh",),
)
PARTIES = {Role.BUYER: "ev-1", Role.SELLER: "solar-1", Role.GRID_OPERATOR: "utility-1"}
RATES = {"price_per_kwh": Decimal("0.15"), "wheeling_per_kwh": Decimal("0.025")}


@pytest.fixture
def p2p() -> Contract:
    return P2P.instantiate("p2p-1", "USD", PARTIES, RATES)


def one_term(formula: str, currency: str = "INR") -> Contract:
    names = compile_formula(formula, who="energy").names
    template = Template("t", (Role.BUYER, Role.SELLER), (term("energy", "BUYER", "SELLER", formula),), signals=names)
    return template.instantiate("c-1", currency, {Role.BUYER: "b", Role.SELLER: "s"}, {})


def test_a_contract_keeps_what_it_was_made_from():
    template = Template("t", (Role.BUYER,), (), inputs=("fee",), description="A fee")
    contract = template.instantiate("c-1", "INR", {Role.BUYER: "ev-1"}, {"fee": Decimal(3)})
    assert contract == Contract("c-1", "t", "INR", {Role.BUYER: "ev-1"}, (), {"fee": Decimal(3)}, "A fee")


def test_a_contract_computes_exact_lines_from_its_inputs_and_the_signals_of_an_interval(p2p):
    assert lines(p2p, {"energy_kwh": Decimal("0.333")}) == (
        Line("energy", "ev-1", "solar-1", Decimal("0.04995")),
        Line("wheeling", "ev-1", "utility-1", Decimal("0.008325")),
    )


def test_every_term_that_cannot_be_computed_is_reported(p2p):
    with pytest.raises(ContractError) as refusal:
        lines(p2p, {"energy": Decimal(1)})
    assert refusal.value.source == "p2p-1"
    assert [(fault.where, fault.what) for fault in refusal.value.faults] == [
        ("energy", "energy_kwh has no value; did you mean energy?"),
        ("wheeling", "energy_kwh has no value; did you mean energy?"),
    ]


def test_a_party_owes_itself_nothing():
    """A utility that also operates the grid sells to a buyer: no wheeling line, because the payer is the payee."""
    template = Template(
        "t",
        (Role.SELLER, Role.GRID_OPERATOR),
        (term("wheeling", "SELLER", "GRID_OPERATOR", "1 / nothing"),),
        signals=("nothing",),
    )
    contract = template.instantiate("c", "INR", {Role.SELLER: "utility-1", Role.GRID_OPERATOR: "utility-1"}, {})
    assert lines(contract, {}) == ()


def test_a_template_is_refused_with_everything_that_is_wrong_with_it():
    with pytest.raises(ContractError) as refusal:
        Template(
            id="broken",
            roles=(Role.BUYER, Role.SELLER),
            terms=(
                term("energy", "BUYER", "SELER", "energy_kwh * prise"),
                term("energy", "BUYER", "BUYER", "fee"),
            ),
            inputs=("price", "fee"),
            signals=("energy_kwh", "fee"),
        )
    assert refusal.value.source == "broken"
    assert [str(fault) for fault in refusal.value.faults] == [
        "fee: is both an input and a signal",
        "energy: SELER is not a role of this contract (did you mean SELLER?)",
        "energy: prise is neither an input nor a signal (did you mean price?)",
        "energy: is the name of two terms",
        "energy: BUYER cannot pay itself",
    ]


def test_a_template_is_refused_where_the_names_of_its_quantities_make_no_money():
    with pytest.raises(ContractError) as refusal:
        Template(
            "t",
            (Role.BUYER, Role.SELLER),
            (
                term("energy", "BUYER", "SELLER", "power_kw * price_per_kwh"),
                term("fee", "BUYER", "SELLER", "fee + energy_kwh * price_per_kwh"),
            ),
            signals=("power_kw", "energy_kwh", "price_per_kwh", "fee"),
        )
    assert [str(fault) for fault in refusal.value.faults] == [
        "energy: power_kw * price_per_kwh is in CURRENCY/h, and has to be in CURRENCY; "
        "multiply the power by the hours it lasted"
    ]


def test_a_contract_is_refused_with_everything_that_is_missing_or_unknown():
    with pytest.raises(ContractError) as refusal:
        P2P.instantiate(
            "p2p-1",
            "dollars",
            {Role.BUYER: "", Role.SELLER: "solar-1", Role.GOVERNMENT: "state"},
            {"price_per_kwh": Decimal("NaN"), "wheeling": Decimal(1)},
        )
    assert refusal.value.source == "p2p-1"
    assert [str(fault) for fault in refusal.value.faults] == [
        "currency: 'dollars' is not a currency code of three capital letters, such as INR",
        "BUYER: the role is not filled: ''",
        "GRID_OPERATOR: the role is missing",
        "GOVERNMENT: is no role of this contract (known: BUYER, GRID_OPERATOR, SELLER)",
        "price_per_kwh: the input is not a finite Decimal: Decimal('NaN')",
        "wheeling_per_kwh: the input is missing",
        "wheeling: is no input of this contract (did you mean wheeling_per_kwh?)",
    ]


def test_amounts_are_posted_in_whole_minor_units_and_a_negative_one_exchanges_the_parties():
    contract, settlement = one_term("amount", "USD"), Settlement()
    settlement.accrue(contract, lines(contract, {"amount": Decimal("1.234")}))
    settlement.accrue(contract, lines(contract, {"amount": Decimal("-4.5")}))
    assert settlement.post(7, contract) == (Posting(7, "c-1", "energy", "s", "b", Decimal("3.27"), "USD"),)
    assert settlement.post(8, contract) == ()


def test_an_interval_is_accrued_and_posted_in_one_go_or_not_at_all(p2p):
    settlement = Settlement()
    assert settlement.post(0, p2p) == (), "nothing was accrued"
    with pytest.raises(ContractError):
        settle(settlement, p2p, 4, {})
    assert settle(settlement, p2p, 4, {"energy_kwh": Decimal(10)}) == (
        Posting(4, "p2p-1", "energy", "ev-1", "solar-1", Decimal("1.50"), "USD"),
        Posting(4, "p2p-1", "wheeling", "ev-1", "utility-1", Decimal("0.25"), "USD"),
    )


def test_the_largest_amounts_have_all_their_minor_units():
    contract, settlement = one_term("amount"), Settlement()
    (posting,) = settle(settlement, contract, 0, {"amount": Decimal("9e27")})
    assert str(posting.amount) == "9" + "0" * 27 + ".00"


@pytest.mark.parametrize(
    ("currency", "posted"), [("INR", "2.68"), ("JPY", "3"), ("KWD", "2.675"), ("CLF", "2.6750"), ("EUR", "2.68")]
)
def test_a_currency_decides_how_fine_a_posting_is(currency, posted):
    contract, settlement = one_term("2.675", currency), Settlement()
    settlement.accrue(contract, lines(contract, {}))
    (posting,) = settlement.post(0, contract)
    assert str(posting.amount) == posted


def test_amounts_below_half_a_unit_wait_instead_of_vanishing():
    contract, settlement = one_term("0.004"), Settlement()
    posted = []
    for interval in range(10):
        settlement.accrue(contract, lines(contract, {}))
        posted.append(sum(p.amount for p in settlement.post(interval, contract)))
    # 0.004 0.008 0.012 0.016 0.020 0.024 0.028 0.032 0.036 0.040
    assert posted == [0, Decimal("0.01"), 0, Decimal("0.01"), 0, 0, Decimal("0.01"), 0, Decimal("0.01"), 0]


def test_a_correction_posts_the_difference_and_the_reversal_of_a_reversal_nothing():
    contract, settlement = one_term("amount"), Settlement()
    for amount in ("10.005", "-10.005", "0"):
        settlement.accrue(contract, lines(contract, {"amount": Decimal(amount)}))
    assert settlement.post(0, contract) == ()


AMOUNTS = st.lists(st.decimals(-5, 5, places=4), min_size=1, max_size=30)
CURRENCIES = st.sampled_from(["INR", "JPY", "KWD"])


def running(contract: Contract, amounts: list[Decimal], every: int) -> list[Posting]:
    settlement, ledger = Settlement(), Ledger()
    for interval, amount in enumerate(amounts):
        settlement.accrue(contract, lines(contract, {"amount": amount}))
        if interval % every == every - 1:
            ledger.post(settlement.post(interval, contract))
    ledger.post(settlement.post(len(amounts), contract))
    return list(ledger)


@given(AMOUNTS, CURRENCIES, st.integers(1, 8))
def test_settling_by_cycles_and_settling_once_give_the_same_money(amounts, currency, every):
    contract = one_term("amount / 3", currency)
    in_cycles = running(contract, amounts, every)
    at_once = running(contract, amounts, len(amounts) + 1)
    assert len(at_once) <= 1
    held = {era: amount for era, amount in balances(in_cycles).items() if amount}
    assert held == balances(at_once)


@given(AMOUNTS, CURRENCIES)
def test_what_is_posted_never_strays_from_the_exact_sum_by_more_than_half_a_unit(amounts, currency):
    contract, unit = one_term("amount / 7", currency), minor_unit(currency)
    settlement, exact, posted = Settlement(), Fraction(0), Fraction(0)
    for interval, amount in enumerate(amounts):
        due = lines(contract, {"amount": amount})
        settlement.accrue(contract, due)
        exact += Fraction(due[0].exact)
        for posting in settlement.post(interval, contract):
            posted += Fraction(posting.amount) * (1 if posting.payer == "b" else -1)
        assert abs(posted - exact) <= Fraction(unit) / 2


@given(AMOUNTS, st.integers())
def test_the_order_of_intervals_does_not_change_the_money(amounts, seed):
    contract = one_term("amount / 7")
    shuffled = random.Random(seed).sample(amounts, len(amounts))
    assert [p.amount for p in running(contract, amounts, 99)] == [p.amount for p in running(contract, shuffled, 99)]


FORMULAS = st.sampled_from(["x * y", "x - y", "max(x, 0) * y", "abs(x) / 3", "min(x, y) * -0.025", "x * 0.0625"])
FLOWS = st.tuples(st.permutations(list(Role)).map(lambda roles: roles[:2]), FORMULAS)
SIGNALS = st.fixed_dictionaries({"x": st.decimals(-99, 99, places=3), "y": st.decimals(-9, 9, places=4)})


@given(st.lists(FLOWS, min_size=1, max_size=6), st.lists(SIGNALS, min_size=1, max_size=5), CURRENCIES, st.randoms())
def test_any_contract_sums_to_zero_whatever_its_signals_and_the_order_of_its_terms(flows, signals, currency, chance):
    terms = [term(f"t{i}", payer, payee, formula) for i, ((payer, payee), formula) in enumerate(flows)]
    held = []
    for order in (terms, chance.sample(terms, len(terms))):
        template = Template("any", tuple(Role), tuple(order), signals=("x", "y"))
        contract = template.instantiate("c", currency, {role: role.lower() for role in Role}, {})
        settlement, ledger = Settlement(), Ledger()
        for interval, values in enumerate(signals):
            settlement.accrue(contract, lines(contract, values))
            ledger.post(settlement.post(interval, contract))
        held.append(balances(ledger))
    assert not any(net_by_currency(held[0]).values())
    assert held[0] == held[1]


def test_a_market_that_clears_in_balance_keeps_its_fees_and_nothing_else():
    """Two solar sites inject 5 kWh each, an EV draws 10, at 1/12 per kWh with a fee of 0.01 per kWh on every side."""
    template = Template(
        id="prosumer",
        roles=(Role.PROSUMER, Role.MARKET_CLEARING_AGENT),
        terms=(
            term("energy", "MARKET_CLEARING_AGENT", "PROSUMER", "energy_kwh * price_per_kwh"),
            term("fee", "PROSUMER", "MARKET_CLEARING_AGENT", "abs(energy_kwh) * fee_per_kwh"),
        ),
        inputs=("fee_per_kwh",),
        signals=("energy_kwh", "price_per_kwh"),
    )
    exact: dict[str, Decimal] = {}
    for era, energy_kwh in (("solar-1", 5), ("solar-2", 5), ("ev-1", -10)):
        roles = {Role.PROSUMER: era, Role.MARKET_CLEARING_AGENT: "mca"}
        contract = template.instantiate(f"c-{era}", "USD", roles, {"fee_per_kwh": Decimal("0.01")})
        for line in lines(contract, {"energy_kwh": Decimal(energy_kwh), "price_per_kwh": 1 / Decimal(12)}):
            exact[line.payer] = exact.get(line.payer, Decimal(0)) - line.exact
            exact[line.payee] = exact.get(line.payee, Decimal(0)) + line.exact
    micro = Decimal("0.000001")
    assert {era: amount.quantize(micro, ROUND_HALF_EVEN) for era, amount in exact.items()} == {
        "mca": Decimal("0.200000"),
        "solar-1": Decimal("0.366667"),
        "solar-2": Decimal("0.366667"),
        "ev-1": Decimal("-0.933333"),
    }


ALLOWED = {
    (Status.PENDING, Turn.CONFIRM): Status.ACTIVE,
    (Status.PENDING, Turn.CANCEL): Status.TERMINATED,
    (Status.PENDING, Turn.REJECT): Status.TERMINATED,
    (Status.PENDING, Turn.EXPIRE): Status.TERMINATED,
    (Status.PENDING, Turn.NOT_CLEARED): Status.TERMINATED,
    (Status.ACTIVE, Turn.FULFIL): Status.COMPLETED,
    (Status.ACTIVE, Turn.CANCEL): Status.TERMINATED,
    (Status.ACTIVE, Turn.REVOKE): Status.TERMINATED,
    (Status.ACTIVE, Turn.DEFAULT): Status.TERMINATED,
}


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("turn", Turn)
def test_a_status_changes_only_as_the_table_allows(status, turn):
    if (status, turn) in ALLOWED:
        assert transition("c-1", status, turn) is ALLOWED[status, turn]
    else:
        with pytest.raises(ContractError, match=f"a contract that is {status} cannot {turn}"):
            transition("c-1", status, turn)


def test_a_refused_turn_says_what_is_possible():
    with pytest.raises(ContractError) as refusal:
        transition("c-1", Status.ACTIVE, Turn.CONFIRM)
    assert str(refusal.value) == "c-1: a contract that is ACTIVE cannot CONFIRM; it can FULFIL, CANCEL, REVOKE, DEFAULT"
    with pytest.raises(ContractError, match="TERMINATED is final"):
        transition("c-1", Status.TERMINATED, Turn.CONFIRM)
