"""Where the energy came from and went, in kWh; every number is positive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from results.metrics.numbers import share, total
from results.once import once
from results.run import Run


@dataclass(frozen=True, slots=True)
class Energy:
    """Where the energy came from and went, by kind of participant, in kWh; every number is positive.

    shed_kwh: withdrawals that the market had to cut although their curves offered no price for it.  unserved_kwh: demand
    at buses without supply.
    self_consumption: share of the solar energy used on the feeder while it was made.  autarky: share of the withdrawn
    energy that this covers.  Both are sums of the smaller of the two per interval, and NaN where the whole is zero.
    """

    imported_kwh: float
    exported_kwh: float
    withdrawn_kwh: Mapping[str, float]
    injected_kwh: Mapping[str, float]
    pv_available_kwh: float
    pv_curtailed_kwh: float
    self_consumption: float
    autarky: float
    shed_kwh: float
    unserved_kwh: float
    losses_kwh: float


def energy(run: Run) -> Energy:
    """All of it.  Nothing flowed where no interval has a power flow."""
    return Energy(
        imported_kwh=float(np.nan_to_num(imported_kwh(run))),
        exported_kwh=float(np.nan_to_num(exported_kwh(run))),
        withdrawn_kwh=_by_kind(metered(run), -1),
        injected_kwh=_by_kind(metered(run), +1),
        pv_available_kwh=available_kwh(run),
        pv_curtailed_kwh=curtailed_kwh(run),
        self_consumption=self_consumption(run),
        autarky=autarky(run),
        shed_kwh=shed_kwh(run),
        unserved_kwh=without_supply_kwh(run),
        losses_kwh=float(np.nan_to_num(losses_kwh(run))),
    )


@once
def metered(run: Run) -> pd.DataFrame:
    """Setpoints of participants with a connection: an aggregator's row repeats what its members' meters count."""
    connected = run.participants[run.participants["bus"] != ""]
    rows = run.setpoints.merge(connected[["era", "kind"]], on="era")
    return rows.assign(energy_kwh=rows["energy_wh"] / 1000)


def imported_kwh(run: Run) -> float:
    """Drawn from the upstream grid; never set off against what was sent back in other intervals."""
    return total(run.intervals["slack_kw"].clip(lower=0)) * run.hours


def exported_kwh(run: Run) -> float:
    """Sent to the upstream grid."""
    return total((-run.intervals["slack_kw"]).clip(lower=0)) * run.hours


def losses_kwh(run: Run) -> float:
    """Lost in lines and transformers."""
    return total(run.intervals["losses_kw"]) * run.hours


def available_kwh(run: Run) -> float:
    """What the sun could have given."""
    return float(_solar(run)["available_kw"].sum()) * run.hours


def curtailed_kwh(run: Run) -> float:
    """What the sun could have given and roofs did not deliver."""
    solar = _solar(run)
    return float((solar["available_kw"] - solar["delivered_kw"]).clip(lower=0).sum()) * run.hours


def self_consumption(run: Run) -> float:
    """Share of the solar energy that was used on the feeder in the interval it was made in."""
    used_kwh, made_kwh, _ = _used_at_once(run)
    return share(used_kwh, made_kwh)


def autarky(run: Run) -> float:
    """Share of the withdrawn energy that came from the sun in the same interval."""
    used_kwh, _, needed_kwh = _used_at_once(run)
    return share(used_kwh, needed_kwh)


def shed_kwh(run: Run) -> float:
    """Withdrawals that the market cut although no curve had offered it."""
    return float(metered(run)["curtailed_kw"].clip(lower=0).sum()) * run.hours


def without_supply_kwh(run: Run) -> float:
    """Demand at buses without supply."""
    return float(run.intervals["unserved_kwh"].sum())


def _solar(run: Run) -> pd.DataFrame:
    rows = metered(run)
    return rows[rows["kind"] == "solar"]


def _by_kind(rows: pd.DataFrame, sign: int) -> dict[str, float]:
    energy_kwh = (rows["energy_kwh"] * sign).clip(lower=0).groupby(rows["kind"]).sum()
    return {str(kind): float(value) for kind, value in energy_kwh.sort_values(ascending=False).items() if value > 0}


@once
def _used_at_once(run: Run) -> tuple[float, float, float]:
    """Solar energy used on the feeder in the interval it was made, solar energy, withdrawn energy [kWh]."""
    rows = metered(run)
    interval = rows["interval"]
    solar_kwh = rows["energy_kwh"].where(rows["kind"] == "solar", 0.0).clip(lower=0).groupby(interval).sum()
    load_kwh = (-rows["energy_kwh"]).clip(lower=0).groupby(interval).sum()
    return float(np.minimum(solar_kwh, load_kwh).sum()), float(solar_kwh.sum()), float(load_kwh.sum())
