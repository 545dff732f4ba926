"""Faults that are collected while something is built, so that all of a file are told at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from sim.errors import DegsimError, Fault

T = TypeVar("T")


class Faults(list[Fault]):
    """Everything that was found wrong so far, in the order in which it was."""

    def tried(self, where: str, make: Callable[[], T]) -> T | None:
        """What ``make`` makes; None where it cannot, and why is noted for the YAML path ``where``."""
        try:
            return make()
        except (DegsimError, msgspec.ValidationError, ValueError) as error:
            told = error.faults if isinstance(error, DegsimError) else (Fault("", str(error)),)
            self += [Fault(where, _within(fault), fault.remedy) for fault in told]
            return None


def _within(fault: Fault) -> str:
    """What is wrong, and with which part: a term of a contract, a point of a formula."""
    return f"{fault.where}: {fault.what}" if fault.where else fault.what
