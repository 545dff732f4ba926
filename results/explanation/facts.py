"""An explanation as plain data: what ``degsim explain --json`` writes, and what pages and texts are made of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from results.bills import Carrier
from results.explanation.model import Amount, Cycle, Entry, Told
from results.run import Record, Run
from sim.clock import Calendar
from sim.contracts.formula import Formula
from sim.contracts.units import parse_unit, unit_of_name
from sim.errors import ContractError
from sim.events import LIFE, EventType, Phase
from sim.ledger import Posting, minor_unit

CARRIED = {
    "terms": "told the terms",
    "curve": "offered the curve",
    "award": "told price and quantity",
    "lock": "locked the energy",
    "clearing": "told the clearing",
    "reading": "told the reading",
    "tariff": "told the retailer's prices",
    "signals": "told the signals",
    "bill": "told what it came to",
}
"""What a message did for an amount, by what it carried."""


def posting_facts(run: Run, amount: Amount) -> Record:
    """How one posting came about."""
    told, term, currency = amount.told, amount.account.term, amount.posting.currency
    return {
        **_posting(run.calendar, amount.number, amount.posting),
        "contract": contract_facts(run, told),
        "payerOfTerm": {"role": term.payer, "era": amount.account.payer},
        "payeeOfTerm": {"role": term.payee, "era": amount.account.payee},
        "formula": term.formula.text,
        "computed": [_entry(run.calendar, told, term.formula, entry, currency) for entry in amount.entries],
        "rounding": {
            "exactSum": plain(amount.total),
            "unit": plain(minor_unit(currency)),
            "rounded": plain(amount.rounded),
            "postedBefore": plain(amount.before),
            "due": plain(amount.due),
        },
        "messages": [carrier_facts(run.calendar, what, one) for what, one in carriers_of(amount)],
        "events": [_event(event) for event in _events_of(amount)],
    }


def unexplained_facts(run: Run, told: Told, number: int) -> Record:
    """What is known of a posting whose inputs the journal does not tell."""
    posting = run.ledger[number]
    cycle = str(posting.interval)
    events = [event for event in told.events if event["data"].get("cycle", cycle) == cycle]
    return {
        **_posting(run.calendar, number, posting),
        "contract": contract_facts(run, told),
        "why": told.why,
        "events": [_event(event) for event in events],
    }


def contract_facts(run: Run, told: Told) -> Record:
    """Who agreed on what, and how far it came."""
    contract = told.contract
    return {
        "id": contract.id,
        "template": contract.template_id,
        "status": str(phase_of(told.events)),
        "roles": dict(contract.roles),
        "inputs": [_given(name, value, contract.currency) for name, value in contract.inputs.items()],
        "terms": [
            {"name": term.name, "from": term.payer, "to": term.payee, "formula": term.formula.text}
            for term in contract.terms
        ],
        "toldBy": None if told.terms is None else carrier_facts(run.calendar, "terms", told.terms),
    }


def phase_of(events: Sequence[Record]) -> Phase:
    """Where a contract is after these events; NONE without any."""
    phase = Phase.NONE
    for event in events:
        phase = LIFE[phase].get(EventType(event["eventType"]), phase)
    return phase


def carriers_of(amount: Amount) -> list[tuple[str, Carrier]]:
    """The messages that an amount came about by, each once, in their order, with what they carried."""
    found: dict[int, tuple[str, Carrier]] = {}
    if amount.told.terms is not None:
        found[amount.told.terms.seq] = "terms", amount.told.terms
    used = set(amount.account.term.formula.names)
    for entry in amount.entries:
        cycle = amount.told.cycles[entry.cycle]
        said = {source.what for source in cycle.sources.values()}
        needed = {source.carrier.seq for name, source in cycle.sources.items() if name in used and source.carrier}
        for what, carrier in cycle.carriers.items():
            if carrier.seq in needed or what == "curve" or (what == "reading" and "reading" not in said):
                found.setdefault(carrier.seq, (what, carrier))
    bill = amount.cycle.carriers.get("bill")
    if bill is not None:
        found.setdefault(bill.seq, ("bill", bill))
    return [found[seq] for seq in sorted(found)]


def _events_of(amount: Amount) -> list[Record]:
    """The events of the cycles that an amount is of, and of the one it was posted with, each once."""
    cycles = [*(amount.told.cycles[entry.cycle] for entry in amount.entries if not entry.back), amount.cycle]
    found = {cycle.event["eventId"]: cycle.event for cycle in cycles if cycle.event is not None}
    return list(found.values())


def carrier_facts(calendar: Calendar, what: str, carrier: Carrier) -> Record:
    """A message, and what it carried."""
    return {
        "seq": carrier.seq,
        "time": calendar.local(carrier.t_s).isoformat(),
        "sender": carrier.sender,
        "receiver": carrier.receiver,
        "action": carrier.action,
        "carried": CARRIED[what],
    }


def filled(formula: Formula, values: Mapping[str, Decimal]) -> str:
    """The text of a formula with values in the place of names; those below zero in brackets."""
    names = sorted((name for name in formula.names if name in values), key=len, reverse=True)
    if not names:
        return formula.text
    pattern = rf"(?<![\w.\]])(?:{'|'.join(map(re.escape, names))})(?![\w.\[(])"
    return re.sub(pattern, lambda match: _bracketed(values[match.group()]), formula.text)


def plain(value: Decimal) -> str:
    """A number without exponent."""
    return f"{value:f}"


def _bracketed(value: Decimal) -> str:
    return f"({plain(value)})" if value.is_signed() else plain(value)


def _posting(calendar: Calendar, number: int, posting: Posting) -> Record:
    interval = calendar.interval(posting.interval)
    return {
        "posting": number,
        "interval": posting.interval,
        "start": calendar.timestamp(interval.start_s),
        "end": calendar.timestamp(interval.end_s),
        "term": posting.term,
        "payer": posting.payer,
        "payee": posting.payee,
        "amount": plain(posting.amount.quantize(minor_unit(posting.currency))),
        "currency": posting.currency,
    }


def _entry(calendar: Calendar, told: Told, formula: Formula, entry: Entry, currency: str) -> Record:
    cycle = told.cycles[entry.cycle]
    values = {**told.contract.inputs, **cycle.values}
    return {
        "interval": cycle.interval,
        "start": calendar.timestamp(calendar.interval(cycle.interval).start_s),
        "takenBack": entry.back,
        "withValues": filled(formula, values),
        "exact": plain(entry.exact),
        "inputs": [_input(told, cycle, name, values[name], currency) for name in formula.names if name in values],
        "inputsHash": None if cycle.event is None else cycle.event["data"]["snapshot"],
        "hashIsOfTheseInputs": cycle.proven,
    }


def _input(told: Told, cycle: Cycle, name: str, value: Decimal, currency: str) -> Record:
    source = cycle.sources.get(name)
    if source is None:
        carrier = told.terms
        what = "agreed with the contract"
    else:
        carrier, what = source.carrier, source.what
    return {**_given(name, value, currency), "source": what, "message": None if carrier is None else carrier.seq}


def _given(name: str, value: Decimal, currency: str) -> Record:
    return {"name": name, "value": plain(value), "unit": unit_of(name, currency)}


def unit_of(name: str, currency: str) -> str:
    """The unit that a name says; empty where it says none."""
    try:
        unit = unit_of_name(name, currency)
    except ContractError:
        return ""
    if unit is None:
        return ""
    return "min" if unit == parse_unit("min") else str(unit)


def _event(event: Record) -> Record:
    return {
        "eventId": event["eventId"],
        "seq": event["seq"],
        "type": event["eventType"],
        "time": event["timestamp"],
        "actor": event["actor"],
        "data": event["data"],
        "hash": event["hash"],
    }
