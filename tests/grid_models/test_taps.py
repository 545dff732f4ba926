"""Tap changers against pandapower's own controller, and what they never do."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import pandapower as pp
import pytest
from numpy.typing import NDArray
from pandapower.control import DiscreteTapControl, run_control
from pytest import approx

from grid_models import feeders
from grid_models.feeders import Network, feeder_of
from grid_models.powerflow import OPTIONS, PandapowerFeeder
from grid_models.taps import TapChanger
from sim.errors import FeederError
from sim.feeder import Flow, GridChange

Floats = NDArray[np.float64]
HELD = TapChanger("tx", 0.985, 1.015)


def street_net(*, side: str = "hv", step: float = 2.5, tap: int = 0, reach: int = 4, second: bool = False) -> Any:
    """grid (20 kV) ─ tx 400 kVA ─ b1 ─ b2 ─ b3, and a second transformer with a street of its own where wanted"""
    net = pp.create_empty_network()
    pp.create_ext_grid(net, pp.create_bus(net, 20.0, name="grid"))
    for name in ("tx", "ty")[: 1 + second]:
        letter = {"tx": "b", "ty": "c"}[name]
        buses = [pp.create_bus(net, 0.4, name=f"{letter}{k}") for k in (1, 2, 3)]
        row = pp.create_transformer(net, 0, buses[0], "0.4 MVA 20/0.4 kV", name=name)
        for number in (0, 1):
            line = buses[number], buses[number + 1], 0.15, "NAYY 4x150 SE"
            pp.create_line(net, *line, name=f"{letter}{number + 2}")
        net.trafo.loc[row, ["tap_side", "tap_step_percent", "tap_pos", "tap_min", "tap_max"]] = [
            side, step, tap, -reach, reach,
        ]  # fmt: skip
    return net


def held_street(*changers: TapChanger, **net: Any) -> PandapowerFeeder:
    return feeder_of(Network("street", street_net(**net)), {}, changers or (HELD,))


def solved(feeder: PandapowerFeeder, **at: float) -> Flow:
    p_kw = np.zeros(len(feeder.buses))
    for bus, value in at.items():
        p_kw[feeder.buses.index(bus)] = value
    return feeder.solve(p_kw, 0.3 * np.abs(p_kw) * -1)


def taps(feeder: PandapowerFeeder) -> list[int]:
    """Positions in the state that was solved last."""
    return [int(feeder.net.trafo.tap_pos.at[changer.index]) for changer in feeder._changers]


def by_pandapower(feeder: PandapowerFeeder, start: Any, flow: Flow) -> tuple[list[int], Floats]:
    """Positions and voltages that pandapower's own controllers end with, from the taps of ``start``."""
    net = copy.deepcopy(feeder.net)
    net.trafo["tap_pos"] = start
    net.sgen["p_mw"], net.sgen["q_mvar"] = flow.p_kw / 1e3, flow.q_kvar / 1e3
    for changer in feeder._changers:
        DiscreteTapControl(net, changer.index, changer.low_pu, changer.high_pu)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about old network files
        run_control(net, **OPTIONS)
    positions = [int(net.trafo.tap_pos.at[changer.index]) for changer in feeder._changers]
    return positions, net.res_bus.vm_pu.to_numpy()


@pytest.mark.parametrize("side", ["hv", "lv"])
@pytest.mark.parametrize("step", [2.5, -1.5])
@pytest.mark.parametrize("kw", [-350.0, -220.0, -60.0, 0.0, 140.0, 300.0])
def test_a_street_ends_at_the_position_and_voltages_of_pandapower_s_own_controller(
    kw: float, step: float, side: str
) -> None:
    feeder = held_street(side=side, step=step)
    start = feeder.net.trafo.tap_pos.copy()
    flow = solved(feeder, b3=kw)
    positions, v_pu = by_pandapower(feeder, start, flow)
    assert taps(feeder) == positions
    assert flow.v_pu == approx(v_pu, abs=1e-8)


@pytest.mark.parametrize("share", [-1.0, -0.4, 0.0, 0.6])
def test_a_medium_voltage_network_with_two_held_transformers_does_too(share: float) -> None:
    network = feeders.read("mv-oberrhein")
    customers = network.net.load.groupby("bus").p_mw.sum() * 1e3 * 1.5
    names = [f"HV/MV Transformer {k}" for k in (0, 1)]
    changers = [TapChanger(name, 1.0, 1.02) for name in names]
    kw = dict(zip(customers.index, customers, strict=True))
    feeder = feeder_of(network, {}, changers)
    start = feeder.net.trafo.tap_pos.copy()
    p_kw = share * np.array([kw.get(bus, 0.0) for bus in feeder._names])
    flow = feeder.solve(p_kw, 0.3 * p_kw)
    positions, v_pu = by_pandapower(feeder, start, flow)
    assert taps(feeder) == positions
    assert flow.v_pu == approx(v_pu, abs=1e-8)


