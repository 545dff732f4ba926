"""Runs on a Dask cluster, with real schedulers and workers: started here, and on addresses as those of other machines."""

from __future__ import annotations

import builtins
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scenarios.engine import cluster
from scenarios.engine.cluster import ClusterEngine
from scenarios.engine.work import perform
from sim.errors import EngineError
from tests.conftest import ROOT
from tests.scenarios.hamlets import ROGUES, children, eventually, observations, outcomes, task, tasks


def refused(engine: Callable[[], ClusterEngine]) -> str:
    with pytest.raises(EngineError) as caught:
        list(engine().run([task()]))
    return str(caught.value)


# --- who cannot be reached --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address", ["10.0.0.5:8786", "tcp://10.0.0.5", "http://10.0.0.5:8786", "tcp://:8786", "hello", ""]
)
def test_an_address_that_is_none_is_told_at_once(address: str) -> None:
    said = refused(lambda: ClusterEngine(address))
    assert said == f"{address}: is no address of a scheduler (expected tcp://HOST:PORT)"


def test_a_scheduler_that_does_not_answer_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cluster, "ANSWER_S", 1)
    with socket.socket() as taken:  # an address where nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        said = refused(lambda: ClusterEngine(address))
    assert said == f"{address}: no Dask scheduler answers there within 1 s (start one: dask scheduler)"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_whoever_else_listens_at_an_address_is_no_scheduler(
    answer: bytes, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cluster, "ANSWER_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                held.append(connection)
                connection.sendall(answer)

        held: list[socket.socket] = []
        threading.Thread(target=serve, daemon=True).start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        said = refused(lambda: ClusterEngine(address))
        server.shutdown(socket.SHUT_RDWR)
    for connection in held:
        connection.close()
    assert said == f"{address}: no Dask scheduler answers there within 1 s (start one: dask scheduler)"
    assert capfd.readouterr() == ("", "")


def test_without_dask_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import_ = builtins.__import__

    def without(name: str, *arguments: Any) -> Any:
        if name == "distributed":
            raise ModuleNotFoundError("No module named 'distributed'")
        return import_(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    said = refused(ClusterEngine)
    assert said == "dask: is not installed: No module named 'distributed' (install degsim[dask])"


def test_dask_is_imported_by_who_wants_it_and_by_nobody_else() -> None:
    code = "import sys, scenarios.engine.cluster as c; assert 'distributed' not in sys.modules, 'imported early'"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


# --- workers that are started here ------------------------------------------------------------------------------------


def test_workers_of_a_cluster_find_what_is_found_in_this_process(capfd: pytest.CaptureFixture[str]) -> None:
    given = tasks(["none"], (1, 2))
    found = observations(outcomes(ClusterEngine(workers=2), given))
    assert children() == []
    assert capfd.readouterr() == ("", "")
    assert found == {(one.variant, one.seed): perform(one) for one in given}


@pytest.mark.slow
def test_workers_that_die_lose_their_run_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    once, always = task(f"{ROGUES}die_once:marker={tmp_path / 'marker'}"), task(f"{ROGUES}die", 2)
    found = outcomes(ClusterEngine(workers=2), [once, always, *tasks(["none"], range(3, 9))])
    killed = found["die", 2]
    assert killed.observation is None
    assert killed.attempts == 2
    assert killed.error.startswith("the worker died twice, last tcp://127.0.0.1:")
    others = {cell: one for cell, one in found.items() if one is not killed}
    assert len(observations(others)) == 7
    assert others[once.variant, 1].attempts == 2
    assert children() == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_closing_early_leaves_no_worker() -> None:
    engine = ClusterEngine(workers=2).run([task("none"), task(f"{ROGUES}stay", 2), task("locational", 3)])
    assert next(engine).task.variant in {"none", "locational"}
    assert len(children()) == 2
    engine.close()  # type: ignore[attr-defined]
    assert eventually(lambda: children() == [])


# --- a cluster of others ----------------------------------------------------------------------------------------------


@contextmanager
def started(*arguments: str, cwd: Path = ROOT, path: Path = ROOT) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"PYTHONPATH": str(path), "DASK_DISTRIBUTED__DASHBOARD__LINK": ""}
    process = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_" + arguments[0], *arguments[1:]],
        cwd=cwd,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def scheduler() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    with started("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard") as process:
        yield address, process


@contextmanager
def workers(address: str, *arguments: str, cwd: Path = ROOT) -> Iterator[None]:
    with (
        tempfile.TemporaryDirectory(prefix="degsim-") as local,
        started("worker", address, "--no-dashboard", "--local-directory", local, *arguments, cwd=cwd),
    ):
        yield


@pytest.fixture
def address() -> Iterator[str]:
    with scheduler() as (found, _):
        yield found


@pytest.mark.slow
def test_a_cluster_of_others_does_the_runs_and_is_left_as_it_was(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "ANSWER_S", 20)
    given = tasks(["none", f"{ROGUES}give_up"], (1, 2, 3))
    keep = tmp_path / "keep"
    with workers(address, "--nworkers", "2", "--nthreads", "2"):
        for _ in range(2):  # it is there for the next one as well
            found = outcomes(ClusterEngine(address, keep=keep), given)
            failed = {cell: one.error for cell, one in found.items() if one.error}
            assert failed == {("give_up", seed): "SystemExit: nobody sells" for seed in (1, 2, 3)}
    assert sorted(path.name for path in keep.glob("[!.]*")) == [f"none-seed{seed}" for seed in (1, 2, 3)]


@pytest.mark.slow
def test_a_cluster_without_workers_or_with_others_than_ours_is_refused(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "ANSWER_S", 20)
    engine = ClusterEngine(address)
    with workers(address, "--nthreads", "1", cwd=tmp_path):
        (tmp_path / "elsewhere.py").write_text("def policy(problem): ...")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setattr(cluster, "program", lambda: "another")
        said = refused(lambda: engine)
        assert (
            "the code of degsim is not the same there (bring it there as it is here, and start the worker again)"
            in said
        )
        monkeypatch.undo()
        monkeypatch.setattr(cluster, "version", lambda package: "9.9")
        assert "numpy is 2." in refused(lambda: engine)
        monkeypatch.undo()
        (tmp_path / "elsewhere.py").unlink()
    monkeypatch.setattr(cluster, "ANSWER_S", 2)
    assert refused(lambda: engine).startswith(
        f"{address}: the scheduler has no workers (start some: dask worker {address}"
    )


@pytest.mark.slow
def test_a_scheduler_that_is_lost_ends_the_runs_with_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cluster, "ANSWER_S", 20)
    with scheduler() as (address, process), workers(address, "--nthreads", "1", cwd=tmp_path):
        engine = ClusterEngine(address).run([task("none"), task(f"{ROGUES}stay", 2)])
        assert next(engine).error == ""
        process.kill()
        with pytest.raises(EngineError) as caught:
            next(engine)
    assert str(caught.value) == f"{address}: the scheduler was lost (what has been done is done)"
    assert capfd.readouterr() == ("", "")


def test_what_a_worker_lacks_is_told_by_name_with_what_to_do() -> None:
    mine = f"{ROGUES}die"

    class Client:
        def run(self, function: object, outside: Sequence[str], on_error: str) -> dict[str, object]:
            other = {
                **cluster.identity(()),
                "Python": "3.11.0",
                mine: "cannot be imported: No module named 'tests'",
            }
            return {"tcp://a:1": other, "tcp://b:1": ModuleNotFoundError("No module named 'scenarios'")}

    with pytest.raises(EngineError) as caught:
        cluster._compare(Client(), "tcp://s:1", (mine,))
    here = sys.version.split()[0]
    assert [str(fault) for fault in caught.value.faults] == [
        f"tcp://a:1: Python is 3.11.0 there and {here} here (install from the same requirements.lock)",
        f"tcp://a:1: {mine} cannot be imported: No module named 'tests'"
        " (start the worker in a folder that has it, or install it there)",
        "tcp://b:1: cannot run degsim: No module named 'scenarios' (install the same degsim[dask] there)",
    ]
