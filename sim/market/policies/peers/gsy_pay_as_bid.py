"""Pay as bid, as the Grid Singularity Exchange matches: the dearest offer is served first, and the buyer's bid is the price.

Serving the dearest offers first trades as much as can be traded at all, mostly for less than it is worth.
"""

from __future__ import annotations

from collections.abc import Iterator

from sim.curves import SAME_KW
from sim.market.orders import Book, Order, book_of
from sim.market.policies.peers.sweep import Match, at_many_prices
from sim.market.policy import Policy
from sim.market.problem import Clearing, Problem
from sim.market.retail import beside_a_retailer

TOLERANCE = 2e-5
"""By how much an offer may be above the bid that takes it [currency/kWh]."""


@beside_a_retailer
def clear(problem: Problem, *, tolerance: float = TOLERANCE) -> Clearing:
    """For every offer, the dearest first, the bids that pay for it, the dearest first; nobody trades with himself.

    tolerance: by how much an offer may be above the bid that takes it [currency/kWh].  Of equal prices, who came last is
    first.
    """
    found = matches(book_of(problem), tolerance)
    return at_many_prices(problem, "gsy-pay-as-bid", ((match, match.buy.price) for match in found))


def matches(book: Book, tolerance: float = TOLERANCE) -> Iterator[Match]:
    """Who trades with whom, in the order in which they are found; see ``clear``."""
    bids = sorted(book.buys, key=lambda o: (-o.price, -o.arrival))
    wanted = [bid.kw for bid in bids]
    first = 0  # those before it have all they want
    for offer in sorted(book.sells, key=lambda o: (-o.price, -o.arrival)):
        left = offer.kw
        while first < len(bids) and wanted[first] <= SAME_KW:
            first += 1
        for place, bid in enumerate(bids[first:], first):
            if left <= SAME_KW or offer.price > bid.price + tolerance:
                break
            kw = _tradable(bid, offer, min(left, wanted[place]))
            if kw:
                left, wanted[place] = left - kw, wanted[place] - kw
                yield Match(bid, offer, kw)


def _tradable(bid: Order, offer: Order, kw: float) -> float:
    return kw if bid.era != offer.era and kw > SAME_KW else 0.0


POLICY = Policy(
    "gsy-pay-as-bid",
    clear,
    frozenset({"balance", "adders", "money", "solvent"}),
    "PAY_AS_CLEAR",
    "dearest offers first, at the price of the bid",
    heeds_limits=False,
    source="gsy-framework 1.3.0, PayAsBidMatchingAlgorithm",
)
