"""Messages on a network that signs: who is believed, and until when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import replace

from sim.trust.client import DirectoryClient, in_process
from sim.trust.directory import Directory
from sim.trust.seals import DOMAIN, Keyring, RegisteredSeals
from sim.trust.signature import derive, key_of, parse, sign, verify, verify_countersignature
from sim.trust.stamps import rfc3339
from sim.wire.codec import body_digest, encode_ack
from sim.wire.messages import CatalogsContent, Event, Message
from tests.test_bus import CALENDAR, TRANSACTION, Network, ask, raw_of

EPOCH = CALENDAR.unix(0)


@dataclass
class Signing:
    """A network that signs, with the mailboxes ``a`` and ``b``."""

    directory: Directory = field(default_factory=Directory)
    down: bool = False

    def __post_init__(self) -> None:
        self.keyring = Keyring(1, self.directory)
        for name in ("a", "b"):
            self.keyring.enrol(name, EPOCH - 60)
        self.client = DirectoryClient(self.ask)
        self.network = Network(seals=RegisteredSeals(self.keyring, self.client, self.directory.edition, EPOCH))

    def ask(self, path: str, query: Mapping[str, str]) -> tuple[int, bytes]:
        if self.down:
            raise ConnectionRefusedError("refused")
        return in_process(self.directory, lambda: EPOCH)(path, query)

    def header(self, message: Message, at_s: int = 0, **changes: Any) -> str:
        key = changes["key"] if "key" in changes else self.keyring.current(message.sender)
        created = EPOCH + changes.get("created", at_s)
        return sign(key, body_digest(raw_of(message, at_s)), created, EPOCH + changes.get("expires", at_s + 300))

    def send(self, message: Message, at_s: int = 0, **changes: Any) -> str:
        self.network.clock.run(until=max(at_s, self.network.clock.now) + 0.5)
        return self.network.transmit(message, self.header(message, at_s, **changes), at_s)[1] or "ACK"


def test_everything_that_is_sent_is_signed_and_believed() -> None:
    signing = Signing()
    signing.network.run(*(ask(str(n)) for n in range(5)), until=3)
    assert [what for _, _, what in signing.network.log] == ["0", "1", "2", "3", "4"]
    for record in signing.network.records()[:-1]:
        assert record["signature"].startswith('Signature keyId="a|k1|ed25519"')


def test_a_message_without_a_signature_is_refused() -> None:
    assert Signing().network.transmit(ask("x")) == ("NACK", "AUT_SIGNATURE_MISSING")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, "ACK"),
        ({"created": 5}, "ACK"),
        ({"created": 7}, "AUT_SIGNATURE_INVALID"),
        ({"expires": 0}, "ACK"),
        ({"expires": -1, "created": -10}, "AUT_SIGNATURE_INVALID"),
        ({"key": derive(2, "a")}, "AUT_SIGNATURE_INVALID"),
        ({"key": derive(1, "b")}, "AUT_UNAUTHORIZED_ACTION"),
        ({"key": derive(1, "a", 7)}, "AUT_KEY_NOT_FOUND"),
    ],
    ids=[
        "in time",
        "5 s early",
        "7 s early",
        "just in time",
        "1 s late",
        "a wrong key",
        "another's key",
        "an unknown key",
    ],
)
def test_a_signature_is_believed_in_its_time_from_its_key_for_its_sender(changes: dict[str, Any], code: str) -> None:
    assert Signing().send(ask("x"), **changes) == code


def test_a_body_that_was_changed_on_the_way_is_refused_and_nobody_hears_it() -> None:
    signing = Signing()
    raw = raw_of(ask("x")).replace(b'"x"', b'"y"')
    assert signing.network.give("discover", raw, signing.header(ask("x"))) == ("NACK", "AUT_SIGNATURE_INVALID")
    assert signing.network.log == []


def test_a_stranger_is_not_believed() -> None:
    stranger = key_of("z", "k1", bytes(range(32)), bytes(32))
    assert Signing().send(ask("x", sender="z"), key=stranger) == "AUT_SUBSCRIBER_NOT_FOUND"


def test_after_a_rotation_the_new_key_counts_and_the_old_one_only_for_what_it_signed_before() -> None:
    signing = Signing()
    old = signing.keyring.current("a")
    assert signing.send(ask("before"), 10) == "ACK"
    signing.keyring.rotate("a", EPOCH + 20)
    assert signing.send(ask("new"), 30) == "ACK"
    assert signing.send(ask("old"), 31, key=old) == "AUT_KEY_EXPIRED_OR_REVOKED"
    kept = parse(signing.header(ask("before"), 10, key=old))
    then = signing.client.signing_key("a", old.key_id, rfc3339(EPOCH + 10))
    verify(kept, body_digest(raw_of(ask("before"), 10)), then)


def test_a_rotation_that_is_announced_takes_effect_at_its_second() -> None:
    signing = Signing()
    old = signing.keyring.current("a")
    signing.keyring.rotate("a", EPOCH + 20)
    assert signing.send(ask("1"), 19, key=old) == "ACK"
    assert signing.send(ask("2"), 20, key=old) == "AUT_KEY_EXPIRED_OR_REVOKED"


def test_a_revoked_key_is_refused_from_then_on() -> None:
    signing = Signing()
    assert signing.send(ask("1"), 10) == "ACK"
    signing.keyring.revoke("a", EPOCH + 11)
    assert signing.send(ask("2"), 11) == "AUT_KEY_EXPIRED_OR_REVOKED"


def test_a_subscriber_speaks_in_the_domain_it_is_registered_for() -> None:
    signing = Signing()
    allowed = replace(ask("x"), domain=DOMAIN.replace("*", "energy-coordination:2.0.0"))
    assert signing.send(allowed) == "ACK"
    assert signing.send(replace(ask("y"), domain="beckn.one:retail:1.0")) == "AUT_DOMAIN_NOT_ALLOWED"


def test_while_the_directory_is_down_asking_around_goes_on_and_is_noted_and_everything_else_is_refused() -> None:
    signing = Signing(down=True)
    assert signing.send(ask("x")) == "ACK"
    assert signing.network.records()[0]["note"] == "signature unchecked: the directory cannot be reached"
    select = replace(ask("y"), action="select", content=confirm_content())
    assert signing.send(select) == "NET_DOWNSTREAM_UNAVAILABLE"
    news = Message("on_discover", "a", "b", TRANSACTION, ask("n").message_id, CatalogsContent(catalogs=()))
    assert signing.send(news) == "NET_DOWNSTREAM_UNAVAILABLE"


def confirm_content() -> Any:
    from tests.wire.test_codec import confirm

    return confirm([(0.1, 1.0)]).content


def test_the_directory_is_asked_once_a_key_until_something_changes_in_it() -> None:
    signing = Signing()
    asked: list[str] = []
    ask_directory = signing.ask

    def counting(path: str, query: Mapping[str, str]) -> tuple[int, bytes]:
        asked.append(path)
        return ask_directory(path, query)

    client = DirectoryClient(counting)
    network = Network(seals=RegisteredSeals(signing.keyring, client, signing.directory.edition, EPOCH))
    network.run(*(ask(str(n)) for n in range(20)), until=3)
    assert len(asked) == 1
    signing.keyring.enrol("c", EPOCH)
    network.run(*(ask(str(n)) for n in range(20, 40)), until=9)
    assert len(asked) == 2


def test_an_acknowledgement_is_signed_by_the_recipient_and_bound_to_the_request() -> None:
    signing = Signing()

    def answerless(name: str, event: Event) -> Iterable[Event]:
        return ()

    signing.network.react = answerless
    raw = raw_of(ask("x"))
    ack = signing.network.bus.transmit("discover", raw, signing.header(ask("x")))
    assert ack.signature
    receipt = parse(ack.signature)
    assert (receipt.subscriber, receipt.key_id) == ("b", "k1")
    key = signing.keyring.current("b").public
    verify_countersignature(receipt, encode_ack(ack), body_digest(raw), ask("x").message_id, key)


def test_whoever_cannot_sign_for_another_cannot_use_up_what_the_other_may_send() -> None:
    signing = Signing()
    signing.network.bus._rate_limit = 1
    for number in range(3):
        assert signing.send(ask(str(number)), key=derive(2, "a")) == "AUT_SIGNATURE_INVALID"
    assert signing.send(ask("mine")) == "ACK"


def test_a_header_that_is_no_text_is_refused_and_journaled() -> None:
    network = Signing().network
    assert network.transmit(ask("x"), "\ud800") == ("NACK", "AUT_SIGNATURE_INVALID")
    assert network.records()[0]["signature"] == "'\\ud800'"
