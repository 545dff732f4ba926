"""What the market and the grid operator settle with each other and the retailer: contracts that nobody applies for.

Their terms are templates that the software ships, known again by the hash in the event that made the contract; their inputs
follow from messages about other things: a clearing, a count, a lock.  Whether they are the very ones that were used, the hash
in the event of each interval tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from results.bills import Carrier, Evidence
from results.explanation.model import Cycle, Source
from results.once import once
from results.run import Record, Run
from sim import curves
from sim.contracts import templates
from sim.contracts.contract import Contract, Role
from sim.contracts.fingerprints import terms_hash
from sim.errors import CurveError
from sim.wire.messages import is_callback

SUPPLY, SITES = "supply", "sites"
"""Meters of the feeder as a whole: what came from upstream, and the sum of all participants'."""


@dataclass(frozen=True, slots=True)
class Office:
    """A contract between offices.  contract: None where its terms are none of the shipped ones."""

    contract: Contract | None
    cycles: tuple[Cycle, ...]


def office_of(run: Run, evidence: Evidence, contract_id: str, events: Sequence[Record]) -> Office:
    """The contract that these events tell of, with as many of its cycles as can be put together."""
    facts = events[0]["data"] if events else {}
    template = next((each for each in _TEMPLATES if terms_hash(each.terms) == facts.get("terms")), None)
    if template is None:
        return Office(None, ())
    roles = {role["role"]: role["filledBy"] for role in facts["roles"]}
    inputs = {given["name"]: Decimal(given["value"]) for given in facts["inputs"]}
    contract = Contract(contract_id, template.id, facts["currency"], roles, template.terms, inputs)
    of = _CYCLES.get(template.id)
    intervals = [
        int(event["data"]["cycle"])
        for event in events
        if event["eventType"] == "SETTLEMENT_COMPUTED" and event["data"]["cycle"].isdecimal()
    ]
    return Office(contract, () if of is None else tuple(of(run, evidence, contract, intervals)))


_TEMPLATES = (
    templates.congestion_rent(),
    templates.portfolio_balance(),
    templates.offset_uplift(),
    templates.losses_and_imbalance("clearedKWh"),
    templates.losses_and_imbalance("meteredKWh"),
)


def _losses(run: Run, evidence: Evidence, contract: Contract, intervals: Sequence[int]) -> Iterator[Cycle]:
    """What came in from upstream, and what the retailer was paid for."""
    supplier = contract.roles[Role.SELLER]
    for interval in intervals:
        if (SUPPLY, interval) not in evidence.counted or (SITES, interval) not in evidence.counted:
            continue
        count, lock = (
            evidence.carriers.get(key) for key in (("count", SUPPLY, interval), ("lock", supplier, interval))
        )
        prices = evidence.retail_prices[interval]
        values = {
            "supplyKWh": evidence.counted[SUPPLY, interval],
            "meteredKWh": evidence.counted[SITES, interval],
            "clearedKWh": Decimal(f"{evidence.locked.get((supplier, interval), 0.0):.6f}"),
            "importPricePerKWh": Decimal(repr(prices[0])),
            "exportPricePerKWh": Decimal(repr(prices[1])),
        }
        counted, retail = Source("count of the feeder", count), Source("retailer's tariff")
        sources = {
            "supplyKWh": counted,
            "meteredKWh": counted,
            "clearedKWh": Source("energy locked for the retailer" if lock else "nothing was locked", lock),
            "importPricePerKWh": retail,
            "exportPricePerKWh": retail,
        }
        carriers = {what: carrier for what, carrier in (("reading", count), ("lock", lock)) if carrier is not None}
        yield Cycle(interval, values, sources, carriers)


def _rent(run: Run, evidence: Evidence, contract: Contract, intervals: Sequence[int]) -> Iterator[Cycle]:
    """What the participants of a clearing pay in more than they get, apart by where it comes from."""
    answers = _answers(run)
    losses = dict(zip(run.intervals["interval"], run.intervals["loss_surplus"], strict=True))
    for interval in intervals:
        if interval not in run.clearings:
            continue
        result = run.clearings[interval][1]["message"]["aggregationResult"]
        cut_off = {era for era, k in (*evidence.cut_off, *evidence.unheard) if k == interval}
        left = -_receipts(result["setpoints"], set())
        amounts = {
            "rent": left * run.hours - losses[interval],
            "lossSurplus": losses[interval],
            "undelivered": (-_receipts(result["setpoints"], cut_off) - left) * run.hours,
        }
        values = {name: Decimal(f"{amount:.6f}") for name, amount in amounts.items()}
        carrier = answers.get(interval, ())[-1:]
        source = Source("what the clearing leaves over", *carrier)
        yield Cycle(interval, values, dict.fromkeys(values, source), dict(zip(["clearing"], carrier, strict=False)))


