"""What a community buys and sells together, for the rules that price it by the tariff of the slack.

Every offer is one member: what it generates and consumes itself is netted before, for an offer is one set-point.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from sim.errors import Fault, MarketError
from sim.market.policies.none import balanced, baselines
from sim.market.problem import Clearing, Problem, record, slack_prices


@dataclass(frozen=True, slots=True)
class Tariff:
    """What the slack takes for a kWh that it injects, and pays for one that it withdraws; never more than it takes."""

    import_price: float
    export_price: float


@dataclass(frozen=True, slots=True)
class Pool:
    """What all members withdraw together, and inject together, both >= 0 [kW], and the tariff for what is left."""

    demand_kw: float
    supply_kw: float
    tariff: Tariff


@dataclass(frozen=True, slots=True)
class Prices:
    """What a member pays for a kWh that it withdraws, and gets for one that it injects [currency/kWh]."""

    buy: float
    sell: float


Rule: TypeAlias = Callable[[Pool], Prices]


def tariff_of(problem: Problem, policy: str) -> Tariff:
    """The tariff in the slack's curve.  Raises ``MarketError`` where there is no slack, or it has one price only."""
    prices = slack_prices(problem)
    if prices is None:
        raise MarketError(policy, (Fault("slack", "is missing", "name the supplier whose tariff prices the rest"),))
    ways = (("injects", "import"), ("withdraws", "export"))
    faults = tuple(
        Fault("slack", f"{problem.slack} never {way}, so there is no {name} price", "its curve needs both")
        for price, (way, name) in zip(prices, ways, strict=True)
        if math.isinf(price)
    )
    if faults:
        raise MarketError(policy, faults)
    return Tariff(*prices)


def shared(problem: Problem, policy: str, rule: Rule) -> Clearing:
    """Everybody at its baseline, the slack taking the rest at its tariff, and members paying what the rule says.

    Nothing is left with anybody if the rule is fair: what members pay is what members and the slack get.
    Raises ``MarketError`` without a tariff.
    """
    tariff = tariff_of(problem, policy)
    wanted = baselines(problem)
    pool = Pool(float(-wanted.clip(None, 0).sum()), float(wanted.clip(0).sum()), tariff)
    price = rule(pool)
    setpoint = balanced(problem, wanted)
    selling = np.where(problem.is_slack, tariff.import_price, price.sell)
    buying = np.where(problem.is_slack, tariff.export_price, price.buy)
    paid = zip(setpoint.tolist(), np.where(setpoint > 0, selling, buying).tolist(), strict=True)
    return record(
        problem,
        policy,
        setpoint,
        participant_price=[own if p_kw else None for p_kw, own in paid],
        accounts={},
    )
