"""No coordination: everybody does what it would do anyway, at retail prices, and the slack takes what is left."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sim.curves import Floats
from sim.market.policy import Policy
from sim.market.problem import MARGIN, Clearing, Direction, Problem, record, slack_prices


def clear(problem: Problem) -> Clearing:
    """The baselines.  Without a slack nothing balances them, and there is no price."""
    setpoint = balanced(problem, baselines(problem))
    return at_retail(problem, "none", setpoint)


def at_retail(
    problem: Problem, policy: str, setpoint_kw: Floats, held: Sequence[Direction | None] | None = None
) -> Clearing:
    """Set-points at the slack's tariff; what it earns between its two prices on power that it never carried is named."""
    prices = retail_prices(problem, setpoint_kw)
    left = -sum((price or 0.0) * p_kw for price, p_kw in zip(prices, setpoint_kw.tolist(), strict=True))
    return record(
        problem,
        policy,
        setpoint_kw,
        participant_price=prices,
        held=held,
        accounts={MARGIN: left} if left else {},
    )


def baselines(problem: Problem) -> Floats:
    """What each would do if nobody coordinated; zero for the slack, which only follows."""
    wanted = np.array([offer.uncoordinated_kw for offer in problem.offers], dtype=float)
    return np.where(problem.is_slack, 0.0, wanted)


def balanced(problem: Problem, setpoint_kw: Floats) -> Floats:
    """Set-points with the slack taking the rest, whatever its curve says."""
    return np.where(problem.is_slack, -setpoint_kw.sum(), setpoint_kw)


def retail_prices(problem: Problem, setpoint_kw: Floats) -> list[float | None]:
    """By offer: who withdraws pays the lowest price at which the slack injects; who injects gets the highest price at
    which it withdraws; the slack gets or pays what its own curve says.  None for who is idle, and where the slack does
    neither."""
    buying, selling = slack_prices(problem) or (math.inf, -math.inf)
    signs = (np.sign(setpoint_kw) * np.where(problem.is_slack, -1.0, 1.0)).tolist()
    of_sign = {sign: price for sign, price in ((-1.0, buying), (1.0, selling)) if math.isfinite(price)}
    return [of_sign.get(sign) for sign in signs]


POLICY = Policy(
    "none",
    clear,
    frozenset({"balance", "linear", "money"}),
    "RETAIL",
    "everybody at its baseline; nothing is kept",
    heeds_limits=False,
)
