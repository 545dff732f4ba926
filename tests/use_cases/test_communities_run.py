"""A street that shares its sun at noon: what neighbours sell one another is billed by the rule, not by the tariff."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from results.verify import verify
from sim.ledger import balances

NOON = ("duration_h=1", "start=2016-05-17T12:00:00")


def roofs_get(run_street: Callable, policy: str) -> float:
    run = run_street(f"market.policy={policy}", *NOON)
    assert verify(run).findings == 0
    balance = balances(run.ledger)
    assert sum(balance.values()) == 0
    return float(sum(amount for (era, _), amount in balance.items() if era.startswith("pv")))


@pytest.mark.parametrize(
    ("policy", "less", "more"),
    [
        ("mid-market-rate", 1.5, 2.5),  # half way to the import price for what is consumed within
        ("supply-demand-ratio", 0.8, 1.0),  # more sun than load: the export price, less a fee
        ("bill-sharing", 0.1, 0.6),  # only what leaves the street is paid for
    ],
)
def test_a_community_is_billed_by_its_own_rule(run_street: Callable, policy: str, less: float, more: float) -> None:
    assert less < roofs_get(run_street, policy) / roofs_get(run_street, "none") < more
