import json
import random
import subprocess
import sys
import types
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandapower as pp
import pytest

from grid_models import feeders, network
from sim.errors import FeederError

STREET = "simbench-semiurb4"
SUMMER, WINTER = datetime(2016, 5, 16), datetime(2016, 12, 5)
WEEK = 7 * 96


# --- by name -----------------------------------------------------------------------------------------------------


def test_importing_feeders_does_not_wait_for_pandapower():
    code = "import sys, grid_models.feeders as f; f.profiles(f.STORED[0]); sys.exit('pandapower' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_known_names_are_sorted():
    assert feeders.names() == tuple(sorted(feeders.names()))
    assert {STREET, "cigre-lv", "kerber-dorfnetz", "kerber-vorstadtnetz-1"} <= set(feeders.names())


def test_a_medium_voltage_feeder_with_its_substations_is_a_tree_of_two_levels():
    tree = network.supply(feeders.read("mv-oberrhein-substations").net, "")
    roots = {key for key, parent in tree.parents.items() if parent is None}
    assert (len(tree.parents), len(roots)) == (143, 2)
    assert {tree.parents[key] for key in tree.parents if key not in roots} == roots


def test_building_a_network_leaves_the_log_level_as_it_was_and_says_nothing(caplog):
    feeders.read("kerber-extrem-dorfnetz")
    assert caplog.records == []


def test_a_mistyped_name_is_answered_with_the_nearest():
    with pytest.raises(FeederError, match="did you mean kerber-dorfnetz"):
        feeders.load("kerber-dorfnets")


def test_a_network_that_pandapower_draws_at_random_is_the_same_each_time_and_disturbs_nobody():
    first = feeders._by_name("kerber-vorstadtnetz-1").line.std_type.tolist()
    random.seed(8)
    state = random.getstate()
    assert feeders._by_name("kerber-vorstadtnetz-1").line.std_type.tolist() == first
    assert random.getstate() == state
    assert len(set(first)) == 3


def test_the_street_is_what_its_notes_say(street):
    assert (len(street.buses), len(street.site_buses), len(street.lines)) == (44, 41, 42)
    assert [(branch.parent, branch.rated_kva) for branch in street.branches] == [(None, 400.0)]
    numbers = street.net.line[["length_km", "r_ohm_per_km", "x_ohm_per_km", "c_nf_per_km", "max_i_ka"]]
    assert {str(dtype) for dtype in numbers.dtypes} == {"float64"}


# --- by SimBench code --------------------------------------------------------------------------------------------


@pytest.fixture
def simbench(monkeypatch, net):
    """A stand-in for the package: two codes, one network with what its own networks carry."""
    net["profiles"] = {"load": "hundreds of megabytes"}
    net.trafo["vector_group"] = None
    net.line["max_i_ka"] = net.line.max_i_ka.astype(object)
    codes = ["1-LV-rural1--0-sw", "1-MV-urban--0-sw"]
    made = types.SimpleNamespace(collect_all_simbench_codes=lambda: codes, get_simbench_net=lambda code: net)
    monkeypatch.setitem(sys.modules, "simbench", made)


def test_a_simbench_code_is_a_feeder(simbench):
    read = feeders.read("simbench:1-LV-rural1--0-sw")
    assert read.name == "simbench:1-LV-rural1--0-sw"
    assert "profiles" not in read.net
    assert read.net.line.max_i_ka.dtype == np.float64


def test_an_unknown_simbench_code_is_answered_with_the_nearest(simbench):
    with pytest.raises(FeederError, match=r"did you mean 1-LV-rural1--0-sw\?"):
        feeders.read("simbench:1-LV-rural1-0-sw")


def test_without_simbench_its_codes_are_answered_with_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "simbench", None)
    with pytest.raises(FeederError, match=r"not installed \(pip install 'degsim\[simbench\]'\)"):
        feeders.read("simbench:1-LV-rural1--0-sw")


# --- by path -----------------------------------------------------------------------------------------------------


