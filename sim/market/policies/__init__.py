"""The clearing policies: one module each, one line each in the table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sim.market.policies import curtail_only, iterated, locational, none, oracle, pay_as_clear
from sim.market.policy import Policy

POLICIES: Mapping[str, Policy] = MappingProxyType(
    {
        policy.name: policy
        for policy in (
            none.POLICY,
            curtail_only.POLICY,
            pay_as_clear.POLICY,
            locational.POLICY,
            iterated.ASCENT,
            iterated.UTILISATION,
            iterated.UTILISATION_DAMPED,
            oracle.POLICY,
        )
    }
)
