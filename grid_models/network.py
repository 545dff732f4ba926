"""A pandapower network made ready for a market: customers taken out, names made unique, branches put in a tree."""

from __future__ import annotations

import json
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pandapower as pp
import pandas as pd
from pandapower import topology

from grid_models import checks
from sim.errors import Fault, FeederError, nearest
from sim.feeder import GridChange

CONSUMERS = ("load", "asymmetric_load", "motor")
PRODUCERS = ("sgen", "asymmetric_sgen", "storage", "gen")

BRANCHES = ("line", "trafo", "trafo3w", "impedance")
"""Tables whose ``pl_mw`` are losses."""

GRID_LOADS = ("shunt", "ward", "xward")
"""Tables that draw power for the grid's own purposes; it is paid like a loss."""

Key = tuple[str, int] | tuple[str, int, str]
"""A branch of the tree: ``("trafo", index)``, ``("line", index)``, or ``("trafo3w", index, "mv" or "lv")``."""

LISTED = 10
"""So many culprits are named before the rest is counted."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One connection to draw.  kind: ``line``, ``transformer`` or ``switch``; start and end: names of buses."""

    kind: str
    name: str
    start: str
    end: str


@dataclass(frozen=True, slots=True)
class Supply:
    """Which branch feeds what.  Buses are pandapower indices.

    parents: the branch above each branch that carries power, or None below the external grid.
    fed_by: the branch that feeds each bus; None for a bus above all of them, no entry for an unsupplied bus.
    ends: upper and lower bus of each branch that carries power.
    fault: why this is no tree of limits, or None.  With a fault the rest still names branches and supplied buses, but of a
    loop only one way is told.  loops: whether any bus can be reached in two ways.
    """

    parents: dict[Key, Key | None]
    fed_by: dict[int, Key | None]
    ends: dict[Key, tuple[int, int]]
    fault: Fault | None = None
    loops: bool = False


def check(net: Any, source: str) -> None:
    """Raise ``FeederError``, all faults at once, for a network whose power flow could not be trusted."""
    faults = list(checks.faults(net))
    if not faults:
        supplied = supply(net, source).fed_by
        faults = list(_unsupplied_customers(net, supplied))
        if set(supplied) <= set(net.ext_grid.bus):
            what = "nothing is connected to the external grid: no line or transformer in service leads away from it"
            faults.append(Fault("net.ext_grid", what, "close a switch, or add a line or a transformer"))
    if faults:
        raise FeederError(source, tuple(faults))


def _unsupplied_customers(net: Any, supplied: Collection[int]) -> Iterator[Fault]:
    names = dict(zip(net.bus.index, unique_names(net.bus, "bus"), strict=True))
    for table in (*CONSUMERS, *PRODUCERS):
        rows = net[table][net[table].in_service.astype(bool)]
        dark = rows[~rows.bus.isin(supplied)]
        if len(dark):
            kw: dict[int, float] = defaultdict(float)
            for bus, p_kw in zip(dark.bus, checks.power_kw(dark), strict=True):
                kw[int(bus)] += float(p_kw)
            listed = listing([f"{names[bus]} ({kw[bus]:.1f} kW)" for bus in kw])
            what = f"stand at buses out of service or not connected to the external grid: {listed}"
            yield Fault(f"net.{table}", what, "close a switch, put the bus into service, or take these out of service")


def listing(culprits: Collection[str]) -> str:
    """The first ``LISTED`` of them, and how many more there are."""
    shown = list(culprits)[:LISTED]
    return ", ".join(shown) + (f" and {len(culprits) - LISTED} more" if len(culprits) > LISTED else "")


def typed(net: Any) -> None:
    """Give columns of numbers the type of numbers: some data sets carry them as objects, which arithmetic stumbles over."""
    for table, columns in checks.NUMBERS.items():
        for column in columns:
            if column in net[table] and net[table][column].dtype == object:
                net[table][column] = pd.to_numeric(net[table][column], errors="coerce").astype(float)


def notes(net: Any) -> tuple[str, ...]:
    """What the network holds that will not act as its author may expect; to be asked before customers are taken out."""
    return tuple(_notes(net))


