"""Does a clearing keep what economists ask of a market?  Asked of its numbers alone, like its certificate.

| condition | holds when                                                                                             |
|-----------|--------------------------------------------------------------------------------------------------------|
| rational  | nobody would rather not have traded: what it pays or gets is no worse than its own curve; a promise of  |
|           | that leaves out who was put at its minimum and is owed its uplift                                      |
| money     | what participants receive at their prices and what is left with named accounts sums to zero            |
| solvent   | the accounts together are not below zero: nobody has to pay in (weak budget balance)                   |
| nonprofit | the accounts together are zero (strong budget balance)                                                 |

The accounts of the last two are those that a policy answers for, without the tariff's margin and the surplus of losses.

Whether a clearing is efficient cannot be seen from it alone: ``shortfall`` asks the optimum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

import numpy as np

from sim.curves import Floats
from sim.market.certificate import Certificate, Violation, certify
from sim.market.policies import locational
from sim.market.problem import LOSSES, MARGIN, Clearing, Problem, receipts_per_h
from sim.tolerances import POWER_KW, PRICE_PER_KWH

_Finding = tuple[str, str, float]

MARKET = "market"
"""Who is named where it is nobody in particular."""


def surplus_per_h(problem: Problem, clearing: Clearing) -> Floats:
    """By offer, what it gains by the clearing against not trading, by its own curve [currency/h].

    Not trading is no power at all: what no price moves is worth the price cap, or costs the floor.  NaN for who has no
    price, and for whom it would be worth any price where there is no cap or floor.
    """
    setpoint, price = problem.in_order(clearing.setpoint_kw), problem.in_order(clearing.participant_price)
    near = np.clip(0.0, problem.stack.min_kw, problem.stack.max_kw)
    last_resort = np.where(near < 0, problem.price_cap, problem.price_floor)
    rigid = near + problem.curtailed_kw(setpoint)  # of what no price moves, what is left
    priced = np.where(np.isfinite(last_resort), last_resort, math.nan)
    worth = np.where(near != 0, priced * rigid, 0.0)
    surplus: Floats = price * setpoint + problem.stack.welfare(setpoint) - worth
    return surplus


def uplift_per_h(problem: Problem, clearing: Clearing) -> Floats:
    """By offer, what its set-point loses it against the best its curve has at its price [currency/h], never below zero.

    The integral of ``|f⁻¹(x) - p|`` from where the curve is at the price to the set-point: zero on the curve, and anywhere
    within a step of it that stands at the price.  NaN for who has no price.  Beyond the curve's range the last resort counts,
    at the price cap or floor; where there is none it cannot be counted.
    """
    setpoint, price = problem.in_order(clearing.setpoint_kw), problem.in_order(clearing.participant_price)
    known = np.where(np.isnan(price), 0.0, price)
    stack, beyond = problem.stack, problem.curtailed_kw(setpoint)
    inside = setpoint - beyond
    best = np.clip(inside, stack.low(known - PRICE_PER_KWH / 2), stack.high(known + PRICE_PER_KWH / 2))
    lost = known * (best - inside) + stack.welfare(best) - stack.welfare(inside)
    last_resort = np.where(beyond > 0, problem.price_cap, problem.price_floor)
    cut = np.where(np.isfinite(last_resort), last_resort - known, 0.0) * beyond
    uplift: Floats = np.where(np.isnan(price), np.nan, np.maximum(lost, 0.0) + np.maximum(cut, 0.0))
    return uplift


def shortfall(problem: Problem, clearing: Clearing) -> float:
    """By how much the clearing's welfare falls short of the best that set-points within all limits have [currency/h]."""
    return locational.clear(problem).welfare - clearing.welfare


def broken(
    problem: Problem, clearing: Clearing, promises: Iterable[str], certificate: Certificate | None = None
) -> tuple[Violation, ...]:
    """Whatever the clearing breaks of these promises; "efficient", which one clearing cannot show, is not looked at.

    Who was put at its minimum may be worse off: that is what its uplift tells.
    certificate: of this clearing, where it has been certified already.
    """
    promised = frozenset(promises)
    known = certify(problem, clearing) if certificate is None else certificate
    found = (*known.violations, *economic_faults(problem, clearing))
    owed = at_minimum(problem, clearing)
    return tuple(
        one for one in found if one.condition in promised and not (one.condition == "rational" and one.who in owed)
    )


def at_minimum(problem: Problem, clearing: Clearing) -> frozenset[str]:
    """Who runs at the minimum below which it cannot."""
    return frozenset(
        offer.era
        for offer in problem.offers
        if offer.min_run_kw > 0 and abs(abs(clearing.setpoint_kw[offer.era]) - offer.min_run_kw) <= POWER_KW
    )


def economic_faults(problem: Problem, clearing: Clearing) -> Iterator[Violation]:
    """All violations of all conditions of economics."""
    for name, check in CONDITIONS.items():
        for who, what, amount in check(problem, clearing):
            yield Violation(name, who, what, amount)


def _rational(problem: Problem, clearing: Clearing) -> Iterator[_Finding]:
    surplus = surplus_per_h(problem, clearing)
    for index in np.flatnonzero(surplus < -_money_tolerance(problem, clearing)).tolist():
        yield (
            problem.offers[index].era,
            f"is {-surplus[index]:g} worse off than without trading",
            -float(surplus[index]),
        )


def _money(problem: Problem, clearing: Clearing) -> Iterator[_Finding]:
    unpriced = any(
        abs(p_kw) > POWER_KW and clearing.participant_price[era] is None for era, p_kw in clearing.setpoint_kw.items()
    )
    left = receipts_per_h(clearing) + sum(clearing.accounts.values())
    if not unpriced and not abs(left) <= _money_tolerance(problem, clearing):
        yield MARKET, f"{-left:g} more are paid in than are paid out and accounted for", abs(left)


def _solvent(problem: Problem, clearing: Clearing) -> Iterator[_Finding]:
    left = sum(_kept(clearing).values())
    if not left >= -_money_tolerance(problem, clearing):
        yield MARKET, f"{-left:g} have to be paid in", -left


def _nonprofit(problem: Problem, clearing: Clearing) -> Iterator[_Finding]:
    left = sum(_kept(clearing).values())
    if not abs(left) <= _money_tolerance(problem, clearing):
        yield MARKET, f"{left:g} are left with {', '.join(_kept(clearing))}", abs(left)


def _kept(clearing: Clearing) -> dict[str, float]:
    """The accounts that a policy answers for: not what the slack earns by its tariff, which is its own, nor what known adders
    of losses bring or take, which follows from them whoever clears."""
    return {name: amount for name, amount in clearing.accounts.items() if name not in (MARGIN, LOSSES)}


def _money_tolerance(problem: Problem, clearing: Clearing) -> float:
    """What powers and prices that are off by their tolerances come to together [currency/h]."""
    prices = [abs(price) for price in clearing.participant_price.values() if price is not None]
    power = sum(abs(p_kw) for p_kw in clearing.setpoint_kw.values())
    return PRICE_PER_KWH * (1.0 + power) + POWER_KW * max(prices, default=0.0) * (1 + len(problem.offers))


CONDITIONS: Mapping[str, Callable[[Problem, Clearing], Iterator[_Finding]]] = MappingProxyType(
    {"rational": _rational, "money": _money, "solvent": _solvent, "nonprofit": _nonprofit}
)
"""The conditions by name, in the order in which they are checked."""
