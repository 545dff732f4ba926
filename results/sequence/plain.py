"""A sequence as text: a line for each arrow, aligned, in a hundred columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from results.run import Run
from results.sequence.labels import Clock, fields, loop_title, title
from results.sequence.outline import Arrow, Loop, Outline
from results.text import distinct

WIDTH = 100
NAME = 16
"""Columns of a name; names that this would make alike get more, up to twice as many."""
_RULE = "│ "


def as_text(run: Run, drawn: Outline) -> str:
    """A line for each arrow: time, who, to whom, what, and the fields that matter as far as there is room.

    ``->`` is a request, ``-->`` a callback, ``-x`` and ``--x`` what was refused.  Indented is what descends from another
    message; a bar stands beside what is repeated.
    """
    names = list(drawn.lifelines)
    shown = dict(zip(names, distinct(names, NAME, 2 * NAME), strict=True))
    page = _Page(Clock.of(run), shown, max((len(name) for name in shown.values()), default=0))
    return "".join(f"{line[:WIDTH].rstrip()}\n" for line in page.lines(drawn.items, ""))


class _Page:
    def __init__(self, clock: Clock, names: dict[str, str], width: int) -> None:
        self._clock = clock
        self._names = names
        self._width = width
        self._blank = " " * len(clock.local(0))

    def lines(self, items: Sequence[Arrow | Loop], margin: str) -> Iterator[str]:
        for item in items:
            if isinstance(item, Loop):
                yield f"{self._blank}  {margin}{loop_title(item)}:"
                self._clock.again()
                yield from self.lines(item.body, margin + _RULE)
                self._clock.again()
            else:
                told = self._clock.local(item.starts[0]) if self._clock.pause(item) else self._blank
                left = f"{told}  {margin}{'  ' * item.step.depth}"
                yield left + self._said(item, WIDTH - len(left))

    def _said(self, arrow: Arrow, room: int) -> str:
        """One arrow in so many columns: as many fields as there is room for."""
        shaft = "--" if arrow.step.callback else "-"
        way = f"{shaft}{'x' if arrow.step.refused else '>'}"
        who = f"{self._names[arrow.sender]:>{self._width}} {way:<3} {self._names[arrow.receiver]:{self._width}}"
        said = f"{who}  {title(arrow)}"
        for part in fields(arrow):
            if len(said) + 2 + len(part) <= room:
                said += f"  {part}"
        return said
