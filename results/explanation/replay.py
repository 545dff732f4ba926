"""Living through the money of a run again: every contract, its cycles and accounts, and which posting follows from which.

The terms that members were told, their awards and their readings are those of ``results.bills``; what the market and the grid
operator settle among themselves is put together by ``results.explanation.offices``.  Nothing is believed that does not come to
the very postings of the ledger.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import msgspec

from results.bills import ONCE, Carrier, Evidence, gather, is_deal, signals_of
from results.explanation.model import Account, Cycle, Entry, Posted, Source, Told
from results.explanation.offices import Office, office_of
from results.run import Record, Run
from sim.contracts.contract import Contract, Term, lines
from sim.contracts.fingerprints import snapshot
from sim.errors import ContractError
from sim.journal import EVENT_LINE
from sim.ledger import EXACT, Posting, minor_unit, rounded

_Key = tuple[str, str, str]


@dataclass(slots=True)
class _Running:
    """An account while it is lived through."""

    term: Term
    payer: str
    payee: str
    total: Decimal = Decimal(0)
    posted: Decimal = Decimal(0)
    entries: list[Entry] = field(default_factory=list)
    postings: list[Posted] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Step:
    """A cycle that is computed, the number of an earlier one that it replaces, and whether what is due is posted then."""

    cycle: Cycle
    replaces: int | None = None
    posts: bool = True


class _Unlike(Exception):
    """The postings are not those that follow."""


def contracts(run: Run) -> Mapping[str, Told]:
    """Every contract of a run by its id, in the order of the events that made them, then of those that have none."""
    evidence, events = gather(run), _events(run)
    posted: dict[str, list[int]] = {}
    for number, posting in enumerate(run.ledger):
        posted.setdefault(posting.contract, []).append(number)
    ids = dict.fromkeys((*events, *evidence.contracts, *posted))
    return {
        contract_id: _told(run, evidence, contract_id, tuple(events.get(contract_id, ())), posted.get(contract_id, []))
        for contract_id in ids
    }


def _events(run: Run) -> dict[str, list[Record]]:
    """The events of each contract."""
    decode = msgspec.json.Decoder(Record).decode
    found: dict[str, list[Record]] = {}
    for line in run.journal_lines():
        if line.startswith(EVENT_LINE):
            event = decode(line)["event"]
            found.setdefault(event["contractId"], []).append(event)
    return found


def _told(run: Run, evidence: Evidence, contract_id: str, events: tuple[Record, ...], numbers: Sequence[int]) -> Told:
    carrier = evidence.carriers.get(("terms", contract_id, ONCE))
    office = None if contract_id in evidence.contracts else office_of(run, evidence, contract_id, events)
    if contract_id in evidence.contracts:
        contract = evidence.contracts[contract_id][1]
        deal = is_deal(evidence, contract_id)
        steps = list(_deal_steps(evidence, contract) if deal else _steps(run, evidence, contract))
    elif office is not None and office.contract is not None:
        contract, steps = office.contract, [_Step(cycle) for cycle in office.cycles]
    else:
        contract, steps = _bare(run, contract_id, events), []
    steps = list(_with_events(steps, events))
    cycles = tuple(step.cycle for step in steps)
    known = Told(contract, carrier, cycles, None, events, tuple(numbers))
    if why := _doubt(office, cycles, contract_id in evidence.contracts):
        return replace(known, cycles=(), why=why)
    try:
        return replace(known, accounts=_accounts(run, contract, steps, numbers))
    except (_Unlike, ContractError) as error:
        return replace(known, cycles=(), why=f"what the journal tells comes to other amounts: {error}")


def _doubt(office: Office | None, cycles: Sequence[Cycle], told: bool) -> str:
    """Why the inputs of a contract are not believed to be those that it was computed from; empty where they are."""
    if told:
        return ""
    if office is None or office.contract is None:
        return "its terms did not travel in any message"
    if not office.cycles or not all(cycle.proven for cycle in cycles):
        return "its inputs did not travel in any message; their hash is in its events"
    return ""


def _bare(run: Run, contract_id: str, events: Sequence[Record]) -> Contract:
    """As much of a contract as its first event tells."""
    facts: Mapping[str, Any] = events[0]["data"] if events else {}
    roles = {role["role"]: role["filledBy"] for role in facts.get("roles", ())}
    inputs = {given["name"]: Decimal(given["value"]) for given in facts.get("inputs", ())}
    return Contract(contract_id, facts.get("templateId", ""), run.manifest["currency"], roles, (), inputs)


def _steps(run: Run, evidence: Evidence, contract: Contract) -> Iterator[_Step]:
    """The intervals of a contract that follows from awards and readings."""
    party = evidence.contracts[contract.id][0]
    retailer = next((key for key, (era, _) in evidence.contracts.items() if run.kinds.get(era) == "retailer"), "")
    for interval, values in signals_of(run, evidence, party, contract.id):
        found = {
            "curve": evidence.carriers.get(("curve", contract.id, interval)),
            "award": evidence.carriers.get(("award", contract.id, interval)),
            "reading": evidence.carriers.get(("reading", party, interval)),
            "tariff": evidence.carriers.get(("curve", retailer, interval)),
            "bill": evidence.carriers.get(("bill", contract.id, interval)),
        }
        carriers = {what: carrier for what, carrier in found.items() if carrier is not None}
        yield _Step(Cycle(interval, values, _sources(party in evidence.meters, carriers), carriers))


def _sources(metered: bool, carriers: Mapping[str, Carrier]) -> dict[str, Source]:
    award, reading, tariff = (carriers.get(what) for what in ("award", "reading", "tariff"))
    energy = Source("reading" if reading else "no reading: nothing flowed", reading)
    cleared = Source("award" if award else "no award: nothing was cleared", award)
    retail = Source("retailer's tariff", tariff)
    return {
        "energyKWh": energy if metered else Source("as awarded: there is no meter", award),
        "clearedKWh": cleared,
        "pricePerKWh": cleared,
        "importPricePerKWh": retail,
        "exportPricePerKWh": retail,
    }


def _deal_steps(evidence: Evidence, contract: Contract) -> Iterator[_Step]:
    """The intervals of a deal, whose taker is told the signals; those of one that is told again replace the first."""
    last: dict[int, int] = {}
    party = evidence.contracts[contract.id][0]
    for number, (interval, values, settled, carrier) in enumerate(evidence.cycles.get(contract.id, ())):
        sources = dict.fromkeys(values, Source("told with the interval", carrier))
        carriers = {"bill" if settled else "signals": carrier}
        if reading := evidence.carriers.get(("reading", party, interval)):
            carriers["reading"] = reading
        yield _Step(Cycle(interval, values, sources, carriers), last.get(interval), settled)
        last[interval] = number


def _with_events(steps: Sequence[_Step], events: Sequence[Record]) -> Iterator[_Step]:
    """Each step with the event that says that it was computed."""
    computed: dict[str, deque[Record]] = {}
    for event in events:
        if event["eventType"] == "SETTLEMENT_COMPUTED" and "digest" not in event["data"]:
            computed.setdefault(event["data"]["cycle"], deque()).append(event)
    for step in steps:
        there = computed.get(str(step.cycle.interval))
        said = there.popleft() if there else None
        proven = said is not None and said["data"]["snapshot"] == snapshot(step.cycle.values)
        yield replace(step, cycle=replace(step.cycle, event=said, proven=proven))


def _accounts(run: Run, contract: Contract, steps: Sequence[_Step], numbers: Sequence[int]) -> tuple[Account, ...]:
    """The accounts of a contract.  Raises ``_Unlike`` where they do not come to the postings of these numbers."""
    due: dict[Posting, deque[int]] = {}
    for number in numbers:
        due.setdefault(run.ledger[number], deque()).append(number)
    running: dict[_Key, _Running] = {}
    terms = {term.name: term for term in contract.terms}
    for index, step in enumerate(steps):
        if step.replaces is not None:
            _accrue(running, terms, contract, steps[step.replaces].cycle, step.replaces, back=True)
        _accrue(running, terms, contract, step.cycle, index)
        if step.posts:
            _post(running, contract, step.cycle.interval, index, due)
    left = [numbers for numbers in due.values() if numbers]
    if left:
        raise _Unlike(f"posting {left[0][0]} does not follow from it")
    return tuple(
        Account(one.term, one.payer, one.payee, tuple(one.entries), tuple(one.postings)) for one in running.values()
    )


def _accrue(
    running: dict[_Key, _Running],
    terms: Mapping[str, Term],
    contract: Contract,
    cycle: Cycle,
    index: int,
    back: bool = False,
) -> None:
    for line in lines(contract, cycle.values):
        key = (line.term, line.payer, line.payee)
        account = running.get(key)
        if account is None:
            account = running[key] = _Running(terms[line.term], line.payer, line.payee)
        exact = -line.exact if back else line.exact
        account.total = EXACT.add(account.total, exact)
        if exact:
            account.entries.append(Entry(index, exact, back))


def _post(
    running: Mapping[_Key, _Running], contract: Contract, interval: int, index: int, due: Mapping[Posting, deque[int]]
) -> None:
    unit = minor_unit(contract.currency)
    for account in running.values():
        now = rounded(account.total, unit)
        amount = EXACT.subtract(now, account.posted)
        if not amount:
            continue
        account.posted = now
        ends = (account.payee, account.payer) if amount < 0 else (account.payer, account.payee)
        posting = Posting(interval, contract.id, account.term.name, *ends, abs(amount), contract.currency)
        numbers = due.get(posting)
        if not numbers:
            raise _Unlike(
                f"{posting.amount} from {posting.payer} to {posting.payee} in interval {interval} is not posted"
            )
        account.postings.append(Posted(numbers.popleft(), len(account.entries), index))
