"""The text a person reads when a run ends: the numbers of ``results.metrics``, set in type."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np

from results.metrics import (
    Energy,
    Header,
    Money,
    Parted,
    Summary,
    Transformer,
    Vehicles,
    Voltages,
    share,
    summarise,
)
from results.text import duration, short

__all__ = ["Summary", "render", "summarise"]

Row = TypeVar("Row")

WIDTH = 100
"""Columns of the text."""
LABEL = 11
"""Columns of a block's name."""
ROWS = 5
"""Nodes that a table of the text shows before it counts the rest."""
LIST_LINES = 3
"""Lines that a list of the text may take."""
_FITS = 1e4
"""Numbers from here on are written with a power of ten, where a column has no room for them."""


def render(summary: Summary) -> str:
    """The summary as aligned text: at most 45 lines of 100 columns, without a newline at the end."""
    blocks = (
        ("energy", _energy_lines(summary.energy)),
        ("prices", _price_lines(summary) if summary.header.policy else ()),
        ("wires", _transformer_lines(summary.transformers)),
        ("physics", _physics_lines(summary)),
        ("vehicles", _vehicle_lines(summary.vehicles)),
        ("voltage", _voltage_lines(summary.voltages)),
        (f"money {summary.header.currency}", _money_lines(summary.money, cleared=bool(summary.header.policy))),
        ("messages", _message_lines(summary)),
        ("time", _time_lines(summary.seconds)),
    )
    lines = list(_header_lines(summary.header))
    for title, block in blocks:
        labels = itertools.chain([title], itertools.repeat(""))
        lines += [f"{label:<{LABEL}}{line}" for label, line in zip(labels, block, strict=False)]
    return "\n".join(lines)


def _header_lines(header: Header) -> Iterator[str]:
    market = f"policy {header.policy}" if header.policy else "no market"
    yield short(f"{header.name}: {market}, seed {header.seed}", WIDTH)
    yield f"{header.intervals} intervals of {header.interval_min:g} min from {header.start} {header.time_zone}"
    notes = {
        "without a power flow": header.unsolved,
        "cleared by the fallback policy": header.fallbacks,
        "not certified": header.uncertified,
    }
    if any(notes.values()):
        yield "intervals " + " · ".join(f"{what}: {count}" for what, count in notes.items() if count)
    if header.stops:
        yield from textwrap.wrap(f"policy stopped in {header.stops}, first {header.stopped}", WIDTH)


def _energy_lines(energy: Energy) -> Iterator[str]:
    fed_kwh = sum(energy.injected_kwh.values()) + energy.imported_kwh
    yield (
        f"imported {energy.imported_kwh:,.1f} kWh · exported {energy.exported_kwh:,.1f} kWh · "
        f"losses {energy.losses_kwh:,.1f} kWh ({_percent(share(energy.losses_kwh, fed_kwh))} of all supply)"
    )
    yield from _listed("withdrawn  ", _quantities(energy.withdrawn_kwh, ",.1f"), "kWh")
    yield from _listed("injected   ", _quantities(energy.injected_kwh, ",.1f"), "kWh")
    if energy.pv_available_kwh:
        yield (
            f"solar: {energy.pv_curtailed_kwh:,.1f} of {energy.pv_available_kwh:,.1f} kWh curtailed · "
            f"self-consumption {_percent(energy.self_consumption)} · autarky {_percent(energy.autarky)}"
        )
    missing = {"cut that no curve had offered": energy.shed_kwh, "without supply": energy.unserved_kwh}
    told = [f"{kwh:,.1f} kWh {how}" for how, kwh in missing.items() if kwh >= 0.05]  # less would be told as 0.0
    if told:
        yield "demand: " + " · ".join(told)


