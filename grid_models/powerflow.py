"""The power flow: the one place where the project's sign and pandapower's meet."""

from __future__ import annotations

import contextlib
import copy
import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import pandapower as pp
from numpy.typing import NDArray
from pandapower.pypower.idx_bus import VA, VM

from grid_models import network
from grid_models.circuit import Complexes, times
from grid_models.compiled import UNSUPPLIED, Compiled, compile_balanced
from grid_models.elements import Element, elements_of
from grid_models.limit_tree import LimitTree, moved
from grid_models.network import Edge
from grid_models.reading import Reading
from grid_models.taps import TapChanger, placed_changers
from grid_models.twoport import TwoPort
from sim.errors import FeederError
from sim.feeder import Branch, Floats, Flow, GridChange, Sensitivities
from sim.tolerances import POWER_FLOW_MVA

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

CONTROLLED: Final = "something beside the external grids holds a voltage (xward): pandapower solves every state, slowly"

SWITCHABLE: Final = (("switch", "closed"), ("line", "in_service"), ("trafo", "in_service"), ("trafo3w", "in_service"))
"""What a change of the grid can change, beside taps."""

DIVERGENCE: Final = (pp.LoadflowNotConverged, ArithmeticError, RuntimeError, np.linalg.LinAlgError)
"""How Newton's method ends without a solution: by saying so, or in a factorisation of what diverged."""


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
        told: Sequence[str] = (),
    ) -> None:
        """limited_lines: those that are nodes of the tree of limits, by name, with the name of each node.  tap_changers:
        transformers that hold the voltage below them.  told: what its reader noted about the network.

        Raises ``FeederError``, all faults at once, for a network on which no power flow can be run, and for lines that do
        not exist.
        """
        self.name = name
        self.solves = 0
        self.retries = 0
        self._net = net
        self._told = tuple(told)
        network.check(net, name)
        self._prepare(net)
        sites = network.take_customers(net)
        in_service = net.bus.in_service.to_numpy(dtype=bool)
        names = dict(zip(net.bus.index, network.unique_names(net.bus, "bus"), strict=True))
        self._names: dict[int, str] = {int(i): names[i] for i in net.bus.index[in_service]}
        self.buses: tuple[str, ...] = tuple(self._names.values())
        self.nominal_kv: tuple[float, ...] = tuple(net.bus.vn_kv[list(self._names)].astype(float))
        self.site_buses: tuple[str, ...] = tuple(self._names[bus] for bus in sites if bus in self._names)
        self.lines: tuple[str, ...] = network.unique_names(net.line, "line")
        self._stand_in(net, list(self._names))
        net.user_pf_options = {}  # a network file may carry options that would silently replace ours
        self._limited_lines = dict(limited_lines or {})
        self._last = self._idle = (np.zeros(self._shape), np.zeros(self._shape))
        self._row_of = {bus: row for row, bus in enumerate(self._names)}
        self._changers = placed_changers(net, name, tap_changers)
        self._home = tuple(int(net.trafo.tap_pos.at[changer.index]) for changer in self._changers)
        self._switched = self._switching()
        self._editions: list[_Edition] = []
        self._numbers: dict[tuple[bytes, tuple[int, ...]], int] = {}
        self._edition = self._compiled_with(self._home)
        self._tree = LimitTree(name, net, self._names, self._compiled.rows, self._limited_lines)

    # what it is

    @property
    def net(self) -> Any:
        """The pandapower network, its ``res_`` tables holding the state that was solved last (empty without a solution)."""
        any(self._newton(self._last[0], self._last[1], **options) for options in self._retries)
        return self._net

    @property
    def notes(self) -> tuple[str, ...]:
        """What about this network is done in another way than its author may expect."""
        return (*self._told, *((CONTROLLED,) if self._compiled.controlled.size else ()))

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The tree of limits.  Raises ``FeederError`` where the network is none."""
        return self._tree.branches

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
        """Name of the branch that feeds this bus; raises ``FeederError`` as ``LimitTree.node_of`` does."""
        return self._tree.node_of(bus)

    def phase_at(self, bus: str) -> str:
        """Phase on which the network's own customers at this bus stand; empty for all three, or where they differ."""
        return self._site_phases.get(bus, "")

    def two_port(self, branch: str) -> TwoPort:
        """Terminal equations of a branch of the tree.  Raises ``FeederError`` for an unknown one."""
        placed = self._tree.find(branch)
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
        before = copy.deepcopy(self._net), self._home, self._switched, self._edition
        self._turn(self._home)
        try:
            network.change(self._net, self.name, change)
            after = network.supply(self._net, self.name, tuple(self._limited_lines))
            elsewhere = [self._names[bus] for bus in moved(self._tree.supply, after)]
            if elsewhere or (after.loops and not self._tree.supply.loops):
                what = f"would feed {network.listing(elsewhere)} another way" if elsewhere else str(after.fault)
                raise FeederError(self.name, f"{change.text}: {what}; limits and prices know one way to every bus")
            self._home = tuple(int(self._net.trafo.tap_pos.at[changer.index]) for changer in self._changers)
            self._switched = self._switching()
            self.use(self._compiled_with(self._home))
        except FeederError:
            self._net, self._home, self._switched, self._edition = before
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

    def reference(self, p_kw: Floats, q_kvar: Floats) -> float | None:
        """Largest difference in voltage [per unit] between this power flow and pandapower's own.

        pandapower starts from its own linear flow and knows nothing of the compiled circuit.  None where there is nothing to
        compare: no solution, none that Newton's method finds from there, or a network whose states are pandapower's anyway.
        """
        flow = self.solve(p_kw, q_kvar)
        if not flow.converged or self._compiled.controlled.size:
            return None
        if not any(self._newton(self._last[0], self._last[1], **options) for options in self._retries):
            return None
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
        key = self._switched, taps
        if key not in self._numbers:
            self._turn(taps)
            if not any(self._newton(self._idle[0], self._idle[1], **options) for options in self._retries):
                raise FeederError(
                    self.name, "has no solution even without customers; pandapower.diagnostic may say why"
                )
            self._numbers[key] = len(self._editions)
            self._editions.append(_Edition(self._compile(), taps))
        return self._numbers[key]

    def _switching(self) -> bytes:
        """What is closed and in service, and the taps that nobody turns under load: the same again is the same circuit."""
        net, turning = self._net, [changer.index for changer in self._changers]
        parts = [net[table][column].to_numpy() for table, column in SWITCHABLE]
        return b"".join(np.asarray(part, dtype=bool).tobytes() for part in parts) + bytes(
            net.trafo.tap_pos.drop(turning).to_numpy(dtype=float).tobytes()
        )

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
        given = (times(v, circuit.current(v).conj()) - power)[:, circuit.slack].real
        total: Floats = np.array(given.T, order="C").reshape(given.shape[2], -1).sum(axis=1)  # in one order
        return total

    def _gradient(
        self, flow: Flow, watched: Sequence[str], magnitude_at: Callable[[Complexes, int], Complexes]
    ) -> tuple[Floats, Floats]:
        """Derivatives of a magnitude at each watched bus, and last of the losses, [functions, phases, nodes] per unit."""
        self.use(flow.edition)
        compiled, circuit = self._compiled, self._compiled.circuit
        if not flow.converged or compiled.controlled.size:
            why = flow.note or CONTROLLED
            raise FeederError(self.name, f"has no sensitivities: {why}")
        for bus in watched:
            if bus not in self.buses or bus in flow.unsupplied:
                raise FeederError(self.name, f"has no bus {bus!r} with supply to watch")
        power = self._powers(flow.p_kw[None], flow.q_kvar[None])
        solution = circuit.solve(power)
        v = solution.v[:, :, 0]
        if not solution.settled.all():
            found, why = self._retry(flow.p_kw, flow.q_kvar)
            if why:
                raise FeederError(self.name, f"has no sensitivities: {why}")
            v = found
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
        reading = Reading(self._compiled, self._tree.placed, len(self.lines), self._edition, self._dark(self._compiled))
        slack_kw = self._given_by_grid(v, power) * self.base_kva
        return reading.flows(p_kw, q_kvar, v, slack_kw, notes)


def quietly(net: Any, run: Callable[..., object], **options: Any) -> bool:
    """Let pandapower solve a network without a word; whether it could.  Its result tables are empty otherwise."""
    with warnings.catch_warnings(), np.errstate(all="ignore"), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            run(net, **options)
        except DIVERGENCE:
            pp.toolbox.clear_result_tables(net)
            return False
    return True
