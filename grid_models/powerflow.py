"""The power flow: the one place where the project's sign and pandapower's meet."""

from __future__ import annotations

import warnings
from typing import Any, Final

import numpy as np
import pandapower as pp
from numpy.typing import NDArray
from pandapower.pypower.idx_bus import VA, VM
from pandapower.pypower.makeYbus import branch_vectors
from scipy.sparse.linalg import splu  # type: ignore[import-untyped]

from grid_models import network
from grid_models.network import Edge
from grid_models.twoport import TwoPort
from sim.errors import FeederError, nearest
from sim.feeder import Branch, Floats, Flow
from sim.tolerances import BALANCE_KW, POWER_FLOW_MVA, POWER_KW

OPTIONS: Final = {
    "algorithm": "nr",
    "calculate_voltage_angles": True,
    "tolerance_mva": POWER_FLOW_MVA,
    "trafo_model": "t",
    "trafo_loading": "current",
    "numba": False,
    "lightsim2grid": False,
}
"""Said in full, so that neither an installed accelerator nor a new default changes a result."""

RECYCLE: Final = {"bus_pq": True, "trafo": False, "gen": False}
"""What changes between two states: only injections."""

RETRIES: Final = ("dc", "flat")
"""Other starts, tried with more iterations before a state is called unsolvable."""

RETRY_ITERATIONS: Final = 30

START_ITERATIONS: Final = 50
"""An ordinary load takes 6 to 10, one at the edge of what the grid can carry 30; the rest is left to Newton."""

START_CHANGE_PU: Final = 1e-12

DIVERGENCE: Final = (pp.LoadflowNotConverged, ArithmeticError, RuntimeError, np.linalg.LinAlgError)
"""How Newton's method ends without a solution: by saying so, or in a factorisation of what diverged."""

Complexes = NDArray[np.complex128]


def _inject(net: Any, p_kw: Floats, q_kvar: Floats) -> None:
    """Injections into pandapower: the static generator of each bus counts generation positive, as we do.

    A negative one withdraws; a pair of load and generator gives the same flows and costs a second table.
    """
    net.sgen["p_mw"] = p_kw / 1e3
    net.sgen["q_mvar"] = q_kvar / 1e3


class _Start:
    """Voltages to begin Newton's method with, from the injections and the idle grid alone.

    Repeats ``V = Z (conj(S / V) - Y_held V_held)``, the currents of the injections through the factorised admittance
    matrix, from the idle grid on.  At ordinary load this lands on the solution and Newton's method, hundreds of times
    dearer a step because it builds sparse matrices, has only to confirm it.  Where it does not contract, the idle grid
    is the start.
    """

    def __init__(self, net: Any, buses: list[int]) -> None:
        """net: solved without customers.  buses: pandapower indices in the order of the injections."""
        solved = net._ppc["internal"]
        self._pq = solved["pq"]
        rows, held = solved["Ybus"].tocsr()[self._pq], np.r_[solved["ref"], solved["pv"]]
        self._factor = splu(rows[:, self._pq].tocsc())
        self._held_current: Complexes = rows[:, held] @ solved["V"][held]
        self._idle: Complexes = solved["V"].copy()
        self._rows = net._pd2ppc_lookups["bus"][buses]
        self._base_kva = net.sn_mva * 1e3

    def polar(self, p_kw: Floats, q_kvar: Floats) -> Floats:
        """Magnitude [per unit] and angle [degrees], one row for each supplied node."""
        power = np.zeros(len(self._idle), dtype=complex)
        v_pu = self._idle.copy()
        with np.errstate(all="ignore"):  # absurd injections overflow, and then the idle grid is the start
            np.add.at(power, self._rows, p_kw + 1j * q_kvar)
            v_pu[self._pq] = self._fixed_point(power[self._pq].conj() / self._base_kva)
        return np.column_stack((np.abs(v_pu), np.degrees(np.angle(v_pu))))

    def _fixed_point(self, conj_power: Complexes) -> Complexes:
        v_pu: Complexes = self._idle[self._pq]
        for _ in range(START_ITERATIONS):
            before = v_pu
            v_pu = self._factor.solve(conj_power / before.conj() - self._held_current)
            if np.abs(v_pu - before).max() <= START_CHANGE_PU:
                return v_pu
        idle: Complexes = self._idle[self._pq]
        return idle


