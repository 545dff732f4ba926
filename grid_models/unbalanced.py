"""Feeders of three phases, in symmetrical components, through pandapower's own three sequence networks.

Lines, transformers and the external grid carry the components 0, 1 and 2 independently of each other (Fortescue 1918; what
is not transposed is taken as if it were), and only the customers, who stand between a phase and earth, join them.  Only the
positive sequence has a source; in the other two the external grid is the impedance behind its short-circuit power.  Neutral
and earth are one conductor.

Source: Abdel-Akher, Nor, Rashid, "Improved three-phase power-flow methods using sequence components", IEEE Trans. Power
Systems 20(3), 2005, which pandapower's ``runpp_3ph`` follows too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import pandapower as pp
from pandapower.pypower.idx_brch import BR_B, BR_B_ASYM, BR_G, BR_G_ASYM
from pandapower.pypower.idx_bus import BASE_KV, BS, GS, VA, VM
from scipy.sparse import coo_array  # type: ignore[import-untyped]
from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

from grid_models import network
from grid_models.circuit import Circuit, Complexes, Ends, Flags, Floats, Ints, SequenceNetwork, to_phases, to_sequences
from grid_models.compiled import UNSUPPLIED, Compiled, current_ratings, ends_of, nodes_of
from grid_models.powerflow import OPTIONS, PandapowerFeeder, quietly
from sim.errors import Fault, FeederError
from sim.feeder import Flow, Sensitivities
from sim.tolerances import BALANCE_KW

PHASES: Final = ("A", "B", "C")

OPTIONS_3PH: Final[Mapping[str, object]] = {
    **{key: value for key, value in OPTIONS.items() if key not in ("algorithm", "lightsim2grid")},
    "max_iteration": 100,
}

BASE_MVA: Final = 0.01
"""``sn_mva`` of the network: pandapower's three-phase power flow stops at 3e-8 of it, whatever it is told."""

ZIGZAG_MVA: Final = 1.0
"""The same with zigzag windings: on another base than this pandapower's admittances of these are wrong by its value."""

OPEN_PU: Final = 1e-12
"""An admittance below this is pandapower's way to say that nothing passes (it puts 1e20 per unit of impedance there)."""

EARTHED: Final = ("dyn", "ynyn", "yzn")
UNEARTHED: Final = ("yy", "yd", "dy", "dd")
"""Vector groups of which pandapower's three-phase power flow knows the zero sequence; the latter let none of it through."""

ASSUMED: Final[Mapping[str, Mapping[str, tuple[str, float]]]] = {
    "line": {
        "r0_ohm_per_km": ("r_ohm_per_km", 4.0),
        "x0_ohm_per_km": ("x_ohm_per_km", 4.0),
        "c0_nf_per_km": ("c_nf_per_km", 1.0),
    },
    "trafo": {
        "vk0_percent": ("vk_percent", 1.0),
        "vkr0_percent": ("vkr_percent", 1.0),
        "mag0_percent": ("", 100.0),
        "mag0_rx": ("", 0.0),
        "si0_hv_partial": ("", 0.9),
    },
    "ext_grid": {
        "s_sc_max_mva": ("", 1000.0),
        "rx_max": ("", 0.1),
        "x0x_max": ("", 1.0),
        "r0x0_max": ("", 0.1),
    },
}
"""What is taken where a network does not say: a factor on another column, or a value.

A line: four equal conductors at equal distances, three for the phases and one for the return, have ``Z0 = Z + 3 Z = 4 Z``.
Transformers and the external grid: what pandapower's standard types and its ``add_zero_impedance_parameters`` have.
"""

LOW_VOLTAGE_KV: Final = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Unbalanced(Compiled):
    """A circuit of three sequence networks.

    source: admittance of the external grids to earth, [nodes, sequences]; what it takes is no loss of the feeder.  afloat:
    for each part of the network that zero-sequence current can neither enter nor leave, its nodes.
    """

    source: Complexes
    afloat: tuple[Ints, ...]


