"""Kirchhoff's laws over a finished run: what flows into each electrical node flows out of it again.

Everything follows from stored voltages and admittances by Ohm's law, and no power-flow engine is asked: a wrong solution
is found whoever made it.  A feeder of three phases is described by its sequence systems, so phase voltages are turned into
symmetrical components and the currents back into phases.  Source: Fortescue, "Method of symmetrical co-ordinates applied to
the solution of polyphase networks", Transactions of the AIEE 37, 1918.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array  # type: ignore[import-untyped]

from results.audit import Audit
from results.tables import ADMITTANCES
from sim import tolerances
from sim.errors import Fault

if TYPE_CHECKING:
    from results.run import Run

SAME_PU = 1e-9
"""Buses that closed switches join have one voltage; how far two stored ones may differ [per unit]."""


Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]
"""Voltages, currents and powers are [phase or component, node, interval]."""

_TURN = complex(np.exp(2j * np.pi / 3))
TO_PHASES: Complexes = np.array([[1, 1, 1], [1, _TURN**2, _TURN], [1, _TURN, _TURN**2]], dtype=complex)
"""From the components 0, 1 and 2 to the phases A, B and C."""
TO_COMPONENTS: Complexes = TO_PHASES.conj() / 3


@dataclass(frozen=True, slots=True, eq=False)
class Circuit:
    """One edition of a feeder: what its electrical nodes are joined by.

    buses: names, with the node of each, and the branch of the tree of limits that feeds it.  slack: nodes that an external
    grid holds.  hidden: nodes without a bus, inside elements; nobody can inject there, so that their voltages follow.
    admittances: one matrix per component.  base_kva: what 1 per unit is worth, of each phase where there are three.
    ends: of the elements, with the place of their component and a column per terminal admittance.
    wards_kva: what the network's own loads withdraw at each node whatever the voltage, of all phases.
    """

    buses: pd.Index[str]
    node_of: NDArray[np.intp]
    fed_by: NDArray[np.object_]
    slack: NDArray[np.bool_]
    hidden: NDArray[np.bool_]
    admittances: tuple[Any, ...]
    base_kva: float
    ends: pd.DataFrame
    wards_kva: Complexes

    @property
    def whole_kva(self) -> float:
        """What the product of two components is worth: phases are so many, and their components orthogonal."""
        return self.base_kva * len(self.admittances)

    def components(self, v_pu: Complexes) -> Complexes:
        """Voltages of all nodes as symmetrical components, or as they are in a balanced feeder."""
        found = _turned(TO_COMPONENTS, v_pu)
        inner, outer = np.flatnonzero(self.hidden), np.flatnonzero(~self.hidden)
        if len(inner):
            for y, part in zip(self.admittances, found, strict=True):
                rows = y[inner]
                # Least squares, for a part that an open end leaves without any admittance has no current and no voltage.
                part[inner] = -np.linalg.lstsq(rows[:, inner].toarray(), rows[:, outer] @ part[outer], rcond=None)[0]
        return found

    def currents(self, components: Complexes) -> Complexes:
        """What flows from each node into the elements, as components."""
        return np.stack([y @ part for y, part in zip(self.admittances, components, strict=True)])

    def injected_kva(self, v_pu: Complexes, currents: Complexes) -> Complexes:
        """Power that has to enter each node from outside, by phase."""
        power: Complexes = self.base_kva * v_pu * _turned(TO_PHASES, currents).conj()
        return power

    def end_kva(self, rows: pd.DataFrame, components: Complexes, at: str) -> Complexes:
        """Power of all phases into these rows of ``ends`` at their ``start`` or ``end``, by interval."""
        own, far = ("y_ss", "y_se") if at == "start" else ("y_ee", "y_es")
        other = "end" if at == "start" else "start"
        total: Complexes = np.zeros(components.shape[2], dtype=complex)
        for sequence, rows_of in rows.groupby("component"):
            here = components[int(str(sequence)), rows_of[f"{at}_number"]]
            there = components[int(str(sequence)), rows_of[f"{other}_number"]]
            current = rows_of[own].to_numpy()[:, None] * here + rows_of[far].to_numpy()[:, None] * there
            total += (here * current.conj()).sum(axis=0)
        return total * self.whole_kva

    def element_kva(self, rows: pd.DataFrame, components: Complexes) -> tuple[Complexes, Complexes]:
        """Power of all phases into each element of these rows of ``ends`` at its start and at its end, [element, interval].

        An element has a row for each component; it stands where its first row stands.
        """
        element = rows.groupby(_ENDS, sort=False).ngroup().to_numpy()
        shape = (int(element.max(initial=-1)) + 1, components.shape[2])
        start: Complexes = np.zeros(shape, dtype=complex)
        end: Complexes = np.zeros(shape, dtype=complex)
        here = components[rows["component"], rows["start_number"]]
        there = components[rows["component"], rows["end_number"]]
        y_ss, y_se, y_es, y_ee = (rows[name].to_numpy()[:, None] for name in ADMITTANCES)
        np.add.at(start, element, here * (y_ss * here + y_se * there).conj())
        np.add.at(end, element, there * (y_es * here + y_ee * there).conj())
        start *= self.whole_kva
        end *= self.whole_kva
        return start, end


def _turned(matrix: Complexes, values: Complexes) -> Complexes:
    return values.copy() if len(values) == 1 else np.tensordot(matrix, values, axes=1)


def circuit_of(run: Run, edition: int) -> Circuit:
    """The circuit that the run's tables describe for an edition."""
    buses = run.buses[run.buses["edition"] == edition]
    elements = run.elements[run.elements["edition"] == edition]
    node_of = buses["number"].to_numpy(np.intp, copy=True)
    numbers = (node_of, elements["start_number"], elements["end_number"])
    count = max((int(column.max()) for column in numbers if len(column)), default=-1) + 1
    # A bus that nothing supplies is a node of its own that nothing is joined to.
    alone = node_of < 0
    node_of[alone] = count + np.arange(alone.sum())
    count += int(alone.sum())
    slack, hidden = np.zeros(count, dtype=bool), np.ones(count, dtype=bool)
    slack[node_of[buses["slack"].to_numpy(bool)]] = True
    hidden[node_of] = False
    y = {name: elements[f"{name}_re"].to_numpy() + 1j * elements[f"{name}_im"].to_numpy() for name in ADMITTANCES}
    sequences = sorted(set(elements["sequence"])) or [1]
    return Circuit(
        buses=pd.Index(buses["bus"]),
        node_of=node_of,
        fed_by=buses["node"].to_numpy(object),
        slack=slack,
        hidden=hidden,
        admittances=tuple(_matrix(elements, y, elements["sequence"] == sequence, count) for sequence in sequences),
        base_kva=float(elements["base_kva"].iloc[0]) if len(elements) else 1.0,
        ends=elements[["kind", "name", "start", "end", "start_number", "end_number"]].assign(
            component=elements["sequence"].map(sequences.index), **y
        ),
        wards_kva=_wards_kva(elements, count),
    )


