"""Pay as clear, as ASSUME does it: the price is the highest supply that was accepted, also where supply is what is scarce."""

from __future__ import annotations

from sim.market.orders import book_of
from sim.market.policies.peers.sweep import at_one_price, matched, sweep
from sim.market.policy import Policy
from sim.market.problem import Clearing, Problem


def clear(problem: Problem) -> Clearing:
    """Demand from the dearest down takes supply from the cheapest up; the last supply is the price, 0 if there is none.

    ASSUME draws who is first of equal prices; here it is who came first.
    """
    book = book_of(problem)
    matches = sweep(book.buys, book.sells).matches
    price = matches[-1].sell.price if matches else 0.0
    return at_one_price(problem, "assume-pay-as-clear", matched(matches), price, matches=matches)


POLICY = Policy(
    "assume-pay-as-clear",
    clear,
    frozenset({"balance", "adders", "money", "solvent", "nonprofit"}),
    "PAY_AS_CLEAR",
    "merit order, at the dearest accepted supply",
    heeds_limits=False,
    source="ASSUME 0.6.0, clearing_algorithms/simple.py, pay as clear; ties by arrival, there at random",
)
