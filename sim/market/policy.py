"""What a clearing policy is, and what it may promise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from sim.market.horizon import Horizon
from sim.market.problem import ClearingPolicy

PROMISES: Mapping[str, str] = MappingProxyType(
    {
        "range": "every set-point is within its curve's range, outside only as the last resort",
        "curves": "every set-point is on its curve at its price",
        "balance": "flows follow from set-points, and all of these sum to zero",
        "limits": "every flow is within its limits",
        "adders": "prices part only where a limit is reached",
        "linear": "linear limits are priced as they bind",
        "rational": "nobody is worse off than without trading, by its own curve, but who was put at its minimum",
        "money": "what participants receive and what is left with others sums to zero",
        "solvent": "nobody has to pay in",
        "nonprofit": "nothing is left with anybody who is no participant",
        "efficient": "no other set-points are worth more (within the limits, where the policy heeds them)",
    }
)
"""What a policy may promise for every problem: the conditions of a certificate, then those of economics."""

Truthful = Literal["unit demand", "single price", "price takers", "always"]
"""For whom no lie pays: whoever offers one block as large as everybody else's · one block of any size · whoever
faces a price that his own offer does not move · anybody."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A clearing policy and what may be expected of it.

    promises: of ``PROMISES``, what holds for every problem: with a slack where a policy needs one, and where a policy
    cuts, with linear limits that doing nothing would keep.
    pricing: whether participants pay the market's price, or the tariff of the slack.
    heeds_limits: whether it tries to keep limits, so that one tightened by the power flow is worth another round.
    truthful: for whom no misreport pays; None where some lie does.
    source: where the rule was published.
    foreseeing: makes the policy of a run from everything that will be in it; None for those that see one market at a time.
    """

    name: str
    clear: ClearingPolicy
    promises: frozenset[str]
    pricing: Literal["PAY_AS_CLEAR", "RETAIL"]
    summary: str
    heeds_limits: bool = True
    truthful: Truthful | None = None
    source: str = ""
    foreseeing: Callable[[Horizon], ClearingPolicy] | None = None
