"""Places for buses that have none, so that a feeder can be drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence


def radial(
    buses: Sequence[str], edges: Iterable[tuple[str, str]], roots: Iterable[str]
) -> dict[str, tuple[float, float]]:
    """Each bus on a circle around the roots as many steps out as it is away from them, in a wedge of its own.

    A wedge is as wide as its bus has ends of the feeder below it, so that nothing crosses in a tree; of a loop one way is
    taken.  Buses that nothing connects to a root stand in a row below.
    """
    above, order = _walk(edges, roots)
    leaves = dict.fromkeys(order, 0)
    for bus in reversed(order):
        leaves[bus] = max(leaves[bus], 1)
        if (parent := above[bus]) is not None:
            leaves[parent] += leaves[bus]
    total = sum(leaves[bus] for bus in order if above[bus] is None)
    begins: dict[str | None, float] = {None: 0.0}
    depth: dict[str | None, int] = {None: -1}
    places: dict[str, tuple[float, float]] = {}
    several = sum(above[bus] is None for bus in order) > 1
    for bus in order:
        parent = above[bus]
        begins[bus], depth[bus] = begins[parent], depth[parent] + 1
        begins[parent] += leaves[bus]
        angle = math.pi * ((2 * begins[bus] + leaves[bus]) / total - 1)
        radius = depth[bus] + several
        places[bus] = (round(radius * math.cos(angle), 6), round(radius * math.sin(angle), 6))
    lowest = min((y for _, y in places.values()), default=0.0) - 1
    loose = [bus for bus in buses if bus not in places]
    return places | {bus: (float(number), lowest) for number, bus in enumerate(loose)}


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
