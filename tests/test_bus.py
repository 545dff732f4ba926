"""The bus: order, acknowledgement, validity, and what the journal keeps."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable
from datetime import datetime

import pytest
import simpy

from sim.bus import Bus
from sim.clock import Calendar, local_start
from sim.journal import Journal
from sim.rng import identifier
from sim.wire.codes import Code, Refusal
from sim.wire.core import SearchIntent
from sim.wire.messages import NACK, Alarm, DiscoverContent, Event, Message, NackContent

ID = "752c9cce-0559-8d41-81b8-f45f5683fbc0"


class Network:
    """A bus with mailboxes that write down what they get."""

    def __init__(self, latency_s: int = 1) -> None:
        self.clock = simpy.Environment(initial_time=0)
        self.sink = io.BytesIO()
        self.journal = Journal(self.sink)
        calendar = Calendar(local_start(datetime(2016, 5, 17), "Europe/Berlin"), 900, 1)
        self.bus = Bus(self.clock, calendar, self.journal, latency_s)
        self.log: list[tuple[int, str, str]] = []
        self.refuse = False
        for name in ("a", "b"):
            self.bus.join(name, lambda event, name=name: self.hear(name, event))  # type: ignore[misc]

    def hear(self, name: str, event: Event) -> Iterable[Event]:
        if self.refuse and isinstance(event, Message) and event.action != NACK:
            raise Refusal(Code.BIZ_GATE_CLOSED, "/message", "too late")
        what = event.content.intent.textSearch if isinstance(event, Message) and isinstance(event.content, DiscoverContent) else event.name  # fmt: skip
        self.log.append((int(self.clock.now), name, what))
        return ()

    def records(self) -> list[dict[str, object]]:
        self.journal.commit(0)
        return [json.loads(line) for line in self.sink.getvalue().splitlines()]


def ask(text: str, recipient: str = "b", ttl_s: int = 30) -> Message:
    return Message(
        "discover",
        "a",
        recipient,
        ID,
        identifier(1, text),
        DiscoverContent(intent=SearchIntent(textSearch=text)),
        ttl_s,
    )


def test_messages_arrive_a_latency_later_in_the_order_of_sending() -> None:
    network = Network()
    network.bus.post("a", [ask("first"), Alarm(1, "alarm"), ask("second")])
    network.clock.run()
    assert network.log == [(1, "b", "first"), (1, "a", "alarm"), (1, "b", "second")]


def test_an_accepted_message_is_acked_and_journaled_byte_for_byte() -> None:
    network = Network()
    network.bus.post("a", [ask("x")])
    network.clock.run()
    record, commit = network.records()
    assert (record["ack"], record["t"], record["seq"]) == ("ACK", 1, 1)
    assert record["body"]["message"] == {"intent": {"textSearch": "x"}}  # type: ignore[index]
    assert commit["kind"] == "commit"
    assert network.bus.counts == {("discover", "ACK"): 1}


@pytest.mark.parametrize(
    ("message", "code"),
    [(ask("x", recipient="nobody"), "NET_ENTITY_NOT_FOUND"), (ask("x", ttl_s=0), "NET_TIMEOUT")],
)
def test_a_message_to_nobody_or_out_of_time_is_nacked_and_its_sender_told(message: Message, code: str) -> None:
    network = Network()
    network.bus.post("a", [message])
    network.clock.run()
    assert network.log == [(1, "a", NACK)]
    assert network.records()[0]["ack"] == "NACK"
    assert network.records()[0]["error"]["errorCode"] == code  # type: ignore[index]


def test_a_handler_that_refuses_is_a_nack_with_its_reason() -> None:
    network = Network()
    network.refuse = True
    heard: list[Event] = []
    network.bus.join("c", lambda event: heard.append(event) or ())  # type: ignore[func-returns-value]
    network.bus.post("c", [Message("discover", "c", "b", ID, ID, ask("x").content)])
    network.clock.run()
    (nack,) = heard
    assert isinstance(nack, Message)
    assert isinstance(nack.content, NackContent)
    assert (nack.content.error.errorCode, nack.content.error.path) == ("BIZ_GATE_CLOSED", "/message")


def test_a_recipient_gets_its_own_copy() -> None:
    network = Network()
    sent = ask("x")
    heard: list[Event] = []
    network.bus.join("c", lambda event: heard.append(event) or ())  # type: ignore[func-returns-value]
    network.bus.post("a", [Message("discover", "a", "c", ID, ID, sent.content)])
    network.clock.run()
    (got,) = heard
    assert isinstance(got, Message)
    assert got.content == sent.content
    assert got.content is not sent.content


def test_a_name_has_one_mailbox() -> None:
    with pytest.raises(ValueError, match="a has a mailbox already"):
        Network().bus.join("a", lambda _: ())


def test_every_commit_seals_all_bytes_before_it_and_the_head_seals_the_file() -> None:
    network = Network()
    for interval in range(3):
        network.journal.record("flow", interval=interval)
        network.journal.commit(interval)
    data = network.sink.getvalue()
    assert network.journal.head == hashlib.sha256(data).hexdigest()
    assert network.journal.size == len(data)
    position = 0
    for line in data.splitlines(keepends=True):
        record = json.loads(line)
        if record["kind"] == "commit":
            assert record["head"] == hashlib.sha256(data[:position]).hexdigest()
        position += len(line)
