"""Who owes whom and why: balances, contracts with what became of them, and every amount with all that it follows from.

What an amount follows from is not written out here for each: a page holds cycles, entries and postings as columns, and its
script puts together the one that somebody asks about, with exact decimals.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from results.explanation import Account, Cycle, Told, contracts
from results.explanation.facts import CARRIED, phase_of, plain, unit_of
from results.report.archive import integers
from results.run import Record, Run
from sim.ledger import EXACT, Posting, balances, minor_unit, net_by_currency

MOST_POSTINGS = 30_000
"""Postings whose cycles a page carries; of contracts beyond them it has the amounts alone."""
ABSENT = -1
"""Stands for no message."""


def data(run: Run) -> dict[str, Any] | None:
    """Everything of the money of a run as columns; None where there are no contracts."""
    told = list(contracts(run).values())
    if not told:
        return None
    parties = _Numbers(run.kinds)
    for posting in run.ledger:
        parties.number(posting.payer)
        parties.number(posting.payee)
    terms = _Numbers()
    carried = 0
    shown = []
    for one in told:
        carried += len(one.postings)
        shown.append(_contract(one, parties, whole=carried <= MOST_POSTINGS))
    ids = {one.contract.id: number for number, one in enumerate(told)}
    return {
        "currency": run.manifest["currency"],
        "unit": plain(minor_unit(run.manifest["currency"])),
        "carried": CARRIED,
        "contracts": shown,
        "postings": _postings(run.ledger, ids, parties, terms),
        "balances": _balances(run, parties),
        "terms": list(terms),
        "parties": list(parties),
    }


class _Numbers:
    """Names by number, in the order in which they are first met."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._numbers: dict[str, int] = {name: number for number, name in enumerate(names)}

    def __iter__(self) -> Any:
        return iter(self._numbers)

    def number(self, name: str) -> int:
        """The number of a name, a new one where it has none."""
        return self._numbers.setdefault(name, len(self._numbers))


def _postings(postings: Sequence[Posting], ids: Mapping[str, int], parties: _Numbers, terms: _Numbers) -> Record:
    return {
        "count": len(postings),
        "interval": integers([p.interval for p in postings]),
        "contract": integers([ids[p.contract] for p in postings]),
        "term": integers([terms.number(p.term) for p in postings]),
        "payer": integers([parties.number(p.payer) for p in postings]),
        "payee": integers([parties.number(p.payee) for p in postings]),
        "amount": [plain(p.amount.quantize(minor_unit(p.currency))) for p in postings],
    }


def _balances(run: Run, parties: _Numbers) -> Record:
    """What each party has paid and received in the run's currency, what is left, and the sum of that over all of them."""
    currency = run.manifest["currency"]
    unit, due = minor_unit(currency), balances(run.ledger)
    paid: dict[str, Decimal] = {}
    received: dict[str, Decimal] = {}
    for posting in (posting for posting in run.ledger if posting.currency == currency):
        for totals, era in ((paid, posting.payer), (received, posting.payee)):
            totals[era] = EXACT.add(totals.get(era, Decimal(0)), posting.amount)
    zero = Decimal(0)
    return {
        "rows": [
            {
                "party": era,
                "kind": run.kinds.get(era, ""),
                "paid": plain(paid.get(era, zero).quantize(unit)),
                "received": plain(received.get(era, zero).quantize(unit)),
                "net": plain(due.get((era, currency), zero).quantize(unit)),
            }
            for era in parties
            if era in paid or era in received
        ],
        "sum": plain(net_by_currency(due).get(currency, zero).quantize(unit)),
    }


def _contract(told: Told, parties: _Numbers, *, whole: bool) -> Record:
    contract = told.contract
    computed = sum(event["eventType"] == "SETTLEMENT_COMPUTED" for event in told.events)
    facts: Record = {
        "id": contract.id,
        "template": contract.template_id,
        "status": str(phase_of(told.events)),
        "roles": dict(contract.roles),
        "inputs": [[name, plain(value), unit_of(name, contract.currency)] for name, value in contract.inputs.items()],
        "terms": [[t.name, t.payer, t.payee, t.formula.text, list(t.formula.names)] for t in contract.terms],
        "toldBy": ABSENT if told.terms is None else told.terms.seq,
        "computed": computed,
        "events": [_event(event) for event in told.events if event["eventType"] != "SETTLEMENT_COMPUTED"],
        "postings": integers(told.postings) if told.postings else [],
        "count": len(told.postings),
        "why": told.why,
    }
    if told.accounts is None:
        return facts
    if not whole:
        return {
            **facts,
            "why": "this page has no room for what its amounts follow from; degsim explain RUN NUMBER tells it",
        }
    used = sorted({entry.cycle for a in told.accounts for entry in a.entries} | _posted(told.accounts))
    place = {cycle: number for number, cycle in enumerate(used)}
    return {
        **facts,
        "cycles": _cycles([told.cycles[cycle] for cycle in used], contract.currency),
        "accounts": [
            _account(account, contract.terms.index(account.term), parties, place) for account in told.accounts
        ],
    }


def _posted(accounts: Sequence[Account]) -> set[int]:
    return {posted.cycle for account in accounts for posted in account.postings}


def _event(event: Record) -> list[str]:
    """Number, type, time, actor and what it says, short."""
    said = event["data"]
    notes = [
        f"{name} {said[name]}" for name in ("reason", "turn", "cycle", "cycles", "quoted", "policies") if name in said
    ]
    return [event["eventId"], event["eventType"], event["timestamp"], event["actor"]["era"], ", ".join(notes)]


def _cycles(cycles: Sequence[Cycle], currency: str) -> Record:
    names = dict.fromkeys(name for cycle in cycles for name in cycle.values)
    kinds = dict.fromkeys(kind for cycle in cycles for kind in cycle.carriers)
    return {
        "count": len(cycles),
        "interval": integers([cycle.interval for cycle in cycles]),
        "values": {
            name: {
                "unit": unit_of(name, currency),
                "value": _same([plain(c.values[name]) if name in c.values else None for c in cycles]),
                "source": _same([c.sources[name].what if name in c.sources else "" for c in cycles]),
                "message": integers([_seq(c.sources[name].carrier) if name in c.sources else ABSENT for c in cycles]),
            }
            for name in names
        },
        "carriers": {kind: integers([_seq(cycle.carriers.get(kind)) for cycle in cycles]) for kind in kinds},
        "event": integers([ABSENT if c.event is None else int(c.event["eventId"]) for c in cycles]),
        "proven": integers([int(cycle.proven) for cycle in cycles]),
    }


def _account(account: Account, term: int, parties: _Numbers, place: Mapping[int, int]) -> Record:
    return {
        "term": term,
        "payer": parties.number(account.payer),
        "payee": parties.number(account.payee),
        "cycle": integers([place[entry.cycle] for entry in account.entries]),
        "exact": [plain(entry.exact) for entry in account.entries],
        "back": [k for k, entry in enumerate(account.entries) if entry.back],
        "number": integers([posted.number for posted in account.postings]),
        "entries": integers([posted.entries for posted in account.postings]),
        "with": integers([place[posted.cycle] for posted in account.postings]),
        "count": len(account.postings),
    }


def _seq(carrier: Any) -> int:
    return ABSENT if carrier is None else int(carrier.seq)


def _same(values: Sequence[str | None]) -> Any:
    """One text where all are the same, otherwise all of them."""
    return values[0] if values and all(value == values[0] for value in values) else list(values)
