"""What one more kWh in a store is worth, at every level of it, found backwards from the end of a horizon.

The value of a store is concave in its level, so its slope, the worth, falls in steps.  In the plane of worth and energy one
step of the Bellman recursion is what a market does: add the energy that a slot could take or give at its own price to the
steps, in the order of worth, and cut what lies outside the range of levels.

    worth                        a slot that can charge at 0.10 and discharge at 0.30 makes of this:
    |--.                         |---.
    |  '-----.                   |   '==.            discharging instead is worth 0.30 (less losses and wear)
    |        '----.              |      '-----.
    |             '---           |            '==.   charging later costs 0.10 (plus losses)
    +---|---------|---- level    +--|---------|---- level

All prices of the first slot are answered at once: a store charges while ``p ≤ η_c W`` and discharges while
``p ≥ W / η_d + wear``, W taken at the level that this leads to.

A slot's grid energy has one sign.  Where prices are so negative that it would pay to do both at once (discharging is worth
more than charging costs), the two are pooled: such a slot counts as if it switched from one to the other in its course,
which is the least concave function above what one sign alone can earn.

Source: the dual of the multi-period linear programme of a store; convolution of concave functions by sorting their slopes
(Rockafellar, Convex Analysis, section 16).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from sim.curves import Point

_SLIVER_KWH = 1e-12
"""Steps narrower than this are rounding."""


@dataclass(frozen=True, slots=True)
class Worth:
    """The worth of one more stored kWh by level: falling steps.

    edges_kwh: levels between which each step lies, ascending, one more than there are steps.  worth_per_kwh: of each step,
    never rising.  Beyond its edges the outermost worths go on.  Nothing is checked here.
    """

    edges_kwh: tuple[float, ...]
    worth_per_kwh: tuple[float, ...]

    @classmethod
    def flat(cls, low_kwh: float, high_kwh: float, worth_per_kwh: float) -> Worth:
        """The same at every level: what is left at the end sells at one price."""
        return cls((low_kwh, high_kwh), (worth_per_kwh,))

    @classmethod
    def target(cls, target_kwh: float, missing_per_kwh: float, low_kwh: float, high_kwh: float, after: float) -> Worth:
        """Each kWh missing to a target costs so much, those above it are worth ``after``.

        A target at the level of the beginning makes a horizon cyclic.
        """
        if not low_kwh < target_kwh < high_kwh:
            return cls.flat(low_kwh, high_kwh, after if target_kwh <= low_kwh else missing_per_kwh)
        return cls((low_kwh, target_kwh, high_kwh), (missing_per_kwh, after))

    def at(self, level_kwh: float) -> float:
        """Worth of the next kWh stored at this level."""
        step = bisect_right(self.edges_kwh, level_kwh) - 1
        return self.worth_per_kwh[min(max(step, 0), len(self.worth_per_kwh) - 1)]

    def between(self, start_kwh: float, end_kwh: float) -> Iterator[Point]:
        """(worth, energy) of the steps met on the way from one level up to another."""
        for (low, high), worth in zip(pairwise(self._unbounded()), self.worth_per_kwh, strict=True):
            energy = min(high, end_kwh) - max(low, start_kwh)
            if energy > 0:
                yield worth, energy

    def _unbounded(self) -> tuple[float, ...]:
        return (-float("inf"), *self.edges_kwh[1:-1], float("inf"))

    def gain(self, start_kwh: float, end_kwh: float) -> float:
        """What going from one level to another adds to the value of the store: the integral of the worth."""
        if end_kwh < start_kwh:
            return -self.gain(end_kwh, start_kwh)
        return sum(worth * energy for worth, energy in self.between(start_kwh, end_kwh))


@dataclass(frozen=True, slots=True)
class Slot:
    """What a store can do in one stretch of time, whatever the prices.

    charge_kwh, discharge_kwh: most that it can draw from and give to the grid, ≥ 0.  low_kwh, high_kwh: range of its level at
    the end.  Efficiencies: grid to store, store to grid; that of charging exceeds 1 for a heat pump.  wear_per_kwh: cost of
    what is discharged, at the grid.  inflow_kwh: what comes in (+) or is taken out (−) meanwhile.  retention: share of the
    level at the beginning that is left at the end, 0 < r ≤ 1.  missing_per_kwh: what a kWh below the range, or above it,
    costs where nothing can prevent it; no worth exceeds it either way.
    """

    charge_kwh: float
    discharge_kwh: float
    low_kwh: float
    high_kwh: float
    missing_per_kwh: float
    charge_efficiency: float = 1.0
    discharge_efficiency: float = 1.0
    wear_per_kwh: float = 0.0
    inflow_kwh: float = 0.0
    retention: float = 1.0

    def rooms(self, level_kwh: float) -> tuple[float, float, float]:
        """From a level at the beginning: that at the end if it rests, and how far it can go up and down from there, stored."""
        rest = self.retention * level_kwh + self.inflow_kwh
        up = min(self.charge_kwh * self.charge_efficiency, max(self.high_kwh - rest, 0.0))
        down = min(self.discharge_kwh / self.discharge_efficiency, max(rest - self.low_kwh, 0.0))
        return rest, up, down


class _Steps:
    """A worth while the recursion works on it: steps from the highest level down, so that the worths ascend.

    under, over: the worth below ``bottom`` and above ``top``.
    """

    __slots__ = ("bottom", "energies", "over", "top", "under", "worths")

    def __init__(self, bottom: float, top: float, worths: list[float], energies: list[float]) -> None:
        self.bottom, self.top, self.worths, self.energies = bottom, top, worths, energies
        self.under, self.over = worths[-1], worths[0]

    @classmethod
    def of(cls, worth: Worth) -> _Steps:
        energies = [high - low for low, high in pairwise(worth.edges_kwh)]
        return cls(worth.edges_kwh[0], worth.edges_kwh[-1], list(worth.worth_per_kwh[::-1]), energies[::-1])

    def worth(self) -> Worth:
        if not self.worths:
            return Worth((self.bottom, self.bottom), (0.0,))
        edges = tuple(accumulate(reversed(self.energies), initial=self.bottom))
        return Worth(edges, tuple(reversed(self.worths)))

    def fit(self, slot: Slot) -> None:
        """Cut to the slot's range and bounds of worth."""
        worths, energies, most = self.worths, self.energies, slot.missing_per_kwh
        if worths and (worths[-1] > most or worths[0] < -most):
            worths[:] = [min(max(worth, -most), most) for worth in worths]
        above, below = self.top - slot.high_kwh, slot.low_kwh - self.bottom
        self.insert(max(self.over, -most), -above)
        self.insert(min(self.under, most), -below)
        while above > 0 and energies:
            if energies[0] > above + _SLIVER_KWH:
                energies[0] -= above
                break
            above -= energies.pop(0)
            worths.pop(0)
        while below > 0 and energies:
            if energies[-1] > below + _SLIVER_KWH:
                energies[-1] -= below
                break
            below -= energies.pop()
            worths.pop()
        self.bottom, self.top = slot.low_kwh, slot.high_kwh

    def insert(self, worth: float, energy: float) -> None:
        """Add a step at its place; the caller moves the ends."""
        if energy <= _SLIVER_KWH:
            return
        place = bisect_left(self.worths, worth)
        if place < len(self.worths) and self.worths[place] == worth:
            self.energies[place] += energy
        else:
            self.worths.insert(place, worth)
            self.energies.insert(place, energy)

    def before(self, slot: Slot, buy_per_kwh: float, sell_per_kwh: float) -> None:
        """Go back over a slot: from the worth at its end, within its range, to that at its beginning."""
        most = slot.missing_per_kwh
        up, down = slot.charge_kwh * slot.charge_efficiency, slot.discharge_kwh / slot.discharge_efficiency
        taking = buy_per_kwh / slot.charge_efficiency
        giving = (sell_per_kwh - slot.wear_per_kwh) * slot.discharge_efficiency
        if giving > taking and up > 0 and down > 0:
            taking = giving = (taking * up + giving * down) / (up + down)
        self.insert(min(max(taking, -most), most), up)
        self.insert(min(max(giving, -most), most), down)
        self.bottom -= up + slot.inflow_kwh
        self.top += down - slot.inflow_kwh
        self.under, self.over = most * slot.retention, -most * slot.retention
        if slot.retention != 1:
            r = slot.retention
            self.bottom, self.top = self.bottom / r, self.top / r
            self.worths = [worth * r for worth in self.worths]
            self.energies = [energy / r for energy in self.energies]


