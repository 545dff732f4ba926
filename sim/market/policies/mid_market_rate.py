"""Mid-market rate: neighbours trade halfway between the two prices of the tariff; who is on the long side shares the rest."""

from __future__ import annotations

from sim.market.community import Pool, Prices, shared
from sim.market.policy import Policy
from sim.market.problem import Clearing, Problem


def clear(problem: Problem) -> Clearing:
    """The baselines at the mid-market rate.  Every offer is one member.

    Raises ``MarketError`` without a slack that has a tariff.
    """
    return shared(problem, "mid-market-rate", prices)


def prices(pool: Pool) -> Prices:
    """The middle for what is traded within; what is left is imported or exported, and blended into the long side's price."""
    tariff, demand, supply = pool.tariff, pool.demand_kw, pool.supply_kw
    middle = (tariff.import_price + tariff.export_price) / 2
    if demand > supply:
        return Prices((middle * supply + tariff.import_price * (demand - supply)) / demand, middle)
    if supply > demand:
        return Prices(middle, (middle * demand + tariff.export_price * (supply - demand)) / supply)
    return Prices(middle, middle)


POLICY = Policy(
    "mid-market-rate",
    clear,
    frozenset({"balance", "linear", "money", "solvent", "nonprofit"}),
    "PAY_AS_CLEAR",
    "baselines; neighbours trade in the middle of the tariff",
    heeds_limits=False,
    source="Long, Wu, Zhang, Thomas, Cheng and Jenkins, IEEE PES General Meeting, 2017",
)
