"""Names for what the canonical dialect wants named: UUIDs of names that are none, and what nobody named."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

UNSPECIFIED: Final = "unspecified"
"""Name of an offer, a resource or a unit that the canonical dialect asks for and the other does not name."""

_NAMESPACE = bytes.fromhex("3756e15432115e07a4642166cafd260a")
_UUID = re.compile("[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


def name_uuid(name: str) -> str:
    """The UUID of a name that is none: version 5 (RFC 9562, 5.5) in this project's namespace, so the same one everywhere."""
    # SHA-1 is what the version prescribes; nothing is signed with it.
    octets = bytearray(hashlib.sha1(_NAMESPACE + name.encode(), usedforsecurity=False).digest()[:16])
    octets[6] = octets[6] & 0x0F | 0x50
    octets[8] = octets[8] & 0x3F | 0x80
    text = octets.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def is_uuid(value: Any) -> bool:
    """Whether an id can stay as it is."""
    return isinstance(value, str) and _UUID.fullmatch(value) is not None
