"""How evenly something is spread over many."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sim.curves import Floats


def jain(values: Sequence[float] | Floats) -> float:
    """Jain's index (Σx)² / (n Σx²): 1 where all have the same, k/n where k of n share alike and the others have nothing.

    NaN where nobody has anything, or nobody is there.  Of numbers below zero it says little: gains and losses cancel.
    Source: Jain, Chiu and Hawe, "A Quantitative Measure of Fairness and Discrimination", DEC-TR-301, 1984.
    """
    x = _scaled(values)
    squares = float(x @ x)
    return float(x.sum()) ** 2 / (len(x) * squares) if squares > 0 else math.nan


def gini(values: Sequence[float] | Floats) -> float:
    """Gini's coefficient: half the mean absolute difference of all pairs over the mean; 0 where all have the same.

    NaN where a value is below zero, nobody has anything, or nobody is there.
    Source: Gini, "Variabilità e mutabilità", 1912; of sorted values as in Sen, "On Economic Inequality", 1973.
    """
    x = np.sort(_scaled(values))
    if not x.sum() > 0 or x[0] < 0:
        return math.nan
    place = np.arange(1, len(x) + 1)
    return float(((2 * place - len(x) - 1) @ x) / (len(x) * x.sum()))


def _scaled(values: Sequence[float] | Floats) -> Floats:
    """As shares of the largest, so that no square over- or underflows."""
    x = np.asarray(values, dtype=float)
    largest = np.abs(x).max(initial=0.0)
    return x / largest if largest > 0 else x
