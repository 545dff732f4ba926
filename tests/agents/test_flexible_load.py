"""Flexible loads: curves that reduce from a baseline, in absolute powers."""

from __future__ import annotations

import itertools
import math
from typing import Any

import mesa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.award import Award
from agents.baseline import Day, Method, baseline_kw
from agents.flexible_load import FlexibleLoad, reduction_points
from agents.forecast import Forecast
from agents.outlook import Topic, forecast_body
from agents.resource import Charges, Place, Seat
from agents.twins.load import LoadTwin
from sim.clock import Calendar, local_start
from sim.curves import OfferCurve
from sim.device import Device
from sim.forms import window_of
from sim.market.problem import Offer
from sim.participant import Ids
from sim.wire.bags import ENERGY, EnergyDelivery, MeterReading
from sim.wire.core import Catalog, Contract, ContractStatus, Descriptor, Performance, Provider, Resource
from sim.wire.messages import Alarm, CatalogsContent, ContractContent, Message
from tests.test_clock_and_rng import calendar

DAYS = Calendar(local_start(calendar().start.replace(tzinfo=None), "Europe/Berlin"), 3600, 96)
PLACE = Place(host="market", catalogue="catalogue", meter="x", node="tx", currency="EUR")
STEPS = ((0.3, 0.2), (0.5, 0.6))
LOAD = Topic("LOAD", "customer-0")


def load(**other: Any) -> FlexibleLoad:
    twin = LoadTwin(np.full(97, 8.0), np.zeros(97), 30.0)
    seat = Seat(mesa.Model(rng=1), "x", Ids(1, "x"), PLACE, DAYS, Device("x", "bus", "tx", twin), topics=(LOAD,))
    return FlexibleLoad(seat, **({"steps": STEPS, "method": Method(2, 3, 0.2), "window": 2} | other))


def reading(index: int, kwh: float, *, served: bool = True) -> Message:
    """What the meter operator says of an hour."""
    body = EnergyDelivery(
        ENERGY,
        deliveryStatus="COMPLETED" if served else "FAILED",
        meterId="x",
        meterReadings=(
            MeterReading(
                timeWindow=window_of(DAYS, index), consumedEnergy=kwh, producedEnergy=0.0, unit="kWh", quality="ACTUAL"
            ),
        ),
    )
    status = Descriptor(code=body.deliveryStatus)
    contract = Contract(
        id="c",
        status=ContractStatus(code="ACTIVE"),
        commitments=(),
        performance=(Performance(id="p", status=status, performanceAttributes=body),),
    )
    return Message("on_status", "metering", "x", "t", "m", ContractContent(contract=contract))


def test_a_load_gives_up_its_shares_from_their_prices_on() -> None:
    offer = load().offer(DAYS.interval(1), 3300)
    curve = offer.curve
    assert [curve.low(p) for p in (0.0, 0.3, 0.4, 0.6)] == pytest.approx([-8.0, -8.0, -6.4, -3.2])
    assert curve.high(0.3) == pytest.approx(-6.4)
    assert offer.uncoordinated_kw == -8.0


def test_what_is_charged_on_top_moves_the_prices() -> None:
    agent = load()
    agent.charges = Charges(wheeling_per_kwh=0.02, fee_per_kwh=0.0, tax_rate=0.1)
    curve = agent.offer(DAYS.interval(1), 3300).curve
    price = agent.charges.price_when_drawing(0.3)
    assert (curve.low(price - 1e-9), curve.high(price + 1e-9)) == pytest.approx((-8.0, -6.4))


@given(
    st.floats(0, 50),
    st.lists(st.tuples(st.floats(0, 2), st.floats(0, 1)), max_size=5).map(
        lambda steps: list(zip(sorted(p for p, _ in steps), sorted(s for _, s in steps), strict=True))
    ),
)
def test_a_curve_of_reductions_rises_and_stays_between_the_baseline_and_nothing(
    from_kw: float, steps: list[tuple[float, float]]
) -> None:
    curve = OfferCurve.of(reduction_points(from_kw, steps))
    assert -from_kw <= curve.min_kw <= curve.max_kw <= 0
    powers = [power for _, power in curve.points()]
    assert all(a <= b for a, b in itertools.pairwise(powers))


def test_until_a_day_has_been_read_it_expects_the_forecast_or_what_it_draws_now() -> None:
    agent = load(forecast_scale=2.0)
    assert agent.baseline_kw(1, 3300) == 8.0
    body = forecast_body(Forecast("LOAD", "customer-0", 0, 1, (5.0,)), DAYS, "kW", 7200)
    catalog = Catalog(
        id=LOAD.catalog_id,
        descriptor=Descriptor(name="EnergyForecast"),
        provider=Provider(id="f", descriptor=Descriptor(name="f")),
        resources=(Resource(id="r", resourceAttributes=body),),
    )
    list(agent.handle(Message("on_discover", "catalogue", "x", "t", "m", CatalogsContent(catalogs=(catalog,)))))
    assert agent.baseline_kw(1, 3300) == 10.0


def test_from_then_on_it_is_the_baseline_of_what_its_meter_said() -> None:
    agent = load()
    metered = [4.0 + (hour % 24) / 10 + hour // 24 for hour in range(60)]
    for hour, kwh in enumerate(metered):
        list(agent.handle(reading(hour, kwh)))
    index, now_s = 61, 61 * 3600 - 300
    days = [Day((metered[58 - back], metered[59 - back]), (metered[61 - back],)) for back in (48, 24)]
    expected = baseline_kw(days, metered[58:60], Method(2, 3, 0.2))[0]
    assert agent.baseline_kw(index, now_s) == pytest.approx(expected)
    assert agent.offer(DAYS.interval(index), now_s).curve.min_kw == pytest.approx(-expected)


def test_hours_in_which_it_gave_way_or_had_no_supply_make_no_baseline() -> None:
    agent = load()
    for hour in range(25):
        list(agent.handle(reading(hour, 4.0, served=hour != 1)))
    assert agent.baseline_kw(25, 25 * 3600 - 300) == 8.0, "the hour a day before was without supply"
    list(agent.handle(reading(25, 4.0)))
    offer = agent.offer(DAYS.interval(2), 3300)
    agent._committed[2], agent.awarded[2] = offer, Award(-6.4, 0.4)
    list(agent.handle(Alarm(7200, "dispatch", 2)))
    assert agent.baseline_kw(26, 26 * 3600 - 300) == 8.0, "less was asked for a day before"
    assert agent.device is not None
    assert agent.device.setpoint_kw == -6.4


def test_its_limiter_acts_only_where_less_than_the_baseline_was_asked_for() -> None:
    agent = load()
    offer = Offer("x", "tx", OfferCurve.of(reduction_points(8.0, STEPS)), -8.0)
    assert agent.setpoint_kw(offer, Award(-8.0, 0.1)) == -math.inf
    assert agent.setpoint_kw(offer, Award(-6.4, 0.4)) == -6.4
    assert agent.setpoint_kw(offer, Award(-2.0, 3.0, curtailed_kw=1.2)) == -2.0
