import logging
import math

import numpy as np
import pandapower as pp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandapower import control, networks

from grid_models import network
from grid_models.network import Edge, Supply
from grid_models.powerflow import PandapowerFeeder
from sim.errors import FeederError
from sim.feeder import Branch


def below(net, bus, *, name=None, **kwargs):
    """Another transformer and its bus below ``bus``."""
    lower = pp.create_bus(net, 0.4, name=kwargs.pop("bus_name", None))
    pp.create_transformer(net, bus, lower, "0.25 MVA 10/0.4 kV", name=name, **kwargs)
    return lower


# --- customers ---------------------------------------------------------------------------------------------------


def test_customers_are_taken_out_and_their_buses_remembered(net):
    for bus in (3, 2, 3):
        pp.create_load(net, bus, 0.005)
    pp.create_load(net, 1, 0.005, in_service=False)
    pp.create_sgen(net, 3, 0.004)
    pp.create_storage(net, 1, 0.003, 0.01)
    pp.create_gen(net, 2, 0.003)
    feeder = PandapowerFeeder("radial", net)
    assert feeder.site_buses == ("b3", "b2", "b3", "b1")
    assert [len(net[table]) for table in ("load", "storage", "gen", "sgen")] == [0, 0, 0, len(feeder.buses)]


def test_a_network_files_own_solver_options_do_not_change_results(net, at):
    feeder = PandapowerFeeder("radial", net)
    expected = feeder.solve(*at(feeder, b3=-100.0)).branch_loading
    feeder.net.user_pf_options = {"trafo_loading": "power", "trafo_model": "pi"}
    again = PandapowerFeeder("radial", feeder.net)
    assert again.solve(*at(again, b3=-100.0)).branch_loading == pytest.approx(expected, abs=0)


# --- names -------------------------------------------------------------------------------------------------------


def test_missing_and_repeated_names_become_unique_ones(net):
    net.bus["name"] = ["a", None, "b", "b"]
    net.line["name"] = ["", "x"]
    feeder = PandapowerFeeder("radial", net)
    assert feeder.buses == ("a", "bus 1", "b #2", "b #3")
    assert feeder.lines == ("line 0", "x")


def test_names_that_stay_ambiguous_give_way_to_numbers(net):
    net.bus["name"] = ["b", "b", "b #0", "c"]
    assert PandapowerFeeder("radial", net).buses == ("bus 0", "bus 1", "bus 2", "bus 3")


def test_buses_out_of_service_have_no_place_and_lines_no_load(net):
    net.bus.loc[3, "in_service"] = False
    feeder = PandapowerFeeder("radial", net)
    assert feeder.buses == ("b0", "b1", "b2")
    net.line.loc[1, "in_service"] = False
    assert PandapowerFeeder("radial", net).lines == ("l12", "l23")  # it may come back in mid-run


# --- the tree of transformers ------------------------------------------------------------------------------------


def test_each_bus_knows_the_transformer_that_feeds_it(net):
    feeder = PandapowerFeeder("radial", net)
    assert feeder.branches == (Branch("tx", None, 250.0),)
    assert {feeder.node_of(bus) for bus in ("b1", "b2", "b3")} == {"tx"}
    with pytest.raises(FeederError, match="'b0' lies above every transformer"):
        feeder.node_of("b0")
    with pytest.raises(FeederError, match="did you mean b3"):
        feeder.node_of("b33")


def test_nested_transformers_know_their_parents_in_whatever_order_they_were_created():
    """grid ─ 110 kV ─ main ─ 10 kV ─┬─ east      (east was created before main)
    └─ west (two units in parallel, derated)"""
    net = pp.create_empty_network()
    top, middle, east = (pp.create_bus(net, kv, name=f"{kv:g} kV") for kv in (110.0, 10.0, 0.4))
    pp.create_ext_grid(net, top)
    pp.create_transformer(net, middle, east, "0.25 MVA 10/0.4 kV", name="east")
    pp.create_transformer(net, top, middle, "25 MVA 110/10 kV", name="main")
    west = below(net, middle, name="west", bus_name="west bus", parallel=2, df=0.9)
    feeder = PandapowerFeeder("nested", net)
    assert feeder.branches == (
        Branch("east", "main", 250.0),
        Branch("main", None, 25_000.0),
        Branch("west", "main", 450.0),
    )
    assert [feeder.node_of(bus) for bus in feeder.buses[1:]] == ["main", "east", "west"]
    assert west == 3


