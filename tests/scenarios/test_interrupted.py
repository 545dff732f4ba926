"""A run that is interrupted, or killed, leaves what opens up to its last whole interval; a finished one stays where it was."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from results import metrics
from results.plots import save
from results.run import Run
from scenarios import cli
from scenarios.bound import bounds
from scenarios.reader import read
from scenarios.runner import execute, partial_of
from scenarios.spec import Scenario
from sim.errors import RunError, ScenarioError

ROOT = Path(__file__).parents[2]
STREET = ROOT / "scenarios" / "street.yaml"
PATIENCE_S = 60


def begun(out: Path) -> subprocess.Popen[str]:
    """A process that runs a street for a day, and has written two intervals of it."""
    command = [sys.executable, "-m", "scenarios.cli", "run", str(STREET), "--out", str(out)]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )
    patience = time.monotonic() + PATIENCE_S
    while whole_in(partial_of(out)) < 2:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < patience, "the run did not begin"
        time.sleep(0.02)
    return process


def whole_in(folder: Path) -> int:
    try:
        return int(json.loads((folder / "run.json").read_bytes())["whole"])
    except FileNotFoundError:
        return 0


def test_ctrl_c_leaves_a_folder_that_opens_and_says_so(tmp_path: Path) -> None:
    out = tmp_path / "street"
    process = begun(out)
    process.send_signal(signal.SIGINT)
    said, talk = process.communicate(timeout=PATIENCE_S)
    run = Run(partial_of(out))
    assert process.returncode == 130
    assert said == ""
    end = run.calendar.local(run.calendar.duration_s)
    assert talk.splitlines()[-1] == (
        f"degsim: interrupted after {end:%a %H:%M}: {run.calendar.count} of 96 intervals are whole, "
        f"and {partial_of(out)} opens up to there, as every run does"
    )
    assert not out.exists()
    assert run.intervals["interval"].tolist() == list(range(run.calendar.count))
    assert run.setpoints["interval"].max() == run.calendar.count - 1
    assert save(run, "prices", tmp_path).stat().st_size > 10_000


def test_a_process_that_is_killed_leaves_the_same(tmp_path: Path) -> None:
    out = tmp_path / "street"
    process = begun(out)
    process.kill()
    process.communicate(timeout=PATIENCE_S)
    run = Run(partial_of(out))
    assert (run.complete, run.planned) == (False, 96)
    assert len(run.intervals) == run.calendar.count >= 2
    assert run.messages["seq"].tolist() == list(range(1, len(run.messages) + 1))


@pytest.fixture
def finished(tmp_path: Path, small: Callable[..., Scenario]) -> tuple[Scenario, Path]:
    scenario = small()
    return scenario, execute(scenario, tmp_path / "run")


@pytest.fixture
def small() -> Callable[..., Scenario]:
    return lambda *overrides: read(ROOT / "scenarios" / "use_cases" / "peer-to-peer.yaml", list(overrides))


def interrupt_after(intervals: int) -> Callable[[object], None]:
    left = [intervals]

    def told(_: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt

    return told


def test_an_earlier_run_stays_where_the_next_one_is_interrupted(finished: tuple[Scenario, Path]) -> None:
    scenario, folder = finished
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(KeyboardInterrupt):
        execute(scenario, folder, interrupt_after(3))
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert Run(partial_of(folder)).calendar.count == 4


def test_a_run_replaces_what_an_interrupted_one_left(finished: tuple[Scenario, Path]) -> None:
    scenario, folder = finished
    with pytest.raises(KeyboardInterrupt):
        execute(scenario, folder, interrupt_after(0))
    assert Run(execute(scenario, folder)).complete
    assert not partial_of(folder).exists()


@pytest.mark.parametrize("place", ["folder", "draft"])
def test_who_dies_while_the_new_run_takes_the_place_of_the_earlier_one_leaves_one_of_them(
    finished: tuple[Scenario, Path], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    scenario, folder = finished
    interrupted = {"folder": folder, "draft": partial_of(folder)}[place]
    rename = Path.rename

    def interrupt(path: Path, target: Path) -> Path:
        if path == interrupted:
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupt)
    with pytest.raises(KeyboardInterrupt):
        execute(scenario, folder)
    assert Run(folder).complete
    assert Run(partial_of(folder)).complete
    assert {path.name for path in folder.parent.iterdir()} == {"run", "run.partial"}


def test_what_somebody_left_who_was_killed_while_he_replaced_a_run_is_in_nobodys_way(
    finished: tuple[Scenario, Path],
) -> None:
    scenario, folder = finished
    former = folder.with_name(".run.former")
    folder.rename(former)
    with pytest.raises(KeyboardInterrupt):
        execute(scenario, folder, interrupt_after(0))
    assert Run(folder).complete
    (former / "tables").mkdir(parents=True)
    execute(scenario, folder)
    assert [path.name for path in folder.parent.iterdir()] == ["run"]


def test_a_run_that_another_process_is_writing_is_left_alone(tmp_path: Path, small: Callable[..., Scenario]) -> None:
    process = begun(tmp_path / "street")
    try:
        with pytest.raises(RunError, match="another degsim is writing to it"):
            execute(small(), tmp_path / "street")
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_S)
    assert Run(partial_of(tmp_path / "street")).manifest["name"] == "street"
    assert Run(execute(small(), tmp_path / "street")).manifest["name"] == "peer-to-peer"


def test_a_disk_that_is_full_is_told_with_the_folder_and_gets_its_room_back(
    tmp_path: Path, small: Callable[..., Scenario]
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(ScenarioError, match="cannot be written: File too large") as caught:
            execute(small(), tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.source == str(tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_who_is_interrupted_while_he_reads_the_summary_is_told_that_the_run_is_finished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: Run) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(metrics, "summarise", interrupt)
    scenario = ROOT / "scenarios" / "use_cases" / "peer-to-peer.yaml"
    assert cli.main(["run", str(scenario), "--quiet", "--out", str(tmp_path / "run")]) == 130
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"degsim: interrupted; the run itself is finished: {tmp_path / 'run'}\n")
    assert Run(tmp_path / "run").complete


def test_only_a_finished_run_is_held_against_the_best(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        execute(read(ROOT / "tests" / "scenarios" / "hamlet.yaml"), tmp_path / "run", interrupt_after(1))
    with pytest.raises(ScenarioError, match="was stopped after 2 of 4 intervals; only a finished run has"):
        bounds([tmp_path / "run.partial"])


def test_a_folder_that_is_no_run_is_not_taken_for_what_an_interrupted_one_left(finished: tuple[Scenario, Path]) -> None:
    scenario, folder = finished
    partial_of(folder).mkdir()
    (partial_of(folder) / "thesis.tex").write_text("years of work")
    with pytest.raises(ScenarioError, match="is in the way"):
        execute(scenario, folder)
    assert (partial_of(folder) / "thesis.tex").read_text() == "years of work"


def test_an_interrupted_run_holds_what_the_finished_one_does(finished: tuple[Scenario, Path]) -> None:
    scenario, folder = finished
    whole = Run(folder)
    with pytest.raises(KeyboardInterrupt):
        execute(scenario, folder, interrupt_after(3))
    run = Run(partial_of(folder))
    for name in ("intervals", "setpoints", "voltages", "lines", "elements", "participants"):
        table = whole.table(name)
        part = table[table["interval"] < 4] if "interval" in table else table
        assert run.table(name).equals(part.reset_index(drop=True)), name
    assert run.messages.equals(whole.messages.head(len(run.messages)))
