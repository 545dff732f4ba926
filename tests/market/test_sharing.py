"""Who gets what where the price leaves a choice: pro rata, alike, in turn, by lot."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.rounds import Rules, problem_of
from sim.curves import Plateau
from sim.errors import MarketError
from sim.market.certificate import certify
from sim.market.policies import POLICIES, locational
from sim.market.problem import Limit, LinearLimit, Problem, Sharing
from tests.market.books import GRID, demand, retailer, street, supply
from tests.strategies import problems

RULES = get_args(Sharing)
some = settings(max_examples=60, deadline=None)
EVS = tuple(demand(f"ev-{n}", 0.3, kw, "tx-1") for n, kw in enumerate((11.0, 7.0, 2.0, 11.0)))


def shared(sharing: Sharing, import_kw: float, *, seed: int = 0) -> list[float]:
    """Four cars of 11, 7, 2 and 11 kW that would pay the same, behind a transformer that cannot serve them all."""
    problem = street(retailer(0.05, 0.1), *EVS, import_kw=import_kw, sharing=sharing, seed=seed)
    clearing = locational.clear(problem)
    assert certify(problem, clearing).certified
    assert clearing.price_per_kwh["tx-1"] == 0.3
    return [-clearing.setpoint_kw[ev.era] for ev in EVS]


def test_pro_rata_gives_everybody_the_same_part_of_what_it_could_take():
    assert shared("PRO_RATA", 15.5) == pytest.approx([5.5, 3.5, 1.0, 5.5])


@pytest.mark.parametrize(("import_kw", "expected"), [(4, [1, 1, 1, 1]), (20, [6, 6, 2, 6]), (27, [9, 7, 2, 9])])
def test_an_equal_share_is_the_same_power_until_somebody_has_all_it_could_take(import_kw, expected):
    assert shared("EQUAL_SHARE", import_kw) == pytest.approx(expected)


def test_in_order_of_time_the_first_is_served_before_the_next():
    assert shared("TIME_PRIORITY", 15) == pytest.approx([11, 4, 0, 0])
    assert shared("TIME_PRIORITY", 19) == pytest.approx([11, 7, 1, 0])


def test_a_lottery_draws_an_order_that_the_seed_alone_decides():
    by_seed = {seed: shared("LOTTERY", 11, seed=seed) for seed in range(20)}
    assert all(shared("LOTTERY", 11, seed=seed) == drawn for seed, drawn in by_seed.items())
    assert {sum(drawn) for drawn in by_seed.values()} == {11}
    assert len({tuple(drawn) for drawn in by_seed.values()}) > 4


def test_one_more_participant_changes_nobody_elses_place_in_a_lottery():
    names = [f"ev-{n}" for n in range(30)]
    few, many = (
        Problem(tuple(demand(name, 0.3, 7) for name in some_of_them), sharing="LOTTERY", seed=7)
        for some_of_them in (names[1:], names)
    )
    order = [names[i] for i in np.argsort(many.rank)]
    assert [names[1:][i] for i in np.argsort(few.rank)] == [name for name in order if name != "ev-0"]


def test_each_interval_of_a_run_draws_another_order_and_says_by_which_seed():
    rules = Rules(POLICIES["locational"], POLICIES["none"], 0.5, -1.0, 2.0, 0.6, 300, 120, sharing="LOTTERY", seed=3)
    drawn = [problem_of(EVS, street(*EVS).limits, rules, "retailer", interval) for interval in range(12)]
    assert drawn == [problem_of(EVS, street(*EVS).limits, rules, "retailer", interval) for interval in range(12)]
    assert len({tuple(problem.rank) for problem in drawn}) > 4
    by_hand = Problem(EVS, street(*EVS).limits, sharing="LOTTERY", seed=drawn[5].seed)
    assert by_hand.rank.tolist() == drawn[5].rank.tolist()
    fair = replace(rules, sharing="PRO_RATA")
    assert problem_of(EVS, street(*EVS).limits, fair, "retailer", 5).seed == 0


def test_sellers_share_by_the_same_rules():
    """12 kW of demand for roofs of 10, 10 and 2 kW that ask the same."""
    roofs = tuple(supply(f"pv-{n}", 0.05, kw) for n, kw in enumerate((10.0, 10.0, 2.0)))
    expected = {"PRO_RATA": [60 / 11, 60 / 11, 12 / 11], "EQUAL_SHARE": [5, 5, 2], "TIME_PRIORITY": [10, 2, 0]}
    for sharing, powers in expected.items():
        clearing = locational.clear(Problem((*roofs, demand("ev", 0.3, 12.0)), sharing=sharing))
        assert [clearing.setpoint_kw[roof.era] for roof in roofs] == pytest.approx(powers)


def test_the_first_in_line_behind_a_narrower_limit_leaves_its_place_to_the_next():
    """mv lets 12 kW in, lv 4 kW of them: the first two cars sit behind lv, the third beside it."""
    limits = (GRID, Limit("mv", "grid", 12.0), Limit("lv", "mv", 4.0))
    cars = (demand("a", 0.3, 7, "lv"), demand("b", 0.3, 7, "lv"), demand("c", 0.3, 7, "mv"), demand("d", 0.3, 7, "mv"))
    served = {}
    for sharing in RULES:
        problem = Problem((retailer(0.05, 0.1), *cars), limits, slack="retailer", sharing=sharing)
        clearing = locational.clear(problem)
        assert certify(problem, clearing).certified
        assert clearing.flow_kw["mv"] == pytest.approx(12)
        served[sharing] = [-clearing.setpoint_kw[car.era] for car in cars]
    assert served["TIME_PRIORITY"] == pytest.approx([4, 0, 7, 1])
    assert served["EQUAL_SHARE"] == pytest.approx([2, 2, 4, 4])


def test_offsets_are_what_each_rule_adds_to_the_power_just_below_the_price():
    problem = street(retailer(0.05, 0.1), *EVS, import_kw=20, sharing="EQUAL_SHARE")
    assert locational.clear(problem).offset_kw == pytest.approx({"ev-0": 5, "ev-1": 1, "ev-3": 5})


def test_a_rule_that_nobody_knows_is_refused():
    with pytest.raises(MarketError, match="did you mean PRO_RATA"):
        Problem((), sharing="PRO_RATE")


@pytest.mark.parametrize("sharing", RULES)
@some
@given(problem=problems())
def test_every_clearing_is_certified_under_every_rule(sharing, problem):
    problem = replace(problem, sharing=sharing)
    clearing = locational.clear(problem)
    assert certify(problem, clearing).violations == ()
    assert clearing.welfare == pytest.approx(locational.clear(replace(problem, sharing="PRO_RATA")).welfare, abs=1e-6)
    assert all(kw > 0 for kw in clearing.offset_kw.values())


@pytest.mark.parametrize("sharing", RULES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_clearing_within_a_linear_limit_is_certified_under_every_rule(sharing, data):
    problem = data.draw(problems())
    eras = [offer.era for offer in problem.offers if offer.era != problem.slack]
    weight = {era: data.draw(st.sampled_from([1.0, -1.0, 0.5, 0.0])) for era in eras}
    limit = LinearLimit("v", weight, data.draw(st.integers(0, 4).map(float)))
    problem = replace(problem, price_floor=-1.0, price_cap=2.0, linear=(limit,), sharing=sharing)
    assert certify(problem, locational.clear(problem)).violations == ()


@pytest.mark.parametrize("sharing", [rule for rule in RULES if rule != "TIME_PRIORITY"])
@some
@given(problem=problems(), random_order=st.randoms(use_true_random=False))
def test_the_order_of_offers_matters_to_no_rule_but_that_of_time(sharing, problem, random_order):
    problem = replace(problem, sharing=sharing)
    shuffled = replace(problem, offers=tuple(random_order.sample(problem.offers, len(problem.offers))))
    before, after = locational.clear(problem).setpoint_kw, locational.clear(shuffled).setpoint_kw
    assert {era: after[era] for era in before} == pytest.approx(dict(before), abs=1e-6)


ranges = st.lists(
    st.tuples(st.floats(-9, 9), st.floats(0, 9), st.booleans(), st.integers(0, 2)), min_size=1, max_size=12
)


@settings(max_examples=200, deadline=None)
@given(ranges, st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_shares_sum_to_what_each_group_is_to_give_and_nobody_leaves_its_range(parts, shares):
    low = np.array([part[0] for part in parts])
    high = low + [part[1] for part in parts]
    group = np.array([part[3] for part in parts], dtype=np.intp)
    least, most = (np.bincount(group, end, minlength=3) for end in (low, high))
    target = least + np.array(shares) * (most - least)
    plateau = Plateau.of(low, high, np.array([part[2] for part in parts]))
    for ruled in (plateau, plateau.shared_equally(), plateau.shared_in_turn(np.arange(len(parts), dtype=float))):
        power = ruled.split(group, target)
        assert np.bincount(group, power, minlength=3).tolist() == pytest.approx(target.tolist(), abs=1e-12, rel=1e-12)
        assert (power >= low - 1e-12).all()
        assert (power <= high + 1e-12).all()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 9), min_size=1, max_size=9), st.floats(0, 1))
def test_an_equal_share_leaves_nobody_behind_who_could_take_more(rooms, share):
    high = np.array(rooms)
    power = (
        Plateau.of(np.zeros(len(high)), high)
        .shared_equally()
        .split(np.zeros(len(high), np.intp), np.array([share * high.sum()]))
    )
    level = power.max()
    assert power.tolist() == pytest.approx(np.minimum(high, level).tolist(), abs=1e-9)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 9), min_size=1, max_size=9), st.floats(0, 1))
def test_in_turn_nobody_gets_anything_before_the_one_ahead_has_all(rooms, share):
    high = np.array(rooms)
    target = share * high.sum()
    rank = np.arange(len(high), dtype=float)
    power = (
        Plateau.of(np.zeros(len(high)), high)
        .shared_in_turn(rank)
        .split(np.zeros(len(high), np.intp), np.array([target]))
    )
    ahead = np.concatenate(([0.0], high.cumsum()[:-1]))
    assert power.tolist() == pytest.approx(np.clip(target - ahead, 0.0, high).tolist(), abs=1e-9)
