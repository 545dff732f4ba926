"""Prices: of nodes, of participants, where they part, and how they move."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from results.metrics.numbers import share
from results.once import once
from results.run import Run
from sim import tolerances


@dataclass(frozen=True, slots=True)
class NodePrice:
    """Prices of a node over the run [currency/kWh]; the mean is over time.  NaN where the policy has no prices."""

    node: str
    lowest: float
    mean: float
    highest: float
    adder_lowest: float
    adder_highest: float


@dataclass(frozen=True, slots=True)
class Parted:
    """For how long prices differed [h]: at all, between nodes, by a bound beside the tree, and within a node alone.

    Within a node losses part them, or a tariff that pays for injections less than it asks for withdrawals.
    """

    hours: float
    nodes_h: float
    bounds_h: float
    within_h: float


def node_prices(run: Run) -> tuple[NodePrice, ...]:
    """Prices of every node."""
    return tuple(_node_price(node, rows) for node, rows in run.prices.groupby("node", sort=False))


def own_adders(run: Run) -> pd.DataFrame:
    """What each participant's price lies above its node's, as ``own_per_kwh``, by ``interval``, ``era`` and ``node``.

    Of those below a node, and only where both have a price: bounds beside the tree, losses, and the two prices of a tariff
    set them apart.
    """
    places = run.participants.loc[run.participants["node"] != "", ["era", "node"]]
    own = run.setpoints[["interval", "era", "price_per_kwh"]].merge(places, on="era")
    rows = own.merge(run.prices, on=["interval", "node"], suffixes=("", "_of_node"))
    rows["own_per_kwh"] = rows["price_per_kwh"] - rows["price_per_kwh_of_node"]
    return rows.loc[rows["own_per_kwh"].notna(), ["interval", "era", "node", "own_per_kwh"]]


def priced_bounds(run: Run) -> pd.DataFrame:
    """Rows of ``bounds`` in which another unit of the bound would have been worth something."""
    return run.bounds[run.bounds["price_per_unit"] > tolerances.PRICE_PER_KWH]


def parted(run: Run) -> pd.DataFrame:
    """By interval: whether prices differ at all (``any``), between ``nodes``, and by ``bounds`` beside the tree."""
    prices = run.prices.groupby("interval")["price_per_kwh"]
    nodes = (prices.max() - prices.min()) > tolerances.PRICE_PER_KWH
    own = own_adders(run)
    differ = set(own.loc[own["own_per_kwh"].abs() > tolerances.PRICE_PER_KWH, "interval"])
    bounds = set(priced_bounds(run)["interval"])
    found = pd.DataFrame({"nodes": nodes, "bounds": nodes.index.isin(bounds), "own": nodes.index.isin(differ)})
    return found.assign(any=found.any(axis=1))


def parting(run: Run) -> Parted:
    """For how long prices differed, and why."""
    found = parted(run)
    within = found["own"] & ~found["nodes"] & ~found["bounds"]
    parts = (found["any"], found["nodes"], found["bounds"], within)
    return Parted(*(float(part.sum()) * run.hours for part in parts))


@once
def interval_prices(run: Run) -> pd.DataFrame:
    """``price_per_kwh`` of each interval, which those with a connection pay in the mean, and the power ``kw`` that they draw.

    Each counts as much as the power that it was to withdraw: a policy may ask a price of those who withdraw and pay another
    to those who inject.  Where nobody withdraws, all prices count alike; NaN where nobody has any.
    """
    places = run.participants.loc[run.participants["bus"] != "", "era"]
    rows = run.setpoints[run.setpoints["price_per_kwh"].notna() & run.setpoints["era"].isin(places)]
    kw, interval = (-rows["setpoint_kw"]).clip(lower=0), rows["interval"]
    weighed = (rows["price_per_kwh"] * kw).groupby(interval).sum()
    total, plain = kw.groupby(interval).sum(), rows["price_per_kwh"].groupby(interval).mean()
    prices = (weighed / total).where(total > tolerances.POWER_KW, plain)
    # A price that is the same for all is the same over time: weighing must not make it move.
    return pd.DataFrame({"price_per_kwh": prices.round(12), "kw": total}).reindex(run.intervals["interval"])


def mean_price(run: Run) -> float:
    """Mean price of a kWh to be withdrawn."""
    rows = interval_prices(run).dropna()
    return share(float((rows["price_per_kwh"] * rows["kw"]).sum()), float(rows["kw"].sum()))


def price_std(run: Run) -> float:
    """Standard deviation over time."""
    return volatility(interval_prices(run)["price_per_kwh"])[0]


def price_step(run: Run) -> float:
    """Mean absolute change from one interval to the next."""
    return volatility(interval_prices(run)["price_per_kwh"])[1]


def volatility(prices: pd.Series[float]) -> tuple[float, float]:
    """Standard deviation (of a whole population) of a series, and mean absolute step between neighbours that both are known.

    Logarithmic returns, as of shares, mean nothing where prices may be zero or below.
    """
    around = prices - prices.min()  # a constant has no deviation, not that of rounding its mean
    return float(around.std(ddof=0)), float(prices.diff().abs().mean())


def rent(run: Run) -> float:
    """Congestion rent that the clearings left, without what losses brought, and without what sums of floats leave."""
    return round(float(run.intervals["rent"].sum()), 9) + 0.0


def loss_surplus(run: Run) -> float:
    """What prices of marginal losses brought beyond the rent."""
    return float(run.intervals["loss_surplus"].sum())


def _node_price(node: object, rows: pd.DataFrame) -> NodePrice:
    price, adder = rows["price_per_kwh"], rows["adder_per_kwh"]
    return NodePrice(str(node), price.min(), price.mean(), price.max(), adder.min(), adder.max())
