"""What a directory keeps: entries by their path of names, each a list of versions of which none is ever overwritten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, NamedTuple, get_args

import rfc8785

from sim.errors import TrustError, nearest
from sim.rng import identifier
from sim.trust.stamps import rfc3339

TTL_S: Final = 300
"""How long an answer may be kept where its publisher does not say [s]; network adapters keep theirs as long."""
KINDS: Final = ("namespace", "registry", "record")
"""What a path of one, two and three names leads to."""

State = Literal["draft", "live", "suspended", "revoked", "expired"]
"""Where a record stands; only ``live`` counts."""
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Version:
    """One state of an entry, in force from ``at_s`` until the next.

    content: RFC 8785 bytes, which no reader and no publisher can change afterwards.
    """

    id: str
    at_s: int
    content: bytes
    state: str
    valid_till_s: int | None = None
    ttl_s: int = TTL_S
    memberships: tuple[str, ...] = ()

    def state_at(self, moment_s: int) -> str:
        """The state that was written, but a live entry past its validity has expired."""
        passed = self.valid_till_s is not None and moment_s >= self.valid_till_s
        return "expired" if passed and self.state == "live" else self.state


@dataclass(slots=True)
class Entry:
    """A namespace, registry or record, by its path of names: its versions, oldest first, and the entries below it."""

    path: Path
    versions: list[Version] = field(default_factory=list)
    below: dict[str, Entry] = field(default_factory=dict)

    def until(self, moment_s: int) -> tuple[Version, ...]:
        """All versions written for this moment or before it."""
        return tuple(version for version in self.versions if version.at_s <= moment_s)

    def add(self, at_s: int, content: bytes, state: str, **more: Any) -> Version:
        """A further version.  Raises ``TrustError`` for one older than the last: what was answered must stay true."""
        last = self.versions[-1] if self.versions else None
        if last and at_s < last.at_s:
            raise refused(self.path, f"version at {rfc3339(at_s)} is older than the last, {rfc3339(last.at_s)}")
        version_id = identifier(0, *self.path, str(len(self.versions) + 1))
        self.versions.append(Version(version_id, at_s, content, state, **more))
        return self.versions[-1]

    def exists_since(self, at_s: int, blank: Mapping[str, Any]) -> None:
        """A container is as old as the oldest thing in it, in whatever order they were written."""
        if not self.versions:
            self.add(at_s, canonical(self.path, blank), "active")
        elif at_s < self.versions[0].at_s:
            self.versions[0] = replace(self.versions[0], at_s=at_s)


class Seen(NamedTuple):
    """An entry as it stood at a moment: the version in force then, and all until then."""

    entry: Entry
    version: Version
    versions: tuple[Version, ...]
    moment_s: int


def entries_below(seen: Seen) -> Iterator[Seen]:
    """Everything directly in a container, as it stood at the same moment."""
    for entry in seen.entry.below.values():
        versions = entry.until(seen.moment_s)
        if versions:
            yield Seen(entry, versions[-1], versions, seen.moment_s)


def canonical(path: Path, content: Mapping[str, Any]) -> bytes:
    """RFC 8785 bytes of a JSON object.  Raises ``TrustError`` for NaN, integers beyond 2**53, lone surrogates and the like."""
    try:
        return rfc8785.dumps(dict(content))
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError) as error:
        raise refused(path, f"details cannot be written as RFC 8785 JSON: {error}") from error


def check_names(path: Path) -> None:
    """Raise ``TrustError`` for a path that no URL could name."""
    if not {"", ".", ".."}.isdisjoint(path):
        raise refused(path, "a namespace, a registry and a record have names that are not empty, nor one or two dots")


def check_state(path: Path, state: str) -> None:
    """Raise ``TrustError`` for a state that is not published."""
    if state not in get_args(State):
        raise refused(path, f"unknown state {state!r}: {nearest(state, get_args(State))}")


def check_stamps(path: Path, at_s: int, valid_till_s: int | None) -> None:
    """Raise ``TrustError`` for seconds that RFC 3339 cannot write."""
    try:
        for second in (at_s, valid_till_s):
            rfc3339(second or 0)
    except ValueError as error:
        raise refused(path, str(error)) from error


def refused(path: Path, what: str) -> TrustError:
    """The error of a write that the directory does not take."""
    return TrustError("/".join(path), what)
