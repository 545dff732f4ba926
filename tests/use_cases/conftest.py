from __future__ import annotations

import os

import pytest

from tests.use_cases.library import Library


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Runs of the library, made once a session even where several processes share it."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    return Library(shared / "library")
