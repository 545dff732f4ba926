"""What somebody could gain by a lie: the offers one participant might have made instead, cleared and judged by the true one.

A search finds a gain; that it finds none is evidence, not proof.  It tries what matters to an auction: prices just below,
at and just above those that others named, or that came about, and between them; and more or less power.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from sim.curves import CurveStack, OfferCurve, clip
from sim.errors import CurveError, MarketError
from sim.market.offered import whole_curve
from sim.market.policy import Policy
from sim.market.problem import Clearing, Offer, Problem, names_price_outside
from sim.tolerances import POWER_KW

NEAR = 1e-6
"""How far beside a price that others named a lie may lie [currency/kWh]."""

SHARES = (0.0, 0.25, 0.5, 0.75, 0.9, 1.1, 1.25, 1.5, 2.0)
"""Parts of its true power that somebody may claim to be all."""

TRIES = 200
"""Lies about prices that are tried for one participant; evenly chosen where there would be more."""


@dataclass(frozen=True, slots=True)
class Misreport:
    """The most profitable report that was found for one participant; its true curve, and no gain, if that is best.

    gain_per_h: what it brings, by the true curve, beyond the truth [currency/h].  tried: reports that were cleared.
    """

    era: str
    report: OfferCurve
    gain_per_h: float
    tried: int


def best_misreport(policy: Policy, problem: Problem, era: str, *, powers: bool = True, tries: int = TRIES) -> Misreport:
    """What pays an era best if all others offer as they do.

    powers: whether it may lie about its power too, not only about prices.
    Raises ``MarketError`` where the policy cannot clear the problem as it is; a lie that it refuses gains nothing.
    """
    (offer,) = (one for one in problem.offers if one.era == era)
    clearing = policy.clear(problem)
    truth = gain_per_h(problem, clearing, offer)
    found, tried = Misreport(era, offer.curve, 0.0, 0), 0
    rounds = [thinned(list(price_lies(offer.curve, _targets(problem, clearing, offer))), tries)]
    while rounds:
        for report in rounds.pop():
            tried += 1
            gain = _if_told(policy, problem, offer, report) - truth
            if gain > found.gain_per_h:
                found = replace(found, report=report, gain_per_h=gain)
        if powers:
            rounds, powers = [[*power_lies(offer.curve), *power_lies(found.report)]], False
    return replace(found, tried=tried)


def greatest_gain(
    policy: Policy, problem: Problem, eras: Iterable[str] | None = None, *, powers: bool = True, tries: int = TRIES
) -> Misreport | None:
    """The best misreport of any one of these eras (all but the slack); None if there are none."""
    asked = [offer.era for offer in problem.offers if offer.era != problem.slack] if eras is None else list(eras)
    found = [best_misreport(policy, problem, era, powers=powers, tries=tries) for era in asked]
    return max(found, key=lambda one: one.gain_per_h, default=None)


def gain_per_h(problem: Problem, clearing: Clearing, offer: Offer) -> float:
    """What an offer gains by a clearing against zero power, by its curve [currency/h].

    Power that no price moves is worth the price cap, or costs the floor, where there is one.  A set-point that the curve
    does not reach cannot be done: minus infinity.
    """
    whole = whole_curve(offer.curve, problem.price_floor, problem.price_cap)
    p_kw, price = clearing.setpoint_kw[offer.era], clearing.participant_price[offer.era]
    if not whole.min_kw - POWER_KW <= p_kw <= whole.max_kw + POWER_KW:
        return -math.inf
    return p_kw * (price or 0.0) + float(CurveStack([whole]).welfare(np.array([p_kw]))[0])


def price_lies(curve: OfferCurve, targets: Sequence[float]) -> Iterator[OfferCurve]:
    """The curve with one of its prices moved to each target, pushing along those it would pass; and moved as a whole."""
    levels = np.unique(curve.prices).tolist()
    for target in targets:
        for level in levels:
            pushed = np.where(curve.prices < level, np.minimum(curve.prices, target), np.maximum(curve.prices, target))
            yield OfferCurve(np.where(curve.prices == level, target, pushed), curve.powers)
            if len(levels) > 1:
                yield OfferCurve(curve.prices + (target - level), curve.powers)


def power_lies(curve: OfferCurve) -> Iterator[OfferCurve]:
    """The curve with all its powers scaled, and with its most import and export held back."""
    for share in SHARES:
        yield OfferCurve(curve.prices, curve.powers * share)
    for share in SHARES:
        if share < 1:
            yield from _held_back(curve, share)


def thinned(reports: Sequence[OfferCurve], most: int) -> list[OfferCurve]:
    """At most so many of the reports, evenly chosen."""
    if len(reports) <= most:
        return list(reports)
    return [reports[index] for index in np.linspace(0, len(reports) - 1, most).round().astype(int).tolist()]


def _held_back(curve: OfferCurve, share: float) -> Iterator[OfferCurve]:
    try:
        yield clip(curve, -min(curve.min_kw, 0.0) * share, max(curve.max_kw, 0.0) * share)
    except CurveError:
        return


def _targets(problem: Problem, clearing: Clearing, offer: Offer) -> list[float]:
    """Prices worth naming: beside and between all that others named, that came about, and that it would name itself."""
    named = {price for other in problem.offers for price in other.curve.prices.tolist()}
    named |= {price for price in clearing.participant_price.values() if price is not None}
    named |= {price for price in (problem.price_floor, problem.price_cap) if math.isfinite(price)}
    prices = sorted(named)
    beside = (price + by for price in prices for by in (-NEAR, 0.0, NEAR))
    between = ((a + b) / 2 for a, b in pairwise(prices))
    beyond = (prices[0] - 1.0, prices[-1] + 1.0)
    allowed = {min(max(price, problem.price_floor), problem.price_cap) for price in (*beside, *between, *beyond)}
    return sorted(allowed)


def _if_told(policy: Policy, problem: Problem, offer: Offer, report: OfferCurve) -> float:
    """What it gains, by its true offer, if it reports this; minus infinity for a report that is refused."""
    if names_price_outside(report, problem.price_floor, problem.price_cap):
        return -math.inf
    told = tuple(replace(one, curve=report) if one.era == offer.era else one for one in problem.offers)
    lied = replace(problem, offers=told)
    try:
        return gain_per_h(problem, policy.clear(lied), offer)
    except MarketError:
        return -math.inf
