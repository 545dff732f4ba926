"""Signing what participants send, and checking what they get against a directory."""

from __future__ import annotations

from collections.abc import Callable

from sim.trust.client import DirectoryClient, Registration
from sim.trust.directory import Directory
from sim.trust.registries import Subscriber, publish_key
from sim.trust.signature import POINTER, Header, Key, check_times, countersign, derive, parse, sign, verify
from sim.trust.stamps import rfc3339
from sim.wire.codes import Code, Refusal
from sim.wire.messages import Message, uri

VALID_S = 300
"""For how long a signature holds at least; a message with a longer ttl is signed for all of it."""
UNCHECKED = "signature unchecked"
"""How the note begins that a message was let in without its signature being checked."""
DOMAIN = "beckn.one:deg:*"
"""What participants of a run are registered for."""
MAY_GO_UNCHECKED = frozenset({"discover"})
"""Asking around binds nobody: it goes on, and is noted, while the directory cannot be reached.  Everything else is refused;
the answer too, for people act on it."""


def subscriber_of(name: str, signing_key: str, sealing_key: str) -> Subscriber:
    """How a participant of a run is registered; keys in base64."""
    return Subscriber(
        subscriber_id=name,
        url=uri(name),
        type="BPP",
        domain=DOMAIN,
        countries=("DEU",),
        signing_public_key=signing_key,
        encr_public_key=sealing_key,
    )


class Keyring:
    """The keys of everybody in one run, made from its seed, and their registration."""

    def __init__(self, seed: int, directory: Directory) -> None:
        self._seed = seed
        self._directory = directory
        self._keys: dict[str, list[Key]] = {}

    def enrol(self, subscriber: str, at_s: int) -> Key:
        """Make a subscriber's first key, or its next one, and register it from a unix second on."""
        keys = self._keys.setdefault(subscriber, [])
        key = derive(self._seed, subscriber, len(keys) + 1)
        entry = subscriber_of(subscriber, key.public_text, key.sealing_text)
        publish_key(self._directory, key.key_id, entry, at_s)
        keys.append(key)
        return key

    def rotate(self, subscriber: str, at_s: int) -> Key:
        """A new key from a unix second on; the old one counts no longer, but for what it signed before."""
        old = self.current(subscriber)
        self._directory.change_state(subscriber, Subscriber.registry, old.key_id, "expired", at_s)
        return self.enrol(subscriber, at_s)

    def revoke(self, subscriber: str, at_s: int) -> None:
        """The key in use is revoked from a unix second on, and there is no other."""
        self._directory.change_state(subscriber, Subscriber.registry, self.current(subscriber).key_id, "revoked", at_s)

    def current(self, subscriber: str) -> Key:
        """The key in use.  Raises ``KeyError`` for somebody who was never enrolled: a bug of who built the network."""
        return self._keys[subscriber][-1]


class RegisteredSeals:
    """Signs with a keyring, and trusts what a directory says; ``sim.bus`` calls it.

    epoch_s: unix second of simulated second 0.  edition: differs wherever the directory's answers may, by unix second, so that
    answers are kept exactly as long as they hold.
    """

    def __init__(
        self, keyring: Keyring, client: DirectoryClient, edition: Callable[[int], object], epoch_s: int
    ) -> None:
        self._keyring = keyring
        self._client = client
        self._edition_of = edition
        self._epoch_s = epoch_s
        self._edition: object = None
        self._known: dict[tuple[str, str], Registration] = {}

    def seal(self, message: Message, digest: str, now: int) -> str:
        """The signature header of a message whose body has this digest."""
        created = self._epoch_s + now
        return sign(self._keyring.current(message.sender), digest, created, created + max(message.ttl_s, VALID_S))

    def check(self, message: Message, header: str | None, now: int) -> str:
        """Raises ``Refusal`` for a message that its sender did not sign, or not now; else what is to be noted."""
        claim = parse(header)
        now_s = self._epoch_s + now
        check_times(claim, now_s)
        if claim.subscriber != message.sender:
            what = f"{claim.subscriber} signed a message of {message.sender}"
            raise Refusal(Code.AUT_UNAUTHORIZED_ACTION, POINTER, what)
        try:
            registration = self._registration(claim, now_s)
        except Refusal as refusal:
            if refusal.code is Code.NET_DOWNSTREAM_UNAVAILABLE and message.action in MAY_GO_UNCHECKED:
                return f"{UNCHECKED}: the directory cannot be reached"
            raise
        verify(claim, message.digest, registration.key)
        if message.domain is not None and not _covers(registration.subscriber.domain, message.domain):
            what = f"{message.sender} is registered for {registration.subscriber.domain}, got {message.domain}"
            raise Refusal(Code.AUT_DOMAIN_NOT_ALLOWED, "/context/domain", what)
        return ""

    def acknowledge(self, message: Message, ack: bytes, now: int) -> str:
        """The recipient's signature of its Ack to a message."""
        created = self._epoch_s + now
        key = self._keyring.current(message.recipient)
        return countersign(key, ack, created, created + VALID_S, message.digest, message.message_id)

    def _registration(self, claim: Header, now_s: int) -> Registration:
        edition = self._edition_of(now_s)
        if edition != self._edition:
            self._known.clear()
            self._edition = edition
        known = self._known.get((claim.subscriber, claim.key_id))
        if known is None:
            known = self._client.registration(claim.subscriber, claim.key_id, rfc3339(now_s))
            self._known[claim.subscriber, claim.key_id] = known
        return known


def _covers(registered: str, domain: str) -> bool:
    return domain.startswith(registered[:-1]) if registered.endswith("*") else domain == registered