def compile_unbalanced(net: Any, buses: Sequence[int]) -> Unbalanced:
    """The circuit of a network that ``pandapower.runpp_3ph`` has just solved without customers.  buses: pandapower indices."""
    ppcs = [net[f"_ppc{sequence}"] for sequence in range(3)]
    internal, base_mva = ppcs[1]["internal"], float(ppcs[1]["baseMVA"])
    slack, count = np.asarray(internal["ref"], dtype=np.intp), len(internal["bus"])
    rows = {table: slice(*span) for table, span in net._pd2ppc_lookups["branch"].items()}
    nominal_kv = ppcs[1]["bus"][:, BASE_KV].real
    # A phase's base is a third of the whole: its current of 1 per unit is that of three times its power.
    ratings = current_ratings(net, ppcs[1]["branch"], nominal_kv, rows, base_mva * 3e3)
    ends, live = ends_of([ppc["branch"] for ppc in ppcs], count, ratings)
    to_earth = [(ppc["bus"][:count, GS] + 1j * ppc["bus"][:count, BS]) / base_mva for ppc in ppcs]
    shunt = np.column_stack(to_earth).astype(complex)
    source = np.zeros_like(shunt)
    source[slack, 0], source[slack, 2] = shunt[slack, 0], shunt[slack, 2]
    afloat = _afloat(ends, live, ppcs[0]["branch"], shunt[:, 0])
    sequences = []
    for k, (held, held_v) in enumerate(
        (_pins(afloat), (slack, _voltages(ppcs[1], count)[slack]), (slack[:0], np.zeros(0, dtype=complex)))
    ):
        sequences.append(SequenceNetwork(_admittance(ends, live, shunt, k), held, held_v))
    return Unbalanced(
        circuit=Circuit(tuple(sequences), slack, ends, shunt - source, base_mva * 1e3),
        node=nodes_of(net, buses, count),
        rows=rows,
        live=live,
        controlled=np.zeros(0, dtype=np.intp),
        own=np.zeros(count, dtype=complex),
        source=source,
        afloat=afloat,
    )


def _voltages(ppc: Any, count: int) -> Complexes:
    bus = ppc["bus"][:count]
    v: Complexes = bus[:, VM] * np.exp(1j * np.radians(bus[:, VA]))
    return v


def _admittance(ends: Ends, live: Flags, shunt: Complexes, sequence: int) -> Any:
    """Admittance matrix of one sequence: what the elements say, and what leads to earth."""
    s, e, earth = ends.start[live], ends.end[live], np.arange(len(shunt))
    parts = (ends.y_ss, ends.y_se, ends.y_es, ends.y_ee)
    values = np.concatenate([*(part[live, sequence] for part in parts), shunt[:, sequence]])
    places = np.concatenate([s, s, e, e, earth]), np.concatenate([s, e, s, e, earth])
    return coo_array((values, places), shape=(len(shunt), len(shunt))).tocsr()


def _pins(afloat: Sequence[Ints]) -> tuple[Ints, Complexes]:
    """One node of each part afloat, at the voltage of earth: without it the part would have any."""
    held = np.array([nodes[0] for nodes in afloat], dtype=np.intp)
    return held, np.zeros(len(held), dtype=complex)


def _afloat(ends: Ends, live: Flags, branch: Any, shunt: Complexes) -> tuple[Ints, ...]:
    """Parts of the zero sequence network from which nothing leads to earth."""
    count = len(shunt)
    start, end = ends.start[live], ends.end[live]
    passing = np.abs(ends.y_se[live, 0]) > OPEN_PU
    joined = coo_array((np.ones(passing.sum()), (start[passing], end[passing])), shape=(count, count))
    parts, part_of = connected_components(joined, directed=False)
    charging = branch[live, BR_G] + 1j * branch[live, BR_B]
    at_end = charging + branch[live, BR_G_ASYM] + 1j * branch[live, BR_B_ASYM]
    earthed = np.abs(shunt) > OPEN_PU
    earthed[start[np.abs(charging) > OPEN_PU]] = True
    earthed[end[np.abs(at_end) > OPEN_PU]] = True
    return tuple(np.flatnonzero(part_of == part) for part in range(parts) if not earthed[part_of == part].any())


