"""Posted prices: sellers post what they ask; buyers come in turn and take the cheapest that is left, or leave it.

Promises that no order trades at a price worse than its own, and that what buyers pay is what sellers get.  No buyer gains
by a lie, for it finds the prices as they are and its turn does not depend on them; a seller does, by asking more.  Not
efficient: who comes early takes what is cheap, however little it is worth to him.
"""

from __future__ import annotations

from sim.market.matching import continuously, matched
from sim.market.orders import PIECES, book_of
from sim.market.policy import Policy
from sim.market.problem import Clearing, Problem
from sim.market.retail import beside_a_retailer


@beside_a_retailer
def clear(problem: Problem, *, pieces: int = PIECES) -> Clearing:
    """Buyers in the order of the offers; who buys withdraws what it posted, who has sold does not buy.

    pieces: orders that a sloped part of a curve is cut into.  Raises ``MarketError`` where an order has no price.
    """
    book = book_of(problem, pieces)
    posted_then_taken = (*book.sells, *sorted(book.buys, key=lambda order: order.arrival))
    return matched(problem, "posted-price", list(continuously(posted_then_taken)))


POLICY = Policy(
    "posted-price",
    clear,
    frozenset({"balance", "adders", "linear", "rational", "money", "solvent", "nonprofit"}),
    "PAY_AS_CLEAR",
    "sellers post prices, buyers take or leave them in turn; limits are not looked at",
    heeds_limits=False,
    source="posted-offer institution: Plott and Smith, Review of Economic Studies 45(1), 1978",
)
