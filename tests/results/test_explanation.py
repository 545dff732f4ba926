"""Every amount of a run can be told from where it comes, and comes to what the ledger has."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import pytest

from results.explanation import as_text, contracts, explained, explanation
from results.explanation.facts import filled
from results.explanation.party import party_facts
from results.run import Record, Run
from scenarios.cli import main
from scenarios.reader import read
from scenarios.runner import execute
from sim.contracts.fingerprints import snapshot
from sim.contracts.formula import compile_formula
from sim.contracts.templates import congestion_rent, offset_uplift
from sim.errors import RunError
from sim.ledger import balances

SCENARIOS = Path(__file__).parents[2] / "scenarios"
FEW = (
    "demand-response",  # billed at the end
    "demand-response-aggregator",
    "destination-charging-mishaps",  # what is paid back
    "grid-services-plateau",  # moved, and compensated
    "peer-to-peer-two-utilities",
    "policies-as-code",  # an obligation
    "virtual-power-plant",  # levels
)
UNTOLD = {"obligation-renewable-purchase"}
"""Terms that no message and no shipped template tells."""


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Run]:
    folder = tmp_path_factory.mktemp("explained")
    return {name: _made(SCENARIOS / "use_cases" / f"{name}.yaml", folder / name) for name in FEW}


def _made(scenario: Path, folder: Path) -> Run:
    execute(read(scenario), folder)
    return Run(folder)


def _doubts(run: Run) -> Counter[str]:
    """Postings that nothing was computed for, by template; everything else has to come to the ledger's own amount."""
    told, found = contracts(run), Counter[str]()
    for number, posting in enumerate(run.ledger):
        facts = explained(run, told, number)
        assert (facts["posting"], facts["payer"], facts["payee"]) == (number, posting.payer, posting.payee)
        if "why" in facts:
            found[facts["contract"]["template"]] += 1
            rows = [row for event in facts["events"] for row in event["data"].get("postings", ())]
            assert [posting.term, posting.payer, posting.payee, facts["amount"], posting.currency] in rows
        else:
            assert _computed_again(facts) == posting.amount
    return found


def _computed_again(facts: Record) -> Decimal:
    """The amount of a posting, from nothing but what is told about it."""
    formula = compile_formula(facts["formula"], who="test")
    exact = Decimal(0)
    for entry in facts["computed"]:
        values = {given["name"]: Decimal(given["value"]) for given in entry["inputs"]}
        due = formula.evaluate(values)
        assert Decimal(entry["exact"]) == (-due if entry["takenBack"] else due)
        exact += Decimal(entry["exact"])
    rounding = facts["rounding"]
    total, before, unit = (Decimal(rounding[name]) for name in ("exactSum", "postedBefore", "unit"))
    assert total.quantize(unit, ROUND_HALF_EVEN) == Decimal(rounding["rounded"])
    assert (total - exact).quantize(unit, ROUND_HALF_EVEN) == before
    due = Decimal(rounding["rounded"]) - before
    assert due == Decimal(rounding["due"])
    ends = facts["payerOfTerm"]["era"], facts["payeeOfTerm"]["era"]
    assert (facts["payer"], facts["payee"]) == (ends if due > 0 else ends[::-1])
    return abs(due)


@pytest.mark.parametrize("name", FEW)
def test_every_posting_follows_from_what_is_told_about_it(runs: Mapping[str, Run], name: str) -> None:
    run = runs[name]
    assert len(run.ledger)
    assert set(_doubts(run)) <= UNTOLD


@pytest.mark.slow
@pytest.mark.parametrize(
    "scenario",
    sorted([*SCENARIOS.glob("*.yaml"), *SCENARIOS.glob("use_cases/*.yaml"), *SCENARIOS.glob("stability/*.yaml")]),
)
def test_every_posting_of_every_scenario_follows_from_what_is_told_about_it(scenario: Path, tmp_path: Path) -> None:
    assert set(_doubts(_made(scenario, tmp_path / "run"))) <= UNTOLD


@pytest.mark.parametrize("name", FEW)
def test_a_party_s_explanation_sums_to_its_balance_exactly(runs: Mapping[str, Run], name: str) -> None:
    run = runs[name]
    due, told = balances(run.ledger), contracts(run)
    for era in run.kinds:
        facts = party_facts(run, told, era)
        net = Decimal(facts["net"])
        assert net == due.get((era, run.manifest["currency"]), Decimal(0))
        assert net == sum((Decimal(contract["net"]) for contract in facts["contracts"]), Decimal(0))
        for contract in facts["contracts"]:
            terms = contract["postingsByTerm"]
            assert Decimal(contract["net"]) == sum((Decimal(term["net"]) for term in terms), Decimal(0))
            for term in terms:
                assert Decimal(term["net"]) == Decimal(term["received"]) - Decimal(term["paid"])
                assert Decimal(term["net"]) == sum((Decimal(p["amount"]) for p in term["postings"]), Decimal(0))


def test_inputs_of_market_contracts_are_those_whose_hash_was_signed(runs: Mapping[str, Run]) -> None:
    told = contracts(runs["virtual-power-plant"])
    computed = [cycle for one in told.values() for cycle in one.cycles if cycle.event is not None]
    assert computed
    assert all(cycle.proven for cycle in computed)
    cycle = computed[0]
    name = next(iter(cycle.values))
    assert snapshot({**cycle.values, name: cycle.values[name] + 1}) != cycle.event["data"]["snapshot"]


