"""What every body on the wire is made of: closed structures, and scalars that carry their own rules.

The rules stand in the types, once: msgspec compiles them into the check that every message passes, and writes them into the
JSON Schemas.  Rules between fields stand in ``__post_init__`` and are refused at the object that breaks them.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

ENERGY: Final = "https://schema.degsim.example/energy/v1/context.jsonld"
"""JSON-LD context of our own energy bags."""

_DAY = (
    r"(?:\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))"
    r"|(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)"
)
_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?"
_OFFSET = r"(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)"

Identifier = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(max_length=4000)]
Timestamp = Annotated[str, Meta(pattern=f"^{_DAY}T{_CLOCK}{_OFFSET}$", description="an RFC 3339 date-time with offset")]
Day = Annotated[str, Meta(pattern=f"^{_DAY}$", description="an RFC 3339 full-date")]
OffsetTime = Annotated[str, Meta(pattern=f"^{_CLOCK}{_OFFSET}$", description="an RFC 3339 time with offset")]
LocalTime = Annotated[str, Meta(pattern=f"^{_CLOCK}(?:{_OFFSET})?$", description="a time of day, HH:MM:SS")]
# One pattern, not a union of two types: of two kinds of text in a union msgspec checks the last alone.
Moment = Annotated[
    str,
    Meta(
        pattern=f"^(?:{_DAY}T{_CLOCK}{_OFFSET}|{_CLOCK}(?:{_OFFSET})?)$",
        description="an RFC 3339 date-time with offset, or a time of day",
    ),
]
MinuteOfDay = Annotated[str, Meta(pattern=r"^(?:(?:[01]\d|2[0-3]):[0-5]\d|24:00)$", description="HH:MM, up to 24:00")]
Duration = Annotated[str, Meta(pattern=r"^PT\d{1,9}S$", description="whole seconds as an ISO 8601 duration, PT…S")]
Period = Annotated[
    str,
    Meta(
        pattern=r"^P(?:\d+[YMWD])*(?:T(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?$",
        min_length=3,
        description="an ISO 8601 duration",
    ),
]
Uuid = Annotated[
    str,
    Meta(pattern="^[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$", description="a UUID"),
]
Uri = Annotated[
    str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+$", max_length=2000, description="an absolute URI")
]
Email = Annotated[str, Meta(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", description="an e-mail address")]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="an ISO 4217 code")]
Digest512 = Annotated[
    str, Meta(pattern="^BLAKE-512=[A-Za-z0-9+/]{86}==$", description="BLAKE-512= and the BLAKE2b-512 in base64")
]
NonNegative = Annotated[float, Meta(ge=0)]
NonPositive = Annotated[float, Meta(le=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]
LdContext = Annotated[
    str, Meta(pattern=r"^https://[^\s\"]+\.jsonld$", max_length=300, description="the URL of a JSON-LD context")
]
JsonObject = dict[str, Any]


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
    encoding: Annotated[str, Meta(pattern="^(?:json|utf-8|base64)$", description="json, utf-8 or base64")]
    digest: Annotated[str, Meta(pattern="^sha-256=:[A-Za-z0-9+/]{43}=:$", description="sha-256=:base64:")]
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
