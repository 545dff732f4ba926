"""The bill: every line with what it was computed from, so that a third party can compute it again.

A report names the contract by its hash, every reading by pointer and version, every formula by its text.  Whoever has
contract and signals gets the same report; ``differences`` says where not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import rfc8785

from sim.contracts.agreement import OTHERS
from sim.contracts.billing import Line
from sim.contracts.binding import Bound
from sim.contracts.computation import Amounts
from sim.contracts.document import Document
from sim.contracts.signals import Observed
from sim.contracts.units import KWH, unit_of_name
from sim.ledger import EXACT, Posting, balances, minor_unit, net_by_currency, total_of

Report = dict[str, object]


def report(bound: Bound, amounts: Amounts, lines: Sequence[Line], postings: Sequence[Posting]) -> Report:
    """What was settled, with amounts as ``Decimal`` in minor units.

    postings: what is posted now: all of it, or the differences from an earlier run.
    """
    nothing = EXACT.multiply(minor_unit(bound.currency), 0)
    by_party = balances(postings)
    eras = dict.fromkeys(party.era for party in bound.agreement.parties)
    flows = [_revenue_flow(bound, amounts, line) for line in lines]
    owed = balances(
        Posting(0, "", line.term, *_ends(line), abs(line.amount), bound.currency) for line in lines if line.amount
    )
    return {
        "contractId": bound.agreement.id,
        "revenueFlows": flows,
        "postings": [posting_record(posting) for posting in postings],
        "totalAmount": total_of((posting.amount for posting in postings), nothing),
        "currency": bound.currency,
        "balances": {era: by_party.get((era, bound.currency), nothing) for era in eras},
        "netZeroVerified": not any(net_by_currency(by_party).values()) and not any(net_by_currency(owed).values()),
    }


def posting_record(posting: Posting) -> Report:
    """A posting as reports write it."""
    return {
        "from": posting.payer,
        "to": posting.payee,
        "amount": posting.amount,
        "currency": posting.currency,
        "term": posting.term,
    }


def evidence(bound: Bound, amounts: Amounts, lines: Sequence[Line], observed: Observed, contract_hash: str) -> Report:
    """What a third party needs to compute every line again, besides the contract and the signals themselves."""
    return {
        "contractHash": contract_hash,
        "signalsHash": signals_hash(observed),
        "settlementBasis": None if bound.agreement.basis is None else str(bound.agreement.basis),
        "intervals": observed.count,
        "lines": [_line(bound, amounts, line) for line in lines],
        "readings": [
            {"source": source, "reference": reading.reference, "quality": str(reading.quality)}
            for source, reading in observed.readings()
        ],
        "states": {
            name: {"kind": state.kind, "before": before, "after": after}
            for state, (name, (before, after)) in zip(bound.states, amounts.states.items(), strict=True)
        },
    }


def signals_hash(observed: Observed) -> str:
    """``sha256:hex`` over everything that was read, in order, with versions and qualities."""
    digest = hashlib.sha256()
    for source, reading in observed.readings():
        digest.update(
            rfc8785.dumps([source, reading.start, reading.version, str(reading.quality), _texts(reading.fields)])
        )
    return f"sha256:{digest.hexdigest()}"


def differences(stated: Document, computed: Mapping[str, object]) -> Iterator[str]:
    """Where a report that somebody else made says something else than contract and signals give."""
    for key in ("contractHash", "signalsHash"):
        theirs, ours = _evidence_of(stated).get(key), _evidence_of(computed).get(key)
        if theirs is not None and theirs != ours:
            yield f"/evidence/{key}: the report is about {theirs}; this is {ours}"
    for key, name in (("revenueFlows", _flow_key), ("postings", _posting_key)):
        theirs_by, ours_by = (_by_key(document.get(key), name) for document in (stated, computed))
        if key in stated:
            for entry in dict.fromkeys((*theirs_by, *ours_by)):
                theirs, ours = theirs_by.get(entry, Decimal(0)), ours_by.get(entry, Decimal(0))
                if theirs != ours:
                    yield f"/{key}: {entry} is stated as {theirs}; it comes to {ours}"
    if "totalAmount" in stated and _money(stated["totalAmount"]) != _money(computed["totalAmount"]):
        yield f"/totalAmount: is stated as {stated['totalAmount']}; it comes to {computed['totalAmount']}"


def table(computed: Mapping[str, object]) -> str:
    """The bill for people: one line a payment, then what everybody gets or pays."""
    currency = computed["currency"]
    rows = [
        (str(p["from"]), "→", str(p["to"]), f"{p['amount']:,f}", str(p["term"])) for p in _entries(computed["postings"])
    ]
    text = [f"{computed['contractId']}, amounts in {currency}", "", *_columns(rows, right=3)]
    people = computed["balances"]
    assert isinstance(people, dict)
    text += ["", "balance (+ receives)", *_columns([(era, f"{amount:+,f}") for era, amount in people.items()], right=1)]
    text += ["", "computed from", *(f"  {line}" for line in _formulas(computed))]
    notes = computed.get("notes")
    if isinstance(notes, list) and notes:
        text += ["", *(f"note: {note}" for note in notes)]
    return "\n".join(text) + "\n"


def _formulas(computed: Mapping[str, object]) -> Iterator[str]:
    for line in _entries(_evidence_of(computed).get("lines")):
        values = line["values"]
        assert isinstance(values, dict)
        shown = ", ".join(f"{name} = {_shown(name, value)}" for name, value in values.items())
        yield f"{line['term']}: {_how(line)}" + (f" with {shown}" if shown else "")


def _how(line: Document) -> str:
    tax = line.get("tax")
    if not isinstance(tax, dict):
        return str(line["formula"])
    parts: dict[str, Any] = {part["name"]: part["rate"] for part in tax["components"]}
    rate: Any = parts.get(str(line["term"]).rpartition("/")[2], tax["rate"])
    return f"{rate * 100:f} % {'within' if tax['inclusive'] else 'on top of'} {', '.join(tax['base'])}"


def _shown(name: str, value: object) -> str:
    if isinstance(value, dict):
        unit = unit_of_name(name)
        together = f", together {value['sum']:f}" if unit is not None and unit.like(KWH) else ""  # prices do not add up
        return f"{value['lowest']:f} to {value['highest']:f} in {value['intervals']} intervals{together}"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _columns(rows: Sequence[tuple[str, ...]], right: int) -> Iterator[str]:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))] if rows else []
    for row in rows:
        cells = [
            cell.rjust(w) if k == right else cell.ljust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  " + "  ".join(cells).rstrip()


def _revenue_flow(bound: Bound, amounts: Amounts, line: Line) -> Report:
    flow = bound.flows[line.position]
    _, receiver = _ends(line)
    roles = {party.era: party.role for party in bound.agreement.parties}
    for party in (flow.payer, flow.payee):
        if party is not None:
            roles[party.era] = party.role
    return {
        "party": {"era": receiver, "role": roles[receiver]},
        "amount": abs(line.amount),
        "currency": bound.currency,
        "description": flow.flow.description if "/" not in line.term.removeprefix(flow.flow.name) else line.term,
        "signalSnapshot": dict(amounts.snapshots[line.position]),
    }


def _line(bound: Bound, amounts: Amounts, line: Line) -> Report:
    flow = bound.flows[line.position].flow
    shown: Report = {
        "term": line.term,
        "from": line.payer,
        "to": line.payee,
        "amount": line.amount,
        "exact": line.exact,
        "formula": flow.formula.text if flow.formula is not None else "tax",
        "values": dict(amounts.snapshots[line.position]),
    }
    if flow.tax is not None:
        tax = flow.tax
        shown["tax"] = {
            "rate": tax.rate,
            "base": list(tax.base),
            "inclusive": tax.inclusive,
            "components": [{"name": name, "rate": rate} for name, rate in tax.components],
        }
    if flow.payer == OTHERS:
        shown["signed"] = True
    return shown


def _ends(line: Line) -> tuple[str, str]:
    """Payer and payee as the sign of the amount has it."""
    return (line.payee, line.payer) if line.amount < 0 else (line.payer, line.payee)


def _evidence_of(document: Mapping[str, object]) -> Mapping[str, object]:
    found = document.get("evidence", {})
    return found if isinstance(found, dict) else {}


def _entries(value: object) -> list[Document]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _by_key(value: object, name: Callable[[Document], str]) -> dict[str, Decimal]:
    totals: dict[str, Decimal] = {}
    for entry in _entries(value):
        key = name(entry)
        totals[key] = EXACT.add(totals.get(key, Decimal(0)), _money(entry.get("amount")))
    return totals


def _flow_key(entry: Document) -> str:
    party = entry.get("party")
    return f"{party.get('era') if isinstance(party, dict) else party}: {entry.get('description', '')}"


def _posting_key(entry: Document) -> str:
    return f"{entry.get('term')} from {entry.get('from')} to {entry.get('to')}"


def _money(value: object) -> Decimal:
    return Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else Decimal("NaN")


def _texts(value: object) -> Any:
    if isinstance(value, dict):
        return {key: _texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_texts(item) for item in value]
    return f"{value:f}" if isinstance(value, Decimal) else value
