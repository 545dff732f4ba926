"""A run folder: complete or refused, the same bytes for the same content, and lazy to read."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from small_run import Draft, Edit, write_run

from results import run as run_module
from results.run import TABLES, Run, table_path, write
from sim.errors import RunError

Tables = dict[str, dict[str, list[Any]]]


@pytest.fixture
def tables() -> Tables:
    """Two rows of every table."""
    values = {pa.string(): "x", pa.bool_(): True, pa.decimal128(18, 4): Decimal("0.12")}
    return {
        name: {field.name: [None if field.nullable else values.get(field.type, 1)] * 2 for field in schema}
        for name, schema in TABLES.items()
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


def test_an_empty_price_comes_back_as_nan(tmp_path: Path, tables: Tables) -> None:
    tables["prices"]["price_per_kwh"] = [None, math.nan]
    write(tmp_path, {}, tables)
    assert Run(tmp_path).prices["price_per_kwh"].isna().all()


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


def test_a_run_that_was_interrupted_while_writing_is_not_a_run(
    folder: Path, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(run_module.pq, "write_table", full)
    with pytest.raises(OSError, match="no space left"):
        write(folder, {}, tables)
    assert faults_of(lambda: Run(folder))[0].endswith(
        "has no run.json: the run never finished, or this is no run folder"
    )


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "run.json is not JSON"),
        ("[]", "run.json is not an object"),
        ('{"format": 1, "complete": true}', "run.json has format 1, and this version reads 2"),
        ('{"format": 2}', "run.json does not say that the run is complete"),
    ],
)
def test_a_manifest_that_vouches_for_nothing_is_refused(folder: Path, content: str, complaint: str) -> None:
    (folder / "run.json").write_text(content)
    assert complaint in faults_of(lambda: Run(folder))[0]


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
