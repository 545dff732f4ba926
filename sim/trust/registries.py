"""What the records of a Beckn energy network say: one closed type for each registry, and how it is written.

Attribute names are the directory's own, letter for letter.  A subscriber keeps its keys under its own name; everything else
lies under the network's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from sim.errors import TrustError
from sim.trust.directory import Directory
from sim.trust.entries import TTL_S

Text = Annotated[str, msgspec.Meta(min_length=1)]
Url = Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s/]+")]
Country = Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
Currency = Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
Date = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\d$")]
DateTime = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)$")]
Key = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9+/]{43}=$")]
"""Base64 of 32 bytes."""
Power = Annotated[float, msgspec.Meta(ge=0)]

TARIFFS = "tariffs"
"""Registry of tariffs; their details are any JSON object, so it has no type here."""


class Details(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of what records say.  Writing admits no other members; reading passes over those that others added."""

    registry: ClassVar[str]


class Subscriber(Details, frozen=True, kw_only=True, omit_defaults=True):
    """A network participant, where it is reached and its public keys (base64); the record's name is the key's id.

    countries: ISO 3166-1 alpha-3.
    """

    registry: ClassVar[str] = "subscribers.beckn.one"
    subscriber_id: Text
    url: Url
    type: Literal["BAP", "BPP", "BG", "CDS"]
    domain: Text
    countries: Annotated[tuple[Country, ...], msgspec.Meta(min_length=1)]
    signing_public_key: Key
    encr_public_key: Key | None = None


class Member(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who a member is."""

    name: Text
    url: Url | None = None
    address: str | None = None
    publicKey: str | None = None


class Membership(Details, frozen=True, kw_only=True, omit_defaults=True):
    """That somebody belongs to the network; the record's name is the member's."""

    registry: ClassVar[str] = "membership"
    membership_id: Text
    detail: Member
    evidence: str | None = None
    memberSince: Date | None = None
    memberTill: Date | None = None


class Revocation(Details, frozen=True, kw_only=True, omit_defaults=True):
    """That something no longer counts; the record's name is the id of what is revoked, and its existence is the message."""

    registry: ClassVar[str] = "revoke"
    revoked_id: Text
    reason: str | None = None


class PreviousKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A key that an entity used before."""

    publicKey: Text
    keyType: Text | None = None
    keyFormat: Text | None = None


class Entity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whose key it is."""

    name: Text
    url: Url | None = None
    address: str | None = None


class PublicKey(Details, frozen=True, kw_only=True, omit_defaults=True):
    """The key of something that is no subscriber (a meter, a device), and the keys that it had before."""

    registry: ClassVar[str] = "public_key"
    public_key_id: Text
    publicKey: Text
    keyType: Text
    keyFormat: Text | None = None
    entity: Entity | None = None
    previousKeys: tuple[PreviousKey, ...] = ()


class Interconnection(Details, frozen=True, kw_only=True, omit_defaults=True):
    """What the utility lets a meter exchange with its grid [kW]; the record's name is the meter's.

    era: who holds the approval.  validUntil: first moment at which it no longer holds.
    """

    registry: ClassVar[str] = "interconnection"
    era: Text
    meterId: Text
    exportLimitKW: Power
    importLimitKW: Power
    netMetering: bool
    validUntil: DateTime | None = None


class Enrolment(Details, frozen=True, kw_only=True, omit_defaults=True):
    """That a meter takes part in a programme, so that it is not paid twice for one kWh; the record's name is the meter's."""

    registry: ClassVar[str] = "enrolments"
    meterId: Text
    programId: Text
    enrollmentId: Text
    era: Text


class WheelingRate(Details, frozen=True, kw_only=True, omit_defaults=True):
    """What a utility asks for carrying a kWh; the record's name is the utility's."""

    registry: ClassVar[str] = "wheeling_rates"
    utility: Text
    ratePerKWh: float
    currency: Currency


def publish(
    directory: Directory,
    namespace: str,
    record: str,
    details: Details,
    at_s: int,
    *,
    valid_till_s: int | None = None,
    ttl_s: int = TTL_S,
) -> str:
    """Write a live record into the registry of its type and return the version's id.

    Raises ``TrustError`` where a member is not of its type, and as ``Directory.publish`` does.
    """
    content = _checked(record, details)
    return directory.publish(namespace, details.registry, record, content, at_s, valid_till_s=valid_till_s, ttl_s=ttl_s)


def publish_key(
    directory: Directory,
    key_id: str,
    subscriber: Subscriber,
    at_s: int,
    *,
    valid_till_s: int | None = None,
    ttl_s: int = TTL_S,
    network_memberships: Sequence[str] = (),
) -> str:
    """Write a subscriber's key under the subscriber's own namespace; ``network_memberships`` are what adapters admit by."""
    return directory.publish(
        subscriber.subscriber_id,
        subscriber.registry,
        key_id,
        _checked(key_id, subscriber),
        at_s,
        valid_till_s=valid_till_s,
        ttl_s=ttl_s,
        network_memberships=network_memberships,
    )


def revoke(directory: Directory, network: str, revoked_id: str, reason: str, at_s: int) -> str:
    """Write that something (a credential, a contract, an approval) is revoked from ``at_s`` on."""
    return publish(directory, network, revoked_id, Revocation(revoked_id=revoked_id, reason=reason), at_s)


def publish_tariff(directory: Directory, network: str, tariff_id: str, tariff: Mapping[str, Any], at_s: int) -> str:
    """Write a tariff, which may be any JSON object, in force from ``at_s`` on."""
    return directory.publish(network, TARIFFS, tariff_id, tariff, at_s)


def _checked(record: str, details: Details) -> dict[str, Any]:
    content: dict[str, Any] = msgspec.to_builtins(details)
    try:
        msgspec.convert(content, type(details))
    except msgspec.ValidationError as error:
        raise TrustError(f"{details.registry}/{record}", str(error)) from error
    return content
