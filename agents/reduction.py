"""What a load draws less than it would have: the signals of a deal that is called, from its baseline and its meter.

Both sums only ever tell what an interval adds to them, so that they may be paid for interval by interval or at the end, and
readings may come in any order; neither is ever below zero in all::

    reduced = max(Σ (baseline − metered) while bound, 0)
    missed  = max(Σ agreed − reduced, 0)

Paid per interval, a load that fluctuates about its baseline would be paid for every trough and never charged for a crest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

ZERO = Decimal(0)
LEVELS: Mapping[str, int] = {"ADVISORY": 0, "MANDATORY": 1, "EMERGENCY": 2}
"""How urgent a call is, as a formula sees it."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One interval of a reduction; energies in kWh.  reduced, missed: what it adds to them."""

    baseline: Decimal
    consumed: Decimal
    reduced: Decimal
    missed: Decimal
    opted_out: Decimal

    def signals(self) -> dict[str, Decimal]:
        """As formulas name them."""
        return {
            "baselineKWh": self.baseline,
            "reducedKWh": self.reduced,
            "missedKWh": self.missed,
            "optedOut": self.opted_out,
        }


@dataclass(slots=True)
class Reduction:
    """The reduction of one deal.  Its provider alone changes it.

    level: see ``LEVELS``.  answer_by_s: simulated second after which an answer is too late.  requested_kwh: what was asked for.
    baseline_kwh: by interval, fixed before the event; of a deal that others deliver, the sum of theirs.  opted_s: simulated
    second at which the load took itself out of it; an interval that is not over by then counts no longer.
    """

    level: str
    answer_by_s: int
    requested_kwh: float
    baseline_kwh: dict[int, Decimal]
    opted_s: int | None = None
    measured: dict[int, Measured] = field(default_factory=dict)
    _below: Decimal = ZERO
    _agreed: Decimal = ZERO

    def measure(self, index: int, end_s: int, agreed_kwh: Decimal, consumed_kwh: Decimal) -> None:
        """Take the reading of an interval, once; end_s: of the interval."""
        if index in self.measured:
            return
        baseline = self.baseline_kwh.get(index, ZERO)
        out = self.opted_s is not None and end_s > self.opted_s
        reduced, missed = self.reduced_kwh, self.missed_kwh
        if index in self.baseline_kwh and not out:
            self._below += baseline - consumed_kwh
        self._agreed += agreed_kwh
        gained = (self.reduced_kwh - reduced, self.missed_kwh - missed)
        self.measured[index] = Measured(baseline, consumed_kwh, *gained, Decimal(out))

    @property
    def reduced_kwh(self) -> Decimal:
        """What was drawn less than the baseline so far, while bound."""
        return max(self._below, ZERO)

    @property
    def missed_kwh(self) -> Decimal:
        """What of the agreed is missing so far."""
        return max(self._agreed - self.reduced_kwh, ZERO)

    @property
    def agreed_kwh(self) -> Decimal:
        """What was agreed for the intervals measured so far."""
        return self._agreed

    def signals(self, index: int) -> dict[str, Decimal]:
        """What formulas are told of an interval; of one that is not measured, nothing but the level."""
        known = self.measured.get(index)
        return {"level": Decimal(LEVELS[self.level])} | ({} if known is None else known.signals())
