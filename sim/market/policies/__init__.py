"""The clearing policies: one module each, one line each in the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from sim.market.policies import curtail_only, iterated, locational, none, pay_as_clear
from sim.market.problem import ClearingPolicy


@dataclass(frozen=True, slots=True)
class Policy:
    """A clearing policy and what may be expected of it.

    promises: the conditions of ``certify`` that hold for every problem: with a slack where a policy needs one, and where a
    policy cuts, with linear limits that doing nothing would keep.
    pricing: whether participants pay the market's price, or the tariff of the slack.
    heeds_limits: whether it tries to keep limits, so that one tightened by the power flow is worth another round.
    """

    name: str
    clear: ClearingPolicy
    promises: frozenset[str]
    pricing: Literal["PAY_AS_CLEAR", "RETAIL"]
    summary: str
    heeds_limits: bool = True


POLICIES: Mapping[str, Policy] = MappingProxyType(
    {
        policy.name: policy
        for policy in (
            Policy(
                "none",
                none.clear,
                frozenset({"balance", "linear"}),
                "RETAIL",
                "everybody at its baseline; nothing is kept",
                heeds_limits=False,
            ),
            Policy(
                "curtail-only",
                curtail_only.clear,
                frozenset({"balance", "limits", "linear"}),
                "RETAIL",
                "baselines, cut pro rata where a limit is exceeded",
            ),
            Policy(
                "pay-as-clear",
                pay_as_clear.clear,
                frozenset({"balance", "curves", "range", "adders"}),
                "PAY_AS_CLEAR",
                "one price for all; limits are not looked at",
                heeds_limits=False,
            ),
            Policy(
                "locational",
                locational.clear,
                frozenset({"balance", "curves", "range", "adders", "limits", "linear"}),
                "PAY_AS_CLEAR",
                "a price at every node; the optimum within all limits",
            ),
            Policy(
                "adder-ascent",
                iterated.adder_ascent,
                frozenset({"balance", "limits"}),
                "PAY_AS_CLEAR",
                "adders raised where a limit is exceeded, in rounds; what is left over is cut",
            ),
            Policy(
                "utilisation",
                iterated.utilisation,
                frozenset({"balance", "curves", "range", "linear"}),
                "PAY_AS_CLEAR",
                "adders in proportion to loading; limits are not kept",
                heeds_limits=False,
            ),
            Policy(
                "utilisation-damped",
                iterated.utilisation_damped,
                frozenset({"balance", "curves", "range", "linear"}),
                "PAY_AS_CLEAR",
                "the same, each adder going half of its way in a pass",
                heeds_limits=False,
            ),
        )
    }
)
