"""Markets beside a retailer: what nobody takes locally, the slack takes at its tariff.

A tariff is everybody's outside option: no buyer bids more than what the retailer asks, no seller asks less than what it
pays, and whoever has found no partner trades with it.  An auction is held among all others at prices between the two; that
leaves everything it promises as it is, truthfulness included, because it now sees what a trade is worth to each against the
retailer.

A slack that cannot take whatever is left at two prices has no tariff to fall back on: it is one bidder among the others.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Concatenate, ParamSpec

import numpy as np

from sim.curves import NOTHING, CurveStack, Floats, OfferCurve
from sim.market.problem import MARGIN, Clearing, Deal, Problem, record, slack_prices
from sim.tolerances import POWER_KW, PRICE_PER_KWH

_Options = ParamSpec("_Options")
_Mechanism = Callable[Concatenate[Problem, _Options], Clearing]


def beside_a_retailer(mechanism: _Mechanism[_Options]) -> _Mechanism[_Options]:
    """The mechanism held among all but the slack, if it has a tariff; what is left over is traded at that."""

    def clear(problem: Problem, /, *args: _Options.args, **options: _Options.kwargs) -> Clearing:
        tariff = slack_prices(problem)
        if tariff is None or not _serves_all(problem, *tariff):
            return mechanism(problem, *args, **options)
        asks, pays = tariff
        return _with_the_rest(problem, mechanism(_among_others(problem, asks, pays), *args, **options), asks, pays)

    functools.update_wrapper(clear, mechanism)
    return clear


def _serves_all(problem: Problem, asks: float, pays: float) -> bool:
    """Whether the slack gives all that could be wanted for what it asks, and takes all that could be offered for what it
    pays; of a price that it does not have, nothing is asked."""
    others = ~problem.is_slack
    wanted, offered = (float(np.maximum(kw[others], 0.0).sum()) for kw in (-problem.stack.min_kw, problem.stack.max_kw))
    curve = next(offer.curve for offer in problem.offers if offer.era == problem.slack)
    gives = curve.high(asks) >= wanted - POWER_KW if math.isfinite(asks) else asks > 0
    takes = -curve.low(pays) >= offered - POWER_KW if math.isfinite(pays) else pays < 0
    return gives and takes


def _among_others(problem: Problem, asks: float, pays: float) -> Problem:
    """The market without the slack, at prices between what it pays and what it asks."""
    floor, cap = max(problem.price_floor, pays), min(problem.price_cap, asks)
    offers = (
        replace(offer, curve=within_tariff(offer.curve, asks, pays))
        for offer in problem.offers
        if offer.era != problem.slack
    )
    return replace(problem, offers=tuple(offers), price_floor=floor, price_cap=cap, slack=None)


def within_tariff(curve: OfferCurve, asks: float, pays: float) -> OfferCurve:
    """What is left of a curve where everybody may buy at one price and sell at another.

    What is wanted at more than ``asks`` is wanted at that; what would be given for less than ``pays`` is given for that; and
    nobody offers what no one will ever take.
    """
    if asks <= pays:
        return NOTHING
    inside = (curve.prices > pays) & (curve.prices < asks)
    prices, powers = [curve.prices[inside]], [curve.powers[inside]]
    if math.isfinite(pays):
        given = curve.high(pays)
        prices, powers = [np.full(2, pays), *prices], [np.array([min(given, 0.0), given]), *powers]
    if math.isfinite(asks):
        wanted = curve.low(asks)
        prices, powers = [*prices, np.full(2, asks)], [*powers, np.array([wanted, max(wanted, 0.0)])]
    line, heights = np.concatenate(prices), np.concatenate(powers)
    return OfferCurve(line, heights) if len(line) else curve


def _with_the_rest(problem: Problem, local: Clearing, asks: float, pays: float) -> Clearing:
    """The clearing of a local market, and of what the slack gives and takes beside it.

    What the slack earns between its two prices, where it both gives and takes, is told in an account of its own.  A node has
    the price of the local market where everybody trades at that.
    """
    power = np.array([local.setpoint_kw.get(offer.era, 0.0) for offer in problem.offers], dtype=float)
    prices = [local.participant_price.get(offer.era) or 0.0 for offer in problem.offers]
    rest = np.where(problem.is_slack, 0.0, _left_over(problem.stack, power, asks, pays))
    bought, sold = np.maximum(-rest, 0.0), np.maximum(rest, 0.0)
    tariff = np.where(rest < 0, asks if math.isfinite(asks) else 0.0, pays if math.isfinite(pays) else 0.0)
    receipts = np.array(prices) * power + tariff * rest
    total = power + rest
    net = float(bought.sum() - sold.sum())  # + = the slack injects
    own = asks if net > 0 else pays
    each = [r / p if p else None for r, p in zip(receipts.tolist(), total.tolist(), strict=True)]
    # What one price both ways leaves is rounding.
    both_ways = min(bought.sum(), sold.sum()) > 0
    spread = float(-(tariff * rest).sum()) - (net * own if net else 0.0) if both_ways else 0.0
    named = next(iter(local.price_per_kwh.values()))
    parted = named is None or any(price is not None and abs(price - named) > PRICE_PER_KWH for price in each)
    return record(
        problem,
        local.policy,
        np.where(problem.is_slack, net, total),
        node_price=[None if parted else price for price in local.price_per_kwh.values()],
        participant_price=[
            (own if net else None) if slack else price
            for slack, price in zip(problem.is_slack.tolist(), each, strict=True)
        ],
        held=list(local.binding.values()),
        deals=(*local.deals, *_retail_deals(problem, rest, asks, pays)) if local.deals or not power.any() else (),
        accounts={**local.accounts, **({MARGIN: spread} if spread else {})},
        notes=local.notes,
    )


def _left_over(stack: CurveStack, power_kw: Floats, asks: float, pays: float) -> Floats:
    """By offer, what it still wants to give (+) or take (−) at the tariff, having traded this much."""
    takes = np.minimum(stack.low(asks), 0.0) if math.isfinite(asks) else np.zeros(len(power_kw))
    gives = np.maximum(stack.high(pays), 0.0) if math.isfinite(pays) else np.zeros(len(power_kw))
    more_taken = np.where(power_kw <= 0, np.minimum(takes - power_kw, 0.0), 0.0)
    rest: Floats = more_taken + np.where(power_kw >= 0, np.maximum(gives - power_kw, 0.0), 0.0)
    return rest


def _retail_deals(problem: Problem, rest_kw: Floats, asks: float, pays: float) -> list[Deal]:
    assert problem.slack is not None
    return [
        Deal(problem.slack, offer.era, -kw, asks, asks) if kw < 0 else Deal(offer.era, problem.slack, kw, pays, pays)
        for offer, kw in zip(problem.offers, rest_kw.tolist(), strict=True)
        if kw
    ]
