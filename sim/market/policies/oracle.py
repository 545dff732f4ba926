"""The oracle: what somebody would do who knew all that will be.  A yardstick, not a policy that anybody could run."""

from __future__ import annotations

import functools

import numpy as np

from sim.curves import Floats
from sim.market.horizon import Flow, Horizon, Plan, Store, plan
from sim.market.policies import locational
from sim.market.policies.none import balanced
from sim.market.policy import Policy
from sim.market.problem import Clearing, ClearingPolicy, Problem, record
from sim.tolerances import PRICE_PER_KWH


def clear(problem: Problem) -> Clearing:
    """The welfare optimum of one market within its limits: where there is but one, offers are all there is to know."""
    return locational.recorded(problem, "oracle", locational.optimum(problem))


def foreseeing(horizon: Horizon) -> ClearingPolicy:
    """The policy that follows the plan of least cost over all intervals of a run, at the prices of its duals.

    Set-points are the plan's as far as curves reach, at whatever price: bidders know less, and a load that cannot be told
    what to do does in the end what the plan foresaw.  The slack takes the rest.
    Source: multi-period dispatch with perfect foresight, the usual upper bound of the literature.
    """
    traders = _traders(horizon)

    @functools.cache
    def known() -> Plan:
        return plan(horizon)

    def follow(problem: Problem) -> Clearing:
        interval = problem.interval
        if interval is None:
            return clear(problem)
        power = {era: 0.0 for era in traders.values()}
        for era, trader in traders.items():
            power[trader] += float(known().setpoint_kw[era][interval])
        wanted = np.array([power.get(offer.era, 0.0) for offer in problem.offers], dtype=float)
        planned: Floats = np.clip(wanted, problem.stack.min_kw, problem.stack.max_kw)
        node_price = [float(known().price_per_kwh[name][interval]) for name in problem.tree.names]
        adders = [p - node_price[above] for p, above in zip(node_price, problem.tree.parent, strict=True)]
        return record(
            problem,
            "oracle",
            balanced(problem, np.where(problem.is_slack, 0.0, planned)),
            node_price=node_price,
            participant_price=[node_price[node] for node in problem.tree.offer_node.tolist()],
            held=[
                None
                if node == 0
                else "FORWARD"
                if adder > PRICE_PER_KWH
                else "REVERSE"
                if adder < -PRICE_PER_KWH
                else None
                for node, adder in enumerate(adders)
            ],
        )

    return follow


def _traders(horizon: Horizon) -> dict[str, str]:
    """By participant of the plan, who trades for it."""
    everything: tuple[Flow | Store, ...] = (*horizon.flows, *horizon.stores)
    return {one.era: one.trader or one.era for one in everything}


POLICY = Policy(
    "oracle",
    clear,
    frozenset({"balance", "money"}),
    "PAY_AS_CLEAR",
    "perfect foresight: in a run, the plan of least cost over all its intervals; in one market, the optimum",
    heeds_limits=False,
    source="multi-period linear programme with all that will be known",
    foreseeing=foreseeing,
)
