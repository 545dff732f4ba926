"""A directory over HTTP: how questions reach one, and how one in this process answers them."""

from __future__ import annotations

import http.client
import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlencode, urlsplit
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, Request

from results.run import Run
from sim.errors import RunError, TrustError
from sim.trust.client import Transport, in_process
from sim.trust.directory import Directory
from sim.trust.registries import publish_key
from sim.trust.seals import subscriber_of

MAX_BODY = 1 << 20
"""Longest answer that is read [bytes]: a directory's records are far smaller, a flood is not."""
IDLE_S = 10
"""How long the server waits for a client that says nothing [s]."""


def http_transport(base_url: str, timeout_s: float) -> Transport:
    """A transport that asks the server at ``base_url``, whatever proxies the environment names; redirects are not followed.

    timeout_s: longest silence of the server [s].  Raises ``TrustError`` for a URL that is not http or https; what is returned
    raises ``OSError`` where no answer came, or one longer than ``MAX_BODY``.
    """
    if not _is_http(base_url):
        raise TrustError(base_url, "a directory is asked by http or https, as in https://directory.example")
    # A bare opener: the usual one would follow redirects, obey proxies and open files.
    opener = OpenerDirector()
    opener.add_handler(HTTPHandler())
    opener.add_handler(HTTPSHandler())

    def get(path: str, query: Mapping[str, str]) -> tuple[int, bytes]:
        url = base_url.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
        try:
            with opener.open(Request(url, headers={"Accept": "application/json"}), timeout=timeout_s) as response:
                return response.status, _bounded(response.read(MAX_BODY + 1))
        except (http.client.HTTPException, UnicodeError) as error:
            raise ConnectionError(f"{type(error).__name__}: {error}") from error

    return get


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no news of ours; anything else is."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def directory_of(run: Run) -> Directory:
    """The directory of keys that a run's messages were checked against.  Raises ``RunError`` for a run that did not sign."""
    keys = [record for record in run.journal() if record["kind"] == "key"]
    if not keys:
        raise RunError(str(run.path), "has no keys: its scenario does not sign; run it with --set wire.sign=true")
    directory = Directory()
    for record in keys:
        entry = subscriber_of(record["subscriber"], record["publicKey"], record["sealingKey"])
        publish_key(directory, record["keyId"], entry, record["since"])
    return directory


def end_s(run: Run) -> int:
    """Unix second in which a run was over."""
    start = datetime.fromisoformat(run.manifest["start"])
    return int(start.timestamp() + run.manifest["count"] * run.manifest["intervalS"])


def _bounded(body: bytes) -> bytes:
    if len(body) > MAX_BODY:
        raise ConnectionError(f"the answer is longer than {MAX_BODY} bytes")
    return body


@contextmanager
def serve(directory: Directory, now: Callable[[], int], host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Answer for a directory over HTTP while the context lasts; gives the base URL.  Port 0 takes any that is free.

    ``now`` gives the simulated unix second and is called from the server's threads.  Raises ``TrustError`` for a port that
    cannot be had.
    """
    try:
        server = _Server((host, port), _handler(in_process(directory, now)))
    except (OSError, OverflowError) as error:
        raise TrustError(f"{host}:{port}", f"cannot be listened on: {error}") from error
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(ask: Transport) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = IDLE_S

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            self._reply(*ask(path, dict(parse_qsl(query, keep_blank_values=True))))

        def refuse(self) -> None:
            error = {"message": "the directory is only read here", "error": f"{self.command} {self.path}"}
            self._reply(405, json.dumps({**error, "code": "METHOD_NOT_ALLOWED"}).encode(), {"Allow": "GET"})

        do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = refuse

        def _reply(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Requests are not logged: a run's output is its own."""

    return Handler
