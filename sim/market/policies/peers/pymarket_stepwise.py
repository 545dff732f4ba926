"""The stepwise intersection of pymarket: where demand falls below supply, and a price between the two if both step there.

It asks for a strict change of sign, so that a demand and a supply of one price have no intersection: nothing is traded.
"""

from __future__ import annotations

from sim.errors import MarketError
from sim.market.orders import Book, book_of
from sim.market.policies.peers.sweep import Sweep, at_one_price, matched, sweep
from sim.market.policy import Policy
from sim.market.problem import Clearing, Problem


def clear(problem: Problem, *, k: float = 0.5) -> Clearing:
    """Where both curves step, ``k · supply + (1 - k) · demand``; otherwise the price of the one that is level there.

    k: within 0..1; here 1 is the seller's price.
    """
    if not 0 <= k <= 1:
        raise MarketError("k", f"{k:g} is not within 0..1")
    book = book_of(problem)
    cleared = sweep(book.buys, book.sells, strictly=True)
    tie = _tie(book, cleared)
    if tie is not None:
        note = f"demand and supply of one price, {tie:g}: no change of sign, so no intersection"
        return at_one_price(problem, "pymarket-stepwise", (), None, notes=(note,))
    price = _price(cleared, k)
    return at_one_price(problem, "pymarket-stepwise", matched(cleared.matches), price, matches=cleared.matches)


def _tie(book: Book, cleared: Sweep) -> float | None:
    """The price at which demand and supply lie on each other beyond what was matched."""
    last = cleared.matches[-1] if cleared.matches else None
    buy = last.buy if last and cleared.buy_left_kw else cleared.next_buy if last else next(iter(book.buys), None)
    sell = last.sell if last and cleared.sell_left_kw else cleared.next_sell if last else next(iter(book.sells), None)
    return buy.price if buy and sell and buy.price == sell.price else None


def _price(cleared: Sweep, k: float) -> float | None:
    if not cleared.matches:
        return None
    last = cleared.matches[-1]
    if cleared.buy_left_kw:
        return last.buy.price
    return last.sell.price if cleared.sell_left_kw else k * last.sell.price + (1 - k) * last.buy.price


POLICY = Policy(
    "pymarket-stepwise",
    clear,
    frozenset({"balance", "adders", "money", "solvent", "nonprofit"}),
    "PAY_AS_CLEAR",
    "intersection of steps; nothing where bid and ask tie",
    heeds_limits=False,
    source="pymarket 0.7.6, intersect_stepwise",
)