class PandapowerFeeder:
    """A pandapower network as the market's feeder (``sim.feeder.Feeder``).

    The network is taken over: its customers are removed and one static generator per bus stands in for whatever is
    connected there.  Every state is solved by pandapower's Newton method from a start that depends on its injections
    alone, never on what was solved before; the same injections give the same bytes.  Switches, taps and lines are read
    once; to change them, change the network and build a new feeder.

    net: the pandapower network; its ``res_`` tables hold the last solved state and are empty after an unsolved one.
    solves: power flows asked for; retries: extra attempts that these needed.
    """

    def __init__(self, name: str, net: Any) -> None:
        """Raises ``FeederError`` for a network without an external grid or transformer, or one that is no tree."""
        self.name = name
        self.net = net
        self.solves = 0
        self.retries = 0
        network.check(net, name)
        sites = network.take_customers(net)
        in_service = net.bus.in_service.to_numpy(dtype=bool)
        self._bus_rows = np.flatnonzero(in_service)
        names = dict(zip(net.bus.index, network.unique_names(net.bus, "bus"), strict=True))
        self._names: dict[int, str] = {int(i): names[i] for i in net.bus.index[in_service]}
        self.buses: tuple[str, ...] = tuple(self._names.values())
        self.site_buses: tuple[str, ...] = tuple(self._names[bus] for bus in sites if bus in self._names)
        self._line_rows = np.flatnonzero(net.line.in_service.to_numpy(dtype=bool))
        lines = network.unique_names(net.line, "line")
        self.lines: tuple[str, ...] = tuple(lines[row] for row in self._line_rows)
        self._take_branches()
        pp.create_sgens(net, list(self._names), p_mw=0.0, q_mvar=0.0)
        net.user_pf_options = {}  # a network file may carry options that would silently replace ours
        self._compile()
        self._dark = self._unsupplied()
        self._start = _Start(net, list(self._names))
        self._two_ports = {branch.name: self._two_port(branch) for branch in self.branches}

    def _take_branches(self) -> None:
        trafo = self.net.trafo
        tree = network.supply(self.net, self.name)
        called = dict(zip(trafo.index, network.unique_names(trafo, "transformer"), strict=True))
        above = {index: None if parent is None else called[parent] for index, parent in tree.parents.items()}
        kva = (trafo.sn_mva * trafo.parallel * trafo.df * 1e3).to_dict()
        self._branch_rows = np.array([trafo.index.get_loc(i) for i in sorted(above)], dtype=np.intp)
        self.branches = tuple(Branch(called[i], above[i], float(kva[i])) for i in sorted(above))
        self._node_of = {self._names[bus]: called.get(i) for bus, i in tree.fed_by.items()}

    def node_of(self, bus: str) -> str:
        """Name of the transformer that feeds this bus.

        Raises ``FeederError`` for an unknown or unsupplied bus and for one above every transformer.
        """
        node: str | None = self._node_of.get(bus)
        if node is not None:
            return node
        if bus not in self.buses:
            raise FeederError(self.name, f"has no bus {bus!r}, {nearest(bus, self.buses)}")
        why = "lies above every transformer" if bus in self._node_of else "is not connected to the external grid"
        raise FeederError(self.name, f"bus {bus!r} {why}")

    def two_port(self, branch: str) -> TwoPort:
        """Terminal equations of a transformer.  Raises ``FeederError`` for an unknown one."""
        if branch not in self._two_ports:
            raise FeederError(self.name, f"has no transformer {branch!r}, {nearest(branch, self._two_ports)}")
        return self._two_ports[branch]

    def coordinates(self) -> dict[str, tuple[float, float]] | None:
        """Places of the buses that have one (longitude and latitude, or any plane); None when no bus has."""
        return network.coordinates(self.net, self._names)

    def edges(self) -> tuple[Edge, ...]:
        """What connects the buses, to draw the feeder."""
        return network.edges(self.net, self._names)

    def solve(self, p_kw: Floats, q_kvar: Floats) -> Flow:
        """Power flow for injections (+ into the grid) per bus, in the order of ``buses``.

        A state without a solution, with an input that is not finite, with an unsupplied bus, or whose powers do not
        balance within ``BALANCE_KW`` comes back with ``converged`` false and the reason in ``note``.  Raises
        ``FeederError`` only for arrays of the wrong length, which no grid is to blame for.
        """
        self.solves += 1
        request = np.array(p_kw, dtype=float), np.array(q_kvar, dtype=float)
        if any(part.shape != (len(self.buses),) for part in request):
            shapes = " and ".join(str(part.shape) for part in request)
            raise FeederError(self.name, f"needs one p and q for each of {len(self.buses)} buses, got {shapes}")
        note = self._refusal(*request) or self._run(*request)
        if not note:
            flow = self._flow(request[0])
            note = self._doubt(*request, flow)
            if not note:
                return flow
        pp.toolbox.clear_result_tables(self.net)
        self._compiled = False  # recycling needs the tables that were just cleared
        return self._failed(note)

    def _refusal(self, p_kw: Floats, q_kvar: Floats) -> str:
        if self._dark:
            return f"not connected to the external grid: {self._dark}"
        bad = self._listed(~(np.isfinite(p_kw) & np.isfinite(q_kvar)))
        return f"injection is not finite at {bad}" if bad else ""

    def _unsupplied(self) -> str:
        """Buses without voltage; pandapower reports an island as solved and serves it nothing."""
        return self._listed(np.isnan(self.net.res_bus.vm_pu.to_numpy(dtype=float)[self._bus_rows]))

    def _listed(self, chosen: NDArray[np.bool_]) -> str:
        return ", ".join(bus for bus, is_chosen in zip(self.buses, chosen, strict=True) if is_chosen)

    def _compile(self) -> None:
        """Solve the idle grid, whose structures every later state recycles.  Raises ``FeederError`` if it cannot be."""
        self.net._ppc = None  # nothing to recycle: build all structures anew
        _inject(self.net, np.zeros(len(self.buses)), np.zeros(len(self.buses)))
        if not _newton(self.net, init="dc", recycle=RECYCLE, **OPTIONS):
            raise FeederError(self.name, "has no solution even without customers; pandapower.diagnostic may say why")
        self._compiled = True

    def _run(self, p_kw: Floats, q_kvar: Floats) -> str:
        """Solve from the stored start, else from others; why it could not be, or an empty text."""
        if not self._compiled:
            self._compile()
        _inject(self.net, p_kw, q_kvar)
        start = self._start.polar(p_kw, q_kvar)
        self.net._ppc["bus"][: len(start), VM : VA + 1] = start
        return "" if _newton(self.net, recycle=RECYCLE) else self._retry()

    def _retry(self) -> str:
        self._compiled = False  # a retry builds its own structures
        for init in RETRIES:
            self.retries += 1
            if _newton(self.net, init=init, max_iteration=RETRY_ITERATIONS, **OPTIONS):
                return ""
        starts = ", ".join(("idle", *RETRIES))
        return f"no power flow solution (Newton from {starts}): more power than the grid can carry"

    def _flow(self, p_kw: Floats) -> Flow:
        net = self.net
        line_loading = net.res_line.loading_percent.to_numpy(dtype=float)[self._line_rows] / 100
        trafo = net.res_trafo.iloc[self._branch_rows]
        slack_kw = float(np.nansum(net.res_ext_grid.p_mw)) * 1e3
        losses_kw = _losses_kw(net)
        return Flow(
            converged=True,
            p_kw=p_kw,
            v_pu=net.res_bus.vm_pu.to_numpy(dtype=float)[self._bus_rows],
            branch_hv_kw=trafo.p_hv_mw.to_numpy(dtype=float) * 1e3,
            branch_lv_kw=trafo.p_lv_mw.to_numpy(dtype=float) * -1e3,
            branch_loading=trafo.loading_percent.to_numpy(dtype=float) / 100,
            line_loading=np.nan_to_num(line_loading, posinf=np.inf),  # an open line, or one without a rating: 0
            slack_kw=slack_kw,
            losses_kw=losses_kw,
            residual_kw=slack_kw + float(np.nansum(net.res_sgen.p_mw)) * 1e3 - losses_kw,
        )

    def _doubt(self, p_kw: Floats, q_kvar: Floats, flow: Flow) -> str:
        """Why a state that pandapower calls converged must not be settled on, or an empty text."""
        if np.isnan(flow.v_pu).any():
            return f"no voltage at {self._unsupplied()}"
        served = self.net.res_sgen[["p_mw", "q_mvar"]].to_numpy(dtype=float) * 1e3
        unserved = self._listed(np.abs(served - np.column_stack((p_kw, q_kvar))).max(axis=1) > POWER_KW)
        if unserved:
            return f"the power flow did not take the injection of {unserved}"
        if not abs(flow.residual_kw) <= BALANCE_KW:
            return f"{flow.residual_kw:.6f} kW are not accounted for"
        return ""

    def _failed(self, note: str) -> Flow:
        def nan(count: int) -> Floats:
            return np.full(count, np.nan)

        buses, branches, lines = len(self.buses), len(self.branches), len(self.lines)
        return Flow(
            converged=False,
            p_kw=nan(buses),
            v_pu=nan(buses),
            branch_hv_kw=nan(branches),
            branch_lv_kw=nan(branches),
            branch_loading=nan(branches),
            line_loading=nan(lines),
            slack_kw=np.nan,
            losses_kw=np.nan,
            residual_kw=np.nan,
            note=note,
        )

    def _two_port(self, branch: Branch) -> TwoPort:
        net = self.net
        row = self._branch_rows[self.branches.index(branch)]
        trafo = net.trafo.iloc[row]
        first, last = net._pd2ppc_lookups["branch"]["trafo"]
        y_ll, y_hh, y_hl, y_lh = (y[row] for y in branch_vectors(net._ppc["branch"][first:last], last - first))
        return TwoPort(
            y_hh=complex(y_hh),
            y_hl=complex(y_hl),
            y_lh=complex(y_lh),
            y_ll=complex(y_ll),
            v_hv_pu=float(net.res_bus.vm_pu.at[trafo.hv_bus]),
            hv_kva_per_pu=net.sn_mva * 1e3 * trafo.vn_hv_kv / net.bus.vn_kv.at[trafo.hv_bus],
            lv_kva_per_pu=net.sn_mva * 1e3 * trafo.vn_lv_kv / net.bus.vn_kv.at[trafo.lv_bus],
            base_kva=net.sn_mva * 1e3,
        )


def _newton(net: Any, **options: Any) -> bool:
    """``runpp``, quietly; whether it found a solution."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            pp.runpp(net, **options)
        except DIVERGENCE:
            return False
    return True


def _losses_kw(net: Any) -> float:
    """Everything the grid itself takes: branch losses, and shunts and wards if the network has any."""
    branches = sum(np.nansum(net[f"res_{table}"].pl_mw) for table in network.BRANCHES)
    loads = sum(np.nansum(net[f"res_{table}"].p_mw) for table in network.GRID_LOADS)
    return float(branches + loads) * 1e3
