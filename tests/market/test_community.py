"""Communities that share what their supplier bills: known cases, and what each rule gives to whom."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import MarketError
from sim.market.community import Pool, Prices, Tariff
from sim.market.economics import economic_faults
from sim.market.policies import bill_sharing, mid_market_rate, none, supply_demand_ratio
from sim.market.problem import Problem
from tests.market.books import demand, fixed, retailer, supply
from tests.strategies import problems

STORED = json.loads((Path(__file__).parent.parent / "golden" / "communities.json").read_text(encoding="utf-8"))
NEAR = STORED["tolerance"]
CASES = [pytest.param(case, id=case["id"]) for case in STORED["cases"]]
MODULES = {module.POLICY.name: module for module in (mid_market_rate, supply_demand_ratio, bill_sharing)}


def near(value):
    return pytest.approx(value, abs=NEAR)


def community(case: dict) -> Problem:
    import_price, export_price = case["tariff"]
    loads = [fixed(f"home-{n}", -kw) for n, kw in enumerate(case["demand_kw"])]
    roofs = [fixed(f"roof-{n}", kw) for n, kw in enumerate(case["supply_kw"])]
    return Problem((retailer(export_price, import_price), *loads, *roofs), slack="retailer")


@pytest.mark.parametrize("case", CASES)
def test_a_community_is_billed_as_is_known(case):
    clearing = MODULES[case["policy"]].clear(community(case))
    money = {era: -(clearing.participant_price[era] or 0) * kw for era, kw in clearing.setpoint_kw.items()}
    homes = [era for era in money if era.startswith("home")]
    roofs = [era for era in money if era.startswith("roof")]
    assert [clearing.participant_price[era] for era in homes] == [near(case["buy"])] * len(homes)
    assert [clearing.participant_price[era] for era in roofs] == [near(case["sell"])] * len(roofs)
    assert [money[era] for era in homes] == near(case["bills"])
    assert [-money[era] for era in roofs] == near(case["revenues"])
    assert clearing.setpoint_kw["retailer"] == near(case["slack_kw"])
    assert -money["retailer"] == near(case.get("slack_receives", -money["retailer"]))
    assert sum(money.values()) == near(0)
    assert clearing.accounts == {}


@pytest.mark.parametrize("case", [c for c in CASES if c.id == "bill-sharing"])
def test_who_shares_a_bill_may_get_less_than_by_himself(case):
    problem = community(case)
    alone, together = none.clear(problem), bill_sharing.clear(problem)
    assert together.participant_price["roof-0"] == 0 < alone.participant_price["roof-0"]


@pytest.mark.parametrize("name", MODULES)
def test_a_community_without_a_tariff_is_told_what_it_needs(name):
    offers = (demand("ev", 0.3, 5), supply("pv", 0.1, 5))
    with pytest.raises(MarketError, match="slack: is missing"):
        MODULES[name].clear(Problem(offers))
    one_way = supply("grid-co", 0.2, 100)
    with pytest.raises(MarketError, match="grid-co never withdraws, so there is no export price"):
        MODULES[name].clear(Problem((*offers, one_way), slack="grid-co"))


def test_a_ratio_between_prices_of_both_signs_is_refused():
    problem = Problem((retailer(-0.1, 0.2), fixed("home", -3), fixed("roof", 1)), slack="retailer")
    with pytest.raises(MarketError, match=r"export price -0\.1 and the import price 0\.2 differ in sign"):
        supply_demand_ratio.clear(problem)


@pytest.mark.parametrize("name", MODULES)
def test_a_member_that_needs_nothing_has_no_price(name):
    clearing = MODULES[name].clear(
        Problem((retailer(0.05, 0.2), fixed("empty", 0), fixed("home", -3)), slack="retailer")
    )
    assert clearing.participant_price == {"retailer": 0.2, "empty": None, "home": pytest.approx(0.2)}


# --- properties of the rules ------------------------------------------------------------------------------------------

KW = st.one_of(st.just(0.0), st.floats(0.01, 1000))


@st.composite
def pools(draw: st.DrawFn):
    """Any demand, any supply, and a tariff that takes more than it gives, both above zero."""
    low, high = sorted((draw(st.floats(0.001, 1)), draw(st.floats(0.001, 1))))
    return Pool(draw(KW), draw(KW), Tariff(high, low))


def paid_in(pool: Pool, prices: Prices) -> float:
    """What members pay more than they get, less what the supplier gets."""
    missing = pool.demand_kw - pool.supply_kw
    supplier = missing * (pool.tariff.import_price if missing > 0 else pool.tariff.export_price)
    return prices.buy * pool.demand_kw - prices.sell * pool.supply_kw - supplier


@pytest.mark.parametrize("name", MODULES)
@given(pool=pools())
def test_members_pay_exactly_what_members_and_the_supplier_get(name, pool):
    assert paid_in(pool, MODULES[name].prices(pool)) == pytest.approx(
        0, abs=1e-9 * (1 + pool.demand_kw + pool.supply_kw)
    )


@pytest.mark.parametrize("module", [mid_market_rate, supply_demand_ratio])
@given(pool=pools())
def test_nobody_is_worse_off_than_with_the_supplier(module, pool):
    prices = module.prices(pool)
    assert prices.buy <= pool.tariff.import_price + 1e-12
    assert prices.sell >= pool.tariff.export_price - 1e-12
    assert prices.sell <= prices.buy + 1e-12 or pool.demand_kw == 0 or pool.supply_kw == 0


@given(pools(), st.floats(1, 10))
def test_with_enough_supply_a_ratio_leaves_all_gains_to_the_buyers_and_the_middle_does_not(pool, times):
    pool = replace(pool, demand_kw=1 + pool.demand_kw, supply_kw=(1 + pool.demand_kw) * times)
    tariff = pool.tariff
    ratio, middle = supply_demand_ratio.prices(pool), mid_market_rate.prices(pool)
    assert (ratio.buy, ratio.sell) == (tariff.export_price, tariff.export_price)
    gained = (tariff.import_price - tariff.export_price) * pool.demand_kw / 2
    assert (middle.sell - tariff.export_price) * pool.supply_kw == pytest.approx(
        gained, abs=1e-9 * (1 + pool.supply_kw)
    )


@given(pools(), st.floats(0.1, 10))
def test_prices_depend_on_the_ratio_alone(pool, times):
    larger = replace(pool, demand_kw=pool.demand_kw * times, supply_kw=pool.supply_kw * times)
    for module in MODULES.values():
        one, other = module.prices(pool), module.prices(larger)
        assert (other.buy, other.sell) == pytest.approx((one.buy, one.sell), abs=1e-9)


@given(problems(slack=st.just(True)))
def test_a_community_does_what_it_would_do_anyway(problem):
    for module in (mid_market_rate, bill_sharing):
        clearing = module.clear(problem)
        assert clearing.setpoint_kw == none.clear(problem).setpoint_kw
        found = {fault.condition for fault in economic_faults(problem, clearing)}
        assert not found & {"money", "solvent", "nonprofit"}
