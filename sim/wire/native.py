"""Messages of other protocols, carried whole inside a bag: OCPP, OCPI, OSCP, IEEE 2030.5, OpenADR, signed meter data.

What a bag says in its own fields is authoritative for money; what a native message says, for the device that understands it.
A receiver that does not know the profile passes it on untouched.
"""

from __future__ import annotations

import base64
import hashlib

import msgspec
import rfc8785
from msgspec import UNSET

from sim.wire.basics import Encoding, NativePayload
from sim.wire.codes import Code, Refusal
from sim.wire.explain import parse

LARGEST_BYTES = 64 * 1024
"""What may travel inside a bag; more goes by address and digest."""


def wrap(payload: bytes, media_type: str, profile: str, schema_ref: str | None = None) -> NativePayload:
    """A native message as a bag carries it; opened again it is the same bytes.

    media_type: JSON types are embedded as the JSON that they are (but as text where RFC 8785 cannot write their numbers), other
    text as text, the rest in base64.  profile: its name and version (``urn:…``).  schema_ref: by what it can be checked.
    Raises ``Refusal`` for one that is too large, or not the JSON that its type says.
    """
    _check_size(len(payload))
    encoding = _encoding(payload, media_type)
    value = _value(payload, encoding)
    return NativePayload(
        mediaType=media_type,
        profile=profile,
        encoding=encoding,
        digest=_digest(payload, encoding),
        payload=msgspec.Raw(value),
        schemaRef=UNSET if schema_ref is None else schema_ref,
    )


def unwrap(native: NativePayload, pointer: str = "/native") -> bytes:
    """The native message, byte for byte.  Raises ``Refusal`` at ``pointer`` where it is not what its digest says."""
    value = bytes(native.payload)
    try:
        payload = _payload(value, native.encoding, f"{pointer}/payload")
        _check_size(len(payload), pointer)
        digest = _digest(payload, native.encoding)
    except (ValueError, msgspec.DecodeError) as error:
        what = f"expected {native.encoding}: {error}"
        raise Refusal(Code.SCH_INVALID_FORMAT, f"{pointer}/payload", what) from error
    if digest != native.digest:
        what = f"expected {digest} of what is there, got {native.digest}"
        raise Refusal(Code.SCH_SCHEMA_VALIDATION_FAILED, f"{pointer}/digest", what)
    return payload


def _check_size(size: int, pointer: str = "/native") -> None:
    if size > LARGEST_BYTES:
        what = f"expected at most {LARGEST_BYTES} bytes, got {size}; send its address and digest instead"
        raise Refusal(Code.SCH_SCHEMA_VALIDATION_FAILED, f"{pointer}/payload", what)


def _encoding(payload: bytes, media_type: str) -> Encoding:
    kind = media_type.partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        return "json" if _is_canonical(_checked_json(payload)) else "utf-8"
    try:
        payload.decode()
    except UnicodeDecodeError:
        return "base64"
    return "utf-8"


def _value(payload: bytes, encoding: Encoding) -> bytes:
    """The JSON value that stands for a payload: itself, or a string."""
    if encoding == "json":
        return payload
    return msgspec.json.encode(payload.decode() if encoding == "utf-8" else base64.b64encode(payload).decode())


def _is_canonical(payload: bytes) -> bool:
    try:
        rfc8785.dumps(msgspec.json.decode(payload))
    except rfc8785.CanonicalizationError:
        return False
    return True


def _checked_json(payload: bytes, pointer: str = "/native/payload") -> bytes:
    """The payload, if it is JSON without white space around it, without keys that come twice, and not too deep."""
    _, found = parse(payload)
    if found:
        raise Refusal(found[0].code, pointer, found[0].text)
    if payload != payload.strip():
        raise Refusal(Code.SCH_INVALID_FORMAT, pointer, "expected JSON without white space around it, got some")
    return payload


def _payload(value: bytes, encoding: Encoding, pointer: str) -> bytes:
    if encoding == "json":
        return _checked_json(value, pointer)
    text = msgspec.json.decode(value, type=str)
    return text.encode() if encoding == "utf-8" else base64.b64decode(text, validate=True)


def _digest(payload: bytes, encoding: Encoding) -> str:
    """SHA-256 as RFC 9530 writes it.

    Of JSON it covers the canonical form (RFC 8785), so that whoever parses and writes it again on the way does no harm.
    """
    content = rfc8785.dumps(msgspec.json.decode(payload)) if encoding == "json" else payload
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"
