"""What an audit of a run says."""

from __future__ import annotations

from dataclasses import dataclass

from sim.errors import Fault


@dataclass(frozen=True, slots=True)
class Audit:
    """What an invariant looked at, as a phrase with numbers, and every breach it found."""

    checked: str
    findings: tuple[Fault, ...] = ()
