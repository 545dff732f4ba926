"""The notebooks under docs run, and show what they would show today."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.notebooks import NOTEBOOKS, ROOT, RUNS, shown

MOST_BYTES = 1_000_000


def stored(name: str) -> Any:
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def test_every_notebook_says_which_runs_it_opens() -> None:
    assert [path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb"))] == sorted(RUNS)


@pytest.mark.parametrize("name", RUNS)
def test_a_notebook_is_whole_and_knows_no_machine(name: str) -> None:
    path = NOTEBOOKS / f"{name}.ipynb"
    text = path.read_text(encoding="utf-8")
    cells = [cell for cell in stored(name).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert all(cell.outputs for cell in cells)
    assert {output.output_type for cell in cells for output in cell.outputs} <= {"stream", "execute_result"}
    assert "stderr" not in {output.get("name") for cell in cells for output in cell.outputs}
    assert str(ROOT) not in text
    assert "/tmp/" not in text
    assert len(text) < MOST_BYTES
    for run, overrides in RUNS[name].items():
        said = "".join(f" --set {override}" for override in overrides)
        assert f"degsim run scenarios/street.yaml{said} --out {run}" in text


def test_notebooks_give_today_what_they_have_kept_without_a_kernel_of_the_user_s(tmp_path: Path) -> None:
    home = tmp_path / "home"  # of somebody who has never started a notebook
    home.mkdir()
    environment = {**os.environ, "HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.notebooks", str(tmp_path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for name in RUNS:
        fresh = nbformat.read(tmp_path / f"{name}.ipynb", as_version=4)
        assert shown(fresh) == shown(stored(name)), f"{name}: run make notebooks"
