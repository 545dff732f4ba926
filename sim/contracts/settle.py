"""Settle a contract written down as JSON: which money flows, for the signals that were observed.

The contract is read in any of its three readings (``sim.contracts.readings``)::

    {"contractId": "p2p-1", "currency": "USD",
     "roles": [{"role": "BUYER", "filledBy": "ev-1"},
               {"role": "SELLER", "filledBy": "solar-1", "roleInputs": {"pricePerKWh": 0.15}}],
     "telemetrySources": [{"sourceId": "meter-1"}],
     "revenueFlows": {"flows": [{"from": "BUYER", "to": "SELLER",
                                 "formula": "telemetry[\"meter-1\"].energyKWh * SELLER.pricePerKWh"}]}}

and the signals give the fields of every source, once or by interval: ``{"meter-1": {"energyKWh": 10}}``.
``sim.contracts.binding`` says how a formula may spell a quantity.  A contract that declares sources is computed from
these alone; one that declares none may use every signal supplied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from decimal import Decimal

from sim.contracts import ricardian
from sim.contracts.agreement import ABSENT, Agreement, Flow
from sim.contracts.billing import Line, lines, postings, totals_of
from sim.contracts.binding import Bound, bind
from sim.contracts.computation import Computation
from sim.contracts.document import Document, Reader, kind, pointer, read_json, unix_s, write_json
from sim.contracts.readings import billing, read
from sim.contracts.report import Report, evidence, report
from sim.contracts.signals import Observed, Quality, observe
from sim.errors import ContractError, Fault
from sim.ledger import EXACT, Ledger, minor_unit, total_of

__all__ = ["form", "read_json", "settle", "write_json"]

_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")


def form(contract: object, source: str) -> Bound:
    """Read a contract and check all that can be checked before there are signals.

    Raises ``ContractError`` with every fault and its JSON pointer: names nobody can mean, clashes of units, paths that
    find several places, divisions by zero, negative amounts, currencies without a minor unit, hashes that belong to
    something else.
    """
    reader = Reader()
    document = reader.mapping(contract, "")
    agreement = read(reader, document)
    bound = bind(reader, agreement, None, _usual_currency(agreement))
    ricardian.check(reader, document, agreement, bound.currency)
    _refuse(source, reader)
    return bound


def settle(contract: object, signals: object, source: str, previous: object = None) -> Report:
    """Revenue flows, postings and balances of one contract for one set of signals.

    contract, signals: parsed JSON whose fractions are ``Decimal`` (``read_json``).  source: name of the contract, for
    messages.  previous: the report of the run before, from which only differences are posted.  The result, with amounts
    as ``Decimal`` in minor units:

    - ``revenueFlows``: one entry per flow, in order, for the party that receives; ``amount`` >= 0.  A flow whose formula
      is negative is received by its ``from`` party.  ``signalSnapshot`` holds what the formula read.
    - ``postings``: who owes whom; flows of zero are left out.  A flow between two roles of one party moves no money and
      appears in neither list.
    - ``totalAmount``: the sum of the postings.  ``balances``: by ERA, + is received; they sum to zero.
    - ``netZeroVerified``: balances sum to zero over all parties, checked on the rounded amounts.
    - ``run``: 0, or one more than ``previous``.  ``settlementCycles``: what each billing interval posted, where the contract is
      INCREMENTAL.  ``notes``: what a reader should know.  ``evidence``: hashes, formulas, values and readings of every
      line.

    Raises ``ContractError`` with every fault and its JSON pointer; those of the signals begin with ``signals:``.
    Nothing is posted then.
    """
    reader = Reader()
    document = reader.mapping(contract, "")
    agreement = read(reader, document)
    stated = reader.mapping(signals, "signals")
    states = _states_before(reader, agreement, stated)
    told = {name: value for name, value in stated.items() if name not in states}
    observed = observe(reader, told, agreement.sources, agreement.window)
    bound = bind(reader, agreement, observed, _usual_currency(agreement))
    ricardian.check(reader, document, agreement, bound.currency)
    _refuse(source, reader)
    try:
        return _settled(bound, observed, states, document, previous)
    except ContractError as error:
        raise ContractError(source, error.faults) from error


def _settled(
    bound: Bound, observed: Observed, states: Mapping[str, Decimal], document: Document, previous: object
) -> Report:
    with closing(Computation(bound, observed, states)) as computation:
        amounts = computation.to_date()
        cycles = _cycles(bound, observed, computation) if bound.agreement.incremental and observed.count > 1 else []
    final = lines(bound, amounts)
    run, before, earlier_hash = _earlier(previous, bound)
    posted = postings(bound, final, before)
    Ledger().post(posted)
    result = report(bound, amounts, final, posted)
    result["run"] = run
    if cycles:
        result["settlementCycles"] = cycles
    notes = [*bound.notes, *_notes(bound, observed, final)]
    if earlier_hash not in (None, ricardian.machine_hash(document)):
        notes.insert(0, f"the earlier run was of other terms, {earlier_hash}; the difference is posted")
    result["notes"] = notes
    hashes = ricardian.hashes(document, ricardian.text_of(bound.agreement, bound.currency))
    result["evidence"] = {**evidence(bound, amounts, final, observed, hashes["machineReadableHash"]), **hashes}
    return result


def _earlier(previous: object, bound: Bound) -> tuple[int, Mapping[tuple[str, str, str], Decimal], object]:
    """Number of this run, lines and contract hash of the one before, which has to be of the same contract and currency."""
    if previous is None:
        return 0, {}, None
    reader = Reader()
    document = reader.mapping(previous, "previous")
    for key, own in (("contractId", bound.agreement.id), ("currency", bound.currency)):
        if document.get(key) != own:
            reader.add(f"previous:/{key}", f"expected {own}, found {kind(document.get(key, ABSENT))}")
    run = document.get("run", ABSENT)
    if not isinstance(run, int) or isinstance(run, bool) or run < 0:
        reader.add("previous:/run", f"expected the number of a run, found {kind(run)}")
        run = 0
    stated = reader.mapping(document.get("evidence", ABSENT), "previous:/evidence")
    before: dict[tuple[str, str, str], Decimal] = {}
    unit = minor_unit(bound.currency)
    for where, line in reader.objects(stated.get("lines", ABSENT), "previous:/evidence/lines"):
        term, payer, payee = (reader.text(line.get(key), f"{where}/{key}") for key in ("term", "from", "to"))
        amount = reader.number(line.get("amount"), f"{where}/amount", "amount")
        if EXACT.remainder(amount, unit):
            reader.add(f"{where}/amount", f"{amount} is not in whole minor units of {bound.currency} ({unit})")
        before[term, payer, payee] = EXACT.add(before.get((term, payer, payee), Decimal(0)), amount)
    _refuse("previous report", reader)
    return run + 1, before, stated.get("contractHash")


def _cycles(bound: Bound, observed: Observed, computation: Computation) -> list[Report]:
    """What every billing interval posted: what is owed by its end less what had been posted before."""
    cycles: list[Report] = []
    before: Mapping[tuple[str, str, str], Decimal] = {}
    for number, (first, end) in enumerate(_windows(bound.agreement, observed)):
        try:
            now = lines(bound, computation.to_date(end, told=False))
        except ContractError as error:
            what = f"in the cycle that ends with interval {end}"
            faults = tuple(Fault(fault.where, f"{fault.what} {what}", fault.remedy) for fault in error.faults)
            raise ContractError(error.source, faults) from error
        posted = postings(bound, now, before, number)
        before = totals_of(now)
        cycle: Report = {"cycleId": f"{bound.agreement.id}/{number}", "intervals": end - first}
        if observed.starts:
            cycle["start"] = observed.starts[first]
        amounts = [{"from": p.payer, "to": p.payee, "amount": p.amount, "term": p.term} for p in posted]
        cycles.append({**cycle, "status": "COMPUTED", "postings": amounts})
    return cycles


def _windows(agreement: Agreement, observed: Observed) -> Iterator[tuple[int, int]]:
    """First interval and end of every billing interval; one interval each where the contract says nothing else."""
    if agreement.billing_s and observed.starts:
        times = [unix_s(start) for start in observed.starts]
        begun = times[0] if agreement.window is None else unix_s(agreement.window[0])
        numbers = [(at - begun) // agreement.billing_s for at in times]
        firsts = [k for k, number in enumerate(numbers) if k == 0 or number != numbers[k - 1]]
        yield from zip(firsts, [*firsts[1:], observed.count], strict=True)
        return
    step = 1
    refresh = next((source.refresh_s for source in agreement.sources if source.id in observed.series), None)
    if agreement.billing_s:
        if not refresh or agreement.billing_s % refresh:
            what = "cannot be told from readings without a start" if not refresh else f"is no multiple of {refresh} s"
            raise ContractError("/billingInterval", f"{what}; state the start of each reading")
        step = agreement.billing_s // refresh
    for first in range(0, observed.count, step):
        yield first, min(first + step, observed.count)


def _states_before(reader: Reader, agreement: Agreement, signals: Document) -> dict[str, Decimal]:
    """Accumulated states as of the beginning: signals by the id of the state, ``{"value": 48.5}``."""
    found = {}
    for state in agreement.states:
        if state.id in signals:
            place = pointer("signals:", state.id)
            value = signals[state.id]
            value = reader.mapping(value, place).get("value") if isinstance(value, dict) else value
            found[state.id] = reader.number(value, place, state.id)
    return found


def _notes(bound: Bound, observed: Observed, final: Sequence[Line]) -> Iterator[str]:
    """What a reader of the bill should know: guesses, labels that say something else, figures of the document that differ."""
    for quality in (Quality.ESTIMATED, Quality.SUBSTITUTE):
        found = [reading.reference for _, reading in observed.provisional if reading.quality is quality]
        if found:
            more = f" and {len(found) - 3} more" if len(found) > 3 else ""
            yield f"provisional: {quality} {', '.join(found[:3])}{more}; a later version will be trued up"
    yield from _labels(bound, final)
    owed: dict[str, Decimal] = {}
    for line in final:
        payee = line.payer if line.amount < 0 else line.payee
        owed[payee] = EXACT.add(owed.get(payee, Decimal(0)), abs(line.amount))
    stated: dict[str, tuple[str, Decimal]] = {}
    for where, era, amount in bound.agreement.stated:
        first, before = stated.get(era, (where, Decimal(0)))
        stated[era] = (first, EXACT.add(before, amount))
    for era, (where, amount) in stated.items():
        given = owed.get(era, Decimal(0))
        if given != amount:
            yield f"{where}: the document states {amount:f} for {era}; its formulas give {given:f}"


def _labels(bound: Bound, final: Sequence[Line]) -> Iterator[str]:
    """Percentages in descriptions that no amount bears out, of a flow as a whole."""
    flows: dict[str, tuple[Flow, Decimal]] = {}
    for line in final:
        flow = bound.flows[line.position].flow
        flows[flow.name] = (flow, EXACT.add(flows.get(flow.name, (flow, Decimal(0)))[1], abs(line.amount)))
    total = total_of(amount for _, amount in flows.values())
    near = minor_unit(bound.currency) / 2
    for flow, mine in flows.values():
        label = _PERCENT.search(flow.description)
        if label is None or not total or flow.tax is not None:
            continue
        share = Decimal(label[1]) / 100
        bases = (total, total - mine, *(amount for other, amount in flows.values() if other is not flow))
        if not any(abs(base * share - mine) <= near for base in bases):
            first = next(iter(flows.values()))[1]
            yield (
                f"{flow.where}: the label says {label[0]}, the formula gives {mine}; "
                f"{label[0]} of {first} would be {first * share:f}, of the total of {total} {total * share:f}"
            )


def _usual_currency(agreement: Agreement) -> str:
    return billing.USUAL_CURRENCY if agreement.form == billing.FORM else ""


def _refuse(source: str, reader: Reader) -> None:
    if reader.found:
        raise ContractError(source, tuple(reader.found))