def _wards_kva(elements: pd.DataFrame, count: int) -> Complexes:
    """Constant power that elements withdraw at their start, by node."""
    total: Complexes = np.zeros(count, dtype=complex)
    known = elements[elements["start_number"] >= 0]
    np.add.at(total, known["start_number"].to_numpy(), known["p_kw"].to_numpy() + 1j * known["q_kvar"].to_numpy())
    return total


def _matrix(elements: pd.DataFrame, y: Mapping[str, Complexes], chosen: pd.Series[bool], count: int) -> Any:
    start, end = elements["start_number"].to_numpy(), elements["end_number"].to_numpy()
    places = {"y_ss": (start, start), "y_se": (start, end), "y_es": (end, start), "y_ee": (end, end)}
    wanted = chosen.to_numpy()
    entries = [(y[name], row, column) for name, (row, column) in places.items()]
    # A shunt has no end: only its first entry is a place in the matrix.
    kept = [wanted & (row >= 0) & (column >= 0) for _, row, column in entries]
    values, rows, columns = (
        np.concatenate([parts[k][keep] for parts, keep in zip(entries, kept, strict=True)]) for k in range(3)
    )
    return coo_array((values, (rows, columns)), shape=(count, count)).tocsr()


@dataclass(frozen=True, slots=True, eq=False)
class _Stretch:
    """The solved intervals of one edition, with the nodes' voltages (0 without supply) and what participants injected.

    dark: nodes without supply.  apart: buses whose voltage is not the one of their node.
    """

    run: Run
    circuit: Circuit
    intervals: pd.DataFrame
    v_pu: Complexes
    injected_kva: Complexes
    dark: NDArray[np.bool_]
    apart: NDArray[np.bool_]

    def places(self, interval: pd.Series[Any]) -> NDArray[np.intp]:
        """Position of each interval number in this stretch, −1 for those of another."""
        return np.asarray(pd.Index(self.intervals["interval"]).get_indexer(pd.Index(interval)), dtype=np.intp)


