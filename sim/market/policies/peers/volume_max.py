"""As much as can be traded at all: the greatest volume at which every pair still agrees on a price.

The volume of welfare is less: here cheap sellers meet modest buyers so that dear sellers meet the eager ones.
"""

from __future__ import annotations

from sim.curves import SAME_KW
from sim.market.orders import Book, Order, book_of
from sim.market.policies.peers.sweep import Match, at_many_prices, served, sweep
from sim.market.policy import Policy
from sim.market.problem import Clearing, Problem
from sim.market.retail import beside_a_retailer


@beside_a_retailer
def clear(problem: Problem) -> Clearing:
    """The dearest buys and cheapest sells of the greatest volume, paired dearest with dearest.

    The rule leaves the price of a pair open; it is ``k`` between its ask and its bid.
    """
    k = problem.k
    trades = ((match, match.sell.price + k * (match.buy.price - match.sell.price)) for match in _matches(problem))
    return at_many_prices(problem, "volume-max", trades)


def _matches(problem: Problem) -> tuple[Match, ...]:
    book = book_of(problem)
    kw = _most(book)
    buys = [_of(order, part) for order, part in served(book.buys, kw)]
    sells = [_of(order, part) for order, part in served(book.sells, kw)]
    return sweep(buys, sells[::-1]).matches


def _of(order: Order, kw: float) -> Order:
    return Order(order.era, order.side, order.price, kw, order.arrival)


def _most(book: Book) -> float:
    """The greatest volume [kW]: whoever can pay for a dear sell can pay for a cheaper one, so the dearest may choose first."""
    total, place, used = 0.0, 0, 0.0
    for sell in reversed(book.sells):
        left = sell.kw
        while left > SAME_KW and place < len(book.buys) and book.buys[place].price >= sell.price:
            kw = min(left, book.buys[place].kw - used)
            left, used, total = left - kw, used + kw, total + kw
            if book.buys[place].kw - used <= SAME_KW:
                place, used = place + 1, 0.0
    return total


POLICY = Policy(
    "volume-max",
    clear,
    frozenset({"balance", "adders", "money", "solvent"}),
    "PAY_AS_CLEAR",
    "the most that can be traded, whatever it is worth",
    heeds_limits=False,
    source="Niu and Parsons, Maximizing Matching in Double-sided Auctions, AAMAS 2013; pymarket 0.7.6 has its programme",
)