def _price_lines(summary: Summary) -> Iterator[str]:
    priced = [price for price in summary.prices if not np.isnan(price.mean)]
    if not priced:
        yield "none: this policy publishes no prices"
        return
    unit = f"{summary.header.currency}/kWh"
    yield f"{unit:<28}{'lowest':>10}{'mean':>10}{'highest':>10}{'lowest adder':>15}{'highest adder':>15}"
    shown = _shown(priced, lambda price: max(-price.adder_lowest, price.adder_highest))
    for price in shown:
        yield (
            f"{short(price.node, 27):<28}{price.lowest:>10.4f} {price.mean:>9.4f} {price.highest:>9.4f}"
            f" {_signed(price.adder_lowest):>14} {_signed(price.adder_highest):>14}"
        )
    rest = f" · and {len(priced) - len(shown)} nodes with smaller adders" if len(shown) < len(priced) else ""
    yield f"prices part for {_parted(summary.parted)}{rest}"


def _parted(parted: Parted) -> str:
    """How long, and why where it is not for the nodes alone."""
    reasons = {"between nodes": parted.nodes_h, "by bounds": parted.bounds_h, "within them alone": parted.within_h}
    why = ", ".join(f"{reason} for {duration(hours)}" for reason, hours in reasons.items() if hours)
    return duration(parted.hours) + (f": {why}" if parted.bounds_h or parted.within_h else "")


def _transformer_lines(transformers: Sequence[Transformer]) -> Iterator[str]:
    if not transformers:
        yield "no transformer is watched"
        return
    heads = (("kW, peak of limit", "<20"), ("import", ">13"), ("export", ">13"), ("loading", ">9"))
    yield "".join(f"{head:{width}}" for head, width in (*heads, ("over, in/out", ">20"), ("bound fwd/rev", ">14")))
    shown = _shown(transformers, lambda transformer: transformer.loading_max)
    yield from map(_transformer_line, shown)
    if len(shown) < len(transformers):
        yield f"and {len(transformers) - len(shown)} transformers with less load"


def _transformer_line(item: Transformer) -> str:
    over_kwh = item.over_import_kwh + item.over_export_kwh
    over = f"{item.over_import_min:.0f}/{item.over_export_min:.0f} min {over_kwh:.1f} kWh"
    return (
        f"{short(item.node, 19):<20}{_of(item.peak_import_kw, item.rated_import_kw):>13}"
        f" {_of(item.peak_export_kw, item.rated_export_kw):>12} {_percent(item.loading_max):>8}"
        f" {over:>19} {f'{item.binding_forward}/{item.binding_reverse}':>13}"
    )


def _physics_lines(summary: Summary) -> Iterator[str]:
    physics = summary.physics
    gaps = {item.node: item.market_gap_kw for item in summary.transformers if not np.isnan(item.market_gap_kw)}
    if gaps:
        node = max(gaps, key=lambda name: gaps[name])
        again = f"intervals cleared again: {physics.repeated} (fallback {physics.repeated_fallbacks})"
        yield f"market and wires up to {gaps[node]:.1f} kW apart ({short(node, 12)}) · {again}"
    compared = (
        f"compared with the reference {physics.compared} times: at most {physics.reference_gap_pu:.1e} pu apart"
        if physics.compared
        else "never compared with the reference"
    )
    is_solved = not np.isnan(physics.residual_max_w)
    residual = f"largest residual {physics.residual_max_w:.3f} W" if is_solved else "no interval had a power flow"
    yield f"{residual} · {compared}"


def _vehicle_lines(vehicles: Vehicles) -> Iterator[str]:
    if not vehicles.sessions:
        yield "no sessions"
        return
    yield (
        f"{vehicles.sessions} sessions, {vehicles.finished} finished · served {vehicles.served_kwh:,.1f} of "
        f"{vehicles.need_kwh:,.1f} kWh · unserved {vehicles.unserved_kwh:,.1f} kWh in {vehicles.missed}"
    )
    if vehicles.underway_kwh:
        yield f"{vehicles.underway_kwh:,.1f} kWh so far for those that leave after the run"


