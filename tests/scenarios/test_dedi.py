"""The directory of a run, asked over HTTP by somebody who was not there."""

from __future__ import annotations

import base64
import socket
import subprocess
import sys
from collections.abc import Callable

import pytest

from results.run import Run
from scenarios import cli
from scenarios.dedi import http_transport
from sim.trust.client import DirectoryClient
from sim.wire.codes import Refusal
from tests.conftest import ROOT
from tests.results.test_exchange import SIGNED


def test_the_keys_of_a_run_can_be_asked_for_over_http(run_street: Callable[..., Run]) -> None:
    run = run_street(*SIGNED)
    command = [sys.executable, "-m", "scenarios.cli", "directory", str(run.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        try:
            assert server.stdout
            client = DirectoryClient(http_transport(server.stdout.readline().strip(), 10))
            for record in (record for record in run.journal() if record["kind"] == "key"):
                key = client.signing_key(record["subscriber"], record["keyId"], run.manifest["start"])
                assert key == base64.b64decode(record["publicKey"])
            with pytest.raises(Refusal, match="no such namespace"):
                client.signing_key("nobody", "k1")
        finally:
            server.terminate()
        assert server.wait(10) == 0


def test_a_run_that_does_not_sign_has_no_directory(
    run_street: Callable[..., Run], capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_street(*SIGNED, "wire.sign=false")
    assert cli.main(["directory", str(run.path)]) == 2
    assert "run it with --set wire.sign=true" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["taken", "99999999"])
def test_a_port_that_cannot_be_had_is_named(
    port: str, run_street: Callable[..., Run], capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_street(*SIGNED)
    with socket.create_server(("127.0.0.1", 0)) as other:
        number = str(other.getsockname()[1]) if port == "taken" else port
        assert cli.main(["directory", str(run.path), "--port", number]) == 2
    assert f"127.0.0.1:{number}: cannot be listened on" in capsys.readouterr().err
