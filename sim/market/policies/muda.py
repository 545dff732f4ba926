"""MUDA: everybody is put into one of two halves by chance, and each half trades at the price that clears the other.

Promises that nobody trades at a price worse than its own curve, that the operator never has to pay in (it keeps a fee),
and that no lie pays, about prices or powers, for curves of any shape: no offer moves the price it faces, and whoever makes
others of his side go without pays what they would have gained.  Loses what the better partners would have traded across
the halves: little in a large market, all in one where a half does not trade.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sim.curves import SAME_KW, CurveStack, Flags, Floats, OfferCurve, aggregate, clip, disaggregate
from sim.curves import clear as crossing
from sim.market.orders import whole_curves
from sim.market.policy import Policy
from sim.market.problem import Clearing, Problem, record
from sim.market.retail import beside_a_retailer
from sim.rng import stream

FEE = "fee"
"""Account of what those pay who make others of their side go without."""


@beside_a_retailer
def clear(problem: Problem, *, seed: int = 0) -> Clearing:
    """The two halves, each at the other's price; whoever pays a fee has it in the mean price of what it trades.

    seed: what the halves are drawn from; one coin for each participant and interval, whoever else is there.
    Raises ``MarketError`` where a curve has no price for what it takes or gives at any price.
    """
    whole = whole_curves(problem)
    coins = [stream(seed, "muda", str(problem.interval), offer.era).uniform() < 0.5 for offer in problem.offers]
    heads = np.array(coins, dtype=bool)
    power, fee, price = (np.zeros(len(whole)) for _ in range(3))
    for half in (heads, ~heads):
        elsewhere = price_of(_those(whole, ~half), problem.k)
        if elsewhere is not None and half.any():
            trade = traded_at(_those(whole, half), elsewhere)
            power[half], fee[half], price[half] = trade.power_kw, trade.fee_per_h, elsewhere
    trades = np.abs(power) > SAME_KW
    each = np.where(trades, price - np.divide(fee, power, out=np.zeros(len(power)), where=trades), np.nan)
    return record(
        problem,
        "muda",
        power,
        participant_price=[float(p) if ok else None for p, ok in zip(each, trades, strict=True)],
        accounts={FEE: float(fee.sum())} if fee.any() else {},
    )


@dataclass(frozen=True, slots=True, eq=False)
class Trade:
    """A market held at a given price.  power_kw: by curve.  fee_per_h: by curve, what it pays beside the price, >= 0."""

    power_kw: Floats
    fee_per_h: Floats


def price_of(curves: Sequence[OfferCurve], k: float) -> float | None:
    """The price that clears these curves, each of which may do nothing; None if they do not trade with one another."""
    price = crossing(aggregate(curves), 0.0, k).price
    if price is None:
        return None
    bought, sold = _wanted(curves, price)
    return price if min(bought.sum(), sold.sum()) > SAME_KW else None


def traded_at(curves: Sequence[OfferCurve], price: float) -> Trade:
    """The longer side shares what the shorter side wants, at the greatest gain, and pays what it keeps others from."""
    bought, sold = _wanted(curves, price)
    kw = min(float(bought.sum()), float(sold.sum()))
    buyers, buying_fees = _served([clip(c, most, 0.0) for c, most in zip(curves, bought, strict=True)], -kw, price)
    sellers, selling_fees = _served([clip(c, 0.0, most) for c, most in zip(curves, sold, strict=True)], kw, price)
    return Trade(buyers + sellers, buying_fees + selling_fees)


def _wanted(curves: Sequence[OfferCurve], price: float) -> tuple[Floats, Floats]:
    """By curve, the most it would buy and sell at a price; nothing for who would do either and is indifferent."""
    low, high = CurveStack(curves).span(price)
    bought, sold = np.maximum(-low, 0.0), np.maximum(high, 0.0)
    one_way = (bought > 0) != (sold > 0)
    return bought * one_way, sold * one_way


def _served(side: Sequence[OfferCurve], total_kw: float, price: float) -> tuple[Floats, Floats]:
    """Powers of one side of the market that sum to a total, and the fees of all: what the others of the side would gain if
    one were not there, at this price."""
    together = aggregate(side)
    if abs(total_kw) >= max(-together.min_kw, together.max_kw) - SAME_KW:
        return np.array([curve.min_kw + curve.max_kw for curve in side]), np.zeros(len(side))
    marginal = crossing(together, total_kw).price
    power = disaggregate(side, total_kw, price if marginal is None else marginal)
    fees = np.zeros(len(side))
    for index in np.flatnonzero(np.abs(power) > SAME_KW).tolist():
        others = aggregate([*side[:index], *side[index + 1 :]])
        with_him, without_him = total_kw - power[index], min(max(total_kw, others.min_kw), others.max_kw)
        gain = CurveStack([others, others]).welfare(np.array([with_him, without_him])) + price * np.array(
            [with_him, without_him]
        )
        fees[index] = max(float(gain[1] - gain[0]), 0.0)
    return power, fees


def _those(curves: Iterable[OfferCurve], chosen: Flags) -> list[OfferCurve]:
    return [curve for curve, ok in zip(curves, chosen.tolist(), strict=True) if ok]


POLICY = Policy(
    "muda",
    clear,
    frozenset({"balance", "adders", "linear", "rational", "money", "solvent"}),
    "PAY_AS_CLEAR",
    "two halves drawn by lot, each at the price of the other; limits are not looked at",
    heeds_limits=False,
    truthful="always",
    source="Segal-Halevi, Hassidim and Aumann, MUDA: a truthful multi-unit double-auction mechanism, AAAI 2018",
)
