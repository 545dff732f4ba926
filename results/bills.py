"""Computing the money of a run again, from what its messages say: contracts, awards and readings.

``recomputed`` does it for every member, ``case_of`` gives one member's contract and signals to whoever would rather compute it
elsewhere: they are what ``degsim settle`` reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, NamedTuple

from results.run import Record, Run
from sim.contracts.contract import Contract, Settlement, Term, lines, settle
from sim.contracts.formula import compile_formula
from sim.contracts.templates import party_signals
from sim.errors import RunError, nearest
from sim.ledger import Posting
from sim.wire.messages import is_callback

INTERVAL = "interval"
"""The signal of a deal's contract: what its terms are computed from, interval by interval."""


ONCE = -1
"""In the place of an interval: what a contract is told once."""


class Carrier(NamedTuple):
    """A message of the journal by its number, and what a reader wants to know of it.  t_s: its simulated second."""

    seq: int
    t_s: int
    sender: str
    receiver: str
    action: str


class Cycle(NamedTuple):
    """An interval of a deal, as its taker was told it.  settled: whether what was due by then was posted with it."""

    interval: int
    signals: Mapping[str, Decimal]
    settled: bool
    carrier: Carrier


@dataclass(slots=True)
class Evidence:
    """What the journal tells, by contract or meter and interval.

    read: by host, the intervals of which it was sent valid readings in time, in that order: those it settles.
    cut_off: meters without supply; what was agreed with them could not happen.
    cycles: of deals, which are told the signals themselves.
    hosts: who offered a contract, and settles it.  parties: who has been told one; what a meter read before then is not of it.
    until: of contracts that were ended early, the first interval that they no longer cover.
    counted: of meters that are nobody's, such as that of the supply, kWh withdrawn less injected.
    locked: kWh (+ injected) that a market had locked on a meter.  unheard: awards that did not arrive, by addressee.
    carriers: the message that told ``terms``, ``curve``, ``award`` or ``bill`` of a contract, or a ``reading`` of a meter, a
    ``lock`` or a ``count``; ``ONCE`` for terms.
    """

    contracts: dict[str, tuple[str, Contract]] = field(default_factory=dict)
    terms: dict[str, Record] = field(default_factory=dict)
    retail_prices: dict[int, tuple[float, float]] = field(default_factory=dict)
    awards: dict[tuple[str, int], tuple[float, float | None]] = field(default_factory=dict)
    readings: dict[tuple[str, int], int] = field(default_factory=dict)
    meters: set[str] = field(default_factory=set)
    read: dict[str, dict[int, None]] = field(default_factory=dict)
    cut_off: set[tuple[str, int]] = field(default_factory=set)
    cycles: dict[str, list[Cycle]] = field(default_factory=dict)
    hosts: dict[str, str] = field(default_factory=dict)
    parties: set[str] = field(default_factory=set)
    until: dict[str, int] = field(default_factory=dict)
    counted: dict[tuple[str, int], Decimal] = field(default_factory=dict)
    locked: dict[tuple[str, int], float] = field(default_factory=dict)
    unheard: set[tuple[str, int]] = field(default_factory=set)
    carriers: dict[tuple[str, str, int], Carrier] = field(default_factory=dict)


def recomputed(run: Run) -> Iterator[tuple[str, tuple[Posting, ...]]]:
    """Every contract whose terms a member was told, with the postings that follow from them.

    The formulas are those that travelled, evaluated on the readings that meters sent and the awards that were received.
    """
    evidence = gather(run)
    for party, contract in evidence.contracts.values():
        if is_deal(evidence, contract.id):
            yield contract.id, _told(contract, evidence.cycles.get(contract.id, ()))
            continue
        settlement = Settlement()
        postings: list[Posting] = []
        for interval, signals in signals_of(run, evidence, party, contract.id):
            postings += settle(settlement, contract, interval, signals)
        yield contract.id, tuple(postings)


def contracts_told(run: Run) -> tuple[Contract, ...]:
    """Every contract whose terms a member was told."""
    return tuple(contract for _, contract in gather(run).contracts.values())


def is_deal(evidence: Evidence, contract_id: str) -> bool:
    """Whether a contract is told its signals by interval, and does not follow from awards and readings."""
    declared = evidence.terms[contract_id].get("inputSignals", ())
    return any(signal["signalId"] == INTERVAL for signal in declared)


def _told(contract: Contract, cycles: Sequence[Cycle]) -> tuple[Posting, ...]:
    """What a deal comes to by the signals that its taker was told; those of an interval that were told again hold instead."""
    settlement = Settlement()
    postings: list[Posting] = []
    known: dict[int, Mapping[str, Decimal]] = {}
    for interval, signals, settled, _ in cycles:
        if interval in known:
            settlement.accrue(contract, (replace(line, exact=-line.exact) for line in lines(contract, known[interval])))
        known[interval] = signals
        settlement.accrue(contract, lines(contract, signals))
        postings += settlement.post(interval, contract) if settled else ()
    return tuple(postings)


