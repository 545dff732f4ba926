"""Beancount reads the ledger of a run, finds nothing wrong with it, and comes to the same balances."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from beancount import loader
from beancount.core.data import Balance, Commodity, Open, Transaction
from hypothesis import example, given
from hypothesis import strategies as st
from small_run import Draft, Edit

from results.beancount import account, export, ledger_text
from results.run import Run
from sim.errors import RunError
from sim.ledger import Posting, balances, minor_unit
from sim.rng import identifier

START = date(2025, 6, 3)
BEAN_CHECK = Path(sys.executable).with_name("bean-check")


def day_of(interval: int) -> date:
    return START + timedelta(days=interval // 96)


def loaded(text: str) -> list[Any]:
    entries, errors, _ = loader.load_string(text)
    assert errors == []
    return list(entries)


def totals(entries: list[Any]) -> dict[tuple[str, str], Decimal]:
    """Balances as Beancount's own entries add up to."""
    found: dict[tuple[str, str], Decimal] = {}
    for entry in entries:
        for leg in entry.postings if isinstance(entry, Transaction) else ():
            key = (leg.account, leg.units.currency)
            found[key] = found.get(key, Decimal(0)) + leg.units.number
    return found


eras = st.text(max_size=6) | st.sampled_from(
    ["house-01", "House-01", "U41Z", "u41z", "A", "uz", "", "-", "-a", "0", "a:b", "é"]
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ['say "so"', "a\\", "\\n", "a\nb", ";"]
)


@st.composite
def postings(draw: st.DrawFn) -> Posting:
    payer, payee = draw(st.lists(eras, min_size=2, max_size=2, unique=True))
    currency = draw(st.sampled_from(["EUR", "INR", "JPY", "KWD"]))
    units = draw(st.integers(1, 10**12))
    amount = minor_unit(currency) * units
    return Posting(draw(st.integers(0, 400)), draw(texts), draw(texts), payer, payee, amount, currency)


ledgers = st.lists(postings(), max_size=12).map(lambda drawn: sorted(drawn, key=lambda posting: posting.interval))


# --- any ledger -------------------------------------------------------------------------------------------------------


@given(ledgers, texts)
def test_beancount_finds_every_ledger_sound_and_comes_to_the_same_balances(ledger: list[Posting], title: str) -> None:
    entries = loaded(ledger_text(ledger, day_of, title))
    due = {(account(era), currency): total for (era, currency), total in balances(ledger).items()}
    assert totals(entries) == due
    asserted = {(e.account, e.amount.currency): e.amount.number for e in entries if isinstance(e, Balance)}
    assert asserted == due
    assert all(entry.tolerance == 0 for entry in entries if isinstance(entry, Balance))


@given(ledgers)
def test_every_posting_is_a_transaction_that_tells_why(ledger: list[Posting]) -> None:
    entries = loaded(ledger_text(ledger, day_of, "any"))
    told = [
        (e.date, e.narration, e.meta["contract"], e.meta["term"], int(e.meta["interval"]),
         *[(leg.account, leg.units.number, leg.units.currency) for leg in e.postings])
        for e in entries
        if isinstance(e, Transaction)
    ]  # fmt: skip
    assert told == [
        (day_of(p.interval), p.term, p.contract, p.term, p.interval,
         (account(p.payer), -p.amount, p.currency), (account(p.payee), p.amount, p.currency))
        for p in ledger
    ]  # fmt: skip


@given(ledgers)
def test_every_party_has_an_account_and_every_currency_is_declared(ledger: list[Posting]) -> None:
    entries = loaded(ledger_text(ledger, day_of, "any"))
    parties = {era: account(era) for posting in ledger for era in (posting.payer, posting.payee)}
    opened = {entry.account: entry.meta["era"] for entry in entries if isinstance(entry, Open)}
    assert opened == {name: whole(era) for era, name in parties.items()}
    assert {entry.currency for entry in entries if isinstance(entry, Commodity)} == {p.currency for p in ledger}