def _receipts(setpoints: Sequence[Record], cut_off: set[str]) -> float:
    """What participants get at their prices [currency/h], without those that nothing was settled with."""
    return sum((one.get("price") or 0.0) * (0.0 if one["era"] in cut_off else one["setpointKW"]) for one in setpoints)


def _uplift(run: Run, evidence: Evidence, contract: Contract, intervals: Sequence[int]) -> Iterator[Cycle]:
    """By how much the last clearing of an interval has moved somebody from the first, and what that costs at its own curve."""
    era, answers = contract.roles[Role.PROSUMER], _answers(run)
    for interval in intervals:
        if interval not in run.exchanges:
            continue
        (ask, before), (_, last) = run.exchanges[interval][0], run.exchanges[interval][-1]
        was, after = (_setpoint(result, era) for result in (before, last))
        offers = ask["message"]["aggregationRequest"]["participants"]
        curve = next((one["offerCurve"]["curve"] for one in offers if one["era"] == era), None)
        if was is None or after is None or curve is None:
            continue
        offset_kw = after["setpointKW"] - was["setpointKW"]
        values = {
            "offsetKWh": Decimal(f"{abs(offset_kw) * run.hours:.6f}"),
            "upliftPerKWh": Decimal(f"{_uplift_per_kwh(curve, era, offset_kw, after):.9f}"),
        }
        carrier = answers.get(interval, ())
        sources = {
            "offsetKWh": Source("set-point with the command less the one without it", *carrier[-1:]),
            "upliftPerKWh": Source("distance of the price from its own curve", *carrier[:1]),
        }
        yield Cycle(interval, values, sources, dict(zip(["clearing"], carrier[-1:], strict=False)))


def _uplift_per_kwh(curve: Sequence[Record], era: str, offset_kw: float, after: Record) -> float:
    """The price less the marginal cost of who is held back, that less the price of who is made to run; ≥ 0."""
    price = after.get("price")
    if price is None:
        return 0.0
    try:
        own = curves.clear(
            curves.OfferCurve.of([(p["price"], p["powerKW"]) for p in curve], who=era), after["setpointKW"]
        )
    except CurveError:
        return 0.0
    beyond = price - own.price_hi if offset_kw < 0 else own.price_lo - price
    return max(beyond, 0.0) if np.isfinite(beyond) else 0.0


def _setpoint(answer: Record, era: str) -> Record | None:
    setpoints = answer["message"]["aggregationResult"]["setpoints"]
    return next((one for one in setpoints if one["era"] == era), None)


@once
def _answers(run: Run) -> Mapping[int, tuple[Carrier, ...]]:
    """The messages that told the clearings of each interval."""
    asked: dict[str, int] = {}
    found: dict[int, tuple[Carrier, ...]] = {}
    for record in run.message_records():
        if record["action"] not in ("aggregate", "on_aggregate") or record["ack"] != "ACK":
            continue
        context = record["body"]["context"]
        if not is_callback(record["action"]):
            start = record["body"]["message"]["aggregationRequest"]["timeWindow"]["start"]
            asked[context["messageId"]] = run.calendar.seconds(start) // run.calendar.interval_s
        elif context["messageId"] in asked:
            carrier = Carrier(record["seq"], record["t"], context["bppId"], context["bapId"], record["action"])
            interval = asked[context["messageId"]]
            found[interval] = (*found.get(interval, ()), carrier)
    return found


_CYCLES: Mapping[str, Callable[[Run, Evidence, Contract, Sequence[int]], Iterator[Cycle]]] = {
    templates.congestion_rent().id: _rent,
    templates.offset_uplift().id: _uplift,
    templates.losses_and_imbalance("clearedKWh").id: _losses,
    templates.losses_and_imbalance("meteredKWh").id: _losses,
}
"""By template: how the inputs of its cycles are put together."""
