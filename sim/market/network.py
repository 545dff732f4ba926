"""A market on a network, as one linear programme: places that offer, links that carry, and a price at every node.

A link is an offer curve too: how much it carries from its tail to its head, by how much the price of the head lies above
that of the tail.  A limit carries anything within it at no difference; a fee carries nothing until the difference is the fee.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sim.curves import PRICE_DECIMALS, Flags, Floats, Ints, OfferCurve
from sim.market import programme
from sim.market.problem import Problem
from sim.tolerances import PRICE_PER_KWH

_SOLVED = PRICE_PER_KWH / 10
"""Prices that programmes find are known to this."""

_SAME = 1e-6
"""Prices that differ by less are one: on a flat slope, rounded powers leave that much open."""

_POWER_DECIMALS = 10
"""Of the powers [kW] that a programme finds; below, there is only its rounding."""


@dataclass(frozen=True, slots=True)
class Link:
    """Carries power from node ``tail`` to node ``head``, both by number; less than nothing is carried the other way."""

    tail: int
    head: int
    curve: OfferCurve


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """Curves at nodes (``node``: of each), links between ``nodes`` nodes, and weighted sums of the curves' powers that may
    not be more than ``most`` (``weights``: a row for each)."""

    curves: Sequence[OfferCurve]
    node: Ints
    links: Sequence[Link]
    nodes: int
    weights: Floats
    most: Floats

    @property
    def system(self) -> programme.System:
        """One row for each node: what is offered there and arrives leaves; then the weighted sums.

        With these signs the price of a node's row is the price of the node.
        """
        count, at = len(self.curves), range(len(self.links))
        balance = np.zeros((self.nodes, count + len(self.links)))
        balance[self.node, np.arange(count)] = -1.0
        balance[[link.tail for link in self.links], [count + n for n in at]] = 1.0
        balance[[link.head for link in self.links], [count + n for n in at]] = -1.0
        weights = np.concatenate((self.weights, np.zeros((len(self.most), len(self.links)))), axis=1)
        return programme.System(
            np.concatenate((balance, weights)),
            np.concatenate((np.zeros(self.nodes), self.most)),
            np.arange(self.nodes + len(self.most)) < self.nodes,
            balanced=False,
        )

    @property
    def all_curves(self) -> list[OfferCurve]:
        """Of the places, then of the links."""
        return [*self.curves, *(link.curve for link in self.links)]


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A market held on a network.

    powers, flow_kw: by curve and by link.  price, sum_price: by node and by weighted sum.  named: by node, whether anybody
    holds its price; where nobody does, it is any that would do.  open_nodes: at how many nodes another price would do.
    """

    powers: Floats
    flow_kw: Floats
    price: Floats
    named: Flags
    sum_price: Floats
    open_nodes: int


def hold(network: Network, k: float, unnamed: float) -> Held | None:
    """The powers that are worth most, and prices for them; None where no powers fit the network.

    Where the prices are not unique, the one is ``k`` of the way from those that sum to least to those that sum to most.  A
    price that only one side holds is as near to that side as the others let it be.
    unnamed: a price [currency/kWh] more than twice as far from zero as any that anybody could mean.
    Raises ``MarketError`` where the programmes do not settle.
    """
    system, curves = network.system, network.all_curves
    solution = programme.solve(curves, system, _SOLVED)
    if solution is None:
        return None
    powers = np.round(solution.powers, _POWER_DECIMALS)
    support = programme.Support.of(curves, system, powers, solution, unnamed)
    prices, open_nodes = _chosen(support, solution.row_price, network.nodes, k, unnamed / 2)
    count, nodes = len(network.curves), network.nodes
    price = np.round(prices, PRICE_DECIMALS) + 0.0
    named = np.abs(price[:nodes]) < unnamed / 2
    return Held(powers[:count], powers[count:], price[:nodes], named, price[nodes:], open_nodes)


def _chosen(support: programme.Support, vertex: Floats, nodes: int, k: float, beyond: float) -> tuple[Floats, int]:
    """Row prices out of all that support the powers, and how many nodes' are not unique.  vertex: some of them."""
    is_node = np.arange(len(vertex)) < nodes
    lowest, highest = support.least(is_node.astype(float)), support.least(-is_node.astype(float))
    if lowest is None or highest is None:
        return vertex, 0
    open_nodes = int((np.abs(highest - lowest) > _SAME)[is_node].sum())
    if not open_nodes:
        return vertex, 0
    mixed = (1 - k) * lowest + k * highest
    low_end, high_end = is_node & (lowest < -beyond), is_node & (highest > beyond)
    endless = low_end | high_end
    if (low_end & high_end).any() and not is_node.all():
        return vertex, open_nodes  # prices of sums may go with those of nodes to no end; these do not
    if endless.any():
        towards = high_end.astype(float) - low_end
        near = support.least(towards, np.where(endless | ~is_node, math.nan, mixed))
        mixed = vertex if near is None else np.where(low_end & high_end, 1.5 * beyond, near)
    return mixed, open_nodes


def carrying(import_kw: float, export_kw: float, difference: float = 0.0) -> OfferCurve:
    """A link from a parent that carries up to its limits as soon as prices part by this difference (>= 0) in its favour."""
    least, most = -export_kw, import_kw
    corners = [(-difference, least), (-difference, 0.0), (difference, 0.0), (difference, most)]
    return OfferCurve(np.array([price for price, _ in corners]), np.array([kw for _, kw in corners]))


def unnamed_price(problem: Problem) -> float:
    """A price that nobody could mean [currency/kWh], more than twice as far from zero as any."""
    ends = [end for end in (problem.price_cap, problem.price_floor) if math.isfinite(end)]
    named = [end for offer in problem.offers for end in (offer.curve.prices[0], offer.curve.prices[-1])]
    adder = float(np.abs(problem.adder_per_kwh).max(initial=0.0))
    return 100 * (1 + adder + max((abs(float(price)) for price in (*ends, *named)), default=0.0))


def bounded(problem: Problem, unnamed: float) -> Problem:
    """The problem with a price cap and floor that nobody could mean where it has none, so that there is a last resort."""
    cap, floor = problem.price_cap, problem.price_floor
    return replace(
        problem,
        price_cap=cap if math.isfinite(cap) else unnamed,
        price_floor=floor if math.isfinite(floor) else -unnamed,
    )
