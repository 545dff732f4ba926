"""The bus: order, acknowledgement, validity, pairing, duplicates, and what the journal keeps."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import mesa
import msgspec
import pytest
import simpy
from msgspec.structs import replace

from agents.catalogue import Catalogue
from sim.bus import LONGEST_TTL_S, Bus, Seals
from sim.clock import Calendar, local_start
from sim.correlation import AHEAD_S
from sim.journal import Journal
from sim.participant import Ids
from sim.rng import identifier
from sim.wire.codec import body_digest, decode, encode
from sim.wire.codes import Code, Refusal
from sim.wire.core import SearchIntent
from sim.wire.examples import EXAMPLES
from sim.wire.messages import (
    ANSWERS,
    NACK,
    Alarm,
    CatalogsContent,
    Content,
    DiscoverContent,
    Event,
    Message,
    NackContent,
)
from tests.wire.test_codec import confirm

CALENDAR = Calendar(local_start(datetime(2016, 5, 17), "Europe/Berlin"), 900, 1)
TRANSACTION = "752c9cce-0559-8d41-81b8-f45f5683fbc0"
NOTHING = CatalogsContent(catalogs=())


class Network:
    """A bus with the mailboxes ``a`` and ``b``, which write down what they get and react as they are told to."""

    def __init__(self, latency_s: int = 1, **more: Any) -> None:
        self.clock = simpy.Environment(initial_time=0)
        self.sink = io.BytesIO()
        self.journal = Journal(self.sink)
        self.bus = Bus(self.clock, CALENDAR, self.journal, latency_s, **more)
        self.log: list[tuple[int, str, str]] = []
        self.heard: list[Event] = []
        self.react: Callable[[str, Event], Iterable[Event]] = lambda name, event: ()
        for name in ("a", "b"):
            self.bus.join(name, lambda event, name=name: self.hear(name, event))  # type: ignore[misc]

    def hear(self, name: str, event: Event) -> Iterable[Event]:
        answers = [] if event.name == NACK else self.react(name, event)
        self.log.append((int(self.clock.now), name, said(event)))
        self.heard.append(event)
        return answers

    def run(self, *messages: Event, until: int | None = None) -> Network:
        self.bus.post("a", messages)
        self.clock.run(until=until)
        return self

    def records(self) -> list[dict[str, Any]]:
        self.journal.commit(0)
        return [json.loads(line) for line in self.sink.getvalue().splitlines()]

    def transmit(self, message: Message, header: str | None = None, at_s: int = 0) -> tuple[str, str]:
        """Status and code of the Ack to a message's bytes."""
        return self.give(message.action, raw_of(message, at_s), header)

    def give(self, action: str, raw: bytes, header: str | None = None) -> tuple[str, str]:
        ack = self.bus.transmit(action, raw, header)
        return ack.status, ack.error.errorCode if ack.error else ""


def said(event: Event) -> str:
    if isinstance(event, Message) and isinstance(event.content, DiscoverContent):
        return str(event.content.intent.textSearch)
    if isinstance(event, Message) and isinstance(event.content, NackContent):
        return event.content.error.errorCode
    return event.name


def raw_of(message: Message, at_s: int = 0) -> bytes:
    return encode(message, CALENDAR.timestamp(at_s))


def ask(text: str, recipient: str = "b", ttl_s: int = 30, sender: str = "a") -> Message:
    content = DiscoverContent(intent=SearchIntent(textSearch=text))
    return Message("discover", sender, recipient, TRANSACTION, identifier(1, text), content, ttl_s)


def answer(request: Message, content: Content = NOTHING, **changes: Any) -> Message:
    message = Message(
        ANSWERS[request.action], request.recipient, request.sender, request.transaction_id, request.message_id, content,
        request_digest=request.digest,
    )  # fmt: skip
    return replace(message, **changes)


# order and acknowledgement


def test_messages_arrive_a_latency_later_in_the_order_of_sending() -> None:
    network = Network().run(ask("first"), Alarm(1, "alarm"), ask("second"), until=5)
    assert network.log == [(1, "b", "first"), (1, "a", "alarm"), (1, "b", "second")]


def test_an_accepted_message_is_acked_and_journaled_byte_for_byte() -> None:
    network = Network().run(ask("x"), until=5)
    record, commit = network.records()
    assert (record["ack"], record["t"], record["seq"]) == ("ACK", 1, 1)
    assert record["body"]["message"] == {"intent": {"textSearch": "x"}}
    assert commit["kind"] == "commit"
    assert network.bus.counts == {("discover", "ACK"): 1}


