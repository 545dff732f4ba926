"""Offer curves, and the five operations on them that are the whole market.

An offer curve says how much power someone injects at each price (negative: withdraws).  It is a line that only ever goes
right and up in the (price, power) plane:

    power                       f(p-)  the least it may do at a price    ``low``
      |            ______       f(p+)  the most it may do at that price  ``high``
      |          /              f(p-) = f(p+) except on a vertical step: there every power between is as good to it,
    --+---------|-------- price and no price can choose one.  That is what ``disaggregate`` is for.
      |   ______|

| operation                            | means                                                        |
|--------------------------------------|--------------------------------------------------------------|
| ``aggregate(curves)``                | add at equal price                                           |
| ``clip(curve, import, export)``      | keep the sum inside [-import limit, +export limit]           |
| ``shift(curve, by)``                 | move in price: fee, tax, adder, wear                         |
| ``clear(curve, target, k)``          | the prices at which the sum is the target                    |
| ``disaggregate(curves, p, price)``   | give a cleared total back to the parts                       |

Powers are kW, + = injection; prices are currency per kWh.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sim.errors import CurveError, Fault

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Flags = NDArray[np.bool_]
Point = tuple[float, float]

PRICE_DECIMALS = 12
"""Prices are kept to this many decimals, so that 0.1 + 0.2 and 0.3 are one price and those who ask it share a tie."""

MAGNITUDE = 1e9
"""Largest price and power of a point.  Beyond a terawatt a number is a mistake, and sums of floats lose the watts."""

SAME_KW = 1e-9
"""Sums this close are one level [kW]: rounding of thousands of parts must not hide that a whole range of prices balances."""

_PRICE_SLIP = 1e-15
"""Relative rounding of a computed price.  What a curve does within it, is what the curve may do at that price: a step
that is not quite vertical would otherwise turn the last digit of a price into kilowatts."""


@dataclass(frozen=True, slots=True, eq=False)
class OfferCurve:
    """Power by price, as the corners of a line; level before the first corner and after the last one.

    prices, powers: read-only, of equal length >= 1, neither ever falls; two corners at one price are a vertical step.
    Nothing is checked here: curves from outside come through ``of``.
    """

    prices: Floats
    powers: Floats

    def __post_init__(self) -> None:
        self.prices.flags.writeable = False
        self.powers.flags.writeable = False

    @classmethod
    def of(cls, points: Iterable[Point], *, step: bool = False, who: str = "curve") -> OfferCurve:
        """The curve through (price, power) points that ascend in price and never fall in power.

        step: between two points the power is the value in their range closest to zero, so that a withdrawal is taken up
        to its price and an injection from its price on.  Otherwise it is linear.
        Raises ``CurveError(who, ...)`` with every fault; a fault's place is ``curve/index of the point``.
        """
        given = [(float(price), float(power)) for price, power in points]
        faults = tuple(_faults(given))
        if faults:
            raise CurveError(who, faults)
        snapped = [(_snap(price), power) for price, power in given]
        corners = list(_stairs(snapped)) if step else snapped
        return _through([corners[0], *(b for a, b in pairwise(corners) if a != b)])

    @property
    def min_kw(self) -> float:
        """Least power at any price: the largest withdrawal where negative."""
        return float(self.powers[0])

    @property
    def max_kw(self) -> float:
        """Largest power at any price."""
        return float(self.powers[-1])

    def low(self, price_per_kwh: float) -> float:
        """Power just below this price, f(p-)."""
        return self._between(int(np.searchsorted(self.prices, price_per_kwh, "left")), price_per_kwh)

    def high(self, price_per_kwh: float) -> float:
        """Power just above this price, f(p+)."""
        return self._between(int(np.searchsorted(self.prices, price_per_kwh, "right")), price_per_kwh)

    def span(self, price_per_kwh: float) -> tuple[float, float]:
        """What it may do at this price, (least, most), with the price known to the rounding of a computed price."""
        slip = _PRICE_SLIP * max(1.0, abs(price_per_kwh)) if math.isfinite(price_per_kwh) else 0.0
        return self.low(price_per_kwh - slip), self.high(price_per_kwh + slip)

    def _between(self, right: int, price: float) -> float:
        if right in (0, len(self.prices)):
            return float(self.powers[right and -1])
        t = (price - self.prices[right - 1]) / (self.prices[right] - self.prices[right - 1])
        before, after = self.powers[right - 1], self.powers[right]
        return float(min(max(before * (1 - t) + after * t, before), after))  # by its last digit it may lie beside both

    def points(self) -> tuple[Point, ...]:
        """The fewest (price, power) points that give this curve back, read linearly: its canonical form on the wire.

        A power that no price changes is given at price 0.
        """
        if self.min_kw == self.max_kw:
            return ((0.0, self.min_kw),)
        kept: list[Point] = []
        for corner in zip(self.prices.tolist(), self.powers.tolist(), strict=True):
            while len(kept) > 1 and _on_line(kept[-2], kept[-1], corner):
                kept.pop()
            if not kept or kept[-1] != corner:
                kept.append(corner)
        first = 1 if kept[0][1] == kept[1][1] else 0
        last = -1 if kept[-1][1] == kept[-2][1] else len(kept)
        return tuple(kept[first:last])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OfferCurve) and self.points() == other.points()

    def __hash__(self) -> int:
        return hash(self.points())

    def __repr__(self) -> str:
        return "OfferCurve(" + " ".join(f"{power:g}@{price:g}" for price, power in self.points()) + ")"


@dataclass(frozen=True, slots=True)
class Crossing:
    """The prices at which a curve gives a target power: all of [price_lo, price_hi], either of which may be infinite.

    price: the one chosen, ``lo + k (hi - lo)``; the finite end if there is only one, for nobody named another price;
    None if there is none.
    reachable: False if the curve gives the target at no price; both ends are then +inf (it falls short of the target
    at every price) or -inf (it exceeds the target at every price).
    """

    price_lo: float
    price_hi: float
    price: float | None
    reachable: bool = True


# --- the five operations ----------------------------------------------------------------------------------------------


def aggregate(curves: Sequence[OfferCurve | CurveStack]) -> OfferCurve:
    """The sum of curves at equal price, exact up to the rounding of its result; the sum of none is zero at any price.

    curves: curves, and stacks of them.  A step of the sum is as high as the steps of its parts at that price together.
    """
    if len(curves) == 1 and isinstance(curves[0], OfferCurve):
        return curves[0]
    return CurveStack(curves).total()


def clip(curve: OfferCurve, import_limit_kw: float, export_limit_kw: float) -> OfferCurve:
    """The curve kept inside [-import limit, +export limit]; a limit may be infinite.

    Raises ``CurveError`` where nothing lies inside, that is where -import limit > export limit.
    """
    floor, ceiling = -import_limit_kw, export_limit_kw
    if not floor <= ceiling:
        raise CurveError("clip", f"no power is above {floor:g} kW and below {ceiling:g} kW")
    if floor <= curve.min_kw and curve.max_kw <= ceiling:
        return curve
    if curve.max_kw <= floor or ceiling <= curve.min_kw:
        return _through([(float(curve.prices[0]), min(max(curve.min_kw, floor), ceiling))])
    first = int(np.searchsorted(curve.powers, floor, "right"))
    last = int(np.searchsorted(curve.powers, ceiling, "left"))
    head = [(_price_at(curve, first, floor), floor)] if first else []
    tail = [(_price_at(curve, last, ceiling), ceiling)] if last < len(curve.powers) else []
    return OfferCurve(
        np.concatenate(([price for price, _ in head], curve.prices[first:last], [price for price, _ in tail])),
        np.concatenate(([power for _, power in head], curve.powers[first:last], [power for _, power in tail])),
    )


def shift(curve: OfferCurve, by_per_kwh: float) -> OfferCurve:
    """The curve moved in price: what was offered at p is now offered at p + by."""
    return OfferCurve(np.array([_snap(price + by_per_kwh) for price in curve.prices.tolist()]), curve.powers)


def clear(curve: OfferCurve, target_kw: float = 0.0, k: float = 0.5) -> Crossing:
    """The prices p with f(p-) <= target <= f(p+), and the one to use where they are many.

    k: 0 takes the lowest, 1 the highest, 0.5 the middle.
    """
    powers = curve.powers
    first = int(np.searchsorted(powers, target_kw - SAME_KW, "left"))
    last = int(np.searchsorted(powers, target_kw + SAME_KW, "right")) - 1
    if first == len(powers):
        return Crossing(math.inf, math.inf, None, reachable=False)
    if last < 0:
        return Crossing(-math.inf, -math.inf, None, reachable=False)
    if first > last:
        lo = hi = _price_at(curve, first, target_kw)
    else:
        lo = float(curve.prices[first]) if first else -math.inf
        hi = float(curve.prices[last]) if last + 1 < len(powers) else math.inf
    return Crossing(lo, hi, price_between(lo, hi, k))


def disaggregate(curves: Sequence[OfferCurve] | CurveStack, p_kw: float, price_per_kwh: float) -> Floats:
    """The parts of a cleared total at this price, one per curve; they sum to ``p_kw``.

    Where parts are indifferent, as much as possible is traded, and each side shares what it gets pro rata to what each
    could take (``Plateau``).  A total that the parts would not give at this price is a curtailment, or its reverse: all
    move pro rata towards the end of their range.  Raises ``CurveError`` for a total that they give at no price.
    """
    stack = curves if isinstance(curves, CurveStack) else CurveStack(curves)
    floor, ceiling = float(stack.min_kw.sum()), float(stack.max_kw.sum())
    if not floor - SAME_KW <= p_kw <= ceiling + SAME_KW:
        raise CurveError("disaggregate", f"{p_kw:g} kW is outside [{floor:g}, {ceiling:g}] kW, all that the parts give")
    low, high = stack.span(price_per_kwh)
    if p_kw < low.sum():
        return low - (low - stack.min_kw) * _portion(low.sum() - p_kw, low.sum() - floor)
    if p_kw > high.sum():
        return high + (stack.max_kw - high) * _portion(p_kw - high.sum(), ceiling - high.sum())
    everyone = np.zeros(len(low), np.intp)
    return Plateau.of(low, high).split(everyone, np.array([p_kw]))


def price_between(lo: float, hi: float, k: float) -> float | None:
    """The price chosen from all of [lo, hi]: ``lo + k (hi - lo)``, else the only finite end, else None."""
    if math.isinf(lo) or math.isinf(hi):
        return next((end for end in (lo, hi) if math.isfinite(end)), None)
    return lo if lo == hi else (1 - k) * lo + k * hi  # at k = 1 this is hi, to the last bit


def price_inside(lo: float, hi: float) -> float:
    """Some price of [lo, hi], inside of it where it has an inside, whichever ends are infinite."""
    if math.isfinite(lo) and math.isfinite(hi):
        return (lo + hi) / 2
    return lo + 1 if math.isfinite(lo) else hi - 1 if math.isfinite(hi) else 0.0


# --- many curves at once ----------------------------------------------------------------------------------------------


class CurveStack:
    """Curves laid end to end, to be asked together; row i is curve i.  Every answer has one value per row.

    A price is one for all rows or one per row, and may be infinite.
    """

    def __init__(self, curves: Sequence[OfferCurve | CurveStack]) -> None:
        self._lay(*_end_to_end(curves))

    @classmethod
    def of_arrays(cls, prices: Floats, powers: Floats, starts: Ints) -> CurveStack:
        """Curves that are laid end to end already: all their corners, and where each curve starts.

        Every curve has a corner, ascends in price and never falls in power; prices that are to tie are equal to the last
        bit (``PRICE_DECIMALS``).  Nothing is checked, and the arrays are not copied.
        """
        stack = cls.__new__(cls)
        stack._lay(prices, powers, starts)
        return stack

    def _lay(self, prices: Floats, powers: Floats, starts: Ints) -> None:
        self.prices, self.powers, self._start = prices, powers, starts
        self._last = np.append(starts[1:], len(prices))[: len(starts)] - 1
        self.min_kw: Floats = powers[starts]
        self.max_kw: Floats = powers[self._last]

    @cached_property
    def _row(self) -> Ints:
        """By point, the curve that it belongs to."""
        return np.repeat(np.arange(len(self._start)), self._last + 1 - self._start)

    def __len__(self) -> int:
        return len(self._start)

    def total(self) -> OfferCurve:
        """The sum of all curves at equal price (``aggregate``)."""
        if len(self) < 2:
            return OfferCurve(self.prices, self.powers) if len(self) else NOTHING
        return _sum(self.prices, self.powers, self._start)

    def parted(self, group: Ints, count: int) -> list[CurveStack]:
        """The curves of each group, numbered from 0 to ``count``, as a stack of its own, in their order."""
        rows = np.argsort(group, kind="stable")
        taken, starts = self._points_of(rows)
        prices, powers = self.prices[taken], self.powers[taken]
        ends = np.append(starts, len(taken))
        first = np.searchsorted(group[rows], np.arange(count + 1))
        cuts = list(zip(first.tolist(), ends[first].tolist(), strict=True))
        return [
            CurveStack.of_arrays(prices[start:end], powers[start:end], starts[row:last] - start)
            for (row, start), (last, end) in pairwise(cuts)
        ]

    def _points_of(self, rows: Ints) -> tuple[Ints, Ints]:
        """The points of these curves one after the other, and where each then starts."""
        points = self._last[rows] + 1 - self._start[rows]
        starts = points.cumsum() - points
        return np.repeat(self._start[rows] - starts, points) + np.arange(points.sum()), starts

    def crossing(self, target_kw: float = 0.0, k: float = 0.5) -> Crossing:
        """The prices at which all curves together give the target: ``clear(self.total(), ...)``, to rounding.

        Many curves are added up only between two prices that the target lies between, which a sample of them suggests.
        """
        stack, rest = self, NOTHING
        while len(stack.prices) > _MANY:
            narrowed = stack._narrowed(rest, target_kw)
            if narrowed is None:
                break
            stack, rest = narrowed
        return clear(aggregate([stack.total(), rest]) if stack is not self else stack.total(), target_kw, k)

    def _narrowed(self, rest: OfferCurve, target_kw: float) -> tuple[CurveStack, OfferCurve] | None:
        """The curves that bend where all of them and the rest cross the target, and the sum of the others, a line there.

        None where that would leave most of them.
        """
        prices = np.sort(self.prices[_spread(_SAMPLE, len(self.prices))])
        guess = clear(self._sampled(rest), target_kw)
        if not guess.reachable or guess.price is None:
            return None
        middle = int(np.searchsorted(prices, guess.price))
        below = self._edge(prices, middle, -1, rest, target_kw)
        above = self._edge(prices, middle, 1, rest, target_kw)
        if below is None or above is None:
            return None
        return self._between(below, above, rest)

    def _sampled(self, rest: OfferCurve) -> OfferCurve:
        """About what all curves and the rest sum to."""
        rows = np.unique(_spread(_SAMPLE, len(self)))
        taken, starts = self._points_of(rows)
        total = _sum(self.prices[taken], self.powers[taken], starts)
        return aggregate([OfferCurve(total.prices, total.powers * (len(self) / len(rows))), rest])

    def _edge(self, prices: Floats, middle: int, way: int, rest: OfferCurve, target_kw: float) -> _Edge | None:
        """A price on this side of the target, beyond all doubt of rounding, and the power of each there."""
        distance = _NEAR
        while 0 <= middle + way * distance < len(prices):
            price = float(prices[middle + way * distance])
            kw, others = (self.high(price), rest.high(price)) if way < 0 else (self.low(price), rest.low(price))
            if way * (float(kw.sum()) + others - target_kw) > SAME_KW * (2 + len(self)):
                return _Edge(price, kw)
            distance *= 4
        return None

    def _between(self, below: _Edge, above: _Edge, rest: OfferCurve) -> tuple[CurveStack, OfferCurve] | None:
        """The curves that have a corner strictly between two prices, and the sum of all others and the rest there."""
        inside = (self.prices > below.price) & (self.prices < above.price)
        at = np.flatnonzero(inside)
        if 2 * len(at) > len(inside):
            return None
        rows, points = np.unique(self._row_of(at), return_counts=True)
        starts = (points + 2).cumsum() - points - 2
        ends = starts + points + 1
        corner = np.ones(len(at) + 2 * len(rows), dtype=bool)
        corner[starts] = corner[ends] = False
        prices, powers = np.empty(len(corner)), np.empty(len(corner))
        prices[corner], powers[corner] = self.prices[at], self.powers[at]
        prices[starts], powers[starts] = below.price, below.kw[rows]
        prices[ends], powers[ends] = above.price, above.kw[rows]
        line = np.ones(len(self), dtype=bool)
        line[rows] = False
        straight = _through([(edge.price, float(edge.kw[line].sum())) for edge in (below, above)])
        window = [(below.price, rest.high(below.price)), (above.price, rest.low(above.price))]
        return CurveStack.of_arrays(prices, powers, starts), aggregate([straight, _through(window)])

    def _row_of(self, point: Ints) -> Ints:
        """The curves that these points belong to."""
        return np.searchsorted(self._start, point, "right") - 1

    def low(self, price_per_kwh: float | Floats) -> Floats:
        """Power of each just below its price, f(p-)."""
        price = np.asarray(price_per_kwh, dtype=float)
        return self._after(self.prices < (price[self._row] if price.ndim else price), price)

    def high(self, price_per_kwh: float | Floats) -> Floats:
        """Power of each just above its price, f(p+)."""
        price = np.asarray(price_per_kwh, dtype=float)
        return self._after(self.prices <= (price[self._row] if price.ndim else price), price)

    def span(self, price_per_kwh: float | Floats) -> tuple[Floats, Floats]:
        """What each may do at its price, (least, most), with the price known to the rounding of a computed price."""
        price = np.asarray(price_per_kwh, dtype=float)
        slip = np.where(np.isfinite(price), _PRICE_SLIP * np.maximum(1.0, np.abs(price)), 0.0)
        return self.low(price - slip), self.high(price + slip)

    def _after(self, passed: Flags, price: Floats) -> Floats:
        """Power of each row at its price, of whose points those marked are already passed."""
        right = self._start + np.add.reduceat(passed, self._start, dtype=np.intp)
        left = np.maximum(right - 1, self._start)
        right = np.minimum(right, self._last)
        width = self.prices[right] - self.prices[left]
        t: Floats = np.divide(price - self.prices[left], width, out=np.zeros(len(width)), where=width > 0)
        before, after = self.powers[left], self.powers[right]
        power: Floats = np.clip(before * (1 - t) + after * t, before, after)  # as a single curve has it
        return power

    def welfare(self, p_kw: Floats) -> Floats:
        """What each gains from its set-point [currency/h], counted from the power of its range that is nearest to zero.

        Value of a withdrawal, minus the cost of an injection: minus the integral of the inverse curve.  Only what lies
        inside the curve's own range is counted.
        """
        near = np.clip(0.0, self.min_kw, self.max_kw)
        row, q0, q1 = self._row[:-1], self.powers[:-1], self.powers[1:]
        lower = np.clip(np.minimum(near, p_kw)[row], q0, q1)
        upper = np.clip(np.maximum(near, p_kw)[row], q0, q1)
        rising = (row == self._row[1:]) & (q1 > q0)
        t = np.divide((lower + upper) / 2 - q0, q1 - q0, out=np.zeros(len(row)), where=rising)
        area = np.where(rising, (upper - lower) * (self.prices[:-1] * (1 - t) + self.prices[1:] * t), 0.0)
        gain: Floats = np.sign(near - p_kw) * _by_group(area, row, len(near))
        return gain


@dataclass(frozen=True, slots=True, eq=False)
class _Edge:
    """A price, and the power of each curve there."""

    price: float
    kw: Floats


_MANY = 8000
"""Corners from which on it pays to look for the crossing before adding up."""

_SAMPLE = 2048
"""Curves that the crossing is guessed from, and corners whose prices are tried around it."""

_NEAR = 40
"""How many of these corners the first price tried lies off the guess: four deviations of the guess for curves that vary
as much as they are large; four times as many with every miss."""


def _spread(count: int, length: int) -> Ints:
    """Places below ``length``, spread evenly and in step with no pattern: by the fractions of multiples of the golden ratio."""
    places: Ints = np.floor(np.arange(min(count, length)) * _GOLDEN % 1.0 * length).astype(np.intp)
    return places


_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Over which part of a tier of the queue each part moves: from ``first`` to ``last``, within 0..1 from its near end.

    up: of those tiers in which it goes above the power nearest to zero.  down: of those in which it goes below.
    """

    up_first: Floats
    up_last: Floats
    down_first: Floats
    down_last: Floats

    @classmethod
    def one_by_one(cls, rank: Floats) -> Stretch:
        """One after the other: the n-th of N moves over the n-th of N equal stretches.  rank: 0 moves first."""
        first, last = rank / len(rank), (rank + 1) / len(rank)
        return cls(first, last, first, last)

    @classmethod
    def alike(cls, plateau: Plateau) -> Stretch:
        """Everybody in step, by the same kW until it has all it could take: water filling."""
        up, down = plateau.up_kw.copy(), plateau.down_kw.copy()
        for amount in (up, down):
            for tier in (plateau.between, ~plateau.between):
                amount[tier] /= amount[tier].max(initial=0.0) or 1.0
        none = np.zeros(len(up))
        return cls(none, up, none, down)


