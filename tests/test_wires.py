"""Devices and wires agree on voltage and reactive power, in as few power flows as that takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from sim.clock import Interval
from sim.device import Device
from sim.feeder import Branch, Floats, Flow, GridChange, Sensitivities
from sim.wires import AGREED_KVAR, EXCHANGES, Wires

QUARTER = Interval(0, 0, 900)


@dataclass
class Line:
    """A feeder whose every bus answers to its own injections alone: ``v = 1 + r p + x q``, per unit and kW.

    collapse_kvar: beyond so much in total there is no solution.  flows: power flows asked for.
    """

    buses: tuple[str, ...] = ("b1", "b2")
    phases: tuple[str, ...] = ("",)
    r: float = 1e-3
    x: float = 1e-3
    unsupplied: tuple[str, ...] = ()
    collapse_kvar: float = math.inf
    flows: int = 0
    name: str = "line"
    lines: tuple[str, ...] = ()
    site_buses: tuple[str, ...] = ()
    branches: tuple[Branch, ...] = ()

    def solve(self, p_kw: Floats, q_kvar: Floats) -> Flow:
        self.flows += 1
        converged = bool(np.abs(q_kvar).sum() <= self.collapse_kvar)
        v_pu = 1 + self.r * p_kw + self.x * q_kvar
        nothing = np.zeros(0)
        nan = np.full_like(p_kw, np.nan)
        return Flow(
            converged=converged, p_kw=p_kw, q_kvar=q_kvar, v_pu=v_pu if converged else nan, v_degree=0 * p_kw,
            branch_hv_kw=nothing, branch_lv_kw=nothing, branch_lv_kvar=nothing, branch_loading=nothing,
            line_loading=nothing, slack_kw=-float(p_kw.sum()), losses_kw=0.0, residual_kw=0.0,
            unsupplied=self.unsupplied, note="" if converged else "collapsed",
        )  # fmt: skip

    def apply(self, change: GridChange) -> None:
        raise NotImplementedError

    def node_of(self, bus: str) -> str:
        raise NotImplementedError

    def sensitivities(self, flow: Flow, watched: Sequence[str]) -> Sensitivities:
        raise NotImplementedError


@dataclass
class Twin:
    """Does what it is told; its reactive power is ``kvar``, less ``per_pu`` for every per unit above 1."""

    kvar: float = 0.0
    per_pu: float = 0.0
    limit_kvar: float = math.inf
    min_kw: float = -100.0
    max_kw: float = 100.0
    soc: float = math.nan
    available_kw: float = math.nan
    asked: list[float] = field(default_factory=list)

    def advance(self, setpoint_kw: float, interval: Interval) -> float:
        return setpoint_kw

    def interrupt(self, interval: Interval) -> float:
        return -2.0

    def reactive_kvar(self, v_pu: float) -> float:
        self.asked.append(v_pu)
        return min(max(self.kvar - self.per_pu * (v_pu - 1), -self.limit_kvar), self.limit_kvar)


@dataclass
class Coupled(Line):
    """Every bus lifts every bus below it on the line, as one long cable does."""

    def solve(self, p_kw: Floats, q_kvar: Floats) -> Flow:
        flow = super().solve(p_kw, q_kvar)
        shared = np.minimum.outer(np.arange(1, 4), np.arange(1, 4)) * 1e-3
        return replace(flow, v_pu=1 + shared @ (p_kw + q_kvar))


@dataclass
class Banded(Twin):
    """Follows the voltage beyond a dead band around 1."""

    dead_pu: float = 0.0

    def reactive_kvar(self, v_pu: float) -> float:
        beyond = math.copysign(max(abs(v_pu - 1) - self.dead_pu, 0.0), v_pu - 1)
        return super().reactive_kvar(1 + beyond)


@dataclass
class Hunting(Twin):
    """Takes 5 kvar above 1.008 pu and none below."""

    def reactive_kvar(self, v_pu: float) -> float:
        return -5.0 if v_pu > 1.008 else 0.0


def device(twin: Twin, p_kw: float = 10.0, bus: str = "b1", phase: str = "") -> Device:
    return Device("d", bus, "tx", twin, phase=phase, setpoint_kw=p_kw)


# --- agreement ------------------------------------------------------------------------------------------------------


def test_where_nobody_follows_the_voltage_one_power_flow_is_enough() -> None:
    line = Line()
    flow = Wires(line).live([device(Twin(kvar=-3.0)), device(Twin(), bus="b2")], QUARTER)
    assert line.flows == 1
    assert flow.q_kvar.tolist() == [-3.0, 0.0]


def test_without_devices_the_idle_grid_is_solved_once() -> None:
    line = Line()
    assert Wires(line).live([], QUARTER).converged
    assert line.flows == 1


@given(per_pu=st.floats(0, 3000), x=st.floats(1e-5, 1e-3), p_kw=st.floats(-50, 50), kvar=st.floats(-5, 5))
def test_an_inverter_ends_where_its_own_voltage_puts_it(per_pu: float, x: float, p_kw: float, kvar: float) -> None:
    """On wires of any stiffness: what it gives is what its curve asks for at the voltage that follows from it."""
    line, twin = Line(x=x), Twin(kvar=kvar, per_pu=per_pu)
    owner = device(twin, p_kw)
    flow = Wires(line).live([owner], QUARTER)
    assert abs(twin.reactive_kvar(float(flow.v_pu[0])) - owner.q_kvar) <= AGREED_KVAR
    assert flow.q_kvar[0] == owner.q_kvar
    exact = (kvar - per_pu * line.r * p_kw) / (1 + per_pu * x)
    assert owner.q_kvar == approx(exact, abs=2 * AGREED_KVAR)
    assert line.flows <= EXCHANGES


@pytest.mark.parametrize("gain", [0.02, 0.5, 0.9, 1.0, 1.5, 3.0, 6.0])
def test_swings_are_damped_at_once_on_wires_of_any_weakness(gain: float) -> None:
    """gain: kvar that a kvar calls forth, against itself; undamped, from 1 on every exchange would overshoot for ever."""
    line = Line(x=1e-3)
    twin = Twin(per_pu=gain / line.x)
    owner = device(twin, 20.0)
    flow = Wires(line).live([owner], QUARTER)
    assert owner.q_kvar == approx(-gain * 20 / (1 + gain), abs=2 * AGREED_KVAR)
    assert abs(twin.reactive_kvar(float(flow.v_pu[0])) - owner.q_kvar) <= AGREED_KVAR
    assert line.flows == 3
    assert flow.note == ""


@given(
    p_kw=st.lists(st.floats(-40, 40), min_size=3, max_size=3),
    steep=st.lists(st.floats(0, 2000), min_size=3, max_size=3),
    dead=st.lists(st.floats(0, 0.03), min_size=3, max_size=3),
)
def test_inverters_with_dead_bands_and_limits_along_a_weak_line_agree(
    p_kw: list[float], steep: list[float], dead: list[float]
) -> None:
    line = Coupled(buses=("b1", "b2", "b3"))
    twins = [Banded(per_pu=k, dead_pu=d, limit_kvar=8.0) for k, d in zip(steep, dead, strict=True)]
    owners = [device(twin, kw, bus) for twin, kw, bus in zip(twins, p_kw, line.buses, strict=True)]
    flow = Wires(line).live(owners, QUARTER)
    assert flow.note == ""
    for twin, owner, v_pu in zip(twins, owners, flow.v_pu.tolist(), strict=True):
        assert abs(twin.reactive_kvar(v_pu) - owner.q_kvar) <= AGREED_KVAR


def test_an_inverter_that_has_no_state_to_rest_in_is_told_of() -> None:
    """All or nothing at a threshold: on, it lowers the voltage below it; off, the voltage rises above."""
    line = Line(x=1e-3)
    flow = Wires(line).live([device(Hunting(), 10.0)], QUARTER)
    assert flow.converged
    assert "off their curves" in flow.note
    assert line.flows == EXCHANGES + 1


def test_many_inverters_at_one_weak_bus_agree_together() -> None:
    line = Line(x=1e-3)
    owners = [device(Twin(per_pu=400.0, limit_kvar=4.4)) for _ in range(10)]
    flow = Wires(line).live(owners, QUARTER)
    assert {round(owner.q_kvar, 9) for owner in owners} == {round(owners[0].q_kvar, 9)}
    assert abs(owners[0].twin.reactive_kvar(float(flow.v_pu[0])) - owners[0].q_kvar) <= AGREED_KVAR


def test_an_interval_does_not_depend_on_the_one_before() -> None:
    line = Line()
    wires, owner = Wires(line), device(Twin(per_pu=500.0))
    first = wires.live([owner], QUARTER).q_kvar.tolist()
    owner.command(-30.0)
    wires.live([owner], QUARTER)
    owner.command(10.0)
    assert wires.live([owner], QUARTER).q_kvar.tolist() == first


# --- what is not there ----------------------------------------------------------------------------------------------


def test_a_device_without_supply_gives_nothing_and_is_not_asked_for_reactive_power() -> None:
    line, twin = Line(unsupplied=("b1",)), Twin(kvar=-3.0, per_pu=500.0)
    owner = device(twin)
    flow = Wires(line).live([owner], QUARTER)
    assert (owner.delivered_kw, owner.q_kvar, owner.unserved_kw, owner.supplied) == (0.0, 0.0, -2.0, False)
    assert twin.asked == []
    assert flow.p_kw.tolist() == flow.q_kvar.tolist() == [0.0, 0.0]


def test_reactive_power_of_a_state_without_a_solution_is_not_remembered() -> None:
    line = Line()
    wires, owner = Wires(line), device(Twin(kvar=-3.0))
    wires.live([owner], QUARTER)
    line.collapse_kvar = 1.0
    assert not wires.live([owner], QUARTER).converged
    assert wires.q_kvar.tolist() == [-3.0, 0.0]


def test_a_grid_that_collapses_is_not_asked_again_and_again() -> None:
    line = Line(collapse_kvar=1.0)
    assert not Wires(line).live([device(Twin(kvar=-3.0, per_pu=500.0))], QUARTER).converged
    assert line.flows == 1


# --- three phases ---------------------------------------------------------------------------------------------------


def test_a_device_of_one_phase_follows_its_own_and_one_of_three_their_mean() -> None:
    line = Line(phases=("A", "B", "C"))
    single, three = Twin(per_pu=100.0), Twin(per_pu=100.0)
    owners = [device(single, 12.0, phase="B"), device(three, 9.0)]
    flow = Wires(line).live(owners, QUARTER)
    assert flow.p_kw[0].tolist() == [3.0, 15.0, 3.0]
    assert single.asked[-1] == flow.v_pu[0, 1]
    assert three.asked[-1] == approx(float(flow.v_pu[0].mean()))
    assert flow.q_kvar[0].sum() == approx(owners[0].q_kvar + owners[1].q_kvar)