@pytest.mark.parametrize(
    ("message", "code"),
    [(ask("x", recipient="nobody"), "NET_ENTITY_NOT_FOUND"), (ask("x", ttl_s=0), "NET_TIMEOUT")],
)
def test_a_message_to_nobody_or_out_of_time_is_nacked_and_its_sender_told_once(message: Message, code: str) -> None:
    network = Network().run(message)
    assert network.log == [(1, "a", code)]
    (record,) = [r for r in network.records() if r["kind"] == "message"]
    assert (record["ack"], record["error"]["errorCode"]) == ("NACK", code)


def test_a_handler_that_refuses_is_a_nack_with_its_reason_and_nobody_waits_for_an_answer() -> None:
    network = Network()

    def refuse(name: str, event: Event) -> Iterable[Event]:
        raise Refusal(Code.BIZ_GATE_CLOSED, "/message", "too late")

    network.react = refuse
    network.run(ask("x"))
    (nack,) = network.heard
    assert isinstance(nack, Message)
    assert isinstance(nack.content, NackContent)
    assert (nack.content.error.errorCode, nack.content.error.path) == ("BIZ_GATE_CLOSED", "/message")
    assert [r["kind"] for r in network.records()] == ["message", "commit"]


def test_a_recipient_gets_its_own_copy() -> None:
    sent = ask("x")
    (got,) = Network().run(sent, until=5).heard
    assert isinstance(got, Message)
    assert got.content == sent.content
    assert got.content is not sent.content


def test_a_name_has_one_mailbox() -> None:
    with pytest.raises(ValueError, match="a has a mailbox already"):
        Network().bus.join("a", lambda _: ())


# waiting for an answer


def test_an_answer_is_paired_with_its_request_and_names_the_digest_of_its_bytes() -> None:
    network = Network()
    network.react = lambda name, event: [answer(event)] if name == "b" else []  # type: ignore[list-item, arg-type]
    network.run(ask("x"))
    assert network.log == [(1, "b", "x"), (2, "a", "on_discover")]
    request, callback = (record["body"] for record in network.records() if record["kind"] == "message")
    assert request["context"]["messageId"] == callback["context"]["messageId"]
    assert callback["context"]["requestDigest"]["digest"] == body_digest(raw_of(ask("x")))


def test_a_requester_that_gets_no_answer_in_time_is_told_so_one_second_after_its_ttl() -> None:
    network = Network().run(ask("x", ttl_s=30))
    assert network.log == [(1, "b", "x"), (31, "a", "NET_TIMEOUT")]
    (timeout,) = [record for record in network.records() if record["kind"] == "timeout"]
    assert (timeout["t"], timeout["action"], timeout["by"]) == (31, "discover", "a")


@pytest.mark.parametrize(("delay_s", "log"), [(28, "on_discover"), (29, "NET_TIMEOUT")])
def test_an_answer_that_arrives_within_the_ttl_counts_and_one_that_is_late_does_not(delay_s: int, log: str) -> None:
    """The request leaves at 0 and arrives at 1; its ttl of 30 s is over with second 30."""
    network = Network()
    later: list[Message] = []

    def react(name: str, event: Event) -> Iterable[Event]:
        if name == "b" and isinstance(event, Message):
            later.append(answer(event))
            return [Alarm(1 + delay_s, "now")]
        return later if name == "b" else []

    network.react = react
    network.run(ask("x", ttl_s=30))
    assert [what for _, name, what in network.log if name == "a"] == [log]


