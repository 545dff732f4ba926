"""What would have crossed the transformers had the market asked nobody to do anything else."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import pandas as pd

from results.once import once
from results.run import Run
from sim.market.problem import Problem
from sim.market.wire_form import read_problem


@once
def flows_kw(run: Run) -> pd.DataFrame:
    """Import of each node (column) by interval (row) if all who offered there had done what they named as their baseline.

    Each starts from where this run had got to: a battery that the market filled, a car that it kept waiting.  So this is
    what the clearing of the interval changed, and not what another run without a market would show.  NaN where there was
    no clearing, and at nodes below whoever traded for what stands there: which of them would have carried how much, no
    market was told.  Without losses, like the flow as cleared.  Whoever named no baseline counts as
    ``Offer.uncoordinated_kw`` says.
    """
    rows = dict(_rows(run))
    return pd.DataFrame.from_dict(rows, orient="index").reindex(range(run.calendar.count))


def _rows(run: Run) -> Iterator[tuple[int, Mapping[str, float]]]:
    hosts = {str(era): str(host) for era, host in zip(run.participants["era"], run.participants["host"], strict=True)}
    places = {str(era): str(node) for era, node in zip(run.participants["era"], run.participants["node"], strict=True)}
    for interval, (ask, _) in run.clearings.items():
        problem = read_problem(ask, f"aggregate of interval {interval}")
        yield interval, _flows(problem) | dict.fromkeys(_inside(problem, hosts, places), math.nan)


def _inside(problem: Problem, hosts: Mapping[str, str], places: Mapping[str, str]) -> Iterator[str]:
    """Nodes between a participant and whoever traded for it.  hosts, places: host and node of everybody, empty without."""
    parents = {limit.node: limit.parent for limit in problem.limits}
    traded = {offer.era: offer.node for offer in problem.offers}
    for era, place in places.items():
        trader, node = era, place or None
        while hosts.get(trader):
            trader = hosts[trader]
        while node is not None and node != traded.get(trader, node):
            yield node
            node = parents[node]


def _flows(problem: Problem) -> dict[str, float]:
    """The root's is what its own offers would leave over; nobody reads it."""
    tree = problem.tree
    flow_kw = [0.0] * len(tree.names)
    for offer, node in zip(problem.offers, tree.offer_node.tolist(), strict=True):
        flow_kw[node] -= offer.uncoordinated_kw
    for node in range(len(tree.names) - 1, 0, -1):
        flow_kw[tree.parent[node]] += flow_kw[node]
    return dict(zip(tree.names, flow_kw, strict=True))