def test_a_network_file_is_a_feeder_named_after_it(tmp_path, net, at):
    pp.create_load(net, 3, 0.005)
    path = tmp_path / "my street.json"
    pp.to_json(net, str(path))
    feeder = feeders.load(str(path))
    assert (feeder.name, feeder.site_buses) == ("my street", ("b3",))
    assert feeder.solve(*at(feeder, b3=-5.0)).converged


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("street: 1", "is not JSON"),
        ("[1, 2]", "is not a pandapower network.*to_json"),
        ('{"_class": "DataFrame"}', "is not a pandapower network"),
        ('{"_module": "pandapower.auxiliary", "_class": "pandapowerNet"}', "no external grid in service"),
        ('{"_module": "no.such.module", "_class": "pandapowerNet", "_object": {}}', "pandapower cannot work with it"),
    ],
)
def test_a_file_that_is_no_network_says_so(tmp_path, content, message):
    path = tmp_path / "file.json"
    path.write_text(content)
    with pytest.raises(FeederError, match=message):
        feeders.load(str(path))


def versioned(path, net, version):
    pp.to_json(net, str(path))
    document = json.loads(path.read_text())
    document["_object"] |= {"format_version": version, "version": version}
    path.write_text(json.dumps(document))
    return str(path)


def test_a_file_of_a_newer_pandapower_is_refused_with_both_versions(tmp_path, net):
    with pytest.raises(FeederError) as caught:
        feeders.read(versioned(tmp_path / "new.json", net, "99.1.0"))
    (fault,) = caught.value.faults
    assert fault.where == "format_version"
    assert "is 99.1.0, pandapower" in fault.what
    assert f"up to {pp.__format_version__}" in fault.what
    assert "to_json" in fault.remedy


def test_a_file_of_an_older_pandapower_is_converted_and_says_so(tmp_path, net):
    read = feeders.read(versioned(tmp_path / "old.json", net, "3.0.0"))
    assert read.notes == (f"was written in format 3.0.0; pandapower converted it to {pp.__format_version__}",)
    network.check(read.net, "old")


def test_a_file_whose_version_is_none_is_refused(tmp_path, net):
    with pytest.raises(FeederError, match="'soon' is no version"):
        feeders.read(versioned(tmp_path / "odd.json", net, "soon"))


@pytest.mark.parametrize(
    ("name", "reader"), [("a.xlsx", "from_excel"), ("a.P", "from_pickle"), ("a.pkl", "from_pickle")]
)
def test_other_formats_are_refused_with_how_to_write_json(tmp_path, name, reader):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(FeederError, match=rf"only pandapower JSON is read.*pp.{reader}\('{name}'\), 'a.json'"):
        feeders.read(str(tmp_path / name))


def test_bytes_that_are_no_text_are_not_json(tmp_path):
    path = tmp_path / "file.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FeederError, match="is not JSON"):
        feeders.load(str(path))


