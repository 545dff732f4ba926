"""A run folder: complete or refused, the same bytes for the same content, and lazy to read."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from small_run import Draft, Edit, write_run
from tables_page import PAGE, page

import results
from results import writing
from results.run import Run, stream_path, table_path
from results.tables import RECORDED, TABLES
from results.verify import verify
from results.writing import Draft as WrittenDraft
from results.writing import write
from sim.errors import RunError

Tables = dict[str, dict[str, list[Any]]]


@pytest.fixture
def tables() -> Tables:
    """Two rows of every table that a world fills."""
    values = {pa.string(): "x", pa.bool_(): True, pa.decimal128(18, 4): Decimal("0.12")}
    return {
        name: {field.name: [None if field.nullable else values.get(field.type, 1)] * 2 for field in schema}
        for name, schema in TABLES.items()
        if name in RECORDED
    }


def faults_of(call: Callable[[], object]) -> list[str]:
    with pytest.raises(RunError) as caught:
        call()
    return [str(fault) for fault in caught.value.faults]


def test_every_column_of_every_table_says_what_it_means_and_in_which_unit() -> None:
    for name, schema in TABLES.items():
        assert schema.metadata[b"description"], name
        for field in schema:
            assert set(field.metadata) == {b"unit", b"description"}, f"{name}/{field.name}"
            assert field.metadata[b"description"], f"{name}/{field.name}"


def test_every_power_and_energy_column_has_the_unit_that_its_name_ends_with() -> None:
    units = {"kw": "kW", "kvar": "kvar", "kva": "kVA", "kv": "kV", "wh": "Wh", "kwh": "kWh", "s": "s", "pu": "1"}
    for schema in TABLES.values():
        for field in schema:
            suffix = field.name.rpartition("_")[2]
            if field.name.endswith("per_kwh"):
                assert field.metadata[b"unit"] == b"currency/kWh"
            elif suffix in units:
                assert field.metadata[b"unit"].decode() == units[suffix]


def test_the_page_of_tables_is_the_one_that_their_schemas_write() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "stale: python -m tests.results.tables_page"


def test_units_and_meanings_travel_with_the_file(day: Run) -> None:
    schema = pa.parquet.read_schema(table_path(day.path, "prices"))
    assert schema.field("price_per_kwh").metadata[b"unit"] == b"currency/kWh"


def test_every_table_is_an_attribute_of_a_run(day: Run) -> None:
    for name in TABLES:
        assert getattr(day, name) is day.table(name)


def test_a_run_gives_back_what_was_written(day: Run) -> None:
    assert list(day.prices["node"].unique()) == ["grid", "tx-1", "tx-2"]
    assert day.postings["amount"].map(type).eq(Decimal).all()
    assert math.isnan(day.states.set_index(["interval", "era"]).loc[(0, "ev-1"), "soc"])
    assert day.calendar.timestamp(3600) == "2025-06-03T01:00:00+02:00"
    assert day.root == "grid"
    assert next(day.journal())["kind"] == "run"


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (write_run(tmp_path / name) for name in ("one", "two"))
    for path in sorted(first.rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (second / path.relative_to(first)).read_bytes(), path.name


def test_an_empty_price_comes_back_as_nan(edited: Callable[[Edit], Run]) -> None:
    def forget(draft: Draft) -> None:
        prices = draft.tables["prices"]["price_per_kwh"]
        prices[:2] = [None, math.nan]

    assert edited(forget).prices["price_per_kwh"].isna().tolist()[:3] == [True, True, False]


def test_every_column_that_does_not_fit_is_reported_at_once_and_nothing_is_written(
    tmp_path: Path, tables: Tables
) -> None:
    del tables["lines"]["loading"]
    del tables["voltages"]
    tables["lins"] = {}
    tables["prices"]["node"] = ["tx-1", None]
    tables["prices"]["price"] = [1, 2]
    tables["postings"]["amount"] = [Decimal("0.00001"), Decimal(1)]
    tables["states"]["soc"] = [0.5]
    found = faults_of(lambda: write(tmp_path / "run", {}, tables))
    assert [fault.split(":")[0] for fault in found] == [
        "lins", "voltages", "prices/price", "prices/node", "states", "lines/loading", "postings/amount",
    ]  # fmt: skip
    assert found[0] == "lins: is not a table of a run; did you mean lines?"
    assert found[3] == "prices/node: does not hold string: 1 empty values in a column that allows none"
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_written_over_and_not_finished_is_no_run(
    folder: Path, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(writing.pq, "write_table", full)
    with pytest.raises(OSError, match="no space left"):
        write(folder, {}, tables)
    assert faults_of(lambda: Run(folder))[0].endswith(
        "has no run.json: this is no run folder, or the run never finished"
    )


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "run.json is not JSON"),
        ("[]", "run.json is not an object"),
        ('{"format": 1, "complete": true}', "run.json has format 1, and this version reads 2 to 3"),
        (
            '{"format": 4, "complete": true}',
            "run.json has format 4, and this version reads 2 to 3; a newer degsim wrote it and can read it",
        ),
        ('{"format": 2}', "run.json does not say that the run is complete, or how much of it is whole"),
        ('{"format": 3, "whole": 0}', "run.json does not say that the run is complete, or how much of it is whole"),
        ('{"format": 3, "whole": "2", "count": 8}', "run.json does not say that the run is complete"),
    ],
)
def test_a_manifest_that_vouches_for_nothing_is_refused(folder: Path, content: str, complaint: str) -> None:
    (folder / "run.json").write_text(content)
    assert complaint in faults_of(lambda: Run(folder))[0]


def test_everything_that_a_manifest_lacks_or_garbles_is_said_when_the_folder_is_opened(folder: Path) -> None:
    said = json.loads((folder / "run.json").read_text())
    del said["currency"]
    garbled = {**said, "count": True, "intervalS": 0, "scenario": "street", "heldIntervals": None}
    (folder / "run.json").write_text(json.dumps(garbled))
    assert faults_of(lambda: Run(folder)) == [
        "run.json: intervalS: is 0, less than 1",
        "run.json: count: is not a whole number",
        "run.json: currency: is missing",
        "run.json: scenario: is not an object",
        "run.json: heldIntervals: is not an array",
    ]


def test_a_folder_in_the_place_of_a_file_is_named(folder: Path) -> None:
    run = Run(folder)
    for name in ("journal.jsonl", "run.json"):
        (folder / name).unlink()
        (folder / name).mkdir()
    assert faults_of(lambda: list(run.journal()))[0].endswith("journal.jsonl cannot be read: Is a directory")
    assert faults_of(lambda: Run(folder))[0].endswith("run.json cannot be read: Is a directory")


def test_a_manifest_that_counts_other_intervals_than_the_table_has_is_found_out(folder: Path) -> None:
    said = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**said, "count": 400}))
    run = Run(folder)
    assert faults_of(lambda: run.intervals) == ["intervals: has 8 rows, and run.json counts 400 intervals"]


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert faults_of(lambda: Run(tmp_path / "nowhere")) == [f"{tmp_path}/nowhere: there is no such folder"]


def test_a_table_that_is_missing_damaged_unknown_or_of_another_shape_is_named(folder: Path) -> None:
    table_path(folder, "lines").unlink()
    table_path(folder, "nodes").write_bytes(b"PAR1 and then nothing")
    table_path(folder, "prices").write_bytes(table_path(folder, "states").read_bytes())
    run = Run(folder)
    assert faults_of(lambda: run.lines) == ["lines: table is missing (run the scenario again)"]
    assert faults_of(lambda: run.nodes)[0].startswith("nodes: cannot be read as Parquet: ")
    assert faults_of(lambda: run.prices)[0].startswith("prices: columns are ['interval', 'era', 'soc'], not ")
    assert faults_of(lambda: run.table("price"))[0].endswith("no table price; did you mean prices?")


def test_a_journal_that_is_missing_or_damaged_is_named_with_its_line(folder: Path) -> None:
    run = Run(folder)
    lines = run.journal_path.read_bytes().splitlines(keepends=True)
    run.journal_path.write_bytes(b"".join([*lines[:4], b"{oops\n", *lines[5:]]))
    assert faults_of(lambda: list(run.journal()))[0].startswith("journal.jsonl:5: is not a record: ")
    run.journal_path.unlink()
    assert faults_of(lambda: list(run.journal()))[0].endswith("journal.jsonl is missing")


def test_a_message_without_its_body_is_named_with_its_line(folder: Path) -> None:
    run = Run(folder)
    with run.journal_path.open("ab") as journal:
        journal.write(b'{"kind":"message","seq":99}\n')
    last = len(run.journal_path.read_bytes().splitlines())
    assert faults_of(lambda: list(run.journal())) == [
        f"journal.jsonl:{last}: is not a record: it has no ack, action, body, t"
    ]


@pytest.mark.parametrize("body", ["AAAA", [], 7, {"context": "?"}, {"context": {"messageId": []}}])
def test_what_was_refused_for_being_no_message_is_no_answer_of_a_market(folder: Path, body: Any) -> None:
    run = Run(folder)
    before = len(list(run.aggregates()))
    refused = [
        {"kind": "message", "seq": 99, "t": 0, "action": action, "ack": "NACK", "body": body}
        for action in ("aggregate", "on_aggregate")
    ]
    with run.journal_path.open("a") as journal:
        journal.writelines(json.dumps(record) + "\n" for record in refused)
    assert len(list(run.aggregates())) == before


def test_messages_can_be_asked_for_by_action(day: Run) -> None:
    assert sum(1 for _ in day.message_records("on_aggregate")) == 8
    assert sum(1 for _ in day.message_records()) == sum(c["ack"] + c["nack"] for c in day.manifest["messages"].values())


def test_the_clearing_problem_of_an_interval_is_its_last_exchange(edited: Callable[[Edit], Run]) -> None:
    def clear_again(draft: Draft) -> None:
        ask, answer = (draft.records("message", action)[3] for action in ("aggregate", "on_aggregate"))
        again = json.loads(json.dumps([ask, answer]))
        for record in again:
            record["body"]["context"]["messageId"] = "again"
        again[0]["body"]["message"]["aggregationRequest"]["k"] = 0.25
        place = draft.journal.index(answer) + 1
        draft.journal[place:place] = again

    run = edited(clear_again)
    assert len(list(run.aggregates())) == 9
    assert run.clearing_problem(3)[0]["message"]["aggregationRequest"]["k"] == 0.25
    assert "k" not in run.clearing_problem(4)[0]["message"]["aggregationRequest"]


def test_an_interval_without_a_market_has_no_clearing_problem(day: Run) -> None:
    assert faults_of(lambda: day.clearing_problem(8))[0].endswith("no aggregate message for interval 8")


# --- derived tables ---------------------------------------------------------------------------------------------------


def test_messages_are_listed_in_the_order_of_the_journal_with_where_each_begins(day: Run) -> None:
    journal = day.journal_path.read_bytes()
    assert day.messages["seq"].tolist() == [record["seq"] for record in day.message_records()]
    for row in day.messages.itertuples():
        record = json.loads(journal[row.offset :].split(b"\n", 1)[0])
        assert (record["seq"], record["action"], record["t"]) == (row.seq, row.action, row.t_s)
        assert {row.sender, row.receiver} == {record["body"]["context"]["bapId"], record["body"]["context"]["bppId"]}


def test_contracts_are_listed_as_they_were_created_with_every_one_that_a_posting_names(day: Run) -> None:
    assert set(day.postings["contract"]) == set(day.contracts["contract"])
    events = [record["event"]["contractId"] for record in day.journal() if record["kind"] == "event"]
    assert day.contracts["contract"].tolist() == list(dict.fromkeys(events))
    assert day.contracts["events"].sum() == len(events)


def test_a_sound_run_tells_only_of_what_was_refused(day: Run) -> None:
    refused = day.messages[~day.messages["ack"]]
    (finding,) = day.findings.itertuples()
    assert (finding.kind, finding.subject) == ("messages", refused["receiver"].item())
    assert finding.what == f"refused 1 {refused['action'].item()} with {refused['error'].item()}"


def test_a_run_tells_of_a_policy_that_was_stopped_and_of_intervals_that_were_held(
    edited: Callable[[Edit], Run],
) -> None:
    def stop(draft: Draft) -> None:
        draft.tables["intervals"]["fallback"][2] = True
        draft.manifest |= {"policyStopped": {"2": "it took too long"}, "heldIntervals": [5]}

    found = edited(stop).findings
    assert list(zip(found["interval"], found["kind"], strict=True))[:2] == [(2, "policy"), (5, "settlement")]
    assert found["what"][0] == "its stand-in was used: it took too long"


# --- folders of before, and folders of runs that were stopped ---------------------------------------------------------

STORED = Path(__file__).parent / "stored"


def test_a_run_of_an_earlier_format_opens_with_every_table_of_today() -> None:
    run = Run(STORED / "smart-charging-format-2")
    assert run.manifest["format"] == 2
    for name, schema in TABLES.items():
        assert run.table(name).columns.tolist() == schema.names, name
    assert len(run.messages) == sum(count["ack"] + count["nack"] for count in run.manifest["messages"].values())
    assert set(run.postings["contract"]) <= set(run.contracts["contract"])


def test_a_run_of_an_earlier_format_is_as_sound_as_it_was() -> None:
    assert verify(Run(STORED / "smart-charging-format-2")).findings == 0


def test_a_run_that_was_stopped_opens_up_to_its_last_whole_interval(stopped: Path, day: Run) -> None:
    run = Run(stopped)
    assert (run.complete, run.calendar.count, run.planned) == (False, 3, 8)
    for name in ("intervals", "prices", "nodes", "setpoints", "states", "voltages", "lines"):
        whole = day.table(name)
        pd.testing.assert_frame_equal(run.table(name), whole[whole["interval"] < 3].reset_index(drop=True))
    assert run.participants.equals(day.participants)
    assert len(run.messages) == (day.messages["offset"] < stopped.joinpath("journal.jsonl").stat().st_size).sum()


def test_what_was_being_written_when_a_run_was_stopped_is_left_unread(stopped: Path) -> None:
    before = {name: Run(stopped).table(name) for name in TABLES}
    with (stopped / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"kind":"message","seq":99')
    for name in ("setpoints", "prices"):
        path = stream_path(stopped, name)
        path.write_bytes(path.read_bytes()[:-8] + b"\xff\xff\xff\xff\x20\x00")
    run = Run(stopped)
    for name, table in before.items():
        pd.testing.assert_frame_equal(run.table(name), table)


def test_rows_of_an_interval_that_the_manifest_does_not_count_are_left_unread(stopped: Path) -> None:
    said = json.loads((stopped / "run.json").read_text())
    (stopped / "run.json").write_text(json.dumps({**said, "whole": 2}))
    run = Run(stopped)
    assert run.calendar.count == 2
    assert run.intervals["interval"].tolist() == [0, 1]
    assert run.setpoints["interval"].max() == 1


@pytest.mark.parametrize("damage", [lambda _: b"", lambda _: b"rubbish", lambda whole: whole[: len(whole) // 2]])
def test_rows_that_a_stopped_run_has_lost_are_missed(stopped: Path, damage: Callable[[bytes], bytes]) -> None:
    path = stream_path(stopped, "intervals")
    path.write_bytes(damage(path.read_bytes()))
    (fault,) = faults_of(lambda: Run(stopped).intervals)
    assert fault.startswith("intervals: has ")
    assert fault.endswith(" of the 3 rows that were written: its file is damaged (run the scenario again)")


def test_a_stream_of_another_table_is_refused(stopped: Path) -> None:
    stream_path(stopped, "prices").write_bytes(stream_path(stopped, "states").read_bytes())
    assert faults_of(lambda: Run(stopped).prices) == ["prices: columns are not those of this table"]


@pytest.mark.parametrize("size", [None, "x", -1])
def test_a_stopped_run_says_how_much_of_its_journal_is_whole(stopped: Path, size: Any) -> None:
    said = json.loads((stopped / "run.json").read_text())
    (stopped / "run.json").write_text(json.dumps({**said, "journalBytes": size}))
    assert faults_of(lambda: Run(stopped))[0].startswith("run.json: journalBytes: is ")


def test_a_run_says_what_it_is_in_a_line(stopped: Path, day: Run) -> None:
    assert repr(day) == f"<run two-streets: policy locational, seed 7, 8 intervals, in {day.path}>"
    assert repr(Run(stopped)) == f"<run two-streets: policy locational, seed 7, 3 of 8 intervals, in {stopped}>"


def test_a_run_that_was_stopped_is_not_audited(stopped: Path) -> None:
    assert faults_of(lambda: verify(Run(stopped)))[0].endswith(
        "was stopped after 3 of 8 intervals; only a finished run is audited"
    )


def test_rows_that_do_not_fit_are_refused_before_any_of_them_is_written(tmp_path: Path) -> None:
    wrong: dict[str, dict[str, list[Any]]] = {
        "states": {"interval": [0], "era": [None], "soc": [0.5]},
        "prices": {"interval": [0], "node": ["tx-1"]},
    }
    with WrittenDraft(tmp_path / "run") as draft:
        found = faults_of(lambda: draft.add({}, wrong, {}, b""))
    assert [fault.split(":")[0] for fault in found] == ["states/era", "prices/price_per_kwh", "prices/adder_per_kwh"]
    assert sorted(path.name for path in (tmp_path / "run").rglob("*")) == ["journal.jsonl", "tables", "witness.jsonl"]


def test_a_draft_that_is_finished_is_the_run_that_is_written_at_once(tmp_path: Path, day: Run) -> None:
    folder = tmp_path / "run"
    own = {key: value for key, value in day.manifest.items() if key not in ("format", "tables", "complete")}
    with WrittenDraft(folder) as draft:
        draft.journal.write(day.journal_path.read_bytes())
        for index in range(8):
            draft.add({**own, "whole": index + 1}, rows_of(day, index), standing_of(day), b"")
        draft.finish(own)
    assert Run(folder).manifest == day.manifest
    assert sorted(path.suffix for path in (folder / "tables").iterdir()) == [".parquet"] * len(TABLES)


def rows_of(run: Run, index: int) -> dict[str, dict[str, list[Any]]]:
    """What an interval brought to each table; what has no interval came with the first."""
    found = {}
    for name in (name for name in RECORDED if name != "sessions"):
        table = run.table(name)
        part = table[table["interval"] == index] if "interval" in table else table[: len(table) * (index == 0)]
        if len(part):
            found[name] = {column: part[column].tolist() for column in part}
    return found


def standing_of(run: Run) -> dict[str, dict[str, list[Any]]]:
    return {"sessions": {column: run.sessions[column].tolist() for column in run.sessions}}


@pytest.fixture
def stopped(tmp_path: Path, day: Run) -> Path:
    """The folder of a process that died in the fourth of eight intervals."""
    folder = tmp_path / "stopped"
    journal = day.journal_path.read_bytes().splitlines(keepends=True)
    third = sum(
        map(len, journal[: 1 + next(n for n, line in enumerate(journal) if b'"interval":2,"kind":"commit"' in line)])
    )
    with WrittenDraft(folder) as draft:
        draft.journal.write(b"".join(journal)[:third])
        for index in range(3):
            said = {
                **{k: v for k, v in day.manifest.items() if k != "tables"},
                "whole": index + 1,
                "journalBytes": third,
            }
            draft.add(said, rows_of(day, index), standing_of(day), b"")
    return folder


def test_the_package_opens_a_run_and_brings_in_pandas_no_sooner(day: Run) -> None:
    assert results.open(day.path).path == results.Run(str(day.path)).path == day.path
    late = "import sys, results; assert 'pandas' not in sys.modules; results.Run; assert 'pandas' in sys.modules"
    subprocess.run([sys.executable, "-c", late], check=True)
