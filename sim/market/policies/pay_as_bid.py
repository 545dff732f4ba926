"""Pay as bid: what pay-as-clear trades, but everybody pays or gets what it offered, and the operator keeps the spread.

Promises, if everybody offers its true curve: the greatest welfare without limits; that nobody loses (nor gains: by its own
curve, each is as well off as without trading); and that the operator has nothing to pay in.  Truthful for nobody: who
shades its offer keeps the difference (Kahn, Cramton, Porter and Tabors, Uniform Pricing or Pay-as-Bid Pricing, The
Electricity Journal 14(6), 2001).
"""

from __future__ import annotations

from sim.curves import SAME_KW, CurveStack, Floats
from sim.market.orders import whole_curves
from sim.market.policies import pay_as_clear
from sim.market.policy import Policy
from sim.market.problem import SPREAD, Clearing, Problem, record
from sim.market.retail import beside_a_retailer
from sim.tolerances import POWER_KW


@beside_a_retailer
def clear(problem: Problem) -> Clearing:
    """The set-points of pay-as-clear, each at the mean price of its own curve between zero and its set-point.

    Raises ``MarketError`` that names whoever takes or gives at any price where no price cap or floor says what that bids.
    """
    own = CurveStack(whole_curves(problem))
    setpoint = problem.in_order(pay_as_clear.clear(problem).setpoint_kw)
    prices = _own_prices(problem, setpoint, own.welfare(setpoint))
    receipts = sum((price or 0.0) * p_kw for price, p_kw in zip(prices, setpoint.tolist(), strict=True))
    return record(
        problem,
        "pay-as-bid",
        setpoint,
        participant_price=prices,
        accounts={SPREAD: -receipts} if receipts else {},
    )


def _own_prices(problem: Problem, setpoint_kw: Floats, value_per_h: Floats) -> list[float | None]:
    """By offer, value per kWh; the price cap or floor for who is cut to nothing, None for who trades nothing."""
    cut = problem.curtailed_kw(setpoint_kw).tolist()
    return [
        -value / p_kw
        if abs(p_kw) > SAME_KW
        else problem.price_cap
        if beyond > POWER_KW
        else problem.price_floor
        if beyond < -POWER_KW
        else None
        for p_kw, value, beyond in zip(setpoint_kw.tolist(), value_per_h.tolist(), cut, strict=True)
    ]


POLICY = Policy(
    "pay-as-bid",
    clear,
    frozenset({"range", "balance", "adders", "linear", "rational", "money", "solvent", "efficient"}),
    "PAY_AS_CLEAR",
    "everybody pays or gets what it offered; limits are not looked at",
    heeds_limits=False,
    source="discriminatory auction: Kahn, Cramton, Porter and Tabors, The Electricity Journal 14(6), 2001",
)