def _notes(net: Any) -> Iterator[str]:
    if "controller" in net and len(net.controller):
        kinds = Counter(type(controller).__name__ for controller in net.controller.object)
        listed = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        yield f"controllers of the network are not run ({listed}); tap changers and Volt-var are named in the scenario"
    shares = [column for column in net.load if column.startswith("const_")]
    dependent = int((net.load[shares] != 0).any(axis=1).sum())
    if dependent:
        yield f"{dependent} voltage-dependent loads are customers like others, who bring their own power"
    if net.gen.in_service.any():
        yield f"{int(net.gen.in_service.sum())} generators are customers like others and hold no voltage"
    for table, kind in (("bus", "buses"), ("line", "lines"), ("trafo", "transformers")):
        often = Counter(name for name in net[table]["name"] if isinstance(name, str) and name.strip())
        repeated = [name for name, count in often.items() if count > 1]
        if repeated:
            yield f"several {kind} have one name and are told apart by number: {listing(repeated)}"
    unrated = int((net.line.in_service.astype(bool) & (net.line.max_i_ka == checks.UNRATED_KA)).sum())
    if unrated:
        yield f"{unrated} lines have no rating ({checks.UNRATED_KA:g} kA)"


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


def supply(net: Any, source: str, limited_lines: Collection[str] = ()) -> Supply:
    """The tree of limits below the external grid: transformers, and the lines that are named.

    limited_lines: names as ``unique_names`` gives them.  Each parts what is connected into an upper and a lower side.
    Raises ``FeederError`` for a name that no line has.  A network that is no tree comes back with its fault, because power
    flow needs none.
    """
    lines = _line_indices(net, source, limited_lines)
    area = _areas(net, lines)
    gates = {key: (area[a], area[b]) for key, (a, b) in _gates(net, lines, area).items() if a in area and b in area}
    roots = dict.fromkeys(area[bus] for bus in net.ext_grid.bus[net.ext_grid.in_service.astype(bool)] if bus in area)
    walk = _Walk(gates, list(roots))
    ends = dict(_ends(net, walk, area))
    fed_by = {bus: walk.feeds[number] for bus, number in area.items() if number in walk.feeds and bus >= 0}
    return Supply(walk.parents, fed_by, ends, _fault(net, walk, lines), bool(walk.loops))


class _Walk:
    """The way down from the external grid, area by area; every branch is crossed once.

    feeds: the branch through which each area is reached.  loops: branches that lead to an area that was reached already.
    reversed: branches that are fed from their lower side.
    """

    def __init__(self, gates: dict[Key, tuple[int, int]], roots: list[int]) -> None:
        self.gates = gates
        self.feeds: dict[int, Key | None] = dict.fromkeys(roots)
        self.parents: dict[Key, Key | None] = {}
        self.uppers: dict[Key, int] = {}
        self.loops: list[Key] = []
        self.reversed: list[Key] = []
        at: dict[int, list[Key]] = {}
        for key, sides in gates.items():
            for side in dict.fromkeys(sides):
                at.setdefault(side, []).append(key)
        waiting = deque(roots)
        while waiting:
            here = waiting.popleft()
            for key in at.get(here, ()):
                if key not in self.parents:
                    self._cross(key, here, waiting)

    def _cross(self, key: Key, here: int, waiting: deque[int]) -> None:
        first, second = self.gates[key]
        there = second if here == first else first
        self.parents[key] = self.feeds[here]
        self.uppers[key] = here
        if there in self.feeds:
            self.loops.append(key)
            return
        if key[0] != "line" and here != first:
            self.reversed.append(key)
        self.feeds[there] = key
        waiting.append(there)

    def loop(self, key: Key) -> list[Key]:
        """The other branches of the loop that this one closes."""
        ways = [self._way_up(area) for area in self.gates[key]]
        return [step for way, other in (ways, ways[::-1]) for step in way if step not in other]

    def _way_up(self, area: int) -> list[Key]:
        way: list[Key] = []
        step = self.feeds[area]
        while step is not None:
            way.append(step)
            step = self.parents[step]
        return way


