"""Words and numbers as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence


def duration(hours: float) -> str:
    """Hours as a person says them: ``3 h 15 min``, ``45 min``, ``0 min``."""
    whole, minutes = divmod(round(hours * 60), 60)
    return " ".join(part for part, there in ((f"{whole} h", whole), (f"{minutes} min", minutes or not whole)) if there)


def short(name: str, width: int) -> str:
    """A name cut in its middle: names that belong together differ at their ends."""
    if len(name) <= width:
        return name
    head = (width - 1) // 2
    return f"{name[:head]}…{name[len(name) - (width - 1 - head) :]}"


def unit_in(unit: str, currency: str) -> str:
    """A unit in a run that is paid in this currency: tables and metrics speak of whatever currency there is."""
    return unit.replace("currency", currency)


def distinct(names: Sequence[str], width: int, most: int) -> list[str]:
    """Names cut alike, to ``width`` or as much more as it takes to tell them apart, but to ``most`` at the most."""
    for room in range(width, most):
        found = [short(name, room) for name in names]
        if len(set(found)) == len(set(names)):
            return found
    return [short(name, most) for name in names]
