"""From a store's problem to the curve that it offers: the seam where one way to decide takes the place of another.

Whatever stores energy (a car, a battery) states the same ``StoreProblem``; an optimiser answers it with a curve over all
prices of the interval that is bid for.  One more is a class and a line in ``OPTIMISERS``; its fields are its options in a
scenario.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, TypeAlias

from agents.forecast import Forecast
from agents.resource import Charges
from agents.worth import Slot, Worth, blended, offer_points, unserved_kwh, worth_after
from sim.curves import OfferCurve, Point

SPREAD = ((0.1, 0.3), (0.5, 0.4), (0.9, 0.3))
"""Quantiles that stand for a distribution, and the weight of each, so that mean and spread of most are kept.

Source: the extended Swanson-Megill rule; Keefer and Bodily, Three-Point Approximations for Continuous Random Variables, 1983.
"""


@dataclass(frozen=True, slots=True)
class StoreProblem:
    """What a store wants and can do, seen from one gate.

    who: its address.  hours: of the market's intervals.  level_kwh: stored when the interval bid for begins; full_kwh: when
    full.  slots: what it can do in that interval and in each one after it, to the end of its horizon.  prices: expected price
    in each of them, by number of interval from ``prices.first`` on, which is the one bid for.  charges: on top of a price.
    least_kw, most_kw: power that it can keep up over the interval, ≤ 0 and ≥ 0.
    need_kwh: what it still has to draw from the grid to reach its target, or to be full.  target_kwh: level wanted at the end,
    None for a store that goes on.  leaving: for each slot, the probability that it ends the horizon; empty for none.
    tariff_range: lowest and highest tariff price.
    """

    who: str
    hours: float
    level_kwh: float
    full_kwh: float
    slots: tuple[Slot, ...]
    prices: Forecast
    charges: Charges
    least_kw: float
    most_kw: float
    need_kwh: float
    target_kwh: float | None = None
    leaving: tuple[float, ...] = ()
    tariff_range: tuple[float, float] = (0.0, 0.0)

    @property
    def slot(self) -> Slot:
        """What it can do in the interval that is bid for."""
        return self.slots[0]

    @property
    def later(self) -> list[Point]:
        """(expected price, most that can be drawn) of each later interval."""
        return list(zip(self.prices.values[1:], [slot.charge_kwh for slot in self.slots[1:]], strict=True))

    def unserved_kwh(self) -> float:
        """How much of its target it will lack, even if it draws all that it can."""
        return 0.0 if self.target_kwh is None else unserved_kwh(self.level_kwh, self.slots, self.target_kwh)


@dataclass(frozen=True, slots=True)
class Bid:
    """An optimiser's answer: the curve, and one line that says what it rests on.  unserved_kwh: what will be lacking."""

    curve: OfferCurve
    summary: str
    unserved_kwh: float = 0.0


Optimise: TypeAlias = Callable[[StoreProblem], Bid]


# --- closed forms -----------------------------------------------------------------------------------------------------


def charging_curve(*, need_kwh: float, now_kwh: float, later: Iterable[Point], hours: float, who: str) -> OfferCurve:
    """The curve of a car that minimises the cost of ``need_kwh`` (grid side) over this interval and later ones.

    now_kwh: most that this interval can take.  later: (forecast price, most that it can take) of each later interval.
    At price p the car leaves to later whatever fits into intervals forecast to be cheaper than p, and takes the rest now:
    ``P(p) = -clip(need - Σ_{π < p} capacity, 0, now) / hours``.  What fits nowhere later is taken at any price; a need
    that cannot be met at all is therefore bid whole, at any price.
    Source: parametric solution of the charging LP with one energy constraint (a fractional knapsack).
    """

    def p_kw(left_kwh: float) -> float:
        return -min(max(left_kwh, 0.0), now_kwh) / hours

    ordered = sorted(later)
    points = [(ordered[0][0] if ordered else 0.0, p_kw(need_kwh))]
    left_kwh = need_kwh
    for price, slots in groupby(ordered, key=lambda slot: slot[0]):
        left_kwh -= sum(capacity for _, capacity in slots)
        if p_kw(left_kwh) > points[-1][1]:
            points += [(price, points[-1][1]), (price, p_kw(left_kwh))]
        if left_kwh <= 0:
            break
    return OfferCurve.of(points, who=who)