class UnbalancedFeeder(PandapowerFeeder):
    """A pandapower network whose phases are solved each for itself; otherwise as ``PandapowerFeeder``.

    Injections, voltages and angles are [buses, 3]: kW and kvar between one phase and earth, + into the grid.  Flows through
    branches are sums of the phases, a loading is that of the phase with the most current.  What customers at the external
    grid's own bus do passes no wire and moves no voltage.

    Raises ``FeederError``, all faults at once, for what pandapower's three-phase power flow cannot do; what it assumes about
    data that are not given is in ``notes``.
    """

    phases: tuple[str, ...] = PHASES
    _retries: ClassVar[tuple[Mapping[str, object], ...]] = ({}, {"init": "flat"})
    _tried: ClassVar[str] = (
        "fixed point, pandapower's three-phase power flow from the linear flow and from a flat start"
    )

    @property
    def notes(self) -> tuple[str, ...]:
        """What about this network is assumed, or done in another way than usual."""
        return (*super().notes, *self._assumptions)

    def sensitivities_by_phase(self, flow: Flow, watched: Sequence[tuple[str, str]]) -> Sensitivities:
        """As ``sensitivities``, phase by phase: a load on one phase moves its voltage several times as far as in thirds.

        watched: bus and phase of each voltage.  The arrays have the shape of the injections for their last axes.
        """

        def magnitude(v: Complexes, k: int) -> Complexes:
            bus, phase = watched[k]
            return _magnitude(v, self.phases.index(phase), self._node_of(bus))

        parts = self._gradient(flow, [bus for bus, _ in watched], magnitude)
        circuit, node, supplied = self._compiled.circuit, self._compiled.node, self._compiled.supplied
        felt = supplied & ~np.isin(node, circuit.slack)
        by_p, by_q = (np.where(felt[:, None], part[:, :, node].transpose(0, 2, 1), 0.0) for part in parts)
        kva = circuit.base_kva
        return Sensitivities(by_p[:-1] / kva, by_q[:-1] / kva, by_p[-1], by_q[-1])

    # inside

    def _prepare(self, net: Any) -> None:
        faults = tuple(_faults(net))
        if faults:
            raise FeederError(self.name, faults)
        names = dict(zip(net.bus.index, network.unique_names(net.bus, "bus"), strict=True))
        self._site_phases = {names[bus]: phase for bus, phase in customer_phases(net).items()}
        self._assumptions = tuple(_complete(net))
        net.sn_mva = ZIGZAG_MVA if "yzn" in map(str.lower, net.trafo.get("vector_group", ())) else BASE_MVA

    def _stand_in(self, net: Any, buses: Sequence[int]) -> None:
        for bus in buses:
            pp.create_asymmetric_sgen(net, bus)

    def _newton(self, p_kw: Floats, q_kvar: Floats, **options: Any) -> bool:
        """pandapower's own three-phase power flow; whether it found a solution."""
        net = self._net
        for k, phase in enumerate("abc"):
            net.asymmetric_sgen[f"p_{phase}_mw"] = p_kw[:, k] / 1e3
            net.asymmetric_sgen[f"q_{phase}_mvar"] = q_kvar[:, k] / 1e3
        if not quietly(net, pp.runpp_3ph, **{**OPTIONS_3PH, **options}):
            return False
        # It takes a state that is no number for one that has settled.
        found = all(
            np.isfinite(net[f"_ppc{k}"]["bus"][: len(net._ppc1["internal"]["bus"]), VM]).all() for k in range(3)
        )
        if not found:
            pp.toolbox.clear_result_tables(net)
        return found

    def _compile(self) -> Compiled:
        return compile_unbalanced(self._net, list(self._names))

    @property
    def _unbalanced(self) -> Unbalanced:
        compiled = self._compiled
        assert isinstance(compiled, Unbalanced)
        return compiled

    @property
    def _shape(self) -> tuple[int, ...]:
        return len(self.buses), len(PHASES)

    def _solve_in(self, edition: int, p_kw: Floats, q_kvar: Floats) -> tuple[Flow, ...]:
        """State by state: turning several from components into phases at once rounds otherwise than turning one."""
        flows: list[Flow] = []
        for p, q in zip(p_kw, q_kvar, strict=True):
            flows += super()._solve_in(edition, p[None], q[None])
        return tuple(flows)

    def _powers(self, p_kw: Floats, q_kvar: Floats) -> Complexes:
        """Injections [states, buses, phases] as powers per unit, [phases, nodes, states]."""
        circuit, supplied = self._compiled.circuit, self._compiled.supplied
        power = np.zeros((circuit.nodes, len(PHASES), len(p_kw)), dtype=complex)
        injected = (p_kw + 1j * q_kvar).transpose(1, 2, 0)[supplied] / circuit.base_kva
        np.add.at(power, self._compiled.node[supplied], injected)
        return np.ascontiguousarray(power.transpose(1, 0, 2))

    def _by_bus(self, values: Floats) -> Floats:
        """What another kW or kvar does that comes in equal thirds on the three phases, [functions, buses]."""
        node, third = self._compiled.node, values.mean(axis=1)
        third[:, self._compiled.circuit.slack] = 0.0
        return np.where(node == UNSUPPLIED, 0.0, third[:, node])

    def _magnitude_at(self, v: Complexes, node: int) -> Complexes:
        """Of the phase that is farthest from its nominal voltage."""
        return _magnitude(v, int(np.abs(np.abs(v[:, node]) - 1).argmax()), node)

    def _given_by_grid(self, v: Complexes, power: Complexes) -> Floats:
        """Less what the external grid's own impedance takes of the unbalance."""
        own = v * to_phases(self._unbalanced.source.T[:, :, None] * to_sequences(v)).conj()
        taken: Floats = own.real.sum(axis=(0, 1))
        return super()._given_by_grid(v, power) - taken

    def _slack_power(self, v: Complexes) -> Complexes:
        """Gradient of the above: of a positive sequence that is held, and of two that only its impedance holds.

        Three phases have three times the power of their components, and a gradient by components is, by phases, a third of
        Fortescue's matrix times it: the two cancel.
        """
        circuit = self._compiled.circuit
        gradient = -2 * self._unbalanced.source.real.T * to_sequences(v)
        rows = circuit.sequences[1].admittance[circuit.slack]
        gradient[1] = rows.conj().T @ to_sequences(circuit.idle)[1, circuit.slack]
        return to_phases(gradient)

    def _solved_by_pandapower(self) -> Complexes:
        nodes = self._compiled.circuit.nodes
        return to_phases(np.stack([_voltages(self._net[f"_ppc{k}"], nodes) for k in range(3)]))

    def _flows(
        self, p_kw: Floats, q_kvar: Floats, power: Complexes, v: Complexes, notes: Sequence[str]
    ) -> tuple[Flow, ...]:
        """As ever, but for states whose unbalance finds no way to earth: they are none."""
        if self._unbalanced.afloat:
            notes = [note or self._stranded(power[:, :, k], v[:, :, k]) for k, note in enumerate(notes)]
        return super()._flows(p_kw, q_kvar, power, v, notes)

    def _stranded(self, power: Complexes, v: Complexes) -> str:
        """Where zero-sequence current is injected that cannot flow, or an empty text."""
        current = np.abs(to_sequences((power / v).conj())[0])
        limit = BALANCE_KW / self._compiled.circuit.base_kva
        nodes = {int(node) for part in self._unbalanced.afloat for node in part[current[part] > limit]}
        where = [bus for bus, node in zip(self.buses, self._compiled.node.tolist(), strict=True) if node in nodes]
        if not where:
            return ""
        return (
            f"the phases are loaded differently where no transformer's star point is earthed: {network.listing(where)}"
        )


