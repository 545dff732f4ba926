"""A pandapower network made ready for a market: customers taken out, names made unique, transformers put in a tree."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandapower as pp
from pandapower import topology

from sim.errors import Fault, FeederError, nearest

CONSUMERS = ("load", "asymmetric_load", "motor")
PRODUCERS = ("sgen", "asymmetric_sgen", "storage", "gen")

UNSUPPORTED = {
    "trafo3w": "describe each pair of windings as a transformer of its own",
    "dcline": "take it out of service",
    "svc": "take it out of service",
    "ssc": "take it out of service",
    "tcsc": "take it out of service",
    "vsc": "take it out of service",
}
"""Elements whose power the market could not attribute, each with what to do instead."""

BRANCHES = ("line", "trafo", "impedance")
"""Tables whose ``pl_mw`` are losses."""

GRID_LOADS = ("shunt", "ward", "xward")
"""Tables that draw power for the grid's own purposes; it is paid like a loss."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One connection to draw.  kind: ``line``, ``transformer`` or ``switch``; start and end: names of buses."""

    kind: str
    name: str
    start: str
    end: str


@dataclass(frozen=True, slots=True)
class Supply:
    """Which transformer feeds what, as pandapower indices.

    parents: the transformer above each transformer that carries power, or None below the external grid.
    fed_by: the transformer that feeds each bus; None for a bus above all of them, no entry for an unsupplied bus.
    """

    parents: dict[int, int | None]
    fed_by: dict[int, int | None]


def check(net: Any, source: str) -> None:
    """Raise ``FeederError``, all faults at once, for a network that no market can be run on."""
    faults = [
        Fault(f"net.{table}", "is not supported in service", remedy)
        for table, remedy in UNSUPPORTED.items()
        if table in net and net[table].in_service.any()
    ]
    for table, column in sorted(pp.toolbox.element_bus_tuples()):
        if len(net[table]) and not net[table][column].isin(net.bus.index).all():
            faults.append(Fault(f"net.{table}.{column}", "names buses that do not exist"))
    if not net.ext_grid.in_service.any():
        faults.append(Fault("net.ext_grid", "there is no external grid in service", "pandapower.create_ext_grid"))
    if not net.trafo.in_service.any():
        remedy = "add one with pandapower.create_transformer; the market's limits are those of transformers"
        faults.append(Fault("net.trafo", "there is no transformer in service", remedy))
    if faults:
        raise FeederError(source, tuple(faults))


def take_customers(net: Any) -> tuple[int, ...]:
    """Remove what customers connected, because the market's participants bring their own; the buses they stood at.

    First each consumer's bus in table order (a bus with two of them comes twice), then the buses of producers without
    a consumer.  Elements out of service are dropped unseen.
    """
    consumers = [int(bus) for table in CONSUMERS for bus in _buses_in_service(net, table)]
    producers = dict.fromkeys(int(bus) for table in PRODUCERS for bus in _buses_in_service(net, table))
    for table in (*CONSUMERS, *PRODUCERS):
        net[table] = net[table].iloc[:0]
    return (*consumers, *(bus for bus in producers if bus not in consumers))


def _buses_in_service(net: Any, table: str) -> Iterable[int]:
    found: Iterable[int] = net[table].loc[net[table].in_service.astype(bool), "bus"]
    return found


def unique_names(table: Any, kind: str) -> tuple[str, ...]:
    """A name for each row: its own where it is a text and unique, else with its index, so that none is ambiguous."""
    plain = [
        name if isinstance(name, str) and name.strip() else f"{kind} {index}"
        for index, name in zip(table.index, table["name"], strict=True)
    ]
    often = Counter(plain)
    names = tuple(n if often[n] == 1 else f"{n} #{i}" for i, n in zip(table.index, plain, strict=True))
    return names if len(set(names)) == len(names) else tuple(f"{kind} {i}" for i in table.index)


def supply(net: Any, source: str) -> Supply:
    """The tree of transformers below the external grid.

    Raises ``FeederError`` where the grid reaches no transformer, where two ways lead to the same buses, and where a
    transformer is fed from its low-voltage side: a tree of limits needs one way down, and "import" one direction.
    """
    area = _areas(net)
    feeds: dict[int, int | None] = {area[bus]: None for bus in net.ext_grid.bus[net.ext_grid.in_service] if bus in area}
    waiting = [(int(i), area[hv], area[lv]) for i, hv, lv in _carrying_transformers(net) if hv in area and lv in area]
    parents: dict[int, int | None] = {}
    found = True
    while found:
        found = False
        for entry in tuple(waiting):
            index, upper, lower = entry
            if upper not in feeds and lower not in feeds:
                continue
            if upper not in feeds or lower in feeds:
                raise FeederError(source, (_not_a_tree(index, upper in feeds),))
            parents[index], feeds[lower], found = feeds[upper], index, True
            waiting.remove(entry)
    if not parents:
        raise FeederError(source, "no transformer is connected to the external grid; close a switch or add a line")
    return Supply(parents, {bus: feeds[number] for bus, number in area.items() if number in feeds})


