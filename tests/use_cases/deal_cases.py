"""What was said, refused and paid in runs in which two deal with each other."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from results.run import Run
from results.sequence import steps


def heard(run: Run, receiver: str, action: str, sender: str | None = None) -> list[dict[str, Any]]:
    """The content of all messages of one kind that somebody has got and not refused, in order."""
    return [
        step.content
        for step in steps(run)
        if (step.receiver, step.action) == (receiver, action) and not step.refused and sender in (None, step.sender)
    ]


def refused(run: Run) -> list[tuple[str, str, str, str]]:
    """What was refused: who said what to whom, and why; without what the meter operator could not deliver in time."""
    return [(s.sender, s.receiver, s.action, s.code) for s in steps(run) if s.refused and s.sender != "metering"]


def failures(run: Run) -> list[tuple[str, str, str, str]]:
    """Callbacks that report a failure."""
    return [(s.sender, s.receiver, s.action, s.code) for s in steps(run) if s.error is not None and not s.refused]


def of_contract(contents: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The contracts in messages."""
    return (content["contract"] for content in contents if "contract" in content)


def price(contract: dict[str, Any]) -> float:
    """The total that a message states."""
    return float(contract["consideration"][0]["considerationAttributes"]["value"])


def parts(contract: dict[str, Any]) -> dict[str, float]:
    """The parts of a total by term."""
    components = contract["consideration"][0]["considerationAttributes"]["components"]
    return {part["description"]: part["value"] for part in components}


def signals(contract: dict[str, Any]) -> dict[str, Any]:
    """The signals of a message by name."""
    return {s["signalId"]: s.get("value") for s in contract["contractAttributes"].get("inputSignals", ())}


def session(contract: dict[str, Any]) -> dict[str, Any]:
    """How the session stands that a message tells of."""
    body: dict[str, Any] = contract["performance"][0]["performanceAttributes"]
    return body


def payment(contract: dict[str, Any]) -> tuple[str, float] | None:
    """Status and amount of the payment that a message tells of."""
    for settlement in contract.get("settlements", ()):
        body = settlement["settlementAttributes"]
        if "paymentStatus" in body:
            return body["paymentStatus"], body["amount"]["value"]
    return None


def paid(run: Run, term: str, payer: str | None = None) -> Decimal:
    """All that was paid under a term, less what was paid back."""
    rows = run.postings[run.postings.term == term]
    if payer is None:
        return Decimal(rows.amount.sum())
    return Decimal(rows[rows.payer == payer].amount.sum()) - Decimal(rows[rows.payee == payer].amount.sum())


def net_zero(run: Run) -> bool:
    """Whether what every contract paid comes to nothing in all, party by party."""
    parties = dict.fromkeys([*run.postings.payer, *run.postings.payee])
    total = Decimal(0)
    for era in parties:
        rows = run.postings
        total += Decimal(rows[rows.payee == era].amount.sum()) - Decimal(rows[rows.payer == era].amount.sum())
    return total == 0
