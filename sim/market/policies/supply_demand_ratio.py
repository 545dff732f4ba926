"""Supply-demand ratio: the more of its demand a community generates itself, the closer its prices are to the export price."""

from __future__ import annotations

from sim.errors import Fault, MarketError
from sim.market.community import Pool, Prices, shared
from sim.market.policy import Policy
from sim.market.problem import Clearing, Problem


def clear(problem: Problem) -> Clearing:
    """The baselines at the prices of the supply-demand ratio.  Every offer is one member.

    Raises ``MarketError`` without a slack that has a tariff, and for a tariff whose two prices differ in sign.
    """
    return shared(problem, "supply-demand-ratio", prices)


def prices(pool: Pool) -> Prices:
    """One over the selling price goes in a straight line from one over the import price, where nobody sells, to one over
    the export price, where as much is sold as is bought; from there on it stays, and all that is gained is the buyers'.

    Buyers pay that for what is traded within and the import price for the rest.  Raises ``MarketError`` for a tariff whose
    two prices differ in sign, where the line passes through infinity.
    """
    import_price, export_price = pool.tariff.import_price, pool.tariff.export_price
    if import_price * export_price < 0:
        what = f"the export price {export_price:g} and the import price {import_price:g} differ in sign"
        raise MarketError("supply-demand-ratio", (Fault("slack", what, "mid-market-rate takes any tariff"),))
    if pool.supply_kw >= pool.demand_kw:
        return Prices(export_price, export_price)
    ratio = pool.supply_kw / pool.demand_kw
    below = (import_price - export_price) * ratio + export_price
    sell = import_price * export_price / below if below else import_price
    return Prices(sell * ratio + import_price * (1 - ratio), sell)


POLICY = Policy(
    "supply-demand-ratio",
    clear,
    frozenset({"balance", "linear", "money", "solvent", "nonprofit"}),
    "PAY_AS_CLEAR",
    "baselines; prices fall as more of the demand is generated within",
    heeds_limits=False,
    source="Liu, Yu, Wang, Li, Ma and Lei, IEEE Transactions on Power Systems 32(5), 2017",
)
