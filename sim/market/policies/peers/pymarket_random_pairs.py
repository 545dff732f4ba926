"""Random pairs, as pymarket's peer-to-peer mechanism draws them: who meets somebody he can trade with, trades.

What is traded, and for how much, is the luck of the draw; nobody ever does worse than his own price.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sim.curves import SAME_KW
from sim.errors import MarketError
from sim.market.orders import Book, Order, book_of
from sim.market.policies.peers.sweep import Match, at_many_prices
from sim.market.policy import Policy
from sim.market.problem import Clearing, Problem
from sim.market.retail import beside_a_retailer
from sim.rng import stream


@beside_a_retailer
def clear(problem: Problem, *, p_coef: float = 0.5, seed: int = 0) -> Clearing:
    """Rounds of random pairs until no buy that is left covers any sell that is left.

    A pair trades what both can at ``ask + p_coef · (bid - ask)``.  p_coef: within 0..1.  seed: of the draw, which
    is another one in every interval of a run.
    """
    if not 0 <= p_coef <= 1:
        raise MarketError("p_coef", f"{p_coef:g} is not within 0..1")
    trades = (
        (match, _price(match, p_coef))
        for match in _matches(book_of(problem), stream(seed, "pymarket-random-pairs", str(problem.interval)))
    )
    return at_many_prices(problem, "pymarket-random-pairs", trades)


def _price(match: Match, p_coef: float) -> float:
    return match.sell.price + p_coef * (match.buy.price - match.sell.price)


def _matches(book: Book, draw: np.random.Generator) -> Iterator[Match]:
    buys = {place: order.kw for place, order in enumerate(book.buys)}
    sells = {place: order.kw for place, order in enumerate(book.sells)}
    while True:
        # Who can trade with nobody any more is not drawn: it changes no pair that trades, and rounds come to an end.
        willing = _willing(book.buys, buys, book.sells, sells)
        if not willing:
            return
        for i, j in zip(*(draw.permutation(side).tolist() for side in willing), strict=False):
            kw = min(buys[i], sells[j])
            if book.buys[i].price >= book.sells[j].price:
                yield Match(book.buys[i], book.sells[j], kw)
                buys[i], sells[j] = buys[i] - kw, sells[j] - kw


def _willing(
    bids: tuple[Order, ...], bid_kw: dict[int, float], asks: tuple[Order, ...], ask_kw: dict[int, float]
) -> tuple[list[int], list[int]] | None:
    """The buys and the sells that could still trade with somebody; None if there are none."""
    buys = [place for place, kw in bid_kw.items() if kw > SAME_KW]
    sells = [place for place, kw in ask_kw.items() if kw > SAME_KW]
    lowest = min((asks[place].price for place in sells), default=None)
    highest = max((bids[place].price for place in buys), default=None)
    if lowest is None or highest is None or highest < lowest:
        return None
    return [i for i in buys if bids[i].price >= lowest], [j for j in sells if asks[j].price <= highest]


POLICY = Policy(
    "pymarket-random-pairs",
    clear,
    frozenset({"balance", "adders", "money", "solvent"}),
    "PAY_AS_CLEAR",
    "pairs drawn at random, between their two prices",
    heeds_limits=False,
    source="pymarket 0.7.6, p2p_random; the draw is of this project's streams",
)
