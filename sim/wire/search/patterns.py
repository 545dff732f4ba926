"""Regular expressions of others (I-Regexp, RFC 9485), matched in linear time.

Python's own matcher takes exponential time for some patterns, and a wall-clock limit would make answers depend on the machine.
So a pattern is checked against the grammar of I-Regexp, rewritten as its section 5.3 says, and left to RE2, which comes with
pyarrow.
"""

from __future__ import annotations

import functools
import re

_ESCAPED = r"\\[()*+\-.?\[\\\]^nrt{|}]"
_CATEGORY = r"\\[pP]\{(?:L[lmotu]?|M[cen]?|N[dlo]?|P[cdefios]?|Z[lps]?|S[ckmo]?|C[cfno]?)\}"
_TOKEN = re.compile(
    rf"(?P<verbatim>{_ESCAPED}|{_CATEGORY}"
    rf"|\[\^?-?(?:{_ESCAPED}|{_CATEGORY}|[^\[\]\\])+\]"
    r"|[*+?|)]|\{[0-9]+(?:,[0-9]*)?\})"
    r"|(?P<any>\.)|(?P<group>\()|(?P<plain>[^()*+.?\[\\\]{|}])"
)
ANY = r"[^\n\r]"


class PatternError(ValueError):
    """A text that is no I-Regexp."""


@functools.lru_cache(maxsize=256)
def rewritten(pattern: str) -> str:
    """The RE2 pattern that means the same as an I-Regexp.  Raises ``PatternError``."""
    parts, at = [], 0
    while at < len(pattern):
        token = _TOKEN.match(pattern, at)
        if token is None:
            raise PatternError(f"no regular expression of RFC 9485 at its character {at + 1}: {pattern[at]!r}")
        kinds = {"any": ANY, "group": "(?:", "plain": re.escape(token.group())}
        parts.append(kinds.get(token.lastgroup or "", token.group()))
        at = token.end()
    whole = "".join(parts)
    try:
        _re2("", whole)
    except ValueError as error:
        raise PatternError(str(error)) from None
    return whole


def matches(text: str, pattern: str, *, whole: bool) -> bool:
    """Whether a text matches an I-Regexp: all of it, or some part.  Raises ``PatternError``."""
    inner = rewritten(pattern)
    return _re2(text, rf"\A(?:{inner})\z" if whole else inner)


def _re2(text: str, pattern: str) -> bool:
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    return bool(pc.match_substring_regex(pa.scalar(text), pattern).as_py())
