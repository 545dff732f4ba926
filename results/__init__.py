"""A run written down: folder (``run``), numbers (``metrics``), text (``summary``), audit (``verify``), ``plots``, ``report``.

In a notebook: ``import results; run = results.open("results/runs/street-locational-seed1"); run.prices.plot()``.
"""

from pathlib import Path

from results.run import Run

__all__ = ["Run", "open"]


def open(path: Path | str) -> Run:
    """The run in this folder.  Raises ``RunError`` where there is none that can be read."""
    return Run(path)
