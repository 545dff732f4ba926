"""One market round as a pure matter: the rules, the problem, its solution, and what to do when a policy fails."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from msgspec import UNSET

from agents.offsets import Order, ordered
from sim.curves import NOTHING
from sim.errors import DegsimError, Fault, MarketError, nearest
from sim.market import gaps
from sim.market.assessment import Assessment
from sim.market.certificate import Certificate, certify
from sim.market.economics import broken
from sim.market.policy import Policy
from sim.market.problem import Clearing, Limit, Offer, Problem, Sharing
from sim.rng import stream
from sim.tolerances import LOADING
from sim.wire.bags import GridNode

MARGIN_ON_GAP = 1.05
"""A limit is tightened by the measured gap and a little more, so that the next outcome lands on the safe side."""

SAME_LOSSES = 1e-3
"""Marginal losses are known well enough when no price would move by more than this share of the price above."""


def silenced(offer: Offer) -> Offer:
    """The offer of somebody whom no supply reaches: nothing at any price."""
    return replace(offer, curve=NOTHING, baseline_kw=0.0)


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
    rounds_max: outcomes that the grid operator is asked about before one is published; 0 to ask about none.
    sharing: who gets what where the price leaves a choice.  seed: of the run, from which a lottery draws another order for each
    interval.
    """

    policy: Policy
    fallback: Policy
    k: float
    price_floor: float
    price_cap: float
    firm_share: float
    confirm_s: int
    gate_s: int
    rounds_max: int = 0
    sharing: Sharing = "PRO_RATA"
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Round:
    """One gate: the problem, its outcome, and whether the fallback had to serve.

    number: of the outcome, from 1; a further one follows where the wires would not have carried it.  final: nobody asks about
    this outcome any more.  assessed_kw: flow through each node that the power flow gave for the outcome, + downstream.
    offset_kw: what nodes command and nobody has been moved for yet.  orders: who was moved in the outcome, by era.
    dropped: whose energy could not be locked after an outcome before this one; empty for nobody.
    """

    stage: Stage
    problem: Problem | None = None
    clearing: Clearing | None = None
    certificate: Certificate | None = None
    fallback: bool = False
    number: int = 1
    final: bool = False
    assessed_kw: Mapping[str, float] = field(default_factory=dict)
    offset_kw: Mapping[str, float] = field(default_factory=dict)
    orders: Mapping[str, Order] = field(default_factory=dict)
    dropped: str = ""


Clear = Callable[[Problem, Policy], tuple[Clearing, Certificate]]


def clear_and_certify(problem: Problem, policy: Policy) -> tuple[Clearing, Certificate]:
    """Clear by a policy and check the outcome independently of how it was found.

    Offers that rest or run at a minimum are decided (``gaps``), and the outcome is certified as it was decided.
    """
    clearing = gaps.clear(problem, policy.clear).clearing
    return clearing, certify(problem, clearing)


def limit_of(node: GridNode, root: str) -> Limit:
    """The limit that a published grid node means; one without a parent hangs below ``root``."""
    constraints, announced = node.gridConstraints, node.locationalPriceAdder
    return Limit(
        node.nodeId,
        root if node.gridNode is UNSET else node.gridNode,
        math.inf if constraints.maxForwardFlowKW is UNSET else constraints.maxForwardFlowKW,
        math.inf if constraints.maxReverseFlowKW is UNSET else constraints.maxReverseFlowKW,
        adder_per_kwh=0.0 if announced is UNSET else announced.currentPrice,
    )


def problem_of(
    offers: tuple[Offer, ...], limits: tuple[Limit, ...], rules: Rules, supplier: str, interval: int | None = None
) -> Problem:
    """The market problem of a gate; the supplier stands for the upstream grid if it has offered."""
    present = any(offer.era == supplier for offer in offers)
    return Problem(
        offers=offers,
        limits=limits,
        k=rules.k,
        price_floor=rules.price_floor,
        price_cap=rules.price_cap,
        slack=supplier if present else None,
        interval=interval,
        sharing=rules.sharing,
        seed=_drawing(rules, interval) if rules.sharing == "LOTTERY" else 0,
    )


def _drawing(rules: Rules, interval: int | None) -> int:
    """The seed of one interval's lottery; it travels with the problem, so that whoever reads that draws the same order."""
    return int(stream(rules.seed, "lottery", str(interval)).integers(2**31))


@dataclass(frozen=True, slots=True)
class Solved:
    """A problem cleared.  fallback: whether the stand-in did it; stopped: what the policy did that it had to."""

    clearing: Clearing
    certificate: Certificate
    fallback: bool = False
    stopped: str = ""


