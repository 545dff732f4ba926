"""``degsim sequence``: what it prints where, and with which status it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from results.run import Run
from scenarios.cli import main

Capture = pytest.CaptureFixture[str]


def test_a_run_is_shown_as_text_and_as_a_diagram(day: Run, capsys: Capture, tmp_path: Path) -> None:
    assert main(["sequence", str(day.path)]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "market --> ev-1" in shown.out
    target = tmp_path / "day.mmd"
    assert main(["sequence", str(day.path), "--format", "mermaid", "--out", str(target)]) == 0
    assert capsys.readouterr() == ("", "")
    assert target.read_text().startswith("sequenceDiagram\n    participant p1 as ")
    assert not target.read_text().endswith("\n\n")


def test_one_participant_within_a_span_of_time(day: Run, capsys: Capture) -> None:
    main(["sequence", str(day.path), "--participant", "ev-1", "--all"])
    everything = capsys.readouterr().out.splitlines()
    assert all("ev-1" in line for line in everything)
    main(["sequence", str(day.path), "--participant", "ev-1", "--all", "--from", "12:00"])
    later = capsys.readouterr().out.splitlines()
    assert 0 < len(later) < len(everything)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--participant", "ev-11"], "ev-11: no message is from or to it; did you mean ev-1?"),
        (["--transaction", "nonsense"], "nonsense: no such transaction, the nearest is "),
        (["--from", "noon"], "--from: noon is no time"),
        (["--from", "12:00", "--to", "11:00"], "--from: 12:00 must be before --to, which is 11:00"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(day: Run, capsys: Capture, arguments: list[str], what: str) -> None:
    assert main(["sequence", str(day.path), *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert what in shown.err
    assert shown.err.count("\n") == 1


def test_both_ends_of_a_span_are_told_at_once(day: Run, capsys: Capture) -> None:
    assert main(["sequence", str(day.path), "--from", "noon", "--to", "night"]) == 2
    said = capsys.readouterr().err
    assert "--from: noon is no time" in said
    assert "--to: night is no time" in said


def test_where_nothing_was_said_that_is_said(day: Run, capsys: Capture) -> None:
    assert main(["sequence", str(day.path), "--from", "2038-01-01"]) == 0
    shown = capsys.readouterr()
    assert shown.out.strip() == ""
    assert shown.err == "degsim: no message is of this transaction, participant and time\n"


@pytest.mark.parametrize(
    ("record", "what"),
    [
        ("{}", "is not a record: it has no kind"),
        ('{"kind":"message"}', "is not a record: it has no ack, action, body, seq, t"),
        ('{"ack":"ACK","action":"init","body":{},"kind":"message","seq":"x","t":0}', " is damaged: ValueError"),
    ],
)
def test_a_damaged_record_is_told_and_not_shown(folder: Path, capsys: Capture, record: str, what: str) -> None:
    with (folder / "journal.jsonl").open("a") as journal:
        journal.write(f"{record}\n")
    assert main(["sequence", str(folder)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert what in shown.err
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"timeZone": "Mars/Olympus"}, "start, timeZone, intervalS and count do not tell when the run was"),
        ({"start": "yesterday"}, "start, timeZone, intervalS and count do not tell when the run was"),
        ({"count": None}, "count: is not a whole number"),
    ],
)
def test_a_manifest_without_a_calendar_is_told(
    folder: Path, capsys: Capture, change: dict[str, object], what: str
) -> None:
    manifest = json.loads((folder / "run.json").read_bytes())
    (folder / "run.json").write_text(json.dumps(manifest | change))
    assert main(["sequence", str(folder), "--from", "11:00"]) == 2
    shown = capsys.readouterr()
    assert f"run.json: {what}" in shown.err
    assert shown.err.count("\n") == 1


def test_a_folder_that_is_no_run_is_told_to_be_none(capsys: Capture, tmp_path: Path) -> None:
    assert main(["sequence", str(tmp_path)]) == 2
    assert "this is no run folder" in capsys.readouterr().err
