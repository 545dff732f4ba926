"""What ``run.json`` says of a run, and in which form: whoever reads a run relies on that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sim.errors import Fault

ALWAYS: Mapping[str, type] = {
    "name": str,
    "policy": str,
    "seed": int,
    "start": str,
    "intervalS": int,
    "count": int,
    "timeZone": str,
    "currency": str,
    "scenario": dict,
    "messages": dict,
    "durations": dict,
}
"""What every run says of itself."""

SOMETIMES: Mapping[str, type] = {
    "tables": dict,
    "rows": dict,
    "versions": dict,
    "physics": dict,
    "policyStopped": dict,
    "heldIntervals": list,
    "unsettledContracts": list,
}
"""What may be left out."""

STOPPED: Mapping[str, type] = {"journalBytes": int}
"""What a run that was stopped says as well."""

AT_LEAST: Mapping[str, int] = {"intervalS": 1, "count": 1, "journalBytes": 0}

_CALLED = {str: "a text", int: "a whole number", dict: "an object", list: "an array"}


def faults(manifest: Mapping[str, Any], *, complete: bool) -> Iterator[Fault]:
    """Everything that a manifest lacks, or says in a form that cannot be read."""
    wanted = ALWAYS if complete else {**ALWAYS, **STOPPED}
    said = {key: kind for key, kind in SOMETIMES.items() if key in manifest}
    for key, kind in {**wanted, **said}.items():
        value = manifest.get(key)
        if key not in manifest:
            yield Fault(f"run.json: {key}", "is missing")
        elif type(value) is not kind:  # a truth value is no number here
            yield Fault(f"run.json: {key}", f"is not {_CALLED[kind]}")
        elif isinstance(value, int) and value < AT_LEAST.get(key, value):
            yield Fault(f"run.json: {key}", f"is {value}, less than {AT_LEAST[key]}")
