"""A decentralized directory (DeDi api 2.0.0) in one process: namespaces hold registries, registries hold records.

Writing is by method, each with the unix second from which it counts; nothing is ever overwritten, every write is a version.
Reading is ``Directory.answer``, which speaks the published paths, parameters and bodies.  Where the published API leaves
something open, the choice is stated at the function that makes it.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, NamedTuple, get_args
from urllib.parse import unquote

import rfc8785

from sim.errors import TrustError, nearest
from sim.rng import identifier
from sim.trust.stamps import rfc3339, unix_s

BASE: Final = "/dedi"
"""Where the published API begins."""
TTL_S: Final = 300
"""How long an answer may be kept where its publisher does not say [s]; network adapters keep theirs as long."""
PAGE_SIZE: Final = 50
"""Entries per page where a query does not say."""

State = Literal["draft", "live", "suspended", "revoked", "expired"]
_Path = tuple[str, ...]
_Reader = Callable[[_Path, Mapping[str, str], int], dict[str, Any]]
_KINDS = ("namespace", "registry", "record")
_PAGE = re.compile(r"[1-9][0-9]{0,8}")


class Answer(NamedTuple):
    """What the directory says: an HTTP status and a JSON object, ``{message, data}`` or ``{message, error, code}``."""

    status: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Version:
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
class _Entry:
    """A namespace, registry or record, by its path of names: its versions, oldest first, and the entries below it."""

    path: _Path
    versions: list[_Version] = field(default_factory=list)
    below: dict[str, _Entry] = field(default_factory=dict)

    def until(self, moment_s: int) -> tuple[_Version, ...]:
        """All versions written for this moment or before it."""
        return tuple(version for version in self.versions if version.at_s <= moment_s)

    def add(self, at_s: int, content: bytes, state: str, **more: Any) -> _Version:
        last = self.versions[-1] if self.versions else None
        if last and at_s < last.at_s:
            raise _refused(self.path, f"version at {rfc3339(at_s)} is older than the last, {rfc3339(last.at_s)}")
        version_id = identifier(0, *self.path, str(len(self.versions) + 1))
        self.versions.append(_Version(version_id, at_s, content, state, **more))
        return self.versions[-1]


class _Seen(NamedTuple):
    """An entry as it stood at a moment: the version in force then, and all until then."""

    entry: _Entry
    version: _Version
    versions: tuple[_Version, ...]
    moment_s: int


class _Bad(Exception):
    """A question that cannot be answered: HTTP status and what is wrong."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(status, error)
        self.status = status
        self.error = error


