"""The blocks of the stability laboratory: loads along a line, limits in kW, and adders by a rule."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from agents.flexible_load import FlexibleLoad, reduction_points
from scenarios.build import Built, build, tree_of
from scenarios.foresight import SLICES, horizon_of
from scenarios.reader import read
from scenarios.timing import Stopwatch
from sim.curves import OfferCurve
from sim.errors import ScenarioError
from tests.conftest import ROOT, STREET

LINE = ROOT / "scenarios" / "stability" / "ascent-settles.yaml"


@pytest.fixture(scope="module")
def built() -> Built:
    return build(read(LINE), io.BytesIO(), Stopwatch())


@given(st.floats(0.1, 100), st.floats(0, 1))
def test_between_two_reductions_a_line_gives_up_in_proportion(kw: float, way: float) -> None:
    curve = OfferCurve.of(reduction_points(kw, [(0.1, 0.25), (0.5, 0.75)], linear=True))
    assert curve.span(0.1 + 0.4 * way)[0] == approx(-kw * (0.75 - 0.5 * way), abs=1e-6 * kw)
    assert (curve.min_kw, curve.max_kw) == (approx(-0.75 * kw), approx(-0.25 * kw))


def test_a_load_of_a_constant_power_bids_its_line(built: Built) -> None:
    loads = [r for r in built.resources if isinstance(r, FlexibleLoad)]
    assert len(loads) == 10
    offer = loads[0].offer(built.world.calendar.interval(3), 2400)
    assert offer.uncoordinated_kw == -40
    assert offer.curve.points() == ((0.0, -40.0), (0.5, 0.0))
    assert not loads[0].outlook.topics


def test_a_limit_in_kw_holds_where_the_rating_would_allow_more(built: Built) -> None:
    (limit,) = built.limits
    assert (limit.import_kw, limit.export_kw, limit.branch.rated_kva) == (100, 100, 630)
    rated = build(read(LINE, ["feeder.limits.import_kw=5000"]), io.BytesIO(), Stopwatch()).limits[0]
    assert 500 < rated.import_kw < 630
    own = build(read(LINE, ["feeder.limits.transformers.tx.import_kw=70"]), io.BytesIO(), Stopwatch()).limits[0]
    assert (own.import_kw, own.export_kw) == (70, 100)


def test_the_bound_takes_a_line_for_fine_steps_of_the_same_worth(built: Built) -> None:
    scenario = built.scenario
    horizon = horizon_of(scenario, built.world.calendar, built.resources, built.populations, tree_of(built.limits))
    flows = [flow for flow in horizon.flows if flow.era == "load-01" and flow.least_kw[0] < 0]
    assert len(flows) == SLICES
    assert sum(-flow.least_kw[0] for flow in flows) == approx(40)
    lost = sum(-flow.least_kw[0] * flow.cost_per_kwh[0] for flow in flows)
    assert lost == approx(40 * 0.25)  # the area under a line from 0 to 0.5


def test_what_is_written_of_a_scenario_without_them_is_as_before() -> None:
    written = read(STREET).model_dump(mode="json", by_alias=True)
    assert "adders" not in written["market"]
    assert not {"import_kw", "export_kw"} & set(written["feeder"]["limits"])
    again = read(LINE).model_dump(mode="json", by_alias=True)
    assert again["market"]["adders"] == {"rule": "ascent", "rate": 0.0005, "late": 0}


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("market.adders.rule=ascend", "market.adders.rule: 'ascend' is not known (did you mean ascent?)"),
        ("market.adders={rate: 1}", "market.adders.rule: is missing"),
        ("populations.load.kind=lod", "populations[0].kind: 'lod' is not known (known: battery, ev"),
        ("market.adders.rate=0", "greater than 0"),
        ("market.adders.late=-1", "greater than or equal to 0"),
        ("market.adders.damping=0.5", "damping"),
        ("populations.load.interpolation=SPLINE", "interpolation"),
        ("populations.load.power_kw=0", "greater than 0"),
    ],
)
def test_what_is_no_rule_is_refused_where_it_stands(override: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=re.escape(said)):
        read(LINE, [override])
