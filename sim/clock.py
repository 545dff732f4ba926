"""Simulated time: integer seconds since the scenario's start, and what a wall calendar would call them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

DAY_S = 24 * 3600


@dataclass(frozen=True, slots=True)
class Interval:
    """One market interval, half open: ``start_s <= t < end_s``, in simulated seconds."""

    index: int
    start_s: int
    end_s: int

    @property
    def hours(self) -> float:
        """Length in hours, to turn kW into kWh."""
        return (self.end_s - self.start_s) / 3600


@dataclass(frozen=True)
class Calendar:
    """The scenario's intervals and their local times.

    start: aware date-time of simulated second 0.  Seconds before it are negative: the market is set up before the first
    interval begins.
    """

    start: datetime
    interval_s: int
    count: int
    _stamps: dict[int, str] = field(default_factory=dict, repr=False, compare=False)
    _seconds: dict[str, int] = field(default_factory=dict, repr=False, compare=False)
    _intervals: dict[int, Interval] = field(default_factory=dict, repr=False, compare=False)

    @property
    def duration_s(self) -> int:
        """Length of the whole run in seconds."""
        return self.interval_s * self.count

    def interval(self, index: int) -> Interval:
        """Interval number ``index``, counted from 0; numbers past the last one are allowed (a forecast looks ahead)."""
        interval = self._intervals.get(index)
        if interval is None:
            start_s = index * self.interval_s
            interval = self._intervals[index] = Interval(index, start_s, start_s + self.interval_s)
        return interval

    def index_at(self, seconds: int) -> int:
        """Number of the interval that a second belongs to."""
        return seconds // self.interval_s

    def intervals(self) -> tuple[Interval, ...]:
        """All intervals of the run, in order."""
        return tuple(self.interval(i) for i in range(self.count))

    def local(self, seconds: int) -> datetime:
        """Local date-time of a simulated second.  Elapsed time is counted in UTC, so a change of clocks is right."""
        moment = self.start.astimezone(UTC) + timedelta(seconds=seconds)
        return moment.astimezone(self.start.tzinfo)

    def unix(self, seconds: int) -> int:
        """Unix second of a simulated second."""
        return int(self.start.timestamp()) + seconds

    def minute_of_day(self, seconds: int) -> int:
        """Local minutes since midnight, 0..1439, for tariffs that name times of day."""
        moment = self.local(seconds)
        return moment.hour * 60 + moment.minute

    def timestamp(self, seconds: int) -> str:
        """RFC 3339 text of a simulated second, with the local offset."""
        stamp = self._stamps.get(seconds)
        if stamp is None:
            stamp = self._stamps[seconds] = self.local(seconds).isoformat()
        return stamp

    def seconds(self, timestamp: str) -> int:
        """Simulated second of an RFC 3339 text.  Raises ``ValueError`` for a text without an offset."""
        seconds = self._seconds.get(timestamp)
        if seconds is None:
            moment = datetime.fromisoformat(timestamp)
            if moment.tzinfo is None:
                raise ValueError(f"{timestamp}: an offset is needed, such as +02:00 or Z")
            seconds = self._seconds[timestamp] = round((moment - self.start).total_seconds())
        return seconds


def local_start(naive: datetime, zone: str) -> datetime:
    """The aware start of a scenario.  Raises ``zoneinfo.ZoneInfoNotFoundError`` for an unknown IANA zone."""
    return naive.replace(tzinfo=ZoneInfo(zone))
