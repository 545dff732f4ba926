"""Bad input: one clear line for each problem, exit status 2, and nothing half-written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from scenarios import cli
from scenarios.reader import read
from sim.errors import ScenarioError
from tests.conftest import STREET, TWO_HOURS

HEAT_PUMP = {"kind": "heat_pump", "power_kw": 3}
TASK = {"name": "dishes", "energy_kwh": 1, "power_kw": 2, "earliest_h": 13, "deadline_h": 20}


def street(tmp_path: Path, change: Any) -> Path:
    document = yaml.safe_load(STREET.read_text(encoding="utf-8"))
    change(document)
    path = tmp_path / "street.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def refused(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The message of a refused run, after checking its status and that it left nothing behind."""
    out = tmp_path / "out"
    assert cli.main(["run", str(path), "--out", str(out), *arguments]) == 2
    assert not out.exists()
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name] == []
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return captured.err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d.update(interval_minutes=15), "interval_minutes: unknown key (did you mean interval_min?)"),
        (lambda d: d["market"].update(polcy="none"), "market.polcy: unknown key (did you mean policy?)"),
        (lambda d: d["populations"][3].update(capacity=1), "populations[3].capacity: unknown key (did you mean capacity_kwh?)"),
        (lambda d: d["populations"][3].update(capacity_kwh=-50), "populations[3].capacity_kwh"),
        (lambda d: d["populations"][0].update(kind="hous"), "populations[0]"),
        (lambda d: d.pop("tariffs"), "tariffs: is missing"),
        (lambda d: d.update(interval_min=7), "interval_min: 7 minutes do not divide a day of 1440"),
        (lambda d: d.update(interval_min=10), "interval_min: profiles come every 15 minutes"),
        (
            lambda d: d["populations"].append({**HEAT_PUMP, "resistance_k_per_kw": 0.01, "capacity_kwh_per_k": 0.001}),
            "populations[5]: resistance_k_per_kw times capacity_kwh_per_k is 1e-05 h",
        ),
        (
            lambda d: d["populations"].append(
                {
                    **HEAT_PUMP,
                    "resistance_k_per_kw": {"distribution": "uniform", "low": 1e-6, "high": 1},
                    "capacity_kwh_per_k": {"distribution": "uniform", "low": 1e-6, "high": 0.11},
                }
            ),
            "it stores nothing",
        ),
        (
            lambda d: d["populations"][0].update(tasks=[TASK, TASK]),
            "populations[0]: tasks: several are called dishes",
        ),
        (lambda d: d.update(forecasts={"sd": 1e4, "bias": 1e300}), "forecasts.sd: Input should be less than or equal to 10"),
        (lambda d: d.update(start="2016-05-17T09:10:00"), "start: 09:10:00 lies between two steps of the profiles"),
        (lambda d: d.update(start="2016-07-01T00:00:00"), "its windows: 2016-05-16 00:00:00 to 2016-05-23 00:00:00"),
        (lambda d: d.update(time_zone="Europe/Atlantis"), "time_zone: 'Europe/Atlantis' is not an IANA time zone"),
        (lambda d: d["feeder"].update(name="simbench-semiurb5"), "did you mean simbench-semiurb4?"),
        (lambda d: d["feeder"].update(transformer_type="0.3 MVA"), "transformer type"),
        (lambda d: d.update(sites=[{"era": "a", "bus": "LV4.101 Bus 999"}]), "sites[0].bus: simbench-semiurb4 has no bus"),
        (
            lambda d: d.update(sites=[{"era": "a", "bus": "LV4.101 Bus 2"}, {"era": "a", "bus": "LV4.101 Bus 16"}]),
            "2 sites have the ERA a",
        ),
        (lambda d: d["populations"][1].update(name="ev"), "2 participants are called ev-01"),
        (lambda d: d["populations"][4].update(host="agregator"), "populations[4].host: no aggregator agregator (did you mean aggregator?)"),
        (lambda d: d.update(aggregators=[]), "populations[4].host: no aggregator aggregator (there is none)"),
        (lambda d: d["market"].update(policy="locationl"), "market.policy: no such policy, did you mean locational?"),
        (lambda d: d["market"].update(policy="my_lab.vcg:clear"), "cannot be imported"),
        (lambda d: d["tariffs"].update({"import": [{"from": "06:00", "to": "22:00", "price": 0.3}]}), "tariffs.import: no element of the tariff covers 00:00"),
        (lambda d: d["market"].update(gate_s=400), "the gate closes 400 s before delivery"),
        (lambda d: d["populations"][2]["arrival_h"].update(low=30), "low 30"),
        (lambda d: d["populations"][2]["arrival_h"].update(high=30), "12.0..30.0 are not hours of a day"),
        (lambda d: d["populations"][2]["arrival_h"].update(mean=90), "hardly a draw lies within"),
        (lambda d: d["populations"][1]["peak_kw"].update(low=-4), "low -4.0 must be above 0"),
        (lambda d: d["populations"][1]["peak_kw"].update(low=40), "low 40.0 must be below high 10.0"),
        (lambda d: d.update(name="my street"), "'my street' is not a name"),
        (lambda d: d["tariffs"].update(currency="euro"), "'euro' is not a currency code"),
        (lambda d: d["tariffs"].update(export=[{"price": 0.28}]), "the import price is below the export price"),
        (lambda d: d["market"].update(price_cap=0.3), "prices 0.24..0.32 leave the market's bounds -0.5..0.3"),
        (lambda d: d.update(wire={"latency_s": 5}, market=d["market"] | {"gate_s": 50}), "takes up to 130 s to reach everybody"),
        (lambda d: d.update(outputs={"plots": ["pricess"]}), "did you mean prices?"),
        (lambda d: d.update(populations=[d["populations"][0] | {"count": 0}], aggregators=[]), "nobody takes part"),
        (lambda d: d["populations"][1].update(joins="2016-05-01T10:00:00"), "populations[1].joins: 2016-05-01 10:00:00 is before the run begins"),
        (lambda d: d["populations"][4].update(count=0), "aggregator hosts nobody (take it out"),
    ],
)  # fmt: skip
def test_a_bad_scenario_is_answered_in_a_clear_line(
    change: Any, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert says in refused(street(tmp_path, change), tmp_path, capsys)


def test_all_problems_of_a_file_are_named_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def change(document: dict[str, Any]) -> None:
        document["sed"] = 1
        document["populations"][3]["charge_kw"] = "five"
        document["feeder"]["limits"]["margin"] = 2

    text = refused(street(tmp_path, change), tmp_path, capsys)
    assert text.startswith("degsim: street.yaml: 3 problems")
    assert "sed: unknown key (did you mean seed?)" in text
    assert "populations[3].charge_kw" in text
    assert "feeder.limits.margin" in text


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("populations.battery.capacity_kwh=-3", "populations[3].capacity_kwh: Input should be greater than 0, got -3"),
        ("populations.pv.peak_kw.low=-4", "populations[1].peak_kw: low -4.0 must be above 0"),
        ("populations.pv.peak_kw=null", "populations[1].peak_kw: expected a number, got None"),
        ("populations.pv.sites=[]", "populations[1].sites: expected 1 or more, got []"),
        (
            "tariffs.export=[{price: dear}]",
            "tariffs.export[0].price: Input should be a valid number, unable to parse string as a number, got 'dear'",
        ),
        ("market=5", "market: expected a mapping of keys, got 5"),
        (
            "feeder.limits.import_share=-1",
            "feeder.limits.import_share: Input should be greater than or equal to 0, got -1",
        ),
    ],
)
def test_one_mistake_is_one_line(override: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", str(STREET), "--set", override]) == 2
    assert capsys.readouterr().err == f"degsim: street.yaml: {line}\n"


def test_a_missing_file_and_a_file_that_is_not_yaml_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "there is no such file" in refused(tmp_path / "nowhere.yaml", tmp_path, capsys)
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: [street\nseed: 1\n", encoding="utf-8")
    assert "is not YAML at line 2" in refused(broken, tmp_path, capsys)
    broken.write_text("- a\n- b\n", encoding="utf-8")
    assert "a scenario is a mapping of keys, this file holds a list" in refused(broken, tmp_path, capsys)


def test_a_feeder_without_a_transformer_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import pandapower as pp

    net = pp.create_empty_network()
    bus = pp.create_bus(net, 0.4, name="a")
    pp.create_ext_grid(net, bus)
    file = tmp_path / "flat.json"
    pp.to_json(net, str(file))
    text = refused(street(tmp_path, lambda d: d.update(feeder={"name": str(file)})), tmp_path, capsys)
    assert "transformer" in text


def test_a_folder_that_is_not_a_run_is_never_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("do not lose", encoding="utf-8")
    assert cli.main(["run", str(STREET), "--out", str(precious)]) == 2
    assert "is neither empty nor a run" in capsys.readouterr().err
    assert (precious / "thesis.txt").read_text(encoding="utf-8") == "do not lose"


def test_a_place_that_cannot_be_written_is_refused_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "file"
    taken.write_text("", encoding="utf-8")
    for place, says in ((taken, "is neither empty nor a run"), (taken / "below", "cannot be written")):
        assert cli.main(["run", str(STREET), "--out", str(place)]) == 2
        assert says in capsys.readouterr().err
    assert taken.read_text(encoding="utf-8") == ""


def test_why_a_place_is_refused_is_said_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.tex").write_text("years of work", encoding="utf-8")
    assert cli.main(["run", str(STREET), "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"degsim: {tmp_path}: is neither empty nor a run; choose another --out\n"


def test_a_bill_whose_inputs_find_no_place_is_not_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored = STREET.parents[1] / "tests" / "results" / "stored" / "smart-charging-format-2"
    taken = tmp_path / "file"
    taken.write_text("", encoding="utf-8")
    assert cli.main(["bill", str(stored), "house-01", "--out", str(taken)]) == 2
    assert capsys.readouterr() == ("", f"degsim: {taken}: File exists\n")


def test_overrides_reach_any_key_by_number_name_or_kind() -> None:
    scenario = read(STREET, ["market.policy=none", "populations.ev.count=3", "populations[0].scale=2", "seed=9"])
    assert (scenario.market.policy, scenario.seed) == ("none", 9)
    assert scenario.populations[2].count == 3
    assert scenario.populations[0].scale == 2  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("market.policy", "expected path=value"),
        ("populations.evs.count=3", "expected a number below 5 or one of house, pv, ev, battery, fleet"),
        ("seed.deep=3", "seed is a value"),
        ("market.polici=none", "did you mean policy?"),
    ],
)
def test_an_override_that_reaches_nothing_is_refused(override: str, says: str) -> None:
    with pytest.raises(ScenarioError, match=says.replace("?", r"\?")):
        read(STREET, [override])


def test_the_example_scenario_is_read_whole() -> None:
    scenario = read(STREET, TWO_HOURS)
    assert (scenario.name, scenario.duration_h, scenario.interval_min) == ("street", 2, 15)
    assert scenario.tariffs.imports[0].start == "22:00"
