"""A sequence as a Mermaid ``sequenceDiagram``.

Requests are full arrows, callbacks dashed, refusals end in a cross.  What descends from another message (a cascaded leg) stands
in a shaded block, one in the other as deep as it goes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from results.run import Run
from results.sequence.labels import Clock, fields, loop_title, title
from results.sequence.outline import Arrow, Loop, Outline

_SHADE = "rgba(120, 144, 180, 0.13)"
"""Light enough for a page that is white and for one that is black; blocks in blocks grow darker by themselves."""


def mermaid(run: Run, drawn: Outline) -> str:
    """The text of a diagram.  Names and values are escaped, so that whatever they contain is shown and not understood."""
    names = {line: f"p{number}" for number, line in enumerate(drawn.lifelines, start=1)}
    lines = ["sequenceDiagram"]
    lines += [f"    participant {name} as {escaped(line)}" for line, name in names.items()]
    if drawn.items:
        across = f"{next(iter(names.values()))},{list(names.values())[-1]}" if len(names) > 1 else "p1"
        lines += _block(drawn.items, _Pen(names, across, Clock.of(run)), 1)
    return "\n".join(lines) + "\n"


class _Pen:
    """What is needed to write any line."""

    def __init__(self, names: Mapping[str, str], across: str, clock: Clock) -> None:
        self.names = names
        self.across = across
        self.clock = clock


def _block(items: Sequence[Arrow | Loop], pen: _Pen, level: int) -> Iterator[str]:
    depth = 0
    for item in items:
        wanted = item.step.depth if isinstance(item, Arrow) else 0
        while depth > wanted:
            depth -= 1
            yield _line(level + depth, "end")
        if isinstance(item, Loop):
            yield _line(level, f"loop {loop_title(item)}")
            pen.clock.again()
            yield from _block(item.body, pen, level + 1)
            yield _line(level, "end")
            pen.clock.again()
            continue
        while depth < wanted:
            yield _line(level + depth, f"rect {_SHADE}")
            depth += 1
        if pen.clock.pause(item):
            yield _line(level + depth, f"Note over {pen.across}: {pen.clock.note(item)}")
        yield _line(level + depth, _arrow(item, pen.names))
    while depth:
        depth -= 1
        yield _line(level + depth, "end")


def _line(level: int, text: str) -> str:
    return "    " * level + text


def _arrow(arrow: Arrow, names: Mapping[str, str]) -> str:
    shaft = "--" if arrow.step.callback else "-"
    head = "x" if arrow.step.refused else ">>"
    label = "<br/>".join(map(escaped, (title(arrow), *_packed(fields(arrow)))))
    return f"{names[arrow.sender]}{shaft}{head}{names[arrow.receiver]}: {label}"


def _packed(parts: Sequence[str]) -> Iterator[str]:
    """Fields in as few lines as hold them."""
    line = ""
    for part in parts:
        both = f"{line} · {part}" if line else part
        if line and len(both) > _LABEL:
            yield line
            both = part
        line = both
    if line:
        yield line


_LABEL = 30
"""Characters of a line of a label; arrows stand as far apart as their labels are long."""


def escaped(text: str) -> str:
    """A text that Mermaid shows as it is: what it would read as its own signs goes as character codes."""
    plain = re.sub(r"\s+", " ", text)
    coded = re.sub(r"[#;<>&%$`\\\"{}]", lambda found: f"#{ord(found[0])};", plain)
    return re.sub(r"^(:?(?:no)?wrap):", r"\1#58;", coded, flags=re.IGNORECASE)
