"""Pay as bid, as ASSUME does it: each supply gets its own price, each demand pays that of the last supply it met.

A demand that meets several supplies pays the last one's price for all of them.  Nobody is named who keeps the difference,
so the books do not close: the policy does not promise that they do.
"""

from __future__ import annotations

from sim.market.orders import Fill, book_of, settled
from sim.market.policies.peers.sweep import deal, sweep
from sim.market.policy import Policy
from sim.market.problem import Clearing, Problem


def clear(problem: Problem) -> Clearing:
    """Demand from the dearest down takes supply from the cheapest up.

    ASSUME draws who is first of equal prices; here it is who came first.
    """
    book = book_of(problem)
    matches = sweep(book.buys, book.sells).matches
    last = {id(match.buy): match.sell.price for match in matches}
    fills = [Fill(match.sell, match.kw, match.sell.price) for match in matches]
    fills += [Fill(match.buy, match.kw, last[id(match.buy)]) for match in matches]
    deals = (deal(match, last[id(match.buy)], match.sell.price) for match in matches if match.buy.era != match.sell.era)
    return settled(problem, "assume-pay-as-bid", fills, deals=tuple(deals))


POLICY = Policy(
    "assume-pay-as-bid",
    clear,
    frozenset({"balance", "adders"}),
    "PAY_AS_CLEAR",
    "merit order, each at a price of its own; buyers pay more than sellers get",
    heeds_limits=False,
    source="ASSUME 0.6.0, clearing_algorithms/simple.py, pay as bid; ties by arrival, there at random",
)
