"""Which sums moved: energy, prices and money over the intervals that both runs have, and the metrics of the whole runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pandas as pd

from results.difference.documents import near
from results.difference.model import Number, Total
from results.difference.pair import Pair
from results.metrics import METRICS, measure
from results.run import Run
from results.text import unit_in
from sim.errors import DegsimError
from sim.ledger import total_of

Sums = Mapping[tuple[str, str], Number]
"""Values by name and unit."""

ENERGY, PRICES, MONEY, PARTIES, MESSAGES, MEASURES = (
    "energy by kind",
    "mean price by node",
    "net by kind",
    "net by party",
    "messages",
    "metrics",
)


def moved(pair: Pair) -> Iterator[Total]:
    """Every total that is not the same in both, group after group; of parties those first whose account moved most."""
    for group, (ours, theirs) in _groups(pair):
        found = [
            Total(group, name, unit, ours.get((name, unit)), theirs.get((name, unit)))
            for name, unit in dict.fromkeys((*ours, *theirs))
        ]
        apart = [total for total in found if not _same(total, pair.tolerance)]
        yield from sorted(apart, key=_size, reverse=True) if group == PARTIES else apart
    yield from _metrics(pair)


def _groups(pair: Pair) -> Iterator[tuple[str, tuple[Sums, Sums]]]:
    if pair.has_intervals_in_common:
        yield ENERGY, _of_both(pair, "setpoints", _energy)
        yield PRICES, _of_both(pair, "prices", _prices)
        yield MONEY, _of_both(pair, "postings", _by_kind)
        yield PARTIES, _of_both(pair, "postings", _by_party)
    yield MESSAGES, (_messages(pair.one), _messages(pair.two))


def _of_both(pair: Pair, table: str, fold: Any) -> tuple[Sums, Sums]:
    ours, theirs = pair.common(table)
    return fold(pair.one, ours), fold(pair.two, theirs)


def _energy(run: Run, rows: pd.DataFrame) -> Sums:
    """Metered energy of those with a connection: an aggregator's row repeats what its members' meters count."""
    connected = run.participants[run.participants["bus"] != ""]
    metered = rows.merge(connected[["era", "kind"]], on="era")
    found: dict[tuple[str, str], Number] = {}
    for kind, column in metered.groupby("kind", sort=True)["energy_wh"]:
        for what, part in (("injected", column[column > 0].sum()), ("withdrawn", -column[column < 0].sum())):
            if part:
                found[f"{kind} {what}", "kWh"] = float(part) / 1000
    return found


def _prices(run: Run, rows: pd.DataFrame) -> Sums:
    means = rows.groupby("node", sort=False)["price_per_kwh"].mean()
    unit = f"{run.manifest['currency']}/kWh"
    return {(str(node), unit): float(mean) for node, mean in means.items() if not math.isnan(mean)}


def _by_party(run: Run, rows: pd.DataFrame) -> Sums:
    """Received less paid; exact."""
    signed: dict[tuple[str, str], list[Decimal]] = {}
    sums = rows.groupby(["payer", "payee", "currency"], sort=False)["amount"].sum().reset_index()
    for payer, payee, currency, amount in sums.itertuples(index=False, name=None):
        signed.setdefault((payer, currency), []).append(-amount)
        signed.setdefault((payee, currency), []).append(amount)
    return {key: total_of(amounts) for key, amounts in signed.items()}


def _by_kind(run: Run, rows: pd.DataFrame) -> Sums:
    found: dict[tuple[str, str], list[Decimal]] = {}
    for (era, currency), amount in _by_party(run, rows).items():
        if isinstance(amount, Decimal):
            found.setdefault((run.kinds.get(era, era), currency), []).append(amount)
    return {key: total_of(amounts) for key, amounts in found.items()}


def _messages(run: Run) -> Sums:
    found: dict[tuple[str, str], Number] = {}
    for action, counts in run.manifest.get("messages", {}).items():
        found[action, "accepted"] = float(counts["ack"])
        if counts["nack"]:
            found[action, "refused"] = float(counts["nack"])
    return found


def _metrics(pair: Pair) -> Iterator[Total]:
    """Those of ``results.metrics`` that another run of the same scenario would repeat exactly."""
    names = [name for name, metric in METRICS.items() if metric.repeatable]
    units = [[unit_in(METRICS[name].unit, run.manifest["currency"]) for name in names] for run in _both(pair)]
    ours, theirs = (_measured(run, names) for run in _both(pair))
    for name, unit, other in zip(names, *units, strict=True):
        total = Total(
            MEASURES, name, unit if unit == other else f"{unit}, {other}", ours[name], theirs[name], unit == other
        )
        if not _same(total, pair.tolerance):
            yield total


def _both(pair: Pair) -> tuple[Run, Run]:
    return pair.one, pair.two


def _measured(run: Run, names: list[str]) -> dict[str, Number]:
    """A run that never ended lacks what some metrics are made of; these it has not."""
    found: dict[str, Number] = {}
    for name in names:
        try:
            value = measure(run, [name])[name]
        except (DegsimError, LookupError):
            value = math.nan
        found[name] = None if math.isnan(value) else value
    return found


def _same(total: Total, tolerance: float) -> bool:
    one, two = total.one, total.two
    if one is None or two is None:
        return one is two
    return total.comparable and (one == two or near(float(one), float(two), tolerance))


def _size(total: Total) -> float:
    return max(abs(float(total.difference or total.one or total.two or 0)), 0.0)
