"""The published clearing rules of other projects, as they are: one module each, one line each in the table.

They were written from descriptions of what each project does, so that results can be compared, not because they should
be copied: each promises only what holds for every problem, which is often little.  None looks at a limit.

Those whose price the bid of a buyer makes are held beside a retailer, if there is one: what is wanted at any price bids no
more than the tariff there, as the traders of those projects do, and not the price cap.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sim.market.policies.peers import (
    assume_pay_as_bid,
    assume_pay_as_clear,
    gridlabd,
    gsy_pay_as_bid,
    gsy_pay_as_clear,
    lemlab_uniform,
    powermatcher,
    pymarket_random_pairs,
    pymarket_stepwise,
    simply_pay_as_clear,
    volume_max,
)
from sim.market.policy import Policy

PEERS: Mapping[str, Policy] = MappingProxyType(
    {
        policy.name: policy
        for policy in (
            gridlabd.POLICY,
            pymarket_stepwise.POLICY,
            lemlab_uniform.POLICY,
            assume_pay_as_clear.POLICY,
            assume_pay_as_bid.POLICY,
            simply_pay_as_clear.POLICY,
            gsy_pay_as_clear.POLICY,
            gsy_pay_as_bid.POLICY,
            powermatcher.POLICY,
            pymarket_random_pairs.POLICY,
            volume_max.POLICY,
        )
    }
)