def test_an_open_switch_takes_a_transformer_out_of_the_tree(net):
    lower = below(net, 0, name="spare")
    pp.create_line(net, 3, lower, 0.1, "NAYY 4x150 SE")
    pp.create_switch(net, lower, 1, "t", closed=False)
    feeder = PandapowerFeeder("radial", net)
    assert [branch.name for branch in feeder.branches] == ["tx"]
    assert feeder.node_of(f"bus {lower}") == "tx"


def test_two_ways_down_to_the_same_buses_are_refused(net):
    pp.create_transformer(net, 0, 1, "0.25 MVA 10/0.4 kV")
    with pytest.raises(FeederError, match=r"trafo\[1\].*fed another way too.*`parallel`"):
        PandapowerFeeder("ring", net).node_of("b1")


def test_a_transformer_fed_from_its_low_voltage_side_is_refused(net):
    net.trafo[["hv_bus", "lv_bus", "vn_hv_kv", "vn_lv_kv"]] = [1, 0, 0.4, 10.0]
    with pytest.raises(FeederError, match=r"fed from its low-voltage side.*exchange hv_bus and lv_bus"):
        PandapowerFeeder("reversed", net).node_of("b0")


def test_a_feeder_without_a_transformer_is_told_what_to_limit(net):
    net.trafo = net.trafo.iloc[:0]
    fault = network.supply(net, "bare").fault
    assert fault.where == "net.trafo"
    assert "no transformer and no limited line" in fault.what
    assert "feeder.limits.lines" in fault.remedy


def test_a_transformer_behind_an_open_switch_is_not_connected(net):
    pp.create_switch(net, 0, 0, "t", closed=False)
    tree = network.supply(net, "open")
    assert (tree.parents, tree.fed_by) == ({}, {0: None})
    assert "no transformer and no limited line is connected to the external grid" in tree.fault.what


# --- limited lines -----------------------------------------------------------------------------------------------

TX = ("trafo", 0)


def line(number):
    return ("line", number)


def test_a_limited_line_parts_its_area_in_an_upper_and_a_lower_one(net):
    """grid ─ b0 ─ tx ─ b1 ═ l12 ═ b2 ─ b3"""
    assert network.supply(net, "radial", ["l12"]) == Supply(
        parents={TX: None, line(0): TX},
        fed_by={0: None, 1: TX, 2: line(0), 3: line(0)},
        ends={TX: (0, 1), line(0): (1, 2)},
    )


def test_limited_lines_below_each_other_are_nodes_below_each_other_whichever_way_they_were_drawn(net):
    net.line.loc[1, ["from_bus", "to_bus"]] = [3, 2]
    tree = network.supply(net, "radial", ["l23", "l12"])
    assert tree.parents == {TX: None, line(0): TX, line(1): line(0)}
    assert tree.ends[line(1)] == (2, 3)
    assert tree.fault is None


def test_a_line_above_every_transformer_can_be_a_node_too():
    net = pp.create_empty_network()
    buses = [pp.create_bus(net, kv) for kv in (10.0, 10.0, 0.4)]
    pp.create_ext_grid(net, buses[0])
    pp.create_line(net, buses[0], buses[1], 1.0, "NA2XS2Y 1x95 RM/25 6/10 kV", name="feeder")
    pp.create_transformer(net, buses[1], buses[2], "0.25 MVA 10/0.4 kV")
    assert network.supply(net, "mv", ["feeder"]).parents == {line(0): None, TX: line(0)}


def test_a_feeder_without_a_transformer_has_a_tree_of_its_limited_lines():
    net = networks.case33bw()
    tree = network.supply(net, "case33bw", ["line 0", "line 17"])
    assert tree.fault is None
    assert tree.parents == {line(0): None, line(17): line(0)}
    assert [tree.fed_by[bus] for bus in (0, 1, 18, 21)] == [None, line(0), line(17), line(17)]


