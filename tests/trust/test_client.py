"""What a participant learns from a directory, over HTTP as in the same process, and why it is refused."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from scenarios.dedi import http_transport, serve
from sim.errors import TrustError
from sim.trust.client import DirectoryClient, Transport, in_process
from sim.trust.directory import Directory
from sim.trust.registries import (
    Interconnection,
    Member,
    Membership,
    Subscriber,
    WheelingRate,
    publish,
    publish_key,
    publish_tariff,
    revoke,
)
from sim.trust.stamps import rfc3339, unix_s
from sim.wire.codes import Code, Refusal

NOON = unix_s("2026-06-01T12:00:00Z")
OLD, NEW = SigningKey(bytes(32)), SigningKey(bytes(range(32)))
APPROVAL = Interconnection(era="era-1", meterId="meter-1", exportLimitKW=5, importLimitKW=11.5, netMetering=False)


class World:
    """A directory, a clock that tests set, and a client that sees both."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.now_s = NOON
        self.client = DirectoryClient(in_process(directory, self.clock), "net")

    def clock(self) -> int:
        return self.now_s


@pytest.fixture(params=["in process", "over HTTP"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    world = World(Directory())
    if request.param == "in process":
        yield world
        return
    with serve(world.directory, world.clock) as url:
        world.client = DirectoryClient(http_transport(url, 10), "net")
        yield world


def subscriber(key: SigningKey) -> Subscriber:
    return Subscriber(
        subscriber_id="ev.example",
        url="https://ev.example",
        type="BAP",
        domain="deg:energy",
        countries=("IND",),
        signing_public_key=base64.b64encode(bytes(key.verify_key)).decode(),
    )


def refusal(question: Any, *names: str | None) -> Code:
    with pytest.raises(Refusal) as caught:
        question(*names)
    return caught.value.code


def at(seconds: int) -> str:
    return rfc3339(NOON + seconds)


def test_a_rotated_key_verifies_what_it_signed_and_nothing_later(world: World) -> None:
    """old key ──noon+100: same key id, new key──► new key"""
    publish_key(world.directory, "key-1", subscriber(OLD), NOON)
    publish_key(world.directory, "key-1", subscriber(NEW), NOON + 100)
    signed = OLD.sign(b"confirm")
    world.now_s = NOON + 200
    VerifyKey(world.client.signing_key("ev.example", "key-1", at(99))).verify(signed)
    with pytest.raises(BadSignatureError):
        VerifyKey(world.client.signing_key("ev.example", "key-1")).verify(signed)
    assert world.client.signing_key("ev.example", "key-1", at(100)) == bytes(NEW.verify_key)


def test_a_revoked_key_is_refused_from_its_revocation_on(world: World) -> None:
    """key-1 live ──noon+100: revoked, key-2 live──►"""
    publish_key(world.directory, "key-1", subscriber(OLD), NOON)
    world.directory.change_state("ev.example", "subscribers.beckn.one", "key-1", "revoked", NOON + 100)
    publish_key(world.directory, "key-2", subscriber(NEW), NOON + 100)
    world.now_s = NOON + 99
    assert world.client.signing_key("ev.example", "key-1") == bytes(OLD.verify_key)
    world.now_s = NOON + 100
    assert refusal(world.client.signing_key, "ev.example", "key-1") is Code.AUT_KEY_EXPIRED_OR_REVOKED
    assert refusal(world.client.signing_key, "ev.example", "key-1", at(100)) is Code.AUT_KEY_EXPIRED_OR_REVOKED
    assert world.client.signing_key("ev.example", "key-1", at(99)) == bytes(OLD.verify_key)
    assert refusal(world.client.signing_key, "ev.example", "key-2", at(99)) is Code.AUT_KEY_NOT_FOUND
    assert world.client.signing_key("ev.example", "key-2") == bytes(NEW.verify_key)


def test_a_key_past_its_validity_has_expired(world: World) -> None:
    publish_key(world.directory, "key-1", subscriber(OLD), NOON, valid_till_s=NOON + 10)
    world.now_s = NOON + 10
    assert refusal(world.client.signing_key, "ev.example", "key-1") is Code.AUT_KEY_EXPIRED_OR_REVOKED
    assert world.client.signing_key("ev.example", "key-1", at(9)) == bytes(OLD.verify_key)


def test_an_unknown_subscriber_is_told_from_an_unknown_key(world: World) -> None:
    publish_key(world.directory, "key-1", subscriber(OLD), NOON)
    assert refusal(world.client.signing_key, "nobody.example", "key-1") is Code.AUT_SUBSCRIBER_NOT_FOUND
    assert refusal(world.client.signing_key, "ev.example", "key-9") is Code.AUT_KEY_NOT_FOUND
    assert refusal(world.client.signing_key, "ev.example", "key-1", at(-1)) is Code.AUT_SUBSCRIBER_NOT_FOUND


def test_a_revocation_counts_from_when_it_was_published(world: World) -> None:
    revoke(world.directory, "net", "urn:uuid:lost card/1", "lost", NOON + 5)
    assert not world.client.is_revoked("urn:uuid:lost card/1")
    world.now_s = NOON + 5
    assert world.client.is_revoked("urn:uuid:lost card/1")
    assert not world.client.is_revoked("urn:uuid:lost card/1", at(4))
    assert not world.client.is_revoked("urn:uuid:another")


def test_the_network_s_records_come_back_as_they_were_published(world: World) -> None:
    membership = Membership(membership_id="7", detail=Member(name="EV"))
    rate = WheelingRate(utility="discom", ratePerKWh=0.45, currency="INR")
    tariff = {"currency": "INR", "elements": [{"price": 6.5}]}
    publish(world.directory, "net", "ev.example", membership, NOON)
    publish(world.directory, "net", "meter-1", APPROVAL, NOON)
    publish(world.directory, "net", "discom", rate, NOON)
    publish_tariff(world.directory, "net", "retail", tariff, NOON)
    assert world.client.membership("ev.example") == membership
    assert world.client.interconnection("meter-1") == APPROVAL
    assert world.client.wheeling_rate("discom") == rate
    assert world.client.tariff("retail") == tariff
    for question in (
        world.client.membership,
        world.client.interconnection,
        world.client.wheeling_rate,
        world.client.tariff,
    ):
        assert refusal(question, "nobody") is Code.NET_ENTITY_NOT_FOUND
        assert refusal(question, "nobody", at(-1)) is Code.NET_ENTITY_NOT_FOUND


def test_an_approval_that_was_withdrawn_is_none(world: World) -> None:
    publish(world.directory, "net", "meter-1", APPROVAL, NOON)
    world.directory.change_state("net", "interconnection", "meter-1", "suspended", NOON + 60)
    world.now_s = NOON + 60
    assert refusal(world.client.interconnection, "meter-1") is Code.NET_ENTITY_NOT_FOUND
    assert world.client.interconnection("meter-1", at(59)) == APPROVAL


def test_a_malformed_as_on_is_refused_and_raises_nothing_else(world: World) -> None:
    publish_key(world.directory, "key-1", subscriber(OLD), NOON, valid_till_s=NOON + 10)
    for as_on in ("noon", "2026-06-01", ""):
        assert refusal(world.client.signing_key, "ev.example", "key-1", as_on) is Code.NET_INTERNAL_ERROR
        assert refusal(world.client.is_revoked, "x", as_on) is Code.NET_DOWNSTREAM_UNAVAILABLE


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_a_url_would_swallow_is_not_asked_for(world: World, name: str) -> None:
    assert refusal(world.client.is_revoked, name) is Code.NET_INTERNAL_ERROR
    assert refusal(world.client.signing_key, name, "key-1") is Code.NET_INTERNAL_ERROR


@contextmanager
def impostor(status: int, body: bytes) -> Iterator[Transport]:
    """A real server that answers everything in one way."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Location", "/dedi/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield http_transport(f"http://127.0.0.1:{server.server_port}", 10)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("status", [500, 503])
def test_a_failing_server_leaves_the_choice_to_the_caller(status: int) -> None:
    with impostor(status, b"down") as get:
        client = DirectoryClient(get, "net")
        assert refusal(client.signing_key, "ev.example", "key-1") is Code.NET_DOWNSTREAM_UNAVAILABLE
        assert refusal(client.is_revoked, "x") is Code.NET_DOWNSTREAM_UNAVAILABLE
        assert refusal(client.tariff, "x") is Code.NET_DOWNSTREAM_UNAVAILABLE


@pytest.mark.parametrize("status", [302, 400, 401, 403])
def test_a_redirecting_or_refusing_server_cannot_be_used(status: int) -> None:
    with impostor(status, b"{}") as get:
        client = DirectoryClient(get, "net")
        assert refusal(client.signing_key, "ev.example", "key-1") is Code.NET_INTERNAL_ERROR
        assert refusal(client.is_revoked, "x") is Code.NET_DOWNSTREAM_UNAVAILABLE


def test_gone_is_as_good_as_not_found() -> None:
    with impostor(410, b"") as get:
        client = DirectoryClient(get, "net")
        assert not client.is_revoked("x")
        assert refusal(client.signing_key, "ev.example", "key-1") is Code.AUT_SUBSCRIBER_NOT_FOUND


def record(key: str, subscriber_id: str = "ev.example", more: str = "") -> bytes:
    details = f'{{"subscriber_id": "{subscriber_id}", "url": "https://e", "type": "BAP", "domain": "d", "countries": ["IND"], "signing_public_key": "{key}"}}'
    return f'{{"message": "ok", "data": {{"details": {details}, "state": "live"{more}}}}}'.encode()


GOOD = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff\xfe",
        b"[]",
        b"[" * 100_000,
        b'{"data": null}',
        b'{"data": {"details": {}}}',
        b'{"data": {"details": {}, "state": "live"}}',
        record("not base64!"),
        record(base64.b64encode(bytes(31)).decode()),
        record(GOOD[:-1]),
        record(GOOD, "someone.else"),
        record(GOOD, more=', "valid_till": "tomorrow"'),
    ],
)
def test_an_answer_that_cannot_be_used_is_refused_as_such(body: bytes) -> None:
    with impostor(200, body) as get:
        client = DirectoryClient(get, "net", clock=lambda: NOON)
        assert refusal(client.signing_key, "ev.example", "key-1") is Code.NET_INTERNAL_ERROR


@pytest.mark.parametrize(
    "body", [record(GOOD, more=', "ttl": 5, "verified": true'), record(GOOD, more=', "valid_till": null')]
)
def test_members_that_a_server_adds_or_leaves_empty_do_no_harm(body: bytes) -> None:
    with impostor(200, body) as get:
        assert DirectoryClient(get, clock=lambda: NOON).signing_key("ev.example", "key-1") == bytes(32)


def test_a_server_that_forgets_to_expire_a_key_is_corrected() -> None:
    with impostor(200, record(GOOD, more=f', "valid_till": "{at(0)}"')) as get:
        client = DirectoryClient(get, clock=lambda: NOON)
        assert refusal(client.signing_key, "ev.example", "key-1") is Code.AUT_KEY_EXPIRED_OR_REVOKED
        assert client.signing_key("ev.example", "key-1", at(-1)) == bytes(32)


def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    with impostor(200, b" " * (1 << 21)) as get:
        assert refusal(DirectoryClient(get, "net").tariff, "x") is Code.NET_DOWNSTREAM_UNAVAILABLE


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    client = DirectoryClient(http_transport(f"http://127.0.0.1:{port}", 10), "net")
    assert refusal(client.is_revoked, "x") is Code.NET_DOWNSTREAM_UNAVAILABLE
    assert refusal(client.signing_key, "ev.example", "key-1") is Code.NET_DOWNSTREAM_UNAVAILABLE


def test_a_server_that_hangs_up_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            connection, _ = server.accept()
            connection.recv(1 << 16)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        get = http_transport(f"http://127.0.0.1:{server.getsockname()[1]}", 10)
        assert refusal(DirectoryClient(get, "net").tariff, "x") is Code.NET_DOWNSTREAM_UNAVAILABLE
        thread.join()


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with serve(Directory(), lambda: NOON) as url:
        assert not DirectoryClient(http_transport(url, 10), "net").is_revoked("x")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://directory.example", "directory.example", "http://"])
def test_a_directory_is_asked_by_http_only(url: str) -> None:
    with pytest.raises(TrustError, match="http or https"):
        http_transport(url, 10)


def test_another_base_path_is_asked_where_adapters_expect_it() -> None:
    asked: list[str] = []

    def get(path: str, query: Mapping[str, str]) -> tuple[int, bytes]:
        asked.append(path)
        return 404, b""

    DirectoryClient(get, "net", base="").is_revoked("urn:a/b")
    assert asked == ["/lookup/net/revoke/urn%3Aa%2Fb"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
def test_the_server_is_only_read(method: str) -> None:
    with serve(Directory(), lambda: NOON) as url:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
        connection.request(method, "/dedi/lookup/net")
        response = connection.getresponse()
        body = response.read()
        connection.close()
    assert (response.status, response.headers["Allow"]) == (405, "GET")
    assert response.headers["Content-Type"] == "application/json"
    assert (b"METHOD_NOT_ALLOWED" in body) == (method != "HEAD")


def test_the_server_answers_in_json_for_good_and_bad(world: World) -> None:
    world.directory.publish("net", "r", "x", {}, NOON)
    for path, query in (
        ("/dedi/lookup/net", {}),
        ("/", {}),
        ("/dedi/query/net", {"page": "-1"}),
        ("/dedi/lookup/net/r/x", {"as_on": at(0)}),
    ):
        there = world.directory.answer(path, query, NOON)
        status, body = world.client.get(path, query)
        assert (status, json.loads(body)) == (there.status, there.body)


def test_a_writer_s_count_tells_a_reader_that_its_copy_is_stale(world: World) -> None:
    before = world.directory.changes
    publish(world.directory, "net", "meter-1", APPROVAL, NOON)
    assert world.client.interconnection("meter-1") == APPROVAL
    assert world.directory.changes == before + 1
