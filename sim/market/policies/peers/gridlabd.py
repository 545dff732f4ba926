"""The double auction of GridLAB-D's market module, which TESP's simple auction repeats.

| clearing       | when                                                  | price                                             |
|----------------|-------------------------------------------------------|---------------------------------------------------|
| MARGINAL_BUYER | the last buyer gets a part                            | his bid                                           |
| MARGINAL_SELLER| the last seller sells a part                          | his ask                                           |
| EXACT          | both sides are used up, at one price                  | that price                                        |
| MARGINAL_PRICE | both sides are used up, between two prices            | their midpoint, or just beyond the next order      |
|                |                                                       | where that would want to trade at the midpoint    |
| NULL           | nobody can trade                                      | between the best of both sides, or just beyond the |
|                |                                                       | better end of the only side                       |
| FAILURE        | less clears than is bought at any price               | the price cap                                     |
"""

from __future__ import annotations

import math

from sim.curves import SAME_KW
from sim.market.orders import Book, book_of
from sim.market.policies.peers.sweep import Sweep, at_one_price, served, sweep
from sim.market.policy import Policy
from sim.market.problem import Clearing, Problem

OFFSET = 1e-4
"""How far beyond an order the price is put so that it does not trade [currency/kWh]: bid_offset."""


def clear(problem: Problem, *, offset: float = OFFSET) -> Clearing:
    """Steps from both ends while the buyer's price is at least the seller's; at the last price, all get the same share.

    offset: how far beyond an order that shall not trade the price is put [currency/kWh].
    """
    book = book_of(problem)
    cleared = sweep(book.buys, book.sells)
    kind, price = _price(problem, book, cleared, offset)
    given = [part for side in (book.buys, book.sells) for part in served(side, cleared.kw, share_ties=True)]
    return at_one_price(problem, "gridlabd", given, price, matches=cleared.matches, notes=(kind,))


def _price(problem: Problem, book: Book, cleared: Sweep, offset: float) -> tuple[str, float | None]:
    """What kind of clearing it is, and its price."""
    unresponsive = sum(buy.kw for buy in book.buys if buy.price >= problem.price_cap)
    if cleared.matches and cleared.kw < unresponsive - SAME_KW:
        return "FAILURE", problem.price_cap
    if not cleared.matches:
        return "NULL", _untraded(problem, book, offset)
    last = cleared.matches[-1]
    if cleared.buy_left_kw:
        return "MARGINAL_BUYER", last.buy.price
    if cleared.sell_left_kw:
        return "MARGINAL_SELLER", last.sell.price
    if last.buy.price == last.sell.price:
        return "EXACT", last.buy.price
    return "MARGINAL_PRICE", _split(problem, cleared, offset)


def _untraded(problem: Problem, book: Book, offset: float) -> float | None:
    """A price at which nobody trades: it only informs."""
    bid = book.buys[0].price if book.buys else None
    ask = book.sells[0].price if book.sells else None
    if bid is not None and ask is not None:
        return (bid + ask) / 2
    if bid is not None:
        return min(bid + offset, problem.price_cap)
    return None if ask is None else max(ask - offset, problem.price_floor)


def _split(problem: Problem, cleared: Sweep, offset: float) -> float:
    """The price where the last pair leaves a gap; who bids the cap or the floor has no say in where."""
    last = cleared.matches[-1]
    bid = cleared.next_buy.price if cleared.next_buy else -math.inf
    ask = cleared.next_sell.price if cleared.next_sell else math.inf
    at_cap, at_floor = last.buy.price >= problem.price_cap, last.sell.price <= problem.price_floor
    if at_cap and at_floor:
        return _between(bid, ask, offset)
    if at_cap:
        return last.sell.price if last.sell.price > bid else bid + offset
    if at_floor:
        return last.buy.price if last.buy.price < ask else ask - offset
    midpoint = (last.buy.price + last.sell.price) / 2
    return bid + offset if midpoint < bid else ask - offset if midpoint > ask else midpoint


def _between(bid: float, ask: float, offset: float) -> float:
    """The price where nobody who trades names one: by those who do not trade, 0 if there are none."""
    if math.isfinite(bid) and math.isfinite(ask):
        return (bid + ask) / 2
    return bid + offset if math.isfinite(bid) else ask - offset if math.isfinite(ask) else 0.0


POLICY = Policy(
    "gridlabd",
    clear,
    frozenset({"balance", "adders", "money", "solvent", "nonprofit"}),
    "PAY_AS_CLEAR",
    "step double auction: marginal order, or midpoint kept off the next one",
    heeds_limits=False,
    source="GridLAB-D 5.3 market module, auction; TESP simple_auction follows it",
)
