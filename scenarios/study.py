"""What is compared: variants of a scenario, each on the same seeds; and the single runs that this comes down to."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

from scenarios import catalog
from scenarios.runner import LOCK
from scenarios.spec import Scenario

FOLDERS = ("sim", "agents", "grid_models", "results", "scenarios")


@dataclass(frozen=True, slots=True)
class Task:
    """One run to be done: a scenario with everything resolved, and which metrics of it are wanted.

    variant, seed: the cell of the comparison.  bounded: whether the best plan of the scenario is computed as well.
    """

    variant: str
    seed: int
    scenario: Scenario
    metrics: tuple[str, ...]
    bounded: bool = True

    @property
    def key(self) -> str:
        """Hash of everything that the outcome follows from, the program included: equal keys, equal observations."""
        facts = (
            self.variant,
            self.scenario.model_dump_json(by_alias=True),
            *self.metrics,
            str(self.bounded),
            program(),
            *(source(name) for name in (self.scenario.market.policy, self.scenario.market.fallback, *self.metrics)),
        )
        return hashlib.sha256("\0".join(facts).encode()).hexdigest()[:32]


@functools.cache
def program() -> str:
    """Hash of the project's own code and of its lock file."""
    root = Path(__file__).parents[1]
    files = sorted(path for folder in FOLDERS for path in (root / folder).rglob("*.py"))
    digest = hashlib.sha256(LOCK.read_bytes() if LOCK.exists() else b"")
    for path in files:
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def source(name: str) -> str:
    """Hash of the file behind ``module:function``; empty for a name of the catalogue, which ``program`` covers."""
    head, colon, rest = name.partition(":")
    if not colon or "=" in rest.partition(":")[0]:
        return ""
    file = getattr(catalog.module(head), "__file__", None)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""
