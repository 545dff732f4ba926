"""Who trades through whom: what a scenario may say of it, and what is refused, with the place in the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.build import build
from scenarios.levels import Levels, common_node
from scenarios.reader import read
from scenarios.spec import AggregatorSpec
from scenarios.timing import Stopwatch
from sim.errors import ScenarioError
from tests.conftest import ROOT

PLANT = ROOT / "scenarios" / "use_cases" / "virtual-power-plant.yaml"


def refused(tmp_path: Path, *overrides: str) -> str:
    with pytest.raises(ScenarioError) as error, (tmp_path / "journal").open("wb") as sink:
        build(read(PLANT, overrides), sink, Stopwatch())
    return str(error.value)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("aggregators.mill.host=eats",), "aggregators[2].host: no aggregator eats (did you mean east?)"),
        (("aggregators.mill.host=mill",), "aggregators[2].host: mill -> mill is a circle (leave one host out for the market)"),
        (("aggregators.west.host=north",), "aggregators[0].host: north -> west -> north is a circle"),
        (("market.confirm_s=730",), "aggregators[0].ahead_s: curves for north (2nd level below the market) are due 850 s ahead and leave no room in 15 minutes; at most 839 s"),
        (("aggregators.south.ahead_s=500",), "aggregators[1].ahead_s: curves for south (2nd level below the market) are due 860 s"),
        (("wire.latency_s=5", "market.rounds_max=2", "market.gate_s=100"), "aggregators[0]: an award takes up to 105 s to reach the members of north"),
        (("populations.mill-roof.sites=[north-site]",), "aggregators[4]: west trades for sites below t-north, where mill-roof-01 trades with mill"),
        (("populations.north-roof.host=mill",), "aggregators[2]: mill trades for sites below"),
        (("wire.delays=[{from: wets, by_s: 9}]",), "wire.delays[0].from: nobody is called wets"),
        (("wire.delays=[{from: west, by_s: 9, action: on_confrim}]",), "wire.delays[0]: action: no action on_confrim"),
        (("wire.delays=[{from: west, by_s: 0}]",), "wire.delays[0].by_s"),
        (("wire.delays=[{from: west, by_s: 9, since: 2016-05-17T12:00, until: 2016-05-17T11:00}]",), "must be before until"),
    ],
)  # fmt: skip
def test_levels_that_cannot_be_are_refused_with_their_place(
    overrides: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    assert says in refused(tmp_path, *overrides)


def test_all_that_is_wrong_with_hosts_is_said_at_once(tmp_path: Path) -> None:
    said = refused(tmp_path, "aggregators.mill.host=eats", "aggregators.west.host=north")
    assert "no aggregator eats" in said
    assert "north -> west -> north" in said


@st.composite
def trees(draw: st.DrawFn) -> list[AggregatorSpec]:
    """Aggregators in whatever order, each below an earlier one or the market."""
    count = draw(st.integers(1, 7))
    ahead = draw(st.lists(st.integers(20, 90), min_size=count, max_size=count))
    made: list[dict[str, Any]] = []
    for number in range(count):
        host = draw(st.sampled_from([None, *(one["name"] for one in made)]))
        made.append({"name": f"a{number}", "host": host, "ahead_s": ahead[number]})
    return [AggregatorSpec.model_validate(one) for one in draw(st.permutations(made))]


@given(trees())
def test_every_level_is_due_before_the_one_above_and_leads_to_one_trader(specs: list[AggregatorSpec]) -> None:
    levels = Levels(specs)
    for spec in specs:
        path = levels.path(spec.name)
        assert levels.ahead_s(spec.name) == levels.ahead_s(levels.host(spec.name)) + spec.ahead_s
        assert levels.host(path[-1]) == "market"
        assert levels.trader(spec.name) == path[-1]
        assert spec.name in levels.members(levels.host(spec.name))
    assert levels.trader("market") == "market"
    assert levels.longest_s == max([60, *(levels.ahead_s(spec.name) for spec in specs)])


def test_an_aggregator_stands_at_the_lowest_node_that_all_its_members_lie_below() -> None:
    parents = {"cable": "grid", "t1": "cable", "t2": "cable", "t3": "grid"}
    assert common_node(["t1"], parents) == "t1"
    assert common_node(["t1", "t2"], parents) == "cable"
    assert common_node(["t1", "cable"], parents) == "cable"
    assert common_node(["t2", "t3"], parents) == "grid"


def test_a_scenario_without_levels_or_delays_is_written_as_before_there_were_any() -> None:
    plain = read(ROOT / "scenarios" / "street.yaml").model_dump(mode="json", by_alias=True)
    assert set(plain["aggregators"][0]) == {"name", "fee_per_kwh"}
    assert "delays" not in plain["wire"]
    assert json.dumps(plain)
