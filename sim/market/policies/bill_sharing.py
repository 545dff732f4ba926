"""Bill sharing: one bill for the community; all that was imported is shared by who consumed, all exported by who generated."""

from __future__ import annotations

from sim.market.community import Pool, Prices, shared
from sim.market.policy import Policy
from sim.market.problem import Clearing, Problem


def clear(problem: Problem) -> Clearing:
    """The baselines, with the bill of the slack shared.  Every offer is one member.

    Who generates may get less than by selling to the slack: nothing, where the community exports nothing.
    Raises ``MarketError`` without a slack that has a tariff.
    """
    return shared(problem, "bill-sharing", prices)


def prices(pool: Pool) -> Prices:
    """The cost of all imports per kWh consumed, and the proceeds of all exports per kWh generated."""
    demand, supply = pool.demand_kw, pool.supply_kw
    buy = pool.tariff.import_price * (demand - supply) / demand if demand > supply else 0.0
    sell = pool.tariff.export_price * (supply - demand) / supply if supply > demand else 0.0
    return Prices(buy, sell)


POLICY = Policy(
    "bill-sharing",
    clear,
    frozenset({"balance", "linear", "money", "solvent", "nonprofit"}),
    "PAY_AS_CLEAR",
    "baselines; one bill for all, by consumption and generation",
    heeds_limits=False,
    source="Long, Wu, Zhang, Thomas, Cheng and Jenkins, IEEE PES General Meeting, 2017",
)
