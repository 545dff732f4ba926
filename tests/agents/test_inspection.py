"""What the grid operator sees on real wires before anybody is told of an outcome."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
from pytest import approx

from agents.inspection import Inspector, Point
from grid_models.described import Chain, Description, Source, Transformer, build
from grid_models.feeders import Network, feeder_of
from grid_models.powerflow import PandapowerFeeder
from scenarios.feeder import allowed_loading, limits_kw
from scenarios.spec import Limits
from sim.feeder import Floats, GridChange
from sim.market.assessment import Assessment
from sim.tolerances import VOLTAGE_PU

LIMITS = Limits(margin=0.0)
POINTS = {"near": (Point("left1"),), "far": (Point("left4"),), "other": (Point("right3"),), "top": (Point("busbar"),)}


def fork() -> PandapowerFeeder:
    """grid ─ tx 250 kVA ─ busbar ─┬─ left1 ─ left2 ─ left3 ─ left4
    └─ right1 ─ right2 ─ right3"""
    description = Description(
        source=Source("grid", 20.0),
        transformers={"tx": Transformer("0.25 MVA 20/0.4 kV", "grid", "busbar")},
        chains={
            "left": Chain("NAYY 4x50 SE", "busbar", 4, 0.1),
            "right": Chain("NAYY 4x50 SE", "busbar", 3, 0.1),
        },
    )
    return feeder_of(Network("fork", build("fork", description)), {}, [])


@pytest.fixture(scope="module")
def feeder() -> PandapowerFeeder:
    """Never changed: a result depends on nothing that was solved before."""
    return fork()


def inspector(
    feeder: PandapowerFeeder,
    *,
    points: Mapping[str, Sequence[Point]] = POINTS,
    limits: Limits = LIMITS,
    band_pu: tuple[float, float] = (0.9, 1.1),
    kvar: Callable[[], Floats] | None = None,
    losses: bool = False,
) -> Inspector:
    return Inspector(
        feeder,
        points=points,
        allowed={branch.name: allowed_loading(limits, branch) for branch in feeder.branches},
        band_pu=band_pu,
        kvar=kvar or (lambda: np.zeros(len(feeder.buses))),
        losses=losses,
        solve=feeder.solve,
    )


def with_kvar(feeder: PandapowerFeeder, **at: float) -> Callable[[], Floats]:
    q_kvar = np.zeros(len(feeder.buses))
    for bus, value in at.items():
        q_kvar[feeder.buses.index(bus)] = value
    return lambda: q_kvar


def excess(assessment: Assessment) -> tuple[float, float]:
    (node,) = assessment.nodes
    return node.excess_forward_kw, node.excess_reverse_kw


# --- what a branch may carry ----------------------------------------------------------------------------------------


def test_up_to_the_allowed_load_nothing_is_exceeded_and_above_it_by_what_is_too_much(feeder: PandapowerFeeder) -> None:
    (branch,) = feeder.branches
    import_kw, export_kw = limits_kw(feeder, LIMITS, branch)
    for p_kw, expected in (
        (-import_kw + 0.001, (0.0, 0.0)),
        (-import_kw - 3.0, (3.0, 0.0)),
        (export_kw - 0.001, (0.0, 0.0)),
        (export_kw + 2.0, (0.0, 2.0)),
    ):
        assert excess(inspector(feeder).assess({"top": p_kw})) == approx(expected, rel=0.03, abs=1e-9)


def test_exactly_at_the_allowed_load_the_transformer_is_at_its_rating(feeder: PandapowerFeeder) -> None:
    (branch,) = feeder.branches
    import_kw, _ = limits_kw(feeder, LIMITS, branch)
    (node,) = inspector(feeder).assess({"top": -import_kw}).nodes
    assert node.loading == approx(1.0, abs=1e-5)
    assert node.flow_kw == approx(import_kw)


def test_losses_of_the_lines_below_count_in_the_flow_through_the_transformer(feeder: PandapowerFeeder) -> None:
    assessment = inspector(feeder).assess({"far": -20.0})
    (node,) = assessment.nodes
    assert 20.5 < node.flow_kw < 20.0 + assessment.losses_kw


def test_reactive_flow_takes_room_that_active_power_cannot_have(feeder: PandapowerFeeder) -> None:
    (branch,) = feeder.branches
    import_kw, _ = limits_kw(feeder, LIMITS, branch)
    seen = inspector(feeder, kvar=with_kvar(feeder, busbar=-120.0)).assess({"top": -import_kw + 1})
    (node,) = seen.nodes
    assert node.loading > 1.05
    allowed = import_kw - 1 - node.excess_forward_kw
    again = inspector(feeder, kvar=with_kvar(feeder, busbar=-120.0)).assess({"top": -allowed})
    assert 0.99 < again.nodes[0].loading <= 1.0


def test_a_margin_shares_and_derating_make_the_same_load_an_excess(feeder: PandapowerFeeder) -> None:
    (branch,) = feeder.branches
    for limits in (
        Limits(margin=0.1),
        Limits(margin=0.0, derating=0.9),
        Limits(margin=0.0, import_share=0.9, export_share=0.9),
    ):
        import_kw, export_kw = limits_kw(feeder, Limits(import_share=0.9, export_share=0.9), branch)
        eye = inspector(feeder, limits=limits)
        assert excess(eye.assess({"top": -import_kw + 0.01})) == (0.0, 0.0)
        assert excess(eye.assess({"top": -import_kw - 1})) == approx((1.0, 0.0), rel=0.05)
        assert excess(eye.assess({"top": export_kw + 1})) == approx((0.0, 1.0), rel=0.05)


# --- voltages -------------------------------------------------------------------------------------------------------

HIGH = {"near": 5.0, "far": 30.0, "other": 20.0, "top": 0.0}


def test_within_the_band_there_are_no_voltage_limits(feeder: PandapowerFeeder) -> None:
    assert inspector(feeder).assess(HIGH).voltages == ()


def test_weights_of_a_voltage_limit_are_finite_differences_of_the_power_flow(feeder: PandapowerFeeder) -> None:
    band = (0.9, 1.03)
    (limit, *_) = inspector(feeder, band_pu=band).assess(HIGH).voltages
    assert limit.name == "voltage left4 high"
    row, step = feeder.buses.index("left4"), 1e-3
    for era, weight in limit.weight.items():
        ends = []
        for sign in (1, -1):
            p_kw = np.zeros(len(feeder.buses))
            for name, power_kw in HIGH.items():
                p_kw[feeder.buses.index(POINTS[name][0].bus)] += power_kw + (sign * step if name == era else 0.0)
            ends.append(feeder.solve(p_kw, np.zeros(len(p_kw))).v_pu[row])
        assert weight == approx((ends[0] - ends[1]) / (2 * step), rel=1e-6)


def test_weights_of_a_low_voltage_have_the_other_sign(feeder: PandapowerFeeder) -> None:
    (limit, *_) = inspector(feeder, band_pu=(0.98, 1.1)).assess({era: -p_kw for era, p_kw in HIGH.items()}).voltages
    assert limit.name == "voltage left4 low"
    assert all(weight < 0 for weight in limit.weight.values())
    assert min(limit.weight, key=lambda era: limit.weight[era]) == "far"


@pytest.mark.parametrize("sign", [1, -1], ids=["high", "low"])
@pytest.mark.parametrize("who", ["far", "near", "other"])
def test_whoever_gives_way_to_a_voltage_limit_brings_the_bus_back_to_first_order(
    feeder: PandapowerFeeder, who: str, sign: int
) -> None:
    """What is left of a gap falls with its square: the limit is the tangent, whoever moves along it."""
    planned = {"near": sign * 20.0, "far": sign * 25.0, "other": sign * 25.0, "top": 0.0}
    here = voltage(feeder, planned)["left4"]
    left = []
    for gap in (2e-3, 1e-3):
        band = (0.5, here - gap) if sign > 0 else (here + gap, 1.5)
        limit = next(v for v in inspector(feeder, band_pu=band).assess(planned).voltages if "left4" in v.name)
        too_much = sum(weight * planned[era] for era, weight in limit.weight.items()) - limit.most
        assert too_much == approx(gap + VOLTAGE_PU)
        gives_way = planned[who] - too_much / limit.weight[who]
        left.append(abs(voltage(feeder, {**planned, who: gives_way})["left4"] - (here - sign * too_much)))
    assert left[0] < 0.15 * 2e-3
    assert left[0] / left[1] == approx(4, rel=0.1)


def voltage(feeder: PandapowerFeeder, planned: Mapping[str, float]) -> dict[str, float]:
    """Solved, by bus."""
    p_kw = np.zeros(len(feeder.buses))
    for era, power_kw in planned.items():
        p_kw[feeder.buses.index(POINTS[era][0].bus)] += power_kw
    return dict(zip(feeder.buses, feeder.solve(p_kw, np.zeros(len(p_kw))).v_pu.tolist(), strict=True))


def test_neighbours_at_the_end_of_a_line_are_spoken_for_by_the_worst_and_other_lines_by_their_own() -> None:
    description = Description(
        source=Source("grid", 20.0),
        transformers={"tx": Transformer("0.25 MVA 20/0.4 kV", "grid", "busbar")},
        chains={name: Chain("NAYY 4x50 SE", "busbar", buses, 0.03) for name, buses in (("long", 12), ("short", 3))},
    )
    line = feeder_of(Network("lines", build("lines", description)), {}, [])
    points = {"end": (Point("long12"),), "side": (Point("short3"),)}
    seen = inspector(line, points=points, band_pu=(0.9, 1.005)).assess({"end": 30.0, "side": 20.0}).voltages
    names = [limit.name for limit in seen]
    assert names[0] == "voltage long12 high"
    assert "voltage short3 high" in names
    assert not {"voltage long11 high", "voltage long10 high"} & set(names)


def test_high_and_low_at_once_are_two_limits(feeder: PandapowerFeeder) -> None:
    planned = {"far": 30.0, "other": -30.0, "near": 0.0, "top": 0.0}
    names = {limit.name for limit in inspector(feeder, band_pu=(0.98, 1.02)).assess(planned).voltages}
    assert {"voltage left4 high", "voltage right3 low"} <= names


def test_a_bus_that_nobody_s_power_moves_makes_no_limit(feeder: PandapowerFeeder) -> None:
    limits = inspector(feeder, band_pu=(0.5, 0.9)).assess(HIGH).voltages
    assert limits
    assert "voltage grid high" not in {limit.name for limit in limits}
    assert all(limit.weight for limit in limits)


# --- several points, several voices ---------------------------------------------------------------------------------


def test_a_host_s_power_enters_where_its_members_are_and_only_those_who_plan_have_weights(
    feeder: PandapowerFeeder,
) -> None:
    pool = {**POINTS, "pool": (Point("left4", 0.75), Point("right3", 0.25))}
    together = inspector(feeder, points=pool, band_pu=(0.9, 1.03), losses=True).assess({"pool": 40.0, "near": 1.0})
    apart = inspector(feeder, band_pu=(0.9, 1.03), losses=True).assess({"far": 30.0, "other": 10.0, "near": 1.0})
    assert together.nodes == apart.nodes
    assert set(together.voltages[0].weight) == {"pool", "near"}
    weight = apart.voltages[0].weight
    assert together.voltages[0].weight["pool"] == approx(0.75 * weight["far"] + 0.25 * weight["other"])
    assert together.voltages[0].most == approx(apart.voltages[0].most)
    assert together.loss_factor is not None
    assert apart.loss_factor is not None
    assert together.loss_factor["pool"] == approx(0.75 * apart.loss_factor["far"] + 0.25 * apart.loss_factor["other"])
    assert set(together.loss_factor) == {"pool", "near"}


def test_the_supplier_stands_above_the_grid_and_neither_flows_nor_weighs(feeder: PandapowerFeeder) -> None:
    eye = inspector(feeder, band_pu=(0.9, 1.03), losses=True)
    with_it, without = eye.assess({**HIGH, "retailer": -55.0}), eye.assess(HIGH)
    assert with_it == without


def test_loss_factors_are_what_another_kw_adds_to_the_losses(feeder: PandapowerFeeder) -> None:
    eye = inspector(feeder, losses=True)
    factors = eye.assess(HIGH).loss_factor
    assert factors is not None
    for era, p_kw in HIGH.items():
        more, less = (eye.assess({**HIGH, era: p_kw + step}).losses_kw for step in (1e-3, -1e-3))
        assert factors[era] == approx((more - less) / 2e-3, rel=1e-5)
    assert inspector(feeder).assess(HIGH).loss_factor is None


# --- the dark, and no solution --------------------------------------------------------------------------------------


def test_whom_no_supply_reaches_is_named_and_a_host_only_if_it_reaches_nobody_of_it() -> None:
    dark = fork()
    dark.apply(GridChange("line", "left3", "out"))
    points = {**POINTS, "half": (Point("left1", 0.5), Point("left4", 0.5)), "all": (Point("left3"), Point("left4"))}
    planned = {"near": -5.0, "far": -5.0, "half": -4.0, "all": -4.0, "retailer": 18.0}
    assessment = inspector(dark, points=points, losses=True).assess(planned)
    assert assessment.solved
    assert assessment.unserved == ("far", "all")
    assert assessment.nodes[0].flow_kw == approx(7.0, abs=0.2)
    assert assessment.loss_factor is not None
    assert assessment.loss_factor["far"] == 0.0


def test_who_plans_nothing_in_the_dark_is_not_named_again() -> None:
    dark = fork()
    dark.apply(GridChange("transformer", "tx", "out"))
    assessment = inspector(dark, losses=True).assess({"near": 0.0, "far": 1e-7, "other": -1.0})
    assert assessment.unserved == ("other",)
    (node,) = assessment.nodes
    assert (node.flow_kw, node.loading, node.excess_forward_kw, node.excess_reverse_kw) == (0.0, 0.0, 0.0, 0.0)


def test_voltages_are_not_looked_for_in_the_dark() -> None:
    dark = fork()
    dark.apply(GridChange("line", "left2", "out"))
    names = [limit.name for limit in inspector(dark, band_pu=(0.99, 1.005)).assess(HIGH).voltages]
    assert names
    assert not [name for name in names if name.split()[1] in ("left2", "left3", "left4")]


def test_more_than_the_grid_can_carry_has_no_solution_and_says_why(feeder: PandapowerFeeder) -> None:
    assessment = inspector(feeder, losses=True).assess({"far": -2000.0})
    assert not assessment.solved
    assert "more than the grid can carry" in assessment.note
    assert (assessment.nodes, assessment.voltages, assessment.loss_factor) == ((), (), None)
    assert math.isnan(assessment.losses_kw)


def test_an_assessment_is_the_same_whatever_was_assessed_before(feeder: PandapowerFeeder) -> None:
    eye = inspector(feeder, band_pu=(0.9, 1.03), losses=True)
    first = eye.assess(HIGH)
    eye.assess({"far": -2000.0})
    eye.assess({"other": -60.0})
    assert eye.assess(HIGH) == first
