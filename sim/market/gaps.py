"""Offers that rest or run at a minimum, and nothing between: cleared as if they could, then decided.

A car charges with 6 A or not at all.  Where it may do either and nothing between, there may be no price at which everybody
is content, and the best choice is a puzzle that grows with every car.  So the market is cleared as if they could do anything
(relaxed), and those that landed between resting and running are decided by a rule:

1. At every place of the grid (one node, one set of weights in the linear limits) they pool the power that they were given.
   Whoever was given the largest part of its minimum comes first, equals by name; the first run, as many as the pool brings to
   their minimum, the others rest.  Power moves only within a place, so that no limit notices.
2. The market clears again for these decisions.  Who lands between then is decided likewise; who was to run and was cut below
   its minimum rests.  Nobody is ever decided back, so there are at most twice as many clearings as such offers; two or three
   are usual.
3. Up to ``TRIES`` of those that were put to rest, whom running at the minimum is worth most at the price, are tried once
   more: they run where that is worth more to all together, and nobody is cut for it.

What the decisions cost against the relaxed optimum is the integrality gap; the best decisions may cost less, never less than
nothing.  Who was decided may be off its own curve at the price: ``economics.uplift_per_h`` tells what that costs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from sim.curves import NOTHING, Flags, Floats, clip
from sim.market.offered import places
from sim.market.problem import Clearing, ClearingPolicy, Offer, Problem
from sim.tolerances import POWER_KW, PRICE_PER_KWH

TRIES = 8
"""Offers put to rest that are tried once more, one clearing each."""


class Decision(Enum):
    """What was decided for an offer that cannot do what lies between."""

    REST = "rest"
    TAKE = "take"
    GIVE = "give"


@dataclass(frozen=True, slots=True)
class Decided:
    """A market cleared with all decisions made.

    clearing: its welfare is by the offers as they were made, and a note tells what was decided.  gap_per_h: what the decisions
    cost against the relaxed clearing [currency/h]; 0 where nobody had to be decided.
    """

    clearing: Clearing
    gap_per_h: float = 0.0


def has_gaps(problem: Problem) -> bool:
    """Whether anybody has a minimum below which it cannot run."""
    return any(offer.min_run_kw > 0 for offer in problem.offers)


def in_gap(problem: Problem, clearing: Clearing) -> Flags:
    """For each offer, whether its set-point lies where it cannot be: above rest, below its minimum."""
    amount, minimum = np.abs(problem.in_order(clearing.setpoint_kw)), _minimums(problem)
    return (amount > POWER_KW) & (amount < minimum - POWER_KW)


def decided(problem: Problem, clearing: Clearing) -> Problem:
    """The problem as a clearing has decided it: who rests offers nothing, who runs offers at least its minimum.

    Whether other decisions would have been better is not asked.  Who runs below its minimum has decided nothing, nor has who
    rests although its curve never does.
    """
    if not has_gaps(problem):
        return problem
    made: dict[str, Decision] = {}
    for offer, p_kw in zip(problem.offers, problem.in_order(clearing.setpoint_kw).tolist(), strict=True):
        if 0 < offer.min_run_kw <= abs(p_kw) + POWER_KW:
            made[offer.era] = Decision.TAKE if p_kw < 0 else Decision.GIVE
        elif offer.min_run_kw > 0 and abs(p_kw) <= POWER_KW and offer.curve.min_kw <= 0 <= offer.curve.max_kw:
            made[offer.era] = Decision.REST
    return _with(problem, made)


def clear(problem: Problem, policy: ClearingPolicy) -> Decided:
    """Clear by a policy, such that nobody is left between resting and running."""
    relaxed = policy(problem)
    if not has_gaps(problem) or not in_gap(problem, relaxed).any():
        return Decided(relaxed)
    made, clearing = _settle(problem, policy, relaxed, {})
    for offer in _worth_running(problem, clearing, made):
        trial_made, trial = _settle(problem, policy, *_trial(problem, policy, made, offer))
        if _is_better(problem, trial, clearing):
            made, clearing = trial_made, trial
    return _told(problem, relaxed, clearing, made)


def _settle(
    problem: Problem, policy: ClearingPolicy, clearing: Clearing, made: Mapping[str, Decision]
) -> tuple[Mapping[str, Decision], Clearing]:
    """Decides, and clears again, until nobody is between."""
    while (off := in_gap(problem, clearing)).any():
        made = {**made, **_decisions(problem, clearing, off, made)}
        clearing = policy(_with(problem, made))
    return made, clearing


def _decisions(problem: Problem, clearing: Clearing, off: Flags, made: Mapping[str, Decision]) -> dict[str, Decision]:
    """What becomes of those that are between: by place and direction, the first run for whom their pool is enough."""
    setpoint, minimum, place = problem.in_order(clearing.setpoint_kw), _minimums(problem), places(problem)[0]
    offers = problem.offers
    pool: dict[tuple[int, bool], float] = {}
    order = sorted(np.flatnonzero(off).tolist(), key=lambda i: (-abs(setpoint[i]) / minimum[i], offers[i].era))
    for index in order:
        key = int(place[index]), bool(setpoint[index] > 0)
        pool[key] = pool.get(key, 0.0) + abs(float(setpoint[index]))
    decisions = {}
    for index in order:
        offer, gives = offers[index], bool(setpoint[index] > 0)
        key = int(place[index]), gives
        runs = _can_run(offer, gives=gives) and offer.era not in made and pool[key] >= minimum[index] - POWER_KW
        pool[key] -= minimum[index] if runs else 0.0
        decisions[offer.era] = (Decision.GIVE if gives else Decision.TAKE) if runs else Decision.REST
    return decisions


def _can_run(offer: Offer, *, gives: bool) -> bool:
    """Whether its curve ever comes to its minimum."""
    return (offer.curve.max_kw if gives else -offer.curve.min_kw) >= offer.min_run_kw


def _with(problem: Problem, made: Mapping[str, Decision]) -> Problem:
    """The problem with these decisions made."""
    return replace(problem, offers=tuple(_bound(offer, made.get(offer.era)) for offer in problem.offers))


def _bound(offer: Offer, decision: Decision | None) -> Offer:
    curve, least = offer.curve, offer.min_run_kw
    if decision is Decision.REST:
        return replace(offer, curve=NOTHING, baseline_kw=0.0, min_run_kw=0.0)
    if decision is Decision.TAKE and _can_run(offer, gives=False):
        return replace(offer, curve=clip(curve, np.inf, -least), min_run_kw=0.0)
    if decision is Decision.GIVE and _can_run(offer, gives=True):
        return replace(offer, curve=clip(curve, -least, np.inf), min_run_kw=0.0)
    return replace(offer, min_run_kw=0.0)


def _worth_running(problem: Problem, clearing: Clearing, made: Mapping[str, Decision]) -> list[tuple[Offer, Decision]]:
    """Those put to rest to whom running at their minimum would be worth its price, the one that gains most first."""
    gains: list[tuple[float, str, Offer, Decision]] = []
    prices = [clearing.participant_price[offer.era] for offer in problem.offers]
    for way, decision in ((-1.0, Decision.TAKE), (1.0, Decision.GIVE)):
        powers = way * _minimums(problem)
        worth = problem.stack.welfare(powers)
        for offer, price, p_kw, value in zip(problem.offers, prices, powers.tolist(), worth.tolist(), strict=True):
            if price is None or made.get(offer.era) is not Decision.REST or not _can_run(offer, gives=way > 0):
                continue
            gain = price * p_kw + value
            if gain >= -PRICE_PER_KWH * offer.min_run_kw:
                gains.append((-gain, offer.era, offer, decision))
    gains.sort(key=lambda one: one[:2])
    return [(offer, decision) for _, _, offer, decision in gains[:TRIES]]


def _trial(
    problem: Problem, policy: ClearingPolicy, made: Mapping[str, Decision], running: tuple[Offer, Decision]
) -> tuple[Clearing, Mapping[str, Decision]]:
    offer, decision = running
    trial = {**made, offer.era: decision}
    return policy(_with(problem, trial)), trial


def _is_better(problem: Problem, trial: Clearing, clearing: Clearing) -> bool:
    """Whether a trial is worth more to all, and nobody is cut for it."""
    cut, before = (np.abs(problem.curtailed_kw(problem.in_order(one.setpoint_kw))).sum() for one in (trial, clearing))
    gain = problem.welfare(problem.in_order(trial.setpoint_kw)) - problem.welfare(
        problem.in_order(clearing.setpoint_kw)
    )
    return bool(cut <= before + POWER_KW and gain > POWER_KW)


def _told(problem: Problem, relaxed: Clearing, clearing: Clearing, made: Mapping[str, Decision]) -> Decided:
    """The clearing with what was decided, and what that cost."""
    welfare = problem.welfare(problem.in_order(clearing.setpoint_kw))
    gap = problem.welfare(problem.in_order(relaxed.setpoint_kw)) - welfare
    resting = [era for era, decision in made.items() if decision is Decision.REST]
    note = (
        f"{len(made)} could not do what was best: {len(made) - len(resting)} run at their minimum or more, "
        f"{len(resting)} rest, at {gap:g} per hour less than if they could; certified for these decisions"
    )
    return Decided(replace(clearing, welfare=welfare, notes=(*clearing.notes, note)), gap)


def _minimums(problem: Problem) -> Floats:
    return np.array([offer.min_run_kw for offer in problem.offers], dtype=float)
