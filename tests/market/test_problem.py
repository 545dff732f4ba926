"""Market problems: what is contradictory is refused with every fault; a tree knows who lies below whom."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sim.curves import OfferCurve
from sim.errors import MarketError
from sim.market.policies import locational
from sim.market.problem import Limit, Offer, Problem
from tests.market.books import GRID, demand, fixed, retailer, supply


def faults(*offers: Offer, **settings: object) -> dict[str, str]:
    with pytest.raises(MarketError) as refusal:
        Problem(offers, **settings)
    return {fault.where: fault.what for fault in refusal.value.faults}


def test_every_fault_of_a_problem_is_told_at_once():
    limits = (GRID, Limit("tx-1", "gird"), Limit("tx-1", "grid", -5, math.nan), Limit("tx-2", "tx-2"))
    offers = (demand("ev", 0.3, 5, "tx-9"), demand("ev", 9.0, 5), Offer("b", "grid", OfferCurve.of([(0, 1)]), math.nan))
    assert faults(*offers, limits=limits, k=1.5, price_floor=-1, price_cap=5, slack="retailer") == {
        "k": "1.5 is not within 0..1",
        "limits/1/parent": "tx-1: unknown node gird",
        "limits/2": "node tx-1 was given before",
        "limits/2/import_limit_kw": "tx-1: -5 is not a limit >= 0",
        "limits/2/export_limit_kw": "tx-1: nan is not a limit >= 0",
        "limits/3/parent": "tx-2 does not hang below the root, but below itself or a lost node",
        "offers/0/node": "ev: unknown node tx-9",
        "offers/1": "ev has offered before; one offer for each era",
        "offers/1/curve": "ev names prices outside -1..5",
        "offers/2/baseline_kw": "b: nan is not a power",
        "slack": "retailer has not offered",
    }


def test_a_typo_is_answered_with_the_nearest_name():
    with pytest.raises(MarketError, match=r"did you mean grid\?"):
        Problem((), (GRID, Limit("tx-1", "gird")))


def test_there_is_one_root():
    assert faults(limits=(GRID, Limit("other"))) == {
        "limits": "2 nodes have no parent (grid, other): there must be one root"
    }


def test_a_ring_has_no_root():
    found = faults(limits=(Limit("a", "b"), Limit("b", "a")))
    assert set(found) == {"limits", "limits/0/parent", "limits/1/parent"}


def test_the_slack_belongs_at_the_root():
    limits = (GRID, Limit("tx-1", "grid"))
    assert "belongs at the root" in faults(retailer(0.1, 0.2, node="tx-1"), limits=limits, slack="retailer")["slack"]


def test_a_floor_above_the_cap_is_refused():
    assert faults(price_floor=2.0, price_cap=1.0) == {"price_floor": "2 is above the price cap 1"}


def test_who_names_no_price_cannot_name_a_wrong_one():
    assert Problem((fixed("house", -2),), price_floor=0.5).price_floor == 0.5


def test_without_limits_there_is_one_node_named_by_the_offers():
    assert Problem((demand("ev", 0.3, 5, "street"),)).tree.names == ("street",)
    assert Problem(()).tree.names == ("grid",)
    assert set(faults(demand("ev", 0.3, 5, "a"), demand("pv", 0.3, 5, "b"))) == {"offers/1/node"}


def test_parents_come_first_in_the_tree_however_they_were_given():
    limits = (Limit("lv", "mv", 1, 2), Limit("mv", "grid", 3, 4), GRID)
    offers = (fixed("a", -1, "lv"), fixed("b", 5, "mv"), fixed("c", 2))
    tree = Problem(offers, limits).tree
    assert tree.names == ("grid", "mv", "lv")
    assert tree.parent == (-1, 0, 1)
    assert tree.children == ((1,), (2,), ())
    assert tree.lower_kw.tolist() == [-math.inf, -3, -1]
    assert tree.upper_kw.tolist() == [math.inf, 4, 2]
    assert tree.power_kw(np.array([-1.0, 5.0, 2.0])).tolist() == [6, 4, -1]
    assert tree.below(1).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([(0.1, -7), (0.1, 0)], -7),
        ([(0.1, 0), (0.1, 5)], 5),
        ([(0.1, -3), (0.3, 3)], 0),
        ([(0, -2)], -2),
        ([(0, 0)], 0),
        ([(0, 0), (1, 0.5)], 0.5),
        ([(0, -0.5), (1, 0.5)], 0),
    ],
)
def test_the_baseline_of_a_load_is_all_it_can_take_and_of_a_generator_all_it_can_give(points, expected):
    assert Offer("x", "grid", OfferCurve.of(points)).uncoordinated_kw == expected


def test_limits_of_the_root_hold_nothing_back_and_that_is_said():
    problem = Problem((supply("pv", 0.1, 5), demand("ev", 0.3, 5)), (Limit("grid", None, 1.0, 1.0),))
    clearing = locational.clear(problem)
    assert clearing.quantity_kw == 5
    assert clearing.notes == ("grid is the root: nothing lies above it, so its limits hold nothing back",)
