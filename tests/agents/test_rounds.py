"""What the wires say to an outcome, and what is cleared instead: pure functions, no messages."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from agents.rounds import (
    MARGIN_ON_GAP,
    SAME_LOSSES,
    Round,
    Rules,
    Stage,
    clear_and_certify,
    next_round,
    offset_round,
    round_without,
    solve,
    tightened,
)
from sim.errors import MarketError
from sim.market.assessment import Assessment, NodeFinding
from sim.market.policies import POLICIES
from sim.market.problem import Limit, LinearLimit, Offer, Problem
from tests.market.books import GRID, demand, fixed, retailer, supply

NESTED = (GRID, Limit("mv", "grid", 100.0, 100.0), Limit("lv", "mv", 50.0, 40.0))
NOTHING_FOUND = Assessment(solved=True)


def market(*offers: Offer, linear: tuple[LinearLimit, ...] = ()) -> Problem:
    """grid ── mv ── lv, and a retailer at 0.10 and 0.30"""
    return Problem(
        (*offers, retailer(0.1, 0.3)),
        NESTED,
        price_floor=-0.5,
        price_cap=3.0,
        slack="retailer",
        linear=linear,
    )


def rules(policy: str = "locational", rounds_max: int = 3, fallback: str = "curtail-only") -> Rules:
    return Rules(POLICIES[policy], POLICIES[fallback], 0.5, -0.5, 3.0, 0.6, 300, 120, rounds_max)


def cleared(problem: Problem, by: Rules | None = None, *, number: int = 1, fallback: bool = False) -> Round:
    by = by or rules()
    solved = solve(problem, by, clear_and_certify, fallback=fallback)
    return Round(Stage.CLEARED, problem, solved.clearing, solved.certificate, solved.fallback, number)


def found(node: str, forward_kw: float = 0.0, reverse_kw: float = 0.0) -> Assessment:
    return Assessment(solved=True, nodes=(NodeFinding(node, math.nan, 1.1, forward_kw, reverse_kw),))


def retightened(problem: Problem, assessment: Assessment) -> dict[str, Limit]:
    done = cleared(problem)
    assert done.clearing is not None
    again, broken = tightened(problem, done.clearing, assessment)
    assert broken
    return {limit.node: limit for limit in again.limits}


EVENING = market(demand("ev", 1.0, 30, "lv"), fixed("house", -10, "lv"))
NOON = market(supply("pv", 0.0, 35, "lv"), fixed("house", -5, "lv"))


# --- limits of the tree ---------------------------------------------------------------------------------------------


def test_too_much_import_leaves_the_planned_flow_less_the_measured_gap_and_a_little_more() -> None:
    lv = retightened(EVENING, found("lv", forward_kw=4.0))["lv"]
    assert lv == Limit("lv", "mv", 40 - MARGIN_ON_GAP * 4, 40.0)


def test_too_much_export_does_the_same_the_other_way() -> None:
    lv = retightened(NOON, found("lv", reverse_kw=2.0))["lv"]
    assert lv == Limit("lv", "mv", 50.0, 30 - MARGIN_ON_GAP * 2)


def test_a_gap_larger_than_the_flow_closes_a_limit_and_never_turns_it_round() -> None:
    assert retightened(EVENING, found("lv", forward_kw=60.0))["lv"].import_limit_kw == 0.0


def test_only_the_node_that_was_found_broken_is_tightened() -> None:
    limits = retightened(EVENING, found("mv", forward_kw=1.0))
    assert limits["lv"] == NESTED[2]
    assert limits["mv"].import_limit_kw == approx(40 - 1.05)


def test_a_hair_above_a_limit_is_no_excess() -> None:
    done = cleared(EVENING)
    assert next_round(done, found("lv", forward_kw=0.9e-4 * 50), rules()) is None
    assert next_round(done, found("lv", forward_kw=1.1e-4 * 50), rules()) is not None


def test_any_excess_at_a_node_without_a_limit_of_its_own_sets_one() -> None:
    problem = replace(EVENING, limits=(GRID, Limit("mv", "grid"), Limit("lv", "mv")))
    assert retightened(problem, found("lv", forward_kw=0.001))["lv"].import_limit_kw == approx(40 - 0.00105)


@given(forward_kw=st.floats(0, 200), reverse_kw=st.floats(0, 200), kw=st.floats(-45, 35), solved=st.booleans())
def test_whatever_is_found_no_limit_loosens(forward_kw: float, reverse_kw: float, kw: float, *, solved: bool) -> None:
    done = cleared(market(fixed("house", kw, "lv")))
    assert done.problem is not None
    assert done.clearing is not None
    assessment = replace(found("lv", forward_kw, reverse_kw), solved=solved)
    again, _ = tightened(done.problem, done.clearing, assessment)
    for before, after in zip(done.problem.limits, again.limits, strict=True):
        assert 0 <= after.import_limit_kw <= before.import_limit_kw
        assert 0 <= after.export_limit_kw <= before.export_limit_kw


def test_an_outcome_of_the_tightened_problem_lies_on_the_safe_side_of_what_was_measured() -> None:
    """The wires lose 4 kW more than the market thinks, whatever flows: one further round is enough."""
    again = next_round(cleared(EVENING), found("lv", forward_kw=4.0), rules())
    assert again is not None
    assert again.problem is not None
    clearing = cleared(again.problem).clearing
    assert clearing is not None
    assert clearing.flow_kw["lv"] <= 40 - 4


def test_an_assessment_of_a_node_that_is_not_there_is_refused() -> None:
    done = cleared(EVENING)
    with pytest.raises(MarketError, match="unknown node lvv"):
        next_round(done, found("lvv"), rules())


def test_a_limit_on_somebody_who_has_not_offered_is_refused() -> None:
    done = cleared(EVENING)
    with pytest.raises(MarketError, match="ev-7 has not offered"):
        next_round(done, Assessment(solved=True, voltages=(LinearLimit("v", {"ev-7": 1.0}, 0.0),)), rules())


# --- linear limits --------------------------------------------------------------------------------------------------


def test_voltages_of_earlier_rounds_stay_and_the_same_bus_s_newer_one_replaces() -> None:
    old, other = LinearLimit("voltage b1 high", {"pv": 1e-3}, 0.02), LinearLimit("voltage b2 high", {"pv": 2e-3}, 0.05)
    newer, low = (
        LinearLimit("voltage b1 high", {"pv": 1.1e-3}, 0.021),
        LinearLimit("voltage b1 low", {"pv": -1e-3}, 0.1),
    )
    done = cleared(replace(NOON, linear=(old, other)))
    again = next_round(done, Assessment(solved=True, voltages=(newer, low)), rules())
    assert again is not None
    assert again.problem is not None
    assert again.problem.linear == (newer, other, low)


# --- whom no supply reaches, and no solution ------------------------------------------------------------------------


def test_whom_no_supply_reaches_offers_nothing_and_the_others_are_cleared_again() -> None:
    again = next_round(cleared(EVENING), Assessment(solved=True, unserved=("house",)), rules())
    assert again is not None
    assert again.problem is not None
    clearing = cleared(again.problem).clearing
    assert clearing is not None
    assert clearing.setpoint_kw == {"ev": -30.0, "house": 0.0, "retailer": 30.0}
    assert clearing.curtailed_kw == {}


def test_curtailment_knows_no_baseline_in_the_dark_either() -> None:
    problem = replace(
        EVENING, offers=tuple(replace(o, baseline_kw=-10.0) if o.era == "house" else o for o in EVENING.offers)
    )
    by = rules("curtail-only")
    again = next_round(cleared(problem, by), Assessment(solved=True, unserved=("house",)), by)
    assert again is not None
    assert again.problem is not None
    clearing = cleared(again.problem, by).clearing
    assert clearing is not None
    assert clearing.setpoint_kw["house"] == 0.0


def test_without_a_solution_every_flow_is_halved() -> None:
    limits = retightened(EVENING, Assessment(solved=False, note="more than the grid can carry"))
    assert limits == {"grid": GRID, "mv": Limit("mv", "grid", 20.0, 0.0), "lv": Limit("lv", "mv", 20.0, 0.0)}
    limits = retightened(NOON, Assessment(solved=False))
    assert limits["lv"] == Limit("lv", "mv", 0.0, 15.0)


# --- losses ---------------------------------------------------------------------------------------------------------


def test_marginal_losses_lower_the_price_of_whoever_adds_to_them_and_raise_that_of_whoever_saves_some() -> None:
    again = next_round(cleared(NOON), Assessment(solved=True, loss_factor={"pv": 0.05, "house": -0.02}), rules())
    assert again is not None
    assert again.problem is not None
    adders = {offer.era: offer.adder_per_kwh for offer in again.problem.offers}
    assert adders == approx({"pv": -0.005, "house": 0.002, "retailer": 0.0})
    assert (again.number, again.final, again.fallback) == (2, False, False)


def test_losses_are_known_well_enough_when_no_price_would_move_by_a_thousandth() -> None:
    def with_adder(adder: float) -> Round:
        offers = tuple(replace(o, adder_per_kwh=adder) if o.era == "pv" else o for o in NOON.offers)
        return cleared(replace(NOON, offers=offers))

    assessment = Assessment(solved=True, loss_factor={"pv": 0.05})
    assert next_round(with_adder(-0.005 + 0.99 * SAME_LOSSES * 0.1), assessment, rules()) is None
    assert next_round(with_adder(-0.005 + 1.01 * SAME_LOSSES * 0.1), assessment, rules()) is not None
    assert next_round(with_adder(-0.005 - 1.01 * SAME_LOSSES * 0.1), assessment, rules()) is not None


def test_where_losses_are_not_asked_about_adders_stay_as_they_were() -> None:
    offers = tuple(replace(o, adder_per_kwh=0.01) if o.era == "pv" else o for o in NOON.offers)
    done = cleared(replace(NOON, offers=offers))
    assert next_round(done, NOTHING_FOUND, rules()) is None


def test_better_known_losses_alone_never_make_the_fallback_serve() -> None:
    done = cleared(NOON, number=3)
    assert next_round(done, Assessment(solved=True, loss_factor={"pv": 0.05}), rules(rounds_max=3)) is None


# --- how often, and then --------------------------------------------------------------------------------------------


def test_an_outcome_that_the_wires_carry_stands() -> None:
    assert next_round(cleared(EVENING), NOTHING_FOUND, rules()) is None


def test_after_the_last_round_the_fallback_clears_and_nobody_asks_about_it_any_more() -> None:
    excess = found("lv", forward_kw=4.0)
    numbers = []
    done: Round | None = cleared(EVENING)
    while done is not None:
        numbers.append((done.number, done.fallback, done.final))
        again = next_round(done, excess, rules(rounds_max=3))
        if again is None:
            break
        assert again.problem is not None
        done = replace(cleared(again.problem, number=again.number, fallback=again.fallback), final=again.final)
    assert numbers == [(1, False, False), (2, False, False), (3, False, False), (4, True, True)]
    assert done is not None
    assert done.clearing is not None
    assert done.clearing.policy == "curtail-only"


@pytest.mark.parametrize("policy", ["utilisation", "none"])
def test_a_policy_that_never_promised_limits_is_not_replaced_by_one_that_does(policy: str) -> None:
    by = rules(policy)
    done = cleared(EVENING, by, number=3)
    assert next_round(done, found("lv", forward_kw=4.0), by) is None


def test_a_policy_that_does_not_heed_limits_is_asked_about_once_and_published() -> None:
    by = rules("pay-as-clear")
    assert next_round(cleared(EVENING, by), found("lv", forward_kw=4.0), by) is None
    assert next_round(cleared(EVENING, by), Assessment(solved=False), by) is None


def test_where_the_fallback_served_it_is_what_counts_whether_it_heeds_limits() -> None:
    by = rules("pay-as-clear", fallback="curtail-only")
    assert next_round(cleared(EVENING, by, fallback=True), found("lv", forward_kw=4.0), by) is not None


def test_a_problem_that_the_policy_cannot_solve_is_the_fallback_s() -> None:
    impossible = LinearLimit("voltage b1 high", {"pv": 1e-3}, -0.02)
    solved = solve(replace(NOON, linear=(impossible,)), rules(), clear_and_certify)
    assert solved.fallback
    assert "voltage b1 high cannot be kept" in solved.stopped
    assert solved.clearing.policy == "curtail-only"
    assert solved.clearing.setpoint_kw["pv"] == approx(0.0)


# --- somebody is dropped --------------------------------------------------------------------------------------------


def test_who_could_not_be_locked_is_silenced_and_the_others_clear_again_with_what_was_settled_before() -> None:
    done = replace(cleared(EVENING), dropped="")
    again = round_without(done, "ev")
    assert again is not None
    assert again.problem is not None
    assert (again.stage, again.dropped, again.number) == (Stage.GATE_CLOSED, "ev", done.number + 1)
    assert again.clearing is None
    silent, *others = again.problem.offers
    assert (silent.era, silent.curve.min_kw, silent.curve.max_kw) == ("ev", 0, 0)
    assert others == list(EVENING.offers[1:])
    assert again.problem.limits == EVENING.limits


def test_nobody_is_dropped_twice_nor_before_there_is_an_outcome() -> None:
    assert round_without(replace(cleared(EVENING), dropped="house"), "ev") is None
    assert round_without(Round(Stage.GATE_CLOSED, EVENING), "ev") is None


def test_a_dropped_participant_stays_dropped_where_the_wires_want_another_outcome() -> None:
    done = replace(cleared(EVENING), dropped="house")
    again = next_round(done, found("lv", forward_kw=4.0), rules())
    assert again is not None
    assert again.dropped == "house"


def test_without_a_command_there_is_no_further_round_and_with_one_it_is_carried_out_once() -> None:
    done = cleared(NOON)
    assert offset_round(done) is None
    again = offset_round(replace(done, offset_kw={"lv": -5.0}))
    assert again is not None
    assert again.offset_kw == {}
    assert {era: order.offset_kw for era, order in again.orders.items()} == {"pv": approx(-5)}
