"""What somebody found who believed nothing of the run: each invariant, what was looked at, and every breach."""

from __future__ import annotations

from typing import Any

from results.metrics.once import once
from results.run import Run
from results.verify import INVARIANTS, verify

FINDINGS = 2_000
"""Findings of one invariant that a page spells out before it counts the rest."""

report_of = once(verify)
"""The audit of a run, made once."""


def data(run: Run) -> dict[str, Any]:
    """The audit by invariant, in its order."""
    report = report_of(run)
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
