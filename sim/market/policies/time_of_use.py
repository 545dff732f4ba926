"""Time of use: the slack's tariff is told to all, and everybody answers it by himself.

Nobody hears what the others do, so the cheapest hours draw everybody at once, whatever the grid can carry.  Nobody loses by
it, but a slack of which more is asked than its curve says.
"""

from __future__ import annotations

from sim.curves import Floats
from sim.market.community import tariff_of
from sim.market.policies import broadcast
from sim.market.policies.none import at_retail, balanced
from sim.market.policy import Policy
from sim.market.problem import Clearing, Problem


def clear(problem: Problem) -> Clearing:
    """Withdrawals are what curves say at the import price, injections what they say at the export price.

    The slack takes the rest, whatever its curve says.  Raises ``MarketError`` without a slack that has a tariff.
    """
    setpoint = balanced(problem, answers(problem))
    return at_retail(problem, "time-of-use", setpoint)


def answers(problem: Problem) -> Floats:
    """What is best for each at the tariff; who does not care trades, and who could do both rests.  Zero for the slack."""
    tariff = tariff_of(problem, "time-of-use")
    return broadcast.answers(problem, tariff.import_price, tariff.export_price)


POLICY = Policy(
    "time-of-use",
    clear,
    frozenset({"balance", "linear", "money", "solvent"}),
    "RETAIL",
    "everybody answers the tariff by himself; nothing is kept",
    heeds_limits=False,
    truthful="price takers",
)
