"""Runs of the use cases that need a market, and what was said in them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from agents.market import Market
from results.run import Run
from scenarios.build import Built, build
from scenarios.reader import read
from scenarios.runner import execute
from scenarios.timing import Stopwatch
from sim.wire.messages import Message

USE_CASES = Path(__file__).parents[2] / "scenarios" / "use_cases"

Cases = Callable[..., Run]


def cases(name: str, factory: pytest.TempPathFactory) -> Cases:
    """Runs a use case with overrides, each set of them once."""
    known: dict[tuple[str, ...], Run] = {}

    def run(*overrides: str) -> Run:
        if overrides not in known:
            folder = factory.mktemp(name) / "run"
            known[overrides] = Run(execute(read(USE_CASES / f"{name}.yaml", overrides), folder))
        return known[overrides]

    return run


def said(run: Run, action: str, sender: str | None = None, recipient: str | None = None) -> list[dict[str, Any]]:
    """The bodies of the messages of one kind, in order, of one sender and to one recipient if they are named."""
    found = []
    for record in run.message_records():
        context = record["body"]["context"]
        ends = [context["bapId"], context["bppId"]]
        asking = not action.rpartition("/")[2].startswith("on_")
        from_, to = ends if asking else ends[::-1]
        if context["action"] == action and sender in (None, from_) and recipient in (None, to):
            found.append(record["body"])
    return found


def actions(run: Run) -> set[str]:
    """Every action that occurred."""
    return {record["body"]["context"]["action"] for record in run.message_records()}


def balance(run: Run, era: str, *terms: str) -> Decimal:
    """What a party received less what it paid, under these terms or all."""
    rows = run.postings[run.postings.term.isin(terms)] if terms else run.postings
    return Decimal(rows[rows.payee == era].amount.sum()) - Decimal(rows[rows.payer == era].amount.sum())


def balances(run: Run) -> dict[str, Decimal]:
    """The balance of everybody who paid or received anything."""
    parties = sorted({*run.postings.payer, *run.postings.payee})
    return {era: balance(run, era) for era in parties}


def price(run: Run, node: str = "grid") -> list[float]:
    """The prices of a node, by interval; NaN where there was none."""
    return list(run.prices[run.prices.node == node].sort_values("interval").price_per_kwh)


def cleared(run: Run, era: str) -> list[float]:
    """What was cleared for somebody, by interval."""
    rows = run.setpoints[run.setpoints.era == era].sort_values("interval")
    return list(rows.setpoint_kw)


class Live:
    """A use case that is built and then lived through step by step."""

    def __init__(self, name: str, *overrides: str) -> None:
        self.sink = io.BytesIO()
        self.built: Built = build(read(USE_CASES / f"{name}.yaml", overrides), self.sink, Stopwatch())

    @property
    def market(self) -> Market:
        return self.built.market

    def agent(self, era: str) -> Any:
        """A participant by its address."""
        return next(agent for agent in self.built.world.agents if agent.era == era)

    def until(self, second: int) -> None:
        """Everything up to this second."""
        self.built.world._clock.run(until=second)

    def to_the_end(self) -> None:
        """The whole run."""
        self.built.world.run(lambda interval, flow: None)

    def messages(self, action: str, ack: str = "ACK") -> list[dict[str, Any]]:
        """The journal's messages so far, of one kind."""
        self.built.world.journal._flush()
        records = [json.loads(line) for line in self.sink.getvalue().splitlines()]
        return [r for r in records if r["kind"] == "message" and r["action"] == action and r["ack"] == ack]

    def nacks(self, action: str) -> list[dict[str, Any]]:
        """What was refused."""
        return self.messages(action, "NACK")

    def said(self, action: str, bap: str) -> list[dict[str, Any]]:
        """The bodies of the messages of one kind in the sessions of one asking party."""
        return [r["body"] for r in self.messages(action) if r["body"]["context"]["bapId"] == bap]

    def ledger(self, *eras: str) -> Iterator[Any]:
        """Postings between or with these, or all."""
        return (p for p in self.built.world.ledger if not eras or p.payer in eras or p.payee in eras)


def unread(live: Live, index: int, again_after_s: int) -> None:
    """The readings of one interval are missing at first, and come after some seconds."""
    metering, meters = live.agent("metering"), live.built.world.meters
    read = metering.reactions["read"]

    def at_first_missing(alarm: Any) -> list[Any]:
        meters.valid = alarm.index != index
        events = list(read(alarm))
        meters.valid = True
        if alarm.index == index:
            reports = [event for event in read(alarm) if isinstance(event, Message)]
            later = live.built.world.second + again_after_s
            live.built.world.bus.at(later, lambda _: live.built.world.bus.post("metering", reports))
        return events

    metering.reactions["read"] = at_first_missing
