"""What happens to a network in mid-run: what changes, what is refused, and what a refusal leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandapower as pp
import pytest
from pytest import approx

from grid_models.feeders import Network, feeder_of
from grid_models.powerflow import PandapowerFeeder
from sim.errors import FeederError
from sim.feeder import Flow, GridChange

At = Callable[..., tuple[Any, Any]]


def out(line: str) -> GridChange:
    return GridChange("line", line, "out")


def back(line: str) -> GridChange:
    return GridChange("line", line, "in")


def looped(net: Any) -> PandapowerFeeder:
    """grid ─ tx ─ b1 ─ b2 ─ b3, and b1 ╱ b3: a ring whose tie is open"""
    tie = pp.create_line(net, 1, 3, 0.1, "NAYY 4x150 SE", name="l13")
    pp.create_switch(net, 1, tie, et="l", closed=False, name="tie")
    return feeder_of(Network("ring", net), {}, [])


def solved(feeder: PandapowerFeeder, at: At, **p_kw: float) -> Flow:
    return feeder.solve(*at(feeder, **p_kw))


def test_behind_a_line_that_is_out_nothing_is_served_and_before_it_everything(net: Any, at: At) -> None:
    feeder = feeder_of(Network("line", net), {}, [])
    feeder.apply(out("l12"))
    assert feeder.unsupplied == ("b2", "b3")
    flow = solved(feeder, at, b1=-10.0, b2=-20.0, b3=-30.0)
    assert flow.converged
    assert flow.unsupplied == ("b2", "b3")
    assert flow.p_kw.tolist() == [0.0, -10.0, 0.0, 0.0]
    assert np.isnan(flow.v_pu).tolist() == [False, False, True, True]
    assert flow.slack_kw == approx(10.0 + flow.losses_kw, abs=1e-6)


def test_what_comes_back_is_as_it_was_to_the_byte(net: Any, at: At) -> None:
    feeder = feeder_of(Network("line", net), {}, [])
    before = solved(feeder, at, b1=-10.0, b3=-30.0)
    for change in (out("l23"), out("l12"), back("l23"), back("l12")):
        feeder.apply(change)
    after = solved(feeder, at, b1=-10.0, b3=-30.0)
    assert after.v_pu.tobytes() == before.v_pu.tobytes()
    assert after.branch_loading.tobytes() == before.branch_loading.tobytes()
    assert feeder.unsupplied == ()


def test_a_change_makes_another_edition_and_old_states_keep_theirs(net: Any, at: At) -> None:
    feeder = looped(net)
    before = solved(feeder, at, b3=-30.0)
    slopes = feeder.sensitivities(before, ["b3"]).v_pu_per_kw.tobytes()
    feeder.apply(out("l12"))
    feeder.apply(GridChange("switch", "tie", "closed"))
    after = solved(feeder, at, b3=-30.0)
    assert after.edition != before.edition
    assert after.v_pu[3] > before.v_pu[3]  # one line instead of two
    assert feeder.sensitivities(before, ["b3"]).v_pu_per_kw.tobytes() == slopes


def test_below_one_transformer_a_ring_may_be_fed_from_either_side_and_from_both(net: Any, at: At) -> None:
    """Limits and prices know the transformer alone; which line it is below it does not matter to them."""
    feeder = looped(net)
    feeder.apply(GridChange("switch", "tie", "closed"))
    both = solved(feeder, at, b2=-30.0, b3=-30.0)
    feeder.apply(out("l23"))
    assert feeder.unsupplied == ()
    assert both.v_pu[3] > 0.95


def test_the_order_in_which_a_grid_is_changed_does_not_matter_to_what_it_becomes(net: Any, at: At) -> None:
    feeder = looped(net)
    opened, closed = (GridChange("switch", "tie", state) for state in ("open", "closed"))
    states = []
    for order in ((closed, out("l12")), (out("l12"), closed)):
        for change in order:
            feeder.apply(change)
        assert feeder.unsupplied == ()
        states.append(solved(feeder, at, b3=-30.0).v_pu.tobytes())
        feeder.apply(opened)
        feeder.apply(back("l12"))
    assert states[0] == states[1]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (out("l2"), r"has no line 'l2'.*l23"),
        (GridChange("transformer", "ty", "out"), r"has no transformer 'ty'.*tx"),
        (GridChange("switch", "tye", "open"), r"has no switch 'tye'.*tie"),
        (GridChange("tap", "tx", position=7), r"tx: position 7 is not within -2\.\.2"),
    ],
)
def test_what_the_grid_does_not_have_is_refused_with_the_nearest_and_nothing_has_changed(
    change: GridChange, what: str, net: Any, at: At
) -> None:
    feeder = looped(net)
    before = solved(feeder, at, b3=-30.0)
    with pytest.raises(FeederError, match=what):
        feeder.apply(change)
    after = solved(feeder, at, b3=-30.0)
    assert (after.v_pu.tobytes(), after.edition) == (before.v_pu.tobytes(), before.edition)


def test_a_refused_way_round_leaves_the_grid_as_it_was(net: Any, at: At) -> None:
    """A second transformer below the same 10 kV: closing the tie between their streets would make a loop."""
    far = pp.create_bus(net, 0.4, name="c1")
    pp.create_transformer(net, 0, far, "0.25 MVA 10/0.4 kV", name="ty")
    tie = pp.create_line(net, 3, far, 0.1, "NAYY 4x150 SE", name="l3c")
    pp.create_switch(net, 3, tie, et="l", closed=False, name="tie")
    feeder = feeder_of(Network("two", net), {}, [])
    before = solved(feeder, at, b3=-30.0, c1=-10.0)
    with pytest.raises(FeederError, match="one way to every bus"):
        feeder.apply(GridChange("switch", "tie", "closed"))
    feeder.apply(out("l23"))
    with pytest.raises(FeederError, match="would feed b3 another way"):
        feeder.apply(GridChange("switch", "tie", "closed"))
    assert feeder.unsupplied == ("b3",)
    feeder.apply(back("l23"))
    assert solved(feeder, at, b3=-30.0, c1=-10.0).v_pu.tobytes() == before.v_pu.tobytes()


def test_a_rest_that_cannot_carry_its_load_has_no_solution_and_carries_less(net: Any, at: At) -> None:
    pp.create_line(net, 1, 3, 2.0, "NAYY 4x50 SE", name="thin")
    feeder = feeder_of(Network("thin", net), {}, [])
    assert solved(feeder, at, b3=-120.0).converged
    feeder.apply(out("l12"))
    weak = solved(feeder, at, b3=-120.0)
    assert not weak.converged
    assert "more than the grid can carry" in weak.note
    assert np.isnan(weak.v_pu).all()
    assert solved(feeder, at, b3=-5.0).converged


def test_turning_a_tap_by_hand_moves_the_voltage_below_by_its_step(net: Any, at: At) -> None:
    feeder = feeder_of(Network("line", net), {}, [])
    before = solved(feeder, at)
    feeder.apply(GridChange("tap", "tx", position=-2))
    assert solved(feeder, at).v_pu[1] / before.v_pu[1] == approx(1 / 0.95, abs=1e-3)
