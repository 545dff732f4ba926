"""What a metric is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from results.run import Run

Better = Literal["less", "more", ""]


@dataclass(frozen=True, slots=True)
class Metric:
    """One number about a finished run.

    name: in snake case, with the unit last.  unit: ``1`` for shares and ratios, empty where nobody has said.  better: which
    way is an improvement for whom the policy serves; empty where that is a matter of taste.  summary: its definition.
    source: where that was published, if anywhere.  measure: gives NaN where the run has no such number.
    repeatable: whether another run of the same scenario and seed has exactly the same number.
    """

    name: str
    unit: str
    better: Better
    summary: str
    source: str
    measure: Callable[[Run], float]
    repeatable: bool = True