def test_an_unknown_limited_line_is_answered_with_the_nearest(net):
    with pytest.raises(FeederError, match=r"no line 'l1' .*\n.*no line 'l32' \(did you mean l23\?\)"):
        network.supply(net, "radial", ["l1", "l32"])


def test_a_limited_line_that_is_open_has_no_place_in_the_tree(net):
    pp.create_switch(net, 2, 1, "l", closed=False)
    fault = network.supply(net, "radial", ["l23"]).fault
    assert fault.what == "are limited but open, out of service or without supply: l23"


def test_a_limited_line_of_a_ring_is_no_node_for_its_flow_is_not_what_stands_below(net):
    pp.create_line(net, 1, 3, 0.1, "NAYY 4x150 SE", name="ring")
    assert network.supply(net, "ring").fault is None
    alone = network.supply(net, "ring", ["l12"]).fault
    assert (
        alone.what
        == "l12 leads to buses that are fed another way too: it closes a ring of lines, or joins two external grids"
    )
    both = network.supply(net, "ring", ["l12", "ring"]).fault
    assert both.what == "ring leads to buses that are fed another way too: it closes a loop with l12"
    assert "power flow only" in both.remedy


# --- loops -------------------------------------------------------------------------------------------------------


def test_a_loop_over_several_voltages_is_told_by_all_of_its_branches():
    """CIGRE HV: two transformers from 220 kV feed the same 110 kV"""
    fault = network.supply(networks.create_cigre_network_hv(), "cigre-hv").fault
    assert (fault.where, "loop with Trafo 1-7" in fault.what) == ("net.trafo[1]", True)


def test_parallel_transformers_in_rows_of_their_own_are_counted(net):
    for _ in range(3):
        pp.create_transformer(net, 0, 1, "0.25 MVA 10/0.4 kV", name="more")
    tree = network.supply(net, "parallel")
    assert "closes a loop with tx (and 2 more like it)" in tree.fault.what
    assert len(tree.parents) == 4


def test_two_external_grids_above_one_area_are_a_loop_and_of_two_feeders_none(net):
    pp.create_ext_grid(net, 3)
    assert "joins two external grids" in network.supply(net, "twice").fault.what
    net.line.loc[1, "in_service"] = False
    assert network.supply(net, "apart").fault is None


# --- three windings ----------------------------------------------------------------------------------------------


@pytest.fixture
def three():
    """grid ─ 110 kV ─ T3 ─┬─ 20 kV ─ 20 kV
    └─ 10 kV"""
    made = pp.create_empty_network()
    buses = [
        pp.create_bus(made, kv, name=name) for kv, name in ((110.0, "hv"), (20.0, "mv"), (10.0, "lv"), (20.0, "end"))
    ]
    pp.create_ext_grid(made, 0)
    pp.create_transformer3w(made, *buses[:3], "63/25/38 MVA 110/20/10 kV", name="T3")
    pp.create_line(made, 1, 3, 1.0, "NA2XS2Y 1x95 RM/25 12/20 kV", name="cable")
    return made


MV, LV = ("trafo3w", 0, "mv"), ("trafo3w", 0, "lv")


def test_each_lower_winding_is_a_branch_of_its_own(three):
    tree = network.supply(three, "three")
    assert tree == Supply({LV: None, MV: None}, {0: None, 1: MV, 2: LV, 3: MV}, {LV: (0, 2), MV: (0, 1)})
    assert network.branch_names(three, tree.parents) == {LV: "T3 lv", MV: "T3 mv"}


def test_an_open_switch_at_one_winding_leaves_the_other(three):
    pp.create_switch(three, 1, 0, "t3", closed=False)
    tree = network.supply(three, "three")
    assert tree.parents == {LV: None}
    assert set(tree.fed_by) == {0, 2}


def test_windings_without_their_upper_one_would_be_fed_from_below(three):
    pp.create_switch(three, 0, 0, "t3", closed=False)
    pp.create_ext_grid(three, 3)
    fault = network.supply(three, "three").fault
    assert (fault.where, fault.what) == ("net.trafo3w[0]", "is fed from its low-voltage side")