def test_a_late_answer_is_refused_as_one_that_nobody_waits_for() -> None:
    network = Network().run(ask("x"))
    request = replace(ask("x"), digest=body_digest(raw_of(ask("x"))))
    assert network.transmit(answer(request), at_s=31) == ("NACK", "PRC_INVALID_TRANSITION")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"request_digest": "BLAKE-512=" + "A" * 86 + "=="}, "PRC_CONFLICT"),
        ({"request_digest": None}, "SCH_REQUIRED_FIELD_MISSING"),
        ({"message_id": identifier(1, "other")}, "PRC_INVALID_TRANSITION"),
        ({"sender": "a", "recipient": "b"}, "PRC_INVALID_TRANSITION"),
        ({"action": "on_select", "content": confirm([(0.1, 1.0)]).content}, "PRC_INVALID_TRANSITION"),
    ],
    ids=["another body", "no digest", "another message id", "the wrong way round", "another action"],
)
def test_an_answer_that_does_not_fit_its_request_is_refused(changes: dict[str, Any], code: str) -> None:
    network = Network().run(ask("x"), until=3)
    request = replace(ask("x"), digest=body_digest(raw_of(ask("x"))))
    assert network.transmit(answer(request, **changes), at_s=3) == ("NACK", code)
    assert network.transmit(answer(request), at_s=3) == ("ACK", "")


@pytest.mark.parametrize("action", ["on_status", "on_update", "on_cancel", "on_init"])
def test_news_of_a_contract_may_come_unasked_with_a_message_id_of_its_own(action: str) -> None:
    news = Message(action, "b", "a", TRANSACTION, identifier(1, "news"), confirm([(0.1, 1.0)]).content)
    assert Network().transmit(news) == ("ACK", "")


@pytest.mark.parametrize("action", ["on_confirm", "on_select"])
def test_other_callbacks_may_not_come_unasked(action: str) -> None:
    news = Message(action, "b", "a", TRANSACTION, identifier(1, "news"), confirm([(0.1, 1.0)]).content)
    assert Network().transmit(news) == ("NACK", "PRC_INVALID_TRANSITION")


def test_news_that_claims_to_answer_what_nobody_asked_is_refused() -> None:
    content = confirm([(0.1, 1.0)]).content
    digest = body_digest(b"{}")
    news = Message("on_status", "b", "a", TRANSACTION, identifier(1, "n"), content, request_digest=digest)
    assert Network().transmit(news) == ("NACK", "PRC_INVALID_TRANSITION")


def test_an_answer_in_another_transaction_is_refused() -> None:
    network = Network().run(ask("x"), until=3)
    request = replace(ask("x"), digest=body_digest(raw_of(ask("x"))))
    elsewhere = answer(request, transaction_id=identifier(1, "elsewhere"))
    assert network.transmit(elsewhere, at_s=3) == ("NACK", "PRC_CONFLICT")


def test_a_request_that_was_refused_and_is_sent_again_waits_for_the_whole_of_its_new_time() -> None:
    """Refused at 1, sent again at 20 with 30 s: the first try's time is over at 30, the second's at 50."""
    network = Network()
    refusals = iter([Refusal(Code.NET_DOWNSTREAM_UNAVAILABLE, "/message", "later")])

    def once(name: str, event: Event) -> Iterable[Event]:
        for refusal in refusals:
            raise refusal
        return ()

    network.react = once
    network.run(ask("q"), until=20)
    network.run(ask("q"), until=40)
    (received,) = [event for event in network.heard if isinstance(event, Message) and event.action == "discover"]
    network.bus.post("b", [answer(received)])
    network.clock.run()
    assert [what for _, name, what in network.log if name == "a"] == ["NET_DOWNSTREAM_UNAVAILABLE", "on_discover"]


def test_nobody_can_use_up_another_s_message_id_or_end_another_s_wait() -> None:
    network = Network()
    network.bus.join("m", lambda event: network.hear("m", event))
    network.react = lambda name, event: [answer(event)] if name == "b" else []  # type: ignore[list-item, arg-type]
    network.bus.post("m", [ask("q", sender="m", recipient="nobody")])
    network.bus.post("m", [replace(ask("r", sender="m", recipient="b"), message_id=ask("q").message_id)])
    network.run(ask("q"), until=200)
    assert [what for _, name, what in network.log if name == "a"] == ["on_discover"]


def test_one_message_cannot_make_the_network_remember_for_ever() -> None:
    assert Network().transmit(ask("x", ttl_s=LONGEST_TTL_S)) == ("ACK", "")
    assert Network().transmit(ask("x", ttl_s=LONGEST_TTL_S + 1)) == ("NACK", "SCH_SCHEMA_VALIDATION_FAILED")


# duplicates


def test_the_same_message_again_gets_the_same_acknowledgement_and_has_no_second_effect() -> None:
    network = Network()
    assert [network.transmit(ask("x")) for _ in range(3)] == [("ACK", "")] * 3
    assert network.log == [(0, "b", "x")]
    assert [record.get("note") for record in network.records()] == [None, "duplicate", "duplicate", None]


