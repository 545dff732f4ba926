"""The tree of limits of a feeder: its branches by name, and where each is in the circuit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grid_models import network
from grid_models.network import Supply
from sim.errors import FeederError, nearest
from sim.feeder import Branch


@dataclass(frozen=True, slots=True)
class Placed:
    """A branch of the tree in the circuit: its row among the ends, and whether its upper end is the start."""

    branch: Branch
    row: int
    starts_above: bool


class LimitTree:
    """Transformers, and the lines that a scenario limits, below each other.

    placed: those that carry power, transformers first, as the network lists them; there also where the network is no tree.
    supply: which of them feeds what.
    """

    def __init__(
        self,
        name: str,
        net: Any,
        names: Mapping[int, str],
        rows: Mapping[str, slice],
        limited_lines: Mapping[str, str],
    ) -> None:
        """names: of the buses, by index.  rows: of each table in the circuit's ends.  limited_lines: node by line.

        Raises ``FeederError`` for lines that the network does not have.
        """
        self.supply: Supply = network.supply(net, name, tuple(limited_lines))
        self._name = name
        self._buses = dict.fromkeys(names.values())
        called = network.branch_names(net, self.supply.parents)
        index = {line: int(i) for i, line in zip(net.line.index, network.unique_names(net.line, "line"), strict=True)}
        own = {index[line]: node for line, node in limited_lines.items()}
        called |= {key: own[key[1]] for key in called if key[0] == "line"}
        self._fed_by = {names[bus]: None if key is None else called[key] for bus, key in self.supply.fed_by.items()}
        self.placed: tuple[Placed, ...] = tuple(
            self._placed(net, key, called, rows)
            for key in sorted(self.supply.parents, key=lambda key: (key[0] == "line", key))
        )
        self._by_name = {placed.branch.name: placed for placed in self.placed}

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The branches by which a market is limited.  Raises ``FeederError`` where the network is no tree."""
        self._require()
        return tuple(placed.branch for placed in self.placed)

    def node_of(self, bus: str) -> str:
        """Name of the branch that feeds this bus.

        Raises ``FeederError`` for an unknown or unsupplied bus, for one above every branch, and where there is no tree.
        """
        self._require()
        if bus not in self._buses:
            raise FeederError(self._name, f"has no bus {bus!r}, {nearest(bus, self._buses)}")
        node = self._fed_by.get(bus)
        if node is not None:
            return node
        above = bus in self._fed_by
        why = "lies above every transformer and limited line" if above else "is not connected to the external grid"
        raise FeederError(self._name, f"bus {bus!r} {why}")

    def find(self, branch: str) -> Placed:
        """One branch and its place.  Raises ``FeederError`` for an unknown one."""
        if branch not in self._by_name:
            what = f"has no transformer or limited line {branch!r}, {nearest(branch, self._by_name)}"
            raise FeederError(self._name, what)
        return self._by_name[branch]

    def _require(self) -> None:
        if self.supply.fault is not None:
            raise FeederError(self._name, (self.supply.fault,))

    def _placed(
        self, net: Any, key: network.Key, called: Mapping[network.Key, str], rows: Mapping[str, slice]
    ) -> Placed:
        parent = self.supply.parents[key]
        first = rows[key[0]].start + net[key[0]].index.get_loc(key[1])
        row, starts_above = first, True
        if key[0] == "line":
            starts_above = bool(self.supply.ends[key][0] == net.line.from_bus.at[key[1]])
        elif key[0] == "trafo3w":
            row = first + ("hv", "mv", "lv").index(str(key[-1])) * len(net.trafo3w)
        kind: Any = "line" if key[0] == "line" else "transformer"
        branch = Branch(called[key], None if parent is None else called[parent], rated_kva(net, key), kind)
        return Placed(branch, row, starts_above)


def rated_kva(net: Any, key: network.Key) -> float:
    """Nameplate of a branch of the tree, derated as the network says, parallel units together [kVA]."""
    row = net[key[0]].loc[key[1]]
    if key[0] == "line":
        return float(math.sqrt(3) * net.bus.vn_kv[row.from_bus] * row.max_i_ka * row.df * row.parallel * 1e3)
    if key[0] == "trafo":
        return float(row.sn_mva * row.parallel * row.df * 1e3)
    return float(row[f"sn_{key[-1]}_mva"] * 1e3)


def moved(before: Supply, after: Supply) -> Sequence[int]:
    """Buses that another branch feeds than before."""
    return [bus for bus, key in after.fed_by.items() if before.fed_by.get(bus, key) != key]
