"""Locational prices as duals: one linear programme of the whole grid, and the price of a node is what a kWh more there costs.

The same market as ``locational``, found in another way: nothing is shared but how curves are read and how the outcome is
written down, so each is a check of the other.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sim.curves import Ints, aggregate
from sim.errors import MarketError
from sim.market import programme
from sim.market.network import Held, Link, Network, bounded, carrying, hold, unnamed_price
from sim.market.offered import by_offer, choices, places
from sim.market.policies import locational
from sim.market.policies.locational import Outcome
from sim.market.policy import Policy
from sim.market.problem import Clearing, Direction, Problem
from sim.tolerances import PRICE_PER_KWH


def clear(problem: Problem) -> Clearing:
    """The set-points of the greatest welfare within all limits, and the duals of the balance of every node as prices.

    Where the duals are not unique the notes say at how many nodes, and ``k`` chooses.  Offers that every limit treats alike
    share what a price leaves open; between others that do not care, the programme chooses.
    Raises ``MarketError`` that names the linear limits which nothing could keep.
    """
    unnamed = unnamed_price(problem)
    whole = bounded(problem, unnamed)
    place, first = places(problem)
    network = _network(whole, place, first)
    held = hold(network, problem.k, unnamed) or hold(_eased(problem, network), problem.k, unnamed)
    if held is None:
        raise _unmet(problem, network)
    degenerate = f"dual_degenerate: prices at {held.open_nodes} of {network.nodes} nodes are not unique"
    notes = (degenerate,) if held.open_nodes else ()
    return locational.recorded(problem, "dlmp", _outcome(whole, held, place), notes)


def _network(problem: Problem, place: Ints, first: Ints) -> Network:
    offered, tree = by_offer(problem), problem.tree
    curves = [aggregate([offered[index] for index in np.flatnonzero(place == here)]) for here in range(len(first))]
    # A limit that is more than all there is holds nothing back, and a programme wants numbers.
    everything = sum(curve.max_kw - curve.min_kw for curve in curves)
    imports, exports = (-tree.lower_kw).clip(None, everything).tolist(), tree.upper_kw.clip(None, everything).tolist()
    links = [
        Link(tree.parent[node], node, carrying(imports[node], exports[node])) for node in range(1, len(tree.names))
    ]
    most = np.array([limit.most for limit in problem.linear], dtype=float)
    return Network(curves, tree.offer_node[first], links, len(tree.names), problem.weights[:, first], most)


def _eased(problem: Problem, network: Network) -> Network:
    """With every linear limit missed by what nobody counts as missed."""
    return replace(network, most=network.most + [limit.tolerance for limit in problem.linear])


def _outcome(problem: Problem, held: Held, place: Ints) -> Outcome:
    tree = problem.tree
    adder = problem.adder_per_kwh - held.sum_price @ problem.weights
    plateau, low, high = choices(problem, held.price[tree.offer_node] + adder)
    prices = [price if ok else None for price, ok in zip(held.price.tolist(), held.named.tolist(), strict=True)]
    return Outcome(
        plateau.split(place, held.powers),
        tuple(_direction(held, tree.parent[node], node) for node in range(len(tree.names))),
        prices,
        prices,
        adder,
        low,
        high,
        held.sum_price,
    )


def _direction(held: Held, parent: int, node: int) -> Direction | None:
    """Which limit parts the price of a node from its parent's."""
    rise = float(held.price[node] - held.price[parent]) if node else 0.0
    return None if abs(rise) <= PRICE_PER_KWH else "FORWARD" if rise > 0 else "REVERSE"


def _unmet(problem: Problem, network: Network) -> MarketError:
    soft = np.arange(network.nodes + len(network.most)) >= network.nodes
    return locational.unmet(problem, programme.excess(network.all_curves, network.system, soft)[soft])


POLICY = Policy(
    "dlmp",
    clear,
    frozenset(
        {"balance", "curves", "range", "adders", "limits", "linear", "rational", "money", "solvent", "efficient"}
    ),
    "PAY_AS_CLEAR",
    "locational prices as duals of one linear programme",
    source="Bai, Wang, Wang, Chen and Li, IEEE Transactions on Power Systems 33(4), 2018, without losses and reactive power",
)