def solve(problem: Problem, rules: Rules, clear: Clear, *, fallback: bool = False) -> Solved:
    """Clear and certify.

    A policy that fails in whatever way, leaves somebody without a set-point, or breaks what it promises gives way to the
    fallback, and what it did is recorded: one interval of a bad policy is not worth a day's run.
    """
    if fallback:
        return Solved(*clear(problem, rules.fallback), fallback=True)
    try:
        clearing, certificate = clear(problem, rules.policy)
        fault = _fault(problem, clearing, certificate, rules.policy)
    except Exception as error:  # whatever a policy from outside may raise
        fault = f"{type(error).__name__}: {error}" if not isinstance(error, DegsimError) else str(error)
    if not fault:
        return Solved(clearing, certificate)
    clearing, certificate = clear(problem, rules.fallback)
    stopped = _noted(f"{rules.policy.name} was stopped: {fault}")
    return Solved(replace(clearing, notes=(stopped, *clearing.notes)), certificate, fallback=True, stopped=stopped)


def _fault(problem: Problem, clearing: Clearing, certificate: Certificate, policy: Policy) -> str:
    """What makes a clearing unusable, naming who; nothing if it can be published."""
    for offer in problem.offers:
        if not math.isfinite(clearing.setpoint_kw.get(offer.era, math.nan)):
            return f"{offer.era} has no set-point"
        price = clearing.participant_price.get(offer.era)
        if price is not None and not math.isfinite(price):
            return f"{offer.era} has the price {price}"
    first = next(iter(broken(problem, clearing, policy.promises, certificate)), None)
    return "" if first is None else f"it promises {first.condition}, but {first.who} {first.what}"


NOTE_CHARACTERS = 500
"""Of a note that tells why a policy was stopped; what an exception has to say may be longer than a wire wants."""


def _noted(text: str) -> str:
    """A text cut to the length of a note."""
    return text if len(text) <= NOTE_CHARACTERS else text[: NOTE_CHARACTERS - 1] + "…"


def offset_round(done: Round) -> Round | None:
    """What to clear instead of an outcome that grid nodes command offsets to; None where they command none, or none helps."""
    if not done.offset_kw or done.problem is None or done.clearing is None:
        return None
    problem, orders = ordered(done.problem, done.clearing, done.offset_kw)
    if not orders:
        return None
    return replace(_next(done, problem), offset_kw={}, orders=orders)


def round_without(done: Round, era: str) -> Round | None:
    """What to clear instead of an outcome when somebody's energy could not be locked: once, as if he had offered nothing.

    None where there is nothing to clear, or somebody was dropped before.
    """
    if done.dropped or done.problem is None or done.clearing is None:
        return None
    offers = tuple(silenced(offer) if offer.era == era else offer for offer in done.problem.offers)
    orders = {who: order for who, order in done.orders.items() if who != era}
    return replace(_next(done, replace(done.problem, offers=offers)), orders=orders, dropped=era)


def _next(done: Round, problem: Problem) -> Round:
    """The round that clears another problem in the place of an outcome, with all that was settled before."""
    return replace(
        done,
        stage=Stage.GATE_CLOSED,
        problem=problem,
        clearing=None,
        certificate=None,
        number=done.number + 1,
        assessed_kw={},
    )


def next_round(done: Round, assessment: Assessment, rules: Rules) -> Round | None:
    """What to clear instead of an outcome that the wires would not carry; None where it can stand.

    Every limit that the power flow found broken is tightened by the gap and a little more; voltages out of bounds become
    linear limits; whom no supply reaches is taken to offer nothing; marginal losses become what each price lies above its
    node's.  After ``rounds_max`` outcomes the fallback clears, if the policy has promised to keep limits.
    """
    assert done.problem is not None
    assert done.clearing is not None
    problem, is_broken = tightened(done.problem, done.clearing, assessment)
    priced = _with_losses(problem, done.clearing, assessment)
    served = rules.fallback if done.fallback else rules.policy
    if done.final or not (served.heeds_limits or assessment.unserved) or not (is_broken or priced is not problem):
        return None
    if done.number < rules.rounds_max and priced is not done.problem:
        return replace(_next(done, priced), fallback=False)
    if is_broken and "limits" in rules.policy.promises:
        return replace(_next(done, problem), fallback=True, final=True)
    return None