@dataclass(frozen=True, slots=True, eq=False)
class Plateau:
    """Parts that are indifferent: at its price, each may do anything between ``low`` and ``high``.

    No price can choose, so a rule does: first as much as possible is traded, then each side shares.  Four tiers fill one
    after the other as the target rises from all of low to all of high:

        injections grow | go-betweens withdraw less | go-betweens inject more | withdrawals shrink

    A go-between could both inject and withdraw, or was named as a last resort: it takes only what the others leave.

    near_kw: the power nearest to zero that each may choose.  down_kw, up_kw: how far it may go below and above it.
    stretch: how a tier is shared; None for pro rata to what each could take, where everybody moves over all of it.
    """

    near_kw: Floats
    down_kw: Floats
    up_kw: Floats
    between: Flags
    stretch: Stretch | None = None

    @classmethod
    def of(cls, low_kw: Floats, high_kw: Floats, last_resort: Flags | None = None) -> Plateau:
        """The plateau of parts with these ranges, shared pro rata.  last_resort: who trades only what the others leave."""
        near = np.clip(0.0, low_kw, high_kw)
        down, up = near - low_kw, high_kw - near
        both = (down > 0) & (up > 0)
        return cls(near, down, up, both if last_resort is None else both | last_resort)

    def shared_equally(self) -> Plateau:
        """The same plateau, where everybody gets as many kW as the others until it has all it could take."""
        return replace(self, stretch=Stretch.alike(self))

    def shared_in_turn(self, rank: Floats) -> Plateau:
        """The same plateau, where nobody gets anything before the one ahead has all it could take.  rank: 0 is first."""
        return replace(self, stretch=Stretch.one_by_one(rank))

    @property
    def free(self) -> bool:
        """Whether anyone has a choice at all."""
        return bool(self.down_kw.any() or self.up_kw.any())

    def split(self, group: Ints, target_kw: Floats) -> Floats:
        """Power of each part, when the parts of every group are to sum to the group's target.

        group: number of the group of each part.  A target out of reach leaves all of a group at that end of their range.
        """
        if self.stretch is not None:
            return self._split_by_place(group, target_kw)
        near, grow, less, more, shrink = self._rooms(group, len(target_kw))
        settled = near + grow - shrink  # everyone but the go-betweens has what it wants
        go_between_up = _portion(target_kw - settled, more)[group]
        go_between_down = _portion(settled - target_kw, less)[group]
        others_up = _portion(target_kw - (near - less - shrink), grow)[group]
        others_down = _portion(near + grow + more - target_kw, shrink)[group]
        return self._at(
            np.where(self.between, go_between_up, others_up), np.where(self.between, go_between_down, others_down)
        )

    def _split_by_place(self, group: Ints, target_kw: Floats) -> Floats:
        """As far down the queue as the target asks; whoever moves there takes what rounding has left."""
        queues = self.as_curves(group, len(target_kw))
        pairs = zip(queues, target_kw.tolist(), strict=True)
        place = np.array([np.interp(kw, queue.powers, queue.prices) for queue, kw in pairs])[group]
        up, down = self._moved(place)
        moving = np.where((up > 0) & (up < 1), self.up_kw, 0.0) + np.where((down > 0) & (down < 1), self.down_kw, 0.0)
        power = self._at(up, down)
        left = target_kw - _by_group(power, group, len(target_kw))
        room = _by_group(moving, group, len(target_kw))
        share: Floats = np.divide(left, room, out=np.zeros(len(left)), where=room > 0)
        return np.clip(power + moving * share[group], self.near_kw - self.down_kw, self.near_kw + self.up_kw)

    def as_curves(self, group: Ints, count: int) -> list[OfferCurve]:
        """Each group's plateau as an offer curve whose "price" is the place in the queue, from -2 to 2.

        Where limits stand between groups, the shares are found by clearing these curves as prices are found.
        """
        if self.stretch is not None:
            queues: list[list[OfferCurve]] = [[] for _ in range(count)]
            for place, queue in zip(group.tolist(), self._queues(self.stretch), strict=True):
                queues[place].append(queue)
            return [aggregate([*here, NOTHING]) for here in queues]
        near, grow, less, more, shrink = self._rooms(group, count)
        settled = near + grow - shrink
        levels = (near - less - shrink, settled - less, settled, settled + more, near + grow + more)
        return [OfferCurve(np.arange(-2.0, 3.0), np.maximum.accumulate(powers)) for powers in np.column_stack(levels)]

    def _queues(self, stretch: Stretch) -> Iterator[OfferCurve]:
        """Each part alone as a curve of places: where it grows to the power nearest to zero, and where beyond it."""
        shift = np.where(self.between, 0.0, 2.0)
        places = np.column_stack(
            (shift - stretch.down_last, shift - stretch.down_first, stretch.up_first - shift, stretch.up_last - shift)
        )
        low, high = self.near_kw - self.down_kw, self.near_kw + self.up_kw
        powers = np.column_stack((low, self.near_kw, self.near_kw, high))
        for place, power, goes_down, goes_up in zip(
            places, powers, (self.down_kw > 0).tolist(), (self.up_kw > 0).tolist(), strict=True
        ):
            used = slice(0 if goes_down else 2, 4 if goes_up else 2)
            yield OfferCurve(place[used], power[used]) if goes_down or goes_up else _through([(0.0, float(power[1]))])

    def at(self, place: Floats) -> Floats:
        """Power of each part, when the queue has come to this place for it (see ``as_curves``)."""
        return self._at(*self._moved(place))

    def _moved(self, place: Floats) -> tuple[Floats, Floats]:
        """How far each part has moved up and down from the power nearest to zero, 0..1, at its place of the queue."""
        up = np.where(self.between, place, place + 2)
        down = np.where(self.between, -place, 2 - place)
        if self.stretch is not None:
            up = _portion(up - self.stretch.up_first, self.stretch.up_last - self.stretch.up_first)
            down = _portion(down - self.stretch.down_first, self.stretch.down_last - self.stretch.down_first)
        return np.clip(up, 0.0, 1.0), np.clip(down, 0.0, 1.0)

    def _at(self, up: Floats, down: Floats) -> Floats:
        return self.near_kw + self.up_kw * up - self.down_kw * down

    def _rooms(self, group: Ints, count: int) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """By group: the powers nearest to zero, and the room in each of the four tiers."""
        rooms = (
            self.near_kw,
            np.where(self.between, 0.0, self.up_kw),
            np.where(self.between, self.down_kw, 0.0),
            np.where(self.between, self.up_kw, 0.0),
            np.where(self.between, 0.0, self.down_kw),
        )
        near, grow, less, more, shrink = (_by_group(room, group, count) for room in rooms)
        return near, grow, less, more, shrink


