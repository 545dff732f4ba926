"""What was said, refused and paid in runs in which two deal with each other."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal
from typing import Any

from results.run import Run
from results.sequence import steps
from sim.ledger import Posting, balances, net_by_currency


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
    """Whether every contract comes to nothing over its parties, and is posted as its takers were told, term by term."""
    by_contract: dict[str, list[Posting]] = {}
    for posting in run.ledger:
        by_contract.setdefault(posting.contract, []).append(posting)
    zero = all(set(net_by_currency(balances(postings)).values()) == {0} for postings in by_contract.values())
    cycles, _ = told(run)
    heard = {contract for contract, *_ in cycles}
    return zero and heard == set(by_contract) and net(cycles) == posted(run, heard)


CLOSING = "closing"
"""The cycle of a market's contract that says all the others once more."""
Flow = tuple[str, str, str, str, Decimal]
"""Contract, term, payer, payee and amount."""


def told(run: Run) -> tuple[list[Flow], list[Flow]]:
    """What takers were told of the money of their contracts: in cycles, and in the last closing of each."""
    cycles: list[Flow] = []
    closings: dict[str, list[Flow]] = {}
    for contract in of_contract([record["body"]["message"] for record in run.message_records("on_update")]):
        for body in (settlement["settlementAttributes"] for settlement in contract.get("settlements", ())):
            lines = [
                (contract["id"], line["term"], line["from"], line["to"], Decimal(str(line["amount"])))
                for line in body.get("breakdown", ())
            ]
            if body.get("cycleId") == CLOSING:
                closings[contract["id"]] = lines
            else:
                cycles += lines
    return cycles, [line for lines in closings.values() for line in lines]


def posted(run: Run, contracts: Collection[str]) -> dict[tuple[str, ...], Decimal]:
    """What is posted under contracts, between whom."""
    return net((p.contract, p.term, p.payer, p.payee, p.amount) for p in run.ledger if p.contract in contracts)


def net(flows: Iterable[Flow]) -> dict[tuple[str, ...], Decimal]:
    """What flowed between two in all under a term of a contract, + from the first by name; without what went back in full."""
    found: dict[tuple[str, ...], Decimal] = {}
    for contract, term, payer, payee, amount in flows:
        first, last = sorted((payer, payee))
        key = (contract, term, first, last)
        found[key] = found.get(key, Decimal(0)) + (amount if payer == first else -amount)
    return {key: amount for key, amount in found.items() if amount}
