"""From what an agent wants to the curve it offers."""

from __future__ import annotations

import itertools

import mesa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.award import Award
from agents.battery import Battery
from agents.ev import EV
from agents.household import Household
from agents.optimisers import MPC, Optimise, Threshold, charging_curve, threshold_curve
from agents.resource import Charges, Place, Seat, within_prices
from agents.solar import Solar
from agents.twins.battery import BatteryTwin
from agents.twins.ev import EVTwin, Session
from agents.twins.load import LoadTwin
from agents.twins.solar import SolarTwin
from sim.clock import Calendar, local_start
from sim.curves import OfferCurve
from sim.device import Device, Twin
from sim.participant import Ids
from tests.test_clock_and_rng import calendar

PLACE = Place(host="market", catalogue="catalogue", meter="x", node="tx", currency="EUR")
QUARTER = calendar().interval(0)
prices = st.floats(0.01, 0.5).map(lambda price: round(price, 3))


def seat(twin: Twin) -> Seat:
    days = Calendar(local_start(calendar().start.replace(tzinfo=None), "Europe/Berlin"), 900, 96)
    return Seat(mesa.Model(rng=1), "x", Ids(1, "x"), PLACE, days, Device("x", "bus", "tx", twin))


def test_a_car_with_four_hours_bids_the_steps_of_its_forecast() -> None:
    """16 kWh at 11 kW, forecasts 0.08, 0.10, 0.12, 0.15 for one hour each: 11 kW up to 0.08, 5 kW up to 0.10, then none."""
    later = [(0.08, 11.0), (0.10, 11.0), (0.12, 11.0), (0.15, 11.0)]
    curve = charging_curve(need_kwh=16, now_kwh=11, later=later, hours=1, who="ev")
    assert [curve.low(p) for p in (0.07, 0.09, 0.11)] == pytest.approx([-11, -5, 0])
    assert (curve.low(0.08), curve.high(0.08)) == pytest.approx((-11, -5))
    assert (curve.low(0.10), curve.high(0.10)) == pytest.approx((-5, 0))


@given(
    st.floats(0.1, 40),
    st.lists(st.tuples(prices, st.floats(0.5, 11)), max_size=6),
    prices,
)
def test_a_car_s_bid_is_what_the_cheapest_plan_would_take_now(
    need_kwh: float, later: list[tuple[float, float]], price: float
) -> None:
    curve = charging_curve(need_kwh=need_kwh, now_kwh=11.0, later=later, hours=1.0, who="ev")
    cheaper_kwh = sum(capacity for forecast, capacity in later if forecast < price)
    as_cheap_kwh = sum(capacity for forecast, capacity in later if forecast <= price)
    assert -curve.low(price) == pytest.approx(min(max(need_kwh - cheaper_kwh, 0), 11.0), abs=1e-9)
    assert -curve.high(price) == pytest.approx(min(max(need_kwh - as_cheap_kwh, 0), 11.0), abs=1e-9)


@given(st.floats(0.1, 100), st.lists(st.tuples(prices, st.floats(0.5, 11)), max_size=6))
def test_a_need_that_fits_nowhere_later_is_bid_at_any_price(need_kwh: float, later: list[tuple[float, float]]) -> None:
    curve = charging_curve(need_kwh=need_kwh, now_kwh=11.0, later=later, hours=1.0, who="ev")
    must_kwh = min(max(need_kwh - sum(capacity for _, capacity in later), 0.0), 11.0)
    assert -curve.max_kw == pytest.approx(must_kwh, abs=1e-9)


def battery(soc: float, optimise: Optimise | None = None) -> Battery:
    twin = BatteryTwin(
        capacity_kwh=10, charge_kw=5, discharge_kw=5, charge_efficiency=0.9, discharge_efficiency=0.8, soc=soc
    )
    agent = Battery(seat(twin), wear_per_kwh=0.03, optimise=optimise)
    agent.tariffs = {"IMPORT": (0.24,) * 720 + (0.32,) * 720, "EXPORT": (0.08,) * 1440}
    agent.on_tariffs()
    return agent


def curve_of(agent: Battery) -> OfferCurve:
    """What it offers for the first interval."""
    offer = agent.offer(QUARTER, -300)
    assert offer is not None
    return offer.curve


def test_a_battery_rests_between_its_thresholds_and_the_gap_pays_for_losses_and_wear() -> None:
    agent = battery(0.5)
    worth = 0.20
    curve = curve_of(agent)
    assert curve.low(worth * 0.9 - 1e-6) == -5.0
    assert curve.high(worth * 0.9 + 1e-6) == 0.0
    assert curve.low(worth / 0.8 + 0.03 - 1e-6) == 0.0
    assert curve.high(worth / 0.8 + 0.03 + 1e-6) == 5.0


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from([Threshold(), MPC()]))
def test_the_fuller_a_battery_the_less_it_pays_and_asks(a: float, b: float, optimise: Optimise) -> None:
    emptier, fuller = (battery(soc, optimise).offer(QUARTER, -300) for soc in sorted((a, b)))
    assert emptier is not None
    assert fuller is not None
    for price in (0.08, 0.15, 0.2, 0.25, 0.3, 0.4):
        assert emptier.curve.low(price) <= fuller.curve.high(price) + 1e-9


def test_an_empty_battery_offers_no_discharge_and_a_full_one_no_charge() -> None:
    assert curve_of(battery(0.0)).max_kw == 0.0
    assert curve_of(battery(1.0)).min_kw == 0.0


