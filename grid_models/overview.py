"""What a feeder is, in numbers that a planner asks for first: its tree, its impedances, its limits."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pandapower import topology

from grid_models import layout, network
from grid_models.powerflow import PandapowerFeeder
from sim.errors import FeederError
from sim.feeder import Branch, Floats

LimitsKw = Callable[[Branch], tuple[float, float]]
"""Largest import and export of a branch in kW, both positive."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many of each are in service; line_km counts parallel lines once, customers each customer."""

    buses: int
    lines: int
    line_km: float
    transformers: int
    switches_open: int
    switches_closed: int
    external_grids: int
    customer_buses: int
    customers: int
    unsupplied_buses: int


@dataclass(frozen=True, slots=True)
class Level:
    """A nominal voltage and how many buses have it."""

    kv: float
    buses: int


@dataclass(frozen=True, slots=True)
class Node:
    """A branch of the tree of limits.

    buses, customers: everything below it.  Of the buses that it feeds without another branch between: farthest, the one with
    the longest way from the supply; r_ohm, x_ohm, the impedance of the whole grid above that bus, at the bus' own voltage;
    idle_low_pu, idle_high_pu, their voltages when nobody draws or gives anything.
    """

    name: str
    kind: str
    parent: str | None
    rated_kva: float
    import_kw: float
    export_kw: float
    buses: int
    customers: int
    farthest: str
    r_ohm: float
    x_ohm: float
    idle_low_pu: float
    idle_high_pu: float


@dataclass(frozen=True, slots=True)
class Bus:
    """A bus as its customers see it; node: None above all branches and where there is no tree.

    km: way along lines from the supply.  r_ohm, x_ohm, z_ohm: Thevenin impedance at the bus, at its own voltage.
    percent_per_kw: by how much its voltage rises with each kW injected there, of nominal and near no load.
    Without supply all of these are NaN.
    """

    name: str
    kv: float
    node: str | None
    km: float
    r_ohm: float
    x_ohm: float
    z_ohm: float
    percent_per_kw: float
    idle_pu: float
    customers: int


@dataclass(frozen=True, slots=True)
class Overview:
    """A feeder in numbers.  no_tree: why it has no tree of limits, or an empty text; ``nodes`` is empty then."""

    name: str
    source: str
    counts: Counts
    levels: tuple[Level, ...]
    nodes: tuple[Node, ...]
    no_tree: str
    notes: tuple[str, ...]
    buses: tuple[Bus, ...]


def overview(
    feeder: PandapowerFeeder,
    net: Any,
    source: str,
    limits_kw: LimitsKw,
    limited_lines: Collection[str] = (),
    notes: tuple[str, ...] = (),
) -> Overview:
    """Everything about a feeder as it stands; one that has no tree of limits has everything but that.

    net: the pandapower network that the feeder was made of.  limits_kw: what the market may let through a branch.
    limited_lines: the lines that the feeder was given as nodes.
    """
    supply = network.supply(net, feeder.name, limited_lines)
    buses = tuple(_buses(feeder, net, has_tree=supply.fault is None))
    levels = Counter(bus.kv for bus in buses)
    return Overview(
        name=feeder.name,
        source=source,
        counts=_counts(feeder, net, unsupplied=sum(math.isnan(bus.idle_pu) for bus in buses)),
        levels=tuple(Level(kv, count) for kv, count in sorted(levels.items(), reverse=True)),
        nodes=() if supply.fault else tuple(_nodes(feeder.branches, buses, limits_kw)),
        no_tree=str(supply.fault or ""),
        notes=notes,
        buses=buses,
    )


def places(feeder: PandapowerFeeder, net: Any) -> dict[str, tuple[float, float]]:
    """Where to draw each bus: where the network says, or all of them as a tree where it leaves one out."""
    known = feeder.coordinates() or {}
    if len(known) == len(feeder.buses):
        return known
    names = _names(net)
    grids = net.ext_grid[net.ext_grid.in_service.astype(bool)]
    roots = [names[int(bus)] for bus in grids.bus if int(bus) in names]
    return layout.tree(feeder.buses, [(edge.start, edge.end) for edge in feeder.edges()], roots)