def test_load_raises_the_voltage_below_and_sun_lowers_it() -> None:
    """On the high-voltage side fewer turns mean more voltage below."""
    feeder = held_street()
    evening = solved(feeder, b1=-350.0)
    assert taps(feeder)[0] < 0
    idle = solved(held_street(HELD, tap=0))
    high = held_street(tap=-2)
    solved(high)
    assert taps(high)[0] > -2
    assert HELD.low_pu <= evening.v_pu[1] <= HELD.high_pu
    assert HELD.low_pu <= idle.v_pu[1] <= HELD.high_pu


def test_at_the_end_of_its_range_a_changer_stays_and_the_voltage_is_what_it_is() -> None:
    feeder = held_street(reach=1)
    flow = solved(feeder, b1=-399.0, b3=-100.0)
    assert flow.converged
    assert taps(feeder) == [-1]
    assert flow.v_pu[1] < HELD.low_pu


def test_a_state_depends_on_nothing_that_was_solved_before() -> None:
    feeder = held_street(second=True)
    alone = solved(feeder, b3=-300.0)
    for kw in (400.0, -380.0, 0.0):
        solved(feeder, b3=kw, c3=kw)
    again = solved(feeder, b3=-300.0)
    assert again.v_pu.tobytes() == alone.v_pu.tobytes()
    assert again.edition == alone.edition


def test_states_that_are_solved_together_turn_their_own_taps() -> None:
    feeder = held_street(second=True)
    p_kw = np.zeros((3, len(feeder.buses)))
    p_kw[:, feeder.buses.index("b3")] = (-300.0, 0.0, 250.0)
    together = feeder.solve_many(p_kw, 0 * p_kw)
    assert len({flow.edition for flow in together}) > 1
    for state, flow in zip(p_kw, together, strict=True):
        assert feeder.solve(state, 0 * state).v_pu.tobytes() == flow.v_pu.tobytes()


def test_sensitivities_are_those_of_the_taps_that_the_state_has() -> None:
    feeder = held_street()
    flow = solved(feeder, b3=-300.0)
    solved(feeder)
    slope = feeder.sensitivities(flow, ["b3"]).v_pu_per_kw[0, feeder.buses.index("b3")]
    row, step = feeder.buses.index("b3"), 0.01
    ends = []
    for sign in (1, -1):
        p_kw = flow.p_kw.copy()
        p_kw[row] += sign * step
        ends.append(feeder.solve(p_kw, flow.q_kvar).v_pu[row])
    assert slope == approx((ends[0] - ends[1]) / (2 * step), rel=1e-5)


def test_a_held_transformer_that_is_lost_turns_nothing_and_comes_back() -> None:
    feeder = held_street(second=True)
    before = solved(feeder, b3=-300.0, c3=-20.0)
    feeder.apply(GridChange("transformer", "tx", "out"))
    dark = solved(feeder, b3=-300.0, c3=-20.0)
    assert dark.converged
    assert dark.unsupplied == ("b1", "b2", "b3")
    assert taps(feeder) == [0]
    feeder.apply(GridChange("transformer", "tx", "in"))
    assert solved(feeder, b3=-300.0, c3=-20.0).v_pu.tobytes() == before.v_pu.tobytes()


def test_a_tap_that_an_event_turns_is_where_the_changer_starts_from() -> None:
    feeder = held_street(TapChanger("tx", 0.94, 1.06))
    feeder.apply(GridChange("tap", "tx", position=2))
    flow = solved(feeder)
    assert taps(feeder) == [2]
    assert flow.v_pu[1] == approx(1 / 1.05, abs=2e-3)


def test_every_wrong_changer_is_told_of_at_once() -> None:
    net = street_net(second=True)
    net.trafo.loc[1, "tap_min"] = np.nan
    wrong = (TapChanger("tz", 0.98, 1.02), TapChanger("ty", 0.98, 1.02), TapChanger("tx", 0.999, 1.001))
    with pytest.raises(FeederError) as refused:
        feeder_of(Network("street", net), {}, wrong)
    assert [fault.where for fault in refused.value.faults] == [
        "tap_changers[0].transformer",
        "tap_changers[1]",
        "tap_changers[2]",
    ]
    assert refused.value.faults[0].remedy.startswith("known: tx")


def test_one_transformer_has_one_changer() -> None:
    with pytest.raises(FeederError, match=r"tap_changers\[1\].transformer: tx has a tap changer already"):
        held_street(HELD, TapChanger("tx", 0.97, 1.03))
