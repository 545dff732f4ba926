"""What transformers and lines went through: peaks, and time and power beyond their limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from results.metrics.numbers import beyond, largest, share
from results.once import once
from results.run import Run
from sim import tolerances

IMPORT, EXPORT = "import", "export"


@dataclass(frozen=True, slots=True)
class Transformer:
    """What a transformer went through.  Peaks are positive in both directions; over is time or energy beyond the limit.

    rated: the full limit, without the margin that the market keeps.  A flow counts as over only beyond it by more than
    ``tolerances.LOADING`` of it.  loading: of the nameplate, which is the limit only where the limit's share is 1.
    market_gap_kw: largest distance of the flow on the wires from the one that was cleared; NaN where nothing was.
    """

    node: str
    peak_import_kw: float
    peak_export_kw: float
    rated_import_kw: float
    rated_export_kw: float
    loading_max: float
    over_import_min: float
    over_export_min: float
    over_import_kwh: float
    over_export_kwh: float
    binding_forward: int
    binding_reverse: int
    market_gap_kw: float


@once
def transformers(run: Run) -> tuple[Transformer, ...]:
    """Every transformer that is watched."""
    return tuple(_transformer(node, rows, run.hours) for node, rows in run.nodes.groupby("node", sort=False))


def _transformer(node: object, rows: pd.DataFrame, hours: float) -> Transformer:
    over_import, over_export = over_kw(rows, IMPORT), over_kw(rows, EXPORT)
    return Transformer(
        node=str(node),
        peak_import_kw=max(0.0, peak_kw(rows, IMPORT)),
        peak_export_kw=max(0.0, peak_kw(rows, EXPORT)),
        rated_import_kw=rows["rated_import_kw"].min(),
        rated_export_kw=rows["rated_export_kw"].min(),
        loading_max=largest(rows["loading"]),
        over_import_min=(over_import > 0).sum() * hours * 60,
        over_export_min=(over_export > 0).sum() * hours * 60,
        over_import_kwh=over_import.sum() * hours,
        over_export_kwh=over_export.sum() * hours,
        binding_forward=int((rows["binding"] == "FORWARD").sum()),
        binding_reverse=int((rows["binding"] == "REVERSE").sum()),
        market_gap_kw=gap_kw(rows),
    )


def flow_kw(rows: pd.DataFrame, direction: str) -> pd.Series[float]:
    """Flow on the wires in kW, by row of ``nodes``, + in the direction that is asked for."""
    return rows["wire_lv_kw"] if direction == IMPORT else -rows["wire_lv_kw"]


def over_kw(rows: pd.DataFrame, direction: str) -> pd.Series[float]:
    """Flow beyond the full limit in kW, by row of ``nodes``; 0 up to the tolerance.  direction: ``import`` or ``export``.

    What a power flow may leave unexplained is beyond no limit, not even one of nothing.
    """
    flow = flow_kw(rows, direction)
    return beyond(flow.mask(flow.abs() <= tolerances.BALANCE_KW, 0.0), rows[f"rated_{direction}_kw"])


def peak_kw(rows: pd.DataFrame, direction: str) -> float:
    """Largest flow in a direction, 0 where there was none that way; NaN without any power flow."""
    return largest(flow_kw(rows, direction).clip(lower=0))


def gap_kw(rows: pd.DataFrame) -> float:
    """Largest distance of the flow on the wires from the one that was cleared; NaN where nothing was."""
    return largest((rows["wire_lv_kw"] - rows["market_flow_kw"]).abs())


def limit_shares(run: Run, node: str) -> tuple[float, float]:
    """(import, export) loading of the nameplate that the scenario lets a transformer or line have, without the margin."""
    limits: Mapping[str, Any] = run.manifest["scenario"].get("feeder", {}).get("limits", {})
    lines = {line.get("name") or line["line"]: line for line in limits.get("lines", ())}
    own: Mapping[str, Any] = lines.get(node) or limits.get("transformers", {}).get(node) or {}

    def stated(key: str) -> float:
        value = own.get(key)
        return float(limits.get(key, 1.0) if value is None else value)

    return stated("import_share") * stated("derating"), stated("export_share") * stated("derating")


@once
def apparent(run: Run) -> pd.DataFrame:
    """Apparent power of the power flow against the limit, by row of ``nodes``.

    direction: of the active power.  share: loading that the limit allows in that direction.  over_kva: apparent power at
    the low-voltage side beyond it.  Loading and limit are both shares of the nameplate, so that neither losses nor the
    power factor have to be guessed; of three phases the one with the most current counts.
    """
    rows = run.nodes[["interval", "node", "loading"]].assign(
        direction=np.where(run.nodes["wire_lv_kw"] < 0, EXPORT, IMPORT)
    )
    shares = {
        (node, direction): part
        for node in rows["node"].unique()
        for direction, part in zip((IMPORT, EXPORT), limit_shares(run, node), strict=True)
    }
    rows["share"] = [shares[key] for key in zip(rows["node"], rows["direction"], strict=True)]
    s_kva = pd.Series(np.hypot(run.nodes["wire_lv_kw"], run.nodes["wire_lv_kvar"]))
    return rows.assign(over_kva=beyond(s_kva, s_kva * rows["share"] / rows["loading"]))


def peak_of_all_kw(direction: str) -> Callable[[Run], float]:
    """Metric: the largest flow through any transformer in a direction."""
    return lambda run: peak_kw(run.nodes, direction)


def overload_min(direction: str) -> Callable[[Run], float]:
    """Metric: minutes beyond the limit, of all transformers together."""
    return lambda run: _overload(run, direction, lambda over_kva: (over_kva > 0) * 60.0)


def overload_kvah(direction: str) -> Callable[[Run], float]:
    """Metric: apparent energy beyond the limit, of all transformers together."""
    return lambda run: _overload(run, direction, lambda over_kva: over_kva)


def _overload(run: Run, direction: str, of: Callable[[pd.Series[float]], pd.Series[float]]) -> float:
    rows = apparent(run)
    if not rows["loading"].notna().any():
        return float("nan")
    return float(of(rows.loc[rows["direction"] == direction, "over_kva"]).sum()) * run.hours


def loading_max(run: Run) -> float:
    """Largest loading of a transformer or limited line, of its nameplate."""
    return largest(run.nodes["loading"])


def limit_use_max(run: Run) -> float:
    """Largest loading as a share of what the limit of its direction allows."""
    rows = apparent(run)
    return largest((rows["loading"] / rows["share"]).where(rows["share"] > 0))


def above_rating_min(run: Run) -> float:
    """Minutes above the nameplate, of all transformers and lines together."""
    lines = run.lines.loc[~run.lines["line"].isin(run.nodes["node"]), "loading"]
    loading = pd.concat([run.nodes["loading"], lines])
    if not loading.notna().any():
        return float("nan")
    return float((beyond(loading, 1.0) > 0).sum()) * run.hours * 60


def load_factor(run: Run) -> float:
    """Mean flow over peak flow, both without sign, of the transformer with the greatest peak."""
    flows = run.nodes["wire_lv_kw"].abs().groupby(run.nodes["node"], sort=False).agg(["mean", "max"]).dropna()
    if flows.empty:
        return float("nan")
    busiest = flows.loc[flows["max"].idxmax()]
    return share(float(busiest["mean"]), float(busiest["max"]))


def ramp_kw(run: Run) -> float:
    """Largest change of a transformer's flow from one interval to the next."""
    return largest(run.nodes.groupby("node", sort=False)["wire_lv_kw"].diff().abs())


def reverse_share(run: Run) -> float:
    """Share of the intervals in which an export limit held the clearing."""
    held = run.nodes.loc[run.nodes["binding"] == "REVERSE", "interval"].nunique()
    return share(held, len(run.intervals)) if len(run.nodes) else float("nan")


def physics_gap_kw(run: Run) -> float:
    """Largest distance of a flow on the wires from the one that was cleared."""
    return gap_kw(run.nodes)
