"""The clearing policies: one module each, one line each in the table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sim.market.policies import (
    bilateral_fee,
    bill_sharing,
    broadcast,
    continuous,
    curtail_only,
    dlmp,
    huang,
    iterated,
    locational,
    mcafee,
    mid_market_rate,
    muda,
    none,
    oracle,
    pairwise,
    pay_as_bid,
    pay_as_clear,
    peer_to_peer,
    posted_price,
    supply_demand_ratio,
    time_of_use,
    vcg,
)
from sim.market.policies.peers import PEERS
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
            dlmp.POLICY,
            bilateral_fee.POLICY,
            peer_to_peer.POLICY,
            iterated.ASCENT,
            iterated.UTILISATION,
            iterated.UTILISATION_DAMPED,
            oracle.POLICY,
            continuous.POLICY,
            huang.POLICY,
            mcafee.POLICY,
            muda.POLICY,
            pairwise.POLICY,
            pay_as_bid.POLICY,
            posted_price.POLICY,
            vcg.POLICY,
            time_of_use.POLICY,
            broadcast.POLICY,
            mid_market_rate.POLICY,
            supply_demand_ratio.POLICY,
            bill_sharing.POLICY,
            *PEERS.values(),
        )
    }
)
