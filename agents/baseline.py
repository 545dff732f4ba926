"""What a load would have drawn, had nobody asked it to draw less: the baseline that a reduction is paid against.

X of Y with an adjustment of the same day, by a method that is registered before the event and sees nothing of it.  Who is paid
for the difference to a baseline may try to raise the baseline; the method is built so that this never pays::

    baseline = mean of the X of the last Y like days with most energy in the hours of the event
             + adjustment: what the hours before the event lie above the mean of all Y days in these hours, capped

A kWh raised before the event raises the baseline's energy by at most ``leverage`` kWh, and ``leverage ≤ 1``.  A reduction that
is paid no more per kWh than a kWh costs can therefore not be increased by more than the raising costs.

Source of X of Y with same-day adjustment: EnerNOC, "The demand response baseline", 2011; NAESB WEQ-015 (Baseline Type-I).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim.errors import Fault, ScenarioError


@dataclass(frozen=True, slots=True)
class Day:
    """What one earlier day without an event drew [kW ≥ 0], in the slots before the event and in those of the event."""

    before_kw: tuple[float, ...]
    event_kw: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Method:
    """A baseline as it is registered.

    x, y: days that count, of days that are looked at.  cap: the adjustment is at most this share, 0..1, of what it adjusts.
    Raises ``ScenarioError`` for what would let a raised kWh come to more than one: any adjustment where one day counts alone.
    """

    x: int = 4
    y: int = 5
    cap: float = 0.2

    def __post_init__(self) -> None:
        faults = []
        if not 1 <= self.x <= self.y:
            faults.append(Fault("x", f"{self.x} of {self.y} days", "take 1 or more, and no more than there are"))
        if not 0 <= self.cap <= min(1, self.x - 1):
            faults.append(Fault("cap", f"{self.cap:g} with x = {self.x}", "take 0..1, and 0 where x is 1"))
        if faults:
            raise ScenarioError("baseline", tuple(faults))

    @property
    def leverage(self) -> float:
        """Most kWh by which one kWh raised before an event raises the baseline's energy; never above 1."""
        return 1.0 if self.cap else 1 / self.x


def baseline_kw(days: Sequence[Day], before_kw: Sequence[float], method: Method) -> tuple[float, ...]:
    """The baseline of an event by slot [kW ≥ 0].

    days: like days, the latest last, all with as many slots as the event; the last ``y`` are looked at.  Where there are fewer
    than ``x``, all count, and a single one is not adjusted.  before_kw: what today drew in the slots before the event, up to
    when the baseline is stated.  The adjustment scales the shape of the event, so that no slot is pushed below 0.
    Raises ``ValueError`` where no day is given.
    """
    seen = list(days)[-method.y :]
    if not seen:
        raise ValueError("a baseline needs one earlier day at least")
    most = sorted(seen, key=lambda day: sum(day.event_kw), reverse=True)[: method.x]
    plain = [sum(powers) / len(most) for powers in zip(*(day.event_kw for day in most), strict=True)]
    cap = min(method.cap, len(most) - 1)
    lift = 1 + adjustment(seen, before_kw, plain, cap)
    return tuple(power * lift for power in plain)


def adjustment(days: Sequence[Day], before_kw: Sequence[float], plain_kw: Sequence[float], cap: float) -> float:
    """By what share the baseline is lifted (+) or lowered (-), within ±cap.

    Compared is with the mean of all days that are looked at, not of those that count: which ones count may jump when a day is
    raised, a mean does not.  Where the event is longer than the time before it, the energy that this lies above the mean is
    spread over the event, so that a kWh before never becomes more than a kWh within.
    """
    whole = sum(plain_kw)
    if not before_kw or not whole:
        return 0.0
    usual = sum(sum(day.before_kw) for day in days) / len(days)
    above_kw = (sum(before_kw) - usual) / max(len(before_kw), len(plain_kw))
    return min(max(above_kw * len(plain_kw) / whole, -cap), cap)


def reduction_payment(
    baseline: Sequence[float], metered_kw: Sequence[float], reward_per_kwh: float, hours: float
) -> float:
    """What a reduction earns: the reward for each kWh that was drawn less than the baseline over the event, never below 0."""
    reduced = sum(baseline) - sum(metered_kw)
    return reward_per_kwh * max(reduced, 0.0) * hours
