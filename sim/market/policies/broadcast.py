"""Broadcast: the slack's tariff and the adders that nodes have announced are told to all, and everybody answers by himself.

Nothing is cleared, so that nobody's answer moves a price before the next gate.  Where nodes announce what follows from the
flow that these answers have made, the two go round in a loop that settles or swings (``sim.market.adders``).  Without
announced adders it is the tariff alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sim.curves import Floats
from sim.market.community import tariff_of
from sim.market.policies.none import balanced
from sim.market.policy import Policy
from sim.market.problem import MARGIN, Clearing, Problem, receipts_per_h, record
from sim.tolerances import POWER_KW, PRICE_PER_KWH


def clear(problem: Problem) -> Clearing:
    """Withdrawals at the import price, injections at the export price, either with the adders on the path from the root.

    The slack takes the rest, whatever its curve says, and a node's price is the one for withdrawals.  What adders collect is
    a rent, below zero where they pay for reverse flow; what the slack's two prices leave on power that it did not have to
    carry is its margin.  No limit is looked at.  Raises ``MarketError`` without a slack that has a tariff.
    """
    tariff, path = tariff_of(problem, "broadcast"), announced(problem)
    own = np.where(problem.is_slack, 0.0, path[problem.tree.offer_node] + problem.adder_per_kwh)
    buying, selling = tariff.import_price + own, tariff.export_price + own
    setpoint = balanced(problem, answers(problem, buying, selling))
    withdraws = (setpoint < 0) != problem.is_slack
    prices = [p if kw else None for p, kw in zip(np.where(withdraws, buying, selling).tolist(), setpoint, strict=True)]
    node_price = (tariff.import_price + path).tolist()
    clearing = record(problem, "broadcast", setpoint, node_price=node_price, participant_price=prices)
    margin = -receipts_per_h(clearing) - sum(clearing.accounts.values())
    dearest = float(np.abs(np.concatenate((buying, selling))).max(initial=0.0))
    if abs(margin) <= POWER_KW * dearest + PRICE_PER_KWH * clearing.quantity_kw:
        return clearing
    return replace(clearing, accounts={**clearing.accounts, MARGIN: margin})


def announced(problem: Problem) -> Floats:
    """By node of the tree, the sum of the adders from the root to it [currency/kWh]; what the root announces has no place."""
    adder = {limit.node: limit.adder_per_kwh for limit in problem.limits}
    path = np.zeros(len(problem.tree.names))
    for node, parent in enumerate(problem.tree.parent[1:], start=1):
        path[node] = path[parent] + adder[problem.tree.names[node]]
    return path


def answers(problem: Problem, buying: Floats | float, selling: Floats | float) -> Floats:
    """What is best for each at its own two prices; who does not care trades, who could do both rests.  Zero for the slack."""
    withdrawn = np.minimum(problem.stack.span(buying)[0], 0.0)
    injected = np.maximum(problem.stack.span(selling)[1], 0.0)
    torn = (withdrawn < 0) & (injected > 0)
    best: Floats = np.where(problem.is_slack | torn, 0.0, withdrawn + injected)
    return best


POLICY = Policy(
    "broadcast",
    clear,
    frozenset({"balance", "money"}),
    "PAY_AS_CLEAR",
    "everybody answers the tariff with the adders that nodes have announced; nothing is kept",
    heeds_limits=False,
    truthful="price takers",
)