def test_what_was_refused_had_no_effect_and_is_judged_anew() -> None:
    network = Network()
    refusals = iter([Refusal(Code.BIZ_GATE_CLOSED, "/message", "not yet open")])

    def once(name: str, event: Event) -> Iterable[Event]:
        for refusal in refusals:
            raise refusal
        return ()

    network.react = once
    assert [network.transmit(ask("x")) for _ in range(3)] == [("NACK", "BIZ_GATE_CLOSED"), ("ACK", ""), ("ACK", "")]
    assert network.log == [(0, "b", "x")]


def test_the_same_message_id_with_another_body_is_a_replay_and_changes_nothing() -> None:
    network = Network()
    first, second = ask("x"), replace(ask("y"), message_id=ask("x").message_id)
    assert network.transmit(first) == ("ACK", "")
    assert network.transmit(second) == ("NACK", "AUT_REPLAY_DETECTED")
    assert network.transmit(first) == ("ACK", "")
    assert network.log == [(0, "b", "x")]


@pytest.mark.parametrize("ahead_s", [0, AHEAD_S])
def test_a_message_is_known_for_as_long_as_it_could_be_accepted_and_is_too_old_from_then_on(ahead_s: int) -> None:
    network = Network()
    for second in range(100):
        network.clock.run(until=second + 0.5)
        network.transmit(ask(str(second), ttl_s=30), at_s=second)
        expected = ("ACK", "") if second <= 31 + ahead_s else ("NACK", "NET_TIMEOUT")
        assert network.transmit(ask("first", ttl_s=31), at_s=ahead_s) == expected
    assert [what for _, _, what in network.log].count("first") == 1


def test_what_was_forgotten_is_too_old_even_where_it_was_dated_ahead() -> None:
    """Accepted in the last second in which it could be: it must be known until its ttl is over, dated ahead as it was."""
    network = Network()
    network.transmit(ask("old", ttl_s=30), at_s=0)
    for second in (31, 62, 65, 66):
        network.clock.run(until=second + 0.5)
        network.transmit(ask(str(second), ttl_s=30), at_s=second)
        network.transmit(ask("ahead", ttl_s=30), at_s=36)
    assert [what for _, _, what in network.log].count("ahead") == 1


# what a door refuses


def test_a_message_from_the_future_is_refused_beyond_what_clocks_may_differ_by() -> None:
    network = Network()
    assert network.transmit(ask("x"), at_s=5) == ("ACK", "")
    assert network.transmit(ask("y"), at_s=6) == ("NACK", "NET_TIMEOUT")


def test_a_sender_may_have_no_more_messages_delivered_in_a_second_than_the_limit() -> None:
    network = Network(rate_limit=2).run(*(ask(str(n)) for n in range(4)), until=5)
    assert [what for _, _, what in network.log] == ["0", "1", "AUT_RATE_LIMITED", "AUT_RATE_LIMITED"]
    network.run(ask("later"), until=9)
    assert network.log[-1] == (6, "b", "later")


def test_bytes_that_are_no_message_are_refused_with_the_reason_and_journaled() -> None:
    network = Network()
    assert network.give("discover", b'{"context":{}}') == ("NACK", "SCH_REQUIRED_FIELD_MISSING")
    assert network.give("discover", b"{") == ("NACK", "SCH_INVALID_JSON")
    assert network.give("barter", b"{}") == ("NACK", "SCH_TYPE_NOT_SUPPORTED")


NO_LINE = {
    "cut off": b'{"context":',
    "two lines": b'{"a":\n1}',
    "a carriage return": b'{"a":\r1}',
    "text": b"not json",
    "nothing": b"",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": "{}".encode("utf-16"),
    "no UTF-8": b'{"a":"\xff"}',
    "half a character": rb'{"a":"\ud800"}',
    "not a number": b'{"a":NaN}',
    "a number without end": b'{"a":1e999}',
    "zero bytes": b"\x00\x00",
}


