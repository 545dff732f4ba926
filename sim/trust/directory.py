"""A decentralized directory (DeDi api 2.0.0) in one process: namespaces hold registries, registries hold records.

Writing is by method, each with the unix second from which it counts; nothing is ever overwritten, every write is a version.
Reading is ``Directory.answer``, which speaks the published paths, parameters and bodies.  Where the published API leaves
something open, the choice is stated at the function that makes it.
"""

from __future__ import annotations

import bisect
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from sim.trust.entries import (
    KINDS,
    TTL_S,
    Entry,
    Path,
    Seen,
    State,
    canonical,
    check_names,
    check_stamps,
    check_state,
    entries_below,
    refused,
)
from sim.trust.stamps import unix_s
from sim.trust.views import VIEWS, names_of, record_summary, registry_summary, stamps

BASE: Final = "/dedi"
"""Where the published API begins."""
PAGE_SIZE: Final = 50
"""Entries per page where a query does not say."""

_Reader = Callable[[Path, Mapping[str, str], int], dict[str, Any]]
_BLANK: Final[Mapping[int, Mapping[str, Any]]] = {1: {"meta": {}}, 2: {"schema": {}, "meta": {}}}
_PAGE = re.compile(r"[1-9][0-9]{0,8}")


class Answer(NamedTuple):
    """What the directory says: an HTTP status and a JSON object, ``{message, data}`` or ``{message, error, code}``."""

    status: int
    body: dict[str, Any]


