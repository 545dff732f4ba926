"""The clearing policies: one module each, one line each in the table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sim.market.policies import (
    bill_sharing,
    curtail_only,
    iterated,
    locational,
    mid_market_rate,
    none,
    oracle,
    pay_as_clear,
    supply_demand_ratio,
    time_of_use,
)
from sim.market.policy import Policy

POLICIES: Mapping[str, Policy] = MappingProxyType(
    {
        policy.name: policy
        for policy in (
            none.POLICY,
            curtail_only.POLICY,
            curtail_only.ONE_BY_ONE,
            pay_as_clear.POLICY,
            locational.POLICY,
            iterated.ASCENT,
            iterated.UTILISATION,
            iterated.UTILISATION_DAMPED,
            oracle.POLICY,
            time_of_use.POLICY,
            mid_market_rate.POLICY,
            supply_demand_ratio.POLICY,
            bill_sharing.POLICY,
        )
    }
)
