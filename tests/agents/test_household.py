"""Households: demand that cannot wait, and tasks that can."""

from __future__ import annotations

import itertools
import math

import mesa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.award import Award
from agents.household import Household, Wish, starting_curve, switched
from agents.resource import Place, Seat
from agents.twins.load import LoadTwin
from agents.twins.task import HouseholdTwin, Task
from sim.clock import Calendar, local_start
from sim.curves import OfferCurve
from sim.device import Device
from sim.participant import Ids
from sim.wire.messages import Alarm
from tests.test_clock_and_rng import calendar

DAYS = Calendar(local_start(calendar().start.replace(tzinfo=None), "Europe/Berlin"), 900, 96)
PLACE = Place(host="market", catalogue="catalogue", meter="x", node="tx", currency="EUR")
DISHES = Task(energy_kwh=1.25, power_kw=2.0, earliest_s=3600, deadline_s=4 * 3600)
LAUNDRY = Task(energy_kwh=1.5, power_kw=2.0, earliest_s=0, deadline_s=3 * 3600, interruptible=True)
AT = [DAYS.interval(k) for k in range(96)]


def home(*tasks: Task, demand_kw: float = 1.0) -> Household:
    demand = np.full(97, demand_kw)
    twin = HouseholdTwin(demand, np.zeros(97), 30.0, tasks) if tasks else LoadTwin(demand, np.zeros(97), 30.0)
    agent = Household(Seat(mesa.Model(rng=1), "x", Ids(1, "x"), PLACE, DAYS, Device("x", "bus", "tx", twin)))
    agent.tariffs = {"IMPORT": (0.3,) * 1440, "EXPORT": (0.08,) * 1440}
    return agent


def twin_of(agent: Household) -> HouseholdTwin:
    assert agent.device is not None
    assert isinstance(agent.device.twin, HouseholdTwin)
    return agent.device.twin


def live(agent: Household, index: int, award: Award | None) -> float:
    """One interval, all of it at its beginning: bid, be awarded, be dispatched, run.  Returns the power."""
    agent.offer(AT[index], AT[index].start_s)
    if award is not None:
        agent.awarded[index] = award
    list(agent.handle(Alarm(AT[index].start_s, "dispatch", index)))
    assert agent.device is not None
    return agent.device.advance(AT[index])


# --- when to start ----------------------------------------------------------------------------------------------------


def test_a_run_starts_now_up_to_what_the_cheapest_later_start_costs() -> None:
    """1 kWh now and 0.5 kWh after; starting at 0.4, 0.2, 0.3: later costs 0.35 at best, the half kWh after now 0.2."""
    curve = starting_curve([1.0, 0.5], [9.9, 0.4, 0.2, 0.3], [1, 2], 1.0, "x")
    assert (curve.low(0.15 - 1e-9), curve.high(0.15 + 1e-9)) == (-1.0, 0.0)


@given(
    st.lists(st.floats(0.1, 2), min_size=1, max_size=4),
    st.lists(st.floats(0.0, 1.0), min_size=9, max_size=9),
    st.integers(0, 5),
    st.floats(-1, 2),
)
def test_it_starts_now_exactly_where_that_is_the_cheapest_of_all_starts(
    energies: list[float], prices: list[float], last: int, price: float
) -> None:
    curve = starting_curve(energies, prices, range(1, last + 1), 0.25, "x")
    now, *later = (
        sum(([price, *prices[1:]])[j + k] * energy for k, energy in enumerate(energies)) for j in range(last + 1)
    )
    if all(now < cost - 1e-9 for cost in later):
        assert curve.high(price) == -energies[0] / 0.25
    elif any(cost < now - 1e-9 for cost in later):
        assert curve.low(price) == 0.0


def test_a_task_bids_at_any_price_when_it_could_not_start_later() -> None:
    last_start = (4 * 3600 - 0.625 * 3600) // 900
    agent = home(DISHES)
    assert agent.offer(AT[int(last_start) - 1], 0).curve.max_kw == -1.0
    assert agent.offer(AT[int(last_start)], 0).curve.max_kw == -3.0
    assert agent.offer(AT[int(last_start) + 1], 0).curve.min_kw == -1.0, "too late"


def test_before_its_time_a_task_asks_for_nothing() -> None:
    offer = home(DISHES).offer(AT[3], AT[3].start_s - 300)
    assert (offer.curve.min_kw, offer.uncoordinated_kw) == (-1.0, -1.0)


def test_a_household_without_tasks_is_as_inelastic_as_ever() -> None:
    offer = home().offer(AT[5], AT[5].start_s - 300)
    assert (offer.curve.points(), offer.uncoordinated_kw) == (((0.0, -1.0),), -1.0)


# --- running ----------------------------------------------------------------------------------------------------------


def test_what_cannot_pause_runs_through_whatever_is_awarded_once_it_has_begun() -> None:
    agent = home(DISHES)
    powers = [live(agent, 4, Award(-3.0, 0.3))]
    offer = agent.offer(AT[5], AT[5].start_s)
    assert (offer.curve.min_kw, offer.curve.max_kw) == (-3.0, -3.0)
    powers += [live(agent, index, Award(-1.0, 0.9)) for index in (5, 6, 7)]
    assert powers == pytest.approx([-3.0, -3.0, -2.0, -1.0])
    assert twin_of(agent).missing_kwh(0) == 0


