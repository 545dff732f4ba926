"""What a run amounts to against another of the same seed, and against the best that could have been done.

The other run is mostly the one under ``none``, where everybody does as they would alone.  ``Observation.values`` holds, beside
metrics, ``cost`` (what the run cost by the rules of the bound), ``best_cost`` (the plan that knows everything) and
``wanted_value`` (all energy that was asked for, at the price cap).  NaN where one of them is missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from results.metrics.fairness import gini, jain
from results.metrics.metric import Better
from results.observation import Observation
from sim.ledger import minor_unit

COST, BEST_COST, WANTED_VALUE = "cost", "best_cost", "wanted_value"


@dataclass(frozen=True, slots=True)
class Relative:
    """One number about a run against another: as ``Metric``, but that ``measure`` takes both; base is the other one."""

    name: str
    unit: str
    better: Better
    summary: str
    source: str
    measure: Callable[[Observation, Observation], float]


def welfare(own: Observation, base: Observation) -> float:
    """Value of the energy that was asked for less what it cost to serve it; what was not served costs the price cap."""
    del base
    return _value(own, WANTED_VALUE) - _value(own, COST)


def welfare_share(own: Observation, base: Observation) -> float:
    """Welfare over the best plan's; NaN where even that has none."""
    best = _value(own, WANTED_VALUE) - _value(own, BEST_COST)
    return welfare(own, base) / best if best > 0 else math.nan


def regret(own: Observation, base: Observation) -> float:
    """Cost above the best plan's."""
    del base
    return _value(own, COST) - _value(own, BEST_COST)


def relative_regret(own: Observation, base: Observation) -> float:
    """Regret as a share of the best plan's cost; NaN where that is zero or a gain."""
    best = _value(own, BEST_COST)
    return regret(own, base) / best if best > 0 else math.nan


def captured_share(own: Observation, base: Observation) -> float:
    """Of what the best plan costs less than the other run, the share that this run has saved.

    NaN where the best plan gains less than a minor unit.  Above 1 only for a run that breaks limits which the plan keeps;
    below 0 for one that costs more than the other.
    """
    possible = regret(base, base)
    saved = _value(base, COST) - _value(own, COST)
    return saved / possible if possible >= float(minor_unit(own.currency)) else math.nan


def savings(own: Observation, base: Observation) -> pd.Series[float]:
    """How much better off each connection point is than in the other run [currency].

    What it pays less or receives more, less what its cars were short of, at the price cap.  NaN for a point that only one of
    the runs has.  What batteries hold in the end is on no bill, and does not count.
    """
    return _position(own) - _position(base)


def bill_saving(own: Observation, base: Observation) -> float:
    """Mean over connection points of what is paid less."""
    net_own, net_base = (_sites(one)["net"] for one in (own, base))
    return float((net_own - net_base).mean(skipna=False))


def saving_jain(own: Observation, base: Observation) -> float:
    """Jain's index of savings, whoever loses counting as one who saves nothing; NaN where nobody saves."""
    return jain(savings(own, base).clip(lower=0).tolist())


def saving_gini(own: Observation, base: Observation) -> float:
    """Gini's coefficient of savings; NaN where anybody loses, for it is not defined then, and where nobody saves."""
    return gini(savings(own, base).tolist())


def saving_min(own: Observation, base: Observation) -> float:
    """The smallest saving, or the largest loss."""
    return float(savings(own, base).min(skipna=False))


def saving_max(own: Observation, base: Observation) -> float:
    """The largest saving."""
    return float(savings(own, base).max(skipna=False))


def worse_off_share(own: Observation, base: Observation) -> float:
    """Share of the connection points that lose more than a minor unit of the currency."""
    found = savings(own, base)
    if found.empty or found.isna().any():
        return math.nan
    return float((found < -float(minor_unit(own.currency)) - _ROUNDING).mean())


_ROUNDING = 1e-9
"""Far below a minor unit, far above what differences of amounts leave."""

_CURRENCY = "currency"
_GODE = "Gode and Sunder, Journal of Political Economy 101, 1993"

_TABLE = (
    Relative("welfare", _CURRENCY, "more", "energy asked for at the price cap, less cost", "", welfare),
    Relative("welfare_share", "1", "more", "welfare over that of the best plan", _GODE, welfare_share),
    Relative("regret", _CURRENCY, "less", "cost above that of the best plan", "", regret),
    Relative("relative_regret", "1", "less", "regret over the cost of the best plan", "", relative_regret),
    Relative(
        "captured_share",
        "1",
        "more",
        "saved, of what the best plan saves against the reference; above 1 only for a run that breaks limits",
        "",
        captured_share,
    ),
    Relative("bill_saving", _CURRENCY, "more", "mean over connection points of what is paid less", "", bill_saving),
    Relative(
        "saving_min",
        _CURRENCY,
        "more",
        "smallest saving of a connection point, less what its cars were short of at the price cap",
        "",
        saving_min,
    ),
    Relative("saving_max", _CURRENCY, "", "largest such saving", "", saving_max),
    Relative(
        "worse_off_share",
        "1",
        "less",
        "share of the connection points whose saving is below zero by more than a minor unit",
        "",
        worse_off_share,
    ),
    Relative(
        "saving_jain",
        "1",
        "more",
        "Jain's index of these savings, a loss counting as none",
        "Jain, Chiu and Hawe, DEC-TR-301, 1984",
        saving_jain,
    ),
    Relative(
        "saving_gini",
        "1",
        "less",
        "Gini's coefficient of these savings; none where anybody loses",
        "Gini, 1912",
        saving_gini,
    ),
)

RELATIVE: Mapping[str, Relative] = {metric.name: metric for metric in _TABLE}
"""Every metric of a run against another, by name."""


def _value(one: Observation, name: str) -> float:
    return one.values.get(name, math.nan)


def _sites(one: Observation) -> pd.DataFrame:
    return one.parties[one.parties["kind"] == "site"].set_index("party")


def _position(one: Observation) -> pd.Series[float]:
    rows = _sites(one)
    return rows["net"] - rows["lacked"]