def case_of(run: Run, era: str) -> tuple[Record, Record]:
    """The first of ``cases_of``."""
    return cases_of(run, era)[0]


def cases_of(run: Run, era: str) -> tuple[tuple[Record, Record], ...]:
    """The contracts that somebody was told, each with its signals by interval, as ``sim.contracts.settle`` reads them.

    Of somebody who only offers, all that it is a party to.  Raises ``RunError`` for somebody who has none.
    """
    evidence = gather(run)
    mine = [contract_id for contract_id, (party, _) in evidence.contracts.items() if party == era]
    mine = mine or [key for key, (_, contract) in evidence.contracts.items() if era in contract.roles.values()]
    if not mine:
        known = {party for party, _ in evidence.contracts.values()}
        raise RunError(str(run.path), f"{era} was told no contract; {nearest(era, known)}")
    return tuple(_case(run, evidence, contract_id) for contract_id in mine)


def _case(run: Run, evidence: Evidence, contract_id: str) -> tuple[Record, Record]:
    contract = {"contractId": contract_id, "currency": run.manifest["currency"], **evidence.terms[contract_id]}
    if is_deal(evidence, contract_id):
        cycles = evidence.cycles.get(contract_id, ())
        signals = {INTERVAL: [{"start": _start(run, k), "quality": "ACTUAL", **values} for k, values, _, _ in cycles]}
        return _decimals(contract), signals
    rows = list(signals_of(run, evidence, evidence.contracts[contract_id][0], contract_id))
    fields = {
        "meter": ("energyKWh",),
        "award": ("clearedKWh", "pricePerKWh"),
        "tariff": ("importPricePerKWh", "exportPricePerKWh"),
    }
    signals = {
        source: [
            {"start": _start(run, interval), "quality": "ACTUAL", **{name: values[name] for name in names}}
            for interval, values in rows
        ]
        for source, names in fields.items()
    }
    return _decimals(contract), signals


def signals_of(
    run: Run, evidence: Evidence, party: str, contract_id: str
) -> Iterator[tuple[int, Mapping[str, Decimal]]]:
    """What one contract was computed from, by interval, in the order in which its host could settle them."""
    for interval in evidence.read.get(evidence.hosts[contract_id], ()):
        if interval >= evidence.until.get(contract_id, run.manifest["count"]):
            continue
        retail_prices = evidence.retail_prices[interval]
        agreed = (party, interval) not in evidence.cut_off
        cleared_kw, price = evidence.awards.get((contract_id, interval), (None, None)) if agreed else (None, None)
        energy_wh = evidence.readings.get((party, interval), 0) if party in evidence.meters else None
        yield interval, party_signals(energy_wh, cleared_kw, price, retail_prices, run.hours)


def _start(run: Run, interval: int) -> str:
    return run.calendar.timestamp(interval * run.calendar.interval_s)


