"""Places for buses that have none, so that a feeder can be drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def tree(
    buses: Sequence[str], edges: Iterable[tuple[str, str]], roots: Iterable[str]
) -> dict[str, tuple[float, float]]:
    """From left to right: each bus as many steps out as it is away from the roots, beside the middle of what lies below it.

    Every end of the feeder has a row of its own, so that nothing crosses in a tree; of a loop one way is taken.  Buses that
    nothing connects to a root stand below the others.
    """
    above, order = _walk(edges, roots)
    rows = dict.fromkeys(order, 0)
    for bus in reversed(order):
        rows[bus] = max(rows[bus], 1)
        if (parent := above[bus]) is not None:
            rows[parent] += rows[bus]
    free: dict[str | None, int] = {None: 0}
    places: dict[str, tuple[float, float]] = {}
    for bus in order:
        parent = above[bus]
        free[bus] = free[parent]
        free[parent] += rows[bus]
        depth = 0.0 if parent is None else places[parent][0] + 1
        places[bus] = (depth, -(free[bus] + (rows[bus] - 1) / 2))
    loose = [bus for bus in buses if bus not in places]
    return places | {bus: (float(number), -float(free[None])) for number, bus in enumerate(loose)}


def _walk(edges: Iterable[tuple[str, str]], roots: Iterable[str]) -> tuple[Mapping[str, str | None], list[str]]:
    """The bus above each, and all in the order of their distance."""
    beside: dict[str, list[str]] = {}
    for start, end in edges:
        beside.setdefault(start, []).append(end)
        beside.setdefault(end, []).append(start)
    above: dict[str, str | None] = dict.fromkeys(roots)
    order = list(above)
    for bus in order:  # grows while it is read
        for other in beside.get(bus, ()):
            if other not in above:
                above[other] = bus
                order.append(other)
    return above, order