def _not_a_tree(index: int, fed_from_above: bool) -> Fault:
    if not fed_from_above:
        return Fault(f"net.trafo[{index}]", "is fed from its low-voltage side", "exchange hv_bus and lv_bus")
    remedy = "open a switch, or describe parallel units as one row with `parallel`"
    return Fault(f"net.trafo[{index}]", "leads to buses that are fed another way too", remedy)


def _areas(net: Any) -> dict[int, int]:
    """Number of the galvanically connected area of each bus in service."""
    graph = topology.create_nxgraph(net, include_trafos=False, include_trafo3ws=False)
    area: dict[int, int] = {}
    for bus in net.bus.index[net.bus.in_service.astype(bool)]:
        if bus not in area:
            area.update(dict.fromkeys(topology.connected_component(graph, bus), int(bus)))
    return area


def _carrying_transformers(net: Any) -> list[tuple[int, int, int]]:
    return list(net.trafo.loc[_closed(net, "trafo", "t"), ["hv_bus", "lv_bus"]].itertuples(name=None))


def _closed(net: Any, table: str, switch_kind: str) -> Any:
    """Which rows of a table of branches are in service with no open switch at either end."""
    opened = net.switch.element[(net.switch.et == switch_kind) & ~net.switch.closed.astype(bool)]
    return net[table].in_service.astype(bool) & ~net[table].index.isin(opened)


def coordinates(net: Any, names: dict[int, str]) -> dict[str, tuple[float, float]] | None:
    """Where the buses are, as far as the network says; None when it says nothing."""
    places: dict[str, tuple[float, float]] = {}
    for index, name in names.items():
        geo = net.bus.geo.at[index]
        if isinstance(geo, str) and geo:
            x, y, *_ = json.loads(geo)["coordinates"]
            places[name] = (float(x), float(y))
    return places or None


def edges(net: Any, names: dict[int, str]) -> tuple[Edge, ...]:
    """Everything that connects two buses: lines, transformers, and closed bus-to-bus switches, in this order."""
    between_buses = (net.switch.et == "b") & net.switch.closed.astype(bool)
    kinds = (
        ("line", net.line, "from_bus", "to_bus", _closed(net, "line", "l")),
        ("transformer", net.trafo, "hv_bus", "lv_bus", _closed(net, "trafo", "t")),
        ("switch", net.switch, "bus", "element", between_buses),
    )
    return tuple(
        Edge(kind, name, names[start], names[end])
        for kind, table, first, second, used in kinds
        for name, start, end, on in zip(unique_names(table, kind), table[first], table[second], used, strict=True)
        if on and start in names and end in names
    )


def change_transformer(net: Any, source: str, type_name: str) -> None:
    """Give the network's only transformer the values of a pandapower standard type; its tap goes to neutral.

    Raises ``FeederError`` for an unknown type, a network of several transformers, and a type whose voltages are not
    those of the buses (more than a tenth off: it would be a voltage regulator nobody asked for).
    """
    known = [str(name) for name in pp.available_std_types(net, "trafo").index]
    if type_name not in known:
        raise FeederError(source, f"there is no transformer type {type_name!r}, {nearest(type_name, known)}")
    if len(net.trafo) != 1:
        names = ", ".join(unique_names(net.trafo, "transformer"))
        raise FeederError(source, f"has {len(net.trafo)} transformers ({names}); a type can replace only a single one")
    (index,) = net.trafo.index
    rating = pp.load_std_type(net, type_name, "trafo")
    for side in ("hv", "lv"):
        type_kv, bus_kv = rating[f"vn_{side}_kv"], float(net.bus.vn_kv.at[net.trafo[f"{side}_bus"].at[index]])
        if abs(type_kv / bus_kv - 1) > 0.1:
            raise FeederError(source, f"{type_name} has {type_kv} kV where the {side} bus has {bus_kv} kV")
    pp.change_std_type(net, index, type_name, "trafo")
    net.trafo["tap_pos"] = net.trafo["tap_neutral"]
