"""The power flow: the one place where the project's sign and pandapower's meet."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import pandapower as pp
from numpy.typing import NDArray
from pandapower.pypower.idx_bus import VA, VM

from grid_models import network
from grid_models.circuit import Complexes, times
from grid_models.compiled import UNSUPPLIED, Compiled, compile_balanced, polar
from grid_models.network import Edge
from grid_models.taps import TapChanger, placed_changers
from grid_models.twoport import TwoPort
from sim.errors import FeederError, nearest
from sim.feeder import Branch, Floats, Flow, GridChange, Sensitivities
from sim.tolerances import BALANCE_KW, POWER_FLOW_MVA

OPTIONS: Final = {
    "algorithm": "nr",
    "calculate_voltage_angles": True,
    "tolerance_mva": POWER_FLOW_MVA,
    "trafo_model": "t",
    "trafo_loading": "current",
    "init": "dc",
    "numba": False,
    "lightsim2grid": False,
}
"""Said in full, so that neither an installed accelerator nor a new default changes a result."""

RETRIES: Final[tuple[Mapping[str, object], ...]] = (
    {},
    {"init": "flat", "max_iteration": 30},
    {"init": "flat", "algorithm": "iwamoto_nr", "max_iteration": 60},
)
"""How Newton's method tries what the fixed point does not settle: from the linear flow, from a flat start, and damped."""

DIVERGENCE: Final = (pp.LoadflowNotConverged, ArithmeticError, RuntimeError, np.linalg.LinAlgError)
"""How Newton's method ends without a solution: by saying so, or in a factorisation of what diverged."""


