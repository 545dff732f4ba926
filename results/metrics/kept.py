"""What is kept of a run when many are compared (``results.observation``): its metrics, its parties and its truth."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import pandas as pd

from results.metrics import money
from results.metrics.metric import Metric
from results.metrics.table import METRICS
from results.run import Run


def measure(run: Run, metrics: Iterable[str | Metric]) -> dict[str, float]:
    """Numbers about a run by name of the metric.  Raises ``KeyError`` for a name that is not in ``METRICS``."""
    chosen = (METRICS[metric] if isinstance(metric, str) else metric for metric in metrics)
    return {metric.name: float(metric.measure(run)) for metric in chosen}


def parties(run: Run) -> pd.DataFrame:
    """Who ends with what, as ``results.observation.PARTIES`` says: connection points, then everybody else with an account."""
    places = money.sites(run)
    net = money.net_by_party(run)
    short = run.sessions["unserved_kwh"].groupby(run.sessions["era"].map(places)).sum()
    unserved_kwh = np.array([float(short.get(party, 0.0)) for party in net])
    sites = set(places.values())
    return pd.DataFrame(
        {
            "party": list(net),
            "kind": ["site" if party in sites else run.kinds.get(party, party) for party in net],
            "net": [float(amount) for amount in net.values()],
            "unserved_kwh": unserved_kwh,
            "lacked": unserved_kwh * float((run.manifest["scenario"].get("market") or {}).get("price_cap", 0.0)),
        }
    )


def truth(run: Run) -> str:
    """Digest of what no policy can influence: the calendar, the sun over every roof, and the cars' comings, goings and needs.

    Numbers count to six decimals, so that machines whose libraries round differently agree.
    """
    calendar = (run.manifest["start"], run.manifest["intervalS"], run.manifest["count"])
    roofs = [era for era, kind in run.kinds.items() if kind == "solar"]
    sun = run.setpoints.loc[run.setpoints["era"].isin(roofs), ["era", "interval", "available_kw"]]
    stays = run.sessions[["era", "arrival_s", "departure_s", "need_kwh"]]
    digest = hashlib.sha256(repr(calendar).encode())
    for rows in (sun.sort_values(["era", "interval"]), stays.sort_values(["era", "arrival_s"])):
        for name, column in rows.items():
            digest.update(f"\x1f{name}\x1f{len(column)}\x1f".encode())
            digest.update("\x1f".join(column).encode() if name == "era" else _told(column))
    return digest.hexdigest()[:32]


def _told(column: pd.Series[float]) -> bytes:
    """Numbers in the same bytes everywhere; zero has no sign."""
    return (np.round(column.to_numpy(dtype="<f8"), 6) + 0.0).tobytes()