class _Bad(Exception):
    """A question that cannot be answered: HTTP status and what is wrong."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(status, error)
        self.status = status
        self.error = error


class Directory:
    """A store of versioned records that answers as a directory server would.  Threads may read and write at once."""

    def __init__(self) -> None:
        self._namespaces: dict[str, Entry] = {}
        self._changes = 0
        self._moments: list[int] = []
        self._lock = threading.Lock()

    @property
    def changes(self) -> int:
        """How many writes there have been; a copy made at another count may be stale."""
        return self._changes

    def edition(self, now_s: int) -> tuple[int, int]:
        """Differs between two unix seconds wherever any answer may: by a write, by one that comes into force, by an expiry."""
        return self._changes, bisect.bisect_right(self._moments, now_s)

    def open(
        self,
        namespace: str,
        registry: str,
        at_s: int,
        *,
        schema: Mapping[str, Any] | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> str:
        """Describe a registry (``schema``: JSON Schema of its details) and return the id of the version that this makes.

        Not needed before ``publish``, which makes what it lacks.  Raises ``TrustError`` as ``publish`` does.
        """
        path = (namespace, registry)
        check_stamps(path, at_s, None)
        content = canonical(path, {"schema": schema or {}, "meta": meta or {}})
        with self._lock:
            return self._write(self._entry(path), at_s, content, "active")

    def publish(
        self,
        namespace: str,
        registry: str,
        record: str,
        details: Mapping[str, Any],
        at_s: int,
        *,
        state: State = "live",
        valid_till_s: int | None = None,
        ttl_s: int = TTL_S,
        network_memberships: Sequence[str] = (),
    ) -> str:
        """Write a record that is in force from ``at_s`` on and supersedes what it had before; return the version's id.

        ``at_s`` may lie ahead: the record is then answered with from that second on.  ``valid_till_s``: first unix second at
        which the record no longer holds.  ``network_memberships``: networks that vouch for the record, beside its details.
        Raises ``TrustError`` for an empty name, an unknown state, details that RFC 8785 cannot write, and for a version
        older than the record's last.
        """
        path = (namespace, registry, record)
        check_state(path, state)
        check_stamps(path, at_s, valid_till_s)
        content = canonical(path, details)
        more = {"valid_till_s": valid_till_s, "ttl_s": ttl_s, "memberships": tuple(network_memberships)}
        with self._lock:
            return self._write(self._entry(path), at_s, content, state, **more)

    def change_state(self, namespace: str, registry: str, record: str, state: State, at_s: int) -> str:
        """Write the record's last version again with another state; return the new version's id.

        Raises ``TrustError`` for a record that does not exist, and as ``publish`` does.
        """
        path = (namespace, registry, record)
        check_state(path, state)
        check_stamps(path, at_s, None)
        with self._lock:
            entry = self._entry(path)
            if not entry.versions:
                raise refused(path, f"cannot be {state}: there is no such record, publish it first")
            last = entry.versions[-1]
            more = {"valid_till_s": last.valid_till_s, "ttl_s": last.ttl_s, "memberships": last.memberships}
            return self._write(entry, at_s, last.content, state, **more)

    def answer(self, path: str, query: Mapping[str, str], now_s: int) -> Answer:
        """The answer to ``GET path?query`` at a unix second: 200, 400 or 404, never an exception.

        path: percent-encoded, as in a request line.  Unknown parameters are ignored.  ``as_on`` shows the version in force
        at that moment; asked for a moment to come, it shows what is scheduled.
        """
        try:
            question, names = _split(path)
            with self._lock:
                found = self._readers(question, len(names))(names, query, now_s)
        except _Bad as bad:
            code = {400: "INVALID_REQUEST", 404: "NOT_FOUND"}[bad.status]
            return Answer(bad.status, {"message": "the question has no answer", "error": bad.error, "code": code})
        return Answer(200, {"message": "found", "data": found})

    def _entry(self, path: Path) -> Entry:
        """What is at this path, or a new entry that is not yet in the directory: a refused write leaves nothing behind."""
        check_names(path)
        below = self._namespaces
        for name in path[:-1]:
            below = below[name].below if name in below else {}
        return below.get(path[-1]) or Entry(path)

    def _write(self, entry: Entry, at_s: int, content: bytes, state: str, **more: Any) -> str:
        version = entry.add(at_s, content, state, **more)
        bisect.insort(self._moments, at_s)
        if version.valid_till_s is not None:
            bisect.insort(self._moments, version.valid_till_s)
        self._attach(entry, at_s)
        self._changes += 1
        return version.id

    def _attach(self, entry: Entry, at_s: int) -> None:
        """Put an entry where its path says, making the containers that it lacks."""
        *above, name = entry.path
        if not above:
            self._namespaces[name] = entry
            return
        container = self._entry(tuple(above))
        container.exists_since(at_s, _BLANK[len(above)])
        container.below[name] = entry
        self._attach(container, at_s)

    def _seen(self, path: Path, moment_s: int) -> Seen:
        """The entry as it stood, or 404 naming the first name of the path that did not exist then."""
        below = self._seen(path[:-1], moment_s).entry.below if len(path) > 1 else self._namespaces
        entry = below.get(path[-1])
        versions = entry.until(moment_s) if entry else ()
        if entry is None or not versions:
            raise _Bad(404, f"{KINDS[len(path) - 1]} {path[-1]!r} does not exist")
        return Seen(entry, versions[-1], versions, moment_s)

    def _readers(self, question: str, depth: int) -> _Reader:
        readers: dict[tuple[str, int], _Reader] = {
            ("lookup", 1): self._lookup,
            ("lookup", 2): self._lookup,
            ("lookup", 3): self._lookup,
            ("query", 1): self._query_namespace,
            ("query", 2): self._query_registry,
            ("versions", 1): self._versions,
            ("versions", 2): self._versions,
            ("versions", 3): self._versions,
        }
        found = readers.get((question, depth))
        if found is None:
            raise _Bad(404, f"no such path: {BASE}/{question} with {depth} names")
        return found

    def _lookup(self, path: Path, query: Mapping[str, str], now_s: int) -> dict[str, Any]:
        if "version_id" in query and "as_on" in query:
            raise _Bad(400, "version_id and as_on name one version each: ask with one of them")
        seen = self._seen(path, _moment(query, now_s))
        return VIEWS[len(path)](_at_version(seen, query["version_id"]) if "version_id" in query else seen)

    def _versions(self, path: Path, query: Mapping[str, str], now_s: int) -> dict[str, Any]:
        seen = self._seen(path, now_s)
        ids = [version.id for version in seen.versions]
        data = {**stamps(seen), "total_versions": len(ids), "versions": ids, "ttl": seen.version.ttl_s}
        if len(path) > 1:
            data["schema"] = json.loads(self._seen(path[:2], now_s).version.content)["schema"]
        if len(path) == 2:
            data["registry_name"] = path[1]
        return data

    def _query_namespace(self, path: Path, query: Mapping[str, str], now_s: int) -> dict[str, Any]:
        seen = self._seen(path, _moment(query, now_s))
        chosen = _choice(query, "status", ("active", "inactive"))
        rows = [
            registry_summary(row)
            for row in entries_below(seen)
            if chosen is None or (row.version.state_at(row.moment_s) == "active") == (chosen == "active")
        ]
        page = _Page.of(_sorted(_matching(rows, "registry_name", query), "registry_name", query), query)
        head = {"namespace_id": path[0], "namespace_name": path[0], "domain": None, **stamps(seen)}
        return {**head, "total_registries": page.total, **page.numbers(), "registries": page.rows}

    def _query_registry(self, path: Path, query: Mapping[str, str], now_s: int) -> dict[str, Any]:
        seen = self._seen(path, _moment(query, now_s))
        chosen = _choice(query, "state", ("live",))
        rows = [row for row in map(record_summary, entries_below(seen)) if chosen is None or row["state"] == chosen]
        page = _Page.of(_sorted(_matching(rows, "record_name", query), "record_name", query), query)
        head = {**names_of(path), **json.loads(seen.version.content), **stamps(seen)}
        totals = {"total_records": page.total, "total_pages": page.count}
        return {**head, "namespace_name": path[0], **totals, **page.numbers(), "records": page.rows}


def _split(path: str) -> tuple[str, Path]:
    if not path.startswith(f"{BASE}/"):
        raise _Bad(404, f"no such path: the API begins at {BASE}/")
    question, *names = path.removeprefix(f"{BASE}/").split("/")
    return question, tuple(unquote(name) for name in names)


def _time(query: Mapping[str, str], name: str) -> int | None:
    if name not in query:
        return None
    try:
        return unix_s(query[name])
    except ValueError as error:
        raise _Bad(400, f"{name}: {error}") from error


def _moment(query: Mapping[str, str], now_s: int) -> int:
    as_on = _time(query, "as_on")
    return now_s if as_on is None else as_on


def _choice(query: Mapping[str, str], name: str, allowed: Sequence[str]) -> str | None:
    value = query.get(name)
    if value is not None and value not in allowed:
        raise _Bad(400, f"{name}: {value[:40]!r} is none of {', '.join(allowed)}")
    return value


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not _PAGE.fullmatch(text):
        raise _Bad(400, f"{name}: {text[:40]!r} is not a whole number from 1 to 999999999")
    return int(text)


def _at_version(seen: Seen, version_id: str) -> Seen:
    """The snapshot with this id, in the state in which it was written."""
    for count, version in enumerate(seen.versions, start=1):
        if version.id == version_id:
            return Seen(seen.entry, version, seen.versions[:count], version.at_s)
    raise _Bad(404, f"{seen.entry.path[-1]!r} has no version {version_id[:40]!r}")


def _matching(rows: list[dict[str, Any]], name: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
    """Rows whose name contains ``name``, whatever the case, and whose last version is of ``from`` to ``to``, both included."""
    word, since_s, until_s = query.get("name", "").casefold(), _time(query, "from"), _time(query, "to")
    return [
        row
        for row in rows
        if word in row[name].casefold()
        and (since_s is None or since_s <= unix_s(row["updated_at"]))
        and (until_s is None or unix_s(row["updated_at"]) <= until_s)
    ]


def _sorted(rows: list[dict[str, Any]], name: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
    """Rows in ascending order: by name unless asked otherwise; ``date`` is that of the last version."""
    chosen = _choice(query, "sort", ("date", "status", "name", "id")) or "name"
    key = {"date": "updated_at", "status": "state"}.get(chosen, name)
    return sorted(rows, key=lambda row: (row[key], row[name]))


@dataclass(frozen=True, slots=True)
class _Page:
    """One page of rows.  A page past the last is empty."""

    rows: list[dict[str, Any]]
    total: int
    number: int
    size: int

    @staticmethod
    def of(rows: list[dict[str, Any]], query: Mapping[str, str]) -> _Page:
        number, size = _number(query, "page", 1), _number(query, "page_size", PAGE_SIZE)
        return _Page(rows[(number - 1) * size : number * size], len(rows), number, size)

    @property
    def count(self) -> int:
        return -(-self.total // self.size)

    def numbers(self) -> dict[str, int]:
        return {"page_number": self.number, "page_size": self.size}
