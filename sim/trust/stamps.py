"""Unix seconds and RFC 3339 text, as directories and credentials write time."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_DATE_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def rfc3339(unix_s: int) -> str:
    """UTC text of a unix second, ``2026-01-01T00:00:00Z``.  Raises ``ValueError`` outside the years 1 to 9999."""
    try:
        return datetime.fromtimestamp(unix_s, UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(f"{unix_s} is not a unix second of the years 1 to 9999") from error


def unix_s(text: str) -> int:
    """Unix second of an RFC 3339 date-time; a fraction is cut off.

    Raises ``ValueError`` for anything else, a bare date and a date-time without an offset included.
    """
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is not an RFC 3339 date-time such as 2026-01-01T00:00:00Z")
    date, clock, offset = found.groups()
    return round(datetime.fromisoformat(f"{date}T{clock}{offset.upper()}").timestamp())
