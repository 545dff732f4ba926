"""When the intervals of a deal are settled: in their order, each once its meters have been read.

A component, not an agent: its owner passes on the readings that it gets, says what second it is, and sends what it returns.

An interval that nobody has read waits, and those after it wait with it.  After a while it is estimated, by what was agreed for
it, and of a session by what its connector has counted; that is said with the bill, and put right when the reading comes.  The
last interval of a deal waits for as long as there is time, for then the deal is over.  What is missing is never taken for zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal

from agents.deal import ZERO, Deal, used
from agents.till import Energy, Quality, Till
from sim.clock import Calendar, Interval
from sim.forms import readings_in
from sim.wire.messages import Message

SETTLE_AFTER_S = 5
"""Seconds after an interval in which its readings reach everybody; then it is settled."""
ESTIMATE_AFTER_S = 3600
"""Seconds that an interval waits for a reading."""
LAST_S = 30
"""Seconds after the last interval in which whatever still waits is settled."""


class Settling:
    """The order of one provider's settlements.

    measure: takes what a deal that is called counts by; False where a reading has not come.  Such a deal is not estimated.
    """

    def __init__(
        self, calendar: Calendar, till: Till, measure: Callable[[Deal, Interval], bool] = lambda _, __: False
    ) -> None:
        self._calendar = calendar
        self._till = till
        self._measure = measure
        self._readings: dict[tuple[str, int], Decimal] = {}

    def read(self, message: Message) -> None:
        """Take readings of one interval, + injected; what is not ACTUAL is no reading.  Raises ``Refusal`` where it is none."""
        index, readings = readings_in(message, self._calendar)
        for meter, reading in (readings or {}).items():
            energy_kwh = Decimal(repr(reading.producedEnergy)) - Decimal(repr(reading.consumedEnergy))
            self._readings[meter, index] = energy_kwh

    def reading(self, meter: str, index: int) -> Decimal | None:
        """What a meter says of an interval, + injected; nothing where there is no meter, None where it was not read."""
        return self._readings.get((meter, index)) if meter else ZERO

    def due(self, deals: Iterable[Deal], now_s: int) -> Iterator[tuple[Deal, Message]]:
        """Settle what can be settled by now, and what everybody has to be told of it."""
        for deal in deals:
            if not deal.is_open:
                continue
            for message in self._put_right(deal):
                yield deal, message
            for message in self._cycles(deal, now_s):
                yield deal, message

    def off(self, deal: Deal) -> Iterator[Message]:
        """Settle a deal that is over before anything was delivered: there is nothing to be read, and nobody has to wait."""
        while deal.is_open and deal.over_s is not None:
            interval = self._calendar.interval(deal.first + len(deal.settled))
            yield from self._till.cycle(deal, interval, (ZERO, ZERO))

    def _cycles(self, deal: Deal, now_s: int) -> Iterator[Message]:
        while deal.is_open and (interval := self._next(deal, now_s)) is not None:
            metered = self._metered(deal, interval)
            if metered is None:
                return
            energy, quality = metered
            if self._waits(deal, interval, now_s, known=quality != "ESTIMATED"):
                return
            yield from self._till.cycle(deal, interval, energy, quality)

    def _next(self, deal: Deal, now_s: int) -> Interval | None:
        """The first interval of a deal that is over and not settled."""
        index = deal.first + len(deal.settled)
        if index >= self._calendar.count:
            return None
        interval = self._calendar.interval(index)
        return interval if interval.end_s + SETTLE_AFTER_S <= now_s else None

    def _waits(self, deal: Deal, interval: Interval, now_s: int, *, known: bool) -> bool:
        if now_s >= self._calendar.duration_s + LAST_S:
            return False
        if deal.is_over(interval):
            return not known or bool(self._till.estimates(deal))
        return not known and now_s < interval.end_s + ESTIMATE_AFTER_S

    def _metered(self, deal: Deal, interval: Interval) -> tuple[Energy, Quality] | None:
        """What the taker's meter has drawn and the provider's has injected for a deal; None where nothing can be said yet.

        Where a reading that its contract counts by is missing, both are ESTIMATED; one that it does not is told as MISSING.
        """
        if deal.reduction is not None:
            is_known = self._measure(deal, interval)
            return ((deal.reduction.measured[interval.index].consumed, ZERO), "ACTUAL") if is_known else None
        share, names = deal.share(interval), used(deal.contract)
        if not share:
            return (ZERO, ZERO), "ACTUAL"
        taken = self.reading(deal.meter or deal.item.meter, interval.index)
        given = self.reading(deal.item.meter, interval.index)
        if (taken is None and "consumedKWh" in names) or (given is None and "producedKWh" in names):
            return (deal.estimate(interval),) * 2, "ESTIMATED"
        energy = max(-(taken or ZERO), ZERO) * share, max(given or ZERO, ZERO) * share
        return energy, "MISSING" if taken is None or given is None else "ACTUAL"

    def _put_right(self, deal: Deal) -> Iterator[Message]:
        for index in self._till.estimates(deal):
            interval = self._calendar.interval(index)
            metered = self._metered(deal, interval)
            if metered is not None and metered[1] != "ESTIMATED":
                yield from self._till.put_right(deal, interval, metered[0])
