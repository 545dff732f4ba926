"""The run over time: prices, flows, energy by kind, voltages, charge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from results import metrics
from results.metrics import band_pu
from results.metrics.energy import metered
from results.report.columns import KW, PRICE, SHARE, VOLTAGE, by_interval, column, matrix, rounded
from results.run import Run
from sim import tolerances

NODES = 6
"""Nodes whose prices get a line of their own, as many as can be told apart; of more, those with the largest adders."""

QUANTILES = {"lowest": 0.0, "low": 0.05, "median": 0.5, "high": 0.95, "highest": 1.0}


def data(run: Run) -> dict[str, Any]:
    """Series by interval; what the section ``moment`` holds already is not said twice."""
    return {
        "currency": run.manifest["currency"],
        "hours": run.hours,
        "prices": _prices(run),
        "kinds": _kinds(run),
        "grid": {name: by_interval(run, name, KW) for name in ("slack_kw", "losses_kw", "quantity_kw")},
        "voltages": {"band": band_pu(run), **_fan(run, run.voltages, "v_pu", VOLTAGE)},
        "lines": _fan(run, run.lines, "loading", SHARE),
        "charge": dict(_charge(run)),
        "sessions": _sessions(run),
    }


def _prices(run: Run) -> dict[str, Any]:
    """Nodes with a line of their own, how many have an adder without one, and how long prices parted."""
    size = (
        run.prices["adder_per_kwh"].abs().groupby(run.prices["node"], sort=False).max().drop(run.root, errors="ignore")
    )
    apart = size[size > tolerances.PRICE_PER_KWH].sort_values(ascending=False, kind="stable")
    parted = metrics.parted(run)["any"].reindex(range(run.calendar.count), fill_value=False)
    return {
        "root": run.root,
        "nodes": [str(node) for node in apart.index[:NODES]],
        "more": max(0, len(apart) - NODES),
        "alike": len(size) - len(apart),
        "parted": [int(i) for i in np.flatnonzero(parted)],
        "own": _own(run),
        "retailer": {name: by_interval(run, name, PRICE) for name in ("import_price", "export_price")},
    }


def _own(run: Run) -> dict[str, list[float]]:
    """Lowest and highest price of any participant, by interval, where they differ from their nodes'; else nothing."""
    own = metrics.own_adders(run)
    if not (own["own_per_kwh"].abs() > tolerances.PRICE_PER_KWH).any():
        return {}
    asked = own.merge(run.setpoints[["interval", "era", "price_per_kwh"]], on=["interval", "era"])
    ends = asked.groupby("interval")["price_per_kwh"].agg(["min", "max"]).reindex(range(run.calendar.count))
    return {"low": column(ends["min"], PRICE), "high": column(ends["max"], PRICE)}


def _kinds(run: Run) -> dict[str, Any]:
    """Mean metered power by kind and interval [kW]: what it injected, and what it withdrew."""
    rows = metered(run)
    kw = rows["energy_kwh"] / run.hours
    names = sorted({str(kind) for kind in rows["kind"]})
    sides = {"injected": kw.clip(lower=0), "withdrawn": (-kw).clip(lower=0)}
    return {
        "names": names,
        **{
            side: matrix(
                values.groupby([rows["kind"], rows["interval"]]).sum().rename("kw").reset_index(),
                "kind",
                "kw",
                names,
                run.calendar.count,
                KW,
            )
            for side, values in sides.items()
        },
    }


def _fan(run: Run, rows: pd.DataFrame, name: str, digits: int) -> dict[str, list[float]]:
    """Extremes, the middle nine tenths and the median of a column, by interval."""
    values = rows[np.isfinite(rows[name])].groupby("interval")[name]
    found = values.quantile(list(QUANTILES.values())).unstack().reindex(index=range(run.calendar.count))
    return {label: column(found[share], digits) if share in found else [] for label, share in QUANTILES.items()}


def _charge(run: Run) -> Iterator[tuple[str, dict[str, Any]]]:
    """Charge of the devices of each kind, and how many are there."""
    rows = run.states.assign(kind=run.states["era"].map(run.kinds))
    for kind, part in rows.groupby("kind"):
        there = part["soc"].notna().groupby(part["interval"]).sum().reindex(range(run.calendar.count), fill_value=0)
        yield str(kind), {**_fan(run, part, "soc", SHARE), "there": column(there, 0)}


def _sessions(run: Run) -> dict[str, Any]:
    rows = run.sessions
    hours = rows[["arrival_s", "departure_s"]].to_numpy(dtype=float) / run.calendar.interval_s
    return {
        "era": [str(era) for era in rows["era"]],
        "arrival": rounded(hours[:, 0], 3),
        "departure": rounded(hours[:, 1], 3),
        **{name: column(rows[name], 3) for name in ("need_kwh", "served_kwh", "unserved_kwh")},
        "finished": [bool(value) for value in rows["finished"]],
    }