@dataclass(frozen=True, slots=True)
class Element:
    """Something that currents pass, between two nodes or from one to earth, in one sequence.

    ``i_s = y_ss v_s + y_se v_e`` and ``i_e = y_es v_s + y_ee v_e``, per unit, counted into the element.  start, end: names of
    buses, empty for an inner node; a shunt has no end, and its node there is -1.
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


@dataclass(frozen=True, slots=True)
class _Placed:
    """A branch of the tree in the circuit: its row among the ends, and whether its upper end is the start."""

    branch: Branch
    row: int
    starts_above: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Edition:
    """A circuit, and the positions of the tap changers in it."""

    compiled: Compiled
    taps: tuple[int, ...]


class PandapowerFeeder:
    """A pandapower network as the market's feeder (``sim.feeder.Feeder``).

    The network is taken over: its customers are removed and one static generator per bus stands in for whatever is
    connected there.  It stays the model of record: it is compiled into a circuit, and compiled again when it changes.
    Every state is found from the idle network, never from what was solved before; the same injections give the same bytes.

    phases: ``("",)``.  solves: power flows asked for, those of tap changers on their way included; retries: attempts of
    Newton's method where the fixed point did not settle.
    """

    phases: tuple[str, ...] = ("",)
    _retries: ClassVar[tuple[Mapping[str, object], ...]] = RETRIES
    _tried: ClassVar[str] = "fixed point, Newton from the linear flow and from a flat start, damped Newton"

    def __init__(
        self,
        name: str,
        net: Any,
        *,
        limited_lines: Mapping[str, str] | None = None,
        tap_changers: Sequence[TapChanger] = (),
    ) -> None:
        """limited_lines: those that are nodes of the tree of limits, by name, with the name of each node.  tap_changers:
        transformers that hold the voltage below them.

        Raises ``FeederError``, all faults at once, for a network on which no power flow can be run, and for lines that do
        not exist.
        """
        self.name = name
        self.solves = 0
        self.retries = 0
        self._net = net
        network.check(net, name)
        self._prepare(net)
        sites = network.take_customers(net)
        in_service = net.bus.in_service.to_numpy(dtype=bool)
        names = dict(zip(net.bus.index, network.unique_names(net.bus, "bus"), strict=True))
        self._names: dict[int, str] = {int(i): names[i] for i in net.bus.index[in_service]}
        self.buses: tuple[str, ...] = tuple(self._names.values())
        self.nominal_kv: tuple[float, ...] = tuple(net.bus.vn_kv[list(self._names)].astype(float))
        self.site_buses: tuple[str, ...] = tuple(self._names[bus] for bus in sites if bus in self._names)
        self._line_rows = np.flatnonzero(net.line.in_service.to_numpy(dtype=bool))
        lines = network.unique_names(net.line, "line")
        self.lines: tuple[str, ...] = tuple(lines[row] for row in self._line_rows)
        self._stand_in(net, list(self._names))
        net.user_pf_options = {}  # a network file may carry options that would silently replace ours
        self._limited_lines = dict(limited_lines or {})
        self._last = self._idle = (np.zeros(self._shape), np.zeros(self._shape))
        self._row_of = {bus: row for row, bus in enumerate(self._names)}
        self._changers = placed_changers(net, name, tap_changers)
        self._home = tuple(int(net.trafo.tap_pos.at[changer.index]) for changer in self._changers)
        self._editions: list[_Edition] = []
        self._numbers: dict[tuple[int, tuple[int, ...]], int] = {}
        self._changed = 0
        self._edition = self._compiled_with(self._home)
        self._supply = network.supply(net, name, self._limited_lines)
        self._placed = self._tree()

    # what it is

    @property
    def net(self) -> Any:
        """The pandapower network, its ``res_`` tables holding the state that was solved last (empty without a solution)."""
        any(self._newton(self._last[0], self._last[1], **options) for options in self._retries)
        return self._net

    @property
    def notes(self) -> tuple[str, ...]:
        """What about this network is done in another way than usual."""
        if self._compiled.controlled.size:
            return (
                "something beside the external grids holds a voltage (xward): pandapower solves every state, slowly",
            )
        return ()

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The tree of limits.  Raises ``FeederError`` where the network is none."""
        if self._supply.fault is not None:
            raise FeederError(self.name, (self._supply.fault,))
        return tuple(placed.branch for placed in self._placed)

    @property
    def unsupplied(self) -> tuple[str, ...]:
        """Buses that have no connection to the external grid as switches now stand."""
        return self._dark(self._editions[self._compiled_with(self._home)].compiled)

    def _dark(self, compiled: Compiled) -> tuple[str, ...]:
        if compiled.supplied.all():
            return ()
        return tuple(bus for bus, supplied in zip(self.buses, compiled.supplied, strict=True) if not supplied)

    @property
    def node_numbers(self) -> tuple[int, ...]:
        """Electrical node of each bus; -1 without supply."""
        return tuple(self._compiled.node.tolist())

    @property
    def slack_nodes(self) -> tuple[int, ...]:
        """Nodes of the external grids."""
        return tuple(self._compiled.circuit.slack.tolist())

    @property
    def base_kva(self) -> float:
        """Power of 1 per unit, per phase."""
        return self._compiled.circuit.base_kva

    def node_of(self, bus: str) -> str:
        """Name of the branch that feeds this bus.

        Raises ``FeederError`` for an unknown or unsupplied bus, for one above every branch, and where there is no tree.
        """
        if self._supply.fault is not None:
            raise FeederError(self.name, (self._supply.fault,))
        if bus not in self.buses:
            raise FeederError(self.name, f"has no bus {bus!r}, {nearest(bus, self.buses)}")
        node = self._fed_by.get(bus)
        if node is not None:
            return node
        why = (
            "lies above every transformer and limited line"
            if bus in self._fed_by
            else "is not connected to the external grid"
        )
        raise FeederError(self.name, f"bus {bus!r} {why}")

    def phase_at(self, bus: str) -> str:
        """Phase on which the network's own customers at this bus stand; empty for all three, or where they differ."""
        return self._site_phases.get(bus, "")

    def two_port(self, branch: str) -> TwoPort:
        """Terminal equations of a branch of the tree.  Raises ``FeederError`` for an unknown one."""
        placed = next((placed for placed in self._placed if placed.branch.name == branch), None)
        if placed is None:
            known = [placed.branch.name for placed in self._placed]
            raise FeederError(self.name, f"has no transformer or limited line {branch!r}, {nearest(branch, known)}")
        circuit, row = self._compiled.circuit, placed.row
        ends, at = circuit.ends, circuit.phases // 2  # the positive sequence
        ss, se, es, ee = (complex(y[row, at]) for y in (ends.y_ss, ends.y_se, ends.y_es, ends.y_ee))
        upper, lower, ratings = ends.start, ends.end, (ends.rating_s, ends.rating_e)
        if not placed.starts_above:
            ss, se, es, ee, upper, ratings = ee, es, se, ss, lower, ratings[::-1]
        rated_kva = placed.branch.rated_kva
        return TwoPort(
            y_hh=ss,
            y_hl=se,
            y_lh=es,
            y_ll=ee,
            v_hv_pu=float(np.abs(circuit.idle[0, upper[row]])),
            hv_kva_per_pu=float(ratings[0][row]) * rated_kva,
            lv_kva_per_pu=float(ratings[1][row]) * rated_kva,
            base_kva=circuit.base_kva * circuit.phases,
        )

    def coordinates(self) -> dict[str, tuple[float, float]] | None:
        """Places of the buses that have one (longitude and latitude, or any plane); None when no bus has."""
        return network.coordinates(self._net, self._names)

    def edges(self) -> tuple[Edge, ...]:
        """What connects the buses, to draw the feeder."""
        return network.edges(self._net, self._names)

    def impedance_ohm(self) -> Complexes:
        """Impedance that each bus sees towards the external grid, at its own voltage; NaN without supply."""
        circuit, node = self._compiled.circuit, self._compiled.node
        per_unit = circuit.sequences[circuit.phases // 2].impedance()
        ohm = np.array(self.nominal_kv) ** 2 * 1e3 / (circuit.base_kva * circuit.phases)
        return np.where(node == UNSUPPLIED, np.nan, per_unit[node] * ohm)

    def elements(self) -> tuple[Element, ...]:
        """Everything that currents pass in the circuit that was used last."""
        return tuple(elements_of(self._net, self._compiled, self._names))

    def apply(self, change: GridChange) -> None:
        """Change the grid from now on.

        Raises ``FeederError`` for something that the grid does not have, for a change after which it has no solution, and
        for one that would feed a bus through another branch of the tree: participants trade below the one they know.
        """
        self._turn(self._home)
        before, home = copy.deepcopy(self._net), self._home
        network.change(self._net, self.name, change)
        supply = network.supply(self._net, self.name, tuple(self._limited_lines))
        moved = [self._names[bus] for bus, key in supply.fed_by.items() if self._supply.fed_by.get(bus, key) != key]
        try:
            if moved or (supply.loops and not self._supply.loops):
                what = f"would feed {network.listing(moved)} another way" if moved else str(supply.fault)
                raise FeederError(self.name, f"{change.text}: {what}; limits and prices know one way to every bus")
            self._changed += 1
            self._home = tuple(int(self._net.trafo.tap_pos.at[changer.index]) for changer in self._changers)
            self.use(self._compiled_with(self._home))
        except FeederError:
            self._net, self._home = before, home
            raise

    # power flow

    def solve(self, p_kw: Floats, q_kvar: Floats) -> Flow:
        """Power flow for injections (+ into the grid) per bus, in the order of ``buses``.

        Nothing is served at buses without supply; they are listed.  A state without a solution, with an input that is not
        finite, or whose powers do not balance within ``BALANCE_KW`` comes back with ``converged`` false and the reason in
        ``note``.  Raises ``FeederError`` only for arrays of the wrong shape, which no grid is to blame for.
        """
        return self.solve_many(np.asarray(p_kw, dtype=float)[None], np.asarray(q_kvar, dtype=float)[None])[0]

    def solve_many(self, p_kw: Floats, q_kvar: Floats) -> tuple[Flow, ...]:
        """Power flows of many states at once: as ``solve``, with a first axis for the states, and the same to the byte."""
        request = np.array(p_kw, dtype=float), np.array(q_kvar, dtype=float)
        if any(part.shape[1:] != self._shape for part in request) or request[0].shape != request[1].shape:
            shapes = " and ".join(str(part.shape[1:]) for part in request)
            raise FeederError(self.name, f"needs one p and q for each of {self._shape} buses, got {shapes}")
        flows = self._solve_in(self._compiled_with(self._home), *request)
        if not self._changers:
            return flows
        return tuple(self._tapped(p, q, flow) for p, q, flow in zip(*request, flows, strict=True))

    def _tapped(self, p_kw: Floats, q_kvar: Floats, flow: Flow) -> Flow:
        """The state in which every tap changer is content or at its end, step by step from the taps of the network on.

        What was solved before does not matter.  Changers that chase each other are left where they meet their own traces.
        """
        seen = {self._home}
        while flow.converged:
            at = self._editions[flow.edition].taps
            v_pu = [float(np.mean(flow.v_pu[self._row_of[changer.bus]])) for changer in self._changers]
            wanted = tuple(c.next(tap, v) for c, tap, v in zip(self._changers, at, v_pu, strict=True))
            if wanted in seen:
                break
            seen.add(wanted)
            flow = self._solve_in(self._compiled_with(wanted), p_kw[None], q_kvar[None])[0]
        return flow

    def _solve_in(self, edition: int, p_kw: Floats, q_kvar: Floats) -> tuple[Flow, ...]:
        """Many states of one circuit."""
        self.use(edition)
        self.solves += len(p_kw)
        self._last = p_kw[-1].copy(), q_kvar[-1].copy()
        request = p_kw.copy(), q_kvar.copy()
        bad = ~np.isfinite(p_kw) | ~np.isfinite(q_kvar)
        for part in request:
            part[bad] = 0.0
            part[:, ~self._compiled.supplied] = 0.0
        power = self._powers(*request)
        solution = self._compiled.circuit.solve(power)
        notes = [self._refusal(wrong) if wrong.any() else "" for wrong in bad]
        v = solution.v
        for state in np.flatnonzero(~solution.settled | bool(self._compiled.controlled.size)).tolist():
            if not notes[state]:
                v[:, :, state], notes[state] = self._retry(request[0][state], request[1][state])
        return self._flows(*request, power, v, notes)

    def sensitivities(self, flow: Flow, watched: Sequence[str]) -> Sensitivities:
        """Exact derivatives of a solved state, by the adjoint: no dearer than power flows, whatever the number of buses.

        Raises ``FeederError`` for a state without a solution, a bus that is unknown or without supply, and a network in
        which something beside the external grids holds a voltage.
        """
        by_p, by_q = self._gradient(flow, watched, lambda v, k: self._magnitude_at(v, self._node_of(watched[k])))
        circuit = self._compiled.circuit
        per_kw, per_kvar = (self._by_bus(part) / circuit.base_kva for part in (by_p, by_q))
        return Sensitivities(
            v_pu_per_kw=per_kw[:-1],
            v_pu_per_kvar=per_kvar[:-1],
            losses_per_kw=per_kw[-1] * circuit.base_kva,
            losses_per_kvar=per_kvar[-1] * circuit.base_kva,
        )

    def sensitivities_by_phase(self, flow: Flow, watched: Sequence[tuple[str, str]]) -> Sensitivities:
        """The same with the phase of each watched bus, of which a balanced feeder has but one."""
        return self.sensitivities(flow, [bus for bus, _ in watched])

    def reference(self, p_kw: Floats, q_kvar: Floats) -> float:
        """Largest difference in voltage [per unit] between this power flow and pandapower's own; NaN where that has none.

        pandapower starts from its own linear flow and knows nothing of the compiled circuit.
        """
        flow = self.solve(p_kw, q_kvar)
        if not any(self._newton(self._last[0], self._last[1], **options) for options in self._retries):
            return float("nan") if not flow.converged else np.inf
        theirs = self._solved_by_pandapower()[:, self._compiled.node[self._compiled.supplied]]
        ours = np.atleast_2d((flow.v_pu * np.exp(1j * np.radians(flow.v_degree))).T)[:, self._compiled.supplied]
        return float(np.abs(ours - theirs).max())

    # inside

    def _prepare(self, net: Any) -> None:
        """Look at a sound network, its customers still in it, before it is made a feeder."""
        del net
        self._site_phases: Mapping[str, str] = {}

    def _stand_in(self, net: Any, buses: Sequence[int]) -> None:
        """Put an element at every bus that stands in for whatever is connected there."""
        pp.create_sgens(net, buses, p_mw=0.0, q_mvar=0.0)

    def _newton(self, p_kw: Floats, q_kvar: Floats, **options: Any) -> bool:
        """pandapower's own power flow; whether it found a solution.  Its result tables are empty otherwise.

        The static generator of each bus counts generation positive, as we do; a negative one withdraws.
        """
        self._net.sgen["p_mw"], self._net.sgen["q_mvar"] = p_kw / 1e3, q_kvar / 1e3
        return quietly(self._net, pp.runpp, **{**OPTIONS, **options})

    @property
    def _compiled(self) -> Compiled:
        return self._editions[self._edition].compiled

    @property
    def _shape(self) -> tuple[int, ...]:
        return (len(self.buses),)

    def _compiled_with(self, taps: tuple[int, ...]) -> int:
        """Number of the edition with these taps and the switches as they now are; compiled when first asked for.

        Raises ``FeederError`` if not even the idle grid has a solution.
        """
        key = self._changed, taps
        if key not in self._numbers:
            self._turn(taps)
            if not any(self._newton(self._idle[0], self._idle[1], **options) for options in self._retries):
                raise FeederError(
                    self.name, "has no solution even without customers; pandapower.diagnostic may say why"
                )
            self._numbers[key] = len(self._editions)
            self._editions.append(_Edition(self._compile(), taps))
        return self._numbers[key]

    def use(self, edition: int) -> None:
        """Make an edition the one that is looked at and solved, in pandapower's network too."""
        if edition != self._edition:
            self._edition = edition
            self._turn(self._editions[edition].taps)

    def _turn(self, taps: tuple[int, ...]) -> None:
        for changer, tap in zip(self._changers, taps, strict=True):
            self._net.trafo.loc[changer.index, "tap_pos"] = tap

    def _compile(self) -> Compiled:
        return compile_balanced(self._net, list(self._names))

    def _tree(self) -> tuple[_Placed, ...]:
        """The branches of the tree in the circuit; those of transformers first, as the network lists them."""
        net, supply = self._net, self._supply
        called = network.branch_names(net, supply.parents)
        own = {self._line_index(line): node for line, node in self._limited_lines.items()}
        called |= {key: own[key[1]] for key in called if key[0] == "line"}
        self._fed_by = {self._names[bus]: None if key is None else called[key] for bus, key in supply.fed_by.items()}
        placed = []
        for key in sorted(supply.parents, key=lambda key: (key[0] == "line", key)):
            parent = supply.parents[key]
            row, starts_above, kva = self._placing(key)
            kind: Any = "line" if key[0] == "line" else "transformer"
            placed.append(_Placed(Branch(called[key], parent and called[parent], kva, kind), row, starts_above))
        return tuple(placed)

    def _line_index(self, line: str) -> int:
        return int(self._net.line.index[list(network.unique_names(self._net.line, "line")).index(line)])

    def _placing(self, key: network.Key) -> tuple[int, bool, float]:
        """Row among the ends, whether the start is the upper end, and the rating in kVA."""
        table = self._net[key[0]]
        position, row = table.index.get_loc(key[1]), table.loc[key[1]]
        first = self._compiled.rows[key[0]].start + position
        if key[0] == "line":
            kva = math.sqrt(3) * self._net.bus.vn_kv[row.from_bus] * row.max_i_ka * row.df * row.parallel * 1e3
            return first, self._supply.ends[key][0] == row.from_bus, float(kva)
        if key[0] == "trafo":
            return first, True, float(row.sn_mva * row.parallel * row.df * 1e3)
        side = str(key[-1])
        return first + ("hv", "mv", "lv").index(side) * len(table), True, float(row[f"sn_{side}_mva"] * 1e3)

    def _refusal(self, wrong: NDArray[np.bool_]) -> str:
        where = [
            bus for bus, is_wrong in zip(self.buses, wrong.reshape(len(self.buses), -1), strict=True) if is_wrong.any()
        ]
        return f"injection is not finite at {', '.join(where)}" if where else ""

    def _powers(self, p_kw: Floats, q_kvar: Floats) -> Complexes:
        """Injections [states, buses] as powers per unit, [phases, nodes, states]."""
        circuit, supplied = self._compiled.circuit, self._compiled.supplied
        power = np.repeat(self._compiled.own[:, None], len(p_kw), axis=1)
        np.add.at(power, self._compiled.node[supplied], (p_kw + 1j * q_kvar).T[supplied] / circuit.base_kva)
        return power[None]

    def _by_bus(self, values: Floats) -> Floats:
        """What is given [functions, phases, nodes], by function and bus; 0 without supply."""
        node = self._compiled.node
        return np.where(node == UNSUPPLIED, 0.0, values[:, 0, node])

    def _magnitude_at(self, v: Complexes, node: int) -> Complexes:
        gradient = np.zeros_like(v)
        gradient[0, node] = v[0, node] / abs(v[0, node])
        return gradient

    def _given_by_grid(self, v: Complexes, power: Complexes) -> Floats:
        """Power that the external grids give, by state: all that enters at their nodes and no customer injects there."""
        circuit = self._compiled.circuit
        given: Floats = (times(v, circuit.current(v).conj()) - power)[:, circuit.slack].real.sum(axis=(0, 1))
        return given

    def _gradient(
        self, flow: Flow, watched: Sequence[str], magnitude_at: Callable[[Complexes, int], Complexes]
    ) -> tuple[Floats, Floats]:
        """Derivatives of a magnitude at each watched bus, and last of the losses, [functions, phases, nodes] per unit."""
        self.use(flow.edition)
        compiled, circuit = self._compiled, self._compiled.circuit
        if not flow.converged or compiled.controlled.size:
            why = flow.note or self.notes[0]
            raise FeederError(self.name, f"has no sensitivities: {why}")
        for bus in watched:
            if bus not in self.buses or bus in flow.unsupplied:
                raise FeederError(self.name, f"has no bus {bus!r} with supply to watch")
        power = self._powers(flow.p_kw[None], flow.q_kvar[None])
        v = circuit.solve(power).v[:, :, 0]
        outputs = [magnitude_at(v, k) for k in range(len(watched))]
        by_p, by_q = circuit.gradient(v, power[:, :, 0], [*outputs, self._slack_power(v)])
        by_p[-1] += ~np.isin(np.arange(circuit.nodes), circuit.slack)  # what the slack does not save, was lost
        return by_p, by_q

    def _node_of(self, bus: str) -> int:
        return int(self._compiled.node[self.buses.index(bus)])

    def _slack_power(self, v: Complexes) -> Complexes:
        """Gradient of the power that the external grids give: held voltages times the currents they drive."""
        del v
        circuit = self._compiled.circuit
        rows = circuit.sequences[0].admittance[circuit.slack]
        gradient: Complexes = rows.conj().T @ circuit.idle[0, circuit.slack]
        return gradient[None]

    def _retry(self, p_kw: Floats, q_kvar: Floats) -> tuple[Complexes, str]:
        """Newton's method for what the fixed point did not settle: voltages, and why there are none or an empty text."""
        for options in self._retries:
            self.retries += 1
            if self._newton(p_kw, q_kvar, **options):
                return self._solved_by_pandapower(), ""
        return (
            self._compiled.circuit.idle * np.nan,
            f"no power flow solution ({self._tried}): more than the grid can carry",
        )

    def _solved_by_pandapower(self) -> Complexes:
        bus = self._net._ppc["bus"][: self._compiled.circuit.nodes]
        v: Complexes = bus[:, VM] * np.exp(1j * np.radians(bus[:, VA]))
        return v[None]

    def _flows(
        self, p_kw: Floats, q_kvar: Floats, power: Complexes, v: Complexes, notes: Sequence[str]
    ) -> tuple[Flow, ...]:
        """What the voltages [phases, nodes, states] mean, state by state."""
        compiled, circuit = self._compiled, self._compiled.circuit
        kva = circuit.base_kva
        at_start, at_end = circuit.end_currents(v)
        into_start, into_end = (
            times(v[:, circuit.ends.start], at_start.conj()),
            times(v[:, circuit.ends.end], at_end.conj()),
        )
        loading = np.maximum(
            np.abs(at_start) * circuit.ends.rating_s[:, None], np.abs(at_end) * circuit.ends.rating_e[:, None]
        ).max(axis=0)
        slack = self._given_by_grid(v, power) * kva
        lost = [into_start.real, into_end.real, circuit.shunt_power(v).real, -compiled.own.real[None, :, None]]
        losses = sum(np.array(part.T, order="C").reshape(part.shape[2], -1).sum(axis=1) for part in lost) * kva
        residual = slack + p_kw.reshape(len(p_kw), -1).sum(axis=1) - losses
        upper, lower = self._through(into_start, into_end)
        v_pu, v_degree = polar(np.moveaxis(v, -1, 0)[:, :, compiled.node])
        dark = ~compiled.supplied
        v_pu[:, :, dark] = v_degree[:, :, dark] = np.nan
        unsupplied = self._dark(compiled)
        rows = [placed.row for placed in self._placed]
        line_loading = loading[self._lines_at]
        flows = []
        for k, note in enumerate(notes):
            doubt = note or _doubt(float(residual[k]), v_pu[k][:, ~dark])
            if doubt:
                flows.append(self._failed(doubt))
                continue
            flows.append(
                Flow(
                    converged=True,
                    p_kw=p_kw[k],
                    q_kvar=q_kvar[k],
                    v_pu=self._as_buses(v_pu[k]),
                    v_degree=self._as_buses(v_degree[k]),
                    branch_hv_kw=upper[:, k].real * kva,
                    branch_lv_kw=lower[:, k].real * kva,
                    branch_lv_kvar=lower[:, k].imag * kva,
                    branch_loading=loading[rows, k],
                    line_loading=line_loading[:, k],
                    slack_kw=float(slack[k]),
                    losses_kw=float(losses[k]),
                    residual_kw=float(residual[k]),
                    edition=self._edition,
                    unsupplied=unsupplied,
                )
            )
        return tuple(flows)

    @property
    def _lines_at(self) -> NDArray[np.intp]:
        rows = self._compiled.rows.get("line", slice(0, 0))
        return np.arange(rows.start, rows.stop)[self._line_rows]

    def _through(self, into_start: Complexes, into_end: Complexes) -> tuple[Complexes, Complexes]:
        """Power through each branch of the tree at its upper and its lower end, + downstream, [branches, states]."""
        rows = [placed.row for placed in self._placed]
        starts_above = np.array([placed.starts_above for placed in self._placed], dtype=bool)[:, None]
        first, second = into_start[:, rows].sum(axis=0), into_end[:, rows].sum(axis=0)
        return np.where(starts_above, first, second), -np.where(starts_above, second, first)

    def _as_buses(self, values: Floats) -> Floats:
        """From [phases, buses] to the shape of the injections."""
        by_bus: Floats = values[0]
        return by_bus

    def _failed(self, note: str) -> Flow:
        def nan(*shape: int) -> Floats:
            return np.full(shape, np.nan)

        branches = len(self._placed)
        return Flow(
            converged=False,
            p_kw=nan(*self._shape),
            q_kvar=nan(*self._shape),
            v_pu=nan(*self._shape),
            v_degree=nan(*self._shape),
            branch_hv_kw=nan(branches),
            branch_lv_kw=nan(branches),
            branch_lv_kvar=nan(branches),
            branch_loading=nan(branches),
            line_loading=nan(len(self.lines)),
            slack_kw=np.nan,
            losses_kw=np.nan,
            residual_kw=np.nan,
            edition=self._edition,
            unsupplied=self._dark(self._compiled),
            note=note,
        )


def _doubt(residual_kw: float, v_pu: Floats) -> str:
    """Why a state that solved must not be settled on, or an empty text."""
    if not np.isfinite(v_pu).all():
        return "a voltage is not finite"
    if not abs(residual_kw) <= BALANCE_KW:
        return f"{residual_kw:.6f} kW are not accounted for"
    return ""


def quietly(net: Any, run: Callable[..., object], **options: Any) -> bool:
    """Let pandapower solve a network without a word; whether it could.  Its result tables are empty otherwise."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            run(net, **options)
        except DIVERGENCE:
            pp.toolbox.clear_result_tables(net)
            return False
    return True


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
