"""JSON values: what stands where, and where two of them differ."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any


def at(document: Any, pointer: str) -> Any:
    """What stands at a JSON pointer, with or without its first slash."""
    for step in pointer.removeprefix("/").split("/"):
        key = step.replace("~1", "/").replace("~0", "~")
        document = document[int(key)] if isinstance(document, list) else document[key]
    return document


def differences(left: Any, right: Any, pointer: str = "") -> Iterator[str]:
    """Where two JSON values differ."""
    if isinstance(left, dict) and isinstance(right, dict):
        for key in left.keys() | right.keys():
            below = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
            yield from differences(left[key], right[key], below) if key in left and key in right else [below]
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for index, (one, other) in enumerate(zip(left, right, strict=True)):
            yield from differences(one, other, f"{pointer}/{index}")
    elif type(left) is not type(right) or left != right:
        yield pointer


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place inside a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in inside:
        yield (*path, step)
        yield from places(inner, (*path, step))


def value_at(document: Any, path: tuple[Any, ...]) -> Any:
    """What stands at a place."""
    for step in path:
        document = document[step]
    return document


def without(document: Any, path: tuple[Any, ...]) -> Any:
    """A copy that lacks one place."""
    document = copy.deepcopy(document)
    del value_at(document, path[:-1])[path[-1]]
    return document


def has(document: Any, pointer: str) -> bool:
    """Whether anything stands there."""
    try:
        at(document, pointer)
    except (KeyError, IndexError):
        return False
    return True
