"""Trade reduction for orders of any size: the two marginal orders set the prices, and do not trade.

Promises that no order trades at a price worse than its own, and that the operator never has to pay in: it keeps what the
buyers' price is above the sellers'.  Loses the trades of the marginal orders, and what the longer side is cut by.
Truthful where everybody has one order of one size.  Where sizes differ and are known, no lie about a price pays either; but
who is on the longer side gains by overstating his size, as all are cut by the same amount.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sim.market.matching import Margin, best, margin, one_sided
from sim.market.orders import PIECES, Book, Fill, Order, book_of, settled
from sim.market.policy import Policy
from sim.market.problem import SPREAD, Clearing, Problem
from sim.market.retail import beside_a_retailer


@beside_a_retailer
def clear(problem: Problem, *, pieces: int = PIECES) -> Clearing:
    """All orders better than the marginal ones, buyers at the marginal bid and sellers at the marginal ask.

    pieces: orders that a sloped part of a curve is cut into.  Raises ``MarketError`` where an order has no price.
    """
    book = one_sided(book_of(problem, pieces))
    last = margin(book)
    return settled(problem, "huang", ()) if last is None else reduced(problem, "huang", book, last)


def reduced(problem: Problem, policy: str, book: Book, last: Margin) -> Clearing:
    """The clearing of a policy in which the marginal orders and all worse ones do not trade."""
    bid, ask = book.buys[last.buy].price, book.sells[last.sell].price
    buys, sells = book.buys[: last.buy], book.sells[: last.sell]
    kw = min(_total(buys), _total(sells))
    fills = [
        *(Fill(order, part, bid) for order, part in _rationed(buys, kw)),
        *(Fill(order, part, ask) for order, part in _rationed(sells, kw)),
    ]
    return settled(problem, policy, fills, accounts={SPREAD: kw * (bid - ask)})


def _rationed(orders: Sequence[Order], kw: float) -> Iterator[tuple[Order, float]]:
    """The orders cut to ``kw`` in all: every participant by the same amount, or to nothing if it has less than that.

    The best orders of a participant are served first.
    """
    wanted: dict[str, float] = {}
    for order in orders:
        wanted[order.era] = wanted.get(order.era, 0.0) + order.kw
    cut = _equal_burden(sorted(wanted.values()), kw)
    for era, total in wanted.items():
        yield from best((order for order in orders if order.era == era), total - cut)


def _equal_burden(wanted_kw: Sequence[float], kw: float) -> float:
    """The cut that leaves ``kw`` of these, smallest first: ``Σ max(0, wanted - cut) = kw``; 0 if there is no more."""
    excess = sum(wanted_kw) - kw
    for index, wanted in enumerate(wanted_kw):
        share = excess / (len(wanted_kw) - index)
        if wanted >= share:
            return max(share, 0.0)
        excess -= wanted
    return wanted_kw[-1] if wanted_kw else 0.0  # all of it, where rounding has hidden the last share


def _total(orders: Sequence[Order]) -> float:
    return sum(order.kw for order in orders)


POLICY = Policy(
    "huang",
    clear,
    frozenset({"balance", "adders", "linear", "rational", "money", "solvent"}),
    "PAY_AS_CLEAR",
    "the marginal bid and ask are the prices and do not trade; limits are not looked at",
    heeds_limits=False,
    truthful="unit demand",
    source="Huang, Scheller-Wolf and Sycara, Computational Intelligence 18(4), 2002",
)
