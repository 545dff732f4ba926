"""What somebody has put down to do, and when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sim.wire.messages import Alarm

DIARY = "diary"
"""Name of the alarms that an entry rings."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something to do at a simulated second, or so many seconds after an agreement; then again every so many, some times.

    do: what, by its name in the owner's table.  about: the item or deal it is about; empty for the only one.  say: what else
    it takes.
    """

    do: str
    at_s: int | None = None
    after_s: int = 0
    every_s: int = 0
    times: int = 1
    about: str = ""
    say: Mapping[str, Any] = field(default_factory=dict)

    def seconds(self, agreed_s: int) -> range:
        """Every second at which it is to be done."""
        first = agreed_s + self.after_s if self.at_s is None else self.at_s
        every = self.every_s or 1
        return range(first, first + every * self.times, every)


def alarms(entries: tuple[Entry, ...], now_s: int, offset: int = 0, latest_s: int | None = None) -> Iterator[Alarm]:
    """An alarm for every time an entry is due from now on; its index is the entry's number, from ``offset`` on.

    latest_s: the second that it may be in the meantime; what is due before is due then.
    """
    for number, entry in enumerate(entries, offset):
        for second in entry.seconds(now_s):
            if second >= now_s:
                yield Alarm(max(second, now_s if latest_s is None else latest_s), DIARY, number)