def _decimals(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _decimals(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_decimals(item) for item in value]
    return Decimal(repr(value)) if isinstance(value, float) else value


def gather(run: Run) -> Evidence:
    """Read the journal once for all that its messages tell of contracts, awards and readings."""
    rows = run.intervals.to_dict("records")
    found = Evidence(retail_prices={row["interval"]: (row["import_price"], row["export_price"]) for row in rows})
    for record in run.message_records():
        body = record["body"]
        if record["ack"] != "ACK":
            _not_heard(found, run, record)
            continue
        context, contract = body["context"], body["message"].get("contract", {})
        attributes = contract.get("contractAttributes", {})
        carrier = _carrier(record, context)
        match context["action"]:
            case "on_init" if "revenueFlows" in attributes:
                found.contracts[contract["id"]] = (context["bapId"], _contract(contract["id"], attributes, run))
                found.terms[contract["id"]] = attributes
                found.hosts[contract["id"]] = context["bppId"]
                found.parties.add(context["bapId"])
                found.carriers["terms", contract["id"], ONCE] = carrier
            case "confirm" if "timeWindow" in attributes:
                _offered(found, run, carrier, contract)
            case "on_confirm" if "inputSignals" in attributes:
                signal = attributes["inputSignals"][0]
                interval = _interval(run, attributes["timeWindow"])
                found.awards[contract["id"], interval] = (signal["clearedPowerKW"], signal.get("price"))
                found.carriers["award", contract["id"], interval] = carrier
            case "on_cancel" if "timeWindow" in attributes:
                end_s = run.calendar.seconds(attributes["timeWindow"]["end"])
                found.until[contract["id"]] = end_s // run.calendar.interval_s
            case "on_status" | "on_update" if "inputSignals" in attributes:
                signals = {s["signalId"]: Decimal(repr(float(s["value"]))) for s in attributes["inputSignals"]}
                interval, settled = _interval(run, attributes["timeWindow"]), bool(contract.get("settlements"))
                found.cycles.setdefault(contract["id"], []).append(Cycle(interval, signals, settled, carrier))
            case "on_update" if "settlements" in contract:
                _billed(found, carrier, contract)
            case "on_status" if context["bppId"] in run.kinds and run.kinds[context["bppId"]] == "meter":
                _read(found, run, carrier, contract)
    return found


def _carrier(record: Record, context: Record) -> Carrier:
    caller, answerer = context["bapId"], context["bppId"]
    ends = (answerer, caller) if is_callback(record["action"]) else (caller, answerer)
    return Carrier(record["seq"], record["t"], *ends, record["action"])


def _not_heard(found: Evidence, run: Run, record: Record) -> None:
    """Note an award that was refused: what nobody was told binds nobody."""
    body = record["body"]
    if record["action"] != "on_confirm" or not isinstance(body, dict):
        return
    attributes = body.get("message", {}).get("contract", {}).get("contractAttributes", {})
    if "inputSignals" in attributes and "timeWindow" in attributes:
        found.unheard.add((body["context"]["bapId"], _interval(run, attributes["timeWindow"])))


def _offered(found: Evidence, run: Run, carrier: Carrier, contract: Record) -> None:
    """Note the curve that a contract offers for an interval, or the energy that a market has locked for it."""
    attributes = contract["contractAttributes"]
    interval = _interval(run, attributes["timeWindow"])
    if any("offerCurve" in role.get("roleInputs", {}) for role in attributes.get("roles", ())):
        found.carriers["curve", contract["id"], interval] = carrier
        return
    for commitment in contract["commitments"]:
        for resource in commitment["resources"]:
            quantity = resource.get("quantity", {})
            if quantity.get("unitCode") == "KWH":
                found.locked[resource["id"], interval] = quantity["value"]
                found.carriers["lock", resource["id"], interval] = carrier


def _billed(found: Evidence, carrier: Carrier, contract: Record) -> None:
    for settlement in contract["settlements"]:
        cycle = settlement.get("settlementAttributes", {}).get("cycleId", "")
        if cycle.isdecimal():
            found.carriers["bill", contract["id"], int(cycle)] = carrier


def _contract(contract_id: str, attributes: Record, run: Run) -> Contract:
    terms = tuple(
        Term(flow["name"], flow["from"], flow["to"], compile_formula(flow["formula"], who=flow["name"]))
        for flow in attributes["revenueFlows"]["flows"]
    )
    stated = attributes["inputParameters"]
    given: Mapping[str, float] = stated.get("constants", stated)
    inputs = {name: Decimal(repr(float(value))) for name, value in given.items()}
    roles = {role["role"]: role["filledBy"] for role in attributes["roles"]}
    return Contract(contract_id, attributes["templateId"], run.manifest["currency"], roles, terms, inputs)


def _read(found: Evidence, run: Run, carrier: Carrier, contract: Record) -> None:
    """Readings as a meter's owner was told them, or a host where they did not reach their owner in time."""
    deliveries = [performance["performanceAttributes"] for performance in contract.get("performance", ())]
    if any(delivery["meterReadings"][0]["quality"] != "ACTUAL" for delivery in deliveries):
        return
    recipient = carrier.receiver
    for delivery in deliveries:
        reading, meter = delivery["meterReadings"][0], delivery["meterId"]
        interval = _interval(run, reading["timeWindow"])
        found.read.setdefault(recipient, {})[interval] = None
        if meter not in run.kinds:
            energy_kwh = Decimal(repr(reading["consumedEnergy"])) - Decimal(repr(reading["producedEnergy"]))
            found.counted[meter, interval] = energy_kwh
            found.carriers["count", meter, interval] = carrier
        told = (meter, interval) in found.readings or (meter, interval) in found.cut_off
        if meter not in found.parties or (told and meter != recipient):
            continue
        found.carriers["reading", meter, interval] = carrier
        if delivery["deliveryStatus"] == "FAILED":
            found.cut_off.add((meter, interval))
            continue
        found.meters.add(meter)
        energy_kwh = reading["producedEnergy"] - reading["consumedEnergy"]
        found.readings[meter, interval] = round(energy_kwh * 1000)


def _interval(run: Run, window: Record) -> int:
    return run.calendar.seconds(window["start"]) // run.calendar.interval_s
