"""Offers as an order book: blocks of power at a price, for the policies that match order with order.

A vertical step of a curve is an order as it stands.  A sloped part is cut into equal pieces, each at the price in its
middle.  What is taken at any price bids the price cap, what is given at any price asks the price floor.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np

from sim.errors import Fault, MarketError
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
    """The orders of a problem.

    Raises ``MarketError`` where somebody takes or gives at any price and there is no price cap or floor to bid.
    """
    faults: list[Fault] = []
    orders = [
        order
        for arrival, offer in enumerate(problem.offers)
        for order in _orders(problem, arrival, offer, pieces, faults)
    ]
    if faults:
        raise MarketError("market", tuple(faults))
    buys = (order for order in orders if order.side == "BUY")
    sells = (order for order in orders if order.side == "SELL")
    return Book(tuple(sorted(buys, key=lambda o: -o.price)), tuple(sorted(sells, key=lambda o: o.price)))


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
        held=[None] * nodes,
        accounts={name: amount for name, amount in (accounts or {}).items() if amount},
        deals=deals,
        notes=notes,
    )


def _orders(problem: Problem, arrival: int, offer: Offer, pieces: int, faults: list[Fault]) -> Iterator[Order]:
    for price, below_kw, above_kw in _blocks(problem, offer, pieces):
        if math.isinf(price):
            way, end = ("takes", "cap") if price > 0 else ("gives", "floor")
            what = f"{offer.era} {way} {abs(above_kw - below_kw):g} kW at any price"
            faults.append(Fault(f"offers/{arrival}/curve", what, f"give the market a price {end} to bid"))
        if below_kw < 0:
            yield Order(offer.era, "BUY", price, min(above_kw, 0.0) - below_kw, arrival)
        if above_kw > 0:
            yield Order(offer.era, "SELL", price, above_kw - max(below_kw, 0.0), arrival)


def _blocks(problem: Problem, offer: Offer, pieces: int) -> Iterator[tuple[float, float, float]]:
    """(price, power below it, power above it) of every piece of a curve, its last resort included."""
    curve = offer.curve
    if curve.min_kw > 0:
        yield problem.price_floor, 0.0, curve.min_kw
    for (p0, q0), (p1, q1) in pairwise(zip(curve.prices.tolist(), curve.powers.tolist(), strict=True)):
        count = 1 if p0 == p1 else pieces
        for piece in range(count if q1 > q0 else 0):
            low, high = (q0 + (q1 - q0) * share / count for share in (piece, piece + 1))
            yield p0 + (p1 - p0) * (piece + 0.5) / count, low, high
    if curve.max_kw < 0:
        yield problem.price_cap, curve.max_kw, 0.0