def whole(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


@given(st.lists(eras, unique=True, max_size=20))
@example(["U41Z", "A", "u41Z", "uz", "", "UZ", "U2dZ", "-", "u2dz"])
def test_two_addresses_never_have_one_account(names: list[str]) -> None:
    accounts = [account(name) for name in names]
    assert len(set(accounts)) == len(names)
    assert all(re.fullmatch(r"Equity:Parties:[A-Z0-9][A-Za-z0-9-]*", name) for name in accounts)


@given(st.text(st.sampled_from("aAuUzZ4-1é"), max_size=6), st.text(st.sampled_from("aAuUzZ4-1é"), max_size=6))
def test_addresses_made_to_be_confused_are_not(one: str, other: str) -> None:
    assert (account(one) == account(other)) is (one == other)


@pytest.mark.parametrize(
    ("era", "name"),
    [
        ("house-01", "House-01"),
        ("9-lives", "9-lives"),
        ("House", "U48Zouse"),
        ("a b", "AU20Zb"),
        ("-", "U2dZ"),
        ("", "UZ"),
    ],
)
def test_an_account_reads_like_its_address(era: str, name: str) -> None:
    assert account(era) == f"Equity:Parties:{name}"


def test_half_a_character_is_spelled_out() -> None:
    posting = Posting(0, "\ud800", '"\udfff', "a\ud800", "b", Decimal("1.00"), "EUR")
    (transaction,) = [e for e in loaded(ledger_text([posting], day_of, "t")) if isinstance(e, Transaction)]
    assert (transaction.meta["contract"], transaction.narration) == ("\\ud800", '"\\udfff')


def test_a_ledger_without_postings_is_a_file_without_entries() -> None:
    assert loaded(ledger_text([], day_of, 'nothing "at all"')) == []


# --- a run ------------------------------------------------------------------------------------------------------------


def test_a_run_s_ledger_reads_like_this(day: Run) -> None:
    text = export(day)
    assert text.startswith(
        'option "title" "two-streets, locational, seed 7"\n'
        'option "operating_currency" "EUR"\n'
        "\n"
        "2025-06-03 commodity EUR\n"
        "\n"
        "2025-06-03 open Equity:Parties:"
    )
    posting = day.ledger[0]
    assert (
        f'2025-06-03 * "{posting.term}"\n'
        f'  contract: "{posting.contract}"\n'
        f'  term: "{posting.term}"\n'
        "  interval: 0\n"
        f"  {account(posting.payer)}  -{posting.amount:.2f} EUR\n"
        f"  {account(posting.payee)}  {posting.amount:.2f} EUR\n"
    ) in text
    assert re.search(r"\n2025-06-04 balance Equity:Parties:Market +-?\d+\.\d\d ~ 0 EUR\n", text)


def test_beancount_finds_a_run_sound(day: Run) -> None:
    due = {(account(era), currency): total for (era, currency), total in balances(day.ledger).items()}
    assert totals(loaded(export(day))) == due


def test_a_ledger_that_is_not_sound_is_not_exported(edited: Callable[[Edit], Run]) -> None:
    def half_a_cent(draft: Draft) -> None:
        draft.tables["postings"]["amount"][3] = Decimal("0.0050")

    with pytest.raises(RunError, match="is not in whole minor units of EUR"):
        export(edited(half_a_cent))


# --- the program that comes with Beancount ----------------------------------------------------------------------------


def checked(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = folder / "ledger.beancount"
    path.write_text(text, encoding="utf-8")
    return subprocess.run([BEAN_CHECK, "--no-cache", path], capture_output=True, text=True, check=False)


@pytest.mark.skipif(not BEAN_CHECK.exists(), reason="this Beancount comes without bean-check")
def test_bean_check_passes_a_run_and_fails_it_with_one_wrong_cent(day: Run, tmp_path: Path) -> None:
    text = export(day)
    passed = checked(text, tmp_path)
    assert (passed.returncode, passed.stdout, passed.stderr) == (0, "", "")
    for wrong in (one_leg(text), both_legs(text), one_balance(text)):
        failed = checked(wrong, tmp_path)
        assert failed.returncode == 1
        assert "balance" in failed.stderr.lower()


LEGS = re.compile(r"  (Equity:Parties:\S+)  -(\d+\.\d\d) EUR\n  (Equity:Parties:\S+)  (\d+\.\d\d) EUR\n")


def one_leg(text: str) -> str:
    return LEGS.sub(
        lambda m: f"  {m[1]}  -{m[2]} EUR\n  {m[3]}  {Decimal(m[4]) + Decimal('0.01')} EUR\n", text, count=1
    )


def both_legs(text: str) -> str:
    more = Decimal("0.01")
    return LEGS.sub(
        lambda m: f"  {m[1]}  -{Decimal(m[2]) + more} EUR\n  {m[3]}  {Decimal(m[4]) + more} EUR\n", text, count=1
    )


def one_balance(text: str) -> str:
    return re.sub(
        r"(balance Equity:\S+  )(-?\d+\.\d\d)", lambda m: f"{m[1]}{Decimal(m[2]) + Decimal('0.01')}", text, count=1
    )


def test_the_package_does_not_need_beancount() -> None:
    """Beancount is a tool of the tests; whoever installs degsim does without it."""
    code = "import sys; sys.modules['beancount'] = None; import results.beancount; print('fine')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "fine\n"


def test_a_contract_of_any_name_keeps_it() -> None:
    contract = identifier(1, "c")
    posting = Posting(0, contract, "term; not a comment", "a", "b", Decimal("1.00"), "EUR")
    (transaction,) = [e for e in loaded(ledger_text([posting], day_of, "t")) if isinstance(e, Transaction)]
    assert (transaction.meta["contract"], transaction.meta["term"]) == (contract, "term; not a comment")
