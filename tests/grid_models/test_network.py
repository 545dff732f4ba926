import pandapower as pp
import pytest

from grid_models.network import Edge
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


def test_elements_out_of_service_have_no_place(net):
    net.bus.loc[3, "in_service"] = False
    feeder = PandapowerFeeder("radial", net)
    assert feeder.buses == ("b0", "b1", "b2")
    net.line.loc[1, "in_service"] = False
    assert PandapowerFeeder("radial", net).lines == ("l12",)


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
        PandapowerFeeder("ring", net)


def test_a_transformer_fed_from_its_low_voltage_side_is_refused(net):
    net.trafo[["hv_bus", "lv_bus"]] = [1, 0]
    with pytest.raises(FeederError, match=r"fed from its low-voltage side.*exchange hv_bus and lv_bus"):
        PandapowerFeeder("reversed", net)


def test_a_feeder_without_a_transformer_is_told_to_add_one(net):
    net.trafo = net.trafo.iloc[:0]
    with pytest.raises(FeederError, match=r"no transformer in service.*create_transformer"):
        PandapowerFeeder("bare", net)


def test_a_transformer_behind_an_open_switch_is_not_connected(net):
    pp.create_switch(net, 0, 0, "t", closed=False)
    with pytest.raises(FeederError, match="no transformer is connected to the external grid"):
        PandapowerFeeder("open", net)


def test_all_faults_of_a_network_are_reported_at_once(net):
    net.ext_grid["in_service"] = False
    net.trafo["in_service"] = False
    net.line.loc[1, "to_bus"] = 99
    pp.create_dcline(net, 1, 2, 0.0, 0.0, 0.0, 1.0, 1.0)
    with pytest.raises(FeederError) as caught:
        PandapowerFeeder("broken", net)
    assert [fault.where for fault in caught.value.faults] == [
        "net.dcline",
        "net.line.to_bus",
        "net.ext_grid",
        "net.trafo",
    ]


def test_a_network_without_a_solution_of_its_own_is_refused(net):
    net.line.loc[0, "length_km"] = 0.0
    with pytest.raises(FeederError, match=r"no solution even without customers.*diagnostic"):
        PandapowerFeeder("singular", net)


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


def test_every_customer_of_every_feeder_lies_below_a_transformer(every_feeder):
    known = {branch.name for branch in every_feeder.branches}
    assert all(every_feeder.node_of(bus) in known for bus in every_feeder.site_buses)
    assert all(branch.parent is None or branch.parent in known for branch in every_feeder.branches)