def _magnitude(v: Complexes, phase: int, node: int) -> Complexes:
    """Gradient of one voltage's magnitude."""
    gradient = np.zeros_like(v)
    gradient[phase, node] = v[phase, node] / abs(v[phase, node])
    return gradient


def customer_phases(net: Any) -> dict[int, str]:
    """Phase of the customers at each bus of a network; no entry for three phases, or where they differ."""
    found: dict[int, set[str]] = {}
    for table in (*network.CONSUMERS, *network.PRODUCERS):
        rows = net[table][net[table].in_service.astype(bool)]
        if not table.startswith("asymmetric"):
            used = ["".join(PHASES)] * len(rows)
        else:
            on = [(rows[f"p_{phase.lower()}_mw"] != 0) | (rows[f"q_{phase.lower()}_mvar"] != 0) for phase in PHASES]
            used = [
                "".join(p for p, is_on in zip(PHASES, flags, strict=True) if is_on) for flags in zip(*on, strict=True)
            ]
        for bus, phases in zip(rows.bus, used, strict=True):
            found.setdefault(int(bus), set()).add(phases)
    single = {bus: next(iter(phases)) for bus, phases in found.items() if len(phases) == 1}
    return {bus: phase for bus, phase in single.items() if phase in PHASES}


def _complete(net: Any) -> Iterator[str]:
    """Fill in what a network does not say about its zero sequence, and say so."""
    yield from _vector_groups(net)
    for table, columns in ASSUMED.items():
        for column, (origin, factor) in columns.items():
            if column not in net[table]:
                net[table][column] = np.nan
            missing = net[table][column].isna()
            if missing.any():
                values = net[table][origin] * factor if origin else factor
                net[table][column] = net[table][column].astype(float).where(~missing, values)
                meaning = (f"{factor:g} × {origin}" if factor != 1 else origin) if origin else f"{factor:g}"
                yield f"{table}.{column} is not given for {int(missing.sum())} of {len(missing)}: {meaning} is assumed"