def test_a_missing_file_and_a_directory_are_not_there(tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(FeederError, match=r"no such file|neither a feeder nor"):
            feeders.load(str(path))


def test_every_fault_of_a_file_is_told_before_anything_is_solved(tmp_path, net):
    net.trafo["df"] = 0.0
    net.line.loc[0, "length_km"] = 0.0
    pp.to_json(net, str(tmp_path / "odd.json"))
    with pytest.raises(FeederError) as caught:
        feeders.load(str(tmp_path / "odd.json"))
    assert [fault.where for fault in caught.value.faults] == ["net.line.length_km", "net.trafo.df"]


def test_a_network_that_pandapower_stumbles_over_is_reported_with_its_reason(tmp_path, net):
    del net.trafo["vk_percent"]
    pp.to_json(net, str(tmp_path / "odd.json"))
    with pytest.raises(FeederError, match="pandapower cannot work with it: "):
        feeders.load(str(tmp_path / "odd.json"))


# --- many buses --------------------------------------------------------------------------------------------------


def test_a_town_of_five_thousand_buses_is_one_tree_of_ninety_one_transformers():
    """110 kV ─ main ─ ten cables of nine substations each, a village of Kerber's below every one"""
    net = town(cables=10, substations=9)
    assert len(net.bus) > 5000
    feeder = feeders.feeder_of(feeders.Network("town", net))
    assert len(feeder.branches) == 91
    assert {branch.parent for branch in feeder.branches} == {None, "main"}
    assert len({feeder.node_of(bus) for bus in feeder.site_buses}) == 90
    at_home = np.isin(feeder.buses, feeder.site_buses) * -0.5
    flow = feeder.solve(at_home, np.zeros(len(feeder.buses)))
    assert flow.converged
    assert flow.slack_kw == pytest.approx(-at_home.sum() + flow.losses_kw, abs=1e-3)


def town(cables, substations):
    net = pp.create_empty_network()
    pp.create_ext_grid(net, pp.create_bus(net, 110.0, name="110 kV"))
    busbar = pp.create_bus(net, 10.0, name="busbar")
    pp.create_transformer(net, 0, busbar, "25 MVA 110/10 kV", name="main")
    village = feeders.read("kerber-extrem-landnetz-kabel-trafo").net
    for cable in range(cables):
        before = busbar
        for number in range(substations):
            here = pp.create_bus(net, 10.0, name=f"substation {cable}.{number}")
            pp.create_line(net, before, here, 0.4, "NA2XS2Y 1x240 RM/25 6/10 kV", name=f"cable {cable}.{number}")
            graft(net, here, village, f"{cable}.{number}")
            before = here
    return net


def graft(net, upper, village, prefix):
    """A copy of a low-voltage network below a bus, without its own medium voltage."""
    low = village.bus.index[village.bus.vn_kv < 1]
    copies = dict(
        zip(low, pp.create_buses(net, len(low), 0.4, name=[f"{prefix} bus {bus}" for bus in low]), strict=True)
    )
    lower = copies[int(village.trafo.lv_bus.iloc[0])]
    pp.create_transformer(net, upper, lower, "0.4 MVA 10/0.4 kV", name=f"village {prefix}")
    ends = [[copies[bus] for bus in village.line[end]] for end in ("from_bus", "to_bus")]
    names = [f"{prefix} line {line}" for line in village.line.index]
    pp.create_lines(net, *ends, village.line.length_km.tolist(), "NAYY 4x150 SE", name=names)
    pp.create_loads(net, [copies[bus] for bus in village.load.bus], p_mw=0.001)


# --- another transformer -----------------------------------------------------------------------------------------


def test_another_transformer_type_makes_the_street_short_of_capacity(street):
    smaller = feeders.load(STREET, transformer_type="0.25 MVA 20/0.4 kV")
    assert [branch.rated_kva for branch in smaller.branches] == [250.0]
    p_kw = np.zeros(44)
    np.add.at(p_kw, [street.buses.index(bus) for bus in street.site_buses], -3.0)
    nothing = np.zeros(44)
    big, small = (feeder.solve(p_kw, nothing).branch_loading[0] for feeder in (street, smaller))
    assert small == pytest.approx(big * 400 / 250, rel=0.01)


def test_another_transformer_type_stands_at_its_neutral_tap(tmp_path, net):
    net.trafo["tap_pos"] = 2.0
    pp.to_json(net, str(tmp_path / "tapped.json"))
    feeder = feeders.load(str(tmp_path / "tapped.json"), transformer_type="0.4 MVA 10/0.4 kV")
    assert feeder.net.trafo.tap_pos.tolist() == [0.0]


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        (STREET, "0.25 MVA 20/0.4kV", "did you mean 0.25 MVA 20/0.4 kV"),
        (STREET, "0.25 MVA 10/0.4 kV", r"has 10 kV where the hv bus has 20.0 kV"),
        ("cigre-lv", "0.25 MVA 20/0.4 kV", "has 3 transformers .*only a single one"),
    ],
)
def test_a_type_that_does_not_fit_is_refused(name, kind, message):
    with pytest.raises(FeederError, match=message):
        feeders.load(name, transformer_type=kind)