def _names(net: Any) -> dict[int, str]:
    """Name of each bus in service by its index, in the order of a feeder's buses."""
    buses = net.bus
    named = zip(buses.index, network.unique_names(buses, "bus"), buses.in_service.astype(bool), strict=True)
    return {int(index): name for index, name, is_used in named if is_used}


def _counts(feeder: PandapowerFeeder, net: Any, unsupplied: int) -> Counts:
    lines = net.line[net.line.in_service.astype(bool)]
    closed = net.switch.closed.astype(bool)
    return Counts(
        buses=len(feeder.buses),
        lines=len(lines),
        line_km=float(lines.length_km.sum()),
        transformers=sum(int(net[table].in_service.sum()) for table in ("trafo", "trafo3w")),
        switches_open=int((~closed).sum()),
        switches_closed=int(closed.sum()),
        external_grids=int(net.ext_grid.in_service.sum()),
        customer_buses=len(set(feeder.site_buses)),
        customers=len(feeder.site_buses),
        unsupplied_buses=unsupplied,
    )


def _buses(feeder: PandapowerFeeder, net: Any, *, has_tree: bool) -> Iterator[Bus]:
    nothing = np.zeros(len(feeder.buses))
    idle_pu = _per_bus(feeder.solve(nothing, nothing).v_pu)
    impedance = np.asarray(feeder.impedance_ohm())
    km = _distances_km(net)
    customers = Counter(feeder.site_buses)
    for row, (index, name) in enumerate(_names(net).items()):
        kv, z = float(net.bus.vn_kv.at[index]), complex(impedance[row])
        yield Bus(
            name=name,
            kv=kv,
            node=_node(feeder, name) if has_tree else None,
            km=km.get(index, np.nan),
            r_ohm=z.real,
            x_ohm=z.imag,
            z_ohm=abs(z),
            percent_per_kw=z.real / (10 * kv**2),
            idle_pu=float(idle_pu[row]),
            customers=customers[name],
        )


def _per_bus(v_pu: Floats) -> Floats:
    """The voltage of each bus; the mean of its phases."""
    mean: Floats = v_pu if v_pu.ndim == 1 else v_pu.mean(axis=1)
    return mean


def _node(feeder: PandapowerFeeder, bus: str) -> str | None:
    try:
        return feeder.node_of(bus)
    except FeederError:
        return None  # above all branches, or without supply


def _distances_km(net: Any) -> dict[int, float]:
    """Shortest way along closed lines from each bus to an external grid."""
    graph = topology.create_nxgraph(net)
    km: dict[int, float] = {}
    for grid in dict.fromkeys(net.ext_grid.bus[net.ext_grid.in_service.astype(bool)]):
        for bus, way in topology.calc_distance_to_bus(net, grid, g=graph).items():
            km[int(bus)] = min(float(way), km.get(int(bus), np.inf))
    return km


def _nodes(branches: Sequence[Branch], buses: Sequence[Bus], limits_kw: LimitsKw) -> Iterator[Node]:
    fed: dict[str, list[Bus]] = {branch.name: [] for branch in branches}
    for bus in buses:
        if bus.node is not None:
            fed[bus.node].append(bus)
    below = _below({branch.name: branch.parent for branch in branches}, fed)
    for branch in branches:
        import_kw, export_kw = limits_kw(branch)
        own = fed[branch.name]
        farthest = max(own, key=lambda bus: bus.km)
        yield Node(
            name=branch.name,
            kind=branch.kind,
            parent=branch.parent,
            rated_kva=branch.rated_kva,
            import_kw=import_kw,
            export_kw=export_kw,
            buses=below[branch.name][0],
            customers=below[branch.name][1],
            farthest=farthest.name,
            r_ohm=farthest.r_ohm,
            x_ohm=farthest.x_ohm,
            idle_low_pu=min(bus.idle_pu for bus in own),
            idle_high_pu=max(bus.idle_pu for bus in own),
        )


def _below(parents: Mapping[str, str | None], fed: Mapping[str, Sequence[Bus]]) -> dict[str, tuple[int, int]]:
    """Buses and customers below each branch, those of the branches below it included."""
    totals = dict.fromkeys(parents, (0, 0))
    for name, own in fed.items():
        step: str | None = name
        while step is not None:
            buses, customers = totals[step]
            totals[step] = buses + len(own), customers + sum(bus.customers for bus in own)
            step = parents[step]
    return totals