def _voltage_lines(voltages: Voltages) -> Iterator[str]:
    low, high = voltages.band_pu
    if not voltages.lowest.bus:
        yield "none: no interval has a power flow"
        return
    ends = (("lowest", voltages.lowest), ("highest", voltages.highest))
    yield " · ".join(f"{what} {end.v_pu:.3f} pu at {short(end.bus, 16)}, {end.moment}" for what, end in ends)
    yield f"{voltages.outside_bus_min:,.0f} bus-minutes outside {low:g} to {high:g} pu"


def _money_lines(money: Money, *, cleared: bool) -> Iterator[str]:
    if money.held:
        yield f"{money.held} intervals are billed to nobody: no valid readings came in time"
    if not money.postings:
        yield "no postings"
        return
    nets = [f"{account.kind} ({account.parties}) {account.net:+,.2f}" for account in money.accounts]
    yield from _listed("net        ", nets)
    turnover = [f"{term} {amount:,.2f}" for (term, _), amount in money.turnover.items()]
    yield from _listed("by term    ", turnover)
    sums = ", ".join(f"{net:.2f} {currency}" for currency, net in money.net.items())
    rent = f" · congestion rent of the clearings {_cents(money.rent)}" if cleared else ""
    yield f"{money.postings:,} postings sum to {sums}{rent}"
    if money.unsettled:
        yield f"{money.unsettled} contracts are not settled: disputed, held, or before the arbitrator"


def _message_lines(summary: Summary) -> Iterator[str]:
    delivered, refused = sum(summary.messages.values()), sum(summary.refused.values())
    if refused:
        yield from _listed(f"{delivered:,} delivered, {refused:,} refused: ", _quantities(summary.refused, ",d"))
    else:
        yield f"{delivered:,} delivered, none refused"
    yield from _listed("", _quantities(summary.messages, ",d"))


def _time_lines(seconds: Mapping[str, float]) -> Iterator[str]:
    total_s = sum(seconds.values())
    parts = sorted(seconds.items(), key=lambda part: -part[1])
    shares = [f"{part} {part_s:,.1f} ({_percent(share(part_s, total_s))})" for part, part_s in parts]
    yield from _listed(f"{total_s:,.1f} s: ", shares)


def _shown(rows: Sequence[Row], weight: Callable[[Row], float]) -> list[Row]:
    """The heaviest rows, in their own order."""
    heaviest = sorted(range(len(rows)), key=lambda i: (-np.nan_to_num(weight(rows[i]), nan=-np.inf), i))[:ROWS]
    return [rows[i] for i in sorted(heaviest)]


def _listed(title: str, items: Sequence[str], unit: str = "") -> list[str]:
    """Items on as many lines as they need, broken between items and indented under the first; at most ``LIST_LINES``."""
    text = "\xa0· ".join(item.replace(" ", "\xa0") for item in items) + (f"\xa0{unit}" if items and unit else "")
    lines = textwrap.wrap(
        title.replace(" ", "\xa0") + (text or "none"),
        WIDTH - LABEL,
        subsequent_indent="\xa0" * len(title),
        break_on_hyphens=False,
        max_lines=LIST_LINES,
        placeholder=" …",
    )
    return [line.replace("\xa0", " ") for line in lines]


def _quantities(values: Mapping[str, float], form: str) -> list[str]:
    return [f"{name} {value:{form}}" for name, value in values.items()]


def _percent(share: float) -> str:
    if np.isnan(share):
        return "–"
    return f"{100 * share:.1f} %" if share < _FITS else f"{100 * share:.0e} %"


def _of(value: float, whole: float) -> str:
    return _kw(value) + (f"/{_kw(whole)}" if np.isfinite(whole) else "")


def _kw(value: float) -> str:
    """One decimal; two digits and a power of ten for what that would hide or what would not fit."""
    return f"{value:.1f}" if value == 0 or 0.05 <= value < 10 * _FITS else f"{value:.2g}"


def _signed(value: float) -> str:
    """Four decimals with a sign; what rounds to zero has a plus."""
    return f"{round(value, 4) + 0.0:+.4f}"


def _cents(value: float) -> str:
    """Two decimals; what rounds to zero has no sign."""
    return f"{round(value, 2) + 0.0:,.2f}"
