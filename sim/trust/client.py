"""Typed questions to a directory server, and why an answer is refused.

Only what DeDi api 2.0.0 documents is asked and read, so any server of it will do.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from sim.trust.directory import BASE, Directory
from sim.trust.registries import (
    TARIFFS,
    Details,
    Enrolment,
    Interconnection,
    Membership,
    Revocation,
    Subscriber,
    WheelingRate,
)
from sim.trust.stamps import unix_s
from sim.wire.codes import Code, Refusal

Transport = Callable[[str, Mapping[str, str]], tuple[int, bytes]]
"""Gets ``path?query`` (path percent-encoded, values of the query not) and returns status and body.

Raises ``OSError`` where no answer came.
"""
KEY_BYTES = 32
"""Length of a raw Ed25519 public key."""

_GONE = (404, 410)
_D = TypeVar("_D", bound=Details)


def in_process(directory: Directory, now: Callable[[], int]) -> Transport:
    """A transport that asks a directory in this process; ``now`` gives the simulated unix second."""

    def get(path: str, query: Mapping[str, str]) -> tuple[int, bytes]:
        answer = directory.answer(path, query, now())
        return answer.status, json.dumps(answer.body).encode()

    return get


class _Record(msgspec.Struct, frozen=True):
    """What this client reads of a record."""

    details: dict[str, Any]
    state: str
    valid_till: str | None = None


class _Found(msgspec.Struct, frozen=True):
    data: _Record


@dataclass(frozen=True, slots=True)
class Registration:
    """What is registered of a subscriber; key: its raw Ed25519 public key."""

    subscriber: Subscriber
    key: bytes


@dataclass(frozen=True, slots=True)
class DirectoryClient:
    """Asks a directory about keys, and about one network's records.

    network: namespace of the network's registries.  base: what stands before ``/lookup``.
    clock: the unix second to judge ``valid_till`` by where a question names no ``as_on``; without it, the state that the
    server gives decides alone.
    Every method raises ``Refusal``: NET_DOWNSTREAM_UNAVAILABLE where the directory could not be asked, NET_INTERNAL_ERROR
    where its answer cannot be used.
    """

    get: Transport
    network: str = ""
    base: str = BASE
    clock: Callable[[], int] | None = None

    def signing_key(self, subscriber: str, key_id: str, as_on: str | None = None) -> bytes:
        """The raw Ed25519 public key with which a subscriber signs, or signed at ``as_on``; raises as ``registration``."""
        return self.registration(subscriber, key_id, as_on).key

    def registration(self, subscriber: str, key_id: str, as_on: str | None = None) -> Registration:
        """A subscriber and its signing key, as registered now or at ``as_on`` (RFC 3339).

        Raises ``Refusal``: AUT_SUBSCRIBER_NOT_FOUND for an unknown namespace, AUT_KEY_NOT_FOUND for an unknown key of a
        known one, AUT_KEY_EXPIRED_OR_REVOKED where the key was not live then.
        """
        where = f"{subscriber}/{Subscriber.registry}/{key_id}"
        found = self._record(subscriber, Subscriber.registry, key_id, as_on)
        if found is None:
            raise self._unknown_key(subscriber, key_id, as_on)
        if (fault := self._not_in_force(where, found, as_on)) is not None:
            raise Refusal(Code.AUT_KEY_EXPIRED_OR_REVOKED, where, fault)
        details = _typed(where, found.details, Subscriber)
        if details.subscriber_id != subscriber:
            raise _unusable(where, f"the record is of {details.subscriber_id!r}")
        return Registration(details, _key(where, details.signing_public_key))

    def is_revoked(self, record_id: str, as_on: str | None = None) -> bool:
        """Whether the network's revocation list names this id.

        A record that exists is a revocation, whatever it says; 404 and 410 are none; any other answer, and none, raises
        NET_DOWNSTREAM_UNAVAILABLE, so that the caller chooses to fail open or closed.  (Network adapters read it so too.)
        """
        status, _ = self._ask((self.network, Revocation.registry, record_id), as_on)
        if status in _GONE:
            return False
        if 200 <= status < 300:
            return True
        raise _unavailable(f"{self.network}/{Revocation.registry}/{record_id}", f"the directory answered {status}")

    def membership(self, member: str, as_on: str | None = None) -> Membership:
        """What the network says of a member.  Raises NET_ENTITY_NOT_FOUND for one that is not, or no longer, a member."""
        return self._entity(Membership, member, as_on)

    def interconnection(self, meter: str, as_on: str | None = None) -> Interconnection:
        """The approval of a meter.  Raises NET_ENTITY_NOT_FOUND where there is none in force."""
        return self._entity(Interconnection, meter, as_on)

    def enrolment(self, meter: str, as_on: str | None = None) -> Enrolment:
        """The programme that a meter takes part in.  Raises NET_ENTITY_NOT_FOUND where there is none."""
        return self._entity(Enrolment, meter, as_on)

    def wheeling_rate(self, utility: str, as_on: str | None = None) -> WheelingRate:
        """A utility's charge for carrying.  Raises NET_ENTITY_NOT_FOUND where there is none in force."""
        return self._entity(WheelingRate, utility, as_on)

    def tariff(self, tariff_id: str, as_on: str | None = None) -> dict[str, Any]:
        """A tariff as its publisher wrote it.  Raises NET_ENTITY_NOT_FOUND where there is none in force."""
        return self._in_force(TARIFFS, tariff_id, as_on)

    def _entity(self, kind: type[_D], name: str, as_on: str | None) -> _D:
        details = self._in_force(kind.registry, name, as_on)
        return _typed(f"{self.network}/{kind.registry}/{name}", details, kind)

    def _in_force(self, registry: str, name: str, as_on: str | None) -> dict[str, Any]:
        where = f"{self.network}/{registry}/{name}"
        found = self._record(self.network, registry, name, as_on)
        if found is None:
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, where, "the directory has no such record")
        if (fault := self._not_in_force(where, found, as_on)) is not None:
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, where, fault)
        return found.details

    def _ask(self, names: tuple[str, ...], as_on: str | None) -> tuple[int, bytes]:
        path = "/".join(quote(name, safe="", errors="replace") for name in names)
        if not {"", ".", ".."}.isdisjoint(names):
            raise _unusable(path, "such a name would ask for something else on the way through a URL")
        try:
            return self.get(f"{self.base}/lookup/{path}", {} if as_on is None else {"as_on": as_on})
        except OSError as error:
            raise _unavailable(path, f"the directory cannot be reached: {error}") from error

    def _record(self, namespace: str, registry: str, record: str, as_on: str | None) -> _Record | None:
        where = f"{namespace}/{registry}/{record}"
        status, body = self._ask((namespace, registry, record), as_on)
        if status in _GONE:
            return None
        _check_status(where, status)
        try:
            return msgspec.json.decode(body, type=_Found).data
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise _unusable(where, str(error)) from error

    def _not_in_force(self, where: str, record: _Record, as_on: str | None) -> str | None:
        """Why a record does not count at the moment asked for; none where it does."""
        if record.state != "live":
            return f"{record.state}, not live"
        if record.valid_till is None:
            return None
        try:
            moment_s = unix_s(as_on) if as_on is not None else self.clock() if self.clock else None
            passed = moment_s is not None and moment_s >= unix_s(record.valid_till)
        except ValueError as error:
            raise _unusable(where, f"as_on or valid_till: {error}") from error
        return f"valid till {record.valid_till}" if passed else None

    def _unknown_key(self, subscriber: str, key_id: str, as_on: str | None) -> Refusal:
        """One more question tells an unknown subscriber from an unknown key."""
        status, _ = self._ask((subscriber,), as_on)
        if status in _GONE:
            return Refusal(Code.AUT_SUBSCRIBER_NOT_FOUND, subscriber, "the directory has no such namespace")
        _check_status(subscriber, status)
        return Refusal(Code.AUT_KEY_NOT_FOUND, f"{subscriber}/{key_id}", "the subscriber has no such key")


def _check_status(where: str, status: int) -> None:
    if status >= 500:
        raise _unavailable(where, f"the directory answered {status}")
    if status != 200:
        raise _unusable(where, f"the directory answered {status}")


def _typed(where: str, details: dict[str, Any], kind: type[_D]) -> _D:
    try:
        return msgspec.convert(details, kind)
    except msgspec.ValidationError as error:
        raise _unusable(where, f"details: {error}") from error


def _key(where: str, text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _unusable(where, f"signing_public_key is not base64: {error}") from error
    if len(raw) != KEY_BYTES:
        raise _unusable(where, f"signing_public_key has {len(raw)} bytes, an Ed25519 key has {KEY_BYTES}")
    return raw


def _unavailable(where: str, what: str) -> Refusal:
    return Refusal(Code.NET_DOWNSTREAM_UNAVAILABLE, where, what)


def _unusable(where: str, what: str) -> Refusal:
    return Refusal(Code.NET_INTERNAL_ERROR, where, what)
