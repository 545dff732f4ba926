"""What really happened in a run: the bags and words on its wire, its actions, its kinds of participants, its records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from results.run import Run

LONGEST = 60
"""Characters of a text that may be asked for by its value; longer ones are prose."""


@dataclass(frozen=True)
class Evidence:
    """What a run has seen, by the words that blocks ask for.

    bags: ``@type`` of bags.  keys: names of fields, and ``name=value`` where the value is a short text or a truth.  actions: of
    accepted messages.  kinds: of participants.  records: kinds of the journal's records.  events: types of contract events.
    facts: names of what events say, where they say something.  codes: of refusals.
    """

    bags: frozenset[str]
    keys: frozenset[str]
    actions: frozenset[str]
    kinds: frozenset[str]
    records: frozenset[str]
    events: frozenset[str]
    facts: frozenset[str]
    codes: frozenset[str]

    def shows(self, asked: Mapping[str, list[str]]) -> bool:
        """Whether any of the words asked for was seen.  Raises ``AttributeError`` for a sort of words that there is not."""
        return any(word in getattr(self, sort) for sort, words in asked.items() for word in words)


def evidence(run: Run) -> Evidence:
    """What a run has seen."""
    sorts = ("bags", "keys", "actions", "records", "events", "facts", "codes")
    found: dict[str, set[str]] = {name: set() for name in sorts}
    for record in run.journal():
        found["records"].add(record["kind"])
        if record["kind"] == "event":
            found["events"].add(record["event"]["eventType"])
            found["facts"].update(name for name, value in record["event"]["data"].items() if value)
        if record["kind"] == "message":
            found["actions"].add(record["action"])
            if record["ack"] != "ACK":
                found["codes"].add(record["error"]["errorCode"])
            elif isinstance(record["body"], dict):
                _words(record["body"].get("message"), found["bags"], found["keys"])
    return Evidence(
        kinds=frozenset(run.participants["kind"]), **{name: frozenset(words) for name, words in found.items()}
    )


def _words(document: Any, bags: set[str], keys: set[str]) -> None:
    for name, value in _members(document):
        keys.add(name)
        if isinstance(value, bool) or (isinstance(value, str) and len(value) <= LONGEST):
            keys.add(f"{name}={value}")
        if name == "@type" and isinstance(value, str):
            bags.add(value)


def _members(document: Any) -> Iterator[tuple[str, Any]]:
    """Every field of every object, at any depth."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield name, value
            yield from _members(value)
    elif isinstance(document, list):
        for value in document:
            yield from _members(value)
