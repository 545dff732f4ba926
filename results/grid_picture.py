"""What a map of a feeder is drawn from: names, places and connections, and nothing that knows an engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from results import layout
from results.run import Run


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


def picture_of(run: Run, edition: int) -> GridPicture:
    """The feeder of a run as it was drawn or described; a tree from left to right where it has no places."""
    buses = run.buses[run.buses["edition"] == edition]
    names = [str(bus) for bus in buses["bus"]]
    edges = tuple(_edges(run, buses, edition))
    known = {bus: (x, y) for bus, x, y in zip(names, buses["x"], buses["y"], strict=True) if not np.isnan(x + y)}
    if len(known) < len(names):
        roots = [str(bus) for bus in buses["bus"][buses["slack"]]]
        known = layout.places(layout.parents(names, [edge[2:] for edge in edges], roots))
    sites = tuple(str(bus) for bus in run.participants["bus"] if bus)
    return GridPicture(str(run.manifest["name"]), known, edges, sites)


def _edges(run: Run, buses: pd.DataFrame, edition: int) -> Iterator[tuple[str, str, str, str]]:
    elements = run.elements[(run.elements["edition"] == edition) & (run.elements["sequence"] == 1)]
    joined = elements[(elements["start"] != "") & (elements["end"] != "")]
    for row in joined[["kind", "name", "start", "end"]].itertuples(index=False):
        yield str(row.kind), str(row.name), str(row.start), str(row.end)
    for _, group in buses[buses["number"] >= 0].groupby("number"):
        first, *others = (str(bus) for bus in group["bus"])
        for other in others:
            yield "switch", "", first, other
