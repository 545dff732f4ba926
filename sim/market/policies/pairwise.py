"""Pairwise k-double auction: the best bid meets the best ask, then the next, each pair at a price between the two.

Promises that no order trades at a price worse than its own, and that what buyers pay is what sellers get.  What trades is
worth the most that orders can be (sloped curves are cut into orders).  Truthful for nobody: the price of a pair is made of
its own bid and ask.
"""

from __future__ import annotations

from sim.market.matching import Match, matched, one_sided, pairs
from sim.market.orders import PIECES, book_of
from sim.market.policy import Policy
from sim.market.problem import Clearing, Problem
from sim.market.retail import beside_a_retailer


@beside_a_retailer
def clear(problem: Problem, *, pieces: int = PIECES) -> Clearing:
    """Each pair at ``(1 - k) ask + k bid``, k being the problem's; ties in order of the offers.

    pieces: orders that a sloped part of a curve is cut into.  Raises ``MarketError`` where an order has no price.
    """
    book = one_sided(book_of(problem, pieces))
    matches = [
        Match(book.buys[buy], book.sells[sell], kw, _between(book.sells[sell].price, book.buys[buy].price, problem.k))
        for buy, sell, kw in pairs(book)
    ]
    return matched(problem, "pairwise-k", matches)


def _between(ask: float, bid: float, k: float) -> float:
    return ask if ask == bid else (1 - k) * ask + k * bid


POLICY = Policy(
    "pairwise-k",
    clear,
    frozenset({"balance", "adders", "linear", "rational", "money", "solvent", "nonprofit"}),
    "PAY_AS_CLEAR",
    "the best bid with the best ask, each pair at a price between them; limits are not looked at",
    heeds_limits=False,
    source="k-double auction of each pair: Chatterjee and Samuelson, Operations Research 31(5), 1983",
)
