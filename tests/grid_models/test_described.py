import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid_models import feeders, layout, network
from grid_models.described import Chain, Description, Line, Source, Transformer, build
from sim.errors import FeederError

CABLE = "NAYY 4x150 SE"
GRID = Source("grid", 20.0)
TX = {"tx": Transformer("0.4 MVA 20/0.4 kV", "grid", "lv")}


def faults_of(description):
    with pytest.raises(FeederError) as caught:
        build("street", description)
    return [(fault.where, fault.what, fault.remedy) for fault in caught.value.faults]


# --- what is built -----------------------------------------------------------------------------------------------


@pytest.fixture
def street():
    """grid ─ tx ─ lv ─┬─ a ─ h1 ─ h2 ─ h3
    └─ b (two cables side by side)"""
    lines = {"a": Line(CABLE, "lv", "a", 0.2), "corner": Line(CABLE, "lv", "b", 0.1, parallel=2)}
    return Description(GRID, TX, lines, {"h": Chain(CABLE, "a", 3, 0.03)})


def test_a_description_is_a_network_of_standard_types(street):
    net = build("street", street)
    network.check(net, "street")
    assert net.bus.name.tolist() == ["grid", "lv", "a", "b", "h1", "h2", "h3"]
    assert net.bus.vn_kv.tolist() == [20.0, *[0.4] * 6]
    assert net.line.set_index("name").length_km.to_dict() == {
        "a": 0.2,
        "corner": 0.1,
        "h1": 0.03,
        "h2": 0.03,
        "h3": 0.03,
    }
    assert net.line.parallel.tolist() == [1, 2, 1, 1, 1]
    assert net.line.r_ohm_per_km.unique() == pytest.approx(0.208)
    assert net.trafo[["sn_mva", "vk_percent", "parallel"]].to_numpy().tolist() == [[0.4, 6.0, 1]]


def test_customers_stand_where_lines_lead_to_unless_it_is_said(street):
    buses = network.take_customers(build("street", street))
    assert buses == (2, 3, 4, 5, 6)
    chosen = Description(street.source, street.transformers, street.lines, street.chains, sites=("h3", "h3", "b"))
    assert network.take_customers(build("street", chosen)) == (6, 6, 3)


def test_a_described_feeder_has_a_tree_and_a_power_flow(street):
    net = build("street", street)
    assert network.supply(net, "street", ["a"]).parents == {("trafo", 0): None, ("line", 0): ("trafo", 0)}
    feeder = feeders.feeder_of(feeders.Network("street", net))
    p_kw = np.zeros(len(feeder.buses))
    p_kw[feeder.buses.index("h3")] = -30.0
    flow = feeder.solve(p_kw, np.zeros(len(feeder.buses)))
    r_ohm = 0.208 * (0.2 + 3 * 0.03)
    assert flow.converged
    drop = flow.v_pu[feeder.buses.index("lv")] - flow.v_pu[feeder.buses.index("h3")]
    assert drop == pytest.approx(r_ohm * 30e3 / 400**2, rel=0.02)


def test_two_levels_and_parallel_units_are_described_too():
    two = {
        "main": Transformer("25 MVA 110/20 kV", "grid", "mv"),
        "tx": Transformer("0.4 MVA 20/0.4 kV", "station", "lv", parallel=2),
    }
    net = build(
        "town",
        Description(Source("grid", 110.0), two, {"cable": Line("NA2XS2Y 1x240 RM/25 12/20 kV", "mv", "station", 3.0)}),
    )
    assert dict(zip(net.bus.name, net.bus.vn_kv, strict=True)) == {
        "grid": 110.0,
        "mv": 20.0,
        "station": 20.0,
        "lv": 0.4,
    }
    assert network.supply(net, "town").parents == {("trafo", 0): None, ("trafo", 1): ("trafo", 0)}
    assert net.trafo.parallel.tolist() == [1, 2]