def _end_to_end(curves: Sequence[OfferCurve | CurveStack]) -> tuple[Floats, Floats, Ints]:
    """Prices and powers of all points, curve after curve, and where each curve starts."""
    if not curves:
        return np.zeros(0), np.zeros(0), np.zeros(0, np.intp)
    prices = [curve.prices for curve in curves]
    starts = np.zeros(len(curves), np.intp)
    np.cumsum([len(points) for points in prices[:-1]], out=starts[1:])
    if any(isinstance(curve, CurveStack) for curve in curves):
        inner = (part._start if isinstance(part, CurveStack) else np.zeros(1, np.intp) for part in curves)
        starts = np.concatenate([within + start for within, start in zip(inner, starts.tolist(), strict=True)])
    return np.concatenate(prices), np.concatenate([curve.powers for curve in curves]), starts


def _sum(prices: Floats, powers: Floats, starts: Ints) -> OfferCurve:
    """The sum of curves laid end to end.

    Walks along the prices once: at each corner of a part the sum may jump, and its slope may change.  Slopes of 10^12 kW
    per unit of price come and go, so the running totals carry along what they lose to rounding.
    """
    count, rise, width = len(prices), np.zeros(len(prices) + 1), np.zeros(len(prices) + 1)
    np.subtract(powers[1:], powers[:-1], out=rise[1:-1])
    np.subtract(prices[1:], prices[:-1], out=width[1:-1])
    rise[starts] = width[starts] = 0.0  # from one curve's end to the next one's start there is nothing
    slope = np.divide(rise, width, out=np.zeros(count + 1), where=width > 0)
    jump = np.where(width == 0, rise, 0.0)[1:]

    order = np.argsort(prices, kind="stable")
    prices = prices[order]
    change, lost = _difference(slope[1:], slope[:-1])
    steepness = np.maximum(_running_total(change[order], lost[order]), 0.0)

    base = len(starts)
    steps = np.zeros(base + 2 * count)
    steps[:base] = powers[starts]
    steps[base::2] = jump[order]
    steps[base + 1 : -1 : 2] = steepness[:-1] * (prices[1:] - prices[:-1])
    total = _running_total(steps)
    below, above = total[base - 1 :: 2], total[base::2]  # before and after each jump

    final = np.ones(count, dtype=bool)
    np.not_equal(prices[1:], prices[:-1], out=final[:-1])
    first = np.concatenate((final[-1:], final[:-1]))
    ends = np.empty((int(final.sum()), 2))
    ends[:, 0], ends[:, 1] = below[:-1][first], above[final]
    sums = np.maximum.accumulate(ends.ravel())
    kept = np.ones(len(sums), dtype=bool)
    np.not_equal(sums[1::2], sums[0::2], out=kept[1::2])
    return OfferCurve(np.repeat(prices[final], 2)[kept], sums[kept])