def test_a_connection_between_the_lower_windings_closes_a_loop(three):
    pp.create_transformer_from_parameters(
        three, 3, 2, sn_mva=1, vn_hv_kv=20, vn_lv_kv=10, vkr_percent=1, vk_percent=6, pfe_kw=1, i0_percent=0.1, name="x"
    )
    assert network.supply(three, "three").fault.what.endswith("it closes a loop with T3 mv, T3 lv")


def test_the_windings_are_drawn_as_edges(three):
    names = dict(enumerate(three.bus.name))
    edges = [(edge.kind, edge.start, edge.end) for edge in network.edges(three, names)]
    assert edges == [("line", "mv", "end"), ("transformer", "hv", "mv"), ("transformer", "hv", "lv")]
    pp.create_switch(three, 1, 0, "t3", closed=False)
    assert ("transformer", "hv", "mv") not in [(e.kind, e.start, e.end) for e in network.edges(three, names)]


def test_a_line_and_a_transformer_of_one_name_are_told_apart(net):
    net.line.loc[0, "name"] = "tx"
    names = network.branch_names(net, [TX, line(0), line(1)])
    assert names == {TX: "tx (trafo 0)", line(0): "tx (line 0)", line(1): "l23"}


# --- any tree ----------------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(
    parents=st.lists(st.integers(0, 100), min_size=1, max_size=12).map(
        lambda ps: [p % (k + 1) for k, p in enumerate(ps)]
    ),
    limited=st.sets(st.integers(0, 11)),
    turned=st.sets(st.integers(0, 11)),
)
def test_in_any_radial_network_the_node_of_a_bus_is_the_first_limited_line_on_its_way_up(parents, limited, turned):
    net = pp.create_empty_network()
    pp.create_buses(net, len(parents) + 1, 0.4)
    pp.create_ext_grid(net, 0)
    for number, parent in enumerate(parents):
        ends = (number + 1, parent) if number in turned else (parent, number + 1)
        pp.create_line(net, *ends, 0.1, "NAYY 4x150 SE", name=f"l{number}")
    chosen = [number for number in range(len(parents)) if number in limited]

    def above(bus):
        while bus and bus - 1 not in chosen:
            bus = parents[bus - 1]
        return line(bus - 1) if bus else None

    tree = network.supply(net, "any", [f"l{number}" for number in chosen])
    assert (tree.fault is None) == bool(chosen)
    assert tree.fed_by == {bus: above(bus) for bus in range(len(parents) + 1)}
    assert tree.parents == {line(number): above(parents[number]) for number in chosen}
    assert tree.ends == {line(number): (parents[number], number + 1) for number in chosen}


# --- what is refused ---------------------------------------------------------------------------------------------


def faults_of(net):
    with pytest.raises(FeederError) as caught:
        network.check(net, "broken")
    return caught.value.faults


def test_all_faults_of_a_network_are_reported_at_once(net):
    net.ext_grid["in_service"] = False
    net.line.loc[1, "to_bus"] = 99
    net.line.loc[0, "length_km"] = 0.0
    net.trafo["sn_mva"] = math.nan
    pp.create_dcline(net, 1, 2, 0.0, 0.0, 0.0, 1.0, 1.0)
    assert [fault.where for fault in faults_of(net)] == [
        "net.dcline",
        "net.line.to_bus",
        "net.ext_grid",
        "net.trafo.sn_mva",
        "net.line.length_km",
    ]


