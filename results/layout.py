"""Places for the buses of a network that has none of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

Edges = Iterable[tuple[str, str]]


def parents(buses: Sequence[str], edges: Edges, roots: Sequence[str]) -> dict[str, str | None]:
    """The bus before each one on a shortest way from a root, None for a root; in the order of their discovery.

    Parts that no root reaches are rooted at their first bus.
    """
    neighbours: dict[str, list[str]] = {bus: [] for bus in buses}
    for start, end in edges:
        neighbours[start].append(end)
        neighbours[end].append(start)
    found: dict[str, str | None] = {}
    for seeds in ([bus for bus in roots if bus in neighbours], *([bus] for bus in buses)):
        waiting = deque(bus for bus in dict.fromkeys(seeds) if bus not in found)
        found |= dict.fromkeys(waiting)
        while waiting:
            bus = waiting.popleft()
            for other in neighbours[bus]:
                if other not in found:
                    found[other] = bus
                    waiting.append(other)
    return found


def depths(tree: Mapping[str, str | None]) -> dict[str, int]:
    """Steps from the root to each bus of a tree from ``parents``."""
    found: dict[str, int] = {}
    for bus, parent in tree.items():
        found[bus] = 0 if parent is None else found[parent] + 1
    return found


def places(tree: Mapping[str, str | None]) -> dict[str, tuple[float, float]]:
    """A drawing of a tree from ``parents`` from left to right: a level to each step, a row to each end.

    The first child stays on its parent's row, so that a street is a straight line with branches below it.
    """
    children: dict[str, list[str]] = {bus: [] for bus in tree}
    size = dict.fromkeys(tree, 1)
    for bus, parent in reversed(list(tree.items())):
        if parent is not None:
            children[parent].append(bus)
            size[parent] += size[bus]
    level, found, row = depths(tree), dict[str, tuple[float, float]](), 0
    for root in (bus for bus, parent in tree.items() if parent is None):
        waiting = [root]
        while waiting:
            bus = waiting.pop()
            found[bus] = (float(level[bus]), float(-row))
            # The largest part goes first and straight on; what is pushed last is drawn next.
            waiting += sorted(reversed(children[bus]), key=lambda child: size[child])
            row += not children[bus]
    return found
