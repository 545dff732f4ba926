"""Offers as an order book: blocks of power at a price, for the policies that match order with order.

A vertical step of a curve is an order as it stands.  A sloped part is cut into equal pieces, each at the price in its
middle, and at zero, so that no piece both buys and sells.  What is taken at any price bids the price cap, what is given at
any price asks the price floor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np

from sim.curves import SAME_KW, OfferCurve, Point
from sim.errors import Fault, MarketError
from sim.market.offered import whole_curve
from sim.market.problem import Clearing, Deal, Offer, Problem, record

PIECES = 16
"""Orders that a sloped part of a curve is cut into."""

Side: TypeAlias = Literal["BUY", "SELL"]


@dataclass(frozen=True, slots=True)
class Order:
    """``kw`` > 0 to be bought up to, or sold from, a price.  arrival: place of its offer among all, from 0."""

    era: str
    side: Side
    price: float
    kw: float
    arrival: int


@dataclass(frozen=True, slots=True)
class Book:
    """All orders of one market: buys from the dearest down, sells from the cheapest up, ties in order of arrival."""

    buys: tuple[Order, ...]
    sells: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class Fill:
    """``kw`` of an order traded at a price, which need not be the order's own."""

    order: Order
    kw: float
    price: float


def book_of(problem: Problem, pieces: int = PIECES) -> Book:
    """The orders of a problem; what is less than ``SAME_KW`` is none.

    Raises ``MarketError`` where somebody takes or gives at any price and there is no price cap or floor to bid.
    """
    whole = whole_curves(problem)
    orders = [
        order
        for arrival, (offer, curve) in enumerate(zip(problem.offers, whole, strict=True))
        for order in _orders(offer, arrival, curve, pieces)
    ]
    buys = (order for order in orders if order.side == "BUY")
    sells = (order for order in orders if order.side == "SELL")
    return Book(tuple(sorted(buys, key=lambda o: -o.price)), tuple(sorted(sells, key=lambda o: o.price)))


def whole_curves(problem: Problem) -> list[OfferCurve]:
    """By offer: its curve with its last resort, which bids the price cap or asks the price floor; zero is in its range.

    Raises ``MarketError`` that names whoever takes or gives at any price where there is no price cap or floor to bid.
    """
    whole = [whole_curve(offer.curve, problem.price_floor, problem.price_cap) for offer in problem.offers]
    faults = tuple(
        fault
        for index, (offer, curve) in enumerate(zip(problem.offers, whole, strict=True))
        for fault in _unpriced(index, offer.era, curve)
    )
    if faults:
        raise MarketError("market", faults)
    return whole


def settled(
    problem: Problem,
    policy: str,
    fills: Iterable[Fill],
    *,
    accounts: Mapping[str, float] | None = None,
    deals: tuple[Deal, ...] = (),
    price: float | None = None,
    notes: tuple[str, ...] = (),
) -> Clearing:
    """The clearing of these fills.  A participant's price is the mean of its fills, by power; None if it trades nothing.

    accounts: what is left with others.  price: the one price of everybody, if there is one.  Orders without a fill are
    not served.
    """
    power = dict.fromkeys((offer.era for offer in problem.offers), 0.0)
    receipts = dict(power)
    for fill in fills:
        p_kw = fill.kw if fill.order.side == "SELL" else -fill.kw
        power[fill.order.era] += p_kw
        receipts[fill.order.era] += p_kw * fill.price
    nodes = len(problem.tree.names)
    return record(
        problem,
        policy,
        np.array(list(power.values()), dtype=float),
        node_price=[price] * nodes,
        participant_price=[receipts[era] / p_kw if p_kw else None for era, p_kw in power.items()],
        accounts={name: amount for name, amount in (accounts or {}).items() if amount},
        deals=deals,
        notes=notes,
    )


def _unpriced(index: int, era: str, whole: OfferCurve) -> Iterator[Fault]:
    for kw, way, end in ((-whole.max_kw, "takes", "cap"), (whole.min_kw, "gives", "floor")):
        if kw > SAME_KW:
            what = f"{era} {way} {kw:g} kW at any price"
            yield Fault(f"offers/{index}/curve", what, f"give the market a price {end} to bid")


def _orders(offer: Offer, arrival: int, curve: OfferCurve, pieces: int) -> Iterator[Order]:
    for price, low, high in _blocks(curve, pieces):
        if min(high, 0.0) - low > SAME_KW:
            yield Order(offer.era, "BUY", price, min(high, 0.0) - low, arrival)
        if high - max(low, 0.0) > SAME_KW:
            yield Order(offer.era, "SELL", price, high - max(low, 0.0), arrival)


def _blocks(curve: OfferCurve, pieces: int) -> Iterator[tuple[float, float, float]]:
    """(price, power below it, power above it) of every piece of a curve; none of a sloped part contains zero."""
    for a, b in pairwise(zip(curve.prices.tolist(), curve.powers.tolist(), strict=True)):
        if a[0] == b[0]:
            yield a[0], a[1], b[1]
            continue
        for (p0, q0), (p1, q1) in pairwise(_parted_at_zero(a, b)):
            for piece in range(pieces if q1 > q0 else 0):
                low, high = (q0 + (q1 - q0) * share / pieces for share in (piece, piece + 1))
                yield p0 + (p1 - p0) * (piece + 0.5) / pieces, low, high


def _parted_at_zero(a: Point, b: Point) -> tuple[Point, ...]:
    """A line and, where it crosses zero, the point there between its ends."""
    if not a[1] < 0 < b[1]:
        return a, b
    return a, (a[0] + (b[0] - a[0]) * -a[1] / (b[1] - a[1]), 0.0), b
