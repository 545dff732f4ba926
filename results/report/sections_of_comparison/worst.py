"""The worst seed of each variant and metric, with the command that runs it again."""

from __future__ import annotations

from typing import Any

from results.report.sections_of_comparison.means import places
from results.report.sections_of_comparison.subject import Subject


def data(subject: Subject) -> dict[str, Any] | None:
    """Which metrics are listed first; ``commands[variant]`` lacks nothing but the seed at its end."""
    if not subject.comparison.observations:
        return None
    return {"headline": places(subject), "commands": commands(subject)}


def commands(subject: Subject) -> list[str]:
    """The command line of each variant up to its seed."""
    return [subject.command(variant, 0).removesuffix(" 0") for variant in subject.comparison.variants]
