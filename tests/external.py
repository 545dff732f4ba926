"""Published schemas and messages of others: read where they are, never copied here.

``DEGSIM_EXTERNAL`` names their folder; without it, ``../shared/external`` beside the project.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("DEGSIM_EXTERNAL", Path(__file__).parents[2] / "shared" / "external"))

needed = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no published schemas at {FOLDER}; set DEGSIM_EXTERNAL to their folder"
)
"""Marks a test that reads them."""