@pytest.mark.parametrize(
    ("table", "column", "value", "where", "says"),
    [
        ("line", "length_km", 0.0, "net.line.length_km", "is not above 0: l12 (0.0)"),
        ("line", "max_i_ka", -0.1, "net.line.max_i_ka", "is not above 0: l12 (-0.1)"),
        ("line", "max_i_ka", math.nan, "net.line.max_i_ka", "is not a finite number: l12 (nan)"),
        ("line", "max_i_ka", 27000.0, "net.line.max_i_ka", "is above 10000 kA: l12 (27000.0)"),
        ("line", "r_ohm_per_km", math.inf, "net.line.r_ohm_per_km", "is not a finite number: l12 (inf)"),
        ("line", "x_ohm_per_km", -0.08, "net.line", "impedance is zero or negative: l12"),
        ("line", "df", 0.0, "net.line.df", "is not above 0"),
        ("trafo", "sn_mva", 0.0, "net.trafo.sn_mva", "is not above 0: tx (0.0)"),
        ("trafo", "sn_mva", 250_000.0, "net.trafo.sn_mva", "is above 10000 MVA"),
        ("trafo", "vn_hv_kv", 20.0, "net.trafo.vn_hv_kv", "is more than 20% off its bus: tx (20 kV at a bus of 10 kV)"),
        ("trafo", "pfe_kw", math.nan, "net.trafo.pfe_kw", "is not a finite number"),
        ("bus", "vn_kv", 0.0, "net.bus.vn_kv", "is not above 0: b0 (0.0)"),
        ("ext_grid", "vm_pu", math.nan, "net.ext_grid.vm_pu", "is not a finite number: ext_grid 0 (nan)"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_its_element(net, table, column, value, where, says):
    net[table].loc[0, column] = value
    found = [(fault.where, fault.what, bool(fault.remedy)) for fault in faults_of(net)]
    assert any(place == where and says in what and helped for place, what, helped in found)


def test_a_value_out_of_service_is_nobody_s_concern(net):
    net.line.loc[1, ["in_service", "length_km", "max_i_ka"]] = [False, 0.0, math.nan]
    network.check(net, "fine")


def test_a_line_without_impedance_is_told_to_be_a_switch(net):
    net.line.loc[0, ["r_ohm_per_km", "x_ohm_per_km"]] = 0.0
    (fault,) = faults_of(net)
    assert "closed switch" in fault.remedy


def test_a_line_between_two_voltages_is_refused(net):
    net.bus.loc[3, "vn_kv"] = 0.23
    (fault,) = faults_of(net)
    assert fault.what == "joins buses of different voltage: l23 (0.4 and 0.23 kV)"


def test_switches_of_elements_that_do_not_exist_are_refused(net):
    pp.create_switch(net, 1, 0, "l")
    net.switch.loc[0, "element"] = 77
    (fault,) = faults_of(net)
    assert fault.what == "names a line that does not exist: switch 0 (77)"


def test_customers_without_supply_are_listed_with_their_power(net):
    pp.create_load(net, 2, 0.005)
    pp.create_load(net, 2, 0.004)
    pp.create_load(net, 3, 0.0025)
    pp.create_sgen(net, 3, 0.01)
    pp.create_load(net, 3, 0.1, in_service=False)
    pp.create_switch(net, 1, 0, "l", closed=False)
    loads, roofs = faults_of(net)
    assert loads.what == "stand at buses out of service or not connected to the external grid: b2 (9.0 kW), b3 (2.5 kW)"
    assert (loads.where, roofs.where) == ("net.load", "net.sgen")
    assert "b3 (10.0 kW)" in roofs.what


def test_a_customer_at_a_bus_out_of_service_is_refused(net):
    net.bus.loc[3, "in_service"] = False
    pp.create_load(net, 3, 0.005)
    (fault,) = faults_of(net)
    assert "b3 (5.0 kW)" in fault.what


def test_an_external_grid_that_supplies_nothing_is_refused(net):
    pp.create_switch(net, 0, 0, "t", closed=False)
    (fault,) = faults_of(net)
    assert (fault.where, "close a switch" in fault.remedy) == ("net.ext_grid", True)


def test_a_load_that_is_no_number_is_refused(net):
    pp.create_load(net, 3, math.inf, name="huge")
    assert faults_of(net)[0].what == "is not a finite number: huge (inf)"


def test_long_lists_of_culprits_are_cut_and_counted():
    net = pp.create_empty_network()
    pp.create_buses(net, 40, 0.4)
    pp.create_ext_grid(net, 0)
    pp.create_loads(net, range(1, 40), p_mw=0.001)
    fault, _ = faults_of(net)
    assert fault.what.endswith("bus 9 (1.0 kW), bus 10 (1.0 kW) and 29 more")


def test_a_network_without_a_solution_of_its_own_is_refused(net):
    pp.create_ward(net, 3, ps_mw=1e3, qs_mvar=0.0, pz_mw=0.0, qz_mvar=0.0)
    with pytest.raises(FeederError, match="no solution even without customers"):
        PandapowerFeeder("singular", net)


@pytest.mark.parametrize(("rating", "notes"), [(0.27, 0), (99999.0, 1)])
def test_a_line_that_nothing_limits_is_noted(net, rating, notes):
    net.line["max_i_ka"] = rating
    network.check(net, "unrated")
    assert len(network.notes(net)) == notes


# --- what is noted -----------------------------------------------------------------------------------------------


def test_what_acts_otherwise_than_its_author_expects_is_noted(net):
    pp.create_load(net, 3, 0.005, const_z_p_percent=100)
    pp.create_gen(net, 2, 0.003)
    net.bus["name"] = ["a", "b", "b", "c"]
    logging.disable(logging.CRITICAL)  # it misses a parameter of its own that nothing here needs
    try:
        control.DiscreteTapControl(net, 0, 0.98, 1.02)
    finally:
        logging.disable(logging.NOTSET)
    said = "\n".join(network.notes(net))
    assert "controllers of the network are not run (1 DiscreteTapControl)" in said
    assert "1 voltage-dependent loads are customers like others" in said
    assert "1 generators are customers like others and hold no voltage" in said
    assert "several buses have one name and are told apart by number: b" in said


def test_a_plain_network_needs_no_notes(net):
    assert network.notes(net) == ()


def test_numbers_that_came_as_objects_become_numbers(net):
    net.line["max_i_ka"] = net.line.max_i_ka.astype(object)
    net.trafo["vector_group"] = None
    network.typed(net)
    assert net.line.max_i_ka.dtype == np.float64
    network.check(net, "typed")


# --- drawing -----------------------------------------------------------------------------------------------------


def test_edges_are_what_connects_buses(net):
    pp.create_switch(net, 3, 2, "b", closed=False)
    pp.create_switch(net, 3, 1, "b", closed=True)
    pp.create_switch(net, 2, 1, "l", closed=False)
    assert PandapowerFeeder("radial", net).edges() == (
        Edge("line", "l12", "b1", "b2"),
        Edge("transformer", "tx", "b0", "b1"),
        Edge("switch", "switch 1", "b3", "b1"),
    )


def test_an_open_line_is_a_line_with_no_load(net, at):
    pp.create_line(net, 1, 3, 0.1, "NAYY 4x150 SE", name="ring")
    for bus in (1, 3):
        pp.create_switch(net, bus, 2, "l", closed=False)
    feeder = PandapowerFeeder("ring", net)
    flow = feeder.solve(*at(feeder, b3=-10.0))
    assert feeder.lines == ("l12", "l23", "ring")
    assert flow.line_loading[2] == 0
    assert flow.line_loading[1] > 0.05


def test_coordinates_are_there_when_the_network_has_them(street, net):
    places = street.coordinates()
    assert set(places) == set(street.buses)
    assert places["LV4.101 Bus 1"] == (11.3947, 53.6408)
    assert PandapowerFeeder("radial", net).coordinates() is None


def test_the_street_is_one_tree_of_lines_below_one_transformer(street):
    edges = street.edges()
    assert [edge.kind for edge in edges].count("line") == len(street.lines) == 42
    assert len(edges) == len(street.buses) - 1


def test_every_customer_of_every_feeder_lies_below_a_branch_of_its_tree(every_feeder):
    tree = network.supply(every_feeder.net, every_feeder.name)
    assert every_feeder.site_buses
    if every_feeder.name == "case33bw":  # has no transformer
        assert tree.fault is not None
        return
    known = {branch.name for branch in every_feeder.branches}
    assert all(branch.parent is None or branch.parent in known for branch in every_feeder.branches)
    names = dict(zip(every_feeder.net.bus.index, network.unique_names(every_feeder.net.bus, "bus"), strict=True))
    fed = {names[bus] for bus, key in tree.fed_by.items() if key is not None}
    assert set(every_feeder.site_buses) <= fed
    assert all(every_feeder.node_of(bus) in known for bus in every_feeder.site_buses)


def test_a_tap_beyond_its_range_is_refused(net):
    net.trafo["tap_pos"] = 50
    (fault,) = faults_of(net)
    assert (fault.where, fault.what) == ("net.trafo.tap_pos", "is not within tap_min and tap_max: tx (50)")
