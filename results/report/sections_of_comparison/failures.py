"""Runs that gave nothing, why, and what was noted of the others."""

from __future__ import annotations

from typing import Any

from results.report.sections_of_comparison.subject import Subject


def data(subject: Subject) -> dict[str, Any] | None:
    """Failures and notes with the command that runs each again; None where all went well."""
    comparison = subject.comparison
    told = [("failed", one.variant, one.seed, one.error) for one in comparison.failures]
    told += [("note", one.variant, one.seed, note) for one in comparison.observations for note in one.notes]
    if not told:
        return None
    return {
        "rows": [
            {
                "what": what,
                "variant": name,
                "seed": seed,
                "reason": reason,
                "command": subject.command(comparison.variant(name), seed),
            }
            for what, name, seed, reason in told
        ]
    }
