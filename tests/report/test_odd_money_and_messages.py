"""Messages and money of runs that lack something, or whose names mean harm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from results import report
from results.run import Run
from tests.results.small_run import Edit, renamed, without_a_market, without_prices, write_run

HOSTILE = "</script><img src=x onerror=alert(1)>"
EDITS: dict[str, Edit | None] = {
    "as it is": None,
    "without prices": without_prices,
    "without a market": without_a_market,
    "hostile names": renamed({"house-1": HOSTILE}),
}


@pytest.mark.parametrize("name", EDITS)
def test_messages_and_money_can_be_read_in_any_run(name: str, opened: Callable, tmp_path: Path) -> None:
    run = Run(write_run(tmp_path / "run", EDITS[name]))
    path = report.write(run)
    page = opened(path, section="messages")
    page.wait_for_selector("#messages[data-ready=yes]")
    count = sum(1 for _ in run.message_records())
    assert f"{count:,} of {count:,} messages" in page.inner_text("#messages [role=status]")
    page.click("#messages .message-row")
    assert page.inner_text("#message-title").startswith("Message 1: ")
    page.keyboard.press("Escape")
    page.click("text=Draw the sequence of what is listed")
    assert page.locator("#messages .arrow").count() > 0
    if page.locator("#money").count() == 0:
        assert not run.ledger
        return
    parties = {era for posting in run.ledger for era in (posting.payer, posting.payee)}
    page.evaluate("(party) => degsim.go('money', `party:${party}`)", HOSTILE if name == "hostile names" else "house-1")
    page.wait_for_selector("#money[data-ready=yes]")
    if parties:
        page.wait_for_selector("#money .net")
        page.evaluate("() => degsim.go('money', 'posting:0')")
        page.wait_for_selector("#money dialog[open]")
        assert f"{run.ledger[0].payer} pays {run.ledger[0].payee}" in page.inner_text("#money dialog")
    assert page.locator("img").count() == 0
