"""What several numbers, pictures or parts of a page start from is computed once for a run."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

from results.run import Run

Found = TypeVar("Found")


def once(function: Callable[[Run], Found]) -> Callable[[Run], Found]:
    """The same function, called once for each run; what it gave is forgotten with the run.

    It is shared between callers, so copy it before changing it.
    """
    known: WeakKeyDictionary[Run, Found] = WeakKeyDictionary()

    @functools.wraps(function)
    def found(run: Run) -> Found:
        if run not in known:
            known[run] = function(run)
        return known[run]

    return found
