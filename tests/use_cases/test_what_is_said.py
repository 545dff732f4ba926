"""Whatever a scenario of the library says keeps the strict rules of the wire, and what it tells of money is what is paid.

The published messages break most of these rules: callbacks with ids of their own, one id for several messages, answers that
are older than what they answer, and cascaded legs that nobody can follow back.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest

from results.run import Run
from sim.wire.messages import ANSWERS, UNSOLICITED
from tests.use_cases.deal_cases import net, posted, told
from tests.use_cases.library import Library, names


@pytest.fixture(params=names())
def run(request: pytest.FixtureRequest, library: Library) -> Run:
    return library.run_of(request.param)


def contexts(run: Run) -> list[dict[str, Any]]:
    return [record["body"]["context"] for record in run.message_records()]


def valid_until(context: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(context["timestamp"]) + timedelta(seconds=int(context["ttl"][2:-1]))


def ends(context: dict[str, Any]) -> tuple[str, str]:
    """Sender and recipient."""
    asking = context["action"] in ANSWERS
    return (context["bapId"], context["bppId"]) if asking else (context["bppId"], context["bapId"])


def test_a_callback_has_the_ids_and_ends_of_its_request_and_comes_in_time(run: Run) -> None:
    asked: dict[str, dict[str, Any]] = {}
    for context in contexts(run):
        action, number = context["action"], context["messageId"]
        request = asked.get(number)
        if action in ANSWERS:
            assert request is None, f"{action} has the id of {request}"
            asked[number] = context
        elif request is not None:
            assert action == ANSWERS[request["action"]]
            for name in ("transactionId", "bapId", "bppId", "lineage"):
                assert context.get(name) == request.get(name)
            assert request["timestamp"] <= context["timestamp"]
            assert datetime.fromisoformat(context["timestamp"]) <= valid_until(request)


def test_what_nobody_has_asked_for_is_of_a_kind_that_may_be_told_and_has_an_id_of_its_own(run: Run) -> None:
    asked = {context["messageId"] for context in contexts(run) if context["action"] in ANSWERS}
    unasked = [context for context in contexts(run) if context["messageId"] not in asked]
    assert {context["action"] for context in unasked} <= UNSOLICITED
    assert max(Counter(context["messageId"] for context in unasked).values(), default=1) == 1


def test_a_lineage_leads_to_a_message_that_its_sender_has_heard_or_sent(run: Run) -> None:
    before: dict[tuple[str, str], dict[str, Any]] = {}
    for context in contexts(run):
        if "lineage" in context and context["action"] in ANSWERS:
            origin = before[context["lineage"]["transactionId"], context["lineage"]["messageId"]]
            assert ends(context)[0] in ends(origin)
        before.setdefault((context["transactionId"], context["messageId"]), context)


def test_whoever_asks_a_grid_operator_for_somebody_else_says_for_whom(run: Run) -> None:
    """Approvals and locks: those who draw up contracts with others ask for them."""
    operators = set(run.participants[run.participants.kind.isin(["utility", "distributor"])].era)
    hosts = {context["bppId"] for context in contexts(run) if context["action"] == "init"}
    legs = [
        context
        for context in contexts(run)
        if context["action"] in ("init", "confirm") and context["bppId"] in operators and context["bapId"] in hosts
    ]
    assert all("lineage" in context for context in legs)


def test_what_is_told_of_every_contract_in_cycles_is_what_is_posted_to_the_cent(run: Run) -> None:
    cycles, closings = told(run)
    assert cycles
    assert net(cycles) == posted(run, {contract for contract, *_ in cycles})
    assert net(closings) == posted(run, {contract for contract, *_ in closings})