def test_what_the_interval_now_running_will_bring_is_no_longer_bid_for() -> None:
    agent = home(DISHES)
    twin_of(agent).allot([2.0])
    assert [agent.offer(AT[k], AT[4].start_s + 600).curve.min_kw for k in (4, 5)] == [-3.0, -3.0]
    twin_of(agent).advance(-math.inf, AT[4])
    twin_of(agent).advance(-math.inf, AT[5])
    assert agent.offer(AT[7], AT[6].start_s + 600).curve.min_kw == -1.0, "the last quarter kWh comes in interval 6"


def test_what_can_pause_takes_what_is_awarded_and_no_more_than_it_needs() -> None:
    agent = home(LAUNDRY)
    assert [live(agent, k, Award(p, 0.3)) for k, p in ((0, -3.0), (1, -1.0), (2, -2.0), (3, -3.0), (4, -3.0))] == (
        pytest.approx([-3.0, -1.0, -2.0, -3.0, -2.0])
    )
    assert twin_of(agent).missing_kwh(0) == pytest.approx(0.0)


def test_what_can_pause_waits_for_cheaper_slots_and_takes_what_does_not_fit_there_now() -> None:
    """1.5 kWh at 2 kW: three quarters of an hour; from noon of its window on it is cheap."""
    agent = home(LAUNDRY)
    minute = DAYS.minute_of_day(0)
    agent.tariffs = {"IMPORT": tuple(0.1 if (k - minute) % 1440 >= 150 else 0.3 for k in range(1440))}
    curve = agent.offer(AT[0], -300).curve
    assert [curve.low(p) for p in (0.05, 0.2, 0.3, 0.31)] == pytest.approx([-3.0, -2.0 - 1.0, -3.0, -1.0])


def test_a_task_whose_deadline_has_come_is_not_begun_any_more() -> None:
    agent = home(LAUNDRY)
    assert live(agent, 12, Award(-3.0, 0.3)) == -1.0
    assert twin_of(agent).missing_kwh(0) == 1.5


def test_a_load_limiter_cuts_appliances_before_the_rest() -> None:
    agent = home(LAUNDRY)
    assert live(agent, 0, Award(-2.0, 3.0, curtailed_kw=1.0)) == pytest.approx(-2.0)
    assert twin_of(agent).missing_kwh(0) == pytest.approx(1.25)


def test_without_supply_nothing_runs_and_what_would_have_is_told() -> None:
    agent = home(DISHES)
    live(agent, 4, Award(-3.0, 0.3))
    assert twin_of(agent).interrupt(AT[5]) == pytest.approx(-3.0)
    assert twin_of(agent).missing_kwh(0) == pytest.approx(0.75)


def test_what_cannot_pause_begins_where_its_share_of_the_award_is_large_enough() -> None:
    everyday = Wish(OfferCurve.of([(0.0, -1.0)]), -1.0)
    dishes = Wish(OfferCurve.of([(0.3, -2.0), (0.3, 0.0)]), -2.0)
    for share, power in ((0.3, 2.0), (0.5, 2.0), (0.6, 0.0)):
        assert switched([everyday, dishes], Award(-2.0, 0.3), (DISHES,), share) == [power]
    assert switched([everyday, dishes], Award(-1.0, 0.3), (DISHES,), 0.0) == [0.0]
    assert switched([everyday, dishes], Award(-3.0, None), (DISHES,), 0.5) == [2.0]
    assert switched([everyday, dishes], None, (DISHES,), 0.5) == [0.0]


@given(
    st.lists(
        st.builds(
            Task,
            st.floats(0.1, 4),
            st.floats(0.5, 4),
            st.integers(0, 12).map(lambda k: k * 450),
            st.integers(12, 40).map(lambda k: k * 450),
            st.booleans(),
        ),
        min_size=1,
        max_size=3,
    ),
    st.lists(st.floats(0, 0.6), min_size=24, max_size=24),
)
def test_curves_rise_within_what_can_be_drawn_and_no_task_takes_more_than_its_energy(
    tasks: list[Task], prices: list[float]
) -> None:
    agent = home(*tasks)
    for index, price in enumerate(prices):
        offer = agent.offer(AT[index], AT[index].start_s)
        powers = [power for _, power in offer.curve.points()]
        assert all(a <= b for a, b in itertools.pairwise(powers))
        assert (
            -1.0 - sum(task.power_kw for task in tasks) - 1e-9
            <= offer.curve.min_kw
            <= offer.curve.max_kw
            <= -1.0 + 1e-9
        )
        assert offer.curve.min_kw - 1e-9 <= offer.uncoordinated_kw <= offer.curve.max_kw + 1e-9
        live(agent, index, Award(offer.curve.high(price), price))
    for number, task in enumerate(tasks):
        assert 0 <= twin_of(agent).missing_kwh(number) <= task.energy_kwh
        in_time = math.ceil(task.earliest_s / 900) * 900 + task.energy_kwh / task.power_kw * 3600 <= task.deadline_s
        if in_time and not task.interruptible:
            assert twin_of(agent).missing_kwh(number) == 0, "what could be done is done"