def kirchhoff(run: Run) -> Audit:
    """Currents sum to zero at every node in every interval, and slack, losses and branch flows follow from the same state."""
    solved = run.intervals[run.intervals["status"] == "OK"]
    looks = [_look(run, int(str(edition)), intervals) for edition, intervals in solved.groupby("edition")]
    worst_kva = max((look.worst_kva for look in looks), default=0.0)
    checked = (
        f"{len(solved)} intervals of {max((look.nodes for look in looks), default=0)} nodes, "
        f"at most {worst_kva * 1000:.3g} VA unexplained at one; "
        f"{sum(look.branches for look in looks):,} flows through limits follow from the voltages"
    )
    return Audit(checked, tuple(fault for look in looks for fault in look.faults))


def element_flows(run: Run) -> Mapping[str, Sequence[Any] | NDArray[Any]]:
    """Columns of the table ``flows``: what enters every element at its start and its end, where voltages say it."""
    solved = run.intervals[run.intervals["status"] == "OK"]
    found = (_element_flows(run, int(str(edition)), intervals) for edition, intervals in solved.groupby("edition"))
    parts = [part for part in found if part is not None]
    if not parts:
        return {column: [] for column in _FLOWS}
    known = pd.concat(parts).sort_values("interval", kind="stable")
    return {column: known[column].to_numpy() for column in _FLOWS}


_ENDS = ["kind", "name", "start", "end"]
_FLOWS = ("interval", *_ENDS, "p_start_kw", "q_start_kvar", "p_end_kw", "q_end_kvar")


def _element_flows(run: Run, edition: int, intervals: pd.DataFrame) -> pd.DataFrame | None:
    circuit = circuit_of(run, edition)
    if any(_description_faults(run, circuit, edition, intervals)):
        return None
    components = circuit.components(_stretch(run, circuit, intervals).v_pu)
    ends = circuit.ends[circuit.ends["end_number"] >= 0]
    each = ends.drop_duplicates(_ENDS)[_ENDS]
    start, end = circuit.element_kva(ends, components)
    count = len(each)
    columns = {"interval": np.repeat(intervals["interval"].to_numpy(), count)}
    columns |= {column: np.tile(each[column].to_numpy(), len(intervals)) for column in _ENDS}
    for power, at in ((start, "start"), (end, "end")):
        columns |= {f"p_{at}_kw": power.T.real.ravel(), f"q_{at}_kvar": power.T.imag.ravel()}
    return pd.DataFrame(columns)


class _Look(NamedTuple):
    """What was seen of one edition: its nodes, the most power that one of them left unexplained, and flows compared."""

    nodes: int
    worst_kva: float
    branches: int
    faults: Sequence[Fault]


def _look(run: Run, edition: int, intervals: pd.DataFrame) -> _Look:
    circuit = circuit_of(run, edition)
    faults = list(_description_faults(run, circuit, edition, intervals))
    if faults:
        return _Look(0, 0.0, 0, faults)
    stretch = _stretch(run, circuit, intervals)
    components = circuit.components(stretch.v_pu)
    currents = circuit.currents(components)
    rest_kva = stretch.injected_kva - circuit.injected_kva(stretch.v_pu, currents)
    worst_kva = float(np.abs(rest_kva[:, ~(circuit.slack | circuit.hidden)]).max(initial=0.0))
    branch_faults, compared = _branch_faults(stretch, components)
    faults = [
        *_joint_faults(stretch),
        *_node_faults(stretch, rest_kva),
        *_total_faults(stretch, rest_kva, components, currents),
        *branch_faults,
    ]
    return _Look(len(set(circuit.node_of)), worst_kva, compared, faults)


