"""A run written down: folder (``run``), numbers (``metrics``), text (``summary``), audit (``verify``), ``plots``, ``report``.

In a notebook: ``import results; run = results.open("results/runs/street-locational-seed1"); run.prices.plot()``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from results.run import Run

__all__ = ["Run", "open"]


def open(path: Path | str) -> Run:
    """The run in this folder.  Raises ``RunError`` where there is none that can be read."""
    from results.run import Run  # noqa: PLC0415  heavy: brings in pandas, which whoever wants a word of ours does not need

    return Run(path)


def __getattr__(name: str) -> object:
    """``results.Run``, as late."""
    if name != "Run":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from results.run import Run  # noqa: PLC0415

    return Run
