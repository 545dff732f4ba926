"""Vickrey, Clarke and Groves: the optimum within all limits, and everybody is paid what it is worth to the others.

Seen from one participant, all the others and the grid between them are one offer curve.  What a set-point is worth to them
is the area under it, and that is what the participant gets, or pays.

Promises the greatest welfare within the limits, that nobody loses, and that no lie pays, about prices or powers.  What it
cannot promise is that the money suffices: buyers pay less than sellers get, and somebody has to give the difference
(Myerson and Satterthwaite, Journal of Economic Theory 29(2), 1983: no rule has all four).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sim.curves import SAME_KW, CurveStack, Floats, OfferCurve, aggregate, clip
from sim.market.offered import by_offer
from sim.market.orders import whole_curves
from sim.market.policies import locational
from sim.market.policy import Policy
from sim.market.problem import Clearing, Problem, Tree, record

SUBSIDY = "subsidy"
"""Account of who gives what the payments lack; negative where he pays in."""


def clear(problem: Problem) -> Clearing:
    """The set-points of ``locational``; a participant's price is what it gets for its set-point, per kWh.

    Raises ``MarketError`` that names whoever takes or gives at any price where there is no price cap or floor: what the
    others would do without its counterpart would have no value.
    """
    whole_curves(problem)
    optimum = locational.clear(problem)
    setpoint = problem.in_order(optimum.setpoint_kw)
    worth = _worth_one_by_one(problem, setpoint) if problem.linear else _worth_on_the_tree(problem, setpoint)
    trades = np.abs(setpoint) > SAME_KW
    receipts = np.where(trades, worth + problem.adder_per_kwh * setpoint, 0.0)
    paid = float(receipts.sum())
    price = np.divide(receipts, setpoint, out=np.zeros(len(setpoint)), where=trades)
    return record(
        problem,
        "vcg",
        setpoint,
        participant_price=[float(p) if ok else None for p, ok in zip(price, trades, strict=True)],
        held=[optimum.binding[node] for node in problem.tree.names],
        accounts={SUBSIDY: -paid} if paid else {},
    )


def _worth_on_the_tree(problem: Problem, setpoint_kw: Floats) -> Floats:
    """By offer, what its set-point is worth to all others [currency/h], against its doing nothing."""
    tree, offered = problem.tree, by_offer(problem)
    here: list[list[int]] = [[] for _ in tree.names]
    for index, node in enumerate(tree.offer_node.tolist()):
        here[node].append(index)
    worth = np.zeros(len(offered))
    for indices, around in zip(here, _around(tree, [[offered[i] for i in own] for own in here]), strict=True):
        for index in indices:
            others = aggregate([around, *(offered[other] for other in indices if other != index)])
            worth[index] = CurveStack([others]).welfare(-setpoint_kw[index : index + 1])[0]
    return worth


def _around(tree: Tree, offered: list[list[OfferCurve]]) -> list[OfferCurve]:
    """By node, what the rest of the grid offers it: through the transformer above it and through those below it.

    Up the tree, each node offers its parent what lies at and below it; down the tree, each parent offers its child all the
    rest; both clipped to the limits of the transformer between them.
    """
    lower, upper = tree.lower_kw.tolist(), tree.upper_kw.tolist()
    nodes = range(len(tree.names))
    nothing = aggregate([])
    below, above = [nothing] * len(nodes), [nothing] * len(nodes)
    for node in reversed(nodes[1:]):
        total = aggregate([*offered[node], *(below[child] for child in tree.children[node])])
        below[node] = clip(total, -lower[node], upper[node])
    for node in nodes[1:]:
        parent = tree.parent[node]
        beside = (below[child] for child in tree.children[parent] if child != node)
        above[node] = clip(aggregate([*offered[parent], above[parent], *beside]), upper[node], -lower[node])
    return [aggregate([above[node], *(below[child] for child in tree.children[node])]) for node in nodes]


def _worth_one_by_one(problem: Problem, setpoint_kw: Floats) -> Floats:
    """As on the tree, where linear limits hold too: the others' gain now less what it would be, had one not offered."""
    value = CurveStack(by_offer(problem))
    present = value.welfare(setpoint_kw)
    worth = np.zeros(len(setpoint_kw))
    for index in np.flatnonzero(np.abs(setpoint_kw) > SAME_KW).tolist():
        alone = locational.clear(_without(problem, index)).setpoint_kw
        instead = value.welfare(np.array([alone.get(offer.era, 0.0) for offer in problem.offers], dtype=float))
        worth[index] = present.sum() - present[index] - (instead.sum() - instead[index])
    return worth


def _without(problem: Problem, index: int) -> Problem:
    gone = problem.offers[index].era
    return replace(
        problem,
        offers=tuple(offer for offer in problem.offers if offer.era != gone),
        slack=None if problem.slack == gone else problem.slack,
        linear=tuple(
            replace(limit, weight={era: weight for era, weight in limit.weight.items() if era != gone})
            for limit in problem.linear
        ),
    )


POLICY = Policy(
    "vcg",
    clear,
    frozenset({"balance", "limits", "adders", "linear", "rational", "money", "efficient"}),
    "PAY_AS_CLEAR",
    "the optimum within all limits, paid by what it is worth to the others; needs a sponsor",
    truthful="always",
    source="Clarke, Public Choice 11, 1971; Vickrey 1961; Groves 1973",
)
