"""What is written at an arrow, a loop and a pause, the same for pictures and for text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from results.run import Run
from results.sequence.fields import value_at
from results.sequence.outline import Arrow, Loop
from results.text import short
from sim.clock import DAY_S, Calendar

MOST_FIELDS = 4
"""Fields that a label names."""
VALUE_WIDTH = 28
"""Characters of a value that is text."""
PAUSE_S = 30
"""Simulated seconds after which the time is told again; answers take one or two."""


def title(arrow: Arrow) -> str:
    """The action, how many messages the arrow stands for, and why it was refused."""
    least, most = min(arrow.peers), max(arrow.peers)
    many = "" if most == 1 else f" ×{most}" if least == most else f" ×{least}…{most}"
    tried = " (try)" if arrow.step.tried else ""
    code = f" {arrow.step.code}" if arrow.step.code else ""
    return f"{arrow.step.action}{tried}{many}{code}"


def fields(arrow: Arrow) -> tuple[str, ...]:
    """The few fields that matter: numbers with their names, words without; where numbers differ, their span.

    Words that differ from message to message of the arrow are left out: they are what the messages do not share.
    """
    values: dict[str, list[list[Any]]] = {}
    for step in arrow.steps:
        mine: dict[str, list[Any]] = {}
        for path, value in step.brief.items():
            mine.setdefault(_signal(step.content, path) or _name(path), []).append(value)
        for name, found in mine.items():
            values.setdefault(name, []).append(found)
    said = dict.fromkeys(_said(name, found) for name, found in values.items())
    return tuple(filter(None, said))[:MOST_FIELDS]


def _signal(content: Mapping[str, Any], path: str) -> str:
    """The name of the signal whose value stands at a path; empty where it is no signal's."""
    holder, _, last = path.rpartition(".")
    return str(value_at(content, holder).get("signalId", "")) if last == "value" and holder else ""


def _name(path: str) -> str:
    """The last part of a path that says what it is; what stands in a list or is called ``value`` goes by what holds it."""
    parts = [part.rpartition(":")[2] for part in path.split(".") if not part.isdigit()]
    named = [part for part in parts if part not in _GENERAL and not part.endswith("Attributes")]
    whole = parts[-1] if parts[-1] not in _GENERAL or len(parts) < 2 or parts[-2].endswith("Attributes") else named[-1]
    return whole


_GENERAL = frozenset({"id", "value", "code", "name"})


def _said(name: str, found: Sequence[Sequence[Any]]) -> str:
    everything = [value for mine in found for value in mine]
    if all(isinstance(value, int | float) for value in everything):
        low, high = _plain(min(everything)), _plain(max(everything))
        return f"{name} {low}" if low == high else f"{name} {low} … {high}"
    words = list(dict.fromkeys(map(_plain, found[0])))
    if any(list(dict.fromkeys(map(_plain, mine))) != words for mine in found):
        return ""
    more = f", +{len(words) - 1}" if len(words) > 1 else ""
    said = short(words[0], VALUE_WIDTH - len(more)) + more
    return said if re.search("[A-Za-z]", said) else f"{name} {said}"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:.6g}" if value else "0"
    return re.sub(r"^\d{4}-\d\d-\d\dT(\d\d:\d\d).*$", r"\1", str(value))


class Clock:
    """Tells the time of day, and when it has to be told."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._days = calendar.duration_s > DAY_S
        self._last: int | None = None

    @classmethod
    def of(cls, run: Run) -> Clock:
        """The clock of a run."""
        return cls(run.calendar)

    def local(self, second: int) -> str:
        """Local time of day, with the day of the week in a run longer than a day."""
        return f"{self._calendar.local(second):{'%a %H:%M:%S' if self._days else '%H:%M:%S'}}"

    def pause(self, arrow: Arrow) -> bool:
        """Whether time has moved on noticeably since the last arrow, which this one becomes."""
        last, self._last = self._last, arrow.starts[0]
        return last is None or arrow.starts[0] - last >= PAUSE_S

    def again(self) -> None:
        """Tell the time at the next arrow in any case: a loop begins or ends."""
        self._last = None

    def note(self, arrow: Arrow) -> str:
        """When an arrow happens; inside a loop, when first and when last."""
        first, last = arrow.starts[0], arrow.starts[-1]
        return self.local(first) if first == last else f"{self.local(first)} … {self.local(last)}"


def loop_title(loop: Loop) -> str:
    """How often, and how far apart."""
    often = f"{loop.times} times" + (f", every {span(loop.every_s)}" if loop.every_s else "")
    return f"all the while, {often}" if loop.beside else often


def span(seconds: int) -> str:
    """A duration as a person says it: ``15 min``, ``1 h 30 min``, ``45 s``."""
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    parts = [f"{number} {unit}" for number, unit in ((hours, "h"), (minutes, "min"), (left, "s")) if number]
    return " ".join(parts) or "0 s"