def tightened(problem: Problem, clearing: Clearing, assessment: Assessment) -> tuple[Problem, bool]:
    """The problem with the limits that an outcome breaks on the wires, and whether there are any.

    Raises ``MarketError`` for an assessment of nodes or participants that the problem does not have.
    """
    if not assessment.solved:
        return _halved(problem, clearing), True
    limits = {limit.node: limit for limit in problem.limits}
    strangers = [found.node for found in assessment.nodes if found.node not in limits]
    if strangers:
        raise MarketError("assessment", tuple(Fault("", f"unknown node {n}", nearest(n, limits)) for n in strangers))
    for found in assessment.nodes:
        limit, flow_kw = limits[found.node], clearing.flow_kw[found.node]
        if found.excess_forward_kw > _allowance(limit.import_limit_kw):
            most = max(flow_kw - MARGIN_ON_GAP * found.excess_forward_kw, 0.0)
            limits[found.node] = limit = replace(limit, import_limit_kw=min(limit.import_limit_kw, most))
        if found.excess_reverse_kw > _allowance(limit.export_limit_kw):
            most = max(-flow_kw - MARGIN_ON_GAP * found.excess_reverse_kw, 0.0)
            limits[found.node] = replace(limit, export_limit_kw=min(limit.export_limit_kw, most))
    linear = {known.name: known for known in problem.linear} | {new.name: new for new in assessment.voltages}
    unserved = set(assessment.unserved)
    offers = tuple(silenced(offer) if offer.era in unserved else offer for offer in problem.offers)
    over = any(
        found.excess_forward_kw > _allowance(limits[found.node].import_limit_kw)
        or found.excess_reverse_kw > _allowance(limits[found.node].export_limit_kw)
        for found in assessment.nodes
    )
    changed = tuple(limits.values()) != problem.limits or bool(assessment.voltages) or bool(unserved)
    if not changed:
        return problem, over  # a limit of zero cannot fall: what is over comes from elsewhere
    return replace(problem, offers=offers, limits=tuple(limits.values()), linear=tuple(linear.values())), True


def _allowance(limit_kw: float) -> float:
    return LOADING * limit_kw if math.isfinite(limit_kw) else 0.0


def _halved(problem: Problem, clearing: Clearing) -> Problem:
    """Half of every flow, where more than that had no solution at all."""

    def half(limit: Limit) -> Limit:
        if limit.parent is None:
            return limit
        flow_kw = clearing.flow_kw[limit.node]
        return replace(
            limit,
            import_limit_kw=min(limit.import_limit_kw, max(flow_kw, 0.0) / 2),
            export_limit_kw=min(limit.export_limit_kw, max(-flow_kw, 0.0) / 2),
        )

    return replace(problem, limits=tuple(half(limit) for limit in problem.limits))


def _with_losses(problem: Problem, clearing: Clearing, assessment: Assessment) -> Problem:
    """The problem with marginal losses as known adders; itself where they are known well enough.

    Another kW injected where it adds ``f`` kW of losses is worth ``1 - f`` kW above: its price lies ``f`` times the price
    above below that.
    """
    if assessment.loss_factor is None:
        return problem
    root = next(limit.node for limit in problem.limits if limit.parent is None)
    price = clearing.price_per_kwh[root] or 0.0
    wanted = {era: -factor * price for era, factor in assessment.loss_factor.items()}
    known = {offer.era: offer.adder_per_kwh for offer in problem.offers}
    if all(abs(wanted.get(era, 0.0) - adder) <= SAME_LOSSES * abs(price) for era, adder in known.items()):
        return problem
    offers = (replace(offer, adder_per_kwh=wanted.get(offer.era, 0.0)) for offer in problem.offers)
    return replace(problem, offers=tuple(offers))


def firm_eras(done: Round, rules: Rules) -> frozenset[str]:
    """Participants below a limit that reverse flow comes near to, or whose injection a binding linear limit holds back.

    What is offered there is a forecast; more sun than that must not push the grid over a limit nobody priced in.  Nobody
    where the policy does not look at limits at all.
    """
    served = rules.fallback if done.fallback else rules.policy
    if done.clearing is None or done.problem is None or "limits" not in served.promises:
        return frozenset()
    problem, clearing, tree = done.problem, done.clearing, done.problem.tree
    export_kw = tree.power_kw(problem.in_order(clearing.setpoint_kw))
    near: list[bool] = []
    for node in range(len(tree.names)):
        own = bool(node and export_kw[node] > rules.firm_share * tree.upper_kw[node])
        near.append(own or (node > 0 and near[tree.parent[node]]))
    below = {offer.era for offer, node in zip(problem.offers, tree.offer_node.tolist(), strict=True) if near[node]}
    reached = [limit for limit in problem.linear if clearing.linear_value[limit.name] >= limit.most - limit.tolerance]
    return frozenset(below | {era for limit in reached for era, weight in limit.weight.items() if weight > 0})
