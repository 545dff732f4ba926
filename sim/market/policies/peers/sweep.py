"""What the rules of other projects share: two queues of orders merged, and fills at one price or at many.

A remainder of an order below ``SAME_KW`` is rounding, and counts as nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from sim.curves import SAME_KW
from sim.market.orders import Fill, Order, settled
from sim.market.problem import Clearing, Deal, Problem

ROUND_TRIPS = "round trips"
"""Account of those who buy as much as they sell: they earn between two prices and have no power to name a price by."""


@dataclass(frozen=True, slots=True)
class Match:
    """``kw`` of a buy and of a sell that trade with each other."""

    buy: Order
    sell: Order
    kw: float


@dataclass(frozen=True, slots=True)
class Sweep:
    """Two queues merged from their fronts.

    matches: in the order in which they came about.  buy_left_kw, sell_left_kw: what the last match left of its orders.
    next_buy, next_sell: the first orders that came to nothing.
    """

    matches: tuple[Match, ...]
    buy_left_kw: float
    sell_left_kw: float
    next_buy: Order | None
    next_sell: Order | None

    @property
    def kw(self) -> float:
        """What is traded in all."""
        return sum(match.kw for match in self.matches)


def sweep(buys: Sequence[Order], sells: Sequence[Order], fee: float = 0.0, *, strictly: bool = False) -> Sweep:
    """The first of each queue trade what both can, as long as the buy pays for the sell and the fee.

    strictly: whether it must pay more than that.
    """
    matches: list[Match] = []
    i = j = 0
    bought = sold = 0.0  # of the orders at i and j
    while i < len(buys) and j < len(sells):
        gain = buys[i].price - sells[j].price - fee
        if gain < 0 or (strictly and not gain):
            break
        kw = min(buys[i].kw - bought, sells[j].kw - sold)
        matches.append(Match(buys[i], sells[j], kw))
        bought, sold = bought + kw, sold + kw
        if buys[i].kw - bought <= SAME_KW:
            i, bought = i + 1, 0.0
        if sells[j].kw - sold <= SAME_KW:
            j, sold = j + 1, 0.0
    left_buy, left_sell = buys[i].kw - bought if bought else 0.0, sells[j].kw - sold if sold else 0.0
    after_buy, after_sell = i + bool(bought), j + bool(sold)
    return Sweep(
        tuple(matches),
        left_buy,
        left_sell,
        buys[after_buy] if after_buy < len(buys) else None,
        sells[after_sell] if after_sell < len(sells) else None,
    )


def served(orders: Sequence[Order], kw: float, *, share_ties: bool = False) -> list[tuple[Order, float]]:
    """How a total is given to a queue that is sorted by price: from its front, whole orders first.

    share_ties: at the last price that is served, every order gets the same share; otherwise who came first is first.
    """
    given: list[tuple[Order, float]] = []
    for _, level in groupby(orders, key=lambda order: order.price):
        if kw <= SAME_KW:
            break
        equals = list(level)
        share = min(1.0, kw / sum(order.kw for order in equals))
        for order in equals:
            part = order.kw * share if share_ties else min(order.kw, max(0.0, kw))
            given.append((order, part))
            kw -= part
    return [(order, part) for order, part in given if part > 0]


def matched(matches: Iterable[Match]) -> list[tuple[Order, float]]:
    """What each match gives to each of its two orders."""
    return [(order, match.kw) for match in matches for order in (match.buy, match.sell)]


def at_one_price(
    problem: Problem,
    policy: str,
    given: Iterable[tuple[Order, float]],
    price: float | None,
    *,
    matches: Iterable[Match] = (),
    notes: tuple[str, ...] = (),
) -> Clearing:
    """Everybody, idle or not, has this price; None where none came about."""
    fills = [Fill(order, kw, price) for order, kw in given] if price is not None else []
    deals = tuple(
        deal(match, price, price) for match in matches if match.buy.era != match.sell.era and price is not None
    )
    clearing = settled(problem, policy, fills, price=price, deals=deals, notes=notes)
    return replace(clearing, participant_price=dict.fromkeys(clearing.participant_price, price))


def at_many_prices(problem: Problem, policy: str, trades: Iterable[tuple[Match, float]]) -> Clearing:
    """Every match at a price of its own.  What somebody earns who buys as much as he sells is named ``ROUND_TRIPS``.

    Who buys and sells has all that it pays and gets in the price of what is left, which may lie far from any that was named.
    """
    trades = list(trades)
    fills = [Fill(order, match.kw, price) for match, price in trades for order in (match.buy, match.sell)]
    deals = tuple(deal(match, price, price) for match, price in trades if match.buy.era != match.sell.era)
    clearing = settled(problem, policy, fills, deals=deals)
    both_ways = {match.buy.era for match, _ in trades} & {match.sell.era for match, _ in trades}
    told = (f"{len(both_ways)} buy and sell, and are told the price of the difference",) if both_ways else ()
    level = {era for era in both_ways if abs(clearing.setpoint_kw[era]) <= SAME_KW}
    earned = sum(_receipts(fill) for fill in fills if fill.order.era in level)
    return replace(
        clearing,
        participant_price={era: None if era in level else price for era, price in clearing.participant_price.items()},
        accounts=_named(clearing.accounts, earned),
        notes=(*clearing.notes, *told),
    )


def deal(match: Match, paid: float, received: float) -> Deal:
    """A match as who sells to whom."""
    return Deal(match.sell.era, match.buy.era, match.kw, paid, received)


def _receipts(fill: Fill) -> float:
    return fill.price * (fill.kw if fill.order.side == "SELL" else -fill.kw)


def _named(accounts: Mapping[str, float], earned: float) -> Mapping[str, float]:
    return {**accounts, ROUND_TRIPS: earned} if earned else accounts
