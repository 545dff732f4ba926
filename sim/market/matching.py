"""Matching order with order: in merit order, all at once; and one after the other, as they arrive."""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from sim.curves import SAME_KW
from sim.market.orders import Book, Fill, Order, Side, settled
from sim.market.problem import Clearing, Deal, Problem


@dataclass(frozen=True, slots=True)
class Match:
    """``kw`` of a buy and of a sell meet at a price."""

    buy: Order
    sell: Order
    kw: float
    price: float


@dataclass(frozen=True, slots=True)
class Margin:
    """How far a book trades in merit order: the most that any price could, at the greatest welfare.

    kw: the quantity.  buy, sell: places in the book of the last orders that have part in it (K and L of the literature).
    """

    kw: float
    buy: int
    sell: int


# --- in merit order ---------------------------------------------------------------------------------------------------


def pairs(book: Book) -> Iterator[tuple[int, int, float]]:
    """(place of the buy, place of the sell, kW): the best bid with the best ask, as long as one pays the other."""
    buy = sell = 0
    left_buy, left_sell = (side[0].kw if side else 0.0 for side in (book.buys, book.sells))
    while buy < len(book.buys) and sell < len(book.sells) and book.buys[buy].price >= book.sells[sell].price:
        kw = min(left_buy, left_sell)
        yield buy, sell, kw
        left_buy, left_sell = left_buy - kw, left_sell - kw
        if left_buy <= SAME_KW:
            buy += 1
            left_buy = book.buys[buy].kw if buy < len(book.buys) else 0.0
        if left_sell <= SAME_KW:
            sell += 1
            left_sell = book.sells[sell].kw if sell < len(book.sells) else 0.0


def margin(book: Book) -> Margin | None:
    """Where the book stops to trade; None if it does not trade at all."""
    met = list(pairs(book))
    return Margin(sum(kw for _, _, kw in met), *met[-1][:2]) if met else None


def best(orders: Iterable[Order], kw: float) -> Iterator[tuple[Order, float]]:
    """The first ``kw`` of these orders, and how much of each."""
    for order in orders:
        part = min(order.kw, kw)
        if part <= 0:
            return
        yield order, part
        kw -= part


def one_sided(book: Book) -> Book:
    """The book in which nobody buys and sells at one price.

    Who would, is indifferent: of its two orders it keeps the one that somebody gains by, else the one to buy.
    """
    twofold = {(order.era, order.price) for order in book.buys} & {(order.era, order.price) for order in book.sells}
    if not twofold:
        return book
    gaining = (book.sells[sell] for buy, sell, _ in pairs(book) if book.buys[buy].price > book.sells[sell].price)
    sellers = {(order.era, order.price) for order in gaining}
    return Book(
        tuple(order for order in book.buys if (order.era, order.price) not in twofold & sellers),
        tuple(order for order in book.sells if (order.era, order.price) not in twofold - sellers),
    )


# --- as orders arrive -------------------------------------------------------------------------------------------------


def continuously(orders: Iterable[Order]) -> Iterator[Match]:
    """What trades when these orders arrive one after the other, by price and then time; the one that waited sets the price.

    Nobody trades with himself, and who has traded on one side withdraws its orders on the other.
    """
    waiting: dict[Side, list[_Waiting]] = {"BUY": [], "SELL": []}
    side_of: dict[str, Side] = {}
    for seq, order in enumerate(orders):
        if side_of.get(order.era, order.side) != order.side:
            continue
        queue, left = waiting[_OTHER[order.side]], order.kw
        for place in range(len(queue) - 1, -1, -1):
            rest = queue[place]
            if left <= SAME_KW or not _meets(order, rest.order):
                break
            if side_of.get(rest.order.era, rest.order.side) != rest.order.side:
                del queue[place]  # withdrawn
            elif rest.order.era != order.era:
                kw = min(left, rest.left)
                rest.left -= kw
                left -= kw
                side_of[order.era], side_of[rest.order.era] = order.side, rest.order.side
                yield _match(order, rest.order, kw)
                if rest.left <= SAME_KW:
                    del queue[place]
        if left > SAME_KW:
            insort(waiting[order.side], _Waiting(-_rank(order), -seq, order, left))


def matched(problem: Problem, policy: str, matches: Sequence[Match]) -> Clearing:
    """The clearing of these matches: a fill on either side, and a deal of each pair of participants at each price."""
    fills = [Fill(order, match.kw, match.price) for match in matches for order in (match.buy, match.sell)]
    volume: dict[tuple[str, str, float], float] = defaultdict(float)
    for match in matches:
        volume[match.sell.era, match.buy.era, match.price] += match.kw
    deals = tuple(Deal(seller, buyer, kw, price, price) for (seller, buyer, price), kw in volume.items())
    return settled(problem, policy, fills, deals=deals)


_OTHER: dict[Side, Side] = {"BUY": "SELL", "SELL": "BUY"}


@dataclass(order=True, slots=True)
class _Waiting:
    """An order in the queue of its side, the best price last, of these who came first; so that it is quickly taken away."""

    goodness: float
    earliness: int
    order: Order = field(compare=False)
    left: float = field(compare=False)


def _rank(order: Order) -> float:
    return -order.price if order.side == "BUY" else order.price


def _meets(order: Order, waited: Order) -> bool:
    """Whether a bid pays what an ask wants."""
    return _rank(order) + _rank(waited) <= 0


def _match(order: Order, waited: Order, kw: float) -> Match:
    buy, sell = (order, waited) if order.side == "BUY" else (waited, order)
    return Match(buy, sell, kw, waited.price)
