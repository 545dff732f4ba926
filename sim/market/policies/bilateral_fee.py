"""Bilateral trade with a grid fee: whoever trades over a distance pays for it, so that neighbours come first.

The fee of a pair is proportional to its electrical distance, the sum of the distances of the transformers on the path
between them.  Trades are those that are worth most after fees, which is a transport problem; its duals are the prices: what
a buyer pays lies above what its seller gets by the fee of the pair.  Which of the two hands the fee over changes nobody's
bill.  The grid's limits are not looked at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sim.curves import Floats, aggregate
from sim.errors import Fault, MarketError
from sim.market import network
from sim.market.network import Held, Link, Network, bounded, carrying, unnamed_price
from sim.market.offered import by_offer, choices
from sim.market.policy import Policy
from sim.market.problem import GRID_FEE, Clearing, Deal, Offer, Problem, record
from sim.tolerances import POWER_KW, PRICE_PER_KWH

TAU = 0.01
"""Fee for one unit of distance, which is one transformer where nothing else is given [currency/kWh]."""


def clear(problem: Problem, tau: float = TAU) -> Clearing:
    """The trades that are worth most after fees of ``tau`` (>= 0) for every unit of distance; known adders are not looked at.

    Raises ``MarketError`` for a negative ``tau``, and names those who take or give at any price where nobody does the
    reverse and there is no price cap or floor to cut them at.
    """
    if not 0 <= tau < math.inf:
        raise MarketError("bilateral-fee", (Fault("tau", f"{tau:g} is not a fee >= 0"),))
    distance = {limit.node: limit.distance for limit in problem.limits}
    tree, everything = problem.tree, _everything(problem)
    links = [
        Link(tree.parent[node], node, carrying(everything, everything, _ready(tau * distance[name])))
        for node, name in enumerate(tree.names)
        if node
    ]
    return traded(problem, links)


def one_way(problem: Problem, tail: int, head: int, fee_per_kwh: float) -> Link:
    """A link over which a kWh may be sold from one node to another for a fee; for fees that are no distances."""
    return Link(tail, head, carrying(_everything(problem), 0.0, _ready(fee_per_kwh)))


def traded(problem: Problem, links: Sequence[Link]) -> Clearing:
    """The trades that are worth most after the fees of these links.  Within a node trade is free."""
    unnamed = unnamed_price(problem)
    plain = replace(problem, offers=tuple(replace(offer, adder_per_kwh=0.0) for offer in problem.offers))
    whole = bounded(plain, unnamed)
    held = network.hold(_network(whole, links), problem.k, unnamed)
    if held is None:
        raise MarketError("bilateral-fee", "no trades balance what is offered")
    _refuse_unpriced(problem, held)
    price = held.price[problem.tree.offer_node]
    setpoint = choices(whole, price)[0].split(problem.tree.offer_node, held.powers)
    told = [p if ok else None for p, ok in zip(held.price.tolist(), held.named.tolist(), strict=True)]
    collected = -float(price @ setpoint)
    rounding = PRICE_PER_KWH * (1.0 + float(np.abs(setpoint).sum())) + POWER_KW * float(np.abs(price).max(initial=0.0))
    return record(
        problem,
        "bilateral-fee",
        setpoint,
        node_price=told,
        participant_price=[told[node] for node in problem.tree.offer_node.tolist()],
        deals=_deals(problem, setpoint, held, links),
        accounts={GRID_FEE: collected} if abs(collected) > rounding else {},
    )


def _ready(fee_per_kwh: float) -> float:
    """A fee less what nobody counts, so that who gains nothing by trading trades."""
    return max(fee_per_kwh - PRICE_PER_KWH, 0.0)


def _everything(problem: Problem) -> float:
    """More than could ever flow [kW]."""
    return float(np.maximum(np.abs(problem.stack.min_kw), np.abs(problem.stack.max_kw)).sum()) + 1.0


def _network(problem: Problem, links: Sequence[Link]) -> Network:
    offered, at = by_offer(problem), problem.tree.offer_node
    nodes = len(problem.tree.names)
    curves = [aggregate([offered[index] for index in np.flatnonzero(at == node)]) for node in range(nodes)]
    return Network(curves, np.arange(nodes), links, nodes, np.zeros((0, nodes)), np.zeros(0))


def _refuse_unpriced(problem: Problem, held: Held) -> None:
    faults = tuple(
        _unpriced(index, offer)
        for index, offer in enumerate(problem.offers)
        if not held.named[problem.tree.offer_node[index]] and (offer.curve.min_kw > 0 or offer.curve.max_kw < 0)
    )
    if faults:
        raise MarketError("bilateral-fee", faults)


def _unpriced(index: int, offer: Offer) -> Fault:
    way, end, kw = (
        ("gives", "floor", offer.curve.min_kw) if offer.curve.min_kw > 0 else ("takes", "cap", -offer.curve.max_kw)
    )
    what = f"{offer.era} {way} {kw:g} kW at any price, and nobody names one"
    return Fault(f"offers/{index}/curve", what, f"give the market a price {end} or a slack")


def _deals(problem: Problem, setpoint_kw: Floats, held: Held, links: Sequence[Link]) -> tuple[Deal, ...]:
    """Who sells to whom: every seller in turn follows the flow to the first that still needs something.

    Other pairs may explain the same flows; what each pays and gets is the same for all.
    """
    at = problem.tree.offer_node.tolist()
    flow = held.flow_kw.copy()
    buyers: list[list[int]] = [[] for _ in problem.tree.names]
    for index in np.flatnonzero(setpoint_kw < -POWER_KW).tolist():
        buyers[at[index]].append(index)
    need = -setpoint_kw
    deals: list[Deal] = []
    for seller in np.flatnonzero(setpoint_kw > POWER_KW).tolist():
        left = float(setpoint_kw[seller])
        while left > POWER_KW:
            path, node = _path(at[seller], buyers, flow, links)
            if not buyers[node]:
                break  # but for rounding, nobody is left
            buyer = buyers[node][0]
            kw = min([left, float(need[buyer]), *(abs(float(flow[link])) for link in path)])
            deals.append(_deal(problem, seller, buyer, kw, held))
            left, need[buyer] = left - kw, need[buyer] - kw
            for link in path:
                flow[link] -= math.copysign(kw, flow[link])
            if need[buyer] <= POWER_KW:
                buyers[node].pop(0)
    return tuple(deals)


def _deal(problem: Problem, seller: int, buyer: int, kw: float, held: Held) -> Deal:
    gets, pays = (float(held.price[problem.tree.offer_node[index]]) for index in (seller, buyer))
    return Deal(problem.offers[seller].era, problem.offers[buyer].era, kw, pays, gets)


def _path(node: int, buyers: list[list[int]], flow: Floats, links: Sequence[Link]) -> tuple[list[int], int]:
    """The links from a node along the flow to the first node where somebody still needs something, and that node."""
    path: list[int] = []
    while not buyers[node]:
        onward = _onward(node, flow, links, path)
        if onward is None:
            break
        path.append(onward)
        node = links[onward].head if flow[onward] > 0 else links[onward].tail
    return path, node


def _onward(node: int, flow: Floats, links: Sequence[Link], path: list[int]) -> int | None:
    for index, link in enumerate(links):
        leaves = link.tail == node if flow[index] > 0 else link.head == node
        if leaves and abs(flow[index]) > POWER_KW / 10 and index not in path:
            return index
    return None


POLICY = Policy(
    "bilateral-fee",
    clear,
    frozenset({"balance", "curves", "range", "rational", "money", "solvent"}),
    "PAY_AS_CLEAR",
    "bilateral trade with a grid fee by electrical distance",
    heeds_limits=False,
    source="Baroche, Pinson, Latimier and Ben Ahmed, IEEE Transactions on Power Systems 34(4), 2019",
)