def blended(worths: Sequence[Worth], weights: Sequence[float]) -> Worth:
    """The expected worth where one of several will hold: the weighted mean at every level.  Weights sum to 1.

    That of a store whose future is told as soon as the first slot is over: a two-stage stochastic programme.
    """
    edges = sorted({edge for worth in worths for edge in worth.edges_kwh})
    if len(edges) < 2:
        return Worth((edges[0], edges[0]), (sum(w.worth_per_kwh[0] * x for w, x in zip(worths, weights, strict=True)),))
    means = [0.0] * (len(edges) - 1)
    for worth, weight in zip(worths, weights, strict=True):
        step, last, inner = 0, len(worth.worth_per_kwh) - 1, worth.edges_kwh[1:-1]
        for slot, low in enumerate(edges[:-1]):
            while step < last and inner[step] <= low:
                step += 1
            means[slot] += weight * worth.worth_per_kwh[step]
    return Worth(tuple(edges), tuple(accumulate(means, min)))  # a mean of falling numbers falls, but for its last digit


def worth_after(end: Worth, slots: Sequence[Slot], prices: Sequence[Point], leaving: Sequence[float] = ()) -> Worth:
    """The worth at the end of the first of these slots, within its range, given that at the end of the last.

    prices: (buy, sell) per kWh of each slot, all charges included; that of the first does not matter.  leaving: probability
    of each slot that the store is gone at its end, if it was still there; what it holds then is worth ``end``.  Exact.
    """
    for steps in _backwards(end, slots, prices, leaving):
        first = steps
    return first.worth()


