"""The bill: every line with what it was computed from, so that a third party can compute it again.

A report names the contract by its hash, every reading by pointer and version, every formula by its text.  Whoever has
contract and signals gets the same report; ``differences`` says where not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import rfc8785

from sim.contracts.agreement import OTHERS
from sim.contracts.billing import Line
from sim.contracts.binding import Bound
from sim.contracts.computation import Amounts
from sim.contracts.document import Document, pointer
from sim.contracts.ricardian import plain_digits
from sim.contracts.signals import Observed, Reading
from sim.contracts.units import KWH, unit_of_name
from sim.ledger import EXACT, Posting, balances, minor_unit, net_by_currency, total_of

Report = dict[str, object]


def report(bound: Bound, amounts: Amounts, lines: Sequence[Line], postings: Sequence[Posting]) -> Report:
    """What was settled, with amounts as ``Decimal`` in minor units.

    postings: what is posted now: all of it, or the differences from an earlier run.
    """
    nothing = EXACT.multiply(minor_unit(bound.currency), 0)
    by_party = balances(postings)
    paid = (era for posting in postings for era in (posting.payer, posting.payee))
    eras = dict.fromkeys((*(party.era for party in bound.agreement.parties), *paid))
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
        "signalsHash": signals_hash(observed, amounts.states),
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


def signals_hash(observed: Observed, states: Mapping[str, tuple[Decimal, Decimal]]) -> str:
    """``sha256:hex`` over everything that was read, by source and interval, and the states before: however it was written."""
    readings = sorted(
        (
            [source, reading.start, reading.version, str(reading.quality), _told(reading)]
            for source, reading in observed.readings()
        ),
        key=lambda row: row[:2],
    )
    before = {name: plain_digits(value) for name, (value, _) in states.items()}
    return f"sha256:{hashlib.sha256(rfc8785.dumps([readings, before])).hexdigest()}"


def differences(stated: object, computed: object, where: str = "") -> Iterator[str]:
    """Where a report that somebody else made says something else than contract and signals give, by JSON pointer."""
    if isinstance(stated, dict) and isinstance(computed, dict):
        for key in dict.fromkeys((*computed, *stated)):
            place = pointer(where, key)
            if key not in stated:
                yield f"{place}: is missing; it is {_short(computed[key])}"
            elif key not in computed:
                yield f"{place}: is no part of the report"
            else:
                yield from differences(stated[key], computed[key], place)
    elif isinstance(stated, list) and isinstance(computed, list):
        for k, (theirs, ours) in enumerate(zip(stated, computed, strict=False)):
            yield from differences(theirs, ours, f"{where}/{k}")
        if len(stated) != len(computed):
            yield f"{where}: has {len(stated)} entries; it has to have {len(computed)}"
    elif stated != computed or isinstance(stated, bool) is not isinstance(computed, bool):
        yield f"{where or '/'}: is stated as {_short(stated)}; it comes to {_short(computed)}"


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


def _told(reading: Reading) -> Any:
    """The fields of a reading as text, without what the report says of it anyway; equal numbers in one way."""
    return {key: _texts(value) for key, value in reading.fields.items() if key not in ("start", "version", "quality")}


def _texts(value: object) -> Any:
    if isinstance(value, dict):
        return {key: _texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_texts(item) for item in value]
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return plain_digits(Decimal(value))
    return value


def _short(value: object) -> str:
    text = str(value) if not isinstance(value, dict | list) else f"{type(value).__name__} of {len(value)}"
    return text if len(text) <= 60 else text[:57] + "..."