def threshold_curve(
    *, low_kw: float, high_kw: float, charge_below_per_kwh: float, discharge_above_per_kwh: float, who: str
) -> OfferCurve:
    """Charge at ``low_kw`` ≤ 0 up to one price, discharge at ``high_kw`` ≥ 0 from another on, rest between them."""
    points = [
        (charge_below_per_kwh, low_kw),
        (charge_below_per_kwh, 0.0),
        (discharge_above_per_kwh, 0.0),
        (discharge_above_per_kwh, high_kw),
    ]
    return OfferCurve.of(points, who=who)


# --- optimisers -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rule:
    """Full power at any price until the need is met: what a store does that nobody coordinates."""

    def __call__(self, problem: StoreProblem) -> Bid:
        """The curve."""
        p_kw = max(-problem.need_kwh / problem.hours, problem.least_kw) + 0.0
        return Bid(OfferCurve.of([(0.0, p_kw)], who=problem.who), "at any price", problem.unserved_kwh())


@dataclass(frozen=True, slots=True)
class Cheapest:
    """The need from the cheapest of the intervals that are left, this one at its own price; nothing is given back."""

    def __call__(self, problem: StoreProblem) -> Bid:
        """The curve."""
        curve = charging_curve(
            need_kwh=problem.need_kwh,
            now_kwh=problem.slot.charge_kwh,
            later=problem.later,
            hours=problem.hours,
            who=problem.who,
        )
        return Bid(
            curve, f"{problem.need_kwh:g} kWh in {len(problem.slots)} intervals at least cost", problem.unserved_kwh()
        )


@dataclass(frozen=True, slots=True)
class Threshold:
    """One price to draw below, and one to give above.

    With a target: full power up to the price that the last kWh of the need costs in the cheapest later intervals, which is a
    quantile of their prices; at any price where they do not suffice.  Without one: a worth that falls with the level in
    a straight line, from the highest tariff price of the day when empty (it saves an import at the peak) to the lowest when
    full (it can always be had again).
    """

    def __call__(self, problem: StoreProblem) -> Bid:
        """The curve."""
        return self._level(problem) if problem.target_kwh is None else self._quantile(problem)

    def _quantile(self, problem: StoreProblem) -> Bid:
        left_kwh, full_kw = problem.need_kwh, max(-problem.need_kwh / problem.hours, problem.least_kw) + 0.0
        for price, capacity_kwh in sorted(problem.later):
            left_kwh -= capacity_kwh
            if left_kwh <= 0:
                points = [(price, full_kw), (price, 0.0)]
                return Bid(OfferCurve.of(points, who=problem.who), f"full power up to {price:g}")
        return Bid(OfferCurve.of([(0.0, full_kw)], who=problem.who), "no time left to wait", problem.unserved_kwh())

    def _level(self, problem: StoreProblem) -> Bid:
        full, empty = problem.tariff_range
        worth = empty + (full - empty) * (problem.level_kwh / problem.full_kwh)
        slot, charges = problem.slot, problem.charges
        curve = threshold_curve(
            low_kw=problem.least_kw,
            high_kw=problem.most_kw,
            charge_below_per_kwh=charges.price_when_drawing(worth * slot.charge_efficiency),
            discharge_above_per_kwh=charges.price_when_giving(worth / slot.discharge_efficiency + slot.wear_per_kwh),
            who=problem.who,
        )
        return Bid(curve, f"a stored kWh is worth {worth:g}")


