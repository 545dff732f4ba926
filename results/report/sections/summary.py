"""What the run came to, in words and numbers, and what it was made of."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from results.metrics import METRICS, MISSED_KWH, Summary, measure, share
from results.report.sections.audit import report_of
from results.run import Run
from results.summary import render, summarise
from results.text import duration, unit_in
from sim.ledger import total_of

MADE_OF = ("name", "degsim", "format", "seed", "policy", "start", "intervalS", "count", "timeZone", "currency")
PROOFS = ("journalHead", "journalBytes", "contractLog", "lockSha256")

Tile = dict[str, str]
"""A number with its unit under a heading, what it means in a sentence, and the section that tells more."""


def data(run: Run) -> dict[str, Any]:
    """Tiles, tables and the summary as text; then the manifest."""
    summary = summarise(run)
    manifest = run.manifest
    return {
        "currency": summary.header.currency,
        "stopped": "" if run.complete else _stopped(run),
        "description": manifest["scenario"].get("description") or "",
        "tiles": list(_tiles(run, summary)),
        "text": render(summary),
        "metrics": [
            [metric.name, unit_in(metric.unit, manifest["currency"]), number, metric.better, metric.summary]
            for metric, number in zip(METRICS.values(), measure(run, METRICS).values(), strict=True)
        ],
        "transformers": [asdict(item) for item in summary.transformers],
        "prices": [asdict(item) for item in summary.prices if not math.isnan(item.mean)],
        "accounts": [asdict(item) for item in summary.money.accounts],
        "turnover": [[term, currency, amount] for (term, currency), amount in summary.money.turnover.items()],
        "participants": _participants(run),
        "seconds": [[part, seconds] for part, seconds in summary.seconds.items()],
        "manifest": {
            "made": [[key, manifest[key]] for key in MADE_OF if key in manifest],
            "versions": [[name, version] for name, version in manifest.get("versions", {}).items()],
            "proofs": list(_proofs(run)),
            "scenario": manifest["scenario"],
        },
    }


def _stopped(run: Run) -> str:
    return f"This run was stopped after {run.calendar.count:,} of {run.planned:,} intervals; the page shows these."


def _participants(run: Run) -> list[list[Any]]:
    counts = run.participants["kind"].value_counts(sort=False)
    return [[str(kind), int(count)] for kind, count in counts.items()]


def _proofs(run: Run) -> Iterator[list[Any]]:
    for key in PROOFS:
        value = run.manifest.get(key)
        if isinstance(value, dict):
            yield from ([f"{key}.{name}", part] for name, part in value.items())
        elif value is not None:
            yield [key, value]


# --- tiles ------------------------------------------------------------------------------------------------------------


def _tiles(run: Run, summary: Summary) -> Iterator[Tile]:
    yield from _energy_tiles(summary)
    yield from _price_tiles(summary)
    yield from _wire_tiles(summary)
    yield from _vehicle_tiles(summary)
    yield from _money_tiles(run, summary)
    delivered, refused = sum(summary.messages.values()), sum(summary.refused.values())
    yield _tile("Messages", f"{delivered:,}", "", f"{refused:,} refused" if refused else "none refused", "messages")
    yield _audit_tile(run)


def _audit_tile(run: Run) -> Tile:
    report = report_of(run)
    if report is None:
        return _tile("Audit", "not made", "", "only a finished run is audited", "audit")
    said = f"{report.findings:,} findings" if report.findings else "sound"
    return _tile("Audit", said, "", f"{len(report.audits)} invariants, recomputed from the folder", "audit")


def _tile(title: str, value: str, unit: str, says: str, section: str) -> Tile:
    return {"title": title, "value": value, "unit": unit, "says": says, "section": section}


def _energy_tiles(summary: Summary) -> Iterator[Tile]:
    energy = summary.energy
    fed_kwh = sum(energy.injected_kwh.values()) + energy.imported_kwh
    losses = f"losses {energy.losses_kwh:,.1f} kWh ({_percent(share(energy.losses_kwh, fed_kwh))} of all supply)"
    yield _tile(
        "Imported", f"{energy.imported_kwh:,.1f}", "kWh", f"exported {energy.exported_kwh:,.1f} kWh, {losses}", "time"
    )
    if energy.pv_available_kwh:
        curtailed = f"{energy.pv_curtailed_kwh:,.1f} of {energy.pv_available_kwh:,.1f} kWh curtailed"
        yield _tile(
            "Self-consumption",
            _percent(energy.self_consumption),
            "",
            f"of the solar energy; autarky {_percent(energy.autarky)}; {curtailed}",
            "time",
        )


def _price_tiles(summary: Summary) -> Iterator[Tile]:
    priced = [price for price in summary.prices if not math.isnan(price.mean)]
    if not priced:
        return
    low, high = min(price.lowest for price in priced), max(price.highest for price in priced)
    parted = f"prices part for {duration(summary.parted.hours)}" if summary.parted.hours else "one price everywhere"
    yield _tile("Prices", f"{low:.3f} to {high:.3f}", f"{summary.header.currency}/kWh", parted, "time")


def _wire_tiles(summary: Summary) -> Iterator[Tile]:
    known = [item for item in summary.transformers if not math.isnan(item.loading_max)]
    if known:
        top = max(known, key=lambda item: item.loading_max)
        over_min = top.over_import_min + top.over_export_min
        says = f"beyond its limits for {duration(over_min / 60)}" if over_min else "within its limits"
        yield _tile("Peak loading", _percent(top.loading_max), "of the rating", f"{top.node}: {says}", "moment")
    voltages = summary.voltages
    if voltages.lowest.bus:
        low, high = voltages.band_pu
        says = f"{voltages.outside_bus_min:,.0f} bus-minutes outside {low:g} to {high:g} pu"
        yield _tile("Voltage", f"{voltages.lowest.v_pu:.3f} to {voltages.highest.v_pu:.3f}", "pu", says, "moment")


def _vehicle_tiles(summary: Summary) -> Iterator[Tile]:
    vehicles = summary.vehicles
    if vehicles.sessions:
        says = (
            f"{vehicles.served_kwh:,.1f} of {vehicles.need_kwh:,.1f} kWh served in {vehicles.finished} finished sessions; "
            f"{vehicles.missed} left short of more than {MISSED_KWH:g} kWh"
        )
        yield _tile("Vehicles", f"{vehicles.unserved_kwh:,.1f}", "kWh unserved", says, "time")


def _money_tiles(run: Run, summary: Summary) -> Iterator[Tile]:
    money = summary.money
    if money.postings:
        net = ", ".join(f"{amount:.2f} {currency}" for currency, amount in money.net.items())
        unsettled = f"; {money.unsettled} contracts not settled" if money.unsettled else ""
        moved = ", ".join(f"{amount:,.2f} {currency}" for currency, amount in _moved(run).items())
        yield _tile("Money moved", moved, "", f"{money.postings:,} postings, which sum to {net}{unsettled}", "money")


def _moved(run: Run) -> dict[str, Decimal]:
    """The sum of all postings by currency, nothing set off: what whoever passes money on receives counts, and what it pays."""
    found: dict[str, Decimal] = {}
    for posting in run.ledger:
        found[posting.currency] = total_of([posting.amount], found.get(posting.currency, Decimal(0)))
    return found


def _percent(part: float) -> str:
    return "–" if math.isnan(part) else f"{100 * part:.1f} %"
