"""What the run came to, in words and numbers, and what it was made of."""

from __future__ import annotations

from typing import Any

from results.run import Run
from results.summary import render, summarise


def data(run: Run) -> dict[str, Any]:
    """The summary as text."""
    return {"text": render(summarise(run))}
