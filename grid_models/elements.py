"""What a circuit is made of, by the names of its network: for whoever wants to check it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from grid_models import network
from grid_models.compiled import Compiled


@dataclass(frozen=True, slots=True)
class Element:
    """Something that currents pass, between two nodes or from one to earth, in one sequence.

    ``i_s = y_ss v_s + y_se v_e`` and ``i_e = y_es v_s + y_ee v_e``, per unit, counted into the element.  start, end: names of
    buses, empty for an inner node; a shunt has no end, and its node there is -1.  p_kw, q_kvar: what it withdraws at its start
    whatever the voltage, as a ward does.
    """

    kind: str
    name: str
    start: str
    end: str
    start_node: int
    end_node: int
    sequence: int
    y_ss: complex
    y_se: complex
    y_es: complex
    y_ee: complex
    rated_kva: float
    p_kw: float = 0.0
    q_kvar: float = 0.0


def elements_of(net: Any, compiled: Compiled, names: Mapping[int, str]) -> Iterator[Element]:
    """The two-ports and shunts of a circuit, by the names of the network."""
    circuit = compiled.circuit
    at: dict[int, str] = {}
    for bus, node in zip(names.values(), compiled.node.tolist(), strict=True):
        at.setdefault(node, bus)
    sequences = (1,) if circuit.phases == 1 else (0, 1, 2)
    called = [""] * len(circuit.ends.start)
    kinds = ["impedance"] * len(called)
    for table, kind in (("line", "line"), ("trafo", "transformer"), ("trafo3w", "transformer")):
        rows = compiled.rows.get(table, slice(0, 0))
        plain = network.unique_names(net[table], kind) if rows.stop > rows.start else ()
        windings = ("",) if table != "trafo3w" else (" hv", " mv", " lv")
        called[rows] = [name + winding for winding in windings for name in plain]
        kinds[rows] = [kind] * (rows.stop - rows.start)
    ends = circuit.ends
    for row in np.flatnonzero(compiled.live).tolist():
        start, end = int(ends.start[row]), int(ends.end[row])
        per_unit = max(float(ends.rating_s[row]), float(ends.rating_e[row]))
        rated_kva = circuit.base_kva * circuit.phases / per_unit if per_unit > 0 else math.inf
        for k, sequence in enumerate(sequences):
            y = [complex(part[row, k]) for part in (ends.y_ss, ends.y_se, ends.y_es, ends.y_ee)]
            name = called[row] or f"branch {row}"
            yield Element(
                kinds[row],
                name,
                at.get(start, ""),
                at.get(end, ""),
                start,
                end,
                sequence,
                y[0],
                y[1],
                y[2],
                y[3],
                rated_kva,
            )
    for node in np.flatnonzero(np.abs(circuit.shunt).max(axis=1)).tolist():
        for k, sequence in enumerate(sequences):
            y_ss = complex(circuit.shunt[node, k])
            yield Element(
                "shunt", f"shunt {node}", at.get(node, ""), "", node, -1, sequence, y_ss, 0j, 0j, 0j, math.inf
            )
    for node in np.flatnonzero(compiled.own).tolist():
        power = -complex(compiled.own[node]) * circuit.base_kva
        ends_at = (at.get(node, ""), "", node, -1)
        yield Element("ward", f"ward {node}", *ends_at, sequences[-1], 0j, 0j, 0j, 0j, math.inf, power.real, power.imag)
