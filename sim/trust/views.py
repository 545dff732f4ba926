"""The bodies of a directory's answers, with the published members."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from sim.trust.entries import KINDS, Path, Seen, entries_below
from sim.trust.stamps import rfc3339


def names_of(path: Path) -> dict[str, str]:
    """Ids and names of an entry and what it is in.  Names are the ids here, so that either finds the entry."""
    words = zip(KINDS, path, strict=False)
    return {f"{kind}_{key}": name for kind, name in words for key in ("id", "name")}


def stamps(seen: Seen) -> dict[str, str]:
    """Who wrote an entry, when first and when last; a namespace writes what is in it."""
    first, last = seen.versions[0].at_s, seen.version.at_s
    return {"created_by": seen.entry.path[0], "created_at": rfc3339(first), "updated_at": rfc3339(last)}


def _common(seen: Seen) -> dict[str, Any]:
    """Members that lookups of all kinds share.  digest: SHA-256 in hex over the RFC 8785 bytes of the content."""
    return {
        "description": "",
        "digest": hashlib.sha256(seen.version.content).hexdigest(),
        "version": seen.version.id,
        "version_count": len(seen.versions),
        **stamps(seen),
        "state": seen.version.state_at(seen.moment_s),
        "ttl": seen.version.ttl_s,
    }


def _namespace_view(seen: Seen) -> dict[str, Any]:
    (name,) = seen.entry.path
    return {"namespace_id": name, "name": name, **_common(seen), **json.loads(seen.version.content)}


def _registry_view(seen: Seen) -> dict[str, Any]:
    names = names_of(seen.entry.path)
    del names["namespace_name"]  # a registry's lookup has no such member, a query's answer has
    return {**names, **_common(seen), **json.loads(seen.version.content)}


def _record_view(seen: Seen) -> dict[str, Any]:
    names = names_of(seen.entry.path)
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


VIEWS: Final = {1: _namespace_view, 2: _registry_view, 3: _record_view}
"""What a lookup shows of an entry, by how many names its path has."""


def _summary(seen: Seen, kind: str) -> dict[str, Any]:
    view = VIEWS[len(seen.entry.path)](seen)
    members = (f"{kind}_id", f"{kind}_name", "description", "digest", "created_at", "updated_at", "state", "ttl")
    return {member: view[member] for member in members}


def registry_summary(seen: Seen) -> dict[str, Any]:
    """A registry's row in the list of a namespace."""
    return {**_summary(seen, "registry"), "record_count": sum(1 for _ in entries_below(seen))}


def record_summary(seen: Seen) -> dict[str, Any]:
    """A record's row in the list of a registry."""
    return _summary(seen, "record")