def _running_total(terms: Floats, lost: Floats | None = None) -> Floats:
    """Prefix sums as good as if they were added in twice the precision.

    lost: by how much each term was too small, having been rounded.
    Source: Ogita, Rump and Oishi, "Accurate sum and dot product", SIAM J. Sci. Comput. 26(6), 2005, Algorithm 4.4.
    """
    total: Floats = terms.cumsum()
    before = np.zeros(len(terms))
    before[1:] = total[:-1]
    added = total - before
    error = (before - (total - added)) + (terms - added)
    correction: Floats = (error if lost is None else error + lost).cumsum()
    return total + correction


def _difference(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """a - b, and what is lost to rounding in it (Knuth's TwoSum)."""
    result = a - b
    taken = result - a
    return result, (a - (result - taken)) - (b + taken)


def _portion(part: Floats | float, room: Floats | float) -> Floats:
    """Part of a room that is taken, 0..1; none of an empty room."""
    room = np.asarray(room, dtype=float)
    portion: Floats = np.divide(np.clip(part, 0.0, room), room, out=np.zeros(room.shape), where=room > 0)
    return portion


def _by_group(values: Floats, group: Ints, count: int) -> Floats:
    """The sum of the values of each group, numbered from 0 to ``count``."""
    return np.bincount(group, values, minlength=count).astype(float, copy=False)


def _faults(points: list[Point]) -> Iterator[Fault]:
    if not points:
        yield Fault("curve", "has no points; at least one is needed")
    for index, (price, power) in enumerate(points):
        if not (abs(price) <= MAGNITUDE and abs(power) <= MAGNITUDE):
            yield Fault(f"curve/{index}", f"{power:g} kW at {price:g} is not within ±{MAGNITUDE:g}")
    for index, ((p0, q0), (p1, q1)) in enumerate(pairwise(points), start=1):
        if p1 < p0:
            yield Fault(f"curve/{index}", f"price {p1:g} comes after price {p0:g}", "points must ascend in price")
        elif q1 < q0:
            yield Fault(
                f"curve/{index}",
                f"falls from {q0:g} kW at {p0:g} to {q1:g} kW at {p1:g}",
                "power must never fall as price rises; withdrawals are negative",
            )


def _stairs(points: list[Point]) -> Iterator[Point]:
    """The corners of the curve that keeps, between two points, to the power of their range that is nearest to zero."""
    yield points[0]
    for (p0, q0), (p1, q1) in pairwise(points):
        tread = min(max(q0, 0.0), q1)
        yield from ((p0, tread), (p1, tread), (p1, q1))


def _through(points: list[Point]) -> OfferCurve:
    prices, powers = zip(*points, strict=True)
    return OfferCurve(np.array(prices, dtype=float), np.array(powers, dtype=float))


NOTHING = _through([(0.0, 0.0)])
"""The curve of who does nothing at any price."""


def _snap(price: float) -> float:
    return round(price, PRICE_DECIMALS) + 0.0  # zero has no sign


def _price_at(curve: OfferCurve, right: int, power_kw: float) -> float:
    """Where the curve has this power, between the point before ``right``, which is below it, and ``right``, which is not."""
    p0, p1 = float(curve.prices[right - 1]), float(curve.prices[right])
    q0, q1 = float(curve.powers[right - 1]), float(curve.powers[right])
    return p1 if power_kw == q1 else p0 + (p1 - p0) * (power_kw - q0) / (q1 - q0)


def _on_line(a: Point, b: Point, c: Point) -> bool:
    """Whether b lies on the straight line from a to c, to the rounding of its power."""
    cross = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
    return abs(cross) <= 1e-15 * (c[0] - a[0]) * (c[1] - a[1])
