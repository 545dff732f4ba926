"""Runs on this machine, with real processes: what they find, what is lost with one that dies, and that none is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from results.run import Run
from scenarios.engine.local import LocalEngine, processors
from scenarios.engine.work import perform
from sim.errors import EngineError
from tests.conftest import ROOT
from tests.scenarios.hamlets import ROGUES, children, eventually, observations, outcomes, task, tasks


def test_workers_find_in_any_order_what_is_found_in_one_process() -> None:
    given = tasks(["none"], (1, 2))
    here = {(one.variant, one.seed): perform(one) for one in given}
    assert observations(outcomes(LocalEngine(2), given[::-1])) == here
    assert len(set(here.values())) == 2
    assert children() == []


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_one_run_which_is_done_again(tmp_path: Path) -> None:
    dying = task(f"{ROGUES}die_once:marker={tmp_path / 'marker'}")
    found = outcomes(LocalEngine(2), [dying, *tasks(["none"], range(1, 5))])
    assert observations(found)
    assert [one.attempts for one in found.values() if one.task is dying] == [2]
    assert {one.attempts for one in found.values() if one.task is not dying} == {1}


@pytest.mark.slow
def test_a_run_that_always_kills_its_worker_is_reported_and_the_others_are_well(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    found = outcomes(LocalEngine(1, kept), [task(f"{ROGUES}die"), task(f"{ROGUES}give_up"), task("none")])
    killed, given_up, well = found["die", 1], found["give_up", 1], found["none", 1]
    assert killed.error == "the worker died twice (exit by signal 9, SIGKILL; was there not enough memory?)"
    assert (killed.observation, killed.attempts) == (None, 2)
    assert (given_up.error, given_up.attempts) == ("SystemExit: nobody sells", 1)
    assert well.observation is not None
    assert [path.name for path in kept.glob("*-seed1")] == ["none-seed1"]
    assert Run(kept / "none-seed1").manifest["policy"] == "none"


@pytest.mark.slow
def test_workers_are_processes_of_their_own_with_one_thread_each() -> None:
    wanted = (f"{ROGUES}process", f"{ROGUES}threads")
    found = outcomes(LocalEngine(2), [task("none", seed, metrics=wanted) for seed in (1, 2, 3)])
    values = [one.observation.values for one in found.values() if one.observation]
    assert len(values) == 3
    processes = {one[wanted[0]] for one in values}
    assert 1 <= len(processes) <= 2  # who is quick does more
    assert os.getpid() not in processes
    assert [one[wanted[1]] for one in values] == [1.0, 1.0, 1.0]


@pytest.mark.slow
def test_closing_early_leaves_no_process_and_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    engine = LocalEngine(2).run([task("none"), task(f"{ROGUES}stay"), task("locational", 2)])
    assert next(engine).task.variant in {"none", "locational"}
    assert len(children()) == 2
    engine.close()  # type: ignore[attr-defined]
    assert children() == []
    assert list(tmp_path.iterdir()) == []


SCRIPT = """
from scenarios.engine.local import LocalEngine
from tests.scenarios.hamlets import ROGUES, children, task

if __name__ == "__main__":
    try:
        for outcome in LocalEngine(2).run([task("none"), task(ROGUES + "stay", 2)]):
            print("done", flush=True)
    except KeyboardInterrupt:
        print("interrupted", len(children()), flush=True)
"""


def script(tmp_path: Path) -> subprocess.Popen[str]:
    """A session of its own that waits for a run which takes too long."""
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, str(path)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "done\n"
    return process


def in_session(process: subprocess.Popen[str]) -> list[int]:
    """The processes of a session that still run."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == process.pid and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


@pytest.mark.slow
def test_ctrl_c_ends_all_and_only_who_started_them_hears_of_it(tmp_path: Path) -> None:
    process = script(tmp_path)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (out, err) == ("interrupted 0\n", "")
    assert eventually(lambda: not in_session(process))
    assert [path.name for path in tmp_path.iterdir()] == ["script.py"]


@pytest.mark.slow
def test_workers_end_when_who_started_them_is_killed(tmp_path: Path) -> None:
    process = script(tmp_path)
    assert len(in_session(process)) >= 3
    process.kill()
    process.communicate(timeout=20)
    assert eventually(lambda: not in_session(process))
    assert [path.name for path in tmp_path.iterdir()] == ["script.py"]


def test_nothing_to_do_starts_nothing() -> None:
    assert list(LocalEngine().run([])) == []


def test_there_is_a_worker_for_each_processor_unless_somebody_says_how_many() -> None:
    assert LocalEngine().workers == processors() >= 1
    with pytest.raises(EngineError, match="workers: expected at least 1, got 0"):
        LocalEngine(0)
