"""What hypothesis draws for the whole test suite: curves, books of offers, trees of limits, market problems.

Numbers come mostly from coarse grids, because ties, touching steps and limits that are just reached are where markets
break; some are arbitrary floats.
"""

from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import strategies as st

from sim.curves import OfferCurve, Point
from sim.market.problem import Limit, Offer, Problem

COARSE_PRICES = st.integers(-2, 8).map(lambda tenths: tenths / 10)
FINE_PRICES = st.floats(-0.5, 1.0, allow_nan=False)
HAIRLINE_PRICES = st.integers(-3, 3).map(lambda hairs: 0.3 + hairs * 1e-12)
PRICES = st.one_of(COARSE_PRICES, COARSE_PRICES, FINE_PRICES)

COARSE_POWERS = st.integers(-6, 6).map(float)
FINE_POWERS = st.floats(-10, 10, allow_nan=False)
POWERS = st.one_of(COARSE_POWERS, COARSE_POWERS, FINE_POWERS)

LIMITS_KW = st.one_of(st.integers(0, 8).map(float), st.floats(0, 20), st.just(math.inf))


@st.composite
def points(draw: st.DrawFn, prices: st.SearchStrategy[float] = PRICES, powers: st.SearchStrategy[float] = POWERS):
    """Points of a curve that rises: 1 to 6 of them, ascending in price, steps included."""
    count = draw(st.integers(1, 6))
    ascending = sorted(draw(st.lists(prices, min_size=count, max_size=count)))
    rising = sorted(draw(st.lists(powers, min_size=count, max_size=count)))
    return list(zip(ascending, rising, strict=True))


@st.composite
def curves(draw: st.DrawFn, through: st.SearchStrategy[list[Point]] = points()):  # noqa: B008  a strategy is immutable
    """Offer curves of every shape: withdrawals, injections, both, and those that no price moves."""
    return OfferCurve.of(draw(through), step=draw(st.booleans()))


COARSE_CURVES = curves(points(COARSE_PRICES, COARSE_POWERS))


@st.composite
def step_curves(draw: st.DrawFn):
    """Curves of vertical steps only: an order book of one participant."""
    corners = draw(points(prices=COARSE_PRICES))
    stairs = [corners[0]]
    for (_, before), (price, power) in pairwise(corners):
        stairs += [(price, before), (price, power)]
    return OfferCurve.of(stairs)


@st.composite
def trees(draw: st.DrawFn, limits_kw: st.SearchStrategy[float] = LIMITS_KW):
    """Trees of 1 to 7 nodes, at most four levels deep, with a limit in each direction."""
    nodes, depth = [Limit("root")], {"root": 0}
    for number in range(draw(st.integers(0, 6))):
        parent = draw(st.sampled_from([name for name in depth if depth[name] < 3]))
        nodes.append(Limit(f"tx-{number}", parent, draw(limits_kw), draw(limits_kw)))
        depth[f"tx-{number}"] = depth[parent] + 1
    return tuple(nodes)


@st.composite
def problems(
    draw: st.DrawFn,
    offered: st.SearchStrategy[OfferCurve] = curves(),  # noqa: B008  a strategy is immutable
    limits: st.SearchStrategy[tuple[Limit, ...]] = trees(),  # noqa: B008
    slack: st.SearchStrategy[bool] = st.booleans(),  # noqa: B008
):
    """Market problems: 0 to 8 offers anywhere on a tree, with or without a retailer, a price floor and a price cap."""
    tree = draw(limits)
    names = st.sampled_from([limit.node for limit in tree])
    drawn = draw(st.lists(st.tuples(names, offered), max_size=8))
    offers = [Offer(f"der-{number}", node, curve) for number, (node, curve) in enumerate(drawn)]
    has_slack = draw(slack)
    if has_slack:
        offers.append(Offer("retailer", "root", draw(retailers())))
    floor, cap = draw(st.sampled_from([(-math.inf, math.inf), (-1.0, 2.0), (-math.inf, 2.0)]))
    k = draw(st.sampled_from([0.5, 0.0, 1.0, 0.3]))
    return Problem(tuple(offers), tree, k, floor, cap, "retailer" if has_slack else None)


@st.composite
def retailers(draw: st.DrawFn):
    """A tariff: buys at a low price, sells at a high one, without a limit that matters."""
    low, high = sorted((draw(COARSE_PRICES), draw(COARSE_PRICES)))
    return OfferCurve.of([(low, -1e4), (low, 0.0), (high, 0.0), (high, 1e4)])