def _fault(net: Any, walk: _Walk, lines: Collection[int]) -> Fault | None:
    if walk.loops:
        return _not_radial(net, walk)
    if walk.reversed:
        table, index, *_ = walk.reversed[0]
        return Fault(f"net.{table}[{index}]", "is fed from its low-voltage side", "exchange hv_bus and lv_bus")
    idle = [index for index in lines if ("line", index) not in walk.parents]
    if idle:
        names = dict(zip(net.line.index, unique_names(net.line, "line"), strict=True))
        listed = listing([names[index] for index in idle])
        what = f"are limited but open, out of service or without supply: {listed}"
        return Fault("net.line", what, "close them or take their limits out")
    if not walk.parents:
        what = "no transformer and no limited line is connected to the external grid; a market needs one to limit"
        remedy = "name a line in feeder.limits.lines, close a switch, or use pandapower.create_transformer"
        return Fault("net.trafo", what, remedy)
    return None


def _not_radial(net: Any, walk: _Walk) -> Fault:
    key = walk.loops[0]
    names = branch_names(net, walk.parents)
    others = [names[step] for step in walk.loop(key)]
    loop = f"a loop with {listing(others)}" if others else "a ring of lines, or joins two external grids"
    more = f" (and {len(walk.loops) - 1} more like it)" if len(walk.loops) > 1 else ""
    what = f"{names[key]} leads to buses that are fed another way too: it closes {loop}{more}"
    remedy = (
        "a tree of limits needs one way down to every bus: open a switch, describe parallel units as one row with"
        " `parallel`, or use the feeder for power flow only"
    )
    return Fault(f"net.{key[0]}[{key[1]}]", what, remedy)


def branch_names(net: Any, keys: Iterable[Key]) -> dict[Key, str]:
    """A name for each branch, unique among them; a three-winding transformer's are ``NAME mv`` and ``NAME lv``."""
    tables = {
        table: dict(zip(net[table].index, unique_names(net[table], kind), strict=True))
        for table, kind in (("trafo", "transformer"), ("line", "line"), ("trafo3w", "transformer"))
    }
    plain = {key: " ".join((tables[key[0]][key[1]], *key[2:])) for key in keys}
    often = Counter(plain.values())
    return {key: name if often[name] == 1 else f"{name} ({key[0]} {key[1]})" for key, name in plain.items()}


def _line_indices(net: Any, source: str, names: Collection[str]) -> tuple[int, ...]:
    index = {name: int(i) for i, name in zip(net.line.index, unique_names(net.line, "line"), strict=True)}
    unknown = [name for name in names if name not in index]
    if unknown:
        raise FeederError(source, tuple(Fault("limits.lines", f"no line {n!r}", nearest(n, index)) for n in unknown))
    return tuple(sorted(index[name] for name in names))


def _areas(net: Any, limited: Collection[int]) -> dict[int, int]:
    """Number of the area of each bus in service: what is connected without a branch of the tree.

    The star point of a three-winding transformer is a bus of its own, -1 less its index, connected with the upper winding.
    """
    graph = topology.create_nxgraph(net, include_trafos=False, include_trafo3ws=False)
    for index in limited:
        start, end = net.line.at[index, "from_bus"], net.line.at[index, "to_bus"]
        if graph.has_edge(start, end, ("line", index)):
            graph.remove_edge(start, end, ("line", index))
    buses = net.bus.index[net.bus.in_service.astype(bool)]
    stars = {-1 - int(i): int(hv) for i, hv in net.trafo3w.hv_bus[net.trafo3w.in_service.astype(bool)].items()}
    area: dict[int, int] = {}
    for bus in buses:
        if bus not in area:
            area.update(dict.fromkeys(map(int, topology.connected_component(graph, bus)), int(bus)))
    opened = _opened(net, "t3")
    for star, hv in stars.items():
        if hv in area:
            area[star] = star if (-1 - star, hv) in opened else area[hv]
    return area


