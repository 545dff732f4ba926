"""From a pandapower network to a circuit, through pandapower's own matrices.

pandapower has then already dealt with switches, taps, phase shifts, three windings, parallel units and what is out of
service; nothing of that is done twice.  Bought by: any change of these means compiling again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pandapower.pypower.idx_brch import BR_STATUS, F_BUS, T_BUS
from pandapower.pypower.idx_bus import BASE_KV, BS, BUS_TYPE, GS, PD, QD, REF, VA, VM
from pandapower.pypower.makeYbus import branch_vectors, makeYbus

from grid_models.circuit import Circuit, Complexes, Ends, Flags, Floats, Ints, SequenceNetwork

UNSUPPLIED = -1
"""Node of a bus that has no connection to an external grid."""


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A circuit, and where the things of the pandapower network are in it.

    node: of each bus asked for, ``UNSUPPLIED`` without one.  rows: rows of ``circuit.ends`` of each table of branches, one
    for each row of the table; of three-winding transformers one after another those of all high, medium and low windings.
    live: which of the ends carry current.  controlled: nodes whose voltage something holds beside the external grids; there
    are derivatives and fixed points for none such.  own: power that the network's wards inject at each node (they withdraw),
    per unit.
    """

    circuit: Circuit
    node: Ints
    rows: Mapping[str, slice]
    live: Flags
    controlled: Ints
    own: Complexes

    @property
    def supplied(self) -> Flags:
        """Which of the buses have a node."""
        supplied: Flags = self.node != UNSUPPLIED
        return supplied


def compile_balanced(net: Any, buses: Sequence[int]) -> Compiled:
    """The circuit of a network that ``pandapower.runpp`` has just solved without customers.  buses: pandapower indices."""
    ppc, internal = net._ppc, net._ppc["internal"]
    if "ref" not in internal:
        internal = _nothing_to_solve(ppc)
    slack, base_kva = np.asarray(internal["ref"], dtype=np.intp), float(internal["baseMVA"]) * 1e3
    admittance, held_v = internal["Ybus"], internal["V"]
    network = SequenceNetwork(admittance, slack, held_v[slack])
    count = admittance.shape[0]
    rows = {table: slice(*span) for table, span in net._pd2ppc_lookups["branch"].items()}
    nominal_kv = ppc["bus"][:, BASE_KV].real
    ends, live = ends_of([ppc["branch"]], count, current_ratings(net, ppc["branch"], nominal_kv, rows, base_kva))
    shunt = (ppc["bus"][:count, GS] + 1j * ppc["bus"][:count, BS]) / internal["baseMVA"]
    return Compiled(
        circuit=Circuit((network,), slack, ends, shunt[:, None], base_kva),
        node=nodes_of(net, buses, count),
        rows=rows,
        live=live,
        controlled=np.asarray(internal["pv"], dtype=np.intp),
        own=-(ppc["bus"][:count, PD] + 1j * ppc["bus"][:count, QD]) / internal["baseMVA"],
    )


def _nothing_to_solve(ppc: Any) -> dict[str, Any]:
    """What pandapower leaves out where external grids alone are supplied: it solves nothing then."""
    nodes = np.flatnonzero(ppc["bus"][:, BUS_TYPE] == REF)
    bus = ppc["bus"][nodes]
    v = bus[:, VM] * np.exp(1j * np.radians(bus[:, VA]))
    admittance, _, _ = makeYbus(ppc["baseMVA"], bus, ppc["branch"][:0])
    return {"ref": nodes, "pv": [], "baseMVA": ppc["baseMVA"], "Ybus": admittance, "V": v}


def nodes_of(net: Any, buses: Sequence[int], count: int) -> Ints:
    """Node of each bus; pandapower puts what is not supplied behind the ``count`` nodes that are."""
    node = np.asarray(net._pd2ppc_lookups["bus"])[np.asarray(buses, dtype=np.intp)].astype(np.intp)
    return np.where((node < 0) | (node >= count), UNSUPPLIED, node)


def ends_of(branches: Sequence[Any], count: int, ratings: tuple[Floats, Floats]) -> tuple[Ends, Flags]:
    """The two-ports of branch tables, one table for each sequence, and which of them carry current."""
    start, end = (branches[0][:, column].real.astype(np.intp) for column in (F_BUS, T_BUS))
    live = (branches[0][:, BR_STATUS].real == 1) & (start < count) & (end < count)
    vectors = [branch_vectors(branch, len(branch)) for branch in branches]
    y_ee, y_ss, y_se, y_es = (
        np.column_stack([np.where(live, part, 0) for part in y]) for y in zip(*vectors, strict=True)
    )
    at = [np.where(live, nodes, 0) for nodes in (start, end)]
    return Ends(at[0], at[1], y_ss, y_se, y_es, y_ee, *ratings), live


def current_ratings(
    net: Any, branch: Any, nominal_kv: Floats, rows: Mapping[str, slice], base_kva: float
) -> tuple[Floats, Floats]:
    """Loading that a current of 1 per unit means at the start and at the end of each branch.

    A line's rating is a current; a transformer's is its power over its own rated voltage, winding by winding.
    """
    rated_ka: list[Floats] = [np.full(len(branch), np.inf), np.full(len(branch), np.inf)]
    for rating in rated_ka:
        if "line" in rows:
            rating[rows["line"]] = _number(net.line, "max_i_ka") * _number(net.line, "df") * net.line["parallel"]
    if "trafo" in rows:
        trafo = net.trafo
        rated_mva = _number(trafo, "sn_mva") * _number(trafo, "df") * trafo["parallel"]
        for rating, side in zip(rated_ka, ("hv", "lv"), strict=True):
            rating[rows["trafo"]] = rated_mva / (np.sqrt(3) * _number(trafo, f"vn_{side}_kv"))
    if "trafo3w" in rows:
        windings = [
            _number(net.trafo3w, f"sn_{side}_mva") / (np.sqrt(3) * _number(net.trafo3w, f"vn_{side}_kv"))
            for side in ("hv", "mv", "lv")
        ]
        # The inner end of a winding is the star point: it has no rating of its own.
        own, inner = np.concatenate(windings), np.full(3 * len(net.trafo3w), np.inf)
        high = np.arange(len(own)) < len(net.trafo3w)
        rated_ka[0][rows["trafo3w"]] = np.where(high, own, inner)
        rated_ka[1][rows["trafo3w"]] = np.where(high, inner, own)
    with np.errstate(divide="ignore", invalid="ignore"):
        unit_ka = base_kva / 1e3 / (np.sqrt(3) * nominal_kv)
        start, end = (branch[:, column].real.astype(np.intp) for column in (F_BUS, T_BUS))
        loading = [unit_ka[nodes] / rated for nodes, rated in zip((start, end), rated_ka, strict=True)]
    return loading[0], loading[1]


def _number(table: Any, column: str) -> Floats:
    """A column as numbers; a missing rating is none."""
    values: Floats = table[column].to_numpy(dtype=float)
    return np.where(np.isnan(values), np.inf, values)


def polar(v: Complexes) -> tuple[Floats, Floats]:
    """Magnitude and angle in degrees."""
    return np.abs(v), np.degrees(np.angle(v))