def worths_after(
    end: Worth, slots: Sequence[Slot], prices: Sequence[Point], leaving: Sequence[float] = ()
) -> list[Worth]:
    """The worth at the end of each slot (see ``worth_after``)."""
    return [steps.worth() for steps in _backwards(end, slots, prices, leaving)][::-1]


def _backwards(
    end: Worth, slots: Sequence[Slot], prices: Sequence[Point], leaving: Sequence[float]
) -> Iterator[_Steps]:
    """The worth at the end of each slot, from the last to the first, valid until the next is asked for."""
    steps = _Steps.of(end)
    for index in range(len(slots) - 1, -1, -1):
        slot = slots[index]
        steps.fit(slot)
        if leaving and leaving[index]:
            steps = _Steps.of(blended((steps.worth(), end), (1 - leaving[index], leaving[index])))
            steps.fit(slot)
        yield steps
        if index:
            steps.before(slot, *prices[index])


# --- acting on it -----------------------------------------------------------------------------------------------------


def offer_points(
    level_kwh: float,
    slot: Slot,
    after: Worth,
    hours: float,
    drawing: Callable[[float], float] = float,
    giving: Callable[[float], float] = float,
) -> list[Point]:
    """The store's curve for a slot: (price, kW, + = injection) points of vertical steps, over all prices.

    after: worth at the end of the slot.  hours: of the market interval over which power is averaged.  drawing, giving: the
    market price at which a kWh costs, or brings, this much with all charges.  Where both charging and discharging would pay
    (at negative worths) the curve steps over the powers between, which are worse than both ends.
    """
    rest, up, down = slot.rooms(level_kwh)
    charging = [
        (drawing(worth * slot.charge_efficiency), energy / slot.charge_efficiency)
        for worth, energy in _met(after, slot, rest, rest + up)
    ]
    discharging = [
        (giving(worth / slot.discharge_efficiency + slot.wear_per_kwh), energy * slot.discharge_efficiency)
        for worth, energy in _met(after, slot, rest - down, rest)
    ]
    powers = list(accumulate((-energy / hours for _, energy in charging), initial=0.0))[::-1]
    powers += list(accumulate(energy / hours for _, energy in reversed(discharging)))
    most_kw = slot.charge_kwh / hours, slot.discharge_kwh / hours  # which a sum of parts may miss by its last digit
    if charging and up == slot.charge_kwh * slot.charge_efficiency:
        powers[0] = -most_kw[0]
    if discharging and down == slot.discharge_kwh / slot.discharge_efficiency:
        powers[-1] = most_kw[1]
    prices = _pooled([*reversed(charging), *reversed(discharging)])
    if not prices:
        return [(0.0, 0.0)]
    return [
        point
        for price, (before, beyond) in zip(prices, pairwise(powers), strict=True)
        for point in ((price, before), (price, beyond))
    ]


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a store does where all prices are known.

    grid_kwh: by slot, + injected.  level_kwh: at the end of each slot.  cost: of what is drawn, less what is given brings,
    with wear, without what is missing.  missing_kwh: by slot, how far the level ends below (+) or above (−) its range.
    """

    grid_kwh: tuple[float, ...]
    level_kwh: tuple[float, ...]
    cost: float
    missing_kwh: tuple[float, ...]


def schedule(level_kwh: float, end: Worth, slots: Sequence[Slot], prices: Sequence[Point]) -> Schedule:
    """The cheapest plan from this level on: every slot follows the worth at its end.

    What a range lacks is taken as given from outside, so that it is counted once.  Where a slot pools its two signs the plan
    takes the better one, and may cost more than the recursion's bound.
    """
    grid, levels, missing, cost = [], [], [], 0.0
    for slot, after, (buy, sell) in zip(slots, worths_after(end, slots, prices), prices, strict=True):
        stored_kwh = best_move(level_kwh, slot, after, buy, sell)
        at_end = slot.retention * level_kwh + slot.inflow_kwh + stored_kwh
        level_kwh = min(max(at_end, slot.low_kwh), slot.high_kwh)
        drawn, given = max(stored_kwh, 0.0) / slot.charge_efficiency, max(-stored_kwh, 0.0) * slot.discharge_efficiency
        cost += buy * drawn - (sell - slot.wear_per_kwh) * given
        grid.append(given - drawn)
        levels.append(level_kwh)
        missing.append(level_kwh - at_end)
    return Schedule(tuple(grid), tuple(levels), cost, tuple(missing))


def best_move(level_kwh: float, slot: Slot, after: Worth, buy_per_kwh: float, sell_per_kwh: float) -> float:
    """What a store takes in (+) or gives out (−) in a slot at known prices, in stored kWh; it rests where it is all one."""
    rest, up, down = slot.rooms(level_kwh)
    taking = buy_per_kwh / slot.charge_efficiency
    giving = (sell_per_kwh - slot.wear_per_kwh) * slot.discharge_efficiency
    worth_taking = [(w - taking, energy) for w, energy in _met(after, slot, rest, rest + up) if w > taking]
    worth_giving = [(giving - w, energy) for w, energy in _met(after, slot, rest - down, rest) if w < giving]
    taken, given = sum(energy for _, energy in worth_taking), sum(energy for _, energy in worth_giving)
    if taken and given:  # both would pay, but not at once
        gains = (sum(gain * energy for gain, energy in parts) for parts in (worth_taking, worth_giving))
        return taken if next(gains) >= next(gains) else -given
    return taken - given


def unserved_kwh(level_kwh: float, slots: Iterable[Slot], target_kwh: float = 0.0) -> float:
    """How much of what the ranges, and a target at the end, ask for is out of reach, even if it charges as fast as it can."""
    lacking = 0.0
    for slot in slots:
        charged = slot.retention * level_kwh + slot.inflow_kwh + slot.charge_kwh * slot.charge_efficiency
        level_kwh = min(charged, slot.high_kwh)
        if level_kwh < slot.low_kwh:
            lacking, level_kwh = lacking + slot.low_kwh - level_kwh, slot.low_kwh
    lacking += max(target_kwh - level_kwh, 0.0)
    return lacking if lacking > _SLIVER_KWH else 0.0


def _met(after: Worth, slot: Slot, start_kwh: float, end_kwh: float) -> list[Point]:
    """(worth, energy) of the steps on the way up from one level at the end of a slot to another."""
    low, high, most = slot.low_kwh, slot.high_kwh, slot.missing_per_kwh
    met = [(most, min(end_kwh, low) - start_kwh)] if start_kwh < low else []
    met += [(min(max(w, -most), most), energy) for w, energy in after.between(max(start_kwh, low), min(end_kwh, high))]
    if end_kwh > high:
        met.append((-most, end_kwh - max(start_kwh, high)))
    return [(worth, energy) for worth, energy in met if energy > _SLIVER_KWH]


def _pooled(steps: list[Point]) -> list[float]:
    """Prices of (price, energy) steps in a row, made to ascend: those out of order share their mean.

    Source: pool adjacent violators (Ayer et al., An Empirical Distribution Function for Sampling, 1955).
    """
    pools: list[tuple[float, float, int]] = []
    for step in steps:
        price, energy, count = *step, 1
        while pools and pools[-1][0] > price:
            other, amount, more = pools.pop()
            price = (price * energy + other * amount) / (energy + amount)
            energy, count = energy + amount, count + more
        pools.append((price, energy, count))
    return [price for price, _, count in pools for _ in range(count)]