def _description_faults(run: Run, circuit: Circuit, edition: int, intervals: pd.DataFrame) -> Iterator[Fault]:
    """What would leave a law without something to be checked against."""
    where = f"edition {edition}"
    if not len(circuit.buses):
        yield Fault(where, f"has no buses, and {len(intervals)} intervals")
        return
    if not circuit.slack.any():
        yield Fault(where, "no external grid holds the voltage anywhere")
    if (circuit.ends["start_number"] < 0).any():
        yield Fault(where, "an element starts nowhere")
    rows = run.voltages[run.voltages["interval"].isin(intervals["interval"])]
    strange = sorted(set(rows["bus"]) - set(circuit.buses))
    if strange:
        yield Fault(where, f"has voltages at {strange[0]}, which is none of its buses")
    homeless = sorted(set(run.participants["bus"]) - {"", *circuit.buses})
    if homeless:
        yield Fault(where, f"participants stand at {homeless[0]}, which is none of its buses")
    wanted = len(circuit.buses) * len(circuit.admittances) * len(intervals)
    told = len(rows.drop_duplicates(["interval", "bus", "phase"]))
    if (told, len(rows)) != (wanted, wanted):
        yield Fault(
            where, f"has {told} voltages in {len(rows)} rows where its buses, phases and intervals make {wanted}"
        )


def _stretch(run: Run, circuit: Circuit, intervals: pd.DataFrame) -> _Stretch:
    rows = run.voltages[run.voltages["interval"].isin(intervals["interval"])]
    phases = pd.Index(sorted(set(rows["phase"])))
    at = pd.Index(intervals["interval"]).get_indexer(pd.Index(rows["interval"]))
    bus, phase = circuit.buses.get_indexer(pd.Index(rows["bus"])), phases.get_indexer(pd.Index(rows["phase"]))
    by_bus: Complexes = np.full((len(phases), len(circuit.buses), len(intervals)), np.nan, dtype=complex)
    by_bus[phase, bus, at] = rows["v_pu"].to_numpy() * np.exp(1j * np.radians(rows["v_degree"].to_numpy()))
    v_pu: Complexes = np.zeros((len(phases), len(circuit.slack), len(intervals)), dtype=complex)
    v_pu[:, circuit.node_of] = by_bus
    apart = ~((np.abs(by_bus - v_pu[:, circuit.node_of]) <= SAME_PU) | np.isnan(by_bus + v_pu[:, circuit.node_of]))
    apart |= np.isnan(by_bus) != np.isnan(v_pu[:, circuit.node_of])
    dark: NDArray[np.bool_] = np.asarray(np.isnan(v_pu).any(axis=0))
    v_pu[:, dark] = 0.0
    # A ward takes its power wherever there is a voltage, in equal parts of all phases.
    wards_kva = np.where(dark, 0.0, circuit.wards_kva[:, None] / len(phases))
    injected_kva = _injections(run, circuit, intervals, phases) - wards_kva
    return _Stretch(run, circuit, intervals, v_pu, injected_kva, dark, np.asarray(apart.any(axis=0)))


def _injections(run: Run, circuit: Circuit, intervals: pd.DataFrame, phases: pd.Index[str]) -> Complexes:
    """What participants delivered at each node [kVA], by phase; those of no one phase in equal parts."""
    connected = run.participants[run.participants["bus"] != ""][["era", "bus", "phase"]]
    rows = run.setpoints[run.setpoints["interval"].isin(intervals["interval"])].merge(connected, on="era")
    power = rows["delivered_kw"].to_numpy() + 1j * rows["q_kvar"].to_numpy()
    at = pd.Index(intervals["interval"]).get_indexer(pd.Index(rows["interval"]))
    place = circuit.buses.get_indexer(pd.Index(rows["bus"]))
    phase = phases.get_indexer(pd.Index(rows["phase"]))
    total: Complexes = np.zeros((len(phases), len(circuit.slack), len(intervals)), dtype=complex)
    for k in range(len(phases)):
        share = np.where(phase == k, 1.0, np.where((phase < 0) | (len(phases) == 1), 1 / len(phases), 0.0))
        known = place >= 0
        np.add.at(total[k], (circuit.node_of[place[known]], at[known]), (power * share)[known])
    return total


def _joint_faults(stretch: _Stretch) -> Iterator[Fault]:
    """Buses that closed switches join, and whose voltages differ all the same."""
    for bus, at in np.argwhere(stretch.apart):
        where = f"interval {stretch.intervals['interval'].iloc[at]}"
        yield Fault(
            where, f"{stretch.circuit.buses[bus]} has another voltage than a bus that a closed switch joins to it"
        )