@given(st.floats(-10, 0), st.floats(0, 10), prices, prices)
def test_thresholds_make_a_rising_curve(low_kw: float, high_kw: float, p: float, q: float) -> None:
    below, above = sorted((p, q))
    curve = threshold_curve(
        low_kw=low_kw, high_kw=high_kw, charge_below_per_kwh=below, discharge_above_per_kwh=above, who="b"
    )
    powers = [power for _, power in curve.points()]
    assert all(x <= y for x, y in itertools.pairwise(powers))


def test_a_plant_sells_down_to_zero_and_forecasts_what_it_sees_now() -> None:
    agent = Solar(seat(SolarTwin(np.array([3.0, 9.0]), 10.0)), reserve_per_kwh=0.0)
    offer = agent.offer(QUARTER, -300)
    assert (offer.curve.low(0.0), offer.curve.high(0.0)) == (0.0, 3.0)
    assert (offer.curve.high(-0.01), offer.curve.low(0.01)) == (0.0, 3.0)
    assert offer.uncoordinated_kw == 3.0


def test_a_plant_is_held_back_only_by_curtailment_or_a_limit_that_is_near() -> None:
    agent = Solar(seat(SolarTwin(np.array([3.0, 9.0]), 10.0)), reserve_per_kwh=0.0)
    offer = agent.offer(QUARTER, -300)
    assert agent.setpoint_kw(offer, Award(3.0, 0.1)) == float("inf")
    assert agent.setpoint_kw(offer, Award(3.0, 0.1, firm=True)) == 3.0
    assert agent.setpoint_kw(offer, Award(2.0, 0.0)) == 2.0


def test_a_household_buys_its_forecast_at_any_price_and_is_limited_only_by_curtailment() -> None:
    agent = Household(seat(LoadTwin(np.array([2.0, 9.0]), np.zeros(2), 30.0)))
    offer = agent.offer(QUARTER, -300)
    assert (offer.curve.min_kw, offer.curve.max_kw) == (-2.0, -2.0)
    assert agent.setpoint_kw(offer, Award(-2.0, 0.3)) == float("-inf")
    assert agent.setpoint_kw(offer, Award(-1.0, 3.0, curtailed_kw=1.0)) == -1.0


def test_what_is_charged_on_top_moves_the_prices_at_which_a_kwh_is_worth_trading() -> None:
    """Worth 0.20 when drawn: at 0.16 it costs 0.16 * 1.1 + 0.02 + 0.004."""
    charges = Charges(wheeling_per_kwh=0.02, fee_per_kwh=0.004, tax_rate=0.1)
    assert charges.price_when_drawing(0.20) == pytest.approx(0.16)
    assert charges.price_when_giving(0.05) == pytest.approx(0.054)
    agent = battery(0.5)
    agent.charges = charges
    curve = curve_of(agent)
    assert curve.high(charges.price_when_drawing(0.2 * 0.9) + 1e-6) == 0.0
    assert curve.low(charges.price_when_drawing(0.2 * 0.9) - 1e-6) == -5.0


def test_a_battery_offers_what_the_interval_now_running_will_leave() -> None:
    agent = battery(0.5)
    assert agent.device is not None
    agent.device.command(5.0)
    assert curve_of(agent).max_kw == 5.0
    agent.device.command(-5.0)
    agent.device.twin.soc = 0.95  # type: ignore[attr-defined]
    assert curve_of(agent).min_kw == 0.0


def test_a_car_no_longer_bids_for_what_the_interval_now_running_will_bring() -> None:
    twin = EVTwin(
        capacity_kwh=60, charge_kw=11, charge_efficiency=1.0, target_soc=1.0, sessions=(Session(-3600, 80_000, 5.0),)
    )
    agent = EV(seat(twin), belief_per_kwh=np.zeros(192))
    first = agent.offer(calendar().interval(1), 600)
    assert first is not None
    assert -first.uncoordinated_kw == pytest.approx(11.0)
    assert agent.device is not None
    agent.device.command(-11.0)
    second = agent.offer(calendar().interval(1), 600)
    assert second is not None
    assert -second.uncoordinated_kw == pytest.approx((5.0 - 2.75) / 0.25)


def test_prices_that_cannot_come_about_are_moved_to_the_bounds() -> None:
    curve = OfferCurve.of([(-2.0, -5.0), (-2.0, 0.0), (9.0, 0.0), (9.0, 5.0)])
    assert within_prices(curve, -0.5, 3.0).points() == ((-0.5, -5.0), (-0.5, 0.0), (3.0, 0.0), (3.0, 5.0))
    assert within_prices(curve, -3.0, 9.0) is curve


@given(st.floats(-0.4, 0.4), st.floats(0.01, 0.6))
def test_a_line_is_cut_at_the_bounds_and_not_bent(floor: float, wide: float) -> None:
    """Half a euro is worth nothing to it, and nothing all that it can take: in between it gives up in proportion."""
    line, cap = OfferCurve.of([(0.0, -40.0), (0.5, 0.0)]), floor + wide
    bounded = within_prices(line, floor, cap)
    for share in (0.01, 0.5, 0.99):
        assert bounded.low(floor + share * wide) == pytest.approx(line.low(floor + share * wide), abs=1e-6)
    assert (bounded.min_kw, bounded.max_kw) == (line.min_kw, line.max_kw)
