"""What was compared: variants on the same seeds, what was observed of each run, and which runs failed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from results.observation import Observation
from results.text import unit_in
from sim.curves import Floats
from sim.errors import Fault, RunError

POLICY = "market.policy"
"""The YAML path by which variants differ where policies are compared."""
Cell = tuple[str, int]
"""A variant and a seed."""
Against = Callable[[Observation, Observation], float]
"""Measures a run against the one of the same seed under the reference."""


class Described(Protocol):
    """What is asked of a metric: its description, whatever else it may be."""

    @property
    def name(self) -> str:
        """As in ``Observation.values``."""

    @property
    def unit(self) -> str:
        """With ``currency`` for whatever the runs are paid in."""

    @property
    def better(self) -> str:
        """``less``, ``more`` or nothing."""

    @property
    def summary(self) -> str:
        """What it is, in a line."""

    @property
    def source(self) -> str:
        """Where its formula is from, if anywhere."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric as it is shown: its name, its unit, whether ``less`` or ``more`` of it is better (or neither), a line about
    it, and where its formula is from.
    """

    name: str
    unit: str = ""
    better: str = ""
    summary: str = ""
    source: str = ""

    @staticmethod
    def of(metric: Described, currency: str) -> Measure:
        """The description of a metric, in the currency of the runs."""
        return Measure(metric.name, unit_in(metric.unit, currency), metric.better, metric.summary, metric.source)

    @property
    def sign(self) -> int:
        """+1 where more is better, −1 where less is, 0 where neither."""
        return {"more": 1, "less": -1}.get(self.better, 0)


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to run the scenario.

    axes: the text of a value by the YAML path that it was given to.  baseline: the variant that it is compared with, by name.
    reference: the variant that its parties are asked to be better off than; empty where none was run.
    """

    name: str
    axes: Mapping[str, str]
    baseline: str
    reference: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Failure:
    """A run that gave no observation, and why."""

    variant: str
    seed: int
    error: str


@dataclass(frozen=True)
class Comparison:
    """Variants in order, seeds in order, and what came of each pair of them.

    measures: of which metrics there are statistics, in the order in which they are shown.  A cell without an observation
    either failed or was never run.  Observations and failures are kept in the order of variants and seeds, so that the order
    in which runs ended changes nothing.

    Raises ``RunError`` naming every cell that is observed twice, that nobody asked for or that has failed as well, every
    variant whose baseline is none of the variants, and money in several currencies.
    """

    study: str
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]
    measures: tuple[Measure, ...]
    observations: tuple[Observation, ...]
    failures: tuple[Failure, ...] = ()

    def __post_init__(self) -> None:
        if faults := tuple(_faults(self)):
            raise RunError(self.study, faults)
        place = {
            (variant.name, seed): (v, s) for v, variant in enumerate(self.variants) for s, seed in enumerate(self.seeds)
        }
        observed = sorted(self.observations, key=lambda cell: place[cell.variant, cell.seed])
        failed = sorted(self.failures, key=lambda cell: place[cell.variant, cell.seed])
        object.__setattr__(self, "observations", tuple(observed))
        object.__setattr__(self, "failures", tuple(failed))

    @staticmethod
    def open(folder: Path | str) -> Comparison:
        """The comparison that ``results.comparison.write`` left in a folder; raises ``RunError`` as ``folder.read`` does."""
        from results.comparison.folder import read  # noqa: PLC0415  a folder holds comparisons, so it knows this module

        return read(folder)

    @property
    def currency(self) -> str:
        """Of all money; empty where nothing was observed."""
        return self.observations[0].currency if self.observations else ""

    @cached_property
    def axes(self) -> tuple[str, ...]:
        """The YAML paths in which variants differ, in the order of their first use."""
        paths = dict.fromkeys(path for variant in self.variants for path in variant.axes)
        return tuple(path for path in paths if len({variant.axes.get(path) for variant in self.variants}) > 1)

    def variant(self, name: str) -> Variant:
        """The variant of this name.  Raises ``KeyError``."""
        return next(variant for variant in self.variants if variant.name == name)

    def measure(self, name: str) -> Measure:
        """The metric of this name.  Raises ``RunError`` naming those that there are."""
        for measure in self.measures:
            if measure.name == name:
                return measure
        known = ", ".join(measure.name for measure in self.measures)
        raise RunError(self.study, f"has no metric {name}; known: {known}")

    def values(self, variant: str, metric: str) -> Floats:
        """The metric for every seed, NaN where the run has none, failed or was not done."""
        row: Floats = self._matrix(metric)[self._places[variant]]
        return row

    def distinct(self, metric: str) -> list[float]:
        """The metric's different finite values over all runs, ascending."""
        values = self._matrix(metric)
        found: list[float] = np.unique(values[np.isfinite(values)]).tolist()
        return found

    @cached_property
    def cells(self) -> Mapping[Cell, Observation]:
        """Every observation by variant and seed."""
        return {(observation.variant, observation.seed): observation for observation in self.observations}

    @cached_property
    def unpaired(self) -> Mapping[str, tuple[int, ...]]:
        """By variant, the seeds on which it and its baseline did not see the same arrivals, needs and weather."""
        found: dict[str, tuple[int, ...]] = {}
        for variant in self.variants:
            pairs = ((self.cells.get((variant.name, s)), self.cells.get((variant.baseline, s))) for s in self.seeds)
            apart = tuple(own.seed for own, base in pairs if own and base and own.truth != base.truth)
            if apart:
                found[variant.name] = apart
        return found

    def done(self, variant: str) -> int:
        """Runs of a variant that were observed."""
        return sum((variant, seed) in self.cells for seed in self.seeds)

    @cached_property
    def _places(self) -> Mapping[str, int]:
        return {variant.name: place for place, variant in enumerate(self.variants)}

    @cached_property
    def _matrices(self) -> dict[str, Floats]:
        return {}

    def _matrix(self, metric: str) -> Floats:
        if metric not in self._matrices:
            found = np.full((len(self.variants), len(self.seeds)), np.nan)
            column = {seed: place for place, seed in enumerate(self.seeds)}
            for observation in self.observations:
                value = observation.values.get(metric, np.nan)
                # A ratio to nothing is infinite; no mean, difference or rank is meant by it.
                if np.isfinite(value):
                    found[self._places[observation.variant], column[observation.seed]] = value
            self._matrices[metric] = found
        return self._matrices[metric]


