"""A comparison with all that its page is made of, computed once."""

from __future__ import annotations

import dataclasses
import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from results.comparison import POLICY, Comparison, Measure, Row, Variant, headline, table
from results.comparison.folder import manifest_of, read
from results.comparison.text import SHOWN

STUDY = "study.json"
"""What was asked for, beside what came of it; it has the scenario."""
MOST_ROWS = 24_000
"""Statistics that a page holds: metrics and baselines are left out before it grows beyond what can be mailed."""
MOST_VALUES = 150_000
"""Values of single runs that a page holds; metrics are left out of the dots before it grows further."""
OF_EACH = "that of each variant"

Rows = Mapping[tuple[str, str], Row]


@dataclass(frozen=True, slots=True)
class Baseline:
    """One way to choose what each variant is compared with, and the statistics that follow.

    name: a variant, a policy at the same point of the grid, or what the study said.
    """

    name: str
    rows: Rows


@dataclass(frozen=True)
class Subject:
    """comparison: what was compared.  said: its manifest.  scenario: as it was asked for, empty where the folder does not
    tell.
    """

    comparison: Comparison
    said: Mapping[str, Any]
    scenario: Mapping[str, Any]

    @staticmethod
    def open(folder: Path) -> Subject:
        """The comparison in a folder.  Raises ``RunError`` as ``results.comparison.folder.read`` does."""
        said = manifest_of(folder)
        try:
            scenario = json.loads((folder / STUDY).read_bytes()).get("scenario", {})
        except (OSError, ValueError, AttributeError):
            scenario = {}
        return Subject(read(folder), said, scenario if isinstance(scenario, dict) else {})

    @cached_property
    def ordered(self) -> tuple[Measure, ...]:
        """All metrics: those of the headline, those that a summary shows, the others."""
        own = {measure.name: measure for measure in self.comparison.measures}
        names = (*(measure.name for measure in headline(self.comparison)), *SHOWN, *own)
        return tuple(own[name] for name in dict.fromkeys(names) if name in own)

    @cached_property
    def measures(self) -> tuple[Measure, ...]:
        """The metrics that the page has room for."""
        return self.ordered[: max(1, MOST_ROWS // max(1, len(self.comparison.variants)))]

    @cached_property
    def drawn(self) -> int:
        """Of how many of these metrics the page has every run's value."""
        runs = max(1, len(self.comparison.variants) * len(self.comparison.seeds))
        return min(len(self.measures), max(1, MOST_VALUES // runs))

    @cached_property
    def rows(self) -> Rows:
        """All statistics, with the baselines of the study."""
        return _by_cell(table(self.comparison))

    @cached_property
    def baselines(self) -> tuple[Baseline, ...]:
        """What the study says first, then other choices as far as the page has room: as if each had been asked for."""
        choices = _choices(self.comparison.variants)
        room = MOST_ROWS // max(1, len(self.comparison.variants) * len(self.measures))
        if len(choices) > max(1, room):
            choices = choices[:1]
        return tuple(
            Baseline(name, self.rows if not place else self._against(to)) for place, (name, to) in enumerate(choices)
        )

    def _against(self, to: Mapping[str, str]) -> Rows:
        variants = tuple(
            dataclasses.replace(variant, baseline=to[variant.name]) for variant in self.comparison.variants
        )
        return _by_cell(table(dataclasses.replace(self.comparison, variants=variants)))

    @cached_property
    def title(self) -> str:
        """Name of the scenario's file on the page; what commands call it."""
        return f"{self.scenario.get('name', self.comparison.study)}.yaml"

    def command(self, variant: Variant, seed: int) -> str:
        """The command line that runs this cell again."""
        sets = [part for path, value in variant.axes.items() for part in ("--set", f"{path}={value}")]
        return shlex.join(["degsim", "run", self.title, *sets, "--seed", str(seed)])


def _by_cell(rows: Sequence[Row]) -> Rows:
    return {(row.variant, row.metric): row for row in rows}


def _choices(variants: Sequence[Variant]) -> list[tuple[str, dict[str, str]]]:
    """Baselines to choose among, each with the baseline of every variant by name; the study's own first."""
    own = {variant.name: variant.baseline for variant in variants}
    chosen = dict.fromkeys(own.values())
    found = [(next(iter(chosen)) if len(chosen) == 1 else OF_EACH, own)]
    found += [(variant.name, dict.fromkeys(own, variant.name)) for variant in variants]
    found += _at_same_point(variants)
    first_of: dict[tuple[str, ...], tuple[str, dict[str, str]]] = {}
    for name, to in found:
        first_of.setdefault(tuple(to.values()), (name, to))
    return list(first_of.values())


def _at_same_point(variants: Sequence[Variant]) -> list[tuple[str, dict[str, str]]]:
    """A policy, at every point of a grid over something else; only where all points have it."""
    points: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
    for variant in variants:
        points.setdefault(_point(variant), {})[variant.axes.get(POLICY, "")] = variant.name
    if len(points) < 2:
        return []
    policies = dict.fromkeys(policy for known in points.values() for policy in known if policy)
    return [
        (f"{policy}, same point", {variant.name: points[_point(variant)][policy] for variant in variants})
        for policy in policies
        if all(policy in known for known in points.values())
    ]


def _point(variant: Variant) -> tuple[tuple[str, str], ...]:
    return tuple((path, value) for path, value in variant.axes.items() if path != POLICY)


def known(value: float) -> float | None:
    """None for what is no number."""
    return value if math.isfinite(value) else None
