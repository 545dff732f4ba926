"""What would have crossed the transformers had the market asked nobody to do anything else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from results.metrics.once import once
from results.run import Run
from sim.market.problem import Problem
from sim.market.wire_form import read_problem


@once
def flows_kw(run: Run) -> pd.DataFrame:
    """Import of each node (column) by interval (row) if all who offered there had done what they named as their baseline.

    Each starts from where this run had got to: a battery that the market filled, a car that it kept waiting.  So this is
    what the clearing of the interval changed, and not what another run without a market would show.  NaN where there was
    no clearing.  Without losses, like the flow as cleared.  Whoever named no baseline counts as ``Offer.uncoordinated_kw``
    says.
    """
    rows = dict(_rows(run))
    return pd.DataFrame.from_dict(rows, orient="index").reindex(range(run.calendar.count))


def _rows(run: Run) -> Iterator[tuple[int, Mapping[str, float]]]:
    for interval, (ask, _) in run.clearings.items():
        yield interval, _flows(read_problem(ask, f"aggregate of interval {interval}"))


def _flows(problem: Problem) -> dict[str, float]:
    """The root's is what its own offers would leave over; nobody reads it."""
    tree = problem.tree
    flow_kw = [0.0] * len(tree.names)
    for offer, node in zip(problem.offers, tree.offer_node.tolist(), strict=True):
        flow_kw[node] -= offer.uncoordinated_kw
    for node in range(len(tree.names) - 1, 0, -1):
        flow_kw[tree.parent[node]] += flow_kw[node]
    return dict(zip(tree.names, flow_kw, strict=True))
