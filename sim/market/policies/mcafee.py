"""McAfee's double auction: one price named by the first who do not trade; the last pair is given up where it will not do.

Promises that no order trades at a price worse than its own, and that the operator never has to pay in.  Truthful where
everybody has one order and all are of one size; then it loses at most one trade of k, the least valuable one.  The rule
is taken word for word where sizes differ, for comparison; truthful it is not then.
"""

from __future__ import annotations

from sim.market.matching import Margin, best, margin, one_sided
from sim.market.orders import PIECES, Book, Fill, book_of, settled
from sim.market.policies import huang
from sim.market.policy import Policy
from sim.market.problem import Clearing, Problem
from sim.market.retail import beside_a_retailer


@beside_a_retailer
def clear(problem: Problem, *, pieces: int = PIECES) -> Clearing:
    """All efficient trades at the mean of the first bid and ask that have no part in them, if the last that have accept it.

    Otherwise, and where there is no such bid or ask, the last of both do not trade: the others pay the one's price and
    get the other's.  pieces: orders that a sloped part of a curve is cut into.  Raises ``MarketError`` where an order has
    no price.
    """
    book = one_sided(book_of(problem, pieces))
    last = margin(book)
    if last is None:
        return settled(problem, "mcafee", ())
    price = _single_price(book, last)
    if price is None:
        return huang.reduced(problem, "mcafee", book, last)
    fills = [Fill(order, kw, price) for side in (book.buys, book.sells) for order, kw in best(side, last.kw)]
    return settled(problem, "mcafee", fills, price=price)


def _single_price(book: Book, last: Margin) -> float | None:
    """The mean of the first bid and ask beyond the margin, if it lies between the marginal ones."""
    if last.buy + 1 == len(book.buys) or last.sell + 1 == len(book.sells):
        return None
    price = (book.buys[last.buy + 1].price + book.sells[last.sell + 1].price) / 2
    return price if book.sells[last.sell].price <= price <= book.buys[last.buy].price else None


POLICY = Policy(
    "mcafee",
    clear,
    frozenset({"balance", "adders", "rational", "money", "solvent"}),
    "PAY_AS_CLEAR",
    "one price from the first losers, or one trade less; limits are not looked at",
    heeds_limits=False,
    truthful="unit demand",
    source="McAfee, Journal of Economic Theory 56(2), 1992",
)
