"""Computing the money of a run again, from what its messages say: contracts, awards and readings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from results.run import Record, Run
from sim.contracts.contract import Contract, Settlement, Term, settle
from sim.contracts.formula import compile_formula
from sim.contracts.templates import party_signals
from sim.ledger import Posting

INPUTS = {
    "wheelingPerKWh": "wheeling_per_kwh",
    "feePerKWh": "fee_per_kwh",
    "penaltyPerKWh": "penalty_per_kwh",
    "taxRate": "tax_rate",
}
"""Wire names of a contract's constants, and the names by which formulas call them."""


@dataclass(slots=True)
class _Evidence:
    """What the journal tells, by contract or meter and interval."""

    contracts: dict[str, tuple[str, Contract]] = field(default_factory=dict)
    awards: dict[tuple[str, int], tuple[float, float | None]] = field(default_factory=dict)
    readings: dict[tuple[str, int], int] = field(default_factory=dict)
    meters: set[str] = field(default_factory=set)
    held: set[int] = field(default_factory=set)


def recomputed(run: Run) -> Iterator[tuple[str, tuple[Posting, ...]]]:
    """Every contract whose terms a member was told, with the postings that follow from them.

    The formulas are those that travelled, evaluated on the readings that meters sent and the awards that were received.
    """
    evidence = _gather(run)
    prices = run.intervals.set_index("interval")[["import_price", "export_price"]]
    by_interval = {int(i): (float(row["import_price"]), float(row["export_price"])) for i, row in prices.iterrows()}  # type: ignore[call-overload]
    for party, contract in evidence.contracts.values():
        settlement = Settlement()
        postings: list[Posting] = []
        for interval, retail_prices in by_interval.items():
            if interval in evidence.held:
                continue
            cleared_kw, price = evidence.awards.get((contract.id, interval), (None, None))
            energy_wh = evidence.readings.get((party, interval), 0) if party in evidence.meters else None
            signals = party_signals(energy_wh, cleared_kw, price, retail_prices, run.hours)
            postings += settle(settlement, contract, interval, signals)
        yield contract.id, tuple(postings)


def _gather(run: Run) -> _Evidence:
    found = _Evidence()
    for record in run.messages():
        if record["ack"] != "ACK":
            continue
        context, contract = record["body"]["context"], record["body"]["message"].get("contract", {})
        attributes = contract.get("contractAttributes", {})
        match context["action"]:
            case "on_init" if "revenueFlows" in attributes:
                found.contracts[contract["id"]] = (context["bapId"], _contract(contract["id"], attributes, run))
            case "on_confirm" if "inputSignals" in attributes:
                signal = attributes["inputSignals"][0]
                interval = _interval(run, attributes["timeWindow"])
                found.awards[contract["id"], interval] = (signal["clearedPowerKW"], signal.get("price"))
            case "on_status":
                _read(found, run, context["bapId"], contract)
    return found


def _contract(contract_id: str, attributes: Record, run: Run) -> Contract:
    terms = tuple(
        Term(flow["name"], flow["from"], flow["to"], compile_formula(flow["formula"], who=flow["name"]))
        for flow in attributes["revenueFlows"]["flows"]
    )
    given: Mapping[str, float] = attributes["inputParameters"]
    inputs = {name: Decimal(repr(float(given[wire]))) for wire, name in INPUTS.items() if wire in given}
    roles = {role["role"]: role["filledBy"] for role in attributes["roles"]}
    return Contract(contract_id, attributes["templateId"], run.manifest["currency"], roles, terms, inputs)


def _read(found: _Evidence, run: Run, recipient: str, contract: Record) -> None:
    """A meter's own reading, as its owner was told it."""
    for performance in contract.get("performance", ()):
        delivery = performance["performanceAttributes"]
        reading = delivery["meterReadings"][0]
        interval = _interval(run, reading["timeWindow"])
        if reading["quality"] != "ACTUAL":
            found.held.add(interval)
        if delivery["meterId"] == recipient:
            found.meters.add(recipient)
            energy_kwh = reading["producedEnergy"] - reading["consumedEnergy"]
            found.readings[recipient, interval] = round(energy_kwh * 1000)


def _interval(run: Run, window: Record) -> int:
    return run.calendar.seconds(window["start"]) // run.calendar.interval_s
