"""One market round as a pure matter: the rules, the problem, its solution, and what to do when a policy fails."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from msgspec import UNSET

from sim.errors import MarketError
from sim.market.certificate import Certificate, certify
from sim.market.policies import Policy
from sim.market.problem import Clearing, Limit, Offer, Problem
from sim.wire.bags import GridNode


class Stage(StrEnum):
    """Where a market round stands."""

    GATE_CLOSED = "GATE_CLOSED"
    CLEARED = "CLEARED"
    FAILED = "FAILED"
    PUBLISHED = "PUBLISHED"


@dataclass(frozen=True, slots=True)
class Rules:
    """How a market clears: its policy, what it falls back on, and the bounds of its prices per kWh.

    firm_share: share of an export limit from which on set-points below it are also the most that may be injected.
    """

    policy: Policy
    fallback: Policy
    k: float
    price_floor: float
    price_cap: float
    firm_share: float
    confirm_s: int
    gate_s: int


@dataclass(frozen=True, slots=True)
class Round:
    """One gate: the problem, its outcome, and whether the fallback had to serve."""

    stage: Stage
    problem: Problem | None = None
    clearing: Clearing | None = None
    certificate: Certificate | None = None
    fallback: bool = False


Clear = Callable[[Problem, Policy], tuple[Clearing, Certificate]]


def clear_and_certify(problem: Problem, policy: Policy) -> tuple[Clearing, Certificate]:
    """Clear by a policy and check the outcome independently of how it was found."""
    clearing = policy.clear(problem)
    return clearing, certify(problem, clearing)


def limit_of(node: GridNode, root: str) -> Limit:
    """The limit that a published grid node means; one without a parent hangs below ``root``."""
    constraints = node.gridConstraints
    return Limit(
        node.nodeId,
        root if node.gridNode is UNSET else node.gridNode,
        math.inf if constraints.maxForwardFlowKW is UNSET else constraints.maxForwardFlowKW,
        math.inf if constraints.maxReverseFlowKW is UNSET else constraints.maxReverseFlowKW,
    )


def problem_of(offers: tuple[Offer, ...], limits: tuple[Limit, ...], rules: Rules, supplier: str) -> Problem:
    """The market problem of a gate; the supplier stands for the upstream grid if it has offered."""
    present = any(offer.era == supplier for offer in offers)
    return Problem(
        offers=offers,
        limits=limits,
        k=rules.k,
        price_floor=rules.price_floor,
        price_cap=rules.price_cap,
        slack=supplier if present else None,
    )


def solve(problem: Problem, rules: Rules, clear: Clear) -> tuple[Clearing, Certificate, bool]:
    """Clear and certify.  A policy that fails, or breaks what it promises, gives way to the fallback (last value: true)."""
    try:
        clearing, certificate = clear(problem, rules.policy)
    except MarketError:
        return (*clear(problem, rules.fallback), True)
    if any(violation.condition in rules.policy.promises for violation in certificate.violations):
        return (*clear(problem, rules.fallback), True)
    return clearing, certificate, False


def firm_nodes(done: Round, rules: Rules) -> frozenset[str]:
    """Nodes below a limit that reverse flow comes near to, if the policy looks at limits at all.

    What is offered there is a forecast; more sun than that must not push the flow over a limit nobody priced in.
    """
    served = rules.fallback if done.fallback else rules.policy
    if done.clearing is None or done.problem is None or "limits" not in served.promises:
        return frozenset()
    tree = done.problem.tree
    export_kw = tree.power_kw(np.array([done.clearing.setpoint_kw[offer.era] for offer in done.problem.offers]))
    near: list[bool] = []
    for node in range(len(tree.names)):
        own = bool(node and export_kw[node] > rules.firm_share * tree.upper_kw[node])
        near.append(own or (node > 0 and near[tree.parent[node]]))
    return frozenset(name for name, is_near in zip(tree.names, near, strict=True) if is_near)


def surplus_per_h(clearing: Clearing) -> float:
    """What all participants together pay more than they receive at their prices [currency/h].

    Under locational prices it equals Σ adder · flow over the nodes, the congestion rent.
    """
    return -sum((clearing.participant_price[era] or 0.0) * p_kw for era, p_kw in clearing.setpoint_kw.items())