def test_short_circuit_power_lets_the_voltage_give_way_before_the_transformer():
    """20 kV, 50 MVA: |Z| = 20^2 / 50 = 8 ohm, of which a tenth of X is R"""
    net = build("weak", Description(Source("grid", 20.0, short_circuit_mva=50.0), TX))
    (impedance,) = net.impedance.itertuples()
    r, x = impedance.rft_pu / impedance.sn_mva * 400, impedance.xft_pu / impedance.sn_mva * 400
    assert math.hypot(r, x) == pytest.approx(8.0)
    assert r / x == pytest.approx(0.1)
    assert net.bus.name.at[net.ext_grid.bus.iloc[0]] == "grid behind its impedance"


# --- what is refused ---------------------------------------------------------------------------------------------


def test_everything_wrong_with_a_description_is_told_at_once_with_the_nearest_names():
    wrong = Description(
        GRID,
        {"tx": Transformer("0.4 MVA 20/0.4kV", "grid", "lv")},
        {"a": Line("NAYY 4x150 SX", "gird", "a", 0.2)},
        {"h": Chain(CABLE, "lv", 2, 0.03)},
        sites=("h2", "h22"),
    )
    assert faults_of(wrong) == [
        ("transformers.tx.type", "there is no transformer type '0.4 MVA 20/0.4kV'", "did you mean 0.4 MVA 20/0.4 kV?"),
        ("lines.a.type", "there is no line type 'NAYY 4x150 SX'", "did you mean NAYY 4x150 SE?"),
        ("lines.a.from", "nothing feeds a bus 'gird'", "did you mean grid?"),
        ("sites[1]", "no bus 'h22'", "did you mean h2?"),
    ]


def test_a_bus_that_is_fed_twice_is_named():
    lines = {"a": Line(CABLE, "lv", "a", 0.1), "b": Line(CABLE, "a", "lv", 0.1)}
    ((where, what, remedy),) = faults_of(Description(GRID, TX, lines))
    assert (where, what) == ("lines.b", "lv is fed another way too")
    assert "radial" in remedy


def test_buses_that_only_feed_each_other_are_named():
    lines = {"x": Line(CABLE, "b", "a", 0.1), "y": Line(CABLE, "a", "b", 0.1)}
    ((where, what, _),) = faults_of(Description(GRID, TX, lines))
    assert (where, what) == ("lines", "these buses feed each other and no source feeds them: b, a")


def test_a_transformer_of_other_voltages_is_answered_with_those_that_fit():
    ((where, what, remedy),) = faults_of(Description(Source("grid", 10.0), TX))
    assert (where, what) == ("transformers.tx.type", "0.4 MVA 20/0.4 kV has 20 kV at a bus of 10 kV")
    assert "0.4 MVA 10/0.4 kV" in remedy


def test_a_chain_and_a_line_of_one_name_are_refused():
    wrong = Description(GRID, TX, {"h1": Line(CABLE, "lv", "x", 0.1)}, {"h": Chain(CABLE, "lv", 2, 0.03)})
    assert ("chains.h", "its line h1 is in lines.h1 too", "rename it") in faults_of(wrong)


# --- places ------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60).map(lambda ps: [p % (k + 1) for k, p in enumerate(ps)]))
def test_in_any_tree_no_two_buses_share_a_place_and_each_is_a_step_further_out(parents):
    buses = [str(number) for number in range(len(parents) + 1)]
    places = layout.tree(buses, [(buses[parent], buses[k + 1]) for k, parent in enumerate(parents)], ["0"])
    depth = [0]
    for parent in parents:
        depth.append(depth[parent] + 1)
    assert [places[bus][0] for bus in buses] == depth
    assert len(set(places.values())) == len(buses)
    ends = set(buses) - {buses[parent] for parent in parents}
    assert {places[bus][1] for bus in ends} == {-float(row) for row in range(len(ends))}


def test_a_long_chain_is_laid_out_as_a_straight_line():
    buses = [str(number) for number in range(3000)]
    places = layout.tree(buses, list(itertools.pairwise(buses)), ["0"])
    assert places["2999"] == (2999.0, 0.0)


def test_several_sources_and_loose_buses_have_places_of_their_own():
    places = layout.tree(["a", "b", "c", "d"], [("a", "c")], ["a", "b"])
    assert len(set(places.values())) == 4
    assert places["d"][1] < min(places[bus][1] for bus in "abc")