def _vector_groups(net: Any) -> Iterator[str]:
    """Without clock numbers, which are in ``shift_degree``."""
    if not len(net.trafo):
        return
    groups = [_group(value) for value in _column(net.trafo, "vector_group")]
    net.trafo["vector_group"] = [group or "Dyn" for group in groups]
    if "" in groups:
        yield f"trafo.vector_group is not given for {groups.count('')} of {len(groups)}: Dyn is assumed"


def _column(table: Any, column: str) -> list[Any]:
    return list(table[column]) if column in table else [None] * len(table)


def _group(value: Any) -> str:
    return re.sub(r"\d+$", "", value.strip()) if isinstance(value, str) else ""


def _faults(net: Any) -> Iterator[Fault]:
    for rule in (_strange_groups, _strange_elements, _strange_impedances):
        yield from rule(net)


def _strange_groups(net: Any) -> Iterator[Fault]:
    names = network.unique_names(net.trafo, "transformer")
    in_service = net.trafo.in_service.astype(bool)
    rows = list(zip(names, in_service, _column(net.trafo, "vector_group"), net.trafo.vn_lv_kv, strict=True))
    wrong = [f"{n} ({g})" for n, on, g, _ in rows if on and _group(g) and _group(g).lower() not in EARTHED + UNEARTHED]
    if wrong:
        what = f"has no three-phase power flow for {network.listing(wrong)}"
        yield Fault("net.trafo.vector_group", what, "Dyn, YNyn and Yzn have one, and Yy, Yd, Dy and Dd, unearthed")
    unsaid = [n for n, on, g, kv in rows if on and not _group(g) and kv >= LOW_VOLTAGE_KV]
    if unsaid:
        what = f"is not given for {network.listing(unsaid)}"
        yield Fault("net.trafo.vector_group", what, "only of a transformer to low voltage is Dyn assumed")


def _strange_elements(net: Any) -> Iterator[Fault]:
    used: Callable[[str], Any] = lambda table: net[table][net[table].in_service.astype(bool)]  # noqa: E731
    for table, what in (
        ("trafo3w", "three windings have no three-phase power flow"),
        ("xward", "what holds a voltage has no three-phase power flow"),
    ):
        if len(used(table)):
            yield Fault(f"net.{table}", what, "take it out of service, or solve the feeder balanced")
    wards = used("ward")
    if len(wards) and (wards[["ps_mw", "qs_mvar"]] != 0).any(axis=None):
        yield Fault("net.ward", "three-phase power flow leaves constant power out", "give it as a constant impedance")


def _strange_impedances(net: Any) -> Iterator[Fault]:
    if not len(net.impedance):
        return
    columns = [f"{part}{end}0_pu" for part, ends in (("r", ("ft", "tf")), ("x", ("ft", "tf"))) for end in ends]
    columns += [f"{part}{end}0_pu" for part in "gb" for end in "ft"]
    missing = [column for column in columns if column not in net.impedance or net.impedance[column].isna().any()]
    if missing:
        yield Fault("net.impedance", f"says nothing about its zero sequence: {', '.join(missing)}", "give the columns")
