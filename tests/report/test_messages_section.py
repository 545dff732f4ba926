"""The messages of a run, as a browser shows them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from results import report
from results.report.sections import messages
from results.run import Record, Run
from tests.report.conftest import PHONE
from tests.report.made import made


@pytest.fixture(scope="session")
def signing(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """A run that signs."""
    return made(tmp_path_factory.mktemp("messages"), "forecasts")


@pytest.fixture(scope="session")
def records(signing: tuple[Run, Path]) -> list[Record]:
    return list(signing[0].message_records())


@pytest.fixture
def at(signing: tuple[Run, Path], opened: Callable) -> Callable:
    def open_at(detail: str = "", path: Path | None = None, **options: Any):
        page = opened(path or signing[1], section=f"messages{detail and '/'}{detail}", **options)
        page.wait_for_selector("#messages[data-ready=yes]")
        return page

    return open_at


def _counted(page) -> tuple[int, int]:
    shown, of = page.inner_text("#messages [role=status]").removesuffix(" messages").split(" of ")
    return int(shown.replace(",", "")), int(of.replace(",", ""))


def _sender(record: Record) -> str:
    context = record["body"]["context"]
    return str(context["bppId"] if record["action"].split("/")[-1].startswith("on_") else context["bapId"])


def _kept(record: Record) -> Any:
    """JSON as its very text says it: ``1`` is not ``1.0``, and keys have an order."""
    return json.dumps(record)


def test_every_message_is_in_the_list_and_filters_keep_those_that_they_name(
    at: Callable, records: list[Record]
) -> None:
    page = at()
    assert _counted(page) == (len(records), len(records))
    page.select_option("#messages [name=action]", "on_confirm")
    assert _counted(page)[0] == sum(record["action"] == "on_confirm" for record in records) > 0
    page.select_option("#messages [name=verdict]", "NACK")
    assert _counted(page)[0] == sum((r["action"], r["ack"]) == ("on_confirm", "NACK") for r in records)
    page.click("#messages form button")
    assert _counted(page)[0] == len(records)
    who = _sender(records[0])
    page.fill("#messages [name=participant]", who)
    mine = [r for r in records if who in (r["body"]["context"]["bapId"], r["body"]["context"]["bppId"])]
    assert _counted(page)[0] == len(mine) < len(records)
    page.click("#messages form button")
    thread = records[40]["body"]["context"]["transactionId"]
    page.fill("#messages [name=text]", thread[:18])
    assert _counted(page)[0] == sum(record["body"]["context"]["transactionId"] == thread for record in records)


def test_a_span_of_time_keeps_what_came_within_it(
    at: Callable, signing: tuple[Run, Path], records: list[Record]
) -> None:
    page, calendar = at(), signing[0].calendar
    begin, end = (calendar.local(calendar.interval(k).start_s) for k in (2, 4))
    page.fill("#messages [name=from]", f"{begin:%Y-%m-%dT%H:%M}")
    page.fill("#messages [name=to]", f"{end:%Y-%m-%dT%H:%M}")
    spans = calendar.interval(2).start_s, calendar.interval(4).start_s
    assert _counted(page)[0] == sum(spans[0] <= record["t"] < spans[1] for record in records) > 0


def test_a_message_opens_as_the_json_of_the_journal(at: Callable, records: list[Record]) -> None:
    for number in (1, 2, 100, len(records) // 2, len(records)):
        page = at(str(number))
        text = page.inner_text("#messages dialog pre")
        assert _kept(json.loads(text)) == _kept(records[number - 1])
        assert page.inner_text("#message-title").startswith(f"Message {number}: {_sender(records[number - 1])} → ")
        page.context.close()


def test_the_dialog_tells_verdict_and_signature_and_leads_to_what_belongs_together(
    at: Callable, records: list[Record]
) -> None:
    request = next(record for record in records if record["action"] == "init")
    thread = request["body"]["context"]["messageId"]
    answer = next(r for r in records if r["action"] == "on_init" and r["body"]["context"]["messageId"] == thread)
    page = at(str(request["seq"]))
    facts = page.inner_text("#messages dialog dl")
    assert "Verdict\nACK" in facts
    assert "Signature\nverified" in facts
    page.click(f"#messages dialog button:has-text('{answer['seq']} on_init')")
    assert page.inner_text("#message-title").startswith(f"Message {answer['seq']}:")
    page.click("#messages dialog button:has-text('its messages')")
    contract = answer["body"]["message"]["contract"]["id"]
    mine = [r for r in records if r["body"]["message"].get("contract", {}).get("id") == contract]
    assert _counted(page)[0] == len(mine)


def test_a_refused_message_says_why(at: Callable, tmp_path: Path) -> None:
    run, path = made(tmp_path, "destination-charging-mishaps")
    refused = next(record for record in run.message_records() if record["ack"] == "NACK")
    page = at(str(refused["seq"]), path)
    facts = page.inner_text("#messages dialog dl")
    assert f"NACK: {refused['error']['errorCode']}" in facts
    assert "not signed: this scenario does not sign" in facts
    page.keyboard.press("Escape")
    page.select_option("#messages [name=verdict]", "NACK")
    assert _counted(page)[0] == sum(record["ack"] == "NACK" for record in run.message_records())


def test_a_signature_that_does_not_hold_is_said_to_fail(
    at: Callable, signing: tuple[Run, Path], records: list[Record], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(signing[0].path, tmp_path / "forged"))
    first, second = [record for record in records if record["ack"] == "ACK" and record.get("signature")][:2]
    journal = folder / "journal.jsonl"
    journal.write_text(journal.read_text().replace(json.dumps(first["signature"]), json.dumps(second["signature"])))
    page = at(str(first["seq"]), report.write(Run(folder)))
    assert "Signature\nFAILED: " in page.inner_text("#messages dialog dl")


def test_the_list_works_by_keyboard_alone(at: Callable, records: list[Record]) -> None:
    page = at()
    page.focus("#messages [role=listbox]")
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    assert page.inner_text("#message-title").startswith("Message 3:")
    page.keyboard.press("Escape")
    assert page.is_hidden("#messages dialog")
    page.keyboard.press("End")
    active = page.get_attribute("#messages [role=listbox]", "aria-activedescendant")
    assert page.inner_text(f"#{active} .seq") == str(len(records))
    page.keyboard.press("PageUp")
    page.keyboard.press("Home")
    assert page.inner_text("#messages [aria-selected=true] .seq") == "1"


def test_the_sequence_of_a_transaction_has_an_arrow_for_every_message_or_counts_it(
    at: Callable, records: list[Record], shot: Callable
) -> None:
    thread = next(record for record in records if record["action"] == "init")["body"]["context"]["transactionId"]
    family = {thread}
    mine = []
    for record in records:
        context = record["body"]["context"]
        if context["transactionId"] in family or context.get("lineage", {}).get("transactionId") in family:
            family.add(context["transactionId"])
            mine.append(record)
    page = at(f"transaction:{thread}")
    labels = page.eval_on_selector_all("#messages .arrow", "all => all.map(one => one.getAttribute('aria-label'))")
    counts = [int(label.split("×")[1].split(",")[0]) if "×" in label else 1 for label in labels]
    assert sum(counts) == len(mine)
    assert len(labels) < len(mine)  # what repeats is folded
    assert labels[0].startswith(f"message {mine[0]['seq']}, ")
    page.focus("#messages .arrow")
    page.keyboard.press("Enter")
    assert page.inner_text("#message-title").startswith(f"Message {mine[0]['seq']}:")
    page.keyboard.press("Escape")
    shot(page, "messages-sequence")


def test_a_page_without_room_says_how_many_messages_it_leaves_out(
    at: Callable, signing: tuple[Run, Path], records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = messages.of_run
    monkeypatch.setattr(messages, "of_run", lambda run: whole(run, most_messages=50))
    page = at("", report.write(signing[0], tmp_path / "part.html"))
    assert _counted(page) == (50, 50)
    note = page.inner_text("#messages [role=note]")
    assert f"the first 50 messages; {len(records) - 50:,} more are in the journal" in note
    assert "degsim sequence RUN" in note


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_messages_fit_a_phone(at: Callable, shot: Callable, scheme: str) -> None:
    page = at("", size=PHONE, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shot(page, f"messages-phone-{scheme}")
    page.click("#messages .message-row")
    assert page.evaluate("document.querySelector('dialog[open]').getBoundingClientRect().right <= innerWidth")
    shot(page, f"messages-phone-dialog-{scheme}")
