"""Bytes that two parties agree on: what is hashed and signed outside messages.

Canonical bytes are those of RFC 8785, of values that leave no room for two readings: texts, integers that every reader can
hold, true, false, null, lists, and objects.  A fraction is written as the text of its decimals (``"0.30"``), for ``1.0`` and
``1`` are one number and two texts, and 0.1 + 0.2 is no binary number.  Texts are taken as they are, never normalised.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

import msgspec
import rfc8785

from sim.errors import ContractError, Fault

LARGEST = 2**53 - 1
"""Integers beyond it are not the same number to every reader of JSON (RFC 7493)."""

# Many times as fast as rfc8785, and the same but for the order of keys beyond the Basic Multilingual Plane.
_encode = msgspec.json.Encoder(order="sorted").encode


def canonical(value: object, source: str = "value") -> bytes:
    """The canonical bytes of a value.

    Raises ``ContractError`` with the JSON pointer of every float, of every integer beyond ``LARGEST``, of every text that is
    not Unicode, and of whatever is not JSON.
    """
    try:
        if _is_plain(value):
            return _encode(value)
        faults = tuple(_faults(value, ""))
    except RecursionError:
        raise ContractError(source, "is nested too deeply to be signed") from None
    except UnicodeEncodeError:
        faults = tuple(_faults(value, ""))
    if faults:
        raise ContractError(source, faults)
    return rfc8785.dumps(value)  # type: ignore[arg-type]  # what _faults found nothing in, is JSON


def read(raw: bytes, source: str = "value") -> object:
    """The value that canonical bytes stand for.

    Raises ``ContractError`` for bytes that are not JSON, for a float, NaN or Infinity, for one key twice in an object, and for
    bytes that are not the canonical ones of their value.
    """
    try:
        value = _READER.decode(raw.decode())
    except ContractError as error:
        raise ContractError(source, error.faults[0].what) from None
    except (ValueError, RecursionError) as error:
        raise ContractError(source, f"is not JSON: {error}") from error
    if canonical(value, source) != raw:
        raise ContractError(source, "is not in canonical form: keys sorted, no space, no escape that is not needed")
    return value


def hashed(raw: bytes) -> str:
    """``sha256:`` and the digest of some bytes in hexadecimal."""
    return "sha256:" + hashlib.sha256(raw).hexdigest()


def _is_plain(value: Any) -> bool:
    """Whether a value surely is as it should be, and its keys sort alike in every alphabet; asked of everything signed."""
    kind = type(value)
    if kind is dict:
        return _are_plain(value.values()) and all([type(key) is str and key.isascii() for key in value])
    if kind is list or kind is tuple:
        return _are_plain(value)
    if kind is int:
        return bool(-LARGEST <= value <= LARGEST)
    return value is None or isinstance(value, str | bool)


def _are_plain(values: Iterable[Any]) -> bool:
    # A loop and not all(...): a generator costs several times as much, and nearly all of these are texts.
    for value in values:  # noqa: SIM110
        if type(value) is not str and not _is_plain(value):
            return False
    return True


def _faults(value: object, where: str) -> Iterator[Fault]:
    match value:
        case None | bool():
            return
        case str():
            yield from _text_faults(value, where)
        case int():
            if abs(value) > LARGEST:
                yield Fault(where or "/", f"{value} is beyond 2^53 - 1", "write large numbers as text")
        case dict():
            for key, item in value.items():
                yield from _key_faults(key, where)
                yield from _faults(item, f"{where}/{str(key).replace('~', '~0').replace('/', '~1')}")
        case list() | tuple():
            for index, item in enumerate(value):
                yield from _faults(item, f"{where}/{index}")
        case _:
            what = f"{value!r} is a {type(value).__name__}, which is never signed"
            yield Fault(where or "/", what, "write decimals as text")


def _key_faults(key: object, where: str) -> Iterator[Fault]:
    if isinstance(key, str):
        yield from _text_faults(key, where)
    else:
        yield Fault(where or "/", f"the key {key!r} is not a text")


def _text_faults(text: str, where: str) -> Iterator[Fault]:
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        yield Fault(where or "/", f"{text!a} holds half of a character")


def _refuse(what: str, text: str) -> NoReturn:
    raise ContractError("value", f"{text[:40]} is {what}")


def _integer(text: str) -> int:
    if text == "-0" or len(text) > len(str(LARGEST)) + 1:
        _refuse("not an integer that every reader knows", text)
    return int(text)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        keys = [key for key, _ in pairs]
        _refuse("twice in one object", repr(next(key for key in keys if keys.count(key) > 1)))
    return unique


_READER = json.JSONDecoder(
    parse_float=functools.partial(_refuse, "a fraction; decimals are signed as text"),
    parse_int=_integer,
    parse_constant=functools.partial(_refuse, "no number"),
    object_pairs_hook=_once,
)
