"""The house rules that no linter knows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import agents

ROOT = Path(__file__).parents[1]
FOLDERS = ("sim", "agents", "grid_models", "results", "scenarios")
STOPWATCH = ROOT / "scenarios" / "timing.py"


def sources(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def test_agents_is_this_project_s_package_and_not_one_that_was_installed() -> None:
    assert Path(str(agents.__file__)).parent == ROOT / "agents"


def names_used(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything imported or reached: ``time.sleep``, whether by attribute or ``from time import``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.lineno, dotted(node)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def uses(forbidden: tuple[str, ...], allowed: tuple[Path, ...] = ()) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path, tree in sources(*FOLDERS)
        if path not in allowed
        for line, name in names_used(tree)
        if any(name == word or name.startswith(f"{word}.") or name.endswith(f".{word}") for word in forbidden)
    ]


def test_nothing_reads_the_wall_clock_or_makes_random_identifiers_but_the_stopwatch() -> None:
    clocks = ("time", "now", "utcnow", "today", "uuid", "urandom", "secrets")
    simulated = ("self._clock.now",)  # simpy's own, which is simulated
    found = [use for use in uses(clocks, (STOPWATCH,)) if use.split()[1] not in simulated]
    assert found == []


def test_nothing_draws_from_a_global_random_generator() -> None:
    generators = ("np.random", "np.random.Generator", "np.random.PCG64")
    # pandapower draws cable types from it; the module seeds it and puts it back.
    kept = (ROOT / "grid_models" / "feeders.py",)
    assert [
        use for use in uses(("random", "np.random", "numpy.random"), kept) if use.split()[1] not in generators
    ] == []


def test_nothing_is_evaluated_or_executed_from_text() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in sources(*FOLDERS)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and dotted(node.func) in {"eval", "exec", "compile"}
    ]
    assert found == []


def test_a_participant_never_looks_into_the_registry() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in sources("agents")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and dotted(node) in {"self.model", "self.random", "self.rng"}
    ]
    assert found == []


HOMONYMS = {"peer-to-peer": "a clearing policy", "forecasts": "a key of scenarios, and a list"}
"""Scenarios of the library whose names mean something else as well; with these nothing may be compared."""


def test_no_code_speaks_of_use_cases() -> None:
    spoken = re.compile(r"use[ _-]?cases?\b", re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}: {word[0]}"
        for path, _ in sources(*FOLDERS)
        for word in spoken.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_no_code_knows_a_scenario_of_the_library_by_its_name() -> None:
    names = {path.stem for path in (ROOT / "scenarios" / "use_cases").glob("*.yaml")}
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.value}"
        for path, tree in sources(*FOLDERS)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if node.value.removesuffix(".yaml") in names - set(HOMONYMS)
    ]
    assert found == []


def test_nothing_is_compared_with_the_name_of_a_scenario_of_the_library() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno} {part.value}"
        for path, tree in sources(*FOLDERS)
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare | ast.MatchValue)
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and part.value in HOMONYMS
    ]
    assert found == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_module_says_what_it_is_for(folder: str) -> None:
    missing = [str(path) for path, tree in sources(folder) if tree.body and ast.get_docstring(tree) is None]
    assert missing == []


def test_no_two_files_of_tests_share_a_name() -> None:
    """pytest takes a file for the one of that name that it has read before."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted({name for name in names if names.count(name) > 1}) == []
