"""The baseline of a meter from its own readings: like days before a call, without those of events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from decimal import Decimal

from agents.baseline import Day, Method, baseline_kw
from sim.clock import DAY_S, Calendar

SATURDAY = 5


def baseline_kwh(
    consumed_kwh: Callable[[int], Decimal | None],
    calendar: Calendar,
    event: range,
    before: range,
    method: Method,
    left_out: Set[int] = frozenset(),
) -> dict[int, Decimal] | None:
    """What a meter would draw in the intervals of an event, by interval [kWh ≥ 0]; None where no like day has been read.

    consumed_kwh: what the meter has drawn in an interval, None where that is not known.  before: intervals that today is
    compared in with earlier days; where one of them has not been read, nothing is adjusted.  left_out: intervals of other
    events, which say nothing of what the meter draws by itself.  Like days are working days, or the days of weekends.
    """
    hours = calendar.interval_s / 3600
    days = list(_like_days(consumed_kwh, calendar, event, before, left_out))[: method.y]
    if not days:
        return None
    today = [] if not left_out.isdisjoint(before) else [consumed_kwh(k) for k in before]
    known_kw = [float(kwh) / hours for kwh in today if kwh is not None]
    powers_kw = baseline_kw(days[::-1], known_kw if len(known_kw) == len(before) else (), method)
    return {k: Decimal(f"{kw * hours:.6f}") for k, kw in zip(event, powers_kw, strict=True)}


def _like_days(
    consumed_kwh: Callable[[int], Decimal | None],
    calendar: Calendar,
    event: range,
    before: range,
    left_out: Set[int],
) -> Iterator[Day]:
    """Days that count, the latest first.  All have as many intervals: what a change of clocks moves, moves with them."""
    slots, hours = DAY_S // calendar.interval_s, calendar.interval_s / 3600
    for back in range(1, event.start // slots + 1):
        times = [k - back * slots for k in (*before, *event)]
        energies = [consumed_kwh(k) for k in times]
        if not _is_like(calendar, event.start, times[-1]) or not left_out.isdisjoint(times) or None in energies:
            continue
        powers_kw = tuple(float(kwh) / hours for kwh in energies if kwh is not None)
        yield Day(powers_kw[: len(before)], powers_kw[len(before) :])


def _is_like(calendar: Calendar, one: int, other: int) -> bool:
    days = (calendar.local(calendar.interval(k).start_s).weekday() for k in (one, other))
    return len({day >= SATURDAY for day in days}) == 1
