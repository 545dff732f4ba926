"""Continuous double auction: orders arrive one after the other and trade at once with the best that waits.

Promises that no order trades at a price worse than its own, and that what buyers pay is what sellers get.  Truthful for
nobody, and not efficient: an early order may take what a better one would have needed.
"""

from __future__ import annotations

from sim.market.matching import continuously, matched
from sim.market.orders import PIECES, book_of
from sim.market.policy import Policy
from sim.market.problem import Clearing, Problem
from sim.market.retail import beside_a_retailer


@beside_a_retailer
def clear(problem: Problem, *, pieces: int = PIECES) -> Clearing:
    """By price, then time: offers arrive in their order, each with its best bid first, then its asks; the order that waited
    sets the price, and may be filled in parts.  Nobody trades with himself, nor on both sides.

    pieces: orders that a sloped part of a curve is cut into.  Raises ``MarketError`` where an order has no price.
    """
    book = book_of(problem, pieces)
    arriving = sorted((*book.buys, *book.sells), key=lambda order: order.arrival)
    return matched(problem, "continuous", list(continuously(arriving)))


POLICY = Policy(
    "continuous",
    clear,
    frozenset({"balance", "adders", "linear", "rational", "money", "solvent", "nonprofit"}),
    "PAY_AS_CLEAR",
    "orders trade as they arrive, at the price of the one that waited; limits are not looked at",
    heeds_limits=False,
    source="continuous double auction: Smith, Journal of Political Economy 70(2), 1962",
)
