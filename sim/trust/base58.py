"""Base58 in Bitcoin's alphabet, as multibase writes it after a ``z``."""

from __future__ import annotations

_DIGITS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_MAX_DIGITS = 128


def encode(raw: bytes) -> str:
    """Text of some bytes; every leading zero byte is a leading ``1``."""
    number, text = int.from_bytes(raw), ""
    while number:
        number, digit = divmod(number, 58)
        text = _DIGITS[digit] + text
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + text


def decode(text: str) -> bytes:
    """The bytes of a text.  Raises ``ValueError`` for a foreign character, and above 128 digits: work grows by the square."""
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"{len(text)} digits of base58, expected at most {_MAX_DIGITS}")
    number = 0
    for letter in text:
        number = number * 58 + _DIGITS.index(letter)
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8)