# --- profiles ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def profiles():
    return feeders.profiles(STREET)


def test_profiles_hold_a_sunny_and_a_dark_week(profiles):
    week = timedelta(days=7)
    assert profiles.windows() == ((SUMMER, SUMMER + week), (WINTER, WINTER + week))
    assert profiles.load_kw.shape == profiles.load_kvar.shape == (2 * WEEK, 41)
    assert profiles.pv_pu.shape == (2 * WEEK, 8)
    assert profiles.pv_names == tuple(f"PV{i}" for i in range(1, 9))
    summer, winter = (profiles.window(start, WEEK) for start in (SUMMER, WINTER))
    assert summer.pv_pu.sum() > 4 * winter.pv_pu.sum()
    assert summer.load_kw.sum() < winter.load_kw.sum()


def test_profiles_are_consumption_and_shares_of_installed_power(profiles):
    assert profiles.load_kw.min() > 0
    assert 0 == profiles.pv_pu.min() < profiles.pv_pu.max() < 1
    assert profiles.pv_pu.reshape(14, 96, 8)[:, :16].max() == 0  # nights


def test_profile_columns_follow_the_sites_of_the_feeder(profiles, street):
    assert profiles.load_buses == street.site_buses
    assert len(set(profiles.load_names)) == 41


@pytest.mark.parametrize(
    ("start", "peak_kw", "at"),
    [(SUMMER, 93.8803, "2016-05-20T12:45"), (WINTER, 115.2286, "2016-12-09T18:15")],
)
def test_the_street_s_peaks_are_those_of_its_notes(profiles, start, peak_kw, at):
    week = profiles.window(start, WEEK)
    total_kw = week.load_kw.sum(axis=1)
    assert total_kw.max() == pytest.approx(peak_kw, abs=0.01)
    assert week.times[total_kw.argmax()] == np.datetime64(at)


def test_a_window_is_the_asked_for_steps_and_nothing_else(profiles):
    start = datetime(2016, 5, 19, 17, 30)
    evening = profiles.window(start, 3)
    assert [time.item() for time in evening.times] == [start + timedelta(minutes=m) for m in (0, 15, 30)]
    row = (3 * 24 + 17) * 4 + 2
    assert np.array_equal(evening.load_kw, profiles.load_kw[row : row + 3])
    assert np.array_equal(evening.pv_pu, profiles.pv_pu[row : row + 3])
    assert evening.load_buses == profiles.load_buses


def test_the_time_zone_of_a_start_is_not_looked_at(profiles):
    assert profiles.window(SUMMER.replace(tzinfo=UTC), 1).times[0].item() == SUMMER


def test_a_whole_window_can_be_asked_for_and_not_one_step_more(profiles):
    for start in (SUMMER, WINTER):
        assert len(profiles.window(start, WEEK).times) == WEEK
        with pytest.raises(FeederError, match="has no 673 steps"):
            profiles.window(start, WEEK + 1)


@pytest.mark.parametrize(
    ("start", "count"),
    [
        (SUMMER - timedelta(minutes=15), 2),
        (SUMMER + timedelta(minutes=5), 2),
        (WINTER + timedelta(days=7), 1),
        (datetime(2016, 8, 1), 96),
        (SUMMER, 0),
        (SUMMER, -3),
    ],
)
def test_a_window_outside_the_data_is_answered_with_the_windows_there_are(profiles, start, count):
    with pytest.raises(FeederError, match="2016-05-16 00:00:00 to 2016-05-23 00:00:00; 2016-12-05"):
        profiles.window(start, count)


def test_a_feeder_without_profiles_says_which_has_some():
    with pytest.raises(FeederError, match=rf"cigre-lv: has no profiles, known: {STREET}"):
        feeders.profiles("cigre-lv")


def test_the_data_says_where_it_comes_from_and_under_which_licence():
    notes = (Path(feeders.DATA) / STREET / "README.md").read_text()
    assert all(word in notes for word in ("SimBench", "Open Database License", "DbCL", "10.3390/en13123290"))
