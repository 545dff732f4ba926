"""The money of a run, as a browser shows it: to the last digit what the ledger and the explanations have."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from results import report
from results.explanation import contracts, explained
from results.report.sections import money
from results.run import Run
from sim.ledger import balances
from tests.report.conftest import PHONE
from tests.report.made import made


@pytest.fixture(scope="session", params=["policies-as-code", "destination-charging-mishaps"])
def paid(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """A market whose terms are told in several ways, and deals that are paid back."""
    return made(tmp_path_factory.mktemp("money"), request.param)


@pytest.fixture
def at(paid: tuple[Run, Path], opened: Callable) -> Callable:
    def open_at(detail: str = "", path: Path | None = None, **options: Any):
        page = opened(path or paid[1], section=f"money{detail and '/'}{detail}", **options)
        page.wait_for_selector("#money[data-ready=yes]")
        return page

    return open_at


def _decimal(text: str) -> Decimal:
    return Decimal(text.replace("−", "-").replace(",", ""))


def test_balances_are_those_of_the_ledger_and_sum_to_nothing(at: Callable, paid: tuple[Run, Path]) -> None:
    page, run = at(), paid[0]
    due = balances(run.ledger)
    rows = page.eval_on_selector_all(
        "#money table:has(caption:has-text('Balances')) tbody tr",
        "all => all.map(row => [...row.children].map(c => c.innerText))",
    )
    told = {row[0]: _decimal(row[4]) for row in rows}
    parties = {era for posting in run.ledger for era in (posting.payer, posting.payee)}
    assert len(rows) == min(len(parties), 15)
    for party, net in told.items():
        assert net == due[party, run.manifest["currency"]]
    for row in rows:
        assert _decimal(row[3]) - _decimal(row[2]) == _decimal(row[4])
    assert page.inner_text("#money .sum") == f"0.00 {run.manifest['currency']}"


def test_every_posting_is_taken_apart_as_degsim_explain_does_it(at: Callable, paid: tuple[Run, Path]) -> None:
    page, run = at(), paid[0]
    told = contracts(run)
    shown = page.evaluate(
        "async (count) => Promise.all(Array.from({length: count}, (_, n) => degsim.explained(n)))", len(run.ledger)
    )
    apart = 0
    for number, mine in enumerate(shown):
        facts = explained(run, told, number)
        if "why" in facts:
            assert mine is None
            continue
        apart += 1
        rounding = facts["rounding"]
        for name, key in (("rounded", "rounded"), ("before", "postedBefore"), ("due", "due")):
            assert Decimal(mine[name]) == Decimal(rounding[key])
        assert Decimal(mine["total"]) == Decimal(rounding["exactSum"])
        assert [seq for seq, _ in mine["messages"]] == [message["seq"] for message in facts["messages"]]
        assert [event for event, _ in mine["events"]] == sorted(int(event["eventId"]) for event in facts["events"])
        assert len(mine["entries"]) == len(facts["computed"])
        for entry, due in zip(mine["entries"], facts["computed"], strict=True):
            assert (entry["interval"], entry["exact"], entry["back"]) == (
                due["interval"],
                due["exact"],
                due["takenBack"],
            )
            assert (entry["filled"], entry["proven"]) == (due["withValues"], due["hashIsOfTheseInputs"])
            assert list(map(_input, entry["inputs"])) == list(map(_input, due["inputs"]))
    assert apart > len(run.ledger) * 0.9


def _input(given: dict[str, Any]) -> tuple[Any, ...]:
    """An input, where no message is either None or less than nothing."""
    message = given["message"]
    return given["name"], given["value"], given["unit"], given["source"], None if message == -1 else message


def test_exact_decimals_are_added_and_rounded_half_to_even(at: Callable) -> None:
    texts = ["0.125", "0.135", "-0.125", "0.005", "0.015", "-0.005", "12345678901234567890.115", "1", "0.1250001"]
    rounded = at().evaluate(
        "(texts) => texts.map(text => degsim.exact.written(degsim.exact.rounded(degsim.exact.parsed(text), 2)))", texts
    )
    assert [Decimal(text) for text in rounded] == [Decimal(text).quantize(Decimal("0.01")) for text in texts]


def test_a_posting_opens_with_its_formula_and_leads_to_its_messages(at: Callable, paid: tuple[Run, Path]) -> None:
    run = paid[0]
    facts = explained(run, contracts(run), 3)
    page = at("posting:3")
    text = page.inner_text("#money dialog")
    assert f"{facts['payer']} pays {facts['payee']} {facts['amount']} {facts['currency']}" in text
    assert facts["formula"] in text
    assert f"{facts['computed'][-1]['withValues']} = {facts['computed'][-1]['exact']}" in text
    seq = facts["messages"][0]["seq"]
    page.click(f"#money dialog .carriers button:has-text('message {seq}')")
    page.wait_for_selector("#messages dialog[open]")
    assert page.inner_text("#message-title").startswith(f"Message {seq}:")


def test_a_party_s_terms_sum_to_its_net_and_unfold_to_postings(
    at: Callable, paid: tuple[Run, Path], shot: Callable
) -> None:
    run = paid[0]
    party = run.ledger[0].payer
    page = at(f"party:{party}")
    due = balances(run.ledger)[party, run.manifest["currency"]]
    assert _decimal(page.inner_text("#money .net").split()[0]) == due
    parts = page.eval_on_selector_all("#money .term .amount", "all => all.map(one => one.innerText)")
    assert sum((_decimal(part.split()[0]) for part in parts), Decimal(0)) == due
    page.focus("#money .term summary")
    page.keyboard.press("Enter")
    page.wait_for_selector("#money .term[open] tbody tr")
    rows = page.eval_on_selector_all(
        "#money .term[open] tbody tr td:last-child", "all => all.map(one => one.innerText)"
    )
    assert sum(map(_decimal, rows), Decimal(0)) == _decimal(parts[0].split()[0])
    page.click("#money .term[open] tbody button")
    assert page.inner_text("#posting-title").startswith("Posting ")
    page.keyboard.press("Escape")
    shot(page, f"money-party-{run.manifest['name']}")


def test_a_contract_shows_roles_terms_and_what_became_of_it(at: Callable, paid: tuple[Run, Path]) -> None:
    run = paid[0]
    contract = run.ledger[0].contract
    told = contracts(run)[contract]
    page = at(f"contract:{contract}")
    text = page.inner_text("#money .money-detail")
    for role, era in told.contract.roles.items():
        assert f"{role}\t{era}" in text
    for term in told.contract.terms:
        assert term.formula.text in text
    for event in told.events:
        if event["eventType"] != "SETTLEMENT_COMPUTED":
            assert f"{event['eventId']}\t{event['eventType']}" in text


def test_a_page_without_room_for_cycles_says_how_to_see_them(
    at: Callable, paid: tuple[Run, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(money, "MOST_POSTINGS", 0)
    page = at("posting:3", report.write(paid[0], tmp_path / "part.html"))
    assert "degsim explain RUN NUMBER" in page.inner_text("#money dialog")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_money_fits_a_phone(at: Callable, paid: tuple[Run, Path], shot: Callable, scheme: str) -> None:
    page = at(f"contract:{paid[0].ledger[0].contract}", size=PHONE, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shot(page, f"money-phone-{scheme}-{paid[0].manifest['name']}")
    page.goto(page.url.split("#")[0] + "#money/posting:3")
    page.wait_for_selector("#money dialog[open]")
    assert page.evaluate("document.querySelector('dialog[open]').getBoundingClientRect().right <= innerWidth")
