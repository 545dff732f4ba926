"""Explanations as a person reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from results.run import Record

LISTED = 6
"""Intervals of one posting, and messages about them, that are written out before the rest is counted."""


def posting_text(facts: Record, everything: bool = False) -> str:
    """One posting: who pays whom and why, the formula with its values and where they come from, rounding, who said so."""
    blocks = [_heading(facts), _agreement(facts)]
    if "computed" in facts:
        blocks += [_computed(facts, everything), _rounding(facts), _messages(facts["messages"], everything)]
    else:
        blocks.append([f"not computed again: {facts['why']}"])
    blocks.append(_events(facts["events"], everything))
    return "\n".join(line for block in blocks for line in block)


def party_text(facts: Record, everything: bool = False) -> str:
    """One party: its contracts with their terms and what they came to; with ``everything`` each posting."""
    count = sum(len(term["postings"]) for contract in facts["contracts"] for term in contract["postingsByTerm"])
    kind = f" ({facts['kind']})" if facts["kind"] else ""
    lines = [
        f"{facts['party']}{kind}: {_number(len(facts['contracts']), 'contract')}, {_number(count, 'posting')}, "
        f"net {_signed(facts['net'])} {facts['currency']} (+ received)"
    ]
    for contract in facts["contracts"]:
        lines += ["", *_party_contract(facts, contract, everything)]
    if not everything and count:
        lines += ["", "every posting by its number: --all; one of them: degsim explain RUN NUMBER"]
    return "\n".join(lines)


def _party_contract(facts: Record, contract: Record, everything: bool) -> Iterator[str]:
    roles = [role for role, era in contract["roles"].items() if era == facts["party"]]
    yield f"{contract['id']}  {contract['template']}, as {', '.join(roles) or 'no role'}, {contract['status']}"
    rows = [("term", "with", "postings", "paid", "received", "net")]
    for term in contract["postingsByTerm"]:
        count = str(len(term["postings"]))
        rows.append((term["term"], term["with"], count, term["paid"], term["received"], _signed(term["net"])))
        if everything:
            rows += [
                (f"  interval {one['interval']}", f"posting {one['posting']}", "", "", "", _signed(one["amount"]))
                for one in term["postings"]
            ]
    if len(rows) > 1:
        rows.append(("", "", "", "", "", _signed(contract["net"])))
        yield from (f"  {line}" for line in _columns(rows, left=2))
    else:
        yield "  nothing was posted"


def _heading(facts: Record) -> list[str]:
    start, end = datetime.fromisoformat(facts["start"]), datetime.fromisoformat(facts["end"])
    return [
        f"posting {facts['posting']}: {facts['payer']} pays {facts['payee']} {facts['amount']} {facts['currency']}",
        f"for {facts['term']}, interval {facts['interval']}, {start:%a %d %b %H:%M} to {end:%H:%M}{_turned(start, end)}",
    ]


def _turned(start: datetime, end: datetime) -> str:
    """That the clocks were set within an interval, which else seems to end before it starts, or to last too long."""
    change = (end.utcoffset() or timedelta(0)) - (start.utcoffset() or timedelta(0))
    return f", with the clocks set {'forward' if change > timedelta(0) else 'back'}" if change else ""


def _agreement(facts: Record) -> list[str]:
    contract = facts["contract"]
    roles = ", ".join(f"{role} {era}" if role != era else era for role, era in contract["roles"].items())
    told = contract["toldBy"]
    lines = [
        "",
        f"contract {contract['id']}  {contract['template']}, {contract['status']}",
        f"  {roles}",
    ]
    if told:
        lines.append(f"  terms told by message {told['seq']}, {told['sender']} -> {told['receiver']} {told['action']}")
    if "formula" in facts:
        ends = (f"{end['era']} ({end['role']})" for end in (facts["payerOfTerm"], facts["payeeOfTerm"]))
        lines.append(f"  {' pays '.join(ends)}: {facts['formula']}")
    return lines


def _computed(facts: Record, everything: bool) -> list[str]:
    entries = facts["computed"] if everything else facts["computed"][-LISTED:]
    hidden = len(facts["computed"]) - len(entries)
    lines = [""]
    if hidden:
        lines.append(f"{_number(hidden, 'earlier interval')} not yet posted are left out here; --all writes them out")
    for entry in entries:
        lines += _entry(facts, entry)
    return lines


def _entry(facts: Record, entry: Record) -> Iterator[str]:
    start = datetime.fromisoformat(entry["start"])
    what = "taken back: " if entry["takenBack"] else ""
    yield f"interval {entry['interval']}, {start:%a %H:%M}: {what}{entry['withValues']} = {entry['exact']} {facts['currency']}"
    rows = [
        (
            given["name"],
            given["value"],
            given["unit"],
            given["source"],
            "" if given["message"] is None else f"message {given['message']}",
        )
        for given in entry["inputs"]
    ]
    yield from (f"  {line}" for line in _columns(rows, left=1, right=3))
    if entry["hashIsOfTheseInputs"]:
        yield f"  these are the inputs whose hash the signed event has: {entry['inputsHash']}"


def _rounding(facts: Record) -> list[str]:
    rounding = facts["rounding"]
    rows = [
        ("exact sum of this account so far", rounding["exactSum"]),
        (f"in units of {rounding['unit']}, half to even", rounding["rounded"]),
        ("posted before", rounding["postedBefore"]),
        ("left to post", rounding["due"]),
    ]
    lines = ["", "rounding", *(f"  {line}" for line in _columns(rows, left=1))]
    if rounding["due"].startswith("-"):
        payer, payee = facts["payerOfTerm"]["era"], facts["payeeOfTerm"]["era"]
        lines.append(f"  less than nothing flows the other way: {payee} pays {payer}")
    return lines


def _messages(messages: Sequence[Record], everything: bool) -> list[str]:
    shown = messages if everything else messages[: 2 * LISTED]
    rows = [
        (
            str(one["seq"]),
            f"{datetime.fromisoformat(one['time']):%a %H:%M:%S}",
            f"{one['sender']} -> {one['receiver']}",
            one["action"],
            one["carried"],
        )
        for one in shown
    ]
    lines = ["", "messages", *(f"  {line}" for line in _columns(rows, left=0, right=4))]
    return [*lines, *_more(len(messages) - len(shown))]


def _events(events: Sequence[Record], everything: bool) -> list[str]:
    if not events:
        return []
    shown = events if everything else events[-LISTED:]
    lines = ["", "events"]
    for event in shown:
        time = datetime.fromisoformat(event["time"])
        lines.append(
            f"  {event['eventId']}  {time:%a %H:%M:%S}  {event['actor']['era']}  {event['type']}  {event['hash']}"
        )
        lines += [
            f"      {amount} {currency} from {payer} to {payee} ({term})"
            for term, payer, payee, amount, currency in event["data"].get("postings", ())
        ]
    return [*lines, *_more(len(events) - len(shown))]


def _more(count: int) -> list[str]:
    return [f"  and {count} more; --all shows them"] if count else []


def _columns(rows: Sequence[Sequence[str]], left: int, right: int = 0) -> Iterator[str]:
    """Rows as columns: so many of the first and of the last stand at the left, numbers between them at the right."""
    if not rows:
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    last = len(widths) - right
    for row in rows:
        cells = (
            f"{cell:<{width}}" if k < left or k >= last else f"{cell:>{width}}"
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def _signed(amount: str) -> str:
    return amount if amount.startswith("-") else f"+{amount}"


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
