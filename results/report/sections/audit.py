"""What somebody found who believed nothing of the run: each invariant, what was looked at, and every breach."""

from __future__ import annotations

from typing import Any

from results.once import once
from results.run import Run
from results.verify import INVARIANTS, Report, verify

FINDINGS = 2_000
"""Findings of one invariant that a page spells out before it counts the rest."""


@once
def report_of(run: Run) -> Report | None:
    """The audit of a run, made once; None for one that was stopped, of which nothing can be proved."""
    return verify(run) if run.complete else None


def data(run: Run) -> dict[str, Any]:
    """The audit by invariant, in its order; None for the findings of a run that was stopped."""
    report = report_of(run)
    if report is None:
        return {"findings": None, "invariants": []}
    meaning = {invariant.name: invariant.description for invariant in INVARIANTS}
    return {
        "findings": report.findings,
        "invariants": [
            {
                "name": name,
                "description": meaning.get(name, ""),
                "checked": audit.checked,
                "findings": len(audit.findings),
                "faults": [[fault.where, fault.what, fault.remedy] for fault in audit.findings[:FINDINGS]],
            }
            for name, audit in report.audits.items()
        ],
    }
