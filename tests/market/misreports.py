"""Markets in which a lie is looked for: those an auction says it is truthful for."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from sim.market.problem import Limit, Problem
from tests.market.books import demand, supply
from tests.strategies import curves, problems, step_curves

ONE_NODE = st.just((Limit("root"),))
PRICES = st.one_of(st.integers(0, 10).map(float), st.floats(0, 10).map(lambda price: round(price, 2)))
SIZES = st.sampled_from([0.5, 1.0, 1.5, 2.0, 3.0])


@st.composite
def books(draw: st.DrawFn, sizes: st.SearchStrategy[float]):
    """One to four orders on either side, one for each participant; offers in any order."""
    bids = draw(st.lists(st.tuples(PRICES, sizes), min_size=1, max_size=4))
    asks = draw(st.lists(st.tuples(PRICES, sizes), min_size=1, max_size=4))
    offers = [demand(f"b{n}", price, kw) for n, (price, kw) in enumerate(bids)]
    offers += [supply(f"s{n}", price, kw) for n, (price, kw) in enumerate(asks)]
    return Problem(tuple(draw(st.permutations(offers))))


UNIT_DEMAND = books(st.just(1.0))
"""Everybody has one order, and all are of one size."""

SINGLE_PRICE = books(SIZES)
"""Everybody has one order, of whatever size."""


def _priced(problem: Problem) -> Problem:
    return replace(problem, price_floor=-1.0, price_cap=2.0)


ANY_CURVES = st.one_of(problems(limits=ONE_NODE), problems(offered=step_curves(), limits=ONE_NODE)).map(_priced)
"""Curves of any shape at one node, with a last resort."""

ANY_GRID = problems(offered=curves()).map(_priced)
"""Curves of any shape anywhere on a tree of limits."""
