"""What a map of a feeder is drawn from: names, places and connections, and nothing that knows an engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GridPicture:
    """A feeder as it is drawn.

    buses: every bus by name with its place, in any plane (longitude and latitude, or an automatic layout).
    edges: each connection as kind (``line``, ``transformer``, ``switch``), its name, and its two buses by name.
    sites: the buses at which the network has customers; may repeat.
    """

    name: str
    buses: Mapping[str, tuple[float, float]]
    edges: tuple[tuple[str, str, str, str], ...]
    sites: tuple[str, ...]
