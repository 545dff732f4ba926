"""The adder that a transformer announces: it follows the readings of its own meter, as late as they are."""

from __future__ import annotations

import mesa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.announcement import Announcement
from agents.rounds import limit_of
from agents.transformer import Transformer
from sim.market import adders
from sim.participant import Ids
from sim.wire.bags import GridNode
from sim.wire.messages import Alarm, Message, PublishContent
from tests.agents.test_protocol import QUARTERS, reading

LIMITS = np.array([100.0, 50.0])
flows = st.lists(st.floats(-200, 200), min_size=1, max_size=12)


def rising(late: int = 0) -> Announcement:
    """A thousandth for each kW beyond 100 of import or 50 of export."""
    return Announcement(adders.ascent(LIMITS, 0.001), (1.0, -1.0), late)


def loading(damping: float = 1.0, late: int = 0, *, signed: bool = False) -> Announcement:
    """A thousandth for each percent of 100 of import or 50 of export."""
    step = adders.utilisation(LIMITS[:1], LIMITS[1:], 0.001, damping, signed=signed)
    return Announcement(step, late=late)


def after(announcement: Announcement, *flows_kw: float) -> float:
    for flow_kw in flows_kw:
        announcement.read(flow_kw)
    return announcement.adder_per_kwh


def test_excess_makes_it_dearer_below_by_import_and_cheaper_by_export():
    assert after(rising(), 150) == pytest.approx(0.05)
    assert after(rising(), 150, 80) == pytest.approx(0.03)
    assert after(rising(), 150, 20) == 0
    assert after(rising(), -80) == pytest.approx(-0.03)
    assert after(rising(), -80, -40) == pytest.approx(-0.02)


def test_loading_counts_by_the_limit_of_its_direction():
    assert after(loading(), 225) == pytest.approx(0.225)
    assert after(loading(), -25) == pytest.approx(0.05)
    assert after(loading(signed=True), -25) == pytest.approx(-0.05)
    assert after(loading(damping=0.5), 100, 100) == pytest.approx(0.075)


@pytest.mark.parametrize("make", [rising, loading])
@given(flows_kw=flows, late=st.integers(0, 3))
def test_a_late_one_says_what_a_punctual_one_said_some_readings_ago(make, flows_kw, late):
    assert after(make(late=late), *flows_kw) == after(make(), *flows_kw[: max(len(flows_kw) - late, 0)])


@given(flows)
def test_an_ascent_never_pays_for_imports_nor_charges_for_exports_alone(flows_kw):
    assert after(rising(), *map(abs, flows_kw)) >= 0
    assert after(rising(), *(-abs(flow_kw) for flow_kw in flows_kw)) <= 0


# --- on the wire ------------------------------------------------------------------------------------------------------


def transformer(announcement: Announcement | None) -> Transformer:
    return Transformer(
        mesa.Model(rng=1), "tx", Ids(1, "tx"), catalogue="catalogue", calendar=QUARTERS, parent="mv", rated_kva=250,
        import_limit_kw=100.0, export_limit_kw=50.0, announcement=announcement,
    )  # fmt: skip


def node(events) -> GridNode:
    (event,) = events
    assert isinstance(event, Message)
    assert isinstance(event.content, PublishContent)
    (resource,) = event.content.catalogs[0].resources or ()
    assert isinstance(resource.resourceAttributes, GridNode)
    return resource.resourceAttributes


def test_a_transformer_publishes_what_the_market_then_reads():
    tx = transformer(rising())
    assert limit_of(node(tx.on_start(Alarm(0, "start"))), "grid").adder_per_kwh == 0
    limit = limit_of(node(tx.on_status(reading(120.0))), "grid")
    assert limit.adder_per_kwh == pytest.approx(0.02)
    assert limit.parent == "mv"


def test_the_adder_follows_the_limit_and_not_what_is_withheld_for_a_gap():
    tx = transformer(rising())
    tx.on_status(reading(120.0))
    published = node(tx.on_status(reading(100.0)))
    assert published.gridConstraints.maxForwardFlowKW < 100
    assert limit_of(published, "grid").adder_per_kwh == pytest.approx(0.02)


def test_a_reading_that_is_missing_moves_nothing():
    tx = transformer(rising())
    tx.on_status(reading(120.0))
    assert limit_of(node(tx.on_status(reading(0.0, "MISSING"))), "grid").adder_per_kwh == pytest.approx(0.02)


def test_without_a_rule_no_adder_is_published():
    published = node(transformer(None).on_status(reading(120.0)))
    assert not published.locationalPriceAdder
    assert limit_of(published, "grid").adder_per_kwh == 0


@given(flow_kw=st.floats(-200, 200), threshold=st.floats(0, 150))
def test_up_to_a_threshold_there_is_no_adder_and_beyond_it_only_what_is_beyond(flow_kw, threshold):
    step = adders.utilisation(LIMITS[:1], LIMITS[1:], 0.001, threshold=threshold)
    percent = flow_kw if flow_kw >= 0 else -2 * flow_kw
    assert after(Announcement(step), flow_kw) == pytest.approx(0.001 * max(percent - threshold, 0), abs=1e-12)
