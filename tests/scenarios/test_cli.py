"""The command line: what it prints where, and with which status it ends."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from results.run import Run
from scenarios import cli
from tests.conftest import STREET, TWO_HOURS

Capture = pytest.CaptureFixture[str]

SOLAR = [{"price": 0.05, "powerKW": 0}, {"price": 0.06, "powerKW": 2}, {"price": 0.07, "powerKW": 5}]
EV = [{"price": 0.08, "powerKW": -11}, {"price": 0.10, "powerKW": -5}, {"price": 0.12, "powerKW": 0}]


def curve(points: list[dict[str, float]]) -> dict[str, Any]:
    return {"currency": "USD", "minExport": points[0]["powerKW"], "maxExport": points[-1]["powerKW"], "curve": points}


def book(solar: int, cars: int) -> dict[str, Any]:
    participants = [{"era": f"solar-{k}", "offerCurve": curve(SOLAR)} for k in range(solar)]
    participants += [{"era": f"ev-{k}", "offerCurve": curve(EV)} for k in range(cars)]
    return {"message": {"aggregationRequest": {"participants": participants}}}


def write(path: Path, document: object) -> str:
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        (
            "from scenarios import cli; cli._parser()",
            {"pandapower", "pandas", "numpy", "matplotlib", "mesa", "simpy", "pydantic", "pyarrow", "scipy", "rich"},
        ),
        ("from scenarios import laboratory", {"pandapower", "pandas", "matplotlib", "mesa", "simpy", "pyarrow"}),
        ("import results", {"pandas", "matplotlib", "pyarrow"}),
        ("import results.run", {"matplotlib", "pandapower", "vl_convert", "IPython"}),
    ],
    ids=["help", "clear", "results", "a run"],
)
def test_nobody_waits_for_imports_that_only_others_need(code: str, heavy: set[str]) -> None:
    code = f"import sys; {code}; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert heavy.isdisjoint(loaded)


def test_clear_answers_several_books_in_order_one_result_a_line(tmp_path: Path, capsys: Capture) -> None:
    """The founding documents' books, at the prices at which they really clear."""
    files = [write(tmp_path / f"{k}.json", book(*sizes)) for k, sizes in enumerate([(2, 1), (1, 1), (20, 10)])]
    assert cli.main(["clear", *files]) == 0
    results = [json.loads(line)["message"]["aggregationResult"] for line in capsys.readouterr().out.splitlines()]
    assert [r["clearingPrice"] for r in results] == pytest.approx([0.083333, 0.10, 0.083333], abs=1e-6)
    assert [r["clearingQuantityKW"] for r in results] == pytest.approx([10, 5, 100])
    assert all(r["certificate"]["certified"] for r in results)


def test_clear_reads_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(book(1, 1))))
    assert cli.main(["clear", "-", "--policy", "pay-as-clear"]) == 0
    assert json.loads(capsys.readouterr().out)["message"]["aggregationResult"]["policy"] == "pay-as-clear"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["clear", "{book}", "--policy", "lokational"], "did you mean locational?"),
        (["clear", "{folder}/none.json"], "there is no such file"),
        (["clear", "{folder}/text.json"], "is not JSON"),
        (["clear", "{falling}"], "falls from -5 kW at 0.1 to -11 kW at 0.12"),
        (["settle", "{book}", "--signals", "{folder}/none.json"], "there is no such file"),
        (["settle", "{book}", "--signals", "{book}"], "unknown"),
        (["verify", "{folder}/nowhere"], "there is no such folder"),
        (["verify", "{folder}"], "run.json"),
        (["plot", "{folder}/nowhere"], "there is no such folder"),
        (["list", "agent"], "did you mean agents?"),
    ],
)
def test_what_cannot_be_used_ends_with_status_2_and_one_clear_message(
    arguments: list[str], says: str, tmp_path: Path, capsys: Capture
) -> None:
    falling = book(1, 1)
    falling["message"]["aggregationRequest"]["participants"][1]["offerCurve"]["curve"][2]["powerKW"] = -11
    places = {
        "folder": str(tmp_path),
        "book": write(tmp_path / "book.json", book(1, 1)),
        "falling": write(tmp_path / "falling.json", falling),
    }
    (tmp_path / "text.json").write_text("price: 5", encoding="utf-8")
    assert cli.main([argument.format(**places) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err
    assert "Traceback" not in captured.err


def test_settle_computes_the_flow_form(tmp_path: Path, capsys: Capture) -> None:
    contract = {
        "contractId": "p2p",
        "currency": "USD",
        "roles": [{"role": "BUYER", "filledBy": "ev-1"}, {"role": "SELLER", "filledBy": "solar-1"}],
        "inputParameters": {"pricePerKWh": 0.15},
        "telemetrySources": [{"sourceId": "meter"}],
        "revenueFlows": {"flows": [{"from": "BUYER", "to": "SELLER", "formula": "meter.energyKWh * pricePerKWh"}]},
    }
    files = write(tmp_path / "c.json", contract), write(tmp_path / "s.json", {"meter": {"energyKWh": 10}})
    assert cli.main(["settle", files[0], "--signals", files[1]]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["balances"] == {"ev-1": -1.5, "solar-1": 1.5}
    assert report["netZeroVerified"] is True


def test_run_prints_the_summary_and_leaves_a_folder_that_verifies_and_plots(tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "run"
    overrides = [argument for override in TWO_HOURS for argument in ("--set", override)]
    assert cli.main(["run", str(STREET), *overrides, "--seed", "3", "--out", str(folder)]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("street: policy locational, seed 3")
    assert "street 100%, in 0:" in captured.err
    assert cli.main(["verify", str(folder)]) == 0
    assert "ok   journal" in capsys.readouterr().out
    assert cli.main(["plot", str(folder), "clearing", "--interval", "4", "--format", "svg"]) == 0
    assert (folder / "plots" / "clearing-4.svg").read_text(encoding="utf-8").startswith("<?xml")
    assert {p.name for p in folder.iterdir()} == {"run.json", "journal.jsonl", "witness.jsonl", "tables", "plots"}


def test_verify_ends_with_status_1_when_the_run_is_at_fault(
    run_street: Callable[..., Run], tmp_path: Path, capsys: Capture
) -> None:
    run = run_street(*TWO_HOURS)
    folder = tmp_path / "tampered"
    folder.mkdir()
    for source in run.path.rglob("*"):
        if source.is_file():
            target = folder / source.relative_to(run.path)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(source.read_bytes())
    journal = folder / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"clearedPowerKW":', b'"clearedPowerKW":1', 1))
    assert cli.main(["verify", str(folder)]) == 1
    assert "journal" in capsys.readouterr().out


def test_the_exported_scenario_schema_accepts_the_example_and_refuses_an_unknown_key(tmp_path: Path) -> None:
    assert cli.main(["schema", "--out", str(tmp_path)]) == 0
    schema = json.loads((tmp_path / "scenario.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema_rs.Draft202012Validator(schema)
    document = yaml.safe_load(STREET.read_text(encoding="utf-8"))
    document["start"] = document["start"].isoformat()
    assert [error.message for error in validator.iter_errors(document)] == []
    assert not validator.is_valid(document | {"sed": 1})


def test_without_standard_error_nothing_is_said_and_data_stay_data(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr("sys.stderr", None)
    assert cli.main(["list", "nothing"]) == 2
    sys.stderr.close()
    assert capsys.readouterr() == ("", "")
