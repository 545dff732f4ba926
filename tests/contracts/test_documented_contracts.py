"""The contracts in ``docs/contracts``: each settles, in each reading, and its balances sum to zero."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scenarios.cli import main
from sim.contracts.document import Reader, read_json
from sim.contracts.readings import read
from sim.contracts.readings.writing import write
from sim.contracts.settle import settle
from sim.errors import ContractError

FOLDER = Path(__file__).parents[2] / "docs" / "contracts"
NAMES = sorted(path.name.removesuffix(".signals.json") for path in FOLDER.glob("*.signals.json"))

BALANCES = {
    "charging-flexibly": {"ev-battery-001": "-0.59", "market-clearing-agent": "0.59"},
    "trading-through-a-market": {
        "solar-panel-001": "60.00",
        "ev-battery-001": "-60.40",
        "grid-operator-utility": "0.20",
        "aggregator-platform": "0.10",
        "government-tax": "0.10",
    },
    "charging-along-a-route": {"ev-battery-001": "-2.40", "cpo-station-001": "2.40"},
    "neighbours": {
        "solar-1": "57.00",
        "ev-1": "-80.64",
        "utility-1": "11.10",
        "club-a": "0.34",
        "club-b": "0.33",
        "club-c": "0.33",
        "treasury": "11.54",
    },
}


def load(name: str) -> Any:
    return read_json((FOLDER / name).read_text(encoding="utf-8"), name)


def settled(name: str, document: Any = None) -> Any:
    return settle(document or load(f"{name}.json"), load(f"{name}.signals.json"), name)


def test_every_documented_contract_is_in_the_table_of_this_test():
    assert sorted(BALANCES) == NAMES == sorted(p.stem for p in FOLDER.glob("*.json") if "signals" not in p.name)


@pytest.mark.parametrize("name", NAMES)
def test_it_settles_to_zero(name):
    report = settled(name)
    assert {era: str(amount) for era, amount in report["balances"].items()} == BALANCES[name]
    assert sum(report["balances"].values()) == 0
    assert report["netZeroVerified"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["billing", "signed", "flows"])
def test_it_means_the_same_in_every_reading_that_can_say_it(name, form):
    document, reader = load(f"{name}.json"), Reader()
    agreement = read(reader, document)
    if name == "neighbours" and form != "flows":
        with pytest.raises(ContractError, match=r"only flows can say that|needs a payer"):
            write(document, agreement, form)
    else:
        balances = settled(name, write(document, agreement, form))["balances"]
        assert {era: str(amount) for era, amount in balances.items()} == BALANCES[name]


def test_a_figure_of_the_document_that_its_formulas_do_not_give_is_noted():
    notes = settled("trading-through-a-market")["notes"]
    assert [note for note in notes if "the document states" in note] == [
        "/revenueFlows/1: the document states 20.0 for grid-operator-utility; its formulas give 0.20",
        "/revenueFlows/2: the document states 10.0 for aggregator-platform; its formulas give 0.10",
        "/revenueFlows/3: the document states 10.0 for government-tax; its formulas give 0.10",
    ]


# the commands


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(arguments)
    told = capsys.readouterr()
    return status, told.out, told.err


@pytest.mark.parametrize("name", NAMES)
def test_the_command_prints_a_bill_and_computes_it_again(name, capsys, tmp_path):
    files = (str(FOLDER / f"{name}.json"), "--signals", str(FOLDER / f"{name}.signals.json"))
    status, out, _ = run(capsys, "settle", *files)
    assert status == 0
    report = tmp_path / "report.json"
    report.write_text(out, encoding="utf-8")
    status, out, _ = run(capsys, "settle", *files, "--against", str(report))
    assert (status, out) == (0, f"{report}: every line follows from contract and signals\n")
    status, out, _ = run(capsys, "settle", *files, "--previous", str(report))
    assert status == 0
    assert read_json(out, "out")["postings"] == []  # type: ignore[index]


def test_a_bill_that_somebody_changed_is_found_line_by_line(capsys, tmp_path):
    files = (str(FOLDER / "neighbours.json"), "--signals", str(FOLDER / "neighbours.signals.json"))
    report = tmp_path / "report.json"
    _, out, _ = run(capsys, "settle", *files)
    report.write_text(out.replace("57.00", "57.01"), encoding="utf-8")
    status, out, err = run(capsys, "settle", *files, "--against", str(report))
    assert (status, out) == (1, f"{report}: 4 differences\n")
    assert "/revenueFlows/0/amount: is stated as 57.01; it comes to 57.00" in err
    assert "/postings/0/amount: is stated as 57.01; it comes to 57.00" in err


def test_the_bill_for_people_has_a_line_for_every_payment(capsys):
    status, out, _ = run(
        capsys,
        "settle",
        str(FOLDER / "neighbours.json"),
        "--signals",
        str(FOLDER / "neighbours.signals.json"),
        "--table",
    )
    assert status == 0
    assert "  ev-1  →  treasury    5.77  gst/CGST" in out
    assert "  gst/CGST: 9.00 % on top of energy, wheeling" in out
    assert "target.energyKWh = 0.3 to 8.5 in 4 intervals, together 10.0" in out


def test_a_contract_is_shown_in_words_and_in_another_reading(capsys):
    path = str(FOLDER / "trading-through-a-market.json")
    assert (
        "1. Energy sale: BUYER pays solar-panel-001 energyFlow * clearingPrice"
        in run(capsys, "contract", path, "--to", "text")[1]
    )
    status, out, _ = run(capsys, "contract", path, "--to", "flows")
    assert status == 0
    assert '"from": "BUYER"' in out
    status, out, _ = run(capsys, "contract", path)
    assert status == 0
    assert out.startswith("trading-through-a-market: reading billing, INR, 4 flows, ACTIVE, an instance\n")
    assert out.endswith("ready to become active\n")


def test_a_contract_that_lacks_something_is_not_ready(capsys, tmp_path):
    path = tmp_path / "open.json"
    path.write_text(
        (FOLDER / "neighbours.json").read_text().replace('"filledBy": "treasury"', '"filled": false'), encoding="utf-8"
    )
    status, out, _ = run(capsys, "contract", str(path))
    assert status == 1
    assert out.endswith("not ready:\n  /roles/6: nobody fills the role GOVERNMENT (give it a filledBy)\n")
    status, _, err = run(capsys, "settle", str(path), "--signals", str(FOLDER / "neighbours.signals.json"))
    assert (status, err) == (2, f"degsim: {path}: /revenueFlows/flows/4/to: nobody fills the role GOVERNMENT\n")
