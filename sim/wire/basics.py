"""What every body on the wire is made of: closed structures, and scalars that carry their own rules.

The rules stand in the types, once: msgspec compiles them into the check that every message passes, and writes them into the
JSON Schemas.  Rules between fields stand in ``__post_init__`` and are refused at the object that breaks them.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

ENERGY: Final = "https://schema.degsim.example/energy/v1/context.jsonld"
"""JSON-LD context of our own energy bags."""


def form(pattern: str, description: str, min_length: int | None = None, max_length: int | None = None) -> Meta:
    """The rule that a text matches this pattern, the whole of it; the description says in a refusal what was expected.

    The pattern means the same to Python, which lets ``$`` pass before a line feed and ``\\d`` match any script's digits, and to
    JSON Schema, which does neither.
    """
    return Meta(
        pattern=f"^(?:{pattern})$(?!\\n)", description=description, min_length=min_length, max_length=max_length
    )


_DAY = (
    r"(?:[1-9][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    r"|(?:[1-9][0-9](?:0[48]|[2468][048]|[13579][26])|(?:[2468][048]|[13579][26])00)-02-29)"
)
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?"
_OFFSET = r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"

Identifier = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(max_length=4000)]
Timestamp = Annotated[str, form(f"{_DAY}T{_CLOCK}{_OFFSET}", "an RFC 3339 date-time with offset")]
OffsetTime = Annotated[str, form(f"{_CLOCK}{_OFFSET}", "an RFC 3339 time with offset")]
LocalTime = Annotated[str, form(f"{_CLOCK}{_OFFSET}?", "a time of day, HH:MM:SS")]
# One pattern, not a union of two types: of two kinds of text in a union msgspec checks the last alone.
Moment = Annotated[
    str, form(f"{_DAY}T{_CLOCK}{_OFFSET}|{_CLOCK}{_OFFSET}?", "an RFC 3339 date-time with offset, or a time of day")
]
MinuteOfDay = Annotated[str, form("(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00", "HH:MM, up to 24:00")]
Duration = Annotated[str, form("PT[0-9]{1,9}S", "whole seconds as an ISO 8601 duration, PT…S")]
Ttl = Annotated[
    str,
    form(
        "PT(?:[0-9]{1,6}H)?(?:[0-9]{1,6}M)?(?:[0-9]{1,9}S)?",
        "an ISO 8601 duration of hours, minutes and seconds",
        min_length=4,
    ),
]
Period = Annotated[
    str,
    form(
        r"P(?:[0-9]+[YMWD])*(?:T(?:[0-9]+H)?(?:[0-9]+M)?(?:[0-9]+(?:\.[0-9]+)?S)?)?",
        "an ISO 8601 duration",
        min_length=3,
    ),
]
Uuid = Annotated[str, form("[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}", "a UUID")]
Uri = Annotated[str, form(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+", "an absolute URI", max_length=2000)]
Email = Annotated[str, form(r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address")]
Currency = Annotated[str, form("[A-Z]{3}", "an ISO 4217 code")]
Digest512 = Annotated[str, form("BLAKE-512=[A-Za-z0-9+/]{86}==", "BLAKE-512= and the BLAKE2b-512 in base64")]
Sha256 = Annotated[str, form("[0-9a-f]{64}", "a SHA-256 in hexadecimal")]
NamedSha256 = Annotated[str, form("sha256:[0-9a-f]{64}", "sha256: and the digest in hexadecimal")]
NonNegative = Annotated[float, Meta(ge=0)]
NonPositive = Annotated[float, Meta(le=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]
LdContext = Annotated[str, form(r"https://[^\s\"]+\.jsonld", "the URL of a JSON-LD context", max_length=300)]
JsonObject = dict[str, Any]
Encoding = Literal["json", "utf-8", "base64"]


class Breach(ValueError):
    """A rule between fields that an object breaks; msgspec carries it as the cause of its own error.

    where: JSON pointer below the object, without a leading slash; empty for the object itself.
    """

    def __init__(
        self, expected: str, got: str = "", where: str = "", code: str = "SCH_SCHEMA_VALIDATION_FAILED"
    ) -> None:
        super().__init__(expected, got, where, code)
        self.expected = expected
        self.got = got
        self.where = where
        self.code = code

    def __str__(self) -> str:
        return f"expected {self.expected}" + (f", got {self.got}" if self.got else "")


class Wire(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of everything on the wire: frozen, and closed to unknown fields."""


class NativePayload(Wire, frozen=True, kw_only=True):
    """A message of another protocol, carried whole (``sim.wire.native`` wraps and opens it).

    profile: what it is, version inside (``urn:…``).  digest: SHA-256 as RFC 9530 writes it, over the canonical JSON of a json
    payload and over the bytes of the others.  payload: any JSON value for ``json``; text for ``utf-8`` and ``base64``.
    """

    mediaType: Identifier
    profile: Identifier
    encoding: Encoding
    digest: Annotated[str, form("sha-256=:[A-Za-z0-9+/]{43}=:", "sha-256=:base64:")]
    payload: msgspec.Raw
    schemaRef: Identifier | UnsetType = UNSET


class Bag(Wire, frozen=True, tag_field="@type"):
    """Base of an energy bag: its JSON-LD context, its type (the class name), and native messages that travel inside."""

    ld: LdContext = field(name="@context")
    native: tuple[NativePayload, ...] | UnsetType = UNSET


class TimeWindow(Wire, frozen=True, kw_only=True):
    """Half-open window of time, RFC 3339."""

    start: Timestamp
    end: Timestamp


class Money(Wire, frozen=True, kw_only=True):
    """An amount in a currency."""

    currency: Currency
    value: float


class Position(Wire, frozen=True, kw_only=True):
    """WGS 84 degrees, and a radius around it in metres where an area is meant."""

    lat: Annotated[float, Meta(ge=-90, le=90)]
    lon: Annotated[float, Meta(ge=-180, le=180)]
    radiusMeters: NonNegative | UnsetType = UNSET


class CodedName(Wire, frozen=True, kw_only=True):
    """A place by its code."""

    code: Identifier | UnsetType = UNSET
    name: Text | UnsetType = UNSET


class Region(Wire, frozen=True, kw_only=True):
    """City and country."""

    city: CodedName | UnsetType = UNSET
    country: CodedName | UnsetType = UNSET
