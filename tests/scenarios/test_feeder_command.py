"""``degsim feeder``: what a feeder is, from whichever source, and what is wrong with it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandapower as pp
import pytest

from scenarios import cli, feeder
from scenarios.spec import BranchLimits, FeederSpec, LimitedLine, Limits
from sim.errors import ScenarioError

Capture = pytest.CaptureFixture[str]

SCENARIO = """
name: mine
start: 2016-05-17T00:00:00
time_zone: Europe/Berlin
interval_min: 15
duration_h: 1
feeder:
  name: my-street
  described:
    source: {bus: grid, kv: 20}
    transformers:
      tx: {type: 0.4 MVA 20/0.4 kV, to: lv}
    lines:
      a: {from: lv, km: 0.2, type: NAYY 4x150 SE}
    chains:
      h: {from: a, buses: 4, km: 0.05, type: NAYY 4x150 SE}
  limits: %s
populations: [{kind: household}]
tariffs: {currency: EUR, import: [{price: 0.3}], export: [{price: 0.1}]}
"""


def scenario(folder: Path, limits: str = "{}", text: str = SCENARIO) -> str:
    path = folder / "mine.yaml"
    path.write_text(text % limits, encoding="utf-8")
    return str(path)


def shown(capture: Capture, *arguments: str) -> Any:
    assert cli.main(["feeder", *arguments, "--json"]) == 0
    return json.loads(capture.readouterr().out)


def refused(capture: Capture, *arguments: str) -> str:
    assert cli.main(["feeder", *arguments]) == 2
    captured = capture.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return captured.err


# --- what is shown -----------------------------------------------------------------------------------------------


def test_a_feeder_by_name_is_a_table_of_counts_and_its_tree(capsys: Capture) -> None:
    assert cli.main(["feeder", "simbench-semiurb4"]) == 0
    title, _, buses, lines, *_, head, node = capsys.readouterr().out.splitlines()
    assert title == "simbench-semiurb4 (data set of this project)"
    assert buses == "buses           44: 20 kV (1), 0.4 kV (43)"
    assert lines == "lines           42, 0.746 km"
    assert head.split()[:4] == ["node", "kind", "below", "kVA"]
    assert node.split()[:4] == ["trafo-1", "transformer", "grid", "400.0"]
    assert node.split()[6:8] == ["43", "41"]


def test_every_bus_has_its_way_and_its_impedance(tmp_path: Path, capsys: Capture) -> None:
    """NAYY 4x150 SE: 0.208 + 0.080j ohm/km; 0.4 MVA, vk 6 %, vkr 1.425 %: 0.0057 + 0.02331j ohm at 0.4 kV"""
    found = shown(capsys, scenario(tmp_path), "--buses")
    by_name = {bus["name"]: bus for bus in found["buses"]}
    assert by_name["lv"]["r_ohm"] == pytest.approx(0.0057, rel=0.01)
    assert by_name["lv"]["x_ohm"] == pytest.approx(0.02331, rel=0.01)
    far = by_name["h4"]
    assert far["km"] == pytest.approx(0.4)
    assert far["r_ohm"] == pytest.approx(0.0057 + 0.4 * 0.208, rel=0.01)
    assert far["x_ohm"] == pytest.approx(0.02331 + 0.4 * 0.080, rel=0.01)
    assert far["z_ohm"] == pytest.approx(math.hypot(far["r_ohm"], far["x_ohm"]))
    assert far["percent_per_kw"] == pytest.approx(100 * far["r_ohm"] * 1e3 / 400**2)
    assert (far["node"], far["customers"], by_name["grid"]["node"]) == ("tx", 1, None)
    (node,) = found["nodes"]
    assert (node["farthest"], node["buses"], node["customers"]) == ("h4", 6, 5)


def test_buses_are_listed_only_on_demand(capsys: Capture) -> None:
    assert "buses" not in shown(capsys, "kerber-landnetz-kabel-1")
    assert len(shown(capsys, "kerber-landnetz-kabel-1", "--buses")["buses"]) == 18


def test_limits_of_a_scenario_are_those_of_its_tree(tmp_path: Path, capsys: Capture) -> None:
    plain = shown(capsys, scenario(tmp_path))["nodes"]
    limits = "{transformers: {tx: {derating: 0.5}}, lines: [{line: a, name: cable, export_share: 0.5}]}"
    limited = shown(capsys, scenario(tmp_path, limits))["nodes"]
    assert [(node["name"], node["kind"], node["parent"]) for node in limited] == [
        ("tx", "transformer", None),
        ("cable", "line", "tx"),
    ]
    assert limited[0]["import_kw"] == pytest.approx(plain[0]["import_kw"] / 2, rel=0.02)
    cable = limited[1]
    assert cable["rated_kva"] == pytest.approx(math.sqrt(3) * 0.4 * 270, rel=1e-6)
    assert cable["export_kw"] == pytest.approx(cable["import_kw"] / 2, rel=0.1)


def test_another_transformer_is_tried_without_a_scenario(capsys: Capture) -> None:
    found = shown(capsys, "simbench-semiurb4", "--transformer-type", "0.25 MVA 20/0.4 kV")
    assert found["nodes"][0]["rated_kva"] == 250


def test_a_meshed_network_is_shown_with_why_it_is_no_tree(tmp_path: Path, capsys: Capture) -> None:
    net = small()
    pp.create_transformer(net, 0, 1, "0.25 MVA 10/0.4 kV", name="second")
    pp.to_json(net, str(tmp_path / "ring.json"))
    assert cli.main(["feeder", str(tmp_path / "ring.json"), "--buses"]) == 0
    text = capsys.readouterr().out
    assert "no tree of limits: net.trafo[1]: second leads to buses that are fed another way too" in text
    assert "power flow only" in text
    assert text.splitlines()[-1].split()[:2] == ["b3", "-"]


def test_a_network_without_a_transformer_is_shown_too(capsys: Capture) -> None:
    found = shown(capsys, "case33bw")
    assert found["nodes"] == []
    assert "feeder.limits.lines" in found["no_tree"]
    assert found["notes"] == ["32 lines have no rating (99999 kA)"]


def test_what_is_taken_otherwise_is_noted_beside_the_data(tmp_path: Path, capsys: Capture) -> None:
    net = small()
    pp.create_gen(net, 2, 0.003)
    pp.to_json(net, str(tmp_path / "gen.json"))
    assert cli.main(["feeder", str(tmp_path / "gen.json")]) == 0
    captured = capsys.readouterr()
    assert "gen: 1 generators are customers like others and hold no voltage" in captured.err
    assert "generators" not in captured.out


@pytest.mark.parametrize("form", ["png", "svg"])
def test_a_feeder_is_drawn_and_the_same_one_to_the_same_bytes(form: str, tmp_path: Path, capsys: Capture) -> None:
    first, second = tmp_path / f"a.{form}", tmp_path / "folder" / f"b.{form}"
    for path in (first, second):
        assert cli.main(["feeder", scenario(tmp_path), "--draw", str(path)]) == 0
    assert str(second) in capsys.readouterr().err
    assert first.stat().st_size > 5000
    assert first.read_bytes() == second.read_bytes()


# --- what is refused ---------------------------------------------------------------------------------------------


def small() -> Any:
    net = pp.create_empty_network()
    for number in range(4):
        pp.create_bus(net, 0.4 if number else 10.0, name=f"b{number}")
    pp.create_ext_grid(net, 0)
    pp.create_transformer(net, 0, 1, "0.25 MVA 10/0.4 kV", name="tx")
    for start, end in ((1, 2), (2, 3)):
        pp.create_line(net, start, end, 0.1, "NAYY 4x150 SE", name=f"l{start}{end}")
    pp.create_load(net, 3, 0.005)
    return net


def test_a_bad_network_ends_with_status_2_and_all_of_its_faults(tmp_path: Path, capsys: Capture) -> None:
    net = small()
    net.line.loc[0, "max_i_ka"] = 0.0
    net.trafo["vn_lv_kv"] = 0.69
    pp.to_json(net, str(tmp_path / "bad.json"))
    text = refused(capsys, str(tmp_path / "bad.json"))
    assert "bad: 2 problems" in text
    assert "net.line.max_i_ka: is not above 0: l12 (0.0)" in text
    assert "net.trafo.vn_lv_kv: is more than 20% off its bus: tx (0.69 kV at a bus of 0.4 kV)" in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("kerber-dorfnets",), "did you mean kerber-dorfnetz?"),
        (("nowhere.json",), "there is no such file"),
        (("simbench-semiurb4", "--draw", "map.gif"), "known: png, svg"),
        (("simbench-semiurb4", "--transformer-type", "0.25 MVA 20/0.4kV"), "did you mean 0.25 MVA 20/0.4 kV?"),
    ],
)
def test_what_cannot_be_shown_says_what_can(arguments: tuple[str, ...], says: str, capsys: Capture) -> None:
    assert says in refused(capsys, *arguments)


def test_faults_of_a_description_have_their_path_in_the_scenario(tmp_path: Path, capsys: Capture) -> None:
    text = SCENARIO.replace("from: a,", "from: aa,").replace("0.2, type: NAYY 4x150 SE", "0.2, type: NAYY 4x151 SE")
    said = refused(capsys, scenario(tmp_path, text=text))
    assert "mine.yaml: 2 problems" in said
    assert "feeder.described.lines.a.type: there is no line type 'NAYY 4x151 SE' (did you mean NAYY 4x150 SE?)" in said
    assert "feeder.described.chains.h.from: nothing feeds a bus 'aa' (did you mean a?)" in said


def test_a_misspelt_key_of_a_description_is_answered_with_the_nearest(tmp_path: Path, capsys: Capture) -> None:
    said = refused(capsys, scenario(tmp_path, text=SCENARIO.replace("to: lv", "to: lv, paralel: 2")))
    assert "feeder.described.transformers.tx.paralel: unknown key (did you mean parallel?)" in said


def test_unknown_names_of_limits_are_answered_with_the_nearest(tmp_path: Path, capsys: Capture) -> None:
    said = refused(capsys, scenario(tmp_path, "{transformers: {tx1: {}}, lines: [{line: h22}, {line: a, name: tx}]}"))
    assert "feeder.limits.transformers.tx1: my-street has no transformer 'tx1' (did you mean tx?)" in said
    assert "feeder.limits.lines[0].line: my-street has no line 'h22' (did you mean h2?)" in said
    assert "feeder.limits.lines[1].name: a transformer is called 'tx' too" in said


def of_case33bw(folder: Path, line: str) -> str:
    head, tail = SCENARIO.index("feeder:"), SCENARIO.index("populations:")
    feeder = f"feeder: {{name: case33bw, limits: {{lines: [{line}]}}}}\n"
    path = folder / "bare.yaml"
    path.write_text(SCENARIO[:head] + feeder + SCENARIO[tail:], encoding="utf-8")
    return str(path)


def test_a_limited_line_without_a_rating_is_asked_for_one_and_has_it_then(tmp_path: Path, capsys: Capture) -> None:
    said = refused(capsys, of_case33bw(tmp_path, "{line: line 0, name: head}"))
    assert "feeder.limits.lines[0].max_i_ka: 'line 0' has no rating in the network (say how much it may carry" in said
    (node,) = shown(capsys, of_case33bw(tmp_path, "{line: line 0, name: head, max_i_ka: 0.4}"))["nodes"]
    assert (node["name"], node["customers"]) == ("head", 32)
    assert node["rated_kva"] == pytest.approx(math.sqrt(3) * 12.66 * 400)


# --- limits, resolved --------------------------------------------------------------------------------------------


def test_what_is_said_of_one_branch_goes_before_what_is_said_of_all() -> None:
    limits = Limits(
        import_share=0.9,
        power_factor=0.95,
        transformers={"tx": BranchLimits(margin=0.1, side="hv")},
        lines=(LimitedLine(line="cable 1", name="c1", import_share=0.5, derating=0.8),),
    )
    assert limits.limits_of("tx") == Limits(import_share=0.9, power_factor=0.95, margin=0.1, side="hv")
    assert limits.limits_of("c1") == Limits(import_share=0.5, power_factor=0.95, derating=0.8)
    assert limits.limits_of("another") == Limits(import_share=0.9, power_factor=0.95)
    assert limits.nodes() == {"cable 1": "c1"}


def test_limits_survive_being_written() -> None:
    limits = Limits(transformers={"tx": BranchLimits(margin=0.1)}, lines=(LimitedLine(line="l1"),))
    assert Limits.model_validate(limits.model_dump(mode="json", by_alias=True)) == limits


def test_a_line_is_limited_once() -> None:
    with pytest.raises(ValueError, match="several have the line l1"):
        Limits(lines=(LimitedLine(line="l1"), LimitedLine(line="l1", name="again")))


def test_a_described_feeder_has_a_name_of_its_own_and_its_types_in_one_place() -> None:
    described = {"source": {"kv": 20}, "transformers": {"tx": {"type": "0.4 MVA 20/0.4 kV", "to": "lv"}}}
    for spec in ({"name": "cigre-lv"}, {"name": "mine", "transformer_type": "0.25 MVA 20/0.4 kV"}):
        with pytest.raises(ScenarioError, match="is described"):
            feeder.load(FeederSpec.model_validate({**spec, "described": described}), "mine")
