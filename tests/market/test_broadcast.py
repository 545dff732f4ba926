"""The tariff and announced adders told to all: who answers what, who keeps what, and what travels."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.curves import OfferCurve
from sim.errors import MarketError, MessageError
from sim.forms import aggregation_request
from sim.market.certificate import certify
from sim.market.economics import broken
from sim.market.policies import POLICIES, broadcast, locational, time_of_use
from sim.market.problem import LOSSES, MARGIN, RENT, Limit, Offer, Problem, receipts_per_h
from sim.market.wire_form import read_problem
from sim.wire.bags import TimeWindow
from tests.market.books import GRID, demand, retailer, supply
from tests.strategies import problems

WINDOW = TimeWindow(start="2016-05-17T09:00:00+02:00", end="2016-05-17T09:15:00+02:00")


def nested(outer: float, inner: float, *offers: Offer) -> Problem:
    """grid ──mv──lv── the offers, with the adders that mv and lv have announced"""
    tree = (GRID, Limit("mv", "grid", 50, 50, adder_per_kwh=outer), Limit("lv", "mv", 20, 20, adder_per_kwh=inner))
    return Problem((retailer(0.1, 0.3), *offers), tree, slack="retailer")


def test_adders_add_up_along_the_path_and_limits_are_not_looked_at():
    market = nested(
        0.05, 0.1, demand("keen", 0.45, 70, "lv"), demand("idle", 0.44, 7, "lv"), demand("near", 0.35, 9, "mv")
    )
    clearing = broadcast.clear(market)
    assert clearing.setpoint_kw == {"retailer": 79, "keen": -70, "idle": 0, "near": -9}
    assert clearing.price_per_kwh == {"grid": 0.3, "mv": pytest.approx(0.35), "lv": pytest.approx(0.45)}
    assert clearing.adder_per_kwh == {"grid": 0, "mv": pytest.approx(0.05), "lv": pytest.approx(0.1)}
    assert clearing.participant_price["near"] == pytest.approx(0.35)
    assert clearing.participant_price["idle"] is None
    assert clearing.accounts == {RENT: pytest.approx(0.05 * 79 + 0.1 * 70)}


def test_an_injection_gets_the_adder_too_and_the_wedge_is_the_retailers_margin():
    clearing = broadcast.clear(nested(0.0, 0.05, demand("home", 0.4, 6, "lv"), supply("pv", 0.12, 4, "lv")))
    assert clearing.setpoint_kw == {"retailer": 2, "home": -6, "pv": 4}
    assert clearing.participant_price == {"retailer": 0.3, "home": pytest.approx(0.35), "pv": pytest.approx(0.15)}
    assert clearing.accounts == {RENT: pytest.approx(0.05 * 2), MARGIN: pytest.approx(4 * 0.2)}


def test_a_negative_adder_holds_injections_back_and_is_paid_for_by_the_grid():
    clearing = broadcast.clear(nested(0.0, -0.08, supply("pv", 0.0, 4, "lv"), supply("dear", 0.03, 9, "lv")))
    assert clearing.setpoint_kw == {"retailer": -4, "pv": 4, "dear": 0}
    assert clearing.participant_price["pv"] == pytest.approx(0.02)
    assert clearing.accounts == {RENT: pytest.approx(0.08 * 4)}
    drawing = broadcast.clear(nested(0.0, -0.08, demand("home", 0.25, 6, "lv")))
    assert drawing.accounts == {RENT: pytest.approx(-0.08 * 6)}


def test_what_rounding_leaves_is_nobodys_margin():
    """Ten loads at 0.2777720759794217: 3.6e-15 an hour stand between what they pay and what is collected."""
    lines = [Offer(f"load-{number}", "lv", OfferCurve.of([(0, -40), (0.5, 0)])) for number in range(10)]
    for adder in np.linspace(0.1, 0.2, 101).tolist():
        assert set(broadcast.clear(nested(0.0, adder - 0.2, *lines)).accounts) <= {RENT}


def test_losses_that_are_known_count_beside_the_adders():
    offers = (replace(demand("home", 0.4, 6, "lv"), adder_per_kwh=0.02),)
    clearing = broadcast.clear(nested(0.0, 0.05, *offers))
    assert clearing.participant_price["home"] == pytest.approx(0.37)
    assert clearing.accounts == {RENT: pytest.approx(0.3), LOSSES: pytest.approx(0.12)}


@st.composite
def announced(draw: st.DrawFn) -> Problem:
    """Any market with a retailer, whose nodes have announced anything."""
    market = draw(problems())
    root = next(limit.node for limit in market.limits if limit.parent is None)
    tariff = replace(retailer(draw(st.floats(-1, 0)), draw(st.floats(0.01, 1)), 1e4, node=root), era="grid-co")
    limits = tuple(replace(limit, adder_per_kwh=draw(st.floats(-0.5, 0.5))) for limit in market.limits)
    return Problem((tariff, *market.offers), limits, slack="grid-co")


@given(announced())
def test_whatever_is_announced_it_keeps_its_word(market):
    clearing = broadcast.clear(market)
    promises = POLICIES["broadcast"].promises
    assert promises.isdisjoint(violation.condition for violation in certify(market, clearing).violations)
    assert not list(broken(market, clearing, promises))
    assert receipts_per_h(clearing) + sum(clearing.accounts.values()) == pytest.approx(0, abs=1e-6)


@given(announced())
def test_without_adders_it_is_the_tariff(market):
    silent = replace(market, limits=tuple(replace(limit, adder_per_kwh=0.0) for limit in market.limits))
    told, tariff = broadcast.clear(silent), time_of_use.clear(silent)
    assert told.setpoint_kw == tariff.setpoint_kw
    assert told.participant_price == pytest.approx(tariff.participant_price)


@given(announced())
def test_who_finds_prices_itself_does_not_look_at_what_was_announced(market):
    silent = replace(market, limits=tuple(replace(limit, adder_per_kwh=0.0) for limit in market.limits))
    assert locational.clear(market) == locational.clear(silent)


def test_who_bids_a_line_answers_along_it():
    line = Offer("load", "lv", OfferCurve.of([(0, -40), (0.5, 0)]))
    for adder in np.linspace(-0.2, 0.2, 5).tolist():
        assert broadcast.clear(nested(0.0, adder, line)).setpoint_kw["load"] == pytest.approx(-40 + 80 * (0.3 + adder))


# --- on the wire ------------------------------------------------------------------------------------------------------


def request_of(market: Problem) -> dict:
    return json.loads(msgspec.json.encode(aggregation_request(market, WINDOW, "EUR")))


@given(announced())
def test_an_announced_adder_travels(market):
    request = request_of(market)
    assert read_problem({"aggregationRequest": request}, "market").limits == market.limits
    nodes = zip(request["gridNodes"], market.limits, strict=True)
    assert all(("adderPerKWh" in node) is (limit.adder_per_kwh != 0) for node, limit in nodes)


def test_an_adder_that_is_no_price_is_refused_where_it_stands():
    with pytest.raises(MarketError, match="lv: nan is not a price"):
        nested(0.0, math.nan, demand("home", 0.4, 6, "lv"))
    request = request_of(nested(0.0, 0.1, demand("home", 0.4, 6, "lv")))
    request["gridNodes"][2]["adderPerKWh"] = "dear"
    with pytest.raises(MessageError, match="/gridNodes/2/adderPerKWh"):
        read_problem({"aggregationRequest": request}, "market")
