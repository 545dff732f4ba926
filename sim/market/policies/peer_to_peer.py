"""Peer to peer by consensus: every pair haggles over a trade and its price until both name the same, and nobody is in between.

Peer i names to each partner j what it would sell to it, t_ij, or buy, t_ij < 0.  What the two name is to be opposite, and
has a price λ_ij.  In every round each peer, knowing its own curve and nothing else, names

    t_i = argmax  Σ_j λ_ij t_ij - Σ_j (fee_ij / 2) |t_ij| - cost_i(Σ_j t_ij) - ρ/2 Σ_j (t_ij - (t_ij - t_ji) / 2)²

where what stands inside the last brackets was named a round ago; then the price of every pair falls by ρ/2 (t_ij + t_ji),
for that is how much more is offered than asked.  This is the alternating direction method of multipliers: where pairs agree
and prices stand still, the trades are those that are worth most after fees.  The grid's limits are not looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sim.curves import SAME_KW, Flags, Floats, Ints, OfferCurve
from sim.errors import Fault, MarketError
from sim.market.offered import whole_curve
from sim.market.policy import Policy
from sim.market.problem import GRID_FEE, Clearing, Deal, Problem, record
from sim.market.retail import beside_a_retailer
from sim.tolerances import POWER_KW, PRICE_PER_KWH

ROUNDS = 1000
"""Rounds after which a negotiation is broken off, and what the two of a pair name is met half-way.  Fifty peers whose curves
slope take two hundred, and those that want all or nothing eight hundred."""

AGREED_KW = POWER_KW
"""What pairs name may differ by when a negotiation ends, all pairs together [kW]."""

STILL = 1e-7
"""What prices may still move by then, as a share of the range of all prices named."""

_STEPS = 50
"""Steps in which a peer finds its best answer, each exact on the pieces it is on; two are usual."""


@beside_a_retailer
def clear(problem: Problem, fee: float = 0.0, rho: float | None = None, rounds: int = ROUNDS) -> Clearing:
    """The trades that peers agree on, beside the slack, with whom everybody trades what is left; known adders and ``k`` are
    not looked at.

    fee: what a trade pays to the grid for every unit of distance between the two [currency/kWh], half from each side.
    rho: how hard peers hold on to what was named last [currency/kWh per kW]; if not given, for every pair the range of all
    prices named over what the smaller of the two could trade.  rounds: after which it ends anyway; the notes say whether
    pairs agreed.
    Raises ``MarketError`` for options that are none, and names those who take or give at any price where nobody does the
    reverse and there is no price cap or floor to cut them at.
    """
    faults = [Fault("fee", f"{fee:g} is not a fee >= 0")] if not 0 <= fee < math.inf else []
    faults += [Fault("rho", f"{rho:g} is not above zero")] if rho is not None and not 0 < rho < math.inf else []
    faults += [Fault("rounds", f"{rounds} is none")] if rounds < 1 else []
    if faults:
        raise MarketError("peer-to-peer", tuple(faults))
    return negotiated(problem, fee * distances(problem), rho, rounds)


def negotiated(problem: Problem, fee_per_kwh: Floats, rho: float | None = None, rounds: int = ROUNDS) -> Clearing:
    """The same with a fee for every pair, a symmetric matrix in the order of the offers: what sets products apart."""
    curves = [whole_curve(offer.curve, problem.price_floor, problem.price_cap) for offer in problem.offers]
    _refuse_rigid(problem, curves)
    peers = Peers.of(curves, fee_per_kwh, rho)
    talk = peers.talk(rounds)
    sold = _without_resale(np.where(talk.agreed > SAME_KW, talk.agreed, 0.0))
    received, paid = talk.price - fee_per_kwh / 2, talk.price + fee_per_kwh / 2
    receipts = (sold * received).sum(axis=1) - (sold * paid).sum(axis=0)
    setpoint = sold.sum(axis=1) - sold.sum(axis=0)
    collected = float((sold * fee_per_kwh).sum())
    return record(
        problem,
        "peer-to-peer",
        setpoint,
        participant_price=[
            got / kw if kw else None for got, kw in zip(receipts.tolist(), setpoint.tolist(), strict=True)
        ],
        deals=tuple(_deals(problem, sold, received, paid)),
        accounts={GRID_FEE: collected} if collected > PRICE_PER_KWH else {},
        notes=(f"converged: {'yes, in' if talk.settled else 'no, not in'} {talk.rounds} rounds",),
    )


def distances(problem: Problem) -> Floats:
    """Between each two offers, the distances along the path between their nodes, summed."""
    length = {limit.node: limit.distance if limit.parent is not None else 0.0 for limit in problem.limits}
    along = np.array([length[name] for name in problem.tree.names])
    nodes = len(problem.tree.names)
    inside = problem.rows.matrix[nodes : 2 * nodes]  # by node and offer: 1 where it sits at or below
    from_root = along @ inside
    between: Floats = from_root[:, None] + from_root[None, :] - 2 * (inside.T * along) @ inside
    return between


@dataclass(frozen=True, slots=True)
class Talk:
    """A negotiation that ended.  agreed: half of what the two of a pair name against each other, by seller and buyer, the
    reverse with the other sign.  price: λ, symmetric."""

    agreed: Floats
    price: Floats
    rounds: int
    settled: bool


@dataclass(frozen=True, slots=True, eq=False)
class Peers:
    """All who negotiate.  prices, powers: the corners of their curves, a row each, the last one repeated.

    sells: whether the row may sell to the column.  half_fee: what either of a pair pays the grid.  rho: of every pair.
    """

    prices: Floats
    powers: Floats
    sells: Flags
    half_fee: Floats
    rho: Floats

    @classmethod
    def of(cls, curves: Sequence[OfferCurve], fee_per_kwh: Floats, rho: float | None) -> Peers:
        """Everybody may trade with everybody who can take the other side."""
        longest = max((len(curve.prices) for curve in curves), default=1)
        prices, powers = (
            np.array([np.pad(line, (0, longest - len(line)), "edge") for line in lines]).reshape(len(curves), longest)
            for lines in ([curve.prices for curve in curves], [curve.powers for curve in curves])
        )
        gives, takes = powers[:, -1] > POWER_KW, powers[:, 0] < -POWER_KW
        sells = gives[:, None] & takes[None, :] & ~np.eye(len(curves), dtype=bool)
        usual = _usual_rho(prices, powers) if rho is None else np.full(sells.shape, rho)
        return cls(prices, powers, sells, fee_per_kwh / 2, usual)

    def talk(self, rounds: int) -> Talk:
        """From no trades, at the price in the middle of all named."""
        start, still = _middle(self.prices, self.powers), STILL * _range(self.prices, self.powers)
        count = len(self.prices)
        agreed, price, worth = np.zeros((count, count)), np.full((count, count), start), np.full(count, start)
        for number in range(1, rounds + 1):
            named, worth = self._answers(agreed + price / self.rho, worth)
            before, agreed = agreed, (named - named.T) / 2
            too_much = (named + named.T) / 2
            price = price - self.rho * too_much
            moved = self.rho * np.abs(agreed - before)
            if np.abs(too_much).sum() < AGREED_KW and moved.max(initial=0.0) < still:
                return Talk(agreed, price, number, settled=True)
        return Talk(agreed, price, rounds, settled=False)

    def _answers(self, wish: Floats, worth: Floats) -> tuple[Floats, Floats]:
        """What every peer names, and what a kWh more then is worth to it.

        wish: what it would name if a kWh were worth nothing and there were no fee.  It names that less its worth / ρ, and
        nothing where the fee is not covered.  The worth at which the sum is on its curve is found by Newton's method, which
        ends exactly, for everything here is a line on the piece it is on; where it would leave the bracket it has found, it
        halves it.
        """
        least, most = np.full(len(worth), -np.inf), np.full(len(worth), np.inf)
        sell, buy = wish - self.half_fee / self.rho, wish + self.half_fee / self.rho
        for _ in range(_STEPS):
            level = worth[:, None] / self.rho
            selling, buying = self.sells & (sell > level), self.sells.T & (buy < level)
            slope = np.where(selling | buying, 1 / self.rho, 0.0).sum(axis=1)
            wanted = np.where(selling, sell, 0.0).sum(axis=1) + np.where(buying, buy, 0.0).sum(axis=1)
            before, worth = worth, self._worth(wanted, slope, worth)
            least = np.where(worth > before, np.maximum(least, before), least)
            most = np.where(worth < before, np.minimum(most, before), most)
            leaves = (worth != before) & ((worth <= least) | (worth >= most))
            worth[leaves] = (least[leaves] + most[leaves]) / 2
            if (np.abs(worth - before) <= 1e-14 * (1 + np.abs(before))).all():
                break
        level = worth[:, None] / self.rho
        named = np.where(self.sells, np.maximum(sell - level, 0.0), 0.0)
        return named + np.where(self.sells.T, np.minimum(buy - level, 0.0), 0.0), worth

    def _worth(self, wanted: Floats, slope: Floats, near: Floats) -> Floats:
        """By peer, the price p at which its curve gives ``wanted - slope p``; far beyond all prices where none does.

        Where many do, for the slope is zero and the curve is level, the one closest to ``near``.
        """
        reach = self.powers + slope[:, None] * self.prices
        lowest = highest = self._first(reach, (reach < wanted[:, None]).sum(axis=1), wanted)
        # Beyond its ends a curve is level, and only what it wants still changes with the price.
        beyond = wanted - np.clip(wanted, reach[:, 0], reach[:, -1])
        far = 1e3 * (1.0 + np.abs(self.prices).max(initial=0.0))
        steep = np.divide(beyond, slope, out=np.sign(beyond) * far, where=slope > 0)
        level = (slope == 0) & (beyond == 0)
        if level.any():
            last = self._first(reach, (reach <= wanted[:, None]).sum(axis=1), wanted)
            lowest = np.where(level & (wanted == reach[:, 0]), -far, lowest)
            highest = np.where(level, np.where(wanted == reach[:, -1], far, last), highest)
        found: Floats = np.clip(np.clip(near, lowest, highest) + steep, -far, far)
        return found

    def _first(self, reach: Floats, right: Ints, wanted: Floats) -> Floats:
        """By peer, the price at which its line gets to what is wanted left of this corner; at its end where it never does."""
        row, last = np.arange(len(reach)), reach.shape[1] - 1
        left, right = np.clip(right - 1, 0, last), np.clip(right, 0, last)
        width = reach[row, right] - reach[row, left]
        share = np.divide(wanted - reach[row, left], width, out=np.zeros(len(reach)), where=width > 0)
        price: Floats = self.prices[row, left] + share * (self.prices[row, right] - self.prices[row, left])
        return price


def _usual_rho(prices: Floats, powers: Floats) -> Floats:
    """The range of the prices named over what the smaller of a pair could trade, as far as all others could follow."""
    size = np.maximum(np.abs(powers[:, 0]), np.abs(powers[:, -1])) if powers.size else np.zeros(len(powers))
    followed = np.maximum(np.minimum(size, size.sum() - size), 1e3 * POWER_KW)
    rho: Floats = _range(prices, powers) / np.minimum(followed[:, None], followed[None, :])
    return rho


def _named(prices: Floats, powers: Floats) -> Floats:
    """The prices of all peers that any price moves."""
    named: Floats = prices[powers[:, -1] > powers[:, 0]]
    return named if named.size else np.zeros(1)


def _middle(prices: Floats, powers: Floats) -> float:
    named = _named(prices, powers)
    return float(named.min() + named.max()) / 2


def _range(prices: Floats, powers: Floats) -> float:
    return float(np.ptp(_named(prices, powers))) or 1.0


def _refuse_rigid(problem: Problem, curves: Sequence[OfferCurve]) -> None:
    """Whoever takes or gives at any price, where that is more than all others could take the other side of."""
    short = -sum(curve.max_kw for curve in curves), "takes", "cap"
    over = sum(curve.min_kw for curve in curves), "gives", "floor"
    faults = tuple(
        Fault(
            f"offers/{index}/curve",
            f"{problem.offers[index].era} {way} {kw:g} kW at any price, which nobody else {reverse}s",
            f"give the market a price {end} or a slack",
        )
        for total, way, end in (short, over)
        for index, curve in enumerate(curves)
        if total > POWER_KW and (kw := -curve.max_kw if way == "takes" else curve.min_kw) > 0
        for reverse in ("give" if way == "takes" else "take",)
    )
    if faults:
        raise MarketError("peer-to-peer", faults)


def _without_resale(sold: Floats) -> Floats:
    """Sales where nobody both buys and sells: who does is passed by, and its sellers sell to its buyers."""
    sold = sold.copy()
    for peer in np.flatnonzero((sold.sum(axis=0) > 0) & (sold.sum(axis=1) > 0)).tolist():
        bought, resold = sold[:, peer].copy(), sold[peer].copy()
        passed = min(bought.sum(), resold.sum())
        if passed > 0:
            sold[:, peer] -= bought * (passed / bought.sum())
            sold[peer] -= resold * (passed / resold.sum())
            sold += np.outer(bought, resold) * (passed / (bought.sum() * resold.sum()))
    np.fill_diagonal(sold, 0.0)
    return sold


def _deals(problem: Problem, sold: Floats, received: Floats, paid: Floats) -> Iterator[Deal]:
    for seller, buyer in np.argwhere(sold > POWER_KW).tolist():
        eras = problem.offers[seller].era, problem.offers[buyer].era
        prices = float(paid[seller, buyer]), float(received[seller, buyer])
        yield Deal(*eras, float(sold[seller, buyer]), *prices)


POLICY = Policy(
    "peer-to-peer",
    clear,
    frozenset({"balance", "money", "solvent"}),
    "PAY_AS_CLEAR",
    "every pair haggles until both name the same",
    heeds_limits=False,
    source="Sorin, Bobo and Pinson, IEEE Transactions on Power Systems 34(2), 2019",
)
