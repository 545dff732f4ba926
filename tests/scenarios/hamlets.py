"""Tasks for engines: the smallest world in which somebody trades, a quarter of a second each."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from results.observation import Observation
from scenarios.engine import Engine, Outcome
from scenarios.reader import read
from scenarios.study import Task

HAMLET = Path(__file__).with_name("hamlet.yaml")
ROGUES = "tests.scenarios.rogues:"
MEASURED = ("peak_import_kw", "losses_kwh", "messages")


def task(policy: str = "locational", seed: int = 1, *overrides: str, metrics: Sequence[str] = MEASURED) -> Task:
    scenario = read(HAMLET, [f"market.policy={policy}", f"seed={seed}", *overrides])
    return Task(policy.removeprefix(ROGUES), seed, scenario, tuple(metrics))


def tasks(policies: Sequence[str], seeds: Iterable[int]) -> tuple[Task, ...]:
    return tuple(task(policy, seed) for seed in seeds for policy in policies)


def outcomes(engine: Engine, given: Sequence[Task]) -> dict[tuple[str, int], Outcome]:
    """Every task's outcome; each comes once."""
    found = list(engine.run(given))
    assert len(found) == len(given)
    by_cell = {(one.task.variant, one.task.seed): one for one in found}
    assert set(by_cell) == {(one.variant, one.seed) for one in given}
    return by_cell


def observations(found: dict[tuple[str, int], Outcome]) -> dict[tuple[str, int], bytes]:
    """What was observed, in the bytes that would be kept."""
    assert {cell: one.error for cell, one in found.items() if one.error} == {}
    return {cell: kept(one.observation) for cell, one in found.items()}


def kept(observation: Observation | None) -> bytes:
    assert observation is not None
    return observation.to_bytes()


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether something comes to hold within ten seconds."""
    for _ in range(200):
        if holds():
            return True
        time.sleep(0.05)
    return False


def children() -> list[str]:
    """The processes that this one has started and that still run, but for Python's tracker of shared memory."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = status.read_text().rpartition(")")[2].split()[:2]
            command = (status.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it has ended meanwhile
            continue
        if int(parent) == os.getpid() and state != "Z" and "resource_tracker" not in command:
            found.append(command)
    return found
