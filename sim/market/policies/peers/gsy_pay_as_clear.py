"""Pay as clear, as the Grid Singularity Exchange does it by default: bids are served whole, at the lowest of their rates.

The next bid is never served in part, though supply for it be left, and the price is what the last buyer served would
have paid at most: above what clears wherever a seller is marginal.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from sim.curves import SAME_KW
from sim.market.orders import Book, book_of
from sim.market.policies.peers.sweep import at_one_price, sweep
from sim.market.policy import Policy
from sim.market.problem import Clearing, Problem
from sim.market.retail import beside_a_retailer


@beside_a_retailer
def clear(problem: Problem) -> Clearing:
    """The lowest bid rate at which the offers up to it cover all bids from it on; then these bids, and that rate.

    If there is none, the highest bid rate, and what the offers up to it give.  Bids are served from the dearest down,
    offers from the cheapest up, of equal prices who came first.
    """
    book = book_of(problem)
    price, kw = _point(book)
    if price is None or kw <= SAME_KW:
        return at_one_price(problem, "gsy-pay-as-clear", (), None)
    bids = [bid for bid in book.buys if bid.price >= price]
    matches = sweep(bids, [offer for offer in book.sells if offer.price <= price]).matches
    given = [(order, match.kw) for match in matches for order in (match.buy, match.sell)]
    return at_one_price(problem, "gsy-pay-as-clear", given, price, matches=matches)


def _point(book: Book) -> tuple[float | None, float]:
    """The clearing rate, None without bids, and the energy that clears at it."""
    if not book.buys:
        return None, 0.0
    wanted = list(accumulate(bid.kw for bid in book.buys))
    rates = [bid.price for bid in book.buys]
    offered, asks = [0.0, *accumulate(offer.kw for offer in book.sells)], [offer.price for offer in book.sells]
    for place in reversed(range(len(rates))):
        affordable = offered[bisect_right(asks, rates[place])]
        if wanted[place] <= affordable + SAME_KW and rates[place] not in rates[place + 1 : place + 2]:
            return rates[place], wanted[place]
    return rates[0], offered[bisect_right(asks, rates[0])]


POLICY = Policy(
    "gsy-pay-as-clear",
    clear,
    frozenset({"balance", "adders", "money", "solvent", "nonprofit"}),
    "PAY_AS_CLEAR",
    "whole bids only, at the lowest bid served",
    heeds_limits=False,
    source="gsy-framework 1.3.0, PayAsClearMatchingAlgorithm, aggregation algorithm 1",
)