def _gates(net: Any, limited: Collection[int], area: Collection[int]) -> dict[Key, tuple[int, int]]:
    """Upper and lower bus of each branch that is in service and closed; of a line, its first and its second."""
    gates: dict[Key, tuple[int, int]] = {}
    closed = _closed(net, "line", "l")
    for index in limited:
        if closed.at[index]:
            gates["line", index] = int(net.line.at[index, "from_bus"]), int(net.line.at[index, "to_bus"])
    for index, hv, lv in net.trafo.loc[_closed(net, "trafo", "t"), ["hv_bus", "lv_bus"]].itertuples(name=None):
        gates["trafo", int(index)] = int(hv), int(lv)
    opened = _opened(net, "t3")
    for index, trafo in net.trafo3w[net.trafo3w.in_service.astype(bool)].iterrows():
        for side in ("lv", "mv"):
            lower = int(trafo[f"{side}_bus"])
            if (index, lower) not in opened:
                gates["trafo3w", int(index), side] = -1 - int(index), lower
    return gates


def _ends(net: Any, walk: _Walk, area: dict[int, int]) -> Iterator[tuple[Key, tuple[int, int]]]:
    for key in walk.parents:
        table, index, *side = key
        if table == "line":
            first, second = (int(net.line.at[index, end]) for end in ("from_bus", "to_bus"))
            yield key, (first, second) if area[first] == walk.uppers[key] else (second, first)
        else:
            lower = int(net[table].at[index, f"{side[0] if side else 'lv'}_bus"])
            yield key, (int(net[table].at[index, "hv_bus"]), lower)


def _opened(net: Any, switch_kind: str) -> set[tuple[int, int]]:
    """Element and bus of each open switch of this kind."""
    rows = net.switch[(net.switch.et == switch_kind) & ~net.switch.closed.astype(bool)]
    return {(int(element), int(bus)) for element, bus in zip(rows.element, rows.bus, strict=True)}


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
        ("line", net.impedance, "from_bus", "to_bus", net.impedance.in_service.astype(bool)),
        ("transformer", net.trafo, "hv_bus", "lv_bus", _closed(net, "trafo", "t")),
        ("transformer", net.trafo3w, "hv_bus", "mv_bus", _joined(net, "hv_bus", "mv_bus")),
        ("transformer", net.trafo3w, "hv_bus", "lv_bus", _joined(net, "hv_bus", "lv_bus")),
        ("switch", net.switch, "bus", "element", between_buses),
    )
    return tuple(
        Edge(kind, name, names[start], names[end])
        for kind, table, first, second, used in kinds
        for name, start, end, on in zip(unique_names(table, kind), table[first], table[second], used, strict=True)
        if on and start in names and end in names
    )


def _joined(net: Any, *sides: str) -> list[bool]:
    """Which three-winding transformers are in service and closed at all of these sides."""
    opened = _opened(net, "t3")
    rows = net.trafo3w[["in_service", *sides]].itertuples(name=None)
    return [bool(on) and not any((index, bus) in opened for bus in buses) for index, on, *buses in rows]


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


def change(net: Any, source: str, wanted: GridChange) -> None:
    """Open or close a switch, put a line or transformer in or out of service, or turn a tap.

    Raises ``FeederError`` for a name that the network does not know and a tap beyond its range.
    """
    table = {"switch": "switch", "line": "line", "transformer": "trafo", "tap": "trafo"}[wanted.kind]
    kind = {"switch": "switch", "line": "line"}.get(table, "transformer")
    index = {name: i for i, name in zip(net[table].index, unique_names(net[table], kind), strict=True)}
    if wanted.name not in index:
        raise FeederError(source, f"has no {kind} {wanted.name!r}, {nearest(wanted.name, index)}")
    at = index[wanted.name]
    if wanted.kind == "tap":
        low, high = net.trafo.tap_min.at[at], net.trafo.tap_max.at[at]
        if wanted.position is None or not low <= wanted.position <= high:
            raise FeederError(source, f"{wanted.name}: position {wanted.position} is not within {low:g}..{high:g}")
        net.trafo.loc[at, "tap_pos"] = wanted.position
    elif wanted.kind == "switch":
        net.switch.loc[at, "closed"] = wanted.state == "closed"
    else:
        net[table].loc[at, "in_service"] = wanted.state == "in"
