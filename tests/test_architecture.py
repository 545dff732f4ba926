"""The house rules that no linter knows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import agents

ROOT = Path(__file__).parents[1]
FOLDERS = ("sim", "agents", "grid_models", "results", "scenarios")
CLOCKS = {"time", "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "uuid4", "uuid1", "urandom"}
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


def test_nothing_reads_the_wall_clock_or_makes_random_identifiers_but_the_stopwatch() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno} {dotted(node)}"
        for path, tree in sources(*FOLDERS)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and path != STOPWATCH
        if any(dotted(node).endswith(clock) for clock in CLOCKS - {"time"}) or dotted(node).startswith("time.")
    ]
    assert found == []


def test_nothing_draws_from_a_global_random_generator() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in sources("sim", "agents", "results", "scenarios")
        for node in ast.walk(tree)
        if (isinstance(node, ast.Import) and any(alias.name == "random" for alias in node.names))
        or (isinstance(node, ast.Attribute) and dotted(node) in {"np.random.default_rng", "np.random.seed", "np.random.rand"})
    ]  # fmt: skip
    assert found == []


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


def test_no_code_branches_on_a_use_case() -> None:
    found = [str(path) for path, _ in sources(*FOLDERS) if "use_case" in path.read_text(encoding="utf-8")]
    assert found == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_module_says_what_it_is_for(folder: str) -> None:
    missing = [str(path) for path, tree in sources(folder) if tree.body and ast.get_docstring(tree) is None]
    assert missing == []
