"""Shared fixtures: the street, whole and small."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.internal.conjecture import providers

from results.run import Run
from scenarios.reader import read
from scenarios.runner import execute
from sim.contracts.units import parse_unit

settings.register_profile("default", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
# For mutants: whether a test fails is asked a thousand times, never with which smallest example.
settings.register_profile(
    "mutants", settings.get_profile("default"), max_examples=30, phases=[Phase.explicit, Phase.generate]
)
settings.load_profile("default")

# Hypothesis tries numbers that stand in the source of whatever modules are loaded, so that a test would be shown other cases
# when it runs alone than when it runs with the others.
providers._get_local_constants = lambda: providers._local_constants

ROOT = Path(__file__).parents[1]
STREET = ROOT / "scenarios" / "street.yaml"
TWO_HOURS = ("duration_h=2", "start=2016-05-17T11:00:00")


@pytest.fixture(scope="session", autouse=True)
def no_memory_of_units() -> None:
    """What an earlier session of this process has read is read anew: a mutant is tested in a fork of the first one."""
    parse_unit.cache_clear()


@pytest.fixture(scope="session")
def run_street(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    """Runs the street with overrides, each set of overrides once a session."""
    known: dict[tuple[str, ...], Run] = {}

    def run(*overrides: str) -> Run:
        if overrides not in known:
            folder = tmp_path_factory.mktemp("runs") / "run"
            known[overrides] = Run(execute(read(STREET, overrides), folder))
        return known[overrides]

    return run