@dataclass(frozen=True, slots=True)
class MPC:
    """The worth of stored energy over the whole horizon, exact for the forecast, at every level that the interval can reach.

    risk: quantile of the forecast to plan with, 0..1; above 0.5 prices are taken to be higher than expected, so that what is
    needed is drawn sooner and what is stored is given later.  None: the expected value.  end: what a store without a target
    holds at the end is worth what it would bring at the mean forecast price, losses and wear taken off (mean), or nothing
    (empty), or has to be what it is now (cyclic).
    """

    risk: float | None = None
    end: Literal["mean", "empty", "cyclic"] = "mean"

    def __post_init__(self) -> None:
        if self.risk is not None and not 0 <= self.risk <= 1:
            raise ValueError(f"risk: {self.risk:g} is not within 0..1")

    def __call__(self, problem: StoreProblem) -> Bid:
        """The curve."""
        prices = problem.prices.values if self.risk is None else problem.prices.row(self.risk)
        return _bid(problem, _worth(problem, prices, self.end))


@dataclass(frozen=True, slots=True)
class Fan:
    """The mean worth over a fan of prices: the forecast's P10, P50 and P90.

    One of them turns out to be what follows, from the next interval on; what is decided now holds for all (a two-stage
    stochastic programme).  Without quantiles the same as mpc.  end: as there.
    """

    end: Literal["mean", "empty", "cyclic"] = "mean"

    def __call__(self, problem: StoreProblem) -> Bid:
        """The curve."""
        prices = problem.prices
        if prices.p10 is None and prices.p90 is None:
            return _bid(problem, _worth(problem, prices.values, self.end))
        worths = [_worth(problem, prices.row(share), self.end) for share, _ in SPREAD]
        return _bid(problem, blended(worths, [weight for _, weight in SPREAD]))


def _worth(problem: StoreProblem, prices: Iterable[float], end: str) -> Worth:
    """The worth at the end of the interval bid for, if these were the prices."""
    charges = problem.charges
    priced = [(charges.cost_when_drawing(price), charges.gain_when_giving(price)) for price in prices]
    return worth_after(_last_worth(problem, priced, end), problem.slots, priced, problem.leaving)


def _last_worth(problem: StoreProblem, priced: list[Point], end: str) -> Worth:
    last, target = problem.slots[-1], problem.target_kwh
    if target is not None or end == "cyclic":
        wanted = problem.level_kwh if target is None else target
        return Worth.target(wanted, last.missing_per_kwh, 0.0, problem.full_kwh, 0.0)
    if end == "empty":
        return Worth.flat(0.0, problem.full_kwh, 0.0)
    mean = sum(sell for _, sell in priced) / len(priced)
    return Worth.flat(0.0, problem.full_kwh, (mean - last.wear_per_kwh) * last.discharge_efficiency)


def _bid(problem: StoreProblem, worth: Worth) -> Bid:
    charges = problem.charges
    points = offer_points(
        problem.level_kwh, problem.slot, worth, problem.hours, charges.price_when_drawing, charges.price_when_giving
    )
    summary = f"a stored kWh is worth {worth.at(problem.level_kwh):g} at {problem.level_kwh:g} kWh"
    return Bid(OfferCurve.of(points, who=problem.who), summary, problem.unserved_kwh())


@dataclass(frozen=True, slots=True)
class Optimiser:
    """One way for a store to decide.  make: gives it, for options by keyword."""

    name: str
    make: Callable[..., Optimise]
    summary: str


OPTIMISERS: Mapping[str, Optimiser] = {
    optimiser.name: optimiser
    for optimiser in (
        Optimiser("rule", Rule, "full power at any price until the need is met"),
        Optimiser("cheapest", Cheapest, "the need from the cheapest intervals until the deadline, in closed form"),
        Optimiser(
            "threshold", Threshold, "draw below one price, give above another: a quantile, or linear in the level"
        ),
        Optimiser("mpc", MPC, "exact worth of every stored kWh over the forecast; risk= plans with a quantile of it"),
        Optimiser("fan", Fan, "the mean of mpc over the forecast's quantiles"),
    )
}
"""Everything that a store can decide by, by name."""
