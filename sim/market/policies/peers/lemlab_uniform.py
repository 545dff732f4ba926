"""The periodic double auction of lemlab: half way between the last offer and the last bid that were matched.

Orders that were turned away do not bound the price, so that one of them may lie on its better side.
"""

from __future__ import annotations

from sim.market.orders import book_of
from sim.market.policies.peers.sweep import at_one_price, matched, sweep
from sim.market.policy import Policy
from sim.market.problem import Clearing, Problem
from sim.market.retail import beside_a_retailer


@beside_a_retailer
def clear(problem: Problem) -> Clearing:
    """Both curves of steps are merged, pairs with the offer at or below the bid are kept, the last one makes the price.

    lemlab shuffles orders of equal price, here who came first is first; and it rounds prices down to 1e-9.
    """
    book = book_of(problem)
    matches = sweep(book.buys, book.sells).matches
    price = (matches[-1].buy.price + matches[-1].sell.price) / 2 if matches else None
    return at_one_price(problem, "lemlab-uniform", matched(matches), price, matches=matches)


POLICY = Policy(
    "lemlab-uniform",
    clear,
    frozenset({"balance", "adders", "money", "solvent", "nonprofit"}),
    "PAY_AS_CLEAR",
    "merit order, midpoint of the last matched pair",
    heeds_limits=False,
    source="lemlab, clearing_ex_ante.py, pda with uniform pricing (HAMLET: the same); ties by arrival, there shuffled",
)
