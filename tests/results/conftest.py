from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from small_run import Edit, write_run

from results.run import Run


@pytest.fixture(scope="session")
def day(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The sound small run; nobody changes it."""
    return Run(write_run(tmp_path_factory.mktemp("runs") / "sound"))


@pytest.fixture
def folder(day: Run, tmp_path: Path) -> Path:
    """A copy of the small run's folder, to be tampered with."""
    return Path(shutil.copytree(day.path, tmp_path / "copy"))


@pytest.fixture
def edited(tmp_path: Path) -> Callable[[Edit], Run]:
    """A small run in which something was changed before it was sealed."""
    return lambda edit: Run(write_run(tmp_path / "edited", edit))