def _node_faults(stretch: _Stretch, rest_kva: Complexes) -> Iterator[Fault]:
    """Nodes at which power appears or vanishes; the worst of each interval, and how many more."""
    circuit, most_kva = stretch.circuit, tolerances.BALANCE_KW
    rest = np.where((circuit.slack | circuit.hidden)[:, None], 0.0, rest_kva)
    bad = ~((np.abs(rest.real) <= most_kva) & (np.abs(rest.imag) <= most_kva)).all(axis=0)
    size = np.nan_to_num(np.abs(rest), nan=np.inf)
    for at, interval in enumerate(stretch.intervals["interval"]):
        if bad[:, at].any():
            phase, node = np.unravel_index(size[:, :, at].argmax(), size.shape[:2])
            yield Fault(
                f"interval {interval}", _node_text(stretch, rest, (int(phase), int(node), at), int(bad[:, at].sum()))
            )
        elif not np.abs(rest[:, :, at].real).sum() <= most_kva:
            watts = np.abs(rest[:, :, at].real).sum() * 1000
            yield Fault(
                f"interval {interval}",
                f"{watts:.6g} W are unexplained at all nodes together, and at most 1 W is allowed",
            )


def _node_text(stretch: _Stretch, rest: Complexes, place: tuple[int, int, int], count: int) -> str:
    bus = stretch.circuit.buses[np.flatnonzero(stretch.circuit.node_of == place[1])[0]]
    others = f"; {count - 1} more nodes" if count > 1 else ""
    found = f"{rest[place].real * 1000:.6g} W and {rest[place].imag * 1000:.6g} var"
    supply = ", which has no supply," if stretch.dark[place[1], place[2]] else ""
    return f"at {bus}{supply} {found} enter that do not leave{others}"


def _total_faults(
    stretch: _Stretch, rest_kva: Complexes, components: Complexes, currents: Complexes
) -> Iterator[Fault]:
    """Where slack and losses are not what the voltages make of them; what wards take counts as lost."""
    losses_kw = (components * currents.conj()).real.sum(axis=(0, 1)) * stretch.circuit.whole_kva
    losses_kw += np.where(stretch.dark, 0.0, stretch.circuit.wards_kva.real[:, None]).sum(axis=0)
    slack_kw = -rest_kva[:, stretch.circuit.slack].real.sum(axis=(0, 1))
    for what, follows in (("slack_kw", slack_kw), ("losses_kw", losses_kw)):
        yield from _differences(what, stretch.intervals["interval"], stretch.intervals[what], follows)


def _branch_faults(stretch: _Stretch, components: Complexes) -> tuple[list[Fault], int]:
    """Where the flows through transformers and limited lines are not what the voltages make of them; flows compared."""
    nodes = stretch.run.nodes[stretch.places(stretch.run.nodes["interval"]) >= 0]
    faults: list[Fault] = []
    compared = 0
    for name, rows in nodes.groupby("node", sort=False):
        found = _ends(stretch.circuit, str(name))
        if found is None:
            continue
        upper, lower = (stretch.circuit.end_kva(found[0], components, end) for end in found[1:])
        at = stretch.places(rows["interval"])
        told = {"wire_hv_kw": upper.real, "wire_lv_kw": -lower.real, "wire_lv_kvar": -lower.imag}
        for column, follows in told.items():
            faults += _differences(f"{name}: {column}", rows["interval"], rows[column], follows[at])
        compared += len(rows)
    return faults, compared


def _ends(circuit: Circuit, name: str) -> tuple[pd.DataFrame, str, str] | None:
    """The elements that are a branch of the tree, and which end is above and which below; None where none has its name."""
    rows = circuit.ends[(circuit.ends["name"] == name) & circuit.ends["kind"].isin(["transformer", "line"])]
    fed = circuit.buses[circuit.fed_by == name]
    rows = rows[rows["start"].isin(fed) != rows["end"].isin(fed)]
    if rows.empty:
        return None
    is_turned = bool(rows["start"].isin(fed).all())
    return (rows, "end", "start") if is_turned else (rows, "start", "end")


def _differences(what: str, intervals: Sequence[int] | pd.Series[int], told: Any, follows: Floats) -> Iterator[Fault]:
    gap = np.asarray(told, dtype=float) - follows
    for place in np.flatnonzero(~(np.abs(gap) <= tolerances.BALANCE_KW)):
        interval, value = np.asarray(intervals)[place], np.asarray(told)[place]
        unit = what.rpartition("_")[2].replace("kw", "kW")
        yield Fault(
            f"interval {interval}", f"{what} is {value:.6g} {unit}, and {follows[place]:.6g} follow from the voltages"
        )
