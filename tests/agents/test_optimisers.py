"""Every way for a store to decide: a curve that rises, within what the device can do, and what each promises beyond that."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import mesa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from agents.award import Award
from agents.battery import Battery
from agents.ev import EV
from agents.forecast import Forecast
from agents.optimisers import MPC, OPTIMISERS, Bid, Fan, Optimise, StoreProblem, charging_curve
from agents.resource import Charges, Seat, Terms
from agents.solar import Solar
from agents.twins.battery import BatteryTwin
from agents.twins.ev import EVTwin, Session
from agents.twins.solar import SolarTwin
from agents.worth import Slot, Worth, offer_points, schedule, unserved_kwh, worth_after
from results.run import Run
from scenarios.optimisation import optimiser
from scenarios.populations import EVSpec
from sim.clock import Calendar, local_start
from sim.curves import OfferCurve
from sim.device import Device, Twin
from sim.errors import ScenarioError
from sim.participant import Ids
from tests.agents.test_bidders import PLACE
from tests.test_clock_and_rng import calendar

STORED = json.loads((Path(__file__).parent.parent / "golden" / "bidders.json").read_text(encoding="utf-8"))
DAYS = Calendar(local_start(calendar().start.replace(tzinfo=None), "Europe/Berlin"), 900, 96)
CAP = 3.0
TERMS = Terms("offer", "template", "contract", 300, -0.5, CAP, 43.6, 43.6)

levels = st.floats(0.01, 1).map(lambda x: round(x, 3))


def seat(twin: Twin) -> Seat:
    """Alone in the world, with this device."""
    return Seat(mesa.Model(rng=1), "x", Ids(1, "x"), PLACE, DAYS, Device("x", "bus", "tx", twin))


def car(need_kwh: float, optimise: Optimise | None, *, hours: float = 6.0, **more: Any) -> EV:
    """A car of 60 kWh and 11 kW that has just come; ``more`` for its twin or its driver."""
    own = {key: more.pop(key) for key in ("departure_sd_s", "wear_per_kwh", "unserved_per_kwh") if key in more}
    stay = Session(-900, round(hours * 3600), need_kwh, planned_s=more.pop("planned_s", None))
    twin = EVTwin(capacity_kwh=60, charge_kw=11, charge_efficiency=0.9, target_soc=1.0, sessions=(stay,), **more)
    belief = np.linspace(-0.05, 0.05, 192) * np.array([1, -1] * 96)
    return known(EV(seat(twin), belief_per_kwh=belief, optimise=optimise, **own))


def battery(soc: float, optimise: Optimise | None) -> Battery:
    """A battery of 10 kWh and 5 kW."""
    twin = BatteryTwin(
        capacity_kwh=10, charge_kw=5, discharge_kw=5, charge_efficiency=0.95, discharge_efficiency=0.9, soc=soc
    )
    return known(Battery(seat(twin), wear_per_kwh=0.02, optimise=optimise))


def known(agent: Any) -> Any:
    """The agent with tariffs and terms."""
    agent.tariffs = {"IMPORT": (0.24,) * 420 + (0.32,) * 600 + (0.28,) * 420, "EXPORT": (0.08,) * 1440}
    agent.on_tariffs()
    agent.terms = TERMS
    agent.charges = Charges(wheeling_per_kwh=0.02, fee_per_kwh=0.004, tax_rate=0.1)
    return agent


KINDS = {
    "car": lambda fill, optimise: car(fill * 54, optimise),
    "car that gives back": lambda fill, optimise: car(
        fill * 54, optimise, discharge_kw=11.0, discharge_efficiency=0.9, reserve_soc=0.2, wear_per_kwh=0.03
    ),
    "car that may leave early": lambda fill, optimise: car(fill * 54, optimise, departure_sd_s=3600.0),
    "battery": battery,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OPTIMISERS)
@given(fill=levels, index=st.integers(0, 8), prices=st.lists(st.floats(-0.4, 0.9), min_size=96, max_size=96))
@settings(max_examples=12)
def test_every_optimiser_offers_every_kind_of_store_a_curve_that_rises_and_that_the_device_can_follow(
    name: str, kind: str, fill: float, index: int, prices: list[float]
) -> None:
    agent = KINDS[kind](fill, OPTIMISERS[name].make())
    agent.outlook.forecast = lambda *_: spread(prices)  # type: ignore[method-assign]
    interval = DAYS.interval(index)
    offer = agent.offer(interval, interval.start_s - 300)
    assert offer is not None
    assert agent.device is not None
    assert agent.bid is not None
    assert agent.bid.summary
    powers = [power for _, power in offer.curve.points()]
    assert all(a <= b for a, b in pairwise(powers))
    for asked in (offer.curve.min_kw, offer.curve.max_kw, offer.curve.low(0.25)):
        problem = agent.problem(interval, interval.start_s - 300)
        assert problem is not None
        assert problem.least_kw - 1e-9 <= asked <= problem.most_kw + 1e-9
        fresh = KINDS[kind](fill, None)
        assert fresh.device is not None
        assert fresh.device.twin.advance(asked, DAYS.interval(0)) == pytest.approx(asked, abs=1e-9)


def spread(prices: list[float]) -> Forecast:
    """A forecast of these prices, with quantiles around them."""
    low, high = (tuple(price + by for price in prices) for by in (-0.1, 0.15))
    return Forecast("PRICE", "tx", 0, 0, tuple(prices), low, tuple(prices), high)


# --- what each promises -----------------------------------------------------------------------------------------------


@given(st.floats(0.5, 40), st.lists(st.floats(0.05, 0.5), min_size=1, max_size=20))
def test_where_nothing_is_given_back_mpc_finds_the_closed_form(need_kwh: float, prices: list[float]) -> None:
    """Two methods that share no line: a knapsack, and the worth of stored energy."""
    problem = store(need_kwh, prices)
    ours = MPC()(problem).curve
    closed = OPTIMISERS["cheapest"].make()(problem).curve
    for price in (*prices, 0.01, 0.3, 0.6):
        for asked in (price - 1e-6, price + 1e-6):
            assert ours.low(asked) == pytest.approx(closed.low(asked), abs=1e-6)


def store(need_kwh: float, later: list[float], **changes: Any) -> StoreProblem:
    """A car of 11 kW that leaves after these hours and one more, the first."""
    slot = Slot(11.0, 0.0, 0.0, 60.0, CAP)
    count = len(later) + 1
    made = StoreProblem(
        who="x",
        hours=1.0,
        level_kwh=60 - need_kwh,
        full_kwh=60.0,
        slots=(slot,) * count,
        prices=Forecast("PRICE", "tx", 0, 0, (0.0, *later)),
        charges=Charges(),
        least_kw=-min(need_kwh, 11.0),
        most_kw=0.0,
        need_kwh=need_kwh,
        target_kwh=60.0,
    )
    return replace(made, **changes)


def test_a_threshold_is_the_price_at_which_later_intervals_are_just_enough() -> None:
    """16 kWh at 11 kW: the two cheapest later hours are needed, so full power up to the second cheapest price."""
    threshold = OPTIMISERS["threshold"].make()
    curve = threshold(store(16.0, [0.15, 0.08, 0.12, 0.10])).curve
    assert curve.points() == ((0.10, -11.0), (0.10, 0.0))
    assert threshold(store(16.0, [0.15])).curve.points() == ((0.0, -11.0),), "without laxity, at any price"
    assert threshold(store(0.0, [0.15])).curve.points() == ((0.0, 0.0),)


def test_a_rule_draws_all_at_any_price() -> None:
    rule = OPTIMISERS["rule"].make()
    assert rule(store(16.0, [0.08])).curve.points() == ((0.0, -11.0),)
    assert rule(store(4.0, [0.08])).curve.points() == ((0.0, -4.0),)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_what_cannot_be_met_is_bid_at_full_power_up_to_the_cap_and_reported(name: str) -> None:
    bid = OPTIMISERS[name].make()(store(40.0, [0.1, 0.2]))
    assert bid.curve.low(CAP - 1e-9) == -11.0
    assert bid.unserved_kwh == pytest.approx(7.0)


def test_a_battery_lacks_nothing() -> None:
    for name, known_optimiser in OPTIMISERS.items():
        agent = battery(0.0, known_optimiser.make())
        assert agent.offer(DAYS.interval(0), -300) is not None
        assert agent.bid is not None
        assert agent.bid.unserved_kwh == 0.0, name


@given(st.floats(1, 40), st.floats(0, 1), st.floats(0, 1))
def test_who_fears_high_prices_draws_more_now(need_kwh: float, a: float, b: float) -> None:
    forecast = spread([0.0, 0.1, 0.2, 0.15, 0.3])
    problem = store(need_kwh, [0.1, 0.2, 0.15, 0.3], prices=forecast)
    bold, fearful = (MPC(risk=risk)(problem).curve for risk in sorted((a, b)))
    for price in (0.05, 0.1, 0.15, 0.2, 0.3, 0.45):
        assert fearful.low(price) <= bold.low(price) + 1e-9
    assert MPC(risk=0.5)(problem).curve == MPC()(problem).curve


def test_a_fan_lies_between_its_scenarios_and_without_quantiles_is_mpc() -> None:
    forecast = spread([0.0, 0.1, 0.2, 0.15, 0.3])
    problem = store(16.0, [0.1, 0.2, 0.15, 0.3], prices=forecast)
    low, fan, high = (optimise(problem).curve for optimise in (MPC(risk=0.1), Fan(), MPC(risk=0.9)))
    for price in np.linspace(-0.1, 0.6, 40).tolist():
        assert high.low(price) - 1e-9 <= fan.low(price) <= low.high(price) + 1e-9
    plain = store(16.0, [0.1, 0.2])
    assert Fan()(plain).curve == MPC()(plain).curve


def test_a_battery_s_end_may_be_worth_the_mean_nothing_or_the_level_of_the_beginning() -> None:
    """One later hour at 0.2 and no losses: what is left sells at the mean, at nothing, or has to be there."""
    slot = Slot(5.0, 5.0, 0.0, 10.0, CAP)
    problem = store(0.0, [0.2], target_kwh=None, slots=(slot, slot), full_kwh=10.0, level_kwh=8.0)
    problem = replace(problem, prices=Forecast("PRICE", "tx", 0, 0, (0.4, 0.2)), least_kw=-5.0, most_kw=5.0)
    mean, empty, cyclic = (MPC(end=end)(problem).curve for end in ("mean", "empty", "cyclic"))  # type: ignore[arg-type]
    assert (mean.high(0.19), mean.high(0.31)) == (-2.0, 5.0), "0.3 for what is left"
    assert (empty.low(0.1), empty.high(0.1)) == (3.0, 3.0), "5 kWh sell at 0.2 later, and 3 for whatever they bring"
    assert cyclic.low(0.25) == 5.0, "5 kWh are bought back at 0.2"
    assert cyclic.high(0.19) == -2.0


def test_what_is_kept_beyond_the_end_will_wear_the_battery_as_well() -> None:
    """Else a battery among equal prices would never give anything: later is always beyond the end."""
    slot = Slot(5.0, 5.0, 0.0, 10.0, CAP, discharge_efficiency=0.9, wear_per_kwh=0.03)
    problem = store(0.0, [0.3], target_kwh=None, slots=(slot, slot), full_kwh=10.0, level_kwh=8.0)
    problem = replace(problem, prices=Forecast("PRICE", "tx", 0, 0, (0.3, 0.3)), least_kw=-5.0, most_kw=5.0)
    for optimise in (MPC(), Fan()):
        curve = optimise(problem).curve
        assert (curve.high(0.299), curve.high(0.301)) == (0.0, 5.0)


def test_a_driver_who_may_leave_early_pays_more_now() -> None:
    sure, unsure = (car(30.0, MPC(), departure_sd_s=sd, hours=12.0) for sd in (0.0, 4 * 3600.0))
    curves = [agent.offer(DAYS.interval(1), 600) for agent in (sure, unsure)]
    assert curves[0] is not None
    assert curves[1] is not None
    assert curves[0].curve.low(0.3) > curves[1].curve.low(0.3)
    problem = unsure.problem(DAYS.interval(1), 600)
    assert problem is not None
    chances = problem.leaving
    assert all(0 <= chance < 1 for chance in chances)
    assert chances[-1] == 0.0
    stays = np.cumprod([1 - chance for chance in chances])[-1]
    assert stays < 0.1, "hardly anybody stays until the last minute"


def test_a_driver_pays_no_more_for_a_kwh_than_it_is_worth_to_him() -> None:
    agent = car(50.0, MPC(), hours=1.0, unserved_per_kwh=0.6)
    offer = agent.offer(DAYS.interval(0), -300)
    assert offer is not None
    price = agent.charges.price_when_drawing(0.6)
    assert (offer.curve.low(price - 1e-6), offer.curve.high(price + 1e-6)) == (-11.0, 0.0)


def test_a_car_above_its_reserve_sells_at_the_peak_and_one_below_it_does_not() -> None:
    flexible = {"discharge_kw": 11.0, "discharge_efficiency": 0.9, "reserve_soc": 0.2}
    for need_kwh, sells in ((20.0, True), (50.0, False)):
        agent = car(need_kwh, MPC(), hours=20.0, **flexible)
        offer = agent.offer(DAYS.interval(0), -300)
        assert offer is not None
        assert (offer.curve.high(0.9) > 0) is sells
    full = car(0.0, MPC(), hours=20.0, **flexible)
    offer = full.offer(DAYS.interval(0), -300)
    assert offer is not None
    assert offer.curve.max_kw == 11.0, "one that needs nothing may still give, and take it back"


def test_what_a_car_gives_back_meanwhile_is_needed_again() -> None:
    agent = car(0.0, MPC(), hours=20.0, discharge_kw=11.0, discharge_efficiency=0.8, reserve_soc=0.2)
    assert agent.device is not None
    agent.device.command(11.0)
    problem = agent.problem(DAYS.interval(1), 600)
    assert problem is not None
    assert problem.level_kwh == pytest.approx(60 - 11 * 0.25 / 0.8)


def test_a_charger_s_least_power_is_told_to_the_market_and_what_is_less_is_not_asked_for() -> None:
    agent = car(20.0, MPC(), min_charge_kw=4.1)
    offer = agent.offer(DAYS.interval(0), -300)
    assert offer is not None
    assert offer.min_run_kw == 4.1

    assert agent.setpoint_kw(offer, Award(-11.0, 0.1)) == -11.0
    assert agent.setpoint_kw(offer, Award(-2.0, 0.1)) == 0.0
    nearly_full = car(0.45, MPC(), min_charge_kw=4.1)
    rest = nearly_full.offer(DAYS.interval(0), -300)
    assert rest is not None
    assert rest.min_run_kw == pytest.approx(2.0), "half a kWh is drawn in half of the interval"
    assert nearly_full.setpoint_kw(rest, Award(-2.0, 0.1)) == -4.1
    assert nearly_full.device is not None
    assert nearly_full.device.twin.advance(-4.1, DAYS.interval(0)) == pytest.approx(-2.0)


# --- twins ------------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-15, 15), min_size=8, max_size=8), st.floats(0, 54))
def test_a_car_that_gives_back_creates_no_energy_and_keeps_its_reserve(setpoints: list[float], need_kwh: float) -> None:
    agent = car(need_kwh, None, discharge_kw=7.0, discharge_efficiency=0.8, reserve_soc=0.2)
    assert agent.device is not None
    twin = agent.device.twin
    assert isinstance(twin, EVTwin)
    stored = start = 60.0 - need_kwh
    for index, asked in enumerate(setpoints):
        p_kw = twin.advance(asked, DAYS.interval(index))
        assert -11 <= p_kw <= 7
        assert p_kw * asked >= 0
        stored -= (p_kw * 0.9 if p_kw < 0 else p_kw / 0.8) * 0.25
        assert min(12.0, start) - 1e-9 <= stored <= 60 + 1e-9
        assert twin.soc == pytest.approx(stored / 60)


def test_a_charger_refuses_less_than_its_least_power_and_says_so() -> None:
    twin = car(20.0, None, min_charge_kw=1.4).device.twin  # type: ignore[union-attr]
    assert isinstance(twin, EVTwin)
    assert twin.advance(-1.0, DAYS.interval(0)) == 0.0
    assert twin.refused_kwh == 0.25
    assert twin.advance(-1.4, DAYS.interval(0)) == pytest.approx(-1.4)
    assert twin.refused_kwh == 0.25


# --- roofs ------------------------------------------------------------------------------------------------------------


def roof(sun_kw: list[float], quantile: float = 0.5, **more: Any) -> Solar:
    """A plant of 10 kW."""
    return Solar(seat(SolarTwin(np.array(sun_kw), 10.0, **more)), reserve_per_kwh=0.0, quantile=quantile)


def test_a_cautious_plant_bids_a_quantile_of_what_the_sun_usually_does_next() -> None:
    """Changes so far: -2, -1, 0, +1, +2."""
    sun = [5.0, 3.0, 4.0, 4.0, 6.0, 5.0, 9.0]
    now_s = DAYS.interval(4).end_s - 300
    bids = [roof(sun, quantile).expected_kw(5, now_s) for quantile in (0.0, 0.25, 0.5, 1.0)]
    assert bids == [3.0, 4.0, 5.0, 7.0]


def test_a_plant_bids_the_quantile_of_a_forecast_that_is_published() -> None:
    agent = roof([5.0, 3.0], 0.1, peak_kw=12.0)
    published = Forecast("PV", "sky", 0, 0, (0.5,), (0.25,), (0.5,), (0.9,))
    agent.outlook.forecast = lambda *_: published  # type: ignore[method-assign]
    assert agent.expected_kw(0, -300) == 3.0
    assert agent.expected_kw(1, -300) == 5.0, "beyond it, persistence"


def test_a_plant_that_cannot_be_held_back_injects_whatever_it_is_told() -> None:
    twin = SolarTwin(np.array([3.0, 9.0]), 10.0, curtailable=False)
    assert twin.advance(0.0, DAYS.interval(0)) == 9.0


# --- forecasts --------------------------------------------------------------------------------------------------------


def test_a_forecast_says_nothing_beyond_its_horizon_and_is_linear_between_its_quantiles() -> None:
    forecast = Forecast("PRICE", "tx", 0, 4, (1.0, 2.0), (0.0, 1.0), (1.0, 2.0), (3.0, 4.0))
    assert [forecast.value(index) for index in (3, 4, 5, 6)] == [None, 1.0, 2.0, None]
    asked = [forecast.quantile(4, share) for share in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)]
    assert asked == pytest.approx([0.0, 0.0, 0.5, 1.0, 2.0, 3.0, 3.0])
    assert forecast.quantile(9, 0.5) is None
    assert Forecast("PRICE", "tx", 0, 4, (1.0,)).quantile(4, 0.9) == 1.0


def test_a_forecast_takes_the_place_of_one_s_own_where_it_says_something() -> None:
    own = Forecast("PRICE", "tx", 0, 3, (9.0, 9.0, 9.0))
    merged = Forecast("PRICE", "tx", 0, 4, (1.0,), (0.0,), (1.0,), (3.0,)).over(own).raised([0.5, 0.5, 0.5])
    assert merged.values == (9.5, 1.5, 9.5)
    assert (merged.p10, merged.p90) == ((9.5, 0.5, 9.5), (9.5, 3.5, 9.5))


@pytest.mark.parametrize(
    "quantiles", [{"p10": (1.0,)}, {"p10": (1.0, 5.0), "p50": (2.0, 4.0)}, {"p50": (3.0, 1.0), "p90": (2.0, 4.0)}]
)
def test_quantiles_are_one_a_value_and_do_not_fall(quantiles: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(ValueError, match=r"quantiles"):
        Forecast("PRICE", "tx", 0, 0, (1.0, 2.0), **quantiles)


# --- by name ----------------------------------------------------------------------------------------------------------


def test_options_are_checked_and_all_faults_are_told() -> None:
    assert optimiser("mpc", {"risk": 0.8, "end": "cyclic"}) == MPC(0.8, "cyclic")
    with pytest.raises(ValueError, match=r"rsk: unknown option.*risk.*; end: Input should be.*'mena'"):
        optimiser("mpc", {"rsk": 0.8, "end": "mena"})
    with pytest.raises(ValueError, match=r"risk: 2 is not within 0..1"):
        optimiser("mpc", {"risk": 2})
    with pytest.raises(ValueError, match=r"risk: unknown option, it has none"):
        optimiser("rule", {"risk": 2})


def test_a_name_that_nobody_has_lists_those_that_are_known() -> None:
    with pytest.raises(ValueError, match=r"no such optimiser mcp.*mpc"):
        optimiser("mcp", {})
    with pytest.raises(ValueError, match=r"cannot be imported"):
        optimiser("tests.agents.test_optimisers:absent", {})
    with pytest.raises(ValueError, match=r"not a function"):
        optimiser("tests.agents.test_optimisers:CAP", {})


def stubborn(problem: StoreProblem, *, price: float = 0.2) -> Bid:
    """One from outside: nothing but one price."""
    return Bid(OfferCurve.of([(price, problem.least_kw), (price, 0.0)]), "stubborn")


def broken(problem: StoreProblem) -> Bid:
    """One from outside that fails."""
    raise KeyError(problem.who)


def silent(problem: StoreProblem) -> None:
    """One from outside that answers nothing."""


def test_a_function_from_outside_decides_and_its_mistakes_are_its_author_s() -> None:
    decide = optimiser("tests.agents.test_optimisers:stubborn", {"price": 0.3})
    assert decide(store(4.0, [0.1])).curve.points() == ((0.3, -4.0), (0.3, 0.0))
    with pytest.raises(ValueError, match=r"price: .*number.*'dear'"):
        optimiser("tests.agents.test_optimisers:stubborn", {"price": "dear"})
    for name, said in (("broken", "failed with KeyError"), ("silent", "returned a NoneType, expected a Bid")):
        with pytest.raises(ScenarioError, match=said):
            optimiser(f"tests.agents.test_optimisers:{name}", {})(store(4.0, [0.1]))


# --- golden cases -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", STORED["schedules"], ids=lambda case: case["id"])
def test_a_store_with_perfect_foresight_does_as_published(case: dict[str, Any]) -> None:
    near = {"abs": STORED["tolerance"], "rel": 0}
    slot = Slot(
        case["charge_kw"],
        case.get("discharge_kw", 0.0),
        0.0,
        case["full_kwh"],
        100.0,
        case.get("charge_efficiency", 1.0),
        case.get("discharge_efficiency", 1.0),
        case.get("wear", 0.0),
    )
    prices, target = [(price, price) for price in case["prices"]], case.get("target_kwh", 0.0)
    slots, level = [slot] * len(prices), case.get("level_kwh", 0.0)
    end = Worth.target(target, 100.0, 0.0, case["full_kwh"], 0.0)
    plan = schedule(level, end, slots, prices)
    drawn = [max(-kwh, 0.0) for kwh in plan.grid_kwh]
    by_price: dict[str, float] = {}
    for price, kwh in zip(case["prices"], drawn, strict=True):
        by_price[f"{price:g}"] = by_price.get(f"{price:g}", 0.0) + kwh
    found = {
        "cost": plan.cost,
        "drawn_kwh": sum(drawn),
        "given_kwh": sum(max(kwh, 0.0) for kwh in plan.grid_kwh),
        "unserved_kwh": unserved_kwh(level, slots, target),
        "worth_per_stored_kwh": worth_after(end, slots, prices).at(plan.level_kwh[0]),
    }
    for name, value in found.items():
        assert value == pytest.approx(case.get(name, value), **near), name
    assert plan.grid_kwh == pytest.approx(case.get("grid_kwh", plan.grid_kwh), **near)
    assert by_price == pytest.approx(case.get("by_price", by_price), **near)


@pytest.mark.parametrize("case", STORED["curves"], ids=lambda case: f"{case['id']} {case.get('name', '')}".strip())
def test_a_bidder_s_curve_is_the_published_one(case: dict[str, Any]) -> None:
    curve = {"car": car_curve, "battery": battery_curve, "roof": roof_curve}[case["bidder"]](case)
    for price, power in case["powers"]:
        assert curve.low(price) == pytest.approx(power, abs=STORED["tolerance"]), price


def car_curve(case: dict[str, Any]) -> OfferCurve:
    """The curve of a car by its closed form, which mpc has to give as well."""
    later = [(price, case["charge_kw"]) for price in case["later"]]
    closed = charging_curve(
        need_kwh=case["need_kwh"], now_kwh=case["charge_kw"], later=later, hours=1.0, who=case["id"]
    )
    exact = MPC()(store(case["need_kwh"], case["later"])).curve
    assert [exact.low(price) for price, _ in case["powers"]] == pytest.approx([p for _, p in case["powers"]])
    return closed


def battery_curve(case: dict[str, Any]) -> OfferCurve:
    """The curve of a battery whose stored energy is worth the same at every level."""
    slot = Slot(
        case["charge_kw"],
        case["discharge_kw"],
        0.0,
        case["full_kwh"],
        100.0,
        case["charge_efficiency"],
        case["discharge_efficiency"],
        case["wear"],
    )
    worth = Worth.flat(0.0, case["full_kwh"], case["worth"])
    return OfferCurve.of(offer_points(case["level_kwh"], slot, worth, 1.0))


def roof_curve(case: dict[str, Any]) -> OfferCurve:
    """The curve of a plant under a sun that stays."""
    twin = SolarTwin(np.full(2, float(case["sun_kw"])), 10.0, curtailable=case.get("curtailable", True))
    agent = Solar(seat(twin), reserve_per_kwh=-case.get("subsidy", 0.0))
    agent.charges = Charges(fee_per_kwh=case.get("fee", 0.0))
    return agent.offer(DAYS.interval(0), -300).curve


# --- in a scenario ----------------------------------------------------------------------------------------------------

PARKED = {
    "kind": "ev",
    "capacity_kwh": 60,
    "charge_kw": 11,
    "arrival_h": {"distribution": "uniform", "low": 16, "high": 20},
    "departure_h": {"distribution": "uniform", "low": 6, "high": 9},
    "distance_km": 40,
    "consumption_kwh_per_km": 0.18,
}


def test_a_scenario_names_an_optimiser_with_or_without_options_and_what_it_does_not_name_is_not_written() -> None:
    assert EVSpec.model_validate(PARKED).optimiser is None
    named = EVSpec.model_validate({**PARKED, "optimiser": "mpc"}).optimiser
    assert named is not None
    assert named.made() == MPC()
    chosen = EVSpec.model_validate({**PARKED, "optimiser": {"name": "mpc", "options": {"risk": 0.9}}}).optimiser
    assert chosen is not None
    assert chosen.made() == MPC(risk=0.9)
    new = {"optimiser", "discharge_kw", "departure_sd_h", "min_charge_kw", "reserve_soc", "unserved_per_kwh"}
    assert not new & EVSpec.model_validate(PARKED).model_dump().keys()
    assert new - EVSpec.model_validate({**PARKED, "discharge_kw": 5}).model_dump().keys() == new - {"discharge_kw"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"optimiser": "mcp"}, "no such optimiser mcp, did you mean mpc"),
        ({"optimiser": {"name": "fan", "options": {"risk": 1}}}, "risk: unknown option"),
        ({"min_charge_kw": 12}, "must not be above charge_kw"),
        ({"discharge_kw": 5, "reserve_soc": 0.9, "target_soc": 0.8}, "must not be above target_soc"),
    ],
)
def test_what_no_car_can_do_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        EVSpec.model_validate({**PARKED, **wrong})


NIGHT = ("duration_h=2", "start=2016-05-17T22:00:00")


def test_on_a_street_cars_with_mpc_do_what_those_with_the_closed_form_do(run_street: Callable[..., Run]) -> None:
    closed, exact = run_street(*NIGHT), run_street(*NIGHT, "populations.ev.optimiser=mpc")
    kw = [run.setpoints.set_index(["interval", "era"])["setpoint_kw"].sort_index() for run in (closed, exact)]
    assert (kw[0] - kw[1]).abs().max() < 1e-6
    assert cars_of(closed)["setpoint_kw"].abs().sum() > 100


def cars_of(run: Run) -> Any:
    """The set-points of the cars."""
    return run.setpoints[run.setpoints["era"].isin([era for era, kind in run.kinds.items() if kind == "ev"])]


def test_a_street_s_cars_charge_with_their_least_power_or_more_though_drivers_may_leave_early(
    run_street: Callable[..., Run],
) -> None:
    options = ("optimiser=fan", "discharge_kw=11", "min_charge_kw=4.1", "departure_sd_h=0.5")
    asked = cars_of(run_street(*NIGHT, *(f"populations.ev.{option}" for option in options)))
    charging = asked[asked["setpoint_kw"] <= -4.1]
    assert len(charging) > 20
    assert (charging["delivered_kw"] < 0).mean() > 0.9, "all but those that have just left, or are full"
