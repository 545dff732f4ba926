"""Who said what to whom in a finished run: as steps, as a diagram, as text.

``steps`` reads them from the journal, ``select`` keeps some, ``outline`` folds what repeats, ``mermaid`` and ``as_text`` write
them down.  What a label says is chosen by ``results.sequence.fields``, from the kind of a message alone.
"""

from __future__ import annotations

from results.sequence.fields import brief, found_at, value_at
from results.sequence.mermaid import mermaid
from results.sequence.outline import Arrow, Loop, Outline, outline, repeated
from results.sequence.plain import as_text
from results.sequence.steps import Step, second_of, select, span_of, steps

__all__ = [
    "Arrow",
    "Loop",
    "Outline",
    "Step",
    "as_text",
    "brief",
    "found_at",
    "mermaid",
    "outline",
    "repeated",
    "second_of",
    "select",
    "span_of",
    "steps",
    "value_at",
]