class Directory:
    """A store of versioned records that answers as a directory server would.  Threads may read and write at once."""

    def __init__(self) -> None:
        self._namespaces: dict[str, _Entry] = {}
        self._changes = 0
        self._lock = threading.Lock()

    @property
    def changes(self) -> int:
        """How many writes there have been; a copy made at another count may be stale."""
        return self._changes

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
        content = _canonical((namespace, registry), {"schema": schema or {}, "meta": meta or {}})
        with self._lock:
            return self._written(self._registry(namespace, registry, at_s).add(at_s, content, "active"))

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
        _check_state(path, state)
        _check_stamps(path, at_s, valid_till_s)
        content = _canonical(path, details)
        more = {"valid_till_s": valid_till_s, "ttl_s": ttl_s, "memberships": tuple(network_memberships)}
        with self._lock:
            entry = self._record(path)
            written = entry.add(at_s, content, state, **more)
            self._registry(namespace, registry, at_s).below[record] = entry
            return self._written(written)

    def change_state(self, namespace: str, registry: str, record: str, state: State, at_s: int) -> str:
        """Write the record's last version again with another state; return the new version's id.

        Raises ``TrustError`` for a record that does not exist, and as ``publish`` does.
        """
        path = (namespace, registry, record)
        _check_state(path, state)
        _check_stamps(path, at_s, None)
        with self._lock:
            entry = self._record(path)
            if not entry.versions:
                raise _refused(path, f"cannot be {state}: there is no such record, publish it first")
            last = entry.versions[-1]
            more = {"valid_till_s": last.valid_till_s, "ttl_s": last.ttl_s, "memberships": last.memberships}
            return self._written(entry.add(at_s, last.content, state, **more))

    def answer(self, path: str, query: Mapping[str, str], now_s: int) -> Answer:
        """The answer to ``GET path?query`` at a unix second: 200, 400 or 404, never an exception.

        path: percent-encoded, as in a request line.  Unknown parameters are ignored.  ``as_on`` shows the version in force
        at that moment; asked for a moment to come, it shows what is scheduled.
        """
        try:
            question, names = _split(path)
            with self._lock:
                return Answer(
                    200, {"message": "found", "data": self._readers(question, len(names))(names, query, now_s)}
                )
        except _Bad as bad:
            code = {400: "INVALID_REQUEST", 404: "NOT_FOUND"}[bad.status]
            return Answer(bad.status, {"message": "the question has no answer", "error": bad.error, "code": code})

    def _written(self, version: _Version) -> str:
        self._changes += 1
        return version.id

    def _registry(self, namespace: str, registry: str, at_s: int) -> _Entry:
        _check_names((namespace, registry))
        _check_stamps((namespace, registry), at_s, None)
        above = self._namespaces.setdefault(namespace, _Entry((namespace,)))
        entry = above.below.setdefault(registry, _Entry((namespace, registry)))
        for container in (above, entry):
            _exists_since(container, at_s)
        return entry

    def _record(self, path: _Path) -> _Entry:
        """The record, or a new one that is not yet in the directory: a refused write leaves nothing behind."""
        _check_names(path)
        below = self._namespaces
        for name in path[:-1]:
            below = below[name].below if name in below else {}
        return below.get(path[-1]) or _Entry(path)

    def _seen(self, path: _Path, moment_s: int) -> _Seen:
        """The entry as it stood, or 404 naming the first name of the path that did not exist then."""
        below = self._seen(path[:-1], moment_s).entry.below if len(path) > 1 else self._namespaces
        entry = below.get(path[-1])
        versions = entry.until(moment_s) if entry else ()
        if entry is None or not versions:
            raise _Bad(404, f"{_KINDS[len(path) - 1]} {path[-1]!r} does not exist")
        return _Seen(entry, versions[-1], versions, moment_s)

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

    def _lookup(self, path: _Path, query: Mapping[str, str], now_s: int) -> dict[str, Any]:
        if "version_id" in query and "as_on" in query:
            raise _Bad(400, "version_id and as_on name one version each: ask with one of them")
        seen = self._seen(path, _moment(query, now_s))
        return _VIEWS[len(path)](_at_version(seen, query["version_id"]) if "version_id" in query else seen)

    def _versions(self, path: _Path, query: Mapping[str, str], now_s: int) -> dict[str, Any]:
        seen = self._seen(path, now_s)
        ids = [version.id for version in seen.versions]
        data = {**_stamps(seen), "total_versions": len(ids), "versions": ids, "ttl": seen.version.ttl_s}
        if len(path) > 1:
            data["schema"] = json.loads(self._seen(path[:2], now_s).version.content)["schema"]
        if len(path) == 2:
            data["registry_name"] = path[1]
        return data

    def _query_namespace(self, path: _Path, query: Mapping[str, str], now_s: int) -> dict[str, Any]:
        seen = self._seen(path, _moment(query, now_s))
        chosen = _choice(query, "status", ("active", "inactive"))
        rows = [
            _registry_summary(row)
            for row in _below(seen)
            if chosen is None or (row.version.state_at(row.moment_s) == "active") == (chosen == "active")
        ]
        page = _Page.of(_sorted(_matching(rows, "registry_name", query), "registry_name", query), query)
        head = {"namespace_id": path[0], "namespace_name": path[0], "domain": None, **_stamps(seen)}
        return {**head, "total_registries": page.total, **page.numbers(), "registries": page.rows}

    def _query_registry(self, path: _Path, query: Mapping[str, str], now_s: int) -> dict[str, Any]:
        seen = self._seen(path, _moment(query, now_s))
        chosen = _choice(query, "state", ("live",))
        rows = [row for row in map(_record_summary, _below(seen)) if chosen is None or row["state"] == chosen]
        page = _Page.of(_sorted(_matching(rows, "record_name", query), "record_name", query), query)
        head = {**_names(path), **json.loads(seen.version.content), **_stamps(seen)}
        totals = {"total_records": page.total, "total_pages": page.count}
        return {**head, "namespace_name": path[0], **totals, **page.numbers(), "records": page.rows}


def _refused(path: _Path, what: str) -> TrustError:
    return TrustError("/".join(path), what)


def _check_names(path: _Path) -> None:
    if not all(path):
        raise _refused(path, "a namespace, a registry and a record have names that are not empty")