def related(comparison: Comparison, relative: Mapping[str, Against]) -> Comparison:
    """The comparison with further metrics, each run's own beside the same seed under its variant's reference.

    A run whose counterpart was never asked for, or failed, is put beside one without values and parties: what needs them
    is NaN.
    """
    references = {variant.name: variant.reference for variant in comparison.variants}
    filled = []
    for own in comparison.observations:
        base = comparison.cells.get((references[own.variant], own.seed))
        if base is None:
            base = dataclasses.replace(own, values={}, parties=own.parties.iloc[:0])
        further = {name: float(function(own, base)) for name, function in relative.items()}
        filled.append(dataclasses.replace(own, values={**own.values, **further}))
    return dataclasses.replace(comparison, observations=tuple(filled))


def _faults(comparison: Comparison) -> list[Fault]:
    names = [variant.name for variant in comparison.variants]
    wanted = {(name, seed) for name in names for seed in comparison.seeds}
    cells = [(observation.variant, observation.seed) for observation in comparison.observations]
    cells += [(failure.variant, failure.seed) for failure in comparison.failures]
    twice = dict.fromkeys(cell for cell in cells if cells.count(cell) > 1) if len(set(cells)) < len(cells) else {}
    faults = [Fault(f"{name}, seed {seed}", "is there twice") for name, seed in twice]
    faults += [Fault(f"{name}, seed {seed}", "was not asked for") for name, seed in cells if (name, seed) not in wanted]
    faults += [Fault(name, "is the name of two variants") for name in dict.fromkeys(names) if names.count(name) > 1]
    faults += [
        Fault(variant.name, f"is compared with {variant.baseline!r}, which is no variant")
        for variant in comparison.variants
        if variant.baseline not in names
    ]
    currencies = dict.fromkeys(observation.currency for observation in comparison.observations)
    if len(currencies) > 1:
        faults.append(Fault("currency", f"runs are paid in {', '.join(currencies)}", "compare runs of one currency"))
    return faults