def test_the_messages_of_an_amount_are_those_of_the_journal(runs: Mapping[str, Run]) -> None:
    run = runs["policies-as-code"]
    records = {record["seq"]: record for record in run.message_records()}
    told = contracts(run)
    count = 0
    for number in range(len(run.ledger)):
        for one in explained(run, told, number).get("messages", ()):
            record = records[one["seq"]]
            ends = (record["body"]["context"]["bapId"], record["body"]["context"]["bppId"])
            assert {one["sender"], one["receiver"]} <= set(ends)
            assert one["action"] == record["action"]
            assert record["ack"] == "ACK"
            count += 1
    assert count > len(run.ledger)


def test_a_posting_is_named_by_its_number_or_by_contract_term_and_interval(runs: Mapping[str, Run]) -> None:
    run = runs["policies-as-code"]
    posting = run.ledger[20]
    by_number = explanation(run, "20")
    assert by_number == explanation(run, f"{posting.contract}/{posting.term}/{posting.interval}")
    assert by_number == explanation(run, f"{posting.contract[:13]}/{posting.term}/{posting.interval}")
    assert by_number["postings"][0]["amount"] == f"{posting.amount:.2f}"


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("135", "postings are numbered from 0 to 134"),
        ("mill-1", "did you mean mill-01?"),
        ("zz/energy/1", "no contract zz has postings"),
        ("CONTRACT/energi/1", "that contract has no postings of energi; did you mean energy?"),
        ("CONTRACT/energy/77", "energy has no posting in interval 77; there is one in 7"),
        ("/energy/1", "no contract  has postings"),
    ],
)
def test_what_nothing_is_called_is_refused_with_what_there_is(
    runs: Mapping[str, Run], what: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runs["policies-as-code"]
    name = what.replace("CONTRACT", run.ledger[20].contract)
    with pytest.raises(RunError, match=re.escape(why)):
        explanation(run, name)
    assert main(["explain", str(run.path), name]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1


def test_the_text_of_a_posting_has_formula_values_sources_rounding_messages_and_events(
    runs: Mapping[str, Run], capsys: pytest.CaptureFixture[str]
) -> None:
    run = runs["policies-as-code"]
    assert main(["explain", str(run.path), "20"]) == 0
    text = capsys.readouterr().out
    for part in (
        "posting 20: mill-01 pays market 160.00 INR",
        "for energy, interval 1, Tue 17 May 10:30 to 11:00",
        "market (MARKET_CLEARING_AGENT) pays mill-01 (PROSUMER): clearedKWh * pricePerKWh",
        "interval 1, Tue 10:30: (-20.000000) * 8.0 = -160.0000000 INR",
        "clearedKWh   -20.000000  kWh      award  message 112",
        "these are the inputs whose hash the signed event has: sha256:",
        "less than nothing flows the other way: mill-01 pays market",
        "112  Tue 10:28:09  market -> mill-01  on_confirm  told price and quantity",
        "SETTLEMENT_COMPUTED",
    ):
        assert part in text


def test_terms_that_did_not_travel_are_told_by_their_events(runs: Mapping[str, Run]) -> None:
    run = runs["policies-as-code"]
    number = next(number for number, posting in enumerate(run.ledger) if posting.term == "renewable-purchase")
    text = as_text(explanation(run, str(number)))
    assert "not computed again: its terms did not travel in any message" in text
    assert "60.53 INR from retailer to treasury (renewable-purchase)" in text


def test_the_text_of_a_party_folds_its_postings_and_writes_them_out_when_asked(
    runs: Mapping[str, Run], capsys: pytest.CaptureFixture[str]
) -> None:
    run = runs["policies-as-code"]
    assert main(["explain", str(run.path), "mill-01"]) == 0
    folded = capsys.readouterr().out
    assert main(["explain", str(run.path), "mill-01", "--all"]) == 0
    whole = capsys.readouterr().out
    mine = [n for n, posting in enumerate(run.ledger) if "mill-01" in (posting.payer, posting.payee)]
    assert f"{len(mine)} postings" in folded
    assert "posting 20" not in folded
    assert len(re.findall(r"^\s+interval \d+\s+posting \d+\s", whole, re.MULTILINE)) == len(mine)


def test_the_same_is_written_as_json(runs: Mapping[str, Run], capsys: pytest.CaptureFixture[str]) -> None:
    run = runs["policies-as-code"]
    for what in ("20", "mill-01"):
        assert main(["explain", str(run.path), what, "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == explanation(run, what)


def test_a_posting_that_does_not_follow_is_not_explained_away(runs: Mapping[str, Run]) -> None:
    run = Run(runs["policies-as-code"].path)
    frame = run.postings.copy()
    frame.loc[20, "amount"] = Decimal("161.0000")
    run._frames["postings"] = frame
    facts = explanation(run, "20")["postings"][0]
    assert facts["why"].startswith("what the journal tells comes to other amounts")


def test_values_stand_in_the_place_of_whole_names_alone() -> None:
    formula = compile_formula("max(-energyKWh, 0) * price + energyKWh2 * meter.kWh", who="test")
    values = {"energyKWh": Decimal("-1.5"), "price": Decimal("0.3"), "energyKWh2": Decimal(2), "meter.kWh": Decimal(4)}
    assert filled(formula, values) == "max(-(-1.5), 0) * 0.3 + 2 * 4"


def test_however_many_contracts_there_are_the_journal_is_read_as_often(
    runs: Mapping[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evidence, events, and the two sides of clearings."""
    reads = []
    lines = Run.journal_lines
    monkeypatch.setattr(Run, "journal_lines", lambda run: reads.append(run) or lines(run))
    told = contracts(Run(runs["grid-services-plateau"].path)).values()
    assert {congestion_rent().id, offset_uplift().id} < {one.contract.template_id for one in told}
    assert len(reads) == 4