def _check_state(path: _Path, state: str) -> None:
    if state not in get_args(State):
        raise _refused(path, f"unknown state {state!r}: {nearest(state, get_args(State))}")


def _check_stamps(path: _Path, at_s: int, valid_till_s: int | None) -> None:
    try:
        for second in (at_s, valid_till_s):
            rfc3339(second or 0)
    except ValueError as error:
        raise _refused(path, str(error)) from error


def _canonical(path: _Path, content: Mapping[str, Any]) -> bytes:
    try:
        return rfc8785.dumps(dict(content))
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError) as error:
        raise _refused(path, f"details cannot be written as RFC 8785 JSON: {error}") from error


def _exists_since(container: _Entry, at_s: int) -> None:
    """A container is as old as the oldest thing in it, in whatever order they were written."""
    if not container.versions:
        blank: dict[str, Any] = {"schema": {}, "meta": {}} if len(container.path) == 2 else {"meta": {}}
        container.add(at_s, _canonical(container.path, blank), "active")
    elif at_s < container.versions[0].at_s:
        container.versions[0] = replace(container.versions[0], at_s=at_s)


def _split(path: str) -> tuple[str, _Path]:
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


def _at_version(seen: _Seen, version_id: str) -> _Seen:
    """The snapshot with this id, in the state in which it was written."""
    for count, version in enumerate(seen.versions, start=1):
        if version.id == version_id:
            return _Seen(seen.entry, version, seen.versions[:count], version.at_s)
    raise _Bad(404, f"{seen.entry.path[-1]!r} has no version {version_id[:40]!r}")


def _below(seen: _Seen) -> Iterable[_Seen]:
    for entry in seen.entry.below.values():
        versions = entry.until(seen.moment_s)
        if versions:
            yield _Seen(entry, versions[-1], versions, seen.moment_s)


def _names(path: _Path) -> dict[str, str]:
    """Ids and names of an entry and what it is in.  Names are the ids here, so that either finds the entry."""
    words = zip(_KINDS, path, strict=False)
    return {f"{kind}_{key}": name for kind, name in words for key in ("id", "name")}


def _stamps(seen: _Seen) -> dict[str, str]:
    first, last = seen.versions[0].at_s, seen.version.at_s
    return {"created_by": seen.entry.path[0], "created_at": rfc3339(first), "updated_at": rfc3339(last)}


def _common(seen: _Seen) -> dict[str, Any]:
    """Members that lookups of all kinds share.  digest: SHA-256 in hex over the RFC 8785 bytes of the content."""
    return {
        "description": "",
        "digest": hashlib.sha256(seen.version.content).hexdigest(),
        "version": seen.version.id,
        "version_count": len(seen.versions),
        **_stamps(seen),
        "state": seen.version.state_at(seen.moment_s),
        "ttl": seen.version.ttl_s,
    }


def _namespace_view(seen: _Seen) -> dict[str, Any]:
    (name,) = seen.entry.path
    return {"namespace_id": name, "name": name, **_common(seen), **json.loads(seen.version.content)}


def _registry_view(seen: _Seen) -> dict[str, Any]:
    names = _names(seen.entry.path)
    del names["namespace_name"]  # a registry's lookup has no such member, a query's answer has
    return {**names, **_common(seen), **json.loads(seen.version.content)}


def _record_view(seen: _Seen) -> dict[str, Any]:
    names = _names(seen.entry.path)
    names["namespace"] = names.pop("namespace_name")
    till = seen.version.valid_till_s
    own = {
        "details": json.loads(seen.version.content),
        "meta": {},
        "genesis": seen.versions[0].id,
        "valid_till": None if till is None else rfc3339(till),
    }
    # Not in the published record, but where network adapters look for it.
    beside = {"network_memberships": list(seen.version.memberships)} if seen.version.memberships else {}
    return {**names, **_common(seen), **own, **beside}


_VIEWS: Final = {1: _namespace_view, 2: _registry_view, 3: _record_view}


def _summary(seen: _Seen, kind: str) -> dict[str, Any]:
    view = _VIEWS[len(seen.entry.path)](seen)
    members = (f"{kind}_id", f"{kind}_name", "description", "digest", "created_at", "updated_at", "state", "ttl")
    return {member: view[member] for member in members}


def _registry_summary(seen: _Seen) -> dict[str, Any]:
    return {**_summary(seen, "registry"), "record_count": sum(1 for _ in _below(seen))}


def _record_summary(seen: _Seen) -> dict[str, Any]:
    return _summary(seen, "record")


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