@pytest.mark.parametrize("action", ["discover", "barter"])
@pytest.mark.parametrize("raw", NO_LINE.values(), ids=NO_LINE)
def test_whatever_bytes_arrive_the_journal_stays_one_json_object_a_line(raw: bytes, action: str) -> None:
    network = Network()
    assert network.give(action, raw)[0] == "NACK"
    network.journal.commit(0)
    lines = network.sink.getvalue().split(b"\n")[:-1]
    record, commit = (msgspec.json.decode(line) for line in lines)
    assert (record["action"], record["ack"], commit["kind"]) == (action, "NACK", "commit")
    kept = record["body"]
    assert base64.b64decode(kept) == raw if record.get("encoding") == "base64" else msgspec.json.encode(kept) == raw


def test_a_message_over_several_lines_is_accepted_and_kept_to_the_byte() -> None:
    network = Network()
    raw = json.dumps(json.loads(raw_of(ask("x"))), indent=1).encode()
    assert network.give("discover", raw) == ("ACK", "")
    (record, _) = network.records()
    assert base64.b64decode(record["body"]) == raw


@pytest.mark.parametrize("depth", [65, 300, 900, 100_000])
def test_what_is_nested_too_deep_is_refused_and_not_followed(depth: int) -> None:
    raw = b'{"context":' + b"[" * depth + b"]" * depth + b"}"
    assert Network().give("discover", raw) == ("NACK", "SCH_INVALID_JSON")


@pytest.mark.parametrize(
    ("field", "value"),
    [("timestamp", "0000-05-17T00:00:00Z"), ("ttl", "PT30S\n"), ("ttl", "PT３０S"), ("ttl", "PT"), ("ttl", "P1D")],
)
def test_a_time_that_only_looks_like_one_is_refused(field: str, value: str) -> None:
    document = json.loads(raw_of(ask("x")))
    document["context"][field] = value
    raw = json.dumps(document).encode()
    assert Network().give("discover", raw)[1] in ("SCH_INVALID_FORMAT", "SCH_SCHEMA_VALIDATION_FAILED")
    with pytest.raises(Refusal):
        decode("discover", raw)


def test_a_message_that_only_asks_what_would_happen_is_refused_by_who_cannot_tell() -> None:
    network = Network()
    shelf = Catalogue(mesa.Model(rng=1), "catalogue", Ids(1, "catalogue"), CALENDAR)
    network.bus.join("catalogue", shelf.handle)
    assert network.transmit(replace(ask("x", recipient="catalogue"), tried=True)) == ("NACK", "SCH_FIELD_NOT_ALLOWED")


def test_bytes_from_outside_are_held_to_the_whole_schema() -> None:
    """The fast check alone would let a bag pass that does not say its type where a single type may stand."""
    (select,) = (m for m in EXAMPLES["on_select"][:1])
    document = json.loads(raw_of(select))
    del document["message"]["contract"]["consideration"][0]["considerationAttributes"]["@type"]
    raw = json.dumps(document).encode()
    decode("on_select", raw)
    assert Network().give("on_select", raw) == ("NACK", "SCH_REQUIRED_FIELD_MISSING")


class Suspicious(Seals):
    """Believes one header and no other."""

    def seal(self, message: Message, digest: str, now: int) -> str:
        return "good"

    def check(self, message: Message, header: str | None, now: int) -> str:
        if header != "good":
            raise Refusal(Code.AUT_SIGNATURE_INVALID, "/headers/Authorization", "forged")
        return ""

    def acknowledge(self, message: Message, ack: bytes, now: int) -> str:
        return f"{message.recipient} signs {ack.decode()}"


def test_a_forged_copy_neither_takes_the_place_of_the_true_message_nor_ends_the_waiting_for_its_answer() -> None:
    network = Network(seals=Suspicious())
    forged = replace(ask("forged"), message_id=ask("x").message_id)
    assert network.transmit(forged, "bad") == ("NACK", "AUT_SIGNATURE_INVALID")
    assert network.transmit(ask("x"), "good") == ("ACK", "")
    network.run(ask("y"), until=3)
    request = replace(ask("y"), digest=body_digest(raw_of(ask("y"))))
    assert network.transmit(answer(request), "bad", at_s=3) == ("NACK", "AUT_SIGNATURE_INVALID")
    assert network.transmit(answer(request), "good", at_s=3) == ("ACK", "")


def test_signatures_are_journaled_and_acknowledgements_are_signed_by_the_recipient() -> None:
    network = Network(seals=Suspicious())
    assert network.bus.transmit("discover", raw_of(ask("x")), "good").signature == 'b signs {"status":"ACK"}'
    assert network.records()[0]["signature"] == "good"


# the journal


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
